"""Updates against recomputing: errors, CPU seconds of peers over ours.

Recomputing by one Gram matrix and by an SVD, scikit-learn's IncrementalPCA and IncSVD, and what is
asked of them.
"""

from __future__ import annotations

import contextlib
import io
from functools import partial

import numpy as np
import scipy.sparse as sp

from hpc.bench._rows import seconds, show
from rom.basis import Basis
from rom.compress import RunningPod, extend_svd, pod, update
from rom.snapshots import Snapshots
from rom.space import Space, euclidean


def dense(
    n: int = 50_000,
    m: int = 240,
    r: int = 20,
    arrivals: tuple[int, ...] = (1, 5, 20),
    offset: float = 0.0,
) -> list[tuple]:
    """Snapshots arrive b at a time: one row for each b and method.

    (b, method, CPU s, times ours, asked, relative error, certificate). IncrementalPCA and
    our centred state keep a mean beside r - 1 components, so that all hold r vectors;
    recomputing is our POD by one Gram matrix, once per arrival, of all snapshots so far, and, for
    20 at a time, the SVD of LAPACK in its place. Ours is multiplied out once, at the end. The
    least of five runs for 20 at a time, of one for fewer.
    offset : size of the mean of the snapshots, beside leading modes of 1
    """
    gen = np.random.default_rng(0)
    mix = np.logspace(0, -6, m)[:, None] * np.linalg.qr(gen.standard_normal((m, m)))[0]
    U = np.asfortranarray(np.linalg.qr(gen.standard_normal((n, m)))[0] @ mix)
    direction = gen.standard_normal(n)
    U += offset * direction[:, None] / np.linalg.norm(direction) / np.sqrt(m)
    space, rows = euclidean(n), []
    for b in arrivals:
        repeats = 5 if b >= 20 else 1
        ours, (state, basis) = seconds(partial(_running, U, b, r, space), repeats)
        V = basis.modes
        rows.append((b, "rom running POD", ours, 1.0, "", _error(U, V), state.error))
        time, (state, basis) = seconds(partial(_running, U, b, r - 1, space, True), repeats)
        gap = np.linalg.norm(U - basis.lift(basis.coefficients(U))) / np.linalg.norm(U)
        of_all = state.error * np.sqrt(state.energy) / np.linalg.norm(U)
        rows.append((b, "rom, mean beside it", time, time / ours, "", float(gap), float(of_all)))
        time, fitted = seconds(partial(_incremental_pca, U, b, r), repeats)
        X = U.T - fitted.mean_
        gap = np.linalg.norm(X - (X @ fitted.components_.T) @ fitted.components_) / np.linalg.norm(
            U
        )
        rows.append((b, "scikit-learn IncrementalPCA", time, time / ours, 5.0, float(gap), ""))
        time, basis = seconds(partial(_again, U, b, r, space), repeats)
        rows.append(
            (b, "rom POD again (Gram)", time, time / ours, 5.0, _error(U, basis.modes), basis.error)
        )
        if b >= 20:
            time, V = seconds(partial(_svd_again, U, b, r), 1)
            rows.append((b, "SVD again", time, time / ours, 5.0, _error(U, V), ""))
    return rows


def _running(
    U: np.ndarray, b: int, r: int, space: Space, center: bool = False
) -> tuple[RunningPod, Basis]:
    first = r + 1 if center else r
    state = update(RunningPod(space, center=center), U[:, :first], rank=r)
    for j in range(first, U.shape[1], b):
        state = update(state, U[:, j : j + b], rank=r)
    return state, state.basis()


def _incremental_pca(U: np.ndarray, b: int, r: int):  # type: ignore[no-untyped-def]
    from sklearn.decomposition import IncrementalPCA

    machine = IncrementalPCA(r - 1).partial_fit(U[:, :r].T)
    for j in range(r, U.shape[1], b):
        machine.partial_fit(U[:, j : j + b].T)
    return machine


def _again(U: np.ndarray, b: int, r: int, space: Space) -> Basis:
    for j in (*range(r, U.shape[1], b), U.shape[1]):
        basis, _ = pod(Snapshots(space, np.zeros((j, 1)), U[:, :j]), rank=r, method="gram")
    return basis


