"""`rom predict`: the answers of a model from its file alone."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from rom.cli.answers import answer_rows, answer_units, show_answers
from rom.cli.launch import Json, Verbose, guard
from rom.cli.options import CaseOption, ModelFile, Mus, Table
from rom.cli.questions import (
    GivenFields,
    LoadingFile,
    MeshOption,
    SignalTable,
    Times,
    answer_question,
    open_model,
    read_asks,
    read_question,
)
from rom.cli.ranks import rank, ranks_of_model
from rom.cli.tables import show_numbers
from rom.cli.targets import check_answer_file

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
    t: Times = None,
    mesh: MeshOption = None,
    fields: GivenFields = None,
    signals: SignalTable = None,
    loading: LoadingFile = None,
    out: Annotated[
        Path | None,
        typer.Option(help=".npz, .csv, .vtkhdf, .xdmf or a mesh format, for all that is told."),
    ] = None,
    case: CaseOption = None,
    json: Json = False,
    verbose: Verbose = False,
) -> None:
    """Fields, outputs and what is known of their error, from the model file alone.

    All rows of a table are one prediction.
    """
    from rom.cli.case import case_on_ranks, has_problem, load_problem

    check_answer_file(out)
    comm = ranks_of_model(model)
    shared = case_on_ranks(case, model, comm)
    texts = [*(mu or ()), *([",".join(values)] if values else [])]
    question = read_question(
        read_asks(model, case, comm),
        texts=texts,
        csv=csv,
        t=t,
        mesh=mesh,
        fields=fields or (),
        signals=signals,
        loading=loading,
        case=case,
    )
    machine, place, provenance = open_model(
        model, case, comm, None if shared is None else shared.space
    )
    outputs = None
    if shared is not None:
        outputs = shared.outputs
    elif case is not None and machine.tells and has_problem(case):
        outputs = load_problem(case, provenance.get("settings", ())).outputs
    answer = answer_question(machine, question, place)
    box = machine.asks.box
    rows = answer_rows(answer, box, outputs, by_rows=shared is not None)
    if out is not None:
        from rom.io.answers import write_answer

        write_answer(out, answer, box)
    if comm is not None and rank():
        return
    if json:
        target = None if out is None else str(out)
        show_numbers({"model": str(model), "out": target, "answers": rows}, {}, True)
        return
    show_answers(rows, answer_units(answer, box))
