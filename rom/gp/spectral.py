"""Spectral-mixture kernels: lines in frequency, and where they start from."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from rom.arrays import POINTS, VECTOR, array_of, check_members, gate
from rom.errors import BadInput
from rom.gp.algebra import namespace
from rom.gp.kernels import (
    FORMS,
    Pullback,
    apart,
    by_axis,
    phase,
    radial,
    radial_profile,
    squares,
)

LOG_RANGE = 23.0  # ten decades
FREQUENCY_REACH = 3.0  # of log frequencies on either side: a factor 20
LENGTH_REACH = 4.0  # of log lengths on either side: a factor 50
MIN_ROWS = 8  # below, a periodogram says nothing
PADDING = 8  # the periodogram is this much finer than the rows
START_LENGTH = 0.3  # of the envelope of a line taken from data, in box widths


@dataclass(frozen=True, eq=False)
class Spectral:
    """k = sum_q w_q g(|z / l_q|) cos(2 pi f_q . z), z = x - y.

    A mixture of Gaussians (envelope rbf) or of Student's t (matern52) in frequency.
    weights (Q,) sum to one; frequencies (Q, p) and lengths (Q, p) are positive.
    References: Wilson, Adams (2013); Fang et al. (2024).
    """

    weights: np.ndarray
    frequencies: np.ndarray
    lengths: np.ndarray
    envelope: str = "rbf"

    def __post_init__(self) -> None:
        check_members(self, weights=VECTOR, frequencies=POINTS, lengths=POINTS)
        w, f, lengths = self.weights, self.frequencies, self.lengths
        fitting = w.ndim == 1 and f.ndim == 2 and f.shape == lengths.shape and len(f) == len(w)
        if not fitting or self.envelope not in FORMS:
            raise BadInput(
                f"weights {w.shape}, frequencies {f.shape}, lengths {lengths.shape}: "
                "give (Q,), (Q, p), (Q, p)"
            )
        if not all((values > 0).all() for values in (w, f, lengths)):
            raise BadInput(
                "weights, frequencies and lengths of a spectral mixture must be positive; "
                "drop what is zero"
            )
        object.__setattr__(self, "weights", w / w.sum())
        object.__setattr__(self, "frequencies", f)
        object.__setattr__(self, "lengths", lengths)

    @property
    def theta(self) -> np.ndarray:
        """log of weights, frequencies and lengths."""
        flat = [self.weights, self.frequencies.ravel(), self.lengths.ravel()]
        return np.asarray(np.log(np.concatenate(flat)))

    @property
    def limits(self) -> np.ndarray:
        """Weights over ten decades; frequencies within a factor 20, lengths 50, of now."""
        theta = self.theta
        of_weights = np.full(len(self.weights), np.inf)
        of_frequencies = np.full(self.frequencies.size, FREQUENCY_REACH)
        of_lengths = np.full(self.lengths.size, LENGTH_REACH)
        reach = np.concatenate([of_weights, of_frequencies, of_lengths])
        lower = np.maximum(theta - reach, -LOG_RANGE)
        upper = np.minimum(theta + reach, LOG_RANGE)
        return np.stack([lower, upper], axis=1)

    def at(self, theta: np.ndarray) -> Spectral:
        """The same number of components with other logarithms; weights are normalised."""
        count, shape = len(self.weights), self.frequencies.shape
        cuts = [count, count + self.frequencies.size]
        w, f, lengths = np.split(np.exp(theta), cuts)
        return replace(
            self, weights=w, frequencies=f.reshape(shape), lengths=lengths.reshape(shape)
        )

    def matrix(self, x: Any, y: Any) -> Any:
        """The mixture between x and y, (n, m)."""
        total = 0
        for w, f, lengths in zip(self.weights, self.frequencies, self.lengths, strict=True):
            g = radial(self.envelope, squares(x, y, lengths))
            total = total + w * g * namespace(x).cos(phase(x, y, f))
        return total

    def pullback(self, x: Any) -> tuple[Any, Pullback]:
        """Gradients in log weights (under their normalisation), frequencies, lengths."""
        parts = self._components(x)
        waves = [part.wave() for part in parts]

        def pull(W: Any) -> np.ndarray:
            """Gradient in theta."""
            shares = [float((W * wave).sum()) for wave in waves]
            by_w = self.weights * np.array(shares)
            by_f = [part.by_frequency(x, W) for part in parts]
            by_l = [part.by_length(x, W) for part in parts]
            of_weights = by_w - self.weights * by_w.sum()
            return np.concatenate([of_weights, np.ravel(by_f), np.ravel(by_l)])

        K = sum(w * wave for w, wave in zip(self.weights, waves, strict=True))
        return K, pull

    def _components(self, x: Any) -> list[_Component]:
        parts = []
        for w, f, lengths in zip(self.weights, self.frequencies, self.lengths, strict=True):
            g, h = radial_profile(self.envelope, squares(x, x, lengths))
            parts.append(_Component(w, f, lengths, g, h, phase(x, x, f)))
        return parts


@dataclass(frozen=True, eq=False)
class _Component:
    """w g cos(angle) between all points: g and h = -2 dg/d(d^2), angle = 2 pi f . z."""

    w: float
    f: np.ndarray
    lengths: np.ndarray
    g: Any
    h: Any
    angle: Any

    def wave(self) -> Any:
        """The component without its weight, (n, n)."""
        return self.g * namespace(self.angle).cos(self.angle)

    def by_frequency(self, x: Any, W: Any) -> list[float]:
        """sum_ij W_ij dk(x_i, x_j)/dlog f_j for each column."""
        swing = W * self.g * namespace(self.angle).sin(self.angle)
        slopes = []
        for j, f in enumerate(self.f):
            moment = float((swing * apart(x, j)).sum())
            slopes.append(-self.w * 2 * np.pi * f * moment)
        return slopes

    def by_length(self, x: Any, W: Any) -> np.ndarray:
        """sum_ij W_ij dk(x_i, x_j)/dlog l_j for each column."""
        steep = W * self.h * namespace(self.angle).cos(self.angle)
        gradient: np.ndarray = self.w * by_axis(x, steep) / self.lengths**2
        return gradient


@gate()
def spectral_mixture(p: int, Q: int, top: float, envelope: str = "rbf") -> Spectral:
    """Q equal components with frequencies up to `top` cycles per box width.

    They are the same on each of p axes, and each is as wide in frequency as their spacing.
    """
    centres = (np.arange(Q)[:, None] + 0.5) * top / Q
    length = Q / (2 * np.pi * top) * 2.0
    weights = np.full(Q, 1.0 / Q)
    frequencies = np.tile(centres, (1, p))
    return Spectral(weights, frequencies, np.full((Q, p), length), envelope)


@gate(y=array_of("(n,)", "(n, k)", "(n, k, l)", "(n, k, l, q)"))
def initial_lines(y: np.ndarray, Q: int, envelope: str = "rbf") -> Spectral:
    """The Q largest peaks of the mean periodogram of rows y (n, ...), evenly spaced.

    Each peak has its power as its weight; fewer peaks give fewer components. Where the frequencies
    of a mixture start decides which optimum is reached; the data's own are a good start.
    Raises BadInput for fewer than eight rows, NaN, or no peak. Reference: Wilson, Adams (2013).
    """
    n = len(y)
    if n < MIN_ROWS or not np.isfinite(y).all():
        raise BadInput(
            f"{n} rows: give eight or more evenly spaced ones, all finite, to hear frequencies"
        )
    power = _periodogram(y)
    peaks = _largest_peaks(power, Q)
    if not peaks.size:
        raise BadInput(
            "the rows have no peak in their periodogram; use a kernel that is not spectral"
        )
    f = peaks * (n - 1) / (PADDING * n)
    lengths = np.full((peaks.size, 1), START_LENGTH)
    return Spectral(power[peaks], f[:, None], lengths, envelope)


def _periodogram(y: np.ndarray) -> np.ndarray:
    """Mean power of all columns at PADDING n / 2 + 1 frequencies; Hann's window."""
    n = len(y)
    columns = (y - y.mean(axis=0)).reshape(n, -1)
    window = np.hanning(n)[:, None]
    spectrum = np.fft.rfft(columns * window, PADDING * n, axis=0)
    return np.asarray(np.mean(np.abs(spectrum) ** 2, axis=1))


def _largest_peaks(power: np.ndarray, count: int) -> np.ndarray:
    """Numbers of at most `count` local maxima, the largest first."""
    inside = power[1:-1]
    rising = inside >= power[:-2]
    falling = inside > power[2:]
    peaks = 1 + np.flatnonzero(rising & falling)
    order = np.argsort(-power[peaks], kind="stable")
    return peaks[order[:count]]
