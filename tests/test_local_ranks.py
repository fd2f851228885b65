"""Local bases and updates on 1, 2, 3 and 4 ranks as in serial.

Rows are dealt out, the last of four ranks gets none.
"""

import numpy as np
import pytest
import scipy.sparse as sp
from parallel import compare, on_ranks, written

from rom.basis import Basis
from rom.compress import (
    RunningPod,
    downdate,
    hierarchical,
    merge_blocks,
    merge_pods,
    pod,
    update,
)
from rom.local.bases import local_bases
from rom.local.dissimilarity import sines
from rom.local.run_angles import between_runs
from rom.snapshots import Snapshots
from rom.space import Space

N = 90


def dealt(comm) -> tuple[Space, np.ndarray]:
    """A stiff inner product on N dofs, this rank's share of its springs, and its rows.

    Dofs between ranks lie on both.
    """
    size, rank = (1, 0) if comm is None else (comm.Get_size(), comm.Get_rank())
    parts = np.array_split(np.arange(N - 1), min(size, 3))
    springs = parts[rank] if rank < len(parts) else np.zeros(0, dtype=int)
    rows = np.union1d(springs, springs + 1)
    i = np.searchsorted(rows, springs)
    D = sp.csr_array(
        (
            np.tile([1.0, -1.0], len(i)),
            (np.repeat(np.arange(len(i)), 2), np.stack([i, i + 1], 1).ravel()),
        ),
        (len(i), len(rows)),
    )
    once = 0.5 * (np.isin(rows, springs) * 1.0 + np.isin(rows, springs + 1))
    return Space(sp.csr_array(D.T @ D + sp.diags_array(once + (rows == 0) * 0.5)), rows, comm), rows


def data() -> tuple[np.ndarray, np.ndarray]:
    """Samples of three planes with noise, and what tells them apart."""
    gen = np.random.default_rng(4)
    labels = np.repeat(np.arange(3), 12)
    U = np.hstack(
        [
            np.linalg.qr(gen.standard_normal((N, 3)))[0] @ gen.standard_normal((3, 12))
            for _ in range(3)
        ]
    )
    return U + 1e-2 * gen.standard_normal(U.shape), np.column_stack(
        [labels + 0.3 * gen.random(36), gen.random(36)]
    )


def answers(comm) -> dict:
    """Everything that must not depend on the ranks."""
    (space, rows), (whole, mu) = dealt(comm), data()
    U = whole[rows]
    blocks = [U[:, j : j + 4] for j in range(0, 36, 4)]
    snapshots = Snapshots(space, mu, U)
    local = local_bases(snapshots, 3, 2)
    runs = [pod(Snapshots(space, mu[:4], B), rank=2)[0] for B in blocks]
    merging = merge_blocks(blocks, 0.1, space)
    state = RunningPod(space)
    for B in blocks:
        state = update(state, B, rank=6)
    less = downdate(update(RunningPod(space), U[:, :12]), U[:, 3])
    both = merge_pods(state, update(RunningPod(space), U[:, :5], tol=1e-3), tol=1e-2)
    tree = hierarchical(blocks, space, 5e-2)
    return {
        "sines": sines(snapshots).tolist(),
        "runs": between_runs(runs, "mutual").tolist(),
        "labels": local.labels.tolist(),
        "misses": local.projection_errors(U).tolist(),
        "merged": [*merging.labels.tolist(), *merging.ranks.tolist(), *merging.bounds.tolist()],
        "bases": [seen(space, b, U) for b in merging.bases if b is not None],
    } | {
        name: {"s": x.s.tolist(), "error": x.error, "missed": seen(space, x.basis(), U)}
        for name, x in (
            ("running", state),
            ("downdated", less),
            ("joined", both),
            ("hierarchical", tree),
        )
    }


def seen(space: Space, basis: Basis, U: np.ndarray) -> list[float]:
    """Projection errors of all samples: they know the span and no signs."""
    return space.norm(U - basis.lift(basis.coefficients(U))).tolist()


@pytest.mark.parametrize("ranks", [1, 2, 3, 4])
def test_local_bases_and_updates_agree_with_serial(ranks, tmp_path):
    serial, parallel = answers(None), on_ranks(__file__, ranks, tmp_path / "answers.json")
    assert serial.pop("labels") == parallel.pop("labels")
    compare(serial, parallel, close)


def close(two, one, where):
    np.testing.assert_allclose(
        two, one, rtol=1e-7, atol=1e-7, err_msg=where
    )  # sines are blind below 1e-8


if __name__ == "__main__":
    written(answers)
