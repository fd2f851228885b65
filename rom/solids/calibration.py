"""Calibrating error indicators on histories that their models have not seen.

Bare runs come first, then runs that the models enrich themselves.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from rom.arrays import gate
from rom.bands import Indicator, calibrate_indicator
from rom.errors import BadInput
from rom.history import History
from rom.loading import Loading
from rom.solids.body import Solid
from rom.solids.model import FEATURES, RunState, SolidModel
from rom.solids.norms import componentwise
from rom.solids.runs import FollowedRun, Watch, continue_run
from rom.solids.steps import start_run, with_expected_sizes

QUANTITIES = ("u", "p", "stress")
LEVEL = 0.95  # share of the steps that the indicators cover
WATCH_LEVEL = 0.95  # share of the runs all of whose steps the watching indicators cover
FLOOR = 1e-4  # errors and features below it count as this


@dataclass(frozen=True, eq=False)
class CalibrationData:
    """Reduced steps: run (m,), errors (m, 3) of QUANTITIES, features (m, 6)."""

    run: np.ndarray
    errors: np.ndarray
    features: np.ndarray

    def error(self, name: str) -> np.ndarray:
        """Errors (m,) of one of QUANTITIES."""
        return self.errors[:, QUANTITIES.index(name)]


@gate(truth=History)
def step_errors(body: Solid, states: Sequence[RunState], truth: History) -> np.ndarray:
    """Errors (m, 3) of u, p and stress at steps over their largest true norms."""
    six = componentwise(body.points)
    true_stress = truth.stress.reshape(six.n, -1)
    rows = []
    for k, state in enumerate(states):
        of_u = body.space.norm(state.u() - truth.u[:, k])
        of_p = body.points.norm(state.p() - truth.p[:, k])
        of_stress = six.norm(state.stress().ravel() - true_stress[:, k])
        rows.append((of_u, of_p, of_stress))
    largest = [
        body.space.norm(truth.u).max(),
        body.points.norm(truth.p).max(),
        six.norm(true_stress).max(),
    ]
    return np.asarray(np.array(rows) / largest)


def observe_run(number: int, run: FollowedRun, errors: np.ndarray) -> CalibrationData:
    """What the reduced steps of a run teach; errors (m, 3) of all its steps."""
    reduced = [k for k, step in enumerate(run.steps) if not step.full]
    features = [run.states[k].features for k in reduced]
    return CalibrationData(
        run=np.full(len(reduced), number),
        errors=errors[reduced].reshape(-1, len(QUANTITIES)),
        features=np.array(features).reshape(-1, len(FEATURES)),
    )


def join_observations(parts: Sequence[CalibrationData]) -> CalibrationData:
    """The observations of several runs as one."""
    return CalibrationData(
        run=np.concatenate([part.run for part in parts]),
        errors=np.vstack([part.errors for part in parts]),
        features=np.vstack([part.features for part in parts]),
    )


@gate(model=SolidModel, loading=Loading)
def follow_with_and_without(
    body: Solid,
    model: SolidModel,
    loading: Loading,
    watch: Watch,
    *,
    full_steps: Collection[int] = (0,),
    max_full_steps: int | None = None,
) -> tuple[FollowedRun, FollowedRun]:
    """A run that is watched alone, and the same run enriched. Options as in `follow`."""
    start = with_expected_sizes(start_run(model, body, loading))
    bare = continue_run(start, body, watch=watch)
    enriched = continue_run(
        start,
        body,
        watch=watch,
        full_steps=full_steps,
        max_full_steps=max_full_steps,
        compact_states=True,
    )
    return bare, enriched


@gate(model=SolidModel)
def calibrate_solid(
    body: Solid,
    model: SolidModel,
    runs: Sequence[tuple[Loading, History]],
    tolerances: Mapping[str, float],
    *,
    max_full_steps: int,
    full_steps: Collection[int] = (0,),
) -> tuple[dict[str, Indicator], Watch]:
    """Indicators of the errors named in `tolerances`, and a watch that enriches.

    runs : that the model was not trained on. First without enrichment, then with at most
        `max_full_steps` full steps where the first indicators ask for them, so that they are
        asked about what they were calibrated on
    Returns indicators that cover 95 % of the steps; those of the watch cover all steps of
    95 % of the runs, for a tolerance is meant for all steps. Raises BadInput with fewer than
    three runs.
    """
    starts = [with_expected_sizes(start_run(model, body, loading)) for loading, _ in runs]
    parts: list[CalibrationData] = []
    watch = Watch()
    for chosen, limit in (((), 0), (full_steps, max_full_steps)):
        for number, (start, (_, truth)) in enumerate(zip(starts, runs, strict=True)):
            run = continue_run(
                start,
                body,
                watch=watch,
                full_steps=chosen,
                max_full_steps=limit,
                compact_states=True,
            )
            parts.append(observe_run(number, run, step_errors(body, run.states, truth)))
        data = join_observations(parts)
        indicators = {name: _calibrate(data, name, WATCH_LEVEL, whole=True) for name in tolerances}
        watch = Watch(indicators, tolerances)
    return {name: _calibrate(data, name, LEVEL) for name in tolerances}, watch


@gate(model=SolidModel)
def with_indicators(model: SolidModel, indicators: Mapping[str, Indicator]) -> SolidModel:
    """The model with indicators of the errors of QUANTITIES: its answers hold them.

    Raises BadInput for another name.
    """
    for name in indicators:
        if name not in QUANTITIES:
            raise BadInput(f"no error {name!r}; indicators are of {', '.join(QUANTITIES)}")
    return replace(model, indicators=dict(indicators))


def _calibrate(data: CalibrationData, name: str, level: float, *, whole: bool = False) -> Indicator:
    return calibrate_indicator(
        FEATURES,
        data.features,
        data.error(name),
        data.run,
        level=level,
        floor=FLOOR,
        whole=whole,
    )
