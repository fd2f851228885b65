"""Regression by a forest of random trees: what it learns with scikit-learn is a few arrays, and answers without it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from rom.errors import MissingExtra


@dataclass(frozen=True, eq=False)
class Forest:
    """y(x) = mean over trees of the value of the leaf that x falls into: at a node, left where x_feature <= threshold.

    roots (T,); feature, threshold, left, right (N,) of all nodes, leaves lead to themselves; values (N, K); depth of the deepest tree
    """

    roots: np.ndarray
    feature: np.ndarray
    threshold: np.ndarray
    left: np.ndarray
    right: np.ndarray
    values: np.ndarray
    depth: int

    def each(self, x: np.ndarray) -> np.ndarray:
        """Answers of every tree, (m, T, K) for x (m, p)."""
        z = np.asarray(x, dtype=np.float32)  # the precision in which the trees were grown
        node = np.tile(self.roots, (len(z), 1))
        rows = np.arange(len(z))[:, None]
        for _ in range(self.depth):
            node = np.where(
                z[rows, self.feature[node]] <= self.threshold[node],
                self.left[node],
                self.right[node],
            )
        return self.values[node]


def fit_forest(x: np.ndarray, y: np.ndarray, trees: int, leaf: int = 3, seed: int = 0) -> Forest:
    """Extremely randomised trees for y (m, K) of x (m, p), at least `leaf` samples in each leaf.

    Raises MissingExtra without scikit-learn. Reference: Geurts, Ernst & Wehenkel (2006).
    """
    try:
        from sklearn.tree import ExtraTreeRegressor
    except ImportError as error:
        raise MissingExtra(
            "classification needs scikit-learn; pip install 'rom-platform[cluster]'"
        ) from error
    x, y = np.ascontiguousarray(x, dtype=np.float32), np.ascontiguousarray(y, dtype=float)
    grown = [
        ExtraTreeRegressor(min_samples_leaf=leaf, max_features=1.0, random_state=seed + k)
        .fit(x, y, check_input=False)
        .tree_
        for k in range(trees)
    ]
    first = np.cumsum([0, *(tree.node_count for tree in grown)])
    own = np.arange(first[-1])
    left, right = (
        np.concatenate([np.where(getattr(tree, side) < 0, -1, getattr(tree, side) + start) for tree, start in zip(grown, first[:-1], strict=True)])
        for side in ("children_left", "children_right")
    )  # fmt: skip
    leaves = left < 0
    return Forest(
        first[:-1],
        np.where(leaves, 0, np.concatenate([tree.feature for tree in grown])),
        np.concatenate([tree.threshold for tree in grown]),
        np.where(leaves, own, left),
        np.where(leaves, own, right),
        np.concatenate([tree.value[:, :, 0] for tree in grown]),
        max(int(tree.max_depth) for tree in grown),
    )
