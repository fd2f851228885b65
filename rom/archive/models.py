"""Model files: one file with a model, its mesh and how it was trained.

A header first, then /rom with the arrays; where there is a mesh also /VTKHDF, so that ParaView
opens mesh, modes and mean as they stand in the file.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from rom.archive.grids import put_modes
from rom.archive.headers import header_bytes, header_of
from rom.archive.nouns import load, save
from rom.arrays import gate
from rom.errors import BadInput
from rom.mesh import Mesh
from rom.model import Model
from rom.space import Space


@gate(mesh=Mesh)
def save_model(
    path: str | Path, model: Any, mesh: Mesh | None = None, made: dict[str, Any] | None = None
) -> str:
    """model, mesh and provenance `made` -> one file; returns its sha256.

    `predict` needs this file alone. Raises BadInput, NotWritten as `save` does.
    """
    content = {"model": model, "mesh": mesh, "made": made or {}}
    if not isinstance(model, Model):
        return save(path, content)
    place = mesh if mesh is not None else model.mesh
    header = header_bytes(header_of(model, place, made or {}))
    beside = None
    if place is not None:
        beside = partial(_put_modes, model=model, mesh=place)
    return save(path, content, header=header, beside=beside)


def _put_modes(file: Any, arrays: Mapping[str, Any], *, model: Model, mesh: Mesh) -> None:
    put_modes(file, model, mesh, arrays)


def load_model(
    path: str | Path,
    functions: Mapping[str, Callable[..., Any]] | None = None,
    *,
    comm: Any = None,
    space: Space | None = None,
) -> tuple[Any, Mesh | None, dict[str, Any]]:
    """(model, mesh, provenance) of a file of `save_model`, or of `save` with a model.

    functions, comm, space : as for `load`; the mesh is on the first rank alone
    Raises BadInput where the file holds no model; ForeignFile, DamagedFile as `load` does.
    """
    noun = load(path, functions, comm=comm, space=space)
    parts = noun if isinstance(noun, dict) and "model" in noun else {"model": noun}
    model = parts["model"]
    if not hasattr(model, "predict"):
        raise BadInput(
            f"{path} holds a {type(model).__name__}, which predicts nothing; "
            "give a model: rom reduce makes one"
        )
    return model, parts.get("mesh"), parts.get("made") or {}
