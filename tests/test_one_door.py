"""One door: every stored kind of model serves every command."""

import csv
import json
from dataclasses import replace

import numpy as np
import pytest
import scipy.sparse as sp
from typer.testing import CliRunner

from cases.viscoplastic_cube import FLAT, cube, ten_steps
from rom.affine import Affine, Monomials
from rom.archive import save, save_model
from rom.basis import Basis, LocalBases
from rom.campaign import collect
from rom.certified import MinTheta, galerkin, residual_bound, unsteady
from rom.certified.output_bounds import DualWeighted
from rom.cli.app import app
from rom.gp import coefficient_gp, field_gp, kronecker_gp, variational_gp, vecchia_gp
from rom.io import read_file, write_mesh
from rom.local.classifier import Classifier
from rom.local.models import LocalModel
from rom.mesh import Mesh
from rom.model import Model
from rom.parameters import Box
from rom.shapes import Same, Sample, shape_model
from rom.snapshots import Snapshots
from rom.solids.weighted import weighted_model
from rom.space import Field, Space
from solvers.solid import march

N = 12
BOX = Box(("k", "q"), [0.5, 1.0], [1.0, 4.0], ("W/m/K", "1"), ("linear", "log"))
MU = ("--mu", "k=0.7,q=2")
TIMES = np.linspace(0.0, 1.0, 5)
LINE = Mesh(
    np.linspace(0, 1, N)[:, None], {"line": np.column_stack([np.arange(N - 1), np.arange(1, N)])}
)
LINEAR = Monomials(np.ones(2), np.array([[1.0, 0.0], [0.0, 1.0]]))


def parts():
    """A(mu) = k K + q I on a line, f = 1, and the space of K + I."""
    diagonals = [-np.ones(N - 1), 2.0 * np.ones(N), -np.ones(N - 1)]
    K = sp.csr_array(sp.diags_array(diagonals, offsets=[-1, 0, 1]))
    one = sp.csr_array(sp.eye_array(N))
    space = Space(K + one, np.arange(N), None, (Field("T", "K", np.arange(N)),))
    f = Affine(Monomials(np.ones(1), np.zeros((1, 2))), (np.linspace(1.0, 2.0, N),))
    return space, Affine(LINEAR, (K, one)), f, one


SPACE, A, F, MASS = parts()


def steady(mu):
    return sp.linalg.spsolve(A(np.asarray(mu)).tocsc(), F.terms[0])


def trajectory(mu):
    dt, u = TIMES[1] - TIMES[0], np.zeros(N)
    columns = [u]
    for _ in TIMES[1:]:
        u = sp.linalg.spsolve((MASS / dt + A(np.asarray(mu))).tocsc(), F.terms[0] + MASS @ u / dt)
        columns.append(u)
    return np.column_stack(columns)


def mean(mu):
    return np.array([steady(mu).mean()])


def coefficients(mu):
    return np.array([1.0, 2.0, 3.0]) * mean(mu)


def orthonormal(U, r=3):
    V = np.linalg.svd(U, full_matrices=False)[0][:, :r]
    L = np.linalg.cholesky(V.T @ (SPACE.product @ V))
    s = np.linalg.svd(U, compute_uv=False)
    return Basis(SPACE, np.linalg.solve(L, V.T).T, s=s, rank_asked=r, reason="rank")


