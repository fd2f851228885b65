"""A pilot: worker processes of one allocation. Whoever dies, hangs or is late, every row is solved
once and the others go on.
"""

import os
import resource
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from command_line import last, words
from command_line import run_rom as rom

from rom.campaign import collect, open_store, pilot, read, verify
from rom.campaign.journal import journals, read_lines
from rom.errors import BadInput, SolveFailed
from rom.space import euclidean

ROOT = Path(__file__).parents[1]
CASE = """
import os, signal, time
import numpy as np
from rom.parameters import Box
box = Box(("a",), np.array([1.0]), np.array([2.0]), ("m",))
def solve(mu):
    with open("begun", "a") as file:
        file.write(repr(float(mu[0])) + chr(10))
    what = open("fault").read() if os.path.exists("fault") else ""
    if "die" in what and 1.4 < mu[0] < 1.5:
        os.kill(os.getpid(), signal.SIGSEGV)
    if "leave" in what and 1.5 < mu[0] < 1.6:
        os._exit(3)
    if "hang" in what and 1.6 < mu[0] < 1.7:
        time.sleep(300)
    if "raise" in what and mu[0] > 1.9:
        raise ArithmeticError("diverged")
    time.sleep(0.02 if "slow" in what else 0.0)
    return mu[0] * np.arange(1.0, 9.0)
"""


@pytest.fixture
def place(tmp_path):
    (tmp_path / "case.py").write_text(CASE)
    return tmp_path


def begun(place):
    return (place / "begun").read_text().split()


def once(store, count):
    """Every row has one record, of one whole sample."""
    keys = [
        r["key"] for path in journals(store) for _, r in read_lines(path) if r["state"] == "done"
    ]
    assert len(keys) == len(set(keys)) == count
    assert all("harmless" in line or "torn and ignored" in line for line in verify(store))


def test_a_run_with_a_pilot_gives_what_a_plain_campaign_gives(place):
    (place / "site.toml").write_text(
        'scheduler = "local"\nchunk = 30\n'
        f"rom = \"{sys.executable} -c 'from rom.cli.app import app; app()'\"\n"
        "[pilot]\nworkers = 2\nlimit = 60\n"
    )
    asked = ["submit", "all", "case.py", "--profile", "site.toml", "--n", 60, "--out", "run"]
    scripts = rom(place, *asked, "--dry-run")
    assert scripts.count("--workers 2 --limit 60") == 1 and "mpiexec" not in scripts
    rom(place, *asked)
    assert last(rom(place, "status", "run", "--json"))["done"] == 60
    assert len(begun(place)) == 60 + 20
    once(place / "run" / "store", 60)
    rom(place, "collect", "case.py", "--n", 60, "--out", "plain")
    one, other = (read(place / name) for name in ("run/store", "plain"))
    np.testing.assert_array_equal(one.mu, other.mu)
    np.testing.assert_array_equal(one.u, other.u)
    assert (
        open_store(place / "run/store").manifest.done.keys()
        == open_store(place / "plain").manifest.done.keys()
    )


def test_workers_killed_at_random_lose_nothing_and_the_others_go_on(place):
    (place / "fault").write_text("slow")
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    job = subprocess.Popen(
        words("collect", "case.py", "--n", 400, "--out", "s", "--workers", 3),
        cwd=place,
        env=environment,
    )
    kills, rng = 0, np.random.default_rng(0)
    while job.poll() is None and kills < 8:
        time.sleep(0.4)
        living = [int(p.name.split("-")[-2]) for p in (place / "s" / "journal").glob("*.jsonl")]
        living = [pid for pid in living if pid != job.pid and Path(f"/proc/{pid}").exists()]
        if living:
            os.kill(int(rng.choice(living)), signal.SIGKILL)
            kills += 1
    assert job.wait(100) == 0 and kills >= 3
    once(place / "s", 400)
    assert 400 <= len(begun(place)) <= 400 + kills and len(set(begun(place))) == 400


def test_solves_that_end_their_process_or_hang_are_recorded_and_the_rest_is_solved(place):
    (place / "fault").write_text("die leave hang raise")
    told = rom(
        place, "collect", "case.py", "--n", 32, "--out", "s", "--workers", 2, "--limit", 1, code=3
    )
    manifest = open_store(place / "s").manifest
    reasons = {r[-1]["mu"][0]: r[-1]["reason"] for r in manifest.failed.values()}
    expected = {
        1.4: "WorkerDied: the solve ended its process by SIGSEGV, 2 times",
        1.5: "WorkerDied: the solve ended its process with exit code 3, 2 times",
        1.6: "TooLong: the solve took longer than its limit of 1 s; its worker was ended",
        1.9: "ArithmeticError: diverged",
    }
    assert {f"{np.floor(10 * a) / 10:.1f} {reason}" for a, reason in reasons.items()} == {
        f"{a} {r}" for a, r in expected.items()
    }
    assert len(manifest.done) == 32 - len(reasons) and all(
        f"({a!r},): {r}" in told for a, r in reasons.items()
    )
    (place / "fault").unlink()
    assert (
        last(
            rom(
                place,
                "collect",
                "case.py",
                "--n",
                32,
                "--out",
                "s",
                "--workers",
                2,
                "--retries",
                1,
                "--json",
            )
        )["failed"]
        == 0
    )
    once(place / "s", 32)


