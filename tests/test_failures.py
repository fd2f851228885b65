"""Failures told once; what is missing or cannot be written is refused before any work."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

import rom
from rom.archive.models import save_model
from rom.cli.app import app

CASE = """
import numpy as np
from rom.parameters import Box
box = Box(("a",), np.array([0.0]), np.array([1.0]))
def solve(mu):
    with open("solved", "a") as file:
        file.write("x")
    return mu[0] * np.arange(1.0, 6.0)
"""
CODE = "from rom.cli.app import app; app()"


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A case and a model of it, in the working folder."""
    monkeypatch.chdir(tmp_path)
    Path("case.py").write_text(CASE)
    box = rom.Box(("a",), np.array([0.0]), np.array([1.0]))
    mu = np.linspace(0, 1, 9)[:, None]
    space = rom.euclidean(5)
    snapshots = rom.Snapshots(space, mu, np.outer(np.arange(1.0, 6.0), mu))
    basis, _ = rom.pod(snapshots, rank=1)
    save_model("model.h5", rom.field_gp(snapshots, basis, box), None, {})
    return tmp_path


def ask(*arguments):
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["predict", "model.h5", "--mu", "a=2", "--out", "no/a.csv"], "there is no folder no"),
        (["predict", "model.h5", "--mu", "a=2", "--out", "a.zzz"], "a.zzz: unknown format"),
        (["predict", "model.h5", "--mu", "a=2", "--out", "."], "is a folder"),
        (["study", "model.h5", "case.py", "--report", "no/a.html"], "there is no folder no"),
        (["study", "model.h5", "case.py", "--report", "a.pdf"], "a.pdf: unknown suffix; known: .h"),
        (["report", "model.h5", "--out", "no/a.html"], "there is no folder no"),
        (["reduce", "case.py", "--out", "no/m.h5"], "there is no folder no"),
        (["reduce", "case.py", "--out", "m.csv"], "m.csv: unknown suffix; known: .h5"),
        (["export", "model.h5", "--out", "no/a.npz"], "there is no folder no"),
        (["view", "model.h5", "--picture", "a.zzz"], "a.zzz: unknown suffix"),
        (["collect", "case.py", "--out", "case.py"], "case.py is a file"),
        (["collect", "case.py", "--out", "case.py/runs"], "case.py is a file"),
        (["ingest", "a.vtu", "--field", "u=m", "--out", "no/h.h5"], "there is no folder no"),
    ],
)
def test_a_file_that_cannot_be_written_is_refused_before_work(folder, arguments, message):
    result = ask(*arguments)
    assert result.exit_code == 2 and message in result.output
    assert not Path("solved").exists()


@pytest.mark.parametrize(
    ("library", "arguments", "extra"),
    [
        ("pyvista", ["predict", "model.h5", "--mu", "a=2", "--out", "a.vtu"], "view"),
        ("meshio", ["predict", "model.h5", "--mu", "a=2", "--out", "a.xdmf"], "view"),
        ("meshio", ["export", "model.h5", "--out", "a.msh"], "view"),
        ("sklearn", ["reduce", "case.py", "--local", 2, "--rank", 2], "cluster"),
        ("pyvista", ["view", "model.h5", "--mu", "a=2", "--picture", "a.png"], "view"),
    ],
)
def test_a_missing_extra_has_code_5_and_its_line(folder, library, arguments, extra, monkeypatch):
    from rom.plot.rendering import check_rendering

    check_rendering.cache_clear()
    monkeypatch.setitem(sys.modules, library, None)
    result = ask(*arguments)
    assert result.exit_code == 5
    assert f"pip install 'rom-platform[{extra}]'" in result.output
    assert result.output.count("\n") == 1


def test_a_report_needs_no_library_of_curves(folder, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    result = ask("study", "model.h5", "case.py", "--n", 4, "--report", "a.html")
    assert result.exit_code == 0, result.output
    page = Path("a.html").read_text()
    assert page.count("<svg ") == 2 and "<img" not in page and "nan" not in page


def test_a_defect_is_one_line_and_its_traceback_a_file(folder, monkeypatch):
    def fail(*_, **__):
        raise ZeroDivisionError("one over nothing")

    monkeypatch.setattr("rom.cli.predict.read_question", fail)
    result = ask("predict", "model.h5", "--mu", "a=0.5")
    assert result.exit_code == 1
    assert result.output.startswith("error: ZeroDivisionError: one over nothing (")
    assert "Traceback" not in result.output
    kept = Path(result.output.partition("the traceback is in ")[2].partition(";")[0])
    assert "ZeroDivisionError: one over nothing" in kept.read_text()
    kept.unlink()
    assert "Traceback" in ask("predict", "model.h5", "--mu", "a=0.5", "-v").output


def test_an_error_of_a_case_names_its_line(folder):
    Path("bad.py").write_text("box = None\nbad = 1 / 0\n")
    result = ask("collect", "bad.py")
    assert result.exit_code == 1 and f"(in {folder / 'bad.py'}, line 2)" in result.output


@pytest.mark.skipif(os.name != "posix", reason="sends a signal")
def test_an_interrupted_campaign_says_what_is_kept(folder):
    text = CASE.replace("return", "import time; time.sleep(0.5); return")
    Path("case.py").write_text(text)
    command = [sys.executable, "-c", CODE, "collect", "case.py", "--n", "200"]
    process = subprocess.Popen(
        command,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    while not (Path("solved").exists() and len(Path("solved").read_text()) > 1):
        assert process.poll() is None
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 130, said
    assert "stays in the store; run the same command again" in said
    assert "Traceback" not in said
    again = json.loads(ask("inspect", "case.store", "--json").stdout)
    assert again["solved"] >= 1


SCRIPT = """
import sys
from mpi4py import MPI
import numpy as np
import rom
comm = MPI.COMM_WORLD
rows = np.array_split(np.arange(90), comm.Get_size())[comm.Get_rank()]
u = np.random.default_rng(0).standard_normal((90, 8))[rows]
if comm.Get_rank() == 1:
    u[0, 0] = np.nan
rom.pod(rom.Snapshots(rom.euclidean(rows, comm), np.arange(8.0)[:, None], u), tol=1e-3)
"""


def test_a_script_that_fails_on_one_rank_ends(tmp_path):
    (tmp_path / "script.py").write_text(SCRIPT)
    launcher = Path(sys.executable).parent / "mpiexec"
    done = subprocess.run(
        [launcher, "-n", "2", sys.executable, "script.py"],
        cwd=tmp_path, capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert done.returncode != 0
    assert "error: rank 1: BadInput: snapshot 0" in done.stderr
