"""Linear simplices on meshes: volumes, gradients, P1 matrices, determinants."""

from __future__ import annotations

import numpy as np
import scipy.sparse as sp

from rom.errors import BadInput
from rom.mesh import Mesh

# simplices of the corners of a cell: quads along a diagonal, volumes around the first corner
SPLIT = {
    "line": [[0, 1]], "line3": [[0, 1]],
    "triangle": [[0, 1, 2]], "triangle6": [[0, 1, 2]],
    "quad": [[0, 1, 2], [0, 2, 3]], "quad8": [[0, 1, 2], [0, 2, 3]],
    "quad9": [[0, 1, 2], [0, 2, 3]],
    "tetra": [[0, 1, 2, 3]], "tetra10": [[0, 1, 2, 3]],
    "hexahedron": [
        [0, 1, 2, 6], [0, 2, 3, 6], [0, 3, 7, 6], [0, 7, 4, 6], [0, 4, 5, 6], [0, 5, 1, 6],
    ],
    "wedge": [[0, 2, 1, 3], [1, 3, 5, 4], [1, 2, 5, 3]],
    "pyramid": [[0, 1, 2, 4], [0, 2, 3, 4]],
}  # fmt: skip
KINDS = {2: "line", 3: "triangle", 4: "tetra"}  # corners of a simplex -> its cell type
FLAT = 1e-14  # volume over the product of the edges, at or below which a cell has no volume
POISSON = 0.3


def simplices(mesh: Mesh) -> np.ndarray:
    """The cells of highest dimension as linear simplices (k, q + 1).

    Raises BadInput where the mesh has none, or cells that cannot be split.
    """
    pieces: list[np.ndarray] = []
    unknown: list[str] = []
    for kind, cells in mesh.cells.items():
        if kind in SPLIT and len(cells):
            pieces += [cells[:, corners] for corners in SPLIT[kind]]
        if kind not in SPLIT and kind != "vertex":
            unknown.append(kind)
    if unknown or not pieces:
        kinds = unknown or list(mesh.cells)
        known = ", ".join(SPLIT)
        raise BadInput(f"cells {kinds} cannot be morphed; convert them to one of: {known}")
    corners_most = max(piece.shape[1] for piece in pieces)
    highest = [piece for piece in pieces if piece.shape[1] == corners_most]
    return np.vstack(highest).astype(np.int64)


def simplex_mesh(points: np.ndarray, cells: np.ndarray) -> Mesh:
    """Linear simplices (k, q + 1) on points (n, d) as a mesh."""
    kind = KINDS[cells.shape[1]]
    return Mesh(points, {kind: cells})


