"""A reference refined where fields need it."""

import json

import numpy as np
import pytest

from rom.errors import BadInput
from rom.shapes import Radial, Sample, overlay, refine, subdivide
from rom.shapes.references import bent
from rom.shapes.simplex import geometry, simplices
from tests.test_morph import square

SIDES = Radial(curves=("side0", "side1", "side2", "side3"))


def steep(m, n=26):
    """Plates with a steep layer that moves a little."""
    made = []
    for k, c in enumerate(np.linspace(0.45, 0.55, m)):
        mesh = square(n, k, lambda x, c=c: x * [1.0, 1.0 + 0.3 * c])
        made.append(Sample(mesh, fields={"u": np.tanh((mesh.points[:, 0] - c) / 0.05)}))
    return made


def missed(reference, samples):
    """The largest relative error of there and back."""
    laid = [overlay(s.mesh, reference, SIDES) for s in samples]
    errors = [
        x.push(x.pull(s.fields["u"])) - s.fields["u"] for x, s in zip(laid, samples, strict=True)
    ]
    return max(
        np.linalg.norm(e) / np.linalg.norm(s.fields["u"])
        for e, s in zip(errors, samples, strict=True)
    )


def test_a_refined_reference_loses_less_than_a_uniform_one_of_more_nodes():
    samples, coarse = steep(3), square(6, 9)
    uniform = subdivide(subdivide(subdivide(coarse)))
    made = refine(coarse, samples, SIDES, len(uniform.points))
    assert len(made.points) <= len(uniform.points) and missed(made, samples) < 0.6 * missed(
        uniform, samples
    )
    volume = geometry(made.points, simplices(made))[0]
    assert volume.min() > 0 and abs(volume.sum() - 1) < 1e-13
    near = np.abs(made.points[simplices(made)].mean(axis=1)[:, 0] - 0.5) < 0.15
    assert np.median(volume[near]) < 0.5 * np.median(volume[~near])


def test_affine_fields_ask_for_no_refinement():
    mesh = square(5)
    s = Sample(mesh, fields={"u": 1 + mesh.points @ [2.0, 3.0]})
    assert np.abs(bent(square(4, 3), [s], SIDES)).max() < 1e-20


def test_the_command_refines_its_reference(tmp_path):
    from typer.testing import CliRunner

    from rom.cli.app import app
    from tests.test_shapes import plates, written

    train, words = (
        written(tmp_path / "train", plates(8, 0)),
        ["--curves", "side0,side1,side2,side3", "--outputs", "work", "--json"],
    )
    options = ["--out", str(tmp_path / "m.h5"), "--nodes", "150", *words]
    got = CliRunner().invoke(app, ["shapes", "train", str(train), *options])
    assert got.exit_code == 0, got.output
    largest = max(len(sample.mesh.points) for sample in plates(8, 0))
    size = json.loads(got.output.strip().splitlines()[-1])["reference nodes"]
    assert largest < 100 < size <= 150


def test_a_reference_with_too_many_nodes_is_refused():
    with pytest.raises(BadInput, match="at most 10"):
        refine(square(5), steep(1, 6), SIDES, 10)
