"""Stress around holes of rough outline: plates that all differ, by `choose_shapes`.

A row of unit squares with one hole each, pulled at its top by 1 MPa on a bottom that slides:

    r(theta) = 0.15 + 0.2 / (1 + exp(g(theta))),  g Gaussian, of covariance (12 / (9 - D^2))^2

with D = d/dtheta and `HARMONICS` harmonics, about a centre moved at random. Plane strain, quadratic
triangles, every plate on a mesh of its own; the field is von Mises' stress at the corners. There
are no scalars: all that a model sees is the shape. Errors are relative L2 on plates that no model
has seen. Trivial rows beside: mean, nearest run, and 8 modes of shapes without any choice.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from cases.tensile_plate import mesher, nodal
from rom.archive.nouns import load, save
from rom.cli.launch import run
from rom.cli.shape_morphs import candidate_morphs
from rom.loading import Loading
from rom.mesh import Mesh
from rom.plot.shapes import shape_pictures
from rom.shapes import Reduction, Sample, ShapeModel, choose_shapes, shape_model
from rom.shapes.answers import mean_fields
from rom.study.metrics import field_coverage, rel_l2
from solvers.laws.elastic import Elastic
from solvers.solid import body, march, push

HARMONICS, SHIFT = 12, 0.08
E, NU = 1e5, 0.3
TIMES = np.array([0.0, 1.0])


def outline(rng: np.random.Generator, points: int = 96) -> np.ndarray:
    """Points (points, 2) around a hole of a unit square, from its left, anticlockwise."""
    theta = np.linspace(-np.pi, np.pi, points, endpoint=False)
    k = np.arange(HARMONICS + 1)
    size = 12 / (k**2 + 9) / np.sqrt(np.where(k, np.pi, 2 * np.pi))
    a, b = size * rng.normal(size=(2, len(k)))
    wave = np.cos(np.outer(theta, k)) @ a + np.sin(np.outer(theta, k)) @ b
    centre = 0.5 + rng.uniform(-SHIFT, SHIFT, 2)
    radius = 0.15 + 0.2 / (1 + np.exp(wave))
    return centre + radius[:, None] * np.column_stack([np.cos(theta), np.sin(theta)])


def plate(holes: list[np.ndarray], h: float, seed: int) -> Mesh:
    """Unit squares side by side with a hole each, in six-node triangles of width h.

    Half of it at the holes. Every hole starts at the node of its name.
    """
    width = float(len(holes))
    with mesher(seed) as gmsh:
        geo = gmsh.model.geo
        corners = [geo.addPoint(*p, 0, h) for p in ((0, 0), (width, 0), (width, 1), (0, 1))]
        ends = zip(corners, corners[1:] + corners[:1], strict=True)
        sides = [geo.addLine(*pair) for pair in ends]
        curves = dict(zip(("bottom", "right", "top", "left"), sides, strict=True))
        loops, starts = [geo.addCurveLoop(sides)], {}
        for k, rim in enumerate(holes):
            nodes = [geo.addPoint(x + k, y, 0, h / 2) for x, y in rim]
            curves[f"hole{k}"] = geo.addSpline([*nodes, nodes[0]])
            starts[f"hole{k}"] = nodes[0]
            loops.append(geo.addCurveLoop([curves[f"hole{k}"]]))
        geo.addPlaneSurface(loops)
        geo.synchronize()
        gmsh.model.mesh.generate(2)
        gmsh.model.mesh.setOrder(2)
        return _mesh(gmsh.model.mesh, curves, starts)


def _mesh(grid: Any, curves: dict[str, int], starts: dict[str, int]) -> Mesh:
    """What gmsh made, with its curves as regions and its starts as node sets."""
    tags, x, _ = grid.getNodes()
    cells = np.asarray(grid.getElementsByType(9)[1], dtype=int).reshape(-1, 6)
    used = np.unique(cells)
    number = np.zeros(int(tags.max()) + 1, dtype=np.int64)
    number[used] = np.arange(len(used))
    row = np.zeros(len(number), dtype=np.int64)
    row[tags.astype(int)] = np.arange(len(tags))
    points = x.reshape(-1, 3)[row[used], :2]
    lines, regions, first = [], {}, 0
    for name, tag in curves.items():
        side = number[np.asarray(grid.getElementsByType(8, tag)[1], dtype=int).reshape(-1, 3)]
        lines.append(side)
        regions[name] = {"line3": np.arange(first, first + len(side))}
        first += len(side)
    nodes = {name: number[grid.getNodes(0, tag)[0].astype(int)] for name, tag in starts.items()}
    every = {"triangle6": number[cells], "line3": np.vstack(lines)}
    return Mesh(points, every, regions, nodes, "mm")


def solve(mesh: Mesh) -> Sample:
    """Von Mises' stress [MPa] at the corners of the triangles."""
    at = {name: np.unique(mesh.cells["line3"][mesh.regions[name]["line3"]]) for name in TOUCHED}
    corner = int(np.argmin(mesh.points.sum(axis=1)))
    fixed = np.unique(np.append(2 * at["bottom"] + 1, 2 * corner))
    b = body(mesh, {None: Elastic(E, NU)}, fixed)
    pull = -push(mesh, "top")
    pull *= np.sign(pull[2 * at["top"] + 1].sum())
    cold = np.zeros((len(b.weights), 1))
    loading = Loading(TIMES, pull[:, None], TIMES[:, None], cold, np.ones((2, 1)))
    stress = nodal(b, march(b, loading, TIMES).stress[..., -1])
    mean = stress[:, :3].mean(axis=1, keepdims=True)
    normal, shear = stress[:, :3] - mean, stress[:, 3:]
    mises = np.sqrt(1.5 * (np.sum(normal**2, axis=1) + np.sum(shear**2, axis=1)))
    return corners(mesh, mises)


