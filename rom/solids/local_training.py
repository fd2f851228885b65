"""Local hyper-reduced solids: one model for each group of steps, or of whole runs.

Each cluster has its own basis, cubature and stress basis within a fixed budget.
Reference: Daniel et al. (2022).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import scipy.linalg as la

from rom.arrays import POINTS, gate
from rom.basis import Basis, LocalBases
from rom.history import History
from rom.loading import Loading
from rom.local.bases import local_bases
from rom.local.hull import LEAST_WEIGHT, assemble_bases, hull_coordinates
from rom.local.learning import fit_classifier
from rom.points.cubature import compress_contributions, ecm, unit
from rom.snapshots import Snapshots
from rom.solids.body import Solid
from rom.solids.norms import componentwise
from rom.solids.switching import LocalWeighted, switching
from rom.solids.training import stress_rule
from rom.solids.weighted import WeightedModel, weighted_model, with_duals

Runs = Sequence[tuple[Loading, History]]
Describe = Callable[[np.ndarray, Runs], np.ndarray]  # (mu (m, p), runs) -> inputs (m, q)

OVERLAP = 0.3  # weight of the stresses that may be sent to a model by mistake
CUBATURE_TOL = 1e-5
COMPRESSION_TOL = 1e-8
SIGNIFICANT = 1e-6  # relative singular value of stress that the cubature integrates


@dataclass(frozen=True)
class Budget:
    """What one model costs online: modes of u, points, modes of stress."""

    modes: int
    points: int
    stress: int


def run_snapshots(body: Solid, mu: np.ndarray, runs: Runs) -> Snapshots:
    """Displacements of the runs as columns, at the parameters mu (m, p) of each run."""
    histories = [history for _, history in runs]
    u = np.hstack([history.u for history in histories])
    t = np.concatenate([history.t for history in histories])
    return Snapshots(body.space, np.repeat(mu, len(histories[0].t), axis=0), u, t)


def unit_stresses(body: Solid, runs: Runs) -> np.ndarray:
    """All snapshots of stress, (g, 6, m), of unit norm."""
    stress = np.concatenate([history.stress for _, history in runs], axis=2)
    return unit(body.points, stress)


def fit_budget(body: Solid, basis: Basis, stress: np.ndarray, budget: Budget) -> WeightedModel:
    """A model within a budget, for stresses (g, 6, m) and their gappy rule."""
    strain, six = body.strain(basis.modes), componentwise(body.points)
    root = np.sqrt(six.product)[:, None]
    U, s, _ = la.svd(stress.reshape(six.n, -1) * root, full_matrices=False)
    significant = (U * s / root)[:, s > SIGNIFICANT * s[0]]
    columns = significant.reshape(*stress.shape[:2], -1)  # all integrals, in few columns
    rows = compress_contributions(body.points, strain, columns, COMPRESSION_TOL)
    rule = ecm(rows, body.points, CUBATURE_TOL, max_points=budget.points)
    model = weighted_model(basis, strain, body, rule.elements, rule.weights)
    stress_basis = Basis(six, U[:, : budget.stress] / root)
    return with_duals(model, {"stress": stress_rule(stress_basis, rule.elements)})


def global_basis(body: Solid, mu: np.ndarray, runs: Runs, rank: int) -> LocalBases:
    """One basis, by the same normalised POD, as local bases of one cluster."""
    hull, coordinates = hull_coordinates(run_snapshots(body, mu, runs))
    labels = np.zeros(coordinates.shape[1], dtype=int)
    return assemble_bases(hull, coordinates, labels, np.zeros(1, dtype=int), rank)


def global_model(body: Solid, mu: np.ndarray, runs: Runs, budget: Budget) -> WeightedModel:
    """The one model that local ones are compared with."""
    basis = global_basis(body, mu, runs, budget.modes).basis(0)
    return fit_budget(body, basis, unit_stresses(body, runs), budget)


@gate(mu=POINTS, inputs=POINTS)
def local_solids(
    body: Solid,
    mu: np.ndarray,
    runs: Runs,
    inputs: np.ndarray,
    clusters: int,
    *,
    budget: Budget,
    whole_runs: bool = False,
    rng: int | np.random.Generator = 0,
) -> LocalWeighted:
    """Clusters of snapshots, or of whole runs, and a model of each.

    The stresses of a model are those of its members and, with small weight, those that may be
    sent to it by mistake.

    mu : (m, p) parameters of the runs; inputs : (m, q) what the classifier sees, beside t
    """
    times = runs[0][1].t
    t = np.tile(times, len(runs))
    columns = np.column_stack([np.repeat(inputs, len(times), axis=0), 0.0 * t if whole_runs else t])
    local = local_bases(
        run_snapshots(body, mu, runs),
        clusters,
        budget.modes,
        classifier=fit_classifier,
        inputs=columns,
        whole_runs=whole_runs,
        rng=rng,
    )
    machine: Any = local.classifier
    varies = np.ptp(columns, axis=0) > 0.0
    blind = replace(machine, scale=np.where(varies, machine.scale, np.inf))
    weights = (1.0 - OVERLAP) * np.eye(local.K)[local.labels] + OVERLAP * machine.chances
    stress = unit_stresses(body, runs)
    models = []
    for k, weight in enumerate(weights.T):
        own = (stress * np.sqrt(weight))[..., weight > LEAST_WEIGHT]
        models.append(fit_budget(body, local.basis(k), own, budget))
    return switching(replace(local, classifier=blind), tuple(models), body)
