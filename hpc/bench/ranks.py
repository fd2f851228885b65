"""Memory of predict and export on two ranks beside that of one process.

A model of 1,000,000 rows x 20 modes: peak anonymous memory beyond the interpreter's, summed over
the ranks; asked: at most 1.3 x the serial one.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

import numpy as np

from hpc.bench._rows import show
from hpc.bench.pod import rss_anonymous

RATIO = 1.3
OUT = ("answer.vtkhdf", "answer.npz", "modes.vtkhdf", "modes.npz")


def store_model(path: Path, n: int, r: int) -> None:
    """A Galerkin model on a line of n points."""
    from rom.affine import Affine, Monomials
    from rom.archive import save_model
    from rom.basis import Basis
    from rom.certified import GalerkinModel
    from rom.mesh import Mesh
    from rom.parameters import Box
    from rom.space import Field, euclidean

    rng = np.random.default_rng(0)
    modes = rng.standard_normal((n, r)) / np.sqrt(n)
    box = Box(("k",), np.array([1.0]), np.array([2.0]))
    theta = Monomials(np.ones(1), np.ones((1, 1)))
    one = Monomials(np.ones(1), np.zeros((1, 1)))
    A, f = Affine(theta, np.eye(r)[None]), Affine(one, np.ones((1, r)))
    space = euclidean(n, fields=(Field("T", "K", np.arange(n)),))
    mesh = Mesh(np.linspace(0, 1, n)[:, None], {"vertex": np.arange(n)[:, None]})
    save_model(path, GalerkinModel(A, f, Basis(space, modes), box=box), mesh)


def command(path: Path, out: Path) -> list[str]:
    """The command that writes a file."""
    if out.name.startswith("modes"):
        return ["export", str(path), "--out", str(out)]
    return ["predict", str(path), "--mu", "1.5", "--json", "--out", str(out)]


def measure(path: str, out: str) -> None:
    """Runs a command in this process; its baseline and peak [MiB] go to a file beside `out`."""
    import h5py  # noqa: F401
    import scipy.sparse.linalg  # noqa: F401

    from rom.archive.registry import nouns
    from rom.cli.app import app
    from rom.cli.ranks import rank, world

    nouns()
    comm = world()
    if comm is not None:
        comm.Barrier()
    base, peak, end = rss_anonymous(), [0], threading.Event()

    def watch() -> None:
        while not end.wait(0.002):
            peak[0] = max(peak[0], rss_anonymous())

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        app(command(Path(path), Path(out)), standalone_mode=False)
    finally:
        end.set()
        thread.join()
    numbers = [base / 2**20, (max(peak[0], base) - base) / 2**20]
    Path(f"{out}.{rank()}.json").write_text(json.dumps(numbers))


def peaks(path: Path, out: Path, ranks: int) -> list[list[float]]:
    """(baseline, peak beyond it) [MiB] of each rank."""
    words = [sys.executable, "-m", "mpi4py"] if ranks > 1 else [sys.executable]
    if ranks > 1:
        words = [str(Path(sys.executable).with_name("mpiexec")), "-n", str(ranks), *words]
    words += ["-m", "hpc.bench.ranks", str(path), str(out)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    subprocess.run(words, check=True, timeout=600, env=environment, stdout=subprocess.DEVNULL)
    return [json.loads(Path(f"{out}.{rank}.json").read_text()) for rank in range(ranks)]


def main(n: int = 1_000_000, r: int = 20, ranks: int = 2) -> None:
    """Print the table."""
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.h5"
        store_model(path, n, r)
        for name in OUT:
            one = peaks(path, Path(folder) / name, 1)
            several = peaks(path, Path(folder) / name, ranks)
            serial, total = one[0][1], sum(peak for _, peak in several)
            bases = one[0][0], sum(base for base, _ in several)
            each = " + ".join(f"{peak:.0f}" for _, peak in several)
            rows.append((name, *bases, serial, total, each, total / serial))
    modes = n * r * 8 / 2**20
    show(
        f"{n} rows x {r} modes ({modes:.0f} MiB), asked <= {RATIO} x serial [MiB]",
        ("file", "baseline, 1", f"baseline, {ranks}", "serial", "all ranks", "each", "ratio"),
        rows,
    )


if __name__ == "__main__":
    if len(sys.argv) == 3:
        measure(*sys.argv[1:])
    else:
        main()
