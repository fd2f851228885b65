"""Files of several blocks, parts and orders: what stands in them comes back, nothing else.

Every expected number is written here by hand, into grids of PyVista or text of OpenFOAM.
"""

import h5py
import numpy as np
import pytest
import pyvista as pv

from rom.errors import BadInput, ForeignFile
from rom.io import ingest_files, read_file, read_frames
from rom.mesh import Mesh

X = np.array([[0, 0, 0], [1, 0, 0], [1, 1, 0], [0, 1, 0], [2, 0, 0], [2, 1, 0]], float)
TRIANGLES, QUAD = [3, 0, 1, 2, 3, 0, 2, 3], [4, 1, 4, 5, 2]


def cube(x0, T):
    box = pv.RectilinearGrid([x0, x0 + 1.0], [0.0, 1.0], [0.0, 1.0]).cast_to_structured_grid()
    grid = pv.UnstructuredGrid(box)
    grid.point_data["T"] = np.full(8, float(T))
    return grid


def orders(folder):
    """One state, triangles before quads and behind."""
    one = pv.UnstructuredGrid(np.array(TRIANGLES + QUAD), [5, 5, 9], X)
    one.cell_data["p [Pa]"] = [1.0, 2.0, 30.0]
    other = pv.UnstructuredGrid(np.array(QUAD + TRIANGLES[4:] + TRIANGLES[:4]), [9, 5, 5], X)
    other.cell_data["p [Pa]"] = [30.0, 2.0, 1.0]
    one.save(folder / "one.vtu")
    other.save(folder / "other.vtu")
    return [folder / "one.vtu", folder / "other.vtu"]


def test_values_follow_their_cells_whatever_the_order_of_the_file(tmp_path):
    result = ingest_files(orders(tmp_path), {"p": "Pa"}, times=[0.0, 1.0])
    assert result.fields["p"][:, 0].T.tolist() == [[1, 2, 30], [1, 2, 30]]
    (tmp_path / "a.pvd").write_text(
        '<VTKFile type="Collection"><Collection><DataSet timestep="1" file="other.vtu"/>'
        '<DataSet timestep="0" file="one.vtu"/></Collection></VTKFile>'
    )
    series = ingest_files([tmp_path / "a.pvd"], {"p": "Pa"})
    assert series.t.tolist() == [0, 1] and np.array_equal(series.fields["p"], result.fields["p"])


def test_meshes_of_another_order_of_types_have_another_digest():
    cells = {"triangle": np.array([[0, 1, 2], [0, 2, 3]]), "quad": np.array([[1, 4, 5, 2]])}
    assert Mesh(X, cells).digest != Mesh(X, dict(reversed(cells.items()))).digest


def test_blocks_stay_apart_under_their_full_names(tmp_path):
    pv.MultiBlock({"left": cube(0, 1), "right": cube(1, 2)}).save(tmp_path / "a.vtm")
    mesh, points, _ = read_file(tmp_path / "a.vtm")
    jump = points["T"][0][mesh.cells["hexahedron"]]
    assert np.array_equal(jump, [[1] * 8, [2] * 8]) and len(mesh.points) == 16
    tree = pv.MultiBlock(
        {name: pv.MultiBlock({"internal": cube(5 * k, T)}) for k, (name, T) in enumerate(TREE)}
    )
    tree.save(tmp_path / "b.vtm")
    mesh, points, _ = read_file(tmp_path / "b.vtm")
    its = {
        name: points["T"][0][mesh.cells["hexahedron"][parts["hexahedron"]]].max()
        for name, parts in mesh.regions.items()
    }
    assert its == {"fluid/internal": 300.0, "solid/internal": 400.0}


TREE = (("fluid", 300), ("solid", 400))


def test_an_open_crack_inside_a_block_stays_open(tmp_path):
    both = cube(0, 1).merge(cube(1, 2), merge_points=False)
    pv.MultiBlock({"both": both, "far": cube(9, 7)}).save(tmp_path / "a.vtm")
    assert len(read_file(tmp_path / "a.vtm")[0].points) == 24


