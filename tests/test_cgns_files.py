"""CGNS node by node in HDF5, as the standard lays it out, with numbers put there by hand."""

import h5py
import numpy as np
import pytest

from rom.errors import BadInput
from rom.io import ingest_files, read_file, read_frames
from rom.io.grid import to_grid
from rom.io.readers.cgns import read_cgns

CUBE = np.array([[x, y, z] for z in (0, 1) for x, y in ((0, 0), (1, 0), (1, 1), (0, 1))], float)
ROW = np.arange(8)[None]


def node(parent, name, label, data=None):
    made = parent.create_group(name)
    made.attrs["label"] = np.bytes_(label)
    if isinstance(data, str):
        data = np.frombuffer(data.encode(), np.int8)
    if data is not None:
        made[" data"] = np.asarray(data)
    return made


def base_of(file, name="Base", cell=3, space=3):
    return node(file, name, "CGNSBase_t", np.int32([cell, space]))


def zone_of(base, name, points, sections, k=1):
    zone = node(base, name, "Zone_t", np.array([[len(points)], [k], [0]]))
    node(zone, "ZoneType", "ZoneType_t", "Unstructured")
    grid = node(zone, "GridCoordinates", "GridCoordinates_t")
    for axis, x in zip("XYZ", points.T, strict=False):
        node(grid, f"Coordinate{axis}", "DataArray_t", x)
    first = 1
    for title, code, rows in sections:
        part = node(zone, title, "Elements_t", np.int32([code, 0]))
        last = first + len(rows) - 1
        node(part, "ElementRange", "IndexRange_t", np.array([first, last]))
        node(part, "ElementConnectivity", "DataArray_t", np.asarray(rows).ravel() + 1)
        first = last + 1
    return zone


def solution(zone, name, place, **fields):
    made = node(zone, name, "FlowSolution_t")
    node(made, "GridLocation", "GridLocation_t", place)
    for key, values in fields.items():
        node(made, key, "DataArray_t", np.asarray(values, float))
    return made


def test_all_bases_and_zones_are_blocks(tmp_path):
    with h5py.File(tmp_path / "a.cgns", "w") as file:
        for k, name in enumerate(("Fluid", "Solid")):
            base = base_of(file, name)
            for j in range(2):
                points = CUBE + np.array([3 * k, 3 * j, 0])
                zone = zone_of(base, f"Zone{j}", points, [("Vol", 17, ROW)])
                solution(zone, "S", "Vertex", T=np.full(8, 10 * k + j))
    mesh, points, _ = read_file(tmp_path / "a.cgns")
    its = {
        name: points["T"][0][mesh.cells["hexahedron"][parts["hexahedron"]]].ravel().tolist()
        for name, parts in mesh.regions.items()
    }
    assert its == {
        "Fluid/Zone0": [0] * 8, "Fluid/Zone1": [1] * 8, "Solid/Zone0": [10] * 8,
        "Solid/Zone1": [11] * 8,
    }  # fmt: skip
    with pytest.raises(BadInput, match="4 zones"):
        read_cgns(tmp_path / "a.cgns")


def test_every_time_has_its_solution(tmp_path):
    with h5py.File(tmp_path / "a.cgns", "w") as file:
        base = base_of(file)
        zone = zone_of(base, "Zone", CUBE, [("Vol", 17, ROW)])
        for k in range(3):
            solution(zone, f"Sol{k}", "Vertex", T=np.full(8, k + 1))
        solution(zone, "Fixed", "CellCenter", rho=[7.0])
        times = node(base, "Times", "BaseIterativeData_t", np.int32([3]))
        node(times, "TimeValues", "DataArray_t", np.array([0.0, 0.5, 2.0]))
        steps = node(zone, "Steps", "ZoneIterativeData_t")
        names = "".join(f"Sol{k}".ljust(32) for k in (2, 1, 0))
        node(steps, "FlowSolutionPointers", "DataArray_t", names)
    _, frames = read_frames(tmp_path / "a.cgns")
    states = [(f.t, f.points["T"][0][0], f.cells["rho"][0][0]) for f in frames]
    assert states == [(0, 3, 7), (0.5, 2, 7), (2, 1, 7)]
    with pytest.raises(BadInput, match="3 times"):
        read_cgns(tmp_path / "a.cgns")


