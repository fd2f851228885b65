"""Whole GPyTorch models in place of our regression: the same answers.

None of GPyTorch's own traps is left: it iterates beyond 800 runs by default.
"""

import numpy as np
import pytest

from rom.basis import Basis
from rom.errors import BadInput, OutsideBox
from rom.gp import coefficient_gp
from rom.gp.fields import field_gp
from rom.gp.gpytorch_models import GPyTorchModel, gpytorch_model
from rom.parameters import Box
from rom.snapshots import Snapshots
from rom.space import Space

gpytorch = pytest.importorskip("gpytorch")
RNG = np.random.default_rng(0)
X, FRESH = RNG.random((40, 2)), RNG.random((30, 2))
BOX = Box(("a", "b"), [0, 0], [1, 1])


def outputs(x):
    return np.column_stack([1e3 * np.sin(3 * x[:, 0]) + x[:, 1], 1e-3 * np.exp(x[:, 1] * x[:, 0])])


class Model(gpytorch.models.ExactGP):
    """Somebody's own model, written as GPyTorch's tutorials do."""

    def __init__(self, x, y, likelihood):
        super().__init__(x, y, likelihood)
        self.mean_module = gpytorch.means.ConstantMean()
        self.covar_module = gpytorch.kernels.ScaleKernel(
            gpytorch.kernels.MaternKernel(nu=2.5, ard_num_dims=2)
        )

    def forward(self, x):
        return gpytorch.distributions.MultivariateNormal(self.mean_module(x), self.covar_module(x))


@pytest.fixture(scope="module")
def fit():
    return gpytorch_model(Model, X, outputs(X), BOX, noise=1e-6, max_steps=40)


def test_a_model_answers_as_ours(fit):
    alike = {"kernel": "matern52", "mean": "constant", "share": "independent"}
    ours = coefficient_gp(X, outputs(X), BOX, noise=1e-8, **alike)
    noisy = coefficient_gp(X, outputs(X), BOX, noise=1e-6, **alike)
    (mean, std), (mean_, _) = fit.posterior(FRESH), ours.posterior(FRESH)
    std_ = noisy.posterior(FRESH)[1]
    spread = outputs(X).std(axis=0)
    np.testing.assert_allclose(mean / spread, mean_ / spread, atol=5e-3)
    assert np.median(std / std_) == pytest.approx(1.0, abs=0.9)
    one, other = fit.posterior(FRESH[0]), fit.posterior(FRESH, std=False)
    np.testing.assert_allclose(one[0], mean[0], rtol=1e-9)
    np.testing.assert_allclose(other[0], mean, rtol=1e-9)
    assert one[1].shape == (2,) and other[1] is None
    assert (fit.posterior(FRESH, noise=True)[1] > std).all()


def test_posterior_is_dense_conditioning(fit):
    model = fit.models[0]
    k, m = (
        (lambda x, y: model.covar_module(tensor(x), tensor(y)).to_dense().detach().numpy()),
        model.mean_module,
    )
    noise, level = float(model.likelihood.noise.detach()), float(m.constant.detach())
    K = k(X, X) + noise * np.eye(40)
    y = (outputs(X)[:, 0] - fit.level[0]) / fit.size[0]
    mean, std = fit.posterior(FRESH)
    guess = level + k(FRESH, X) @ np.linalg.solve(K, y - level)
    np.testing.assert_allclose((mean[:, 0] - fit.level[0]) / fit.size[0], guess, atol=1e-7)
    left = np.diag(k(FRESH, FRESH) - k(FRESH, X) @ np.linalg.solve(K, k(X, FRESH)))
    np.testing.assert_allclose((std[:, 0] / fit.size[0]) ** 2, left, rtol=1e-4, atol=1e-9)
    residuals, apart = fit.leave_one_out()
    keep = np.arange(40) != 7
    w = np.linalg.solve(K[np.ix_(keep, keep)], K[keep, 7])
    assert residuals[7, 0] / fit.size[0] == pytest.approx(
        y[7] - level - w @ (y[keep] - level), rel=1e-5, abs=1e-9
    )
    assert (apart[7, 0] / fit.size[0]) ** 2 == pytest.approx(K[7, 7] - w @ K[keep, 7], rel=1e-5)


def tensor(x):
    import torch

    return torch.as_tensor(x)


def test_nothing_changes_beyond_eight_hundred_runs():
    """GPyTorch's default turns to iterations there."""
    x = np.random.default_rng(1).random((801, 1))
    frozen = dict(noise=1e-6, max_steps=0)
    one, other = (
        gpytorch_model(Line, x[:m], np.sin(9 * x[:m]), Box(("a",), [0], [1]), **frozen)
        for m in (800, 801)
    )
    z = np.linspace(0.01, 0.99, 50)[:, None]
    assert np.abs(one.posterior(z)[0] - other.posterior(z)[0]).max() < 1e-4
    assert np.abs(other.posterior(z)[0] - np.sin(9 * z)).max() < 1e-3


class Line(Model):
    def __init__(self, x, y, likelihood):
        super().__init__(x, y, likelihood)
        self.covar_module = gpytorch.kernels.MaternKernel(nu=2.5)


def test_fields_by_a_model(fit):
    space = Space(np.ones(5), np.arange(5))
    modes, shift = np.linalg.qr(np.random.default_rng(2).random((5, 2)))[0], np.ones(5)
    u = shift[:, None] + modes @ outputs(X).T
    gp = field_gp(
        Snapshots(space, X, u),
        Basis(space, modes, shift),
        BOX,
        model=Model,
        noise=1e-6,
        max_steps=10,
    )
    assert isinstance(gp.gp, GPyTorchModel)
    mean, std = gp.field(FRESH[0])
    truth = shift + modes @ outputs(FRESH[:1])[0]
    assert np.linalg.norm(mean - truth) < 1e-2 * np.linalg.norm(truth) and (std > 0).all()
    draws = gp.samples(FRESH[0], 4000)
    np.testing.assert_allclose(draws.mean(axis=0), mean, atol=5 * std.max() / np.sqrt(4000))
    with pytest.raises(OutsideBox):
        gp.predict(np.array([2.0, 0.0]))


def test_refusals():
    with pytest.raises(BadInput, match="ExactGP"):
        gpytorch_model(lambda x, y, likelihood: likelihood, X, outputs(X))
    with pytest.raises(BadInput, match="one row per run"):
        gpytorch_model(Model, X[:5], outputs(X))
