"""What is asked of a sound field: levels, third octaves, power, signals in time.

Complex amplitudes p(f) of exp(-i omega t) [Pa], peak values: the mean square is |p|^2 / 2.
"""

from __future__ import annotations

import numpy as np

from rom.errors import BadInput

REFERENCE = 20e-6  # [Pa], root mean square
RHO_C = 1.204 * 343.2  # [Pa s/m] of air at 20 degC


def to_level(p: np.ndarray) -> np.ndarray:
    """10 log10(|p|^2 / 2 / p_0^2), dB re 20 uPa, of amplitudes [Pa]; silence is -inf."""
    with np.errstate(divide="ignore"):
        return np.asarray(20 * np.log10(np.abs(p) / (np.sqrt(2) * REFERENCE)))


def third_octaves(f: np.ndarray, square: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Centres (b,) [Hz] of the bands that f covers, and the mean of `square` in each.

    f (m,) increasing [Hz]; square (m, ...) a mean square spectrum, linear between. Exact bands to
    base ten, 1000 * 10^(j / 10), edges a factor 10^(1/20) off. Raises BadInput where no whole band
    is covered. Reference: IEC 61260 (2014).
    """
    if f.ndim != 1 or len(f) < 2 or not (np.diff(f) > 0).all() or f[0] <= 0:
        raise BadInput("give increasing positive frequencies (m,)")
    number = np.arange(-20, 21)
    centre = 1000 * 10.0 ** (number / 10)
    low, high = centre * 10**-0.05, centre * 10**0.05
    inside = (low >= f[0]) & (high <= f[-1])
    if not inside.any():
        raise BadInput(f"{f[0]:g} to {f[-1]:g} Hz hold no whole third octave")
    values = square.reshape(len(f), -1)
    steps = np.diff(f)[:, None] * (values[1:] + values[:-1]) / 2
    area = np.vstack([np.zeros((1, values.shape[1])), np.cumsum(steps, axis=0)])

    def primitive(at: np.ndarray) -> np.ndarray:
        cell = np.clip(np.searchsorted(f, at, side="right") - 1, 0, len(f) - 2)
        t = (at - f[cell])[:, None]
        slope = (values[cell + 1] - values[cell]) / (f[cell + 1] - f[cell])[:, None]
        return np.asarray(area[cell] + t * values[cell] + t * t * slope / 2)

    mean = (primitive(high[inside]) - primitive(low[inside])) / (high - low)[inside, None]
    return centre[inside], mean.reshape(-1, *square.shape[1:])


def power_form(L: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """H (r, r), Hermitian: a^H H a [W] is the power through a distant sphere.

    L (m, r) : pressure at points of the sphere of each coefficient; weights (m,) of the points
    [m^2]. There the intensity is |p|^2 / 2 rho c. The form of a reduced model costs r^2 online.
    """
    if weights.shape != (len(L),) or not (weights > 0).all():
        raise BadInput(f"L has shape {L.shape}, weights {weights.shape}; give (m, r) and (m,) > 0")
    H = (L.conj().T * weights) @ L / (2 * RHO_C)
    return np.asarray((H + H.conj().T) / 2)


def sphere_points(radius: float, degree: int = 16) -> tuple[np.ndarray, np.ndarray]:
    """Points (m, 3) and weights (m,) of a product rule, exact to a degree on the sphere."""
    count = degree // 2 + 1
    z, w = np.polynomial.legendre.leggauss(count)
    phi = 2 * np.pi * np.arange(degree + 1) / (degree + 1)
    s = np.sqrt(1 - z * z)
    x = np.stack(
        [np.outer(s, np.cos(phi)), np.outer(s, np.sin(phi)), np.outer(z, np.ones(len(phi)))],
        axis=-1,
    )
    weights = np.repeat(w * 2 * np.pi / len(phi), len(phi))
    return radius * x.reshape(-1, 3), radius**2 * weights


def time_signal(p: np.ndarray, step: float) -> tuple[np.ndarray, np.ndarray]:
    """t (n_t,) [s] and the real signal (n_t, ...) of amplitudes at step, 2 step, ... [Hz].

    p (m, ...) of exp(-i omega t); the mean is zero, the period 1 / step.
    """
    if not step > 0:
        raise BadInput(f"step = {step:g} Hz must be positive")
    spectrum = np.concatenate([np.zeros((1, *p.shape[1:])), p.conj(), np.zeros((1, *p.shape[1:]))])
    n = 2 * (len(spectrum) - 1)
    return np.arange(n) / (n * step), np.fft.irfft(spectrum, n=n, axis=0) * (n / 2)


def resonator(f: np.ndarray, resistance: float, mass: float, depth: float) -> np.ndarray:
    """Z / rho c of a liner of one degree of freedom: R - i (k mass - cot(k depth)).

    f [Hz]; resistance 1; mass, depth [m]; exp(-i omega t)
    """
    k = 2 * np.pi * np.asarray(f, dtype=float) / 343.2
    if not (resistance >= 0 and mass >= 0 and depth > 0 and (k > 0).all()):
        raise BadInput("give f, depth > 0 and resistance, mass >= 0")
    return np.asarray(resistance - 1j * (k * mass - 1 / np.tan(k * depth)))
