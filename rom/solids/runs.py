"""Follow a hyper-reduced solid under a new loading.

    run = follow(model, body, loading, watch=Watch(indicators, tolerances), max_full_steps=5)
    run.states[-1].p()          # plastic strain (g,) on the whole mesh
    [step.t for step in run.steps if step.full]

Reference: Casenave and Akkari (2019).
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from itertools import pairwise

import numpy as np

from rom.arrays import gate
from rom.bands import Indicator
from rom.errors import BadInput, NotConverged
from rom.loading import Loading
from rom.solids.body import Solid
from rom.solids.model import RunState, SolidModel
from rom.solids.steps import full_step, reduced_step, start_run, with_expected_sizes

log = logging.getLogger("rom")

FIRST = "first answer to new data"
ASKED = "asked for beforehand"


@dataclass(frozen=True, eq=False)
class Watch:
    """Indicators by what they estimate, and the relative error each may reach.

    Without indicators a run is watched, that is its features are known, but not judged.
    """

    indicators: Mapping[str, Indicator] = field(default_factory=dict)
    tolerances: Mapping[str, float] = field(default_factory=dict)

    def worst(self, state: RunState) -> tuple[str, float]:
        """The quantity nearest to its tolerance, and its estimate over that tolerance."""
        name, ratio = "", 0.0
        for each, indicator in self.indicators.items():
            estimate = float(indicator.upper(state.features[None])[0])
            relative = estimate / self.tolerances[each]
            if not name or relative > ratio:
                name, ratio = each, relative
        return name, ratio


@dataclass(frozen=True, eq=False)
class RunStep:
    """One step to time t [s]: estimate over tolerance, whether full, and why.

    estimate : of the reduced step; inf where none was tried, or it failed
    full : whether the answer is high fidelity; modes, points : of the model afterwards
    """

    t: float
    estimate: float
    full: bool
    reason: str
    modes: int
    points: int


@dataclass(frozen=True, eq=False)
class FollowedRun:
    """States and steps at loading.t[1:]; `model` has learnt from the full steps."""

    states: tuple[RunState, ...]
    steps: tuple[RunStep, ...]
    model: SolidModel


@dataclass(frozen=True, eq=False)
class _Trial:
    """A reduced step: its state or None, estimate over tolerance, what it says."""

    state: RunState | None
    ratio: float
    reason: str


@gate(model=SolidModel, loading=Loading)
def follow(
    model: SolidModel,
    body: Solid,
    loading: Loading,
    *,
    watch: Watch | None = None,
    full_steps: Collection[int] = (),
    max_full_steps: int | None = 0,
) -> FollowedRun:
    """The answer of a model to a loading, with full steps where they are asked for.

    watch : where the estimate of an error passes its tolerance, a step is full
    full_steps : numbers of steps that are full in any case
    max_full_steps : at most so many in all; None for no limit
    Raises NotConverged where a reduced step fails and no full step is left.
    """
    state = start_run(model, body, loading)
    if watch is not None:
        state = with_expected_sizes(state)
    return continue_run(
        state, body, watch=watch, full_steps=full_steps, max_full_steps=max_full_steps
    )


@gate(state=RunState)
def continue_run(
    state: RunState,
    body: Solid,
    *,
    watch: Watch | None = None,
    full_steps: Collection[int] = (),
    max_full_steps: int | None = 0,
    compact_states: bool = False,
) -> FollowedRun:
    """A run that goes on from a state to the end of its loading.

    A state can be stored between two cycles, or two days. Options as `follow` takes them;
    steps are numbered from here.

    compact_states : of the states that an enrichment leaves behind keep what `compact` keeps
    Raises BadInput at the end of the loading, NotConverged as `follow`.
    """
    later = state.loading.t[state.loading.t > state.t]
    if not later.size:
        raise BadInput(
            f"the run is at {state.t:g} s, the end of its loading; there is nothing left to follow"
        )
    states: list[RunState] = []
    steps: list[RunStep] = []
    for number, (t0, t1) in enumerate(pairwise([state.t, *later.tolist()])):
        if number in full_steps:
            trial = _Trial(None, np.inf, FIRST if number == 0 else ASKED)
        else:
            trial = _try_reduced_step(state, t0, t1, watch)
        spent = sum(step.full for step in steps)
        allowed = max_full_steps is None or spent < max_full_steps
        full = trial.ratio > 1.0 and allowed
        reason = trial.reason
        if full:
            state = full_step(state, body, t0, t1)
            log.info("full step to %g s: %s", t1, reason)
            if compact_states:
                states = [compact(earlier) for earlier in states]
        elif trial.state is None:
            raise NotConverged(
                f"at t = {t1:g} s all {max_full_steps} full steps are spent and the reduced step "
                f"fails; allow more: {reason}"
            )
        else:
            state = trial.state
            reason = ""
            if trial.ratio > 1.0:
                reason = f"{trial.reason}, but all {max_full_steps} full steps are spent"
        modes, points = state.trained.basis.r, len(state.trained.model.points)
        states.append(state)
        steps.append(RunStep(t1, trial.ratio, full, reason, modes, points))
    return FollowedRun(tuple(states), tuple(steps), state.trained)


def compact(state: RunState) -> RunState:
    """A state that an enrichment left behind: it answers u, p, stress and features.

    What only a continuation needs of its model is gone.
    """
    trained = state.trained

    def empty(field_: np.ndarray) -> np.ndarray:
        """No rows of a field."""
        return np.zeros((0, *field_.shape[1:]))

    bare = replace(
        trained,
        strain=empty(trained.strain),
        tests=empty(trained.tests),
        watch=empty(trained.watch),
        rows=empty(trained.rows),
        moves=None,
        moves_strain=None,
    )
    return replace(state, trained=bare)


def _try_reduced_step(state: RunState, t0: float, t1: float, watch: Watch | None) -> _Trial:
    """The reduced step; without a state where it fails."""
    try:
        reduced = reduced_step(state, t0, t1)
    except NotConverged as error:
        return _Trial(None, np.inf, f"the reduced step failed: {error}")
    if watch is None:
        return _Trial(reduced, 0.0, "")
    name, ratio = watch.worst(reduced)
    return _Trial(reduced, ratio, f"{name} estimated at {ratio:.2g} of its tolerance")
