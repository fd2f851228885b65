"""Laws of processes of many outputs, against dense algebra and differences."""

import logging
import tracemalloc
from dataclasses import replace

import numpy as np
import pytest

from cases.gp_coverage import main
from rom.errors import BadInput, OutsideBox, Singular
from rom.gp import Product, Selected, Stationary, Sum, coefficient_gp
from rom.gp.likelihood import cholesky, restricted_likelihood, trend_columns
from rom.gp.spectral import spectral_mixture
from rom.gp.stacked import restricted_together
from rom.parameters import Box

KERNELS = {
    "matern12": Stationary("matern12", [0.5, 0.7]),
    "matern32": Stationary("matern32", [0.5, 0.7]),
    "matern52": Stationary("matern52", [0.5, 0.7]),
    "rbf": Stationary("rbf", [0.3, 0.2]),
    "mixture": spectral_mixture(2, 3, 3.0),
    "student": spectral_mixture(2, 3, 3.0, "matern52"),
    "sum": Sum(
        (Stationary("rbf", [0.2, 0.4]), Stationary("matern52", [0.1, 0.2])), np.array([0.3, 0.7])
    ),
    "product": Product(
        (
            Selected(Stationary("rbf", [0.4]), (0,)),
            Stationary("matern32", [0.5, 0.9]),
            Selected(spectral_mixture(1, 2, 2.0), (1,)),
        )
    ),
}
RNG = np.random.default_rng(0)
X, A = RNG.random((30, 2)), RNG.standard_normal((30, 3))


def outputs(x, r=5):
    """Smooth functions of x (m, p) with very different sizes and roughness."""
    j = np.arange(1, r + 1)
    return np.sin(j * x[:, :1] * 1.5 + x[:, 1:2]) * 10.0 ** (-j) + j * np.exp(
        -x.sum(axis=1, keepdims=True)
    )


def naive(kernel, nugget, x, a, H):
    """-log restricted likelihood by determinants and inverses, its definition."""
    K = kernel.matrix(x, x) + nugget * np.eye(len(x))
    Kinv = np.linalg.inv(K)
    n, k = H.shape
    P = Kinv - Kinv @ H @ np.linalg.inv(H.T @ Kinv @ H) @ H.T @ Kinv if k else Kinv
    variance = np.einsum("ij,ik,kj->j", a, P, a) / (n - k)
    trends = np.linalg.slogdet(H.T @ Kinv @ H)[1] if k else 0.0
    return (
        0.5 * ((n - k) * np.log(variance).sum() + a.shape[1] * (np.linalg.slogdet(K)[1] + trends)),
        P,
        variance,
        K,
    )


@pytest.mark.parametrize("mean", ["zero", "constant", "linear"])
@pytest.mark.parametrize("name", KERNELS)
def test_likelihood_is_its_definition_and_its_gradient_exact(name, mean):
    kernel, nugget, H = KERNELS[name], 1e-3, trend_columns(mean, X)
    value, slope = restricted_likelihood(kernel, nugget, X, A, H)
    assert value == pytest.approx(naive(kernel, nugget, X, A, H)[0], rel=1e-9)
    direction = np.random.default_rng(1).standard_normal(len(slope))

    def along(h):
        return restricted_likelihood(
            kernel.at(kernel.theta + h * direction[:-1]),
            nugget * np.exp(h * direction[-1]),
            X,
            A,
            H,
        )[0]

    # sixth-order central differences
    h = 2e-3
    numeric = (
        sum(c * (along(k * h) - along(-k * h)) for k, c in ((1, 0.75), (2, -0.15), (3, 1 / 60))) / h
    )
    assert slope @ direction == pytest.approx(numeric, rel=1e-7, abs=1e-7)


