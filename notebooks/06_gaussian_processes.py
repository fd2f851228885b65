# ---
# jupyter:
#   jupytext:
#     text_representation:
#       extension: .py
#       format_name: percent
# ---

# %% [markdown]
# # Gaussian processes for simulation data
#
# Simulations give few runs, many outputs, no noise, and often a grid. Each of these has an exact
# algebra, so nothing is iterated or approximated below 20,000 runs: Cholesky factors, Kronecker
# eigenvalues, leave-one-out in closed form.

# %%
import numpy as np

from rom.compress.decomposition import pod
from rom.gp import coefficient_gp
from rom.gp.estimator import GPRegressor
from rom.gp.fields import field_gp
from rom.gp.kronecker import kronecker_gp
from rom.gp.spectral import initial_lines
from rom.snapshots import Snapshots
from rom.space import euclidean

gen = np.random.default_rng(0)
x, fresh = gen.random((40, 2)), gen.random((200, 2))


def outputs(x):
    return np.column_stack(
        [np.sin(12 * x[:, 0]), np.cos(11 * x[:, 0]), x[:, 1] ** 2, np.exp(x[:, 1])]
    )


# %% [markdown]
# ## Many outputs
#
# One kernel for all, one per cluster, or one each? Leaving every run out in turn, in closed form,
# decides, and says so.

# %%
gp = coefficient_gp(x, outputs(x))
mean, std = gp.posterior(fresh)
inside = np.mean(np.abs(mean - outputs(fresh)) < 1.96 * std)
print(
    f"{gp.share}: {gp.reason}\n{inside:.2f} of fresh values inside their 95 % intervals; "
    f"lengths of the first {gp.kernels[0].lengths}"
)
assert np.linalg.norm(mean - outputs(fresh)) < 0.02 * np.linalg.norm(outputs(fresh))

# %% [markdown]
# ## Fields
#
# A basis and a process of its coefficients make a reduced model. Its standard deviation counts the
# modes that were cut off.

# %%
z = np.linspace(0, 1, 300)[:, None]
fields = lambda x: np.exp(-(((z - 0.3 - 0.4 * x[:, 0]) / 0.2) ** 2)) * (1 + x[:, 1])  # noqa: E731
snapshots = Snapshots(euclidean(300), x, fields(x))
basis, s = pod(snapshots, tol=1e-3)
model = field_gp(snapshots, basis)
inner = 0.1 + 0.8 * fresh
u, deviation = model.field(inner)
print(
    f"{basis.r} modes, error {np.linalg.norm(u - fields(inner)) / np.linalg.norm(u):.1e}, mean "
    f"deviation {deviation.mean():.1e}"
)
assert np.linalg.norm(u - fields(inner)) < 0.02 * np.linalg.norm(u)

# %% [markdown]
# ## Grids
#
# Runs times points times frequencies: the covariance is a product, its eigenvalues are products,
# and 20,000 cells cost milliseconds. A spectral mixture that starts from the peaks heard in the
# data learns what repeats, and a point of any axis can be left out as a whole.

# %%
f, runs = np.linspace(0, 1, 120), gen.random((25, 1))


def response(f, mu):
    phase = 2 * np.pi * 9 * f[:, None] + 2 * mu[:, 0]
    return np.sin(phase) + 0.3 * np.sin(2 * phase)


y = response(f, runs) + 0.01 * gen.standard_normal((120, 25))
grid = kronecker_gp([f, runs], y, [initial_lines(y, 2), "rbf"])
gaps, _ = grid.leave_one_out(axis=1)
print(
    f"noise {grid.noise:.4f}; frequencies {np.sort(grid.kernels[0].frequencies[:, 0]).round(1)}; "
    f"a left-out run: {gaps.std():.3f}"
)
assert abs(grid.noise - 0.01) < 0.002

# %% [markdown]
# Lost cells need no complete grid: a preconditioner that holds the large eigenvalues makes the
# iterations few whatever is missing.

# %%
seen = gen.random(y.shape) > 0.3
seen[40:55, 3] = False
part = kronecker_gp(
    [f, runs], np.where(seen, y, np.nan), grid.kernels, noise=grid.nugget, observed=seen, fit=False
)
filled = part.posterior(f, runs, std=False)[0]
print(f"error in the lost cells {np.abs(filled - response(f, runs))[~seen].max():.3f}")
assert np.abs(filled - response(f, runs))[~seen].max() < 0.1

# %% [markdown]
# ## In other people's pipelines
#
# The same regression is a scikit-learn estimator.

# %%
from sklearn.model_selection import cross_val_score

scores = cross_val_score(
    GPRegressor(kernel="rbf", starts=2), x, np.sin(6 * x[:, 0]) + x[:, 1], cv=4
)
print("R^2 over four folds", scores.round(5))
assert scores.min() > 0.99
