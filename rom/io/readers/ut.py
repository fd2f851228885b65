"""Results of Z-set: .ut with the .node and .integ beside it, through Muscat.

A .ut names fields and times; .node and .integ hold them as big-endian single precision, time
after time: nodal fields one after the other, fields at points of integration element after
element, field after field. Reference: Bordeu, Casenave and Cortial (2023).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from rom.errors import BadInput, ForeignFile
from rom.io.fields import Fields
from rom.io.frame import Frame
from rom.io.readers.geof import read_geof
from rom.io.regions import DIMENSION
from rom.mesh import Mesh

FLOAT = np.dtype(">f4")
TIME_COLUMN = 4  # of a line of the .ut


@dataclass(frozen=True, eq=False)
class _CellRule:
    """Integration on one cell type: rows of its cells in the file, N (q, nodes)."""

    kind: str
    rows: np.ndarray
    N: np.ndarray


def ut_frames(path: Path, unit: str) -> Iterator[tuple[Mesh, Frame]]:
    """Mesh and every field at every time of a .ut.

    Fields at points of integration stand cell after cell in the order of the mesh.
    Raises ForeignFile where a file is missing or has another size than the .ut says, BadInput
    where elements of one type have rules of different lengths.
    """
    names, times = _header(path)
    mesh, source = read_geof(path.parent / names["meshfile"][0], unit)
    rules = _rules(mesh, source)
    node, integ = names["node"], names["integ"]
    node_size = len(mesh.points) * len(node)
    integ_size = sum(len(rule.rows) * len(rule.N) for rule in rules) * len(integ)
    node_file, integ_file = path.with_suffix(".node"), path.with_suffix(".integ")
    _check_size(path, node_file, node_size, len(times))
    _check_size(path, integ_file, integ_size, len(times))
    x = np.concatenate([_positions(mesh, rule) for rule in rules])
    for k, t in enumerate(times):
        nodal = _read_block(node_file, k, node_size).reshape(len(node), -1)
        flat = _read_block(integ_file, k, integ_size)
        columns = _by_cell(flat, rules, len(integ)).T if integ else flat
        yield mesh, Frame(float(t), _fields(node, nodal), {}, _fields(integ, columns), x)


def _fields(names: list[str], rows: np.ndarray) -> Fields:
    """name -> (row, no unit); the files name no units."""
    return {name: (rows[i], "") for i, name in enumerate(names)}


def _check_size(path: Path, data: Path, size: int, n_times: int) -> None:
    """ForeignFile unless a file has `size` values at every time."""
    if not size:
        return
    if not data.is_file():
        raise ForeignFile(f"no file {data}, whose fields {path.name} names")
    needed = size * n_times * FLOAT.itemsize
    actual = data.stat().st_size
    if actual != needed:
        raise ForeignFile(
            f"{data.name} has {actual} bytes; {n_times} times of {path.name} need {needed}: "
            "it is truncated, or of another mesh"
        )


def _positions(mesh: Mesh, rule: _CellRule) -> np.ndarray:
    """x = sum_k N_k x_k at the points of integration of one cell type, (g, d)."""
    corners = mesh.points[mesh.cells[rule.kind]]
    x: np.ndarray = np.einsum("qk,ekd->eqd", rule.N, corners)
    return x.reshape(-1, mesh.points.shape[1])


def _header(path: Path) -> tuple[dict[str, list[str]], list[float]]:
    """Names of mesh file and fields, and times, of a .ut."""
    names: dict[str, list[str]] = {"meshfile": [], "node": [], "integ": []}
    times = []
    try:
        for line in path.read_text().splitlines():
            words = line.split()
            if words and words[0].startswith("**"):
                names[words[0][2:]] = words[1:]
            elif words:
                times.append(float(words[TIME_COLUMN]))
    except (OSError, ValueError, IndexError) as error:
        raise ForeignFile(
            f"{path} is no .ut ({error}); it names a mesh file, fields and times"
        ) from error
    if not names["meshfile"] or not times:
        absent = "times" if names["meshfile"] else "mesh file"
        raise ForeignFile(f"{path} is no complete .ut: it names no {absent}")
    return names, times


def _read_block(path: Path, k: int, size: int) -> np.ndarray:
    """Values (size,) of time k."""
    if not size:
        return np.zeros(0)
    offset = k * size * FLOAT.itemsize
    return np.fromfile(path, FLOAT, size, offset=offset).astype(float)


def _rules(mesh: Mesh, source: Any) -> list[_CellRule]:
    """The rules of the cell types that fill the space, in the order of the mesh.

    Raises BadInput where elements of several types are out of order, or a rule is not known.
    """
    own = _filling_elements(mesh, source)
    several = len(own) > 1
    if several and any((np.diff(numbers) <= 0).any() for numbers, _ in own.values()):
        raise BadInput(
            "elements of several types are numbered out of order; "
            "renumber them in the order of the file"
        )
    mixed = np.concatenate([numbers for numbers, _ in own.values()])
    order = np.argsort(np.argsort(mixed)) if several else np.arange(len(mixed))
    ends = np.cumsum([0, *(len(numbers) for numbers, _ in own.values())])
    rules = []
    for (kind, (_, elements)), (a, b) in zip(own.items(), pairwise(ends), strict=True):
        N = _shape_functions(kind, elements)
        rules.append(_CellRule(kind, order[a:b], N))
    return rules


def _filling_elements(mesh: Mesh, source: Any) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """cell type -> (numbers in the file, names of the elements of Z-set)."""
    from Muscat.Bridges.MeshIOBridge import meshIONameByElementName

    ends = np.cumsum([block.GetNumberOfElements() for block in source.elements.values()])
    names = np.split(source.elemFields["FE Names"], ends[:-1])
    filling = {}
    for (theirs, block), elements in zip(source.elements.items(), names, strict=True):
        kind = meshIONameByElementName[theirs]
        if DIMENSION[kind] == mesh.points.shape[1]:
            filling[kind] = (np.asarray(block.originalIds), elements)
    return filling


def _shape_functions(kind: str, elements: np.ndarray) -> np.ndarray:
    """N (q, nodes) at an element's points of integration, nodes as in the mesh."""
    from Muscat.IO.ZsetCatalog import get_shapes_at_ip_for_element
    from Muscat.IO.ZsetTools import PermutationZSetToMuscat

    if len(set(elements)) > 1:
        raise BadInput(
            f"{kind} cells are of the elements {', '.join(sorted(set(elements)))}; "
            "ingest one rule per cell type"
        )
    element = elements[0]
    shapes = get_shapes_at_ip_for_element(element)
    if shapes is None:
        raise BadInput(
            f"the points of integration of element {element!r} are not known; "
            "ingest nodal fields only"
        )
    N = np.asarray(shapes[0], dtype=float)
    theirs = list(range(N.shape[1]))
    return N[:, PermutationZSetToMuscat.get(element, theirs)]


def _by_cell(flat: np.ndarray, rules: list[_CellRule], c: int) -> np.ndarray:
    """Values (g, c), type after type, of one time of a .integ: element after element."""
    lengths = np.zeros(sum(len(rule.rows) for rule in rules), dtype=np.int64)
    for rule in rules:
        lengths[rule.rows] = len(rule.N) * c
    starts = np.concatenate([[0], np.cumsum(lengths)[:-1]])
    parts = []
    for rule in rules:
        first = starts[rule.rows][:, None]
        values = flat[first + np.arange(len(rule.N) * c)]
        by_component = values.reshape(len(rule.rows), c, len(rule.N))
        parts.append(by_component.transpose(0, 2, 1).reshape(-1, c))
    return np.concatenate(parts)


LIBRARIES = ("meshio", "Muscat.IO.GeofReader")  # loaded once for all files
SUFFIXES = {".ut": ut_frames}
