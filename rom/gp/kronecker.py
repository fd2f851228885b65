"""Gaussian processes on grids: any number of axes, each with its own points and kernel, never a matrix of all cells."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from rom.errors import BadInput
from rom.gp.kernel_names import kernel_of
from rom.gp.kronecker_likelihood import fit_grid, fit_on_subset, settled_weights
from rom.gp.likelihood import FLOOR
from rom.gp.missing import Preconditioner, missing_preconditioner, solve_missing
from rom.gp.tensors import apply_along, eigen, outer

log = logging.getLogger("rom")


@dataclass(frozen=True, eq=False)
class KroneckerGP:
    """y = mean + f + noise on a grid, f ~ GP(0, variance k_1 k_2 ... k_d), noise variance = nugget variance; missing cells are allowed.

    axes : (n_j, p_j) points of each axis, evenly spaced or scattered alike; kernels : one per axis; low, width : per axis, scale the points
    y (n_1, ..., n_d), anything where observed is False; weights : (K + nugget I)^{-1} (y - mean), zero where nothing was observed
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

    @cached_property
    def _eigen(self) -> tuple[list[tuple[np.ndarray, np.ndarray]], np.ndarray]:
        pairs = [eigen(k.matrix(x, x)) for k, x in zip(self.kernels, self._units, strict=True)]
        return pairs, outer([w for w, _ in pairs]) + self.nugget

    @cached_property
    def _units(self) -> tuple[np.ndarray, ...]:
        return tuple((x - a) / w for x, a, w in zip(self.axes, self.low, self.width, strict=True))

    @cached_property
    def _conditioner(self) -> Preconditioner:
        matrices = [k.matrix(x, x) for k, x in zip(self.kernels, self._units, strict=True)]
        return missing_preconditioner(
            matrices,
            self.nugget,
            np.ones(self.y.shape, bool) if self.observed is None else self.observed,
        )

    def predict(self, *x: np.ndarray, std: bool = True) -> tuple[np.ndarray, np.ndarray | None]:
        """Mean and standard deviation of f + mean on the tensor grid of new points x, one array (q_j,) or (q_j, p_j) per axis.

        With missing cells each standard deviation costs a solve: ask for few, or std=False and `samples`.
        """
        cross = self._cross(x)
        mean = self.mean + apply_along(cross, self.weights)
        if not std:
            return mean, None
        if self.observed is None:
            pairs, S = self._eigen
            left = 1.0 - apply_along(
                [(C @ V) ** 2 for C, (_, V) in zip(cross, pairs, strict=True)], 1.0 / S
            )
        else:
            left = self._left(cross)
        return mean, np.sqrt(self.variance * np.maximum(left, 0.0))

    def at(self, points: np.ndarray, chunk: int = 256) -> np.ndarray:
        """Mean at scattered points (q, p_1 + ... + p_d), (q,)."""
        stops = np.cumsum([x.shape[1] for x in self.axes])[:-1]
        value = np.empty(len(points))
        for rows in (slice(k, k + chunk) for k in range(0, len(points), chunk)):
            cross = self._cross(np.split(np.asarray(points, dtype=float)[rows], stops, axis=1))
            part = np.tensordot(cross[0], self.weights, axes=1)
            for C in cross[1:]:
                part = np.einsum("qk,qk...->q...", C, part)
            value[rows] = part
        return self.mean + value

    def leave_one_out(self, axis: int | None = None) -> tuple[np.ndarray, np.ndarray]:
        """(y - E[y | the other cells], its standard deviation) for every cell, in closed form; axis: given the other points of it.

        With K = V L V^T, the block of (K + nugget I)^{-1} at point i of an axis is V' diag(sum_k V_ik^2 / S_k) V'^T, V' of the other axes:
        whole runs, sensors or frequencies are left out at the cost of one posterior. Raises BadInput with missing cells.
        """
        if self.observed is not None:
            raise BadInput(
                "leave-one-out in closed form needs a complete grid; hold cells out with `observed` instead"
            )
        pairs, S = self._eigen
        if axis is None:
            diagonal = apply_along([V**2 for _, V in pairs], 1.0 / S)
            return self.weights / diagonal, np.sqrt(self.variance / diagonal)
        rest = [np.eye(len(V)) if j == axis else V for j, (_, V) in enumerate(pairs)]
        squares = [
            pairs[axis][1] ** 2 if j == axis else np.eye(len(V)) for j, (_, V) in enumerate(pairs)
        ]
        block = apply_along(squares, 1.0 / S)
        gaps = apply_along(rest, apply_along([V.T for V in rest], self.weights) / block)
        return gaps, np.sqrt(self.variance * apply_along([V**2 for V in rest], 1.0 / block))

    def samples(self, *x: np.ndarray, count: int, rng: int | np.random.Generator = 0) -> np.ndarray:
        """Draws of f + mean from the posterior on the grid of new points, (count, q_1, ..., q_d), by Matheron's rule.

        Reference: Wilson et al. (2020).
        """
        gen, cross, roots = np.random.default_rng(rng), self._cross(x), []
        for k, mine, new in zip(self.kernels, self._units, self._scaled(x), strict=True):
            w, V = eigen(k.matrix(np.vstack([mine, new]), np.vstack([mine, new])))
            roots.append(V * np.sqrt(np.maximum(w, 0.0)))
        here = tuple(slice(0, n) for n in self.y.shape)
        there = tuple(slice(n, None) for n in self.y.shape)
        draws, scale = [], np.sqrt(self.variance)
        for _ in range(count):
            f = scale * apply_along(roots, gen.standard_normal([len(r) for r in roots]))
            gap = (
                np.where(True if self.observed is None else self.observed, self.y, 0.0)
                - self.mean
                - f[here]
            )
            gap = gap - self.noise * gen.standard_normal(self.y.shape)
            draws.append(self.mean + f[there] + apply_along(cross, self._solve(gap)))
        return np.stack(draws)

    def _solve(self, b: np.ndarray) -> np.ndarray:
        """(K + nugget I)^{-1} b."""
        if self.observed is not None:
            return solve_missing(self._conditioner, b)[0]
        pairs, S = self._eigen
        return apply_along([V for _, V in pairs], apply_along([V.T for _, V in pairs], b) / S)

    def _left(self, cross: Sequence[np.ndarray]) -> np.ndarray:
        left = np.empty([len(C) for C in cross])
        for index in np.ndindex(left.shape):
            k = outer([C[i] for C, i in zip(cross, index, strict=True)])
            left[index] = 1.0 - float(np.sum(k * self._solve(k)))
        return left

    def _scaled(self, x: Sequence[np.ndarray]) -> list[np.ndarray]:
        if len(x) != len(self.axes):
            raise BadInput(f"{len(x)} arrays of points for {len(self.axes)} axes")
        return [(_points(z, f"axis {j}") - self.low[j]) / self.width[j] for j, z in enumerate(x)]

    def _cross(self, x: Sequence[np.ndarray]) -> list[np.ndarray]:
        return [
            k.matrix(z, mine)
            for k, z, mine in zip(self.kernels, self._scaled(x), self._units, strict=True)
        ]


