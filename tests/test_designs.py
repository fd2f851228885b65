"""Designs of experiments: balance, slices, corners, scales, seeds."""

import numpy as np
import pytest

from rom.design.designs import grid, latin_hypercube, sobol
from rom.errors import BadInput
from rom.parameters import Box

BOX = Box(
    ("a", "k"), np.array([-1.0, 1e-3]), np.array([3.0, 1e3]), ("m", "W/m/K"), ("linear", "log")
)


@pytest.mark.parametrize("m", [1, 2, 3, 7, 8, 33])
@pytest.mark.parametrize("design", [sobol, latin_hypercube])
def test_shape_bounds_and_seed(design, m):
    mus = design(BOX, m, rng=3)
    assert mus.shape == (m, 2)
    BOX.check(mus, slack=0.0)
    np.testing.assert_array_equal(mus, design(BOX, m, rng=np.random.default_rng(3)))
    assert not np.array_equal(mus, design(BOX, m, rng=4))


@pytest.mark.parametrize("k", [1, 2, 3])
def test_sobol_fills_every_elementary_interval(k):
    x = BOX.to_unit(sobol(BOX, 2 ** (2 * k)))
    counts, _, _ = np.histogram2d(x[:, 0], x[:, 1], bins=2**k, range=[[0, 1], [0, 1]])
    np.testing.assert_array_equal(counts, 1)


def test_sobol_of_fewer_points_is_the_beginning_of_more():
    np.testing.assert_array_equal(sobol(BOX, 8)[:5], sobol(BOX, 5))


def test_latin_hypercube_has_one_point_in_every_slice():
    x = BOX.to_unit(latin_hypercube(BOX, 37))
    for j in range(2):
        np.testing.assert_array_equal(np.sort(np.floor(37 * x[:, j])), np.arange(37))


def test_a_grid_holds_the_bounds_and_is_geometric_on_a_log_scale():
    mus = grid(BOX, (3, 4))
    assert mus.shape == (12, 2)
    np.testing.assert_array_equal(np.unique(mus[:, 0]), [-1.0, 1.0, 3.0])
    np.testing.assert_allclose(mus[:4, 1], [1e-3, 1e-1, 1e1, 1e3], rtol=1e-14)
    np.testing.assert_array_equal(mus[:4, 0], -1.0)
    np.testing.assert_allclose(grid(BOX, 1), [[1.0, 1.0]], rtol=1e-14)
    assert grid(BOX, 5).shape == (25, 2)


def test_half_of_a_log_scale_lies_below_its_geometric_mean():
    assert abs(np.mean(sobol(BOX, 256)[:, 1] < 1.0) - 0.5) < 1 / 128


@pytest.mark.parametrize("m", [0, -1, 2.5, True, "8", None])
def test_impossible_counts_are_refused(m):
    for design in (sobol, latin_hypercube, grid):
        with pytest.raises(BadInput, match=r"give (a positive|an) integer"):
            design(BOX, m)


def test_a_grid_needs_one_count_per_parameter():
    with pytest.raises(BadInput, match=r"3 counts for the 2 parameters"):
        grid(BOX, (2, 2, 2))
