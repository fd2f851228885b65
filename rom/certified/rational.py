"""Separation by rational functions of one parameter: no kernel and no oracle.

beta_m(mu) = w_m / (mu - mu_m) / sum_j w_j / (mu - mu_j)
"""

from __future__ import annotations

import numpy as np

from rom.arrays import COLUMNS, OUTPUTS, gate
from rom.errors import BadInput, NotConverged
from rom.parameters import parameter_rows
from rom.points.interpolation import FLOOR
from rom.rule import Barycentric


@gate(train=OUTPUTS, sample=COLUMNS)
def rational_weights(
    train: np.ndarray, sample: np.ndarray, *, tol: float = 1e-12, rank: int | None = None
) -> Barycentric:
    """Set-valued AAA: one set of support points and weights for all rows of a sketch.

    train : (m, 1); sample : (s, m), columns are a few entries, or products with random vectors,
    of A(mu_j)
    Raises NotConverged where no rational function of this degree fits.
    """
    mu, F = parameter_rows(train)[:, 0], sample.T
    if F.shape[0] != len(mu):
        raise BadInput(
            f"sample of shape {np.shape(sample)} for {len(mu)} parameters; give finite columns, "
            "one per parameter"
        )
    if np.unique(mu).size < mu.size:
        raise BadInput("some training parameters are equal; give each once")
    F = F / np.abs(F).max(axis=0).clip(min=np.finfo(float).tiny)
    target = max(tol, FLOOR)
    max_rank = (len(mu) - 1) // 2 if rank is None else rank
    w, fit = np.zeros(0), np.broadcast_to(F.mean(axis=0), F.shape)
    support: list[int] = []
    errors: list[float] = []
    while True:
        defect = np.abs(F - fit)
        error = float(defect.max())
        errors.append(error)
        if error <= target or len(w) >= max_rank:
            break
        support.append(int(np.argmax(defect.max(axis=1))))
        w, fit = _barycentric_fit(mu, F, support)
    if error > target and rank is None:
        raise NotConverged(
            f"rational fit at {error:.1e} > {tol:g} with {len(w)} samples; "
            "give more training parameters"
        )
    reason = f"tol {tol:g} reached" if error <= target else f"rank {max_rank} reached"
    return Barycentric(mu[support][:, None], w, np.array(errors), reason)


def _barycentric_fit(
    mu: np.ndarray, F: np.ndarray, support: list[int]
) -> tuple[np.ndarray, np.ndarray]:
    """Weights w that minimise |sum_j w_j (F - F_j) / (mu - mu_j)|, and the fit (m, s)."""
    rest = np.setdiff1d(np.arange(len(mu)), support)
    cauchy = 1.0 / (mu[rest, None] - mu[support])
    differences = F[rest, :, None] - F[support].T[None]
    loewner = (differences * cauchy[:, None, :]).reshape(-1, len(support))
    R = np.linalg.qr(loewner, mode="r")
    w = np.linalg.svd(R)[2][-1].conj()
    fit = F.copy()
    fit[rest] = (cauchy * w) @ F[support] / (cauchy @ w)[:, None]
    return w, fit
