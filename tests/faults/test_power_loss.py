"""Power loss at every moment: what was written and not synced is dropped, kept or torn, and
nothing acknowledged is lost.

The system calls of a protocol are recorded once; a crash after the k-th leaves, of every file,
what was written before its last fsync and any part of the later writes, and of every folder the
names before its last fsync and any of the later ones. Reference: Pillai et al., All file
systems are not created equal (2014).
"""

import ast
import os
import re
import shutil
from dataclasses import dataclass, field
from pathlib import Path

import inject
import numpy as np
import pytest
from inject import available
from test_kill_points import PROTOCOLS, appended, appended_well, fresh, nothing

from rom.errors import RomError

pytestmark = pytest.mark.skipif(not available(), reason="strace is not installed")
CALLS = (
    "openat,write,pwrite64,ftruncate,fsync,fdatasync,rename,link,unlink,mkdir,close,lseek,read,dup"
)
LINE = re.compile(r"^\d+ +(\w+)\((.*)\) += (-?\d+)")
TEXT = re.compile(r'"((?:[^"\\]|\\.)*)"(\.\.\.)?')


@dataclass
class Disk:
    """What a disk was told: writes per file, names per folder, each with its moment; and when
    each was synced.
    """

    writes: dict[int, list[tuple[int, int, bytes | None]]] = field(default_factory=dict)
    names: dict[str, list[tuple[int, str, int | None]]] = field(default_factory=dict)
    synced: list[tuple[int, object]] = field(default_factory=list)
    acks: list[tuple[int, str]] = field(default_factory=list)
    moments: int = 0


def recorded(act, folder):
    """The Disk of an act below `folder`; what it acknowledges goes through a pipe, which is
    seen too.
    """
    root = str(folder.parent)
    status, _, log = inject._traced(
        act, folder, ("-xx", "-s", "4000000", "-e", f"trace={CALLS},{inject.WAITING}")
    )
    assert status == 0
    assert "unfinished" not in log, "two threads wrote at once; record again"
    disk, handles, here, fresh_inode = Disk(), {}, {}, iter(range(10**9))
    for line in log.splitlines():
        match = LINE.match(line)
        if match is None:
            continue
        call, inside, answer = match[1], match[2], int(match[3])
        texts = [ast.literal_eval(f'b"{t}"') for t, _ in TEXT.findall(inside)]
        assert not any(cut for _, cut in TEXT.findall(inside)), "a write was cut by strace"
        if answer < 0:
            continue
        disk.moments += 1
        now, number = disk.moments, re.match(r"\d+", inside)
        handle = handles.get(int(number[0])) if number else None
        paths = (
            [t.decode() for t in texts]
            if call in ("openat", "rename", "link", "unlink", "mkdir")
            else []
        )
        inner = [p for p in paths if p == root or p.startswith(root + "/")]
        if call == "openat" and inner:
            path = inner[0]
            if path not in here and "O_CREAT" in inside:
                here[path] = next(fresh_inode)
                disk.writes[here[path]] = []
                disk.names.setdefault(os.path.dirname(path), []).append((now, path, here[path]))
            elif "O_TRUNC" in inside:
                disk.writes[here[path]].append((now, 0, None))
            handles[answer] = [here.get(path, path), 0, "O_APPEND" in inside]
        elif call == "close" and number:
            handles.pop(int(number[0]), None)
        elif call == "lseek" and handle:
            handle[1] = answer
        elif call == "read" and handle:
            handle[1] += answer
        elif call in ("write", "pwrite64") and handle and isinstance(handle[0], int):
            end = max(
                (at + len(d) if d is not None else at for _, at, d in disk.writes[handle[0]]),
                default=0,
            )
            at = (
                int(inside.rpartition(",")[2])
                if call == "pwrite64"
                else end
                if handle[2]
                else handle[1]
            )
            disk.writes[handle[0]].append((now, at, texts[0][:answer]))
            handle[1] += answer if call == "write" else 0
        elif call == "write" and handle is None:
            disk.acks += [(now, word) for word in texts[0].decode(errors="replace").split()]
        elif call == "ftruncate" and handle:
            disk.writes[handle[0]].append((now, int(inside.rpartition(",")[2]), None))
        elif call in ("fsync", "fdatasync") and handle:
            disk.synced.append((now, handle[0]))
        elif call == "rename" and len(inner) == 2:
            here[inner[1]] = here.pop(inner[0])
            disk.names.setdefault(os.path.dirname(inner[1]), []).append(
                (now, "\0".join(inner), here[inner[1]])
            )
        elif call == "link" and len(inner) == 2:
            here[inner[1]] = here[inner[0]]
            disk.names.setdefault(os.path.dirname(inner[1]), []).append(
                (now, inner[1], here[inner[1]])
            )
        elif call in ("unlink", "mkdir") and inner:
            here.pop(inner[0], None)
            disk.names.setdefault(os.path.dirname(inner[0]), []).append(
                (now, inner[0], None if call == "unlink" else -1)
            )
    return disk


