"""A cooled blade that creeps: elastic root, elastoviscoplastic profile.

Its temperature fields are not parametrised. Rotation, gas pressure and temperature rise and
fall in cycles. A model learns from a few fields and follows unseen ones, watched by its error
indicator, with at most a few high-fidelity steps; full and reduced steps are timed side by
side on the same ranks. The industrial model is that of Casenave et al. (2020); its geometry
and coefficients are not public, these are our own.
"""

from __future__ import annotations

import logging
import os
import resource
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from rom.archive.nouns import load, save
from rom.bands import Indicator, trust
from rom.campaign import talk, ticker
from rom.cli.launch import run
from rom.cli.ship import ship_model
from rom.history import History
from rom.loading import Loading
from rom.mesh import Mesh
from rom.solids.calibration import (
    QUANTITIES,
    calibrate_solid,
    follow_with_and_without,
    join_observations,
    observe_run,
    step_errors,
)
from rom.solids.model import Tolerances
from rom.solids.runs import FollowedRun, Watch, follow
from rom.solids.training import train_solid
from rom.space import Space, euclidean
from solvers.blade_mesh import Blade, blade_mesh
from solvers.laws.elastic import Elastic
from solvers.laws.viscoplastic import Viscoplastic
from solvers.mandel import mises
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
RISING = [20, 600, 800, 1000]
ALLOY = Viscoplastic(
    E=[RISING, [2.0e11, 1.7e11, 1.5e11, 1.25e11]],
    nu=0.3,
    alpha=[[20, 900], [1.2e-5, 1.6e-5]],
    T_ref=450.0,
    rho=8200.0,
    K=[RISING, [9e8, 5e8, 2.5e8, 1.2e8]],
    n=[RISING, [30, 20, 12, 8]],
    C=[[20, 600, 1000], [1.5e11, 1.1e11, 5e10]],
    D=[[20, 1000], [600, 400]],
    R0=[RISING, [2.5e8, 1.4e8, 6e7, 2e7]],
)
CYCLE = np.array([1 / 3, 2 / 3, 1.0, 1.0, 1.0, 2 / 3, 1 / 3, 0.0])
STEP = 20.0  # s
COLD = 450.0  # degC
FULL_LOAD = 4  # step of a cycle that is drawn
FIRST_STEP = (0,)  # full in any case: no residual of p sees the elastic answer to new data


def blade(size: int = 4_200, cells: str = "hexahedron", comm: Any = None) -> Body:
    """About `size` nodes, three unknowns each; every rank holds its part."""
    whole = blade_mesh(size, Blade(), cells)
    mesh, numbers = partition(whole, comm)
    clamped_nodes = fixed_dofs(whole, "fixed")[::3] // 3
    clamped = np.flatnonzero(np.isin(numbers, clamped_nodes))
    fixed = (clamped[:, None] * 3 + np.arange(3)).ravel()
    return body(mesh, {"root": ROOT, "blade": ALLOY}, fixed, comm, numbers)