@pytest.mark.parametrize("angle", ["Radian", "Degree"])
def test_cylindrical_coordinates_and_units(angle, tmp_path):
    with h5py.File(tmp_path / "a.cgns", "w") as file:
        base = base_of(file)
        words = ("Kilogram", "Millimeter", "Second", "Kelvin", angle)
        node(base, "Units", "DimensionalUnits_t", "".join(word.ljust(32) for word in words))
        zone = zone_of(base, "Zone", CUBE, [("Vol", 17, ROW)])
        grid = zone["GridCoordinates"]
        del grid["CoordinateX"], grid["CoordinateY"]
        theta = CUBE[:, 1] * (1 if angle == "Radian" else 180 / np.pi)
        node(grid, "CoordinateR", "DataArray_t", CUBE[:, 0] + 1)
        node(grid, "CoordinateTheta", "DataArray_t", theta)
    mesh, _, _ = read_file(tmp_path / "a.cgns")
    assert np.allclose(mesh.points[2], [2 * np.cos(1), 2 * np.sin(1), 0], atol=1e-15)
    assert mesh.unit == "mm" and np.array_equal(read_cgns(tmp_path / "a.cgns")[0].points, (
        mesh.points
    ))  # fmt: skip


def test_fields_of_the_filling_cells_and_boundaries_of_every_form(tmp_path):
    with h5py.File(tmp_path / "a.cgns", "w") as file:
        zone = zone_of(base_of(file), "Zone", CUBE, [("Bnd", 7, [[0, 1, 2, 3], [4, 5, 6, 7]]),
            ("Vol", 17, ROW)])  # fmt: skip
        solution(zone, "S", "CellCenter", p=[7.0])
        group = node(zone, "ZoneBC", "ZoneBC_t")
        low = node(group, "low", "BC_t", "BCWall")
        node(low, "ElementRange", "IndexRange_t", np.array([1, 1]))
        high = node(group, "high", "BC_t", "BCWall")
        node(high, "GridLocation", "GridLocation_t", "FaceCenter")
        node(high, "PointRange", "IndexRange_t", np.array([[2], [2]]))
        corner = node(group, "corner", "BC_t", "BCWall")
        node(corner, "PointList", "IndexArray_t", np.array([[3], [5]]))
    mesh, _, cells = read_file(tmp_path / "a.cgns")
    assert mesh.regions["low"]["quad"].tolist() == [0]
    assert mesh.regions["high"]["quad"].tolist() == [1]
    assert mesh.nodes["corner"].tolist() == [2, 4]
    assert np.isnan(cells["p"][0][:2]).all() and cells["p"][0][2] == 7
    result = ingest_files([tmp_path / "a.cgns"], {"p": "Pa"}, written={"p": "Pa"})
    assert result.fields["p"].ravel().tolist() == [7]
    assert "p" in read_cgns(tmp_path / "a.cgns")[2]


