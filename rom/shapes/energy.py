"""What optimal mappings maximise: the energy of few modes, with barrier and price."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import scipy.sparse as sp
from scipy.sparse.linalg import splu

from rom.errors import BadInput
from rom.shapes.location import Locator, Places, locator
from rom.shapes.manifolds import Manifold, manifold
from rom.shapes.simplex import geometry, lumped_mass, scatter, stiffness

LEAST = 1e-14  # energy missing, at least, so that its logarithm is finite
NO_CELLS = np.zeros(0, np.int64)


@dataclass(frozen=True, eq=False)
class Energy:
    """J_r(psi) = sum_{k<=r} lambda_k / sum_k lambda_k.

    lambda is the spectrum of C_ij = sum_f omega_f (u_i^f o psi_i, u_j^f o psi_j).
    u : (m, N, c) pulled-back fields, c of all fields together, each scaled by `weights` (c,)
    area : (N,) the lumped mass; share (k,) of the volume in each cell
    grad : sparse (d, (k, N)), the gradient in each direction on every cell
    barrier : eta in eta sum_i int (det - 1 - log det) grad psi_i, so that det stays positive
    rho, stiff, precision : the price rho/2 sum_ij L_ij w_i^T K w_j of roughness, with L the
        precision over samples; K and L may be None where rho is 0
    surface : where the domain is a curve or surface in a space of more dimensions
    last : the displacement of the last time, and the cells in which points lay, from which they
        are sought the next time
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
    precision: Any
    surface: Manifold | None = None
    last: dict[str, np.ndarray] = field(default_factory=dict)

    def __call__(self, w: np.ndarray, r: int) -> tuple[float, np.ndarray, float]:
        """log(1 - J_r) + barrier + price, its derivative (m, N, d), and J_r.

        The value is inf where some cell folds.
        """
        value, force = self._barrier(w)
        if not np.isfinite(value):
            return np.inf, force, 0.0
        missing, gain, J = self._missing(w, r)
        value = value + np.log(missing)
        force = force - gain / missing
        if self.rho:
            roughness, pull = self._roughness(w)
            value = value + 0.5 * self.rho * roughness
            force = force + self.rho * pull
        return value, force, J

    def carry(self, w: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """u_i o psi_i (m, N, c) and its gradient in x + w (m, N, c, d)."""
        m, n, d = w.shape
        cell, bary = self._locate(w)
        nodes = self.at.cells[cell].reshape(m, n, -1)
        samples = np.arange(m)[:, None, None]
        local = self.u[samples, nodes]
        slope = self._slopes(cell, bary, w).reshape(m, n, -1, d)
        bary = bary.reshape(m, n, -1)
        values = np.einsum("mna,mnac->mnc", bary, local)
        gradients = np.einsum("mnac,mnad->mncd", local, slope)
        return values, gradients

    def _slopes(self, cell: np.ndarray, bary: np.ndarray, w: np.ndarray) -> np.ndarray:
        """Gradients (m N, q + 1, d) of barycentric coordinates in x + w."""
        if self.at.star is None:
            return self.at.gradients[cell]
        return self.at.star.slopes(cell, bary, (self.points + w).reshape(-1, w.shape[2]))

    def spectrum(self, v: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Eigenvalues, largest first, and eigenvectors of C."""
        root = np.sqrt(self.area)[:, None]
        scaled = (v * self.weights * root).reshape(len(v), -1)
        lam, Q = np.linalg.eigh(scaled @ scaled.T)
        return lam[::-1], Q[:, ::-1]

    def share_of_modes(self, w: np.ndarray, r: int) -> float:
        """J_r of psi = id + w."""
        v, _ = self.carry(w)
        lam, _ = self.spectrum(v)
        leading = lam[:r].sum()
        return float(leading / lam.sum())

    def determinants(self, w: np.ndarray) -> np.ndarray:
        """det grad psi_i per cell (m, k)."""
        det, _ = self._measure(w)
        return np.asarray(det.T)

    def _measure(self, w: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Ratios of volumes (k, m) and their derivatives in grad psi (d, d, k, m).

        On a star they are derivatives in the corners of each cell.
        """
        if self.at.star is not None:
            return self.at.star.measure(self.points + w)
        F = self._jacobians(w)
        if self.surface is None:
            return _cofactors(F)
        cell, _ = self._locate(w)
        return self.surface.measure(F, cell.reshape(w.shape[:2]))

    def _locate(self, w: np.ndarray) -> Places:
        """Cells (m N,) in which x + w lies and barycentric coordinates there, sought once."""
        if self.last.get("w") is w:
            return self.last["cells"], self.last["weights"]
        m, n, d = w.shape
        last = self.last.get("cells", NO_CELLS)
        near = last if len(last) == m * n else None
        seek = self.at.star or self.at
        cell, bary = seek((self.points + w).reshape(-1, d), near=near)
        self.last.update(w=w, cells=cell, weights=bary)
        return cell, bary

    def _missing(self, w: np.ndarray, r: int) -> tuple[float, np.ndarray, float]:
        """1 - J_r, the derivative of J_r (m, N, d), and J_r."""
        v, slope = self.carry(w)
        lam, Q = self.spectrum(v)
        total = lam.sum()
        leading = Q[:, :r]
        J = float(lam[:r].sum() / total)
        projector = leading @ leading.T
        rest = np.tensordot(projector, v, 1) - J * v
        weighted = rest * self.weights**2
        along = np.einsum("mnc,mncd->mnd", weighted, slope)
        gain = (2 / total) * along * self.area[:, None]
        return max(1.0 - J, LEAST), gain, J

    def _roughness(self, w: np.ndarray) -> tuple[float, np.ndarray]:
        """sum_ij L_ij w_i^T K w_j and half its derivative (m, N, d)."""
        flat = w.reshape(len(w), -1)
        stiff = (self.stiff @ flat.T).T.reshape(w.shape)
        pull = np.tensordot(self.precision, stiff, 1)
        return float(np.sum(w * pull)), pull

    def _jacobians(self, w: np.ndarray) -> np.ndarray:
        """grad psi (d, d, k, m): entry [i, j] is d psi_i / d x_j."""
        moved = self.points + w
        psi = np.ascontiguousarray(moved.transpose(2, 1, 0))
        return np.array([[D @ part for D in self.grad] for part in psi])

    def _barrier(self, w: np.ndarray) -> tuple[float, np.ndarray]:
        """The barrier and its derivative (m, N, d); inf where a cell folds."""
        det, cofactor = self._measure(w)
        if det.min() <= 0:
            return np.inf, np.zeros_like(w)
        eta = self.barrier * self.share[:, None]
        density = det - 1 - np.log(det)
        value = float(np.sum(eta * density))
        weight = eta * (1 - 1 / det)
        if self.at.star is not None:
            return value, self.at.star.gather(weight, cofactor)
        stress = weight * cofactor
        force = np.array([self._divergence(row) for row in stress])
        return value, force.transpose(2, 1, 0)

    def _divergence(self, stress: np.ndarray) -> np.ndarray:
        """sum_j D_j^T s_j (N, m) of one row of a stress (d, k, m)."""
        parts = [D.T @ s for D, s in zip(self.grad, stress, strict=True)]
        return np.asarray(sum(parts))


def energy(
    x: np.ndarray, cells: np.ndarray, u: np.ndarray, weights: np.ndarray, **options: Any
) -> Energy:
    """The energy of fields u (m, N, c) on linear simplices.

    options : barrier, rho, stiff, precision
    """
    signed, B = geometry(x, cells)
    k, corners, _ = B.shape
    rows = np.repeat(np.arange(k), corners)
    shape = (k, len(x))
    grad = [scatter(part, rows, cells, shape) for part in B.transpose(2, 0, 1)]
    volume = np.abs(signed)
    share = volume / volume.sum()
    area = lumped_mass(x, cells)
    at = locator(x, cells)
    return Energy(x, at, u, weights, area, tuple(grad), share, surface=manifold(at), **options)


def _cofactors(F: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """det F and d det / dF of F (d, d, ...), d up to 3."""
    if len(F) == 1:
        return F[0, 0], np.ones_like(F)
    if len(F) == 2:
        (a, b), (c, e) = F
        det = a * e - b * c
        return det, np.array([[e, -c], [-b, a]])
    rows = [np.cross(F[(i + 1) % 3], F[(i + 2) % 3], axis=0) for i in range(3)]
    cofactor = np.array(rows)
    det = np.einsum("j...,j...->...", F[0], cofactor[0])
    return det, cofactor


def smooth_fields(x: np.ndarray, cells: np.ndarray, u: np.ndarray, width: float) -> np.ndarray:
    """(M + width^2 K)^{-2} M^2 u, u (m, N, c); the same u for width 0.

    Features reach each other over `width`. Raises BadInput where it is negative.
    """
    if width < 0:
        raise BadInput(f"a width of {width} cannot smooth; give 0 or more")
    if width == 0.0:
        return u
    m, n, c = u.shape
    area = lumped_mass(x, cells)
    K = stiffness(x, cells)
    M = sp.csc_array(sp.diags_array(area))
    matrix = sp.csc_array(M + width**2 * K)
    lu = splu(matrix)
    flat = u.transpose(1, 0, 2).reshape(n, -1)
    once = lu.solve(M @ flat)
    twice = lu.solve(M @ once)
    smooth = twice.reshape(n, m, c)
    return np.asarray(smooth.transpose(1, 0, 2))
