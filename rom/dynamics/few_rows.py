"""From a nonlinear problem, its runs and a basis to a model of few rows.

    DEIM       N ~ W (P^T W)^+ P^T N, W modes of N over the runs:  N_r = V^T W (P^T W)^+ N_I
    cubature   V^T N ~ sum_{i in I} w_i V_i N_i, w > 0:            N_r = V_I^T diag(w) N_I

References: Chaturantabut and Sorensen (2010); Hernandez, Caicedo and Ferrer (2017).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import scipy.sparse as sp

from rom.affine import Affine
from rom.arrays import gate
from rom.basis import Basis
from rom.compress import pod
from rom.dynamics.estimates import with_ratio
from rom.dynamics.forms import Polynomial, parameter_powers
from rom.dynamics.nonlinear import NonlinearModel, ReducedTerm, ResidualRows
from rom.dynamics.runs import Runs, runs_on_basis
from rom.dynamics.starts import fit_start
from rom.dynamics.stencils import check_term, read_rows
from rom.errors import BadInput
from rom.points import compress_contributions, ecm, gappy, gappy_points, qdeim
from rom.problem import Problem
from rom.snapshots import Snapshots
from rom.space import Space, euclidean

RULES = ("deim", "cubature")
MAX_STATES = 500  # of the runs, at which the term is evaluated
SHARE = 0.1  # of the projection error of the runs, to which the term is told
CONDITION = 20.0  # of the rows of DEIM, reached by more rows than modes
MAX_POWER = 2  # of the parameters, in the starts
EXACT_PRODUCTS = 2_000  # of modes and term, that a cubature integrates as they are
PRODUCTS = 1_000  # random combinations of more of them
CHECK_ROWS = 300  # at which the residual is estimated
CHECK_RUNS = 5  # of the training, whose residuals say where rows are drawn


@dataclass(frozen=True, eq=False)
class FullEquation:
    """An equation on all rows: V (n, r), M (n, n) or None, A, f and term."""

    V: np.ndarray
    M: Any
    A: Affine | None
    f: Affine | None
    term: Any


@gate(problem=Problem, snapshots=Snapshots, basis=Basis)
def nonlinear_model(
    problem: Problem,
    snapshots: Snapshots,
    basis: Basis,
    *,
    rule: str = "deim",
    tol: float | None = None,
    steps: int = 1,
    theta: float = 1.0,
    rng: int | np.random.Generator = 0,
) -> NonlinearModel:
    """M_r a' + A_r a + N_r(a) = f_r by Galerkin's method, N_r from few rows of N.

    problem : with `term`, and A, f and M where there are; steady where snapshots have no times
    snapshots : runs of it on the space of the basis; rule : of RULES
    tol : relative, to which the modes or the points tell the term at the runs; by default a tenth
        of what the modes miss of them
    steps : of the theta-scheme from one of the times to the next
    Raises BadInput without a term, for one whose rows or slopes are wrong, a basis with an offset,
    a space over several ranks, and an unknown rule.
    """
    _check(problem, basis, rule, steps, theta)
    n, V = basis.space.n, basis.modes
    M = None
    if snapshots.t is not None:
        M = sp.eye_array(n, format="csr") if problem.M is None else problem.M
    full = FullEquation(V, M, problem.A, problem.f, problem.term)
    runs = _runs(snapshots, basis)
    rng = np.random.default_rng(rng)
    tol = max(SHARE * _missed(snapshots, basis), 1e-10) if tol is None else tol
    a, mus = _states(runs)
    check_term(full.term, V @ a[:, :: max(1, len(mus) // 3)], mus[:: max(1, len(mus) // 3)])
    values = np.stack(
        [term_values(full.term, V @ x, mu) for x, mu in zip(a.T, mus, strict=True)], 1
    )
    rows, B, reason = (_deim if rule == "deim" else _cubature)(V, values, tol)
    term = full.term.restrict(rows)
    form, starts = (None, None) if full.M is None else _starts(runs, basis)
    first = snapshots.u[:, :: runs.a.shape[2]] - basis.lift(runs.a[:, :, 0].T)
    model = NonlinearModel(
        basis=basis,
        term=ReducedTerm(term, modes_at(V, term.reads), B),
        mus=runs.mu,
        guesses=runs.a[:, :, 0],
        M=None if full.M is None else V.T @ (full.M @ V),
        A=None if full.A is None else full.A.project(basis),
        f=None if full.f is None else full.f.project(basis),
        times=None if full.M is None else runs.t,
        steps=steps,
        theta=theta,
        form=form,
        starts=starts,
        first_miss=float(np.sqrt(np.mean(first**2))),
        box=problem.box,
        rule=rule,
        reason=reason,
    )
    model = replace(model, rows=_draw_rows(full, model, runs, rng))
    return with_ratio(model, snapshots)


def _check(problem: Problem, basis: Basis, rule: str, steps: int, theta: float) -> None:
    """Raises BadInput for what makes no model."""
    if problem.term is None:
        raise BadInput(
            "the problem has no nonlinear term; give it `term`, rows of N(u; mu) as of "
            "rom.dynamics.Stencil"
        )
    if rule not in RULES:
        raise BadInput(f"no rule {rule!r} of rows; choose one of {', '.join(RULES)}")
    if basis.space.spread:
        raise BadInput("a nonlinear model is trained on one rank; run it without mpiexec")
    if np.any(basis.offset) or np.iscomplexobj(basis.modes):
        raise BadInput("a nonlinear model takes real modes without offset: pod(..., center=False)")
    if steps < 1 or not 0.5 <= theta <= 1.0:
        raise BadInput(f"steps = {steps}, theta = {theta:g}: give at least 1, and .5 to 1")


def _runs(snapshots: Snapshots, basis: Basis) -> Runs:
    """The runs on the basis; steady ones have the one time 0."""
    if snapshots.t is not None:
        return runs_on_basis(snapshots, basis)
    a = np.asarray(basis.coefficients(snapshots.u[:]))
    return Runs(a.T[:, :, None], np.asarray(snapshots.mu), np.zeros(1))


def _missed(snapshots: Snapshots, basis: Basis) -> float:
    """Relative projection error of the runs."""
    if np.isfinite(basis.error):
        return basis.error
    u = np.asarray(snapshots.u[:])
    rest = u - basis.lift(basis.coefficients(u))
    size = np.linalg.norm(basis.space.norm(u))
    return float(np.linalg.norm(basis.space.norm(rest)) / max(size, np.finfo(float).tiny))


def _states(runs: Runs) -> tuple[np.ndarray, np.ndarray]:
    """Some coefficients of the runs (r, q), and their parameters (q, p)."""
    m, r, n_t = runs.a.shape
    a, mus = runs.a.transpose(1, 0, 2).reshape(r, m * n_t), np.repeat(runs.mu, n_t, axis=0)
    which = np.unique(np.linspace(0, m * n_t - 1, min(m * n_t, MAX_STATES)).astype(int))
    return a[:, which], mus[which]


def term_values(term: Any, u: np.ndarray, mu: np.ndarray) -> np.ndarray:
    """N(u; mu) on the rows of a term."""
    return np.asarray(term(read_rows(u, term.reads), mu)[0])


def modes_at(V: np.ndarray, reads: np.ndarray) -> np.ndarray:
    """V (n, r) where rows read, (k, s, r)."""
    return np.asarray(read_rows(V, reads))


def _deim(V: np.ndarray, values: np.ndarray, tol: float) -> tuple[np.ndarray, np.ndarray, str]:
    """Rows I, B = V^T W (P^T W)^+, and what was reached."""
    if not np.any(values):
        raise BadInput("the term is zero at all runs; take --kind projection")
    m = values.shape[1]
    modes = pod(Snapshots(euclidean(len(V)), np.zeros((m, 0)), values), tol=tol)[0]
    own = qdeim(modes.modes).dofs
    rows = np.concatenate([own, gappy_points(modes, own, CONDITION)])
    fit = gappy(modes, rows)
    B = V.T @ fit(np.eye(len(rows)))
    return rows, B, f"{modes.r} modes of the term, {modes.error:.2g} of it missed at the runs"


def _cubature(V: np.ndarray, values: np.ndarray, tol: float) -> tuple[np.ndarray, np.ndarray, str]:
    """Rows I, B = V_I^T diag(w), and what was reached."""
    n, m = values.shape
    modes = pod(Snapshots(euclidean(n), np.zeros((m, 0)), values), tol=tol)[0]
    stress = modes.modes * np.asarray(modes.s)[: modes.r]
    points = Space(np.ones(n), np.arange(n))
    if V.shape[1] * modes.r <= EXACT_PRODUCTS:
        rows = compress_contributions(points, V[:, None, :], stress[:, None, :], tol)
    else:
        rng = np.random.default_rng(0)
        sides = (part @ rng.standard_normal((part.shape[1], PRODUCTS)) for part in (V, stress))
        rows = np.prod(list(sides), axis=0).T
    rule = ecm(rows, points, tol)
    order = np.argsort(rule.elements)
    chosen, weights = rule.elements[order], rule.weights[order]
    return chosen, V[chosen].T * weights, f"integrals to {rule.error:.2g}, {rule.reason}"


def _starts(runs: Runs, basis: Basis) -> tuple[Polynomial | None, np.ndarray | None]:
    """Where runs start, by powers of parameters; None where these do not tell."""
    p = runs.mu.shape[1]
    for power in range(MAX_POWER + 1 if p else 1):
        form = Polynomial((1,), parameter_powers(p, power))
        starts = fit_start(form, runs, basis)
        if starts is not None:
            return form, starts
    return None, None


def _draw_rows(
    full: FullEquation, model: NonlinearModel, runs: Runs, rng: np.random.Generator
) -> ResidualRows:
    """Rows drawn half evenly, half as the squares of residuals of some runs."""
    n, V = len(full.V), full.V
    diagonal = np.ones(n) if full.M is None else np.asarray(full.M.diagonal())
    if not (diagonal > 0).all():
        raise BadInput("M has a row without a positive diagonal; give a mass matrix")
    squares = np.zeros(n)
    for k in np.unique(np.linspace(0, len(runs.a) - 1, CHECK_RUNS).astype(int)):
        a, _ = model.follow(runs.mu[k], runs.a[k, :, 0], 0.0)
        for rho in _residuals(full, model, runs.mu[k], a):
            squares += (rho / diagonal) ** 2
    total = squares.sum()
    chance = np.full(n, 1 / n) if not total > 0 else 0.5 / n + 0.5 * squares / total
    drawn = rng.choice(n, size=min(CHECK_ROWS, n), p=chance)
    rows, count = np.unique(drawn, return_counts=True)
    share = count / (len(drawn) * n * chance[rows] * diagonal[rows] ** 2)
    term = full.term.restrict(rows)
    A, f = full.A, full.f
    return ResidualRows(
        term,
        modes_at(V, term.reads),
        share,
        None if full.M is None else np.asarray((full.M @ V)[rows]),
        None if A is None else Affine(A.theta, np.stack([(one @ V)[rows] for one in A.terms])),
        None if f is None else Affine(f.theta, np.stack([one[rows] for one in f.terms])),
    )


def _residuals(full: FullEquation, model: NonlinearModel, mu: np.ndarray, a: np.ndarray) -> Any:
    """rho (n,) on all rows at some times of a (r, n_t)."""
    times = model.times
    a = a[:, np.isfinite(a).all(axis=0)]
    every = range(a.shape[1]) if times is None else range(1, a.shape[1], max(1, a.shape[1] // 20))
    for k in every:
        state = a[:, k]
        if times is not None:
            state = model.theta * a[:, k] + (1 - model.theta) * a[:, k - 1]
        u = full.V @ state
        rho = term_values(full.term, u, mu)
        if full.A is not None:
            rho = rho + full.A(mu) @ u
        if full.f is not None:
            rho = rho - full.f(mu)
        if times is not None:
            rate = (a[:, k] - a[:, k - 1]) / (times[k] - times[k - 1])
            rho = rho + full.M @ (full.V @ rate)
        yield rho
