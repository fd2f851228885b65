"""Records: what the lines of a journal say, and what readers check of them."""

from __future__ import annotations

import time
from typing import Any

import numpy as np

from rom.archive.layout import BLOCK, DTYPES, Extent

Record = dict[str, Any]
ORDERS = [(kind.newbyteorder("<"), kind.newbyteorder(">")) for kind in DTYPES]
TYPES = {dtype.str: dtype for pair in ORDERS for dtype in pair}


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
        if "steps" in entry:
            sample_extent(entry)
    size, columns = record["size"], record["columns"]
    mu = [float(x) for x in record["mu"]]
    float(record.get("seconds", 0.0))
    are_counts = isinstance(size, int) and isinstance(columns, int)
    if not names or not mu or not are_counts or size <= 0 or columns <= 0:
        raise ValueError(f"files {names}")
    for name in names:
        if "/" in name or name in ("", ".", ".."):
            raise ValueError(f"files {names}")


def place_of(steps: Extent) -> list[Any]:
    """Offset, shape and type of the numbers of a sample, for a journal."""
    return [steps.offset, list(steps.shape), steps.dtype.str]


def sample_extent(entry: Record) -> Extent:
    """Where the numbers of a sample lie in its file.

    Raises ValueError for what is no place.
    """
    offset, shape, code = entry["steps"]
    rows, columns = shape
    dtype = TYPES.get(code)
    if dtype is None or not all(type(x) is int and x >= 0 for x in (offset, rows, columns)):
        raise ValueError(f"steps {entry['steps']}")
    if offset < BLOCK or offset + rows * columns * dtype.itemsize > entry["bytes"]:
        raise ValueError(f"steps {entry['steps']} of {entry['bytes']} bytes")
    return Extent(dtype, (rows, columns), offset)