TOUCHED = ("bottom", "top")


def corners(mesh: Mesh, values: np.ndarray) -> Sample:
    """A mesh without the middles of its edges, and its field at the other nodes."""
    cells, lines = mesh.cells["triangle6"][:, :3], mesh.cells["line3"][:, :2]
    keep = np.unique(cells)
    fresh = np.zeros(len(mesh.points), dtype=np.int64)
    fresh[keep] = np.arange(len(keep))
    regions = {name: {"line": rows["line3"]} for name, rows in mesh.regions.items()}
    sets = {name: fresh[nodes] for name, nodes in mesh.nodes.items()}
    coarse = {"triangle": fresh[cells], "line": fresh[lines]}
    straight = Mesh(mesh.points[keep], coarse, regions, sets, mesh.unit)
    return Sample(straight, fields={"mises": values[keep]}, units={"mises": "MPa"})


def samples(m: int, h: float, seed: int, holes: int = 1, store: str | None = None) -> list[Sample]:
    """m plates with `holes` holes each, every mesh with its own width.

    store : folder; the plates it holds are not solved again
    """
    plates = []
    for k in range(m):
        path = None if store is None else Path(store) / f"plate_{holes}_{h:g}_{seed}_{k:04d}.h5"
        if path is not None and path.is_file():
            plates.append(load(path))
            continue
        rng = np.random.default_rng([seed, k])
        rims = [outline(rng) for _ in range(holes)]
        plates.append(solve(plate(rims, h * (1 + 0.1 * (k % 4 - 1.5)), seed=1 + k)))
        if path is not None:
            path.parent.mkdir(parents=True, exist_ok=True)
            save(path, plates[-1])
    return plates


def nearest(model: ShapeModel, train: list[Sample], test: list[Sample]) -> list[np.ndarray]:
    """The field of the run of nearest shape, on the mesh of each test."""
    shapes = np.array([model.embedding.place(model.lay(s.mesh).points) for s in train])
    fields = []
    for s in test:
        own = model.lay(s.mesh)
        place = model.embedding.place(own.points)
        k = int(np.argmin(np.linalg.norm(shapes - place, axis=1)))
        fields.append(own.push(model.lay(train[k].mesh).pull(train[k].fields["mises"])))
    return fields


def main(
    runs: int = 400, tests: int = 50, h: float = 0.08, holes: int = 1, seed: int = 0,
    store: str | None = None, out: str | None = None,
) -> dict[str, float]:  # fmt: skip
    """The model that `rom shapes train` makes of plates, against `tests` others."""
    train = samples(runs, h, seed, holes, store)
    test = samples(tests, h, seed + 1, holes, store)
    morphs = candidate_morphs(train, "auto", (), ())
    model, _ = choose_shapes(train, morphs, rng=seed)
    plain = shape_model(train, model.morph, reduction=Reduction(shape=8), rng=seed)
    true = [s.fields["mises"] for s in test]
    answers = [model.predict(s.mu, mesh=s.mesh) for s in test]
    predictions = {
        "default": [answer.field("mises") for answer in answers],
        "shape_8": [plain.predict(s.mu, mesh=s.mesh).field("mises") for s in test],
        "mean": [mean_fields(model, s)["mises"] for s in test],
        "nearest": nearest(model, train, test),
    }
    numbers = {f"{name}_rel_l2": rel_l2(values, true) for name, values in predictions.items()}
    if out is not None:
        shape_pictures(out, model, test[0], "mises", "MPa")
    return {
        "runs": runs,
        "nodes_mean": float(np.mean([len(s.mesh.points) for s in train])),
        **numbers,
        "cross_validation": model.error,
        "shape_modes": model.embedding.basis.r,
        "field_modes": model.latents,
        "coverage_90": field_coverage(
            predictions["default"], true, [np.asarray(answer.std("mises")) for answer in answers]
        ),
    }


if __name__ == "__main__":
    run(main)