def test_structured_zones_have_i_fastest_rinds_and_ranges(tmp_path):
    x, y, z = np.array([0.0, 1, 2]), np.array([0.0, 2]), np.array([0.0, 3])
    Z, Y, X = np.meshgrid(z, y, x, indexing="ij")  # as HDF5 holds i fastest
    with h5py.File(tmp_path / "a.cgns", "w") as file:
        base = base_of(file)
        zone = node(base, "Zone", "Zone_t", np.array([[3, 2, 2], [2, 1, 1], [0, 0, 0]]))
        node(zone, "ZoneType", "ZoneType_t", "Structured")
        grid = node(zone, "GridCoordinates", "GridCoordinates_t")
        for axis, values in zip("XYZ", (X, Y, Z), strict=True):
            node(grid, f"Coordinate{axis}", "DataArray_t", values)
        solution(zone, "V", "Vertex", x=X)
        rind = solution(zone, "C", "CellCenter", n=np.arange(4.0).reshape(1, 1, 4))
        node(rind, "Rind", "Rind_t", np.array([1, 1, 0, 0, 0, 0]))
        group = node(zone, "ZoneBC", "ZoneBC_t")
        tag = node(group, "right", "BC_t", "BCWall")
        node(tag, "PointRange", "IndexRange_t", np.array([[3, 1, 1], [3, 2, 2]]))
        face = node(group, "left", "BC_t", "BCWall")
        node(face, "GridLocation", "GridLocation_t", "IFaceCenter")
        node(face, "PointRange", "IndexRange_t", np.array([[1, 1, 1], [1, 1, 1]]))
    mesh, points, cells = read_file(tmp_path / "a.cgns")
    assert to_grid(mesh).compute_cell_sizes()["Volume"].tolist() == [6, 6]
    assert np.array_equal(points["x"][0], mesh.points[:, 0]) and cells["n"][0].tolist() == [1, 2]
    assert (mesh.points[mesh.nodes["right"], 0] == 2).all() and len(mesh.nodes["right"]) == 4
    assert (mesh.points[mesh.nodes["left"], 0] == 0).all() and len(mesh.nodes["left"]) == 4


HEXAGON = np.array([[np.cos(a), np.sin(a)] for a in np.pi / 3 * np.arange(6)])
AREA = 1.5 * np.sqrt(3)  # of the hexagon
PRISMS = np.concatenate([np.column_stack([HEXAGON, np.full(6, z)]) for z in (0.0, 1.0, 3.0)])
CAPS = [[0, 5, 4, 3, 2, 1], [6, 7, 8, 9, 10, 11], [12, 13, 14, 15, 16, 17]]
WALLS = [[k + low, (k + 1) % 6 + low, (k + 1) % 6 + 6 + low, k + 6 + low] for low in (0, 6)
    for k in range(6)]  # fmt: skip
LEFT = [1, 1, 2, *[1] * 6, *[2] * 6]  # a face turns out of this cell, from 1, and into that
RIGHT = [0, 2, *[0] * 13]


def ragged(zone, name, code, first, rows, storage):
    """A section of polygons or of polyhedra, whose lengths lead or stand beside."""
    part = node(zone, name, "Elements_t", np.int32([code, 0]))
    node(part, "ElementRange", "IndexRange_t", np.array([first, first + len(rows) - 1]))
    leading = [[len(row)] if storage == "leading" else [] for row in rows]
    flat = [x for size, row in zip(leading, rows, strict=True) for x in (*size, *row)]
    node(part, "ElementConnectivity", "DataArray_t", np.array(flat))
    if storage != "leading":
        offsets = np.cumsum([0, *map(len, rows)])
        node(part, "ElementStartOffset", "DataArray_t", offsets)
    return part


