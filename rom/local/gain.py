"""Do local bases pay? The expected gain over one basis, before runs are spent."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from rom.arrays import POINTS, gate
from rom.errors import BadInput
from rom.local.learning import fit_classifier
from rom.local.trials import AIMS, SPLITS, Trials, check_aim, log_spread, try_snapshots
from rom.snapshots import Snapshots


@dataclass(frozen=True, eq=False)
class Gain:
    """G(K) = E|u - P u| / |u| of one basis over that of K bases, chosen online.

    Equal modes and runs for both.

    K, gain : (q,); std : (q,) of the gain on as many unseen runs, over runs, and by how much
        nested errors differ from those of the labels at hand
    accuracy : (q,) share of unseen samples sent to the basis that serves them best
    recommended : argmax G where local bases pay, else 1
    runs : number of runs that trained each estimate
    aim : "mean" of the errors, or "q90", their 90 % quantile
    """

    K: np.ndarray
    gain: np.ndarray
    std: np.ndarray
    accuracy: np.ndarray
    recommended: int
    runs: int
    aim: str = "mean"


@gate(snapshots=Snapshots, inputs=POINTS)
def expected_gain(
    snapshots: Snapshots,
    rank: int,
    candidates: Sequence[int] = (1, 2, 3, 4, 6, 8),
    *,
    budget: int | None = None,
    splits: int = SPLITS,
    inputs: np.ndarray | None = None,
    classifier: Callable[..., Any] = fit_classifier,
    aim: str = "mean",
    whole_runs: bool = False,
    rng: int | np.random.Generator = 0,
) -> Gain:
    """G(K) by training on part of the runs and answering the others.

    For each K by the recipe that `local_bases` would take, chosen without the runs that judge
    it.

    snapshots : of cheap (coarse, simplified) or first runs
    candidates : numbers K of bases; rank : modes of each
    budget : high-fidelity runs to be spent, at most (1 - 1/splits) of the runs
    inputs, classifier, aim, whole_runs : as `local_bases` takes them; with whole_runs the inputs
        of a run are the same at all its times
    Raises BadInput where there are fewer than `splits` runs, or a budget beyond what is there.
    Reference: Daniel et al. (2022).
    """
    check_aim(aim)
    trials = try_snapshots(
        snapshots,
        candidates,
        rank,
        classifier,
        inputs=inputs,
        whole_runs=whole_runs,
        splits=splits,
        budget=budget,
        rng=rng,
    )
    return gain_of(trials, candidates, aim)


def gain_of(trials: Trials, candidates: Sequence[int], aim: str = "mean") -> Gain:
    """G(K) of trials in which one basis took part, for numbers K (q,).

    Raises BadInput where a number was not tried.
    """
    check_aim(aim)
    if not len(candidates):
        raise BadInput("there are no numbers of bases; give some, such as (1, 2, 4)")
    single = np.stack(trials.honest(aim, 1)[:2])
    local, accuracy = [], []
    for k in candidates:
        nested, own, hits = trials.honest(aim, int(k))
        local.append(np.stack([nested, own]))
        accuracy.append(hits.mean())
    both = np.stack([AIMS[aim](single) / AIMS[aim](one) for one in local])
    gain = np.sqrt(both.prod(axis=1))
    apart = 0.5 * np.abs(np.log(both[:, 0] / both[:, 1]))
    spread = log_spread(trials.run_of, single, local, aim)
    numbers = np.asarray(candidates)
    return Gain(
        K=numbers,
        gain=gain,
        std=gain * np.hypot(apart, np.sqrt(2.0) * spread),
        accuracy=np.array(accuracy),
        recommended=int(numbers[np.argmax(gain)]) if gain.max() > 1.0 else 1,
        runs=trials.runs,
        aim=aim,
    )
