"""The store of a campaign: a folder of sealed sample files, the journals that acknowledge them, and the identity they share."""

from __future__ import annotations

import hashlib
import json
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from rom.archive.files import durably, folders, open_archive, plain_file
from rom.archive.layout import extents
from rom.archive.nouns import load, save
from rom.campaign.columns import Columns, Part, nbytes
from rom.campaign.journal import Manifest, Record, refresh
from rom.errors import BadInput, DamagedFile, ForeignFile, NotWritten, RomError, real
from rom.mesh import Mesh
from rom.parameters import Box
from rom.snapshots import Snapshots
from rom.space import Field, Space, _allgatherv, euclidean

FORMAT, LARGEST = 1, 2**26


@dataclass(frozen=True, eq=False)
class Store:
    """A folder: campaign.json (identity), samples/, journal/, leases/, and fields.h5 and mesh.h5 where there are any."""

    path: Path
    identity: dict[str, Any]
    manifest: Manifest

    @property
    def times(self) -> np.ndarray | None:
        """Times [s] of a trajectory, or None."""
        return None if self.identity["times"] is None else np.array(self.identity["times"])

    @property
    def box(self) -> Box | None:
        """The box that was sampled."""
        return None if self.identity["box"] is None else Box(**self.identity["box"])

    @property
    def fields(self) -> tuple[Field, ...]:
        """The fields of a state in global numbers."""
        return load(self.path / "fields.h5") if self.identity["fields"] else ()

    @property
    def mesh(self) -> Mesh | None:
        """The mesh that the solutions live on."""
        return load(self.path / "mesh.h5") if self.identity["mesh"] else None

    def key(self, mu: np.ndarray) -> str:
        """Identity of a task: sha256 of parameters, solver version and mesh digest."""
        tag = json.dumps([self.identity["version"], self.identity["mesh"]]).encode()
        return hashlib.sha256((np.asarray(mu, dtype="<f8") + 0.0).tobytes() + tag).hexdigest()


def open_store(path: str | Path) -> Store:
    """The store in a folder. Raises BadInput where there is none, ForeignFile for a newer format, DamagedFile for damaged journals."""
    path = Path(path)
    try:
        with plain_file(path / "campaign.json") as raw:
            text = raw.read(LARGEST + 1)
        identity: dict[str, Any] = json.loads(text.decode()) if len(text) <= LARGEST else {}
        seal = identity.pop("sha256")
    except (FileNotFoundError, NotADirectoryError) as error:
        raise BadInput(
            f"{path} holds no campaign (no campaign.json); collect into it first, or check the path"
        ) from error
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise ForeignFile(
            f"{path}/campaign.json is damaged or not ours ({error!r}); restore it, or collect into a new folder"
        ) from error
    if seal != _sealed(identity):
        raise DamagedFile(
            f"{path}/campaign.json does not match its sha256; restore it, or collect into a new folder"
        )
    if isinstance(identity.get("format"), int) and identity["format"] > FORMAT:
        raise ForeignFile(
            f"{path} has format {identity['format']}, this package reads up to {FORMAT}; upgrade rom-platform"
        )
    if not _meant(identity):
        raise ForeignFile(
            f"{path}/campaign.json describes no campaign; it was not written by collect"
        )
    return Store(path, identity, refresh(Manifest(path)))


def _meant(identity: dict[str, Any]) -> bool:
    """Whether an identity can have been written by `identity`."""
    kinds = {
        "version": str,
        "fields": dict,
        "size": int | None,
        "mesh": str | None,
        "times": list | None,
        "box": dict | None,
    }
    if identity.get("format") != FORMAT or any(
        not isinstance(identity.get(name, 0.5), kind) for name, kind in kinds.items()
    ):
        return False
    store = Store(Path(), identity, Manifest(Path()))
    try:
        return (store.times is None or store.times.dtype == float) and (
            store.box is None or store.box.p > 0
        )
    except (BadInput, TypeError, ValueError, IndexError, OverflowError):
        return False


def create_store(
    path: str | Path,
    identity: dict[str, Any],
    fields: tuple[Field, ...] = (),
    mesh: Mesh | None = None,
) -> Store:
    """The store of a campaign, created where there is none. Raises BadInput naming what differs where the folder holds another campaign."""
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
        text = json.dumps({**identity, "sha256": _sealed(identity)}, indent=1)
        durably(path / "campaign.json", lambda temp: temp.write_text(text))
    store = open_store(path)
    for name, mine in identity.items():
        if store.identity.get(name) != mine:
            raise BadInput(
                f"{path} holds another campaign: {_difference(name, store.identity.get(name), mine)};"
                " give the same settings, or another folder"
            )
    return store


