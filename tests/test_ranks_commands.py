"""The commands on 1, 2, 3 and 4 ranks: numbers, tables and files equal those of one process."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import h5py
import numpy as np
import pytest
from parallel import on_ranks
from test_one_door import BOX, LINE, SPACE, TIMES, N, models, steady, trajectory
from typer.testing import CliRunner

from rom.archive import save_model
from rom.campaign import collect
from rom.cli.app import app
from rom.compress import pod_by_field
from rom.gp import field_gp, trajectory_gp
from rom.io import read_file
from rom.snapshots import Snapshots
from rom.space import Field, euclidean

FORMATS = ("npz", "csv", "vtkhdf", "xdmf")
TIMING = ("full_s", "online_ms", "batch_us", "speedup")
BY_ROWS = ("galerkin", "unsteady", "local", "field process", "logarithms", "two", "moves")
PLATE = euclidean(
    3 * N, fields=(Field("T", "K", np.arange(N)), Field("U", "mm", np.arange(N, 3 * N), 2))
)
CASE = '''
"""A(mu) = k K + q I on a line: on several ranks each holds some of its cells."""
import numpy as np
import scipy.sparse as sp
from test_one_door import A, BOX, F, LINE, LINEAR, MASS, N, TIMES, steady, trajectory
from rom.affine import Affine
from rom.certified import MinTheta
from rom.cli.ranks import world
from rom.problem import Problem
from rom.space import Field, Space
def top(u, mu):
    return {"top [K]": float(u[-1, -1] if u.ndim == 2 else u[-1])}
def problem(spread: bool = False, moves: bool = False) -> Problem:
    comm = world() if spread else None
    rank, ranks = (0, 1) if comm is None else (comm.Get_rank(), comm.Get_size())
    first, last = rank * N // ranks, (rank + 1) * N // ranks
    rows = np.arange(max(first - 1, 0), last)
    def share(matrix):
        local = sp.lil_array((rows.size, rows.size))
        for i, j in zip(*matrix.nonzero()):
            if first <= max(i, j) < last:
                local[i - rows[0], j - rows[0]] = matrix[i, j]
        return sp.csr_array(local)
    own = (rows >= first).astype(float)
    field = Field("T", "K", np.arange(rows.size))
    space = Space(share(A.terms[0] + A.terms[1]), rows, comm, (field,))
    def largest(u, mu):
        u = u[:, -1] if u.ndim == 2 else u
        return {"largest [K]": float(space.largest(u.max()))}
    return Problem(
        (lambda mu: trajectory(mu)[rows]) if moves else (lambda mu: steady(mu)[rows]),
        BOX, space, LINE, Affine(A.theta, [share(term) for term in A.terms]),
        Affine(F.theta, [F.terms[0][rows] * own]), M=share(MASS) if moves else None,
        times=TIMES if moves else None, stability=MinTheta(A.theta, np.ones(2)), outputs=largest,
    )
'''


def plate(mu):
    x = LINE.points[:, 0]
    U = np.column_stack([np.sin(mu[0] * x), mu[1] * x**2 + mu[0]])
    return np.concatenate([300 + np.cos(mu[1] * x), U.ravel()])


def store(folder):
    """Files of models, stores and a case, as one process writes them."""
    rng = np.random.default_rng(0)
    mus = BOX.from_unit(rng.random((8, 2)))
    others = ("coefficients", "dual-weighted")
    stored = {name: model for name, model in models().items() if name in (*BY_ROWS, *others)}
    two = Snapshots(PLATE, mus, np.stack([plate(mu) for mu in mus], axis=1))
    stored["two"] = field_gp(two, pod_by_field(two, 1e-3)[0], BOX)
    runs = np.hstack([trajectory(mu) for mu in mus])
    times = np.tile(TIMES, len(mus))
    stored["moves"] = trajectory_gp(
        Snapshots(SPACE, np.repeat(mus, len(TIMES), 0), runs, times), BOX
    )
    for name, model in stored.items():
        save_model(folder / f"{name}.h5", model, LINE)
    fresh = BOX.from_unit(np.random.default_rng(5).random((5, 2)))
    for name, solve, space, t in (
        ("steady", steady, SPACE, None),
        ("moving", trajectory, SPACE, TIMES),
        ("plate", plate, PLATE, None),
    ):
        collect(solve, fresh, folder / name, box=BOX, space=space, times=t, mesh=LINE)
    (folder / "case.py").write_text(CASE)
    (folder / "mus.csv").write_text("k,q\n.6,2\n.7,3\n.9,1.5\n")


def commands():
    """name -> options, `OUT` for the folder that they write in."""
    lines = {}
    for name in BY_ROWS:
        ask = ("predict", f"{name}.h5", "--json")
        for suffix in FORMATS if name in ("unsteady", "two") else ("npz", "vtkhdf"):
            lines[f"{name} {suffix}"] = (*ask, "--mu", ".7,2", "--out", f"OUT/{name}.{suffix}")
            table = ("--csv", "mus.csv", "--out", f"OUT/{name} table.{suffix}")
            lines[f"{name} table {suffix}"] = (*ask, *table)
        if name not in ("unsteady", "moves"):
            lines[f"{name} vtu"] = (*ask, "--mu", ".7,2", "--out", f"OUT/{name}.vtu")
        for suffix in ("npz", "csv", "vtkhdf") if name == "two" else ("vtkhdf",):
            lines[f"export {name} {suffix}"] = (
                "export", f"{name}.h5", "--out", f"OUT/{name} export.{suffix}"
            )  # fmt: skip
    lines["report"] = ("report", "two.h5", "--against", "plate", "--out", "OUT/two.html", "--json")
    lines["outputs"] = ("predict", "dual-weighted.h5", "--mu", ".7,2", "--json", "--out",
                        "OUT/outputs.csv")  # fmt: skip
    lines["no rows"] = ("predict", "coefficients.h5", "--mu", ".7,2", "--json")
    lines["one time"] = ("predict", "unsteady.h5", "--mu", ".7,2", "--t", "0.5", "--json",
                         "--out", "OUT/time.vtu")  # fmt: skip
    for name in ("moving", "plate"):
        for suffix in ("csv", "vtkhdf"):
            lines[f"store {name} {suffix}"] = ("export", name, "--out", f"OUT/{name}.{suffix}")
    for name, truth in STUDIES.items():
        lines[f"study {name}"] = ("study", f"{name}.h5", truth, "--store", truth, "--json")
    for name, moves in (("galerkin", "no"), ("unsteady", "yes")):
        for spread in ("yes", "no"):
            setting = ("--set", f"spread={spread}", "--set", f"moves={moves}")
            lines[f"case {name} {spread}"] = ("study", f"{name}.h5", "case.py", "--n", "5",
                                              *setting, "--json")  # fmt: skip
            lines[f"reduce {name} {spread}"] = (
                "reduce", "case.py", "--store", "moving" if moves == "yes" else "steady",
                "--rank", "3", *setting, "--out", f"OUT/{name} {spread}.h5", "--json",
            )  # fmt: skip
            lines[f"ask {name} {spread}"] = (
                "predict", f"OUT/{name} {spread}.h5", "--case", "case.py", "--mu", ".7,2",
                "--json", "--out", f"OUT/{name} {spread}.npz",
            )  # fmt: skip
    lines["reduce runs"] = ("reduce", "plate", "--rank", "2", "--out", "OUT/runs.h5", "--json")
    lines["ask runs"] = ("predict", "OUT/runs.h5", "--mu", ".7,2", "--json")
    lines["bad"] = ("predict", "galerkin.h5", "--mu", "7,2")
    lines["bad format"] = ("predict", "unsteady.h5", "--mu", ".7,2", "--out", "OUT/bad.vtu")
    return lines


STUDIES = {"galerkin": "steady", "unsteady": "moving", "local": "steady", "two": "plate",
           "field process": "steady", "moves": "moving"}  # fmt: skip


def run_all(folder, out):
    """(exit code, what is printed last) of every command, each rank by itself."""
    os.chdir(folder)
    sys.path.insert(0, str(Path(__file__).parent))
    Path(out).mkdir(exist_ok=True)
    said = {}
    for name, line in commands().items():
        if name.startswith("bad") and "PMI_SIZE" in os.environ:
            continue
        done = CliRunner().invoke(app, [word.replace("OUT", out) for word in line])
        said[name] = (done.exit_code, done.output)
    return said


@pytest.fixture(scope="module")
def serial(tmp_path_factory):
    folder = tmp_path_factory.mktemp("ranks")
    store(folder)
    before = Path.cwd()
    said = run_all(folder, "serial")
    os.chdir(before)
    return folder, said


@pytest.fixture(scope="module", params=[1, 2, 3, 4])
def ranks(request, serial):
    folder = serial[0]
    out = folder / f"{request.param}.json"
    return request.param, folder, json.loads(json.dumps(on_ranks(__file__, request.param, out)))


def numbers(said):
    told = json.loads(said.strip().splitlines()[-1])
    return {key: value for key, value in told.items() if key not in TIMING}


def same(one, two, where):
    if isinstance(one, dict):
        assert one.keys() == two.keys(), where
        for key in one:
            if key not in ("bytes", "sha256"):
                same(one[key], two[key], f"{where}/{key}")
    elif isinstance(one, list):
        for k, pair in enumerate(zip(one, two, strict=True)):
            same(*pair, f"{where}/{k}")
    elif isinstance(one, float):
        if "training_error" in where:  # the root of 1 less what the modes hold, to round-off
            one, two = one**2, two**2
        loose = where.startswith(("reduce", "ask", "case"))
        effectivity = "effectivity" in where
        rtol = 1e-6 if effectivity else 1e-10 if loose else 1e-11
        np.testing.assert_allclose(two, one, rtol=rtol, atol=1e-12, err_msg=where)
    else:
        assert one == two or "OUT" in str(one) or "serial/" in str(one), where


def test_tables_and_codes_equal_serial(serial, ranks):
    _, _, said = ranks
    for name, (code, text) in serial[1].items():
        if name.startswith("bad"):
            assert code == 2, text
            continue
        assert code == 0, f"{name}: {text}"
        codes = [one[name][0] for one in said]
        assert codes == [0] * len(codes), f"{name}: {[one[name] for one in said]}"
        assert not any(one[name][1] for one in said[1:]), f"{name}: only the first rank speaks"
        if text.strip():
            same(numbers(text), numbers(said[0][name][1]), name)


def arrays(path):
    """name -> numbers of a file."""
    if path.suffix == ".npz":
        with np.load(path) as file:
            return dict(file)
    if path.suffix == ".vtkhdf":
        found = {}
        with h5py.File(path) as file:
            file.visititems(lambda name, node: found.setdefault(name, node[()])
                            if isinstance(node, h5py.Dataset) else None)  # fmt: skip
        return found
    if path.suffix == ".vtu":
        _, points, cells = read_file(path)
        return {name: values for name, (values, _) in {**points, **cells}.items()}
    text = re.sub(r"</?[A-Za-z][^>]*>", " ", path.read_text())
    header, _, body = text.partition("\n") if path.suffix == ".csv" else ("", "", text)
    words = [word for word in re.split(r"[\s,]+", body) if re.fullmatch(r"[-+.\de]+", word)]
    return {"numbers": np.array(words, dtype=float), header: np.zeros(0)}


def test_files_equal_serial(ranks):
    count, folder, _ = ranks
    compared = 0
    for path in sorted((folder / "serial").iterdir()):
        if path.suffix not in (".npz", ".csv", ".vtkhdf", ".vtu", ".xdmf"):
            continue
        one, two = arrays(path), arrays(folder / f"on{count}" / path.name)
        assert one.keys() == two.keys(), path.name
        for name, values in one.items():
            scale = max(1.0, float(np.max(np.abs(values), initial=0)))
            np.testing.assert_allclose(
                two[name], values, rtol=1e-11, atol=1e-12 * scale, err_msg=f"{path.name} {name}"
            )
        compared += 1
    assert compared > 45


def mpi(folder, *words):
    """A command on two ranks."""
    mpiexec = Path(sys.executable).with_name("mpiexec")
    line = [mpiexec, "-n", "2", sys.executable, "-c", "from rom.cli.app import app; app()", *words]
    return subprocess.run(
        [*map(str, line)], cwd=folder, capture_output=True, text=True, timeout=120, check=False
    )


def test_errors_end_all_ranks_with_their_exit_code(serial):
    folder, said = serial
    for name in ("bad", "bad format"):
        assert said[name][0] == 2
        ended = mpi(folder, *(word.replace("OUT", "on2") for word in commands()[name]))
        assert ended.returncode == 2 and "error: " in ended.stderr
    whole = (folder / "galerkin.h5").read_bytes()
    (folder / "damaged.h5").write_bytes(whole[:-9] + b"x" + whole[-8:])
    ended = mpi(folder, "predict", "damaged.h5", "--mu", ".7,2")
    assert ended.returncode == 4 and ended.stderr.count("sha256") == 1


def answers():
    """What each rank says, on the first."""
    from mpi4py import MPI

    out = Path(sys.argv[1])
    comm = MPI.COMM_WORLD
    said = run_all(out.parent, f"on{comm.Get_size()}")
    everyone = comm.gather(said)
    if comm.Get_rank() == 0:
        out.write_text(json.dumps(everyone))


if __name__ == "__main__":
    answers()
