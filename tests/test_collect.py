"""Campaigns and their store: nothing acknowledged is lost, nothing is solved twice, any ranks and
any partition.
"""

import itertools
import json
import os
import re
import resource
import signal
import subprocess
import sys
import time
from contextlib import contextmanager, suppress
from pathlib import Path

import numpy as np
import pytest

from rom.campaign import collect, open_store, read, rebuild, verify
from rom.campaign import lease as leases
from rom.campaign.journal import Manifest, append_record, journals, read_lines, refresh
from rom.compress.decomposition import pod
from rom.design.designs import sobol
from rom.errors import BadInput, DamagedFile, ForeignFile, NotWritten, OutsideBox
from rom.mesh import Mesh
from rom.parameters import Box
from rom.space import Field, euclidean

N = 60
BOX = Box(("k", "q"), np.array([0.0, 1.0]), np.array([1.0, 100.0]), ("1", "W"), ("linear", "log"))
MUS = sobol(BOX, 8)
MESH = Mesh(np.arange(3.0)[:, None], {"line": np.array([[0, 1], [1, 2]])})
TIMES = np.array([0.0, 0.5, 2.0])


def solution(mu):
    return np.sin(np.arange(N) * mu[0]) * mu[-1]


def trajectory(mu):
    return np.stack([solution(mu) * np.exp(-mu[0] * t) for t in TIMES], axis=1)


def columns(mus, solve=solution):
    return np.column_stack([solve(mu) for mu in mus])


def logged(path, solve=solution, pause=0.0):
    """The solve that notes process and parameter before it begins."""

    def noted(mu):
        with open(path, "a") as file:
            file.write(f"{os.getpid()} {mu[0]!r}\n")
        time.sleep(pause)
        return solve(mu)

    return noted


def starts(path):
    """(process, first parameter) of every solve that began."""
    lines = path.read_text().splitlines() if path.exists() else []
    return [
        (int(line.split()[0]), float(line.split()[1].removeprefix("np.float64(").rstrip(")")))
        for line in lines
    ]


def numbers(kind, rank, size):
    """Row numbers of a rank: blocks that share their interface dofs, dealt out at random, or
    with ranks that hold nothing.
    """
    if kind == "shared":
        ends = np.linspace(0, N, size + 1).astype(int)
        return np.arange(max(ends[rank] - 3, 0), ends[rank + 1])
    if kind == "dealt":
        return np.random.default_rng(5).permutation(N)[rank::size]
    return np.arange(N)[::-1] if rank == size - 1 else np.arange(0)


KINDS = ("shared", "dealt", "empty")


def fields(rows):
    return tuple(
        Field(name, unit, np.flatnonzero(rows % 2 == k))
        for k, (name, unit) in enumerate([("T", "K"), ("p", "Pa")])
    )


def space(kind, comm):
    rows = numbers(kind, comm.Get_rank(), comm.Get_size())
    return euclidean(rows, comm, fields(rows))


