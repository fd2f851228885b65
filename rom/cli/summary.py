"""What any file of ours holds."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from rom.archive.headers import Header, open_header
from rom.basis import Basis
from rom.cli.scenes import is_archive
from rom.errors import BadInput
from rom.mesh import Mesh
from rom.model import Model
from rom.parameters import Box
from rom.prediction import Prediction
from rom.space import Space
from rom.study.facts import Facts, basis_facts, box_facts, model_facts

Functions = Mapping[str, Callable[..., Any]]
MAX_FAILURES = 10  # that are listed


def summary(path: str | Path, functions: Functions | None = None) -> tuple[Facts, tuple[str, ...]]:
    """What a store, an archive or a mesh file holds, and what is wrong with it.

    functions : "module:name" -> function, for models that refer to them
    """
    path = Path(path)
    if path.is_dir():
        return _store(path)
    if not path.is_file():
        raise BadInput(f"no file or folder {path}")
    header = open_header(path) if is_archive(path) else None
    if header is not None:
        return _model_file(path, header), ()
    if is_archive(path) and not _has_only_fields(path):
        return _archive(path, functions), ()
    return _mesh_file(path), ()


def _model_file(path: Path, header: Header) -> Facts:
    """What the header of a model's file says; the rest is not read."""
    facts: Facts = {"kind": "model", "bytes": path.stat().st_size}
    facts |= {"digest": "of the header matches; the rest is checked where it is read"}
    facts |= {"model": header.kind, **model_facts(header), **header.sizes}
    return facts | {f"made: {key}": entry for key, entry in header.made.items()}


def _has_only_fields(path: Path) -> bool:
    from rom.archive.files import open_archive
    from rom.archive.layout import extents
    from rom.errors import ForeignFile

    with open_archive(path) as raw:
        try:
            return "schema" not in extents(raw, path)
        except ForeignFile:
            return path.suffix == ".vtkhdf"


def _store(path: Path) -> tuple[Facts, tuple[str, ...]]:
    from rom.campaign import open_store, verify

    facts: Facts = {"kind": "store of snapshots"}
    problems = verify(path)
    try:
        store = open_store(path)
    except OSError:
        return facts, problems
    manifest = store.manifest
    failed = [key for key in manifest.failed if key not in manifest.done]
    facts["planned"] = len(manifest.plan)
    facts["solved"] = len(manifest.done)
    facts["failed"] = len(failed)
    if manifest.done:
        record = next(iter(manifest.done.values()))
        facts["dofs"] = record["size"]
        facts["samples"] = f"({record['size']}, {len(manifest.done)})"
    if store.times is not None:
        first, last = store.times[0], store.times[-1]
        facts["times"] = f"{len(store.times)} from {first:g} to {last:g} s"
    facts |= box_facts(store.box) | _fields(store.fields)
    if store.mesh is not None:
        facts |= _mesh(store.mesh)
    facts["version"] = store.identity["version"]
    for key in failed[:MAX_FAILURES]:
        mu = manifest.plan.get(key, key)
        facts[f"failed at {mu}"] = manifest.failed[key][-1]["reason"]
    facts["digests"] = f"{len(problems)} problem(s)" if problems else "all match"
    return facts, problems


def _archive(path: Path, functions: Functions | None) -> Facts:
    from rom.archive.nouns import load

    noun = load(path, functions)
    parts = noun if isinstance(noun, dict) else {"noun": noun}
    facts: Facts = {"kind": "archive", "bytes": path.stat().st_size, "digest": "matches"}
    for name, value in parts.items():
        if name == "made":
            facts |= {f"made: {key}": entry for key, entry in value.items()}
        elif value is not None:
            facts[name] = type(value).__name__
            facts |= _noun(value)
    return facts


def _noun(value: Any) -> Facts:
    if isinstance(value, Mesh):
        return _mesh(value)
    if isinstance(value, Box):
        return box_facts(value)
    facts: Facts = {}
    if isinstance(value, Model):
        facts |= model_facts(value)
    basis = value if isinstance(value, Basis) else getattr(value, "basis", None)
    space = getattr(value, "space", None)
    if isinstance(basis, Basis):
        facts |= basis_facts(basis) | _fields(basis.space.fields)
    elif isinstance(space, Space):
        facts["dofs"] = space.size
        facts |= _fields(space.fields)
    for name in ("u", "mu", "coefficients"):
        shape = getattr(getattr(value, name, None), "shape", None)
        if shape is not None and not isinstance(value, Prediction):
            facts[f"{name} shape"] = str(shape)
    return facts


def _fields(fields: Any) -> Facts:
    facts = {}
    for field in fields:
        text = f"[{field.unit}] {len(field.rows)} rows, {field.components} component(s)"
        facts[f"field {field.name}"] = text
    return facts


def _mesh(mesh: Mesh) -> Facts:
    widths = np.ptp(mesh.points, axis=0)
    extent = " x ".join(f"{width:g}" for width in widths)
    facts: Facts = {"points": len(mesh.points), "extent": f"{extent} {mesh.unit}"}
    for kind, cells in mesh.cells.items():
        facts[f"{kind} cells"] = len(cells)
    for name, parts in mesh.regions.items():
        facts[f"region {name}"] = f"{sum(map(len, parts.values()))} cells"
    for name, numbers in mesh.nodes.items():
        facts[f"node set {name}"] = f"{len(numbers)} nodes"
    return facts


def _mesh_file(path: Path) -> Facts:
    from rom.io.files import read_file

    mesh, fields, cell_fields = read_file(path)
    facts: Facts = {"kind": "mesh file", "bytes": path.stat().st_size} | _mesh(mesh)
    for where, parts in (("points", fields), ("cells", cell_fields)):
        for name, (values, unit) in parts.items():
            span = f"{np.min(values):g} .. {np.max(values):g}" if values.size else "empty"
            facts[f"field {name}"] = f"[{unit}] on {where}, shape {values.shape}, {span}"
    return facts
