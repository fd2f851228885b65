"""Files of models: a header that is read alone, numbers that stand once, VTK opens the rest."""

import json
import time

import h5py
import numpy as np
import pytest
from typer.testing import CliRunner

from rom.affine import Affine, Monomials
from rom.archive import load, load_model, open_header, save, save_model
from rom.archive.files import BLOCK
from rom.basis import Basis
from rom.certified import galerkin
from rom.cli.app import app
from rom.errors import DamagedFile
from rom.mesh import Mesh
from rom.parameters import Box
from rom.space import Field, euclidean

X, Y = np.meshgrid(np.linspace(0, 1, 4), np.linspace(0, 1, 3), indexing="ij")
PLATE = Mesh(
    np.column_stack([X.ravel(), Y.ravel()]),
    {"quad": np.array([[0, 3, 4, 1], [1, 4, 5, 2]]), "triangle": np.array([[3, 6, 7], [3, 7, 4]])},
)
N = len(PLATE.points)
BOX = Box(("k", "q"), [0.5, 1.0], [1.0, 4.0], ("W/m/K", "1"), ("linear", "log"))


def model(fields=None, order="C"):
    """Any Galerkin model of T and U on the plate; 3 N rows, or those of the fields."""
    fields = fields or (
        Field("T", "K", np.arange(N)),
        Field("U", "m", np.arange(N, 3 * N), 2),
    )
    n = sum(len(field.rows) for field in fields)
    V = np.linalg.qr(np.random.default_rng(0).random((n, 4)))[0]
    basis = Basis(euclidean(n, fields=fields), np.asarray(V, order=order), np.linspace(1, 2, n))
    theta = Monomials(np.ones(2), np.eye(2))
    A = Affine(theta, (np.diag(np.full(n, 2.0)), np.eye(n)))
    f = Affine(Monomials(np.ones(1), np.zeros((1, 2))), (np.ones(n),))
    return galerkin(A, f, basis, box=BOX)


def rom(*words):
    """Exit code and what a command says."""
    call = CliRunner().invoke(app, [str(word) for word in words])
    return call.exit_code, call.output


def read_grid(path):
    import pyvista

    return pyvista.get_reader(path, force_ext=".hdf").read()


@pytest.mark.parametrize("order", ["C", "F"])
def test_vtk_opens_mesh_modes_and_mean(tmp_path, order):
    one = model(order=order)
    save_model(tmp_path / "m.h5", one, PLATE)
    grid = read_grid(tmp_path / "m.h5")
    np.testing.assert_array_equal(grid.points[:, :2], PLATE.points)
    assert not grid.points[:, 2].any() and grid.celltypes.tolist() == [9, 9, 5, 5]
    cells = [PLATE.cells["quad"].ravel(), PLATE.cells["triangle"].ravel()]
    np.testing.assert_array_equal(grid.cell_connectivity, np.concatenate(cells))
    V, mean = one.basis.modes, one.basis.offset
    np.testing.assert_array_equal(grid.point_data["modes of T"], V[:N])
    np.testing.assert_array_equal(grid.point_data["modes of U"], V[N:].reshape(N, -1))
    np.testing.assert_array_equal(grid.point_data["mean of T"], mean[:N])
    np.testing.assert_array_equal(grid.point_data["mean of U"], mean[N:].reshape(N, 2))


def test_numbers_stand_in_the_file_once(tmp_path):
    one = model()
    save_model(tmp_path / "m.h5", one, PLATE)
    with h5py.File(tmp_path / "m.h5") as file:
        for name in ("Points", "Connectivity", "PointData/modes of T", "PointData/mean of U"):
            assert file["VTKHDF"][name].is_virtual, name
    content = (tmp_path / "m.h5").read_bytes()
    for array in (one.basis.modes[:1], one.basis.modes[N : N + 1], PLATE.points[5:6]):
        assert content.count(array.tobytes()) == 1
    back, mesh, _ = load_model(tmp_path / "m.h5")
    np.testing.assert_array_equal(back.basis.modes, one.basis.modes)
    np.testing.assert_array_equal(mesh.points, PLATE.points)


