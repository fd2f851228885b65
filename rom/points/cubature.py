"""Empirical cubature: few points with positive weights that integrate what a reduced model integrates.

min |I| subject to |G w - G_I w_I| <= tol |G w|, w_I >= 0, by nonnegative orthogonal matching on compressed rows.
Reference: Hernandez, Caicedo & Ferrer (2017).
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import scipy.linalg as la
from scipy.sparse.linalg import eigsh

from rom.errors import BadInput
from rom.rule import Cubature
from rom.space import Space

CHUNK, ENOUGH = 4_000, 0.9


def contributions(strain: np.ndarray, stress: np.ndarray) -> np.ndarray:
    """G_{(s, k), i} = sigma_s(x_i) . eps_k(x_i), (m r + 1, g), and a last row of ones, for the volume.

    strain (g, c, r) of modes and stress (g, c, m) of snapshots, in Mandel notation
    """
    rows = np.matmul(stress.transpose(0, 2, 1), strain).reshape(len(strain), -1)
    return np.vstack([rows.T, np.ones(len(strain))])


def compress_contributions(
    space: Space, strain: np.ndarray, stress: np.ndarray, tol: float = 1e-7
) -> np.ndarray:
    """U^T G (k, g), U the left singular vectors of G sqrt(W) whose singular values exceed tol s_1: |b - G_I w_I| is kept to tol.

    First the strain modes are made orthonormal in L2, so that an error of the integrals is one of the strains; the volume row gets
    the size of the others, |sigma| |eps|. Snapshots of stress had better be `unit` ones. One allreduce of rows^2 numbers.
    space : of the points, its diagonal product holds their weights. G is never held as a whole.
    """
    if strain.shape[:2] != stress.shape[:2] or len(strain) != space.n:
        raise BadInput(
            f"strain {strain.shape} and stress {stress.shape} must agree in ({space.n}, c)"
        )
    strain = orthonormal_strain(space, strain)
    rows = strain.shape[2] * stress.shape[2] + 1
    gram = np.zeros((rows, rows))
    for part, G in _blocks(strain, stress):
        gram += (G * space.product[part]) @ G.T
    gram = space.sum(gram)
    scale = np.ones(rows)
    scale[-1] = np.sqrt(gram[:-1, :-1].trace() / gram[-1, -1]) if gram[-1, -1] > 0 else 1.0
    gram *= scale * scale[:, None]
    top = (
        eigsh(gram, 1, v0=gram[:, np.argmax(gram.diagonal())], return_eigenvectors=False, tol=1e-3)[
            0
        ]
        if rows > 2
        else la.norm(gram, 2)
    )
    _, U = la.eigh(gram, subset_by_value=[max(tol, 1e-8) ** 2 * top, np.inf])
    T = (U * scale[:, None]).T
    found = np.empty((len(T), space.n))
    for part, G in _blocks(strain, stress):
        found[:, part] = T @ G
    return found


def orthonormal_strain(space: Space, strain: np.ndarray) -> np.ndarray:
    """Strain modes (g, c, r) recombined to be orthonormal in L2, less those that round-off leaves nothing of."""
    flat = strain.reshape(-1, strain.shape[2])
    s2, U = la.eigh(space.sum(flat.T @ (np.repeat(space.product, strain.shape[1])[:, None] * flat)))
    keep = s2 > 1e-14 * s2[-1]
    return strain @ (U[:, keep] / np.sqrt(s2[keep]))


def unit(space: Space, stress: np.ndarray) -> np.ndarray:
    """Snapshots (g, c, m) divided by their norms in L2, zeros left out: the steps of little stress count as much as the others."""
    norms = np.sqrt(space.sum(np.einsum("gcm,gcm,g->m", stress, stress, space.product)))
    on = norms > 1e-12 * norms.max(initial=0.0)
    return stress[..., on] / norms[on]


def _blocks(strain: np.ndarray, stress: np.ndarray) -> Iterator[tuple[slice, np.ndarray]]:
    for i in range(0, len(strain), CHUNK):
        part = slice(i, min(i + CHUNK, len(strain)))
        yield part, contributions(strain[part], stress[part])


def ecm(
    G: np.ndarray, space: Space, tol: float = 1e-6, start: np.ndarray | None = None, merge: bool = True, most: int | None = None,
    share: np.ndarray | None = None,
) -> Cubature:  # fmt: skip
    """w_I > 0 with |G w - G_I w_I| <= tol |G w|: G (k, g) contributions per point, space of the points (product: weights w).

    start : global point numbers to begin with (those of an older rule); share (k,) : this rank's integrals, if not G w. On several ranks every rank chooses among its own points
    for its own integrals; `merge` matches the sum of them once more with the points found. The rule is the same on every rank.
    Raises BadInput for NaN, for G that does not fit, where nothing is to be integrated.
    """
    w = space.product
    if G.ndim != 2 or G.shape[1] != space.n or not np.isfinite(G).all():
        raise BadInput(
            f"contributions have shape {G.shape} or hold NaN; give (k, {space.n}) finite numbers, one column per point"
        )
    own = (
        np.zeros(0, dtype=np.int64)
        if start is None
        else np.flatnonzero(np.isin(space.numbers, start))
    )
    share = G @ w if share is None else share
    if not np.linalg.norm(space.sum(share)) > 0:
        raise BadInput("every training integral is zero; there is nothing to integrate")
    chosen, weights, error = (
        matching(G, share, tol, own, most) if np.any(share) else (own[:0], np.zeros(0), 0.0)
    )
    if space.comm is None or space.comm.Get_size() == 1:
        return Cubature(space.numbers[chosen], weights, error, tol, _why(error, tol))
    flags = np.zeros(space.n)
    flags[chosen] = weights
    every = space.gather(flags[:, None])[:, 0]
    elements = np.flatnonzero(every)
    columns, b = space.take(np.ascontiguousarray(G.T), elements).T, space.sum(share)
    if not merge:
        error = float(np.linalg.norm(b - columns @ every[elements]) / np.linalg.norm(b))
        return Cubature(elements, every[elements], error, tol, "local")
    kept, weights, error = matching(columns, b, tol, np.zeros(0, np.int64), most)
    return Cubature(elements[kept], weights, error, tol, f"merged: {_why(error, tol)}")


def _why(error: float, tol: float) -> str:
    return (
        f"tol {tol:g} reached"
        if error <= tol
        else f"tol {tol:g} not reached: no point reduces the residual further"
    )


def matching(
    G: np.ndarray, b: np.ndarray, tol: float, start: np.ndarray, most: int | None = None
) -> tuple[np.ndarray, np.ndarray, float]:
    """Points, weights > 0 and |b - G_I w| / |b| by nonnegative orthogonal matching pursuit: an active-set method (Lawson & Hanson 1974)
    that takes the column of steepest descent per unit length and keeps a QR factorisation of the columns taken.

    A sweep over all columns leaves the best as candidates, among which points are taken one by one, each by the residual that the last
    one left, for as long as they are nearly as good (`ENOUGH`) as the best of the sweep was.
    """
    size, lengths = float(np.linalg.norm(b)), np.sqrt(np.einsum("kg,kg->g", G, G))
    inverse = np.divide(
        1.0, lengths, out=np.zeros_like(lengths), where=lengths > 1e-12 * lengths.max()
    )
    room, count = min(len(b), G.shape[1], most or len(b)), min(G.shape[1], max(len(b), 64))
    active = [int(i) for i in start[:room] if inverse[i] > 0]
    Q, T = (
        la.qr(G[:, active], mode="economic")
        if active
        else (np.zeros((len(b), 0)), np.zeros((0, 0)))
    )
    Q, T, active, w = _settled(Q, T, active, np.ones(len(active)), b)
    r = b - Q @ (Q.T @ b)
    left, useless = float(np.linalg.norm(r)), inverse == 0
    closed = _marked(useless, active)
    near, columns, floor = np.zeros(0, dtype=np.int64), G[:, :0], np.inf
    while left > tol * size and len(active) < room:
        score = np.where(closed[near], -np.inf, (r @ columns) * inverse[near])
        if not score.max(initial=-np.inf) > max(floor * left, 1e-14 * size):
            every = np.where(closed, -np.inf, (r @ G) * inverse)
            near = np.argpartition(every, len(every) - count)[-count:]
            columns, score = G[:, near], every[near]
            floor = ENOUGH * float(score.max()) / left
            if not score.max() > 1e-14 * size:
                break
        i = int(np.argmax(score))
        point = int(near[i])
        grown = _with(Q, T, columns[:, i])
        if (
            not grown[0][:, -1] @ b > 0
        ):  # round-off: the column is no direction of descent after all
            closed[point] = True
            continue
        Q, T, active, w = _settled(*grown, [*active, point], np.append(w, 0.0), b)
        r = b - Q @ (Q.T @ b)
        before, left = left, float(np.linalg.norm(r))
        closed = _marked(useless if left < before else _marked(closed, [point]), active)
    return np.array(active, dtype=np.int64), w, float(np.linalg.norm(b - G[:, active] @ w) / size)


def _marked(marks: np.ndarray, places: list[int]) -> np.ndarray:
    made = marks.copy()
    made[places] = True
    return made


def _settled(
    Q: np.ndarray, T: np.ndarray, active: list[int], w: np.ndarray, b: np.ndarray
) -> tuple[np.ndarray, np.ndarray, list[int], np.ndarray]:
    """From feasible w >= 0 towards the least-squares weights; columns whose weight comes to zero leave, until all are positive."""
    while active:
        x = la.solve_triangular(T, Q.T @ b)
        low = x <= 0
        if not low.any():
            return Q, T, active, x
        share = float(np.min(w[low] / (w[low] - x[low])))
        w = w + share * (x - w)
        gone = np.flatnonzero(low & (w <= 1e-14 * np.abs(w).max()))
        for j in gone[::-1]:
            Q, T = la.qr_delete(Q, T, int(j), which="col")
        Q, T = Q[:, : T.shape[1]], T[: T.shape[1]]
        active, w = (
            [i for k, i in enumerate(active) if k not in set(gone.tolist())],
            np.delete(w, gone),
        )
    return Q, T, active, w


def _with(Q: np.ndarray, T: np.ndarray, column: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The factors Q T of one more column: Gram-Schmidt, twice."""
    c = Q.T @ column
    v = column - Q @ c
    again = Q.T @ v
    v, c = v - Q @ again, c + again
    length = max(float(np.linalg.norm(v)), 1e-300)
    grown = np.zeros((len(c) + 1, len(c) + 1))
    grown[:-1, :-1], grown[:-1, -1], grown[-1, -1] = T, c, length
    return np.column_stack([Q, v / length]), grown


