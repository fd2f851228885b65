"""Batch runs: profiles, parts, scripts in three dialects, the same run on this machine, every
end that a scheduler can report.
"""

import ast
import hashlib
import json
import re
import shlex
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from command_line import last, run_rom
from hypothesis import given
from hypothesis import strategies as st

import rom.batch as batch
from rom.batch import Pilot, Profile, command, queue, read_profile, schedulers
from rom.batch.job import Job
from rom.batch.plan import arrays, format_rows, parse_rows, parts
from rom.batch.script import STOPPED, exit_code_path, script
from rom.batch.submissions import records
from rom.campaign import collect, open_store
from rom.campaign.journal import append_record
from rom.errors import BadInput, DamagedFile, ForeignFile, NotSubmitted

ROOT = Path(__file__).parents[1]
SITE = Profile("slurm", wait=0.0)
CASE = """
import os
import numpy as np
from rom.parameters import Box
box = Box(("a", "b"), np.array([1.0, 1.0]), np.array([2.0, 3.0]), ("m", "s"))
def solve(mu):
    with open(os.environ["SOLVES"], "a") as file:
        file.write(repr(float(mu[0])) + chr(10))
    if os.path.exists("broken") and mu[0] > 1.7:
        raise eval(open("broken").read())
    return mu[0] * np.arange(1.0, 9.0) + mu[1] * np.sin(np.arange(8.0) * mu[0])
"""


def rom(folder, *words, code=0):
    return run_rom(folder, *words, code=code, SOLVES=str(folder / "solves"))


def site_file(folder, **entries):
    start = f"{sys.executable} -c 'from rom.cli.app import app; app()'"
    entries = {"scheduler": "local", "chunk": 4, "rom": start, **entries}
    retry = "".join(f"retry.{kind} = {tries}\n" for kind, tries in entries.pop("retry", {}).items())
    (folder / "site.toml").write_text(
        "".join(f"{k} = {json.dumps(v)}\n" for k, v in entries.items()) + retry
    )
    return folder / "site.toml"


@given(st.sets(st.integers(0, 500), min_size=1))
def test_rows_survive_their_text(rows):
    assert parse_rows(format_rows(tuple(rows)), 501) == sorted(rows)


@given(st.integers(1, 5000), st.integers(1, 50), st.integers(1, 400), st.integers(1, 900))
def test_parts_cover_every_row_once_within_the_limits(count, chunk, array, queued):
    site = replace(SITE, chunk=chunk, array=array, queued=queued)
    cut = parts(range(count), site)
    assert [row for part in cut for row in part] == list(range(count))
    assert len(cut) <= queued and all(len(part) >= min(chunk, len(cut[-1])) for part in cut)
    spans = arrays(len(cut), site)
    assert [k for span in spans for k in span] == list(range(len(cut))) and max(
        map(len, spans)
    ) <= array


@pytest.mark.parametrize(
    "text",
    ["", "a", "1-", "-1", "3-1", "9", "0-9", "1;2", "1,,2", "0x1", "1e3", "99999999999", "$(id)"],
)
def test_rows_that_are_none_are_refused(text):
    with pytest.raises(BadInput, match=r"rows "):
        parse_rows(text, 9)


