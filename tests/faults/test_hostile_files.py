"""Files of other programs that lead out of their folder or declare what they do not hold.

Watched from outside: by strace where it is installed, and always by the secret, which must not
come back. A control shows that both see a file that is let through.
"""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import h5py
import numpy as np
import pytest
from hostile_files import (
    FIELDS,
    HUGE,
    LEADING,
    MESH,
    SECRET,
    collection,
    declaring,
    heavy,
    pieces,
    secrets,
    unsealed,
    written,
)

from rom.errors import BadInput, DamagedFile, ForeignFile, RomError
from rom.io import ingest_files, read_file, write_mesh, write_vtkhdf
from rom.io.readers.cgns import read_cgns

PREFIXES = {"up": "../out/secret", "absolute": "{out}/secret"}
CODE = "from rom.cli.app import app; app()"
COMMANDS = {
    "inspect": lambda file, out: ["inspect", file],
    "export": lambda file, out: ["export", file, "--out", f"{out}/e.npz"],
    "view": lambda file, out: ["view", file, "--picture", f"{out}/v.png"],
    "ingest": lambda file, out: ["ingest", file, "--field", "u=K", "--out", f"{out}/i.h5"],
}


@pytest.fixture
def places(tmp_path):
    """A folder to read from, and the secrets beside it."""
    (tmp_path / "in").mkdir()
    secrets(tmp_path / "out")
    return tmp_path / "in", tmp_path / "out"


def numbers_of(content):
    mesh, points, cells = content
    parts = [mesh.points.ravel(), *(values.ravel() for values, _ in {**points, **cells}.values())]
    return np.concatenate([part.astype(float) for part in parts if part.dtype.kind in "fiu"])


@pytest.mark.parametrize("prefix", PREFIXES)
@pytest.mark.parametrize("name", LEADING)
def test_a_file_that_leads_out_of_its_folder_is_refused_by_name(name, prefix, places, monkeypatch):
    folder, out = places
    monkeypatch.chdir(folder)
    path = LEADING[name](folder, PREFIXES[prefix].format(out=out))
    with pytest.raises(ForeignFile, match=r"leads out of its folder|cannot be read") as error:
        secret = numbers_of(read_file(path))
        assert not np.isin(SECRET, secret).any(), "the secret came back"
    assert "leads out" in str(error.value), error.value


def test_a_file_in_the_working_folder_is_not_beside(places, monkeypatch):
    folder, out = places
    monkeypatch.chdir(out)
    path = LEADING["vtkhdf storage"](folder, "secret")
    try:
        assert not np.isin(SECRET, numbers_of(read_file(path))).any()
    except RomError:
        pass
    shutil.copy(LEADING["cgns storage"](folder, "secret"), folder / "b.cgns")
    try:
        _, points, _, _ = read_cgns(folder / "b.cgns")
        assert not np.isin(SECRET, points["T"][0]).any()
    except RomError:
        pass


def test_files_of_the_own_folder_are_read(places):
    folder, _ = places
    values = np.arange(3.0)
    (folder / "sub").mkdir()
    write_mesh(folder / "sub" / "b.vtu", MESH, FIELDS)
    for path in (
        written(folder / "a.pvd", collection("sub/b.vtu")),
        written(folder / "a.pvtu", pieces("sub/b.vtu")),
        unsealed(folder / "a.vtkhdf"),
    ):
        np.testing.assert_array_equal(read_file(path)[1]["u"][0], values)
    with h5py.File(folder / "b.h5", "w") as file:
        file["x"] = values
    path = written(folder / "a.xdmf", heavy("HDF", "b.h5:/x"))
    np.testing.assert_array_equal(read_file(path)[1]["u"][0], values)
    layout = h5py.VirtualLayout((3,), float)
    layout[:] = h5py.VirtualSource(".", "VTKHDF/own", (3,), float)
    with h5py.File(folder / "a.vtkhdf", "a") as file:
        file.move("VTKHDF/PointData/u [K]", "VTKHDF/own")
        file["VTKHDF/PointData"].create_virtual_dataset("u [K]", layout)
    np.testing.assert_array_equal(read_file(folder / "a.vtkhdf")[1]["u"][0], values)


