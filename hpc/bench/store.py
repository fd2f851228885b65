"""Commits and reads of samples: ours, joblib.Memory, and h5py as the limit of one file.

CPU milliseconds a sample (user and system), the jobs interleaved; joblib makes nothing durable.
"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import h5py
import joblib
import numpy as np

from hpc.bench._rows import show
from rom.campaign import collect, read

ROUNDS = 3


def cpu() -> float:
    """CPU seconds of this process."""
    times = os.times()
    return times.user + times.system


def ours(folder: Path, u: np.ndarray, mus: np.ndarray) -> tuple[float, float, int]:
    """(commit, read) [s], and bytes of the store."""
    start = cpu()
    collect(lambda mu: mu[0] * u, mus, folder, progress=False)
    middle = cpu()
    read(folder)
    size = sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
    return middle - start, cpu() - middle, size


def by_joblib(folder: Path, u: np.ndarray, mus: np.ndarray) -> tuple[float, float, int]:
    """The same of joblib.Memory: no digest is verified, nothing is made durable."""
    cached = joblib.Memory(folder, verbose=0).cache(scaled, ignore=["u"])
    start = cpu()
    for mu in mus:
        cached(float(mu[0]), u)
    middle = cpu()
    for mu in mus:
        cached(float(mu[0]), u)
    size = sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
    return middle - start, cpu() - middle, size


def by_h5py(folder: Path, u: np.ndarray, mus: np.ndarray) -> tuple[float, float, int]:
    """The same of one file that is appended to and synced: no claim, digest or journal."""
    folder.mkdir()
    path = folder / "all.h5"
    start = cpu()
    with h5py.File(path, "w") as file:
        for k, mu in enumerate(mus):
            file.create_dataset(str(k), data=mu[0] * u)
            file.flush()
            os.fsync(file.id.get_vfd_handle())
    middle = cpu()
    with h5py.File(path) as file:
        for k in range(len(mus)):
            file[str(k)][:]
    return middle - start, cpu() - middle, path.stat().st_size


def scaled(factor: float, u: np.ndarray) -> np.ndarray:
    """A solve that takes no time."""
    return factor * u


ARMS = {"ours": ours, "joblib.Memory": by_joblib, "h5py": by_h5py}


def main() -> None:
    """Samples of 8 kB and of 8 MB."""
    for n, m in ((1000, 300), (1_000_000, 8)):
        u, mus = np.random.default_rng(0).random(n), np.random.default_rng(1).random((m, 1))
        best = {name: (np.inf, np.inf, 0) for name in ARMS}
        for _ in range(ROUNDS):
            for name, arm in ARMS.items():
                with tempfile.TemporaryDirectory() as folder:
                    commit, again, size = arm(Path(folder) / "store", u, mus)
                best[name] = (min(commit, best[name][0]), min(again, best[name][1]), size)
        rows = [
            (name, 1e3 * commit / m, 1e3 * again / m, 8e-9 * n * m / again, size / (8 * n * m))
            for name, (commit, again, size) in best.items()
        ]
        header = ("store", "commit [ms]", "read [ms]", "read [GB/s]", "bytes / numbers'")
        show(f"{m} samples of {8 * n / 1000:g} kB, CPU", header, rows)


if __name__ == "__main__":
    main()
