"""Modes of whole trajectories: in space and time together, or as products.

v(x, t; mu) = offset(x, t) + sum_k modes_k(x, t) a_k(mu), v a transform of u, over its size or not.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from rom.gp.trajectories import TrajectoryGP, transform_field
from rom.gp.trajectory_runs import WholeRuns

MAX_SPACE_RANK = 64
MAX_PRODUCTS = 4  # modes for each run
WINDOWS = 3  # in time, with a kernel for each of their modes
SPARE = 10  # columns of a sketch beyond its rank


@dataclass(frozen=True)
class Form:
    """What is compressed: `transform` of u, over the rms of its run if sized.

    tol : of what the modes leave out; level : of bands
    bends : of the inputs of processes, one each, as `bend_inputs` takes them; () for none
    """

    transform: str
    sized: bool
    tol: float
    level: float
    bends: tuple[float, ...] = ()

    @property
    def label(self) -> str:
        """The transform, and whether it is sized."""
        return f"{self.transform}, sized" if self.sized else self.transform


@dataclass(frozen=True, eq=False)
class Coefficients:
    """A model without processes, and its coefficients a (m, r).

    groups (r,) : those of one number share a kernel
    where : (r, 2), mode in space and in time of each coefficient, or None
    """

    blank: TrajectoryGP
    a: np.ndarray
    groups: np.ndarray
    where: np.ndarray | None = None


def joint_modes(runs: WholeRuns, form: Form) -> Coefficients:
    """The leading modes of runs as vectors (n n_t,); each has its own kernel."""
    log_size, offset, centred = _centre(runs, form)
    modes, a = _leading_modes(centred, form.tol)
    groups = np.arange(a.shape[1])
    return _coefficients(runs, form, (log_size, offset, centred), modes, a, groups=groups)


def window_modes(runs: WholeRuns, form: Form) -> Coefficients:
    """The leading modes of windows in time; each has its own kernel.

    v = sum_w h_w(t) v, h_w the hat functions of WINDOWS equal steps: what is late in a run may
    vary faster over the parameters than what is early.
    """
    log_size, offset, centred = _centre(runs, form)
    place = (runs.times - runs.times[0]) / (runs.times[-1] - runs.times[0]) * (WINDOWS - 1)
    hats = np.maximum(1.0 - np.abs(place - np.arange(WINDOWS)[:, None]), 0.0)
    most = form.tol * float(np.linalg.norm(centred)) / np.sqrt(WINDOWS)
    windows = [centred * hat for hat in hats]
    parts = [_leading_modes(v, most / max(float(np.linalg.norm(v)), 1e-300)) for v in windows]
    modes = np.concatenate([modes for modes, _ in parts], axis=2)
    a = np.hstack([a for _, a in parts])
    groups = np.arange(a.shape[1])
    return _coefficients(runs, form, (log_size, offset, centred), modes, a, groups=groups)


def _leading_modes(centred: np.ndarray, tol: float) -> tuple[np.ndarray, np.ndarray]:
    """Modes (n, n_t, r) and coefficients (m, r) that miss tol of the norm."""
    m, flat = len(centred), centred.reshape(len(centred), -1)
    values, vectors = np.linalg.eigh(flat @ flat.T)
    values, vectors = np.maximum(values[::-1], 0.0), vectors[:, ::-1]
    r = min(_rank(values, float(values.sum()), tol), m - 1)
    singular = np.sqrt(np.maximum(values[:r], 1e-300))
    modes = (flat.T @ (vectors[:, :r] / singular)).reshape(*centred.shape[1:], r)
    return modes, vectors[:, :r] * singular


def product_modes(
    runs: WholeRuns, form: Form, in_time: Sequence[np.ndarray] | None = None
) -> Coefficients:
    """Modes phi_k(x) psi_kj(t); the coefficients of one phi_k share a kernel.

    in_time : psi_k (n_t, q), orthonormal, for each phi_k, the last for all further ones; by
        default those of the data, which is the Kronecker process k_mu x C_k of each phi_k with
        the covariance C_k in time of largest likelihood
    """
    log_size, offset, centred = _centre(runs, form)
    phi, series = space_series(centred, form.tol)
    if in_time is None:
        in_time = [np.linalg.svd(part, full_matrices=False)[2].T for part in series]
    in_time = [in_time[min(k, len(in_time) - 1)] for k in range(len(series))]
    parts = [part @ psi for part, psi in zip(series, in_time, strict=True)]
    a = np.hstack(parts)
    where = np.array([(k, j) for k, part in enumerate(parts) for j in range(part.shape[1])])
    energy = np.sum(a**2, axis=0)
    order = np.argsort(-energy, kind="stable")
    r = _rank(energy[order], float(np.sum(centred**2)), form.tol)
    chosen = np.sort(order[: min(r, MAX_PRODUCTS * len(a))])
    a, where = a[:, chosen], where[chosen]
    psi = np.stack([in_time[k][:, j] for k, j in where], axis=1)
    modes = phi[:, None, where[:, 0]] * psi[None]
    groups = np.unique(where[:, 0], return_inverse=True)[1].ravel()
    return _coefficients(
        runs, form, (log_size, offset, centred), modes, a, groups=groups, where=where
    )


def averaged_modes(
    kinds: Sequence[Callable[[WholeRuns, Form], Coefficients]], runs: WholeRuns, form: Form
) -> Coefficients:
    """Modes of several kinds, an equal share of each: the mean of their answers."""
    parts = [compress(runs, form) for compress in kinds]
    skip = int(form.sized)
    modes = np.concatenate([part.blank.modes for part in parts], axis=2) / len(parts)
    tail = np.sqrt(sum(part.blank.tail**2 for part in parts)) / len(parts)
    a, groups = parts[0].a, parts[0].groups
    for part in parts[1:]:
        a = np.hstack([a, part.a[:, skip:]])
        groups = np.append(groups, part.groups[skip:] + groups.max() + 1 - skip)
    blank = replace(parts[0].blank, modes=np.ascontiguousarray(modes), tail=tail)
    return Coefficients(blank, np.ascontiguousarray(a), groups)


def space_series(centred: np.ndarray, tol: float) -> tuple[np.ndarray, np.ndarray]:
    """(phi (n, k), coefficients (k, m, n_t)) of v (m, n, n_t), by a sketch.

    Reference: Halko, Martinsson, Tropp (2011).
    """
    n = centred.shape[1]
    X = np.moveaxis(centred, 0, 1).reshape(n, -1)
    rank = min(MAX_SPACE_RANK, *X.shape)
    columns = min(rank + SPARE, *X.shape)
    Q = X @ np.random.default_rng(0).standard_normal((X.shape[1], columns))
    for _ in range(2):
        Q = X @ (X.T @ np.linalg.qr(Q)[0])
    Q = np.linalg.qr(Q)[0]
    U, singular, _ = np.linalg.svd(Q.T @ X, full_matrices=False)
    k = min(_rank(singular**2, float(np.sum(X**2)), 0.5 * tol), rank)
    phi = Q @ U[:, :k]
    series = (phi.T @ X).reshape(k, centred.shape[0], centred.shape[2])
    return phi, series


def centred_series(runs: WholeRuns, form: Form) -> np.ndarray:
    """Coefficients (k, m, n_t) of v - offset in its modes in space."""
    return space_series(_centre(runs, form)[2], form.tol)[1]


def run_sizes(runs: WholeRuns, transform: str) -> np.ndarray:
    """(m,) rms of each run."""
    return np.asarray(np.sqrt(np.mean(transform_field(transform, runs.u) ** 2, axis=(1, 2))))


def _centre(runs: WholeRuns, form: Form) -> tuple[np.ndarray | None, np.ndarray, np.ndarray]:
    """(log of the sizes (m,) or None, offset (n, n_t), v - offset)."""
    v, log_size = transform_field(form.transform, runs.u), None
    if form.sized:
        size = run_sizes(runs, form.transform)
        v, log_size = v / size[:, None, None], np.log(size)
    offset = v.mean(axis=0)
    return log_size, offset, v - offset


def _rank(energy: np.ndarray, total: float, tol: float) -> int:
    """The least number of modes that leave out tol of the norm, or all."""
    left = np.sqrt(np.maximum(total - np.cumsum(energy), 0.0) / max(total, 1e-300))
    enough = np.flatnonzero(left <= tol)
    return int(enough[0]) + 1 if len(enough) else len(energy)


def _coefficients(
    runs: WholeRuns,
    form: Form,
    parts: tuple[np.ndarray | None, np.ndarray, np.ndarray],
    modes: np.ndarray,
    a: np.ndarray,
    *,
    groups: np.ndarray,
    where: np.ndarray | None = None,
) -> Coefficients:
    """The coefficients with their model; the log of a size is a group of its own."""
    log_size, offset, centred = parts
    m = len(a)
    free = m - 1 if where is not None else max(m - 1 - a.shape[1], 1)
    missed = centred - np.tensordot(a, modes, (1, 2))
    tail = np.sqrt(np.sum(missed**2, axis=0) / free)
    blank = TrajectoryGP(
        times=runs.times,
        offset=offset,
        modes=np.ascontiguousarray(modes),
        tail=tail,
        transform=form.transform,
        sized=form.sized,
        processes=(),
        floor=0.0,
        factor=1.0,
        level=form.level,
        errors={},
    )
    if log_size is not None:
        a, groups = np.column_stack([log_size, a]), np.append(0, groups + 1)
    return Coefficients(blank, np.ascontiguousarray(a), groups, where)
