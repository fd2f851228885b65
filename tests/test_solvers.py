"""Laws and known solutions of the high-fidelity solvers."""

from math import factorial

import numpy as np
import pytest
import scipy.linalg
import scipy.sparse as sp

from rom.certified import residual_bound, unsteady
from rom.compress.decomposition import pod
from rom.errors import BadInput, NotConverged, Singular
from rom.mesh import Mesh
from rom.parameters import Box
from rom.snapshots import Snapshots
from solvers.blade_mesh import Blade, blade_mesh, least_jacobian
from solvers.elements import (
    DIMENSION,
    MEANS,
    SHAPE,
    load,
    mass,
    nodes,
    patches,
    quadrature,
    shapes,
    stiffness,
)
from solvers.heat import Film, heat
from solvers.linear import rigid_modes, solver
from solvers.thermoelastic import (
    Material,
    centrifugal,
    clamp,
    coupling,
    coupling_bound,
    elasticity,
    fixed_dofs,
    stress,
    thermoelastic,
    traction,
    von_mises,
)

PLANE = ("triangle", "triangle6", "quad", "quad8", "quad9")
SOLID = ("tetra", "tetra10", "hexahedron", "hexahedron20", "hexahedron27", "wedge", "wedge15")
FACET = {
    "triangle": ["line"], "triangle6": ["line3"], "quad": ["line"], "quad8": ["line3"],
    "quad9": ["line3"],
    "tetra": ["triangle"], "tetra10": ["triangle6"], "hexahedron": ["quad"],
    "hexahedron20": ["quad8"], "hexahedron27": ["quad9"],
    "wedge": ["triangle", "quad"], "wedge15": ["triangle6", "quad8"],
}  # fmt: skip
ONE = Box(("h",), [10.0], [100.0], ("W/m2/K",))


def corner_cells(shape, counts, size):
    """Corner coordinates (e, k, d) of a grid cut into cells of one shape.

    Diagonals run from the lowest corner to the highest.
    """
    d = len(counts)
    steps = [np.linspace(0, length, count + 1) for length, count in zip(size, counts, strict=True)]
    low = np.stack(np.meshgrid(*[x[:-1] for x in steps], indexing="ij"), axis=-1).reshape(
        -1, 1, 1, d
    )
    width = np.array([x[1] for x in steps])
    if shape in ("line", "quad", "hexahedron"):
        unit = nodes(shape)[None]
    elif shape == "triangle":
        unit = np.array([[(0, 0), (1, 0), (1, 1)], [(0, 0), (1, 1), (0, 1)]], dtype=float)
    elif shape == "wedge":
        flat = np.array([[(0, 0), (1, 0), (1, 1)], [(0, 0), (1, 1), (0, 1)]], dtype=float)
        unit = np.concatenate(
            [np.pad(flat, ((0, 0), (0, 0), (0, 1)), constant_values=z) for z in (0, 1)], axis=1
        )
    else:
        paths = [(0, 1, 2), (1, 2, 0), (2, 0, 1), (0, 2, 1), (1, 0, 2), (2, 1, 0)]
        unit = np.array(
            [np.cumsum(np.vstack([np.zeros(3), np.eye(3)[list(path)]]), axis=0) for path in paths]
        )
    return (low + unit * width).reshape(-1, unit.shape[1], d)


def grid_cells(kind, counts, size):
    return np.einsum(
        "qk,ekd->eqd", shapes(SHAPE[kind], nodes(kind))[0], corner_cells(SHAPE[kind], counts, size)
    )


def block(kind, counts, size=(1.0, 1.0, 1.0)):
    """A box of cells of one type with its sides "x0", "x1", "y0", ... as surface regions."""
    d = DIMENSION[kind]
    cells = grid_cells(kind, counts[:d], size[:d])
    key = lambda x: np.round(x, 9)  # noqa: E731
    keys, first, numbers = np.unique(
        key(cells.reshape(-1, d)), axis=0, return_index=True, return_inverse=True
    )
    place, points = {tuple(p): i for i, p in enumerate(keys)}, cells.reshape(-1, d)[first]
    parts, regions = (
        {kind: numbers.reshape(cells.shape[:2])},
        {"body": {kind: np.arange(len(cells))}},
    )
    for axis in range(d):
        others = [j for j in range(d) if j != axis]
        facet = FACET[kind][-1] if axis < 2 else FACET[kind][0]
        flat = grid_cells(facet, [counts[j] for j in others], [size[j] for j in others])
        for side in (0, 1):
            x = np.zeros((*flat.shape[:2], d))
            x[..., others], x[..., axis] = flat, side * size[axis]
            faces = np.array([[place[tuple(p + 0.0)] for p in face] for face in key(x)])
            start = len(parts.get(facet, ()))
            parts[facet] = np.vstack([parts[facet], faces]) if start else faces
            regions[f"{'xyz'[axis]}{side}"] = {facet: np.arange(start, start + len(faces))}
    return Mesh(points, parts, regions)