def test_an_array_of_some_blocks_is_marked_and_not_ingested(tmp_path):
    part = cube(1, 2)
    part.point_data["p"] = np.arange(8.0)
    part.cell_data["q"] = [5.0]
    pv.MultiBlock({"a": cube(0, 1), "b": part}).save(tmp_path / "a.vtm")
    _, frames = read_frames(tmp_path / "a.vtm")
    frame = next(frames)
    p, q = frame.points["p"][0], frame.cells["q"][0]
    assert np.isnan(p[:8]).all() and np.array_equal(p[8:], np.arange(8))
    assert np.isnan(q[0]) and q[1] == 5 and np.array_equal(frame.known["cells:q"], [False, True])
    assert np.array_equal(frame.known["points:p"], np.arange(16) > 7) and len(frame.known) == 2
    with pytest.raises(BadInput, match=r"'p' of a\.vtm is known on 8 of 16 points"):
        ingest_files([tmp_path / "a.vtm"], {"p": "Pa"}, written={"p": "Pa"})
    whole = ingest_files([tmp_path / "a.vtm"], {"T": "K"}, written={"T": "K"})
    assert np.array_equal(whole.fields["T"][:, 0, 0], np.repeat([1, 2], 8))


def test_a_name_on_points_and_on_cells_is_asked_for(tmp_path):
    grid = cube(0, 300)
    grid.cell_data["T"] = [7.0]
    grid.save(tmp_path / "a.vtu")
    options = {"written": {"T": "K"}}
    with pytest.raises(BadInput, match="on points and on cells"):
        ingest_files([tmp_path / "a.vtu"], {"T": "K"}, **options)
    for place, values in (("points", [300.0] * 8), ("cells", [7.0])):
        rename = {f"{place}:T": "T"}
        result = ingest_files([tmp_path / "a.vtu"], {"T": "K"}, rename=rename, **options)
        assert result.where == {"T": place} and result.fields["T"].ravel().tolist() == values


def line(a, b, ghosts=()):
    """Cubes from a to b, some of them ghosts."""
    box = pv.RectilinearGrid(np.arange(a, b + 1.0), [0.0, 1.0], [0.0, 1.0])
    grid = pv.UnstructuredGrid(box.cast_to_structured_grid())
    flags = np.zeros(grid.n_cells, np.uint8)
    flags[list(ghosts)] = 1
    grid.cell_data["vtkGhostType"] = flags
    grid.cell_data["number"] = np.arange(a, b, dtype=float)
    grid.point_data["x"] = grid.points[:, 0]
    return grid


def pvtu(folder, *pieces):
    for k, piece in enumerate(pieces):
        piece.save(folder / f"g{k}.vtu")
    sources = "".join(f'<Piece Source="g{k}.vtu"/>' for k in range(len(pieces)))
    path = folder / "g.pvtu"
    path.write_text(
        '<VTKFile type="PUnstructuredGrid" version="1.0" byte_order="LittleEndian">'
        '<PUnstructuredGrid GhostLevel="1"><PPoints><PDataArray type="Float64" Name="Points" '
        f'NumberOfComponents="3"/></PPoints>{sources}</PUnstructuredGrid></VTKFile>'
    )
    return path


def test_ghosts_of_parts_are_left_out_and_interfaces_there_once(tmp_path):
    mesh, points, cells = read_file(pvtu(tmp_path, line(0, 3, [2]), line(1, 4, [0])))
    assert len(mesh.cells["hexahedron"]) == 4 and len(mesh.points) == 20
    assert cells["number"][0].tolist() == [0, 1, 2, 3] and "vtkGhostType" not in cells
    assert np.array_equal(points["x"][0], mesh.points[:, 0])
    centres = mesh.points[mesh.cells["hexahedron"]].mean(axis=1)
    assert centres[:, 0].tolist() == [0.5, 1.5, 2.5, 3.5]
    (tmp_path / "g1.vtu").unlink()
    with pytest.raises(ForeignFile, match=r"g1\.vtu"):
        read_file(tmp_path / "g.pvtu")


def test_a_discontinuous_field_of_parts_stays_discontinuous(tmp_path):
    part = line(0, 1).merge(line(1, 2), merge_points=False)
    mesh, _, _ = read_file(pvtu(tmp_path, part, line(2, 3)))
    assert len(mesh.points) == 20  # 4 at x = 1 twice, those at x = 2 once


def test_hidden_cells_of_structured_grids_are_left_out(tmp_path):
    grid = pv.StructuredGrid(*np.meshgrid([0.0, 1, 2], [0.0, 1], [0.0, 1], indexing="ij"))
    grid.cell_data["q"] = [1.0, 2.0]
    grid.cell_data["vtkGhostType"] = np.array([32, 0], np.uint8)
    grid.save(tmp_path / "a.vts")
    mesh, _, cells = read_file(tmp_path / "a.vts")
    assert cells["q"][0].tolist() == [2] and len(mesh.points) == 8
    assert mesh.points[:, 0].min() == 1


