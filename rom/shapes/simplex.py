"""Linear simplices on meshes: splitting, gradients, mass, stiffness, determinants."""

from __future__ import annotations

import numpy as np
import scipy.sparse as sp

from rom.errors import BadInput
from rom.mesh import Mesh

# every cell by linear simplices of its corners; quads along a diagonal, volumes by tetrahedra that share the first corner
SPLIT = {
    "line": [[0, 1]], "line3": [[0, 1]], "triangle": [[0, 1, 2]], "triangle6": [[0, 1, 2]],
    "quad": [[0, 1, 2], [0, 2, 3]], "quad8": [[0, 1, 2], [0, 2, 3]], "quad9": [[0, 1, 2], [0, 2, 3]],
    "tetra": [[0, 1, 2, 3]], "tetra10": [[0, 1, 2, 3]],
    "hexahedron": [[0, 1, 2, 6], [0, 2, 3, 6], [0, 3, 7, 6], [0, 7, 4, 6], [0, 4, 5, 6], [0, 5, 1, 6]],
    "wedge": [[0, 2, 1, 3], [1, 3, 5, 4], [1, 2, 5, 3]], "pyramid": [[0, 1, 2, 4], [0, 2, 3, 4]],
}  # fmt: skip
CURVED = {"line3": 2, "triangle6": 3, "tetra10": 4}
# cells with nodes inside edges by linear simplices of all their nodes; the octahedron inside tetra10 along its diagonal from edge 02 to 13
PARTS = {
    "triangle6": [[0, 3, 5], [3, 1, 4], [5, 4, 2], [3, 4, 5]],
    "quad8": [[0, 4, 7], [4, 1, 5], [5, 2, 6], [6, 3, 7], [4, 5, 6], [4, 6, 7]],
    "quad9": [[0, 4, 8], [0, 8, 7], [4, 1, 5], [4, 5, 8], [8, 5, 2], [8, 2, 6], [7, 8, 6], [7, 6, 3]],
    "tetra10": [[0, 4, 6, 7], [4, 1, 5, 8], [6, 5, 2, 9], [7, 8, 9, 3], [4, 5, 6, 8], [4, 6, 7, 8], [6, 5, 9, 8], [6, 9, 7, 8]],
}  # fmt: skip


def simplices(mesh: Mesh) -> np.ndarray:
    """The cells of highest dimension as linear simplices (k, q + 1). Raises BadInput where the mesh has none."""
    parts = {
        kind: [cells[:, part] for part in SPLIT[kind]]
        for kind, cells in mesh.cells.items()
        if kind in SPLIT and len(cells)
    }
    unknown = [kind for kind in mesh.cells if kind not in SPLIT and kind != "vertex"]
    if unknown or not parts:
        raise BadInput(
            f"cells {unknown or list(mesh.cells)} cannot be morphed; convert them to one of: {', '.join(SPLIT)}"
        )
    q = max(part[0].shape[1] for part in parts.values())
    return np.vstack(
        [piece for part in parts.values() if part[0].shape[1] == q for piece in part]
    ).astype(np.int64)


