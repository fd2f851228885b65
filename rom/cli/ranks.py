"""Ranks of a program: how many, which one this is, how all end together."""

from __future__ import annotations

import os
import sys
import time
import traceback
from collections.abc import Iterable
from pathlib import Path
from types import TracebackType
from typing import Any

import typer

from rom.errors import require

SIZES = ("PMI_SIZE", "OMPI_COMM_WORLD_SIZE", "MPI_LOCALNRANKS")
RANKS = ("PMI_RANK", "OMPI_COMM_WORLD_RANK", "PMIX_RANK")


def rank() -> int:
    """Rank of this process, from the launcher's environment."""
    return _first_number(RANKS, 0)


def place() -> float:
    """Share of this job's processes that come before this one: 0 for the first.

    Also where they do not talk to each other.
    """
    from rom.batch.schedulers import open_scheduler, scheduler_names

    schedulers = [open_scheduler(name) for name in scheduler_names()]
    ranks = [*RANKS, *(scheduler.rank_variable for scheduler in schedulers)]
    sizes = [*SIZES[:2], *(scheduler.size_variable for scheduler in schedulers)]
    first = _first_number(ranks, 0)
    count = _first_number(sizes, 1)
    return first / max(count, first + 1)


def _first_number(variables: Iterable[str], default: int) -> int:
    """The number in the first of these environment variables that holds one."""
    for name in variables:
        text = os.environ.get(name, "")
        if text.isdigit():
            return int(text)
    return default


def world() -> Any:
    """COMM_WORLD under a launcher with several ranks, else None.

    Imports mpi4py only there. From then on an exception that nobody catches aborts all ranks,
    so that none waits for the one that failed; a rank that is killed, or stands still for
    ROM_PATIENCE seconds (5) under SIGSTOP, is named with its sample, and the job ends.
    Raises MissingExtra.
    """
    sizes = [os.environ[name] for name in SIZES if name in os.environ]
    is_alone = int(sizes[0]) < 2 if sizes else "PMIX_RANK" not in os.environ
    if is_alone:
        return None
    from rom.campaign.witness import start_witness

    require("mpi4py", "mpi", "several ranks")
    from mpi4py import MPI

    if MPI.COMM_WORLD.Get_size() < 2:
        return None
    sys.excepthook = _abort
    start_witness(MPI.COMM_WORLD)
    return MPI.COMM_WORLD


def ranks_of_model(path: Path) -> Any:
    """The ranks that share out the rows of a model, or None.

    A model that has none to share is served by the first rank alone: the others end here.
    """
    from rom.archive.nouns import loads_by_rows

    comm = world()
    if comm is None or loads_by_rows(path, comm):
        return comm
    if rank():
        raise typer.Exit(0)
    return None


def rank_label() -> str:
    """ "rank k: " for messages of one of several ranks, else ""."""
    several = "mpi4py.MPI" in sys.modules and world() is not None
    return f"rank {rank()}: " if several else ""


def end_all(code: int) -> None:
    """Abort all ranks with `code`; does nothing in a serial run."""
    sys.stderr.flush()
    if "mpi4py.MPI" not in sys.modules:
        return
    from mpi4py import MPI

    from rom.campaign.witness import ABORTED, note

    if MPI.Is_initialized() and not MPI.Is_finalized() and MPI.COMM_WORLD.Get_size() > 1:
        note(ABORTED)
        from rom.space import FORWARDING

        time.sleep(FORWARDING)
        MPI.COMM_WORLD.Abort(code)


def _abort(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    traceback.print_exception(kind, error, trace)
    end_all(1)
