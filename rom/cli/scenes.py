"""What models answer and files hold, as rows of a table and as fields to draw."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from rom.cli.tables import plain_value
from rom.errors import BadInput
from rom.mesh import Mesh
from rom.model import Prediction
from rom.parameters import Box
from rom.space import Space

Fields = dict[str, tuple[np.ndarray, str]]  # name -> (values, unit)
MAGIC = b"rom archive\n"
MAX_TITLE = 60


@dataclass(frozen=True, eq=False)
class States:
    """Columns u (n, m) that can be drawn or exported.

    inputs : name -> what each column answers, (m,); mesh : where the fields live
    """

    space: Space
    u: np.ndarray
    inputs: dict[str, np.ndarray]
    mesh: Mesh | None


def answer_row(
    machine: Any,
    mu: np.ndarray,
    answer: Prediction,
    *,
    box: Box | None,
    outputs: Callable[[np.ndarray, np.ndarray], dict[str, float]] | None,
) -> dict[str, Any]:
    """One prediction as name -> number.

    Parameters, extremes of each field, norm, and what is known of the error.
    """
    from rom.io.fields import label
    from rom.io.states import fields_of_state

    basis = machine.basis
    u = basis.lift(answer.coefficients)
    names = box.names if box is not None else [f"mu{k}" for k in range(len(mu))]
    row: dict[str, Any] = {"mu": dict(zip(names, mu.tolist(), strict=True))}
    for part, values in fields_of_state(basis.space, u):
        heading = label(part.name, part.unit)
        row[f"min {heading}"] = np.min(np.real(values))
        row[f"max {heading}"] = np.max(np.real(values))
    row["norm"] = np.max(basis.space.norm(u))
    if answer.bound is not None:
        row["bound of the error in the norm"] = float(np.max(answer.bound))
    if answer.std is not None:
        row["largest standard deviation"] = float(np.max(basis.spread(answer.std)))
    if outputs is not None:
        row |= outputs(u, mu)
    plain: dict[str, Any] = plain_value(row)
    return plain


def headings(box: Box | None, p: int) -> list[str]:
    """'name [unit]' of each parameter."""
    if box is None:
        return [f"mu{k}" for k in range(p)]
    return [f"{name} [{unit}]" for name, unit in zip(box.names, box.units, strict=True)]


def is_archive(path: Path) -> bool:
    """Whether a file begins as ours do."""
    with open(path, "rb") as file:
        return file.read(len(MAGIC)) == MAGIC


def states_of(path: Path, case: str | None) -> States | None:
    """The snapshots of a store or the modes of a model; None for another file."""
    from rom.archive.models import load_model
    from rom.cli.case import load_functions

    if path.is_dir():
        return _snapshots(path)
    if not path.is_file():
        raise BadInput(f"no file or folder {path}")
    if path.suffix == ".vtkhdf" or not is_archive(path):
        return None
    machine, mesh, _ = load_model(path, load_functions(case))
    basis = machine.basis
    numbers = np.arange(1.0, basis.r + 1)
    return States(basis.space, basis.modes, {"mode": numbers}, mesh)


def _snapshots(path: Path) -> States:
    from rom.campaign import open_store, read

    store, snapshots = open_store(path), read(path)
    names = headings(store.box, snapshots.mu.shape[1])
    inputs = dict(zip(names, snapshots.mu.T, strict=True))
    if snapshots.t is not None:
        inputs["t [s]"] = snapshots.t
    return States(snapshots.space, np.asarray(snapshots.u[:]), inputs, store.mesh)


def scene(
    path: Path, mu: list[str] | None, step: int, case: str | None
) -> tuple[Mesh, Fields, Fields, str]:
    """(mesh, point fields, cell fields, title) of a file to look at.

    A mesh file, or state number `step` of a store or a model. Raises BadInput.
    """
    from rom.io.states import on_mesh

    states = states_of(path, case)
    if states is None:
        return _mesh_scene(path)
    mesh = states.mesh
    if mesh is None:
        raise BadInput(
            f"{path} has no mesh to show fields on; export it to .npz or .csv, "
            "or give the problem a mesh"
        )
    u, inputs = states.u, states.inputs
    if mu:
        u, inputs = _answer(path, mu, case)
    count = u.shape[1]
    if step >= count:
        raise BadInput(f"no step {step}; there are {count}: 0 .. {count - 1}")
    entries = []
    for name, values in inputs.items():
        value = values[min(step, len(values) - 1)]
        entries.append(f"{name.split(' [')[0]} = {value:.4g}")
    title = ", ".join(entries)
    point_fields, cell_fields = on_mesh(states.space, mesh, u[:, step])
    return mesh, point_fields, cell_fields, title if len(title) < MAX_TITLE else path.name


def _mesh_scene(path: Path) -> tuple[Mesh, Fields, Fields, str]:
    """The fields of a mesh file; of one without fields, its last coordinate."""
    from rom.io.files import read_file

    mesh, fields, cell_fields = read_file(path)
    if not fields and not cell_fields:
        axis = mesh.points.shape[1] - 1
        fields = {"xyz"[axis]: (mesh.points[:, axis], mesh.unit)}
    return mesh, fields, cell_fields, path.name


def _answer(
    path: Path, mu: list[str], case: str | None
) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """The states that a model answers at one parameter, and its values."""
    from rom.archive.models import load_model
    from rom.cli.case import load_functions, parameters

    machine = load_model(path, load_functions(case))[0]
    box = getattr(machine, "box", None)
    row = parameters(mu, None, box)[0]
    u = machine.basis.lift(machine.predict(row).coefficients)
    values = np.atleast_2d(row).T
    inputs = dict(zip(headings(box, len(row)), values, strict=True))
    return u.reshape(len(u), -1), inputs


def draw_scene(
    picture: Path | None, mesh: Mesh, fields: Fields, cell_fields: Fields, *, title: str
) -> None:
    """A picture in a file, or a window without one."""
    from rom.plot import pictures

    if picture is None:
        pictures.show_window(mesh, fields, cell_fields, title=title)
    else:
        pictures.picture(picture, mesh, fields, cell_fields, title=title)
