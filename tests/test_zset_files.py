"""Binary meshes of Z-set: one that Z-set wrote, shipped with Muscat, and one byte by byte."""

import struct

import numpy as np
import pytest

from rom.errors import ForeignFile
from rom.io import read_mesh
from rom.io.geo_blocks import plain_blocks
from tests.test_export import CORNERS, MIDDLES

pytest.importorskip("Muscat")


def test_a_mesh_of_zset_has_its_middles_and_its_sets_where_their_names_say():
    """A cube of 27 cells; set x0y1 is the edge x = 0, y = 1, and so on."""
    from Muscat.TestData import GetTestDataPath

    mesh = read_mesh(GetTestDataPath() + "cube.geo")
    cells = mesh.cells["hexahedron20"]
    assert cells.shape == (27, 20) and len(mesh.points) == 208 and len(mesh.nodes) == 26
    _, middles = MIDDLES["hexahedron20"]
    for k, ends in enumerate(middles, 8):
        between = mesh.points[cells[:, list(ends)]].mean(axis=1)
        assert np.abs(mesh.points[cells[:, k]] - between).max() < 1e-12
    corners = mesh.points[cells[:, :8]]
    edges = corners[:, [1, 3, 4]] - corners[:, :1]
    assert np.abs(np.linalg.det(edges) - 1 / 27).max() < 1e-12
    for name, numbers in mesh.nodes.items():
        side = [("xyz".index(name[k]), float(name[k + 1])) for k in range(0, len(name), 2)]
        inside = np.all([mesh.points[:, axis] == value for axis, value in side], axis=0)
        assert np.array_equal(np.sort(numbers), np.flatnonzero(inside)), name


def words(*texts):
    return b"".join(struct.pack(">i", len(text) + 1) + text.encode() + b"\0" for text in texts)


def whole(*numbers):
    return struct.pack(f">{len(numbers)}i", *numbers)


def binary(path, cut=0, more=b""):
    """A cube on a triangle's side: a set of nodes, one of elements, one of faces."""
    magic, points = b"Z7BINARYGEOF\0", np.array(CORNERS["hexahedron"], float)
    nodes = b"".join(struct.pack(">i3d", k + 1, *x) for k, x in enumerate(points))
    parts = [
        words("node") + whole(8, 3) + nodes,
        words("element") + whole(2, 2)
        + whole(1) + words("c3d8") + whole(8, 7, 0, *range(8))
        + whole(1) + words("s3d3") + whole(3, 9, 1, 0, 2, 1),
        words("nset") + whole(1) + words("low") + whole(3, 0, 1, 2),
        words("elset") + whole(1) + words("skin") + whole(1, 1),
        words("bset") + whole(1) + words("top") + words("faset") + whole(1)
        + whole(4, 4, 5, 6, 7) + b"q4  \0",
        *([more] if more else []),
        words("return"),
    ]  # fmt: skip
    data = b"".join(magic + part for part in parts)
    path.write_bytes(data[: len(data) - cut])
    return path


def test_every_block_of_the_format_is_read(tmp_path):
    mesh = read_mesh(binary(tmp_path / "a.geo"))
    assert {kind: rows.tolist() for kind, rows in mesh.cells.items()} == {
        "hexahedron": [[*range(8)]], "triangle": [[0, 2, 1]], "quad": [[4, 5, 6, 7]],
    }  # fmt: skip
    assert np.array_equal(mesh.points, CORNERS["hexahedron"])
    assert mesh.nodes["low"].tolist() == [0, 1, 2]
    assert {name: {kind: rows.tolist() for kind, rows in parts.items()}
        for name, parts in mesh.regions.items()} == {
        "skin": {"triangle": [0]}, "top": {"quad": [0]}}  # fmt: skip


def test_what_is_cut_short_or_of_gmsh_is_told(tmp_path):
    for cut in (4, 40, 200):
        with pytest.raises(ForeignFile, match=r"Z-set|cut short"):
            read_mesh(binary(tmp_path / "a.geo", cut))
    with pytest.raises(ForeignFile, match="block 'mystery' is not known"):
        read_mesh(binary(tmp_path / "a.geo", more=words("mystery")))
    (tmp_path / "b.geo").write_text("Point(1) = {0, 0, 0, 1};\n")
    with pytest.raises(ForeignFile, match=r"script of Gmsh give the \.msh"):
        read_mesh(tmp_path / "b.geo")


MOST = 2**31 - 1
COUNTS = {  # numbers as they stand -> with a count that no file of some hundred bytes holds
    "nodes": (whole(8, 3) + whole(1), whole(MOST, 3) + whole(1)),
    "elements": (words("element") + whole(2, 2), words("element") + whole(MOST, 2)),
    "of a type": (whole(1) + words("c3d8"), whole(MOST) + words("c3d8")),
    "of an element": (words("c3d8") + whole(8), words("c3d8") + whole(MOST)),
    "letters": (words("nset"), whole(MOST) + words("nset")[4:]),
    "of a set": (whole(3, 0, 1, 2) + b"Z7", whole(MOST, 0, 1, 2) + b"Z7"),
    "faces": (words("faset") + whole(1), words("faset") + whole(MOST)),
    "of a face": (whole(4, 4, 5), whole(MOST, 4, 5)),
    "less than none": (whole(8, 3) + whole(1), whole(-1, 3) + whole(1)),
}


@pytest.mark.parametrize("name", COUNTS)
def test_a_count_beyond_the_bytes_is_told_without_muscat(name, tmp_path):
    data = binary(tmp_path / "a.geo").read_bytes()
    assert plain_blocks(data, "a.geo") == data
    old, new = COUNTS[name]
    assert data.count(old) == 1
    with pytest.raises(ForeignFile, match=r"a\.geo"):
        plain_blocks(data.replace(old, new), "a.geo")


def test_sets_of_points_of_integration_are_passed_over(tmp_path):
    mesh = read_mesh(binary(tmp_path / "a.geo"))
    inner = words("ipset") + whole(2) + words("a") + whole(1, 7, 2, 0, 1) + words("b") + whole(0)
    assert read_mesh(binary(tmp_path / "b.geo", more=inner)).digest == mesh.digest
