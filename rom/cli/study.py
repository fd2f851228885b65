"""`rom study`: how wrong a model is at parameters that it has not seen."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import Annotated

import numpy as np
import typer

from rom.cli.launch import Json, Verbose, guard
from rom.cli.options import Case, ModelFile, Seed, Settings, Table
from rom.cli.ranks import rank
from rom.cli.tables import show_numbers
from rom.errors import BadInput
from rom.parameters import Box

app = typer.Typer()
UNITS = {"full_s": "s", "online_ms": "ms", "batch_us": "us per query"}


@app.command("study", epilog="Example: rom study solver.py model.h5 --n 20 --report study.html")
@guard
def study_command(
    case: Case,
    model: ModelFile,
    *,
    n: Annotated[int, typer.Option(min=1, help="Fresh random parameters.")] = 20,
    seed: Seed = 12345,
    csv: Table = None,
    report: Annotated[
        Path | None, typer.Option(help="An HTML file with tables and curves.")
    ] = None,
    settings: Settings = None,
    json: Json = False,
    verbose: Verbose = False,
) -> None:
    """Error, bound, effectivity and speed-up of a model against its solver.

    At parameters that it has not seen.
    """
    from rom.archive.models import load_model
    from rom.cli.case import load_functions, load_problem
    from rom.study.comparison import study

    if rank():
        return
    machine, _, provenance = load_model(model, load_functions(case))
    problem = load_problem(case, settings or provenance.get("settings", ()))
    box = problem.box if problem.box is not None else getattr(machine, "box", None)
    mus = _test_parameters(box, csv, n, seed)
    table = study(machine, problem.solve, mus)
    numbers = table.summary()
    if report is not None:
        from rom.study.report import write_report

        command = shlex.join(["rom", *sys.argv[1:]])
        write_report(
            report,
            table,
            machine.basis,
            box=box,
            provenance={**provenance, "studied by": command, "seed": seed},
            title=f"Study of {model.name}",
        )
    show_numbers({"parameters": len(mus), "r": machine.basis.r, **numbers}, UNITS, json)


def _test_parameters(box: Box | None, csv: Path | None, n: int, seed: int) -> np.ndarray:
    """Parameters (m, p) of a table, or n random ones of the box."""
    from rom.cli.case import parameters

    if csv is not None:
        return parameters((), csv, box)
    if box is None:
        raise BadInput("neither the case nor the model has a box; give the parameters: --csv FILE")
    x = np.random.default_rng(seed).random((n, box.p))
    return box.from_unit(x)
