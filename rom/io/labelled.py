"""Snapshots in the labelled arrays of xarray and the tables of pandas, and back.

    dataset = to_dataset(snapshots, box)      # variables are fields, coordinates parameters
    table = to_table(snapshots, box)          # one row per sample, columns (name, unit, row)

Names and units of fields, parameters and the time come along; the inner product does not: what
comes back lives in the Euclidean space.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from rom.arrays import gate
from rom.errors import BadInput, require
from rom.parameters import Box
from rom.snapshots import Snapshots
from rom.space import Field, euclidean

SAMPLE, TIME = "sample", "t"
LEVELS = ("name", "unit", "row")
LAST = -1  # "row" of a column that is no field


@gate(snapshots=Snapshots, box=Box)
def to_dataset(snapshots: Snapshots, box: Box | None = None) -> Any:
    """The xarray.Dataset of snapshots: fields (sample, NAME_row[, NAME_component]).

    box : names and units of the parameters, mu0, mu1, ... without one
    Coordinates over `sample` are the parameters and t [s]; `units` is an attribute of each.
    Raises BadInput for snapshots on several ranks, MissingExtra without xarray.
    Reference: Hoyer, Hamman (2017).
    """
    require("xarray", "labels", "labelled arrays")
    import xarray

    variables = {}
    for field, values in _fields(snapshots):
        axes = [SAMPLE, f"{field.name}_row"]
        if field.components > 1:
            axes.append(f"{field.name}_component")
        variables[field.name] = (axes, values, {"units": field.unit})
    coordinates = {
        name: (SAMPLE, values, {"units": unit}) for name, unit, values in _inputs(snapshots, box)
    }
    return xarray.Dataset(variables, coordinates)


def from_dataset(dataset: Any) -> Snapshots:
    """The snapshots of a Dataset: its variables over `sample` are fields.

    Coordinates over `sample` alone are parameters in their order, `t` is the time [s].
    Raises BadInput where a variable has no `sample`, or more than two axes beside it.
    """
    fields, rows, first = [], [], 0
    for name, variable in dataset.data_vars.items():
        if SAMPLE not in variable.dims or variable.ndim not in (2, 3):
            raise BadInput(
                f"variable {name!r} has axes {variable.dims}; give sample, rows and, of vectors, "
                "components"
            )
        values = variable.transpose(SAMPLE, ...).to_numpy()
        components = values.shape[2] if values.ndim == 3 else 1
        values = values.reshape(len(values), -1).T
        unit = str(variable.attrs.get("units", "1"))
        numbers = np.arange(first, first + len(values))
        fields.append(Field(str(name), unit, numbers, components))
        rows.append(values)
        first += len(values)
    if not rows:
        raise BadInput("the dataset has no variables; give one for each field")
    inputs = {k: v.to_numpy() for k, v in dataset.coords.items() if v.dims == (SAMPLE,)}
    t = inputs.pop(TIME, None)
    inputs.pop(SAMPLE, None)
    m = rows[0].shape[1]
    mu = np.column_stack(list(inputs.values())) if inputs else np.zeros((m, 0))
    space = euclidean(first, fields=tuple(fields))
    return Snapshots(space, mu, np.vstack(rows), None if t is None else t.astype(float))


@gate(snapshots=Snapshots, box=Box)
def to_table(snapshots: Snapshots, box: Box | None = None) -> Any:
    """The pandas.DataFrame of snapshots: a row per sample, columns (name, unit, row).

    Parameters and t have the row -1; components of a node follow each other.
    Raises as `to_dataset` does. Reference: McKinney (2010).
    """
    require("pandas", "labels", "tables of pandas")
    import pandas

    columns, parts = [], []
    for name, unit, values in _inputs(snapshots, box):
        columns.append((name, unit, LAST))
        parts.append(values[:, None])
    for field, values in _fields(snapshots):
        flat = values.reshape(len(values), -1)
        columns += [(field.name, field.unit, row) for row in range(flat.shape[1])]
        parts.append(flat)
    index = pandas.MultiIndex.from_tuples(columns, names=LEVELS)
    return pandas.DataFrame(np.hstack(parts), columns=index)


def from_table(table: Any) -> Snapshots:
    """The snapshots of a table with columns (name, unit, row): each name is a field.

    Raises BadInput for other columns. Fields come back with one component.
    """
    if tuple(table.columns.names) != LEVELS:
        raise BadInput(f"the columns are {tuple(table.columns.names)}; give {LEVELS}")
    inputs: dict[str, np.ndarray] = {}
    rows: dict[tuple[str, str], list[np.ndarray]] = {}
    for name, unit, row in table.columns:
        values = table[name, unit, row].to_numpy()
        if row == LAST:
            inputs[name] = values
        else:
            rows.setdefault((name, unit), []).append(values)
    t = inputs.pop(TIME, None)
    mu = np.column_stack(list(inputs.values())) if inputs else np.zeros((len(table), 0))
    fields, first = [], 0
    for (name, unit), columns in rows.items():
        fields.append(Field(name, unit, np.arange(first, first + len(columns))))
        first += len(columns)
    u = np.vstack([values for columns in rows.values() for values in columns])
    return Snapshots(euclidean(first, fields=tuple(fields)), mu, u, t)


def _fields(snapshots: Snapshots) -> Iterator[tuple[Field, np.ndarray]]:
    """Each field with its values (m, k), or (m, k, components)."""
    space = snapshots.space
    if space.comm is not None and space.comm.Get_size() > 1:
        raise BadInput("labels are of snapshots on one rank; read the store on one")
    u = np.asarray(snapshots.u[:, :])
    for field in space.fields or (Field("u", "1", np.arange(space.n)),):
        values = u[field.rows].T
        shape = (len(values), -1, field.components)
        yield field, values.reshape(shape) if field.components > 1 else values


def _inputs(snapshots: Snapshots, box: Box | None) -> Iterator[tuple[str, str, np.ndarray]]:
    """Name, unit and values of each parameter, then of the time."""
    p = snapshots.mu.shape[1]
    names = tuple(f"mu{j}" for j in range(p)) if box is None else box.names
    units = ("1",) * p if box is None else box.units
    if len(names) != p:
        raise BadInput(f"the box has {len(names)} parameters, the snapshots have {p}")
    yield from zip(names, units, snapshots.mu.T, strict=True)
    if snapshots.t is not None:
        yield TIME, "s", snapshots.t
