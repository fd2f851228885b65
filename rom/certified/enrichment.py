"""The greedy loop, separate from what is enriched."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from rom.errors import BadInput

LOG = logging.getLogger("rom")


@dataclass(frozen=True, eq=False)
class GreedyStep:
    """One look at the training set: modes, the worst parameter and its error estimate, and why the loop ended (or "")."""

    r: int
    mu: np.ndarray
    error: float
    stop: str = ""


def greedy(
    model: Any,
    train: np.ndarray,
    error: Callable[[Any, np.ndarray], np.ndarray],
    enrich: Callable[[Any, np.ndarray], Any],
    tol: float,
    rank: int | None = None,
) -> tuple[Any, tuple[GreedyStep, ...]]:
    """mu_{r+1} = argmax over train of error(model, mu); model <- enrich(model, mu_{r+1}); until the maximum is at most tol.

    error : (model, (m, p)) -> (m,); enrich : (model, (p,)) -> model; rank : at most that many modes
    The history's last step says why the loop stopped: tol, rank, or an enrichment that brought nothing new.
    Raises BadInput for an empty training set or a NaN estimate, naming the parameter. Reference: Binev et al. (2011).
    """
    train = np.asarray(train, dtype=float)
    if train.ndim != 2 or not len(train):
        raise BadInput(f"the training set has shape {train.shape}; give (m, p) with m > 0")
    history: list[GreedyStep] = []
    while True:
        errors = np.asarray(error(model, train))
        if not np.isfinite(errors).all():
            raise BadInput(
                f"the error estimate is NaN or Inf at mu = {train[np.argmin(np.isfinite(errors))]}; check its stability bound"
            )
        worst, r = int(np.argmax(errors)), model.basis.r
        stop = (
            "tol reached"
            if errors[worst] <= tol
            else "rank reached"
            if rank is not None and r >= rank
            else ""
        )
        if not stop and len(history) > 1 and r == history[-1].r:
            stop = "no new direction: the error estimate is at its round-off"
        history.append(GreedyStep(r, train[worst], float(errors[worst]), stop))
        LOG.info("greedy: r = %d, max error %.3e at %s %s", r, errors[worst], train[worst], stop)
        if stop:
            return model, tuple(history)
        model = enrich(model, train[worst])
