"""Exodus, array by array as the format says, and CalculiX's .frd, written by CalculiX."""

import shutil
import subprocess

import numpy as np
import pytest
from scipy.io import netcdf_file

from rom.errors import BadInput, ForeignFile, MissingExtra
from rom.io import ingest_files, read_file, read_frames
from rom.io.exodus_cells import SIDES, side_nodes
from rom.io.grid import to_grid
from tests.test_export import one_cell

CUBE = np.array([[x, y, z] for z in (0, 1) for x, y in ((0, 0), (1, 0), (1, 1), (0, 1))], float)


def exodus(path, times=(0.5,), kinds=("HEX8", "HEX8")):
    """Two hexahedra that share no node, sides, nodes, and a variable on the second block alone."""
    with netcdf_file(str(path), "w", version=2) as file:
        for name, size in (("time_step", None), ("len_name", 33), ("num_dim", 3), ("num_nodes", 16),
            ("num_el_blk", 2), ("k", 1), ("n", 8), ("num_nod_var", 3), ("num_elem_var", 2),
            ("num_side_sets", 1), ("num_node_sets", 1), ("two", 2)):  # fmt: skip
            file.createDimension(name, size)

        def put(key, kind, dims, values, **attributes):
            variable = file.createVariable(key, kind, dims)
            variable[:] = values
            for attribute, value in attributes.items():
                setattr(variable, attribute, value)

        def names(*texts):
            return np.array([list(text.ljust(33, "\0")) for text in texts], "S1")

        points = np.vstack([CUBE, CUBE + np.array([0, 0, 5])])
        for axis, x in zip("xyz", points.T, strict=True):
            put(f"coord{axis}", "d", ("num_nodes",), x)
        put("eb_prop1", "i", ("num_el_blk",), [10, 20], name="ID")
        put("eb_names", "c", ("num_el_blk", "len_name"), names("low", ""))
        for b in (1, 2):
            nodes = [np.arange(8) + 8 * b - 7]
            put(f"connect{b}", "i", ("k", "n"), nodes, elem_type=kinds[b - 1])
            put(f"vals_elem_var1eb{b}", "d", ("time_step", "k"), [[5.0 * b + t] for t in times])
        put("vals_elem_var2eb2", "d", ("time_step", "k"), [[9.0] for _ in times])
        put("ss_prop1", "i", ("num_side_sets",), [9], name="ID")
        put("elem_ss1", "i", ("two",), [1, 2])
        put("side_ss1", "i", ("two",), [6, 2])
        put("ns_prop1", "i", ("num_node_sets",), [4], name="ID")
        put("ns_names", "c", ("num_node_sets", "len_name"), names("held"))
        put("node_ns1", "i", ("two",), [1, 16])
        disp = names("disp_x", "disp_y", "disp_z")
        put("name_nod_var", "c", ("num_nod_var", "len_name"), disp)
        put("name_elem_var", "c", ("num_elem_var", "len_name"), names("vm", "only"))
        put("time_whole", "d", ("time_step",), list(times))
        for i in (1, 2, 3):
            rows = [np.full(16, i + t) for t in times]
            put(f"vals_nod_var{i}", "d", ("time_step", "num_nodes"), rows)


@pytest.mark.parametrize("kind", ["NETCDF3_64BIT_DATA", "NETCDF4", "NETCDF4_CLASSIC"])
def test_exodus_of_every_kind_of_netcdf_says_the_same(kind, tmp_path):
    """A file of the classic kind, copied by netCDF4, the library of the format."""
    netcdf = pytest.importorskip("netCDF4")
    exodus(tmp_path / "a.e", times=(0.5, 2.0))
    with (
        netcdf.Dataset(tmp_path / "a.e") as source,
        netcdf.Dataset(tmp_path / "b.e", "w", format=kind) as copy,
    ):
        source.set_auto_chartostring(False)
        copy.set_auto_chartostring(False)
        for name, size in source.dimensions.items():
            copy.createDimension(name, None if size.isunlimited() else len(size))
        for name, variable in source.variables.items():
            copy.createVariable(name, variable.dtype, variable.dimensions)
            copy[name].setncatts(variable.__dict__)
            copy[name][:] = variable[:]
    (mesh, frames), (other, others) = (read_frames(tmp_path / name) for name in ("a.e", "b.e"))
    assert mesh.digest == other.digest and mesh.nodes.keys() == other.nodes.keys()
    for one, two in zip(frames, others, strict=True):
        assert one.t == two.t
        for mine, theirs in ((one.points, two.points), (one.cells, two.cells)):
            assert mine.keys() == theirs.keys() and len(mine) > 0
            for name in mine:
                assert np.array_equal(mine[name][0], theirs[name][0], equal_nan=True)


