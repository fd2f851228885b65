"""Inf-sup constants of operators that are only applied, by inverse iteration.

    beta^2 = min over v of |A v|_{X'}^2 / |v|_X^2,   v <- A^{-1} X A^{-H} X v

Each solve is GMRES of the products, with a random start: the constant is approached from above and
the iteration ends where it moves no more. It is measured, not proved.

Reference: Golub and Van Loan (2013).
"""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.sparse.linalg import LinearOperator, gmres

from rom.errors import NotConverged
from rom.space import Space

SOLVES = 1e-6  # relative residual of the inner solves
STEADY = 1e-3  # relative change of the constant that ends the iteration
MAX_SWEEPS = 100
SEED = 0


def smallest_constant(A: Any, space: Space) -> float:
    """inf_u sup_v |v^H A u| / |u|_X |v|_X of an operator with products and adjoint.

    A : Applied or AppliedSum (n, n), set up once. Raises NotConverged.
    """
    rng = np.random.default_rng(SEED)
    v = rng.standard_normal(space.n) + 1j * rng.standard_normal(space.n)
    with A.open() as products:
        before = np.inf
        for _ in range(MAX_SWEEPS):
            v = v / space.norm(v)
            w = _solve(products.H, space.apply(v))
            v = _solve(products, space.apply(w))
            beta = float(space.norm(w) / space.norm(v))
            if abs(beta - before) <= STEADY * beta:
                return beta
            before = beta
    raise NotConverged(
        f"inverse iteration moves the inf-sup constant after {MAX_SWEEPS} sweeps; it is clustered"
    )


def _solve(A: Any, f: np.ndarray) -> np.ndarray:
    n = len(f)
    products: Any = LinearOperator((n, n), matvec=lambda x: A @ x.ravel(), dtype=complex)
    x, failure = gmres(products, f, rtol=SOLVES, restart=min(n, 200), maxiter=10)
    if failure:
        raise NotConverged(
            "GMRES of the operator stalls in an inverse iteration; give an operator scaled by "
            "its preconditioner"
        )
    return np.asarray(x)
