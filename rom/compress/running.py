"""A POD that follows its data: snapshots are added, forgotten and removed.

What was discarded is always known, so that every state certifies its error.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import partial

import numpy as np
import scipy.linalg as la

from rom.arrays import NUMBER, STATES, gate, number_array
from rom.basis import Basis, spectral_tail
from rom.compress.centre import centred_columns, join_means, leave_mean
from rom.compress.columns import Room, append_columns, make_room
from rom.compress.orthonormal import EPS, ROUND_OFF
from rom.compress.splitting import times
from rom.compress.stopping import check_tolerance
from rom.errors import BadInput
from rom.snapshots import Snapshots
from rom.space import Space

_EMPTY = partial(np.zeros, (0, 0))


@dataclass(frozen=True, eq=False)
class RunningPod:
    """U U^H = V diag(s^2) V^H + D with D >= 0 and tr(X D) = lost.

    Hence |U - V V^H X U|_X^2 <= lost, and s_i^2 <= sigma_i(U)^2 <= s_i^2 + lost.
    Of a centred one U is less its mean in each column, and the basis has the mean as offset.
    V = W R^{-1} K: an update appends columns to W and rotates the small K, never the modes.

    columns : W (n, c); factor : R (c, c) upper triangular, R^H R = W^H X W
    rotation : K (c, r), K^H K = I; s : (r,) singular values
    energy : |U|_X^2; lost : sum of the squared singular values that were discarded
    seen : snapshots so far, without removed ones; room : spare columns behind W
    center : whether the mean is kept beside the modes; mean (n,), weight : sum of the weights
    """

    space: Space
    columns: np.ndarray | None = None
    factor: np.ndarray = field(default_factory=_EMPTY)
    rotation: np.ndarray = field(default_factory=_EMPTY)
    s: np.ndarray | None = None
    energy: float = 0.0
    lost: float = 0.0
    seen: int = 0
    room: Room | None = None
    center: bool = False
    mean: np.ndarray | None = None
    weight: float = 0.0

    @property
    def r(self) -> int:
        """Number of modes."""
        return 0 if self.s is None else self.s.size

    @property
    def error(self) -> float:
        """sqrt(lost / energy) + round-off >= relative projection error of all snapshots."""
        if not self.energy > 0:
            return 0.0
        return float(np.sqrt(self.lost / self.energy)) + _round_off(self)

    @property
    def mix(self) -> np.ndarray:
        """R^{-1} K, (c, r): V = W mix."""
        mix = la.solve_triangular(self.factor, self.rotation, check_finite=False)
        return np.asarray(mix)

    def basis(self) -> Basis:
        """The modes multiplied out, orthonormal to round-off: O(n c r).

        Raises BadInput where there is no snapshot yet.
        """
        if self.s is None or self.columns is None:
            raise BadInput("no snapshot yet; update the running POD first")
        V = times(self.columns, self.mix)
        gram = self.space.gram(V)
        identity = np.eye(self.r)
        defect = np.abs(gram - identity).max(initial=0.0)
        if defect > 16 * EPS:
            factor = la.cholesky(gram)
            V = times(V, la.solve_triangular(factor, identity, check_finite=False))
        reason = f"running POD of {self.seen} snapshots"
        offset = 0.0 if self.mean is None else self.mean
        return Basis(self.space, V, offset, s=self.s, reason=reason, error=self.error)


@gate(state=RunningPod)
def update(
    state: RunningPod,
    snapshots: Snapshots | np.ndarray,
    *,
    tol: float | None = None,
    rank: int | None = None,
    forget: float = 1.0,
) -> RunningPod:
    """The running POD of [forget U, B]; of a centred one, about the mean of all.

    snapshots : B (n, b), or Snapshots of the same space
    tol : discards while error <= tol; rank : discards beyond it in any case
    forget : in (0, 1], multiplies all that came before
    With neither tol nor rank only round-off is discarded. Cost 2 n (c + b) b with
    c <= 3 r + b stored columns, and n r^2 every 2 r columns.
    Raises BadInput for other shapes, NaN, or a tol outside (0, 1).
    References: Brand (2006); extended form: Deng et al. (2024).
    """
    _check_options(tol, rank, forget)
    B = _columns_of(state.space, snapshots)
    b = B.shape[1]
    if state.center:
        B, mean, weight = centred_columns(B, state.mean, forget**2 * state.weight)
        state = replace(state, mean=mean, weight=weight)
    return _append(state, B, b, tol=tol, rank=rank, forget=forget)


def _append(
    state: RunningPod,
    B: np.ndarray,
    seen: int,
    *,
    tol: float | None,
    rank: int | None,
    forget: float = 1.0,
) -> RunningPod:
    """The state with columns B (n, b) of so many snapshots; its mean stays."""
    room, R, K = make_room(
        state.space, state.room, B, W=state.columns, R=state.factor, K=state.rotation
    )
    old = np.zeros(0) if state.s is None else forget * state.s
    left = K * old
    energy = forget**2 * state.energy
    lost = forget**2 * state.lost

    def cut(C: np.ndarray, T: np.ndarray) -> float:
        """The energy that would be discarded of C and T."""
        s = la.svdvals(_core(left, C, T), check_finite=False)
        return float(np.sum(s[rank:] ** 2))

    extension = append_columns(
        state.space, room, R, B, lost=lost, energy=energy, cut=cut if rank else None
    )
    core = _core(left, extension.C, extension.T)
    F, s, _ = la.svd(core, full_matrices=False, check_finite=False)
    energy += extension.energy
    lost += extension.dropped
    if tol is not None:
        tol = max(tol - _round_off(replace(state, energy=energy)), 0.0)
    r = _choose_rank(s, lost, energy, tol, rank)
    return replace(
        state,
        columns=room.store[:, : len(extension.factor)],
        factor=extension.factor,
        rotation=F[:, :r],
        s=s[:r],
        energy=energy,
        lost=lost + float(np.sum(s[r:] ** 2)),
        seen=state.seen + seen,
        room=room,
    )


@gate(state=RunningPod, u=STATES)
def downdate(state: RunningPod, u: np.ndarray) -> RunningPod:
    """The running POD without the snapshot u (n,): diag(s^2) - c c^H, c = V^H X u.

    `lost` shrinks by what V never had of u. Accurate to the square root of round-off.
    Raises BadInput unless u is one of the snapshots, and not forgotten in part: otherwise the
    sums go negative. Reference: Brand (2006).
    """
    if state.s is None or state.columns is None:
        raise BadInput("no snapshot yet; there is nothing to remove")
    if u.shape != (state.space.n,):
        raise BadInput(f"u has shape {u.shape}; give one snapshot ({state.space.n},)")
    columns, s = state.columns, state.s
    if state.center:
        u, mean, weight = leave_mean(u, state.mean, state.weight)
        state = replace(state, mean=mean, weight=weight)
    products = state.space.inner(columns, u[:, None])
    c = state.mix.conj().T @ products[:, 0]
    size = float(state.space.norm(u)) ** 2
    outside = size - float(np.linalg.norm(c)) ** 2
    values, Z = la.eigh(np.diag(s**2) - np.outer(c, c.conj()))
    values, Z = values[::-1], Z[:, ::-1]
    slack = 64 * EPS * state.energy
    _check_removal(state, size, outside, values[-1], slack)
    positive = values > 16 * EPS * s[0] ** 2
    negligible = np.maximum(values[~positive], 0.0)
    lost = max(state.lost - outside, 0.0) + float(np.sum(negligible))
    return replace(
        state,
        rotation=state.rotation @ Z[:, positive],
        s=np.sqrt(values[positive]),
        energy=max(state.energy - size, 0.0),
        lost=lost + slack,
        seen=state.seen - 1,
    )


@gate(first=RunningPod, second=RunningPod)
def merge_pods(
    first: RunningPod,
    second: RunningPod,
    *,
    tol: float | None = None,
    rank: int | None = None,
) -> RunningPod:
    """The running POD of both sets of snapshots, from modes and singular values.

    tol, rank : as in `update`
    Raises BadInput where one is centred and the other is not.
    """
    if first.center != second.center:
        raise BadInput("one running POD is centred, the other is not; give both with center=True")
    if second.s is None:
        return first
    if first.s is None:
        return second
    lost = first.lost + second.lost
    energy = first.energy + second.energy - float(np.sum(second.s**2))
    widened = replace(first, lost=lost, energy=energy)
    weighted_modes = second.basis().modes * second.s
    if first.center and second.mean is not None:
        d, mean, weight = join_means((first.mean, first.weight), (second.mean, second.weight))
        weighted_modes = np.asfortranarray(np.column_stack([weighted_modes, d]))
        widened = replace(widened, mean=mean, weight=weight)
    return _append(widened, weighted_modes, second.seen, tol=tol, rank=rank)


def _core(left: np.ndarray, C: np.ndarray, T: np.ndarray) -> np.ndarray:
    """[[K diag(s), C], [0, T]]: the data in the basis of all columns."""
    below = np.zeros((len(T), left.shape[1]))
    return np.block([[left, C], [below, T]])


def _choose_rank(
    s: np.ndarray, lost: float, energy: float, tol: float | None, rank: int | None
) -> int:
    """Fewest modes that lose at most tol^2 of the energy; at least one."""
    r = 0
    if s.size and s[0] > 0:
        r = int(np.sum(s > 2 * EPS * s[0]))
    if tol is not None:
        tails = lost + spectral_tail(s)
        enough = tails <= tol**2 * energy
        if enough.any():
            r = min(r, int(np.argmax(enough)))
    largest = rank or len(s)
    return min(max(r, 1), largest, len(s))


def _round_off(state: RunningPod) -> float:
    """Of a projection, and of snapshots less their mean, relative to these."""
    if state.mean is None or not state.energy > 0:
        return ROUND_OFF
    size = float(state.space.norm(state.mean))
    return ROUND_OFF * (1.0 + size * float(np.sqrt(state.weight / state.energy)))


def _check_removal(
    state: RunningPod, size: float, outside: float, least: float, slack: float
) -> None:
    """BadInput where removing a snapshot would leave negative energy."""
    excess = max(-least - state.lost, size - state.energy, outside - state.lost)
    if excess > slack:
        raise BadInput(
            "this snapshot was never added, or was forgotten in part; removing it would leave "
            "negative energy"
        )


def _check_options(tol: float | None, rank: int | None, forget: float) -> None:
    """BadInput for a tol, rank or forget out of range."""
    check_tolerance(tol)
    if (rank is not None and rank < 1) or not 0.0 < forget <= 1.0:
        raise BadInput(f"rank = {rank} must be at least 1 and forget = {forget} lie in (0, 1]")


def _columns_of(space: Space, snapshots: Snapshots | np.ndarray) -> np.ndarray:
    """B (n, b) by columns; BadInput for another shape or type."""
    u = snapshots.u[:] if isinstance(snapshots, Snapshots) else snapshots
    B = number_array(u, "snapshots", NUMBER)
    if B.ndim == 1:
        B = B[:, None]
    if B.ndim != 2 or B.shape[0] != space.n or B.shape[1] == 0:
        raise BadInput(
            f"snapshots have shape {B.shape}; give at least one column of {space.n} numbers"
        )
    return np.asfortranarray(B, dtype=complex if B.dtype.kind == "c" else float)