@pytest.mark.parametrize("mean", ["zero", "constant", "linear"])
@pytest.mark.parametrize("share", ["shared", "clusters", "independent"])
def test_posterior_and_leave_one_out_are_dense_conditioning(share, mean):
    x = np.random.default_rng(2).random((25, 2))
    gp = coefficient_gp(
        x,
        outputs(x) + 1e-3 * np.random.default_rng(3).standard_normal((25, 5)),
        share=share,
        mean=mean,
        noise=1e-3,
        calibrate=False,
    )
    fresh = np.random.default_rng(4).random((7, 2))
    mean_, std = gp.posterior(fresh)
    residuals, left = gp.leave_one_out()
    z = gp.box.to_unit(fresh)
    for i in range(5):
        kernel, nugget = gp.kernels[gp.groups[i]], gp.nuggets[gp.groups[i]]

        def condition(keep, z, a, kernel=kernel, nugget=nugget):
            """Mean and variance at z over the process variance, by a bordered system."""
            H, h = trend_columns(mean, gp.x[keep]), trend_columns(mean, z)
            K = kernel.matrix(gp.x[keep], gp.x[keep]) + nugget * np.eye(keep.size)
            k = H.shape[1]
            M = np.block([[K, H], [H.T, np.zeros((k, k))]])
            rhs = np.hstack([kernel.matrix(z, gp.x[keep]), h])
            w = np.linalg.solve(M, rhs.T)
            return w[: keep.size].T @ a[keep], 1.0 - np.sum(rhs.T * w, axis=0)

        everyone = np.arange(25)
        variance = naive(kernel, nugget, gp.x, gp.a[:, [i]], trend_columns(mean, gp.x))[2][0]
        guess, spread = condition(everyone, z, gp.a[:, i])
        np.testing.assert_allclose(
            mean_[:, i], guess, rtol=1e-9, atol=1e-9 * np.abs(gp.a[:, i]).max()
        )
        np.testing.assert_allclose(
            std[:, i] ** 2, variance * spread, rtol=1e-6, atol=1e-9 * variance
        )
        for j in (0, 13):
            guess, spread = condition(np.delete(everyone, j), gp.x[[j]], gp.a[:, i])
            assert residuals[j, i] == pytest.approx(
                gp.a[j, i] - guess[0], rel=1e-6, abs=1e-9 * np.abs(gp.a[:, i]).max()
            )
            assert left[j, i] ** 2 == pytest.approx(variance * (spread[0] + nugget), rel=1e-6)


def test_units_and_order_change_nothing():
    x = np.random.default_rng(5).random((40, 3))
    a, fresh = outputs(x), np.random.default_rng(6).random((9, 3))
    mean, std = coefficient_gp(x, a).posterior(fresh)
    scale, shift, unit = (
        np.array([1e6, 1e-4, 3.0]),
        np.array([7.0, 0.0, -5.0]),
        np.array([1e-8, 1.0, 1e5, 2.0, 1e3]),
    )
    mean_units, std_units = coefficient_gp(x * scale + shift, a * unit).posterior(
        fresh * scale + shift
    )
    np.testing.assert_allclose(mean_units / unit, mean, rtol=1e-6, atol=1e-7)
    np.testing.assert_allclose(std_units / unit, std, rtol=1e-3)
    order = np.random.default_rng(7).permutation(40)
    mean_order, std_order = coefficient_gp(x[order], a[order]).posterior(fresh)
    np.testing.assert_allclose(mean_order, mean, rtol=1e-6, atol=1e-7)
    np.testing.assert_allclose(std_order, std, rtol=1e-3)


def test_nothing_changes_between_800_and_801_runs():
    x, fresh = np.random.default_rng(8).random((801, 1)), np.random.default_rng(9).random((50, 1))
    one, other = (
        coefficient_gp(x[:m], np.sin(9 * x[:m]), starts=1, kernel="matern32", noise=1e-8)
        for m in (800, 801)
    )
    (mean, std), (mean_, std_) = one.posterior(fresh), other.posterior(fresh)
    assert np.abs(mean_ - mean).max() < 1e-5 and np.abs(mean_ - np.sin(9 * fresh)).max() < 1e-4
    assert np.median(np.abs(std_ / std - 1)) < 0.01, "all but the new run's neighbours"
    np.testing.assert_allclose(other.kernels[0].lengths, one.kernels[0].lengths, rtol=0.02)


def test_repeated_runs_are_averaged():
    x = np.random.default_rng(10).random((20, 2))
    doubled = coefficient_gp(np.vstack([x, x]), np.vstack([outputs(x), outputs(x)]))
    assert doubled.jitter == 0.0
    np.testing.assert_allclose(doubled.posterior(x)[0], outputs(x), atol=1e-3)
    noisy = np.vstack([outputs(x) + 0.1, outputs(x) - 0.1])
    gp = coefficient_gp(np.vstack([x, x]), noisy, share="shared")
    np.testing.assert_allclose(gp.noise, 0.1, rtol=0.4)
    constant = coefficient_gp(x, np.ones((20, 2)))
    np.testing.assert_allclose(constant.posterior(x + 0.01)[0], 1.0, rtol=1e-10)


