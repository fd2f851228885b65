"""The one gate for arrays and options: what public verbs take and refuse.

Taken: lists, data frames, memory maps, any order, strides and byte order, read-only; integers
and float32 are computed in float64. Refused: text, objects, dates, masked entries, complex
numbers where real ones are meant, NaN and Inf, sparse where dense is meant, nothing at all, another
number of axes. What is float64 already is not copied, and nothing passed is changed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import wraps
from inspect import signature
from typing import Any, ParamSpec, TypeVar

import numpy as np
import scipy.sparse as sp

from rom.errors import BadInput

P = ParamSpec("P")
R = TypeVar("R")
Check = Callable[[Any, str], Any]
LARGEST = 1e150  # beyond, squares overflow
ASYMMETRY = 1e-10  # of a product, over its diagonal: more is no round-off
EXACT = 4096  # rows up to which the signs of all eigenvalues of a product are counted
POSITIVE = "give one whose (u, u) is never negative, as a mass matrix or weights"
REAL, NUMBER = "biuf", "biufc"
FLOAT = np.dtype(float)
SEED = "int | np.random.Generator"


def first_bad(array: Any) -> str:
    """Where an array holds its first NaN or Inf, to be named: "7", or "(2, 1)"."""
    where = [int(k) for k in np.argwhere(~np.isfinite(np.asarray(array)))[0]]
    return str(where[0] if len(where) == 1 else tuple(where))


def number_array(value: Any, name: str, kinds: str = REAL) -> np.ndarray:
    """`value` as an array of numbers in this machine's byte order.

    Raises BadInput for text, objects, dates, ragged lists, sparse or masked entries, and complex
    ones where `kinds` has no "c".
    """
    if type(value) is np.ndarray and value.dtype == FLOAT:
        return value
    numbers = "real numbers" if kinds == REAL else "numbers"
    if sp.issparse(value):
        raise BadInput(f"{name} is sparse; give a dense array: {name}.toarray()")
    if np.ma.is_masked(value):
        raise BadInput(f"{name} is masked in places; drop those entries, or fill in their values")
    try:
        array = np.asarray(value)
    except (TypeError, ValueError, OverflowError) as error:
        raise BadInput(f"{name} is no array of {numbers} ({error}); give {numbers}") from error
    if array.dtype.kind not in kinds:
        what = type(value).__name__ if array.ndim == 0 else f"an array of {array.dtype}"
        hint = "its real and imaginary parts" if array.dtype.kind == "c" else numbers
        raise BadInput(f"{name} is {what} and no array of {numbers}; give {hint}")
    return array.astype(array.dtype.newbyteorder("="), copy=False)


def real(value: Any, name: str, kind: type = float) -> Any:
    """`value` as an array of floats, or of integers.

    Raises BadInput for what `number_array` refuses, and for fractions where integers are meant.
    """
    array = number_array(value, name)
    if kind is float and array.dtype == FLOAT:
        return array
    if kind is float:
        return array.astype(float, copy=False)
    if array.dtype.kind == "b":
        raise BadInput(f"{name} holds booleans; give integers: numpy.flatnonzero({name})")
    with np.errstate(invalid="ignore"):
        whole = array.astype(np.int64, copy=False)
    if not np.array_equal(whole, array) or (whole < 0).any() != (array < 0).any():
        raise BadInput(f"{name} holds fractions, NaN or numbers beyond 2^63; give integers")
    return whole


def array_of(
    *shapes: str,
    kinds: str = REAL,
    most: float = LARGEST,
    empty: bool = False,
    rows: bool = False,
) -> Check:
    """The check of finite numbers with as many axes as one of `shapes` names.

    shapes : as "(n, m)"; kinds : numpy's, REAL or NUMBER; most : largest magnitude
    empty : whether an axis may have no entry; rows : whether the first may, as the rows of a
        rank that has none
    """
    axes = [len(shape.strip("(,)").split(",")) if shape != "()" else 0 for shape in shapes]

    def check_array(value: Any, name: str) -> np.ndarray:
        array = number_array(value, name, kinds)
        if array.ndim not in axes:
            raise BadInput(f"{name} has shape {array.shape}; give {' or '.join(shapes)}")
        if 0 in array.shape[int(rows) :] and not empty:
            raise BadInput(f"{name} has shape {array.shape}: nothing; give at least one entry")
        array = array.astype(complex if array.dtype.kind == "c" else float, copy=False)
        check_size(array, name, most)
        return array

    return check_array


def check_size(array: np.ndarray, name: str, most: float = LARGEST) -> None:
    """BadInput naming the first NaN, Inf or number beyond `most`."""
    if not np.isfinite(array).all():
        raise BadInput(f"{name} holds NaN or Inf at {first_bad(array)}; give finite numbers")
    large = np.abs(array) > most
    if large.any():
        where = first_bad(np.where(large, np.inf, 0.0))
        raise BadInput(f"{name} exceeds {most:g} at {where}: its square overflows; rescale")


VECTOR = array_of("(m,)")
POINTS = array_of("(m, p)")
OUTPUTS = array_of("(m,)", "(m, r)")
COLUMNS = array_of("(n, m)", kinds=NUMBER, rows=True)
STATES = array_of("(n,)", "(n, m)", kinds=NUMBER, rows=True)
TENSORS = array_of("(g, c, r)", empty=True)
FIELDS = array_of("(n,)", "(n, c)", "(n, c, m)")


def integers(value: Any, name: str) -> np.ndarray:
    """Integers (k,), perhaps none. Raises BadInput."""
    array = real(value, name, int)
    if array.ndim != 1:
        raise BadInput(f"{name} has shape {array.shape}; give integers (k,)")
    return np.asarray(array)


def each(check: Check) -> Check:
    """The check of every entry of a sequence, which may not be empty."""

    def check_each(value: Any, name: str) -> list[Any]:
        if isinstance(value, (str, bytes)) or not isinstance(value, Iterable):
            raise BadInput(f"{name} is a {type(value).__name__}; give a sequence of arrays")
        parts = [check(part, f"{name}[{k}]") for k, part in enumerate(value)]
        if not parts:
            raise BadInput(f"{name} is empty; give at least one")
        return parts

    return check_each


def named(check: Check) -> Check:
    """The check of every value of a mapping, under its name."""

    def check_named(value: Any, name: str) -> dict[str, Any]:
        if not isinstance(value, Mapping):
            raise BadInput(f"{name} is a {type(value).__name__}; give name -> array")
        return {key: check(part, f"{name}[{key!r}]") for key, part in value.items()}

    return check_named


def stream(check: Check) -> Check:
    """The check of every entry of an iterable when it comes."""

    def check_stream(value: Any, name: str) -> Iterator[Any]:
        if isinstance(value, (str, bytes)) or not isinstance(value, Iterable):
            raise BadInput(f"{name} is a {type(value).__name__}; give blocks, one after the other")
        return (check(part, f"{name}[{k}]") for k, part in enumerate(value))

    return check_stream


def either(noun: type, check: Check) -> Check:
    """A noun as it is, or what the check makes of it."""
    return lambda value, name: value if isinstance(value, noun) else check(value, name)


def of_noun(noun: type) -> Check:
    """The check that something is a noun of this type."""
    return lambda value, name: check_noun(value, name, noun)


def as_it_is(value: Any, name: str) -> Any:
    """Anything, as it is."""
    return value


def function(value: Any, name: str) -> Any:
    """A function as it is. Raises BadInput."""
    if not callable(value):
        raise BadInput(f"{name} is a {type(value).__name__}; give a function")
    return value


def check_noun(value: Any, name: str, noun: type) -> Any:
    """`value`, if it is a `noun`. Raises BadInput."""
    if not isinstance(value, noun):
        raise BadInput(f"{name} is a {type(value).__name__}; give a {noun.__name__}")
    return value


def integer(value: Any, name: str) -> int:
    """`value` as an integer. Raises BadInput, also for 2.0 and True."""
    value = _scalar(value)
    if isinstance(value, (bool, np.bool_)) or not isinstance(value, (int, np.integer)):
        raise BadInput(f"{name} is {_words(value)}; give an integer")
    return int(value)


def real_number(value: Any, name: str) -> Any:
    """`value`, if it is a real number and not NaN. Raises BadInput."""
    value = _scalar(value)
    kinds = (int, float, np.integer, np.floating)
    if isinstance(value, (bool, np.bool_)) or not isinstance(value, kinds) or value != value:
        raise BadInput(f"{name} is {_words(value)}; give a real number")
    return value


def switch(value: Any, name: str) -> bool:
    """`value`, if it is True or False. Raises BadInput."""
    value = _scalar(value)
    if not isinstance(value, (bool, np.bool_)):
        raise BadInput(f"{name} is {_words(value)}; give True or False")
    return bool(value)


def word(value: Any, name: str) -> str:
    """`value`, if it is text. Raises BadInput."""
    if not isinstance(value, str):
        raise BadInput(f"{name} is {_words(value)}; give a name in quotes")
    return value


def seed(value: Any, name: str) -> int | np.random.Generator:
    """`value`, if it is a generator, or an integer that begins one. Raises BadInput."""
    if isinstance(value, np.random.Generator):
        return value
    begin = integer(value, name)
    if begin < 0:
        raise BadInput(f"{name} is {begin}; give a seed of zero or more, or a generator")
    return begin


CHECKS: dict[str, Check] = {
    "int": integer,
    "float": real_number,
    "bool": switch,
    "str": word,
    SEED: seed,
}


def option_check(annotation: Any) -> Callable[[Any, str], Any] | None:
    """The check of what is annotated so; None for all but single options."""
    return CHECKS.get(str(annotation).removesuffix(" | None"))


def _scalar(value: Any) -> Any:
    """The number in an array of no axes, anything else as it is."""
    is_alone = isinstance(value, np.ndarray) and value.ndim == 0 and value.dtype.kind in "biuf"
    return value.item() if is_alone else value


def _words(value: Any) -> str:
    """What something is, short enough for a message."""
    text = repr(value) if isinstance(value, (int, float, complex, str, bytes, type(None))) else ""
    return f"{type(value).__name__} {text[:40]}".strip() if text != "None" else "None"


def gate(**checks: Check | type) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """A verb whose arguments pass checks first, and options are what they say.

    checks : functions, or the types of nouns. Where None is meant to be given, it passes. What is
        not named and annotated as one integer, number, switch, word or seed is checked as such.
    """

    def guard(verb: Callable[P, R]) -> Callable[P, R]:
        parameters = signature(verb).parameters
        plan = []
        options = {name: option_check(own.annotation) for name, own in parameters.items()}
        for name, check in {**options, **checks}.items():
            if check is None:
                continue
            place = list(parameters).index(name)
            own = parameters[name]
            optional = own.default is None or "None" in str(own.annotation)
            plan.append((name, place, optional, check))

        @wraps(verb)
        def pass_gate(*args: P.args, **kwargs: P.kwargs) -> R:
            values = list(args)
            for name, place, optional, check in plan:
                box: Any = values if place < len(values) else kwargs
                key: Any = place if place < len(values) else name
                if key is name and name not in kwargs:
                    continue
                if not (optional and box[key] is None):
                    box[key] = pass_one(box[key], name, check)
            return verb(*values, **kwargs)  # type: ignore[arg-type]

        pass_gate.__dict__["gate"] = dict(checks)
        return pass_gate

    return guard


def pass_one(value: Any, name: str, check: Check | type) -> Any:
    """`value` through one check, or as the noun that it must be."""
    if isinstance(check, type):
        return check_noun(value, name, check)
    return check(value, name)


def check_members(noun: Any, **checks: Check | type) -> None:
    """The members of a frozen noun through checks, in its `__post_init__`."""
    for name, check in checks.items():
        object.__setattr__(noun, name, pass_one(getattr(noun, name), name, check))


def check_lengths(axis: str, **arrays: Any) -> None:
    """BadInput where arrays differ in length, their number of `axis`."""
    lengths = {name: np.shape(a)[0] for name, a in arrays.items() if a is not None}
    if len(set(lengths.values())) > 1:
        text = ", ".join(f"{name} has {k}" for name, k in lengths.items())
        raise BadInput(f"{text}; give one of each per {axis}")


def refuse_indefinite(X: Any) -> None:
    """BadInput where X is not Hermitian or has a negative eigenvalue.

    X : sparse (n, n), or a diagonal (n,); semidefinite ones pass
    Diagonal entries scale rows and columns, so that fields of any unit count alike. Up to EXACT
    rows the pivots of a factorisation decide; beyond, the minors |X_ij|^2 <= X_ii X_jj.
    """
    diagonal = X.diagonal() if sp.issparse(X) else X
    negative = np.flatnonzero(np.real(diagonal) < 0)
    if negative.size:
        i = int(negative[0])
        raise BadInput(f"the inner product has {diagonal[i]:.3g} at ({i}, {i}); {POSITIVE}")
    if not sp.issparse(X) or not X.nnz:
        return
    root = np.sqrt(np.real(diagonal))
    entries = X.tocoo()
    allowed = root[entries.row] * root[entries.col]
    gap = abs(X - X.conj().T).tocoo()
    skew = gap.data > ASYMMETRY * np.maximum(root[gap.row] * root[gap.col], np.finfo(float).tiny)
    if skew.any():
        i, j = int(gap.row[skew][0]), int(gap.col[skew][0])
        raise BadInput(
            f"the inner product is not symmetric: {X[i, j]:.6g} at ({i}, {j}), {X[j, i]:.6g} at "
            f"({j}, {i}); give 0.5 (X + X^T)"
        )
    large = np.abs(entries.data) > allowed * (1 + ASYMMETRY)
    if large.any() or (X.shape[0] <= EXACT and _has_negative_pivot(X, root)):
        raise BadInput(f"the inner product is indefinite; {POSITIVE}")


def _has_negative_pivot(X: Any, root: np.ndarray) -> bool:
    """Whether D^{-1/2} X D^{-1/2} has an eigenvalue below -ASYMMETRY, by its inertia."""
    from scipy.sparse.linalg import splu

    inverse = sp.diags_array(np.divide(1.0, root, out=np.zeros_like(root), where=root > 0))
    shifted = inverse @ X @ inverse + ASYMMETRY * sp.eye_array(X.shape[0])
    options = {"SymmetricMode": True}
    factors = splu(
        shifted.tocsc(), permc_spec="MMD_AT_PLUS_A", diag_pivot_thresh=0.0, options=options
    )
    moved = not np.array_equal(factors.perm_r, factors.perm_c)
    return bool(moved or (factors.U.diagonal().real < 0).any())
