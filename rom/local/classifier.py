"""Which local basis answers a parameter: the decision of least expected error, by kernel logistic regression and a forest together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import scipy.linalg as la

from rom.errors import BadInput, MissingExtra
from rom.local.forest import Forest, fit_forest

FEATURES = 80


@dataclass(frozen=True, eq=False)
class Classifier:
    """argmin_k log (P(x) C)_k + f_k(x): the geometric mean of two expectations of the error of basis k.

    P(k | x) = softmax(B^T phi(z) + b), phi_j(z) = exp(-gamma |z - z_j|^2), z = (x - centre) / scale, knows labels and is smooth;
    the forest f, of log errors, follows thresholds. centre, scale : (p,); points : z_j (m, p); weights B (m, K); bias b (K,);
    costs C_jl : mean error of a member of j on basis l; gamma : kernel width of standardised features
    confusion : (K, K) P(chosen l | true j); chances, expected : (m, K) P and log error of the samples, all cross-validated
    """

    centre: np.ndarray
    scale: np.ndarray
    points: np.ndarray
    weights: np.ndarray
    bias: np.ndarray
    gamma: float
    costs: np.ndarray
    forest: Forest | None = None
    confusion: np.ndarray | None = None
    chances: np.ndarray | None = None
    expected: np.ndarray | None = None

    def __call__(self, x: np.ndarray) -> np.ndarray:
        """Probabilities (m, K) of features x (m, p): the mean of P and of the votes of the trees."""
        return self.answers(x)[0]

    def choose(self, x: np.ndarray) -> np.ndarray:
        """The cluster of least expected error, (m,)."""
        return np.argmin(self.answers(x)[1], axis=1)

    def answers(self, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Probabilities and expected log errors, (m, K) each."""
        x = np.atleast_2d(np.asarray(x, dtype=float))
        if x.shape[1] != self.centre.size:
            raise BadInput(
                f"the classifier takes {self.centre.size} features (mu, and t where the snapshots had times); got {x.shape[1]}"
            )
        z = (x - self.centre) / self.scale
        score = _kernel(z, self.points, self.gamma) @ self.weights + self.bias
        score = np.exp(score - score.max(axis=1, keepdims=True))
        P = score / score.sum(axis=1, keepdims=True)
        smooth = np.log(P @ self.costs + 1e-300)
        if self.forest is None:
            return P, smooth
        found = self.forest.each(z)
        votes = np.mean(np.argmin(found, axis=2)[:, :, None] == np.arange(len(self.bias)), axis=1)
        return 0.5 * (P + votes), 0.5 * (smooth + found.mean(axis=1))


def fit_classifier(
    x: np.ndarray,
    labels: np.ndarray,
    errors: np.ndarray,
    groups: np.ndarray | None = None,
    widths: Sequence[float] = (0.03, 0.1, 0.3),
    penalties: Sequence[float] = (300.0,),
    trees: int = 60,
    rng: int | np.random.Generator = 0,
) -> Classifier:
    """Width and penalty of the logistic part alone give the least cross-validated error of the chosen basis; a forest of `trees` joins it.

    x : (m, p) features; labels (m,); errors (m, K) of sample i on basis k; groups : samples of one group are held out together
    widths : gamma of standardised features; penalties : inverse penalties of the weights
    Raises BadInput for shapes or NaN, MissingExtra without scikit-learn. Reference: Zhu & Hastie (2005).
    """
    x, labels, errors = (
        np.asarray(x, dtype=float),
        np.asarray(labels, dtype=int),
        np.asarray(errors, dtype=float),
    )
    if (
        x.ndim != 2
        or labels.shape != (len(x),)
        or errors.shape[0] != len(x)
        or not np.isfinite(x).all()
    ):
        raise BadInput(
            f"features {x.shape}, labels {labels.shape}, errors {errors.shape}: give finite (m, p), (m,), (m, K)"
        )
    groups = np.unique(x, axis=0, return_inverse=True)[1].ravel() if groups is None else groups
    names, place = np.unique(groups, return_inverse=True)
    fold = np.random.default_rng(rng).permutation(np.arange(len(names)) % 5)[place]
    trials = [(g, c) for g in widths for c in penalties]
    regret = (
        [_regret(errors, _crossed(x, labels, errors, fold, *one, 0)[1]) for one in trials]
        if len(trials) > 1
        else [0.0]
    )
    best = trials[int(np.argmin(regret))]
    chances, expected = _crossed(x, labels, errors, fold, *best, trees)
    made = _trained(x, labels, errors, *best, trees)
    guesses = np.argmin(expected, axis=1)
    return replace(
        made,
        confusion=confusion(labels, guesses, errors.shape[1]),
        chances=chances,
        expected=expected,
    )


