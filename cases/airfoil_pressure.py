"""Surface pressure of airfoils that all differ, learnt over shapes (MMGP).

What is learnt is the difference of RANS to inviscid flow. Data: 150 NACA airfoils of AirfRANS
(Bonnet, Mazari, Cinnella, Gallinari 2022), five-fold cross-validation, nothing chosen on test
folds.
"""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from rom.cli.launch import run
from rom.cli.ship import ship_model
from rom.errors import BadInput
from rom.mesh import Mesh
from rom.plot.shapes import shape_pictures
from rom.shapes import (
    ArcLength,
    Sample,
    ShapeModel,
    choose_shapes,
)
from rom.shapes.answers import mean_fields
from rom.shapes.choice import START
from rom.study.metrics import field_coverage, q2, rel_l2, rrmse

NAMES, UNITS = ("angle of attack", "log speed"), ("degree", "1")
RULES = ("apex", "node", "bend")  # of the leading edge


def data_file(name: str, data: str | None = None) -> Path:
    """The file in `data`, in $ROM_DATA, or in ../shared/data of the checkout.

    Raises BadInput where it is in none of them.
    """
    places = [Path(p) for p in (data, os.environ.get("ROM_DATA")) if p] or [
        Path(__file__).resolve().parents[1] / "../shared/data"
    ]
    files = [place / name for place in places if (place / name).is_file()]
    if not files:
        raise BadInput(
            f"no {name} in {', '.join(map(str, places))}; give its folder: "
            "--data FOLDER, or set ROM_DATA"
        )
    return files[0]


def samples(data: str | None = None, baseline: bool = True) -> list[Sample]:
    """Airfoils as open curves with cp, the inviscid cp, and (alpha, log speed).

    From trailing edge to trailing edge.
    """
    import h5py

    with h5py.File(data_file("airfrans_surface_150.h5", data)) as file:
        arrays = {
            name: file[name][()]
            for name in (
                "points",
                "cp_rans",
                "cp_inviscid",
                "n_nodes",
                "angle_of_attack",
                "freestream_speed",
            )
        }
    airfoils, end = [], np.cumsum(arrays["n_nodes"])
    for k, (stop, count) in enumerate(zip(end, arrays["n_nodes"], strict=True)):
        rows = slice(stop - count, stop)
        line = np.column_stack([np.arange(count - 1), np.arange(1, count)])
        mu = np.array(
            [arrays["angle_of_attack"][k], np.log(arrays["freestream_speed"][k])], dtype=float
        )
        extra = {"cp": arrays["cp_inviscid"][rows].astype(float)} if baseline else {}
        airfoils.append(
            Sample(
                Mesh(arrays["points"][rows].astype(float), {"line": line}, unit="chord"),
                mu,
                {"cp": arrays["cp_rans"][rows].astype(float)},
                {},
                extra,
            )
        )
    return airfoils


def normal_force(sample: Sample, cp: np.ndarray) -> float:
    """c_n = |int cp n ds . n_chord|: the force across the chord.

    From trailing edge to trailing edge.
    """
    x = sample.mesh.points
    chord = x[np.argmax(np.linalg.norm(x - x[0], axis=1))] - x[0]
    step = np.diff(x, axis=0)
    force = 0.5 * (cp[1:] + cp[:-1]) @ np.column_stack([step[:, 1], -step[:, 0]])
    return float(force @ np.array([-chord[1], chord[0]]) / (chord @ chord))


def fit_model(
    train: list[Sample], modes: int = 32, seed: int = 0, rules: Sequence[str] = RULES
) -> ShapeModel:
    """The model of some airfoils; rule and kernel by cross-validation among them alone."""
    model, _ = choose_shapes(
        train,
        {rule: ArcLength((), True, rule) for rule in rules},
        names=NAMES,
        units=UNITS,
        reduction=replace(START, fields=modes),
        keep=("shape", "fields", "baseline"),
        rng=seed,
    )
    return model


def main(
    folds: int = 5,
    modes: int = 32,
    baseline: bool = True,
    seed: int = 0,
    data: str | None = None,
    out: str | None = None,
) -> dict[str, float]:
    """K-fold cross-validation over the airfoils.

    Every airfoil is predicted once by a model that has not seen it.
    """
    every = samples(data, baseline)
    order = np.random.default_rng(seed).permutation(len(every))
    predictions, std, true, forces, fit, ask, means = [], [], [], [], 0.0, [], []
    for k in range(folds):
        test = order[k::folds]
        begin = time.perf_counter()
        model = fit_model([every[i] for i in order if i not in test], modes, seed)
        fit += time.perf_counter() - begin
        for i in test:
            begin = time.perf_counter()
            answer = model.predict(every[i].mu, mesh=every[i].mesh, fields=every[i].baseline)
            ask.append(time.perf_counter() - begin)
            predictions.append(answer.field("cp"))
            std += [s for s in [answer.std("cp")] if s is not None]
            true.append(every[i].fields["cp"])
            forces.append([normal_force(every[i], v) for v in (predictions[-1], true[-1])])
            means.append(mean_fields(model, every[i])["cp"])
        if out is not None and k == 0:
            shape_pictures(out, model, every[test[0]], "cp", "1")
            ship_model(out, model, "cases.airfoil_pressure", sample=every[test[0]])
    reached, reference = np.array(forces).T
    return {
        "samples": len(every),
        "folds": folds,
        "rel_l2": rel_l2(predictions, true),
        "rrmse": rrmse(predictions, true),
        "mean_field_rel_l2": rel_l2(means, true),
        "q2_normal_force": q2([reached], [reference]),
        "coverage_90": field_coverage(predictions, true, std),
        "seconds_fit": fit / folds,
        "ms_predict": 1e3 * float(np.median(ask)),
    }


if __name__ == "__main__":
    run(main, units={"seconds_fit": "s per fold", "ms_predict": "ms per airfoil"})
