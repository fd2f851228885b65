"""Data sets of PLAID and files of CGNS that we write, node by node as the standard has them."""

import h5py
import numpy as np
import pytest

from rom.campaign import collect
from rom.errors import BadInput
from rom.io import read_basis, read_file, write_mesh, write_plaid
from rom.io.readers.cgns import read_cgns
from rom.mesh import NODES, Mesh
from rom.parameters import Box
from rom.shapes.folders import list_files
from rom.space import Field, euclidean
from tests.command_line import rom_here
from tests.test_export import one_cell

X = np.array([[0.0, 0], [1, 0], [1, 1], [0, 1]])
MESH = Mesh(
    X,
    {"triangle": np.array([[0, 1, 2], [0, 2, 3]]), "line": np.array([[0, 1]])},
    {"low": {"line": np.array([0])}, "left": {"triangle": np.array([1])}},
    {"pin": np.array([0, 3])},
    "mm",
)
SPACE = euclidean(12, fields=(Field("T", "K", np.arange(4)), Field("u", "m", np.arange(4, 12), 2)))
U = np.arange(48.0).reshape(12, 4)
INPUTS = {"k [N/m]": np.array([1.0, 1, 2, 2]), "t [s]": np.array([0, 0.5, 0, 0.5])}


def text(node):
    return node[" data"][()].tobytes().decode().rstrip("\0 ")


def test_runs_are_samples_and_their_times_files(tmp_path):
    """As plaid.Sample.load_from_dir reads it: one time in every base, globals in their own."""
    write_plaid(tmp_path / "a.plaid", SPACE, U, INPUTS, MESH)
    infos = (tmp_path / "a.plaid" / "infos.yaml").read_text().split()
    assert infos[-4:] == ["train:", "2", "storage_backend:", "cgns"]
    files = sorted((tmp_path / "a.plaid").glob("data/train/sample_*/meshes/mesh_*.cgns"))
    assert [(path.parents[1].name[-2:], path.stem[-2:]) for path in files] == [
        ("00", "00"), ("00", "01"), ("01", "00"), ("01", "01")
    ]  # fmt: skip
    with h5py.File(files[3]) as file:
        for base in ("Base", "Global"):
            assert file[base].attrs["label"] == b"CGNSBase_t"
            assert file[base]["Time/TimeValues/ data"][()].tolist() == [0.5]
        assert file["Base/ data"][()].tolist() == [2, 2]
        assert file["Global/k/ data"][()].tolist() == [2]
        zone = file["Base/Zone"]
        assert zone[" data"][()].tolist() == [[4], [3], [0]]
        assert zone["GridCoordinates/CoordinateX/ data"][()].tolist() == X[:, 0].tolist()
        assert zone["Elements_triangle/ data"][()].tolist() == [5, 0]  # TRI_3
        rows = zone["Elements_triangle/ElementConnectivity/ data"][()]
        assert rows.tolist() == [1, 2, 3, 1, 3, 4]
        assert zone["Elements_line/ElementRange/ data"][()].tolist() == [3, 3]
        fields = zone["VertexFields"]
        assert text(fields["GridLocation"]) == "Vertex"
        assert fields["T/ data"][()].tolist() == U[:4, 3].tolist()
        assert fields["uY/ data"][()].tolist() == U[5:12:2, 3].tolist()
        tags = zone["ZoneBC"]
        places = {name: (text(tag["GridLocation"]), tag["PointList/ data"][()].ravel().tolist())
            for name, tag in tags.items() if name != " data"}  # fmt: skip
        assert places == {
            "pin": ("Vertex", [1, 4]), "low": ("FaceCenter", [3]), "left": ("CellCenter", [2])
        }  # fmt: skip


def test_runs_without_times_are_designs_that_shapes_train_on(tmp_path):
    inputs = {"k [N/m]": INPUTS["k [N/m]"]}
    write_plaid(tmp_path / "a.plaid", SPACE, U, inputs, MESH, split="test")
    designs = list_files(tmp_path / "a.plaid")
    assert [design.scalars["k [N/m]"] for design in designs] == [1, 1, 2, 2]
    mesh, points, _, _ = read_cgns(designs[2].path)
    assert points["T"][1] == "K" and points["T"][0].tolist() == U[:4, 2].tolist()
    assert mesh.unit == "mm" and mesh.nodes["pin"].tolist() == [0, 3]
    assert mesh.regions["left"]["triangle"].tolist() == [1]
    assert mesh.regions["low"]["line"].tolist() == [0]


