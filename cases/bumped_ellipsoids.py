"""A bump that moves over ellipsoids that all differ: closed surfaces, learnt by O-MMGP.

    x = (1 + 0.1 g) (a e_x, b e_y, e_z),  u = (1 + a b / 4) g + e_z / 5,
    g = exp(-|e - e_b|^2 / w^2),  w = 0.5,

e on the unit sphere, e_b where longitude and latitude put the bump, each surface on a mesh of its
own. Errors are relative L2 on surfaces that no model has seen. Trivial rows beside: mean, nearest
run, and the same model without mappings at the same latent count.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from rom.cli.launch import run
from rom.cli.ship import ship_model
from rom.design.designs import sobol
from rom.mesh import Mesh
from rom.parameters import Box
from rom.plot.shapes import shape_pictures
from rom.shapes import Reduction, Sample, ShapeModel, Sphere, shape_model
from rom.shapes.answers import mean_fields
from rom.study.metrics import field_coverage, rel_l2

WIDTH, HEIGHT = 0.5, 0.1
BOX = Box(
    ("longitude", "latitude", "a", "b"),
    np.array([-0.8, -0.6, 1.0, 0.9]),
    np.array([0.8, 0.6, 1.4, 1.2]),
    ("rad", "rad", "m", "m"),
)
OPTIONS = {"stages": ((1, 0.1), (2, 0.03), (2, 0.0)), "length": 0.3, "steps": 15}


def ball(n: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """n points at even distances on the unit sphere, turned at random, and outward triangles."""
    from scipy.spatial import ConvexHull

    k = np.arange(n) + 0.5
    z, angle = 1 - 2 * k / n, np.pi * (1 + 5**0.5) * k
    rim = np.sqrt(1 - z**2)
    e = np.column_stack([rim * np.cos(angle), rim * np.sin(angle), z])
    turn, _ = np.linalg.qr(np.random.default_rng(seed).normal(size=(3, 3)))
    e = e @ turn
    cells = ConvexHull(e).simplices
    inward = np.linalg.det(e[cells]) < 0
    return e, np.where(inward[:, None], cells[:, [0, 2, 1]], cells)


def sample(row: np.ndarray, n: int, seed: int) -> Sample:
    """One surface of n nodes with its field; mu = longitude and latitude of the bump."""
    longitude, latitude, a, b = row
    e, cells = ball(n, seed)
    centre = np.array(
        [
            np.cos(latitude) * np.cos(longitude),
            np.cos(latitude) * np.sin(longitude),
            np.sin(latitude),
        ]
    )
    g = np.exp(-np.sum((e - centre) ** 2, axis=1) / WIDTH**2)
    x = (1 + HEIGHT * g)[:, None] * e * [a, b, 1.0]
    u = (1 + a * b / 4) * g + e[:, 2] / 5
    return Sample(Mesh(x, {"triangle": cells}), np.array([longitude, latitude]), {"u": u})


def samples(draws: np.ndarray, n: int, seed: int) -> list[Sample]:
    """A surface of n nodes or some more for every row of (longitude, latitude, a, b)."""
    return [sample(row, n + 10 * (k % 3), 1000 * seed + k) for k, row in enumerate(draws)]


def fit_model(
    train: list[Sample], n: int, fields: int, mapping: int, seed: int = 0, **options: Any
) -> ShapeModel:
    """O-MMGP on the unit sphere, or POD-GP for mapping = 0."""
    e, cells = ball(n, 10**6)
    reduction = Reduction(
        shape=6, fields=fields, mapping=mapping, tol=1e-12, rigid=False, folds=5,
        options={**OPTIONS, **options}, prices=(0.01,),
    )  # fmt: skip
    return shape_model(
        train, Sphere(), Mesh(e, {"triangle": cells}), names=BOX.names[:2], units=BOX.units[:2],
        reduction=reduction, rng=seed,
    )  # fmt: skip


def main(
    runs: int = 24, tests: int = 8, nodes: int = 600, fields: int = 3, mapping: int = 3,
    seed: int = 0, out: str | None = None,
) -> dict[str, float]:  # fmt: skip
    """Models of `runs` Sobol points against `tests` points at random."""
    train = samples(sobol(BOX, runs, seed), nodes, 1)
    rng = np.random.default_rng(seed + 1)
    test = samples(BOX.from_unit(rng.uniform(size=(tests, BOX.p))), nodes, 2)
    true = [s.fields["u"] for s in test]
    model = fit_model(train, nodes, fields, mapping, seed)
    plain = fit_model(train, nodes, model.latents, 0, seed)
    answers = [model.predict(s.mu, mesh=s.mesh) for s in test]
    place = np.array([s.mu for s in train])
    near = [int(np.argmin(np.linalg.norm(place - s.mu, axis=1))) for s in test]
    laid = [model.lay(train[k].mesh).pull(train[k].fields["u"]) for k in near]
    predictions = {
        "ommgp": [answer.field("u") for answer in answers],
        "podgp": [plain.predict(s.mu, mesh=s.mesh).field("u") for s in test],
        "mean": [mean_fields(plain, s)["u"] for s in test],
        "nearest": [model.lay(s.mesh).push(u) for s, u in zip(test, laid, strict=True)],
    }
    numbers = {f"{name}_rel_l2": rel_l2(values, true) for name, values in predictions.items()}
    if out is not None:
        shape_pictures(out, model, test[0], "u", "1")
        ship_model(out, model, "cases.bumped_ellipsoids", sample=test[0])
    return {
        **numbers,
        "gain": numbers["podgp_rel_l2"] / numbers["ommgp_rel_l2"],
        "mapping_modes": 0 if model.mapping is None else model.mapping.r,
        "latents": model.latents,
        "podgp_latents": plain.latents,
        "coverage_90": field_coverage(
            predictions["ommgp"], true, [np.asarray(answer.std("u")) for answer in answers]
        ),
    }


if __name__ == "__main__":
    run(main)
