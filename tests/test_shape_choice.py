"""Choices over shapes by cross-validation; closed surfaces; mappings on curves and surfaces."""

from dataclasses import replace

import numpy as np
import pytest

from rom.cli.shape_morphs import candidate_morphs
from rom.design.designs import sobol
from rom.errors import BadInput, Folded
from rom.gp.modal import average_regression, condition_on
from rom.mesh import Mesh
from rom.shapes import (
    ArcLength,
    Chart,
    Elastic,
    Reduction,
    Sample,
    Sphere,
    choose_shapes,
    optimal_mappings,
    shape_model,
)
from rom.shapes.embeddings import distance_to_others
from rom.shapes.energy import energy
from rom.shapes.location import locator
from rom.shapes.manifolds import manifold, signed_ratios
from rom.shapes.simplex import simplices
from rom.shapes.stars import star
from rom.space import Space
from tests.test_morph import square


def line(n):
    return np.column_stack([np.arange(n - 1), np.arange(1, n)])


def foil(thickness, camber, n, rng, label="cp"):
    """A cambered curve from end to end whose field has a kink at its foremost node."""
    t = np.sort(rng.uniform(0.05, 2 * np.pi - 0.05, n))
    t[0], t[-1], t[n // 2] = 0.02, 2 * np.pi - 0.02, np.pi
    t = np.sort(t)
    x = 0.5 * (1 - np.cos(t + np.pi))
    y = thickness * np.sin(t) + camber * np.sin(np.pi * x)
    s = np.abs(t - np.pi)
    return Sample(
        Mesh(np.column_stack([x, y]), {"line": line(n)}), fields={label: thickness * np.sqrt(s)}
    )


@pytest.fixture(scope="module")
def foils():
    rng = np.random.default_rng(0)
    rows = rng.uniform([0.1, 0.0], [0.2, 0.05], (10, 2))
    return [foil(*row, 40 + k % 3, rng) for k, row in enumerate(rows)]


def test_the_choice_is_the_least_error_of_all_trials(foils):
    morphs = {**candidate_morphs(foils, "auto", (), ()), "elastic": Elastic()}
    model, trials = choose_shapes(
        foils, morphs, reduction=Reduction(shape=2, fields=4), keep=("fields",)
    )
    errors = {trial.text: trial.error for trial in trials}
    assert np.isnan(errors["elastic"]) and "curve" in trials[4].reason
    rules = {name: errors[name] for name in errors if name.startswith("arc")}
    assert set(rules) == {"arc", "arc, leading apex", "arc, leading node", "arc, leading bend"}
    assert model.morph.leading and min(rules, key=rules.get) == f"arc, leading {model.morph.rule}"
    assert rules["arc"] > 1.5 * min(rules.values())
    least = np.nanmin(list(errors.values()))
    assert model.error <= least / 0.98**2 and model.fields[0].skill > 0.5


def test_where_no_morphing_serves_every_reason_is_told(foils):
    with pytest.raises(BadInput, match=r"elastic: elastic morphs areas.*disk: a disk chart"):
        choose_shapes(foils, {"elastic": Elastic(), "disk": Chart()})


def test_a_field_of_noise_has_no_skill_and_training_says_so(foils, tmp_path):
    from rom.cli.shape_training import _error_rows

    rng = np.random.default_rng(1)
    noise = [
        replace(s, fields={"cp": 1.0 + rng.normal() * np.ones(len(s.mesh.points))}) for s in foils
    ]
    model = shape_model(noise, ArcLength(), reduction=Reduction(shape=2))
    rows = _error_rows(model)
    assert model.fields[0].skill < 0.05 and "mean field" in rows["warning: cp"]
    model = shape_model(foils, ArcLength((), True, "node"), reduction=Reduction(shape=2))
    assert "warning: cp" not in _error_rows(model)


def test_the_error_is_that_of_the_fields_in_their_unit():
    """Baselines scale what is learnt, not the errors: those are told in the field's unit."""
    t = np.linspace(0.0, 1.0, 21)
    samples = []
    for k, a in enumerate(np.linspace(1.0, 2.0, 12)):
        mesh = Mesh(np.column_stack([t, a * t * (1 - t)]), {"line": line(21)})
        u = 10.0 + np.sin(5 * a * t)
        samples.append(Sample(mesh, np.zeros(0), {"u": u}, baseline={"u": np.full(21, 10.0 + k)}))
    model = shape_model(samples, ArcLength(), reduction=Reduction(shape=1, fields=1, folds=6))
    part = model.fields[0]
    answers = [model.predict(mesh=s.mesh, fields=s.baseline).field("u") for s in samples]
    seen = np.mean(
        [
            np.linalg.norm(v - s.fields["u"]) / np.linalg.norm(s.fields["u"])
            for v, s in zip(answers, samples, strict=True)
        ]
    )
    assert seen < part.error < 10 * seen + 1e-12
    assert part.mean_error > part.error


def test_an_unknown_rule_of_a_leading_edge_is_refused(foils):
    with pytest.raises(BadInput, match="apex, node, bend"):
        ArcLength((), True, "nose")(foils[0].mesh, foils[0].mesh)


def test_rules_of_leading_edges_agree_on_an_ellipse():
    t = np.linspace(0.0, 2 * np.pi, 402)[1:-1]
    mesh = Mesh(np.column_stack([np.cos(t), 0.2 * np.sin(t)]), {"line": line(400)})
    for rule in ("apex", "node", "bend"):
        s = ArcLength((), True, rule)(mesh, mesh)[:, 0]
        assert abs(np.interp(np.pi, t, s) - 1.0) < 0.01


def test_a_sphere_chart_takes_closed_star_shaped_surfaces_only():
    from cases.bumped_ellipsoids import ball

    e, cells = ball(200, 0)
    body = Mesh(e * [2.0, 1.0, 0.5] + [3.0, 0.0, 0.0], {"triangle": cells})
    y = Sphere()(body, body)
    assert np.allclose(np.linalg.norm(y, axis=1), 1.0)
    assert (np.linalg.det(y[cells]) > 0).all()
    with pytest.raises(BadInput, match="boundary edges"):
        Sphere()(Mesh(e, {"triangle": cells[1:]}), body)
    inner = e.copy()
    inner[0] = -1.5 * inner[0]
    with pytest.raises(Folded, match="star-shaped"):
        Sphere()(Mesh(inner, {"triangle": cells}), body)
    with pytest.raises(BadInput, match=r"surface in dimension 3: take sphere"):
        Elastic()(body, body)
    assert set(candidate_morphs([Sample(body), Sample(Mesh(e, {"triangle": cells[1:]}))],
                                "auto", (), ())) == {"sphere"}  # fmt: skip


def test_mapping_along_a_straight_curve_in_the_plane_is_that_of_the_line():
    x = np.linspace(0.0, 1.0, 61)
    flat = Mesh(x[:, None], {"line": line(61)})
    c, d = np.cos(0.4), np.sin(0.4)
    tilted = Mesh(np.column_stack([c * x, d * x]), {"line": line(61)})
    u = np.array([np.tanh((x - s) / 0.05) for s in (0.4, 0.5, 0.6)])
    options = {"stages": ((1, 0.05), (1, 0.0)), "steps": 10, "length": 0.1}
    one, two = (optimal_mappings(mesh, u, **options) for mesh in (flat, tilted))
    along = two.w @ [c, d]
    assert np.abs(two.w @ [-d, c]).max() < 1e-9
    assert two.smallest.min() > 0 and 1 - two.energy[-1] < 0.2 * (1 - two.energy[0])
    assert np.abs(along - one.w[:, :, 0]).max() < 0.02


def test_the_energy_on_a_plane_in_space_is_that_of_the_plane():
    flat = square(6)
    rng = np.random.default_rng(0)
    tilt = np.linalg.qr(rng.normal(size=(3, 3)))[0][:2]
    x, y = flat.points.T
    u = np.array([np.exp(-((x - s) ** 2 + (y - 0.5) ** 2) / 0.05) for s in (0.4, 0.5, 0.6)])
    inside = np.prod(flat.points * (1 - flat.points), axis=1, keepdims=True)
    w = 0.3 * inside * rng.normal(size=(3, *flat.points.shape))
    options = {"barrier": 2.0, "rho": 0.0, "stiff": None, "precision": None}
    plane = energy(flat.points, simplices(flat), u[:, :, None], np.ones(1), **options)
    space = energy(flat.points @ tilt, simplices(flat), u[:, :, None], np.ones(1), **options)
    value, force, J = plane(w, 1)
    assert np.isfinite(value) and 0.5 < J < 1.0
    other, pull, K = space(w @ tilt, 1)
    assert abs(other - value) < 1e-10 and abs(K - J) < 1e-10
    within = inside[:, 0] > 1e-9  # on the rim two cells meet, and either gradient is right
    assert np.abs(pull @ tilt.T - force)[:, within].max() < 1e-9


def test_measures_on_a_surface_are_signed_and_have_their_derivative():
    from cases.bumped_ellipsoids import ball

    rng = np.random.default_rng(0)
    e, cells = ball(120, 0)
    at = locator(e, cells)
    assert np.allclose(signed_ratios(at, e), 1.0)
    assert signed_ratios(at, e * [1.0, 1.0, -1.0]).max() < 0
    surface = manifold(at)
    F = np.eye(3)[:, :, None, None] + 0.1 * rng.normal(size=(3, 3, len(cells), 1))
    cell = at(e)[0][None]
    _, slope = surface.measure(F, cell)
    step = rng.normal(size=F.shape)
    up, down = (surface.measure(F + h * step, cell)[0] for h in (1e-5, -1e-5))
    assert np.allclose(np.sum(slope * step, axis=(0, 1)), (up - down) / 2e-5, atol=1e-7)
    turned = cells.copy()
    turned[0] = turned[0, ::-1]
    with pytest.raises(BadInput, match="same way round"):
        manifold(locator(e, turned))


def test_mapping_a_bump_over_a_closed_surface_gains_twice():
    from cases.bumped_ellipsoids import ball

    e, cells = ball(250, 0)
    body = Mesh(e, {"triangle": cells})
    u = np.array(
        [
            np.exp(-np.sum((e - [np.cos(t), np.sin(t), 0.0]) ** 2, axis=1) / 0.2)
            for t in (-0.3, -0.1, 0.1, 0.3)
        ]
    )
    result = optimal_mappings(body, u, stages=((1, 0.0),), length=0.4, steps=15)
    assert 1 - result.energy[-1] < 0.05 * (1 - result.energy[0])
    assert result.smallest.min() > 0
    moved = e + result.w
    size = np.linalg.norm(moved, axis=2)
    assert size.min() > 0.9 and size.max() < 1.0 + 1e-9  # on the polyhedron


def test_rays_carry_points_onto_a_closed_surface_from_wherever_the_walk_starts():
    from cases.bumped_ellipsoids import ball

    rng = np.random.default_rng(0)
    e, cells = ball(120, 0)
    body = e * [1.3, 1.0, 0.8] + [3.0, 0.0, 0.0]
    rays = star(body, cells)
    x = rays.centre + rng.normal(size=(300, 3))
    cell, w = rays(x)
    image = np.einsum("jk,jkd->jd", w, body[cells[cell]]) - rays.centre
    away = x - rays.centre
    assert w.min() >= 0 and np.allclose(w.sum(axis=1), 1.0)
    assert np.abs(np.cross(image, away)).max() < 1e-12 and (np.sum(image * away, axis=1) > 0).all()
    assert np.array_equal(rays(x, near=np.zeros(300, np.int64))[0], cell)
    assert np.allclose(rays.onto(body), body)
    assert star(body, cells[1:]) is None  # not closed
    inner = body.copy()
    inner[0] = rays.centre - 0.5 * (inner[0] - rays.centre)
    assert star(inner, cells) is None  # not seen from the centre


def test_the_energy_on_a_closed_surface_has_its_derivative():
    from cases.bumped_ellipsoids import ball

    rng = np.random.default_rng(0)
    e, cells = ball(120, 0)
    u = rng.normal(size=(3, len(e), 2))
    options = {"barrier": 2.0, "rho": 0.0, "stiff": None, "precision": None}
    surface = energy(e * [1.3, 1.0, 0.8], cells, u, np.ones(2), **options)
    w, step = 0.05 * rng.normal(size=(2, 3, *e.shape))
    _, force, _ = surface(w, 2)
    up, down = (surface(w + h * step, 2)[0] for h in (1e-5, -1e-5))
    assert abs((up - down) / 2e-5 - np.sum(force * step)) < 1e-6 * abs(np.sum(force * step))


@pytest.mark.slow
def test_a_bump_over_closed_surfaces_is_learnt_through_mappings():
    from cases.bumped_ellipsoids import BOX, fit_model, samples

    train = samples(sobol(BOX, 12, 0), 120, 1)
    model = fit_model(train, 120, 2, 2)
    plain = fit_model(train, 120, model.latents, 0)
    assert model.mapping is not None
    assert model.error < 0.6 * plain.error


def test_an_average_of_kernels_is_conditioned_on_other_runs():
    z = np.random.default_rng(0).random((25, 2))
    a = np.column_stack([np.sin(3 * z[:, 0] + z[:, 1]), 0.1 * np.abs(z[:, 1] - 0.4)])
    model = average_regression(z, a)
    same = condition_on(model, z, a)
    np.testing.assert_allclose(same.posterior(z[:5] + 0.01), model.posterior(z[:5] + 0.01))
    part = condition_on(model, z[:20], a[:20, :1])
    each = [condition_on(gp, z[:20], a[:20, :1]).posterior(z[20:])[0] for gp in model.processes]
    mean = np.einsum("k,kmr->mr", model.weights, each)
    np.testing.assert_allclose(part.posterior(z[20:])[0], mean, rtol=1e-12)
    assert len(model.processes) > 1 and model.weights.sum() == pytest.approx(1.0)


@pytest.mark.parametrize("m", [9, 60])
def test_what_modes_of_the_others_miss_is_that_of_their_singular_vectors(m):
    rng = np.random.default_rng(1)
    x = rng.normal(size=(12, m)) * np.geomspace(1.0, 0.01, 12)[:, None]
    missed = []
    for i in range(m):
        rest = x[:, np.arange(m) % 50 != i % 50]
        U = np.linalg.svd(rest - rest.mean(axis=1, keepdims=True), full_matrices=False)[0][:, :3]
        own = x[:, i] - rest.mean(axis=1)
        missed.append(np.linalg.norm(own - U @ (U.T @ own)))
    space = Space(np.ones(12), np.arange(12))
    assert distance_to_others(space, x, 3) == pytest.approx(max(missed), rel=1e-9)
