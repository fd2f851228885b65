"""Cases: a module or a user's own file that offers `problem(**settings)`, or just `solve(mu)` and perhaps `box`."""

from __future__ import annotations

import csv
import importlib
import importlib.util
import inspect
import json
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from rom.errors import BadInput
from rom.parameters import Box
from rom.problem import Problem


def load_case_module(name: str) -> ModuleType:
    """The module of a dotted name, or of a path to a .py file. Raises BadInput where it cannot be imported."""
    path = Path(name)
    if path.suffix != ".py":
        if str(Path.cwd()) not in sys.path:
            sys.path.insert(0, str(Path.cwd()))
        try:
            return importlib.import_module(name)
        except ModuleNotFoundError as error:
            raise BadInput(
                f"no case {name!r} ({error}); give a dotted module or the path of a .py file"
            ) from error
    if not path.is_file():
        raise BadInput(f"no file {name}; give a dotted module or the path of a .py file")
    label = f"case_{path.stem}"
    spec = importlib.util.spec_from_file_location(label, path)
    if spec is None or spec.loader is None:
        raise BadInput(f"{name} is no Python file")
    made = importlib.util.module_from_spec(spec)
    sys.modules[label] = made
    spec.loader.exec_module(made)
    return made


def load_problem(name: str, settings: Sequence[str] = ()) -> Problem:
    """The problem of a case. settings : "name=value" for `problem`'s parameters; BadInput lists the known ones.

    Settings enter the version, so that samples of other settings are never mixed with these.
    """
    case = load_case_module(name)
    if hasattr(case, "problem"):
        chosen = typed_settings(case.problem, settings)
        made = case.problem(**chosen)
        return (
            replace(
                made, version=f"{made.version} {json.dumps(chosen, sort_keys=True, default=str)}"
            )
            if chosen
            else made
        )
    if not hasattr(case, "solve"):
        raise BadInput(f"{name} has neither problem(**settings) nor solve(mu); define one of them")
    if settings:
        raise BadInput(
            f"{name} has only solve(mu), which takes no settings ({', '.join(settings)}); define problem(**settings)"
        )
    return Problem(
        case.solve, getattr(case, "box", None), version=str(getattr(case, "version", "1"))
    )  # type: ignore[arg-type]


def load_functions(name: str | None) -> dict[str, Callable[..., Any]]:
    """The functions of a case by "module:name", for models that refer to them; none without a case."""
    if name is None:
        return {}
    case = load_case_module(name)
    return {
        f"{case.__name__}:{key}": value
        for key, value in vars(case).items()
        if callable(value) and not key.startswith("__")
    }


def typed_settings(function: Callable[..., Any], settings: Sequence[str]) -> dict[str, Any]:
    """["size=4000", ...] as keyword arguments with the types of the function's signature."""
    from pydantic import TypeAdapter, ValidationError

    parameters = inspect.signature(function, eval_str=True).parameters
    chosen: dict[str, Any] = {}
    for key, text in (pair(entry) for entry in settings):
        if key not in parameters:
            raise BadInput(f"no setting {key!r}; known: {', '.join(parameters) or 'none'}")
        kind = parameters[key].annotation
        adapter = TypeAdapter(Any if kind is inspect.Parameter.empty else kind)
        try:
            chosen[key] = adapter.validate_strings(text)
        except ValidationError as error:
            try:
                chosen[key] = adapter.validate_json(text)
            except ValidationError:
                wanted = getattr(kind, "__name__", kind)
                raise BadInput(
                    f"{key} = {text!r} is no {wanted}: {error.errors()[0]['msg'].lower()}"
                ) from error
    return chosen


def pair(text: str) -> tuple[str, str]:
    """'a=1' -> ('a', '1'). Raises BadInput without an equals sign."""
    key, equals, value = text.partition("=")
    if not equals or not key.strip():
        raise BadInput(f"{text!r} is not of the form name=value")
    return key.strip(), value.strip()


def parameters(texts: Sequence[str], table: Path | None, box: Box | None) -> np.ndarray:
    """mu (m, p) from "a=1,b=2" (or "1,2" in the order of the box) and from a CSV table whose header names the parameters."""
    names = box.names if box is not None else None
    rows = [_row(text, names) for text in texts]
    if table is not None:
        rows += _table(table, names)
    if not rows:
        known = (
            ""
            if names is None
            else f' of {", ".join(names)}: --mu "{",".join(f"{n}=..." for n in names)}"'
        )
        raise BadInput(f"no parameters; give values{known}, or a table: --csv FILE")
    if len({len(row) for row in rows}) > 1:
        raise BadInput(f"parameters of different lengths: {[len(row) for row in rows]}")
    return np.array(rows)


def _row(text: str, names: tuple[str, ...] | None) -> list[float]:
    entries = [entry for entry in text.split(",") if entry.strip()]
    if all("=" not in entry for entry in entries):
        return [number(f"value {k + 1}", entry) for k, entry in enumerate(entries)]
    given = dict(pair(entry) for entry in entries)
    if names is None:
        raise BadInput(
            "the model knows no names of parameters; give plain values in order: --mu 1,2"
        )
    return _ordered(given, names)


def _ordered(given: dict[str, str], names: tuple[str, ...]) -> list[float]:
    unknown, missing = [k for k in given if k not in names], [n for n in names if n not in given]
    if unknown or missing:
        trouble = (
            f"no parameter {unknown[0]!r}" if unknown else f"no value for {', '.join(missing)}"
        )
        raise BadInput(f"{trouble}; the parameters are {', '.join(names)}")
    return [number(name, given[name]) for name in names]


def _table(path: Path, names: tuple[str, ...] | None) -> list[list[float]]:
    try:
        with open(path, newline="") as file:
            header, *lines = [line for line in csv.reader(file) if line]
    except (OSError, ValueError, UnicodeDecodeError) as error:
        raise BadInput(
            f"{path} is no table of parameters ({error}); give a CSV file with a header of names"
        ) from error
    header = [entry.split("[")[0].strip() for entry in header]
    for k, line in enumerate(lines):
        if len(line) != len(header):
            raise BadInput(f"{path}, row {k + 2}: {len(line)} entries under {len(header)} names")
    rows = [dict(zip(header, line, strict=True)) for line in lines]
    return [
        _ordered(
            {k: v for k, v in row.items() if names is None or k in names}, names or tuple(header)
        )
        for row in rows
    ]


def number(name: str, text: str) -> float:
    """A float from text; BadInput names the parameter."""
    try:
        return float(text)
    except ValueError as error:
        raise BadInput(f"{name} = {text.strip()!r} is no number") from error
