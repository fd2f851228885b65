"""A user's own solver: ten lines, no class, no import but the box.

A string under a load: -k u'' = q on [0, 1], u(0) = u(1) = 0.
"""

import numpy as np

from rom.parameters import Box

box = Box(("k", "q"), np.array([1.0, 0.0]), np.array([10.0, 5.0]), ("N", "N/m"), ("log", "linear"))
x = np.linspace(0.0, 1.0, 101)


def solve(mu):
    return mu[1] / mu[0] * x * (1 - x) / 2 + 0.01 * np.sin(np.pi * x) * np.sqrt(mu[0])
