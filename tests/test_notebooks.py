"""Every notebook runs from top to bottom."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

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


def test_pictures_of_the_readme_are_there_and_small():
    pictures = re.findall(r"!\[[^\]]*\]\(([^)]+)\)", (ROOT / "README.md").read_text())
    assert pictures
    for picture in pictures:
        assert (ROOT / picture).read_bytes()[:4] == b"\x89PNG" and (
            ROOT / picture
        ).stat().st_size < 200_000
