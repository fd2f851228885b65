"""Error indicators: log E <= c . log I + q, features I that cost nothing of the size of the mesh, calibrated on runs with known errors.

The regression explains, the quantile covers: conformal over whole runs, for the steps of one run err together. References: Casenave &
Akkari (2019); Lei et al. (2018); Angelopoulos, Bates, Fisch, Lei & Schuster, Conformal risk control (2024).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.optimize import nnls
from scipy.stats import t as student

from rom.errors import BadInput


@dataclass(frozen=True, eq=False)
class Indicator:
    """names of the features; coefficients (k + 1,) of log E on their logarithms, the constant last; shift: the conformal quantile.

    floor : what features and errors are cut off at below, so that steps in which nothing happens count as well
    """

    names: tuple[str, ...]
    coefficients: np.ndarray
    shift: float
    level: float
    floor: float

    def middle(self, features: np.ndarray) -> np.ndarray:
        """The regression of E, (m,), on features (m, k)."""
        return np.exp(_design(features, self.floor) @ self.coefficients)

    def upper(self, features: np.ndarray) -> np.ndarray:
        """The upper quantile of E, (m,): exceeded by at most a share 1 - level of the steps, or of whole runs, in the mean over runs that
        are exchangeable with the calibration's."""
        return np.exp(self.shift) * self.middle(features)


def calibrate_indicator(
    names: tuple[str, ...], features: np.ndarray, errors: np.ndarray, runs: np.ndarray, level: float = 0.95, floor: float = 1e-6,
    whole: bool = False,
) -> Indicator:  # fmt: skip
    """An indicator from features (m, k) and errors (m,) of runs (m,) numbered, none of which the model was trained on.

    Coefficients are nonnegative: no residual makes the answer better. The scores that set the quantile are of runs that the
    regression left out. whole : a run counts as covered when all of its steps are, otherwise by the share of them.
    Raises BadInput with fewer than three runs.
    """
    found = np.unique(runs)
    if features.shape != (len(errors), len(names)) or len(found) < 3:
        raise BadInput(
            f"features {features.shape}, {len(errors)} errors, {len(found)} runs: give (m, {len(names)}) and three runs"
        )
    if not 0.5 <= level < 1:
        raise BadInput(f"level = {level:g} must lie in [0.5, 1)")
    A, y = _design(features, floor), np.log(np.maximum(errors, floor))
    scores = [y[runs == k] - A[runs == k] @ _fit(A[runs != k], y[runs != k]) for k in found]
    return Indicator(
        names,
        _fit(A, y),
        _quantile([s.max(keepdims=True) for s in scores] if whole else scores, level),
        level,
        floor,
    )


def _quantile(scores: list[np.ndarray], level: float) -> float:
    """The least q with (sum_k share of scores_k above q + 1) / (n + 1) <= 1 - level over n runs k: the share of a new one is at most
    1 - level in the mean. Where n < level / (1 - level) no q does; then Student's prediction bound of the largest score of a run."""
    n = len(scores)
    allowed = (n + 1) * (1 - level) - 1
    if allowed < 0:
        largest = np.array([s.max() for s in scores])
        return float(
            max(
                largest.max(),
                largest.mean()
                + student.ppf(level, n - 1) * largest.std(ddof=1) * np.sqrt(1 + 1 / n),
            )
        )
    order, share = (
        np.concatenate(scores),
        np.concatenate([np.full(len(s), 1 / len(s)) for s in scores]),
    )
    place = np.argsort(order)
    above = np.append(np.cumsum(share[place][:0:-1])[::-1], 0.0)
    return float(order[place][np.argmax(above <= allowed + 1e-12)])


def trust(indicator: Indicator, features: np.ndarray, errors: np.ndarray) -> dict[str, float]:
    """On runs with known errors: correlation of log E with its regression, share covered by the upper quantile, median overestimate."""
    known, upper = np.maximum(errors, indicator.floor), indicator.upper(features)
    middle = np.log(indicator.middle(features))
    return {
        "log_correlation": float(np.corrcoef(np.log(known), middle)[0, 1]),
        "coverage": float(np.mean(known <= upper)),
        "overestimate": float(np.median(upper / known)),
    }


def _design(features: np.ndarray, floor: float) -> np.ndarray:
    return np.column_stack([np.log(np.maximum(features, floor)), np.ones(len(features))])


def _fit(A: np.ndarray, y: np.ndarray) -> np.ndarray:
    """argmin |A c - y| with c >= 0 but for the constant, which centred columns leave out."""
    centre, level = A[:, :-1].mean(axis=0), y.mean()
    c = nnls(A[:, :-1] - centre, y - level)[0]
    return np.append(c, level - centre @ c)
