"""Fields with units, as arrays that the formats of other programs can hold."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

import numpy as np

from rom.arrays import NUMBER, number_array
from rom.errors import BadInput

SLASH = "\N{DIVISION SLASH}"  # HDF5 names hold no "/", units do
FLOATS = (4, 8)  # bytes of floats that every format knows
Fields = dict[str, tuple[np.ndarray, str]]


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
    fields: Fields | None, n: int, what: str, times: np.ndarray | None = None
) -> dict[str, np.ndarray]:
    """'name [unit]' -> real array (n,), (n, c) or, at `times`, (..., n_t).

    n, what : how many "points" or "cells" the mesh has
    A complex field becomes two; vectors of two components gain a zero third.
    Raises BadInput for wrong lengths, NaN and Inf.
    """
    arrays: dict[str, np.ndarray] = {}
    for name, (values, unit) in _pairs(fields or {}):
        array = _as_numbers(name, values)
        _check_shape(name, array, n, what, times)
        _check_finite(name, array, what)
        for key, part in _real_parts(name, _in_space(array, times)).items():
            arrays[label(key, unit)] = part
    return arrays


def _pairs(fields: Fields) -> Iterator[tuple[str, tuple[np.ndarray, str]]]:
    """(name, (array, unit)) of fields. Raises BadInput for anything else."""
    if not isinstance(fields, Mapping):
        raise BadInput(f"fields are a {type(fields).__name__}; give name -> (array, unit)")
    for name, pair in fields.items():
        if not isinstance(pair, tuple) or len(pair) != 2 or not isinstance(pair[1], str):
            raise BadInput(f"field {name!r} is a {type(pair).__name__}; give (array, unit)")
        yield name, pair


def _as_numbers(name: str, values: np.ndarray) -> np.ndarray:
    array = number_array(values, f"field {name!r}", NUMBER)
    foreign = array.dtype.kind == "f" and array.dtype.itemsize not in FLOATS
    return array.astype(float) if foreign else array


def _check_shape(
    name: str, values: np.ndarray, n: int, what: str, times: np.ndarray | None
) -> None:
    shape = values.shape
    if values.ndim == 0 or shape[0] != n:
        raise BadInput(
            f"field {name!r} has shape {shape}; the mesh has {n} {what}: "
            f"give ({n},) or ({n}, components)"
        )
    if times is not None and values.ndim > 1 and shape[-1] != len(times):
        raise BadInput(
            f"field {name!r} has shape {shape}; its last axis must be the {len(times)} times"
        )
    if values.ndim > _dimensions(times):
        raise BadInput(
            f"field {name!r} has shape {shape}; give times for its last axis, or one array per step"
        )


def _check_finite(name: str, values: np.ndarray, what: str) -> None:
    bad = ~np.isfinite(values)
    if bad.any():
        row = int(np.argwhere(bad)[0, 0])
        raise BadInput(f"field {name!r} holds NaN or Inf at {what[:-1]} {row}; give finite values")


def _dimensions(times: np.ndarray | None) -> int:
    """Axes of a vector field: rows and components, and times where there are some."""
    return 2 if times is None else 3


def _in_space(values: np.ndarray, times: np.ndarray | None) -> np.ndarray:
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
