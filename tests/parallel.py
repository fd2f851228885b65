"""The same answers on several ranks.

a test file started by mpiexec, what it answered, and how that is compared.
"""

import json
import subprocess
import sys
from pathlib import Path


def on_ranks(file, ranks, out):
    """What `answers` of a test file gives on so many ranks.

    The file ends with `written(answers)` where it is run.
    """
    command = [
        str(Path(sys.executable).with_name("mpiexec")),
        "-n",
        str(ranks),
        sys.executable,
        "-m",
        "mpi4py",
        file,
        str(out),
    ]
    done = subprocess.run(
        command,
        capture_output=True,
        text=True,
        timeout=240,
        cwd=Path(__file__).parents[1],
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(out.read_text())


def written(answers):
    """Rank 0 writes what all ranks answer together."""
    from mpi4py import MPI

    result = answers(MPI.COMM_WORLD)
    if MPI.COMM_WORLD.Get_rank() == 0:
        Path(sys.argv[1]).write_text(json.dumps(result))


def compare(one, two, close, where=""):
    """close(found, expected, where) of every leaf of two nested answers."""
    if isinstance(one, dict):
        assert one.keys() == two.keys()
        for key in one:
            compare(one[key], two[key], close, f"{where}/{key}")
    else:
        close(two, one, where)
