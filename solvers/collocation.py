"""Exterior acoustics by collocation: Burton and Miller on constant panels, as products alone.

    (1/2 - K - eta N) p + Y (V + eta (1/2 + K')) q = p_inc + eta dp_inc/dn,   q = -i k p
    V = int G, K = int dG/dn_y, K' = int dG/dn_x, N = int d^2G/dn_x dn_y,   eta = i / k

at the centres x of flat panels, p constant on each; G = exp(ikr) / (4 pi r), exp(-i omega t),
normals into the fluid. On the panel of x itself, with R(theta) from x to its rim,

    N = ik/2 - 1/(4 pi) int exp(ikR) / R dtheta,    V = i/(2k) (1 - 1/(2 pi) int exp(ikR) dtheta)

On near panels the static kernels are integrated in closed form (solid angle, field of a current
along the rim, potential of a plane source) and the rest, which is weakly singular, by a rule of
degree 5. Far blocks are compressed (`solvers.hmatrix`): no matrix is stored.

Reference: Burton and Miller (1971); Matsumoto, Zheng, Harada, Takahashi (2010).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property, partial

import numpy as np
from scipy.linalg import lu_factor, lu_solve

from rom.errors import BadInput
from rom.space import Field, Space
from solvers.acoustics import CORNERS, SHARES, Body, Incident, monopole
from solvers.hmatrix import HMatrix, hmatrix
from solvers.krylov import block_gmres

POINTS_A_WAVELENGTH = 6.0
NEAR = 2.5  # of a panel's longest edge: centres nearer than this see the static kernels
TABLE = 4096  # entries of a turn: exp(ix) by the nearest of them and three terms of a series
GAUSS = np.polynomial.legendre.leggauss(8)
RULES = {  # barycentric points and shares of a panel, of degrees 1, 2 and 5
    "centre": (np.full((1, 3), 1 / 3), np.ones(1)),
    "far": (np.array([[2, 2, 8], [2, 8, 2], [8, 2, 2]]) / 12, np.full(3, 1 / 3)),
    "near": (CORNERS, SHARES),
}


@dataclass(frozen=True, eq=False)
class Panels:
    """Centres, normals, areas and corners of a body: what does not depend on frequency."""

    body: Body

    @property
    def n(self) -> int:
        """Number of unknowns: one on each panel."""
        return len(self.body.triangles)

    @cached_property
    def centres(self) -> np.ndarray:
        """(t, 3) [m]."""
        return self.body.centres

    @cached_property
    def areas(self) -> np.ndarray:
        """(t,) [m^2]."""
        return self.body.areas

    @cached_property
    def normals(self) -> np.ndarray:
        """(t, 3), into the fluid."""
        return np.asarray(self.body.cross / (2 * self.areas[:, None]))

    @cached_property
    def corners(self) -> np.ndarray:
        """(t, 3, 3) [m]."""
        return np.asarray(self.body.points[self.body.triangles])

    @cached_property
    def edge(self) -> np.ndarray:
        """(t,) longest edge of each [m]."""
        sides = self.corners - np.roll(self.corners, 1, axis=1)
        return np.asarray(np.linalg.norm(sides, axis=2).max(axis=1))

    @cached_property
    def lined(self) -> np.ndarray:
        """Numbers of the panels with a liner."""
        none = self.body.lined is None
        return np.zeros(0, dtype=np.int64) if none else np.flatnonzero(self.body.lined)

    @cached_property
    def columns(self) -> dict[str, np.ndarray]:
        """(q, 3, t) points of each rule, and the normals as one: coordinate by coordinate."""
        points = {
            name: np.ascontiguousarray(np.einsum("qc,tcd->qdt", corners, self.corners))
            for name, (corners, _) in RULES.items()
        }
        return points | {"normal": np.ascontiguousarray(self.normals.T)[None]}

    def space(self) -> Space:
        """Functions constant on each panel, with the product of L^2."""
        return Space(
            self.areas, np.arange(self.n), fields=(Field("pressure", "Pa", np.arange(self.n)),)
        )

    def check(self, k: float) -> None:
        """Raises BadInput for fewer than 6 panels a wavelength."""
        if not k > 0:
            raise BadInput(f"wavenumber {k:g} 1/m must be positive")
        count = 2 * np.pi / k / float(self.edge.max())
        if count < POINTS_A_WAVELENGTH:
            raise BadInput(
                f"the longest edge takes {count:.2g} to a wavelength at k = {k:g} 1/m; give at "
                f"least {POINTS_A_WAVELENGTH:g}: more panels, or k up to "
                f"{2 * np.pi / POINTS_A_WAVELENGTH / float(self.edge.max()):.4g}"
            )


def turn(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """cos x and sin x to 1e-14, in a third of the time of NumPy's."""
    place = np.rint(x * (TABLE / (2 * np.pi)))
    rest = x - place * (2 * np.pi / TABLE)
    at = place.astype(np.int64) & (TABLE - 1)
    c, s = _COSINES[at], _SINES[at]
    square = rest * rest
    a, b = 1 - square * (0.5 - square / 24), rest * (1 - square / 6)
    return c * a - s * b, s * a + c * b


