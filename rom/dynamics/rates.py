"""Laws by projection of a solver's rate, which is only called.

    min_O sum_j |O phi(a_j) - V^H X S(offset + V a_j; mu_j)|^2,  a_j at random

Where S is a polynomial of the degrees of phi this is the Galerkin projection, to round-off. States
off the data are what makes it so: on those of the runs alone the law is free elsewhere.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from rom.arrays import function, gate
from rom.basis import Basis
from rom.dynamics.flow_bands import with_profile
from rom.dynamics.forms import Polynomial, parameter_powers
from rom.dynamics.marching import region_of
from rom.dynamics.polynomial import PolynomialFlow
from rom.dynamics.runs import Runs, runs_on_basis
from rom.dynamics.starts import fit_start
from rom.errors import BadInput, SolveFailed
from rom.parameters import Box
from rom.snapshots import Snapshots

SolverRate = Callable[[np.ndarray, np.ndarray], np.ndarray]
PER_FEATURE = 3  # queries
FRESH = 0.25  # share of queries more, to measure the misfit with
AT_RUNS = 50  # states of the runs that the misfit is measured at
EXACT = 1e-10  # relative misfit that needs no further function of the parameters
GAIN = 0.5  # of the misfit, that another degree of the parameters must reach
MAX_POWER = 4  # of the parameters


@dataclass(frozen=True, eq=False)
class Queries:
    """States a (k, r), parameters mu (k, p), the solver's rate on the modes (k, r)."""

    a: np.ndarray
    mu: np.ndarray
    slope: np.ndarray


@gate(rate=function, snapshots=Snapshots, basis=Basis, box=Box)
def project_rate(
    rate: SolverRate,
    snapshots: Snapshots,
    basis: Basis,
    box: Box | None = None,
    *,
    degree: int = 2,
    form: Polynomial | None = None,
    rng: int | np.random.Generator = 0,
) -> PolynomialFlow:
    """a' = sum_q theta_q(mu) O_q phi(a), fitted to V^H X S(V a; mu) at random a.

    rate : S, (u (n,), mu (p,)) -> du/dt (n,) [units of u per s]
    snapshots : runs at the same times: how large a is, where the runs start
    box : of the parameters; random ones are taken there, else those of the runs
    degree : of the polynomial in a; form : of the law, by default all degrees up to it, with powers
        of the parameters as long as each halves the misfit
    Raises BadInput for runs without times, a rate of another shape; SolveFailed where it gives NaN.
    Reference: Peherstorfer and Willcox (2016); here the states are drawn, not taken from runs.
    """
    runs, rng = runs_on_basis(snapshots, basis), np.random.default_rng(rng)
    p = runs.mu.shape[1]
    powers = [None] if form is not None else list(range(MAX_POWER + 1 if p else 1))
    best: tuple[Polynomial, np.ndarray, float] | None = None
    spent, text = 0, []
    for power in powers:
        trial = form or Polynomial(tuple(range(degree + 1)), parameter_powers(p, power or 0))
        count = PER_FEATURE * trial.size(basis.r) * trial.functions(runs.mu)
        fit = draw_queries(rate, basis, runs, box, count, rng=rng)
        fresh = draw_queries(rate, basis, runs, box, int(np.ceil(FRESH * count)) + 1, rng=rng)
        spent += len(fit.a) + len(fresh.a)
        law = least_squares(trial, fit)
        misfit = relative_misfit(trial, law, fresh)
        text.append(f"{misfit:.2g}")
        gained = best is None or misfit < GAIN * best[2]
        if gained:
            best = (trial, law, misfit)
        if not gained or misfit < EXACT:
            break
    assert best is not None
    form, law, misfit = best
    region = region_of(runs.a)
    at_runs = relative_misfit(form, law, query_runs(rate, basis, runs, rng))
    powers_text = f", by powers of the parameters up to 0, 1, ...: {', '.join(text)}"
    flow = PolynomialFlow(
        basis=basis,
        form=form,
        operators=law,
        times=runs.t,
        centre=region.centre,
        half=region.half,
        start=fit_start(form, runs, basis),
        box=box,
        p=p,
        misfit=(misfit, at_runs),
        reason=f"projected from {spent} rates of the solver, misfit {misfit:.2g}"
        f"{powers_text if p else ''}",
    )
    return with_profile(flow, snapshots)


def draw_queries(
    rate: SolverRate,
    basis: Basis,
    runs: Runs,
    box: Box | None,
    count: int,
    *,
    rng: np.random.Generator,
) -> Queries:
    """The solver's rate at random states, with mean and deviation of the runs."""
    mean, std = runs.a.mean(axis=(0, 2)), runs.a.std(axis=(0, 2))
    std = np.maximum(std, 1e-6 * np.abs(runs.a).max())
    a = mean + std * rng.standard_normal((count, basis.r))
    p = runs.mu.shape[1]
    mu = runs.mu[rng.integers(len(runs.mu), size=count)]
    if box is not None and p:
        mu = box.from_unit(rng.random((count, p)))
    return Queries(a, mu, solver_slopes(rate, basis, a, mu))


def query_runs(rate: SolverRate, basis: Basis, runs: Runs, rng: np.random.Generator) -> Queries:
    """The solver's rate at some states of the runs, as the modes hold them."""
    run = rng.integers(len(runs.a), size=AT_RUNS)
    a, mu = runs.a[run, :, rng.integers(len(runs.t), size=AT_RUNS)], runs.mu[run]
    return Queries(a, mu, solver_slopes(rate, basis, a, mu))


def solver_slopes(rate: SolverRate, basis: Basis, a: np.ndarray, mu: np.ndarray) -> np.ndarray:
    """V^H X S(offset + V a; mu), (k, r) for a (k, r). Raises BadInput, SolveFailed."""
    states = basis.lift(a.T)
    slopes = np.empty_like(states)
    for k in range(len(a)):
        slope = np.asarray(rate(states[:, k], mu[k]))
        if slope.shape != (len(states),) or slope.dtype.kind not in "biuf":
            raise BadInput(
                f"the rate gives {slope.dtype} of shape {slope.shape} for a state "
                f"({len(states)},); give du/dt of the same shape"
            )
        if not np.isfinite(slope).all():
            raise SolveFailed(
                f"the rate gives NaN or Inf at mu = {mu[k]}, a = {np.round(a[k], 4)}; random "
                "states reach beyond those of the runs: let the rate answer there"
            )
        slopes[:, k] = slope
    return np.asarray(basis.space.inner(basis.modes, slopes)).T


def least_squares(form: Polynomial, queries: Queries) -> np.ndarray:
    """O (Q, r, d), with columns scaled to the size of their features."""
    D = form.columns(queries.a, queries.mu)
    size = np.sqrt(np.mean(D**2, axis=0))
    size = np.where(size > 0, size, 1.0)
    columns = np.linalg.lstsq(D / size, queries.slope, rcond=None)[0] / size[:, None]
    d = form.size(queries.a.shape[1])
    return np.asarray(columns.reshape(-1, d, queries.a.shape[1]).transpose(0, 2, 1))


def relative_misfit(form: Polynomial, operators: np.ndarray, queries: Queries) -> float:
    """|O phi(a) - slopes| / |slopes| over all queries."""
    Q, r, d = operators.shape
    columns = operators.transpose(0, 2, 1).reshape(Q * d, r)
    miss = form.columns(queries.a, queries.mu) @ columns - queries.slope
    size = float(np.linalg.norm(queries.slope))
    return float(np.linalg.norm(miss)) / max(size, np.finfo(float).tiny)