def models():
    """One tiny model of each kind, and its truth mu -> columns."""
    rng = np.random.default_rng(0)
    mus = BOX.from_unit(rng.random((8, 2)))
    U = np.stack([steady(mu) for mu in mus], axis=1)
    basis = orthonormal(U)
    stability = MinTheta(A.theta, np.ones(2))
    bound = residual_bound(A, F, basis, stability)
    fixed = galerkin(A, F, basis, bound=bound, box=BOX)
    moving_basis = orthonormal(np.hstack([trajectory(mu) for mu in mus]), 4)
    moving = unsteady(
        MASS, A, F, moving_basis, TIMES, box=BOX,
        bound=residual_bound(A, F, moving_basis, stability, MASS),
    )  # fmt: skip
    y = np.array([mean(mu)[0] for mu in mus])
    classifier = Classifier(
        np.zeros(2), np.ones(2), mus, np.ones((8, 2)), np.zeros(2), 0.5, np.eye(2)
    )
    halves = (np.eye(3)[:, :2], np.eye(3)[:, 1:])
    local = LocalBases(basis, halves, np.zeros(8, int), np.eye(3)[:, :2], None, classifier)
    ones = tuple(galerkin(A, F, local.basis(k), box=BOX) for k in range(2))
    conjugate = galerkin(A, MEAN, basis, bound=residual_bound(A, MEAN, basis, stability), box=BOX)
    shapes = [
        Sample(LINE, np.array([k]), {"u": np.sin(k + LINE.points[:, 0])}, {"w": float(k)})
        for k in np.linspace(0, 1, 6)
    ]
    grid = kronecker_gp([mus[:4, :1], mus[4:, 1:]], np.outer(y[:4], y[4:]))
    return {
        "galerkin": fixed,
        "unsteady": moving,
        "dual-weighted": DualWeighted(
            fixed, conjugate, A.project(basis), F.project(basis), MEAN.project(basis)
        ),
        "local": LocalModel(local, ones, 0.9),
        "field process": field_gp(Snapshots(SPACE, mus, U), basis, BOX),
        "coefficients": coefficient_gp(mus, basis.coefficients(U).T, BOX),
        "kronecker": grid,
        "vecchia": vecchia_gp(BOX.from_unit(rng.random((40, 2))), rng.random(40), neighbours=4),
        "variational": variational_gp(
            BOX.from_unit(rng.random((30, 2))), np.arange(30.0) // 6, "poisson", neighbours=4
        ),
        "shapes": shape_model(shapes, Same(), LINE),
    }


MEAN = Affine(Monomials(np.ones(1), np.zeros((1, 2))), (np.full(N, 1 / N),))
KINDS = (
    "galerkin", "unsteady", "dual-weighted", "local", "field process", "coefficients",
    "kronecker", "vecchia", "variational", "solid", "shapes",
)  # fmt: skip


@pytest.fixture(scope="module")
def door(tmp_path_factory):
    """Files of all kinds, and for each the options of a question and of a study."""
    folder = tmp_path_factory.mktemp("door")
    stored = models()
    mus = BOX.from_unit(np.random.default_rng(5).random((4, 2)))
    for name, solve, times in (
        ("steady", steady, None),
        ("moving", trajectory, TIMES),
        ("mean", mean, None),
    ):
        space = None if name == "mean" else SPACE
        collect(solve, mus, folder / name, box=BOX, space=space, times=times)
    b = cube(2, FLAT)
    loading = ten_steps(b)
    run = march(b, loading, loading.t)
    modes, _ = np.linalg.qr(run.u)
    modes = modes[:, :3] / np.sqrt(b.space.product)[:, None]
    basis = Basis(b.space, modes)
    solid = weighted_model(basis, b.strain(modes), b, np.arange(b.points.n), b.points.product)
    stored["solid"] = solid
    save(folder / "loading.h5", loading.reduce(basis, solid.points, b.points))
    collect(
        lambda mu: run.u, np.ones((1, 1)), folder / "solid", box=Box(("one",), [0.0], [2.0]),
        space=b.space, times=loading.t[1:],
    )  # fmt: skip
    write_mesh(folder / "line.vtu", LINE, {"T": (np.ones(N), "K")})
    collect(coefficients, mus, folder / "coefficients", box=BOX)
    for name, model in stored.items():
        mesh = b.mesh if name == "solid" else LINE
        keeps_mesh = name in ("galerkin", "unsteady", "local", "field process", "solid")
        save_model(folder / f"{name}.h5", model, mesh if keeps_mesh else None)
    return folder, stored


QUESTION = {
    "solid": ("--loading", "loading.h5", "--case", "solvers.laws"),
    "shapes": ("--mesh", "line.vtu", "--mu", "0.5"),
}
TRUTH = {
    "galerkin": "steady", "unsteady": "moving", "local": "steady", "field process": "steady",
    "solid": "solid",
}  # fmt: skip


