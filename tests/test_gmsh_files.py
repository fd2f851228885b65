"""Files of Gmsh, written by Gmsh itself, against what its own interface says of them."""

import numpy as np
import pytest

from rom.errors import BadInput, ForeignFile
from rom.io import ingest_files, read_file, read_frames
from rom.io.grid import to_grid
from rom.mesh import NODES

gmsh = pytest.importorskip("gmsh")
FORMATS = [(2.2, 0), (2.2, 1), (4.0, 0), (4.1, 0), (4.1, 1)]  # 4.0 Gmsh writes as text alone
KINDS = {
    1: "line", 2: "triangle", 3: "quad", 4: "tetra", 5: "hexahedron", 6: "wedge", 7: "pyramid",
    8: "line3", 9: "triangle6", 10: "quad9", 11: "tetra10", 12: "hexahedron27", 13: "wedge18",
    15: "vertex", 16: "quad8", 17: "hexahedron20", 18: "wedge15", 19: "pyramid13",
}  # fmt: skip


@pytest.fixture
def session():
    gmsh.initialize(["", "-nt", "1"], interruptible=False)
    gmsh.option.setNumber("General.Terminal", 0)
    yield gmsh
    gmsh.finalize()


def write(path, version, binary):
    gmsh.option.setNumber("Mesh.MshFileVersion", version)
    gmsh.option.setNumber("Mesh.Binary", binary)
    gmsh.write(str(path))


def two_boxes(order=1):
    """Two boxes that share a face; groups: each, both, the faces below, one without a name."""
    model = gmsh.model
    boxes = [(3, model.occ.addBox(k, 0, 0, 1, 1, 1)) for k in range(2)]
    model.occ.fragment(boxes[:1], boxes[1:])
    model.occ.synchronize()
    low = model.getEntitiesInBoundingBox(-1, -1, -0.1, 3, 2, 0.1, 2)
    model.addPhysicalGroup(3, [1], name="left")
    model.addPhysicalGroup(3, [2], name="right")
    model.addPhysicalGroup(3, [1, 2], name="both of them")
    model.addPhysicalGroup(2, [tag for _, tag in low], name="low")
    model.addPhysicalGroup(2, [tag for _, tag in low][:1], tag=77)
    gmsh.option.setNumber("Mesh.MeshSizeMax", 0.6)
    gmsh.option.setNumber("Mesh.ElementOrder", order)
    model.mesh.generate(3)


def coordinates():
    """Number -> point, by Gmsh."""
    tags, x, _ = gmsh.model.mesh.getNodes()
    return dict(zip(tags.tolist(), x.reshape(-1, 3), strict=True))


def group_centres(dim, tag):
    """Sorted centres of the corners of the elements of a group, by Gmsh."""
    x = coordinates()
    centres = []
    for entity in gmsh.model.getEntitiesForPhysicalGroup(dim, tag):
        types, _, nodes = gmsh.model.mesh.getElements(dim, entity)
        for code, numbers in zip(types, nodes, strict=True):
            facts = gmsh.model.mesh.getElementProperties(code)
            for row in numbers.reshape(-1, facts[3])[:, : facts[5]]:
                centres.append(np.mean([x[n] for n in row.tolist()], axis=0))
    return np.array(sorted(np.round(centres, 9).tolist()))


def our_centres(mesh, parts):
    corners = {"tetra": 4, "tetra10": 4, "triangle": 3, "triangle6": 3}
    centres = [
        mesh.points[mesh.cells[kind][rows][:, : corners[kind]]].mean(axis=1)
        for kind, rows in parts.items()
    ]
    return np.array(sorted(np.round(np.vstack(centres), 9).tolist()))


@pytest.mark.parametrize("order", [1, 2])
@pytest.mark.parametrize("version, binary", FORMATS)
def test_groups_that_overlap_come_back_without_a_cell_twice(
    version, binary, order, session, tmp_path
):
    two_boxes(order)
    write(tmp_path / "a.msh", version, binary)
    mesh, _, _ = read_file(tmp_path / "a.msh")
    names = {"left": (3, 1), "right": (3, 2), "both of them": (3, 3), "low": (2, 4)}
    assert set(mesh.regions) == {*names, "surface 77"}
    for name, (dim, tag) in [*names.items(), ("surface 77", (2, 77))]:
        ours, theirs = our_centres(mesh, mesh.region(name)), group_centres(dim, tag)
        assert np.abs(ours - theirs).max() < 1e-8, name
    sizes = to_grid(mesh).compute_cell_sizes()
    assert sizes["Volume"].sum() == pytest.approx(2.0, rel=1e-12) and sizes["Volume"].min() >= 0
    assert len(mesh.points) == len(coordinates())