def test_noise_is_estimated_reported_and_added_on_request():
    gen = np.random.default_rng(11)
    x = gen.random((150, 1))
    a = np.sin(6 * x) + 0.05 * gen.standard_normal((150, 1))
    gp = coefficient_gp(x, a)
    assert gp.noise[0] == pytest.approx(0.05, rel=0.2)
    z = np.linspace(0.1, 0.9, 5)[:, None]
    smooth, whole = gp.posterior(z)[1], gp.posterior(z, noise=True)[1]
    np.testing.assert_allclose(whole**2, smooth**2 + (gp.stretch * gp.noise) ** 2, rtol=1e-9)
    assert smooth.max() < 0.03
    fixed = coefficient_gp(x, a, noise=0.0)
    assert fixed.nuggets[0] == 1e-10, "a given noise is kept, above the floor"


def test_auto_prefers_what_leaving_one_out_prefers():
    x = np.random.default_rng(12).random((60, 2))
    rough = np.column_stack(
        [np.sin(25 * x[:, 0]), np.sin(25 * x[:, 0] + 1), x[:, 1] ** 2, np.exp(x[:, 1])]
    )
    gp = coefficient_gp(x, rough)
    assert gp.share in ("clusters", "independent") and "leave-one-out" in gp.reason
    fresh = np.random.default_rng(13).random((100, 2))
    truth = np.column_stack(
        [
            np.sin(25 * fresh[:, 0]),
            np.sin(25 * fresh[:, 0] + 1),
            fresh[:, 1] ** 2,
            np.exp(fresh[:, 1]),
        ]
    )
    errors = [
        np.linalg.norm(g.posterior(fresh)[0] - truth)
        for g in (gp, coefficient_gp(x, rough, share="shared"))
    ]
    assert errors[0] < errors[1]


def test_intervals_hold_what_they_promise():
    study = main(24, seed=5)
    assert 0.92 <= study["coverage"] <= 0.98
    assert min(study["coverage_by_kind"].values()) > 0.85


@pytest.mark.slow
@pytest.mark.parametrize("seed", [1, 2])
def test_intervals_of_fifty_problems(seed):
    assert 0.92 <= main(50, seed=seed)["coverage"] <= 0.98


def test_a_linear_mean_carries_lines_exactly():
    x = np.random.default_rng(14).random((12, 2))
    gp = coefficient_gp(x, 3 + x @ np.array([[2.0], [-1.0]]), mean="linear")
    far = np.array([[5.0, -7.0]])
    np.testing.assert_allclose(gp.posterior(far)[0], [[3 + 10.0 + 7.0]], rtol=1e-8)


def test_samples_have_the_posterior_covariance():
    x = np.random.default_rng(15).random((10, 1))
    gp = coefficient_gp(x, outputs(np.hstack([x, x]), 2), share="shared")
    z = np.array([[0.3], [0.31], [0.9]])
    draws = gp.samples(z, 20000, rng=1)
    mean, std = gp.posterior(z)
    np.testing.assert_allclose(draws.mean(axis=0), mean, atol=5 * std.max() / np.sqrt(20000))
    np.testing.assert_allclose(draws.std(axis=0), std, rtol=0.05, atol=1e-9)


def test_torch_agrees_with_numpy():
    pytest.importorskip("torch")
    x = np.random.default_rng(16).random((50, 2))
    a, fresh = (
        outputs(x) + 1e-2 * np.random.default_rng(17).standard_normal((50, 5)),
        np.random.default_rng(18).random((20, 2)),
    )
    gp = coefficient_gp(x, a, noise=1e-4)
    for one, other in zip(gp.posterior(fresh), gp.posterior(fresh, device="cpu"), strict=True):
        np.testing.assert_allclose(other, one, rtol=1e-10, atol=1e-10)
    for kernel in KERNELS.values():
        import torch

        value, slope = restricted_likelihood(kernel, 1e-3, X, A, trend_columns("linear", X))
        X_, A_ = torch.as_tensor(X), torch.as_tensor(A)
        same, steep = restricted_likelihood(kernel, 1e-3, X_, A_, trend_columns("linear", X_))
        assert same == pytest.approx(value, rel=1e-10)
        np.testing.assert_allclose(steep, slope, rtol=1e-7, atol=1e-8)
    np.testing.assert_allclose(
        coefficient_gp(x, a, noise=1e-4, device="cpu").posterior(fresh)[0],
        gp.posterior(fresh)[0],
        rtol=1e-4,
        atol=1e-5,
    )
    with pytest.raises(BadInput, match="nowhere"):
        coefficient_gp(x, a, device="nowhere")


