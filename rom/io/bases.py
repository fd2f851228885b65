"""Reduced bases of other programs: V (n, r) and singular values, in and out.

libROM writes NAME.000000, one file a rank, with spatial_basis row after row in HDF5; pyLOM a group
POD with U, S, V; Twin Builder basis.svd, a head of 16 bytes, n, r and mode after mode. None of
them stores what was subtracted before.
References: libROM, BasisWriter (2024); Eiximeno et al. (2025), pyLOM; Ansys, pytwin, TbRom (2023).
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from rom.archive.files import durably
from rom.arrays import gate
from rom.basis import Basis
from rom.errors import BadInput, ForeignFile
from rom.io.hdf5_links import is_hdf5
from rom.space import Space, euclidean

LIBROM, PYLOM, TWIN_BUILDER = "libROM", "pyLOM", "Twin Builder"
KINDS = (LIBROM, PYLOM, TWIN_BUILDER)
DOUBLE, INTEGER = 0, 1  # attribute Type of libROM
PYLOM_VERSION = (3, 0)
HEAD, COUNTS = 16, struct.Struct("<QQ")  # bytes of basis.svd: a head, then n and r
RANK = r"\.\d{6}$"  # how names of libROM end
ORTHONORMAL = 1e-6  # a larger entry of V^T X V - I is no round-off
Table = tuple[np.ndarray, np.ndarray]  # modes (n, r), singular values (k,) or (0,)


def kind_of_basis(path: str | Path) -> str | None:
    """The program whose bases have such a name: NAME.000000, NAME.h5 or NAME.svd."""
    name = Path(path).name
    if re.search(RANK, name):
        return LIBROM
    return {".h5": PYLOM, ".svd": TWIN_BUILDER}.get(Path(path).suffix)


def read_basis(path: str | Path, space: Space | None = None) -> Basis:
    """The basis in a file of libROM, pyLOM or Twin Builder; the content says which.

    space : in whose product the modes are orthonormal, by default R^n; its rows stand as in the
        file. Files NAME.000000, NAME.000001, ... of several ranks of libROM are one basis.
    The offset is 0: none of the formats holds one.
    Raises ForeignFile for another or a damaged file, BadInput where the modes are not orthonormal
    in the space, or their rows are not its.
    """
    from rom.io.apart import read_apart

    path = Path(path)
    if not path.is_file():
        raise ForeignFile(f"no file {path}")
    modes, s = next(read_apart("basis", path, ""))
    space = euclidean(len(modes)) if space is None else space
    if space.n != len(modes):
        raise BadInput(f"{path.name} has modes of {len(modes)} rows, the space {space.n}")
    _check_orthonormal(path.name, modes, space)
    reason = f"read from {path.name}"
    return Basis(space, modes, s=s if len(s) else None, rank_asked=modes.shape[1], reason=reason)


def _check_orthonormal(what: str, modes: np.ndarray, space: Space) -> None:
    gap = float(np.abs(space.inner(modes, modes) - np.eye(modes.shape[1])).max())
    if not gap <= ORTHONORMAL:
        raise BadInput(
            f"{what}: V^T X V differs from I by {gap:.1e}; give the space whose product the modes "
            "are orthonormal in"
        )


@gate(basis=Basis)
def write_basis(path: str | Path, basis: Basis, kind: str = LIBROM) -> Path:
    """A real basis on one rank, orthonormal in R^n, for another program.

    kind : "libROM" (path NAME.000000), "pyLOM" or "Twin Builder"
    Raises BadInput for what the format cannot hold: an offset, complex modes, another product.
    """
    path = Path(path)
    if kind not in KINDS:
        raise BadInput(f"no program {kind!r}; known: {', '.join(KINDS)}")
    if kind == LIBROM and not re.search(RANK, path.name):
        raise BadInput(f"libROM looks for NAME.000000; call the file {path.name}.000000")
    if basis.space.comm is not None:
        raise BadInput("the basis lies on several ranks; give basis.to_serial()")
    if np.any(np.asarray(basis.offset) != 0):
        raise BadInput(f"{kind} holds no offset, and this basis has one; compress without it")
    if np.iscomplexobj(basis.modes):
        raise BadInput(f"{kind} holds real modes; these are complex")
    _check_orthonormal(f"the basis as {kind} takes it", basis.modes, euclidean(basis.space.n))
    s = np.zeros(0) if basis.s is None else np.asarray(basis.s, dtype=float)
    write: Any = {LIBROM: _write_librom, PYLOM: _write_pylom, TWIN_BUILDER: _write_svd}[kind]
    durably(path, partial(write, np.ascontiguousarray(basis.modes, dtype=float), s))
    return path


def basis_table(path: Path) -> Table:
    """Modes and singular values of a file of one of KINDS."""
    if not is_hdf5(path):
        return _read_svd(path)
    import h5py

    with h5py.File(path, "r") as file:
        if "POD" in file:
            return _read_pylom(path, file["POD"])
        if "spatial_basis" not in file and "spatial_basis_000000" not in file:
            raise ForeignFile(f"{path.name} holds no basis of libROM or pyLOM")
    parts = [_read_librom(part) for part in _of_all_ranks(path)]
    if len({modes.shape[1] for modes, _ in parts}) > 1:
        raise ForeignFile(f"{path.name}: the ranks hold different numbers of modes")
    return np.concatenate([modes for modes, _ in parts]), parts[0][1]


def _of_all_ranks(path: Path) -> Iterator[Path]:
    """The files of all ranks of a basis of libROM, beside the first."""
    if not re.search(RANK, path.name):
        yield path
        return
    rank = 0
    while (part := path.with_name(f"{path.name[:-6]}{rank:06d}")).is_file():
        yield part
        rank += 1
    if not rank:
        raise ForeignFile(f"{path.name} is a part of a basis; rank 000000 is not beside it")


def _read_librom(path: Path) -> Table:
    import h5py

    with h5py.File(path, "r") as file:
        end = "" if "spatial_basis" in file else "_000000"  # of versions with time intervals
        if "spatial_basis_000001" in file:
            raise BadInput(f"{path.name} holds a basis for each of several times; write one")
        counts = [int(np.ravel(file[f"spatial_basis_num_{axis}{end}"][()])[0])
            for axis in ("rows", "cols")]  # fmt: skip
        flat = np.ravel(file[f"spatial_basis{end}"][()]).astype(float)
        if min(counts) < 1 or len(flat) != counts[0] * counts[1]:
            raise ForeignFile(f"{path.name} has {len(flat)} numbers for {counts} modes")
        key = f"singular_value{end}"
        s = np.ravel(file[key][()]).astype(float) if key in file else np.zeros(0)
    return flat.reshape(counts), s


def _read_pylom(path: Path, group: Any) -> Table:
    if "U" not in group:
        raise ForeignFile(f"{path.name} holds no modes U of pyLOM; save them too")
    modes = np.asarray(group["U"][()], dtype=float)
    if modes.ndim != 2:
        raise ForeignFile(f"{path.name}: U has shape {modes.shape}; modes are (n, r)")
    s = np.ravel(group["S"][()]).astype(float) if "S" in group else np.zeros(0)
    return modes, s


def _read_svd(path: Path) -> Table:
    data = path.read_bytes()
    start = HEAD + COUNTS.size
    if len(data) < start:
        raise ForeignFile(f"{path.name} is no basis of libROM, pyLOM or Twin Builder")
    n, r = COUNTS.unpack_from(data, HEAD)
    if not n or not r or len(data) != start + 8 * n * r:
        raise ForeignFile(
            f"{path.name} has {len(data)} bytes; {r} modes of {n} numbers of a basis.svd need "
            f"{start + 8 * n * r}"
        )
    return np.frombuffer(data, "<f8", offset=start).reshape(r, n).T.astype(float), np.zeros(0)


def _write_librom(modes: np.ndarray, s: np.ndarray, path: Path) -> None:
    import h5py

    with h5py.File(path, "w") as file:
        arrays: dict[str, tuple[Any, str, int]] = {
            "spatial_basis_num_rows": ([modes.shape[0]], ">i4", INTEGER),
            "spatial_basis_num_cols": ([modes.shape[1]], ">i4", INTEGER),
            "spatial_basis": (modes.ravel(), ">f8", DOUBLE),
        }
        if len(s):
            arrays["singular_value_size"] = ([len(s)], ">i4", INTEGER)
            arrays["singular_value"] = (s, ">f8", DOUBLE)
        for name, (values, dtype, kind) in arrays.items():
            data = file.create_dataset(name, data=np.asarray(values, dtype=dtype))
            data.attrs.create("Type", kind, dtype=">i1")


def _write_pylom(modes: np.ndarray, s: np.ndarray, path: Path) -> None:
    import h5py

    n = len(modes)
    with h5py.File(path, "w") as file:
        file.attrs["Version"] = PYLOM_VERSION
        for name, number in (("NSubD", 1), ("Ids", 1), ("Elements", n), ("Points", n)):
            file.create_dataset(f"PARTITIONS/{name}", data=np.array([number], "i4"))
        group = file.create_group("POD")
        group.create_dataset("pointData", data=np.array([1], "u1"))
        group.create_dataset("n_variables", data=np.array([1], "u1"))
        group.create_dataset("U", data=modes)
        if len(s):
            group.create_dataset("S", data=s)


def _write_svd(modes: np.ndarray, _s: np.ndarray, path: Path) -> None:
    n, r = modes.shape
    head = b"\0" * HEAD + COUNTS.pack(n, r)
    path.write_bytes(head + np.ascontiguousarray(modes.T, dtype="<f8").tobytes())
