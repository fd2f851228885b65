"""Equations on boxes by the better of two methods, as checks without the solution tell.

Each is judged by the residual where it did not collocate; where both residuals are round-off, by a
finer grid. Solutions that differ by more than that are different ones of a nonlinear equation.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from rom.errors import NotConverged
from solvers.boxes import Equation, Solution, solve_on_axes
from solvers.chebyshev import chebyshev, chebyshev_axis
from solvers.kernel_collocation import kernel_solve

CHEBYSHEV, KERNELS = "Chebyshev", "kernels"
CLEAR = 10.0  # times a residual: the smaller one decides
BELOW = 3.0  # times the change on a finer grid: the other method errs more
FINER = 1.25  # times the points of an axis
PROBES = 97  # points of an axis where two solutions are compared
APART = 1e-2  # relative difference of different solutions
RESOLVED = 1e-5  # residual of a solution that counts as one
FIRST_STEP, LEAST_STEP = 0.25, 0.25 / 2**3  # of a continuation
log = logging.getLogger("rom")


@dataclass(frozen=True, eq=False)
class BoxAnswer:
    """The solution of the better method, and what is known besides.

    method : that found it; residuals : name -> relative residual between the nodes of each method
        that found a solution
    apart : relative difference of both methods, NaN with one alone
    others : different solutions of the equation, by who found them
    ended : continuation -> share of the reaction or data where it found no further solution
    """

    solution: Solution
    method: str
    residuals: dict[str, float]
    apart: float
    others: dict[str, Solution]
    ended: dict[str, float]

    @property
    def reason(self) -> str:
        """What was taken and why, and whether there are other solutions."""
        told = ", ".join(f"{name} {value:.1e}" for name, value in self.residuals.items())
        text = f"{self.method}: residuals between the nodes: {told}; apart by {self.apart:.1e}"
        if self.others:
            text += f"; this is not the only solution: {', '.join(self.others)} found another"
        for name, share in self.ended.items():
            text += f"; {name} ends at {100 * share:.0f} %: there may be other solutions"
        return text


def solve_box(equation: Equation, tol: float = 1e-9) -> BoxAnswer:
    """The solution by Chebyshev collocation or by kernels, whichever errs less.

    tol : of the residual at points that no solve uses
    With a reaction, what continues the linear problem and what continues zero data are compared:
    another solution is named and warned of, and so is a continuation that ends.
    Raises NotConverged where neither method resolves the equation.
    Reference: Boyd (2001), appendix D.
    """
    solved: dict[str, Solution] = {}
    methods = {
        CHEBYSHEV: lambda: chebyshev(equation, tol),
        KERNELS: lambda: kernel_solve(equation, tol=0.1 * tol)[0],
    }
    for name, solve in methods.items():
        try:
            solved[name] = solve()
        except NotConverged as error:
            log.info("%s: %s", name, error)
    if not solved:
        raise NotConverged(
            "neither Chebyshev collocation nor kernels resolve the equation; start from a "
            "solution of a weaker reaction, or check the data"
        )
    apart = difference(*solved.values()) if len(solved) == 2 else float("nan")
    method = choose_method(solved, apart)
    residuals = {name: solution.residual for name, solution in solved.items()}
    taken = solved[method]
    candidates, ended = dict(solved), {}
    if equation.reaction is not None and taken.residual < RESOLVED:
        for name, follow in PATHS.items():
            end, share = follow(equation, taken)
            if share < 1.0:
                ended[name] = share
            else:
                candidates[name] = end
    others = {
        name: other
        for name, other in candidates.items()
        if name != method and other.residual < RESOLVED and difference(taken, other) > APART
    }
    answer = BoxAnswer(taken, method, residuals, apart, others, ended)
    log.log(logging.WARNING if others or ended else logging.INFO, "%s", answer.reason)
    return answer


def choose_method(solved: dict[str, Solution], apart: float) -> str:
    """The method of clearly smaller residual, or what a finer Chebyshev grid tells.

    apart : relative difference of both solutions
    """
    if len(solved) == 1:
        return next(iter(solved))
    one, other = solved[CHEBYSHEV], solved[KERNELS]
    if one.residual * CLEAR < other.residual:
        return CHEBYSHEV
    if other.residual * CLEAR < one.residual:
        return KERNELS
    axes = []
    for axis, bounds, side in zip(one.axes, one.equation.bounds, one.equation.sides, strict=True):
        points = int(FINER * (axis.nodes.size - 1))
        axes.append(chebyshev_axis(bounds[0], bounds[1], points, side))
    try:
        change = difference(one, solve_on_axes(one.equation, tuple(axes), guess=one))
    except NotConverged:
        return KERNELS
    return CHEBYSHEV if apart > BELOW * change else KERNELS


def difference(one: Solution, other: Solution) -> float:
    """|u - v| / |u| in the rms over a grid of points that neither collocates."""
    x = [
        low + (high - low) * (np.arange(PROBES) + 0.5) / PROBES for low, high in one.equation.bounds
    ]
    u = one.on(*x)
    return float(np.linalg.norm(u - other.on(*x)) / max(float(np.linalg.norm(u)), 1e-300))


def continue_reaction(equation: Equation, like: Solution) -> tuple[Solution, float]:
    """From the linear problem, the reaction growing: (solution, share reached).

    like : whose axes are used
    """
    if equation.reaction is None:
        return like, 1.0
    g, slope = equation.reaction

    def part(share: float) -> Equation:
        reaction = (lambda u: share * g(u), lambda u: share * slope(u))
        return replace(equation, reaction=reaction)

    return _follow(part, solve_on_axes(replace(equation, reaction=None), like.axes))


def continue_data(equation: Equation, like: Solution) -> tuple[Solution, float]:
    """From zero, source and boundary data growing: (solution, share reached).

    like : whose axes are used
    """

    def part(share: float) -> Equation:
        return replace(
            equation,
            source=lambda *x: share * equation.source(*x),
            boundary=lambda *x: share * equation.boundary(*x),
        )

    return _follow(part, replace(like, C=np.zeros_like(like.C)))


def _follow(part: Callable[[float], Equation], solution: Solution) -> tuple[Solution, float]:
    """Solutions of part(share), each from the one before: the last one and its share."""
    share, step = 0.0, FIRST_STEP
    while share < 1.0:
        if step < LEAST_STEP:
            break
        trial = min(share + step, 1.0)
        try:
            solution = solve_on_axes(part(trial), solution.axes, guess=solution)
        except NotConverged:
            step *= 0.5
            continue
        share = trial
    return solution, share


PATHS = {
    "continuation from the linear problem": continue_reaction,
    "continuation from zero data": continue_data,
}
