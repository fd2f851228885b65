"""Records: what the lines of a journal say, and what readers check of them."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import numpy as np

Record = dict[str, Any]


def plan_record(keys: list[str], mus: list[list[float]]) -> Record:
    """The record of tasks that somebody planned, in their order."""
    return {"state": "plan", "keys": keys, "mus": mus, "time": time.time()}


def sample_record(
    key: str, mu: Any, files: list[Record], *, size: int, columns: int, seconds: float
) -> Record:
    """The journal's record of a sample that is wholly on disk.

    files : entries of `commit`, by rank; size : N dofs; columns : steps; seconds : of the solve
    """
    return {
        "state": "done",
        "key": key,
        "mu": [float(x) for x in mu],
        "files": files,
        "size": size,
        "columns": columns,
        "seconds": seconds,
        "time": time.time(),
    }


def failure_record(key: str, mu: np.ndarray, reason: str) -> Record:
    """The journal's record of an attempt that failed."""
    return {
        "state": "failed",
        "key": key,
        "mu": mu.tolist(),
        "reason": reason,
        "time": time.time(),
    }


def check_plan(record: Record) -> Record:
    """The plan of a record, as plain lists.

    Raises KeyError, TypeError or ValueError where it is none.
    """
    mus = [[float(x) for x in mu] for mu in record["mus"]]
    keys = [key for key in record["keys"] if isinstance(key, str)]
    if not len(keys) == len(record["keys"]) == len(mus):
        raise ValueError(f"{len(record['keys'])} keys, {len(mus)} parameters")
    return {"time": float(record["time"]), "keys": keys, "mus": mus}


def check_sample(record: Record) -> None:
    """Raises ValueError, KeyError or TypeError where a record describes no sample."""
    names = []
    for entry in record["files"]:
        names += [entry["name"], entry["rows"], entry["sha256"]]
    size, columns = record["size"], record["columns"]
    mu = [float(x) for x in record["mu"]]
    float(record.get("seconds", 0.0))
    are_counts = isinstance(size, int) and isinstance(columns, int)
    if not names or not mu or not are_counts or size <= 0 or columns <= 0:
        raise ValueError(f"files {names}")
    for name in names:
        if name != Path(name).name:
            raise ValueError(f"files {names}")
