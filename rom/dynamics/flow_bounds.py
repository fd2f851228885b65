"""Proved bounds of laws of an affine problem, whoever found their operators."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from rom.certified import ResidualBound, trajectory_bound
from rom.certified.residual import known_of
from rom.certified.transient import MASS_NORM
from rom.dynamics.polynomial import PolynomialFlow
from rom.errors import BadInput
from rom.prediction import Error
from rom.snapshots import Snapshots

ALIKE = 1e-12  # relative: starts that differ by less are one


def with_bound(flow: PolynomialFlow, bound: Any, mass: Any, snapshots: Snapshots) -> PolynomialFlow:
    """The law with a bound of its distance to the backward Euler solution.

    bound : residual_bound(A, f, basis, stability, M); mass : M, this bound's
    snapshots : runs at the times of the law; where all start alike, |u_0 - V a_0|_M is of that
        start, else it is known for starts that are told only
    Raises BadInput where one of bound and mass is missing, or the basis has an offset.
    """
    if bound is None and mass is None:
        return flow
    if not isinstance(bound, ResidualBound) or np.shape(mass) != (flow.basis.space.n,) * 2:
        raise BadInput(
            "a bound needs both: bound, as of residual_bound(A, f, basis, stability, M), and mass, "
            f"its M ({flow.basis.space.n}, {flow.basis.space.n})"
        )
    if np.any(flow.basis.offset):
        raise BadInput("the bound takes bases without offset; run pod(..., center=False)")
    first = np.asarray(snapshots.u[:, :: len(flow.times)])
    spread = np.abs(first - first[:, :1]).max()
    flow = replace(flow, bound=bound, mass=mass)
    if flow.start is None or spread > ALIKE * np.abs(first).max(initial=0.0):
        return flow
    a0 = flow.start_at(snapshots.mu[:1])[0]
    return replace(flow, first_error=float(flow.norm(first[:, 0] - flow.basis.lift(a0))))


def flow_bound(
    flow: PolynomialFlow,
    mu: np.ndarray,
    a0: np.ndarray,
    t: np.ndarray,
    states: np.ndarray | None,
) -> tuple[Error, ...]:
    """The bound (m, n_t) at times t, NaN between and after the trained times.

    a0 (m, r); states (n, m) that were told as the starts, or None
    """
    first = np.full(len(mu), flow.first_error)
    if states is not None:
        first = flow.norm(states - flow.basis.lift(a0.T))
    a, _ = flow.follow(mu, a0, flow.times)
    own = np.full((len(mu), len(flow.times)), np.nan)
    good = np.isfinite(a).all(axis=(1, 2))
    if good.any():
        whole = a[good].transpose(1, 0, 2)
        own[good] = trajectory_bound(
            flow.bound, mu[good], whole, flow.times, initial_error=first[good]
        )
    gaps = np.abs(flow.times[:, None] - t)
    nearest = gaps.argmin(axis=0)
    at_one = gaps.min(axis=0) <= 1e-9 * (flow.times[-1] - flow.times[0])
    value = np.where(at_one, own[:, nearest], np.nan)
    return (Error(value, known_of(flow.bound), MASS_NORM),)
