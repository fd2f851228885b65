"""Answers in files: every field once, those at points of integration with their cells."""

import logging

import numpy as np
import pytest

from rom.basis import Basis
from rom.io import read_file, read_frames
from rom.io.answers import answer_grid, write_answer
from rom.io.tables import write_table
from rom.mesh import Mesh
from rom.model import Question
from rom.prediction import Part, Place, Prediction, Quantity
from rom.space import Field, Space, euclidean

POINTS = np.array([[0.0, 0], [1, 0], [2, 0], [0, 1], [1, 1], [2, 1]])
QUADS = Mesh(POINTS, {"quad": np.array([[0, 1, 4, 3], [1, 2, 5, 4]])})
SKINNED = Mesh(POINTS, {**QUADS.cells, "line": np.array([[0, 1], [1, 2]])})
N_T, Q = 3, 4  # times; points of integration in each cell
RNG = np.random.default_rng(0)
P, S = RNG.random((2 * Q, 1, N_T)), RNG.random((2 * Q * 6, 1, N_T))
U = RNG.random((6, 1, N_T))


def solid(mesh, times=N_T):
    """u at the nodes, p (g,) and stress (g, 6) at four points in each of two cells."""
    at = Place.INTEGRATION
    parts = {
        "u": Part(Quantity("u", "m"), U[..., :times]),
        "p": Part(Quantity("p", "1", place=at), P[..., :times], std=0.1 * P[..., :times]),
        "stress": Part(Quantity("stress", "MPa", 6, at), S[..., :times]),
    }
    question, t = Question(np.zeros((1, 0)), single=True), np.arange(1.0, 1 + times)
    return Prediction(question, parts, t=t, space=euclidean(6), mesh=mesh)


@pytest.mark.parametrize("suffix", ["vtkhdf", "xdmf"])
def test_each_cell_holds_its_points_of_integration(suffix, tmp_path):
    """Cell e holds the q points 4 e .. 4 e + 3, component after component."""
    path = write_answer(tmp_path / f"a.{suffix}", solid(QUADS))
    for k, frame in enumerate(read_frames(path)[1]):
        cells = frame.cells
        p, stress = cells["p at integration points"], cells["stress at integration points"]
        np.testing.assert_array_equal(p[0], P[:, 0, k].reshape(2, Q))
        np.testing.assert_array_equal(stress[0], S[:, 0, k].reshape(2, Q * 6))
        np.testing.assert_array_equal(stress[0][1][6:12], S[(Q + 1) * 6 : (Q + 2) * 6, 0, k])
        assert stress[1] == "MPa" and "p deviation at integration points" in cells


def test_one_state_holds_them_too(tmp_path):
    answer = solid(QUADS, times=1)
    _, points, cells = read_file(write_answer(tmp_path / "a.vtu", answer))
    np.testing.assert_array_equal(points["u"][0], U[:, 0, 0])
    np.testing.assert_array_equal(cells["p at integration points"][0], P[:, 0, 0].reshape(2, Q))
    assert answer_grid(answer).cell_data["p at integration points [1]"].shape == (2, Q)


def test_points_that_no_cells_hold_are_left_out_and_said(tmp_path, caplog):
    with caplog.at_level(logging.WARNING, "rom"):
        path = write_answer(tmp_path / "a.vtkhdf", solid(SKINNED))
    _, points, cells = read_file(path)
    assert "u" in points and not any("integration" in name for name in cells)
    for name in ("'p'", "'p deviation'", "'stress'"):
        assert f"{name} at integration points is left out" in caplog.text
    assert "8 points" in caplog.text and "2 quad cells and 2 line cells" in caplog.text


def read_numbers(path, kind):
    """The numbers of a table as Python reads them, (m, n)."""
    lines = path.read_text().splitlines()[1:]
    return np.array([[kind(text) for text in line.split(",")] for line in lines])


def test_a_table_gives_every_number_back_to_its_last_bit(tmp_path):
    bits = np.random.default_rng(4).integers(0, 2**64, 4000, dtype=np.uint64)
    ends = [0.0, -0.0, 1e-5, 5e-324, 1e16, 2.0**53 + 2, -1.7976931348623157e308, 1 / 3]
    bits[: len(ends)] = np.array(ends).view(np.uint64)  # of any exponent, NaN and Inf too
    rows = bits.view(float).reshape(-1, 8)
    again = read_numbers(write_table(tmp_path / "a.csv", list("abcdefgh"), rows), float)
    np.testing.assert_array_equal(again, rows)
    assert (np.signbit(again) == np.signbit(rows))[~np.isnan(rows)].all()
    z = rows[:40, ::2] + 1j * rows[:40, 1::2]
    z = z[np.isfinite(z).all(axis=1)]
    again = read_numbers(write_table(tmp_path / "z.csv", list("abcd"), z), complex)
    np.testing.assert_array_equal(again, z)
    whole = read_numbers(write_table(tmp_path / "i.csv", ["a"], np.arange(3)[:, None]), float)
    np.testing.assert_array_equal(whole[:, 0], [0.0, 1.0, 2.0])


@pytest.mark.parametrize("names", [("T", "p"), ()])
def test_an_npz_holds_each_value_once(names, tmp_path):
    rows = np.array_split(np.arange(6), max(1, len(names)))
    fields = tuple(Field(name, "K", own) for name, own in zip(names, rows, strict=False))
    space = Space(np.ones(6), np.arange(6), None, fields)
    basis = Basis(space, np.eye(6)[:, :2])
    a = np.ones((2, 4, 1))
    parts = {f.name: Part(Quantity(f.name, "K"), a, basis, f.rows) for f in fields}
    parts = parts or {"u": Part(Quantity("u", "1"), a, basis)}
    answer = Prediction(Question(np.zeros((4, 1))), parts, space=space)
    with np.load(write_answer(tmp_path / "a.npz", answer)) as arrays:
        columns = {key: values for key, values in arrays.items() if values.ndim == 2}
        np.testing.assert_array_equal(arrays["numbers"], np.arange(6))
        for field in fields:
            np.testing.assert_array_equal(arrays[f"rows of {field.name} [K]"], field.rows)
    assert set(columns) == ({f"{name} [K]" for name in names} or {"u"})
    assert sum(len(values) for values in columns.values()) == space.n
