"""Input rank, scales, kernel, length and nugget by left-out errors."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from rom.operators.coordinates import GAP, ranks_at_gaps
from rom.operators.lengths import octaves, tune_lengths
from rom.operators.regression import Images, OperatorKernel, left_out_squares

FORMS = ("matern52", "rbf", "matern32")
RUNS = 400  # at most, that a choice is made on: rows of all blocks count
OUTPUTS = 64  # leading ones, that a choice is made on
FIRST, NEXT = 60, 30  # evaluations of the first optimum, of those nearby
MOST_ROWS = 1200  # of a block, whose lengths are searched on all runs
START = (np.log(2.0), np.log(1e-4), np.log(0.1), 0.0, 0.5)
STEPS = (0.7, -2.0, 1.5, 0.4, 0.4)  # sides of the first simplex
# of the logs of length, nugget over the diagonal, linear part; a smaller nugget than 1e-9 makes
# weights of round-off that errors at left-out runs do not see; then of the powers of the scales
LIMITS = np.array([[-6.0, 9.0], [-21.0, 5.0], [-14.0, 9.0], [-1.0, 2.0], [0.0, 2.0]])
GAIN = 0.995  # of the left-out error, that a change must reach to be taken
RIDGE = 1e-2  # of the mean variance, in the linear map that tells how much each axis matters
LEAST_SHARE = 0.05  # of a squared slope, that counts as more than noise
FLOOR = 1e-3  # of the largest slope
ROUND_OFF = 1e-30  # of the sum of squares


@dataclass(frozen=True, eq=False)
class Axes:
    """Deviations s (k,) of the inputs, slopes (k,) of a linear map along them."""

    s: np.ndarray
    slopes: np.ndarray

    def scales(self, theta: np.ndarray) -> np.ndarray:
        """s^p slope^q (k,), the largest one."""
        log = theta[3] * np.log(self.s / self.s[0])
        log += theta[4] * np.log(self.slopes / self.slopes.max())
        return np.asarray(np.exp(log - log.max()))


@dataclass(frozen=True, eq=False)
class Choice:
    """A kernel on the first `rank` axes times `scales` (k,), and its left-out error.

    error : root of the sum of squares at left-out runs over that of their outputs
    theta (5,) : logs of length over the rms distance, nugget, linear part; powers of deviation and
    slope in the scales
    """

    kernel: OperatorKernel
    rank: int
    scales: np.ndarray
    error: float
    theta: np.ndarray
    axes: Axes

    @property
    def reason(self) -> str:
        """What was chosen, in words."""
        return f"{self.kernel.form} on {self.rank} axes, by errors at left-out runs"


def choose_kernel(
    images: Images,
    s: np.ndarray,
    *,
    rank: int | None = None,
    form: str | None = None,
    block: int | None = None,
    rng: int = 0,
) -> Choice:
    """The choice of least left-out error for runs on all axes, of deviations s (k,).

    rank, form : where they are given, they are not chosen; half as many axes as there are runs and
    images are the most that are tried, as the others are of single runs
    block : size of the widest block that the number of runs is chosen for, by default the group's
    """
    generator = np.random.default_rng(rng)
    some = _part(images, block, generator)
    k = images.z.shape[2]
    size = np.maximum(s, 1e-8 * s[0])
    axes = Axes(size, _slopes(some, size, len(images.z) > 1))
    wishes = [rank] if rank else _ranks(min(k, images.z.shape[0] * images.m // 2))
    ranks = ranks_at_gaps(s, wishes, len(images.z) > 1)
    middle = ranks[len(ranks) // 2]
    best = _optimum(some, form or FORMS[0], middle, axes, start=np.array(START), evaluations=FIRST)
    for r in ranks:
        if r != middle:
            best = _better(best, some, r, best.kernel.form)
    for other in () if form else FORMS[1:]:
        best = _better(best, some, best.rank, other)
    return best


def finish(choice: Choice, images: Images, *, deeper: bool = True) -> Choice:
    """The choice with nugget and lengths of all runs, where that costs little.

    deeper : twice the axes are tried, which all runs may tell though some did not
    """
    some = replace(images, y=images.y[:, :, :OUTPUTS])
    form, axes, grouped = choice.kernel.form, choice.axes, len(images.z) > 1
    wishes = [choice.rank, *([2 * choice.rank] if deeper else [])]
    ranks = ranks_at_gaps(axes.s, [min(r, images.z.shape[2]) for r in wishes], grouped)
    if images.widest * images.m > MOST_ROWS:
        ranks = [choice.rank]
    starts = [_optimum(some, form, r, axes, start=choice.theta, evaluations=0) for r in ranks]
    best = min(starts, key=lambda start: start.error)
    if images.widest * images.m > MOST_ROWS or best.error**2 <= ROUND_OFF:
        return best
    r = best.rank
    scaled = replace(some, z=some.z[:, :, :r] * best.scales[:r])
    kernel, factors = tune_lengths(best.kernel, scaled, octaves(axes.s, r, grouped))
    scales = best.scales.copy()
    scales[:r] *= factors
    scaled = replace(some, z=some.z[:, :, :r] * scales[:r])
    size = max(float(np.sum(some.y[0] ** 2)), np.finfo(float).tiny)
    error = float(np.sqrt(np.sum(left_out_squares(kernel, scaled)) / size))
    return replace(best, kernel=kernel, scales=scales, error=error) if error < best.error else best


def _part(images: Images, block: int | None, generator: np.random.Generator) -> Images:
    """Some of the runs, so that a choice costs little."""
    count = min(images.m, RUNS // (block or images.widest))
    return images.take(np.sort(generator.permutation(images.m)[:count]), OUTPUTS)


def _ranks(k: int) -> list[int]:
    """2, 4, 8, ... and k."""
    ranks = [2**j for j in range(1, 12) if 2**j < k]
    return [*ranks, k]


def _slopes(images: Images, s: np.ndarray, grouped: bool) -> np.ndarray:
    """|du / dz_j| (k,) of a ridge regression, less what noise explains."""
    g, m, k = images.z.shape
    z, y = images.z.reshape(g * m, k), images.y.reshape(g * m, -1)
    covariance = z.T @ z
    ridge = RIDGE * max(covariance.trace() / k, np.finfo(float).tiny)
    B = np.linalg.solve(covariance + ridge * np.eye(k), z.T @ y)
    squares = np.sum(B**2, axis=1)
    noise = np.sum((y - z @ B) ** 2) / max(m, 1) / (m * s**2 * g)
    squares = np.maximum(squares - noise, LEAST_SHARE * squares)
    if grouped:
        breaks = np.flatnonzero(-np.diff(s) > GAP * s[0]) + 1
        squares = np.concatenate([np.full(len(q), q.mean()) for q in np.split(squares, breaks)])
    slopes = np.sqrt(squares)
    largest = slopes.max()
    return np.asarray(np.maximum(slopes, FLOOR * largest) if largest > 0 else np.ones(k))


def _better(best: Choice, images: Images, rank: int, form: str) -> Choice:
    other = _optimum(images, form, rank, best.axes, start=best.theta, evaluations=NEXT)
    return other if other.error < GAIN * best.error else best


def _optimum(
    images: Images, form: str, rank: int, axes: Axes, *, start: np.ndarray, evaluations: int
) -> Choice:
    """Length, nugget, linear part, scales of least left-out error from a start."""
    size = max(float(np.sum(images.y[0] ** 2)), np.finfo(float).tiny)

    def at(theta: np.ndarray) -> tuple[OperatorKernel, Images]:
        inside = np.clip(theta, *LIMITS.T)
        z = images.z[:, :, :rank] * axes.scales(inside)[:rank]
        scaled = replace(images, z=z)
        scaled.__dict__["outputs"] = images.outputs
        mean_square = max(float(np.mean(scaled.squares)), np.finfo(float).tiny)
        length, nugget, linear = np.exp(inside[:3])
        kernel = OperatorKernel(
            form, float(length * np.sqrt(2 * mean_square)), float(nugget * (1 + linear)),
            float(linear), mean_square,
        )  # fmt: skip
        return kernel, scaled

    def loss(theta: np.ndarray) -> float:
        outside = np.sum((theta - np.clip(theta, *LIMITS.T)) ** 2)
        squares = float(np.sum(left_out_squares(*at(theta)))) / size
        return float(np.log(squares + ROUND_OFF) + outside)

    theta = np.clip(start, *LIMITS.T)
    if evaluations:
        theta = _descend(loss, theta, evaluations)
    error = float(np.exp(0.5 * loss(theta)))
    theta = np.clip(theta, *LIMITS.T)
    return Choice(at(theta)[0], rank, axes.scales(theta), error, theta, axes)


def _descend(loss: object, theta: np.ndarray, evaluations: int) -> np.ndarray:
    """Nelder and Mead's simplex."""
    from scipy.optimize import minimize

    simplex = np.vstack([theta, theta + np.diag(STEPS)])
    options = {"maxfev": evaluations, "initial_simplex": simplex, "xatol": 0.05, "fatol": 1e-3}
    return np.asarray(minimize(loss, theta, method="Nelder-Mead", options=options).x)
