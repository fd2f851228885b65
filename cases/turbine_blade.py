"""A cooled blade that creeps: elastic root, elastoviscoplastic profile, temperature fields that nobody parametrised.

Rotation, gas pressure and temperature rise and fall in cycles. A model learns from a few fields and follows unseen ones, watched by
its error indicator, with at most a few high-fidelity steps; full and reduced steps are timed side by side on the same ranks.
The industrial model is that of Casenave et al. (2020); its geometry and coefficients are not public, these are our own.
"""

from __future__ import annotations

import resource
import time
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from rom.cli import run
from rom.collect.archive import load, save
from rom.collect.store import talk
from rom.history import History, State, history
from rom.hyper import Course, Tolerances, followed, train
from rom.loading import Loading
from rom.mesh import Mesh
from solvers.blade_mesh import Blade, blade_mesh
from solvers.laws import Elastic, Viscoplastic
from solvers.partition import partition
from solvers.service import service
from solvers.solid import Body, body, virgin
from solvers.thermoelastic import fixed_dofs

# Pa, m, s, degC, kg/m3
ROOT = Elastic(
    E=[[20, 600, 900], [2.05e11, 1.75e11, 1.5e11]], nu=0.3, alpha=[[20, 900], [1.2e-5, 1.5e-5]], T_ref=450.0, rho=8200.0
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
        mesh, {"root": ROOT, "blade": ALLOY}, (np.flatnonzero(clamped)[:, None] * 3 + np.arange(3)).ravel(), comm, numbers
    )


