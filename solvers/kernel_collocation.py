"""Gaussian-process collocation on boxes with spectral kernels.

In the Karhunen-Loeve functions of the kernel. Factorising features of the kernel, not its matrix,
keeps small modes to full relative precision: no jitter, no lost digits.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace

import numpy as np
import scipy.linalg as la
from scipy.optimize import minimize
from scipy.special import roots_legendre

from rom.errors import BadInput, NotConverged
from rom.gp.tensors import unfold
from solvers.boxes import Axis, Equation, Solution, solve_on_axes

PERIOD = 2.0
log = logging.getLogger("rom")


@dataclass(frozen=True, eq=False)
class Spectrum:
    """k(z) = sum_q w_q g(z / l_q) cos(2 pi f_q z), z in units of the axis's length.

    Periodic with twice that length. weights, frequencies [cycles per axis], lengths (Q,); envelope:
    "gaussian" or "student" (Matern-5/2, Student-t in frequency)
    """

    weights: np.ndarray
    frequencies: np.ndarray
    lengths: np.ndarray
    envelope: str = "gaussian"

    def density(self, omega: np.ndarray) -> np.ndarray:
        """Each component's spectral density at omega [cycles], (Q, len(omega)).

        Weights are included.
        """
        return self.densities(omega)[0]

    def densities(self, omega: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """(density, derivative by log(f + 1), derivative by log l), each (Q, len(omega))."""
        f, ell, half = self.frequencies[:, None], self.lengths[:, None], 0.5 * self.weights[:, None]
        (up, up_l, up_w), (down, down_l, down_w) = (
            _bell(omega - s * f, ell, self.envelope) for s in (1, -1)
        )
        return half * (up + down), half * (f + 1) * (down_w - up_w), half * (up_l + down_l)

    @property
    def theta(self) -> np.ndarray:
        """log of weights, frequencies + 1 and lengths."""
        return np.asarray(
            np.log(np.concatenate([self.weights, self.frequencies + 1.0, self.lengths]))
        )

    def at(self, theta: np.ndarray) -> Spectrum:
        """The same envelope with other logarithms."""
        w, f, ell = np.split(np.exp(theta), 3)
        return replace(self, weights=w, frequencies=np.maximum(f - 1.0, 0.0), lengths=ell)

    def pruned(self, least: float = 1e-7) -> Spectrum:
        """Without components whose weight is below `least` of the largest."""
        keep = self.weights > least * self.weights.max()
        return replace(
            self,
            weights=self.weights[keep],
            frequencies=self.frequencies[keep],
            lengths=self.lengths[keep],
        )


def _bell(
    omega: np.ndarray, ell: np.ndarray, envelope: str
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Spectral density of an envelope, its derivatives by log l and by omega."""
    s2, slope = (2 * np.pi * ell * omega) ** 2, (2 * np.pi * ell) ** 2 * omega
    if envelope == "gaussian":
        bell = ell * np.sqrt(2 * np.pi) * np.exp(-0.5 * s2)
        return bell, bell * (1 - s2), -bell * slope
    if envelope == "student":
        bell = (16 / 3) * np.sqrt(5.0) ** 5 * ell / (5 + s2) ** 3
        return bell, bell * (1 - 6 * s2 / (5 + s2)), -6 * bell * slope / (5 + s2)
    raise BadInput(f"no envelope {envelope!r}; known: gaussian, student")


def broad(top: float, envelope: str, Q: int = 30) -> Spectrum:
    """Q equal components from 0 to `top` cycles, each about as wide as their spacing.

    The band is covered, nothing is chosen yet.
    """
    Q = int(min(Q, max(4, top)))
    spacing = top / Q
    return Spectrum(
        np.full(Q, 1.0 / Q), np.linspace(0, top, Q), np.full(Q, 1 / (2 * np.pi * spacing)), envelope
    )


def features(t: np.ndarray, omega: np.ndarray, derivative: int = 0) -> np.ndarray:
    """cos and sin of 2 pi omega t, or derivatives, (n, 2 m - 1).

    omega[0] = 0 has no sine.
    """
    angle = 2 * np.pi * np.outer(t, omega) + derivative * np.pi / 2
    scale = (2 * np.pi * omega) ** derivative
    return np.hstack([scale * np.cos(angle), scale[1:] * np.sin(angle[:, 1:])])