def kronecker_gp(
    axes: Sequence[np.ndarray],
    y: np.ndarray,
    kernels: Sequence[Any] | str = "matern52",
    noise: float | None = None,
    observed: np.ndarray | None = None,
    fit: bool = True,
    rng: int | np.random.Generator = 0,
    most: int = 1000,
) -> KroneckerGP:
    """The regression of a field y (n_1, ..., n_d) on a grid that maximises the exact likelihood; cost O(sum n_j^3 + N sum n_j).

    axes : points (n_j,) or (n_j, p_j), scattered ones too (parameters x times x sensors); kernels : one name or kernel per axis
    noise : noise variance over process variance if known, at least 1e-10; fit=False keeps the kernels as they are
    observed : True where a cell is known; then the kernels are fitted on at most `most` known cells, exactly, and the weights are
        solved for with a preconditioner that holds all kernel eigenvalues above a tenth of the nugget
    Raises BadInput for wrong shapes or NaN in known cells.
    """
    points = tuple(_points(x, f"axis {j}") for j, x in enumerate(axes))
    y = np.asarray(y, dtype=float)
    if y.shape != tuple(map(len, points)):
        raise BadInput(
            f"y has shape {y.shape}; axes of {[len(x) for x in points]} points need {tuple(map(len, points))}"
        )
    seen = None if observed is None or np.all(observed) else np.asarray(observed, dtype=bool)
    if seen is not None and (seen.shape != y.shape or seen.sum() < 3):
        raise BadInput(
            f"observed has shape {seen.shape} and {seen.sum()} known cells; give {y.shape} and at least three"
        )
    if not np.isfinite(y if seen is None else y[seen]).all():
        raise BadInput("a known cell of y is NaN or Inf; mark it in `observed`")
    low = tuple(x.min(axis=0) for x in points)
    width = tuple(np.where(np.ptp(x, axis=0) > 0, np.ptp(x, axis=0), 1.0) for x in points)
    units = [(x - a) / w for x, a, w in zip(points, low, width, strict=True)]
    names = (
        [kernels] * len(points)
        if isinstance(kernels, str) or hasattr(kernels, "pullback")
        else list(kernels)
    )
    chosen = [kernel_of(k, x.shape[1]) for k, x in zip(names, units, strict=True)]
    nugget = max(FLOOR if noise is None else noise, FLOOR)
    if fit and seen is None:
        chosen, nugget = fit_grid(chosen, units, y, noise)
    elif fit and seen is not None:
        chosen, nugget = fit_on_subset(chosen, units, y, seen, noise, most, rng)
    mean, variance, weights = settled_weights(chosen, nugget, units, y, seen)
    return KroneckerGP(points, low, width, tuple(chosen), nugget, mean, variance, y, seen, weights)


def _points(x: np.ndarray, name: str) -> np.ndarray:
    x = np.asarray(x, dtype=float)
    x = x[:, None] if x.ndim == 1 else x
    if x.ndim != 2 or not len(x) or not np.isfinite(x).all():
        raise BadInput(f"{name} has shape {x.shape}; give finite (n,) or (n, p)")
    return x
