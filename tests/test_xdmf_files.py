"""XDMF as dolfin, dolfinx, meshio and ParaView write it, with numbers put there by hand."""

import h5py
import numpy as np
import pytest

from rom.errors import BadInput, ForeignFile
from rom.io import ingest_files, read_file, read_frames
from rom.io.grid import to_grid

X = np.array([[0.0, 0], [1, 0], [1, 1], [0, 1]])
TRIANGLES = np.array([[0, 1, 2], [0, 2, 3]])


def text(values):
    return " ".join(repr(v) for v in np.asarray(values).ravel().tolist())


def item(values, extra=""):
    values = np.asarray(values)
    kind = "Int" if values.dtype.kind == "i" else "Float"
    size = " ".join(map(str, values.shape))
    return (
        f'<DataItem Dimensions="{size}" NumberType="{kind}" Precision="8" Format="XML" {extra}>'
        f"{text(values)}</DataItem>"
    )


def mesh(points=X, cells=TRIANGLES):
    return (
        f'<Geometry GeometryType="XY">{item(points)}</Geometry><Topology TopologyType="Triangle" '
        f'NumberOfElements="{len(cells)}">{item(cells)}</Topology>'
    )


def save(folder, body):
    path = folder / "a.xdmf"
    path.write_text(
        '<?xml version="1.0"?><Xdmf Version="3.0" xmlns:xi="http://www.w3.org/2001/XInclude">'
        f"<Domain>{body}</Domain></Xdmf>"
    )
    return path


def step(t, body):
    return f'<Grid Name="s" GridType="Uniform"><Time Value="{t}"/>{body}</Grid>'


def series(*steps, name="T"):
    inner = "".join(steps)
    return f'<Grid Name="{name}" GridType="Collection" CollectionType="Temporal">{inner}</Grid>'


def nodal(name, values):
    return (
        f'<Attribute Name="{name}" Center="Node" AttributeType="Scalar">{item(values)}</Attribute>'
    )


@pytest.mark.parametrize("other", [mesh(2 * X), mesh(X, np.array([[1, 2, 3], [1, 3, 0]]))])
def test_a_mesh_that_changes_is_told(other, tmp_path):
    same = save(tmp_path, series(*(step(t, mesh() + nodal("T [K]", t + X[:, 0])) for t in (0, 1))))
    result = ingest_files([same], {"T": "K"})
    assert result.t.tolist() == [0, 1] and result.fields["T"][:, 0, 1].tolist() == [1, 2, 2, 1]
    path = save(
        tmp_path,
        series(*(step(t, m + nodal("T [K]", X[:, 0])) for t, m in enumerate((mesh(), other)))),
    )
    with pytest.raises(BadInput, match="changes at time 1"):
        ingest_files([path], {"T": "K"})


def test_functions_of_dolfinx_share_the_mesh_and_its_tags(tmp_path):
    """Two functions and facet tags beside the mesh, numbers in HDF5."""
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["Mesh/mesh/geometry"], file["Mesh/mesh/topology"] = X, TRIANGLES
        file["MeshTags/facets/topology"] = np.array([[0, 1], [1, 2]])
        file["MeshTags/facets/Values"] = np.array([[7], [8]])
        for k in range(2):
            file[f"Function/u/{k}"] = np.pad(X * k, ((0, 0), (0, 1)))
            file[f"Function/p/{k}"] = np.array([[10.0 * k], [20.0 * k]])

    def hdf(place, shape, kind="Float"):
        head = f'<DataItem Dimensions="{shape}" NumberType="{kind}" Format="HDF">'
        return f"{head}a.h5:{place}</DataItem>"

    def function(name, center, shape, kind):
        pointer = (
            "xpointer(/Xdmf/Domain/Grid[@GridType='Uniform'][1]/*[self::Topology or "
            "self::Geometry])"
        )
        steps = "".join(
            f'<Grid Name="{name}" GridType="Uniform"><xi:include xpointer="{pointer}"/>'
            f'<Time Value="{0.5 * k}"/><Attribute Name="{name}" AttributeType="{kind}" '
            f'Center="{center}">{hdf(f"/Function/{name}/{k}", shape)}</Attribute></Grid>'
            for k in range(2)
        )
        return series(steps, name=name)

    body = (
        '<Grid Name="mesh" GridType="Uniform"><Topology TopologyType="Triangle" '
        f'NumberOfElements="2" NodesPerElement="3">{hdf("/Mesh/mesh/topology", "2 3", "Int")}'
        f'</Topology><Geometry GeometryType="XY">{hdf("/Mesh/mesh/geometry", "4 2")}</Geometry>'
        '</Grid><Grid Name="facets" GridType="Uniform"><xi:include xpointer="xpointer(/Xdmf/Domain'
        '/Grid/Geometry)"/><Topology TopologyType="PolyLine" NumberOfElements="2" '
        f'NodesPerElement="2">{hdf("/MeshTags/facets/topology", "2 2", "Int")}</Topology>'
        '<Attribute Name="facets" AttributeType="Scalar" Center="Cell">'
        f"{hdf('/MeshTags/facets/Values', '2 1', 'Int')}</Attribute></Grid>"
        + function("u", "Node", "4 3", "Vector")
        + function("p", "Cell", "2 1", "Scalar")
    )
    ours, frames = read_frames(save(tmp_path, body))
    states = list(frames)
    assert [state.t for state in states] == [0, 0.5] and len(ours.points) == 4
    assert np.array_equal(ours.cells["triangle"], TRIANGLES)
    assert ours.cells["line"].tolist() == [[0, 1], [1, 2]]
    assert states[1].points["u"][0][:, :2].tolist() == X.tolist()
    p, tags = states[1].cells["p"][0], states[1].cells["facets"][0]
    assert p[:2].tolist() == [10, 20] and tags[2:].tolist() == [7, 8] and np.isnan(p[2:]).all()
    result = ingest_files([tmp_path / "a.xdmf"], {"p": "Pa"}, written={"p": "Pa"})
    assert result.fields["p"][:, 0].tolist() == [[0, 10], [0, 20]]


