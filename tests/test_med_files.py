"""Files of MED, written and opened by medcoupling, the library of the format."""

import h5py
import numpy as np
import pytest

from rom.errors import BadInput, ForeignFile
from rom.io import ingest_files, read_file, read_frames, write_mesh
from rom.io.grid import to_grid
from rom.io.med_cells import NAMES
from rom.io.turning import MIDDLES
from rom.mesh import NODES, Mesh
from tests.test_export import VOLUME, block, mixed, one_cell

mc = pytest.importorskip("medcoupling")
X = [[0.0, 0, 0], [1, 0, 0], [1, 1, 0], [0, 1, 0]]
TURNED = {"hexahedron": [0, 3, 2, 1, 4, 7, 6, 5], "tetra": [0, 2, 1, 3], "quad": [0, 3, 2, 1],
    "wedge": [0, 2, 1, 3, 5, 4], "pyramid": [0, 3, 2, 1, 4], "triangle": [0, 2, 1]}  # fmt: skip


def two_quads():
    grid = mc.MEDCouplingCMesh("g")
    grid.setCoords(mc.DataArrayDouble([0.0, 1, 2]), mc.DataArrayDouble([0.0, 1]))
    mesh = grid.buildUnstructured()
    mesh.setName("g")
    return mesh


def put(path, mesh, fields):
    file = mc.MEDFileUMesh()
    file.setMeshAtLevel(0, mesh)
    file.write(str(path), 2)
    for field in fields:
        mc.WriteFieldUsingAlreadyWrittenMesh(str(path), field)


def field(kind, name, mesh, values, t=0.0, step=0, unit=""):
    made = mc.MEDCouplingFieldDouble(kind, mc.ONE_TIME)
    made.setName(name)
    made.setMesh(mesh)
    made.setTime(t, step, -1)
    if kind == mc.ON_GAUSS_PT:
        a = 0.577
        made.setGaussLocalizationOnType(
            mc.NORM_QUAD4, [-1, -1, 1, -1, 1, 1, -1, 1], [-a, -a, a, -a, a, a, -a, a], [1.0] * 4
        )
    array = mc.DataArrayDouble(np.array(values, dtype=float).reshape(len(values), -1))
    array.setInfoOnComponents([f"c{k} [{unit}]" for k in range(array.getNumberOfComponents())])
    made.setArray(array)
    return made


def test_points_of_integration_and_nodes_of_cells_stand_with_their_cell(tmp_path):
    mesh = two_quads()
    gauss = [100.0 * k + q for k in range(2) for q in range(4)]
    corners = mesh.getNodalConnectivity().toNumPyArray().reshape(2, 5)[:, 1:]
    at_nodes = [10.0 * k + node for k in range(2) for node in corners[k]]
    fields = [
        field(mc.ON_GAUSS_PT, "S", mesh, gauss, unit="Pa"),
        field(mc.ON_GAUSS_NE, "E", mesh, at_nodes),
        field(mc.ON_CELLS, "c", mesh, [[1.0, 2.0], [3.0, 4.0]]),
    ]
    put(tmp_path / "a.med", mesh, fields)
    ours, _, cells = read_file(tmp_path / "a.med")
    assert cells["S"][0].tolist() == [[0, 1, 2, 3], [100, 101, 102, 103]]
    assert cells["S"][1] == "Pa" and cells["c"][0].tolist() == [[1, 2], [3, 4]]
    assert np.array_equal(cells["E"][0], ours.cells["quad"] + 10 * np.arange(2)[:, None])
    assert to_grid(ours).compute_cell_sizes()["Area"].tolist() == [1, 1]
    edges = ours.points[ours.cells["quad"]][:, [1, 3]] - ours.points[ours.cells["quad"]][:, :1]
    assert np.linalg.det(edges).tolist() == [1, 1]  # turned as VTK turns them