def sides(mesh):
    """(name, outward normal) of the sides of a block."""
    d = mesh.points.shape[1]
    return [
        (f"{'xyz'[j]}{side}", (2 * side - 1.0) * np.eye(d)[j]) for j in range(d) for side in (0, 1)
    ]


def warped(mesh, kind, strength=0.06):
    """The block with inner corner nodes moved at random, and other nodes at the means of their
    corners; sides stay.
    """
    if kind not in MEANS:
        inner = np.all(
            (mesh.points > 1e-9) & (mesh.points < mesh.points.max(axis=0) - 1e-9), axis=1
        )
        points = mesh.points + strength * inner[:, None] * np.random.default_rng(0).uniform(
            -1, 1, mesh.points.shape
        )
        return Mesh(points, mesh.cells, mesh.regions)
    corners = nodes(SHAPE[kind]).shape[0]
    vertices = np.unique(mesh.cells[kind][:, :corners])
    inner = np.all(
        (mesh.points[vertices] > 1e-9) & (mesh.points[vertices] < mesh.points.max(axis=0) - 1e-9),
        axis=1,
    )
    points = mesh.points.copy()
    points[vertices[inner]] += strength * np.random.default_rng(0).uniform(
        -1, 1, (inner.sum(), points.shape[1])
    )
    N = shapes(SHAPE[kind], nodes(kind))[0]
    points[mesh.cells[kind]] = np.einsum("qk,ekd->eqd", N, points[mesh.cells[kind][:, :corners]])
    return Mesh(points, mesh.cells, mesh.regions)


def error_l2(mesh, T, exact):
    return np.sqrt(
        sum(float(np.sum(p.w * (T[p.cells] @ p.N.T - exact(p.x)) ** 2)) for p in patches(mesh))
    )


@pytest.mark.parametrize("kind", SHAPE)
def test_shape_functions_are_nodal_and_their_gradients_are_derivatives(kind):
    N, _ = shapes(kind, nodes(kind))
    assert np.allclose(N, np.eye(len(N)), atol=1e-13)
    X, step = 0.1 + 0.2 * np.random.default_rng(1).random((5, DIMENSION[kind])), 1e-6
    for j, e in enumerate(step * np.eye(DIMENSION[kind])):
        difference = (shapes(kind, X + e)[0] - shapes(kind, X - e)[0]) / (2 * step)
        assert np.allclose(shapes(kind, X)[1][..., j], difference, atol=1e-8)


@pytest.mark.parametrize("kind", ["line", "triangle", "quad", "tetra", "hexahedron", "wedge"])
def test_quadrature_is_exact_for_monomials(kind):
    x, w = quadrature(kind, 5)
    assert w.min() > 0
    d = DIMENSION[kind]
    corner = {"triangle": 2, "tetra": 3, "wedge": 2}.get(kind, 0)
    for powers in np.ndindex(*(6,) * d):
        if sum(powers) <= 5:
            simplex = np.prod([factorial(p) for p in powers[:corner]]) / factorial(
                sum(powers[:corner]) + corner
            )
            exact = simplex * np.prod([1 / (p + 1) for p in powers[corner:]])
            assert np.isclose(w @ np.prod(x**powers, axis=1), exact, rtol=1e-12)


