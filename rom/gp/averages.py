"""Averages of processes: each counts by how small its left-out errors are."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from rom.arrays import POINTS, gate
from rom.gp.coefficients import CoefficientGP
from rom.gp.groups import AUTO, SearchPlan
from rom.gp.inputs import scale_inputs
from rom.gp.outputs import OutputsModel, answer_of_posterior
from rom.gp.sharing import fit_candidates
from rom.gp.together import Together, join_processes
from rom.model import Question
from rom.parameters import Box
from rom.prediction import Prediction

SHARPNESS = 8.0  # weights are left-out errors to the power -SHARPNESS
LEAST_WEIGHT = 0.02  # of the largest; lighter processes are left out
log = logging.getLogger("rom")


@dataclass(frozen=True, eq=False)
class ProcessAverage(OutputsModel):
    """a(x) ~ sum_k w_k N(mean_k(x), std_k(x)^2), its processes of the same outputs.

    box : inputs are scaled to it; closed : whether inputs beyond it are refused
    processes : of the same runs; weights (k,) : sum to one; reason : their left-out errors
    """

    box: Box
    closed: bool
    processes: tuple[CoefficientGP, ...]
    weights: np.ndarray
    reason: str

    @property
    def r(self) -> int:
        """Number of outputs."""
        return self.processes[0].r

    @property
    def a(self) -> np.ndarray:
        """Outputs of the runs, (m, r)."""
        return self.processes[0].a

    @property
    def x(self) -> np.ndarray:
        """Scaled inputs of the runs, (m, p)."""
        return self.processes[0].x

    @property
    def noise(self) -> np.ndarray:
        """Standard deviation of the noise of each output, (r,), in its unit."""
        variances = np.stack([gp.noise**2 for gp in self.processes])
        return np.asarray(np.sqrt(self.weights @ variances))

    def answer(self, question: Question) -> Prediction:
        """Outputs a1, ..., ar of a new run, noise included, each with its deviation."""
        return answer_of_posterior(self, question, self.x)

    def posterior(
        self, x: np.ndarray, *, noise: bool = False, std: bool = True, device: str | None = None
    ) -> tuple[np.ndarray, np.ndarray | None]:
        """Mean and standard deviation of the average, both (q, r), or (r,) for x (p,).

        The arguments are those of `CoefficientGP.posterior`.
        """
        points = np.atleast_2d(x)
        scaled = scale_inputs(points, self.box, self.closed)
        if device is None and self._together is not None:
            mean, spread = self._together.posterior(scaled, noise, std)
            means = self._by_process(mean)
            spreads = None if spread is None else self._by_process(spread)
        else:
            pairs = [
                gp.posterior(points, noise=noise, std=std, device=device) for gp in self.processes
            ]
            means = np.stack([mean for mean, _ in pairs])
            spreads = np.stack([np.asarray(spread) for _, spread in pairs]) if std else None
        if np.ndim(x) == 1:
            means, spreads = means[:, 0], None if spreads is None else spreads[:, 0]
        if spreads is None:
            return np.einsum("k,k...->...", self.weights, means), None
        return mix_normal(self.weights, means, spreads**2)

    @cached_property
    def _together(self) -> Together | None:
        parts = [gp.together for gp in self.processes if gp.bends is None]
        small = [part for part in parts if part is not None]
        return join_processes(small) if len(small) == len(self.processes) else None

    def _by_process(self, values: np.ndarray) -> np.ndarray:
        """(q, outputs of all processes) as (k, q, r)."""
        parts: np.ndarray = values.reshape(len(values), len(self.processes), self.r)
        return parts.transpose(1, 0, 2)

    def leave_one_out(self, hidden: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray]:
        """(a_i - E[a_i | the others], its standard deviation), both (m, r).

        hidden (m, m) : runs left out with each, itself among them; None for it alone
        """
        return self._left_out if hidden is None else self._leave_out(hidden)

    @cached_property
    def _left_out(self) -> tuple[np.ndarray, np.ndarray]:
        return self._leave_out(None)

    def _leave_out(self, hidden: np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
        parts = [gp.leave_one_out(hidden) for gp in self.processes]
        means, variances = np.stack([part for part, _ in parts]), np.stack([s**2 for _, s in parts])
        return mix_normal(self.weights, means, variances)

    def samples(
        self, x: np.ndarray, count: int, *, rng: int | np.random.Generator = 0, noise: bool = False
    ) -> np.ndarray:
        """Joint draws of the outputs at x (q, p), (count, q, r), of the mixture."""
        generator = np.random.default_rng(rng)
        counts = generator.multinomial(count, self.weights)
        draws = [
            gp.samples(x, int(k), rng=generator, noise=noise)
            for gp, k in zip(self.processes, counts, strict=True)
            if k
        ]
        return generator.permutation(np.concatenate(draws))


def mix_normal(
    weights: np.ndarray, means: np.ndarray, variances: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Mean and deviation (m, r) of the mixture of k normal laws.

    weights (k,) sum to one; means, variances : (k, m, r)
    """
    mean = np.einsum("k,k...->...", weights, means)
    variance = np.einsum("k,k...->...", weights, variances + (means - mean) ** 2)
    return mean, np.sqrt(variance)


@gate(x=POINTS, a=POINTS, box=Box)
def process_average(
    x: np.ndarray,
    a: np.ndarray,
    box: Box | None = None,
    *,
    kernel: Any = AUTO,
    share: str = AUTO,
    mean: str = AUTO,
    noise: float | str | None = None,
    rng: int | np.random.Generator = 0,
    device: str | None = None,
    starts: int = 4,
    unit: np.ndarray | float | None = None,
) -> ProcessAverage | CoefficientGP:
    """The average of candidates, w_k ~ (left-out error_k)^{-8}.

    Few runs cannot tell kernels and trends apart, and the mean of several errs less than the one
    that left-out runs prefer. Candidates and options are those of `coefficient_gp`; deviations are
    not stretched. It is one process where "auto" leaves no choice.
    References: Stone (1974); Le, Clarke (2017).
    """
    candidates = fit_candidates(
        x, a, box, kernel=kernel, share=share, mean=mean, noise=noise, unit=unit,
        search=SearchPlan(starts, rng, device),
    )  # fmt: skip
    if len(candidates) == 1:
        return candidates[0][0]
    return average([gp for gp, _ in candidates], [error for _, error in candidates])


def average(models: Sequence[CoefficientGP], errors: Sequence[float]) -> ProcessAverage:
    """The average of models of the same runs, the heaviest first.

    errors : of the models at left-out runs
    """
    size = np.maximum(errors, 1e-12)
    weights = (size / size.min()) ** -SHARPNESS
    order = np.argsort(-weights, kind="stable")
    order = order[weights[order] >= LEAST_WEIGHT]
    weights = weights[order] / weights[order].sum()
    pairs = zip(order, weights, strict=True)
    texts = ", ".join(f"{models[k].reason} {errors[k]:.4g} ({w:.0%})" for k, w in pairs)
    log.info("relative left-out errors and weights: %s", texts)
    first = models[0]
    processes = tuple(models[k] for k in order)
    reason = f"relative left-out errors and weights of processes: {texts}"
    return ProcessAverage(first.box, first.closed, processes, weights, reason)
