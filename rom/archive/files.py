"""Sealed HDF5 files: a digest in the user block, an atomic write, and no parsing before the digest agrees."""

from __future__ import annotations

import errno
import hashlib
import os
import socket
import stat
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from io import BufferedReader, FileIO
from pathlib import Path
from typing import Any

import numpy as np

from rom.errors import BadInput, DamagedFile, ForeignFile, NotWritten, RomError

MAGIC, FORMAT, BLOCK = b"rom archive\n", 1, 512
DTYPES = {np.dtype(c) for c in "?bhilqBHILQefdFD"}


@dataclass(frozen=True, eq=False)
class Extent:
    """Where an array lies in a file: dtype, shape and byte offset."""

    dtype: np.dtype
    shape: tuple[int, ...]
    offset: int

    def read(self, raw: BufferedReader) -> np.ndarray:
        """The array, from a file opened for bytes."""
        raw.seek(self.offset)
        return np.fromfile(raw, self.dtype, int(np.prod(self.shape, dtype=np.int64))).reshape(
            self.shape
        )


def write_h5(path: str | Path, fill: Callable[[Any], None]) -> str:
    """Writes an HDF5 file that appears complete and durable, or not at all; `fill(h5file)` adds the groups. Returns its sha256.

    Temp file in the same folder, fsync, rename, fsync of the folder. Raises NotWritten where the disk refuses.
    Reference: Pillai et al. (2014).
    """
    import h5py

    def sealed(temp: Path) -> str:
        with open(temp, "w+b", buffering=0) as raw:
            disk = _Disk(raw)
            with h5py.File(disk, "w", userblock_size=BLOCK) as file:
                fill(file)
            digest = _digest(raw)
            raw.seek(0)
            disk.write(_header(digest))
            if disk.refused:
                raise disk.refused
        return digest

    return durably(Path(path), sealed)


@dataclass(eq=False)
class _Disk:
    """A raw file whose refusals wait until HDF5 has closed: HDF5 neither closes nor lets go of a file that it cannot write."""

    raw: FileIO
    refused: OSError | None = None

    def __getattr__(self, name: str) -> Any:
        return getattr(self.raw, name)

    def write(self, data: Any) -> int:
        """All of `data`, or nothing more once the disk has refused."""
        left = memoryview(data).cast("B")
        while left and self.refused is None:
            left = left[self._tried(self.raw.write, left) :]
        return len(data)

    def truncate(self, size: int) -> int:
        """The file cut or extended to `size`, unless the disk has refused."""
        self._tried(self.raw.truncate, size)
        return size

    def _tried(self, act: Callable[[Any], int], argument: Any) -> int:
        try:
            return act(argument) if self.refused is None else 0
        except OSError as error:
            self.refused = error
            return 0


def durably(path: Path, write: Callable[[Path], Any]) -> Any:
    """`write(temp)`, then fsync, rename to `path`, fsync of the folder: all or nothing."""
    temp = path.with_name(
        f".{path.name}.{socket.gethostname()}-{os.getpid()}-{threading.get_native_id()}.tmp"
    )
    try:
        answer = write(temp)
        sync(temp)
        os.replace(temp, path)
        sync(path.parent)
    except RomError:
        raise
    except (OSError, RuntimeError) as error:
        raise NotWritten(
            f"cannot write {path}: {error}; free space or choose another folder, then run again"
        ) from error
    finally:
        temp.unlink(missing_ok=True)
    return answer


def folders(path: Path, names: Sequence[str]) -> None:
    """Folder `path` with folders `names` inside, their names durable in the folders that hold them."""
    missing = [p for p in (path, *path.parents) if not p.exists()]
    for name in names:
        (path / name).mkdir(parents=True, exist_ok=True)
    for held in dict.fromkeys([path, path.parent, *(p.parent for p in missing)]):
        with suppress(
            PermissionError
        ):  # a folder that may be passed but not listed cannot be opened for it
            sync(held)


