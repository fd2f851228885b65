"""Covariance kernels: what each offers, and the stationary one.

They are correlations: k(x, x) = 1.
`kernel.matrix(x, y)` is K; `kernel.pullback(x)` is K = matrix(x, x) with the map that takes a
symmetric W to sum_ij W_ij dk(x_i, x_j)/dtheta. Points x (n, p) are numpy arrays or torch tensors,
and so are the answers.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Protocol, runtime_checkable

import numpy as np

from rom.arrays import real
from rom.errors import BadInput
from rom.gp.algebra import namespace

ROOM = 2**22  # numbers of all matrices that are held at once: 32 MiB
ROWS = 64  # of a large matrix that are filled at once
FORMS = ("matern12", "matern32", "matern52", "rbf")
SCALES = {"matern12": 1.0, "matern32": 3.0, "matern52": 5.0}  # 2 nu
BLOCK = 8192  # numbers that stay in the cache
LIMITS = (-4.0, 7.0)  # of log lengths, the box having sides of one
Pullback = Callable[[Any], np.ndarray]
Queries = Sequence[tuple[int, np.ndarray]]
Stacked = Callable[[np.ndarray, np.ndarray], np.ndarray]
OfMatrices = Callable[[list[np.ndarray], Queries], list[tuple[float, Any, np.ndarray]]]


class Kernel(Protocol):
    """k(x, y; theta) with k(x, x) = 1.

    `Stackable` ones evaluate many of their kind at once.
    """

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


@runtime_checkable
class Stackable(Protocol):
    """A kernel that evaluates all of its kind, which differ in theta alone, together."""

    @property
    def kind(self) -> tuple[Any, ...]:
        """What kernels of one kind have in common."""

    def stack(self, thetas: np.ndarray, x: np.ndarray, y: np.ndarray) -> np.ndarray:
        """k(x_i, y_j) at each of thetas (g, k), (g, n, m)."""


FEW = 2**12  # distances that need no library, which takes a while to import


@dataclass(frozen=True, eq=False)
class Stationary:
    """k = g(d), d^2 = sum_j ((x_j - y_j) / lengths_j)^2.

    form : matern12, matern32, matern52 or rbf; lengths (p,), positive
    """

    form: str
    lengths: np.ndarray

    def __post_init__(self) -> None:
        lengths = self.lengths
        if type(lengths) is not np.ndarray or lengths.dtype != float or not lengths.ndim:
            lengths = np.atleast_1d(real(lengths, "lengths"))
        if not lengths.size:
            raise BadInput("no lengths; give one per parameter (p,)")
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

    @property
    def kind(self) -> tuple[Any, ...]:
        """The form, and the number of lengths."""
        return (self.form, len(self.lengths))

    def stack(self, thetas: np.ndarray, x: np.ndarray, y: np.ndarray) -> np.ndarray:
        """g(d) at lengths exp(thetas), (g, n, m): all d^2 are one product."""
        gaps = x[:, None] - y
        gaps *= gaps
        columns = gaps.reshape(-1, x.shape[1])
        if len(self.lengths) == 1:
            columns = columns.sum(axis=1, keepdims=True)
        square = np.exp(-2.0 * thetas) @ columns.T
        return np.asarray(radial(self.form, square.reshape(-1, len(x), len(y))))

    def matrix(self, x: Any, y: Any) -> Any:
        """g(d), (n, m)."""
        if len(self.lengths) not in (1, x.shape[1]):
            raise BadInput(f"{len(self.lengths)} lengths for points of {x.shape[1]} coordinates")
        if not isinstance(x, np.ndarray) or len(x) * len(y) <= ROOM:
            return radial(self.form, squares(x, y, self.lengths))
        K = np.empty((len(x), len(y)))
        for start in range(0, len(x), ROWS):
            rows = slice(start, start + ROWS)
            K[rows] = radial(self.form, squares(x[rows], y, self.lengths))
        return K

    def pullback(self, x: Any) -> tuple[Any, Pullback]:
        """Gradients sum_ij W_ij h(d_ij) ((x_i - x_j) / l)^2; numpy visits every pair once."""
        if not isinstance(x, np.ndarray):
            K, h = radial_profile(self.form, squares(x, x, self.lengths))
            return K, lambda W: by_axis(x, W * h) / self.lengths**2
        return self._pullback_of_pairs(x)

    def _pullback_of_pairs(self, x: np.ndarray) -> tuple[np.ndarray, Pullback]:
        from scipy.spatial.distance import pdist, squareform

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


def matrices(kernels: Sequence[Kernel], x: Any, y: Any) -> list[Any]:
    """k(x_i, y_j), (n, m), of each kernel."""
    return [kernel.matrix(x, y) for kernel in kernels]


@dataclass(frozen=True, eq=False)
class KernelStack:
    """Kernels that are evaluated together, those of one kind by one call.

    parts : (members, (x, y) -> their matrices) of each kind
    """

    count: int
    parts: tuple[tuple[np.ndarray, Stacked], ...]

    def matrices(self, x: np.ndarray, y: np.ndarray) -> np.ndarray:
        """k(x_i, y_j) of each kernel, (g, n, m)."""
        if len(self.parts) == 1:
            return self.parts[0][1](x, y).reshape(self.count, len(x), len(y))
        K = np.empty((self.count, len(x), len(y)))
        for members, evaluate in self.parts:
            K[members] = evaluate(x, y)
        return K


def stack_kernels(kernels: Sequence[Kernel]) -> KernelStack:
    """The stack of kernels of any kinds."""
    kinds: dict[Any, list[int]] = {}
    for i, kernel in enumerate(kernels):
        kind = (type(kernel), kernel.kind) if isinstance(kernel, Stackable) else i
        kinds.setdefault(kind, []).append(i)
    parts = []
    for members in kinds.values():
        first, thetas = kernels[members[0]], np.stack([kernels[i].theta for i in members])
        evaluate = partial(first.stack, thetas) if isinstance(first, Stackable) else first.matrix
        parts.append((np.array(members), evaluate))
    return KernelStack(len(kernels), tuple(parts))


def through_kernel(
    kernel: Kernel,
    x: np.ndarray,
    size: int,
    of_matrices: OfMatrices,
    queries: Queries,
) -> list[tuple[float, np.ndarray]]:
    """Values and slopes of functions of K(theta), by the chain rule.

    They are asked at (number, logarithms).

    size : of theta, the first logarithms
    of_matrices : (K of some queries, they) -> of each (value, W, slope without K), W the slope in
        K or None where it has none; as many at a time as ROOM allows
    """
    answers: list[tuple[float, np.ndarray]] = []
    step = max(1, ROOM // len(x) ** 2)
    for start in range(0, len(queries), step):
        some = queries[start : start + step]
        pairs = [kernel.at(point[:size]).pullback(x) for _, point in some]
        values = of_matrices([K for K, _ in pairs], some)
        for (value, W, slope), (_, pull) in zip(values, pairs, strict=True):
            if W is not None:
                slope[:size] += pull(W)
            answers.append((value, slope))
    return answers


def radial(form: str, square: Any) -> Any:
    """g(d) from d^2."""
    return radial_profile(form, square)[0]


def radial_profile(form: str, square: Any) -> tuple[Any, Any]:
    """(g(d), h) from d^2, h = -2 dg/d(d^2), so dk/dlog l_j = h ((x_j - y_j) / l_j)^2."""
    xp = np if isinstance(square, np.ndarray) else namespace(square)
    if form == "rbf":
        g = xp.exp(-0.5 * square)
        return g, g
    d = xp.sqrt(SCALES[form] * square)
    decay = xp.exp(-d)
    if form == "matern12":
        positive = xp.where(d > 0, d, d + 1)
        return decay, xp.where(d > 0, decay / positive, 0 * d)
    if form == "matern32":
        return (1 + d) * decay, 3 * decay
    straight = (1 + d) * decay
    return straight + (5 / 3) * square * decay, (5 / 3) * straight


def profile_pair(
    form: str, square: np.ndarray, block: int = BLOCK
) -> tuple[np.ndarray, np.ndarray]:
    """(g, h) of a long vector of d^2, which is used up, block by block."""
    g = np.empty_like(square)
    for start in range(0, len(square), block):
        part = slice(start, start + block)
        g[part], square[part] = radial_profile(form, square[part])
    return g, square


def squares(x: Any, y: Any, lengths: np.ndarray) -> Any:
    """sum_j ((x_j - y_j) / lengths_j)^2, (n, m)."""
    if isinstance(x, np.ndarray) and len(x) * len(y) > FEW:
        from scipy.spatial.distance import cdist

        return cdist(x / lengths, y / lengths, "sqeuclidean")
    if isinstance(x, np.ndarray):
        gaps = (x / lengths)[:, None] - (y / lengths)[None]
        return np.einsum("ijk,ijk->ij", gaps, gaps)
    scale = namespace(x).as_tensor(lengths, dtype=x.dtype, device=x.device)
    total = 0
    for j in range(x.shape[1]):
        gap = x[:, None, j] - y[None, :, j]
        total = total + gap.div(scale[j]).square()
    return total


def phase(x: Any, y: Any, f: np.ndarray) -> Any:
    """2 pi f . (x - y), (n, m)."""
    total = 0
    for j in range(x.shape[1]):
        gap = x[:, None, j] - y[None, :, j]
        total = total + gap * float(f[j])
    return 2 * np.pi * total


def by_axis(x: Any, G: Any) -> np.ndarray:
    """sum_ij G_ij (x_i - x_j)^2 for each column of x, (p,)."""
    sums = []
    for j in range(x.shape[1]):
        moment = G * apart(x, j) ** 2
        sums.append(float(moment.sum()))
    return np.array(sums)


def apart(x: Any, j: int) -> Any:
    """x_j - y_j between all points of x, (n, n)."""
    return x[:, None, j] - x[None, :, j]
