"""Meshes of Ansys: blocked archives .cdb of CDWRITE, through mapdl-archive.

Node and element components become node sets and regions; numbers of nodes and elements,
materials and types become fields.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from rom.errors import ForeignFile, require
from rom.io.frame import Frame
from rom.io.grid import from_grid
from rom.io.regions import NODE_SET, REGION
from rom.mesh import Mesh

FIELDS = ("ansys_node_num", "ansys_elem_num", "ansys_material_type", "ansys_etype")
BLOCK_ENDS = {"NBLOCK": r"^N,\S*LOC,\s*-1|^\s*-1\s*$", "EBLOCK": r"^\s*-1\s*$"}
COMPONENT = r"^CMBLOCK,([^,]*),\w+,\s*(\d+).*\n.*\n((?:[ \t\d-]+\n)*)"  # name, length, numbers


def cdb_frames(path: Path, unit: str) -> Iterator[tuple[Mesh, Frame]]:
    """Mesh and fields of a .cdb.

    Raises ForeignFile where a block is missing or cut short, MissingExtra.
    """
    require("mapdl_archive", "ansys", "files .cdb of Ansys")
    from mapdl_archive import Archive

    _check_complete(path)
    archive = Archive(path)
    grid = archive.grid
    _rename_components(grid.point_data, archive.node_components, NODE_SET)
    _rename_components(grid.cell_data, archive.element_components, REGION)
    mesh, points, cells = from_grid(grid, unit)
    yield mesh, Frame(None, points, cells)


def _rename_components(data: Any, components: Any, prefix: str) -> None:
    """Components under the names of masks; of the other arrays only FIELDS stay."""
    for name in list(data.keys()):
        values = data.pop(name)
        if name in components:
            data[prefix + name] = values
        elif name in FIELDS:
            data[name] = values


def _check_complete(path: Path) -> None:
    """ForeignFile unless nodes and elements are there and every block has its end.

    The library does not check that.
    """
    text = path.read_text(errors="replace").upper()
    for name, end in BLOCK_ENDS.items():
        starts = [match.end() for match in re.finditer(rf"^{name},", text, re.MULTILINE)]
        ending = re.compile(end, re.MULTILINE)
        if not starts or not ending.search(text, starts[-1]):
            raise ForeignFile(f"{path.name} has no complete {name}; write it again with CDWRITE,DB")
    for match in re.finditer(COMPONENT, text + " ", re.MULTILINE):
        numbers = match[3].split()
        if len(numbers) != int(match[2]):
            raise ForeignFile(
                f"{path.name} is cut short in component {match[1].strip()}; "
                "write it again with CDWRITE,DB"
            )


LIBRARIES = ("pyvista", "mapdl_archive")  # loaded once for all files
SUFFIXES = {".cdb": cdb_frames}
