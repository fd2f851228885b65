"""Readers of files of other programs on mutated files, many in one confined worker:
python -m tests.faults.fuzz_files [EXECUTIONS A KIND] [SEED] [KIND ...].

A worker reads as the process of `rom.io.apart` does, but one file after the other, and a part of
its time for each. Where a file ends it, a copy of a process that has the libraries goes on behind
it. One in twenty of these files, of each signal, is read again by `read_file`, with all of the
time, which has to name an error. A finding is an error without a name, or a reading that waits.
"""

from __future__ import annotations

import faulthandler
import gc
import json
import mmap
import multiprocessing
import os
import re
import resource
import signal
import sys
import tempfile
import time
import zlib
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cache, partial
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
SLOW = SECONDS / 25  # of the processor, after which a worker ends
AGAIN = 20  # one in so many files that ended a worker is read again
WALL = 60  # seconds after which a file is a finding though nothing computes
OWN = (".vtu", ".vtk", ".vtkhdf", ".xdmf", ".med", ".msh", ".inp", ".off")
SIZES = (b"900000000000", b"3000000000", b"18446744073709551615", b"-1", b"2147483648")
PACKED = tuple(
    size.to_bytes(width, order, signed=True)
    for size, width in ((-1, 4), (2**31 - 1, 4), (10**9, 4), (-1, 8), (2**62, 8), (10**12, 8))
    for order in ("little", "big")
)


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
    numbers = _numbers(seed)
    if b"\0" in seed and (not numbers or rng.random() < 0.5):  # packed, in place
        place = 4 * int(rng.integers(len(seed) // 4))
        size = PACKED[int(rng.integers(len(PACKED)))]
        return seed[:place] + size + seed[place + len(size) :]
    if not numbers:
        return seed
    start, end = numbers[int(rng.integers(len(numbers)))]
    size = SIZES[int(rng.integers(len(SIZES)))]
    return seed[:start] + size + seed[end:]


@cache
def _numbers(seed: bytes) -> list[tuple[int, int]]:
    """Where the numbers of a text stand."""
    return [match.span() for match in re.finditer(rb"\d+", seed)]


def variant(kind: Kind, seed: int, k: int) -> bytes:
    """The file of execution k."""
    rng = np.random.default_rng([seed, zlib.crc32(kind.name.encode()), k])
    data = kind.seeds[int(rng.integers(len(kind.seeds)))]
    return declared(data, rng) if k % 2 else mutated(data, rng)


def fuzz_kind(kind: Kind, count: int, seed: int, grain: int = GRAIN) -> Tally:
    """Reads `count` variants of the seeds of a kind."""
    tally, start = Tally(), time.perf_counter()
    while tally.executions < count and len(tally.findings) < 20:
        numbers = range(tally.executions, min(tally.executions + grain, count))
        findings, ended = _nursed(kind, seed, numbers)
        tally.executions, tally.ended = numbers.stop, tally.ended + len(ended)
        tally.findings += findings
        tally.findings += [
            f"{kind.name}, execution {k}: waits without end"
            for k, number in ended
            if number == signal.SIGALRM
        ]
        for number in {number for _, number in ended} - {signal.SIGALRM}:
            for k in [k for k, other in ended if other == number][::AGAIN]:
                kind.file.write_bytes(variant(kind, seed, k))
                tally.findings += _finding(kind, k)
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


def _nursed(kind: Kind, seed: int, numbers: range) -> tuple[list[str], list[tuple[int, int]]]:
    """Findings, and the executions that ended a worker with the signals that did."""
    ours, theirs = os.pipe()
    nurse = os.fork()
    if nurse == 0:
        os.close(ours)
        with suppress(BaseException):
            answer = json.dumps(_nurse(kind, seed, numbers)).encode()
            with open(theirs, "wb") as stream:
                stream.write(answer)
        os._exit(0)
    os.close(theirs)
    with open(ours, "rb") as stream:
        text = stream.read()
    os.waitpid(nurse, 0)
    findings, ended = json.loads(text)
    return findings, [(k, number) for k, number in ended]


def _nurse(kind: Kind, seed: int, numbers: range) -> tuple[list[str], list[tuple[int, int]]]:
    """Loads libraries and confines itself once; copies of it read, each until one ends."""
    for library in kind.libraries:
        with suppress(ImportError):
            import_module(library)
    faulthandler.disable()  # a library that ends the process is seen by who waits
    silence = os.open(os.devnull, os.O_WRONLY)
    os.dup2(silence, 1)
    os.dup2(silence, 2)
    handle = os.open(kind.file, os.O_WRONLY | os.O_CREAT)
    os.chdir(home_of(kind.result))
    with suppress(BaseException):  # what a first reading loads
        os.pwrite(handle, kind.seeds[0], 0)
        kind.read(kind.result)
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    most = max(len(data) for data in kind.seeds)
    cap = pages * resource.getpagesize() + SPARE + GROWTH * most
    resource.setrlimit(resource.RLIMIT_AS, (cap, resource.RLIM_INFINITY))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    signal.signal(signal.SIGPROF, signal.SIG_DFL)
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    confine(kind.result)
    gc.freeze()
    place, words = mmap.mmap(-1, 8), mmap.mmap(-1, 2**16)
    ended, k = [], numbers.start
    while k < numbers.stop:
        worker = os.fork()
        if worker == 0:
            with suppress(BaseException):
                _read_all(kind, seed, range(k, numbers.stop), handle, place, words)
            os._exit(0)
        number = -os.waitstatus_to_exitcode(os.waitpid(worker, 0)[1])
        k = int.from_bytes(place[:], "little")
        if k < numbers.stop:
            ended.append((k, number))
            k += 1
    return json.loads(words[:].rstrip(b"\0") or b"[]"), ended


def _read_all(
    kind: Kind, seed: int, numbers: range, handle: int, place: mmap.mmap, words: mmap.mmap
) -> None:
    """What a worker does: it writes variants into one file, and reads it."""
    findings: list[str] = json.loads(words[:].rstrip(b"\0") or b"[]")
    for k in numbers:
        place[:] = k.to_bytes(8, "little")
        data = variant(kind, seed, k)
        os.ftruncate(handle, 0)
        os.pwrite(handle, data, 0)
        signal.setitimer(signal.ITIMER_PROF, SLOW)
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


def kinds(folder: Path) -> list[Kind]:
    """Every kind of file with its seeds, which another process makes: copies of this are cheap."""
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=context) as pool:
        return pool.submit(_kinds, folder).result()


def _kinds(folder: Path) -> list[Kind]:
    seeds: dict[str, list[bytes]] = {}
    whole: list[Kind] = []
    mesh = Mesh(np.array([[0.0, 0], [1, 0], [0, 1]]), {"triangle": np.array([[0, 1, 2]])})
    for suffix in OWN:
        fields = {} if suffix in (".inp", ".off") else {"u": (np.arange(3.0), "K")}
        data = write_mesh(folder / f"seed{suffix}", mesh, fields).read_bytes()
        is_sealed = suffix == ".vtkhdf"  # without its seal, as other programs write it
        seeds[suffix] = [bytes(BLOCK) + data[BLOCK:] if is_sealed else data]
    for suffix, others in (*foreign_seeds(folder).items(), *gmsh_seeds(folder).items()):
        seeds[suffix] = seeds.get(suffix, []) + others
    for suffix, files in seeds.items():
        home = folder / suffix[1:]
        home.mkdir()
        (home / "seed.vtu").write_bytes((folder / "seed.vtu").read_bytes())
        (home / "points.bin").write_bytes((folder / "points.bin").read_bytes())
        file = home / f"a{suffix}"
        whole.append(_kind_of_files(suffix, files, file, file))
    file = opened_case(folder / "case")
    whole.append(_kind_of_files("OpenFOAM", [file.read_bytes()], file, folder / "case"))
    (folder / "bases").mkdir()
    file = folder / "bases" / "basis"
    basis = Kind("file basis", basis_seeds(folder), file, file, read_basis_here, read_basis)
    return [*whole, basis]


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
