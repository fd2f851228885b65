"""What all samples of a store share: solver version, box, fields, mesh, times.

It lies in `campaign.json`, with its own sha256.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np

from rom.archive.files import durably, plain_file
from rom.errors import BadInput, DamagedFile, ForeignFile
from rom.mesh import Mesh
from rom.parameters import Box
from rom.space import Field

Identity = dict[str, Any]
FORMAT = 1
MAX_IDENTITY = 2**26  # bytes of campaign.json
NOT_AN_IDENTITY = (ValueError, KeyError, TypeError, AttributeError, RecursionError)
IDENTITY_TYPES = {
    "version": str,
    "fields": dict,
    "size": int | None,
    "mesh": str | None,
    "times": list | None,
    "box": dict | None,
}


def campaign_identity(
    version: str,
    *,
    size: int | None = None,
    box: Box | None = None,
    fields: tuple[Field, ...] = (),
    mesh: Mesh | None = None,
    times: np.ndarray | None = None,
) -> Identity:
    """What all samples of a store have in common, as JSON.

    version : of the solver; size : number of dofs; fields in global numbers; times (n_t,) [s]
    """
    return {
        "format": FORMAT,
        "version": str(version),
        "size": size,
        "box": None if box is None else _box_entries(box),
        "fields": {field.name: _field_entries(field) for field in fields},
        "mesh": None if mesh is None else mesh.digest,
        "times": None if times is None else np.asarray(times, dtype=float).tolist(),
    }


def numbers_digest(numbers: np.ndarray) -> str:
    """32 hexadecimal digits that name an array of integers."""
    content = np.ascontiguousarray(numbers, dtype="<i8")
    return hashlib.sha256(content.tobytes()).hexdigest()[:32]


def _box_entries(box: Box) -> dict[str, Any]:
    return {
        "names": list(box.names),
        "lower": box.lower.tolist(),
        "upper": box.upper.tolist(),
        "units": list(box.units),
        "scales": list(box.scales),
    }


def _field_entries(field: Field) -> dict[str, Any]:
    dofs = numbers_digest(np.sort(field.rows))
    return {"unit": field.unit, "components": field.components, "dofs": dofs}


def read_identity(path: Path) -> Identity:
    """The identity of the store at `path`, its digest verified.

    Raises BadInput where there is none, ForeignFile for a newer format or what no campaign
    wrote, DamagedFile where its bytes changed.
    """
    identity = _read_json(path)
    number = identity.get("format")
    if isinstance(number, int) and number > FORMAT:
        raise ForeignFile(
            f"{path} has format {number}, this package reads up to {FORMAT}; upgrade rom-platform"
        )
    if not _is_identity(identity):
        raise ForeignFile(
            f"{path}/campaign.json describes no campaign; it was not written by collect"
        )
    return identity


def write_identity(path: Path, identity: Identity) -> None:
    """Writes campaign.json of the store at `path`, unless another did meanwhile."""
    text = json.dumps({**identity, "sha256": _identity_digest(identity)}, indent=1)
    durably(path / "campaign.json", lambda temp: temp.write_text(text), once=True)


def check_same(path: Path, theirs: Identity, mine: Identity) -> None:
    """Raises BadInput naming what differs where a folder holds another campaign."""
    for name, value in mine.items():
        if theirs.get(name) != value:
            raise BadInput(
                f"{path} holds another campaign: {_difference(name, theirs.get(name), value)};"
                " give the same settings, or another folder"
            )


def times_of(identity: Identity) -> np.ndarray | None:
    """Times [s] of a trajectory, or None."""
    return None if identity["times"] is None else np.array(identity["times"])


def box_of(identity: Identity) -> Box | None:
    """The box that was sampled, or None. Raises BadInput, TypeError for no box."""
    return None if identity["box"] is None else Box(**identity["box"])


def _read_json(path: Path) -> Identity:
    """The content of campaign.json, its digest verified."""
    try:
        with plain_file(path / "campaign.json") as raw:
            text = raw.read(MAX_IDENTITY + 1)
        identity: Identity = {}
        if len(text) <= MAX_IDENTITY:
            identity = json.loads(text.decode())
        digest = identity.pop("sha256")
    except (FileNotFoundError, NotADirectoryError) as error:
        raise BadInput(
            f"{path} holds no campaign (no campaign.json); collect into it first, or check the path"
        ) from error
    except NOT_AN_IDENTITY as error:
        raise ForeignFile(
            f"{path}/campaign.json is damaged or not ours ({error!r}); restore it, "
            "or collect into a new folder"
        ) from error
    if digest != _identity_digest(identity):
        raise DamagedFile(
            f"{path}/campaign.json does not match its sha256; restore it, "
            "or collect into a new folder"
        )
    return identity


def _is_identity(identity: Identity) -> bool:
    """Whether `campaign_identity` can have written this."""
    if identity.get("format") != FORMAT:
        return False
    for name, kind in IDENTITY_TYPES.items():
        if name not in identity or not isinstance(identity[name], kind):
            return False
    try:
        times, box = times_of(identity), box_of(identity)
        are_times = times is None or times.dtype == float
        is_box = box is None or box.p > 0
    except (BadInput, TypeError, ValueError, IndexError, OverflowError):
        return False
    return are_times and is_box


def _difference(name: str, theirs: Any, mine: Any) -> str:
    if not (isinstance(theirs, dict) and isinstance(mine, dict)):
        return f"{name} is {theirs!r} there and {mine!r} here"
    for key in [*theirs, *mine]:
        if theirs.get(key) != mine.get(key):
            return f"{name}: {_difference(key, theirs.get(key), mine.get(key))}"
    return name


def _identity_digest(identity: Identity) -> str:
    return hashlib.sha256(json.dumps(identity).encode()).hexdigest()
