"""Local bases: one for each group of snapshots, chosen by a classifier.

    local = local_bases(snapshots, 5, 8, classifier=fit_classifier)
    k = local.classifier.choose(features)          # before the solution is known
    local.basis(k)

References: Daniel et al. (2022); K subspaces: Bradley and Mangasarian (2000).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from rom.arrays import POINTS, check_lengths, gate
from rom.basis import LocalBases
from rom.errors import BadInput, require
from rom.local.held_out import choose_folds, held_out_errors, pick_errors, run_numbers
from rom.local.hull import assemble_bases, hull_coordinates
from rom.local.partition import central_member, partitions
from rom.snapshots import Snapshots

MAX_PARTITIONS = 4  # the best by held-out error; the k-medoids are tried besides
OVERLAPS = (0.0, 0.15, 0.3)  # share of the training weight of snapshots sent to it by mistake


@dataclass(frozen=True, eq=False)
class Candidate:
    """A partition: labels (m,), weights (m, k), held-out errors (m, k), classifier."""

    labels: np.ndarray
    weights: np.ndarray
    errors: np.ndarray
    classifier: Any = None

    @property
    def online_error(self) -> float:
        """Mean held-out error of the basis that the classifier chooses."""
        choice = np.argmin(self.classifier.expected, axis=1)
        return float(np.mean(pick_errors(self.errors, choice)))


@gate(snapshots=Snapshots, inputs=POINTS)
def local_bases(
    snapshots: Snapshots,
    k: int,
    rank: int,
    *,
    classifier: Callable[..., Any] | None = None,
    inputs: np.ndarray | None = None,
    refine: bool = True,
    restarts: int = 8,
    folds: int = 6,
    whole_runs: bool = False,
    tol: float = 1e-7,
    rng: int | np.random.Generator = 0,
) -> LocalBases:
    """k bases of `rank` modes with the least mean error of held-out snapshots.

    Snapshots of one mu are held out together. Starts: k-medoids of sines, and random ones.

    classifier : (inputs, labels, errors, runs) -> classifier, such as `fit_classifier`; then
        the partition is chosen by what can be foreseen, see `choose_foreseeable`
    inputs : (m, p) what the classifier sees online; (mu, t) by default
    refine : False stops at the k-medoids; restarts : random starts besides
    whole_runs : all snapshots of one mu share a basis
    tol : relative, on what the hull may miss
    Raises BadInput for zero snapshots, or too few of them; MissingExtra without kmedoids.
    """
    if k > 1:
        require("kmedoids", "cluster", "local bases")
    generator = np.random.default_rng(rng)
    hull, coordinates = hull_coordinates(snapshots, tol)
    if not 0 < k <= snapshots.m or not 0 < rank <= hull.r:
        raise BadInput(
            f"{k} clusters of {rank} modes need at least as many snapshots; "
            f"there are {snapshots.m} of rank {hull.r}"
        )
    run_of = run_numbers(snapshots)
    fold = choose_folds(run_of, folds, generator)
    tied = run_of if whole_runs else None
    starts = restarts if refine else None
    if inputs is None:
        inputs = features(snapshots)
    check_lengths("snapshot", inputs=inputs, mu=snapshots.mu)
    choices = partitions(coordinates, k, rank, fold, generator, restarts=starts, run_of=tied)
    if classifier is None:
        best = _candidate(coordinates, choices[0], rank, fold)
    else:
        best = choose_foreseeable(
            coordinates,
            choices,
            rank,
            fold,
            classifier,
            inputs=np.asarray(inputs, dtype=float),
            run_of=run_of,
            overlaps=OVERLAPS if refine else OVERLAPS[:1],
        )
    centres = np.array([central_member(coordinates, best.labels == j) for j in range(k)])
    bases = assemble_bases(
        hull, coordinates, best.labels, centres, rank, errors=best.errors, weights=best.weights
    )
    return replace(bases, classifier=best.classifier)


@gate(snapshots=Snapshots)
def features(snapshots: Snapshots) -> np.ndarray:
    """(mu, t), (m, p) or (m, p + 1): time is one more parameter."""
    if snapshots.t is None:
        return snapshots.mu
    return np.column_stack([snapshots.mu, snapshots.t])


def choose_foreseeable(
    unit: np.ndarray,
    choices: Sequence[np.ndarray],
    rank: int,
    fold: np.ndarray,
    classifier: Callable[..., Any],
    *,
    inputs: np.ndarray,
    run_of: np.ndarray,
    max_partitions: int = MAX_PARTITIONS,
    overlaps: Sequence[float] = OVERLAPS,
) -> Candidate:
    """The candidate of least error of held-out samples on the basis that it chooses.

    choices : labels (m,), the best first; the first `max_partitions` and the last are tried
    overlaps : w in (1 - w) [label_i = j] + w P(j | x_i), P held out: a basis also learns
        what will be sent to it by mistake
    """
    few = list(choices)
    if len(few) > max_partitions:
        few = [*few[:max_partitions], few[-1]]
    candidates: list[Candidate] = []
    for labels in few:
        plain = _candidate(unit, labels, rank, fold)
        machine = classifier(inputs, labels, plain.errors, run_of)
        plain = replace(plain, classifier=machine)
        candidates.extend(_blend(unit, plain, rank, fold, overlaps))
    return min(candidates, key=lambda candidate: candidate.online_error)


def _blend(
    unit: np.ndarray, plain: Candidate, rank: int, fold: np.ndarray, overlaps: Sequence[float]
) -> Iterator[Candidate]:
    """The candidate with every overlap of its bases."""
    for overlap in overlaps:
        if overlap == 0.0:
            yield plain
            continue
        weights = (1.0 - overlap) * plain.weights + overlap * plain.classifier.chances
        errors = held_out_errors(unit, weights, rank, fold)
        yield replace(plain, weights=weights, errors=errors)


def _candidate(unit: np.ndarray, labels: np.ndarray, rank: int, fold: np.ndarray) -> Candidate:
    k = int(labels.max()) + 1
    weights = np.eye(k)[labels]
    return Candidate(labels, weights, held_out_errors(unit, weights, rank, fold))
