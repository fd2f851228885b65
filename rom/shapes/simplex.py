"""Linear simplices on meshes: volumes, gradients, P1 matrices, determinants."""

from __future__ import annotations

import math

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
    unknown = set(mesh.cells) - set(SPLIT) - {"vertex"}
    pieces = _pieces(mesh)
    if unknown or not pieces:
        kinds = [kind for kind in mesh.cells if kind in unknown or not unknown]
        options = ", ".join(SPLIT)
        raise BadInput(f"cells {kinds} cannot be morphed; convert them to one of: {options}")
    corners = [piece.shape[1] for piece in pieces]
    most = max(corners)
    highest = [piece for piece in pieces if piece.shape[1] == most]
    cells = np.vstack(highest)
    return cells.astype(np.int64)


def _pieces(mesh: Mesh) -> list[np.ndarray]:
    """The simplices of all cells, one array (k, q + 1) for each row of SPLIT."""
    pieces = []
    for kind, cells in mesh.cells.items():
        if not len(cells):
            continue
        for corners in SPLIT.get(kind, ()):
            pieces.append(cells[:, corners])
    return pieces


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
    metric = _metric(edges)
    boxes = _parallelepipeds(edges, metric)
    _check_volumes(edges, boxes, cells)
    others = np.linalg.solve(metric, edges)
    first = -others.sum(axis=1, keepdims=True)
    gradients = np.concatenate([first, others], axis=1)
    corners = cells.shape[1]
    factorial = math.factorial(corners - 1)
    return boxes / factorial, gradients


def volumes(points: np.ndarray, cells: np.ndarray) -> np.ndarray:
    """Volumes (k,) >= 0 of simplices. Raises BadInput naming a cell of no volume."""
    signed, _ = geometry(points, cells)
    return np.asarray(np.abs(signed))


def _edges(points: np.ndarray, cells: np.ndarray) -> np.ndarray:
    """x_1 - x_0, ..., x_q - x_0 of every cell (..., k, q, d)."""
    others = points[..., cells[:, 1:], :]
    first = points[..., cells[:, :1], :]
    edges: np.ndarray = others - first
    return edges


def _metric(edges: np.ndarray) -> np.ndarray:
    """Products (..., q, q) of the edges (..., q, d) of a cell."""
    transposed = np.swapaxes(edges, -1, -2)
    metric: np.ndarray = edges @ transposed
    return metric


def _parallelepipeds(edges: np.ndarray, metric: np.ndarray) -> np.ndarray:
    """Volumes (k,) that edges (k, q, d) span, signed where q = d."""
    q, d = edges.shape[1:]
    if q == d:
        return _det(edges)
    square = np.linalg.det(metric)
    positive = np.maximum(square, 0.0)
    return np.asarray(np.sqrt(positive))


def _check_volumes(edges: np.ndarray, signed: np.ndarray, cells: np.ndarray) -> None:
    """Raises BadInput naming the flattest cell where it has no volume."""
    lengths = np.linalg.norm(edges, axis=2)
    box = np.prod(lengths, axis=1)
    size = np.abs(signed)
    if not (size <= FLAT * box).any():
        return
    divisor = np.where(box > 0, box, 1.0)
    bad = int(np.argmin(size / divisor))
    nodes = cells[bad].tolist()
    raise BadInput(f"cell {bad} with nodes {nodes} has no volume; repair the mesh")


def _det(A: np.ndarray) -> np.ndarray:
    """Determinants (...,) of (..., d, d); in the plane ad - bc, ten times faster."""
    if A.shape[-1] != 2:
        return np.asarray(np.linalg.det(A))
    a, b = A[..., 0, 0], A[..., 0, 1]
    c, d = A[..., 1, 0], A[..., 1, 1]
    return np.asarray(a * d - b * c)


def determinants(reference: np.ndarray, moved: np.ndarray, cells: np.ndarray) -> np.ndarray:
    """det grad of the piecewise linear map reference -> moved, (k,).

    moved : (n, d), or (m, n, d) for (m, k)
    On curves and surfaces (q < d) : the ratio of volumes.
    """
    edges = _edges(reference, cells)
    images = _edges(moved, cells)
    q, d = edges.shape[1:]
    if q == d == images.shape[-1]:
        after, before = _det(images), _det(edges)
        return np.asarray(after / before)
    after = np.linalg.det(_metric(images))
    before = np.linalg.det(_metric(edges))
    square = np.maximum(after / before, 0.0)
    return np.asarray(np.sqrt(square))


def assemble(cells: np.ndarray, local: np.ndarray, n: int) -> sp.csr_array:
    """sum_e of local matrices (k, q + 1, q + 1) as a sparse (n, n)."""
    rows = np.broadcast_to(cells[:, :, None], local.shape)
    cols = np.broadcast_to(cells[:, None, :], local.shape)
    return scatter(local, rows, cols, (n, n))


def scatter(
    values: np.ndarray, rows: np.ndarray, cols: np.ndarray, shape: tuple[int, int]
) -> sp.csr_array:
    """A sparse matrix with values at (rows, cols), summed where they meet."""
    places = (rows.ravel(), cols.ravel())
    entries = (values.ravel(), places)
    matrix = sp.coo_array(entries, shape=shape)
    return sp.csr_array(matrix)


def mass(points: np.ndarray, cells: np.ndarray) -> sp.csr_array:
    """M_ab = int phi_a phi_b, P1."""
    corners = cells.shape[1]
    pairs = np.ones((corners, corners)) + np.eye(corners)
    unit = pairs / (corners * (corners + 1))
    volume = volumes(points, cells)
    local = volume[:, None, None] * unit
    return assemble(cells, local, len(points))


def lumped_mass(points: np.ndarray, cells: np.ndarray) -> np.ndarray:
    """int phi_a, (n,)."""
    corners = cells.shape[1]
    volume = volumes(points, cells)
    shares = np.repeat(volume / corners, corners)
    nodes = cells.ravel()
    return np.bincount(nodes, shares, len(points))


def stiffness(points: np.ndarray, cells: np.ndarray) -> sp.csr_array:
    """K_ab = int grad phi_a . grad phi_b, P1."""
    signed, gradients = geometry(points, cells)
    volume = np.abs(signed)
    local = volume[:, None, None] * _metric(gradients)
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
    modulus = np.broadcast_to(young, k)
    shear = modulus / (2 * (1 + nu))
    lame = 2 * shear * nu / (1 - 2 * nu)
    outer = np.einsum("kai,kbj->kaibj", B, B)
    dots = np.einsum("kai,kbi->kab", B, B)
    identity = np.eye(d)[None, None, :, None, :]
    laplace = dots[:, :, None, :, None] * identity
    symmetric = outer.transpose(0, 1, 4, 3, 2) + laplace
    density = _per_cell(lame, outer) + _per_cell(shear, symmetric)
    flat = density.reshape(k, d * corners, -1)
    volume = np.abs(signed)
    local = volume[:, None, None] * flat
    dofs = cells[:, :, None] * d + np.arange(d)
    rows = dofs.reshape(k, -1)
    return assemble(rows, local, len(points) * d)


def _per_cell(factor: np.ndarray, local: np.ndarray) -> np.ndarray:
    """A factor (k,) times local matrices (k, q + 1, d, q + 1, d)."""
    column = factor.reshape(-1, 1, 1, 1, 1)
    return np.asarray(column * local)
