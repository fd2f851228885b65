"""A cooled blade that creeps: elastic root, elastoviscoplastic profile, temperature fields that nobody parametrised.

Rotation, gas pressure and temperature rise and fall in cycles. A model learns from a few fields and follows unseen ones, watched by
its error indicator, with at most a few high-fidelity steps; full and reduced steps are timed side by side on the same ranks.
The industrial model is that of Casenave et al. (2020); its geometry and coefficients are not public, these are our own.
"""

from __future__ import annotations

import logging
import os
import resource
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from rom.archive.nouns import load, save
from rom.bands import Indicator, trust
from rom.campaign import talk, ticker
from rom.cli.launch import run
from rom.history import History
from rom.loading import Loading
from rom.mesh import Mesh
from rom.solids.adaptive import RunStep
from rom.solids.calibration import (
    KINDS,
    calibrate_solid,
    follow_with_and_without,
    observe_run,
    step_errors,
)
from rom.solids.training import RunState, Tolerances, follow, train_solid
from rom.space import Space, euclidean
from solvers.blade_mesh import Blade, blade_mesh
from solvers.laws import Elastic, Viscoplastic
from solvers.partition import partition
from solvers.service import service
from solvers.solid import Body, body, march
from solvers.thermoelastic import fixed_dofs

log = logging.getLogger("rom")

# Pa, m, s, degC, kg/m3
ROOT = Elastic(
    E=[[20, 600, 900], [2.05e11, 1.75e11, 1.5e11]],
    nu=0.3,
    alpha=[[20, 900], [1.2e-5, 1.5e-5]],
    T_ref=450.0,
    rho=8200.0,
)
ALLOY = Viscoplastic(
    E=[[20, 600, 800, 1000], [2.0e11, 1.7e11, 1.5e11, 1.25e11]], nu=0.3, alpha=[[20, 900], [1.2e-5, 1.6e-5]], T_ref=450.0,
    rho=8200.0, K=[[20, 600, 800, 1000], [9e8, 5e8, 2.5e8, 1.2e8]], n=[[20, 600, 800, 1000], [30, 20, 12, 8]],
    C=[[20, 600, 1000], [1.5e11, 1.1e11, 5e10]], D=[[20, 1000], [600, 400]], R0=[[20, 600, 800, 1000], [2.5e8, 1.4e8, 6e7, 2e7]],
)  # fmt: skip
CYCLE = np.array([1 / 3, 2 / 3, 1.0, 1.0, 1.0, 2 / 3, 1 / 3, 0.0])