def crashed(disk, moment, root, keep):
    """Writes below `root` what a crash after `moment` leaves; keep(unsynced operations) ->
    those that reached the disk.
    """
    last = {}
    for now, what in disk.synced:
        if now <= moment:
            last[what] = now

    def reached(operations, what):
        past = [o for o in operations if o[0] <= moment]
        safe = [o for o in past if o[0] <= last.get(what, 0)]
        return safe + keep([o for o in past if o[0] > last.get(what, 0)])

    known = {}
    for folder, operations in sorted(disk.names.items()):
        for _, path, inode in reached(operations, folder):
            if inode is None:
                known.pop(path, None)
            else:
                old, _, new = path.rpartition("\0")
                known.pop(old, None)
                known[new] = inode
    for path, inode in sorted(known.items()):
        target = Path(path)
        if not target.parent.is_dir():
            continue  # the name of its folder never reached the disk
        if inode == -1:
            target.mkdir(exist_ok=True)
            continue
        content = bytearray()
        for _, at, data in reached(disk.writes[inode], inode):
            content.extend(bytes(max(0, at + len(data or b"") - len(content))))
            if data is None:
                del content[at:]
            else:
                content[at : at + len(data)] = data
        target.write_bytes(content)


def torn(rng):
    """Any subset of the operations, the last write of it cut."""

    def keep(operations):
        kept = [o for o in operations if rng.random() < 0.5]
        if kept and isinstance(kept[-1][2], bytes):
            kept[-1] = (*kept[-1][:2], kept[-1][2][: rng.integers(len(kept[-1][2]) + 1)])
        return kept

    return keep


def lost(tmp_path, protocol, moments, keeps):
    """(crashes played, what was lost in them) of a protocol."""
    before, act, check = protocol
    room = tmp_path / "room"
    room.mkdir()
    act(fresh(tmp_path / "warm", before), lambda text: None)
    disk = recorded(act, fresh(room / "s", before))
    shutil.rmtree(room)
    room.mkdir()
    before(room / "s")
    earlier = tmp_path / "earlier"
    shutil.copytree(room, earlier)
    wrong, played = [], 0
    for moment in moments(disk):
        acks = [word for now, word in disk.acks if now <= moment]
        for name, keep in keeps:
            shutil.rmtree(room)
            shutil.copytree(earlier, room)
            crashed(disk, moment, room, keep)
            played += 1
            try:
                wrong += [f"{name} at {moment}: {line}" for line in check(room / "s", acks)]
            except (RomError, OSError, KeyError) as error:
                wrong.append(f"{name} at {moment}: {type(error).__name__}: {error}")
    return played, wrong


PROTOCOLS = {name: PROTOCOLS[name] for name in ("collect", "manifest", "run")}
DROPPED, KEPT = ("dropped", lambda operations: []), ("kept", list)


@pytest.mark.parametrize("name", PROTOCOLS)
def test_a_power_loss_loses_nothing_acknowledged(name, tmp_path):
    some = [DROPPED, ("torn", torn(np.random.default_rng(3)))]
    played, wrong = lost(
        tmp_path,
        PROTOCOLS[name],
        lambda disk: range(1, disk.moments + 1, max(disk.moments // 24, 1)),
        some,
    )
    assert wrong == [] and played > 20


@pytest.mark.slow
@pytest.mark.timeout(2400)
@pytest.mark.parametrize("name", PROTOCOLS)
def test_every_power_loss_loses_nothing_acknowledged(name, tmp_path):
    rng = np.random.default_rng(0)
    every = [DROPPED, KEPT, *((f"torn {k}", torn(rng)) for k in range(6))]
    played, wrong = lost(tmp_path, PROTOCOLS[name], lambda disk: range(1, disk.moments + 1), every)
    assert wrong == []
    print(f"{name}: {played} crashes, nothing lost")


def test_the_harness_fails_plain_appending(tmp_path):
    _, wrong = lost(
        tmp_path,
        (nothing, appended, appended_well),
        lambda disk: range(1, disk.moments + 1, 5),
        [DROPPED],
    )
    assert wrong
