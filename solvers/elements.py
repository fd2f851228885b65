"""Lagrange elements: N(X) = P(X) P(X_nodes)^{-1}, with monomials P.

The nodes X_nodes are in the order of meshio. Reference: Ern & Guermond, Theory and Practice of
Finite Elements (2004).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from itertools import product

import numpy as np
import scipy.sparse as sp

from rom.errors import BadInput
from rom.mesh import Mesh

CORNERS: dict[str, list[tuple[int, ...]]] = {
    "line": [(0,), (1,)],
    "triangle": [(0, 0), (1, 0), (0, 1)],
    "quad": [(0, 0), (1, 0), (1, 1), (0, 1)],
    "tetra": [(0, 0, 0), (1, 0, 0), (0, 1, 0), (0, 0, 1)],
    "hexahedron": [
        (0, 0, 0),
        (1, 0, 0),
        (1, 1, 0),
        (0, 1, 0),
        (0, 0, 1),
        (1, 0, 1),
        (1, 1, 1),
        (0, 1, 1),
    ],
    "wedge": [(0, 0, 0), (1, 0, 0), (0, 1, 0), (0, 0, 1), (1, 0, 1), (0, 1, 1)],
}
# nodes beyond the corners are means of corners: edges, then faces, then the cell
RING: list[tuple[int, ...]] = [(0, 1), (1, 2), (2, 3), (3, 0)]
BRICK: list[tuple[int, ...]] = [
    *RING,
    (4, 5),
    (5, 6),
    (6, 7),
    (7, 4),
    (0, 4),
    (1, 5),
    (2, 6),
    (3, 7),
]
FACES: list[tuple[int, ...]] = [
    (0, 4, 7, 3),
    (1, 2, 6, 5),
    (0, 1, 5, 4),
    (3, 7, 6, 2),
    (0, 3, 2, 1),
    (4, 5, 6, 7),
    tuple(range(8)),
]
MEANS: dict[str, tuple[str, list[tuple[int, ...]]]] = {
    "line3": ("line", [(0, 1)]),
    "triangle6": ("triangle", [(0, 1), (1, 2), (2, 0)]),
    "quad8": ("quad", RING),
    "quad9": ("quad", [*RING, (0, 1, 2, 3)]),
    "tetra10": ("tetra", [(0, 1), (1, 2), (2, 0), (0, 3), (1, 3), (2, 3)]),
    "hexahedron20": ("hexahedron", BRICK),
    "hexahedron27": ("hexahedron", [*BRICK, *FACES]),
    "wedge15": ("wedge", [(0, 1), (1, 2), (2, 0), (3, 4), (4, 5), (5, 3), (0, 3), (1, 4), (2, 5)]),
}
SHAPE = {kind: kind for kind in CORNERS} | {kind: shape for kind, (shape, _) in MEANS.items()}
DIMENSION = {kind: len(CORNERS[shape][0]) for kind, shape in SHAPE.items()}
ORDER = {kind: 1 if kind in CORNERS else 2 for kind in SHAPE}


@lru_cache
def nodes(kind: str) -> np.ndarray:
    """Reference nodes (k, d) of a cell type."""
    corners = np.array(CORNERS[SHAPE[kind]], dtype=float)
    means = [corners[list(group)].mean(axis=0) for group in MEANS.get(kind, ("", []))[1]]
    return np.vstack([corners, *means])


@lru_cache
def powers(kind: str) -> np.ndarray:
    """Exponents (k, d) of the monomials that span a cell type."""
    shape, d, p = SHAPE[kind], DIMENSION[kind], ORDER[kind]
    every = np.array(list(product(range(p + 1), repeat=d)))
    if shape in ("triangle", "tetra"):
        every = every[every.sum(axis=1) <= p]
    elif shape == "wedge":
        flat = every[:, :2].sum(axis=1)
        every = every[flat + np.maximum(every[:, 2] - 1, 0) <= p]
    elif kind in ("quad8", "hexahedron20"):
        every = every[(every == 2).sum(axis=1) <= 1]
    return every


def shapes(kind: str, X: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Shape functions N (q, k) and gradients (q, k, d) at reference points X (q, d)."""
    e = powers(kind)
    inverse = np.linalg.inv(np.prod(nodes(kind)[:, None, :] ** e, axis=-1))
    gradients = np.empty((len(X), *e.shape))
    for j in range(e.shape[1]):
        lowered = e - (np.arange(e.shape[1]) == j) * (e > 0)
        gradients[..., j] = (np.prod(X[:, None, :] ** lowered, axis=-1) * e[:, j]).reshape(
            len(X), -1
        )
    return np.prod(X[:, None, :] ** e, axis=-1) @ inverse, np.einsum(
        "qmd,mk->qkd", gradients, inverse
    )


