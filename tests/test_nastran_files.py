"""Bulk data of Nastran, as pyNastran writes it and by hand in free, small and large fields."""

from pathlib import Path

import numpy as np
import pytest

from rom.errors import BadInput, ForeignFile
from rom.io import read_mesh
from tests.test_export import one_cell

DATA = Path(__file__).parent / "data"
KINDS = (
    "line", "triangle", "quad", "triangle6", "quad8", "tetra", "tetra10", "hexahedron",
    "hexahedron20", "wedge", "wedge15", "pyramid", "pyramid13",
)  # fmt: skip


@pytest.mark.parametrize("name, tol", [("bulk_small.bdf", 2e-4), ("bulk_double.bdf", 1e-8)])
def test_every_cell_stands_where_pynastran_put_it(name, tol):
    """Points in six systems, one of them said in another, one by nodes."""
    mesh = read_mesh(DATA / name)
    assert {kind: len(rows) for kind, rows in mesh.cells.items()} == dict.fromkeys(KINDS, 1)
    for k, kind in enumerate(KINDS, 1):
        exact = one_cell(kind).points + np.array([5, 0.25, 0.125]) * k
        ours = mesh.points[mesh.cells[kind][0]]
        assert np.abs(ours - exact).max() < tol, kind
    its = {name: sorted(parts) for name, parts in mesh.regions.items()}
    assert its["property 1"] == ["line"]
    assert its["property 2"] == ["quad", "quad8", "triangle", "triangle6"]
    assert len(its["property 3"]) == 8 and len(its) == 3


FREE = """$ a comment
ID A,B
SOL 101
CEND
SPC = 1
begin bulk
GRDSET,,7
CORD2C,7,,0.,0.,0.,0.,0.,1.
,1.,0.,0.
GRID,1,,2.,9.+1,-1.5-1   $ y = 2, z = -0.15
GRID,2,0,1.,2.,3.
GRID*,3,0,1.D+1,2.25D0,*C1
*C1,-3.5E-1
GRID           4       0   1.5-3      2.
CTRIA3,10,20,1,2,3,,+T
+T,,,.1,.1,.1
CONROD,11,2,4,1,0.1
CBAR,12,,1,4,0.,0.,1.
RBE2,13,1,123,2,3
include 'more/
part.dat'
ENDDATA
nothing behind
"""


def test_free_fields_marks_and_includes(tmp_path):
    (tmp_path / "more").mkdir()
    (tmp_path / "more" / "part.dat").write_text("CQUAD4  14      20      1       2\n+Q\n")
    (tmp_path / "a.nas").write_text(FREE)
    with pytest.raises(BadInput, match="CQUAD4 14 has 2 of its nodes"):
        read_mesh(tmp_path / "a.nas")
    (tmp_path / "more" / "part.dat").write_text("CQUAD4\t14\t20\t1\t2\t3\t4\n")
    mesh = read_mesh(tmp_path / "a.nas")
    points = [[0, 2, -0.15], [1, 2, 3], [10, 2.25, -0.35], [1.5e-3, 2, 0]]
    assert np.abs(mesh.points - points).max() < 1e-15
    assert {kind: rows.tolist() for kind, rows in mesh.cells.items()} == {
        "line": [[0, 3], [1, 3]], "triangle": [[0, 1, 2]], "quad": [[0, 1, 2, 3]],
    }  # fmt: skip
    assert {name: sorted(parts) for name, parts in mesh.regions.items()} == {
        "property 12": ["line"], "property 20": ["quad", "triangle"],
    }  # fmt: skip


def test_continuations_are_found_by_their_marks(tmp_path):
    """Sorted decks have them out of order; a large card may go on in a small one."""
    nodes = [(x, y, z) for z in (0, 1) for x, y in ((0, 0), (1, 0), (1, 1), (0, 1))]
    grid = "".join(f"GRID,{k},,{x}.,{y}.,{z}.\n" for k, (x, y, z) in enumerate(nodes, 1))
    text = (
        "+A1     7       8\n"
        "CHEXA   1       5       1       2       3       4       5       6       +A1\n"
    )
    (tmp_path / "a.fem").write_text(grid + "".join(reversed(text.splitlines(keepends=True))))
    whole = read_mesh(tmp_path / "a.fem").cells["hexahedron"].tolist()
    other = "GRID    9               9.      9.      9.\n"
    ahead = f"{text.splitlines()[1]}\n{other}{text.splitlines()[0]}\n"
    (tmp_path / "a.fem").write_text(grid + ahead)
    assert read_mesh(tmp_path / "a.fem").cells["hexahedron"].tolist() == whole
    large = "CHEXA*  1               5               1               2               *B1\n"
    large += "*B1     3               4               5               6\n+       7       8\n"
    (tmp_path / "a.fem").write_text(grid + large)
    assert read_mesh(tmp_path / "a.fem").cells["hexahedron"].tolist() == whole
    assert whole == [[*range(8)]]


GRID = "GRID,1,,0.,0.,0.\nGRID,2,,1.,0.,0.\nGRID,3,,0.,1.,0.\nCTRIA3,1,1,1,2,3\n"


@pytest.mark.parametrize("text, error, words", [
    ("GRID,4,9,0.,0.,0.\n", ForeignFile, "no coordinate system 9"),
    ("CORD2R,1,1,0.,0.,0.,0.,0.,1.\n,1.,0.,0.\nGRID,4,1,0.,0.,0.\n", ForeignFile, "said in itself"),
    ("CORD2R,1,,0.,0.,0.,0.,0.,1.\n,0.,0.,2.\nGRID,4,1\n", ForeignFile, "lie on a line"),
    ("GRID,1,,0.,0.,9.\n", ForeignFile, "GRID 1 stands twice"),
    ("GRID,1,,0.,0.,0.\nCTRIA3,2,1,1,2,7\n", ForeignFile, "number 7, which is absent"),
    ("GRID,x,,0.,0.,0.\n", ForeignFile, "'x', no whole number"),
    ("GRID,4,,0.,zero,0.\n", ForeignFile, "'zero', no number"),
    ("GRID,4,=,0.,0.,*(1.)\n", BadInput, "repeats fields"),
    ("CTRIA6,2,1,1,2,3,1\n", BadInput, "CTRIA6 2 has 4 of its nodes"),
    ("CTRAX3,2,1,1,2,3\n", BadInput, "has elements CTRAX3"),
    ("BEGIN SUPER=1\nGRID,7,,0.,0.,0.\n", BadInput, "'BEGIN SUPER=1'; write one model"),
    ("INCLUDE 'absent.bdf'\n", ForeignFile, "includes 'absent.bdf'"),
    ("INCLUDE '/etc/passwd'\n", ForeignFile, "leads out of its folder"),
])  # fmt: skip
def test_what_is_not_read_is_named(text, error, words, tmp_path):
    (tmp_path / "a.bdf").write_text(GRID + text)
    with pytest.raises(error, match=words):
        read_mesh(tmp_path / "a.bdf")


def test_a_dat_is_of_nastran_where_it_has_grid_points(tmp_path):
    (tmp_path / "a.dat").write_text("SOL 101\nCEND\nBEGIN BULK\n" + GRID)
    assert read_mesh(tmp_path / "a.dat").cells["triangle"].tolist() == [[0, 1, 2]]