def _band(spectrum: Spectrum, top: float) -> np.ndarray:
    """Feature frequencies 0, 1/2, 1, ... up to `top` and the Gaussian tails beyond it."""
    spread = (
        5 / (2 * np.pi * spectrum.lengths.min())
        if spectrum.envelope == "gaussian"
        else 0.2 * top + 6
    )
    return np.arange(0.0, top + max(spread, 3.0), 1 / PERIOD)


def _variances(density: np.ndarray) -> np.ndarray:
    """Variances of the features, by Poisson's sum.

    The periodised kernel is exactly this sum over frequencies.
    """
    once = density / PERIOD
    return np.concatenate([once[..., :1], 2 * once[..., 1:], 2 * once[..., 1:]], axis=-1)


def kernel_axis(
    low: float, high: float, spectrum: Spectrum, top: float, sides: str, cut: float = 1e-9
) -> Axis:
    """The Karhunen-Loeve functions of the kernel on [low, high].

    With standard deviations above `cut` of the largest. sqrt(w) Phi S^{1/2} = P Sigma Q^T at
    Gauss-Legendre points: functions Phi S^{1/2} Q / Sigma, orthonormal in L2 of the unit axis; the
    equation is tested with those of them that vanish on the sides with data.
    """
    omega = _band(spectrum, top)
    N, h = int(np.ceil(1.1 * np.pi * omega[-1])) + 16, high - low
    x, w = roots_legendre(N)
    t, w = (x + 1) / 2, w / 2
    root = np.sqrt(_variances(spectrum.density(omega).sum(axis=0)))
    P, sigma, QT = np.linalg.svd(
        np.sqrt(w)[:, None] * features(t, omega) * root, full_matrices=False
    )
    keep = sigma > cut * sigma[0]
    mix = root[:, None] * (QT[keep].T / sigma[keep])

    def evaluate(x: np.ndarray, derivative: int) -> np.ndarray:
        values = features((np.asarray(x) - low) / h, omega, derivative)
        return np.asarray(values @ mix / h**derivative)

    nodes = low + h * t
    D = (P[:, keep] / np.sqrt(w)[:, None], evaluate(nodes, 1), evaluate(nodes, 2))
    expand = P[:, keep].T * np.sqrt(w)
    where = np.array({"both": [low, high], "low": [low], "high": [high]}[sides])
    ends = evaluate(where, 0)
    basis = np.linalg.qr(ends.T, mode="complete")[0]
    fixed, free = basis[:, : where.size], basis[:, where.size :]
    return Axis(
        low, high, nodes, D, free.T @ expand, free, fixed, ends, where, expand, evaluate, True
    )


def evidence(
    theta: np.ndarray,
    spectrum: Spectrum,
    Phi: np.ndarray,
    Y: np.ndarray,
    omega: np.ndarray,
    nugget: float,
) -> tuple[float, np.ndarray]:
    """-log p(Y | theta) - log p(theta), p(w) = prod 1 / w_q; with its gradient.

    The prior of the weights is Jeffreys'.
    Y (n, r) : samples of the solution along an axis, Phi (n, 2 m - 1) : `features` of omega (m,)
        there. Surplus weights are driven to zero by the prior.
    """
    Q, (n, r) = len(spectrum.weights), Y.shape
    parts = [_variances(part) for part in spectrum.at(theta).densities(omega)]
    root = Phi * np.sqrt(parts[0].sum(axis=0))
    K = root @ root.T
    L = np.linalg.cholesky(K + nugget * np.trace(K) / n * np.eye(n))
    Linv = la.lapack.dtrtri(L, lower=1)[0]
    half = Linv @ Y
    value = 0.5 * np.sum(half**2) + r * np.sum(np.log(np.diag(L))) + np.sum(theta[:Q])
    alpha = Linv.T @ half
    by_variance = 0.5 * (
        r * np.sum(la.blas.dtrmm(1.0, Linv, Phi, lower=1) ** 2, axis=0)
        - np.sum((alpha.T @ Phi) ** 2, axis=0)
    )
    by_nugget = 0.5 * (r * np.sum(Linv**2) - np.sum(alpha**2))
    by_variance = by_variance + by_nugget * nugget * np.sum(Phi**2, axis=0) / n
    slope = np.concatenate([part @ by_variance for part in parts])
    slope[:Q] += 1.0
    return value, slope


