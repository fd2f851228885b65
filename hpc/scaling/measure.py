"""What the ranks of this job measure: costs of a Gram POD, messages, whole PODs.

Costs by width. Started by `started`.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import scipy.linalg as la

from rom.compress.decomposition import pod
from rom.snapshots import Snapshots
from rom.space import euclidean

R = 50
WIDTHS = {
    100: 100_000,
    200: 60_000,
    1000: 16_000,
    2500: 8_000,
}  # snapshots -> rows that fill the cache many times over


def best(
    act: Callable[[], Any], repeat: int = 5, clock: Callable[[], float] = time.process_time
) -> float:
    """Shortest of some runs [s].

    Of processor time by default, which others on the machine disturb least.
    """
    times = []
    for _ in range(repeat):
        begin = clock()
        act()
        times.append(clock() - begin)
    return min(times)


def columns(rows: np.ndarray, n: int, comm: Any, seed: int) -> Snapshots:
    """n random snapshots with singular values that fall, on these rows."""
    u = np.random.default_rng(seed).standard_normal((rows.size, n)) / (1.0 + np.arange(n))
    return Snapshots(euclidean(rows, comm), np.zeros((n, 1)), u)


def costs(n: int, m: int, meet: Callable[[], Any]) -> dict[str, float]:
    """Seconds per row of Gram matrix and lifting, and those of the eigenproblem.

    Lifting of R modes, at n snapshots; all ranks at once.
    """
    u = columns(np.arange(m), n, None, n).u
    G, W = u.T @ u, np.ones((n, R))
    told = {}
    for name, act, share in (
        ("gram", lambda: u.T @ u, m),
        ("lift", lambda: u @ W, m),
        ("eig", lambda: la.eigh(G), 1),
    ):
        meet()
        told[name] = best(act, 2 if n > 2000 else 5) / share
    return {**told, "GF/s": 1e-9 * n * (n + 1) / told["gram"]}


def rest(n: int, m: int, known: dict[str, float], meet: Callable[[], Any]) -> float:
    """Seconds per row of a whole POD beyond Gram matrix, lifting and eigenproblem.

    R modes made orthonormal, whatever n.
    """
    held = columns(np.arange(m), n, None, n)
    meet()
    whole = best(lambda: pod(held, rank=R, method="gram"))
    return max((whole - known["eig"]) / m - known["gram"] - known["lift"], 0.0)


def whole(held: Snapshots, comm: Any, repeat: int = 5) -> tuple[float, float]:
    """(shortest time, shortest processor time) of a POD over all ranks [s].

    Of the rank that waits least, since waiting ranks spin.
    """
    times = []
    for _ in range(repeat):
        comm.Barrier()
        begin = time.perf_counter(), time.process_time()
        pod(held, rank=R, method="gram")
        mine = time.process_time() - begin[1]
        comm.Barrier()
        times.append((time.perf_counter() - begin[0], min(comm.allgather(mine))))
    wall, work = zip(*times, strict=True)
    return max(comm.allgather(min(wall))), min(work)


def ranks(sizes: list[tuple[int, int]]) -> dict[str, Any]:
    """The costs by width, the seconds of an allreduce by bytes, and those of PODs.

    PODs of (m, n) over all ranks; of the slowest rank.
    """
    from mpi4py import MPI

    comm = MPI.COMM_WORLD
    told: dict[str, Any] = {"p": comm.Get_size(), "costs": {}, "messages": {}, "pods": []}
    for n, m in () if sizes else WIDTHS.items():
        mine = costs(n, m, comm.Barrier)
        told["costs"][n] = {
            name: comm.allreduce(x, MPI.MIN if name == "GF/s" else MPI.MAX)
            for name, x in mine.items()
        }
        told["rest"] = told.get("rest") or comm.allreduce(rest(n, m, mine, comm.Barrier), MPI.MAX)
    for count in (1, 1000, 20_000, 500_000, 3_000_000):
        a, b = np.ones(count), np.empty(count)
        told["messages"][8 * count] = comm.allreduce(
            best(lambda a=a, b=b: (comm.Barrier(), comm.Allreduce(a, b)), 30, time.perf_counter),
            MPI.MAX,
        )
    for m, n in sizes:
        rows = np.array_split(np.arange(m), comm.Get_size())[comm.Get_rank()]
        held = columns(rows, n, comm, comm.Get_rank())
        told["pods"].append(whole(held, comm))
    return told


def started(p: int, sizes: list[tuple[int, int]]) -> dict[str, Any]:
    """`ranks` on p ranks of this machine; without sizes, the costs by width."""
    mpiexec = str(Path(sys.executable).with_name("mpiexec"))
    words = [
        mpiexec,
        "-n",
        str(p),
        sys.executable,
        "-m",
        "mpi4py",
        "-m",
        "hpc.scaling",
        "--ranks",
        json.dumps(sizes),
    ]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        words, capture_output=True, text=True, timeout=500, check=True, env=environment
    )
    return json.loads(done.stdout.splitlines()[-1])
