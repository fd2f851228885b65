"""Runs of a system as series of coefficients, as laws of dynamics take them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from rom.basis import Basis
from rom.compress.blocks import coefficients
from rom.errors import BadInput
from rom.snapshots import Snapshots


@dataclass(frozen=True, eq=False)
class Runs:
    """Coefficients a (m, r, n_t) of m runs, parameters mu (m, p), times t (n_t,)."""

    a: np.ndarray
    mu: np.ndarray
    t: np.ndarray

    def take(self, rows: np.ndarray) -> Runs:
        """Some of the runs."""
        return Runs(self.a[rows], self.mu[rows], self.t)


def runs_on_basis(snapshots: Snapshots, basis: Basis) -> Runs:
    """The runs of snapshots, all at the same times, on a basis.

    Raises BadInput for runs without times, at other times, complex, or on several ranks.
    """
    if snapshots.t is None:
        raise BadInput("the snapshots have no times; a model of dynamics needs them")
    times = np.asarray(snapshots.t)
    t = times[: int(np.argmax(np.diff(times, append=-np.inf) <= 0)) + 1]
    m, rest = divmod(len(times), len(t))
    if rest or not np.array_equal(np.tile(t, m), times):
        raise BadInput("the runs are at other times; give all of them the same")
    if snapshots.space.spread:
        raise BadInput("a model of dynamics is trained on one rank; run it without mpiexec")
    a = coefficients(snapshots, basis)
    if np.iscomplexobj(a):
        raise BadInput("the snapshots are complex; give their real and imaginary parts as fields")
    mu = np.asarray(snapshots.mu)[:: len(t)]
    if not np.array_equal(np.repeat(mu, len(t), axis=0), np.asarray(snapshots.mu)):
        raise BadInput("parameters change within a run; a law has one parameter a run")
    return Runs(a.reshape(basis.r, m, len(t)).transpose(1, 0, 2), mu, t)


def check_one_parameter(runs: Runs) -> None:
    """Raises BadInput for runs of several parameters: a law without any has one."""
    if len(np.unique(runs.mu, axis=0)) > 1:
        raise BadInput(
            "the runs have several parameters, one linear law has none; take --kind opinf "
            "--degree 1, a linear law for each parameter, or the runs of one parameter"
        )
