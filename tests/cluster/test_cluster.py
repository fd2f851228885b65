"""Real schedulers: whatever happens to jobs, nodes and limits, every parameter is computed once
and the report is the local one.
"""

import json
import os
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import gridengine
import numpy as np
import pytest
import slurm
from command_line import last, run_rom

from rom.archive.nouns import load
from rom.campaign import read, verify
from rom.campaign.journal import journals, read_lines

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(420)]
ROOT = Path(__file__).parents[2]
SOLVER = """
import os, time
import numpy as np
from rom.parameters import Box
box = Box(("a",), np.array([1.0]), np.array([2.0]), ("m",))
def solve(mu):
    with open("begun", "a") as file:
        file.write(repr(float(mu[0])) + chr(10))
    if os.path.exists("wait"):
        time.sleep(float(open("wait").read()))
    trial(mu)
    return mu[0] * np.arange(1.0, 9.0) ** mu[0]
def trial(mu):
    pass
"""
GREEDY = """
def trial(mu):
    first = not os.path.exists(f"tried-{mu[0]}")
    open(f"tried-{mu[0]}", "w").close()
    if mu[0] < 1.25 and first:
        time.sleep(300)
    if mu[0] > 1.75:
        held = np.ones(45 * 2**20)
        time.sleep(4)
"""
LATE = """
def trial(mu):
    if mu[0] < 1.5 and not os.path.exists("tried"):
        open("tried", "w").close()
        time.sleep(300)
"""
FAT = """
def trial(mu):
    if mu[0] > 1.5:
        fat = np.ones(190 * 2**20)
"""


@pytest.fixture(scope="module", params=[slurm, gridengine], ids=lambda one: one.NAME)
def cluster(request, tmp_path_factory):
    """A scheduler of its own on this machine."""
    one = request.param
    if one.lacking():
        pytest.fail(f"not installed: {', '.join(one.lacking())}; apt-get install {one.PACKAGES}")
    with one.start(tmp_path_factory.mktemp(one.NAME)):
        yield one


@pytest.fixture
def only_slurm(cluster):
    """Slurm, of which the test uses what others lack: nodes that drain, its own words."""
    if cluster is not slurm:
        pytest.skip("uses words of Slurm")
    return cluster


rom = partial(run_rom, seconds=200)


def site(folder, scheduler, retry="", **entries):
    name = scheduler if isinstance(scheduler, str) else scheduler.NAME
    own = {} if isinstance(scheduler, str) else scheduler.ENTRIES
    start = (
        f"{sys.executable} -m mpi4py -c 'from rom.cli.app import app; app()'"
        if entries.get("ranks", 1) > 1
        else None
    )
    start = start or f"{sys.executable} -c 'from rom.cli.app import app; app()'"
    mpiexec = str(Path(sys.executable).with_name("mpiexec"))
    entries = {"scheduler": name, "time": "00:10:00", "memory": "900M", "margin": 5.0,
        "array": 4, "rom": start, "wait": 1.0,
               "launch": f"{mpiexec} -n {{ranks}}", **own, **entries}  # fmt: skip
    text = "".join(f"{name} = {json.dumps(value)}\n" for name, value in entries.items())
    path = folder / f"{name}.toml"
    path.write_text(f'{text}\n[environment]\nPYTHONPATH = "{ROOT}"\n\n[retry]\n{retry}\n')
    return path


def says(*words):
    return subprocess.run(words, capture_output=True, text=True, timeout=30, check=True).stdout


def awaited(cluster, what, seconds=120.0, pause=0.3):
    deadline = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < deadline, cluster.listing()
        time.sleep(pause)


def once(store, count):
    """Every parameter has one record of one committed sample."""
    done = [
        r["key"] for path in journals(store) for _, r in read_lines(path) if r["state"] == "done"
    ]
    assert len(done) == len(set(done)) == count
    assert all("harmless" in line or "torn and ignored" in line for line in verify(store))