@pytest.mark.parametrize("kind", PLANE + SOLID)
def test_linear_temperature_is_exact(kind):
    mesh = warped(block(kind, (3, 2, 2), (1.0, 0.7, 0.6)), kind)
    k, h, a = 3.0, 50.0, np.array([40.0, -25.0, 15.0])[: DIMENSION[kind]]
    films = {
        s: Film("h", 1.0, profile=lambda x, n=n: 300 + x @ a + k * (a @ n) / h)
        for s, n in sides(mesh)
    }
    problem = heat(mesh, ONE, k, films)
    assert np.allclose(problem.solve(np.array([h])), 300 + mesh.points @ a, rtol=0, atol=1e-9)


@pytest.mark.parametrize("kind", PLANE + SOLID)
def test_linear_displacement_with_thermal_strain_balances_its_tractions(kind):
    mesh = warped(block(kind, (3, 2, 2), (1.0, 0.7, 0.6)), kind)
    d = DIMENSION[kind]
    steel, rise = Material(2e11, 0.3, 1.2e-5, 7800.0), 80.0
    F = 1e-4 * np.array([[1.0, 0.4, -0.2], [0.1, -0.5, 0.3], [0.7, 0.2, 0.6]])[:d, :d]
    lam, mu, beta = steel.moduli(d)
    eps = 0.5 * (F + F.T)
    sigma = 2 * mu * eps + (lam * np.trace(eps) - beta * rise) * np.eye(d)
    u, T = (mesh.points @ F.T).ravel(), np.full(len(mesh.points), rise)
    force = elasticity(mesh, steel) @ u - coupling(mesh, steel) @ T
    outside = sum(traction(mesh, s, sigma @ n) for s, n in sides(mesh))
    assert np.abs(force - outside).max() < 1e-10 * np.abs(outside).max()
    assert np.allclose(
        stress(mesh, steel, u, T)[:, :d, :d], sigma, rtol=1e-9, atol=1e-9 * np.abs(sigma).max()
    )


@pytest.mark.parametrize("kind", ["triangle", "quad", "tetra"])
def test_matrices_agree_with_scikit_fem(kind):
    import skfem
    from skfem.models.elasticity import lame_parameters, linear_elasticity
    from skfem.models.poisson import laplace
    from skfem.models.poisson import mass as l2

    mesh = warped(block(kind, (3, 2, 2)), kind)
    shape, element = {
        "triangle": (skfem.MeshTri, skfem.ElementTriP1()),
        "quad": (skfem.MeshQuad, skfem.ElementQuad1()),
        "tetra": (skfem.MeshTet, skfem.ElementTetP1()),
    }[kind]
    other = shape(mesh.points.T.copy(), mesh.cells[kind].T.copy())
    scalar, vector = (
        skfem.Basis(other, e, intorder=3) for e in (element, skfem.ElementVector(element))
    )
    steel = Material(2e11, 0.3)
    for ours, theirs in (
        (stiffness(mesh), laplace.assemble(scalar)),
        (mass(mesh), l2.assemble(scalar)),
        (elasticity(mesh, steel), linear_elasticity(*lame_parameters(2e11, 0.3)).assemble(vector)),
    ):
        assert abs(ours - theirs).max() < 1e-12 * abs(ours).max()


@pytest.mark.parametrize("kind", ["triangle", "quad9", "tetra10", "hexahedron", "wedge"])
def test_rigid_motions_store_no_energy(kind):
    mesh = warped(block(kind, (2, 2, 2)), kind)
    K, R = elasticity(mesh, Material(2e11, 0.3)), rigid_modes(mesh.points)
    assert np.linalg.matrix_rank(R) == (3 if DIMENSION[kind] == 2 else 6)
    assert np.abs(K @ R).max() < 1e-12 * abs(K).max()


@pytest.mark.parametrize(
    ("kind", "order"),
    [("triangle", 2), ("quad8", 3), ("tetra", 2), ("hexahedron27", 3), ("wedge15", 3)],
)
def test_harmonic_temperature_converges_at_the_order_of_its_elements(kind, order):
    d = DIMENSION[kind]
    wave = np.array([np.sqrt(d - 1.0), 1.0, 1.0])[:d]

    def exact(x):
        return 400 + 10 * np.exp(wave[0] * x[..., 0]) * np.prod(np.sin(x[..., 1:] + 0.4), axis=-1)

    def slope(x, n):
        g = np.empty_like(x)
        e = 10 * np.exp(wave[0] * x[..., 0])
        s, c = np.sin(x[..., 1:] + 0.4), np.cos(x[..., 1:] + 0.4)
        g[..., 0] = wave[0] * e * np.prod(s, axis=-1)
        for j in range(d - 1):
            g[..., 1 + j] = e * c[..., j] * np.prod(np.delete(s, j, axis=-1), axis=-1)
        return g @ n

    errors = []
    for count in (3, 6):
        mesh = block(kind, (count,) * 3)
        films = {
            s: Film("h", 1.0, profile=lambda x, n=n: exact(x) + 2.0 * slope(x, n) / 30.0)
            for s, n in sides(mesh)
        }
        errors.append(error_l2(mesh, heat(mesh, ONE, 2.0, films).solve(np.array([30.0])), exact))
    assert np.log2(errors[0] / errors[1]) > order - 0.15


