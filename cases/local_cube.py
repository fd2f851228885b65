"""The viscoplastic cube by local hyper-reduced models against one global model at equal online cost: modes and points.

Runs differ in rotation, pressure and an unparametrised temperature field, from elastic to plastic and from spun to hot. Whole runs are
clustered; each cluster has its own basis, cubature and stress basis; the classifier sees the three loads and reduced features of the field.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from cases.local_bases import cube_snapshots, heated, histories
from cases.viscoplastic_cube import HOT, cube
from rom.basis import Basis, LocalBases
from rom.cli import run
from rom.compress.classify import fitted
from rom.compress.clusters import assembled, clusters, coordinates, leading
from rom.errors import NotConverged
from rom.history import History
from rom.hyperreduce.ecm import compressed, ecm, unit
from rom.loading import Loading
from rom.model import Prediction
from rom.project.local import LocalModel
from rom.project.weighted import WeightedModel, follow, weighted
from solvers.solid import Body


@dataclass(frozen=True, eq=False)
class Cubed:
    """A hyper-reduced model that takes full loadings, and the stress modes of its cluster at its points, (6 k, q)."""

    model: WeightedModel
    body: Body
    stress: np.ndarray

    def history(self, loading: Loading) -> History:
        """Reduced history under a loading of the full model."""
        return follow(self.model, loading.reduced(self.model.basis, self.model.points, self.body.points), loading.t)

    def predict(self, loading: Loading) -> Prediction:
        """a (r, m) at the times of the loading after its first."""
        return Prediction(loading.t[1:], self.history(loading).u, t=loading.t[1:])

    def residual(self, loading: Loading) -> float:
        """What the stress basis of the cluster cannot explain of the stresses at the points, relative."""
        s = self.history(loading).stress.reshape(len(self.stress), -1)
        gap = s - self.stress @ np.linalg.lstsq(self.stress, s, rcond=None)[0]
        return float(np.linalg.norm(gap) / np.linalg.norm(s))


def reduced(b: Body, basis: Basis, found: list[History], points: int) -> Cubed:
    """Cubature of at most `points` points for the stresses of these histories, and their stress modes there."""
    strain = b.strain(basis.modes)
    stress = unit(b.points, np.concatenate([h.stress for h in found], axis=2))
    rule = ecm(compressed(b.points, strain, stress, 1e-8), b.points, 1e-5, most=points)
    model = weighted(basis, strain, b, rule.elements, rule.weights)
    modes = leading(stress.reshape(-1, stress.shape[2]), 12).reshape(*stress.shape[:2], -1)
    return Cubed(model, b, modes[rule.elements].reshape(6 * len(rule.elements), -1))


def inputs(b: Body, x: np.ndarray, modes: np.ndarray) -> np.ndarray:
    """What is known online: the three loads and the coefficients of the temperature field on a few modes, (m, 3 + q)."""
    fields = np.stack([heated(b, one).temperature(0.9) for one in x], axis=1)
    shape = fields - 20.0
    return np.column_stack([x[:, :3], (modes.T @ (shape / np.linalg.norm(shape, axis=0))).T])


def one_basis(b: Body, x: np.ndarray, found: list[tuple[Loading, History]], modes: int) -> LocalBases:
    """The global basis, by the same normalised POD, as local bases of one cluster."""
    snapshots = cube_snapshots(b, x, found)
    V, A = coordinates(snapshots)
    labels = np.zeros(snapshots.m, dtype=int)
    return assembled(V, A, labels, np.zeros(1, dtype=int), modes)


def errors(models: list[Any], b: Body, found: list[tuple[Loading, History]], basis: list[Basis]) -> tuple[np.ndarray, int]:
    """|u - u_r| / |u| of every history over all its steps; a model that does not converge counts as 1. And how many did not."""
    e, failed = [], 0
    for (loading, h), model, V in zip(found, models, basis, strict=True):
        try:
            gap = h.u - V.lift(model(loading).coefficients)
            e.append(float(np.linalg.norm(b.space.norm(gap)) / np.linalg.norm(b.space.norm(h.u))))
        except NotConverged:
            e.append(1.0)
            failed += 1
    return np.array(e), failed


def main(
    cells: int = 4, training: int = 80, unseen: int = 60, K: int = 4, modes: int = 8, points: int = 50, seed: int = 0
) -> dict[str, Any]:
    """K local models of `modes` modes and at most `points` points against one of the same size; errors over unseen runs."""
    b = cube(cells, HOT)
    x, y = (np.random.default_rng([seed, k]).random((m, 7)) for k, m in enumerate((training, unseen)))
    train, test = histories(b, x), histories(b, y)
    snapshots = cube_snapshots(b, x, train)
    fields = np.stack([loading.temperature(0.9) - 20.0 for loading, _ in train], axis=1)
    shapes = leading(fields / np.linalg.norm(fields, axis=0), 4)
    known = np.repeat(inputs(b, x, shapes), len(train[0][1].t), axis=0)
    local = clusters(snapshots, K, modes, classify=fitted, inputs=known, whole_runs=True, rng=seed)
    whole = one_basis(b, x, train, modes)
    place = local.labels[:: len(train[0][1].t)]
    members = [[h for (_, h), k in zip(train, place, strict=True) if k == j] for j in range(K)]
    models = tuple(reduced(b, local.basis(k), members[k], points) for k in range(K))
    single = reduced(b, whole.basis(0), [h for _, h in train], points)
    dictionary = LocalModel(local, models, indicator=lambda k, loading, answer: models[k].residual(loading))
    features = inputs(b, y, shapes)
    e_one, failed_one = errors([single.predict] * unseen, b, test, [single.model.basis] * unseen)
    answers = [partial(_answer, dictionary, one) for one in features]
    e_local, failed_local = errors(answers, b, test, [local.hull] * unseen)
    least = np.stack([errors([m.predict] * unseen, b, test, [m.model.basis] * unseen)[0] for m in models], axis=1)
    chosen = local.classifier.choose(features)
    return {
        "global_u_error_mean": float(e_one.mean()),
        "global_u_error_q90": float(np.quantile(e_one, 0.9)),
        "local_u_error_mean": float(e_local.mean()),
        "local_u_error_q90": float(np.quantile(e_local, 0.9)),
        "classifier_alone_u_error_mean": float(least[np.arange(unseen), chosen].mean()),
        "best_local_u_error_mean": float(least.min(axis=1).mean()),
        "gain_mean": float(e_one.mean() / e_local.mean()),
        "classifier_accuracy": float(np.mean(chosen == least.argmin(axis=1))),
        "modes": modes,
        "points_global": len(single.model.points),
        "points_local_most": max(len(m.model.points) for m in models),
        "not_converged_global": failed_one,
        "not_converged_local": failed_local,
        "K": K,
        "training_runs": training,
        "unseen_runs": unseen,
    }


def _answer(dictionary: LocalModel, x: np.ndarray, loading: Loading) -> Prediction:
    return dictionary.answer(x, loading)[1]


if __name__ == "__main__":
    run(main)
