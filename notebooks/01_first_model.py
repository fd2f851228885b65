# ---
# jupyter:
#   jupytext:
#     formats: py:percent
# ---

# %% [markdown]
# # A first certified model
#
# From a solver to an answer with a bound, on the thermal block: $-\nabla\cdot(k(x;\mu)\nabla u) =
# 1$ on the unit square, $u = 0$ on its boundary, one conductivity $\mu_q \in [0.1, 1]$ W/m/K in
# each of four blocks.

# %%
import tempfile
from pathlib import Path

import numpy as np

from cases.thermal_block import problem
from rom.archive.nouns import load, save
from rom.campaign import collect, read
from rom.certified import galerkin_model
from rom.compress.decomposition import pod
from rom.design.designs import sobol
from rom.study.comparison import study

block = problem(cells=20)
print(f"{block.space.size} unknowns, parameters {block.box.names} in {block.box.units[0]}")

# %% [markdown]
# ## Collect
#
# Sixty-four solutions at Sobol points. Every one is committed as soon as it is solved: call it
# again and nothing is solved twice.

# %%
folder = Path(tempfile.mkdtemp())
mus = sobol(block.box, 64, rng=0)  # (64, 4)
collect(block.solve, mus, folder / "runs", box=block.box, space=block.space, mesh=block.mesh)
again = collect(
    block.solve, mus, folder / "runs", box=block.box, space=block.space, mesh=block.mesh
)
assert again.solved == 0 and again.skipped == 64

# %% [markdown]
# ## Compress
#
# Proper orthogonal decomposition in the energy product: modes $V$ with $V^T X V = I$, as many as a
# relative error of $10^{-4}$ needs.

# %%
snapshots = read(folder / "runs", block.space)  # u (n, 64), columns are solutions
basis, s = pod(snapshots, tol=1e-4)
gram = block.space.inner(basis.modes, basis.modes)
assert np.abs(gram - np.eye(basis.r)).max() < 1e-12
print(f"{basis.r} modes; {basis.reason}; relative error of the training set {basis.error:.1e}")

# %% [markdown]
# ## Project, with a bound
#
# $A(\mu) = \sum_q \theta_q(\mu) A_q$ makes the reduced system independent of the mesh, and the
# residual bounds the error: $\|u - u_r\|_X \le \|r(\mu)\|_{X'} / \alpha(\mu)$.

# %%
model = galerkin_model(block, basis)
mu = np.array([0.2, 0.3, 0.4, 0.9])
answer = model.predict(mu)
error = block.space.norm(block.solve(mu) - basis.lift(answer.coefficients))
print(f"bound {float(answer.bound):.2e}, true error {error:.2e}")
assert error <= answer.bound

# %% [markdown]
# ## Check it where it has not been
#
# The effectivity, bound over error, is at least one: a certified bound is never too small.

# %%
fresh = block.box.from_unit(np.random.default_rng(1).random((20, 4)))
table = study(model, block.solve, fresh)
summary = table.summary()
for name in ("max_rel_error", "max_rel_bound", "min_effectivity", "max_effectivity"):
    print(f"{name:16s} {summary[name]:.3g}")
assert summary["min_effectivity"] >= 1 and summary["max_rel_error"] <= summary["max_rel_bound"]

# %% [markdown]
# ## Ship it
#
# One file, no pickle; it answers without the solver, bit for bit as before.

# %%
save(folder / "model.h5", model)
shipped = load(folder / "model.h5")
assert np.array_equal(shipped.predict(mu).coefficients, answer.coefficients)