def test_wall_between_two_films():
    mesh = block("quad", (5, 2), (0.02, 0.01))
    box = Box(("T1", "h1", "k"), [1200.0, 500.0, 15.0], [1600.0, 2000.0, 30.0])
    films = {
        "x0": Film("h1", "T1"),
        "x1": Film(700.0, 800.0, weight=lambda x: np.full(x.shape[:-1], 2.0)),
    }
    wall = heat(mesh, box, "k", films)
    for T1, h1, k in box.from_unit(np.random.default_rng(0).random((3, 3))):
        q = (T1 - 800.0) / (1 / h1 + 0.02 / k + 1 / 1400.0)
        T = wall.solve(np.array([T1, h1, k]))
        assert np.allclose(T, T1 - q / h1 - q * mesh.points[:, 0] / k, rtol=1e-12)
        flows = wall.outputs(T, np.array([T1, h1, k]))
        assert np.isclose(flows["heat through x0 [W]"], 0.01 * q, rtol=1e-10)
        assert np.isclose(flows["heat through x1 [W]"], -0.01 * q, rtol=1e-10)


def test_source_and_flux_leave_through_the_film():
    mesh = block("tetra", (3, 3, 3))
    box = Box(("q", "g"), [1e3, 1e2], [2e3, 4e2])
    body = heat(mesh, box, 5.0, {"x0": Film(20.0, 300.0)}, source="q", fluxes={"x1": "g"})
    mu = np.array([1500.0, 250.0])
    T = body.solve(mu)
    assert np.isclose(body.outputs(T, mu)["heat through x0 [W]"], -1750.0, rtol=1e-11)
    slab = heat(
        block("quad8", (3, 1)), box, 5.0, {"x0": Film(20.0, 300.0)}, source="q", fluxes={"x1": "g"}
    )
    x = slab.mesh.points[:, 0]
    assert np.allclose(slab.solve(mu), 300 + 1750 / 20 + (1750 * x - 750 * x**2) / 5, rtol=1e-12)


def test_parameters_and_numbers_give_the_same_problem():
    mesh = block("triangle", (4, 4))
    box = Box(("k", "h", "T"), [1.0, 10.0, 300.0], [5.0, 50.0, 500.0])
    films = {"x0": Film("h", "T"), "y1": Film("h", 290.0, weight=lambda x: x[..., 0])}
    mu = np.array([2.0, 35.0, 420.0])
    named = heat(mesh, box, {"body": "k"}, films).solve(mu)
    films = {"x0": Film(35.0, 420.0), "y1": Film(35.0, 290.0, weight=lambda x: x[..., 0])}
    assert np.allclose(named, heat(mesh, box, 2.0, films).solve(mu), rtol=1e-13)


@pytest.mark.parametrize(("theta", "rate"), [(1.0, 1), (0.5, 2)])
def test_cooling_converges_in_the_time_step(theta, rate):
    mesh = block("quad", (4, 3), (0.02, 0.01))
    mu, end = np.array([80.0]), 20.0
    errors = []
    for steps in (80, 160, 320):
        times = np.linspace(0, end, steps + 1)
        body = heat(
            mesh,
            ONE,
            20.0,
            {"x0": Film("h", 300.0)},
            capacity=3e5,
            times=times,
            initial=900.0,
            theta=theta,
        )
        M, A, f = body.M.toarray(), body.A(mu).toarray(), body.f(mu)
        steady = np.linalg.solve(A, f)
        exact = steady + scipy.linalg.expm(-np.linalg.solve(M, A) * end) @ (900.0 - steady)
        errors.append(np.abs(body.solve(mu)[:, -1] - exact).max())
    assert np.allclose(np.log2(np.array(errors[:-1]) / errors[1:]), rate, atol=0.08)
    assert np.ptp(exact) > 1


