"""Every truncation and every flipped bit of every kind of file is told, or changes nothing that is
read.
"""

import os
import shutil
import signal
import time
from contextlib import suppress

import numpy as np
import pytest

import rom.batch as batch
from rom.archive.nouns import load, save
from rom.batch.profile import Profile
from rom.campaign import collect, open_store, read
from rom.campaign.journal import journals
from rom.errors import RomError
from rom.parameters import Box

MUS = np.arange(1.0, 4.0)[:, None]
BOX = Box(("a",), np.zeros(1), np.full(1, 9.0))


def solution(mu):
    return np.sin(mu[0] * np.arange(300.0))


def told(value):
    """What a reader gave, as bytes that compare."""
    if isinstance(value, np.ndarray):
        return value.tobytes()
    return repr(value)


def content(store):
    """All that a store says: settings, what failed, solutions to the bit."""
    held = open_store(store)
    snapshots = read(store)
    failed = sorted((key, r["reason"]) for key, rs in held.manifest.failed.items() for r in rs)
    return snapshots.u.tobytes(), snapshots.mu.tobytes(), repr(held.identity), repr(failed)


def kinds(folder):
    """Kind of file -> (the file, what reading gives)."""
    store = folder / "store"
    collect(lambda mu: solution(mu) if mu[0] < 3 else 1 / 0, MUS, store, box=BOX)
    save(
        folder / "model.h5",
        {"box": BOX, "modes": np.linspace(0, 1, 700).reshape(100, 7), "text": "a"},
    )
    batch.create_run(
        batch.Run(folder / "run", "c.py", "/", ("n=3",), ("a",), MUS, Profile("slurm"))
    )

    def run():
        held = batch.open_run(folder / "run")
        return held.case, held.settings, held.names, held.mus.tobytes(), held.site.time

    def model():
        held = load(folder / "model.h5")
        return held["modes"].tobytes(), held["text"], held["box"].names, held["box"].upper.tobytes()

    return {
        "sample": (next(iter((store / "samples").glob("*-*.h5"))), lambda: content(store)),
        "journal": (journals(store)[0], lambda: content(store)),
        "campaign": (store / "campaign.json", lambda: content(store)),
        "model": (folder / "model.h5", model),
        "run": (folder / "run" / "run.json", run),
    }


KINDS = ("sample", "journal", "campaign", "model", "run")


def silent(path, whole, changed, reading, exact, allowed=()):
    """Whether a changed file reads as something else without a word."""
    path.write_bytes(changed)
    try:
        value = reading()
    except RomError as error:
        assert (
            str(path.name) in str(error)
            or "holds no finished sample" in str(error)
            or path.parent.name in str(error)
        ), error
        return False
    finally:
        path.write_bytes(whole)
    return value != exact and value not in allowed


def shorter(kind, path, reading):
    """Values that a journal may give which lost its last lines to a truncation: those of each
    of its prefixes.
    """
    if kind != "journal":
        return []
    whole, values = path.read_bytes(), []
    ends = [k + 1 for k, byte in enumerate(whole) if byte == 10]
    for end in ends:
        path.write_bytes(whole[:end])
        with suppress(RomError):
            values.append(reading())
    path.write_bytes(whole)
    return values


@pytest.mark.parametrize("kind", KINDS)
def test_every_truncation_is_told(kind, tmp_path):
    path, reading = kinds(tmp_path)[kind]
    whole, exact = path.read_bytes(), reading()
    allowed = shorter(
        kind, path, reading
    )  # a torn last line is what a kill leaves: what it meant counts as not done
    ends = {*range(0, len(whole), 512), *range(0, len(whole), 37), len(whole) - 1}
    assert not [
        end for end in sorted(ends) if silent(path, whole, whole[:end], reading, exact, allowed)
    ]


def flips(kind, tmp_path, count):
    path, reading = kinds(tmp_path)[kind]
    whole, exact, rng = path.read_bytes(), reading(), np.random.default_rng(5)
    wrong = []
    for place, bit in zip(
        rng.integers(0, len(whole), count), rng.integers(0, 8, count), strict=True
    ):
        changed = bytearray(whole)
        changed[place] ^= 1 << int(bit)
        last_line = kind == "journal" and place == len(whole) - 1
        if silent(path, whole, bytes(changed), reading, exact) and not last_line:
            wrong.append((int(place), int(bit)))
    return wrong


@pytest.mark.parametrize("kind", KINDS)
def test_flipped_bits_are_told(kind, tmp_path):
    assert flips(kind, tmp_path, 500) == []


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_ten_thousand_flipped_bits_are_told(kind, tmp_path):
    assert flips(kind, tmp_path, 10_000) == []


def test_a_plain_array_file_would_not_tell(tmp_path):
    """The control arm: the same flips in a .npy file are silent."""
    exact, path, rng = solution(MUS[0]), tmp_path / "a.npy", np.random.default_rng(5)
    np.save(path, exact)
    whole, quiet = path.read_bytes(), 0
    for place in rng.integers(128, len(whole), 60):
        changed = bytearray(whole)
        changed[place] ^= 4
        path.write_bytes(changed)
        quiet += not np.array_equal(np.load(path), exact)
    assert quiet > 50


def campaign(path, acks, number):
    """A child that collects, notes what is acknowledged, and dies by the signal some time later."""
    child = os.fork()
    if child:
        return child
    from rom.campaign import attempt as module

    def told(journal, record, append=module.append_record):
        append(journal, record)
        if record["state"] == "done":
            os.write(acks, b"%d\n" % record["mu"][0])

    module.append_record = told
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    try:
        collect(solution, number, path)
    finally:
        os._exit(0)


def killed_at_random(tmp_path, kills):
    """(acknowledged, lost, kills that struck): campaigns killed after random times, checked
    and gone on with.
    """
    rng, lost, struck, total = np.random.default_rng(11), [], 0, 0
    store, count = tmp_path / "s", 0
    for k in range(kills):
        if count == 0 or count > 150:
            shutil.rmtree(store, ignore_errors=True)
            known: set[int] = set()
        mus = np.arange(1.0, 201.0)[:, None]
        ends = os.pipe()
        child = campaign(store, ends[1], mus)
        os.close(ends[1])
        wanted, early = int(rng.integers(0, 8)), b""
        while early.count(b"\n") < wanted and (more := os.read(ends[0], 100)):
            early += more
        time.sleep(rng.uniform(0.0, 0.012))
        with suppress(ProcessLookupError):
            os.kill(child, signal.SIGKILL if k % 3 else signal.SIGTERM)
        struck += os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) < 0
        with open(ends[0], "rb") as told:
            acked = {int(line) for line in (early + told.read()).split()}
        known |= acked
        total += len(acked)
        if (store / "campaign.json").exists():
            held = {int(r["mu"][0]) for r in open_store(store).manifest.done.values()}
            lost += sorted(known - held)
            count = len(held)
            if held:
                snapshots = read(store)
                assert all(
                    np.array_equal(u, solution(mu))
                    for mu, u in zip(snapshots.mu, snapshots.u.T, strict=True)
                )
    return total, lost, struck


def test_random_kills_lose_nothing(tmp_path):
    total, lost, struck = killed_at_random(tmp_path, 60)
    assert lost == [] and struck > 40 and total > 50


@pytest.mark.slow
def test_five_hundred_random_kills_lose_nothing(tmp_path):
    total, lost, struck = killed_at_random(tmp_path, 500)
    print(f"{struck} kills, {total} samples acknowledged, {len(lost)} lost")
    assert lost == [] and struck > 400 and total > 1000
