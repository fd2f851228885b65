"""Frequency responses of A(k) = K + i k C - k^2 M by second-order Krylov spaces.

    A(s + t) = A_0 + t A_1 + t^2 A_2,   A_0 r_j = -A_1 r_{j-1} - A_2 r_{j-2},   A_0 r_0 = f

The r_j, Taylor coefficients of the response at s, cost one factorisation of A(s) for all of them.
They are made orthogonal by a two-level Arnoldi process, which does not lose the later ones. Real
and imaginary parts make a real basis, so that K, C, M stay real and symmetric. The next expansion
point is the middle of a stretch where more coefficients of all points still change the answer.

Reference: Bai and Su (2005); Lu, Su, Bai (2016).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.sparse as sp
from scipy.sparse.linalg import splu

from rom.affine import Affine, Monomials
from rom.arrays import VECTOR, gate
from rom.basis import Basis, gram_schmidt
from rom.certified.stationary import GalerkinModel, galerkin
from rom.errors import BadInput, Singular
from rom.parameters import Box
from rom.prediction import Known
from rom.space import Space

DEPENDENT = 1e-12  # of its size: what is left of a vector that brings no direction
TINY = 1e-150
FACTOR = 2.0  # of the estimate
ROUND_OFF = 1e-12  # of the answer: what solves with A(k) leave


@dataclass(frozen=True, eq=False)
class Nested:
    """factor |u_W - u_V|_X, W a space that holds V: measured, not proved.

    A, f : reduced to W, of which V is the first modes. The error in V lies below where W halves it
    at least. Round-off of the answer is added.
    """

    A: Affine
    f: Affine
    factor: float = FACTOR

    @property
    def known(self) -> Known:
        """Measured."""
        return Known.MEASURED

    def __call__(self, mu: np.ndarray, a: np.ndarray) -> np.ndarray:
        """Bounds (m,) for mu (m, 1) and coefficients a (m, r)."""
        rich = np.linalg.solve(self.A(mu), self.f(mu)[..., None])[..., 0]
        size = np.linalg.norm(rich, axis=1)
        rich[:, : a.shape[1]] -= a
        return np.asarray(self.factor * np.linalg.norm(rich, axis=1) + ROUND_OFF * size)


@dataclass(frozen=True, eq=False)
class Expansion:
    """How a response was reduced: expansion points, their errors, factorisations.

    points (q,); errors (q,) : largest estimate over the band after each, relative to the largest
    answer
    """

    points: np.ndarray
    errors: np.ndarray
    reason: str


def response_operator(K: Any, C: Any, M: Any) -> Affine:
    """K + i k C - k^2 M as an affine sum over k; K, C, M real (n, n), sparse.

    Raises BadInput where they are not.
    """
    for name, matrix in (("K", K), ("C", C), ("M", M)):
        if not sp.issparse(matrix) or matrix.dtype.kind not in "fiu" or matrix.shape != K.shape:
            kind = getattr(matrix, "dtype", type(matrix).__name__)
            raise BadInput(
                f"{name} holds {kind} of shape {np.shape(matrix)}; give real sparse matrices, "
                "all of one shape"
            )
    powers = np.array([[0.0], [1.0], [2.0]])
    return Affine(Monomials(np.array([1.0, 1.0, -1.0]), powers), [K, 1j * C, M])


def second_order_krylov(A: Affine, f: np.ndarray, s: float, count: int) -> np.ndarray:
    """Orthonormal Taylor coefficients at s of A(k)^{-1} f, (n, at most count).

    A : `response_operator`. One factorisation. Raises Singular where A(s) is.
    """
    _, iC, M = A.terms
    A1, A2 = iC - 2 * s * M, -M
    try:
        factors = splu(sp.csc_matrix(A(np.array([s]))))
    except RuntimeError as error:
        raise Singular(f"A is singular at k = {s:g} ({error}); add damping or move it") from error
    r = factors.solve(f.astype(complex))
    Q = (r / np.linalg.norm(r))[:, None]
    U = np.array([[1.0 + 0j], [0.0]])  # coordinates of the pair (r_j, r_{j-1}) in Q, one column
    size = 1
    for _ in range(count - 1):
        now, before = U[:size, -1], U[size:, -1]
        w = -factors.solve(A1 @ (Q @ now) + A2 @ (Q @ before))
        x, rest = _project_out(Q, w)
        left = np.linalg.norm(rest)
        U = np.vstack([U[:size], np.zeros((1, U.shape[1])), U[size:], np.zeros((1, U.shape[1]))])
        if left > DEPENDENT * np.linalg.norm(w):
            Q = np.column_stack([Q, rest / left])
            x = np.append(x, left)
        else:
            U = np.delete(U, [size, 2 * size + 1], axis=0)
        size = Q.shape[1]
        pair = np.concatenate([x, now, np.zeros(size - len(now))])
        _, pair = _project_out(np.linalg.qr(U)[0], pair)
        length = np.linalg.norm(pair)
        if not length > DEPENDENT * np.linalg.norm(x):
            break
        U = np.column_stack([U, pair / length])
    return Q


def _project_out(Q: np.ndarray, w: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Q^H w and w - Q Q^H w, twice."""
    x = Q.conj().T @ w
    rest = w - Q @ x
    more = Q.conj().T @ rest
    return x + more, rest - Q @ more


