"""Fields with units, as arrays that the formats of other programs can hold."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any

import numpy as np

from rom.arrays import NUMBER, number_array
from rom.errors import BadInput
from rom.rows import Rows

SLASH = "\N{DIVISION SLASH}"  # HDF5 names hold no "/", units do
FLOATS = (4, 8)  # bytes of floats that every format knows
Fields = dict[str, tuple[Any, str]]  # name -> (array or Rows, unit)


def label(name: str, unit: str) -> str:
    """'temperature', 'K' -> 'temperature [K]'."""
    return f"{name} [{unit}]" if unit else name


def unlabel(text: str) -> tuple[str, str]:
    """'temperature [K]' -> ('temperature', 'K')."""
    match = re.fullmatch(r"(.*) \[(.*)\]", text)
    if match is None:
        return text, ""
    return match[1], match[2].replace(SLASH, "/")


def check_fields(
    fields: Fields | None, n: int | None, what: str, times: np.ndarray | None = None
) -> dict[str, Any]:
    """'name [unit]' -> real array (n,), (n, c) or, at `times`, (..., n_t).

    n, what : how many "points" or "cells" the mesh has, None where another rank knows
    A complex field becomes two; vectors of two components gain a zero third.
    Raises BadInput for wrong lengths, NaN and Inf.
    """
    arrays: dict[str, Any] = {}
    for name, (values, unit) in _pairs(fields or {}):
        parts: Mapping[str, Any]
        if isinstance(values, Rows):
            parts = _checked_rows(name, values, n, what, times)
        else:
            array = _as_numbers(name, values)
            _check_shape(name, array.shape, n, what, times)
            _check_finite(name, what, array)
            parts = _real_parts(name, _in_space(times, array))
        for key, part in parts.items():
            arrays[label(key, unit)] = part
    return arrays


def _checked_rows(
    name: str, values: Rows, n: int | None, what: str, times: np.ndarray | None
) -> dict[str, Rows]:
    """Rows whose blocks are checked as they arrive; a complex field is two."""
    _check_shape(name, values.shape, n, what, times)

    def check(block: np.ndarray, start: int) -> np.ndarray:
        """The block, real vectors with three components."""
        _check_finite(name, what, block, start)
        return _in_space(times, _known_floats(block))

    def pick(key: str, block: np.ndarray, start: int) -> np.ndarray:
        """The part of a block by its name."""
        return _real_parts(name, block)[key]

    rows = values.change(check)
    keys = _real_parts(name, np.empty(0, rows.dtype))
    return {key: rows.change(partial(pick, key)) for key in keys}


def _pairs(fields: Fields) -> Iterator[tuple[str, tuple[Any, str]]]:
    """(name, (array, unit)) of fields. Raises BadInput for anything else."""
    if not isinstance(fields, Mapping):
        raise BadInput(f"fields are a {type(fields).__name__}; give name -> (array, unit)")
    for name, pair in fields.items():
        if not isinstance(pair, tuple) or len(pair) != 2 or not isinstance(pair[1], str):
            raise BadInput(f"field {name!r} is a {type(pair).__name__}; give (array, unit)")
        yield name, pair


def _as_numbers(name: str, values: np.ndarray) -> np.ndarray:
    return _known_floats(number_array(values, f"field {name!r}", NUMBER))


def _known_floats(array: np.ndarray) -> np.ndarray:
    foreign = array.dtype.kind == "f" and array.dtype.itemsize not in FLOATS
    return array.astype(float) if foreign else array


def _check_shape(
    name: str, shape: tuple[int, ...], n: int | None, what: str, times: np.ndarray | None
) -> None:
    if not shape or n not in (None, shape[0]):
        raise BadInput(
            f"field {name!r} has shape {shape}; the mesh has {n} {what}: "
            f"give ({n},) or ({n}, components)"
        )
    if times is not None and len(shape) > 1 and shape[-1] != len(times):
        raise BadInput(
            f"field {name!r} has shape {shape}; its last axis must be the {len(times)} times"
        )
    if len(shape) > _dimensions(times):
        raise BadInput(
            f"field {name!r} has shape {shape}; give times for its last axis, or one array per step"
        )


def _check_finite(name: str, what: str, values: np.ndarray, start: int = 0) -> None:
    bad = ~np.isfinite(values)
    if bad.any():
        row = start + int(np.argwhere(bad)[0, 0])
        raise BadInput(f"field {name!r} holds NaN or Inf at {what[:-1]} {row}; give finite values")


def _dimensions(times: np.ndarray | None) -> int:
    """Axes of a vector field: rows and components, and times where there are some."""
    return 2 if times is None else 3


def _in_space(times: np.ndarray | None, values: np.ndarray) -> np.ndarray:
    """Vectors of two components with a zero third, as VTK needs them."""
    if values.ndim != _dimensions(times) or values.shape[1] != 2:
        return values
    zero = np.zeros_like(values[:, :1])
    return np.concatenate([values, zero], axis=1)


def _real_parts(name: str, values: np.ndarray) -> dict[str, np.ndarray]:
    """The array by name; of a complex one its two parts, of a boolean one 0 and 1."""
    if values.dtype.kind == "c":
        return {f"{name} real": values.real, f"{name} imaginary": values.imag}
    if values.dtype == bool:
        return {name: values.astype(np.uint8)}
    return {name: values}
