"""Results of Ansys: the file that the wheel of the reader ships, against the physics of it.

A square bar of 40 SOLID186, one end held, its first six modes: rho, E and nu stand in the file.
Where the reader is not installed, what is asked for is named.
"""

import importlib.util

import numpy as np
import pytest

from rom.errors import ForeignFile, MissingExtra
from rom.io import read_frames
from rom.mesh import Mesh

E, NU, RHO = 16.9e6, 0.31, 4.1408e-4  # psi, 1, lbf s2/in4, as the file's materials say
FREQUENCIES = [7366.49503969, 7366.49503969, 11504.89523664, 17285.70459456, 17285.70459457,
    20137.19299035]  # fmt: skip
has_reader = importlib.util.find_spec("ansys") is not None and (
    importlib.util.find_spec("ansys.mapdl.reader") is not None
)
CORNERS = np.array([[x, y, z] for z in (-1, 1) for x, y in ((-1, -1), (1, -1), (1, 1), (-1, 1))])
EDGES = [(0, 1), (1, 2), (2, 3), (3, 0), (4, 5), (5, 6), (6, 7), (7, 4), (0, 4), (1, 5), (2, 6),
    (3, 7)]  # fmt: skip
NODES = np.vstack([CORNERS, [(CORNERS[a] + CORNERS[b]) / 2 for a, b in EDGES]])


def monomials(x):
    """The twenty that span the serendipity element, (q, 20), and their gradients (q, 20, 3)."""
    powers = [(i, j, k) for i in range(3) for j in range(3) for k in range(3)
        if (i == 2) + (j == 2) + (k == 2) < 2]  # fmt: skip
    p = np.array(powers)
    values = np.prod(x[:, None] ** p, axis=2)
    slopes = []
    for axis in range(3):
        lower = np.maximum(p - np.eye(3, dtype=int)[axis], 0)
        slopes.append(p[:, axis] * np.prod(x[:, None] ** lower, axis=2))
    return values, np.stack(slopes, axis=2)


def gauss(n):
    x, w = np.polynomial.legendre.leggauss(n)
    grid = np.stack(np.meshgrid(x, x, x, indexing="ij"), axis=-1).reshape(-1, 3)
    return grid, np.prod(np.stack(np.meshgrid(w, w, w, indexing="ij")), axis=0).ravel()


def energies(mesh, u):
    """u K u and u M u of twenty-node bricks: K by 2 x 2 x 2 points, as SOLID186, M by 3 x 3 x 3."""
    inverse = np.linalg.inv(monomials(NODES)[0])
    cells = mesh.cells["hexahedron20"]
    lame, shear = E * NU / (1 + NU) / (1 - 2 * NU), E / 2 / (1 + NU)
    total = []
    for n in (2, 3):
        points, weights = gauss(n)
        values, slopes = monomials(points)
        N, dN = values @ inverse, np.einsum("qmd,ma->qad", slopes, inverse)
        jacobian = np.einsum("qad,eai->eqid", dN, mesh.points[cells])
        size = np.linalg.det(jacobian) * weights
        assert size.min() > 0
        if n == 3:
            moved = np.einsum("qa,eai->eqi", N, u[cells])
            total.append(RHO * np.einsum("eqi,eqi,eq->", moved, moved, size))
            continue
        grad = np.einsum("qad,eqdj->eqaj", dN, np.linalg.inv(jacobian))
        strain = np.einsum("eqaj,eai->eqij", grad, u[cells])
        strain = (strain + strain.swapaxes(2, 3)) / 2
        trace = np.einsum("eqii->eq", strain)
        density = lame * trace**2 + 2 * shear * np.einsum("eqij,eqij->eq", strain, strain)
        total.append(np.sum(density * size))
    return total


@pytest.mark.skipif(not has_reader, reason="needs ansys-mapdl-reader")
def test_modes_have_the_frequencies_of_the_file():
    """Points, order of nodes and displacements at once: u K u / u M u = (2 pi f)^2."""
    from ansys.mapdl.reader import examples

    mesh, frames = read_frames(examples.rstfile)
    states = list(frames)
    assert list(mesh.cells) == ["hexahedron20"] and len(mesh.points) == 321
    assert [state.t for state in states] == [None] * 6  # modes have no times
    for state, f in zip(states, FREQUENCIES, strict=True):
        stiff, mass = energies(mesh, state.points["displacement"][0])
        assert abs(np.sqrt(stiff / mass) / (2 * np.pi * f) - 1) < 1e-4


@pytest.mark.skipif(not has_reader, reason="needs ansys-mapdl-reader")
def test_stress_follows_strain_by_hooke_and_is_marked_where_it_is_known():
    from ansys.mapdl.reader import examples

    mesh, frames = read_frames(examples.rstfile)
    frame = next(frames)
    stress, strain = (frame.points[name][0] for name in ("stress", "elastic strain"))
    mask = frame.known["points:stress"]
    corners = np.unique(mesh.cells["hexahedron20"][:, :8])
    assert np.array_equal(np.flatnonzero(mask), corners)
    assert np.isnan(stress[~mask]).all()
    lame, shear = E * NU / (1 + NU) / (1 - 2 * NU), E / 2 / (1 + NU)
    e, s = strain[mask], stress[mask]
    exact = np.hstack(
        [2 * shear * e[:, :3] + lame * e[:, :3].sum(axis=1)[:, None], shear * e[:, 3:]]
    )
    assert np.abs(s - exact).max() < 1e-6 * np.abs(s).max()


@pytest.mark.skipif(not has_reader, reason="needs ansys-mapdl-reader")
def test_a_file_that_is_cut_short_is_told(tmp_path):
    from ansys.mapdl.reader import examples

    with open(examples.rstfile, "rb") as file:
        (tmp_path / "a.rst").write_bytes(file.read(200_000))
    with pytest.raises(ForeignFile, match=r"a\.rst"):
        list(read_frames(tmp_path / "a.rst")[1])


@pytest.mark.skipif(has_reader, reason="is about where it is missing")
def test_what_reads_it_is_named(tmp_path):
    (tmp_path / "a.rst").write_bytes(bytes(1000))
    with pytest.raises(MissingExtra, match=r"rom-platform\[ansys\]"):
        read_frames(tmp_path / "a.rst")


def test_the_element_of_this_test_is_right():
    """A brick stretched by 1: energies by hand."""
    mesh = Mesh((NODES + 1) / 2, {"hexahedron20": np.arange(20)[None]})
    u = np.column_stack([mesh.points[:, 0], np.zeros((20, 2))])
    stiff, mass = energies(mesh, u)
    assert abs(stiff / (E * (1 - NU) / (1 + NU) / (1 - 2 * NU)) - 1) < 1e-12
    assert abs(mass / (RHO / 3) - 1) < 1e-12