def test_exodus_keeps_coordinates_sets_and_the_variables_of_every_block(tmp_path):
    exodus(tmp_path / "a.e", (0.5, 2.0))
    mesh, frames = read_frames(tmp_path / "a.e")
    states = list(frames)
    assert np.array_equal(mesh.points, np.vstack([CUBE, CUBE + np.array([0, 0, 5])]))
    assert {name: rows.tolist() for name, rows in mesh.nodes.items()} == {
        "held": [0, 15], "side set 9": [4, 5, 6, 7, 9, 10, 13, 14],
    }  # fmt: skip
    assert mesh.regions["low"]["hexahedron"].tolist() == [0]
    assert mesh.regions["block 20"]["hexahedron"].tolist() == [1]
    assert [state.t for state in states] == [0.5, 2]
    assert states[1].cells["vm"][0].tolist() == [7, 12]
    assert states[1].points["disp_"][0][3].tolist() == [3, 4, 5]
    only = states[0].cells["only"][0]
    assert np.isnan(only[0]) and only[1] == 9
    result = ingest_files([tmp_path / "a.e"], {"vm": "Pa"}, written={"vm": "Pa"})
    assert result.t.tolist() == [0.5, 2] and result.fields["vm"][0, 0].tolist() == [5.5, 7]


def test_exodus_names_what_it_does_not_know(tmp_path):
    exodus(tmp_path / "a.g", kinds=("HEX8", "NSIDED"))
    with pytest.raises(BadInput, match="'NSIDED' of any number of nodes"):
        read_file(tmp_path / "a.g")
    (tmp_path / "a.exo").write_bytes(b"CDF\x05" + bytes(40))
    with pytest.raises((ForeignFile, MissingExtra), match=r"coordinates|exodus"):
        read_file(tmp_path / "a.exo")


@pytest.mark.parametrize("kind", ["hexahedron20", "tetra10", "wedge15", "pyramid13", "hexahedron"])
def test_sides_are_all_faces_of_a_cell_once(kind):
    """Their corners lie in planes of the skin, and each of VTK's faces is one of them."""
    cell = one_cell(kind)
    parent = kind.rstrip("0123456789")
    ours = {frozenset(side_nodes(kind, kind, k, 3)) for k in range(1, len(SIDES[parent]) + 1)}
    shape = to_grid(cell).GetCell(0)
    theirs = set()
    for k in range(shape.GetNumberOfFaces()):
        face = shape.GetFace(k)
        theirs.add(frozenset(face.GetPointId(j) for j in range(face.GetNumberOfPoints())))
    assert ours == theirs


DECK = """*NODE
{nodes}*ELEMENT,TYPE={type},ELSET=E
{elements}*MATERIAL,NAME=M
*ELASTIC
100.,0.0
*SOLID SECTION,ELSET=E,MATERIAL=M
*BOUNDARY
{low}{steps}"""
STEP = """*STEP
*STATIC
1.,1.
*BOUNDARY
{high}*NODE FILE
U
*EL FILE
S
*END STEP
"""


@pytest.mark.skipif(shutil.which("ccx") is None, reason="needs CalculiX")
@pytest.mark.parametrize("name, kind", [("C3D8", "hexahedron"), ("C3D20", "hexahedron20"),
    ("C3D4", "tetra"), ("C3D10", "tetra10"), ("C3D6", "wedge"), ("C3D15", "wedge15")])  # fmt: skip