def script(mode, *arguments, ranks=None, wait=True):
    """This file as a program, alone or on ranks."""
    mpi = (
        [] if ranks is None else [str(Path(sys.executable).with_name("mpiexec")), "-n", str(ranks)]
    )
    command = [
        *mpi,
        sys.executable,
        *(["-m", "mpi4py"] if ranks else []),
        __file__,
        mode,
        *map(str, arguments),
    ]
    root = Path(__file__).parents[1]
    if not wait:
        return subprocess.Popen(
            command, cwd=root, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
    return subprocess.run(
        command, cwd=root, capture_output=True, text=True, timeout=150, check=False
    )


def ranks_collect(comm, path):
    """Farms, then solves together, on every partition; the log counts what each of them solved."""
    seen = collect(logged(Path(path) / "log"), MUS, Path(path) / "farm", comm=comm, box=BOX)
    assert (seen.solved, seen.skipped, seen.failed) == (len(MUS), 0, ()), seen
    for kind in KINDS:
        part = space(kind, comm)
        for name, solve, times in (("u", solution, None), ("t", trajectory, TIMES)):
            folder = Path(path) / f"{kind}-{name}"
            seen = collect(
                lambda mu, solve=solve, part=part: solve(mu)[part.numbers],
                MUS,
                folder,
                comm=comm,
                box=BOX,
                space=part,
                distributed=True,
                times=times,
            )
            assert (seen.solved, seen.skipped, seen.failed) == (len(MUS), 0, ()), seen
    ranks_read(comm, path)


def ranks_read(comm, path):
    """Every store on every partition of these ranks, in memory and by blocks."""
    for folder, kind in itertools.product(
        ["farm", *(f"{kind}-{name}" for kind in KINDS for name in "ut")], KINDS
    ):
        part = space(kind, comm)
        exact = columns(MUS, trajectory if folder.endswith("t") else solution)[part.numbers]
        for budget in (None, 8):
            snapshots = read(Path(path) / folder, part, memory_budget=budget)
            assert isinstance(snapshots.u, np.ndarray) == (budget is None)
            np.testing.assert_array_equal(snapshots.u[:, :], exact)
            np.testing.assert_array_equal(snapshots.u[2:7], exact[2:7])
    blocks = read(Path(path) / "farm", comm=comm)
    np.testing.assert_array_equal(blocks.space.gather(blocks.u), columns(MUS))


def ranks_fail(comm, path):
    """Failures of one rank, of all, and by shape: recorded by all alike."""
    part, rank = space("dealt", comm), comm.Get_rank()

    def solve(mu):
        task = int(np.flatnonzero(MUS[:, 0] == mu[0])[0])
        if task == 3 and rank == 1:
            raise ArithmeticError("diverged")
        u = solution(mu)[part.numbers]
        if task == 5 and rank == 0:
            u[2] = np.nan
        return u[:-1] if task == 7 else u

    seen = collect(solve, MUS, path, comm=comm, box=BOX, space=part, distributed=True)
    assert (seen.solved, seen.skipped) == (len(MUS) - 3, 0)
    reasons = [reason for _, reason in seen.failed]
    dof, name = part.numbers[np.argsort(part.numbers)], ""
    assert reasons[0] == "rank 1: ArithmeticError: diverged"
    assert reasons[1].startswith("rank 0: the solution is NaN or Inf at dof ")
    assert reasons[2].startswith("rank 0: the solution has shape")
    assert dof.size and not name


def ranks_hang(comm, path):
    """One rank fails inside a collective solve while the others wait for it."""

    def solve(mu):
        if comm.Get_rank() == 0:
            raise ArithmeticError("diverged")
        comm.Barrier()
        return solution(mu)[part.numbers]

    part = space("shared", comm)
    collect(solve, MUS[:2], path, comm=comm, box=BOX, space=part, distributed=True, patience=0.5)


def ranks_full(comm, path):
    """The second rank's disk is full: both ranks are told."""
    part = space("shared", comm)
    if comm.Get_rank() == 1:
        resource.setrlimit(resource.RLIMIT_FSIZE, (2000, 2000))
    try:
        collect(
            lambda mu: solution(mu)[part.numbers],
            MUS,
            path,
            comm=comm,
            box=BOX,
            space=part,
            distributed=True,
        )
    except NotWritten as error:
        (Path(path) / f"told-{comm.Get_rank()}").write_text(str(error)[:900])


def farmed(comm, path, log, pause):
    collect(logged(Path(log), pause=float(pause)), campaign_mus(), path, comm=comm)


def campaign_mus():
    return np.arange(1.0, 101.0)[:, None]


@pytest.mark.parametrize("ranks", [1, 2, 3, 4])
def test_ranks_write_and_read_any_partition(ranks, tmp_path):
    done = script("ranks_collect", tmp_path, ranks=ranks)
    assert done.returncode == 0, done.stderr[-3000:]
    assert sorted(mu for _, mu in starts(tmp_path / "log")) == sorted(MUS[:, 0])
    np.testing.assert_array_equal(read(tmp_path / "farm").u, columns(MUS))
    for kind, (name, solve) in itertools.product(KINDS, (("u", solution), ("t", trajectory))):
        snapshots = read(tmp_path / f"{kind}-{name}")
        np.testing.assert_array_equal(snapshots.u, columns(MUS, solve))
        assert [(f.name, sorted(f.rows.tolist())) for f in snapshots.space.fields] == [
            ("T", list(range(0, N, 2))),
            ("p", list(range(1, N, 2))),
        ]
        assert verify(tmp_path / f"{kind}-{name}") == ()
    elsewhere = script("ranks_read", tmp_path, ranks=ranks % 4 + 1)
    assert elsewhere.returncode == 0, elsewhere.stderr[-3000:]


def test_a_distributed_campaign_goes_on_in_serial(tmp_path):
    script("ranks_fail", tmp_path / "s", ranks=2)
    whole = euclidean(np.arange(N), None, fields(np.arange(N)))
    seen = collect(solution, MUS, tmp_path / "s", box=BOX, space=whole, retries=1)
    assert (seen.solved, seen.skipped, seen.failed) == (3, len(MUS) - 3, ())
    np.testing.assert_array_equal(read(tmp_path / "s").u, columns(MUS))


def test_failures_of_single_ranks_are_recorded_by_all(tmp_path):
    done = script("ranks_fail", tmp_path / "s", ranks=2)
    assert done.returncode == 0, done.stderr[-3000:]


def test_a_rank_that_fails_alone_ends_the_job_and_leaves_its_reason(tmp_path):
    begin = time.monotonic()
    done = script("ranks_hang", tmp_path / "s", ranks=2)
    assert done.returncode != 0 and time.monotonic() - begin < 60
    (records,) = open_store(tmp_path / "s").manifest.failed.values()
    assert records[0]["reason"] == "rank 0 alone: ArithmeticError: diverged"
    seen = collect(
        solution,
        MUS[:2],
        tmp_path / "s",
        box=BOX,
        space=euclidean(np.arange(N), None, fields(np.arange(N))),
    )
    assert (seen.solved, len(seen.failed)) == (1, 1)


def test_a_full_disk_of_one_rank_is_told_to_all(tmp_path):
    done = script("ranks_full", tmp_path, ranks=2)
    assert done.returncode == 0, done.stderr[-3000:]
    for rank in range(2):
        assert "File too large; free space" in (tmp_path / f"told-{rank}").read_text()
    assert open_store(tmp_path).manifest.done == {}


def forked(act):
    """A child of this process that does `act` and ends."""
    child = os.fork()
    if child == 0:
        try:
            act()
        finally:
            os._exit(1)
    return child


def killed(path, log, count, ranks, rng):
    """Starts the campaign, and kills it without warning some time after `count` more solves
    have begun.
    """
    before, job = len(starts(log)), None
    if ranks is None:
        child = forked(lambda: farmed(None, path, log, 0.003))
    else:
        job = script("farmed", path, log, 0.003, ranks=ranks, wait=False)
    deadline = time.monotonic() + 60
    while len(starts(log)) < before + count and time.monotonic() < deadline:
        time.sleep(0.0005)
    time.sleep(rng.uniform(0, 0.012))
    for pid in {pid for pid, _ in starts(log)[before:]}:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    if job is None:
        os.waitpid(child, 0)
    else:
        job.communicate(timeout=60)
    return [mu for _, mu in starts(log)[before:]]


@pytest.mark.parametrize("ranks", [None, 2])
def test_twenty_kills_lose_nothing_and_repeat_only_what_was_unfinished(ranks, tmp_path):
    path, log, rng = tmp_path / "s", tmp_path / "log", np.random.default_rng(ranks or 1)
    committed: dict[float, bytes] = {}
    for _ in range(20 if ranks is None else 8):
        begun = killed(path, log, int(rng.integers(1, 6)), ranks, rng)
        assert not set(begun) & set(committed), "a committed task was solved again"
        assert len(begun) == len(set(begun)), "a task was solved twice at once"
        manifest = open_store(path).manifest
        now = {
            r["mu"][0]: (path / "samples" / r["files"][0]["name"]).read_bytes()
            for r in manifest.done.values()
        }
        assert all(now[mu] == content for mu, content in committed.items()), (
            "a committed sample changed"
        )
        assert set(now) <= set(committed) | set(begun)
        committed = now
        assert all("harmless" in line or "torn and ignored" in line for line in verify(path))
    mus, rest = campaign_mus(), tmp_path / "rest"
    assert 5 <= len(committed) < len(mus)
    seen = collect(logged(rest), mus, path, expiry=1e6)
    assert (seen.solved, seen.skipped) == (len(mus) - len(committed), len(committed))
    assert sorted(mu for _, mu in starts(rest)) == sorted(set(mus[:, 0]) - set(committed))
    np.testing.assert_array_equal(read(path).u, columns(mus))
    np.testing.assert_array_equal(read(path).mu, mus)


def test_two_jobs_at_once_solve_each_task_once(tmp_path):
    jobs = [script("farmed", tmp_path / "s", tmp_path / "log", 0.002, wait=False) for _ in range(2)]
    for job in jobs:
        assert job.wait(timeout=100) == 0, job.communicate()[1][-3000:]
        job.communicate()
    begun = starts(tmp_path / "log")
    assert sorted(mu for _, mu in begun) == sorted(campaign_mus()[:, 0])
    assert len({pid for pid, _ in begun}) == 2
    np.testing.assert_array_equal(read(tmp_path / "s").u, columns(campaign_mus()))
    assert verify(tmp_path / "s") == ()


CALLS = [
    (os, "fsync"),
    (os, "replace"),
    (os, "write"),
    (os, "open"),
    (os, "utime"),
    (os, "unlink"),
    (os, "mkdir"),
    (os, "stat"),
]


@contextmanager
def interrupted(at, act):
    """`act()` at the `at`-th call of the system that a campaign makes; gives the count of
    calls so far.
    """
    count = itertools.count()
    last = [-1]
    real = [(module, name, getattr(module, name)) for module, name in CALLS]

    def patched(call):
        def counted(*arguments, **settings):
            last[0] = next(count)
            if last[0] == at:
                act()
            return call(*arguments, **settings)

        return counted

    for module, name, call in real:
        setattr(module, name, patched(call))
    try:
        yield last
    finally:
        for module, name, call in real:
            setattr(module, name, call)


def test_a_kill_at_every_system_call_loses_nothing(tmp_path):
    mus = campaign_mus()[:3]

    def die():
        os.kill(os.getpid(), signal.SIGKILL)

    with interrupted(-1, die) as last:
        collect(solution, mus, tmp_path / "count")
    assert last[0] > 40
    for at in range(last[0] + 1):
        path, log = tmp_path / f"{at}", tmp_path / f"{at}.log"

        def doomed(at=at, path=path, log=log):
            with interrupted(at, die):
                collect(logged(log), mus, path)

        child = forked(doomed)
        assert os.WTERMSIG(os.waitpid(child, 0)[1]) == signal.SIGKILL
        done = set()
        if (path / "campaign.json").exists():
            assert all("harmless" in line or "torn and ignored" in line for line in verify(path))
            done = {r["mu"][0] for r in open_store(path).manifest.done.values()}
        begun = [mu for _, mu in starts(log)]
        assert set(begun[:-1]) <= done, "a task that was followed by another is committed"
        seen = collect(logged(log), mus, path, expiry=1e6)
        assert (seen.solved, seen.skipped) == (3 - len(done), len(done))
        assert sorted(mu for _, mu in starts(log)[len(begun) :]) == sorted(set(mus[:, 0]) - done)
        np.testing.assert_array_equal(read(path).u, columns(mus))


def test_a_refused_system_call_is_reported_and_loses_nothing(tmp_path):
    mus = campaign_mus()[:2]

    def refuse():
        raise OSError(28, "No space left on device")

    with interrupted(-1, refuse) as last:
        collect(solution, mus, tmp_path / "count")
    told = 0
    for at in range(last[0] + 1):
        path = tmp_path / f"{at}"
        try:
            with interrupted(at, refuse):
                collect(solution, mus, path)
        except OSError as error:
            told += isinstance(error, NotWritten)
            assert "No space left on device" in str(error)
        seen = collect(solution, mus, path, expiry=1e6)
        assert seen.solved + seen.skipped == 2
        np.testing.assert_array_equal(read(path).u, columns(mus))
        assert all("harmless" in line for line in verify(path))
    assert told > 15


def test_a_full_disk_is_told_and_what_was_committed_stays(tmp_path):
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    big = euclidean(20_000)
    collect(lambda mu: np.full(20_000, mu[0]), MUS[:3], tmp_path, space=big)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, hard))
    try:
        with pytest.raises(NotWritten, match=r"cannot write .*samples.*File too large; free space"):
            collect(lambda mu: np.full(20_000, mu[0]), MUS, tmp_path, space=big)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert verify(tmp_path) == () and list((tmp_path / "leases").iterdir()) == []
    seen = collect(lambda mu: np.full(20_000, mu[0]), MUS, tmp_path, space=big)
    assert (seen.solved, seen.skipped) == (len(MUS) - 3, 3)


