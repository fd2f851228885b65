"""Twenty ways in which a solver fails: recorded with the reason, the campaign goes on, and only
what can succeed is tried again.
"""

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from rom.batch.ends import failure_kind
from rom.campaign import collect, open_store, program, read, verify
from rom.errors import SolveFailed
from rom.mesh import Mesh
from rom.space import euclidean

N, MUS, BAD = 12, np.arange(1.0, 6.0)[:, None], 3.0
SPACE = euclidean(N)
HEAD = (
    "import sys, os, time\nimport numpy as np\nmu = float(sys.argv[1]); u = mu * np.arange(12.0)\n"
)
SAVE = "np.save('answer.npy', u)\n"


def exact(mu):
    return mu[0] * np.arange(12.0)


OUTSIDE = {  # what a program of its own does -> the reason that is recorded, its kind
    "exit code": (
        "sys.stderr.write('mesh is bad'); sys.exit(3)\n",
        r"exit code 3.*mesh is bad",
        "solver",
    ),
    "killed": ("os.kill(os.getpid(), 9)\n", r"killed by SIGKILL", "solver"),
    "crash": ("os.kill(os.getpid(), 11)\n", r"killed by SIGSEGV", "solver"),
    "hang": ("time.sleep(60)\n" + SAVE, r"TimeoutError.*no answer within 3 s", "transient"),
    "no file": ("pass\n", r"no file answer\.npy", "solver"),
    "half a file": (SAVE + "os.truncate('answer.npy', 150)\n", r"answer\.npy", "solver"),
    "empty file": ("open('answer.npy', 'w').close()\n", r"answer\.npy", "solver"),
    "text for numbers": ("open('answer.npy', 'w').write('done')\n", r"answer\.npy", "solver"),
    "pickle for numbers": (
        "import pickle; pickle.dump(print, open('answer.npy', 'wb'))\n",
        r"answer\.npy",
        "solver",
    ),
    "an old file": (
        "os.path.exists('answer.npy') or sys.exit(0)\n",
        r"no file answer\.npy",
        "solver",
    ),
    "stderr flood": (
        "sys.stderr.write('residual 1e3 diverges\\n' * 2000000); sys.exit(1)\n",
        r"exit code 1.*residual 1e3 diverges",
        "solver",
    ),
    "NaN": ("u[4] = np.nan\n" + SAVE, r"NaN or Inf at dof 4", "solver"),
    "Inf": ("u[5] = np.inf\n" + SAVE, r"NaN or Inf at dof 5", "solver"),
    "wrong size": ("u = u[:7]\n" + SAVE, r"shape \(7,\); this campaign needs \(12,\)", "solver"),
    "wrong mesh": (
        "u = np.append(u, 0.0)\n" + SAVE,
        r"shape \(13,\); this campaign needs \(12,\)",
        "solver",
    ),
    "integers": ("u = u.astype(int)\n" + SAVE, r"dtype int64", "solver"),
    "objects": (
        "np.save('answer.npy', np.array([None] * 12), allow_pickle=True)\n",
        r"answer\.npy",
        "solver",
    ),
    "endless children": (
        "import subprocess; subprocess.Popen(['sleep', '61', f'0.{os.getppid()}']); "
        "time.sleep(60)\n",
        r"TimeoutError",
        "transient",
    ),
}
INSIDE = {
    "diverged": (lambda: 1 / 0, r"ZeroDivisionError", "solver"),
    "residual": (
        lambda: (_ for _ in ()).throw(ArithmeticError("|R| = 1e3 after 30 steps")),
        r"\|R\| = 1e3 after 30 steps",
        "solver",
    ),
    "memory": (lambda: np.ones(2**50), r"MemoryError", "memory"),
    "missing input": (lambda: os.stat("/nonexistent/mesh"), r"FileNotFoundError.*mesh", "solver"),
    "stale file": (
        lambda: (_ for _ in ()).throw(OSError(116, "Stale file handle")),
        r"OSError.*Stale",
        "transient",
    ),
    "licence": (
        lambda: (_ for _ in ()).throw(ConnectionRefusedError("licence server")),
        r"ConnectionRefusedError: licence",
        "transient",
    ),
    "exit": (lambda: sys.exit(4), r"SystemExit: 4", "solver"),
    "recursion": (lambda: (lambda f: f(f))(lambda f: f(f)), r"RecursionError", "solver"),
}


