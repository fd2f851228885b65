"""Meshes for Abaqus and CalculiX: .inp with regions and node sets as sets."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np

from rom.archive.files import write_file
from rom.errors import BadInput
from rom.io.carries import EVERY, Carries
from rom.io.fields import Fields
from rom.io.inp_elements import VTK_ORDER
from rom.mesh import Mesh

TYPES = {  # cell type -> element; in the plane, in space
    "line": ("T2D2", "T3D2"), "line3": ("T2D3", "T3D3"), "triangle": ("CPS3", "S3"),
    "triangle6": ("CPS6", "STRI65"), "quad": ("CPS4", "S4"), "quad8": ("CPS8", "S8R"),
    "quad9": ("M3D9", "M3D9"), "tetra": ("C3D4", "C3D4"), "tetra10": ("C3D10", "C3D10"),
    "pyramid": ("C3D5", "C3D5"), "wedge": ("C3D6", "C3D6"), "wedge15": ("C3D15", "C3D15"),
    "hexahedron": ("C3D8", "C3D8"), "hexahedron20": ("C3D20", "C3D20"),
    "hexahedron27": ("C3D27", "C3D27"),
}  # fmt: skip
PER_LINE = 10  # numbers; CalculiX reads 16 at most
NAME = 80  # characters
DIGITS = "%.12E"  # CalculiX reads 20 characters a number


def write_inp(path: Path, mesh: Mesh, fields: Fields | None, cell_fields: Fields | None) -> None:
    """A flat deck of nodes, elements and sets. Raises BadInput for odd names of sets.

    Coordinates have 13 digits, as many as CalculiX reads.
    """
    _check_names(path, mesh)
    out = io.StringIO()
    out.write("*NODE\n")
    for number, x in enumerate(mesh.points.tolist(), 1):
        out.write(f"{number}, {', '.join(DIGITS % value for value in x)}\n")
    first = 1
    starts = {}
    in_space = mesh.points.shape[1] == 3
    for kind, cells in mesh.cells.items():
        starts[kind] = first
        if len(cells):
            out.write(f"*ELEMENT, TYPE={TYPES[kind][in_space]}\n")
        order = np.argsort(VTK_ORDER.get(kind, range(cells.shape[1])))
        for number, nodes in enumerate(cells[:, order] + 1, first):
            _put_numbers(out, [number, *nodes.tolist()])
        first += len(cells)
    for name, parts in mesh.regions.items():
        out.write(f'*ELSET, ELSET="{name}"\n')
        for kind, rows in parts.items():
            _put_numbers(out, (starts[kind] + np.asarray(rows)).tolist())
    for name, nodes in mesh.nodes.items():
        out.write(f'*NSET, NSET="{name}"\n')
        _put_numbers(out, (np.asarray(nodes) + 1).tolist())
    write_file(path, out.getvalue().encode())


def _put_numbers(out: io.StringIO, numbers: list[int]) -> None:
    """Numbers with commas; a line that goes on ends with one."""
    for k in range(0, len(numbers), PER_LINE):
        row = ", ".join(map(str, numbers[k : k + PER_LINE]))
        out.write(row + (",\n" if k + PER_LINE < len(numbers) else "\n"))


def _check_names(path: Path, mesh: Mesh) -> None:
    for names in (mesh.regions, mesh.nodes):
        keys = [name.upper() for name in names]
        for name in names:
            is_odd = len(name) > NAME or not name.isascii() or any(c in name for c in '"\n\r')
            if is_odd or keys.count(name.upper()) > 1:
                raise BadInput(
                    f"{path.name}: {name!r} cannot name a set of Abaqus, whose names have at most "
                    f"{NAME} letters of ASCII and differ by more than capitals"
                )


CARRIES = {".inp": Carries(EVERY & frozenset(TYPES), points=False, cells=False)}
SUFFIXES = {".inp": write_inp}
