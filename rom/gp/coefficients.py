"""Gaussian processes of many outputs: posterior, leave-one-out errors, samples."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any

import numpy as np

from rom.gp.algebra import to_device, to_numpy
from rom.gp.buffers import hidden_errors
from rom.gp.inputs import output_scale, scale_inputs
from rom.gp.kernels import matrices
from rom.gp.likelihood import (
    Factors,
    factorise_each,
    factors_to_device,
    left_out_errors,
    posterior_halves,
    project_trend,
    remaining_variance,
    trend_columns,
)
from rom.gp.outputs import OutputsModel, answer_of_posterior
from rom.gp.together import ROOM, Together
from rom.model import Question
from rom.parameters import Box
from rom.prediction import Prediction

CHUNK = 2**23  # numbers of all matrices of one chunk of predictions


@dataclass(frozen=True, eq=False)
class CoefficientGP(OutputsModel):
    """a_i(x) ~ GP(h(x) beta_i, variance_i (k_g(x, x') + nugget_g)), g = groups[i].

    Inputs lie in the unit box and beta is integrated out.
    box : inputs are scaled to it; closed : whether inputs beyond it are refused
    x (m, p) : scaled inputs; a (m, r) : outputs; kernels, nuggets : one per group; groups (r,)
    mean : zero, constant or linear trend; share : what the groups are; reason : why
    stretch : per group, by what leaving one out says that predicted standard deviations are too
        small or too large
    counts (m,) : of the runs that each row averages, pure (r,) : sum of squares between them, 0
        where they agree to round-off; None where each row is a run
    bends (p,) : of the inputs, as `bend_inputs` takes them; None for none
    """

    box: Box
    closed: bool
    x: np.ndarray
    a: np.ndarray
    kernels: tuple[Any, ...]
    nuggets: np.ndarray
    groups: np.ndarray
    mean: str
    share: str
    reason: str
    stretch: np.ndarray
    counts: np.ndarray | None = None
    pure: np.ndarray | None = None
    bends: np.ndarray | None = None

    @property
    def r(self) -> int:
        """Number of outputs."""
        return int(self.a.shape[1])

    @property
    def noise(self) -> np.ndarray:
        """Standard deviation of the noise of each output, (r,), in its unit."""
        variance = self.nuggets[self.groups] * self.variance
        return np.asarray(np.sqrt(variance))

    @property
    def variance(self) -> np.ndarray:
        """Variance of each output's process, (r,), in its unit squared."""
        return self.solution.variance

    @property
    def jitter(self) -> float:
        """What had to be added to a correlation matrix beyond the nugget; 0 normally."""
        return max(factors.jitter for factors in self.factors)

    @cached_property
    def _trend_and_factors(self) -> tuple[Any, tuple[Factors, ...]]:
        Ks = matrices(self.kernels, self.x, self.x)
        if self.counts is not None:
            for K, nugget in zip(Ks, self.nuggets, strict=True):
                K[np.diag_indices_from(K)] += nugget * (1.0 / self.counts - 1.0)
        return factorise_each(self.mean, self.x, Ks, self.nuggets)

    @property
    def factors(self) -> tuple[Factors, ...]:
        """Of each group's correlation matrix and trend."""
        return self._trend_and_factors[1]

    @cached_property
    def solution(self) -> _Solution:
        """Trend, variances and weights of all outputs."""
        H, scale = self._trend_and_factors[0], output_scale(self.a)
        beta = np.empty((H.shape[1], self.r))
        variance = np.empty(self.r)
        weights = np.empty_like(self.a)
        for factors, mine in self._by_group():
            a = (self.a / scale)[:, mine]
            beta[:, mine], weights[:, mine], variance[mine] = project_trend(factors, H, a)
        variance *= scale**2
        if self.counts is not None and self.pure is not None:
            variance = self._pool(variance, len(self.a) - H.shape[1])
        return _Solution(beta * scale, variance, weights * scale)

    def _pool(self, variance: np.ndarray, free: int) -> np.ndarray:
        """Variances of averages with what repeats say of the noise, (r,)."""
        assert self.counts is not None and self.pure is not None
        more = np.where(self.pure > 0, self.counts.sum() - len(self.counts), 0.0)
        total = free * variance + self.pure / self.nuggets[self.groups]
        pooled: np.ndarray = total / (free + more)
        return pooled

    def _by_group(self) -> Iterator[tuple[Factors, np.ndarray]]:
        """Factors of each group, and which outputs are its."""
        for g, factors in enumerate(self.factors):
            yield factors, self.groups == g

    def answer(self, question: Question) -> Prediction:
        """Outputs a1, ..., ar of a new run, noise included, each with its deviation."""
        return answer_of_posterior(self, question, self.x, self.bends)

    def posterior(
        self, x: np.ndarray, *, noise: bool = False, std: bool = True, device: str | None = None
    ) -> tuple[np.ndarray, np.ndarray | None]:
        """Posterior mean and standard deviation, both (q, r), or (r,) for x (p,).

        x : (q, p) or (p,)
        noise : of a new run's outputs, rather than of the smooth function below them
        std : False gives (mean, None), cheaply; device : None for numpy, or torch's
        It goes in chunks and never forms a q x q matrix. Raises BadInput for another width or NaN,
        OutsideBox where the model was given a box.
        """
        scaled = scale_inputs(np.atleast_2d(x), self.box, self.closed, self.bends)
        if device is None and self.together is not None:
            mean, spread = self.together.posterior(scaled, noise, std)
        else:
            mean, left = self._posterior(scaled, std, device)
            spread = None if left is None else self._spread(left, noise)
        if np.ndim(x) == 1:
            return mean[0], None if spread is None else spread[0]
        return mean, spread

    @cached_property
    def together(self) -> Together | None:
        """All groups at once, where they are small."""
        if len(self.kernels) * len(self.x) ** 2 > ROOM:
            return None
        solution = self.solution
        missing = 1 + self.x.shape[1] - len(solution.beta)
        return Together(
            self.x, self.groups, np.pad(solution.beta.T, ((0, 0), (0, missing))),
            solution.weights.T, np.sqrt(solution.variance),
            self.kernels, self.nuggets, self.stretch, self.factors,
        )  # fmt: skip

    def _spread(self, left: np.ndarray, noise: bool) -> np.ndarray:
        """Standard deviations (q, r) from the variance left of each group, (q, g)."""
        relative = self.stretch * np.sqrt(np.maximum(left, 0.0) + noise * self.nuggets)
        spread: np.ndarray = relative[:, self.groups] * np.sqrt(self.variance)
        return spread

    def _posterior(
        self, scaled: np.ndarray, std: bool, device: str | None
    ) -> tuple[np.ndarray, np.ndarray | None]:
        """Mean (q, r), and per group the variance left relative to the process's, (q, g)."""
        mean = np.empty((len(scaled), self.r))
        left = np.empty((len(scaled), len(self.kernels))) if std else None
        place = np.asarray if device is None else partial(to_device, device=device)
        fetch = np.asarray if device is None else to_numpy
        X, beta, weights = (place(v) for v in (self.x, self.solution.beta, self.solution.weights))
        factors = self.factors if std else ()
        if device is not None:
            factors = factors_to_device(factors, device)
        step = max(1, CHUNK // (len(self.x) * (3 + len(beta))))
        for start in range(0, len(scaled), step):
            rows = slice(start, start + step)
            z = place(scaled[rows])
            h = trend_columns(self.mean, z)
            for g, kernel in enumerate(self.kernels):
                mine = np.flatnonzero(self.groups == g)
                cross = kernel.matrix(z, X)
                trend = h @ beta[:, mine]
                mean[rows, mine] = fetch(trend + cross @ weights[:, mine])
                if left is not None:
                    left[rows, g] = fetch(remaining_variance(factors[g], cross, h))
        return mean, left

    def leave_one_out(self, hidden: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray]:
        """(a_i - E[a_i | the others], its standard deviation), both (m, r).

        In closed form. Variances are those of all runs, not stretched.
        hidden (m, m) : runs left out with each, itself among them; None for it alone
        """
        return self._left_out if hidden is None else self._leave_out(hidden)

    @cached_property
    def _left_out(self) -> tuple[np.ndarray, np.ndarray]:
        return self._leave_out(None)

    def _leave_out(self, hidden: np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
        H, scale = self._trend_and_factors[0], output_scale(self.a)
        residuals, std = np.empty_like(self.a), np.empty_like(self.a)
        for factors, mine in self._by_group():
            a = (self.a / scale)[:, mine]
            variance = self.variance[mine] / scale[mine] ** 2
            if hidden is None:
                errors = left_out_errors(factors, H, a, variance)
            else:
                errors = hidden_errors(factors, H, a, variance, hidden)
            residuals[:, mine], std[:, mine] = errors
        return residuals * scale, std * scale

    def samples(
        self, x: np.ndarray, count: int, *, rng: int | np.random.Generator = 0, noise: bool = False
    ) -> np.ndarray:
        """Joint draws of the outputs at x (q, p) from the posterior, (count, q, r).

        noise : draws of new runs. Costs q^3.
        """
        generator = np.random.default_rng(rng)
        points = np.atleast_2d(x)
        z = scale_inputs(points, self.box, self.closed, self.bends)
        mean = self.posterior(points, std=False)[0]
        draws = np.empty((count, len(z), self.r))
        for g in range(len(self.kernels)):
            root = self._root(g, z)
            for i in np.flatnonzero(self.groups == g):
                deviation = self.stretch[g] * np.sqrt(self.variance[i])
                normal = generator.standard_normal((count, len(z)))
                draws[:, :, i] = mean[:, i] + (deviation * normal) @ root.T
        normal = generator.standard_normal(draws.shape)
        noisy: np.ndarray = draws + noise * self.stretch[self.groups] * self.noise * normal
        return noisy

    def _root(self, g: int, z: np.ndarray) -> np.ndarray:
        """R R^T = posterior covariance of group g at z over the process's variance."""
        kernel = self.kernels[g]
        h = trend_columns(self.mean, z)
        half, rest = posterior_halves(self.factors[g], kernel.matrix(z, self.x), h)
        covariance = kernel.matrix(z, z) - half.T @ half + rest.T @ rest
        values, vectors = np.linalg.eigh(covariance)
        root: np.ndarray = vectors * np.sqrt(np.maximum(values, 0.0))
        return root


@dataclass(frozen=True, eq=False)
class _Solution:
    """beta (k, r), variance (r,), weights P a (m, r)."""

    beta: np.ndarray
    variance: np.ndarray
    weights: np.ndarray
