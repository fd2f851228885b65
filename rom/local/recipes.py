"""Recipes of partitions: where the labels start, and whether they are refined.

    global | parameters | fields | sine, then or not K subspaces

k-means of what is known online, k-means of the fields, k-medoids of sines; one basis for all.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from rom.errors import BadInput
from rom.local.held_out import choose_folds, held_out_errors
from rom.local.partition import few_angles, medoids, subspaces
from rom.local.sight import Samples

STARTS = ("parameters", "fields", "sine")
INNER_FOLDS = 6  # of runs, for the errors that refine labels and teach classifiers
KMEANS_STARTS = 10


@dataclass(frozen=True)
class Recipe:
    """k clusters from a start, refined as K subspaces or not; 1 is a global basis."""

    k: int
    start: str = "sine"
    refined: bool = False

    @property
    def name(self) -> str:
        """What it is, in words."""
        if self.k == 1:
            return "global"
        return f"{self.start}, refined" if self.refined else self.start


@dataclass(frozen=True, eq=False)
class Candidate:
    """A partition: labels (m,), weights (m, k), held-out errors (m, k), folds (m,)."""

    labels: np.ndarray
    weights: np.ndarray
    errors: np.ndarray
    fold: np.ndarray
    classifier: Any = None


def list_numbers(most: int) -> tuple[int, ...]:
    """1, 2, 3, 5, 8, ... and `most`: numbers of bases to choose among."""
    numbers = [1, 2]
    while numbers[-1] < most:
        numbers.append(numbers[-1] + numbers[-2])
    return (*(number for number in numbers if number < most), most)


def list_recipes(numbers: Sequence[int], *, refine: bool = True) -> tuple[Recipe, ...]:
    """All recipes of these numbers of clusters.

    refine : False leaves k-medoids of sines only
    Raises BadInput for numbers that are none.
    """
    if not len(numbers) or min(numbers) < 1:
        raise BadInput(f"numbers of clusters are {list(numbers)}; give some, each at least 1")
    every: list[Recipe] = []
    for k in sorted(set(numbers)):
        if k == 1 or not refine:
            every.append(Recipe(k))
            continue
        for refined in (False, True):
            every.extend(Recipe(k, start, refined) for start in STARTS)
    return tuple(every)


def cut_snapshots(
    samples: Samples, recipes: Sequence[Recipe], rank: int, rng: np.random.Generator
) -> list[Candidate]:
    """The partitions of the recipes, with held-out errors and without classifiers."""
    fold = choose_folds(samples.run_of, INNER_FOLDS, rng)
    angles, means = few_angles(samples.unit, samples.run_of if samples.tied else None, rng)
    starts: dict[tuple[int, str], np.ndarray] = {}
    cuts = []
    for recipe in recipes:
        key = (recipe.k, recipe.start)
        if recipe.k == 1:
            starts[key] = np.zeros(len(samples.size), dtype=int)
        elif key not in starts and recipe.start == "sine":
            starts[key] = angles.labels(medoids(angles.D, recipe.k, rng=rng)[1])
        elif key not in starts:
            starts[key] = _k_means(_points(samples, recipe.start), recipe.k, means, rng)
        labels = starts[key]
        if recipe.refined:
            labels = subspaces(samples.unit, labels, rank, fold, means=means)[0]
        cuts.append(candidate(samples, labels, rank, fold))
    return cuts


def candidate(samples: Samples, labels: np.ndarray, rank: int, fold: np.ndarray) -> Candidate:
    """A partition of labels (m,), with errors of what is held out by fold (m,)."""
    weights = np.eye(int(labels.max()) + 1)[labels]
    errors = held_out_errors(samples.unit, weights, rank, fold)
    return Candidate(labels, weights, errors, fold)


def teach(samples: Samples, cut: Candidate, classifier: Callable[..., Any] | None) -> Candidate:
    """The same partition with a classifier of it, or without one."""
    if classifier is None:
        return cut
    machine = classifier(samples.inputs, cut.labels, cut.errors, samples.run_of)
    return replace(cut, classifier=machine)


def _points(samples: Samples, start: str) -> np.ndarray:
    """What k-means sees, (m, d): standardised inputs, or the fields themselves."""
    if start == "parameters":
        spread = samples.inputs.std(axis=0)
        centred = samples.inputs - samples.inputs.mean(axis=0)
        return np.asarray(centred / np.where(spread > 0, spread, 1.0))
    a = samples.unit * (samples.size / samples.size.max())
    columns = np.vstack([a.real, a.imag]) if np.iscomplexobj(a) else a
    return np.ascontiguousarray(columns.T)


def _k_means(
    points: np.ndarray, k: int, means: np.ndarray | None, rng: np.random.Generator
) -> np.ndarray:
    """Labels (m,) of at most k clusters of groups, by their means (q, m)."""
    from sklearn.cluster import KMeans

    if means is not None:
        points = means @ points
    distinct = len(np.unique(points, axis=0))
    seed = int(rng.integers(2**31))
    machine = KMeans(min(k, distinct), n_init=KMEANS_STARTS, random_state=seed)
    labels = np.unique(machine.fit(points).labels_, return_inverse=True)[1]
    return np.asarray(labels if means is None else labels[np.argmax(means > 0, axis=0)])
