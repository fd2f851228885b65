"""The same answers on 1, 2, 3 and 4 ranks as in serial: shared interface dofs, an empty rank, any
partition.
"""

import numpy as np
import pytest
import scipy.sparse as sp
from parallel import compare, on_ranks, written

from cases.thermal_block import problem
from rom.affine import Affine
from rom.certified import galerkin_model, reduced_basis
from rom.compress.decomposition import pod
from rom.design.designs import sobol
from rom.problem import Problem
from rom.shapes.simplex import stiffness
from rom.snapshots import Snapshots
from rom.space import Space, euclidean


def partitioned(comm) -> Problem:
    """The thermal block with its triangles dealt out by angle; the last of four ranks gets none."""
    block = problem(2, 10)
    if comm is None:
        return block
    mesh, size = block.mesh, comm.Get_size()
    centres = mesh.points[mesh.cells["triangle"]].mean(axis=1)
    angle = np.arctan2(centres[:, 1] - 0.47, centres[:, 0] - 0.52) / (2 * np.pi) + 0.5
    owner = np.minimum((angle * min(size, 3)).astype(int), min(size, 3) - 1)
    mine = owner == comm.Get_rank()
    rows = np.unique(mesh.cells["triangle"][mine])
    blocks = np.minimum((centres * 2).astype(int), 1) @ [1, 2]
    inside = sp.diags_array((np.abs(mesh.points - 0.5) < 0.5 - 1e-12).all(axis=1).astype(float))
    shares = []
    for q in range(4):
        triangles = mesh.cells["triangle"][mine & (blocks == q)]
        whole = sp.csr_array(inside @ stiffness(mesh.points, triangles) @ inside)
        shares.append(whole[rows][:, rows])
    once = euclidean(rows, comm).product
    f = block.f.terms[0][rows] * once
    fixed = sp.diags_array((1.0 - inside.diagonal()[rows]) * once)
    space = Space(sp.csr_array(sum(shares) + fixed), rows, comm)

    def solve(mu):
        return block.solve(mu)[rows]

    return Problem(
        solve,
        block.box,
        space,
        mesh,
        Affine(block.A.theta, shares),
        Affine(block.f.theta, [f]),
        stability=block.stability,
    )


def answers(comm) -> dict:
    """Everything that must not depend on the ranks."""
    block = partitioned(comm)
    mus, fresh = sobol(block.box, 16), block.box.from_unit(np.random.default_rng(2).random((5, 4)))
    u = np.stack([block.solve(mu) for mu in mus], axis=1)
    found: dict = {"dofs": block.space.size}
    for method, rank in (("gram", 6), ("full", 12), ("random", 6)):
        for center in (False, True):
            basis, s = pod(Snapshots(block.space, mus, u), rank=rank, method=method, center=center)
            answer = galerkin_model(block, basis).predict(fresh)
            lifted = block.space.gather(basis.lift(answer.coefficients))
            found[f"{method} {center}"] = {
                "s": s[:6].tolist(),
                "modes": block.space.gather(basis.modes[:, :4]).ravel().tolist(),
                "lifted": lifted.ravel().tolist(),
                "bound": answer.bound.tolist(),
                "defect": float(np.abs(block.space.gram(basis.modes) - np.eye(basis.r)).max()),
            }
    model, history = reduced_basis(block, sobol(block.box, 32), tol=1e-6)
    found["greedy"] = {
        "chosen": [step.mu.tolist() for step in history],
        "bound": model.predict(fresh).bound.tolist(),
    }
    peak = block.space.peak(u[:, 0])
    found["points"] = {
        "peak": peak,
        "taken": block.space.take(u, np.array([peak, 5, 60])).ravel().tolist(),
    }
    return found


@pytest.mark.parametrize("ranks", [1, 2, 3, 4])
def test_ranks_agree_with_serial(ranks, tmp_path):
    compare(answers(None), on_ranks(__file__, ranks, tmp_path / "answers.json"), close)


def close(two, one, where):
    scale = np.abs(np.asarray(one, dtype=float)).max()
    atol = 1e-9 if "/random" in where and "modes" in where else 1e-12
    np.testing.assert_allclose(
        two,
        one,
        rtol=1e-9 if where.endswith("bound") else 1e-12,
        atol=atol * max(scale, 1.0),
        err_msg=where,
    )


if __name__ == "__main__":
    written(answers)
