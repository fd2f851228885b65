"""The command line: a user's own solver from samples to a studied model; exit codes; ranks."""

import csv
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from hpc import check_machine
from rom.archive.nouns import load, save
from rom.cli.app import app
from rom.cli.tables import format_number, plain_value
from rom.io.files import read_file

BIN = Path(sys.executable).parent
ROOT = Path(__file__).parents[1]
OWN = ROOT / "cases" / "own_solver.py"
CLEAN = {k: v for k, v in os.environ.items() if not k.startswith(("PMI", "OMPI_", "MPI_LOCAL"))}

SHAKY = """
import numpy as np
from rom.parameters import Box
box = Box(("a",), np.array([0.0]), np.array([1.0]))
def solve(mu):
    if mu[0] > 0.5:
        raise RuntimeError("no luck")
    return np.array([mu[0], 1.0, 2.0])
"""
SETTINGS = """
import numpy as np
from rom.parameters import Box
from rom.problem import Problem
from functools import partial
def cost(n, factor, mu):
    return factor * mu[0] * np.arange(1.0, n + 1) + mu[0] ** 2
def top(u, mu):
    return {"top [m]": float(u[-1])}
def problem(
    n: int = 4, factor: float = 1.0, wild: bool = False, name: str | None = None
) -> Problem:
    box = Box(("a",), np.array([1.0]), np.array([2.0]), ("m",))
    return Problem(partial(cost, n, factor), box, outputs=top)
"""
MAIN = """
import numpy as np
from rom.errors import BadInput
from rom.cli.launch import run
def main(size: int = 3, fail: int = -1, kind: str = "input", comm=None) -> dict:
    "A case."
    rank = 0 if comm is None else comm.Get_rank()
    if rank == fail:
        raise BadInput("size is wrong; give 3") if kind == "input" else ValueError("boom")
    if comm is not None:
        comm.Barrier()
    return {"size": np.int64(size), "ok": np.bool_(True), "error": np.float64(1e-5),
            "none": float("nan"),
            "ranks": 1 if comm is None else comm.Get_size()}
if __name__ == "__main__":
    run(main, {"error": "K"})
"""