def test_reduced_trajectory_starts_at_the_initial_temperature_and_keeps_its_bound():
    mesh, times = block("quad", (6, 4), (0.02, 0.01)), np.linspace(0, 20, 41)
    body = heat(
        mesh,
        ONE,
        20.0,
        {"x0": Film("h", 300.0), "y1": Film(30.0, 350.0)},
        capacity=3e5,
        times=times,
        initial=900.0,
    )
    mus = np.array([[10.0], [30.0], [60.0], [100.0]])
    U = [body.solve(mu) for mu in mus]
    snapshots = Snapshots(
        body.space, np.repeat(mus, len(times), axis=0), np.column_stack(U), np.tile(times, 4)
    )
    basis, _ = pod(snapshots, tol=1e-5)
    bound = residual_bound(body.A, body.f, basis, body.stability, body.M)
    model = unsteady(
        body.M, body.A, body.f, basis, times, initial=body.initial, bound=bound, box=body.box
    )
    u, answer = body.solve(np.array([45.0])), model.predict(np.array([45.0]))
    e = u - basis.lift(answer.coefficients)
    error = np.sqrt(np.sum(e * (body.M @ e), axis=0))
    assert (error <= answer.bound).all()
    assert error.max() < 1e-3 * np.sqrt(np.sum(u[:, -1] * (body.M @ u[:, -1])))


def test_min_theta_bounds_the_least_rayleigh_quotient():
    mesh = block("triangle", (4, 4))
    box = Box(("k", "h"), [1.0, 10.0], [9.0, 90.0], scales=("log", "log"))
    body = heat(mesh, box, "k", {"x0": Film("h", 300.0), "x1": Film(20.0, 400.0)})
    X = body.space.product.toarray()
    for mu in box.from_unit(np.random.default_rng(2).random((6, 2))):
        least = scipy.linalg.eigh(body.A(mu).toarray(), X, eigvals_only=True)[0]
        assert body.stability(mu) <= least * (1 + 1e-10)


def coupled(kind="tetra", counts=(4, 2, 2)):
    mesh = block(kind, counts, (0.04, 0.02, 0.02))
    box = Box(
        ("T", "h", "k", "omega"),
        [900.0, 500.0, 15.0, 100.0],
        [1500.0, 2000.0, 30.0, 900.0],
        scales=("linear", "log", "linear", "linear"),
    )
    thermal = heat(mesh, box, "k", {"x1": Film("h", "T"), "y0": Film(800.0, 700.0)})
    return thermal, thermoelastic(
        thermal, Material(1.5e11, 0.3, 1.4e-5, 8200.0), "x0", speed="omega", T_ref=400.0
    )


@pytest.mark.parametrize(("kind", "counts"), [("tetra", (4, 2, 2)), ("quad", (6, 4, 0))])
def test_coupled_operator_is_coercive_as_promised(kind, counts):
    _, both = coupled(kind, counts)
    X = both.space.product.toarray()
    for mu in both.box.from_unit(np.random.default_rng(3).random((4, 4))):
        A = both.A(mu).toarray()
        least = scipy.linalg.eigh(0.5 * (A + A.T), X, eigvals_only=True)[0]
        assert both.stability(mu) <= least
        assert np.allclose(
            A @ both.solve(mu), both.f(mu), rtol=0, atol=1e-9 * np.abs(both.f(mu)).max()
        )


def test_coupling_constant_bounds_the_operator_norm():
    thermal, _ = coupled()
    material = Material(1.5e11, 0.3, 1.4e-5, 8200.0)
    where = fixed_dofs(thermal.mesh, "x0")
    K, B = (
        clamp(elasticity(thermal.mesh, material), where).toarray(),
        coupling(thermal.mesh, material).toarray(),
    )
    B[where] = 0.0
    top = scipy.linalg.eigh(
        B.T @ np.linalg.solve(K, B), thermal.space.product.toarray(), eigvals_only=True
    )[-1]
    gamma = coupling_bound(thermal.mesh, material, thermal)
    assert np.sqrt(top) <= gamma <= 2 * np.sqrt(top)


