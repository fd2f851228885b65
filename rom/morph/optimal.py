"""Optimal mappings: bijections of the reference under which all samples' fields need few modes."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import scipy.sparse as sp
from scipy.sparse.linalg import splu

from rom.errors import BadInput
from rom.mesh import Mesh
from rom.morph.simplex import determinants, elasticity, facet_normals, facets, geometry, lumped, mass, simplices, stiffness
from rom.morph.transfer import Locator, locator

log = logging.getLogger("rom")


@dataclass(frozen=True, eq=False)
class Mappings:
    """psi_i = id + w_i on the nodes of the reference: w (m, N, d), v_i = u_i o psi_i.

    energy : J_r after every accepted step; smallest : min det grad psi_i per sample (m,)
    """

    w: np.ndarray
    energy: np.ndarray
    smallest: np.ndarray


@dataclass(frozen=True, eq=False)
class Energy:
    """J_r(psi) = sum_{k<=r} lambda_k / sum_k lambda_k, lambda the spectrum of C_ij = sum_f omega_f (u_i^f o psi_i, u_j^f o psi_j).

    u : (m, N, c) pulled-back fields, c of all fields together, each scaled by `weights` (c,); area (N,) the lumped mass
    barrier : eta in eta sum_i int (det - 1 - log det) grad psi_i, so that det stays positive
    stiff : K of the regularisation rho/2 sum_ij L_ij w_i^T K w_j, with L the precision over samples; both may be None
    """

    points: np.ndarray
    cells: np.ndarray
    at: Locator
    u: np.ndarray
    weights: np.ndarray
    area: np.ndarray
    barrier: float
    rho: float
    stiff: Any
    precision: np.ndarray

    def carried(self, w: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """u_i o psi_i (m, N, c) and its gradient in psi (m, N, c, d)."""
        m, n, d = w.shape
        cell, bary = self.at((self.points + w).reshape(-1, d))
        nodes = self.at.cells[cell].reshape(m, n, -1)
        local = self.u[np.arange(m)[:, None, None], nodes]
        bary = bary.reshape(m, n, -1)
        slope = self.at.gradients[cell].reshape(m, n, -1, d)
        return np.einsum("mna,mnac->mnc", bary, local), np.einsum("mnac,mnad->mncd", local, slope)

    def spectrum(self, v: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Eigenvalues, largest first, and eigenvectors of C."""
        scaled = (v * self.weights * np.sqrt(self.area)[:, None]).reshape(len(v), -1)
        lam, Q = np.linalg.eigh(scaled @ scaled.T)
        return lam[::-1], Q[:, ::-1]

    def __call__(self, w: np.ndarray, r: int) -> tuple[float, np.ndarray, float]:
        """log(1 - J_r) + barrier + regularisation, its derivative (m, N, d), and J_r; inf where some cell folds."""
        value, force = self._barrier(w)
        if not np.isfinite(value):
            return np.inf, force, 0.0
        v, slope = self.carried(w)
        lam, Q = self.spectrum(v)
        total = lam.sum()
        J = float(lam[:r].sum() / total)
        missing = max(1.0 - J, 1e-14)
        rest = np.tensordot(Q[:, :r] @ Q[:, :r].T, v, 1) - J * v
        push = (2 / total) * np.einsum("mnc,mncd->mnd", rest * self.weights**2, slope) * self.area[:, None]
        value, force = value + np.log(missing), force - push / missing
        if self.rho:
            pulled = np.tensordot(self.precision, _each(self.stiff, w), 1)
            value, force = value + 0.5 * self.rho * float(np.sum(w * pulled)), force + self.rho * pulled
        return value, force, J

    def _barrier(self, w: np.ndarray) -> tuple[float, np.ndarray]:
        det = determinants(self.points, self.points + w, self.cells)
        if det.min() <= 0:
            return np.inf, np.zeros_like(w)
        volume, B = geometry(self.points, self.cells)
        share = self.barrier * np.abs(volume) / np.abs(volume).sum()
        value = float(np.sum(share * (det - 1 - np.log(det))))
        images = (self.points + w)[:, self.cells]
        F = np.einsum("mkai,kaj->mkij", images, B)
        stress = (share * (det - 1))[:, :, None, None] * np.linalg.inv(F).swapaxes(-1, -2)
        local = np.einsum("mkij,kaj->mkai", stress, B)
        force = np.zeros_like(w)
        for a in range(self.cells.shape[1]):
            np.add.at(force.swapaxes(0, 1), self.cells[:, a], local[:, :, a].swapaxes(0, 1))
        return value, force


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
) -> Mappings:
    """argmax over bijections psi_i of J_r, all samples at once, by preconditioned quasi-Newton ascent with continuation in r.

    fields : (m, N) or (m, N, c) at the nodes of the reference; ranks : the r of each stage; covariance (m, m) over the samples, such as
    a kernel of their parameters: mappings are then regular in them; length : of the Helmholtz or elasticity preconditioner, in diameters
    boundary : "slip" (normal component zero, corners fixed) or "fixed"; start : w of a coarser run, composed further
    Raises BadInput for shapes that do not fit. Reference: Kabalan, Casenave, Bordeu, Ehrlacher, Ern (2025).
    """
    cells, x = simplices(reference), reference.points
    u = np.asarray(fields, dtype=float)
    u = u[:, :, None] if u.ndim == 2 else u
    if u.ndim != 3 or u.shape[1] != len(x) or cells.shape[1] != x.shape[1] + 1:
        raise BadInput(
            f"fields have shape {u.shape}, the reference {len(x)} nodes of a {x.shape[1]}-D domain; give (m, {len(x)}, c)"
        )
    m, area, size = len(u), lumped(x, cells), float(np.ptp(x, axis=0).max())
    if weights is None:
        weights = 1 / np.sqrt(np.maximum(np.einsum("mnc,n->c", u**2, area), 1e-300))
    G = np.eye(m) if covariance is None else np.asarray(covariance, dtype=float)
    K, solve = preconditioner(x, cells, length * size, kind, boundary)
    G = G + 1e-6 * np.trace(G) / m * np.eye(m)
    energy = Energy(x, cells, locator(x, cells), u, weights, area, barrier, rho, K, np.linalg.inv(G))
    w = np.zeros((m, *x.shape)) if start is None else np.array(start, dtype=float)
    history: list[float] = []
    for r, width in stages:
        blurred = replace(energy, u=smoothed(x, cells, u, width * size))
        w, J = _ascended(blurred, w, r, lambda g: np.tensordot(G, solve(g), 1), steps)
        history += J
        log.info("optimal mappings, r = %d: energy missing %.3e after %d steps", r, 1 - J[-1], len(J))
    return Mappings(w, np.array(history), determinants(x, x + w, cells).min(axis=1))


