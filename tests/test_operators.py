"""Operators from fields to fields: laws of the regression, of symmetries and of bands."""

from __future__ import annotations

import json

import numpy as np
import pytest
from typer.testing import CliRunner

from rom.archive import load_model, save_model
from rom.campaign import collect
from rom.cli.app import app
from rom.errors import BadInput
from rom.mesh import Mesh
from rom.model import Asks
from rom.operators import (
    Symmetry,
    Translation,
    from_torch,
    operator_gp,
    plug_operator,
    point_symmetry,
    simple_answers,
)
from rom.operators.coordinates import principal_axes
from rom.operators.groups import irreducible_blocks, largest_subgroups
from rom.operators.lengths import left_out_loss
from rom.operators.regression import Images, OperatorKernel, fit_weights, left_out_squares
from rom.operators.simple import simple_left_out
from rom.operators.training import images_of_runs
from rom.parameters import Box
from rom.snapshots import Snapshots
from rom.space import Field, Space, euclidean
from solvers.darcy import every_node, permeabilities, pressures
from solvers.periodic import burgers, random_starts

SIDE = 5
GRID = np.stack(np.meshgrid(np.arange(SIDE), np.arange(SIDE), indexing="ij"), axis=-1)
GRID = GRID.reshape(-1, 2).astype(float)
LINE = 32
SQUARE = point_symmetry(GRID)


def columns(u, name=None):
    fields = () if name is None else (Field(name, "K", np.arange(len(u))),)
    return Snapshots(Space(np.ones(len(u)), np.arange(len(u)), None, fields),
                     np.zeros((u.shape[1], 0)), u)  # fmt: skip


def relative(u, true):
    return np.linalg.norm(u - true, axis=0) / np.linalg.norm(true, axis=0)


def poisson(f, stretch=1.0):
    """-u_xx - stretch u_yy + u = f + f^2 on the grid, symmetric where stretch is one."""
    D = 2 * np.eye(SIDE) - np.eye(SIDE, k=1) - np.eye(SIDE, k=-1)
    A = np.kron(D, np.eye(SIDE)) + stretch * np.kron(np.eye(SIDE), D) + np.eye(SIDE**2)
    return np.linalg.solve(A, f + f**2)


def on_grid(m, rng, stretch=1.0):
    """Smooth random fields on the grid, as likely as their images, and their answers."""
    x = np.cos(np.pi * (np.arange(SIDE) + 0.5)[:, None] / SIDE * np.arange(3))
    c = np.random.default_rng(rng).standard_normal((3, 3, m)) * 0.5
    f = np.einsum("ip,jq,pqm->ijm", x, x, c).reshape(-1, m)
    return f, poisson(f, stretch)


def images_of(f, u, symmetry):
    z = np.stack([symmetry.act_in(g, f).T for g in range(symmetry.size)])
    y = np.stack([symmetry.act_out(g, u).T for g in range(symmetry.size)])
    return Images(z, y, irreducible_blocks(symmetry.table))


def dense(kernel, x, y):
    """The kernel by its definition, one pair at a time."""
    K = np.empty((len(x), len(y)))
    for i, p in enumerate(x):
        for j, q in enumerate(y):
            d = np.sqrt(5.0) * np.linalg.norm(p - q) / kernel.length
            K[i, j] = (1 + d + d**2 / 3) * np.exp(-d) + kernel.linear * (p @ q) / kernel.scale
    return K


# the regression


