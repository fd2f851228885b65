"""From stored runs to a model: a basis, and a projection or a regression on it."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from rom import __version__
from rom.basis import Basis
from rom.cli.ranks import rank
from rom.errors import BadInput
from rom.parameters import Box
from rom.prediction import Known
from rom.problem import Problem
from rom.snapshots import Snapshots

Compress = Callable[[Snapshots], tuple[Basis, dict[str, float]]]

if TYPE_CHECKING:
    from rom.campaign.store import Store
    from rom.gp import FieldGP, PositiveFieldGP

DEFAULT_TOL = 1e-4
COPIES = 4  # of runs in memory, that training needs
VECTORS = 6  # of the size of a field, beside blocks of runs
TRAJECTORY_COPIES = 12  # of runs, that a process of whole trajectories needs
HULL_TOL = 1e-7  # relative, on what the hull of local bases may miss
TRANSFORMS = ("auto", "identity", "log")  # of the fields that are regressed
LOG_RANGE = 3.0  # of the largest value over the smallest, where a logarithm is tried
LOG_GAIN = 0.9  # of left-out errors, that the logarithm must reach to be taken
OF_PROCESSES = ("kernel", "mean", "share")  # options of --regressor gp
DYNAMICS = ("dmd", "edmd", "opinf", "projected")  # laws of coefficients in time
NONLINEAR = ("deim", "cubature")  # Galerkin with a nonlinear term at few rows
BANDED = ("edmd", "opinf", "projected", *NONLINEAR)  # kinds that runs give bands
KINDS = ("auto", "projection", "regression", "trajectories", "local", *DYNAMICS, *NONLINEAR)


def check_process_options(kernel: str, mean: str, share: str) -> None:
    """Raises BadInput for names that no process has."""
    from rom.gp.groups import SHARES
    from rom.gp.kernel_names import check_kernel_name
    from rom.gp.priors import check_mean

    check_mean(mean)
    check_kernel_name(kernel)
    if share not in SHARES:
        raise BadInput(f"no share {share!r}; known: {', '.join(SHARES)}")


@dataclass(frozen=True, eq=False)
class Plan:
    """How a model is trained from runs.

    tol, rank : of the POD, `method`, `center`, `memory` its options
    kind : one of KINDS; auto is a projection where the case has A and f, else a regression
    regressor, kernel, mean, share : of the regression of coefficients; transform : of the fields
    local : number of local bases at most, of `rank` modes each
    aim : of local bases, "mean" or "q90" of the errors of unseen runs
    degree : of a law in the state; dissipative : whether its energy may not grow
    calibrate : share of the runs that a law in time does not see, for its bands
    rates : number of those of a linear law, by default that of the modes
    signals : table of the signals of a linear law over the times, for all runs
    anchored : whether an inferred law is pulled towards that of the case's rate: where there is one
    Raises BadInput for an unknown kind, or options that it does not have.
    """

    tol: float | None = None
    rank: int | None = None
    method: str = "auto"
    center: bool = False
    memory: str | None = None
    kind: str = "auto"
    regressor: str = "auto"
    local: int = 0
    seed: int = 0
    kernel: str = "auto"
    mean: str = "auto"
    share: str = "auto"
    transform: str = "auto"
    degree: int = 2
    dissipative: bool = False
    calibrate: float = 0.0
    signals: str | None = None
    rates: int | None = None
    anchored: bool | None = None
    aim: str = "mean"

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise BadInput(f"no kind {self.kind!r} of models from runs; known: {', '.join(KINDS)}")
        self._check_local()
        if self.transform not in TRANSFORMS:
            names = ", ".join(TRANSFORMS)
            raise BadInput(f"no transform {self.transform!r}; choose one of {names}")
        for name in ("regressor", "transform", *OF_PROCESSES):
            if getattr(self, name) != "auto" and self.kind not in ("auto", "regression"):
                raise BadInput(f"--{name} is of --kind regression, not of {self.kind}")
        self._check_law()
        check_process_options(self.kernel, self.mean, self.share)
        processes = [name for name in OF_PROCESSES if getattr(self, name) != "auto"]
        if processes and self.regressor not in ("auto", "gp"):
            raise BadInput(f"--{processes[0]} is of --regressor gp, not of {self.regressor}")

    def _check_local(self) -> None:
        """Raises BadInput for options of local bases that do not go together."""
        if (self.kind == "local") != bool(self.local):
            raise BadInput("local bases are --kind local with --local K, the number of bases")
        if self.aim not in ("mean", "q90"):
            raise BadInput(f"--aim is mean or q90, not {self.aim!r}")
        if self.aim != "mean" and not self.local:
            raise BadInput(f"--aim {self.aim} is of local bases: give --kind local --local K")
        if self.local and self.rank is None:
            raise BadInput("--kind local needs the modes of each basis: --rank R")

    def _check_law(self) -> None:
        """Raises BadInput for options of laws in time that this kind does not have."""
        if self.degree != 2 and self.kind not in ("opinf", "projected"):
            raise BadInput(f"--degree is of --kind opinf and projected, not of {self.kind}")
        if self.rates is not None and (self.kind != "dmd" or self.signals is not None):
            raise BadInput("--rates is of --kind dmd without --signals")
        if self.signals is not None and self.kind != "dmd":
            raise BadInput(f"--signals is of --kind dmd, not of {self.kind}")
        if self.calibrate and self.kind not in BANDED:
            raise BadInput(f"--calibrate is of --kind {', '.join(BANDED)}, not of {self.kind}")
        if not 0 <= self.calibrate < 1:
            raise BadInput(f"--calibrate {self.calibrate:g} is no share of the runs in [0, 1)")
        if self.dissipative and self.kind != "opinf":
            raise BadInput(f"--dissipative is of --kind opinf, not of {self.kind}")
        if self.dissipative and self.degree != 2:
            raise BadInput("a dissipative law is linear and quadratic; leave --degree out")


@dataclass(frozen=True, eq=False)
class Training:
    """A model, what kind it is, and what it came from.

    basis : POD of the runs, None where the model has modes of its own
    errors : relative training error of each field, where there are several
    plan : that trains the same kind again
    """

    model: Any
    kind: str
    basis: Basis | None
    snapshots: Snapshots
    store: Store
    plan: Plan
    errors: dict[str, float] = field(default_factory=dict)


def train_model(problem: Problem | None, path: Path, plan: Plan, comm: Any = None) -> Training:
    """The model of the runs of a store, its rows where those of the runs lie.

    problem : of the case, None where the store is all there is; comm : of its space, or None
    Raises BadInput where the runs do not allow it.
    """
    from rom.campaign import open_store

    space = None if problem is None else problem.space
    snapshots = read_within(path, space, plan.memory, comm)
    return train_runs(problem, snapshots, open_store(path), plan, comm)


def read_within(path: Path, space: Any, memory: str | None, comm: Any = None) -> Snapshots:
    """The runs of a store, on disk where training in memory exceeds `memory`."""
    from rom.campaign import nbytes, read

    if memory is None:
        return read(path, space, comm=comm)
    budget = nbytes(memory)
    snapshots = read(path, space, comm=comm, memory_budget=budget / COPIES)
    if snapshots.lazy:
        budget = max(budget - VECTORS * 8 * snapshots.space.n, 0.5 * budget)
        snapshots = replace(snapshots, u=replace(snapshots.u, budget=budget))
    return snapshots


def train_runs(
    problem: Problem | None, snapshots: Snapshots, store: Store, plan: Plan, comm: Any = None
) -> Training:
    """The model of some runs of a store. Raises BadInput where they do not allow it."""
    from rom.campaign import nbytes

    tol = DEFAULT_TOL if plan.tol is None and plan.rank is None else plan.tol
    options: dict[str, Any] = {
        "method": plan.method,
        "center": plan.center,
        "memory_budget": None if plan.memory is None else nbytes(plan.memory),
        "rng": plan.seed,
    }
    operators = _operators(problem, plan.kind)
    _check_times(snapshots, plan.kind)
    snapshots, unseen = _set_aside(snapshots, plan)
    plan = replace(plan, kind=_choose_kind(operators, snapshots, plan))
    if operators is not None and plan.local:
        model, kind = _local(operators, snapshots, plan)
        return Training(model, kind, model.basis, snapshots, store, plan)
    in_time = (*DYNAMICS, *NONLINEAR)
    if operators is None and snapshots.t is not None and plan.kind not in in_time:
        _check_trajectories(snapshots, plan.memory)
        model, kind = _trajectories(snapshots, store.box, comm, tol)
        return Training(model, kind, None, snapshots, store, plan)
    basis, errors = _basis(snapshots, tol, plan.rank, options, by_field=operators is None)
    if operators is not None:
        model, kind = _projection(operators, basis)
    elif plan.kind in ("dmd", "edmd"):
        model, kind = _law_of_one_parameter(snapshots, basis, plan)
    elif plan.kind in NONLINEAR:
        model, kind = _nonlinear(problem, snapshots, basis, plan)
    elif plan.kind == "projected":
        model, kind = _projected_law(_rate_of(problem), snapshots, basis, store.box, plan)
    elif plan.kind == "opinf":
        plan = replace(plan, anchored=_is_anchored(problem, plan))
        model, kind = _inferred_law(problem, snapshots, basis, store.box, plan)
    else:
        compress = partial(_basis, tol=tol, modes=plan.rank, options=options, by_field=True)
        model, kind, basis = _regression(snapshots, basis, store.box, plan, compress)
    if unseen is not None:
        model, kind = _with_bands(model, kind, unseen)
    return Training(model, kind, basis, snapshots, store, plan, errors)


def _check_trajectories(snapshots: Snapshots, memory: str | None) -> None:
    """Raises BadInput where whole trajectories would exceed `memory`."""
    from rom.campaign import nbytes

    need = TRAJECTORY_COPIES * 8 * float(snapshots.u.shape[0]) * snapshots.m
    if memory is not None and need > nbytes(memory):
        raise BadInput(
            f"a process of whole trajectories holds its runs in memory, {need / 2**20:.0f} MiB; "
            f"--memory is {memory}: allow as much, or take --kind dmd, edmd or opinf, "
            "read by blocks"
        )


def _set_aside(snapshots: Snapshots, plan: Plan) -> tuple[Snapshots, Snapshots | None]:
    """The runs to train on, and those that only calibrate bands, or None."""
    if not plan.calibrate:
        return snapshots, None
    from rom.study.folds import split_off

    n_t = 1 if snapshots.t is None else len(np.unique(snapshots.t))
    train, rest = split_off(snapshots.m // n_t, plan.calibrate, plan.seed)[0]
    inside, outside = ((rows[:, None] * n_t + np.arange(n_t)).ravel() for rows in (train, rest))
    return snapshots.take(inside), snapshots.take(outside)


def _with_bands(model: Any, kind: str, unseen: Snapshots) -> tuple[Any, str]:
    """A law with bands of whole trajectories, and how many runs they come from."""
    from rom.dynamics import NonlinearModel, calibrate_estimate, calibrate_flow

    if isinstance(model, NonlinearModel):
        model = calibrate_estimate(model, unseen)
    else:
        model = calibrate_flow(model, unseen)
    count = unseen.m // (1 if model.times is None else len(model.times))
    return model, f"{kind}; bands of {count} runs that it has not seen"


def save_training(
    target: Path, training: Training, case: str, settings: list[str] | None
) -> dict[str, Any]:
    """One file of the model with the rows of all ranks; what it says of itself."""
    from rom.archive.models import save_model

    space = training.snapshots.space
    if rank() and not space.spread:
        return {}
    origin = provenance(case, settings) | {
        "store": str(training.store.path),
        "solver version": training.store.identity["version"],
        "snapshots": training.snapshots.m,
        "plan": asdict(training.plan),
    }
    mesh = None if rank() else training.store.mesh
    digest = save_model(target, training.model, mesh, origin)
    if rank():
        return {}
    numbers = {
        "model": str(target), "kind": training.kind, "dofs": space.size,
        "snapshots": training.snapshots.m, **_modes(training),
        "bytes": target.stat().st_size, "sha256": digest,
    }  # fmt: skip
    return numbers | {f"training_error {name}": error for name, error in training.errors.items()}


def _modes(training: Training) -> dict[str, Any]:
    """How many modes, and how wrong they are on the training set or left-out runs."""
    basis, model = training.basis, training.model
    if basis is None:
        return {"r": model.modes.shape[-1], "left_out_error": model.errors[model.kind]}
    return {"r": basis.r, "reason": basis.reason, "training_error": basis.error}


def _operators(problem: Problem | None, kind: str) -> Problem | None:
    """The problem, where it has the A and f that a projection needs, or None.

    Raises BadInput where a kind needs them and the case has none.
    """
    if kind in ("regression", "trajectories", *DYNAMICS, *NONLINEAR):
        return None
    if problem is not None and problem.A is not None and problem.f is not None:
        return problem
    if kind == "auto":
        return None
    raise BadInput(
        f"--kind {kind} projects A and f, which the case does not define; "
        "add them to its Problem, or take --kind regression"
    )


def _choose_kind(operators: Problem | None, snapshots: Snapshots, plan: Plan) -> str:
    """The kind of a plan, where it is auto by what there is."""
    if plan.kind != "auto":
        return plan.kind
    if operators is not None:
        return "projection"
    return "regression" if snapshots.t is None else "trajectories"


def check_kind(problem: Problem, kind: str) -> None:
    """Raises BadInput, before any solve, where a case does not allow a kind."""
    _operators(problem, kind)
    if kind == "projected":
        _rate_of(problem)
    if kind in NONLINEAR:
        _with_term(problem)
    if kind in ("trajectories", *DYNAMICS) and problem.times is None:
        raise BadInput(f"--kind {kind} needs the times of the case; define times in it")


def _check_times(snapshots: Snapshots, kind: str) -> None:
    """Raises BadInput where runs and kind disagree on times."""
    if kind in ("trajectories", *DYNAMICS) and snapshots.t is None:
        raise BadInput("the stored runs have no times; take --kind regression")
    if kind == "local" and snapshots.t is not None:
        raise BadInput("local bases of trajectories have no command; take --kind projection")


def _local(problem: Problem, snapshots: Snapshots, plan: Plan) -> tuple[Any, str]:
    """A Galerkin model on each local basis, and what they are expected to gain.

    As many bases, of K at most, as err least on runs that have no part in them.
    """
    from rom.certified import galerkin_model
    from rom.local import LocalModel, fit_classifier, local_bases
    from rom.local.gain import gain_of
    from rom.local.recipes import list_numbers
    from rom.local.trials import try_snapshots

    rank, numbers = plan.rank or 1, list_numbers(plan.local)
    trials = try_snapshots(snapshots, numbers, rank, fit_classifier, rng=plan.seed)
    bases = local_bases(
        snapshots, numbers, rank, classifier=fit_classifier, tol=plan.tol or HULL_TOL,
        aim=plan.aim, trials=trials, rng=plan.seed,
    )  # fmt: skip
    models = tuple(galerkin_model(problem, bases.basis(k)) for k in range(bases.K))
    gain = gain_of(trials, numbers, plan.aim)
    at = int(np.argmin(np.abs(gain.K - bases.K)))
    said = f"{gain.gain[at]:.3g} +- {gain.std[at]:.1g}"
    text = (
        f"{bases.K} local bases of {rank} modes, of {plan.local} at most, "
        f"{plan.aim} error of one basis over theirs {said}"
    )
    return LocalModel(bases, models), text


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
    from rom.compress.blocks import budget_of

    if snapshots.lazy:
        options = options | {"memory_budget": budget_of(snapshots)}
    if by_field and len(snapshots.space.fields) > 1:
        basis, _, errors = pod_by_field(snapshots, tol, modes, **options)
        return basis, errors
    return pod(snapshots, tol=tol, rank=modes, **options)[0], {}


def _regression(
    snapshots: Snapshots, basis: Basis, box: Box | None, plan: Plan, compress: Compress
) -> tuple[FieldGP | PositiveFieldGP, str, Basis]:
    """A regression, what it is, and its basis.

    compress : (snapshots) -> basis and its errors, for the logarithm of the fields
    """
    from rom.gp import field_gp, log_snapshots, positive_field_gp
    from rom.gp.positive import left_out_field_error

    options = {name: getattr(plan, name) for name in OF_PROCESSES}
    options |= {"regressor": plan.regressor, "rng": plan.seed}
    models: dict[str, FieldGP | PositiveFieldGP] = {}
    bases = {"identity": basis}
    if plan.transform != "log":
        models["identity"] = field_gp(snapshots, basis, box, **options)
    if plan.transform == "log" or (plan.transform == "auto" and _may_be_logs(snapshots)):
        bases["log"] = compress(log_snapshots(snapshots))[0]
        models["log"] = positive_field_gp(snapshots, bases["log"], box, **options)
    text, (name, model) = "", next(iter(models.items()))
    if len(models) > 1:
        errors = {name: left_out_field_error(model, snapshots) for name, model in models.items()}
        name = "log" if errors["log"] <= LOG_GAIN * errors["identity"] else "identity"
        model = models[name]
        said = ", ".join(f"{name} {error:.3g}" for name, error in errors.items())
        text = f"; transform {name}, errors at left-out runs: {said}"
    return model, model.kind + text, bases[name]


def _may_be_logs(snapshots: Snapshots) -> bool:
    """Whether fields are in memory, positive, and vary enough for logarithms."""
    u = snapshots.u
    if snapshots.lazy or np.iscomplexobj(u):
        return False
    low, high = (float(part) if u.size else np.nan for part in (np.min(u), np.max(u)))
    bad = snapshots.space.sum(np.array([float(not low > 0), float(high > LOG_RANGE * low)]))
    return bool(bad[0] == 0 and bad[1] > 0)


def _trajectories(
    snapshots: Snapshots, box: Box | None, comm: Any, tol: float | None
) -> tuple[Any, str]:
    """A process of whole trajectories. Raises BadInput on several ranks."""
    from rom.gp import trajectory_gp

    if comm is not None and comm.Get_size() > 1:
        raise BadInput("a model of trajectories is trained on one rank; run it without mpiexec")
    model = trajectory_gp(snapshots, box, tol=tol or DEFAULT_TOL)
    return model, f"process of whole trajectories ({model.reason})"


def _law_of_one_parameter(snapshots: Snapshots, basis: Basis, plan: Plan) -> tuple[Any, str]:
    """A lifted map, or a linear law, with signals or without, in words."""
    from rom.dynamics import dmd, edmd

    if plan.kind == "edmd":
        lifted = edmd(snapshots, basis, rng=plan.seed)
        return lifted, f"lifted map ({lifted.reason})"
    if plan.signals is not None:
        return _forced_law(snapshots, basis, Path(plan.signals))
    model = dmd(snapshots, basis, count=plan.rates)
    return model, f"dynamic mode decomposition ({model.reason})"


def _rate_of(problem: Problem | None) -> Any:
    """The rate of a case. Raises BadInput where it has none."""
    if problem is None or problem.rate is None:
        raise BadInput(
            "--kind projected asks the solver for du/dt; define rate(u, mu) in the case, or take "
            "--kind dmd or trajectories"
        )
    return problem.rate


def _with_term(problem: Problem | None) -> Problem:
    """The problem, which has a nonlinear term. Raises BadInput where it has none."""
    if problem is None or problem.term is None:
        raise BadInput(
            "--kind deim and cubature evaluate rows of the nonlinear term; give the case's "
            "Problem a term, as rom.dynamics.Stencil, or take --kind projected or opinf"
        )
    return problem


def _nonlinear(
    problem: Problem | None, snapshots: Snapshots, basis: Basis, plan: Plan
) -> tuple[Any, str]:
    """Galerkin with the term at few rows, and how many."""
    from rom.dynamics import nonlinear_model

    own = _with_term(problem)
    model = nonlinear_model(own, snapshots, basis, rule=plan.kind, rng=plan.seed)
    return model, f"Galerkin, term at {len(model.term.modes)} rows ({plan.kind}; {model.reason})"


def _forced_law(snapshots: Snapshots, basis: Basis, path: Path) -> tuple[Any, str]:
    """A linear law that follows the signals of a table, and its error."""
    from rom.dynamics import dmdc
    from rom.io.tables import read_table

    table = read_table(path)
    names = [name for name in table.columns if name != "t"]
    if len(names) == len(table.columns):
        raise BadInput(f"{path} has no column t; give the times of the signals")
    units = {name: table.units[name] or "1" for name in names}
    times = table.values("t", "s")
    own = np.unique(np.asarray(snapshots.t))
    if times.shape != own.shape or not np.allclose(times, own):
        raise BadInput(
            f"{path} has {len(times)} times, the runs {len(own)}; give the signals at the times of "
            "the runs"
        )
    signals = {name: table.values(name, units[name]) for name in names}
    model = dmdc(snapshots, basis, signals, units=units)
    return model, f"linear law of {', '.join(names)}, error {model.error:.2g} of the trained runs"


def _projected_law(
    rate: Any, snapshots: Snapshots, basis: Basis, box: Box | None, plan: Plan
) -> tuple[Any, str]:
    """The law that a solver's rate has on a basis, and how exactly."""
    from rom.dynamics import project_rate

    box = box if snapshots.mu.shape[1] else None
    model = project_rate(rate, snapshots, basis, box, degree=plan.degree, rng=plan.seed)
    return model, f"projected law ({model.reason})"


