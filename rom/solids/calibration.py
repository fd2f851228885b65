"""Calibrating error indicators on histories that their models have not seen: bare runs first, then runs that they enrich themselves."""

from __future__ import annotations

import numpy as np

from rom.bands import Indicator, calibrate_indicator
from rom.history import History
from rom.loading import Loading
from rom.problem import Solid
from rom.solids.adaptive import RunStep
from rom.solids.training import (
    FEATURES,
    RunState,
    SolidModel,
    componentwise,
    continue_run,
    start_run,
    with_expected_sizes,
)

KINDS = ("u", "p", "stress")
LEVEL, GUARD, FLOOR = 0.95, 0.95, 1e-4


def step_errors(body: Solid, runs: list[RunState], h: History) -> np.ndarray:
    """Errors of u, p and stress (m, 3) at the steps of a history, each over its largest norm in the history."""
    six = componentwise(body.points)
    stress = h.stress.reshape(six.n, -1)
    found = [
        (
            body.space.norm(r.u() - h.u[:, k]),
            body.points.norm(r.p() - h.p[:, k]),
            six.norm(r.stress().ravel() - stress[:, k]),
        )
        for k, r in enumerate(runs)
    ]
    return np.array(found) / [
        body.space.norm(h.u).max(),
        body.points.norm(h.p).max(),
        six.norm(stress).max(),
    ]


def observe_run(
    number: int, runs: list[RunState], visits: list[RunStep], found: np.ndarray
) -> np.ndarray:
    """Rows (run, errors of u, p and stress, features) of the steps that were not full ones."""
    rows = [(number, *found[k], *run.features) for k, run in enumerate(runs) if not visits[k].full]
    return np.array(rows).reshape(-1, 1 + len(KINDS) + len(FEATURES))


def judge_run(
    body: Solid, number: int, runs: list[RunState], visits: list[RunStep], h: History
) -> np.ndarray:
    """The rows of `observed` of a run whose history is known."""
    return observe_run(number, runs, visits, step_errors(body, runs, h))


def follow_with_and_without(
    body: Solid, model: SolidModel, loading: Loading, guards: dict[str, tuple[Indicator, float]], seeds: tuple[int, ...] = (0,),
    most: int | None = None,
) -> tuple[tuple[list[RunState], list[RunStep]], tuple[list[RunState], list[RunStep]]]:  # fmt: skip
    """A run that is watched alone, and the same run enriched by at most `most` full steps: see `rom.solids.training.followed`."""
    start = with_expected_sizes(start_run(model, body, loading))
    return continue_run(start, body, guards), continue_run(
        start, body, guards, seeds, most, light=True
    )


def calibrate_solid(
    body: Solid, model: SolidModel, held: list[tuple[Loading, History]], tols: dict[str, float], most: int,
    seeds: tuple[int, ...] = (0,),
) -> tuple[dict[str, Indicator], dict[str, tuple[Indicator, float]]]:  # fmt: skip
    """Indicators of the errors named in `tols` from histories that the model was not trained on, and those that enrich, with their
    tolerances.

    First from runs without enrichment, then from those and the runs that the first indicators enrich by at most `most` full steps,
    so that they are asked about what they were calibrated on. The indicators cover 95 % of the steps; those that enrich cover all steps of
    95 % of the runs, for a tolerance is meant for all steps of a run. Raises BadInput with fewer than three runs.
    """
    starts = [with_expected_sizes(start_run(model, body, loading)) for loading, _ in held]
    rows: list[np.ndarray] = []
    guards: dict[str, tuple[Indicator, float]] = {}
    for chosen, limit in (((), 0), (seeds, most)):
        for number, (start, (_, h)) in enumerate(zip(starts, held, strict=True)):
            rows.append(
                judge_run(
                    body, number, *continue_run(start, body, guards, chosen, limit, light=True), h
                )
            )
        guards = {name: (_calibrated(rows, name, GUARD, True), tol) for name, tol in tols.items()}
    return {name: _calibrated(rows, name, LEVEL) for name in tols}, guards


def _calibrated(rows: list[np.ndarray], name: str, level: float, whole: bool = False) -> Indicator:
    data = np.vstack(rows)
    return calibrate_indicator(
        FEATURES,
        data[:, 1 + len(KINDS) :],
        data[:, 1 + KINDS.index(name)],
        data[:, 0],
        level=level,
        floor=FLOOR,
        whole=whole,
    )
