"""Plane waves on a sound-hard sphere: a reduced basis with a bound.

Boundary element matrices of any frequency are sums of a few. After Casenave, Ern, Lelievre, Sylvand
(2014): A_k ~ sum_m beta_m(k) A_{k_m} by EIM of the kernel families alone, k in [1, 6] 1/m on the
unit sphere. 14 matrices give 3e-12 of the assembled one, 16 give 1e-14; 20 modes 1e-10 of the
discrete solution, 24 give 2e-12. The Mie series is the truth of the discretisation.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial

import numpy as np
from scipy.special import eval_legendre, spherical_jn, spherical_yn

from rom.affine import Affine
from rom.certified import (
    certify,
    consistent_bound,
    eim_weights,
    galerkin_model,
    inf_sup,
    reduced_basis,
    separate,
)
from rom.cli.launch import run
from rom.cli.ship import ship_model
from rom.errors import BadInput
from rom.mesh import Mesh
from rom.parameters import Box
from rom.problem import Problem
from rom.rule import Weights
from solvers import collocation
from solvers.acoustics import DENSE, Body, Exterior, exterior, plane
from solvers.collocation import Panels, wall

AXIS = np.array([0.0, 0.0, 1.0])
SINGLE = 30_000  # panels from which blocks are kept in complex64
BOX = Box(("k",), np.array([1.0]), np.array([6.0]), ("1/m",))


def sphere(panels: int) -> Body:
    """20 * 4^j triangles between points on the unit sphere.

    By halving the edges of an icosahedron.
    """
    g = (1 + np.sqrt(5)) / 2
    p = np.array([[s * 1.0, t * g, 0.0] for s in (-1, 1) for t in (-1, 1)])
    points = np.vstack([p, p[:, [2, 0, 1]], p[:, [1, 2, 0]]])
    i, j, k = (index.ravel() for index in np.indices((12, 12, 12)))
    side = np.linalg.norm(points[:, None] - points, axis=2)
    face = (
        (i < j)
        & (j < k)
        & (np.abs(np.stack([side[i, j], side[j, k], side[k, i]]) - 2) < 1e-9).all(axis=0)
    )
    triangles = np.column_stack([i, j, k])[face]
    turned = np.linalg.det(points[triangles]) < 0
    triangles[turned] = triangles[turned][:, [0, 2, 1]]
    while len(triangles) < panels:
        points, triangles = _halved(points, triangles)
    if len(triangles) != panels:
        raise BadInput(f"panels = {panels} is none of 20, 80, 320, 1280, ...")
    return Body(points / np.linalg.norm(points, axis=1, keepdims=True), triangles)


def _halved(points: np.ndarray, triangles: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    points = points / np.linalg.norm(points, axis=1, keepdims=True)
    edges = np.sort(triangles[:, [[0, 1], [1, 2], [2, 0]]].reshape(-1, 2), axis=1)
    unique, back = np.unique(edges, axis=0, return_inverse=True)
    middle = (len(points) + back).reshape(-1, 3)
    (a, b, c), (ab, bc, ca) = triangles.T, middle.T
    quarters = [(a, ab, ca), (ab, b, bc), (ca, bc, c), (ab, bc, ca)]
    return np.vstack([points, points[unique].mean(axis=1)]), np.vstack(
        [np.column_stack(t) for t in quarters]
    )


def geodesic(parts: int) -> Body:
    """20 parts^2 triangles: edges of an icosahedron cut into equal parts, out on the sphere."""
    coarse = sphere(20)
    i, j = (index.ravel() for index in np.indices((parts + 1, parts + 1)))
    inside = i + j <= parts
    i, j = i[inside], j[inside]
    number = np.full((parts + 2, parts + 2), -1)
    number[i, j] = np.arange(len(i))
    up = np.column_stack([number[i, j], number[i + 1, j], number[i, j + 1]])
    down = np.column_stack([number[i + 1, j], number[i + 1, j + 1], number[i, j + 1]])
    cells = np.vstack([up[(up >= 0).all(axis=1)], down[(down >= 0).all(axis=1)]])
    share = np.column_stack([parts - i - j, i, j]) / parts
    points = np.einsum("nc,fcd->fnd", share, coarse.points[coarse.triangles]).reshape(-1, 3)
    triangles = (cells + len(i) * np.arange(20)[:, None, None]).reshape(-1, 3)
    points /= np.linalg.norm(points, axis=1, keepdims=True)
    _, first, back = np.unique(points.round(9), axis=0, return_index=True, return_inverse=True)
    return Body(points[first], back.reshape(-1)[triangles])


def mie(k: float, cosine: np.ndarray, Y: complex = 0.0, soft: bool = False) -> np.ndarray:
    """Total pressure of exp(ikz) on the unit sphere with admittance Y, as a series.

    Or its normal derivative where the sphere is soft.
    """
    total = np.zeros(np.shape(cosine), dtype=complex)
    for n in range(int(k) + 30):
        (j, dj), (y, dy) = (
            (bessel(n, k), bessel(n, k, True)) for bessel in (spherical_jn, spherical_yn)
        )
        h, dh = j + 1j * y, dj + 1j * dy
        wave = k * (dj - j / h * dh) if soft else j - (dj + 1j * Y * j) / (dh + 1j * Y * h) * h
        total += (2 * n + 1) * 1j**n * wave * eval_legendre(n, cosine)
    return total


def families(mu: np.ndarray, x: np.ndarray) -> np.ndarray:
    """1, exp(ikr), k exp(ikr), exp(ikr) / k, of which the matrix is made.

    A hard wall's Burton-Miller matrix, eta = i / k.
    """
    k, wave = mu[:, :1], np.exp(1j * mu[:, :1] * x[:, 0])
    return np.stack([np.ones_like(wave), wave, k * wave, wave / k], axis=1)


def waves(mu: np.ndarray, x: np.ndarray) -> np.ndarray:
    """exp(iks), s = d . x: what its right-hand side is made of."""
    return np.exp(1j * mu[:, :1] * x[:, 0])[:, None]


def matrix(host: Exterior, mu: np.ndarray) -> np.ndarray:
    """The host's matrix at k."""
    return host.reacting(float(mu[0]))[0]


