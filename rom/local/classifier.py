"""Which local basis answers a parameter: the decision of least expected error.

Kernel logistic regression, which is smooth, and a forest, which follows thresholds.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from rom.errors import BadInput
from rom.local.forest import Forest

TINY = 1e-300  # keeps logarithms finite


@dataclass(frozen=True, eq=False)
class Classifier:
    """argmin_k of the mean of log (P(x) C)_k and f_k(x), log errors of basis k.

    P(k | x) = softmax(B^T phi(z) + b), phi_j(z) = exp(-gamma |z - z_j|^2),
    z = (x - centre) / scale, knows labels; the forest f knows log errors.

    centre, scale : (p,); points : z_j (m, p); weights : B (m, K); bias : b (K,)
    gamma : kernel width of standardised features
    costs : C_jl (K, K), mean error of a member of j on basis l
    confusion : (K, K) P(chosen l | true j), cross-validated
    chances, expected : (m, K) P and log error of the samples, cross-validated
    """

    centre: np.ndarray
    scale: np.ndarray
    points: np.ndarray
    weights: np.ndarray
    bias: np.ndarray
    gamma: float
    costs: np.ndarray
    forest: Forest | None = None
    confusion: np.ndarray | None = None
    chances: np.ndarray | None = None
    expected: np.ndarray | None = None

    def __call__(self, x: np.ndarray) -> np.ndarray:
        """Probabilities (m, K) for x (m, p): the mean of P and of the votes of trees."""
        return self.answers(x)[0]

    def choose(self, x: np.ndarray) -> np.ndarray:
        """The cluster of least expected error, (m,), for features x (m, p)."""
        return np.asarray(np.argmin(self.answers(x)[1], axis=1))

    def answers(self, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Probabilities and expected log errors, (m, K) each, for features x (m, p).

        Raises BadInput for another number of features.
        """
        x = np.atleast_2d(np.asarray(x, dtype=float))
        if x.shape[1] != self.centre.size:
            raise BadInput(
                f"the classifier takes {self.centre.size} features (mu, and t where the "
                f"snapshots had times); got {x.shape[1]}"
            )
        z = (x - self.centre) / self.scale
        score = gaussian_kernel(z, self.points, self.gamma) @ self.weights + self.bias
        P = _softmax(score)
        smooth = np.log(P @ self.costs + TINY)
        if self.forest is None:
            return P, smooth
        trees = self.forest.each(z)
        best = np.argmin(trees, axis=2)
        votes = np.mean(best[:, :, None] == np.arange(len(self.bias)), axis=1)
        return 0.5 * (P + votes), 0.5 * (smooth + trees.mean(axis=1))


def gaussian_kernel(z: np.ndarray, points: np.ndarray, gamma: float) -> np.ndarray:
    """exp(-gamma |z_i - p_j|^2), (m, q), for z (m, p) and points (q, p)."""
    products = 2.0 * z @ points.T
    squares = np.sum(z * z, axis=1)[:, None] + np.sum(points * points, axis=1) - products
    return np.asarray(np.exp(-gamma * np.maximum(squares, 0.0)))


def _softmax(score: np.ndarray) -> np.ndarray:
    power = np.exp(score - score.max(axis=1, keepdims=True))
    return np.asarray(power / power.sum(axis=1, keepdims=True))
