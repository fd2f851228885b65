"""What all samples of a store share: solver version, box, fields, mesh, times.

It lies in `campaign.json`, with its own sha256.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from rom.archive.files import durably, plain_file
from rom.errors import BadInput, DamagedFile, ForeignFile
from rom.mesh import Mesh
from rom.parameters import Box
from rom.space import Field

Identity = dict[str, Any]
Sources = list[dict[str, str]]  # file -> digest, the last for the samples to come
FORMAT = 1
DIGITS = 16  # of a sha256 that is enough to tell an edit
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


def short_digest(content: bytes) -> str:
    """The digest of a file that a solver is made of."""
    return hashlib.sha256(content).hexdigest()[:DIGITS]


def campaign_identity(
    version: str,
    *,
    size: int | None = None,
    box: Box | None = None,
    fields: tuple[Field, ...] = (),
    mesh: Mesh | None = None,
    times: np.ndarray | None = None,
    source: Mapping[str, str] | None = None,
) -> Identity:
    """What all samples of a store have in common, as JSON.

    version : of the solver; size : number of dofs; fields in global numbers; times (n_t,) [s]
    source : file -> digest of the solver's files, where they are known
    """
    return {
        "format": FORMAT,
        "version": str(version),
        "size": size,
        "box": None if box is None else _box_entries(box),
        "fields": {field.name: _field_entries(field) for field in fields},
        "mesh": None if mesh is None else mesh.digest,
        "times": None if times is None else np.asarray(times, dtype=float).tolist(),
        **({"source": [dict(source)]} if source else {}),
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
    entries = {"unit": field.unit, "components": field.components, "dofs": dofs}
    if field.nodes is not None:
        entries["nodes"] = numbers_digest(field.nodes)
    return entries


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


def write_identity(path: Path, identity: Identity, *, once: bool = True) -> None:
    """Writes campaign.json of the store at `path`, whole or not at all.

    once : not where another did so meanwhile
    """
    text = json.dumps({**identity, "sha256": _identity_digest(identity)}, indent=1)
    durably(path / "campaign.json", lambda temp: temp.write_text(text), once=once)


def check_same(path: Path, theirs: Identity, mine: Identity) -> None:
    """Raises BadInput naming what differs where a folder holds another campaign."""
    for name, value in mine.items():
        if name == "source":
            _check_source(path, theirs.get(name), value)
        elif theirs.get(name) != value:
            raise BadInput(
                f"{path} holds another campaign: {_difference(name, theirs.get(name), value)};"
                " give the same settings, or another folder"
            )


def _check_source(path: Path, theirs: Sources | None, mine: Sources) -> None:
    """Raises BadInput naming the solver's files that have changed since."""
    if theirs is None or theirs[-1] == mine[-1]:
        return
    before, now = theirs[-1], mine[-1]
    changed = [name for name in {**before, **now} if before.get(name) != now.get(name)]
    raise BadInput(
        f"{', '.join(changed)} changed since the samples in {path} were computed; collect into "
        "another folder, or keep these samples and go on: --keep"
    )


def replace_source(theirs: Identity, mine: Identity) -> Identity:
    """The identity `theirs` with the solver's files of `mine` after its own."""
    sources = list(theirs.get("source") or ())
    for source in mine.get("source", ()):
        if source not in sources[-1:]:
            sources.append(source)
    return {**theirs, "source": sources} if sources else theirs


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
    if not _are_sources(identity.get("source", [])):
        return False
    try:
        times, box = times_of(identity), box_of(identity)
        are_times = times is None or times.dtype == float
        is_box = box is None or box.p > 0
    except (BadInput, TypeError, ValueError, IndexError, OverflowError):
        return False
    return are_times and is_box


def _are_sources(sources: Any) -> bool:
    """Whether these are tables of text."""
    if not isinstance(sources, list) or not all(isinstance(table, dict) for table in sources):
        return False
    return all(isinstance(digest, str) for table in sources for digest in table.values())


def _difference(name: str, theirs: Any, mine: Any) -> str:
    if not (isinstance(theirs, dict) and isinstance(mine, dict)):
        return f"{name} is {theirs!r} there and {mine!r} here"
    for key in [*theirs, *mine]:
        if theirs.get(key) != mine.get(key):
            return f"{name}: {_difference(key, theirs.get(key), mine.get(key))}"
    return name


def _identity_digest(identity: Identity) -> str:
    return hashlib.sha256(json.dumps(identity).encode()).hexdigest()
