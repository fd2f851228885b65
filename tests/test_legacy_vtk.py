"""Legacy files of VTK."""

import pytest

from rom.errors import ForeignFile
from rom.io import read_mesh


@pytest.mark.parametrize(
    "line", ["# vtk DataFile Version 7.0", "# VTK", "# vtk DataFile Version x"]
)
def test_a_legacy_file_says_its_version(line, tmp_path):
    path = tmp_path / "a.vtk"
    body = (
        "\na\nASCII\nDATASET POLYDATA\nPOINTS 3 float\n0 0 0 1 0 0 0 1 0\nPOLYGONS 1 4\n3 0 1 2\n"
    )
    path.write_text("# vtk DataFile Version 2.0" + body)
    assert len(read_mesh(path).cells["triangle"]) == 1
    path.write_text(line + body)
    with pytest.raises(ForeignFile, match="does not begin with '# vtk DataFile Version"):
        read_mesh(path)
