"""SIGKILL and refusing disks at every system call of every protocol: nothing acknowledged is lost,
nothing partial is seen.

A control arm, the common idiom of appending to one HDF5 file, goes through the same harness and
fails it.
"""

import errno
import itertools
import json
import os
import shutil
from io import FileIO

import h5py
import numpy as np
import pytest
import scipy.sparse as sp
from inject import ERRORS, FILES, available, faulted, points

import rom.batch as batch
from rom.affine import Affine, Monomials
from rom.archive.nouns import load, save
from rom.basis import Basis
from rom.batch.profile import Profile
from rom.campaign import attempt, collect, lease, open_store, read, rebuild, verify
from rom.campaign.journal import Manifest, append_record, journals, refresh
from rom.certified import galerkin
from rom.errors import RomError
from rom.space import euclidean

pytestmark = pytest.mark.skipif(not available(), reason="strace is not installed")
MUS = np.arange(1.0, 5.0)[:, None]
N = 700
A = Affine(Monomials(np.ones(1), np.zeros((1, 1))), (sp.csr_array(sp.eye_array(N)),))
F = Affine(Monomials(np.ones(1), np.ones((1, 1))), (np.ones(N),))
NEW, OLD = (Basis(euclidean(N), np.eye(N, r)) for r in (3, 2))
RUN = ("case.py", "/", (), ("a",), MUS, Profile("slurm"))


def solution(mu):
    return np.sin(np.arange(N) * mu[0])


def gathered(folder, ack, mus=MUS[:2]):
    """collect, which acknowledges a sample once its record is written."""

    def told(path, record):
        append_record(path, record)
        if record["state"] == "done":
            ack(repr(record["mu"][0]))

    attempt.append_record = told
    try:
        collect(solution, mus, folder)
    finally:
        attempt.append_record = append_record


def stored(folder, acks):
    """Violations of a store's promise: what was acknowledged is there, what is there is exact,
    what is left can be finished.
    """
    wrong = []
    for claim in folder.glob("leases/*"):
        os.utime(claim, (1, 1))  # a claim that was cut short counts for two seconds; these are over
    if (folder / "campaign.json").exists():
        wrong += [
            line
            for line in verify(folder)
            if not ("harmless" in line or "torn and ignored" in line)
        ]
        done = {repr(r["mu"][0]) for r in open_store(folder).manifest.done.values()}
        wrong += [f"{mu} was acknowledged and is lost" for mu in set(acks) - done]
        if done:
            snapshots = read(folder)
            wrong += [
                f"{mu} is not exact"
                for mu, u in zip(snapshots.mu, snapshots.u.T, strict=True)
                if not np.array_equal(u, solution(mu))
            ]
    elif acks:
        wrong.append("the store is gone")
    collect(solution, MUS[:2], folder, expiry=1e6)
    if not np.array_equal(
        read(folder, mus=MUS[:2]).u, np.column_stack([solution(mu) for mu in MUS[:2]])
    ):
        wrong.append("the store cannot be finished")
    return wrong


def half(folder):
    """A store with two samples, a torn journal and the claim of a dead process."""
    collect(solution, MUS[2:], folder)
    with open(folder / "journal" / "torn.jsonl", "wb") as file:
        file.write(b"1234")
    (folder / "leases" / f"{open_store(folder).key(MUS[0])}.0").write_text(
        json.dumps([lease.host(), 999999999, "0"])
    )


def resumed(folder, acks):
    exact = np.column_stack([solution(mu) for mu in MUS[2:]])
    return stored(folder, acks) + (
        [] if np.array_equal(read(folder, mus=MUS[2:]).u, exact) else ["earlier samples are hurt"]
    )


def spoiled(folder):
    """A store whose journal has a damaged line."""
    collect(solution, MUS[:2], folder)
    (path,) = journals(folder)
    path.write_bytes(path.read_bytes().replace(b'"done"', b'"dXne"', 1))


