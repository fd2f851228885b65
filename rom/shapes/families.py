"""Families of designs as folders of files, and predictions as files.

A folder holds one mesh with its fields per file and a table of scalars, or PLAID samples. PLAID
keeps a sample as `meshes/mesh_*.cgns` and its scalars in the tree, or in scalars.csv beside it
(before version 1).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from rom.errors import BadInput
from rom.io.fields import Fields
from rom.io.files import read_file, write_mesh
from rom.io.readers.cgns import read_cgns
from rom.mesh import Mesh
from rom.prediction import Prediction
from rom.shapes.facets import facets
from rom.shapes.folders import list_files
from rom.shapes.morphing import Sample
from rom.shapes.simplex import simplices

BASELINE = "baseline:"  # before the name of a point field that is a baseline
CURVES = {"line", "line3", "triangle6", "quad8", "quad9"}  # types of meshes that are left alone


def family(
    folder: str | Path, outputs: Sequence[str] = (), fields: Sequence[str] = ()
) -> tuple[list[Sample], tuple[str, ...], tuple[str, ...], list[str]]:
    """(samples, names and units of the scalars, file names) of a folder.

    folder : mesh files of any format that `read_file` knows, with point fields ("baseline:NAME" is
        a baseline), and scalars.csv, whose first column is the file and whose others are scalars
        "name [unit]"; or `samples/sample_*/` with meshes/*.cgns and scalars.csv (PLAID)
    outputs : columns that are outputs, by name or by their whole head; fields : those to learn,
        by default all
    Raises BadInput naming file and column.
    """
    files = list_files(folder)
    heads = list(files[0].scalars)
    columns = {name: _column(name, heads, folder) for name in outputs}
    inputs = [head for head in heads if head not in columns.values()]
    samples = []
    for file in files:
        if list(file.scalars) != heads:
            own, first = ", ".join(file.scalars), ", ".join(heads)
            raise BadInput(
                f"{file.path.name} has scalars {own}, the first file {first}; "
                "give all of them the same"
            )
        mu = [file.scalars[name] for name in inputs]
        values = {name: file.scalars[head] for name, head in columns.items()}
        sample = _sample(file.path, mu, values, fields)
        units_of_outputs = {name: _name_and_unit(head)[1] for name, head in columns.items()}
        samples.append(replace(sample, units={**sample.units, **units_of_outputs}))
    names, units = zip(*map(_name_and_unit, inputs), strict=True) if inputs else ((), ())
    return samples, names, units, [file.name for file in files]


def _column(name: str, heads: Sequence[str], folder: str | Path) -> str:
    """The column of an output. Raises BadInput where there is none, or several."""
    if name in heads:
        return name
    matches = [head for head in heads if _name_and_unit(head)[0] == name]
    if len(matches) != 1:
        columns = ", ".join(heads) or "none"
        raise BadInput(f"no column {name!r} in the scalars of {folder}; it has {columns}")
    return matches[0]


def _name_and_unit(head: str) -> tuple[str, str]:
    """ "load [N]" -> ("load", "N"); without a unit "1"."""
    name, bracket, rest = head.partition("[")
    unit = rest.split("[")[0].rstrip("] ")
    return name.strip(), unit if bracket else "1"


def _sample(
    path: Path, mu: list[float], outputs: dict[str, float], fields: Sequence[str]
) -> Sample:
    """The sample of one file. Raises BadInput where it lacks one of `fields`."""
    mesh, every = open_sample(path)
    values, baseline = split_baseline(mesh, every)
    for name in fields:
        if name not in values:
            names = ", ".join(values) or "none"
            raise BadInput(f"{path.name} has no point field {name!r}; it has {names}")
    chosen = {name: values[name] for name in fields or sorted(values)}
    units = {name: every[name][1] or "1" for name in chosen}
    return Sample(mesh, np.array(mu), chosen, outputs, baseline, units)


def split_baseline(
    mesh: Mesh, fields: Fields
) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """Fields and baselines of a file by name, vectors in the plane of plane meshes."""
    values, baseline = {}, {}
    for name, (array, _) in fields.items():
        if name.startswith(BASELINE):
            baseline[name.removeprefix(BASELINE)] = flat(array, mesh)
        else:
            values[name] = flat(array, mesh)
    return values, baseline


def open_sample(path: str | Path) -> tuple[Mesh, Fields]:
    """Mesh and point fields of a file of any known format.

    In CGNS files of plane meshes, tagged boundary nodes become curves.
    """
    if Path(path).suffix == ".cgns":
        mesh, fields, _, _ = read_cgns(path)
        return _with_curves(mesh), fields
    mesh, fields, _ = read_file(path)
    return mesh, fields


def _with_curves(mesh: Mesh) -> Mesh:
    """A plane mesh without lines, with a curve for each set of boundary nodes.

    It has the boundary lines between two or more nodes of the set, and its name.
    """
    if mesh.points.shape[1] != 2 or set(mesh.cells) & CURVES:
        return mesh
    sets = {name: nodes for name, nodes in mesh.nodes.items() if len(nodes) > 1}
    new = {name: nodes for name, nodes in sets.items() if name not in mesh.regions}
    if not new:
        return mesh
    lines, _ = facets(simplices(mesh))
    curves = {}
    for name, nodes in new.items():
        rows = np.flatnonzero(np.isin(lines, nodes).all(axis=1))
        if len(rows):
            curves[name] = {"line": rows}
    left = {name: nodes for name, nodes in mesh.nodes.items() if name not in curves}
    cells = {**mesh.cells, "line": lines}
    return Mesh(mesh.points, cells, {**mesh.regions, **curves}, left, mesh.unit)


def flat(values: np.ndarray, mesh: Mesh) -> np.ndarray:
    """Vectors without the third component that file formats add to plane meshes."""
    plane = mesh.points.shape[1] == 2
    vectors = values.ndim == 2 and values.shape[1] == 3
    if plane and vectors and not np.any(values[:, 2]):
        return values[:, :2]
    return values


def write_shape_answer(path: str | Path, answer: Prediction, true: Sample | None = None) -> Path:
    """The fields of a prediction on the user's mesh, in the format of the suffix.

    With "std NAME", and "error NAME" where the truth is there. Raises BadInput without a mesh.
    """
    if answer.mesh is None:
        raise BadInput("this answer has no mesh to write; ask the model with one")
    return write_mesh(path, answer.mesh, answer_fields(answer, true))


def answer_fields(answer: Prediction, true: Sample | None = None) -> Fields:
    """name -> (array, unit) of prediction, deviation and, with the truth, error."""
    fields: Fields = {}
    for name, part in answer.parts.items():
        unit = "" if part.quantity.unit == "1" else part.quantity.unit
        values, std = answer.field(name), answer.std(name)
        fields[name] = (values, unit)
        if std is not None:
            fields[f"std {name}"] = (std, unit)
        if true is not None and name in true.fields:
            fields[f"error {name}"] = (np.abs(values - true.fields[name]), unit)
    return fields
