"""Kernels of kernels: sums, products, and kernels of some columns only."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import reduce
from operator import mul
from typing import Any

import numpy as np

from rom.gp.kernels import Kernel, Pullback, Stackable

WEIGHT_LIMITS = (-23.0, 0.0)  # of log weights: ten decades


@dataclass(frozen=True, eq=False)
class Sum:
    """k = sum_i w_i k_i, weights positive and normalised."""

    kernels: tuple[Any, ...]
    weights: np.ndarray

    @property
    def theta(self) -> np.ndarray:
        """log weights, then those of the terms."""
        return np.concatenate([np.log(self.weights), _thetas(self.kernels)])

    @property
    def limits(self) -> np.ndarray:
        """Weights within ten decades, then the limits of the terms."""
        of_weights = np.tile(WEIGHT_LIMITS, (len(self.kernels), 1))
        return np.vstack([of_weights, _limits(self.kernels)])

    def at(self, theta: np.ndarray) -> Sum:
        """The same terms with other logarithms."""
        count = len(self.kernels)
        weights = np.exp(theta[:count])
        return Sum(_at(self.kernels, theta[count:]), weights / weights.sum())

    @property
    def kind(self) -> tuple[Any, ...]:
        """Those of the terms."""
        return _kinds(self.kernels)

    def stack(self, thetas: np.ndarray, x: np.ndarray, y: np.ndarray) -> np.ndarray:
        """sum_i w_i k_i(x, y) at each of thetas, (g, n, m)."""
        count = len(self.kernels)
        weights = np.exp(thetas[:, :count])
        weights = weights / weights.sum(axis=1, keepdims=True)
        values = _stacks(self.kernels, thetas[:, count:], x, y)
        return np.asarray(_mix(weights.T[:, :, None, None], values))

    def matrix(self, x: Any, y: Any) -> Any:
        """sum_i w_i k_i(x, y), (n, m)."""
        return _mix(self.weights, [k.matrix(x, y) for k in self.kernels])

    def pullback(self, x: Any) -> tuple[Any, Pullback]:
        """Gradients in log weights (under their normalisation), then those of the terms."""
        values, pulls = _pullbacks(self.kernels, x)

        def pull(W: Any) -> np.ndarray:
            """Gradient in theta."""
            shares = [float((W * value).sum()) for value in values]
            by_w = self.weights * np.array(shares)
            terms = [w * back(W) for w, back in zip(self.weights, pulls, strict=True)]
            return np.concatenate([by_w - self.weights * by_w.sum(), *terms])

        return _mix(self.weights, values), pull


@dataclass(frozen=True, eq=False)
class Product:
    """k = prod_i k_i."""

    kernels: tuple[Any, ...]

    @property
    def theta(self) -> np.ndarray:
        """Those of the factors."""
        return _thetas(self.kernels)

    @property
    def limits(self) -> np.ndarray:
        """Those of the factors."""
        return _limits(self.kernels)

    def at(self, theta: np.ndarray) -> Product:
        """The same factors with other logarithms."""
        return Product(_at(self.kernels, theta))

    @property
    def kind(self) -> tuple[Any, ...]:
        """Those of the factors."""
        return _kinds(self.kernels)

    def stack(self, thetas: np.ndarray, x: np.ndarray, y: np.ndarray) -> np.ndarray:
        """prod_i k_i(x, y) at each of thetas, (g, n, m)."""
        return np.asarray(reduce(mul, _stacks(self.kernels, thetas, x, y)))

    def matrix(self, x: Any, y: Any) -> Any:
        """prod_i k_i(x, y), (n, m)."""
        return reduce(mul, [k.matrix(x, y) for k in self.kernels])

    def pullback(self, x: Any) -> tuple[Any, Pullback]:
        """Each factor's gradient for W times the other factors."""
        values, pulls = _pullbacks(self.kernels, x)

        def pull(W: Any) -> np.ndarray:
            """Gradient in theta."""
            gradients = []
            for i, back in enumerate(pulls):
                others = values[:i] + values[i + 1 :]
                gradients.append(back(reduce(mul, others, W)))
            return np.concatenate(gradients)

        return reduce(mul, values), pull


@dataclass(frozen=True, eq=False)
class Selected:
    """k(x, y) = kernel(x[:, columns], y[:, columns])."""

    kernel: Any
    columns: tuple[int, ...]

    @property
    def theta(self) -> np.ndarray:
        """Those of the kernel."""
        return np.asarray(self.kernel.theta)

    @property
    def limits(self) -> np.ndarray:
        """Those of the kernel."""
        return np.asarray(self.kernel.limits)

    def at(self, theta: np.ndarray) -> Selected:
        """The same columns with other logarithms."""
        return replace(self, kernel=self.kernel.at(theta))

    @property
    def kind(self) -> tuple[Any, ...]:
        """The columns, and that of the kernel."""
        return (self.columns, *_kinds((self.kernel,)))

    def stack(self, thetas: np.ndarray, x: np.ndarray, y: np.ndarray) -> np.ndarray:
        """The kernel of these columns at each of thetas, (g, n, m)."""
        columns = list(self.columns)
        return _stacks((self.kernel,), thetas, x[:, columns], y[:, columns])[0]

    def matrix(self, x: Any, y: Any) -> Any:
        """The kernel of these columns, (n, m)."""
        columns = list(self.columns)
        return self.kernel.matrix(x[:, columns], y[:, columns])

    def pullback(self, x: Any) -> tuple[Any, Pullback]:
        """That of the kernel on its columns."""
        kernel: Kernel = self.kernel
        return kernel.pullback(x[:, list(self.columns)])


def _thetas(kernels: Sequence[Any]) -> np.ndarray:
    return np.concatenate([k.theta for k in kernels])


def _limits(kernels: Sequence[Any]) -> np.ndarray:
    return np.vstack([k.limits for k in kernels])


def _at(kernels: Sequence[Any], theta: np.ndarray) -> tuple[Any, ...]:
    """Each kernel with its share of the logarithms."""
    stops = np.cumsum([len(k.theta) for k in kernels])
    parts = np.split(theta, stops[:-1])
    return tuple(k.at(part) for k, part in zip(kernels, parts, strict=True))


def _kinds(kernels: Sequence[Any]) -> tuple[Any, ...]:
    """The kinds of all; a kernel that is not stackable is of its own."""
    return tuple(
        (type(k), k.kind) if isinstance(k, Stackable) else (type(k), id(k)) for k in kernels
    )


def _stacks(
    kernels: Sequence[Any], thetas: np.ndarray, x: np.ndarray, y: np.ndarray
) -> list[np.ndarray]:
    """Of each kernel the matrices (g, n, m) at its share of the logarithms."""
    stops = np.cumsum([len(k.theta) for k in kernels])
    values = []
    for kernel, part in zip(kernels, np.split(thetas, stops[:-1], axis=1), strict=True):
        if isinstance(kernel, Stackable):
            values.append(kernel.stack(part, x, y))
        else:
            values.append(np.stack([kernel.at(theta).matrix(x, y) for theta in part]))
    return values


def _pullbacks(kernels: Sequence[Any], x: Any) -> tuple[list[Any], list[Pullback]]:
    """Matrices and pullbacks of all."""
    pairs = [k.pullback(x) for k in kernels]
    return [value for value, _ in pairs], [pull for _, pull in pairs]


def _mix(weights: np.ndarray, values: Sequence[Any]) -> Any:
    return sum(w * value for w, value in zip(weights, values, strict=True))
