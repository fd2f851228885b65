"""Airfoils in three dimensions: meshes, their curves, and a small family learnt."""

import numpy as np
import pytest

from rom.errors import BadInput
from rom.shapes import linear, overlay
from rom.shapes.facets import facets
from rom.shapes.simplex import determinants, geometry, simplices
from solvers.blade_mesh import Blade

pytest.importorskip("gmsh")


def test_an_airfoil_is_a_closed_body_with_curves_that_match():
    from cases.blade_family import MORPH
    from solvers.airfoil_mesh import airfoil_mesh, curve_names

    mesh, other = (
        airfoil_mesh(Blade(), 0.006),
        airfoil_mesh(Blade(twist=-25, turning=65, taper=0.9, span=0.11), 0.005, 12),
    )
    volume, x, cells = (
        geometry(mesh.points, mesh.cells["tetra"])[0],
        mesh.points,
        mesh.cells["triangle"],
    )
    assert volume.min() > 0 and len(facets(mesh.cells["tetra"])[0]) == len(cells)
    a, b, c = (x[cells[:, i]] for i in range(3))
    assert (
        abs(np.einsum("kd,kd->", a, np.cross(b, c)) / 6 - volume.sum())
        < 1e-12 * np.abs(x).max() ** 3
    )
    assert sum(len(mesh.regions[name]["triangle"]) for name in ("base", "gas", "channels")) == len(
        cells
    )
    assert all(name in mesh.regions for name in curve_names())
    laid = overlay(other, mesh, MORPH)
    assert laid.jacobian > 0.3
    at, onto = (m.cells["line"][m.region("suction2")["line"]] for m in (other, mesh))
    assert np.abs(laid.place[at[[0, -1], [0, 1]]] - mesh.points[onto[[0, -1], [0, 1]]]).max() < 1e-7
    assert (
        determinants(linear(other).points, laid.place, simplices(linear(other))).min()
        == laid.jacobian
    )
    with pytest.raises(BadInput, match="quarters"):
        airfoil_mesh(Blade(), 0.006, 10)


@pytest.mark.slow
def test_unseen_blades_are_predicted_better_with_morphing_and_strangers_flagged():
    from cases.blade_family import main

    numbers = main(train=14, test=4, h=0.007, modes=4, seed=3)
    assert numbers["rel_l2_T"] < 0.5 * numbers["unmorphed_rel_l2_T"] and numbers["rel_l2_T"] < 0.01
    assert numbers["q2_u"] > 0.95 and numbers["least_jacobian"] > 0.3
    assert numbers["ood_flagged"] == 1.0


@pytest.mark.slow
def test_bands_of_unseen_blades_hold_what_they_promise():
    from cases.blade_family import fit_model, samples
    from rom.study.metrics import field_coverage

    model = fit_model(samples(48, 0.005, 0), 0.005, 12)
    unseen = samples(32, 0.005, 1)
    answers = [model.predict(s.mu, mesh=s.mesh) for s in unseen]
    for name, least in {
        "T": 0.84,
        "mises": 0.75,
        "u": 0.65,
    }.items():  # few coefficients carry u: it varies from draw to draw
        held = field_coverage(
            [a.field(name) for a in answers],
            [s.fields[name] for s in unseen],
            [a.std(name) for a in answers],
        )
        assert least < held < 0.96, f"{name}: {held}"
