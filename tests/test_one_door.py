"""One door: every stored kind of model serves every command."""

import csv
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import scipy.sparse as sp
from typer.testing import CliRunner

from cases.own_burgers import upwind
from cases.viscoplastic_cube import FLAT, cube, ten_steps
from rom.affine import Affine, Monomials
from rom.archive import save, save_model
from rom.archive.nouns import load, nouns
from rom.basis import Basis, LocalBases
from rom.campaign import collect
from rom.certified import MinTheta, galerkin, residual_bound, unsteady
from rom.certified.output_bounds import DualWeighted
from rom.cli.app import app
from rom.deploy import model_server
from rom.deploy.service import answer_request, describe_model
from rom.dynamics import Stencil, dmd, dmdc, edmd, nonlinear_model, project_rate
from rom.errors import BadInput
from rom.gp import (
    coefficient_gp,
    field_gp,
    kronecker_gp,
    positive_field_gp,
    process_average,
    run_interpolation,
    trajectory_gp,
    variational_gp,
    vecchia_gp,
)  # fmt: skip
from rom.io import read_file, write_mesh
from rom.local.classifier import Classifier
from rom.local.models import LocalModel
from rom.mesh import Mesh
from rom.model import Asks, Model
from rom.operators import operator_gp
from rom.parameters import Box
from rom.prediction import Output, Prediction, Quantity
from rom.problem import Problem
from rom.shapes import Same, Sample, shape_model
from rom.snapshots import Snapshots
from rom.solids import train_solid
from rom.solids.model import Tolerances
from rom.solids.switching import switching
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


def heat(u, mu):
    return F.terms[0] - A(np.asarray(mu)) @ u


def wind():
    """T T_x on the line, upwind, with walls at its ends."""
    i = np.arange(N)
    none = np.full(N, -1)
    reads = np.column_stack([i, i - 1, np.where(i + 1 < N, i + 1, -1), none, none, none])
    return Stencil(reads, np.column_stack([np.full(N, 10.0), np.zeros(N)]), upwind)


def mean(mu):
    return np.array([steady(mu).mean()])


def coefficients(mu):
    return np.array([1.0, 2.0, 3.0]) * mean(mu)


def source_and_heat(mu):
    """A source q on the line and the temperature of it, one after the other."""
    q = mu[0] * np.cos(np.pi * LINE.points[:, 0]) + mu[1]
    return np.concatenate([q, sp.linalg.spsolve(A([0.7, 2.0]).tocsc(), q)])


FIELDS_OF_MAP = (Field("q", "W/m3", np.arange(N)), Field("T", "K", np.arange(N, 2 * N)))


def operator(mus):
    """The operator from q to T."""
    both = np.stack([source_and_heat(mu) for mu in mus], axis=1)
    halves = []
    for part, u in zip(FIELDS_OF_MAP, np.split(both, 2), strict=True):
        space = Space(np.ones(N), np.arange(N), None, (replace(part, rows=np.arange(N)),))
        halves.append(Snapshots(space, np.zeros((len(mus), 0)), u))
    return operator_gp(*halves)


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
    runs = np.hstack([trajectory(mu) for mu in mus])
    moving_basis = orthonormal(runs, 4)
    spread = Snapshots(SPACE, np.repeat(mus, len(TIMES), axis=0), runs, np.tile(TIMES, len(mus)))
    moving = unsteady(
        MASS, A, F, moving_basis, TIMES, box=BOX,
        bound=residual_bound(A, F, moving_basis, stability, MASS),
    )  # fmt: skip
    one = Snapshots(SPACE, np.repeat(mus[:1], len(TIMES), axis=0), trajectory(mus[0]), TIMES)
    y = np.array([mean(mu)[0] for mu in mus])
    classifier = Classifier(
        np.zeros(2), np.ones(2), mus, np.ones((8, 2)), np.zeros(2), 0.5, np.eye(2)
    )
    halves = (np.eye(3)[:, :2], np.eye(3)[:, 1:])
    local = LocalBases(basis, halves, np.zeros(8, int), np.eye(3)[:, :2], None, classifier)
    ones = tuple(galerkin(A, F, local.basis(k), box=BOX) for k in range(2))
    conjugate = galerkin(A, MEAN, basis, bound=residual_bound(A, MEAN, basis, stability), box=BOX)
    designs = [
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
        "logarithms": positive_field_gp(Snapshots(SPACE, mus, U), orthonormal(np.log(U)), BOX),
        "coefficients": coefficient_gp(mus, basis.coefficients(U).T, BOX),
        "average": process_average(mus, basis.coefficients(U).T, BOX),
        "interpolation": run_interpolation(mus, basis.coefficients(U).T, BOX, regressor="linear"),
        "kronecker": grid,
        "vecchia": vecchia_gp(BOX.from_unit(rng.random((40, 2))), rng.random(40), neighbours=4),
        "variational": variational_gp(
            BOX.from_unit(rng.random((30, 2))), np.arange(30.0) // 6, "poisson", neighbours=4
        ),
        "trajectories": trajectory_gp(spread, BOX, kernels=("matern52",)),
        "linear law": dmd(one, orthonormal(one.u, 2)),
        "lifted map": edmd(replace(spread, mu=np.zeros((spread.m, 0))), moving_basis),
        "law with signals": dmdc(
            replace(spread, mu=np.zeros((spread.m, 0))),
            moving_basis,
            {"push": rng.random((len(mus), len(TIMES)))},
        ),
        "nonlinear": nonlinear_model(
            Problem(trajectory, BOX, SPACE, A=A, f=F, M=MASS, times=TIMES, term=wind()),
            spread,
            moving_basis,
        ),
        "polynomial law": project_rate(heat, spread, moving_basis, BOX),
        "shapes": shape_model(designs, Same(), LINE, names=("q",)),
        "operator": operator(mus),
    }


