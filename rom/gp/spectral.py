"""Spectral-mixture kernels: lines in frequency, and where they start from."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from rom.errors import BadInput
from rom.gp.algebra import namespace
from rom.gp.kernels import Pullback
from rom.gp.profiles import FORMS, apart, by_axis, phase, radial, radial_profile, squares


@dataclass(frozen=True, eq=False)
class Spectral:
    """k = sum_q w_q g(|z / l_q|) cos(2 pi f_q . z), z = x - y: a mixture of Gaussians (envelope rbf) or Student's t (matern52) in frequency.

    weights (Q,) sum to one; frequencies (Q, p) and lengths (Q, p) positive. References: Wilson, Adams (2013); Fang et al. (2024).
    """

    weights: np.ndarray
    frequencies: np.ndarray
    lengths: np.ndarray
    envelope: str = "rbf"

    def __post_init__(self) -> None:
        w, f, lengths = (
            np.asarray(v, dtype=float) for v in (self.weights, self.frequencies, self.lengths)
        )
        if (
            w.ndim != 1
            or f.ndim != 2
            or f.shape != lengths.shape
            or len(f) != len(w)
            or self.envelope not in FORMS
        ):
            raise BadInput(
                f"weights {w.shape}, frequencies {f.shape}, lengths {lengths.shape}: give (Q,), (Q, p), (Q, p)"
            )
        if not (w > 0).all() or not (f > 0).all() or not (lengths > 0).all():
            raise BadInput(
                "weights, frequencies and lengths of a spectral mixture must be positive; drop what is zero"
            )
        for name, value in (("weights", w / w.sum()), ("frequencies", f), ("lengths", lengths)):
            object.__setattr__(self, name, value)

    @property
    def theta(self) -> np.ndarray:
        """log of weights, frequencies and lengths."""
        return np.log(
            np.concatenate([self.weights, self.frequencies.ravel(), self.lengths.ravel()])
        )

    @property
    def limits(self) -> np.ndarray:
        """Weights over ten decades; frequencies and lengths within a factor 20 and 50 of the present ones."""
        theta, Q = self.theta, len(self.weights)
        width = np.concatenate(
            [
                np.full(Q, np.inf),
                np.full(self.frequencies.size, 3.0),
                np.full(self.lengths.size, 4.0),
            ]
        )
        return np.stack([np.maximum(theta - width, -23.0), np.minimum(theta + width, 23.0)], axis=1)

    def at(self, theta: np.ndarray) -> Spectral:
        """The same number of components with other logarithms; weights are normalised."""
        w, f, lengths = np.split(
            np.exp(theta), [len(self.weights), len(self.weights) + self.frequencies.size]
        )
        return replace(
            self,
            weights=w,
            frequencies=f.reshape(self.frequencies.shape),
            lengths=lengths.reshape(self.lengths.shape),
        )

    def matrix(self, x: Any, y: Any) -> Any:
        """(n, m)."""
        return sum(
            w * radial(self.envelope, squares(x, y, lengths)) * namespace(x).cos(phase(x, y, f))
            for w, f, lengths in self._parts
        )

    def pullback(self, x: Any) -> tuple[Any, Pullback]:
        """Pullback: gradients in log weights (under their normalisation), log frequencies, log lengths."""
        xp, parts = namespace(x), list(self._parts)
        shapes = [radial_profile(self.envelope, squares(x, x, lengths)) for *_, lengths in parts]
        phases = [phase(x, x, f) for _, f, _ in parts]
        waves = [g * xp.cos(angle) for (g, _), angle in zip(shapes, phases, strict=True)]

        def pull(W: Any) -> np.ndarray:
            by_w = self.weights * np.array([float((W * wave).sum()) for wave in waves])
            by_f, by_l = [], []
            for (w, f, lengths), (g, h), angle in zip(parts, shapes, phases, strict=True):
                swing = W * g * xp.sin(angle)
                by_f.append(
                    [
                        -w * 2 * np.pi * f_j * float((swing * apart(x, j)).sum())
                        for j, f_j in enumerate(f)
                    ]
                )
                by_l.append(w * by_axis(x, W * h * xp.cos(angle)) / lengths**2)
            return np.concatenate(
                [by_w - self.weights * by_w.sum(), np.ravel(by_f), np.ravel(by_l)]
            )

        return sum(w * wave for w, wave in zip(self.weights, waves, strict=True)), pull

    @property
    def _parts(self) -> zip:
        return zip(self.weights, self.frequencies, self.lengths, strict=True)


def spectral_mixture(p: int, Q: int, top: float, envelope: str = "rbf") -> Spectral:
    """Q equal components with frequencies up to `top` cycles per box width on every axis, each as wide as their spacing."""
    f = np.tile((np.arange(Q)[:, None] + 0.5) * top / Q, (1, p))
    return Spectral(np.full(Q, 1.0 / Q), f, np.full((Q, p), Q / (2 * np.pi * top) * 2.0), envelope)


def initial_lines(y: np.ndarray, Q: int, envelope: str = "rbf") -> Spectral:
    """The Q largest peaks of the mean periodogram of rows y (n, ...) evenly spaced over the box, each with its power as its weight.

    Where the frequencies of a mixture start decides which optimum is found; the data's own are a good start. Fewer peaks give fewer
    components. Reference: Wilson, Adams (2013).
    """
    n = len(y)
    if n < 8 or not np.isfinite(y).all():
        raise BadInput(
            f"{n} rows: give eight or more evenly spaced ones, all finite, to hear frequencies"
        )
    rows = (y - y.mean(axis=0)).reshape(n, -1) * np.hanning(n)[:, None]
    power = np.mean(np.abs(np.fft.rfft(rows, 8 * n, axis=0)) ** 2, axis=1)
    inside = power[1:-1]
    peaks = 1 + np.flatnonzero((inside >= power[:-2]) & (inside > power[2:]))
    peaks = peaks[np.argsort(-power[peaks], kind="stable")[:Q]]
    if not peaks.size:
        raise BadInput(
            "the rows have no peak in their periodogram; use a kernel that is not spectral"
        )
    f = peaks * (n - 1) / (8 * n)
    return Spectral(power[peaks], f[:, None], np.full((peaks.size, 1), 0.3), envelope)
