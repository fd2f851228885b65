"""Sealed HDF5 files: a digest before the content, written whole or not at all.

A file begins with BLOCK bytes (magic, format, sha256 of the rest). No content is parsed before
its digest agrees. In format 2 a header follows, with a sha256 of its own in the block: it can be
read and trusted alone.
"""

from __future__ import annotations

import errno
import hashlib
import os
import socket
import stat
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from io import BufferedReader, FileIO
from pathlib import Path
from typing import Any

import numpy as np

from rom.archive.layout import BLOCK
from rom.errors import BadInput, DamagedFile, ForeignFile, NotWritten, RomError
from rom.rows import Rows
from rom.space import meet

MAGIC, FORMAT = b"rom archive\n", 2
MAX_HEADER = 2**26  # bytes


def write_h5(path: str | Path, fill: Callable[[Any], None], header: bytes = b"") -> str:
    """Writes an HDF5 file, complete and durable or not at all; returns its sha256.

    fill : adds the groups to the open h5py file; header : before them, for format 2
    Temp file in the same folder, fsync, rename, fsync of the folder. Raises NotWritten where
    the disk refuses. Reference: Pillai et al. (2014).
    """
    import h5py

    def write_sealed_file(temp: Path) -> str:
        """The digest of the content that was written."""
        with open(temp, "w+b", buffering=0) as raw:
            disk = _Disk(raw)
            with h5py.File(disk, "w", userblock_size=_user_block(len(header))) as file:
                fill(file)
            raw.seek(BLOCK)
            disk.write(header)
            digest = _digest(raw)
            raw.seek(0)
            disk.write(_seal_block(digest, header))
            if disk.refusal:
                raise disk.refusal
        return digest

    digest: str = durably(Path(path), write_sealed_file)
    return digest


def write_pieces(path: str | Path, pieces: Sequence[Any]) -> tuple[str, int]:
    """Writes the bytes after the block of a file of format 1.

    Returns their sha256, and the size of the file.

    It is as complete, durable and refused as `write_h5`.
    """
    sha = hashlib.sha256()
    for piece in pieces:
        sha.update(piece)
    digest = sha.hexdigest()
    whole = b"".join([_seal_block(digest), *pieces])

    def write(temp: Path) -> None:
        with open(temp, "wb", buffering=0) as raw:
            left = memoryview(whole)
            while left:
                left = left[raw.write(left) :]

    durably(Path(path), write)
    return digest, len(whole)


def add_arrays(file: Any, arrays: Mapping[str, np.ndarray | Rows]) -> None:
    """Adds the group `/rom` with arrays by name to an open HDF5 file."""
    group = file.create_group("rom")
    for name, array in arrays.items():
        if isinstance(array, Rows):
            write_rows(group.create_dataset(name, array.shape, array.dtype), array)
        else:
            group.create_dataset(name, data=array)


def write_rows(dataset: Any, rows: Rows) -> None:
    """Fills a dataset with rows that lie on several ranks, block by block."""
    for start, block in rows.blocks():
        dataset[start : start + len(block)] = block


@dataclass(eq=False)
class _Disk:
    """A raw file whose refusals wait until HDF5 has closed.

    HDF5 neither closes nor lets go of a file that it cannot write.
    """

    raw: FileIO
    refusal: OSError | None = None

    def __getattr__(self, name: str) -> Any:
        return getattr(self.raw, name)

    def write(self, data: Any) -> int:
        """All of `data`, or nothing more once the disk has refused."""
        left = memoryview(data).cast("B")
        while left and self.refusal is None:
            count = self._try(self.raw.write, left)
            left = left[count:]
        return len(data)

    def truncate(self, size: int) -> int:
        """The file cut or extended to `size`, unless the disk has refused."""
        self._try(self.raw.truncate, size)
        return size

    def _try(self, act: Callable[[Any], int], argument: Any) -> int:
        try:
            return act(argument) if self.refusal is None else 0
        except OSError as error:
            self.refusal = error
            return 0


def durably(path: Path, write: Callable[[Path], Any], *, once: bool = False) -> Any:
    """`write(temp)`, fsync, rename to `path`, fsync of the folder: all or nothing.

    once : what is at `path` already stays, whoever wrote it and however late
    Returns what `write` returns. Raises NotWritten where the disk refuses.
    """
    process = f"{socket.gethostname()}-{os.getpid()}-{threading.get_native_id()}"
    temp = path.with_name(f".{path.name}.{process}.tmp")
    try:
        answer = write(temp)
        sync(temp)
        if once:
            with suppress(FileExistsError):
                os.link(temp, path)
        else:
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


def write_file(path: str | Path, content: bytes | str) -> Path:
    """Bytes, or text in UTF-8, as a whole file or none; raises as `durably`."""
    data = content.encode() if isinstance(content, str) else content
    durably(Path(path), lambda temp: temp.write_bytes(data))
    return Path(path)


def folders(path: Path, names: Sequence[str]) -> None:
    """Folder `path` with folders `names` inside, their names durable as well."""
    missing = [folder for folder in (path, *path.parents) if not folder.exists()]
    for name in names:
        (path / name).mkdir(parents=True, exist_ok=True)
    holders = [path, path.parent, *(folder.parent for folder in missing)]
    for folder in dict.fromkeys(holders):
        # a folder that may be passed but not listed cannot be opened for fsync
        with suppress(PermissionError):
            sync(folder)