def identity(
    size: int | None,
    box: Box | None,
    fields: tuple[Field, ...],
    mesh: Mesh | None,
    times: np.ndarray | None,
    version: str,
) -> dict[str, Any]:
    """What all samples of a store have in common, as JSON."""
    bounds = (
        None
        if box is None
        else {"names": list(box.names), "lower": box.lower.tolist(), "upper": box.upper.tolist()}
    )
    return {
        "format": FORMAT,
        "version": str(version),
        "size": size,
        "box": None
        if box is None
        else {**bounds, "units": list(box.units), "scales": list(box.scales)},  # type: ignore[dict-item]
        "fields": {
            f.name: {"unit": f.unit, "components": f.components, "dofs": _sha(np.sort(f.rows))}
            for f in fields
        },
        "mesh": None if mesh is None else mesh.digest,
        "times": None if times is None else np.asarray(times, dtype=float).tolist(),
    }


def read(
    path: str | Path,
    space: Space | None = None,
    mus: np.ndarray | None = None,
    comm: Any = None,
    memory_budget: float | str | None = None,
) -> Snapshots:
    """The snapshots of a store as columns, on any ranks and any partition; a trajectory gives one column per time.

    space : where they live, row-distributed as its `numbers` say; by default R^N with the Euclidean product, in blocks over `comm`
    mus   : (m, p), these in this order; by default all that are done, in the order planned
    memory_budget : bytes, or "256MiB": above it `u` stays on disk and is read by blocks of rows and columns

    Every file's digest is verified first. Raises BadInput where nothing is done or a parameter is missing, DamagedFile naming the file.
    """
    store = open_store(path)
    records = _chosen(store, mus)
    size = records[0]["size"]
    if space is None:
        numbers = (
            np.arange(size)
            if comm is None
            else np.array_split(np.arange(size), comm.Get_size())[comm.Get_rank()]
        )
        space = euclidean(numbers, comm, _local(store.fields, numbers))
    elif space.size != size:
        raise BadInput(
            f"{path} holds solutions of {size} dofs, the space has {space.size}; give the space they were solved in"
        )
    _verified(store, records, space.comm)
    u: Any = _columns(store, records, space)
    budget = np.inf if memory_budget is None else nbytes(memory_budget)
    if not any(talk(space.comm, bool(u.nbytes > budget))):
        u = u[:, :]
    steps = [r["columns"] for r in records]
    t = None if store.times is None else np.tile(store.times, len(records))
    return Snapshots(
        space, np.repeat(np.array([r["mu"] for r in records], dtype=float), steps, axis=0), u, t
    )


def commit(
    store: Store,
    key: str,
    mu: np.ndarray,
    u: np.ndarray,
    token: str,
    size: int,
    rank: int = 0,
    ranks: int = 1,
    rows: str = "all",
) -> Record:
    """Writes what one rank holds of a sample, u (rows, steps), durably; the sample exists once a journal says so.

    rows : "all" for dofs 0..N-1 in order, or the name that `commit_rows` gave. Returns the file's entry for the journal.
    """
    name = f"{key[:32]}-{token}-{rank}.h5"
    meta = {
        "key": key,
        "mu": np.asarray(mu, dtype=float),
        "rank": rank,
        "ranks": ranks,
        "rows": rows,
        "size": size,
    }
    path = store.path / "samples" / name
    digest = save(path, {**meta, "steps": np.ascontiguousarray(u.T)})
    return {"name": name, "sha256": digest, "bytes": path.stat().st_size, "rows": rows}


def commit_rows(store: Store, numbers: np.ndarray) -> str:
    """Writes the increasing dof numbers of a rank's rows once, under a name made of their digest."""
    name = f"rows_{_sha(numbers)}.h5"
    save(store.path / "samples" / name, np.ascontiguousarray(numbers))
    return name


def done(key: str, mu: Any, files: list[Record], size: int, columns: int, seconds: float) -> Record:
    """The journal's record of a sample that is wholly on disk."""
    mu = [float(x) for x in mu]
    return {
        "state": "done",
        "key": key,
        "mu": mu,
        "files": files,
        "size": size,
        "columns": columns,
        "seconds": seconds,
        "time": time.time(),
    }


def talk(comm: Any, value: Any) -> list[Any]:
    """Everyone's value, plain JSON, in rank order."""
    text = np.frombuffer(json.dumps(value).encode(), np.uint8)
    return [json.loads(part.tobytes()) for part in _allgatherv(comm, text)]


