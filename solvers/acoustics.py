"""Exterior acoustics by boundary elements: Burton-Miller and combined fields.

In a uniform mean flow, by NGSolve's ngsolve.bem. Time factor exp(-i omega t), G = exp(ikr) / (4 pi
r), normals n out of the body into the fluid, total pressure p = p_inc + DL p - SL dp/dn.

    hard, lined:  (1/2 - K + eta W) p + (V + eta (1/2 + K')) q = p_inc + eta dp_inc/dn,
                  q = dp/dn = -i k Y p on the liner
    soft:         (1/2 + K' - i k V) q = dp_inc/dn - i k p_inc,  p = 0
    eta = i / k; Y = rho c / Z the admittance of the liner, Re Y >= 0

Uniform flow of Mach number M along x: p = psi exp(-i k M x / b^2), b^2 = 1 - M^2, turns the
convected equation into Helmholtz's for psi at k' = k / b on the body stretched by 1 / b along x
(Prandtl-Glauert); walls carry no flux (I - M M^T) grad p + i k M p through n, and liners -i k Y p.
Tests and lined sources are weighted with the unstretched surface, so that the stretching enters by
kernels alone.

Galerkin, continuous P1 on flat triangles; W by parts (Maue). NGSolve rather than bempp-cl 0.4.2:
for 320 triangles S, D and W take 1 CPU second in all against 16 for the first single layer of a
process, numba's compilation included; the single layers agree to 2e-3, the difference of their
quadratures. Reference: Burton and Miller (1971); Casenave, Ern, Sylvand (2014).
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import scipy.sparse as sp

from rom.errors import BadInput, MissingExtra
from rom.space import Field, Space

DENSE = 2_200  # vertices: beyond, the two dense matrices of a wavenumber take more than 5 GB
# barycentric points and weights of degree 5 on a triangle (Radon 1948)
_A, _B = (6 + np.sqrt(15)) / 21, (6 - np.sqrt(15)) / 21
CORNERS = np.array(
    [
        [1 / 3] * 3,
        *([1 - 2 * a if i == j else a for j in range(3)] for a in (_A, _B) for i in range(3)),
    ]
)
SHARES = np.array([9 / 40] + [(155 + np.sqrt(15)) / 1200] * 3 + [(155 - np.sqrt(15)) / 1200] * 3)


@dataclass(frozen=True, eq=False)
class Body:
    """A closed surface of flat triangles.

    points (n, 3) [m]; triangles (t, 3) turned outwards; lined (t,) or None: which carry a liner
    """

    points: np.ndarray
    triangles: np.ndarray
    lined: Any = None

    def __post_init__(self) -> None:
        volume = np.sum(self.cross * self.centres) / 6
        if not volume > 0:
            raise BadInput(
                f"the surface encloses {volume:.3g} m^3; "
                "turn its triangles outwards (swap two corners of each)"
            )

    @cached_property
    def cross(self) -> np.ndarray:
        """Normals times twice the areas, (t, 3)."""
        a, b, c = self.points[self.triangles].swapaxes(0, 1)
        return np.cross(b - a, c - a)

    @property
    def areas(self) -> np.ndarray:
        """(t,) [m^2]."""
        return np.asarray(0.5 * np.linalg.norm(self.cross, axis=1))

    @property
    def centres(self) -> np.ndarray:
        """(t, 3) [m]."""
        return np.asarray(self.points[self.triangles].mean(axis=1))

    def stretched(self, M: float) -> Body:
        """The body of Prandtl and Glauert: x / sqrt(1 - M^2).

        Raises BadInput for a flow that is not subsonic.
        """
        if not 0 <= M < 1:
            raise BadInput(f"Mach number {M:g} must lie in [0, 1)")
        return Body(
            self.points / np.array([np.sqrt(1 - M * M), 1.0, 1.0]), self.triangles, self.lined
        )

    def quadrature(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Points (7 t, 3), weights times hat functions (n, 7 t), unit normals (7 t, 3)."""
        x = np.einsum("qc,tcd->tqd", CORNERS, self.points[self.triangles])
        weight = self.areas[:, None, None] * SHARES[:, None] * CORNERS
        t, q, _ = weight.shape
        rows, cols = (
            np.repeat(self.triangles[:, None], q, axis=1),
            np.arange(t * q).reshape(t, q, 1),
        )
        test = sp.coo_array(
            (weight.ravel(), (rows.ravel(), np.broadcast_to(cols, weight.shape).ravel()))
        )
        return (
            x.reshape(-1, 3),
            sp.csr_array(test),
            np.repeat(self.cross / (2 * self.areas[:, None]), q, axis=0),
        )

    def mass(self, w: Any = 1.0) -> sp.csr_array:
        """int w phi_i phi_j, w constant or one number for each triangle."""
        local = (w * self.areas)[:, None, None] / 12 * (np.ones((3, 3)) + np.eye(3))
        rows, cols = np.broadcast_arrays(self.triangles[:, :, None], self.triangles[:, None])
        return sp.csr_array(
            sp.coo_array(
                (local.ravel(), (rows.ravel(), cols.ravel())), shape=(len(self.points),) * 2
            )
        )

    def space(self) -> Space:
        """Continuous P1 functions with the product of L^2."""
        return Space(
            self.mass(),
            np.arange(len(self.points)),
            fields=(Field("pressure", "Pa", np.arange(len(self.points))),),
        )