@lru_cache
def quadrature(kind: str, intorder: int) -> tuple[np.ndarray, np.ndarray]:
    """Points (q, d) and weights (q,) > 0 exact for polynomials of degree `intorder`.

    Gauss-Jacobi in collapsed coordinates. Positive weights keep weighted mass matrices
    semi-definite, on which the coercivity bounds rest. Reference: Stroud (1971).
    """
    shape, m = SHAPE[kind], intorder // 2 + 1
    gauss = [_jacobi(m, 0), _jacobi(m, 1), _jacobi(m, 2)]
    collapse = {"triangle": (1, 0), "tetra": (2, 1, 0), "wedge": (1, 0, 0)}.get(
        shape, (0,) * DIMENSION[kind]
    )
    axes = np.meshgrid(*[gauss[a][0] for a in collapse], indexing="ij")
    weights = np.meshgrid(*[gauss[a][1] for a in collapse], indexing="ij")
    x, w = (
        np.stack([axis.ravel() for axis in axes], axis=1),
        np.prod([weight.ravel() for weight in weights], axis=0),
    )
    if shape in ("triangle", "wedge", "tetra"):
        x[:, 1] *= 1 - x[:, 0]
    if shape == "tetra":
        x[:, 2] *= 1 - x[:, 0] - x[:, 1]
    return x, w


def _jacobi(m: int, a: int) -> tuple[np.ndarray, np.ndarray]:
    """Gauss points and weights of int_0^1 (1 - x)^a g(x) dx."""
    from scipy.special import roots_jacobi

    x, w = roots_jacobi(m, a, 0)
    return 0.5 * (x + 1), w / 2 ** (a + 1)


@dataclass(frozen=True, eq=False)
class Patch:
    """Cells of one type with all that an integral needs.

    cells (e, k); N (q, k); G (e, q, k, d) gradients in space, or None on surfaces; w (e, q) weights
    [m^d]; x (e, q, d) [m]
    """

    cells: np.ndarray
    N: np.ndarray
    G: np.ndarray | None
    w: np.ndarray
    x: np.ndarray


def patch(points: np.ndarray, kind: str, cells: np.ndarray, X: np.ndarray, W: np.ndarray) -> Patch:
    """Cells of one type at reference points X (q, d) with weights W (q,).

    Raises BadInput that names a cell that is turned inside out.
    """
    N, dN = shapes(kind, X)
    corners = points[cells]
    J = np.einsum("ekc,qkd->eqcd", corners, dN, optimize=True)
    if J.shape[-1] < J.shape[-2]:
        measure, G = np.sqrt(np.linalg.det(np.swapaxes(J, -1, -2) @ J)), None
        bad = ~(measure.min(axis=1) > 0)
    else:
        det = np.linalg.det(J)
        measure, bad = np.abs(det), ~((det > 0).all(axis=1) | (det < 0).all(axis=1))
        G = None if bad.any() else dN @ np.linalg.inv(J)
    if bad.any():
        raise BadInput(
            f"{kind} cell {int(np.argmax(bad))} is degenerate or turned inside out; "
            "repair the mesh there"
        )
    return Patch(cells, N, G, measure * W, np.einsum("qk,ekc->eqc", N, corners, optimize=True))


def volume_kinds(mesh: Mesh) -> list[str]:
    """Cell types that fill the space; BadInput where one is unknown to these solvers."""
    d = mesh.points.shape[1]
    unknown = [kind for kind in mesh.cells if kind not in SHAPE and kind != "vertex"]
    if unknown:
        raise BadInput(
            f"cells of type {unknown[0]!r} have no elements here; known: {', '.join(SHAPE)}"
        )
    kinds = [kind for kind in mesh.cells if DIMENSION.get(kind) == d and len(mesh.cells[kind])]
    if not kinds:
        raise BadInput(
            f"the mesh has no cells of dimension {d}; it has {', '.join(mesh.cells) or 'none'}"
        )
    return kinds