BAD_PROFILES = {
    "no file": (None, r"No such file.*see hpc/"),
    "no TOML": ("scheduler = slurm", r"is no TOML file"),
    "bytes": (b"\xff\xfe", r"is no TOML file"),
    "large": ("#" * 70000, r"more than 65536 bytes"),
    "deep": ("a = " + "[" * 20000, r"is no TOML file"),
    "no scheduler": ("chunk = 3", r"scheduler"),
    "scheduler": (
        'scheduler = "cron"',
        r"scheduler: Input should be 'gridengine', 'local', 'lsf', 'pbs' or 'slurm'",
    ),
    "entry": ('scheduler = "slurm"\nqueue = "fast"', r"no entry 'queue'; known: scheduler, time"),
    "time": (
        'scheduler = "slurm"\ntime = "1 hour"',
        r"time = '1 hour' is not of the form HH:MM:SS",
    ),
    "short": ('scheduler = "slurm"\ntime = "00:00:30"', r"must be longer than the margin of 60 s"),
    "memory": ('scheduler = "slurm"\nmemory = "lots"', r"memory = 'lots' is not a size"),
    "no memory": ('scheduler = "slurm"\nmemory = "0G"', r"memory = '0G' must be positive"),
    "ranks": ('scheduler = "slurm"\nranks = 0', r"ranks = 0 must be a positive number"),
    "ranks as text": (
        'scheduler = "slurm"\nranks = "many"',
        r"ranks: Input should be a valid integer",
    ),
    "margin": ('scheduler = "slurm"\nmargin = nan', r"margin = nan must not be negative"),
    "injection": (
        'scheduler = "slurm"\npartition = "a; rm -rf /"',
        r"partition = 'a; rm -rf /' is no plain word",
    ),
    "new line": ('scheduler = "slurm"\nrom = "rom\\nreboot"', r"rom = .* must be one line"),
    "module": ('scheduler = "slurm"\nmodules = ["$(id)"]', r"modules = .* is no plain word"),
    "variable": (
        'scheduler = "slurm"\n[environment]\n"A B" = "1"',
        r"environment = 'A B' is no plain word",
    ),
    "retry": (
        'scheduler = "slurm"\n[retry]\nluck = 3',
        r"retry = .*give 0..1000 tries for node, preempted",
    ),
    "pilot's entry": (
        'scheduler = "slurm"\n[pilot]\nranks = 3',
        r"no entry pilot.ranks; known: workers, limit",
    ),
    "no workers": ('scheduler = "slurm"\n[pilot]\nlimit = 3', r"pilot.workers: Field required"),
    "too few workers": (
        'scheduler = "slurm"\n[pilot]\nworkers = 0',
        r"pilot.workers = 0: give 1 to 4096 processes",
    ),
    "negative limit": (
        'scheduler = "slurm"\n[pilot]\nworkers = 2\nlimit = -1',
        r"pilot.limit = -1.0 must not be negative",
    ),
    "pilot as a word": ('scheduler = "slurm"\npilot = "yes"', r"pilot: Input should be"),
    "pilot and ranks": (
        'scheduler = "slurm"\nranks = 4\nchunk = 9\n[pilot]\nworkers = 2',
        r"ranks = 4 beside \[pilot\]",
    ),
    "idle pilot": (
        'scheduler = "slurm"\nnodes = 2\nchunk = 8\n[pilot]\nworkers = 8',
        r"chunk = 8 leaves workers of \[pilot\] idle; give 16",
    ),
    "quality of service": (
        'scheduler = "pbs"\nqos = "high"',
        r"qos = 'high': pbs has no such entry; leave it out, or say it in directives",
    ),
    "parallel environment": (
        'scheduler = "slurm"\nparallel = "mpi"',
        r"parallel = 'mpi': slurm has no such entry",
    ),
    "nodes": (
        'scheduler = "gridengine"\nnodes = 2',
        r"nodes = 2: gridengine has no such entry",
    ),
    "slots": (
        'scheduler = "gridengine"\nranks = 2\ncpus = 3',
        r"6 slots without a parallel environment; give parallel.*qconf -spl",
    ),
}


@pytest.mark.parametrize("name", BAD_PROFILES)
def test_profiles_that_mean_nothing_are_named(name, tmp_path):
    text, message = BAD_PROFILES[name]
    path = tmp_path / "site.toml"
    if text is not None:
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(BadInput, match=message) as caught:
        read_profile(path)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize("path", sorted((ROOT / "hpc").glob("*.toml")), ids=lambda path: path.stem)
def test_the_profiles_that_are_shipped_are_valid(path):
    site = read_profile(path)
    job = Job(
        "rom-1",
        "/tmp",
        "/tmp/log",
        (("collect", "case.py", "--rows", "{rows}"),),
        site.ranks,
        rows="/tmp/rows",
        count=3,
        seconds=60,
    )
    text = script(job, site)
    done = subprocess.run(
        ["bash", "-n"], input=text, capture_output=True, text=True, timeout=20, check=False
    )
    assert done.returncode == 0, done.stderr


JOB = Job(
    "rom-x-1-collect-0-0", "/home/me/my runs", "/logs/1",
    (("collect", "a b.py", "--rows", "{rows}", "--set", "n='1'"),), 8, 10, 5,
    ("17", "18"), "/run/rows", 5400, 8192,
)  # fmt: skip
WORDS = {
    "slurm": [
        "#SBATCH --array=0-4%2",
        "#SBATCH --time=01:30:00",
        "#SBATCH --mem=4096M",
        "#SBATCH --ntasks=8",
        "#SBATCH --nodes=2",
        "#SBATCH --partition=long",
        "#SBATCH --account=me",
        "#SBATCH --dependency=afterany:17:18",
        "#SBATCH --requeue",
        "#SBATCH --exclusive",
        "part=$((${SLURM_ARRAY_TASK_ID:-0} + 10))",
        "scontrol requeue",
    ],
    "pbs": [
        "#PBS -J 0-4%2",
        "#PBS -l walltime=01:30:00",
        "#PBS -l select=2:ncpus=4:mpiprocs=4:mem=4096mb",
        "#PBS -q long",
        "#PBS -A me",
        "#PBS -W depend=afterany:17:18",
        "part=$((${PBS_ARRAY_INDEX:-0} + 10))",
    ],
    "lsf": [
        '#BSUB -J "rom-x-1-collect-0-0[1-5]%2"',
        "#BSUB -W 1:30",
        "#BSUB -n 8",
        "#BSUB -M 8192MB",
        "#BSUB -q long",
        "#BSUB -P me",
        '#BSUB -w "ended(17) && ended(18)"',
        "part=$(($((${LSB_JOBINDEX:-1} - 1)) + 10))",
    ],
    "gridengine": [
        "#$ -t 1-5",
        "#$ -tc 2",
        "#$ -l h_rt=01:30:00",
        "#$ -l h_vmem=1024M",
        "#$ -pe mpi 8",
        "#$ -q long",
        "#$ -P me",
        "#$ -hold_jid 17,18",
        "#$ -r y",
        '#$ -wd "/home/me/my runs"',
        '#$ -o "/logs/1-$TASK_ID.out"',
        "exit 99",
        "#$ --exclusive",
        "part=$(($((${SGE_TASK_ID:-1} - 1)) + 10))",
    ],
}
OWN_ENTRIES = {"gridengine": {"nodes": 1, "parallel": "mpi"}}  # fmt: skip


