"""Heat conduction: rho c dT/dt - div(k grad T) = q, affine in mu.

On the surfaces k dT/dn = h (T_film - T) + g.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from rom.affine import Affine, Monomials
from rom.certified import MinTheta
from rom.errors import BadInput
from rom.mesh import Mesh
from rom.parameters import Box
from rom.problem import Problem
from rom.space import Field, Space
from solvers.elements import DIMENSION, factor, load, mass, patches, stiffness
from solvers.linear import solver

Coefficient = float | str
Profile = Callable[[np.ndarray], np.ndarray]


@dataclass(frozen=True, eq=False)
class Film:
    """k dT/dn = h w(x) (T p(x) - T), h [W/m2/K] and T [K] numbers or parameters.

    A parameter is given by its name.
    weight, profile : functions of points x (..., d) [m] -> (...), or None for 1
    """

    h: Coefficient
    T: Coefficient
    weight: Profile | None = None
    profile: Profile | None = None


@dataclass(frozen=True, eq=False)
class Stationary:
    """mu (p,) -> u with A(mu) u = f(mu)."""

    A: Affine
    f: Affine
    near_nullspace: np.ndarray | None = None

    def __call__(self, mu: np.ndarray) -> np.ndarray:
        return solver(self.A(mu), self.near_nullspace)(self.f(mu))


@dataclass(frozen=True, eq=False)
class Transient:
    """M (u_j - u_{j-1}) / dt + A (theta u_j + (1 - theta) u_{j-1}) = f.

    mu (p,) -> u (n, n_t), u_0 = initial.
    """

    M: Any
    A: Affine
    f: Affine
    times: np.ndarray
    initial: np.ndarray
    theta: float = 1.0

    def __call__(self, mu: np.ndarray) -> np.ndarray:
        A, f, u = self.A(mu), self.f(mu), [self.initial]
        steps: dict[float, Callable[[np.ndarray], np.ndarray]] = {}
        for dt in np.diff(self.times):
            key = float(f"{dt:.12e}")
            if key not in steps:
                steps[key] = solver(self.M / dt + self.theta * A)
            u.append(u[-1] + steps[key](f - A @ u[-1]))
        return np.column_stack(u)


@dataclass(frozen=True, eq=False)
class Flows:
    """int_s h (T_film - T) for each film s, and the extremes of T [K].

    Heat into the body [W], per metre of depth in the plane.
    """

    films: tuple[str, ...]
    A: Affine
    f: Affine
    first: int

    def __call__(self, u: np.ndarray, mu: np.ndarray) -> dict[str, float]:
        a, b = self.A.theta(mu), self.f.theta(mu)
        answer = {
            "highest temperature [K]": float(u.max()),
            "lowest temperature [K]": float(u.min()),
        }
        for i, name in enumerate(self.films):
            loss = a[self.first + i] * (self.A.terms[self.first + i] @ u)
            answer[f"heat through {name} [W]"] = float(np.sum(b[i] * self.f.terms[i] - loss))
        return answer


def heat(
    mesh: Mesh,
    box: Box,
    conductivity: Coefficient | dict[str, Coefficient],
    films: dict[str, Film],
    source: Coefficient | dict[str, Coefficient] | None = None,
    fluxes: dict[str, Coefficient] | None = None,
    capacity: Coefficient | dict[str, Coefficient] | None = None,
    times: np.ndarray | None = None,
    initial: float = 293.15,
    theta: float = 1.0,
    mu_ref: np.ndarray | None = None,
) -> Problem:
    """A(mu) T = f(mu), and M dT/dt + A(mu) T = f(mu) where `times` [s] are given.

    T [K] at the nodes of `mesh`. conductivity [W/m/K], source [W/m3], capacity rho c [J/m3/K] : one
    value, or one per region, which must cover the body
    films : surface region -> Film; fluxes : surface region -> heat into the body [W/m2]; initial :
        uniform T at times[0] [K] A coefficient is a number or the name of a parameter of `box`; the
        product of the space is A(mu_ref), at the middle of the box unless given; the coercivity
        bound min_q theta_q(mu) / theta_q(mu_ref) is exact in that norm. Raises BadInput for names
        that neither mesh nor box has, and bodies without a film. Reference: Patera & Rozza (2007).
    """
    _covering(mesh, conductivity)
    if not films:
        raise BadInput(
            "a body without a film has no stationary temperature; give at least one film"
        )
    for name in (*films, *(fluxes or {})):
        _surface(mesh, name, films[name].weight if name in films else None)
    middle = (
        box.from_unit(np.full(box.p, 0.5))
        if mu_ref is None
        else box.check(np.asarray(mu_ref, dtype=float))
    )
    regions = _regions(conductivity)
    A_terms = [stiffness(mesh, name) for name in regions] + [
        mass(mesh, s, film.weight) for s, film in films.items()
    ]
    A_coefficients: list[tuple[Coefficient, ...]] = [
        (k,) for k in [*regions.values(), *(film.h for film in films.values())]
    ]
    A = Affine(_monomials(box, A_coefficients), A_terms)
    f_terms = [load(mesh, s, _times(film.weight, film.profile)) for s, film in films.items()]
    f_coefficients: list[tuple[Coefficient, ...]] = [(film.h, film.T) for film in films.values()]
    for part in (_regions(source), fluxes or {}):
        f_terms += [load(mesh, name) for name in part]
        f_coefficients += [(c,) for c in part.values()]
    f = Affine(_monomials(box, f_coefficients), f_terms)
    if not (np.asarray(A.theta(np.stack([box.lower, box.upper]))) > 0).all():
        raise BadInput("conductivities and film coefficients must be positive over the whole box")
    space = Space(
        A(middle),
        np.arange(len(mesh.points)),
        fields=(Field("temperature", "K", np.arange(len(mesh.points))),),
    )
    M = None if capacity is None else _mass(mesh, capacity)
    stability = MinTheta(A.theta, middle, 1.0)
    if times is None:
        return Problem(
            Stationary(A, f),
            box,
            space,
            mesh,
            A,
            f,
            M,
            stability,
            outputs=Flows(tuple(films), A, f, len(regions)),
        )
    if M is None:
        raise BadInput("times are given but no capacity; give rho c [J/m3/K]")
    times, start = np.asarray(times, dtype=float), np.full(len(mesh.points), float(initial))
    solve = Transient(M, A, f, times, start, theta)
    return Problem(solve, box, space, mesh, A, f, M, stability, times, initial=start)


def _regions(value: Any) -> dict[str | None, Coefficient]:
    return {} if value is None else dict(value) if isinstance(value, dict) else {None: value}


def _mass(mesh: Mesh, capacity: Any) -> Any:
    """sum over regions of rho c int N_i N_j.

    Numbers only, for M is the same at every parameter.
    """
    _covering(mesh, capacity)
    if any(isinstance(c, str) for c in _regions(capacity).values()):
        raise BadInput("a capacity that is a parameter is not supported; divide the equation by it")
    return sum(float(c) * mass(mesh, name) for name, c in _regions(capacity).items())


def _surface(mesh: Mesh, name: str, weight: Profile | None) -> None:
    """Raises BadInput unless a region is a surface and its film's weight is >= 0.

    With a negative weight A would not be coercive.
    """
    if any(DIMENSION.get(kind) != mesh.points.shape[1] - 1 for kind in mesh.region(name)):
        raise BadInput(
            f"region {name!r} is not a surface of the body; "
            "films and fluxes act on cells of one dimension less"
        )
    if weight is not None and any((factor(weight, p.x) < 0).any() for p in patches(mesh, name)):
        raise BadInput(
            f"the weight of the film on {name!r} is negative somewhere; heat would flow uphill: "
            "give one >= 0"
        )


def _covering(mesh: Mesh, value: Any) -> None:
    """BadInput unless regions cover the volume exactly once."""
    if isinstance(value, dict):
        covered = sum(float(load(mesh, name).sum()) for name in value)
        volume = float(load(mesh).sum())
        if abs(covered - volume) > 1e-9 * volume:
            raise BadInput(
                f"regions {tuple(value)} hold {covered:.6g} of a body of {volume:.6g}; "
                "name every cell exactly once"
            )


def _monomials(box: Box, products: list[tuple[Coefficient, ...]]) -> Monomials:
    """theta_q = product of its numbers and of its parameters."""
    for name in (c for group in products for c in group if isinstance(c, str)):
        if name not in box.names:
            raise BadInput(f"no parameter {name!r} in the box; it has: {', '.join(box.names)}")
    numbers = [
        float(np.prod([float(c) for c in group if not isinstance(c, str)])) for group in products
    ]
    powers = [[sum(c == name for c in group) for name in box.names] for group in products]
    return Monomials(np.array(numbers), np.array(powers, dtype=float))


def _times(a: Profile | None, b: Profile | None) -> Profile | None:
    if a is None or b is None:
        return a or b
    return lambda x: np.asarray(a(x)) * np.asarray(b(x))
