"""The page docs/formats.md: what is read and written of every format.

`python -m tests.formats` writes it; tests/test_formats.py keeps it true. What is written is tried
here; what is read is said here, each row with the test file that shows it.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import numpy as np

import rom.io.readers as readers
import rom.io.writers as writers
from rom.errors import BadInput
from rom.io import read_file, write_mesh
from rom.io.registry import suffix_table
from rom.mesh import NODES, Mesh
from tests.test_export import one_cell

PAGE = Path(__file__).parents[1] / "docs" / "formats.md"
COLUMNS = ("nodal", "cell", "integration", "sets", "times", "units", "blocks")
R, N, X = "read", "none", "refused"  # none : the format has no such thing, or nobody writes it
CELLWISE = "as cell data"
BY_NAME = "in names"  # 'T [K]'
# format -> (suffixes, by whom, what of COLUMNS is read, test file)
READ: dict[str, tuple[tuple[str, ...], str, tuple[str, ...], str]] = {
    "VTK, one grid": (
        (".vtu", ".vtk", ".vtp", ".vti", ".vtr", ".vts", ".pvti", ".pvtr", ".pvts"), "VTK",
        (R, R, CELLWISE, "0/1 arrays", "TimeValue", BY_NAME, "one"), "test_blocks.py"),
    "VTK, blocks": (
        (".vtm", ".vtmb", ".vtpd", ".vtpc"), "VTK",
        (R, R, CELLWISE, "0/1 arrays", "TimeValue", BY_NAME, "all, full names"),
        "test_blocks.py"),
    "VTK, parts": (
        (".pvtu", ".pvtp"), "own, grids by VTK",
        (R, R, CELLWISE, "0/1 arrays", N, BY_NAME, "joined, no ghosts"), "test_blocks.py"),
    "VTK, series": (
        (".pvd",), "own, grids by VTK",
        (R, R, CELLWISE, "0/1 arrays", R, BY_NAME, "all"), "test_blocks.py"),
    "VTKHDF": (
        (".vtkhdf", ".hdf"), "VTK",
        (R, R, CELLWISE, "0/1 arrays", R, BY_NAME, "parts joined"), "test_blocks.py"),
    "EnSight Gold": (
        (".case",), "VTK", (R, R, N, N, R, BY_NAME, "all, full names"), "test_ingest.py"),
    "OpenFOAM, a folder too": (
        (".foam", ".OpenFOAM"), "VTK, inner cells alone",
        (N, R, N, N, R, "by --written", "regions"), "test_blocks.py"),
    "Nastran bulk data": (
        (".bdf", ".nas", ".fem", ".dat"), "own",
        (N, N, N, "properties", N, N, "includes joined"), "test_nastran_files.py"),
    "Gmsh 2.2, 4.0, 4.1": (
        (".msh",), "own", (R, R, "element nodes", "groups", R, BY_NAME, "partitions joined"),
        "test_gmsh_files.py"),
    "Abaqus, CalculiX": (
        (".inp",), "own", (N, N, N, "sets, surfaces as nodes", N, N, "instances"),
        "test_decks.py"),
    "CalculiX results": (
        (".frd",), "own", (R, N, N, N, R, "by --written", "one"), "test_solver_results.py"),
    "MED": (
        (".med", ".rmed", ".mmed"), "medcoupling",
        (R, R, "Gauss and element nodes", "groups", "times and modes", R, "meshes"),
        "test_med_files.py"),
    "XDMF 2, 3": (
        (".xdmf", ".xmf", ".xdmf2", ".xdmf3"), "own",
        (R, R, CELLWISE, R, R, BY_NAME, "all, full names"), "test_xdmf_files.py"),
    "Exodus II": (
        (".e", ".exo", ".ex2", ".exii", ".g", ".gen"), "own",
        (R, R, N, "node sets, sides as nodes", R, BY_NAME, "all"), "test_solver_results.py"),
    "CGNS in HDF5": (
        (".cgns",), "own", (R, R, X, "boundaries", R, "lengths", "bases and zones"),
        "test_cgns_files.py"),
    "Ansys archives": (
        (".cdb",), "mapdl-archive", (N, "numbers", N, "components", N, N, "one"),
        "test_ingest.py"),
    "Ansys results": (
        (".rst", ".rth"), "ansys-mapdl-reader",
        (R, N, "averaged at nodes", "components", "read, not of modes", "by --written", "one"),
        "test_rst_files.py"),
    "Twin Builder snapshots": (
        (".bin",), "own", (R, N, N, "named selections", N, "read", "one"),
        "test_foreign_bases.py"),
    "Z-set meshes": (
        (".geof", ".geo"), "Muscat", (N, N, N, R, N, N, "one"), "test_zset_files.py"),
    "Z-set results": (
        (".ut",), "own, mesh by Muscat", (R, N, R, R, R, "by --written", "one"),
        "test_ingest.py"),
}  # fmt: skip
WHY = """
## Why these readers

- **VTK** reads its own formats and EnSight. What it adds unasked is taken off: cells averaged to
  points, patches of the boundary as cells, ghosts and hidden cells, points merged by place.
- **Gmsh**: the library is under the GPL; meshio takes data in the order of the file in place of
  by number, and repeats a cell of several groups. Version 1 and orders above 2 are refused.