def test_close_times_and_modes_are_states_of_their_own(tmp_path):
    mesh = two_quads()
    times = [field(mc.ON_NODES, "T", mesh, [float(k)] * 6, 1e6 + k / 4, k) for k in range(3)]
    put(tmp_path / "t.med", mesh, times)
    _, frames = read_frames(tmp_path / "t.med")
    states = [(frame.t, frame.points["T"][0][0]) for frame in frames]
    assert states == [(1e6, 0), (1000000.25, 1), (1000000.5, 2)]
    modes = [field(mc.ON_NODES, "m", mesh, [float(k)] * 6, 0.0, k + 1) for k in range(3)]
    put(tmp_path / "m.med", mesh, modes)
    assert [frame.points["m"][0][0] for frame in read_frames(tmp_path / "m.med")[1]] == [0, 1, 2]
    with pytest.raises(BadInput, match="follows"):
        ingest_files([tmp_path / "m.med"], {"m": "1"}, written={"m": "1"})


def test_groups_profiles_and_faces(tmp_path):
    mesh = two_quads()
    faces = mesh.buildDescendingConnectivity()[0]
    faces.setName("g")
    file = mc.MEDFileUMesh()
    file.setMeshAtLevel(0, mesh)
    file.setMeshAtLevel(-1, faces)
    for level, name, numbers in ((0, "right", [1]), (0, "all", [0, 1]), (-1, "some", [2, 3]),
            (1, "corner", [0, 5])):  # fmt: skip
        array = mc.DataArrayInt64(numbers)
        array.setName(name)
        file.addGroup(level, array)
    file.write(str(tmp_path / "a.med"), 2)
    mc.WriteFieldUsingAlreadyWrittenMesh(
        str(tmp_path / "a.med"), field(mc.ON_CELLS, "p", mesh, [3.0, 4.0], unit="Pa")
    )
    part = mesh.buildPartOfMySelf([1], True)
    part.setName("g")
    only = field(mc.ON_CELLS, "q", part, [8.0])
    step = mc.MEDFileField1TS()
    profile = mc.DataArrayInt64([1])
    profile.setName("second")
    step.setFieldProfile(only, file, 0, profile)
    step.write(str(tmp_path / "a.med"), 0)
    ours, frames = read_frames(tmp_path / "a.med")
    frame = next(frames)
    assert {name: {k: v.tolist() for k, v in parts.items()} for name, parts in (
        ours.regions.items())} == {"right": {"quad": [1]}, "all": {"quad": [0, 1]},
        "some": {"line": [2, 3]}}  # fmt: skip
    assert ours.nodes["corner"].tolist() == [0, 5]
    assert frame.cells["p"][0][:2].tolist() == [3, 4] and frame.known["cells:p"].sum() == 2
    assert frame.cells["q"][0][1] == 8 and frame.known["cells:q"].sum() == 1
    result = ingest_files([tmp_path / "a.med"], {"p": "Pa"})  # on the cells that fill the mesh
    assert result.fields["p"].ravel().tolist() == [3, 4] and list(result.mesh.cells) == ["quad"]
    middles = faces.computeCellCenterOfMass()[[2, 3]].toNumPyArray()
    nodes = result.mesh.points[result.mesh.nodes["some"]]
    assert nodes.min(axis=0).tolist() <= middles.min(axis=0).tolist()
    with pytest.raises(BadInput, match="known on 1 of"):
        ingest_files([tmp_path / "a.med"], {"q": "1"}, written={"q": "1"})


def put_cell(path, kind, points, row):
    code = next(getattr(mc, name) for name, ours in NAMES.items() if ours == kind)
    single = mc.MEDCoupling1SGTUMesh("g", code)
    single.setCoords(mc.DataArrayDouble(np.ascontiguousarray(points)))
    single.setNodalConnectivity(mc.DataArrayInt64(list(row)))
    return single.buildUnstructured()


@pytest.mark.parametrize("kind", sorted(TURNED))
@pytest.mark.parametrize("order", [0, 1, 2])  # 2: with nodes on faces, which two types have
def test_cells_are_read_with_positive_volume_and_middles_where_they_belong(kind, order, tmp_path):
    if order == 2 and kind not in ("quad", "hexahedron"):
        return
    cell = one_cell(kind)
    d = 2 if kind in ("quad", "triangle") else 3
    mesh = put_cell(tmp_path / "a.med", kind, cell.points[:, :d], TURNED[kind])
    assert mesh.getMeasureField(False).getArray().getValues()[0] > 0  # as medcoupling has it
    if order:
        mesh.convertLinearCellsToQuadratic(order - 1)  # middles by medcoupling
    mesh.setName("g")
    put(tmp_path / "a.med", mesh, [])
    ours, _, _ = read_file(tmp_path / "a.med")
    ((name, rows),) = ours.cells.items()
    x = ours.points[rows[0]]
    corners = NODES[kind]
    if d == 3:
        assert to_grid(ours).compute_cell_sizes()["Volume"][0] == pytest.approx(VOLUME[kind])
    for k, ends in enumerate(MIDDLES.get(name, [])):
        assert np.allclose(x[corners + k], x[list(ends)].mean(axis=0), atol=1e-12), name
    assert (order == 0) == (name == kind)


