"""A hard nacelle with ten thousand panels, of which no matrix is stored: a band of sound in 1 ms.

Five sources in its duct, 37 microphones, wavenumbers 4 to 16 1/m. The host is a boundary element
code with compressed products (`solvers.collocation`); the method sees products, loads and
microphones alone. Pass one solves at the d wavenumbers of the operator's rule, for all sources and
for 12 random duals; pass two multiplies what they span. Beside it, from the same solves: rational
functions (AAA), Loewner's interpolant and a spline of the microphones' signals.

References: Casenave, Ern, Lelievre, Sylvand (2014); Smetana, Zahm, Patera (2019); Mayo and Antoulas
(2007); Nakatsukasa, Sete, Trefethen (2018).
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from scipy.interpolate import CubicSpline

from cases.nacelle import ARRAY, microphones, nacelle
from rom.affine import Affine
from rom.basis import Basis, gram_schmidt
from rom.certified import (
    RandomDual,
    eim_weights,
    random_dual,
    random_forms,
    rational_weights,
    separate,
)
from rom.cli.launch import run
from rom.compress.decomposition import pod
from rom.errors import BadInput
from rom.mesh import Mesh
from rom.rule import Tensor, Weights
from rom.snapshots import Snapshots
from rom.space import Space
from solvers import collocation
from solvers.acoustics import Body, monopole
from solvers.collocation import Panels, Wall, wall
from solvers.krylov import block_gmres

LOW, HIGH = 4.0, 16.0  # [1/m]
SOURCES = np.array([[x, 0.15, 0.0] for x in (-0.2, -0.1, 0.0, 0.1, 0.2)])  # [m]
DUALS = 12
SINGLE = 5_000  # panels from which blocks are kept in complex64
KEPT = 6.0  # GB of operators that stay set up between the passes
SOLVE = 0.1  # of the host's tolerance: residual of its solves


@dataclass(frozen=True, eq=False)
class Compressed:
    """The host: wavenumber -> its operator, counted; it stays set up while there is room."""

    panels: Panels
    tol: float
    setups: list[float] = field(default_factory=list)
    kept: dict[float, Wall] = field(default_factory=dict)

    def __call__(self, mu: np.ndarray) -> Held:
        """The operator at mu = (k,)."""
        k = float(mu[0])
        if k not in self.kept:
            self.setups.append(k)
            operator = self.fresh(mu).wall
            if sum(one.nbytes for one in self.kept.values()) + operator.nbytes > 1e9 * KEPT:
                return Held(operator, operator.close)
            self.kept[k] = operator
        return Held(self.kept[k], _stay)

    def fresh(self, mu: np.ndarray) -> Held:
        """An operator of its own, not counted."""
        single = self.panels.n > SINGLE
        operator = wall(self.panels, float(mu[0]), tol=self.tol, single=single)
        return Held(operator, operator.close)

    def forget(self) -> None:
        """Free what stayed."""
        for operator in self.kept.values():
            operator.close()
        self.kept.clear()

    def load(self, mu: np.ndarray) -> np.ndarray:
        """Right-hand sides of all sources at mu (n, s)."""
        return collocation.load(self.panels, monopole(SOURCES, float(mu[0])), float(mu[0]))

    def solve(self, operator: Held, F: np.ndarray) -> np.ndarray:
        """Pressures (n, s)."""
        return collocation.solve(operator.wall, F, SOLVE * self.tol)[0]

    def solve_adjoint(self, operator: Held, Z: np.ndarray) -> np.ndarray:
        """A^{-H} Z: the near blocks' adjoints precondition it."""
        inverse = collocation.near_inverse(operator.wall, adjoint=True)
        return block_gmres(operator.apply_adjoint, Z, SOLVE * self.tol, precondition=inverse)[0]


