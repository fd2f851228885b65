"""Bare meshes in three formats of text, through meshio; others are refused.

meshio writes more formats, but drops what they cannot hold with a warning.
"""

from __future__ import annotations

from pathlib import Path

import rom.io.writers as writers
from rom.errors import BadInput
from rom.io.carries import Carries
from rom.io.exchange import meshio_parts, require_meshio, write_meshio
from rom.io.fields import Fields
from rom.io.registry import suffix_table
from rom.mesh import Mesh

SOLID = frozenset({"line", "triangle", "quad", "tetra", "hexahedron"})
FLAT = frozenset({"triangle"})
CARRIES = {
    ".mesh": Carries(SOLID, points=False, cells=False, sets=False),
    ".off": Carries(FLAT, points=False, cells=False, sets=False),
    ".obj": Carries(FLAT, points=False, cells=False, sets=False),
}


def check_bare(path: Path) -> None:
    """BadInput for a suffix that nothing writes; MissingExtra without meshio."""
    if path.suffix not in CARRIES:
        every = ", ".join(sorted(filter(None, suffix_table(writers))))
        raise BadInput(f"{path.name}: unknown format; known: {every}")
    require_meshio()


def write_bare(path: Path, mesh: Mesh, fields: Fields | None, cell_fields: Fields | None) -> None:
    """Points and cells. Raises BadInput where nothing writes the suffix."""
    check_bare(path)
    write_meshio(path, meshio_parts(mesh, None, None).bare)


CHECK = check_bare
SUFFIXES = dict.fromkeys(("", *CARRIES), write_bare)
