"""Optimal mappings: bijections under which all fields need few modes."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from rom.arrays import POINTS, VECTOR, array_of, gate
from rom.errors import BadInput
from rom.mesh import Mesh
from rom.shapes.ascent import Linear, ascend
from rom.shapes.energy import Energy, energy, smooth_fields
from rom.shapes.manifolds import onto
from rom.shapes.preconditioner import HELMHOLTZ, SLIP, mapping_preconditioner
from rom.shapes.simplex import lumped_mass, simplices

REACH = 0.02  # largest entry of the first step in diameters
STAGES = ((1, 0.1), (2, 0.03), (2, 0.01), (2, 0.0))
RIDGE = 1e-6  # on the covariance over samples, of its mean variance
LEAST_DET = 0.02  # determinants, at least, where low-rank mappings start
TINY = 1e-150  # smaller numbers have squares that vanish
SHRINK = 0.9
MAX_HALVINGS = 12
log = logging.getLogger("rom")


@dataclass(frozen=True, eq=False)
class Mappings:
    """psi_i = id + w_i on the nodes of the reference: w (m, N, d), v_i = u_i o psi_i.

    energy : J_r after every accepted step; smallest : min det grad psi_i per sample (m,)
    """

    w: np.ndarray
    energy: np.ndarray
    smallest: np.ndarray


@dataclass(frozen=True, eq=False)
class Metric:
    """Metrics G^{-1} over samples and K over space, that precondition the ascent.

    covariance : G (m, m); solve : g (m, N, d) -> K^{-1} g
    """

    covariance: np.ndarray
    solve: Linear

    def precondition(self, g: np.ndarray) -> np.ndarray:
        """G K^{-1} g, (m, N, d)."""
        return np.tensordot(self.covariance, self.solve(g), 1)


@gate(reference=Mesh, covariance=POINTS, weights=VECTOR, start=array_of("(m, N, d)"))
def optimal_mappings(
    reference: Mesh,
    fields: np.ndarray,
    *,
    stages: Sequence[tuple[int, float]] = STAGES,
    covariance: np.ndarray | None = None,
    length: float = 0.05,
    kind: str = HELMHOLTZ,
    boundary: str = SLIP,
    weights: np.ndarray | None = None,
    barrier: float = 2.0,
    rho: float = 1e-2,
    steps: int = 60,
    start: np.ndarray | None = None,
    rank: int | None = None,
    restarts: int = 0,
) -> Mappings:
    """argmax over bijections psi_i of J_r, all samples at once, continued in r.

    fields : (m, N) or (m, N, c) at the nodes of the reference
    On curves and surfaces psi_i(x) is the nearest point to x + w_i(x), and w is told so
    stages : (r, width of the smoothing in diameters) one after the other
    covariance : (m, m) over the samples, such as a kernel of their parameters: mappings are then
        regular in them
    length : of the Helmholtz or elasticity preconditioner, in diameters
    boundary : "slip" (normal component zero, corners fixed) or "fixed"
    weights : (c,) scales of the fields, by default of equal energy
    barrier, rho : price of small determinants and of roughness
    steps : at most so many quasi-Newton steps a stage
    start : w of a coarser run
    rank : at last w_i = w_0 + sum_{k<=rank} c_ik phi_k, phi and c optimised together
    restarts : so often the last stage starts again from the identity on the fields mapped so far,
        and the mappings are composed
    Raises BadInput for shapes that do not fit.
    Reference: Kabalan, Casenave, Bordeu, Ehrlacher, Ern (2025).
    """
    cells, x = simplices(reference), reference.points
    u = _check_fields(fields, x)
    if not stages or (rank is not None and rank < 1):
        raise BadInput(
            f"{len(stages)} stages and rank {rank}; give one stage or more, and a rank of 1 or more"
        )
    m = len(u)
    size = float(np.ptp(x, axis=0).max())
    if weights is None:
        weights = _equal_energy(u, lumped_mass(x, cells))
    if not weights.min() > TINY:
        raise BadInput("weights must be positive, and their squares too")
    if weights.shape != (u.shape[2],):
        raise BadInput(
            f"weights has shape {weights.shape}; give one per component: ({u.shape[2]},)"
        )
    G = np.eye(m) if covariance is None else covariance
    if G.shape != (m, m):
        raise BadInput(f"covariance has shape {G.shape}; give one of the samples: ({m}, {m})")
    if not np.linalg.eigvalsh(G + RIDGE * np.abs(np.trace(G)) * np.eye(m)).min() > 0:
        raise BadInput("covariance is not positive; give a kernel matrix of the samples")
    G = G + RIDGE * np.trace(G) / m * np.eye(m)
    K, solve = mapping_preconditioner(x, cells, length * size, kind, boundary)
    metric = Metric(G, solve)
    price = {"rho": rho, "stiff": K, "precision": np.linalg.inv(G)}
    sharp = energy(x, cells, u, weights, barrier=barrier, **price)
    w = np.zeros((m, *x.shape)) if start is None else start.copy()
    if w.shape != (m, *x.shape):
        raise BadInput(f"start has shape {w.shape}; give {(m, *x.shape)}")
    history: list[float] = []
    for r, width in stages:
        blurred = replace(sharp, u=smooth_fields(x, cells, u, width * size))
        objective = partial(blurred, r=r)
        w, J = ascend(objective, w, metric.precondition, max_steps=steps, reach=REACH * size)
        history += J
        missing = 1 - J[-1]
        log.info("optimal mappings, r = %d: energy missing %.3e after %d steps", r, missing, len(J))
    for _ in range(restarts):
        w, J = _restart(blurred, w, r, metric, steps)
        history += J
    if rank is not None:
        w, J = low_rank(blurred, w, metric, r=r, rank=min(rank, m - 1), max_steps=steps)
        history += J
        missing = 1 - J[-1]
        log.info("mappings of rank %d: energy missing %.3e after %d steps", rank, missing, len(J))
    return _on_domain(sharp, w, history)


def _on_domain(e: Energy, w: np.ndarray, history: list[float]) -> Mappings:
    """The mappings, on their curve or surface, with what is known of them."""
    smallest = e.determinants(w).min(axis=1)
    images = np.array([onto(e.at, e.points + shift) for shift in w])
    return Mappings(images - e.points, np.array(history), smallest)


def _check_fields(fields: np.ndarray, x: np.ndarray) -> np.ndarray:
    """Fields as (m, N, c). Raises BadInput where they do not fit the reference."""
    u = array_of("(m, N)", "(m, N, c)")(fields, "fields")
    if u.ndim == 2:
        u = u[:, :, None]
    n = len(x)
    if not np.linalg.norm(u) > TINY:
        raise BadInput("all fields are zero; there is nothing to align")
    if u.shape[1] != n:
        raise BadInput(
            f"fields have shape {u.shape}, the reference has {n} nodes; give (m, {n}, c)"
        )
    return np.asarray(u)


def _equal_energy(u: np.ndarray, area: np.ndarray) -> np.ndarray:
    """Weights (c,) under which all components of u (m, N, c) have the same energy."""
    square = np.einsum("mnc,n->c", u**2, area)
    weights: np.ndarray = 1 / np.sqrt(np.maximum(square, 1e-300))
    return weights


def low_rank(
    e: Energy, w: np.ndarray, metric: Metric, *, r: int, rank: int, max_steps: int
) -> tuple[np.ndarray, list[float]]:
    """(w_0 + c phi, J per step) from the leading modes of w (m, N, d).

    w_0 is their mean; c (m, rank) and phi (rank, N, d) ascend together, preconditioned by
    phi <- (c^T G^{-1} c)^{-1} K^{-1} dphi, c <- G dc (phi K phi^T)^{-1}.
    They start shrunk towards the identity where truncation folds.
    """
    mean, phi, c, largest = _leading_modes(e, w, rank)
    over_samples = np.linalg.inv(c.T @ e.precision @ c)
    ridge = 1e-12 * largest * np.eye(rank)
    over_space = np.linalg.inv(phi @ (e.stiff @ phi.T) + ridge)

    def split(p: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Modes phi (rank, N d) and coefficients c (m, rank) of one vector."""
        return p[: phi.size].reshape(phi.shape), p[phi.size :].reshape(c.shape)

    def displacement(modes: np.ndarray, a: np.ndarray) -> np.ndarray:
        """w_0 + c phi, (m, N, d)."""
        return np.asarray(mean + (a @ modes).reshape(w.shape))

    def objective(p: np.ndarray) -> tuple[float, np.ndarray, float]:
        """The energy's value, derivative in p, and J."""
        modes, a = split(p)
        value, force, J = e(displacement(modes, a), r)
        g = force.reshape(len(w), -1)
        return value, _join(a.T @ g, g @ modes.T), J

    def precondition(p: np.ndarray) -> np.ndarray:
        """Both metrics, applied to modes and coefficients."""
        modes, a = split(p)
        spread = (over_samples @ modes).reshape(rank, *w.shape[1:])
        smooth = metric.solve(spread)
        return _join(smooth, metric.covariance @ a @ over_space)

    reach = REACH * float(np.ptp(e.points))
    p, J = ascend(objective, _join(phi, c), precondition, max_steps=max_steps, reach=reach)
    return displacement(*split(p)), J


