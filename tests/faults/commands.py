"""Many commands in one process: python commands.py WORDS.json, a JSON list of lists of words.

The file NUMBER.begin, which is not there, is opened before each command, so that strace tells
them apart. Stdout gets a line of JSON per command: exit code, and all that it said.
"""

from __future__ import annotations

import contextlib
import io
import json
import sys
from pathlib import Path

from rom.cli.app import app
from rom.cli.launch import exit_code
from rom.io import read_loading


def run(words: list[str]) -> tuple[int, str]:
    """Exit code, and what a command writes to stdout and stderr."""
    text = io.StringIO()
    with contextlib.redirect_stdout(text), contextlib.redirect_stderr(text):
        try:
            if words[0] == "loading":
                read_loading(words[1])
            else:
                app(words)
        except SystemExit as end:
            return int(end.code or 0), text.getvalue()
        except Exception as error:
            return exit_code(error), f"{text.getvalue()}{type(error).__name__}: {error}"
    return 0, text.getvalue()


if __name__ == "__main__":
    for number, words in enumerate(json.loads(Path(sys.argv[1]).read_text())):
        with contextlib.suppress(OSError), open(f"{number}.begin"):
            pass
        sys.stdout.write(json.dumps(run(words)) + "\n")
        sys.stdout.flush()
