"""The estimator passes scikit-learn's own checks and serves its users."""

import warnings

import numpy as np
import pytest
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import estimator_checks_generator

from rom.gp.estimator import GPRegressor

CHECKS = list(estimator_checks_generator(GPRegressor()))
X = np.random.default_rng(0).random((40, 2))
Y = np.sin(4 * X[:, 0]) + X[:, 1] ** 2


@pytest.mark.parametrize(
    "k", range(len(CHECKS)), ids=lambda k: getattr(CHECKS[k][1], "func", CHECKS[k][1]).__name__
)
def test_their_check(k):
    estimator, check = CHECKS[k]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        check(estimator)


def test_scores_pipelines_and_searches():
    assert cross_val_score(GPRegressor(), X, Y, cv=4).min() > 0.999
    assert make_pipeline(StandardScaler(), GPRegressor()).fit(X, Y).score(X, Y) > 0.9999
    search = GridSearchCV(GPRegressor(starts=2), {"kernel": ["matern12", "rbf"]}, cv=3).fit(X, Y)
    assert search.best_params_ == {"kernel": "rbf"}


def test_standard_deviations_cover():
    fresh = np.random.default_rng(1).random((300, 2))
    mean, std = GPRegressor(kernel="rbf").fit(X, Y).predict(fresh, return_std=True)
    assert mean.shape == std.shape == (300,)
    assert np.mean(np.abs(mean - (np.sin(4 * fresh[:, 0]) + fresh[:, 1] ** 2)) < 1.96 * std) > 0.9


def test_fields_are_compressed():
    z = np.linspace(0, 1, 200)

    def fields(x):
        return np.sin(3 * z * (1 + x[:, :1])) + x[:, 1:] * z**2

    fresh = np.random.default_rng(2).random((50, 2))
    model = GPRegressor(tol=1e-4).fit(X, fields(X))
    mean, std = model.predict(fresh, return_std=True)
    assert len(model.components_) < 10 and mean.shape == std.shape == (50, 200)
    assert np.linalg.norm(mean - fields(fresh)) < 1e-3 * np.linalg.norm(mean)
