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
from rom.archive.files import add_arrays, open_archive, write_h5
from rom.archive.layout import extents
from rom.archive.registry import RENAMED, RENAMED_FIELDS, find_noun, nouns
from rom.errors import ForeignFile

__all__ = [
    "RENAMED",
    "RENAMED_FIELDS",
    "find_noun",
    "load",
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

    noun : a noun, or tuples, lists and dicts of nouns, arrays, sparse arrays, text, numbers
    header : read without the rest; beside : (file, arrays by name) adds groups of other formats
    The same noun gives the same bytes. Raises NotWritten where the disk refuses; BadInput for
    what no file can hold: a lambda, a distributed space, an object array.
    """
    return write_h5(path, partial(_fill, arrays=encode(noun), beside=beside), header)


def _fill(file: Any, arrays: Any, beside: Any) -> None:
    add_arrays(file, arrays)
    if beside is not None:
        beside(file, arrays)


def put(file: Any, noun: Any) -> None:
    """Adds the group `/rom` that holds `noun` to an open HDF5 file.

    So it can lie beside the group of another format. Raises BadInput as `save` does.
    """
    add_arrays(file, encode(noun))


def load(path: str | Path, functions: Mapping[str, Callable[..., Any]] | None = None) -> Any:
    """The noun that `save` wrote, bit for bit.

    functions : {"module:name": function} for functions and classes of solvers that the noun
        refers to by name (solvers.laws.LAWS holds the laws of this package); nothing is ever
        imported on a file's behalf
    Raises ForeignFile, DamagedFile, or BadInput where a function or a class is missing.
    """
    with open_archive(path) as raw:
        arrays = extents(raw, path)
        schema = read_schema(raw, arrays, path)

        def fetch(name: str) -> np.ndarray:
            """The array of that name."""
            array: np.ndarray = arrays[name].read(raw)
            return array

        return decode(schema, fetch, path, functions or {})


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
