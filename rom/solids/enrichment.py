"""Enrichment: a model learns from full steps, without training anew."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from rom.basis import Basis, gram_schmidt
from rom.history import State
from rom.points.cubature import contributions, ecm, orthonormal_strain, unit
from rom.solids.body import Solid
from rom.solids.model import SolidModel
from rom.solids.norms import componentwise, tensor_norms
from rom.solids.training import online_model, scaled_modes, singular_values


def extend_model(
    model: SolidModel,
    body: Solid,
    displacements: Sequence[np.ndarray],
    states: Sequence[State],
    *,
    size_of_p: float = 0.0,
) -> SolidModel:
    """The model with displacements, and stress and p of states, added to its bases.

    Bases grow by Gram-Schmidt; the cubature gets rows for what is new and is matched again
    from its own points.

    displacements : (n,) each, less what is prescribed
    size_of_p : p counts relative to its largest norm in `states`, or to this
    """
    points, six, tol = body.points, componentwise(body.points), model.tol
    basis = _extend_basis(model.basis, np.stack(displacements, axis=1), tol.u)
    fresh = body.strain(basis.modes[:, model.basis.r :])
    strain = np.concatenate([model.strain, fresh], axis=2)
    stresses = unit(points, np.stack([state.stress for state in states], axis=-1))
    stress = _extend_basis(model.stress, stresses.reshape(six.n, -1), tol.stress)
    plastic = np.stack([state.p for state in states], axis=1)
    scale = max(size_of_p, float(points.norm(plastic).max()))
    p = _extend_basis(model.p, plastic, tol.p, scale=scale)
    # what is new of stress, for all strains; what older rows know of stress, for new strains
    last = contributions(orthonormal_strain(points, strain), stresses[..., -1:])
    blocks = [model.rows, last[:-1]]
    if fresh.shape[2]:
        directions = fresh / tensor_norms(points, fresh)
        blocks.append(contributions(directions, _known_stress(model.stress))[:-1])
    rows = np.vstack(blocks)
    rule = ecm(rows, points, tol.cubature, start=model.rule.elements)
    online = online_model(
        body,
        basis,
        strain,
        rule,
        second=model.second,
        p=p,
        stress=stress,
        condition=tol.condition,
    )
    return replace(
        model,
        basis=basis,
        strain=strain,
        rows=rows,
        p=p,
        stress=stress,
        rule=rule,
        model=online,
        seen=points.take(model.watch, model.second.elements),
    )


def _known_stress(stress: Basis) -> np.ndarray:
    """Modes (g, 6, r) of stress times the share of each in its snapshots."""
    modes, _ = scaled_modes(stress)
    return np.asarray(modes / np.sqrt(np.sum(np.asarray(stress.s) ** 2)))


def _extend_basis(basis: Basis, u: np.ndarray, tol: float, *, scale: float | None = None) -> Basis:
    """The basis with directions of what it lacks, beyond tol |u| or tol scale.

    The singular values of the new modes are their sizes.
    """
    space, modes, s = basis.space, basis.modes, singular_values(basis)
    for column in u.T:
        lack = column - modes @ space.inner(modes, column[:, None])[:, 0]
        size = space.norm(lack)
        reference = space.norm(column) if scale is None else scale
        if size > tol * reference:
            direction, _ = gram_schmidt(space, lack[:, None], modes)
            modes = np.column_stack([modes, direction])
            s = np.append(s, size)
    return replace(basis, modes=modes, s=s, reason=f"{basis.reason}; enriched")
