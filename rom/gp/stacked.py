"""Restricted likelihoods of several groups of outputs at once on a torch device: one batched Cholesky for all their covariances."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from rom.errors import Singular
from rom.gp.algebra import cholesky, to_numpy

ROOM = 2**27
TINY = 1e-20


def restricted_together(
    kernels: Sequence[Any], nuggets: Sequence[float], x: Any, parts: Sequence[Any], H: Any
) -> list[tuple[float, np.ndarray] | None]:
    """`likelihood.restricted` of each (kernel, nugget, outputs (n, r_g)); None where a covariance is not definite.

    So many covariances are held at once as fit ROOM numbers (1 GiB).
    """
    answers: list[tuple[float, np.ndarray] | None] = []
    step = max(1, ROOM // len(x) ** 2)
    for some in (slice(k, k + step) for k in range(0, len(kernels), step)):
        answers += _answered(kernels[some], nuggets[some], x, parts[some], H)
    return answers


def _answered(
    kernels: Sequence[Any], nuggets: Sequence[float], x: Any, parts: Sequence[Any], H: Any
) -> list[tuple[float, np.ndarray] | None]:
    """With G covariances as (G, n, n) and outputs padded by zero columns to (G, n, r): W and value of `restricted`, then each pullback."""
    import torch

    matrices, pulls = zip(*(k.pullback(x) for k in kernels), strict=True)
    n, k, r = (
        len(x),
        H.shape[1],
        torch.tensor([part.shape[1] for part in parts], dtype=x.dtype, device=x.device),
    )
    noise = torch.tensor(np.asarray(nuggets), dtype=x.dtype, device=x.device)
    L, definite = _lower(torch.stack(matrices), noise)
    a = torch.nn.utils.rnn.pad_sequence([part.T for part in parts], batch_first=True).mT
    real = torch.arange(a.shape[2], device=x.device) < r[:, None]
    half = torch.linalg.solve_triangular(L, torch.cat([H.expand(len(L), n, k), a], 2), upper=False)
    LH, half = half[:, :, :k], half[:, :, k:]
    A = torch.linalg.cholesky(LH.mT @ LH) if k else LH.mT @ LH
    if k:
        half = half - LH @ torch.cholesky_solve(LH.mT @ half, A)
    variance = (half.square().sum(1) + TINY) / (n - k)
    logs = (
        (variance.log() * real).sum(1),
        L.diagonal(dim1=1, dim2=2).log().sum(1),
        A.diagonal(dim1=1, dim2=2).log().sum(1),
    )
    values = 0.5 * (n - k) * logs[0] + r * (logs[1] + logs[2])
    used = half / variance.sqrt()[:, None]
    if k:
        trends = torch.linalg.solve_triangular(A, LH.mT, upper=False).mT
        used = torch.cat([used, r.sqrt()[:, None, None] * trends], 2)
    C = torch.linalg.solve_triangular(L.mT, used, upper=True)
    W = r[:, None, None] * torch.cholesky_inverse(L) - C @ C.mT
    slopes = to_numpy(0.5 * noise * W.diagonal(dim1=1, dim2=2).sum(1))
    return [
        (float(value), np.append(0.5 * pull(w), slope)) if good else None
        for value, pull, w, slope, good in zip(
            to_numpy(values), pulls, W, slopes, definite, strict=True
        )
    ]


def _lower(K: Any, noise: Any) -> tuple[Any, list[bool]]:
    """L L^T = K + noise I for a stack; one that is not definite gets the jitter of `algebra.cholesky`, or the identity and False."""
    import torch

    K.diagonal(dim1=1, dim2=2).add_(noise[:, None])
    L, info = torch.linalg.cholesky_ex(K)
    definite = [True] * len(K)
    for g in torch.nonzero(info).ravel().tolist():
        try:
            L[g] = cholesky(K[g])[0]
        except Singular:
            L[g], definite[g] = torch.eye(K.shape[1], dtype=K.dtype, device=K.device), False
    return L, definite
