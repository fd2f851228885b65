"""Gaussian processes as constants of C, their kernels as lists of operations."""

from __future__ import annotations

from typing import Any

import numpy as np

from rom.deploy.constants_text import c_array, c_numbers
from rom.deploy.online_numbers import process_numbers

TREND = {"zero": 0, "constant": 1}
KINDS = {"stationary": "STATIONARY", "spectral": "SPECTRAL", "sum": "SUM", "product": "PRODUCT"}


def process_text(gp: Any) -> str:
    """The processes of a regression and their weights, for process.c."""
    numbers = process_numbers(gp)
    lines = ['#include "process.h"']
    processes, most, depth = [], 1, 1
    for k, process in enumerate(numbers["processes"]):
        groups = []
        for g, group in enumerate(process["groups"]):
            name = f"G{k}_{g}"
            ops, deep = _operations(group["kernel"], name, lines, process["p"])
            lines.append(c_array("Op", f"{name}_OPS", ops))
            for key in ("L", "LH", "A"):
                lines.append(c_array("double", f"{name}_{key}", c_numbers(key, group[key])))
            lines.append(c_array("int", f"{name}_O", map(str, group["outputs"])))
            depth = max(depth, deep)
            scalars = ", ".join(c_numbers("a deviation", [group["nugget"], group["stretch"]]))
            groups.append(
                f"{{{name}_OPS, {len(ops)}, {name}_L, {name}_LH, {name}_A, {scalars}, {name}_O, "
                f"{len(group['outputs'])}}}"
            )
        lines.append(c_array("Group", f"G{k}", groups))
        processes.append(_process(process, k, lines))
        most = max(most, process["m"])
    lines.append(c_array("Process", "PROCESS", processes))
    lines.append(c_array("double", "WEIGHTS", c_numbers("a weight", numbers["weights"])))
    lines.append(f"#define PROCESSES {len(processes)}\n#define MOST {most}\n#define DEPTH {depth}")
    return "\n".join(lines) + "\n"


def _process(process: dict[str, Any], k: int, lines: list[str]) -> str:
    """The struct of one process; its arrays go into `lines`."""
    places = []
    for key in ("x", "beta", "weights", "variance", "bends"):
        if process[key] is None:
            places.append("NULL")
            continue
        lines.append(c_array("double", f"P{k}_{key}", c_numbers(key, process[key])))
        places.append(f"P{k}_{key}")
    columns = TREND.get(process["trend"], process["p"] + 1)
    return f"{{{process['m']}, {columns}, {', '.join(places)}, G{k}, {len(process['groups'])}}}"


def _operations(
    kernel: dict[str, Any], name: str, lines: list[str], p: int
) -> tuple[list[str], int]:
    """Operations of a kernel, terms first, and how many values they stack."""
    ops: list[str] = []
    deep = 1
    terms = kernel.get("terms", [])
    for k, term in enumerate(terms):
        more, depth = _operations(term, f"{name}_{k}", lines, p)
        ops += more
        deep = max(deep, k + depth)
    columns, n = "NULL", len(terms)
    if "columns" in kernel:
        n, columns = len(kernel["columns"]), f"{name}_C"
        lines.append(c_array("int", columns, map(str, kernel["columns"])))
    places = []
    for key in ("weights", "frequencies", "lengths"):
        values = kernel.get(key)
        if values is None:
            places.append("NULL")
            continue
        if key == "lengths" and kernel["kind"] == "stationary":
            values = np.broadcast_to(values, n)
        lines.append(c_array("double", f"{name}_{key}", c_numbers(key, values)))
        places.append(f"{name}_{key}")
    form = kernel.get("form", "rbf").upper()
    count = len(kernel.get("weights", ()))
    head = f"{KINDS[kernel['kind']]}, {form}, {n}, {count}, {columns}"
    ops.append(f"{{{head}, {', '.join(places)}}}")
    return ops, deep
