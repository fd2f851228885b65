"""Models as programs that answer by themselves: pages and units."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from rom.cli.questions import open_model
from rom.cli.scenes import is_model_file, is_store
from rom.cli.targets import check_folder
from rom.errors import BadInput
from rom.model import Model
from rom.space import Field

PAGE, UNIT = ".html", ".fmu"


def is_program(out: Path) -> bool:
    """Whether a file of that name answers by itself."""
    return out.suffix in (PAGE, UNIT)


def export_program(path: Path, out: Path, case: str | None, at: Sequence[str]) -> None:
    """A model as a page or a unit. Raises BadInput for anything else."""
    from rom.deploy import write_fmu, write_page

    check_folder(out)
    if is_store(path) or not is_model_file(path):
        raise BadInput(f"{path} is no model; pages and units are made of one: rom train makes it")
    model, mesh, provenance = open_model(path, case)
    if out.suffix == UNIT:
        name = re.sub(r"\W", "_", out.stem, flags=re.ASCII)
        write_fmu(out, model, _values_at(model, at), name=f"m_{name}"[:64])
        return
    words = [str(provenance[key]) for key in ("command", "package") if key in provenance]
    write_page(out, model, model.mesh or mesh, title=path.stem, origin="; ".join(words))


def _values_at(model: Model, at: Sequence[str]) -> dict[str, tuple[np.ndarray, str]] | None:
    """Weights of values of fields at nodes; None of a model without a basis."""
    basis = getattr(model, "basis", None)
    if basis is None:
        return None
    n = basis.space.n
    fields = {field.name: field for field in basis.space.fields or (Field("u", "1", np.arange(n)),)}
    outputs = {}
    for text in at:
        name, _, number = text.rpartition("=")
        if name not in fields or not number.isdecimal():
            raise BadInput(f"--at {text}: give FIELD=NODE; fields: {', '.join(fields)}")
        for key, row in _rows_at(fields[name], int(number)).items():
            outputs[key] = (np.eye(1, n, row)[0], fields[name].unit)
    if not outputs:
        raise BadInput(
            "a unit tells values of the fields at nodes; say which: --at FIELD=NODE; fields: "
            f"{', '.join(fields)}"
        )
    return outputs


def _rows_at(field: Field, node: int) -> dict[str, int]:
    """FIELD_NODE, or FIELD_NODE_COMPONENT -> the row of that value. Raises BadInput."""
    nodes = field.nodes
    if nodes is None:
        nodes = np.arange(len(field.rows) // field.components)
    places = np.flatnonzero(nodes == node)
    if not len(places):
        raise BadInput(f"{field.name} has no unknown at node {node}; give one that it has")
    rows = field.rows.reshape(-1, field.components)[places[0]]
    if field.components == 1:
        return {f"{field.name}_{node}": int(rows[0])}
    return {f"{field.name}_{node}_{c + 1}": int(row) for c, row in enumerate(rows)}
