"""Laws of interpolation rules and of nonintrusive separation, on kernels whose answers are
known.
"""

import re
from functools import partial

import numpy as np
import pytest

from rom.basis import Basis
from rom.certified import (
    certify,
    eim_weights,
    kernel_entries,
    rational_weights,
    separate,
    two_stage_weights,
)
from rom.errors import BadInput, NotConverged, SolveFailed
from rom.points.interpolation import deim, eim, qdeim
from rom.rule import Interpolation, Weights
from rom.space import euclidean

K = np.linspace(1.0, 6.0, 301)[:, None]
R = np.linspace(0.0, 2.0, 151)[:, None]
POINTS = np.random.default_rng(3).uniform(-0.57, 0.57, (40, 3))
DISTANCE = np.linalg.norm(POINTS[:, None] - POINTS, axis=2)


def families(mu, x):
    """1, exp(ikr), k exp(ikr), exp(ikr)/k: a kernel as its user writes it."""
    k, wave = mu[:, :1], np.exp(1j * mu[:, :1] * x[:, 0])
    return np.stack([np.ones_like(wave), wave, k * wave, wave / k], axis=1)


def host(mu):
    """A matrix made of the families with weights of its own."""
    k, r = mu[0], DISTANCE + np.eye(40)
    wave = np.exp(1j * k * DISTANCE)
    return 3 * np.eye(40) + wave * ((1j * k * r - 1) / r**2 + np.cos(r) / k)


def exponential(m=301):
    return np.exp(1j * np.outer(R[:, 0], np.linspace(1.0, 6.0, m)))


@pytest.mark.parametrize(
    "g",
    [exponential(), exponential().real, 1 / (1 + R + K[:, 0])],
    ids=["complex", "real", "cauchy"],
)
def test_eim_is_exact_at_its_points_and_for_its_samples_below_round_off(g):
    rule = eim(g, tol=1e-13)
    assert np.abs(np.triu(rule.matrix, 1)).max() == 0.0 and (np.diagonal(rule.matrix) == 1.0).all()
    np.testing.assert_allclose(rule(g[rule.dofs])[rule.dofs], g[rule.dofs], atol=1e-14)
    np.testing.assert_allclose(rule(g[rule.dofs]), g, atol=1e-12)
    assert rule.d < 20 and rule.lebesgue < 2.0**rule.d
    assert len(set(rule.dofs)) == len(set(rule.picked)) == rule.d and len(rule.errors) == rule.d + 1


def test_eim_is_symmetric_in_its_two_variables():
    g = exponential() / (1 + 0.3 * R + 0.01 * K[:, 0])  # no ties between maxima
    for d in (3, 8, 12):
        one, other = eim(g, rank=d, tol=0.0), eim(g.T.copy(), rank=d, tol=0.0)
        np.testing.assert_allclose(one(g[one.dofs]), other(g.T[other.dofs]).T, atol=1e-11)
        cross = g[:, one.picked] @ np.linalg.solve(g[np.ix_(one.dofs, one.picked)], g[one.dofs])
        np.testing.assert_allclose(one(g[one.dofs]), cross, atol=1e-9)


def test_eim_error_is_the_residual_it_reports_and_follows_the_singular_values():
    g = exponential()
    s = np.linalg.svd(g, compute_uv=False)
    for d in (4, 8, 12):
        rule = eim(g, rank=d, tol=0.0)
        error = np.abs(g - rule(g[rule.dofs])).max()
        assert error == pytest.approx(rule.errors[-1], rel=1e-3, abs=1e-14)
        assert error <= 100 * s[d] and "rank" in rule.reason


def test_eim_stops_honestly_at_round_off():
    rule = eim(exponential(), tol=0.0)
    assert "round-off" in rule.reason and 14 <= rule.d <= 17 and rule.errors[-1] < 2e-14
    exact = eim(np.outer(np.arange(1.0, 5.0), np.arange(1.0, 4.0)), tol=0.0)
    assert exact.d == 1 and exact.errors[-1] <= 1e-15


