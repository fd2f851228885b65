"""Nouns as files: a JSON schema and raw arrays, no pickle.

Loading imports nothing beyond the declared nouns of this package (`nouns()`). Classes and
functions of a solver are stored by name; who loads them hands them in.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from rom.archive.decoding import decode
from rom.archive.encoding import SCHEMA, encode
from rom.archive.files import add_arrays, open_together, write_h5
from rom.archive.layout import extents
from rom.archive.registry import RENAMED, RENAMED_FIELDS, find_noun, nouns
from rom.archive.shares import serves_rows, share_of
from rom.errors import ForeignFile
from rom.rows import Rows, send_all
from rom.space import Space

__all__ = [
    "RENAMED",
    "RENAMED_FIELDS",
    "find_noun",
    "load",
    "load_entry",
    "loads_by_rows",
    "nouns",
    "put",
    "read_schema",
    "save",
    "write_h5",
]


def save(
    path: str | Path,
    noun: Any,
    *,
    header: bytes = b"",
    beside: Callable[[Any, Mapping[str, np.ndarray]], None] | None = None,
) -> str:
    """noun -> one file, atomically; returns the sha256 of its content.

    Of a model on several ranks, asked by all of them, the first writes and is brought the rows
    block by block.
    noun : a noun, or tuples, lists and dicts of nouns, arrays, sparse arrays, text, numbers
    header : read without the rest; beside : (file, arrays by name) adds groups of other formats
    The same noun gives the same bytes. Raises NotWritten where the disk refuses; BadInput for
    what no file can hold: a lambda, an object array, a noun whose rows cannot be shared out.
    """
    arrays = encode(noun)
    write = partial(write_h5, path, partial(_fill, arrays=arrays, beside=beside), header)
    shared = [values.space for values in arrays.values() if isinstance(values, Rows)]
    space = shared[0] if shared else None
    if space is None:
        return write()
    digest = None
    if space.root:
        digest = write()
    else:
        send_all(arrays.values())
    return str(space.tell(digest))


def _fill(file: Any, arrays: Any, beside: Any) -> None:
    add_arrays(file, arrays)
    if beside is not None:
        beside(file, arrays)


def put(file: Any, noun: Any) -> None:
    """Adds the group `/rom` that holds `noun` to an open HDF5 file.

    So it can lie beside the group of another format. Raises BadInput as `save` does.
    """
    add_arrays(file, encode(noun))


def load(
    path: str | Path,
    functions: Mapping[str, Callable[..., Any]] | None = None,
    *,
    comm: Any = None,
    space: Space | None = None,
) -> Any:
    """The noun that `save` wrote, bit for bit.

    functions : {"module:name": function} for functions and classes of solvers that the noun
        refers to by name (solvers.laws.LAWS holds the laws of this package); nothing is ever
        imported on a file's behalf
    comm : ranks that load together; each holds its rows of a model that `BY_ROWS` names, the
        first the mesh, and all of any other
    space : on several ranks, whose rows they hold; by default blocks of consecutive dofs
    Raises ForeignFile, DamagedFile, or BadInput where a function or a class is missing.
    """
    with open_together(path, comm) as raw:
        arrays = extents(raw, path)
        schema = read_schema(raw, arrays, path)

        def fetch(name: str, rows: Any = None, order: str = "C") -> np.ndarray:
            """The array of that name, or some of its rows."""
            array: np.ndarray = arrays[name].read(raw, rows, order)
            return array

        share = None
        if comm is not None and comm.Get_size() > 1 and serves_rows(schema):
            shapes = {name: place.shape for name, place in arrays.items()}
            share = share_of(schema, shapes, fetch, comm, space)
        return decode(schema, fetch, path, functions or {}, share)


def loads_by_rows(path: str | Path, comm: Any = None) -> bool:
    """Whether ranks can share out the rows of the model in a file; raises as `load`."""
    with open_together(path, comm) as raw:
        return serves_rows(read_schema(raw, extents(raw, path), path))


def load_entry(path: str | Path, key: str, comm: Any = None) -> Any:
    """One plain entry of a stored dict, without its nouns; None where there is none."""
    with open_together(path, comm) as raw:
        arrays = extents(raw, path)
        schema = read_schema(raw, arrays, path)
        for name, node in schema["root"].get("dict", ()):
            if name == key:
                plain = {"nouns": [], "root": node}
                return decode(plain, lambda name: arrays[name].read(raw), path, {})
    return None


def read_schema(raw: Any, arrays: Mapping[str, Any], path: str | Path) -> dict[str, Any]:
    """The JSON schema of an archive. Raises ForeignFile where there is none."""
    try:
        text = arrays[SCHEMA].read(raw).astype(np.uint8, casting="no")
        schema = json.loads(text.tobytes())
        return {"nouns": schema["nouns"], "root": schema["root"]}
    except (KeyError, TypeError, ValueError, RecursionError) as error:
        raise ForeignFile(
            f"{path} has no readable schema ({error!r}); it was not written by save"
        ) from error