@dataclass(frozen=True, eq=False)
class Held:
    """An operator of the host, and what closes it."""

    wall: Wall
    close: Callable[[], None]

    @property
    def tolerance(self) -> float:
        """Of the compression."""
        return self.wall.tolerance

    def apply(self, U: np.ndarray) -> np.ndarray:
        """A U."""
        return self.wall.apply(U)

    def apply_adjoint(self, U: np.ndarray) -> np.ndarray:
        """A^H U."""
        return self.wall.apply_adjoint(U)


def _stay() -> None:
    """Nothing is freed."""


def families(mu: np.ndarray, x: np.ndarray) -> np.ndarray:
    """1, 1/k, exp(ikr), k exp(ikr), exp(ikr)/k: what the panels' operator is made of."""
    k, wave = mu[:, :1], np.exp(1j * mu[:, :1] * x[:, 0])
    one = np.ones_like(wave)
    return np.stack([one, one / k, wave, k * wave, wave / k], axis=1)


def lined_families(mu: np.ndarray, x: np.ndarray) -> np.ndarray:
    """The same and k, of which the liner's operator is made too."""
    every = families(mu, x)
    return np.concatenate([every, mu[:, None, :1] * every[:, :1]], axis=1)


def distant(mu: np.ndarray, x: np.ndarray) -> np.ndarray:
    """exp(ikr), k exp(ikr): what the microphones see."""
    return families(mu, x)[:, 2:4]


def incident(mu: np.ndarray, x: np.ndarray) -> np.ndarray:
    """The loads of all sources at x = (point, normal)."""
    rows = []
    for (k,) in mu:
        p, slope = monopole(SOURCES, k)(x[:, :3], x[:, 3:])
        rows.append((p + 1j / k * slope).T)
    return np.array(rows)


@dataclass(frozen=True, eq=False)
class Band:
    """The reduced nacelle over the band.

    A, L : reduced affine sums; f : one per term of the load's rule (Q, N, s) and its rule
    """

    A: Affine
    L: Affine
    load: Weights
    f: np.ndarray
    basis: Basis

    def coefficients(self, k: float) -> np.ndarray:
        """a (N, s) of all sources at k."""
        mu = np.array([k])
        F = np.tensordot(self.load(mu), self.f, axes=1)
        return np.linalg.solve(self.A(mu), F)

    def hear(self, k: float) -> np.ndarray:
        """Scattered pressure at the microphones (m, s)."""
        return np.asarray(self.L(np.array([k])) @ self.coefficients(k))

    def truncate(self, N: int) -> Band:
        """The first N modes."""
        A, L = self.A.terms, self.L.terms
        return Band(
            Affine(self.A.theta, A[:, :N, :N].copy()),
            Affine(self.L.theta, L[:, :, :N].copy()),
            self.load,
            self.f[:, :N].copy(),
            self.basis.truncate(N),
        )


@dataclass(frozen=True, eq=False)
class Training:
    """What the passes leave.

    A : the separated operator, by products; k (d,) and signals (d, m, s) : the host's solves
    seconds : of the reduced band, and of the estimator on top
    """

    band: Band
    A: Affine
    estimator: RandomDual
    k: np.ndarray
    signals: np.ndarray
    seconds: tuple[float, float]


def rules(body: Body, low: float, high: float, tol: float) -> tuple[Weights, Weights, Weights]:
    """The rules of operator, load and microphones on 400 wavenumbers."""
    train = np.linspace(low, high, 400)[:, None]
    reach = float(np.linalg.norm(np.ptp(body.points, axis=0)))
    ends = (1 - np.cos(np.linspace(0, np.pi, 240)))[:, None] / 2
    operator = eim_weights(families, train, reach * ends, tol=tol)
    near = ARRAY - reach / 2
    far = eim_weights(distant, train, near + reach * ends, tol=tol)
    panels = Panels(body)
    some = np.random.default_rng(1).permutation(panels.n)[:600]
    skin = np.column_stack([panels.centres[some], panels.normals[some]])
    return operator, eim_weights(incident, train[::2], skin, tol=tol), far