@pytest.mark.parametrize("kind", NODES)
def test_cells_of_every_type_come_back_with_fields_units_and_order(kind, tmp_path):
    cell = one_cell(kind)
    n = len(cell.points)
    T, u, p = np.arange(float(n)), np.arange(3.0 * n).reshape(n, 3), np.array([7.0])
    write_mesh(tmp_path / "a.cgns", cell, {"T": (T, "K"), "u": (u, "m/s")}, {"p": (p, "Pa")})
    mesh, points, cells = read_file(tmp_path / "a.cgns")
    assert np.array_equal(mesh.points, cell.points[:, : mesh.points.shape[1]])
    assert np.array_equal(mesh.cells[kind], cell.cells[kind])
    assert np.array_equal(points["T"][0], T) and points["T"][1] == "K"
    assert np.array_equal(points["u"][0], u) and points["u"][1] == "m/s"
    assert np.array_equal(cells["p"][0], p) and cells["p"][1] == "Pa"


@pytest.mark.parametrize("fields, cell_fields, mesh, words", [
    ({"s": (np.ones((4, 6)), "Pa")}, {}, MESH, "numbers and vectors"),
    ({}, {"p": (np.ones(3), "Pa")}, MESH, "cells of one dimension"),
    ({"a/b": (np.ones(4), "Pa")}, {}, MESH, "no '/'"),
    ({"T" * 33: (np.ones(4), "Pa")}, {}, MESH, "1 to 32 letters"),
    ({}, {}, Mesh(X, MESH.cells, {"a": {"line": np.array([0])}}, {"a": np.array([0])}), "'a' is"),
])  # fmt: skip
def test_what_cgns_cannot_hold_is_refused_before_a_file_is_there(
    fields, cell_fields, mesh, words, tmp_path
):
    with pytest.raises(BadInput, match=words):
        write_mesh(tmp_path / "a.cgns", mesh, fields, cell_fields)
    assert not list(tmp_path.iterdir())


def test_a_folder_that_holds_something_is_left_alone(tmp_path):
    (tmp_path / "a.plaid").mkdir()
    write_plaid(tmp_path / "a.plaid", SPACE, U, INPUTS, MESH)
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(BadInput, match="is there already"):
        write_plaid(tmp_path / "a.plaid", SPACE, U, INPUTS, MESH)
    assert sorted(tmp_path.rglob("*")) == before


def test_commands_write_runs_for_plaid_and_bases_for_other_programs(tmp_path, monkeypatch):
    """A family of rank 2: the basis is exported to each program and read back by command."""
    monkeypatch.chdir(tmp_path)
    modes = np.array([[1.0, 0], [0, 1], [1, 1], [1, -1]])
    mus = np.column_stack([np.linspace(1, 2, 6), np.linspace(0, 1, 6) ** 2])
    box = Box(("a", "b"), np.array([1.0, 0]), np.array([2.0, 1]), ("N", "m"))
    field = euclidean(4, fields=(Field("T", "K", np.arange(4)),))
    collect(lambda mu: modes @ mu, mus, "runs", box=box, space=field, mesh=MESH)
    rom_here("export", "runs", "--out", "runs.plaid")
    designs = list_files("runs.plaid")
    assert [d.scalars["a [N]"] for d in designs] == mus[:, 0].tolist()
    assert np.allclose(read_cgns(designs[3].path)[1]["T"][0], modes @ mus[3], rtol=1e-15)
    rom_here("train", "runs", "--tol", "1e-8", "--out", "model.h5")
    for name in ("b.000000", "b.h5", "b.svd"):
        rom_here("export", "model.h5", "--out", name)
        basis = read_basis(name)
        spanned = basis.modes @ (basis.modes.T @ modes)
        assert basis.r == 2 and np.abs(spanned - modes).max() < 1e-12
    rom_here("export", "b.000000", "--out", "c.svd")
    assert np.array_equal(read_basis("c.svd").modes, read_basis("b.svd").modes)
    rom_here("export", "b.h5", "--out", "c.npz")
    with np.load("c.npz") as arrays:
        assert np.array_equal(arrays["u"], basis.modes)
    assert "give a model or a basis" in rom_here("export", "runs", "--out", "d.000000", code=2)
    assert "choose one" in rom_here("export", "model.h5", "--out", "d.svd", "--field", "x", code=2)
    assert "give a store" in rom_here("export", "model.h5", "--out", "d.plaid", code=2)