def _is_anchored(problem: Problem | None, plan: Plan) -> bool:
    """Whether a rate anchors an inferred law.

    Raises BadInput where one did, and the case is not there.
    """
    has_rate = problem is not None and problem.rate is not None
    if plan.anchored and not has_rate:
        raise BadInput("the law was anchored to the rate of its case: --case CASE")
    return (has_rate and not plan.dissipative) if plan.anchored is None else plan.anchored


def _inferred_law(
    problem: Problem | None, snapshots: Snapshots, basis: Basis, box: Box | None, plan: Plan
) -> tuple[Any, str]:
    """The law that runs have on a basis, and how it was chosen."""
    from rom.dynamics import operator_inference

    box = box if snapshots.mu.shape[1] else None
    anchor = None
    if plan.anchored:
        anchor = _projected_law(_rate_of(problem), snapshots, basis, box, plan)[0]
    model = operator_inference(
        snapshots, basis, box, degree=plan.degree, anchor=anchor, dissipative=plan.dissipative,
        rng=plan.seed,
    )  # fmt: skip
    return model, f"inferred law ({model.reason})"


def _projection(problem: Problem, basis: Basis) -> tuple[Any, str]:
    """The Galerkin model of a problem with A and f, and its kind."""
    from rom.certified import galerkin_model, unsteady_model

    if problem.M is not None and problem.times is not None:
        return unsteady_model(problem, basis), "unsteady Galerkin"
    model = galerkin_model(problem, basis)
    words = {Known.CERTIFIED: "with a certified bound", Known.MEASURED: "with a measured bound"}
    return model, f"Galerkin {words.get(model.known, 'without a bound')}"


def provenance(case: str, settings: list[str] | None) -> dict[str, Any]:
    """Where a model comes from: command, versions, case and its settings."""
    return {
        "command": shlex.join(["rom", *sys.argv[1:]]),
        "package": f"rom-platform {__version__}",
        "numpy": np.__version__,
        "case": case,
        "settings": list(settings or ()),
    }
