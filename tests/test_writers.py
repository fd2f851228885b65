"""Writers: what a format carries comes back, what it does not is named before it is written."""

import numpy as np
import pytest

from rom.errors import BadInput
from rom.io import read_file, write_mesh
from rom.mesh import NODES, Mesh
from tests.test_export import block, mixed, one_cell, same

SUFFIXES = [".vtkhdf", ".vtu", ".vtk", ".xdmf", ".xmf", ".med", ".msh", ".inp", ".mesh", ".off",
    ".obj"]  # fmt: skip
DROPPED = [".stl", ".ply", ".bdf", ".nas", ".su2", ".vol", ".post", ".f3grid", ".avs",
    ".h5m", ".e", ".xml", ".svg", ".ele", ".wkt", ".ugrid", ".dat", ".mdpa", ".hmf"]  # fmt: skip


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("kind", sorted(NODES))
def test_a_cell_comes_back_whole_or_is_refused_before_a_file_is_there(kind, suffix, tmp_path):
    cell, path = one_cell(kind), tmp_path / f"a{suffix}"
    try:
        write_mesh(path, cell)
    except BadInput as error:
        assert f"hold no {kind} cells" in str(error) and not list(tmp_path.iterdir())
        return
    mesh, _, _ = read_file(path)
    x = np.pad(mesh.points, ((0, 0), (0, 3 - mesh.points.shape[1])))[mesh.cells[kind]]
    assert np.allclose(x[0], cell.points[cell.cells[kind][0]], atol=1e-12)


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_fields_and_sets_come_back_or_are_refused_by_name(suffix, tmp_path):
    X = np.array([[0.0, 0, 0], [1, 0, 0], [0, 1, 0], [0, 0, 1]])
    T, q = np.array([1 / 3, 2, 3, 4]), np.array([7.0, 8.0])
    triangles = Mesh(X, {"triangle": np.array([[0, 1, 2], [0, 1, 3]])})
    sets = Mesh(X, triangles.cells, {"r": {"triangle": np.array([1])}}, {"n": np.array([2])})
    cases = [
        (triangles, {"T": (T, "K")}, {}, "T"),
        (triangles, {}, {"q": (q, "Pa")}, "q"),
        (sets, {}, {}, "r, n"),
    ]
    for mesh, points, cells, name in cases:
        path = tmp_path / f"{name}{suffix}"
        try:
            write_mesh(path, mesh, points, cells)
        except BadInput as error:
            assert f"({name})" in str(error) and not list(tmp_path.iterdir())
            continue
        back, at_points, at_cells = read_file(path)
        same(Mesh(mesh.points, mesh.cells, mesh.regions, mesh.nodes), back)
        for sent, found in ((points, at_points), (cells, at_cells)):
            assert set(found) == set(sent)
            for key, (values, unit) in sent.items():
                assert np.array_equal(found[key][0], values) and found[key][1] == unit
        path.unlink()


@pytest.mark.parametrize("suffix", DROPPED)
def test_a_format_that_would_drop_things_is_none(suffix, tmp_path):
    with pytest.raises(BadInput, match=r"unknown format; known: \.cgns, \.inp, \.med"):
        write_mesh(tmp_path / f"a{suffix}", one_cell("tetra"))
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("make", [block, mixed])
@pytest.mark.parametrize("suffix", [".xdmf", ".med", ".inp"])
def test_meshes_of_several_types_come_back(make, suffix, tmp_path):
    mesh = make()
    same(mesh, read_file(write_mesh(tmp_path / f"a{suffix}", mesh))[0])


def test_names_that_a_deck_cannot_hold_are_named(tmp_path):
    cell = one_cell("tetra")
    for names in (("a", "A"), ('a"b',), ("é",), ("x" * 81,)):
        nodes = {name: np.array([0]) for name in names}
        with pytest.raises(BadInput, match="cannot name a set"):
            write_mesh(tmp_path / "a.inp", Mesh(cell.points, cell.cells, {}, nodes))