@pytest.mark.parametrize("name", ["square", "turns", "rectangle", "transpose"])
def test_left_out_errors_are_those_of_regressions_without_the_run_and_its_images(name):
    symmetry = point_symmetry(GRID, name)
    f, u = on_grid(6, 1)
    images = images_of(f, u, symmetry)
    kernel = OperatorKernel("matern52", 4.0, 1e-2, 0.3, 5.0)
    solution = fit_weights(kernel, images)
    z, y = (part.reshape(-1, part.shape[2]) for part in (images.z, images.y))
    K = dense(kernel, z, z) + kernel.nugget * np.eye(len(z))
    fresh, _ = on_grid(3, 2)
    one = np.ones(len(z))
    Q = np.linalg.inv(K)
    beta = one @ Q @ y / (one @ Q @ one)
    whole = beta + dense(kernel, fresh.T, z) @ Q @ (y - beta)
    np.testing.assert_allclose(solution.beta, beta, rtol=0, atol=1e-9)
    own = np.zeros_like(whole) + solution.beta
    for g in range(symmetry.size):
        back = symmetry.act_in(symmetry.inverses[g], fresh).T
        own += symmetry.act_out(g, (dense(kernel, back, f.T) @ solution.weights).T).T
    np.testing.assert_allclose(own, whole, rtol=0, atol=1e-9)
    run = np.tile(np.arange(6), symmetry.size)
    for i in range(6):
        rest = run != i
        Q, one = np.linalg.inv(K[np.ix_(rest, rest)]), np.ones(rest.sum())
        beta = one @ Q @ y[rest] / (one @ Q @ one)
        guess = beta + K[i][rest] @ Q @ (y[rest] - beta)
        np.testing.assert_allclose(solution.errors[i], y[i] - guess, rtol=0, atol=1e-9)
    squares = np.sum(solution.errors**2, axis=1)
    np.testing.assert_allclose(left_out_squares(kernel, images), squares, rtol=1e-9)


@pytest.mark.parametrize(
    ("name", "sizes"),
    [("square", [(1, 1)] * 4 + [(2, 2)]), ("rectangle", [(1, 1)] * 4),
     ("turns", [(1, 1), (1, 1), (2, 1)])],
)  # fmt: skip
def test_blocks_are_the_irreducible_ones_and_reproduce_the_group(name, sizes):
    """Dimensions of the real irreducible representations, from any table of characters."""
    table = point_symmetry(GRID, name).table
    blocks = irreducible_blocks(table)
    assert sorted((b.actions.shape[1], len(b.bases)) for b in blocks) == sizes
    whole = np.concatenate([Q for b in blocks for Q in b.bases], axis=1)
    np.testing.assert_allclose(whole.T @ whole, np.eye(len(table)), atol=1e-12)
    for block in blocks:
        for f in range(len(table)):
            for h in range(len(table)):
                both = block.actions[f] @ block.actions[h]
                np.testing.assert_allclose(block.actions[table[f, h]], both, atol=1e-10)


def test_a_linear_map_is_learnt_to_its_nugget_and_the_row_says_so():
    f, _ = on_grid(60, 3)
    u = np.random.default_rng(4).standard_normal((7, SIDE**2)) @ f
    model = operator_gp(columns(f[:, :40]), columns(u[:, :40]))
    assert relative(model.apply(f[:, 40:]), u[:, 40:]).max() < 1e-5
    assert model.left_out["linear map"] < 1e-8
    assert "linear map is better" in model.better or model.left_out["the model"] < 1e-8


def test_simple_answers_are_those_of_their_definitions():
    f, u = on_grid(9, 5)
    known = simple_left_out(columns(f), columns(u), u + 0.1, lambda a: None)
    errors = {name: [] for name in known}
    for i in range(9):
        rest = np.arange(9) != i
        answers = simple_answers(columns(f[:, rest]), columns(u[:, rest]), f[:, i : i + 1])
        for name, value in answers.items():
            errors[name].append(relative(value, u[:, i : i + 1])[0])
    for name in ("mean of training", "nearest run"):
        assert known[name] == pytest.approx(np.mean(errors[name]), rel=1e-9)
    assert known["base alone"] == pytest.approx(relative(u + 0.1, u).mean())
    one = simple_answers(columns(f), columns(u), f)
    np.testing.assert_array_equal(one["nearest run"], u)


def test_a_linear_map_left_out_is_the_ridge_regression_without_the_run():
    f, u = on_grid(8, 6)
    from rom.operators.simple import _linear_errors

    errors, ridge = _linear_errors(f.T @ f, u.T @ u)
    for i in range(8):
        rest = np.arange(8) != i
        F, U = f[:, rest], u[:, rest]
        mf, mu = F.mean(axis=1, keepdims=True), U.mean(axis=1, keepdims=True)
        dual = np.linalg.solve((F - mf).T @ (F - mf) + ridge * np.eye(7), (F - mf).T)
        guess = mu[:, 0] + (U - mu) @ dual @ (f[:, i] - mf[:, 0])
        assert errors[i] == pytest.approx(np.linalg.norm(u[:, i] - guess), rel=1e-6)


