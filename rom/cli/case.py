"""Cases: a module or a file with `problem(**settings)`, or with `solve(mu)`."""

from __future__ import annotations

import importlib
import importlib.util
import inspect
import json
import os
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

_MODULES_BEFORE: dict[str, set[str]] = {}


def load_case_module(name: str) -> ModuleType:
    """The module of a dotted name, or of a path to a .py file.

    Raises BadInput where it cannot be imported.
    """
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
    module = importlib.util.module_from_spec(spec)
    sys.modules[label] = module
    _import_from(str(path.resolve().parent))
    spec.loader.exec_module(module)
    return module


def _import_from(folder: str) -> None:
    """Let a case import the files beside it, and none that stand beside another case."""
    for other in _MODULES_BEFORE.keys() - {folder}:
        before = _MODULES_BEFORE.pop(other)
        for name in [name for name in sys.modules if _lies_in(name, other)]:
            if name.split(".")[0] not in before:
                del sys.modules[name]
        if other in sys.path:
            sys.path.remove(other)
    if folder not in sys.path:
        _MODULES_BEFORE[folder] = set(sys.modules)
        sys.path.append(folder)


def _lies_in(name: str, folder: str) -> bool:
    """Whether a module was imported from a folder itself, not from a library below."""
    place = os.path.join(folder, *name.split("."))
    file = getattr(sys.modules[name], "__file__", None)
    return file in (f"{place}.py", os.path.join(place, "__init__.py"))


def has_problem(name: str) -> bool:
    """Whether a case has a solver, and not only functions that models refer to."""
    case = load_case_module(name)
    return hasattr(case, "problem") or hasattr(case, "solve")


def load_problem(name: str, settings: Sequence[str] = ()) -> Problem:
    """The problem of a case.

    settings : "name=value" for the parameters of `problem`. They enter the version, so that
    samples of other settings are never mixed with these. Raises BadInput listing the known ones.
    """
    case = load_case_module(name)
    if hasattr(case, "problem"):
        chosen = typed_settings(case.problem, settings)
        problem: Problem = case.problem(**chosen)
        problem = replace(problem, source=_source(case, name))
        if not chosen:
            return problem
        text = json.dumps(chosen, sort_keys=True, default=str)
        return replace(problem, version=f"{problem.version} {text}")
    if not hasattr(case, "solve"):
        raise BadInput(f"{name} has neither problem(**settings) nor solve(mu); define one of them")
    if settings:
        raise BadInput(
            f"{name} has only solve(mu), which takes no settings ({', '.join(settings)}); "
            "define problem(**settings)"
        )
    from rom.cli.plain import plain_problem

    return replace(plain_problem(case), source=_source(case, name))


def _source(case: ModuleType, name: str) -> dict[str, str]:
    """The digests of the files of a case, and of those that its program reads."""
    if case.__file__ is None:
        return {}
    from rom.cli.sources import source_digests

    own = source_digests(Path(case.__file__), None if name.endswith(".py") else name)
    return own | getattr(getattr(case, "solve", None), "source", {})


def case_on_ranks(name: str | None, path: Path, comm: Any) -> Problem | None:
    """The problem of a case with the settings of a model, if it lies on ranks."""
    from rom.archive.nouns import load_entry

    if name is None or comm is None or not has_problem(name):
        return None
    provenance = load_entry(path, "made", comm) or {}
    problem = load_problem(name, provenance.get("settings", ()))
    return problem if problem.space is not None and problem.space.spread else None


def load_functions(name: str | None) -> dict[str, Callable[..., Any]]:
    """The functions of a case by "module:name", for models that refer to them.

    None without a case. Tables of such functions in the case, as solvers.laws.LAWS, count too.
    """
    if name is None:
        return {}
    case = load_case_module(name)
    functions = {
        f"{case.__name__}:{key}": value
        for key, value in vars(case).items()
        if callable(value) and not key.startswith("__")
    }
    for table in vars(case).values():
        if isinstance(table, dict) and table and all(":" in str(key) for key in table):
            functions |= {key: value for key, value in table.items() if callable(value)}
    return functions


