"""Restricted likelihoods of several groups of outputs at once on a torch device.

One batched Cholesky serves all their covariances.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from rom.errors import Singular
from rom.gp.algebra import to_numpy
from rom.gp.likelihood import TINY, cholesky

ROOM = 2**27  # numbers of all covariances in memory at once: 1 GiB

Answer = tuple[float, np.ndarray] | None  # value and gradient


def restricted_together(
    kernels: Sequence[Any], nuggets: Sequence[float], x: Any, parts: Sequence[Any], H: Any
) -> list[Answer]:
    """`restricted_likelihood` of each (kernel, nugget, outputs (n, r_g)).

    None where a covariance is not definite.
    """
    answers: list[Answer] = []
    step = max(1, ROOM // len(x) ** 2)
    for start in range(0, len(kernels), step):
        some = slice(start, start + step)
        answers += _restricted_stack(kernels[some], nuggets[some], x, parts[some], H)
    return answers


def _restricted_stack(
    kernels: Sequence[Any], nuggets: Sequence[float], x: Any, parts: Sequence[Any], H: Any
) -> list[Answer]:
    """G covariances as (G, n, n), outputs padded by zero columns to (G, n, r)."""
    import torch

    pairs = [kernel.pullback(x) for kernel in kernels]
    noise = torch.tensor(np.asarray(nuggets), dtype=x.dtype, device=x.device)
    L, definite = _lower(torch.stack([K for K, _ in pairs]), noise)
    counts = [part.shape[1] for part in parts]
    r = torch.tensor(counts, dtype=x.dtype, device=x.device)
    columns = [part.T for part in parts]
    a = torch.nn.utils.rnn.pad_sequence(columns, batch_first=True).mT
    real = torch.arange(a.shape[2], device=x.device) < r[:, None]
    half, LH, A = _project(L, H, a)
    free = len(x) - H.shape[1]
    variance = (half.square().sum(1) + TINY) / free
    log_variances = (variance.log() * real).sum(1)
    log_diagonals = _log_diagonal(L) + _log_diagonal(A)
    values = 0.5 * free * log_variances + r * log_diagonals
    W = _slopes_in_covariance(L, half / variance.sqrt()[:, None], LH, A, r)
    by_nugget = to_numpy(0.5 * noise * W.diagonal(dim1=1, dim2=2).sum(1))
    answers: list[Answer] = []
    for g, value in enumerate(to_numpy(values)):
        if not definite[g]:
            answers.append(None)
            continue
        by_theta = 0.5 * pairs[g][1](W[g])
        answers.append((float(value), np.append(by_theta, by_nugget[g])))
    return answers


def _project(L: Any, H: Any, a: Any) -> tuple[Any, Any, Any]:
    """(L^{-1} (a - H beta), L^{-1} H, A) of each, A A^T = H^T K^{-1} H."""
    import torch

    k = H.shape[1]
    trends = H.expand(len(L), *H.shape)
    both = torch.linalg.solve_triangular(L, torch.cat([trends, a], 2), upper=False)
    LH = both[:, :, :k]
    half = both[:, :, k:]
    gram = LH.mT @ LH
    if not k:
        return half, LH, gram
    A = torch.linalg.cholesky(gram)
    beta = torch.cholesky_solve(LH.mT @ half, A)
    return half - LH @ beta, LH, A


def _slopes_in_covariance(L: Any, scaled: Any, LH: Any, A: Any, r: Any) -> Any:
    """W (G, n, n) = r P - sum_i alpha_i alpha_i^T / sigma_i^2, twice the slope in K."""
    import torch

    if LH.shape[2]:
        trends = torch.linalg.solve_triangular(A, LH.mT, upper=False).mT
        scaled = torch.cat([scaled, r.sqrt()[:, None, None] * trends], 2)
    C = torch.linalg.solve_triangular(L.mT, scaled, upper=True)
    return r[:, None, None] * torch.cholesky_inverse(L) - C @ C.mT


def _log_diagonal(L: Any) -> Any:
    """sum log L_ii of each, half a log determinant."""
    return L.diagonal(dim1=1, dim2=2).log().sum(1)


def _lower(K: Any, noise: Any) -> tuple[Any, list[bool]]:
    """L L^T = K + noise I for a stack, and whether each is definite.

    One that is not gets the jitter of `cholesky`, or the identity and False.
    """
    import torch

    K.diagonal(dim1=1, dim2=2).add_(noise[:, None])
    L, info = torch.linalg.cholesky_ex(K)
    definite = [True] * len(K)
    for g in torch.nonzero(info).ravel().tolist():
        try:
            L[g] = cholesky(K[g])[0]
        except Singular:
            L[g] = torch.eye(K.shape[1], dtype=K.dtype, device=K.device)
            definite[g] = False
    return L, definite
