"""Training within --memory: anonymous memory stays within the budget and the modes."""

import json
import subprocess
import sys

import numpy as np
import pytest

from rom.campaign import collect
from rom.cli.training import Plan, train_model
from rom.errors import BadInput
from rom.parameters import Box

N, M, BUDGET = 180_000, 40, 24 * 2**20
BOX = Box(("a", "b"), (0.0, 0.0), (1.0, 1.0))
WATCH = """
import json, sys, threading
from pathlib import Path

from rom.cli.training import Plan, train_model

def anonymous():
    lines = Path("/proc/self/status").read_text().splitlines()
    return 1024 * int(next(l.split()[1] for l in lines if l.startswith("RssAnon")))

small, large, options = sys.argv[1], sys.argv[2], json.loads(sys.argv[3])
peak, done = [0], threading.Event()

def watch():
    while not done.wait(0.002):
        peak[0] = max(peak[0], anonymous())

train_model(None, Path(small), Plan(**{**options, "memory": None}))
start = anonymous()
thread = threading.Thread(target=watch, daemon=True)
thread.start()
training = train_model(None, Path(large), Plan(**options))
done.set()
thread.join()
print(json.dumps([peak[0] - start, training.basis.modes.nbytes, bool(training.snapshots.lazy)]))
"""
# kind -> options of the plan, which runs
KINDS = {
    "gp": ({"kind": "regression", "regressor": "gp"}, "steady"),
    "rbf": ({"kind": "regression", "regressor": "rbf"}, "steady"),
    "logarithm": ({"kind": "regression", "regressor": "linear", "transform": "log"}, "steady"),
    "dmd": ({"kind": "dmd"}, "run"),
    "opinf": ({"kind": "opinf"}, "runs"),
    "edmd": ({"kind": "edmd"}, "run"),
}
STEPS = {"steady": None, "runs": 10, "run": M}


def steady(mu, n):
    """A positive field of three modes and a little more."""
    x = np.linspace(0.0, 1.0, n)
    parts = 2 + mu[0] * np.sin(3 * x) + mu[1] * np.cos(5 * x), np.sin(1e4 * mu[0] + 7e3 * x)
    return parts[0] + 1e-3 * parts[1]


def unsteady(mu, n, times):
    """A field that decays and turns."""
    x = np.linspace(0.0, 1.0, n)[:, None]
    decay = np.exp(-times) * (1 + mu[0] * np.sin(3 * x))
    return decay + np.exp(-2 * times) * mu[1] * np.cos(5 * x)


def gather(path, n, name):
    """A store of M snapshots of n rows."""
    steps = STEPS[name]
    times = None if steps is None else np.linspace(0.0, 1.0, steps)
    mus = np.random.default_rng(0).random((M // (steps or 1), 2))

    def solve(mu):
        return steady(mu, n) if times is None else unsteady(mu, n, times)

    collect(solve, mus, path, box=BOX, times=times)
    return path


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    """(number of rows, name) -> a store, gathered once."""
    folder, paths = tmp_path_factory.mktemp("stores"), {}

    def find(n, name):
        if (n, name) not in paths:
            paths[n, name] = gather(folder / f"{n}-{name}", n, name)
        return paths[n, name]

    return find


SLOW = pytest.mark.slow


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="RssAnon is read from /proc")
@pytest.mark.parametrize(
    "name", ["rbf", *(pytest.param(k, marks=SLOW) for k in KINDS if k != "rbf")]
)
def test_anonymous_memory_of_training_stays_within_the_budget_and_the_modes(store, name):
    options, runs = KINDS[name]
    plan = json.dumps({**options, "rank": 3, "memory": str(BUDGET)})
    paths = (str(store(n, runs)) for n in (50, N))
    command = [sys.executable, "-c", WATCH, *paths, plan]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    peak, modes, lazy = json.loads(done.stdout)
    assert lazy and 8 * N * M > 2 * BUDGET
    assert peak <= 1.05 * BUDGET + modes, (peak / 2**20, modes / 2**20)


def test_a_process_of_whole_trajectories_is_refused_where_it_would_not_fit(store):
    plan = Plan(kind="trajectories", memory="100kB")
    with pytest.raises(BadInput, match="holds its runs in memory"):
        train_model(None, store(50, "runs"), plan)


def test_models_from_disk_are_those_from_memory(store):
    mu = np.array([[0.3, 0.6], [0.8, 0.1]])
    path = store(50, "steady")
    whole = train_model(None, path, Plan(rank=3, kind="regression", regressor="rbf"))
    parts = train_model(None, path, Plan(rank=3, kind="regression", regressor="rbf", memory="10kB"))
    assert parts.snapshots.lazy and not whole.snapshots.lazy
    for one, other in zip(parts.model.field(mu), whole.model.field(mu), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-6, atol=1e-9)
