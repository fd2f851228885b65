"""Splits of runs for training without some, and one study of all splits."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import fields, replace
from typing import Any

import numpy as np

from rom.errors import BadInput
from rom.study.discrepancy import Discrepancy, Study

Fold = tuple[np.ndarray, np.ndarray]  # runs to train on, runs to compare with
ARRAYS = ("norm", "error", "floor", "bound", "bound_error", "ratio")
SECONDS = ("full_seconds", "online_seconds", "batch_seconds")


def leave_one_out(m: int) -> tuple[Fold, ...]:
    """m splits of m runs: each once against all others. Raises BadInput."""
    if m < 2:
        raise BadInput(f"{m} run cannot be left out of itself; give at least 2 runs")
    every = np.arange(m)
    return tuple((np.delete(every, k), every[k : k + 1]) for k in range(m))


def split_off(m: int, share: float, rng: int) -> tuple[Fold, ...]:
    """One split of m runs: a random share of them against the rest.

    Raises BadInput where either part would be empty.
    """
    count = round(share * m) if 0.0 < share < 1.0 else 0
    if not 0 < count < m:
        raise BadInput(f"a share {share:g} of {m} runs leaves nothing on one side; give another")
    order = np.random.default_rng(rng).permutation(m)
    return ((np.sort(order[count:]), np.sort(order[:count])),)


def join_studies(studies: Sequence[Study]) -> Study:
    """One study of the samples of several, in their order; None where one has None."""
    sizes = [len(study.mu) for study in studies]
    arrays = {name: _join([getattr(study, name) for study in studies]) for name in ARRAYS}
    seconds: dict[str, Any] = {
        name: float(np.average([getattr(study, name) for study in studies], weights=sizes))
        for name in SECONDS
    }
    trivial = {
        name: np.concatenate([study.trivial[name] for study in studies])
        for name in studies[0].trivial
        if all(name in study.trivial for study in studies)
    }
    return replace(
        studies[0],
        mu=np.concatenate([study.mu for study in studies]),
        **arrays,
        **seconds,
        fields=tuple(_join_parts([study.fields for study in studies])),
        outputs=tuple(_join_parts([study.outputs for study in studies])),
        trivial=trivial,
        failed=tuple(failure for study in studies for failure in study.failed),
    )


def _join(arrays: Sequence[np.ndarray | None]) -> Any:
    """One array of several, or None."""
    present = [array for array in arrays if array is not None]
    return np.concatenate(present) if len(present) == len(arrays) else None


def _join_parts(parts: Sequence[Sequence[Discrepancy]]) -> Iterator[Discrepancy]:
    """Each field or output over the samples of all studies."""
    for same in zip(*parts, strict=True):
        columns = {
            field.name: _join([getattr(part, field.name) for part in same])
            for field in fields(Discrepancy)
            if isinstance(getattr(same[0], field.name), np.ndarray)
        }
        yield replace(same[0], **columns)
