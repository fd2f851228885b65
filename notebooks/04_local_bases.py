# ---
# jupyter:
#   jupytext:
#     formats: py:percent
# ---

# %% [markdown]
# # Local bases
#
# One basis for everything wastes modes on what never happens together. Fronts that move, for
# example: Burgers' equation $u_t + (u^2/2)_x = \nu u_{xx}$ with amplitude $a$, place $c$ and
# viscosity $\nu$ of a pulse, at ten times each.

# %%
import tempfile
from pathlib import Path

import numpy as np

from cases.local_bases import physics
from rom.compress import RunningPod, merge_blocks, update
from rom.local.bases import local_bases
from rom.local.dissimilarity import scaling, sines
from rom.local.gain import expected_gain
from rom.local.learning import fit_classifier
from rom.local.sight import features
from rom.plot.clusters import cluster_plot, gain_plot

burgers = physics(cells=2)["burgers"]
train, unseen = (
    burgers.draw(40, seed=0),
    burgers.draw(40, seed=1),
)  # 40 runs each, ten snapshots a run, columns of u (256, 400)

# %% [markdown]
# ## Angles, not distances
#
# $\delta(u, v) = \min_c |u - c v| / |u|$ is the sine of the angle between two solutions: the
# relative error of describing one by the other. Amplitudes do not matter, shapes do.

# %%
D = sines(train)  # (400, 400)
assert D.max() <= 1.0 and np.allclose(np.diag(D), 0.0)

# %% [markdown]
# ## Do local bases pay?
#
# Before more runs are spent: the expected gain over one global basis of as many modes, wrong
# choices of the classifier included.

# %%
gain = expected_gain(train, rank=8, candidates=(1, 2, 4), splits=3)
for k, g, s in zip(gain.K, gain.gain, gain.std, strict=True):
    print(f"K = {k}: gain {g:.2f} +- {s:.2f}")
assert gain.recommended > 1

# %% [markdown]
# ## Clusters and a classifier
#
# Partitions of parameters, fields or sines, refined as K subspaces or not: that one is taken which
# errs least on runs that had no part in it. Online, a classifier chooses the basis from
# $(\mu, t)$; all local bases live in
# one hull, so that changing between them costs nothing of size n.

# %%
local = local_bases(train, gain.recommended, rank=8, classifier=fit_classifier)
chosen = local.classifier.choose(features(unseen))
error = local.projection_errors(unseen.u)[np.arange(unseen.m), chosen].mean()
single = local_bases(train, 1, rank=8).projection_errors(unseen.u).mean()
print(
    f"hull of {local.hull.r}; unseen runs: {100 * error:.2f} % with {local.K} local bases, "
    f"{100 * single:.2f} % with one"
)
assert error < single
assert np.allclose(local.change(0, 1), local.basis(0).modes.T @ local.basis(1).modes)

# %%
folder = Path(tempfile.mkdtemp())
x, share = scaling(D)
cluster_plot(folder / "clusters.png", x, local.labels, share=share)
gain_plot(folder / "gain.png", gain.K, gain.gain, gain.std)
assert (folder / "clusters.png").stat().st_size > 10_000

# %% [markdown]
# ## Certified merging
#
# Runs as blocks: which of them may share one basis at 5 % of error? Every merge carries its
# certificate.

# %%
blocks = [train.u[:, 10 * k : 10 * k + 10] for k in range(40)]
merging = merge_blocks(blocks, 0.05, train.space)
print(
    f"{len(merging.bases)} bases of {merging.ranks} modes hold 40 runs in "
    f"1/{merging.compression:.1f} of their numbers"
)
assert merging.bounds.max() <= 0.05 and merging.compression > 1

# %% [markdown]
# ## Updates
#
# A POD that follows its data knows at any time what it has discarded.

# %%
state = RunningPod(train.space)
for block in blocks:
    state = update(state, block, tol=1e-2)
V = state.basis().modes
true = np.linalg.norm(train.u - V @ (V.T @ train.u)) / np.linalg.norm(train.u)
print(f"{state.r} modes, certificate {state.error:.4f}, true error {true:.4f}")
assert true <= state.error <= 1e-2
