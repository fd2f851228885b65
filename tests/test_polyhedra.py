"""Cells of many faces, cut into tetrahedra of their own points.

The oracles are volumes: by hand, of scipy's convex hulls, and of OpenFOAM itself.
"""

import shutil
import subprocess

import numpy as np
import pytest
import pyvista as pv
from scipy.spatial import ConvexHull, Voronoi
from typer.testing import CliRunner

from rom.cli.app import app
from rom.errors import BadInput, ForeignFile
from rom.io import ingest_files, read_file, read_frames
from rom.io.pieces import PIECE_OF
from tests.bindings import DECKS
from tests.test_blocks import foam

CORNERS = [[x, y, z] for z in (0, 1) for y in (0, 1) for x in (0, 1)]
TOP = [[0.5, 0, 1], [0.5, 1, 1], [0, 0.5, 1], [1, 0.5, 1], [0.5, 0.5, 1]]  # numbers 8 to 12
FACES = [  # of a cube whose top touches four smaller cells
    [0, 2, 3, 1], [0, 1, 5, 8, 4], [2, 6, 9, 7, 3], [0, 4, 10, 6, 2], [1, 3, 7, 11, 5],
    [4, 8, 12, 10], [8, 5, 11, 12], [10, 12, 9, 6], [12, 11, 7, 9],
]  # fmt: skip


def polyhedra(points, cells):
    """A grid of polyhedra, each a list of faces."""
    stream = []
    for faces in cells:
        row = [len(faces), *(number for face in faces for number in (len(face), *face))]
        stream += [len(row), *row]
    return pv.UnstructuredGrid(stream, [42] * len(cells), np.array(points, float))


def pieces(path):
    """Cell numbers of the file and volumes of all tetrahedra, with what else was read."""
    mesh, points, cells = read_file(path)
    x = mesh.points[mesh.cells["tetra"]]
    others = sum(len(rows) for kind, rows in mesh.cells.items() if kind != "tetra")
    return cells[PIECE_OF][0][others:], np.linalg.det(x[:, 1:] - x[:, :1]) / 6, mesh, points, cells


def test_a_cube_with_hanging_nodes_keeps_its_points_and_values(tmp_path):
    grid = polyhedra(CORNERS + TOP, [FACES])
    grid.point_data["T"], grid.cell_data["q"] = np.arange(13.0), [7.0]
    grid.save(tmp_path / "a.vtu")
    number, volume, mesh, points, cells = pieces(tmp_path / "a.vtu")
    assert volume.min() > 0.01 and abs(volume.sum() - 1) < 1e-12 and set(number) == {0}
    assert np.array_equal(points["T"][0], np.arange(13)) and len(mesh.points) == 13
    assert set(cells["q"][0]) == {7.0}
    faces = np.concatenate([mesh.cells["tetra"][:, [j for j in range(4) if j != k]]
        for k in range(4)])  # fmt: skip
    _, count = np.unique(np.sort(faces, axis=1), axis=0, return_counts=True)
    assert count.max() == 2  # no three tetrahedra share a face


@pytest.mark.parametrize("is_turned", [False, True])
def test_cells_of_voronoi_have_the_volumes_of_their_hulls(is_turned, tmp_path):
    """Two hundred cells of up to thirty faces; faces of either orientation."""
    rng = np.random.default_rng(5)
    diagram = Voronoi(rng.random((400, 3)))
    ridges = dict(zip(map(tuple, diagram.ridge_points), diagram.ridge_vertices, strict=True))
    of_site = {}
    for (a, b), row in ridges.items():
        of_site.setdefault(a, []).append(row)
        of_site.setdefault(b, []).append(row[::-1])
    closed = [
        (faces, ConvexHull(diagram.vertices[np.unique(np.concatenate(faces))]).volume)
        for faces in of_site.values()
        if all(min(row) >= 0 for row in faces)
    ]
    closed = [(faces, size) for faces, size in closed if size < 0.02]
    assert len(closed) > 150 and max(len(faces) for faces, _ in closed) > 20
    cells = [[row[::-1] if is_turned and k % 2 else row for k, row in enumerate(faces)]
        for faces, _ in closed]  # fmt: skip
    grid = polyhedra(diagram.vertices, cells)
    grid.cell_data["n"] = np.arange(len(cells))
    grid.point_data["x"] = diagram.vertices
    grid.save(tmp_path / "a.vtu")
    number, volume, _, _, fields = pieces(tmp_path / "a.vtu")
    exact = np.array([size for _, size in closed])
    total = np.bincount(number, volume, minlength=len(cells))
    assert volume.min() > 0 and np.abs(total / exact - 1).max() < 1e-3
    assert np.median(np.abs(total / exact - 1)) < 1e-9
    assert np.array_equal(fields["n"][0], number)


def test_polygons_are_triangles_also_where_they_are_not_convex(tmp_path):
    flat = np.array([[0, 0, 0], [2, 0, 0], [2, 1, 0], [1, 0.2, 0], [0, 1, 0]], float)
    pv.PolyData(flat, faces=[5, 0, 1, 2, 3, 4]).save(tmp_path / "a.vtp")
    mesh, _, _ = read_file(tmp_path / "a.vtp")
    x = mesh.points[mesh.cells["triangle"]]
    area = np.linalg.det(x[:, 1:] - x[:, :1]) / 2
    assert area.min() > 0 and abs(area.sum() - 1.2) < 1e-6 and len(mesh.points) == 5


