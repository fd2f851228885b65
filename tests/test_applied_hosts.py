"""Hosts that are only applied: every step of the method from products, set-ups counted.

A small dense family stands behind the products; the same steps on its matrices are the oracle.
"""

from dataclasses import replace

import numpy as np
import pytest

from rom.affine import Affine, Monomials
from rom.basis import Basis, gram_schmidt
from rom.certified import (
    certify,
    consistent_bound,
    dual_weighted_output,
    eim_weights,
    galerkin_model,
    inf_sup,
    reduced_basis,
    separate,
)
from rom.certified.infsup import inf_sup_constant
from rom.errors import BadInput, SolveFailed
from rom.parameters import Box
from rom.problem import Problem
from rom.space import Space
from rom.study import study

N = 40
X = np.random.default_rng(3).uniform(-0.6, 0.6, (N, 3))
DISTANCE = np.linalg.norm(X[:, None] - X, axis=2)
BOX = Box(("k",), np.array([1.0]), np.array([4.0]))
SPACE = Space(np.random.default_rng(4).uniform(0.5, 2.0, N), np.arange(N))
TRAIN = np.linspace(1.0, 4.0, 31)[:, None]


def families(mu, x):
    """1 and exp(ikr)."""
    wave = np.exp(1j * mu[:, :1] * x[:, 0])
    return np.stack([np.ones_like(wave), wave], axis=1)


def matrix(mu):
    return np.eye(N) * 0.5 + np.exp(1j * float(mu[0]) * DISTANCE) * 0.3 / N


class Host:
    """Products of `matrix`, with what was set up and what is open now."""

    def __init__(self, tolerance=0.0, breaks=()):
        self.tolerance, self.breaks = tolerance, breaks
        self.setups, self.most_open, self.open = [], 0, 0

    def __call__(self, mu):
        self.setups.append(float(mu[0]))
        self.open += 1
        self.most_open = max(self.most_open, self.open)
        return Operator(self, matrix(mu), self.tolerance, self.breaks)


class Operator:
    def __init__(self, host, A, tolerance, breaks):
        self.host, self.A, self.tolerance, self.breaks = host, A, tolerance, breaks

    def apply(self, U):
        image = self.A @ U
        if "nan" in self.breaks:
            image[3] = np.nan
        return image[:-1] if "shape" in self.breaks else image

    def apply_adjoint(self, U):
        return self.A.conj().T @ U

    def close(self):
        self.host.open -= 1
        self.A = None


@pytest.fixture(scope="module")
def rule():
    return eim_weights(families, TRAIN, np.linspace(0, 2.1, 80)[:, None], tol=1e-10)


def pair(rule, **options):
    """The problem on products, its host, and the same problem on matrices."""
    host, F = Host(**options), np.random.default_rng(5).standard_normal((2, N)) + 0j
    f = Affine(Monomials(np.ones(2), np.array([[0.0], [1.0]])), list(F))
    A, dense = separate(rule, host=host, n=N), separate(rule, matrix)

    def solve(mu):
        return np.linalg.solve(matrix(mu), f(mu))

    def stability(mu):
        return np.full(len(mu), 0.1)

    applied = Problem(solve, BOX, SPACE, None, A, f, stability=stability)
    return applied, host, replace(applied, A=dense)


def basis_of(problem, count=6):
    mus = np.linspace(1, 4, count)[:, None]
    U = np.stack([problem.solve(mu) for mu in mus], axis=1)
    return Basis(SPACE, gram_schmidt(SPACE, U)[0])


def test_galerkin_and_its_bound_take_one_set_up_a_sample(rule):
    applied, host, dense = pair(rule)
    basis, mus = basis_of(dense), np.array([[1.3], [3.1]])
    model, twin = galerkin_model(applied, basis), galerkin_model(dense, basis)
    assert sorted(host.setups) == sorted(rule.mus[:, 0]) and host.most_open == 1
    assert host.open == 0
    answer, exact = model.predict(mus), twin.predict(mus)
    np.testing.assert_allclose(answer.coefficients, exact.coefficients, rtol=1e-11)
    np.testing.assert_allclose(answer.bound, exact.bound, rtol=1e-6, atol=1e-13)


@pytest.mark.parametrize("block", [1, 3])
def test_greedy_sets_each_sample_up_once_a_step(rule, block):
    applied, host, dense = pair(rule)
    model, history = reduced_basis(applied, TRAIN, tol=1e-7, block=block)
    assert len(host.setups) == rule.d * len(history) and host.most_open == 1
    assert history[-1].stop == "tol reached" and len(history) <= 14 // block + 1
    _, steps = reduced_basis(dense, TRAIN, tol=1e-7, block=block)
    assert [step.r for step in steps] == [step.r for step in history]
    mu = np.array([2.22])
    error = SPACE.norm(model.basis.lift(model.predict(mu).coefficients) - dense.solve(mu))
    assert error <= model.predict(mu).bound < 1e-6


def test_a_block_of_the_greedy_stops_at_the_rank(rule):
    applied, _, _ = pair(rule)
    model, _ = reduced_basis(applied, TRAIN, tol=0.0, rank=4, block=3)
    assert model.basis.r == 4
    with pytest.raises(BadInput, match="block = 0"):
        reduced_basis(applied, TRAIN, tol=0.0, rank=4, block=0)


def test_a_tolerance_of_the_host_leaves_few_directions_and_counts_what_left(rule):
    applied, _, dense = pair(rule, tolerance=1e-3)
    basis, mus = basis_of(dense), TRAIN[::7]
    coarse, fine = galerkin_model(applied, basis), galerkin_model(dense, basis)
    assert len(coarse.bound.T) < len(fine.bound.T)
    a = fine.predict(mus).coefficients.T + 0.01
    low, high = coarse.bound.norm(mus, a), coarse.bound.residual(mus, a)
    exact = fine.bound.norm(mus, a)
    assert (exact <= high).all() and (np.abs(low - exact) <= high - low).all()


