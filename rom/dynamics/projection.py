"""Sums of exponentials fitted to series by variable projection.

min over alpha, B of |H - Phi(alpha) B|_F,  Phi_ij = exp(alpha_j t_i),  H (n_t, q)

With Phi = Q R, D = diag(t) Phi and W = (I - Q Q^*) D the normal matrix of the rates alone is
G = (W^* W) o (conj(B) B^T) (Kaufman's Jacobian). Reference: Golub and Pereyra (2003).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from rom.errors import NotConverged

MAX_STEPS = 200
DAMPING, EASED, RAISED = 1e-3, 0.3, 4.0  # of the normal matrix; after a good and a bad step
MAX_DAMPING = 1e12
LARGEST_GROWTH = 600.0  # of exp over the times


@dataclass(frozen=True, eq=False)
class Fit:
    """alpha (k,), B (k, q), and where they were fitted.

    G (k, k) : normal matrix of the rates; gram (k, k) : Phi^* Phi; cross (k, k) : Phi^+ D
    square : |H - Phi B|^2; residual (n_t, q); steps : that were taken
    """

    alpha: np.ndarray
    B: np.ndarray
    G: np.ndarray
    gram: np.ndarray
    cross: np.ndarray
    residual: np.ndarray
    steps: int

    @property
    def square(self) -> float:
        """|H - Phi B|^2."""
        return float(np.vdot(self.residual, self.residual).real)


def fit_exponentials(H: np.ndarray, t: np.ndarray, start: np.ndarray, *, tol: float = 1e-10) -> Fit:
    """The fit nearest to the rates `start` (k,); t from zero.

    Raises NotConverged where a step of relative size `tol` is not reached.
    """
    now = evaluate(H, t, start, 0)
    damping = DAMPING
    for steps in range(1, MAX_STEPS + 1):
        step = _step(now, H, t, damping)
        trial = None if step is None else _trial(H, t, now.alpha + step, steps)
        if trial is None or trial.square > now.square:
            damping *= RAISED
            if damping > MAX_DAMPING:
                return now
            continue
        small = np.abs(trial.alpha - now.alpha).max() < tol * max(1e-300, np.abs(now.alpha).max())
        now, damping = trial, EASED * damping
        if small:
            return now
    raise NotConverged(
        f"the rates still move after {MAX_STEPS} steps, residual {now.square**0.5:.3g}; take fewer "
        "modes, or more times"
    )


def evaluate(H: np.ndarray, t: np.ndarray, alpha: np.ndarray, steps: int) -> Fit:
    """Amplitudes, residual and normal matrices at given rates."""
    Phi = np.exp(np.outer(t, alpha))
    Q, R = np.linalg.qr(Phi)
    B = np.linalg.solve(R, Q.conj().T @ H)
    D = t[:, None] * Phi
    within = Q.conj().T @ D
    W = D - Q @ within
    G = (W.conj().T @ W) * (B.conj() @ B.T)
    residual = H - Phi @ B
    return Fit(alpha, B, G, R.conj().T @ R, np.linalg.solve(R, within), residual, steps)


def _step(now: Fit, H: np.ndarray, t: np.ndarray, damping: float) -> np.ndarray | None:
    """Levenberg and Marquardt's step in the rates; None where it does not exist."""
    Phi = np.exp(np.outer(t, now.alpha))
    D = t[:, None] * Phi
    slope = np.sum((D.conj().T @ now.residual) * now.B.conj(), axis=1)
    matrix = now.G + damping * np.diag(now.G.diagonal().real)
    try:
        step = np.linalg.solve(matrix, slope)
    except np.linalg.LinAlgError:
        return None
    return step if np.isfinite(step).all() else None


def _trial(H: np.ndarray, t: np.ndarray, alpha: np.ndarray, steps: int) -> Fit | None:
    """The fit at trial rates; None where their exponentials overflow or coincide."""
    if np.abs(alpha.real).max() * t[-1] > LARGEST_GROWTH:
        return None
    try:
        trial = evaluate(H, t, alpha, steps)
    except np.linalg.LinAlgError:
        return None
    return trial if np.isfinite(trial.square) else None