def sync(path: Path) -> None:
    """fsync of a file or folder by name."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def plain_file(path: str | Path) -> BufferedReader:
    """A file of its folder, opened for bytes. Raises ForeignFile for a link, a pipe or a device: they are never followed or read."""
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise ForeignFile(
                f"{path} is a link, which is never followed; put the file itself in its place"
            ) from error
        raise
    kind = os.fstat(handle).st_mode
    if not stat.S_ISREG(kind):
        os.close(handle)
        if stat.S_ISDIR(kind):
            raise IsADirectoryError(errno.EISDIR, "Is a directory")
        raise ForeignFile(f"{path} is no plain file; it was not written by this package")
    return open(handle, "rb")


def open_sealed(path: str | Path, digest: str | None = None, follow: bool = True) -> BufferedReader:
    """The file, opened for bytes, its digest verified; `digest` is what a journal says it must be.

    follow : whether `path` itself may be a link, as a path that the user gave may; what lies in a store never is

    Raises BadInput where there is no such file, ForeignFile where it is not ours or newer, DamagedFile where its bytes changed.
    """
    try:
        raw = plain_file(os.path.realpath(path) if follow else path)
    except (FileNotFoundError, IsADirectoryError) as error:
        raise BadInput(
            f"{path}: {error.strerror}; give the path of a file that was saved"
        ) from error
    try:
        block = raw.read(BLOCK)
        if not block.startswith(MAGIC):
            raise ForeignFile(
                f"{path} was not written by this package; export the data again, or ingest it with its own reader"
            )
        version = block[len(MAGIC) :].split(b"\n")[0].removeprefix(b"format ")
        if version.isdigit() and int(version) > FORMAT:
            raise ForeignFile(
                f"{path} has format {int(version)}, this package reads up to {FORMAT}; upgrade rom-platform"
            )
        found = _digest(raw)
        if block != _header(found) or digest not in (None, found):
            raise DamagedFile(
                f"{path}: its bytes do not match its sha256; delete it and write it again, or restore a copy"
            )
    except BaseException:
        raw.close()
        raise
    return raw


def extents(raw: BufferedReader, path: str | Path) -> dict[str, Extent]:
    """name -> Extent of the arrays in the group `/rom`. Raises ForeignFile for anything but plain contiguous numbers held by the file itself."""
    import h5py

    try:
        with h5py.File(raw, "r") as file:
            group = _member(file, "rom", path)
            names = list(group)
            found = {name: _extent(group, name, path) for name in names}
    except (OSError, RuntimeError, KeyError, TypeError, ValueError) as error:
        if isinstance(error, ForeignFile):
            raise
        raise ForeignFile(
            f"{path} cannot be read as an archive ({error}); write it again with save"
        ) from error
    size = os.fstat(raw.fileno()).st_size
    claims = [
        (e.offset, int(np.prod(e.shape, dtype=object)) * e.dtype.itemsize) for e in found.values()
    ]
    if (
        any(offset < BLOCK or offset + length > size for offset, length in claims if length)
        or sum(n for _, n in claims) > size
    ):
        raise ForeignFile(
            f"{path} claims arrays larger than the file; it was not written by this package"
        )
    return found


def _member(file: Any, name: str, path: str | Path) -> Any:
    import h5py

    if (
        not isinstance(file.get(name, getlink=True), h5py.HardLink)
        or file.get(name, getclass=True) is not h5py.Group
    ):
        raise ForeignFile(f"{path} has no group /{name}; it holds nothing that this package saved")
    return file[name]


def _extent(group: Any, name: str, path: str | Path) -> Extent:
    import h5py

    def refuse(what: str) -> ForeignFile:
        return ForeignFile(
            f"{path}: /rom/{name} is {what}; an archive holds plain arrays of its own only"
        )

    if not isinstance(group.get(name, getlink=True), h5py.HardLink):
        raise refuse("a link out of its place")
    if h5py.h5o.get_info(group.id, name.encode()).type != h5py.h5o.TYPE_DATASET:
        raise refuse("not an array")
    data = h5py.h5d.open(group.id, name.encode())
    plan = data.get_create_plist()
    if plan.get_external_count():
        raise refuse("stored in another file")
    if plan.get_layout() != h5py.h5d.CONTIGUOUS or plan.get_nfilters():
        raise refuse("virtual, chunked or filtered")
    kind = data.get_type()
    dtype = kind.dtype
    if (
        dtype.newbyteorder("=") not in DTYPES
        or dtype.metadata
        or kind != h5py.h5t.py_create(dtype, logical=True)
    ):
        raise refuse(f"of type {dtype}")
    shape = data.shape
    length = None if shape is None else int(np.prod(shape, dtype=object)) * dtype.itemsize
    if (
        length is None
        or data.get_storage_size() != length
        or (length and data.get_offset() is None)
    ):
        raise refuse("without the bytes that its shape needs")
    return Extent(dtype, shape, data.get_offset() if length else BLOCK)


def seal(raw: Any) -> str:
    """The sha256 that a file carries."""
    raw.seek(0)
    return raw.read(BLOCK).partition(b"sha256 ")[2][:64].decode()


def _digest(raw: Any) -> str:
    raw.seek(BLOCK)
    return hashlib.file_digest(raw, "sha256").hexdigest()


def _header(digest: str) -> bytes:
    return (MAGIC + f"format {FORMAT}\nsha256 {digest}\n".encode()).ljust(BLOCK, b"\0")
