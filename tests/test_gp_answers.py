"""Processes as models: their answers are their posteriors of new data, and say where they are."""

import numpy as np
import pytest

from rom.errors import BadInput, OutsideBox
from rom.gp import coefficient_gp, kronecker_gp, variational_gp, vecchia_gp
from rom.gp.noises import NODES, SHARES, VARIANCES
from rom.parameters import Box
from rom.prediction import Known

X = np.random.default_rng(0).random((40, 2))
Y = np.sin(5 * X[:, 0]) + X[:, 1]
FRESH = np.array([[0.4, 0.5], [0.6, 0.3], [3.0, 0.5]])


def test_outputs_of_coefficients():
    gp = coefficient_gp(X, np.column_stack([Y, Y**2]), noise=1e-3)
    answer, (mean, std) = gp.predict(FRESH), gp.posterior(FRESH, noise=True)
    assert [q.name for q in gp.tells_outputs] == list(answer.outputs) == ["a1", "a2"]
    for i, output in enumerate(answer.outputs.values()):
        assert np.array_equal(output.value, mean[:, i])
        assert np.array_equal(output.error.value, std[:, i])
        assert output.error.known is Known.STATISTICAL and output.error.level == 1.0
    assert answer.inside.tolist() == [True, True, False]
    assert answer.warnings[0].samples == (2,)
    closed = coefficient_gp(X, Y[:, None], Box(("a", "b"), [0, 0], [1, 1]))
    with pytest.raises(OutsideBox):
        closed.predict(FRESH)
    with pytest.raises(BadInput, match="2 parameters"):
        gp.predict([0.5])


def test_outputs_of_many_points():
    gp = vecchia_gp(X, Y, noise=1e-3)
    answer, (mean, std) = gp.predict(FRESH), gp.posterior(FRESH, noise=True)
    assert np.array_equal(answer.outputs["y"].value, mean)
    assert np.array_equal(answer.outputs["y"].error.value, std)
    assert answer.inside.tolist() == [True, True, False]


def test_counts_scatter_more_than_their_rate():
    counts = np.random.default_rng(1).poisson(np.exp(1 + Y)).astype(float)
    gp = variational_gp(X, counts, "poisson")
    answer, (m, std) = gp.predict(FRESH), gp.posterior(FRESH)
    np.testing.assert_allclose(answer.outputs["mean response"].value, gp.mean_response(FRESH))
    np.testing.assert_allclose(answer.outputs["y"].value, np.exp(m + std**2 / 2), rtol=1e-6)
    of_rate = answer.outputs["mean response"].error.value
    rate = answer.outputs["y"].value
    np.testing.assert_allclose(answer.outputs["y"].error.value, np.sqrt(of_rate**2 + rate))
    assert pytest.approx(1.0) == SHARES @ NODES**2 and set(VARIANCES) == {
        "gaussian", "student", "poisson", "bernoulli"
    }  # fmt: skip


@pytest.mark.parametrize("whole", [True, False])
def test_points_and_cells_of_a_grid(whole):
    t, x = np.linspace(0, 1, 7), np.linspace(0, 2, 5)
    y = np.sin(3 * t)[:, None] * (1 + x)
    seen = None if whole else np.arange(35).reshape(7, 5) % 4 > 0
    gp = kronecker_gp([t, x], y, "rbf", noise=1e-4, observed=seen)
    points = np.array([[0.31, 1.2], [0.8, 0.4], [2.0, 0.4]])
    answer = gp.predict(points)
    for q, point in enumerate(points):
        mean, std = gp.posterior(point[:1], point[1:])
        assert answer.outputs["y"].value[q] == pytest.approx(mean.item())
        assert answer.outputs["y"].error.value[q] == pytest.approx(
            np.hypot(std.item(), gp.noise), rel=1e-6
        )
    assert answer.inside.tolist() == [True, True, False]
    cells = gp.on_grid()
    np.testing.assert_allclose(cells.field("y").reshape(7, 5), gp.posterior(t, x, std=False)[0])
    assert (cells.std("y") is not None) == whole