BAD = {
    "raises": (lambda u: 1 / 0, r"ZeroDivisionError: division by zero"),
    "out of memory": (
        lambda u: (_ for _ in ()).throw(MemoryError("too large")),
        r"MemoryError: too large",
    ),
    "NaN": (lambda u: np.where(np.arange(N) == 17, np.nan, u), r"NaN or Inf at dof 17 \(field p\)"),
    "Inf": (lambda u: np.where(np.arange(N) == 4, np.inf, u), r"NaN or Inf at dof 4 \(field T\)"),
    "short": (lambda u: u[:-1], r"shape \(59,\); this campaign needs \(60,\)"),
    "a column": (lambda u: u[:, None], r"shape \(60, 1\); this campaign needs \(60,\)"),
    "a number": (lambda u: 1.0, r"shape \(\)"),
    "nothing": (lambda u: None, r"dtype object"),
    "integers": (lambda u: u.astype(int), r"dtype int64; return float or complex"),
    "text": (lambda u: u.astype(str), r"dtype <U"),
    "ragged": (lambda u: [[1.0], [1.0, 2.0]], r"the solution is no array .*inhomogeneous"),
}


@pytest.mark.parametrize("name", BAD)
def test_a_solve_that_gives_no_solution_is_recorded_and_the_rest_goes_on(name, tmp_path, caplog):
    spoil, reason = BAD[name]
    whole = euclidean(np.arange(N), None, fields(np.arange(N)))

    def solve(mu):
        return spoil(solution(mu)) if mu[0] == MUS[2, 0] else solution(mu)

    seen = collect(solve, MUS[:5], tmp_path, box=BOX, space=whole)
    assert (seen.solved, seen.skipped) == (4, 0)
    ((mu, told),) = seen.failed
    assert mu == tuple(MUS[2]) and re.search(reason, told)
    assert "failed" in caplog.text
    np.testing.assert_array_equal(read(tmp_path).mu, MUS[[0, 1, 3, 4]])
    with pytest.raises(BadInput, match=r"row 1, mu = .*failed: .*leave it out"):
        read(tmp_path, mus=MUS[1:3])
    again = collect(solution, MUS[:5], tmp_path, box=BOX, space=whole)
    assert (again.solved, again.skipped, len(again.failed)) == (0, 4, 1)
    assert collect(solution, MUS[:5], tmp_path, box=BOX, space=whole, retries=1).solved == 1


