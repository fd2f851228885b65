"""Dynamic mode decomposition: optimised, or by one linear map."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from rom.arrays import gate
from rom.basis import Basis
from rom.compress.blocks import numbered_blocks
from rom.dynamics.flows import LinearFlow
from rom.dynamics.operators import delayed_rates, trapezoid
from rom.dynamics.projection import Fit, evaluate, fit_exponentials
from rom.dynamics.runs import check_one_parameter, runs_on_basis
from rom.errors import BadInput, NotConverged
from rom.snapshots import Snapshots

Rates = Callable[[np.ndarray, np.ndarray], np.ndarray]
PAIR = 1e-6  # relative distance of a rate from the conjugate of its partner


@gate(snapshots=Snapshots, basis=Basis)
def dmd(
    snapshots: Snapshots, basis: Basis, *, rates: Rates | None = None, count: int | None = None
) -> LinearFlow:
    """u(t) = V sum_j W_j b_j exp(alpha_j (t - t_0)), by least squares.

    Over all samples and times.

    snapshots : one run, or several of one system from other starts, all at the same times
    basis : V, as many modes as rates
    rates : (y (runs, r, n_t), t) -> alpha, one of `exact`, `forward_backward` and `total`; by
        default optimised from the trapezoid rule, with covariances
    count : of rates, by default r; more than r, as of few sensors, are optimised from a map of
        delayed samples, and answer the one run alone, for a start does not tell their amplitudes
    Raises BadInput for runs without times, or with other times or parameters, and counts that the
    samples do not tell; NotConverged.
    Reference: Askham and Kutz (2018).
    """
    runs = runs_on_basis(snapshots, basis)
    check_one_parameter(runs)
    y, t = runs.a, runs.t
    span = t - t[0]
    H = y.transpose(2, 0, 1).reshape(len(t), -1)
    k = basis.r if count is None else int(count)
    _check_count(k, y, t, rates)
    if rates is None:
        start = trapezoid(y, t) if k == basis.r else delayed_rates(y, t, k)
        fit = fit_exponentials(H, span, start)
    else:
        fit = evaluate(H, span, rates(y, t), 0)
    if not np.isfinite(fit.square):
        raise NotConverged("the rates grow beyond all numbers; take fewer modes")
    lifted = H - fit.residual
    missed = _missed(snapshots, basis, lifted.real.reshape(len(t), len(y), -1))
    return _flow(fit, basis, t, missed=missed, optimised=rates is None)


def _check_count(k: int, y: np.ndarray, t: np.ndarray, rates: Rates | None) -> None:
    """Raises BadInput for a count of rates that the samples do not tell."""
    m, r, n_t = y.shape
    if n_t < 2 * k + 1:
        raise BadInput(f"{n_t} times tell no {k} rates; take at most {(n_t - 1) // 2}")
    if k < r or (k > r and (rates is not None or m > 1)):
        raise BadInput(
            f"{k} rates of {r} modes and {m} run(s): take as many rates as modes; more are of one "
            "run, and are always optimised"
        )


def _missed(snapshots: Snapshots, basis: Basis, y: np.ndarray) -> np.ndarray:
    """Rms (n,) of what the law misses, over times, runs and the rows of a field."""
    a = y.transpose(2, 1, 0).reshape(y.shape[2], -1)
    squares = np.zeros(basis.space.n)
    for columns, u in numbered_blocks(snapshots):
        squares += np.sum((u - basis.lift(a[:, columns])) ** 2, axis=1)
    squares /= snapshots.m
    fields = basis.space.fields
    every: list[Any] = [part.rows for part in fields] or [slice(None)]
    for rows in every:
        squares[rows] = squares[rows].mean()
    return np.asarray(np.sqrt(squares))


def _flow(
    fit: Fit, basis: Basis, t: np.ndarray, *, missed: np.ndarray, optimised: bool
) -> LinearFlow:
    """The model of a fit, rates in order of growth, conjugates together."""
    order = np.lexsort((-fit.alpha.imag, np.abs(fit.alpha.imag), -np.round(fit.alpha.real, 12)))
    _check_pairs(fit.alpha)
    q = fit.B.shape[1]
    free = len(t) * q - len(fit.alpha) * (q + 1)
    runs = q // basis.r
    variance = fit.square / free if optimised and free > 0 else np.nan
    grid = np.ix_(order, order)
    whiteness = _lag_correlation(fit.residual.real)
    return LinearFlow(
        basis=basis,
        times=t,
        rates=fit.alpha[order],
        amplitudes=fit.B[order].reshape(len(order), runs, basis.r),
        variance=float(variance),
        noise=missed * np.sqrt(len(t) / max(1, len(t) - len(fit.alpha))),
        normal=fit.G[grid],
        gram=fit.gram[grid],
        cross=fit.cross[grid],
        lag=whiteness,
    )


def _check_pairs(alpha: np.ndarray) -> None:
    """Raises NotConverged where rates of real series are not conjugate in pairs."""
    gaps = np.abs(alpha[:, None].conj() - alpha).min(axis=1)
    if gaps.max() > PAIR * np.abs(alpha).max():
        raise NotConverged("the rates are not conjugate in pairs; take one mode more or fewer")


def _lag_correlation(residual: np.ndarray) -> float:
    """Correlation of the residual with itself one sample later."""
    square = float(np.sum(residual**2))
    return float(np.sum(residual[1:] * residual[:-1]) / square) if square > 0 else 0.0
