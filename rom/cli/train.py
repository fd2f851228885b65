"""`rom train SOURCE --kind KIND`: the one way to a model.

| kind | source | the same as |
|---|---|---|
| auto, projection, regression, trajectories, local | case or store | `rom reduce` |
| dmd, edmd, opinf | case or store of runs in time | `rom reduce` |
| projected | a case with rate(u, mu), which anchors opinf too | `rom reduce` |
| deim, cubature | a case with a nonlinear term | `rom reduce` |
| shapes | a folder of meshes with fields | `rom shapes train` |
| solid | a case with solid() | |
| operator | a store of runs that hold both fields, --from and --to | |

The options are those of the kind: `rom train --kind shapes --help`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Annotated, Any

import typer
from typer.main import get_command

from rom.cli import operator_training, reduce, shape_training, solid_training
from rom.cli.launch import Verbose, guard
from rom.cli.training import KINDS as KINDS_FROM_RUNS
from rom.errors import BadInput

app = typer.Typer()
COMMANDS: dict[str, Callable[[], Any]] = {
    **dict.fromkeys(KINDS_FROM_RUNS, lambda: get_command(reduce.app)),
    "shapes": lambda: _subcommand(shape_training.app, "train"),
    "solid": lambda: get_command(solid_training.app),
    "operator": lambda: get_command(operator_training.app),
}
FORWARD = {"ignore_unknown_options": True, "allow_extra_args": True, "help_option_names": []}


@app.command(
    "train",
    context_settings=FORWARD,
    options_metavar="SOURCE [--kind KIND] [OPTIONS OF THE KIND]",
    epilog="Example: rom train solver.py --kind regression --store runs --out model.h5",
)
@guard
def train_command(
    context: typer.Context,
    *,
    kind: Annotated[str, typer.Option(help=f"{', '.join(COMMANDS)}.")] = "auto",
    verbose: Verbose = False,
) -> None:
    """A model in one file, of the kind that is asked for."""
    words = [*context.args, *(["--verbose"] if verbose else [])]
    with training_context(kind, words, context) as inner:
        inner.command.invoke(inner)


def training_context(kind: str, words: Sequence[str], parent: Any = None) -> Any:
    """The command of a kind with its words parsed, not run.

    Raises BadInput for an unknown kind, and the usage errors of that command.
    """
    if kind not in COMMANDS:
        raise BadInput(f"no kind {kind!r} of models; known: {', '.join(COMMANDS)}")
    named = ["--kind", kind] if kind in KINDS_FROM_RUNS else []
    command, name = COMMANDS[kind](), f"--kind {kind}"
    return command.make_context(name, [*words, *named], parent=parent, help_option_names=["--help"])


def _subcommand(group: typer.Typer, name: str) -> Any:
    """One command of several."""
    commands: Any = get_command(group)
    return commands.commands[name]
