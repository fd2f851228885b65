"""Sound in a lined cabin over a band of frequencies: a few factorisations in place of hundreds.

Linear elements on squares, a cabin 3 m long with seats, cut along its middle; the floor shakes,
roof and seats are lined. K + i k C - k^2 M, time factor exp(i omega t), C of the lining's
admittance. Beside the Krylov space: a POD of snapshots with as many factorisations and with many
more, and the response at the nearest frequency that was solved.

Reference: Bai and Su (2005).
"""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import scipy.sparse as sp
from scipy.sparse.linalg import splu

from rom.affine import Affine
from rom.basis import gram_schmidt
from rom.certified import GalerkinModel, frequency_response, response_operator
from rom.cli.launch import run
from rom.errors import BadInput
from rom.mesh import Mesh
from rom.space import Field, Space
from solvers.sound import REFERENCE, third_octaves, to_level

SIZE = (3.0, 1.2)  # [m]
SEATS = ((0.9, 1.1, 0.7), (2.0, 2.2, 0.6))  # from, to, height [m]
EAR = (0.75, 0.95)
LINING = 0.1  # admittance of the lining, rho c / Z
SPEED = 343.0  # [m/s]
AIR = 1.204  # density [kg/m^3]
BAND = (1.0, 6.0)  # [1/m]


def cabin(h: float) -> tuple[Mesh, sp.csr_array, sp.csr_array, sp.csr_array, np.ndarray]:
    """Mesh, K, C, M and the load of a floor that shakes with 1 m/s^2, squares of side h."""
    nx, ny = round(SIZE[0] / h), round(SIZE[1] / h)
    i, j = (index.ravel() for index in np.indices((nx, ny)))
    x, y = (i + 0.5) * h, (j + 0.5) * h
    seat = np.zeros(len(x), dtype=bool)
    for left, right, height in SEATS:
        seat |= (x > left) & (x < right) & (y < height)
    at = (i * (ny + 1) + j)[~seat]
    cells = np.column_stack([at, at + ny + 1, at + ny + 2, at + 1])
    used, back = np.unique(cells, return_inverse=True)
    cells = back.reshape(-1, 4)
    points = np.column_stack(np.divmod(used, ny + 1)) * h
    line_K, line_M = np.array([[1.0, -1], [-1, 1]]) / h, np.array([[2.0, 1], [1, 2]]) * h / 6
    order = np.array([[0, 0], [1, 0], [1, 1], [0, 1]])
    pick = np.ix_(order[:, 0], order[:, 0]), np.ix_(order[:, 1], order[:, 1])
    local_K = line_K[pick[0]] * line_M[pick[1]] + line_M[pick[0]] * line_K[pick[1]]
    local_M = line_M[pick[0]] * line_M[pick[1]]
    n = len(points)
    sides = np.sort(cells[:, [[0, 1], [1, 2], [2, 3], [3, 0]]].reshape(-1, 2), axis=1)
    edges, count = np.unique(sides, axis=0, return_counts=True)
    edges = edges[count == 1]
    middle = points[edges].mean(axis=1)
    floor = middle[:, 1] < 1e-9
    walls = (middle[:, 0] < 1e-9) | (middle[:, 0] > SIZE[0] - 1e-9)
    lined = edges[~floor & ~walls]
    f = np.bincount(edges[floor].ravel(), minlength=n) * h / 2
    return (
        Mesh(points, {"quad": cells}),
        _assemble(cells, local_K, n),
        _assemble(lined, LINING * line_M, n),
        _assemble(cells, local_M, n),
        f,
    )


def _assemble(cells: np.ndarray, local: np.ndarray, n: int) -> sp.csr_array:
    rows, cols = np.broadcast_arrays(cells[:, :, None], cells[:, None])
    values = np.broadcast_to(local, rows.shape)
    return sp.csr_array(sp.coo_array((values.ravel(), (rows.ravel(), cols.ravel())), shape=(n, n)))


