"""The viscoplastic cube by local hyper-reduced models against one global model of as many modes, points and stress modes.

Runs differ in rotation, pressure and an unparametrised temperature field, from elastic to plastic and from spun to hot. Each cluster has
its own basis, cubature and stress basis; the classifier sees the three loads and reduced features of the field. `local`: clusters of
snapshots, models take over from each other on the way and hand the state of the law over, one model a step, as the classifier says;
`asking`: the same where an unsure classifier asks several, at their cost; `runs`: clusters of whole runs.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
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
from rom.hyper import componentwise
from rom.hyperreduce.ecm import compressed, ecm, unit
from rom.hyperreduce.gappy import gappy
from rom.loading import Loading
from rom.project.switching import LocalWeighted, Moved, switching, travelled
from rom.project.weighted import WeightedModel, follow, weighted, with_duals
from solvers.solid import Body

Runs = list[tuple[Loading, History]]


@dataclass(frozen=True)
class Size:
    """What one model costs online: modes of u, points, modes of stress."""

    modes: int
    points: int
    stress: int


def reduced(b: Body, basis: Basis, stress: np.ndarray, size: Size) -> WeightedModel:
    """Cubature of at most so many points for the stresses (g, 6, m), and their leading modes as a gappy rule there."""
    strain, s = b.strain(basis.modes), unit(b.points, stress)
    rule = ecm(compressed(b.points, strain, s, 1e-8), b.points, 1e-5, most=size.points)
    model, six = weighted(basis, strain, b, rule.elements, rule.weights), componentwise(b.points)
    root = np.sqrt(six.product)[:, None]
    modes = leading(s.reshape(six.n, -1) * root, size.stress) / root
    rows = (rule.elements[:, None] * 6 + np.arange(6)).ravel()
    return with_duals(model, {"stress": gappy(Basis(six, modes), rows)})


def stresses(found: Runs) -> np.ndarray:
    """All snapshots of stress, (g, 6, m)."""
    return np.concatenate([h.stress for _, h in found], axis=2)


def inputs(b: Body, x: np.ndarray, modes: np.ndarray) -> np.ndarray:
    """What is known online: the three loads and the coefficients of the temperature field on a few modes, (m, 3 + q)."""
    fields = np.stack([heated(b, one).temperature(0.9) for one in x], axis=1)
    shape = fields - 20.0
    return np.column_stack([x[:, :3], (modes.T @ (shape / np.linalg.norm(shape, axis=0))).T])


def one_basis(b: Body, x: np.ndarray, found: Runs, modes: int) -> LocalBases:
    """The global basis, by the same normalised POD, as local bases of one cluster."""
    snapshots = cube_snapshots(b, x, found)
    V, A = coordinates(snapshots)
    labels = np.zeros(snapshots.m, dtype=int)
    return assembled(V, A, labels, np.zeros(1, dtype=int), modes)


def dictionary(
    b: Body, x: np.ndarray, known: np.ndarray, found: Runs, K: int, size: Size, whole: bool, rng: int
) -> LocalWeighted:
    """Clusters of snapshots, or of whole runs, and a model of each on its own stresses."""
    snapshots, steps = cube_snapshots(b, x, found), len(found[0][1].t)
    t = np.tile(found[0][1].t, len(found))
    told = np.column_stack([np.repeat(known, steps, axis=0), 0.0 * t if whole else t])
    local = clusters(snapshots, K, size.modes, classify=fitted, inputs=told, whole_runs=whole, rng=rng)
    s = stresses(found)
    models = tuple(reduced(b, local.basis(k), s[..., local.labels == k], size) for k in range(K))
    return switching(local, models, b)


def travels(model: LocalWeighted, b: Body, known: np.ndarray, found: Runs) -> list[list[Moved] | None]:
    """The steps of every run; None where it did not converge."""
    answers: list[list[Moved] | None] = []
    for x, (loading, _) in zip(known, found, strict=True):
        try:
            answers.append(travelled(model, x, model.reduced(loading, b.points)))
        except NotConverged:
            answers.append(None)
    return answers


def errors(b: Body, found: Runs, answers: list[tuple[np.ndarray, np.ndarray] | None]) -> np.ndarray:
    """|u - u_r| / |u| and |sigma - sigma_r| / |sigma| over all steps, (m, 2), of answers u (n, t), sigma (g, 6, t); 1 for None."""
    e = np.ones((len(found), 2))
    for one, (_, h), answer in zip(e, found, answers, strict=True):
        if answer is not None:
            for k, (a, truth, space) in enumerate(zip(answer, (h.u, h.stress), (b.space, componentwise(b.points)), strict=True)):
                flat = truth.reshape(space.n, -1)
                one[k] = np.linalg.norm(space.norm(flat - a.reshape(space.n, -1))) / np.linalg.norm(space.norm(flat))
    return e


def fields(model: LocalWeighted, steps: list[Moved] | None) -> tuple[np.ndarray, np.ndarray] | None:
    """Displacements and stresses on the whole mesh: the latter by the stress basis of each step's cluster."""
    if steps is None:
        return None
    u = model.basis.lift(np.stack([s.c for s in steps], axis=1))
    return u, np.stack([model.models[s.k].dual("stress", s.state.stress.ravel()) for s in steps], axis=-1)


