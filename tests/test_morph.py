"""Laws of morphing and transfer.

Affine fields are exact, charts do not fold, shapes meet their reference, mappings gain energy.
"""

from dataclasses import replace

import numpy as np
import pytest
from scipy.spatial import Delaunay

from rom.errors import BadInput, Folded
from rom.mesh import Mesh
from rom.shapes import (
    ArcLength,
    Chart,
    Elastic,
    Radial,
    Same,
    conservative,
    interpolation,
    linear,
    optimal_mappings,
    subdivide,
)
from rom.shapes.energy import energy as energy_of
from rom.shapes.facets import facets
from rom.shapes.location import locator
from rom.shapes.morphing import align
from rom.shapes.optimal import compose
from rom.shapes.simplex import (
    determinants,
    elasticity,
    geometry,
    lumped_mass,
    mass,
    simplices,
    stiffness,
)
from rom.shapes.transfer import quadratic

CORNERS = {"a": (0, 0), "b": (1, 0), "c": (1, 1), "d": (0, 1)}


def square(n, seed=0, shape=lambda x: x):
    """A jittered triangulation of the unit square, carried by `shape`, with sides, rim and
    corners named.
    """
    g = np.linspace(0, 1, n + 1)
    x = np.stack(np.meshgrid(g, g, indexing="ij"), -1).reshape(-1, 2)
    inside = ((x > 0) & (x < 1)).all(axis=1)
    x[inside] += np.random.default_rng(seed).uniform(-0.3 / n, 0.3 / n, (inside.sum(), 2))
    cells = Delaunay(x).simplices
    size = np.linalg.det(x[cells[:, 1:]] - x[cells[:, :1]])
    cells[size < 0] = cells[size < 0][:, [0, 2, 1]]
    cells = cells[np.abs(size) > 1e-12]
    edge, _ = facets(cells)
    middle = x[edge].mean(axis=1)
    sides = {
        f"side{k}": {"line": np.flatnonzero(np.abs(middle[:, a] - v) < 1e-9)}
        for k, (a, v) in enumerate(((1, 0), (0, 1), (1, 1), (0, 0)))
    }
    nodes = {k: np.array([np.argmin(np.linalg.norm(x - c, axis=1))]) for k, c in CORNERS.items()}
    return Mesh(
        shape(x),
        {"triangle": cells, "line": edge},
        {**sides, "rim": {"line": np.arange(len(edge))}},
        nodes,
    )


def cube(n, seed=0):
    g = np.linspace(0, 1, n + 1)
    x = np.stack(np.meshgrid(g, g, g, indexing="ij"), -1).reshape(-1, 3)
    inside = ((x > 0) & (x < 1)).all(axis=1)
    x[inside] += np.random.default_rng(seed).uniform(-0.2 / n, 0.2 / n, (inside.sum(), 3))
    i, j, k = (a.ravel() for a in np.indices((n, n, n)))

    def at(a, b, c):
        return ((i + a) * (n + 1) + j + b) * (n + 1) + k + c

    hexes = np.column_stack(
        [
            at(*c)
            for c in (
                (0, 0, 0),
                (1, 0, 0),
                (1, 1, 0),
                (0, 1, 0),
                (0, 0, 1),
                (1, 0, 1),
                (1, 1, 1),
                (0, 1, 1),
            )
        ]
    )
    return linear(Mesh(x, {"hexahedron": hexes}))


def bulge(x):
    return np.column_stack(
        [x[:, 0] * (1 + 0.3 * x[:, 1]), x[:, 1] + 0.25 * np.sin(np.pi * x[:, 0]) * x[:, 1]]
    )


@pytest.mark.parametrize("mesh", [square(7), cube(3)], ids=["plane", "volume"])
def test_affine_fields_are_exact_inside_and_constant_beyond(mesh):
    d = mesh.points.shape[1]
    slope = np.arange(1.0, d + 1)
    x = np.random.default_rng(1).uniform(-0.5, 1.5, (2000, d))
    P = interpolation(mesh, x)
    assert np.abs(P @ (2 + mesh.points @ slope) - (2 + np.clip(x, 0, 1) @ slope)).max() < 1e-12
    assert P.min() >= 0 and np.abs(P.sum(axis=1) - 1).max() < 1e-14