def smoothed(x: np.ndarray, cells: np.ndarray, u: np.ndarray, width: float) -> np.ndarray:
    """(M + width^2 K)^{-2} M^2 u, u (m, N, c): features reach each other over `width`; the same u for width 0."""
    if width == 0.0:
        return u
    M = sp.csc_array(sp.diags_array(lumped(x, cells)))
    lu = splu(sp.csc_array(M + width**2 * stiffness(x, cells)))
    flat = u.transpose(1, 0, 2).reshape(len(x), -1)
    return lu.solve(M @ lu.solve(M @ flat)).reshape(len(x), len(u), -1).transpose(1, 0, 2)


def preconditioner(
    x: np.ndarray, cells: np.ndarray, length: float, kind: str, boundary: str
) -> tuple[Any, Callable[[np.ndarray], np.ndarray]]:
    """K on displacements (N d, N d) and g (m, N, d) -> K^{-1} g, factored once: ell^2 grad:grad + mass, or ell^2 elasticity + mass."""
    d = x.shape[1]
    M = sp.kron(mass(x, cells), sp.eye_array(d)) / np.abs(geometry(x, cells)[0]).sum()
    volume = np.abs(geometry(x, cells)[0]).sum()
    if kind not in ("helmholtz", "elasticity"):
        raise BadInput(f"no preconditioner {kind!r}; known: helmholtz, elasticity")
    A = sp.kron(stiffness(x, cells), sp.eye_array(d)) if kind == "helmholtz" else elasticity(x, cells)
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


def _each(K: Any, w: np.ndarray) -> np.ndarray:
    return (K @ w.reshape(len(w), -1).T).T.reshape(w.shape)


def _ascended(
    energy: Energy, w: np.ndarray, r: int, precondition: Callable[[np.ndarray], np.ndarray], steps: int, memory: int = 12
) -> tuple[np.ndarray, list[float]]:
    """Limited-memory quasi-Newton with H_0 the preconditioner and Armijo back-tracking; every accepted step lowers the objective."""
    value, g, J = energy(w, r)
    history = [J]
    pairs: list[Any] = []
    for _ in range(steps):
        p = -_two_loop(g, pairs, precondition)
        slope = float(np.sum(g * p))
        if slope > -1e-12 * max(1.0, abs(value)):
            break
        t = 1.0 if pairs else min(1.0, 0.02 * np.ptp(energy.points) / max(np.abs(p).max(), 1e-300))
        for _ in range(30):
            trial, g1, J1 = energy(w + t * p, r)
            if trial <= value + 1e-4 * t * slope:
                break
            t *= 0.5
        else:
            if not pairs:
                break
            pairs = []
            continue
        s, y = t * p, g1 - g
        if float(np.sum(s * y)) > 1e-12 * float(np.sum(s * s)) ** 0.5 * float(np.sum(y * y)) ** 0.5:
            pairs = [*pairs[1 - memory :], (s, y)]
        done = value - trial < 1e-6
        w, value, g = w + s, trial, g1
        history.append(J1)
        if done:
            break
    return w, history


def _two_loop(g: np.ndarray, pairs: list[Any], precondition: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
    q, kept = g.copy(), []
    for s, y in reversed(pairs):
        a = float(np.sum(s * q)) / float(np.sum(s * y))
        q -= a * y
        kept.append(a)
    z = precondition(q)
    if pairs:
        s, y = pairs[-1]
        z *= float(np.sum(s * y)) / float(np.sum(y * precondition(y)))
    for (s, y), a in zip(pairs, reversed(kept), strict=True):
        z += s * (a - float(np.sum(y * z)) / float(np.sum(s * y)))
    return z