def geometry(points: np.ndarray, cells: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Volumes (k,), signed where q = d, and gradients of the barycentric coordinates (k, q + 1, d).

    On curves and surfaces (q < d) gradients are tangential. Raises BadInput naming a cell of no volume.
    """
    edges = points[cells[:, 1:]] - points[cells[:, :1]]
    q, d = edges.shape[1:]
    factorial = float(np.prod(np.arange(1, q + 1)))
    metric = edges @ edges.transpose(0, 2, 1)
    signed = _det(edges) if q == d else np.sqrt(np.maximum(np.linalg.det(metric), 0.0))
    size = np.prod(np.linalg.norm(edges, axis=2), axis=1)
    if len(cells) and (np.abs(signed) <= 1e-14 * size).any():
        bad = int(np.argmin(np.abs(signed) / np.where(size > 0, size, 1.0)))
        raise BadInput(
            f"cell {bad} with nodes {cells[bad].tolist()} has no volume; repair the mesh"
        )
    inner = np.linalg.solve(metric, edges)
    return signed / factorial, np.concatenate([-inner.sum(axis=1, keepdims=True), inner], axis=1)


def _det(A: np.ndarray) -> np.ndarray:
    """Determinants (...,) of (..., d, d); in the plane ad - bc, ten times faster than by elimination."""
    return (
        A[..., 0, 0] * A[..., 1, 1] - A[..., 0, 1] * A[..., 1, 0]
        if A.shape[-1] == 2
        else np.linalg.det(A)
    )


def assemble(cells: np.ndarray, local: np.ndarray, n: int) -> sp.csr_array:
    """sum_e of local matrices (k, q + 1, q + 1) as a sparse (n, n)."""
    rows, cols = np.broadcast_arrays(cells[:, :, None], cells[:, None, :])
    return sp.csr_array(sp.coo_array((local.ravel(), (rows.ravel(), cols.ravel())), shape=(n, n)))


def mass(points: np.ndarray, cells: np.ndarray) -> sp.csr_array:
    """M_ab = int phi_a phi_b, P1."""
    volume, _ = geometry(points, cells)
    q = cells.shape[1] - 1
    local = (np.ones((q + 1, q + 1)) + np.eye(q + 1)) / ((q + 1) * (q + 2))
    return assemble(cells, np.abs(volume)[:, None, None] * local, len(points))


def lumped_mass(points: np.ndarray, cells: np.ndarray) -> np.ndarray:
    """int phi_a, (n,)."""
    volume = np.abs(geometry(points, cells)[0])
    return np.bincount(
        cells.ravel(), np.repeat(volume / cells.shape[1], cells.shape[1]), len(points)
    )


def stiffness(points: np.ndarray, cells: np.ndarray) -> sp.csr_array:
    """K_ab = int grad phi_a . grad phi_b, P1."""
    volume, gradient = geometry(points, cells)
    return assemble(
        cells, np.abs(volume)[:, None, None] * (gradient @ gradient.transpose(0, 2, 1)), len(points)
    )


def elasticity(
    points: np.ndarray, cells: np.ndarray, nu: float = 0.3, young: np.ndarray | float = 1.0
) -> sp.csr_array:
    """int 2 G eps(u):eps(v) + lambda div u div v, P1, dofs node-major (n d, n d); young : per cell."""
    volume, B = geometry(points, cells)
    d = points.shape[1]
    shear = np.broadcast_to(young, len(cells)) / (2 * (1 + nu))
    lame = 2 * shear * nu / (1 - 2 * nu)
    outer = np.einsum("kai,kbj->kaibj", B, B)
    dots = np.einsum("kai,kbi->kab", B, B)
    local = lame[:, None, None, None, None] * outer + shear[:, None, None, None, None] * (
        outer.transpose(0, 1, 4, 3, 2)
        + dots[:, :, None, :, None] * np.eye(d)[None, None, :, None, :]
    )
    local = np.abs(volume)[:, None, None] * local.reshape(len(cells), d * cells.shape[1], -1)
    dofs = (cells[:, :, None] * d + np.arange(d)).reshape(len(cells), -1)
    return assemble(dofs, local, len(points) * d)


def determinants(reference: np.ndarray, moved: np.ndarray, cells: np.ndarray) -> np.ndarray:
    """det grad of the piecewise linear map reference -> moved, (k,); moved may be (m, n, d), then (m, k).

    On curves and surfaces (q < d): the ratio of volumes with the sign of the normals' product.
    """
    edges = reference[cells[:, 1:]] - reference[cells[:, :1]]
    images = moved[..., cells[:, 1:], :] - moved[..., cells[:, :1], :]
    q = edges.shape[1]
    if q == edges.shape[2] == images.shape[-1]:
        return _det(images) / _det(edges)
    cross = np.linalg.det(images @ np.swapaxes(images, -1, -2)) / np.linalg.det(
        edges @ np.swapaxes(edges, -1, -2)
    )
    return np.sqrt(np.maximum(cross, 0.0))


def facets(cells: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Boundary facets (b, q) and the cell that each belongs to (b,)."""
    q = cells.shape[1]
    every = np.concatenate([np.delete(cells, k, axis=1) for k in range(q)])
    owner = np.tile(np.arange(len(cells)), q)
    _, first, count = np.unique(
        np.sort(every, axis=1), axis=0, return_index=True, return_counts=True
    )
    once = first[count == 1]
    return every[once], owner[once]


def neighbours(cells: np.ndarray) -> np.ndarray:
    """The cell beyond the facet opposite to each corner (k, q + 1); -1 on the boundary."""
    k, q = cells.shape
    every = np.sort(np.concatenate([np.delete(cells, j, axis=1) for j in range(q)]), axis=1)
    order = np.lexsort(every.T[::-1])
    same = (every[order][1:] == every[order][:-1]).all(axis=1)
    a, b = order[:-1][same], order[1:][same]
    found = np.full(k * q, -1)
    found[a], found[b] = b % k, a % k
    return found.reshape(q, k).T


def facet_normals(
    x: np.ndarray, cells: np.ndarray, edge: np.ndarray, owner: np.ndarray
) -> np.ndarray:
    """Outward unit normals of boundary facets (b, d): minus the gradient of the opposite corner's coordinate."""
    _, B = geometry(x, cells)
    opposite = np.argmin((cells[owner][:, :, None] == edge[:, None, :]).any(axis=2), axis=1)
    g = -B[owner, opposite]
    return g / np.linalg.norm(g, axis=1, keepdims=True)


def linear(mesh: Mesh) -> Mesh:
    """The same nodes with linear simplices only; cells with nodes inside edges become several, so that no node is lost.

    Regions of lines stay. Raises BadInput for cells that cannot be split so.
    """
    lines, three = (mesh.cells.get(kind, np.zeros((0, 1), np.int64)) for kind in ("line", "line3"))
    whole = [
        kind
        for kind in mesh.cells
        if kind in ("hexahedron20", "hexahedron27", "wedge15", "wedge18", "pyramid13")
    ]
    q = simplices(mesh).shape[1] if not whole else 0
    curved = [kind for kind in PARTS if kind in mesh.cells and len(PARTS[kind][0]) == q]
    if (
        whole
        or len(curved) > 1
        or (
            curved
            and any(len(SPLIT[k][0]) == q for k in mesh.cells if k in SPLIT and k not in curved)
        )
    ):
        raise BadInput(
            f"cells {list(mesh.cells)} have nodes inside edges; give one of {', '.join(PARTS)} alone, or linear cells"
        )
    if not curved and q == 2 and len(three) and not set(mesh.cells) - {"line", "line3", "vertex"}:
        return Mesh(
            mesh.points,
            {"line": np.vstack([three[:, [0, 2]], three[:, [2, 1]]])},
            {},
            mesh.nodes,
            mesh.unit,
        )
    cells = (
        np.vstack([mesh.cells[curved[0]][:, part] for part in PARTS[curved[0]]])
        if curved
        else simplices(mesh)
    )
    name = {2: "line", 3: "triangle", 4: "tetra"}[cells.shape[1]]
    if name == "line" or not len(lines) + len(three):
        return Mesh(
            mesh.points,
            {name: cells},
            {k: v for k, v in mesh.regions.items() if set(v) <= {name}},
            mesh.nodes,
            mesh.unit,
        )
    halves = (
        np.stack([three[:, [0, 2]], three[:, [2, 1]]], axis=1).reshape(-1, 2)
        if len(three)
        else np.zeros((0, 2), np.int64)
    )
    regions = {}
    for region, parts in mesh.regions.items():
        double = 2 * np.asarray(parts.get("line3", ()), dtype=np.int64)
        found = np.concatenate(
            [
                np.asarray(parts.get("line", ()), dtype=np.int64),
                len(lines) + double,
                len(lines) + double + 1,
            ]
        )
        if found.size:
            regions[region] = {"line": found}
    return Mesh(
        mesh.points,
        {"line": np.vstack([lines.reshape(-1, 2), halves]), name: cells},
        regions,
        mesh.nodes,
        mesh.unit,
    )


def subdivide(mesh: Mesh, marked: np.ndarray | None = None) -> Mesh:
    """Linear simplices with the longest edge of every marked cell halved, conformingly: all cells around a halved edge are cut.

    marked : cell numbers, by default all. The node set "coarse" names the nodes that were there first; regions of lines stay. Edges are taken longest first and no cell is cut twice in one call.
    Reference: Rivara (1984).
    """
    cells, x = simplices(mesh), mesh.points
    q = cells.shape[1]
    pairs = [(a, b) for a in range(q) for b in range(a + 1, q)]
    edges = np.stack([np.sort(cells[:, pair], axis=1) for pair in pairs], axis=1)
    unique, where = np.unique(edges.reshape(-1, 2), axis=0, return_inverse=True)
    where = where.reshape(len(cells), -1)
    length = np.linalg.norm(x[unique[:, 0]] - x[unique[:, 1]], axis=1)
    asked = where[np.arange(len(cells)), np.argmax(length[where], axis=1)][
        slice(None) if marked is None else marked
    ]
    around: dict[int, list[int]] = {}
    for cell, row in enumerate(where.tolist()):
        for edge in row:
            around.setdefault(edge, []).append(cell)
    taken, chosen = np.zeros(len(cells), dtype=bool), []
    for edge in sorted(set(asked.tolist()), key=lambda e: (-length[e], e)):
        if not taken[around[edge]].any():
            taken[around[edge]] = True
            chosen.append(edge)
    made = [cells[~taken]]
    for k, edge in enumerate(chosen):
        a, b = unique[edge]
        part = cells[around[edge]]
        made += [np.where(part == b, len(x) + k, part), np.where(part == a, len(x) + k, part)]
    points = np.vstack([x, x[unique[chosen]].mean(axis=1)])
    middle = np.full(len(unique), -1)
    middle[chosen] = len(x) + np.arange(len(chosen))
    name = {2: "line", 3: "triangle", 4: "tetra"}[q]
    made_cells, regions = {name: np.vstack(made)}, {}
    if q > 2 and "line" in mesh.cells:
        made_cells["line"], owner = _halved(mesh.cells["line"], unique, middle)
        named = {region: parts["line"] for region, parts in mesh.regions.items() if "line" in parts}
        regions = {
            region: {"line": np.flatnonzero(np.isin(owner, rows))} for region, rows in named.items()
        }
    return Mesh(points, made_cells, regions, {"coarse": np.arange(len(x)), **mesh.nodes}, mesh.unit)


def _halved(
    lines: np.ndarray, edges: np.ndarray, middle: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Lines cut at the nodes `middle` of `edges` (sorted pairs in order; -1: whole), and the line that each came from."""
    n = int(max(edges.max(), lines.max())) + 1
    ours, theirs = np.sort(lines, axis=1) @ [n, 1], edges @ [n, 1]
    at = np.minimum(np.searchsorted(theirs, ours), len(theirs) - 1)
    cut = np.where(theirs[at] == ours, middle[at], -1)
    owner = np.repeat(np.arange(len(lines)), 1 + (cut >= 0))
    second = np.append(False, owner[1:] == owner[:-1])
    first = np.append(second[1:], False)
    parts = lines[owner]
    parts[first, 1], parts[second, 0] = cut[owner[first]], cut[owner[second]]
    return parts, owner