def patches(
    mesh: Mesh, region: str | None = None, flat: bool = False, chunk: int = 100_000
) -> Iterator[Patch]:
    """Cells of a region (None: all that fill the space), `chunk` at a time.

    intorder : 2 p + 1 by default
    flat : the integrand holds nothing but gradients, which are constant in simplices of order 1:
        one point does there
    """
    parts = (
        {kind: np.arange(len(mesh.cells[kind])) for kind in volume_kinds(mesh)}
        if region is None
        else mesh.region(region)
    )
    for kind, numbers in parts.items():
        X, W = quadrature(
            kind, 1 if flat and kind in ("triangle", "tetra") else 2 * ORDER[kind] + 1
        )
        for start in range(0, len(numbers), chunk):
            yield patch(mesh.points, kind, mesh.cells[kind][numbers[start : start + chunk]], X, W)


def dofs(cells: np.ndarray, components: int) -> np.ndarray:
    """Node-major dofs (e, k c) of cells (e, k)."""
    return (cells[:, :, None] * components + np.arange(components)).reshape(
        len(cells), cells.shape[1] * components
    )


def matrix(
    local: np.ndarray, rows: np.ndarray, cols: np.ndarray, shape: tuple[int, int]
) -> sp.csr_array:
    """sum_e L_e^T K_e R_e of local matrices (e, i, j)."""
    i = np.broadcast_to(rows[:, :, None], local.shape).ravel()
    j = np.broadcast_to(cols[:, None, :], local.shape).ravel()
    return sp.csr_array(sp.coo_array((local.ravel(), (i, j)), shape=shape))


def vector(local: np.ndarray, rows: np.ndarray, n: int) -> np.ndarray:
    """sum_e L_e^T f_e of local vectors (e, i)."""
    return np.bincount(rows.ravel(), weights=local.ravel(), minlength=n)


def stiffness(mesh: Mesh, region: str | None = None) -> sp.csr_array:
    """int grad N_i . grad N_j over a region, (n, n)."""
    n = len(mesh.points)
    total = sp.csr_array((n, n))
    for p in patches(mesh, region, flat=True):
        B = np.moveaxis(_gradients(p), 2, 1).reshape(len(p.cells), p.N.shape[1], -1)
        weights = np.repeat(p.w, mesh.points.shape[1], axis=1)[:, None, :]
        total = total + matrix((B * weights) @ np.swapaxes(B, 1, 2), p.cells, p.cells, (n, n))
    return total


def mass(mesh: Mesh, region: str | None = None, weight: object = None) -> sp.csr_array:
    """int w N_i N_j over a region or surface, (n, n).

    weight : x (..., d) -> factor, or None
    """
    n = len(mesh.points)
    total = sp.csr_array((n, n))
    for p in patches(mesh, region):
        w = p.w * factor(weight, p.x)
        total = total + matrix(
            np.einsum("eq,qi,qj->eij", w, p.N, p.N, optimize=True), p.cells, p.cells, (n, n)
        )
    return total


def load(mesh: Mesh, region: str | None = None, weight: object = None) -> np.ndarray:
    """int w N_i over a region or surface, (n,)."""
    total = np.zeros(len(mesh.points))
    for p in patches(mesh, region):
        total += vector((p.w * factor(weight, p.x)) @ p.N, p.cells, len(total))
    return total


def factor(weight: object, x: np.ndarray) -> np.ndarray:
    """`weight` at points x (..., d): a function of position, a number, or None for 1.

    Raises BadInput on another shape or NaN.
    """
    if not callable(weight):
        constant = 1.0 if weight is None else float(weight)  # type: ignore[arg-type]
        return np.full(x.shape[:-1], constant)
    values = np.asarray(weight(x), dtype=float)
    if values.shape not in ((), x.shape[:-1]) or not np.isfinite(values).all():
        raise BadInput(
            f"a profile gave shape {values.shape} or NaN for points {x.shape}; "
            "return one finite number per point"
        )
    return np.broadcast_to(values, x.shape[:-1])


def _gradients(p: Patch) -> np.ndarray:
    if p.G is None:
        raise BadInput("gradients are asked of surface cells; name a region of volume cells")
    return p.G
