"""What any file of ours holds."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from rom.basis import Basis
from rom.errors import BadInput
from rom.mesh import Mesh
from rom.parameters import Box
from rom.space import Space

Functions = Mapping[str, Callable[..., Any]]


def summary(
    path: str | Path, functions: Functions | None = None
) -> tuple[dict[str, Any], tuple[str, ...]]:
    """What a store, an archive or a mesh file holds, as name -> text or number; and what is wrong with it, one line each."""
    path = Path(path)
    if path.is_dir():
        return _store(path)
    if not path.is_file():
        raise BadInput(f"no file or folder {path}")
    with open(path, "rb") as raw:
        ours = raw.read(12) == b"rom archive\n"
    if ours and not _only_fields(path):
        return _archive(path, functions), ()
    return _mesh_file(path), ()


def _only_fields(path: Path) -> bool:
    from rom.archive.files import open_archive
    from rom.archive.layout import extents
    from rom.errors import ForeignFile

    with open_archive(path) as raw:
        try:
            return "schema" not in extents(raw, path)
        except ForeignFile:
            return path.suffix == ".vtkhdf"


def _store(path: Path) -> tuple[dict[str, Any], tuple[str, ...]]:
    from rom.campaign import open_store, verify

    problems = verify(path)
    try:
        store = open_store(path)
    except OSError:
        return {"kind": "store of snapshots"}, problems
    done, failed = (
        store.manifest.done,
        [k for k in store.manifest.failed if k not in store.manifest.done],
    )
    facts: dict[str, Any] = {
        "kind": "store of snapshots",
        "planned": len(store.manifest.plan),
        "solved": len(done),
        "failed": len(failed),
    }
    if done:
        record = next(iter(done.values()))
        facts |= {"dofs": record["size"], "samples": f"({record['size']}, {len(done)})"}
    if store.times is not None:
        facts["times"] = f"{len(store.times)} from {store.times[0]:g} to {store.times[-1]:g} s"
    facts |= _box(store.box)
    facts |= {
        f"field {f.name}": f"[{f.unit}] {len(f.rows)} rows, {f.components} component(s)"
        for f in store.fields
    }
    facts |= {} if store.mesh is None else _mesh(store.mesh)
    facts["version"] = store.identity["version"]
    for key in failed[:10]:
        facts[f"failed at {store.manifest.plan.get(key, key)}"] = store.manifest.failed[key][-1][
            "reason"
        ]
    facts["digests"] = "all match" if not problems else f"{len(problems)} problem(s)"
    return facts, problems


def _archive(path: Path, functions: Functions | None) -> dict[str, Any]:
    from rom.archive.nouns import load

    noun = load(path, functions)
    held = noun if isinstance(noun, dict) else {"noun": noun}
    facts: dict[str, Any] = {"kind": "archive", "bytes": path.stat().st_size, "digest": "matches"}
    for name, value in held.items():
        if name == "made":
            facts |= {f"made: {key}": entry for key, entry in value.items()}
        elif value is not None:
            facts[name] = type(value).__name__
            facts |= _noun(value)
    return facts


def _noun(value: Any) -> dict[str, Any]:
    facts: dict[str, Any] = {}
    if isinstance(value, Mesh):
        return _mesh(value)
    if isinstance(value, Box):
        return _box(value)
    if hasattr(value, "predict"):
        bound = getattr(value, "bound", None)
        facts["error known by"] = f"certified bound ({type(bound).__name__})" if bound is not None else (
            "standard deviation" if "GP" in type(value).__name__ else "nothing"
        )  # fmt: skip
        facts |= _box(getattr(value, "box", None))
    basis = value if isinstance(value, Basis) else getattr(value, "basis", None)
    if isinstance(basis, Basis):
        asked = [
            f"rank {basis.rank_asked}" * (basis.rank_asked is not None),
            f"tol {basis.tol_asked:g}" if basis.tol_asked else "",
        ]
        facts |= {
            "dofs": basis.space.size,
            "modes delivered": basis.r,
            "asked": ", ".join(filter(None, asked)) or "nothing",
        }
        facts |= {
            "reason": basis.reason or "not given",
            "relative error of the training set": basis.error,
        }
        facts |= _fields(basis.space)
    elif isinstance(getattr(value, "space", None), Space):
        facts |= {"dofs": value.space.size} | _fields(value.space)
    for name in ("u", "mu", "coefficients"):
        if hasattr(value, name) and hasattr(getattr(value, name), "shape"):
            facts[f"{name} shape"] = str(getattr(value, name).shape)
    return facts


def _fields(space: Space) -> dict[str, Any]:
    return {
        f"field {f.name}": f"[{f.unit}] {len(f.rows)} rows, {f.components} component(s)"
        for f in space.fields
    }


def _box(box: Box | None) -> dict[str, Any]:
    if box is None:
        return {}
    rows = zip(box.names, box.lower, box.upper, box.units, box.scales, strict=True)
    return {
        f"parameter {name}": f"{low:g} .. {high:g} [{unit}] {scale}"
        for name, low, high, unit, scale in rows
    }


def _mesh(mesh: Mesh) -> dict[str, Any]:
    low, high = mesh.points.min(axis=0), mesh.points.max(axis=0)
    facts: dict[str, Any] = {
        "points": len(mesh.points),
        "extent": " x ".join(f"{d:g}" for d in high - low) + f" {mesh.unit}",
    }
    facts |= {f"{kind} cells": len(cells) for kind, cells in mesh.cells.items()}
    facts |= {
        f"region {name}": f"{sum(map(len, parts.values()))} cells"
        for name, parts in mesh.regions.items()
    }
    return facts | {
        f"node set {name}": f"{len(numbers)} nodes" for name, numbers in mesh.nodes.items()
    }


def _mesh_file(path: Path) -> dict[str, Any]:
    from rom.io.files import read_file

    mesh, fields, cell_fields = read_file(path)
    facts: dict[str, Any] = {"kind": "mesh file", "bytes": path.stat().st_size} | _mesh(mesh)
    for where, parts in (("points", fields), ("cells", cell_fields)):
        for name, (values, unit) in parts.items():
            span = f"{np.min(values):g} .. {np.max(values):g}" if values.size else "empty"
            facts[f"field {name}"] = f"[{unit}] on {where}, shape {values.shape}, {span}"
    return facts
