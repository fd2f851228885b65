"""The cases of docs/solvers.md, run by commands."""

import json
import re
import shutil

from tests.command_line import ROOT, run_rom

PAGE = ROOT / "docs" / "solvers.md"
DECKS = ROOT / "docs" / "solvers"


def block(word):
    """The case of the page that needs this program or package."""
    texts = re.findall(r"```python\n(# needs .*?)```", PAGE.read_text(), re.DOTALL)
    (text,) = [text for text in texts if word in text.splitlines()[0].split()]
    return text


def lay_out(word, folder):
    """The case and the decks of the page in a folder."""
    shutil.copy(DECKS / "plate" / "plate.inp", folder)
    shutil.copytree(DECKS / "cavity", folder / "cavity")
    for path in (DECKS / "kratos").iterdir():
        shutil.copy(path, folder)
    (folder / "own.py").write_text(block(word))


def study_numbers(word, folder):
    """Numbers of a surrogate of 8 runs at 4 others."""
    lay_out(word, folder)
    run_rom(folder, "collect", "own.py", "--n", 8, seconds=300)
    run_rom(folder, "reduce", "own.py", seconds=300)
    said = run_rom(folder, "study", "own.rom.h5", "own.py", "--n", 4, "--json", seconds=300)
    return json.loads(said.splitlines()[-1])
