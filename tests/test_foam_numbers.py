"""OpenFOAM's numbers come in double precision, however they are written."""

import gzip

import numpy as np
import pytest

from rom.io import read_frames
from tests.test_blocks import foam

T = np.array([101325.123456789, 101325.123556789])  # one number in single precision
FORMS = {
    "text": ("", "\n2\n(\n101325.123456789\n101325.123556789\n)\n;"),
    "a line": ("", " 2(101325.123456789 101325.123556789);"),
    "bytes": ('format binary; arch "LSB;label=32;scalar=64";', T.tobytes()),
    "packed": ("", "\n2\n(\n101325.123456789\n101325.123556789\n)\n;"),
}


def put_field(folder, kind, name, values, head=""):
    """A field at time 2; values as text, or as the bytes of a list."""
    text = f"FoamFile\n{{\n version 2.0;\n {head or 'format ascii;'}\n class vol{kind}Field;\n"
    text += f" object {name};\n}}\ndimensions [0 0 0 1 0 0 0];\ninternalField "
    end = "\nboundaryField\n{\n}\n"
    lower = kind[0].lower() + kind[1:]
    if isinstance(values, bytes):
        data = f"{text}nonuniform List<{lower}> \n2\n(".encode() + values + f")\n;{end}".encode()
    elif values.startswith("uniform"):
        data = f"{text}{values}{end}".encode()
    else:
        data = f"{text}nonuniform List<{lower}>{values}{end}".encode()
    (folder / "2" / name).write_bytes(data)


@pytest.mark.parametrize("form", FORMS)
def test_fields_keep_all_digits(form, tmp_path):
    case = foam(tmp_path)
    put_field(tmp_path, "Scalar", "p", FORMS[form][1], FORMS[form][0])
    if form == "packed":
        file = tmp_path / "2" / "p"
        (tmp_path / "2" / "p.gz").write_bytes(gzip.compress(file.read_bytes()))
        file.unlink()
    last = list(read_frames(case)[1])[-1]
    assert last.cells["p"][0].tolist() == T.tolist()
    assert last.cells["T"][0].tolist() == [320, 420]


def test_vectors_tensors_and_uniform_fields_stand_as_vtk_has_them(tmp_path):
    case = foam(tmp_path)
    put_field(tmp_path, "Vector", "U", "uniform (0.1 0.2 1e-9);")
    put_field(tmp_path, "SymmTensor", "R", " 2((1.1 2 3 4 5 6) (7 8 9 10 11 12.1));")
    last = list(read_frames(case)[1])[-1]
    assert last.cells["U"][0].tolist() == [[0.1, 0.2, 1e-9]] * 2
    # xx yy zz xy yz xz of xx xy xz yy yz zz
    assert last.cells["R"][0].tolist() == [[1.1, 4, 6, 2, 5, 3], [7, 10, 12.1, 8, 11, 9]]


def test_points_keep_all_digits(tmp_path):
    case = foam(tmp_path)
    file = tmp_path / "constant" / "polyMesh" / "points"
    file.write_text(file.read_text().replace("(2 ", "(2.000000001 "))
    mesh, _ = read_frames(case)
    assert sorted(set(mesh.points[:, 0].tolist())) == [0, 1, 2.000000001]