@dataclass(frozen=True, eq=False)
class Broken:
    """Discontinuous P1 functions, the same for every shape of a body.

    hats (3t, n) and constants (3t, t), written in these functions
    """

    hats: sp.csr_array
    flat: sp.csr_array

    def weighted(self, w: np.ndarray) -> sp.csr_array:
        """The hats times a number on each triangle."""
        return sp.csr_array(sp.diags_array(self.flat.astype(bool).astype(float) @ w) @ self.hats)


def _boundary(body: Body) -> Any:
    """The body as a surface mesh of NGSolve."""
    try:
        with suppress(ImportError):
            # bound after NGSolve's OpenBLAS, which it loads globally, torch crashes
            import torch  # noqa: F401
        import ngsolve as ng
        from netgen.meshing import Element2D, FaceDescriptor, Mesh, MeshPoint, Pnt
    except ImportError as error:
        raise MissingExtra(
            f"boundary elements need ngsolve ({error}); run: pip install 'rom-platform[bem]'"
        ) from error
    surface = Mesh(dim=3)
    numbers = [surface.Add(MeshPoint(Pnt(*map(float, p)))) for p in body.points]
    surface.Add(FaceDescriptor(surfnr=1, domin=1, domout=0, bc=1))
    for corners in body.triangles:
        surface.Add(Element2D(1, [numbers[i] for i in corners]))
    return ng.Mesh(surface)


def broken(body: Body) -> Broken:
    """Hats and constants of a body as functions that are P1 on each triangle alone."""
    import ngsolve as ng

    mesh = _boundary(body)
    test = ng.SurfaceL2(mesh, order=1)
    gram, hats, flat = (
        _form(ng, trial, test)
        for trial in (test, ng.H1(mesh, order=1), ng.SurfaceL2(mesh, order=0))
    )
    blocks = [gram[i : i + 3, i : i + 3].toarray() for i in range(0, gram.shape[0], 3)]
    inverse = sp.block_diag([np.linalg.inv(block) for block in blocks], format="csr")
    return Broken(sp.csr_array(inverse @ hats), sp.csr_array(inverse @ flat))


def _form(ng: Any, trial: Any, test: Any) -> sp.csr_array:
    form = ng.BilinearForm(trialspace=trial, testspace=test)
    form += trial.TrialFunction() * test.TestFunction() * ng.ds
    rows, cols, values = form.Assemble().mat.COO()
    return sp.csr_array(
        sp.coo_array(
            (np.array(values), (np.array(rows), np.array(cols))), shape=(test.ndof, trial.ndof)
        )
    )


def layers(body: Body, k: float) -> tuple[np.ndarray, np.ndarray]:
    """Single and double layer S, D (3t, 3t) between discontinuous P1 functions.

    By Sauter and Schwab's quadrature.
    """
    if not k > 0:
        raise BadInput(f"wavenumber {k:g} 1/m must be positive")
    if len(body.points) > DENSE:
        raise BadInput(
            f"{len(body.points)} vertices are more than the {DENSE} of dense matrices; "
            "use solvers.collocation, whose matrices are only applied"
        )
    mesh = _boundary(body)
    import ngsolve as ng
    from ngsolve.bem import HelmholtzDL, HelmholtzSL

    u, v = ng.SurfaceL2(mesh, order=1, complex=True).TnT()
    return tuple(
        _dense((kind(u * ng.ds, k, use_fmm=False) * v * ng.ds).mat)
        for kind in (HelmholtzSL, HelmholtzDL)
    )  # type: ignore


def _dense(matrix: Any) -> np.ndarray:
    values, cols, _ = matrix.CSR()
    n = matrix.height
    out = np.empty((n, n), dtype=complex)
    np.put_along_axis(out, np.array(cols).reshape(n, n), np.array(values).reshape(n, n), axis=1)
    return out


