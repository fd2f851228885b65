"""What another code computed on one mesh, over time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from rom.errors import BadInput
from rom.history import History, State
from rom.mesh import Mesh

MANDEL = ("11", "22", "33", "23", "13", "12")


@dataclass(frozen=True, eq=False)
class Result:
    """Fields name -> (n, c, m) with their units at m times t (m,) [s] (None: the files know no times) on one mesh.

    where : name -> "points", "cells" (block after block) or "integration", whose points lie at x (g, d) [mesh.unit]
    """

    mesh: Mesh
    fields: dict[str, np.ndarray]
    units: dict[str, str]
    where: dict[str, str]
    t: np.ndarray | None = None
    x: np.ndarray | None = None


def history_of_result(
    result: Result,
    u: str = "u",
    stress: str = "stress",
    p: str = "p",
    order: Sequence[str] = MANDEL,
) -> History:
    """The history (u, sigma, p) that a reduction is trained on: u node-major, stresses in Mandel notation, p zero where there is none.

    stress : its components are tensor components in the `order` given ("11", "22", "33", "12", ... or "xx", "xy", ...); absent ones are zero
    The last state holds p alone of the internal variables. Raises BadInput for missing fields or times, and fields that lie elsewhere.
    """
    if result.t is None:
        raise BadInput("the result knows no times; give them when it is ingested")
    for name, place in (
        (u, "points"),
        (stress, "integration"),
        *(((p, "integration"),) if p in result.fields else ()),
    ):
        if result.where.get(name) != place:
            raise BadInput(
                f"field {name!r} is needed at the {place.replace('integration', 'points of integration')}, and is"
                f" {'on the ' + result.where[name] if name in result.where else 'not among ' + ', '.join(result.fields)}"
            )
    rows = [_row(component) for component in order]
    values = result.fields[stress]
    if len(set(rows)) != len(rows) or values.shape[1] != len(rows):
        raise BadInput(
            f"{stress!r} has {values.shape[1]} components; the order given names {', '.join(order)}"
        )
    sigma = np.zeros((len(values), 6, values.shape[2]))
    sigma[:, rows] = values * np.where(np.array(rows) > 2, np.sqrt(2.0), 1.0)[:, None]
    plastic = (
        result.fields[p][:, 0] if p in result.fields else np.zeros((len(values), values.shape[2]))
    )
    U = result.fields[u].reshape(-1, values.shape[2])
    last = State(U[:, -1], sigma[..., -1], plastic[:, -1:])
    return History(result.t, U, sigma, plastic, last, np.zeros(len(result.t), dtype=np.int64))


def _row(component: str) -> int:
    """The Mandel row of a tensor component, "12", "21", "xy" or "yx"."""
    name = "".join(sorted(component.lower().translate(str.maketrans("xyz", "123"))))
    if name not in MANDEL:
        raise BadInput(
            f"{component!r} is no component of a symmetric tensor; write 11, 22, 33, 12, 23, 13 or xx, yy, ..."
        )
    return MANDEL.index(name)
