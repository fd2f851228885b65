"""Nouns as files: a JSON schema and raw arrays. No pickle; loading imports nothing beyond a whitelist of this project's nouns.

Frozen dataclasses of a solver, such as laws of materials, are stored by name; who loads them hands their classes in.
"""

from __future__ import annotations

import importlib
import json
import math
import sys
from collections.abc import Callable, Mapping
from dataclasses import MISSING, fields, is_dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import scipy.sparse as sp

import rom
from rom.archive.files import DTYPES, extents, open_sealed, write_h5
from rom.errors import BadInput, ForeignFile, RomError

__all__ = ["find_noun", "load", "nouns", "put", "save", "write_h5"]

ROOT_NOUNS = {
    "rom.space": (
        "Field",
        "Space",
    ),
    "rom.mesh": ("Mesh",),
    "rom.parameters": ("Box",),
    "rom.snapshots": ("Snapshots",),
    "rom.basis": (
        "Basis",
        "LocalBases",
    ),
    "rom.affine": (
        "Monomials",
        "Affine",
    ),
    "rom.rule": (
        "Interpolation",
        "Weights",
        "Barycentric",
        "Tensor",
        "Cubature",
    ),
    "rom.model": ("Prediction",),
    "rom.loading": ("Loading",),
    "rom.history": (
        "State",
        "History",
    ),
    "rom.bands": ("Indicator",),
}
# names of version 0.1.0 -> names now
RENAMED = {
    "Step": "GreedyStep",
    "Visit": "RunStep",
    "Trained": "SolidModel",
    "Course": "RunState",
    "SparseBelief": "SparsePosterior",
}
LEFT_OUT = {"Space": ("comm", "riesz"), "RunningPod": ("room",)}
PARTS = {
    "csr": ("data", "indices", "indptr"),
    "csc": ("data", "indices", "indptr"),
    "bsr": ("data", "indices", "indptr"),
    "coo": ("data", "row", "col"),
    "dia": ("data", "offsets"),
}


@cache
def _declared(place: str) -> dict[str, type]:
    """Name -> class of the nouns that a root module or the face of a chapter declares."""
    module = importlib.import_module(place)
    names = ROOT_NOUNS.get(place) or getattr(module, "NOUNS", ())
    return {name: getattr(module, name) for name in names}


def _places() -> list[str]:
    """Where nouns are declared: root modules, then the faces of chapters."""
    return [*ROOT_NOUNS, *(f"rom.{chapter}" for chapter in rom.CHAPTERS)]


def nouns() -> dict[str, type]:
    """Name -> class of everything that a file may hold."""
    return {name: noun for place in _places() for name, noun in _declared(place).items()}


def find_noun(name: str) -> type | None:
    """The class of a declared name, also of version 0.1.0; None for any other name."""
    name = RENAMED.get(name, name)
    declared = (_declared(place) for place in _places())
    return next((found[name] for found in declared if name in found), None)


def save(path: str | Path, noun: Any) -> str:
    """noun -> one file, atomically; the same noun gives the same bytes. Returns the sha256 of the content.

    noun : a noun, or tuples, lists and dicts of nouns, arrays, sparse arrays, strings and numbers
    Raises BadInput where something cannot be stored: a lambda, a distributed space, an object array; NotWritten where the disk refuses.
    """
    return write_h5(path, lambda file: put(file, noun))


def put(file: Any, noun: Any) -> None:
    """Adds the group `/rom` that holds `noun` to an open HDF5 file, so that it can lie beside another format's group."""
    schema, arrays = encode(noun)
    group = file.create_group("rom")
    for name, array in {"schema": np.frombuffer(schema.encode(), np.uint8), **arrays}.items():
        group.create_dataset(name, data=array)


def load(path: str | Path, functions: Mapping[str, Callable[..., Any]] | None = None) -> Any:
    """The noun that `save` wrote, bit for bit.

    functions : {"module:name": function} for functions and classes of solvers that the noun refers to by name (solvers.laws.LAWS holds
        the laws of this package); nothing is ever imported on a file's behalf
    Raises ForeignFile, DamagedFile, or BadInput where a function or a class is missing.
    """
    with open_sealed(path) as raw:
        found = extents(raw, path)
        schema = schema_of(raw, found, path)
        return decode(schema, lambda name: found[name].read(raw), path, functions or {})


def schema_of(raw: Any, found: Mapping[str, Any], path: str | Path) -> dict[str, Any]:
    """The JSON schema of an archive. Raises ForeignFile where there is none."""
    try:
        schema = json.loads(found["schema"].read(raw).astype(np.uint8, casting="no").tobytes())
        return {"nouns": schema["nouns"], "root": schema["root"]}
    except (KeyError, TypeError, ValueError, RecursionError) as error:
        raise ForeignFile(
            f"{path} has no readable schema ({error!r}); it was not written by save"
        ) from error