@pytest.mark.parametrize("m", [12, 40])
def test_left_out_errors_do_not_promise_what_noise_cannot_keep(m):
    """Outputs that know nothing of rough inputs: none is better than the mean, nor said to be."""
    rng = np.random.default_rng(m)
    a, u = rng.standard_normal((60, m)), rng.standard_normal((9, m))
    model = operator_gp(columns(a), columns(u))
    assert model.left_out["the model"] > 0.9 * model.left_out["mean of training"]


# symmetries


def test_largest_subgroups_of_the_square_are_its_three():
    subgroups = {frozenset(group.tolist()) for group in largest_subgroups(SQUARE.table)}
    assert subgroups == {
        frozenset({0, 1, 2, 3}), frozenset({0, 3, 4, 5}), frozenset({0, 3, 6, 7})
    }  # fmt: skip


def test_the_answer_to_an_image_is_the_image_of_the_answer():
    f, u = on_grid(40, 7)
    symmetry = point_symmetry(GRID)
    model = operator_gp(columns(f), columns(u), symmetry=symmetry)
    fresh, _ = on_grid(4, 8)
    answers = model.apply(fresh)
    for g in range(8):
        image = model.apply(symmetry.act_in(g, fresh))
        np.testing.assert_allclose(image, symmetry.act_out(g, answers), rtol=0, atol=1e-9)
    plain = operator_gp(columns(f), columns(u))
    true = poisson(fresh)
    assert relative(answers, true).mean() < 0.5 * relative(plain.apply(fresh), true).mean()


def test_the_answer_to_a_shifted_field_is_shifted():
    a = random_starts(LINE, 60, rng=1)
    u = burgers(a, nu=0.5, length=2 * np.pi, steps=100)
    mirror = point_symmetry(np.arange(LINE)[:, None], "mirror x", odd=True)
    for symmetry in (None, mirror):
        model = operator_gp(
            columns(a[:, :40]), columns(u[:, :40]), frame=Translation(LINE), symmetry=symmetry
        )
        fresh = a[:, 40:]
        answers = model.apply(fresh)
        shifted = model.apply(np.roll(fresh, 5, axis=0))
        size = np.abs(answers).max()
        np.testing.assert_allclose(shifted, np.roll(answers, 5, axis=0), atol=1e-8 * size)
        if symmetry is not None:
            mirrored = model.apply(symmetry.act_in(1, fresh))
            np.testing.assert_allclose(mirrored, symmetry.act_out(1, answers), atol=1e-8 * size)


def test_a_wrong_symmetry_is_refused_and_a_right_one_kept():
    """Stretched in one direction, the square's transpose is wrong and its mirrors are right."""
    f, u = on_grid(60, 9, 5.0)
    for wrong in ("square", "transpose"):
        with pytest.raises(BadInput, match=f"the symmetry '{wrong}' is not that of the data"):
            operator_gp(columns(f), columns(u), symmetry=point_symmetry(GRID, wrong))
    right = operator_gp(columns(f), columns(u), symmetry=point_symmetry(GRID, "rectangle"))
    plain = operator_gp(columns(f), columns(u))
    assert right.left_out["the model"] < plain.left_out["the model"]