def test_deim_and_qdeim_interpolate_their_modes_and_qdeim_is_well_conditioned():
    W = np.linalg.svd(exponential(), full_matrices=False)[0][:, :10]
    g = W @ np.linspace(1, 2, 10)
    for rule in (deim(W), qdeim(W)):
        np.testing.assert_allclose(rule(g[rule.dofs]), g, atol=1e-12)
        assert len(set(rule.dofs)) == 10 and rule.lebesgue < 100
    assert np.linalg.cond(qdeim(W).matrix) < 10 * np.linalg.cond(deim(W).matrix)
    more = Interpolation(W, np.arange(0, 151, 5), W[::5])
    np.testing.assert_allclose(more(g[::5]), g, atol=1e-11)


@pytest.mark.parametrize("build", [eim_weights, two_stage_weights])
def test_separation_reaches_round_off_from_the_hosts_own_matrices(build):
    rule = build(families, K, R, tol=1e-13)
    A, fresh = separate(rule, host), np.random.default_rng(0).uniform(1, 6, (9, 1))
    assert certify(A, host, fresh, tol=1e-11).error.max() < 2e-12
    assert rule.d <= 19 and np.isfinite(rule.upper).all()
    part = rule.truncate(8)
    np.testing.assert_allclose(part(part.mus), np.eye(8), atol=1e-8)
    np.testing.assert_allclose(A(rule.mus[2]), host(rule.mus[2]), atol=1e-11)


def test_fewer_samples_give_the_error_that_the_rule_reports():
    rule = eim_weights(families, K, R, tol=1e-13)
    errors = []
    for d in (8, 10, 12):
        part = rule.truncate(d)
        errors.append(certify(separate(part, host), host, K[5:200:20], tol=1.0).error.max())
        assert errors[-1] < 20 * part.errors[-1]
        np.testing.assert_allclose(
            eim_weights(families, K, R, tol=0.0, rank=d)(K), part(K), rtol=1e-9, atol=1e-10
        )
    assert errors[2] < 1e-2 * errors[1] < 1e-4 * errors[0] * 10


def test_a_host_that_only_applies_gives_the_same_reduced_operator():
    rule = eim_weights(families, K, R, tol=1e-12)
    V = np.linalg.qr(np.random.default_rng(1).standard_normal((40, 5)) + 1j)[0]
    basis = Basis(euclidean(40), V)
    applied = separate(rule, apply=lambda mu, U: host(mu) @ U, n=40)
    sketch = np.random.default_rng(2).standard_normal((40, 6))
    certify(applied, None, K[3:300:50], tol=1e-10, sketch=sketch, apply=lambda mu, U: host(mu) @ U)
    mu = np.array([2.345])
    np.testing.assert_allclose(applied.project(basis)(mu), V.conj().T @ host(mu) @ V, atol=1e-10)


def test_right_hand_sides_separate_alike():
    def wave(mu, x):
        return np.exp(1j * mu[:, :1] * x[:, 0])[:, None]

    def load(mu):
        return np.exp(1j * mu[0] * POINTS[:, 2])

    rule = eim_weights(wave, K, np.linspace(-0.6, 0.6, 101)[:, None])
    f = separate(rule, load)
    assert certify(f, load, K[1:300:40], tol=1e-11).error.max() < 1e-11 and rule.d < 14


def test_an_unknown_kernel_separates_by_its_entries_or_by_a_rational_fit_of_a_sketch():
    rng = np.random.default_rng(5)

    def oracle(mu, pairs):
        return host(mu)[pairs[:, 0], pairs[:, 1]]

    pairs = rng.integers(0, 40, (200, 2)).astype(float)
    fresh = rng.uniform(1, 6, (7, 1))
    rule = eim_weights(partial(kernel_entries, oracle), K[::5], pairs, tol=1e-12)
    assert certify(separate(rule, host), host, fresh, tol=1e-9).error.max() < 1e-9
    sample = np.stack([oracle(mu, pairs[:30].astype(int)) for mu in K[::4]], axis=1)
    fit = rational_weights(K[::4], sample, tol=1e-11)
    assert certify(separate(fit, host), host, fresh, tol=1e-8).error.max() < 1e-8 and fit.d < 25
    np.testing.assert_array_equal(fit(fit.mus), np.eye(fit.d))


