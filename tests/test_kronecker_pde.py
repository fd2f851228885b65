"""Laws and known solutions of the kernel solver on boxes, its baseline, and sensor data merged
with equations.
"""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from cases.kronecker_pde import PUBLISHED, error, main, problem
from rom.errors import BadInput, NotConverged
from solvers.boxes import Equation, solve_on_axes
from solvers.chebyshev import chebyshev, chebyshev_axis
from solvers.kernel_collocation import (
    Spectrum,
    broad,
    evidence,
    features,
    kernel_axis,
    kernel_solve,
)
from solvers.sensors import merge_sensors

ROOT = Path(__file__).parents[1]
POISSON = Equation(
    np.array([[0.0, 2.0]]),
    lambda x: -(np.pi**2) * np.sin(np.pi * x),
    lambda x: np.sin(np.pi * x) + x,
    (1.0,),
)  # u = sin(pi x) + x


@pytest.mark.parametrize("envelope", ["gaussian", "student"])
def test_axis_functions_are_orthonormal_and_derivatives_are_theirs(envelope):
    axis = kernel_axis(-1.0, 3.0, broad(6.0, envelope), 6.0, "both")
    np.testing.assert_allclose(axis.expand @ axis.D[0], np.eye(axis.D[0].shape[1]), atol=1e-12)
    np.testing.assert_allclose(axis.ends @ axis.free, 0, atol=1e-11)
    x, h = np.linspace(-0.9, 2.9, 7), 1e-4
    for k in (0, 1):
        slope = (axis.evaluate(x + h, k) - axis.evaluate(x - h, k)) / (2 * h)
        exact = axis.evaluate(x, k + 1)
        assert np.linalg.norm(slope - exact) < 1e-4 * np.linalg.norm(exact)


@pytest.mark.parametrize("envelope", ["gaussian", "student"])
def test_features_sum_to_the_kernel_in_closed_form(envelope):
    spectrum = Spectrum(np.array([0.7, 0.3]), np.array([0.0, 3.0]), np.array([0.05, 0.1]), envelope)
    omega = np.arange(0, 60 if envelope == "gaussian" else 4000, 0.5)
    z = np.linspace(0, 0.5, 9)
    density = spectrum.density(omega).sum(axis=0) / 2
    summed = density[0] + 2 * np.cos(2 * np.pi * np.outer(z, omega[1:])) @ density[1:]
    d = z[:, None] / spectrum.lengths
    g = (
        np.exp(-0.5 * d**2)
        if envelope == "gaussian"
        else (1 + np.sqrt(5) * d + 5 * d**2 / 3) * np.exp(-np.sqrt(5) * d)
    )
    closed = (g * np.cos(2 * np.pi * np.outer(z, spectrum.frequencies))) @ spectrum.weights
    np.testing.assert_allclose(summed, closed, atol=1e-9)


@pytest.mark.parametrize("envelope", ["gaussian", "student"])
def test_gradient_of_the_evidence(envelope):
    spectrum, t = broad(5, envelope), (np.arange(40) + 0.5) / 40
    Y = np.column_stack([np.sin(9 * t), np.cos(20 * t)])
    omega = np.arange(0, 20, 0.5)
    theta = spectrum.theta + 0.1 * np.random.default_rng(0).standard_normal(spectrum.theta.size)
    v = np.random.default_rng(1).standard_normal(theta.size)
    Phi = features(t, omega)
    along = [evidence(theta + h * v, spectrum, Phi, Y, omega, 1e-5)[0] for h in (1e-4, -1e-4)]
    assert evidence(theta, spectrum, Phi, Y, omega, 1e-5)[1] @ v == pytest.approx(
        (along[0] - along[1]) / 2e-4, rel=1e-5
    )


@pytest.mark.parametrize("name", ["P2", "P5", "P7", "A1", "A3", "V1"])
def test_no_worse_than_published_in_a_hundredth_of_the_time(name):
    row = main(name)
    assert (
        row["problems_no_worse"] == 1
        and row["rows"][name]["error"] < 1e-7 < PUBLISHED[name].error * 10
    )
    assert row["rows"][name]["chebyshev_error"] < 1e-9


@pytest.mark.slow
@pytest.mark.parametrize("envelope", ["gaussian", "student"])
def test_all_eleven(envelope):
    told = main(envelope=envelope)
    assert told["problems_no_worse"] == 11 and told["max_time_ratio"] < 0.01


