"""A JSON schema and raw arrays -> nouns.

Nothing that a file names is imported or run.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import MISSING, dataclass, field, fields, is_dataclass
from pathlib import Path
from typing import Any

import numpy as np
import scipy.sparse as sp

from rom.archive.encoding import SPARSE_PARTS
from rom.archive.registry import LEFT_OUT, RENAMED, find_noun, rename_fields
from rom.archive.shares import Share
from rom.errors import BadInput, ForeignFile, RomError
from rom.prediction import prediction_of_010, shape_prediction_of_010

Functions = Mapping[str, Callable[..., Any]]


@dataclass(eq=False)
class _Reader:
    """A file that is decoded: how its arrays are read, and what is read so far."""

    fetch: Callable[..., np.ndarray]
    path: str | Path
    functions: Functions
    share: Share | None = None
    nouns: list[Any] = field(default_factory=list)
    arrays: dict[tuple[str, bool], np.ndarray] = field(default_factory=dict)


def decode(
    schema: dict[str, Any],
    fetch: Callable[..., np.ndarray],
    path: str | Path,
    functions: Functions,
    share: Share | None = None,
) -> Any:
    """schema -> noun, arrays by `fetch(name)`; on ranks this one's `share`.

    Raises ForeignFile where the schema names anything that is not on the list of nouns.
    """
    reader = _Reader(fetch, path, functions, share)
    try:
        for node in schema["nouns"]:
            reader.nouns.append(_next_noun(reader, node["noun"], node["fields"]))
        return _decode(reader, schema["root"])
    except RomError:
        raise
    except (KeyError, IndexError, TypeError, ValueError, RecursionError, OverflowError) as error:
        raise ForeignFile(
            f"{path} does not describe a noun ({error!r}); it was not written by save"
        ) from error


def _next_noun(reader: _Reader, kind: str, nodes: dict[str, Any]) -> Any:
    """A noun of the list; a mesh on the first rank alone."""
    share = reader.share
    if share is None:
        members = {name: _decode(reader, node) for name, node in nodes.items()}
        return _noun(reader, kind, members)
    if kind == "Mesh" and not share.root:
        return None
    members = {}
    for name, node in nodes.items():
        if share.cuts(kind, name, node):
            members[name] = share.read(kind, name, node)
        else:
            members[name] = _decode(reader, node)
    if kind == "Space":
        return share.make_space(members["product"], members.get("fields", ()))
    return _noun(reader, kind, members)


def _decode(reader: _Reader, node: Any) -> Any:
    if not isinstance(node, dict):
        return node
    if "array" in node:
        return _array(reader, node["array"], node.get("order", "C"))
    if "noun" in node:
        return reader.nouns[node["noun"]]
    if "sparse" in node:
        parts = {}
        for name, part in node["parts"].items():
            parts[name] = _decode(reader, part)
        return _sparse(node["sparse"], node["shape"], parts)
    (kind, content), *more = node.items()
    if more or kind not in READERS:
        raise ForeignFile(
            f"{reader.path} holds {sorted(node)}, which this package does not know; "
            "upgrade rom-platform"
        )
    return READERS[kind](reader, content)


def _array(reader: _Reader, name: str, order: str = "C") -> np.ndarray:
    key = (name, order == "F")
    if key not in reader.arrays:
        array = reader.fetch(name)
        reader.arrays[key] = np.asfortranarray(array) if order == "F" else array
    return reader.arrays[key]


def _items(reader: _Reader, content: Any) -> list[Any]:
    return [_decode(reader, item) for item in content]


def _dict(reader: _Reader, content: Any) -> dict[Any, Any]:
    pairs = {}
    for key, item in content:
        pairs[_decode(reader, key)] = _decode(reader, item)
    return pairs


def _function(reader: _Reader, name: str) -> Callable[..., Any]:
    """The caller's function of that name. Raises BadInput where the caller gave none."""
    if name not in reader.functions:
        raise BadInput(
            f"{reader.path} needs the function {name!r}; "
            f"pass load(path, functions={{{name!r}: ...}}), or --case {name.partition(':')[0]}"
        )
    return reader.functions[name]


READERS: dict[str, Callable[[_Reader, Any], Any]] = {
    "function": _function,
    "float": lambda reader, content: float(content),
    "complex": lambda reader, content: complex(*_items(reader, content)),
    "tuple": lambda reader, content: tuple(_items(reader, content)),
    "list": _items,
    "dict": _dict,
    "scalar": lambda reader, content: _array(reader, content)[()],
}


def _noun(reader: _Reader, kind: str, members: dict[str, Any]) -> Any:
    """An object of the class of that name, with its members checked."""
    if kind == "Prediction" and "coefficients" in members:
        return prediction_of_010(**members)
    if kind == "ShapePrediction":
        return shape_prediction_of_010(**members)
    noun = _class(reader, kind)
    name_now = RENAMED.get(kind, kind)
    members = rename_fields(name_now, members)
    storable = {}
    for entry in fields(noun):
        if entry.init and entry.name not in LEFT_OUT.get(name_now, ()):
            storable[entry.name] = entry
    unknown = set(members) - set(storable)
    missing = []
    for name, entry in storable.items():
        has_default = entry.default is not MISSING or entry.default_factory is not MISSING
        if name not in members and not has_default:
            missing.append(name)
    if unknown or missing:
        raise ForeignFile(
            f"{reader.path}: {kind} has the wrong fields {sorted(unknown) or missing}; "
            "it was written by another version"
        )
    try:
        return noun(**members)
    except (AttributeError, RomError, IndexError, TypeError, ValueError) as error:
        raise ForeignFile(
            f"{reader.path}: its {kind} is not valid ({error}); it was not written by save"
        ) from error


def _class(reader: _Reader, kind: str) -> Any:
    """The dataclass of a declared name, or of a solver's module:name from the caller."""
    is_solvers = ":" in kind
    if is_solvers and kind not in reader.functions:
        raise BadInput(
            f"{reader.path} needs the class {kind!r}; pass load(path, functions={{{kind!r}: ...}})"
        )
    noun = reader.functions[kind] if is_solvers else find_noun(kind)
    if noun is None:
        raise ForeignFile(
            f"{reader.path} names {kind!r}, which is no noun of this package; nothing was loaded"
        )
    if not (isinstance(noun, type) and is_dataclass(noun)):
        raise BadInput(f"{reader.path} needs a class for {kind!r}, and was given {noun!r}")
    return noun


def _sparse(kind: str, shape: list[int], parts: dict[str, np.ndarray]) -> Any:
    """A sparse matrix whose indices are checked. Raises ValueError, KeyError."""
    layout, flavour = kind.split("_")
    names = SPARSE_PARTS[layout]
    if flavour not in ("array", "matrix") or set(parts) != set(names):
        raise ValueError(f"sparse {kind}")
    data, *indices = (parts[name] for name in names)
    entries: Any = (data, tuple(indices)) if layout == "coo" else (data, *indices)
    matrix = getattr(sp, kind)(entries, shape=tuple(shape))
    if layout in ("csr", "csc", "bsr"):
        matrix.check_format(full_check=True)
    return matrix
