"""Decks of Abaqus and CalculiX, written by hand, with what they mean by the format's own rules."""

import numpy as np
import pytest

from rom.errors import BadInput, ForeignFile
from rom.io import read_mesh
from rom.io.grid import to_grid
from rom.mesh import NODES
from tests.test_export import MIDDLES, one_cell

TETRAHEDRA = "*Node\n1,0,0,0\n2,1,0,0\n3,0,1,0\n4,0,0,1\n5,1,1,1\n6,2,2,2\n7,3,2,2\n"
ONE = "*Element,type=C3D4\n1,1,2,3,4\n"
TWO = "*Element,type=C3D4\n1,1,2,3,4\n2,2,3,4,5\n"
PARTS = """*Heading
*Part, name=A
*Node
1, 0., 0.
2, 1., 0.
3, 0., 1.
*Element, type=CPS3, elset=EA
1, 1, 2, 3
*Nset, nset=Root, internal
1,
*End Part
*Part, name=B
*Node
1, 5., 0.
2, 6., 0.
3, 5., 1.
4, 6., 1.
*Element, type=CPS3, elset=EB
1, 1, 2, 3
2, 2, 4, 3
*End Part
*Assembly, name=Assembly
*Instance, name=A-1, part=A
*End Instance
*Instance, name=B-1, part=B
10., 0., 0.
*End Instance
*Instance, name=A-2, part=A
0., 2., 0.
0., 2., 0., 0., 2., 1., 90.
*End Instance
*Node
1, 7., 7.
*Nset, nset=Reference
1,
*Nset, nset=Ends, instance=B-1, generate
2, 4, 2
*Nset, nset=Ends, instance=A-1
Root,
*Nset, nset=Mixed
A-2.Root, B-1.4
*Elset, elset=All
A-1.EA, B-1.EB
*End Assembly
"""


def read(folder, text, **others):
    (folder / "a.inp").write_text(text)
    for name, other in others.items():
        (folder / f"{name}.inp").write_text(other)
    return read_mesh(folder / "a.inp")


def regions(mesh):
    return {
        name: {kind: rows.tolist() for kind, rows in parts.items()}
        for name, parts in mesh.regions.items()
    }


def nodes(mesh):
    return {name: rows.tolist() for name, rows in mesh.nodes.items()}


def test_instances_stand_where_they_are_moved_with_the_sets_of_their_parts(tmp_path):
    mesh = read(tmp_path, PARTS)
    corners = mesh.points[mesh.cells["triangle"]]
    assert corners[0].tolist() == [[0, 0], [1, 0], [0, 1]]
    assert corners[1].tolist() == [[15, 0], [16, 0], [15, 1]]
    assert corners[2].tolist() == [[16, 0], [16, 1], [15, 1]]
    assert np.allclose(corners[3], [[0, 2], [0, 3], [-1, 2]], atol=1e-15)
    assert mesh.points[10].tolist() == [7, 7] and len(mesh.points) == 11
    assert regions(mesh) == {
        "A-1.EA": {"triangle": [0]}, "EB": {"triangle": [1, 2]}, "A-2.EA": {"triangle": [3]},
        "All": {"triangle": [0, 1, 2]}, "A-1": {"triangle": [0]}, "B-1": {"triangle": [1, 2]},
        "A-2": {"triangle": [3]},
    }  # fmt: skip
    assert nodes(mesh) == {
        "A-1.Root": [0], "A-2.Root": [7], "Reference": [10], "Ends": [0, 4, 6], "Mixed": [6, 7],
    }  # fmt: skip


