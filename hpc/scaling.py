"""Strong and weak scaling of a Gram POD: measured on this machine's ranks, modelled beyond. python -m hpc.scaling [--out FOLDER]

    T = m n^2 / (p F) + 2 log2(c) t_c + 2 N / B_c + 2 log2(P) alpha + 2 N beta + N gamma + 2 m n r / (p F) + T_eig,
    N = 8 n (n + 1) / 2 bytes, P nodes of c ranks, T_eig = k n^3 / F on every rank.

m dofs, n snapshots, r modes. F, t_c, B_c and k are measured here by the ranks of one node; alpha and beta of a network cannot be, and
are swept over what data sheets give: 1 to 5 us, 3 to 25 GB/s. Every row says whether it was measured or modelled.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

CORES, GAMMA = 64, 1 / 10e9
NETWORKS = {"fast": (1e-6, 1 / 25e9), "typical": (2e-6, 1 / 12.5e9), "slow": (5e-6, 1 / 3e9)}


def best(act: Callable[[], Any], repeat: int = 5, clock: Callable[[], float] = time.perf_counter) -> float:
    """Shortest of some runs [s]."""
    times = []
    for _ in range(repeat):
        begin = clock()
        act()
        times.append(clock() - begin)
    return min(times)


def ranks(sizes: list[tuple[int, int]]) -> dict[str, Any]:
    """What the ranks of this job measure: Gram rate per rank, allreduce times over message sizes, whole Gram PODs."""
    from mpi4py import MPI

    from rom.compress.pod import pod
    from rom.snapshots import Snapshots
    from rom.space import euclidean

    comm = MPI.COMM_WORLD
    rng = np.random.default_rng(comm.Get_rank())
    messages = {}
    for count in (1, 1000, 20_000, 500_000):
        a, b = np.ones(count), np.empty(count)

        def reduce(a=a, b=b) -> None:
            comm.Barrier()
            comm.Allreduce(a, b)

        messages[8 * count] = best(reduce, 30)
    pods = []
    for m, n in sizes:
        rows = np.array_split(np.arange(m), comm.Get_size())[comm.Get_rank()]
        snapshots = Snapshots(euclidean(rows, comm), np.zeros((n, 1)), rng.standard_normal((rows.size, n)) / 1.2 ** np.arange(n))

        def once(snapshots=snapshots) -> None:
            comm.Barrier()
            pod(snapshots, rank=10, method="gram")
            comm.Barrier()

        pods.append(best(once, 3))
    U, A = rng.standard_normal((100_000, 200)), rng.standard_normal((500, 500))
    F = 100_000 * 200**2 / best(lambda: U.T @ U, 5, time.process_time)
    k = best(lambda: np.linalg.eigh(A + A.T), 3, time.process_time) * F / 500**3
    return {"p": comm.Get_size(), "messages": messages, "pods": pods, "F": F, "k": k}


def started(p: int, sizes: list[tuple[int, int]]) -> dict[str, Any]:
    """`ranks` on p ranks of this machine."""
    words = [
        str(Path(sys.executable).with_name("mpiexec")),
        "-n",
        str(p),
        sys.executable,
        "-m",
        "mpi4py",
        "-m",
        "hpc.scaling",
        "--ranks",
        json.dumps(sizes),
    ]
    done = subprocess.run(
        words, capture_output=True, text=True, timeout=300, check=True, env={**os.environ, "OMP_NUM_THREADS": "1"}
    )
    return json.loads(done.stdout.splitlines()[-1])


def calibrated(cores: int) -> dict[str, float]:
    """F [flop/s], k of the eigenvalue problem, and t_c [s], B_c [B/s] of messages inside a node, measured here."""
    alone = started(1, [])
    small, large = (started(min(cores, 2), [])["messages"][key] for key in ("8", "4000000"))
    return {"F": alone["F"], "k": alone["k"], "t_c": small / 2, "B_c": 2 * 4e6 / max(large - small, 1e-9)}


def modelled(m: float, n: int, p: int, machine: dict[str, float], network: tuple[float, float], r: int = 50) -> dict[str, float]:
    """The terms of T [s]."""
    alpha, beta = network
    c, nodes = min(p, CORES), max(p // CORES, 1)
    N = 8 * n * (n + 1) / 2
    return {
        "gram": m * n**2 / (p * machine["F"]),
        "inside": (2 * np.log2(c) * machine["t_c"] + 2 * N / machine["B_c"]) if c > 1 else 0.0,
        "between": (2 * np.log2(nodes) * alpha + 2 * N * beta + N * GAMMA) if nodes > 1 else 0.0,
        "lift": 2 * m * n * r / (p * machine["F"]),
        "eig": machine["k"] * n**3 / machine["F"],
    }


def main(out: str | None = None) -> list[dict[str, Any]]:
    """All rows: measured strong and weak scaling on this machine, modelled beyond, with a check of the model where both exist."""
    cores = len(os.sched_getaffinity(0))
    machine = calibrated(cores)
    print(f"calibrated here, {cores} cores: F = {machine['F'] / 1e9:.1f} GF/s, eigensolve {machine['k']:.1f} n^3, "
          f"inside a node {machine['t_c'] * 1e6:.1f} us and {machine['B_c'] / 1e9:.2f} GB/s")  # fmt: skip
    rows: list[dict[str, Any]] = []
    for p in range(1, min(cores, 4) + 1):
        sizes = [(200_000, 100), (50_000 * p, 100)]
        for kind, (m, n), seconds in zip(("strong", "weak"), sizes, started(p, sizes)["pods"], strict=True):
            guess = sum(modelled(m, n, p, machine, NETWORKS["typical"], 10).values())
            rows.append(
                {
                    "label": "measured",
                    "kind": kind,
                    "network": "none",
                    "m": m,
                    "n": n,
                    "p": p,
                    "seconds": seconds,
                    "model_s": guess,
                }
            )
    for name, network in NETWORKS.items():
        for p in [2**k for k in range(15)]:
            for m in (5e6, 20e6, 75e6):
                for n in (200, 1000, 2500):
                    terms = modelled(m, n, p, machine, network)
                    rows.append(
                        {
                            "label": "modelled",
                            "kind": "strong",
                            "network": name,
                            "m": m,
                            "n": n,
                            "p": p,
                            "seconds": sum(terms.values()),
                            **terms,
                        }
                    )
            terms = modelled(36_600.0 * p, 2536, p, machine, network)
            rows.append(
                {
                    "label": "modelled",
                    "kind": "weak",
                    "network": name,
                    "m": 36_600.0 * p,
                    "n": 2536,
                    "p": p,
                    "seconds": sum(terms.values()),
                    **terms,
                }
            )
    for row in rows:
        base = next(
            r
            for r in rows
            if all(r[k] == row[k] for k in ("label", "kind", "network", "n")) and (row["kind"] == "weak" or r["m"] == row["m"])
        )
        ratio = float(base["seconds"]) / float(row["seconds"])
        row["efficiency"] = ratio if row["kind"] == "weak" else ratio * int(base["p"]) / int(row["p"])
    shown(rows)
    if out is not None:
        written(rows, Path(out))
    return rows


def shown(rows: list[dict[str, Any]]) -> None:
    """The measured rows, and the typical network at some ranks."""
    print(f"{'':9s} {'':7s} {'dofs':>10s} {'n':>5s} {'ranks':>6s} {'seconds':>10s} {'model':>10s} {'efficiency':>10s}")
    for row in rows:
        if row["label"] == "measured" or (row["network"] == "typical" and row["p"] in (64, 512, 2048, 16384)):
            model = f"{row['model_s']:10.4f}" if "model_s" in row else " " * 10
            print(
                f"{row['label']:9s} {row['kind']:7s} {row['m']:10.0f} {row['n']:5d} {row['p']:6d} {row['seconds']:10.4f} {model} {row['efficiency']:10.2f}"
            )


def written(rows: list[dict[str, Any]], folder: Path) -> None:
    """scaling.csv with every row, and scaling.png."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    folder.mkdir(parents=True, exist_ok=True)
    names = list(dict.fromkeys(name for row in rows for name in row))
    with open(folder / "scaling.csv", "w", newline="") as file:
        table = csv.DictWriter(file, names)
        table.writeheader()
        table.writerows(rows)
    figure, axes = plt.subplots(1, 2, figsize=(11, 4.4), constrained_layout=True)
    for n, colour in zip((200, 1000, 2500), ("C0", "C1", "C2"), strict=True):
        for name, style in zip(NETWORKS, (":", "-", "--"), strict=True):
            line = [r for r in rows if r["kind"] == "strong" and r["network"] == name and r["n"] == n and r["m"] == 75e6]
            label = f"modelled, {n} snapshots" if name == "typical" else None
            axes[0].loglog([r["p"] for r in line], [r["seconds"] for r in line], style, color=colour, label=label)
    for name, style in zip(NETWORKS, (":", "-", "--"), strict=True):
        line = [r for r in rows if r["kind"] == "weak" and r["network"] == name]
        axes[1].semilogx(
            [r["p"] for r in line],
            [r["efficiency"] for r in line],
            style,
            color="C3",
            label=f"modelled, {name} network, 36,600 dofs per rank",
        )
    for axis, kind in zip(axes, ("strong", "weak"), strict=True):
        line = [r for r in rows if r["label"] == "measured" and r["kind"] == kind]
        size = "200,000 dofs, 100 snapshots" if kind == "strong" else "50,000 dofs per rank, 100 snapshots"
        axis.plot(
            [r["p"] for r in line],
            [r["seconds" if kind == "strong" else "efficiency"] for r in line],
            "ko",
            label=f"measured here, {size}",
        )
        axis.set(xlabel="ranks", title=f"Gram POD, {kind} scaling" + (", 75 million dofs" if kind == "strong" else ""))
        axis.legend(fontsize=8)
        axis.grid(alpha=0.3)
    axes[0].set_ylabel("time [s]")
    axes[1].set(ylabel="efficiency", ylim=(0, 1.1))
    figure.savefig(folder / "scaling.png", dpi=130)
    plt.close(figure)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", help="folder for scaling.csv and scaling.png")
    parser.add_argument("--ranks", help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.ranks is not None:
        found = ranks([tuple(size) for size in json.loads(asked.ranks)])
        from mpi4py import MPI

        if MPI.COMM_WORLD.Get_rank() == 0:
            print(json.dumps(found))
    else:
        main(asked.out)
