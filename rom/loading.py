"""Loads in time: few fields, each with its own table."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from rom.arrays import VECTOR, array_of, check_members
from rom.basis import Basis
from rom.errors import BadInput
from rom.space import Space

TABLE = array_of("(n, k)", empty=True)  # fields, or their factors in time
MARGIN = 1e-12  # of the span of a loading: a time that round-off puts outside is inside


@dataclass(frozen=True, eq=False)
class Loading:
    """f(t) = sum_q a_q f_q, T(t) = sum_k c_k T_k, u_D(t) = sum_l d_l U_l.

    The tables a, c, d are piecewise linear between the times. Full and reduced loadings are one
    type.

    t : (m,) [s], increasing
    forces : f_q (n, Q) [N]; amplitudes : a (m, Q)
    temperatures : T_k (g, K) [K]; mixture : c (m, K)
    moves : U_l (n, L) [m], or None; motion : d (m, L). Displacements of the whole body that
        take the prescribed values where it is fixed: a full model reads them there alone, a
        reduced one adds its modes to them, the fewer the smoother they are; a reduced
        loading holds the strains of the moves at its points, (6 k, L)
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
        check_members(
            self, t=VECTOR, forces=TABLE, amplitudes=TABLE, temperatures=TABLE, mixture=TABLE
        )
        for name in ("moves", "motion"):
            if getattr(self, name) is not None:
                check_members(self, **{name: TABLE})
        t = self.t
        if t.ndim != 1 or t.size < 2 or not (np.diff(t) > 0).all():
            raise BadInput("the times of a loading must increase, and there must be two at least")
        _check_table("forces", self.forces, self.amplitudes, t.size)
        _check_table("temperatures", self.temperatures, self.mixture, t.size)
        if self.moves is not None:
            motion = np.zeros((0, 0)) if self.motion is None else self.motion
            _check_table("moves", self.moves, motion, t.size)
        object.__setattr__(self, "t", t)

    def force(self, t: float) -> np.ndarray:
        """f(t) (n,) [N]."""
        return np.asarray(self.forces @ self.amplitude(t))

    def amplitude(self, t: float) -> np.ndarray:
        """a(t) (Q,)."""
        return self._interpolate(self.amplitudes, t)

    def temperature(self, t: float) -> np.ndarray:
        """T(t) (g,) [K]."""
        return np.asarray(self.temperatures @ self._interpolate(self.mixture, t))

    def prescribed(self, t: float) -> np.ndarray | float:
        """u_D(t) (n,) [m], or 0.0 where nothing moves."""
        if self.moves is None or self.motion is None:
            return 0.0
        return np.asarray(self.moves @ self._interpolate(self.motion, t))

    def reduce(
        self, basis: Basis, points: np.ndarray, among: Space, strain: np.ndarray | None = None
    ) -> Loading:
        """The loading V^T f(t) of a basis, with temperatures at chosen points.

        points : global numbers of the space `among`; the same on every rank
        strain : (g, 6, L) of the moves. Raises BadInput where it is missing and needed.
        """
        moves = None
        if self.moves is not None:
            if strain is None or strain.shape != (among.n, 6, self.moves.shape[1]):
                raise BadInput(
                    "prescribed displacements move; give their strains: "
                    "reduce(..., strain=body.strain(loading.moves))"
                )
            moves = among.take(strain, points).reshape(6 * len(points), -1)
        forces = basis.space.pair(basis.modes, self.forces)
        temperatures = among.take(self.temperatures, points)
        return replace(self, forces=forces, temperatures=temperatures, moves=moves)

    def _interpolate(self, table: np.ndarray, t: float) -> np.ndarray:
        first, last = self.t[0], self.t[-1]
        margin = MARGIN * (last - first)
        if not first - margin <= t <= last + margin:
            raise BadInput(
                f"the loading is known from {first:g} to {last:g} s, not at {t:g}; "
                "lengthen its tables"
            )
        i = int(np.clip(np.searchsorted(self.t, t) - 1, 0, self.t.size - 2))
        share = (t - self.t[i]) / (self.t[i + 1] - self.t[i])
        return np.asarray((1 - share) * table[i] + share * table[i + 1])


def _check_table(name: str, fields: np.ndarray, table: np.ndarray, times: int) -> None:
    """Raises BadInput unless fields (rows, k) fit their table (times, k)."""
    if np.ndim(fields) != 2 or np.shape(table) != (times, np.shape(fields)[1]):
        raise BadInput(
            f"{name} have shape {np.shape(fields)} and their table {np.shape(table)}; "
            f"give (rows, k) and ({times}, k)"
        )
    if not (np.isfinite(fields).all() and np.isfinite(table).all()):
        raise BadInput(f"{name} or their table hold NaN or Inf")
