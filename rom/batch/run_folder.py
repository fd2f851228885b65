"""A run: a folder that holds what was asked, the scripts, the journal of submissions, the logs, the store and the results."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np

from rom.archive.files import durably, folders
from rom.batch.profile import Profile, check_profile
from rom.campaign import Store, open_store
from rom.errors import BadInput, DamagedFile, ForeignFile

MAGIC, LARGEST = b"rom run 1\n", 2**30
RESULTS = {"reduce": "model.h5", "study": "report.html"}


@dataclass(frozen=True, eq=False)
class Run:
    """What a run folder was asked: the case and its settings, the parameters (m, p) by name, the site, and options of later stages."""

    folder: Path
    case: str
    cwd: str
    settings: tuple[str, ...]
    names: tuple[str, ...]
    mus: np.ndarray
    site: Profile
    reduce: tuple[str, ...] = ()
    study: tuple[str, ...] = ()

    @property
    def tag(self) -> str:
        """What tells this run's jobs from all others."""
        return hashlib.sha256(str(self.folder.resolve()).encode()).hexdigest()[:8]

    @property
    def place(self) -> Path:
        """The folder as every node calls it."""
        return self.folder.resolve()

    @property
    def store(self) -> Store | None:
        """The store, once a job has founded it."""
        return (
            open_store(self.place / "store")
            if (self.place / "store" / "campaign.json").exists()
            else None
        )


def create_run(run: Run) -> Run:
    """The run folder, written if there is none. Raises BadInput where it holds another run."""
    if (run.folder / "run.json").exists():
        old = open_run(run.folder)
        for name in ("case", "settings", "names", "reduce", "study"):
            if getattr(old, name) != getattr(run, name):
                raise BadInput(
                    f"{run.folder} holds another run: {name} is {getattr(old, name)!r} there and {getattr(run, name)!r} here; give another --out"
                )
        if not np.array_equal(old.mus, run.mus):
            raise BadInput(
                f"{run.folder} holds another run, of {len(old.mus)} other parameters; give another --out"
            )
        return replace(old, site=run.site)
    folders(run.folder, ("jobs", "logs", "leases"))
    rows = [",".join(run.names), *(",".join(repr(float(x)) for x in mu) for mu in run.mus)]
    durably(run.folder / "tasks.csv", lambda temp: temp.write_text("\n".join(rows) + "\n"))
    text = json.dumps(
        {
            **{k: v for k, v in vars(run).items() if k != "folder"},
            "mus": run.mus.tolist(),
            "site": asdict(run.site),
        }
    ).encode()
    durably(
        run.folder / "run.json",
        lambda temp: temp.write_bytes(
            MAGIC + hashlib.sha256(text).hexdigest().encode() + b"\n" + text
        ),
    )
    return run


def open_run(folder: str | Path) -> Run:
    """The run in a folder; its digest is verified before it is parsed. Raises BadInput, ForeignFile, DamagedFile."""
    folder = Path(folder)
    path = folder / "run.json"
    if not path.is_file() or path.is_symlink():
        raise BadInput(f"{folder} holds no run (no run.json); rom submit makes one")
    if path.stat().st_size > LARGEST:
        raise ForeignFile(f"{path} is larger than any run; it was not written by rom submit")
    magic, digest, text = [*path.read_bytes().split(b"\n", 2), b"", b""][:3]
    if magic + b"\n" != MAGIC:
        raise ForeignFile(f"{path} was not written by this package; rom submit into a new folder")
    if hashlib.sha256(text).hexdigest().encode() != digest:
        raise DamagedFile(
            f"{path} does not match its sha256; restore it, or rom submit into a new folder: the store can be kept"
        )
    try:
        held = json.loads(text.decode())
        tuples = {
            name: tuple(map(str, held[name])) for name in ("settings", "names", "reduce", "study")
        }
        return Run(
            folder,
            str(held["case"]),
            str(held["cwd"]),
            mus=np.array(held["mus"], dtype=float),
            site=check_profile(held["site"], path),
            **tuples,
        )
    except (KeyError, TypeError, ValueError, AttributeError, RecursionError) as error:
        raise ForeignFile(
            f"{path} describes no run ({error!r}); it was not written by rom submit"
        ) from error