def exactness(
    space: Space, strain: np.ndarray, stress: np.ndarray, rule: Cubature
) -> dict[str, float]:
    """Relative errors of a rule: of the integrals of (strain, stress) together, the worst snapshot's over the largest, of the volume."""
    flags = np.zeros(space.n)
    place = np.argsort(space.numbers)
    here = np.isin(rule.elements, space.numbers) & np.isin(
        rule.elements, space.numbers[space.owned]
    )
    flags[place[np.searchsorted(space.numbers[place], rule.elements[here])]] = rule.weights[here]
    exact, ours = (
        np.zeros(strain.shape[2] * stress.shape[2] + 1),
        np.zeros(strain.shape[2] * stress.shape[2] + 1),
    )
    for part, G in _blocks(strain, stress):
        exact += G @ space.product[part]
        ours += G @ flags[part]
    exact, ours = space.sum(exact), space.sum(ours)
    table, error = (
        exact[:-1].reshape(stress.shape[2], -1),
        (exact - ours)[:-1].reshape(stress.shape[2], -1),
    )
    worst = np.linalg.norm(error, axis=1).max() / np.linalg.norm(table, axis=1).max()
    return {
        "integrals": float(np.linalg.norm(error) / np.linalg.norm(table)),
        "worst_snapshot": float(worst),
        "volume": float(abs(exact[-1] - ours[-1]) / exact[-1]),
    }
