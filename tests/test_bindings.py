"""Cases of the page about other codes, where the package is at hand."""

import ast
import json
import subprocess
import sys

import pytest

from tests.bindings import PAGE, block, lay_out, study_numbers
from tests.command_line import run_rom


@pytest.mark.parametrize("package", ["skfem", "ngsolve", "KratosMultiphysics"])
def test_a_page_is_a_whole_case(package, tmp_path):
    pytest.importorskip(package)
    assert study_numbers(package, tmp_path)["max_rel_error"] < 0.02


def test_programs_take_at_most_eight_lines():
    for word in ("ccx", "icoFoam"):
        assert len(ast.parse(block(word)).body) <= 8
    for word in ("fmpy", "dolfinx", "KratosMultiphysics"):
        compile(block(word), str(PAGE), "exec")


def test_kratos_own_reduced_model_is_beside_ours(tmp_path):
    """Same runs, same tolerance: within ten times of each other, far below the trivial rows."""
    pytest.importorskip("KratosMultiphysics.RomApplication")
    lay_out("KratosMultiphysics", tmp_path)
    run_rom(tmp_path, "collect", "own.py", "--n", 16, seconds=300)
    run_rom(tmp_path, "reduce", "own.py", seconds=300)
    done = subprocess.run(
        [sys.executable, "galerkin.py", "own.rom.h5", "own.store"],
        cwd=tmp_path, capture_output=True, text=True, timeout=300, check=True,
    )  # fmt: skip
    lines = [line for line in done.stdout.splitlines() if line.startswith("[{")]
    rows = {row["name"].split(",")[0]: row for row in json.loads(lines[-1])}
    theirs, ours = (rows[name]["max_error"] for name in ("Kratos", "ours"))
    assert rows["full solve"]["max_error"] == 0 and max(theirs, ours) < 1e-3
    assert max(theirs, ours) < 10 * min(theirs, ours) < rows["nearest run"]["max_error"]