@pytest.mark.slow
def test_the_better_method_is_taken_where_no_frequency_fits_the_interval():
    told = main(frequency=0.8337, phase=0.4, start=0.11, length=0.93)
    for name, row in told["rows"].items():
        print(
            f"\n{name}: kernels {row['error']:.1e}, Chebyshev {row['chebyshev_error']:.1e}, "
            f"taken {row['taken']}"
        )
    assert told["problems_better_taken"] == 11


@pytest.mark.parametrize(
    "changes",
    [
        dict(frequency=0.43, phase=1.1),
        dict(start=-2.0, length=0.6),
        dict(frequency=1.21, length=0.7),
    ],
)
@pytest.mark.parametrize("name", ["P3", "A2", "A3", "V1"])
def test_other_frequencies_phases_and_intervals(name, changes):
    equation, exact = problem(name, **changes)
    made, _ = kernel_solve(equation, train=name != "P3")
    assert error(made, exact) < 1e-7


def test_surplus_frequencies_are_pruned_and_the_true_one_is_found():
    equation, exact = problem("P1", frequency=0.3)
    made, (spectrum,) = kernel_solve(equation)
    heavy = np.argmax(spectrum.weights)
    assert len(spectrum.weights) < 20 and spectrum.frequencies[heavy] == pytest.approx(
        30.0, abs=0.5
    )
    broad_, _ = kernel_solve(equation, train=False)
    assert made.C.size < broad_.C.size and error(made, exact) < 1e-9


def test_advection_needs_inflow_data_only():
    equation, exact = problem("V1", frequency=0.2)
    assert equation.sides == ("low", "low")
    seen = []

    def watched(x, y):
        seen.append((x, y))
        return exact(x, y)

    made, _ = kernel_solve(
        Equation(
            equation.bounds, equation.source, watched, (0.0, 0.0), (40.0, 1.0), ("low", "low")
        ),
        train=False,
    )
    assert all(((x == 0) | (y == 0)).all() for x, y in seen)
    assert error(made, exact) < 1e-8


def test_three_dimensions():
    def u(x, y, z):
        return np.sin(5 * x) * np.cos(4 * y) * np.exp(z)

    bounds = np.array([[0.0, 1.0], [0.0, 2.0], [-1.0, 0.0]])
    equation = Equation(bounds, lambda x, y, z: (-25 - 16 + 1) * u(x, y, z), u, (1.0, 1.0, 1.0))
    made, _ = kernel_solve(equation, train=False, tol=1e-8)
    assert error(made, u, 20) < 1e-7
    points = bounds[:, 0] + np.random.default_rng(0).random((5, 3)) * np.ptp(bounds, axis=1)
    np.testing.assert_allclose(made.at(points), u(*points.T), atol=1e-6)
    x = [np.linspace(*b, 4) for b in bounds]
    exact = 5 * np.cos(5 * x[0])[:, None, None] * np.cos(4 * x[1])[:, None] * np.exp(x[2])
    np.testing.assert_allclose(made.on(*x, derivative=(1, 0, 0)), exact, atol=1e-4)


def test_chebyshev_converges_spectrally():
    errors = [
        error(solve_on_axes(POISSON, (chebyshev_axis(0.0, 2.0, N, "both"),)), POISSON.boundary)
        for N in (6, 12, 24)
    ]
    assert errors[0] > 1e-4 and errors[1] < 1e-5 and errors[2] < 1e-12
    assert error(chebyshev(POISSON), POISSON.boundary) < 1e-11


def test_a_band_that_is_too_narrow_is_said():
    equation, _ = problem("P1")
    with pytest.raises(NotConverged, match="20 cycles"):
        kernel_solve(equation, most=20.0)


def test_sensors_correct_a_wrong_source_and_say_how_sure_they_are():
    wrong = Equation(POISSON.bounds, lambda x: 0.5 * POISSON.source(x), POISSON.boundary, (1.0,))
    solution, _ = kernel_solve(wrong, train=False)
    gen = np.random.default_rng(0)
    at = np.linspace(0.1, 1.9, 12)[:, None]
    x = np.linspace(0, 2, 101)[:, None]
    seen = POISSON.boundary(at[:, 0]) + 0.01 * gen.standard_normal(12)
    posterior = merge_sensors(solution, at, seen, noise=0.01)
    mean, std = posterior.at(x)
    missed, before = (
        np.abs(mean - POISSON.boundary(x[:, 0])),
        np.abs(solution.at(x) - POISSON.boundary(x[:, 0])),
    )
    assert before.max() > 0.4 and missed.max() < 0.03
    assert np.mean(missed <= 2 * std + 1e-12) > 0.85 and std.max() < 0.03
    assert std[0] < 1e-9 and std[-1] < 1e-9, "the boundary data are exact"


