"""Error indicators: log E <= c . log I + q from cheap features I.

The features cost nothing of size n. The regression explains, the quantile
covers: it is conformal over whole runs, for the steps of one run err together.
References: Casenave, Akkari (2019); Lei et al. (2018); Angelopoulos, Bates, Fisch, Lei,
Schuster, Conformal risk control (2024).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from rom.arrays import POINTS, VECTOR, gate, integers
from rom.errors import BadInput

MIN_RUNS = 3
MIN_LEVEL = 0.5
ROUND_OFF = 1e-12  # of a sum of shares


@dataclass(frozen=True, eq=False)
class Indicator:
    """log E ~ coefficients . (log features, 1), and the shift of its quantile.

    names (k) : of the features; coefficients (k + 1,), the constant last
    floor : features and errors below it count as it, so that steps in which nothing happens
    count as well
    whole : whether the upper quantile covers whole runs, all steps of each, with its level
    """

    names: tuple[str, ...]
    coefficients: np.ndarray
    shift: float
    level: float
    floor: float
    whole: bool = False

    def middle(self, features: np.ndarray) -> np.ndarray:
        """The regression of E, (m,), on features (m, k)."""
        log_error = _design(features, self.floor) @ self.coefficients
        return np.asarray(np.exp(log_error))

    def upper(self, features: np.ndarray) -> np.ndarray:
        """The upper quantile of E, (m,), on features (m, k).

        Exceeded by at most a share 1 - level of the steps, or of whole runs, in the mean
        over runs that are exchangeable with those of the calibration.
        """
        return np.asarray(np.exp(self.shift) * self.middle(features))


@gate(features=POINTS, errors=VECTOR, runs=integers)
def calibrate_indicator(
    names: tuple[str, ...],
    features: np.ndarray,
    errors: np.ndarray,
    runs: np.ndarray,
    *,
    level: float = 0.95,
    floor: float = 1e-6,
    whole: bool = False,
) -> Indicator:
    """An indicator from features and errors of runs, whose steps are the rows.

    features (m, k), errors (m,), runs (m,) : number of the run of each row
    The model was trained on none of the runs. Coefficients are nonnegative: no residual makes
    the answer better. The scores that set the quantile are of runs that the regression left
    out.
    whole : a run counts as covered when all its steps are, otherwise by the share of them
    Raises BadInput for wrong shapes, a level outside [0.5, 1), fewer than three runs.
    """
    numbers = np.unique(runs)
    agree = features.shape == (len(errors), len(names)) and len(runs) == len(errors)
    if not agree or len(numbers) < MIN_RUNS:
        raise BadInput(
            f"features {features.shape}, {len(errors)} errors, {len(numbers)} runs: "
            f"give (m, {len(names)}) and three runs"
        )
    if not MIN_LEVEL <= level < 1:
        raise BadInput(f"level = {level:g} must lie in [0.5, 1)")
    A = _design(features, floor)
    log_errors = np.log(np.maximum(errors, floor))
    scores = _left_out_scores(A, log_errors, runs)
    if whole:
        scores = [score.max(keepdims=True) for score in scores]
    shift = _quantile(scores, level)
    return Indicator(names, _fit(A, log_errors), shift, level, floor, whole)


@gate(indicator=Indicator, features=POINTS, errors=VECTOR)
def trust(indicator: Indicator, features: np.ndarray, errors: np.ndarray) -> dict[str, float]:
    """How far an indicator is right on runs with known errors.

    features (m, k), errors (m,)
    log_correlation : of log E with its regression
    coverage : share of the errors below the upper quantile
    overestimate : median of the upper quantile over the error
    """
    if features.shape != (len(errors), len(indicator.names)):
        raise BadInput(
            f"features {features.shape} and {len(errors)} errors; give (m, {len(indicator.names)})"
        )
    true = np.maximum(errors, indicator.floor)
    upper = indicator.upper(features)
    log_middle = np.log(indicator.middle(features))
    correlation = np.corrcoef(np.log(true), log_middle)[0, 1]
    return {
        "log_correlation": float(correlation),
        "coverage": float(np.mean(true <= upper)),
        "overestimate": float(np.median(upper / true)),
    }


def _left_out_scores(A: np.ndarray, log_errors: np.ndarray, runs: np.ndarray) -> list[np.ndarray]:
    """log E minus its regression on the other runs, of the steps of each run."""
    scores = []
    for number in np.unique(runs):
        out = runs == number
        coefficients = _fit(A[~out], log_errors[~out])
        scores.append(log_errors[out] - A[out] @ coefficients)
    return scores


def _quantile(scores: list[np.ndarray], level: float) -> float:
    """The least q with (sum_k share of scores_k above q + 1) / (n + 1) <= 1 - level.

    scores : of n runs k. The share of a new run above q is then at most 1 - level in the
    mean. Where n < level / (1 - level) no q does; then Student's prediction bound.
    """
    n = len(scores)
    allowed = (n + 1) * (1 - level) - 1
    if allowed < 0:
        return _student_bound(np.array([score.max() for score in scores]), level)
    pooled = np.concatenate(scores)
    share = np.concatenate([np.full(len(score), 1 / len(score)) for score in scores])
    ascending = np.argsort(pooled)
    summed_from_above = np.cumsum(share[ascending][:0:-1])[::-1]
    above = np.append(summed_from_above, 0.0)
    first = np.argmax(above <= allowed + ROUND_OFF)
    return float(pooled[ascending][first])


def _student_bound(largest: np.ndarray, level: float) -> float:
    """The prediction bound of a new run's largest score, from those of n runs."""
    from scipy.stats import t as student

    n = len(largest)
    reach = student.ppf(level, n - 1) * largest.std(ddof=1)
    bound = largest.mean() + reach * np.sqrt(1 + 1 / n)
    return float(max(largest.max(), bound))


def _design(features: np.ndarray, floor: float) -> np.ndarray:
    """log features and a column of ones, (m, k + 1)."""
    log_features = np.log(np.maximum(features, floor))
    return np.column_stack([log_features, np.ones(len(features))])


def _fit(A: np.ndarray, y: np.ndarray) -> np.ndarray:
    """argmin |A c - y| with c >= 0 but for the constant, the last of c (k + 1,).

    The columns are centred, which leaves out the constant.
    """
    from scipy.optimize import nnls

    centre = A[:, :-1].mean(axis=0)
    level = y.mean()
    c = nnls(A[:, :-1] - centre, y - level)[0]
    return np.append(c, level - centre @ c)