def hollow(folder, data):
    """A prism over a star of eight points: no node sees all of it, its centre does."""
    angle = np.arange(16) * np.pi / 8
    ring = np.column_stack([np.cos(angle), np.sin(angle)])
    ring *= np.where(np.arange(16) % 2, 0.5, 1.0)[:, None]
    points = [[x, y, z] for z in (0, 1) for x, y in ring]
    sides = [[k, (k + 1) % 16, (k + 1) % 16 + 16, k + 16] for k in range(16)]
    low = [[*range(15, 0, -2)], *([k + 1, k, (k - 1) % 16] for k in range(0, 16, 2))]
    high = [[number + 16 for number in face[::-1]] for face in low]
    grid = polyhedra(points, [[*low, *high, *sides]])
    if data:
        grid.point_data["T"] = np.arange(32.0)
    grid.save(folder / "a.vtu")
    return 16 * 0.5 * 0.5 * np.sin(np.pi / 8)


def test_a_cell_that_no_node_sees_is_cut_at_its_centre_or_refused(tmp_path):
    exact = hollow(tmp_path, data=False)
    _, volume, mesh, _, _ = pieces(tmp_path / "a.vtu")
    assert len(mesh.points) == 33 and abs(volume.sum() - exact) < 1e-6
    hollow(tmp_path, data=True)
    with pytest.raises(BadInput, match="cell 0 of many faces cannot be cut"):
        read_file(tmp_path / "a.vtu")


def test_the_folder_of_a_case_is_the_case(tmp_path):
    foam(tmp_path / "case").unlink()
    mesh, frames = read_frames(tmp_path / "case")
    assert len(mesh.cells["hexahedron"]) == 2 and [frame.t for frame in frames] == [0, 1, 2]
    result = ingest_files([tmp_path / "case"], {"T": "K"}, written={"T": "K"})
    assert result.fields["T"][:, 0].tolist() == [[300, 310, 320], [400, 410, 420]]
    words = ["export", str(tmp_path / "case"), "--out", str(tmp_path / "a.vtu")]
    assert CliRunner().invoke(app, words).exit_code == 0
    assert read_file(tmp_path / "a.vtu")[2]["T"][0].tolist() == [300, 400]
    (tmp_path / "case" / "constant" / "away").symlink_to("/etc/passwd")
    with pytest.raises(ForeignFile, match="leads out of its folder"):
        read_file(tmp_path / "case")
    with pytest.raises(ForeignFile, match="no result, but a folder"):
        read_file(tmp_path)


@pytest.mark.skipif(shutil.which("polyDualMesh") is None, reason="needs OpenFOAM")
def test_cells_have_the_volumes_that_openfoam_gives_them(tmp_path):
    if " " in str(tmp_path):
        pytest.skip("OpenFOAM takes no folder with a space in its name")
    case = shutil.copytree(DECKS / "cavity", tmp_path / "case")
    for name in ("constant/transportProperties", "0/U"):
        text = (case / name).read_text()
        (case / name).write_text(text.replace("{{nu}}", "0.01").replace("{{lid}}", "1"))
    mesh = case / "system" / "blockMeshDict"
    mesh.write_text(mesh.read_text().replace("(20 20 1)", "(3 3 2)"))
    for words in (["blockMesh"], ["polyDualMesh", "75", "-overwrite"],
        ["postProcess", "-func", "writeCellVolumes", "-time", "0"]):  # fmt: skip
        subprocess.run(words, cwd=case, check=True, capture_output=True,
            env={"WM_PROJECT_DIR": "/usr/share/openfoam", "PATH": "/usr/bin:/bin"})  # fmt: skip
    number, volume, _, _, cells = pieces(case)
    theirs = cells["V"][0][-len(number) :]
    total = np.bincount(number, volume)[number]
    assert len(number) > 200 and np.abs(total / theirs - 1).max() < 1e-6  # single precision


def test_polylines_strips_and_many_points_are_their_pieces(tmp_path):
    """A strip of three triangles over a unit square and a half, a line of two pieces, points."""
    body = pv.PolyData()
    body.points = [[0, 0, 0], [0, 1, 0], [1, 0, 0], [1, 1, 0], [0, 2, 0]]
    body.verts, body.lines, body.strips = [2, 0, 4], [3, 0, 2, 4], [5, 0, 2, 1, 3, 4]
    body.cell_data["q"] = [1.0, 2.0, 3.0]
    body.save(tmp_path / "a.vtp")
    mesh, _, cells = read_file(tmp_path / "a.vtp")
    assert mesh.cells["vertex"].tolist() == [[0], [4]]
    assert mesh.cells["line"].tolist() == [[0, 2], [2, 4]]
    x = mesh.points[mesh.cells["triangle"]]
    area = np.cross(x[:, 1] - x[:, 0], x[:, 2] - x[:, 0]) / 2
    assert area.tolist() == [0.5, 0.5, 0.5]
    kinds = np.repeat(list(mesh.cells), [len(rows) for rows in mesh.cells.values()])
    for kind, value in (("vertex", 1.0), ("line", 2.0), ("triangle", 3.0)):
        assert set(cells["q"][0][kinds == kind]) == {value}