@gate(space=Space, A=Affine, f=VECTOR, train=VECTOR)
def frequency_response(
    space: Space,
    A: Affine,
    f: np.ndarray,
    train: np.ndarray,
    *,
    tol: float = 1e-6,
    order: int = 6,
    extra: int = 3,
    max_points: int = 20,
) -> tuple[GalerkinModel, Expansion]:
    """The reduced response over the band of train (m,), and how it was reduced.

    A : `response_operator`; f : real (n,); order : Taylor coefficients of each point in the answer,
    extra : more of them in the space that measures its error; tol : on that error, relative to the
    largest answer over the band
    Raises BadInput for another operator or a band that holds k = 0 or less, Singular where A is.
    """
    if len(A.terms) != 3 or A.terms[0].shape != (space.n, space.n) or f.shape != (space.n,):
        raise BadInput(
            f"A is no response_operator(K, C, M) of ({space.n}, {space.n}), or f has shape "
            f"{f.shape}; give those of the space"
        )
    train = np.sort(train)
    if not (train.min() > 0 and np.ptp(train) > 0 and order > 0 < extra):
        raise BadInput("give increasing positive wavenumbers, order and extra of at least 1")
    if not np.linalg.norm(f) > TINY:
        raise BadInput("the load is zero, or its squares vanish; there is no response")
    load = Affine(Monomials(np.ones(1), np.zeros((1, 1))), [f])
    box = Box(("k",), np.array([train.min()]), np.array([train.max()]), ("1/m",))
    points, errors, first, more = [float(np.median(train))], [], [], []
    while True:
        Q = second_order_krylov(A, f, points[-1], order + extra)
        first.append(real_parts(Q[:, :order]))
        more.append(real_parts(Q[:, order:]))
        V, _ = gram_schmidt(space, np.hstack(first))
        W = np.column_stack([V, gram_schmidt(space, np.hstack(more), V)[0]])
        model = _response_model(A, load, Basis(space, V, tol_asked=tol), Basis(space, W), box)
        answer = model.predict(train[:, None])
        size = np.linalg.norm(answer.coefficients, axis=0).max()
        error = np.asarray(answer.bound) / size
        errors.append(float(error.max()))
        if errors[-1] <= tol or len(points) >= max_points:
            met = errors[-1] <= tol
            reason = f"tol {tol:g} reached" if met else f"{max_points} points reached"
            return model, Expansion(np.array(points), np.array(errors), reason)
        points.append(_next_point(train, error, points, tol))


def _next_point(train: np.ndarray, error: np.ndarray, points: list[float], tol: float) -> float:
    """The middle of the stretch of errors beyond tol around the worst one.

    Where a point stands there, the place where error times distance to the points is largest.
    """
    worst, settled = int(np.argmax(error)), np.flatnonzero(error <= tol)
    left = settled[settled < worst].max(initial=-1) + 1
    right = settled[settled > worst].min(initial=len(train)) - 1
    middle = float(train[np.argmin(np.abs(train - (train[left] + train[right]) / 2))])
    if middle not in points:
        return middle
    distance = np.abs(train[:, None] - np.array(points)).min(axis=1)
    return float(train[np.argmax(error * distance)])


def real_parts(Q: np.ndarray) -> np.ndarray:
    """[Re Q, Im Q], (n, 2 q)."""
    return np.hstack([Q.real, Q.imag])


def _response_model(A: Affine, f: Affine, V: Basis, W: Basis, box: Box) -> GalerkinModel:
    bound = Nested(A.project(W), f.project(W))
    return galerkin(A, f, V, bound=bound, box=box)
