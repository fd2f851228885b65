"""A POD that follows its data: snapshots are added, forgotten and removed, and what was discarded is always known."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import partial

import numpy as np
import scipy.linalg as la

from rom.basis import Basis
from rom.compress.columns import EPS, Room, append, make_room, times
from rom.errors import BadInput
from rom.snapshots import Snapshots
from rom.space import Space


@dataclass(frozen=True, eq=False)
class RunningPod:
    """U U^H = V diag(s^2) V^H + D, D >= 0, tr(X D) = lost: hence |U - V V^H X U|_X^2 <= lost, and s_i^2 <= sigma_i(U)^2 <= s_i^2 + lost.

    V = W R^{-1} K in extended form: an update appends columns to W and rotates the small K, never the modes.
    columns : W (n, c), factor : R (c, c) upper triangular, R^H R = W^H X W; rotation : K (c, r), K^H K = I; s : (r,) singular values
    energy : |U|_X^2; lost : sum of all squared singular values that were discarded; seen : snapshots so far, removed ones not counted
    """

    space: Space
    columns: np.ndarray | None = None
    factor: np.ndarray = field(default_factory=partial(np.zeros, (0, 0)))
    rotation: np.ndarray = field(default_factory=partial(np.zeros, (0, 0)))
    s: np.ndarray | None = None
    energy: float = 0.0
    lost: float = 0.0
    seen: int = 0
    room: Room | None = None

    @property
    def r(self) -> int:
        """Number of modes."""
        return 0 if self.s is None else self.s.size

    @property
    def error(self) -> float:
        """sqrt(lost / energy) >= relative projection error of all snapshots."""
        return float(np.sqrt(self.lost / self.energy)) if self.energy > 0 else 0.0

    @property
    def mix(self) -> np.ndarray:
        """R^{-1} K, (c, r): V = W mix."""
        return la.solve_triangular(self.factor, self.rotation, check_finite=False)

    def basis(self) -> Basis:
        """The modes, multiplied out and made orthonormal to round-off: O(n c r)."""
        if self.s is None or self.columns is None:
            raise BadInput("no snapshot yet; update the running POD first")
        V = times(self.columns, self.mix)
        defect = self.space.gram(V)
        if np.abs(defect - np.eye(self.r)).max(initial=0.0) > 16 * EPS:
            V = times(
                V, la.solve_triangular(la.cholesky(defect), np.eye(self.r), check_finite=False)
            )
        return Basis(
            self.space,
            V,
            s=self.s,
            reason=f"running POD of {self.seen} snapshots",
            error=self.error,
        )


def update(
    state: RunningPod,
    snapshots: Snapshots | np.ndarray,
    tol: float | None = None,
    rank: int | None = None,
    forget: float = 1.0,
) -> RunningPod:
    """The running POD of [forget U, B]; discards while lost <= tol^2 energy, and beyond `rank` in any case.

    snapshots : B (n, b) or Snapshots of the same space; forget in (0, 1] multiplies all that came before
    With neither tol nor rank only round-off is discarded. Cost 2 n (c + b) b with c <= 3 r + b stored columns, and n r^2 every 2 r columns.
    Raises BadInput for other shapes, NaN, or a tol outside (0, 1). Reference: Brand (2006); extended form: Deng et al. (2024).
    """
    B = _checked(state, snapshots, tol, rank, forget)
    room, R, K = make_room(state.space, state.room, state.columns, state.factor, state.rotation, B)
    old = np.zeros(0) if state.s is None else forget * state.s
    energy, lost = forget**2 * state.energy, forget**2 * state.lost

    def core(C: np.ndarray, T: np.ndarray) -> np.ndarray:
        return np.block([[K * old, C], [np.zeros((len(T), old.size)), T]])

    def cut(C: np.ndarray, T: np.ndarray) -> float:
        return float(np.sum(la.svdvals(core(C, T), check_finite=False)[rank:] ** 2))

    C, T, R, added, dropped = append(state.space, room, R, B, lost, energy, cut if rank else None)
    F, s, _ = la.svd(core(C, T), full_matrices=False, check_finite=False)
    energy, lost = energy + added, lost + dropped
    r = _kept(s, lost, energy, tol, rank)
    lost += float(np.sum(s[r:] ** 2))
    return RunningPod(
        state.space,
        room.store[:, : len(R)],
        R,
        F[:, :r],
        s[:r],
        energy,
        lost,
        state.seen + B.shape[1],
        room,
    )


def downdate(state: RunningPod, u: np.ndarray) -> RunningPod:
    """The running POD without the snapshot u (n,): diag(s^2) - c c^H with c = V^H X u; lost shrinks by what V never had of u.

    u must be one of the snapshots and not forgotten in part: otherwise the sums go negative and BadInput is raised.
    Accurate to the square root of round-off. Reference: Brand (2006).
    """
    if state.s is None or state.columns is None:
        raise BadInput("no snapshot yet; there is nothing to remove")
    u = np.asarray(u)
    if u.shape != (state.space.n,) or not np.isfinite(u).all():
        raise BadInput(
            f"u has shape {u.shape} or holds NaN; give one finite snapshot ({state.space.n},)"
        )
    c = state.mix.conj().T @ state.space.inner(state.columns, u[:, None])[:, 0]
    size, inside = float(state.space.norm(u)) ** 2, float(np.linalg.norm(c)) ** 2
    values, Z = la.eigh(np.diag(state.s**2) - np.outer(c, c.conj()))
    values, Z = values[::-1], Z[:, ::-1]
    slack = 64 * EPS * state.energy
    if (
        values[-1] < -state.lost - slack
        or size > state.energy + slack
        or size - inside > state.lost + slack
    ):
        raise BadInput(
            "this snapshot was never added, or was forgotten in part; removing it would leave negative energy"
        )
    kept = values > 16 * EPS * state.s[0] ** 2
    lost = (
        max(state.lost - (size - inside), 0.0)
        + float(np.sum(np.maximum(values[~kept], 0.0)))
        + slack
    )
    return replace(
        state,
        rotation=state.rotation @ Z[:, kept],
        s=np.sqrt(values[kept]),
        energy=max(state.energy - size, 0.0),
        lost=lost,
        seen=state.seen - 1,
    )


def merge_pods(
    first: RunningPod, second: RunningPod, tol: float | None = None, rank: int | None = None
) -> RunningPod:
    """The running POD of both sets of snapshots, from modes and singular values alone."""
    if second.s is None or first.s is None:
        return first if second.s is None else second
    scaled = replace(
        first,
        lost=first.lost + second.lost,
        energy=first.energy + second.energy - float(np.sum(second.s**2)),
    )
    both = update(scaled, second.basis().modes * second.s, tol, rank)
    return replace(both, seen=first.seen + second.seen)


def _kept(s: np.ndarray, lost: float, energy: float, tol: float | None, rank: int | None) -> int:
    r = int(np.sum(s > 2 * EPS * s[0])) if s.size and s[0] > 0 else 0
    if tol is not None:
        tails = lost + np.append(np.cumsum(s[::-1] ** 2)[::-1], 0.0)
        r = (
            min(r, int(np.argmax(tails <= tol**2 * energy)))
            if (tails <= tol**2 * energy).any()
            else r
        )
    return min(max(r, 1), rank or len(s), len(s))


def _checked(
    state: RunningPod,
    snapshots: Snapshots | np.ndarray,
    tol: float | None,
    rank: int | None,
    forget: float,
) -> np.ndarray:
    B = np.asarray(snapshots.u[:] if isinstance(snapshots, Snapshots) else snapshots)
    B = B[:, None] if B.ndim == 1 else B
    if B.ndim != 2 or B.shape[0] != state.space.n or B.shape[1] == 0 or B.dtype.kind not in "fc":
        raise BadInput(
            f"snapshots have shape {B.shape} of {B.dtype}; give at least one column of {state.space.n} floats"
        )
    if tol is not None and not 0.0 < tol < 1.0:
        raise BadInput(f"tol = {tol} must lie in (0, 1): it is a relative projection error")
    if (rank is not None and rank < 1) or not 0.0 < forget <= 1.0:
        raise BadInput(f"rank = {rank} must be at least 1 and forget = {forget} lie in (0, 1]")
    return np.asfortranarray(B)
