"""Covariance kernels: nouns that know their matrix and the pullback of its gradient. Correlations: k(x, x) = 1.

A kernel offers `theta` (free logarithms), `limits` (k, 2), `at(theta)`, `matrix(x, y)` and `traced(x)`: matrix(x, x) and its
pullback, which sums W_ij dk(x_i, x_j)/dtheta for a symmetric W. x (n, p) are numpy arrays or torch tensors, and so are the answers.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import reduce
from operator import mul
from typing import Any, Protocol

import numpy as np
from scipy.spatial.distance import cdist, pdist, squareform

from rom.errors import BadInput
from rom.regress.algebra import namespace

LIMITS = (-4.0, 4.0)
FORMS = ("matern12", "matern32", "matern52", "rbf")
Pullback = Callable[[Any], np.ndarray]


class Kernel(Protocol):
    """k(x, y; theta) with k(x, x) = 1."""

    @property
    def theta(self) -> np.ndarray: ...
    @property
    def limits(self) -> np.ndarray: ...
    def at(self, theta: np.ndarray) -> Kernel: ...
    def matrix(self, x: Any, y: Any) -> Any: ...
    def traced(self, x: Any) -> tuple[Any, Pullback]: ...


@dataclass(frozen=True, eq=False)
class Stationary:
    """k = g(d), d^2 = sum_j ((x_j - y_j) / lengths_j)^2; form: matern12, matern32, matern52 or rbf; lengths (p,)."""

    form: str
    lengths: np.ndarray

    def __post_init__(self) -> None:
        lengths = np.atleast_1d(np.asarray(self.lengths, dtype=float))
        if self.form not in FORMS or lengths.ndim != 1 or not (np.isfinite(lengths) & (lengths > 0)).all():
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
        return radial(self.form, _squares(x, y, self.lengths))

    def traced(self, x: Any) -> tuple[Any, Pullback]:
        """Pullback: sum_ij W_ij h(d_ij) ((x_i - x_j) / l)^2 for each length; numpy visits every pair once."""
        if namespace(x) is not np:
            K, h = profile(self.form, _squares(x, x, self.lengths))
            return K, lambda W: _by_axis(x, W * h) / self.lengths**2
        value, steep = _profiles(self.form, pdist(x / self.lengths, "sqeuclidean"))

        def pull(W: np.ndarray) -> np.ndarray:
            G, apart = squareform(W, checks=False), np.empty_like(steep)
            G *= steep
            return np.array([2.0 * (G @ pdist(column[:, None], "sqeuclidean", out=apart)) for column in x.T]) / self.lengths**2

        K = squareform(value)
        K[np.diag_indices_from(K)] = 1.0
        return K, pull


@dataclass(frozen=True, eq=False)
class Spectral:
    """k = sum_q w_q g(|z / l_q|) cos(2 pi f_q . z), z = x - y: a mixture of Gaussians (envelope rbf) or Student's t (matern52) in frequency.

    weights (Q,) sum to one; frequencies (Q, p) and lengths (Q, p) positive. References: Wilson, Adams (2013); Fang et al. (2024).
    """

    weights: np.ndarray
    frequencies: np.ndarray
    lengths: np.ndarray
    envelope: str = "rbf"

    def __post_init__(self) -> None:
        w, f, lengths = (np.asarray(v, dtype=float) for v in (self.weights, self.frequencies, self.lengths))
        if w.ndim != 1 or f.ndim != 2 or f.shape != lengths.shape or len(f) != len(w) or self.envelope not in FORMS:
            raise BadInput(f"weights {w.shape}, frequencies {f.shape}, lengths {lengths.shape}: give (Q,), (Q, p), (Q, p)")
        if not (w > 0).all() or not (f > 0).all() or not (lengths > 0).all():
            raise BadInput("weights, frequencies and lengths of a spectral mixture must be positive; drop what is zero")
        for name, value in (("weights", w / w.sum()), ("frequencies", f), ("lengths", lengths)):
            object.__setattr__(self, name, value)

    @property
    def theta(self) -> np.ndarray:
        """log of weights, frequencies and lengths."""
        return np.log(np.concatenate([self.weights, self.frequencies.ravel(), self.lengths.ravel()]))

    @property
    def limits(self) -> np.ndarray:
        """Weights over ten decades; frequencies and lengths within a factor 20 and 50 of the present ones."""
        theta, Q = self.theta, len(self.weights)
        width = np.concatenate([np.full(Q, np.inf), np.full(self.frequencies.size, 3.0), np.full(self.lengths.size, 4.0)])
        return np.stack([np.maximum(theta - width, -23.0), np.minimum(theta + width, 23.0)], axis=1)

    def at(self, theta: np.ndarray) -> Spectral:
        """The same number of components with other logarithms; weights are normalised."""
        w, f, lengths = np.split(np.exp(theta), [len(self.weights), len(self.weights) + self.frequencies.size])
        return replace(
            self, weights=w, frequencies=f.reshape(self.frequencies.shape), lengths=lengths.reshape(self.lengths.shape)
        )

    def matrix(self, x: Any, y: Any) -> Any:
        """(n, m)."""
        return sum(
            w * radial(self.envelope, _squares(x, y, lengths)) * namespace(x).cos(_phase(x, y, f))
            for w, f, lengths in self._parts
        )

    def traced(self, x: Any) -> tuple[Any, Pullback]:
        """Pullback: gradients in log weights (under their normalisation), log frequencies, log lengths."""
        xp, parts = namespace(x), list(self._parts)
        shapes = [profile(self.envelope, _squares(x, x, lengths)) for *_, lengths in parts]
        phases = [_phase(x, x, f) for _, f, _ in parts]
        waves = [g * xp.cos(phase) for (g, _), phase in zip(shapes, phases, strict=True)]

        def pull(W: Any) -> np.ndarray:
            by_w = self.weights * np.array([float((W * wave).sum()) for wave in waves])
            by_f, by_l = [], []
            for (w, f, lengths), (g, h), phase in zip(parts, shapes, phases, strict=True):
                swing = W * g * xp.sin(phase)
                by_f.append([-w * 2 * np.pi * f_j * float((swing * _apart(x, j)).sum()) for j, f_j in enumerate(f)])
                by_l.append(w * _by_axis(x, W * h * xp.cos(phase)) / lengths**2)
            return np.concatenate([by_w - self.weights * by_w.sum(), np.ravel(by_f), np.ravel(by_l)])

        return sum(w * wave for w, wave in zip(self.weights, waves, strict=True)), pull

    @property
    def _parts(self) -> zip:
        return zip(self.weights, self.frequencies, self.lengths, strict=True)


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
        return np.vstack([np.tile((-23.0, 0.0), (len(self.kernels), 1)), *(k.limits for k in self.kernels)])

    def at(self, theta: np.ndarray) -> Sum:
        """The same terms with other logarithms."""
        w, parts = np.exp(theta[: len(self.kernels)]), _split(self.kernels, theta[len(self.kernels) :])
        return Sum(tuple(k.at(part) for k, part in zip(self.kernels, parts, strict=True)), w / w.sum())

    def matrix(self, x: Any, y: Any) -> Any:
        """(n, m)."""
        return sum(w * k.matrix(x, y) for w, k in zip(self.weights, self.kernels, strict=True))

    def traced(self, x: Any) -> tuple[Any, Pullback]:
        """Pullback: gradients in log weights (under their normalisation), then those of the terms."""
        values, pulls = zip(*(k.traced(x) for k in self.kernels), strict=True)

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

    def traced(self, x: Any) -> tuple[Any, Pullback]:
        """Pullback: each factor's of W times the other factors."""
        values, pulls = zip(*(k.traced(x) for k in self.kernels), strict=True)

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

    def traced(self, x: Any) -> tuple[Any, Pullback]:
        """That of the kernel on its columns."""
        return self.kernel.traced(x[:, list(self.columns)])