def temperature(x: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A field (n,) [degC] at points x: warmer along the span, cold at the root, and one to three random hot spots on the profile."""
    shape = Blade()
    s = np.clip((x[:, 2] - shape.hub_radius) / shape.span, -0.3, 1.0)
    field = 450 + 300 * np.clip(s + 0.2, 0.0, None) * (1.4 - 0.6 * np.clip(s, 0.0, None))
    for _ in range(rng.integers(1, 4)):
        centre = np.array([*(0.4 * shape.chord * rng.uniform(-1, 1, 2)), shape.hub_radius + shape.span * rng.uniform(0.15, 0.95)])
        field += rng.uniform(60, 180) * np.exp(
            -np.sum((x - centre) ** 2, axis=1) / (2 * (rng.uniform(0.15, 0.4) * shape.span) ** 2)
        )
    return field


def cycled(b: Body, field: np.ndarray, cycles: int = 1, omega: float = 1100.0, pressure: float = 4e5) -> Loading:
    """Eight steps of 20 s a cycle: rotation [rad/s], pressure of the gas [Pa] and the field rise from 450 degC, hold and fall."""
    share = np.concatenate([[0.0], np.tile(CYCLE, cycles)])
    return service(b, 20.0 * np.arange(len(share)), share, omega, pressure, "gas", 450.0, field)


def solved(b: Body, loading: Loading) -> tuple[History, float]:
    """The high-fidelity history and its CPU seconds a step."""
    began, now, states, counts = time.process_time(), virgin(b), [], []
    for t0, t1 in pairwise(loading.t):
        now, count = b.step(loading, float(t0), float(t1), now, tol=1e-7)
        states.append(State(now.u, now.stress, now.state))
        counts.append(count)
    return history(loading.t[1:], states, counts), (time.process_time() - began) / len(counts)


def kept(b: Body, loading: Loading, store: str | None, name: str) -> tuple[History, float]:
    """The history of `solved`, read from the folder `store` where it was solved before, one file a rank."""
    if store is None:
        return solved(b, loading)
    rank, ranks = (0, 1) if b.space.comm is None else (b.space.comm.Get_rank(), b.space.comm.Get_size())
    path = Path(store) / f"{name}.{rank}of{ranks}.h5"
    if min(talk(b.space.comm, path.is_file())):
        return load(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    found = solved(b, loading)
    save(path, found)
    return found


def compared(b: Body, courses: list[Course], h: History) -> tuple[float, float, float]:
    """Largest errors of u, p and stress over the steps, each over the largest norm of its history."""
    weights = np.sqrt(np.repeat(b.points.product, 6))

    def size(stress: np.ndarray) -> float:
        return float(np.sqrt(b.space.sum(np.array([np.sum((weights * stress.ravel()) ** 2)]))[0]))

    u, p, s = (np.array(x) for x in zip(*[
        (b.space.norm(c.u() - h.u[:, k]), b.points.norm(c.p() - h.p[:, k]), size(c.stress() - h.stress[..., k]))
        for k, c in enumerate(courses)
    ], strict=True))  # fmt: skip
    stress = max(size(h.stress[..., k]) for k in range(len(h.t)))
    return float(u.max() / b.space.norm(h.u).max()), float(p.max() / b.points.norm(h.p).max()), float(s.max() / stress)


def main(
    size: int = 4_200,
    training: int = 4,
    fields: int = 1,
    cycles: int = 1,
    cells: str = "hexahedron",
    most: int = 4,
    seed: int = 3,
    tol: float = 2e-3,
    out: str | None = None,
    store: str | None = None,
    comm: Any = None,
) -> dict[str, Any]:
    """Train on `training` fields, follow `fields` unseen ones with `most` full steps: the first, and those in which
    plastic strain first flows at full load (0, 2, 3, 4).

    store : a folder that keeps the histories, so that a run that was stopped goes on. Seconds are CPU seconds of the first rank, a step; rom_seconds are of reduced steps alone, with all dual fields at the points.
    """
    b = blade(size, cells, comm)
    x = b.mesh.points
    loadings = [cycled(b, temperature(x, np.random.default_rng([seed, k])), cycles) for k in range(training + fields)]
    histories, costs = zip(
        *[kept(b, x, store, f"{cells}-{size}-{cycles}-{seed}-{k}") for k, x in enumerate(loadings)], strict=True
    )
    began = time.process_time()
    model = train(b, list(histories[:training]), Tolerances(tol, tol, tol, tol))
    trained = time.process_time() - began
    bare, rich, steps = [], [], []
    for loading, h in zip(loadings[training:], histories[training:], strict=True):
        began = time.process_time()
        plain, _ = followed(model, b, loading)
        steps.append((time.process_time() - began) / len(h.t))
        bare.append(compared(b, plain, h))
        courses, visits = followed(model, b, loading, {}, (0, 2, 3, 4)[:most], most)
        rich.append(compared(b, courses, h))
    worst, plainly = np.max(rich, axis=0), np.max(bare, axis=0)
    if out is not None and (comm is None or comm.Get_size() == 1):
        _pictures(Path(out), b, courses[min(4, len(courses) - 1)])
    return {
        "dofs": b.space.size,
        "ranks": 1 if comm is None else comm.Get_size(),
        "hf_seconds": float(np.mean(costs)),
        "rom_seconds": float(np.mean(steps)),
        "speedup": float(np.mean(costs) / np.mean(steps)),
        "u_error": worst[0],
        "p_error": worst[1],
        "stress_error": worst[2],
        "hf_steps": sum(v.full for v in visits),
        "steps": len(visits),
        "points": len(courses[-1].trained.model.points),
        "all_points": int(b.space.sum(np.array([float(b.points.n)]))[0]),
        "modes": courses[-1].trained.basis.r,
        "unenriched_u_error": plainly[0],
        "unenriched_p_error": plainly[1],
        "unenriched_stress_error": plainly[2],
        "training_seconds": trained,
        "largest_p": float(max(h.p.max() for h in histories)),
        "peak_rss_mb": max(x for part in talk(comm, [resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024]) for x in part),
    }


def _pictures(out: Path, b: Body, course: Course) -> None:
    """p and von Mises stress on the deformed blade at full load, and the cells that hold chosen points."""
    from rom.export.pictures import picture
    from solvers.laws import mises

    out.mkdir(parents=True, exist_ok=True)
    weights = b.values.T @ b.points.product

    def nodal(field: np.ndarray) -> np.ndarray:
        return (b.values.T @ (b.points.product * field)) / weights

    fields = {"p": (100 * np.maximum(nodal(course.p()), 0.0), "%"), "von Mises": (1e-6 * nodal(mises(course.stress())), "MPa")}
    picture(out / "blade.png", b.mesh, fields, warp=course.u().reshape(-1, 3), scale=20.0, view="iso", title="")
    chosen = np.zeros(b.points.n)
    chosen[course.trained.model.points] = 1.0
    cells = np.concatenate([p.cells for p in b.patches])
    count = chosen.reshape(len(cells), -1).sum(axis=1)
    picture(
        out / "points.png", Mesh(b.mesh.points, {b.kinds[0]: cells}), {}, {"chosen points in the cell": (count, "1")}, view="iso"
    )


if __name__ == "__main__":
    run(main, units={"hf_seconds": "s CPU a step", "rom_seconds": "s CPU a step", "peak_rss_mb": "MB"})
