"""The store of a campaign: a folder of samples, journals and leases.

A store is founded by whoever comes first: the folders, then `campaign.json`, which only one can
create. All compare their settings with that file, the founder too, and only those who agree add
`fields.h5` and `mesh.h5`, of which it holds the digests.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from rom.archive.files import folders
from rom.archive.nouns import load, save
from rom.campaign.identity import (
    Identity,
    box_of,
    check_same,
    read_identity,
    replace_source,
    times_of,
    write_identity,
)
from rom.campaign.journal import Manifest, refresh
from rom.errors import NotWritten
from rom.mesh import Mesh
from rom.parameters import Box
from rom.space import Field


@dataclass(frozen=True, eq=False)
class Store:
    """A folder: campaign.json (identity), samples/, journal/, leases/.

    Besides fields.h5 and mesh.h5 where there are any.
    """

    path: Path
    identity: Identity
    manifest: Manifest

    @cached_property
    def times(self) -> np.ndarray | None:
        """Times [s] of a trajectory, or None."""
        return times_of(self.identity)

    @property
    def box(self) -> Box | None:
        """The box that was sampled."""
        return box_of(self.identity)

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
    identity = read_identity(path)
    return Store(path, identity, refresh(Manifest(path)))


def create_store(
    path: str | Path,
    identity: Identity,
    *,
    fields: tuple[Field, ...] = (),
    mesh: Mesh | None = None,
    keep: bool = False,
) -> Store:
    """The store of a campaign, founded where there is none.

    identity : of `campaign_identity`
    keep : samples of a solver whose files have changed since
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
        write_identity(path, identity)
    store = open_store(path)
    now = replace_source(store.identity, identity)
    if keep and now != store.identity:
        write_identity(path, now, once=False)
        store = open_store(path)
    check_same(path, store.identity, identity)
    if fields and not (path / "fields.h5").exists():
        save(path / "fields.h5", fields)
    if mesh is not None and not (path / "mesh.h5").exists():
        save(path / "mesh.h5", mesh)
    return store
