"""Burgers: from the field at the start to that at time 1, by shifts and the odd reflection.

u_t + u u_x = .1 u_xx on a line of length 2 pi, periodic, 128 nodes, random starts N(0, 625 (-lap +
25)^-2) of a line of length one; 200 test runs. Measured here: plain .105, .055, .026 at 100, 250,
1,000 runs, with shifts and the odd reflection .013, .0057, .0020. A pseudo-spectral solve on 64
nodes beats all of them (2.1e-4). Mean, nearest run and linear map stand beside. `FNO` has the rows
of a small Fourier neural operator on one thread (recorded 2026-11, width 32, 16 modes, 40 to 49
CPU s) on harder draws, where the plain kernel had .173, .105, .053 and the one with symmetry .028,
.015, .0074; --fno trains one on these.
"""

from __future__ import annotations

import time
from typing import Any

import numpy as np

from cases.darcy_operator import compare, relative_errors
from rom.cli.launch import run
from rom.operators import Translation, point_symmetry
from solvers.periodic import burgers, random_starts

NODES, NU, LENGTH = 128, 0.1, 2 * np.pi
TESTS = 200
STEPS = 4000  # of training the network, in batches of 20
SIZES = (100, 250, 1000)
FNO = {100: 0.0247, 250: 0.0083, 1000: 0.0036}  # runs -> error, on harder draws


def coarse_solve(a: np.ndarray, nodes: int = 64, steps: int = 60) -> np.ndarray:
    """The answers (128, m) of fewer nodes and steps, by Fourier series in between."""
    few = np.fft.irfft(np.fft.rfft(a, axis=0)[: nodes // 2 + 1], nodes, axis=0) * nodes / len(a)
    u = burgers(few, nu=NU, length=LENGTH, steps=steps)
    return np.asarray(np.fft.irfft(np.fft.rfft(u, axis=0), len(a), axis=0) * len(a) / nodes)


def main(seed: int = 1, fno: bool = False) -> dict[str, float]:
    """Errors at 200 test runs of kernels on 100 to 1,000 runs, and of what is simple."""
    a = random_starts(NODES, max(SIZES) + TESTS, rng=seed)
    u = burgers(a, nu=NU, length=LENGTH)
    test = a[:, max(SIZES) :], u[:, max(SIZES) :]
    begin = time.process_time()
    figures = {"coarse_solve_error": float(relative_errors(coarse_solve(test[0]), test[1]).mean())}
    figures["coarse_solve_ms"] = 1e3 * (time.process_time() - begin) / TESTS
    mirror = point_symmetry(np.arange(NODES)[:, None], "mirror x", odd=True)
    variants: dict[str, dict[str, Any]] = {
        "plain": {},
        "symmetric": {"frame": Translation(NODES), "symmetry": mirror},
    }
    for m in SIZES:
        figures |= compare((a[:, :m], u[:, :m]), test, variants, rng=seed)
        if fno:
            from solvers.fourier_network import train_network

            answer, seconds = train_network(
                a[:, :m], u[:, :m], (NODES,), width=32, modes=16, epochs=STEPS * 20 // m
            )
            figures[f"runs_{m}_fno_error"] = float(relative_errors(answer(test[0]), test[1]).mean())
            figures[f"runs_{m}_fno_cpu_s"] = seconds
        elif m in FNO:
            figures[f"runs_{m}_fno_error_recorded_on_harder_draws"] = FNO[m]
    return figures


if __name__ == "__main__":
    run(main)
