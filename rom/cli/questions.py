"""From options of a command to a question, by what the model asks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer

from rom.arrays import real
from rom.cli.case import number, pair, parameters
from rom.errors import BadInput
from rom.mesh import Mesh
from rom.model import Asks, Model, Question
from rom.prediction import Prediction, Quantity
from rom.space import Space

MAX_TIMES = 10_000_000
BASELINE = "baseline:"  # prefix of fields in a mesh file that a model asks for
TIME = "t"

Times = Annotated[
    str | None, typer.Option("--t", help="Times [s]: FIRST:LAST:STEP, or a list 0,0.5,2.")
]
MeshOption = Annotated[
    Path | None, typer.Option("--mesh", help="A mesh file, where the model asks for one.")
]
GivenFields = Annotated[
    list[str] | None,
    typer.Option("--given", help="NAME=FILE, a field that the model asks for; repeatable."),
]
SignalTable = Annotated[
    Path | None, typer.Option("--signals", help="A table of signals over t; its header names them.")
]
LoadingFile = Annotated[
    Path | None, typer.Option("--loading", help="A loading: a TOML file, or a saved Loading.")
]


def read_question(
    asks: Asks,
    *,
    texts: Sequence[str] = (),
    csv: Path | None = None,
    t: str | None = None,
    mesh: Path | None = None,
    fields: Sequence[str] = (),
    signals: Path | None = None,
    loading: Path | None = None,
    case: str | None = None,
) -> Question:
    """The checked question of a command's options.

    What the model does not ask for, and what is missing, is refused before a file is read.
    Raises BadInput, OutsideBox as `Asks.question` does.
    """
    _check_presence(asks, bool(texts) or csv is not None, t=t, mesh=mesh, loading=loading)
    if signals is not None and not asks.signals:
        raise BadInput("the model asks for no signals; leave --signals out")
    mu = _parameters(asks, texts, csv)
    shape, from_mesh = (None, {}) if mesh is None else _read_mesh(asks, mesh)
    times: Any = None if t is None else read_times(t)
    series: dict[str, np.ndarray] = {}
    if signals is not None:
        series, own = read_signals(signals, asks.signals)
        times = _agree(times, own) if asks.times is not None else times
    count = len(np.atleast_2d(mu)) if np.ndim(mu) == 2 else 1
    named = from_mesh | _read_fields(asks.fields, fields)
    return asks.question(
        mu,
        t=times,
        mesh=shape,
        fields={name: np.repeat(values, count, axis=2) for name, values in named.items()},
        signals=series,
        loading=None if loading is None else load_loading(loading, case),
    )


def _check_presence(
    asks: Asks, has_mu: bool, *, t: str | None, mesh: Path | None, loading: Path | None
) -> None:
    """Raises BadInput for what is not asked for, or is missing."""
    if has_mu and asks.p == 0:
        raise BadInput("the model asks for no parameters; leave --mu, --set and --csv out")
    if t is not None and asks.times is None:
        raise BadInput("the model knows no time; leave --t out")
    for what, is_asked, path in (("mesh", asks.mesh, mesh), ("loading", asks.loading, loading)):
        if is_asked and path is None:
            raise BadInput(f"the model asks for a {what}; none was given: --{what} FILE")
        if path is not None and not is_asked:
            raise BadInput(f"the model does not ask for a {what}; leave --{what} out")


def _parameters(asks: Asks, texts: Sequence[str], table: Path | None) -> Any:
    """mu (m, p), one point (p,), or () where none are asked for."""
    optional = asks.p == 0 or (asks.p is None and (asks.loading or asks.mesh))
    if optional and not texts and table is None:
        return ()
    mus = parameters(texts, table, asks.box)
    return mus[0] if len(mus) == 1 and table is None else mus


def read_times(text: str) -> np.ndarray:
    """'0:10:0.5' or '0,0.5,2' -> times (n_t,) [s]; the last one is included.

    Raises BadInput for another form.
    """
    if ":" not in text:
        entries = [entry for entry in text.split(",") if entry.strip()]
        return np.array([number(f"time {k + 1}", entry) for k, entry in enumerate(entries)])
    parts = text.split(":")
    if len(parts) != 3:
        raise BadInput(f"--t {text!r} is not of the form FIRST:LAST:STEP")
    words = ("first time", "last time", "step")
    first, last, step = (number(word, part) for word, part in zip(words, parts, strict=True))
    if not (np.isfinite([first, last, step]).all() and step > 0 and last >= first):
        raise BadInput(f"--t {text!r}: give FIRST:LAST:STEP with FIRST <= LAST and STEP > 0")
    steps = (last - first) / step
    if steps > MAX_TIMES:
        raise BadInput(f"--t {text!r} are {steps:.3g} times; give a longer step")
    return first + step * np.arange(int(np.floor(steps * (1 + 1e-12) + 1e-9)) + 1)


def _read_mesh(asks: Asks, path: Path) -> tuple[Mesh, dict[str, np.ndarray]]:
    """The mesh of a file, and those of its fields (n, c, 1) that the model asks for."""
    from rom.io.files import read_file

    mesh, points, cells = read_file(path)
    fields_there = {**cells, **points}
    fields = {}
    for quantity in asks.fields:
        for key in (BASELINE + quantity.name, quantity.name):
            if key in fields_there:
                fields[quantity.name] = _field(quantity, *fields_there[key], path)
                break
    return mesh, fields


def _read_fields(quantities: tuple[Quantity, ...], texts: Sequence[str]) -> dict[str, np.ndarray]:
    """NAME=FILE -> field (n, c, 1) in the unit asked for. Raises BadInput."""
    from rom.io.files import read_file
    from rom.io.numpy_files import read_npy

    by_name = {quantity.name: quantity for quantity in quantities}
    fields = {}
    for name, text in map(pair, texts):
        if name not in by_name:
            names = ", ".join(by_name) or "none"
            raise BadInput(f"the model asks for no field {name!r}; it asks for: {names}")
        path = Path(text)
        if not path.is_file():
            raise BadInput(f"no file {path} for the field {name!r}")
        if path.suffix == ".npy":
            values, unit = read_npy(path), by_name[name].unit
        else:
            _, points, cells = read_file(path)
            every = {**cells, **points}
            if name not in every:
                raise BadInput(f"{path} has no field {name!r}; it has: {', '.join(every)}")
            values, unit = every[name]
        fields[name] = _field(by_name[name], values, unit, path)
    return fields


def _field(quantity: Quantity, values: np.ndarray, unit: str, path: Path) -> np.ndarray:
    """Values (n, c, 1) in the unit asked for."""
    from rom.io.units import convert

    if unit and unit != quantity.unit:
        values = convert(values, unit, quantity.unit, f"field {quantity.name!r} of {path.name}")
    values = real(values, f"field {quantity.name!r} of {path.name}")
    return values.reshape(len(values), -1)[:, :, None]


def read_signals(
    path: Path, quantities: tuple[Quantity, ...]
) -> tuple[dict[str, np.ndarray], np.ndarray | None]:
    """name -> (n_t,) in the units asked for, and the times of the column t, or None.

    Raises BadInput for what is no table, a signal that is not asked for, text.
    """
    from rom.io.tables import read_table

    table = read_table(path)
    by_name = {quantity.name: quantity for quantity in quantities}
    signals: dict[str, np.ndarray] = {}
    times = None
    for name in table.columns:
        if name == TIME and TIME not in by_name:
            times = table.values(name, "s")
        elif name not in by_name:
            listing = ", ".join(by_name)
            raise BadInput(f"the model asks for no signal {name!r}; it asks for: {listing}")
        else:
            signals[name] = table.values(name, by_name[name].unit)
    return signals, times


def _agree(times: np.ndarray | None, own: np.ndarray | None) -> np.ndarray | None:
    """Times of --t and of the table of signals. Raises BadInput where they differ."""
    if times is None or own is None:
        return own if times is None else times
    if times.shape != own.shape or not np.allclose(times, own):
        raise BadInput("--t and the times of --signals differ; leave --t out")
    return times


def load_loading(path: Path, case: str | None = None) -> Any:
    """The loading of a TOML file or of a saved noun. Raises BadInput for another file."""
    from rom.archive.nouns import load
    from rom.cli.case import load_functions
    from rom.cli.scenes import is_archive
    from rom.loading import Loading

    if not path.is_file():
        raise BadInput(f"no file {path}; give a loading: --loading FILE")
    if not is_archive(path):
        from rom.io.loadings import read_loading

        return read_loading(path)
    noun = load(path, load_functions(case))
    if not isinstance(noun, Loading):
        raise BadInput(f"{path} holds a {type(noun).__name__}, no loading")
    return noun


def answer_question(model: Model, question: Question, mesh: Mesh | None) -> Prediction:
    """The answer of a model with the mesh where its fields live, where one is known."""
    answer = model.answer(question)
    if answer.mesh is not None:
        return answer
    return replace(answer, mesh=question.mesh or model.mesh or mesh)


def read_asks(path: Path, case: str | None, comm: Any = None) -> Asks:
    """What the model of a file asks, from its header alone where it has one.

    Raises BadInput where the file holds something that answers no questions.
    """
    from rom.archive.headers import open_header

    header = open_header(path)
    return open_model(path, case, comm)[0].asks if header is None else header.asks


def open_model(
    path: Path, case: str | None, comm: Any = None, space: Space | None = None
) -> tuple[Model, Mesh | None, dict[str, Any]]:
    """(model, mesh, provenance) of a file.

    comm, space : ranks that share out its rows, and whose rows these are, as for `load`
    Raises BadInput where it holds something that answers no questions.
    """
    from rom.archive.models import load_model
    from rom.cli.case import load_functions

    model, mesh, provenance = load_model(path, load_functions(case), comm=comm, space=space)
    if not isinstance(model, Model):
        raise BadInput(
            f"{path} holds a {type(model).__name__}, which states nothing of what it asks; "
            "commands serve models that do"
        )
    return model, mesh, provenance
