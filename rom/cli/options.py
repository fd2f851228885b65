"""Options and arguments that commands share, and the parameters that they design."""

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
CaseOption = Annotated[
    str | None, typer.Option("--case", help="The case, for its outputs and functions.")
]
Settings = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        help="name=value for the case's problem(); repeatable. "
        "Default in study: those of the model.",
    ),
]
ModelFile = Annotated[Path, typer.Argument(help="A model file.")]
Mus = Annotated[list[str] | None, typer.Option("--mu", help='Parameters, "a=1,b=2"; repeatable.')]
Table = Annotated[
    Path | None, typer.Option("--csv", help="A table of parameters; its header names them.")
]
Count = Annotated[
    int, typer.Option(min=1, help="Parameters to solve; with --design grid, points per axis.")
]
Design = Annotated[str, typer.Option(help="sobol, lhs or grid.")]
Seed = Annotated[int, typer.Option(help="Seed of the random numbers.")]
Picture = Annotated[Path | None, typer.Option(help="A PNG instead of a window.")]


def parameters_to_solve(
    box: Box | None, csv: Path | None, *, design: str, n: int, seed: int
) -> tuple[np.ndarray, Box | None]:
    """Parameters (m, p) of a table or of a design, and the box that they span.

    Raises BadInput for an unknown design, or where there is neither table nor box.
    """
    from rom.cli.case import parameters

    if csv is None:
        return design_parameters(box, design, n, seed), box
    mus = parameters((), csv, box)
    return mus, box if box is not None else span_box(csv, mus)


def design_parameters(box: Box | None, design: str, n: int, seed: int) -> np.ndarray:
    """Parameters (m, p) of a box by the name of a design.

    Raises BadInput for an unknown one, or where there is no box.
    """
    from rom.design import grid, latin_hypercube, sobol

    if box is None:
        raise BadInput(
            "the case has no box to sample; define box = Box(...) beside solve, "
            "or give the parameters: --csv FILE"
        )
    if design == "grid":
        return grid(box, n)
    designs = {"sobol": sobol, "lhs": latin_hypercube}
    if design not in designs:
        raise BadInput(f"no design {design!r}; known: sobol, lhs, grid")
    return designs[design](box, n, seed)


def span_box(table: Path, mus: np.ndarray) -> Box | None:
    """The box that a table of parameters spans, with the names of its header.

    None where a parameter does not vary.
    """
    from rom.io.tables import read_table

    widths = np.ptp(mus, axis=0)
    if (widths == 0).any():
        return None
    heads = read_table(table).units
    units = tuple(unit or "1" for unit in heads.values())
    return Box(tuple(heads), mus.min(axis=0), mus.max(axis=0), units)


def units_of(box: Box | None) -> dict[str, str]:
    """Name of a parameter -> its unit."""
    return {} if box is None else dict(zip(box.names, box.units, strict=True))


def stem(case: str) -> str:
    """The name of a case without folder and suffix, for default files."""
    is_path = case.endswith(".py") or Path(case).is_dir()
    return Path(case).stem if is_path else case.rpartition(".")[2]