@pytest.mark.parametrize("kind", WORDS)
def test_scripts_say_what_the_site_wants_in_its_words(kind):
    entries = {"nodes": 2, **OWN_ENTRIES.get(kind, {})}
    site = Profile(
        kind, ranks=8, launch="srun -n {ranks}", partition="long", account="me",
        concurrent=2, modules=("mpi/4",), container="/c.sif",
        bind=("/scratch",), setup=("ulimit -c 0",), directives=("--exclusive",),
        environment={"A": "it's"}, rom="rom", **entries,
    )  # fmt: skip
    text = script(JOB, site)
    for line in [
        *WORDS[kind],
        "module load mpi/4",
        "ulimit -c 0",
        """export A='it'"'"'s'""",
        "cd '/home/me/my runs'",
    ]:
        assert line in text, text
    assert (
        "srun -n 8 apptainer exec --bind /scratch /c.sif rom collect 'a b.py' "
        """--rows "$rows" --set 'n='"'"'1'"'"''""" in text
    )
    done = subprocess.run(
        ["bash", "-n"], input=text, capture_output=True, text=True, timeout=20, check=False
    )
    assert done.returncode == 0, done.stderr


PILOT = {
    "slurm": ["#SBATCH --nodes=2", "#SBATCH --ntasks=2", "#SBATCH --ntasks-per-node=1",
        "#SBATCH --cpus-per-task=16", "#SBATCH --mem=4096M",
              "export SRUN_CPUS_PER_TASK=16"],
    "pbs": ["#PBS -l select=2:ncpus=16:mpiprocs=1:mem=4096mb"],
    "lsf": ["#BSUB -n 32", '#BSUB -R "span[ptile=16]"'],
    "gridengine": ["#$ -pe mpi 16", "#$ -l h_vmem=512M"],
}  # fmt: skip


@pytest.mark.parametrize("kind", PILOT)
def test_a_pilot_has_one_supervisor_on_each_node_and_room_for_its_workers(kind):
    entries = {"nodes": 2, **OWN_ENTRIES.get(kind, {})}
    site = Profile(kind, cpus=2, chunk=100, pilot=Pilot(8, 60.0), **entries)
    text = script(replace(JOB, ranks=site.processes, cpus=site.threads), site)
    for line in [*PILOT[kind], "export OMP_NUM_THREADS=2"]:
        assert line in text.splitlines(), text
    assert ("mpiexec -n 2 " in text) == (site.nodes == 2) and site.crew == (
        "--workers",
        "8",
        "--limit",
        "60",
    )


def test_a_run_on_this_machine_gives_what_the_commands_give(tmp_path):
    (tmp_path / "case.py").write_text(CASE)
    site = site_file(tmp_path)
    scripts = rom(
        tmp_path,
        "submit",
        "all",
        "case.py",
        "--profile",
        site,
        "--n",
        10,
        "--out",
        "run",
        "--tol",
        "1e-6",
        "--dry-run",
    )
    assert scripts.count("#!/bin/bash") == 3 and not (tmp_path / "run" / "store").exists()
    jobs = last(
        rom(
            tmp_path,
            "submit",
            "all",
            "case.py",
            "--profile",
            site,
            "--n",
            10,
            "--out",
            "run",
            "--tol",
            "1e-6",
            "--json",
        )
    )["jobs"]
    assert [job.split(":")[-1] for job in jobs] == ["0,0,0", "0", "0"]
    now = last(rom(tmp_path, "status", "run", "--json"))
    assert (now["planned"], now["done"], now["unfinished"], now["results"]) == (
        10,
        10,
        0,
        ["model.h5", "report.html"],
    )
    assert len((tmp_path / "solves").read_text().splitlines()) == 10 + 20
    rom(tmp_path, "collect", "case.py", "--n", 10, "--out", "plain")
    rom(tmp_path, "reduce", "case.py", "--store", "plain", "--tol", "1e-6", "--out", "plain.h5")
    mine, theirs = (
        last(rom(tmp_path, "predict", f, "--mu", "1.5,2", "--json"))["answers"]
        for f in ("run/model.h5", "plain.h5")
    )
    assert mine == theirs
    studied = last((tmp_path / "run" / "logs" / "1-study.out").read_text())
    plain = last(rom(tmp_path, "study", "case.py", "plain.h5", "--json"))
    assert {k: v for k, v in studied.items() if "error" in k} == {
        k: v for k, v in plain.items() if "error" in k
    }
    told = rom(
        tmp_path,
        "submit",
        "all",
        "case.py",
        "--profile",
        site,
        "--n",
        10,
        "--out",
        "run",
        "--tol",
        "1e-6",
        code=2,
    )
    assert "collect was submitted into run before" in told and "rom resume goes on" in told
    told = rom(
        tmp_path,
        "submit",
        "all",
        "case.py",
        "--profile",
        site,
        "--n",
        11,
        "--out",
        "run",
        "--tol",
        "1e-6",
        code=2,
    )
    assert "run holds another run, of 10 other parameters" in told
    assert last(rom(tmp_path, "resume", "run", "--json"))["jobs"] == []
    assert "==> 1-study.out <==" in rom(tmp_path, "logs", "run")


