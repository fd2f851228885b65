"""Programs as solvers: decks with parameters in them, their own words, answers by suffix."""

import sys
from pathlib import Path

import meshio
import numpy as np
import pytest

from rom import Box, Mesh
from rom.campaign import collect, fields_in, program, read
from rom.campaign.decks import read_templates, write_number
from rom.errors import BadInput, SolveFailed
from tests.command_line import run_rom

BOX = Box(("E", "nu"), np.array([1.0, 0.1]), np.array([1e9, 0.4]))
ECHO = """
import json, sys, numpy as np
entries = json.load(open("sub/in.json"))
print("banner")
if entries["E"] > 9e8:
    print(" *ERROR reading: modulus\\n   too large\\n card 7")
np.save("u.npy", np.array([entries["E"], entries["nu"]]))
"""


@pytest.fixture
def deck(tmp_path):
    folder = tmp_path / "deck"
    (folder / "sub").mkdir(parents=True)
    (folder / "sub" / "in.json").write_text('{"E": {{E:.6e}}, "nu": {{ nu }}}')
    (folder / "run.py").write_text(ECHO)
    (folder / "mesh.bin").write_bytes(bytes(range(256)))
    return folder


def solver(deck, **options):
    return program([sys.executable, "run.py"], "u.npy", 30.0, deck=deck, box=BOX, **options)


def test_numbers_stand_where_the_names_stood(deck):
    np.testing.assert_array_equal(solver(deck)([1234567.891, 0.3]), [1.234568e6, 0.3])


@pytest.mark.parametrize("value", [0.1, -1.2345678901234567e-100, 1e300, 5.0, -0.1234567890123456])
def test_a_number_has_as_many_digits_as_fit(value):
    text = write_number(value)
    assert len(text) <= 20 and abs(float(text) / value - 1) < 1e-12
    assert len(repr(value)) > 20 or float(text) == value


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{{E}} {{mu}}", r"in.json, line 1: \{\{mu\}\} is no parameter; known: E, nu"),
        ("\n{{E:s}} {{nu}}", r"line 2: .*makes no number"),
        ("{{E}}", r"never gets nu; write \{\{nu\}\} in its deck, \{nu\} on its command line"),
    ],
)
def test_names_that_do_not_fit_are_told_before_the_first_run(deck, text, message):
    (deck / "sub" / "in.json").write_text(text)
    with pytest.raises(BadInput, match=message):
        solver(deck)


def test_a_parameter_may_stand_on_the_command_line(deck):
    (deck / "sub" / "in.json").write_text('{"E": {{E}}, "nu": 0.0}')
    program([sys.executable, "run.py", "--nu={nu}"], "u.npy", deck=deck, box=BOX)
    with pytest.raises(BadInput, match=r"--nu=\{mu\} on the command line is no parameter"):
        program([sys.executable, "run.py", "--nu={mu}"], "u.npy", deck=deck, box=BOX)


@pytest.mark.parametrize("options", [{"deck": "no/such"}, {"deck": "x", "box": None}])
def test_decks_that_are_not_there_are_refused(options):
    with pytest.raises(BadInput, match=r"no deck no/such|give box="):
        program(["true"], "u.npy", **{"box": BOX, **options})


def test_an_answer_without_a_reader_is_refused_before_the_first_run():
    with pytest.raises(BadInput, match=r"nothing says what of a\.frd is the answer"):
        program(["true"], "a.frd")


def test_a_failure_is_told_in_the_program_s_own_words_and_its_folder_kept(deck, tmp_path):
    solve = solver(deck, failure=r"\*ERROR")
    mus = np.array([[1e3, 0.3], [9.5e8, 0.2]])
    seen = collect(solve, mus, tmp_path / "s", box=BOX)
    ((mu, reason),) = seen.failed
    assert seen.solved == 1 and mu == (9.5e8, 0.2)
    assert "*ERROR reading: modulus too large card 7" in reason
    kept = Path(reason.split("its folder is kept: ")[1])
    assert kept.parent == tmp_path / "s" / "failed"
    assert (kept / "program.log").read_text().startswith("banner")
    assert (kept / "sub" / "in.json").read_text() == '{"E": 9.500000e+08, "nu": 0.2}'
    np.testing.assert_array_equal(read(tmp_path / "s").u[:, 0], [1e3, 0.3])


def test_runs_that_succeed_leave_no_folder(deck, tmp_path):
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    solve = program([sys.executable, "run.py"], "u.npy", 30.0, str(scratch), deck=deck, box=BOX)
    solve(np.array([1.0, 0.2]))
    assert list(scratch.iterdir()) == []


WRITE = """
import meshio, numpy as np
points = np.array({points})
meshio.write("u.vtu", meshio.Mesh(points, [("triangle", [[0, 1, 2]])],
             point_data={{"T": {{{{k}}}} * points[:, 0], "U": points[:, :2]}}))
"""
POINTS = [[0.0, 0, 0], [2, 0, 0], [0, 1, 0]]
K = Box(("k",), np.array([1.0]), np.array([2.0]))


def written(tmp_path, points=POINTS, **options):
    (tmp_path / "run.py").write_text(WRITE.format(points=points))
    return program(
        [sys.executable, "run.py"],
        "u.vtu",
        60.0,
        deck=tmp_path / "run.py",
        box=K,
        read=fields_in("T", "U", **options),
    )


def test_fields_of_a_result_file_are_stacked_node_by_node(tmp_path):
    u = written(tmp_path)(np.array([1.5]))
    np.testing.assert_array_equal(u, [0, 3, 0, 0, 0, 2, 0, 0, 1])


def test_nodes_in_another_order_are_refused(tmp_path):
    mesh = Mesh(np.array(POINTS), {"triangle": np.array([[0, 1, 2]])})
    written(tmp_path, mesh=mesh)(np.array([1.0]))
    with pytest.raises(SolveFailed, match=r"node 1 of u.vtu is at .* order or unit is another"):
        written(tmp_path, [POINTS[0], POINTS[2], POINTS[1]], mesh=mesh)(np.array([1.0]))


def test_a_field_that_is_not_there_is_named_with_those_that_are(tmp_path):
    (tmp_path / "a").mkdir()
    path = tmp_path / "a" / "u.vtu"
    meshio.write(path, meshio.Mesh(np.array(POINTS), [("triangle", [[0, 1, 2]])]))
    with pytest.raises(SolveFailed, match=r"u.vtu: no field 'T' at t = .*; it holds: none"):
        fields_in("T")(path)


def test_an_edited_deck_is_another_solver(deck, tmp_path):
    (tmp_path / "own.py").write_text(
        "import sys\nimport rom\nfrom rom.campaign import program\n"
        "box = rom.Box(('E', 'nu'), [1.0, 0.1], [1e3, 0.4])\n"
        "solve = program([sys.executable, 'run.py'], 'u.npy', deck='deck', box=box)\n"
    )
    run_rom(tmp_path, "collect", "own.py", "--n", "2")
    (deck / "run.py").write_text(ECHO.replace("banner", "flag"))
    said = run_rom(tmp_path, "collect", "own.py", "--n", "2", code=2)
    assert "run.py" in said


def test_a_deck_of_text_in_another_code_is_refused(tmp_path):
    (tmp_path / "d.inp").write_bytes("größe {{k}}".encode("latin1"))
    with pytest.raises(BadInput, match=r"d\.inp holds \{\{ and is no text in UTF-8"):
        read_templates(tmp_path / "d.inp", ("k",))