SETS = {
    "second block": (
        "*Element,type=C3D4\n1,1,2,3,4\n*Element,type=C3D4,elset=B\n2,2,3,4,5\n3,3,4,5,6\n",
        {"B": {"tetra": [1, 2]}}, {},
    ),
    "one name twice": (
        "*Element,type=C3D4,elset=ALL\n1,1,2,3,4\n2,2,3,4,5\n*ELEMENT,TYPE=C3D4,ELSET=all\n"
        "4,4,5,6,7\n", {"ALL": {"tetra": [0, 1, 2]}}, {},
    ),
    "two types": (
        "*Element,type=S3,elset=ALL\n1,1,2,3\n*Element,type=C3D4,elset=ALL\n2,1,2,3,4\n"
        "3,2,3,4,5\n", {"ALL": {"triangle": [0], "tetra": [0, 1]}}, {},
    ),
    "sets of sets": (
        TWO + "*Nset,nset=a\n1,2\n*Nset,nset=b\n3\n*Nset,nset=both\na,b\n*Elset,elset=x\n1\n"
        "*Elset,elset=y\nx,2\n", {"x": {"tetra": [0]}, "y": {"tetra": [0, 1]}},
        {"a": [0, 1], "b": [2], "both": [0, 1, 2]},
    ),
    "generate": (
        ONE + "*Nset,nset=g,generate\n1,3,1\n5,7,2\n*Nset,generate,nset=h\n2,4\n", {},
        {"g": [0, 1, 2, 4, 6], "h": [1, 2, 3]},
    ),
    "before later elements": (
        ONE + "*Elset,elset=E\n1\n*Element,type=S3,elset=B\n2,1,2,3\n",
        {"E": {"tetra": [0]}, "B": {"triangle": [0]}}, {},
    ),
    "extended": (
        TWO + "*Nset,nset=a\n1,2\n*Nset,nset=A\n3\n*Elset,elset=a\n1\n*Elset,elset=A\n2\n",
        {"a": {"tetra": [0, 1]}}, {"a": [0, 1, 2]},
    ),
    "of elements": (
        TWO + "*Elset,elset=b\n2\n*Nset,nset=n,elset=b\n", {"b": {"tetra": [1]}},
        {"n": [1, 2, 3, 4]},
    ),
    "quoted": ('*Element,type=C3D4,elset="my, set"\n1,1,2,3,4\n',
        {"my, set": {"tetra": [0]}}, {}),
    "faces": (
        "*Element,type=C3D4,elset=A\n1,1,2,3,4\n*Surface,type=ELEMENT,name=top\nA,S2\n"
        "*Surface,name=all\n1,S1\n1,S2\n*Surface,type=node,name=n\n4,\n", {"A": {"tetra": [0]}},
        {"top": [0, 1, 3], "all": [0, 1, 2, 3], "n": [3]},
    ),
    "free faces": (TWO + "*Elset,elset=b\n1\n*Surface,name=skin\nb,\n", {"b": {"tetra": [0]}},
        {"skin": [0, 1, 2, 3]}),
    "calculix": (ONE + "*Nset,nset=x\nNall\n", {}, {"x": [0, 1, 2, 3, 4, 5, 6]}),
}  # fmt: skip


@pytest.mark.parametrize("name", SETS)
def test_sets_are_what_the_format_says(name, tmp_path):
    text, cells, points = SETS[name]
    mesh = read(tmp_path, TETRAHEDRA + text)
    assert regions(mesh) == cells and nodes(mesh) == points


def test_nodes_come_from_included_files_and_stand_where_their_system_is(tmp_path):
    text = (
        "** a comment, INPUT=../nothing\n*INCLUDE,\nINPUT=part.inp\n"
        "*SYSTEM\n10.,0.,0.,10.,1.,0.\n9.,0.,0.\n*NODE,NSET=turned\n5,1.D0,0.,0.\n6,0,2.,0\n"
        "*SYSTEM\n*node, system=c\n7, 2., 90., 5.\n*element, type=c3d4, input=cells.inp\n"
    )
    mesh = read(tmp_path, text, part=TETRAHEDRA.split("5,")[0], cells="1, 1, 2, 3, 4\n")
    assert mesh.points[4:6].tolist() == [[10, 1, 0], [8, 0, 0]]
    assert np.allclose(mesh.points[6], [0, 2, 5], atol=1e-15) and nodes(mesh) == {"turned": [4, 5]}
    assert mesh.cells["tetra"].tolist() == [[0, 1, 2, 3]]
    (tmp_path / "part.inp").unlink()
    with pytest.raises(ForeignFile, match="part"):
        read_mesh(tmp_path / "a.inp")


def test_nodes_and_elements_are_generated(tmp_path):
    text = (
        "*Node\n1,0,0,0\n5,4,0,0\n11,0,1,0\n15,4,1,0\n*Ngen,nset=low\n1,5,1\n11,15,1\n"
        "*Element,type=CPS4\n1,1,2,12,11\n*Elgen,elset=all\n1,4,1,1\n"
    )
    mesh = read(tmp_path, text)
    cells = mesh.points[mesh.cells["quad"]]
    assert cells[:, 0].tolist() == [[0, 0], [1, 0], [2, 0], [3, 0]] and len(mesh.points) == 10
    assert to_grid(mesh).compute_cell_sizes()["Area"].tolist() == [1, 1, 1, 1]
    assert regions(mesh) == {"all": {"quad": [0, 1, 2, 3]}}