@pytest.mark.parametrize("kind", sorted({*NAMES.values()} - {"vertex", "line", "line3"}))
def test_cells_are_written_as_medcoupling_measures_them(kind, tmp_path):
    cell = one_cell(kind)
    flat = kind[:4] in ("tria", "quad")
    mesh = Mesh(cell.points[:, :2] if flat else cell.points, cell.cells)
    write_mesh(tmp_path / "a.med", mesh)
    theirs = mc.MEDFileMesh.New(str(tmp_path / "a.med")).getMeshAtLevel(0)
    linear = theirs.deepCopy()
    linear.convertQuadraticCellsToLinear()
    assert linear.getMeasureField(False).getArray().getValues()[0] > 0
    theirs.checkConsistency()
    if (
        kind in MIDDLES and kind != "wedge18"
    ):  # medcoupling's own middles of the same corners are the same nodes
        parent = linear.deepCopy()
        parent.zipCoords()
        faces = {"quad9", "hexahedron27"}
        parent.convertLinearCellsToQuadratic(1 if kind in faces else 0)
        row = theirs.getNodalConnectivity().toNumPyArray()[1:]
        again = parent.getNodalConnectivity().toNumPyArray()[1:]
        x, y = theirs.getCoords().toNumPyArray()[row], parent.getCoords().toNumPyArray()[again]
        assert np.allclose(x, y, atol=1e-12)
    back, _, _ = read_file(tmp_path / "a.med")
    assert np.array_equal(back.cells[kind], mesh.cells[kind])


@pytest.mark.parametrize("make", [block, mixed])
def test_what_is_written_medcoupling_reads_with_groups_units_and_order(make, tmp_path):
    mesh, rng = make(), np.random.default_rng(0)
    T = rng.random(len(mesh.points))
    q = rng.random((sum(map(len, mesh.cells.values())), 2))
    write_mesh(tmp_path / "a.med", mesh, {"T": (T, "K")}, {"q": (q, "W/m2")})
    file = mc.MEDFileMesh.New(str(tmp_path / "a.med"))
    assert set(file.getGroupsNames()) == {*mesh.regions, *mesh.nodes}
    step = mc.MEDFileFields(str(tmp_path / "a.med"))["T"][0]
    assert step.getInfo() == ("0 [K]",)
    assert np.array_equal(step.getUndergroundDataArray().toNumPyArray().ravel(), T)
    back, points, cells = read_file(tmp_path / "a.med")
    place = [list(mesh.cells).index(kind) for kind in back.cells]
    parts = np.split(q, np.cumsum([len(c) for c in mesh.cells.values()])[:-1])
    assert np.allclose(cells["q"][0][:, :2], np.concatenate([parts[k] for k in place]))
    assert points["T"][1] == "K" and cells["q"][1] == "W/m2"
    for name, parts_of in mesh.regions.items():
        for kind, rows in parts_of.items():
            assert np.array_equal(np.sort(back.regions[name][kind]), np.sort(rows))


def test_what_med_cannot_hold_is_named(tmp_path):
    mesh = one_cell("tetra")
    with pytest.raises(BadInput, match="longer than 64"):
        write_mesh(tmp_path / "a.med", mesh, {"n" * 65: (np.zeros(4), "K")})
    (tmp_path / "b.med").write_text("Dear colleague")
    with pytest.raises(ForeignFile, match=r"b\.med"):
        read_file(tmp_path / "b.med")


