"""Differential equations on boxes by tensor products of one-dimensional bases.

Direct for linear ones, Newton for the others. An axis offers nodes and, for any coordinates, its
functions and their derivatives; how it tests the equation is its own affair.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.linalg as la
from scipy.sparse.linalg import LinearOperator, gmres

from rom.errors import BadInput, NotConverged
from rom.gp.tensors import apply_along

Field = Callable[..., np.ndarray]


@dataclass(frozen=True, eq=False)
class Equation:
    """sum_j (second_j u_jj + first_j u_j) + g(u) = f in a box, u = b on named sides.

    bounds (d, 2); first, second (d,); source f and boundary b : functions of d coordinate arrays
    sides : per axis "both", "low" (inflow) or "high"; reaction : (g, g') or None
    """

    bounds: np.ndarray
    source: Field
    boundary: Field
    second: tuple[float, ...]
    first: tuple[float, ...] = ()
    sides: tuple[str, ...] = ()
    reaction: (
        tuple[Callable[[np.ndarray], np.ndarray], Callable[[np.ndarray], np.ndarray]] | None
    ) = None

    def __post_init__(self) -> None:
        bounds = np.asarray(self.bounds, dtype=float)
        if (
            bounds.ndim != 2
            or bounds.shape[1] != 2
            or not (bounds[:, 0] < bounds[:, 1]).all()
            or len(bounds) not in (1, 2, 3)
        ):
            raise BadInput(f"bounds {bounds.tolist()} must be (d, 2), increasing, d at most 3")
        d = len(bounds)
        first, sides = tuple(self.first) or (0.0,) * d, tuple(self.sides) or ("both",) * d
        if not len(self.second) == len(first) == len(sides) == d or set(sides) - {
            "both",
            "low",
            "high",
        }:
            raise BadInput(f"{d} axes need as many second, first and sides (both, low or high)")
        if d == 3 and any(first):
            raise BadInput("first derivatives are supported in one and two dimensions")
        for name, value in (("bounds", bounds), ("first", first), ("sides", sides)):
            object.__setattr__(self, name, value)

    @property
    def d(self) -> int:
        """Number of axes."""
        return len(self.bounds)


@dataclass(frozen=True, eq=False)
class Axis:
    """k functions on [low, high], with values and derivatives at N nodes.

    Values, first and second derivatives D[0], D[1], D[2] (N, k).

    test (t, N) : from values at the nodes to the tested equations; evaluate(x, derivative) (n, k)
        free (k, t) spans what vanishes on the sides with data, fixed (k, c) the rest, ends (c, k)
        evaluates there
    """

    low: float
    high: float
    nodes: np.ndarray
    D: tuple[np.ndarray, np.ndarray, np.ndarray]
    test: np.ndarray
    free: np.ndarray
    fixed: np.ndarray
    ends: np.ndarray
    where: np.ndarray
    expand: np.ndarray
    evaluate: Callable[[np.ndarray, int], np.ndarray]
    symmetric: bool


@dataclass(frozen=True, eq=False)
class Solution:
    """u = sum C_ijk p_i q_j r_k on tensor axes.

    residual : relative equation residual at points that were not collocated
    """

    equation: Equation
    axes: tuple[Axis, ...]
    C: np.ndarray
    residual: float
    steps: int

    def on(self, *x: np.ndarray, derivative: Sequence[int] | None = None) -> np.ndarray:
        """u, or a derivative, on the tensor grid of coordinates x (one array per axis)."""
        orders = derivative or (0,) * len(x)
        return apply_along(
            [
                axis.evaluate(np.asarray(c), k)
                for axis, c, k in zip(self.axes, x, orders, strict=True)
            ],
            self.C,
        )

    def at(self, points: np.ndarray) -> np.ndarray:
        """u at scattered points (n, d), (n,)."""
        value = self.axes[-1].evaluate(points[:, -1], 0) @ np.moveaxis(self.C, -1, 0).reshape(
            self.C.shape[-1], -1
        )
        value = value.reshape(len(points), *self.C.shape[:-1])
        for j in range(len(self.axes) - 2, -1, -1):
            value = np.einsum("n...k,nk->n...", value, self.axes[j].evaluate(points[:, j], 0))
        return np.asarray(value)


def solve_on_axes(
    equation: Equation, axes: tuple[Axis, ...], tol: float = 1e-12, guess: Solution | None = None
) -> Solution:
    """The solution on given axes: data on the sides exactly, the equation tested.

    The equation holds where the axes test it.
    Raises NotConverged where Newton with step halving stalls. Reference: Boyd (2001), section 15.
    """
    inverse = _inverse(
        [_tested(axis, *pair) for axis, pair in zip(axes, _pairs(equation), strict=True)], axes
    )
    f = np.broadcast_to(
        equation.source(*_grids([axis.nodes for axis in axes])),
        tuple(axis.nodes.size for axis in axes),
    )
    C = _lifted(equation, axes)

    def residual(C: np.ndarray) -> np.ndarray:
        return np.asarray(f - _applied(equation, [axis.D for axis in axes], C))

    if guess is not None and equation.reaction is not None:
        C = (
            C
            + _spread(
                axes,
                apply_along(
                    [a.free.T @ a.expand for a in axes], guess.on(*(a.nodes for a in axes))
                ),
            )
            * 1.0
        )
    elif equation.reaction is not None:
        plain = f - _applied(equation, [axis.D for axis in axes], C, react=False)
        C = C + _spread(axes, inverse(_probed(axes, plain)))
    r = residual(C)
    for step in range(40):
        g = _probed(axes, r)
        dC = _spread(
            axes,
            inverse(g) if equation.reaction is None else _newton(equation, axes, C, g, inverse),
        )
        length = 1.0
        while length > 1e-4:
            tried = residual(C + length * dC)
            if (
                equation.reaction is None
                or np.linalg.norm(_probed(axes, tried)) < np.linalg.norm(g)
                or length * np.linalg.norm(dC) < 1e-13 * np.linalg.norm(C)
            ):
                break
            length /= 2
        C, r = C + length * dC, tried
        small = np.linalg.norm(dC) <= max(tol, 1e-13) * np.linalg.norm(C)
        if small or (equation.reaction is None and step >= 1):
            return Solution(equation, axes, C, _missed(equation, axes, C), step + 1)
        if length <= 1e-4:
            break
    relative = float(np.linalg.norm(_probed(axes, r))) / max(
        float(np.linalg.norm(_probed(axes, f))), 1e-300
    )
    if relative < 1e-9:
        return Solution(equation, axes, C, _missed(equation, axes, C), step + 1)
    raise NotConverged(
        f"Newton stalls at a relative residual of {relative:.1e}; "
        "start from a solution of a weaker reaction"
    )


def _pairs(equation: Equation) -> list[tuple[float, float]]:
    return list(zip(equation.first, equation.second, strict=True))


def _grids(x: Sequence[Any]) -> list[np.ndarray]:
    return list(np.meshgrid(*x, indexing="ij"))


def _tested(axis: Axis, first: float, second: float) -> np.ndarray:
    T = axis.test @ (first * axis.D[1] + second * axis.D[2]) @ axis.free
    return np.asarray(0.5 * (T + T.T) if axis.symmetric and not first else T)


def _probed(axes: Sequence[Axis], r: np.ndarray) -> np.ndarray:
    return apply_along([axis.test for axis in axes], r)


def _spread(axes: Sequence[Axis], V: np.ndarray) -> np.ndarray:
    return apply_along([axis.free for axis in axes], V)


def _applied(
    equation: Equation, D: Sequence[Sequence[np.ndarray]], C: np.ndarray, react: bool = True
) -> np.ndarray:
    """sum_j (second_j u_jj + first_j u_j) + g(u) at the nodes of D."""
    total = np.zeros([d[0].shape[0] for d in D])
    for j, (first, second) in enumerate(_pairs(equation)):
        if first or second:
            total = total + apply_along(
                [first * d[1] + second * d[2] if i == j else d[0] for i, d in enumerate(D)], C
            )
    if react and equation.reaction is not None:
        total = total + equation.reaction[0](apply_along([d[0] for d in D], C))
    return total


def _missed(equation: Equation, axes: Sequence[Axis], C: np.ndarray) -> float:
    """Rms residual between the nodes, relative to the equation's largest term.

    At points that no solve uses.
    """
    x = [
        axis.low + (axis.high - axis.low) * (np.arange(1, 98) * 0.6180339887498949 % 1.0)
        for axis in axes
    ]
    x = [np.sort(c)[:: 1 + (len(axes) > 2) * 3] for c in x]
    f = equation.source(*_grids(x))
    D = [[axis.evaluate(c, k) for k in range(3)] for axis, c in zip(axes, x, strict=True)]
    terms = [
        apply_along([first * d[1] + second * d[2] if i == j else d[0] for i, d in enumerate(D)], C)
        for j, (first, second) in enumerate(_pairs(equation))
    ]
    size = max(float(np.sqrt(np.mean(np.square(term)))) for term in [f, *terms])
    return float(np.sqrt(np.mean((f - _applied(equation, D, C)) ** 2)) / max(size, 1e-300))


def _lifted(equation: Equation, axes: tuple[Axis, ...]) -> np.ndarray:
    """Coefficients that carry the data of the sides.

    On each axis's fixed part in turn, the earlier ones left as they are.
    """
    C = np.zeros([axis.expand.shape[0] for axis in axes])
    for j, axis in enumerate(axes):
        if not axis.where.size:
            continue
        x = [axis.where if i == j else other.nodes for i, other in enumerate(axes)]
        data = np.broadcast_to(equation.boundary(*_grids(x)), [len(c) for c in x])
        target = apply_along(
            [None if i == j else other.expand for i, other in enumerate(axes)], data
        )
        missing = target - apply_along([axis.ends if i == j else None for i in range(len(axes))], C)
        carry = axis.fixed @ np.linalg.inv(axis.ends @ axis.fixed)
        earlier = [
            _vanishing(other) if i < j else carry if i == j else None
            for i, other in enumerate(axes)
        ]
        C = C + apply_along(earlier, missing)
    return C


def _vanishing(axis: Axis) -> np.ndarray:
    """The projection along `fixed` onto what vanishes on the sides.

    So a later axis's data leave an earlier one's alone.
    """
    onto_fixed = axis.fixed @ np.linalg.solve(axis.ends @ axis.fixed, axis.ends)
    return np.asarray(np.eye(axis.expand.shape[0]) - onto_fixed)


def _inverse(T: list[np.ndarray], axes: Sequence[Axis]) -> Callable[[np.ndarray], np.ndarray]:
    """F -> V with sum_j T_j V = F (T_j along axis j), from one decomposition per axis."""
    if len(T) == 1:
        factors = la.lu_factor(T[0])
        return lambda F: la.lu_solve(factors, F)
    if all(np.array_equal(t, t.T) for t in T):
        pairs = [np.linalg.eigh(t) for t in T]
        total = sum(
            np.reshape(w, [-1 if i == j else 1 for i in range(len(T))])
            for j, (w, _) in enumerate(pairs)
        )
        return lambda F: apply_along(
            [Q for _, Q in pairs], apply_along([Q.T for _, Q in pairs], F) / total
        )
    if len(T) > 2:
        raise BadInput(
            "three axes need symmetric operators; use the kernel axes without first derivatives"
        )
    (R1, Q1), (R2, Q2) = la.schur(T[0]), la.schur(T[1])

    def solve(F: np.ndarray) -> np.ndarray:
        V, scale, info = la.lapack.dtrsyl(R1, R2, Q1.T @ F @ Q2, tranb="T")
        if info < 0:
            raise BadInput(f"Sylvester: argument {-info}")
        return np.asarray(Q1 @ (V * scale) @ Q2.T)

    return solve


def _newton(
    equation: Equation,
    axes: Sequence[Axis],
    C: np.ndarray,
    g: np.ndarray,
    inverse: Callable[[np.ndarray], np.ndarray],
) -> np.ndarray:
    """The Newton update of the free coefficients.

    Dense on one axis, GMRES preconditioned by the linear part on more.
    """
    assert equation.reaction is not None
    slope = equation.reaction[1](apply_along([axis.D[0] for axis in axes], C))
    if len(axes) == 1:
        axis = axes[0]
        J = _tested(axis, *_pairs(equation)[0]) + axis.test @ (
            slope[:, None] * (axis.D[0] @ axis.free)
        )
        return np.linalg.solve(J, g)

    def step(v: np.ndarray) -> np.ndarray:
        V = inverse(v.reshape(g.shape))
        return np.asarray(
            v
            + _probed(
                axes, slope * apply_along([axis.D[0] @ axis.free for axis in axes], V)
            ).ravel()
        )

    A = LinearOperator((g.size, g.size), matvec=step, dtype=float)
    y, info = gmres(A, g.ravel(), rtol=1e-10, restart=60, maxiter=5)
    if info:
        raise NotConverged(
            "the linear solves of Newton's method stall; start from a solution of a weaker reaction"
        )
    return inverse(y.reshape(g.shape))
