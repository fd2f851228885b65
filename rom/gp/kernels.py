"""Covariance kernels: what each offers, and the stationary one.

They are correlations: k(x, x) = 1.
`kernel.matrix(x, y)` is K; `kernel.pullback(x)` is K = matrix(x, x) with the map that takes a
symmetric W to sum_ij W_ij dk(x_i, x_j)/dtheta. Points x (n, p) are numpy arrays or torch tensors,
and so are the answers.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np
from scipy.spatial.distance import pdist, squareform

from rom.errors import BadInput
from rom.gp.algebra import namespace
from rom.gp.profiles import FORMS, by_axis, profile_pair, radial, radial_profile, squares

LIMITS = (-4.0, 4.0)  # of log lengths, the box having sides of one
Pullback = Callable[[Any], np.ndarray]


class Kernel(Protocol):
    """k(x, y; theta) with k(x, x) = 1."""

    @property
    def theta(self) -> np.ndarray:
        """Free logarithms, (k,)."""

    @property
    def limits(self) -> np.ndarray:
        """Lower and upper limits of theta, (k, 2)."""

    def at(self, theta: np.ndarray) -> Kernel:
        """The same kernel with other logarithms."""

    def matrix(self, x: Any, y: Any) -> Any:
        """k(x_i, y_j), (n, m)."""

    def pullback(self, x: Any) -> tuple[Any, Pullback]:
        """(K, W -> sum_ij W_ij dk(x_i, x_j)/dtheta) for symmetric W (n, n)."""


@dataclass(frozen=True, eq=False)
class Stationary:
    """k = g(d), d^2 = sum_j ((x_j - y_j) / lengths_j)^2.

    form : matern12, matern32, matern52 or rbf; lengths (p,), positive
    """

    form: str
    lengths: np.ndarray

    def __post_init__(self) -> None:
        lengths = np.atleast_1d(np.asarray(self.lengths, dtype=float))
        positive = (np.isfinite(lengths) & (lengths > 0)).all()
        if self.form not in FORMS or lengths.ndim != 1 or not positive:
            raise BadInput(
                f"no kernel {self.form!r} with lengths {self.lengths}; "
                f"known: {', '.join(FORMS)}, with positive lengths (p,)"
            )
        object.__setattr__(self, "lengths", lengths)

    @property
    def theta(self) -> np.ndarray:
        """log lengths."""
        return np.asarray(np.log(self.lengths))

    @property
    def limits(self) -> np.ndarray:
        """Limits of the log lengths."""
        return np.tile(LIMITS, (len(self.lengths), 1))

    def at(self, theta: np.ndarray) -> Stationary:
        """The same form with lengths exp(theta)."""
        return replace(self, lengths=np.exp(theta))

    def matrix(self, x: Any, y: Any) -> Any:
        """g(d), (n, m)."""
        return radial(self.form, squares(x, y, self.lengths))

    def pullback(self, x: Any) -> tuple[Any, Pullback]:
        """Gradients sum_ij W_ij h(d_ij) ((x_i - x_j) / l)^2; numpy visits every pair once."""
        if namespace(x) is not np:
            K, h = radial_profile(self.form, squares(x, x, self.lengths))
            return K, lambda W: by_axis(x, W * h) / self.lengths**2
        return self._pullback_of_pairs(x)

    def _pullback_of_pairs(self, x: np.ndarray) -> tuple[np.ndarray, Pullback]:
        value, steep = profile_pair(self.form, pdist(x / self.lengths, "sqeuclidean"))

        def pull(W: np.ndarray) -> np.ndarray:
            """Gradient in the log lengths, (p,)."""
            G = squareform(W, checks=False)
            G *= steep
            buffer = np.empty_like(steep)
            sums = []
            for column in x.T:
                gaps = pdist(column[:, None], "sqeuclidean", out=buffer)
                sums.append(2.0 * (G @ gaps))
            gradient: np.ndarray = np.array(sums) / self.lengths**2
            return gradient

        K = squareform(value)
        K[np.diag_indices_from(K)] = 1.0
        return K, pull