def typed_settings(function: Callable[..., Any], settings: Sequence[str]) -> dict[str, Any]:
    """["size=4000", ...] as keyword arguments with the types of the signature."""
    signature = inspect.signature(function, eval_str=True).parameters
    chosen: dict[str, Any] = {}
    for key, text in map(pair, settings):
        if key not in signature:
            raise BadInput(f"no setting {key!r}; known: {', '.join(signature) or 'none'}")
        chosen[key] = _typed_value(key, text, signature[key].annotation)
    return chosen


def _typed_value(key: str, text: str, kind: Any) -> Any:
    """A text, or a text of JSON, as a value of a type. Raises BadInput."""
    from pydantic import TypeAdapter, ValidationError

    adapter: TypeAdapter[Any] = TypeAdapter(Any if kind is inspect.Parameter.empty else kind)
    try:
        return adapter.validate_strings(text)
    except ValidationError as error:
        try:
            return adapter.validate_json(text)
        except ValidationError:
            name = getattr(kind, "__name__", kind)
            reason = error.errors()[0]["msg"].lower()
            raise BadInput(f"{key} = {text!r} is no {name}: {reason}") from error


def pair(text: str) -> tuple[str, str]:
    """'a=1' -> ('a', '1'). Raises BadInput without an equals sign."""
    key, equals, value = text.partition("=")
    if not equals or not key.strip():
        raise BadInput(f"{text!r} is not of the form name=value")
    return key.strip(), value.strip()


def parameters(texts: Sequence[str], table: Path | None, box: Box | None) -> np.ndarray:
    """mu (m, p) from "a=1,b=2" or "1,2", and from a CSV table.

    Plain values are in the order of the box; the header of the table names the parameters.
    Raises BadInput naming what is wrong.
    """
    names = box.names if box is not None else None
    rows = [_row(text, names) for text in texts]
    if table is not None:
        rows += _table(table, box)
    if not rows:
        raise BadInput(f"no parameters; give values{_example(names)}, or a table: --csv FILE")
    lengths = [len(row) for row in rows]
    if len(set(lengths)) > 1:
        raise BadInput(f"parameters of different lengths: {lengths}")
    return np.array(rows)


def _example(names: tuple[str, ...] | None) -> str:
    """How to give values of named parameters."""
    if names is None:
        return ""
    values = ",".join(f"{name}=..." for name in names)
    return f' of {", ".join(names)}: --mu "{values}"'


def _row(text: str, names: tuple[str, ...] | None) -> list[float]:
    entries = [entry for entry in text.split(",") if entry.strip()]
    if all("=" not in entry for entry in entries):
        return [number(f"value {k + 1}", entry) for k, entry in enumerate(entries)]
    pairs = [pair(entry) for entry in entries]
    values = dict(pairs)
    if len(values) < len(pairs):
        keys = [key for key, _ in pairs]
        double = next(key for key in keys if keys.count(key) > 1)
        raise BadInput(f"{double} stands twice in {text!r}; give each parameter once")
    if names is None:
        raise BadInput(
            "the model knows no names of parameters; give plain values in order: --mu 1,2"
        )
    return _in_order(values, names)


def _in_order(values: dict[str, str], names: tuple[str, ...]) -> list[float]:
    """Values of named parameters in the order of `names`. Raises BadInput."""
    listing = ", ".join(names)
    for name in values:
        if name not in names:
            raise BadInput(f"no parameter {name!r}; the parameters are {listing}")
    missing = [name for name in names if name not in values]
    if missing:
        raise BadInput(f"no value for {', '.join(missing)}; the parameters are {listing}")
    return [number(name, values[name]) for name in names]


def _table(path: Path, box: Box | None) -> list[list[float]]:
    """The rows of a table in the order of the box, in its units."""
    from rom.io.tables import read_table

    table = read_table(path)
    names = tuple(table.columns) if box is None else box.names
    units = tuple("" for _ in names) if box is None else box.units
    missing = [name for name in names if name not in table.columns]
    if missing:
        raise BadInput(
            f"{path} has no column {', '.join(missing)}; the parameters are {', '.join(names)}, "
            f"the columns {', '.join(table.columns)}"
        )
    columns = [table.values(name, unit) for name, unit in zip(names, units, strict=True)]
    rows: list[list[float]] = np.column_stack(columns).tolist()
    return rows


def number(name: str, text: str) -> float:
    """A float from text; BadInput names the parameter."""
    try:
        return float(text)
    except ValueError as error:
        raise BadInput(f"{name} = {text.strip()!r} is no number") from error
