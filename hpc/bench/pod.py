"""POD of 1,000,000 x 200 float64 with twelve decades of decay.

Ours, numpy, pyMOR, scikit-learn and the SYRK roof of the machine.
"""

from __future__ import annotations

import tempfile
import threading
import time
from pathlib import Path

import numpy as np
from scipy.linalg.blas import dsyrk

from hpc.bench._rows import seconds, show
from rom.compress.decomposition import pod
from rom.snapshots import Snapshots
from rom.space import euclidean


def data(n: int, m: int, rng: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """U = G diag(s) Z^T with G Gaussian / sqrt(n), so that s is known to about sqrt(m / n)."""
    gen = np.random.default_rng(rng)
    s = np.logspace(0, -12, m)
    mix = s[:, None] * np.linalg.qr(gen.standard_normal((m, m)))[0] / np.sqrt(n)
    U = np.empty((n, m))
    for rows in np.array_split(np.arange(n), 64):
        U[rows] = gen.standard_normal((rows.size, m)) @ mix
    return U, s


def anonymous_peak(work) -> tuple[float, float]:
    """(seconds, peak anonymous memory above the start [MiB]).

    Pages of mapped files are not counted.
    """
    peak, done = [0], threading.Event()

    def watch() -> None:
        while not done.wait(0.01):
            peak[0] = max(peak[0], rss_anonymous())

    start = rss_anonymous()
    thread = threading.Thread(target=watch)
    thread.start()
    begin = time.perf_counter()
    work()
    elapsed = time.perf_counter() - begin
    done.set()
    thread.join()
    return elapsed, (peak[0] - start) / 2**20


def rss_anonymous() -> int:
    """RssAnon of this process in bytes."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return 1024 * int(next(line.split()[1] for line in lines if line.startswith("RssAnon")))


def main(n: int = 1_000_000, m: int = 200, r: int = 20) -> None:
    """Print the table; CPU seconds, the least of the repeats."""
    U, _ = data(n, m)
    space = euclidean(n)
    snapshots = Snapshots(space, np.arange(m, dtype=float)[:, None], U)
    roof, _ = seconds(lambda: dsyrk(1.0, U.T))
    product, _ = seconds(lambda: [block.T @ block for block in np.array_split(U, 32)])
    optimal = None
    rows = [("SYRK roof (dsyrk, whole array)", roof, 1.0, "", "")]

    def add(name: str, time_: float, modes: np.ndarray) -> None:
        nonlocal optimal
        energy = np.einsum("ij,ij->", U, U)
        error = np.sqrt(
            sum(
                np.sum((b - v @ (modes.T @ U)) ** 2)
                for b, v in zip(np.array_split(U, 16), np.array_split(modes, 16), strict=True)
            )
            / energy
        )
        optimal = optimal or error
        rows.append(
            (name, time_, time_ / gram, error / optimal, np.abs(modes.T @ modes - np.eye(r)).max())
        )

    gram, (basis, _) = seconds(lambda: pod(snapshots, rank=r, method="gram"), 5)
    add("ours, gram", gram, basis.modes)
    rows.append(
        (
            "ours, gram: the product alone",
            product,
            product / gram,
            f"{roof / product:.0%} of the roof",
            "",
        )
    )
    full, (basis, _) = seconds(lambda: pod(snapshots, rank=r, method="full"))
    add("ours, full accuracy", full, basis.modes)
    svd, (W, _, _) = seconds(lambda: np.linalg.svd(U, full_matrices=False), 1)
    add("numpy SVD", svd, W[:, :r])
    del W
    rows += peers(U, r, add)
    show(
        f"POD {n} x {m}, rank {r}",
        ("method", "CPU s", "x gram", "error / optimal", "orthogonality defect"),
        rows,
    )
    print(
        f"full accuracy: {full / gram:.2f} x gram (asked <= 3), {svd / full:.1f} x faster than "
        "numpy SVD (asked >= 5)"
    )
    streamed(U, r)


def peers(U: np.ndarray, r: int, add) -> list[tuple]:
    """pyMOR and scikit-learn where they are installed (make bench installs them)."""
    missing = []
    try:
        from pymor.algorithms.pod import pod as pymor_pod
        from pymor.core.logger import set_log_levels
        from pymor.vectorarrays.numpy import NumpyVectorSpace

        set_log_levels({"pymor": "ERROR"})
        array = NumpyVectorSpace(len(U)).make_array(U.copy())
        took, (modes, _) = seconds(lambda: pymor_pod(array, modes=r), 1)
        V = modes.to_numpy()
        add("pyMOR pod", took, V if V.shape[0] == len(U) else V.T)
    except ImportError:
        missing.append(("pyMOR", "not installed", "", "", ""))
    from sklearn.utils.extmath import randomized_svd

    took, (W, _, _) = seconds(lambda: randomized_svd(U, r, random_state=0), 1)
    add("scikit-learn randomized_svd", took, W)
    return missing


def streamed(U: np.ndarray, r: int, budget: int = 2**28) -> None:
    """The same POD from disk under a memory budget."""
    with tempfile.NamedTemporaryFile() as file:
        mapped = np.memmap(file, dtype=float, mode="w+", shape=U.shape)
        mapped[:] = U
        mapped.flush()
        lazy = Snapshots(
            euclidean(len(U)),
            np.arange(U.shape[1], dtype=float)[:, None],
            np.memmap(file.name, dtype=float, mode="r", shape=U.shape),
        )
        modes = len(U) * r * 8 / 2**20
        for method in ("gram", "full"):
            elapsed, peak = anonymous_peak(
                lambda method=method: pod(lazy, rank=r, method=method, memory_budget=budget)
            )
            print(
                f"streamed from disk, {method}: {elapsed:.2f} s wall, {peak:.0f} MiB anonymous "
                f"(asked <= {budget / 2**20:.0f}; modes {modes:.0f})"
            )


if __name__ == "__main__":
    main()
