"""What models answer and files hold, as rows of a table and as fields to draw."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from rom.cli.launch import plain_value
from rom.errors import BadInput
from rom.parameters import Box


def answer_row(
    machine: Any, mu: np.ndarray, answer: Any, box: Box | None, outputs: Any
) -> dict[str, Any]:
    """One prediction as name -> number: parameters, extremes of each field, norm, and what is known of the error."""
    from rom.io.fields import label
    from rom.io.states import fields_of_state

    basis = machine.basis
    u = basis.lift(answer.coefficients)
    row: dict[str, Any] = {
        "mu": dict(
            zip(
                box.names if box is not None else [f"mu{k}" for k in range(len(mu))],
                mu.tolist(),
                strict=True,
            )
        )
    }
    for part, values in fields_of_state(basis.space, u):
        row |= {
            f"min {label(part.name, part.unit)}": np.min(np.real(values)),
            f"max {label(part.name, part.unit)}": np.max(np.real(values)),
        }
    row["norm"] = np.max(basis.space.norm(u))
    if answer.bound is not None:
        row["bound of the error in the norm"] = float(np.max(answer.bound))
    if answer.std is not None:
        row["largest standard deviation"] = float(np.max(basis.spread(answer.std)))
    row |= outputs(u, mu) if outputs is not None else {}
    return plain_value(row)


def headings(box: Box | None, p: int) -> list[str]:
    """'name [unit]' of each parameter."""
    return (
        [f"mu{k}" for k in range(p)]
        if box is None
        else [f"{n} [{u}]" for n, u in zip(box.names, box.units, strict=True)]
    )


def states_of(
    path: Path, case: str | None
) -> tuple[Any, np.ndarray, dict[str, np.ndarray], Any] | None:
    """(space, states, what they answer, mesh) of a store or a model; None for another file."""
    from rom.archive.models import load_model
    from rom.campaign import open_store, read
    from rom.cli.case import load_functions

    if path.is_dir():
        held, snapshots = open_store(path), read(path)
        given = dict(zip(headings(held.box, snapshots.mu.shape[1]), snapshots.mu.T, strict=True))
        if snapshots.t is not None:
            given["t [s]"] = snapshots.t
        return snapshots.space, np.asarray(snapshots.u[:]), given, held.mesh
    if not path.is_file():
        raise BadInput(f"no file or folder {path}")
    with open(path, "rb") as raw:
        if path.suffix == ".vtkhdf" or raw.read(12) != b"rom archive\n":
            return None
    machine, mesh, _ = load_model(path, load_functions(case))
    return (
        machine.basis.space,
        machine.basis.modes,
        {"mode": np.arange(1.0, machine.basis.r + 1)},
        mesh,
    )


def scene(
    path: Path, mu: list[str] | None, step: int, case: str | None
) -> tuple[Any, dict, dict, str]:
    """(mesh, point fields, cell fields, title) of a mesh file, or of one state of a store or a model."""
    from rom.archive.models import load_model
    from rom.cli.case import load_functions, parameters
    from rom.io.files import read_file
    from rom.io.states import on_mesh

    found = states_of(path, case)
    if found is None:
        mesh, fields, cell_fields = read_file(path)
        axis = mesh.points.shape[1] - 1
        return (
            mesh,
            fields or ({} if cell_fields else {"xyz"[axis]: (mesh.points[:, axis], mesh.unit)}),
            cell_fields,
            path.name,
        )
    space, states, given, held = found
    if held is None:
        raise BadInput(
            f"{path} has no mesh to show fields on; export it to .npz or .csv, or give the problem a mesh"
        )
    if mu:
        machine = load_model(path, load_functions(case))[0]
        row = parameters(mu, None, getattr(machine, "box", None))[0]
        u = machine.basis.lift(machine.predict(row).coefficients)
        states, given = (
            u.reshape(len(u), -1),
            dict(zip(headings(machine.box, len(row)), np.atleast_2d(row).T, strict=True)),
        )
    if step >= states.shape[1]:
        raise BadInput(f"no step {step}; there are {states.shape[1]}: 0 .. {states.shape[1] - 1}")
    title = ", ".join(
        f"{name.split(' [')[0]} = {values[min(step, len(values) - 1)]:.4g}"
        for name, values in given.items()
    )
    return held, *on_mesh(space, held, states[:, step]), title if len(title) < 60 else path.name
