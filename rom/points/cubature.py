"""Empirical cubature: few points, positive weights, for a reduced model.

min |I| subject to |G w - G_I w_I| <= tol |G w|, w_I >= 0, by nonnegative orthogonal matching on
compressed rows.
Reference: Hernandez, Caicedo and Ferrer (2017).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import scipy.linalg as la

from rom.arrays import TENSORS, VECTOR, array_of, gate, integers
from rom.errors import BadInput
from rom.points.matching import matching_pursuit
from rom.rule import Cubature
from rom.space import Space

CHUNK = 4_000  # points of which contributions are held at a time
STRAIN_FLOOR = 1e-14  # of the largest squared size: what round-off leaves of strain modes
STRESS_FLOOR = 1e-12  # of the largest norm: snapshots that count as zero
TINY = 1e-280  # of an energy
ROWS_FLOOR = 1e-8  # least tolerance of the compression, by a Gram matrix


@gate(strain=TENSORS, stress=TENSORS)
def contributions(strain: np.ndarray, stress: np.ndarray) -> np.ndarray:
    """G_{(s, k), i} = sigma_s(x_i) . eps_k(x_i), (m r + 1, g), and a row of ones.

    strain : (g, c, r) of modes, stress : (g, c, m) of snapshots, in Mandel notation
    The last row is for the volume.
    """
    _check_tensors(strain, stress)
    products = np.matmul(stress.transpose(0, 2, 1), strain)
    rows = products.reshape(len(strain), -1)
    return np.vstack([rows.T, np.ones(len(strain))])


@gate(space=Space, strain=TENSORS, stress=TENSORS)
def compress_contributions(
    space: Space, strain: np.ndarray, stress: np.ndarray, tol: float = 1e-7
) -> np.ndarray:
    """U^T G (k, g), U the left singular vectors of G sqrt(W) beyond tol s_1.

    space : of the points, its diagonal product holds their weights W
    strain : (g, c, r), stress : (g, c, m); snapshots of stress had better be `unit` ones
    |b - G_I w_I| is kept to tol. The strain modes are first made orthonormal in L2, so that an
    error of the integrals is one of the strains; the volume row gets the size of the others,
    |sigma| |eps|. One allreduce of rows^2 numbers; G is never held as a whole.
    Raises BadInput where the shapes do not agree.
    """
    _check_tensors(strain, stress, space)
    strain = orthonormal_strain(space, strain)
    gram = _contributions_gram(space, strain, stress)
    _refuse_zero(gram[:-1, :-1].trace())
    scale = _row_scale(gram)
    gram *= scale * scale[:, None]
    floor = max(tol, ROWS_FLOOR) ** 2 * _largest_eigenvalue(gram)
    _, U = la.eigh(gram, subset_by_value=[floor, np.inf])
    T = (U * scale[:, None]).T
    rows = np.empty((len(T), space.n))
    for points, G in _chunks(strain, stress):
        rows[:, points] = T @ G
    return rows


@gate(space=Space, strain=TENSORS)
def orthonormal_strain(space: Space, strain: np.ndarray) -> np.ndarray:
    """Strain modes (g, c, r) recombined to be orthonormal in L2.

    Without those that round-off leaves nothing of.
    """
    _check_tensors(strain, strain, space)
    _, components, modes = strain.shape
    flat = strain.reshape(strain.shape[0] * components, modes)
    weight = np.repeat(space.product, components)[:, None]
    gram = space.sum(flat.T @ (weight * flat))
    if not modes:
        return strain
    squares, U = la.eigh(gram)
    visible = squares > STRAIN_FLOOR * squares[-1]
    rotation = U[:, visible] / np.sqrt(squares[visible])
    return np.asarray(strain @ rotation)


@gate(space=Space, stress=TENSORS)
def unit(space: Space, stress: np.ndarray) -> np.ndarray:
    """Snapshots (g, c, m) divided by their norms in L2, without zero ones.

    So steps of little stress count as much as the others.
    """
    _check_tensors(stress, stress, space)
    squares = np.einsum("gcm,gcm,g->m", stress, stress, space.product)
    norms = np.sqrt(space.sum(squares))
    largest = norms.max(initial=0.0)
    nonzero = norms > STRESS_FLOOR * largest
    return np.asarray(stress[..., nonzero] / norms[nonzero])


@gate(G=array_of("(k, g)", empty=True), space=Space, start=integers, share=VECTOR)
def ecm(
    G: np.ndarray,
    space: Space,
    tol: float = 1e-6,
    start: np.ndarray | None = None,
    *,
    merge: bool = True,
    max_points: int | None = None,
    share: np.ndarray | None = None,
) -> Cubature:
    """w_I > 0 with |G w - G_I w_I| <= tol |G w|.

    G : (k, g) contributions per point; space : of the points, product: weights w
    start : global numbers of points to begin with, those of an older rule
    share : (k,) this rank's integrals, if not G w
    On several ranks every rank chooses among its own points for its own integrals; `merge`
    matches the sum of them once more with the points chosen. The rule is the same on every rank.
    Raises BadInput for NaN, for G that does not fit, or where nothing is to be integrated.
    """
    _check_contributions(G, space)
    share = G @ space.product if share is None else share
    if share.shape != (len(G),):
        raise BadInput(f"share has shape {share.shape}; give one integral per row: ({len(G)},)")
    if not np.linalg.norm(space.sum(share)) > 0:
        raise BadInput("every training integral is zero; there is nothing to integrate")
    own = np.zeros(0, dtype=np.int64)
    if start is not None:
        own = np.flatnonzero(np.isin(space.numbers, start))
    chosen, weights, error = own[:0], np.zeros(0), 0.0
    if np.any(share):
        chosen, weights, error = matching_pursuit(G, share, tol, own, max_points=max_points)
    if space.comm is None or space.comm.Get_size() == 1:
        return Cubature(space.numbers[chosen], weights, error, tol, _reason(error, tol))
    elements, weights = _gather_rule(space, chosen, weights)
    columns = space.take(np.ascontiguousarray(G.T), elements).T
    b = space.sum(share)
    if not merge:
        rest = b - columns @ weights
        error = float(np.linalg.norm(rest) / np.linalg.norm(b))
        return Cubature(elements, weights, error, tol, "local")
    places, weights, error = matching_pursuit(columns, b, tol, own[:0], max_points=max_points)
    reason = f"merged: {_reason(error, tol)}"
    return Cubature(elements[places], weights, error, tol, reason)


@gate(space=Space, strain=TENSORS, stress=TENSORS, rule=Cubature)
def exactness(
    space: Space, strain: np.ndarray, stress: np.ndarray, rule: Cubature
) -> dict[str, float]:
    """Relative errors of a rule: integrals, worst snapshot, volume.

    "integrals" : of (strain, stress) together; "worst_snapshot" : over the largest snapshot
    """
    _check_tensors(strain, stress, space)
    weights = _scatter_weights(space, rule)
    snapshots = stress.shape[2]
    rows = strain.shape[2] * snapshots + 1
    exact, approximate = np.zeros(rows), np.zeros(rows)
    for points, G in _chunks(strain, stress):
        exact += G @ space.product[points]
        approximate += G @ weights[points]
    exact = space.sum(exact)
    approximate = space.sum(approximate)
    _refuse_zero(float(exact[:-1] @ exact[:-1]))
    integrals = exact[:-1].reshape(snapshots, -1)
    errors = (exact - approximate)[:-1].reshape(snapshots, -1)
    worst = np.linalg.norm(errors, axis=1).max()
    largest = np.linalg.norm(integrals, axis=1).max()
    return {
        "integrals": float(np.linalg.norm(errors) / np.linalg.norm(integrals)),
        "worst_snapshot": float(worst / largest),
        "volume": float(abs(exact[-1] - approximate[-1]) / exact[-1]),
    }


def _refuse_zero(energy: float) -> None:
    """BadInput where strain, stress or their squares vanish."""
    if not energy > TINY:
        raise BadInput("strain or stress is zero at every point; there is nothing to integrate")


def _check_tensors(strain: np.ndarray, stress: np.ndarray, space: Space | None = None) -> None:
    """BadInput where points or components of strain and stress disagree."""
    g = len(strain) if space is None else space.n
    if strain.shape[:2] != stress.shape[:2] or len(strain) != g:
        raise BadInput(f"strain {strain.shape} and stress {stress.shape} must agree in ({g}, c)")


def _chunks(strain: np.ndarray, stress: np.ndarray) -> Iterator[tuple[slice, np.ndarray]]:
    """(points, contributions of these points)."""
    for start in range(0, len(strain), CHUNK):
        points = slice(start, min(start + CHUNK, len(strain)))
        yield points, contributions(strain[points], stress[points])


def _contributions_gram(space: Space, strain: np.ndarray, stress: np.ndarray) -> np.ndarray:
    """G W G^T over all ranks."""
    rows = strain.shape[2] * stress.shape[2] + 1
    gram = np.zeros((rows, rows))
    for points, G in _chunks(strain, stress):
        gram += (G * space.product[points]) @ G.T
    return space.sum(gram)


def _row_scale(gram: np.ndarray) -> np.ndarray:
    """QrFactors of rows: the volume gets the size of all others."""
    scale = np.ones(len(gram))
    volume = gram[-1, -1]
    if volume > 0:
        others = gram[:-1, :-1].trace()
        scale[-1] = np.sqrt(others / volume)
    return scale


def _largest_eigenvalue(gram: np.ndarray) -> Any:
    """The largest eigenvalue, to a thousandth."""
    from scipy.sparse.linalg import eigsh

    if len(gram) <= 2:
        return la.norm(gram, 2)
    column = np.argmax(gram.diagonal())
    values = eigsh(gram, 1, v0=gram[:, column], return_eigenvectors=False, tol=1e-3)
    return values[0]


def _check_contributions(G: np.ndarray, space: Space) -> None:
    """BadInput for contributions of another space."""
    if G.shape[1] != space.n:
        raise BadInput(
            f"contributions have shape {G.shape}; give (k, {space.n}), one column per point"
        )


def _gather_rule(
    space: Space, chosen: np.ndarray, weights: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Global numbers and weights of the points that all ranks chose."""
    flags = np.zeros(space.n)
    flags[chosen] = weights
    every = space.gather(flags[:, None])[:, 0]
    elements = np.flatnonzero(every)
    return elements, every[elements]


def _scatter_weights(space: Space, rule: Cubature) -> np.ndarray:
    """The weights of a rule at the points that this rank owns, zero elsewhere, (g,)."""
    weights = np.zeros(space.n)
    order = np.argsort(space.numbers)
    ordered = space.numbers[order]
    here = np.isin(rule.elements, space.numbers)
    owned = np.isin(rule.elements, space.numbers[space.owned])
    mine = here & owned
    places = np.searchsorted(ordered, rule.elements[mine])
    weights[order[places]] = rule.weights[mine]
    return weights


def _reason(error: float, tol: float) -> str:
    """What ended the search."""
    if error <= tol:
        return f"tol {tol:g} reached"
    return f"tol {tol:g} not reached: no point reduces the residual further"
