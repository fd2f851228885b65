"""Error indicators: log E <= c . log I + q, features I that cost nothing of the size of the mesh, calibrated on runs with known errors.

The regression explains, the quantile covers: split-conformal calibration. References: Casenave & Akkari (2019); Lei et al. (2018).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.optimize import lsq_linear

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
        """The upper quantile of E, (m,): exceeded by a share 1 - level of errors that are exchangeable with the calibration's."""
        return np.exp(self.shift) * self.middle(features)


def calibrated(
    names: tuple[str, ...], features: np.ndarray, errors: np.ndarray, runs: np.ndarray, level: float = 0.95, floor: float = 1e-6
) -> Indicator:
    """An indicator from features (m, k) and errors (m,) of runs (m,) numbered, none of which the model was trained on.

    Coefficients are nonnegative: no residual makes the answer better. The scores that set the quantile are of runs that the
    regression left out, run by run, as the steps of one run resemble each other. Raises BadInput with fewer than three runs.
    """
    found = np.unique(runs)
    if features.shape != (len(errors), len(names)) or len(found) < 3:
        raise BadInput(
            f"features {features.shape}, {len(errors)} errors, {len(found)} runs: give (m, {len(names)}) and three runs"
        )
    if not 0.5 <= level < 1:
        raise BadInput(f"level = {level:g} must lie in [0.5, 1)")
    A, y = _design(features, floor), np.log(np.maximum(errors, floor))
    scores = np.concatenate([y[runs == k] - A[runs == k] @ _fit(A[runs != k], y[runs != k]) for k in found])
    rank = min(int(np.ceil((len(scores) + 1) * level)), len(scores)) - 1
    return Indicator(names, _fit(A, y), float(np.sort(scores)[rank]), level, floor)


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
    low = np.append(np.zeros(A.shape[1] - 1), -np.inf)
    return lsq_linear(A, y, (low, np.full(A.shape[1], np.inf))).x
