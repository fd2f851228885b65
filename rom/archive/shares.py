"""The rows of a file that one of several ranks reads.

A rank holds a block of consecutive dofs, and of sparse products the dofs that they couple with;
or the dofs of a space that the caller has. Reduced matrices and processes are whole on every rank.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.sparse as sp

from rom.archive.layout import ROWS
from rom.archive.registry import BY_ROWS
from rom.errors import BadInput
from rom.space import Field, Space

Fetch = Callable[..., np.ndarray]
ALONE = "run it without mpiexec"


@dataclass(frozen=True, eq=False)
class Share:
    """Dofs `numbers` (n,) of one rank, rising; `first` .. `last` are its own.

    space : of the caller, in place of that of the file, or None
    """

    comm: Any
    size: int
    first: int
    last: int
    numbers: np.ndarray
    fetch: Fetch
    space: Space | None = None

    @property
    def root(self) -> bool:
        """Whether this rank holds what is not shared out, as a mesh."""
        return bool(self.comm.Get_rank() == 0)

    def cuts(self, noun: str, name: str, node: Any) -> bool:
        """Whether a field of a noun is an array that is read by rows."""
        is_array = isinstance(node, dict) and ("array" in node or "sparse" in node)
        return is_array and name in BY_ROWS.get(noun, ())

    def read(self, noun: str, name: str, node: dict[str, Any]) -> Any:
        """This rank's rows of an array, or its share of a sparse matrix."""
        if noun == "Field":
            return self._rows_of_field(node["array"])
        if (noun, name) == ("Space", "numbers"):
            return self.numbers
        if "sparse" in node:
            return None if self.space is not None else self._matrix(node)
        where = slice(self.first, self.last) if self._consecutive else self.numbers
        rows = self.fetch(node["array"], where, node.get("order", "C"))
        if (noun, name) == ("Space", "product"):
            rows = rows * self._own
        return rows

    def make_space(self, product: Any, fields: tuple[Field, ...]) -> Space:
        """The space of the file on the ranks, or the caller's."""
        if self.space is not None:
            return self.space
        return Space(product, self.numbers, self.comm, fields)

    @property
    def _consecutive(self) -> bool:
        return self.space is None and len(self.numbers) == self.last - self.first

    @property
    def _own(self) -> np.ndarray:
        return (self.numbers >= self.first) & (self.numbers < self.last)

    def _rows_of_field(self, name: str) -> np.ndarray:
        """Local rows of a field. Raises BadInput where its rows do not rise."""
        local, end = [np.zeros(0, dtype=np.int64)], -1
        for rows in blocks_of(self.fetch, name):
            if rows[0] <= end or not (np.diff(rows) > 0).all():
                raise BadInput(f"the rows of a field do not rise from dof to dof; {ALONE}")
            end = int(rows[-1])
            place = np.searchsorted(self.numbers, rows)
            inside = place < len(self.numbers)
            inside[inside] = self.numbers[place[inside]] == rows[inside]
            local.append(place[inside])
        return np.concatenate(local)

    def _matrix(self, node: dict[str, Any]) -> sp.csr_array:
        """The own rows of a matrix (N, N) on the local dofs, the others empty."""
        data, columns, counts = own_entries(node, self.fetch, self.first, self.last)
        n = len(self.numbers)
        sizes = np.zeros(n, dtype=np.int64)
        sizes[self._own] = counts
        starts = np.concatenate([[0], np.cumsum(sizes)])
        return sp.csr_array((data, np.searchsorted(self.numbers, columns), starts), shape=(n, n))


def own_entries(
    node: dict[str, Any], fetch: Fetch, first: int, last: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Values, columns and counts by row of rows first .. last of a sparse matrix."""
    parts = {name: part["array"] for name, part in node["parts"].items()}
    if node["sparse"].split("_")[0] == "csr":
        starts = fetch(parts["indptr"], slice(first, last + 1))
        entries = slice(int(starts[0]), int(starts[-1]))
        return fetch(parts["data"], entries), fetch(parts["indices"], entries), np.diff(starts)
    kind = node["sparse"].split("_")[0]
    if kind != "csc":
        raise BadInput(f"a matrix of the model is sparse of format {kind}; {ALONE}")
    arrays = tuple(fetch(parts[name]) for name in ("data", "indices", "indptr"))
    rows = sp.csc_array(arrays, shape=tuple(node["shape"])).tocsr()[first:last]
    return rows.data, rows.indices, np.diff(rows.indptr)


def serves_rows(schema: Mapping[str, Any]) -> bool:
    """Whether the model of a file can be read by rows: one of `BY_ROWS`, on all nodes."""
    kinds = [node["noun"] for node in schema["nouns"]]
    if any(node["noun"] == "Field" and node["fields"].get("nodes") for node in schema["nouns"]):
        return False
    root = schema["root"]
    if "dict" in root:
        root = dict((key, node) for key, node in root["dict"] if isinstance(key, str))
        root = root.get("model") or {}
    return (
        isinstance(root, dict)
        and "noun" in root
        and kinds[root["noun"]] in BY_ROWS
        and "Space" in kinds
    )


def share_of(
    schema: Mapping[str, Any],
    shapes: Mapping[str, tuple[int, ...]],
    fetch: Fetch,
    comm: Any,
    space: Space | None = None,
) -> Share:
    """What this rank of `comm` reads of a file.

    Raises BadInput where the file holds spaces of several sizes, or another than the caller's.
    """
    spaces = [node["fields"]["numbers"]["array"] for node in schema["nouns"] if _is_space(node)]
    sizes = {shapes[name][0] for name in spaces} | ({space.size} if space is not None else set())
    if len(sizes) != 1:
        raise BadInput(f"spaces of sizes {sorted(sizes)} meet; {ALONE}")
    size = sizes.pop()
    for name in spaces:
        if not _counts(fetch, name, size):
            raise BadInput(f"the dofs of the model are not numbered in their order; {ALONE}")
    rank, ranks = comm.Get_rank(), comm.Get_size()
    first, last = rank * size // ranks, (rank + 1) * size // ranks
    if space is not None:
        return Share(comm, size, first, last, space.numbers, fetch, space)
    numbers = np.arange(first, last)
    for node in schema["nouns"]:
        for name in BY_ROWS.get(node["noun"], ()):
            part = node["fields"].get(name)
            if isinstance(part, dict) and "sparse" in part:
                numbers = np.union1d(numbers, own_entries(part, fetch, first, last)[1])
    return Share(comm, size, first, last, numbers.astype(np.int64), fetch)


def _is_space(node: Mapping[str, Any]) -> bool:
    return bool(node["noun"] == "Space")


def _counts(fetch: Fetch, name: str, size: int) -> bool:
    """Whether an array is 0, 1, ..., size - 1."""
    start = 0
    for rows in blocks_of(fetch, name):
        if not np.array_equal(rows, np.arange(start, start + len(rows))):
            return False
        start += len(rows)
    return start == size


def blocks_of(fetch: Fetch, name: str) -> Iterator[np.ndarray]:
    """An array of a file, a block of rows at a time."""
    start = 0
    while len(rows := fetch(name, slice(start, start + ROWS))):
        yield rows
        start += len(rows)
