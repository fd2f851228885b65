"""Local bases: one for each group of snapshots, chosen by a classifier.

    local = local_bases(snapshots, (1, 2, 3, 5), 8, classifier=fit_classifier)
    k = local.classifier.choose(features)          # before the solution is known
    local.basis(k)

References: Daniel et al. (2022); K subspaces: Bradley and Mangasarian (2000).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from rom.arrays import POINTS, gate
from rom.basis import LocalBases
from rom.errors import BadInput, require
from rom.local.held_out import choose_folds
from rom.local.hull import assemble_bases
from rom.local.partition import central_member
from rom.local.recipes import (
    INNER_FOLDS,
    Candidate,
    Recipe,
    Samples,
    candidate,
    cut_snapshots,
    list_recipes,
    teach,
)
from rom.local.sight import see
from rom.local.trials import Trials, check_aim, overlap, try_recipes
from rom.snapshots import Snapshots


@gate(snapshots=Snapshots, inputs=POINTS)
def local_bases(
    snapshots: Snapshots,
    k: int | Sequence[int],
    rank: int,
    *,
    classifier: Callable[..., Any] | None = None,
    inputs: np.ndarray | None = None,
    aim: str = "mean",
    refine: bool = True,
    whole_runs: bool = False,
    trials: Trials | None = None,
    tol: float = 1e-7,
    rng: int | np.random.Generator = 0,
) -> LocalBases:
    """k bases of `rank` modes, by the recipe that errs least on unseen runs.

    Recipes: k-means of the inputs, of the fields, k-medoids of sines, each as it is or refined
    as K subspaces; bases overlap where that errs less online. Snapshots of one mu are a run, and
    are held out together.

    k : bases, or the numbers to choose among; 1 is one basis for all, which is then never
        left for what is worse on held-out runs
    classifier : (inputs, labels, errors, runs) -> classifier, such as `fit_classifier`; with it
        a held-out snapshot takes the basis that is chosen online, else the one that fits best
    inputs : (m, p) what the classifier sees online; (mu, t) by default
    aim : "mean" or "q90", the 90 % quantile, of |u - P u| / |u|
    refine : False takes the k-medoids of sines; trials : of these snapshots, as they were made for
        `gain_of`, in place of new ones
    whole_runs : all snapshots of one mu share a basis
    tol : relative, on what the hull may miss
    Raises BadInput for zero snapshots, too few of them, or trials of others; MissingExtra without
    kmedoids or scikit-learn.
    Reference: Daniel et al. (2022).
    """
    check_aim(aim)
    numbers = [k] if isinstance(k, (int, np.integer)) else [int(number) for number in k]
    hull, samples = see(snapshots, inputs, whole_runs=whole_runs, tol=tol)
    if not numbers or not 0 < min(numbers) <= max(numbers) <= snapshots.m or not 0 < rank <= hull.r:
        raise BadInput(
            f"{k} clusters of {rank} modes need at least as many snapshots; "
            f"there are {snapshots.m} of rank {hull.r}"
        )
    if max(numbers) > 1:
        for library in ("kmedoids", "sklearn"):
            require(library, "cluster", "local bases")
    recipes = list_recipes(numbers, refine=refine)
    runs = int(samples.run_of.max()) + 1
    if trials is None and len(recipes) > 1 and runs > 1:
        trials = try_recipes(samples, recipes, rank, classifier, rng=np.random.default_rng(rng))
    again = np.random.default_rng(rng)  # the same bases from new trials and from those at hand
    best = _take_best(samples, trials, numbers, rank, aim=aim, rng=again)
    final = teach(samples, best, classifier)
    if refine:
        final = teach(samples, overlap(samples, final, rank, aim), classifier)
    centres = []
    for j in range(final.errors.shape[1]):
        centres.append(central_member(samples.unit, final.labels == j))
    bases = assemble_bases(
        hull,
        samples.unit,
        final.labels,
        np.array(centres),
        rank,
        errors=final.errors,
        weights=final.weights,
    )
    return replace(bases, classifier=final.classifier)


def _take_best(
    samples: Samples,
    trials: Trials | None,
    numbers: Sequence[int],
    rank: int,
    *,
    aim: str,
    rng: np.random.Generator,
) -> Candidate:
    """The partition that trials prefer, or k-medoids of sines without trials."""
    if trials is None:
        return cut_snapshots(samples, [Recipe(max(numbers))], rank, rng)[0]
    m = len(samples.size)
    if (trials.m, trials.rank) != (m, rank):
        raise BadInput(
            f"trials are of {trials.m} snapshots and {trials.rank} modes, not of {m} and {rank}; "
            "make them of these snapshots"
        )
    number = trials.best(aim, numbers)
    labels = trials.labels[number]
    if len(labels) < m:
        return cut_snapshots(samples, [trials.recipes[number]], rank, rng)[0]
    return candidate(samples, labels, rank, choose_folds(samples.run_of, INNER_FOLDS, rng))
