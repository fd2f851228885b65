"""Few points in place of many: interpolation, reconstruction, cubature.

    eim, deim, qdeim     g ~ Q B^{-1} g[X]          values of g at the points X
    gappy                g ~ V B^+ g[X]             more points than modes
    ecm                  sum_i w_i g_i ~ sum_{i in I} w_I g_i,  w_I > 0

`newton` solves what is left at the points, `cut` halves steps where it fails.

Notation: X, I points, B = V[X], G (k, g) contributions of g points to k integrals, w weights.

>>> import numpy as np
>>> from rom.points import ecm, eim
>>> from rom.space import Space
>>> x, mu = np.linspace(0.0, 1.0, 100)[:, None], np.linspace(1.0, 5.0, 40)
>>> rule = eim(np.exp(-mu * x), tol=1e-6)
>>> rule.d, rule.reason
(7, 'tol 1e-06 reached')
>>> points = Space(np.full(100, 0.01), np.arange(100))
>>> cubature = ecm(np.vander(x[:, 0], 4).T, points, tol=1e-8)
>>> len(cubature.elements) <= 4, bool((cubature.weights > 0).all())
(True, True)

References: Barrault et al. (2004); Hernandez, Caicedo and Ferrer (2017).
"""

from rom.points.cubature import (
    compress_contributions,
    contributions,
    ecm,
    exactness,
    orthonormal_strain,
    unit,
)
from rom.points.gappy_pod import gappy, gappy_points
from rom.points.interpolation import deim, eim, qdeim
from rom.points.matching import matching_pursuit
from rom.points.nonlinear import NewtonSolution, cut, newton

NOUNS: tuple[str, ...] = ()
__all__ = [
    "NOUNS",
    "NewtonSolution",
    "compress_contributions",
    "contributions",
    "cut",
    "deim",
    "ecm",
    "eim",
    "exactness",
    "gappy",
    "gappy_points",
    "matching_pursuit",
    "newton",
    "orthonormal_strain",
    "qdeim",
    "unit",
]