def geometry(points: np.ndarray, cells: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Volumes (k,) and gradients of the barycentric coordinates (k, q + 1, d).

    Volumes are signed where q = d; on curves and surfaces (q < d) gradients are tangential.
    Raises BadInput naming a cell of no volume.
    """
    edges = _edges(points, cells)
    q, d = edges.shape[1:]
    metric = edges @ edges.transpose(0, 2, 1)
    if q == d:
        parallelepipeds = _det(edges)
    else:
        parallelepipeds = np.sqrt(np.maximum(np.linalg.det(metric), 0.0))
    _check_volumes(edges, parallelepipeds, cells)
    inner = np.linalg.solve(metric, edges)
    first = -inner.sum(axis=1, keepdims=True)
    gradients = np.concatenate([first, inner], axis=1)
    factorial = float(np.prod(np.arange(1, q + 1)))
    return parallelepipeds / factorial, gradients


def volumes(points: np.ndarray, cells: np.ndarray) -> np.ndarray:
    """Volumes (k,) >= 0 of simplices. Raises BadInput naming a cell of no volume."""
    signed, _ = geometry(points, cells)
    return np.abs(signed)


def _edges(points: np.ndarray, cells: np.ndarray) -> np.ndarray:
    """x_1 - x_0, ..., x_q - x_0 of every cell (..., k, q, d)."""
    others = points[..., cells[:, 1:], :]
    first = points[..., cells[:, :1], :]
    edges: np.ndarray = others - first
    return edges


def _check_volumes(edges: np.ndarray, signed: np.ndarray, cells: np.ndarray) -> None:
    box = np.prod(np.linalg.norm(edges, axis=2), axis=1)
    size = np.abs(signed)
    if not (size <= FLAT * box).any():
        return
    bad = int(np.argmin(size / np.where(box > 0, box, 1.0)))
    nodes = cells[bad].tolist()
    raise BadInput(f"cell {bad} with nodes {nodes} has no volume; repair the mesh")


def _det(A: np.ndarray) -> np.ndarray:
    """Determinants (...,) of (..., d, d); in the plane ad - bc, ten times faster."""
    if A.shape[-1] != 2:
        return np.asarray(np.linalg.det(A))
    main = A[..., 0, 0] * A[..., 1, 1]
    cross = A[..., 0, 1] * A[..., 1, 0]
    return np.asarray(main - cross)


def determinants(reference: np.ndarray, moved: np.ndarray, cells: np.ndarray) -> np.ndarray:
    """det grad of the piecewise linear map reference -> moved, (k,).

    moved : (n, d), or (m, n, d) for (m, k)
    On curves and surfaces (q < d) : the ratio of volumes.
    """
    edges = _edges(reference, cells)
    images = _edges(moved, cells)
    q, d = edges.shape[1:]
    if q == d == images.shape[-1]:
        return np.asarray(_det(images) / _det(edges))
    image_metric = images @ np.swapaxes(images, -1, -2)
    metric = edges @ np.swapaxes(edges, -1, -2)
    square = np.linalg.det(image_metric) / np.linalg.det(metric)
    return np.sqrt(np.maximum(square, 0.0))


def assemble(cells: np.ndarray, local: np.ndarray, n: int) -> sp.csr_array:
    """sum_e of local matrices (k, q + 1, q + 1) as a sparse (n, n)."""
    rows, cols = np.broadcast_arrays(cells[:, :, None], cells[:, None, :])
    places = (rows.ravel(), cols.ravel())
    return sp.csr_array(sp.coo_array((local.ravel(), places), shape=(n, n)))


def mass(points: np.ndarray, cells: np.ndarray) -> sp.csr_array:
    """M_ab = int phi_a phi_b, P1."""
    corners = cells.shape[1]
    pairs = np.ones((corners, corners)) + np.eye(corners)
    unit = pairs / (corners * (corners + 1))
    local = volumes(points, cells)[:, None, None] * unit
    return assemble(cells, local, len(points))


def lumped_mass(points: np.ndarray, cells: np.ndarray) -> np.ndarray:
    """int phi_a, (n,)."""
    corners = cells.shape[1]
    share = volumes(points, cells) / corners
    return np.bincount(cells.ravel(), np.repeat(share, corners), len(points))


def stiffness(points: np.ndarray, cells: np.ndarray) -> sp.csr_array:
    """K_ab = int grad phi_a . grad phi_b, P1."""
    signed, gradients = geometry(points, cells)
    products = gradients @ gradients.transpose(0, 2, 1)
    local = np.abs(signed)[:, None, None] * products
    return assemble(cells, local, len(points))


def elasticity(
    points: np.ndarray,
    cells: np.ndarray,
    nu: float = POISSON,
    young: np.ndarray | float = 1.0,
) -> sp.csr_array:
    """int 2 G eps(u):eps(v) + lambda div u div v, P1, dofs node-major (n d, n d).

    young : one number, or one per cell
    """
    signed, B = geometry(points, cells)
    k, corners, d = B.shape
    shear = np.broadcast_to(young, k) / (2 * (1 + nu))
    lame = 2 * shear * nu / (1 - 2 * nu)
    outer = np.einsum("kai,kbj->kaibj", B, B)
    dots = np.einsum("kai,kbi->kab", B, B)
    laplace = dots[:, :, None, :, None] * np.eye(d)[None, None, :, None, :]
    symmetric = outer.transpose(0, 1, 4, 3, 2) + laplace
    density = _per_cell(lame, outer) + _per_cell(shear, symmetric)
    flat = density.reshape(k, d * corners, -1)
    local = np.abs(signed)[:, None, None] * flat
    dofs = cells[:, :, None] * d + np.arange(d)
    return assemble(dofs.reshape(k, -1), local, len(points) * d)


def _per_cell(factor: np.ndarray, local: np.ndarray) -> np.ndarray:
    column = factor.reshape(-1, 1, 1, 1, 1)
    return column * local
