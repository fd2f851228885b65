"""The lined nacelle: families that reproduce the host's matrices in a flow, a bound on the
array, outputs and their duals.
"""

from dataclasses import replace

import numpy as np
import pytest

pytest.importorskip("ngsolve")

from cases.diffusion_bound import problem as diffusion
from cases.nacelle import (
    BOX,
    Rig,
    _operator,
    admittance,
    direct,
    duct,
    heard,
    microphones,
    nacelle,
    pictures,
    reduce_model,
    train,
)
from rom.affine import Affine, Monomials
from rom.basis import Basis, gram_schmidt
from rom.certified import certify, dual_weighted_output, eim_weights, galerkin_model, separate
from rom.errors import BadInput, MissingExtra, SolveFailed
from rom.rule import Tensor


@pytest.fixture(scope="module")
def small():
    return duct(around=8, along=8, tol=1e-5)


@pytest.fixture(scope="module")
def model(small):
    check = BOX.from_unit(np.random.default_rng(4).random((3, 5)))
    return reduce_model(small, train(small, 60, 4, 1e-6), check)


def test_nacelle_is_closed_and_lined_inside():
    body = nacelle()
    np.testing.assert_allclose(body.cross.sum(axis=0), 0.0, atol=1e-12)
    edges = np.sort(body.triangles[:, [[0, 1], [1, 2], [2, 0]]].reshape(-1, 2), axis=1)
    assert (np.unique(edges, axis=0, return_counts=True)[1] == 2).all()
    inward = np.sum(body.cross[body.lined, 1:] * body.centres[body.lined, 1:], axis=1)
    assert (inward < 0).all() and 0.1 < body.lined.mean() < 0.3


def test_families_of_the_flow_reproduce_the_host(small):
    """Unseen wavenumbers and Mach numbers: the stretching enters by the kernels alone."""
    fresh = np.random.default_rng(3).uniform([1.0, 0.0], [3.0, 0.3], (4, 2))
    assert certify(_operator(small), small.rig.stacked, fresh, tol=1e-3).error.max() < 1e-5
    assert len(small.A.terms) < 2 * 25


def test_a_host_that_lies_about_the_flow_is_named(small):
    A = _operator(small)
    wrong = [term + 1e-3 * (q == 5) * np.abs(term).max() for q, term in enumerate(A.terms)]
    fresh = np.random.default_rng(3).uniform([1.0, 0.0], [3.0, 0.3], (4, 2))
    with pytest.raises(SolveFailed, match="sample at mu") as found:
        certify(Affine(A.theta, wrong), small.rig.stacked, fresh, tol=1e-5)
    assert str(A.theta.mus[5]) in str(found.value)


def test_array_is_within_its_bound_of_the_host(small, model):
    rig = small.rig
    for mu in BOX.from_unit(np.random.default_rng(5).random((5, 5))):
        exact = rig.scattered(mu, rig.solve(mu))
        near, bound = heard(*model, mu)
        assert np.linalg.norm(exact - near) <= bound
        assert np.linalg.norm(exact - near) < 1e-4 * np.linalg.norm(exact)
        assert bound < 2e-2 * np.linalg.norm(exact)


def test_field_satisfies_the_convected_equation(small):
    """(k + iM d/dx)^2 p + lap p = 0 away from source and body, by central differences."""
    mu, h = np.array([2.0, 0.3, 1.0, 0.5, 0.1]), 0.02
    k, M = mu[:2]
    steps = h * np.vstack([np.zeros(3), *(s * np.eye(3)[c] for c in range(3) for s in (1, -1))])
    for centre in ([1.1, 0.2, 0.3], [-0.2, -0.9, 0.4]):
        x = np.array(centre) + steps
        p = Rig(small.rig.host, x).scattered(mu, small.rig.solve(mu)) + direct(x, mu)
        second = [(p[1 + 2 * c] - 2 * p[0] + p[2 + 2 * c]) / h**2 for c in range(3)]
        flow = k**2 * p[0] + 1j * k * M * (p[1] - p[2]) / h - M**2 * second[0]
        assert abs(flow + sum(second)) < 2e-3 * abs(sum(second))


