"""Processes of thousands of runs: the exact posterior of all, by kernels of some."""

import numpy as np
import pytest

from rom.design.designs import sobol
from rom.gp import choice, coefficient_gp, fit_regressor, many_runs, process_average, sharing
from rom.parameters import Box

BOX = Box(("a", "b"), [0.0, 0.0], [1.0, 1.0])
FRESH = np.random.default_rng(4).random((200, 2))
MANY = 240
QUICK = {"kernel": "rbf", "mean": "constant"}


def wave(x):
    return np.column_stack([np.sin(5 * x[:, 0] + x[:, 1]), np.exp(x[:, 0] * x[:, 1])])


@pytest.fixture
def few_are_many(monkeypatch):
    for module in (sharing, choice):
        monkeypatch.setattr(module, "MANY_RUNS", 100)
        monkeypatch.setattr(module, "CHOICE_RUNS", 40)
    monkeypatch.setattr(many_runs, "SEARCH_RUNS", 80)


def dense(gp, x, a, z, i):
    """Mean of output i at z by numpy's solution with all runs and a constant mean."""
    kernel, nugget = gp.kernels[gp.groups[i]], gp.nuggets[gp.groups[i]]
    K, H = kernel.matrix(x, x) + nugget * np.eye(len(x)), np.ones((len(x), 1))
    if gp.mean == "linear":
        H = np.column_stack([H, x])
    h = np.column_stack([np.ones(len(z)), z])[:, : H.shape[1]]
    beta = np.linalg.solve(H.T @ np.linalg.solve(K, H), H.T @ np.linalg.solve(K, a[:, i]))
    return h @ beta + kernel.matrix(z, x) @ np.linalg.solve(K, a[:, i] - H @ beta)


def test_the_posterior_is_the_exact_one_of_all_runs(few_are_many):
    x = sobol(BOX, MANY)
    noise = 0.05 * np.random.default_rng(1).standard_normal((MANY, 2))
    a = wave(x) + noise
    gp = coefficient_gp(x, a, BOX, **QUICK)
    assert gp.x.shape == (MANY, 2) and gp.closed
    mean = gp.posterior(FRESH, std=False)[0]
    for i in range(2):
        np.testing.assert_allclose(mean[:, i], dense(gp, x, a, FRESH, i), rtol=1e-5, atol=1e-7)
    assert gp.noise == pytest.approx(0.05, rel=0.3)


@pytest.mark.parametrize("fit", [coefficient_gp, process_average, fit_regressor])
def test_all_runs_tell_more_than_some_and_bands_hold(few_are_many, fit):
    x = np.random.default_rng(2).random((MANY, 2))
    gp = fit(x, wave(x), BOX, **QUICK)
    some = coefficient_gp(x[:80], wave(x[:80]), BOX, **QUICK)
    errors = [np.linalg.norm(each.posterior(FRESH)[0] - wave(FRESH)) for each in (gp, some)]
    assert len(gp.a) == MANY and errors[0] < 0.5 * errors[1], errors
    mean, std = coefficient_gp(x, wave(x), BOX, **QUICK).posterior(FRESH)
    assert 0.85 < np.mean(np.abs(mean - wave(FRESH)) <= 1.96 * std) < 0.995


def test_repeated_noisy_runs_are_averaged_in_the_posterior_of_all(few_are_many):
    x = np.repeat(sobol(BOX, MANY // 2), 2, axis=0)
    a = wave(x) + 0.05 * np.random.default_rng(3).standard_normal((MANY, 2))
    gp = coefficient_gp(x, a, BOX, **QUICK)
    assert len(gp.x) == MANY // 2 and set(gp.counts) == {2.0}
    mean = gp.posterior(FRESH, std=False)[0]
    for i in range(2):
        np.testing.assert_allclose(mean[:, i], dense(gp, x, a, FRESH, i), rtol=1e-5, atol=1e-7)


def test_noise_that_is_known_stays(few_are_many):
    x = sobol(BOX, MANY)
    gp = coefficient_gp(x, wave(x), BOX, noise=1e-7, **QUICK)
    assert gp.nuggets == pytest.approx(1e-7)
