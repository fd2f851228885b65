"""What a model over shapes does with one sample, drawn: mesh, morphed mesh, mapped reference, mode, prediction, error, deviation."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from rom.errors import BadInput
from rom.mesh import Mesh
from rom.plot.curves import band_plot, line_plot
from rom.plot.pictures import picture
from rom.shapes import FieldModel, ShapeModel
from rom.shapes.morphing import Sample
from rom.shapes.simplex import simplices
from rom.shapes.straight import linear

NAMES = {2: "line", 3: "triangle", 4: "tetra"}


def shape_pictures(
    folder: str | Path, model: ShapeModel, s: Sample, name: str, unit: str, **look: Any
) -> None:
    """mesh.png, morphed.png, mode.png, fields.png of one sample and its field `name`; mapped.png where the model maps, errors.png on curves.

    look : of `picture`, for areas and volumes. Raises BadInput for a field that model or sample lack.
    """
    part = next((part for part in model.fields if part.name == name), None)
    if part is None or name not in s.fields:
        raise BadInput(
            f"no field {name!r} in model and sample; the model has {', '.join(p.name for p in model.fields)}"
        )
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    draw = _on_curve if simplices(linear(s.mesh)).shape[1] == 2 else _on_body
    draw(folder, model, s, part, unit, look)


def _on_body(
    folder: Path, model: ShapeModel, s: Sample, part: FieldModel, unit: str, look: dict[str, Any]
) -> None:
    laid, answer, name = model.lay(s.mesh), model.predict(s.mesh, s.mu, s.baseline), part.name
    cells = simplices(linear(s.mesh))
    body = Mesh(s.mesh.points, {NAMES[cells.shape[1]]: cells}, unit=s.mesh.unit)
    way = {
        "way to the reference": (np.linalg.norm(laid.place - s.mesh.points, axis=1), s.mesh.unit)
    }
    picture(folder / "mesh.png", body, way, edges=True, **look)
    picture(folder / "morphed.png", replace(body, points=laid.place), way, edges=True, **look)
    if model.mapping is not None:
        w, cells = (
            model.warp_modes(model.inputs(s, laid)[None])[0],
            simplices(model.embedding.reference),
        )
        moved = Mesh(model.chart + w, {NAMES[cells.shape[1]]: cells}, unit=s.mesh.unit)
        shift = {"shift by the optimal mapping": (np.linalg.norm(w, axis=1), s.mesh.unit)}
        picture(folder / "mapped.png", moved, shift, edges=True, **look)
    mode = {f"first mode of {name} on the sample": (laid.push(_first(part)), "-")}
    picture(folder / "mode.png", body, mode, cmap="coolwarm", **look)
    found, true = answer.fields[name], s.fields[name]
    fields = {
        f"{name}, predicted": (found, unit),
        "error": (np.abs(found - true), unit),
        "standard deviation": (answer.std[name], unit),
    }
    picture(folder / "fields.png", body, fields, **look)


def _on_curve(
    folder: Path, model: ShapeModel, s: Sample, part: FieldModel, unit: str, look: dict[str, Any]
) -> None:
    laid, answer, name = model.lay(s.mesh), model.predict(s.mesh, s.mu, s.baseline), part.name
    x, at, of, length = s.mesh.points, laid.place[:, 0], model.chart[:, 0], f"[{s.mesh.unit}]"
    line, order = "arc length on the reference, one per landmark [-]", np.argsort(model.chart[:, 0])
    line_plot(
        folder / "mesh.png",
        x[:, 0],
        {f"{len(x)} nodes": x[:, 1]},
        f"x {length}",
        f"y {length}",
        "mesh",
        equal=True,
    )
    line_plot(
        folder / "morphed.png",
        at,
        {f"x {length}": x[:, 0], f"y {length}": x[:, 1]},
        line,
        f"coordinate {length}",
        "morphed mesh",
    )
    if model.mapping is not None:
        w = model.warp_modes(model.inputs(s, laid)[None])[0][:, 0]
        line_plot(
            folder / "mapped.png",
            of[order],
            {"psi - id": w[order]},
            line,
            "shift [-]",
            "optimal mapping of this sample",
        )
    line_plot(
        folder / "mode.png",
        of[order],
        {"first mode": _first(part)[order]},
        line,
        f"{name} [-]",
        f"first mode of {name}",
    )
    found, true, std = (
        values.reshape(len(x), -1)[:, 0]
        for values in (answer.fields[name], s.fields[name], answer.std[name])
    )
    band, rows = (found - 1.96 * std, found + 1.96 * std), {"predicted": found, "simulated": true}
    band_plot(
        folder / "fields.png",
        at,
        band,
        rows,
        line,
        f"{name} [{unit}]",
        f"{name} of a design not seen",
    )
    off = {"error": np.abs(found - true), "standard deviation": std}
    line_plot(
        folder / "errors.png",
        at,
        off,
        line,
        f"{name} [{unit}]",
        "error and standard deviation",
        log=True,
    )


def _first(part: FieldModel) -> np.ndarray:
    """The first component of the first mode on the reference (N,); zero where all samples agree."""
    modes = part.basis.modes
    return (
        modes[:: part.components, 0] if modes.shape[1] else np.zeros(len(modes) // part.components)
    )
