"""Bad input at every public door.

a named exception whose message holds the culprit and the remedy.
"""

import re
import subprocess
import sys
from functools import partial

import numpy as np
import pytest
import scipy.sparse as sp

from rom.affine import Affine, Monomials
from rom.archive.nouns import load, save
from rom.basis import Basis
from rom.campaign import collect, read, verify
from rom.certified import MinTheta, galerkin, greedy, residual_bound, scm, unsteady
from rom.compress import balance, pod
from rom.design.designs import grid, latin_hypercube, sobol
from rom.errors import (
    BadInput,
    ForeignFile,
    NotConverged,
    NotWritten,
    OutsideBox,
    Singular,
    SolveFailed,
)
from rom.gp.fields import field_gp
from rom.io.files import read_mesh, write_mesh
from rom.io.writers.vtkhdf import vtkhdf, write_vtkhdf
from rom.mesh import Mesh
from rom.parameters import Box
from rom.problem import Problem
from rom.snapshots import Snapshots
from rom.space import Field, Space, euclidean
from rom.study.comparison import study

N, R = 8, 2
rng = np.random.default_rng(0)
BOX = Box(
    ("k", "q"), np.array([1.0, 0.1]), np.array([2.0, 10.0]), ("W/m/K", "W"), ("linear", "log")
)
SPACE = euclidean(N)
MODES = np.linalg.qr(rng.normal(size=(N, R)))[0]
BASIS = Basis(SPACE, MODES)
A = Affine(
    Monomials(np.ones(2), np.eye(2)),
    (sp.csr_array(sp.eye_array(N)), sp.csr_array(sp.diags_array(np.arange(1.0, N + 1)))),
)
F = Affine(Monomials(np.ones(1), np.zeros((1, 2))), (np.ones(N),))
STABILITY = MinTheta(A.theta, np.ones(2))
MODEL = galerkin(A, F, BASIS, bound=residual_bound(A, F, BASIS, STABILITY), box=BOX)
MUS = BOX.from_unit(rng.random((5, 2)))
U = rng.normal(size=(N, 5))
SNAPSHOTS = Snapshots(SPACE, MUS, U)
MESH = Mesh(np.array([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0]]), {"triangle": np.array([[0, 1, 2]])})
M = sp.csr_array(sp.eye_array(N))
OPPOSED = Affine(
    A.theta,
    tuple(sp.csr_array(sp.diags_array(np.linspace(*ends, N))) for ends in ((0.1, 1.0), (1.0, 0.1))),
)
TIMES = np.linspace(0.0, 1.0, 4)


def spoiled(array, place, value):
    array = np.array(array, dtype=np.result_type(array, type(value)))
    array[place] = value
    return array


def solve(mu):
    return sp.linalg.spsolve(A(mu).tocsc(), F(mu))


