"""Readers of files of other programs on mutated files, many in one confined worker:
python -m tests.faults.fuzz_files [EXECUTIONS A KIND] [SEED] [KIND ...].

A worker reads as the process of `rom.io.apart` does, but one file after the other. Where a file
ends it, `read_file` reads that file again and has to name an error; another worker goes on behind
it. A finding is an error without a name, or a reading that never ends.
"""

from __future__ import annotations

import faulthandler
import json
import mmap
import os
import re
import resource
import signal
import sys
import tempfile
import time
import zlib
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np

import rom.io.readers as readers
from rom.archive.layout import BLOCK
from rom.basis import Basis
from rom.errors import RomError
from rom.io import read_basis, read_file, write_basis, write_mesh
from rom.io.bases import basis_table
from rom.io.confinement import confine
from rom.io.frames import name_errors
from rom.io.reading_process import GROWTH, SECONDS, SPARE
from rom.io.references import check_references, home_of
from rom.io.registry import choose_by_suffix
from rom.mesh import Mesh
from rom.space import euclidean
from tests.faults.fuzz import mutated

GRAIN = 5_000  # files of a worker: what libraries leak is bounded
WALL = 60  # seconds after which a file is a finding though nothing computes
OWN = (".vtu", ".vtk", ".vtkhdf", ".xdmf", ".med", ".msh", ".inp", ".off")
SIZES = (b"900000000000", b"3000000000", b"18446744073709551615", b"-1", b"2147483648")


@dataclass(frozen=True, eq=False)
class Kind:
    """Seeds, the file that changes, what is read, and how: in the worker, and apart."""

    name: str
    seeds: list[bytes]
    file: Path
    result: Path
    read: Callable[[Path], Any]
    read_apart: Callable[[Path], Any]
    libraries: tuple[str, ...] = ()


@dataclass(eq=False)
class Tally:
    """Executions, those that ended a worker, the seconds, and what was found."""

    executions: int = 0
    ended: int = 0
    seconds: float = 0.0
    findings: list[str] = field(default_factory=list)


def declared(seed: bytes, rng: np.random.Generator) -> bytes:
    """A seed with one of its numbers as a size that no file of a few bytes holds."""
    numbers = list(re.finditer(rb"\d+", seed))
    if not numbers:
        return seed
    match = numbers[int(rng.integers(len(numbers)))]
    size = SIZES[int(rng.integers(len(SIZES)))]
    return seed[: match.start()] + size + seed[match.end() :]


def variant(kind: Kind, seed: int, k: int) -> bytes:
    """The file of execution k."""
    rng = np.random.default_rng([seed, zlib.crc32(kind.name.encode()), k])
    data = kind.seeds[int(rng.integers(len(kind.seeds)))]
    return declared(data, rng) if k % 2 else mutated(data, rng)


def fuzz_kind(kind: Kind, count: int, seed: int, grain: int = GRAIN) -> Tally:
    """Reads `count` variants of the seeds of a kind."""
    tally, start = Tally(), time.perf_counter()
    for library in kind.libraries:
        with suppress(ImportError):
            import_module(library)
    while tally.executions < count and len(tally.findings) < 20:
        end = min(tally.executions + grain, count)
        place = _work(kind, seed, range(tally.executions, end), tally)
        tally.executions = min(place + 1, end)
        if place < end:
            tally.ended += 1
            kind.file.write_bytes(variant(kind, seed, place))
            tally.findings += _finding(kind, place)
        print(kind.name, tally.executions, tally.ended, tally.findings, file=sys.stderr)
    tally.seconds = time.perf_counter() - start
    return tally


def _finding(kind: Kind, k: int) -> list[str]:
    """What is wrong with the reading of a file that ended a worker."""
    try:
        kind.read_apart(kind.result)
    except RomError:
        return []
    except BaseException as error:
        return [f"{kind.name}, execution {k}: {type(error).__name__}: {error}"[:300]]
    return []


def _work(kind: Kind, seed: int, numbers: range, tally: Tally) -> int:
    """Reads files in a worker; the execution that ended it, or the end of the range."""
    place, words = mmap.mmap(-1, 8), mmap.mmap(-1, 2**16)
    worker = os.fork()
    if worker == 0:
        with suppress(BaseException):
            _read_all(kind, seed, numbers, place, words)
        os._exit(0)
    os.waitpid(worker, 0)
    tally.findings += json.loads(words[:].rstrip(b"\0") or b"[]")
    return int.from_bytes(place[:], "little")