def one_element(code):
    """An element of a type on nodes of known places, numbered from the end."""
    _, dim, _, count, local, _ = gmsh.model.mesh.getElementProperties(code)
    x = np.zeros((count, 3))
    x[:, :dim] = np.array(local).reshape(count, -1)
    gmsh.model.addDiscreteEntity(dim, 1)
    numbers = 10 * np.arange(count, 0, -1)
    gmsh.model.mesh.addNodes(dim, 1, numbers, x.ravel())
    gmsh.model.mesh.addElementsByType(1, code, [5], numbers)
    gmsh.model.addPhysicalGroup(dim, [1], name="it")
    return x


@pytest.mark.parametrize("code", sorted(KINDS))
@pytest.mark.parametrize("version, binary", [(2.2, 0), (4.1, 1)])
def test_nodes_of_every_type_stand_in_the_order_of_vtk(version, binary, code, session, tmp_path):
    x = one_element(code)
    write(tmp_path / "a.msh", version, binary)
    mesh, _, _ = read_file(tmp_path / "a.msh")
    kind = KINDS[code]
    assert list(mesh.cells) == [kind] and mesh.regions["it"][kind].tolist() == [0]
    ours = np.pad(mesh.points, ((0, 0), (0, 3 - mesh.points.shape[1])))[mesh.cells[kind][0]]
    assert sorted(map(tuple, np.round(ours, 12))) == sorted(map(tuple, np.round(x, 12)))
    theirs = np.array(to_grid(mesh).GetCell(0).GetParametricCoords()).reshape(-1, 3)
    if kind.startswith("pyramid"):
        low = 1 - theirs[:, 2:]
        theirs[:, :2] = theirs[:, :2] * low + 0.5 * (1 - low)
    design = np.column_stack([np.ones(NODES[kind]), theirs[: NODES[kind]]])
    misfit = ours - design @ np.linalg.lstsq(design, ours, rcond=None)[0]
    assert np.abs(misfit).max() < 1e-12  # an affine image of VTK's own cell, middle nodes too


@pytest.mark.parametrize("version, binary", FORMATS)
def test_views_have_their_steps_and_stand_at_their_nodes_and_elements(
    version, binary, session, tmp_path
):
    two_boxes()
    x, name = coordinates(), gmsh.model.getCurrent()
    tags = np.array(sorted(x))[::-1]
    cells = gmsh.model.mesh.getElementsByType(4)[0]
    at, inside, vector = (gmsh.view.add(text) for text in ("T [K]", "q", "u [m]"))
    for k, t in enumerate((0.0, 0.5, 2.0)):
        rows = [[t + x[n][0]] for n in tags.tolist()]
        gmsh.view.addModelData(at, k, name, "NodeData", tags, rows, time=t)
        gmsh.view.addModelData(inside, k, name, "ElementData", cells, cells[:, None] + t, time=t)
        gmsh.view.addModelData(
            vector, k, name, "NodeData", tags, [x[n] * t for n in tags.tolist()], time=t
        )
    write(tmp_path / "a.msh", version, binary)
    for view in (at, inside, vector):
        gmsh.view.write(view, str(tmp_path / "a.msh"), append=True)
    mesh, frames = read_frames(tmp_path / "a.msh")
    states = list(frames)
    assert [state.t for state in states] == [0, 0.5, 2]
    for state in states:
        T, u = state.points["T"], state.points["u"]
        assert T[1] == "K" and np.abs(T[0] - state.t - mesh.points[:, 0]).max() < 1e-12
        assert np.abs(u[0] - state.t * mesh.points).max() < 1e-12
        q, known = state.cells["q"][0], state.known["cells:q"]
        assert known.sum() == len(cells) == len(mesh.cells["tetra"]) and np.isnan(q[~known]).all()
        assert set(q[known] - state.t) == set(cells.tolist())
    result = ingest_files([tmp_path / "a.msh"], {"T": "K"})
    assert result.t.tolist() == [0, 0.5, 2]


@pytest.mark.parametrize("version, binary", FORMATS)
def test_partitions_lose_and_repeat_nothing(version, binary, session, tmp_path):
    two_boxes()
    count = len(gmsh.model.mesh.getElementsByType(4)[0])
    gmsh.option.setNumber("Mesh.PartitionCreateGhostCells", 1)
    gmsh.model.mesh.partition(3)
    write(tmp_path / "a.msh", version, binary)
    mesh, _, cells = read_file(tmp_path / "a.msh")
    assert len(mesh.cells["tetra"]) == count and {"left", "right", "low"} <= set(mesh.regions)
    assert to_grid(mesh).compute_cell_sizes()["Volume"].sum() == pytest.approx(2.0, rel=1e-12)
    assert set(np.unique(cells["partition"][0])) - {0} == {1, 2, 3}