def test_sensors_leave_a_right_equation_alone():
    solution, _ = kernel_solve(POISSON, train=False)
    at = np.linspace(0.2, 1.8, 6)[:, None]
    seen = POISSON.boundary(at[:, 0]) + 0.01 * np.random.default_rng(2).standard_normal(6)
    posterior = merge_sensors(solution, at, seen, noise=0.01)
    assert np.abs(posterior.at(at)[0] - POISSON.boundary(at[:, 0])).max() < 0.01
    twice = merge_sensors(solution, at, seen, noise=0.01, discrepancy=1.0)
    assert np.abs(twice.at(at)[0] - seen).max() < np.abs(posterior.at(at)[0] - seen).max()


def test_merging_is_dense_conditioning():
    solution, _ = kernel_solve(POISSON, train=False)
    at, values, x = np.array([[0.3], [1.1]]), np.array([0.7, 2.0]), np.array([[0.5], [1.5]])
    posterior = merge_sensors(solution, at, values, noise=0.1, discrepancy=2.0)
    k = np.arange(1, 61)
    spread = 1 / (1 + 0.4**2 * (np.pi * k / 2) ** 2)
    prior = 2.0 * spread / np.sqrt(np.sum(spread**2)) / (np.pi * k / 2) ** 2

    def e(z):
        return np.sqrt(2) * np.sin(np.pi * np.outer(z[:, 0], k) / 2)

    K = lambda a, b: (e(a) * prior**2) @ e(b).T  # noqa: E731
    S = K(at, at) + 0.01 * np.eye(2)
    mean = POISSON.boundary(x[:, 0]) + K(x, at) @ np.linalg.solve(
        S, values - POISSON.boundary(at[:, 0])
    )
    variance = np.diag(K(x, x) - K(x, at) @ np.linalg.solve(S, K(at, x)))
    np.testing.assert_allclose(posterior.at(x)[0], mean, rtol=1e-5)
    np.testing.assert_allclose(posterior.at(x)[1] ** 2, variance, rtol=1e-4)


def test_refusals():
    with pytest.raises(BadInput, match="increasing"):
        Equation(np.array([[1.0, 0.0]]), lambda x: x, lambda x: x, (1.0,))
    with pytest.raises(BadInput, match="sides"):
        Equation(np.array([[0.0, 1.0]]), lambda x: x, lambda x: x, (1.0,), sides=("left",))
    with pytest.raises(BadInput, match="first derivatives"):
        Equation(
            np.array([[0.0, 1.0]] * 3),
            lambda x, y, z: x,
            lambda x, y, z: x,
            (1.0,) * 3,
            (1.0, 0.0, 0.0),
        )
    with pytest.raises(BadInput, match="envelope"):
        kernel_solve(POISSON, envelope="square")
    solution, _ = kernel_solve(POISSON, train=False)
    with pytest.raises(BadInput, match="noise"):
        merge_sensors(solution, np.array([[0.5]]), np.array([1.0]), noise=0.0)
    advected = kernel_solve(problem("V1", frequency=0.05)[0], train=False)[0]
    with pytest.raises(BadInput, match="second derivatives"):
        merge_sensors(advected, np.array([[0.5, 0.5]]), np.array([1.0]), noise=0.1)


def case(*words):
    command = [sys.executable, "-m", "cases.kronecker_pde", *words]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120)


def test_command():
    end = case("--problems", "P2,V1", "--frequency", "0.5", "--json")
    told = json.loads(end.stdout.splitlines()[-1])
    assert told["problems_no_worse"] == 2 and 0 < told["max_time_ratio"] < 0.01
    assert {"error", "seconds", "chebyshev_error", "chebyshev_seconds"} <= set(told["rows"]["P2"])
    end = case("--problems", "P2,P0")
    assert end.returncode == 2 and "no problem 'P0'; there are: P1, P2" in end.stderr
