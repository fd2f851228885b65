"""Loads in time: few fields, each with its own table."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from rom.basis import Basis
from rom.errors import BadInput
from rom.space import Space


@dataclass(frozen=True, eq=False)
class Loading:
    """f(t) = sum_q a_q(t) f_q,  T(t) = sum_k c_k(t) T_k,  u_D(t) = sum_l d_l(t) U_l; a, c, d piecewise linear between the times.

    t (m,) [s] increasing; forces (n, Q) [N], amplitudes (m, Q); temperatures (g, K) [K], mixture (m, K);
    moves (n, L) [m], motion (m, L), or None: displacements of the whole body that take the prescribed values where it is fixed; a
    full model reads them there alone, a reduced one adds its modes to them, the fewer the smoother they are.
    Full and reduced loadings are one type; a reduced one holds the strains of the moves at its points, (6 k, L).
    Raises BadInput for shapes, NaN, times.
    """

    t: np.ndarray
    forces: np.ndarray
    amplitudes: np.ndarray
    temperatures: np.ndarray
    mixture: np.ndarray
    moves: np.ndarray | None = None
    motion: np.ndarray | None = None

    def __post_init__(self) -> None:
        t = np.asarray(self.t, dtype=float)
        if t.ndim != 1 or t.size < 2 or not (np.diff(t) > 0).all():
            raise BadInput("the times of a loading must increase, and there must be two at least")
        pairs = [
            ("forces", self.forces, self.amplitudes),
            ("temperatures", self.temperatures, self.mixture),
        ]
        if self.moves is not None:
            pairs.append(
                ("moves", self.moves, self.motion if self.motion is not None else np.zeros((0, 0)))
            )
        for name, fields, table in pairs:
            if np.ndim(fields) != 2 or np.shape(table) != (t.size, np.shape(fields)[1]):
                raise BadInput(
                    f"{name} have shape {np.shape(fields)} and their table {np.shape(table)}; give (rows, k) and ({t.size}, k)"
                )
            if not (np.isfinite(fields).all() and np.isfinite(table).all()):
                raise BadInput(f"{name} or their table hold NaN or Inf")
        object.__setattr__(self, "t", t)

    def force(self, t: float) -> np.ndarray:
        """f(t) (n,) [N]."""
        return self.forces @ self._table(self.amplitudes, t)

    def temperature(self, t: float) -> np.ndarray:
        """T(t) (g,) [K]."""
        return self.temperatures @ self._table(self.mixture, t)

    def prescribed(self, t: float) -> np.ndarray | float:
        """u_D(t) (n,) [m], or 0.0."""
        return (
            0.0
            if self.moves is None or self.motion is None
            else self.moves @ self._table(self.motion, t)
        )

    def reduce(
        self, basis: Basis, points: np.ndarray, among: Space, strain: np.ndarray | None = None
    ) -> Loading:
        """The loading V^T f(t) of a basis with temperatures at the global numbers `points` of the space `among`; the same on every
        rank. strain (g, 6, L) : of the moves, needed where there are any."""
        moves = None
        if self.moves is not None:
            if strain is None or strain.shape != (among.n, 6, self.moves.shape[1]):
                raise BadInput(
                    "prescribed displacements move; give their strains: reduced(..., strain=body.strain(loading.moves))"
                )
            moves = among.take(strain, points).reshape(6 * len(points), -1)
        forces = basis.space.pair(basis.modes, self.forces)
        return replace(
            self, forces=forces, temperatures=among.take(self.temperatures, points), moves=moves
        )

    def _table(self, table: np.ndarray, t: float) -> np.ndarray:
        span = 1e-12 * (self.t[-1] - self.t[0])
        if not self.t[0] - span <= t <= self.t[-1] + span:
            raise BadInput(
                f"the loading is known from {self.t[0]:g} to {self.t[-1]:g} s, not at {t:g}; lengthen its tables"
            )
        i = int(np.clip(np.searchsorted(self.t, t) - 1, 0, self.t.size - 2))
        s = (t - self.t[i]) / (self.t[i + 1] - self.t[i])
        return (1 - s) * table[i] + s * table[i + 1]
