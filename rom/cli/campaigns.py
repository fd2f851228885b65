"""The campaign of a case, as commands run it: on ranks, or on workers."""

from __future__ import annotations

import signal
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from rom.cli.ranks import place
from rom.errors import BadInput
from rom.problem import Problem

if TYPE_CHECKING:
    from rom.campaign import Campaign


def collect_problem(problem: Problem, path: Path, mus: np.ndarray, **options: Any) -> Campaign:
    """The campaign of a problem at mus (m, p) in the store at `path`."""
    from rom.campaign import collect

    return collect(
        problem.solve,
        mus,
        path,
        space=problem.space,
        mesh=problem.mesh,
        distributed=problem.space is not None and problem.space.comm is not None,
        times=problem.times,
        version=problem.version,
        source=problem.source,
        **options,
    )


def check_limit(limit: float | None, workers: int) -> None:
    """Raises BadInput for a limit without workers, which alone can be ended."""
    if limit is not None and not workers:
        raise BadInput("--limit ends the solves of a pilot; give --workers too")


def pilot_crew(case: str, settings: list[str] | None, workers: int, limit: float | None) -> Any:
    """The workers that solve beside each other, or None for ranks."""
    from rom.campaign import pilot

    if not workers:
        return None
    begin = partial(_solver, case, tuple(settings or ()))
    return partial(pilot, begin, workers, limit=limit, first=place())


def _solver(case: str, settings: tuple[str, ...]) -> tuple[Any, Any]:
    """(solve, space) of a case, in a worker."""
    from rom.cli.case import load_problem

    problem = load_problem(case, settings)
    return problem.solve, problem.space


def interrupt_on_end() -> None:
    """Lets SIGTERM end a campaign as Ctrl-C does, so that claims are given back."""
    signal.signal(signal.SIGTERM, _interrupt)


def _interrupt(number: int, frame: Any) -> None:
    """SIGTERM as an exception that no solve catches."""
    raise KeyboardInterrupt
