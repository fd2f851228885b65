"""What the commands' options and arguments have in common: their types, and the parameters they design."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import numpy as np
import typer

from rom.errors import BadInput
from rom.parameters import Box

Case = Annotated[
    str,
    typer.Argument(
        help="A dotted module or a .py file with problem(**settings), or with solve(mu) and box."
    ),
]
Settings = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        help="name=value for the case's problem(); repeatable. Default in study: those of the model.",
    ),
]
Mus = Annotated[list[str] | None, typer.Option("--mu", help='Parameters, "a=1,b=2"; repeatable.')]
Table = Annotated[
    Path | None, typer.Option("--csv", help="A table of parameters; its header names them.")
]
Seed = Annotated[int, typer.Option(help="Seed of the random numbers.")]
CaseOption = Annotated[
    str | None, typer.Option("--case", help="The case, for its outputs and functions.")
]


def design_parameters(box: Box | None, design: str, n: int, seed: int) -> np.ndarray:
    """Parameters (m, p) of a box by the name of a design. Raises BadInput for an unknown one, or where there is no box."""
    from rom.design import designs

    if box is None:
        raise BadInput(
            "the case has no box to sample; define box = Box(...) beside solve, or give the parameters: --csv FILE"
        )
    known = {"sobol": designs.sobol, "lhs": designs.latin_hypercube}
    if design == "grid":
        return designs.grid(box, n)
    if design not in known:
        raise BadInput(f"no design {design!r}; known: sobol, lhs, grid")
    return known[design](box, n, seed)


def span_box(table: Path | None, mus: np.ndarray) -> Box | None:
    """The box that a table of parameters spans, with the names of its header."""
    import csv

    if table is None or (np.ptp(mus, axis=0) == 0).any():
        return None
    with open(table, newline="") as file:
        header = [entry.split("[") for entry in next(csv.reader(file))]
    units = tuple(entry[1].rstrip("] ") if len(entry) > 1 else "1" for entry in header)
    return Box(tuple(entry[0].strip() for entry in header), mus.min(axis=0), mus.max(axis=0), units)


def units_of(box: Box | None) -> dict[str, str]:
    """Name of a parameter -> its unit."""
    return {} if box is None else dict(zip(box.names, box.units, strict=True))


def stem(case: str) -> str:
    """The name of a case without folder and suffix, from which default files are named."""
    return (
        Path(case).stem if case.endswith(".py") or Path(case).is_dir() else case.rpartition(".")[2]
    )