TYPES = {
    "C3D4": "tetra", "C3D10M": "tetra10", "C3D6": "wedge", "C3D15": "wedge15", "C3D5": "pyramid",
    "C3D8R": "hexahedron", "C3D20RH": "hexahedron20", "DC3D8": "hexahedron", "AC3D4": "tetra",
    "CPS3": "triangle", "CPE4H": "quad", "CPE6": "triangle6", "CPS8R": "quad8", "CAX4": "quad",
    "CAX8": "quad8", "DC2D4": "quad", "S3": "triangle", "S4R": "quad", "S8R5": "quad8",
    "S9R5": "quad9", "STRI65": "triangle6", "STRI3": "triangle", "M3D4": "quad",
    "R3D4": "quad", "SFM3D3": "triangle", "B31": "line", "B33": "line", "T3D2": "line",
    "SAX1": "line", "COH3D8": "hexahedron", "COHAX4": "quad", "SC8R": "hexahedron",
    "MASS": "vertex", "SPRINGA": "line", "CONN3D2": "line", "PIPE31H": "line",
}  # fmt: skip


@pytest.mark.parametrize("name", TYPES)
def test_types_are_known_with_nodes_in_the_order_of_vtk(name, tmp_path):
    kind = TYPES[name]
    cell = one_cell(kind)
    points = np.pad(cell.points, ((0, 0), (0, 3 - cell.points.shape[1])))
    lines = "".join(f"{k + 1}, {x}, {y}, {z}\n" for k, (x, y, z) in enumerate(points.tolist()))
    row = ", ".join(map(str, range(1, NODES[kind] + 1)))
    mesh = read(tmp_path, f"*NODE\n{lines}*ELEMENT, TYPE={name}\n8, {row}\n")
    assert list(mesh.cells) == [kind] and mesh.cells[kind][0].tolist() == list(range(NODES[kind]))


def test_middle_nodes_of_lines_and_faces_of_27_are_put_behind(tmp_path):
    text = "*NODE\n1,0.,0.\n2,.5,0.\n3,1.,0.\n*ELEMENT,TYPE=B32\n1,1,2,3\n"
    assert read(tmp_path, text).cells["line3"].tolist() == [[0, 2, 1]]
    cell = one_cell("hexahedron27")
    centre = {tuple(x): k for k, x in enumerate(cell.points.tolist())}
    faces = [(0.5, 0.5, 0.5), (0.5, 0.5, 0), (0.5, 0.5, 1), (0.5, 0, 0.5), (1, 0.5, 0.5),
        (0.5, 1, 0.5), (0, 0.5, 0.5)]  # fmt: skip
    order = [*range(20), *(centre[face] for face in faces)]  # of Abaqus
    lines = "".join(
        f"{k + 1}, {', '.join(map(str, x))}\n" for k, x in enumerate(cell.points[order].tolist())
    )
    row = ", ".join(map(str, range(1, 28)))
    mesh = read(tmp_path, f"*NODE\n{lines}*ELEMENT, TYPE=C3D27\n8, {row}\n")
    assert np.array_equal(mesh.points[mesh.cells["hexahedron27"][0]], cell.points)


@pytest.mark.parametrize("kind", sorted(MIDDLES))
def test_a_face_has_its_middle_nodes(kind):
    from rom.io.inp_elements import FACES, face_nodes

    if kind in ("line3", "wedge18"):
        return
    cell = one_cell(kind)
    for face in range(1, len(FACES[kind.rstrip("0123456789")]) + 1):
        x = cell.points[face_nodes(kind, face)]
        flat = x - x[0]
        rank = np.linalg.matrix_rank(flat, tol=1e-12)
        dim = 1 if MIDDLES[kind][0] in ("triangle", "quad") else 2
        assert rank == dim  # all on one line or plane
        on = (np.abs((cell.points - x[0]) @ np.linalg.svd(flat)[2][dim:].T) < 1e-12).all(axis=1)
        if MIDDLES[kind][0] not in ("triangle", "quad"):
            assert len(x) == on.sum()


BRICK = "*Node\n" + "".join(
    f"{k},{x},{y},{z}\n" for k, (x, y, z) in enumerate(
        [(0, 0, 0), (1, 0, 0), (1, 1, 0), (0, 1, 0), (0, 0, 1), (1, 0, 1), (1, 1, 1), (0, 1, 1)], 1
    )
)  # fmt: skip


def test_fluids_and_pipes_of_calculix_are_solids_and_lines(tmp_path):
    fluid = "*Element,type=F3D8\n1,1,2,3,4,5,6,7,8\n*Element,type=F3D4\n2,1,2,4,5\n"
    pipes = "*Element,type=D\n3,1,2,3\n4,0,5,6\n5,7,8,0\n"
    mesh = read(tmp_path, BRICK + fluid + pipes + "*Surface,name=top\n1,S2\n")
    assert {kind: rows.tolist() for kind, rows in mesh.cells.items()} == {
        "hexahedron": [[*range(8)]], "tetra": [[0, 1, 3, 4]], "line3": [[0, 2, 1]],
        "line": [[4, 5], [6, 7]],
    }  # fmt: skip
    assert nodes(mesh) == {"top": [4, 5, 6, 7]}