def test_a_field_without_a_first_mode_has_no_frame_and_the_answer_says_so():
    a = random_starts(LINE, 30, rng=2)
    model = operator_gp(columns(a), columns(a**2), frame=Translation(LINE))
    x = 2 * np.pi * np.arange(LINE) / LINE
    kinds = [warned.kind for warned in model.predict(fields={"a": np.cos(2 * x)}).warnings]
    assert "frame" in kinds


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: point_symmetry(GRID, "hexagon"), "no symmetry 'hexagon'"),
        (lambda: point_symmetry(GRID * [1, 2], "transpose"), "no node where the symmetry"),
        (lambda: point_symmetry(GRID[:, :1], "transpose"), "these lie on a line"),
        (lambda: Symmetry("s", [[0, 1], [1, 1]], np.ones((2, 2)), [[0], [0]], np.ones((2, 1))),
         "each value once"),
        (lambda: Symmetry("s", [[0, 1, 2], [1, 2, 0]], np.ones((2, 3)), [[0], [0]],
                          np.ones((2, 1))), "is no group"),
        (lambda: Symmetry("s", [[1, 0]], np.ones((1, 2)), [[0]], np.ones((1, 1))),
         "begin with the identity"),
        (lambda: Symmetry("s", [[0, 1]], np.ones((1, 2)), [[0], [0]], np.ones((2, 1))),
         "give as many"),
        (lambda: Symmetry("s", [0, 1], np.ones(2), [[0]], np.ones((1, 1))), "give both"),
        (lambda: Translation(2), "fewer than three"),
        (lambda: Translation(7.5), "whole number"),
        (lambda: Translation(7).shift(np.ones((8, 1)), np.zeros(1)), "no rows of 7"),
    ],
)  # fmt: skip
def test_what_is_no_symmetry_is_refused(call, message):
    with pytest.raises(BadInput, match=message):
        call()


# bands


def test_bands_hold_at_their_level_on_fresh_runs():
    """Share of 500 fresh fields inside, over five trainings of 40: binomial about .9."""
    held = []
    for seed in range(5):
        f, u = on_grid(140, 100 + seed)
        model = operator_gp(columns(f[:, :40]), columns(u[:, :40]), level=0.9)
        answer = model.predict(fields={"a": f[:, 40:]})
        miss = np.sqrt(np.mean((model.apply(f[:, 40:]) - u[:, 40:]) ** 2, axis=0))
        held.append(miss <= answer.parts["u"].errors[0].value)
    share = np.mean(held)
    assert 0.85 < share < 0.96, share


def shallow(a):
    """A coarse answer: a third too stiff in one direction."""
    return poisson(a, 1.3)


def _operator():
    D = 2 * np.eye(SIDE) - np.eye(SIDE, k=1) - np.eye(SIDE, k=-1)
    return np.kron(D, np.eye(SIDE)) + np.kron(np.eye(SIDE), D) + np.eye(SIDE**2)


def remainder(a, u):
    """|f + f^2 - A u| of each field."""
    return np.linalg.norm(a + a**2 - _operator() @ u, axis=0)


def test_a_residual_gives_the_band_its_shape():
    f, u = on_grid(260, 11)
    runs = columns(f[:, :60]), columns(u[:, :60])
    flat, shaped = (operator_gp(*runs, residual=norm) for norm in (None, remainder))
    fresh, true = f[:, 60:], u[:, 60:]
    miss = np.sqrt(np.mean((flat.apply(fresh) - true) ** 2, axis=0))
    widths = [
        model.predict(fields={"a": fresh}).parts["u"].errors[0].value for model in (flat, shaped)
    ]
    np.testing.assert_array_equal(widths[0], widths[0][0])
    assert np.mean(miss <= widths[1]) > 0.88
    assert np.median(widths[1] / miss) < 0.8 * np.median(widths[0] / miss)
    assert np.corrcoef(np.log(miss), np.log(widths[1]))[0, 1] > 0.6


def test_the_difference_from_a_coarse_answer_is_learnt_and_its_own_error_stands_beside():
    f, u = on_grid(60, 12)
    runs = columns(f[:, :30]), columns(u[:, :30])
    corrected, plain = operator_gp(*runs, base=shallow), operator_gp(*runs)
    fresh, true = f[:, 30:], u[:, 30:]
    errors = [relative(answer, true).mean() for answer in
              (corrected.apply(fresh), plain.apply(fresh), shallow(fresh))]  # fmt: skip
    assert errors[0] < errors[1] and errors[0] < errors[2]
    alone = relative(shallow(f[:, :30]), u[:, :30]).mean()
    assert corrected.left_out["base alone"] == pytest.approx(alone)