def test_retries_count_every_attempt(tmp_path):
    attempts = tmp_path / "log"
    seen = collect(
        logged(attempts, lambda mu: np.full(N, np.nan)), MUS[:1], tmp_path / "s", retries=3
    )
    assert len(seen.failed) == 1 and len(starts(attempts)) == 4
    collect(logged(attempts, lambda mu: np.full(N, np.nan)), MUS[:1], tmp_path / "s", retries=2)
    assert len(starts(attempts)) == 6


def test_an_interrupt_by_hand_stops_at_once_and_holds_nothing(tmp_path):
    def solve(mu):
        if mu[0] == MUS[2, 0]:
            raise KeyboardInterrupt
        return solution(mu)

    with pytest.raises(KeyboardInterrupt):
        collect(solve, MUS, tmp_path)
    assert list((tmp_path / "leases").iterdir()) == []
    assert collect(solution, MUS, tmp_path).skipped == 2


def test_without_a_space_the_first_solution_sets_the_size(tmp_path):
    seen = collect(lambda mu: solution(mu)[: N if mu[0] < 0.9 else 5], MUS, tmp_path)
    assert {reason.split(";")[0] for _, reason in seen.failed} == {"the solution has shape (5,)"}


SETTINGS = {
    "box": (
        {"box": Box(BOX.names, BOX.lower, BOX.upper + 1, BOX.units, BOX.scales)},
        r"box: upper is \[1\.0, 100\.0\] there and \[2\.0",
    ),
    "unit": (
        {"box": Box(BOX.names, BOX.lower, BOX.upper, ("1", "kW"), BOX.scales)},
        r"box: units is \['1', 'W'\] there",
    ),
    "no box": ({"box": None}, r"box is .* and None here"),
    "mesh": ({"mesh": Mesh(MESH.points + 1e-12, MESH.cells)}, r"mesh is '[0-9a-f]{64}' there"),
    "version": ({"version": "2"}, r"version is '1' there and '2' here"),
    "times": ({"times": TIMES}, r"times is None there and \[0\.0, 0\.5, 2\.0\] here"),
    "size": ({"space": euclidean(N + 1)}, r"size is 60 there and 61 here"),
    "field unit": (
        {"space": euclidean(N, None, (Field("T", "degC", np.arange(N)),))},
        r"fields: T: unit is 'K' there and 'degC' here",
    ),
    "field dofs": (
        {"space": euclidean(N, None, (Field("T", "K", np.arange(N - 1)),))},
        r"fields: T: dofs is",
    ),
    "field name": (
        {"space": euclidean(N, None, (Field("p", "K", np.arange(N)),))},
        r"fields: T is .* there and None here",
    ),
}


