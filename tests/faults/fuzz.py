"""Readers of our own files on mutated ones: python -m tests.faults.fuzz [EXECUTIONS] [SEED]. A
named error is right; a crash, a hang, another exception or an allocation beyond the cap is a
finding, and its input is kept. Files of other programs are those of `fuzz_files`.
"""

from __future__ import annotations

import hashlib
import json
import os
import resource
import signal
import sys
import tempfile
import time
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np

from rom.archive.files import _seal_block
from rom.archive.layout import BLOCK
from rom.archive.nouns import load, save
from rom.batch import Profile, read_profile
from rom.batch.plan import parse_rows
from rom.batch.run_folder import MAGIC, Run, create_run, open_run
from rom.campaign import collect, open_store
from rom.campaign.journal import Manifest, journals, refresh
from rom.cli.case import parameters
from rom.errors import RomError
from rom.parameters import Box

Reader = Callable[[bytes], None]
CAP, LIMIT = 2**30, 5
TOKENS = [
    b"null",
    b"-1",
    b"1e999",
    b"NaN",
    b"[]",
    b"{}",
    b'""',
    b"true",
    b"9" * 30,
    b"../",
    b"/etc/passwd",
    b"\\u0000",
    b"\x00",
    b"\xff",
    b"[" * 2000,
    b'{"a":' * 500,
    b"\n",
    b",",
    b'"noun"',
    b'"array"',
    b'"sparse"',
    b"1e308",
    b"0x7f",
    b"[[a]]\n",
    b"'''",
    b"=\n",
]


def mutated(seed: bytes, rng: np.random.Generator) -> bytes:
    """A seed after one to four flips, cuts, repetitions, insertions or exchanges."""
    data = bytearray(seed)
    for _ in range(int(rng.integers(1, 5))):
        k, j = (int(x) for x in rng.integers(0, len(data) + 1, 2)) if data else (0, 0)
        kind = int(rng.integers(6))
        if kind == 0 and k < len(data):
            data[k] ^= 1 << int(rng.integers(8))
        elif kind == 1:
            del data[min(k, j) : max(k, j) if rng.random() < 0.1 else min(k, j) + 8]
        elif kind == 2:
            data[k:k] = data[j : j + int(rng.integers(1, 64))]
        elif kind == 3:
            data[k:k] = TOKENS[int(rng.integers(len(TOKENS)))]
        elif kind == 4 and k < len(data):
            token = TOKENS[int(rng.integers(len(TOKENS)))]
            data[k : k + len(token)] = token
        elif kind == 5 and k < len(data):
            data[k] = int(rng.integers(256))
    return bytes(data)


def targets(folder: Path) -> dict[str, tuple[list[bytes], Reader, float]]:
    """Reader -> (seeds, reading, share of the executions); digests are made true again, so
    that what lies behind them is reached.
    """
    box = Box(("a", "b"), np.zeros(2), np.ones(2))
    collect(
        lambda mu: mu[0] * np.ones(3), np.array([[0.5, 0.5], [0.1, 0.2]]), folder / "store", box=box
    )
    journal, campaign = journals(folder / "store")[0], folder / "store" / "campaign.json"
    lines, identity = journal.read_bytes(), json.loads(campaign.read_text())
    save(
        folder / "n.h5",
        {"box": box, "x": np.arange(6.0).reshape(2, 3), "list": [1.5, "a", None, (2, 1j)]},
    )
    sealed = (folder / "n.h5").read_bytes()
    run = create_run(
        Run(folder / "run", "c.py", "/", (), ("a", "b"), np.ones((2, 2)), Profile("slurm"))
    )
    text = (run.folder / "run.json").read_bytes().split(b"\n", 2)[2]
    site = (Path(__file__).parents[2] / "hpc" / "slurm.toml").read_bytes()
    work = {name: folder / f"w-{name}" for name in ("h5", "toml", "csv")}
    for name in ("store/samples", "store/leases", "store/journal", "run"):
        (folder / "fuzz" / name).mkdir(parents=True, exist_ok=True)

    def of_journal(data: bytes) -> None:
        body = b"".join(
            b"%08x %s\n" % (zlib.crc32(line), line) for line in data.split(b"\n") if line
        )
        (folder / "fuzz" / "store" / "journal" / "j.jsonl").write_bytes(body)
        manifest = refresh(Manifest(folder / "fuzz" / "store"))
        _ = manifest.order

    def of_raw_journal(data: bytes) -> None:
        (folder / "fuzz" / "store" / "journal" / "j.jsonl").write_bytes(data)
        refresh(Manifest(folder / "fuzz" / "store"))

    def of_campaign(data: bytes) -> None:
        (folder / "fuzz" / "store" / "journal" / "j.jsonl").unlink(missing_ok=True)
        (folder / "fuzz" / "store" / "campaign.json").write_bytes(data)
        open_store(folder / "fuzz" / "store")

    def of_identity(data: bytes) -> None:
        try:
            held = json.loads(data)
        except (ValueError, RecursionError):
            return
        held = held if isinstance(held, dict) else {"a": held}
        held.pop("sha256", None)
        whole = {**held, "sha256": hashlib.sha256(json.dumps(held).encode()).hexdigest()}
        (folder / "fuzz" / "store" / "journal" / "j.jsonl").unlink(missing_ok=True)
        (folder / "fuzz" / "store" / "campaign.json").write_text(json.dumps(whole))
        store = open_store(folder / "fuzz" / "store")
        _ = (store.times, store.box, store.key(np.zeros(2)))

    def of_archive(data: bytes) -> None:
        work["h5"].write_bytes(_seal_block(hashlib.sha256(data).hexdigest()) + data)
        load(work["h5"])

    def of_raw_archive(data: bytes) -> None:
        work["h5"].write_bytes(data)
        load(work["h5"])

    def of_profile(data: bytes) -> None:
        work["toml"].write_bytes(data)
        read_profile(work["toml"])

    def of_table(data: bytes) -> None:
        work["csv"].write_bytes(data)
        parameters((), work["csv"], box)

    def of_run(data: bytes) -> None:
        (folder / "fuzz" / "run" / "run.json").write_bytes(
            MAGIC + hashlib.sha256(data).hexdigest().encode() + b"\n" + data
        )
        open_run(folder / "fuzz" / "run")

    records = [line.partition(b" ")[2] for line in lines.splitlines()]
    del identity["sha256"]
    return {
        "journal": ([b"\n".join(records), *records], of_journal, 0.25),
        "raw journal": ([lines], of_raw_journal, 0.1),
        "campaign": ([campaign.read_bytes()], of_campaign, 0.1),
        "identity": ([json.dumps(identity).encode()], of_identity, 0.1),
        "archive": ([sealed[BLOCK:]], of_archive, 0.05),
        "raw archive": ([sealed], of_raw_archive, 0.1),
        "profile": ([site, b'scheduler = "slurm"\n'], of_profile, 0.05),
        "table": ([b"a,b\n0.5,0.25\n1e-3,1\n", b"a [m],b [s]\n1,2\n"], of_table, 0.1),
        "run": ([text], of_run, 0.05),
        "rows": (
            [b"0-2,5", b"1,2,3"],
            lambda data: parse_rows(data.decode("latin1"), 1000) and None,
            0.1,
        ),
    }


