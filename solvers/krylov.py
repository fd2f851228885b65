"""Block GMRES: one Krylov space for several right-hand sides.

Reference: Saad (2003).
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from rom.errors import NotConverged

Apply = Callable[[np.ndarray], np.ndarray]
DEPENDENT = 1e-10  # of the largest column: what is left of one that depends on the others


def block_gmres(
    apply: Apply,
    F: np.ndarray,
    tol: float = 1e-6,
    *,
    precondition: Apply | None = None,
    max_iterations: int = 300,
) -> tuple[np.ndarray, int]:
    """X (n, s) with |F - A X|_j <= tol |F_j|, and the iterations; A P Y = F, X = P Y.

    apply : U (n, k) -> A U; precondition : U -> P U ~ A^{-1} U
    The residuals are those of A itself, computed once more at the end.
    Raises NotConverged where max_iterations do not suffice.
    """
    P = precondition or _same
    sizes = np.linalg.norm(F, axis=0)
    live = sizes > 0
    if not live.any():
        return np.zeros(F.shape, dtype=complex), 0
    B = F[:, live] / sizes[live]
    left, values, right = np.linalg.svd(B, full_matrices=False)
    rank = int(np.sum(values > DEPENDENT * values[0]))
    Q = [np.ascontiguousarray(left[:, :rank]).astype(complex)]
    start = values[:rank, None] * right[:rank]
    H = np.zeros((rank, 0), dtype=complex)
    for step in range(1, max_iterations + 1):
        W = apply(P(Q[-1]))
        column = np.zeros((H.shape[0], rank), dtype=complex)
        basis = np.concatenate(Q, axis=1)
        for _ in range(2):
            C = basis.conj().T @ W
            W = W - basis @ C
            column += C
        new, R = np.linalg.qr(W)
        H = np.block([[H, column], [np.zeros((rank, H.shape[1])), R]])
        Q.append(new)
        rhs = np.zeros((H.shape[0], start.shape[1]), dtype=complex)
        rhs[:rank] = start
        Y = np.linalg.lstsq(H, rhs, rcond=None)[0]
        if (np.linalg.norm(rhs - H @ Y, axis=0) <= tol).all():
            X = np.zeros(F.shape, dtype=complex)
            X[:, live] = P(np.concatenate(Q[:-1], axis=1) @ Y) * sizes[live]
            return X, step
    raise NotConverged(
        f"block GMRES needs more than {max_iterations} iterations for {tol:g}; "
        "give a preconditioner or a larger tolerance"
    )


def _same(U: np.ndarray) -> np.ndarray:
    return U
