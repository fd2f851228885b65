"""CalculiX and OpenFOAM as solvers, from Debian's packages."""

import re
import shutil
from pathlib import Path

import pytest

from tests.bindings import lay_out, study_numbers
from tests.command_line import run_rom

pytestmark = pytest.mark.cluster


def skip_without(program):
    if shutil.which(program) is None:
        pytest.skip(f"{program} is not installed")


@pytest.mark.parametrize("program", ["ccx", "icoFoam"])
def test_a_surrogate_of_eight_runs_is_within_half_a_percent(program, tmp_path):
    skip_without(program)
    numbers = study_numbers(program, tmp_path)
    errors = [value for key, value in numbers.items() if key.startswith("max_rel_error ")]
    assert max(errors) < 0.005


def test_what_calculix_says_of_a_wrong_material_is_told(tmp_path):
    skip_without("ccx")
    lay_out("ccx", tmp_path)
    (tmp_path / "mu.csv").write_text("E,nu\n2e5,0.3\n2e5,0.6\n")
    case = tmp_path / "own.py"
    case.write_text(case.read_text().replace("0.35", "0.65"))
    said = run_rom(tmp_path, "collect", "own.py", "--csv", "mu.csv", code=3)
    flat = " ".join(said.split())
    assert "reading *ELASTIC: Poisson coefficient should be less than 0.5" in flat
    kept = Path(re.search(r"its folder is kept: (.*?)[.;]?$", said, re.MULTILINE)[1])
    assert "{{" not in (tmp_path / kept / "plate.inp").read_text()
    assert "Poisson" in (tmp_path / kept / "program.log").read_text()