@pytest.mark.parametrize("name", SETTINGS)
def test_another_campaign_in_the_folder_is_refused_by_what_differs(name, tmp_path):
    given = {
        "box": BOX,
        "mesh": MESH,
        "space": euclidean(N, None, (Field("T", "K", np.arange(N)),)),
    }
    collect(solution, MUS[:2], tmp_path, **given)
    other, message = SETTINGS[name]
    with pytest.raises(BadInput, match=f"holds another campaign: {message}"):
        collect(solution, MUS, tmp_path, **{**given, **other})
    assert len(open_store(tmp_path).manifest.done) == 2


def test_the_store_tells_what_it_was_given(tmp_path):
    collect(solution, MUS[:2], tmp_path, box=BOX, mesh=MESH, version="3.1")
    store = open_store(tmp_path)
    assert (
        store.box.names == BOX.names
        and store.box.scales == BOX.scales
        and store.mesh.digest == MESH.digest
    )
    np.testing.assert_array_equal(store.box.upper, BOX.upper)
    assert store.identity["version"] == "3.1" and store.times is None


def test_more_tasks_extend_a_campaign_in_the_order_planned(tmp_path):
    for chosen in ([5, 1, 3], [3, 0, 5, 2, 2]):
        collect(solution, MUS[chosen], tmp_path)
    np.testing.assert_array_equal(read(tmp_path).mu, MUS[[5, 1, 3, 0, 2]])
    back = read(tmp_path, mus=MUS[[2, 5, 2]])
    np.testing.assert_array_equal(back.mu, MUS[[2, 5, 2]])
    np.testing.assert_array_equal(back.u, columns(MUS[[2, 5, 2]]))


def test_zero_and_minus_zero_are_one_task(tmp_path):
    seen = collect(lambda mu: np.ones(3), np.array([[0.0], [-0.0]]), tmp_path)
    assert seen.solved == 1


@pytest.mark.parametrize("dtype", ["f4", "f8", "c8", "c16"])
def test_trajectories_and_types_come_back_exactly(dtype, tmp_path):
    def solve(mu):
        return (trajectory(mu) * (1 + 0.5j if dtype[0] == "c" else 1)).astype(dtype)

    collect(solve, MUS, tmp_path, times=TIMES)
    exact = columns(MUS, solve)
    for budget in (None, "1B"):
        snapshots = read(tmp_path, memory_budget=budget)
        u = snapshots.u[:, :]
        assert u.dtype == exact.dtype
        np.testing.assert_array_equal(u, exact)
        np.testing.assert_array_equal(snapshots.mu, np.repeat(MUS, 3, axis=0))
        np.testing.assert_array_equal(snapshots.t, np.tile(TIMES, len(MUS)))