def test_fields_on_cells_and_rows_that_are_scattered(tmp_path):
    fields = (Field("q", "W", np.arange(4)), Field("w", "m", np.arange(4, 28, 2)))
    fields = (*fields, Field("v", "m", np.arange(5, 28, 2)))
    save_model(tmp_path / "m.h5", model(fields), PLATE)
    grid = read_grid(tmp_path / "m.h5")
    assert set(grid.cell_data) == {"modes of q", "mean of q"} and not list(grid.point_data)


def test_a_header_says_what_the_model_does(tmp_path):
    one, made = model(), {"command": "rom reduce", "snapshots": 8}
    save_model(tmp_path / "m.h5", one, PLATE, made)
    header = open_header(tmp_path / "m.h5")
    for name in ("names", "units", "scales"):
        assert getattr(header.asks.box, name) == getattr(BOX, name)
    np.testing.assert_array_equal(header.asks.box.lower, BOX.lower)
    assert header.tells == one.tells and header.known is one.known and header.made == made
    assert header.kind == "GalerkinModel" and header.sizes["points"] == N
    text = (tmp_path / "m.h5").read_bytes()[BLOCK : BLOCK + 4000]
    assert b'"kind": "GalerkinModel"' in text
    time.sleep(1.1)  # the clocks of HDF5 count seconds
    save_model(tmp_path / "again.h5", one, PLATE, made)
    assert (tmp_path / "again.h5").read_bytes() == (tmp_path / "m.h5").read_bytes()


@pytest.mark.parametrize("fault", ["cut off", "changed"])
def test_inspection_and_refusal_read_the_header_alone(tmp_path, fault):
    path = tmp_path / "m.h5"
    save_model(path, model(), PLATE)
    content = bytearray(path.read_bytes())
    row = content.find(model().basis.modes[3:4].tobytes())
    assert row > BLOCK
    if fault == "cut off":
        content = content[:row]
    else:
        content[row] ^= 1
    path.write_bytes(content)
    code, said = rom("inspect", path, "--json")
    facts = json.loads(said)
    assert code == 0 and facts["parameter k"].startswith("0.5 .. 1 [W/m/K]")
    code, said = rom("predict", path, "--mu", "0.7,2", "--t", "0:1:0.5")
    assert code == 2 and "knows no time" in said
    code, said = rom("predict", path, "--mu", "0.7,2")
    assert code == 4 and "do not match" in said
    with pytest.raises(DamagedFile):
        load(path)


def test_a_changed_header_is_refused(tmp_path):
    path = tmp_path / "m.h5"
    save_model(path, model(), PLATE)
    content = path.read_bytes()
    path.write_bytes(content.replace(b'"GalerkinModel"', b'"UnsteadyModel"', 1))
    for words in (("inspect", path), ("predict", path, "--mu", "0.7,2")):
        code, said = rom(*words)
        assert code == 4 and "header" in said


def test_a_model_in_a_file_for_paraview_is_a_model(tmp_path):
    path = tmp_path / "m.vtkhdf"
    save_model(path, model(), PLATE)
    code, said = rom("predict", path, "--mu", "0.7,2", "--out", tmp_path / "a.vtkhdf")
    assert code == 0, said
    assert rom("inspect", path)[0] == rom("inspect", tmp_path / "a.vtkhdf")[0] == 0


def test_a_noun_that_is_no_model_has_no_header(tmp_path):
    save(tmp_path / "box.h5", BOX)
    assert open_header(tmp_path / "box.h5") is None
    assert b"format 1\n" in (tmp_path / "box.h5").read_bytes()[:BLOCK]


def test_an_answer_never_destroys_its_model(tmp_path):
    path = tmp_path / "ans.h5"
    save_model(path, model(), PLATE)
    before = path.read_bytes()
    assert rom("predict", path, "--mu", "0.7,2", "--out", tmp_path / "ans.xdmf")[0] == 0
    assert path.read_bytes() == before
    (tmp_path / "mine.h5").write_bytes(b"mine")
    assert rom("predict", path, "--mu", "0.7,2", "--out", tmp_path / "mine.xdmf")[0] == 0
    assert (tmp_path / "mine.h5").read_bytes() == b"mine"
