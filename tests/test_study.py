"""`rom study`: solves are kept, failures recorded, runs left out; checks come before solves."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from command_line import last, words
from typer.testing import CliRunner

import rom
from rom.archive.models import load_model
from rom.campaign import open_store
from rom.cli.app import app
from rom.errors import BadInput, SolveFailed
from rom.study import study
from rom.study.folds import join_studies, leave_one_out, split_off

BIN = Path(sys.executable).parent
CLEAN = {k: v for k, v in os.environ.items() if not k.startswith(("PMI", "OMPI_", "MPI_LOCAL"))}
CASE = """
import os
import signal
import numpy as np
import rom

box = rom.Box(("a",), [0.0], [2.0])
x = np.linspace(0.0, 1.0, 21)
fields = (rom.Field("T", "K", np.arange(len(x))),)


def solve(mu):
    with open("solved", "a") as file:
        file.write("x")
    if os.path.exists("die") and os.path.getsize("solved") > 7:
        os.kill(os.getpid(), signal.SIGKILL)
    if os.path.exists("gap") and 0.5 < mu[0] < 1.0:
        raise ValueError("no convergence")
    return np.sin(3.0 * mu[0] * x) + mu[0]
"""


def ask(*arguments, code=0):
    """The last line of JSON that a command says, and all that it says."""
    result = CliRunner().invoke(app, [*map(str, arguments), "--json"])
    assert result.exit_code == code, result.output + str(result.exception)
    text = result.stdout.splitlines()
    return json.loads(text[-1]) if text else {}, result.output


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A case with its store and model."""
    folder = tmp_path_factory.mktemp("trained")
    before = Path.cwd()
    os.chdir(folder)
    try:
        Path("case.py").write_text(CASE)
        ask("collect", "case.py", "--n", 8)
        ask("reduce", "case.py", "--tol", "1e-4", "--out", "model.h5")
        Path("solved").unlink()
    finally:
        os.chdir(before)
    return folder


@pytest.fixture
def folder(trained, tmp_path, monkeypatch):
    """The case, its store and model in the working folder."""
    subprocess.run(["cp", "-r", *map(str, trained.iterdir()), str(tmp_path)], check=True)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def count():
    return Path("solved").stat().st_size if Path("solved").exists() else 0


def fresh(n, seed=12345):
    """The parameters of a study."""
    return 2.0 * np.random.default_rng(seed).random((n, 1))


def errors_at(mus):
    """|u - u_r| / |u| of the model, computed here."""
    model, x = load_model("model.h5")[0], np.linspace(0.0, 1.0, 21)
    u = np.sin(3.0 * mus * x) + mus
    miss = u - np.array([model.predict(mu).field("T") for mu in mus])
    return np.linalg.norm(miss, axis=1) / np.linalg.norm(u, axis=1)


def test_a_failed_solve_is_named_and_the_study_goes_on(folder):
    Path("gap").touch()
    said, text = ask("study", "model.h5", "case.py", "--n", 10, "--report", "s.html", code=3)
    mus = fresh(10)
    fails = (mus[:, 0] > 0.5) & (mus[:, 0] < 1.0)
    assert 0 < fails.sum() < 10
    assert (said["parameters"], said["failed"]) == (10 - fails.sum(), fails.sum())
    assert [failure["mu"] for failure in said["failures"]] == mus[fails].tolist()
    assert all("no convergence" in failure["reason"] for failure in said["failures"])
    assert text.count("failed at mu") == fails.sum()
    own = errors_at(mus[~fails])
    np.testing.assert_allclose(said["max_rel_error"], own.max(), rtol=1e-9)
    np.testing.assert_allclose(said["mean_rel_error"], own.mean(), rtol=1e-9)
    assert Path("s.html").read_text().count("no convergence") == fails.sum()


def test_a_study_of_failed_solves_alone_says_why(folder):
    Path("gap").touch()
    Path("mus.csv").write_text("a\n0.6\n0.7\n")
    _, text = ask("study", "model.h5", "case.py", "--csv", "mus.csv", code=3)
    assert "all 2 solves" in text and "no convergence" in text


def test_a_killed_study_solves_what_is_left(folder):
    Path("die").touch()
    end = subprocess.run(
        words("study", "case.py", "model.h5", "--n", 10), env=CLEAN, capture_output=True
    )
    assert end.returncode == -signal.SIGKILL and count() == 8
    Path("die").unlink()
    Path("solved").unlink()
    said, _ = ask("study", "case.py", "model.h5", "--n", 10)
    assert count() == 3 and said["parameters"] == 10
    np.testing.assert_allclose(said["max_rel_error"], errors_at(fresh(10)).max(), rtol=1e-9)
    assert said["full_s"] > 0
    ask("report", "model.h5", "--against", "case.py", "--n", 12)
    assert count() == 5


