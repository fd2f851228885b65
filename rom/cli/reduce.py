"""`rom reduce`: from a store to a model in one file."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
import typer

from rom import __version__
from rom.basis import Basis
from rom.cli.launch import Json, Verbose, guard
from rom.cli.options import Seed, Settings, stem
from rom.cli.ranks import rank, world
from rom.cli.tables import show_numbers
from rom.errors import BadInput
from rom.parameters import Box
from rom.problem import Problem
from rom.snapshots import Snapshots

if TYPE_CHECKING:
    from rom.gp import FieldGP

app = typer.Typer()
DEFAULT_TOL = 1e-4


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
    regress: Annotated[
        bool, typer.Option(help="Regression even where the case has A and f.")
    ] = False,
    regressor: Annotated[
        str, typer.Option(help="Of the coefficients: auto, gp, linear, rbf, nearest.")
    ] = "auto",
    seed: Seed = 0,
    settings: Settings = None,
    json: Json = False,
    verbose: Verbose = False,
) -> None:
    """POD of a store, then a model of its coefficients; one file.

    A certified Galerkin model where the case has A and f, else a regression: a Gaussian
    process, or an interpolation of the runs where left-out runs say that it is better.
    """
    from rom.archive.models import save_model
    from rom.campaign import nbytes, open_store, read

    comm = world()
    problem, path = _source(case, store, settings)
    space = None if problem is None else problem.space
    if space is not None and comm is not None and space.comm is None:
        if rank():
            return
        comm = None
    campaign = open_store(path)
    snapshots = read(path, space, comm=comm, memory_budget=memory)
    tol = DEFAULT_TOL if tol is None and modes is None else tol
    budget = None if memory is None else nbytes(memory)
    options: dict[str, Any] = {
        "method": method,
        "center": center,
        "memory_budget": budget,
        "rng": seed,
    }
    operators = _operators(None if regress else problem)
    basis, by_field = _basis(snapshots, tol, modes, options, by_field=operators is None)
    if operators is not None:
        model, kind = _projection(operators, basis)
    elif snapshots.t is not None:
        model, kind = _trajectories(snapshots, campaign.box, comm, tol)
    else:
        model, kind = _regression(snapshots, basis, campaign.box, regressor, seed)
    target = out or Path(f"{stem(case)}.rom.h5")
    provenance = _provenance(case, settings) | {
        "store": str(path),
        "solver version": campaign.identity["version"],
        "snapshots": snapshots.m,
    }
    digest = save_model(target, model, None if rank() else campaign.mesh, provenance)
    if rank():
        return
    numbers = {
        "model": str(target), "kind": kind, "dofs": basis.space.size, "snapshots": snapshots.m,
        "r": basis.r, "tol_asked": tol, "rank_asked": modes, "reason": basis.reason,
        "training_error": basis.error, "bytes": target.stat().st_size, "sha256": digest,
    }  # fmt: skip
    for name, error in by_field.items():
        numbers[f"training_error {name}"] = error
    show_numbers(numbers, {"bytes": "B", "training_error": "relative"}, json)


def _operators(problem: Problem | None) -> Problem | None:
    """The problem, where it has the A and f that a projection needs."""
    if problem is None or problem.A is None or problem.f is None:
        return None
    return problem


def _basis(
    snapshots: Snapshots,
    tol: float | None,
    modes: int | None,
    options: dict[str, Any],
    *,
    by_field: bool,
) -> tuple[Basis, dict[str, float]]:
    """The basis, and the training error of each field where there are several."""
    from rom.compress import pod, pod_by_field

    if by_field and len(snapshots.space.fields) > 1:
        basis, _, errors = pod_by_field(snapshots, tol, modes, **options)
        return basis, errors
    return pod(snapshots, tol=tol, rank=modes, **options)[0], {}


def _provenance(case: str, settings: list[str] | None) -> dict[str, Any]:
    return {
        "command": shlex.join(["rom", *sys.argv[1:]]),
        "package": f"rom-platform {__version__}",
        "numpy": np.__version__,
        "case": case,
        "settings": list(settings or ()),
    }


def _source(
    case: str, store: Path | None, settings: list[str] | None
) -> tuple[Problem | None, Path]:
    """The problem of a case and its store; no problem where the store alone is given."""
    from rom.cli.case import load_problem

    if Path(case).is_dir():
        return None, Path(case)
    return load_problem(case, settings or ()), store or Path(f"{stem(case)}.store")


def _regression(
    snapshots: Snapshots, basis: Basis, box: Box | None, regressor: str, seed: int
) -> tuple[FieldGP, str]:
    """A regression of the coefficients, and what it is."""
    from rom.gp import field_gp

    model = field_gp(snapshots, basis, box, regressor=regressor, rng=seed)
    return model, model.kind


def _trajectories(
    snapshots: Snapshots, box: Box | None, comm: Any, tol: float | None
) -> tuple[Any, str]:
    """A process of whole trajectories. Raises BadInput on several ranks."""
    from rom.gp import trajectory_gp

    if comm is not None and comm.Get_size() > 1:
        raise BadInput("a model of trajectories is trained on one rank; run it without mpiexec")
    model = trajectory_gp(snapshots, box, tol=tol or DEFAULT_TOL)
    return model, f"process of whole trajectories ({model.reason})"


def _projection(problem: Problem, basis: Basis) -> tuple[Any, str]:
    """The Galerkin model of a problem with A and f, and its kind."""
    from rom.certified import galerkin_model, unsteady_model

    if problem.M is not None and problem.times is not None:
        return unsteady_model(problem, basis), "unsteady Galerkin"
    certified = problem.stability is not None
    kind = "Galerkin with a certified bound" if certified else "Galerkin without a bound"
    return galerkin_model(problem, basis), kind