@pytest.mark.parametrize(
    ("error", "tries", "kind"),
    [("OSError('no licence')", 2, "transient"), ("ZeroDivisionError('diverged')", 0, "solver")],
)
def test_failures_are_tried_again_as_their_kind_allows(error, tries, kind, tmp_path):
    (tmp_path / "case.py").write_text(CASE)
    (tmp_path / "broken").write_text(error)
    site = site_file(tmp_path, chunk=10, retry={"transient": 2})
    rom(tmp_path, "submit", "collect", "case.py", "--profile", site, "--n", 8, "--out", "run")
    bad = 8 - len(open_store(tmp_path / "run" / "store").manifest.done)
    assert bad >= 2
    begun = len((tmp_path / "solves").read_text().splitlines())
    for _ in range(tries):
        rom(tmp_path, "resume", "run")
    rom(tmp_path, "resume", "run")
    assert len((tmp_path / "solves").read_text().splitlines()) == begun + tries * bad
    told = rom(tmp_path, "status", "run", "--json")
    assert last(told)["paused"] == bad and f"(retry.{kind})" in told
    why = {"transient": "a connection failed, which is not tried more than 2 times again",
           "solver": "its solve failed, which is not tried again"}[kind]  # fmt: skip
    assert why in told and "then rom resume run --force" in told
    (tmp_path / "broken").unlink()
    rom(tmp_path, "resume", "run", "--force")
    assert last(rom(tmp_path, "status", "run", "--json"))["done"] == 8


def test_resume_with_another_profile_follows_it(tmp_path):
    (tmp_path / "case.py").write_text(CASE)
    (tmp_path / "broken").write_text("OSError('no licence')")
    site = site_file(tmp_path, chunk=10, retry={"transient": 0})
    rom(tmp_path, "submit", "collect", "case.py", "--profile", site, "--n", 8, "--out", "run")
    bad = 8 - last(rom(tmp_path, "status", "run", "--json"))["done"]
    assert bad >= 2 and last(rom(tmp_path, "resume", "run", "--json"))["jobs"] == []
    (tmp_path / "broken").unlink()
    (tmp_path / "other").mkdir()
    patient = site_file(tmp_path / "other", chunk=1, retry={"transient": 3})
    (job,) = last(rom(tmp_path, "resume", "run", "--profile", patient, "--json"))["jobs"]
    assert job.split(":")[-1] == ",".join("0" * bad), (
        "one part for each row, as the other profile says"
    )
    assert last(rom(tmp_path, "status", "run", "--json"))["done"] == 8
    wrong = tmp_path / "wrong.toml"
    wrong.write_text('scheduler = "cron"')
    assert "scheduler: Input should be 'gridengine', 'local'" in rom(
        tmp_path, "resume", "run", "--profile", wrong, code=2
    )


def test_a_walltime_that_is_over_stops_before_a_solve_and_resume_goes_on(tmp_path):
    (tmp_path / "case.py").write_text(
        CASE.replace("return mu", "import time; time.sleep(0.4)\n    return mu")
    )
    told = rom(
        tmp_path, "collect", "case.py", "--n", 8, "--out", "s", "--seconds", "1.5", "--json", code=7
    )
    first = last(told)
    assert (
        1 <= first["solved"] <= 3
        and first["left"] == 8 - first["solved"]
        and "the time is over; run again" in told
    )
    assert rom(tmp_path, "collect", "case.py", "--n", 8, "--out", "s", "--json")
    assert len((tmp_path / "solves").read_text().splitlines()) == 8
    told = rom(tmp_path, "collect", "case.py", "--n", 16, "--out", "s", "--seconds", "0.1", code=2)
    assert "do not suffice for one solve; give more time" in told


def test_a_stage_that_failed_is_named_with_its_exit_code(tmp_path):
    (tmp_path / "case.py").write_text(CASE)
    words = ["submit", "all", "case.py", "--profile", site_file(tmp_path), "--n", 6, "--out", "run"]
    told = rom(tmp_path, *words, "--train", "--memory lots", "--tests", 2)
    assert re.search(r"collect-0-0 part 2 of 2 ended \(exit 0\)", told)
    assert re.search(r"-train ended \(exit 2\): .*run/logs/1-train.out", told)
    told = rom(tmp_path, "status", "run", "--json", code=1)
    stages = last(told)["stages"]
    assert stages["collect"] == "done" and stages["train"] == "failed (exit 2)"
    assert stages["study"].startswith("failed (exit ")
    assert "train failed (exit 2): rom logs run says why; correct it, then rom resume run" in told