BASES = (
    ("Space: product too small", partial(Space, np.ones(3), np.arange(4)), BadInput,
        r"shape \(3,\), numbers \(4,\); give one weight"),
    ("Space: matrix not square", partial(Space, sp.csr_array((4, 3)), np.arange(4)), BadInput,
        r"\(4, 3\) but numbers has 4.*give this rank's"),
    ("Space: NaN product", partial(Space, np.array([1.0, np.nan]), np.arange(2)), BadInput,
        r"product holds NaN, Inf or too large a number at 1; check the mesh"),
    ("Space: dof twice", partial(Space, np.ones(2), np.array([0, 0])), BadInput,
        r"numbers are 0\.\.0, 1 of 2 distinct; give each dof once"),
    ("Space: dof missing", partial(Space, np.ones(2), np.array([0, 2])), BadInput,
        r"dof 1 of 3 belongs to no rank; numbers must cover"),
    ("Space: negative dof", partial(Space, np.ones(2), np.array([-1, 0])), BadInput,
        r"numbers are -1\.\.0, .* from 0"),
    ("Space: singular product",
        lambda: Space(sp.csr_array((2, 2)), np.arange(2)).represent(np.ones((2, 1))), Singular,
        r"cannot be factorised.*add a mass"),
    ("Mesh: flat points", partial(Mesh, np.zeros(3), {}), BadInput,
        r"points have shape \(3,\); give \(n, 1\)"),
    ("Mesh: NaN point", partial(Mesh, spoiled(MESH.points, (1, 0), np.nan), MESH.cells), BadInput,
        r"points hold NaN or Inf at \(1, 0\); repair"),
    ("Mesh: unknown cells", partial(Mesh, MESH.points, {"heptagon": np.zeros((1, 7), int)}),
        BadInput, r"cell type 'heptagon'; known: "),
    ("Mesh: too few nodes", partial(Mesh, MESH.points, {"quad": np.zeros((1, 3), int)}), BadInput,
        r"quad cells have shape \(1, 3\); give \(k, 4\)"),
    ("Mesh: node out of range", partial(Mesh, MESH.points, {"line": np.array([[0, 1], [1, 7]])}),
        BadInput, r"line cell 1 names a node outside the 3 points; give all"),
    ("Mesh: region of no cells",
        partial(Mesh, MESH.points, MESH.cells, {"wall": {"line": np.array([0])}}), BadInput,
        r"region 'wall' names line cells"),
    ("Mesh: node set", partial(Mesh, MESH.points, MESH.cells, {}, {"tip": np.array([9])}), BadInput,
        r"node set 'tip' names node 9 of 3"),
    ("Mesh: no such region", partial(MESH.region, "inlet"), BadInput,
        r"no region 'inlet' in the mesh; it has: none"),
    ("Box: bounds reversed", partial(Box, ("a",), np.ones(1), np.zeros(1)), BadInput,
        r"parameter 'a': bounds \[1\.0, 0\.0\] are not .* give lower < upper"),
    ("Box: Inf bound", partial(Box, ("a",), np.zeros(1), np.array([np.inf])), BadInput,
        r"'a': bounds .* are not finite"),
    ("Box: same names", partial(Box, ("a", "a"), np.zeros(2), np.ones(2)), BadInput,
        r"names \('a', 'a'\) must be distinct"),
    ("Box: bounds missing", partial(Box, ("a", "b"), np.zeros(1), np.ones(1)), BadInput,
        r"2 names, bounds of shape \(1,\) and \(1,\), .* give one of each"),
    ("Box: scale", partial(Box, ("a",), np.zeros(1), np.ones(1), scales=("cubic",)), BadInput,
        r"'a': scale 'cubic' is not 'linear' or 'log'"),
    ("Box: log of zero", partial(Box, ("a",), np.zeros(1), np.ones(1), scales=("log",)), BadInput,
        r"'a': a log scale needs a positive lower"),
    ("Box: NaN parameter", partial(BOX.check, np.array([np.nan, 1.0])), BadInput,
        r"mu holds NaN or Inf at "),
    ("Box: parameter missing", partial(BOX.check, np.ones(3)), BadInput,
        r"mu has shape \(3,\); give parameters \('k', 'q'\): \(2,\)"),
    ("Snapshots: transposed", partial(Snapshots, SPACE, MUS, U.T), BadInput,
        r"u has 5 rows, the space 8; give snapshots as columns, transposed"),
    ("Snapshots: one vector", partial(Snapshots, SPACE, MUS, U[:, 0]), BadInput,
        r"u has shape \(8,\); give snapshots as columns"),
    ("Snapshots: empty", partial(Snapshots, SPACE, np.zeros((0, 2)), np.zeros((N, 0))), BadInput,
        r"no snapshots: the set is empty; collect"),
    ("Snapshots: mu of another set", partial(Snapshots, SPACE, MUS[:3], U), BadInput,
        r"mu has shape \(3, 2\); give one row for each column of u: \(5, p\)"),
    ("Snapshots: times", partial(Snapshots, SPACE, MUS, U, np.zeros(2)), BadInput,
        r"t has shape \(2,\); give one time for each column of u: \(5,\)"),
    ("Snapshots: objects", partial(Snapshots, SPACE, MUS, U.astype(object)), BadInput,
        r"u is an array of object and no array of numbers; give numbers"),
    ("Snapshots: NaN", partial(Snapshots, SPACE, MUS, spoiled(U, (6, 3), np.nan)), BadInput,
        r"snapshot 3 \(mu = .*\) holds NaN or Inf at dof 6; drop it"),
    ("Snapshots: Inf", partial(Snapshots, SPACE, MUS, spoiled(U, (0, 1), -np.inf)), BadInput,
        r"snapshot 1 .* at dof 0"),
    ("Basis: rows", partial(Basis, SPACE, MODES[:5]), BadInput,
        r"modes have shape \(5, 2\); the space needs \(8, r\)"),
    ("Basis: too many modes", partial(BASIS.truncate, 3), BadInput, r"cannot keep 3 of 2 modes"),
    ("Monomials: shapes", partial(Monomials, np.ones(2), np.ones((3, 1))), BadInput,
        r"coefficients have shape \(2,\), powers \(3, 1\); give"),
    ("Affine: parameters", partial(A, np.ones(3)), BadInput,
        r"mu has shape \(3,\); give the 2 parameters"),
    ("Affine: terms", partial(Affine(A.theta, A.terms[:1]), np.ones(2)), BadInput,
        r"2 coefficients for 1 terms"),
)  # fmt: skip
VERBS = (
    ("pod: no target", partial(pod, SNAPSHOTS), BadInput, r"tol= .*or rank="),
    ("pod: tol", partial(pod, SNAPSHOTS, tol=2.0), BadInput, r"tol = 2\.0 must lie in \(0, 1\)"),
    ("pod: NaN tol", partial(pod, SNAPSHOTS, tol=float("nan")), BadInput,
        r"tol is float nan; give a real"),
    ("pod: rank zero", partial(pod, SNAPSHOTS, rank=0), BadInput, r"rank = 0 must lie in 1\.\.5"),
    ("pod: rank too large", partial(pod, SNAPSHOTS, rank=6), BadInput,
        r"rank = 6 must lie in 1\.\.5, the number of snapshots"),
    ("pod: method", partial(pod, SNAPSHOTS, rank=2, method="svd"), BadInput,
        r"unknown method 'svd'; choose auto"),
    ("pod: zeros", partial(pod, Snapshots(SPACE, MUS, np.zeros((N, 5))), rank=2), BadInput,
        r"zero"),
    ("balance: no fields", partial(balance, SNAPSHOTS), BadInput,
        r"names no fields; give Space\(fields="),
    ("galerkin: test rank", partial(galerkin, A, F, BASIS, test=BASIS.truncate(1)), BadInput,
        r"trial basis has 2 modes, test basis 1"),
    ("galerkin: operator of another space",
        partial(galerkin, Affine(A.theta, [term[:5, :5] for term in A.terms]), F, BASIS), BadInput,
        r"term 0 has shape \(5.*the basis 8 rows"),
    ("galerkin: load of another space", partial(galerkin, A, Affine(F.theta, [np.ones(5)]), BASIS),
        BadInput, r"term 0 has shape \(5.*the basis 8 rows"),
    ("galerkin: singular", lambda: galerkin(Affine(A.theta, [0 * t for t in A.terms]), F,
        BASIS).predict(MUS), Singular, r"reduced system is singular"),
    ("predict: outside", partial(MODEL.predict, np.array([3.0, 1.0])), OutsideBox,
        r"k = 3 W/m/K is outside \[1, 2\]; .*enlarge the box"),
    ("predict: outside, batch", partial(MODEL.predict, spoiled(MUS, (3, 1), 11.0)), OutsideBox,
        r"row 3: q = 11 W is outside \[0\.1, 10\]"),
    ("predict: NaN", partial(MODEL.predict, np.array([np.nan, 1.0])), BadInput,
        r"mu holds NaN or Inf"),
    ("predict: a parameter too few", partial(MODEL.predict, np.ones(1)), BadInput,
        r"mu has shape \(1,\); give parameters"),
    ("unsteady: times", partial(unsteady, M, A, F, BASIS, [0.0, 0.0]), BadInput,
        r"times of shape \(2,\) do not increase .* give"),
    ("unsteady: theta", partial(unsteady, M, A, F, BASIS, TIMES, theta=0.25), BadInput,
        r"theta = 0\.25 must lie in \[0\.5, 1\]"),
    ("unsteady: bound without M", lambda: unsteady(M, A, F, BASIS, TIMES, bound=MODEL.bound),
        BadInput, r"the bound was built without M; .*stability, M\)"),
    ("unsteady: offset", partial(unsteady, M, A, F, Basis(SPACE, MODES, np.ones(N)), TIMES),
        BadInput, r"without offset; run pod\(\.\.\., center=False\)"),
    ("residual_bound: rows", partial(residual_bound, A, Affine(F.theta, [np.ones(5)]), BASIS,
        STABILITY), BadInput, r"must have the 8 rows of the space"),
    ("MinTheta: sign", partial(STABILITY, np.array([1.0, -1.0])), BadInput,
        r"positive coefficient functions, theta reaches -1; use scm"),
    ("scm: not symmetric", lambda: scm(Affine(A.theta,
        (A.terms[0], sp.csr_array(np.triu(np.ones((N, N)))))), SPACE, MUS), BadInput,
        r"term 1 .* not symmetric"),
    ("scm: too few", lambda: scm(OPPOSED, SPACE, MUS, tol=1e-9, max_constraints=1), NotConverged,
        r"1 constraints; allow more"),
    ("greedy: empty", partial(greedy, MODEL, np.zeros((0, 2)), None, None, tol=1e-3), BadInput,
        r"train has shape \(0, 2\): nothing; give at least"),
    ("greedy: NaN estimate", partial(greedy, MODEL, MUS, lambda m, mus: np.full(len(mus), np.nan),
        None, tol=1e-3), BadInput, r"estimate is NaN or Inf at mu"),
    ("study: empty", partial(study, MODEL, solve, np.zeros((0, 2))), BadInput,
        r"mus has shape \(0, 2\): nothing"),
    ("study: NaN solution", partial(study, MODEL, lambda mu: np.full(N, np.nan), MUS), SolveFailed,
        r"NaN or Inf at mu = .*check the solver"),
    ("study: outside", partial(study, MODEL, solve, np.array([[9.0, 1.0]])), OutsideBox,
        r"k = 9 W/m/K is outside"),
    ("field_gp: too few", lambda: field_gp(Snapshots(SPACE, MUS[:2], U[:, :2]), BASIS), BadInput,
        r"2 distinct parameters; a regression with a constant mean needs 3"),
    ("field_gp: repeated", lambda: field_gp(Snapshots(SPACE, MUS[[0, 1, 1, 0]], U[:, :4]), BASIS),
        BadInput, r"4 runs with 2 distinct parameters"),
    ("sobol: none", partial(sobol, BOX, 0), BadInput,
        r"design of 0 points is not possible; give a positive integer"),
    ("latin_hypercube: half", partial(latin_hypercube, BOX, 1.5), BadInput,
        r"is float 1\.5; give an integer"),
    ("grid: counts", partial(grid, BOX, (2,)), BadInput,
        r"1 counts for the 2 parameters \('k', 'q'\); give one number"),
)  # fmt: skip
FILES = (
    ("collect: no function", lambda p: collect(3, MUS, p / "s"), BadInput,
        r"solve is a int; give a function"),
    ("collect: one task", lambda p: collect(solve, MUS[0], p / "s"), BadInput,
        r"mus has shape \(2,\); give one row per task"),
    ("collect: outside", lambda p: collect(solve, MUS + 5, p / "s", box=BOX), OutsideBox,
        r"row 0: k = .* is outside"),
    ("collect: NaN", lambda p: collect(solve, spoiled(MUS, (2, 1), np.nan), p / "s"), BadInput,
        r"NaN or Inf at \(2, 1\); remove this task"),
    ("collect: other version", lambda p: [collect(solve, MUS, p / "s", version=v) for v in "12"],
        BadInput, r"version is '1' there and '2' here; give the same"),
    ("collect: a file", lambda p: (p / "s").write_text("") or collect(solve, MUS, p / "s"),
        NotWritten, r"cannot be made the folder.*give another path"),
    ("read: nothing", lambda p: read(p / "absent"), BadInput,
        r"absent holds no campaign.*collect into it first"),
    ("read: nothing finished", lambda p: collect(lambda mu: 1 / 0, MUS, p / "s") and read(p / "s"),
        BadInput, r"no finished sample \(5 failed: mu = .*ZeroDivisionError.*\)"),
    ("read: not solved", lambda p: collect(solve, MUS[:2], p / "s") and read(p / "s", mus=MUS),
        BadInput, r"row 2, mu = .* was not solved; collect it"),
    ("read: other space", lambda p: collect(solve, MUS, p / "s") and read(p / "s",
        euclidean(N + 1)), BadInput, r"8 dofs, the space has 9; give the space"),
    ("read: budget", lambda p: collect(solve, MUS, p / "s") and read(p / "s", memory_budget="lots"),
        BadInput, r"memory_budget = 'lots' is not a size"),
    ("verify: nothing", lambda p: verify(p / "absent"), BadInput, r"absent holds no campaign"),
    ("load: nothing", lambda p: load(p / "absent.h5"), BadInput,
        r"absent\.h5: No such file.*give the path"),
    ("load: text", lambda p: (p / "a.h5").write_text("hello") and load(p / "a.h5"), ForeignFile,
        r"a\.h5 was not written by this package; export"),
    ("save: lambda", lambda p: save(p / "a.h5", Affine(lambda mu: mu, np.ones((1, 1)))), BadInput,
        r"theta is the closure or lambda .*use Monomials"),
    ("save: problem", lambda p: save(p / "a.h5", Problem(solve, BOX)), BadInput,
        r"the noun is a Problem, which no archive holds"),
    ("save: no folder", lambda p: save(p / "absent" / "a.h5", BOX), NotWritten,
        r"cannot write .*a\.h5.*choose another folder"),
    ("write_vtkhdf: length", lambda p: write_vtkhdf(p / "a.vtkhdf", MESH, {"T": (np.ones(2), "K")}),
        BadInput, r"T.*2.*3"),
    ("write_vtkhdf: NaN", lambda p: write_vtkhdf(p / "a.vtkhdf", MESH,
        {"T": (np.array([0, np.nan, 1]), "K")}), BadInput, r"T.*NaN"),
    ("vtkhdf: cell field", lambda p: vtkhdf(MESH, None, None, {"s": (np.ones(2), "Pa")}), BadInput,
        r"s.*2.*1"),
    ("write_mesh: suffix", lambda p: write_mesh(p / "a.nonsense", MESH), BadInput, r"nonsense"),
    ("read_mesh: nothing", lambda p: read_mesh(p / "absent.vtu"), ForeignFile, r"absent\.vtu"),
    ("read_mesh: text", lambda p: (p / "a.msh").write_text("hello") and read_mesh(p / "a.msh"),
        ForeignFile, r"a\.msh"),
)  # fmt: skip