def _read_all(kind: Kind, seed: int, numbers: range, place: mmap.mmap, words: mmap.mmap) -> None:
    """What the worker does: it can open its folder and libraries, and write one file."""
    findings: list[str] = []
    faulthandler.disable()  # a library that ends the process is seen by who waits
    silence = os.open(os.devnull, os.O_WRONLY)
    os.dup2(silence, 1)
    os.dup2(silence, 2)
    handle = os.open(kind.file, os.O_WRONLY | os.O_CREAT)
    os.chdir(home_of(kind.result))
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    most = max(len(data) for data in kind.seeds)
    cap = pages * resource.getpagesize() + SPARE + GROWTH * most
    resource.setrlimit(resource.RLIMIT_AS, (cap, resource.RLIM_INFINITY))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    signal.signal(signal.SIGPROF, signal.SIG_DFL)
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    confine(kind.result)
    for k in numbers:
        place[:] = k.to_bytes(8, "little")
        data = variant(kind, seed, k)
        os.ftruncate(handle, 0)
        os.pwrite(handle, data, 0)
        signal.setitimer(signal.ITIMER_PROF, SECONDS)
        signal.setitimer(signal.ITIMER_REAL, WALL)
        try:
            kind.read(kind.result)
        except RomError:
            pass
        except BaseException as error:
            findings.append(f"{kind.name}, execution {k}: {type(error).__name__}: {error}"[:300])
            text = json.dumps(findings[:20]).encode()
            words[: len(text)] = text
    place[:] = numbers.stop.to_bytes(8, "little")


def read_frames_here(reader: Callable[[Path, str], Iterator[Any]], path: Path) -> None:
    """All times of a file, read in this process as the one that reads apart does."""
    with name_errors(path):
        check_references(path)
        for _ in reader(path, "m"):
            pass


def read_basis_here(path: Path) -> None:
    """The table of a basis, read in this process."""
    with name_errors(path):
        check_references(path)
        basis_table(path)


def kinds(folder: Path) -> Iterator[Kind]:
    """Every kind of file with its seeds."""
    seeds: dict[str, list[bytes]] = {}
    mesh = Mesh(np.array([[0.0, 0], [1, 0], [0, 1]]), {"triangle": np.array([[0, 1, 2]])})
    for suffix in OWN:
        fields = {} if suffix in (".inp", ".off") else {"u": (np.arange(3.0), "K")}
        whole = write_mesh(folder / f"seed{suffix}", mesh, fields).read_bytes()
        is_sealed = suffix == ".vtkhdf"  # without its seal, as other programs write it
        seeds[suffix] = [bytes(BLOCK) + whole[BLOCK:] if is_sealed else whole]
    for suffix, others in (*foreign_seeds(folder).items(), *gmsh_seeds(folder).items()):
        seeds[suffix] = seeds.get(suffix, []) + others
    for suffix, files in seeds.items():
        home = folder / suffix[1:]
        home.mkdir()
        (home / "seed.vtu").write_bytes((folder / "seed.vtu").read_bytes())
        (home / "points.bin").write_bytes((folder / "points.bin").read_bytes())
        file = home / f"a{suffix}"
        yield _kind_of_files(suffix, files, file, file)
    file = opened_case(folder / "case")
    yield _kind_of_files("OpenFOAM", [file.read_bytes()], file, folder / "case")
    (folder / "bases").mkdir()
    file = folder / "bases" / "basis"
    yield Kind("file basis", basis_seeds(folder), file, file, read_basis_here, read_basis)


def _kind_of_files(name: str, seeds: list[bytes], file: Path, result: Path) -> Kind:
    reader = choose_by_suffix(readers, result)
    libraries = getattr(sys.modules[reader.__module__], "LIBRARIES", ())
    read = partial(read_frames_here, reader)
    return Kind(f"file {name}", seeds, file, result, read, read_file, libraries)