def load(host: Exterior, mu: np.ndarray) -> np.ndarray:
    """The host's right-hand side at k."""
    return host.load(plane(AXIS, float(mu[0])), float(mu[0]))[:, 0]


def solve(host: Exterior, mu: np.ndarray) -> np.ndarray:
    """The host's discrete solution at k."""
    return np.linalg.solve(matrix(host, mu), load(host, mu))


def rules(d: int | None = None, points: int = 301) -> tuple[Weights, Weights]:
    """The rules of operator and load on 601 wavenumbers.

    Distances cluster at both ends, where interpolation errs most.
    """
    train, ends = np.linspace(1.0, 6.0, 601), np.cos(np.linspace(0.0, np.pi, points))
    return eim_weights(families, train, 1 - ends, tol=0.0, rank=d), eim_weights(
        waves, train, ends, tol=0.0
    )


def problem(panels: int = 320, d: int = 16) -> Problem:
    """The separated problem from d assembled matrices.

    Its bound holds for the host's own equation.
    """
    host = exterior(sphere(panels))
    operator, right = rules(d)
    A, f = separate(operator, partial(matrix, host)), separate(right, partial(load, host))
    space, body = host.body.space(), host.body
    grid = np.linspace(1.0, 6.0, 81)
    stability = inf_sup(A, space, BOX, grid[::2, None], grid[1::4, None])
    mesh = Mesh(body.points, {"triangle": body.triangles})
    return Problem(
        partial(solve, host), BOX, space, mesh, A, f, stability=stability, version=f"{panels} {d}"
    )


def separated(ball: Problem) -> Callable[[np.ndarray], np.ndarray]:
    """mu -> the solution of the separated equation: no call of the host."""
    A, f = ball.A, ball.f
    if A is None or f is None:
        raise BadInput("the problem is not separated")
    return lambda mu: np.linalg.solve(A(mu), f(mu))


def chebyshev(
    host: Exterior, counts: tuple[int, ...], fresh: np.ndarray, exact: list[np.ndarray]
) -> dict[int, float]:
    """Largest relative error of k exp(-ik) A_k interpolated at d Chebyshev points.

    d in counts: the fair rival.
    """
    errors = {}
    for d in counts:
        t = np.cos(np.pi * (np.arange(d) + 0.5) / d)
        nodes = 3.5 + 2.5 * t
        w = (-1.0) ** np.arange(d) * np.sin(np.pi * (np.arange(d) + 0.5) / d)
        samples = [k * np.exp(-1j * k) * matrix(host, np.array([k])) for k in nodes]
        gaps = []
        for k, A in zip(fresh, exact, strict=True):
            c = w / (k - nodes)
            near = (
                sum(b * s for b, s in zip(c / c.sum(), samples, strict=True)) * np.exp(1j * k) / k
            )
            gaps.append(np.linalg.norm(A - near) / np.linalg.norm(A))
        errors[d] = float(max(gaps))
    return errors


