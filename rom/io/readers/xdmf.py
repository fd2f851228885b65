"""XDMF of one time or of a series, through meshio."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from rom.io.exchange import from_meshio, require_meshio
from rom.io.frame import Frame
from rom.io.readers.meshio_formats import meshio_frames
from rom.mesh import Mesh

TEMPORAL = b'CollectionType="Temporal"'
HEAD = 2000  # bytes in which a series says that it is one


def xdmf_frames(path: Path, unit: str) -> Iterator[tuple[Mesh, Frame]]:
    """Mesh and frame at every time of a series, or once."""
    if TEMPORAL in path.read_bytes()[:HEAD]:
        yield from _series(path, unit)
    else:
        yield from meshio_frames(path, unit)


def _series(path: Path, unit: str) -> Iterator[tuple[Mesh, Frame]]:
    require_meshio()
    import meshio

    with meshio.xdmf.TimeSeriesReader(path) as reader:
        points, cells = reader.read_points_cells()
        for k in range(reader.num_steps):
            t, point_data, cell_data = reader.read_data(k)
            step = meshio.Mesh(points, cells, point_data=point_data, cell_data=cell_data)
            mesh, at_points, at_cells = from_meshio(step, unit)
            yield mesh, Frame(float(t), at_points, at_cells)


LIBRARIES = ("meshio", "h5py")  # loaded once for all files
SUFFIXES = dict.fromkeys((".xdmf", ".xmf"), xdmf_frames)
