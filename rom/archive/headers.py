"""Headers of model files: what a model asks and tells, read without its arrays.

    512 bytes: magic, format, sha256 of the rest; length and sha256 of the header
    the header: JSON, padded so that HDF5 begins at a power of two
    HDF5: /rom with all arrays, and /VTKHDF where the model has a mesh

VTK and ParaView look for HDF5 at 0, 512, 1024, ... and open the file as it is.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, is_dataclass
from enum import Enum
from pathlib import Path
from typing import Any

import numpy as np

from rom.archive.files import read_header
from rom.errors import ForeignFile
from rom.mesh import Mesh
from rom.model import Asks, Model
from rom.parameters import Box
from rom.prediction import Known, Quantity


@dataclass(frozen=True, eq=False)
class Header:
    """What a file says of its model before its arrays.

    bound : class of the bound, if any; sizes : of mesh and basis, by name
    """

    kind: str
    asks: Asks
    known: Known
    tells: tuple[Quantity, ...] = ()
    tells_outputs: tuple[Quantity, ...] = ()
    bound: str = ""
    sizes: Mapping[str, Any] = field(default_factory=dict)
    made: Mapping[str, Any] = field(default_factory=dict)


def header_of(model: Model, mesh: Mesh | None, made: Mapping[str, Any]) -> Header:
    """The header of a model with its mesh and provenance."""
    bound = getattr(model, "bound", None)
    return Header(
        type(model).__name__,
        model.asks,
        model.known,
        model.tells,
        model.tells_outputs,
        "" if bound is None else type(bound).__name__,
        _sizes(model, mesh),
        made,
    )


def _sizes(model: Any, mesh: Mesh | None) -> dict[str, Any]:
    """Numbers of points, cells, dofs and modes; the training error."""
    sizes: dict[str, Any] = {}
    basis = getattr(model, "basis", None)
    if basis is not None:
        wishes = [f"rank {basis.rank_asked}"] if basis.rank_asked is not None else []
        wishes += [f"tol {basis.tol_asked:g}"] if basis.tol_asked else []
        sizes = {"dofs": basis.space.size, "modes delivered": basis.r, "reason": basis.reason}
        sizes["asked"] = ", ".join(wishes) or "nothing"
        for part in basis.space.fields:
            sizes[f"field {part.name}"] = f"[{part.unit}] {part.components} x {len(part.rows)}"
        sizes["relative error of the training set"] = basis.error
    if mesh is not None:
        sizes |= {"points": len(mesh.points), "mesh unit": mesh.unit}
        sizes |= {f"{kind} cells": len(cells) for kind, cells in mesh.cells.items()}
    return sizes | getattr(model, "facts", {})


def header_bytes(header: Header) -> bytes:
    """The header as JSON in UTF-8; the same header gives the same bytes."""
    return json.dumps(_plain(header), indent=1, default=str).encode()


def _plain(value: Any) -> Any:
    """Dataclasses, arrays and enums as what JSON knows."""
    if is_dataclass(value):
        return {entry.name: _plain(getattr(value, entry.name)) for entry in fields(value)}
    if isinstance(value, np.ndarray | np.generic):
        return value.tolist()
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, Mapping):
        return {str(key): _plain(entry) for key, entry in value.items()}
    if isinstance(value, tuple | list):
        return [_plain(entry) for entry in value]
    return value


def open_header(path: str | Path) -> Header | None:
    """The header of a model's file, or None; nothing behind it is read.

    Raises BadInput, ForeignFile, DamagedFile as `open_archive` does, of the header's own bytes.
    """
    text = read_header(path)
    if text is None:
        return None
    try:
        content = json.loads(text)
        return Header(
            content["kind"],
            _asks(content["asks"]),
            Known(content["known"]),
            _quantities(content["tells"]),
            _quantities(content["tells_outputs"]),
            content["bound"],
            content["sizes"],
            content["made"],
        )
    except (KeyError, TypeError, ValueError, RecursionError) as error:
        raise ForeignFile(
            f"{path} has no readable header ({error!r}); it was not written by save_model"
        ) from error


def _asks(content: dict[str, Any]) -> Asks:
    box, times = content["box"], content["times"]
    if box is not None:
        lists: dict[str, Any] = {key: tuple(values) for key, values in box.items()}
        box = Box(**lists | {key: np.array(box[key], dtype=float) for key in ("lower", "upper")})
    own: dict[str, Any] = {key: _quantities(content[key]) for key in ("fields", "signals")}
    own |= {"box": box, "times": None if times is None else np.array(times, dtype=float)}
    return Asks(**content | own)


def _quantities(entries: list[dict[str, Any]]) -> tuple[Quantity, ...]:
    return tuple(Quantity(**entry) for entry in entries)