def test_a_space_numbered_otherwise_gets_its_own_order(tmp_path):
    rows = np.random.default_rng(0).permutation(N)
    shuffled = euclidean(rows)
    collect(lambda mu: solution(mu)[rows], MUS, tmp_path, space=shuffled)
    np.testing.assert_array_equal(read(tmp_path, shuffled).u, columns(MUS)[rows])
    np.testing.assert_array_equal(read(tmp_path).u, columns(MUS))


LAZY = [
    np.s_[:],
    np.s_[5:9],
    np.s_[5:5],
    np.s_[::7],
    np.s_[::-1],
    np.s_[-3:],
    np.s_[:, 3],
    np.s_[4],
    np.s_[4, -1],
    np.s_[10:20, 2:8:3],
    np.s_[[3, 59, 3]],
    np.s_[[3, 59], [7, 0]],
]


@pytest.mark.parametrize("key", LAZY, ids=str)
def test_blocks_from_disk_are_blocks_of_the_array(key, tmp_path):
    collect(trajectory, MUS, tmp_path, times=TIMES)
    exact = columns(MUS, trajectory)
    lazy = read(tmp_path, memory_budget="1kB").u
    assert (
        not isinstance(lazy, np.ndarray)
        and lazy.shape == exact.shape
        and lazy.nbytes == exact.nbytes
    )
    wanted = (
        exact[np.ix_(*key)] if isinstance(key, tuple) and isinstance(key[0], list) else exact[key]
    )
    np.testing.assert_array_equal(lazy[key], wanted)


def test_a_basis_from_disk_is_the_basis_from_memory(tmp_path):
    collect(trajectory, MUS, tmp_path, times=TIMES)
    for method in ("gram", "full"):
        (disk, s), (memory, t) = (
            pod(read(tmp_path, memory_budget=budget), rank=4, method=method)
            for budget in ("1kB", None)
        )
        np.testing.assert_allclose(s[:4], t[:4], rtol=1e-12)
        np.testing.assert_allclose(np.abs(memory.modes.T @ disk.modes), np.eye(4), atol=1e-9)


@pytest.mark.parametrize(
    ("budget", "lazy"),
    [(3840, False), (3839, True), ("3.75KiB", False), ("3.8kB", True), ("1 GiB", False)],
)
def test_the_memory_budget_is_kept(budget, lazy, tmp_path):
    collect(solution, MUS, tmp_path)
    assert isinstance(read(tmp_path, memory_budget=budget).u, np.ndarray) != lazy


@pytest.mark.parametrize("budget", ["much", "-1", 0, float("nan"), "5 parsecs", "MiB"])
def test_a_budget_that_is_no_size_is_refused(budget, tmp_path):
    collect(solution, MUS[:1], tmp_path)
    with pytest.raises(BadInput, match=r"memory_budget = .* is not a size; give bytes"):
        read(tmp_path, memory_budget=budget)


def samples(path):
    return sorted((path / "samples").glob("*-*.h5"))


def test_a_damaged_sample_is_named_and_repaired_by_collecting_again(tmp_path):
    collect(solution, MUS, tmp_path)
    victim = samples(tmp_path)[4]
    content = bytearray(victim.read_bytes())
    content[-9] ^= 4
    victim.write_bytes(content)
    with pytest.raises(DamagedFile, match=rf"{victim.name}.*delete it.*collect again"):
        read(tmp_path)
    (problem,) = verify(tmp_path)
    assert victim.name in problem
    victim.unlink()
    with pytest.raises(DamagedFile, match=rf"{victim.name} is missing or cut short; collect again"):
        read(tmp_path)
    seen = collect(solution, MUS, tmp_path)
    assert (seen.solved, seen.skipped) == (1, len(MUS) - 1)
    np.testing.assert_array_equal(read(tmp_path).u, columns(MUS))
    assert verify(tmp_path) == ()


def test_a_sample_swapped_for_another_is_detected(tmp_path):
    collect(solution, MUS, tmp_path)
    first, second = samples(tmp_path)[:2]
    first.write_bytes(second.read_bytes())
    with pytest.raises(DamagedFile, match=first.name):
        read(tmp_path)


def test_a_journal_cut_anywhere_in_its_last_line_keeps_the_others(tmp_path):
    collect(solution, MUS, tmp_path)
    (path,) = journals(tmp_path)
    whole = path.read_bytes()
    start = whole[:-1].rindex(b"\n") + 1
    for end in range(start, len(whole)):
        path.write_bytes(whole[:end])
        assert len(refresh(Manifest(tmp_path)).done) == len(MUS) - 1
        assert any("torn" in line for line in verify(tmp_path)) == (end > start)
    assert collect(solution, MUS, tmp_path).solved == 1
    np.testing.assert_array_equal(read(tmp_path).u, columns(MUS))


