"""Regression by a forest of random trees, as arrays.

scikit-learn grows the trees; they answer without it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from rom.errors import require


@dataclass(frozen=True, eq=False)
class Forest:
    """y(x) = mean over trees of the value of the leaf that x falls into.

    At a node, left where x_feature <= threshold; leaves lead to themselves.

    roots : (T,) nodes; feature, threshold, left, right : (N,) of all nodes
    values : (N, K); depth : of the deepest tree
    """

    roots: np.ndarray
    feature: np.ndarray
    threshold: np.ndarray
    left: np.ndarray
    right: np.ndarray
    values: np.ndarray
    depth: int

    def each(self, x: np.ndarray) -> np.ndarray:
        """Answers of every tree, (m, T, K), for x (m, p)."""
        z = np.asarray(x, dtype=np.float32)  # the precision in which trees are grown
        node = np.tile(self.roots, (len(z), 1))
        rows = np.arange(len(z))[:, None]
        for _ in range(self.depth):
            below = z[rows, self.feature[node]] <= self.threshold[node]
            node = np.where(below, self.left[node], self.right[node])
        return np.asarray(self.values[node])


def fit_forest(x: np.ndarray, y: np.ndarray, trees: int, *, leaf: int = 3, seed: int = 0) -> Forest:
    """Extremely randomised trees for y (m, K) of x (m, p), `leaf` samples a leaf.

    Raises MissingExtra without scikit-learn. Reference: Geurts, Ernst and Wehenkel (2006).
    """
    require("sklearn", "cluster", "classifiers")
    from sklearn.tree import ExtraTreeRegressor

    x = np.ascontiguousarray(x, dtype=np.float32)
    y = np.ascontiguousarray(y, dtype=float)
    grown: list[Any] = []
    for k in range(trees):
        regressor = ExtraTreeRegressor(
            min_samples_leaf=leaf, max_features=1.0, random_state=seed + k
        )
        grown.append(regressor.fit(x, y, check_input=False).tree_)
    return _flatten(grown)


def _flatten(trees: Sequence[Any]) -> Forest:
    """The trees behind one another: numbers of nodes are shifted by the trees before."""
    counts = [tree.node_count for tree in trees]
    first = np.cumsum([0, *counts])
    left = _shift([tree.children_left for tree in trees], first)
    right = _shift([tree.children_right for tree in trees], first)
    feature = np.concatenate([tree.feature for tree in trees])
    leaves = left < 0
    numbers = np.arange(first[-1])
    return Forest(
        roots=first[:-1],
        feature=np.where(leaves, 0, feature),
        threshold=np.concatenate([tree.threshold for tree in trees]),
        left=np.where(leaves, numbers, left),
        right=np.where(leaves, numbers, right),
        values=np.concatenate([tree.value[:, :, 0] for tree in trees]),
        depth=max(int(tree.max_depth) for tree in trees),
    )


def _shift(children: Sequence[np.ndarray], first: np.ndarray) -> np.ndarray:
    """Children of all trees, -1 at leaves."""
    parts = []
    for own, start in zip(children, first[:-1], strict=True):
        parts.append(np.where(own < 0, -1, own + start))
    return np.concatenate(parts)
