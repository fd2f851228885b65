"""The gate: every public verb times every kind of input, at each of its array arguments.

The same numbers in another dress give the same answer; what is no array of numbers, or another
shape, is refused by name; numbers that a verb cannot treat are refused or answered with finite
ones. Never a bare error, and never is an argument changed.
"""

from __future__ import annotations

import copy
import dataclasses
import enum
import importlib
import inspect
import warnings
from functools import cache

import numpy as np
import pytest
import scipy.sparse as sp

import rom
from rom.arrays import SEED, integer, option_check, real_number, seed, switch
from rom.errors import BadInput, RomError
from tests.gate_kinds import COMPLEX, DRESSES, NUMBERS, STRANGERS, Frame
from tests.gate_rows import (
    DECLARED,
    LONG,
    RESULTS,
    ROWS,
    WITHOUT_ARRAYS,
    Row,
    solid_rows,
)

NOUN_STRANGERS = {
    "an array": lambda good: np.ones((3, 3)),
    "nothing": lambda good: None,
    "a word": lambda good: "abc",
    "a number": lambda good: 3.0,
    "a dictionary": lambda good: {"a": 1},
    "a list": lambda good: [1.0, 2.0],
    "an object": lambda good: object(),
}
REFUSED = "refused"
PLAIN = {  # what a dress is compared with
    "float16": lambda a: a.real.astype(np.float16).astype(float),
    "float32": lambda a: (
        a.astype(np.complex64).astype(complex)
        if a.dtype.kind == "c"
        else a.astype(np.float32).astype(float)
    ),
    "int32": lambda a: np.round(4 * a.real),
}


def numbers(answer):
    """All numbers of an answer, in order."""
    if isinstance(answer, np.ndarray):
        return [answer.ravel()]
    if sp.issparse(answer):
        return [answer.toarray().ravel()]
    if isinstance(answer, (bool, int, float, complex, np.generic)):
        return [np.atleast_1d(answer)]
    if dataclasses.is_dataclass(answer):
        members = (getattr(answer, member.name) for member in dataclasses.fields(answer))
        return [part for member in members for part in numbers(member)]
    if isinstance(answer, dict):
        answer = list(answer.values())
    if isinstance(answer, (list, tuple)):
        return [part for member in answer for part in numbers(member)]
    return []


def outcome(row, name, value):
    """REFUSED, or all numbers of the answer. Bare errors and warnings pass through."""
    arguments = {key: good for key, (_, good) in row.arguments.items()}
    arguments[name] = value
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        try:
            answer = row.call(**arguments)
        except RomError as error:
            assert len(str(error)) > 10
            return REFUSED
    parts = numbers(answer)
    return np.concatenate(parts) if parts else np.zeros(0)


def frozen(value):
    """A copy to compare with afterwards."""
    if isinstance(value, Frame):
        return copy.deepcopy(value.values)
    return copy.deepcopy(value)


def unchanged(before, after):
    if isinstance(after, Frame):
        after = after.values
    if isinstance(after, np.ndarray) and after.dtype.kind in "biufc":
        return np.array_equal(np.asarray(before), np.asarray(after), equal_nan=True)
    return repr(before) == repr(after)


def fault(row, name, kind, make, rule):
    """What is wrong with the answer to one kind of input, or an empty text."""
    good = row.arguments[name][1]
    try:
        value = make(good)
    except (ValueError, TypeError, IndexError):
        return ""  # this array has no such dress
    before = frozen(value) if not callable(value) else value
    try:
        answer = outcome(row, name, value)
    except Exception as error:
        return f"bare {type(error).__name__}: {str(error)[:90]}"
    if not callable(value) and type(value) is not object and not unchanged(before, value):
        return "changed"
    return rule(answer, good)


@cache
def plain_outcome(name, argument, kind):
    """The answer to a plain array, that of the kind where it rounds."""
    row = rows()[name]
    return outcome(row, argument, PLAIN.get(kind, np.array)(row.arguments[argument][1]))


def same(kind, name, argument):
    def rule(answer, good):
        plain = plain_outcome(name, argument, kind if kind in PLAIN else None)
        if isinstance(plain, str) or isinstance(answer, str):
            return "" if isinstance(plain, str) == isinstance(answer, str) else "not as plain"
        close = plain.shape == answer.shape and np.allclose(answer, plain, rtol=1e-9, atol=1e-12)
        return "" if close else "another answer"

    return rule


def refuse(answer, good):
    return "" if isinstance(answer, str) else "silent"


def anything(answer, good):
    return ""


def refuse_or_finite(answer, good):
    finite = isinstance(answer, str) or answer.dtype.kind not in "fc" or np.isfinite(answer).all()
    return "" if finite else "not finite"


def trials(name):
    """(argument, kind, what makes it, rule) of a row."""
    row = rows()[name]
    for argument, (what, _) in row.arguments.items():
        if what == "noun":
            strangers = NOUN_STRANGERS
        else:
            strangers = {**STRANGERS, **({} if what == "complex" else COMPLEX)}
        for kind, make in strangers.items():
            rule = anything if kind in row.free else refuse
            yield argument, kind, make, rule
        if what == "noun":
            continue
        for kind, make in DRESSES.items():
            if what != "integers" or kind not in PLAIN:
                yield argument, kind, make, same(kind, name, argument)
        for kind, make in NUMBERS.items():
            yield argument, kind, make, refuse_or_finite


