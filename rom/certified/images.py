"""Images of modes under an affine operator, kept as one growing factorisation.

    [f_q, A_q V] = X Q T + slack,  Q X-orthonormal

Modes may come in blocks; each term is multiplied once for a block. An operator that is only applied
is set up, multiplied, and freed, one term after the other, and no image is kept: directions far
below its tolerance leave Q, and what they carried is counted as slack. The projected operator
V^H A_q V follows from Q and T.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from rom.affine import Affine
from rom.basis import gram_schmidt
from rom.certified.rounding import orthonormality_defect, representer_slack, stretch
from rom.space import Space

BELOW = 1e-2  # of a host's tolerance and the largest image: directions that leave


class ImageFactor:
    """Q T, the representers of f_q and A_q V; `add` extends it by new modes."""

    def __init__(self, space: Space, A: Affine, f: Affine) -> None:
        self.space, self.A, self.f = space, A, f
        loads = np.column_stack(list(f.terms))
        self.Q, self.T = np.zeros((space.n, 0)), np.zeros((0, 0))
        self.slack, self.defect = np.zeros(0), 0.0
        self.tolerance = 0.0
        self.place: list[tuple[int, int]] = []  # term and mode of each column after the loads
        self.r = 0
        self._append(loads, loads)

    def add(self, modes: np.ndarray) -> None:
        """Append the images of new modes (n, k); none for k = 0."""
        if not modes.shape[1]:
            return
        new = range(self.r, self.r + modes.shape[1])
        self.r = new.stop
        if self.A.is_applied:
            for q, term in enumerate(self.A.terms):
                image = self._product(term, modes)
                self._append(image, image)
                self.place.extend((q, j) for j in new)
            return
        wide = modes.astype(np.result_type(modes, np.longdouble))
        columns, exact = (
            np.column_stack([term @ V for term in self.A.terms]) for V in (modes, wide)
        )
        self._append(columns, exact)
        self.place.extend((q, j) for q in range(len(self.A.terms)) for j in new)

    def _product(self, term: Any, modes: np.ndarray) -> np.ndarray:
        """A_q V in one set-up, whose tolerance is kept."""
        with term.open() as operator:
            self.tolerance = max(self.tolerance, operator.tolerance)
            return np.asarray(operator @ modes)

    def _append(self, columns: np.ndarray, exact: np.ndarray) -> None:
        """More columns of R; exact : the same in extended precision."""
        S = self.space.represent(columns)
        Q, T = gram_schmidt(self.space, S, self.Q)
        first = self.Q.shape[1]
        if self.tolerance and Q.shape[1]:
            Q, T = self._without_feeble(Q, T, first)
        self.defect = float(np.hypot(self.defect, orthonormality_defect(self.space, self.Q, Q)))
        taller = np.pad(self.T, ((0, Q.shape[1]), (0, 0)))
        self.T = np.hstack([taller, T])
        self.Q = np.column_stack([self.Q, Q])
        slack = representer_slack(self.space, exact, S, self.Q, T)
        self.slack = np.append(self.slack, slack)

    def _without_feeble(
        self, Q: np.ndarray, T: np.ndarray, first: int
    ) -> tuple[np.ndarray, np.ndarray]:
        """New directions that carry more than a share of the tolerance; T in them."""
        U, s, _ = np.linalg.svd(T[first:], full_matrices=False)
        largest = np.linalg.norm(np.hstack([self.T, T[:first]]), axis=0).max()
        U = U[:, s > BELOW * self.tolerance * largest]
        return Q @ U, np.vstack([T[:first], U.conj().T @ T[first:]])

    def factor(self) -> tuple[np.ndarray, np.ndarray]:
        """T and its slack, in the order of `images`: loads, then modes term by term."""
        loads = len(self.f.terms)
        by_term = sorted(range(len(self.place)), key=self.place.__getitem__)
        order = np.concatenate([np.arange(loads), loads + np.array(by_term, dtype=np.int64)])
        return self.T[:, order] * stretch(self.defect), self.slack[order]

    def projected(self, modes: np.ndarray) -> np.ndarray:
        """V^H A_q V (Q, r, r) of all modes (n, r), from Q and T."""
        loads, r = len(self.f.terms), self.r
        reduced = np.empty((len(self.A.terms), r, r), np.result_type(self.Q, modes))
        columns = self.space.inner(modes, self.Q) @ self.T[:, loads:]
        for column, (q, j) in enumerate(self.place):
            reduced[q, :, j] = columns[:, column]
        return reduced