_COSINES = np.cos(2 * np.pi / TABLE * np.arange(TABLE))
_SINES = np.sin(2 * np.pi / TABLE * np.arange(TABLE))


def _hard(k: float, r: np.ndarray, a: np.ndarray, b: np.ndarray, c: np.ndarray) -> np.ndarray:
    """4 pi (-dG/dn_y - eta d^2G/dn_x dn_y); a, b = (x - y) . n_x, . n_y, c = n_x . n_y."""
    ab = a * b / (r * r)
    cube = 1 / (r * r * r)
    real = (r * (3 * ab - c) - b) * cube
    imaginary = (k * r * b + ((3 - (k * r) ** 2) * ab - c) / k) * cube
    cosine, sine = turn(k * r)
    out = np.empty(r.shape, dtype=complex)
    out.real = real * cosine - imaginary * sine
    out.imag = real * sine + imaginary * cosine
    return out


def _hard_static(
    k: float, r: np.ndarray, a: np.ndarray, b: np.ndarray, c: np.ndarray
) -> np.ndarray:
    """The same with exp(ikr) and k r at r = 0 in its strongest terms."""
    cube = 1 / (r * r * r)
    return -b * cube + 1j / k * (3 * a * b / (r * r) - c) * cube


def _liner(k: float, r: np.ndarray, a: np.ndarray, b: np.ndarray, c: np.ndarray) -> np.ndarray:
    """4 pi (dG/dn_x - ik G)."""
    cosine, sine = turn(k * r)
    slope = a / (r * r)
    return np.asarray((cosine + 1j * sine) / r * (slope * (1j * k - 1 / r) * r - 1j * k))


def _liner_static(
    k: float, r: np.ndarray, a: np.ndarray, b: np.ndarray, c: np.ndarray
) -> np.ndarray:
    return -a / (r * r * r) - 1j * k / r


Kernel = Callable[[float, np.ndarray, np.ndarray, np.ndarray, np.ndarray], np.ndarray]