def test_a_changed_file_of_this_package_is_refused_whoever_reads_it(tmp_path):
    path = write_vtkhdf(tmp_path / "a.vtkhdf", MESH, FIELDS)
    content = bytearray(path.read_bytes())
    place = content.index(np.array([1.0, 2.0]).tobytes())
    content[place : place + 8] = np.array([7.0]).tobytes()
    path.write_bytes(content)
    for act in (lambda: read_file(path), lambda: ingest_files([path], {"u": "K"})):
        with pytest.raises(DamagedFile, match="sha256"):
            act()


@pytest.mark.parametrize("size", [HUGE, 3 * 10**9])
@pytest.mark.parametrize("name", declaring(1))
def test_a_declared_size_is_not_believed(name, size, tmp_path):
    path = declaring(size)[name](tmp_path)
    assert path.stat().st_size < 2**16
    try:
        content = read_file(path)
    except (ForeignFile, BadInput):
        return
    assert len(content[0].points) < 100


def run(words, folder, *before):
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    return subprocess.run(
        [*before, sys.executable, "-c", CODE, *map(str, words)],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
    )


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("name", LEADING)
def test_no_command_opens_what_lies_outside(name, command, places, tmp_path):
    """Every format by every command; the files that are opened are counted by the kernel."""
    folder, out = places
    (tmp_path / "told").mkdir()
    path = LEADING[name](folder, "../out/secret")
    is_traced = shutil.which("strace") is not None
    log = tmp_path / "log"
    tracer = ["strace", "-f", "-qq", "-e", "trace=open,openat,openat2", "-o", log]
    told = run(COMMANDS[command](path, tmp_path / "told"), folder, *(tracer if is_traced else []))
    assert told.returncode == 4 and "leads out" in told.stderr, told.stderr
    assert_no_secret(told.stdout + told.stderr, tmp_path / "told")
    if is_traced:
        opened = re.findall(r'"([^"]*)"', log.read_text())
        assert any(name.startswith(str(folder)) for name in opened)
        assert not [name for name in opened if str(out) in os.path.join(folder, name)], opened


def assert_no_secret(text, folder):
    for number in SECRET:
        assert str(number) not in text
        for file in folder.iterdir():
            content = file.read_bytes()
            assert number.tobytes() not in content and str(number).encode() not in content


@pytest.mark.skipif(shutil.which("strace") is None, reason="strace is not installed")
def test_the_watch_sees_a_file_that_is_let_through(places, tmp_path):
    folder, out = places
    shutil.copy(out / "secret.vtu", folder / "b.vtu")
    path = written(folder / "a.pvd", collection("b.vtu"))
    (tmp_path / "told").mkdir()
    log = tmp_path / "log"
    told = run(
        COMMANDS["export"](path, tmp_path / "told"), folder,
        "strace", "-f", "-qq", "-e", "trace=open,openat,openat2", "-o", log,
    )  # fmt: skip
    assert told.returncode == 0, told.stderr
    assert "b.vtu" in log.read_text()
    with np.load(tmp_path / "told" / "e.npz") as content:
        assert np.isin(SECRET, np.concatenate([v.ravel() for v in content.values()])).all()


def test_names_do_not_drive_the_terminal(tmp_path):
    names = {"\x1b]0;owned\x07u": (np.arange(3.0), "K"), "=cmd|' /C calc'!A0": (np.ones(3), "K")}
    path = write_vtkhdf(tmp_path / "a.vtkhdf", MESH, names)
    told = run(["inspect", path], tmp_path)
    assert told.returncode == 0 and "\x1b" not in told.stdout and "\x07" not in told.stdout
    assert "x1b" in told.stdout
    told = run(["inspect", tmp_path / "\x1b[31mno.vtu"], tmp_path)
    assert told.returncode != 0 and "\x1b[31m" not in told.stderr
    assert run(["export", path, "--out", tmp_path / "a.csv"], tmp_path).returncode == 0
    head = (tmp_path / "a.csv").read_text().splitlines()[0]
    assert "\x1b" not in head and not re.search(r'(^|,)"?[=+@-]', head), head
    told = run(["inspect", path, "--json"], tmp_path)
    assert "\x1b" not in told.stdout and json.loads(told.stdout.splitlines()[-1])
