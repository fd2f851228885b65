"""Panels that are only applied: closed forms, dense twins, known series, and refusals."""

import numpy as np
import pytest
from scipy.integrate import dblquad

from cases.sphere_scattering import AXIS, at_size, geodesic, mie
from rom.errors import BadInput, NotConverged
from solvers import collocation
from solvers.acoustics import Body, monopole, plane
from solvers.collocation import Panels, hard_wall, liner, wall
from solvers.hmatrix import hmatrix
from solvers.krylov import block_gmres

K, Y = 3.0, 0.5 - 0.3j


@pytest.fixture(scope="module")
def ball():
    body = geodesic(6)
    return Panels(Body(body.points, body.triangles, body.points[body.triangles][:, 0, 2] > 0))


@pytest.fixture(scope="module")
def dense(ball):
    i = np.arange(ball.n)
    B = np.zeros((ball.n, ball.n), dtype=complex)
    B[:, ball.lined] = liner(ball, K)(i[:, None], ball.lined)
    return hard_wall(ball, K)(i[:, None], i), B


def relative(U, V):
    return np.linalg.norm(U - V) / np.linalg.norm(V)


@pytest.mark.parametrize(
    ("closed", "kernel"),
    [
        (collocation.solid_angle, lambda x, y, n, m: (x - y) @ m / np.linalg.norm(x - y) ** 3),
        (collocation.plane_potential, lambda x, y, n, m: 1 / np.linalg.norm(x - y)),
        (
            collocation.rim_field,
            lambda x, y, n, m: (
                (n @ m) / np.linalg.norm(x - y) ** 3
                - 3 * ((x - y) @ n) * ((x - y) @ m) / np.linalg.norm(x - y) ** 5
            ),
        ),
    ],
)
def test_closed_forms_of_a_near_panel_are_the_integrals(ball, closed, kernel):
    i, j = 3, 4
    (a, b, c), x = ball.corners[j], ball.centres[i]

    def at(v, u):
        return kernel(x, a + u * (b - a) + v * (c - a), ball.normals[i], ball.normals[j])

    exact = 2 * ball.areas[j] * dblquad(at, 0, 1, 0, lambda u: 1 - u, epsrel=1e-9)[0]
    np.testing.assert_allclose(closed(ball, np.array([i]), np.array([j]))[0], exact, rtol=1e-7)


def test_turn_is_the_exponential():
    x = np.random.default_rng(0).uniform(-300, 300, 2000)
    np.testing.assert_allclose(np.array(collocation.turn(x)), [np.cos(x), np.sin(x)], atol=2e-13)


@pytest.mark.parametrize("admittance", [0.0, Y])
def test_error_against_the_series_falls_with_the_panels(admittance):
    errors = []
    for parts in (4, 8):
        body = geodesic(parts)
        p = Panels(Body(body.points, body.triangles, np.ones(len(body.triangles), dtype=bool)))
        operator = wall(p, 1.5, tol=1e-5, Y=admittance)
        u, _ = collocation.solve(operator, collocation.load(p, plane(AXIS, 1.5), 1.5))
        cosine = p.centres[:, 2] / np.linalg.norm(p.centres, axis=1)
        errors.append(relative(u[:, 0], mie(1.5, cosine, admittance)))
    assert errors[1] < 0.6 * errors[0] and errors[1] < 0.015


@pytest.mark.parametrize(("tol", "single"), [(1e-3, False), (1e-6, False), (1e-4, True)])
def test_products_are_those_of_the_dense_matrix(ball, dense, tol, single):
    rng = np.random.default_rng(1)
    X = rng.standard_normal((ball.n, 3)) + 1j * rng.standard_normal((ball.n, 3))
    operator = wall(ball, K, tol=tol, single=single, Y=Y)
    exact = dense[0] + Y * dense[1]
    assert operator.hard.levels and relative(operator.apply(X), exact @ X) < tol
    assert relative(operator.apply_adjoint(X), exact.conj().T @ X) < tol
    assert relative(operator.apply(X[:, 0]), exact @ X[:, 0]) < tol
    assert operator.hard.nbytes < dense[0].nbytes or tol < 1e-4
    operator.close()
    with pytest.raises(BadInput, match="closed"):
        operator.apply(X)


def test_solutions_are_those_of_the_dense_matrix(ball, dense):
    F = collocation.load(ball, monopole(np.array([[0, 0, 2.0], [3, 0, 0]]), K), K)
    F = np.column_stack([F, F @ [1.0, -2.0], np.zeros(ball.n)])
    p, iterations = collocation.solve(wall(ball, K, tol=1e-7, Y=Y), F, 1e-8)
    exact = np.linalg.solve(dense[0] + Y * dense[1], F)
    assert relative(p, exact) < 1e-6 and iterations < 30 and not p[:, 3].any()


def test_crosses_do_not_miss_a_block_that_their_pivots_do_not_see():
    """Two halves of rows that see disjoint columns: pivots of one never lead to the other."""
    x = np.random.default_rng(2).random((60, 3))
    y = x + np.array([9.0, 0.0, 0.0])
    points, blocks = np.vstack([x, y]), np.random.default_rng(3).standard_normal((2, 2, 4))

    def entries(i, j):
        half, other = i % 2, j % 2
        weight = blocks[half, 0, i % 4] * blocks[other, 1, j % 4]
        return np.where(half == other, weight * (1 + 1e-3 * (i + j)), 0.0) + 0j

    A = hmatrix(points, entries, tol=1e-8)
    i = np.arange(120)
    exact = entries(i[:, None], i)
    X = np.random.default_rng(4).standard_normal((120, 2))
    assert A.levels and relative(A.apply(X), exact @ X) < 1e-7


def test_what_cannot_be_right_is_refused(ball):
    with pytest.raises(BadInput, match="to a wavelength at k = 30 1/m; give at least 6"):
        wall(ball, 30.0)
    with pytest.raises(BadInput, match="positive"):
        wall(ball, 0.0)
    with pytest.raises(BadInput, match="carries no liner"):
        wall(Panels(geodesic(4)), 1.0, Y=1.0)
    with pytest.raises(BadInput, match="complex64"):
        wall(ball, K, tol=1e-8, single=True)
    with pytest.raises(BadInput, match=r"give \(720, k\)"):
        wall(ball, K).apply(np.ones(10))
    with pytest.raises(NotConverged, match="more than 2 iterations"):
        block_gmres(np.diag(np.arange(1.0, 30)).__matmul__, np.ones((29, 1)), max_iterations=2)


@pytest.mark.slow
def test_a_wave_on_ten_thousand_panels():
    numbers = at_size(10_000)
    assert numbers["unknowns"] == 10_580 and numbers["mie_error"] < 0.01
    assert numbers["memory_gb"] < 0.5 and numbers["iterations"] <= 20
    assert numbers["kirchhoff_error"] > 0.1