def test_workers_and_ranks_solve_each_parameter_once(folder):
    serial, _ = ask("study", "case.py", "model.h5", "--n", 6, "--truth", "serial")
    Path("solved").unlink()
    crew = words("study", "case.py", "model.h5", "--n", 6, "--truth", "crew", "--workers", 2)
    ranks = words("study", "case.py", "model.h5", "--n", 6, "--truth", "ranks")
    for command in (crew, [BIN / "mpiexec", "-n", "2", *ranks]):
        end = subprocess.run(
            [*command, "--json"], env=CLEAN, capture_output=True, text=True, timeout=120
        )
        assert end.returncode == 0, end.stderr
        assert last(end.stdout)["max_rel_error"] == serial["max_rel_error"]
        assert count() == 6
        Path("solved").unlink()
    assert len(open_store("ranks").manifest.done) == 6


def test_true_solves_of_another_solver_are_refused(folder):
    ask("study", "case.py", "model.h5", "--n", 3)
    Path("case.py").write_text(CASE.replace("+ mu[0]\n", "+ 2.0 * mu[0]\n"))
    _, text = ask("study", "case.py", "model.h5", "--n", 3, code=2)
    assert "case.py changed" in text and "--keep" in text
    ask("study", "case.py", "model.h5", "--n", 3, "--keep")
    assert count() == 3


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--store", "nothing"], "nothing holds no campaign"),
        (["--csv", "beyond.csv"], "outside"),
        (["--t", "0:1:0.5"], "knows no time"),
        (["--mesh", "line.vtu"], "does not ask for a mesh"),
        (["--truth", "case.py"], "case.py is a file"),
        (["--limit", "3"], "give --workers"),
        (["--leave-one-out"], "is no store"),
        (["--report", "no/s.html"], "there is no folder no"),
        (["--csv", "nothing.csv"], "nothing.csv"),
    ],
)
def test_what_cannot_be_studied_is_refused_before_a_solve(folder, options, message):
    Path("beyond.csv").write_text("a\n1.0\n3.0\n")
    _, text = ask("study", "model.h5", "case.py", *options, code=2)
    assert message in text and count() == 0


@pytest.mark.parametrize(
    ("before", "after", "message"),
    [
        ("0.0, 1.0, 21", "0.0, 1.0, 11", "21 rows, those of the case 11"),
        ("box = ", "times = [0.0, 1.0]\nbox = ", "high fidelity gives 2 times"),
    ],
)
def test_another_case_is_refused_before_a_solve(folder, before, after, message):
    Path("other.py").write_text(CASE.replace(before, after))
    _, text = ask("study", "model.h5", "other.py", "--n", 3, code=2)
    assert message in text and count() == 0


def test_runs_are_left_out_one_by_one_without_a_solver(folder):
    Path("case.py").unlink()
    said, _ = ask("study", "model.h5", "case.store", "--leave-one-out", "--report", "s.html")
    runs = rom.read("case.store")
    assert said["parameters"] == runs.m == 8
    own = []
    for k in range(runs.m):
        others = np.delete(np.arange(runs.m), k)
        part = rom.Snapshots(runs.space, runs.mu[others], runs.u[:, others])
        basis, _ = rom.pod(part, tol=1e-4)
        box = open_store("case.store").box
        answer = rom.field_gp(part, basis, box, rng=0).predict(runs.mu[k])
        u = runs.u[:, k]
        own.append(np.linalg.norm(u - answer.field("T")) / np.linalg.norm(u))
    np.testing.assert_allclose(said["max_rel_error"], max(own), rtol=1e-6)
    np.testing.assert_allclose(said["mean_rel_error"], np.mean(own), rtol=1e-6)
    nearest = [np.argsort(np.abs(runs.mu[:, 0] - mu))[1] for mu in runs.mu[:, 0]]
    miss = np.linalg.norm(runs.u - runs.u[:, nearest], axis=0) / np.linalg.norm(runs.u, axis=0)
    np.testing.assert_allclose(said["max_rel_error of nearest run"], miss.max(), rtol=1e-9)
    assert 0.0 <= said["coverage of 95 % bands of T, pointwise"] <= 1.0


def test_a_share_of_the_runs_is_held_out(folder):
    said, _ = ask("study", "model.h5", "case.store", "--hold-out", 0.25, "--seed", 3)
    again, _ = ask("study", "case.store", "model.h5", "--hold-out", 0.25, "--seed", 3)
    drop = ("online_ms", "batch_us")
    assert {k: v for k, v in said.items() if k not in drop} == {
        k: v for k, v in again.items() if k not in drop
    }
    assert said["parameters"] == 2
    _, text = ask("study", "model.h5", "case.store", "--hold-out", 0.01, code=2)
    assert "leaves nothing on one side" in text


def test_a_projection_is_trained_again_with_its_case(folder):
    case = ["cases.thermal_block", "--set", "cells=6"]
    ask("collect", *case, "--n", 6, "--out", "runs")
    ask("train", *case, "--store", "runs", "--out", "block.h5")
    _, text = ask("study", "block.h5", "runs", "--leave-one-out", code=2)
    assert "--case CASE" in text
    said, _ = ask("study", "block.h5", "runs", "--leave-one-out", "--case", case[0])
    assert said["parameters"] == 6 and said["min_effectivity"] >= 1.0