def mended(folder, acks):
    rebuild(folder)
    return (
        []
        if np.array_equal(
            read(folder, mus=MUS[:2]).u, np.column_stack([solution(mu) for mu in MUS[:2]])
        )
        else ["samples are lost"]
    )


def noted(folder, ack):
    for k in range(3):
        append_record(
            folder / "journal" / "a.jsonl", {"state": "failed", "key": f"{k}", "reason": "x" * 5000}
        )
        ack(f"{k}")


def kept(folder, acks):
    append_record(folder / "journal" / "b.jsonl", {"state": "failed", "key": "last", "reason": ""})
    held = refresh(Manifest(folder)).failed
    return [f"record {k} is lost" for k in acks if k not in held] + [
        k for k, r in held.items() if len(r) != 1
    ]


def saving(noun):
    def act(folder, ack):
        save(folder / "n.h5", noun)
        ack("new")

    return act


def either(rank):
    def check(folder, acks):
        held = rank(load(folder / "n.h5"))
        return (
            [] if held == 3 or (held == 2 and not acks) else [f"{held} modes, acknowledged {acks}"]
        )

    return check


def launched(folder, ack):
    batch.create_run(batch.Run(folder, *RUN))
    ack("run")


def relaunched(folder, acks):
    if acks:
        batch.open_run(folder)
    held = batch.create_run(batch.Run(folder, *RUN))
    return [] if np.array_equal(batch.open_run(folder).mus, held.mus) else ["another run"]


def nothing(folder):
    pass


def earlier(noun):
    return lambda folder: (folder.mkdir(), save(folder / "n.h5", noun))


PROTOCOLS = {  # name -> (what was there before, the act, what must hold after a fault)
    "collect": (nothing, gathered, stored),
    "resume": (half, gathered, resumed),
    "manifest": (lambda folder: (folder / "journal").mkdir(parents=True), noted, kept),
    "basis": (earlier(OLD), saving(NEW), either(lambda basis: basis.r)),
    "model": (
        earlier(galerkin(A, F, OLD)),
        saving(galerkin(A, F, NEW)),
        either(lambda model: model.basis.r),
    ),
    "rebuild": (spoiled, lambda folder, ack: rebuild(folder) and ack("x"), mended),
    "run": (nothing, launched, relaunched),
}


def appended(folder, ack):
    """The control arm: every sample appended to one HDF5 file that is opened and closed for it."""
    folder.mkdir(exist_ok=True)
    for mu in MUS:
        with h5py.File(folder / "c.h5", "a") as file:
            file[f"u{mu[0]!r}"] = solution(mu)
        ack(repr(mu[0]))


def appended_well(folder, acks):
    if not (folder / "c.h5").exists():
        return ["lost"] * len(acks)
    try:
        with h5py.File(folder / "c.h5", "r") as file:
            lost = [mu for mu in acks if f"u{mu}" not in file]
            return lost + [
                name
                for name in file
                if not np.array_equal(
                    file[name][()], solution([float(name[1:].split("(")[-1].rstrip(")"))])
                )
            ]
    except (OSError, RuntimeError, KeyError) as error:
        return [str(error)] if acks else []


def fresh(path, before):
    shutil.rmtree(path, ignore_errors=True)
    before(path)
    return path


def violations(tmp_path, protocol, faults, stride=1):
    """(points tried, points where the fault struck, violations) of a protocol under each fault."""
    before, act, check = protocol
    act(fresh(tmp_path / "warm", before), lambda text: None)
    calls = points(act, fresh(tmp_path / "count", before))
    tried, struck, wrong = 0, 0, []
    for fault in faults:
        names = calls if fault == "KILL" else [call for call in FILES if call in calls]
        for call, k in [(name, k) for name in names for k in range(1, calls[name] + 1)][::stride]:
            path = fresh(tmp_path / "s", before)
            status, acks = faulted(act, path, call, k, fault)
            tried, struck = tried + 1, struck + (status != 0)
            where = f"{fault} at {call} {k} (status {status})"
            if status not in (0, 3, -9):
                wrong.append(f"{where}: {(tmp_path / 's.error').read_text()[-600:]}")
            try:
                wrong += [f"{where}: {line}" for line in check(path, acks)]
            except (RomError, OSError, KeyError) as error:
                wrong.append(f"{where}: {type(error).__name__}: {error}")
    return tried, struck, wrong


