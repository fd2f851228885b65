"""Do local bases pay? The expected gain over one basis, before runs are spent."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from rom.arrays import POINTS, check_lengths, gate
from rom.errors import BadInput
from rom.local.bases import choose_foreseeable, features
from rom.local.held_out import choose_folds, held_out_errors, pick_errors, run_numbers
from rom.local.hull import hull_coordinates
from rom.local.learning import fit_classifier
from rom.local.partition import partitions
from rom.snapshots import Snapshots

QUICK = partial(fit_classifier, widths=(0.1,), trees=30)
INNER_FOLDS = 8
BOOTSTRAPS = 200


@dataclass(frozen=True, eq=False)
class Gain:
    """G(K) = E|u - P u| / |u| of one basis over that of K bases, chosen online.

    Equal modes and runs for both.

    K, gain, std : (q,), std by bootstrap over unseen runs
    accuracy : (q,) share of unseen samples sent to the basis that serves them best
    recommended : argmax G where local bases pay, else 1
    runs : number of runs that trained each estimate
    """

    K: np.ndarray
    gain: np.ndarray
    std: np.ndarray
    accuracy: np.ndarray
    recommended: int
    runs: int


@dataclass(frozen=True, eq=False)
class _Task:
    """What all splits share: coordinates, inputs and runs of the samples, and options."""

    unit: np.ndarray
    inputs: np.ndarray
    run_of: np.ndarray
    rank: int
    candidates: Sequence[int]
    budget: int
    restarts: int
    classifier: Callable[..., Any]
    whole_runs: bool


@dataclass(frozen=True, eq=False)
class _Unseen:
    """Errors of unseen samples: local and hits (q, l), single and run_of (l,)."""

    local: np.ndarray
    hits: np.ndarray
    single: np.ndarray
    run_of: np.ndarray


@gate(snapshots=Snapshots, inputs=POINTS)
def expected_gain(
    snapshots: Snapshots,
    rank: int,
    candidates: Sequence[int] = (1, 2, 3, 4, 6, 8),
    *,
    budget: int | None = None,
    splits: int = 4,
    restarts: int = 1,
    inputs: np.ndarray | None = None,
    classifier: Callable[..., Any] = QUICK,
    whole_runs: bool = False,
    rng: int | np.random.Generator = 0,
) -> Gain:
    """G(K) by training on part of the runs and answering the others.

    snapshots : of cheap (coarse, simplified) or first runs
    candidates : numbers K of bases; rank : modes of each
    budget : high-fidelity runs to be spent, at most (1 - 1/splits) of the runs
    inputs, classifier, whole_runs : as `local_bases` takes them; with whole_runs the inputs
        of a run are the same at all its times
    Raises BadInput where there are fewer than `splits` runs, or a budget beyond what is there.
    """
    generator = np.random.default_rng(rng)
    run_of = run_numbers(snapshots)
    runs = _training_runs(int(run_of.max()) + 1, splits, budget)
    if inputs is None:
        inputs = features(snapshots)
    check_lengths("snapshot", inputs=inputs, mu=snapshots.mu)
    _, coordinates = hull_coordinates(snapshots)
    fold = choose_folds(run_of, splits, generator)
    task = _Task(
        unit=coordinates,
        inputs=np.asarray(inputs, dtype=float),
        run_of=run_of,
        rank=rank,
        candidates=candidates,
        budget=runs,
        restarts=restarts,
        classifier=classifier,
        whole_runs=whole_runs,
    )
    parts = [_try_split(task, fold == split, generator) for split in range(splits)]
    unseen = _Unseen(
        local=np.concatenate([part.local for part in parts], axis=1),
        hits=np.concatenate([part.hits for part in parts], axis=1),
        single=np.concatenate([part.single for part in parts]),
        run_of=np.concatenate([part.run_of for part in parts]),
    )
    gain = unseen.single.mean() / unseen.local.mean(axis=1)
    draws = [_resample(unseen, generator) for _ in range(BOOTSTRAPS)]
    numbers = np.asarray(candidates)
    recommended = int(numbers[np.argmax(gain)]) if gain.max() > 1.0 else 1
    return Gain(
        K=numbers,
        gain=gain,
        std=np.stack(draws).std(axis=0),
        accuracy=unseen.hits.mean(axis=1),
        recommended=recommended,
        runs=runs,
    )


def _training_runs(total: int, splits: int, budget: int | None) -> int:
    """Runs that train each estimate: the budget, or all that a split leaves."""
    largest = total - -(-total // splits)
    runs = budget or largest
    if total < splits or runs > largest:
        raise BadInput(
            f"{total} runs in {splits} splits train on {largest}; "
            "ask for a budget of at most that, or give more runs"
        )
    return runs


def _try_split(task: _Task, outside: np.ndarray, rng: np.random.Generator) -> _Unseen:
    """Errors of the samples outside (m,), a mask, on bases of runs of the others."""
    names = rng.permutation(np.unique(task.run_of[~outside]))[: task.budget]
    training = np.isin(task.run_of, names)
    run_of = task.run_of[training]
    fold = choose_folds(run_of, INNER_FOLDS, rng)
    one = np.ones((int(training.sum()), 1))
    single = _unseen_errors(task, one, training, outside)[:, 0]
    unit = task.unit[:, training]
    tied = run_of if task.whole_runs else None
    local, hits = [], []
    for k in task.candidates:
        choices = partitions(unit, k, task.rank, fold, rng, restarts=task.restarts, run_of=tied)
        best = choose_foreseeable(
            unit,
            choices,
            task.rank,
            fold,
            task.classifier,
            inputs=task.inputs[training],
            run_of=run_of,
            max_partitions=1,
        )
        errors = _unseen_errors(task, best.weights, training, outside)
        choice = best.classifier.choose(task.inputs[outside])
        local.append(pick_errors(errors, choice))
        hits.append(choice == np.argmin(errors, axis=1))
    return _Unseen(np.stack(local), np.stack(hits), single, task.run_of[outside])


def _unseen_errors(
    task: _Task, weights: np.ndarray, training: np.ndarray, outside: np.ndarray
) -> np.ndarray:
    """Errors (l, k) of the samples outside on bases of the weighted training samples."""
    m, k = weights.shape
    numbers = np.concatenate([np.flatnonzero(training), np.flatnonzero(outside)])
    unseen = len(numbers) - m
    extended = np.vstack([weights, np.zeros((unseen, k))])
    fold = np.repeat([0, 1], [m, unseen])
    unit = task.unit[:, numbers]
    return held_out_errors(unit, extended, task.rank, fold)[m:]


def _resample(unseen: _Unseen, rng: np.random.Generator) -> np.ndarray:
    """The gains (q,) of one bootstrap sample of the runs."""
    names, place = np.unique(unseen.run_of, return_inverse=True)
    drawn = rng.integers(len(names), size=len(names))
    weight = np.bincount(drawn, minlength=len(names))[place]
    return np.asarray((weight @ unseen.single) / (unseen.local @ weight))