def encode(noun: Any) -> tuple[str, dict[str, np.ndarray]]:
    """noun -> (JSON schema, its arrays by name). Nouns are listed after those they hold, so that no schema can refer in circles."""
    arrays: dict[str, np.ndarray] = {}
    nouns: list[dict[str, Any]] = []
    seen: dict[int, tuple[Any, dict[str, Any]]] = {}

    def array(value: np.ndarray, path: str) -> dict[str, Any]:
        if (
            type(value) not in (np.ndarray, np.memmap)
            or value.dtype.newbyteorder("=") not in DTYPES
        ):
            raise BadInput(
                f"{path or 'the array'} is a {type(value).__name__} of {value.dtype}; convert it to an array of numbers"
            )
        name = (path or "value").replace("/", "_")
        while name in arrays or name == "schema":
            name += "_"
        columns = value.flags.f_contiguous and not value.flags.c_contiguous
        arrays[name] = np.asarray(value)
        return {"array": name, "order": "F"} if columns else {"array": name}

    def sparse(value: Any, path: str) -> dict[str, Any]:
        if value.format not in PARTS or value.ndim != 2:
            raise BadInput(
                f"{path or 'the matrix'} is sparse of format {value.format}; call .tocsr()"
            )
        parts = {part: once(getattr(value, part), f"{path}.{part}") for part in PARTS[value.format]}
        return {
            "sparse": type(value).__name__,
            "shape": [int(k) for k in value.shape],
            "parts": parts,
        }

    def held(value: Any, path: str) -> dict[str, Any]:
        kind = type(value).__name__
        if find_noun(kind) is not type(value):
            kind = _foreign(value, path)
        comm = getattr(value, "comm", None)
        if comm is not None and comm.Get_size() > 1:
            raise BadInput(
                f"{path or kind} lies on {comm.Get_size()} ranks; call .to_serial() on it first, then save on one rank"
            )
        names = [f.name for f in fields(value) if f.init and f.name not in LEFT_OUT.get(kind, ())]
        members = {name: once(getattr(value, name), f"{path}.{name}".lstrip(".")) for name in names}
        nouns.append({"noun": kind, "fields": members})
        return {"noun": len(nouns) - 1}

    def once(value: Any, path: str) -> Any:
        plain = _plain(value, path)
        if plain is not None:
            return plain[0]
        if isinstance(value, (tuple, list)):
            return {
                type(value).__name__: [
                    once(item, f"{path}.{k}".lstrip(".")) for k, item in enumerate(value)
                ]
            }
        if isinstance(value, dict):
            return {
                "dict": [
                    [once(k, path), once(item, f"{path}.{k}".lstrip("."))]
                    for k, item in value.items()
                ]
            }
        if isinstance(value, np.generic):
            return {"scalar": array(np.asarray(value), path)["array"]}
        if id(value) not in seen:
            make = (
                array
                if isinstance(value, np.ndarray)
                else sparse
                if sp.issparse(value)
                else held
                if is_dataclass(value)
                else _function
            )
            seen[id(value)] = (value, make(value, path))
        return seen[id(value)][1]

    root = once(noun, "")
    return json.dumps({"nouns": nouns, "root": root}, allow_nan=False), arrays


def _foreign(value: Any, path: str) -> str:
    """module:name of the class of a solver's noun."""
    kind, module = type(value), type(value).__module__
    frozen = getattr(kind, "__dataclass_params__", None)
    if (
        module.split(".")[0] == "rom"
        or not (frozen and frozen.frozen)
        or getattr(sys.modules[module], kind.__name__, None) is not kind
    ):
        raise BadInput(
            f"{path or 'the noun'} is a {kind.__name__}, which no archive holds; it holds {', '.join(nouns())} "
            "and frozen dataclasses at the level of a solver's module"
        )
    return f"{module}:{kind.__name__}"


def _plain(value: Any, path: str) -> tuple[Any] | None:
    if value is None or type(value) in (bool, str, int):
        return (value,)
    if isinstance(value, np.str_):
        return (str(value),)
    if type(value) is float:
        return (value if math.isfinite(value) else {"float": repr(value)},)
    if type(value) is complex:
        return ({"complex": [_plain(part, path)[0] for part in (value.real, value.imag)]},)  # type: ignore[index]
    return None


def _function(value: Any, path: str) -> dict[str, Any]:
    module, name = getattr(value, "__module__", None), getattr(value, "__qualname__", None)
    if (
        not callable(value)
        or name is None
        or getattr(sys.modules.get(str(module)), name, None) is not value
    ):
        kind = (
            f"the closure or lambda {name}"
            if callable(value) and name
            else f"a {type(value).__name__}"
        )
        raise BadInput(
            f"{path or 'the noun'} is {kind}, which no file can hold; use Monomials, or a function at module level"
        )
    return {"function": f"{module}:{name}"}


