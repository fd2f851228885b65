"""Kinds of input for an array argument: what is taken, what is refused, what may be either."""

from __future__ import annotations

import datetime
import tempfile

import numpy as np
import scipy.sparse as sp


class Frame:
    """A data frame as pandas' is seen by numpy: a shape, no dtype, `__array__`."""

    def __init__(self, values):
        self.values = np.asarray(values)
        self.shape = self.values.shape
        self.columns = range(self.shape[-1] if self.shape else 0)

    def __array__(self, dtype=None, copy=None):
        return np.array(self.values, dtype=dtype)

    def __len__(self):
        return len(self.values)


def put(array, value, dtype=None):
    """A copy with `value` in its middle."""
    array = np.array(array, dtype=dtype or array.dtype)
    array.flat[array.size // 2] = value
    return array


def mapped(array):
    """The array on disk."""
    with tempfile.TemporaryFile() as file:
        disk = np.memmap(file, dtype=array.dtype, mode="w+", shape=array.shape)
    disk[:] = array
    return disk


def strided(array):
    """A view of every other entry of a larger array."""
    wide = np.zeros([2 * k for k in array.shape], dtype=array.dtype)
    view = wide[tuple(slice(None, None, 2) for _ in array.shape)]
    view[...] = array
    return view


def reversed_view(array):
    """The array through negative strides."""
    flip = tuple(slice(None, None, -1) for _ in array.shape)
    return array[flip].copy()[flip]


def locked(array):
    array = array.copy()
    array.flags.writeable = False
    return array


def nested(array):
    return array.tolist()


def tuples(array):
    return tuple(nested(row) if row.ndim else row for row in array)


# the same numbers in another dress: the same answer
DRESSES = {
    "float32": lambda a: a.astype(np.complex64 if a.dtype.kind == "c" else np.float32),
    "float16": lambda a: a.real.astype(np.float16),
    "long double": lambda a: a.real.astype(np.longdouble),
    "int32": lambda a: np.round(4 * a.real).astype(np.int32),
    "read-only": locked,
    "negative strides": reversed_view,
    "big-endian": lambda a: a.astype(a.dtype.newbyteorder(">")),
    "memory map": mapped,
    "list of lists": nested,
    "tuples": tuples,
    "Fortran order": np.asfortranarray,
    "strided": strided,
    "data frame": Frame,
    "masked nowhere": lambda a: np.ma.array(a, mask=False),
    "subclass": lambda a: a.view(type("Mine", (np.ndarray,), {})),
}
# what an array of numbers is not
STRANGERS = {
    "NaN": lambda a: put(a, np.nan, np.result_type(a, float)),
    "Inf": lambda a: put(a, np.inf, np.result_type(a, float)),
    "-Inf": lambda a: put(a, -np.inf, np.result_type(a, float)),
    "object": lambda a: put(a, None, object),
    "objects of numbers and text": lambda a: put(a, "3 K", object),
    "text": lambda a: a.astype(str),
    "bytes": lambda a: a.astype("S32"),
    "None within": lambda a: [None] * len(a),
    "masked": lambda a: np.ma.array(a, mask=put(np.zeros(a.shape, bool), True)),
    "empty (0,)": lambda a: np.zeros(0),
    "empty (0, n)": lambda a: np.zeros((0, *a.shape[1:]) if a.ndim > 1 else (0, 3)),
    "empty (n, 0)": lambda a: np.zeros((*a.shape[:-1], 0) if a.ndim > 1 else (3, 0)),
    "a number": lambda a: np.array(1.5),
    "two axes more": lambda a: a[None, None],
    "ragged": lambda a: [[1.0, 2.0], [3.0]],
    "data frame with text": lambda a: Frame(put(a, "x", object)),
    "dates": lambda a: np.zeros(a.shape, "M8[s]"),
    "spans of time": lambda a: np.zeros(a.shape, "m8[s]"),
    "a date": lambda a: datetime.date(2024, 1, 1),
    "sparse": lambda a: sp.csr_array(np.atleast_2d(a if a.ndim < 3 else a[0])),
    "beyond all integers": lambda a: np.full(a.shape, 10**400, dtype=object).tolist(),
    "records": lambda a: np.zeros(a.shape, dtype=[("x", float)]),
    "a word": lambda a: "abc",
    "a dictionary": lambda a: {"a": 1.0},
    "a set": lambda a: {1.0, 2.0},
    "a function": lambda a: np.sin,
    "an object": lambda a: object(),
}
COMPLEX = {"complex": lambda a: a + 1j}
# numbers that may be refused, or answered
NUMBERS = {
    "bool": lambda a: a.real > 0,
    "huge": lambda a: put(a, 1e308, np.result_type(a, float)),
    "all huge": lambda a: np.zeros(a.shape) + 1e300,
    "tiny": lambda a: a * 1e-170,
    "zero": lambda a: np.zeros(a.shape),
    "constant": lambda a: np.ones(a.shape),
    "negative": lambda a: -np.abs(a) - 1,
    "rows twice": lambda a: np.concatenate([a, a]),
    "all rows alike": lambda a: np.broadcast_to(a[:1], a.shape),
    "one row": lambda a: a[:1],
    "one column": lambda a: a[..., :1],
    "one too few": lambda a: a[:-1],
    "one too many": lambda a: np.concatenate([a, a[:1]]),
    "transposed": lambda a: a.T,
    "flat": lambda a: a.ravel(),
    "one axis more": lambda a: a[..., None],
}