def test_points_beyond_a_concave_boundary_go_to_its_nearest_point():
    full = square(12)
    centre = full.points[full.cells["triangle"]].mean(axis=1)
    ell = Mesh(full.points, {"triangle": full.cells["triangle"][~(centre > 0.5).all(axis=1)]})
    at = locator(ell.points, simplices(ell))
    inside = np.random.default_rng(0).uniform(0, 1, (500, 2))
    inside = inside[~(inside > 0.45).all(axis=1)]
    cell, w = at(inside)
    assert np.abs(np.einsum("jk,jkd->jd", w, ell.points[at.cells[cell]]) - inside).max() < 1e-12
    cell, w = at(np.array([[0.6, 0.9], [2.0, 0.2]]))
    found = np.einsum("jk,jkd->jd", w, ell.points[at.cells[cell]])
    assert (
        found[0, 0] < 0.56 and abs(found[0, 1] - 0.9) < 0.06 and np.allclose(found[1], [1.0, 0.2])
    )


def raised(mesh, kind):
    """Linear simplices with a node in the middle of every edge, in the order of VTK."""
    cells, x = simplices(mesh), mesh.points
    pairs = {"line3": [(0, 1)], "triangle6": [(0, 1), (1, 2), (2, 0)]}.get(
        kind, [(0, 1), (1, 2), (2, 0), (0, 3), (1, 3), (2, 3)]
    )
    every = np.sort(np.concatenate([cells[:, pair] for pair in pairs]), axis=1)
    edges, which = np.unique(every, axis=0, return_inverse=True)
    curved = np.column_stack([cells, len(x) + which.reshape(len(pairs), -1).T])
    return Mesh(np.vstack([x, x[edges].mean(axis=1)]), {kind: curved})


@pytest.mark.parametrize(
    "flat, kind", [(square(4), "triangle6"), (cube(2), "tetra10")], ids=["plane", "volume"]
)
def test_quadratic_fields_are_exact_on_cells_with_nodes_inside_edges(flat, kind):
    mesh, d = raised(flat, kind), flat.points.shape[1]
    q = np.random.default_rng(0).uniform(0, 1, (300, d))
    u = lambda p: 1 + p[:, 0] * p[:, 1] - 3 * p[:, -1] ** 2 + p[:, 0] * p[:, -1]  # noqa: E731
    assert np.abs(interpolation(mesh, q) @ u(mesh.points) - u(q)).max() < 1e-12
    k = mesh.cells[kind].shape[1]
    assert np.abs(quadratic(np.eye(d + 1)) - np.eye(d + 1, k)).max() == 0


NINE = np.array(
    [[0, 0], [1, 0], [1, 1], [0, 1], [0.5, 0], [1, 0.5], [0.5, 1], [0, 0.5], [0.5, 0.5]]
)


@pytest.mark.parametrize(
    "mesh, parts",
    [
        (raised(square(4), "triangle6"), 4),
        (raised(cube(2), "tetra10"), 8),
        (Mesh(NINE[:8], {"quad8": np.arange(8)[None]}), 6),
        (Mesh(NINE, {"quad9": np.arange(9)[None]}), 8),
    ],
    ids=["triangle6", "tetra10", "quad8", "quad9"],
)
def test_cells_with_nodes_inside_edges_become_linear_ones_that_fill_the_same_space(mesh, parts):
    made = linear(mesh)
    volume = geometry(made.points, simplices(made))[0]
    assert len(volume) == parts * len(next(iter(mesh.cells.values()))) and volume.min() > 0
    assert abs(volume.sum() - 1) < 1e-13 and set(np.unique(simplices(made))) == set(
        range(len(mesh.points))
    )
    edge, _ = facets(simplices(made))
    rim = made.points[edge].mean(axis=1)
    assert (np.minimum(rim, 1 - rim).min(axis=1) < 1e-12).all()


@pytest.mark.parametrize(
    "mesh", [square(6), cube(3), raised(cube(2), "tetra10")], ids=["plane", "volume", "curved"]
)
def test_transfer_of_a_mesh_to_itself_is_the_identity(mesh):
    u = np.random.default_rng(0).standard_normal((len(mesh.points), 2))
    assert np.abs(interpolation(mesh, mesh.points) @ u - u).max() < 1e-9