def _chosen(store: Store, mus: np.ndarray | None) -> list[Record]:
    manifest = store.manifest
    if mus is not None:
        mus = real(mus, "mus")
        if mus.ndim != 2:
            raise BadInput(f"mus has shape {mus.shape}; give one row per parameter: (m, p)")
        keys = [store.key(mu) for mu in mus]
    else:
        keys = list(manifest.order) + [key for key in manifest.lost if key not in manifest.done]
    if not keys:
        first = next(
            (f": mu = {r[-1].get('mu')}: {r[-1]['reason']}" for r in manifest.failed.values()), ""
        )
        raise BadInput(
            f"{store.path} holds no finished sample ({len(manifest.failed)} failed{first}); collect at least one"
        )
    for k, key in enumerate(keys):
        if key in manifest.done:
            continue
        if key in manifest.lost:
            raise DamagedFile(
                f"{store.path}/samples/{manifest.lost[key][0]} is missing or cut short; collect again to repair the store"
            )
        why = (
            f"failed: {manifest.failed[key][-1]['reason']}"
            if key in manifest.failed
            else "was not solved"
        )
        raise BadInput(
            f"row {k}, mu = {np.asarray(mus)[k]}, {why}; collect it into {store.path} first, or leave it out"
        )
    return [manifest.done[key] for key in keys]


def _verified(store: Store, records: list[Record], comm: Any) -> None:
    files = sorted({(f["name"], f["sha256"]) for r in records for f in r["files"]})
    rows = sorted({f["rows"] for r in records for f in r["files"]} - {"all"})
    mine = slice(None) if comm is None else slice(comm.Get_rank(), None, comm.Get_size())
    problem = ""
    for name, digest in [*files, *((name, None) for name in rows)][mine]:
        try:
            open_archive(store.path / "samples" / name, digest, follow=False).close()
        except RomError as error:
            problem = problem or f"{error}; then collect again"
    problems = [p for p in talk(comm, problem) if p]
    if problems:
        raise DamagedFile(problems[0])


def _columns(store: Store, records: list[Record], space: Space) -> Columns:
    samples = store.path / "samples"

    def part(entry: Record) -> Part:
        with open(samples / entry["name"], "rb") as raw:
            return Part(
                samples / entry["name"],
                extents(raw, samples / entry["name"])["steps"],
                entry["rows"],
            )

    picks: dict[str, tuple[np.ndarray, np.ndarray]] = {}
    length = {"all": records[0]["size"]}
    for rows in sorted({f["rows"] for r in records for f in r["files"]}):
        if rows == "all":
            picks[rows] = np.arange(space.n), space.numbers
            continue
        theirs = load(samples / rows)
        length[rows] = theirs.size
        place = np.searchsorted(theirs, space.numbers)
        mine = np.flatnonzero(np.append(theirs, -1)[place] == space.numbers)
        picks[rows] = mine, place[mine]
    parts = tuple(tuple(part(f) for f in r["files"]) for r in records)
    where = np.array([(s, k) for s, r in enumerate(records) for k in range(r["columns"])])
    for sample, r in zip(parts, records, strict=True):
        if sum(picks[p.rows][0].size for p in sample) != space.n or any(
            p.steps.shape != (r["columns"], length[p.rows]) for p in sample
        ):
            raise DamagedFile(
                f"{sample[0].path} does not hold the dofs and times that the journal says; delete it and collect again"
            )
    return Columns(space.n, parts, where, picks)


def _local(fields: tuple[Field, ...], numbers: np.ndarray) -> tuple[Field, ...]:
    """Fields in global numbers, restricted to a block of consecutive ones."""
    first = int(numbers[0]) if numbers.size else 0
    inside = [f.rows[(f.rows >= first) & (f.rows < first + numbers.size)] - first for f in fields]
    return tuple(replace(f, rows=rows) for f, rows in zip(fields, inside, strict=True))


def _difference(name: str, theirs: Any, mine: Any) -> str:
    if isinstance(theirs, dict) and isinstance(mine, dict):
        key = next(k for k in [*theirs, *mine] if theirs.get(k) != mine.get(k))
        return f"{name}: {_difference(key, theirs.get(key), mine.get(key))}"
    return f"{name} is {theirs!r} there and {mine!r} here"


def _sha(numbers: np.ndarray) -> str:
    return hashlib.sha256(np.ascontiguousarray(numbers, dtype="<i8").tobytes()).hexdigest()[:32]


def _sealed(identity: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(identity).encode()).hexdigest()
