"""Every case that makes a model leaves it with --out: view, inspect and report serve it."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from rom.archive.models import load_model
from rom.cli.app import app
from rom.cli.case import load_functions

ROOT = Path(__file__).parents[1]
DATA = ROOT.parent / "shared" / "data"
SLOW = pytest.mark.slow
LAWS = {
    "viscoplastic_cube",
    "local_cube",
    "turbine_blade",
}  # whose models need a law
NEEDY = {"sphere_scattering", "nacelle"}  # cases whose models need functions of theirs


def case(name, *options, inside="", marks=()):
    return pytest.param(name, options, inside, marks=marks, id=f"{name}{inside}")


CASES = [
    case("thermal_block", "--cells", 8, "--rank", 6, "--fresh", 4),
    case("diffusion_bound", "--cells", 60, "--rank", 5, "--train", 140, "--fresh", 5),
    case("two_fields", "--runs", 9, "--fresh", 3, inside="/plate"),
    case("own_transient", "--designs", 1, "--unseen", 3, inside="/fisher", marks=SLOW),
    case("own_transient", "--designs", 1, "--unseen", 3, inside="/advection", marks=SLOW),
    case("frequency_response", "--runs", 8, "--frequencies", 32, "--positions", 4, "--unseen", 2,
         marks=SLOW),
    case("sphere_scattering", "--panels", 80, "--N", 6, "--fresh", 3, "--no-rival", marks=SLOW),
    case("nacelle", "--around", 8, "--along", 8, "--tol", 1e-4, "--operators", 24, "--fresh", 2,
         marks=SLOW),
    case("cooled_blade", "--size", 1200, "--train", 8, "--test", 2, marks=SLOW),
    case("advection_reaction", "--train", 10, "--test", 2, "--size", 12, marks=SLOW),
    case("tensile_plate", "--train", 12, "--test", 3, "--h", 0.12, "--modes", 4, marks=SLOW),
    case("blade_family", "--train", 8, "--test", 2, "--h", 0.009, "--modes", 3, marks=SLOW),
    case("airfoil_pressure", "--folds", 5, "--modes", 6, marks=SLOW),
    case("transonic_airfoil", "--draws", 0, marks=SLOW),
    case(
        "viscoplastic_cube", "--cells", 2, "--training", 3, "--held", 8, "--fields", 1,
        "--judges", 2, marks=SLOW,
    ),
    case("local_bases", "--names", "burgers", "--sets", 0, "--no-judge", inside="/burgers",
         marks=SLOW),
    case("local_cube", "--cells", 2, "--training", 6, "--unseen", 2, "--k", 2, "--modes", 3,
         "--points", 16, "--stress", 4, marks=SLOW),
    case(
        "turbine_blade", "--cells", "wedge", "--size", 1000, "--training", 3, "--held", 4,
        "--fields", 1, "--calibrate", 1000, marks=SLOW,
    ),
]  # fmt: skip


def served(*words):
    """A command that must succeed."""
    result = CliRunner().invoke(app, [str(word) for word in words])
    assert result.exit_code == 0, result.output + str(result.exception)
    return result.output


def functions_of(name):
    """The case that `rom` is given to read a model of the case `name`, or None."""
    if name in LAWS:
        return "solvers.laws"
    return f"cases.{name}" if name in NEEDY else None


def question(folder, model):
    """Options that ask the model of a folder: the middle of its box, and what else it asks."""
    asks = model.asks
    words = []
    if asks.box is not None:
        middle = asks.box.from_unit(np.full((1, asks.box.p), 0.5))[0]
        names = zip(asks.box.names, middle, strict=True)
        words += ["--mu", ",".join(f"{name}={float(value)!r}" for name, value in names)]
    elif asks.p:
        words += ["--mu", ",".join(["0.5"] * asks.p)]
    if asks.mesh:
        words += ["--mesh", folder / "unseen.vtu"]
    if asks.loading:
        words += ["--loading", folder / "loading.h5"]
    return words


@pytest.mark.parametrize(("name", "options", "inside"), CASES)
def test_a_case_ships_a_model_that_commands_serve(name, options, inside, tmp_path):
    if "airfoil" in name and not DATA.is_dir():
        pytest.skip("no data")
    demo = tmp_path / "demo"
    words = [sys.executable, "-m", f"cases.{name}", "--out", demo, *options, "--json"]
    end = subprocess.run(
        [str(word) for word in words],
        cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True, text=True,
        timeout=600, check=False,
    )  # fmt: skip
    assert end.returncode == 0, end.stderr
    folder = Path(f"{demo}{inside}")
    needed = functions_of(name)
    model, mesh, origin = load_model(folder / "model.h5", load_functions(needed))
    assert origin["case"] and origin["command"] and "rom-platform" in origin["package"]
    assert mesh is not None or model.asks.mesh or not model.tells
    own = () if needed is None else ("--case", needed)
    asked = question(folder, model)
    picture = folder / "answer.png"
    served("view", folder / "model.h5", *asked, *own, "--picture", picture)
    assert picture.read_bytes()[:4] == b"\x89PNG"
    assert origin["case"] in served("inspect", folder / "model.h5", *own)
    page = folder / "report.html"
    served("report", folder / "model.h5", *own, "--out", page)
    assert origin["package"] in page.read_text()
