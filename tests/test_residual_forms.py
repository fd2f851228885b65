"""Laws of the evaluations of a residual's norm.

They agree far above round-off, and differ in how far down they hold.
"""

import numpy as np
import pytest

from cases.diffusion_bound import extended_norms, main, problem
from rom.affine import Affine, Monomials
from rom.basis import Basis, gram_schmidt
from rom.certified import bound_by, galerkin, galerkin_model, residual_bound, sampled_residual
from rom.certified.forms import coordinate_products
from rom.errors import BadInput
from rom.points.interpolation import eim
from rom.space import Space, euclidean


def small(offset=False):
    bar = problem(cells=40)
    rng = np.random.default_rng(0)
    modes, _ = gram_schmidt(
        bar.space, np.stack([bar.solve(mu) for mu in bar.box.from_unit(rng.random((4, 2)))], axis=1)
    )
    return bar, Basis(bar.space, modes, bar.solve(np.array([1.0, 2.0])) if offset else 0.0), rng


@pytest.mark.parametrize("offset", [False, True])
def test_all_evaluations_agree_where_the_residual_is_large(offset):
    bar, basis, rng = small(offset)
    mus, a = bar.box.from_unit(rng.random((9, 2))), rng.standard_normal((9, 4))
    forms = {
        form: bound_by(bar.A, bar.f, basis, bar.stability, form=form)
        for form in ("images", "full", "gram")
    }
    samples = (bar.box.from_unit(rng.random((400, 2))), rng.standard_normal((400, 4)))
    forms["eim"] = sampled_residual(forms["full"], forms["images"], *samples, rule=eim)
    for form in forms.values():
        np.testing.assert_allclose(
            form(mus, a), forms["full"].residual(mus, a) / bar.stability(mus), rtol=1e-9
        )


def test_random_samples_of_the_products_give_the_norm_of_a_linear_combination():
    bar, basis, rng = small()
    basis = basis.truncate(1)
    full, images = (
        bound_by(bar.A, bar.f, basis, bar.stability, form=form) for form in ("full", "images")
    )
    samples = (bar.box.from_unit(rng.random((10, 2))), rng.standard_normal((10, 1)))
    random = sampled_residual(full, images, *samples)
    mus, a = bar.box.from_unit(rng.random((5, 2))), rng.standard_normal((5, 1))
    np.testing.assert_allclose(random.residual(mus, a), full.residual(mus, a), rtol=1e-6)
    with pytest.raises(BadInput, match="one for each product"):
        sampled_residual(full, images, samples[0][:3], samples[1][:3])
    with pytest.raises(BadInput, match="choose images"):
        bound_by(bar.A, bar.f, basis, bar.stability, form="magic")


def test_products_determine_every_hermitian_form():
    rng = np.random.default_rng(1)
    y = rng.standard_normal((30, 4)) + 1j * rng.standard_normal((30, 4))
    R = rng.standard_normal((7, 4)) + 1j * rng.standard_normal((7, 4))
    square = np.linalg.norm(y @ R.T, axis=1) ** 2
    x = coordinate_products(y)
    assert x.shape == (30, 16) and x.dtype == float
    lam = np.linalg.lstsq(x[:16].T, x.T, rcond=None)[0]
    np.testing.assert_allclose(square[:16] @ lam, square, rtol=1e-8)


def test_bound_of_a_complex_problem_is_the_residuals_dual_norm():
    rng = np.random.default_rng(2)
    n, X = 12, np.diag(rng.uniform(1, 2, 12))
    terms = [
        rng.standard_normal((n, n)) + 1j * rng.standard_normal((n, n)) + 9 * np.eye(n)
        for _ in range(2)
    ]
    A = Affine(Monomials(np.ones(2), np.array([[0.0], [1.0]])), terms)
    f = Affine(Monomials(np.ones(1), np.array([[1.0]])), [rng.standard_normal(n) * (1 + 2j)])
    for space in (Space(np.diag(X), np.arange(n)), euclidean(n)):
        basis = Basis(space, gram_schmidt(space, rng.standard_normal((n, 3)) * (2 - 1j))[0])
        np.testing.assert_allclose(space.inner(basis.modes, basis.modes), np.eye(3), atol=1e-14)
        weight = space.product
        stability = Monomials(np.array(1.0)[None], np.zeros((1, 1)))
        model = galerkin(
            A, f, basis, bound=residual_bound(A, f, basis, lambda mu, s=stability: s(mu)[:, 0])
        )
        mus = np.array([[0.5], [2.0]])
        answer = model.predict(mus)
        for j, mu in enumerate(mus):
            r = f(mu) - A(mu) @ basis.lift(answer.coefficients[:, j])
            assert np.abs(basis.modes.conj().T @ r).max() < 1e-12
            assert answer.bound[j] == pytest.approx(
                np.sqrt(np.sum(np.abs(r) ** 2 / weight)), rel=1e-10
            )


def test_representers_are_exact_to_the_precision_of_what_is_represented():
    bar = problem(cells=40)
    wide = np.longdouble
    x = np.random.default_rng(3).standard_normal((39, 2)).astype(wide)
    F = bar.space.product.astype(wide) @ x
    assert np.abs(bar.space.represent(F) - x).max() < 1e-17
    assert np.abs(bar.space.represent(F.astype(float)) - x).max() < 1e-11
    z = bar.space.represent((F + 1j * F[:, ::-1]).astype(complex))
    np.testing.assert_allclose(z, (x + 1j * x[:, ::-1]).astype(complex), atol=1e-11)


def test_floors_of_the_study():
    floors = main(cells=400, rank=14, train=300, fresh=60)
    assert floors["residual_floor_qr"] < 1e-15 and floors["residual_floor_qr_unguarded"] < 1e-16
    assert floors["residual_floor_e2"] > 1e-9 and floors["residual_floor_e1"] < 1e-10
    assert floors["residual_floor_qr"] < 0.1 * min(
        floors[f"residual_floor_{e}"] for e in ("e1", "e2", "e3", "e4")
    )


def test_the_study_s_reference_is_the_residual_norm():
    bar, basis, rng = small()
    mus, a = bar.box.from_unit(rng.random((4, 2))), rng.standard_normal((4, 4))
    model = galerkin_model(bar, basis)
    np.testing.assert_allclose(
        extended_norms(bar, model, mus, a), model.bound.norm(mus, a), rtol=1e-11
    )