def test_riesz_map_inverts_the_product():
    _, both = coupled()
    F = np.random.default_rng(0).normal(size=(both.space.size, 3))
    F[: len(both.mesh.points), 1] = 0.0
    assert np.allclose(both.space.apply(both.space.represent(F)), F, atol=1e-9)


@pytest.mark.parametrize("kind", ["quad", "tetra", "hexahedron20"])
def test_free_expansion_is_without_stress(kind):
    mesh = warped(block(kind, (3, 2, 2)), kind)
    metal, rise = Material(1.5e11, 0.3, 1.4e-5, plane="stress"), np.full(len(mesh.points), 600.0)
    u = (metal.alpha * 600.0 * mesh.points).ravel()
    load = coupling(mesh, metal) @ rise
    assert np.abs(elasticity(mesh, metal) @ u - load).max() < 1e-11 * np.abs(load).max()
    assert von_mises(stress(mesh, metal, u, rise)).max() < 1e-11 * metal.E * metal.alpha * 600.0
    assert np.abs(stress(mesh, metal, u, rise)).max() < 1e-10 * metal.E * metal.alpha * 600.0


@pytest.mark.parametrize("kind", ["tetra", "hexahedron", "wedge"])
def test_spinning_bar_stretches_as_rho_omega2_l3_over_3e(kind):
    """With nu = 0 the mean of u_x over a section obeys the equation of a bar, and so it does in
    the discrete problem.
    """
    mesh = block(kind, (8, 2, 2), (0.4, 0.05, 0.05))
    box = Box(("omega",), [10.0], [500.0], ("rad/s",))
    thermal = heat(mesh, box, 20.0, {"y0": Film(100.0, 293.15)})
    bar = thermoelastic(
        thermal,
        Material(2e11, 0.0, 1e-5, 7800.0),
        "x0",
        speed="omega",
        axis=(0, 0, 1),
        origin=(0, 0.025, 0.025),
    )
    n = len(mesh.points)
    state = bar.solve(np.array([300.0]))
    tip = load(mesh, "x1")
    mean = tip @ state[n:].reshape(n, 3)[:, 0] / tip.sum()
    assert np.isclose(mean, 7800.0 * 300.0**2 * 0.4**3 / (3 * 2e11), rtol=1e-7)
    assert np.allclose(state[:n], 293.15, rtol=1e-12)
    assert state[n:].reshape(n, 3)[mesh.points[:, 0] < 1e-9].max() == 0


def annulus(count):
    """A ring 1 <= r <= 2 of quad9 cells."""
    flat = grid_cells("quad9", (count, 4 * count), (1.0, 2 * np.pi))
    r, angle = 1 + flat[..., 0], flat[..., 1]
    points = np.round(np.stack([r * np.cos(angle), r * np.sin(angle)], axis=-1), 10) + 0.0
    unique, numbers = np.unique(points.reshape(-1, 2), axis=0, return_inverse=True)
    return Mesh(unique, {"quad9": numbers.reshape(flat.shape[:2])})


def test_spinning_disc_with_a_bore():
    """u_r of a free annulus in plane stress. Reference: Timoshenko and Goodier (1951)."""
    metal, omega, a, b = Material(2e11, 0.3, 0.0, 7800.0, "stress"), 300.0, 1.0, 2.0
    nu, errors = metal.nu, []
    for count in (2, 4):
        mesh = annulus(count)
        K, R = elasticity(mesh, metal).toarray(), rigid_modes(mesh.points)
        u = np.linalg.lstsq(
            K / metal.E, omega**2 * centrifugal(mesh, metal) / metal.E, rcond=1e-10
        )[0]
        r = np.linalg.norm(mesh.points, axis=1)
        scale = (3 + nu) / 8 * metal.rho * omega**2
        s_r = scale * (a**2 + b**2 - a**2 * b**2 / r**2 - r**2)
        s_t = scale * (a**2 + b**2 + a**2 * b**2 / r**2 - (1 + 3 * nu) / (3 + nu) * r**2)
        exact = (mesh.points * ((s_t - nu * s_r) / metal.E)[:, None]).ravel()
        u = u - R @ np.linalg.lstsq(R, u - exact, rcond=None)[0]
        errors.append(np.abs(u - exact).max() / np.abs(exact).max())
    assert errors[1] < 2e-4
    assert np.log2(errors[0] / errors[1]) > 2.8