@dataclass(frozen=True, eq=False)
class Integrals:
    """Entries of one operator at k between panels: kernel integrated over panel j, at centre i.

    static : strongest part of the kernel, exact : its integral over near panels (i, j); own : the
    entries of panels with themselves (t,)
    """

    panels: Panels
    k: float
    kernel: Kernel
    static: Kernel
    exact: Callable[[Panels, float, np.ndarray, np.ndarray], np.ndarray]
    own: np.ndarray

    def __call__(self, i: np.ndarray, j: np.ndarray) -> np.ndarray:
        """A_ij for integer arrays that are broadcast."""
        p = self.panels
        i, j = np.atleast_1d(i), np.atleast_1d(j)
        square = sum((x[i] - x[j]) ** 2 for x in p.columns["centre"][0])
        close = np.asarray(square < (NEAR * p.edge[j]) ** 2)
        with np.errstate(divide="ignore", invalid="ignore"):  # own panels, replaced below
            far = self._sum(self.kernel, i, j, "far")
        i, j = np.broadcast_arrays(i, j)
        if close.any():
            i, j = i[close], j[close]
            far[close] = self._near(i, j)
        return far

    def _near(self, i: np.ndarray, j: np.ndarray) -> np.ndarray:
        same = i == j
        out = np.empty(len(i), dtype=complex)
        out[same] = self.own[i[same]]
        i, j = i[~same], j[~same]
        rest = self._sum(self.kernel, i, j, "near")
        rest -= self._sum(self.static, i, j, "near")
        out[~same] = rest + self.exact(self.panels, self.k, i, j)
        return out

    def _sum(self, kernel: Kernel, i: np.ndarray, j: np.ndarray, rule: str) -> np.ndarray:
        """The kernel by a rule on panel j."""
        p = self.panels
        x, nx, ny = (
            [part[at] for part in array]
            for array, at in (
                (p.columns["centre"][0], i),
                (p.columns["normal"][0], i),
                (p.columns["normal"][0], j),
            )
        )
        c = nx[0] * ny[0] + nx[1] * ny[1] + nx[2] * ny[2]
        total: np.ndarray | float = 0.0
        for place, share in zip(p.columns[rule], RULES[rule][1], strict=True):
            gap = [x[d] - place[d][j] for d in range(3)]
            r = np.sqrt(gap[0] * gap[0] + gap[1] * gap[1] + gap[2] * gap[2])
            a = gap[0] * nx[0] + gap[1] * nx[1] + gap[2] * nx[2]
            b = gap[0] * ny[0] + gap[1] * ny[1] + gap[2] * ny[2]
            total = total + share * kernel(self.k, r, a, b, c)
        return np.asarray(total * (p.areas[j] / (4 * np.pi)))


def hard_wall(panels: Panels, k: float) -> Integrals:
    """1/2 - K - eta N."""
    rim, angle = _rim(panels)
    ring = np.sum(angle * np.exp(1j * k * rim) / rim, axis=1) / (4 * np.pi)
    own = 0.5 - 1j / k * (0.5j * k - ring)
    return Integrals(panels, k, _hard, _hard_static, _hard_exact, own)


def liner(panels: Panels, k: float) -> Integrals:
    """-ik (V + eta (1/2 + K'))."""
    rim, angle = _rim(panels)
    ring = np.sum(angle * np.exp(1j * k * rim), axis=1) / (2 * np.pi)
    own = 0.5 - 1j * k * (0.5j / k * (1 - ring))
    return Integrals(panels, k, _liner, _liner_static, _liner_exact, own)


def _rim(panels: Panels) -> tuple[np.ndarray, np.ndarray]:
    """Distance from the centre to the rim (t, q) and weights of the angle."""
    a = panels.corners - panels.centres[:, None]
    b = np.roll(a, -1, axis=1)
    side = np.linalg.norm(b - a, axis=2)
    height = np.linalg.norm(np.cross(a, b), axis=2) / side
    first = np.arctan(np.sum(a * (b - a), axis=2) / side / height)
    last = np.arctan(np.sum(b * (b - a), axis=2) / side / height)
    t, w = GAUSS
    angle = 0.5 * (first + last)[..., None] + 0.5 * (last - first)[..., None] * t
    weight = 0.5 * (last - first)[..., None] * w
    rim = height[..., None] / np.cos(angle)
    return rim.reshape(panels.n, -1), weight.reshape(panels.n, -1)


def _sides(panels: Panels, i: np.ndarray, j: np.ndarray) -> tuple[np.ndarray, ...]:
    """From centre i to the corners of panel j (P, 3, 3), and on to the next; their lengths."""
    a = panels.corners[j] - panels.centres[i][:, None]
    b = np.roll(a, -1, axis=1)
    return a, b, np.linalg.norm(a, axis=2), np.linalg.norm(b, axis=2)


