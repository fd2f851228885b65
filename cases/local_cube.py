"""The viscoplastic cube by local hyper-reduced models against one global model of as many modes, points and stress modes.

Runs differ in rotation, pressure and an unparametrised temperature field, from elastic to plastic and from spun to hot. Each cluster has
its own basis, cubature and stress basis; the classifier sees the three loads and reduced features of the field. How many clusters, and
whether of snapshots (models take over from each other on the way and hand the state of the law over) or of whole runs, is chosen by what
the reduced models themselves gain on left-out training runs; where none gains more than a standard deviation, `local` is the global
model and the gains are 1. `local`: one model a step, as the classifier says; `asking`: an unsure classifier asks several, at their cost.
Gains: global over local error.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import scipy.linalg as la

from cases.local_bases import cube_snapshots, histories
from cases.viscoplastic_cube import HOT, cube
from rom.basis import Basis, LocalBases
from rom.cli.launch import run
from rom.errors import NotConverged
from rom.history import History
from rom.loading import Loading
from rom.local.bases import assemble_bases, choose_folds, hull_coordinates, leading, local_bases
from rom.local.learning import fit_classifier
from rom.points.cubature import compress_contributions, ecm, unit
from rom.points.gappy_pod import gappy
from rom.solids.switching import LocalWeighted, SwitchingStep, follow_switching, switching
from rom.solids.training import componentwise
from rom.solids.weighted import WeightedModel, reduced_march, weighted_model, with_duals
from solvers.solid import Body

Runs = list[tuple[Loading, History]]
Fields = tuple[np.ndarray, np.ndarray] | None
CANDIDATES = (2, 4)
OVERLAP = 0.3


@dataclass(frozen=True)
class Size:
    """What one model costs online: modes of u, points, modes of stress."""

    modes: int
    points: int
    stress: int


@dataclass(frozen=True, eq=False)
class Dictionary:
    """Local models, and the shapes (nodes, q) of temperature whose coefficients the classifier sees."""

    model: LocalWeighted
    shapes: np.ndarray


def reduced(b: Body, basis: Basis, stress: np.ndarray, size: Size) -> WeightedModel:
    """Cubature of at most so many points for the stresses (g, 6, m), and their leading modes as a gappy rule there."""
    strain, six = b.strain(basis.modes), componentwise(b.points)
    root = np.sqrt(six.product)[:, None]
    U, s, _ = la.svd(stress.reshape(six.n, -1) * root, full_matrices=False)
    scaled = (U * s / root)[:, s > 1e-6 * s[0]].reshape(
        *stress.shape[:2], -1
    )  # the integrals of all snapshots, in few columns
    rule = ecm(
        compress_contributions(b.points, strain, scaled, 1e-8), b.points, 1e-5, most=size.points
    )
    model = weighted_model(basis, strain, b, rule.elements, rule.weights)
    rows = (rule.elements[:, None] * 6 + np.arange(6)).ravel()
    return with_duals(model, {"stress": gappy(Basis(six, U[:, : size.stress] / root), rows)})


def stresses(b: Body, found: Runs) -> np.ndarray:
    """All snapshots of stress, (g, 6, m), of unit norm."""
    return unit(b.points, np.concatenate([h.stress for _, h in found], axis=2))


def heat(b: Body, found: Runs) -> np.ndarray:
    """Final rise of temperature of each run, (nodes, m), of unit norm."""
    rise = np.stack([loading.temperature(0.9) - 20.0 for loading, _ in found], axis=1)
    return rise / np.linalg.norm(rise, axis=0)


def inputs(b: Body, x: np.ndarray, found: Runs, shapes: np.ndarray) -> np.ndarray:
    """What is known online: the three loads and the coefficients of the temperature field on its shapes, (m, 3 + q)."""
    return np.column_stack([x[:, :3], heat(b, found).T @ shapes])


def one_basis(b: Body, x: np.ndarray, found: Runs, modes: int) -> LocalBases:
    """The global basis, by the same normalised POD, as local bases of one cluster."""
    V, A = hull_coordinates(cube_snapshots(b, x, found))
    return assemble_bases(V, A, np.zeros(A.shape[1], dtype=int), np.zeros(1, dtype=int), modes)


def one_model(b: Body, x: np.ndarray, found: Runs, size: Size) -> WeightedModel:
    """The global model."""
    return reduced(b, one_basis(b, x, found, size.modes).basis(0), stresses(b, found), size)


def dictionary(
    b: Body, x: np.ndarray, found: Runs, K: int, size: Size, whole: bool, rng: int
) -> Dictionary:
    """Clusters of snapshots, or of whole runs, and a model of each; its stresses are those of its members and, with small weight,
    those that may be sent to it by mistake."""
    shapes, t = leading(heat(b, found), 4), np.tile(found[0][1].t, len(found))
    known = np.repeat(inputs(b, x, found, shapes), len(found[0][1].t), axis=0)
    seen = np.column_stack([known, 0.0 * t if whole else t])
    local = local_bases(
        cube_snapshots(b, x, found),
        K,
        size.modes,
        classifier=fit_classifier,
        inputs=seen,
        whole_runs=whole,
        rng=rng,
    )
    machine: Any = local.classifier
    blind = replace(machine, scale=np.where(np.ptp(seen, axis=0) > 0.0, machine.scale, np.inf))
    share = (1.0 - OVERLAP) * np.eye(K)[local.labels] + OVERLAP * machine.chances
    s = stresses(b, found)
    models = tuple(
        reduced(b, local.basis(k), (s * np.sqrt(w))[..., w > 1e-3], size)
        for k, w in enumerate(share.T)
    )
    return Dictionary(switching(replace(local, classifier=blind), models, b), shapes)


def errors(b: Body, found: Runs, answers: list[Fields]) -> np.ndarray:
    """|u - u_r| / |u| and |sigma - sigma_r| / |sigma| over all steps, (m, 2), of answers u (n, t), sigma (g, 6, t); 1 for None."""
    e = np.ones((len(found), 2))
    for one, (_, h), answer in zip(e, found, answers, strict=True):
        if answer is not None:
            for k, (a, truth, space) in enumerate(
                zip(answer, (h.u, h.stress), (b.space, componentwise(b.points)), strict=True)
            ):
                flat = truth.reshape(space.n, -1)
                one[k] = np.linalg.norm(space.norm(flat - a.reshape(space.n, -1))) / np.linalg.norm(
                    space.norm(flat)
                )
    return e


def alone(b: Body, model: WeightedModel, found: Runs) -> list[Fields]:
    """Displacements and stresses of every run by one global model; None where it did not converge."""
    answers: list[Fields] = []
    for loading, _ in found:
        try:
            h = reduced_march(model, loading.reduce(model.basis, model.points, b.points), loading.t)
        except NotConverged:
            answers.append(None)
        else:
            answers.append(
                (
                    model.basis.lift(h.u),
                    model.dual("stress", h.stress.reshape(-1, h.stress.shape[-1])),
                )
            )
    return answers


def together(
    b: Body, local: Dictionary, x: np.ndarray, found: Runs
) -> tuple[list[Fields], dict[str, float]]:
    """The same by local models, and how often a run switched and how many models a step asked, on average."""
    answers: list[Fields] = []
    done: list[list[SwitchingStep]] = []
    model = local.model
    for known, (loading, _) in zip(inputs(b, x, found, local.shapes), found, strict=True):
        try:
            steps = follow_switching(model, known, model.reduce(loading, b.points))
        except NotConverged:
            answers.append(None)
            continue
        u = model.basis.lift(np.stack([s.c for s in steps], axis=1))
        stress = [model.models[s.k].dual("stress", s.state.stress.ravel()) for s in steps]
        answers.append((u, np.stack(stress, axis=-1)))
        done.append(steps)
    return answers, {
        "switches": float(np.mean([np.sum(np.diff([s.k for s in steps]) != 0) for steps in done])),
        "models_asked": float(np.mean([len(s.tried) for steps in done for s in steps])),
    }


def promised(
    b: Body, x: np.ndarray, found: Runs, size: Size, rng: int, folds: int = 5
) -> dict[tuple[int, bool], tuple[float, float]]:
    """(K, whole runs) -> geometric mean of the gains in u and stress on left-out training runs, and its standard deviation."""
    fold = choose_folds(np.arange(len(x)), folds, np.random.default_rng(rng))
    options = [(K, whole) for whole in (False, True) for K in CANDIDATES]
    e = {option: np.zeros((len(x), 2)) for option in [None, *options]}
    for f in range(folds):
        inside, outside = np.flatnonzero(fold != f), np.flatnonzero(fold == f)
        seen, unseen = ([found[i] for i in part] for part in (inside, outside))
        e[None][outside] = errors(b, unseen, alone(b, one_model(b, x[inside], seen, size), unseen))
        for K, whole in options:
            local = sure(dictionary(b, x[inside], seen, K, size, whole, rng), 0.0)
            e[K, whole][outside] = errors(b, unseen, together(b, local, x[outside], unseen)[0])
    mean = {option: one.mean(axis=0) for option, one in e.items()}
    gain = {option: float(np.sqrt(np.prod(mean[None] / mean[option]))) for option in options}
    share = {
        option: (e[None] / mean[None] - e[option] / mean[option]).mean(axis=1) for option in options
    }
    return {
        option: (gain[option], gain[option] * float(share[option].std(ddof=1)) / len(x) ** 0.5)
        for option in options
    }


def sure(local: Dictionary, below: float) -> Dictionary:
    """Local models that ask several where the classifier's probability is below this."""
    return replace(local, model=replace(local.model, sure=below))


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
    """Local models of `modes` modes, at most `points` points and `stress` modes of stress against one of the same size; errors of
    displacements and stresses over unseen runs. k = 0: as many as gain most on left-out training runs; k < 0: so many of whole runs."""
    b, size = cube(cells, HOT), Size(modes, points, stress)
    x, y = (
        np.random.default_rng([seed, one]).random((m, 7))
        for one, m in enumerate((training, unseen))
    )
    train, test = histories(b, x), histories(b, y)
    numbers: dict[str, Any] = {}
    K, whole = abs(k), k < 0
    if k == 0:
        expected = promised(b, x, train, size, seed)
        best = max(expected, key=expected.__getitem__)
        gain, std = expected[best]
        K, whole = best if gain - std > 1.0 else (1, False)
        numbers = {
            f"expected_gain_{'runs' if kind else 'snapshots'}_{q}": gain
            for (q, kind), (gain, _) in expected.items()
        }
        numbers["expected_gain_std"] = std
    numbers |= {"K": K, "whole_runs": whole}
    single = one_model(b, x, train, size)
    answers = {"global": alone(b, single, test)}
    numbers["points_global"] = numbers["points_local_most"] = len(single.points)
    if K == 1:
        answers["local"] = answers["global"]
    else:
        local = dictionary(b, x, train, K, size, whole, seed)
        numbers["points_local_most"] = max(len(m.points) for m in local.model.models)
        for name, below in (("local", 0.0), ("asking", 0.8)):
            answers[name], counts = together(b, sure(local, below), y, test)
            numbers |= {f"{key}_{name}_mean": value for key, value in counts.items()}
    for name, found in answers.items():
        e = errors(b, test, found)
        for column, field in enumerate(("u", "stress")):
            numbers[f"{name}_{field}_error_mean"] = float(e[:, column].mean())
            numbers[f"{name}_{field}_error_q90"] = float(np.quantile(e[:, column], 0.9))
        numbers[f"not_converged_{name}"] = sum(one is None for one in found)
    gains = {
        f"gain_{field}_{q}": numbers[f"global_{field}_error_{q}"]
        / numbers[f"local_{field}_error_{q}"]
        for field in ("u", "stress")
        for q in ("mean", "q90")
    }
    return (
        gains
        | numbers
        | {"modes": modes, "stress_modes": stress, "training_runs": training, "unseen_runs": unseen}
    )


if __name__ == "__main__":
    run(main)
