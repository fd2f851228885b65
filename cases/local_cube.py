"""The viscoplastic cube by local hyper-reduced models against one global model of as many modes, points and stress modes.

Runs differ in rotation, pressure and an unparametrised temperature field, from elastic to plastic and from spun to hot. Each cluster has
its own basis, cubature and stress basis; the classifier sees the three loads and reduced features of the field. How many clusters, and
whether of snapshots (models take over from each other on the way and hand the state of the law over) or of whole runs, the a priori
criterion says on the training runs alone; where none pay, `local` is the global model and the gains are 1. `local`: one model a step, as
the classifier says; `asking`: the same where an unsure classifier asks several, at their cost. Gains are global over local error.
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
from rom.compress.criterion import Gain, expected_gain
from rom.errors import NotConverged
from rom.history import History
from rom.hyper import componentwise
from rom.hyperreduce.ecm import compressed, ecm, unit
from rom.hyperreduce.gappy import gappy
from rom.loading import Loading
from rom.project.switching import LocalWeighted, Moved, switching, travelled
from rom.project.weighted import WeightedModel, follow, weighted, with_duals
from rom.snapshots import Snapshots
from solvers.solid import Body

Runs = list[tuple[Loading, History]]
Fields = tuple[np.ndarray, np.ndarray] | None
CANDIDATES = (1, 2, 4)


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


def told(b: Body, known: np.ndarray, found: Runs, whole: bool) -> np.ndarray:
    """What the classifier sees of every snapshot: `known` of its run and the time, or zero where a run keeps its model."""
    t = np.tile(found[0][1].t, len(found))
    return np.column_stack([np.repeat(known, len(found[0][1].t), axis=0), 0.0 * t if whole else t])


def expected(
    snapshots: Snapshots, seen: dict[bool, np.ndarray], modes: int, candidates: tuple[int, ...], rng: int
) -> dict[bool, Gain]:
    """The a priori criterion on the training runs, for clusters of snapshots (False) and of whole runs (True)."""
    return {
        whole: expected_gain(snapshots, modes, candidates, splits=3, inputs=x, whole_runs=whole, rng=rng)
        for whole, x in seen.items()
    }


def dictionary(
    b: Body, snapshots: Snapshots, seen: np.ndarray, s: np.ndarray, K: int, size: Size, whole: bool, rng: int
) -> LocalWeighted:
    """Clusters of snapshots, or of whole runs, and a model of each on its own stresses s (g, 6, m)."""
    local = clusters(snapshots, K, size.modes, classify=fitted, inputs=seen, whole_runs=whole, rng=rng)
    blind = replace(local.classifier, scale=np.where(np.ptp(seen, axis=0) > 0.0, local.classifier.scale, np.inf))
    models = tuple(reduced(b, local.basis(k), s[..., local.labels == k], size) for k in range(K))
    return switching(replace(local, classifier=blind), models, b)


def travels(model: LocalWeighted, b: Body, known: np.ndarray, found: Runs) -> list[list[Moved] | None]:
    """The steps of every run; None where it did not converge."""
    answers: list[list[Moved] | None] = []
    for x, (loading, _) in zip(known, found, strict=True):
        try:
            answers.append(travelled(model, x, model.reduced(loading, b.points)))
        except NotConverged:
            answers.append(None)
    return answers


def errors(b: Body, found: Runs, answers: list[Fields]) -> np.ndarray:
    """|u - u_r| / |u| and |sigma - sigma_r| / |sigma| over all steps, (m, 2), of answers u (n, t), sigma (g, 6, t); 1 for None."""
    e = np.ones((len(found), 2))
    for one, (_, h), answer in zip(e, found, answers, strict=True):
        if answer is not None:
            for k, (a, truth, space) in enumerate(zip(answer, (h.u, h.stress), (b.space, componentwise(b.points)), strict=True)):
                flat = truth.reshape(space.n, -1)
                one[k] = np.linalg.norm(space.norm(flat - a.reshape(space.n, -1))) / np.linalg.norm(space.norm(flat))
    return e


def fields(model: LocalWeighted, steps: list[Moved] | None) -> Fields:
    """Displacements and stresses on the whole mesh: the latter by the stress basis of each step's cluster."""
    if steps is None:
        return None
    u = model.basis.lift(np.stack([s.c for s in steps], axis=1))
    return u, np.stack([model.models[s.k].dual("stress", s.state.stress.ravel()) for s in steps], axis=-1)