def kernel_of(kernel: Any, p: int) -> Any:
    """A kernel from its name (unit lengths over p columns), from a GPyTorch kernel, or itself. Raises BadInput for another name."""
    if isinstance(kernel, str):
        return Stationary(kernel, np.ones(p))
    if hasattr(kernel, "traced"):
        return kernel
    from rom.regress.plugged import plugged

    return plugged(kernel)


def spectral(p: int, Q: int, top: float, envelope: str = "rbf") -> Spectral:
    """Q equal components with frequencies up to `top` cycles per box width on every axis, each as wide as their spacing."""
    f = np.tile((np.arange(Q)[:, None] + 0.5) * top / Q, (1, p))
    return Spectral(np.full(Q, 1.0 / Q), f, np.full((Q, p), Q / (2 * np.pi * top) * 2.0), envelope)


def heard(y: np.ndarray, Q: int, envelope: str = "rbf") -> Spectral:
    """The Q largest peaks of the mean periodogram of rows y (n, ...) evenly spaced over the box, each with its power as its weight.

    Where the frequencies of a mixture start decides which optimum is found; the data's own are a good start. Fewer peaks give fewer
    components. Reference: Wilson, Adams (2013).
    """
    n = len(y)
    if n < 8 or not np.isfinite(y).all():
        raise BadInput(f"{n} rows: give eight or more evenly spaced ones, all finite, to hear frequencies")
    rows = (y - y.mean(axis=0)).reshape(n, -1) * np.hanning(n)[:, None]
    power = np.mean(np.abs(np.fft.rfft(rows, 8 * n, axis=0)) ** 2, axis=1)
    inside = power[1:-1]
    peaks = 1 + np.flatnonzero((inside >= power[:-2]) & (inside > power[2:]))
    peaks = peaks[np.argsort(-power[peaks], kind="stable")[:Q]]
    if not peaks.size:
        raise BadInput("the rows have no peak in their periodogram; use a kernel that is not spectral")
    f = peaks * (n - 1) / (8 * n)
    return Spectral(power[peaks], f[:, None], np.full((peaks.size, 1), 0.3), envelope)


