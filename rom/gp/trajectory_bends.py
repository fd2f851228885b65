"""The kernel over parameters, and how its inputs are bent, by leaving runs out.

A bend c_j maps an input z_j of the unit box to (exp(c_j z_j) - 1) / (exp(c_j) - 1).
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache, partial
from itertools import product

import numpy as np

from rom.gp.coefficients import CoefficientGP
from rom.gp.trajectory_candidates import Prior, train_process
from rom.gp.trajectory_modes import Coefficients, Form, joint_modes
from rom.gp.trajectory_runs import WholeRuns
from rom.parameters import Box

STEPS, SWEEPS, LARGEST = (1.5, 0.75), 3, 4.0
Bends = tuple[float, ...]


def choose_inputs(
    runs: WholeRuns, form: Form, box: Box, priors: Sequence[Prior]
) -> tuple[str, Bends]:
    """(kernel, bends) of least leave-one-run-out error, by steps along each input.

    Modes are compressed once, and errors are those of their coefficients, of `transform` of u.
    Fewer than three runs for each input and one more bend nothing.
    """
    parts = joint_modes(runs, form)
    steps = STEPS if len(runs.mu) >= 3 * (box.p + 1) else ()
    ends = {prior: _descend(runs.mu, parts, box, prior, steps) for prior in priors}
    best = min(priors, key=lambda prior: ends[prior][1])
    return best[0], ends[best][0]


def _descend(
    mu: np.ndarray, parts: Coefficients, box: Box, prior: Prior, steps: Sequence[float]
) -> tuple[Bends, float]:
    """Bends and their error, from none, by coordinate steps that are halved."""
    error = cache(partial(_error, mu, parts, box, prior))
    best = (0.0,) * box.p
    for step in steps:
        for _ in range(SWEEPS):
            start = best
            for j, sign in product(range(box.p), (-1.0, 1.0)):
                moved = best[j] + sign * step
                if abs(moved) <= LARGEST:
                    best = min(best, (*best[:j], moved, *best[j + 1 :]), key=error)
            if best == start:
                break
    return best, error(best)


def _error(mu: np.ndarray, parts: Coefficients, box: Box, prior: Prior, bends: Bends) -> float:
    """The left-out error with `bends`."""
    return _left_out(parts, train_process(mu, parts, box, prior, bends))


def _left_out(parts: Coefficients, gp: CoefficientGP) -> float:
    """Mean over runs of |v - E[v | the other runs]| / |v|, in closed form.

    Within the modes, v = s (offset + sum_k modes_k a_k), to first order in the errors of log s
    and of a.
    """
    blank, a = parts.blank, parts.a
    residuals, _ = gp.leave_one_out()
    offset = np.tensordot(blank.offset, blank.modes, 2)
    rest = max(float(np.sum(blank.offset**2) - np.sum(offset**2)), 0.0)
    skip = int(blank.sized)
    run = offset + a[:, skip:]
    size = np.sum(run**2, axis=1) + rest
    missed = residuals[:, skip:]
    square = np.sum(missed**2, axis=1)
    if blank.sized:
        log = residuals[:, 0]
        square += 2.0 * log * np.sum(missed * run, axis=1) + log**2 * size
    return float(np.mean(np.sqrt(np.maximum(square, 0.0) / np.maximum(size, 1e-300))))
