"""`GPRegressor`: the regression as an estimator of scikit-learn.

It works in pipelines, cross-validation and grid search. scikit-learn is imported when the class is
first asked for: `from rom.gp.estimator import GPRegressor`.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np

from rom.basis import spectral_tail
from rom.errors import require
from rom.gp.likelihood import CONSTANT
from rom.gp.sharing import AUTO, coefficient_gp


def __getattr__(name: str) -> Any:
    if name == "GPRegressor":
        return _regressor()
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def _compress(
    y: np.ndarray, tol: float | None
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """(offset (n,), V^T (r, n), a (m, r), tail (n,)) of rows y ~ offset + a V^T.

    tol : relative error; None keeps all of y
    """
    n = y.shape[1]
    if tol is None:
        return np.zeros(n), np.eye(n), y, np.zeros(n)
    offset = y.mean(axis=0)
    U, s, VT = np.linalg.svd(y - offset, full_matrices=False)
    left = np.sqrt(spectral_tail(s))
    r = max(1, int(np.argmax(left <= tol * np.linalg.norm(y))))
    a = U[:, :r] * s[:r]
    missed = y - offset - a @ VT[:r]
    freedom = max(len(y) - r, 1)
    tail = np.sqrt(np.sum(missed**2, axis=0) / freedom)
    return offset, VT[:r], a, tail


@cache
def _regressor() -> type:
    require("sklearn", "gp", "estimators of scikit-learn")
    from sklearn.base import BaseEstimator, MultiOutputMixin, RegressorMixin
    from sklearn.utils import check_random_state
    from sklearn.utils.validation import check_is_fitted, validate_data

    class GPRegressor(MultiOutputMixin, RegressorMixin, BaseEstimator):  # type: ignore[misc]
        """Gaussian-process regression of scalars y (m,), many outputs, or fields y (m, n).

        kernel, share, mean, noise, starts : those of `coefficient_gp`
        tol : None, or the relative error to which fields are compressed to principal components
        Fitted: gp_, components_ (r, n), offset_ (n,), tail_ (n,) standard deviation of the
        truncated components
        """

        def __init__(
            self,
            kernel: Any = "matern52",
            *,
            share: str = AUTO,
            mean: str = CONSTANT,
            noise: float | None = None,
            tol: float | None = None,
            starts: int = 8,
            random_state: Any = 0,
        ) -> None:
            self.kernel = kernel
            self.share = share
            self.mean = mean
            self.noise = noise
            self.tol = tol
            self.starts = starts
            self.random_state = random_state

        def fit(self, X: Any, y: Any) -> Any:
            """Fit to X (m, p), y (m,) or (m, n)."""
            X, y = validate_data(
                self, X, y, multi_output=True, y_numeric=True, dtype=float, ensure_min_samples=3
            )
            self.single_ = y.ndim == 1
            rows = np.asarray(y, dtype=float).reshape(len(y), -1)
            self.offset_, self.components_, a, self.tail_ = _compress(rows, self.tol)
            rng = self.random_state
            if not isinstance(rng, (int, np.integer)):
                rng = check_random_state(rng).randint(2**31)
            self.gp_ = coefficient_gp(
                X,
                a,
                kernel=self.kernel,
                share=self.share,
                mean=self.mean,
                noise=self.noise,
                rng=int(rng),
                starts=self.starts,
            )
            return self

        def predict(self, X: Any, return_std: bool = False) -> Any:
            """y, or (y, standard deviation of a new run) with return_std."""
            check_is_fitted(self)
            X = validate_data(self, X, reset=False, dtype=float)
            a, std = self.gp_.posterior(X, noise=True, std=return_std)
            mean = self.offset_ + a @ self.components_
            if self.single_:
                mean = mean[:, 0]
            if std is None:
                return mean
            variance = std**2 @ self.components_**2 + self.tail_**2
            spread = np.sqrt(variance)
            return mean, spread[:, 0] if self.single_ else spread

    GPRegressor.__qualname__ = "GPRegressor"
    return GPRegressor
