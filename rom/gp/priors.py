"""Which processes may be the prior of outputs: kernel, trend, noise."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from rom.errors import BadInput
from rom.gp.inputs import supports_trend
from rom.gp.kernel_names import MATERN, PRODUCT, RBF, SUM, kernel_of
from rom.gp.likelihood import CONSTANT, LINEAR, MEANS

AUTO = "auto"
KERNELS = (MATERN, RBF, PRODUCT, SUM)  # that "auto" stands for
FREE_NOISE, NO_NOISE = "free noise", "no noise"
FREE = "free"  # of the noise: each group's own, estimated
COMPOSED = (PRODUCT, SUM)
COMPOSED_RUNS = 20  # per parameter, that tell products and sums from other kernels
NOISELESS = 1e-8  # variance of noise over that of the process that counts as none
PERCEPTIBLE = 1e-6  # share of the largest output's variance that a common noise has at least


@dataclass(frozen=True, eq=False)
class ProcessPrior:
    """A kernel and its name, a trend, and the noise over the variance of each output.

    noise : None where it is each output's own, estimated; a number, or one per output (r,)
    """

    name: str
    kernel: Any
    mean: str
    noise: float | np.ndarray | None
    label: str


def check_mean(mean: str) -> None:
    """Raises BadInput for a mean that is neither known nor "auto"."""
    if mean not in (AUTO, *MEANS):
        raise BadInput(f"no mean {mean!r}; known: {', '.join((AUTO, *MEANS))}")


def named_kernels(kernel: Any, m: int, p: int) -> dict[str, Any]:
    """The kernels that `kernel` stands for, by name, for m runs of p parameters."""
    if not isinstance(kernel, str):
        return {"own kernel": kernel_of(kernel, p)}
    if kernel != AUTO:
        return {kernel: kernel_of(kernel, p)}
    names = KERNELS if p > 1 and m >= COMPOSED_RUNS * p else (MATERN, RBF)
    return {name: kernel_of(name, p) for name in names}


def candidate_priors(
    kernels: dict[str, Any],
    mean: str,
    x: np.ndarray,
    noise: float | str | None,
    *,
    noisy: bool = False,
) -> list[ProcessPrior]:
    """Each kernel with each trend that x supports, with noise and without.

    x (m, p) : of the runs
    noise : the known one, which leaves no choice; noisy : whether repeated runs show that there is
    """
    means = [mean]
    if mean == AUTO:
        means = [CONSTANT, LINEAR] if supports_trend(x) else [CONSTANT]
    levels: dict[str, float | None] = {FREE_NOISE: None, NO_NOISE: NOISELESS}
    if noisy:
        del levels[NO_NOISE]
    if isinstance(noise, str):
        levels = {FREE_NOISE: None}
    elif noise is not None:
        levels = {"known noise": noise}
    return [
        ProcessPrior(name, kernel, trend, level, f"{name}, {trend} mean, {text}")
        for name, kernel in kernels.items()
        for trend in means
        for text, level in levels.items()
    ]
