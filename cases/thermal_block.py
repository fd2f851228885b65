"""The thermal block: -div(mu grad u) = 1 on the unit square, u = 0 at its edge.

One conductivity per block. The classical certified reduced basis benchmark (Rozza, Huynh, Patera
2008): P1 on a criss-cross grid, strong greedy bound by min-theta, errors and bounds in the energy
norm at mu = 1.
"""

from __future__ import annotations

import time
from functools import partial

import numpy as np
import scipy.sparse as sp
from scipy.sparse.linalg import splu

from rom.affine import Affine, Monomials
from rom.certified import MinTheta, recompress, reduced_basis
from rom.cli.launch import run
from rom.cli.ship import ship_model
from rom.design.designs import grid, sobol
from rom.mesh import Mesh
from rom.parameters import Box
from rom.problem import Problem
from rom.shapes.simplex import lumped_mass, stiffness
from rom.space import Field, Space
from rom.study.comparison import study


def crisscross(k: int) -> Mesh:
    """k x k squares, each cut by both diagonals."""
    x = np.linspace(0.0, 1.0, k + 1)
    corners = np.stack(np.meshgrid(x, x, indexing="ij"), axis=-1).reshape(-1, 2)
    middles = np.stack(
        np.meshgrid(x[:-1] + 0.5 / k, x[:-1] + 0.5 / k, indexing="ij"), axis=-1
    ).reshape(-1, 2)
    i, j = (index.ravel() for index in np.indices((k, k)))
    a, b, c, d = (
        i * (k + 1) + j,
        (i + 1) * (k + 1) + j,
        (i + 1) * (k + 1) + j + 1,
        i * (k + 1) + j + 1,
    )
    m = len(corners) + i * k + j
    return Mesh(
        np.vstack([corners, middles]),
        {
            "triangle": np.vstack(
                [np.column_stack(t) for t in ((a, b, m), (b, c, m), (c, d, m), (d, a, m))]
            )
        },
    )


def problem(blocks: int = 2, cells: int = 50) -> Problem:
    """blocks x blocks conductivities in [0.1, 1] [W/m/K].

    On a grid of `cells` x `cells` squares.
    """
    mesh = crisscross(cells)
    triangles = mesh.cells["triangle"]
    centres = mesh.points[triangles].mean(axis=1)
    block = np.minimum((centres * blocks).astype(int), blocks - 1) @ [1, blocks]
    free = np.flatnonzero((np.abs(mesh.points - 0.5) < 0.5 - 1e-12).all(axis=1))
    fixed = sp.diags_array(np.where(np.isin(np.arange(len(mesh.points)), free), 0.0, 1.0))
    inside = sp.diags_array(1.0 - fixed.diagonal())
    terms = [
        inside @ stiffness(mesh.points, triangles[block == q]) @ inside for q in range(blocks**2)
    ]
    load = inside @ lumped_mass(mesh.points, triangles)
    A = Affine(
        Monomials(np.ones(blocks**2), np.eye(blocks**2)), [sp.csr_array(term) for term in terms]
    )
    f = Affine(Monomials(np.ones(1), np.zeros((1, blocks**2))), [load])
    names = tuple(f"k{i}{j}" for j in range(blocks) for i in range(blocks))
    box = Box(names, np.full(blocks**2, 0.1), np.ones(blocks**2), ("W/m/K",) * blocks**2)
    space = Space(
        sp.csr_array(A(np.ones(blocks**2)) + fixed),
        np.arange(len(mesh.points)),
        fields=(Field("temperature", "K", np.arange(len(mesh.points))),),
    )
    solve = partial(_solve, A, f, fixed)
    return Problem(solve, box, space, mesh, A, f, stability=MinTheta(A.theta, np.ones(blocks**2)))


def _solve(A: Affine, f: Affine, fixed: sp.sparray, mu: np.ndarray) -> np.ndarray:
    return splu(sp.csc_array(A(mu) + fixed)).solve(f(mu))


def main(
    blocks: int = 2,
    cells: int = 50,
    rank: int = 16,
    tol: float = 1e-9,
    fresh: int = 200,
    out: str | None = None,
) -> dict[str, float]:
    """Greedy on 256 training parameters, recompressed to `rank`, then checked.

    512 random training parameters for 3 x 3 blocks; checked on fresh ones.
    """
    thermal = problem(blocks, cells)
    assert thermal.box is not None
    rng = np.random.default_rng(1)
    train = (
        grid(thermal.box, [4] * blocks**2)
        if blocks == 2
        else thermal.box.from_unit(rng.random((512, blocks**2)))
    )
    model, history = reduced_basis(thermal, train, tol=tol, rank=2 * rank)
    if rank < model.basis.r:
        model = recompress(thermal, model, np.vstack([train, sobol(thermal.box, 4096)]), rank=rank)
    table = study(model, thermal.solve, thermal.box.from_unit(rng.random((fresh, blocks**2))))
    queries = thermal.box.from_unit(rng.random((1000, blocks**2)))
    batch = np.inf
    for _ in range(20):
        begin = time.perf_counter()
        model.predict(queries)
        batch = min(batch, time.perf_counter() - begin)
    numbers = table.summary()
    if out is not None:
        ship_model(out, model, "cases.thermal_block", mesh=thermal.mesh)
    return {
        "dofs": model.basis.space.size,
        "r": model.basis.r,
        "solves": len(history),
        "norm": float(table.norm.max()),
        "max_error_energy": numbers["max_error"],
        "max_bound": numbers["max_bound"],
        "min_effectivity": numbers["min_effectivity"],
        "max_effectivity": numbers["max_effectivity"],
        "batch_us": 1e3 * batch,
        "full_ms": 1e3 * numbers["full_s"],
        "speedup": numbers["speedup"],
    }


if __name__ == "__main__":
    run(
        main,
        units={"batch_us": "us per query", "full_ms": "ms", "max_error_energy": "K (energy norm)"},
    )
