"""The nacelle by products alone: errors against fresh solves, set-ups, estimator, rivals."""

from functools import partial

import numpy as np
import pytest

from cases.nacelle import admittance, nacelle
from cases.nacelle_panels import Compressed, at_points, lined_families, loewner, main, one_source
from rom.affine import Affine, Monomials
from rom.basis import Basis, gram_schmidt
from rom.certified import eim_weights, random_dual, random_forms
from rom.errors import BadInput
from rom.host import Applied
from rom.rule import Tensor
from rom.space import Space, euclidean
from solvers.collocation import Panels, lining, wall


@pytest.fixture(scope="module")
def numbers():
    return main(panels=700, tol=1e-4, fresh=3, checks=2)


def test_the_band_is_known_from_one_set_up_a_sample(numbers):
    assert numbers["unknowns"] == 800 and numbers["host_setups"] == numbers["d"] <= 10
    assert numbers["output_error"] < 1e-4 and numbers["online_ms"] < 20


def test_what_the_compression_leaves_lies_below_what_is_predicted(numbers):
    assert 0 < numbers["consistency"] <= min(1e-4, numbers["floor"])


def test_the_estimator_is_within_its_factor(numbers):
    assert 0.5 < numbers["estimator_low"] < 1 < numbers["estimator_high"] < 2
    assert numbers["estimator_samples"] == 45 and numbers["estimator_probability"] > 0.99


def test_no_rival_knows_the_band_from_the_same_solves(numbers):
    rivals = ("aaa", "loewner", "spline", "nearest")
    assert all(numbers[f"{name}_error"] > 10 * numbers["output_error"] for name in rivals)


def test_a_band_that_no_panel_resolves_is_refused():
    with pytest.raises(BadInput, match="resolve no band above k = 4"):
        main(panels=100)


def test_set_ups_that_stay_are_counted_once():
    host = Compressed(Panels(nacelle(10, 10)), 1e-3)
    for _ in range(2):
        host(np.array([1.0])).close()
    assert host.setups == [1.0] and len(host.kept) == 1
    host.forget()
    assert not host.kept


def test_loewner_reproduces_a_rational_function():
    poles, rng = np.array([3 - 0.2j, 7 - 0.3j]), np.random.default_rng(0)
    R = rng.standard_normal((2, 4, 1)) @ rng.standard_normal((2, 1, 3))

    def H(k):
        return np.tensordot(1 / (k - poles), R, axes=1)

    k = np.linspace(1.0, 9.0, 6)
    interpolant = loewner(k, np.stack([H(one) for one in k]))
    np.testing.assert_allclose(interpolant(4.44), H(4.44), rtol=1e-7)


def test_points_get_the_mean_of_their_panels_and_sources_their_column():
    body = nacelle(6, 6)
    np.testing.assert_allclose(at_points(body, np.full(72, 2.0)), 2.0)
    np.testing.assert_array_equal(one_source(np.array([[2.0]])), [[0, 0, 1, 0, 0]])


@pytest.mark.parametrize("space", [Space(np.linspace(0.1, 3, 30), np.arange(30)), euclidean(30)])
def test_a_random_dual_is_the_error_where_duals_are_exact(space):
    """All of R^n for the duals: K Delta^2 / error^2 is a mean of squares, near 1 for many."""
    rng = np.random.default_rng(1)
    terms = [np.eye(30) * 3 + 0j, rng.standard_normal((30, 30)) * 0.2 + 0j]
    A = Affine(Monomials(np.ones(2), np.array([[0.0], [1.0]])), terms)
    f = Affine(Monomials(np.ones(1), np.zeros((1, 1))), [rng.standard_normal(30) + 0j])
    V = Basis(space, gram_schmidt(space, rng.standard_normal((30, 3)) + 0j)[0])
    W = Basis(space, gram_schmidt(space, np.eye(30) + 0j)[0])
    z = random_forms(space, 4000, 2)
    estimate = random_dual(A, f, V, W, z)
    mus, a = np.array([[0.5], [1.5]]), rng.standard_normal((2, 3))
    errors = [
        space.norm(np.linalg.solve(A(mu), f(mu)) - V.lift(c)) for mu, c in zip(mus, a, strict=True)
    ]
    np.testing.assert_allclose(estimate(mus, a), errors, rtol=0.05)
    assert estimate.probability(2.0) > 1 - 1e-9


def test_the_probability_of_a_factor_is_that_of_draws():
    space = euclidean(5)
    A = Affine(Monomials(np.ones(1), np.zeros((1, 1))), [np.eye(5) + 0j])
    f = Affine(A.theta, [np.ones(5) + 0j])
    V, W = Basis(space, np.eye(5, 1) + 0j), Basis(space, np.eye(5) + 0j)
    mu, a, exact = np.zeros((1, 1)), np.zeros((1, 1)), np.sqrt(5.0)
    ratios = []
    for seed in range(2000):
        estimator = random_dual(A, f, V, W, random_forms(space, 3, seed))
        ratios.append(estimator(mu, a)[0] / exact)
    share = np.mean((np.array(ratios) > 1 / 1.5) & (np.array(ratios) < 1.5))
    assert abs(share - estimator.probability(1.5)) < 0.03


def test_one_rule_serves_the_wall_and_its_liner():
    """A + Y B of unseen wavenumber and impedance, from products of the samples alone."""
    panels = Panels(nacelle(12, 12))
    train = np.linspace(1.0, 3.0, 80)[:, None]
    reach = float(np.linalg.norm(np.ptp(panels.body.points, axis=0)))
    ends = reach * (1 - np.cos(np.linspace(0, np.pi, 80)))[:, None] / 2
    rule = eim_weights(lined_families, train, ends, tol=1e-8)
    hosts = (partial(at, wall, panels), partial(at, lining, panels))
    terms = [Applied(host, mu, panels.n) for mu in rule.mus for host in hosts]
    A = Affine(Tensor((rule, admittance), ((0,), (1, 2))), terms)
    U = np.random.default_rng(0).standard_normal((panels.n, 2)) + 0j
    mu = np.array([2.345, 1.1, -0.6])
    exact = wall(panels, 2.345, tol=1e-6, Y=1 / (1.1 - 0.6j))
    for near, product in ((A(mu) @ U, exact.apply), (A(mu).H @ U, exact.apply_adjoint)):
        gap = np.linalg.norm(near - product(U)) / np.linalg.norm(product(U))
        assert gap < 3e-6 and rule.d <= 10
    hard = np.linalg.norm(wall(panels, 2.345).apply(U) - exact.apply(U))
    assert hard > 0.01 * np.linalg.norm(exact.apply(U))


def at(build, panels, mu):
    return build(panels, float(mu[0]), tol=1e-6)


@pytest.mark.slow
def test_ten_thousand_panels_over_two_octaves():
    numbers = main(panels=10_000, fresh=6, checks=2)
    assert numbers["unknowns"] >= 10_000 and numbers["d"] <= 16
    assert numbers["output_error"] < 1e-4 and numbers["host_setups"] == numbers["d"]
    assert numbers["consistency"] <= 1e-5 <= numbers["floor"]
    assert numbers["estimator_low"] > 0.5 and numbers["estimator_high"] < 2