def test_a_job_that_ended_without_result_or_code_has_failed(run):
    made, played = run
    solved(made, range(6))
    ((number, _),) = batch.submit_stage(made, "reduce")
    for state, stage in (("PENDING", "waiting"), ("RUNNING", "running")):
        played["states"][number] = [state]
        assert batch.read_status(made.folder).stages == {"train": stage}
    played["states"][number] = []
    now = batch.read_status(made.folder)
    assert now.broken == ("train",) and now.stages["train"].startswith("failed (killed")
    (made.folder / "model.h5").touch()
    assert batch.read_status(made.folder).stages == {"train": "done"}


def test_a_campaign_whose_jobs_cannot_run_its_case_has_failed(run):
    made, played = run
    ((number, text),) = batch.submit_stage(made, "collect")
    assert 'echo $code > "$exit_code"' in text
    log = made.folder / "logs" / "1-collect-0-0"
    for part, code in enumerate((0, STOPPED, 2)):
        Path(exit_code_path(str(log), part)).write_text(f"{code}\n")
    played["states"][number] = []
    solved(made, [0, 1, 2])
    assert batch.read_status(made.folder).stages == {"collect": "failed (exit 2)"}
    solved(made, [3, 4, 5])
    assert batch.read_status(made.folder).stages == {"collect": "done"}


def test_a_run_of_an_older_version_is_read_and_goes_on(run):
    made, _ = run
    solved(made, range(6))
    append_record(
        made.folder / "submissions.jsonl",
        {"state": "begun", "round": 1, "name": f"rom-{made.tag}-1-reduce", "time": 0.0,
         "stage": "reduce", "parts": []},
    )  # fmt: skip
    ((_, text),) = batch.resume_run(made)
    assert "train case.py --kind auto --store" in text
    path = made.folder / "run.json"
    entries = json.loads(path.read_bytes().split(b"\n", 2)[2])
    del entries["kind"], entries["site"]["parallel"]
    old = json.dumps(entries).encode()
    digest = hashlib.sha256(old).hexdigest().encode()
    path.write_bytes(b"rom run 1\n" + digest + b"\n" + old)
    assert batch.open_run(made.folder).kind == "auto"


@pytest.fixture
def run(tmp_path, monkeypatch):
    """A run of six rows in a queue that this test plays."""
    mus = np.arange(6.0)[:, None] + 1
    site = replace(SITE, chunk=2, retry={"node": 1, "unknown": 1})
    made = batch.create_run(
        batch.Run(tmp_path / "run", "case.py", str(tmp_path), (), ("a",), mus, site)
    )
    played = {"states": {}, "submitted": [], "refuse": 0, "names": {}, "cancelled": []}

    def asked(words, text="", seconds=60.0):
        if words[0] == "sbatch":
            if played["refuse"]:
                played["refuse"] -= 1
                return (
                    "sbatch: error: Batch job submission failed: "
                    "Job violates accounting/QOS policy",
                    1,
                )
            number = str(100 + len(played["submitted"]))
            played["submitted"].append(Path(words[-1]).read_text())
            played["states"][number] = []
            return number + "\n", 0
        if words[0] == "scancel":
            played["cancelled"] += words[2:]
            return "", 0
        if "--name" in words:
            return played["names"].get(words[words.index("--name") + 1], ""), 0
        if played["states"] is None:
            return "slurm_load_jobs error: Unable to contact slurm controller (connect failure)", 1
        wanted = words[-1].split(",")
        return "".join(
            f"{j} {k} {s}\n" for j in wanted for k, s in enumerate(played["states"].get(j, []))
        ), 0

    monkeypatch.setattr(command, "run_command", asked)
    return made, played


def solved(run, rows):
    collect(lambda mu: mu * np.ones(3), run.mus, run.folder / "store", only=np.array(rows))


def rows_submitted(run, text):
    line = next(line for line in text.splitlines() if line.startswith("rows="))
    listing = Path(shlex.split(line.removesuffix(")"))[-1])
    return [parse_rows(line, 99) for line in listing.read_text().splitlines()]


ENDS = {  # state in the queue, words in the log -> kind, growth of time and memory
    "NODE_FAIL": ("node", 1), "BOOT_FAIL": ("node", 1), "PREEMPTED": ("preempted", 1),
    "TIMEOUT": ("timeout", 2), "DEADLINE": ("timeout", 2),
    "OUT_OF_MEMORY": ("memory", 2), "CANCELLED": ("cancelled", 1), "FAILED": ("unknown", 1),
    "COMPLETED": ("unknown", 1),
    "REVOKED": ("preempted", 1), "forgotten": ("unknown", 1),
    "log: DUE TO TIME LIMIT": ("timeout", 2), "log: oom-kill": ("memory", 2),
    "exit code 7": ("stopped", 1),
}  # fmt: skip


