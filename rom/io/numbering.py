"""Numbers that a file gives its nodes and elements, and their places."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from rom.errors import ForeignFile


@dataclass(frozen=True, eq=False)
class Numbering:
    """Numbers (n,) in order and the place of each."""

    numbers: np.ndarray
    place: np.ndarray

    def find(self, numbers: np.ndarray) -> np.ndarray:
        """Places of numbers of any shape, -1 where there is none of that number."""
        keys = np.asarray(numbers, dtype=np.int64)
        if not len(self.numbers):
            return np.full(keys.shape, -1)
        i = np.minimum(np.searchsorted(self.numbers, keys), len(self.numbers) - 1)
        return np.where(self.numbers[i] == keys, self.place[i], -1)

    def require(self, numbers: np.ndarray, what: str) -> np.ndarray:
        """Places of numbers. Raises ForeignFile where `what` names one that is absent."""
        places = self.find(numbers)
        if (places < 0).any():
            absent = np.asarray(numbers).ravel()[np.argmin(places.ravel())]
            raise ForeignFile(f"{what} names number {int(absent)}, which is absent")
        return places


def number_places(numbers: np.ndarray, what: str) -> Numbering:
    """The numbering of numbers (n,). Raises ForeignFile where one stands twice."""
    place = np.argsort(numbers, kind="stable")
    ordered = np.asarray(numbers, dtype=np.int64)[place]
    if (np.diff(ordered) == 0).any():
        twice = int(ordered[np.argmin(np.diff(ordered))])
        raise ForeignFile(f"{what}: number {twice} stands twice")
    return Numbering(ordered, place)
