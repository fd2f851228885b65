"""A lined nacelle in a uniform flow: pressure at microphones, with a bound.

A source is in its duct; the answer comes in real time. Parameters: wavenumber, Mach number,
resistance and reactance of the liner, position of the source. The host is a boundary element code;
of its kernel only the families below are known. (k, M) select which matrices it assembles; the
liner enters as A + Y B.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from rom.affine import Affine
from rom.basis import Basis
from rom.certified import (
    GalerkinModel,
    Outputs,
    certify,
    consistent_bound,
    eim_weights,
    galerkin_model,
    inf_sup,
    reduced_outputs,
    separate,
)
from rom.cli.launch import run
from rom.cli.ship import ship_model
from rom.compress.decomposition import pod
from rom.design.designs import sobol
from rom.mesh import Mesh
from rom.parameters import Box
from rom.problem import Problem
from rom.rule import Tensor, Weights
from rom.snapshots import Snapshots
from solvers.acoustics import Body, Exterior, exterior, monopole

BOX = Box(
    ("wavenumber", "mach", "resistance", "reactance", "source"),
    np.array([1.0, 0.0, 0.5, -1.0, -0.2]),
    np.array([3.0, 0.3, 2.0, 1.0, 0.2]),
    ("1/m", "1", "1", "1", "m"),
)
HALF, RADIUS, THICK, OFF_AXIS, ARRAY = 0.5, 0.43, 0.1, 0.15, 3.0  # [m]


def nacelle(around: int = 12, along: int = 14) -> Body:
    """An elliptic profile turned about the x axis, 2 * around * along triangles.

    Lined inside for |x| < 0.3 m.
    """
    i, j = (index.ravel() for index in np.indices((along, around)))
    t, phi = 2 * np.pi * i / along, 2 * np.pi * (j + 0.5 * (i % 2)) / around
    x, r = HALF * np.cos(t), RADIUS + THICK * np.sin(t)
    points = np.column_stack([x, r * np.cos(phi), r * np.sin(phi)])

    def node(i: np.ndarray, j: np.ndarray) -> np.ndarray:
        return (i % along) * around + j % around

    even = i % 2 == 0
    a, b, c, d = node(i, j), node(i, j + 1), node(i + 1, j), node(i + 1, j + 1)
    first = np.where(even[:, None], np.column_stack([a, c, b]), np.column_stack([a, c, d]))
    second = np.where(even[:, None], np.column_stack([b, c, d]), np.column_stack([a, d, b]))
    triangles = np.vstack([first, second])
    body = Body(points, triangles)
    inner = np.linalg.norm(body.centres[:, 1:], axis=1) < RADIUS
    return replace(body, lined=inner & (np.abs(body.centres[:, 0]) < 0.3))


def stretch(mu: np.ndarray, x: np.ndarray) -> tuple[np.ndarray, ...]:
    """k' (m, 1), 1/b (m, 1), r'/r (m, q), exp(ik'r') (m, q).

    For mu = (k, M), x = (r, angle to the flow).
    """
    b = np.sqrt(1 - mu[:, 1:2] ** 2)
    ratio = np.sqrt((np.cos(x[:, 1]) / b) ** 2 + np.sin(x[:, 1]) ** 2)
    return mu[:, :1] / b, 1 / b, ratio, np.exp(1j * mu[:, :1] / b * ratio * x[:, 0])


def families(mu: np.ndarray, x: np.ndarray) -> np.ndarray:
    """What A and B are made of: 1, the double layer, and single layers.

    The single layers have the factors of mu of W and V.
    """
    k, s, ratio, wave = stretch(mu, x)
    single, double = wave / ratio, s * (1j * k * ratio * x[:, 0] - 1) * wave / ratio**3
    return np.stack(
        [np.ones_like(wave), double, single / k, s**2 * single / k, k * single, k * s**2 * single],
        axis=1,
    )


def distant(mu: np.ndarray, x: np.ndarray) -> np.ndarray:
    """What the microphones see: the double layer, and the single layer of the liner."""
    return families(mu, x)[:, [1, 4]]


def incident(mu: np.ndarray, x: np.ndarray) -> np.ndarray:
    """What the right-hand side is made of: the source's wave and eta times its flux.

    mu = (k, M, source), x = (point, normal).
    """
    out = []
    for k, M, source in mu:
        b = np.sqrt(1 - M * M)
        place = np.array([1 / b, 1.0, 1.0])
        p, flux = monopole(np.array([source / b, OFF_AXIS, 0.0]), k / b)(
            x[:, :3] * place, x[:, 3:] * np.array([1.0, 1 / b, 1 / b])
        )
        out.append(np.stack([p[:, 0], 1j * b / k * flux[:, 0]]))
    return np.array(out)


def admittance(mu: np.ndarray) -> np.ndarray:
    """1, Y = 1 / (R + iX)."""
    return np.stack([np.ones(len(mu)), 1 / (mu[:, 0] + 1j * mu[:, 1])], axis=1)


def microphones(count: int = 37) -> tuple[np.ndarray, np.ndarray]:
    """Points (m, 3) [m] on a half circle in the plane of the source.

    And their angles to the flow [rad].
    """
    angle = np.linspace(0.0, np.pi, count)
    return ARRAY * np.column_stack([np.cos(angle), np.sin(angle), np.zeros(count)]), angle


@dataclass(frozen=True, eq=False)
class Rig:
    """The host with its microphones: all that touches the boundary element code."""

    host: Exterior
    x: np.ndarray

    def stacked(self, mu: np.ndarray) -> np.ndarray:
        """A above B at (k, M), (2n, n)."""
        return np.vstack(self.host.reacting(float(mu[0]), float(mu[1])))

    def heard(self, mu: np.ndarray) -> np.ndarray:
        """L above N at (k, M), (2 m, n)."""
        x = self.x / np.array([np.sqrt(1 - mu[1] ** 2), 1.0, 1.0])
        return np.vstack(self.host.observation(x, float(mu[0]), float(mu[1])))

    def load(self, mu: np.ndarray) -> np.ndarray:
        """The right-hand side at (k, M, source)."""
        k, M, source = map(float, mu)
        b = np.sqrt(1 - M * M)
        return self.host.load(monopole(np.array([source / b, OFF_AXIS, 0.0]), k / b), k, M)[:, 0]

    def matrix(self, mu: np.ndarray) -> np.ndarray:
        """A + Y B at all parameters."""
        A, B = np.split(self.stacked(mu[:2]), 2)
        return A + admittance(mu[None, 2:4])[0, 1] * B

    def solve(self, mu: np.ndarray) -> np.ndarray:
        """psi on the surface (n,), by the host alone."""
        return np.linalg.solve(self.matrix(mu), self.load(mu[[0, 1, 4]]))

    def scattered(self, mu: np.ndarray, p: np.ndarray) -> np.ndarray:
        """Pressure at the microphones (m,) from psi on the surface (n,).

        Without the source's own wave.
        """
        L, N = np.split(self.heard(mu[:2]), 2)
        return flow_phase(self.x, mu) * ((L + admittance(mu[None, 2:4])[0, 1] * N) @ p)


def flow_phase(x: np.ndarray, mu: np.ndarray) -> np.ndarray:
    """p / psi = exp(-i k M x / b^2) at points (m, 3): what the flow does to the phase."""
    return np.exp(-1j * mu[0] * mu[1] / (1 - mu[1] ** 2) * x[:, 0])


def clustered(low: float, high: float, count: int) -> np.ndarray:
    """Points of an interval that cluster at its ends."""
    return low + (high - low) * (1 - np.cos(np.linspace(0.0, np.pi, count))) / 2


def pairs(*axes: np.ndarray) -> np.ndarray:
    """All combinations."""
    return np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, len(axes))


def rules(rig: Rig, tol: float) -> tuple[Weights, Weights, Weights]:
    """The rules of operator, load and microphones."""
    body = rig.host.body
    flow = pairs(clustered(1.0, 3.0, 24), clustered(0.0, 0.3, 9))
    reach = 2 * np.hypot(HALF, RADIUS + THICK)
    angle = np.linspace(0.0, np.pi / 2, 9)
    operator = eim_weights(families, flow, pairs(clustered(0.0, reach, 40), angle), tol=tol)
    far = pairs(clustered(ARRAY - 0.5 * reach, ARRAY + 0.5 * reach, 40), angle)
    microphone = eim_weights(distant, flow, far, tol=tol)
    sources = sobol(Box(("k", "M", "s"), BOX.lower[[0, 1, 4]], BOX.upper[[0, 1, 4]]), 512)
    skin = np.column_stack([body.centres, body.cross / (2 * body.areas[:, None])])
    return operator, eim_weights(incident, sources, skin, tol=0.01 * tol), microphone


@dataclass(frozen=True, eq=False)
class Duct:
    """The separated nacelle, and the stability of its operator.

    Operator, load and microphones as sums of the host's samples.
    """

    rig: Rig
    A: Affine
    f: Affine
    L: Affine
    problem: Problem

    def solve(self, mu: np.ndarray) -> np.ndarray:
        """Surface pressure of the separated equation: no call of the host."""
        return np.linalg.solve(self.A(mu), self.f(mu))


def duct(around: int = 12, along: int = 14, tol: float = 1e-7) -> Duct:
    """One assembly of the host for each (k, M) that the operator's rule selects.

    tol : of the rules
    """
    rig = Rig(exterior(nacelle(around, along)), microphones()[0])
    operator, load, microphone = rules(rig, tol)
    wall, listening = (
        Tensor((rule, admittance), ((0, 1), (2, 3))) for rule in (operator, microphone)
    )
    A = Affine(wall, [half for mu in operator.mus for half in np.split(rig.stacked(mu), 2)])
    L = Affine(listening, [half for mu in microphone.mus for half in np.split(rig.heard(mu), 2)])
    f = Affine(Tensor((load,), ((0, 1, 4),)), separate(load, rig.load).terms)
    body, space = rig.host.body, rig.host.body.space()
    stability = inf_sup(A, space, BOX, sobol(BOX, 64, rng=1), sobol(BOX, 24, rng=2), reads=4)
    mesh = Mesh(
        body.points,
        {"triangle": body.triangles},
        {"liner": {"triangle": np.flatnonzero(body.lined)}},
    )
    version = f"{around} {along} {tol}"
    return Duct(
        rig,
        A,
        f,
        L,
        Problem(rig.solve, BOX, space, mesh, A, f, stability=stability, version=version),
    )


def problem(around: int = 12, along: int = 14, tol: float = 1e-7) -> Problem:
    """The nacelle for the pipeline: pressure on its surface."""
    return duct(around, along, tol).problem


def train(made: Duct, operators: int, sources: int, tol: float) -> Basis:
    """POD of block solves: each matrix is factorised once for several sources."""
    columns, mus = [], []
    for mu in sobol(BOX, operators, rng=3):
        block = np.column_stack(
            [np.tile(mu[:4], (sources, 1)), np.linspace(BOX.lower[4], BOX.upper[4], sources)]
        )
        columns.append(
            np.linalg.solve(made.A(mu), np.stack([made.f(row) for row in block], axis=1))
        )
        mus.append(block)
    return pod(
        Snapshots(made.rig.host.body.space(), np.vstack(mus), np.hstack(columns)),
        tol=tol,
        method="full",
    )[0]


def reduce_model(made: Duct, basis: Basis, check: np.ndarray) -> tuple[GalerkinModel, Outputs]:
    """The model with its bound for the host's own equation, and its microphones.

    check : (m, 5) measures what separation leaves
    """
    model = galerkin_model(made.problem, basis)
    rig, space = made.rig, basis.space
    bound = consistent_bound(
        model.bound,
        made.A,
        made.f,
        basis,
        check,
        host_operator=rig.matrix,
        host_load=lambda mu: rig.load(mu[[0, 1, 4]]),
    )
    miss = 0.0
    for mu in check:
        exact = np.tensordot(admittance(mu[None, 2:4])[0], np.split(rig.heard(mu[:2]), 2), axes=1)
        gap = (
            (exact - sum(c * term for c, term in zip(made.L.theta(mu), made.L.terms, strict=True)))
            .conj()
            .T
        )
        sizes = [
            np.sqrt(np.sum(rows.conj() * space.represent(rows)).real)
            for rows in (gap, exact.conj().T)
        ]
        miss = max(miss, 2 * float(sizes[0] / sizes[1]))
    return replace(model, bound=bound), reduced_outputs(made.L, basis, miss=miss)


def main(
    around: int = 12,
    along: int = 14,
    tol: float = 1e-7,
    operators: int = 96,
    fresh: int = 10,
    out: str = "",
    panels: int = 0,
) -> dict[str, object]:
    """Array output errors at `fresh` unseen parameters against the host.

    out : folder of pictures; panels : instead, a hard nacelle of at least so many panels, whose
    matrices are only applied (`cases.nacelle_panels`)
    """
    if panels:
        from cases.nacelle_panels import main as at_size

        return at_size(panels, out=out)
    case = duct(around, along, tol)
    rig, rng = case.rig, np.random.default_rng(5)
    certificate = certify(
        _operator(case),
        rig.stacked,
        rng.uniform(BOX.lower[:2], BOX.upper[:2], (3, 2)),
        tol=100 * tol,
    )
    basis = train(case, operators, 4, 0.01 * tol)
    model, array = reduce_model(case, basis, BOX.from_unit(rng.random((3, 5))))
    mus, rows = BOX.from_unit(rng.random((fresh, 5))), []
    for mu in mus:
        begin = time.process_time()
        p = rig.solve(mu)
        s = rig.scattered(mu, p)
        middle = time.process_time()
        near, bound = heard(model, array, mu)
        end = time.process_time()
        rows.append(
            [np.linalg.norm(s - near), bound, np.linalg.norm(s), middle - begin, end - middle]
        )
    error, bound, size, full, online = np.array(rows).T
    if out:
        pictures(case, model, array, np.array([2.8, 0.25, 1.0, 0.0, 0.1]), Path(out))
        ship_model(out, model, "cases.nacelle", mesh=body_mesh(case))
    return {
        "output_error": float((error / size).max()),
        "output_bound": float((bound / size).max()),
        "speedup": float(full.mean() / np.median(online)),
        "online_ms": 1e3 * float(np.median(online)),
        "full_ms": 1e3 * float(full.mean()),
        "min_effectivity": float((bound / error).min()),
        "dofs": basis.space.n,
        "N": basis.r,
        "d_operator": len(case.A.terms) // 2,
        "d_load": len(case.f.terms),
        "matrix_error": float(certificate.error.max()),
        "parameters": len(BOX.names),
    }


def body_mesh(made: Duct) -> Mesh:
    """The surface of the duct."""
    body = made.rig.host.body
    return Mesh(body.points, {"triangle": body.triangles})


def pictures(
    made: Duct, model: GalerkinModel, array: Outputs, mu: np.ndarray, folder: Path
) -> None:
    """Directivity with three liners; the pressure on the body and around it.

    In the plane of the source, all from the reduced model.
    """
    from rom.plot.curves import directivity
    from rom.plot.pictures import picture

    folder.mkdir(parents=True, exist_ok=True)
    x, angle = microphones()
    levels = {}
    for R, X in ((2.0, 1.0), (0.5, 0.0), (0.5, -1.0)):
        row = np.array([*mu[:2], R, X, mu[4]])
        levels[f"R = {R:g}, X = {X:g}"] = 20 * np.log10(
            np.abs(heard(model, array, row)[0] + direct(x, row))
        )
    title = f"k = {mu[0]:.2f} 1/m, M = {mu[1]:.2f}, source at {mu[4]:.2f} m"
    directivity(
        folder / "directivity.png",
        angle,
        levels,
        label="pressure level at 3 m [dB re 1 Pa]",
        title=title,
    )
    p, body = model.basis.lift(model.predict(mu).coefficients), made.rig.host.body
    points, triangles = plane_around()
    parts = np.array_split(points, len(points) // 500 + 1)
    near = np.concatenate([Rig(made.rig.host, x).scattered(mu, p) for x in parts]) + direct(
        points, mu
    )
    limit = float(np.percentile(np.abs(near.real), 95))
    for name, mesh, pressure, view in (
        (
            "body",
            Mesh(body.points, {"triangle": body.triangles}),
            flow_phase(body.points, mu) * p,
            (0.8, -1.0, 0.6),
        ),
        ("plane", Mesh(points[:, :2], {"triangle": triangles}), near, "auto"),
    ):
        picture(
            folder / f"{name}.png",
            mesh,
            {"pressure": (pressure.real, "Pa")},
            title=title,
            view=view,
            cmap="RdBu_r",
            limits=(-limit, limit),
            width=900,
            zoom=0.9,
        )


def direct(x: np.ndarray, mu: np.ndarray) -> np.ndarray:
    """Pressure of the source alone, of unit psi, at points (m, 3) [m]."""
    k, M, _, _, source = mu
    b = np.sqrt(1 - M * M)
    place = np.array([1 / b, 1.0, 1.0])
    return (
        flow_phase(x, mu)
        * monopole(np.array([source / b, OFF_AXIS, 0.0]), k / b)(x * place, np.zeros_like(x))[0][
            :, 0
        ]
    )


def plane_around(step: float = 0.025) -> tuple[np.ndarray, np.ndarray]:
    """Points and triangles of the plane z = 0 around the duct.

    Without its walls and what is too close to them for the quadrature.
    """
    a, b = np.arange(-1.2, 1.2 + step / 2, step), np.arange(-1.2, 1.2 + step / 2, step)
    points = np.column_stack([pairs(a, b), np.zeros(len(a) * len(b))])
    i, j = (index.ravel() for index in np.indices((len(a) - 1, len(b) - 1)))
    c = i * len(b) + j
    triangles = np.vstack(
        [
            np.column_stack([c, c + len(b), c + 1]),
            np.column_stack([c + 1, c + len(b), c + len(b) + 1]),
        ]
    )
    wall = (points[:, 0] / (HALF + 0.04)) ** 2 + (
        (np.abs(points[:, 1]) - RADIUS) / (THICK + 0.05)
    ) ** 2 < 1
    remaining = triangles[~wall[triangles].any(axis=1)]
    used, back = np.unique(remaining, return_inverse=True)
    return points[used], back.reshape(-1, 3)


def _operator(made: Duct) -> Affine:
    """A above B as one sum over (k, M)."""
    rule, terms = made.A.theta.factors[0], made.A.terms  # type: ignore[attr-defined]
    return Affine(rule, [np.vstack(terms[q : q + 2]) for q in range(0, len(terms), 2)])


def heard(model: GalerkinModel, array: Outputs, mu: np.ndarray) -> tuple[np.ndarray, float]:
    """Scattered pressure at the microphones (m,), and the bound of its error.

    In the Euclidean norm.
    """
    answer = model.predict(mu)
    s, bound = array(mu[None], answer.coefficients[None], np.array([answer.bound]))
    return flow_phase(microphones()[0], mu) * s[0], float(bound[0])


if __name__ == "__main__":
    run(main, units={"online_ms": "ms", "full_ms": "ms"})
