"""What partitions see of snapshots: directions, sizes, inputs and runs."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from rom.arrays import check_lengths, gate
from rom.basis import Basis
from rom.compress.blocks import norms
from rom.local.held_out import run_numbers
from rom.local.hull import hull_coordinates
from rom.snapshots import Snapshots

NEGLIGIBLE = 1e-2  # of the energy that K bases of r modes must miss


@dataclass(frozen=True, eq=False)
class Samples:
    """Snapshots as a partition sees them.

    unit : (R, m) coordinates of norm one; size : (m,) norms of the snapshots
    inputs : (m, p) known online; run_of : (m,) number of the run
    tied : whether all samples of a run share a basis
    """

    unit: np.ndarray
    size: np.ndarray
    inputs: np.ndarray
    run_of: np.ndarray
    tied: bool = False

    def take(self, rows: np.ndarray) -> Samples:
        """Some of the samples."""
        return Samples(
            self.unit[:, rows], self.size[rows], self.inputs[rows], self.run_of[rows], self.tied
        )

    def trim(self, directions: int) -> Samples:
        """The leading rows of `unit`: what the others hold changes no choice.

        They hold a hundredth of what `directions` of the rows miss.
        """
        energy = np.sum(np.abs(self.unit) ** 2, axis=1)
        tail = np.append(np.cumsum(energy[::-1])[::-1], 0.0)
        allowed = NEGLIGIBLE * tail[min(directions, len(energy))]
        rows = int(np.argmax(tail <= allowed))
        return Samples(self.unit[:rows], self.size, self.inputs, self.run_of, self.tied)


@gate(snapshots=Snapshots)
def features(snapshots: Snapshots) -> np.ndarray:
    """(mu, t), (m, p) or (m, p + 1): time is one more parameter."""
    if snapshots.t is None:
        return snapshots.mu
    return np.column_stack([snapshots.mu, snapshots.t])


def see(
    snapshots: Snapshots, inputs: np.ndarray | None, *, whole_runs: bool, tol: float = 1e-7
) -> tuple[Basis, Samples]:
    """The hull of snapshots, and the samples that partitions see."""
    if inputs is None:
        inputs = features(snapshots)
    check_lengths("snapshot", inputs=inputs, mu=snapshots.mu)
    hull, coordinates = hull_coordinates(snapshots, tol)
    size = norms(snapshots)
    x = np.asarray(inputs, dtype=float)
    return hull, Samples(coordinates, size, x, run_numbers(snapshots), whole_runs)
