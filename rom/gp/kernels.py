"""Covariance kernels: nouns that know their matrix and the pullback of its gradient. Correlations: k(x, x) = 1.

A kernel offers `theta` (free logarithms), `limits` (k, 2), `at(theta)`, `matrix(x, y)` and `pullback(x)`: matrix(x, x) and its
pullback, which sums W_ij dk(x_i, x_j)/dtheta for a symmetric W. x (n, p) are numpy arrays or torch tensors, and so are the answers.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import reduce
from operator import mul
from typing import Any, Protocol

import numpy as np
from scipy.spatial.distance import pdist, squareform

from rom.errors import BadInput
from rom.gp.algebra import namespace
from rom.gp.profiles import FORMS, by_axis, profile_pair, radial, radial_profile, squares

LIMITS = (-4.0, 4.0)
Pullback = Callable[[Any], np.ndarray]


class Kernel(Protocol):
    """k(x, y; theta) with k(x, x) = 1."""

    @property
    def theta(self) -> np.ndarray: ...
    @property
    def limits(self) -> np.ndarray: ...
    def at(self, theta: np.ndarray) -> Kernel: ...
    def matrix(self, x: Any, y: Any) -> Any: ...
    def pullback(self, x: Any) -> tuple[Any, Pullback]: ...


@dataclass(frozen=True, eq=False)
class Stationary:
    """k = g(d), d^2 = sum_j ((x_j - y_j) / lengths_j)^2; form: matern12, matern32, matern52 or rbf; lengths (p,)."""

    form: str
    lengths: np.ndarray

    def __post_init__(self) -> None:
        lengths = np.atleast_1d(np.asarray(self.lengths, dtype=float))
        if (
            self.form not in FORMS
            or lengths.ndim != 1
            or not (np.isfinite(lengths) & (lengths > 0)).all()
        ):
            raise BadInput(
                f"no kernel {self.form!r} with lengths {self.lengths}; known: {', '.join(FORMS)}, with positive lengths (p,)"
            )
        object.__setattr__(self, "lengths", lengths)

    @property
    def theta(self) -> np.ndarray:
        """log lengths."""
        return np.log(self.lengths)

    @property
    def limits(self) -> np.ndarray:
        """Bounds of the log lengths."""
        return np.tile(LIMITS, (len(self.lengths), 1))

    def at(self, theta: np.ndarray) -> Stationary:
        """The same form with lengths exp(theta)."""
        return replace(self, lengths=np.exp(theta))

    def matrix(self, x: Any, y: Any) -> Any:
        """(n, m)."""
        return radial(self.form, squares(x, y, self.lengths))

    def pullback(self, x: Any) -> tuple[Any, Pullback]:
        """Pullback: sum_ij W_ij h(d_ij) ((x_i - x_j) / l)^2 for each length; numpy visits every pair once."""
        if namespace(x) is not np:
            K, h = radial_profile(self.form, squares(x, x, self.lengths))
            return K, lambda W: by_axis(x, W * h) / self.lengths**2
        value, steep = profile_pair(self.form, pdist(x / self.lengths, "sqeuclidean"))

        def pull(W: np.ndarray) -> np.ndarray:
            G, apart = squareform(W, checks=False), np.empty_like(steep)
            G *= steep
            return (
                np.array(
                    [2.0 * (G @ pdist(column[:, None], "sqeuclidean", out=apart)) for column in x.T]
                )
                / self.lengths**2
            )

        K = squareform(value)
        K[np.diag_indices_from(K)] = 1.0
        return K, pull


@dataclass(frozen=True, eq=False)
class Sum:
    """k = sum_i w_i k_i, weights positive and normalised."""

    kernels: tuple[Any, ...]
    weights: np.ndarray

    @property
    def theta(self) -> np.ndarray:
        """log weights, then those of the terms."""
        return np.concatenate([np.log(self.weights), *(k.theta for k in self.kernels)])

    @property
    def limits(self) -> np.ndarray:
        """Weights within ten decades, then those of the terms."""
        return np.vstack(
            [np.tile((-23.0, 0.0), (len(self.kernels), 1)), *(k.limits for k in self.kernels)]
        )

    def at(self, theta: np.ndarray) -> Sum:
        """The same terms with other logarithms."""
        w, parts = (
            np.exp(theta[: len(self.kernels)]),
            _split(self.kernels, theta[len(self.kernels) :]),
        )
        return Sum(
            tuple(k.at(part) for k, part in zip(self.kernels, parts, strict=True)), w / w.sum()
        )

    def matrix(self, x: Any, y: Any) -> Any:
        """(n, m)."""
        return sum(w * k.matrix(x, y) for w, k in zip(self.weights, self.kernels, strict=True))

    def pullback(self, x: Any) -> tuple[Any, Pullback]:
        """Pullback: gradients in log weights (under their normalisation), then those of the terms."""
        values, pulls = zip(*(k.pullback(x) for k in self.kernels), strict=True)

        def pull(W: Any) -> np.ndarray:
            by_w = self.weights * np.array([float((W * value).sum()) for value in values])
            terms = [w * back(W) for w, back in zip(self.weights, pulls, strict=True)]
            return np.concatenate([by_w - self.weights * by_w.sum(), *terms])

        return sum(w * value for w, value in zip(self.weights, values, strict=True)), pull


@dataclass(frozen=True, eq=False)
class Product:
    """k = prod_i k_i."""

    kernels: tuple[Any, ...]

    @property
    def theta(self) -> np.ndarray:
        """Those of the factors."""
        return np.concatenate([k.theta for k in self.kernels])

    @property
    def limits(self) -> np.ndarray:
        """Those of the factors."""
        return np.vstack([k.limits for k in self.kernels])

    def at(self, theta: np.ndarray) -> Product:
        """The same factors with other logarithms."""
        parts = _split(self.kernels, theta)
        return Product(tuple(k.at(part) for k, part in zip(self.kernels, parts, strict=True)))

    def matrix(self, x: Any, y: Any) -> Any:
        """(n, m)."""
        return reduce(mul, [k.matrix(x, y) for k in self.kernels])

    def pullback(self, x: Any) -> tuple[Any, Pullback]:
        """Pullback: each factor's of W times the other factors."""
        values, pulls = zip(*(k.pullback(x) for k in self.kernels), strict=True)

        def pull(W: Any) -> np.ndarray:
            others = [reduce(mul, values[:i] + values[i + 1 :], W) for i in range(len(values))]
            return np.concatenate([back(other) for back, other in zip(pulls, others, strict=True)])

        return reduce(mul, values), pull