@pytest.mark.parametrize("suffix", [".vti", ".vtr", ".vts"])
def test_structured_grids_are_hexahedra_of_positive_volume(suffix, tmp_path):
    grid = pv.ImageData(dimensions=(3, 2, 2), spacing=(1.0, 2.0, 3.0))
    if suffix != ".vti":
        grid = grid.cast_to_rectilinear_grid()
    if suffix == ".vts":
        grid = grid.cast_to_structured_grid()
    grid.point_data["x [m]"] = grid.points[:, 0]
    grid.cell_data["n"] = [0.0, 1.0]
    grid.save(tmp_path / f"a{suffix}")
    mesh, points, cells = read_file(tmp_path / f"a{suffix}")
    corners = mesh.points[mesh.cells["hexahedron"]]
    edges = corners[:, [1, 3, 4]] - corners[:, :1]
    assert np.linalg.det(edges).tolist() == [6, 6] and cells["n"][0].tolist() == [0, 1]
    assert np.array_equal(points["x"][0], mesh.points[:, 0]) and points["x"][1] == "m"


def test_all_parts_of_a_vtkhdf_are_read(tmp_path):
    parts = [line(0, 3, [2]), line(1, 4, [0])]
    with h5py.File(tmp_path / "a.vtkhdf", "w") as file:
        root = file.create_group("VTKHDF")
        root.attrs["Version"], root.attrs["Type"] = np.array([2, 0]), np.bytes_("UnstructuredGrid")
        counts = {"Points": 16, "Cells": 3, "ConnectivityIds": 24}
        for name, size in counts.items():
            root[f"NumberOf{name}"] = [size, size]
        root["Points"] = np.vstack([part.points for part in parts])
        nodes = [part.cells_dict[12].ravel() for part in parts]
        root["Connectivity"], root["Types"] = np.concatenate(nodes), np.full(6, 12, np.uint8)
        root["Offsets"] = np.tile(np.arange(0, 25, 8), 2)
        data = root.create_group("CellData")
        for name in ("number", "vtkGhostType"):
            data[name] = np.concatenate([part.cell_data[name] for part in parts])
    mesh, _, cells = read_file(tmp_path / "a.vtkhdf")
    assert cells["number"][0].tolist() == [0, 1, 2, 3] and len(mesh.points) == 20


@pytest.mark.parametrize("suffix", [".vtpc", ".vtkhdf", ".hdf", ".vtpd"])
def test_collections_of_partitions_are_read_of_both_forms(suffix, tmp_path):
    """Two parts of one block as VTK writes them; interface points once."""
    import vtk

    parts = vtk.vtkPartitionedDataSet()
    for k, part in enumerate((line(0, 3, [2]), line(1, 4, [0]))):
        parts.SetPartition(k, part)
    data = vtk.vtkPartitionedDataSetCollection()
    data.SetPartitionedDataSet(0, parts)
    data.GetMetaData(0).Set(vtk.vtkCompositeDataSet.NAME(), "whole")
    kind = vtk.vtkXMLPartitionedDataSetCollectionWriter if suffix == ".vtpc" else vtk.vtkHDFWriter
    kind, data = (vtk.vtkXMLPartitionedDataSetWriter, parts) if suffix == ".vtpd" else (kind, data)
    writer = kind()
    writer.SetInputData(data)
    writer.SetFileName(str(tmp_path / f"a{suffix}"))
    assert writer.Write()
    mesh, _, cells = read_file(tmp_path / f"a{suffix}")
    assert cells["number"][0].tolist() == [0, 1, 2, 3] and len(mesh.points) == 20