@pytest.mark.parametrize("liar", [0, 3, 7])
@pytest.mark.parametrize("size", [1.0, 1e-6])
def test_a_host_that_lies_is_named(liar, size):
    rule = eim_weights(families, K, R, tol=1e-11)
    wrong, E = rule.mus[liar], np.random.default_rng(liar).standard_normal((40, 40))

    def lying(mu):
        return host(mu) + size * E * (mu == wrong).all()

    fresh = np.random.default_rng(4).uniform(1, 6, (6, 1))
    with pytest.raises(SolveFailed, match=re.escape(f"sample at mu = {wrong} ")):
        certify(separate(rule, lying), lying, fresh, tol=1e-9)
    sketch = np.random.default_rng(6).standard_normal((40, 4))
    with pytest.raises(SolveFailed, match="sample at mu"):
        certify(separate(rule, lying), lying, fresh, tol=1e-9, sketch=sketch)
    with pytest.raises(SolveFailed, match=r"answer at mu = .* contradicts"):
        certify(
            separate(rule, host), lambda mu: host(mu) + E * (mu == fresh[2]).all(), fresh, tol=1e-9
        )


def test_a_host_that_breaks_down_is_named():
    rule = eim_weights(families, K, R, rank=5)
    broken, other = rule.mus[2], rule.mus[3]
    with pytest.raises(SolveFailed, match=re.escape(f"sample at mu = {broken} holds NaN")):
        separate(rule, lambda mu: host(mu) * np.where((mu == broken).all(), np.nan, 1.0))
    with pytest.raises(SolveFailed, match=re.escape(f"shape (39, 40) at mu = {other}")):
        separate(rule, lambda mu: host(mu)[int((mu == other).all()) :])
    with pytest.raises(SolveFailed, match=r"answer at mu = .* holds NaN"):
        certify(
            separate(rule, host),
            lambda mu: host(mu) * np.where(mu[0] > 3, np.nan, 1.0),
            K[10:300:60],
            tol=1e-3,
        )


def test_a_missing_family_is_no_lie_of_one_sample():
    def fewer(mu, x):
        return families(mu, x)[:, 1:2]

    with pytest.raises(NotConverged, match="family of the kernel is missing"):
        certify(separate(eim_weights(fewer, K, R, tol=1e-8), host), host, K[2:300:40], tol=1e-6)


def test_refusals_say_what_to_do():
    with pytest.raises(BadInput, match="row 1, column 2"):
        eim(np.where(np.arange(12).reshape(3, 4) == 6, np.nan, 1.0))
    with pytest.raises(BadInput, match="zero everywhere"):
        eim(np.zeros((3, 3)))
    with pytest.raises(BadInput, match="run pod"):
        deim(np.ones((5, 2)))
    with pytest.raises(BadInput, match="run pod"):
        qdeim(np.ones((5, 2)))
    with pytest.raises(BadInput, match="families, points"):
        eim_weights(lambda mu, x: np.ones((3, 3)), K, R)
    with pytest.raises(BadInput, match="either assemble, or apply"):
        separate(eim_weights(families, K, R, rank=3), None)
    with pytest.raises(BadInput, match="at least 3"):
        certify(separate(eim_weights(families, K, R, rank=3), host), host, K[:2], tol=1.0)
    with pytest.raises(BadInput, match="no rule"):
        Interpolation(np.ones((4, 2)), np.array([0]), np.ones((1, 2)))
    with pytest.raises(NotConverged, match="more training"):
        rational_weights(K[:5], np.random.default_rng(0).standard_normal((4, 5)))
    with pytest.raises(BadInput, match="cannot keep"):
        eim_weights(families, K, R, rank=3).truncate(4)
    assert isinstance(eim_weights(families, K, R, rank=3), Weights)
