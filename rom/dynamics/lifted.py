"""Maps from sample to sample by lifted coefficients, as models, and their spectra."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from rom.arrays import gate, real
from rom.dynamics.forms import Polynomial
from rom.dynamics.laws import GUARD, LOST, ReducedLaw
from rom.dynamics.marching import Region
from rom.dynamics.polynomial import stack_operators
from rom.dynamics.starts import start_quantities
from rom.model import Asks

TOLD = 12  # eigenvalues that `facts` names


@dataclass(frozen=True, eq=False)
class Spectrum:
    """Eigenvalues of z -> K phi(z), phi(z_{k+1}) ~ K phi(z_k), and how far each holds.

    w_j^T phi(z_{k+1}) ~ lambda_j w_j^T phi(z_k), lambda_j = exp(rate_j step)

    values (k,) : lambda_j; functions (k, d) : w_j, of rms one over the runs
    misses (k,) : rms of w_j^T phi(z_{k+1}) - lambda_j w_j^T phi(z_k) over that of w_j^T phi(z_k),
        on runs that K has not seen: of 1, the eigenvalue is of no observable of the system

    Reference: Colbrook and Townsend (2024).
    """

    values: np.ndarray
    functions: np.ndarray
    misses: np.ndarray


@dataclass(frozen=True, eq=False)
class LiftedMap(ReducedLaw):
    """z_{k+1} = O phi(z_k), z = (a - centre) / half, u = offset + V a.

    Beside what every `ReducedLaw` holds, with O (1, r, d) of a step and even times:
    spectrum : of the whole map phi(z_k) -> phi(z_{k+1}), for inspection; answers come from O,
        which lifts the coefficients anew at each step
    """

    spectrum: Spectrum | None = None

    @property
    def step(self) -> float:
        """Time from one sample to the next [s]."""
        return float((self.times[-1] - self.times[0]) / (len(self.times) - 1))

    @property
    def asks(self) -> Asks:
        """The trained times and steps after the last, and the fields at the first."""
        fields = start_quantities(self.basis.space, optional=self.start is not None)
        return Asks(0, None, self.times, beyond=True, fields=fields)

    @property
    def facts(self) -> dict[str, Any]:
        """Those of all laws, and the eigenvalues that miss least."""
        facts = super().facts
        if self.spectrum is None:
            return facts
        misses = self.spectrum.misses
        count = 0
        for k in np.argsort(misses, kind="stable"):
            value = complex(self.spectrum.values[k])
            if value.imag < 0 or count == TOLD or abs(value) == 0:
                continue
            count += 1
            rate = np.log(value) / self.step
            text = f"{value:.5g}: growth {rate.real:.4g} 1/s"
            if rate.imag:
                text += f", period {2 * np.pi / abs(rate.imag):.4g} s"
            facts[f"eigenvalue {count}"] = f"{text}, misses {misses[k]:.2g}"
        return facts

    def follow(
        self, mu: np.ndarray, a0: np.ndarray, t: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Coefficients (m, r, n_t) from a0 (m, r), and where they were outside, (m, n_t).

        mu is not looked at: the runs have one parameter.
        """
        law = stack_operators(self.form, self.operators, mu[:, :0])
        return Steps(self.step)(self.form, law, a0, (self.times[0], t), self.region)

    def start_at(self, mu: np.ndarray) -> np.ndarray:
        """a(t_0), (m, r), the same for all. Raises BadInput where it is asked for."""
        return super().start_at(mu[:, :0])

    @gate(states=real)
    def eigenfunctions(self, states: np.ndarray) -> np.ndarray:
        """w_j^T phi(z) of states (n, m), (k, m), in the order of the spectrum."""
        assert self.spectrum is not None
        z = (self.basis.coefficients(states).T - self.centre) / self.half
        return np.asarray(self.spectrum.functions @ self.form.features(z).T)


@dataclass(frozen=True)
class Steps:
    """z_{k+1} = O phi(z_k) as `follow_law` follows a rate; step [s]."""

    step: float

    def __call__(
        self, form: Polynomial, law: np.ndarray, a0: np.ndarray, t: tuple[float, np.ndarray],
        region: Region, *, guard: float = GUARD, lost: float = LOST,
    ) -> tuple[np.ndarray, np.ndarray]:  # fmt: skip
        """Coefficients (m, r, n_t) of maps (k, r, d), m / k each, and who was outside."""
        first, later = t
        at = np.round((np.asarray(later) - first) / self.step).astype(int)
        steps, place = np.unique(at, return_inverse=True)
        states = np.full((*a0.shape, len(steps)), np.nan)
        outside = np.zeros((len(a0), len(steps)), dtype=bool)
        a, out = a0.astype(float), region.reach(a0) > guard
        k, r, d = law.shape
        now = 0
        with np.errstate(over="ignore", invalid="ignore"):
            for column, count in enumerate(steps):
                for _ in range(count - now):
                    phi = form.features((a - region.centre) / region.half)
                    z = np.matmul(phi.reshape(k, -1, d), law.transpose(0, 2, 1)).reshape(-1, r)
                    a = region.centre + region.half * z
                    a[~(region.distance(a) < lost)] = np.nan
                    out = out | ~(region.reach(a) <= guard)
                now = count
                states[:, :, column], outside[:, column] = a, out
        return states[:, :, place], outside[:, place]
