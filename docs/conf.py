"""The site: pages of docs/, and the reference from the faces of the package."""

from __future__ import annotations

import importlib
import re
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

import rom

project = "rom-platform"
author = "the rom-platform developers"
release = version = rom.__version__
extensions = ["sphinx.ext.autodoc", "myst_parser"]
html_theme = "pydata_sphinx_theme"
html_title = "rom-platform"
html_show_sourcelink = False
html_theme_options = {"show_toc_level": 2, "navigation_with_keys": False}
html_sidebars = {"index": []}
myst_enable_extensions = ["dollarmath", "colon_fence"]
suppress_warnings = ["myst.header", "myst.xref_missing"]
autodoc_typehints = "none"
autodoc_member_order = "bysource"
autodoc_mock_imports: list[str] = []
nitpicky = False

HERE = Path(__file__).parent
SPECIAL = re.compile(r"([\\*`|_])")


def escape(line: str) -> str:
    """A line of plain text in which nothing is markup."""
    return SPECIAL.sub(r"\\\1", line)


def paragraphs(lines: list[str]) -> list[list[str]]:
    """Runs of lines that no blank line parts."""
    runs: list[list[str]] = [[]]
    for line in lines:
        if line.strip():
            runs[-1].append(line)
        elif runs[-1]:
            runs.append([])
    return [run for run in runs if run]


def as_plain_text(
    app: Any, what: str, name: str, thing: Any, options: Any, lines: list[str]
) -> None:
    """Docstrings are plain text: examples become code, everything else lines as they are."""
    text: list[str] = []
    for number, run in enumerate(paragraphs(list(lines))):
        if run[0].lstrip().startswith(">>>") or run[0].startswith("    "):
            text += [".. code-block:: python", "", *("    " + line for line in run), ""]
        elif number == 0:
            text += [escape(" ".join(line.strip() for line in run)), ""]
        else:
            text += [f"| {escape(line)}" for line in run] + [""]
    lines[:] = text


def write_reference() -> None:
    """One page for the face of the package, and one for the face of each chapter."""
    folder = HERE / "reference"
    folder.mkdir(exist_ok=True)
    names = [name for name in rom.__all__ if name not in rom.CHAPTERS and name != "__version__"]
    page(folder / "rom.rst", "rom", names)
    for chapter in rom.CHAPTERS:
        face = importlib.import_module(f"rom.{chapter}")
        page(folder / f"{chapter}.rst", f"rom.{chapter}", [n for n in face.__all__ if n != "NOUNS"])


def page(path: Path, module: str, names: list[str]) -> None:
    """The reference of the public names of a module."""
    face = importlib.import_module(module)
    lines = [module, "=" * len(module), "", f".. automodule:: {module}", "   :no-members:", ""]
    for name in names:
        thing = getattr(face, name)
        home = f"{thing.__module__}.{name}" if hasattr(thing, "__module__") else f"{module}.{name}"
        kind = "autoclass" if isinstance(thing, type) else "autofunction"
        if not callable(thing):
            kind = "autodata"
        index = "" if module != "rom" else "   :no-index:\n"
        members = "   :members:\n" if kind == "autoclass" and module != "rom" else ""
        lines += [f".. {kind}:: {home}", index + members]
    text = "\n".join(lines) + "\n"
    if not path.exists() or path.read_text() != text:
        path.write_text(text)


def setup(app: Any) -> None:
    """Called by Sphinx before it reads pages."""
    app.connect("autodoc-process-docstring", as_plain_text)
    write_reference()
