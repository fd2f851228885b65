"""Trials of recipes: how much they err on runs that had no part in them.

    E_ci = |a_i - P_j a_i|,  j chosen online by recipe c that saw no sample of the fold of i
    F_ci = the same for the labels of all runs, with bases and classifiers that saw no such one

E shows what a recipe fits too closely, and F, with overlapping bases where they err less, what
these labels are good for: recipes are compared by the geometric mean of both. One basis is left
only for what errs less by more than CAUTION deviations of the difference on the same runs.

References: Varma and Simon (2006); Breiman et al. (1984), for the caution.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np

from rom.errors import BadInput
from rom.local.classifier import TINY
from rom.local.held_out import choose_folds, held_out_errors, pick_errors
from rom.local.learning import fit_classifier
from rom.local.partition import few_of_each
from rom.local.recipes import Candidate, Recipe, cut_snapshots, list_recipes, teach
from rom.local.sight import Samples, see
from rom.snapshots import Snapshots

SPLITS = 5  # folds of runs
MOST = 1000  # samples of a trial
CAUTION = 1.5  # deviations over runs, by which more bases must err less than one
BOOTSTRAPS = 200
OVERLAPS = (0.15, 0.3, 0.6)  # share of the weight of snapshots sent to a basis by mistake
FLOOR = 0.3  # of the mean error, below which an error counts as much
WIDTHS, TREES = (0.1,), 15  # of the quicker classifiers of trials
AIMS = {
    "mean": partial(np.mean, axis=-1),
    "q90": partial(np.quantile, q=0.9, axis=-1),
}


@dataclass(frozen=True, eq=False)
class Trials:
    """Errors of held-out samples by every recipe, the basis chosen online.

    nested, own : E and F (q, m); hits : (q, m) where E is that of the best basis
    labels : (m,) of each recipe; fold, run_of : (m,); runs : that trained each E
    rank : modes of each basis; m : snapshots that there were, of which MOST at most take part
    """

    recipes: tuple[Recipe, ...]
    nested: np.ndarray
    own: np.ndarray
    hits: np.ndarray
    labels: tuple[np.ndarray, ...]
    fold: np.ndarray
    run_of: np.ndarray
    runs: int
    rank: int
    m: int

    def best(self, aim: str, numbers: Sequence[int], *, without: int | None = None) -> int:
        """Number of the recipe of least mean error, or of least 90 % quantile.

        A quantile of few runs is noisy: of the geometric mean of quantile and mean. One basis,
        where it is among them, unless the least is below its by CAUTION deviations.

        numbers : of clusters; without : a fold that has no say
        Raises BadInput where no recipe has such a number.
        """
        others = np.array([recipe.k not in numbers for recipe in self.recipes])
        if others.all():
            raise BadInput(f"no recipe was tried with {list(numbers)} clusters; try some")
        say = self.fold != (-1 if without is None else without)
        both = np.stack([self.nested[:, say], self.own[:, say]])
        scores = np.sqrt(error_level(aim, *both) * error_level("mean", *both))
        least = int(np.argmin(np.where(others, np.inf, scores)))
        single = next((i for i, one in enumerate(self.recipes) if one.k == 1), least)
        if others[single] or single == least:
            return least
        spread = log_spread(self.run_of[say], both[:, single], [both[:, least]], aim)
        pays = scores[single] > scores[least] * np.exp(CAUTION * spread[0])
        return least if pays else single

    def honest(self, aim: str, k: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """E, F and hits (m,) of k clusters by recipes that other folds have chosen."""
        choice = np.empty(len(self.fold), dtype=int)
        for part in np.unique(self.fold).tolist():
            choice[self.fold == part] = self.best(aim, [k], without=part)
        rows = np.arange(len(choice))
        return self.nested[choice, rows], self.own[choice, rows], self.hits[choice, rows]


def error_level(aim: str, nested: np.ndarray, own: np.ndarray) -> np.ndarray:
    """sqrt(s(E) s(F)) of the last axis, s the mean or the 90 % quantile."""
    return np.asarray(np.sqrt(AIMS[aim](nested) * AIMS[aim](own)))


def log_spread(
    run_of: np.ndarray, one: np.ndarray, others: Sequence[np.ndarray], aim: str
) -> np.ndarray:
    """Standard deviation (q,) of log(level of one / level of each other) over runs.

    By bootstrap of runs. one, others : E and F (2, m) of the same samples
    """
    rng = np.random.default_rng(0)
    order = np.argsort(run_of, kind="stable")
    members = np.split(order, np.flatnonzero(np.diff(run_of[order])) + 1)
    draws = []
    for _ in range(BOOTSTRAPS):
        drawn = rng.integers(len(members), size=len(members))
        rows = np.concatenate([members[run] for run in drawn.tolist()])
        draws.append([error_level(aim, *errors[:, rows]) for errors in (one, *others)])
    logarithms = np.log(np.array(draws) + TINY)
    return np.asarray(np.std(logarithms[:, :1] - logarithms[:, 1:], axis=0))


def check_aim(aim: str) -> None:
    """Raises BadInput unless aim is mean or q90."""
    if aim not in AIMS:
        raise BadInput(f"aim is {aim!r}; choose {' or '.join(AIMS)}")


def try_snapshots(
    snapshots: Snapshots,
    numbers: Sequence[int],
    rank: int,
    classifier: Callable[..., Any] | None,
    *,
    inputs: np.ndarray | None = None,
    whole_runs: bool = False,
    splits: int | None = None,
    budget: int | None = None,
    rng: int | np.random.Generator = 0,
) -> Trials:
    """All recipes of these numbers of clusters and of one basis, for `local_bases`.

    inputs, whole_runs, classifier : as `local_bases` takes them; budget : as `try_recipes`
    Raises BadInput where there are fewer runs than splits, or than the budget.
    """
    _, samples = see(snapshots, inputs, whole_runs=whole_runs)
    return try_recipes(
        samples,
        list_recipes([1, *numbers]),
        rank,
        classifier,
        splits=splits,
        budget=budget,
        rng=np.random.default_rng(rng),
    )


def try_recipes(
    samples: Samples,
    recipes: Sequence[Recipe],
    rank: int,
    classifier: Callable[..., Any] | None,
    *,
    rng: np.random.Generator,
    splits: int | None = None,
    budget: int | None = None,
) -> Trials:
    """Every recipe on every fold of runs, trained on the others.

    budget : of these at most
    classifier : as `local_bases` takes it; a quicker one is tried for `fit_classifier`
    splits : folds of runs, SPLITS or as many as there are runs by default
    With a budget F is E, for the labels of all runs would spend more.
    Raises BadInput where there are fewer runs than splits, or than the budget.
    """
    m = len(samples.size)
    samples = _thin(samples, rng)
    total = int(samples.run_of.max()) + 1
    if splits is None:
        splits = max(min(SPLITS, total), 2)
    runs = training_runs(total, splits, budget)
    samples = samples.trim(max(recipe.k for recipe in recipes) * rank)
    quick, validating = classifier, classifier
    if classifier is fit_classifier:
        validating = partial(fit_classifier, widths=WIDTHS, trees=TREES)
        quick = partial(validating, validate=False)
    fold = choose_folds(samples.run_of, splits, rng)
    nested = np.empty((len(recipes), len(fold)))
    hits = np.empty(nested.shape, dtype=bool)
    for part in range(splits):
        outside = fold == part
        names = rng.permutation(np.unique(samples.run_of[~outside]))[:runs]
        training, unseen = samples.take(np.isin(samples.run_of, names)), samples.take(outside)
        for number, partition in enumerate(cut_snapshots(training, recipes, rank, rng)):
            local = teach(training, partition, quick)
            errors = unseen_errors(training, local, unseen, rank)
            least = np.argmin(errors, axis=1)
            machine = local.classifier
            choice = least if machine is None else machine.choose(unseen.inputs)
            nested[number, outside] = pick_errors(errors, choice)
            hits[number, outside] = choice == least
    whole = cut_snapshots(samples, recipes, rank, rng)
    own = nested
    if budget is None:
        taught = [teach(samples, one, validating) for one in whole]
        own = np.stack([_own_errors(overlap(samples, one, rank)) for one in taught])
    labels = tuple(one.labels for one in whole)
    return Trials(tuple(recipes), nested, own, hits, labels, fold, samples.run_of, runs, rank, m)


def training_runs(total: int, splits: int, budget: int | None) -> int:
    """Runs that train each trial: the budget, or all that a split leaves."""
    largest = total - -(-total // splits)
    runs = budget or largest
    if total < splits or runs > largest:
        raise BadInput(
            f"{total} runs in {splits} splits train on {largest}; "
            "ask for a budget of at most that, or give more runs"
        )
    return runs


def _thin(samples: Samples, rng: np.random.Generator) -> Samples:
    """At most MOST of the samples, as many of each run.

    Of more than MOST runs so many, with one sample each.
    """
    if len(samples.size) <= MOST:
        return samples
    runs = int(samples.run_of.max()) + 1
    rows = few_of_each(samples.run_of, max(MOST // runs, 1), rng)
    few = samples.take(np.sort(rng.permutation(rows)[:MOST]))
    return replace(few, run_of=np.unique(few.run_of, return_inverse=True)[1].ravel())


def overlap(samples: Samples, local: Candidate, rank: int, aim: str = "mean") -> Candidate:
    """The candidate with the bases that err least, held out and chosen online.

    W_ij = (1 - w) [label_i = j] + w P(j | x_i), P held out, for w = 0 and in OVERLAPS: bases
    also learn what will be sent to them by mistake. Each also with W_ij / max(E_ij, FLOOR mean E),
    whose least squares are nearly a least sum of errors, which few bad samples rule less. One
    basis for all stays as it is.

    Reference: Holland and Welsch (1977), for the weights.
    """
    chances = getattr(local.classifier, "chances", None)
    if local.errors.shape[1] == 1:
        return local
    labels = local.weights
    starts = [labels]
    if chances is not None:
        starts += [(1.0 - share) * labels + share * chances for share in OVERLAPS]
    candidates = []
    for weights in starts:
        plain = local if weights is labels else _with_weights(samples, local, weights, rank)
        mean = np.sum(weights * plain.errors) / weights.sum()
        relative = FLOOR * weights / np.maximum(plain.errors / (mean or 1.0), FLOOR)
        candidates += [plain, _with_weights(samples, local, relative, rank)]
    return min(candidates, key=lambda one: float(AIMS[aim](_own_errors(one))))


def _with_weights(samples: Samples, local: Candidate, weights: np.ndarray, rank: int) -> Candidate:
    """The candidate with bases of other weights (m, k)."""
    errors = held_out_errors(samples.unit, weights, rank, local.fold)
    return replace(local, weights=weights, errors=errors)


def _own_errors(local: Candidate) -> np.ndarray:
    """Held-out errors (m,) on the bases of least expected error, or of least error."""
    expected = local.errors if local.classifier is None else local.classifier.expected
    return pick_errors(local.errors, np.argmin(expected, axis=1))


def unseen_errors(training: Samples, local: Candidate, unseen: Samples, rank: int) -> np.ndarray:
    """Errors (l, k) of unseen samples on bases of the weighted training samples."""
    m, few = len(training.size), len(unseen.size)
    weights = np.vstack([local.weights, np.zeros((few, local.weights.shape[1]))])
    unit = np.hstack([training.unit, unseen.unit])
    return held_out_errors(unit, weights, rank, np.repeat([0, 1], [m, few]))[m:]