def test_a_flipped_bit_in_a_journal_is_detected_and_rebuilt(tmp_path):
    collect(lambda mu: solution(mu) if mu[0] < 0.9 else 1 / 0, MUS, tmp_path)
    exact, rng = read(tmp_path), np.random.default_rng(0)
    (path,) = journals(tmp_path)
    whole = path.read_bytes()
    for place in rng.integers(0, len(whole) - 1, 200):
        flipped = bytearray(whole)
        flipped[place] ^= 1 << int(rng.integers(8))
        path.write_bytes(flipped)
        with pytest.raises(
            DamagedFile,
            match=r"line before byte \d+ is damaged; call rom\.campaign\.rebuild",
        ):
            read(tmp_path)
    done_line = whole.index(b"done")
    path.write_bytes(whole[:done_line] + b"X" + whole[done_line + 1 :])
    rebuild(tmp_path)
    back = read(tmp_path)
    np.testing.assert_array_equal(back.mu, exact.mu)
    np.testing.assert_array_equal(back.u, exact.u)
    again = collect(solution, MUS, tmp_path)
    assert (again.solved, len(again.failed)) == (0, len(MUS) - exact.m)


def test_lost_journals_are_rebuilt_from_the_samples(tmp_path):
    collect(trajectory, MUS, tmp_path, times=TIMES)
    for path in journals(tmp_path):
        path.unlink()
    with pytest.raises(BadInput, match=r"no finished sample"):
        read(tmp_path)
    rebuild(tmp_path)
    np.testing.assert_array_equal(read(tmp_path, mus=MUS).u, columns(MUS, trajectory))


def test_every_line_of_a_journal_carries_its_crc(tmp_path):
    collect(solution, MUS, tmp_path)
    (path,) = journals(tmp_path)
    records = [record for _, record in read_lines(path)]
    assert [record["state"] for record in records] == ["plan"] + ["done"] * len(MUS)
    assert all(len(f["sha256"]) == 64 for record in records[1:] for f in record["files"])


@pytest.mark.parametrize(
    ("spoil", "kind"),
    [
        (lambda text: "", ForeignFile),
        (lambda text: "[]", ForeignFile),
        (lambda text: "{}", ForeignFile),
        (lambda text: text[:-4], ForeignFile),
        (lambda text: text.replace('"version": "1"', '"version": "2"'), DamagedFile),
        (lambda text: text.replace('"format": 1', '"format": 2'), DamagedFile),
    ],
)
def test_a_campaign_file_that_was_changed_is_refused(spoil, kind, tmp_path):
    collect(solution, MUS[:2], tmp_path)
    path = tmp_path / "campaign.json"
    path.write_text(spoil(path.read_text()))
    with pytest.raises(kind, match=r"campaign\.json"):
        read(tmp_path)


def test_a_newer_store_is_refused_by_name(tmp_path, monkeypatch):
    monkeypatch.setattr("rom.campaign.identity.FORMAT", 2)
    collect(solution, MUS[:2], tmp_path)
    monkeypatch.undo()
    with pytest.raises(ForeignFile, match=r"format 2, this package reads up to 1; upgrade"):
        read(tmp_path)


FILE = {"name": "a.h5", "bytes": 1, "sha256": "0", "rows": "all"}
RECORD = {"state": "done", "key": "a", "mu": [1.0], "files": [FILE], "size": 3, "columns": 1}
RECORDS = {
    "outside the store": {**RECORD, "files": [{**FILE, "name": "../../secret.h5"}]},
    "rows outside": {**RECORD, "files": [{**FILE, "rows": "/etc/passwd"}]},
    "no digest": {**RECORD, "files": [{"name": "a.h5", "bytes": 1, "rows": "all"}]},
    "no files": {**RECORD, "files": []},
    "no size": {**RECORD, "size": 0},
    "no parameters": {**RECORD, "mu": []},
    "nothing": {},
    "a list": [1],
    "a plan without tasks": {"state": "plan", "time": 0.0},
    "a failure of nothing": {"state": "failed"},
}


def test_a_record_of_a_file_that_is_not_there_is_lost_not_foreign(tmp_path):
    collect(solution, MUS, tmp_path)
    append_record(tmp_path / "journal" / "x.jsonl", RECORD)
    with pytest.raises(DamagedFile, match=r"a\.h5 is missing or cut short; collect again"):
        read(tmp_path)


@pytest.mark.parametrize("name", RECORDS)
def test_records_that_no_campaign_writes_are_refused(name, tmp_path):
    collect(solution, MUS, tmp_path)
    append_record(tmp_path / "journal" / "x.jsonl", RECORDS[name])
    with pytest.raises(ForeignFile, match=r"x\.jsonl: the line before byte \d+ is no record"):
        read(tmp_path)


def test_a_campaign_is_quiet_unless_somebody_watches(tmp_path, capfd):
    collect(solution, MUS, tmp_path / "a")
    assert capfd.readouterr() == ("", "")
    collect(solution, MUS, tmp_path / "b", progress=True)
    out, err = capfd.readouterr()
    assert out == "" and "8/8" in err


def lie(path, host, pid, start="0"):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps([host, pid, start]))


