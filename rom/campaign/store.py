"""The store of a campaign: a folder of samples, journals and leases.

A store is founded by whoever comes first: the folders, then `fields.h5` and `mesh.h5`, and last
`campaign.json`, which makes it a store. All later comers compare their settings with that file.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from rom.archive.files import durably, folders, plain_file
from rom.archive.nouns import load, save
from rom.campaign.journal import Manifest, refresh
from rom.errors import BadInput, DamagedFile, ForeignFile, NotWritten
from rom.mesh import Mesh
from rom.parameters import Box
from rom.space import Field

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


@dataclass(frozen=True, eq=False)
class Store:
    """A folder: campaign.json (identity), samples/, journal/, leases/.

    Besides fields.h5 and mesh.h5 where there are any.
    """

    path: Path
    identity: dict[str, Any]
    manifest: Manifest

    @cached_property
    def times(self) -> np.ndarray | None:
        """Times [s] of a trajectory, or None."""
        times = self.identity["times"]
        return None if times is None else np.array(times)

    @property
    def box(self) -> Box | None:
        """The box that was sampled."""
        box = self.identity["box"]
        return None if box is None else Box(**box)

    @property
    def fields(self) -> tuple[Field, ...]:
        """The fields of a state in global numbers."""
        if not self.identity["fields"]:
            return ()
        fields: tuple[Field, ...] = load(self.path / "fields.h5")
        return fields

    @property
    def mesh(self) -> Mesh | None:
        """The mesh that the solutions live on."""
        if not self.identity["mesh"]:
            return None
        mesh: Mesh = load(self.path / "mesh.h5")
        return mesh

    def key(self, mu: np.ndarray) -> str:
        """Identity of a task: sha256 of parameters, solver version and mesh digest."""
        return self.keys([mu])[0]

    def keys(self, mus: Any) -> list[str]:
        """Identities of the tasks of all rows of mus (m, p)."""
        settings = [self.identity["version"], self.identity["mesh"]]
        tag = json.dumps(settings).encode()
        keys = []
        for mu in mus:
            numbers = np.asarray(mu, dtype="<f8") + 0.0  # no minus zero
            digest = hashlib.sha256(numbers.tobytes() + tag)
            keys.append(digest.hexdigest())
        return keys


def open_store(path: str | Path) -> Store:
    """The store in a folder.

    Raises BadInput where there is none, ForeignFile for a newer format, DamagedFile for a
    damaged identity or damaged journals.
    """
    path = Path(path)
    identity = _read_identity(path)
    number = identity.get("format")
    if isinstance(number, int) and number > FORMAT:
        raise ForeignFile(
            f"{path} has format {number}, this package reads up to {FORMAT}; upgrade rom-platform"
        )
    if not _is_identity(identity):
        raise ForeignFile(
            f"{path}/campaign.json describes no campaign; it was not written by collect"
        )
    return Store(path, identity, refresh(Manifest(path)))


def create_store(
    path: str | Path,
    identity: dict[str, Any],
    *,
    fields: tuple[Field, ...] = (),
    mesh: Mesh | None = None,
) -> Store:
    """The store of a campaign, founded where there is none.

    identity : of `campaign_identity`
    Raises BadInput naming what differs where the folder holds another campaign; NotWritten.
    """
    path = Path(path)
    try:
        folders(path, ("samples", "journal", "leases"))
    except OSError as error:
        raise NotWritten(
            f"{path} cannot be made the folder of a campaign ({error.strerror}); give another path"
        ) from error
    if not (path / "campaign.json").exists():
        if fields:
            save(path / "fields.h5", fields)
        if mesh is not None:
            save(path / "mesh.h5", mesh)
        text = json.dumps({**identity, "sha256": _identity_digest(identity)}, indent=1)
        durably(path / "campaign.json", lambda temp: temp.write_text(text))
    store = open_store(path)
    for name, mine in identity.items():
        theirs = store.identity.get(name)
        if theirs != mine:
            raise BadInput(
                f"{path} holds another campaign: {_difference(name, theirs, mine)};"
                " give the same settings, or another folder"
            )
    return store


def campaign_identity(
    version: str,
    *,
    size: int | None = None,
    box: Box | None = None,
    fields: tuple[Field, ...] = (),
    mesh: Mesh | None = None,
    times: np.ndarray | None = None,
) -> dict[str, Any]:
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


def _read_identity(path: Path) -> dict[str, Any]:
    """The content of campaign.json, its digest verified."""
    try:
        with plain_file(path / "campaign.json") as raw:
            text = raw.read(MAX_IDENTITY + 1)
        identity: dict[str, Any] = {}
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


def _is_identity(identity: dict[str, Any]) -> bool:
    """Whether `campaign_identity` can have written this."""
    if identity.get("format") != FORMAT:
        return False
    for name, kind in IDENTITY_TYPES.items():
        if name not in identity or not isinstance(identity[name], kind):
            return False
    store = Store(Path(), identity, Manifest(Path()))
    try:
        are_times = store.times is None or store.times.dtype == float
        is_box = store.box is None or store.box.p > 0
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


def _identity_digest(identity: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(identity).encode()).hexdigest()
