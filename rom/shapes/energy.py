"""What optimal mappings maximise: the energy of few modes, less a barrier on determinants and a price for roughness."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import scipy.sparse as sp
from scipy.sparse.linalg import splu

from rom.errors import BadInput
from rom.shapes.simplex import geometry, lumped_mass, stiffness
from rom.shapes.transfer import Locator, locator


@dataclass(frozen=True, eq=False)
class Energy:
    """J_r(psi) = sum_{k<=r} lambda_k / sum_k lambda_k, lambda the spectrum of C_ij = sum_f omega_f (u_i^f o psi_i, u_j^f o psi_j).

    u : (m, N, c) pulled-back fields, c of all fields together, each scaled by `weights` (c,); area (N,) the lumped mass
    grad : sparse (d, (k, N)), the gradient in each direction on every cell; share (k,) of the volume in each cell
    barrier : eta in eta sum_i int (det - 1 - log det) grad psi_i, so that det stays positive
    last : the cells in which points were found the last time, from which they are sought the next time
    stiff : K of the regularisation rho/2 sum_ij L_ij w_i^T K w_j, with L the precision over samples; both may be None
    """

    points: np.ndarray
    at: Locator
    u: np.ndarray
    weights: np.ndarray
    area: np.ndarray
    grad: tuple[Any, ...]
    share: np.ndarray
    barrier: float
    rho: float
    stiff: Any
    precision: np.ndarray
    last: dict[str, np.ndarray] = field(default_factory=dict)

    def __call__(self, w: np.ndarray, r: int) -> tuple[float, np.ndarray, float]:
        """log(1 - J_r) + barrier + regularisation, its derivative (m, N, d), and J_r; inf where some cell folds."""
        value, force = self._barrier(w)
        if not np.isfinite(value):
            return np.inf, force, 0.0
        v, slope = self.carry(w)
        lam, Q = self.spectrum(v)
        total = lam.sum()
        J = float(lam[:r].sum() / total)
        missing = max(1.0 - J, 1e-14)
        rest = np.tensordot(Q[:, :r] @ Q[:, :r].T, v, 1) - J * v
        push = (
            (2 / total)
            * np.einsum("mnc,mncd->mnd", rest * self.weights**2, slope)
            * self.area[:, None]
        )
        value, force = value + np.log(missing), force - push / missing
        if self.rho:
            pulled = np.tensordot(
                self.precision, (self.stiff @ w.reshape(len(w), -1).T).T.reshape(w.shape), 1
            )
            value, force = (
                value + 0.5 * self.rho * float(np.sum(w * pulled)),
                force + self.rho * pulled,
            )
        return value, force, J

    def carry(self, w: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """u_i o psi_i (m, N, c) and its gradient in psi (m, N, c, d)."""
        m, n, d = w.shape
        near = self.last.get("cells", np.zeros(0, np.int64))
        cell, bary = self.at(
            (self.points + w).reshape(-1, d), near=near if len(near) == m * n else None
        )
        self.last["cells"] = cell
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

    def determinants(self, w: np.ndarray) -> np.ndarray:
        """det grad psi_i per cell (m, k)."""
        return _cofactors(self._jacobians(w))[0].T

    def _jacobians(self, w: np.ndarray) -> np.ndarray:
        """grad psi (d, d, k, m): entry [i, j] is d psi_i / d x_j."""
        psi = np.ascontiguousarray((self.points + w).transpose(2, 1, 0))
        return np.array([[D @ part for D in self.grad] for part in psi])

    def _barrier(self, w: np.ndarray) -> tuple[float, np.ndarray]:
        det, cofactor = _cofactors(self._jacobians(w))
        if det.min() <= 0:
            return np.inf, np.zeros_like(w)
        eta = self.barrier * self.share[:, None]
        value = float(np.sum(eta * (det - 1 - np.log(det))))
        stress = eta * (1 - 1 / det) * cofactor
        force = [sum(D.T @ s for D, s in zip(self.grad, row, strict=True)) for row in stress]
        return value, np.array(force).transpose(2, 1, 0)


def energy(
    x: np.ndarray, cells: np.ndarray, u: np.ndarray, weights: np.ndarray, **options: Any
) -> Energy:
    """The energy of fields u (m, N, c) on linear simplices; options : barrier, rho, stiff, precision."""
    volume, B = geometry(x, cells)
    rows = np.repeat(np.arange(len(cells)), cells.shape[1])
    grad = tuple(
        sp.csr_array(
            sp.coo_array((B[:, :, j].ravel(), (rows, cells.ravel())), shape=(len(cells), len(x)))
        )
        for j in range(x.shape[1])
    )
    share = np.abs(volume) / np.abs(volume).sum()
    return Energy(x, locator(x, cells), u, weights, lumped_mass(x, cells), grad, share, **options)


def _cofactors(F: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """det F and d det / dF of F (d, d, ...), d up to 3."""
    if len(F) == 1:
        return F[0, 0], np.ones_like(F)
    if len(F) == 2:
        return F[0, 0] * F[1, 1] - F[0, 1] * F[1, 0], np.array(
            [[F[1, 1], -F[1, 0]], [-F[0, 1], F[0, 0]]]
        )
    cofactor = np.array([np.cross(F[(i + 1) % 3], F[(i + 2) % 3], axis=0) for i in range(3)])
    return np.einsum("j...,j...->...", F[0], cofactor[0]), cofactor


def smooth_fields(x: np.ndarray, cells: np.ndarray, u: np.ndarray, width: float) -> np.ndarray:
    """(M + width^2 K)^{-2} M^2 u, u (m, N, c): features reach each other over `width`; the same u for width 0."""
    if width < 0:
        raise BadInput(f"a width of {width} cannot smooth; give 0 or more")
    if width == 0.0:
        return u
    M = sp.csc_array(sp.diags_array(lumped_mass(x, cells)))
    lu = splu(sp.csc_array(M + width**2 * stiffness(x, cells)))
    flat = u.transpose(1, 0, 2).reshape(len(x), -1)
    return lu.solve(M @ lu.solve(M @ flat)).reshape(len(x), len(u), -1).transpose(1, 0, 2)