def call(folder, *command, code=0, ranks=0):
    """stdout of a command run in a folder; the exit code must be `code`."""
    head = [BIN / "mpiexec", "-n", str(ranks)] if ranks else []
    done = subprocess.run(
        [*map(str, [*head, *command])],
        cwd=folder,
        env=CLEAN,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == code, done.stdout + done.stderr
    assert "Traceback" not in done.stderr or code == 1, done.stderr
    return done.stdout if code == 0 else done.stdout + done.stderr


def rom(folder, *options, **more):
    return call(folder, BIN / "rom", *options, **more)


def refused(folder, monkeypatch, options):
    """What the command says in this process before it exits with 2.

    Quicker than a process of its own.
    """
    monkeypatch.chdir(folder)
    done = CliRunner().invoke(app, [str(option) for option in options])
    assert done.exit_code == 2, done.output
    return " ".join(done.output.replace("│", "").split())


def last(text):
    return json.loads(text.strip().splitlines()[-1])


@pytest.fixture(scope="module")
def chain(tmp_path_factory):
    """The own solver collected and reduced."""
    folder = tmp_path_factory.mktemp("chain")
    first = last(rom(folder, "collect", OWN, "--n", 32, "--out", "runs", "--json"))
    made = last(
        rom(
            folder, "reduce", OWN, "--store", "runs", "--tol", "1e-8", "--out", "model.h5", "--json"
        )
    )
    return folder, first, made


def test_own_solver_is_ten_lines():
    lines = [line for line in OWN.read_text().splitlines()[1:] if line.strip()]
    assert len(lines) <= 10 and not any("class" in line for line in lines)


def test_collect_resumes_and_reduce_reports(chain):
    folder, first, made = chain
    assert (first["solved"], first["skipped"], first["failed"]) == (32, 0, 0)
    again = last(rom(folder, "collect", OWN, "--n", 32, "--out", "runs", "--json"))
    assert (again["solved"], again["skipped"]) == (0, 32)
    assert (
        made["r"] == 2
        and made["dofs"] == 101
        and made["training_error"] < 1e-7
        and made["tol_asked"] == 1e-8
    )


def test_predict_needs_the_model_alone(chain, tmp_path):
    folder, _, _ = chain
    alone = tmp_path / "moved.h5"
    alone.write_bytes((folder / "model.h5").read_bytes())
    mu = np.array([2.0, 1.5])
    answer = last(
        rom(
            tmp_path, "predict", alone, "--set", "k=2", "--set", "q=1.5", "--json", "--out", "u.npz"
        )
    )["answers"][0]
    x = np.linspace(0, 1, 101)
    u = mu[1] / mu[0] * x * (1 - x) / 2 + 0.01 * np.sin(np.pi * x) * np.sqrt(mu[0])
    assert answer["mu"] == {"k": 2.0, "q": 1.5}
    assert (
        answer["max u [1]"] == pytest.approx(u.max(), rel=0.01)
        and answer["largest standard deviation"] > 0
    )
    with np.load(tmp_path / "u.npz") as held:
        np.testing.assert_allclose(held["u"][:, 0], u, atol=0.01 * u.max())
        np.testing.assert_array_equal(held["k [N]"], [2.0])


def test_predict_takes_tables_and_writes_them(chain, tmp_path):
    folder, _, _ = chain
    (tmp_path / "mus.csv").write_text("q [N/m],k [N],remark\n1,2,3\n1.5,4,3\n")
    rows = last(
        rom(
            tmp_path, "predict", folder / "model.h5", "--csv", "mus.csv", "--out", "u.csv", "--json"
        )
    )["answers"]
    assert [row["mu"] for row in rows] == [{"k": 2.0, "q": 1.0}, {"k": 4.0, "q": 1.5}]
    with open(tmp_path / "u.csv") as file:
        table = list(csv.reader(file))
    assert table[0][:3] == ["k [N]", "q [N/m]", "u0"] and len(table) == 3
    assert table[0][103] == "u0 deviation"
    assert "standard deviation in the norm of the space" in table[0]
    assert max(map(float, table[1][2:103])) == rows[0]["max u [1]"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--mu", "k=2"], "no value for q; the parameters are k, q"),
        (["--mu", "k=2,q=1,z=3"], "no parameter 'z'; the parameters are k, q"),
        (["--mu", "k=2,q=abc"], "q = 'abc' is no number"),
        (["--mu", "k=200,q=1"], "k = 200 N is outside [1, 10]"),
        (["--mu", "1,2,3"], "mu has shape (3,)"),
        (["--mu", "k=2,q=nan"], "NaN"),
        ([], 'no parameters; give values of k, q: --mu "k=...,q=..."'),
        (["--csv", "nothing.csv"], "nothing.csv is no table"),
        (["--mu", "k=2,q=1", "--t", "0:1:0.5"], "knows no time"),
    ],
)
def test_bad_parameters_are_named(chain, options, message, monkeypatch):
    assert message in refused(chain[0], monkeypatch, ["predict", "model.h5", *options])


def test_study_and_report(chain, tmp_path):
    folder, _, _ = chain
    numbers = last(
        rom(folder, "study", OWN, "model.h5", "--n", 8, "--report", tmp_path / "s.html", "--json")
    )
    assert (
        numbers["parameters"] == 8
        and 0 < numbers["max_rel_error"] < 0.05
        and numbers["max_rel_projection_error"] < 1e-7
    )
    page = (tmp_path / "s.html").read_text()
    assert page.count("<svg ") == 2 and "http" not in page.split("<h2>How")[0].replace(
        "http-equiv", ""
    )
    for text in (
        "k [N]",
        "modes delivered",
        "rom-platform",
        "rom reduce",
        "rom study",
        "max_rel_error",
    ):
        assert text in page


def test_inspect_tells_shapes_units_and_damage(chain, tmp_path):
    folder, _, _ = chain
    facts = last(rom(folder, "inspect", "runs", "--json"))
    assert (
        facts["samples"] == "(101, 32)"
        and facts["parameter k"] == "1 .. 10 [N] log"
        and facts["problems"] == []
    )
    facts = last(rom(folder, "inspect", "model.h5", "--json"))
    assert (
        facts["modes delivered"] == 2
        and facts["asked"] == "tol 1e-08"
        and facts["error known by"] == "standard deviation"
    )
    bad = tmp_path / "bad.h5"
    whole = bytearray((folder / "model.h5").read_bytes())
    whole[-7] ^= 1
    bad.write_bytes(whole)
    assert "sha256" in rom(tmp_path, "predict", bad, "--mu", "2,1", code=4)
    whole[600] ^= 1
    bad.write_bytes(whole)
    assert "sha256" in rom(tmp_path, "inspect", bad, code=4)
    (tmp_path / "text.h5").write_text("not a file of ours")
    assert "error:" in rom(tmp_path, "predict", "text.h5", "--mu", "1,2", code=4)
    assert "no file or folder" in rom(tmp_path, "inspect", "nothing", code=2)