def alone(b: Body, model: WeightedModel, loading: Loading) -> tuple[np.ndarray, np.ndarray] | None:
    """The same by one global model."""
    try:
        h = follow(model, loading.reduced(model.basis, model.points, b.points), loading.t)
    except NotConverged:
        return None
    return model.basis.lift(h.u), model.dual("stress", h.stress.reshape(-1, h.stress.shape[-1]))


def main(
    cells: int = 4,
    training: int = 80,
    unseen: int = 60,
    K: int = 4,
    modes: int = 8,
    points: int = 50,
    stress: int = 12,
    seed: int = 0,
) -> dict[str, Any]:
    """K local models of `modes` modes, at most `points` points and `stress` modes of stress against one of the same size; errors of
    displacements and stresses over unseen runs."""
    b, size = cube(cells, HOT), Size(modes, points, stress)
    x, y = (np.random.default_rng([seed, k]).random((m, 7)) for k, m in enumerate((training, unseen)))
    train, test = histories(b, x), histories(b, y)
    heat = np.stack([loading.temperature(0.9) - 20.0 for loading, _ in train], axis=1)
    shapes = leading(heat / np.linalg.norm(heat, axis=0), 4)
    single = reduced(b, one_basis(b, x, train, modes).basis(0), stresses(train), size)
    answers = {"global": [alone(b, single, loading) for loading, _ in test]}
    known = inputs(b, x, shapes), inputs(b, y, shapes)
    numbers: dict[str, Any] = {"points_global": len(single.points)}
    switched, kept = (dictionary(b, x, known[0], train, K, size, whole, seed) for whole in (False, True))
    for name, model, sure in (("local", switched, 0.0), ("asking", switched, 0.8), ("runs", kept, 0.0)):
        paths = travels(replace(model, sure=sure), b, known[1], test)
        answers[name] = [fields(model, steps) for steps in paths]
        numbers[f"points_{name}_most"] = max(len(m.points) for m in model.models)
        steps = [s for path in paths if path for s in path]
        numbers[f"switches_{name}_mean"] = float(np.mean([np.sum(np.diff([s.k for s in path]) != 0) for path in paths if path]))
        numbers[f"models_asked_{name}_mean"] = float(np.mean([len(s.tried) for s in steps]))
    for name, found in answers.items():
        e = errors(b, test, found)
        for k, field in enumerate(("u", "stress")):
            numbers[f"{name}_{field}_error_mean"] = float(e[:, k].mean())
            numbers[f"{name}_{field}_error_q90"] = float(np.quantile(e[:, k], 0.9))
        numbers[f"not_converged_{name}"] = sum(one is None for one in found)
    gains = {
        f"gain_{field}_{q}": numbers[f"global_{field}_error_{q}"] / numbers[f"local_{field}_error_{q}"]
        for field in ("u", "stress")
        for q in ("mean", "q90")
    }
    return gains | numbers | {"K": K, "modes": modes, "stress_modes": stress, "training_runs": training, "unseen_runs": unseen}


if __name__ == "__main__":
    run(main)