def run(folder, monkeypatch, *options, code=0):
    """What a command says; its exit code must be `code`."""
    monkeypatch.chdir(folder)
    done = CliRunner().invoke(app, [str(option) for option in options])
    assert done.exit_code == code, done.output
    return done.output


@pytest.fixture(params=KINDS)
def kind(request, door):
    """A kind of model, its file and how it is asked."""
    folder, stored = door
    name = request.param
    if not isinstance(stored[name], Model):
        pytest.skip(f"a {type(stored[name]).__name__} is no Model yet")
    question = QUESTION.get(name, ("--mu", "0.7,2"))
    law = question[2:] if name == "solid" else ()
    return name, folder, f"{name}.h5", question, law


def test_inspect_says_what_is_asked_and_told(kind, monkeypatch):
    name, folder, file, _, law = kind
    facts = json.loads(run(folder, monkeypatch, "inspect", file, *law, "--json"))
    assert any(key.startswith("tells ") for key in facts) and facts["error known by"]
    assert any(key.startswith(("asks ", "parameter ")) for key in facts), name


@pytest.mark.parametrize("suffix", ["npz", "csv", "vtu", "vtkhdf", "xdmf"])
def test_predict_writes_every_format(kind, suffix, monkeypatch, tmp_path):
    name, folder, file, question, _ = kind
    target = tmp_path / f"answer.{suffix}"
    times = name in ("unsteady", "solid")
    if times and suffix == "vtu":
        said = run(folder, monkeypatch, "predict", file, *question, "--out", target, code=2)
        assert "holds one state" in said
        return
    said = run(folder, monkeypatch, "predict", file, *question, "--out", target, "--json")
    assert len(json.loads(said)["answers"]) == 1
    keys = written_names(target)
    for what in expected_names(name):
        assert any(what in key for key in keys), (what, keys)


def written_names(path):
    """Names of all that a file holds."""
    if path.suffix == ".npz":
        with np.load(path) as arrays:
            return list(arrays)
    if path.suffix == ".csv":
        with open(path) as file:
            return next(csv.reader(file))
    _, points, cells = read_file(path)
    return [*points, *cells, *field_data(path)]


def field_data(path):
    import pyvista

    if path.suffix == ".xdmf":
        return []
    return list(pyvista.read(path).field_data)


def expected_names(name):
    """What a file of a kind must name."""
    return {
        "galerkin": ("T", "certified bound in the norm of the space"),
        "unsteady": ("T", "certified bound in the norm of the mass matrix"),
        "dual-weighted": ("s", "s: certified bound in absolute value"),
        "local": ("T",),
        "field process": ("T", "deviation", "standard deviation in"),
        "solid": ("displacement",),
    }.get(name, ("standard deviation",) if name != "shapes" else ("u",))


def test_view_draws_every_kind(kind, monkeypatch, tmp_path):
    _, folder, file, question, law = kind
    run(folder, monkeypatch, "view", file, *question, "--picture", tmp_path / "a.png")
    assert (tmp_path / "a.png").read_bytes()[:4] == b"\x89PNG"
    del law


def test_study_and_report_serve_every_kind(kind, monkeypatch, tmp_path):
    name, folder, file, question, law = kind
    if name == "shapes":
        pytest.skip("families of shapes are studied by `rom shapes validate`")
    extra = question if name == "solid" else ()
    store = TRUTH.get(name, "mean")
    if name in ("coefficients",):
        store = "coefficients"
    page = tmp_path / "s.html"
    said = run(folder, monkeypatch, "study", store, file, *extra, "--json", "--report", page)
    numbers = json.loads(said.strip().splitlines()[-1])
    assert any(key.startswith("max_error ") for key in numbers), numbers
    assert "alarm" not in numbers and "Asks and tells" in page.read_text()
    run(folder, monkeypatch, "report", file, *law, "--out", tmp_path / "r.html")
    assert "error known by" in (tmp_path / "r.html").read_text()