def faults(name, kinds=None):
    return [
        f"{argument}, {kind}: {text}"
        for argument, kind, make, rule in trials(name)
        if (kinds is None or kind in kinds)
        and (text := fault(rows()[name], argument, kind, make, rule))
    ]


@cache
def rows():
    return ROWS | solid_rows()


def public():
    """One name of everything public that is called, by identity."""
    names = {}
    for chapter in ("", *rom.CHAPTERS):
        face = importlib.import_module(f"rom.{chapter}" if chapter else "rom")
        for name in face.__all__:
            value = getattr(face, name)
            abstract = isinstance(value, type) and issubclass(value, (Exception, enum.Enum))
            if callable(value) and not abstract:
                full = f"{chapter}.{name}" if chapter else name
                names.setdefault(id(value), (value, set()))[1].add(full)
    return list(names.values())


def test_everything_public_is_tried_or_said_to_take_no_arrays():
    lists = (set(rows()), set(RESULTS.split()), set(WITHOUT_ARRAYS.split()), set(DECLARED))
    for value, names in public():
        homes = [k for k, known in enumerate(lists) if names & known]
        assert len(homes) == 1, f"{sorted(names)} is in {len(homes)} of the lists of gate_rows.py"
        for name in names & set(DECLARED):
            assert set(value.gate) >= DECLARED[name], name


def test_every_name_of_the_lists_is_public():
    names = set().union(*(every for _, every in public()))
    outside = {"Question", "bands.calibrate_indicator", "shapes.Sample"}
    assert {*rows(), *RESULTS.split(), *WITHOUT_ARRAYS.split(), *DECLARED} <= names | outside


@pytest.mark.parametrize("name", sorted(set(ROWS) - LONG))
def test_a_verb_takes_numbers_and_refuses_the_rest_by_name(name):
    assert not faults(name)


@pytest.mark.parametrize("name", sorted(LONG))
def test_a_long_verb_refuses_strangers_before_work(name):
    assert not faults(name, {*STRANGERS, *NOUN_STRANGERS} - rows()[name].free)


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(LONG))
def test_a_long_verb_takes_numbers_and_refuses_the_rest_by_name(name):
    assert not faults(name)


def test_the_search_sees_what_it_looks_for():
    def silent(x):
        return np.nansum(np.asarray(x, dtype=float))

    def bare(x):
        return x.shape[5]

    def changing(x):
        x[0] = 1.0
        return x

    good = {"x": ("real", np.zeros(3))}
    assert fault(Row(silent, good), "x", "NaN", STRANGERS["NaN"], refuse) == "silent"
    assert fault(Row(bare, good), "x", "NaN", STRANGERS["NaN"], refuse).startswith("bare Index")
    assert fault(Row(changing, good), "x", "zero", NUMBERS["zero"], anything) == "changed"


def test_a_masked_solution_is_no_solution(tmp_path):
    def solve(mu):
        return np.ma.array(np.ones(3), mask=[False, mu[0] > 0.5, False])

    rom.collect(solve, np.array([[0.0], [1.0]]), tmp_path, progress=False)
    kept = rom.read(tmp_path)
    assert kept.mu.tolist() == [[0.0]] and kept.u.tolist() == [[1.0]] * 3


def test_an_exception_without_a_text_ends_its_run_alone(tmp_path):
    class MuteError(Exception):
        def __str__(self):
            raise RuntimeError("no text")

    def solve(mu):
        if mu[0] > 0.5:
            raise MuteError
        return np.ones(3)

    campaign = rom.collect(solve, np.array([[1.0], [0.0]]), tmp_path, progress=False)
    assert campaign.solved == 1 and "MuteError" in campaign.failed[0][1]


NO_OPTIONS = {
    "int": [1.5, 2.0, True, "2", None, [1], 1j, np.nan, np.array([1, 2]), object()],
    "float": ["0.1", True, None, [0.1], 1j, np.nan, np.array([0.1, 0.2]), object()],
    "bool": [1, 0.0, "yes", None, [True], np.array([True, False])],
    "str": [1, None, True, b"auto", ["auto"], np.array(["auto"])],
    SEED: [-1, 1.5, True, "0", None, [1, 2], np.random.RandomState(0)],
}


def options():
    """(verb, option, annotation, its default) of everything public that passes the gate."""
    for value, names in public():
        for name, own in inspect.signature(value).parameters.items() if callable(value) else ():
            is_option = option_check(own.annotation) and name not in getattr(value, "gate", {name})
            if is_option:
                yield pytest.param(value, name, own, id=f"{sorted(names)[0]}-{name}")


@pytest.mark.parametrize(("verb", "name", "own"), options())
def test_an_option_of_another_kind_is_refused_by_name_before_anything_else(verb, name, own):
    """Nothing else is given: what is missing is seen later."""
    kind = str(own.annotation).removesuffix(" | None")
    is_optional = kind != str(own.annotation)
    for bad in NO_OPTIONS[kind]:
        if bad is None and (is_optional or own.default is None):
            continue
        with pytest.raises(BadInput, match=rf"^{name} is .*; give "):
            verb(**{name: bad})


def test_options_are_many_and_come_as_numpy_has_them():
    assert len(list(options())) > 200
    assert [integer(k, "k") for k in (3, np.int32(3), np.array(3))] == [3, 3, 3]
    assert [real_number(x, "x") for x in (1, np.float32(0.5), np.array(2.0))] == [1, 0.5, 2.0]
    assert switch(np.True_, "on") is True and isinstance(seed(np.int64(3), "rng"), int)
