"""Nonlinear solids: patch tests on every element, equilibrium, quadratic Newton, step cutting,
clear failure.
"""

from itertools import pairwise

import numpy as np
import pytest

from rom.errors import BadInput, NotConverged
from rom.loading import Loading
from rom.points.nonlinear import cut, newton
from solvers.bricks import box
from solvers.laws.elastic import Elastic
from solvers.laws.plastic import Plastic
from solvers.laws.viscoplastic import Viscoplastic
from solvers.mandel import mises
from solvers.solid import body, march, push, spin, step, virgin
from solvers.thermoelastic import Material, centrifugal, fixed_dofs

ALLOY = Viscoplastic(E=2e5, nu=0.3, alpha=2e-5, K=300.0, n=30.0, C=1e5, D=1e3, R0=10.0, rho=1e-8)
KINDS = {
    "hexahedron": (3, 2, 2),
    "tetra10": (2, 1, 1),
    "tetra": (2, 2, 2),
    "quad": (3, 2),
    "triangle6": (2, 2),
    "triangle": (3, 3),
}


def heated(b, times, force=None, peak=600.0):
    """A force and a hot spot that grow in proportion to time, from 20 degC."""
    x = b.mesh.points
    spot = 20 + peak * np.exp(-3 * np.sum((x - 0.7 * x.max(axis=0)) ** 2, axis=1))
    share = (np.asarray(times) / times[-1])[:, None]
    force = np.zeros(b.n) if force is None else force
    return Loading(
        times,
        force[:, None],
        share,
        b.values @ np.stack([np.full(len(x), 20.0), spot], axis=1),
        np.hstack([1 - share, share]),
    )


def skewed(kind):
    """A box whose inner nodes are moved, so that no cell is a box."""
    mesh = box(KINDS[kind], 1.0, kind)
    x = mesh.points
    bump = (
        0.08 * np.prod(np.sin(np.pi * x), axis=1)[:, None]
        if kind not in ("tetra10", "triangle6")
        else 0.0
    )
    return type(mesh)(x + bump, mesh.cells, mesh.regions)


@pytest.mark.parametrize("kind", KINDS)
def test_patch_test_with_plastic_flow(kind):
    mesh = skewed(kind)
    d, x = mesh.points.shape[1], mesh.points
    edge = np.unique(np.concatenate([fixed_dofs(mesh, name) for name in mesh.regions]))
    b = body(mesh, {None: ALLOY}, edge)
    A = 4e-3 * np.random.default_rng(3).standard_normal((d, d))
    exact = (x @ A.T).ravel()
    times = np.linspace(0.0, 1.0, 5)
    loading = Loading(
        times,
        np.zeros((b.n, 1)),
        np.zeros((5, 1)),
        np.full((len(b.weights), 1), 20.0),
        np.ones((5, 1)),
        exact[:, None],
        times[:, None],
    )
    h = march(b, loading, times, tol=1e-12)
    assert np.abs(h.u[:, -1] - exact).max() < 1e-12 * np.abs(exact).max() + 1e-14
    assert np.ptp(h.stress[..., -1], axis=0).max() < 1e-8 * np.abs(h.stress[..., -1]).max()
    assert h.p[:, -1].min() > 1e-3


@pytest.mark.parametrize("kind", KINDS)
def test_global_tangent_is_the_derivative_of_the_forces(kind):
    mesh = skewed(kind)
    b = body(mesh, {None: ALLOY}, fixed_dofs(mesh, "x0"))
    rng = np.random.default_rng(0)
    u, v = 2e-3 * rng.standard_normal((2, b.n))
    T = np.full(len(b.weights), 300.0)
    state = b.evaluate(u, T, b.rest(), 0.2)[2][1]
    K = b.evaluate(1.3 * u, T, state, 0.2)[1]
    ahead, behind = (b.evaluate(1.3 * u + s * 1e-5 * v, T, state, 0.2)[0] for s in (1, -1))
    assert np.linalg.norm(K @ v - (ahead - behind) / 2e-5) < 1e-6 * np.linalg.norm(K @ v)
    assert np.allclose(
        b.forces(b.evaluate(u, T, b.rest(), 0.2)[2][0]),
        b.evaluate(u, T, b.rest(), 0.2)[0],
        rtol=1e-12,
        atol=1e-12,
    )