MEAN = Affine(Monomials(np.ones(1), np.zeros((1, 2))), (np.full(N, 1 / N),))


def solids(b, run, loading, folder):
    """Three hyper-reduced solids of one run, each with its loading in a file."""
    modes, _ = np.linalg.qr(run.u)
    modes = modes[:, :3] / np.sqrt(b.space.product)[:, None]
    basis, points = Basis(b.space, modes), np.arange(b.points.n)
    one = weighted_model(basis, b.strain(modes), b, points, b.points.product)
    eye, zero = np.eye(3), np.zeros(2)
    bases = LocalBases(
        basis, (eye[:, :2], eye[:, 1:]), np.zeros(8, int), eye[:, :2], None,
        Classifier(zero, np.ones(2), np.ones((8, 2)), np.ones((8, 2)), zero, 0.5, np.eye(2)),
    )  # fmt: skip
    halves = [
        weighted_model(own, b.strain(own.modes), b, points, b.points.product)
        for own in map(bases.basis, range(2))
    ]
    local = switching(bases, tuple(halves), b)
    whole = train_solid(b, [run], Tolerances(1e-3, 1e-3, 1e-3, 1e-3))
    save(folder / "loading.h5", loading.reduce(basis, one.points, b.points))
    save(folder / "hull loading.h5", local.reduce(loading, b.points))
    save(folder / "whole loading.h5", loading)
    return {"solid": one, "local solids": local, "whole solid": whole}


KINDS = (
    "galerkin", "unsteady", "dual-weighted", "local", "field process", "logarithms", "coefficients",
    "average", "interpolation",
    "kronecker", "vecchia", "variational", "trajectories", "linear law", "lifted map",
    "polynomial law", "law with signals", "nonlinear", "solid", "local solids",
    "whole solid", "shapes", "operator",
)  # fmt: skip
SOLIDS = ("solid", "local solids", "whole solid")
IN_TIME = (
    "unsteady", "trajectories", "linear law", "lifted map", "polynomial law", "law with signals",
    "nonlinear", *SOLIDS,
)  # fmt: skip
ONE_TIME = ("--t", "0.5")
ON_MESH = (
    "galerkin", "unsteady", "local", "field process", "logarithms", "trajectories", "linear law",
    "lifted map", "polynomial law", "law with signals", "nonlinear", "operator",
)  # fmt: skip
COMMANDS = (
    "inspect", "predict .npz", ".csv", ".vtu", ".vtkhdf", ".xdmf", "view", "study", "report",
    "export",
)  # fmt: skip


def service(kind, command):
    """What a command does for a kind of model: the words of the table in the README."""
    if command == ".vtu" and kind in (*SOLIDS, "law with signals"):
        return "several times: .vtkhdf"
    if command == ".vtu" and kind in IN_TIME:
        return "one time"
    return "yes"


