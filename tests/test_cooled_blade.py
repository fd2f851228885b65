"""The cooled blade from campaign to certified answers, small."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from cases.cooled_blade import ALLOY, T_REF, main, problem
from rom.archive.models import load_model
from solvers.elements import load as integral
from solvers.thermoelastic import BlockRiesz, centrifugal, coupling, elasticity, fixed_dofs

SMALL = {"size": 1500, "train": 24, "tol": 1e-6, "test": 6}


@pytest.fixture(scope="module")
def small():
    return problem(size=1500)


@pytest.fixture(scope="module")
def ran(tmp_path_factory):
    out = tmp_path_factory.mktemp("blade")
    return main(**SMALL, out=str(out)), out


def test_bounds_hold_and_errors_are_small(ran):
    numbers, _ = ran
    assert numbers["max_rel_error"] < 1e-4
    assert numbers["min_effectivity"] >= 1
    assert numbers["max_effectivity"] < 10
    assert numbers["displacement_rel_error"] < 1e-4
    assert numbers["max_temperature_error_K"] < 0.5
    assert numbers["max_von_mises_error_Pa"] < 1e-3 * numbers["peak_von_mises_Pa"]
    assert numbers["max_tip_error_m"] < 1e-4 * numbers["tip_m"]
    assert numbers["solved"] == 24


def test_both_fields_obey_the_bound_one_by_one(ran):
    _, out = ran
    heading = (out / "unseen.csv").read_text().splitlines()[0].split(",")
    rows = np.loadtxt(out / "unseen.csv", delimiter=",", skiprows=1)
    assert rows.shape == (6, len(heading))
    for name in ("temperature", "displacement"):
        assert (
            rows[:, heading.index(f"{name}_rel_error")]
            <= rows[:, heading.index(f"{name}_rel_bound")]
        ).all()


def test_campaign_resumes_and_the_file_answers_alike(ran, small):
    numbers, out = ran
    model, mesh, origin = load_model(out / "model.h5")
    assert mesh is not None and origin["case"] == "cases.cooled_blade"
    again = main(**SMALL, out=str(out))
    assert (again["solved"], again["skipped"]) == (0, 24)
    assert again["max_rel_error"] == numbers["max_rel_error"]
    mu = small.box.from_unit(np.full(6, 0.37))
    answer, u = model.predict(mu), small.solve(mu)
    assert (
        model.basis.space.norm(u - model.basis.lift(answer.coefficients))
        <= answer.bound
        < 1e-3 * model.basis.space.norm(u)
    )


def test_pictures_and_fields_are_written(ran):
    _, out = ran
    names = (
        "temperature",
        "von_mises",
        "errors",
        "modes",
        "singular_values",
        "effectivities",
        "errors_over_r",
    )
    assert all((out / f"{name}.png").stat().st_size > 10_000 for name in names)
    assert (out / "worst.vtkhdf").stat().st_size > 100_000


def test_two_ranks_give_the_numbers_of_one(ran, tmp_path):
    numbers, _ = ran
    arguments = [f"--{name}={value}" for name, value in SMALL.items()]
    done = subprocess.run(
        [str(Path(sys.executable).with_name("mpiexec")), "-n", "2", sys.executable, "-m", "mpi4py",
            "-m", "cases.cooled_blade",
         *arguments, "--json"],
        capture_output=True, text=True, timeout=170, cwd=Path(__file__).parents[1],
        env=os.environ | {"OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    two = json.loads(done.stdout.strip().splitlines()[-1])
    assert (two["ranks"], two["solved"], two["r"]) == (2, 24, numbers["r"])
    for name in (
        "max_rel_error",
        "max_rel_bound",
        "min_effectivity",
        "hottest_K",
        "peak_von_mises_Pa",
        "tip_m",
    ):
        assert np.isclose(two[name], numbers[name], rtol=1e-6), name


def test_stress_at_rest_is_that_of_temperature_alone_and_spin_adds_omega_squared(small):
    mu, n = small.box.from_unit(np.full(6, 0.5)), len(small.mesh.points)
    u = [small.solve(np.array([*mu[:5], omega]))[n:] for omega in (500.0, 700.0, 1000.0)]
    slope = (u[1] - u[0]) / (700.0**2 - 500.0**2)
    assert np.allclose(
        u[2], u[0] + slope * (1000.0**2 - 500.0**2), rtol=0, atol=1e-9 * np.abs(u[2]).max()
    )


def test_stress_carries_the_spinning_mass_above_every_free_node(small):
    """sum of forces: the root pulls with omega^2 times mass times mean radius, and free nodes
    are in balance.
    """
    mesh, n, omega = small.mesh, len(small.mesh.points), 800.0
    state = small.solve(np.array([1500.0, 700.0, 2000.0, 1500.0, 20.0, omega]))
    inner = elasticity(mesh, ALLOY) @ state[n:] - coupling(mesh, ALLOY) @ (state[:n] - T_REF)
    pull = omega**2 * centrifugal(mesh, ALLOY)
    free = np.setdiff1d(np.arange(3 * n), fixed_dofs(mesh, "fixed"))
    assert np.abs(inner - pull)[free].max() < 1e-9 * np.abs(inner).max()
    root = (inner - pull).reshape(n, 3).sum(axis=0)
    moment = integral(mesh, None, lambda x: x[..., 2]).sum()
    assert np.isclose(root[2], -ALLOY.rho * omega**2 * moment, rtol=1e-7)
    assert np.abs(state[n:].reshape(n, 3)[mesh.points[:, 2] < 0.27 + 1e-9]).max() == 0


def test_a_functional_that_one_of_two_physics_does_not_feel_is_represented():
    """Its block is not solved for: multigrid of nothing has no columns."""
    riesz = BlockRiesz(lambda F: F / F.any(), lambda F: F / 4.0, 2, 0.5)
    np.testing.assert_array_equal(riesz(np.array([[0.0], [0], [1], [2]])), [[0], [0], [1], [2]])
    np.testing.assert_array_equal(riesz(np.array([[3.0], [0], [0], [0]])), [[3], [0], [0], [0]])
