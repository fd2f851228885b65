"""Morphing by elasticity: the reference is pressed onto a shape's boundary."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp
from scipy.sparse.linalg import splu

from rom.errors import BadInput, Folded, NotConverged
from rom.mesh import Mesh
from rom.shapes.curves import Names, one_node
from rom.shapes.gaps import Gaps, gaps
from rom.shapes.simplex import (
    POISSON,
    determinants,
    elasticity,
    scatter,
    simplex_mesh,
    simplices,
    volumes,
)
from rom.shapes.transfer import interpolation

MAX_HALVINGS = 12
KEPT_VOLUME = 0.3  # share of its volume that a cell keeps in one step
LEAST_VOLUME = 0.05  # share that it keeps under the modes, or the full steps begin at the reference
LANDMARK = 10.0  # stiffness of a landmark over that of the boundary
REGULAR = 1e-8  # stiffness of the ground over that of the boundary
MAX_SWEEPS = 30  # of the iteration on modes
SWEEP_TOL = 1e-6


@dataclass(frozen=True, eq=False)
class Elastic:
    """phi <- (id + u) o phi until the boundary Gamma lies on the shape.

    int sigma(u):eps(v) + a int_Gamma (u.n)(v.n) = a int_Gamma ((Pi(x) - x).n)(v.n), a the
    stiffness, Pi(x) the nearest point of the shape; small cells are stiff.
    regions : boundary regions matched by name; none : the whole boundary
    landmarks : node sets of one node each that match
    modes : (N d, r) displacements that serve first (the reduced online version), then full steps
    tol : largest distance left over the size of the shape; steps : full steps at most
    Raises BadInput for curves and surfaces in space, NotConverged, or Folded naming the cell.
    Reference: Kabalan, Casenave, Bordeu, Ehrlacher, Ern (2024).
    """

    regions: Names = ()
    landmarks: Names = ()
    stiffness: float = 1e3
    tol: float = 1e-4
    steps: int = 200
    modes: np.ndarray | None = None

    def __call__(self, mesh: Mesh, reference: Mesh) -> np.ndarray:
        """Where the nodes of `mesh` lie in the reference (n, d): phi^{-1}, cell by cell."""
        moved, _ = self.carry(mesh, reference)
        carried = simplex_mesh(moved, simplices(reference))
        back = interpolation(carried, mesh.points)
        return np.asarray(back @ reference.points)

    def carry(self, mesh: Mesh, reference: Mesh) -> tuple[np.ndarray, int]:
        """phi at the nodes of the reference (N, d), and the number of full steps."""
        cells = simplices(reference)
        _check_solid(reference, cells)
        _check_solid(mesh, simplices(mesh))
        x = reference.points.copy()
        if self.modes is not None:
            x = self._reduce(mesh, reference, cells, self.modes)
        size = float(np.linalg.norm(np.ptp(mesh.points, axis=0)))
        left = np.inf
        for step in range(self.steps):
            boundary = gaps(mesh, reference, x, cells, self.regions)
            left = np.abs(boundary.gap).max()
            if left < self.tol * size:
                return x, step
            A, b = self._system(mesh, reference, x, cells, boundary)
            solve = splu(sp.csc_array(A)).solve
            u = solve(b).reshape(x.shape)
            x = _step(x, u, cells)
        raise NotConverged(
            f"the boundary is still {left:.2e} away after {self.steps} steps; raise steps or "
            "stiffness, or name regions"
        )

    def _system(
        self, mesh: Mesh, reference: Mesh, x: np.ndarray, cells: np.ndarray, boundary: Gaps
    ) -> tuple[sp.csr_array, np.ndarray]:
        """Matrix (N d, N d) and right side (N d,) of one step."""
        n = x.size
        A = elasticity(x, cells, POISSON, _young(x, cells))
        N = boundary.normal_matrix(n)
        a = self.stiffness * float(A.diagonal().mean()) / len(boundary.nodes) ** 0.5
        ground = REGULAR * a * sp.eye_array(n)
        A = A + a * (N.T @ N) + ground
        b = a * (N.T @ boundary.gap)
        for name in self.landmarks:
            here, there = _landmark(mesh, reference, name)
            d = x.shape[1]
            dofs = here * d + np.arange(d)
            spring = LANDMARK * a
            ones = scatter(np.ones(d), dofs, dofs, (n, n))
            A = A + spring * ones
            b[dofs] += spring * (mesh.points[there] - x[here])
        return sp.csr_array(A), b

    def _reduce(
        self, mesh: Mesh, reference: Mesh, cells: np.ndarray, modes: np.ndarray
    ) -> np.ndarray:
        """The same iteration on the coefficients of `modes`, with one projected matrix."""
        start = reference.points
        x = start.copy()
        Z = np.asarray(modes)
        rank = Z.shape[1]
        by_node = Z.reshape(-1, start.shape[1], rank)
        A = Z.T @ (elasticity(x, cells) @ Z)
        total = np.zeros(rank)
        for _ in range(MAX_SWEEPS):
            boundary = gaps(mesh, reference, x, cells, self.regions)
            N = np.einsum("bd,bdr->br", boundary.normal, by_node[boundary.nodes])
            square = N.T @ N
            a = self.stiffness * np.trace(A) / max(np.trace(square), 1e-300)
            matrix = A / a + square + 1e-12 * np.eye(rank)
            step = np.linalg.solve(matrix, N.T @ boundary.gap)
            total = total + step
            x = start + (Z @ total).reshape(x.shape)
            if np.abs(step).max() < SWEEP_TOL * np.abs(total).max():
                break
        det = determinants(start, x, cells)
        return x if det.min() > LEAST_VOLUME else start.copy()


def _check_solid(mesh: Mesh, cells: np.ndarray) -> None:
    """Raises BadInput for curves and surfaces in space, which have no inside to press."""
    d = mesh.points.shape[1]
    if cells.shape[1] == d + 1:
        return
    kind = "curve" if cells.shape[1] == 2 else "surface"
    remedy = "arc" if kind == "curve" else "sphere for a closed surface, disk for one with a rim"
    raise BadInput(
        f"elastic morphs areas in the plane and volumes; this mesh is a {kind} in dimension {d}: "
        f"take {remedy}"
    )


def _young(x: np.ndarray, cells: np.ndarray) -> np.ndarray:
    """Young's modulus per cell (k,): small cells are stiff."""
    volume = volumes(x, cells)
    spread = volume.max() - volume.min()
    modulus: np.ndarray = 0.5 * (1 + spread / volume)
    return modulus


def _step(x: np.ndarray, u: np.ndarray, cells: np.ndarray) -> np.ndarray:
    """The longest of x + u, x + u/2, ... under which all cells keep enough volume."""
    for halving in range(MAX_HALVINGS):
        trial = x + 0.5**halving * u
        det = determinants(x, trial, cells)
        if det.min() > KEPT_VOLUME:
            return np.asarray(trial)
    worst = int(np.argmin(det))
    nodes = cells[worst]
    place = x[nodes].mean(axis=0)
    raise Folded(
        f"cell {worst} with nodes {nodes.tolist()} near {place} is turned over; take a reference "
        "nearer to the shape"
    )


def _landmark(mesh: Mesh, reference: Mesh, name: str) -> tuple[int, int]:
    """The node of a landmark on the reference and on the mesh."""
    here = one_node(reference, name)
    there = one_node(mesh, name)
    if here is None or there is None:
        raise BadInput(f"landmark {name!r} must be a node set of one node on mesh and reference")
    return here, there
