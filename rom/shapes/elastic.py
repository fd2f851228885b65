"""Morphing by elasticity: the reference is pressed onto a shape's boundary; full, or on few modes of displacement."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp
from scipy.sparse.linalg import splu
from scipy.spatial import cKDTree

from rom.errors import BadInput, Folded, NotConverged
from rom.mesh import Mesh
from rom.shapes.simplex import determinants, elasticity, facet_normals, facets, geometry, simplices
from rom.shapes.transfer import interpolation, nearest_cells


@dataclass(frozen=True, eq=False)
class Elastic:
    """phi <- (id + g u) o phi: int sigma(u):eps(v) + a int_Gamma (u.n)(v.n) = a int_Gamma ((Pi(x) - x).n)(v.n), until Gamma lies on the shape.

    regions : boundary regions matched by name, none: the whole boundary; landmarks : node sets of one node each that match
    modes : (N d, r) displacements that serve first (the reduced online version), then full steps polish; small cells are stiff
    tol : largest distance left over the size of the shape. Raises NotConverged, or Folded naming the cell.
    Reference: Kabalan, Casenave, Bordeu, Ehrlacher, Ern (2024).
    """

    regions: tuple[str, ...] = ()
    landmarks: tuple[str, ...] = ()
    stiffness: float = 1e3
    tol: float = 1e-4
    steps: int = 200
    modes: np.ndarray | None = None

    def __call__(self, mesh: Mesh, reference: Mesh) -> np.ndarray:
        """Where the nodes of `mesh` lie in the reference (n, d): through the inverse of phi, cell by cell."""
        moved, _ = self.carry(mesh, reference)
        back = interpolation(
            Mesh(moved, {simplex_kind(reference): simplices(reference)}), mesh.points
        )
        return back @ reference.points

    def carry(self, mesh: Mesh, reference: Mesh) -> tuple[np.ndarray, int]:
        """phi at the nodes of the reference (N, d), and how many full steps it took."""
        cells, x = simplices(reference), reference.points.copy()
        if self.modes is not None:
            x = self._reduced(mesh, reference, cells)
        size = float(np.linalg.norm(np.ptp(mesh.points, axis=0)))
        for step in range(self.steps):
            _, gap, _ = self._gaps(mesh, reference, x, cells)
            if np.abs(gap).max() < self.tol * size:
                return x, step
            A, b = self._system(mesh, reference, x, cells)
            u = splu(sp.csc_array(A)).solve(b).reshape(x.shape)
            x = self._stepped(reference, x, u, cells)
        raise NotConverged(
            f"the boundary is still {np.abs(gap).max():.2e} away after {self.steps} steps; raise steps or stiffness, or name regions"
        )

    def _gaps(
        self, mesh: Mesh, reference: Mesh, x: np.ndarray, cells: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Boundary nodes (b,), distances to the shape along the normals (b,), and normals (b, d) of the moved reference."""
        nodes, gaps, normals = [], [], []
        for part, onto in _parts(mesh, reference, self.regions):
            every, owner = facets(cells)
            lines = {tuple(e): k for k, e in enumerate(np.sort(every, axis=1).tolist())}
            rows = np.array([lines[tuple(e)] for e in np.sort(part, axis=1).tolist()])
            n = facet_normals(x, cells, every[rows], owner[rows])
            here = np.unique(part)
            normal = np.zeros_like(x)
            np.add.at(normal, every[rows].ravel(), np.repeat(n, part.shape[1], axis=0))
            normal = normal[here] / np.maximum(
                np.linalg.norm(normal[here], axis=1, keepdims=True), 1e-300
            )
            face, w = nearest_cells(
                mesh.points, onto, cKDTree(mesh.points[onto].mean(axis=1)), x[here], 12
            )
            reach = np.einsum("jk,jkd->jd", w, mesh.points[onto[face]]) - x[here]
            nodes.append(here)
            gaps.append(np.linalg.norm(reach, axis=1) * np.sign(np.sum(reach * normal, axis=1)))
            size = np.linalg.norm(reach, axis=1, keepdims=True)
            normals.append(
                np.where(
                    size > 1e-3 * np.abs(gaps[-1]).max() + 1e-300,
                    reach * np.sign(gaps[-1])[:, None] / np.maximum(size, 1e-300),
                    normal,
                )
            )
        return np.concatenate(nodes), np.concatenate(gaps), np.vstack(normals)

    def _system(
        self, mesh: Mesh, reference: Mesh, x: np.ndarray, cells: np.ndarray
    ) -> tuple[sp.csr_array, np.ndarray]:
        volume = np.abs(geometry(x, cells)[0])
        young = 0.5 * (1 + (volume.max() - volume.min()) / volume)
        d, n = x.shape[1], x.size
        A = elasticity(x, cells, 0.3, young)
        nodes, gap, normal = self._gaps(mesh, reference, x, cells)
        a = self.stiffness * float(A.diagonal().mean()) / len(nodes) ** 0.5
        rows = nodes[:, None] * d + np.arange(d)
        N = sp.csr_array(
            sp.coo_array(
                (normal.ravel(), (np.repeat(np.arange(len(nodes)), d), rows.ravel())),
                shape=(len(nodes), n),
            )
        )
        A, b = A + a * (N.T @ N) + 1e-8 * a * sp.eye_array(n), a * (N.T @ gap)
        for name in self.landmarks:
            here, there = (np.asarray(part.nodes.get(name, ())) for part in (reference, mesh))
            if len(here) != 1 or len(there) != 1:
                raise BadInput(
                    f"landmark {name!r} must be a node set of one node on mesh and reference"
                )
            at = int(here[0]) * d + np.arange(d)
            A = A + 10 * a * sp.csr_array(sp.coo_array((np.ones(d), (at, at)), shape=(n, n)))
            b[at] += 10 * a * (mesh.points[there[0]] - x[here[0]])
        return sp.csr_array(A), b

    def _stepped(
        self, reference: Mesh, x: np.ndarray, u: np.ndarray, cells: np.ndarray
    ) -> np.ndarray:
        """The longest of the steps u, u/2, u/4, ... under which no cell loses more than 70 % of its volume."""
        for halving in range(12):
            trial = x + 0.5**halving * u
            if determinants(x, trial, cells).min() > 0.3:
                return trial
        worst = int(np.argmin(determinants(x, trial, cells)))
        raise Folded(
            f"cell {worst} with nodes {cells[worst].tolist()} near {x[cells[worst]].mean(axis=0)} is turned over; take a reference nearer to the shape"
        )

    def _reduced(
        self, mesh: Mesh, reference: Mesh, cells: np.ndarray, sweeps: int = 30
    ) -> np.ndarray:
        """The same iteration on the coefficients of `modes`: one elastic matrix, projected once."""
        Z, x, d = np.asarray(self.modes), reference.points.copy(), reference.points.shape[1]
        A = Z.T @ (elasticity(x, cells) @ Z)
        total = np.zeros(Z.shape[1])
        for _ in range(sweeps):
            nodes, gap, normal = self._gaps(mesh, reference, x, cells)
            N = np.einsum("bd,bdr->br", normal, Z.reshape(-1, d, Z.shape[1])[nodes])
            a = self.stiffness * np.trace(A) / max(np.trace(N.T @ N), 1e-300)
            step = np.linalg.solve(A / a + N.T @ N + 1e-12 * np.eye(len(total)), N.T @ gap)
            total = total + step
            x = reference.points + (Z @ total).reshape(x.shape)
            if np.abs(step).max() < 1e-6 * np.abs(total).max():
                break
        det = determinants(reference.points, x, cells)
        return x if det.min() > 0.05 else reference.points.copy()


def simplex_kind(mesh: Mesh) -> str:
    """The name of the mesh's linear simplices."""
    return {2: "line", 3: "triangle", 4: "tetra"}[simplices(mesh).shape[1]]


def _parts(
    mesh: Mesh, reference: Mesh, regions: tuple[str, ...]
) -> list[tuple[np.ndarray, np.ndarray]]:
    """(facets of the reference, facets of the shape) to bring together."""
    if not regions:
        return [(facets(simplices(reference))[0], facets(simplices(mesh))[0])]

    def taken(part: Mesh, name: str) -> np.ndarray:
        return np.vstack([part.cells[kind][numbers] for kind, numbers in part.region(name).items()])

    return [(taken(reference, name), taken(mesh, name)) for name in regions]
