"""From stored runs to a model: a basis, and a projection or a regression on it."""

from __future__ import annotations

import shlex
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from rom import __version__
from rom.basis import Basis
from rom.cli.ranks import rank
from rom.errors import BadInput
from rom.parameters import Box
from rom.problem import Problem
from rom.snapshots import Snapshots

if TYPE_CHECKING:
    from rom.campaign.store import Store
    from rom.gp import FieldGP

DEFAULT_TOL = 1e-4


@dataclass(frozen=True, eq=False)
class Plan:
    """How a model is trained from runs.

    tol, rank : of the POD, `method`, `center`, `memory` its options
    regress : a regression even where the case has A and f; regressor : of its coefficients
    """

    tol: float | None = None
    rank: int | None = None
    method: str = "auto"
    center: bool = False
    memory: str | None = None
    regress: bool = False
    regressor: str = "auto"
    seed: int = 0


@dataclass(frozen=True, eq=False)
class Training:
    """A model, what kind it is, and what it came from.

    errors : relative training error of each field, where there are several
    """

    model: Any
    kind: str
    basis: Basis
    snapshots: Snapshots
    store: Store
    errors: dict[str, float] = field(default_factory=dict)


def train_model(problem: Problem | None, path: Path, plan: Plan, comm: Any = None) -> Training:
    """The model of the runs of a store, its rows where those of the runs lie.

    problem : of the case, None where the store is all there is; comm : of its space, or None
    Raises BadInput where the runs do not allow it.
    """
    from rom.campaign import nbytes, open_store, read

    space = None if problem is None else problem.space
    store = open_store(path)
    snapshots = read(path, space, comm=comm, memory_budget=plan.memory)
    tol = DEFAULT_TOL if plan.tol is None and plan.rank is None else plan.tol
    options: dict[str, Any] = {
        "method": plan.method,
        "center": plan.center,
        "memory_budget": None if plan.memory is None else nbytes(plan.memory),
        "rng": plan.seed,
    }
    operators = _operators(None if plan.regress else problem)
    basis, errors = _basis(snapshots, tol, plan.rank, options, by_field=operators is None)
    if operators is not None:
        model, kind = _projection(operators, basis)
    elif snapshots.t is not None:
        model, kind = _trajectories(snapshots, store.box, comm, tol)
    else:
        model, kind = _regression(snapshots, basis, store.box, plan.regressor, plan.seed)
    return Training(model, kind, basis, snapshots, store, errors)


def save_training(
    target: Path, training: Training, case: str, settings: list[str] | None
) -> dict[str, Any]:
    """One file of the model, written by rank 0 with the rows of all; what it says of itself."""
    from rom.archive.models import save_model

    if rank() and not training.basis.space.spread:
        return {}
    provenance = _provenance(case, settings) | {
        "store": str(training.store.path),
        "solver version": training.store.identity["version"],
        "snapshots": training.snapshots.m,
    }
    mesh = None if rank() else training.store.mesh
    digest = save_model(target, training.model, mesh, provenance)
    if rank():
        return {}
    basis = training.basis
    numbers = {
        "model": str(target), "kind": training.kind, "dofs": basis.space.size,
        "snapshots": training.snapshots.m, "r": basis.r, "reason": basis.reason,
        "training_error": basis.error, "bytes": target.stat().st_size, "sha256": digest,
    }  # fmt: skip
    return numbers | {f"training_error {name}": error for name, error in training.errors.items()}


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


def _provenance(case: str, settings: list[str] | None) -> dict[str, Any]:
    return {
        "command": shlex.join(["rom", *sys.argv[1:]]),
        "package": f"rom-platform {__version__}",
        "numpy": np.__version__,
        "case": case,
        "settings": list(settings or ()),
    }
