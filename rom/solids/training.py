"""Training hyper-reduced solids on histories of u and stress.

Nonintrusive: the solver gives its histories, the strains of modes and its law.
Reference: Casenave and Akkari (2019).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from rom.arrays import each, gate, of_noun
from rom.basis import Basis
from rom.compress.decomposition import pod
from rom.errors import BadInput
from rom.history import History
from rom.loading import Loading
from rom.points.cubature import compress_contributions, ecm, orthonormal_strain, unit
from rom.points.gappy_pod import gappy, gappy_points
from rom.rule import Cubature, Interpolation
from rom.snapshots import Snapshots
from rom.solids.answers import span_of_moves
from rom.solids.body import Solid
from rom.solids.model import SolidModel, Tolerances
from rom.solids.norms import componentwise, tensor_norms
from rom.solids.weighted import WeightedModel, weighted_model, with_duals
from rom.space import Space

SMALL = 0.03  # of the largest |u|: smaller snapshots count by their size, larger ones all alike
BEYOND = 1e-3  # of tol.u: the modes beyond the basis that test equilibrium
INNER = 0.1  # of tol.cubature: what the compression of contributions may lose
LOOSER = 10.0  # times tol.cubature: the second cubature


@gate(histories=each(of_noun(History)))
def train_solid(
    body: Solid,
    histories: Sequence[History],
    tol: Tolerances | None = None,
    *,
    loadings: Sequence[Loading] | None = None,
    stress_unit: str = "Pa",
) -> SolidModel:
    """POD of u, p and stress, cubature, second cubature, gappy rules.

    Snapshots of u and stress count relative to their size.

    loadings : of the histories, needed where prescribed displacements move: the modes are of
        u(t) - u_D(t), and the model alone answers their sums
    stress_unit : of the histories
    Raises BadInput without histories.
    """
    tol = tol or Tolerances()
    if not histories:
        raise BadInput("no histories to train on; march the solid under at least one loading")
    points = body.points
    basis, tests = _displacement_modes(body.space, _free_displacements(histories, loadings), tol)
    unit_stress = np.concatenate([unit(points, h.stress) for h in histories], axis=2)
    stress = _stress_basis(points, unit_stress, tol)
    p, _ = pod(_snapshots(points, np.hstack([h.p for h in histories])), tol=tol.p)
    strain, watch = body.strain(basis.modes), body.strain(tests)
    watch_norms = tensor_norms(points, watch)
    tests, watch = tests / watch_norms, watch / watch_norms
    modes, share = scaled_modes(stress)
    modes = modes / np.sqrt(unit_stress.shape[2])
    fine = modes[..., share > tol.cubature]
    rows = compress_contributions(points, strain, fine, INNER * tol.cubature)
    rule = ecm(rows, points, tol.cubature)
    tested = np.concatenate([orthonormal_strain(points, strain), watch], axis=2)
    coarse = modes[..., share > LOOSER * tol.cubature]
    second = _second_cubature(points, tested, coarse, rule, tol)
    model = online_model(
        body, basis, strain, rule, second=second, p=p, stress=stress, condition=tol.condition
    )
    moves = span_of_moves(loadings) if _is_serial(body.space) else None
    return SolidModel(
        basis=basis,
        strain=strain,
        tests=tests,
        watch=watch,
        rows=rows,
        p=p,
        stress=stress,
        rule=rule,
        second=second,
        tol=tol,
        model=model,
        seen=points.take(watch, second.elements),
        moves=moves,
        moves_strain=None if moves is None else body.strain(moves),
        stress_unit=stress_unit,
        mesh=getattr(body, "mesh", None) if _is_serial(body.space) else None,
    )


def online_model(
    body: Solid,
    basis: Basis,
    strain: np.ndarray,
    rule: Cubature,
    *,
    second: Cubature,
    p: Basis,
    stress: Basis,
    condition: float,
) -> WeightedModel:
    """The model at the points of both cubatures and those that the gappy rules need.

    strain : (g, 6, r) of the basis; p, stress : bases of the dual fields
    condition : of the gappy rule of p, at most
    """
    cubature = np.union1d(rule.elements, second.elements)
    extra = gappy_points(p, cubature, condition)
    without_weight = np.setdiff1d(np.union1d(cubature, extra), rule.elements)
    chosen = np.concatenate([rule.elements, without_weight])
    model = weighted_model(basis, strain, body, chosen, rule.weights)
    return with_duals(model, {"p": gappy(p, chosen), "stress": stress_rule(stress, chosen)})


def stress_rule(stress: Basis, points: np.ndarray) -> Interpolation:
    """The gappy rule of stress from its six components at points (k,)."""
    rows = points[:, None] * 6 + np.arange(6)
    return gappy(stress, rows.ravel())


def singular_values(basis: Basis) -> np.ndarray:
    """Singular values (r,) of the modes of a basis; ones where it has none."""
    if basis.s is None:
        return np.ones(basis.r)
    return np.asarray(basis.s[: basis.r])


def scaled_modes(stress: Basis) -> tuple[np.ndarray, np.ndarray]:
    """Modes (g, 6, r) of stress times their singular values, and s / s_1 (r,)."""
    s = singular_values(stress)
    return (stress.modes * s).reshape(-1, 6, stress.r), s / s[0]


def _free_displacements(
    histories: Sequence[History], loadings: Sequence[Loading] | None
) -> np.ndarray:
    """u(t) - u_D(t), (n, m), of all histories."""
    if loadings is None:
        return np.hstack([h.u for h in histories])
    parts = []
    for h, loading in zip(histories, loadings, strict=True):
        u = h.u
        if loading.moves is not None:
            u = u - np.stack([loading.prescribed(t) for t in h.t.tolist()], axis=1)
        parts.append(u)
    return np.hstack(parts)


def _displacement_modes(space: Space, u: np.ndarray, tol: Tolerances) -> tuple[Basis, np.ndarray]:
    """The basis at tol.u, and the next modes (n, q), to test equilibrium with."""
    sizes = space.norm(u)
    relative = u / np.maximum(sizes, SMALL * sizes.max())
    whole, _ = pod(_snapshots(space, relative), tol=BEYOND * tol.u, method="full")
    squares = np.asarray(whole.s) ** 2
    remainders = np.append(np.cumsum(squares[::-1])[::-1], 0.0)
    tails = np.sqrt(remainders / np.sum(squares))
    needed = max(1, int(np.argmax(tails <= tol.u)))
    rank = min(needed, max(1, whole.r - 1))
    return whole.truncate(rank), whole.modes[:, rank : rank + tol.tests]


def _stress_basis(points: Space, unit_stress: np.ndarray, tol: Tolerances) -> Basis:
    six = componentwise(points)
    basis, _ = pod(_snapshots(six, unit_stress.reshape(six.n, -1)), tol=tol.stress)
    return basis


def _is_serial(space: Space) -> bool:
    """Whether the space lies on one rank."""
    return space.comm is None or space.comm.Get_size() == 1


def _snapshots(space: Space, u: np.ndarray) -> Snapshots:
    return Snapshots(space, np.zeros((u.shape[1], 1)), u)


def _second_cubature(
    points: Space, strain: np.ndarray, stress: np.ndarray, rule: Cubature, tol: Tolerances
) -> Cubature:
    """A looser cubature on other points."""
    rows = compress_contributions(points, strain, stress, tol.cubature)
    other = np.where(np.isin(points.numbers, rule.elements), 0.0, rows)
    return ecm(other, points, LOOSER * tol.cubature, share=rows @ points.product)