def test_liner_absorbs_and_a_stiff_wall_is_hard(small):
    """Power through the liner, -Im(conj(p) dp/dn) ~ Re(Y) |p|^2, is lost.

    The far field of the lined duct is weaker near resonance.
    """
    mu = np.array([2.0, 0.1, 0.5, 0.0, 0.0])
    A, B = np.split(small.rig.stacked(mu[:2]), 2)
    Y = admittance(np.array([[1e9, 0.0]]))[0, 1]
    hard = np.linalg.solve(A, small.rig.load(mu[[0, 1, 4]]))
    np.testing.assert_allclose(
        np.linalg.solve(A + Y * B, small.rig.load(mu[[0, 1, 4]])), hard, rtol=1e-6
    )
    assert np.linalg.norm(small.rig.solve(mu)) < 0.9 * np.linalg.norm(hard)


def test_pictures_are_drawn(small, model, tmp_path):
    try:
        pictures(small, *model, np.array([2.8, 0.25, 1.0, 0.0, 0.1]), tmp_path)
    except MissingExtra as missing:
        pytest.skip(str(missing))
    for name in ("directivity.png", "body.png", "plane.png"):
        assert (tmp_path / name).read_bytes()[:4] == b"\x89PNG" and (
            tmp_path / name
        ).stat().st_size > 10_000
    assert len(microphones(5)[0]) == 5


def test_coefficients_of_groups_of_parameters_multiply():
    one, other = (
        Monomials(np.array([1.0, 2.0]), np.array([[1.0], [0.0]])),
        Monomials(np.ones(2), np.array([[0.0], [1.0]])),
    )
    theta = Tensor((one, other), ((1,), (0,)))
    np.testing.assert_allclose(theta(np.array([3.0, 5.0])), [5.0, 15.0, 2.0, 6.0])
    np.testing.assert_allclose(theta(np.array([[3.0, 5.0]])), [[5.0, 15.0, 2.0, 6.0]])


@pytest.mark.parametrize("complex_output", [False, True])
def test_dual_weighting_squares_the_error_of_an_output_and_bounds_it(complex_output):
    bar = diffusion(cells=60)
    rng = np.random.default_rng(1)
    weight = np.linspace(0, 1, 59) ** 2 * (1 + 2j * complex_output)
    l = Affine(Monomials(np.ones(1), np.zeros((1, 2))), [weight / 60])  # noqa: E741
    mus = bar.box.from_unit(rng.random((8, 2)))
    adjoint = np.stack([np.linalg.solve(bar.A(mu).toarray().T, weight / 60) for mu in mus], axis=1)
    plain = np.stack([bar.solve(mu) for mu in mus], axis=1)
    fresh = bar.box.from_unit(rng.random((12, 2)))
    exact = np.array([np.vdot(weight / 60, bar.solve(mu)) for mu in fresh])
    for r in (4, 5, 7):
        basis, dual = (
            Basis(bar.space, gram_schmidt(bar.space, U[:, :r])[0]) for U in (plain, adjoint)
        )
        s, bound = dual_weighted_output(bar, l, basis, dual).evaluate(fresh)
        a = galerkin_model(bar, basis).predict(fresh).coefficients
        naive = l.project(basis)(fresh).conj()[:, None, :] @ a.T[:, :, None]
        assert (np.abs(s - exact) <= bound + 1e-15).all()
        assert np.median(np.abs(s - exact) / np.abs(naive[:, 0, 0] - exact)) < 0.1
    with pytest.raises(BadInput, match="dual-weighted"):
        dual_weighted_output(replace(bar, stability=None), l, basis, dual)


def test_a_user_s_own_kernel_needs_ten_lines(small):
    """A kernel the package never saw: damped waves, and a host that knows only how to assemble."""
    rng = np.random.default_rng(9)
    x = rng.uniform(-1, 1, (30, 3))
    r = np.linalg.norm(x[:, None] - x, axis=2)

    def kernel(mu, s):
        return np.exp((1j * mu[:, :1] - mu[:, 1:]) * s[:, 0])[:, None]

    def assemble(mu):
        return np.exp((1j * mu[0] - mu[1]) * r) / (r + 0.3)

    train = rng.uniform([1, 0], [4, 1], (400, 2))
    rule = eim_weights(kernel, train, np.linspace(0, 3.5, 200)[:, None], tol=1e-10)
    assert (
        certify(
            separate(rule, assemble), assemble, rng.uniform([1, 0], [4, 1], (6, 2)), tol=1e-8
        ).error.max()
        < 1e-8
    )