def test_inf_sup_constants_come_from_products(rule):
    applied, host, _ = pair(rule)
    exact = [inf_sup_constant(matrix(mu), SPACE) for mu in TRAIN[[2, 20]]]
    for operator in (host, applied.A):
        stability = inf_sup(operator, SPACE, BOX, TRAIN[[2, 20]], TRAIN[[11]])
        np.testing.assert_allclose(stability.beta[:2], exact, rtol=2e-2)
        assert (stability.beta[:2] >= np.array(exact) * (1 - 1e-6)).all() and host.open == 0


def test_dual_weighted_outputs_come_from_products(rule):
    applied, host, dense = pair(rule)
    one = Affine(Monomials(np.ones(1), np.zeros((1, 1))), [np.ones(N) / N + 0j])
    basis = basis_of(dense, 4)
    duals = [np.linalg.solve(matrix(mu).conj().T, one(mu)) for mu in TRAIN[[3, 15, 27]]]
    dual = Basis(SPACE, gram_schmidt(SPACE, np.stack(duals, axis=1))[0])
    output, twin = (dual_weighted_output(p, one, basis, dual) for p in (applied, dense))
    s, bound = output.evaluate(TRAIN[::5])
    np.testing.assert_allclose(s, twin.evaluate(TRAIN[::5])[0], rtol=1e-10)
    exact = [one(mu).conj() @ np.linalg.solve(dense.A(mu), dense.f(mu)) for mu in TRAIN[::5]]
    assert (np.abs(s - exact) <= bound).all() and host.open == 0
    assert len(host.setups) == 3 * rule.d


def test_consistency_and_certificate_come_from_products(rule):
    applied, host, dense = pair(rule)
    basis, fresh = basis_of(dense), TRAIN[[1, 12, 25]] + 0.03
    model = galerkin_model(applied, basis)
    host.setups.clear()
    options = {"host_load": dense.f}
    bound = consistent_bound(
        model.bound, applied.A, applied.f, basis, fresh, host_operator=host, **options
    )
    assert len(host.setups) == rule.d + len(fresh)
    twin = consistent_bound(
        model.bound, dense.A, dense.f, basis, fresh, host_operator=matrix, **options
    )
    np.testing.assert_allclose(bound.operator, twin.operator, rtol=1e-4, atol=1e-13)
    sketch = np.random.default_rng(6).standard_normal((N, 5))
    assert certify(applied.A, host, fresh, tol=1e-8, sketch=sketch).error.max() < 1e-8
    with pytest.raises(BadInput, match="needs a sketch"):
        certify(applied.A, host, fresh, tol=1e-8)


def test_a_study_compares_with_the_hosts_solves(rule):
    applied, _, _ = pair(rule)
    model, _ = reduced_basis(applied, TRAIN, tol=1e-6)
    mus = TRAIN[::6] + 0.01
    table = study(model, applied.solve, mus[:-1])
    assert (table.error < 1e-6).all() and (table.effectivity >= 1).all()


def test_sums_are_operators_too(rule):
    applied, host, dense = pair(rule)
    mu, U = np.array([1.77]), np.random.default_rng(7).standard_normal((N, 2))
    total, exact = applied.A(mu), dense.A(mu)
    np.testing.assert_allclose(total @ U, exact @ U, rtol=1e-11)
    np.testing.assert_allclose(total.H @ U, exact.conj().T @ U, rtol=1e-11)
    with total.open() as operator:
        assert host.open == rule.d
        np.testing.assert_allclose(operator.H @ (operator @ U), exact.conj().T @ exact @ U)
    assert host.open == 0
    with pytest.raises(BadInput, match="argument has shape"):
        total @ U[1:]


@pytest.mark.parametrize(
    ("breaks", "words"), [("nan", "apply gave NaN"), ("shape", r"gave shape \(39, 6\) at mu")]
)
def test_what_a_host_answers_is_checked_and_its_sample_named(rule, breaks, words):
    applied, host, dense = pair(rule, breaks=(breaks,))
    with pytest.raises(SolveFailed, match=words):
        galerkin_model(applied, basis_of(dense))
    assert host.open == 0


def test_a_host_without_adjoint_is_named_where_a_dual_is_wanted(rule):
    A = separate(rule, apply=lambda mu, U: matrix(mu) @ U, n=N)
    np.testing.assert_allclose(A.terms[0] @ np.eye(N), matrix(rule.mus[0]))
    with pytest.raises(BadInput, match="no apply_adjoint"):
        A.terms[0].H @ np.eye(N)
    with pytest.raises(BadInput, match="give an operator with apply"):
        separate(rule, host=matrix, n=N).terms[0] @ np.eye(N)


def test_a_rule_that_amplifies_the_hosts_errors_is_refused(rule):
    """Equispaced polynomial interpolation on 13 samples: Lebesgue constant 89."""

    class Lagrange:
        mus = np.linspace(0.0, 1.0, 13)[:, None]

        def __call__(self, mu):
            gap = mu - self.mus[:, 0]
            rest = ~np.eye(13, dtype=bool)
            ratio = gap[:, None, :] / np.where(rest, self.mus - self.mus[:, 0], 1.0)
            return np.where(rest, ratio, 1.0).prod(axis=2)

    with pytest.raises(BadInput, match=r"amplified 8\d.\d times"):
        separate(Lagrange(), host=Host(), n=N)
    assert separate(rule, host=Host(), n=N).is_applied
