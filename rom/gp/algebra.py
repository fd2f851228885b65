"""Dense factorisations that read the same on numpy arrays and torch tensors.

Everything is float64, on any device of torch, and nothing is repaired silently.
"""

from __future__ import annotations

import logging
from typing import Any

import numpy as np
import scipy.linalg as la

from rom.errors import BadInput, MissingExtra, Singular

JITTERS = (0.0, *np.logspace(-12, -4, 9))  # tried in this order, times the mean diagonal
log = logging.getLogger("rom")


def namespace(x: Any) -> Any:
    """The module that works on x: numpy or torch."""
    if isinstance(x, (np.ndarray, np.generic, float)):
        return np
    import torch

    return torch


def to_device(x: np.ndarray, device: str | None) -> Any:
    """x as float64: a numpy array for device None, or a torch tensor there.

    device : None, "cpu", "cuda", "cuda:1", ...
    Raises MissingExtra without torch, BadInput for a device that this machine does not have.
    """
    x = np.asarray(x, dtype=float)
    if device is None:
        return x
    try:
        import torch
    except ImportError as error:
        raise MissingExtra(
            "a device needs torch; pip install 'rom-platform[gp]', or device=None for numpy"
        ) from error
    try:
        return torch.as_tensor(x, dtype=torch.float64, device=device)
    except (RuntimeError, AssertionError) as error:
        reason = str(error).splitlines()[0]
        raise BadInput(f"device {device!r} is not there ({reason}); use None or 'cpu'") from error


def to_numpy(x: Any) -> np.ndarray:
    """x as a numpy array of this machine's memory."""
    return x if isinstance(x, np.ndarray) else x.detach().cpu().numpy()


def cholesky(K: Any, shift: float = 0.0) -> tuple[Any, float]:
    """(L, j): L L^T = K + (shift + j) I, j the least jitter to be definite.

    j is one of {0, 1e-12, 1e-11, ..., 1e-4} times the mean diagonal; any j > 0 is logged as a
    warning and returned. Raises Singular beyond 1e-4, or for NaN.
    """
    mean = float(K.diagonal().mean()) + shift
    for relative in JITTERS:
        L = _factor(K, shift + relative * mean)
        if L is not None:
            if relative:
                log.warning("covariance not definite: jitter %.0e of its diagonal added", relative)
            return L, relative * mean
    raise Singular(
        "the covariance is not definite even with 1e-4 of its diagonal added; "
        "look for NaN, or raise the nugget"
    )


def _factor(K: Any, shift: float) -> Any:
    """L of K + shift I, or None where that is not definite."""
    xp = namespace(K)
    A = np.array(K, order="C") if xp is np else K.clone().contiguous()
    A.reshape(-1)[:: len(A) + 1] += shift
    if xp is np:
        L, info = la.lapack.dpotrf(A.T, lower=1, overwrite_a=1)
        return L if info == 0 and np.isfinite(L.diagonal()).all() else None
    L, info = xp.linalg.cholesky_ex(A)
    return None if int(info) else L


def lower_solve(L: Any, B: Any, trans: bool = False) -> Any:
    """L^{-1} B, or L^{-T} B with trans."""
    xp = namespace(L)
    if xp is np:
        return la.solve_triangular(L, B, lower=True, trans=int(trans), check_finite=False)
    triangle = L.T if trans else L
    return xp.linalg.solve_triangular(triangle, B, upper=trans)


def both_solve(L: Any, B: Any) -> Any:
    """(L L^T)^{-1} B."""
    return lower_solve(L, lower_solve(L, B), trans=True)


def inverse(L: Any, scale: float = 1.0, C: Any = None) -> Any:
    """scale (L L^T)^{-1} - C C^T, symmetric to the last bit; in numpy L is used up."""
    C = L[:, :0] if C is None else C
    if namespace(L) is not np:
        return scale * namespace(L).cholesky_inverse(L) - C @ C.T
    half = la.lapack.dpotri(L, lower=1, overwrite_c=1)[0]
    if C.shape[1]:
        half = la.blas.dsyrk(-1.0, C, beta=scale, c=half, lower=1, overwrite_c=1)
    whole = half + half.T
    whole[np.diag_indices_from(whole)] *= 0.5
    return whole


def log_det(L: Any) -> float:
    """log |L L^T|."""
    return 2.0 * float(namespace(L).log(L.diagonal()).sum())
