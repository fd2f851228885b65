# ---
# jupyter:
#   jupytext:
#     formats: py:percent
# ---

# %% [markdown]
# # A solid that creeps, at few points
#
# A clamped cube is spun, pressed and heated by a field that nobody parametrised. Its law remembers:
# every point of integration carries plastic strain and a back stress. We learn from three fields,
# follow a fourth, and ask for single high-fidelity steps.

# %%
import numpy as np

from cases.viscoplastic_cube import HOT, cube, hot_spot, two_cycles
from rom.points.cubature import exactness, unit
from rom.solids.calibration import step_errors
from rom.solids.model import Tolerances
from rom.solids.runs import Watch, follow
from rom.solids.training import train_solid
from solvers.solid import march

b = cube(3, HOT)
loadings = [two_cycles(b, hot_spot(b, np.random.default_rng([1, k]))) for k in range(4)]
histories = [march(b, loading, loading.t) for loading in loadings]
print(
    f"{b.n} unknowns, {b.points.n} points of integration, largest p "
    f"{max(h.p.max() for h in histories):.3f}"
)

# %% [markdown]
# ## Train
#
# Modes of $u$, $p$ and $\sigma$, then an empirical cubature: $\int \sigma:\varepsilon(\psi_k)
# \approx \sum_i \hat w_i\, \sigma(x_i):\varepsilon(\psi_k)(x_i)$ with few points and weights $\hat
# w_i > 0$. All that training needs of a solver is histories of $u$ and $\sigma$, the law, and the
# strains of modes.

# %%
tol = 1e-4
model = train_solid(b, histories[:3], Tolerances(tol, tol, tol, tol))
report = exactness(
    b.points,
    model.strain,
    np.concatenate([unit(b.points, h.stress) for h in histories[:3]], axis=2),
    model.rule,
)
print(f"{model.basis.r} modes, {len(model.rule.elements)} of {b.points.n} points; {report}")
assert (model.rule.weights > 0).all() and report["volume"] < tol

# %% [markdown]
# ## Follow a field that is new
#
# Without help, the model misses what the new temperature field does. With full steps at the first
# loading and where plasticity turns, each started from the full state that the law alone recovers
# from the reduced strains, it learns on the way.

# %%
plain = follow(model, b, loadings[3])
rich = follow(model, b, loadings[3], watch=Watch(), full_steps=(0, 4, 19, 24), max_full_steps=4)
for name, run in (("reduced alone", plain), ("with four full steps", rich)):
    of_u, of_p, _ = step_errors(b, run.states, histories[3]).T
    print(
        f"{name}: largest error of u {of_u.max():.1e}, of p {of_p.max():.1e}, over their largest "
        "norms"
    )
assert (
    step_errors(b, rich.states, histories[3])[:, 1].max()
    < 0.5 * step_errors(b, plain.states, histories[3])[:, 1].max()
)
for step in rich.steps:
    if step.full:
        print(
            f"t = {step.t:.1f} s: full step ({step.reason}); "
            f"{step.modes} modes, {step.points} points"
        )