class Late(BaseException):
    """A reader that takes too long: nothing that a reader could take for an error of a file."""


def hunted(
    name: str, seeds: list[bytes], read: Reader, count: int, seed: int
) -> list[tuple[str, bytes]]:
    """What went wrong in `count` executions, each in its time and memory: (what, input)."""
    rng = np.random.default_rng([seed, zlib.crc32(name.encode())])
    wrong: list[tuple[str, bytes]] = []

    def late(number, frame):  # type: ignore[no-untyped-def]
        raise Late

    signal.signal(signal.SIGALRM, late)
    for _ in range(count):
        data = mutated(seeds[int(rng.integers(len(seeds)))], rng)
        signal.setitimer(signal.ITIMER_REAL, LIMIT)
        try:
            read(data)
        except RomError:
            pass
        except BaseException as error:
            wrong.append((f"{name}: {type(error).__name__}: {error}"[:300], data))
            if len(wrong) > 20:
                break
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
    return wrong


def fuzz(
    executions: int, seed: int, grain: int = 20_000, only: tuple[str, ...] = ()
) -> dict[str, list[str]]:
    """Findings by reader, or by those named in `only`.

    Each reader runs in children of its own with a cap on memory, so that a crash is a finding.
    """
    findings: dict[str, list[str]] = {}
    with tempfile.TemporaryDirectory(
        dir="/dev/shm" if Path("/dev/shm").is_dir() else None
    ) as place:
        made = targets(Path(place))
        for name in only or made:
            seeds, read, share = made[name]
            left, part = max(int(executions * share), 1), 0
            findings[name] = []
            while left > 0:
                count = min(left, grain)
                kept = Path(place) / f"findings-{name.replace(' ', '-')}-{part}"
                child = os.fork()
                if child == 0:
                    try:
                        size = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
                        resource.setrlimit(resource.RLIMIT_DATA, (size + CAP, size + CAP))
                        wrong = hunted(name, seeds, read, count, seed + 1000 * part)
                        kept.write_text(
                            json.dumps([(what, data.hex()[:4000]) for what, data in wrong])
                        )
                        os._exit(0)
                    finally:
                        os._exit(1)
                status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
                findings[name] += (
                    [what for what, _ in json.loads(kept.read_text())]
                    if status == 0
                    else [f"{name}: the process died ({status})"]
                )
                left, part = left - count, part + 1
    return findings


if __name__ == "__main__":
    total = int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000
    begin = time.perf_counter()
    result = fuzz(total, int(sys.argv[2]) if len(sys.argv) > 2 else 0)
    for reader, lines in result.items():
        print(f"{reader:12s} {len(lines)} findings", *lines[:5], sep="\n    " if lines else " ")
    print(
        f"{total} executions in {time.perf_counter() - begin:.0f} s: "
        f"{sum(map(len, result.values()))} findings"
    )
    sys.exit(any(result.values()))