def foreign_seeds(folder: Path) -> dict[str, list[bytes]]:
    """Suffix -> files as other programs write them."""
    from tests import foreign
    from tests.test_decks import PARTS
    from tests.test_foreign_bases import numbers
    from tests.test_nastran_files import DATA, FREE
    from tests.test_polyhedra import CORNERS, FACES, TOP, polyhedra
    from tests.test_solver_results import FRD, exodus
    from tests.test_zset_files import binary

    exodus(folder / "seed.e")
    cube = np.array([[x, y, z] for z in (0, 1) for x, y in ((0, 0), (1, 0), (1, 1), (0, 1))], float)
    cgns = foreign.cgns(folder, cube, np.arange(8)[None], {"T": np.ones(8)}, {"q": np.ones(1)})
    numbers(folder / "points.bin", np.arange(6.0))
    polyhedra(CORNERS + TOP, [FACES]).save(folder / "faces.vtu")
    return {
        ".bdf": [(DATA / "bulk_small.bdf").read_bytes(), FREE.encode()],
        ".geo": [binary(folder / "seed.geo").read_bytes()],
        ".bin": [numbers(folder / "seed.bin", np.arange(4.0)).read_bytes()],
        ".vtu": [(folder / "faces.vtu").read_bytes()],
        ".inp": [PARTS.encode()],
        **result_seeds(),
        ".frd": [FRD.encode()],
        ".e": [(folder / "seed.e").read_bytes()],
        ".cgns": [cgns.read_bytes()],
        ".pvd": [b'<VTKFile type="Collection"><Collection><DataSet timestep="0" file="seed.vtu"/>'
            b"</Collection></VTKFile>"],
    }  # fmt: skip


def result_seeds() -> dict[str, list[bytes]]:
    """A result of Ansys, where its reader is installed."""
    try:
        from ansys.mapdl.reader import examples
    except ImportError:
        return {}
    return {".rst": [Path(examples.rstfile).read_bytes()]}


def gmsh_seeds(folder: Path) -> dict[str, list[bytes]]:
    """A square of two triangles with groups and a view in all versions, where Gmsh is installed."""
    try:
        import gmsh
    except ImportError:
        return {}
    gmsh.initialize(["", "-nt", "1"], interruptible=False)
    gmsh.option.setNumber("General.Terminal", 0)
    gmsh.model.occ.addRectangle(0, 0, 0, 1, 1)
    gmsh.model.occ.synchronize()
    gmsh.model.addPhysicalGroup(2, [1], name="all")
    gmsh.option.setNumber("Mesh.MeshSizeMin", 2)
    gmsh.model.mesh.generate(2)
    seeds = []
    for version, binary in ((2.2, 0), (2.2, 1), (4.0, 0), (4.1, 0), (4.1, 1)):
        gmsh.option.setNumber("Mesh.MshFileVersion", version)
        gmsh.option.setNumber("Mesh.Binary", binary)
        gmsh.write(str(folder / "square.msh"))
        seeds.append((folder / "square.msh").read_bytes())
    gmsh.finalize()
    return {".msh": seeds}


def opened_case(folder: Path) -> Path:
    """A case of OpenFOAM without a .foam; its list of faces, which is what changes."""
    from tests.test_blocks import foam

    foam(folder).unlink()
    return folder / "constant" / "polyMesh" / "faces"


def basis_seeds(folder: Path) -> list[bytes]:
    """A basis as libROM, pyLOM and Twin Builder write it."""
    basis = Basis(euclidean(4), np.eye(4)[:, :2], s=np.array([2.0, 1.0]))
    seeds = []
    for name, kind in (("b.000000", "libROM"), ("b.h5", "pyLOM"), ("b.svd", "Twin Builder")):
        seeds.append(write_basis(folder / name, basis, kind).read_bytes())
    return seeds


def fuzz_files(count: int, seed: int, only: tuple[str, ...] = ()) -> Iterator[tuple[str, Tally]]:
    """Kind after kind with what came of it; of `only`, suffixes or words, where some are given."""
    shared = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=shared if shared.is_dir() else None) as place:
        for kind in kinds(Path(place)):
            if not only or kind.name.removeprefix("file ") in only:
                yield kind.name, fuzz_kind(kind, count, seed)


if __name__ == "__main__":
    words = sys.argv[1:]
    total = int(words[0]) if words else 200_000
    found = 0
    for name, tally in fuzz_files(total, int(words[1]) if len(words) > 1 else 0, tuple(words[2:])):
        found += len(tally.findings)
        print(f"{name:14s} {tally.executions} executions in {tally.seconds:.0f} s, {tally.ended} "
            f"ended the worker, {len(tally.findings)} findings", *tally.findings[:5],
            sep="\n    " if tally.findings else " ", flush=True)  # fmt: skip
    sys.exit(found > 0)
