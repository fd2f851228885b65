"""Learning a classifier of local bases, cross-validated over groups of samples.

Reference: Zhu and Hastie (2005).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import product
from typing import Any

import numpy as np
import scipy.linalg as la

from rom.arrays import POINTS, gate, integers
from rom.errors import BadInput, require
from rom.local.classifier import TINY, Classifier, gaussian_kernel
from rom.local.forest import Forest, fit_forest
from rom.local.held_out import pick_errors

MAX_FEATURES = 80  # leading eigenvectors of the kernel that the regression sees
SIGNIFICANT = 1e-6  # relative eigenvalue of the kernel
ALL_POINTS = 600  # of the kernel; of more features it has
LANDMARKS = 4 * MAX_FEATURES
MOST = 2000  # samples that train a machine
FOLDS = 5
NEVER = -1e3  # score of a cluster without samples
FLOOR = 1e-3  # of the mean error, added before logarithms


@dataclass(frozen=True, eq=False)
class _Samples:
    """Features x (m, p), labels (m,) and errors (m, K) of sample i on basis k."""

    x: np.ndarray
    labels: np.ndarray
    errors: np.ndarray

    @property
    def K(self) -> int:
        """Number of clusters."""
        return int(self.errors.shape[1])

    def take(self, rows: np.ndarray) -> _Samples:
        """Some of the samples."""
        return _Samples(self.x[rows], self.labels[rows], self.errors[rows])


@gate(x=POINTS, labels=integers, errors=POINTS)
def fit_classifier(
    x: np.ndarray,
    labels: np.ndarray,
    errors: np.ndarray,
    groups: np.ndarray | None = None,
    *,
    widths: Sequence[float] = (0.03, 0.1, 0.3),
    penalties: Sequence[float] = (300.0,),
    trees: int = 60,
    validate: bool = True,
    rng: int | np.random.Generator = 0,
) -> Classifier:
    """The classifier of least cross-validated error of the basis that it chooses.

    Width and penalty are chosen for the logistic part alone; a forest of `trees` joins it.

    x : (m, p) features; labels : (m,); errors : (m, K) of sample i on basis k
    groups : (m,) samples of one group are held out together; equal features by default
    widths : gamma of standardised features; penalties : inverse penalties of the weights
    validate : False leaves out what is cross-validated: confusion, chances, expected
    Raises BadInput for shapes or NaN, MissingExtra without scikit-learn.
    """
    samples = _check_samples(x, labels, errors)
    if groups is None:
        groups = np.unique(samples.x, axis=0, return_inverse=True)[1].ravel()
    names, place = np.unique(groups, return_inverse=True)
    fold_of_group = np.random.default_rng(rng).permutation(np.arange(len(names)) % FOLDS)
    fold = fold_of_group[place]
    trials = list(product(widths, penalties))
    if not validate and len(trials) == 1:
        return _train(samples, *trials[0], trees)
    tries = [_cross_train(samples, fold, gamma, penalty) for gamma, penalty in trials]
    regret = [0.0]
    if len(trials) > 1:
        regret = [_regret(samples, fold, machines) for machines in tries]
    best = int(np.argmin(regret))
    gamma, penalty = trials[best]
    if not validate:
        return _train(samples, gamma, penalty, trees)
    machines = {
        part: _add_forest(machine, _few(samples, fold != part), trees)
        for part, machine in tries[best].items()
    }
    chances, expected = _cross_validate(samples, fold, machines)
    guesses = np.argmin(expected, axis=1)
    return replace(
        _train(samples, gamma, penalty, trees),
        confusion=confusion(samples.labels, guesses, samples.K),
        chances=chances,
        expected=expected,
    )


def confusion(labels: np.ndarray, guesses: np.ndarray, k: int) -> np.ndarray:
    """C_jl = P(chosen l | true j), (k, k); clusters without samples have rows of I."""
    count = np.zeros((k, k))
    np.add.at(count, (labels, guesses), 1.0)
    total = count.sum(axis=1, keepdims=True)
    return np.where(total > 0, count / np.maximum(total, 1.0), np.eye(k))


def _check_samples(x: np.ndarray, labels: np.ndarray, errors: np.ndarray) -> _Samples:
    if not len(x) == len(labels) == len(errors):
        raise BadInput(
            f"features {x.shape}, labels {labels.shape}, errors {errors.shape}: "
            "give (m, p), (m,), (m, K)"
        )
    if errors.min() < 0:
        raise BadInput(f"errors reach {errors.min():g}; give relative errors, which are positive")
    if labels.min() < 0 or labels.max() >= errors.shape[1]:
        raise BadInput(
            f"labels reach {labels.min()}..{labels.max()}; give 0..{errors.shape[1] - 1}"
        )
    return _Samples(x, labels, errors)


def _regret(samples: _Samples, fold: np.ndarray, machines: dict[int, Classifier]) -> float:
    """Mean error of the basis that the logistic part alone chooses."""
    _, expected = _cross_validate(samples, fold, machines)
    choice = np.argmin(expected, axis=1)
    return float(np.mean(pick_errors(samples.errors, choice)))


def _cross_train(
    samples: _Samples, fold: np.ndarray, gamma: float, penalty: float
) -> dict[int, Classifier]:
    """part -> the logistic part that the other folds teach.

    None where there is one fold only.
    """
    parts = np.unique(fold).tolist()
    if len(parts) == 1:
        return {}
    return {part: _train(_few(samples, fold != part), gamma, penalty, 0) for part in parts}


def _cross_validate(
    samples: _Samples, fold: np.ndarray, machines: dict[int, Classifier]
) -> tuple[np.ndarray, np.ndarray]:
    """Probabilities and log errors (m, K) of samples by what other folds teach.

    Their own labels where there is one fold only.
    """
    chances = np.eye(samples.K)[samples.labels]
    expected = 1.0 - chances
    for part, machine in machines.items():
        outside = fold == part
        chances[outside], expected[outside] = machine.answers(samples.x[outside])
    return chances, expected


def _few(samples: _Samples, inside: np.ndarray | None = None) -> _Samples:
    """At most MOST random samples, of those inside (m,)."""
    rows = np.arange(len(samples.x)) if inside is None else np.flatnonzero(inside)
    if len(rows) > MOST:
        rows = np.sort(np.random.default_rng(0).choice(rows, MOST, replace=False))
    return samples.take(rows)


def _train(samples: _Samples, gamma: float, penalty: float, trees: int) -> Classifier:
    """One kernel logistic regression and a forest, of at most MOST random samples."""
    samples = _few(samples)
    centre = samples.x.mean(axis=0)
    spread = samples.x.std(axis=0)
    scale = np.where(spread > 0, spread, 1.0)
    z = (samples.x - centre) / scale
    points = _landmarks(z)
    weights, bias = _fit_logistic(z, points, samples, gamma, penalty)
    machine = Classifier(centre, scale, points, weights, bias, gamma, _costs(samples))
    return _add_forest(machine, samples, trees)


def _add_forest(machine: Classifier, samples: _Samples, trees: int) -> Classifier:
    """The machine with a forest of the log errors of its samples."""
    if not trees or samples.K == 1:
        return machine
    z = (samples.x - machine.centre) / machine.scale
    floor = FLOOR * samples.errors.mean()
    forest: Forest = fit_forest(z, np.log(samples.errors + floor + TINY), trees)
    return replace(machine, forest=forest)


def _landmarks(z: np.ndarray) -> np.ndarray:
    """Points of the kernel: all features (m, p), or LANDMARKS distinct ones at random."""
    if len(z) <= ALL_POINTS:
        return z
    points = np.unique(z, axis=0)
    if len(points) <= LANDMARKS:
        return points
    rows = np.random.default_rng(0).choice(len(points), LANDMARKS, replace=False)
    return np.asarray(points[np.sort(rows)])


def _fit_logistic(
    z: np.ndarray, points: np.ndarray, samples: _Samples, gamma: float, penalty: float
) -> tuple[np.ndarray, np.ndarray]:
    """Weights (q, K) of points (q, p) and bias (K,); empty clusters get no score.

    phi(z) = k(z, points) U / sqrt(values), U the leading eigenvectors of k(points, points).
    Reference: Williams and Seeger (2001).
    """
    weights = np.zeros((len(points), samples.K))
    bias = np.full(samples.K, NEVER)
    present = np.unique(samples.labels)
    if len(present) == 1:
        bias[present] = 0.0
        return weights, bias
    kernel = gaussian_kernel(points, points, gamma)
    few = (max(len(points) - MAX_FEATURES, 0), len(points) - 1)
    values, vectors = la.eigh(kernel, subset_by_index=few, check_finite=False)
    leading = values > max(SIGNIFICANT * values[-1], values[0])
    root = np.sqrt(values[leading])
    vectors = vectors[:, leading]
    phi = vectors * root
    if points is not z:
        phi = gaussian_kernel(z, points, gamma) @ (vectors / root)
    machine = _logistic(penalty).fit(phi, samples.labels)
    if len(present) == 2:
        weights[:, present[1]] = (vectors / root) @ machine.coef_[0]
        bias[present] = (0.0, machine.intercept_[0])
    else:
        weights[:, present] = (vectors / root) @ machine.coef_.T
        bias[present] = machine.intercept_
    return weights, bias


def _costs(samples: _Samples) -> np.ndarray:
    """Mean errors (K, K) of the members of j on basis l; 1 - I where j has no member."""
    costs = 1.0 - np.eye(samples.K)
    for j in np.unique(samples.labels):
        costs[j] = samples.errors[samples.labels == j].mean(axis=0)
    return costs


def _logistic(penalty: float) -> Any:
    require("sklearn", "cluster", "classifiers")
    from sklearn.linear_model import LogisticRegression

    return LogisticRegression(C=penalty, max_iter=200, tol=1e-4, solver="newton-cg")
