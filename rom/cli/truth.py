"""True solves of a study, kept in a store, so that none is paid twice."""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer

from rom.cli.campaigns import check_limit, collect_problem, interrupt_on_end, pilot_crew
from rom.cli.options import stem
from rom.cli.ranks import world
from rom.cli.targets import check_store
from rom.errors import BadInput
from rom.model import Model
from rom.problem import Problem
from rom.space import Space
from rom.study.comparison import Ask, Solve, check_some_solved
from rom.study.discrepancy import Failure
from rom.study.starts import with_starts

IN_MEMORY = "2GiB"  # of true solves; beyond it they are read from disk one by one

TruthStore = Annotated[
    Path | None,
    typer.Option(
        "--truth",
        help="Store of the case's true solves; run again to resume. Default: CASE.study.store",
    ),
]
Workers = Annotated[int, typer.Option(min=0, help="So many processes here solve the case.")]
Limit = Annotated[
    float | None, typer.Option(min=0.0, help="Seconds of one solve of a worker, then it failed.")
]
Retries = Annotated[int, typer.Option(min=0, help="How often a failed solve is tried again.")]
KeepOld = Annotated[
    bool, typer.Option("--keep", help="Keep true solves though the solver's files have changed.")
]


@dataclass(frozen=True, eq=False)
class TruthPlan:
    """Where true solves are kept, and who solves; the options of `rom collect`."""

    path: Path | None = None
    workers: int = 0
    limit: float | None = None
    retries: int = 0
    keep: bool = False

    def __post_init__(self) -> None:
        check_limit(self.limit, self.workers)
        check_store(self.path)


@dataclass(frozen=True, eq=False)
class Truth:
    """True solves in the store at `path`.

    mus (m, p) : that were solved; failed : where the solver gave no answer, and why
    seconds : of a solve on average
    """

    path: Path
    mus: np.ndarray
    failed: tuple[Failure, ...]
    seconds: float


def check_comparable(model: Model, problem: Problem, ask: Ask, mus: np.ndarray) -> None:
    """Raises, before any solve, what a comparison with the case would raise.

    OutsideBox for parameters beyond the model's; BadInput for other times, another size.
    """
    ask(mus)
    size = getattr(getattr(model, "basis", None), "modes", np.zeros((0, 0))).shape[0]
    answer = model.answer(with_starts(model, ask(mus[:1]), [np.zeros((size, 1))]))
    own, theirs = (1 if t is None else len(t) for t in (answer.t, problem.times))
    if answer.parts and own != theirs:
        raise BadInput(
            f"high fidelity gives {theirs} times, the model answers at {own}; "
            "give the problem the model's times"
        )
    spaces = (answer.space, problem.space)
    sizes = [space.size for space in spaces if space is not None]
    if len(sizes) == 2 and sizes[0] != sizes[1]:
        raise BadInput(
            f"the model's states have {sizes[0]} rows, those of the case {sizes[1]}; "
            "study it against its own solver"
        )


def keep_truth(
    case: str,
    settings: Any,
    problem: Problem,
    mus: np.ndarray,
    plan: TruthPlan,
) -> Truth:
    """Solves a case at mus (m, p) into a store, on all ranks; what is there stays.

    Raises SolveFailed where every solve failed.
    """
    from rom.campaign import open_store

    path = plan.path or _default_store(case, problem.version if settings else "")
    mus = np.asarray(mus, dtype=float) + 0.0  # no minus zero
    interrupt_on_end()
    campaign = collect_problem(
        problem,
        path,
        mus,
        comm=None if plan.workers else world(),
        box=problem.box,
        keep=plan.keep,
        retries=plan.retries,
        crew=pilot_crew(case, settings, plan.workers, plan.limit),
    )
    check_some_solved(campaign.failed, campaign.solved + campaign.skipped)
    store = open_store(path)
    keys = store.keys(mus)
    records = store.manifest.done
    solved = np.array([mu for mu, key in zip(mus, keys, strict=True) if key in records])
    seconds = [records[key].get("seconds", np.nan) for key in dict.fromkeys(keys) if key in records]
    return Truth(path, solved, campaign.failed, float(np.mean(seconds)))


def _default_store(case: str, version: str) -> Path:
    """CASE.study.store; for settings that are chosen a folder of their own."""
    tag = f"-{sha256(version.encode()).hexdigest()[:8]}" if version else ""
    return Path(f"{stem(case)}{tag}.study.store")


def read_runs(
    path: Path, space: Space | None, mus: np.ndarray | None = None
) -> tuple[Solve, np.ndarray]:
    """mu -> the stored run u (n,) or (n, n_t), and parameters (m, p) that have one.

    space : of the model, taken where it has as many dofs; mus : these runs, by default all
    """
    from rom.campaign import open_store, read

    has_times = open_store(path).times is not None
    wish: dict[str, Any] = {"memory_budget": IN_MEMORY}
    if mus is not None:
        wish["mus"] = np.array(list(dict.fromkeys(map(tuple, mus.tolist()))))
    if space is not None and space.spread:
        runs = read(path, space, **wish)
    else:
        runs = read(path, **wish)
        if space is not None and space.size == runs.space.size:
            runs = read(path, space, **wish)
    columns: dict[bytes, list[int]] = {}
    for k, mu in enumerate(runs.mu):
        columns.setdefault(mu.tobytes(), []).append(k)

    def solve(mu: np.ndarray) -> np.ndarray:
        """The stored run."""
        u = np.asarray(runs.u[:, columns[np.asarray(mu, dtype=float).tobytes()]])
        return u if has_times else u[:, 0]

    return solve, np.array([runs.mu[own[0]] for own in columns.values()])
