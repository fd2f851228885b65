"""A shock that moves: surface pressure of a transonic aerofoil over the angle.

By O-MMGP, POD-GP and plain interpolation over the angle of attack. Data: NACA0012, RANS at 50
angles of attack (Smithers, MIT licence). Errors are relative L2 of (p - p_0) / p_0, p_0 = 101325
Pa, on the angles that no model has seen; the latent count of O-MMGP includes its mapping modes, and
POD-GP gets as many field modes.
"""

from __future__ import annotations

import numpy as np

from cases.airfoil_pressure import data_file
from rom.cli.launch import run
from rom.cli.ship import ship_model
from rom.mesh import Mesh
from rom.plot.shapes import shape_pictures
from rom.shapes import ArcLength, Reduction, Sample, ShapeModel, shape_model, subdivide
from rom.study.metrics import rel_l2

P0 = 101325.0
METHODS = ("ommgp", "podgp", "linear")


def samples(data: str | None = None) -> list[Sample]:
    """The aerofoil as an open curve with the scaled pressure.

    From upper trailing edge to lower trailing edge; mu = angle of attack [degree].
    """
    import h5py

    with h5py.File(data_file("naca0012_transonic_50.h5", data)) as file:
        x, p, alpha = (
            file[name][()].astype(float) for name in ("points", "pressure", "angle_of_attack")
        )
    half = len(x) // 2
    upper, lower = np.arange(half, len(x)), np.arange(half)
    order = np.concatenate([upper[np.argsort(-x[upper, 0])], lower[np.argsort(x[lower, 0])]])
    mesh = Mesh(
        x[order],
        {"line": np.column_stack([np.arange(len(x) - 1), np.arange(1, len(x))])},
        unit="chord",
    )
    return [
        Sample(mesh, np.array([a]), {"p": (row[order] - P0) / P0})
        for a, row in zip(alpha, p, strict=True)
    ]


def fit_model(train: list[Sample], fields: int, mapping: int, seed: int = 0) -> ShapeModel:
    """O-MMGP, or POD-GP for mapping = 0, on the aerofoil with every edge halved."""
    reduction = Reduction(fields=fields, mapping=mapping, tol=1e-12)
    return shape_model(
        train,
        ArcLength(leading=True),
        subdivide(train[0].mesh),
        names=("alpha",),
        units=("degree",),
        reduction=reduction,
        rng=seed,
    )


def interpolate(train: list[Sample], test: list[Sample]) -> list[np.ndarray]:
    """Linear interpolation in the angle of attack, node by node."""
    alpha, u = np.array([s.mu[0] for s in train]), np.array([s.fields["p"] for s in train])
    return [np.array([np.interp(s.mu[0], alpha, column) for column in u.T]) for s in test]


def shock(sample: Sample, p: np.ndarray) -> float:
    """x/c of the steepest rise of pressure on the upper side.

    Behind x/c = 0.05; the apex of the parabola through three slopes.
    """
    x = sample.mesh.points[: len(p) // 2]
    rows = np.flatnonzero((x[:, 0] > 0.05) & (x[:, 0] < 0.95))[::-1]
    s, slope = 0.5 * (x[rows[1:], 0] + x[rows[:-1], 0]), np.diff(p[rows]) / np.diff(x[rows, 0])
    k = int(np.clip(np.argmax(slope), 1, len(s) - 2))
    c2, c1, _ = np.polyfit(s[k - 1 : k + 2] - s[k], slope[k - 1 : k + 2], 2)
    return float(s[k] - c1 / (2 * c2))


def compare_methods(
    every: list[Sample], chosen: np.ndarray, fields: int, mapping: int, seed: int
) -> dict[str, float]:
    """Every method trained on the chosen angles, against all the others.

    At the same latent count.
    """
    train, test = [every[i] for i in chosen], [s for i, s in enumerate(every) if i not in chosen]
    true = [s.fields["p"] for s in test]
    model = fit_model(train, fields, mapping, seed)
    plain = fit_model(train, model.latents, 0, seed)
    predictions = {
        "ommgp": [model.predict(s.mu, mesh=s.mesh).field("p") for s in test],
        "podgp": [plain.predict(s.mu, mesh=s.mesh).field("p") for s in test],
        "linear": interpolate(train, test),
    }
    numbers: dict[str, float] = {
        f"{name}_rel_l2": rel_l2(values, true) for name, values in predictions.items()
    }
    for name, values in predictions.items():
        away = [
            abs(shock(s, v) - shock(s, s.fields["p"])) for s, v in zip(test, values, strict=True)
        ]
        numbers[f"{name}_shock_error"] = float(np.mean(away))
    return {**numbers, "latents": model.latents, "podgp_latents": plain.latents}


def draw_choices(
    every: list[Sample], m: int, draws: int, fields: int, mapping: int, seed: int
) -> dict[str, float]:
    """Mean and worst error of every method over random choices of m angles.

    First and last angle kept; and how often O-MMGP is best.
    """
    rng, rows = np.random.default_rng(seed), []
    for _ in range(draws):
        chosen = np.append(
            rng.choice(np.arange(1, len(every) - 1), m - 2, replace=False), [0, len(every) - 1]
        )
        rows.append(compare_methods(every, np.sort(chosen), fields, mapping, seed))
    numbers: dict[str, float] = {}
    for name in METHODS:
        for key in (f"{name}_rel_l2", f"{name}_shock_error"):
            values = [row[key] for row in rows]
            numbers |= {
                f"{key}_mean_draw_{m}": float(np.mean(values)),
                f"{key}_worst_draw_{m}": max(values),
            }
    best = [row["ommgp_rel_l2"] < min(row["podgp_rel_l2"], row["linear_rel_l2"]) for row in rows]
    return {**numbers, f"ommgp_best_in_draws_{m}": float(np.mean(best))}


def main(
    fields: int = 6,
    mapping: int = 3,
    draws: int = 4,
    seed: int = 0,
    data: str | None = None,
    out: str | None = None,
) -> dict[str, float]:
    """10 and 20 equispaced training angles of the 50, then `draws` random choices.

    Of as many angles; every one predicts all other angles.
    """
    every = samples(data)
    numbers: dict[str, float] = {}
    for m in (10, 20):
        equal = np.round(np.linspace(0, len(every) - 1, m)).astype(int)
        numbers |= {
            f"{key}_{m}": value
            for key, value in compare_methods(every, equal, fields, mapping, seed).items()
        }
        numbers |= draw_choices(every, m, draws, fields, mapping, seed) if draws else {}
        if out is not None and m == 10:
            model, unseen = (
                fit_model([every[i] for i in equal], fields, mapping, seed),
                every[np.setdiff1d(np.arange(len(every)), equal)[25]],
            )
            shape_pictures(out, model, unseen, "p", "p_0")
            ship_model(out, model, "cases.transonic_airfoil", sample=unseen)
    return {
        **numbers,
        "latents": numbers["latents_10"],
        "shock_error": numbers["ommgp_shock_error_10"],
    }


if __name__ == "__main__":
    of = ("", "_mean_draw", "_worst_draw")
    run(
        main,
        units={
            f"{name}_shock_error{kind}_{m}": "chord"
            for name in METHODS
            for kind in of
            for m in (10, 20)
        },
    )