- **Abaqus and CalculiX**: meshio joins parts by node numbers, forgets moves and loses sets.
- **MED**: medcoupling (LGPL, extra `med`) is the format's own library. Cells that fill the space
  are mirror images of VTK's there; writers disagree, so the sign of a cell's measure decides.
  Quadratic polygons, and several values in a polygon or polyhedron, are refused by name.
- **XDMF**: meshio takes the first mesh for that of all times and reads one order of bytes.
- **Exodus**: VTK adds displacements to the coordinates and drops variables beside side sets.
  Files of 64-bit data (CDF-5) are opened by netCDF4 (MIT, extra `exodus`); blocks of polygons and
  polyhedra (NSIDED, NFACED) are refused by name.
- **CGNS**: node by node through h5py, links of the tree too. Of faces (NGON_n) those of one cell
  and of boundaries are kept as cells beside the polyhedra (NFACE_n, or ParentElements).
- **Nastran**: meshio reads no coordinate systems, includes or groups. Rigid elements, springs,
  masses, connectors and boundary surfaces are no cells and are left out; replicated fields and
  superelements are refused.
- **Ansys**: ansys-mapdl-reader (MIT, extra `ansys`); what it knows at elements it averages at
  their nodes. Cyclic sectors and parts of distributed runs are refused.
- Polygons and polyhedra are cut into triangles and tetrahedra of their own points; the field
  `cell of the file` says of which cell each is a piece. A cell that no node of it sees as a whole
  is cut at its centre where there are no values at points, and else refused.
- Polylines, strips of triangles and several points in one cell of VTK are their pieces too.
- Other suffixes are tried by meshio, for meshes of one time.

## Reduced bases, data sets of PLAID

`rom.io.read_basis` and `write_basis` take bases of libROM (`NAME.000000`, all ranks), pyLOM (group
`POD` in HDF5) and Twin Builder (`basis.svd`), each shown in `tests/test_foreign_bases.py`; so do
`rom export model.h5 --out NAME.000000` (`NAME.h5`, `NAME.svd`) and `rom export NAME.000000 --out
modes.npz`. None of them holds an offset, so a basis with one is not written; modes that are not
orthonormal in the space given are refused. The spaces of romtools are arrays and have no file.

Data sets of PLAID are written from a store by `rom export runs --out runs.plaid` and by
`rom.io.write_plaid`, a sample for each run and a file for each of its times, and are read as
designs of shapes (`rom shapes train FOLDER`, `tests/test_plaid_files.py`); the samples are files
of CGNS, which `rom.io` reads too. Units stand in a text of ours below the base.

A field that is known on some cells or blocks only is NaN elsewhere, and a mask says where it is
known; `rom ingest` refuses it, unless it is unknown on faces and edges alone, which are then left
out of the mesh. Surfaces and side sets are the node sets of their faces.
"""


def write_row(suffix: str) -> list[str]:
    """What a file of a suffix carries of a mesh, found by writing it."""
    kinds, tetra = [], one_cell("triangle")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, f"a{suffix}")
        for kind in NODES:
            try:
                write_mesh(path, one_cell(kind))
                kinds.append(kind)
            except BadInput:
                continue
        sets = Mesh(tetra.points, tetra.cells, {"r": {"triangle": np.array([0])}}, {"n": (
            np.array([1])
        )})  # fmt: skip
        cases = [
            (tetra, {"T": (np.arange(3.0), "K")}, {}),
            (tetra, {}, {"q": (np.ones(1), "Pa")}),
            (sets, {}, {}),
        ]
        words = []
        for mesh, points, cells in cases:
            try:
                _, at_points, at_cells = read_file(write_mesh(path, mesh, points, cells))
                assert set(at_points) == set(points) and set(at_cells) == set(cells)
                words.append("written")
            except BadInput:
                words.append(X)
    absent = [kind for kind in NODES if kind not in kinds]
    named = "all" if not absent else ", ".join(kinds)
    if absent and len(absent) < len(kinds):
        named = f"all but {', '.join(absent)}"
    return [suffix, named, *words]


def table(head: tuple[str, ...], rows: list[list[str]]) -> str:
    """A table of Markdown."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def page() -> str:
    """The whole page."""
    read = [
        [name, " ".join(f"`{suffix}`" for suffix in suffixes), by, *words, f"`tests/{test}`"]
        for name, (suffixes, by, words, test) in READ.items()
    ]
    suffixes = sorted(filter(None, suffix_table(writers)))
    written = [write_row(suffix) for suffix in suffixes]
    return (
        "# Formats of files\n\nPoints and cells of all types of `rom.mesh` are read of every "
        "format that has them; other cells are refused by name. Written by `python -m "
        "tests.formats`.\n\n## Read\n\n"
        + table(("format", "suffixes", "by", *COLUMNS, "shown by"), read)
        + "\n\n## Written\n\nAll else is refused before a file is there.\n\n"
        + table(("suffix", "cells", "nodal fields", "cell fields", "sets"), written)
        + "\n"
        + WHY
    )


def read_suffixes() -> set[str]:
    """Every suffix that a reader registers."""
    return set(filter(None, suffix_table(readers)))


if __name__ == "__main__":
    PAGE.write_text(page())
    sys.exit(0)
