"""Meshes of Z-set, .geof as text and .geo as bytes, through Muscat."""

from __future__ import annotations

import contextlib
import io
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from rom.errors import ForeignFile, require
from rom.io.exchange import from_meshio
from rom.io.frame import Frame
from rom.io.geo_blocks import MAGIC, plain_blocks
from rom.mesh import Mesh


def geof_frames(path: Path, unit: str) -> Iterator[tuple[Mesh, Frame]]:
    """The mesh of a .geof or .geo, which has no fields."""
    yield read_geof(path, unit)[0], Frame(None, {}, {})


def read_geof(path: Path, unit: str) -> tuple[Mesh, Any]:
    """The mesh of a .geof or .geo, and Muscat's own form of it.

    Its nset, elset and faset are node sets and regions. Raises ForeignFile where the file is
    missing or cut short, MissingExtra without Muscat.
    """
    require("Muscat.Bridges.MeshIOBridge", "muscat", "files of Z-set")
    require("meshio", "muscat", "files of Z-set")
    import meshio
    from Muscat.Bridges.MeshIOBridge import meshIONameByElementName

    source = _read_by_muscat(path)
    blocks = []
    for kind, elements in source.elements.items():
        nodes = np.asarray(elements.connectivity, dtype=np.int64)
        blocks.append((meshIONameByElementName[kind], nodes))
    bare = meshio.Mesh(np.asarray(source.nodes, dtype=float), blocks)
    bare.point_sets = {tag.name: tag.GetIds() for tag in source.nodesTags}
    bare.cell_sets = _cell_sets(source)
    return from_meshio(bare, unit)[0], source


def _reader(path: Path) -> Any:
    """Muscat's reader of a file by what it begins with."""
    from Muscat.IO.GeofReader import GeofReader
    from Muscat.IO.GeoReader import GeoReader

    if not path.is_file():
        raise ForeignFile(f"no file {path}")
    with open(path, "rb") as raw:
        is_binary = raw.read(len(MAGIC)) == MAGIC
    if path.suffix == ".geo" and not is_binary:
        raise ForeignFile(
            f"{path.name} is no binary mesh of Z-set; of a script of Gmsh give the .msh it makes"
        )
    if not is_binary:
        reader = GeofReader()
        reader.SetFileName(str(path))
        return reader
    return _open_blocks(GeoReader(), plain_blocks(path.read_bytes(), path.name))


def _open_blocks(reader: Any, content: bytes) -> Any:
    """Muscat's reader at the begin of a file in memory that holds the content."""
    reader.filePointer = os.fdopen(os.memfd_create("geo"), "w+b")
    reader.filePointer.write(content)
    reader.filePointer.seek(0)
    reader.StartReading = lambda: None
    return reader


def _read_by_muscat(path: Path) -> Any:
    reader = _reader(path)
    with contextlib.redirect_stdout(io.StringIO()) as output:
        try:
            source = reader.Read()
        except Exception as error:
            raise ForeignFile(
                f"{path.name} is no complete mesh of Z-set ({error or type(error).__name__}); "
                "write it again"
            ) from error
        finally:
            reader.EndReading()
    if "premature EOF" in output.getvalue() or not len(source.nodes):
        raise ForeignFile(f"{path.name} ends before its ***return; write it again")
    return source


def _cell_sets(source: Any) -> dict[str, list[np.ndarray]]:
    """name -> numbers of the cells of every block, in the order of the names."""
    blocks = list(source.elements.values())
    names = {name for block in blocks for name in block.tags.keys()}  # noqa: SIM118
    return {name: [_tag(block, name) for block in blocks] for name in sorted(names)}


def _tag(block: Any, name: str) -> np.ndarray:
    if name not in block.tags:
        return np.zeros(0, np.int64)
    return np.asarray(block.tags[name].GetIds())


LIBRARIES = ("meshio", "Muscat.IO.GeofReader", "Muscat.IO.GeoReader")  # loaded once
SUFFIXES = dict.fromkeys((".geof", ".geo"), geof_frames)
