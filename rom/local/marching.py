"""Reduced marches that change their local basis with time.

Reference: Amsallem, Zahr and Farhat (2012).
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import numpy as np

from rom.arrays import VECTOR, function, gate
from rom.basis import LocalBases
from rom.errors import BadInput
from rom.points.nonlinear import newton

Equation = Callable[
    [np.ndarray, np.ndarray, np.ndarray, float, float], tuple[np.ndarray, np.ndarray]
]
STILL = 1e-12  # of |c_old|: the scale of a residual that starts at zero


@gate(bases=LocalBases, equation=function, mu=VECTOR, times=VECTOR, start=VECTOR)
def switch_bases(
    bases: LocalBases,
    equation: Equation,
    mu: np.ndarray,
    times: np.ndarray,
    start: np.ndarray,
    *,
    tol: float = 1e-10,
) -> tuple[np.ndarray, np.ndarray]:
    """W_k^H R(W_k a; W_j a_old) = 0 at every step; at a change a <- W_k^H W_j a.

    k is the cluster that the classifier gives (mu, t), or, without one, the one that misses c_old
    least.

    equation : (c, c_old, mu, t_0, t_1) -> (R (R,), dR/dc (R, R)), projected on the hull
    start : (R,) hull coordinates at times[0]
    tol : Newton stops at |W^H R| <= tol (|W^H R| at c_old, or |c_old|)
    Returns hull coordinates (R, n_t) and the cluster of every step. Raises NotConverged, and
    BadInput for shapes. Reference: Amsallem, Zahr and Farhat (2012).
    """
    _check_times(bases, times, start)
    plan = None
    if bases.classifier is not None:
        parameters = np.tile(mu, (times.size - 1, 1))
        plan = bases.classifier.choose(np.column_stack([parameters, times[1:]]))
    c = np.asarray(start)
    path, clusters = [c], []
    for i, span in enumerate(pairwise(times.tolist())):
        k = int(bases.nearest(c[:, None])[0]) if plan is None else int(plan[i])
        c = _step(bases.rotations[k], equation, c, mu=mu, span=span, tol=tol)
        path.append(c)
        clusters.append(k)
    return np.stack(path, axis=1), np.array(clusters)


def _check_times(bases: LocalBases, times: np.ndarray, start: np.ndarray) -> None:
    increasing = times.ndim == 1 and times.size >= 2 and (np.diff(times) > 0).all()
    if not increasing or np.shape(start) != (bases.hull.r,):
        raise BadInput(
            f"give increasing times and a start of {bases.hull.r} hull coordinates, "
            f"not {np.shape(start)}"
        )


def _step(
    W: np.ndarray,
    equation: Equation,
    old: np.ndarray,
    *,
    mu: np.ndarray,
    span: tuple[float, float],
    tol: float,
) -> np.ndarray:
    """Hull coordinates after one step over (t_0, t_1) in the basis W (R, r)."""
    start = W.conj().T @ old
    inside = W @ start

    def evaluate(a: np.ndarray) -> tuple[np.ndarray, float, Any, Any]:
        """Residual, its scale, and the tangent on the basis."""
        residual, tangent = equation(W @ a, inside, mu, *span)
        return W.conj().T @ residual, scale, W.conj().T @ tangent @ W, None

    first = W.conj().T @ equation(inside, inside, mu, *span)[0]
    scale = max(float(np.linalg.norm(first)), STILL * float(np.linalg.norm(start)), 1e-300)
    root = newton(evaluate, lambda J, r, left: np.linalg.solve(J, r), start, tol)
    return np.asarray(W @ root.x)