@pytest.mark.parametrize("mean", ["zero", "constant", "linear"])
def test_a_stack_on_a_device_is_each_alone(mean, monkeypatch):
    torch = pytest.importorskip("torch")
    X_, H = torch.as_tensor(X), trend_columns(mean, X)
    kernels, nuggets, parts = (
        [*KERNELS.values()],
        np.geomspace(1e-6, 1e-1, len(KERNELS)),
        [A[:, : 1 + k % 3] for k in range(8)],
    )
    broken = Stationary("rbf", [1e9, 1e9])
    for room in (2**27, 900 * 3):
        monkeypatch.setattr("rom.gp.stacked.ROOM", room)
        tensors = [torch.as_tensor(part) for part in parts]
        answers = restricted_together(
            [*kernels, broken],
            [*nuggets, -1.0],
            X_,
            [*tensors, tensors[0]],
            trend_columns(mean, X_),
        )
        assert answers.pop() is None, "not definite, and the others are not touched by it"
        for answer, kernel, nugget, part in zip(answers, kernels, nuggets, parts, strict=True):
            value, slope = restricted_likelihood(kernel, nugget, X, part, H)
            assert answer[0] == pytest.approx(value, rel=1e-10)
            np.testing.assert_allclose(answer[1], slope, rtol=1e-7, atol=1e-8)
    with pytest.raises(Singular, match="not definite"):
        restricted_likelihood(broken, -1.0, X_, tensors[0], trend_columns(mean, X_))


def test_a_graphics_processor_agrees_with_the_processor():
    torch = pytest.importorskip("torch")
    if not torch.cuda.is_available():
        pytest.skip(
            "no CUDA device is at hand; the same code on torch's CPU device is tested above"
        )
    X_, A_ = torch.as_tensor(X, device="cuda"), torch.as_tensor(A, device="cuda")
    for kernel in KERNELS.values():
        value, slope = restricted_likelihood(kernel, 1e-3, X, A, trend_columns("linear", X))
        same, steep = restricted_likelihood(kernel, 1e-3, X_, A_, trend_columns("linear", X_))
        assert same == pytest.approx(value, rel=1e-10)
        np.testing.assert_allclose(steep, slope, rtol=1e-10, atol=1e-10 * np.abs(slope).max())
    gp, fresh = coefficient_gp(X, A, noise=1e-2), np.random.default_rng(18).random((20, 2))
    for one, other in zip(gp.posterior(fresh), gp.posterior(fresh, device="cuda"), strict=True):
        np.testing.assert_allclose(other, one, rtol=1e-10, atol=1e-10)
    fitted = coefficient_gp(X, A, noise=1e-2, device="cuda")
    np.testing.assert_allclose(
        fitted.posterior(fresh)[0], gp.posterior(fresh)[0], rtol=1e-4, atol=1e-5
    )


def test_gpytorch_kernels_plug_in():
    gpytorch = pytest.importorskip("gpytorch")
    x = np.random.default_rng(19).random((20, 2))
    a, fresh = outputs(x), np.random.default_rng(20).random((30, 2))
    matern = gpytorch.kernels.MaternKernel(nu=2.5, ard_num_dims=2)
    alike = {"share": "shared", "noise": 1e-8, "mean": "constant"}
    theirs = coefficient_gp(x, a, kernel=matern, starts=1, **alike)
    ours = coefficient_gp(x, a, kernel="matern52", **alike)
    np.testing.assert_allclose(theirs.posterior(fresh)[0], ours.posterior(fresh)[0], atol=2e-3)
    periodic = coefficient_gp(
        x,
        np.sin(20 * x),
        kernel=gpytorch.kernels.PeriodicKernel() + gpytorch.kernels.RBFKernel(),
        starts=1,
    )
    assert np.isfinite(periodic.posterior(fresh)[1]).all()
    with pytest.raises(BadInput, match="no kernel"):
        coefficient_gp(x, a, kernel=3.0)


