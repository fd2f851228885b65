"""`rom predict`: the answers of a model from its file alone."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer

from rom.cli.launch import Json, Verbose, guard
from rom.cli.options import CaseOption, ModelFile, Mus, Table, units_of
from rom.cli.ranks import rank
from rom.cli.scenes import answer_row, headings
from rom.cli.tables import show_numbers
from rom.mesh import Mesh
from rom.model import Prediction
from rom.parameters import Box

app = typer.Typer()


@app.command(
    "predict", epilog='Example: rom predict model.h5 --mu "k=2,load=10" --out answer.vtkhdf'
)
@guard
def predict_command(
    model: ModelFile,
    *,
    mu: Mus = None,
    values: Annotated[
        list[str] | None,
        typer.Option("--set", help="name=value of one parameter; repeat for all of them."),
    ] = None,
    csv: Table = None,
    out: Annotated[
        Path | None, typer.Option(help=".vtkhdf, a mesh format, .npz or .csv for the fields.")
    ] = None,
    case: CaseOption = None,
    json: Json = False,
    verbose: Verbose = False,
) -> None:
    """Fields, outputs and what is known of their error, from the model file alone."""
    from rom.archive.models import load_model
    from rom.cli.case import load_functions, load_problem, parameters

    if rank():
        return
    machine, mesh, provenance = load_model(model, load_functions(case))
    box = getattr(machine, "box", None)
    outputs = None
    if case is not None:
        outputs = load_problem(case, provenance.get("settings", ())).outputs
    texts = list(mu or ())
    if values:
        texts.append(",".join(values))
    mus = parameters(texts, csv, box)
    answers = [machine.predict(row) for row in mus]
    rows = [
        answer_row(machine, row, answer, box=box, outputs=outputs)
        for row, answer in zip(mus, answers, strict=True)
    ]
    if out is not None:
        _write_answers(out, machine, answers, mus, box=box, mesh=mesh)
    if json:
        place = None if out is None else str(out)
        show_numbers({"model": str(model), "out": place, "answers": rows}, {}, True)
        return
    for row in rows:
        scalars = row.pop("mu")
        show_numbers({**scalars, **row}, units_of(box), False)


def _write_answers(
    path: Path,
    machine: Any,
    answers: Sequence[Prediction],
    mus: np.ndarray,
    *,
    box: Box | None,
    mesh: Mesh | None,
) -> None:
    """All fields of all answers, with what was asked beside each."""
    from rom.io.states import write_columns

    basis = machine.basis
    states = np.column_stack([basis.lift(answer.coefficients) for answer in answers])
    counts = [
        1 if np.ndim(answer.coefficients) == 1 else answer.coefficients.shape[1]
        for answer in answers
    ]
    repeated = np.repeat(mus, counts, axis=0)
    inputs = dict(zip(headings(box, mus.shape[1]), repeated.T, strict=True))
    if answers[0].t is not None:
        times = [np.asarray(answer.t, dtype=float) for answer in answers]
        inputs["t [s]"] = np.concatenate(times)
    write_columns(path, basis.space, states, inputs, mesh)
