"""The command `rom`, in a process of its own or in this one."""

import json
import os
import subprocess
import sys
from pathlib import Path

from typer.testing import CliRunner

from rom.cli.app import app

ROOT = Path(__file__).parents[1]
PATHS = os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])


def words(*more):
    """The words of a shell that run `rom` of this tree."""
    return [sys.executable, "-c", "from rom.cli.app import app; app()", *map(str, more)]


def run_rom(folder, *more, code=0, seconds=120, **variables):
    """What `rom` says in a folder; its exit code must be `code`."""
    done = subprocess.run(
        words(*more),
        cwd=folder,
        env={**os.environ, "PYTHONPATH": PATHS, **variables},
        capture_output=True,
        text=True,
        timeout=seconds,
        check=False,
    )
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout + done.stderr


def rom_here(*more, code=0):
    """What `rom` says in this process and folder; its exit code must be `code`."""
    done = CliRunner().invoke(app, [str(word) for word in more])
    assert done.exit_code == code, done.output
    return done.output


def last(text):
    """The last line of JSON in a text."""
    return json.loads([line for line in text.splitlines() if line.startswith("{")][-1])
