"""Interfaces and dam breaks against solutions that are known."""

import numpy as np
import pytest
from scipy.optimize import brentq

from solvers.fronts import allen_cahn, centres, dam_break


def stoker(left, right, xi):
    """Depths at xi = (x - dam) / t of a dam that breaks over a wet bed, g = 1 m/s2."""

    def jump(h):
        rarefied = 2.0 * (np.sqrt(left) - np.sqrt(h))
        return rarefied - (h - right) * np.sqrt(0.5 * (h + right) / (h * right))

    middle = brentq(jump, right, left)
    speed = 2.0 * (np.sqrt(left) - np.sqrt(middle))
    shock = middle * speed / (middle - right)
    fan = (2.0 * np.sqrt(left) - xi) ** 2 / 9.0
    steps = [xi < -np.sqrt(left), xi < speed - np.sqrt(middle), xi < shock]
    return np.select(steps, [left, fan, middle], right)


def test_a_dam_break_converges_to_the_solution_of_stoker():
    errors = []
    for cells in (128, 512):
        u = dam_break(np.array([[1.0, 0.2, 0.5]]), np.array([0.25]), cells)
        exact = stoker(1.0, 0.2, (centres(cells, 1)[0] - 0.5) / 0.25)
        errors.append(np.abs(u[:cells, 0] - exact).mean())
    assert errors[1] < 0.5 * errors[0] < 0.01


def test_water_stays_in_the_basin_when_waves_reach_the_walls():
    u = dam_break(np.array([[2.0, 0.1, 0.3], [0.5, 0.8, 0.7]]), np.linspace(0.2, 2.0, 10), 64)
    volume = u[:64].mean(axis=0).reshape(2, 10)
    np.testing.assert_allclose(volume, np.tile(volume[:, :1], 10), rtol=1e-13)


def test_a_single_interface_rests_and_near_ones_vanish():
    x, D = centres(256, 1)[0], 2e-3
    far = allen_cahn(np.array([[0.5, -9.0, 9.0, D]]), np.array([1.0]))[:, 0]
    width = np.sqrt(2.0 * D / 20.0)
    # the steady profile of the differences is tanh up to (dx / width)^2
    profile = np.tanh((x - 0.5) / width)
    assert np.abs(np.abs(far) - np.abs(profile)).max() < (1.0 / (256 * width)) ** 2
    near = allen_cahn(np.array([[0.5, 0.53, 9.0, D]]), np.array([1.0]))[:, 0]
    assert np.ptp(near) < 1e-3 and np.abs(near).min() == pytest.approx(1.0, abs=1e-3)