@dataclass(frozen=True, eq=False)
class Selected:
    """k(x, y) = kernel(x[:, columns], y[:, columns])."""

    kernel: Any
    columns: tuple[int, ...]

    @property
    def theta(self) -> np.ndarray:
        """Those of the kernel."""
        return self.kernel.theta

    @property
    def limits(self) -> np.ndarray:
        """Those of the kernel."""
        return self.kernel.limits

    def at(self, theta: np.ndarray) -> Selected:
        """The same columns with other logarithms."""
        return replace(self, kernel=self.kernel.at(theta))

    def matrix(self, x: Any, y: Any) -> Any:
        """(n, m)."""
        return self.kernel.matrix(x[:, list(self.columns)], y[:, list(self.columns)])

    def pullback(self, x: Any) -> tuple[Any, Pullback]:
        """That of the kernel on its columns."""
        return self.kernel.pullback(x[:, list(self.columns)])


def kernel_of(kernel: Any, p: int) -> Any:
    """A kernel from its name (unit lengths over p columns), from a GPyTorch kernel, or itself. Raises BadInput for another name."""
    if isinstance(kernel, str):
        return Stationary(kernel, np.ones(p))
    if hasattr(kernel, "pullback"):
        return kernel
    from rom.gp.gpytorch_kernels import gpytorch_kernel

    return gpytorch_kernel(kernel)


def _split(kernels: Sequence[Any], theta: np.ndarray) -> list[np.ndarray]:
    return np.split(theta, np.cumsum([len(k.theta) for k in kernels])[:-1])