def of_the_solver():
    """Processes of rom collect on this machine."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = path.read_bytes().split(b"\0")
        except OSError:
            continue
        if b"collect" in words and b"--rows" in words and b"python" in words[0]:
            found.append(int(path.parent.name))
    return found


def begun(folder):
    path = folder / "begun"
    return path.read_text().split() if path.exists() else []


def test_the_blade_through_kills_and_a_drained_node_is_the_blade_of_one_machine(
    only_slurm, tmp_path
):
    cluster = only_slurm
    words = ["cases.cooled_blade", "--set", "size=1200", "--n", 6, "--tol", "1e-6", "--tests", 2]
    shared = {"chunk": 2, "ranks": 2}
    rom(
        tmp_path,
        "submit",
        "all",
        *words,
        "--profile",
        site(tmp_path, cluster, **shared),
        "--out",
        "far",
        "--json",
    )
    store, kills = tmp_path / "far" / "store", 0
    host = says("sinfo", "--noheader", "--format", "%n").strip()
    awaited(cluster, of_the_solver, pause=0.02)
    for pid in of_the_solver()[:2]:
        os.kill(pid, signal.SIGKILL)
        kills += 1
    says("scontrol", "update", f"nodename={host}", "state=drain", "reason=test")
    awaited(cluster, lambda: says("squeue", "--noheader", "--states=running").strip() == "")
    before = len(list((store / "journal").glob("*")))
    time.sleep(3)
    assert len(list((store / "journal").glob("*"))) == before, "a drained node began a job"
    says("scontrol", "update", f"nodename={host}", "state=resume")
    awaited(cluster, cluster.is_empty, 200)
    for _ in range(3):
        rom(tmp_path, "resume", "far")
        awaited(cluster, cluster.is_empty, 200)
        now = last(rom(tmp_path, "status", "far", "--json"))
        if "report.html" in now["results"]:
            break
    assert kills and (now["done"], now["unfinished"], now["failed"]) == (6, 0, 0), now
    once(store, 6)
    rom(
        tmp_path,
        "submit",
        "all",
        *words,
        "--profile",
        site(tmp_path, "local", **shared),
        "--out",
        "near",
    )
    one, other = (load(tmp_path / name / "model.h5")["model"] for name in ("far", "near"))
    np.testing.assert_array_equal(one.basis.modes, other.basis.modes)
    logs = [sorted((tmp_path / name / "logs").glob("*-study.out"))[-1] for name in ("far", "near")]
    far, near = (last(path.read_text()) for path in logs)
    timed = {"full_s", "online_ms", "batch_us", "speedup"}
    assert {k: v for k, v in far.items() if k not in timed} == {
        k: v for k, v in near.items() if k not in timed
    }
    assert all((tmp_path / name / "report.html").exists() for name in ("far", "near"))


def test_submitted_twice_cancelled_and_resumed_solves_each_once(cluster, tmp_path):
    (tmp_path / "case.py").write_text(SOLVER)
    (tmp_path / "wait").write_text("2.0")
    words = [
        "submit",
        "collect",
        "case.py",
        "--profile",
        site(tmp_path, cluster, chunk=2, array=3, concurrent=1),
        "--n",
        12,
        "--out",
        "run",
    ]
    first = last(rom(tmp_path, *words, "--json"))["jobs"]
    assert len(first) == 2
    assert "was submitted into run before" in rom(tmp_path, *words, code=2)
    assert last(rom(tmp_path, "resume", "run", "--json"))["jobs"] == []
    awaited(cluster, lambda: len(begun(tmp_path)) >= 4)
    (tmp_path / "wait").write_text("60.0")  # the others wait for the command
    assert last(rom(tmp_path, "cancel", "run", "--json"))["cancelled"] == first
    awaited(cluster, cluster.is_empty)
    done = last(rom(tmp_path, "status", "run", "--json"))["done"]
    assert 0 < done < 12
    cut = len(begun(tmp_path)) - done
    (tmp_path / "wait").write_text("0.1")
    rom(tmp_path, "resume", "run")
    awaited(cluster, cluster.is_empty)
    assert last(rom(tmp_path, "status", "run", "--json"))["done"] == 12
    assert len(begun(tmp_path)) == 12 + cut and cut <= 4
    once(tmp_path / "run" / "store", 12)


def test_parts_beyond_their_time_or_memory_get_more_and_finish(only_slurm, tmp_path):
    cluster = only_slurm
    (tmp_path / "case.py").write_text(SOLVER + GREEDY)
    profile = site(tmp_path, cluster, chunk=1, array=8, time="00:01:00", margin=1.0, memory="300M")
    rom(tmp_path, "submit", "collect", "case.py", "--profile", profile, "--n", 8, "--out", "run")
    awaited(cluster, cluster.is_empty, 150)
    assert last(rom(tmp_path, "status", "run", "--json"))["done"] == 4
    jobs = last(rom(tmp_path, "resume", "run", "--json"))["jobs"]
    awaited(cluster, cluster.is_empty, 60)
    kinds = json.loads(
        (tmp_path / "run" / "submissions.jsonl")
        .read_text()
        .splitlines()[-1 - 2 * len(jobs)]
        .split(" ", 1)[1]
    )["kinds"]
    assert sorted(kinds.values()) == ["memory", "memory", "timeout", "timeout"]
    assert last(rom(tmp_path, "status", "run", "--json"))["done"] == 8
    assert "memory limit" in rom(tmp_path, "logs", "run") and "DUE TO TIME LIMIT" in rom(
        tmp_path, "logs", "run"
    )
    assert sorted(begun(tmp_path)) == sorted(
        [*set(begun(tmp_path)), *(x for x in set(begun(tmp_path)) if not 1.25 < float(x) < 1.75)]
    )
    once(tmp_path / "run" / "store", 8)


def test_a_part_that_runs_out_of_time_goes_on_by_itself(cluster, tmp_path):
    (tmp_path / "case.py").write_text(SOLVER)
    (tmp_path / "wait").write_text("1.0")
    profile = site(tmp_path, cluster, chunk=10, time="00:01:00", margin=55.0)
    rom(tmp_path, "submit", "collect", "case.py", "--profile", profile, "--n", 7, "--out", "run")
    awaited(cluster, cluster.is_empty, 150)
    assert last(rom(tmp_path, "status", "run", "--json"))["done"] == 7
    assert (
        "unfinished: the time is over" in rom(tmp_path, "logs", "run") and len(begun(tmp_path)) == 7
    )
    once(tmp_path / "run" / "store", 7)


def test_a_dead_part_goes_on_in_a_new_job_while_the_rest_of_its_array_runs(cluster, tmp_path):
    (tmp_path / "case.py").write_text(SOLVER)
    (tmp_path / "wait").write_text("4.0")
    profile = site(tmp_path, cluster, chunk=4, concurrent=2)
    (job,) = last(
        rom(
            tmp_path,
            "submit",
            "collect",
            "case.py",
            "--profile",
            profile,
            "--n",
            12,
            "--out",
            "run",
            "--json",
        )
    )["jobs"]
    awaited(cluster, lambda: len(begun(tmp_path)) >= 2)
    cluster.cancel_part(job, 1)
    awaited(cluster, lambda: not cluster.lives(job, 1))
    (again,) = last(rom(tmp_path, "resume", "run", "--json"))["jobs"]
    assert cluster.lives(job, 0) or cluster.lives(job, 2)
    assert again != job
    awaited(cluster, cluster.is_empty)
    assert last(rom(tmp_path, "status", "run", "--json"))["done"] == 12 and len(
        begun(tmp_path)
    ) in (12, 13)
    once(tmp_path / "run" / "store", 12)


def test_a_pilot_solves_hundreds_in_one_job_although_a_worker_is_killed(cluster, tmp_path):
    (tmp_path / "case.py").write_text(SOLVER)
    (tmp_path / "wait").write_text("0.02")
    plain = site(tmp_path, cluster, chunk=256)
    profile = tmp_path / "pilot.toml"
    profile.write_text(plain.read_text() + "\n[pilot]\nworkers = 3\nlimit = 60.0\n")
    words = ["submit", "collect", "case.py", "--profile", profile, "--n", 256, "--out", "run"]
    wish = {"slurm": "--cpus-per-task=3", "gridengine": "-pe smp 3"}[cluster.NAME]
    assert wish in rom(tmp_path, *words, "--dry-run")
    assert len(last(rom(tmp_path, *words, "--json"))["jobs"]) == 1
    journal = tmp_path / "run" / "store" / "journal"
    awaited(cluster, lambda: len(begun(tmp_path)) >= 30)
    workers = {int(path.name.split("-")[-2]) for path in journal.glob("*.jsonl")} - set(
        of_the_solver()
    )
    os.kill(min(workers), signal.SIGKILL)
    awaited(cluster, cluster.is_empty)
    assert last(rom(tmp_path, "status", "run", "--json"))["done"] == 256
    assert "ended by SIGKILL" in rom(tmp_path, "logs", "run") and len(begun(tmp_path)) in (256, 257)
    once(tmp_path / "run" / "store", 256)


SHARED = """
import os
import numpy as np
from rom.cli.launch import world
from rom.parameters import Box
from rom.problem import Problem
from rom.space import euclidean
def problem():
    comm = world()
    rank, size = (0, 1) if comm is None else (comm.Get_rank(), comm.Get_size())
    space = euclidean(np.arange(12)[rank::size], comm)
    def solve(mu):
        part = mu[0] * np.arange(1.0, 13.0)[rank::size]
        total = part.sum() if comm is None else comm.allreduce(float(part.sum()))
        with open(f"ranks-{mu[0]!r}", "a") as file:
            file.write(f"{rank} of {size}" + chr(10))
        return part / total
    box = Box(("a",), np.array([1.0]), np.array([2.0]), ("m",))
    return Problem(space=space, solve=solve, box=box)
