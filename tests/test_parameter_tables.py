"""Tables of parameters as spreadsheets write them: right numbers, or a refusal by name."""

import numpy as np
import pytest

from rom.cli.case import parameters
from rom.cli.options import span_box
from rom.errors import BadInput
from rom.parameters import Box

BOX = Box(("k", "q"), np.array([1.0, 0.0]), np.array([10.0, 5.0]), ("MPa", "N/m"))


@pytest.mark.parametrize(
    ("text", "rows"),
    [
        ("k,q\n2,1\n", [[2, 1]]),
        ("\ufeffk,q\n2,1\n", [[2, 1]]),
        ("q;k\n1,5;2,25\n", [[2.25, 1.5]]),
        ("k\tq\r\n2\t1,5\r\n", [[2, 1.5]]),
        ("k,q\r\n\r\n2,1\r\n,\r\n3,1\r\n", [[2, 1], [3, 1]]),
        (' k [MPa] , "q [N/m]" \n2, 1\n', [[2, 1]]),
        ("k [kPa],q\n2000,1\n", [[2, 1]]),
        ("k,remark,q\n2,first,1\n", [[2, 1]]),
    ],
)
def test_a_table_gives_its_numbers(text, rows, tmp_path):
    (tmp_path / "t.csv").write_bytes(text.encode())
    np.testing.assert_allclose(parameters((), tmp_path / "t.csv", BOX), rows, rtol=1e-15)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("k [kN],q\n2,1\n", r"k is in \[kN\] and is wanted in \[MPa\]"),
        ("k,q,k\n2,1,9\n", "'k' heads 2 columns"),
        ("k,q\n2,\n", r"row 2: q is empty"),
        ("k,q\n2,1\nx,1\n", "row 3: k = 'x' is no number"),
        ("k\n2\n", "no column q; the parameters are k, q, the columns k"),
        ("k,q\n2,1,5\n", "row 2: 3 entries under 2 names"),
        ("2,1\n3,1\n", "no column k, q"),
        ("", "is no table"),
        ("k,q\n", "no parameters"),
    ],
)
def test_a_table_that_cannot_be_meant_is_refused(text, message, tmp_path):
    (tmp_path / "t.csv").write_bytes(text.encode())
    with pytest.raises(BadInput, match=message):
        parameters((), tmp_path / "t.csv", BOX)


def test_text_that_is_not_utf8_is_no_table(tmp_path):
    (tmp_path / "t.csv").write_bytes("k,ü\n2,1\n".encode("latin-1"))
    with pytest.raises(BadInput, match="is no table"):
        parameters((), tmp_path / "t.csv", BOX)


def test_a_parameter_is_said_once():
    with pytest.raises(BadInput, match="k stands twice"):
        parameters(["k=2,q=1,k=9"], None, BOX)


def test_the_box_of_a_table_has_its_names_and_units(tmp_path):
    path = tmp_path / "t.csv"
    path.write_bytes("\ufeffa [m];b\n1,5;1\n2;3\n".encode())
    mus = parameters((), path, None)
    box = span_box(path, mus)
    assert box.names == ("a", "b") and box.units == ("m", "1")
    np.testing.assert_array_equal(box.lower, [1.5, 1.0])
