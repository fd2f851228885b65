"""Result files as other programs write them, by libraries of theirs or byte by byte: what our
readers never wrote themselves.
"""

import contextlib
import io

import numpy as np


def ensight(folder, grid):
    """EnSight Gold by VTK; it marks nodal fields with _n, cell fields with _c."""
    import vtk

    made = grid.copy()
    made.cell_data["BlockId"] = np.ones(made.n_cells, dtype=np.int32)
    writer = vtk.vtkEnSightWriter()
    writer.SetInputData(made)
    for name, value in (("FileName", "body"), ("Path", str(folder)), ("BaseName", "body")):
        getattr(writer, f"Set{name}")(value)
    writer.Write()
    writer.WriteCaseFile(1)
    return folder / "body.0.case"


def exodus(folder, grid):
    """Exodus II by the IOSS library."""
    import vtk
    from vtkmodules.vtkCommonCore import vtkLogger

    vtkLogger.SetStderrVerbosity(vtkLogger.VERBOSITY_OFF)
    writer = vtk.vtkIOSSWriter()
    writer.SetInputData(grid)
    writer.SetFileName(str(folder / "body.e"))
    writer.Write()
    return folder / "body.e"


def cgns(folder, points, hexahedra, nodal, cellwise):
    """CGNS 3.4 in HDF5, node by node.

    One zone of hexahedra, a solution at vertices and one in cells.
    """
    import h5py

    def node(parent, name, label, kind="MT", data=None):
        made = parent.create_group(name)
        for key, value in (("name", name), ("label", label), ("type", kind)):
            made.attrs.create(key, np.bytes_(value), dtype="S3" if key == "type" else "S33")
        made.attrs.create("flags", np.array([1], np.int32))
        if data is not None:
            made.create_dataset(" data", data=data)
        return made

    def text(words):
        return np.frombuffer(words.encode(), np.int8)

    with h5py.File(folder / "body.cgns", "w") as file:
        for key, value in (("name", "HDF5 MotherNode"), ("label", "Root Node of HDF5 File")):
            file.attrs.create(key, np.bytes_(value), dtype="S33")
        file.attrs.create("type", np.bytes_("MT"), dtype="S3")
        file.create_dataset(" format", data=text("IEEE_LITTLE_32\0"))
        file.create_dataset(" hdf5version", data=text("HDF5 Version 1.8.17".ljust(33, "\0")))
        node(file, "CGNSLibraryVersion", "CGNSLibraryVersion_t", "R4", np.array([3.4], np.float32))
        base = node(file, "Base", "CGNSBase_t", "I4", np.array([3, 3], np.int32))
        sizes = np.array([[len(points)], [len(hexahedra)], [0]], np.int32)
        zone = node(base, "Zone", "Zone_t", "I4", sizes)
        node(zone, "ZoneType", "ZoneType_t", "C1", text("Unstructured"))
        grid = node(zone, "GridCoordinates", "GridCoordinates_t")
        for axis, x in zip("XYZ", points.T, strict=True):
            node(grid, f"Coordinate{axis}", "DataArray_t", "R8", np.array(x))
        cells = node(zone, "Hexa", "Elements_t", "I4", np.array([17, 0], np.int32))
        node(cells, "ElementRange", "IndexRange_t", "I4", np.array([1, len(hexahedra)], np.int32))
        node(
            cells,
            "ElementConnectivity",
            "DataArray_t",
            "I4",
            (hexahedra + 1).ravel().astype(np.int32),
        )
        for name, place, fields in (("Nodal", "Vertex", nodal), ("Cells", "CellCenter", cellwise)):
            solution = node(zone, name, "FlowSolution_t")
            node(solution, "GridLocation", "GridLocation_t", "C1", text(place))
            for key, values in fields.items():
                node(solution, key, "DataArray_t", "R8", np.array(values, dtype=float))
    return folder / "body.cgns"


def zset(folder, mesh, t, nodal, inner, x):
    """Z-set's .geof, .ut, .node and .integ by Muscat.

    `inner` at points x (g, 3) go into Z-set's own order.
    """
    import meshio
    from Muscat.Bridges.MeshIOBridge import MeshIOToMesh
    from Muscat.IO.UtWriter import UtWriter
    from Muscat.IO.ZsetCatalog import get_shapes_at_ip_for_element
    from scipy.spatial import cKDTree

    kind = "hexahedron"
    made = meshio.Mesh(mesh.points, [(kind, mesh.cells[kind])], point_sets=mesh.nodes)
    made.cell_sets = {name: parts[kind] for name, parts in mesh.regions.items() if kind in parts}
    N = np.array(get_shapes_at_ip_for_element("c3d8")[0])
    theirs = np.einsum("qk,ekd->eqd", N, mesh.points[mesh.cells[kind]]).reshape(-1, 3)
    distance, place = cKDTree(x).query(theirs)
    assert distance.max() < 1e-8
    writer = UtWriter()
    with contextlib.redirect_stdout(io.StringIO()):
        writer.SetFileName(str(folder / "body.ut"))
        writer.AttachMesh(MeshIOToMesh(made))
        writer.AttachData(
            nodal,
            {name: np.zeros((len(mesh.points), len(t))) for name in inner},
            {k: v[place] for k, v in inner.items()},
        )
        writer.AttachSequence(np.column_stack([np.arange(1, len(t) + 1), *np.ones((3, len(t))), t]))
        writer.WriteFiles(writeGeof=True, geofName="body.geof")
    return folder / "body.ut"