@pytest.mark.parametrize("endian, order", [("Big", ">"), ("Little", "<")])
def test_bytes_are_read_in_their_order(endian, order, tmp_path):
    T = np.array([1.0, 2, 3, 4])
    (tmp_path / "T.bin").write_bytes(b"headheadhead" + T.astype(f"{order}f4").tobytes())
    data = (
        f'<DataItem Dimensions="4" NumberType="Float" Precision="4" Format="Binary" Seek="12" '
        f'Endian="{endian}">T.bin</DataItem>'
    )
    body = f'<Attribute Name="T" Center="Node">{data}</Attribute>'
    path = save(tmp_path, f'<Grid Name="g">{mesh()}{body}</Grid>')
    assert read_file(path)[1]["T"][0].tolist() == [1, 2, 3, 4]
    (tmp_path / "T.bin").write_bytes(b"short")
    with pytest.raises(ForeignFile, match="announces 4 numbers"):
        read_file(path)


def test_parts_of_arrays_sets_lists_of_times_and_mixed_cells(tmp_path):
    whole = np.arange(24.0).reshape(3, 8)
    slab = (
        '<DataItem ItemType="HyperSlab" Dimensions="4">'
        f"{item(np.array([[1, 0], [1, 2], [1, 4]]))}{item(whole)}</DataItem>"
    )
    mixed = np.array([5, 0, 1, 2, 3, 4, 0, 1, 2, 2, 2, 0, 1, 1, 1, 3])
    body = (
        f'<Geometry GeometryType="X_Y_Z">{item(X[:, 0])}{item(X[:, 1])}{item(np.zeros(4))}'
        f'</Geometry><Topology TopologyType="Mixed" NumberOfElements="4">{item(mixed)}</Topology>'
        f'<Attribute Name="T" Center="Node">{slab}</Attribute>'
        f'<Set Name="two" SetType="Node">{item(np.array([1, 3]))}</Set>'
        f'<Set Name="first" SetType="Cell">{item(np.array([0]))}</Set>'
    )
    times = f'<Time TimeType="List">{item(np.array([0.25, 0.5]))}</Time>'
    grids = "".join(f'<Grid Name="g{k}">{body}</Grid>' for k in range(2))
    ours, frames = read_frames(save(tmp_path, series(times, grids)))
    frame = next(frames)
    assert [frame.t, *(other.t for other in frames)] == [0.25, 0.5]
    assert {kind: nodes.tolist() for kind, nodes in ours.cells.items()} == {
        "quad": [[0, 1, 2, 3]], "triangle": [[0, 1, 2]], "line": [[0, 1]], "vertex": [[3]],
    }  # fmt: skip
    assert frame.points["T"][0].tolist() == [8, 10, 12, 14]
    assert ours.nodes["two"].tolist() == [1, 3]
    assert ours.regions["first"]["quad"].tolist() == [0]