@pytest.mark.parametrize(
    ("call", "kind", "message"),
    [case[1:] for case in BASES + VERBS],
    ids=[case[0] for case in BASES + VERBS],
)
def test_bad_input_is_named(call, kind, message):
    with pytest.raises(kind, match=message) as caught:
        call()
    assert type(caught.value) is kind


@pytest.mark.parametrize(
    ("call", "kind", "message"), [case[1:] for case in FILES], ids=[case[0] for case in FILES]
)
def test_bad_files_and_folders_are_named(call, kind, message, tmp_path):
    with pytest.raises(kind, match=message) as caught:
        call(tmp_path)
    assert type(caught.value) is kind


def test_good_input_passes_and_is_not_touched(tmp_path):
    U.setflags(write=False)
    MUS.setflags(write=False)
    basis, _ = pod(SNAPSHOTS, rank=3)
    collect(solve, MUS, tmp_path, box=BOX)
    fields = (Field("T", "K", np.arange(4)), Field("p", "Pa", np.arange(4, 8)))
    balance(Snapshots(euclidean(N, None, fields), MUS, U))
    assert basis.r == 3 and study(MODEL, solve, MUS).error.shape == (5,)
    assert U.shape == (N, 5) and not U.flags.writeable


CASE = """
import numpy as np
from rom.parameters import Box
box = Box(("k", "q"), np.array([1.0, 0.1]), np.array([2.0, 10.0]))
def solve(mu):
    return mu[0] * np.arange(4.0) + mu[1]
"""
COMMANDS = (
    ("no such command", ["frobnicate"], 2, r"frobnicate"),
    ("no such option", ["collect", "case.py", "--speed", "9"], 2, r"--speed"),
    (
        "collect: no case",
        ["collect", "absent.py"],
        2,
        r"absent\.py; give a dotted module or the path",
    ),
    ("collect: no solve", ["collect", "text.py"], 2, r"text\.py"),
    (
        "collect: no points",
        ["collect", "case.py", "--n", "0"],
        2,
        r"'--n'.*greater than or equal to 1",
    ),
    (
        "collect: design",
        ["collect", "case.py", "--design", "halton"],
        2,
        r"no design 'halton'; known: sobol",
    ),
    ("collect: no table", ["collect", "case.py", "--csv", "absent.csv"], 2, r"absent\.csv"),
    ("collect: setting", ["collect", "case.py", "--set", "mesh=fine"], 2, r"mesh"),
    (
        "reduce: no store",
        ["reduce", "case.py", "--store", "absent"],
        2,
        r"absent holds no campaign",
    ),
    ("predict: no model", ["predict", "absent.h5", "--mu", "k=1,q=2"], 2, r"absent\.h5"),
    (
        "predict: no archive",
        ["predict", "text.py", "--mu", "k=1,q=2"],
        4,
        r"text\.py was not written by this package",
    ),
    (
        "predict: outside",
        ["predict", "model.h5", "--mu", "k=9,q=1"],
        2,
        r"k = 9 W/m/K is outside \[1, 2\]",
    ),
    ("predict: a word", ["predict", "model.h5", "--mu", "k=one,q=1"], 2, r"one"),
    ("predict: a parameter missing", ["predict", "model.h5", "--mu", "k=1"], 2, r"q"),
    ("inspect: nothing", ["inspect", "absent"], 2, r"no file or folder absent"),
)


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [case[1:] for case in COMMANDS],
    ids=[case[0] for case in COMMANDS],
)
def test_commands_say_what_is_wrong_in_a_line_and_a_code(arguments, code, message, tmp_path):
    save(tmp_path / "model.h5", MODEL)
    (tmp_path / "text.py").write_text("hello = 1\n")
    (tmp_path / "case.py").write_text(CASE)
    done = subprocess.run(
        [sys.executable, "-c", "from rom.cli.app import app; app()", *arguments],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert done.returncode == code, done.stderr
    assert re.search(message, done.stderr), done.stderr
    assert "Traceback" not in done.stderr