@pytest.mark.parametrize("kind, face, right", [
    ("S4", "S1", [0, 1, 2, 3]), ("S4", "SNEG", [0, 1, 2, 3]), ("S4R", "S3", [0, 1]),
    ("S4", "S6", [0, 3]), ("M3D4", "S4", [1, 2]), ("S4", "E1", [0, 1]), ("CPS4", "S1", [0, 1]),
    ("CPE4R", "S3", [2, 3]),
])  # fmt: skip
def test_faces_of_shells_come_before_their_edges(kind, face, right, tmp_path):
    """CalculiX: S1 and S2 are the sides of a shell, S3 to S6 its edges; Abaqus: E1 to E4."""
    text = f"*Element,type={kind}\n1,1,2,3,4\n*Surface,name=a\n1,{face}\n"
    assert nodes(read(tmp_path, BRICK + text))["a"] == right


def test_elements_of_the_assembly_join_nodes_of_instances(tmp_path):
    part = f"*Part,name=P\n{BRICK}*Element,type=C3D8\n1,1,2,3,4,5,6,7,8\n*End Part\n"
    both = "*Instance,name=A-1,part=P\n*End Instance\n*Instance,name=B,part=P\n4,0,0\n"
    spring = "*End Instance\n*Node\n1,9,9,9\n*Element,type=CONN3D2\n1,A-1.2,b.1\n2,1,B.7\n"
    mesh = read(tmp_path, f"{part}*Assembly,name=Q\n{both}{spring}*End Assembly\n")
    assert mesh.points[mesh.cells["line"]].tolist() == [
        [[1, 0, 0], [4, 0, 0]], [[9, 9, 9], [5, 1, 1]]
    ]  # fmt: skip


def test_further_nodes_of_a_line_are_passed_over_as_calculix_does(tmp_path):
    mesh = read(tmp_path, BRICK + "*Element,type=C3D4\n1,1,2,4,5,7,8\n2,2,3,4,7,8,\n")
    assert mesh.cells["tetra"].tolist() == [[0, 1, 3, 4], [1, 2, 3, 6]]


@pytest.mark.parametrize(
    "text, error, match",
    [
        ("Dear colleague\n", ForeignFile, "no \\*NODE"),
        (TETRAHEDRA + "*ELEMENT,TYPE=XYZ9\n1,1,2\n", BadInput, "type XYZ9"),
        (TETRAHEDRA + "*ELEMENT,TYPE=C3D4\n1,1,2,3\n", ForeignFile, "too few nodes"),
        (TETRAHEDRA + "*ELEMENT,TYPE=C3D4\n1,1,2,3,9\n", ForeignFile, "node 9"),
        (TETRAHEDRA + "*ELEMENT,TYPE=C3D8\n1,1,2,3,4,5,6,\n7,1,2\n", ForeignFile, "has 9 nodes"),
        (TETRAHEDRA + "*ELEMENT,TYPE=S3\n1,1,2,3\n*SURFACE,NAME=a\n1,S6\n", BadInput, "no face"),
        (TETRAHEDRA + ONE + "*NCOPY,CHANGE NUMBER=5\n", BadInput, "NCOPY"),
        (TETRAHEDRA + ONE + "*NSET,NSET=a\nb\n", BadInput, "'b'"),
        (TETRAHEDRA + ONE + "*NSET,NSET=a\na\n", BadInput, "names itself"),
        ("*NODE\n1,<x>,0,0\n", ForeignFile, "x"),
    ],
)
def test_what_is_not_known_is_named(text, error, match, tmp_path):
    with pytest.raises(error, match=match):
        read(tmp_path, text)


def test_an_included_file_of_data_alone_goes_on_with_its_keyword(tmp_path):
    (tmp_path / "nodes.txt").write_text("3, 0, 1\n4, 5, 5\n")
    (tmp_path / "cells.txt").write_text("1, 1, 2, 3\n")
    (tmp_path / "a.inp").write_text(
        "*NODE, NSET=all\n1, 0, 0\n2, 1, 0\n*INCLUDE, INPUT=nodes.txt\n5, 7, 7\n"
        "*ELEMENT, TYPE=CPS3, ELSET=e\n*INCLUDE, INPUT=cells.txt\n"
    )
    mesh = read_mesh(tmp_path / "a.inp")
    assert mesh.points.tolist() == [[0, 0], [1, 0], [0, 1], [5, 5], [7, 7]]
    assert mesh.cells["triangle"].tolist() == [[0, 1, 2]]
    assert mesh.nodes["all"].tolist() == [0, 1, 2, 3, 4]
