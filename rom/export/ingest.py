"""Results of other codes: a series of files on one mesh as fields over time, with units, orientation and order checked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from rom.errors import BadInput
from rom.export.files import read_file
from rom.mesh import Mesh

# unit -> (kind, factor to SI); temperatures differ by a shift and are not converted
UNITS = {
    "m": ("length", 1.0), "mm": ("length", 1e-3), "um": ("length", 1e-6), "Pa": ("stress", 1.0), "kPa": ("stress", 1e3),
    "MPa": ("stress", 1e6), "GPa": ("stress", 1e9), "N/mm2": ("stress", 1e6), "K": ("temperature", 1.0), "s": ("time", 1.0),
    "1": ("number", 1.0), "": ("number", 1.0), "%": ("number", 1e-2),
}  # fmt: skip
# tetrahedra whose signed volumes must be positive: corners of linear cells; wedges look inwards in VTK's order
TETS = {
    "tetra": [(0, 1, 2, 3)], "hexahedron": [(0, 1, 3, 4), (1, 2, 0, 5), (2, 3, 1, 6), (3, 0, 2, 7), (4, 7, 5, 0), (5, 4, 6, 1), (6, 5, 7, 2), (7, 6, 4, 3)],
}  # fmt: skip


def ingest(
    paths: Sequence[str | Path], fields: Mapping[str, str], unit: str = "m", rename: Mapping[str, str] | None = None
) -> tuple[Mesh, dict[str, np.ndarray], dict[str, str]]:
    """Mesh, fields (n, c, m) and whether each lies on "points" or "cells", from m files that share a mesh, one per time.

    fields : {name: unit asked for}; rename : {name in the file: name}; unit : of the coordinates

    Values are converted to the units asked for where the file names its own. Raises ForeignFile for what cannot be read; BadInput for
    no files, a missing field, a mesh that changes, units of another kind or missing, and cells that are turned inside out.
    """
    if not paths:
        raise BadInput("no files to ingest; check the pattern")
    series: dict[str, list[np.ndarray]] = {name: [] for name in fields}
    where: dict[str, str] = {}
    mesh = oriented(read_file(paths[0], unit)[0], paths[0])
    for path in paths:
        found, points, cells = read_file(path, unit)
        if found.digest != mesh.digest:
            raise BadInput(f"{Path(path).name} has another mesh than {Path(paths[0]).name}; ingest one mesh at a time")
        both = {**{k: (v, "points") for k, v in points.items()}, **{k: (v, "cells") for k, v in cells.items()}}
        both = {(rename or {}).get(name, name): value for name, value in both.items()}
        for name, asked in fields.items():
            if name not in both:
                raise BadInput(f"{Path(path).name} has no field {name!r}; it has: {', '.join(both) or 'none'}")
            (values, theirs), where[name] = both[name]
            known = converted(values, theirs, asked, f"field {name!r} of {Path(path).name}")
            series[name].append(known.reshape(len(known), -1))
    shapes = {name: {x.shape for x in values} for name, values in series.items()}
    for name, seen in shapes.items():
        if len(seen) > 1:
            raise BadInput(f"field {name!r} changes its shape from file to file: {sorted(seen)}")
    return mesh, {name: np.stack(values, axis=-1) for name, values in series.items()}, where


def converted(values: np.ndarray, theirs: str, asked: str, what: str) -> np.ndarray:
    """Values in the unit asked for. Raises BadInput where the kinds differ, or where the file names no unit though one is asked for."""
    values = np.asarray(values, dtype=float)
    if theirs == asked:
        return values
    if theirs not in UNITS or asked not in UNITS or UNITS[theirs][0] != UNITS[asked][0]:
        raise BadInput(
            f"{what} is in {theirs or 'no unit'!r}, not in {asked!r}; rename the field in the file, or ask for its own unit"
        )
    return values * (UNITS[theirs][1] / UNITS[asked][1])


def oriented(mesh: Mesh, path: str | Path) -> Mesh:
    """The mesh, if the corners of its tetrahedra and hexahedra turn as VTK's do; BadInput names the first cell that does not."""
    for kind, cells in mesh.cells.items():
        for a, b, c, d in TETS.get(kind.rstrip("0127"), []):
            x = mesh.points[cells[:, [a, b, c, d]]]
            volume = np.linalg.det(x[:, 1:] - x[:, :1])
            if (volume <= 0).any():
                raise BadInput(
                    f"{Path(path).name}: {kind} cell {int(np.argmax(volume <= 0))} is turned inside out; reverse its nodes"
                )
    return mesh


def ordered(values: np.ndarray, theirs: np.ndarray, ours: np.ndarray, tol: float = 1e-6) -> np.ndarray:
    """Values (g, ...) at integration points `theirs` (g, d) put in the order of `ours` (g, d), which lie at the same places.

    Codes number the points of a cell differently; their positions say how. Raises BadInput where a point has no partner.
    """
    from scipy.spatial import cKDTree

    if theirs.shape != ours.shape or len(values) != len(theirs):
        raise BadInput(
            f"{len(values)} values at {theirs.shape} points cannot be put at {ours.shape}; is it the same rule of integration?"
        )
    distance, place = cKDTree(theirs).query(ours)
    size = float(np.ptp(ours, axis=0).max())
    if distance.max() > tol * size or len(np.unique(place)) != len(place):
        worst = int(np.argmax(distance))
        raise BadInput(
            f"point {worst} lies {distance[worst]:.2g} from any of the file's; units, mesh or rule of integration differ"
        )
    return values[place]
