"""Rows of a fit of a law to runs: by differences, or by weak integrals."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from rom.dynamics.forms import Polynomial
from rom.dynamics.runs import Runs

DIFFERENCES, WEAK = "differences", "weak"
SPAN = 10  # samples under one bump of the weak form
STRIDE = 2  # samples from one bump to the next


@dataclass(frozen=True, eq=False)
class Equations:
    """D x = R in scaled unknowns x = size O^T: D (k, Q d), R (k, r), size (Q d,)."""

    D: np.ndarray
    R: np.ndarray
    size: np.ndarray


def equations(form: Polynomial, runs: Runs, rows: str) -> Equations:
    """a' = O phi(a) at all samples, or under bumps, features scaled to their rms.

    rows : DIFFERENCES, derivatives of cubic splines; WEAK, -int b' a dt = O int b phi(a) dt with
        bumps b over SPAN samples, which noise disturbs less
    """
    D, R = [], []
    for a, mu in zip(runs.a, runs.mu, strict=True):
        columns = form.columns(a.T, np.repeat(mu[None], len(runs.t), axis=0))
        left, right = _differences(a, runs.t) if rows == DIFFERENCES else _bumps(a, runs.t)
        D.append(columns if left is None else left @ columns)
        R.append(right)
    return scale_equations(np.concatenate(D), np.concatenate(R))


def scale_equations(D: np.ndarray, R: np.ndarray) -> Equations:
    """D x = R with the columns of D scaled to an rms of one."""
    size = np.sqrt(np.mean(D**2, axis=0)) if len(D) else np.ones(D.shape[1])
    size = np.where(size > 0, size, 1.0)
    return Equations(D / size, R, size)


def _differences(a: np.ndarray, t: np.ndarray) -> tuple[np.ndarray | None, np.ndarray]:
    """No weights, and the derivative (n_t, r) of a spline through a (r, n_t)."""
    from scipy.interpolate import CubicSpline

    return None, CubicSpline(t, a, axis=1)(t, 1).T


def _bumps(a: np.ndarray, t: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """int b . dt as weights (k, n_t), and -int b' a dt (k, r); int b dt = 1.

    b = s^3 (1 - s)^3 and its two first derivatives vanish at the ends, where the trapezoid rule is
    then of fourth order.
    """
    span = min(SPAN, len(t) - 1)
    rule = np.zeros(len(t))
    rule[:-1] += 0.5 * np.diff(t)
    rule[1:] += 0.5 * np.diff(t)
    weights, slopes = [], []
    for first in range(0, len(t) - span, STRIDE):
        at = slice(first, first + span + 1)
        length = t[first + span] - t[first]
        s = (t[at] - t[first]) / length
        bump, slope = (s * (1 - s)) ** 3, 3 * (s * (1 - s)) ** 2 * (1 - 2 * s) / length
        row = np.zeros(len(t))
        row[at] = rule[at] * bump
        area = row.sum()
        weights.append(row / area)
        slopes.append(-(a[:, at] @ (rule[at] * slope)) / area)
    return np.array(weights), np.array(slopes)


def ridge_laws(
    system: Equations, weights: np.ndarray, r: int, prior: np.ndarray | None
) -> np.ndarray:
    """O^T of min |D x - R|^2 / k + w |x - x_0|^2, (len(weights), Q d, r).

    For each weight w.
    prior : (Q, r, d), what weight pulls towards; zero by default
    """
    k, columns = system.D.shape
    triangle = np.linalg.qr(np.column_stack([system.D, system.R]), mode="r") / np.sqrt(k)
    U, s, Wh = np.linalg.svd(triangle[:, :columns], full_matrices=False)
    right = U.T @ triangle[:, columns:]
    x0 = np.zeros((columns, r))
    if prior is not None:
        x0 = prior.transpose(0, 2, 1).reshape(columns, r) * system.size[:, None]
    laws = []
    for weight in weights:
        shifted = right - s[:, None] * (Wh @ x0)
        x = x0 + Wh.T @ ((s / (s**2 + weight))[:, None] * shifted)
        laws.append(x / system.size[:, None])
    return np.array(laws)
