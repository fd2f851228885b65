"""Three journeys through the package, as calls between files of rom/."""

from __future__ import annotations

import tempfile
from functools import partial
from pathlib import Path

import numpy as np

from cases import own_solver
from cases.viscoplastic_cube import HOT, cube, hot_spot, two_cycles
from rom.campaign import collect
from rom.design.designs import sobol
from rom.shapes import Reduction, shape_model
from rom.solids import Tolerances, train_solid
from rom.solids.steps import reduced_step, start_run
from solvers.solid import march
from tests.metrics import hops
from tests.test_morph import square
from tests.test_shapes import SIDES, plates

RUNS = 16
SAMPLES = 12
STEPS = 10  # of the history that the body is trained on


def collect_runs() -> int:
    """Hops of a campaign of RUNS runs into a fresh store."""
    mus = sobol(own_solver.box, RUNS)
    with tempfile.TemporaryDirectory() as folder:
        store = Path(folder) / "runs"
        return hops(partial(collect, own_solver.solve, mus, store, box=own_solver.box))


def train_shapes() -> int:
    """Hops of the training of a model of SAMPLES shapes."""
    samples, reduction = plates(SAMPLES, 0), Reduction(shape=3, fields=6)
    act = partial(
        shape_model,
        samples,
        SIDES,
        square(14),
        names=("load",),
        units=("N",),
        reduction=reduction,
    )
    return hops(act)


def reduced_solid_step() -> int:
    """Hops of one reduced step of a small hot cube."""
    body = cube(2, HOT)
    loading = two_cycles(body, hot_spot(body, np.random.default_rng([1, 0])))
    history = march(body, loading, loading.t[: STEPS + 1])
    model = train_solid(body, [history], Tolerances(u=1e-4, p=1e-4, stress=1e-4, cubature=1e-5))
    run = start_run(model, body, loading)
    for t0, t1 in zip(loading.t[:STEPS], loading.t[1:], strict=False):
        run = reduced_step(run, float(t0), float(t1))
    t0, t1 = (float(t) for t in loading.t[STEPS : STEPS + 2])
    return hops(partial(reduced_step, run, t0, t1))
