"""A POD that follows its data: snapshots are added, forgotten and removed, and what was discarded is always known."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import scipy.linalg as la

from rom.basis import Basis
from rom.errors import BadInput
from rom.snapshots import Snapshots
from rom.space import Space

EPS = float(np.finfo(float).eps)


@dataclass(eq=False)
class _Room:
    """Columns that states share: whoever has all that are used may append; a state sees only its own first ones."""

    store: np.ndarray
    used: int


@dataclass(frozen=True, eq=False)
class RunningPod:
    """U U^H = V diag(s^2) V^H + D, D >= 0, tr(X D) = lost: hence |U - V V^H X U|_X^2 <= lost, and s_i^2 <= sigma_i(U)^2 <= s_i^2 + lost.

    V = W K in extended form: an update appends columns to W and rotates the small K, never the modes.
    columns : W (n, c), orthonormal; rotation : K (c, r), K^H K = I; s : (r,) singular values
    energy : |U|_X^2; lost : sum of all squared singular values that were discarded; seen : snapshots so far, removed ones not counted
    """

    space: Space
    columns: np.ndarray | None = None
    rotation: np.ndarray | None = None
    s: np.ndarray | None = None
    energy: float = 0.0
    lost: float = 0.0
    seen: int = 0
    room: _Room | None = None

    @property
    def r(self) -> int:
        """Number of modes."""
        return 0 if self.s is None else self.s.size

    @property
    def error(self) -> float:
        """sqrt(lost / energy) >= relative projection error of all snapshots."""
        return float(np.sqrt(self.lost / self.energy)) if self.energy > 0 else 0.0

    def basis(self) -> Basis:
        """The modes, multiplied out: O(n c r)."""
        if self.s is None or self.columns is None:
            raise BadInput("no snapshot yet; update the running POD first")
        return Basis(
            self.space, self.columns @ self.rotation, s=self.s, reason=f"running POD of {self.seen} snapshots", error=self.error
        )


def updated(
    state: RunningPod, snapshots: Snapshots | np.ndarray, tol: float | None = None, rank: int | None = None, forget: float = 1.0
) -> RunningPod:
    """The running POD of [forget U, B]; discards while lost <= tol^2 energy, and beyond `rank` in any case.

    snapshots : B (n, b) or Snapshots of the same space; forget in (0, 1] multiplies all that came before
    With neither tol nor rank only round-off is discarded. Cost O(n c b) with c <= 2 r + b stored columns; no n r^2 but every r-th time.
    Raises BadInput for other shapes, NaN, or a tol outside (0, 1). Reference: Brand (2006); extended form: Deng et al. (2024).
    """
    B = _checked(state, snapshots, tol, rank, forget)
    old = np.zeros(0) if state.s is None else forget * state.s
    K = np.zeros((0, 0)) if state.rotation is None else state.rotation
    W = np.zeros((state.space.n, 0), dtype=B.dtype) if state.columns is None else state.columns
    C, Q, T, dropped = split(state.space, W, B)
    energy = forget**2 * state.energy + float(np.sum(np.square(state.space.norm(B))))
    lost = forget**2 * state.lost + dropped
    core = np.block([[K * old, C], [np.zeros((len(T), old.size)), T]])
    F, s, _ = la.svd(core, full_matrices=False, check_finite=False)
    r = _kept(s, lost, energy, tol, rank)
    lost += float(np.sum(s[r:] ** 2))
    columns, rotation, room = _stored(state.room, W, Q, F[:, :r])
    return RunningPod(state.space, columns, rotation, s[:r], energy, lost, state.seen + B.shape[1], room)


def downdated(state: RunningPod, u: np.ndarray) -> RunningPod:
    """The running POD without the snapshot u (n,): diag(s^2) - c c^H with c = V^H X u; lost shrinks by what V never had of u.

    u must be one of the snapshots and not forgotten in part: otherwise the sums go negative and BadInput is raised.
    Accurate to the square root of round-off. Reference: Brand (2006).
    """
    if state.s is None or state.rotation is None or state.columns is None:
        raise BadInput("no snapshot yet; there is nothing to remove")
    u = np.asarray(u)
    if u.shape != (state.space.n,) or not np.isfinite(u).all():
        raise BadInput(f"u has shape {u.shape} or holds NaN; give one finite snapshot ({state.space.n},)")
    c = state.rotation.conj().T @ state.space.inner(state.columns, u[:, None])[:, 0]
    size, inside = float(state.space.norm(u)) ** 2, float(np.linalg.norm(c)) ** 2
    values, Z = la.eigh(np.diag(state.s**2) - np.outer(c, c.conj()))
    values, Z = values[::-1], Z[:, ::-1]
    slack = 64 * EPS * state.energy
    if values[-1] < -state.lost - slack or size > state.energy + slack or size - inside > state.lost + slack:
        raise BadInput("this snapshot was never added, or was forgotten in part; removing it would leave negative energy")
    kept = values > 16 * EPS * state.s[0] ** 2
    lost = max(state.lost - (size - inside), 0.0) + float(np.sum(np.maximum(values[~kept], 0.0))) + slack
    return replace(
        state,
        rotation=state.rotation @ Z[:, kept],
        s=np.sqrt(values[kept]),
        energy=max(state.energy - size, 0.0),
        lost=lost,
        seen=state.seen - 1,
    )


def merged(first: RunningPod, second: RunningPod, tol: float | None = None, rank: int | None = None) -> RunningPod:
    """The running POD of both sets of snapshots, from modes and singular values alone."""
    if second.s is None or first.s is None:
        return first if second.s is None else second
    scaled = replace(first, lost=first.lost + second.lost, energy=first.energy + second.energy - float(np.sum(second.s**2)))
    both = updated(scaled, second.basis().modes * second.s, tol, rank)
    return replace(both, seen=first.seen + second.seen)


def split(space: Space, W: np.ndarray, B: np.ndarray, rounds: int = 2) -> tuple[np.ndarray, np.ndarray, np.ndarray, float]:
    """B = W C + Q T + dropped, Q^H X [W, Q] = [0, I]: (C, Q, T, energy dropped); dropped is round-off of |B|_X.

    Directions below 1e-6 of the largest are orthogonalised in a further round, as their Gram matrix does not show them.
    """
    C = space.inner(W, B)
    R = B - _times(W, C)
    values, Z = la.eigh(space.gram(R), check_finite=False)
    inside = np.sum(np.abs(C) ** 2, axis=0)
    floor = (64 * EPS) ** 2 * max(float(inside.sum() + np.maximum(values, 0.0).sum()), 1e-300)
    big = values > max(1e-12 * values[-1], floor)
    big[: max(len(big) - (space.size - W.shape[1]), 0)] = False  # a space has no more directions than dofs
    root, dropped = np.sqrt(values[big]), float(np.sum(np.maximum(values[~big], 0.0)))
    Q, T = _times(R, Z[:, big] / root), root[:, None] * Z[:, big].conj().T
    if root.size and root.min() < 0.05 * np.sqrt(inside.max(initial=0.0) + values[-1]):  # else one pass is orthogonal to 20 eps
        again = space.inner(W, Q)
        Q -= _times(W, again)
        L = la.cholesky(space.gram(Q))
        Q, C, T = _times(Q, la.solve_triangular(L, np.eye(len(L)), check_finite=False)), C + again @ T, L @ T
    if rounds > 1 and 0 < big.sum() < len(big) and dropped > floor:
        D, P, S, dropped = split(space, np.hstack([W, Q]), R @ Z[:, ~big], rounds - 1)
        rest, k = Z[:, ~big].conj().T, len(C)
        return C + D[:k] @ rest, np.hstack([Q, P]), np.vstack([T + D[k:] @ rest, S @ rest]), dropped
    return C, Q, T, dropped


def _times(W: np.ndarray, C: np.ndarray) -> np.ndarray:
    """W C by columns."""
    return (C.T @ W.T).T


def _stored(room: _Room | None, W: np.ndarray, Q: np.ndarray, K: np.ndarray) -> tuple[np.ndarray, np.ndarray, _Room]:
    """[W, Q] and K: in the room there is, else in a new one of r modes multiplied out and as much again to grow into."""
    c, k, r = W.shape[1], Q.shape[1], K.shape[1]
    if room is not None and room.used == c and c + k <= room.store.shape[1] and room.store.dtype == np.result_type(W, Q):
        room.store[:, c : c + k], room.used = Q, c + k
        return room.store[:, : c + k], K, room
    made = _Room(np.empty((len(W), 2 * max(r, k) + 8), dtype=np.result_type(W, Q), order="F"), r)
    K, R = la.qr(K, mode="economic", check_finite=False)
    made.store[:, :r] = _times(W, K[:c]) + _times(Q, K[c:])
    return made.store[:, :r], R, made


def _kept(s: np.ndarray, lost: float, energy: float, tol: float | None, rank: int | None) -> int:
    r = int(np.sum(s > 2 * EPS * s[0])) if s.size and s[0] > 0 else 0
    if tol is not None:
        tails = lost + np.append(np.cumsum(s[::-1] ** 2)[::-1], 0.0)
        r = min(r, int(np.argmax(tails <= tol**2 * energy))) if (tails <= tol**2 * energy).any() else r
    return min(max(r, 1), rank or len(s), len(s))


def _checked(
    state: RunningPod, snapshots: Snapshots | np.ndarray, tol: float | None, rank: int | None, forget: float
) -> np.ndarray:
    B = np.asarray(snapshots.u[:] if isinstance(snapshots, Snapshots) else snapshots)
    B = B[:, None] if B.ndim == 1 else B
    if B.ndim != 2 or B.shape[0] != state.space.n or B.shape[1] == 0 or B.dtype.kind not in "fc":
        raise BadInput(f"snapshots have shape {B.shape} of {B.dtype}; give at least one column of {state.space.n} floats")
    if not np.isfinite(B).all():
        i, j = np.argwhere(~np.isfinite(B))[0]
        raise BadInput(f"snapshot {j} of the update holds NaN or Inf at row {i}; drop it or solve it again")
    if tol is not None and not 0.0 < tol < 1.0:
        raise BadInput(f"tol = {tol} must lie in (0, 1): it is a relative projection error")
    if (rank is not None and rank < 1) or not 0.0 < forget <= 1.0:
        raise BadInput(f"rank = {rank} must be at least 1 and forget = {forget} lie in (0, 1]")
    return np.asfortranarray(B)
