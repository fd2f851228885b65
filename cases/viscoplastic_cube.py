"""An elastoviscoplastic cube: clamped at the bottom, spun, pressed and heated.

Its temperature fields are not parametrised. Reproduction: one history of ten steps, reduced
and followed again. Unseen fields: a model of a few random hot spots meets others, with an
error indicator calibrated on left-out training fields and enrichment by single full steps.
The setting and the law are those of Casenave and Akkari (2019) as far as they are public.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from rom.bands import Indicator, trust
from rom.basis import Basis
from rom.cli.launch import run
from rom.cli.ship import ship_model
from rom.compress.decomposition import pod
from rom.history import History
from rom.loading import Loading
from rom.points.cubature import compress_contributions, ecm, exactness, unit
from rom.points.gappy_pod import gappy, gappy_points
from rom.snapshots import Snapshots
from rom.solids.calibration import (
    CalibrationData,
    calibrate_solid,
    follow_with_and_without,
    join_observations,
    observe_run,
    step_errors,
)
from rom.solids.model import RunState, SolidModel, Tolerances
from rom.solids.runs import FollowedRun
from rom.solids.training import train_solid
from rom.solids.weighted import reduced_march, weighted_model
from solvers.bricks import box
from solvers.laws.viscoplastic import Viscoplastic
from solvers.service import service
from solvers.solid import Body, body, march
from solvers.thermoelastic import fixed_dofs

# MPa, mm, s, degC, tonne/mm3: flat in temperature
FLAT = Viscoplastic(
    E=2e5, nu=0.3, alpha=2e-5, T_ref=20.0, rho=1e-8, K=300.0, n=30.0, C=1e5, D=1e3, R0=10.0
)
# with tables of a nickel-like alloy that creeps when hot
RISING = [20, 500, 700, 900]
HOT = Viscoplastic(
    E=[RISING, [2.0e5, 1.75e5, 1.6e5, 1.35e5]],
    nu=0.3,
    alpha=[[20, 900], [1.2e-5, 1.6e-5]],
    T_ref=20.0,
    rho=1e-8,
    K=[RISING, [600, 500, 400, 250]],
    n=[RISING, [30, 20, 12, 8]],
    C=[RISING, [1.5e5, 1.2e5, 9e4, 5e4]],
    D=[[20, 900], [1e3, 8e2]],
    R0=[RISING, [150, 110, 70, 30]],
)
FIRST_STEP = (0,)  # full in any case: no residual of p sees the elastic answer to new data


def cube(cells: int = 6, law: Viscoplastic = FLAT) -> Body:
    """The unit cube of cells^3 hexahedra, clamped at z = 0 [mm]."""
    mesh = box((cells,) * 3)
    return body(mesh, {None: law}, fixed_dofs(mesh, "z0"))


def hot_spot(b: Body, rng: np.random.Generator) -> np.ndarray:
    """A temperature field (n_nodes,) [degC]: one to three Gaussian hot spots.

    300 at the coldest, 540 to 865 at the hottest.
    """
    x, field = b.mesh.points, np.zeros(len(b.mesh.points))
    for _ in range(rng.integers(1, 4)):
        centre, width = rng.random(3), rng.uniform(0.25, 0.6)
        square = np.sum((x - centre) ** 2, axis=1)
        field += rng.uniform(0.4, 1.0) * np.exp(-square / (2 * width**2))
    span = (field - field.min()) / np.ptp(field)
    return np.asarray(300 + (rng.uniform(540, 865) - 300) * span)


def cycles(
    b: Body,
    field: np.ndarray,
    times: np.ndarray,
    share: np.ndarray,
    *,
    omega: float,
    pressure: float,
) -> Loading:
    """Loads that follow `share` (m,) of time: rotation, side pressure and temperature.

    omega : [rad/s]; pressure : [MPa]; temperature from 20 degC to `field` (n_nodes,)
    """
    return service(b, times, share, omega, pressure, "x1", 20.0, field, (0.0, 0.5, -100.0))


def two_cycles(b: Body, field: np.ndarray) -> Loading:
    """Forty steps: up in 5, hold for 10, down in 5, twice, 0.1 s a step."""
    up, down = np.linspace(0, 1, 6)[1:], np.linspace(1, 0, 6)[1:]
    one = np.concatenate([up, np.ones(10), down])
    share = np.concatenate([[0.0], one, one])
    return cycles(b, field, np.linspace(0.0, 4.0, 41), share, omega=1.2e4, pressure=60.0)


def ten_steps(b: Body) -> Loading:
    """Ten steps on [0, 2] s: rotation, pressure and a hot corner of 620 degC grow."""
    square = np.sum((b.mesh.points - [1.0, 0.5, 0.7]) ** 2, axis=1)
    field = 20 + 600 * np.exp(-4 * square)
    times = np.linspace(0.0, 2.0, 11)
    return cycles(b, field, times, times / 2, omega=5.0e3, pressure=40.0)


def solid(cells: int = 3) -> tuple[Body, list[History], Tolerances]:
    """What `rom train cases.viscoplastic_cube --kind solid` trains on: growing loads."""
    b = cube(cells)
    loading = ten_steps(b)
    return b, [march(b, loading, loading.t)], Tolerances(u=1e-5, p=1e-5, cubature=1e-5)


def reproduce(
    cells: int = 6, u: float = 1e-6, p: float = 1e-6, cubature: float = 3e-6
) -> dict[str, float]:
    """One history, reduced and followed again, and what its error is made of.

    The parts: basis, cubature (with gappy p) and gappy rule alone. Errors of u are relative at
    every step, those of p relative to its largest norm: the worst step counts.
    """
    b = cube(cells)
    loading = ten_steps(b)
    start = time.process_time()
    h = march(b, loading, loading.t, tol=1e-11)
    full = time.process_time() - start
    mu, points = np.zeros((len(h.t), 1)), b.points
    basis, _ = pod(Snapshots(b.space, mu, h.u), tol=u)
    dual, _ = pod(Snapshots(points, mu, h.p), tol=p)
    strain, stress = b.strain(basis.modes), unit(points, h.stress)
    rule = ecm(compress_contributions(points, strain, stress, 1e-8), points, cubature)
    chosen = np.concatenate([rule.elements, gappy_points(dual, rule.elements)])
    model, recover = weighted_model(basis, strain, b, chosen, rule.weights), gappy(dual, chosen)
    start = time.process_time()
    answer = reduced_march(model, loading.reduce(basis, chosen, points), loading.t)
    online = time.process_time() - start
    exact = march_on_all_points(b, basis, strain, loading)
    difference = np.linalg.norm(answer.u - exact.u, axis=0)
    volume_rows = exactness(points, strain, stress, rule)
    return {
        "u_error": _error_u(b, h, basis.lift(answer.u)),
        "p_error": _error_p(b, h, recover(answer.p)),
        "n_modes": basis.r,
        "n_p_modes": dual.r,
        "points": len(chosen),
        "point_fraction": len(chosen) / points.n,
        "u_error_basis": _error_u(b, h, basis.lift(basis.coefficients(h.u))),
        "u_error_cubature": float(difference.max() / np.linalg.norm(exact.u, axis=0).max()),
        "p_error_basis": _error_p(b, h, dual.lift(dual.coefficients(h.p))),
        "p_error_gappy": _error_p(b, h, recover(h.p[chosen])),
        **{f"cubature_{name}": value for name, value in volume_rows.items()},
        "full_s": full,
        "online_s": online,
        "newton_iterations": int(h.iterations.sum()),
    }


def _error_u(b: Body, h: History, u: np.ndarray) -> float:
    """Largest relative error of u (n, m)."""
    return float((b.space.norm(h.u - u) / b.space.norm(h.u)).max())


def _error_p(b: Body, h: History, p: np.ndarray) -> float:
    """Largest error of p (g, m) over the largest norm of p."""
    return float(b.points.norm(h.p - p).max() / b.points.norm(h.p).max())


def march_on_all_points(b: Body, basis: Basis, strain: np.ndarray, loading: Loading) -> History:
    """The answer of the basis without cubature."""
    points = np.arange(b.points.n)
    model = weighted_model(basis, strain, b, points, b.points.product)
    return reduced_march(model, loading.reduce(basis, points, b.points), loading.t)


def histories(b: Body, count: int, seed: int) -> list[tuple[Loading, History]]:
    """High-fidelity histories of two cycles under `count` random fields.

    Field k depends on (seed, k) alone.
    """
    runs = []
    for k in range(count):
        loading = two_cycles(b, hot_spot(b, np.random.default_rng([seed, k])))
        runs.append((loading, march(b, loading, loading.t)))
    return runs


@dataclass(frozen=True)
class Plan:
    """Which runs train, calibrate and judge, and what the model may do.

    The last `judges` runs judge the indicator alone.
    """

    training: int
    held: int
    judges: int = 0
    max_full_steps: int = 6
    tol_u: float = 1e-2
    tol_p: float = 3e-2


@dataclass(frozen=True, eq=False)
class Followed:
    """A run under an unseen field, and its errors (m, 3)."""

    run: FollowedRun
    errors: np.ndarray
    relative_u: np.ndarray

    def worst(self) -> tuple[float, float, float]:
        """Largest errors of u and p over their largest norms, and of u relative at a step."""
        u, p = self.errors[:, 0].max(), self.errors[:, 1].max()
        return float(u), float(p), float(self.relative_u.max())


def study_unseen_fields(
    b: Body, runs: Sequence[tuple[Loading, History]], plan: Plan, out: str | None = None
) -> dict[str, float]:
    """Train on the first runs, calibrate on the next, judge on the rest.

    out : folder for pictures, or None
    """
    training, first = plan.training, plan.training + plan.held
    model = train_solid(b, [h for _, h in runs[:training]], Tolerances(), stress_unit="MPa")
    tolerances = {"u": plan.tol_u, "p": plan.tol_p}
    indicators, watch = calibrate_solid(
        b, model, runs[training:first], tolerances, max_full_steps=plan.max_full_steps
    )
    bare: list[Followed] = []
    rich: list[Followed] = []
    shares: list[dict[str, float]] = []
    observations: list[CalibrationData] = []
    for number, (loading, h) in enumerate(runs[first:]):
        without, enriched = follow_with_and_without(
            b,
            model,
            loading,
            watch,
            full_steps=FIRST_STEP,
            max_full_steps=plan.max_full_steps,
        )
        both = [_judge(b, each, h) for each in (without, enriched)]
        observations += [observe_run(number, one.run, one.errors) for one in both]
        if number < len(runs) - first - plan.judges:
            shares.append(parts(b, model, loading, h, without.states))
            bare.append(both[0])
            rich.append(both[1])
    data = join_observations(observations)
    trusted = {}
    for name in ("u", "p"):
        trusted[name] = trust(indicators[name], data.features, data.error(name))
    if out is not None:
        worst = max(rich, key=lambda one: one.worst()[1])
        _pictures(Path(out), indicators["p"], worst)
        ship_model(out, model, "solvers.laws", mesh=b.mesh, loading=runs[first][0])
    return {
        **_worst_rows("unenriched", bare),
        **{f"unseen_{name}_error": max(share[name] for share in shares) for name in shares[0]},
        **_worst_rows("enriched", rich),
        "hf_steps": max(sum(step.full for step in one.run.steps) for one in rich),
        "steps": 40,
        "indicator_log_correlation": trusted["p"]["log_correlation"],
        "indicator_coverage": trusted["p"]["coverage"],
        "indicator_log_correlation_u": trusted["u"]["log_correlation"],
        "indicator_coverage_u": trusted["u"]["coverage"],
        "training_fields": training,
        "calibration_fields": plan.held,
        "unseen_fields": len(bare),
        "judging_fields": plan.judges + len(bare),
        "unseen_points": len(model.model.points),
        "unseen_modes": model.basis.r,
    }


def _judge(b: Body, run: FollowedRun, h: History) -> Followed:
    errors = step_errors(b, run.states, h)
    sizes = b.space.norm(h.u)
    return Followed(run, errors, errors[:, 0] * sizes.max() / sizes)


def _worst_rows(name: str, runs: Sequence[Followed]) -> dict[str, float]:
    """The worst errors of u and p of some runs."""
    u, p, relative_u = np.max([one.worst() for one in runs], axis=0).tolist()
    return {
        f"{name}_u_error": u,
        f"{name}_p_error": p,
        f"{name}_u_error_per_step": relative_u,
    }


def parts(
    b: Body, model: SolidModel, loading: Loading, h: History, states: Sequence[RunState]
) -> dict[str, float]:
    """What a run without enrichment owes to each approximation.

    The worst step over the largest norm in the history: u and p outside their bases (u_basis,
    basis), displacements of the cubature less those of all points (cubature), p fitted to its
    true values at the chosen points (gappy).
    """
    basis, dual, points = model.basis, model.p, b.points
    exact = march_on_all_points(b, basis, model.strain, loading)
    answer = np.column_stack([state.now.u for state in states])
    size_u, size_p = b.space.norm(h.u).max(), points.norm(h.p).max()
    outside_u = b.space.norm(h.u - basis.lift(basis.coefficients(h.u)))
    outside_p = points.norm(h.p - dual.lift(dual.coefficients(h.p)))
    of_cubature = np.linalg.norm(answer - exact.u, axis=0)
    of_rule = points.norm(h.p - model.model.dual("p", h.p[model.model.points]))
    return {
        "u_basis": float(outside_u.max() / size_u),
        "basis": float(outside_p.max() / size_p),
        "cubature": float(of_cubature.max() / size_u),
        "gappy": float(of_rule.max() / size_p),
    }


def _pictures(out: Path, indicator: Indicator, worst: Followed) -> None:
    """The indicator against the true error over time, with the full steps marked."""
    from rom.plot.curves import indicator_plot

    out.mkdir(parents=True, exist_ok=True)
    run = worst.run
    features = np.array([state.features for state in run.states])
    indicator_plot(
        out / "indicator.png",
        run.states[0].loading.t[1:],
        worst.errors[:, 1],
        upper=indicator.upper(features),
        middle=indicator.middle(features),
        full=np.array([step.full for step in run.steps]),
        ylabel="error of p over its largest norm",
    )


def unseen(
    cells: int = 6,
    training: int = 12,
    held: int = 40,
    fields: int = 8,
    judges: int = 28,
    *,
    seed: int = 7,
    most: int = 6,
    out: str | None = None,
) -> dict[str, float]:
    """A model of `training` hot fields followed under `fields` unseen ones.

    Two cycles each. It is calibrated on `held` others. The indicator is judged on the unseen
    fields and on `judges` more: the steps of one field miss its quantile together, so that a
    coverage over eight fields is known to about 0.05 only.

    most : full steps in a run, at most
    """
    b = cube(cells, HOT)
    runs = histories(b, training + held + fields + judges, seed)
    return study_unseen_fields(b, runs, Plan(training, held, judges, most), out)


def main(
    cells: int = 6,
    training: int = 12,
    held: int = 40,
    fields: int = 8,
    judges: int = 28,
    seed: int = 7,
    most: int = 6,
    out: str | None = None,
) -> dict[str, Any]:
    """Reproduction of one history, then unseen temperature fields.

    fields : unseen ones; judges : more for the indicator; most : full steps, at most
    """
    learnt = unseen(cells, training, held, fields, judges, seed=seed, most=most, out=out)
    return reproduce(cells) | learnt


if __name__ == "__main__":
    run(main, units={"full_s": "s CPU", "online_s": "s CPU"})