def table():
    """The lines of the table of kinds and commands."""
    rows = [("kind", *COMMANDS), ("---",) * (1 + len(COMMANDS))]
    rows += [(kind, *(service(kind, command) for command in COMMANDS)) for kind in KINDS]
    return [f"| {' | '.join(row)} |" for row in rows]


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
    stored |= solids(b, run, loading, folder)
    collect(
        lambda mu: run.u, np.ones((1, 1)), folder / "solid", box=Box(("one",), [0.0], [2.0]),
        space=b.space, times=loading.t[1:],
    )  # fmt: skip
    write_mesh(folder / "line.vtu", LINE, {"T": (np.ones(N), "K")})
    write_designs(folder / "designs", (0.15, 0.5, 0.85))
    collect(coefficients, mus, folder / "coefficients", box=BOX)
    space = Space(np.ones(2 * N), np.arange(2 * N), None, FIELDS_OF_MAP)
    collect(source_and_heat, mus, folder / "map", box=BOX, space=space)
    np.save(folder / "source.npy", np.ones(N))
    collect(trajectory, mus[:1], folder / "one run", box=BOX, space=SPACE, times=TIMES)
    np.save(folder / "first.npy", np.zeros(N))
    pushes = "\n".join(f"{t},{k % 2}" for k, t in enumerate(TIMES))
    (folder / "push.csv").write_text(f"t,push\n{pushes}")
    for name, model in stored.items():
        mesh = b.mesh if name in SOLIDS else LINE
        keeps_mesh = name in ON_MESH or name in SOLIDS
        save_model(folder / f"{name}.h5", model, mesh if keeps_mesh else None)
    return folder, stored


def write_designs(folder, values):
    """Designs that no model has seen, as `rom shapes train` takes them."""
    folder.mkdir()
    lines = ["file,q,w"]
    for k, q in enumerate(values):
        write_mesh(folder / f"d{k}.vtu", LINE, {"u": (np.sin(q + LINE.points[:, 0]), "")})
        lines.append(f"d{k}.vtu,{q},{q}")
    (folder / "scalars.csv").write_text("\n".join(lines))


LAWS = ("--case", "solvers.laws")
WIND = ("--case", "cases.own_burgers")
QUESTION = {
    "nonlinear": ("--mu", "0.7,2", *WIND),
    "linear law": (),
    "lifted map": (),
    "law with signals": ("--signals", "push.csv", "--given", "T=first.npy"),
    "solid": ("--loading", "loading.h5", *LAWS),
    "local solids": ("--loading", "hull loading.h5", "--mu", "1", *LAWS),
    "whole solid": ("--loading", "whole loading.h5", *LAWS),
    "shapes": ("--mesh", "line.vtu", "--mu", "0.5"),
    "operator": ("--given", "q=source.npy"),
}
TRUTH = {
    "galerkin": "steady", "unsteady": "moving", "local": "steady", "field process": "steady",
    "trajectories": "moving", "coefficients": "coefficients", "shapes": "designs",
    "interpolation": "coefficients", "average": "coefficients", "logarithms": "steady",
    "linear law": "one run", "lifted map": "one run", "polynomial law": "moving",
    "law with signals": "moving", "operator": "map", "nonlinear": "moving",
    **dict.fromkeys(SOLIDS, "solid"),
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
    folder, _ = door
    name = request.param
    question = QUESTION.get(name, ("--mu", "0.7,2"))
    law = LAWS if name in SOLIDS else WIND if name == "nonlinear" else ()
    return name, folder, f"{name}.h5", question, law


def test_every_stored_model_is_a_kind(door):
    storable = {noun for noun in nouns().values() if issubclass(noun, Model)}
    assert {type(model) for model in door[1].values()} == storable
    assert set(door[1]) == set(KINDS)


def test_the_table_of_the_readme_is_this_one():
    readme = (Path(__file__).parents[1] / "README.md").read_text()
    assert "\n".join(table()) in readme, "\n".join(["put into README.md:", *table()])


def test_inspect_says_what_is_asked_and_told(kind, monkeypatch):
    name, folder, file, _, law = kind
    facts = json.loads(run(folder, monkeypatch, "inspect", file, *law, "--json"))
    assert any(key.startswith("tells ") for key in facts) and facts["error known by"]
    assert any(key.startswith(("asks ", "parameter ")) for key in facts), name


@pytest.mark.parametrize("suffix", ["npz", "csv", "vtu", "vtkhdf", "xdmf"])
def test_predict_writes_every_format(kind, suffix, monkeypatch, tmp_path):
    name, folder, file, question, _ = kind
    target = tmp_path / f"answer.{suffix}"
    answer = service(name, f".{suffix}")
    if answer != "yes":
        said = run(folder, monkeypatch, "predict", file, *question, "--out", target, code=2)
        assert "holds one state" in said
        if answer != "one time":
            return
        question = (*question, *ONE_TIME)
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
        "local solids": ("displacement",),
        "whole solid": ("u",),
        "trajectories": ("T", "deviation", "conformal band of whole trajectories"),
        "polynomial law": ("T",),
        "lifted map": ("T",),
        "nonlinear": ("T",),
        "law with signals": ("T",),
        "operator": ("T", "deviation", "conformal band at level 0.95"),
    }.get(name, ("standard deviation",) if name != "shapes" else ("u",))