def alone(b: Body, model: WeightedModel, loading: Loading) -> Fields:
    """The same by one global model."""
    try:
        h = follow(model, loading.reduced(model.basis, model.points, b.points), loading.t)
    except NotConverged:
        return None
    return model.basis.lift(h.u), model.dual("stress", h.stress.reshape(-1, h.stress.shape[-1]))


def local_answers(model: LocalWeighted, b: Body, known: np.ndarray, found: Runs) -> tuple[list[Fields], dict[str, float]]:
    """Fields of every run, and how often it switched and how many models a step asked, on average."""
    paths = travels(model, b, known, found)
    done = [path for path in paths if path]
    switches = [np.sum(np.diff([s.k for s in path]) != 0) for path in done]
    asked = [len(s.tried) for path in done for s in path]
    return [fields(model, steps) for steps in paths], {
        "switches": float(np.mean(switches)),
        "models_asked": float(np.mean(asked)),
    }


def main(
    cells: int = 4,
    training: int = 80,
    unseen: int = 60,
    k: int = 0,
    modes: int = 8,
    points: int = 50,
    stress: int = 12,
    seed: int = 0,
) -> dict[str, Any]:
    """k local models of `modes` modes, at most `points` points and `stress` modes of stress against one of the same size; errors of
    displacements and stresses over unseen runs. k = 0: as many as the criterion recommends on the training runs, 1 where none pay."""
    b, size = cube(cells, HOT), Size(modes, points, stress)
    x, y = (np.random.default_rng([seed, one]).random((m, 7)) for one, m in enumerate((training, unseen)))
    train, test = histories(b, x), histories(b, y)
    heat = np.stack([loading.temperature(0.9) - 20.0 for loading, _ in train], axis=1)
    shapes = leading(heat / np.linalg.norm(heat, axis=0), 4)
    known, snapshots = (inputs(b, x, shapes), inputs(b, y, shapes)), cube_snapshots(b, x, train)
    seen = {whole: told(b, known[0], train, whole) for whole in (False, True)}
    gain = expected(snapshots, seen, modes, (k,) if k else CANDIDATES, seed)
    whole = bool(gain[True].gain.max() > gain[False].gain.max())
    K = k or gain[whole].recommended
    numbers: dict[str, Any] = {"K": K, "whole_runs": whole}
    for kind, name in ((False, "snapshots"), (True, "runs")):
        numbers |= {f"expected_gain_{name}_{q}": float(g) for q, g in zip(gain[kind].K, gain[kind].gain, strict=True)}
    single = reduced(b, one_basis(b, x, train, modes).basis(0), stresses(train), size)
    answers = {"global": [alone(b, single, loading) for loading, _ in test]}
    numbers["points_global"] = numbers["points_local_most"] = len(single.points)
    if K == 1:
        answers["local"] = answers["global"]
    else:
        model = dictionary(b, snapshots, seen[whole], stresses(train), K, size, whole, seed)
        numbers["points_local_most"] = max(len(m.points) for m in model.models)
        for name, sure in (("local", 0.0), ("asking", 0.8)):
            answers[name], counts = local_answers(replace(model, sure=sure), b, known[1], test)
            numbers |= {f"{key}_{name}_mean": value for key, value in counts.items()}
    for name, found in answers.items():
        e = errors(b, test, found)
        for column, field in enumerate(("u", "stress")):
            numbers[f"{name}_{field}_error_mean"] = float(e[:, column].mean())
            numbers[f"{name}_{field}_error_q90"] = float(np.quantile(e[:, column], 0.9))
        numbers[f"not_converged_{name}"] = sum(one is None for one in found)
    gains = {
        f"gain_{field}_{q}": numbers[f"global_{field}_error_{q}"] / numbers[f"local_{field}_error_{q}"]
        for field in ("u", "stress")
        for q in ("mean", "q90")
    }
    return gains | numbers | {"modes": modes, "stress_modes": stress, "training_runs": training, "unseen_runs": unseen}


if __name__ == "__main__":
    run(main)
