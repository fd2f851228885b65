"""Material laws at integration points, in Mandel notation: a = (xx, yy, zz, r yz, r xz, r xy) with r = sqrt 2, so that a:b = a.b.

A law is called with strain (g, 6), temperature (g,) [K or degC, as its tables], old state (g, k), dt [s] and answers stress (g, 6)
[as its moduli], the consistent tangent d stress / d strain (g, 6, 6) and the new state. Column 0 of a state is p, the cumulated
(visco)plastic strain. Reference: Simo & Hughes, Computational Inelasticity (1998).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from rom.errors import BadInput, NotConverged

ONE = np.array([1.0, 1, 1, 0, 0, 0])
SPHERE = np.outer(ONE, ONE)
DEV = np.eye(6) - SPHERE / 3
Answer = tuple[np.ndarray, np.ndarray, np.ndarray]


def coefficient(table: Any, T: np.ndarray) -> np.ndarray:
    """c(T), (g,): `table` is a number or (2, k) temperatures over values, linear between them and constant beyond."""
    table = np.asarray(table, dtype=float)
    return np.full(T.shape, float(table)) if table.ndim == 0 else np.interp(T, table[0], table[1])


def checked_table(name: str, table: Any, least: float = -np.inf) -> None:
    """BadInput where a coefficient is neither a number nor (2, k) with increasing temperatures, or falls below `least`."""
    values = np.asarray(table, dtype=float)
    if values.ndim not in (0, 2) or (
        values.ndim == 2 and (len(values) != 2 or not (np.diff(values[0]) > 0).all())
    ):
        raise BadInput(
            f"{name} has shape {values.shape}; give a number, or (2, k): increasing temperatures over values"
        )
    lowest = values[1].min() if values.ndim else values
    if not np.isfinite(values).all() or lowest < least:
        raise BadInput(f"{name} = {float(lowest):g} must be finite and at least {least:g}")


def equivalent(a: np.ndarray) -> np.ndarray:
    """J(a) = sqrt(3/2 a:a) of deviators a (..., 6)."""
    return np.sqrt(1.5 * np.sum(a * a, axis=-1))


def mises(stress: np.ndarray) -> np.ndarray:
    """J(dev stress)."""
    return equivalent(stress - stress[..., :3].sum(axis=-1, keepdims=True) / 3 * ONE)


@dataclass(frozen=True, eq=False)
class Elastic:
    """sigma = kappa tr(eps - eps_th) I + 2 mu dev eps, eps_th = alpha (T - T_ref) I; E, nu, alpha numbers or tables in T."""

    E: Any
    nu: Any
    alpha: Any = 0.0
    T_ref: float = 20.0
    rho: float = 0.0
    width: int = 1

    def __post_init__(self) -> None:
        for name in ("E", "nu", "alpha"):
            checked_table(name, getattr(self, name), {"E": 1e-300, "nu": -0.999}.get(name, -np.inf))
        if np.max(np.atleast_2d(np.asarray(self.nu, dtype=float))[-1]) >= 0.5:
            raise BadInput("nu must stay below 0.5")

    def moduli(self, T: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """kappa, mu and 3 alpha (T - T_ref), each (g,)."""
        E, nu = coefficient(self.E, T), coefficient(self.nu, T)
        return (
            E / (3 * (1 - 2 * nu)),
            E / (2 * (1 + nu)),
            3 * coefficient(self.alpha, T) * (T - self.T_ref),
        )

    def __call__(self, strain: np.ndarray, T: np.ndarray, state: np.ndarray, dt: float) -> Answer:
        kappa, mu, swell = self.moduli(T)
        tangent = kappa[:, None, None] * SPHERE + 2 * mu[:, None, None] * DEV
        pressure = kappa * (strain[:, :3].sum(axis=1) - swell)
        return pressure[:, None] * ONE + 2 * mu[:, None] * (strain @ DEV), tangent, state


@dataclass(frozen=True, eq=False)
class Plastic(Elastic):
    """J2 plasticity with linear isotropic hardening: J(dev sigma) <= yield_stress + H p; state (p, eps_p), dp in closed form."""

    yield_stress: Any = np.inf
    H: Any = 0.0
    width: int = 7

    def __call__(self, strain: np.ndarray, T: np.ndarray, state: np.ndarray, dt: float) -> Answer:
        kappa, mu, swell = self.moduli(T)
        H, p = coefficient(self.H, T), state[:, 0]
        trial = 2 * mu[:, None] * (strain @ DEV - state[:, 1:7])
        q = equivalent(trial)
        dp = np.maximum(q - coefficient(self.yield_stress, T) - H * p, 0.0) / (3 * mu + H)
        N = 1.5 * trial / np.where(q > 0, q, 1.0)[:, None]
        on = (dp > 0).astype(float)
        new = np.concatenate([(p + dp)[:, None], state[:, 1:7] + dp[:, None] * N], axis=1)
        ratio, m = (
            on * 1.5 * dp / np.where(q > 0, q, 1.0),
            (on * 2 * mu / (3 * mu + H))[:, None] * N,
        )
        tangent = _tangent(kappa, mu, N, m, ratio, np.zeros_like(N))
        sphere = (kappa * (strain[:, :3].sum(axis=1) - swell))[:, None] * ONE
        return sphere + trial - 2 * (mu * dp)[:, None] * N, tangent, new


@dataclass(frozen=True, eq=False)
class Viscoplastic(Elastic):
    """dp/dt = < (J(s - X) - R0) / K >^n, X = 2/3 C a, d a = d eps_v - D a dp (Armstrong-Frederick); state (p, eps_v, a).

    Backward Euler over the increment. With s_tr = 2 mu (dev eps - eps_v), X_n = 2/3 C a_n, g = 1 / (1 + D dp), xi = s_tr - g X_n:
        r(dp) = J(xi) - dp (3 mu + C g) - R0 - K (dp/dt)^(1/n) = 0,
    solved in y = (dp/dt)^(1/n), in which r is nearly concave. Every coefficient is a number or a table in T.
    Reference: Lemaitre & Chaboche, Mechanics of Solid Materials (1990).
    """

    K: Any = 300.0
    n: Any = 30.0
    C: Any = 0.0
    D: Any = 0.0
    R0: Any = 0.0
    width: int = 13

    def __post_init__(self) -> None:
        super().__post_init__()
        for name, least in (("K", 1e-300), ("n", 1.0), ("C", 0.0), ("D", 0.0), ("R0", 0.0)):
            checked_table(name, getattr(self, name), least)

    def __call__(self, strain: np.ndarray, T: np.ndarray, state: np.ndarray, dt: float) -> Answer:
        kappa, mu, swell = self.moduli(T)
        C, D = coefficient(self.C, T), coefficient(self.D, T)
        trial = 2 * mu[:, None] * (strain @ DEV - state[:, 1:7])
        X = 2 / 3 * C[:, None] * state[:, 7:13]
        on = np.flatnonzero(equivalent(trial - X) > coefficient(self.R0, T))
        N, m, Z, ratio, dp, g = (
            np.zeros_like(trial),
            np.zeros_like(trial),
            np.zeros_like(trial),
            0 * mu,
            0 * mu,
            0 * mu + 1,
        )
        if on.size:
            dp[on], g[on], N[on], m[on], Z[on], ratio[on] = self._flow(
                trial[on], X[on], mu[on], C[on], D[on], T[on], dt
            )
        flow = dp[:, None] * N
        back = np.where((dp > 0)[:, None], g[:, None] * (state[:, 7:13] + flow), state[:, 7:13])
        new = np.concatenate([state[:, :1] + dp[:, None], state[:, 1:7] + flow, back], axis=1)
        sphere = (kappa * (strain[:, :3].sum(axis=1) - swell))[:, None] * ONE
        return sphere + trial - 2 * mu[:, None] * flow, _tangent(kappa, mu, N, m, ratio, Z), new

    def _flow(
        self,
        trial: np.ndarray,
        X: np.ndarray,
        mu: np.ndarray,
        C: np.ndarray,
        D: np.ndarray,
        T: np.ndarray,
        dt: float,
    ) -> tuple[np.ndarray, ...]:
        """dp, g, N, m, Z, 1.5 dp / J(xi) at yielding points: Newton in y, kept inside a bracket."""
        K, n, R0 = coefficient(self.K, T), coefficient(self.n, T), coefficient(self.R0, T)
        excess = np.maximum(equivalent(trial - X), equivalent(trial)) - R0
        high = np.minimum(excess / K, (excess / (3 * mu * dt)) ** (1 / n))
        low, y = np.zeros_like(high), high
        for _ in range(60):
            dp = dt * y**n
            g = 1 / (1 + D * dp)
            xi = trial - g[:, None] * X
            J = equivalent(xi)
            r = J - dp * (3 * mu + C * g) - R0 - K * y
            low, high = np.where(r > 0, y, low), np.where(r > 0, high, y)
            N = 1.5 * xi / J[:, None]
            rate = n * dt * y ** (n - 1)
            slope = rate * (3 * mu + C * g**2 - D * g**2 * np.sum(N * X, axis=1)) + K
            fresh = y + r / slope
            fresh = np.where((fresh > low) & (fresh <= high), fresh, 0.5 * (low + high))
            done = np.abs(r) <= 1e-14 * (J + R0 + K * y)
            if done.all() or (np.abs(fresh - y) <= 2e-16 * y).all():
                break
            y = np.where(done, y, fresh)
        else:
            raise NotConverged(
                "the flow rule found no plastic increment in 60 iterations; check the tables, or halve the step"
            )
        m = (2 * mu * rate / slope)[:, None] * N
        return dp, g, N, m, (D * g**2)[:, None] * X, 1.5 * dp / J


def _tangent(
    kappa: np.ndarray,
    mu: np.ndarray,
    N: np.ndarray,
    m: np.ndarray,
    ratio: np.ndarray,
    Z: np.ndarray,
) -> np.ndarray:
    """kappa I(x)I + 2 mu I_dev - 2 mu { N(x)m + ratio [ 2 mu I_dev + Z(x)m - 2/3 N (x) (2 mu N + (N:Z) m) ] }, ratio = 1.5 dp / J."""
    two: np.ndarray = 2 * mu[:, None]
    inner = two * N + np.sum(N * Z, axis=1, keepdims=True) * m
    along, across = two * (m - 2 / 3 * ratio[:, None] * inner), two * ratio[:, None] * m
    made: np.ndarray = (
        kappa[:, None, None] * SPHERE + (2 * mu * (1 - 2 * mu * ratio))[:, None, None] * DEV
    )
    made -= N[:, :, None] * along[:, None, :]
    made -= Z[:, :, None] * across[:, None, :]
    return made


@dataclass(frozen=True, eq=False)
class Regions:
    """Several laws, one per point: `which` (g,) numbers the law of each point; states are as wide as the widest law's."""

    laws: tuple[Elastic, ...]
    which: np.ndarray

    @property
    def width(self) -> int:
        """Columns of a state."""
        return max(law.width for law in self.laws)

    def restrict(self, points: np.ndarray | slice) -> Regions:
        """The same laws at few points."""
        return replace(self, which=self.which[points])

    def __call__(self, strain: np.ndarray, T: np.ndarray, state: np.ndarray, dt: float) -> Answer:
        stress, tangent, new = np.empty_like(strain), np.empty((*strain.shape, 6)), state.copy()
        for k, law in enumerate(self.laws):
            here = self.which == k
            if here.all():
                stress, tangent, new[:, : law.width] = law(strain, T, state[:, : law.width], dt)
            elif here.any():
                width = law.width
                stress[here], tangent[here], new[here, :width] = law(
                    strain[here], T[here], state[here, :width], dt
                )
        return stress, tangent, new


LAWS = {
    f"{kind.__module__}:{kind.__name__}": kind for kind in (Elastic, Plastic, Viscoplastic, Regions)
}  # for loading models