def at_size(panels: int) -> dict[str, object]:
    """One wave on a sphere of at least `panels` panels, 12 a wavelength, matrices never stored.

    Relative l2 errors at the centres against the series; beside it those of twice the incident
    wave on the lit half, as for a large flat wall, and of the incident wave.
    """
    surface = Panels(geodesic(int(np.ceil(np.sqrt(panels / 20)))))
    k = 2 * np.pi / 12 / float(np.sqrt(surface.areas.mean()))
    begin = time.process_time()
    operator = wall(surface, k, tol=1e-4, single=surface.n > SINGLE)
    middle = time.process_time()
    wave = collocation.load(surface, plane(AXIS, k), k)
    p, iterations = collocation.solve(operator, wave, 1e-5)
    end = time.process_time()
    cosine = surface.centres[:, 2] / np.linalg.norm(surface.centres, axis=1)
    truth, incident = mie(k, cosine), np.exp(1j * k * surface.centres[:, 2])
    size = np.linalg.norm(truth)
    return {
        "unknowns": surface.n,
        "wavenumber": k,
        "setup_seconds": middle - begin,
        "solve_seconds": end - middle,
        "memory_gb": operator.nbytes / 1e9,
        "iterations": iterations,
        "mie_error": float(np.linalg.norm(p[:, 0] - truth) / size),
        "kirchhoff_error": float(np.linalg.norm(2 * incident * (cosine < 0) - truth) / size),
        "incident_error": float(np.linalg.norm(incident - truth) / size),
    }


def main(
    panels: int = 320,
    d: int = 16,
    N: int = 24,
    fresh: int = 50,
    rival: bool = True,
    out: str | None = None,
) -> dict[str, object]:
    """Errors of matrices and solutions at `fresh` unseen wavenumbers.

    Against the host and against the Mie series. With more panels than dense matrices allow, one
    scattering problem by products alone: see `at_size`.
    """
    if panels > 2 * DENSE:
        return at_size(panels)
    ball = problem(panels, d)
    host: Exterior = ball.solve.args[0]  # type: ignore[attr-defined]
    if ball.A is None or ball.f is None or ball.space is None:
        raise BadInput("the problem is not separated")
    mus = np.random.default_rng(11).uniform(1.0, 6.0, (fresh, 1))
    matrices, full = [], 0.0
    for mu in mus:
        begin = time.process_time()
        matrices.append(matrix(host, mu))
        full += time.process_time() - begin
    begin = time.process_time()
    loads = [load(host, mu) for mu in mus]
    exact = np.stack([np.linalg.solve(A, b) for A, b in zip(matrices, loads, strict=True)], axis=1)
    full += time.process_time() - begin
    check = np.array([[1.7], [3.5], [5.8]])
    table = {float(mu[0]): A for mu, A in zip(mus, matrices, strict=True)}
    table |= {float(mu[0]): matrix(host, mu) for mu in check}

    def known(mu: np.ndarray) -> np.ndarray:
        return table[float(mu[0])]

    errors, d = {}, min(d, ball.A.theta.d)  # type: ignore[attr-defined]
    for k in sorted({min(d, 14), d}):
        part = Affine(ball.A.theta.truncate(k), ball.A.terms[:k])  # type: ignore[attr-defined]
        errors[k] = float(certify(part, known, mus, tol=1.0).error.max())
    model, _ = reduced_basis(
        replace(ball, solve=separated(ball)), np.linspace(1, 6, 201)[:, None], tol=0.0, rank=N
    )
    norms, space = ball.space.norm(exact), ball.space
    solutions, bounds, effectivity = {}, {}, {}
    for r in sorted({min(N, 20), model.basis.r}):
        small = galerkin_model(ball, model.basis.truncate(r))
        bound = consistent_bound(
            small.bound,
            ball.A,
            ball.f,
            small.basis,
            check,
            host_operator=known,
            host_load=partial(load, host),
        )
        small = replace(small, bound=bound)
        answer = small.predict(mus)
        error = space.norm(exact - small.basis.lift(answer.coefficients))
        solutions[r], bounds[r] = float((error / norms).max()), float((answer.bound / norms).max())
        effectivity[r] = float((answer.bound / error).min())
    if out is not None:
        ship_model(out, small, "cases.sphere_scattering", mesh=ball.mesh)
    begin = time.process_time()
    for mu in mus:
        small.predict(mu)
    online = (time.process_time() - begin) / fresh
    truth = np.stack([mie(float(mu[0]), host.body.points[:, 2]) for mu in mus], axis=1)
    numbers: dict[str, object] = {
        "panels": panels,
        "d": d,
        "matrix_error": errors[d],
        "N": small.basis.r,
        "solution_error": solutions[small.basis.r],
        "online_ms": 1e3 * online,
        "full_ms": 1e3 * full / fresh,
        "mie_error": float((space.norm(exact - truth) / norms).max()),
        "matrix_errors": errors,
        "solution_errors": solutions,
        "solution_bounds": bounds,
        "min_effectivity": effectivity,
    }
    if rival:
        few = chebyshev(host, (d, d + 2), mus[:8, 0], matrices[:8])
        numbers["chebyshev_errors"] = few
        numbers["chebyshev_d"] = next(
            (n for n, e in few.items() if e <= errors[d]), f"more than {d + 2}"
        )
    return numbers


if __name__ == "__main__":
    run(
        main,
        units={
            "online_ms": "ms",
            "full_ms": "ms",
            "wavenumber": "1/m",
            "setup_seconds": "s",
            "solve_seconds": "s",
            "memory_gb": "GB",
        },
    )