@pytest.mark.parametrize("end", ENDS)
def test_every_end_resubmits_only_what_is_unfinished(end, run):
    made, played = run
    ((number, _),) = batch.submit_stage(made, "collect")
    played["states"][number] = ["RUNNING", "RUNNING", "PENDING"]
    solved(made, [0, 1, 4])
    assert batch.resume_run(made) == [] and batch.read_status(made.folder).unfinished == (2, 3, 5)
    kind, growth = ENDS[end]
    played["states"][number] = ["COMPLETED", end, end] if end.isupper() else []
    for part in (1, 2) if end.startswith("log") else ():
        (made.folder / "logs" / f"1-collect-0-0-{part}.out").write_text(
            f"slurmstepd: error: {end}\n"
        )
    for part in (1, 2) if end.startswith("exit") else ():
        log = made.folder / "logs" / "1-collect-0-0"
        Path(exit_code_path(str(log), part)).write_text(f"{STOPPED}\n")
    ((again, text),) = batch.resume_run(made)
    assert rows_submitted(made, text) == [[2, 3], [5]]
    assert (
        f"--time={'02' if growth == 2 else '01'}:00:00" in text
        and f"--mem={4096 * growth}M" in text
    )
    ((*ended,),) = [r["ended"] for r in records(made) if r["job"] == number]
    assert ended == [("2-3", kind), ("5", kind)]
    played["states"][again] = ["PENDING", "PENDING"]
    assert batch.resume_run(made) == []
    solved(made, [2, 3, 5])
    played["states"][again] = []
    assert batch.resume_run(made) == [] and batch.read_status(made.folder).unfinished == ()


def test_a_dead_part_is_submitted_again_while_the_rest_of_its_array_goes_on(run):
    made, played = run
    ((number, _),) = batch.submit_stage(made, "collect")
    solved(made, [2])
    played["states"][number] = ["RUNNING", "OUT_OF_MEMORY", "PENDING"]
    ((again, text),) = batch.resume_run(made)
    assert rows_submitted(made, text) == [[3]] and "--mem=8192M" in text
    played["states"][again] = ["PENDING"]
    assert batch.resume_run(made) == []
    played["states"][number] = ["RUNNING", "OUT_OF_MEMORY", "NODE_FAIL"]
    ((_, text),) = batch.resume_run(made)
    assert rows_submitted(made, text) == [[4, 5]]


ROWS = {
    "slurm": ("17 0 RUNNING\n17 2 TIMEOUT\n18 N/A PENDING\n",
        {"17": {0: "running", 2: "timeout"}, "18": {0: "waiting"}}),
    "lsf": ("17 1 RUN\n17 3 EXIT\n18 0 PEND\n",
        {"17": {0: "running", 2: "unknown"}, "18": {0: "waiting"}}),
    "pbs": (
        "Job id  Name  User  Time Use S Queue\n17[].pbs  a  me  0 B q\n17[0].pbs  a  me  0 R "
        "q\n17[2].pbs  a  me  0 X q\n18.pbs  b  me  0 Q q\n",
        {"17[].pbs": {-1: "running", 0: "running", 2: "unknown"}, "18.pbs": {0: "waiting"}},
    ),
    "gridengine": (
        "<job_info><queue_info>"
        "<job_list><JB_job_number>17</JB_job_number><state>Rr</state><tasks>1</tasks></job_list>"
        "</queue_info><job_info>"
        "<job_list><JB_job_number>17</JB_job_number><state>Rq</state><tasks>3</tasks></job_list>"
        "<job_list><JB_job_number>17</JB_job_number><state>qw</state><tasks>5-9:2,10</tasks>"
        "</job_list>"
        "<job_list><JB_job_number>17</JB_job_number><state>Eqw</state><tasks>4</tasks></job_list>"
        "<job_list><JB_job_number>18</JB_job_number><state>hqw</state></job_list>"
        "<job_list><JB_job_number>19</JB_job_number><state>r</state></job_list>"
        "</job_info></job_info>",
        {
            "17": {
                0: "running", 2: "waiting", 3: "node",
                **dict.fromkeys((4, 6, 8, 9), "waiting"),
            },
            "18": {0: "waiting"},
        },
    ),
}  # fmt: skip
ACCOUNTS = """
==============================================================
jobnumber    17
taskid       {task}
failed       {failed}
exit_status  {code}
ru_wallclock {seconds}s
category     -l h_rt=20,h_vmem=300M
"""