def radial(form: str, square: Any) -> Any:
    """g(d) from d^2."""
    return profile(form, square)[0]


def profile(form: str, square: Any) -> tuple[Any, Any]:
    """(g(d), h = -2 dg/d(d^2)) from d^2, so that dk/dlog l_j = h ((x_j - y_j) / l_j)^2."""
    xp = namespace(square)
    if form == "rbf":
        g = xp.exp(-0.5 * square)
        return g, g
    scale = {"matern12": 1.0, "matern32": 3.0, "matern52": 5.0}[form]
    d = xp.sqrt(scale * square)
    e = xp.exp(-d)
    if form == "matern12":
        return e, xp.where(d > 0, e / xp.where(d > 0, d, d + 1), 0 * d)
    if form == "matern32":
        return (1 + d) * e, 3 * e
    straight = (1 + d) * e
    return straight + (5 / 3) * square * e, (5 / 3) * straight


def _profiles(form: str, square: np.ndarray, block: int = 8192) -> tuple[np.ndarray, np.ndarray]:
    """The profile of a long vector, which is used up, in blocks that stay in the cache."""
    g = np.empty_like(square)
    for part in (slice(k, k + block) for k in range(0, len(square), block)):
        g[part], square[part] = profile(form, square[part])
    return g, square


def _squares(x: Any, y: Any, lengths: np.ndarray) -> Any:
    xp = namespace(x)
    if xp is np:
        return cdist(x / lengths, y / lengths, "sqeuclidean")
    scale = xp.as_tensor(lengths, dtype=x.dtype, device=x.device)
    return sum((x[:, None, j] - y[None, :, j]).div(scale[j]).square() for j in range(x.shape[1]))


def _phase(x: Any, y: Any, f: np.ndarray) -> Any:
    return 2 * np.pi * sum((x[:, None, j] - y[None, :, j]) * float(f[j]) for j in range(x.shape[1]))


def _by_axis(x: Any, G: Any) -> np.ndarray:
    """sum_ij G_ij (x_i - x_j)^2 for each column of x."""
    return np.array([float((G * _apart(x, j) ** 2).sum()) for j in range(x.shape[1])])


def _apart(x: Any, j: int) -> Any:
    return x[:, None, j] - x[None, :, j]


def _split(kernels: Sequence[Any], theta: np.ndarray) -> list[np.ndarray]:
    return np.split(theta, np.cumsum([len(k.theta) for k in kernels])[:-1])
