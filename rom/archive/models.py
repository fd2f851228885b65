"""Models as they are shipped: one file with the model, its mesh and how it was made."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from rom.archive.nouns import load, save
from rom.errors import BadInput
from rom.mesh import Mesh

Functions = Mapping[str, Callable[..., Any]]


def save_model(
    path: str | Path, model: Any, mesh: Mesh | None = None, made: dict[str, Any] | None = None
) -> str:
    """model, mesh and provenance -> one file that `predict` needs alone; returns its sha256."""
    return save(path, {"model": model, "mesh": mesh, "made": made or {}})


def load_model(
    path: str | Path, functions: Functions | None = None
) -> tuple[Any, Mesh | None, dict[str, Any]]:
    """(model, mesh, provenance) of a file written by `ship`, or by `save` with a model alone. Raises BadInput where it holds no model."""
    noun = load(path, functions)
    held = noun if isinstance(noun, dict) and "model" in noun else {"model": noun}
    if not hasattr(held["model"], "predict"):
        raise BadInput(
            f"{path} holds a {type(held['model']).__name__}, which predicts nothing; give a model: rom reduce makes one"
        )
    return held["model"], held.get("mesh"), held.get("made") or {}
