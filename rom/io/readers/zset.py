"""Meshes and results of Z-set: .geof, and .ut with the .node and .integ beside it, through Muscat.

A .ut names fields and times; .node and .integ hold them as big-endian single precision, time after time: nodal fields one after the
other, fields at points of integration element after element, field after field. Reference: Bordeu, Casenave & Cortial (2023).
"""

from __future__ import annotations

import contextlib
import io
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from rom.errors import BadInput, ForeignFile, MissingExtra
from rom.io.exchange import from_meshio
from rom.io.frame import Frame
from rom.io.grid import DIMENSION
from rom.mesh import Mesh

FLOAT = np.dtype(">f4")


def read_geof(path: Path, unit: str = "m") -> Mesh:
    """The mesh of a .geof with its nset, elset and faset as node sets and regions. Raises ForeignFile where it is cut short."""
    return _geof(path, unit)[0]


def _geof(path: Path, unit: str) -> tuple[Mesh, Any]:
    """The mesh and Muscat's own form of it."""
    try:
        from Muscat.Bridges.MeshIOBridge import meshIONameByElementName
        from Muscat.IO.GeofReader import GeofReader
    except ImportError as error:
        raise MissingExtra(
            "Z-set files are read by Muscat; install it: pip install 'rom-platform[muscat]'"
        ) from error
    import meshio

    if not path.is_file():
        raise ForeignFile(f"no file {path}")
    reader = GeofReader()
    reader.SetFileName(str(path))
    with contextlib.redirect_stdout(io.StringIO()) as said:
        try:
            found = reader.Read()
        except Exception as error:
            raise ForeignFile(
                f"{path.name} is no complete .geof ({error or type(error).__name__}); write it again"
            ) from error
        finally:
            reader.EndReading()
    if "premature EOF" in said.getvalue() or not len(found.nodes):
        raise ForeignFile(f"{path.name} ends before its ***return; write it again")
    blocks = [
        (meshIONameByElementName[kind], np.asarray(e.connectivity, dtype=np.int64))
        for kind, e in found.elements.items()
    ]
    made = meshio.Mesh(np.asarray(found.nodes, dtype=float), blocks)
    made.point_sets = {tag.name: tag.GetIds() for tag in found.nodesTags}
    names = {name for e in found.elements.values() for name in e.tags.keys()}  # noqa: SIM118
    made.cell_sets = {
        name: [
            e.tags[name].GetIds() if name in e.tags else np.zeros(0, np.int64)
            for e in found.elements.values()
        ]
        for name in sorted(names)
    }
    return from_meshio(made, unit)[0], found


def zset_frames(path: Path, unit: str = "m") -> tuple[Mesh, Iterator[Frame]]:
    """Mesh and frames of a .ut: every field at every time, those at points of integration cell after cell in the order of the mesh.

    Raises ForeignFile where a file is missing or has another size than the .ut says, BadInput where elements of one type have rules of
    different lengths.
    """
    names, times = _header(path)
    mesh, found = _geof(path.parent / names["meshfile"][0], unit)
    rules = _rules(mesh, found)
    node, integ = names["node"], names["integ"]
    g = sum(len(rows) * len(N) for _, rows, N in rules)
    sizes = {".node": len(mesh.points) * len(node), ".integ": g * len(integ)}
    for suffix, size in sizes.items():
        data = path.with_suffix(suffix)
        if size and not data.is_file():
            raise ForeignFile(f"no file {data}, whose fields {path.name} names")
        if size and data.stat().st_size != size * len(times) * FLOAT.itemsize:
            raise ForeignFile(
                f"{data.name} has {data.stat().st_size} bytes; {len(times)} times of {path.name} need {size * len(times) * 4}: it is"
                " truncated, or of another mesh"
            )
    x = np.concatenate(
        [
            np.einsum("qk,ekd->eqd", N, mesh.points[mesh.cells[kind]]).reshape(
                -1, mesh.points.shape[1]
            )
            for kind, _, N in rules
        ]
    )

    def walk() -> Iterator[Frame]:
        for k, t in enumerate(times):
            points = _block(path.with_suffix(".node"), k, sizes[".node"]).reshape(len(node), -1)
            flat = _block(path.with_suffix(".integ"), k, sizes[".integ"])
            inner = _sorted(flat, rules, len(integ)) if integ else flat
            yield Frame(
                float(t), {name: (points[i], "") for i, name in enumerate(node)}, {},
                {name: (inner[:, i], "") for i, name in enumerate(integ)}, x,
            )  # fmt: skip

    return mesh, walk()


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
                times.append(float(words[4]))
    except (OSError, ValueError, IndexError) as error:
        raise ForeignFile(
            f"{path} is no .ut ({error}); it names a mesh file, fields and times"
        ) from error
    if not names["meshfile"] or not times:
        raise ForeignFile(
            f"{path} is no complete .ut: it names no {'times' if names['meshfile'] else 'mesh file'}"
        )
    return names, times


