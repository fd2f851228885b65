# ---
# jupyter:
#   jupytext:
#     formats: py:percent
# ---

# %% [markdown]
# # Matrices of any frequency from sixteen of them
#
# A boundary element code assembles a dense matrix $A_k$ for each wavenumber $k$, and that is where
# its time goes. We never open it: $A_k \approx \sum_m \beta_m(k) A_{k_m}$, where the $k_m$ and the
# $\beta_m$ come from the kernel alone, by empirical interpolation.

# %%
from dataclasses import replace
from functools import partial

import numpy as np

from cases.sphere_scattering import families, load, matrix, mie, problem, separated, sphere
from rom.certified import certify, eim_weights, reduced_basis, separate
from rom.errors import SolveFailed
from solvers.acoustics import exterior

host = exterior(sphere(80))
print(f"{len(host.body.points)} unknowns; one assembly gives {matrix(host, np.array([2.0])).shape}")

# %% [markdown]
# ## What the kernel is made of
#
# The Burton-Miller equation of a hard body with coupling $\eta = i/k$ contains $1$, $e^{ikr}$, $k
# e^{ikr}$ and $e^{ikr}/k$, each of them linearly. `families` says that in three lines; a kernel of
# yours would be another such function. The rule tells at which wavenumbers the host has to
# assemble.

# %%
rule = eim_weights(
    families, np.linspace(1, 6, 301), 1 - np.cos(np.linspace(0, np.pi, 151)), tol=1e-10
)
print(f"{rule.d} matrices, at k = {np.round(np.sort(rule.mus[:, 0]), 2)}; {rule.reason}")
A = separate(rule, partial(matrix, host))

# %% [markdown]
# ## Trust, but check
#
# Fresh wavenumbers, assembled by the host, are the only proof. A host whose sample is wrong is
# found out, by name.

# %%
fresh = np.random.default_rng(0).uniform(1, 6, (5, 1))
print(
    f"largest relative error {certify(A, partial(matrix, host), fresh, tol=1e-8).error.max():.1e}"
)


def lying(mu):
    """The host with a wrong sign in one entry of one matrix."""
    made = matrix(host, mu)
    made[3, 7] *= -1 if mu[0] == rule.mus[4, 0] else 1
    return made


try:
    certify(separate(rule, lying), lying, fresh, tol=1e-8)
    found = ""
except SolveFailed as error:
    found = str(error)
print(found)
assert str(rule.mus[4]) in found

# %% [markdown]
# ## A reduced basis on top
#
# With matrices and right-hand sides separated, Galerkin projection costs nothing that knows the
# mesh, and the residual bounds the error: $\|u - u_r\| \le \|r(k)\| / \beta(k)$, with an inf-sup
# constant interpolated and checked on fresh wavenumbers.

# %%
ball = problem(panels=80, d=16)
model, history = reduced_basis(
    replace(ball, solve=separated(ball)), np.linspace(1, 6, 101)[:, None], tol=0.0, rank=16
)
k = np.array([3.3])
answer = model.predict(k)
exact = np.linalg.solve(matrix(host, k), load(host, k))
error = ball.space.norm(exact - model.basis.lift(answer.coefficients))
print(f"{model.basis.r} modes: bound {float(answer.bound):.1e}, true error {error:.1e}")
assert error <= answer.bound < 1e-4

# %% [markdown]
# ## Which error matters
#
# The mesh of 80 triangles is coarse: against the Mie series the host itself errs by percents. A
# reduced model cannot repair that; its bound speaks of the host's discrete solution.

# %%
truth = mie(1.0, host.body.points[:, 2])
coarse = np.linalg.solve(matrix(host, np.array([1.0])), load(host, np.array([1.0])))
discretisation = ball.space.norm(coarse - truth) / ball.space.norm(truth)
print(f"discretisation error at k = 1: {discretisation:.1%}")
assert 0.01 < discretisation < 0.05