def test_prediction_never_forms_a_test_by_test_matrix():
    x = np.random.default_rng(21).random((20, 2))
    gp = coefficient_gp(x, outputs(x, 2), share="shared")
    queries = np.random.default_rng(22).random((200_000, 2))
    gp.posterior(queries[:10])
    tracemalloc.start()
    mean, std = gp.posterior(queries)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert mean.shape == std.shape == (200_000, 2)
    assert peak < 400 * 2**20
    K = gp.kernels[0].matrix(queries[-3:], gp.x)
    round_off = 16 * np.finfo(float).eps * K @ np.abs(gp.solution.weights)
    assert (np.abs(mean[-3:] - gp.posterior(queries[-3:])[0]) <= round_off).all()


def test_jitter_is_reported_and_not_silent(caplog):
    K = np.ones((5, 5))
    with caplog.at_level(logging.WARNING, "rom"):
        L, jitter = cholesky(K - 1e-13 * np.eye(5))
    assert jitter > 0 and "jitter" in caplog.text
    np.testing.assert_allclose(L @ L.T, K + jitter * np.eye(5), atol=1e-12)
    with pytest.raises(Singular, match="NaN"):
        cholesky(-np.eye(3))


def test_refusals():
    x = np.random.default_rng(23).random((8, 2))
    gp = coefficient_gp(x, outputs(x), Box(("a", "b"), [0, 0], [1, 1]))
    with pytest.raises(OutsideBox, match="b = 2"):
        gp.posterior(np.array([0.5, 2.0]))
    assert np.isfinite(coefficient_gp(x, outputs(x)).posterior(np.array([0.5, 2.0]))[0]).all(), (
        "without a box nothing is refused"
    )
    for bad, match in (
        (dict(share="some"), "no share"),
        (dict(kernel="cubic"), "no kernel"),
        (dict(mean="quadratic"), "no mean"),
        (dict(noise=-1.0), "noise"),
        (dict(a=outputs(x)[:5]), "one row per run"),
        (dict(a=outputs(x) * np.nan), "NaN"),
        (dict(a=outputs(x) * 1j), "complex"),
        (dict(x=x[[0, 0, 1, 1, 1, 1, 1, 1]]), "2 distinct"),
    ):
        with pytest.raises(BadInput, match=match):
            coefficient_gp(**{"x": x, "a": outputs(x), **bad})
    with pytest.raises(BadInput, match="shape"):
        gp.posterior(np.zeros((3, 5)))


@pytest.mark.parametrize("names", [("rbf",) * 3, ("sum", "product", "mixture")])
@pytest.mark.parametrize("mean", ["zero", "constant", "linear"])
def test_few_points_of_all_groups_follow_the_formulas(names, mean):
    kernels = [KERNELS[name] for name in names]
    kernels[0] = kernels[0].at(kernels[0].theta + 0.1)
    gp = coefficient_gp(X, A, Box(("a", "b"), [0, 0], [1, 1]), share="independent", mean=mean)
    nuggets = np.array([1e-2, 2e-2, 5e-2])
    gp = replace(gp, kernels=tuple(kernels), nuggets=nuggets, groups=np.array([2, 0, 1]))
    z = np.random.default_rng(1).random((3, 2))
    means, spreads = gp.posterior(z, noise=True)
    H, h = trend_columns(mean, X), trend_columns(mean, z)
    for i, g in enumerate(gp.groups):
        _, P, variance, K = naive(kernels[g], nuggets[g], X, A[:, [i]], H)
        Kinv = np.linalg.inv(K)
        beta = np.linalg.solve(H.T @ Kinv @ H, H.T @ Kinv @ A[:, i])
        c = kernels[g].matrix(z, X)
        open_trend = h - c @ Kinv @ H
        left = 1.0 + nuggets[g] - np.sum((c @ Kinv) * c, axis=1)
        left += np.sum((open_trend @ np.linalg.inv(H.T @ Kinv @ H)) * open_trend, axis=1)
        np.testing.assert_allclose(means[:, i], h @ beta + c @ P @ A[:, i], atol=1e-10)
        expected = gp.stretch[g] * np.sqrt(variance * left)
        np.testing.assert_allclose(spreads[:, i], expected, rtol=1e-9)


@pytest.mark.parametrize("name", [name for name in KERNELS if name not in ("mixture", "student")])
def test_kernels_of_one_kind_are_stacked(name):
    kernel = KERNELS[name]
    thetas = kernel.theta + np.random.default_rng(2).normal(size=(4, len(kernel.theta)))
    each = [kernel.at(theta).matrix(X[:5], X) for theta in thetas]
    np.testing.assert_allclose(kernel.stack(thetas, X[:5], X), each, atol=1e-14)
