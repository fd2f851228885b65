"""`rom collect --until`: runs where the model is worst, until it is good enough."""

import json
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from rom.campaign import collect, open_store
from rom.cli.app import app
from rom.cli.case import load_problem
from rom.cli.enrichment import MODES, draw_candidates, enrich, relative_indicator
from rom.cli.training import Plan, train_model
from rom.design import sobol
from rom.errors import BadInput

SMOOTH = """
import numpy as np
import rom

box = rom.Box(("a", "b"), [1.0, 0.0], [10.0, 5.0], ("1", "1"), ("log", "linear"))
x = np.linspace(0.0, 1.0, 41)


def solve(mu):
    return mu[1] / mu[0] * x * (1 - x) / 2 + 0.1 * np.sin(np.pi * x) * np.sqrt(mu[0])
"""


def run(*args, code=0):
    result = CliRunner().invoke(app, [str(a) for a in args])
    assert result.exit_code == code, result.output + str(result.exception)
    return result


def numbers(*args, code=0):
    return json.loads(run(*args, "--json", code=code).stdout.splitlines()[-1])


def runs_into(path, problem):
    def collect_runs(mus):
        return collect(problem.solve, mus, path, box=problem.box, space=problem.space)

    return collect_runs


@pytest.fixture(scope="module")
def smooth(tmp_path_factory):
    path = tmp_path_factory.mktemp("case") / "smooth.py"
    path.write_text(SMOOTH)
    return str(path)


@pytest.mark.parametrize(("case", "until"), [("cases.thermal_block", 0.05), ("smooth", 0.01)])
def test_it_needs_no_more_runs_than_a_fixed_design(case, until, smooth, tmp_path):
    settings = ["cells=16"] if case != "smooth" else []
    problem = load_problem(smooth if case == "smooth" else case, settings)
    plan = Plan(tol=MODES * until)
    path = tmp_path / "store"
    first = sobol(problem.box, 2 * problem.box.p + 3, 0)
    search = runs_into(path, problem)
    state = enrich(search, problem, path, first, until=until, most=60, plan=plan)
    assert state.indicator <= until and state.runs < 60
    assert state.known == ("certified bound" if settings else "standard deviation")
    for n in range(len(first), state.runs):
        fixed = tmp_path / f"sobol{n}"
        runs_into(fixed, problem)(sobol(problem.box, n, 0))
        model = train_model(problem, fixed, plan).model
        assert relative_indicator(model, draw_candidates(problem.box))[0].max() > until, n
    fresh = sobol(problem.box, 64, 99)
    answer = state.training.model.predict(fresh)
    truth = np.stack([problem.solve(mu) for mu in fresh], axis=1)
    space = state.training.basis.space
    errors = space.norm(truth - state.training.basis.lift(answer.coefficients))
    assert errors.max() <= 3 * until * np.sqrt(np.mean(space.norm(truth) ** 2))


def test_an_interrupted_search_goes_on_as_if_it_had_not_been(smooth, tmp_path):
    problem, plan = load_problem(smooth), Plan(tol=1e-5)
    first = sobol(problem.box, 6, 0)
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    enrich(runs_into(whole, problem), problem, whole, first, until=0.0, most=11, plan=plan)

    def interrupted(mus):
        if len(mus) == 9:
            raise KeyboardInterrupt
        return runs_into(parts, problem)(mus)

    with pytest.raises(KeyboardInterrupt):
        enrich(interrupted, problem, parts, first, until=0.0, most=11, plan=plan)
    enrich(runs_into(parts, problem), problem, parts, first, until=0.0, most=11, plan=plan)
    stores = [list(open_store(path).manifest.plan.values()) for path in (whole, parts)]
    assert len(stores[0]) == 11 and np.array_equal(*stores)


