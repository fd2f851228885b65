"""A reduced model as one HTML page: sliders, its field, its error."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from rom import __version__
from rom.archive.files import write_file
from rom.arrays import gate
from rom.deploy.online_numbers import online_numbers
from rom.errors import BadInput
from rom.io.answers import answer_fields_on_mesh
from rom.io.grid import to_grid
from rom.io.regions import cell_dimensions
from rom.io.states import whole_fields
from rom.mesh import Mesh
from rom.model import Model
from rom.parameters import Box
from rom.prediction import Part, Prediction

FOLDER = Path(__file__).parent
TYPES = {"f8": "<f8", "f4": "<f4", "u4": "<u4", "u1": "|u1"}
SHARE = 0.1  # of the size of the body, that the default warp moves its points


@gate(model=Model, mesh=Mesh)
def write_page(
    path: str | Path, model: Model, mesh: Mesh | None = None, *, title: str = "", origin: str = ""
) -> Path:
    """One HTML file that answers by itself: no server, nothing from elsewhere.

        u(mu) = offset + V a(mu) on the surface of the mesh,

    a(mu) in double precision with its bound or deviation, V in single precision.
    model : a stationary Galerkin model with Monomials, or a regression by processes
    mesh : of its fields, the model's own by default; without one the rows are a curve
    title : of the page; origin : how the model was made
    Raises BadInput for models and fields that a page cannot show, MissingExtra without PyVista,
    NotWritten. Reference: WebGL 2.0 (Khronos Group, 2017).
    """
    path = Path(path)
    content = _content(model, mesh or model.mesh)
    content |= {"title": title or path.stem, "origin": origin or f"rom-platform {__version__}"}
    text = json.dumps(_packed(content), allow_nan=False).replace("<", "\\u003c")
    script = (FOLDER / "online.js").read_text() + (FOLDER / "page.js").read_text()
    html = (FOLDER / "page.html").read_text()
    return write_file(path, html.replace("{{SCRIPT}}", script).replace("{{MODEL}}", text))


def _content(model: Model, mesh: Mesh | None) -> dict[str, Any]:
    """Everything that the page shows, arrays still as arrays."""
    kind, numbers, notes = online_numbers(model)
    box = model.asks.box
    assert box is not None
    answer = model.predict(box.from_unit(np.full(box.p, 0.5)))
    answer = replace(answer, mesh=mesh)
    points, triangles, nodes = _surface(mesh, answer)
    stretch = getattr(model, "stretch", None)
    fields, more = _fields(
        answer, nodes, np.ones(len(answer.parts)) if stretch is None else stretch
    )
    label = answer.errors[0].label if answer.errors else "Nothing is known of the error"
    return {
        "kind": kind,
        "model": numbers,
        "notes": notes + more,
        "known": label[:1].upper() + label[1:],
        "what": _what(model, answer),
        "parameters": _parameters(box),
        "points": points.astype(np.float32),
        "triangles": triangles.astype(np.uint32),
        "nodes": nodes.astype(np.uint32),
        "dimension": 1 if mesh is None else mesh.points.shape[1],
        "unit": "" if mesh is None else mesh.unit,
        "axis": "row" if mesh is None else f"x [{mesh.unit}]",
        "fields": fields,
        "factor": _factor(points, answer),
    }


def _what(model: Any, answer: Prediction) -> str:
    modes = next(iter(answer.parts.values())).a.shape[0]
    kind = getattr(model, "kind", "Galerkin model of the equations").split(" (")[0]
    return f"{kind[:1].upper()}{kind[1:]}; {modes} modes."


def _parameters(box: Box) -> list[dict[str, Any]]:
    middle = box.from_unit(np.full(box.p, 0.5))
    ends = zip(box.names, box.units, box.scales, box.lower, box.upper, middle, strict=True)
    return [
        {
            "name": name, "unit": unit, "scale": scale,
            "lower": float(low), "upper": float(high), "start": float(start),
        }
        for name, unit, scale, low, high, start in ends
    ]  # fmt: skip


def _surface(mesh: Mesh | None, answer: Prediction) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Points (n, 3), triangles (k, 3), node of each point; a curve has no triangle."""
    if mesh is None:
        sizes = {len(part.lift(0, 0)) // part.quantity.components for part in answer.parts.values()}
        if len(sizes) > 1:
            raise BadInput("the fields have different numbers of rows; give their mesh to draw")
        rows = np.arange(sizes.pop())
        return np.pad(rows[:, None].astype(float), ((0, 0), (0, 2))), np.zeros((0, 3)), rows
    dimension = cell_dimensions(mesh)
    if dimension.max(initial=0) < 2:
        absent = 3 - mesh.points.shape[1]
        points = np.pad(mesh.points, ((0, 0), (0, absent)))
        return points, np.zeros((0, 3)), np.arange(len(points))
    body = to_grid(mesh).extract_cells(np.flatnonzero(dimension == dimension.max()))
    surface = body.extract_surface(algorithm="dataset_surface", nonlinear_subdivision=0)
    faces = surface.triangulate()
    places = np.asarray(faces.point_data["vtkOriginalPointIds"])
    nodes = np.asarray(body.point_data["vtkOriginalPointIds"])[places]
    return np.asarray(faces.points), faces.faces.reshape(-1, 4)[:, 1:], nodes


def _fields(
    answer: Prediction, nodes: np.ndarray, stretch: np.ndarray
) -> tuple[list[dict[str, Any]], list[str]]:
    """Fields at the drawn nodes as offset and modes; what is said of others.

    stretch (f,) : of each field's deviations
    """
    fields, notes = [], []
    for (name, part), factor in zip(answer.parts.items(), stretch, strict=True):
        samples = {name: _unit_samples(part)}
        r = part.a.shape[0]
        states = [_at_nodes(answer, samples, k, nodes) for k in range(r + 1)]
        columns = [state for state in states if state is not None]
        if not columns:
            notes.append(f"{name} lies on cells and is not drawn.")
            continue
        offset, tail = columns.pop(0)
        field: dict[str, Any] = {
            "name": name,
            "unit": part.quantity.unit,
            "components": part.quantity.components,
            "offset": offset.astype(np.float32),
            "modes": np.stack([mode - offset for mode, _ in columns]).astype(np.float32),
            "tail": None if tail is None else tail.astype(np.float32),
        }
        if tail is not None:
            field |= {"factor": float(factor), **_spread_sums(part)}
        fields.append(field)
    if not fields:
        raise BadInput("no field of the model lies on the nodes of the mesh; nothing to draw")
    return fields, notes


def _unit_samples(part: Part) -> Part:
    """The part at a = 0 and at each unit vector, without deviations of coefficients."""
    r = part.a.shape[0]
    a = np.hstack([np.zeros((r, 1)), np.eye(r)])[:, :, None]
    return replace(part, a=a, std=None if part.std is None else np.zeros_like(a), errors=())


def _at_nodes(
    answer: Prediction, parts: Mapping[str, Part], sample: int, nodes: np.ndarray
) -> tuple[np.ndarray, np.ndarray | None] | None:
    """(values, deviations or None) at nodes, flat; None where the field lies on cells."""
    if answer.mesh is None:
        part = next(iter(parts.values()))
        return part.lift(sample, 0), part.spread(sample, 0)
    on_points, _ = answer_fields_on_mesh(replace(answer, parts=parts), sample, 0)
    arrays = [np.asarray(array)[nodes].ravel() for array, _ in whole_fields(on_points).values()]
    if not arrays:
        return None
    return arrays[0], arrays[1] if len(arrays) > 1 else None


def _spread_sums(part: Part) -> dict[str, Any]:
    """Of the rms of a deviation over the field: sums of squares, number of rows."""
    assert part.basis is not None and part.tail is not None
    rows = slice(None) if part.rows is None else part.rows
    modes = part.basis.modes[rows]
    return {
        "energies": np.sum(modes**2, axis=0),
        "tailEnergy": float(np.sum(part.tail**2)),
        "rows": len(modes),
    }


def _factor(points: np.ndarray, answer: Prediction) -> float:
    """A warp that can be seen: its largest vector is a tenth of the body."""
    vectors = [name for name, part in answer.parts.items() if part.quantity.components > 1]
    largest = max((float(np.abs(answer.field(name)).max()) for name in vectors), default=0.0)
    size = float(np.ptp(points, axis=0).max(initial=0.0))
    return float(f"{SHARE * size / largest:.1g}") if largest > 0 else 1.0


def _packed(value: Any) -> Any:
    """Arrays as base64, everything else as it is."""
    if isinstance(value, Mapping):
        return {key: _packed(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_packed(item) for item in value]
    if isinstance(value, np.generic):
        return value.item()
    if not isinstance(value, np.ndarray):
        return value
    kind = value.dtype.str[1:] if value.dtype.str[1:] in TYPES else "f8"
    flat = np.ascontiguousarray(value, dtype=TYPES[kind])
    if not np.isfinite(flat).all():
        raise BadInput("a page needs finite numbers; the model holds NaN or Inf")
    return {"type": kind, "base64": base64.b64encode(flat.tobytes()).decode()}