def test_a_base_that_answers_all_leaves_nothing():
    f, u = on_grid(20, 13)
    model = operator_gp(columns(f), columns(u), base=poisson)
    answer = model.predict(fields={"a": f[:, :2]})
    np.testing.assert_allclose(answer.field("u", 1), u[:, 1], atol=1e-9)
    assert answer.parts["u"].errors[0].value.max() < 1e-9


def test_inputs_of_another_kind_are_outside():
    f, u = on_grid(100, 14)
    model = operator_gp(columns(f[:, :60]), columns(u[:, :60]))
    same = model.predict(fields={"a": f[:, 60:]})
    assert same.inside.mean() > 0.9
    rough = np.random.default_rng(0).standard_normal((SIDE**2, 5))
    other = model.predict(fields={"a": np.hstack([rough, 9 * f[:, :1]])})
    assert not other.inside.any()
    assert any(warned.kind == "range" for warned in other.warnings)


def test_a_network_of_torch_has_the_same_bands_from_runs_it_has_not_seen():
    torch = pytest.importorskip("torch")
    f, u = on_grid(200, 15)
    torch.manual_seed(0)
    n = SIDE**2
    network = torch.nn.Sequential(
        torch.nn.Flatten(), torch.nn.Linear(n, 32), torch.nn.Tanh(), torch.nn.Linear(32, n)
    ).double()
    step = torch.optim.Adam(network.parameters(), 1e-2)
    x, y = (torch.as_tensor(part[:, :60].T.copy()) for part in (f, u))
    for _ in range(150):
        step.zero_grad()
        torch.nn.functional.mse_loss(network(x), y).backward()
        step.step()
    answer = from_torch(network, (1, SIDE, SIDE))
    model = plug_operator(answer, columns(f[:, 60:120], "f"), columns(u[:, 60:120], "T"))
    told = model.predict(fields={"f": f[:, 120:]})
    with torch.no_grad():
        own = network(torch.as_tensor(f[:, 120:].T.copy())).numpy().T
    np.testing.assert_allclose(told.field("T", 3), own[:, 3], atol=1e-12)
    miss = np.sqrt(np.mean((own - u[:, 120:]) ** 2, axis=0))
    assert np.mean(miss <= told.parts["T"].errors[0].value) > 0.85
    with pytest.raises(BadInput, match=r"no file can hold|no archive holds"):
        save_model("network.h5", model)
    with pytest.raises(BadInput, match=r"give a torch\.nn\.Module"):
        from_torch(lambda a: a, (1, 2))
    with pytest.raises(BadInput, match="give whole numbers"):
        from_torch(network, ())


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"base": lambda a: a[:3]}, r"in place of \(25, 8\)"),
        ({"base": lambda a: a * np.nan}, "gives NaN or Inf"),
        ({"residual": lambda a, u: -np.ones(8)}, "a negative norm"),
        ({"residual": lambda a, u: np.ones(3)}, r"in place of \(8,\)"),
        ({"kernel": "cubic"}, "no kernel 'cubic'"),
        ({"rank": 0}, "rank = 0"),
        ({"level": 1.0}, "level = 1"),
        ({"symmetry": "square"}, "symmetry is a str"),
        ({"frame": 25}, "frame is a int"),
        ({"symmetry": point_symmetry(np.arange(4.0)[:, None], "mirror x")}, "fields of 4 and 4"),
    ],
)
def test_options_that_do_not_fit_are_refused(options, message):
    f, u = on_grid(8, 16)
    with pytest.raises(BadInput, match=message):
        operator_gp(columns(f), columns(u), **options)