def solid_angle(panels: Panels, i: np.ndarray, j: np.ndarray) -> np.ndarray:
    """int (x - y) . n_y / r^3 over panel j, (P,). Reference: Van Oosterom, Strackee (1983)."""
    a, _, length, _ = _sides(panels, i, j)
    triple = np.einsum("pd,pd->p", a[:, 0], np.cross(a[:, 1], a[:, 2]))
    dots = np.einsum("pcd,pcd->pc", a, np.roll(a, -1, axis=1))
    la, lb, lc = length.T
    below = la * lb * lc + dots[:, 0] * lc + dots[:, 1] * la + dots[:, 2] * lb
    return np.asarray(-2 * np.arctan2(triple, below))


def rim_field(panels: Panels, i: np.ndarray, j: np.ndarray) -> np.ndarray:
    """int d^2(1/r)/dn_x dn_y over panel j, (P,): the field of a current along its rim."""
    a, b, la, lb = _sides(panels, i, j)
    cross = np.cross(a, b)
    dot = np.einsum("pcd,pcd->pc", a, b)
    factor = (la + lb) / (la * lb * (la * lb + dot))
    field = np.sum(cross * factor[..., None], axis=1)
    return np.asarray(-np.einsum("pd,pd->p", field, panels.normals[i]))


def _edges(panels: Panels, i: np.ndarray, j: np.ndarray) -> tuple[np.ndarray, ...]:
    """Normals of the rim in the plane (P, 3, 3), int 1/r along each side, their distances."""
    a, b, la, lb = _sides(panels, i, j)
    side = b - a
    length = np.linalg.norm(side, axis=2)
    outward = np.cross(side / length[..., None], panels.normals[j][:, None])
    logs = np.log((la + lb + length) / (la + lb - length))
    return outward, logs, np.einsum("pcd,pcd->pc", a, outward)


def plane_potential(panels: Panels, i: np.ndarray, j: np.ndarray) -> np.ndarray:
    """int 1/r over panel j, (P,). Reference: Wilton et al. (1984)."""
    _, logs, distance = _edges(panels, i, j)
    gap = panels.centres[i] - panels.corners[j][:, 0]
    height = np.einsum("pd,pd->p", gap, panels.normals[j])
    return np.asarray(np.sum(distance * logs, axis=1) - height * solid_angle(panels, i, j))


def _hard_exact(panels: Panels, k: float, i: np.ndarray, j: np.ndarray) -> np.ndarray:
    return -(solid_angle(panels, i, j) + 1j / k * rim_field(panels, i, j)) / (4 * np.pi)


def _liner_exact(panels: Panels, k: float, i: np.ndarray, j: np.ndarray) -> np.ndarray:
    outward, logs, _ = _edges(panels, i, j)
    pull = np.sum(outward * logs[..., None], axis=1)
    pull += panels.normals[j] * solid_angle(panels, i, j)[:, None]
    across = np.einsum("pd,pd->p", pull, panels.normals[i])
    return -(across + 1j * k * plane_potential(panels, i, j)) / (4 * np.pi)


@dataclass(frozen=True, eq=False)
class Wall:
    """A + Y B at one wavenumber, known by its products; B acts on the panels with a liner.

    A (t, t), B (t, lined) or None; `apply` and `apply_adjoint` take (t, k), `close` frees both
    """

    hard: HMatrix
    soft: HMatrix | None
    lined: np.ndarray
    admittance: complex = 0.0

    @property
    def shape(self) -> tuple[int, int]:
        """(t, t)."""
        return self.hard.shape

    @property
    def tolerance(self) -> float:
        """Of the compression, relative in the Frobenius norm."""
        return self.hard.tolerance

    @property
    def nbytes(self) -> int:
        """Bytes of both matrices."""
        return self.hard.nbytes + (0 if self.soft is None else self.soft.nbytes)

    def apply(self, U: np.ndarray) -> np.ndarray:
        """(A + Y B) U."""
        image = self.hard.apply(U)
        if self.soft is not None and self.admittance:
            image += self.admittance * self.soft.apply(U[self.lined])
        return image

    def apply_adjoint(self, U: np.ndarray) -> np.ndarray:
        """(A + Y B)^H U."""
        image = self.hard.apply_adjoint(U)
        if self.soft is not None and self.admittance:
            image[self.lined] += np.conj(self.admittance) * self.soft.apply_adjoint(U)
        return image

    def close(self) -> None:
        """Free both matrices."""
        self.hard.close()
        if self.soft is not None:
            self.soft.close()


