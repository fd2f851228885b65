"""Do local bases pay? The expected gain over one global basis, before the high-fidelity runs are spent."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from rom.errors import BadInput
from rom.local.bases import (
    choose_folds,
    choose_foreseeable,
    features,
    held_out_errors,
    hull_coordinates,
    partitions,
    run_numbers,
)
from rom.local.classifier import fit_classifier
from rom.snapshots import Snapshots

QUICK = partial(fit_classifier, widths=(0.1,), trees=30)


@dataclass(frozen=True, eq=False)
class Gain:
    """G(K) = E|u - P u| / |u| of one global basis over that of K local ones as chosen online, equal modes and runs.

    K, gain, std : (q,), std by bootstrap over unseen runs; recommended : argmax G where local bases pay, else 1
    accuracy : (q,) share of unseen samples sent to the basis that serves them best; runs : how many runs trained each estimate
    """

    K: np.ndarray
    gain: np.ndarray
    std: np.ndarray
    accuracy: np.ndarray
    recommended: int
    runs: int


def expected_gain(
    snapshots: Snapshots,
    modes: int,
    candidates: Sequence[int] = (1, 2, 3, 4, 6, 8),
    budget: int | None = None,
    splits: int = 4,
    restarts: int = 1,
    inputs: np.ndarray | None = None,
    classify: Callable[..., Any] = QUICK,
    whole_runs: bool = False,
    rng: int | np.random.Generator = 0,
) -> Gain:
    """G(K) by training clusters, bases and classifier on part of the runs and answering the others, misclassification included.

    snapshots : of cheap (coarse, simplified) or first runs; budget : high-fidelity runs to be spent, at most (1 - 1/splits) of the runs
    whole_runs : one basis for all snapshots of a run; `inputs` are then the same at all its times
    Raises BadInput where there are fewer than `splits` runs, or a budget larger than what is there to judge it by.
    """
    gen = np.random.default_rng(rng)
    group = run_numbers(snapshots)
    total = int(group.max()) + 1
    most = total - -(-total // splits)
    if total < splits or (budget or most) > most:
        raise BadInput(
            f"{total} runs in {splits} splits train on {most}; ask for a budget of at most that, or give more runs"
        )
    x = features(snapshots) if inputs is None else np.asarray(inputs, dtype=float)
    _, A = hull_coordinates(snapshots)
    split = choose_folds(group, splits, gen)
    parts = [
        _split(
            A,
            x,
            group,
            split == f,
            budget or most,
            modes,
            candidates,
            restarts,
            classify,
            whole_runs,
            gen,
        )
        for f in range(splits)
    ]
    local, best = (np.concatenate([part[i] for part in parts], axis=1) for i in (0, 1))
    whole, seen = (
        np.concatenate([part[2] for part in parts]),
        np.concatenate([part[3] for part in parts]),
    )
    gain = whole.mean() / local.mean(axis=1)
    draws = np.stack([_resampled(whole, local, seen, gen) for _ in range(200)])
    recommended = int(np.asarray(candidates)[np.argmax(gain)]) if gain.max() > 1.0 else 1
    return Gain(
        np.asarray(candidates),
        gain,
        draws.std(axis=0),
        best.mean(axis=1),
        recommended,
        budget or most,
    )


def _split(A, x, group, out, budget, modes, candidates, restarts, classify, whole_runs, gen):  # type: ignore[no-untyped-def]
    """Errors of unseen samples: (q, l) chosen online, (q, l) whether the best was chosen, (l,) global, (l,) their runs."""
    names = gen.permutation(np.unique(group[~out]))[:budget]
    used = np.isin(group, names)
    fold, G = choose_folds(group[used], 8, gen), A.conj().T @ A
    unseen = np.flatnonzero(out)
    errors, hits, whole = [], [], _answers(G, np.ones((int(used.sum()), 1)), used, out, modes)[:, 0]
    H = G[np.ix_(used, used)]
    for k in candidates:
        found = partitions(H, k, modes, fold, restarts, gen, group[used] if whole_runs else None)
        _, shares, _, machine = choose_foreseeable(
            H, found, modes, fold, classify, x[used], group[used], tried=1
        )
        E = _answers(G, shares, used, out, modes)
        choice = machine.choose(x[unseen])
        errors.append(E[np.arange(len(unseen)), choice])
        hits.append(choice == np.argmin(E, axis=1))
    return np.stack(errors), np.stack(hits), whole, group[unseen]


def _answers(
    G: np.ndarray, shares: np.ndarray, used: np.ndarray, out: np.ndarray, modes: int
) -> np.ndarray:
    """E_ij of samples `out` on the bases of samples `used`, which count by their shares."""
    both = np.concatenate([np.flatnonzero(used), np.flatnonzero(out)])
    extended = np.vstack([shares, np.zeros((int(out.sum()), shares.shape[1]))])
    fold = np.repeat([0, 1], [len(shares), int(out.sum())])
    return held_out_errors(G[np.ix_(both, both)], extended, modes, fold)[len(shares) :]


def _resampled(
    whole: np.ndarray, local: np.ndarray, seen: np.ndarray, gen: np.random.Generator
) -> np.ndarray:
    names, place = np.unique(seen, return_inverse=True)
    weight = np.bincount(gen.integers(len(names), size=len(names)), minlength=len(names))[place]
    return (weight @ whole) / (local @ weight)
