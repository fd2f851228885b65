"""A user's own nonlinear equation at few of its rows: 2-D Burgers, by DEIM and by cubature.

u_t + u u_x + v u_y = nu (u_xx + u_yy), the same for v, on the unit square with walls, to 1 s;
upwind differences on n x n cells, implicit Euler steps; u = a sin(2 pi x) sin(2 pi y),
v = a sin(pi x) sin(2 pi y) at first. nu in [.005, .05] m2/s (log), a in [.5, 1.5] m/s. The term is
not polynomial: the wind turns.

Errors are relative L2 in space, means over times, and over parameters that no run has. Beside the
models stand the floor of their modes, persistence, the nearest run, linear and cubic interpolation
of the runs in mu, the quadratic law of the solver's rate, and the solver on coarse grids, each with
its CPU seconds. Full solver: Newton's method with the last sparse factor as long as it serves.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import cache, partial
from typing import Any

import numpy as np
import scipy.sparse as sp
from scipy.sparse.linalg import splu

from rom.affine import Affine, Monomials
from rom.basis import Basis
from rom.cli.launch import run
from rom.compress import pod
from rom.design import sobol
from rom.dynamics import (
    NonlinearModel,
    Stencil,
    calibrate_estimate,
    evaluate_term,
    nonlinear_model,
    project_rate,
)
from rom.errors import NotConverged
from rom.mesh import Mesh
from rom.parameters import Box
from rom.problem import Problem
from rom.snapshots import Snapshots
from rom.space import Field, Space

BOX = Box(("nu", "amplitude"), np.array([0.005, 0.5]), np.array([0.05, 1.5]), ("m2/s", "m/s"),
          ("log", "linear"))  # fmt: skip
END = 1.0  # s
MAX_ITERATIONS = 40  # of Newton's method in a step
LOST = 10.0  # relative error of what has no answer
STALE = 0.3  # of the last residual, that a step with an old factor must reach


def upwind(U: np.ndarray, mu: np.ndarray, data: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """c c_x + d c_y upwind (k,) of U = (c, west, east, south, north, d), data = (h, is v)."""
    h, is_v = data[:, 0], data[:, 1] > 0
    c, other = U[:, 0], U[:, 5]
    speeds = (np.where(is_v, other, c), np.where(is_v, c, other))
    values, slopes = np.zeros(len(U)), np.zeros_like(U)
    by_speed = []
    for k, speed in enumerate(speeds):
        back, ahead = c - U[:, 1 + 2 * k], U[:, 2 + 2 * k] - c
        plus, minus = np.maximum(speed, 0.0) / h, np.minimum(speed, 0.0) / h
        values += plus * back + minus * ahead
        slopes[:, 0] += plus - minus
        slopes[:, 1 + 2 * k] = -plus
        slopes[:, 2 + 2 * k] = minus
        by_speed.append(np.where(speed > 0, back, ahead) / h)
    slopes[:, 0] += np.where(is_v, by_speed[1], by_speed[0])
    slopes[:, 5] = np.where(is_v, by_speed[0], by_speed[1])
    return values, slopes


@cache
def convection(n: int) -> Stencil:
    """The rows of u u_x + v u_y, then of u v_x + v v_y, on n x n cells, zero beyond the walls."""
    number = np.full((n + 2, n + 2), -1)
    number[1:-1, 1:-1] = np.arange(n * n).reshape(n, n)
    around = [number[1:-1, 1:-1], number[:-2, 1:-1], number[2:, 1:-1], number[1:-1, :-2],
              number[1:-1, 2:]]  # fmt: skip
    near = np.stack([part.ravel() for part in around], axis=1)
    other = near[:, :1] + n * n
    u = np.hstack([near, other])
    v = np.hstack([np.where(near < 0, -1, near + n * n), near[:, :1]])
    data = np.column_stack([np.full(2 * n * n, 1.0 / n), np.repeat([0.0, 1.0], n * n)])
    return Stencil(np.vstack([u, v]), data, upwind)


@cache
def viscosity(n: int) -> Any:
    """-(d_xx + d_yy) of both components, zero beyond the walls."""
    side = np.ones(n - 1)
    K = sp.diags_array([-side, 2.0 * np.ones(n), -side], offsets=[-1, 0, 1]) * float(n * n)
    one = sp.eye_array(n)
    L = sp.kron(K, one) + sp.kron(one, K)
    return sp.csr_array(sp.block_diag([L, L]))


def start(amplitude: float, n: int) -> np.ndarray:
    """u = a sin(2 pi x) sin(2 pi y), v = a sin(pi x) sin(2 pi y)."""
    x = (np.arange(n) + 0.5) / n
    s, t = np.sin(2 * np.pi * x), np.sin(np.pi * x)
    return amplitude * np.concatenate([np.outer(s, s).ravel(), np.outer(t, s).ravel()])


def solve(mu: np.ndarray, n: int = 100, steps: int = 100, tol: float = 1e-6) -> np.ndarray:
    """u (2 n n, steps + 1) by implicit Euler steps, |R| <= tol |u| / dt in each."""
    nu, amplitude = mu
    dt, A, term = END / steps, nu * viscosity(n), convection(n)
    one = sp.eye_array(A.shape[0])
    states = [start(amplitude, n)] * 2
    solve_last: Callable[[np.ndarray], np.ndarray] | None = None
    for _ in range(steps):
        old, u = states[-1], 2 * states[-1] - states[-2]
        size, before = float(np.linalg.norm(old)) / dt, np.inf
        for _ in range(MAX_ITERATIONS):
            values, K = evaluate_term(term, u, mu)
            R = (u - old) / dt + A @ u + values
            miss = float(np.linalg.norm(R)) / size
            if miss <= tol:
                break
            if solve_last is None or miss > STALE * before:
                solve_last = factorise(sp.csc_array(one / dt + A + K))
                miss = np.inf
            before = miss
            u = u - solve_last(R)
        else:
            raise NotConverged(f"steps of {dt:g} s fail at mu = {mu}: |R| = {miss:.1g}; take more")
        states.append(u)
    return np.stack(states[1:], axis=1)


def factorise(K: Any) -> Callable[[np.ndarray], np.ndarray]:
    """K^{-1} by a sparse factor, ordered as of a symmetric pattern."""
    factor = splu(
        K, permc_spec="MMD_AT_PLUS_A", diag_pivot_thresh=0.0, options={"SymmetricMode": True}
    )
    back: Callable[[np.ndarray], np.ndarray] = factor.solve
    return back


def problem(n: int = 100, steps: int = 100) -> Problem:
    """The equation on n x n cells at steps + 1 times."""
    cells = n * n
    fields = (Field("u", "m/s", np.arange(cells)), Field("v", "m/s", np.arange(cells, 2 * cells)))
    space = Space(np.full(2 * cells, 1.0 / cells), np.arange(2 * cells), None, fields)
    A = Affine(Monomials(np.ones(1), np.array([[1.0, 0.0]])), (viscosity(n),))
    return Problem(
        solve=lambda mu: solve(mu, n, steps),
        box=BOX,
        space=space,
        mesh=centres(n),
        A=A,
        rate=lambda u, mu: -mu[0] * (viscosity(n) @ u) - evaluate_term(convection(n), u, mu)[0],
        term=convection(n),
        times=np.linspace(0.0, END, steps + 1),
        version=f"{n} cells, {steps} steps",
    )


def centres(n: int) -> Mesh:
    """The centres of the cells, joined to quadrilaterals."""
    x = (np.arange(n) + 0.5) / n
    points = np.stack(np.meshgrid(x, x, indexing="ij"), axis=-1).reshape(-1, 2)
    i, j = (index.ravel() for index in np.indices((n - 1, n - 1)))
    k = i * n + j
    return Mesh(points, {"quad": np.column_stack([k, k + n, k + n + 1, k + 1])})


def snapshots(own: Problem, mus: np.ndarray, runs: np.ndarray) -> Snapshots:
    """Runs (m, n, n_t) as columns."""
    t, space = np.asarray(own.times), own.space
    assert space is not None
    return Snapshots(space, np.repeat(mus, len(t), 0), np.hstack(list(runs)),
                     np.tile(t, len(mus)))  # fmt: skip


def errors(u: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """Mean over times of relative L2 in space, (m,) of (m, n, n_t); LOST at most."""
    miss = np.linalg.norm(u - truth, axis=1) / np.linalg.norm(truth, axis=1)
    return np.asarray(np.minimum(np.nan_to_num(miss, nan=LOST), LOST).mean(axis=1))


def clock(function: Callable[[np.ndarray], np.ndarray], mus: np.ndarray) -> tuple[Any, float]:
    """Answers (m, n, n_t), and CPU seconds of one."""
    begin = time.process_time()
    answers = np.stack([function(mu) for mu in mus])
    return answers, (time.process_time() - begin) / len(mus)


def coarse(mu: np.ndarray, n: int, steps: int, wanted: tuple[int, int]) -> np.ndarray:
    """The solver on n x n cells, carried by cubic splines in space, linearly in time."""
    from scipy.interpolate import make_interp_spline

    fine, times = wanted
    u = solve(mu, n, steps)
    sides = np.concatenate([[0.0], (np.arange(n) + 0.5) / n, [1.0]])
    field = np.pad(u.reshape(2, n, n, -1), ((0, 0), (1, 1), (1, 1), (0, 0)))
    x = (np.arange(fine) + 0.5) / fine
    for axis in (1, 2):
        field = make_interp_spline(sides, field, 3, axis=axis)(x)
    flat = field.reshape(2 * fine * fine, -1)
    every = make_interp_spline(np.linspace(0.0, END, steps + 1), flat, 1, axis=1)
    return np.asarray(every(np.linspace(0.0, END, times)))


def trivial_rows(
    mus: np.ndarray, runs: np.ndarray, tests: np.ndarray, truth: np.ndarray
) -> Iterator[tuple[str, np.ndarray]]:
    """Name and answers (m, n, n_t) of what needs no model."""
    from scipy.interpolate import LinearNDInterpolator, RBFInterpolator

    yield "persistence", np.repeat(truth[:, :, :1], truth.shape[2], axis=2)
    z, at, flat = BOX.to_unit(mus), BOX.to_unit(tests), runs.reshape(len(runs), -1)
    nearest = runs[np.argmin(np.linalg.norm(at[:, None] - z, axis=2), axis=1)]
    yield "nearest run", nearest
    linear = LinearNDInterpolator(z, flat)(at).reshape(truth.shape)
    yield "linear interpolation in mu", np.where(np.isnan(linear), nearest, linear)
    cubic = RBFInterpolator(z, flat, kernel="cubic", degree=1)(at)
    yield "cubic interpolation in mu", cubic.reshape(truth.shape)


def whole_inside(model: NonlinearModel, mus: np.ndarray, truth: np.ndarray) -> tuple[float, float]:
    """Share of whole trajectories in their bands, and median width over error."""
    answer = model.predict(mus)
    inside: list[bool] = []
    widths: list[float] = []
    for k in range(len(mus)):
        held = True
        for field in model.basis.space.fields:
            miss = answer.field(field.name, k) - truth[k][field.rows]
            error = np.sqrt(np.mean(miss**2, axis=0))
            width = answer.parts[field.name].errors[0].value[k]
            held &= bool((error <= width).all())
            widths.append(float(np.median(width / np.maximum(error, np.finfo(float).tiny))))
        inside.append(held)
    return float(np.mean(inside)), float(np.median(widths))


def lift(basis: Basis, model: Any) -> Callable[[np.ndarray], np.ndarray]:
    """mu -> the trajectory (n, n_t) of a model on one basis."""
    return lambda mu: basis.lift(model.predict(mu).coefficients)


def one_rank(
    own: Problem, seen: Snapshots, unseen: Snapshots, plan: tuple[int, int, bool]
) -> Iterator[tuple[str, Any, Basis]]:
    """Models of so many modes: by DEIM and cubature, with bands; the law of the rate."""
    rank, seed, quadratic = plan
    basis = pod(seen, rank=rank)[0]
    for rule in ("deim", "cubature"):
        model = nonlinear_model(own, seen, basis, rule=rule, rng=seed)
        yield rule, calibrate_estimate(model, unseen), basis
    if quadratic and own.rate is not None:
        law = project_rate(own.rate, seen, basis, BOX, rng=seed)
        yield "quadratic law of the rate", replace(law, width=None), basis


def main(
    n: int = 100,
    steps: int = 100,
    train: int = 16,
    calibrate: int = 10,
    tests: int = 10,
    ranks: str = "20,40",
    grids: str = "25,33",
    quadratic: bool = False,
    seed: int = 0,
) -> dict[str, Any]:
    """Errors and CPU seconds of all rows; quadratic : also the law of the solver's rate."""
    own = problem(n, steps)
    mus = sobol(BOX, train, seed)
    fresh = BOX.from_unit(np.random.default_rng([1, seed]).random((calibrate + tests, 2)))
    runs, seconds = clock(own.solve, np.vstack([mus, fresh]))
    seen = snapshots(own, mus, runs[:train])
    unseen = snapshots(own, fresh[:calibrate], runs[train : train + calibrate])
    mu, truth = fresh[calibrate:], runs[train + calibrate :]
    figures: dict[str, Any] = {"full solver: CPU s": seconds, "unknowns": runs.shape[1]}
    for name, u in trivial_rows(mus, runs[:train], mu, truth):
        figures[f"{name}: error"] = float(errors(u, truth).mean())
    for cells in [int(grid) for grid in grids.split(",") if grid]:
        for few in (steps, steps // 2):
            small = partial(coarse, n=cells, steps=few, wanted=(n, steps + 1))
            u, own_seconds = clock(small, mu)
            figures[f"{cells} x {cells} cells, {few} steps: error"] = float(errors(u, truth).mean())
            figures[f"{cells} x {cells} cells, {few} steps: CPU s"] = own_seconds
    for rank in map(int, ranks.split(",")):
        figures |= rank_figures(own, (seen, unseen), (mu, truth), (rank, seed, quadratic), seconds)
    return figures


def rank_figures(
    own: Problem,
    runs: tuple[Snapshots, Snapshots],
    tests: tuple[np.ndarray, np.ndarray],
    plan: tuple[int, int, bool],
    seconds: float,
) -> dict[str, Any]:
    """Figures of one rank: floor, errors over it, seconds and bands."""
    (mu, truth), rank = tests, plan[0]
    figures: dict[str, Any] = {}
    for rule, model, basis in one_rank(own, *runs, plan):
        floor = errors(np.stack([basis.lift(basis.coefficients(u)) for u in truth]), truth)
        name = f"{rank} modes, {rule}"
        answers, own_seconds = clock(lift(basis, model), mu)
        error = errors(answers, truth)
        figures[f"{rank} modes, floor: error"] = float(floor.mean())
        figures |= {
            f"{name}: error": float(error.mean()),
            f"{name}: error over floor": float(error.mean() / floor.mean()),
            f"{name}: largest error over floor": float((error / floor).max()),
            f"{name}: CPU s": own_seconds,
            f"{name}: speed-up": seconds / own_seconds,
        }
        if isinstance(model, NonlinearModel):
            inside, width = whole_inside(model, mu, truth)
            figures |= {
                f"{name}: rows": len(model.term.modes),
                f"{name}: whole runs in 90 % bands": inside,
                f"{name}: band over error": width,
            }
    return figures


if __name__ == "__main__":
    run(main)