@pytest.mark.parametrize("name", PROTOCOLS)
def test_a_kill_at_every_system_call_loses_nothing(name, tmp_path):
    tried, struck, wrong = violations(
        tmp_path, PROTOCOLS[name], ["KILL"], 1 if name in ("collect", "manifest", "basis") else 3
    )
    assert wrong == [] and struck > 0.9 * tried > 10


@pytest.mark.parametrize("name", PROTOCOLS)
def test_a_refusal_at_system_calls_is_told_and_loses_nothing(name, tmp_path):
    tried, struck, wrong = violations(
        tmp_path, PROTOCOLS[name], ["ENOSPC"], 3 if name in ("manifest", "run") else 7
    )
    assert wrong == [] and struck > 0 and tried > 5


@pytest.mark.slow
@pytest.mark.timeout(1500)
@pytest.mark.parametrize("fault", ["KILL", *ERRORS])
@pytest.mark.parametrize("name", PROTOCOLS)
def test_every_fault_at_every_system_call_loses_nothing(name, fault, tmp_path):
    tried, struck, wrong = violations(tmp_path, PROTOCOLS[name], [fault])
    assert wrong == [] and struck > 0.4 * tried
    print(f"{name}, {fault}: {tried} points, {struck} struck, none wrong")


def test_the_harness_fails_plain_appending(tmp_path):
    _, _, killed = violations(tmp_path, (nothing, appended, appended_well), ["KILL"])
    _, _, refused = violations(tmp_path, (nothing, appended, appended_well), ["ENOSPC"])
    assert killed and refused


class Disk(FileIO):
    """A file whose writes take half of what they are given, like those of the disk that is
    played here.
    """

    took = staticmethod(os.write)

    def write(self, data):
        return self.took(self.fileno(), data)


def playing(monkeypatch, took):
    """All that this package writes goes through `took(handle, data)`."""
    monkeypatch.setattr(os, "write", took)
    monkeypatch.setattr(Disk, "took", staticmethod(took))

    def opens(path, mode="r", **more):
        return Disk(path, mode.replace("b", "")) if "w" in mode else open(path, mode, **more)

    monkeypatch.setattr("rom.archive.files.open", opens, raising=False)


@pytest.mark.parametrize("name", PROTOCOLS)
def test_short_writes_are_written_on(name, tmp_path, monkeypatch):
    before, act, check = PROTOCOLS[name]
    path, acks, real = fresh(tmp_path / "s", before), [], os.write

    def took(handle, data):
        return real(
            handle, memoryview(data).cast("B")[: max(len(memoryview(data).cast("B")) // 2, 1)]
        )

    playing(monkeypatch, took)
    act(path, acks.append)
    monkeypatch.undo()
    assert acks and check(path, acks) == []


@pytest.mark.parametrize("name", ["collect", "manifest", "basis", "model"])
def test_a_disk_that_fills_amid_any_write_is_told(name, tmp_path, monkeypatch):
    before, act, check = PROTOCOLS[name]
    told, real = 0, os.write
    for full in itertools.count():
        path, acks, count = fresh(tmp_path / "s", before), [], itertools.count()

        def took(handle, data, full=full, count=count):
            data, k = memoryview(data).cast("B"), next(count)
            if k > full:
                raise OSError(errno.ENOSPC, "No space left on device")
            return real(handle, data[: len(data) // 2] if k == full else data)

        playing(monkeypatch, took)
        try:
            act(path, acks.append)
        except OSError as error:
            assert "No space left" in str(error)
            told += 1
        finally:
            monkeypatch.undo()
        finished = next(count) <= full
        assert check(path, acks) == []
        if finished:
            break
    assert told == full > 2
