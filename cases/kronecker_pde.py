"""Equations with high frequencies on boxes, by a GP with spectral kernels.

Directly solved, beside Chebyshev collocation. The eleven problems of Fang et al. (2024) with their
best published errors and times; `--frequency`, `--phase`, `--start` and `--length` make others of
the same families. The kernel solver sees source, boundary data and nothing else: no error is used
to choose.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from rom.cli.launch import run
from rom.errors import BadInput
from solvers.boxes import Equation, Solution
from solvers.chebyshev import chebyshev
from solvers.kernel_collocation import kernel_solve
from solvers.solve_box import CHEBYSHEV, KERNELS, choose_method, difference

TURN = 2 * np.pi
WORSE = 3.0  # times the error of the better method
Wave = tuple[Callable[[np.ndarray], np.ndarray], Callable[[np.ndarray], np.ndarray]]
CUBIC = (lambda u: u * (u**2 - 1), lambda u: 3 * u**2 - 1)


@dataclass(frozen=True, eq=False)
class Published:
    """Best published relative L2 error of a problem, and the seconds that run took."""

    error: float
    seconds: float


PUBLISHED = {
    "P1": Published(4.0e-7, 1329), "P2": Published(3.5e-4, 4667), "P3": Published(1.5e-6, 1329),
    "P4": Published(9.0e-7, 7451), "P5": Published(4.2e-4, 5705), "P6": Published(4.7e-6, 5586),
    "P7": Published(1.0e-3, 6627), "A1": Published(7.7e-7, 1998), "A2": Published(4.2e-6, 1996),
    "A3": Published(2.6e-3, 15926), "V1": Published(1.4e-4, 2234),
}  # fmt: skip


def waves(*terms: tuple[float, float, float]) -> Wave:
    """(u, u'') of sum amplitude sin(omega x + phase).

    terms = (amplitude, omega, phase).
    """
    return (
        lambda x: sum(a * np.sin(w * x + p) for a, w, p in terms),
        lambda x: sum(-a * w**2 * np.sin(w * x + p) for a, w, p in terms),
    )


def times_x(omega: float, phase: float) -> Wave:
    """x sin(omega x + phase)."""
    return (
        lambda x: x * np.sin(omega * x + phase),
        lambda x: 2 * omega * np.cos(omega * x + phase) - omega**2 * x * np.sin(omega * x + phase),
    )


def bent(omega: float, phase: float) -> Wave:
    """sin(omega x + phase) - 2 (x - 1/2)^2."""
    return (
        lambda x: np.sin(omega * x + phase) - 2 * (x - 0.5) ** 2,
        lambda x: -(omega**2) * np.sin(omega * x + phase) - 4,
    )


def line(wave: Wave, span: tuple[float, float], reaction=None) -> tuple[Equation, Callable]:
    """u'' + g(u) = f on an interval."""
    u, upp = wave
    source = (lambda x: upp(x) + reaction[0](u(x))) if reaction else upp
    return Equation(np.array([span]), source, u, (1.0,), reaction=reaction), u


def plane(
    wave: Wave, span: tuple[float, float], product: bool, reaction=None
) -> tuple[Equation, Callable]:
    """Laplace u + g(u) = f on a square, u(x) u(y) or u(x) + u(y)."""
    g, gpp = wave
    u = (lambda x, y: g(x) * g(y)) if product else (lambda x, y: g(x) + g(y))
    linear = (
        (lambda x, y: gpp(x) * g(y) + g(x) * gpp(y)) if product else (lambda x, y: gpp(x) + gpp(y))
    )
    source = (lambda x, y: linear(x, y) + reaction[0](u(x, y))) if reaction else linear
    return Equation(np.array([span, span]), source, u, (1.0, 1.0), reaction=reaction), u


def advection(beta: float, phase: float, span: tuple[float, float]) -> tuple[Equation, Callable]:
    """beta u_x + u_y = 0 with inflow data alone (left and bottom)."""

    def u(x: np.ndarray, y: np.ndarray) -> np.ndarray:
        return np.sin(x - beta * y + phase)

    sides = ("low", "low")
    return Equation(
        np.array([span, span]), lambda x, y: 0.0 * x, u, (0.0, 0.0), (beta, 1.0), sides
    ), u


def problem(
    name: str, frequency: float = 1.0, phase: float = 0.0, start: float = 0.0, length: float = 1.0
) -> tuple[Equation, Callable]:
    """(equation, exact u) of a problem.

    Every frequency and interval times a factor, a phase added, the interval moved to `start`.
    """
    k, p = frequency, phase
    half_turn = p + np.pi / 2
    short, wide = (start, start + length), (start, start + TURN * length)
    packet = waves((0.5, 106 * k, p), (-0.5, 94 * k, p))  # sin 6x cos 100x at p = 0
    slow = waves((0.5, 26 * k, p), (-0.5, 14 * k, p))
    problems = {
        "P1": lambda: line(waves((1, 100 * k, p)), wide),
        "P2": lambda: line(waves((1, k, p), (0.1, 20 * k, p), (0.05, 100 * k, p)), short),
        "P3": lambda: line(packet, wide),
        "P4": lambda: line(times_x(200 * k, p), wide),
        "P5": lambda: line(bent(500 * k, p), short),
        "P6": lambda: plane(waves((1, 100 * k, p)), wide, True),
        "P7": lambda: plane(slow, wide, False),
        "A1": lambda: line(waves((1, 100 * k, p)), wide, CUBIC),
        "A2": lambda: line(packet, wide, CUBIC),
        "A3": lambda: plane(
            waves((1, k, p), (0.1, 20 * k, p), (1, 100 * k, half_turn)), short, True, CUBIC
        ),
        "V1": lambda: advection(200 * k, p, short),
    }
    return problems[name]()


def error(solution: Solution, exact: Callable, n: int = 300) -> float:
    """Relative L2 error on n uniform points per axis, ends included."""
    x = [np.linspace(low, high, n) for low, high in solution.equation.bounds]
    truth = exact(*np.meshgrid(*x, indexing="ij"))
    return float(np.linalg.norm(solution.on(*x) - truth) / np.linalg.norm(truth))


def time_work(work: Callable[[], Any]) -> tuple[Any, float]:
    """(result, wall seconds)."""
    begin = time.perf_counter()
    result = work()
    return result, time.perf_counter() - begin


def main(
    problems: str = ",".join(PUBLISHED),
    envelope: str = "gaussian",
    frequency: float = 1.0,
    phase: float = 0.0,
    start: float = 0.0,
    length: float = 1.0,
) -> dict[str, Any]:
    """Errors and seconds of the kernel solver and of Chebyshev collocation.

    And how the problems compare with what is published, and on how many of them `solve_box` would
    take the better method, or one that errs at most WORSE times as much.
    problems : names, divided by commas; envelope : gaussian or student
    frequency : factor on every frequency; phase : added to every wave [rad]
    start : lower end of the interval; length : factor on its length
    Raises BadInput for an unknown problem or envelope.
    """
    names = [name.strip() for name in problems.split(",")]
    for name in names:
        if name not in PUBLISHED:
            raise BadInput(f"no problem {name!r}; there are: {', '.join(PUBLISHED)}")
    changes = {"frequency": frequency, "phase": phase, "start": start, "length": length}
    rows = {name: compare(name, *problem(name, **changes), envelope) for name in names}
    return {
        "problems": len(rows),
        "problems_no_worse": sum(row["error"] <= row["published_error"] for row in rows.values()),
        "problems_better_taken": sum(
            row["taken_error"] <= WORSE * min(row["error"], row["chebyshev_error"])
            for row in rows.values()
        ),
        "max_time_ratio": max(row["seconds"] / row["published_seconds"] for row in rows.values()),
        "envelope": envelope,
        **changes,
        "rows": rows,
    }


def compare(name: str, equation: Equation, exact: Callable, envelope: str) -> dict[str, Any]:
    """Errors and seconds of both solvers on one problem, beside those published."""
    solve = partial(kernel_solve, equation, envelope)
    (ours, spectra), seconds = time_work(solve)
    theirs, theirs_seconds = time_work(partial(chebyshev, equation))
    both = {CHEBYSHEV: theirs, KERNELS: ours}
    taken = choose_method(both, difference(theirs, ours))
    return {
        "error": error(ours, exact), "seconds": seconds, "residual": ours.residual,
        "components": [len(s.weights) for s in spectra], "unknowns": list(ours.C.shape),
        "chebyshev_error": error(theirs, exact), "chebyshev_seconds": theirs_seconds,
        "taken": taken, "taken_error": error(both[taken], exact),
        "published_error": PUBLISHED[name].error, "published_seconds": PUBLISHED[name].seconds,
    }  # fmt: skip


if __name__ == "__main__":
    run(main)
