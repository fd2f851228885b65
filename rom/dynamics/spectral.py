"""Spectral proper orthogonal decomposition: modes coherent at one frequency.

    U_f U_f^H X phi = lambda phi, U_f the Fourier coefficients at f of overlapping blocks in time

Statistics of stationary runs, no forecast: the modes of each frequency are orthonormal in the
space, and the energies of all modes and frequencies add up to the mean square of the fluctuations.

Reference: Towne, Schmidt and Colonius (2018); Welch (1967).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from rom.arrays import gate
from rom.basis import Basis
from rom.dynamics.operators import EVEN
from rom.dynamics.runs import runs_on_basis
from rom.errors import BadInput
from rom.snapshots import Snapshots

WINDOWS = ("hann", "none")


@dataclass(frozen=True, eq=False)
class SpectralModes:
    """u(t) - mean ~ sum_f sum_j V phi_fj c_fj e^{2 pi i f t}, E|c_fj|^2 = energy_fj.

    basis : V, r modes; frequencies (n_f,) [Hz], not negative
    energies (n_f, k) : of each mode, falling, of f and -f together
    coefficients (n_f, r, k) : phi, complex, orthonormal at each frequency
    blocks : number of blocks in time that were averaged
    """

    basis: Basis
    frequencies: np.ndarray
    energies: np.ndarray
    coefficients: np.ndarray
    blocks: int

    def modes(self, frequency: float) -> np.ndarray:
        """Complex modes (n, k) at the nearest frequency [Hz], orthonormal in the space."""
        k = int(np.abs(self.frequencies - frequency).argmin())
        return np.asarray(self.basis.modes @ self.coefficients[k])

    def interval(self, level: float = 0.95) -> tuple[np.ndarray, np.ndarray]:
        """Limits (n_f, k) of the energies, by chi squared of 2 blocks degrees.

        Blocks count as independent, which overlapping ones are not quite: a little too narrow.
        Raises BadInput for a level outside (0, 1).
        """
        from scipy.stats import chi2

        if not 0 < level < 1:
            raise BadInput(f"level = {level:g} must lie in (0, 1)")
        free = 2 * self.blocks
        low, high = (free / chi2.ppf(0.5 * (1 + sign * level), free) for sign in (1, -1))
        return low * self.energies, high * self.energies


@gate(snapshots=Snapshots, basis=Basis)
def spod(
    snapshots: Snapshots, basis: Basis, *, samples: int, overlap: float = 0.5, window: str = "hann"
) -> SpectralModes:
    """The spectral modes of runs, from their coefficients on a basis.

    snapshots : stationary runs at the same even times; their mean over all is left out
    samples : in one block, so that frequencies are multiples of 1 / (samples dt); overlap : of
        successive blocks, as a share; window : "hann", or "none", over each block
    Raises BadInput for uneven times, blocks longer than a run, and an overlap outside [0, 1).
    Reference: Towne, Schmidt and Colonius (2018).
    """
    runs = runs_on_basis(snapshots, basis)
    n_t, steps = len(runs.t), np.diff(runs.t)
    if n_t < 2 or np.abs(steps - steps.mean()).max() > EVEN * steps.mean():
        raise BadInput("spectra need even times, two at least; sample the runs evenly")
    if not 2 <= samples <= n_t or not 0 <= overlap < 1 or window not in WINDOWS:
        raise BadInput(
            f"blocks of {samples} samples, overlap {overlap:g}, window {window!r}: give 2 to {n_t} "
            f"samples, an overlap in [0, 1) and one of {', '.join(WINDOWS)}"
        )
    every = max(1, round(samples * (1 - overlap)))
    weight = np.sin(np.pi * (np.arange(samples) + 0.5) / samples) ** 2
    weight = np.ones(samples) if window == "none" else weight / np.sqrt(np.mean(weight**2))
    a = runs.a - runs.a.mean(axis=(0, 2), keepdims=True)
    firsts = range(0, n_t - samples + 1, every)
    blocks = np.concatenate([a[:, :, first : first + samples] for first in firsts])
    spectra = np.fft.rfft(blocks * weight, axis=2).transpose(2, 1, 0) / samples
    both = np.full(len(spectra), 2.0)
    both[0] = 1.0
    if samples % 2 == 0:
        both[-1] = 1.0
    U, s, _ = np.linalg.svd(spectra, full_matrices=False)
    return SpectralModes(
        basis=basis,
        frequencies=np.fft.rfftfreq(samples, float(steps.mean())),
        energies=both[:, None] * s**2 / len(blocks),
        coefficients=U,
        blocks=len(blocks),
    )