def test_solvers_agree_and_take_many_right_hand_sides():
    mesh = block("tetra", (6, 6, 6))
    A = 3.0 * stiffness(mesh) + 40.0 * mass(mesh, "x0")
    b = np.random.default_rng(0).normal(size=(A.shape[0], 3))
    state = np.random.get_state()[1].copy()  # noqa: NPY002
    x, y = solver(A, direct=10**9)(b), solver(A, direct=0)(b)
    assert (np.random.get_state()[1] == state).all()  # noqa: NPY002
    assert x.shape == y.shape == b.shape
    assert np.allclose(x, y, rtol=0, atol=1e-11 * np.abs(x).max())
    assert np.linalg.norm(A @ y - b) < 1e-12 * np.linalg.norm(b)
    assert np.array_equal(solver(A, direct=0)(b[:, 0]), y[:, 0])
    assert (solver(A, direct=0)(np.zeros(len(b))) == 0).all()


def test_multigrid_solves_a_slender_bar():
    _, both = coupled("tetra", (24, 4, 4))
    n = len(both.mesh.points)
    K = both.space.product[n:, n:]
    free = (K @ np.ones(3 * n) != K.diagonal())[:, None] * rigid_modes(both.mesh.points)
    b = np.random.default_rng(0).normal(size=3 * n)
    x = solver(K, direct=10**9)(b)
    assert np.allclose(solver(K, free, direct=0)(b), x, rtol=0, atol=1e-9 * np.abs(x).max())


def test_singular_and_stalled_systems_are_refused():
    with pytest.raises(Singular, match="film"):
        solver(sp.diags_array([1.0, 0.0, 2.0]))
    free = stiffness(block("tetra", (4, 4, 4)))
    with pytest.raises(NotConverged, match="free body"):
        solver(free, direct=0)(np.ones(free.shape[0]))
    with pytest.raises(BadInput, match="square"):
        solver(sp.csr_array(np.ones((2, 3))))


def test_bad_descriptions_are_refused():
    mesh = block("quad", (2, 2))
    film = {"x0": Film("h", 300.0)}
    for message, call in {
        "no parameter 'H'": lambda: heat(mesh, ONE, 1.0, {"x0": Film("H", 300.0)}),
        "no region 'left'": lambda: heat(mesh, ONE, 1.0, {"left": Film("h", 300.0)}),
        "not a surface": lambda: heat(mesh, ONE, 1.0, {"body": Film("h", 300.0)}),
        "without a film": lambda: heat(mesh, ONE, 1.0, {}),
        "positive": lambda: heat(mesh, ONE, -1.0, film),
        "negative somewhere": lambda: heat(mesh, ONE, 1.0,
            {"x0": Film("h", 300.0, weight=lambda x: x[..., 1] - 0.5)}),
        "exactly once": lambda: heat(mesh, ONE, {"body": 1.0, "x0": 2.0}, film),
        "give rho c": lambda: heat(mesh, ONE, 1.0, film, times=np.linspace(0, 1, 3)),
        "a profile gave": lambda: heat(mesh, ONE, 1.0, {"x0": Film("h", 1.0, profile=lambda x: x)}),
        "nu = 0.5": lambda: Material(1e9, 0.5),
        "turned inside out": lambda: stiffness(Mesh(np.array([[0, 0], [1, 0], [0.1, 0.1],
            [0, 1.0]]), {"quad": np.array([[0, 1, 2, 3]])})),
    }.items():  # fmt: skip
        with pytest.raises(BadInput, match=message):
            call()


def normals(mesh, name):
    """Area vectors (k, 3) and centres of the faces of a surface region."""
    parts = [mesh.points[mesh.cells[kind][cells]] for kind, cells in mesh.region(name).items()]
    ends = [(x[:, 2] - x[:, 0], x[:, -1] - x[:, 1]) for x in parts]
    return np.concatenate([0.5 * np.cross(*pair) for pair in ends]), np.concatenate(
        [x.mean(axis=1) for x in parts]
    )