@dataclass(frozen=True, eq=False)
class Exterior:
    """The exterior problem of a body: all that does not depend on frequency.

    The surface is in NGSolve's numbering.
    """

    body: Body
    broken: Broken

    def reacting(self, k: float, M: float = 0.0) -> tuple[np.ndarray, np.ndarray]:
        """A, B (n, n) of Burton and Miller: A + Y B for walls with admittance Y.

        Y acts on the liner; k [1/m].
        """
        body, (kb, J) = self.body.stretched(M), self._flow(k, M)
        S, D = layers(body, kb)
        P, once = self.broken.hats, self.broken.weighted(1 / J)
        liner = np.zeros(len(J)) if self.body.lined is None else self.body.lined / J
        source, half, eta = self.broken.weighted(liner), 0.5 * self.body.mass(), 1j / kb
        A = half - once.T @ D @ P + eta * self._hypersingular(body, S, kb)
        if self.body.lined is None:
            return A, np.zeros_like(A)
        B = once.T @ S @ source + eta * (0.5 * self.body.mass(self.body.lined) + P.T @ D.T @ source)
        return A, -1j * kb * B

    def soft(self, k: float) -> np.ndarray:
        """1/2 + K' - i k V (n, n) of the combined field equation; k [1/m]."""
        (S, D), P = layers(self.body, k), self.broken.hats
        return np.asarray(0.5 * self.body.mass() + P.T @ (D.T - 1j * k * S) @ P)

    def _flow(self, k: float, M: float) -> tuple[float, np.ndarray]:
        return k / np.sqrt(1 - M * M), self.body.stretched(M).areas / self.body.areas

    def _hypersingular(self, body: Body, S: np.ndarray, k: float) -> np.ndarray:
        """<W p, v> = int int G (curl p . curl v - k^2 p v n . n')."""
        corners = body.points[body.triangles]
        curl = (corners[:, [2, 0, 1]] - corners[:, [1, 2, 0]]) / (2 * body.areas[:, None, None])
        rows, W = (
            np.repeat(np.arange(len(curl)), 3),
            np.zeros((len(body.points),) * 2, dtype=complex),
        )
        for c in range(3):
            along = self.broken.flat @ sp.csr_array(
                (curl[:, :, c].ravel(), (rows, body.triangles.ravel()))
            )
            normal = self.broken.weighted(body.cross[:, c] / (2 * body.areas))
            W = W + along.T @ S @ along - k * k * (normal.T @ S @ normal)
        return W

    def load(self, field: Incident, k: float, M: float = 0.0, soft: bool = False) -> np.ndarray:
        """The right-hand side (n, s) of s incident fields.

        field(x (q, 3), n (q, 3)) -> values and normal derivatives (q, s)
        """
        body, (kb, J) = self.body.stretched(M), self._flow(k, M)
        x, test, n = body.quadrature()
        p, dp = field(x, n)
        if soft:
            return np.asarray(test @ (dp - 1j * k * p))
        return np.asarray(test @ (p / np.repeat(J, len(SHARES))[:, None] + 1j / kb * dp))

    def observation(self, x: np.ndarray, k: float, M: float = 0.0) -> tuple[np.ndarray, np.ndarray]:
        """L, N (m, n): scattered pressure psi at m points is (L + Y N) p on the surface.

        x : points (m, 3) [m], stretched by the flow
        """
        body, (kb, J) = self.body.stretched(M), self._flow(k, M)
        y, test, n = body.quadrature()
        G, dG = monopole(x, kb)(y, n)
        liner = np.zeros(len(J)) if self.body.lined is None else self.body.lined / J
        return (test @ dG).T, 1j * kb * (test @ (G * np.repeat(liner, len(SHARES))[:, None])).T


Incident = Callable[[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]


def exterior(body: Body) -> Exterior:
    """The exterior problem of a body; imports NGSolve."""
    _boundary(body)
    return Exterior(body, broken(body))


def plane(direction: np.ndarray, k: float) -> Incident:
    """exp(i k d . x) for directions (s, 3) or (3,)."""
    d = np.atleast_2d(direction) / np.linalg.norm(np.atleast_2d(direction), axis=1, keepdims=True)

    def field(x: np.ndarray, n: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        p = np.exp(1j * k * x @ d.T)
        return p, 1j * k * (n @ d.T) * p

    return field


def monopole(source: np.ndarray, k: float) -> Incident:
    """exp(ikr) / (4 pi r) from sources (s, 3) or (3,)."""
    source = np.atleast_2d(source)

    def field(x: np.ndarray, n: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        gap = x[:, None] - source
        r = np.linalg.norm(gap, axis=2)
        p = np.exp(1j * k * r) / (4 * np.pi * r)
        return p, (1j * k - 1 / r) / r * np.einsum("qsd,qd->qs", gap, n) * p

    return field
