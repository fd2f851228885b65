"""Nouns show what they are, not their numbers."""

import numpy as np
import pytest

import rom
from cases.thermal_block import problem
from rom.certified import galerkin_model
from rom.snapshots import Snapshots
from tests.pages import certified, process


@pytest.fixture(scope="module")
def nouns():
    block = problem(cells=6)
    mu = rom.sobol(block.box, 6)
    u = np.stack([block.solve(point) for point in mu], axis=1)
    snapshots = Snapshots(block.space, mu, u)
    basis = rom.pod(snapshots, rank=3)[0]
    model = galerkin_model(block, basis)
    field = process("rbf")[0]
    answers = [model.predict(mu), field.predict([1.0, 0.5])]
    return [
        block, block.space, block.mesh, block.A, snapshots, basis, model, field, *answers,
        field.asks, *answers[1].parts.values(), *answers[1].errors,
        rom.Field("T", "K", np.arange(99)), rom.study.study(model, block.solve, mu),
    ]  # fmt: skip


def test_a_noun_is_one_short_line_and_one_small_table(nouns):
    for noun in nouns:
        assert repr(noun).startswith(f"{type(noun).__name__}(")
        assert len(repr(noun)) < 1000 and "\n" not in repr(noun), noun
        assert "array(" not in repr(noun) and len(noun._repr_html_()) < 4000


def test_shapes_types_names_and_members_are_shown():
    model, mesh = certified()
    assert repr(model.basis).startswith("Basis(space=Space, modes=float64 85 x 3")
    assert "basis=Basis" in repr(model) and "box=Box" in repr(model)
    assert "unit='m'" in repr(mesh) and "triangle: int64" in repr(mesh)
    space = model.basis.space
    assert "product=sparse float64 85 x 85" in repr(space)
    assert "Field 'temperature'" in repr(space)


def test_what_a_table_shows_is_escaped():
    text = rom.Field("<b>", "K", np.arange(2))._repr_html_()
    assert "<b>Field</b>" in text and "&lt;b&gt;" in text and "'<b>'" not in text
