"""Every notebook runs from top to bottom, and so does the first script of the README."""

import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from test_shapes import plates, written

ROOT = Path(__file__).parents[1]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.py"))


def call(folder, *command):
    """stdout of a script run in a folder, with the checkout importable."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [*map(str, command)],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_notebook_runs(path, tmp_path):
    text = path.read_text()
    assert "# %% [markdown]" in text and "assert " in text, (
        "a notebook explains, and checks what it says"
    )
    assert call(tmp_path, sys.executable, path).strip()


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_notebook_converts(path):
    import jupytext

    kinds = [cell.cell_type for cell in jupytext.read(path).cells]
    assert kinds.count("markdown") >= 3 and kinds.count("code") >= 3


def blocks(language):
    """Code blocks of the README in a language."""
    return re.findall(rf"```{language}\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)


def test_first_script_of_the_readme_runs(tmp_path):
    script = blocks("python")[0]
    lines = [line for line in script.splitlines() if line.strip()]
    assert len(lines) <= 20 and "cases" not in script
    (tmp_path / "first.py").write_text(script)
    said = call(tmp_path, sys.executable, "first.py")
    modes, error = re.fullmatch(
        r"(\d+) modes, relative error (\S+) at an unseen parameter\n", said
    ).groups()
    assert int(modes) == 3 and 0 < float(error) < 1e-5


def test_solver_in_the_readme_is_the_one_that_runs():
    own = (ROOT / "cases" / "own_solver.py").read_text().split('"""')[2].strip()
    assert blocks("python")[1].strip() == own


def test_commands_of_the_readme_run(tmp_path):
    (tmp_path / "own_solver.py").write_text((ROOT / "cases" / "own_solver.py").read_text())
    written(tmp_path / "plates", plates(12, 0))
    shutil.copy(
        written(tmp_path / "plates_test", plates(4, 1)) / "plate_01.vtu", tmp_path / "new.vtu"
    )
    commands = [
        line for block in blocks("sh") for line in block.splitlines() if line.startswith("rom ")
    ]
    assert {line.split()[1] for line in commands} >= {
        "collect",
        "reduce",
        "predict",
        "study",
        "inspect",
        "export",
    }
    for line in commands:
        call(tmp_path, Path(sys.executable).parent / "rom", *shlex.split(line, comments=True)[1:])


def test_pictures_of_the_readme_are_there_and_small():
    pictures = re.findall(r"!\[[^\]]*\]\(([^)]+)\)", (ROOT / "README.md").read_text())
    assert pictures
    for picture in pictures:
        assert (ROOT / picture).read_bytes()[:4] == b"\x89PNG" and (
            ROOT / picture
        ).stat().st_size < 200_000