def test_values_stand_at_the_numbers_that_the_file_names(tmp_path):
    text = """$MeshFormat
2.2 0 8
$EndMeshFormat
$Nodes
4
7 0 0 0
3 1 0 0
9 0 1 0
4 1 1 0
$EndNodes
$Elements
2
12 2 2 0 1 7 3 9
11 2 2 0 1 3 4 9
$EndElements
$NodeData
1
"T"
1
0.0
3
0
1
4
9 90
3 30
4 40
7 70
$EndNodeData
$ElementNodeData
1
"s"
1
0.0
3
0
1
2
11 3 4 5 6
12 3 1 2 3
$EndElementNodeData
"""
    (tmp_path / "a.msh").write_text(text)
    mesh, points, cells = read_file(tmp_path / "a.msh")
    assert points["T"][0].tolist() == [70, 30, 90, 40]
    assert mesh.cells["triangle"].tolist() == [[0, 1, 2], [1, 3, 2]]
    assert cells["s"][0].tolist() == [[1, 2, 3], [4, 5, 6]]
    for wrong, error, match in (
        (text.replace("2.2 0 8", "1.0 0 8"), BadInput, "version 1.0"),
        (text.replace("12 2 2 0 1 7 3 9", "12 2 2 0 1 7 3 8"), ForeignFile, "number 8"),
        (text.replace("12 2 2 0 1 7 3 9", "12 21 2 0 1 7 3 9"), BadInput, "type 21"),
        (text[: text.index("$EndElements") - 5], ForeignFile, "cut short"),
        (text.replace("7 0 0 0\n3", "3 0 0 0\n3"), ForeignFile, "number 3 stands twice"),
    ):
        (tmp_path / "b.msh").write_text(wrong)
        with pytest.raises(error, match=match):
            read_file(tmp_path / "b.msh")


@pytest.mark.parametrize("version, binary", FORMATS)
def test_nodes_with_their_place_on_the_geometry_are_nodes(version, binary, session, tmp_path):
    two_boxes()
    gmsh.option.setNumber("Mesh.SaveParametric", 1)
    write(tmp_path / "a.msh", version, binary)
    gmsh.option.setNumber("Mesh.SaveParametric", 0)
    write(tmp_path / "b.msh", version, binary)
    parametric, plain = (read_file(tmp_path / name)[0] for name in ("a.msh", "b.msh"))
    assert (tmp_path / "a.msh").stat().st_size > (tmp_path / "b.msh").stat().st_size
    assert parametric.digest == plain.digest and len(plain.points) == len(coordinates())


@pytest.mark.parametrize("version, binary", FORMATS)
def test_a_view_at_the_nodes_of_cells_of_two_types_is_two_fields(
    version, binary, session, tmp_path
):
    """The value at a node of a cell is x + 10 y of that node."""
    gmsh.model.addDiscreteEntity(2, 1)
    x = np.array([[0, 0, 0], [1, 0, 0], [1, 1, 0], [0, 1, 0], [2, 0, 0]], float)
    gmsh.model.mesh.addNodes(2, 1, range(1, 6), x.ravel())
    gmsh.model.mesh.addElements(2, 1, [3, 2], [[7], [9]], [[1, 2, 3, 4], [2, 5, 3]])
    view = gmsh.view.add("s [Pa]")
    values = [[p[0] + 10 * p[1] for p in x[np.array(row) - 1]] for row in ([2, 5, 3], [1, 2, 3, 4])]
    gmsh.view.addModelData(view, 0, gmsh.model.getCurrent(), "ElementNodeData", [9, 7], values)
    write(tmp_path / "a.msh", version, binary)
    gmsh.view.write(view, str(tmp_path / "a.msh"), append=True)
    mesh, _, cells = read_file(tmp_path / "a.msh")
    order = list(mesh.cells)
    for kind, size in (("triangle", 3), ("quad", 4)):
        whole, unit = cells[f"s on cells of {size} nodes"]
        corner = mesh.points[mesh.cells[kind][0]]
        assert unit == "Pa" and np.array_equal(whole[order.index(kind)], corner @ [1, 10])
        assert np.isnan(whole[1 - order.index(kind)]).all()
