"""Profiles of sites in TOML files, which are checked and never run."""

from __future__ import annotations

import tomllib
from dataclasses import fields
from functools import cache
from pathlib import Path
from typing import Any

from rom.batch.profile import Pilot, Profile
from rom.errors import BadInput

MAX_BYTES = 65536


def read_profile(path: str | Path) -> Profile:
    """The profile in a TOML file.

    Raises BadInput naming the entry that is wrong and the known ones.
    """
    path = Path(path)
    try:
        with open(path, "rb") as file:
            content = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise BadInput(
            f"{path}: {error.strerror}; give the TOML file of a site, see hpc/"
        ) from error
    if len(content) > MAX_BYTES:
        raise BadInput(f"{path} has more than {MAX_BYTES} bytes, which no profile needs")
    try:
        entries = tomllib.loads(content.decode())
    except (ValueError, RecursionError) as error:
        raise BadInput(f"{path} is no TOML file: {str(error)[:200]}") from error
    return check_profile(entries, path)


def check_profile(entries: dict[str, Any], path: str | Path) -> Profile:
    """A profile from its entries. Raises BadInput."""
    from pydantic import ValidationError

    _check_names(entries, path)
    try:
        site: Profile = _schema().validate_python(entries)
    except BadInput as error:
        raise BadInput(f"{path}: {error}") from error
    except ValidationError as error:
        worst = error.errors()[0]
        where = ".".join(str(part) for part in worst["loc"])
        text = worst["msg"].removeprefix("Value error, ")
        raise BadInput(f"{path}: {where}: {text}") from error
    return site


def _check_names(entries: dict[str, Any], path: str | Path) -> None:
    """Raises BadInput for an entry that no profile has."""
    names = [entry.name for entry in fields(Profile)]
    for name in entries:
        if name not in names:
            raise BadInput(f"{path}: no entry {name!r}; known: {', '.join(names)}")
    pilot = entries.get("pilot")
    names = [entry.name for entry in fields(Pilot)]
    for name in pilot if isinstance(pilot, dict) else ():
        if name not in names:
            raise BadInput(f"{path}: no entry pilot.{name}; known: {', '.join(names)}")


@cache
def _schema() -> Any:
    from pydantic import TypeAdapter

    return TypeAdapter(Profile)
