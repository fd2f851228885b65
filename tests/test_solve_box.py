"""Equations on boxes by the better of two methods; more than one solution is said."""

import numpy as np
import pytest

from solvers.boxes import Equation
from solvers.solve_box import CHEBYSHEV, solve_box


def line(u, second, reaction=None):
    """u'' + g(u) = f on [0, 1] with the solution u, whose second derivative is `second`."""
    g = (lambda v: 0.0 * v) if reaction is None else reaction[0]
    return Equation(
        np.array([[0.0, 1.0]]), lambda x: second(x) + g(u(x)), u, (1.0,), reaction=reaction
    )


def error(answer, u):
    x = np.linspace(0.0, 1.0, 301)
    return np.max(np.abs(answer.solution.on(x) - u(x)))


def test_a_smooth_solution_needs_few_polynomials():
    def u(x):
        return np.exp(-x) + x**3

    answer = solve_box(line(u, lambda x: np.exp(-x) + 6 * x))
    assert answer.method == CHEBYSHEV and not answer.others and not answer.ended
    assert error(answer, u) < 1e-11


@pytest.mark.parametrize("shift", [0.0, 0.4])
def test_the_better_method_is_taken(shift):
    def u(x):
        return np.sin(60.0 * x + shift)

    answer = solve_box(line(u, lambda x: -3600.0 * u(x)))
    assert error(answer, u) < max(3 * answer.apart, 1e-12)
    assert error(answer, u) < 1e-9


@pytest.mark.parametrize("k", [2e3, pytest.param(1e4, marks=pytest.mark.slow)])
def test_another_solution_of_a_nonlinear_equation_is_named(k, caplog):
    def u(x):
        return 0.5 * np.sin(3.0 * x)

    reaction = (lambda v: k * (v - v**3), lambda v: k * (1.0 - 3.0 * v**2))
    answer = solve_box(line(u, lambda x: -9.0 * u(x), reaction))
    found = [answer.solution, *answer.others.values()]
    x = np.linspace(0.0, 1.0, 301)
    assert len(found) > 1 and "not the only solution" in caplog.text
    assert min(np.max(np.abs(one.on(x) - u(x))) for one in found) < 1e-9


def test_a_monotone_reaction_has_one_solution():
    def u(x):
        return np.cos(4.0 * x)

    reaction = (lambda v: -(v**3), lambda v: -3.0 * v**2)
    answer = solve_box(line(u, lambda x: -16.0 * u(x), reaction))
    assert error(answer, u) < 1e-10 and not answer.others and not answer.ended