def confusion(labels: np.ndarray, guesses: np.ndarray, k: int) -> np.ndarray:
    """C_jl = P(chosen l | true j), (k, k); rows of clusters without samples are the identity's."""
    count = np.zeros((k, k))
    np.add.at(count, (labels, guesses), 1.0)
    total = count.sum(axis=1, keepdims=True)
    return np.where(total > 0, count / np.maximum(total, 1.0), np.eye(k))


def _regret(errors: np.ndarray, expected: np.ndarray) -> float:
    return float(np.mean(errors[np.arange(len(errors)), np.argmin(expected, axis=1)]))


def _crossed(
    x: np.ndarray,
    labels: np.ndarray,
    errors: np.ndarray,
    fold: np.ndarray,
    gamma: float,
    penalty: float,
    trees: int,
) -> tuple[np.ndarray, np.ndarray]:
    """Probabilities and expected log errors (m, K) of samples by what the other folds teach; their own where there is one fold only."""
    chances, expected = np.eye(errors.shape[1])[labels], 1.0 - np.eye(errors.shape[1])[labels]
    for f in np.unique(fold):
        out = fold == f
        if not out.all():
            chances[out], expected[out] = _trained(
                x[~out], labels[~out], errors[~out], gamma, penalty, trees
            ).answers(x[out])
    return chances, expected


def _trained(
    x: np.ndarray, labels: np.ndarray, errors: np.ndarray, gamma: float, penalty: float, trees: int
) -> Classifier:
    """One kernel logistic regression and a forest; clusters without a sample get no score."""
    K = errors.shape[1]
    centre, scale = x.mean(axis=0), np.where(x.std(axis=0) > 0, x.std(axis=0), 1.0)
    z = (x - centre) / scale
    weights, bias = np.zeros((len(z), K)), np.full(K, -1e3)
    present = np.unique(labels)
    if len(present) == 1:
        bias[present] = 0.0
    else:
        values, vectors = la.eigh(_kernel(z, z, gamma))
        kept = values > max(1e-6 * values[-1], np.sort(values)[-FEATURES:][0])
        root, vectors = np.sqrt(values[kept]), vectors[:, kept]
        machine = _logistic(penalty).fit(vectors * root, labels)
        if len(present) == 2:
            weights[:, present[1]], bias[present] = (
                (vectors / root) @ machine.coef_[0],
                (0.0, machine.intercept_[0]),
            )
        else:
            weights[:, present], bias[present] = (
                (vectors / root) @ machine.coef_.T,
                machine.intercept_,
            )
    costs = np.stack(
        [
            errors[labels == j].mean(axis=0) if (labels == j).any() else np.ones(K) - np.eye(K)[j]
            for j in range(K)
        ]
    )
    forest = (
        fit_forest(z, np.log(errors + 1e-3 * errors.mean() + 1e-300), trees)
        if trees and K > 1
        else None
    )
    return Classifier(centre, scale, z, weights, bias, gamma, costs, forest)


def _kernel(z: np.ndarray, points: np.ndarray, gamma: float) -> np.ndarray:
    square = np.sum(z * z, axis=1)[:, None] + np.sum(points * points, axis=1) - 2.0 * z @ points.T
    return np.exp(-gamma * np.maximum(square, 0.0))


def _logistic(penalty: float) -> Any:
    try:
        from sklearn.linear_model import LogisticRegression
    except ImportError as error:
        raise MissingExtra(
            "classification needs scikit-learn; pip install 'rom-platform[cluster]'"
        ) from error
    return LogisticRegression(C=penalty, max_iter=200, tol=1e-4, solver="newton-cg")
