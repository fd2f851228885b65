"""A run: a folder with question, scripts, submissions, logs, store and results."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np

from rom.archive.files import durably, folders
from rom.batch.profile import Profile
from rom.batch.profile_files import check_profile
from rom.campaign import Store, open_store
from rom.errors import BadInput, DamagedFile, ForeignFile

MAGIC = b"rom run 1\n"
MAX_BYTES = 2**30
RUN_FILE = "run.json"
TUPLES = ("settings", "names", "reduce", "study", "search")
RESULTS = {"train": "model.h5", "study": "report.html"}
SEARCH = "search"  # the stage of collect --until, which leaves a model
ALIASES = {"reduce": "train"}  # other spellings of stages, as of runs of 0.1.0


@dataclass(frozen=True, eq=False)
class Run:
    """What a run folder was asked.

    case, cwd, settings : the case, where it is run, its "name=value"
    names, mus : the parameters (m, p) by name; none where nothing is collected
    site : where it runs; kind : of the model; reduce, study : options of train and study
    search : options of collect --until, whose first runs mus are; () for a campaign
    """

    folder: Path
    case: str
    cwd: str
    settings: tuple[str, ...]
    names: tuple[str, ...]
    mus: np.ndarray
    site: Profile
    reduce: tuple[str, ...] = ()
    study: tuple[str, ...] = ()
    kind: str = "auto"
    search: tuple[str, ...] = ()

    @property
    def results(self) -> dict[str, str]:
        """Stage -> the file that it leaves."""
        return {SEARCH: RESULTS["train"], "study": RESULTS["study"]} if self.search else RESULTS

    @property
    def rows(self) -> np.ndarray:
        """Parameters (m, p) that are planned: a search plans more than its first."""
        store = self.store if self.search else None
        return self.mus if store is None else np.array(list(store.manifest.plan.values()))

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
        """The store, once a job has created it."""
        path = self.place / "store"
        return open_store(path) if (path / "campaign.json").exists() else None


def create_run(run: Run) -> Run:
    """The run folder, written if there is none.

    Raises BadInput where it holds another run.
    """
    if (run.folder / RUN_FILE).exists():
        old = open_run(run.folder)
        _check_same(old, run)
        return replace(old, site=run.site)
    folders(run.folder, ("jobs", "logs", "leases"))
    rows = [",".join(run.names)]
    rows += [",".join(repr(float(x)) for x in mu) for mu in run.mus]
    table = "\n".join(rows) + "\n"
    durably(run.folder / "tasks.csv", lambda temp: temp.write_text(table))
    entries = {name: value for name, value in vars(run).items() if name != "folder"}
    entries |= {"mus": run.mus.tolist(), "site": asdict(run.site)}
    text = json.dumps(entries).encode()
    digest = hashlib.sha256(text).hexdigest().encode()
    content = MAGIC + digest + b"\n" + text
    durably(run.folder / RUN_FILE, lambda temp: temp.write_bytes(content))
    return run


def _check_same(old: Run, run: Run) -> None:
    """Raises BadInput where a folder's run differs in more than its site."""
    for name in ("case", "kind", *TUPLES):
        before, now = getattr(old, name), getattr(run, name)
        if before != now:
            raise BadInput(
                f"{run.folder} holds another run: {name} is {before!r} there and {now!r} here; "
                "give another --out"
            )
    if not np.array_equal(old.mus, run.mus):
        raise BadInput(
            f"{run.folder} holds another run, of {len(old.mus)} other parameters; "
            "give another --out"
        )


def open_run(folder: str | Path) -> Run:
    """The run in a folder; its digest is verified before it is parsed.

    Raises BadInput, ForeignFile, DamagedFile.
    """
    folder = Path(folder)
    path = folder / RUN_FILE
    text = _read_verified(path)
    try:
        entries = json.loads(text.decode())
        entries = {"search": (), **entries}
        tuples = {name: tuple(map(str, entries[name])) for name in TUPLES}
        return Run(
            folder,
            str(entries["case"]),
            str(entries["cwd"]),
            mus=np.array(entries["mus"], dtype=float),
            site=check_profile(entries["site"], path),
            kind=str(entries.get("kind", "auto")),
            **tuples,
        )
    except (KeyError, TypeError, ValueError, AttributeError, RecursionError) as error:
        raise ForeignFile(
            f"{path} describes no run ({error!r}); it was not written by rom submit"
        ) from error


def _read_verified(path: Path) -> bytes:
    """The text of a run file. Raises BadInput, ForeignFile, DamagedFile."""
    if not path.is_file() or path.is_symlink():
        raise BadInput(f"{path.parent} holds no run (no {RUN_FILE}); rom submit makes one")
    if path.stat().st_size > MAX_BYTES:
        raise ForeignFile(f"{path} is larger than any run; it was not written by rom submit")
    magic, digest, text = [*path.read_bytes().split(b"\n", 2), b"", b""][:3]
    if magic + b"\n" != MAGIC:
        raise ForeignFile(f"{path} was not written by this package; rom submit into a new folder")
    if hashlib.sha256(text).hexdigest().encode() != digest:
        raise DamagedFile(
            f"{path} does not match its sha256; restore it, or rom submit into a new folder: "
            "the store can be kept"
        )
    return text
