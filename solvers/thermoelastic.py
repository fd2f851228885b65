"""Linear thermoelasticity: -div sigma = rho omega^2 r, u = 0 where fixed.

sigma = lambda tr(eps) I + 2 mu eps - beta (T - T_ref) I.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.sparse as sp

from rom.affine import Affine, Monomials
from rom.certified import MinTheta
from rom.errors import BadInput, NotConverged
from rom.mesh import Mesh
from rom.problem import Problem
from rom.space import Field, Space
from solvers.elements import (
    _gradients,
    dofs,
    mass,
    matrix,
    nodes,
    patch,
    patches,
    vector,
    volume_kinds,
)
from solvers.linear import rigid_modes, solver


@dataclass(frozen=True, eq=False)
class Material:
    """E [Pa], nu [1], alpha [1/K], rho [kg/m3]; `plane` strain or stress in the plane."""

    E: float
    nu: float
    alpha: float = 0.0
    rho: float = 0.0
    plane: str = "strain"

    def __post_init__(self) -> None:
        if not (
            self.E > 0
            and -1 < self.nu < 0.5
            and self.rho >= 0
            and self.plane in ("strain", "stress")
        ):
            raise BadInput(
                f"E = {self.E:g} > 0, -1 < nu = {self.nu:g} < 0.5, rho = {self.rho:g} >= 0, plane "
                "'strain' or 'stress'"
            )

    def moduli(self, d: int) -> tuple[float, float, float]:
        """lambda, mu, beta [Pa, Pa, Pa/K] of a body in d dimensions."""
        mu, lam = (
            self.E / (2 * (1 + self.nu)),
            self.E * self.nu / ((1 + self.nu) * (1 - 2 * self.nu)),
        )
        if d == 2 and self.plane == "stress":
            lam = 2 * lam * mu / (lam + 2 * mu)
            return lam, mu, (2 * lam + 2 * mu) * self.alpha
        return lam, mu, (3 * lam + 2 * mu) * self.alpha


def elasticity(mesh: Mesh, material: Material) -> sp.csr_array:
    """The stiffness (d n, d n) [N/m], node-major.

    K_{ia,jb} = int lambda d_a N_i d_b N_j + mu (d_b N_i d_a N_j + delta_ab grad N_i . grad N_j).
    """
    (n, d), (lam, mu, _) = mesh.points.shape, material.moduli(mesh.points.shape[1])
    K = sp.csr_array((n * d, n * d))
    for p in patches(mesh, flat=True, chunk=40_000):
        G = _gradients(p)
        H = np.einsum("eqia,eqjb,eq->eijab", G, G, p.w, optimize=True)
        inner = np.trace(H, axis1=3, axis2=4)[..., None, None] * np.eye(d)
        local = lam * H + mu * (np.swapaxes(H, 3, 4) + inner)
        local = local.transpose(0, 1, 3, 2, 4).reshape(len(G), G.shape[2] * d, -1)
        rows = dofs(p.cells, d)
        K = K + matrix(local, rows, rows, K.shape)
    return K


def coupling(mesh: Mesh, material: Material) -> sp.csr_array:
    """B_{ia,j} = int beta d_a N_i N_j, (d n, n) [N/K].

    B (T - T_ref) is the load of a nodal temperature.
    """
    (n, d), beta = mesh.points.shape, material.moduli(mesh.points.shape[1])[2]
    B = sp.csr_array((n * d, n))
    for p in patches(mesh, chunk=40_000):
        local = beta * np.einsum("eqia,qj,eq->eiaj", _gradients(p), p.N, p.w, optimize=True)
        B = B + matrix(
            local.reshape(len(p.cells), -1, p.N.shape[1]), dofs(p.cells, d), p.cells, B.shape
        )
    return B


def centrifugal(
    mesh: Mesh, material: Material, axis: Any = (1.0, 0.0, 0.0), origin: Any = 0.0
) -> np.ndarray:
    """c_{ia} = int rho r_a N_i, (d n,) [kg m]: the load omega^2 c.

    r is the distance vector from the axis through `origin`. In the plane the axis stands normal to
    it.
    """
    n, d = mesh.points.shape
    e = np.zeros(d) if d == 2 else np.asarray(axis, dtype=float) / np.linalg.norm(axis)
    c = np.zeros(n * d)
    for p in patches(mesh):
        r = p.x - np.asarray(origin, dtype=float)
        r = r - (r @ e)[..., None] * e
        c += vector(
            material.rho * np.einsum("eqa,qi,eq->eia", r, p.N, p.w, optimize=True),
            dofs(p.cells, d),
            n * d,
        )
    return c


def traction(mesh: Mesh, surface: str, force: Any) -> np.ndarray:
    """t_{ia} = int_s g_a N_i, (d n,) [N], of a uniform surface force g (d,) [Pa]."""
    n, d = mesh.points.shape
    g = np.asarray(force, dtype=float)
    t = np.zeros((n, d))
    for p in patches(mesh, surface):
        np.add.at(t, p.cells, (p.w @ p.N)[:, :, None] * g)
    return t.ravel()


def fixed_dofs(mesh: Mesh, surface: str) -> np.ndarray:
    """All dofs of the nodes of a surface region or node set."""
    d = mesh.points.shape[1]
    if surface in mesh.nodes:
        numbers = np.unique(mesh.nodes[surface])
    else:
        numbers = np.unique(
            np.concatenate(
                [mesh.cells[kind][cells].ravel() for kind, cells in mesh.region(surface).items()]
            )
        )
    return np.asarray((numbers[:, None] * d + np.arange(d)).ravel())


def clamp(K: sp.csr_array, fixed: np.ndarray) -> sp.csr_array:
    """K with rows and columns of fixed dofs replaced by those of its mean diagonal.

    Symmetric, definite, u = 0 there.
    """
    keep = np.ones(K.shape[0])
    keep[fixed] = 0.0
    D = sp.diags_array(keep)
    return sp.csr_array(D @ K @ D + sp.diags_array((1 - keep) * K.diagonal().mean()))


def stress(mesh: Mesh, material: Material, u: np.ndarray, rise: np.ndarray) -> np.ndarray:
    """sigma (n, 3, 3) [Pa] at nodes for u (d n,) and T - T_ref (n,).

    Cell values there, averaged with the cells' volumes.
    """
    (n, d), (lam, mu, beta) = mesh.points.shape, material.moduli(mesh.points.shape[1])
    total, weight = np.zeros((n, 3, 3)), np.zeros(n)
    for kind in volume_kinds(mesh):
        X = nodes(kind)
        for start in range(0, len(mesh.cells[kind]), 40_000):
            p = patch(
                mesh.points,
                kind,
                mesh.cells[kind][start : start + 40_000],
                X,
                np.full(len(X), 1.0 / len(X)),
            )
            gradient = np.einsum(
                "eia,eqib->eqab", u.reshape(n, d)[p.cells], _gradients(p), optimize=True
            )
            eps = 0.5 * (gradient + np.swapaxes(gradient, 2, 3))
            pressure = lam * np.trace(eps, axis1=2, axis2=3) - beta * rise[p.cells]
            sigma = np.zeros((*p.cells.shape, 3, 3))
            sigma[..., :d, :d] = 2 * mu * eps + pressure[..., None, None] * np.eye(d)
            if d == 2 and material.plane == "strain":
                sigma[..., 2, 2] = pressure
            volume = np.repeat(p.w.sum(axis=1)[:, None], len(X), axis=1)
            np.add.at(total, p.cells, sigma * volume[..., None, None])
            np.add.at(weight, p.cells, volume)
    return total / weight[:, None, None]


def von_mises(sigma: np.ndarray) -> np.ndarray:
    """sqrt(3/2 s : s), s the deviator of sigma (..., 3, 3)."""
    s = sigma - np.trace(sigma, axis1=-2, axis2=-1)[..., None, None] * np.eye(3) / 3
    return np.asarray(np.sqrt(1.5 * np.sum(s * s, axis=(-2, -1))))


@dataclass(frozen=True, eq=False)
class OneWay:
    """mu (p,) -> (T, u): A_T(mu) T = f_T(mu), then K u = B T + omega^2 c - T_ref B 1.

    K is set up once.
    """

    thermal: Callable[[np.ndarray], np.ndarray]
    stiff: Callable[[np.ndarray], np.ndarray]
    B: Any
    loads: Affine

    def __call__(self, mu: np.ndarray) -> np.ndarray:
        T = self.thermal(mu)
        return np.concatenate([T, self.stiff(self.B @ T + self.loads(mu))])


@dataclass(frozen=True, eq=False)
class BlockRiesz:
    """(F_T, F_u) -> (X_T^{-1} F_T, K^{-1} F_u / delta^2)."""

    thermal: Callable[[np.ndarray], np.ndarray]
    stiff: Callable[[np.ndarray], np.ndarray]
    n: int
    delta: float

    def __call__(self, F: np.ndarray) -> np.ndarray:
        parts = [
            _columns(self.thermal, F[: self.n]),
            _columns(self.stiff, F[self.n :]) / self.delta**2,
        ]
        return np.concatenate(parts)


def _columns(solve: Callable[[np.ndarray], np.ndarray], F: np.ndarray) -> np.ndarray:
    """Solutions of the columns that are not zero."""
    if F.ndim == 1:
        return solve(F)
    U, used = np.zeros_like(F), np.any(F != 0, axis=0)
    if used.any():
        U[:, used] = solve(F[:, used])
    return U


def coupling_bound(mesh: Mesh, material: Material, thermal: Problem) -> float:
    """gamma >= sup_T |B T|_{K^{-1}} / |T|_X.

    gamma^2 = beta^2 / (lambda + 2 mu / d) max_T T^t M T / T^t X T, for |int beta T div w| <= beta
    |T| |div w| and the energy of w is at least (lambda + 2 mu / d) |div w|^2: rigorous on every
    mesh, and sharp for a body that is free to expand. The eigenvalue is computed to 1e-8 and raised
    by 1e-6.
    """
    from scipy.sparse.linalg import ArpackNoConvergence, LinearOperator, eigsh

    d = mesh.points.shape[1]
    lam, mu, beta = material.moduli(d)
    M, X = mass(mesh), thermal.space.product  # type: ignore[union-attr]
    inverse = LinearOperator(X.shape, matvec=solver(X))
    try:
        top = eigsh(
            M, k=1, M=X, Minv=inverse, v0=np.ones(X.shape[0]), tol=1e-8, return_eigenvectors=False
        )[0]
    except ArpackNoConvergence as error:
        raise NotConverged(
            f"the coupling constant did not converge ({error}); check the mesh for slivers"
        ) from error
    return float(beta * np.sqrt(1.000001 * top / (lam + 2 * mu / d)))


def thermoelastic(
    thermal: Problem,
    material: Material,
    fixed: str,
    speed: str | float = 0.0,
    axis: Any = (1.0, 0.0, 0.0),
    origin: Any = 0.0,
    T_ref: float = 293.15,
    outputs: Any = None,
) -> Problem:
    """The state (T, u) of heat and displacement in one equation, affine in mu.

    a_T(T, v; mu) + delta^2 (k(u, w) - b(T, w)) = f_T(v; mu) + delta^2 (omega^2 c - T_ref B 1)(w)

    thermal : a stationary heat problem; fixed : surface region or node set with u = 0; speed :
        omega [rad/s] or its parameter The norm is |T|_X^2 + delta^2 |u|_K^2 with delta = sqrt(a) /
        gamma, gamma from `coupling_bound` and a = min(1, least min-theta over the box). Then
        coercivity is at least min(1, min-theta(mu)) / 2, for |delta^2 b(T, u)| <= sqrt(a) |T|_X
        delta |u|_K; hence |u - u_r|_K <= bound / delta. Raises BadInput for names that do not
        exist.
    """
    mesh, heat_A, heat_f, box = thermal.mesh, thermal.A, thermal.f, thermal.box
    if (
        mesh is None
        or heat_A is None
        or heat_f is None
        or thermal.space is None
        or box is None
        or not isinstance(thermal.stability, MinTheta)
    ):
        raise BadInput("the thermal problem must be a stationary one made by heat()")
    if isinstance(speed, str) and speed not in box.names:
        raise BadInput(f"no parameter {speed!r} in the box; it has: {', '.join(box.names)}")
    n, d = mesh.points.shape
    where = fixed_dofs(mesh, fixed)
    keep = np.ones(n * d)
    keep[where] = 0.0
    K = clamp(elasticity(mesh, material), where)
    B = sp.csr_array(sp.diags_array(keep) @ coupling(mesh, material))
    c = keep * centrifugal(mesh, material, axis, origin)
    modes = rigid_modes(mesh.points) * keep[:, None]
    stiff = solver(K, modes)
    least = _least(heat_A, thermal.stability, box)
    gamma = coupling_bound(mesh, material, thermal)
    delta = np.sqrt(least) / gamma if gamma > 0 else 1.0
    spin = _spin(box, speed)
    rest = Monomials(np.array([1.0]), np.zeros((1, box.p)))
    loads = Affine(_joined(spin, rest), [c, -T_ref * (B @ np.ones(n))])
    A = Affine(
        _joined(heat_A.theta, rest),
        [
            _block(term, sp.csr_array((n * d, n)), sp.csr_array((n * d, n * d)))
            for term in heat_A.terms
        ]
        + [_block(sp.csr_array((n, n)), -(delta**2) * B, delta**2 * K)],
    )
    zero = np.zeros(n)
    f = Affine(
        _joined(_joined(heat_f.theta, spin), rest),
        [np.concatenate([term, np.zeros(n * d)]) for term in heat_f.terms]
        + [np.concatenate([zero, delta**2 * term]) for term in loads.terms],
    )
    X = thermal.space.product
    product = sp.csr_array(sp.block_diag([X, delta**2 * K]))
    fields = (
        Field("temperature", "K", np.arange(n)),
        Field("displacement", "m", n + np.arange(n * d), d),
    )
    space = Space(
        product, np.arange(n * (d + 1)), None, fields, BlockRiesz(solver(X), stiff, n, delta)
    )
    stability = MinTheta(A.theta, thermal.stability.mu_ref, 0.5)
    return Problem(
        OneWay(thermal.solve, stiff, B, loads),
        box,
        space,
        mesh,
        A,
        f,
        stability=stability,
        outputs=outputs,
    )


def _block(TT: Any, uT: Any, uu: Any) -> sp.csr_array:
    return sp.csr_array(sp.block_array([[TT, sp.csr_array((TT.shape[0], uu.shape[0]))], [uT, uu]]))


def _spin(box: Any, speed: str | float) -> Monomials:
    """omega^2."""
    if isinstance(speed, str):
        return Monomials(
            np.array([1.0]), 2.0 * np.array([[name == speed for name in box.names]], dtype=float)
        )
    return Monomials(np.array([float(speed) ** 2]), np.zeros((1, box.p)))


def _joined(a: Any, b: Any) -> Monomials:
    return Monomials(
        np.concatenate([a.coefficients, b.coefficients]), np.concatenate([a.powers, b.powers])
    )


def _least(A: Affine, stability: MinTheta, box: Any) -> float:
    """min(1, min over the box of min-theta).

    Monomials are monotone in each parameter, so theta_q is least at a corner.
    """
    powers = A.theta.powers  # type: ignore[attr-defined]
    corners = np.where(powers > 0, box.lower, box.upper)
    lowest = A.theta.coefficients * np.prod(corners**powers, axis=1)  # type: ignore[attr-defined]
    return float(min(1.0, np.min(lowest / A.theta(stability.mu_ref))))
