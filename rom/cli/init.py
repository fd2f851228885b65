"""`rom init`: a commented case to start from, which runs as it is."""

from __future__ import annotations

import sys
from importlib.resources import files
from pathlib import Path
from typing import Annotated

import typer

from rom.cli.launch import Verbose, guard
from rom.cli.targets import check_suffix_of
from rom.errors import BadInput

KINDS = ("function", "transient", "program", "affine", "files")
HEAD = "COMMANDS:\n"
app = typer.Typer()


def case_text(kind: str, name: str) -> str:
    """The text of a case of a kind, whose file is called name.py. Raises BadInput."""
    if kind not in KINDS:
        raise BadInput(f"no kind {kind!r}; known: {', '.join(KINDS)}")
    text = files("rom.cli").joinpath("templates", f"{kind}.txt").read_text(encoding="utf-8")
    return text.replace("NAME", name)


def commands_of(text: str) -> list[str]:
    """The commands that a case names, from the first to a picture."""
    return text.partition(HEAD)[2].partition('"""')[0].splitlines()


@app.command("init", epilog="Example: rom init wall.py --kind transient")
@guard
def init_command(
    file: Annotated[Path, typer.Argument(help="The .py file to write; it must not exist.")],
    *,
    kind: Annotated[str, typer.Option(help=f"{', '.join(KINDS)}.")] = "function",
    verbose: Verbose = False,
) -> None:
    """A commented case to put your own solver into; it runs as it is.

    Prints the commands that lead from it to a picture of a model's answer.
    """
    check_suffix_of(file, (".py",))
    if file.exists():
        raise BadInput(f"{file} exists; give another name, or move it away")
    text = case_text(kind, file.stem)
    file.write_text(text.replace(HEAD, ""), encoding="utf-8")
    sys.stdout.write(f"{file} is written; change it to your solver, then:\n")
    sys.stdout.write("".join(f"{line}\n" for line in commands_of(text)))
