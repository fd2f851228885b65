"""Where the arrays of an archive lie: plain contiguous numbers of the file itself."""

from __future__ import annotations

import os
from dataclasses import dataclass
from io import BufferedReader
from pathlib import Path
from typing import Any

import numpy as np

from rom.errors import ForeignFile

ROWS = 65536  # of an array that are read at once
BLOCK = 512  # bytes of the header before the HDF5 content
DTYPES = {np.dtype(code) for code in "?bhilqBHILQefdFD"}


@dataclass(frozen=True, eq=False)
class Extent:
    """Where an array lies in a file: dtype, shape and byte offset."""

    dtype: np.dtype
    shape: tuple[int, ...]
    offset: int

    @property
    def nbytes(self) -> int:
        """Bytes of the array; exact for any claim of a shape."""
        return _count(self.shape) * self.dtype.itemsize

    def read(self, raw: BufferedReader, rows: Any = None, order: Any = "C") -> np.ndarray:
        """The array, from a file opened for bytes; or its `rows`, numbers or a slice."""
        if rows is not None:
            return self._read_rows(raw, rows, order)
        raw.seek(self.offset)
        values = np.fromfile(raw, self.dtype, _count(self.shape))
        return values.reshape(self.shape)

    def _read_rows(self, raw: BufferedReader, rows: Any, order: Any) -> np.ndarray:
        """Some rows, a block at a time: nothing else of the array is held."""
        if isinstance(rows, slice):
            rows = range(*rows.indices(self.shape[0]))
        array = np.empty((len(rows), *self.shape[1:]), self.dtype, order)
        if not array.size:
            return array
        mapped = np.memmap(raw, self.dtype, "r", self.offset, self.shape)
        for start in range(0, len(rows), ROWS):
            some = rows[start : start + ROWS]
            where = slice(some.start, some.stop) if isinstance(some, range) else some
            array[start : start + ROWS] = mapped[where]
        return array


def extents(raw: BufferedReader, path: str | Path) -> dict[str, Extent]:
    """name -> Extent of the arrays in the group `/rom`.

    Raises ForeignFile for anything but plain contiguous numbers held by the file itself.
    """
    import h5py

    places = {}
    try:
        with h5py.File(raw, "r") as file:
            group = _rom_group(file, path)
            for name in group:
                places[name] = _extent(group, name, path)
    except ForeignFile:
        raise
    except (OSError, RuntimeError, KeyError, TypeError, ValueError) as error:
        raise ForeignFile(
            f"{path} cannot be read as an archive ({error}); write it again with save"
        ) from error
    _check_sizes(places, os.fstat(raw.fileno()).st_size, path)
    return places


def _check_sizes(places: dict[str, Extent], size: int, path: str | Path) -> None:
    """Raises ForeignFile where arrays claim more bytes than the file has."""
    total, outside = 0, False
    for place in places.values():
        length = place.nbytes
        total += length
        if length:
            outside |= place.offset < BLOCK or place.offset + length > size
    if outside or total > size:
        raise ForeignFile(
            f"{path} claims arrays larger than the file; it was not written by this package"
        )


def _rom_group(file: Any, path: str | Path) -> Any:
    import h5py

    is_own = isinstance(file.get("rom", getlink=True), h5py.HardLink)
    if not is_own or file.get("rom", getclass=True) is not h5py.Group:
        raise ForeignFile(f"{path} has no group /rom; it holds nothing that this package saved")
    return file["rom"]


def _extent(group: Any, name: str, path: str | Path) -> Extent:
    """The place of one array. Raises ForeignFile for anything that is not plain."""
    import h5py

    what = ""
    if not isinstance(group.get(name, getlink=True), h5py.HardLink):
        what = "a link out of its place"
    elif h5py.h5o.get_info(group.id, name.encode()).type != h5py.h5o.TYPE_DATASET:
        what = "not an array"
    else:
        data = h5py.h5d.open(group.id, name.encode())
        what = _storage_fault(data) or _content_fault(data)
    if what:
        raise ForeignFile(
            f"{path}: /rom/{name} is {what}; an archive holds plain arrays of its own only"
        )
    dtype, shape = data.get_type().dtype, data.shape
    length = _count(shape) * dtype.itemsize
    return Extent(dtype, shape, data.get_offset() if length else BLOCK)


def _storage_fault(data: Any) -> str:
    """What is not plain about how a dataset is stored, or ""."""
    import h5py

    plan = data.get_create_plist()
    if plan.get_external_count():
        return "stored in another file"
    if plan.get_layout() != h5py.h5d.CONTIGUOUS or plan.get_nfilters():
        return "virtual, chunked or filtered"
    return ""


def _content_fault(data: Any) -> str:
    """What is not plain about the numbers of a dataset, or ""."""
    import h5py

    kind = data.get_type()
    dtype = kind.dtype
    is_number = dtype.newbyteorder("=") in DTYPES and not dtype.metadata
    if not is_number or kind != h5py.h5t.py_create(dtype, logical=True):
        return f"of type {dtype}"
    incomplete = "without the bytes that its shape needs"
    if data.shape is None:
        return incomplete
    length = _count(data.shape) * dtype.itemsize
    if data.get_storage_size() != length:
        return incomplete
    return incomplete if length and data.get_offset() is None else ""


def _count(shape: tuple[int, ...]) -> int:
    """Number of entries, without overflow."""
    return int(np.prod(shape, dtype=object))
