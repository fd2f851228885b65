"""Partitions of snapshots: k-medoids of sines, then K subspaces.

References: Schubert and Rousseeuw (2021); Bradley and Mangasarian (2000).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from rom.errors import BadInput, require
from rom.local.dissimilarity import check_dissimilarity, mirror, unit_sines
from rom.local.held_out import held_out_errors, pick_errors

MAX_START = 1500  # samples whose sines are all computed
MAX_STALE = 2  # sweeps without a better partition, before the refinement stops
TOO_SMALL = 1.0  # added to the error of a partition whose bases are their own data


@dataclass(frozen=True, eq=False)
class Angles:
    """Sines D (q, q) between samples of the start, or between means of groups of them.

    unit : (R, m) all samples, of norm one; picked (q,) : numbers of those of the start
    group (m,) : of each sample, where groups move together
    """

    unit: np.ndarray
    picked: np.ndarray
    D: np.ndarray
    group: np.ndarray | None = None

    def labels(self, centres: np.ndarray) -> np.ndarray:
        """(m,) : the centre, numbers in D (k,), of least sine to each sample or group."""
        if self.group is None:
            if len(self.picked) == self.unit.shape[1]:
                return np.asarray(np.argmin(self.D[:, centres], axis=1))
            cosines = np.abs(self.unit[:, self.picked[centres]].conj().T @ self.unit)
            return np.asarray(np.argmax(cosines, axis=0))
        return np.asarray(np.argmin(self.D[:, centres], axis=1)[self.group])


def few_angles(
    unit: np.ndarray, run_of: np.ndarray | None, rng: np.random.Generator
) -> tuple[Angles, np.ndarray | None]:
    """The sines of the start, and the averages (q, m) over groups that move together."""
    m = unit.shape[1]
    if run_of is None:
        picked = np.arange(m)
        if m > MAX_START:
            picked = np.sort(rng.choice(m, MAX_START, replace=False))
        return Angles(unit, picked, unit_sines(unit[:, picked])), None
    group = np.unique(run_of, return_inverse=True)[1].ravel()
    count = int(group.max()) + 1
    member = group == np.arange(count)[:, None]
    means = member / np.bincount(group)[:, None]
    picked = np.arange(m)
    if m > MAX_START:
        picked = np.sort(few_of_each(group, max(MAX_START // count, 1), rng))
    thin = member[:, picked] / np.bincount(group[picked])[:, None]
    D = mirror(thin @ unit_sines(unit[:, picked]) @ thin.T)
    return Angles(unit, picked, D, group), means


def few_of_each(group: np.ndarray, most: int, rng: np.random.Generator) -> np.ndarray:
    """Numbers of at most `most` random samples of each group (m,)."""
    order = rng.permutation(len(group))
    order = order[np.argsort(group[order], kind="stable")]
    first = np.searchsorted(group[order], np.arange(group.max() + 1))
    place = np.arange(len(order)) - first[group[order]]
    return np.asarray(order[place < most])


def medoids(
    D: np.ndarray, k: int, *, restarts: int = 10, rng: int | np.random.Generator = 0
) -> tuple[np.ndarray, np.ndarray, float]:
    """min over medoids of sum_i min_j D(i, m_j), the best of several FasterPAM starts.

    Returns labels (m,), medoids (k,) and the objective. Raises BadInput for dissimilarities
    that are not, which the library would take silently. Reference: Schubert and Rousseeuw (2021).
    """
    D = check_dissimilarity(D)
    if not 0 < k <= len(D):
        raise BadInput(f"{k} medoids of {len(D)} samples; choose 1..{len(D)}")
    if k == 1:
        centre = int(np.argmin(D.sum(axis=0)))
        return np.zeros(len(D), dtype=int), np.array([centre]), float(D[:, centre].sum())
    require("kmedoids", "cluster", "clusters of runs")
    import kmedoids

    generator = np.random.default_rng(rng)
    results = []
    for _ in range(restarts):
        start = generator.choice(len(D), k, replace=False).astype(np.uint64)
        results.append(kmedoids.fasterpam(D, start, n_cpu=1))
    best = min(results, key=lambda result: float(result.loss))
    labels = np.asarray(best.labels, dtype=int)
    return labels, np.asarray(best.medoids, dtype=int), float(best.loss)


def central_member(unit: np.ndarray, members: np.ndarray) -> int:
    """The member of least total sine to members (m,), a mask; of MAX_START of them."""
    numbers = np.flatnonzero(members)[:MAX_START]
    total = unit_sines(unit[:, numbers]).sum(axis=0)
    return int(numbers[np.argmin(total)])


def subspaces(
    unit: np.ndarray,
    labels: np.ndarray,
    rank: int,
    fold: np.ndarray,
    *,
    means: np.ndarray | None = None,
    max_sweeps: int = 30,
) -> tuple[np.ndarray, float]:
    """K subspaces: every sample joins the one that misses it least while held out.

    Stops where the mean held-out error no longer falls. Returns the labels (m,) and that
    error, plus 1 where a cluster has no more samples than modes.

    means : (q, m) averages over the groups that move together, or None
    """
    k = int(labels.max()) + 1
    weights = np.eye(k)[labels]
    errors = held_out_errors(unit, weights, rank, fold)
    best, least, stale = labels, _own_error(errors, labels, rank), 0
    for _ in range(max_sweeps):
        if means is None:
            labels = _fill_small(np.argmin(errors, axis=1), errors, rank)
        else:
            label_of_group = np.argmin(means @ errors, axis=1)
            labels = label_of_group[np.argmax(means > 0, axis=0)]
        previous = (weights, errors)
        weights = np.eye(k)[labels]
        errors = held_out_errors(unit, weights, rank, fold, previous=previous)
        error = _own_error(errors, labels, rank)
        if error < least:
            best, least, stale = labels, error, 0
            continue
        stale += 1
        if stale > MAX_STALE or (labels == best).all():
            break
    return best, least


def _own_error(errors: np.ndarray, labels: np.ndarray, rank: int) -> float:
    """Mean error of the samples on their own bases; bases of own data never win."""
    m, k = errors.shape
    smallest = np.bincount(labels, minlength=k).min()
    mean = float(np.mean(pick_errors(errors, labels)))
    return mean + TOO_SMALL * float(smallest <= min(rank, m // k - 1))


def _fill_small(labels: np.ndarray, errors: np.ndarray, rank: int) -> np.ndarray:
    """Clusters of fewer than rank + 1 samples take those that they miss least."""
    labels = labels.copy()
    m, k = errors.shape
    for j in range(k):
        lack = min(rank + 1, m // k) - int(np.sum(labels == j))
        if lack <= 0:
            continue
        spare = np.bincount(labels, minlength=k)[labels] > rank + 1
        loss = errors[:, j] - pick_errors(errors, labels)
        order = np.argsort(np.where((labels != j) & spare, loss, np.inf))
        labels[order[:lack]] = j
    return labels