@pytest.mark.parametrize("storage", ["offsets", "leading", "parents"])
def test_polyhedra_in_every_form_have_their_volumes_values_and_boundaries(storage, tmp_path):
    """Two prisms of six sides, 1 and 2 high, with a face between them."""
    faces = [[k + 1 for k in row] for row in CAPS + WALLS]
    with h5py.File(tmp_path / "a.cgns", "w") as file:
        zone = zone_of(base_of(file), "Zone", PRISMS, [], 2)
        part = ragged(zone, "Faces", 22, 1, faces, storage)
        if storage == "parents":
            sides = [[k + 15 if k else 0 for k in side] for side in (LEFT, RIGHT)]
            node(part, "ParentElements", "DataArray_t", np.array(sides))
        else:
            cells = [[1, 2, *range(4, 10)], [-2, 3, *range(10, 16)]]
            ragged(zone, "Cells", 23, 16, cells, storage)
        solution(zone, "Sol", "CellCenter", q=[3.0, 5.0])
        solution(zone, "Nodal", "Vertex", T=np.arange(18.0))
        tag = node(node(zone, "ZoneBC", "ZoneBC_t"), "floor", "BC_t", "BCWall")
        node(tag, "GridLocation", "GridLocation_t", "FaceCenter")
        node(tag, "PointList", "IndexArray_t", np.array([[1]]))
    mesh, points, cells = read_file(tmp_path / "a.cgns")
    x = mesh.points[mesh.cells["tetra"]]
    volume = np.linalg.det(x[:, 1:] - x[:, :1]) / 6
    q = cells["q"][0][-len(x) :]
    assert volume.min() > 0 and np.array_equal(mesh.points, PRISMS)
    assert np.allclose([volume[q == 3].sum(), volume[q == 5].sum()], [AREA, 2 * AREA], rtol=1e-14)
    assert np.array_equal(points["T"][0], np.arange(18)) and set(q) == {3.0, 5.0}
    assert len(mesh.cells["quad"]) == 12 and len(mesh.cells["triangle"]) == 8  # not the middle one
    floor = mesh.points[mesh.cells["triangle"][mesh.regions["floor"]["triangle"]]]
    assert (floor[..., 2] == 0).all() and list(mesh.regions["floor"]) == ["triangle"]
    area = np.cross(*(floor[:, k, :2] - floor[:, 0, :2] for k in (1, 2))).sum() / 2
    assert abs(abs(area) - AREA) < 1e-14


def test_plane_polygons_and_links_of_a_tree(tmp_path):
    """A hexagon, a square and a triangle as NGON_n; the grid is linked from another zone."""
    points = np.concatenate([HEXAGON, [[3, 0], [3, 1], [2, 1], [4, 0]], [[2, 0]]])
    rows = [[1, 2, 3, 4, 5, 6], [11, 7, 8, 9], [7, 10, 8]]
    with h5py.File(tmp_path / "a.cgns", "w") as file:
        base = base_of(file, cell=2, space=2)
        grid = node(file, "Store", "UserDefinedData_t")
        for axis, x in zip("XY", points.T, strict=True):
            node(grid, f"Coordinate{axis}", "DataArray_t", x)
        zone = node(base, "Zone", "Zone_t", np.array([[11], [3], [0]]))
        node(zone, "ZoneType", "ZoneType_t", "Unstructured")
        link = node(zone, "GridCoordinates", "")
        link.attrs["type"] = np.bytes_("LK")
        link[" link"] = h5py.SoftLink("/Store")
        ragged(zone, "Cells", 22, 1, rows, "offsets")
        solution(zone, "Sol", "CellCenter", q=[1.0, 2.0, 3.0])
    mesh, _, cells = read_file(tmp_path / "a.cgns")
    x = mesh.points[mesh.cells["triangle"]]
    area = np.abs(np.cross(x[:, 1] - x[:, 0], x[:, 2] - x[:, 0])) / 2
    kinds = np.repeat(list(mesh.cells), [len(rows) for rows in mesh.cells.values()])
    q = cells["q"][0]
    assert abs(area[q[kinds == "triangle"] == 1].sum() - AREA) < 1e-14
    assert area[q[kinds == "triangle"] == 3] == 0.5 and q[kinds == "quad"] == [2.0]


@pytest.mark.parametrize("fault", ["short", "no face", "zero"])
def test_polyhedra_that_are_not_whole_are_refused_by_name(fault, tmp_path):
    faces = [[k + 1 for k in row] for row in CAPS + WALLS]
    with h5py.File(tmp_path / "a.cgns", "w") as file:
        zone = zone_of(base_of(file), "Zone", PRISMS, [], 2)
        part = ragged(zone, "Faces", 22, 1, faces, "offsets")
        last = 99 if fault == "no face" else 0 if fault == "zero" else 9
        ragged(zone, "Cells", 23, 16, [[1, 2, *range(4, 9), last]], "offsets")
        if fault == "short":
            part["ElementStartOffset/ data"][-1] = 900
    with pytest.raises(BadInput, match=r"Faces do not fit|no NGON_n"):
        read_file(tmp_path / "a.cgns")
