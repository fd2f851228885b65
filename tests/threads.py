"""Ranks as threads that count their messages.

The communicator's part that Space needs, for any number of ranks on one core.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np


@dataclass(eq=False)
class Shared:
    """What the ranks have in common.

    a meeting point, their parts, and the log of (collective, numbers sent by a rank).
    """

    size: int
    parts: list[Any] = field(default_factory=list)
    log: list[tuple[str, int]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.parts, self.barrier = [None] * self.size, threading.Barrier(self.size, timeout=60)


@dataclass(eq=False)
class Rank:
    """One rank of `Shared`, with the calls of an mpi4py communicator."""

    shared: Shared
    rank: int

    def Get_rank(self) -> int:
        return self.rank

    def Get_size(self) -> int:
        return self.shared.size

    def _meet(self, name: str, part: np.ndarray) -> list[np.ndarray]:
        self.shared.parts[self.rank] = np.array(part)
        if self.rank == 0:
            self.shared.log.append((name, np.asarray(part).size))
        self.shared.barrier.wait()
        everyone = list(self.shared.parts)
        self.shared.barrier.wait()
        return everyone

    def Allreduce(self, part: np.ndarray, total: np.ndarray) -> None:
        total[...] = sum(self._meet("Allreduce", part))

    def Allgather(self, part: np.ndarray, everyone: np.ndarray) -> None:
        everyone[...] = np.concatenate(self._meet("Allgather", part)).reshape(everyone.shape)

    def Allgatherv(self, part: np.ndarray, everyone: Any) -> None:
        everyone[0][...] = np.concatenate(self._meet("Allgatherv", part))

    def Barrier(self) -> None:
        self._meet("Barrier", np.zeros(0))


def on_ranks(size: int, act: Callable[[Rank], Any]) -> tuple[list[Any], list[tuple[str, int]]]:
    """(what `act(rank)` gave on every rank, the log of collectives)."""
    shared, answers, wrong = Shared(size), [None] * size, []

    def run(rank: int) -> None:
        try:
            answers[rank] = act(Rank(shared, rank))
        except BaseException as error:
            wrong.append(error)
            shared.barrier.abort()

    threads = [threading.Thread(target=run, args=(rank,)) for rank in range(size)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if wrong:
        raise wrong[0]
    return answers, shared.log
