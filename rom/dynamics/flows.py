"""Laws of reduced states in time, as models."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from rom.basis import Basis
from rom.dynamics.starts import check_starts, start_quantities, start_states
from rom.model import Asks, Model, Question
from rom.prediction import (
    Error,
    Known,
    Part,
    Prediction,
    Quantity,
    Warned,
    rows_by_field,
    state_quantities,
)

ROUND_OFF = 1e-10  # of the rms of the samples: a residual below it has no structure


@dataclass(frozen=True, eq=False)
class LinearFlow(Model):
    """u(t) = V sum_j B_j exp(alpha_j (t - t_0)), real.

    Of a run that was trained; from a start y_0 = V^H X u_0 it is V W exp(alpha (t - t_0)) W^{-1}
    y_0, W the modes that all runs share. A law of several runs asks for the start.

    basis : V, r modes; times (n_t,) [s] trained; rates : alpha (k,) [1/s], growth + i frequency
    amplitudes : B (k, runs, r) of each trained run
    variance : of the noise in a coefficient, NaN where the fit was not optimised
    noise (n,) : deviation of a sample from the law, the same for all rows of a field
    normal, gram, cross (k, k) : G, Phi^* Phi and Phi^+ D of the fit, which spread that variance
    lag : correlation of successive residuals: far from 0, more is in them than noise
    """

    basis: Basis
    times: np.ndarray
    rates: np.ndarray
    amplitudes: np.ndarray
    variance: float
    noise: np.ndarray
    normal: np.ndarray
    gram: np.ndarray
    cross: np.ndarray
    lag: float

    @property
    def asks(self) -> Asks:
        """Times from the first trained one on, without end, and the fields at the first.

        They may be left out where one run was trained: its own are taken. With more rates than
        modes they are not asked for, as they do not tell all amplitudes.
        """
        fields = start_quantities(self.basis.space, optional=self.runs == 1)
        if len(self.rates) > self.basis.r:
            fields = ()
        return Asks(0, None, self.times, between=True, beyond=True, fields=fields)

    @property
    def runs(self) -> int:
        """Number of runs that were trained."""
        return int(self.amplitudes.shape[1])

    @property
    def known(self) -> Known:
        """Of the error: deviations by the noise of the samples, if the law is right."""
        return Known.NOTHING if np.isnan(self.variance) else Known.STATISTICAL

    @property
    def tells(self) -> tuple[Quantity, ...]:
        """The fields of the space, or "u"."""
        return state_quantities(self.basis.space)

    @property
    def rate_std(self) -> tuple[np.ndarray, np.ndarray]:
        """Deviations (k,) of growth and of frequency, NaN where the fit was not optimised."""
        C = self.variance * np.linalg.inv(self.normal)
        both, pseudo = C.diagonal().real, self._pseudo_variance()
        return (
            np.sqrt(np.maximum(0.5 * (both + pseudo.real), 0.0)),
            np.sqrt(np.maximum(0.5 * (both - pseudo.real), 0.0)),
        )

    def _pseudo_variance(self) -> np.ndarray:
        """E[(alpha_j - E alpha_j)^2], (k,): of the conjugate partner's covariance."""
        partner = np.abs(self.rates[:, None].conj() - self.rates).argmin(axis=1)
        C = self.variance * np.linalg.inv(self.normal)
        return np.asarray(C[np.arange(len(partner)), partner])

    @property
    def periods(self) -> np.ndarray:
        """2 pi / |Im alpha|, (k,) [s], infinite where nothing oscillates."""
        with np.errstate(divide="ignore"):
            return np.asarray(2 * np.pi / np.abs(self.rates.imag))

    @property
    def half_lives(self) -> np.ndarray:
        """log 2 / -Re alpha, (k,) [s], negative where a mode grows: its time to double."""
        with np.errstate(divide="ignore"):
            return np.asarray(np.log(2.0) / -self.rates.real)

    @property
    def facts(self) -> dict[str, Any]:
        """Rates with 95 % intervals, periods and half-lives; cond(W)."""
        facts: dict[str, Any] = {}
        widths = 1.96 * np.array(self.rate_std)
        rows = zip(self.rates, *widths, self.periods, self.half_lives, strict=True)
        for rate, growth, frequency, period, half in rows:
            if rate.imag < 0:
                continue
            text = f"growth {rate.real:.4g} +- {growth:.2g} 1/s"
            text += f", doubles in {-half:.4g} s" if half < 0 else f", halves in {half:.4g} s"
            if rate.imag:
                text += (
                    f", frequency {rate.imag:.4g} +- {frequency:.2g} rad/s, period {period:.4g} s"
                )
            facts[f"rate {len(facts) + 1}"] = text
        facts["condition of the modes"] = self.condition
        facts["correlation of successive residuals"] = self.lag
        return facts

    @property
    def modes(self) -> tuple[np.ndarray, np.ndarray]:
        """W (r, k), modes of length 1, and their amplitudes c (k, runs) in each run.

        B_j ~ c_j W_j^T, the best of rank one.
        """
        U, s, Wh = np.linalg.svd(self.amplitudes, full_matrices=False)
        return Wh[:, 0].T, U[:, :, 0] * s[:, :1]

    @property
    def condition(self) -> float:
        """cond(W) of the modes: large where they are hardly distinct."""
        return float(np.linalg.cond(self.modes[0]))

    @property
    def reason(self) -> str:
        """The rates, in words."""
        words = [f"{rate.real:.4g} {rate.imag:+.4g}i" for rate in self.rates if rate.imag >= 0]
        return f"rates {'; '.join(words)} 1/s"

    def answer(self, question: Question) -> Prediction:
        """Fields and deviations at the times asked for, from the starts or of the run."""
        t = self.times if question.t is None else question.t
        space = self.basis.space
        starts, warnings = start_states(question, space), self._warnings()
        if starts is None:
            y, std = self.series(t)
            y = np.repeat(y[:, None], question.m, axis=1)
            spread = None if std is None else np.repeat(std[:, None], question.m, axis=1)
        else:
            y, spread = self.follow_starts(t, self.basis.coefficients(starts))
            warnings += check_starts(self.basis, starts)
        values = self.basis.lift(y.reshape(len(y), -1)).reshape(-1, *y.shape[1:])
        parts = {}
        for quantity, rows in rows_by_field(space):
            deviation = None if spread is None else spread[rows]
            errors = () if deviation is None else (_rms(deviation, quantity.unit),)
            parts[quantity.name] = Part(quantity, values[rows], std=deviation, errors=errors)
        inside = np.repeat((t <= self.times[-1])[None], question.m, axis=0)
        return Prediction(question, parts, t=t, space=space, inside=inside, warnings=warnings)

    def follow_starts(
        self, t: np.ndarray, starts: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray | None]:
        """Coefficients (r, m, n_t) from starts (r, m), deviations (n, m, n_t) of fields.

        To first order in the errors of alpha and W, the starts being exact.
        """
        W = self.modes[0]
        phi = np.exp(np.outer(t - self.times[0], self.rates))
        b = np.linalg.lstsq(W, starts.astype(complex), rcond=None)[0]
        y = np.einsum("rk,tk,km->rmt", W, phi, b).real
        if np.isnan(self.variance):
            return y, None
        spread = [self._started_deviation(t, phi, own) for own in b.T]
        return y, np.stack(spread, axis=1)

    def _started_deviation(self, t: np.ndarray, phi: np.ndarray, b: np.ndarray) -> np.ndarray:
        """Deviations (n, n_t) from a start of amplitudes b (k,).

        dy = sum_l d(alpha_l) z_l + sum_j b_j (phi_j - P) dW_j, P = W diag(phi) W^{-1}. W_j has the
        noise of the mean of its amplitudes, and what the error of the rates moves it by.
        """
        W, c = self.modes
        sizes = np.sum(np.abs(c) ** 2, axis=1)
        overlap = (c.conj() @ c.T) / sizes[:, None]
        inverse_W = np.linalg.pinv(W)
        inverse = np.linalg.inv(self.gram)
        kappa = inverse * (c.conj() @ c.T) / np.outer(sizes, sizes)
        normal = np.linalg.inv(self.normal)
        V = self.basis.modes
        outside = np.maximum(self.noise**2 - self.variance * np.sum(V**2, axis=1), 0.0)
        squares = np.empty((len(V), len(t)))
        for k, time in enumerate(t - self.times[0]):
            P = (W * phi[k]) @ inverse_W
            turn = b[:, None, None] * (phi[k][:, None, None] * np.eye(len(W)) - P)
            of_rates = W * (time * phi[k] * b)
            of_rates = of_rates - np.einsum("jrs,jl,sl->rl", turn, self.cross * overlap, W)
            C = of_rates @ normal @ of_rates.conj().T
            C = self.variance * (C + np.einsum("jrs,jl,lqs->rq", turn, kappa, turn.conj())).real
            weight = (phi[k] * b) @ kappa @ (phi[k] * b).conj()
            squares[:, k] = np.einsum("nr,rq,nq->n", V, C, V) + outside * weight.real
        return np.sqrt(np.maximum(squares, 0.0))

    def series(self, t: np.ndarray, run: int = 0) -> tuple[np.ndarray, np.ndarray | None]:
        """Coefficients (r, n_t) of a run at times t, and deviations (n, n_t) of its field.

        var u_i = noise_i^2 phi (Phi^* Phi)^{-1} phi^* + variance z_i G^{-1} z_i^*,
        z_ij = (t phi - phi Phi^+ D)_j B_ji, phi = exp(alpha (t - t_0)): of amplitudes and rates.
        """
        phi = np.exp(np.outer(t - self.times[0], self.rates))
        B = self.amplitudes[:, run]
        y = (phi @ B).real.T
        if np.isnan(self.variance):
            return y, None
        of_amplitudes = np.sum((phi @ np.linalg.inv(self.gram)) * phi.conj(), axis=1).real
        moved = (t - self.times[0])[:, None] * phi - phi @ self.cross
        at_nodes = self.basis.modes @ B.T
        L = np.linalg.cholesky(np.linalg.inv(self.normal))
        variance = np.empty((len(at_nodes), len(t)))
        for k in range(len(t)):
            variance[:, k] = np.sum(np.abs((at_nodes * moved[k]) @ L) ** 2, axis=1)
        return y, np.sqrt(self.variance * variance + self.noise[:, None] ** 2 * of_amplitudes)

    @property
    def _is_white(self) -> bool:
        """Whether successive residuals look independent, to two deviations."""
        count = len(self.times) * self.amplitudes[0].size
        tiny = not self.variance > (ROUND_OFF**2) * np.mean(np.abs(self.amplitudes) ** 2)
        return tiny or abs(self.lag) < 2.0 / np.sqrt(count)

    def _warnings(self) -> tuple[Warned, ...]:
        if self._is_white:
            return ()
        warned = Warned(
            "structure",
            f"{len(self.rates)} modes leave structure in the residuals (correlation {self.lag:.2g})"
            ": the deviations are too small; take more modes",
        )
        return (warned,)


def _rms(deviation: np.ndarray, unit: str) -> Error:
    """The rms over a field of its deviation (k, m, n_t)."""
    value = np.sqrt(np.mean(deviation**2, axis=0))
    return Error(value, Known.STATISTICAL, "rms over the field", unit)
