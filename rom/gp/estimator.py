"""The face for scikit-learn: `GPRegressor`, usable in its pipelines, cross-validation and grid search.

scikit-learn is imported when the class is first asked for: `from rom.gp.estimator import GPRegressor`.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np

from rom.basis import spectral_tail
from rom.errors import MissingExtra
from rom.gp.coefficients import coefficient_gp


def __getattr__(name: str) -> Any:
    if name == "GPRegressor":
        return _regressor()
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def _compressed(
    y: np.ndarray, tol: float | None
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """(offset (n,), V^T (r, n), a (m, r), tail (n,)) of rows y ~ offset + a V^T with a relative error of tol; all of y for tol None."""
    offset = np.zeros(y.shape[1]) if tol is None else y.mean(axis=0)
    if tol is None:
        return offset, np.eye(y.shape[1]), y, np.zeros(y.shape[1])
    U, s, VT = np.linalg.svd(y - offset, full_matrices=False)
    left = np.sqrt(spectral_tail(s))
    r = max(1, int(np.argmax(left <= tol * np.linalg.norm(y))))
    a = U[:, :r] * s[:r]
    tail = np.sqrt(np.sum((y - offset - a @ VT[:r]) ** 2, axis=0) / max(len(y) - r, 1))
    return offset, VT[:r], a, tail


@cache
def _regressor() -> type:
    try:
        from sklearn.base import BaseEstimator, MultiOutputMixin, RegressorMixin
        from sklearn.utils import check_random_state
        from sklearn.utils.validation import check_is_fitted, validate_data
    except ImportError as error:
        raise MissingExtra(
            "GPRegressor needs scikit-learn; pip install 'rom-platform[gp]'"
        ) from error

    class GPRegressor(MultiOutputMixin, RegressorMixin, BaseEstimator):
        """Gaussian-process regression of scalars y (m,), of many outputs, or of fields y (m, n) with one row per run.

        kernel, share, mean, noise, starts : those of rom.gp.coefficients.coefficient_gp
        tol : None, or the relative error to which fields are compressed to principal components first
        Fitted: gp_, components_ (r, n), offset_ (n,), tail_ (n,) standard deviation of the truncated components
        """

        def __init__(
            self,
            kernel: Any = "matern52",
            share: str = "auto",
            mean: str = "constant",
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
            self.offset_, self.components_, a, self.tail_ = _compressed(rows, self.tol)
            seed = self.random_state
            rng = (
                seed
                if isinstance(seed, (int, np.integer))
                else check_random_state(seed).randint(2**31)
            )
            options = {
                "kernel": self.kernel,
                "share": self.share,
                "mean": self.mean,
                "noise": self.noise,
            }
            self.gp_ = coefficient_gp(X, a, rng=int(rng), starts=self.starts, **options)
            return self

        def predict(self, X: Any, return_std: bool = False) -> Any:
            """y, or (y, standard deviation of a new run) with return_std."""
            check_is_fitted(self)
            X = validate_data(self, X, reset=False, dtype=float)
            a, std = self.gp_.predict(X, noise=True, std=return_std)
            mean = self.offset_ + a @ self.components_
            mean = mean[:, 0] if self.single_ else mean
            if std is None:
                return mean
            spread = np.sqrt(std**2 @ self.components_**2 + self.tail_**2)
            return mean, spread[:, 0] if self.single_ else spread

    GPRegressor.__qualname__ = "GPRegressor"
    return GPRegressor