def test_conservative_transfer_keeps_the_integral():
    a, b = square(9), square(14, 3)
    u = np.sin(5 * a.points[:, 0]) * np.exp(a.points[:, 1])
    totals = [
        lumped_mass(m.points, simplices(m)) @ v for m, v in ((a, u), (b, conservative(a, b) @ u))
    ]
    assert abs(totals[0] - totals[1]) < 1e-13
    plain = lumped_mass(b.points, simplices(b)) @ (interpolation(a, b.points) @ u)
    assert abs(plain - totals[0]) > 1e-6


def test_round_trip_error_falls_at_second_order():
    x = square(30, 5).points
    u = lambda p: np.sin(3 * p[:, 0]) * np.cos(2 * p[:, 1])  # noqa: E731
    errors = []
    for n in (8, 16, 32):
        mesh = square(n, n)
        errors.append(np.abs(interpolation(mesh, x) @ u(mesh.points) - u(x)).max())
    assert errors[0] / errors[2] > 10


@pytest.mark.parametrize(
    "mesh",
    [
        square(6),
        cube(3),
        Mesh(
            np.linspace(0, 1, 7)[:, None],
            {"line": np.column_stack([np.arange(6), np.arange(1, 7)])},
        ),
    ],
)
def test_matrices_of_linear_simplices(mesh):
    x, cells = mesh.points, simplices(mesh)
    d, one = x.shape[1], np.ones(len(mesh.points))
    assert (
        abs(one @ (mass(x, cells) @ one) - 1) < 1e-13
        and abs(lumped_mass(x, cells).sum() - 1) < 1e-13
    )
    assert abs(x[:, 0] @ (stiffness(x, cells) @ x[:, 0]) - 1) < 1e-12
    A = elasticity(x, cells)
    shift, stretch = np.tile(np.arange(1.0, d + 1), len(x)), np.zeros_like(x)
    stretch[:, 0] = x[:, 0]
    assert np.abs(A @ shift).max() < 1e-12
    G, lame = 1 / 2.6, 0.3 / (1.3 * 0.4)
    assert abs(stretch.ravel() @ (A @ stretch.ravel()) - (2 * G + lame)) < 1e-12
    if d > 1:
        turn = np.zeros_like(x)
        turn[:, 0], turn[:, 1] = -x[:, 1], x[:, 0]
        assert np.abs(A @ turn.ravel()).max() < 1e-12


def test_subdivision_is_conforming_and_keeps_the_volume():
    for mesh in (square(5), cube(2)):
        once = subdivide(mesh, np.arange(4))
        whole = subdivide(once)
        for made in (once, whole):
            volume = geometry(made.points, simplices(made))[0]
            assert volume.min() > 0 and abs(volume.sum() - 1) < 1e-13
            edge, _ = facets(simplices(made))
            rim = made.points[edge].mean(axis=1)
            assert (np.minimum(np.abs(rim), np.abs(rim - 1)).min(axis=1) < 1e-12).all(), (
                "an inner facet has no partner: a hanging node"
            )
        assert len(once.points) > len(mesh.points)


def test_subdivision_keeps_named_curves():
    mesh = square(5)
    fine = subdivide(subdivide(mesh, np.arange(9)))
    edge, _ = facets(simplices(fine))
    for name, parts in mesh.regions.items():
        lines = fine.cells["line"][fine.regions[name]["line"]]
        old = mesh.cells["line"][parts["line"]]
        length = [
            np.linalg.norm(np.diff(x, axis=1)[:, 0], axis=1).sum()
            for x in (fine.points[lines], mesh.points[old])
        ]
        assert abs(length[0] - length[1]) < 1e-13 and {
            tuple(e) for e in np.sort(lines, axis=1).tolist()
        } <= {tuple(e) for e in np.sort(edge, axis=1).tolist()}
    assert len(fine.regions["rim"]["line"]) == len(edge)