def test_a_claim_dies_with_its_process_and_lives_with_it(tmp_path):
    folder = tmp_path / "leases"
    dead = subprocess.Popen(["true"])
    dead.wait()
    lie(folder / "a.0", leases.host(), dead.pid)
    lie(folder / "b.0", leases.host(), os.getpid(), leases.start_time(os.getpid()))
    lie(folder / "c.0", leases.host(), os.getpid(), "another life of this number")
    for key, free in {"a": True, "b": False, "c": True}.items():
        with leases.lease(folder, key, 1e6) as mine:
            assert bool(mine) == free
    assert [path.name for path in folder.iterdir()] == ["b.0"]


def test_a_claim_of_another_host_lives_as_long_as_its_heart_beats(tmp_path):
    folder = tmp_path / "leases"
    lie(folder / "a.0", "elsewhere", 1)
    with leases.lease(folder, "a", 50.0) as mine:
        assert not mine
    os.utime(folder / "a.0", (time.time() - 60, time.time() - 60))
    with leases.lease(folder, "a", 50.0) as mine, leases.lease(folder, "a", 50.0) as other:
        assert mine and not other
    assert list(folder.iterdir()) == []


def test_a_held_claim_beats(tmp_path):
    folder = tmp_path / "leases"
    folder.mkdir()
    with leases.lease(folder, "a", 0.16) as mine:
        os.utime(folder / "a.0", (1.0, 1.0))
        deadline = time.monotonic() + 20
        while (folder / "a.0").stat().st_mtime == 1.0 and time.monotonic() < deadline:
            time.sleep(0.01)
        assert mine and (folder / "a.0").stat().st_mtime > 1.0


def test_a_task_held_elsewhere_is_waited_for(tmp_path):
    collect(solution, MUS[:1], tmp_path)
    key = open_store(tmp_path).key(MUS[1])
    lie(tmp_path / "leases" / f"{key}.0", "elsewhere", 1)
    begin = time.monotonic()
    assert collect(solution, MUS[:2], tmp_path, expiry=1.0).solved == 1
    assert time.monotonic() - begin > 0.5


REFUSED = {
    "solve": ({"solve": "rae2822"}, BadInput, r"solve is a str; give a function"),
    "mus shape": ({"mus": MUS[0]}, BadInput, r"mus has shape \(2,\); give one row per task"),
    "no mus": ({"mus": np.zeros((0, 2))}, BadInput, r"mus has shape \(0, 2\)"),
    "NaN": ({"mus": np.array([[0.1, np.nan]])}, BadInput, r"NaN or Inf at \(0, 1\)"),
    "text": (
        {"mus": [["a", "b"]]},
        BadInput,
        r"mus is an array of <U1 and no array of real numbers",
    ),
    "outside": (
        {"mus": np.array([[0.5, 2.0], [1.5, 2.0]])},
        OutsideBox,
        r"row 1: k = 1\.5 1 is outside",
    ),
    "columns": (
        {"mus": np.zeros((2, 3))},
        BadInput,
        r"mu has shape \(2, 3\); give parameters \('k', 'q'\)",
    ),
    "times": ({"times": [1.0, 0.0]}, BadInput, r"times must be increasing"),
    "distributed": ({"distributed": True}, BadInput, r"needs the space whose `numbers`"),
    "retries": ({"retries": -1}, BadInput, r"retries = -1; give 0"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_settings_that_mean_nothing_are_refused_before_anything_is_written(name, tmp_path):
    change, kind, message = REFUSED[name]
    with pytest.raises(kind, match=message):
        collect(**{"solve": solution, "mus": MUS, "path": tmp_path / "s", "box": BOX, **change})
    assert not (tmp_path / "s").exists()


def test_a_file_in_the_place_of_the_folder_is_named(tmp_path):
    (tmp_path / "s").write_text("")
    with pytest.raises(
        NotWritten, match=r"s cannot be made the folder of a campaign .*give another path"
    ):
        collect(solution, MUS, tmp_path / "s")
    for path in (tmp_path / "s", tmp_path / "absent", tmp_path):
        with pytest.raises(BadInput, match=r"holds no campaign.*collect into it first"):
            read(path)


def test_reading_what_is_not_there_is_named(tmp_path):
    collect(solution, MUS[:3], tmp_path)
    with pytest.raises(BadInput, match=r"row 1, mu = .* was not solved; collect it into"):
        read(tmp_path, mus=MUS[2:4])
    with pytest.raises(BadInput, match=r"solutions of 60 dofs, the space has 61"):
        read(tmp_path, euclidean(61))
    with pytest.raises(BadInput, match=r"mus has shape \(2,\)"):
        read(tmp_path, mus=MUS[0])


if __name__ == "__main__":
    mode, *arguments = sys.argv[1:]
    world = None
    if mode.startswith("ranks") or "PMI_SIZE" in os.environ:
        from mpi4py import MPI

        world = MPI.COMM_WORLD
    globals()[mode](world, *arguments)
