"""What another code computed on one mesh, over time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from rom.arrays import array_of, check_lengths, gate
from rom.errors import BadInput
from rom.history import History, State
from rom.mesh import Mesh

MANDEL = ("11", "22", "33", "23", "13", "12")
STEPS = array_of("(n, c, m)")
N_NORMAL = 3  # rows of MANDEL before those of shear, which are scaled by sqrt(2)


@dataclass(frozen=True, eq=False)
class Result:
    """Fields name -> (n, c, m) and their units at m times t (m,) [s] on one mesh.

    where : name -> "points", "cells" (block after block) or "integration", whose points lie at
        x (g, d) [mesh.unit]
    t : None where the files know no times
    """

    mesh: Mesh
    fields: dict[str, np.ndarray]
    units: dict[str, str]
    where: dict[str, str]
    t: np.ndarray | None = None
    x: np.ndarray | None = None


@gate(result=Result)
def history_of_result(
    result: Result,
    *,
    u: str = "u",
    stress: str = "stress",
    p: str = "p",
    order: Sequence[str] = MANDEL,
) -> History:
    """The history (u, sigma, p) that a reduced solid is trained on.

    u, stress, p : names of the fields; p is zero where there is none
    order : of the tensor components of the stress ("11", "22", "33", "12", ... or "xx", ...);
        absent ones are zero
    u is node-major, stresses are in Mandel notation; the last state holds p alone of the internal
    variables. Raises BadInput for missing fields or times, and fields that lie elsewhere.
    """
    if result.t is None:
        raise BadInput("the result knows no times; give them when it is ingested")
    _check_place(result, u, "points")
    _check_place(result, stress, "integration")
    if p in result.fields:
        _check_place(result, p, "integration")
    names = [u, stress, *([p] if p in result.fields else [])]
    fields = {name: STEPS(result.fields[name], f"field {name!r}") for name in names}
    lengths = {name: values.T for name, values in fields.items()}
    check_lengths("time", t=result.t, **lengths)
    sigma = _mandel_stress(fields[stress], stress, order)
    m = sigma.shape[2]
    plastic = fields[p][:, 0] if p in fields else np.zeros((len(sigma), m))
    U = fields[u].reshape(-1, m)
    last = State(U[:, -1], sigma[..., -1], plastic[:, -1:])
    iterations = np.zeros(len(result.t), dtype=np.int64)
    return History(result.t, U, sigma, plastic, last, iterations)


def _check_place(result: Result, name: str, place: str) -> None:
    actual = result.where.get(name)
    if actual == place:
        return
    needed = place.replace("integration", "points of integration")
    is_now = f"on the {actual}" if actual else f"not among {', '.join(result.fields)}"
    raise BadInput(f"field {name!r} is needed at the {needed}, and is {is_now}")


def _mandel_stress(values: np.ndarray, name: str, order: Sequence[str]) -> np.ndarray:
    """Stresses (g, 6, m) in Mandel notation of tensor components (g, c, m)."""
    rows = [_row(component) for component in order]
    if len(set(rows)) != len(rows) or values.shape[1] != len(rows):
        raise BadInput(
            f"{name!r} has {values.shape[1]} components; the order given names {', '.join(order)}"
        )
    shear = np.array(rows) >= N_NORMAL
    factors = np.where(shear, np.sqrt(2.0), 1.0)
    sigma = np.zeros((len(values), len(MANDEL), values.shape[2]))
    sigma[:, rows] = values * factors[:, None]
    return sigma


def _row(component: str) -> int:
    """The Mandel row of a tensor component, "12", "21", "xy" or "yx"."""
    digits = component.lower().translate(str.maketrans("xyz", "123"))
    name = "".join(sorted(digits))
    if name not in MANDEL:
        raise BadInput(
            f"{component!r} is no component of a symmetric tensor; "
            "write 11, 22, 33, 12, 23, 13 or xx, yy, ..."
        )
    return MANDEL.index(name)
