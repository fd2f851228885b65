"""Files of other programs that lead out of their folder or declare what they do not hold.

Watched from outside: by strace where it is installed, and always by the secret, which must not
come back. A control shows that both see a file that is let through.
"""

import ctypes
import json
import os
import pickle
import re
import shutil
import subprocess
import sys
import zipfile
from contextlib import suppress
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
    linked,
    pieces,
    secrets,
    unsealed,
    written,
)

import rom.io.readers
from rom.archive import save_model
from rom.errors import BadInput, DamagedFile, ForeignFile, RomError
from rom.io import ingest_files, read_file, read_loading, write_mesh, write_vtkhdf
from rom.io.confinement import CREATE_RULESET
from rom.io.numpy_files import npz_names, read_npy, read_npz
from rom.io.readers.cgns import read_cgns
from rom.shapes import Same, Sample, family, shape_model
from rom.shapes.families import BASELINE

PREFIXES = {"up": "../out/secret", "absolute": "{out}/secret"}
CODE = "from rom.cli.app import app; app()"
SCRIPT = Path(__file__).with_name("commands.py")
TRACE = ("strace", "-f", "--seccomp-bpf", "-qq", "-e", "trace=open,openat,openat2", "-o")
# command -> words; {file} is hostile, {models} holds models and a good mesh, {out} takes files
COMMANDS = {
    "inspect": "inspect {file}",
    "export": "export {file} --out {out}/e.npz",
    "export mesh": "export {file} --out {out}/e.vtkhdf",
    "view": "view {file} --picture {out}/v.png",
    "ingest": "ingest {file} --field u=K --out {out}/i.h5",
    "ingest integration": "ingest {file} --integration u=K --positions x --out {out}/i.h5",
    "predict mesh": "predict {models}/m.h5 --mu q=0.5 --mesh {file}",
    "predict given": "predict {models}/m.h5 --mu q=0.5 --mesh {models}/m.vtu --given b={file}",
    "view mesh": "view {models}/m.h5 --mu q=0.5 --mesh {file} --picture {out}/v.png",
    "study designs": "study {models}/m.h5 {folder}",
    "shapes train": "shapes train {folder} --morph same --out {out}/s.h5",
    "shapes validate": "shapes validate {folder} {models}/m.h5",
    "shapes predict": "shapes predict {models}/m.h5 {file} --mu q=0.5",
    "shapes view": "shapes view {models}/m.h5 {file} --mu q=0.5 --picture {out}/v.png",
    "loading": "loading {folder}/loading.csv",
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
    with pytest.raises(ForeignFile, match=r"leads (out|to)|cannot be read") as error:
        secret = numbers_of(read_file(path))
        assert not np.isin(SECRET, secret).any(), "the secret came back"
    assert re.search("leads (out|to)", str(error.value)), error.value


def test_a_file_in_the_working_folder_is_not_beside(places, monkeypatch):
    folder, out = places
    monkeypatch.chdir(out)
    path = LEADING["vtkhdf storage"](folder, "secret")
    with suppress(RomError):
        assert not np.isin(SECRET, numbers_of(read_file(path))).any()
    shutil.copy(LEADING["cgns storage"](folder, "secret"), folder / "b.cgns")
    with suppress(RomError):
        _, points, _, _ = read_cgns(folder / "b.cgns")
        assert not np.isin(SECRET, points["T"][0]).any()


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


def many(commands, folder, *before):
    """(code, text) of each of many commands, which one process runs."""
    words = folder / "words.json"
    words.write_text(json.dumps([list(map(str, command)) for command in commands]))
    told = subprocess.run(
        [*before, sys.executable, SCRIPT, words],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
        capture_output=True,
        text=True,
        timeout=3000,
    )
    answers = [json.loads(line) for line in told.stdout.splitlines()]
    assert len(answers) == len(commands), told.stderr[-3000:]
    return answers


def models(folder):
    """A model over shapes that asks for a mesh and the field b on it, and such a mesh."""
    designs = [
        Sample(MESH, np.array([q]), {"u": q + FIELDS["u"][0]}, {}, {"b": q * FIELDS["u"][0]})
        for q in np.linspace(0, 1, 6)
    ]
    save_model(folder / "m.h5", shape_model(designs, Same(), MESH, names=("q",)), MESH)
    write_mesh(folder / "m.vtu", MESH, {f"{BASELINE}b": (FIELDS["u"][0], "1")})


def opened(log, folders):
    """What was opened, by the number of the command: the places that links lead to."""
    every, number = {}, -1
    for name in re.findall(r'"([^"]*)"', log.read_text(errors="replace")):
        begin = re.fullmatch(r"(\d+)\.begin", name)
        number = int(begin[1]) if begin else number
        if number >= 0:
            place = os.path.realpath(os.path.join(folders[number], name))
            every.setdefault(number, set()).add(place)
    return every


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("command", COMMANDS)
def test_no_command_opens_what_lies_outside(command, tmp_path):
    """Every format by every command; the files that are opened are counted by the kernel."""
    out, told = tmp_path / "out", tmp_path / "told"
    secrets(out)
    told.mkdir()
    models(tmp_path)
    folders, commands = [], []
    for k, make in enumerate(LEADING.values()):
        folder = tmp_path / f"in{k}"
        folder.mkdir()
        file = make(folder, "../out/secret")
        text = f't = [0.0]\n[[temperature]]\nfield = "{file.name}#u"\ntable = [1.0]\n'
        written(folder / "loading.csv", text)  # of a suffix that is no design
        names = {"file": file, "folder": folder, "models": tmp_path, "out": told}
        commands.append([word.format(**names) for word in COMMANDS[command].split()])
        folders.append(folder)
    is_traced = shutil.which("strace") is not None
    answers = many(commands, tmp_path, *((*TRACE, tmp_path / "log") if is_traced else ()))
    for name, (code, text) in zip(LEADING, answers, strict=True):
        assert code == 4 and re.search("leads (out|to)", text), (name, code, text)
        assert_no_secret(text, told)
    if is_traced:
        for k, places in opened(tmp_path / "log", folders).items():
            assert any(place.startswith(str(folders[k])) for place in places)
            leaks = [place for place in places if place.startswith(str(out))]
            assert not leaks, (list(LEADING)[k], leaks)


@pytest.mark.parametrize("place", ["../out/secret", "{out}/secret", "link"])
def test_what_a_table_or_a_loading_names_lies_beside_it(place, places):
    folder, out = places
    np.save(out / "secret.npy", SECRET)
    for suffix in (".vtu", ".npy"):
        linked(folder / f"link{suffix}", f"../out/secret{suffix}")
    name = place.format(out=out)
    table = written(folder / "scalars.csv", f"file,q\n{name}.vtu,1\n")
    for file in (table, folder):
        with pytest.raises(ForeignFile, match=r"scalars\.csv leads out of its folder"):
            family(file)
    for field, column in ((f"{name}.npy", "[1.0]"), (f"{name}.vtu#u", "[1.0]"), ("a.npy", None)):
        np.save(folder / "a.npy", SECRET)
        column = column or f'"{name}.npy#t"'
        text = f't = [0.0]\n[[temperature]]\nfield = "{field}"\ntable = {column}\n'
        with pytest.raises(ForeignFile, match=r"l\.toml leads out of its folder"):
            read_loading(written(folder / "l.toml", text))


def header(shape):
    """A .npy file that declares a shape, and holds ten numbers."""
    text = f"{{'descr': '<f8', 'fortran_order': False, 'shape': {shape}, }}".ljust(117) + "\n"
    return b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text.encode() + bytes(80)


def packed(content, folder):
    """A .npz file of one array."""
    with zipfile.ZipFile(folder / "pack", "w", zipfile.ZIP_DEFLATED) as pack:
        pack.writestr("u.npy", content)
    return (folder / "pack").read_bytes()


NO_ARRAYS = {
    "declared": header((HUGE,)),
    "negative": header((-10,)),
    "short": header((11,)),
    "objects": header((10,)).replace(b"<f8", b"|O8"),
    "pickle": pickle.dumps([1.0]),
    "zeros": bytes(3000),
    "nothing": b"",
    "text": b"abc",
    "brackets": b"[" * 100_000,
}


@pytest.mark.parametrize("name", NO_ARRAYS)
def test_arrays_of_numpy_are_no_larger_than_their_files(name, tmp_path):
    (tmp_path / "a.npy").write_bytes(NO_ARRAYS[name])
    (tmp_path / "a.npz").write_bytes(packed(NO_ARRAYS[name], tmp_path))
    (tmp_path / "b.npz").write_bytes(NO_ARRAYS[name])
    for act in (
        lambda: read_npy(tmp_path / "a.npy"),
        lambda: read_npz(tmp_path / "a.npz", "u"),
        lambda: read_npz(tmp_path / "b.npz", "u"),
    ):
        with pytest.raises(BadInput, match=r"^[ab]\.np[yz]"):
            act()


def test_a_small_pack_does_not_become_a_large_array(tmp_path):
    head = header((2**24,))[:-80]
    (tmp_path / "a.npz").write_bytes(packed(head + bytes(2**27), tmp_path))
    with pytest.raises(BadInput, match="unpacks to"):
        read_npz(tmp_path / "a.npz", "u")
    for k, values in enumerate([np.ones((2, 3), order="F"), np.arange(4) * 1j, np.float32(2.0)]):
        np.save(tmp_path / f"{k}.npy", values)
        np.savez_compressed(tmp_path / f"{k}.npz", u=values)
        for found in (read_npy(tmp_path / f"{k}.npy"), read_npz(tmp_path / f"{k}.npz", "u")):
            assert np.array_equal(found, values) and found.dtype == values.dtype
        assert npz_names(tmp_path / f"{k}.npz") == ["u"]


@pytest.mark.parametrize("text", [b"", b"\xff\xfe,a\n1,2\n", b"9" * 200_000])
def test_what_is_no_table_is_named(text, tmp_path):
    (tmp_path / "scalars.csv").write_bytes(text)
    loading = 't = "scalars.csv#a"\n'
    for act in (
        lambda: family(tmp_path),
        lambda: read_loading(written(tmp_path / "l.toml", loading)),
    ):
        with pytest.raises((BadInput, ForeignFile), match=r"scalars\.csv"):
            act()


HAS_NO_LANDLOCK = ctypes.CDLL(None).syscall(CREATE_RULESET, None, 0, 1) < 1
UNKNOWN = "unknown_format.py"  # a reader of a plugged format that follows what a file says


FOLLOWING = (
    "from pathlib import Path\n\nimport numpy as np\n\nfrom rom.io.frame import Frame\n"
    "from rom.mesh import Mesh\n\n\ndef frames(path, unit):\n"
    "    values = np.frombuffer(Path(path.read_text()).read_bytes())\n"
    "    yield Mesh(values[:, None], {}), Frame(None, {}, {})\n\n\n"
    'SUFFIXES = {".unknown": frames}\n'
)


@pytest.mark.skipif(HAS_NO_LANDLOCK, reason="this kernel has no Landlock")
def test_a_reader_that_follows_a_file_anywhere_is_stopped_by_the_kernel(places, monkeypatch):
    folder, out = places
    home = folder.parent / "readers"
    home.mkdir()
    (home / UNKNOWN).write_text(FOLLOWING)
    monkeypatch.setattr(rom.io.readers, "__path__", [*rom.io.readers.__path__, str(home)])
    shutil.copy(out / "secret.bin", folder / "own.bin")
    mesh, _, _ = read_file(written(folder / "a.unknown", "own.bin"))
    assert np.array_equal(mesh.points[:, 0], SECRET)
    with pytest.raises(ForeignFile, match="denied"):
        read_file(written(folder / "b.unknown", str(out / "secret.bin")))


IMPORTING = (
    "from pathlib import Path\n\nimport numpy as np\n\nfrom rom.io.frame import Frame\n"
    "from rom.mesh import Mesh\n\n\ndef frames(path, unit):\n"
    "    import late_module\n    import late_package\n    import late_installed\n\n"
    "    outcomes = [late_module.X, late_package.X, late_installed.X]\n"
    "    for name in path.read_text().split():\n"
    "        try:\n            Path(name).read_bytes()\n"
    "        except PermissionError:\n            outcomes.append(-1.0)\n"
    "        else:\n            outcomes.append(4.0)\n"
    "    yield Mesh(np.array(outcomes)[:, None], {}), Frame(None, {}, {})\n\n\n"
    'SUFFIXES = {".unknown": frames}\n'
)


@pytest.mark.skipif(HAS_NO_LANDLOCK, reason="this kernel has no Landlock")
def test_of_a_folder_on_the_path_of_python_modules_are_read_and_results_are_not(tmp_path):
    """As in a checkout whose folder is on the path, and holds what is none of its modules."""
    path, site, home = (tmp_path / name for name in ("checkout", "site", "checkout/build/a place"))
    for folder in (home / "in", home / "readers", path / "late_package", site / "x.dist-info"):
        folder.mkdir(parents=True)
    (home / "readers" / UNKNOWN).write_text(IMPORTING)
    (path / "late_module.py").write_text("X = 1.0\n")
    (path / "late_package" / "__init__.py").write_text("from late_package.part import X\n")
    (path / "late_package" / "part.py").write_text("X = 2.0\n")
    (site / "late_installed").mkdir()
    (site / "late_installed" / "__init__.py").write_text("X = 3.0\n")
    outside = [path / "secret", path / "build" / "secret", home / "secret"]
    for secret in outside:
        secret.write_bytes(SECRET.tobytes())
    names = ["own.txt", *(os.path.relpath(secret, home / "in") for secret in outside)]
    (home / "in" / "own.txt").touch()
    file = written(home / "in" / "a.unknown", "\n".join(names))
    code = (
        "import sys; from pathlib import Path; import rom.io.readers as readers; "
        f"readers.__path__.append({str(home / 'readers')!r}); from rom.io import read_file; "
        f"print(read_file(Path({str(file)!r}))[0].points[:, 0].tolist())"
    )
    places = os.pathsep.join(map(str, (path, site, Path(__file__).parents[2])))
    run = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": places},
        capture_output=True,
        text=True,
    )
    assert run.returncode == 0, run.stderr
    assert json.loads(run.stdout) == [1.0, 2.0, 3.0, 4.0, -1.0, -1.0, -1.0]


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
    told = run(["export", path, "--out", tmp_path / "told" / "e.npz"], folder, *TRACE, log)
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