@pytest.mark.parametrize("kind", ["3DCoRectMesh", "3DRectMesh", "3DSMesh"])
def test_structured_grids_are_hexahedra(kind, tmp_path):
    x, y, z = np.array([0.0, 1, 2]), np.array([0.0, 2]), np.array([0.0, 3])
    Z, Y, XX = np.meshgrid(z, y, x, indexing="ij")
    geometry = {
        "3DCoRectMesh": ("ORIGIN_DXDYDZ", item(np.zeros(3)) + item(np.array([3.0, 2, 1]))),
        "3DRectMesh": ("VXVYVZ", item(x) + item(y) + item(z)),
        "3DSMesh": ("XYZ", item(np.stack([XX, Y, Z], axis=-1).reshape(-1, 3))),
    }[kind]
    body = (
        f'<Topology TopologyType="{kind}" Dimensions="2 2 3"/><Geometry GeometryType='
        f'"{geometry[0]}">{geometry[1]}</Geometry>' + nodal("x", XX)
    )
    ours, points, _ = read_file(save(tmp_path, f"<Grid>{body}</Grid>"))
    assert to_grid(ours).compute_cell_sizes()["Volume"].tolist() == [6, 6]
    assert np.array_equal(points["x"][0], ours.points[:, 0])


def test_parts_in_space_are_blocks(tmp_path):
    parts = "".join(
        f'<Grid Name="{name}">{mesh(X + 5 * k)}{nodal("T", np.full(4, k))}</Grid>'
        for k, name in enumerate("ab")
    )
    ours, points, _ = read_file(
        save(tmp_path, f'<Grid Name="all" GridType="Collection">{parts}</Grid>')
    )
    assert set(ours.regions) == {"all/a", "all/b"} and len(ours.points) == 8
    assert points["T"][0].tolist() == [0] * 4 + [1] * 4


@pytest.mark.parametrize(
    "body, error, match",
    [
        ('<Grid GridType="Subset"/>', BadInput, "subset"),
        (f"<Grid>{mesh()}".replace("Triangle", "Heptagon") + "</Grid>", BadInput, "heptagon"),
        ('<Grid Name="g"/>', ForeignFile, "no Topology"),
        ("", ForeignFile, "no grid"),
    ],
)
def test_what_is_not_known_is_named(body, error, match, tmp_path):
    with pytest.raises(error, match=match):
        read_file(save(tmp_path, body))


def function(name, rows, values, family="CG", degree=1):
    """A function of DOLFIN: degrees of freedom of every cell, and their values."""
    rows = np.asarray(rows)
    starts = np.arange(len(rows) + 1) * rows.shape[1]
    arrays = (rows.ravel(), np.asarray(values, float), starts, np.arange(len(rows)))
    return (
        f'<Attribute ItemType="FiniteElementFunction" ElementFamily="{family}" Center="Other" '
        f'ElementDegree="{degree}" ElementCell="triangle" Name="{name}" AttributeType="Scalar">'
        f"{''.join(item(array) for array in arrays)}</Attribute>"
    )


def test_functions_on_elements_stand_at_the_nodes_and_cells_of_their_dofs(tmp_path):
    """Node k has the dof 3 - k of T, and 2 (3 - k) and 2 (3 - k) + 1 of u; x = X[k, 0]."""
    dof = 3 - TRIANGLES
    body = mesh() + function("T [K]", dof, X[::-1, 0])
    body += function("u", np.hstack([2 * dof, 2 * dof + 1]), np.add(X[::-1], (0, 5)).ravel())
    body += function("q", [[1], [0]], [7.0, 8.0], "DG", 0)
    body += function("s", [[0, 1, 2], [3, 4, 5]], X[TRIANGLES, 0].ravel(), "DG")
    fields = read_file(save(tmp_path, series(step(0.5, body))))
    assert fields[1]["T"][1] == "K" and fields[1]["T"][0].tolist() == X[:, 0].tolist()
    assert fields[1]["u"][0].tolist() == np.add(X, (0, 5)).tolist()
    assert fields[2]["q"][0].tolist() == [8, 7]
    assert fields[2]["s"][0].tolist() == X[TRIANGLES, 0].tolist()


def test_corners_of_a_quad_of_dolfin_are_counted_row_by_row(tmp_path):
    quad = (
        f'<Geometry GeometryType="XY">{item(X)}</Geometry><Topology TopologyType="Quadrilateral" '
        f'NumberOfElements="1">{item(np.array([[0, 1, 2, 3]]))}</Topology>'
    )
    path = save(tmp_path, step(0, quad + function("T", [[0, 1, 2, 3]], [0.0, 1, 10, 11], "Q")))
    assert read_file(path)[1]["T"][0].tolist() == (X @ [1, 10]).tolist()


