"""Elastoviscoplastic plates in tension that all differ: MMGP with a plastic front.

Holes and outlines differ, every mesh is its own. A quarter of a plate, by its two symmetries, 1 x
1.5 [mm]: an elliptic hole at the corner, a waist x = 1 - d exp(-(y/s)^2) on the right, traction on
top. Plane strain, an Armstrong-Frederick law with viscosity (solvers.laws). Scalars: traction,
yield stress, hardening.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from rom.archive.nouns import load, save
from rom.cli.launch import run
from rom.cli.ship import ship_model
from rom.design.designs import sobol
from rom.errors import MissingExtra
from rom.loading import Loading
from rom.mesh import Mesh
from rom.parameters import Box
from rom.plot.shapes import shape_pictures
from rom.shapes import Radial, Reduction, Sample, ShapeModel, shape_model
from rom.shapes.answers import SCORE
from rom.study.metrics import field_coverage, q2, rrmse
from solvers.laws.viscoplastic import Viscoplastic
from solvers.solid import Body, body, march, push

SIDES = ("bottom", "right", "top", "left", "hole")
MORPH = Radial(curves=SIDES, radius=0.8)
NAMES, UNITS = (
    ("log traction", "log traction over yield", "log hardening"),
    ("log MPa", "1", "log MPa"),
)
BOX = Box(
    ("depth", "spread", "a", "b", "traction", "yield", "hardening"),
    np.array([0.05, 0.3, 0.2, 0.2, 60.0, 110.0, 2e4]),
    np.array([0.25, 0.7, 0.4, 0.5, 90.0, 150.0, 5e4]),
    ("mm", "mm", "mm", "mm", "MPa", "MPa", "MPa"),
)
TIMES = np.linspace(0.0, 1.0, 5)


@contextmanager
def mesher(seed: int) -> Iterator[Any]:
    """A gmsh session, quiet and repeatable."""
    try:
        import gmsh
    except (ImportError, OSError) as error:
        raise MissingExtra(
            f"plates are meshed with gmsh ({error}); run: pip install 'rom-platform[fem]'"
        ) from error
    gmsh.initialize(["-noenv"], readConfigFiles=False, interruptible=False)
    try:
        for name, value in (
            ("General.Terminal", 0),
            ("General.NumThreads", 1),
            ("Mesh.Algorithm", 6),
            ("Mesh.RandomSeed", seed),
        ):
            gmsh.option.setNumber(name, value)
        yield gmsh
    finally:
        gmsh.finalize()


def plate(
    depth: float,
    spread: float,
    a: float,
    b: float,
    h: float = 0.1,
    wedge: float = 0.0,
    seed: int = 1,
) -> Mesh:
    """The quarter plate in six-node triangles of width h, h/2 at the hole.

    wedge : sharpens the hole towards a rhombus
    """
    t = np.linspace(0, np.pi / 2, 41)
    arc = (
        np.column_stack([a * np.cos(t), b * np.sin(t)])
        * ((np.cos(t) + np.sin(t)) ** -wedge)[:, None]
    )
    y = np.linspace(0, 1.5, 41)
    side = np.column_stack([1 - depth * np.exp(-((y / spread) ** 2)), y])
    with mesher(seed) as gmsh:
        geo = gmsh.model.geo
        rim = [geo.addPoint(*p, 0, h / 2) for p in arc]
        edge = [geo.addPoint(*p, 0, h) for p in side]
        corner = geo.addPoint(0, 1.5, 0, h)
        curves = {
            "bottom": geo.addLine(rim[0], edge[0]),
            "right": geo.addSpline(edge),
            "top": geo.addLine(edge[-1], corner),
            "left": geo.addLine(corner, rim[-1]),
            "hole": geo.addSpline(rim[::-1]),
        }
        geo.addPlaneSurface([geo.addCurveLoop(list(curves.values()))])
        geo.synchronize()
        gmsh.model.mesh.generate(2)
        gmsh.model.mesh.setOrder(2)
        tags, x, _ = gmsh.model.mesh.getNodes()
        number = np.zeros(int(tags.max()) + 1, dtype=np.int64)
        number[tags.astype(int)] = np.arange(len(tags))
        cells = number[
            np.asarray(gmsh.model.mesh.getElementsByType(9)[1], dtype=int).reshape(-1, 6)
        ]
        lines, regions, first = [], {}, 0
        for name, tag in curves.items():
            nodes_of_side = number[
                np.asarray(gmsh.model.mesh.getElementsByType(8, tag)[1], dtype=int).reshape(-1, 3)
            ]
            lines.append(nodes_of_side)
            regions[name] = {"line3": np.arange(first, first + len(nodes_of_side))}
            first += len(nodes_of_side)
    points = x.reshape(-1, 3)[:, :2]
    keep = np.unique(cells)
    fresh = np.zeros(len(points), dtype=np.int64)
    fresh[keep] = np.arange(len(keep))
    return Mesh(
        points[keep],
        {"triangle6": fresh[cells], "line3": fresh[np.vstack(lines)]},
        regions,
        unit="mm",
    )


def nodal(b: Body, values: np.ndarray) -> np.ndarray:
    """Values (g, c) at the three points of six-node triangles, at the nodes (n, c).

    Continued linearly to the nodes and averaged there.
    """
    cells = b.mesh.cells["triangle6"]
    bary = np.array([[1, 0, 0], [0, 1, 0], [0, 0, 1], [0.5, 0.5, 0], [0, 0.5, 0.5], [0.5, 0, 0.5]])
    points = np.array([[4, 1, 1], [1, 4, 1], [1, 1, 4]]) / 6
    local = np.einsum(
        "aq,kqc->kac", bary @ np.linalg.inv(points), values.reshape(len(cells), 3, -1)
    )
    total = np.zeros((len(b.mesh.points), local.shape[2]))
    np.add.at(total, cells, local)
    return total / np.bincount(cells.ravel(), minlength=len(total))[:, None]


def solve(mesh: Mesh, traction: float, yield_: float, hardening: float) -> Sample:
    """Displacement [mm], stresses [MPa] and cumulated plastic strain.

    After one second of loading.
    """
    law = Viscoplastic(E=1e5, nu=0.3, K=50.0, n=10.0, C=hardening, D=100.0, R0=yield_)
    at = {name: np.unique(mesh.cells["line3"][mesh.regions[name]["line3"]]) for name in SIDES}
    b = body(mesh, {None: law}, np.concatenate([2 * at["left"], 2 * at["bottom"] + 1]))
    load = -push(mesh, "top")
    load *= np.sign(load[2 * at["top"] + 1].sum())
    cold = np.zeros((len(b.weights), 1))
    states = march(
        b,
        Loading(TIMES, load[:, None], traction * TIMES[:, None], cold, np.ones((len(TIMES), 1))),
        TIMES,
    )
    stress, p = nodal(b, states.stress[:, [0, 1, 5], -1]), nodal(b, states.p[:, -1:])[:, 0]
    u = states.u[:, -1].reshape(-1, 2)
    fields = {
        "u": u,
        "s11": stress[:, 0],
        "s22": stress[:, 1],
        "s12": stress[:, 2] / np.sqrt(2),
        "p": np.maximum(p, 0.0),
    }
    outputs = {
        "u2_top": float(u[at["top"], 1].max()),
        "s22_max": float(stress[:, 1].max()),
        "p_max": float(p.max()),
    }
    return Sample(mesh, np.array([traction, yield_, hardening]), fields, outputs)


def scalars(traction: float, yield_: float, hardening: float) -> np.ndarray:
    """What the model sees of a load and a law [MPa].

    Where plastic flow begins depends on traction over yield, with no unit.
    """
    return np.log([traction, traction / yield_, hardening])


def samples(m: int, h: float, seed: int, store: str | None = None) -> list[Sample]:
    """m plates of a scrambled Sobol design, every mesh with its own width.

    store : folder; the plates it holds are not solved again
    """
    plates = []
    for k, row in enumerate(sobol(BOX, m, seed)):
        path = None if store is None else Path(store) / f"plate_{h:g}_{seed}_{k:04d}.h5"
        if path is not None and path.is_file():
            plates.append(load(path))
            continue
        depth, spread, a, b, *law = row.tolist()
        plates.append(
            solve(plate(depth, spread, a, b, h * (1 + 0.1 * (k % 4 - 1.5)), seed=1 + k), *law)
        )
        if path is not None:
            path.parent.mkdir(parents=True, exist_ok=True)
            save(path, plates[-1])
    return [replace(s, mu=scalars(*s.mu.tolist())) for s in plates]


def fit_model(train: list[Sample], h: float, modes: int = 36, seed: int = 0) -> ShapeModel:
    """MMGP on a finer reference in the middle of the family."""
    depth, spread, a, b = BOX.from_unit(np.full(BOX.p, 0.5))[:4].tolist()
    reduction = Reduction(shape=8, fields=modes, tol=1e-5)
    return shape_model(
        train,
        MORPH,
        plate(depth, spread, a, b, 0.7 * h),
        names=NAMES,
        units=UNITS,
        reduction=reduction,
        rng=seed,
    )


def strangers(h: float) -> list[Mesh]:
    """Shapes from outside: a rhombic hole, a long slit, a deep narrow waist."""
    return [
        plate(0.15, 0.5, 0.3, 0.35, h, wedge=0.8),
        plate(0.15, 0.5, 0.1, 0.8, h),
        plate(0.35, 0.15, 0.3, 0.3, h),
    ]


def main(
    train: int = 200,
    test: int = 40,
    h: float = 0.06,
    modes: int = 36,
    seed: int = 0,
    store: str | None = None,
    out: str | None = None,
) -> dict[str, float]:
    """Plates nobody has seen: fields against the solver.

    And shapes from outside that must be flagged.
    """
    begin = time.perf_counter()
    training, unseen = samples(train, h, seed, store), samples(test, h, seed + 1, store)
    solving = time.perf_counter() - begin
    begin = time.perf_counter()
    model = fit_model(training, h, modes, seed)
    fit = time.perf_counter() - begin
    answers = [model.predict(s.mu, mesh=s.mesh) for s in unseen]
    numbers: dict[str, float] = {}
    for name in training[0].fields:
        predictions, true = [a.field(name) for a in answers], [s.fields[name] for s in unseen]
        numbers |= {f"q2_{name}": q2(predictions, true)} | (
            {} if name == "p" else {f"rrmse_{name}": rrmse(predictions, true)}
        )  # p may be zero
        numbers[f"coverage_90_{name}"] = field_coverage(
            predictions, true, [s for a in answers if (s := a.std(name)) is not None]
        )
    for name in ("u2_top", "s22_max"):
        pair = np.array(
            [
                [a.outputs[name].value[0], s.outputs[name]]
                for a, s in zip(answers, unseen, strict=True)
            ]
        ).T
        numbers[f"rrmse_{name}"] = float(np.sqrt(np.mean((pair[0] / pair[1] - 1) ** 2)))
    if out is not None:
        shape_pictures(out, model, unseen[0], "s22", "MPa", zoom=0.85)
        ship_model(out, model, "cases.tensile_plate", sample=unseen[0])
    outside = [model.predict(scalars(75.0, 130.0, 3.5e4), mesh=mesh) for mesh in strangers(h)]
    return {
        "n_train": train,
        "nodes_mean": float(np.mean([len(s.mesh.points) for s in training])),
        "rrmse_max": max(numbers[f"rrmse_{name}"] for name in ("u", "s11", "s22", "s12")),
        "plasticity_q2": numbers["q2_p"],
        "ood_flagged": float(np.mean([a.inside is not None and not a.inside[0] for a in outside])),
        "false_alarms": float(np.mean([a.outputs[SCORE].value[0] > 1 for a in answers])),
        **numbers,
        "seconds_solve": solving,
        "seconds_fit": fit,
    }


if __name__ == "__main__":
    run(main, units={"seconds_solve": "s", "seconds_fit": "s"})