def one_source(mu: np.ndarray) -> np.ndarray:
    """1 for the source that mu names, 0 for the others (m, s)."""
    return np.asarray(mu == np.arange(len(SOURCES)), dtype=float)


def train(host: Compressed, x: np.ndarray, low: float, high: float, tol: float) -> Training:
    """Solves at the samples of the operator's rule, then products with what they span."""
    clock = [time.process_time()]
    panels, space = host.panels, host.panels.space()
    operator, load, far = rules(panels.body, low, high, tol)
    primal, signals = [], []
    for mu in operator.mus:
        held = host(mu)
        primal.append(host.solve(held, host.load(mu)))
        signals.append(_hear(panels, x, mu, primal[-1]))
        held.close()
    V = span(space, operator.mus, primal, 0.01 * host.tol)
    A = Affine(Tensor((operator,), ((0,),)), separate(operator, host=host, n=panels.n).terms)
    loads = [host.load(mu) for mu in load.mus]
    band = Band(
        Affine(operator, A.project(V).terms),
        Affine(far, np.stack([_hear(panels, x, mu, V.modes) for mu in far.mus])),
        load,
        np.stack([space.pair(V.modes, F) for F in loads]),
        V,
    )
    clock.append(time.process_time())
    z = random_forms(space, DUALS, 7)
    dual = []
    for mu in operator.mus:
        held = host(mu)
        dual.append(host.solve_adjoint(held, z))
        held.close()
    W = span(space, operator.mus, dual, 0.1 * host.tol)
    both = Basis(space, np.column_stack([V.modes, gram_schmidt(space, W.modes, V.modes)[0]]))
    f = Affine(Tensor((load, one_source), ((0,), (1,))), [b for F in loads for b in F.T])
    estimator = random_dual(A, f, V, both, z)
    clock.append(time.process_time())
    seconds = clock[1] - clock[0], clock[2] - clock[1]
    return Training(band, A, estimator, operator.mus[:, 0], np.array(signals), seconds)


def span(space: Space, mus: np.ndarray, columns: list[np.ndarray], tol: float) -> Basis:
    """POD of solutions, several at each mu."""
    every = np.repeat(mus, columns[0].shape[1], axis=0)
    return pod(Snapshots(space, every, np.hstack(columns)), tol=tol, method="full")[0]


def _hear(panels: Panels, x: np.ndarray, mu: np.ndarray, V: np.ndarray) -> np.ndarray:
    return np.asarray(collocation.hearing(panels, x, float(mu[0])) @ V)


def loewner(k: np.ndarray, H: np.ndarray, tol: float = 1e-10) -> Callable[[float], np.ndarray]:
    """The rational interpolant of samples H (d, m, s) at k (d,), every other one left and right.

    H(k) = C (L_s - k L)^+ B with L, L_s of divided differences. Reference: Mayo, Antoulas (2007).
    """
    left, right = np.arange(0, len(k) - 1, 2), np.arange(1, len(k), 2)
    m, s = H.shape[1:]
    L, shifted = (np.empty((len(left) * m, len(right) * s), dtype=complex) for _ in range(2))
    for a, i in enumerate(left):
        for b, j in enumerate(right):
            block = slice(a * m, (a + 1) * m), slice(b * s, (b + 1) * s)
            L[block] = (H[i] - H[j]) / (k[i] - k[j])
            shifted[block] = (k[i] * H[i] - k[j] * H[j]) / (k[i] - k[j])
    B, C = H[left].reshape(-1, s), np.hstack(list(H[right]))
    U, values, _ = np.linalg.svd(np.hstack([L, shifted]), full_matrices=False)
    rank = int(np.sum(values > tol * values[0]))
    rank = min(rank, L.shape[1])
    R = np.linalg.svd(np.vstack([L, shifted]), full_matrices=False)[2][:rank].conj().T
    U = U[:, :rank].conj().T
    E, A, b, c = U @ L @ R, U @ shifted @ R, U @ B, C @ R

    def interpolant(at: float) -> np.ndarray:
        """H (m, s) at a wavenumber."""
        return np.asarray(c @ np.linalg.solve(A - at * E, b))

    return interpolant