def decode(
    schema: dict[str, Any],
    fetch: Callable[[str], np.ndarray],
    path: str | Path,
    functions: Mapping[str, Any],
) -> Any:
    """schema -> noun, arrays by `fetch(name)`. Raises ForeignFile where the schema names anything that is not on the list of nouns."""
    nouns: list[Any] = []
    arrays: dict[tuple[str, bool], np.ndarray] = {}

    def array(name: str, order: str = "C") -> np.ndarray:
        key = (name, order == "F")
        if key not in arrays:
            arrays[key] = np.asfortranarray(fetch(name)) if key[1] else fetch(name)
        return arrays[key]

    def value(node: Any) -> Any:
        if not isinstance(node, dict):
            return node
        if "array" in node:
            return array(
                **{"name": node["array"], **{k: v for k, v in node.items() if k == "order"}}
            )
        if "noun" in node:
            return nouns[node["noun"]]
        if "sparse" in node:
            return _sparse(
                node["sparse"], node["shape"], {k: value(v) for k, v in node["parts"].items()}
            )
        (kind, held), *more = node.items()
        if more or kind not in READ:
            raise ForeignFile(
                f"{path} holds {sorted(node)}, which this package does not know; upgrade rom-platform"
            )
        if kind == "function" and held not in functions:
            raise BadInput(
                f"{path} needs the function {held!r}; pass load(path, functions={{{held!r}: ...}})"
            )
        return functions[held] if kind == "function" else READ[kind](held, value, array)

    try:
        for node in schema["nouns"]:
            nouns.append(
                _noun(
                    node["noun"],
                    {name: value(part) for name, part in node["fields"].items()},
                    path,
                    functions,
                )
            )
        return value(schema["root"])
    except (KeyError, IndexError, TypeError, ValueError, RecursionError, OverflowError) as error:
        if isinstance(error, RomError):
            raise
        raise ForeignFile(
            f"{path} does not describe a noun ({error!r}); it was not written by save"
        ) from error


READ: dict[str, Callable[[Any, Callable[[Any], Any], Callable[[str], np.ndarray]], Any]] = {
    "function": lambda held, value, array: None,
    "float": lambda held, value, array: float(held),
    "complex": lambda held, value, array: complex(*map(value, held)),
    "tuple": lambda held, value, array: tuple(map(value, held)),
    "list": lambda held, value, array: list(map(value, held)),
    "dict": lambda held, value, array: {value(k): value(item) for k, item in held},
    "scalar": lambda held, value, array: array(held)[()],
}


def _noun(
    kind: str, members: dict[str, Any], path: str | Path, functions: Mapping[str, Any]
) -> Any:
    if ":" in kind and kind not in functions:
        raise BadInput(
            f"{path} needs the class {kind!r}; pass load(path, functions={{{kind!r}: ...}})"
        )
    noun = functions[kind] if ":" in kind else find_noun(kind)
    if noun is None:
        raise ForeignFile(
            f"{path} names {kind!r}, which is no noun of this package; nothing was loaded"
        )
    if not (isinstance(noun, type) and is_dataclass(noun)):
        raise BadInput(f"{path} needs a class for {kind!r}, and was given {noun!r}")
    known = {f.name: f for f in fields(noun) if f.init and f.name not in LEFT_OUT.get(kind, ())}
    unknown = set(members) - set(known)
    missing = [
        n
        for n, f in known.items()
        if n not in members and f.default is MISSING and f.default_factory is MISSING
    ]
    if unknown or missing:
        raise ForeignFile(
            f"{path}: {kind} has the wrong fields {sorted(unknown) or missing}; it was written by another version"
        )
    try:
        return noun(**members)
    except (AttributeError, RomError, IndexError, TypeError, ValueError) as error:
        raise ForeignFile(
            f"{path}: its {kind} is not valid ({error}); it was not written by save"
        ) from error


def _sparse(kind: str, shape: list[int], parts: dict[str, np.ndarray]) -> Any:
    layout, flavour = kind.split("_")
    if flavour not in ("array", "matrix") or set(parts) != set(PARTS[layout]):
        raise ValueError(f"sparse {kind}")
    ordered = tuple(parts[name] for name in PARTS[layout])
    entries = (ordered[0], ordered[1:]) if layout == "coo" else ordered
    matrix = getattr(sp, kind)(entries, shape=tuple(shape))
    if layout in ("csr", "csc", "bsr"):
        matrix.check_format(full_check=True)
    return matrix