def test_inspect_names_a_damaged_sample(tmp_path):
    rom(tmp_path, "collect", OWN, "--n", 4, "--out", "runs")
    sample = next((tmp_path / "runs" / "samples").glob("*.h5"))
    raw = bytearray(sample.read_bytes())
    raw[-5] ^= 4
    sample.write_bytes(raw)
    assert sample.name in rom(tmp_path, "inspect", "runs", code=4)


def test_export_gives_back_what_was_collected(chain, tmp_path):
    folder, _, _ = chain
    rom(folder, "export", "runs", "--out", tmp_path / "s.npz")
    rom(folder, "export", "model.h5", "--out", tmp_path / "m.npz")
    x = np.linspace(0, 1, 101)
    with np.load(tmp_path / "s.npz") as held:
        k, q, u = held["k [N]"], held["q [N/m]"], held["u"]
    exact = q / k * (x * (1 - x) / 2)[:, None] + 0.01 * np.sin(np.pi * x)[:, None] * np.sqrt(k)
    np.testing.assert_allclose(u, exact, rtol=1e-14, atol=1e-16)
    with np.load(tmp_path / "m.npz") as held:
        np.testing.assert_array_equal(held["u"], load(folder / "model.h5")["model"].basis.modes)


def test_a_certified_case_with_a_mesh(tmp_path):
    case, cells = "cases.thermal_block", ("--set", "cells=8")
    call(ROOT, BIN / "rom", "collect", case, *cells, "--n", 24, "--out", tmp_path / "runs")
    made = last(
        rom(
            ROOT,
            "reduce",
            case,
            *cells,
            "--store",
            tmp_path / "runs",
            "--out",
            tmp_path / "m.h5",
            "--rank",
            6,
            "--json",
        )
    )
    assert made["r"] == 6 and made["kind"] == "Galerkin with a certified bound"
    mu = ("--mu", "k00=.2,k10=.3,k01=.4,k11=.9")
    row = last(rom(tmp_path, "predict", "m.h5", *mu, "--out", "a.vtkhdf", "--json"))["answers"][0]
    mesh, fields, _ = read_file(tmp_path / "a.vtkhdf")
    assert fields["temperature"][1] == "K" and fields["temperature"][0].max() == pytest.approx(
        row["max temperature [K]"]
    )
    kept = ("--truth", tmp_path / "truth")
    numbers = last(rom(ROOT, "study", case, tmp_path / "m.h5", "--n", 5, *kept, "--json"))
    assert numbers["min_effectivity"] >= 1
    rom(tmp_path, "predict", "m.h5", *mu, "--mu", "1,1,1,1", "--out", "two.vtkhdf")
    rom(tmp_path, "export", "a.vtkhdf", "--out", "a.vtu")
    assert len(read_file(tmp_path / "a.vtu")[0].points) == len(mesh.points)
    rom(tmp_path, "view", "m.h5", *mu, "--picture", "a.png")
    assert (tmp_path / "a.png").read_bytes()[:4] == b"\x89PNG"
    assert "no field 'x'" in rom(
        tmp_path, "view", "m.h5", "--field", "x", "--picture", "b.png", code=2
    )
    facts = last(rom(tmp_path, "inspect", "m.h5", "--json"))
    assert facts["triangle cells"] == 256 and facts["field temperature"].startswith("[K]")
    assert "certified" in facts["error known by"] and facts["made: settings"] == ["cells=8"]