def test_view_draws_every_kind(kind, monkeypatch, tmp_path):
    _, folder, file, question, _ = kind
    run(folder, monkeypatch, "view", file, *question, "--picture", tmp_path / "a.png")
    assert (tmp_path / "a.png").read_bytes()[:4] == b"\x89PNG"


def test_study_and_report_serve_every_kind(kind, monkeypatch, tmp_path):
    name, folder, file, question, law = kind
    extra = (*question[:2], *law) if name in (*SOLIDS, "law with signals") else law
    store = TRUTH.get(name, "mean")
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


def test_a_service_answers_every_kind_that_asks_for_no_mesh_and_no_loading(door):
    _, stored = door
    for name, model in stored.items():
        asks = model.asks
        if asks.mesh or asks.loading:
            with pytest.raises(BadInput, match=r"the model asks for a (mesh|loading); a service"):
                model_server(model, port=0)
            continue
        request = describe_model(model)["ask"]["example"]
        request |= {"signals": {signal.name: [0.5] * 5 for signal in asks.signals}}
        request |= {"given": {field.name: [1.0] * N for field in asks.fields}}
        if asks.p and asks.box is None:
            request |= {"mu": [1.0] * asks.p}
        told = answer_request(model, json.dumps(request).encode())
        assert set(told["fields"]) == {quantity.name for quantity in model.tells[:1]}, name
        assert told["fields"] or told["outputs"], name


def test_designs_are_studied_beside_the_mean_field(door, monkeypatch):
    """The mean of sin(q + x) over the six training designs, q = 0, .2, ..., 1."""
    words = ("study", "designs/scalars.csv", "shapes.h5", "--json")
    numbers = json.loads(run(door[0], monkeypatch, *words).strip().splitlines()[-1])
    x = LINE.points[:, 0]
    mean = np.mean([np.sin(q + x) for q in np.linspace(0, 1, 6)], axis=0)
    errors = [
        np.linalg.norm(np.sin(q + x) - mean) / np.linalg.norm(np.sin(q + x))
        for q in (0.15, 0.5, 0.85)
    ]
    np.testing.assert_allclose(numbers["max_rel_error of mean field, u"], max(errors), rtol=1e-9)
    assert numbers["max_rel_error u"] < 0.1 * max(errors) and "max_error w" in numbers
    folder = json.loads(run(door[0], monkeypatch, "study", "designs", *words[2:]))
    assert folder["max_rel_error u"] == numbers["max_rel_error u"]


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


class Motor(Model):
    """Heat that follows two signals: a model that no file can hold."""

    asks = Asks(times=TIMES, signals=(Quantity("stroke", "m"), Quantity("speed", "1/s")))
    tells_outputs = (Quantity("heat", "W"),)

    def answer(self, question):
        """2 x^2 + n at the times of the question."""
        x, n = question.signals["stroke"], question.signals["speed"]
        heat = Output((2.0 * x**2 + n)[None], "W")
        return Prediction(question, {}, t=question.t, outputs={"heat": heat})