@pytest.mark.parametrize("kind", KINDS)
def test_loads_have_their_resultants(kind):
    mesh = box(KINDS[kind], (2.0, 1.0, 0.5)[: len(KINDS[kind])], kind)
    b = body(mesh, {None: ALLOY}, fixed_dofs(mesh, "x0"))
    d, area = b.d, 0.5 if len(KINDS[kind]) == 3 else 1.0
    assert np.allclose(
        push(mesh, "x1").reshape(-1, d).sum(axis=0), [-area, *[0] * (d - 1)], atol=1e-14
    )
    assert np.allclose(
        sum(push(mesh, name).reshape(-1, d).sum(axis=0) for name in mesh.regions), 0, atol=1e-14
    )
    ours, theirs = (
        spin(b, (1.0, 2.0, 2.0), 0.3),
        centrifugal(mesh, Material(2e5, 0.3, rho=1e-8), (1.0, 2.0, 2.0), 0.3),
    )
    assert np.allclose(ours, theirs, rtol=1e-10, atol=1e-12 * np.abs(theirs).max())


def test_a_thick_tube_yields_and_bursts():
    """J2 without hardening in plane strain, b = 2 a.

    p = k (2 ln(c/a) + 1 - c^2/b^2), k = sigma_y / sqrt 3, c the plastic radius, until c = b (Hill
    1950).
    """
    flat = box((16, 5), (1.0, np.pi / 2), "triangle6")
    r, phi = 1.0 + flat.points[:, 0], flat.points[:, 1]
    mesh = type(flat)(np.column_stack([r * np.cos(phi), r * np.sin(phi)]), flat.cells, flat.regions)
    bottom, left = (
        np.unique(flat.cells["line3"][flat.regions[name]["line3"]]) for name in ("y0", "y1")
    )
    b = body(
        mesh,
        {None: Plastic(2e5, 0.3, yield_stress=100.0)},
        np.concatenate([2 * bottom + 1, 2 * left]),
    )
    times, load, k = np.linspace(0, 1, 9), push(mesh, "x0")[:, None], 100.0 / np.sqrt(3)

    def pressed(p):
        return Loading(
            times, load, p * times[:, None], np.full((len(b.weights), 1), 20.0), np.ones((9, 1))
        )

    front = 1.5
    h = march(b, pressed(k * (2 * np.log(front) + 1 - front**2 / 4)), times)
    reached = np.linalg.norm(b.x, axis=1)[h.p[:, -1] > 1e-9].max()
    assert abs(reached - front) < 1 / 16
    burst = pressed(1.05 * 2 * k * np.log(2.0))
    with pytest.raises(NotConverged, match="after all cuts"):
        step(b, burst, times[-2], 1.0, march(b, burst, times[:-1]).last, cuts=2)


def test_newton_is_quadratic_with_the_consistent_tangent():
    mesh = box((4, 3, 3))
    b = body(mesh, {None: ALLOY}, fixed_dofs(mesh, "x0"))
    times = np.linspace(0, 1, 4)
    loading = heated(b, times, 200.0 * push(mesh, "x1"))
    before = march(b, loading, times[:-1]).last
    T, f, free = loading.temperature(1.0), loading.force(1.0), np.setdiff1d(np.arange(b.n), b.fixed)

    def evaluate(x):
        full = np.zeros(b.n)
        full[free] = x
        force, K, carried = b.evaluate(full, T, before.state, times[1])
        return (force - f)[free], np.linalg.norm(f), K.tocsr()[free][:, free].toarray(), carried

    sizes = newton(
        evaluate, lambda K, r, left: np.linalg.solve(K, r), before.u[free], 1e-13
    ).residuals
    late = [(a, e) for a, e in pairwise(sizes) if 1e-6 < a < 1e-2]
    assert late and all(e < max(30 * a**2, 1e-13) for a, e in late)
    assert len(sizes) <= 8