def foam(folder):
    """A case of two cells, T = 300 + 10 t and 400 + 10 t, a boundary at 100."""

    def head(kind, name, place="constant/polyMesh"):
        return (
            "FoamFile\n{\n version 2.0;\n format ascii;\n"
            f' class {kind};\n location "{place}";\n object {name};\n}}\n'
        )

    def put(path, text):
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text)

    def node(x, y, z):
        return z * 6 + y * 3 + x

    points = [(x, y, z) for z in (0, 1) for y in (0, 1) for x in (0, 1, 2)]
    faces = [[node(x, 0, 0), node(x, 1, 0), node(x, 1, 1), node(x, 0, 1)] for x in (1, 0, 2)]
    faces[1] = [faces[1][k] for k in (0, 3, 2, 1)]
    owner = [0, 0, 1]
    for c in (0, 1):
        d = c + 1
        faces += [
            [node(c, 0, 0), node(d, 0, 0), node(d, 0, 1), node(c, 0, 1)],
            [node(c, 1, 0), node(c, 1, 1), node(d, 1, 1), node(d, 1, 0)],
            [node(c, 0, 0), node(c, 1, 0), node(d, 1, 0), node(d, 0, 0)],
            [node(c, 0, 1), node(d, 0, 1), node(d, 1, 1), node(c, 1, 1)],
        ]
        owner += [c] * 4
    rows = "\n".join(f"4({' '.join(map(str, face))})" for face in faces)
    place = "constant/polyMesh/"
    put(
        f"{place}points",
        head("vectorField", "points")
        + f"12\n(\n{chr(10).join(f'({x} {y} {z})' for x, y, z in points)}\n)\n",
    )
    put(f"{place}faces", head("faceList", "faces") + f"11\n(\n{rows}\n)\n")
    put(
        f"{place}owner",
        head("labelList", "owner") + f"11\n(\n{chr(10).join(map(str, owner))}\n)\n",
    )
    put(f"{place}neighbour", head("labelList", "neighbour") + "1\n(\n1\n)\n")
    patches = (("inlet", 1, 1), ("outlet", 1, 2), ("walls", 8, 3))
    put(
        f"{place}boundary",
        head("polyBoundaryMesh", "boundary")
        + "3\n(\n"
        + "".join(
            f"{name}\n{{\n type patch;\n nFaces {n};\n startFace {k};\n}}\n"
            for name, n, k in patches
        )
        + ")\n",
    )
    put("system/controlDict", head("dictionary", "controlDict", "system") + "endTime 2;\n")
    for t in (0, 1, 2):
        put(
            f"{t}/T",
            head("volScalarField", "T", str(t))
            + "dimensions [0 0 0 1 0 0 0];\ninternalField nonuniform List<scalar>\n2\n(\n"
            + f"{300 + 10 * t}\n{400 + 10 * t}\n)\n;\nboundaryField\n{{\n"
            + " inlet { type fixedValue; value uniform 100; }\n outlet { type zeroGradient; }\n"
            + " walls { type zeroGradient; }\n}\n",
        )
    put("c.foam", "")
    return folder / "c.foam"


def test_openfoam_has_the_values_of_its_cells_alone(tmp_path):
    path = foam(tmp_path)
    mesh, frames = read_frames(path)
    frame = next(frames)
    assert {kind: len(cells) for kind, cells in mesh.cells.items()} == {"hexahedron": 2}
    assert len(mesh.points) == 12 and not frame.points
    result = ingest_files([path], {"T": "K"}, written={"T": "K"})
    assert result.t.tolist() == [0, 1, 2] and result.where == {"T": "cells"}
    assert result.fields["T"][:, 0].tolist() == [[300, 310, 320], [400, 410, 420]]


def test_parts_of_a_structured_grid_and_several_steps_in_one_file(tmp_path):
    """As VTK's own writers put them; steps in one file it does not read right itself."""
    import vtk

    body = pv.ImageData(dimensions=(5, 3, 2)).cast_to_structured_grid()
    body.point_data["T"], body.cell_data["q"] = body.points[:, 0], np.arange(8.0)
    writer = vtk.vtkXMLPStructuredGridWriter()
    writer.SetInputData(body)
    writer.SetFileName(str(tmp_path / "a.pvts"))
    writer.SetNumberOfPieces(2)
    writer.SetEndPiece(1)
    writer.Write()
    mesh, points, cells = read_file(tmp_path / "a.pvts")
    assert np.array_equal(mesh.points, body.points) and len(mesh.cells["hexahedron"]) == 8
    assert np.array_equal(points["T"][0], body.points[:, 0]) and cells["q"][0].tolist() == [
        *range(8)
    ]

    body = body.cast_to_unstructured_grid()
    writer = vtk.vtkXMLUnstructuredGridWriter()
    writer.SetInputData(body)
    writer.SetFileName(str(tmp_path / "a.vtu"))
    writer.SetNumberOfTimeSteps(3)
    writer.Start()
    for t in (0.0, 0.5, 2.0):
        body.point_data["T"] = body.points[:, 0] + t
        body.Modified()
        writer.WriteNextTime(t)
    writer.Stop()
    with pytest.raises(BadInput, match=r"holds 3 steps.*\.pvd"):
        read_frames(tmp_path / "a.vtu")