@pytest.fixture
def motor(tmp_path, monkeypatch):
    """A folder where every file is the motor."""
    monkeypatch.setattr("rom.cli.predict.read_asks", lambda *_: Motor.asks)
    monkeypatch.setattr("rom.cli.predict.open_model", lambda *_: (Motor(), None, {}))
    (tmp_path / "motor.h5").touch()
    return tmp_path


def test_signals_come_from_a_table_in_their_own_units(motor, monkeypatch):
    """The times are those of the column t, and mm become m."""
    rows = ["t [s],speed,stroke [mm]", "0,10,0", "0.5,20,1000", "1,30,3000"]
    (motor / "s.csv").write_text("\n".join(rows))
    command = ("predict", "motor.h5", "--signals", "s.csv", "--out")
    run(motor, monkeypatch, *command, "a.npz")
    with np.load(motor / "a.npz") as arrays:
        np.testing.assert_allclose(arrays["heat [W]"], [10.0, 22.0, 48.0], rtol=1e-14)
        np.testing.assert_array_equal(arrays["t [s]"], [0.0, 0.5, 1.0])
    run(motor, monkeypatch, *command, "b.npz", "--t", "0:1:0.5")
    with np.load(motor / "a.npz") as one, np.load(motor / "b.npz") as other:
        assert set(one) == set(other)
        np.testing.assert_array_equal(one["heat [W]"], other["heat [W]"])


@pytest.mark.parametrize(
    ("table", "options", "message"),
    [
        ("t,speed\n0,1\n1,2", (), "asks for the signal 'stroke'; none was given"),
        ("t,speed,stroke,noise\n0,1,2,3", (), "asks for no signal 'noise'"),
        ("t,speed,stroke [K]\n0,1,2", (), "stroke is in [K] and is wanted in [m]"),
        ("t,speed,stroke\n0,1", (), "2 entries under 3 names"),
        ("t,speed,stroke\n0,1,2\n1,1,2", ("--t", "0:1:0.25"), "leave --t out"),
        ("t,speed,stroke\n0,1,2\n2,1,2", (), "leaves the trained times"),
    ],
)
def test_signals_that_do_not_fit_are_refused_by_name(motor, table, options, message, monkeypatch):
    (motor / "s.csv").write_text(table)
    command = ("predict", "motor.h5", "--signals", "s.csv", *options)
    assert message in run(motor, monkeypatch, *command, code=2)


def test_a_loading_in_toml_is_the_loading_of_the_archive(door, monkeypatch, tmp_path):
    """u, p and stress of both are the same to the last bit."""
    loading = load(door[0] / "whole loading.h5")
    lines = [f"t = {loading.t.tolist()}"]
    for kind, fields, tables in (
        ("force", loading.forces, loading.amplitudes),
        ("temperature", loading.temperatures, loading.mixture),
    ):
        for k, (field, table) in enumerate(zip(fields.T, tables.T, strict=True)):
            np.save(tmp_path / f"{kind}{k}.npy", field)
            lines += [f"[[{kind}]]", f'field = "{kind}{k}.npy"', f"table = {table.tolist()}"]
    assert loading.moves is None
    (tmp_path / "loading.toml").write_text("\n".join(lines))
    answers = []
    for path in (door[0] / "whole loading.h5", tmp_path / "loading.toml"):
        out = tmp_path / f"{path.suffix[1:]}.npz"
        run(
            door[0],
            monkeypatch,
            "predict",
            "whole solid.h5",
            "--loading",
            path,
            *LAWS,
            "--out",
            out,
        )
        with np.load(out) as arrays:
            answers.append(dict(arrays))
    assert answers[0].keys() == answers[1].keys() and np.ptp(answers[0]["p"]) > 0
    for key, values in answers[0].items():
        np.testing.assert_array_equal(values, answers[1][key])


def test_fields_that_a_mesh_file_cannot_hold_are_said(door, monkeypatch, tmp_path, caplog):
    """The cube has faces beside its cells, and no number may stand on those."""
    question, out = QUESTION["whole solid"], tmp_path / "a.vtkhdf"
    run(door[0], monkeypatch, "predict", "whole solid.h5", *question, "--out", out)
    assert any(name.startswith("u") for name in written_names(out))
    for name in ("p", "stress"):
        assert f"'{name}' at integration points is left out" in caplog.text


def test_version_is_told(door, monkeypatch):
    assert run(door[0], monkeypatch, "--version").startswith("rom-platform ")
