"""A case that is a file with `solve(mu)`: what may stand beside it.

box      the parameters, a rom.Box
mesh     where the answer lives, a rom.Mesh
fields   {"T": "K", "U": ("m", 3)}: names, units, components, one after the other, node by
         node; or a sequence of rom.Field
nodes    of the mesh, one for each unknown, where the solver keeps free unknowns only
elsewhere  value at the other nodes
times    [s], of a solve that returns (n, n_t)
rate     (u, mu) -> du/dt, of a solve that marches it in time
term     N of u' + N(u; mu) = 0, as rom.dynamics.Stencil; with A, f or M, write problem()
outputs  (u, mu) -> {"name [unit]": number}
version  changes when the solver's answers do
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from rom.errors import BadInput
from rom.mesh import Mesh
from rom.problem import Problem
from rom.space import Field, Space, euclidean

DEFAULT_FIELDS = {"u": "1"}


def plain_problem(case: Any) -> Problem:
    """The problem of a module with `solve(mu)`.

    Raises BadInput where what stands beside it is wrong or does not fit together.
    """
    mesh = getattr(case, "mesh", None)
    if mesh is not None and not isinstance(mesh, Mesh):
        raise BadInput(f"mesh is a {type(mesh).__name__}; give a rom.Mesh, or rom.io.read_mesh")
    times = getattr(case, "times", None)
    return Problem(
        case.solve,
        getattr(case, "box", None),
        _space(case, mesh),
        mesh,
        times=None if times is None else np.asarray(times, dtype=float),
        outputs=getattr(case, "outputs", None),
        rate=getattr(case, "rate", None),
        term=getattr(case, "term", None),
        version=str(getattr(case, "version", "1")),
    )


def _space(case: Any, mesh: Mesh | None) -> Space | None:
    """R^n with the named fields; None where nothing says how large the answer is."""
    if getattr(case, "space", None) is not None:
        space: Space = case.space
        return space
    fields = getattr(case, "fields", None)
    nodes = _nodes(case, mesh)
    if fields is None and mesh is None:
        return None
    if not isinstance(fields, Mapping | None):
        return _space_of_rows(tuple(fields))
    if mesh is None:
        raise BadInput(
            "fields by name need a mesh beside them; or give rows, as "
            'fields = (rom.Field("T", "K", np.arange(n)),)'
        )
    count = len(mesh.points) if nodes is None else len(nodes)
    parts, start = [], 0
    for name, entry in (fields or DEFAULT_FIELDS).items():
        unit, components = (entry, 1) if isinstance(entry, str) else entry
        rows = np.arange(start, start + count * components)
        parts.append(Field(name, unit, rows, components, nodes, getattr(case, "elsewhere", None)))
        start += len(rows)
    return euclidean(start, fields=tuple(parts))


def _space_of_rows(fields: tuple[Field, ...]) -> Space:
    for field in fields:
        if not isinstance(field, Field):
            raise BadInput(f'fields holds {field!r}; give rom.Field, or a table {{"T": "K"}}')
    size = max(int(np.max(field.rows)) for field in fields) + 1
    return euclidean(size, fields=fields)


def _nodes(case: Any, mesh: Mesh | None) -> np.ndarray | None:
    """The nodes of the free unknowns. Raises BadInput where they do not fit the mesh."""
    nodes = getattr(case, "nodes", None)
    if nodes is None:
        return None
    nodes = np.asarray(nodes)
    if mesh is None:
        raise BadInput("nodes are of a mesh; give mesh beside them")
    n = len(mesh.points)
    if nodes.dtype.kind not in "iu" or nodes.ndim != 1 or len(np.unique(nodes)) != len(nodes):
        raise BadInput("nodes must be whole numbers (k,), each once: the node of each unknown")
    if nodes.size and not (nodes.min() >= 0 and nodes.max() < n):
        raise BadInput(f"nodes are {nodes.min()}..{nodes.max()}; the mesh has 0..{n - 1}")
    if len(nodes) < n and getattr(case, "elsewhere", None) is None:
        raise BadInput(
            f"nodes leave out {n - len(nodes)} of {n} nodes of the mesh; give their value, as "
            "elsewhere = 0.0"
        )
    return nodes