@pytest.mark.parametrize("form", ["text", "bytes"])
def test_calculix_is_read_as_it_strains_a_bar(form, name, kind, tmp_path):
    """u_x = 0.01 x t, stress E * 0.01 t, middle nodes where they are, numbers from 11 on."""
    cell = one_cell(kind)
    numbers = 11 + np.arange(len(cell.points))[::-1]
    rows = list(zip(numbers.tolist(), cell.points.tolist(), strict=True))
    row = [21 + 100, *numbers.tolist()]
    elements = ",\n".join(", ".join(map(str, row[k : k + 10])) for k in range(0, len(row), 10))
    (tmp_path / "a.inp").write_text(
        DECK.format(
            nodes="".join(f"{n}, {x}, {y}, {z}\n" for n, (x, y, z) in rows),
            type=name,
            elements=elements + "\n",
            low="".join(f"{n},2,3\n" for n, _ in rows),
            steps="".join(
                STEP.format(high="".join(f"{n},1,1,{0.01 * t * x[0]}\n" for n, x in rows))
                for t in (1, 2)
            ),
        )
    )
    if form == "bytes":
        deck = (tmp_path / "a.inp").read_text().replace("NODE FILE", "NODE OUTPUT")
        (tmp_path / "a.inp").write_text(deck.replace("EL FILE", "ELEMENT OUTPUT"))
    subprocess.run(["ccx", "a"], cwd=tmp_path, check=True, capture_output=True)
    mesh, frames = read_frames(tmp_path / "a.frd")
    states = list(frames)
    assert [state.t for state in states] == [1.0, 2.0] and list(mesh.cells) == [kind]
    ours = mesh.points[mesh.cells[kind][0]]
    assert np.allclose(ours, cell.points, atol=1e-5)  # six digits in the file
    for state in states:
        u, stress = state.points["DISP"][0], state.points["STRESS"][0]
        exact = np.column_stack([0.01 * state.t * mesh.points[:, 0], np.zeros((len(u), 2))])
        assert np.abs(u - exact).max() < 1e-7
        assert np.abs(stress[:, 0] - state.t).max() < 1e-3 and stress.shape[1] == 6
    whole = (tmp_path / "a.frd").read_bytes()
    (tmp_path / "a.frd").write_bytes(whole[: int(0.7 * len(whole))])
    with pytest.raises(ForeignFile, match="cut short"):
        read_file(tmp_path / "a.frd")


FRD = """    1C
    2C                             2                                     1
 -1         7 0.00000E+00 0.00000E+00 0.00000E+00
 -1         3-1.00000E+00 2.00000E+00 0.00000E+00
 -3
    3C                             1                                     1
 -1         1   11    0    1
 -2         7         3
 -3
  100CL  1010.25000E+01           1                     0    1           1
 -4  NT          1    1
 -5  T           1    1    0    0
 -1         3-1.00000-101
 -3
 9999
"""


def test_numbers_of_fixed_width_need_no_blanks_between_them(tmp_path):
    (tmp_path / "a.frd").write_text(FRD)
    mesh, frames = read_frames(tmp_path / "a.frd")
    frame = next(frames)
    assert mesh.points.tolist() == [[0, 0], [-1, 2]] and mesh.cells["line"].tolist() == [[0, 1]]
    assert frame.t == 2.5 and frame.points["NT"][0][1] == -1e-101
    assert frame.known["points:NT"].tolist() == [False, True]


def test_values_at_nodes_without_a_place_are_left_out(tmp_path):
    """As CalculiX writes them of a network, whose nodes are no part of the mesh."""
    line = " -1         9 4.00000E+00\n"
    (tmp_path / "a.frd").write_text(FRD.replace(" -1         3-1.00000-101\n",
        line + " -1         3 5.00000E+00\n").replace("NT      ", "OR1 _Rx "))  # fmt: skip
    frame = next(read_frames(tmp_path / "a.frd")[1])
    assert frame.points["OR1 _Rx"][0].tolist()[1] == 5 and len(frame.points["OR1 _Rx"][0]) == 2
    (tmp_path / "a.frd").write_text(FRD.replace(" -1         3-1.00000-101\n", line))
    with pytest.raises(ForeignFile, match="at no node"):
        read_frames(tmp_path / "a.frd")
