"""Gaussian processes for many outputs over few runs: coefficients of a basis, scalars of a simulation."""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

from rom.errors import BadInput
from rom.gp.algebra import lower_solve, to_device, to_numpy
from rom.gp.kernels import kernel_of
from rom.gp.likelihood import (
    Factors,
    Maximum,
    factorise,
    left_out_errors,
    maximise,
    project_trend,
    sobol_starts,
    trend_columns,
)
from rom.parameters import Box

CHUNK = 2**23
log = logging.getLogger("rom")


@dataclass(frozen=True, eq=False)
class CoefficientGP:
    """a_i(x) ~ GP(h(x) beta_i, variance_i (k_g(x, x') + nugget_g)), g = groups[i], x in the unit box; beta is integrated out.

    box : inputs are scaled to it; closed : whether inputs beyond it are refused; x (m, p) : scaled inputs; a (m, r) : outputs
    kernels, nuggets : one per group; groups (r,); mean : trend; share : what the groups are; reason : why
    stretch : per group, by what leaving one out says that predicted standard deviations are too small or too large
    """

    box: Box
    closed: bool
    x: np.ndarray
    a: np.ndarray
    kernels: tuple[Any, ...]
    nuggets: np.ndarray
    groups: np.ndarray
    mean: str
    share: str
    reason: str
    stretch: np.ndarray

    @property
    def r(self) -> int:
        """Number of outputs."""
        return self.a.shape[1]

    @property
    def noise(self) -> np.ndarray:
        """Standard deviation of the noise of each output, (r,), in its unit: sqrt(nugget) times the process's."""
        return np.sqrt(self.nuggets[self.groups] * self._solved[1])

    @property
    def jitter(self) -> float:
        """What had to be added to a correlation matrix beyond the nugget; 0 normally."""
        return max(f.jitter for f in self._factors)

    @cached_property
    def _factors(self) -> tuple[Factors, ...]:
        H = trend_columns(self.mean, self.x)
        return tuple(
            factorise(k.matrix(self.x, self.x), float(g), H)
            for k, g in zip(self.kernels, self.nuggets, strict=True)
        )

    @cached_property
    def _solved(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """beta (k, r), variance (r,), weights (m, r)."""
        H, scale = trend_columns(self.mean, self.x), _scale(self.a)
        beta, variance, weights = (
            np.empty((H.shape[1], self.r)),
            np.empty(self.r),
            np.empty_like(self.a),
        )
        for g, factors in enumerate(self._factors):
            mine = self.groups == g
            beta[:, mine], weights[:, mine], variance[mine] = project_trend(
                factors, H, (self.a / scale)[:, mine]
            )
        return beta * scale, variance * scale**2, weights * scale

    def predict(
        self, x: np.ndarray, noise: bool = False, std: bool = True, device: str | None = None
    ) -> tuple[np.ndarray, np.ndarray | None]:
        """Posterior mean and standard deviation, both (q, r) for x (q, p), or (r,) for x (p,); in chunks, never a q x q matrix.

        noise : of a new run's outputs, rather than of the smooth function below them; std=False gives (mean, None), cheaply
        Raises BadInput for another width or NaN, OutsideBox where the model was given a box.
        """
        scaled = self._scaled(np.atleast_2d(x))
        beta, variance, weights = self._solved
        mean = np.empty((len(scaled), self.r))
        left = np.empty((len(scaled), len(self.kernels))) if std else None
        X, B, W = (to_device(v, device) for v in (self.x, beta, weights))
        factors = [_moved(f, device) for f in self._factors] if std else []
        step = max(1, CHUNK // (len(self.x) * (3 + len(beta))))
        for rows in (slice(k, k + step) for k in range(0, len(scaled), step)):
            z = to_device(scaled[rows], device)
            h = trend_columns(self.mean, z)
            for g, kernel in enumerate(self.kernels):
                mine = np.flatnonzero(self.groups == g)
                cross = kernel.matrix(z, X)
                mean[rows, mine] = to_numpy(h @ B[:, mine] + cross @ W[:, mine])
                if left is not None:
                    left[rows, g] = to_numpy(_remaining(factors[g], cross, h))
        if left is None:
            return (mean[0] if np.ndim(x) == 1 else mean), None
        relative = self.stretch * np.sqrt(np.maximum(left, 0.0) + noise * self.nuggets)
        spread = relative[:, self.groups] * np.sqrt(variance)
        return (mean[0], spread[0]) if np.ndim(x) == 1 else (mean, spread)

    def leave_one_out(self) -> tuple[np.ndarray, np.ndarray]:
        """(a_i - E[a_i | the others], its standard deviation), both (m, r), in closed form; variances are those of all runs, not stretched."""
        return self._left

    @cached_property
    def _left(self) -> tuple[np.ndarray, np.ndarray]:
        H, scale = trend_columns(self.mean, self.x), _scale(self.a)
        residuals, std = np.empty_like(self.a), np.empty_like(self.a)
        for g, factors in enumerate(self._factors):
            mine = self.groups == g
            residuals[:, mine], std[:, mine] = left_out_errors(
                factors, H, (self.a / scale)[:, mine]
            )
        return residuals * scale, std * scale

    def samples(
        self, x: np.ndarray, count: int, rng: int | np.random.Generator = 0, noise: bool = False
    ) -> np.ndarray:
        """Joint draws of the outputs at x (q, p) from the posterior, (count, q, r); noise: those of new runs. Costs q^3."""
        gen, z = np.random.default_rng(rng), self._scaled(np.atleast_2d(x))
        mean, variance, h = (
            self.predict(np.atleast_2d(x), std=False)[0],
            self._solved[1],
            trend_columns(self.mean, z),
        )
        draws = np.empty((count, len(z), self.r))
        for g, (kernel, factors) in enumerate(zip(self.kernels, self._factors, strict=True)):
            half, rest = _halves(factors, kernel.matrix(z, self.x), h)
            values, vectors = np.linalg.eigh(kernel.matrix(z, z) - half.T @ half + rest.T @ rest)
            root = vectors * np.sqrt(np.maximum(values, 0.0))
            for i in np.flatnonzero(self.groups == g):
                draws[:, :, i] = (
                    mean[:, i]
                    + self.stretch[g]
                    * np.sqrt(variance[i])
                    * gen.standard_normal((count, len(z)))
                    @ root.T
                )
        return draws + noise * self.stretch[self.groups] * self.noise * gen.standard_normal(
            draws.shape
        )

    def _scaled(self, x: np.ndarray) -> np.ndarray:
        x = np.asarray(x, dtype=float)
        if x.shape[-1] != self.box.p or not np.isfinite(x).all():
            raise BadInput(f"x has shape {x.shape}; the model needs finite (q, {self.box.p})")
        return self.box.to_unit(self.box.check(x) if self.closed else x)


def coefficient_gp(
    x: np.ndarray,
    a: np.ndarray,
    box: Box | None = None,
    kernel: Any = "matern52",
    share: str = "auto",
    mean: str = "constant",
    noise: float | None = None,
    rng: int | np.random.Generator = 0,
    device: str | None = None,
    starts: int = 8,
    calibrate: bool = True,
) -> CoefficientGP:
    """The regression of outputs a (m, r) on inputs x (m, p) that maximises the restricted likelihood; float64, always by Cholesky.

    box : scales the inputs (default: the range of x), and predictions beyond a given one are refused
    kernel : matern12, matern32, matern52, rbf, a kernel of rom.gp.kernels, or a GPyTorch kernel; whole models: `plugged_model`
    share : "shared" kernel with a variance per output, "clusters" of outputs, "independent" kernels, or "auto": whichever has the
        largest leave-one-out predictive density
    noise : noise variance over process variance if it is known, at least 1e-10; None estimates it
    device : None for numpy, "cpu" or "cuda" for torch; starts : Sobol points screened before the search
    calibrate : stretch standard deviations until 95 % of the runs lie in their leave-one-out intervals, the less so the fewer runs
    Repeated runs are allowed. Raises BadInput for wrong shapes, NaN, fewer than three distinct runs.
    References: Rasmussen, Williams (2006); Gu, Berger (2016).
    """
    x, a, box, closed = check_training(x, a, box, mean)
    unit = box.to_unit(x)
    if share not in ("auto", "shared", "clusters", "independent"):
        raise BadInput(f"no share {share!r}; known: auto, shared, clusters, independent")
    if noise is not None and not (np.isfinite(noise) and noise >= 0):
        raise BadInput(f"noise = {noise} must be None, 0 or a positive ratio of variances")
    r = a.shape[1]
    first = kernel_of(kernel, box.p)
    blank = CoefficientGP(
        box,
        closed,
        unit,
        a,
        (),
        np.empty(0),
        np.zeros(r, dtype=np.int64),
        mean,
        "shared",
        "asked for",
        np.ones(1),
    )
    together, found = _fit(blank, first, [sobol_starts(first, starts, rng)], noise, device)
    rough = np.log(together._solved[1] / _scale(a) ** 2)
    ways = [("clusters", _clusters(rough))] * (r > 3) + [
        ("independent", np.argsort(np.argsort(rough, kind="stable")))
    ] * (r > 1)
    made, before = [together], blank.groups
    for way, groups in ways:
        if share in ("auto", way):
            nearest = [found[before[groups == g][0]] for g in range(groups.max() + 1)]
            gp, found = _fit(
                replace(blank, groups=groups, share=way), first, nearest, noise, device
            )
            made, before = [*made, gp], groups
    if share != "auto":
        return _calibrated(made[-1], calibrate)
    scores = [_density(gp) for gp in made]
    told = ", ".join(f"{gp.share} {score:.4g}" for gp, score in zip(made, scores, strict=True))
    log.info("leave-one-out log density per value: %s", told)
    return replace(
        _calibrated(made[int(np.argmax(scores))], calibrate),
        reason=f"leave-one-out log density per value: {told}",
    )


def _calibrated(gp: CoefficientGP, calibrate: bool) -> CoefficientGP:
    """The model with each group's 95 % quantile of leave-one-out scores over the normal's, weighted m against 20 for 1."""
    stretch, m = np.ones(len(gp.kernels)), len(gp.a)
    if calibrate:
        residuals, std = gp.leave_one_out()
        z, least = np.abs(residuals) / std, std > 1e-9 * _scale(gp.a)
        for g in range(len(stretch)):
            scores = z[:, gp.groups == g][least[:, gp.groups == g]]
            if scores.size:
                stretch[g] = (m * np.quantile(scores, 0.95, method="higher") / 1.959964 + 20.0) / (
                    m + 20.0
                )
    return replace(gp, stretch=stretch)


def _fit(
    blank: CoefficientGP, first: Any, starts: list[Any], noise: float | None, device: str | None
) -> tuple[CoefficientGP, list[Maximum]]:
    """(model, maximum per group): searches from starts (s, k + 1), or from the maximum of a group that held these outputs before."""
    scaled = blank.a / _scale(blank.a)
    parts = [scaled[:, blank.groups == g] for g in range(len(starts))]
    bends = None
    if isinstance(starts[0], Maximum):
        bends = [start.curvature * part.shape[1] for start, part in zip(starts, parts, strict=True)]
        starts = [start.end[None] for start in starts]
    ends = maximise(first, blank.x, parts, blank.mean, noise, starts, device, bends)
    found = [
        replace(end, curvature=end.curvature / part.shape[1])
        for end, part in zip(ends, parts, strict=True)
    ]
    return replace(
        blank, kernels=tuple(m.kernel for m in found), nuggets=np.array([m.nugget for m in found])
    ), found


def _clusters(rough: np.ndarray) -> np.ndarray:
    """Up to four groups of outputs alike in roughness log a_i^T P a_i / |a_i - mean|^2 under a shared kernel: cuts at the widest gaps."""
    order = np.argsort(rough)
    gaps = np.diff(rough[order])
    cuts = np.sort(np.argsort(gaps)[::-1][: min(3, len(rough) // 2)])
    groups = np.empty(len(rough), dtype=np.int64)
    groups[order] = np.searchsorted(cuts, np.arange(len(rough)), side="left")
    return groups


def _density(gp: CoefficientGP) -> float:
    """Mean log density of each value given the other runs, outputs scaled to unit variance."""
    residuals, std = (part / _scale(gp.a) for part in gp.leave_one_out())
    return float(np.mean(-0.5 * np.log(2 * np.pi * std**2) - 0.5 * (residuals / std) ** 2))


def _scale(a: np.ndarray) -> np.ndarray:
    """Standard deviation of each output; 1 where it is constant."""
    s = a.std(axis=0)
    return np.where(s > 1e-14 * np.abs(a).max(axis=0), s, 1.0)


def _halves(factors: Factors, cross: Any, h: Any) -> tuple[Any, Any]:
    """L^{-1} k(X, z), and A^{-1} (h(z)^T - H^T K^{-1} k(X, z)): what the data explain, and what the trend leaves open."""
    half = lower_solve(factors.L, cross.T)
    return half, (lower_solve(factors.A, h.T - factors.LH.T @ half) if h.shape[1] else half[:0])


def _remaining(factors: Factors, cross: Any, h: Any) -> Any:
    """Variance left, relative to the process's, (q,)."""
    half, rest = _halves(factors, cross, h)
    return 1.0 - (half**2).sum(0) + (rest**2).sum(0)


def _moved(factors: Factors, device: str | None) -> Factors:
    return Factors(
        to_device(factors.L, device),
        to_device(factors.LH, device),
        to_device(factors.A, device),
        factors.jitter,
    )


def check_training(
    x: np.ndarray, a: np.ndarray, box: Box | None, mean: str
) -> tuple[np.ndarray, np.ndarray, Box, bool]:
    """(x, a, box, whether it was given) as floats, or BadInput."""
    x, a = np.asarray(x, dtype=float), np.asarray(a)
    if np.iscomplexobj(a):
        raise BadInput("outputs are complex; give real and imaginary parts as columns")
    a = a.astype(float)
    if x.ndim != 2 or a.ndim != 2 or len(x) != len(a) or not a.shape[1] or not x.shape[1]:
        raise BadInput(
            f"inputs {x.shape} and outputs {a.shape}; give x (m, p) and a (m, r), one row per run"
        )
    for name, v in (("input", x), ("output", a)):
        if not np.isfinite(v).all():
            raise BadInput(
                f"{name} {tuple(int(k) for k in np.argwhere(~np.isfinite(v))[0])} is NaN or Inf; drop that run"
            )
    distinct, need = len(np.unique(x, axis=0)), 3 + (x.shape[1] if mean == "linear" else 0)
    if distinct < need:
        raise BadInput(
            f"{len(x)} runs with {distinct} distinct parameters; a regression with a {mean} mean needs {need} or more"
        )
    if box is not None:
        return box.check(x), a, box, True
    low, high = x.min(axis=0), x.max(axis=0)
    flat = high - low <= 1e-14 * np.abs(x).max(axis=0)
    names = tuple(f"mu{j}" for j in range(x.shape[1]))
    return x, a, Box(names, np.where(flat, low - 0.5, low), np.where(flat, low + 0.5, high)), False