def test_a_grid_of_lines_is_cells_with_its_fields(tmp_path):
    """As medcoupling measures it: two boxes of 1 x 1 x 2 and 2 x 1 x 2."""
    grid = mc.MEDCouplingCMesh("grid")
    grid.setCoords(*(mc.DataArrayDouble(x) for x in ([0.0, 1, 3], [0.0, 1], [0.0, 2])))
    file = mc.MEDFileCMesh()
    file.setMesh(grid)
    file.write(str(tmp_path / "a.med"), 2)
    values = grid.getMeasureField(False).getArray().getValues()
    mc.WriteFieldUsingAlreadyWrittenMesh(
        str(tmp_path / "a.med"), field(mc.ON_CELLS, "V", grid, values, unit="m^3")
    )
    mesh, _, cells = read_file(tmp_path / "a.med")
    corners = mesh.points[mesh.cells["hexahedron"]]
    sizes = np.prod(corners.max(axis=1) - corners.min(axis=1), axis=1)
    assert sizes.tolist() == cells["V"][0].tolist() == values == [2, 4]


@pytest.mark.parametrize("version", ["30", "33", "40", "41"])
def test_versions_as_medcoupling_writes_them(version, tmp_path):
    mesh, heat = mc.MEDFileUMesh(), mc.MEDFileField1TS()
    mesh[0] = two_quads()
    group = mc.DataArrayInt64([1])
    group.setName("right")
    mesh.addGroup(0, group)
    heat.setFieldNoProfileSBT(field(mc.ON_NODES, "T", two_quads(), np.arange(6.0), 0.5, 1, "K"))
    series, fields = mc.MEDFileFieldMultiTS(), mc.MEDFileFields()
    meshes, whole = mc.MEDFileMeshes(), mc.MEDFileData()
    series.pushBackTimeStep(heat)
    fields.pushField(series)
    meshes.pushMesh(mesh)
    whole.setMeshes(meshes)
    whole.setFields(fields)
    getattr(whole, f"write{version}")(str(tmp_path / "a.med"), 2)
    ours, frames = read_frames(tmp_path / "a.med")
    (frame,) = frames
    assert frame.t == 0.5 and frame.points["T"][0].tolist() == [0, 1, 2, 3, 4, 5]
    assert ours.points.tolist() == [[0, 0], [1, 0], [2, 0], [0, 1], [1, 1], [2, 1]]
    assert ours.regions["right"]["quad"].tolist() == [1]


def test_version_2_3_has_no_states_of_meshes(tmp_path):
    def text(place, name, words, width):
        kind = h5py.h5t.C_S1.copy()
        kind.set_size(width + 1)
        attribute = h5py.h5a.create(place.id, name, kind, h5py.h5s.create(h5py.h5s.SCALAR))
        attribute.write(np.array(words.encode(), dtype=f"S{width + 1}"))

    def numbers(place, name, values, **counts):
        dataset = place.create_dataset(name, data=values)
        for key, count in counts.items():
            dataset.attrs[key] = np.int32(count)
        return dataset

    with h5py.File(tmp_path / "a.med", "w") as file:
        file.create_group("INFOS_GENERALES").attrs.update(
            {key: np.int32(k) for key, k in (("MAJ", 2), ("MIN", 3), ("REL", 6))}
        )
        plate = file.create_group("ENS_MAA/plate")
        plate.attrs.update({"DIM": np.int32(2), "TYP": np.int32(0)})
        text(plate, b"DES", "", 200)
        x = numbers(plate, "NOE/COO", [0.0, 1, 0, 1, 0, 0, 1, 1], NBR=4, REP=0)
        text(x, b"NOM", "X".ljust(16) + "Y".ljust(16), 32)
        text(x, b"UNI", "mm".ljust(16) * 2, 32)
        numbers(plate["NOE"], "FAM", np.zeros(4, "i4"), NBR=4)
        numbers(plate, "MAI/TR3/NOD", np.array([1, 2, 2, 4, 3, 3], "i4"), NBR=2)
        numbers(plate["MAI/TR3"], "FAM", np.zeros(2, "i4"), NBR=2)
        plate.create_group("FAS/FAMILLE_ZERO").attrs["NUM"] = np.int32(0)
        heat = file.create_group("CHA/T")
        heat.attrs.update({"NCO": np.int32(1), "TYP": np.int32(6)})
        for name, words, width in ((b"NOM", "t", 16), (b"UNI", "K", 16), (b"MAI", "plate", 32)):
            text(heat, name, words.ljust(width), width)
        step = heat.create_group(f"NOE/{1:20d}{0:20d}")
        step.attrs.update({"NDT": np.int32(1), "NOR": np.int32(0), "PDT": 0.5})
        text(step, b"UNI", "s".ljust(16), 16)
        text(step, b"MAI", "plate", 32)
        own = step.create_group("plate")
        own.attrs.update({"NBR": np.int32(4), "NGA": np.int32(1)})
        text(own, b"GAU", "", 32)
        text(own, b"PFL", "", 32)
        own.create_dataset("CO", data=[1.0, 2, 3, 4])
    ours, frames = read_frames(tmp_path / "a.med")
    (frame,) = frames
    assert ours.unit == "mm" and ours.cells["triangle"].tolist() == [[0, 1, 2], [1, 3, 2]]
    assert ours.points.tolist() == [[0, 0], [1, 0], [0, 1], [1, 1]]
    assert frame.t == 0.5 and frame.points["T"][0].tolist() == [1, 2, 3, 4]
    assert frame.points["T"][1] == "K"