def test_the_command_says_what_it_did_and_what_is_left(smooth, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    shutil.copy(smooth, "smooth.py")
    said = numbers("collect", "smooth.py", "--until", 1e-9, "--n", 9, code=7)
    assert said["runs"] == 9 and said["indicator"] > 1e-9
    said = numbers("collect", "smooth.py", "--until", 0.05, "--n", 40, "--model", "m.h5")
    assert said["indicator"] <= 0.05 and said["model"] == "m.h5"
    run("predict", "m.h5", "--mu", "a=2,b=1")


def test_failed_solves_are_said_by_the_exit_code(smooth, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    text = (
        Path(smooth)
        .read_text()
        .replace(
            "def solve(mu):\n",
            "def solve(mu):\n    if 3.0 < mu[0] < 4.0:\n        raise ValueError\n",
        )
    )
    Path("gaps.py").write_text(text)
    said = numbers("collect", "gaps.py", "--until", 0.5, "--n", 12, code=3)
    assert said["indicator"] <= 0.5 and said["failed"] > 0
    assert (
        "leave --rows out"
        in run("collect", "gaps.py", "--until", 0.5, "--rows", "0-3", code=2).stderr
    )


def test_a_model_that_says_nothing_of_its_error_is_refused(tmp_path):
    problem = load_problem("cases.thermal_block", ["cells=8"])
    from dataclasses import replace

    mute = replace(problem, stability=None)
    path = tmp_path / "store"
    with pytest.raises(BadInput, match="says nothing of the error"):
        enrich(
            runs_into(path, mute), mute, path, sobol(mute.box, 5, 0),
            until=0.1, most=9, plan=Plan(tol=1e-3),
        )  # fmt: skip


SLOW_SOLVE = "    import time\n    time.sleep(0.3)\n    return mu[1]"


def submit(case, *more, code=0, **entries):
    """`rom submit collect --until` on this machine."""
    start = f"{sys.executable} -c 'from rom.cli.app import app; app()'"
    lines = {"scheduler": "local", "rom": start, **entries}
    Path("site.toml").write_text("".join(f"{k} = {json.dumps(v)}\n" for k, v in lines.items()))
    return run("submit", *more, case, "--profile", "site.toml", "--out", "run", code=code)


def test_a_search_is_submitted_and_studied(smooth, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[1]))
    shutil.copy(smooth, "smooth.py")
    submit("smooth.py", "all", "--until", 0.05, "--n", 40, "--tests", 3)
    now = numbers("status", "run")
    assert now["stages"] == {"search": "done", "study": "done"}
    plain = numbers("collect", "smooth.py", "--until", 0.05, "--n", 40)
    assert now["planned"] == now["done"] == plain["runs"]
    one, two = (open_store(path).manifest.plan for path in ("run/store", "smooth.store"))
    assert list(one) == list(two)
    assert numbers("resume", "run")["jobs"] == []


def test_a_submitted_search_that_ran_out_of_time_goes_on(smooth, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[1]))
    text = Path(smooth).read_text().replace("    return mu[1]", SLOW_SOLVE)
    Path("slow.py").write_text(text)
    submit("slow.py", "collect", "--until", 0.05, "--n", 40, time="00:00:04", margin=1)
    now = numbers("status", "run")
    assert now["stages"] == {"search": "unfinished"} and now["unfinished"] > 0
    Path("site.toml").write_text(Path("site.toml").read_text().replace("00:00:04", "00:10:00"))
    run("resume", "run", "--profile", "site.toml")
    now = numbers("status", "run")
    assert now["stages"] == {"search": "done"} and now["unfinished"] == 0
    whole = numbers("collect", "slow.py", "--until", 0.05, "--n", 40)
    assert now["done"] == whole["runs"]


def test_a_search_that_does_not_arrive_has_failed(smooth, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[1]))
    shutil.copy(smooth, "smooth.py")
    submit("smooth.py", "collect", "--until", 1e-9, "--n", 8)
    now = numbers("status", "run", code=1)
    assert now["stages"] == {"search": "failed (exit 7)"} and now["done"] == 8
    assert "give a larger --n" in run("logs", "run").output


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--tol", 1e-3], "leave --tol"),
        (["--kind", "local"], "not local"),
        (["--train", "--rank 3"], "leave --tol and --train out"),
    ],
)
def test_options_that_do_not_fit_a_search_are_refused(
    words, message, smooth, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    said = submit(smooth, "collect", "--until", 0.1, *words, code=2)
    assert message in said.output
