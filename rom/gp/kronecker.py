"""Gaussian processes on grids of any number of axes.

Each axis has its own points and kernel. All algebra is along the axes: there is
never a matrix of all cells.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial
from typing import Any

import numpy as np

from rom.arrays import OUTPUTS, each, gate, real
from rom.errors import BadInput
from rom.gp.extrapolation import end_stretch, known_range, pick_cells
from rom.gp.grids import GridPoints, axis_points, check_grid, grid_points
from rom.gp.kronecker_likelihood import fit_grid, fit_on_subset, kernel_per_axis
from rom.gp.kronecker_posterior import (
    leave_cells_out,
    leave_points_out,
    posterior_weights,
    prior_roots,
)
from rom.gp.likelihood import FLOOR
from rom.gp.missing import EPS, Preconditioner, left_variance, missing_preconditioner, solve_missing
from rom.gp.outputs import answer_with_outputs, dimensionless, scalar_output, within_range
from rom.gp.tensors import GridSpectrum, apply_along, grid_spectrum, outer
from rom.model import Asks, Model, Question
from rom.prediction import Error, Known, Part, Prediction, Quantity


@dataclass(frozen=True, eq=False)
class KroneckerGP(Model):
    """y = mean + f + noise on a grid, f ~ GP(0, variance k_1 k_2 ... k_d).

    The noise variance is nugget variance; missing cells are allowed.
    axes : (n_j, p_j) points of each axis, evenly spaced or scattered alike
    low, width : (p_j,) per axis, scale the points; kernels : one per axis
    y (n_1, ..., n_d) : anything where observed is False
    weights : (K + nugget I)^{-1} (y - mean), zero where nothing was observed
    """

    axes: tuple[np.ndarray, ...]
    low: tuple[np.ndarray, ...]
    width: tuple[np.ndarray, ...]
    kernels: tuple[Any, ...]
    nugget: float
    mean: float
    variance: float
    y: np.ndarray
    observed: np.ndarray | None
    weights: np.ndarray

    @property
    def noise(self) -> float:
        """Standard deviation of the noise."""
        return float(np.sqrt(self.nugget * self.variance))

    @property
    def _grid(self) -> GridPoints:
        return GridPoints(self.axes, self.low, self.width)

    @cached_property
    def _units(self) -> list[np.ndarray]:
        return self._grid.scale(self.axes)

    def _matrices(self) -> list[np.ndarray]:
        return [k.matrix(x, x) for k, x in zip(self.kernels, self._units, strict=True)]

    @cached_property
    def _spectrum(self) -> GridSpectrum:
        return grid_spectrum(self._matrices(), self.nugget)

    @cached_property
    def _conditioner(self) -> Preconditioner:
        observed = self.observed
        if observed is None:
            observed = np.ones(self.y.shape, dtype=bool)
        return missing_preconditioner(self._matrices(), self.nugget, observed)

    @property
    def known(self) -> Known:
        """Of the error: the standard deviation."""
        return Known.STATISTICAL

    @property
    def asks(self) -> Asks:
        """A point: its coordinates on all axes, one after the other."""
        return Asks(sum(x.shape[1] for x in self.axes))

    @property
    def tells_outputs(self) -> tuple[Quantity, ...]:
        """y."""
        return dimensionless(("y",))

    def answer(self, question: Question) -> Prediction:
        """Output y of a new cell, noise included, with its deviation.

        With missing cells each deviation costs a solve.
        """
        points = self._split(question.mu)
        cross = self._cross(points)
        left = self._left_at(cross) * np.max(self._stretches(points), axis=0) ** 2
        mean = self.mean + _contract(cross, self.weights)
        std = np.sqrt(self.variance * (left + self.nugget))
        pairs = zip(points, self.axes, strict=True)
        inside = np.all([within_range(z, x) for z, x in pairs], axis=0)
        return answer_with_outputs(question, {"y": scalar_output(mean, std)}, inside)

    def on_grid(self) -> Prediction:
        """f + mean in all cells of its own grid: field y, rows as y.ravel().

        With missing cells no deviation is known, as each would cost a solve.
        """
        whole = self.observed is None
        mean, std = self.posterior(*self.axes, std=whole)
        spread = None if std is None else std.reshape(-1, 1, 1)
        errors: tuple[Error, ...] = ()
        if std is not None:
            rms = np.sqrt(np.mean(std**2))
            errors = (Error(np.array([rms]), Known.STATISTICAL, "root mean square of cells"),)
        part = Part(Quantity("y"), mean.reshape(-1, 1, 1), std=spread, errors=errors)
        question = Question(np.empty((1, 0)), single=True)
        return Prediction(question, {"y": part}, inside=np.ones(1, dtype=bool))

    def posterior(self, *x: np.ndarray, std: bool = True) -> tuple[np.ndarray, np.ndarray | None]:
        """Mean and standard deviation of f + mean on the tensor grid of new points.

        x : one array (q_j,) or (q_j, p_j) per axis; both answers (q_1, ..., q_d)
        With missing cells each standard deviation costs a solve: ask for few, or give
        std=False and draw `samples`. Beyond the known points of an axis of one number, the
        deviation grows by what slabs left out at its ends erred.
        Raises BadInput for another number of axes.
        """
        cross = self._cross(x)
        mean = self.mean + apply_along(cross, self.weights)
        if not std:
            return mean, None
        left = self._left_variance(cross)
        stretch = np.ones(left.shape)
        for part in np.ix_(*self._stretches(x)):
            stretch = np.maximum(stretch, part)
        return mean, stretch * np.sqrt(self.variance * left)

    def at(self, points: np.ndarray, *, chunk: int = 256) -> np.ndarray:
        """Mean (q,) at scattered points (q, p_1 + ... + p_d)."""
        points = np.asarray(points, dtype=float)
        value = np.empty(len(points))
        for start in range(0, len(points), chunk):
            rows = slice(start, start + chunk)
            value[rows] = _contract(self._cross(self._split(points[rows])), self.weights)
        return self.mean + value

    def leave_one_out(self, axis: int | None = None) -> tuple[np.ndarray, np.ndarray]:
        """(y - E[y | the other cells], its standard deviation) of every cell.

        axis : given the other points of this axis, so that whole runs, sensors or
        frequencies are left out. In closed form, at the cost of one posterior.
        Raises BadInput with missing cells.
        """
        if self.observed is not None:
            raise BadInput(
                "leave-one-out in closed form needs a complete grid; "
                "hold cells out with `observed` instead"
            )
        if axis is None:
            return leave_cells_out(self._spectrum, self.weights, self.variance)
        return leave_points_out(self._spectrum, self.weights, self.variance, axis)

    def samples(self, *x: np.ndarray, count: int, rng: int | np.random.Generator = 0) -> np.ndarray:
        """Draws of f + mean from the posterior on the grid of new points.

        (count, q_1, ..., q_d), by Matheron's rule. Beyond the known points they spread as the
        kernels say, less than the deviations of `posterior`. Reference: Wilson et al. (2020).
        """
        gen = np.random.default_rng(rng)
        cross = self._cross(x)
        roots = prior_roots(self.kernels, self._units, self._grid.scale(x))
        return np.stack([self._draw(roots, cross, gen) for _ in range(count)])

    def _draw(
        self, roots: list[np.ndarray], cross: list[np.ndarray], gen: np.random.Generator
    ) -> np.ndarray:
        """A prior draw on old and new points, corrected for its gap to the data."""
        normal = gen.standard_normal([len(root) for root in roots])
        f = np.sqrt(self.variance) * apply_along(roots, normal)
        f_old = f[tuple(slice(0, n) for n in self.y.shape)]
        f_new = f[tuple(slice(n, None) for n in self.y.shape)]
        values = self.y
        if self.observed is not None:
            values = np.where(self.observed, self.y, 0.0)
        noise = self.noise * gen.standard_normal(self.y.shape)
        gap = values - self.mean - f_old - noise
        correction = apply_along(cross, self.solve(gap))
        return np.asarray(self.mean + f_new + correction)

    def solve(self, b: np.ndarray) -> np.ndarray:
        """(K + nugget I)^{-1} b on the observed cells, zero elsewhere."""
        if self.observed is None:
            return self._spectrum.solve(b)
        return solve_missing(self._conditioner, b)[0]

    def _left_variance(self, cross: list[np.ndarray]) -> np.ndarray:
        """The share of the process variance that the data leave on the new grid."""
        if self.observed is None:
            spectrum = self._spectrum
            squares = [(C @ V) ** 2 for C, V in zip(cross, spectrum.V, strict=True)]
            return np.maximum(1.0 - apply_along(squares, 1.0 / spectrum.S), EPS)
        left = np.empty([len(C) for C in cross])
        for index in np.ndindex(left.shape):
            k = outer([C[i] for C, i in zip(cross, index, strict=True)])
            left[index] = left_variance(self._conditioner, k)
        return left

    def _left_at(self, cross: list[np.ndarray]) -> np.ndarray:
        """The share of the process variance that the data leave at points, (q,)."""
        if self.observed is None:
            squares = [(C @ V) ** 2 for C, V in zip(cross, self._spectrum.V, strict=True)]
            return np.maximum(1.0 - _contract(squares, 1.0 / self._spectrum.S), EPS)
        rows = [[C[q : q + 1] for C in cross] for q in range(len(cross[0]))]
        return np.array([self._left_variance(row).item() for row in rows])

    def _stretches(self, x: Sequence[np.ndarray]) -> list[np.ndarray]:
        """Factors of deviations at new points (q_j, p_j): above 1 beyond known ones."""
        factors = []
        for j, (axis, new) in enumerate(zip(self.axes, x, strict=True)):
            points = np.asarray(new, dtype=float).reshape(-1, axis.shape[1])
            factor = np.ones(len(points))
            if axis.shape[1] == 1 and self._seen(j).any():
                low, high = known_range(axis, self._seen(j))
                beyond = (points[:, 0] < low) | (points[:, 0] > high)
                if beyond.any():
                    factor[beyond] = self._end_stretch(j)
            factors.append(factor)
        return factors

    def _seen(self, j: int) -> np.ndarray:
        """Which points of axis j have a known cell."""
        if self.observed is None:
            return np.ones(len(self.axes[j]), dtype=bool)
        return np.any(np.moveaxis(self.observed, j, 0).reshape(len(self.axes[j]), -1), axis=1)

    @cached_property
    def _end_stretches(self) -> dict[int, float]:
        """Of the axes that were asked beyond their ends so far."""
        return {}

    def _end_stretch(self, j: int) -> float:
        """The factor beyond the known points of axis j, which costs some posteriors once."""
        if j not in self._end_stretches:
            stretch = end_stretch(self.axes[j], self._seen(j), partial(self._slab_out, j))
            self._end_stretches[j] = stretch
        return self._end_stretches[j]

    def _slab_out(self, j: int, slab: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """(y - E[y | the rest], its deviation) of cells of a slab of axis j.

        At most some known ones; the kernels stay.
        """
        whole = np.ones(self.y.shape, dtype=bool) if self.observed is None else self.observed
        in_slab = np.zeros(self.y.shape, dtype=bool)
        np.moveaxis(in_slab, j, 0)[slab] = True
        cells = pick_cells(np.argwhere(whole & in_slab))
        y, axes, observed = self.y, list(self.axes), None
        if self.observed is None:
            axes[j], y = np.delete(axes[j], slab, axis=0), np.delete(y, slab, axis=j)
        else:
            observed = whole & ~in_slab
        rest = replace(self, axes=tuple(axes), y=y, observed=observed)
        mean, variance, weights = posterior_weights(rest._matrices(), rest.nugget, y, observed)
        rest = replace(rest, mean=mean, variance=variance, weights=weights)
        cross = rest._cross([axis[cells[:, i]] for i, axis in enumerate(self.axes)])
        gap = self.y[tuple(cells.T)] - mean - _contract(cross, weights)
        left = rest._left_at(cross) + self.nugget
        return gap, np.sqrt(variance * left)

    def _split(self, points: np.ndarray) -> list[np.ndarray]:
        """Points (q, p_1 + ... + p_d) as (q, p_j) per axis."""
        stops = np.cumsum([x.shape[1] for x in self.axes])[:-1]
        return np.split(points, stops, axis=1)

    def _cross(self, x: Sequence[np.ndarray]) -> list[np.ndarray]:
        """k_j(new points, points) of each axis."""
        new = self._grid.scale(x)
        axes = zip(self.kernels, new, self._units, strict=True)
        return [k.matrix(z, unit) for k, z, unit in axes]


def _contract(rows: Sequence[np.ndarray], U: np.ndarray) -> np.ndarray:
    """sum_{k_1 .. k_d} rows_1[q, k_1] ... rows_d[q, k_d] U[k_1, ..., k_d], (q,)."""
    part = np.tensordot(rows[0], U, axes=1)
    for row in rows[1:]:
        part = np.einsum("qk,qk...->q...", row, part)
    return np.asarray(part)


@gate(axes=each(OUTPUTS))
def kronecker_gp(
    axes: Sequence[np.ndarray],
    y: np.ndarray,
    kernels: Sequence[Any] | str = "matern52",
    *,
    noise: float | None = None,
    observed: np.ndarray | None = None,
    fit: bool = True,
    max_fit_cells: int = 1000,
    rng: int | np.random.Generator = 0,
) -> KroneckerGP:
    """The regression of a field y (n_1, ..., n_d) on a grid, of largest likelihood.

    The likelihood is exact and costs O(sum n_j^3 + N sum n_j).
    axes : points (n_j,) or (n_j, p_j), scattered ones too (parameters x times x sensors)
    kernels : one name or kernel for all axes, or one for each
    noise : noise variance over process variance if it is known, at least 1e-10
    fit : False keeps the kernels as they are
    observed : True where a cell is known. Then the kernels are fitted on at most
    max_fit_cells known cells, exactly, and the weights are solved for with a preconditioner
    that holds all kernel eigenvalues above a tenth of the nugget.
    Raises BadInput for wrong shapes or NaN in known cells.
    """
    points = tuple(axis_points(x, f"axis {j}") for j, x in enumerate(axes))
    y = real(y, "y")
    if observed is not None and not np.ndim(observed):
        raise BadInput(f"observed is {observed!r}; give one truth value per cell of y")
    mask = check_grid(points, y, observed)
    grid = grid_points(points)
    units = grid.scale(points)
    chosen = kernel_per_axis(kernels, units)
    nugget = max(FLOOR if noise is None else noise, FLOOR)
    if fit and mask is None:
        chosen, nugget = fit_grid(chosen, units, y, noise)
    elif fit and mask is not None:
        chosen, nugget = fit_on_subset(
            chosen, units, y, mask, noise=noise, max_cells=max_fit_cells, rng=rng
        )
    matrices = [k.matrix(z, z) for k, z in zip(chosen, units, strict=True)]
    mean, variance, weights = posterior_weights(matrices, nugget, y, mask)
    low, width = grid.low, grid.width
    return KroneckerGP(points, low, width, tuple(chosen), nugget, mean, variance, y, mask, weights)
