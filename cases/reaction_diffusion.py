"""Reaction and diffusion over a time: the residual as an error bar of a learnt operator.

u_t = .01 u_xx + 5 u (1 - u), x periodic in (0, 1), t to 1, random smooth starts in [0, 1]: from
the start on 64 nodes to the field at 25 Chebyshev times. The residual is taken by Chebyshev and
Fourier series, and its norm gives the conformal band (of level .9) its shape; beside it stands a
band of one width. A step or two of Strang's splitting between the times beat every learner.
Fourier networks that were trained by the residual alone or by 1,000 runs (22 and 16 CPU s,
measured once on 2026-11, other draws) reached 1.9e-2 and 4.4e-3.
"""

from __future__ import annotations

import time
from typing import Any

import numpy as np

from cases.darcy_operator import compare, relative_errors
from rom.cli.launch import run
from rom.operators import Translation
from solvers.periodic import GROWTH, reaction_diffusion

NODES, NU, LAST = 64, 0.01, 24
TESTS = 128
SIZES = (128, 512)
LENGTH_SCALE = 0.2
LEVEL = 0.9  # of the bands
FINE_NODES, FINE_STEPS, FEW_STEPS = 128, 1024, 16
TIMES = 0.5 * (1.0 - np.cos(np.pi * np.arange(LAST + 1) / LAST))


def chebyshev_derivative() -> np.ndarray:
    """d/dt (25, 25) of polynomials from their values at TIMES."""
    k = np.arange(LAST + 1)
    c = np.where((k == 0) | (k == LAST), 2.0, 1.0) * (-1.0) ** k
    gap = TIMES[:, None] - TIMES + np.eye(LAST + 1)
    D = np.outer(c, 1 / c) / gap
    return np.asarray(D - np.diag(D.sum(axis=1)))


DERIVATIVE = chebyshev_derivative()


def draw_starts(m: int, seed: int) -> np.ndarray:
    """Periodic Gaussian processes of length .2, each scaled to [0, 1], (64, m)."""
    rng = np.random.default_rng(seed)
    x = np.arange(NODES) / NODES
    d = np.sin(np.pi * (x[:, None] - x)) / LENGTH_SCALE
    root = np.linalg.cholesky(np.exp(-2 * d**2) + 1e-10 * np.eye(NODES))
    u = root @ rng.standard_normal((NODES, m))
    return np.asarray((u - u.min(axis=0)) / np.ptp(u, axis=0))


def solve(u: np.ndarray) -> np.ndarray:
    """Fields at TIMES, (25 x 64, m), of starts (64, m), on twice the nodes."""
    m = u.shape[1]
    fine = np.fft.irfft(np.fft.rfft(u, axis=0), FINE_NODES, axis=0) * FINE_NODES / NODES
    fields = reaction_diffusion(fine, TIMES, nu=NU, steps=FINE_STEPS)
    return fields[:, :: FINE_NODES // NODES].reshape(-1, m)


def few_steps(u: np.ndarray) -> np.ndarray:
    """The same by few steps of splitting on the 64 nodes."""
    fields = reaction_diffusion(u, TIMES, nu=NU, steps=FEW_STEPS)
    return fields.reshape(-1, u.shape[1])


def residual(a: np.ndarray, u: np.ndarray) -> np.ndarray:
    """|u_t - nu u_xx - 5 u (1 - u)| (m,) of fields (25 x 64, m), and of their start."""
    v = u.reshape(LAST + 1, NODES, -1)
    k = 2 * np.pi * np.arange(NODES // 2 + 1)[:, None]
    u_xx = np.fft.irfft(-(k**2) * np.fft.rfft(v, axis=1), NODES, axis=1)
    R = np.einsum("st,tnm->snm", DERIVATIVE, v) - NU * u_xx - GROWTH * v * (1 - v)
    inner = np.mean(R**2, axis=(0, 1))
    return np.asarray(np.sqrt(inner + np.mean((v[0] - a) ** 2, axis=0)))


def main(seed: int = 0) -> dict[str, float]:
    """Errors and bands at 128 test starts, from 128 and 512 runs."""
    a = draw_starts(max(SIZES) + TESTS, seed)
    u = solve(a)
    test = a[:, max(SIZES) :], u[:, max(SIZES) :]
    begin = time.process_time()
    split = few_steps(test[0])
    figures = {"splitting_error": float(relative_errors(split, test[1]).mean())}
    figures["splitting_ms"] = 1e3 * (time.process_time() - begin) / TESTS
    variants: dict[str, dict[str, Any]] = {"constant": {}, "residual": {"residual": residual}}
    for m in SIZES:
        figures |= compare(
            (a[:, :m], u[:, :m]), test, variants, frame=Translation(NODES), level=LEVEL, rng=seed
        )
    return figures


if __name__ == "__main__":
    run(main)