def test_the_accounts_say_how_parts_ended_that_left_the_queue(monkeypatch):
    limit = "37  : qmaster enforced h_rt, h_cpu, or h_vmem limit"
    rows = [
        (1, "25  : rescheduling", 99, 1),
        (1, 0, 0, 6),
        (2, limit, "137 (Killed)", 21),
        (3, limit, "137 (Killed)", 5),
        (4, "100 : assumedly after job", "137 (Killed)", 5),
        (5, 0, 0, 1),
    ]
    accounts = "".join(
        ACCOUNTS.format(task=task, failed=failed, code=code, seconds=seconds)
        for task, failed, code, seconds in rows
    )
    queue_ = (
        "<job_info><job_list><JB_job_number>17</JB_job_number><state>Rq</state>"
        "<tasks>5</tasks></job_list></job_info>"
    )

    def answer(words, text="", seconds=60.0):
        if words[0] == "qstat":
            return queue_, 0
        return (accounts, 0) if words[-1] == "17" else (f"error: job id {words[-1]} not found", 1)

    monkeypatch.setattr(command, "run_command", answer)
    assert queue.job_states(["17", "18"], Profile("gridengine")) == {
        "17": {0: "done", 1: "timeout", 2: "memory", 3: "unknown", 4: "waiting"}
    }


@pytest.mark.parametrize("scheduler", ["lsf", "gridengine"])
def test_the_log_of_a_part_is_found_where_arrays_count_from_one(scheduler, tmp_path, monkeypatch):
    mus = np.arange(4.0)[:, None]
    site = Profile(scheduler, chunk=2, retry={"unknown": 5})
    run = batch.create_run(batch.Run(tmp_path, "case.py", str(tmp_path), (), ("a",), mus, site))
    answers = {"bsub": "Job <7>", "qsub": "7.1-2:1", "qstat": "<job_info/>"}
    monkeypatch.setattr(
        command, "run_command", lambda words, *_, **__: (answers.get(words[0], ""), 0)
    )
    ((_, text),) = batch.submit_stage(run, "collect")
    assert "-%I.out" in text or "-$TASK_ID.out" in text
    for task, words in ((1, "oom-kill"), (2, "all is well")):
        (tmp_path / "logs" / f"1-collect-0-0-{task}.out").write_text(words)
    assert batch.read_logs(tmp_path, part=0) == {"1-collect-0-0-1.out": "oom-kill"}
    batch.resume_run(run)
    ends = [record["ended"] for record in records(run) if record["stage"] == "collect"]
    assert ends[0] == [("0-1", "memory"), ("2-3", "unknown")]


@pytest.mark.parametrize("scheduler", ROWS)
def test_every_part_of_an_array_has_its_state(scheduler, monkeypatch):
    said, expected = ROWS[scheduler]
    monkeypatch.setattr(
        command,
        "run_command",
        lambda words, text="", seconds=60.0: ("", 1) if words[0] == "qacct" else (said, 0),
    )
    assert queue.job_states(list(expected), Profile(scheduler)) == expected


@pytest.mark.parametrize(
    "waiting",
    ["PENDING", "REQUEUED", "REQUEUE_HOLD", "SUSPENDED", "CONFIGURING", "COMPLETING", "STOPPED"],
)
def test_jobs_that_may_still_run_are_left_alone(waiting, run):
    made, played = run
    ((number, _),) = batch.submit_stage(made, "collect")
    played["states"][number] = [waiting] * 3
    assert batch.resume_run(made) == []
    with pytest.raises(BadInput, match=r"collect was submitted into .* before.*rom resume"):
        batch.submit_stage(made, "all")


def test_a_node_that_fails_too_often_pauses_its_rows(run):
    made, played = run
    batch.submit_stage(made, "collect")
    for expected in (1, 0):
        for number in played["states"]:
            played["states"][number] = ["NODE_FAIL"] * 3
        assert len(batch.resume_run(made)) == expected
    assert set(batch.read_status(made.folder).paused.values()) == {"node"}
    assert len(batch.resume_run(made, force=True)) == 1


def test_a_refused_submission_is_tried_again_and_then_named(run):
    made, played = run
    played["refuse"] = 4
    assert len(batch.submit_stage(made, "collect")) == 1
    played["refuse"], played["states"]["100"] = 5, []
    with pytest.raises(NotSubmitted, match=r"refused 5 times: .*QOS policy; run rom resume once"):
        batch.resume_run(made)
    assert len(batch.resume_run(made)) == 1


def test_a_job_whose_number_was_lost_is_found_by_its_name(run):
    made, played = run
    batch.submit_stage(made, "collect")
    journal = made.folder / "submissions.jsonl"
    first = journal.read_bytes().splitlines(keepends=True)[0]
    journal.write_bytes(first)
    name = json.loads(first.partition(b" ")[2])["name"]
    played["names"][name], played["states"]["100"] = "100\n", ["RUNNING"] * 3
    assert batch.resume_run(made) == [] and list(batch.read_status(made.folder).jobs) == ["100"]
    assert batch.cancel_run(made.folder) == ["100"] == played["cancelled"]


def test_a_controller_that_is_down_changes_nothing(run):
    made, played = run
    batch.submit_stage(made, "collect")
    played["states"] = None
    before = (made.folder / "submissions.jsonl").read_bytes()
    for ask in (
        batch.resume_run,
        lambda made: batch.read_status(made.folder),
        lambda made: batch.cancel_run(made.folder),
    ):
        with pytest.raises(
            NotSubmitted, match=r"squeue does not answer .*Unable to contact.*the jobs go on"
        ):
            ask(made)
    assert (made.folder / "submissions.jsonl").read_bytes() == before