def blade(size: int = 4_200, cells: str = "hexahedron", comm: Any = None) -> Body:
    """About `size` nodes, three unknowns each; every rank holds its part."""
    whole = blade_mesh(size, Blade(), cells)
    mesh, numbers = partition(whole, comm)
    clamped = np.isin(numbers, fixed_dofs(whole, "fixed")[::3] // 3)
    return body(
        mesh,
        {"root": ROOT, "blade": ALLOY},
        (np.flatnonzero(clamped)[:, None] * 3 + np.arange(3)).ravel(),
        comm,
        numbers,
    )


def temperature(x: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A field (n,) [degC] at points x: warmer along the span, cold at the root, and one to three random hot spots on the profile."""
    shape = Blade()
    s = np.clip((x[:, 2] - shape.hub_radius) / shape.span, -0.3, 1.0)
    field = 450 + 300 * np.clip(s + 0.2, 0.0, None) * (1.4 - 0.6 * np.clip(s, 0.0, None))
    for _ in range(rng.integers(1, 4)):
        centre = np.array(
            [
                *(0.4 * shape.chord * rng.uniform(-1, 1, 2)),
                shape.hub_radius + shape.span * rng.uniform(0.15, 0.95),
            ]
        )
        field += rng.uniform(60, 180) * np.exp(
            -np.sum((x - centre) ** 2, axis=1) / (2 * (rng.uniform(0.15, 0.4) * shape.span) ** 2)
        )
    return field


def cycled(
    b: Body, field: np.ndarray, cycles: int = 1, omega: float = 1100.0, pressure: float = 4e5
) -> Loading:
    """Eight steps of 20 s a cycle: rotation [rad/s], pressure of the gas [Pa] and the field rise from 450 degC, hold and fall."""
    share = np.concatenate([[0.0], np.tile(CYCLE, cycles)])
    return service(b, 20.0 * np.arange(len(share)), share, omega, pressure, "gas", 450.0, field)


def solved(b: Body, loading: Loading) -> tuple[History, float]:
    """The high-fidelity history and its CPU seconds a step."""
    began = time.process_time()
    found = march(b, loading, loading.t, tol=1e-7)
    return found, (time.process_time() - began) / len(found.t)


def kept(b: Body, loading: Loading, store: str | None, name: str) -> tuple[History, float]:
    """The history of `solved`, read from the folder `store` where it was solved before, one file a rank."""
    if store is None:
        return solved(b, loading)
    rank, ranks = (
        (0, 1) if b.space.comm is None else (b.space.comm.Get_rank(), b.space.comm.Get_size())
    )
    path = Path(store) / f"{name}.{rank}of{ranks}.h5"
    if min(talk(b.space.comm, path.is_file())):
        return load(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    found, part = solved(b, loading), path.with_suffix(f".{os.getpid()}.part")
    save(part, found)
    part.replace(path)
    return found


def under(
    b: Body, numbers: range, seed: int, cycles: int, store: str | None, name: str
) -> tuple[list[tuple[Loading, History]], list[float]]:
    """Histories under the fields `numbers`, each of which depends on (seed, number) alone, and their CPU seconds a step."""
    runs, costs = [], []
    with ticker(len(numbers), b.space.comm is None or b.space.comm.Get_rank() == 0, None) as tick:
        for done, k in enumerate(numbers, 1):
            loading = cycled(
                b, temperature(b.mesh.points, np.random.default_rng([seed, k])), cycles
            )
            h, cost = kept(b, loading, store, f"{name}-{k}")
            runs.append((loading, h))
            costs.append(cost)
            tick(done)
    return runs, costs


def agreed(found: dict[str, Any], comm: Any) -> dict[str, Any]:
    """Indicators, alone or with their tolerances, with the numbers of the first rank, so that all ranks decide alike."""
    made = {}
    for name, value in found.items():
        indicator, *rest = value if isinstance(value, tuple) else (value,)
        coefficients, shift = talk(comm, [indicator.coefficients.tolist(), indicator.shift])[0]
        indicator = replace(indicator, coefficients=np.array(coefficients), shift=shift)
        made[name] = (indicator, *rest) if rest else indicator
    return made


def main(
    size: int = 4_200,
    training: int = 8,
    held: int = 6,
    fields: int = 2,
    cycles: int = 1,
    cells: str = "hexahedron",
    most: int = 5,
    calibrate: int = 4_200,
    seed: int = 3,
    tol: float = 1e-3,
    aim: float = 2e-2,
    out: str | None = None,
    store: str | None = None,
    comm: Any = None,
) -> dict[str, Any]:
    """Train on `training` fields, calibrate on `held` others, follow `fields` unseen ones: the first step is full, then those whose
    errors of u, p or stress the indicator puts above `aim`, at most `most` in all.

    calibrate : nodes of the mesh on which, every rank for itself, a model of the same training fields meets the held ones, where `size` is larger: residuals and
    errors are relative, and what relates them is the law and the fields. store : a folder that keeps the histories, so that a run that was stopped goes on.
    Seconds are CPU seconds of the first rank, a step; rom_seconds are of reduced steps alone, with all dual fields at the points.
    """
    b, tols = blade(size, cells, comm), Tolerances(tol, tol, tol, tol)
    keep = (store, f"{cells}-{size}-{cycles}-{seed}")
    runs, costs = under(b, range(training + fields), seed, cycles, *keep)
    began = time.process_time()
    model = train_solid(b, [h for _, h in runs[:training]], tols)
    trained = time.process_time() - began
    c, pupil, known = b, model, range(training + fields, training + fields + held)
    if calibrate < size:
        c, keep = blade(calibrate, cells), (store, f"{cells}-{calibrate}-{cycles}-{seed}")
        pupil = train_solid(
            c, [h for _, h in under(c, range(training), seed, cycles, *keep)[0]], tols
        )
    learnt = calibrate_solid(
        c, pupil, under(c, known, seed, cycles, *keep)[0], dict.fromkeys(KINDS, aim), most
    )
    indicators, guards = (agreed(part, comm) for part in learnt)
    largest = max(max(talk(comm, float(h.p.max()))) for _, h in runs)
    bare: list[np.ndarray] = []
    rich: list[np.ndarray] = []
    steps, full, rows = [], [], []
    for number, (loading, h) in enumerate(runs[training:]):
        began = time.process_time()
        follow(model, b, loading)
        steps.append((time.process_time() - began) / len(h.t))
        for (courses, visits), table in zip(
            follow_with_and_without(b, model, loading, guards, (0,), most),
            (bare, rich),
            strict=True,
        ):
            found = step_errors(b, courses, h)
            table.append(found.max(axis=0))
            rows.append(observe_run(number, courses, visits, found))
        full.append([k for k, v in enumerate(visits) if v.full])
        log.info("field %d: full steps %s; %s", number, full[-1], [v.reason for v in visits])
    worst, plainly, data = np.max(rich, axis=0), np.max(bare, axis=0), np.vstack(rows)
    seen = trust(indicators["p"], data[:, 1 + len(KINDS) :], data[:, 1 + KINDS.index("p")])
    if out is not None:
        _pictures(Path(out), b, courses, visits, found, indicators)
    return {
        "dofs": b.space.size,
        "ranks": 1 if comm is None else comm.Get_size(),
        "hf_seconds": float(np.mean(costs)),
        "rom_seconds": float(np.mean(steps)),
        "speedup": float(np.mean(costs) / np.mean(steps)),
        "u_error": float(worst[0]),
        "p_error": float(worst[1]),
        "stress_error": float(worst[2]),
        "hf_steps": max(len(steps) for steps in full),
        "full_steps": "; ".join(",".join(map(str, steps)) for steps in full),
        "steps": len(visits),
        "points": len(courses[-1].trained.model.points),
        "all_points": int(b.space.sum(np.array([float(b.points.n)]))[0]),
        "modes": courses[-1].trained.basis.r,
        "unenriched_u_error": float(plainly[0]),
        "unenriched_p_error": float(plainly[1]),
        "unenriched_stress_error": float(plainly[2]),
        "indicator_coverage": seen["coverage"],
        "indicator_log_correlation": seen["log_correlation"],
        "training_seconds": trained,
        "calibration_dofs": c.space.size,
        "largest_p": largest,
        "peak_rss_mb": max(talk(comm, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)),
    }


def _pictures(
    out: Path,
    b: Body,
    courses: list[RunState],
    visits: list[RunStep],
    found: np.ndarray,
    indicators: dict[str, Indicator],
) -> None:
    """p and von Mises stress on the deformed blade at full load, the cells that hold chosen points, and the indicator of p against
    its true error over time; rank 0 draws what all ranks give."""
    from rom.plot.curves import indicator_plot
    from rom.plot.pictures import picture
    from solvers.laws import mises

    course = courses[min(4, len(courses) - 1)]
    corners, mesh = np.concatenate([p.cells for p in b.patches]), b.mesh.points
    per = b.points.n // len(corners)
    chosen = (
        np.isin(b.points.numbers, course.trained.model.points)
        .reshape(len(corners), per)
        .sum(axis=1)
    )
    nodes = b.space.numbers[::3] // 3
    alike = Space(np.ones(len(nodes)), nodes, b.space.comm)
    weights = alike.whole(b.values.T @ b.points.product)

    def nodal(field: np.ndarray) -> np.ndarray:
        return alike.gather(alike.whole(b.values.T @ (b.points.product * field)) / weights)

    p, stress, u = (
        nodal(course.p()),
        nodal(mises(course.stress())),
        b.space.gather(course.u()).reshape(-1, 3),
    )
    points = alike.gather(mesh)
    everyone = euclidean(len(corners), None) if b.space.comm is None else _cells(b, len(corners))
    whole = Mesh(
        points, {b.kinds[0]: everyone.gather(nodes[corners].astype(float)).astype(np.int64)}
    )
    count = everyone.gather(chosen.astype(float)).astype(int)
    if b.space.comm is not None and b.space.comm.Get_rank():
        return
    out.mkdir(parents=True, exist_ok=True)
    fields = {"p": (100 * np.maximum(p, 0.0), "%"), "von Mises": (1e-6 * stress, "MPa")}
    picture(
        out / "blade.png",
        whole,
        fields,
        warp=u,
        scale=20.0,
        view="iso",
        title="displacements 20 times enlarged",
    )
    picture(out / "points.png", whole, {}, {"chosen points in the cell": (count, "-")}, view="iso")
    features, full = np.array([run.features for run in courses]), np.array([v.full for v in visits])
    indicator, label = indicators["p"], "error of p over its largest norm"
    upper, middle = indicator.upper(features), indicator.middle(features)
    indicator_plot(
        out / "indicator.png",
        courses[0].loading.t[1:],
        found[:, KINDS.index("p")],
        upper,
        middle,
        full,
        label,
    )


def _cells(b: Body, mine: int) -> Space:
    """The cells of all ranks, rank after rank."""
    before = sum(b.space.comm.allgather(mine)[: b.space.comm.Get_rank()])
    return euclidean(before + np.arange(mine), b.space.comm)


if __name__ == "__main__":
    run(
        main,
        units={"hf_seconds": "s CPU a step", "rom_seconds": "s CPU a step", "peak_rss_mb": "MB"},
    )