def test_runs_that_are_no_operator_are_refused():
    f, u = on_grid(8, 17)
    runs = columns(f)
    two = Space(np.ones(25), np.arange(25), None,
                (Field("p", "1", np.arange(9)), Field("q", "1", np.arange(9, 25))))  # fmt: skip
    bad = [
        (columns(u[:, :5]), "8 inputs and 5 outputs"),
        (columns(u + 0j), "complex"),
        (Snapshots(two, np.zeros((8, 0)), u), "several fields"),
        (Snapshots(euclidean(25), np.zeros((8, 0)), u, np.arange(8.0)), "have times"),
    ]
    for outputs, message in bad:
        with pytest.raises(BadInput, match=message):
            operator_gp(runs, outputs)
    weighted = Snapshots(Space(np.arange(1.0, 26.0), np.arange(25)), np.zeros((8, 0)), u)
    with pytest.raises(BadInput, match="inner product of the outputs changes"):
        operator_gp(runs, weighted, symmetry=SQUARE)
    with pytest.raises(BadInput, match="inner product of the outputs changes"):
        operator_gp(runs, weighted, frame=Translation(25))
    with pytest.raises(BadInput, match="too few"):
        operator_gp(columns(f[:, :3]), columns(u[:, :3]))
    with pytest.raises(BadInput, match="all inputs are one field"):
        operator_gp(columns(0 * f), columns(u))
    model = operator_gp(runs, columns(u))
    with pytest.raises(BadInput, match="has 9 values, those of the training 25"):
        model.predict(fields={"a": np.ones(9)})


def test_a_field_of_several_samples_is_several_questions():
    asks = Asks(0, fields=operator_gp(*(columns(part) for part in on_grid(8, 18))).asks.fields)
    assert asks.question(fields={"a": np.ones((25, 7))}).m == 7
    assert asks.question(fields={"a": np.ones(25)}).single


# the command line


def both_fields(mu):
    """A permeability by its number, and the pressure, one after the other."""
    a = permeabilities(17, 1, rng=int(mu[0]))
    return np.concatenate([every_node(part, 2)[:, 0] for part in (a, pressures(a))])


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    folder = tmp_path_factory.mktemp("operators")
    x = np.linspace(0, 1, 9)
    grid = np.stack(np.meshgrid(x, x, indexing="ij"), axis=-1).reshape(-1, 2)
    corner = np.arange(81).reshape(9, 9)[:-1, :-1].ravel()
    mesh = Mesh(grid, {"quad": np.stack([corner, corner + 9, corner + 10, corner + 1], axis=1)})
    fields = (Field("a", "m2", np.arange(81)), Field("p", "Pa", np.arange(81, 162)))
    space = Space(np.ones(162), np.arange(162), None, fields)
    box = Box(("number",), [0.0], [1000.0])
    for name, start, count in (("runs", 0, 40), ("fresh", 500, 12)):
        numbers = np.arange(start, start + count)[:, None].astype(float)
        collect(both_fields, numbers, folder / name, box=box, space=space, mesh=mesh)
    np.save(folder / "a.npy", both_fields([900])[:81])
    (folder / "coarse.py").write_text(
        "import numpy as np\nfrom solvers.darcy import pressures\n\n\n"
        "def rough(a):\n    return pressures(a)\n\n\n"
        "def size(a, p):\n    return np.linalg.norm(p - rough(a), axis=0) + 1e-9\n"
    )
    return folder


def run(folder, monkeypatch, *options, code=0):
    monkeypatch.chdir(folder)
    done = CliRunner().invoke(app, [str(option) for option in options])
    assert done.exit_code == code, done.output
    return done.output


TRAIN = ("train", "runs", "--kind", "operator", "--from", "a", "--to", "p", "--json")


def test_an_operator_is_trained_and_studied_from_stores(store, monkeypatch):
    said = json.loads(run(store, monkeypatch, *TRAIN, "--symmetry", "square", "--out", "sym.h5"))
    assert said["left_out_error the model"] < said["left_out_error linear map"]
    told = ("study", "sym.h5", "fresh", "--store", "runs", "--json")
    numbers = json.loads(run(store, monkeypatch, *told))
    assert numbers["max_rel_error p"] < numbers["max_rel_error of mean of training, p"]
    for name in ("nearest run", "linear map"):
        assert f"max_rel_error of {name}, p" in numbers
    model = load_model(store / "sym.h5")[0]
    run(store, monkeypatch, "predict", "sym.h5", "--given", "a=a.npy", "--out", "answer.npz")
    with np.load(store / "answer.npz") as arrays:
        own = model.apply(np.load(store / "a.npy")[:, None])[:, 0]
        np.testing.assert_array_equal(arrays["p [Pa]"].ravel(), own)


