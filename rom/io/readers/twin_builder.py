"""Snapshots of Twin Builder, .bin: how many values, and these point after point.

Beside them lie points.bin, the coordinates in the same form, and settings.json with name, unit,
dimension and named selections of the field. The points are cells of one node. Reference: Ansys,
pytwin, TbRom (2023).
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from rom.errors import BadInput, ForeignFile
from rom.io.content import Content, blocks_of, frame_of_content
from rom.io.fields import label
from rom.io.frame import Frame
from rom.io.regions import NODE_SET
from rom.mesh import Mesh

POINTS, SETTINGS = "points.bin", "settings.json"
COUNT = 8  # bytes of a number of values, and of a value
UP_TO = -1  # between two numbers of a selection: all between them


def bin_frames(path: Path, unit: str) -> Iterator[tuple[Mesh, Frame]]:
    """Points and the field of one snapshot."""
    if path.name == POINTS:
        raise BadInput(f"{POINTS} holds the points of snapshots; name a snapshot beside it")
    place = path.with_name(POINTS)
    if not place.is_file():
        raise ForeignFile(f"no {POINTS} beside {path.name}; a snapshot has no points of its own")
    points = read_numbers(place)
    if not len(points) or len(points) % 3:
        raise ForeignFile(f"{POINTS} has {len(points)} numbers, which are no points in space")
    x = points.reshape(-1, 3)
    settings = _settings(path.with_name(SETTINGS))
    name, its_unit = str(settings.get("name", "field")), str(settings.get("unit", ""))
    values = read_numbers(path)
    c, rest = divmod(len(values), len(x))
    dimension = settings.get("dimensionality", [c])
    if rest or not c or int(np.ravel(dimension)[0]) != c:
        raise ForeignFile(
            f"{path.name} has {len(values)} values for {len(x)} points and dimension {dimension}; "
            "is it a snapshot of these points?"
        )
    data = {label(name, its_unit): values.reshape(-1, c) if c > 1 else values}
    for selection, numbers in dict(settings.get("namedSelections", {})).items():
        mask = np.zeros(len(x), dtype=bool)
        mask[_selected(selection, list(numbers), len(x))] = True
        data[NODE_SET + str(selection)] = mask
    cells = [("vertex", np.arange(len(x))[:, None])]
    yield frame_of_content(Content(blocks_of(x, cells), data), None, unit)


def read_numbers(path: Path) -> np.ndarray:
    """Values (k,) of a file of a count and as many doubles. Raises ForeignFile."""
    data = path.read_bytes()
    count = int.from_bytes(data[:COUNT], "little")
    if len(data) < COUNT or len(data) != COUNT * (1 + count):
        raise ForeignFile(
            f"{path.name} has {len(data)} bytes and announces {count} numbers of 8; is it "
            "complete, and of Twin Builder?"
        )
    return np.frombuffer(data, "<f8", offset=COUNT).astype(float)


def _settings(path: Path) -> dict[str, Any]:
    """settings.json, or nothing where there is none."""
    if not path.is_file():
        return {}
    try:
        settings = json.loads(path.read_text())
    except (ValueError, RecursionError) as error:
        raise ForeignFile(f"{path.name} is damaged ({error})") from error
    if not isinstance(settings, dict):
        raise ForeignFile(f"{path.name} is no table of settings")
    return settings


def _selected(name: str, texts: list[Any], n: int) -> np.ndarray:
    """Numbers of points; a, -1, b are all from a to b."""
    numbers = [int(text) for text in texts]
    chosen: list[int] = []
    for k, number in enumerate(numbers):
        if number != UP_TO:
            chosen.append(number)
        elif 0 < k < len(numbers) - 1:
            chosen += range(numbers[k - 1] + 1, min(numbers[k + 1], n))
    if chosen and not 0 <= min(chosen) <= max(chosen) < n:
        raise ForeignFile(f"selection {name!r} names point {max(chosen)} of {n}")
    return np.array(chosen, dtype=np.int64)


COMPANIONS = (POINTS,)  # beside results, and none themselves
SUFFIXES = {".bin": bin_frames}
