"""Scalar laws on a periodic line by Fourier series in space.

    u_t + u u_x = nu u_xx                    Burgers, Runge-Kutta with an exact factor for nu
    u_t = nu u_xx + 5 u (1 - u)              reaction and diffusion, Strang splitting

Fields are columns (n, m) on n equally spaced nodes.
"""

from __future__ import annotations

import numpy as np

GROWTH = 5.0  # rate of the reaction


def random_starts(n: int, m: int, *, rng: int | np.random.Generator = 0) -> np.ndarray:
    """Fields N(0, 625 (-d^2/dx^2 + 25)^-2) of mean zero on a line of length one, (n, m)."""
    generator = np.random.default_rng(rng)
    k = 2 * np.pi * np.arange(1, n // 2)
    size = np.sqrt(2.0) * 25.0 / (k**2 + 25.0)
    x = np.arange(n) / n
    cos, sin = generator.standard_normal((2, len(k), m)) * size[:, None]
    return np.asarray(np.cos(np.outer(x, k)) @ cos + np.sin(np.outer(x, k)) @ sin)


def burgers(
    u: np.ndarray, *, nu: float, length: float, t: float = 1.0, steps: int = 400
) -> np.ndarray:
    """The fields at time t that start at u (n, m), on a line of a length."""
    n = len(u)
    k = 2 * np.pi / length * np.arange(n // 2 + 1)[:, None]
    keep = np.arange(n // 2 + 1)[:, None] <= n / 3
    dt = t / steps
    half = np.exp(-0.5 * nu * dt * k**2)

    def rate(v: np.ndarray) -> np.ndarray:
        """-(u^2 / 2)_x of coefficients, dealiased."""
        return -0.5j * k * keep * np.fft.rfft(np.fft.irfft(v, n, axis=0) ** 2, axis=0)

    v = np.fft.rfft(u, axis=0)
    for _ in range(steps):
        first = rate(v)
        second = rate(half * (v + 0.5 * dt * first))
        third = rate(half * v + 0.5 * dt * second)
        fourth = rate(half**2 * v + dt * half * third)
        v = half**2 * v + dt / 6 * (half**2 * first + 2 * half * (second + third) + fourth)
    return np.fft.irfft(v, n, axis=0)


def reaction_diffusion(u: np.ndarray, times: np.ndarray, *, nu: float, steps: int) -> np.ndarray:
    """Fields (n_t, n, m) at times that start at u (n, m), on a line of length one.

    steps : of Strang's splitting until the last time, those that reach each time the same length
    """
    n, out, t = len(u), [], 0.0
    k = 2 * np.pi * np.arange(n // 2 + 1)[:, None]
    longest = float(times[-1]) / steps
    for time in times:
        count = max(1, int(np.ceil((time - t) / longest - 1e-9))) if time > t else 0
        dt = (time - t) / max(count, 1)
        decay = np.exp(-nu * k**2 * dt)
        for _ in range(count):
            u = _react(u, 0.5 * dt)
            u = np.fft.irfft(decay * np.fft.rfft(u, axis=0), n, axis=0)
            u = _react(u, 0.5 * dt)
        t = float(time)
        out.append(u)
    return np.array(out)


def _react(u: np.ndarray, dt: float) -> np.ndarray:
    """The logistic law of each value, exactly."""
    growth = np.exp(GROWTH * dt)
    return np.asarray(u * growth / (1 + u * (growth - 1)))
