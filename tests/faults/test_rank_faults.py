"""A rank that raises, dies, stops or gives nonsense ends the job at once, named, with the store
clean and no process left.
"""

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from rom.campaign import collect, read, verify
from rom.cli.launch import run, world
from rom.compress.decomposition import pod
from rom.io.writers.vtkhdf import write_vtkhdf
from rom.mesh import Mesh
from rom.points.interpolation import deim
from rom.snapshots import Snapshots
from rom.space import euclidean

N, MUS = 30, np.arange(1.0, 5.0)[:, None]
FAULTS = ("raise", "SIGKILL", "SIGSTOP", "NaN", "wrong shape", "MemoryError")
STAGES = ("collect", "gram", "hyper-reduction", "write")
CASES = [(stage, fault, rank) for stage in STAGES for fault in FAULTS for rank in range(3)]
CHOSEN = [case for k, case in enumerate(CASES) if k % 7 == 0]


def solution(mu):
    return np.sin(mu[0] * np.arange(1.0, N + 1))


def spoiled(fault, u):
    """What a rank with this fault makes of its part."""
    Path("fault-at").write_text(repr(time.time()))
    if fault == "raise":
        raise ArithmeticError("diverged")
    if fault == "MemoryError":
        raise MemoryError("no room for the factors")
    if fault in ("SIGKILL", "SIGSTOP"):
        os.kill(os.getpid(), getattr(signal, fault))
        time.sleep(30)
    u = np.array(u, dtype=float)
    if fault == "NaN":
        u[3] = np.nan
    return u[:-1] if fault == "wrong shape" else u


def main(stage: str = "", fault: str = "", where: int = 0, path: str = ".") -> dict[str, float]:
    """A campaign, POD, interpolation points and files on three ranks; one has a fault in one
    stage.
    """
    comm = world()
    here = comm.Get_rank() == where
    space = euclidean(np.arange(N)[comm.Get_rank() :: 3], comm)

    def solve(mu):
        u = solution(mu)[space.numbers]
        return spoiled(fault, u) if stage == "collect" and here and mu[0] == 3.0 else u

    seen = collect(solve, MUS, Path(path) / "store", comm=comm, space=space, distributed=True)
    if seen.failed:
        raise RuntimeError(f"mu = {seen.failed[0][0]}: {seen.failed[0][1]}")
    snapshots = read(Path(path) / "store", space)
    if stage == "gram" and here:
        snapshots = Snapshots(space, snapshots.mu, spoiled(fault, snapshots.u))
    basis, s = pod(snapshots, rank=2)
    if stage == "hyper-reduction" and here:
        basis = type(basis)(space, spoiled(fault, basis.modes))
    rule = deim(space.gather(basis.modes))
    mesh = Mesh(
        np.arange(space.n * 1.0)[:, None],
        {"line": np.column_stack([np.arange(space.n - 1), np.arange(1, space.n)])},
    )
    field = spoiled(fault, basis.modes[:, 0]) if stage == "write" and here else basis.modes[:, 0]
    write_vtkhdf(Path(path) / f"modes-{comm.Get_rank()}.vtkhdf", mesh, {"mode": (field, "1")})
    comm.Barrier()
    return {"s": float(s[0]), "points": len(rule.dofs)}


def job(tmp_path, stage, fault, rank):
    """(exit code, what it says, seconds from the fault to the end, whether a process was left)
    of a job on three ranks.
    """
    mpiexec = Path(sys.executable).with_name("mpiexec")
    words = [
        mpiexec,
        "-n",
        3,
        sys.executable,
        __file__,
        "--stage",
        stage,
        "--fault",
        fault,
        "--where",
        rank,
        "--path",
        tmp_path,
    ]
    environment = {
        **os.environ,
        "PYTHONPATH": str(Path(__file__).parents[2]),
        "OMP_NUM_THREADS": "1",
    }
    done = subprocess.run(
        [*map(str, words)],
        env=environment,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=90,
        check=False,
    )
    at = tmp_path / "fault-at"
    seconds = time.time() - float(at.read_text()) if at.exists() else 0.0
    time.sleep(0.2)
    left = [
        p for p in Path("/proc").glob("[0-9]*/cmdline") if str(tmp_path).encode() in p.read_bytes()
    ]
    return done.returncode, done.stdout + done.stderr, seconds, left


NAMES = {
    ("collect", "raise"): r"mu = (3.0,): rank {}: ArithmeticError: diverged",
    ("collect", "MemoryError"): r"mu = (3.0,): rank {}: MemoryError: no room",
    ("collect", "NaN"): r"mu = (3.0,): rank {}: the solution is NaN or Inf at dof",
    ("collect", "wrong shape"): r"mu = (3.0,): rank {}: the solution has shape (9,)",
    ("gram", "NaN"): r"rank {}: snapshot 0 (mu = [1.]) holds NaN or Inf at dof",
    ("gram", "wrong shape"): r"rank {}: u has 9 rows, the space 10",
    (
        "hyper-reduction",
        "wrong shape",
    ): r"rank {}: modes have shape (9, 2); the space needs (10, r)",
    ("hyper-reduction", "NaN"): r"rank {}: modes hold NaN, Inf or numbers beyond",
    ("write", "NaN"): r"rank {}: field 'mode' holds NaN or Inf at point 3",
    ("write", "wrong shape"): r"rank {}: field 'mode'",
}


def check(tmp_path, stage, fault, rank):
    code, told, seconds, left = job(tmp_path, stage, fault, rank)
    assert code != 0 and left == [], told
    print(f"{stage}, {fault}, rank {rank}: {seconds:.1f} s from the fault to the end of the job")
    assert 0.0 < seconds < 10.0, f"{seconds} s from the fault to the end of the job"
    if fault in ("SIGSTOP", "SIGKILL"):
        what = {"SIGSTOP": "stands still", "SIGKILL": "was killed or crashed"}[fault]
        where = r"while solving mu = \[3\.\]" if stage == "collect" else "between samples"
        assert re.search(
            rf"error: rank {rank} \(process \d+ on \S+\) {what} {where}; the job ends", told
        ), told
    else:
        expected = {
            "raise": "rank {}: ArithmeticError: diverged",
            "MemoryError": "rank {}: MemoryError: no room",
        }
        assert (NAMES.get((stage, fault)) or expected[fault]).format(rank) in told, told
    assert all(
        "harmless" in line or "torn and ignored" in line for line in verify(tmp_path / "store")
    )
    finished = collect(solution, MUS, tmp_path / "store", space=euclidean(N), retries=1)
    assert finished.failed == () and finished.skipped >= (2 if stage == "collect" else 4)
    np.testing.assert_array_equal(
        read(tmp_path / "store").u, np.column_stack([solution(mu) for mu in MUS])
    )


@pytest.mark.parametrize(("stage", "fault", "rank"), CHOSEN)
def test_a_fault_of_one_rank_ends_the_job(stage, fault, rank, tmp_path):
    check(tmp_path, stage, fault, rank)


@pytest.mark.slow
@pytest.mark.parametrize(("stage", "fault", "rank"), [case for case in CASES if case not in CHOSEN])
def test_every_fault_of_every_rank_ends_the_job(stage, fault, rank, tmp_path):
    check(tmp_path, stage, fault, rank)


def test_the_job_without_a_fault_ends_well(tmp_path):
    code, told, _, left = job(tmp_path, "none", "none", 0)
    assert code == 0 and left == [], told


if __name__ == "__main__":
    run(main)
