"""The hull of local bases: one basis of the directions of all of them.

Snapshots of norm one are u_i ~ V a_i; a local basis is V W_k with orthonormal W_k.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import scipy.linalg as la

from rom.basis import Basis, LocalBases
from rom.compress.blocks import coefficients, norms
from rom.compress.decomposition import pod
from rom.local.dissimilarity import check_directions
from rom.snapshots import Snapshots

LEAST_WEIGHT = 1e-3  # a sample of less weight teaches a basis nothing
ROUND_OFF = 1e-12  # relative singular value of a direction that is round-off
DEPENDENT = 1e-10  # relative singular value of a direction that another basis has


def hull_coordinates(snapshots: Snapshots, tol: float = 1e-7) -> tuple[Basis, np.ndarray]:
    """u_i / |u_i| ~ V a_i: an orthonormal basis V, and a (R, m) of norm one up to tol.

    tol : relative, on what V may miss of all directions
    Raises BadInput naming a zero snapshot: 0 has no direction.
    """
    size = norms(snapshots)
    check_directions(size, snapshots)
    unit = snapshots.transform(lambda u, columns: u / size[columns])
    budget = getattr(snapshots.u, "budget", None)
    basis, _ = pod(unit, tol=tol, method="full", memory_budget=budget)
    return basis, coefficients(snapshots, basis) / size


def leading(A: np.ndarray, rank: int) -> np.ndarray:
    """The leading left singular vectors of A that exceed round-off, at most `rank`."""
    U, s, _ = la.svd(A, full_matrices=False, check_finite=False)
    significant = int(np.sum(s > ROUND_OFF * s[0]))
    return np.asarray(U[:, : min(rank, significant)])


def assemble_bases(
    hull: Basis,
    coordinates: np.ndarray,
    labels: np.ndarray,
    medoids: np.ndarray,
    rank: int,
    *,
    errors: np.ndarray | None = None,
    weights: np.ndarray | None = None,
) -> LocalBases:
    """Local bases of labels (m,); their hull is the span of all of them inside `hull`.

    coordinates : (R, m) of the snapshots; medoids : (k,) numbers of their representatives
    weights : (m, k) of each snapshot in each basis, in place of the labels
    errors : (m, k) held-out errors, stored with the bases
    """
    if weights is None:
        weights = np.eye(len(medoids))[labels]
    spans = []
    for weight in weights.T:
        members = (coordinates * np.sqrt(weight))[:, weight > LEAST_WEIGHT]
        spans.append(leading(members, rank))
    Q, s, _ = la.svd(np.hstack(spans), full_matrices=False)
    Q = Q[:, s > DEPENDENT * s[0]]
    rotations = []
    for span in spans:
        rotation, _ = la.qr(Q.conj().T @ span, mode="economic")
        rotations.append(rotation)
    centres = Q.conj().T @ coordinates[:, medoids]
    joint = replace(
        hull,
        modes=hull.modes @ Q,
        s=None,
        rank_asked=rank * len(spans),
        tol_asked=None,
        reason=f"hull of {len(spans)} local bases",
    )
    return LocalBases(joint, tuple(rotations), labels, centres / la.norm(centres, axis=0), errors)
