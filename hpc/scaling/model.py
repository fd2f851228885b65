"""The model of a Gram POD over ranks, from what was measured on one and two."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from hpc.scaling.measure import R

CORES, GAMMA, SMALL = 64, 1 / 10e9, 4
NETWORKS = {"fast": (1e-6, 1 / 25e9), "typical": (2e-6, 1 / 12.5e9), "slow": (5e-6, 1 / 3e9)}


@dataclass(frozen=True, eq=False)
class Machine:
    """Costs by width of a core alone and of cores that all work, and messages.

    Messages inside a node: t_c [s], B_c [B/s].
    rest : seconds per row of what does not depend on the number of snapshots, alone and full
    """

    alone: dict[int, dict[str, float]]
    full: dict[int, dict[str, float]]
    rest: tuple[float, float]
    t_c: float
    B_c: float

    def cost(self, name: str, n: int, p: int) -> float:
        """A cost at n snapshots, between the measured widths by powers of n."""
        held = self.alone if p == 1 else self.full
        widths = sorted(held)
        return float(
            np.exp(np.interp(np.log(n), np.log(widths), [np.log(held[w][name]) for w in widths]))
        )


def machine(alone: dict[str, Any], full: dict[str, Any]) -> Machine:
    """From `started(1, [])` and `started(cores, [])`."""
    small, large = (full["messages"][key] for key in ("8", "24000000"))
    by_width = ({int(n): c for n, c in told["costs"].items()} for told in (alone, full))
    return Machine(
        *by_width,
        (alone["rest"], full["rest"]),
        t_c=small / 2,
        B_c=2 * 24e6 / max(large - small, 1e-9),
    )


def modelled(
    m: float, n: int, p: int, here: Machine, network: tuple[float, float]
) -> dict[str, float]:
    """The terms of T [s]: rows, the eigenproblem, messages.

    Gram and the other work on rows; messages inside a node and between nodes.
    """
    alpha, beta = network
    c, nodes = min(p, CORES), max(p // CORES, 1)
    sizes = np.array([4.0 * n * (n + 1), *[4.0 * R * (R + 1)] * SMALL])
    row = here.cost("lift", n, p) + here.rest[p > 1]
    return {
        "gram": m * here.cost("gram", n, p) / p,
        "lift": m * row / p,
        "eig": here.cost("eig", n, p),
        "inside": float(np.sum(2 * np.log2(c) * here.t_c + 2 * sizes / here.B_c)) if c > 1 else 0.0,
        "between": float(np.sum(2 * np.log2(nodes) * alpha + 2 * sizes * beta + sizes * GAMMA))
        if nodes > 1
        else 0.0,
    }


def rows_of(
    label: str, kind: str, network: str, m: float, n: int, p: int, terms: dict[str, float]
) -> dict[str, Any]:
    """One line of the table."""
    return {
        "label": label,
        "kind": kind,
        "network": network,
        "m": m,
        "n": n,
        "p": p,
        "seconds": sum(terms.values()),
        **terms,
    }


def curves(here: Machine) -> list[dict[str, Any]]:
    """Strong and weak scaling up to 16,384 ranks, on three networks.

    Strong at 5, 20 and 75 million dofs, weak at 36,600 dofs per rank.
    """
    rows = []
    for name, network in NETWORKS.items():
        for p in (2**k for k in range(15)):
            sizes = [("strong", m, n) for m in (5e6, 20e6, 75e6) for n in (200, 1000, 2500)]
            sizes += [("weak", 36_600.0 * p, n) for n in (200, 1000, 2500)]
            rows += [
                rows_of("modelled", kind, name, m, n, p, modelled(m, n, p, here, network))
                for kind, m, n in sizes
            ]
    return rows


def with_efficiency(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Each row with its efficiency against the fewest ranks of the same curve."""
    told = []
    for row in rows:
        same = [
            r
            for r in rows
            if all(r[k] == row[k] for k in ("label", "kind", "network", "n", "curve"))
        ]
        base = min(same, key=lambda r: r["p"])
        ratio = base["seconds"] / row["seconds"]
        told.append(
            {**row, "efficiency": ratio if row["kind"] == "weak" else ratio * base["p"] / row["p"]}
        )
    return told
