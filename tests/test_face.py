"""The face: what `import rom` offers, and the examples of the chapters."""

import doctest
import importlib
import subprocess
import sys
from pathlib import Path

import pytest

import rom

ROOT = Path(__file__).parents[1]


def test_the_face_is_what_dir_shows_and_every_name_is_there():
    assert dir(rom) == sorted(rom.__all__)
    assert 40 <= len(rom.__all__) - len(rom.CHAPTERS) <= 60
    for name in rom.__all__:
        assert getattr(rom, name) is not None


def test_a_misspelt_name_lists_the_right_ones():
    with pytest.raises(AttributeError, match=r"no 'pood'; it has .*\bpod\b"):
        _ = rom.pood


def test_importing_the_package_loads_no_other_module_of_it():
    code = "import sys, rom; print([m for m in sys.modules if m.split('.')[0] in ('rom', 'numpy')])"
    said = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT
    )
    assert said.stdout.strip() == "['rom']"


def test_the_package_is_typed():
    assert (ROOT / "rom" / "py.typed").exists()


@pytest.mark.parametrize("chapter", rom.CHAPTERS)
def test_a_chapter_states_its_method_and_its_example_runs(chapter):
    face = importlib.import_module(f"rom.{chapter}")
    text = face.__doc__ or ""
    assert len(text.splitlines()) > 8 and ">>>" in text
    result = doctest.testmod(face)
    assert result.attempted >= 3 and result.failed == 0


@pytest.mark.parametrize("chapter", rom.CHAPTERS)
def test_no_module_of_a_chapter_hides_a_name_of_its_face(chapter):
    face = importlib.import_module(f"rom.{chapter}")
    modules = {path.stem for path in (ROOT / "rom" / chapter).glob("*.py")}
    assert not modules & set(face.__all__)
    for name in face.__all__:
        assert hasattr(face, name), name
