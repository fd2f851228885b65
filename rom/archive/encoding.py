"""Nouns -> a JSON schema and raw arrays by name.

Frozen dataclasses of a solver, such as laws of materials, and functions are stored by name.
"""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Callable
from dataclasses import dataclass, field, fields, is_dataclass
from enum import StrEnum
from typing import Any

import numpy as np
import scipy.sparse as sp

from rom.archive.layout import DTYPES
from rom.archive.registry import BY_ROWS, LEFT_OUT, find_noun, nouns
from rom.errors import BadInput
from rom.rows import Rows, rows_of
from rom.space import Space

Node = Any
SPARSE_PARTS = {
    "csr": ("data", "indices", "indptr"),
    "csc": ("data", "indices", "indptr"),
    "bsr": ("data", "indices", "indptr"),
    "coo": ("data", "row", "col"),
    "dia": ("data", "offsets"),
}
SCHEMA = "schema"  # the array of this name holds the JSON text


@dataclass(eq=False)
class _Schema:
    """What is encoded: arrays by name, nouns in order, id -> (object, its node)."""

    arrays: dict[str, np.ndarray | Rows] = field(default_factory=dict)
    nouns: list[dict[str, Any]] = field(default_factory=list)
    nodes: dict[int, tuple[Any, Node]] = field(default_factory=dict)


def encode(noun: Any) -> dict[str, np.ndarray | Rows]:
    """noun -> its arrays by name, with the JSON schema as the array `schema`.

    Nouns are listed after those they hold, so that no schema can refer in circles.
    An object that is met twice is stored once. Raises BadInput for what no file can hold.
    """
    schema = _Schema()
    root = _encode(schema, noun, "")
    text = json.dumps({"nouns": schema.nouns, "root": root}, allow_nan=False)
    return {SCHEMA: np.frombuffer(text.encode(), np.uint8), **schema.arrays}


def _encode(schema: _Schema, value: Any, path: str) -> Node:
    """The node of a value; `path` names it in messages and its arrays in the file."""
    plain = _plain(value)
    if plain is not None:
        return plain[0]
    if isinstance(value, (tuple, list)):
        return {type(value).__name__: _items(schema, value, path)}
    if isinstance(value, dict):
        return {"dict": _pairs(schema, value, path)}
    if isinstance(value, np.generic):
        return {"scalar": _array(schema, np.asarray(value), path)["array"]}
    if id(value) not in schema.nodes:
        node = _encoder(value)(schema, value, path)
        schema.nodes[id(value)] = (value, node)
    return schema.nodes[id(value)][1]


def _encoder(value: Any) -> Callable[[_Schema, Any, str], Node]:
    if isinstance(value, np.ndarray | Rows):
        return _array
    if sp.issparse(value):
        return _sparse_matrix
    if is_dataclass(value):
        return _dataclass
    return _function


def _items(schema: _Schema, values: tuple[Any, ...] | list[Any], path: str) -> list[Node]:
    return [_encode(schema, value, _below(path, k)) for k, value in enumerate(values)]


def _pairs(schema: _Schema, value: dict[Any, Any], path: str) -> list[list[Node]]:
    pairs = []
    for key, item in value.items():
        key_node = _encode(schema, key, path)
        pairs.append([key_node, _encode(schema, item, _below(path, key))])
    return pairs


def _below(path: str, name: Any) -> str:
    return f"{path}.{name}".lstrip(".")


def _plain(value: Any) -> tuple[Node] | None:
    """(node,) of what JSON holds by itself: None, text, numbers; else None."""
    if value is None or type(value) in (bool, str, int):
        return (value,)
    if isinstance(value, np.str_ | StrEnum):
        return (str(value),)
    if type(value) is float:
        return (_float(value),)
    if type(value) is complex:
        return ({"complex": [_float(value.real), _float(value.imag)]},)
    return None


def _float(value: float) -> Node:
    return value if math.isfinite(value) else {"float": repr(value)}


def _array(schema: _Schema, value: np.ndarray | Rows, path: str) -> dict[str, Any]:
    kind = type(value)
    if isinstance(value, Rows):
        return _named(schema, value, path)
    if kind not in (np.ndarray, np.memmap) or value.dtype.newbyteorder("=") not in DTYPES:
        raise BadInput(
            f"{path or 'the array'} is a {kind.__name__} of {value.dtype}; "
            "convert it to an array of numbers"
        )
    node = _named(schema, np.asarray(value), path)
    by_columns = value.flags.f_contiguous and not value.flags.c_contiguous
    return {**node, "order": "F"} if by_columns else node


