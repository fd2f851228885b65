"""More than a hundred hostile files under an audit hook: no code runs, nothing outside the folder
is opened, nothing large is allocated.
"""

import hashlib
import io
import json
import os
import pickle
import subprocess
import sys
import tarfile
import zipfile
import zlib
from contextlib import suppress
from pathlib import Path

import h5py
import numpy as np
import pytest

import rom.batch as batch
from rom.archive.files import _seal_block, write_h5
from rom.archive.layout import BLOCK
from rom.archive.nouns import load, save
from rom.batch import Profile, read_profile
from rom.campaign import collect, read
from rom.campaign.journal import journals
from rom.campaign.program_answers import read_array
from rom.cli.case import parameters
from rom.errors import RomError
from rom.io.files import read_mesh
from rom.parameters import Box

MUS = np.arange(1.0, 3.0)[:, None]
EVENTS = (
    "import",
    "exec",
    "compile",
    "pickle.find_class",
    "subprocess.Popen",
    "os.system",
    "os.exec",
    "os.posix_spawn",
    "os.fork",
    "socket.connect",
    "ctypes.dlopen",
    "shutil.unpack_archive",
    "os.symlink",
    "os.chmod",
)
ALLOWED = ("/proc/", "/usr/share/zoneinfo")


class Watch(list):
    """Audit events of code being run, and of files opened outside a folder."""

    folder = None

    def __call__(self, event, arguments):
        if self.folder is None:
            return
        if event in EVENTS or event.startswith("pickle."):
            self.append((event, str(arguments[:1])))
        elif (
            event == "open"
            and isinstance(arguments[0], str)
            and not arguments[0].startswith((self.folder, *ALLOWED))
        ):
            self.append((event, arguments[0]))


WATCH = Watch()
sys.addaudithook(WATCH)


class Bomb:
    """Writes a file when it is unpickled."""

    def __reduce__(self):
        return os.system, ("touch pwned",)


PAYLOADS = {
    "pickle": pickle.dumps(Bomb()),
    "pickle 0": pickle.dumps(Bomb(), 0),
    "text of a call": b"__import__('os').system('touch pwned')",
    "script": b"#!/bin/sh\ntouch pwned\n",
    "yaml object": b"!!python/object/apply:os.system ['touch pwned']",
    "npy of objects": None,
    "npz of objects": None,
    "zip that slips": None,
    "tar that slips": None,
    "gzip bomb": zlib.compress(bytes(2**24)),
    "zeros": bytes(2**16),
    "half a header": b"rom archive\nformat 1\nsha256 ",
    "ELF": b"\x7fELF" + bytes(200),
    "HDF5 head": b"\x89HDF\r\n\x1a\n" + bytes(600),
    "deep JSON": b"[" * 100_000,
    "long number": b"9" * 100_000,
    "nothing": b"",
}
TARGETS = (
    "model.h5",
    "store sample",
    "store journal",
    "store campaign",
    "store fields",
    "profile",
    "run",
    "table",
    "mesh.vtu",
    "mesh.msh",
    "answer.npy",
)


def payload(name, folder):
    if PAYLOADS[name] is not None:
        return PAYLOADS[name]
    made = io.BytesIO()
    if name.startswith("np"):
        array = np.array([Bomb()], dtype=object)
        np.save(made, array, allow_pickle=True) if name.startswith("npy") else np.savez(
            made, a=array
        )
    elif name.startswith("zip"):
        with zipfile.ZipFile(made, "w") as pack:
            pack.writestr("../../pwned", "x")
    else:
        with tarfile.open(fileobj=made, mode="w") as pack:
            pack.addfile(tarfile.TarInfo("../../pwned"), io.BytesIO())
    return made.getvalue()


