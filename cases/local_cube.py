"""The viscoplastic cube by local hyper-reduced models against one global model.

Equal modes, points and stress modes for all. Runs differ in rotation, pressure and an
unparametrised temperature field, from elastic to plastic and from spun to hot. Each cluster
has its own basis, cubature and stress basis; the classifier sees the three loads and reduced
features of the field. How many clusters, and whether of snapshots (models take over from each
other on the way and hand the state of the law over) or of whole runs, is chosen by what the
reduced models themselves gain on left-out training runs; where none gains more than a standard
deviation, `local` is the global model and the gains are 1. `local`: one model a step, as the
classifier says; `asking`: an unsure classifier asks several, at their cost. Gains: global over
local error.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from cases.local_bases import histories
from cases.viscoplastic_cube import HOT, cube
from rom.cli.launch import run
from rom.cli.ship import ship_model
from rom.io.tables import write_table
from rom.loading import Loading
from rom.local.hull import leading
from rom.solids.local_gain import (
    Fields,
    LocalOption,
    SolidGain,
    answer_globally,
    answer_locally,
    best_option,
    expected_solid_gains,
    field_errors,
)
from rom.solids.local_training import Budget, Describe, Runs, global_model, local_solids
from rom.solids.switching import LocalWeighted
from rom.solids.weighted import WeightedModel
from solvers.solid import Body

CANDIDATES = (2, 4)
LOADS = 3  # parameters that are known online; the others draw the field
SHAPES = 4  # of temperature, whose coefficients the classifier sees
ROOM = 20.0  # degC
END = 0.9  # s
MODE_OF_ASKING = {"local": 0.0, "asking": 0.8}  # name -> probability below which several answer


def temperature_rises(runs: Runs) -> np.ndarray:
    """Final rise of temperature of each run, (nodes, m), of unit norm."""
    rises = [loading.temperature(END) - ROOM for loading, _ in runs]
    rise = np.stack(rises, axis=1)
    return np.asarray(rise / np.linalg.norm(rise, axis=0))


def known_inputs(shapes: np.ndarray, x: np.ndarray, runs: Runs) -> np.ndarray:
    """Known online, (m, 3 + q): loads, and coefficients on the shapes (nodes, q)."""
    return np.column_stack([x[:, :LOADS], temperature_rises(runs).T @ shapes])


def learn_inputs(x: np.ndarray, runs: Runs) -> Describe:
    """The inputs on the leading shapes of temperature of these runs."""
    return partial(known_inputs, leading(temperature_rises(runs), SHAPES))


def main(
    cells: int = 4,
    training: int = 80,
    unseen: int = 60,
    k: int = 0,
    modes: int = 8,
    points: int = 50,
    stress: int = 12,
    seed: int = 0,
    out: str | None = None,
) -> dict[str, Any]:
    """Local models within a budget against one; errors over unseen runs.

    modes, points, stress : of each model, points at most, modes of stress
    k : number of clusters; 0 for as many as gain most on left-out training runs; k < 0 for so
        many of whole runs
    out : a folder for the model, the loading of the first unseen run as it takes it, and what the
        classifier sees of that run
    """
    b, budget = cube(cells, HOT), Budget(modes, points, stress)
    x = np.random.default_rng([seed, 0]).random((training, 7))
    y = np.random.default_rng([seed, 1]).random((unseen, 7))
    train, test = histories(b, x), histories(b, y)
    numbers: dict[str, Any] = {}
    option = LocalOption(abs(k), k < 0)
    if k == 0:
        option, numbers = choose_option(b, x, train, budget, seed)
    numbers |= {"K": option.clusters, "whole_runs": option.whole_runs}
    single = global_model(b, x, train, budget)
    answers = {"global": answer_globally(b, single, test)}
    numbers["points_global"] = numbers["points_local_most"] = len(single.points)
    shipped: WeightedModel | LocalWeighted = single
    inputs = np.zeros((len(test), 0))
    if option.clusters == 1:
        answers["local"] = answers["global"]
    else:
        describe = learn_inputs(x, train)
        local = local_solids(
            b,
            x,
            train,
            describe(x, train),
            option.clusters,
            budget=budget,
            whole_runs=option.whole_runs,
            rng=seed,
        )
        shipped, inputs = local, describe(y, test)
        numbers["points_local_most"] = max(len(model.points) for model in local.models)
        for name, sure in MODE_OF_ASKING.items():
            asking = replace(local, sure=sure)
            answers[name], counts = answer_locally(b, asking, inputs, test)
            numbers |= {f"{key}_{name}_mean": value for key, value in counts.items()}
    numbers |= error_rows(b, test, answers)
    if out is not None:
        ship(out, b, shipped, test[0][0], inputs[0])
    sizes = {"modes": modes, "stress_modes": stress}
    return gains(numbers) | numbers | sizes | {"training_runs": training, "unseen_runs": unseen}


def ship(
    out: str, b: Body, model: WeightedModel | LocalWeighted, loading: Loading, inputs: np.ndarray
) -> None:
    """model.h5, loading.h5 as the model takes it, and inputs.csv where it asks for some."""
    points = b.points
    if isinstance(model, LocalWeighted):
        own = model.reduce(loading, points)
        names = [f"mu{k}" for k in range(len(inputs))]
    else:
        own, names = loading.reduce(model.basis, model.points, points), []
    ship_model(out, model, "cases.local_cube", mesh=b.mesh, loading=own)
    if names:
        write_table(Path(out) / "inputs.csv", names, inputs[None])


def choose_option(
    b: Body, x: np.ndarray, train: Runs, budget: Budget, seed: int
) -> tuple[LocalOption, dict[str, float]]:
    """The option that surely gains most on left-out training runs, or one model."""
    options = [LocalOption(K, whole) for whole in (False, True) for K in CANDIDATES]
    expected = expected_solid_gains(b, x, train, learn_inputs, options, budget=budget, rng=seed)
    best, gain = best_option(expected)
    if gain.gain - gain.std <= 1.0:
        best = LocalOption(1, False)
    numbers = gain_rows(expected)
    numbers["expected_gain_std"] = gain.std
    return best, numbers


def gain_rows(expected: Mapping[LocalOption, SolidGain]) -> dict[str, float]:
    """expected_gain_KIND_K -> gain."""
    rows = {}
    for option, value in expected.items():
        kind = "runs" if option.whole_runs else "snapshots"
        rows[f"expected_gain_{kind}_{option.clusters}"] = value.gain
    return rows


def error_rows(b: Body, test: Runs, answers: Mapping[str, list[Fields]]) -> dict[str, float]:
    """Mean and 90 % quantile of the errors of u and stress of every kind of answer."""
    rows: dict[str, float] = {}
    for name, fields in answers.items():
        errors = field_errors(b, test, fields)
        for error, field in zip(errors.T, ("u", "stress"), strict=True):
            rows[f"{name}_{field}_error_mean"] = float(error.mean())
            rows[f"{name}_{field}_error_q90"] = float(np.quantile(error, 0.9))
        rows[f"not_converged_{name}"] = sum(answer is None for answer in fields)
    return rows


def gains(numbers: Mapping[str, Any]) -> dict[str, float]:
    """gain_FIELD_STATISTIC : global over local error."""
    rows = {}
    for field in ("u", "stress"):
        for statistic in ("mean", "q90"):
            name = f"{field}_error_{statistic}"
            rows[f"gain_{field}_{statistic}"] = numbers[f"global_{name}"] / numbers[f"local_{name}"]
    return rows


if __name__ == "__main__":
    run(main)