def _named(schema: _Schema, value: np.ndarray | Rows, path: str) -> dict[str, Any]:
    """The node of an array under a name of its own."""
    name = (path or "value").replace("/", "_")
    while name in schema.arrays or name == SCHEMA:
        name += "_"
    schema.arrays[name] = value
    return {"array": name}


def _sparse_matrix(schema: _Schema, value: Any, path: str) -> dict[str, Any]:
    if value.format not in SPARSE_PARTS or value.ndim != 2:
        raise BadInput(f"{path or 'the matrix'} is sparse of format {value.format}; call .tocsr()")
    parts = {}
    for part in SPARSE_PARTS[value.format]:
        parts[part] = _encode(schema, getattr(value, part), f"{path}.{part}")
    shape = [int(size) for size in value.shape]
    return {"sparse": type(value).__name__, "shape": shape, "parts": parts}


def _dataclass(schema: _Schema, value: Any, path: str) -> dict[str, Any]:
    kind = type(value).__name__
    if find_noun(kind) is not type(value):
        kind = _solver_class(value, path)
    space = _shared_space(value)
    if isinstance(value, Space) and value.spread:
        value = value.to_serial()
    elif space is not None and kind not in BY_ROWS:
        raise BadInput(
            f"{_below(path or kind, 'space')} lies on {space.comm.Get_size()} ranks; "
            "call .to_serial() on it first, then save on one rank"
        )
    members = {}
    for entry in fields(value):
        if entry.init and entry.name not in LEFT_OUT.get(kind, ()):
            member = getattr(value, entry.name)
            if space is not None and entry.name in BY_ROWS[kind]:
                member = _whole(space, member)
            members[entry.name] = _encode(schema, member, _below(path, entry.name))
    schema.nouns.append({"noun": kind, "fields": members})
    return {"noun": len(schema.nouns) - 1}


def _shared_space(value: Any) -> Space | None:
    """The space of a noun that holds rows of it, where they lie on several ranks."""
    for holder in (value, getattr(value, "basis", None)):
        space = getattr(holder, "space", None)
        if isinstance(space, Space) and space.spread:
            return space
    return None


def _whole(space: Space, member: Any) -> Any:
    """Rows that are brought when they are written; a sparse share as the whole matrix."""
    if sp.issparse(member):
        return space.matrix(member)
    return rows_of(space, member) if np.ndim(member) else member


def _solver_class(value: Any, path: str) -> str:
    """module:name of the class of a solver's noun.

    Raises BadInput for any other class.
    """
    kind, module = type(value), type(value).__module__
    settings = getattr(kind, "__dataclass_params__", None)
    frozen = bool(settings and settings.frozen)
    at_module_level = getattr(sys.modules[module], kind.__name__, None) is kind
    if module.split(".")[0] == "rom" or not frozen or not at_module_level:
        raise BadInput(
            f"{path or 'the noun'} is a {kind.__name__}, which no archive holds; it holds "
            f"{', '.join(nouns())} and frozen dataclasses at the level of a solver's module"
        )
    return f"{_importable(module)}:{kind.__name__}"


def _importable(module: str) -> str:
    """The name by which another process imports a module, also that run by python -m."""
    spec = getattr(sys.modules.get(module), "__spec__", None)
    return str(spec.name) if module == "__main__" and spec is not None else module


def _function(schema: _Schema, value: Any, path: str) -> dict[str, Any]:
    """module:name of a function at module level. Raises BadInput for anything else."""
    module = str(getattr(value, "__module__", None))
    name = getattr(value, "__qualname__", None)
    is_named = callable(value) and isinstance(name, str)
    if is_named and getattr(sys.modules.get(module), str(name), None) is value:
        return {"function": f"{_importable(module)}:{name}"}
    kind = f"a {type(value).__name__}"
    if callable(value) and name:
        kind = f"the closure or lambda {name}"
    raise BadInput(
        f"{path or 'the noun'} is {kind}, which no file can hold; "
        "use Monomials, or a function at module level"
    )
