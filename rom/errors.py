"""Named errors: each message states the culprit and the remedy."""

from __future__ import annotations

from typing import Any


class RomError(Exception):
    """Anything this package refuses or cannot do."""


class BadInput(RomError, ValueError):
    """An argument or a datum that cannot mean anything: shape, type, NaN, name, unit."""


class OutsideBox(BadInput):
    """A parameter outside the box that a model was built for."""


class NotConverged(RomError, ArithmeticError):
    """An iteration that ended without its tolerance."""


class Singular(RomError, ArithmeticError):
    """A matrix that cannot be factorised."""


class SolveFailed(RomError):
    """A high-fidelity solve that gave no usable solution."""


class ForeignFile(RomError, OSError):
    """A file that this package did not write or must not read."""


class DamagedFile(RomError, OSError):
    """A file whose bytes do not match their digest."""


class NotWritten(RomError, OSError):
    """A file that could not be written: disk, quota, permission."""


class MissingExtra(RomError, ImportError):
    """An optional dependency that is not installed."""


class NotSubmitted(RomError):
    """A job that the scheduler refused, or a scheduler that does not answer."""


class Folded(RomError, ArithmeticError):
    """A morphing that turns a cell over."""


def printable(text: str) -> str:
    r"""`text` without control characters, which drive a terminal: ESC becomes \\x1b."""
    return "".join(
        char if char.isprintable() or char in " \n\t" else repr(char)[1:-1] for char in text
    )


def first_bad(array: Any) -> str:
    """Where an array holds its first NaN or Inf, to be named: "7", or "(2, 1)"."""
    import numpy as np

    where = [int(k) for k in np.argwhere(~np.isfinite(np.asarray(array)))[0]]
    return str(where[0] if len(where) == 1 else tuple(where))


def real(value: Any, name: str, kind: type = float) -> Any:
    """`value` as an array of floats, or of integers.

    Raises BadInput for text, objects, ragged lists, complex or masked numbers.
    """
    import numpy as np

    try:
        array = np.asarray(value)
        if np.ma.is_masked(value):
            raise TypeError("it is masked")
        if array.dtype.kind not in "biufO":
            raise TypeError(f"it is {array.dtype}")
        return array.astype(np.int64 if kind is int else float, copy=False)
    except (TypeError, ValueError, OverflowError) as error:
        numbers = "integers" if kind is int else "floats"
        raise BadInput(f"{name} is no array of real numbers ({error}); give {numbers}") from error