@pytest.mark.parametrize("with_nodal", [True, False])
def test_polygons_and_polyhedra_measure_what_medcoupling_says(with_nodal, tmp_path):
    """Squares cut by a shifted grid, raised to two layers, then made general cells."""
    coarse, fine = two_quads(), two_quads()
    fine.translate([0.3, 0.4, 0][: fine.getSpaceDimension()])
    plane, _, _ = mc.MEDCouplingUMesh.Intersect2DMeshes(coarse, fine, 1e-10)
    plane.setName("g")
    plane.convertAllToPoly()
    solid = plane.deepCopy()
    solid.changeSpaceDimension(3, 0.0)
    line = mc.MEDCouplingCMesh("l")
    line.setCoords(mc.DataArrayDouble([0.0, 1.0, 3.0]))
    line = line.buildUnstructured()
    line.changeSpaceDimension(3, 0.0)
    x = line.getCoords()
    x[:, 2], x[:, 0] = x[:, 0], 0.0
    solid = solid.buildExtrudedMesh(line, 0)
    solid.setName("g")
    solid.convertAllToPoly()
    for mesh in (plane, solid):
        n, k = mesh.getNumberOfNodes(), mesh.getNumberOfCells()
        fields = [field(mc.ON_CELLS, "q", mesh, np.arange(k) + 5.0, t=2.0)]
        if with_nodal:
            fields.append(field(mc.ON_NODES, "T", mesh, np.arange(n), t=2.0))
        put(tmp_path / "a.med", mesh, fields)
        ours, points, cells = read_file(tmp_path / "a.med")
        ours_x = np.pad(ours.points, ((0, 0), (0, 3 - ours.points.shape[1])))
        sizes = []
        for kind, rows in ours.cells.items():
            corners = ours_x[rows]
            edges = corners[:, 1:] - corners[:, :1]
            if kind == "tetra":
                sizes.append(np.linalg.det(edges) / 6)
                continue
            cross = sum(np.cross(edges[:, j], edges[:, j + 1]) for j in range(len(rows[0]) - 2))
            sizes.append(np.linalg.norm(cross, axis=1) / 2)
        measure = np.bincount(cells["q"][0].astype(int) - 5, np.concatenate(sizes), minlength=k)
        expected = mesh.getMeasureField(True).getArray().toNumPyArray()
        assert np.allclose(measure, expected, rtol=1e-12) and min(map(min, sizes)) > 0
        assert np.allclose(ours_x[:n, : mesh.getSpaceDimension()], mesh.getCoords().toNumPyArray())
        assert not with_nodal or np.array_equal(points["T"][0], np.arange(n))


def test_quadratic_polygons_are_refused_by_name(tmp_path):
    arcs, _, _ = mc.MEDCouplingUMesh.Intersect2DMeshes(two_quads(), two_quads(), 1e-10)
    arcs.convertLinearCellsToQuadratic(0)
    arcs.convertAllToPoly()
    arcs.setName("g")
    put(tmp_path / "a.med", arcs, [])
    with pytest.raises(BadInput, match="NORM_POLYGON"):
        read_file(tmp_path / "a.med")