def readers(folder):
    """Target -> (the file to replace, the reading)."""
    store = folder / "store"
    collect(lambda mu: mu * np.ones(9), MUS, store)
    save(folder / "model.h5", Box(("a",), np.zeros(1), np.ones(1)))
    batch.create_run(batch.Run(folder / "run", "c.py", "/", (), ("a",), MUS, Profile("slurm")))
    (folder / "site.toml").write_text('scheduler = "slurm"\n')
    box = Box(("a",), np.zeros(1), np.ones(1))
    return {
        "model.h5": (folder / "model.h5", lambda: load(folder / "model.h5")),
        "store sample": (next((store / "samples").glob("*-*.h5")), lambda: read(store)),
        "store journal": (journals(store)[0], lambda: read(store)),
        "store campaign": (store / "campaign.json", lambda: read(store)),
        "store fields": (store / "fields.h5", lambda: load(store / "fields.h5")),
        "profile": (folder / "site.toml", lambda: read_profile(folder / "site.toml")),
        "run": (folder / "run" / "run.json", lambda: batch.open_run(folder / "run")),
        "table": (folder / "t.csv", lambda: parameters((), folder / "t.csv", box)),
        "mesh.vtu": (folder / "mesh.vtu", lambda: read_mesh(folder / "mesh.vtu")),
        "mesh.msh": (folder / "mesh.msh", lambda: read_mesh(folder / "mesh.msh")),
        "answer.npy": (folder / "answer.npy", lambda: read_array(folder / "answer.npy")),
    }


@pytest.fixture(scope="module", autouse=True)
def imported(tmp_path_factory):
    """Every reader once, so that what it imports is imported before the watch begins."""
    folder = tmp_path_factory.mktemp("warm")
    for path, reading in readers(folder).values():
        for text in (b"a\n0.5\n", payload("npy of objects", folder), b"[[", b""):
            with suppress(RomError):
                reading()
            path.write_bytes(text)


def quiet(folder, act, limit=2**28):
    """The named error of `act`, with no code run, nothing opened outside the folder and no
    peak of memory beyond the limit.
    """
    import tracemalloc

    WATCH.clear()
    here, error = os.getcwd(), None
    os.chdir(folder)
    tracemalloc.start()
    WATCH.folder = str(folder)
    try:
        act()
    except RomError as caught:
        error = caught
    finally:
        WATCH.folder = None
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        os.chdir(here)
    assert list(WATCH) == [], WATCH
    assert peak < limit
    assert not list(folder.rglob("pwned")) and not (folder.parent / "pwned").exists()
    return error


@pytest.mark.parametrize("name", PAYLOADS)
@pytest.mark.parametrize("target", TARGETS[:7])
def test_a_payload_in_place_of_a_file_is_refused_by_name(target, name, tmp_path):
    path, reading = readers(tmp_path)[target]
    path.unlink(missing_ok=True)
    path.write_bytes(payload(name, tmp_path))
    error = quiet(tmp_path, reading)
    assert error is not None or (target == "store journal" and name == "nothing"), (
        "it was read without a word"
    )


@pytest.mark.parametrize("name", PAYLOADS)
@pytest.mark.parametrize("target", TARGETS[7:])
def test_a_payload_in_a_file_of_others_is_refused_by_name(target, name, tmp_path):
    path, reading = readers(tmp_path)[target]
    path.write_bytes(payload(name, tmp_path))
    assert quiet(tmp_path, reading) is not None


LINKS = {
    "sample": lambda store, out: (next((store / "samples").glob("*-*.h5")), out / "s.h5"),
    "journal": lambda store, out: (journals(store)[0], out / "j.jsonl"),
    "campaign": lambda store, out: (store / "campaign.json", out / "c.json"),
}


@pytest.mark.parametrize("name", LINKS)
def test_links_out_of_a_store_are_not_followed(name, tmp_path):
    store, out = tmp_path / "in" / "store", tmp_path / "out"
    out.mkdir()
    collect(lambda mu: mu * np.ones(9), MUS, store)
    path, target = LINKS[name](store, out)
    path.rename(target)
    path.symlink_to(target)
    error = quiet(tmp_path / "in", lambda: read(store))
    assert error is not None and "link" in str(error)