def test_a_pilot_whose_time_is_over_ends_even_where_a_solve_hangs_and_goes_on_later(place):
    (place / "fault").write_text("hang")
    told = rom(
        place,
        "collect",
        "case.py",
        "--n",
        16,
        "--out",
        "s",
        "--workers",
        2,
        "--seconds",
        9,
        "--json",
        code=7,
    )
    seen = last(told)
    assert (
        seen["left"] >= 1
        and seen["solved"] == 16 - seen["left"]
        and "the time is over; run again" in told
    )
    (place / "fault").unlink()
    assert (
        last(rom(place, "collect", "case.py", "--n", 16, "--out", "s", "--workers", 2, "--json"))[
            "skipped"
        ]
        == seen["solved"]
    )
    once(place / "s", 16)


def broken():
    raise BadInput("no licence server in the profile")


def stillborn():
    os.kill(os.getpid(), signal.SIGKILL)


def test_workers_whose_solver_never_stands_end_the_campaign(tmp_path):
    with pytest.raises(BadInput, match="no licence server in the profile"):
        collect(
            lambda mu: mu,
            np.ones((1, 1)),
            tmp_path / "s",
            crew=partial(pilot, broken, 1),
        )
    with pytest.raises(SolveFailed, match=r"3 workers in a row ended before their solver stood"):
        collect(
            lambda mu: mu,
            np.ones((1, 1)),
            tmp_path / "t",
            crew=partial(pilot, stillborn, 1),
        )


@pytest.mark.slow
def test_two_pilots_and_a_plain_job_share_one_store(place):
    (place / "fault").write_text("slow")
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    crews = [("--workers", 2), ("--workers", 1), ()]
    jobs = []
    for k, crew in enumerate(crews):
        own = {**environment, "SLURM_PROCID": str(k), "SLURM_NTASKS": "3"}
        jobs.append(
            subprocess.Popen(
                words("collect", "case.py", "--n", 96, "--out", "s", *crew), cwd=place, env=own
            )
        )
    assert [job.wait(100) for job in jobs] == [0, 0, 0]
    assert sorted(begun(place)) == sorted(set(begun(place))) and len(begun(place)) == 96
    once(place / "s", 96)


@pytest.mark.slow
def test_a_supervisor_that_is_killed_leaves_no_worker_and_no_loss(place):
    (place / "fault").write_text("slow")
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    job = subprocess.Popen(
        words("collect", "case.py", "--n", 64, "--out", "s", "--workers", 2),
        cwd=place,
        env=environment,
    )
    while len(list((place / "s" / "samples").glob("[!.]*"))) < 10:
        time.sleep(0.05)
    pids = [int(path.name.split("-")[-2]) for path in (place / "s" / "journal").glob("*.jsonl")]
    job.kill()
    job.wait()
    deadline = time.monotonic() + 20
    while any(Path(f"/proc/{pid}/cmdline").exists() for pid in pids):
        assert time.monotonic() < deadline, "a worker outlives its supervisor"
        time.sleep(0.1)
    kept = len(open_store(place / "s").manifest.done)
    assert (
        last(rom(place, "collect", "case.py", "--n", 64, "--out", "s", "--workers", 2, "--json"))[
            "skipped"
        ]
        == kept
        >= 8
    )
    once(place / "s", 64)


def test_what_a_pilot_cannot_do_is_named(place, tmp_path, monkeypatch):
    assert "--limit ends the solves of a pilot; give --workers too" in rom(
        place, "collect", "case.py", "--limit", 1, code=2
    )
    crew = partial(pilot, lambda: None, 0)
    with pytest.raises(BadInput, match=r"workers = 0, limit = None: give 1 to 4096 workers"):
        collect(lambda mu: mu, np.ones((1, 1)), tmp_path / "s", crew=crew)
    monkeypatch.setattr(resource, "getrlimit", lambda kind: (100, 100))
    crew = partial(pilot, lambda: None, 20)
    with pytest.raises(
        BadInput, match=r"20 workers need 104 open files, 100 are allowed; raise ulimit -n"
    ):
        collect(lambda mu: mu, np.ones((1, 1)), tmp_path / "s", crew=crew)

    class Comm:
        def Get_rank(self):
            return 0

        def Get_size(self):
            return 1

    with pytest.raises(
        BadInput, match=r"collective, the workers of a pilot solve alone; use ranks"
    ):
        collect(
            lambda mu: mu, np.ones((1, 1)), tmp_path / "t", space=euclidean(1, Comm()), crew=crew
        )
