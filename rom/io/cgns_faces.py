"""Polygons (NGON_n) and polyhedra (NFACE_n) of CGNS.

Where every element of a section ends stands in ElementStartOffset, or, before version 4, in a
leading number of entries of each. Cells of a section without NFACE_n are those that faces name as
their ParentElements. Reference: CGNS Standard Interface Data Structures (2023).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from rom.errors import BadInput
from rom.io.cgns_tree import CgnsNode
from rom.io.pieces import Faces, no_faces

NGON, NFACE = 22, 23  # of ElementType_t


@dataclass(frozen=True, eq=False)
class Ragged:
    """Elements of several lengths: numbers, entries, and where those of each end."""

    numbers: np.ndarray
    entries: np.ndarray
    ends: np.ndarray

    def take(self, rows: np.ndarray) -> Ragged:
        """Some of the elements."""
        sizes = np.diff(self.ends, prepend=0)[rows]
        ends = np.cumsum(sizes)
        places = np.repeat(self.ends[rows] - ends, sizes) + np.arange(int(sizes.sum()))
        return Ragged(self.numbers[rows], self.entries[places], ends)


def read_ragged(file: str, section: CgnsNode) -> Ragged:
    """The elements of a section. Raises BadInput where its lengths do not fit."""
    first, last = (int(number) for number in section["ElementRange"].data.ravel())
    entries = section["ElementConnectivity"].data.astype(np.int64).ravel()
    count = last - first + 1
    if "ElementStartOffset" in section:
        starts = section["ElementStartOffset"].data.astype(np.int64).ravel()
        ends = starts[1:]
        is_whole = len(starts) == count + 1 and starts[0] == 0
    else:
        entries, ends = _without_sizes(entries, count)
        is_whole = len(ends) == count
    if not is_whole or (np.diff(ends, prepend=0) <= 0).any() or ends[-1:].sum() != len(entries):
        raise BadInput(
            f"{file}: the {count} elements of section {section.name} do not fit its "
            f"{len(entries)} entries; is it complete?"
        )
    return Ragged(np.arange(first, last + 1), entries, ends)


def _without_sizes(entries: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Entries without the number of them that leads each element, and their ends."""
    places: list[int] = []
    place = 0
    while place < len(entries) and len(places) < count:
        places.append(place)
        place += 1 + max(int(entries[place]), 0)
    sizes = entries[places] if places else np.zeros(0, np.int64)
    inner = np.ones(len(entries), dtype=bool)
    inner[places] = False
    return entries[inner], np.cumsum(sizes)


def join_ragged(parts: list[Ragged]) -> Ragged:
    """The elements of several sections."""
    parts = [Ragged(*(np.zeros(0, np.int64),) * 3), *parts]
    starts = np.cumsum([0, *(len(part.entries) for part in parts)])
    ends = [part.ends + start for part, start in zip(parts, starts, strict=False)]
    return Ragged(
        np.concatenate([part.numbers for part in parts]),
        np.concatenate([part.entries for part in parts]),
        np.concatenate(ends),
    )


def parents_of(sections: Iterable[CgnsNode]) -> tuple[np.ndarray, np.ndarray]:
    """Numbers of faces (j,), minus where one turns inwards, and the cell of each."""
    signed, owners = [], []
    for section in sections:
        if "ParentElements" not in section:
            continue
        first = int(section["ElementRange"].data.ravel()[0])
        for sign, side in zip(
            (1, -1), section["ParentElements"].data.astype(np.int64), strict=True
        ):
            its = np.flatnonzero(side > 0)
            signed.append(sign * (first + its))
            owners.append(side[its])
    if not signed:
        return np.zeros(0, np.int64), np.zeros(0, np.int64)
    whole, owner = np.concatenate(signed), np.concatenate(owners)
    order = np.argsort(owner, kind="stable")
    return whole[order], owner[order]


def polyhedra(file: str, faces: Ragged, signed: np.ndarray, cell: np.ndarray) -> Faces:
    """Cells by faces that a file numbers, minus where they turn inwards.

    cell : number (j,) of the cell of each, that rises. Raises BadInput for faces that are not
    there.
    """
    if not len(signed):
        return no_faces()
    order = np.argsort(faces.numbers)
    place = np.searchsorted(faces.numbers, np.abs(signed), sorter=order)
    rows = order[np.minimum(place, len(order) - 1)] if len(order) else place
    if not len(order) or (faces.numbers[rows] != np.abs(signed)).any():
        raise BadInput(f"{file}: a cell of section NFACE_n has a face that is no NGON_n")
    its = faces.take(rows)
    numbers, owner = np.unique(cell, return_inverse=True)
    return Faces(numbers, _turned(its, signed < 0) - 1, its.ends, owner)


def _turned(faces: Ragged, backwards: np.ndarray) -> np.ndarray:
    """The nodes of faces, of some in the other order."""
    sizes = np.diff(faces.ends, prepend=0)
    k = np.arange(len(faces.entries))
    starts = np.repeat(faces.ends - sizes, sizes)
    mirror = np.repeat(faces.ends, sizes) - 1 - (k - starts)
    return faces.entries[np.where(np.repeat(backwards, sizes), mirror, k)]


def outer_faces(signed: np.ndarray, numbers: np.ndarray) -> np.ndarray:
    """Whether faces are of one cell alone, or of none."""
    return np.isin(numbers, np.abs(signed)[_repeats(np.abs(signed))], invert=True)


def _repeats(numbers: np.ndarray) -> np.ndarray:
    _, inverse, count = np.unique(numbers, return_inverse=True, return_counts=True)
    return count[inverse] > 1
