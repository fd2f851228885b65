"""The nouns that files may hold, by name, and their names in version 0.1.0."""

from __future__ import annotations

import ast
import importlib
import re
from functools import cache
from pathlib import Path
from typing import Any

import rom

ROOT_NOUNS = {
    "rom.space": ("Field", "Space"),
    "rom.mesh": ("Mesh",),
    "rom.parameters": ("Box",),
    "rom.snapshots": ("Snapshots",),
    "rom.basis": ("Basis", "LocalBases"),
    "rom.affine": ("Monomials", "Affine"),
    "rom.rule": ("Interpolation", "Weights", "Barycentric", "Tensor", "Cubature"),
    "rom.model": ("Asks", "Question"),
    "rom.prediction": ("Error", "Output", "Part", "Prediction", "Quantity", "Warned"),
    "rom.loading": ("Loading",),
    "rom.history": ("State", "History"),
    "rom.bands": ("Indicator",),
}
# class of version 0.1.0 -> class now
RENAMED = {
    "Step": "GreedyStep",
    "Visit": "RunStep",
    "Trained": "SolidModel",
    "Course": "RunState",
    "SparseBelief": "SparsePosterior",
}
# class now -> {field of version 0.1.0: field now}
RENAMED_FIELDS: dict[str, dict[str, str]] = {}
# class -> fields that are not stored
LEFT_OUT = {"Space": ("comm", "riesz"), "RunningPod": ("room",)}

# class -> its fields that each rank reads and writes by its own rows; a model that is not here
# is whole wherever it is loaded
BY_ROWS: dict[str, tuple[str, ...]] = {
    "Space": ("product", "numbers"),
    "Field": ("rows",),
    "Basis": ("modes", "offset"),
    "GalerkinModel": (),
    "UnsteadyModel": ("mass",),
    "FieldGP": ("tail",),
    "PositiveFieldGP": (),
    "TrajectoryGP": ("offset", "modes", "tail", "scales"),
    "LocalModel": (),
}


def nouns() -> dict[str, type]:
    """Name -> class of everything that a file may hold."""
    classes: dict[str, type] = {}
    for place in _places():
        classes.update(_declared_in(place))
    return classes


def find_noun(name: str) -> type | None:
    """The class of a declared name, also of version 0.1.0; None for any other."""
    name = RENAMED.get(name, name)
    for place in _places():
        if name in _names_in(place):
            return _declared_in(place)[name]
    return None


def rename_fields(noun: str, members: dict[str, Any]) -> dict[str, Any]:
    """Fields as version 0.1.0 stored them -> fields of the class of that name now."""
    table = RENAMED_FIELDS.get(noun, {})
    return {table.get(name, name): value for name, value in members.items()}


@cache
def _declared_in(place: str) -> dict[str, type]:
    """Name -> class of the nouns that a root module or the face of a chapter declares."""
    module = importlib.import_module(place)
    return {name: getattr(module, name) for name in _names_in(place)}


@cache
def _names_in(place: str) -> tuple[str, ...]:
    """The names that a root module or the face of a chapter declares.

    They are read without importing it.
    """
    if place in ROOT_NOUNS:
        return ROOT_NOUNS[place]
    face = Path(rom.__file__).parent / place.removeprefix("rom.") / "__init__.py"
    declared = re.search(r"^NOUNS\b[^=\n]*= (\(.*?\))", face.read_text(), re.M | re.S)
    names: tuple[str, ...] = ast.literal_eval(declared[1]) if declared else ()
    return names


def _places() -> list[str]:
    """Where nouns are declared: root modules, then the faces of chapters."""
    chapters = [f"rom.{chapter}" for chapter in rom.CHAPTERS]
    return [*ROOT_NOUNS, *chapters]
