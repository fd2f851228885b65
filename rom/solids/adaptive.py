"""Adaptive enrichment: a reduced march that takes one high-fidelity step wherever its own error indicator says so.

Reference: Casenave & Akkari (2019).
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from rom.errors import NotConverged

log = logging.getLogger("rom")


@dataclass(frozen=True, eq=False)
class RunStep:
    """What happened on the way to time t: the estimate of the reduced step over its tolerance, and why a full step was taken.

    full : whether the answer is high fidelity; modes, points : of the model afterwards
    """

    t: float
    estimate: float
    full: bool
    reason: str
    modes: int
    points: int


def adaptive(
    model: Any,
    times: Sequence[float] | np.ndarray,
    advance: Callable[[Any, float, float], Any],
    estimate: Callable[[Any], tuple[float, str]],
    enrich: Callable[[Any, float, float], Any],
    seeds: Collection[int] = (0,),
    most: int | None = None,
    size: Callable[[Any], tuple[int, int]] = lambda model: (0, 0),
    passed: Callable[[Any], Any] = lambda model: model,
) -> tuple[list[Any], list[RunStep]]:
    """The models after each step and what happened: advance(model) where estimate(...) <= 1, else enrich(model), one full step.

    advance, enrich : (model, t0, t1) -> the model moved on to t1; estimate : model -> (estimate over tolerance, its name)
    seeds : steps that are full whatever the estimate says (the elastic answer to new data, which no residual of p can see)
    passed : model -> what is kept of it when a later one is enriched; most : full steps allowed; where they are spent the march goes on reduced, and the visits say so.
    """
    models: list[Any] = []
    visits, spent = [], 0
    for k, (t0, t1) in enumerate(pairwise(times)):
        ratio, reason = np.inf, "first answer to new data" if k == 0 else "asked for beforehand"
        tried = None
        if k not in seeds:
            try:
                tried = advance(model, t0, t1)
                ratio, name = estimate(tried)
                reason = f"{name} estimated at {ratio:.2g} of its tolerance"
            except NotConverged as error:
                reason = f"the reduced step failed: {error}"
        full = (k in seeds or ratio > 1.0) and (most is None or spent < most)
        if not full and tried is None:
            raise NotConverged(
                f"at t = {t1:g} s all {most} full steps are spent and the reduced step fails; allow more: {reason}"
            )
        model = enrich(model, t0, t1) if full else tried
        spent += full
        why = (
            reason
            if full
            else ""
            if ratio <= 1.0
            else f"{reason}, but all {most} full steps are spent"
        )
        visits.append(RunStep(float(t1), float(ratio), bool(full), why, *size(model)))
        if full:
            models = [passed(m) for m in models]
        models.append(model)
        if full:
            log.info("full step to %g s: %s", t1, reason)
    return models, visits
