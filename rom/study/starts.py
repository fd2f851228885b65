"""True fields at the first time, for models that ask where to start from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from rom.model import Asks, Question
from rom.prediction import rows_by_field


def asks_starts(model: Any) -> bool:
    """Whether a model needs the fields that it tells, at the first time."""
    asks: Asks = model.asks
    names = {quantity.name for quantity in model.tells}
    needed = [quantity.name for quantity in asks.fields if not quantity.optional]
    return asks.times is not None and bool(needed) and names.issuperset(needed)


def asks_field(asks: Asks) -> bool:
    """Whether a question is a field alone, which true runs hold beside what is told."""
    return asks.p == 0 and asks.times is None and len(asks.fields) == 1 and not asks.mesh


def asks_without_starts(model: Any) -> Asks:
    """What a model asks, the fields that a true run brings left open."""
    asks: Asks = model.asks
    if not asks_starts(model):
        return asks
    fields = tuple(replace(quantity, optional=True) for quantity in asks.fields)
    return replace(asks, fields=fields)


def with_starts(model: Any, question: Question, runs: Sequence[np.ndarray]) -> Question:
    """The question with the first states of true runs (n, n_t), one for each sample."""
    if question.fields or not runs or not asks_starts(model):
        return question
    states = np.stack([np.reshape(u, (len(u), -1))[:, 0] for u in runs], axis=1)
    fields = {}
    for quantity, rows in rows_by_field(model.basis.space):
        fields[quantity.name] = states[rows].reshape(-1, quantity.components, len(runs))
    return replace(question, fields=fields)
