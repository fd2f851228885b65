"""One command and one job for every kind of model: the same models as the functions make."""

import json
import re
import sys
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from rom.archive.models import load_model
from rom.archive.nouns import load
from rom.campaign import read
from rom.certified import galerkin_model
from rom.cli.app import app
from rom.cli.train import COMMANDS
from rom.design.designs import sobol
from rom.local import fit_classifier, local_bases
from tests.test_shapes import plates, written

ROOT = Path(__file__).parents[1]
BLOCK = "cases.thermal_block"
TIMES = """
import numpy as np
from rom.parameters import Box
from rom.problem import Problem
t = np.linspace(0.0, 1.0, 6)
def problem():
    box = Box(("a",), np.array([1.0]), np.array([2.0]), ("m",))
    solve = lambda mu: np.outer(np.arange(1.0, 9.0), np.exp(-mu[0] * t))
    return Problem(solve=solve, box=box, times=t)
"""


def rom(*words, code=0):
    answer = CliRunner().invoke(app, [str(word) for word in words])
    text = answer.output + (answer.stderr if answer.stderr_bytes else "")
    assert answer.exit_code == code, (text, answer.exception)
    return " ".join(text.split())


@pytest.fixture
def site(tmp_path, monkeypatch):
    """A profile of this machine; the test runs in its folder."""
    monkeypatch.chdir(tmp_path)
    command = f"{sys.executable} -c 'from rom.cli.app import app; app()'"
    (tmp_path / "site.toml").write_text(
        f'scheduler = "local"\nchunk = 50\nrom = {json.dumps(command)}\n'
        f"[environment]\nPYTHONPATH = {json.dumps(str(ROOT))}\n"
    )
    return tmp_path / "site.toml"


@pytest.fixture(scope="module")
def block(tmp_path_factory):
    """A store of the thermal block, 24 runs."""
    store = tmp_path_factory.mktemp("block") / "store"
    rom("collect", BLOCK, "--set", "cells=8", "--n", 24, "--out", store)
    return store


def test_train_is_reduce_for_runs_of_a_solver(block, tmp_path):
    shared = [BLOCK, "--set", "cells=8", "--store", block, "--tol", "1e-3"]
    rom("train", *shared, "--out", tmp_path / "train.h5")
    rom("reduce", *shared, "--out", tmp_path / "reduce.h5")
    rom("train", "--kind", "projection", *shared, "--out", tmp_path / "kind.h5")
    models = [load_model(tmp_path / f"{name}.h5")[0] for name in ("train", "reduce", "kind")]
    for model in models:
        np.testing.assert_array_equal(model.basis.modes, models[0].basis.modes)
        assert type(model) is type(models[0])
    shared += ["--regressor", "linear"]
    rom("train", *shared, "--kind", "regression", "--out", tmp_path / "gp.h5")
    rom("reduce", *shared, "--regress", "--out", tmp_path / "regress.h5")
    one, other = (load_model(tmp_path / f"{name}.h5")[0] for name in ("gp", "regress"))
    assert type(one) is type(other) is not type(models[0])
    mu = np.array([[0.3, 0.4, 0.5, 0.6]])
    np.testing.assert_array_equal(one.predict(mu).coefficients, other.predict(mu).coefficients)


def test_local_bases_are_those_of_the_function(block, tmp_path):
    from cases.thermal_block import problem

    words = [BLOCK, "--set", "cells=8", "--store", block, "--local", 2, "--rank", 3]
    told = rom("train", *words, "--kind", "local", "--out", tmp_path / "local.h5", "--json")
    assert "2 local bases of 3 modes, of 2 at most, mean error of one basis over theirs" in told
    model = load_model(tmp_path / "local.h5")[0]
    whole = problem(cells=8)
    bases = local_bases(read(block, whole.space), (1, 2), 3, classifier=fit_classifier)
    np.testing.assert_array_equal(model.bases.labels, bases.labels)
    for mu in sobol(whole.box, 4, rng=3):
        k = bases.classifier.choose(mu)[0]
        answer = galerkin_model(whole, bases.basis(k)).predict(mu)
        lifted = model.basis.lift(model.predict(mu).coefficients)
        error = whole.space.norm(whole.solve(mu) - np.ravel(lifted))
        bound = model.predict(mu).bound
        assert error <= np.max(bound) * (1 + 1e-9)
        if bases.classifier(mu).max() > 0.8:
            np.testing.assert_allclose(bound, answer.bound, rtol=1e-9)


