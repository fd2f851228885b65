"""`rom reduce`, or `rom train` of stored runs: from a store to one model file."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from rom.cli.launch import Json, Verbose, guard
from rom.cli.options import Seed, Settings, stem
from rom.cli.ranks import rank, world
from rom.cli.tables import show_numbers
from rom.cli.targets import MODELS, check_suffix_of
from rom.cli.training import DEFAULT_TOL, OF_PROCESSES, Plan, save_training, train_model
from rom.errors import BadInput, require
from rom.problem import Problem

app = typer.Typer()
KIND_HELP = (
    "auto, projection, regression, trajectories, local, dmd, edmd, opinf, projected, deim or "
    "cubature; rom train has shapes, solid and operator too."
)


@app.command(
    "reduce", epilog="Example: rom reduce solver.py --store runs --tol 1e-4 --out model.h5"
)
@guard
def reduce_command(
    case: Annotated[str, typer.Argument(help="A case, or the folder of a store alone.")],
    *,
    store: Annotated[
        Path | None, typer.Option(help="Folder of the store. Default: CASE.store")
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="File of the model. Default: CASE.rom.h5")
    ] = None,
    tol: Annotated[
        float | None,
        typer.Option(min=0.0, help="Relative error of the training set to stay below."),
    ] = None,
    modes: Annotated[int | None, typer.Option("--rank", min=1, help="Modes to keep.")] = None,
    method: Annotated[str, typer.Option(help="Of the POD: auto, gram, full, random, ...")] = "auto",
    memory: Annotated[
        str | None, typer.Option(help="Snapshots beyond it stay on disk: 256MiB.")
    ] = None,
    center: Annotated[bool, typer.Option(help="Subtract the mean first.")] = False,
    kind: Annotated[str, typer.Option(help=KIND_HELP)] = "auto",
    regress: Annotated[bool, typer.Option(help="The same as --kind regression.")] = False,
    local: Annotated[
        int, typer.Option(min=0, help="Local bases at most, of --rank modes each.")
    ] = 0,
    aim: Annotated[
        str, typer.Option(help="Of local bases: mean or q90 of the errors of unseen runs.")
    ] = "mean",
    regressor: Annotated[
        str, typer.Option(help="Of the coefficients: auto, gp, linear, rbf, nearest, mean.")
    ] = "auto",
    kernel: Annotated[
        str, typer.Option(help="Of the processes: auto, matern52, rbf, product, sum, ...")
    ] = "auto",
    mean: Annotated[
        str, typer.Option(help="Trend of the processes: auto, zero, constant, linear.")
    ] = "auto",
    transform: Annotated[
        str, typer.Option(help="Of fields before regression: auto, identity, log.")
    ] = "auto",
    share: Annotated[
        str, typer.Option(help="Kernels: auto, shared, clusters, independent.")
    ] = "auto",
    degree: Annotated[int, typer.Option(min=1, max=4, help="Of a law in time, in the state.")] = 2,
    dissipative: Annotated[
        bool, typer.Option(help="Infer a law whose energy never grows.")
    ] = False,
    calibrate: Annotated[
        float, typer.Option(help="Share of the runs kept for bands of a law in time.")
    ] = 0.0,
    signals: Annotated[
        Path | None, typer.Option(help="Table of signals over t, the same for all runs, of dmd.")
    ] = None,
    rates: Annotated[
        int | None, typer.Option(min=1, help="Of dmd: number of rates, more than modes by delays.")
    ] = None,
    seed: Seed = 0,
    settings: Settings = None,
    json: Json = False,
    verbose: Verbose = False,
) -> None:
    """POD of a store, then a model of its coefficients; one file.

    A certified Galerkin model where the case has A and f, else a regression: a Gaussian
    process, or an interpolation of the runs where left-out runs say that it is better.
    """
    check_suffix_of(out, MODELS)
    for library in ("kmedoids", "sklearn") if local else ():
        require(library, "cluster", "local bases")
    plan = Plan(
        tol, modes, method, center, memory, choose_kind(kind, regress), regressor, local, seed,
        kernel, mean, share, transform, degree, dissipative, calibrate,
        None if signals is None else str(signals), rates, aim=aim,
    )  # fmt: skip
    comm = world()
    problem, path = _source(case, store, settings)
    space = None if problem is None else problem.space
    if space is not None and comm is not None and space.comm is None:
        if rank():
            return
        comm = None
    training = train_model(problem, path, plan, comm)
    numbers = save_training(out or Path(f"{stem(case)}.rom.h5"), training, case, settings)
    if rank():
        return
    numbers |= {"tol_asked": DEFAULT_TOL if tol is None and modes is None else tol}
    numbers |= {"rank_asked": modes}
    show_numbers(numbers, {"bytes": "B", "training_error": "relative"}, json)


def _source(
    case: str, store: Path | None, settings: list[str] | None
) -> tuple[Problem | None, Path]:
    """The problem of a case and its store; no problem where the store alone is given."""
    from rom.cli.case import load_problem

    if Path(case).is_dir():
        return None, Path(case)
    return load_problem(case, settings or ()), store or Path(f"{stem(case)}.store")


def choose_kind(kind: str, regress: bool) -> str:
    """The kind that --kind and --regress ask for. Raises BadInput where they disagree."""
    if regress and kind not in ("auto", "regression"):
        raise BadInput(f"--regress is --kind regression, not {kind}; give one of them")
    return "regression" if regress else kind


def check_model_options(options: Mapping[str, Any]) -> None:
    """Raises BadInput where the parsed options of this command do not fit together."""
    kind = choose_kind(options["kind"], options["regress"])
    bases, law = ("local", "aim"), ("degree", "dissipative", "calibrate", "rates")
    names = ("regressor", "transform", *bases, *law, *OF_PROCESSES)
    words = {name: options[name] for name in names}
    if options["signals"] is not None:
        words["signals"] = str(options["signals"])
    Plan(rank=options["modes"], kind=kind, **words)
