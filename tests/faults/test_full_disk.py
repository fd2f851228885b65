"""Outputs on a full disk: the old file stays as it was, the error has a name and exit code 6."""

import hashlib
import os
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest
from outputs import model, outputs

from rom.archive.nouns import load, save

SIZE = 5 * 2**20  # bytes of the disk
LIMIT = 8  # bytes of a file, where no disk can be mounted
SCRIPT = Path(__file__).with_name("outputs.py")


def codes(folder, *limit):
    run = subprocess.run(
        [sys.executable, SCRIPT, folder, *map(str, limit)], capture_output=True, text=True
    )
    lines = [line.split() for line in run.stdout.splitlines() if line.startswith("code ")]
    assert run.returncode == 0, (lines, run.stderr[-3000:])
    return {name: int(code) for _, name, code in lines}


def digests(folder):
    return {
        file.name: hashlib.sha256(file.read_bytes()).hexdigest()
        for file in folder.iterdir()
        if file.name != "filling"
    }


@pytest.fixture
def disk(tmp_path):
    """A mounted disk of 5 MB, or None where none can be mounted."""
    place = tmp_path / "disk"
    place.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", f"size={SIZE}", "tmpfs", str(place)]
    is_mounted = False
    with suppress(OSError):
        is_mounted = subprocess.run(command, capture_output=True).returncode == 0
    yield place if is_mounted else None
    if is_mounted:
        subprocess.run(["umount", str(place)], check=True)


def fill(folder):
    """Leaves no byte of a disk."""
    with open(folder / "filling", "wb", buffering=0) as file, suppress(OSError):
        while True:
            file.write(bytes(2**12))
    with open(folder / "filling", "ab", buffering=0) as file, suppress(OSError):
        while True:
            file.write(b"0")


@pytest.mark.parametrize("kind", ["full disk", "file too large"])
def test_old_files_stay_where_new_ones_do_not_fit(kind, disk, tmp_path):
    if kind == "full disk" and disk is None:
        pytest.skip("no disk can be mounted here; the same is tried by a limit of file sizes")
    folder = disk / "out" if kind == "full disk" else tmp_path / "out"
    folder.mkdir()
    save(folder.parent / "source.h5", model())
    names = set(outputs(folder))
    assert len(names) >= 13
    assert set(codes(folder).values()) == {0}
    before = digests(folder)
    assert set(before) == names
    if kind == "full disk":
        fill(disk)
        refused = codes(folder)
    else:
        refused = codes(folder, LIMIT)
    assert refused == dict.fromkeys(names, 6)
    assert digests(folder) == before


def test_an_answer_as_xdmf_leaves_the_model_of_that_name(tmp_path):
    import rom.cli.app

    path = tmp_path / "ans.h5"
    save(path, model())
    before = path.read_bytes()
    with pytest.raises(SystemExit) as end:
        rom.cli.app.app(["predict", str(path), "--mu", "1.5", "--out", str(tmp_path / "ans.xdmf")])
    assert end.value.code == 0
    assert path.read_bytes() == before and load(path).box.names == ("k",)
    assert sorted(os.listdir(tmp_path)) == ["ans.h5", "ans.xdmf"]
