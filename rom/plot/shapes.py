"""A model over shapes on one sample: meshes, mode, prediction, error, deviation."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from rom.arrays import gate
from rom.errors import BadInput
from rom.mesh import Mesh
from rom.plot.curves import band_plot, line_plot
from rom.plot.pictures import picture
from rom.shapes import FieldModel, ShapeModel
from rom.shapes.morphing import Sample
from rom.shapes.simplex import simplices
from rom.shapes.straight import linear

NAMES = {2: "line", 3: "triangle", 4: "tetra"}  # cell type of so many nodes
BAND_95 = 1.96  # standard deviations of a 95 % band
ARC_LENGTH = "arc length on the reference, one per landmark [-]"


@dataclass(frozen=True, eq=False)
class _Drawing:
    """A sample laid on a model's reference, one field of it, and its answer."""

    folder: Path
    model: ShapeModel
    sample: Sample
    part: FieldModel
    unit: str
    laid: Any
    answer: Any

    def values(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Predicted field, true field, standard deviation."""
        name = self.part.name
        return self.answer.field(name), self.sample.fields[name], self.answer.std(name)


@gate(model=ShapeModel, s=Sample)
def shape_pictures(
    folder: str | Path, model: ShapeModel, s: Sample, name: str, unit: str, **look: Any
) -> None:
    """mesh.png, morphed.png, mode.png, fields.png of a sample and its field `name`.

    mapped.png too where the model maps, errors.png on curves.
    look : of `picture`, for areas and volumes. Raises BadInput for a field that model or sample
    lack.
    """
    part = next((part for part in model.fields if part.name == name), None)
    if part is None or name not in s.fields:
        names = ", ".join(field.name for field in model.fields)
        raise BadInput(f"no field {name!r} in model and sample; the model has {names}")
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    answer = model.predict(s.mu, mesh=s.mesh, fields=s.baseline)
    drawing = _Drawing(folder, model, s, part, unit, model.lay(s.mesh), answer)
    cells = simplices(linear(s.mesh))
    if cells.shape[1] == 2:
        _draw_curve(drawing)
    else:
        _draw_body(drawing, cells, look)


def _draw_body(drawing: _Drawing, cells: np.ndarray, look: dict[str, Any]) -> None:
    folder, embedding, mesh = drawing.folder, drawing.laid, drawing.sample.mesh
    body = Mesh(mesh.points, {NAMES[cells.shape[1]]: cells}, unit=mesh.unit)
    distance = np.linalg.norm(embedding.place - mesh.points, axis=1)
    way = {"way to the reference": (distance, mesh.unit)}
    picture(folder / "mesh.png", body, way, edges=True, **look)
    morphed = replace(body, points=embedding.place)
    picture(folder / "morphed.png", morphed, way, edges=True, **look)
    if drawing.model.mapping is not None:
        _draw_mapping(drawing, look)
    name, unit = drawing.part.name, drawing.unit
    mode = embedding.push(_first_mode(drawing.part))
    modes = {f"first mode of {name} on the sample": (mode, "-")}
    picture(folder / "mode.png", body, modes, cmap="coolwarm", **look)
    predicted, true, std = drawing.values()
    fields = {
        f"{name}, predicted": (predicted, unit),
        "error": (np.abs(predicted - true), unit),
        "standard deviation": (std, unit),
    }
    picture(folder / "fields.png", body, fields, **look)


def _draw_mapping(drawing: _Drawing, look: dict[str, Any]) -> None:
    """The reference, moved by the optimal mapping of the sample."""
    model, unit = drawing.model, drawing.sample.mesh.unit
    w = _mapping_shift(drawing)
    cells = simplices(model.embedding.reference)
    mapped = Mesh(model.chart + w, {NAMES[cells.shape[1]]: cells}, unit=unit)
    shift = {"shift by the optimal mapping": (np.linalg.norm(w, axis=1), unit)}
    picture(drawing.folder / "mapped.png", mapped, shift, edges=True, **look)


def _mapping_shift(drawing: _Drawing) -> np.ndarray:
    """Displacement (N, d) of the reference by the optimal mapping of the sample."""
    model = drawing.model
    inputs = model.inputs(drawing.sample, drawing.laid)
    shift: np.ndarray = model.warp_modes(inputs[None])[0]
    return shift


def _draw_curve(drawing: _Drawing) -> None:
    _draw_curve_meshes(drawing)
    _draw_curve_fields(drawing)


def _draw_curve_meshes(drawing: _Drawing) -> None:
    folder, mesh = drawing.folder, drawing.sample.mesh
    x, y = mesh.points[:, 0], mesh.points[:, 1]
    in_x, in_y, in_both = (f"{name} [{mesh.unit}]" for name in ("x", "y", "coordinate"))
    at = drawing.laid.place[:, 0]
    nodes = {f"{len(x)} nodes": y}
    line_plot(folder / "mesh.png", x, nodes, xlabel=in_x, ylabel=in_y, title="mesh", equal=True)
    line_plot(
        folder / "morphed.png",
        at,
        {in_x: x, in_y: y},
        xlabel=ARC_LENGTH,
        ylabel=in_both,
        title="morphed mesh",
    )
    chart = drawing.model.chart[:, 0]
    order = np.argsort(chart)
    if drawing.model.mapping is not None:
        shift = _mapping_shift(drawing)[:, 0]
        line_plot(
            folder / "mapped.png",
            chart[order],
            {"psi - id": shift[order]},
            xlabel=ARC_LENGTH,
            ylabel="shift [-]",
            title="optimal mapping of this sample",
        )
    name = drawing.part.name
    line_plot(
        folder / "mode.png",
        chart[order],
        {"first mode": _first_mode(drawing.part)[order]},
        xlabel=ARC_LENGTH,
        ylabel=f"{name} [-]",
        title=f"first mode of {name}",
    )


def _draw_curve_fields(drawing: _Drawing) -> None:
    folder, name = drawing.folder, drawing.part.name
    at = drawing.laid.place[:, 0]
    predicted, true, std = (values.reshape(len(at), -1)[:, 0] for values in drawing.values())
    half_width = BAND_95 * std
    band = (predicted - half_width, predicted + half_width)
    ylabel = f"{name} [{drawing.unit}]"
    band_plot(
        folder / "fields.png",
        at,
        band,
        {"predicted": predicted, "simulated": true},
        xlabel=ARC_LENGTH,
        ylabel=ylabel,
        title=f"{name} of a design not seen",
    )
    line_plot(
        folder / "errors.png",
        at,
        {"error": np.abs(predicted - true), "standard deviation": std},
        xlabel=ARC_LENGTH,
        ylabel=ylabel,
        title="error and standard deviation",
        log=True,
    )


def _first_mode(part: FieldModel) -> np.ndarray:
    """First component of the first mode on the reference (N,); zero without modes."""
    modes, c = part.basis.modes, part.components
    if not modes.shape[1]:
        return np.zeros(len(modes) // c)
    first: np.ndarray = modes[::c, 0]
    return first