"""


def test_a_collective_solve_runs_on_all_ranks_of_a_part(cluster, tmp_path):
    (tmp_path / "case.py").write_text(SHARED)
    profile = site(tmp_path, cluster, chunk=2, ranks=2)
    rom(tmp_path, "submit", "collect", "case.py", "--profile", profile, "--n", 4, "--out", "run")
    awaited(cluster, cluster.is_empty)
    assert last(rom(tmp_path, "status", "run", "--json"))["done"] == 4, rom(tmp_path, "logs", "run")
    once(tmp_path / "run" / "store", 4)
    for path in tmp_path.glob("ranks-*"):
        assert sorted(path.read_text().splitlines()) == ["0 of 2", "1 of 2"]
    held = read(tmp_path / "run" / "store")
    np.testing.assert_allclose(
        held.u, np.repeat(np.arange(1.0, 13.0)[:, None] / 78.0, 4, axis=1), rtol=1e-15
    )


def test_all_stages_through_a_kill_are_those_of_one_machine(cluster, tmp_path):
    (tmp_path / "case.py").write_text(SOLVER)
    (tmp_path / "wait").write_text("0.5")
    words = ["submit", "all", "case.py", "--n", 6, "--tol", "1e-6", "--tests", 2]
    profile = site(tmp_path, cluster, chunk=3, memory="3G")
    rom(tmp_path, *words, "--profile", profile, "--out", "far")
    awaited(cluster, lambda: len(begun(tmp_path)) >= 2)
    os.kill(of_the_solver()[0], signal.SIGKILL)
    awaited(cluster, cluster.is_empty)
    rom(tmp_path, "resume", "far")
    awaited(cluster, cluster.is_empty)
    now = last(rom(tmp_path, "status", "far", "--json"))
    assert (now["done"], now["results"]) == (6, ["model.h5", "report.html"]), now
    once(tmp_path / "far" / "store", 6)
    (tmp_path / "wait").unlink()
    rom(tmp_path, *words, "--profile", site(tmp_path, "local", chunk=3), "--out", "near")
    one, other = (load(tmp_path / name / "model.h5")["model"] for name in ("far", "near"))
    mu = one.asks.box.from_unit(np.full(one.asks.p, 0.4))
    for name in (quantity.name for quantity in one.tells):
        here, there = (model.predict(mu).field(name) for model in (one, other))
        np.testing.assert_allclose(here, there, rtol=1e-10)


def test_a_part_beyond_its_time_gets_more_and_finishes(cluster, tmp_path):
    if cluster is slurm:
        pytest.skip("another test says what Slurm does beyond the time")
    (tmp_path / "case.py").write_text(SOLVER + LATE)
    profile = site(tmp_path, cluster, chunk=1, array=4, time="00:00:25", margin=1.0)
    rom(tmp_path, "submit", "collect", "case.py", "--profile", profile, "--n", 2, "--out", "run")
    awaited(cluster, cluster.is_empty)
    assert last(rom(tmp_path, "status", "run", "--json"))["done"] == 1
    rom(tmp_path, "resume", "run")
    records = (tmp_path / "run" / "submissions.jsonl").read_text().splitlines()
    ends = [json.loads(line.split(" ", 1)[1]).get("kinds") for line in records]
    assert ["timeout"] in [list(kinds.values()) for kinds in ends if kinds]
    awaited(cluster, cluster.is_empty)
    assert last(rom(tmp_path, "status", "run", "--json"))["done"] == 2
    once(tmp_path / "run" / "store", 2)


def test_a_solve_beyond_its_memory_gets_more_and_finishes(cluster, tmp_path):
    if cluster is slurm:
        pytest.skip("another test says what Slurm does beyond the memory")
    (tmp_path / "case.py").write_text(SOLVER + FAT)
    profile = site(tmp_path, cluster, chunk=2, memory="1500M")
    rom(tmp_path, "submit", "collect", "case.py", "--profile", profile, "--n", 4, "--out", "run")
    awaited(cluster, cluster.is_empty)
    now = last(rom(tmp_path, "status", "run", "--json"))
    assert 0 < now["done"] < 4, rom(tmp_path, "logs", "run")
    rom(tmp_path, "resume", "run")
    awaited(cluster, cluster.is_empty)
    assert last(rom(tmp_path, "status", "run", "--json"))["done"] == 4, rom(tmp_path, "logs", "run")
    once(tmp_path / "run" / "store", 4)