def main(
    h: float = 1 / 60, order: int = 6, tol: float = 1e-5, fresh: int = 150, out: str = ""
) -> dict[str, object]:
    """Errors of the reduced response at `fresh` unseen wavenumbers, relative to the largest.

    h : side of the squares [m]; order : Taylor coefficients of an expansion point; out : folder of
    pictures
    """
    if 2 * np.pi / BAND[1] / h < 6:
        raise BadInput(f"h = {h:g} m gives fewer than 6 points a wavelength; give 0.17 or less")
    mesh, K, C, M, f = cabin(h)
    n = len(f)
    space = Space(M, np.arange(n), fields=(Field("pressure", "Pa", np.arange(n)),))
    train = np.linspace(*BAND, 281)
    begin = time.process_time()
    A = response_operator(K, C, M)
    model, expansion = frequency_response(space, A, f, train, tol=tol, order=order)
    offline = time.process_time() - begin
    ks = np.random.default_rng(3).uniform(*BAND, fresh)
    begin = time.process_time()
    exact = solves(A, f, ks)
    full = (time.process_time() - begin) / fresh
    answer = model.predict(ks[:, None])
    error = space.norm(exact - model.basis.lift(answer.coefficients))
    size = space.norm(exact).max()
    begin = time.process_time()
    for k in ks:
        model.predict(np.array([k]))
    online = (time.process_time() - begin) / fresh
    points = len(expansion.points)
    ratio = np.asarray(answer.bound) / error
    numbers: dict[str, object] = {
        "unknowns": n,
        "N": model.basis.r,
        "factorisations": points,
        "response_error": float(error.max() / size),
        "band_low": float(ratio.min()),
        "band_high": float(ratio.max()),
        "band_holds": int(np.sum(ratio >= 1)),
        "fresh": fresh,
        "online_ms": 1e3 * online,
        "full_ms": 1e3 * full,
        "break_even": offline / full,
        "snapshots_errors": {
            count: snapshots(space, A, f, count, ks, exact) / size
            for count in (points, 2 * points, 5 * points, 20 * points)
        },
        "nearest_error": nearest(space, A, f, expansion.points, ks, exact) / size,
    }
    if out:
        pictures(Path(out), mesh, model)
    return numbers


def solves(A: Affine, f: np.ndarray, ks: np.ndarray) -> np.ndarray:
    """Responses (n, m) at wavenumbers ks."""
    return np.stack([splu(sp.csc_matrix(A(np.array([k])))).solve(f + 0j) for k in ks], axis=1)


def snapshots(
    space: Space, A: Affine, f: np.ndarray, count: int, ks: np.ndarray, exact: np.ndarray
) -> float:
    """Largest error of Galerkin's method on real and imaginary parts of `count` solves."""
    at = np.linspace(*BAND, count + 2)[1:-1]
    U = solves(A, f, at)
    V, _ = gram_schmidt(space, np.hstack([U.real, U.imag]))
    gaps = []
    for k, u in zip(ks, exact.T, strict=True):
        reduced = V.T @ (A(np.array([k])) @ V)
        gaps.append(space.norm(u - V @ np.linalg.solve(reduced, V.T @ f)))
    return float(max(gaps))


def nearest(
    space: Space, A: Affine, f: np.ndarray, at: np.ndarray, ks: np.ndarray, exact: np.ndarray
) -> float:
    """Largest error of the response at the nearest of the wavenumbers `at`."""
    U = solves(A, f, at)
    closest = np.abs(ks[:, None] - at).argmin(axis=1)
    return float(space.norm(exact - U[:, closest]).max())


def ear(mesh: Mesh) -> int:
    """The node nearest to the driver's ear."""
    return int(np.argmin(np.linalg.norm(mesh.points - np.array(EAR), axis=1)))


def pictures(folder: Path, mesh: Mesh, model: GalerkinModel) -> None:
    """Level at the ear over frequency, third octaves, and the pressure in the cabin at one."""
    from rom.plot.curves import line_plot
    from rom.plot.pictures import picture

    folder.mkdir(parents=True, exist_ok=True)
    ks = np.linspace(*BAND, 600)
    f = ks * SPEED / (2 * np.pi)
    a = model.predict(ks[:, None]).coefficients
    p = AIR * (model.basis.modes[ear(mesh)] @ a)
    centre, square = third_octaves(f, np.abs(p) ** 2 / 2)
    inside = (f > centre[0] * 10**-0.05) & (f < centre[-1] * 10**0.05)
    band = np.abs(np.log(f[inside, None] / centre)).argmin(axis=1)
    line_plot(
        folder / "level.png",
        f[inside],
        {
            "at the driver's ear": to_level(p[inside]),
            "third octaves": 10 * np.log10(square / REFERENCE**2)[band],
        },
        xlabel="frequency [Hz]",
        ylabel="level [dB re 20 uPa]",
    )
    at = int(np.argmax(np.abs(p)))
    field = AIR * model.basis.lift(a[:, at])
    picture(
        folder / "cabin.png",
        mesh,
        {"pressure": (field.real, "Pa")},
        title=f"{f[at]:.0f} Hz, floor shakes with 1 m/s^2",
        cmap="RdBu_r",
        limits=(-float(np.abs(field.real).max()), float(np.abs(field.real).max())),
    )


if __name__ == "__main__":
    run(main, units={"online_ms": "ms", "full_ms": "ms"})