def test_export_serves_every_kind(kind, monkeypatch, tmp_path):
    _, folder, file, _, law = kind
    run(folder, monkeypatch, "export", file, *law, "--out", tmp_path / "e.npz")
    with np.load(tmp_path / "e.npz") as arrays:
        assert len(list(arrays)) > 1


def test_steps_of_a_file_are_the_times(door, monkeypatch, tmp_path):
    from rom.io import read_frames

    folder = door[0]
    run(folder, monkeypatch, "predict", "unsteady.h5", *MU, "--out", tmp_path / "a.vtkhdf")
    frames = list(read_frames(tmp_path / "a.vtkhdf")[1])
    np.testing.assert_allclose([frame.t for frame in frames], TIMES)
    answer = door[1]["unsteady"].predict([0.7, 2.0])
    np.testing.assert_allclose(frames[3].points["T"][0], answer.field("T", time=3), atol=1e-12)


def test_a_bound_is_compared_in_its_own_norm(door, monkeypatch):
    said = run(door[0], monkeypatch, "study", "unsteady.h5", "moving", "--json")
    numbers = json.loads(said)
    assert numbers["min_effectivity"] >= 1


def test_a_bound_below_its_error_is_an_alarm(door, monkeypatch, tmp_path):
    model = door[1]["galerkin"]
    weak = replace(model, bound=replace(model.bound, stability=MinTheta(A.theta, np.full(2, 1e-9))))
    save_model(tmp_path / "weak.h5", weak)
    command = ("study", tmp_path / "weak.h5", "steady", "--report", tmp_path / "s.html")
    said = run(door[0], monkeypatch, *command, code=1)
    assert "alarm: the certified bound of the state" in said
    assert "Alarm" in (tmp_path / "s.html").read_text()


def test_trivial_rows_stand_beside(door, monkeypatch):
    said = run(
        door[0], monkeypatch, "study", "steady", "field process.h5", "--store", "steady", "--json"
    )
    numbers = json.loads(said.strip().splitlines()[-1])
    for name in ("mean of training", "nearest run", "linear interpolation"):
        assert f"max_rel_error of {name}" in numbers
    assert numbers["max_rel_error of nearest run"] == 0.0


def test_a_table_is_one_prediction_and_one_table(door, monkeypatch, tmp_path):
    mus = BOX.from_unit(np.random.default_rng(7).random((300, 2)))
    np.savetxt(tmp_path / "mus.csv", mus, delimiter=",", header="k,q", comments="")
    calls = []
    own = type(door[1]["field process"]).answer
    monkeypatch.setattr(
        type(door[1]["field process"]),
        "answer",
        lambda self, question: calls.append(question.m) or own(self, question),
    )
    said = run(door[0], monkeypatch, "predict", "field process.h5", "--csv", tmp_path / "mus.csv")
    assert calls == [300] and len(said.strip().splitlines()) == 301


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("galerkin.h5", *MU, "--t", "0:1:0.5"), "knows no time"),
        (("galerkin.h5", *MU, "--mesh", "line.vtu"), "does not ask for a mesh"),
        (("galerkin.h5", *MU, "--loading", "loading.h5"), "does not ask for a loading"),
        (("galerkin.h5", *MU, "--given", "T=line.vtu"), "asks for no field 'T'"),
        (("galerkin.h5", *MU, "--signals", "s.csv"), "asks for no signals"),
        (("unsteady.h5", *MU, "--t", "0:1:0.3"), "at its 5 trained times only"),
        (("unsteady.h5", *MU, "--t", "0:2:1"), "leaves the trained times"),
        (("solid.h5", "--case", "solvers.laws"), "asks for a loading"),
        (("solid.h5", *MU, "--case", "solvers.laws"), "asks for no parameters"),
    ],
)
def test_what_is_not_asked_for_is_refused(door, options, message, monkeypatch):
    assert message in run(door[0], monkeypatch, "predict", *options, code=2)


def test_version_is_told(door, monkeypatch):
    assert run(door[0], monkeypatch, "--version").startswith("rom-platform ")