def train_spectrum(
    spectrum: Spectrum,
    t: np.ndarray,
    Y: np.ndarray,
    top: float,
    nugget: float = 1e-10,
    rounds: int = 8,
) -> Spectrum:
    """The spectrum of largest evidence for Y (n, r) at t (n,) in [0, 1].

    Rounds of L-BFGS, surplus components pruned between them.
    """
    Y = Y / np.sqrt(np.mean(Y**2))
    spacing, every = top / len(spectrum.weights), _band(spectrum, top)
    shortest = np.log(spectrum.lengths.min()) - 0.7
    for _ in range(rounds):
        Q, theta = len(spectrum.weights), spectrum.theta
        variance = spectrum.density(every).sum(axis=0)
        omega = every[(variance > 1e-14 * variance.max()) | (every == 0)]
        limits = [(np.log(1e-14), 5.0)] * Q
        limits += [
            (np.log1p(max(0.0, f - spacing)), np.log1p(f + spacing)) for f in spectrum.frequencies
        ]
        limits += [(shortest, np.log(0.6))] * Q
        options = {"maxiter": 20}
        end = minimize(
            evidence,
            theta,
            (spectrum, features(t, omega), Y, omega, nugget),
            "L-BFGS-B",
            jac=True,
            bounds=limits,
            options=options,
        )
        spectrum = spectrum.at(end.x).pruned()
    return spectrum


def kernel_solve(
    equation: Equation,
    envelope: str = "gaussian",
    tol: float = 1e-10,
    train: bool = True,
    most: float = 600.0,
) -> tuple[Solution, tuple[Spectrum, ...]]:
    """The posterior mean of a Gaussian process given an equation and its boundary.

    With its spectra. The band [0, top] of the broad kernel grows until the residual between the
    nodes is below tol or stops falling; no error is known or used. Then, with train, each axis's
    spectrum is fitted by evidence to that solution and the equation is solved again (variable
    projection); the sparsest fitted kernel whose residual is as small is kept, the broad one where
    none is. Raises NotConverged where no band resolves the equation. References: Fang et al.
    (2024); Xu et al. (2025).
    """
    top, reached, best = 8.0, 0.0, None
    spectra: tuple[Spectrum, ...] = ()
    while top <= most:
        tried = (broad(top, envelope),) * equation.d
        attempt = _attempted(equation, tried, top)
        worse = (
            best is not None
            and best.residual < 1e-4
            and (attempt is None or attempt.residual > 0.3 * best.residual)
        )
        if attempt is not None and (best is None or attempt.residual < best.residual):
            best, spectra, reached = attempt, tried, top
        if worse or (best is not None and best.residual < tol):
            break
        top *= 1.6
    if best is None or best.residual > 0.1:
        raise NotConverged(
            f"no band up to {most:g} cycles per axis resolves the equation; "
            "raise `most`, or check the data"
        )
    log.info("band of %g cycles, residual %.1e", reached, best.residual)
    if not train:
        return best, spectra
    fitted = tuple(_fitted(best, j, spectrum, reached) for j, spectrum in enumerate(spectra))
    for least in (1e-2, 1e-4, 1e-7):
        sparse = tuple(s.pruned(least) for s in fitted)
        again = _attempted(equation, sparse, reached)
        if again is not None and again.residual <= max(2 * best.residual, 10 * tol):
            log.info(
                "fitted spectra keep %s components, residual %.1e",
                [len(s.weights) for s in sparse],
                again.residual,
            )
            return again, sparse
    log.info("fitted spectra resolve less than the broad ones, which are kept")
    return best, spectra


def _attempted(equation: Equation, spectra: tuple[Spectrum, ...], top: float) -> Solution | None:
    """The solution in these kernels; None where Newton finds none.

    Then the band is too narrow for the data.
    """
    try:
        return _on(equation, spectra, (top,) * equation.d)
    except NotConverged:
        return None


def _on(equation: Equation, spectra: tuple[Spectrum, ...], tops: tuple[float, ...]) -> Solution:
    axes = tuple(
        kernel_axis(b[0], b[1], s, top, side)
        for b, s, top, side in zip(equation.bounds, spectra, tops, equation.sides, strict=True)
    )
    return solve_on_axes(equation, axes)


def _fitted(solution: Solution, j: int, spectrum: Spectrum, top: float, most: int = 6) -> Spectrum:
    """The spectrum of axis j that explains the solution's leading profiles along it."""
    n = int(2.2 * top) + 24
    t = (np.arange(n) + 0.5) / n
    axis = solution.axes[j]
    profiles = unfold(solution.C, j)
    left, s, _ = np.linalg.svd(profiles, full_matrices=False)
    r = max(1, min(most, int(np.sum(s > 1e-8 * s[0]))))
    return train_spectrum(
        spectrum, t, axis.evaluate(axis.low + (axis.high - axis.low) * t, 0) @ (left[:, :r]), top
    )