def wall(
    panels: Panels, k: float, *, tol: float = 1e-4, single: bool = False, Y: complex = 0.0
) -> Wall:
    """The wall at wavenumber k [1/m]; Y : admittance of its liner, rho c / Z.

    Raises BadInput for fewer than 6 panels a wavelength.
    """
    panels.check(k)
    apart = NEAR * float(panels.edge.max())
    x = panels.centres
    hard = hmatrix(x, hard_wall(panels, k), tol=tol, single=single, apart=apart)
    if not Y:
        return Wall(hard, None, panels.lined)
    return Wall(hard, lining(panels, k, tol=tol, single=single).part, panels.lined, Y)


@dataclass(frozen=True, eq=False)
class Lining:
    """B at one wavenumber (t, t), zero but in the columns of the lined panels: A + Y B is a wall.

    part : (t, lined)
    """

    part: HMatrix
    lined: np.ndarray

    @property
    def tolerance(self) -> float:
        """Of the compression, relative in the Frobenius norm."""
        return self.part.tolerance

    def apply(self, U: np.ndarray) -> np.ndarray:
        """B U."""
        return self.part.apply(U[self.lined])

    def apply_adjoint(self, U: np.ndarray) -> np.ndarray:
        """B^H U."""
        image = np.zeros(U.shape, dtype=complex)
        image[self.lined] = self.part.apply_adjoint(U)
        return image

    def close(self) -> None:
        """Free it."""
        self.part.close()


def lining(panels: Panels, k: float, *, tol: float = 1e-4, single: bool = False) -> Lining:
    """-ik (V + eta (1/2 + K')) from the lined panels. Raises BadInput without a liner."""
    panels.check(k)
    if not panels.lined.size:
        raise BadInput("the body carries no liner; give Y = 0, or mark panels as lined")
    x = panels.centres
    own = partial(_of_columns, liner(panels, k), panels.lined)
    apart = NEAR * float(panels.edge.max())
    part = hmatrix(x, own, tol=tol, columns=x[panels.lined], single=single, apart=apart)
    return Lining(part, panels.lined)


def _of_columns(
    entries: Integrals, columns: np.ndarray, i: np.ndarray, j: np.ndarray
) -> np.ndarray:
    return entries(i, columns[j])


def load(panels: Panels, field: Incident, k: float) -> np.ndarray:
    """p_inc + eta dp_inc/dn (t, s) of s incident fields."""
    p, slope = field(panels.centres, panels.normals)
    return np.asarray(p + 1j / k * slope)


def hearing(panels: Panels, x: np.ndarray, k: float) -> np.ndarray:
    """L (m, t): pressure scattered by hard panels at points x (m, 3) off the surface."""
    L = np.zeros((len(x), panels.n), dtype=complex)
    for corner, share in zip(CORNERS, SHARES, strict=True):
        y = np.einsum("c,tcd->td", corner, panels.corners)
        L += share * monopole(x, k)(y, panels.normals)[1].T
    return L * panels.areas


def solve(operator: Wall, F: np.ndarray, tol: float = 1e-6) -> tuple[np.ndarray, int]:
    """Pressures (t, s) of right-hand sides F (t, s), and the iterations of block GMRES."""
    return block_gmres(operator.apply, F, tol, precondition=near_inverse(operator))


def near_inverse(operator: Wall, adjoint: bool = False) -> Callable[[np.ndarray], np.ndarray]:
    """U -> the inverse of the near blocks of clusters with themselves, or its adjoint, times U."""
    factors = [(at, lu_factor(block)) for at, block in operator.hard.diagonal_blocks()]

    def precondition(U: np.ndarray) -> np.ndarray:
        X = np.empty(U.shape, dtype=complex)
        for at, lu in factors:
            X[at] = lu_solve(lu, U[at], trans=2 if adjoint else 0)
        return X

    return precondition
