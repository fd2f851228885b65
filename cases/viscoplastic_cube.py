"""An elastoviscoplastic cube: clamped at the bottom, spun, pressed on one side and heated by fields that nobody parametrised.

Reproduction: one history of ten steps, reduced and followed again. Unseen fields: a model of a few random hot spots meets others,
with an error indicator calibrated on left-out training fields and enrichment by single high-fidelity steps.
The setting and the law are those of Casenave & Akkari (2019) as far as they are public.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import numpy as np

from rom.bands import Indicator, trust
from rom.cli.launch import run
from rom.compress.decomposition import pod
from rom.history import History
from rom.loading import Loading
from rom.points.cubature import compress_contributions, ecm, exactness, unit
from rom.points.gappy_pod import gappy, gappy_points
from rom.snapshots import Snapshots
from rom.solids.adaptive import RunStep
from rom.solids.calibration import (
    KINDS,
    calibrate_solid,
    follow_with_and_without,
    observe_run,
    step_errors,
)
from rom.solids.training import RunState, SolidModel, Tolerances, train_solid
from rom.solids.weighted import reduced_march, weighted_model
from solvers.bricks import box
from solvers.laws import Viscoplastic
from solvers.service import service
from solvers.solid import Body, body, march
from solvers.thermoelastic import fixed_dofs

# MPa, mm, s, degC, tonne/mm3: flat in temperature, and with tables of a nickel-like alloy that creeps when hot
FLAT = Viscoplastic(
    E=2e5, nu=0.3, alpha=2e-5, T_ref=20.0, rho=1e-8, K=300.0, n=30.0, C=1e5, D=1e3, R0=10.0
)
HOT = Viscoplastic(
    E=[[20, 500, 700, 900], [2.0e5, 1.75e5, 1.6e5, 1.35e5]], nu=0.3, alpha=[[20, 900], [1.2e-5, 1.6e-5]], T_ref=20.0, rho=1e-8,
    K=[[20, 500, 700, 900], [600, 500, 400, 250]], n=[[20, 500, 700, 900], [30, 20, 12, 8]],
    C=[[20, 500, 700, 900], [1.5e5, 1.2e5, 9e4, 5e4]], D=[[20, 900], [1e3, 8e2]], R0=[[20, 500, 700, 900], [150, 110, 70, 30]],
)  # fmt: skip


def cube(cells: int = 6, law: Viscoplastic = FLAT) -> Body:
    """The unit cube of cells^3 hexahedra, clamped at z = 0 [mm]."""
    mesh = box((cells,) * 3)
    return body(mesh, {None: law}, fixed_dofs(mesh, "z0"))


def hot_spot(b: Body, rng: np.random.Generator) -> np.ndarray:
    """A temperature field (n_nodes,) [degC]: 300 at the coldest, one to three Gaussian spots, 540 to 865 at the hottest."""
    x, field = b.mesh.points, np.zeros(len(b.mesh.points))
    for _ in range(rng.integers(1, 4)):
        centre, width = rng.random(3), rng.uniform(0.25, 0.6)
        field += rng.uniform(0.4, 1.0) * np.exp(-np.sum((x - centre) ** 2, axis=1) / (2 * width**2))
    span = (field - field.min()) / np.ptp(field)
    return 300 + (rng.uniform(540, 865) - 300) * span


def cycles(
    b: Body, field: np.ndarray, times: np.ndarray, share: np.ndarray, omega: float, pressure: float
) -> Loading:
    """Rotation omega [rad/s], side pressure [MPa] and temperature from 20 degC to `field` follow `share` (m,) of time."""
    return service(b, times, share, omega, pressure, "x1", 20.0, field, (0.0, 0.5, -100.0))


def two_cycles(b: Body, field: np.ndarray) -> Loading:
    """Forty steps: up in 5, hold for 10, down in 5, twice, 0.1 s a step."""
    one = np.concatenate([np.linspace(0, 1, 6)[1:], np.ones(10), np.linspace(1, 0, 6)[1:]])
    return cycles(
        b, field, np.linspace(0.0, 4.0, 41), np.concatenate([[0.0], one, one]), 1.2e4, 60.0
    )


def ten_steps(b: Body) -> Loading:
    """Ten steps on [0, 2] s: rotation, pressure and a hot corner of 620 degC grow together."""
    field = 20 + 600 * np.exp(-4 * np.sum((b.mesh.points - [1.0, 0.5, 0.7]) ** 2, axis=1))
    times = np.linspace(0.0, 2.0, 11)
    return cycles(b, field, times, times / 2, 5.0e3, 40.0)


def reproduce(
    cells: int = 6, u: float = 1e-6, p: float = 1e-6, cubature: float = 3e-6
) -> dict[str, float]:
    """One history, reduced and followed again; which part of its error is basis, cubature (with gappy p) and gappy rule alone.

    Errors of u are relative at every step, those of p relative to its largest norm: the worst step counts.
    """
    b = cube(cells)
    loading = ten_steps(b)
    began = time.process_time()
    h = march(b, loading, loading.t, tol=1e-11)
    full = time.process_time() - began
    mu, points = np.zeros((len(h.t), 1)), b.points
    basis, dual = (
        pod(Snapshots(b.space, mu, h.u), tol=u)[0],
        pod(Snapshots(points, mu, h.p), tol=p)[0],
    )
    strain = b.strain(basis.modes)
    rule = ecm(
        compress_contributions(points, strain, unit(points, h.stress), 1e-8), points, cubature
    )
    chosen = np.concatenate([rule.elements, gappy_points(dual, rule.elements)])
    model, recover = weighted_model(basis, strain, b, chosen, rule.weights), gappy(dual, chosen)
    every = weighted_model(basis, strain, b, np.arange(points.n), points.product)
    began = time.process_time()
    answer = reduced_march(model, loading.reduce(basis, chosen, points), loading.t)
    online = time.process_time() - began
    exact = reduced_march(every, loading.reduce(basis, every.points, points), loading.t)

    def error_u(a: np.ndarray) -> float:
        return float((b.space.norm(h.u - basis.lift(a)) / b.space.norm(h.u)).max())

    def error_p(field: np.ndarray) -> float:
        return float(points.norm(h.p - field).max() / points.norm(h.p).max())

    return {
        "u_error": error_u(answer.u),
        "p_error": error_p(recover(answer.p)),
        "n_modes": basis.r,
        "n_p_modes": dual.r,
        "points": len(chosen),
        "point_fraction": len(chosen) / points.n,
        "u_error_basis": error_u(basis.coefficients(h.u)),
        "u_error_cubature": float(
            np.linalg.norm(answer.u - exact.u, axis=0).max() / np.linalg.norm(exact.u, axis=0).max()
        ),
        "p_error_basis": error_p(dual.lift(dual.coefficients(h.p))),
        "p_error_gappy": error_p(recover(h.p[chosen])),
        **{
            f"cubature_{name}": value
            for name, value in exactness(points, strain, unit(points, h.stress), rule).items()
        },
        "full_s": full,
        "online_s": online,
        "newton_iterations": int(h.iterations.sum()),
    }


def unseen(
    cells: int = 6, training: int = 12, held: int = 40, fields: int = 8, judges: int = 28, seed: int = 7, most: int = 6,
    tol_u: float = 1e-2, tol_p: float = 3e-2, out: str | None = None,
) -> dict[str, float]:  # fmt: skip
    """A model of `training` hot fields, calibrated on `held` others, followed under `fields` that neither has seen, two cycles each.

    The indicator is judged on these and on `judges` more: the steps of one field miss its quantile together, so that a coverage
    over eight fields is known to about 0.05 only.
    """
    b = cube(cells, HOT)
    return learnt(
        b,
        histories(b, training + held + fields + judges, seed),
        training,
        held,
        most,
        tol_u,
        tol_p,
        out,
        judges,
    )


def histories(b: Body, count: int, seed: int) -> list[tuple[Loading, History]]:
    """High-fidelity histories of two cycles under `count` random fields; field k depends on (seed, k) alone."""
    loadings = [two_cycles(b, hot_spot(b, np.random.default_rng([seed, k]))) for k in range(count)]
    return [(loading, march(b, loading, loading.t)) for loading in loadings]


def learnt(
    b: Body, runs: list[tuple[Loading, History]], training: int, held: int, most: int, tol_u: float, tol_p: float,
    out: str | None = None, judges: int = 0,
) -> dict[str, float]:  # fmt: skip
    """Train on the first runs, calibrate on the next `held`, judge on the rest; of the last `judges` the indicator alone."""
    model = train_solid(b, [h for _, h in runs[:training]], Tolerances())
    indicators, guards = calibrate_solid(
        b, model, runs[training : training + held], {"u": tol_u, "p": tol_p}, most
    )
    bare: list[Any] = []
    rich: list[Any] = []
    rows, shares, worst = [], [], None
    for number, (loading, h) in enumerate(runs[training + held :]):
        both, shown = (
            follow_with_and_without(b, model, loading, guards, (0,), most),
            number < len(runs) - training - held - judges,
        )
        if shown:
            shares.append(parts(b, model, loading, h, both[0][0]))
        for (answers, visits), table in zip(both, (bare, rich), strict=True):
            found = step_errors(b, answers, h)
            (e, d), sizes = found.T[:2], b.space.norm(h.u)
            own = e * sizes.max() / sizes
            rows.append(observe_run(number, answers, visits, found))
            if not shown:
                continue
            table.append((e.max(), d.max(), own.max(), sum(v.full for v in visits)))
            if table is rich and (worst is None or d.max() > worst[0]):
                worst = (d.max(), answers, visits, d, loading.t[1:])
    data, before, after = np.vstack(rows), np.array(bare), np.array(rich)
    seen = {
        name: trust(indicators[name], data[:, 1 + len(KINDS) :], data[:, 1 + KINDS.index(name)])
        for name in ("u", "p")
    }
    if out is not None and worst is not None:
        _pictures(Path(out), b, indicators["p"], *worst[1:])
    return {
        "unenriched_u_error": float(before[:, 0].max()),
        "unenriched_p_error": float(before[:, 1].max()),
        "unenriched_u_error_per_step": float(before[:, 2].max()),
        **{f"unseen_{name}_error": max(share[name] for share in shares) for name in shares[0]},
        "enriched_u_error": float(after[:, 0].max()),
        "enriched_p_error": float(after[:, 1].max()),
        "enriched_u_error_per_step": float(after[:, 2].max()),
        "hf_steps": int(after[:, 3].max()),
        "steps": 40,
        "indicator_log_correlation": seen["p"]["log_correlation"],
        "indicator_coverage": seen["p"]["coverage"],
        "indicator_log_correlation_u": seen["u"]["log_correlation"],
        "indicator_coverage_u": seen["u"]["coverage"],
        "training_fields": training,
        "calibration_fields": held,
        "unseen_fields": len(bare),
        "judging_fields": judges + len(bare),
        "unseen_points": len(model.model.points),
        "unseen_modes": model.basis.r,
    }


def parts(
    b: Body, model: SolidModel, loading: Loading, h: History, answers: list[RunState]
) -> dict[str, float]:
    """What a run without enrichment owes to each approximation, the worst step over the largest norm in the history: u and p
    outside their bases (u_basis, basis), displacements of the cubature less those of all points (cubature), p fitted to its
    true values at the chosen points (gappy)."""
    basis, dual, points = model.basis, model.p, b.points
    every = weighted_model(basis, model.strain, b, np.arange(points.n), points.product)
    exact = reduced_march(every, loading.reduce(basis, every.points, points), loading.t)
    found = np.column_stack([run.now.u for run in answers])

    def share(lack: np.ndarray, whole: np.ndarray) -> float:
        return float(lack.max() / whole.max())

    return {
        "u_basis": share(
            b.space.norm(h.u - basis.lift(basis.coefficients(h.u))), b.space.norm(h.u)
        ),
        "basis": share(points.norm(h.p - dual.lift(dual.coefficients(h.p))), points.norm(h.p)),
        "cubature": share(np.linalg.norm(found - exact.u, axis=0), b.space.norm(h.u)),
        "gappy": share(
            points.norm(h.p - model.model.dual("p", h.p[model.model.points])), points.norm(h.p)
        ),
    }


def _pictures(
    out: Path,
    b: Body,
    indicator: Indicator,
    runs: list[RunState],
    visits: list[RunStep],
    d: np.ndarray,
    t: np.ndarray,
) -> None:
    """The indicator against the true error over time, with the full steps marked."""
    from rom.plot.curves import indicator_plot

    out.mkdir(parents=True, exist_ok=True)
    features = np.array([run.features for run in runs])
    full = np.array([v.full for v in visits])
    indicator_plot(
        out / "indicator.png",
        t,
        d,
        upper=indicator.upper(features),
        middle=indicator.middle(features),
        full=full,
        ylabel="error of p over its largest norm",
    )


def main(
    cells: int = 6, training: int = 12, held: int = 40, fields: int = 8, judges: int = 28, seed: int = 7, most: int = 6,
    out: str | None = None,
) -> dict[str, Any]:  # fmt: skip
    """Reproduction of one history, then `fields` unseen temperature fields, and `judges` more for the indicator."""
    return reproduce(cells) | unseen(cells, training, held, fields, judges, seed, most, out=out)


if __name__ == "__main__":
    run(main, units={"full_s": "s CPU", "online_s": "s CPU"})
