"""Sound in a duct over frequency, position and design, by a spectral mixture.

Learnt from few measured runs on a grid.

    H(f, x; T, R) = (e^{ikx} + R e^{ik(2L - x)}) / (1 - R e^{2ikL}),
    k = 2 pi f (1 + i loss) / c(T):

pressure over rho c times the piston's velocity in a duct of length L with reflection R at its end.
Resonances lie every c / 2L and move with the air's temperature T; their width is the lining's. A
response is a sum of echoes n 2L / c, so over frequency its covariance is a few lines: a spectral
mixture learns them, and fills bands of lost frequencies where smooth kernels and splines cannot.
References: Wilson, Adams (2013); Fang et al. (2024).
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from scipy.interpolate import CubicSpline, RBFInterpolator
from scipy.signal import find_peaks

from rom.cli.launch import run
from rom.cli.ship import ship_model
from rom.design.designs import sobol
from rom.errors import BadInput
from rom.gp.kernels import Kernel, Stationary
from rom.gp.kronecker import KroneckerGP, kronecker_gp
from rom.gp.spectral import initial_lines
from rom.parameters import Box
from rom.plot.curves import band_plot

LENGTH, LOSS = 3.0, 0.004
BOX = Box(
    ("temperature", "reflection"), np.array([10.0, 0.3]), np.array([30.0, 0.6]), ("degC", "1")
)
PARTS = np.array([0.0, 1.0])


def transfer(f: np.ndarray, x: np.ndarray, mu: np.ndarray) -> np.ndarray:
    """H as real and imaginary parts, (n, k, m, 2).

    At frequencies f (n,) [Hz], positions x (k,) [m] and designs mu (m, 2).
    """
    c, R = 331.3 * np.sqrt(1 + mu[:, 0] / 273.15), mu[:, 1]
    k, x = 2 * np.pi * f[:, None, None] / c * (1 + 1j * LOSS), x[None, :, None]
    H = (np.exp(1j * k * x) + R * np.exp(1j * k * (2 * LENGTH - x))) / (
        1 - R * np.exp(2j * k * LENGTH)
    )
    return np.stack([H.real, H.imag], axis=-1)


def level(H: np.ndarray) -> np.ndarray:
    """20 log10 |H| [dB] of real and imaginary parts on the last axis."""
    return 10 * np.log10(np.sum(H**2, axis=-1))


def interpolate(axes: list[np.ndarray], y: np.ndarray, new: list[np.ndarray]) -> np.ndarray:
    """Cubic splines over frequency and position, thin plates over designs."""
    y = CubicSpline(axes[0], y, axis=0)(new[0])
    y = np.moveaxis(CubicSpline(axes[1], y, axis=1)(new[1]), 2, 0)
    plates = RBFInterpolator(BOX.to_unit(axes[2]), y.reshape(len(y), -1))(BOX.to_unit(new[2]))
    return np.moveaxis(plates.reshape(-1, *y.shape[1:]), 0, 2)


def learnt(
    axes: list[np.ndarray],
    y: np.ndarray,
    over_f: Kernel | str,
    rest: str,
    seen: np.ndarray | None = None,
) -> KroneckerGP:
    """One process of both parts, which are hardly alike.

    `over_f` along frequency, `rest` along position and designs.
    """
    return kronecker_gp(
        [*axes, PARTS],
        y,
        [over_f, rest, rest, Stationary("matern12", np.array([0.1]))],
        observed=seen,
        max_fit_cells=300,
    )


def stretch(gp: KroneckerGP) -> float:
    """By what deviations grow for 95 % of the left-out runs to lie in their bands.

    Deviations of f; each run is left out as a whole, noise included.
    """
    gaps, std = gp.leave_one_out(axis=2)
    factors, own = np.geomspace(0.1, 10.0, 201), np.maximum(std**2 - gp.noise**2, 0.0)
    coverage = [np.mean(gaps**2 <= 1.959964**2 * (s**2 * own + gp.noise**2)) for s in factors]
    return float(factors[min(int(np.searchsorted(coverage, 0.95)), len(factors) - 1)])


def resonances(f: np.ndarray, H: np.ndarray) -> list[np.ndarray]:
    """Frequencies of the maxima of |H| at the first position, one array per design."""
    return [f[find_peaks(curve, prominence=1.0)[0]] for curve in level(H)[:, 0].T]


def resonance_errors(
    found: list[np.ndarray], exact: list[np.ndarray], near: float
) -> tuple[float, int]:
    """(rms distance [Hz] of exact resonances to the nearest one, how many have none).

    The nearest of the resonances within `near`.
    """
    gaps = np.concatenate(
        [
            np.abs(e[:, None] - g[None]).min(axis=1) if g.size else np.full(e.size, np.inf)
            for g, e in zip(found, exact, strict=True)
        ]
    )
    near_gaps = gaps[gaps <= near]
    return float(np.sqrt(np.mean(near_gaps**2))) if near_gaps.size else float("nan"), int(
        np.sum(gaps > near)
    )


def holes(shape: tuple[int, ...], share: float, gen: np.random.Generator) -> np.ndarray:
    """True where a cell is known.

    Each run loses a band of frequencies at all positions, and single cells up to `share` in all.
    """
    present, width = np.ones(shape, dtype=bool), max(1, int(0.5 * share * shape[0]))
    for run_ in range(shape[2]):
        start = gen.integers(0, shape[0] - width + 1)
        present[start : start + width, :, run_] = False
    return present & (gen.random(shape[:3]) > 0.5 * share / (1 - 0.5 * share))[..., None]


def main(
    runs: int = 24,
    frequencies: int = 128,
    positions: int = 6,
    unseen: int = 20,
    noise: float = 0.02,
    lost: float = 0.3,
    seed: int = 0,
    out: Path | None = None,
) -> dict[str, Any]:
    """Errors, coverage and resonances at unseen designs, frequencies and positions.

    Then with a share `lost` of the cells missing.
    """
    if not 0 < lost < 0.8 or runs < 8 or frequencies < 32 or positions < 4:
        raise BadInput(
            f"lost = {lost}, {runs} runs of {frequencies} frequencies at {positions} positions: "
            "give 0 < lost < 0.8 and 8, 32, 4 or more"
        )
    gen = np.random.default_rng(seed)
    axes = [
        np.linspace(100.0, 600.0, frequencies),
        np.linspace(0.0, 0.25, positions),
        sobol(BOX, runs, rng=gen),
    ]
    new = [
        np.linspace(105.0, 595.0, 981),
        np.linspace(0.0, 0.24, 5),
        BOX.from_unit(gen.random((unseen, 2))),
    ]
    clean, truth = transfer(*axes), transfer(*new)
    y = clean + noise * gen.standard_normal(clean.shape)
    fresh = truth + noise * gen.standard_normal(truth.shape)
    exact, spacing = resonances(new[0], truth), 343.0 / (2 * LENGTH)
    echoes = initial_lines(y, 8, "matern52")
    kernels: dict[str, tuple[Kernel | str, str]] = {
        "spectral mixture": (echoes, "rbf"),
        "rbf": ("rbf", "rbf"),
        "matern52": ("matern52", "matern52"),
    }
    numbers: dict[str, Any] = {"cells": y.size, "resonances": sum(map(len, exact)), "methods": {}}
    answers = {"splines": interpolate(axes, y, new)}
    for name, (over_f, rest) in kernels.items():
        gp = learnt(axes, y, over_f, rest)
        mean, std = gp.posterior(*new, PARTS)
        factor = stretch(gp)
        std = factor * np.asarray(std)
        inside = np.abs(mean - truth) <= 1.959964 * std
        measured = np.abs(mean - fresh) <= 1.959964 * np.hypot(std, gp.noise)
        answers[name] = mean
        numbers["methods"][name] = {
            "coverage": float(np.mean(measured)),
            "coverage_noise_free": float(np.mean(inside)),
            "stretch": factor,
            "noise": gp.noise,
        }
        if name == "spectral mixture":
            best, band = gp.kernels[0], std
            if out is not None:
                ship_model(out, gp, "cases.frequency_response")
    for name, mean in answers.items():
        rms, none = resonance_errors(resonances(new[0], mean), exact, 0.5 * spacing)
        error = np.linalg.norm(mean - truth) / np.linalg.norm(truth)
        numbers["methods"].setdefault(name, {}).update(
            {"error": float(error), "resonance_rms_hz": rms, "resonances_missed": none}
        )
    weights, lines = best.weights, best.frequencies[:, 0] / (axes[0][-1] - axes[0][0])
    numbers["echoes_ms"] = {
        f"{1e3 * t:.2f}": float(w)
        for w, t in sorted(zip(weights, lines, strict=True), reverse=True)
    }
    numbers["missing"] = _filled(axes, y, clean, kernels, lost, gen)
    if out is not None:
        out.mkdir(parents=True, exist_ok=True)
        _pictures(out, axes, new, truth, answers, band)
    return numbers


def _pictures(
    out: Path,
    axes: list[np.ndarray],
    new: list[np.ndarray],
    truth: np.ndarray,
    answers: dict[str, np.ndarray],
    std: np.ndarray,
) -> None:
    """Level and real part of the first unseen design at the piston.

    With the band of the spectral mixture.
    """
    mean = answers["spectral mixture"]
    T, R = new[2][0]
    title = f"duct of {LENGTH:g} m, {len(axes[2])} runs; unseen design {T:.1f} degC, R = {R:.2f}"
    draws = mean[:, 0, 0] + std[:, 0, 0] * np.random.default_rng(0).standard_normal(
        (400, len(mean), 2)
    )
    band = tuple(np.quantile(level(draws), (0.025, 0.975), axis=0))
    curves = {
        "exact": level(truth)[:, 0, 0],
        "spectral mixture": level(mean)[:, 0, 0],
        "splines": level(answers["splines"])[:, 0, 0],
    }
    band_plot(
        out / "level.png",
        new[0],
        band,
        curves,
        xlabel="frequency [Hz]",
        ylabel="|H| [dB]",
        title=title,
    )
    low, high = (mean[:, 0, 0, 0] + sign * 1.959964 * std[:, 0, 0, 0] for sign in (-1, 1))
    curves = {
        "exact": truth[:, 0, 0, 0],
        "spectral mixture": mean[:, 0, 0, 0],
        "rbf": answers["rbf"][:, 0, 0, 0],
    }
    band_plot(
        out / "real_part.png",
        new[0],
        (low, high),
        curves,
        xlabel="frequency [Hz]",
        ylabel="Re H [-]",
        title=title,
    )


def _filled(
    axes: list[np.ndarray],
    y: np.ndarray,
    clean: np.ndarray,
    kernels: dict[str, Any],
    lost: float,
    gen: np.random.Generator,
) -> dict[str, Any]:
    """Errors in the cells that were lost, per kernel.

    Against lines between what each run and position kept.
    """
    present = np.broadcast_to(holes(y.shape, lost, gen), y.shape)
    gaps, numbers = ~present, {"share": float(1 - present.mean())}

    def error(filled: np.ndarray) -> float:
        return float(np.linalg.norm((filled - clean)[gaps]) / np.linalg.norm(clean[gaps]))

    for name, (over_f, rest) in kernels.items():
        numbers[name] = error(
            learnt(axes, np.where(present, y, np.nan), over_f, rest, present).posterior(
                *axes, PARTS, std=False
            )[0]
        )
    filled = np.empty_like(y)
    for index in np.ndindex(y.shape[1:]):
        keep = present[(slice(None), *index)]
        filled[(slice(None), *index)] = np.interp(axes[0], axes[0][keep], y[(keep, *index)])
    numbers["straight lines"] = error(filled)
    return numbers


if __name__ == "__main__":
    run(main, units={"resonance_rms_hz": "Hz"})