def rivals(training: Training) -> dict[str, Callable[[float], np.ndarray]]:
    """Interpolants of the microphones' signals at the same solves: no operator is known."""
    order = np.argsort(training.k)
    k, H = training.k[order], training.signals[order]
    aaa = rational_weights(k[:, None], H.reshape(len(k), -1).T, rank=(len(k) - 1) // 2)
    support = H[[int(np.argmin(np.abs(k - mu))) for mu in aaa.mus[:, 0]]]
    delay = np.exp(-1j * k * ARRAY)[:, None, None]
    spline = CubicSpline(k, H * delay)
    return {
        "aaa": lambda at: np.tensordot(aaa(np.array([at])), support, axes=1),
        "loewner": loewner(k, H),
        "spline": lambda at: spline(at) * np.exp(1j * at * ARRAY),
        "nearest": lambda at: H[int(np.argmin(np.abs(k - at)))],
    }


def consistency(
    training: Training, host: Compressed, fresh: np.ndarray, P: list[np.ndarray]
) -> float:
    """max |(A - A~) p| / |A p| at fresh wavenumbers, p the host's solutions there."""
    gaps = [host(np.array([k])).apply(p) for k, p in zip(fresh, P, strict=True)]
    sizes = [np.linalg.norm(gap, axis=0) for gap in gaps]
    for q, term in enumerate(training.A.terms):
        image = term @ np.hstack(P)
        parts = np.split(image, len(P), axis=1)
        for k, gap, part in zip(fresh, gaps, parts, strict=True):
            gap -= training.A.theta(np.array([k, 0.0]))[q] * part
    ratios = [np.linalg.norm(gap, axis=0) / size for gap, size in zip(gaps, sizes, strict=True)]
    return float(np.max(ratios))


def main(
    panels: int = 10_000, tol: float = 1e-5, fresh: int = 20, checks: int = 4, out: str = ""
) -> dict[str, object]:
    """Errors at `fresh` unseen wavenumbers against fresh solves of the host.

    tol : of the host's compression, relative; checks : wavenumbers at which consistency is measured
    out : folder of pictures. The band ends where 6 panels make a wavelength, at most at 16 1/m.
    """
    around = 2 * int(np.ceil(np.sqrt(panels / 2) / 2))
    surface = Panels(nacelle(around, around))
    high = min(HIGH, 2 * np.pi / collocation.POINTS_A_WAVELENGTH / float(surface.edge.max()))
    if high < LOW + 1:
        raise BadInput(f"{panels} panels resolve no band above k = {LOW:g} 1/m; give 600 or more")
    host, (x, angle) = Compressed(surface, tol), microphones()
    training = train(host, x, LOW, high, 0.01 * tol)
    band, setups = training.band, len(host.setups)
    weights = np.abs(
        training.A.theta(np.column_stack([np.linspace(LOW, high, 400), np.zeros(400)]))
    )
    space, ks = surface.space(), np.random.default_rng(11).uniform(LOW, high, fresh)
    exact, truth, direct = [], [], 0.0
    for k in ks:
        begin = time.process_time()
        operator = host.fresh(np.array([k]))
        exact.append(host.solve(operator, host.load(np.array([k]))))
        truth.append(_hear(surface, x, np.array([k]), exact[-1]))
        direct += time.process_time() - begin
        if len(exact) <= checks:
            host.kept[float(k)] = operator.wall
        else:
            operator.close()
    miss = consistency(training, host, ks[:checks], exact[:checks])
    begin = time.process_time()
    near = [band.hear(float(k)) for k in ks]
    online = (time.process_time() - begin) / fresh
    sizes = [np.linalg.norm(s) for s in truth]
    errors = [np.linalg.norm(s - r) / n for s, r, n in zip(truth, near, sizes, strict=True)]
    rows = {
        f"{name}_error": max(
            float(np.linalg.norm(s - rival(float(k))) / n)
            for k, s, n in zip(ks, truth, sizes, strict=True)
        )
        for name, rival in rivals(training).items()
    }
    effectivity = np.concatenate(
        [effectivities(training, space, N, ks, exact) for N in ranks(band.basis.r)]
    )
    if out:
        pictures(Path(out), training, surface, ks, effectivity, angle)
    host.forget()
    return {
        "unknowns": surface.n,
        "band": [LOW, high],
        "d": band.A.terms.shape[0],
        "N": band.basis.r,
        "output_error": float(max(errors)),
        "online_ms": 1e3 * online,
        "full_ms": 1e3 * direct / fresh,
        "break_even": training.seconds[0] / (direct / fresh),
        "break_even_with_estimator": sum(training.seconds) / (direct / fresh),
        "host_setups": setups,
        "floor": float(weights.sum(axis=1).max()) * tol,
        "consistency": miss,
        "estimator_low": float(effectivity.min()),
        "estimator_high": float(effectivity.max()),
        "estimator_samples": effectivity.size,
        "estimator_probability": training.estimator.probability(2.0, effectivity.size),
        **rows,
    }


def ranks(N: int) -> list[int]:
    """Three ranks whose errors lie above the floor of the host."""
    return [N // 3, N // 2, 2 * N // 3]


def effectivities(
    training: Training, space: Space, N: int, ks: np.ndarray, exact: list[np.ndarray]
) -> np.ndarray:
    """Estimate over error of N modes, all wavenumbers and sources."""
    band, ratios = training.band.truncate(N), []
    for k, p in zip(ks, exact, strict=True):
        a = band.coefficients(float(k))
        error = space.norm(p - band.basis.lift(a))
        mus = np.column_stack([np.full(len(SOURCES), k), np.arange(len(SOURCES))])
        ratios.append(training.estimator(mus, a.T) / error)
    return np.concatenate(ratios)


def at_points(body: Body, value: np.ndarray) -> np.ndarray:
    """Means of the panels around each point (n,)."""
    count = np.bincount(body.triangles.ravel(), minlength=len(body.points))
    total = np.bincount(body.triangles.ravel(), np.repeat(value, 3), minlength=len(body.points))
    return np.asarray(total / count)


def pictures(
    folder: Path,
    training: Training,
    surface: Panels,
    ks: np.ndarray,
    effectivity: np.ndarray,
    angle: np.ndarray,
) -> None:
    """Pressure level on the body and directivity in dB at the upper end of the band."""
    from rom.plot.curves import directivity
    from rom.plot.pictures import picture

    folder.mkdir(parents=True, exist_ok=True)
    k, band = float(ks.max()), training.band
    p = band.basis.lift(band.coefficients(k))[:, 0]
    title = f"k = {k:.2f} 1/m, {surface.n} panels"
    level = 20 * np.log10(np.abs(p) / np.sqrt(2) / 20e-6)
    picture(
        folder / "body.png",
        Mesh(surface.body.points, {"triangle": surface.body.triangles}),
        {"sound pressure level": (at_points(surface.body, level), "dB re 20 uPa")},
        title=title,
        view=(0.8, -1.0, 0.6),
        width=900,
        zoom=0.9,
    )
    title = f"first source, {surface.n} panels, {band.basis.r} modes"
    levels = {
        f"k = {one:.1f} 1/m": 20 * np.log10(np.abs(band.hear(one)[:, 0]) / np.sqrt(2) / 20e-6)
        for one in (float(ks.min()), float(np.median(ks)), k)
    }
    directivity(
        folder / "directivity.png",
        angle,
        levels,
        label="scattered level [dB re 20 uPa]",
        title=title,
    )


if __name__ == "__main__":
    run(main, units={"online_ms": "ms", "full_ms": "ms", "band": "1/m"})
