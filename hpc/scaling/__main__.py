"""python -m hpc.scaling [--out FOLDER]: measures, calibrates, compares, models.

scaling.csv and scaling.png in the folder.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
from pathlib import Path
from typing import Any

import hpc.scaling
from hpc.scaling import measure
from hpc.scaling.measure import ranks, started
from hpc.scaling.model import NETWORKS, Machine, curves, machine, modelled, rows_of, with_efficiency
from hpc.scaling.picture import drawn

SIZES = ((100_000, 100), (100_000, 200), (40_000, 500), (20_000, 1000))
SHARES = ((50_000, 100), (50_000, 200), (10_000, 1000))


def compared(here: Machine, cores: int) -> list[dict[str, Any]]:
    """PODs on one rank and on as many as there are cores, beside the model.

    Two ranks at most.
    """
    rows = []
    for p in range(1, min(cores, 2) + 1):
        asked = [("strong", m, n) for m, n in SIZES] + [("weak", m * p, n) for m, n in SHARES]
        for (kind, m, n), (seconds, work) in zip(
            asked, started(p, [(m, n) for _, m, n in asked])["pods"], strict=True
        ):
            terms = modelled(m, n, p, here, NETWORKS["typical"])
            row = rows_of("measured", kind, "none", m, n, p, {})
            own = {
                "model_s": sum(terms.values()),
                "cpu_model_s": terms["gram"] + terms["lift"] + terms["eig"],
            }
            rows.append({**row, "seconds": seconds, "cpu_s": work, **own})
    return rows


def main(out: str | None = None) -> list[dict[str, Any]]:
    """All rows: measured beside modelled on this machine, modelled beyond."""
    cores = len(os.sched_getaffinity(0))
    here = machine(started(1, []), started(min(cores, 2), []))
    print(
        f"calibrated on {cores} cores; a core alone | all at work; "
        f"messages inside a node {here.t_c * 1e6:.1f} us, {here.B_c / 1e9:.2f} GB/s"
    )
    for n in sorted(here.alone):
        one, all_ = here.alone[n], here.full[n]
        print(
            f"{n:6d} snapshots: Gram {one['GF/s']:6.1f} | {all_['GF/s']:6.1f} GF/s, "
            f"lifting {1e9 * one['lift']:8.1f} | {1e9 * all_['lift']:8.1f} ns "
            f"per row, eigenproblem {one['eig']:7.4f} | {all_['eig']:7.4f} s"
        )
    print(
        f"{measure.R} modes made orthonormal: "
        f"{1e9 * here.rest[0]:.1f} | {1e9 * here.rest[1]:.1f} ns per row"
    )
    rows = [
        {**r, "curve": r["m"] if r["kind"] == "strong" else 0}
        for r in compared(here, cores) + curves(here)
    ]
    rows = with_efficiency(rows)
    shown(rows)
    if out is not None:
        written(rows, Path(out))
    return rows


def shown(rows: list[dict[str, Any]]) -> None:
    """The measured rows with the model's, and the typical network at some ranks."""
    print(
        "\n                        dofs snapshots  ranks  seconds    model ratio | processor  "
        "model ratio | efficiency"
    )
    for row in rows:
        if row["label"] == "measured" or (
            row["network"] == "typical" and row["p"] in (1, 64, 512, 2048, 16384)
        ):
            pairs = (
                [(row["seconds"], row["model_s"]), (row["cpu_s"], row["cpu_model_s"])]
                if "model_s" in row
                else []
            )
            told = [
                f"{model:8.3f} {seconds / model:5.2f} | {row['cpu_s']:8.3f}"
                for seconds, model in pairs[:1]
            ]
            told += [f"{model:8.3f} {seconds / model:5.2f} |" for seconds, model in pairs[1:]]
            print(
                f"{row['label']:9s} {row['kind']:7s} {row['m']:12.0f} {row['n']:8d} "
                f"{row['p']:7d} {row['seconds']:9.3f} {' '.join(told):40s} "
                f"{row['efficiency']:8.2f}"
            )


def written(rows: list[dict[str, Any]], folder: Path) -> None:
    """scaling.csv with every row, and scaling.png."""
    folder.mkdir(parents=True, exist_ok=True)
    names = list(dict.fromkeys(name for row in rows for name in row))
    with open(folder / "scaling.csv", "w", newline="") as file:
        table = csv.DictWriter(file, names)
        table.writeheader()
        table.writerows(rows)
    drawn(rows, folder / "scaling.png")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=hpc.scaling.__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", help="folder for scaling.csv and scaling.png")
    parser.add_argument("--ranks", help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.ranks is None:
        main(asked.out)
    else:
        found = ranks([tuple(size) for size in json.loads(asked.ranks)])
        from mpi4py import MPI

        if MPI.COMM_WORLD.Get_rank() == 0:
            print(json.dumps(found))
