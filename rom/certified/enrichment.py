"""The greedy loop, separate from what is enriched."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from rom.arrays import POINTS, function, gate
from rom.errors import BadInput

LOG = logging.getLogger("rom")
TOL_REACHED = "tol reached"
RANK_REACHED = "rank reached"
NO_NEW_DIRECTION = "no new direction: the error estimate is at its round-off"


@dataclass(frozen=True, eq=False)
class GreedyStep:
    """One step of a greedy loop: rank r, worst parameter mu (p,), its estimate.

    stop : why the loop ended here, or ""
    """

    r: int
    mu: np.ndarray
    error: float
    stop: str = ""


@gate(train=POINTS, error=function)
def greedy(
    model: Any,
    train: np.ndarray,
    error: Callable[[Any, np.ndarray], np.ndarray],
    enrich: Callable[[Any, np.ndarray], Any],
    *,
    tol: float,
    rank: int | None = None,
) -> tuple[Any, tuple[GreedyStep, ...]]:
    """Enrich the model at mu_{r+1} = argmax over train of error(model, mu).

    error : (model, (m, p)) -> (m,); enrich : (model, (p,)) -> model
    The loop ends where the largest error is at most `tol`, at `rank` modes, or where an
    enrichment brought nothing new; the last step of the history says which.
    Raises BadInput for an empty training set, or a NaN estimate (the parameter is named).
    Reference: Binev et al. (2011).
    """
    history: list[GreedyStep] = []
    while True:
        step = _worst_step(model.basis.r, train, np.asarray(error(model, train)))
        step = replace(step, stop=_stop_reason(step, history, tol, rank))
        history.append(step)
        LOG.info("greedy: r = %d, max error %.3e at %s %s", step.r, step.error, step.mu, step.stop)
        if step.stop:
            return model, tuple(history)
        model = enrich(model, step.mu)


def _worst_step(r: int, train: np.ndarray, errors: np.ndarray) -> GreedyStep:
    """The parameter of the largest error. Raises BadInput for NaN or Inf."""
    finite = np.isfinite(errors)
    if not finite.all():
        raise BadInput(
            f"the error estimate is NaN or Inf at mu = {train[np.argmin(finite)]}; "
            "check its stability bound"
        )
    worst = int(np.argmax(errors))
    return GreedyStep(r, train[worst], float(errors[worst]))


def _stop_reason(
    step: GreedyStep, history: Sequence[GreedyStep], tol: float, rank: int | None
) -> str:
    if step.error <= tol:
        return TOL_REACHED
    if rank is not None and step.r >= rank:
        return RANK_REACHED
    if len(history) > 1 and step.r == history[-1].r:
        return NO_NEW_DIRECTION
    return ""