def _leading_modes(
    e: Energy, w: np.ndarray, rank: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray, float]:
    """Mean (N, d), modes (rank, N d), coefficients (m, rank), largest eigenvalue."""
    m = len(w)
    mean = w.mean(axis=0)
    flat = (w - mean).reshape(m, -1)
    lam, Q = np.linalg.eigh(flat @ (e.stiff @ flat.T))
    leading = Q[:, ::-1][:, :rank]
    c = leading * np.sqrt(m)
    phi = c.T @ flat / m
    while e.determinants(mean + (c @ phi).reshape(w.shape)).min() <= LEAST_DET:
        mean = SHRINK * mean
        phi = SHRINK * phi
    return mean, phi, c, lam[-1]


def _join(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Two arrays as one vector."""
    return np.concatenate([a.ravel(), b.ravel()])


def _restart(
    e: Energy, w: np.ndarray, r: int, metric: Metric, max_steps: int
) -> tuple[np.ndarray, list[float]]:
    """psi o (id + s), s the ascent from the identity on u o psi, and J.

    The step s is halved until determinants stay positive and J rises.
    """
    v, _ = e.carry(w)
    objective = partial(replace(e, u=v), r=r)
    reach = REACH * float(np.ptp(e.points))
    still = np.zeros_like(w)
    s, _ = ascend(objective, still, metric.precondition, max_steps=max_steps, reach=reach)
    before = e.share_of_modes(w, r)
    for _ in range(MAX_HALVINGS):
        trial = compose(e, w, s)
        if e.determinants(trial).min() > 0 and e.share_of_modes(trial, r) >= before:
            return trial, [e.share_of_modes(trial, r)]
        s = 0.5 * s
    return w, [before]


def compose(e: Energy, w: np.ndarray, s: np.ndarray) -> np.ndarray:
    """psi o (id + s) - id = s + w(x + s) at the nodes, psi = id + w, (m, N, d)."""
    shifted, _ = replace(e, u=w).carry(s)
    return np.asarray(s + shifted)