def test_settings_are_typed_and_enter_the_version(tmp_path):
    (tmp_path / "case.py").write_text(SETTINGS)
    for setting, message in (
        ("m=3", "no setting 'm'; known: n, factor, wild, name"),
        ("n=3.5", "n = '3.5' is no int"),
        ("n", "'n' is not of the form name=value"),
        ("wild=perhaps", "wild = 'perhaps' is no bool"),
    ):
        assert message in rom(tmp_path, "collect", "case.py", "--set", setting, code=2)
    rom(
        tmp_path,
        "collect",
        "case.py",
        "--n",
        8,
        "--set",
        "factor=2",
        "--set",
        "n=6",
        "--out",
        "runs",
    )
    assert "version" in rom(
        tmp_path, "collect", "case.py", "--n", 8, "--set", "n=6", "--out", "runs", code=2
    )
    rom(
        tmp_path,
        "reduce",
        "case.py",
        "--store",
        "runs",
        "--set",
        "factor=2",
        "--set",
        "n=6",
        "--tol",
        "1e-9",
        "--out",
        "m.h5",
    )
    row = last(rom(tmp_path, "predict", "m.h5", "--mu", "a=1.5", "--case", "case.py", "--json"))[
        "answers"
    ][0]
    assert row["top [m]"] == pytest.approx(2 * 1.5 * 6 + 1.5**2, rel=1e-3)
    numbers = last(rom(tmp_path, "study", "case.py", "m.h5", "--n", 3, "--json"))
    assert numbers["max_rel_error"] < 1e-3


def test_failed_solves_have_their_own_code(tmp_path):
    (tmp_path / "shaky.py").write_text(SHAKY)
    said = rom(
        tmp_path,
        "collect",
        "shaky.py",
        "--design",
        "grid",
        "--n",
        5,
        "--out",
        "runs",
        "--json",
        code=3,
    )
    assert (
        said.count("failed at mu = (") == 2
        and "no luck" in said
        and '"solved": 3' in said
        and '"failed": 2' in said
    )
    facts = last(rom(tmp_path, "inspect", "runs", "--json"))
    assert facts["failed"] == 2 and facts["solved"] == 3


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["collect", "nowhere.py"], "no file nowhere.py"),
        (["collect", "no.such.module"], "no case 'no.such.module'"),
        (["collect", "json"], "neither problem(**settings) nor solve(mu)"),
        (["collect", str(OWN), "--set", "n=3"], "takes no settings"),
        (["collect", str(OWN), "--design", "star"], "no design 'star'; known: sobol, lhs, grid"),
        (["collect", str(OWN), "--n", "0"], "greater than or equal to 1"),
        (["reduce", str(OWN), "--store", "nothing"], "nothing holds no campaign"),
        (["predict", "nothing.h5", "--mu", "1"], "nothing.h5"),
        (["export", "nothing.vtu", "--out", "a.vtk"], "no file"),
        (["fly"], "No such command"),
    ],
)
def test_bad_usage_is_code_2_and_says_why(options, message, tmp_path, monkeypatch):
    assert message in refused(tmp_path, monkeypatch, options)


def test_bad_memory_is_named(chain):
    assert "is not a size" in rom(
        chain[0], "reduce", "runs", "--memory", "lots", "--out", "x.h5", code=2
    )


def test_a_file_without_box_needs_a_table(tmp_path):
    (tmp_path / "bare.py").write_text(
        "import numpy as np\ndef solve(mu):\n    return mu[0] * np.ones(5) + mu[1] * "
        "np.arange(5.0)\n"
    )
    assert "no box" in rom(tmp_path, "collect", "bare.py", code=2)
    lines = [f"{a},{b}" for a in (0.0, 1.0, 2.0) for b in (1.0, 3.0)]
    (tmp_path / "mus.csv").write_text("a [m],b [s]\n" + "\n".join(lines) + "\n")
    rom(tmp_path, "collect", "bare.py", "--csv", "mus.csv", "--out", "runs")
    assert last(rom(tmp_path, "inspect", "runs", "--json"))["parameter b"] == "1 .. 3 [s] linear"
    rom(tmp_path, "reduce", "runs", "--out", "m.h5")
    assert last(rom(tmp_path, "predict", "m.h5", "--mu", "a=1,b=2", "--json"))["answers"][0][
        "max u [1]"
    ] == pytest.approx(9, rel=0.05)


def test_predict_reads_a_model_saved_by_hand(chain, tmp_path):
    model = load(chain[0] / "model.h5")["model"]
    save(tmp_path / "hand.h5", model)
    save(tmp_path / "basis.h5", model.basis)
    assert last(rom(tmp_path, "predict", "hand.h5", "--mu", "2,1", "--json"))["answers"]
    assert "holds a Basis, which predicts nothing" in rom(
        tmp_path, "predict", "basis.h5", "--mu", "2,1", code=2
    )


