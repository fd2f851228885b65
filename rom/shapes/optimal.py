"""Optimal mappings: bijections of the reference under which all samples' fields need few modes."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
import scipy.sparse as sp
from scipy.sparse.linalg import splu

from rom.errors import BadInput
from rom.mesh import Mesh
from rom.shapes.ascent import Linear, ascend
from rom.shapes.energy import Energy, energy, smooth_fields
from rom.shapes.simplex import (
    elasticity,
    facet_normals,
    facets,
    geometry,
    lumped_mass,
    mass,
    simplices,
    stiffness,
)

log = logging.getLogger("rom")


@dataclass(frozen=True, eq=False)
class Mappings:
    """psi_i = id + w_i on the nodes of the reference: w (m, N, d), v_i = u_i o psi_i.

    energy : J_r after every accepted step; smallest : min det grad psi_i per sample (m,)
    """

    w: np.ndarray
    energy: np.ndarray
    smallest: np.ndarray


def optimal_mappings(
    reference: Mesh,
    fields: np.ndarray,
    stages: Sequence[tuple[int, float]] = ((1, 0.1), (2, 0.03), (2, 0.01), (2, 0.0)),
    covariance: np.ndarray | None = None,
    length: float = 0.05,
    kind: str = "helmholtz",
    boundary: str = "slip",
    weights: np.ndarray | None = None,
    barrier: float = 2.0,
    rho: float = 1e-2,
    steps: int = 60,
    start: np.ndarray | None = None,
    rank: int | None = None,
    restarts: int = 0,
) -> Mappings:
    """argmax over bijections psi_i of J_r, all samples at once, by preconditioned quasi-Newton ascent with continuation in r.

    fields : (m, N) or (m, N, c) at the nodes of the reference; stages : (r, width of the smoothing in diameters) one after the other
    covariance (m, m) over the samples, such as a kernel of their parameters: mappings are then regular in them
    length : of the Helmholtz or elasticity preconditioner, in diameters; boundary : "slip" (normal component zero, corners fixed) or "fixed"
    start : w of a coarser run; rank : at last w_i = w_0 + sum_{k<=rank} c_ik phi_k, phi and c optimised together
    restarts : so often the last stage starts again from the identity on the fields mapped so far, and the mappings are composed
    Raises BadInput for shapes that do not fit. Reference: Kabalan, Casenave, Bordeu, Ehrlacher, Ern (2025).
    """
    cells, x = simplices(reference), reference.points
    u = np.asarray(fields, dtype=float)
    u = u[:, :, None] if u.ndim == 2 else u
    if u.ndim != 3 or u.shape[1] != len(x) or cells.shape[1] != x.shape[1] + 1:
        raise BadInput(
            f"fields have shape {u.shape}, the reference {len(x)} nodes of a {x.shape[1]}-D domain; give (m, {len(x)}, c)"
        )
    if not stages or (rank is not None and rank < 1):
        raise BadInput(
            f"{len(stages)} stages and rank {rank}; give one stage or more, and a rank of 1 or more"
        )
    m, area, size = len(u), lumped_mass(x, cells), float(np.ptp(x, axis=0).max())
    if weights is None:
        weights = 1 / np.sqrt(np.maximum(np.einsum("mnc,n->c", u**2, area), 1e-300))
    G = np.eye(m) if covariance is None else np.asarray(covariance, dtype=float)
    K, solve = mapping_preconditioner(x, cells, length * size, kind, boundary)
    G = G + 1e-6 * np.trace(G) / m * np.eye(m)
    sharp = energy(
        x, cells, u, weights, barrier=barrier, rho=rho, stiff=K, precision=np.linalg.inv(G)
    )
    w = np.zeros((m, *x.shape)) if start is None else np.array(start, dtype=float)
    history: list[float] = []
    for r, width in stages:
        blurred = replace(sharp, u=smooth_fields(x, cells, u, width * size))
        w, J = ascend(
            partial(blurred, r=r), w, lambda g: np.tensordot(G, solve(g), 1), steps, 0.02 * size
        )
        history += J
        log.info(
            "optimal mappings, r = %d: energy missing %.3e after %d steps", r, 1 - J[-1], len(J)
        )
    for _ in range(restarts):
        w, J = _restarted(blurred, w, r, lambda g: np.tensordot(G, solve(g), 1), steps)
        history += J
    if rank is not None:
        w, J = low_rank(blurred, w, r, min(rank, m - 1), G, solve, steps)
        history += J
        log.info("mappings of rank %d: energy missing %.3e after %d steps", rank, 1 - J[-1], len(J))
    return Mappings(w, np.array(history), sharp.determinants(w).min(axis=1))


def low_rank(
    e: Energy, w: np.ndarray, r: int, rank: int, G: np.ndarray, solve: Linear, steps: int
) -> tuple[np.ndarray, list[float]]:
    """(w_0 + c phi, J per step) from the leading modes of w (m, N, d): w_0 their mean, c (m, rank) and phi (rank, N, d) ascend together.

    Metrics G^{-1} over samples and K over space make the preconditioner: phi <- (c^T G^{-1} c)^{-1} K^{-1} dphi, c <- G dc (phi K phi^T)^{-1}.
    They start shrunk towards the identity where truncation folds.
    """
    mean, flat = w.mean(axis=0), (w - w.mean(axis=0)).reshape(len(w), -1)
    lam, Q = np.linalg.eigh(flat @ (e.stiff @ flat.T))
    c = Q[:, ::-1][:, :rank] * np.sqrt(len(w))
    phi = c.T @ flat / len(w)
    while e.determinants(mean + (c @ phi).reshape(w.shape)).min() <= 0.02:
        mean, phi = 0.9 * mean, 0.9 * phi
    over = np.linalg.inv(c.T @ e.precision @ c)
    across = np.linalg.inv(phi @ (e.stiff @ phi.T) + 1e-12 * lam[-1] * np.eye(rank))

    def both(p: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return p[: phi.size].reshape(phi.shape), p[phi.size :].reshape(c.shape)

    def objective(p: np.ndarray) -> tuple[float, np.ndarray, float]:
        modes, a = both(p)
        value, force, J = e(mean + (a @ modes).reshape(w.shape), r)
        g = force.reshape(len(w), -1)
        return value, np.concatenate([(a.T @ g).ravel(), (g @ modes.T).ravel()]), J

    def precondition(p: np.ndarray) -> np.ndarray:
        modes, a = both(p)
        pushed = solve((over @ modes).reshape(rank, *w.shape[1:])).reshape(rank, -1)
        return np.concatenate([pushed.ravel(), (G @ a @ across).ravel()])

    p, J = ascend(
        objective,
        np.concatenate([phi.ravel(), c.ravel()]),
        precondition,
        steps,
        0.02 * float(np.ptp(e.points)),
    )
    modes, a = both(p)
    return mean + (a @ modes).reshape(w.shape), J


def _restarted(
    e: Energy, w: np.ndarray, r: int, precondition: Linear, steps: int
) -> tuple[np.ndarray, list[float]]:
    """psi o (id + s), s the ascent from the identity on u o psi; the step s is halved until determinants stay positive and J rises."""
    onward = replace(e, u=e.carry(w)[0])
    s, _ = ascend(
        partial(onward, r=r), np.zeros_like(w), precondition, steps, 0.02 * float(np.ptp(e.points))
    )
    before = _captured(e, w, r)
    for _ in range(12):
        made = compose(e, w, s)
        if e.determinants(made).min() > 0 and _captured(e, made, r) >= before:
            return made, [_captured(e, made, r)]
        s = 0.5 * s
    return w, [before]


def compose(e: Energy, w: np.ndarray, s: np.ndarray) -> np.ndarray:
    """psi o (id + s) - id at the nodes, psi = id + w piecewise linear: s + w(x + s), (m, N, d)."""
    return s + replace(e, u=w).carry(s)[0]


def _captured(e: Energy, w: np.ndarray, r: int) -> float:
    lam, _ = e.spectrum(e.carry(w)[0])
    return float(lam[:r].sum() / lam.sum())


def mapping_preconditioner(
    x: np.ndarray, cells: np.ndarray, length: float, kind: str, boundary: str
) -> tuple[Any, Callable[[np.ndarray], np.ndarray]]:
    """K on displacements (N d, N d) and g (m, N, d) -> K^{-1} g, factored once: ell^2 grad:grad + mass, or ell^2 elasticity + mass."""
    d = x.shape[1]
    M = sp.kron(mass(x, cells), sp.eye_array(d)) / np.abs(geometry(x, cells)[0]).sum()
    volume = np.abs(geometry(x, cells)[0]).sum()
    if kind not in ("helmholtz", "elasticity"):
        raise BadInput(f"no preconditioner {kind!r}; known: helmholtz, elasticity")
    A = (
        sp.kron(stiffness(x, cells), sp.eye_array(d))
        if kind == "helmholtz"
        else elasticity(x, cells)
    )
    K = sp.csc_array(length**2 * A / volume + M)
    T = _free(x, cells, boundary)
    lu = splu(sp.csc_array(T.T @ K @ T))

    def solve(g: np.ndarray) -> np.ndarray:
        flat = g.reshape(len(g), -1)
        return (T @ lu.solve(np.ascontiguousarray((flat @ T).T))).T.reshape(g.shape)

    return sp.csr_array(K), solve


def _free(x: np.ndarray, cells: np.ndarray, boundary: str) -> sp.csr_array:
    """Columns that span the admissible displacements (N d, free): zero, or tangential, on the boundary; corners fixed."""
    n, d = x.shape
    edge, owner = facets(cells)
    rim = np.unique(edge)
    inside = np.setdiff1d(np.arange(n), rim)
    rows = [(inside[:, None] * d + np.arange(d)).ravel()]
    cols, data = [np.arange(rows[0].size)], [np.ones(rows[0].size)]
    if boundary == "slip" and d > 1:
        normal = facet_normals(x, cells, edge, owner)
        for node in rim:
            around = normal[(edge == node).any(axis=1)]
            _, s, vt = np.linalg.svd(around)
            rank = int(np.sum(s > 0.25 * s[0]))
            for tangent in vt[rank:]:
                rows.append(node * d + np.arange(d))
                cols.append(np.full(d, cols[-1].max() + 1 if cols[-1].size else 0))
                data.append(tangent)
    elif boundary not in ("slip", "fixed"):
        raise BadInput(f"no boundary condition {boundary!r}; known: slip, fixed")
    i, j, a = (np.concatenate(part) for part in (rows, cols, data))
    return sp.csr_array(sp.coo_array((a, (i, j)), shape=(n * d, int(j.max()) + 1)))