def test_equilibrium_holds_and_regions_keep_their_laws():
    mesh = box((4, 2, 2))
    centre = mesh.points[mesh.cells["hexahedron"]].mean(axis=1)[:, 0]
    mesh = type(mesh)(mesh.points, mesh.cells, mesh.regions | {
        "root": {"hexahedron": np.flatnonzero(centre < 0.5)},
        "blade": {"hexahedron": np.flatnonzero(centre > 0.5)}})  # fmt: skip
    b = body(
        mesh, {"root": Elastic(3e5, 0.3, 1e-5, rho=8.6e-9), "blade": ALLOY}, fixed_dofs(mesh, "x0")
    )
    times = np.linspace(0, 2, 6)
    loading = heated(b, times, 150.0 * push(mesh, "x1") + 1e6 * spin(b, (0, 0, 1), (-50, 0, 0)))
    h = march(b, loading, times)
    r = b.forces(h.last.stress) - loading.force(2.0)
    r[b.fixed] = 0
    assert np.linalg.norm(r) < 1e-7 * np.linalg.norm(b.forces(h.last.stress))
    inside = b.x[:, 0] < 0.5
    assert not h.p[inside].any() and h.p[~inside, -1].max() > 1e-4
    assert mises(h.last.stress)[inside].max() > 0


def test_a_march_in_two_parts_is_the_march():
    mesh = box((3, 2, 2))
    b = body(mesh, {None: ALLOY}, fixed_dofs(mesh, "x0"))
    times = np.linspace(0, 2, 7)
    loading = heated(b, times, 150.0 * push(mesh, "x1"))
    once, first = march(b, loading, times), march(b, loading, times[:4])
    second = march(b, loading, times[3:], first.last)
    assert np.array_equal(np.hstack([first.u, second.u]), once.u) and np.array_equal(
        second.last.state, once.last.state
    )


def test_steps_are_cut_where_they_fail_and_only_there():
    tried = []

    def advance(a, e, x):
        tried.append((a, e))
        if e - a > 0.3:
            raise NotConverged("too long")
        return x + e - a, 1

    end, count = cut(advance, 0.0, 1.0, 0.0)
    assert end == pytest.approx(1.0) and count == 4 and len(tried) == 7
    with pytest.raises(NotConverged, match="after all cuts"):
        cut(advance, 0.0, 1.0, 0.0, max_cuts=1)


def test_bad_bodies_and_loadings_are_named():
    mesh = box((2, 2, 2))
    with pytest.raises(BadInput, match="no dof is fixed"):
        body(mesh, {None: ALLOY}, np.array([], dtype=int))
    with pytest.raises(BadInput, match="no region"):
        body(mesh, {"blade": ALLOY}, np.array([0]))
    with pytest.raises(BadInput, match="2 laws"):
        body(
            type(mesh)(mesh.points, mesh.cells, {"all": {"hexahedron": np.arange(8)}}),
            {None: ALLOY, "all": ALLOY},
            np.array([0]),
        )
    with pytest.raises(BadInput, match="0 laws"):
        body(
            type(mesh)(mesh.points, mesh.cells, {"some": {"hexahedron": np.arange(7)}}),
            {"some": ALLOY},
            np.array([0]),
        )
    good = dict(
        t=[0.0, 1.0],
        forces=np.ones((3, 1)),
        amplitudes=np.ones((2, 1)),
        temperatures=np.ones((3, 1)),
        mixture=np.ones((2, 1)),
    )
    for name, value in {
        "t": [1.0, 0.0],
        "amplitudes": np.ones((3, 1)),
        "mixture": np.full((2, 1), np.nan),
    }.items():
        with pytest.raises(BadInput):
            Loading(**good | {name: value})
    with pytest.raises(BadInput, match="lengthen"):
        Loading(**good).force(2.0)
    assert virgin(body(mesh, {None: ALLOY}, np.array([0]))).u.shape == (81,)
