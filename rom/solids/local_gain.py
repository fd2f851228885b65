"""What local hyper-reduced solids gain over one model of the same budget.

Judged on left-out training runs, by errors of the fields that the models themselves answer.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from rom.arrays import POINTS, gate
from rom.errors import NotConverged
from rom.local.held_out import choose_folds
from rom.solids.body import Solid
from rom.solids.local_training import Budget, Describe, Runs, global_model, local_solids
from rom.solids.norms import componentwise
from rom.solids.switching import LocalWeighted, SwitchingStep, follow_switching
from rom.solids.weighted import WeightedModel, reduced_march

Fields = tuple[np.ndarray, np.ndarray] | None  # u (n, t), stress (g, 6, t); None where it failed
NO_ANSWER = 1.0  # relative error of a run that did not converge


@dataclass(frozen=True)
class LocalOption:
    """A number of clusters, of snapshots or of whole runs."""

    clusters: int
    whole_runs: bool


@dataclass(frozen=True)
class SolidGain:
    """Geometric mean of the gains in u and stress, and its standard deviation."""

    gain: float
    std: float


def field_errors(body: Solid, runs: Runs, answers: Sequence[Fields]) -> np.ndarray:
    """|u - u_r| / |u| and |sigma - sigma_r| / |sigma|, (m, 2); 1 for None.

    Norms are over all steps of a run.
    """
    errors = np.full((len(runs), 2), NO_ANSWER)
    spaces = (body.space, componentwise(body.points))
    for row, (_, history), answer in zip(errors, runs, answers, strict=True):
        if answer is None:
            continue
        truths = (history.u, history.stress)
        for k, space in enumerate(spaces):
            truth = truths[k].reshape(space.n, -1)
            error = space.norm(truth - answer[k].reshape(space.n, -1))
            row[k] = np.linalg.norm(error) / np.linalg.norm(space.norm(truth))
    return errors


def answer_globally(body: Solid, model: WeightedModel, runs: Runs) -> list[Fields]:
    """Displacements and stresses of every run by one model."""
    answers: list[Fields] = []
    for loading, _ in runs:
        reduced = loading.reduce(model.basis, model.points, body.points)
        try:
            history = reduced_march(model, reduced, loading.t)
        except NotConverged:
            answers.append(None)
            continue
        values = history.stress.reshape(-1, history.stress.shape[-1])
        answers.append((model.basis.lift(history.u), model.dual("stress", values)))
    return answers


def answer_locally(
    body: Solid, model: LocalWeighted, inputs: np.ndarray, runs: Runs
) -> tuple[list[Fields], dict[str, float]]:
    """Displacements and stresses of every run by local models, with inputs (m, q).

    Also "switches" of a run and "models_asked" of a step, on average.
    """
    answers: list[Fields] = []
    switches: list[int] = []
    tried: list[int] = []
    for row, (loading, _) in zip(inputs, runs, strict=True):
        try:
            steps = follow_switching(model, row, model.reduce(loading, body.points))
        except NotConverged:
            answers.append(None)
            continue
        answers.append(_lift(model, steps))
        switches.append(int(np.sum(np.diff([step.k for step in steps]) != 0)))
        tried.extend(len(step.tried) for step in steps)
    counts = {"switches": float(np.mean(switches)), "models_asked": float(np.mean(tried))}
    return answers, counts


def _lift(model: LocalWeighted, steps: Sequence[SwitchingStep]) -> Fields:
    """Displacements (n, t) and stresses (6 g, t) of the steps on the whole mesh."""
    u = model.basis.lift(np.stack([step.c for step in steps], axis=1))
    stress = []
    for step in steps:
        stress.append(model.models[step.k].dual("stress", step.state.stress.ravel()))
    return u, np.stack(stress, axis=-1)


@gate(mu=POINTS)
def expected_solid_gains(
    body: Solid,
    mu: np.ndarray,
    runs: Runs,
    learn_inputs: Callable[[np.ndarray, Runs], Describe],
    options: Sequence[LocalOption],
    *,
    budget: Budget,
    rng: int = 0,
    folds: int = 5,
) -> dict[LocalOption, SolidGain]:
    """The gain of each option on left-out training runs.

    mu : (m, p) parameters of the runs
    learn_inputs : (mu, runs) -> what describes runs to the classifier, learnt from these runs
    """
    fold = choose_folds(np.arange(len(mu)), folds, np.random.default_rng(rng))
    single = np.zeros((len(mu), 2))
    local = {option: np.zeros((len(mu), 2)) for option in options}
    for part in range(folds):
        inside, outside = np.flatnonzero(fold != part), np.flatnonzero(fold == part)
        training = [runs[i] for i in inside.tolist()]
        unseen = [runs[i] for i in outside.tolist()]
        model = global_model(body, mu[inside], training, budget)
        single[outside] = field_errors(body, unseen, answer_globally(body, model, unseen))
        describe = learn_inputs(mu[inside], training)
        inputs, unseen_inputs = describe(mu[inside], training), describe(mu[outside], unseen)
        for option in options:
            models = local_solids(
                body,
                mu[inside],
                training,
                inputs,
                option.clusters,
                budget=budget,
                whole_runs=option.whole_runs,
                rng=rng,
            )
            answers, _ = answer_locally(body, replace(models, sure=0.0), unseen_inputs, unseen)
            local[option][outside] = field_errors(body, unseen, answers)
    return {option: _gain(single, errors) for option, errors in local.items()}


def _gain(single: np.ndarray, local: np.ndarray) -> SolidGain:
    """The gain from errors (m, 2) of one model and of local ones, of m runs."""
    mean_single, mean_local = single.mean(axis=0), local.mean(axis=0)
    gain = float(np.sqrt(np.prod(mean_single / mean_local)))
    difference = (single / mean_single - local / mean_local).mean(axis=1)
    spread = float(difference.std(ddof=1))
    return SolidGain(gain, gain * spread / len(single) ** 0.5)


def best_option(
    gains: Mapping[LocalOption, SolidGain],
) -> tuple[LocalOption, SolidGain]:
    """The option of the largest gain, and that gain."""
    return max(gains.items(), key=lambda item: (item[1].gain, item[1].std))