def test_a_volume_is_pressed_onto_a_shape_and_few_modes_reach_it_sooner():
    sides = Elastic(stiffness=10.0, tol=2e-3)

    def shape(a, b):
        return lambda x: np.column_stack(
            [x[:, 0] * (1 + a * x[:, 2]), x[:, 1], x[:, 2] + b * np.sin(np.pi * x[:, 0])]
        )

    def made(n, seed, a, b):
        mesh = cube(n, seed)
        return replace(mesh, points=shape(a, b)(mesh.points))

    reference, new = cube(4), made(5, 2, 0.15, 0.1)
    y = sides(new, reference)
    rim = np.unique(facets(simplices(new))[0])
    assert np.minimum(np.abs(y[rim]), np.abs(y[rim] - 1)).min(axis=1).max() < 0.02
    assert determinants(new.points, y, simplices(new)).min() > 0.05
    train = [made(4, 1, a, b) for a in (0.0, 0.25) for b in (0.0, 0.15)]
    moved = np.array([(sides.carry(m, reference)[0] - reference.points).ravel() for m in train])
    Z = np.linalg.svd(moved, full_matrices=False)[2][:3].T
    assert replace(sides, modes=Z).carry(new, reference)[1] < sides.carry(new, reference)[1]


@pytest.mark.parametrize("weights", ["tutte", "floater", "harmonic"])
@pytest.mark.parametrize("shape", ["disk", "square"])
def test_charts_do_not_fold_and_meet_their_landmarks(shape, weights):
    mesh = square(9, 2, bulge)
    y = Chart(shape, weights, tuple(CORNERS))(mesh, mesh)
    assert determinants(mesh.points, y, mesh.cells["triangle"]).min() > 0
    want = {"square": [CORNERS[k] for k in CORNERS], "disk": [(-1, 0), (0, -1), (1, 0), (0, 1)]}[
        shape
    ]
    assert np.abs(y[[mesh.nodes[k][0] for k in CORNERS]] - want).max() < 1e-12


def test_a_chart_of_a_square_on_a_square_is_the_identity():
    mesh = square(8)
    for weights in ("floater", "harmonic"):
        assert (
            np.abs(Chart("square", weights, tuple(CORNERS))(mesh, mesh) - mesh.points).max() < 1e-12
        )


def test_a_chart_refuses_holes_and_says_what_to_do():
    mesh = square(6)
    centre = mesh.points[mesh.cells["triangle"]].mean(axis=1)
    with pytest.raises(BadInput, match="holes"):
        Chart()(
            Mesh(
                mesh.points,
                {"triangle": mesh.cells["triangle"][np.abs(centre - 0.5).max(axis=1) > 0.2]},
            ),
            mesh,
        )


@pytest.mark.parametrize(
    "morph",
    [
        Radial(curves=("side0", "side1", "side2", "side3")),
        Elastic(("side0", "side1", "side2", "side3"), tuple(CORNERS)),
    ],
    ids=["radial", "elastic"],
)
def test_a_shape_is_carried_onto_its_reference(morph):
    reference, shape = square(10), square(14, 1, bulge)
    y = morph(shape, reference)
    rim = np.unique(shape.cells["line"])
    assert np.minimum(np.abs(y[rim]), np.abs(y[rim] - 1)).min(axis=1).max() < 2e-3
    assert determinants(shape.points, y, shape.cells["triangle"]).min() > 0.05
    assert np.abs(morph(reference, reference) - reference.points).max() < 1e-9


def test_few_modes_of_displacement_reach_the_shape_with_fewer_full_steps():
    sides = ("side0", "side1", "side2", "side3")
    reference, plain = square(8), Elastic(sides, tuple(CORNERS), stiffness=1.0, tol=1e-3)

    def shape(a, b):
        return lambda x: np.column_stack(
            [x[:, 0] * (1 + a * x[:, 1]), x[:, 1] + b * np.sin(np.pi * x[:, 0]) * x[:, 1]]
        )

    train = [square(8, 1, shape(a, b)) for a in (0.0, 0.2, 0.4) for b in (-0.2, 0.0, 0.2)]
    moved = np.array([(plain.carry(m, reference)[0] - reference.points).ravel() for m in train])
    Z = np.linalg.svd(moved - 0, full_matrices=False)[2][:5].T
    new = square(11, 2, shape(0.3, 0.1))
    full, reduced = plain.carry(new, reference), replace(plain, modes=Z).carry(new, reference)
    assert reduced[1] < full[1]
    assert np.abs(full[0] - reduced[0]).max() < 0.02


