"""Rates from one linear map between successive samples, Y_2 = A Y_1."""

from __future__ import annotations

import numpy as np
import scipy.linalg

from rom.arrays import VECTOR, array_of, gate
from rom.errors import BadInput, Singular

SERIES = array_of("(runs, r, n_t)")
EVEN = 1e-6  # relative deviation of steps in time that counts as even


@gate(y=SERIES, t=VECTOR)
def exact(y: np.ndarray, t: np.ndarray) -> np.ndarray:
    """Rates of A = Y_2 Y_1^+, (r,); y (runs, r, n_t). Noise damps them.

    Raises BadInput for uneven times or too few. Reference: Tu et al. (2014).
    """
    first, second, dt = _pairs(y, t)
    return _rates(np.linalg.lstsq(first.T, second.T, rcond=None)[0].T, dt)


@gate(y=SERIES, t=VECTOR)
def forward_backward(y: np.ndarray, t: np.ndarray) -> np.ndarray:
    """Rates of A = (A_f A_b^{-1})^{1/2}, both maps in one basis, (r,).

    Each root has the sign of the forward map's. Raises as `exact`. Reference: Dawson et al. (2016).
    """
    first, second, dt = _pairs(y, t)
    forward = np.linalg.lstsq(first.T, second.T, rcond=None)[0].T
    backward = np.linalg.lstsq(second.T, first.T, rcond=None)[0].T
    squares, W = np.linalg.eig(_solve(backward.T, forward.T).T)
    roots = np.sqrt(squares.astype(complex))
    along = _solve(W, forward @ W).diagonal()
    roots = np.where((roots.conj() * along).real < 0, -roots, roots)
    return _logarithms(roots, dt)


@gate(y=SERIES, t=VECTOR)
def total(y: np.ndarray, t: np.ndarray) -> np.ndarray:
    """Rates by total least squares, A = P_2 P_1^{-1}, (r,).

    P : the leading left vectors of [Y_1; Y_2].

    Raises as `exact`. Reference: Hemati et al. (2017).
    """
    first, second, dt = _pairs(y, t)
    r = len(first)
    U = np.linalg.svd(np.vstack([first, second]), full_matrices=False)[0][:, :r]
    return _rates(_solve(U[:r].T, U[r:].T).T, dt)


def trapezoid(y: np.ndarray, t: np.ndarray) -> np.ndarray:
    """Rates of y' = A y by the trapezoid rule between samples, at any times, (r,)."""
    steps = np.diff(t)
    slopes = np.concatenate(list((y[:, :, 1:] - y[:, :, :-1]) / steps), axis=1)
    means = np.concatenate(list(0.5 * (y[:, :, 1:] + y[:, :, :-1])), axis=1)
    return np.asarray(np.linalg.eigvals(np.linalg.lstsq(means.T, slopes.T, rcond=None)[0].T))


def delayed_rates(y: np.ndarray, t: np.ndarray, k: int) -> np.ndarray:
    """k rates of one run from the map between columns of delayed samples, (k,).

    The columns hold as many samples one after the other as half the times, and are cut to their
    k leading singular vectors. Raises as `exact`. Reference: Arbabi and Mezic (2017).
    """
    n_t = y.shape[2]
    d = n_t // 2
    columns = np.concatenate([y[:, :, j : n_t - d + 1 + j] for j in range(d)], axis=1)
    U = np.linalg.svd(columns[0], full_matrices=False)[0]
    return exact((U[:, :k].T @ columns[0])[None], t[: columns.shape[2]])


def _pairs(y: np.ndarray, t: np.ndarray) -> tuple[np.ndarray, np.ndarray, float]:
    if len(t) != y.shape[2] or len(t) < 2:
        raise BadInput(f"y has {y.shape[2]} times, t {len(t)}; give the same, two at least")
    steps = np.diff(t)
    dt = float(steps.mean())
    if not dt > 0:
        raise BadInput("the times do not rise; sort the samples")
    if np.abs(steps - dt).max() > EVEN * dt:
        raise BadInput("the times are uneven; take the optimised decomposition, which allows them")
    first, second = (np.concatenate(list(part), axis=1) for part in (y[:, :, :-1], y[:, :, 1:]))
    if first.shape[1] < len(first):
        raise BadInput(f"{first.shape[1]} steps give no map of {len(first)} modes; take fewer")
    return first, second, dt


def _solve(A: np.ndarray, B: np.ndarray) -> np.ndarray:
    """A^{-1} B. Raises Singular."""
    try:
        return np.asarray(np.linalg.solve(A, B))
    except np.linalg.LinAlgError as error:
        raise Singular("the samples span fewer than r modes; take fewer modes") from error


def _rates(A: np.ndarray, dt: float) -> np.ndarray:
    return _logarithms(scipy.linalg.eigvals(A), dt)


def _logarithms(eigenvalues: np.ndarray, dt: float) -> np.ndarray:
    """log(lambda) / dt. Raises Singular for an eigenvalue of zero."""
    if not np.abs(eigenvalues).min() > 0:
        raise Singular("the map between samples has an eigenvalue of zero; take fewer modes")
    return np.asarray(np.log(eigenvalues.astype(complex)) / dt)
