"""Rates of two travelling packets under noise, with intervals, and the field foretold.

u(x, t) = Re sum_j g_j(x) exp(alpha_j t), alpha = -.02 + 2i and -.1 + 5i, 200 points, 128 samples
in [0, 10], white noise; the forecast is over (10, 20]. Beside the optimised decomposition stand
the maps between samples (exact, forward-backward, total least squares), and for the forecast the
last sample kept and the mean of all.
"""

from __future__ import annotations

import numpy as np

from rom.cli.launch import run
from rom.compress import pod
from rom.dynamics import LinearFlow, dmd, exact, forward_backward, total
from rom.snapshots import Snapshots
from rom.space import euclidean

RATES = np.array([-0.02 + 2.0j, -0.1 + 5.0j])
X = np.linspace(0.0, 1.0, 200)
TIMES = np.linspace(0.0, 10.0, 128)
LATER = np.linspace(10.0, 20.0, 41)[1:]
MAPS = {"exact": exact, "forward_backward": forward_backward, "total": total}


def packets(t: np.ndarray) -> np.ndarray:
    """The field without noise, (200, n_t)."""
    one = np.exp(-(((X - 0.3) / 0.1) ** 2)) * np.exp(8j * X)
    two = 0.7 * np.exp(-(((X - 0.6) / 0.15) ** 2)) * np.exp(-5j * X)
    return (one[:, None] * np.exp(RATES[0] * t) + two[:, None] * np.exp(RATES[1] * t)).real


def rate_error(flow: LinearFlow) -> float:
    """The larger of the distances of the true rates from the nearest one."""
    return float(max(np.abs(flow.rates - rate).min() for rate in RATES))


def one_draw(u: np.ndarray) -> dict[str, float]:
    """Figures of one noisy sample of the field."""
    runs = Snapshots(euclidean(len(X)), np.zeros((len(TIMES), 0)), u, TIMES)
    basis, _ = pod(runs, rank=4)
    flow = dmd(runs, basis)
    figures = {"rate_error": rate_error(flow)}
    for name, rates in MAPS.items():
        figures[f"rate_error_{name}"] = rate_error(dmd(runs, basis, rates=rates))
    growth, frequency = flow.rate_std
    partner = [int(np.abs(flow.rates - rate).argmin()) for rate in RATES]
    miss = flow.rates[partner] - RATES
    widths = 1.96 * growth[partner], 1.96 * frequency[partner]
    held = [np.abs(miss.real) < widths[0], np.abs(miss.imag) < widths[1]]
    answer, truth = flow.predict((), t=LATER), packets(LATER)
    wrong, std = answer.field("u") - truth, answer.std("u")
    assert std is not None
    size = np.linalg.norm(truth)
    figures |= {
        "coverage_rates": float(np.mean(held)),
        "coverage_forecast": float(np.mean(np.abs(wrong) < 1.96 * std)),
        "forecast_error": float(np.linalg.norm(wrong) / size),
        "persistence_error": float(np.linalg.norm(u[:, -1:] - truth) / size),
        "mean_field_error": float(np.linalg.norm(u.mean(axis=1)[:, None] - truth) / size),
    }
    return figures


def main(draws: int = 100, seed: int = 0) -> dict[str, float]:
    """Means over draws at three levels of noise; exact data under "clean"."""
    clean = one_draw(packets(TIMES))
    figures: dict[str, float] = {"draws": draws}
    figures |= {f"clean_{key}": clean[key] for key in clean if key.startswith("rate_error")}
    for noise in (0.05, 0.1, 0.4):
        rng = np.random.default_rng([seed, int(1000 * noise)])
        rows = [
            one_draw(packets(TIMES) + noise * rng.standard_normal((len(X), len(TIMES))))
            for _ in range(draws)
        ]
        for key in rows[0]:
            figures[f"noise_{noise:g}_{key}"] = float(np.mean([row[key] for row in rows]))
    return figures


if __name__ == "__main__":
    run(main)