def test_other_settings_keep_their_true_solves_apart(folder):
    errors = []
    for cells in (6, 8, 6):
        case = ["cases.thermal_block", "--set", f"cells={cells}"]
        ask("collect", *case, "--n", 6, "--out", f"runs{cells}")
        ask("train", *case, "--store", f"runs{cells}", "--out", "block.h5")
        errors.append(ask("study", "block.h5", case[0], "--n", 3)[0]["max_error"])
    assert errors[0] == errors[2] != errors[1]


def test_a_file_that_says_no_plan_is_refused(folder):
    from rom.archive.models import save_model

    save_model("plain.h5", load_model("model.h5")[0], None, {})
    _, text = ask("study", "plain.h5", "case.store", "--leave-one-out", code=2)
    assert "does not say how its model was trained" in text


def test_splits_are_disjoint_and_whole():
    for folds in (leave_one_out(5), split_off(10, 0.3, 1)):
        for train, test in folds:
            assert sorted([*train, *test]) == list(range(len(train) + len(test)))
    assert [len(test) for _, test in split_off(10, 0.3, 1)] == [3]
    for wrong in (0.0, 1.0, 0.01, np.nan, -1.0):
        with pytest.raises(BadInput, match="leaves nothing"):
            split_off(10, wrong, 0)
    with pytest.raises(BadInput, match="at least 2"):
        leave_one_out(1)


@pytest.fixture
def model(folder):
    return load_model("model.h5")[0]


def u_of(mu):
    x = np.linspace(0.0, 1.0, 21)
    return np.sin(3.0 * mu[0] * x) + mu[0]


def test_studies_join_to_the_study_of_all(model):
    mus = fresh(6)
    whole = study(model, u_of, mus)
    joined = join_studies([study(model, u_of, mus[:2]), study(model, u_of, mus[2:])])
    for name in ("mu", "norm", "error", "floor"):
        np.testing.assert_array_equal(getattr(whole, name), getattr(joined, name))
    first, second = whole.summary(), joined.summary()
    for name in first.keys() - {"full_s", "online_ms", "batch_us", "speedup"}:
        assert first[name] == pytest.approx(second[name], rel=1e-12), name


def test_the_library_records_failures_too(model):
    mus = fresh(5)

    def solve(mu):
        if mu[0] == mus[1, 0]:
            raise RuntimeError("broke")
        return u_of(mu) * (np.nan if mu[0] == mus[3, 0] else 1.0)

    table = study(model, solve, mus)
    assert [mu for mu, _ in table.failed] == [tuple(mus[1]), tuple(mus[3])]
    assert "broke" in table.failed[0][1] and "NaN" in table.failed[1][1]
    np.testing.assert_array_equal(table.mu, mus[[0, 2, 4]])
    with pytest.raises(SolveFailed, match=r"all 1 solves .* broke"):
        study(model, solve, mus[1:2])


def test_bands_of_each_field_are_counted(folder):
    """A Gaussian of known spread: the share within 1.96 deviations, counted here."""
    said, _ = ask("study", "model.h5", "case.py", "--n", 12, "--report", "s.html")
    model, x, mus = load_model("model.h5")[0], np.linspace(0.0, 1.0, 21), fresh(12)
    answer = model.predict(mus)
    inside = [
        np.abs(np.sin(3.0 * mu * x) + mu - answer.field("T", k)) <= 1.959964 * answer.std("T", k)
        for k, mu in enumerate(mus)
    ]
    key = "95 % bands of T, pointwise"
    assert said[f"coverage of {key}"] == pytest.approx(np.mean(inside), abs=1e-12)
    assert f"{np.mean(inside):.3g} of {key}" in Path("s.html").read_text()


def test_conformal_bands_of_whole_trajectories_are_counted(folder):
    text = CASE.replace("box = ", "times = np.linspace(0.0, 1.0, 5)\nbox = ")
    text = text.replace("+ mu[0]\n", "+ mu[0]\n\n\nsteady = solve\n") + (
        "solve = lambda mu: np.outer(steady(mu), np.cos(mu[0] * times))\n"
    )
    Path("moving.py").write_text(text)
    ask("collect", "moving.py", "--n", 10)
    ask("reduce", "moving.py", "--out", "moving.h5")
    said, _ = ask("study", "moving.h5", "moving.py", "--n", 9)
    model, times, x = load_model("moving.h5")[0], np.linspace(0.0, 1.0, 5), np.linspace(0, 1, 21)
    held = []
    for mu in fresh(9):
        u = np.outer(np.sin(3.0 * mu * x) + mu, np.cos(mu[0] * times))
        answer = model.predict(mu)
        (band,) = answer.parts["T"].errors
        held.append(bool((np.abs(u - answer.field("T")).max(axis=0) <= band.value[0]).all()))
    level = f"{100 * model.level:g}"
    key = f"coverage of {level} % conformal bands of T, whole trajectories"
    assert said[key] == pytest.approx(np.mean(held), abs=1e-12)