def sync(path: Path) -> None:
    """fsync of a file or folder by name."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def plain_file(path: str | Path) -> BufferedReader:
    """A file of its folder, opened for bytes.

    Raises ForeignFile for a link, a pipe or a device: they are never followed or read.
    """
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        if error.errno != errno.ELOOP:
            raise
        raise ForeignFile(
            f"{path} is a link, which is never followed; put the file itself in its place"
        ) from error
    kind = os.fstat(handle).st_mode
    if stat.S_ISREG(kind):
        return open(handle, "rb")
    os.close(handle)
    if stat.S_ISDIR(kind):
        raise IsADirectoryError(errno.EISDIR, "Is a directory")
    raise ForeignFile(f"{path} is no plain file; it was not written by this package")


def open_archive(
    path: str | Path, digest: str | None = None, *, follow: bool = True
) -> BufferedReader:
    """The file, opened for bytes, its digest verified.

    digest : what a journal says it must be
    follow : whether `path` itself may be a link, as a path that the user gave may; what lies
        in a store never is
    Raises BadInput where there is no such file, ForeignFile where it is not ours or newer,
    DamagedFile where its bytes changed.
    """
    raw = _open_plain(path, follow)
    try:
        _check_seal(raw, digest, path)
    except BaseException:
        raw.close()
        raise
    return raw


def read_sealed(path: str | Path, digest: str, target: memoryview) -> None:
    """The bytes of a file of format 1 of a store, its digest verified, into `target`.

    Raises as `open_archive`, which says what is wrong; DamagedFile for another length.
    """
    with suppress(OSError):
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        try:
            count = os.readv(handle, [target]) if stat.S_ISREG(os.fstat(handle).st_mode) else -1
            while 0 < count < len(target) and (more := os.readv(handle, [target[count:]])):
                count += more
        finally:
            os.close(handle)
        is_whole = count == len(target) and target[:BLOCK] == _seal_block(digest)
        if is_whole and hashlib.sha256(target[BLOCK:]).hexdigest() == digest:
            return
    open_archive(path, digest, follow=False).close()
    raise DamagedFile(f"{path} is not the file that the journal names; delete it")


def open_together(path: str | Path, comm: Any) -> BufferedReader:
    """The file on every rank, its digest verified by the first before others open it."""
    if comm is None or comm.Get_rank() == 0:
        raw = open_archive(path)
        meet(comm)
        return raw
    meet(comm)
    return plain_file(os.path.realpath(path))


def _open_plain(path: str | Path, follow: bool) -> BufferedReader:
    """The file, opened for bytes. Raises BadInput where there is none."""
    try:
        return plain_file(os.path.realpath(path) if follow else path)
    except (FileNotFoundError, IsADirectoryError) as error:
        raise BadInput(
            f"{path}: {error.strerror}; give the path of a file that was saved"
        ) from error


def seal(raw: Any) -> str:
    """The sha256 that a file carries."""
    raw.seek(0)
    block: bytes = raw.read(BLOCK)
    return block.partition(b"sha256 ")[2][:64].decode()


def _user_block(length: int) -> int:
    """Bytes before HDF5: a power of two, BLOCK at least."""
    return max(BLOCK, 1 << (BLOCK + length - 1).bit_length())


def read_header(path: str | Path) -> bytes | None:
    """The header of a file, its digest verified; None in files of format 1.

    Raises BadInput where there is no such file, ForeignFile where it is not ours, DamagedFile
    where the header's bytes changed.
    """
    with _open_plain(path, True) as raw:
        block = _check_block(raw, path)
        length, digest = _header_entry(block)
        if digest is None:
            return None
        header = raw.read(min(length, MAX_HEADER))
        if hashlib.sha256(header).hexdigest() != digest:
            raise DamagedFile(
                f"{path}: the bytes of its header do not match their sha256; delete it and write "
                "it again, or restore a copy"
            )
        return header


def _header_entry(block: bytes) -> tuple[int, str | None]:
    """Length and digest of the header that a block announces, (0, None) without one."""
    words = block.partition(b"\nheader ")[2].split(b"\n")[0].decode(errors="replace").split()
    if len(words) != 2 or not words[0].isdigit():
        return 0, None
    return int(words[0]), words[1]


def _check_block(raw: BufferedReader, path: str | Path) -> bytes:
    """The first bytes of a file. Raises ForeignFile where it is not ours, or newer."""
    block = raw.read(BLOCK)
    if not block.startswith(MAGIC):
        raise ForeignFile(
            f"{path} was not written by this package; export the data again, "
            "or ingest it with its own reader"
        )
    line = block[len(MAGIC) :].split(b"\n")[0]
    version = line.removeprefix(b"format ")
    if version.isdigit() and int(version) > FORMAT:
        raise ForeignFile(
            f"{path} has format {int(version)}, this package reads up to {FORMAT}; "
            "upgrade rom-platform"
        )
    return block


def _check_seal(raw: BufferedReader, expected: str | None, path: str | Path) -> None:
    block = _check_block(raw, path)
    length, header_digest = _header_entry(block)
    header = raw.read(min(length, MAX_HEADER)) if header_digest is not None else b""
    digest = _digest(raw)
    if block != _seal_block(digest, header) or expected not in (None, digest):
        raise DamagedFile(
            f"{path}: its bytes do not match its sha256; delete it and write it again, "
            "or restore a copy"
        )


def _digest(raw: Any) -> str:
    raw.seek(BLOCK)
    return hashlib.file_digest(raw, "sha256").hexdigest()


def _seal_block(digest: str, header: bytes = b"") -> bytes:
    """The first bytes of a file: format 1 without a header, 2 with one."""
    text = f"format {2 if header else 1}\nsha256 {digest}\n"
    if header:
        text += f"header {len(header)} {hashlib.sha256(header).hexdigest()}\n"
    return (MAGIC + text.encode()).ljust(BLOCK, b"\0")