def checked(seen, tmp_path, reason):
    ((mu, told),) = seen.failed
    assert seen.solved == len(MUS) - 1 and mu == (BAD,) and re.search(reason, told, re.DOTALL), told
    assert len(told) < 2000 and verify(tmp_path / "s") == ()
    np.testing.assert_array_equal(
        read(tmp_path / "s").u, np.column_stack([exact(mu) for mu in MUS if mu[0] != BAD])
    )
    assert collect(exact, MUS, tmp_path / "s", space=SPACE, retries=1).solved == 1


@pytest.mark.parametrize("name", OUTSIDE)
def test_a_program_that_fails_is_told_and_the_rest_goes_on(name, tmp_path):
    text, reason, kind = OUTSIDE[name]
    (tmp_path / "solver.py").write_text(
        HEAD
        + f"if mu == {BAD}:\n"
        + "".join(f"    {line}\n" for line in text.splitlines())
        + "else:\n    "
        + SAVE
    )
    limit = 3.0 if kind == "transient" else 30.0
    solve = program([sys.executable, str(tmp_path / "solver.py"), "{mu}"], "answer.npy", limit)
    seen = collect(solve, MUS, tmp_path / "s", space=SPACE)
    checked(seen, tmp_path, reason)
    assert failure_kind(seen.failed[0][1]) == kind
    left = [
        p
        for p in Path("/proc").glob("[0-9]*/cmdline")
        if f"sleep\x0061\x000.{os.getpid()}".encode() in p.read_bytes()
    ]
    assert left == []


@pytest.mark.parametrize("name", INSIDE)
def test_a_function_that_fails_is_told_and_the_rest_goes_on(name, tmp_path):
    act, reason, kind = INSIDE[name]

    def solve(mu):
        if mu[0] == BAD:
            act()
        return exact(mu)

    seen = collect(solve, MUS, tmp_path / "s", space=SPACE)
    checked(seen, tmp_path, reason)
    assert failure_kind(seen.failed[0][1]) == kind


def test_a_solver_of_another_mesh_is_refused_before_it_is_mixed(tmp_path):
    from rom.errors import BadInput

    mesh = Mesh(np.arange(N * 1.0)[:, None], {})
    collect(exact, MUS[:2], tmp_path / "s", space=SPACE, mesh=mesh)
    with pytest.raises(BadInput, match=r"holds another campaign: mesh is"):
        collect(exact, MUS, tmp_path / "s", space=SPACE, mesh=Mesh(mesh.points * 2, {}))


def test_the_same_parameters_twice_are_one_task(tmp_path):
    seen = collect(exact, MUS[[0, 1, 0, 1]], tmp_path / "s", space=SPACE)
    assert seen.solved == 2


def test_bytes_in_the_order_of_another_machine_are_the_same_numbers(tmp_path):
    collect(lambda mu: exact(mu).astype(">f8"), MUS, tmp_path / "s", space=SPACE)
    np.testing.assert_array_equal(
        read(tmp_path / "s").u, np.column_stack([exact(mu) for mu in MUS])
    )


def test_a_program_that_cannot_start_is_named(tmp_path):
    seen = collect(program(["/no/such/solver", "{mu}"], "a.npy"), MUS[:1], tmp_path / "s")
    assert (
        "SolveFailed: /no/such/solver" in seen.failed[0][1]
        and "is not installed" in seen.failed[0][1]
    )
    with pytest.raises(SolveFailed, match=r"exit code 1"):
        program(["false"], "a.npy")(np.ones(2))


def test_a_claimant_that_stands_still_loses_its_task_and_spoils_nothing(tmp_path):
    code = (
        "import sys, time, numpy as np\nfrom rom.campaign import collect\n"
        "def solve(mu):\n    open(sys.argv[1] + '.begun', 'a').write('x')\n"
        "    time.sleep(1.0)\n    return -np.ones(12)\n"
        "print(collect(solve, np.array([[1.0]]), sys.argv[1], expiry=1.0).solved)\n"
    )
    path = tmp_path / "s"
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    child = subprocess.Popen(
        [sys.executable, "-c", code, str(path)],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    deadline = time.monotonic() + 30
    while not Path(f"{path}.begun").exists() and time.monotonic() < deadline:
        time.sleep(0.01)
    child.send_signal(signal.SIGSTOP)
    begin = time.monotonic()
    assert collect(exact, np.array([[1.0]]), path, expiry=1.0).solved == 1
    assert time.monotonic() - begin > 0.5
    child.send_signal(signal.SIGCONT)
    assert child.wait(30) == 0, child.communicate()
    child.communicate()
    assert (
        len(list((path / "samples").glob("*-*.h5"))) == 1
        and list((path / "leases").iterdir()) == []
    )
    np.testing.assert_array_equal(read(path).u[:, 0], exact([1.0]))
    assert len(open_store(path).manifest.done) == 1
