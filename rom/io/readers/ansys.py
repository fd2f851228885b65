"""Meshes of Ansys: blocked archives .cdb, as CDWRITE writes them, through mapdl-archive.

Node and element components become node sets and regions; numbers of nodes and elements, materials and types become fields.
"""

from __future__ import annotations

import re
from pathlib import Path

from rom.errors import ForeignFile, MissingExtra
from rom.io.grid import Fields, from_grid
from rom.mesh import Mesh

KEPT = ("ansys_node_num", "ansys_elem_num", "ansys_material_type", "ansys_etype")


def read_cdb(path: Path, unit: str = "m") -> tuple[Mesh, Fields, Fields]:
    """Mesh, point fields and cell fields of a .cdb. Raises ForeignFile where a block of it is missing or cut short."""
    try:
        from mapdl_archive import Archive
    except ImportError as error:
        raise MissingExtra(
            "Ansys .cdb files are read by mapdl-archive; install it: pip install 'rom-platform[ansys]'"
        ) from error
    _check(path)
    held = Archive(path)
    made = held.grid
    for data, names, prefix in (
        (made.point_data, held.node_components, "nodes"),
        (made.cell_data, held.element_components, "region"),
    ):
        for name in list(data.keys()):
            values = data.pop(name)
            if name in names:
                data[f"{prefix}:{name}"] = values
            elif name in KEPT:
                data[name] = values
    return from_grid(made, unit)


def _check(path: Path) -> None:
    """ForeignFile unless nodes and elements are there and every block has its end, which the reader of the library does not ask."""
    text = path.read_text(errors="replace").upper()
    ends = {"NBLOCK": r"^N,\S*LOC,\s*-1|^\s*-1\s*$", "EBLOCK": r"^\s*-1\s*$"}
    for name, end in ends.items():
        starts = [found.end() for found in re.finditer(rf"^{name},", text, re.MULTILINE)]
        if not starts or not re.compile(end, re.MULTILINE).search(text, starts[-1]):
            raise ForeignFile(f"{path.name} has no complete {name}; write it again with CDWRITE,DB")
    for found in re.finditer(
        r"^CMBLOCK,([^,]*),\w+,\s*(\d+).*\n.*\n((?:[ \t\d-]+\n)*)", text + " ", re.MULTILINE
    ):
        if len(found[3].split()) != int(found[2]):
            raise ForeignFile(
                f"{path.name} is cut short in component {found[1].strip()}; write it again with CDWRITE,DB"
            )