@pytest.fixture(scope="module", params=[2, 3])
def shared(request, tmp_path_factory):
    """One store, reduced on one rank and on several."""
    folder = tmp_path_factory.mktemp("ranks")
    done = last(
        rom(folder, "collect", OWN, "--n", 12, "--out", "runs", "--json", ranks=request.param)
    )
    many = last(
        rom(
            folder,
            "reduce",
            "runs",
            "--tol",
            "1e-8",
            "--out",
            "many.h5",
            "--json",
            ranks=request.param,
        )
    )
    one = last(rom(folder, "reduce", "runs", "--tol", "1e-8", "--out", "one.h5", "--json"))
    return folder, done, one, many


def test_ranks_share_a_campaign_and_its_basis(shared):
    folder, done, one, many = shared
    assert (
        done["solved"] == 12 and one["r"] == many["r"] == 2 and one["dofs"] == many["dofs"] == 101
    )
    V, W = (load(folder / name)["model"].basis for name in ("one.h5", "many.h5"))
    assert np.linalg.norm(V.modes - W.modes @ (W.modes.T @ V.modes)) < 1e-12
    np.testing.assert_allclose(V.s[:2], W.s[:2], rtol=1e-10)


def test_ranks_predict_alike(shared):
    folder = shared[0]
    one, many = (
        last(rom(folder, "predict", f, "--mu", "2,1", "--json"))["answers"][0]
        for f in ("one.h5", "many.h5")
    )
    assert one["norm"] == pytest.approx(many["norm"], rel=1e-8)


def test_a_case_becomes_a_command(tmp_path):
    (tmp_path / "case.py").write_text(MAIN)
    told = call(tmp_path, sys.executable, "case.py", "--size", 4)
    assert "size" in told and "1e-05" in told and "K" in told and "yes" in told
    assert last(call(tmp_path, sys.executable, "case.py", "--json")) == {
        "size": 3,
        "ok": True,
        "error": 1e-5,
        "none": None,
        "ranks": 1,
    }
    assert "comm" not in call(tmp_path, sys.executable, "case.py", "--help")
    assert "size is wrong" in call(tmp_path, sys.executable, "case.py", "--fail", 0, code=2)
    assert "Invalid value" in call(tmp_path, sys.executable, "case.py", "--size", "x", code=2)


def test_ranks_print_once_and_fail_together(tmp_path):
    (tmp_path / "case.py").write_text(MAIN)
    text = call(tmp_path, sys.executable, "case.py", "--json", ranks=2)
    assert text.count("{") == 1 and last(text)["ranks"] == 2
    assert "rank 1: size is wrong" in call(
        tmp_path, sys.executable, "case.py", "--fail", 1, code=2, ranks=2
    )
    assert "boom" in call(
        tmp_path, sys.executable, "case.py", "--fail", 1, "--kind", "other", code=1, ranks=2
    )
    script = (
        "from rom.cli.launch import world\nc = world()\nif c.Get_rank() == 1: "
        "raise KeyError('lost')\nc.Barrier()\n"
    )
    assert "lost" in call(tmp_path, sys.executable, "-c", script, code=1, ranks=2)


def test_numbers_become_json():
    value = {
        "a": np.float64(np.inf),
        "b": np.arange(2),
        "c": (np.bool_(False), None),
        "d": {"e": np.int32(3)},
    }
    assert plain_value(value) == {"a": None, "b": [0, 1], "c": [False, None], "d": {"e": 3}}
    assert (
        format_number(1.23456789),
        format_number(True),
        format_number(12),
        format_number(float("nan")),
    ) == (
        "1.2346",
        "yes",
        "12",
        "-",
    )


def test_machine_check_names_what_is_missing(monkeypatch):
    crash = "import os, signal; os.kill(os.getpid(), signal.SIGSEGV)"
    checks = {
        "a": ("numpy", crash, "libone libtwo"),
        "b": ("numpy", "pass", "libthree"),
        "c": ("not_installed", crash, "libfour"),
    }
    monkeypatch.setattr(check_machine, "CHECKS", checks)
    assert check_machine.lacking() == {"a": "libone libtwo"}


def test_tables_show_units_in_brackets(capsys):
    from rom.cli.tables import show_numbers

    show_numbers(
        {"length [m]": 1.0, "parameter omega": "500 .. 1000 [rad/s]"}, {"length [m]": "m"}, False
    )
    shown = capsys.readouterr().out
    assert "length [m]" in shown and "[rad/s]" in shown