def test_shapes_are_trained_by_the_one_command_and_in_a_job(site):
    folder = written(site.parent / "plates", plates(8, 0))
    options = ["--curves", "side0,side1,side2,side3", "--outputs", "work", "--modes", 3]
    rom("train", folder, "--kind", "shapes", *options, "--out", "one.h5")
    rom("shapes", "train", folder, *options, "--out", "other.h5")
    text = " ".join(map(str, options))
    words = ["submit", "train", "plates", "--kind", "shapes", "--train", text, "--profile", site]
    rom(*words, "--out", "run")
    models = [load(name)["model"] for name in ("one.h5", "other.h5", "run/model.h5")]
    mesh = plates(1, 1)[0].mesh
    answers = [model.predict([1.5], mesh=mesh).field("u") for model in models]
    np.testing.assert_array_equal(answers[0], answers[1])
    np.testing.assert_array_equal(answers[0], answers[2])
    assert json.loads(rom("status", "run", "--json"))["stages"] == {"train": "done"}


def test_a_solid_is_trained_in_a_job(site):
    words = ["--kind", "solid", "--set", "cells=2"]
    rom("submit", "train", "cases.viscoplastic_cube", *words, "--profile", site, "--out", "run")
    rom("train", "cases.viscoplastic_cube", *words, "--out", "one.h5")
    from rom.cli.case import load_functions

    functions = load_functions("cases.viscoplastic_cube") | load_functions("solvers.laws")
    one, other = (load_model(path, functions)[0] for path in ("one.h5", "run/model.h5"))
    np.testing.assert_array_equal(one.basis.modes, other.basis.modes)
    np.testing.assert_array_equal(one.model.weights, other.model.weights)


def test_trajectories_are_a_campaign_with_every_stage(site):
    (site.parent / "times.py").write_text(TIMES)
    words = ["submit", "all", "times.py", "--kind", "trajectories", "--n", 8, "--tests", 2]
    rom(*words, "--profile", site, "--out", "times")
    assert json.loads(rom("status", "times", "--json"))["results"] == ["model.h5", "report.html"]


@pytest.mark.slow
def test_local_bases_are_a_campaign_with_every_stage(site):
    words = ["submit", "all", BLOCK, "--set", "cells=8", "--kind", "local", "--n", 24]
    words += ["--train", "--local 2 --rank 3", "--tests", 2]
    rom(*words, "--profile", site, "--out", "local")
    assert json.loads(rom("status", "local", "--json"))["results"] == ["model.h5", "report.html"]
    assert load("local/model.h5")["model"].bases.K == 2


BAD = {
    "kind": (["train", "case.py", "--kind", "magic"], "no kind 'magic' of models; known: auto"),
    "no A": (["train", "case.py", "--kind", "projection"], "projects A and f.*--kind regression"),
    "no times": (["train", "case.py", "--kind", "trajectories"], "needs the times of the case"),
    "local": (["all", BLOCK, "--kind", "local"], "--kind local with --local K"),
    "aim": (
        ["all", BLOCK, "--kind", "local", "--train", "--local 2 --rank 3 --aim most"],
        "--aim is mean or q90, not 'most'",
    ),
    "aim alone": (["all", BLOCK, "--train", "--aim q90"], "is of local bases: give --kind local"),
    "option": (["train", "plates", "--kind", "shapes", "--train", "--curve a"], "No such option"),
    "tol": (["train", "plates", "--kind", "shapes", "--tol", "0.1"], "No such option"),
    "solid": (["train", "case.py", "--kind", "solid"], r"case.py has no solid\(\*\*settings\)"),
    "stage": (["all", "plates", "--kind", "shapes"], "its one stage is train"),
    "no stage": (["walk", "case.py"], "no stage 'walk'; known: collect, train, study, all"),
}


@pytest.mark.parametrize("name", BAD)
def test_what_no_job_could_train_is_refused_before_a_run_is_made(name, site):
    words, message = BAD[name]
    (site.parent / "plates").mkdir()
    (site.parent / "case.py").write_text(
        TIMES.replace(", times=t", "").replace("np.outer", "np.dot")
    )
    told = rom("submit", *words, "--profile", site, "--out", "run", code=2)
    assert re.search(message, told), told
    assert not (site.parent / "run").exists()


@pytest.mark.parametrize("kind", COMMANDS)
def test_help_of_a_kind_lists_its_own_options(kind):
    told = rom("train", "--kind", kind, "--help")
    own = {"shapes": "--curves", "solid": "--set"}.get(kind, "--store")
    assert own in told and ("--curves" in told) == (kind == "shapes")
