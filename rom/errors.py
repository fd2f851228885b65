"""Named errors: each message states the culprit and the remedy."""

from __future__ import annotations


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


def text_of(error: BaseException) -> str:
    """'Type: text' of any exception, also of one whose text cannot be made."""
    kind = type(error).__name__
    try:
        return f"{kind}: {error}"
    except Exception as another:
        return f"{kind}: (its text raises {type(another).__name__})"


def printable(text: str) -> str:
    r"""`text` without control characters, which drive a terminal: ESC becomes \\x1b."""
    return "".join(
        char if char.isprintable() or char in " \n\t" else repr(char)[1:-1] for char in text
    )


def require(module: str, extra: str, purpose: str) -> None:
    """MissingExtra, with the line of pip, where `module` cannot be imported.

    purpose : what needs it, a plural: "pictures"
    """
    from importlib import import_module

    try:
        import_module(module)
    except ImportError as error:
        raise MissingExtra(
            f"{purpose} need {module} ({error}); run: pip install 'rom-platform[{extra}]'"
        ) from error