@pytest.mark.parametrize(
    "rows, family, degree, error, match",
    [
        ([[0, 1, 2], [0, 1, 3]], "CG", 1, ForeignFile, "differ in 'T' at a node"),
        ([[0, 1, 2], [0, 2, 9]], "CG", 1, ForeignFile, "beyond its values"),
        ([[0, 1, 2]], "CG", 1, ForeignFile, "do not fit 2 cells"),
        ([[0, 1, 2, 3], [0, 2, 3, 1]], "CG", 1, ForeignFile, "4 numbers on a triangle"),
        ([[0, 1, 2, 3, 4, 5]] * 2, "CG", 2, BadInput, "CG 2 on triangle cells; read are degree 1"),
        ([[0, 1, 2]] * 2, "RT", 1, BadInput, "elements RT 1"),
    ],
)
def test_functions_on_other_elements_are_named(rows, family, degree, error, match, tmp_path):
    body = mesh() + function("T", rows, np.arange(6.0), family, degree)
    with pytest.raises(error, match=match):
        read_file(save(tmp_path, step(0, body)))


def test_times_of_a_range_are_spread_and_components_are_joined(tmp_path):
    parts = item(X[:, 0]) + item(X[:, 1])
    joined = (
        '<Attribute Name="x" Center="Node" AttributeType="Vector"><DataItem ItemType="Function" '
        f'Function="JOIN($1, $0)" Dimensions="4 2">{parts}</DataItem></Attribute>'
    )
    grids = "".join(f'<Grid Name="g">{mesh()}{joined}</Grid>' for _ in range(3))
    time = f'<Time TimeType="Range">{item(np.array([0.0, 1.0]))}</Time>'
    _, frames = read_frames(save(tmp_path, series(time, grids)))
    states = list(frames)
    assert [state.t for state in states] == [0, 0.5, 1]
    assert all(state.points["x"][0].tolist() == X[:, ::-1].tolist() for state in states)


def test_what_stands_at_edges_and_faces_is_told(tmp_path, caplog):
    flux = f'<Attribute Name="flux" Center="Edge">{item(np.arange(5.0))}</Attribute>'
    heat = f'<Attribute Name="T" Center="Node">{item(np.arange(4.0))}</Attribute>'
    wall = f'<Set Name="wall" SetType="Face">{item(np.array([0, 1]))}</Set>'
    save(tmp_path, f'<Grid Name="g">{mesh()}{flux}{heat}{wall}</Grid>')
    _, fields, cells = read_file(tmp_path / "a.xdmf")
    assert list(fields) == ["T"] and not cells
    said = caplog.text
    assert "a.xdmf: 'flux' stands at each edge, and is left out" in said
    assert "a.xdmf: set 'wall' of faces is left out" in said


@pytest.mark.parametrize("text_of, expected", [
    ("$0 * 2 + $1", [10.0, 22.0, 34.0, 46.0]),
    ("-$1 / 10 + 3", [2.0, 1.0, 0.0, -1.0]),
    ("SQRT($0 ^ 2) - abs($1)", [-10.0, -19.0, -28.0, -37.0]),
    ("JOIN($0; 2 * $0, $1)", [[0, 0, 10], [1, 2, 20], [2, 4, 30], [3, 6, 40]]),
])  # fmt: skip
def test_a_function_of_arrays_is_computed_entry_by_entry(text_of, expected, tmp_path):
    parts = item(np.arange(4.0)) + item(10 * np.arange(1.0, 5.0))
    body = (
        f'<Grid>{mesh()}<Attribute Name="x" Center="Node"><DataItem ItemType="Function" '
        f'Function="{text_of}" Dimensions="4">{parts}</DataItem></Attribute></Grid>'
    )
    _, points, _ = read_file(save(tmp_path, body))
    assert np.array_equal(points["x"][0], expected)


@pytest.mark.parametrize("text_of", ["$2", "open($0)", "$0.size", "(" * 400, "$0 @ $1", "9" * 2000])
def test_other_functions_are_refused_by_name(text_of, tmp_path):
    body = (
        f'<Grid>{mesh()}<Attribute Name="x" Center="Node"><DataItem ItemType="Function" '
        f'Function="{text_of}" Dimensions="4">{2 * item(np.arange(4.0))}</DataItem></Attribute>'
        "</Grid>"
    )
    with pytest.raises(BadInput, match="write its numbers out"):
        read_file(save(tmp_path, body))
