"""Small problems whose solutions change regime and amplitude.

Travelling heat source, Burgers, Helmholtz over a band, Nagumo. Each returns states as columns at
some times for many parameters at once; cell-centred grids, Neumann walls, cosine transforms.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from scipy.fft import dctn, idctn


def centres(cells: int, d: int) -> np.ndarray:
    """Cell centres of the unit cube, (d, cells, ..., cells) [m]."""
    x = (np.arange(cells) + 0.5) / cells
    return np.stack(np.meshgrid(*[x] * d, indexing="ij"))


def laplacian(cells: int, d: int) -> np.ndarray:
    """Eigenvalues >= 0 of the finite-volume -Delta with Neumann walls [1/m2].

    For cosine modes, (cells, ..., cells).
    """
    one = (2 * cells * np.sin(0.5 * np.pi * np.arange(cells) / cells)) ** 2
    return sum(np.meshgrid(*[one] * d, indexing="ij"), start=np.zeros(1))


def march(
    u: np.ndarray,
    diffusivity: np.ndarray,
    explicit: Callable[[np.ndarray, float], np.ndarray],
    times: np.ndarray,
    steps: int,
) -> np.ndarray:
    """du/dt = kappa Delta u + explicit(u, t), at `times`: (m, n_t, n).

    u (m, cells, ...); backward Euler in Delta, Euler in the rest.
    steps : time steps between two of `times`, which start at 0 [s]
    """
    d, m = u.ndim - 1, len(u)
    axes, symbol = tuple(range(1, d + 1)), laplacian(u.shape[1], d)
    kappa, states, t = diffusivity.reshape(-1, *[1] * d), [], 0.0
    for span in np.diff(np.concatenate([[0.0], times])):
        dt = span / steps
        for _ in range(steps):
            rhs = dctn(u + dt * explicit(u, t), axes=axes, type=2)
            u, t = idctn(rhs / (1.0 + dt * kappa * symbol), axes=axes, type=2), t + dt
        states.append(u.reshape(m, -1))
    return np.stack(states, axis=1)


def travelling_source(
    mu: np.ndarray, times: np.ndarray, cells: int = 32, steps: int = 8, width: float = 0.05
) -> np.ndarray:
    """dT/dt = kappa Delta T - h T + P exp(-|x - s(t)|^2 / (2 w^2)), s = (v t, y).

    mu = (y [m], v [m/s], P [K/s], kappa [m2/s]), h = 0.5 /s. T (n, m n_t), from T = 0 on the unit
    square, the runs one after the other. Beyond v t = 1 m the source has left: it only cools.
    """
    x = centres(cells, 2)
    y, v, power, kappa = (c.reshape(-1, 1, 1) for c in mu.T)

    def source(u: np.ndarray, t: float) -> np.ndarray:
        heating = power * np.exp(-((x[0] - v * t) ** 2 + (x[1] - y) ** 2) / (2 * width**2))
        return np.asarray(heating - 0.5 * u)

    T = march(np.zeros((len(mu), cells, cells)), kappa, source, times, steps)
    return T.reshape(-1, cells**2).T


def burgers(mu: np.ndarray, times: np.ndarray, cells: int = 256, steps: int = 128) -> np.ndarray:
    """u_t + (u^2 / 2)_x = nu u_xx, u(0) = a exp(-(x - c)^2 / (2 0.05^2)).

    mu = (a [m/s], c [m], nu [m2/s]); u (n, m n_t), Engquist-Osher.
    """
    x = centres(cells, 1)[0]
    a, c, nu = (p.reshape(-1, 1) for p in mu.T)

    def flux(u: np.ndarray, t: float) -> np.ndarray:
        edge = np.pad(u, ((0, 0), (1, 1)), mode="edge")
        f = 0.5 * np.maximum(edge[:, :-1], 0.0) ** 2 + 0.5 * np.minimum(edge[:, 1:], 0.0) ** 2
        return np.asarray(-cells * np.diff(f, axis=1))

    u = march(a * np.exp(-((x - c) ** 2) / (2 * 0.05**2)), nu, flux, times, steps)
    return u.reshape(-1, cells).T


def nagumo(mu: np.ndarray, times: np.ndarray, cells: int = 32, steps: int = 40) -> np.ndarray:
    """u_t = D Delta u + 30 u (1 - u) (u - theta), from a bump of height a at c.

    u(0) = a exp(-|x - c|^2 / (2 0.1^2)), mu = (a, theta, D [m2/s], c_1 [m]), c_2 = 1/2. Above a
    threshold the bump ignites and fronts travel; below it dies out by orders of magnitude. u (n, m
    n_t).
    """
    x = centres(cells, 2)
    a, threshold, D, c = (p.reshape(-1, 1, 1) for p in mu.T)
    start = a * np.exp(-((x[0] - c) ** 2 + (x[1] - 0.5) ** 2) / (2 * 0.1**2))
    u = march(start, D, lambda u, t: 30.0 * u * (1.0 - u) * (u - threshold), times, steps)
    return u.reshape(-1, cells**2).T


def helmholtz(mu: np.ndarray, cells: int = 40, width: float = 0.03) -> np.ndarray:
    """-Delta p - k^2 (1 - i eta) p = exp(-|x - s|^2 / (2 w^2)), walls hard.

    On the unit square; mu = (k [1/m], eta, s_1 [m], s_2 [m]); p (n, m).
    """
    x, symbol = centres(cells, 2), laplacian(cells, 2)
    k, eta, s1, s2 = (c.reshape(-1, 1, 1) for c in mu.T)
    load = np.exp(-((x[0] - s1) ** 2 + (x[1] - s2) ** 2) / (2 * width**2))
    hat = dctn(load, axes=(1, 2), type=2) / (symbol - k**2 * (1.0 - 1j * eta))
    p = idctn(hat.real, axes=(1, 2), type=2) + 1j * idctn(hat.imag, axes=(1, 2), type=2)
    return np.asarray(p.reshape(len(mu), -1).T)


def allen_cahn(mu: np.ndarray, times: np.ndarray, cells: int = 256, steps: int = 40) -> np.ndarray:
    """u_t = D u_xx + 20 u (1 - u^2), u(0) = -prod_i tanh((x - c_i) / sqrt(2 D / 20)).

    mu = (c_1, c_2, c_3 [m], D [m2/s]), interfaces in any order, walls Neumann. Interfaces that
    are near meet and vanish, in a time that grows exponentially with their distance. u (n, m n_t).
    """
    x = centres(cells, 1)[0]
    D = mu[:, 3]
    width = np.sqrt(2.0 * D / 20.0)[:, None, None]
    start = -np.prod(np.tanh((x - mu[:, :3, None]) / width), axis=1)
    u = march(start, D, lambda u, t: 20.0 * u * (1.0 - u * u), times, steps)
    return u.reshape(-1, cells).T


def dam_break(mu: np.ndarray, times: np.ndarray, cells: int = 256) -> np.ndarray:
    """h_t + q_x = 0, q_t + (q^2 / h + g h^2 / 2)_x = 0, walls reflect, g = 1 m/s2.

    From rest: depth mu_0 [m] left of the dam at mu_2 [m], mu_0 mu_1 right of it. First-order
    finite volumes of Rusanov at half of the largest step. Rows of h [m] above those of q [m2/s],
    (2 n, m n_t).
    """
    x = centres(cells, 1)[0]
    depth, ratio, dam = (column.reshape(-1, 1) for column in mu.T)
    h = depth * np.where(x < dam, 1.0, ratio)
    q, t, states = np.zeros_like(h), 0.0, []
    for end in times.tolist():
        while t < end:
            fastest = float(np.max(np.abs(q / h) + np.sqrt(h)))
            dt = min(0.5 / (cells * fastest), end - t)
            h, q = _rusanov_step(h, q, dt * cells)
            t += dt
        states.append(np.concatenate([h, q], axis=1))
    return np.stack(states, axis=1).reshape(-1, 2 * cells).T


def _rusanov_step(h: np.ndarray, q: np.ndarray, ratio: float) -> tuple[np.ndarray, np.ndarray]:
    """Depth and discharge (m, cells) after a step of ratio = dt / dx, with reflecting walls."""
    h = np.pad(h, ((0, 0), (1, 1)), mode="edge")
    q = np.pad(q, ((0, 0), (1, 1)), mode="edge") * np.r_[-1.0, np.ones(q.shape[1]), -1.0]
    speed = np.abs(q / h) + np.sqrt(h)
    fastest = np.maximum(speed[:, 1:], speed[:, :-1])
    new = []
    for state, flux in ((h, q), (q, q * q / h + 0.5 * h * h)):
        edge = 0.5 * (flux[:, 1:] + flux[:, :-1]) - 0.5 * fastest * np.diff(state, axis=1)
        new.append(state[:, 1:-1] - ratio * np.diff(edge, axis=1))
    return new[0], new[1]