FACES = {
    "tetra": [(0, 1, 2), (0, 1, 3), (0, 2, 3), (1, 2, 3)],
    "wedge": [(0, 1, 2), (3, 4, 5), (0, 1, 4, 3), (1, 2, 5, 4), (2, 0, 3, 5)],
    "hexahedron": [
        (0, 1, 2, 3),
        (4, 5, 6, 7),
        (0, 1, 5, 4),
        (1, 2, 6, 5),
        (2, 3, 7, 6),
        (3, 0, 4, 7),
    ],
}


@pytest.mark.parametrize(("kind", "size"), [("tetra", 1500), ("wedge", 1500), ("hexahedron", 5000)])
def test_blade_mesh_is_sound(kind, size):
    mesh = blade_mesh(size, cells=kind)
    assert abs(len(mesh.points) / size - 1) < 0.08
    assert mesh.digest == blade_mesh(size, cells=kind).digest
    assert least_jacobian(mesh) > 0.01
    assert np.unique(mesh.cells[kind]).size == len(mesh.points)
    faces = [
        tuple(sorted(face)) for where in FACES[kind] for face in mesh.cells[kind][:, where].tolist()
    ]
    found, count = np.unique([" ".join(map(str, face)) for face in faces], return_counts=True)
    named = [
        " ".join(map(str, sorted(face)))
        for name in ("gas", "channels", "fixed", "free")
        for facet, cells in mesh.region(name).items()
        for face in mesh.cells[facet][cells].tolist()
    ]
    assert count.max() == 2
    assert sorted(named) == sorted(found[count == 1])
    volume = load(mesh).sum()
    assert np.isclose(load(mesh, "blade").sum() + load(mesh, "root").sum(), volume, rtol=1e-12)
    vectors, centres = (
        np.concatenate(x)
        for x in zip(*(normals(mesh, s) for s in ("gas", "channels", "fixed", "free")), strict=True)
    )
    assert np.abs(vectors.sum(axis=0)).max() < 1e-12 * np.abs(vectors).sum()
    if kind == "tetra":
        assert np.isclose(np.sum(vectors * centres) / 3, volume, rtol=1e-12)
    vectors, _ = normals(mesh, "fixed")
    assert (vectors[:, 2] < 0).all()


def test_blade_volumes_and_areas_converge():
    blade = Blade()
    outline = np.vstack(blade.sides())
    extent = np.ptp(outline, axis=0) + 2 * blade.margin * blade.chord
    radii = [blade.ring(*channel)[1] for channel in blade.channels]
    section = np.prod(extent) - np.pi * np.sum(np.square(radii))
    errors = []
    for size in (1500, 20_000):
        mesh = blade_mesh(size, blade)
        found = np.array([load(mesh, "root").sum() / blade.root_height, load(mesh, "fixed").sum()])
        errors.append(np.abs(found / section - 1))
        assert np.isclose(load(mesh, "free").sum(), 2 * extent.sum() * blade.root_height, rtol=1e-9)
    assert (errors[1] < 0.5 * errors[0]).all()
    assert (errors[1] < 2e-3).all()


def test_heat_flows_of_the_blade_balance():
    mesh = blade_mesh(1500)
    box = Box(("T", "h"), [1200.0, 1000.0], [1700.0, 3000.0])
    films = {
        "gas": Film("h", "T", profile=lambda x: 1 - 0.2 * (x[..., 2] - 0.35) ** 2 / 0.05**2),
        "channels": Film(2000.0, 700.0),
    }
    body = heat(mesh, box, {"blade": 22.0, "root": 18.0}, films)
    mu = np.array([1500.0, 1800.0])
    flows = body.outputs(body.solve(mu), mu)
    assert flows["heat through gas [W]"] > 1000
    assert (
        abs(flows["heat through gas [W]"] + flows["heat through channels [W]"])
        < 1e-10 * flows["heat through gas [W]"]
    )


def test_impossible_blades_are_refused():
    for message, call in {
        "leaves the wall": lambda: Blade(channels=((0.3, 0.95),)),
        "meets another": lambda: Blade(channels=((0.3, 0.6), (0.33, 0.6))),
        "at least 1000": lambda: blade_mesh(100),
        "choose tetra": lambda: blade_mesh(2000, cells="pyramid"),
    }.items():
        with pytest.raises(BadInput, match=message):
            call()
