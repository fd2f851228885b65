"""A user's file with `solve(mu)`: what it imports, what stands beside it, what changes."""

import json
import sys

import h5py
import numpy as np
import pytest
from typer.testing import CliRunner

from rom.cli.app import app
from rom.cli.case import load_problem
from rom.cli.sources import source_digests
from rom.errors import BadInput
from rom.io import read_file

SOLVER = """
import numpy as np
import rom
from laws import conductivity

box = rom.Box(("q",), [1.0], [2.0], ("W/m3",))
x = np.linspace(0.0, 1.0, 6)
cells = np.column_stack([np.arange(5), np.arange(1, 6)])
mesh = rom.Mesh(x[:, None], {"line": cells})


def solve(mu):
    return mu[0] / conductivity() * x * (1.0 - x)
"""
FREE = (
    SOLVER
    + """
nodes = np.arange(1, 5)
elsewhere = 293.0
fields = {"T": "K"}
inside = solve
solve = lambda mu: 293.0 + inside(mu)[nodes]
"""
)
TRANSIENT = (
    SOLVER
    + """
times = np.array([0.0, 0.5, 2.0])
fields = {"T": "K"}
steady = solve
solve = lambda mu: np.outer(steady(mu), 1.0 - np.exp(-times))
outputs = lambda u, mu: {"peak [K]": float(u.max())}
"""
)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "laws.py").write_text("import other\n\ndef conductivity():\n    return other.k\n")
    (tmp_path / "other.py").write_text("k = 2.0\n")
    (tmp_path / "wall.py").write_text(SOLVER)
    return tmp_path


def run(*args, code=0):
    result = CliRunner().invoke(app, [str(a) for a in args])
    assert result.exit_code == code, result.output + str(result.exception)
    return result


def numbers(*args):
    return json.loads(run(*args, "--json").stdout.splitlines()[-1])


def test_a_case_never_imports_the_neighbours_of_another(tmp_path):
    flux = {}
    for name, k in (("first", 2.0), ("second", 4.0), ("third", 8.0)):
        (tmp_path / name).mkdir()
        (tmp_path / name / "wall.py").write_text(
            SOLVER.replace("laws import", "laws_beside import")
        )
        (tmp_path / name / "laws_beside.py").write_text(f"def conductivity():\n    return {k}\n")
        solve = load_problem(str(tmp_path / name / "wall.py")).solve
        flux[k] = float(np.max(solve(np.array([1.0]))))
    assert flux[2.0] == 2.0 * flux[4.0] == 4.0 * flux[8.0]


def test_libraries_below_a_case_stay_as_they_are(tmp_path, monkeypatch):
    below = tmp_path / "first" / "libraries"
    below.mkdir(parents=True)
    (tmp_path / "second").mkdir()
    (below / "a_library.py").write_text("token = object()\n")
    (tmp_path / "first" / "wall.py").write_text(
        "import a_library\n" + SOLVER.replace("from laws", "#")
    )
    (tmp_path / "second" / "wall.py").write_text(SOLVER.replace("from laws", "#"))
    monkeypatch.syspath_prepend(below)
    load_problem(str(tmp_path / "first" / "wall.py"))
    token = sys.modules["a_library"].token
    load_problem(str(tmp_path / "second" / "wall.py"))
    assert sys.modules["a_library"].token is token


def test_a_case_imports_its_neighbours(folder):
    assert numbers("collect", "wall.py", "--n", 4)["solved"] == 4
    assert set(source_digests(folder / "wall.py")) == {"wall.py", "laws.py", "other.py"}


def test_relative_and_packaged_imports_belong_to_a_case(tmp_path):
    package = tmp_path / "pkg"
    (package / "sub").mkdir(parents=True)
    (package / "__init__.py").write_text("")
    (package / "a.py").write_text("from . import b\nfrom .sub import c\nimport numpy\n")
    (package / "b.py").write_text("from pkg.sub.c import x\n")
    (package / "sub" / "__init__.py").write_text("")
    (package / "sub" / "c.py").write_text("x = 1\n")
    (package / "unused.py").write_text("")
    names = source_digests(package / "a.py", "pkg.a")
    assert set(names) == {
        "pkg/__init__.py", "pkg/a.py", "pkg/b.py", "pkg/sub/__init__.py", "pkg/sub/c.py"
    }  # fmt: skip


@pytest.mark.parametrize("edited", ["wall.py", "other.py"])
def test_an_edited_solver_is_not_mixed_with_its_old_samples(folder, edited):
    run("collect", "wall.py", "--n", 4)
    assert numbers("collect", "wall.py", "--n", 4)["skipped"] == 4
    text = (folder / edited).read_text()
    (folder / edited).write_text(text + "# better\n")
    result = run("collect", "wall.py", "--n", 8, code=2)
    assert f"{edited} changed since the samples in wall.store were computed" in result.stderr
    assert "--keep" in result.stderr
    assert numbers("collect", "wall.py", "--n", 8, "--keep")["solved"] == 4
    assert numbers("collect", "wall.py", "--n", 8)["skipped"] == 8


def test_free_unknowns_are_shown_at_their_nodes(folder):
    (folder / "free.py").write_text(FREE)
    run("collect", "free.py", "--n", 6)
    run("reduce", "free.py", "--tol", 1e-9)
    run("predict", "free.rom.h5", "--mu", "q=1.5", "--out", "a.vtu")
    values, unit = read_file(folder / "a.vtu")[1]["T"]
    x = np.linspace(0.0, 1.0, 6)
    assert unit == "K"
    assert values == pytest.approx(293.0 + 0.75 * x * (1 - x), abs=1e-6)


def test_times_and_outputs_stand_beside_a_plain_solve(folder):
    (folder / "slow.py").write_text(TRANSIENT)
    run("collect", "slow.py", "--n", 8)
    run("reduce", "slow.py")
    result = numbers("predict", "slow.rom.h5", "--mu", "q=1.5", "--case", "slow.py")
    assert "peak [K]" in json.dumps(result)
    run("predict", "slow.rom.h5", "--mu", "q=1.5", "--out", "a.vtkhdf")
    with h5py.File(folder / "a.vtkhdf") as file:
        steps = file["VTKHDF/Steps/Values"][:]
    assert steps == pytest.approx([0.0, 0.5, 2.0])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("nodes = np.arange(1, 5)", r"nodes leave out 2 of 6 nodes of the mesh; .*elsewhere"),
        ("nodes = np.arange(2, 8); elsewhere = 0.0", r"nodes are 2..7; the mesh has 0..5"),
        ("nodes = np.zeros(3)", r"whole numbers \(k,\), each once"),
        ("fields = {'T': 'K'}; mesh = None", r"fields by name need a mesh"),
        ("mesh = 'plate.vtu'", r"mesh is a str; give a rom.Mesh"),
        ("fields = ['T']", r"fields holds 'T'; give rom.Field"),
    ],
)
def test_what_does_not_fit_is_told_before_the_first_solve(folder, text, message):
    (folder / "bad.py").write_text(f"{SOLVER}\n{text}\n")
    with pytest.raises(BadInput, match=message):
        load_problem("bad.py")