def test_a_fold_is_an_error_that_names_the_cell():
    mesh = square(6)
    turned = Mesh(mesh.points, mesh.cells, mesh.regions, {"a": np.array([8, 17])})
    crossed = Mesh(mesh.points, mesh.cells, mesh.regions, {"a": np.array([40, 9])})
    with pytest.raises(Folded, match=r"cell \d+ with nodes"):
        Radial(controls=("a",), curves=("rim",), substeps=1)(turned, crossed)


def test_same_needs_as_many_nodes():
    with pytest.raises(BadInput, match="correspond"):
        Same()(square(3), square(4))


def test_arc_length_of_a_curve_has_its_landmarks_at_whole_numbers():
    t = np.linspace(0, np.pi, 41) ** 1.2
    t = t / t[-1] * np.pi
    mesh = Mesh(
        np.column_stack([-2 * np.sin(t), np.cos(t)]),
        {"line": np.column_stack([np.arange(40), np.arange(1, 41)])},
        nodes={"k": np.array([11])},
    )
    s = ArcLength(("k",))(mesh, mesh)[:, 0]
    assert s[0] == 0 and s[11] == 1 and s[40] == 2 and (np.diff(s) > 0).all()
    assert abs(np.interp(np.pi / 2, t, ArcLength(leading=True)(mesh, mesh)[:, 0]) - 1) < 2e-3


@pytest.mark.parametrize("d", [2, 3])
def test_rigid_motions_are_taken_out(d):
    rng = np.random.default_rng(0)
    x = rng.standard_normal((30, d))
    R, _ = np.linalg.qr(rng.standard_normal((d, d)))
    R[:, 0] *= np.sign(np.linalg.det(R))
    y = x + 0.1 * rng.standard_normal(x.shape)
    assert np.abs(align(x @ R.T + 3.0, y) - align(x, y)).max() < 1e-12


def fronts(reference, m=6, width=0.08):
    """A front at a place that differs, and a smooth part that does not move."""
    x = reference.points
    place = np.linspace(0.35, 0.65, m)
    return np.array([np.tanh((x[:, 0] - c) / width) + 0.2 * x[:, -1] for c in place])


@pytest.mark.parametrize(
    "reference",
    [
        square(8),
        linear(
            Mesh(
                np.linspace(0, 1, 41)[:, None],
                {"line": np.column_stack([np.arange(40), np.arange(1, 41)])},
            )
        ),
        cube(5),
    ],
    ids=["plane", "line", "volume"],
)
def test_derivative_of_the_objective(reference):
    x, cells = reference.points, simplices(reference)
    u, rng = fronts(reference)[:, :, None], np.random.default_rng(3)
    K = stiffness(x, cells)
    d = x.shape[1]
    stiff = np.kron(K.toarray(), np.eye(d))
    L = np.eye(len(u)) + 0.1
    energy = energy_of(x, cells, u, np.ones(1), barrier=0.5, rho=0.1, stiff=stiff, precision=L)
    bump = np.prod(x * (1 - x), axis=1)[:, None]
    w = 0.1 * bump * rng.standard_normal((len(u), *x.shape)) * 0.2
    w[:] += 0.3 * bump * np.sin(3 * x)
    direction = bump * rng.standard_normal(w.shape)
    for r in (1, 2):
        _, force, _ = energy(w, r)
        h = 1e-7
        slope = (energy(w + h * direction, r)[0] - energy(w - h * direction, r)[0]) / (2 * h)
        assert abs(slope - np.sum(force * direction)) < 1e-5 * abs(slope)


@pytest.mark.parametrize("kind", ["helmholtz", "elasticity"])
@pytest.mark.parametrize(
    "reference, width", [(subdivide(square(10)), 0.08), (cube(6), 0.2)], ids=["plane", "volume"]
)
def test_mappings_gain_energy_and_stay_bijective(kind, reference, width):
    u = fronts(reference, width=width)
    found = optimal_mappings(
        reference, u, stages=((1, 0.05), (1, 0.0)), kind=kind, steps=40, length=0.2
    )
    last = (
        found.energy[np.argmax(np.diff(found.energy) < -1e-3) + 1 :]
        if (np.diff(found.energy) < -1e-3).any()
        else found.energy
    )
    still = optimal_mappings(reference, u, stages=((1, 0.0),), steps=0)
    assert (1 - found.energy[-1]) < 0.2 * (1 - still.energy[-1])
    assert found.smallest.min() > 0.1 and len(last) > 1
    rim = np.unique(reference.cells.get("line", facets(simplices(reference))[0]))
    onto = reference.points[rim] + found.w[:, rim]
    assert np.minimum(np.abs(onto), np.abs(onto - 1)).min(axis=2).max() < 1e-12


