"""Messages counted on 2 to 64 ranks.

a Gram POD sends one triangle of the Gram matrix, and at most two of its few modes' to make them
orthonormal to the last bit, whatever the number of dofs and ranks.
"""

import numpy as np
import pytest
from threads import on_ranks

from rom.compress.decomposition import pod
from rom.snapshots import Snapshots
from rom.space import euclidean


def decaying(rows, m):
    k = np.arange(1, m + 1)
    return np.sin(np.outer(rows + 1.0, k) / 7) / 2.0**k


def job(n, m, inspect):
    def act(comm):
        rows = np.array_split(np.arange(n), comm.Get_size())[comm.Get_rank()]
        snapshots = Snapshots(euclidean(rows, comm), np.zeros((m, 1)), decaying(rows, m))
        comm.shared.log.append(("begin", 0))
        return inspect(comm, snapshots)

    return act


def since(log):
    return [
        entry
        for entry in log[[k for k, (name, _) in enumerate(log) if name == "begin"][-1] + 1 :]
        if entry[0] != "Barrier"
    ]


def begun_together(act):
    def acted(comm, snapshots):
        comm.Barrier()
        return act(snapshots)

    return acted


@pytest.mark.parametrize("ranks", [2, 3, 8, 64])
@pytest.mark.parametrize("n", [256, 4096])
@pytest.mark.parametrize("m", [5, 12])
def test_a_gram_pod_is_one_allreduce_of_a_triangle(ranks, n, m):
    answers, log = on_ranks(
        ranks, job(n, m, begun_together(lambda snapshots: pod(snapshots, rank=3, method="gram")))
    )
    size, first, *rest = since(log)  # the largest number of the snapshots, then the triangle
    assert (
        size == ("Allreduce", 1)
        and first == ("Allreduce", m * (m + 1) // 2)
        and len(rest) <= 2
        and set(rest) <= {("Allreduce", 3 * 4 // 2)}
    ), since(log)
    alone, s = pod(
        Snapshots(euclidean(n), np.zeros((m, 1)), decaying(np.arange(n), m)), rank=3, method="gram"
    )
    for _, values in answers:
        np.testing.assert_allclose(values[:3], s[:3], rtol=1e-10)
    modes = np.concatenate([basis.modes for basis, _ in answers])
    np.testing.assert_allclose(np.abs(modes.T @ alone.modes), np.eye(3), atol=1e-7)


@pytest.mark.parametrize(("name", "act", "size"), [
    ("inner", lambda s: s.space.inner(s.u, s.u[:, :2]), 8),
    ("gram", lambda s: s.space.gram(s.u), 10), ("norm", lambda s: s.space.norm(s.u), 4),
    ("take", lambda s: s.space.take(s.u, [3, 5]), 8),
])  # fmt: skip
def test_products_norms_and_points_are_one_allreduce(name, act, size):
    _, log = on_ranks(5, job(100, 4, begun_together(act)))
    assert since(log) == [("Allreduce", size)], name
