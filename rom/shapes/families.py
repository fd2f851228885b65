"""Families of designs as folders of files: one mesh with its fields per file and a table of scalars; or PLAID samples.

PLAID keeps a sample as `meshes/mesh_*.cgns` and its scalars in the tree, or in scalars.csv beside it (before version 1).
"""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from rom.errors import BadInput
from rom.io.fields import Fields
from rom.io.files import read_file, write_mesh
from rom.io.readers.cgns import read_cgns
from rom.mesh import Mesh
from rom.shapes.morphing import Sample
from rom.shapes.simplex import facets, simplices

BASELINE = "baseline:"


def family(
    folder: str | Path, outputs: Sequence[str] = (), fields: Sequence[str] = ()
) -> tuple[list[Sample], tuple[str, ...], tuple[str, ...], list[str]]:
    """(samples, names and units of the scalars, file names) of a folder.

    folder : mesh files of any format that `read_file` knows, with point fields ("baseline:NAME" is a baseline), and scalars.csv, whose
    first column is the file and whose others are scalars "name [unit]"; or `samples/sample_*/` with meshes/*.cgns and scalars.csv (PLAID)
    outputs : columns that are outputs; fields : those to learn, by default all. Raises BadInput naming file and column.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise BadInput(f"no folder {folder}; give a folder of mesh files, one per design")
    plaid = sorted((folder / "samples").glob("sample_*")) or sorted(folder.glob("sample_*/"))
    rows = [_plaid(path) for path in plaid if path.is_dir()] or _listed(folder)
    heads = list(rows[0][1])
    missing = [name for name in outputs if name not in heads]
    if missing:
        raise BadInput(
            f"no column {missing[0]!r} in the scalars of {folder}; it has {', '.join(heads) or 'none'}"
        )
    names = [head for head in heads if head not in outputs]
    samples = []
    for path, scalars in rows:
        if list(scalars) != heads:
            raise BadInput(
                f"{path.name} has scalars {', '.join(scalars)}, the first file {', '.join(heads)}; give all of them the same"
            )
        samples.append(
            _sample(path, [scalars[n] for n in names], {n: scalars[n] for n in outputs}, fields)
        )
    plain = tuple(name.split("[")[0].strip() for name in names)
    units = tuple(name.split("[")[1].rstrip("] ") if "[" in name else "1" for name in names)
    return (
        samples,
        plain,
        units,
        [path.name if path.parent.name != "meshes" else path.parents[1].name for path, _ in rows],
    )


def _sample(
    path: Path, mu: list[float], outputs: dict[str, float], fields: Sequence[str]
) -> Sample:
    mesh, found = open_sample(path)
    given = {
        name.removeprefix(BASELINE): v
        for name, (v, _) in found.items()
        if name.startswith(BASELINE)
    }
    known = {name: v for name, (v, _) in found.items() if not name.startswith(BASELINE)}
    missing = [name for name in fields if name not in known]
    if missing:
        raise BadInput(
            f"{path.name} has no point field {missing[0]!r}; it has {', '.join(known) or 'none'}"
        )
    return Sample(
        mesh,
        np.array(mu),
        {name: flat(known[name], mesh) for name in fields or sorted(known)},
        outputs,
        {k: flat(v, mesh) for k, v in given.items()},
    )


def open_sample(path: str | Path) -> tuple[Mesh, Fields]:
    """Mesh and point fields of a file of any known format; in CGNS files of plane meshes, tagged boundary nodes become curves."""
    if Path(path).suffix != ".cgns":
        return read_file(path)[:2]
    mesh, found, _, _ = read_cgns(path)
    return _with_curves(mesh), found


def _with_curves(mesh: Mesh) -> Mesh:
    """The boundary lines between the nodes of each set of two or more, as a region of its name, on plane meshes that name none."""
    flat_ = mesh.points.shape[1] == 2 and not set(mesh.cells) & {
        "line",
        "line3",
        "triangle6",
        "quad8",
        "quad9",
    }
    sets = {
        name: nodes
        for name, nodes in mesh.nodes.items()
        if len(nodes) > 1 and name not in mesh.regions
    }
    if not flat_ or not sets:
        return mesh
    lines = facets(simplices(mesh))[0]
    found = {
        name: np.flatnonzero(np.isin(lines, nodes).all(axis=1)) for name, nodes in sets.items()
    }
    curves = {name: {"line": rows} for name, rows in found.items() if len(rows)}
    nodes = {name: at for name, at in mesh.nodes.items() if name not in curves}
    return Mesh(
        mesh.points, {**mesh.cells, "line": lines}, {**mesh.regions, **curves}, nodes, mesh.unit
    )


def flat(values: np.ndarray, mesh: Mesh) -> np.ndarray:
    """Vectors without the third component that file formats add to plane meshes."""
    plane = (
        values.ndim == 2
        and values.shape[1] == 3
        and mesh.points.shape[1] == 2
        and not np.any(values[:, 2])
    )
    return values[:, :2] if plane else values


def _listed(folder: Path) -> list[tuple[Path, dict[str, float]]]:
    table = folder / "scalars.csv"
    if not table.is_file():
        files = sorted(
            p
            for p in folder.iterdir()
            if p.is_file() and p.suffix not in (".csv", ".txt", ".md", ".json", ".yaml")
        )
        if not files:
            raise BadInput(
                f"{folder} holds no mesh files; give one per design, and scalars.csv where scalars vary"
            )
        return [(path, {}) for path in files]
    with open(table, newline="") as file:
        head, *lines = [line for line in csv.reader(file) if line]
    if not lines:
        raise BadInput(f"{table} has no rows; give one per file: its name, then its scalars")
    return [(folder / line[0], _numbers(table, head[1:], line[1:], line[0])) for line in lines]


def _plaid(folder: Path) -> tuple[Path, dict[str, float]]:
    meshes, table = sorted((folder / "meshes").glob("*.cgns")), folder / "scalars.csv"
    if len(meshes) != 1:
        raise BadInput(
            f"{folder} has {len(meshes)} CGNS meshes; one steady state per sample can be read"
        )
    held = read_cgns(meshes[0])[3]
    if not table.is_file():
        return meshes[0], held
    with open(table, newline="") as file:
        lines = [line for line in csv.reader(file) if line]
    if len(lines) != 2:
        raise BadInput(f"{table} has {len(lines)} rows; give names and one row of values")
    return meshes[0], held | _numbers(table, lines[0], lines[1], folder.name)


def _numbers(table: Path, head: list[str], line: list[str], name: str) -> dict[str, float]:
    if len(head) != len(line):
        raise BadInput(f"{table}: {len(line)} scalars of {name} under {len(head)} names")
    try:
        return {key.strip(): float(value) for key, value in zip(head, line, strict=True)}
    except ValueError as error:
        raise BadInput(f"{table}: {name} has a scalar that is no number ({error})") from error


def write_answer(path: str | Path, answer: object, true: Sample | None = None) -> Path:
    """The fields of a prediction, "std NAME", and "error NAME" where the truth is known, on the user's mesh, in the format of the suffix."""
    return write_mesh(path, answer.mesh, answer_fields(answer, true))  # type: ignore[attr-defined]


def answer_fields(answer: object, true: Sample | None = None) -> dict[str, tuple[np.ndarray, str]]:
    """Prediction, standard deviation and, where the truth is known, error: name -> (array, unit)."""
    made: dict[str, tuple[np.ndarray, str]] = {}
    for name, values in answer.fields.items():  # type: ignore[attr-defined]
        made |= {name: (values, ""), f"std {name}": (answer.std[name], "")}  # type: ignore[attr-defined]
        if true is not None and name in true.fields:
            made[f"error {name}"] = (np.abs(values - true.fields[name]), "")
    return made