def test_the_objective_rises_monotonically_within_a_stage():
    reference = square(10)
    found = optimal_mappings(
        reference, fronts(reference), stages=((1, 0.0),), barrier=1e-9, rho=0.0, length=0.2
    )
    assert (np.diff(found.energy) > -1e-10).all() and found.energy[-1] > found.energy[0]


def test_the_order_of_samples_does_not_matter():
    reference = square(8)
    u, order = fronts(reference), np.array([3, 0, 5, 1, 4, 2])
    covariance = np.exp(-((np.arange(6)[:, None] - np.arange(6)) ** 2) / 4)
    one = optimal_mappings(reference, u, stages=((1, 0.0),), covariance=covariance, steps=15)
    other = optimal_mappings(
        reference,
        u[order],
        stages=((1, 0.0),),
        covariance=covariance[np.ix_(order, order)],
        steps=15,
    )
    assert np.abs(one.w[order] - other.w).max() < 1e-6


@pytest.mark.parametrize("reference", [subdivide(square(8)), cube(5)], ids=["plane", "volume"])
def test_mappings_of_low_rank_gain_more_than_truncated_ones(reference):
    x, cells, u = reference.points, simplices(reference), fronts(reference, width=0.15)
    options = {"stages": ((1, 0.1), (1, 0.0)), "length": 0.2, "steps": 25}
    full, low = (optimal_mappings(reference, u, rank=rank, **options) for rank in (None, 1))
    spread = np.linalg.svd((low.w - low.w.mean(axis=0)).reshape(len(u), -1), compute_uv=False)
    assert spread[1] < 1e-10 * spread[0] and low.smallest.min() > 0
    mean = full.w.mean(axis=0)
    U, s, Vt = np.linalg.svd((full.w - mean).reshape(len(u), -1), full_matrices=False)
    cut = mean + (U[:, :1] * s[:1] @ Vt[:1]).reshape(full.w.shape)
    measure = energy_of(
        x, cells, u[:, :, None], np.ones(1), barrier=0.0, rho=0.0, stiff=None, precision=None
    )
    assert low.energy[-1] > measure(cut, 1)[2] - 1e-12
    assert (np.diff(low.energy[len(full.energy) :]) > -1e-4).all()
    order = np.array([3, 0, 5, 1, 4, 2])
    other = optimal_mappings(reference, u[order], rank=1, **options)
    assert np.abs(low.w[order] - other.w).max() < 1e-4


def test_composed_mappings_gain_more_and_keep_their_determinants_positive():
    reference = subdivide(square(8))
    x, cells, u = reference.points, simplices(reference), fronts(reference)
    e = energy_of(
        x, cells, u[:, :, None], np.ones(1), barrier=0.0, rho=0.0, stiff=None, precision=None
    )
    w = np.prod(x * (1 - x), axis=1)[:, None] * np.random.default_rng(0).uniform(
        -0.3, 0.3, (len(u), 1, 2)
    )
    assert np.abs(compose(e, w, np.zeros_like(w)) - w).max() < 1e-14
    assert np.abs(compose(e, np.zeros_like(w), w) - w).max() < 1e-14
    turned = np.tile(x @ np.array([[0.0, 0.1], [-0.1, 0.0]]), (len(u), 1, 1))
    inside = 0.1 * np.prod(x * (1 - x), axis=1)[:, None] * np.ones((len(u), 1, 2))
    assert (
        np.abs(
            compose(e, turned, inside) - (inside + (x + inside) @ [[0.0, 0.1], [-0.1, 0.0]])
        ).max()
        < 1e-13
    )
    options = {"stages": ((1, 0.1), (1, 0.0)), "length": 0.2, "steps": 6}
    once, again = (optimal_mappings(reference, u, restarts=k, **options) for k in (0, 2))
    assert (np.diff(again.energy[len(once.energy) - 1 :]) >= 0).all() and again.energy[
        -1
    ] > once.energy[-1]
    assert again.smallest.min() > 0