@pytest.mark.parametrize("name", ["pipe", "folder", "device"])
def test_what_is_no_file_is_not_read(name, tmp_path):
    store = tmp_path / "store"
    collect(lambda mu: mu * np.ones(9), MUS, store)
    victim = next((store / "samples").glob("*-*.h5"))
    victim.unlink()
    if name == "pipe":
        os.mkfifo(victim)
    elif name == "folder":
        victim.mkdir()
    else:
        os.mknod(victim, 0o20666, os.makedev(1, 5)) if os.getuid() == 0 else os.mkfifo(victim)
    assert quiet(tmp_path, lambda: read(store)) is not None


NAMES = [
    "../../etc/passwd",
    "/etc/passwd",
    "..",
    ".",
    "a/../../b",
    "samples/../x",
    "~/x",
    "a\x00b",
    "",
    "C:\\x",
    "file:///etc/passwd",
    "x\n",
]


@pytest.mark.parametrize("text", NAMES)
def test_names_in_a_journal_do_not_leave_the_store(text, tmp_path):
    collect(lambda mu: mu * np.ones(9), MUS, tmp_path / "store")
    entry = {"name": text, "bytes": 1, "sha256": "0" * 64, "rows": "all"}
    record = {"state": "done", "key": "a", "mu": [1.0], "files": [entry], "size": 3, "columns": 1}
    line = json.dumps(record).encode()
    (tmp_path / "store" / "journal" / "x.jsonl").write_bytes(
        b"%08x %s\n" % (zlib.crc32(line), line)
    )
    assert quiet(tmp_path, lambda: read(tmp_path / "store")) is not None


@pytest.mark.parametrize("size", [10**6, 10**9, 2**40, 2**62])
@pytest.mark.parametrize("kind", ["archive", "npy"])
def test_claims_of_size_are_not_believed(kind, size, tmp_path):
    path = tmp_path / f"n.{'h5' if kind == 'archive' else 'npy'}"
    if kind == "npy":
        head = f"{{'descr': '<f8', 'fortran_order': False, 'shape': ({size},), }}".ljust(117) + "\n"
        path.write_bytes(
            b"\x93NUMPY\x01\x00" + len(head).to_bytes(2, "little") + head.encode() + bytes(80)
        )
        reading = lambda: read_array(path)  # noqa: E731
    else:

        def fill(file):
            plan = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
            plan.set_alloc_time(h5py.h5d.ALLOC_TIME_LATE)
            group = file.create_group("rom")
            group["schema"] = np.frombuffer(b'{"nouns": [], "root": {"array": "x"}}', np.uint8)
            h5py.h5d.create(
                group.id,
                b"x",
                h5py.h5t.NATIVE_DOUBLE,
                h5py.h5s.create_simple((min(size, 2**60),)),
                plan,
            )

        write_h5(path, fill)
        reading = lambda: load(path)  # noqa: E731
    assert quiet(tmp_path, reading, 2**24) is not None


def test_a_resealed_body_of_noise_is_refused(tmp_path):
    rng = np.random.default_rng(0)
    save(tmp_path / "n.h5", np.arange(9.0))
    whole = (tmp_path / "n.h5").read_bytes()[BLOCK:]
    for _ in range(30):
        body = bytearray(whole)
        body[: int(rng.integers(8, 400))] = rng.bytes(int(rng.integers(8, 400)))
        (tmp_path / "n.h5").write_bytes(
            _seal_block(hashlib.sha256(bytes(body)).hexdigest()) + bytes(body)
        )
        assert quiet(tmp_path, lambda: load(tmp_path / "n.h5")) is not None


def test_there_are_more_than_a_hundred():
    assert len(PAYLOADS) * len(TARGETS) + len(LINKS) + 3 + len(NAMES) + 8 + 30 > 200


def test_the_watch_sees_a_pickle_run(tmp_path):
    (tmp_path / "p").write_bytes(PAYLOADS["pickle"])
    code = (
        "import os, pickle, sys\nseen = []\nsys.addaudithook(lambda event, a: seen.append(event))\n"
        f"pickle.load(open({str(tmp_path / 'p')!r}, 'rb'))\n"
        "assert {'pickle.find_class', 'os.system'} <= set(seen)\n"
    )
    subprocess.run([sys.executable, "-c", code], cwd=tmp_path, check=True, timeout=30)
    assert (tmp_path / "pwned").exists() and Path(__file__).exists()