def test_an_operator_is_trained_again_without_some_runs(store, monkeypatch):
    run(store, monkeypatch, *TRAIN, "--rank", "8", "--kernel", "rbf", "--out", "small.h5")
    command = ("study", "small.h5", "runs", "--json", "--hold-out", "0.25")
    numbers = json.loads(run(store, monkeypatch, *command).strip().splitlines()[-1])
    assert numbers["parameters"] == 10 and "max_rel_error of linear map, p" in numbers


def test_a_base_and_a_residual_are_stored_by_name_and_asked_for(store, monkeypatch):
    options = ("--case", "coarse.py", "--base", "rough", "--residual", "size")
    said = json.loads(run(store, monkeypatch, *TRAIN, *options, "--out", "base.h5"))
    assert said["left_out_error base alone"] > 0
    question = ("predict", "base.h5", "--given", "a=a.npy")
    assert "--case" in run(store, monkeypatch, *question, code=2)
    assert "p" in run(store, monkeypatch, *question, "--case", "coarse.py")
    run(store, monkeypatch, "study", "base.h5", "fresh", "--case", "coarse.py")


OWN_CASE = """
import numpy as np
from rom.parameters import Box
from rom.problem import Problem
from rom.space import Field, Space

X = np.linspace(0, 1, 20)


def problem():
    fields = (Field("q", "1", np.arange(20)), Field("v", "1", np.arange(20, 40)))
    space = Space(np.ones(40), np.arange(40), None, fields)
    return Problem(solve, Box(("c", "s"), [0.5, 0.0], [2.0, 1.0]), space)


def solve(mu):
    q = mu[0] * np.sin(3 * X + mu[1])
    return np.concatenate([q, np.cumsum(q) / 20 + 0.1 * q**2])
"""


def test_an_operator_is_studied_against_fresh_solves_of_its_case(tmp_path, monkeypatch):
    (tmp_path / "own.py").write_text(OWN_CASE)
    run(tmp_path, monkeypatch, "collect", "own.py", "--n", "24")
    train = ("train", "own.py", "--kind", "operator", "--from", "q", "--to", "v", "--out", "m.h5")
    run(tmp_path, monkeypatch, *train)
    command = ("study", "own.py", "m.h5", "--n", "5", "--store", "own.store", "--json")
    numbers = json.loads(run(tmp_path, monkeypatch, *command).strip().splitlines()[-1])
    assert numbers["parameters"] == 5
    assert numbers["max_rel_error v"] < numbers["max_rel_error of linear map, v"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--to", "T"), "no field 'T'; they have: a, p"),
        (("--base", "rough"), "no function 'rough' for --base"),
        (("--symmetry", "hexagon"), "no symmetry 'hexagon'"),
        (("--translate", "7"), "no rows of 7 periodic nodes"),
    ],
)
def test_commands_refuse_by_name(store, monkeypatch, options, message):
    assert message in run(store, monkeypatch, *TRAIN, *options, "--out", "bad.h5", code=2)


@pytest.mark.parametrize("group", ["none", "square"])
def test_the_slopes_of_left_out_errors_are_their_differences(group):
    f, u = on_grid(14, 6)
    symmetry = None if group == "none" else SQUARE
    pairs = images_of_runs(symmetry, None, f, u)
    table = np.zeros((1, 1), dtype=np.int64) if symmetry is None else symmetry.table
    axes = principal_axes(columns(f), [pair[0] for pair in pairs], 8)
    images = Images(
        np.stack([axes.coefficients(pair[0]).T for pair in pairs]) / np.std(f),
        np.stack([pair[1].T for pair in pairs]),
        irreducible_blocks(table),
    )
    octave = np.repeat([0, 1], [axes.r // 2, axes.r - axes.r // 2])
    if group == "square":
        octave = np.zeros(axes.r, dtype=int)
    theta = np.concatenate([[-4.0, -1.0], np.full(octave.max() + 1, -1.0)])
    loss = lambda t: left_out_loss(t, "matern52", images, images.outputs, octave)  # noqa: E731
    step = 1e-5 * np.eye(len(theta))
    differences = [(loss(theta + d)[0] - loss(theta - d)[0]) / 2e-5 for d in step]
    np.testing.assert_allclose(loss(theta)[1], differences, rtol=1e-6, atol=1e-8)