def test_later_stages_wait_for_every_array(run):
    made, played = run
    made = replace(made, site=replace(made.site, chunk=1, array=4))
    jobs = batch.submit_stage(made, "all")
    assert [number for number, _ in jobs] == ["100", "101", "102", "103"]
    assert (
        "--array=0-3" in jobs[0][1]
        and "--array=0-1" in jobs[1][1]
        and "_ID:-0} + 4))" in jobs[1][1]
    )
    assert (
        "--dependency=afterany:100:101" in jobs[2][1] and "--dependency=afterany:102" in jobs[3][1]
    )
    played["states"].update(
        {"100": ["NODE_FAIL"], "101": [], "102": ["PENDING"], "103": ["PENDING"]}
    )
    solved(made, [0, 1, 2, 3, 4])
    again = batch.resume_run(made)
    assert played["cancelled"] == ["102", "103"]
    assert (
        rows_submitted(made, again[0][1]) == [[5]]
        and "afterany:104" in again[1][1]
        and "afterany:105" in again[2][1]
    )


@pytest.mark.parametrize("name", ["flip", "cut", "empty", "foreign", "link"])
def test_a_run_file_that_was_changed_is_refused(name, run):
    made, _ = run
    path = made.folder / "run.json"
    whole = path.read_bytes()
    spoiled = {
        "flip": whole.replace(b"case.py", b"evil.py"),
        "cut": whole[:-5],
        "empty": b"",
        "foreign": b"{}",
        "link": whole,
    }[name]
    path.unlink()
    if name == "link":
        (made.folder / "elsewhere").write_bytes(whole)
        path.symlink_to("elsewhere")
    else:
        path.write_bytes(spoiled)
    with pytest.raises((DamagedFile, ForeignFile, BadInput), match=r"run"):
        batch.open_run(made.folder)


def test_every_state_that_slurm_has_is_known():
    from qtoolkit.io.slurm import SlurmState

    from rom.batch.schedulers.slurm import STATES

    assert {state.name for state in SlurmState} <= set(STATES)


def test_a_folder_that_a_batch_script_cannot_name_is_refused():
    job = Job("rom-x-1-reduce", "/a", "/a/$$b/log", (("reduce",),), seconds=60, mebibytes=100)
    with pytest.raises(
        BadInput, match=r"qout_path = '/a/\$\$b/log\.out' holds \$\$.*give another folder"
    ):
        script(job, SITE)


NEW_SCHEDULER = """
from rom.batch import command
from rom.batch.schedulers import Scheduler

def submit(path, job):
    output, code = command.run_command(["sub", str(path)])
    return (output.strip() if code == 0 else None), output

SCHEDULER = Scheduler(
    options=lambda job, site: [f"#NEW time={job.seconds}"],
    submit=submit,
    states=lambda jobs: {job: {0: "running"} for job in jobs},
    cancel=lambda jobs: command.run_command(["end", *jobs]),
    comment="#NEW",
    array_index="$PART",
)
"""


def test_a_scheduler_is_added_by_one_file(run, tmp_path, monkeypatch):
    made, _ = run
    (tmp_path / "more").mkdir()
    (tmp_path / "more" / "fresh.py").write_text(NEW_SCHEDULER)
    monkeypatch.setattr(schedulers, "__path__", [*schedulers.__path__, str(tmp_path / "more")])
    words = []
    monkeypatch.setattr(command, "run_command", lambda call: (words.append(call[0]) or "5\n", 0))
    path = tmp_path / "fresh.toml"
    path.write_text('scheduler = "fresh"\nchunk = 6\ndirectives = ["fast"]')
    made = replace(made, site=read_profile(path))
    ((number, text),) = batch.submit_stage(made, "collect")
    assert number == "5" and "part=$(($PART + 0))" in text
    assert text.splitlines()[1:3] == ["#NEW time=3600", "#NEW fast"]
    assert queue.job_states(["5"], made.site) == {"5": {0: "running"}}
    queue.cancel_jobs(["5", "local:x:0"], made.site)
    assert words == ["sub", "end"]


def test_no_other_file_names_a_scheduler():
    folder = ROOT / "rom" / "batch" / "schedulers"
    names = {path.stem for path in folder.glob("*.py")} - {"__init__", "local"}
    assert {*names, "local"} == set(schedulers.scheduler_names())
    for path in (ROOT / "rom").rglob("*.py"):
        if path.parent == folder and path.stem != "__init__":
            continue
        code = ast.parse(path.read_text())
        texts = {node.value for node in ast.walk(code) if isinstance(node, ast.Constant)}
        texts -= {ast.get_docstring(code, clean=False)}
        texts -= {text for text in texts if isinstance(text, str) and "Example:" in text}
        for name in names:
            assert not any(name in str(text).lower() for text in texts), f"{path} names {name}"