def temperature(x: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A field (n,) [degC] at points x: cold at the root, with one to three hot spots.

    Warmer along the span; the spots are on the profile.
    """
    shape = Blade()
    s = np.clip((x[:, 2] - shape.hub_radius) / shape.span, -0.3, 1.0)
    field = COLD + 300 * np.clip(s + 0.2, 0.0, None) * (1.4 - 0.6 * np.clip(s, 0.0, None))
    for _ in range(rng.integers(1, 4)):
        across = 0.4 * shape.chord * rng.uniform(-1, 1, 2)
        height = shape.hub_radius + shape.span * rng.uniform(0.15, 0.95)
        square = np.sum((x - np.array([*across, height])) ** 2, axis=1)
        peak = rng.uniform(60, 180)
        width = rng.uniform(0.15, 0.4) * shape.span
        field += peak * np.exp(-square / (2 * width**2))
    return np.asarray(field)


def cycle_loading(
    b: Body,
    field: np.ndarray,
    cycles: int = 1,
    *,
    omega: float = 1100.0,
    pressure: float = 4e5,
) -> Loading:
    """Eight steps of 20 s a cycle: all loads rise from cold, hold and fall.

    omega : rotation [rad/s]; pressure : of the gas [Pa]; field : (n,) [degC]
    """
    share = np.concatenate([[0.0], np.tile(CYCLE, cycles)])
    return service(b, STEP * np.arange(len(share)), share, omega, pressure, "gas", COLD, field)


def solve_history(b: Body, loading: Loading) -> tuple[History, float]:
    """The high-fidelity history and its CPU seconds a step."""
    start = time.process_time()
    history = march(b, loading, loading.t, tol=1e-7)
    return history, (time.process_time() - start) / len(history.t)


def read_or_solve(b: Body, loading: Loading, store: str | None, name: str) -> tuple[History, float]:
    """As `solve_history`, read from the folder `store` where it was solved before.

    One file a rank.
    """
    if store is None:
        return solve_history(b, loading)
    comm = b.space.comm
    rank, ranks = (0, 1) if comm is None else (comm.Get_rank(), comm.Get_size())
    path = Path(store) / f"{name}.{rank}of{ranks}.h5"
    if min(talk(comm, path.is_file())):
        history, cost = load(path)
        return history, cost
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(f".{os.getpid()}.part")
    history, cost = solve_history(b, loading)
    save(part, (history, cost))
    part.replace(path)
    return history, cost


@dataclass(frozen=True)
class Fields:
    """A series of temperature fields, each of which depends on (seed, number) alone.

    store : folder that keeps the histories under `name`, or None
    """

    seed: int
    cycles: int
    store: str | None
    name: str

    def histories(
        self, b: Body, numbers: range
    ) -> tuple[list[tuple[Loading, History]], list[float]]:
        """Histories under some of the fields, and their CPU seconds a step."""
        runs, costs = [], []
        first_rank = b.space.comm is None or b.space.comm.Get_rank() == 0
        with ticker(len(numbers), first_rank, None) as tick:
            for count, k in enumerate(numbers, 1):
                field = temperature(b.mesh.points, np.random.default_rng([self.seed, k]))
                loading = cycle_loading(b, field, self.cycles)
                history, cost = read_or_solve(b, loading, self.store, f"{self.name}-{k}")
                runs.append((loading, history))
                costs.append(cost)
                tick(count)
        return runs, costs


def agree(indicators: Mapping[str, Indicator], comm: Any) -> dict[str, Indicator]:
    """Indicators with the numbers of the first rank, so that all ranks decide alike."""
    agreed = {}
    for name, indicator in indicators.items():
        own = [indicator.coefficients.tolist(), indicator.shift]
        coefficients, shift = talk(comm, own)[0]
        agreed[name] = replace(indicator, coefficients=np.array(coefficients), shift=shift)
    return agreed


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
    """Train on some fields, calibrate on `held` others, follow `fields` unseen ones.

    The first step is full, then those whose errors of u, p or stress the indicator puts above
    `aim`, at most `most` in all.

    calibrate : nodes of the mesh on which, every rank for itself, a model of the same training
        fields meets the held ones, where `size` is larger: residuals and errors are relative,
        and what relates them is the law and the fields
    store : a folder that keeps the histories, so that a run that was stopped goes on
    Seconds are CPU seconds of the first rank, a step; rom_seconds are of reduced steps alone,
    with all dual fields at the points.
    """
    b, tols = blade(size, cells, comm), Tolerances(tol, tol, tol, tol)
    series = Fields(seed, cycles, store, f"{cells}-{size}-{cycles}-{seed}")
    runs, costs = series.histories(b, range(training + fields))
    start = time.process_time()
    model = train_solid(b, [h for _, h in runs[:training]], tols)
    training_seconds = time.process_time() - start
    small, pupil = b, model
    if calibrate < size:
        small = blade(calibrate, cells)
        series = replace(series, name=f"{cells}-{calibrate}-{cycles}-{seed}")
        lessons, _ = series.histories(small, range(training))
        pupil = train_solid(small, [h for _, h in lessons], tols)
    left_out, _ = series.histories(small, range(training + fields, training + fields + held))
    aims = dict.fromkeys(QUANTITIES, aim)
    indicators, watch = calibrate_solid(small, pupil, left_out, aims, max_full_steps=most)
    indicators = agree(indicators, comm)
    watch = Watch(agree(watch.indicators, comm), aims)
    largest = max(max(talk(comm, float(h.p.max()))) for _, h in runs)
    bare, rich, steps, observations = [], [], [], []
    for number, (loading, h) in enumerate(runs[training:]):
        start = time.process_time()
        follow(model, b, loading)
        steps.append((time.process_time() - start) / len(h.t))
        without, enriched = follow_with_and_without(
            b, model, loading, watch, full_steps=FIRST_STEP, max_full_steps=most
        )
        errors = step_errors(b, without.states, h)
        bare.append(errors)
        observations.append(observe_run(number, without, errors))
        errors = step_errors(b, enriched.states, h)
        rich.append((enriched, errors))
        observations.append(observe_run(number, enriched, errors))
        reasons = [step.reason for step in enriched.steps]
        log.info("field %d: full steps %s; %s", number, full_steps(enriched), reasons)
    data = join_observations(observations)
    trusted = trust(indicators["p"], data.features, data.error("p"))
    last, last_errors = rich[-1]
    if out is not None:
        _pictures(Path(out), b, last, last_errors, indicators["p"])
        if comm is None:
            loading = runs[training][0]
            ship_model(out, model, "solvers.laws", mesh=b.mesh, loading=loading)
    full = [full_steps(enriched) for enriched, _ in rich]
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {
        "dofs": b.space.size,
        "ranks": 1 if comm is None else comm.Get_size(),
        "hf_seconds": float(np.mean(costs)),
        "rom_seconds": float(np.mean(steps)),
        "speedup": float(np.mean(costs) / np.mean(steps)),
        **worst_rows("", [errors for _, errors in rich]),
        "hf_steps": max(len(numbers) for numbers in full),
        "full_steps": "; ".join(",".join(map(str, numbers)) for numbers in full),
        "steps": len(last.steps),
        "points": last.steps[-1].points,
        "all_points": int(b.space.sum(np.array([float(b.points.n)]))[0]),
        "modes": last.steps[-1].modes,
        **worst_rows("unenriched_", bare),
        "indicator_coverage": trusted["coverage"],
        "indicator_log_correlation": trusted["log_correlation"],
        "training_seconds": training_seconds,
        "calibration_dofs": small.space.size,
        "largest_p": largest,
        "peak_rss_mb": max(talk(comm, peak)),
    }


def full_steps(run: FollowedRun) -> list[int]:
    """Numbers of the full steps of a run."""
    return [k for k, step in enumerate(run.steps) if step.full]


def worst_rows(name: str, errors: Sequence[np.ndarray]) -> dict[str, float]:
    """The largest errors of u, p and stress of all runs, from (m, 3) each."""
    worst = np.max([each.max(axis=0) for each in errors], axis=0).tolist()
    return {f"{name}{each}_error": value for each, value in zip(QUANTITIES, worst, strict=True)}


def _pictures(
    out: Path, b: Body, run: FollowedRun, errors: np.ndarray, indicator: Indicator
) -> None:
    """The blade at full load, its chosen points, and the indicator over time.

    blade.png : p and von Mises stress on the deformed blade; points.png : the cells that hold
    chosen points; indicator.png : of p, against its true error. Rank 0 draws what all give.
    """
    from rom.plot.pictures import picture

    state = run.states[min(FULL_LOAD, len(run.states) - 1)]
    corners = np.concatenate([p.cells for p in b.patches])
    nodes = b.space.numbers[::3] // 3
    all_nodes = Space(np.ones(len(nodes)), nodes, b.space.comm)
    p = _nodal(b, all_nodes, state.p())
    stress = _nodal(b, all_nodes, mises(state.stress()))
    u = b.space.gather(state.u()).reshape(-1, 3)
    points = all_nodes.gather(b.mesh.points)
    all_cells = euclidean(len(corners), None)
    if b.space.comm is not None:
        all_cells = _cells(b, len(corners))
    cells = all_cells.gather(nodes[corners].astype(float)).astype(np.int64)
    chosen = np.isin(b.points.numbers, state.trained.model.points)
    in_cell = chosen.reshape(len(corners), b.points.n // len(corners)).sum(axis=1)
    count = all_cells.gather(in_cell.astype(float)).astype(int)
    if b.space.comm is not None and b.space.comm.Get_rank():
        return
    out.mkdir(parents=True, exist_ok=True)
    whole = Mesh(points, {b.kinds[0]: cells})
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
    _indicator_picture(out / "indicator.png", run, errors, indicator)


def _indicator_picture(
    path: Path, run: FollowedRun, errors: np.ndarray, indicator: Indicator
) -> None:
    from rom.plot.curves import indicator_plot

    features = np.array([state.features for state in run.states])
    indicator_plot(
        path,
        run.states[0].loading.t[1:],
        errors[:, QUANTITIES.index("p")],
        upper=indicator.upper(features),
        middle=indicator.middle(features),
        full=np.array([step.full for step in run.steps]),
        ylabel="error of p over its largest norm",
    )


def _nodal(b: Body, nodes: Space, field: np.ndarray) -> np.ndarray:
    """A field (g,) at points of integration as values at all nodes, by weighted means."""
    weights = nodes.whole(b.values.T @ b.points.product)
    values = nodes.whole(b.values.T @ (b.points.product * field))
    return np.asarray(nodes.gather(values / weights))


def _cells(b: Body, mine: int) -> Space:
    """The cells of all ranks, rank after rank."""
    before = sum(b.space.comm.allgather(mine)[: b.space.comm.Get_rank()])
    return euclidean(before + np.arange(mine), b.space.comm)


if __name__ == "__main__":
    run(
        main,
        units={"hf_seconds": "s CPU a step", "rom_seconds": "s CPU a step", "peak_rss_mb": "MB"},
    )