def _svd_again(U: np.ndarray, b: int, r: int) -> np.ndarray:
    for j in (*range(r, U.shape[1], b), U.shape[1]):
        V = np.linalg.svd(U[:, :j], full_matrices=False)[0][:, :r]
    return V


def _error(U: np.ndarray, V: np.ndarray) -> float:
    return float(np.linalg.norm(U - V @ (V.T @ U)) / np.linalg.norm(U))


def topics(rows: int, columns: int, rng: int = 0, topics: int = 40) -> sp.csr_array:
    """Rows that are sums of two of many sparse topics of 30 entries.

    And five entries of noise: about 65 entries each.
    """
    gen = np.random.default_rng(rng)
    words = sp.random_array(
        (topics, columns),
        density=30 / columns,
        rng=gen,
        format="csr",
        data_sampler=lambda size: gen.uniform(0.5, 1.5, size),
    )
    share = np.zeros((rows, topics))
    np.put_along_axis(
        share, gen.integers(topics, size=(rows, 2)), gen.uniform(0.2, 1.0, (rows, 2)), axis=1
    )
    noise = sp.random_array(
        (rows, columns),
        density=5 / columns,
        rng=gen,
        format="csr",
        data_sampler=lambda size: gen.uniform(-0.3, 0.3, size),
    )
    return sp.csr_array(sp.csr_array(share) @ words + noise)


PAIRS = [
    (1, "exact", "ZhaSimon", {}),
    (10, "exact", "ZhaSimon", {}),
    (100, "exact", "ZhaSimon", {}),
    (100, "lanczos", "GKL", {"l": 20}),
    (500, "lanczos", "GKL", {"l": 20}),
    (500, "power", "RPI", {"l": 20, "t": 3}),
]


def sparse(
    rows: int = 6000, columns: int = 20_000, k: int = 32, start: int = 2000, repeats: int = 1
) -> list[tuple]:
    """Sparse rows are appended b at a time: one row for each b and method.

    (b, method, CPU s, times ours, asked, relative error, certificate).
    """
    from IncSVD.EvolvingMatrix import EvolvingMatrix

    A = topics(rows, columns)
    table: list[tuple] = []

    def theirs(blocks, method, how):  # type: ignore[no-untyped-def]
        with contextlib.redirect_stdout(io.StringIO()):
            matrix = EvolvingMatrix(sp.csr_matrix(A[:start]), k, sparse=True, method=method)
            for block in blocks:
                matrix.add_row(block, **how)
            return matrix.Uk, matrix.Sigmak, matrix.Vk

    for b, method, name, how in PAIRS:
        blocks = [A[i : i + b] for i in range(start, rows, b)]
        ours, found = seconds(
            partial(
                extend_svd, A[:start], blocks, k, method=method, width=how.get("l", 10), sweeps=3
            ),
            repeats,
        )
        table.append(
            (b, f"rom {method}", ours, 1.0, "", _gap(A, found.U, found.s, found.V), found.error)
        )
        time, (U, s, V) = seconds(
            partial(theirs, [sp.csr_matrix(block) for block in blocks], name, how), repeats
        )
        table.append((b, f"IncSVD {name}", time, time / ours, 1.0, _gap(A, U, s, V), ""))
    return table


def _gap(A: sp.csr_array, U: np.ndarray, s: np.ndarray, V: np.ndarray) -> float:
    """|A - U diag(s) V^T|_F / |A|_F without forming the product."""
    size = float(A.data @ A.data)
    square = size - 2.0 * np.sum((A @ V) * U * s) + np.sum((U.T @ U) * np.outer(s, s) * (V.T @ V))
    return float(np.sqrt(max(square, 0.0) / size))


def main() -> None:
    """Print both tables."""
    header = (
        "arrive at once",
        "method",
        "CPU s",
        "x ours",
        "asked",
        "relative error",
        "certificate",
    )
    for r, offset in ((20, 0.0), (10, 0.0), (10, 1.0)):
        title = f"dense: 50,000 x 240, {r} vectors kept, mean of size {offset:g} beside modes of 1"
        show(title, header, dense(r=r, offset=offset))
    show("sparse: 6,000 x 20,000, rank 32", header, sparse())


if __name__ == "__main__":
    main()