def _block(path: Path, k: int, size: int) -> np.ndarray:
    """Values (size,) of time k."""
    if not size:
        return np.zeros(0)
    return np.fromfile(path, FLOAT, size, offset=k * size * FLOAT.itemsize).astype(float)


def _rules(mesh: Mesh, found: Any) -> list[tuple[str, np.ndarray, np.ndarray]]:
    """(cell type, places of its cells in the file, N (q, nodes) at its points of integration) of the types that fill the space."""
    from Muscat.Bridges.MeshIOBridge import meshIONameByElementName
    from Muscat.IO.ZsetCatalog import get_shapes_at_ip_for_element
    from Muscat.IO.ZsetTools import PermutationZSetToMuscat

    ends = np.cumsum([e.GetNumberOfElements() for e in found.elements.values()])
    names = np.split(found.elemFields["FE Names"], ends[:-1])
    own = {
        meshIONameByElementName[kind]: (np.asarray(e.originalIds), name)
        for (kind, e), name in zip(found.elements.items(), names, strict=True)
        if DIMENSION[meshIONameByElementName[kind]] == mesh.points.shape[1]
    }
    if len(own) > 1 and any((np.diff(numbers) <= 0).any() for numbers, _ in own.values()):
        raise BadInput(
            "elements of several types are numbered out of order; renumber them in the order of the file"
        )
    mixed = np.concatenate([numbers for numbers, _ in own.values()])
    order = np.argsort(np.argsort(mixed)) if len(own) > 1 else np.arange(len(mixed))
    ends = np.cumsum([0, *(len(numbers) for numbers, _ in own.values())])
    rules = []
    for (kind, (_, elements)), (a, b) in zip(own.items(), pairwise(ends), strict=True):
        if len(set(elements)) > 1:
            raise BadInput(
                f"{kind} cells are of the elements {', '.join(sorted(set(elements)))}; ingest one rule per cell type"
            )
        shapes = get_shapes_at_ip_for_element(elements[0])
        if shapes is None:
            raise BadInput(
                f"the points of integration of element {elements[0]!r} are not known; ingest nodal fields only"
            )
        N = np.asarray(shapes[0], dtype=float)
        rules.append(
            (
                kind,
                order[a:b],
                N[:, PermutationZSetToMuscat.get(elements[0], list(range(N.shape[1])))],
            )
        )
    return rules


def _sorted(
    flat: np.ndarray, rules: list[tuple[str, np.ndarray, np.ndarray]], c: int
) -> np.ndarray:
    """Values (g, c), type after type, of one time of a .integ, which holds element after element."""
    lengths = np.zeros(sum(len(rows) for _, rows, _ in rules), dtype=np.int64)
    for _, rows, N in rules:
        lengths[rows] = len(N) * c
    starts = np.concatenate([[0], np.cumsum(lengths)[:-1]])
    parts = []
    for _, rows, N in rules:
        values = flat[starts[rows][:, None] + np.arange(len(N) * c)].reshape(len(rows), c, len(N))
        parts.append(values.transpose(0, 2, 1).reshape(-1, c))
    return np.concatenate(parts)
