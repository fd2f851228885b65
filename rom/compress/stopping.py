"""How many modes: what was asked for, and what round-off allows."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

import numpy as np

from rom.basis import spectral_tail
from rom.errors import BadInput
from rom.snapshots import Snapshots

METHODS = ("auto", "gram", "full", "random")
StopKind = Enum("StopKind", "TOLERANCE RANK ROUND_OFF")


@dataclass(frozen=True)
class Stop:
    """Why a decomposition ended: a kind for programs, a text for readers."""

    kind: StopKind
    text: str


@dataclass(frozen=True)
class Accuracy:
    """The accuracy asked for: a relative projection error, a rank, or both."""

    tol: float | None
    rank: int | None


def check_request(snapshots: Snapshots, request: Accuracy, method: str) -> None:
    """Raises BadInput for a wrong tol, rank or method, or where neither is given."""
    tol, rank = request.tol, request.rank
    if tol is None and rank is None:
        raise BadInput(
            "say how accurate: tol= (relative projection error) or rank= (number of modes)"
        )
    check_tolerance(tol)
    if rank is not None and not 0 < rank <= snapshots.u.shape[1]:
        raise BadInput(
            f"rank = {rank} must lie in 1..{snapshots.u.shape[1]}, the number of snapshots"
        )
    if method not in METHODS:
        raise BadInput(f"unknown method {method!r}; choose auto, gram, full or random")


def check_tolerance(tol: float | None) -> None:
    """Raises BadInput for a tolerance outside (0, 1)."""
    if tol is not None and not 0.0 < tol < 1.0:
        raise BadInput(f"tol = {tol} must lie in (0, 1): it is a relative projection error")


def choose_rank(
    s: np.ndarray, request: Accuracy, floor: float, energy: float | None = None
) -> tuple[int, Stop]:
    """The number of modes r and why it is r.

    s : singular values; those up to `floor` are round-off
    energy : |U|_X^2 where s does not hold all of it, else sum s_i^2
    """
    limit, stop = _largest_rank(s, request.rank, floor)
    tol = request.tol
    if tol is None:
        return limit, stop
    r = _rank_of_tolerance(s, tol, energy)
    if r is not None and r <= limit:
        return r, Stop(StopKind.TOLERANCE, f"tol {tol:g} reached")
    text = f"{stop.text}, tol {tol:g} not reached"
    return limit, Stop(stop.kind, text)


def _largest_rank(s: np.ndarray, rank: int | None, floor: float) -> tuple[int, Stop]:
    """The rank asked for, or the numerical rank where that is smaller."""
    above = np.sum(s > floor)
    numerical_rank = max(1, int(above))
    if rank is not None and rank <= numerical_rank:
        return rank, Stop(StopKind.RANK, f"rank {rank} asked")
    text = f"round-off: only {numerical_rank} singular values exceed {floor / s[0]:.1e} s_1"
    return numerical_rank, Stop(StopKind.ROUND_OFF, text)


def _rank_of_tolerance(s: np.ndarray, tol: float, energy: float | None) -> int | None:
    """The smallest r >= 1 whose tail is at most tol sqrt(energy), or None."""
    captured = np.sum(s**2)
    total = float(captured) if energy is None else energy
    missing = total - captured
    squares = np.maximum(missing + spectral_tail(s), 0.0)
    tails = np.sqrt(squares)
    enough = np.flatnonzero(tails <= tol * np.sqrt(total))
    if not enough.size:
        return None
    return max(int(enough[0]), 1)
