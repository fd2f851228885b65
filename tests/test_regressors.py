"""Regressions of coefficients: known interpolants, and the choice by left-out runs."""

from types import SimpleNamespace

import numpy as np
import pytest
from scipy.interpolate import griddata

from rom.archive import load, save
from rom.errors import BadInput
from rom.gp import RunInterpolation, choice, field_gp, fit_regressor, run_interpolation
from rom.gp import regressors as folder
from rom.gp.regressors import Regressor, open_regressor, regressor_names
from rom.parameters import Box
from rom.snapshots import Snapshots
from rom.space import Space

rng = np.random.default_rng(3)
PLANE = np.array([2.0, -3.0])
POINTS = rng.random((30, 2))
BOX = Box(("a", "b"), [0.0, 0.0], [1.0, 1.0])


def test_a_new_file_is_a_regressor_more(tmp_path, monkeypatch):
    text = (
        "from rom.gp.regressors import Regressor\n"
        "import numpy as np\n"
        "REGRESSOR = Regressor('mean', interpolate=lambda x, a, z: np.tile(a.mean(0), (len(z), 1)))"
    )
    (tmp_path / "average.py").write_text(text)
    monkeypatch.setattr(folder, "__path__", [*folder.__path__, str(tmp_path)])
    assert "average" in regressor_names()
    model = run_interpolation(POINTS, POINTS, BOX, regressor="average")
    assert model.posterior(np.array([0.2, 0.9]))[0] == pytest.approx(POINTS.mean(axis=0))


@pytest.mark.parametrize("name", ["linear", "rbf"])
def test_a_plane_is_interpolated_without_error(name):
    corners = np.array([[0, 0], [0, 1], [1, 0], [1, 1]], dtype=float)
    x = np.vstack([POINTS, corners])
    model = run_interpolation(x, x @ PLANE[:, None], BOX, regressor=name)
    z = rng.random((40, 2))
    assert model.posterior(z)[0][:, 0] == pytest.approx(z @ PLANE, abs=1e-12)


def test_linear_is_scipys_griddata():
    a = np.sin(5 * POINTS[:, :1]) * POINTS[:, 1:]
    z = 0.4 + 0.2 * rng.random((20, 2))
    mean, _ = run_interpolation(POINTS, a, BOX, regressor="linear").posterior(z)
    assert mean == pytest.approx(griddata(POINTS, a, z), abs=1e-12)


def test_nearest_is_the_nearest_of_all_distances():
    z = rng.random((50, 2))
    distances = np.linalg.norm(z[:, None] - POINTS, axis=2)
    mean, _ = run_interpolation(POINTS, POINTS, BOX, regressor="nearest").posterior(z)
    assert np.array_equal(mean, POINTS[distances.argmin(axis=1)])


def test_left_out_errors_are_those_of_interpolations_without_the_run():
    x = np.linspace(0, 1, 9)[:, None]
    a = np.exp(x)
    residuals, _ = run_interpolation(x, a, regressor="linear").leave_one_out()
    middle = (a[:-2] + a[2:]) / 2
    assert residuals[1:-1] == pytest.approx(a[1:-1] - middle, abs=1e-14)


def test_repeated_runs_are_averaged():
    x, a = np.array([[0.0], [0.5], [0.5], [1.0]]), np.array([[0.0], [1.0], [3.0], [0.0]])
    model = run_interpolation(x, a, regressor="linear")
    assert model.posterior(np.array([[0.5], [0.25]]))[0][:, 0] == pytest.approx([2.0, 1.0])


def brute_left_out(x, a, name):
    """Relative error at runs left out one by one, a new model for each."""
    missed = []
    for k in range(len(x)):
        rest = np.arange(len(x)) != k
        model = fit_regressor(x[rest], a[rest], Box(("x",), [0.0], [1.0]), regressor=name)
        missed.append(a[k] - model.posterior(x[k])[0])
    return np.linalg.norm(missed) / np.linalg.norm(a - a.mean(axis=0))


@pytest.mark.parametrize("shape", [lambda x: np.sin(4 * x), lambda x: np.sign(x - 0.31)])
def test_auto_takes_the_least_left_out_error(shape):
    x = np.linspace(0, 1, 16)[:, None]
    a = shape(x)
    model = fit_regressor(x, a, Box(("x",), [0.0], [1.0]))
    name = model.regressor if isinstance(model, RunInterpolation) else "gp"
    errors = {name: brute_left_out(x, a, name) for name in regressor_names()}
    assert errors[name] <= 1.2 * min(errors.values()), errors
    assert max(errors.values()) > 1.2 * errors[name]


@pytest.mark.parametrize(
    ("runs", "error", "best"), [(8, 0.9, "gp"), (8, 0.7, "rbf"), (80, 0.9, "rbf"), (80, 0.99, "gp")]
)
def test_near_ties_of_few_runs_per_parameter_go_to_processes(monkeypatch, runs, error, best):
    errors = {"gp": 1.0, "rbf": error, "mean": 5.0}
    models = {name: SimpleNamespace(name=name, x=np.zeros((runs, 3))) for name in errors}
    for score in ("left_out_size", "held_out_size"):
        monkeypatch.setattr(choice, score, lambda model, unit: errors[model.name])
    name, reason = choice._rank(models, np.zeros((runs, 1)), 1.0)
    assert name == best and f"rbf {error:.3g}" in reason


def test_a_field_by_interpolation_is_stored_and_read(tmp_path):
    mu = np.linspace(0, 1, 8)[:, None]
    shape = np.linspace(1, 2, 5)[:, None]
    snapshots = Snapshots(Space(np.ones(5), np.arange(5)), mu, shape * (1 + mu.T))
    from rom.compress import pod

    basis, _ = pod(snapshots, rank=1)
    model = field_gp(snapshots, basis, regressor="linear")
    save(tmp_path / "m.h5", model)
    again = load(tmp_path / "m.h5")
    answer = again.predict([0.37])
    assert answer.field("u") == pytest.approx(1.37 * shape[:, 0], rel=1e-12)


def test_what_is_wrong_is_named():
    with pytest.raises(BadInput, match=r"no regressor 'forest'; choose one of auto, gp, linear"):
        fit_regressor(POINTS, POINTS, regressor="forest")
    with pytest.raises(BadInput, match="does not serve 4 distinct runs of 5 parameters"):
        run_interpolation(np.eye(5)[:4], np.eye(4), regressor="rbf")
    plane = np.column_stack([np.arange(6.0), np.arange(6.0)])
    with pytest.raises(BadInput, match="vary all parameters"):
        run_interpolation(plane, plane, regressor="rbf").posterior(np.zeros(2))


def test_every_regressor_says_how_it_is_fitted():
    for name in regressor_names():
        regressor = open_regressor(name)
        assert isinstance(regressor, Regressor) and regressor.title
        assert (regressor.fit is None) != (regressor.interpolate is None)
