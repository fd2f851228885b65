"""Solvers that are programs, each run in a folder of its own.

Their input is words of the command line, or files in which parameters stand; their answer is a
.npy file of plain numbers, or a result file whose format the suffix says.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import string
import subprocess
import tempfile
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np

from rom.arrays import gate
from rom.campaign.decks import Templates, read_templates
from rom.campaign.program_answers import Read, read_array
from rom.errors import BadInput, SolveFailed
from rom.parameters import Box

LOG = "program.log"  # what it said, in the folder of its run
TAIL = 600  # bytes of the log that a message repeats
LINES = 3  # of its own sentences about a failure
COMPLAINT = re.compile(r"(?i)\b(fatal|error)\b")


@dataclass(frozen=True, eq=False)
class _Program:
    """A command, what it reads and leaves, and when it has failed."""

    words: tuple[str, ...]
    answer: str
    limit: float
    folder: str | None
    deck: Templates | None
    names: tuple[str, ...]
    read: Read
    failure: re.Pattern[str] | None

    @property
    def source(self) -> dict[str, str]:
        """File -> digest of what the program reads."""
        return {} if self.deck is None else self.deck.digests()

    def __call__(self, mu: np.ndarray) -> np.ndarray:
        """u of one run of the program, in a new folder that stays where the run fails."""
        place = Path(tempfile.mkdtemp(prefix="rom-run-", dir=self.folder))
        try:
            if self.deck is not None:
                self.deck.write(place, mu)
            u = self._run(_command(self.words, self.names, mu), place)
        except (SolveFailed, TimeoutError) as error:
            error.folder = place  # type: ignore[union-attr]
            error.add_note(f"its folder is kept: {place}")
            raise
        except BaseException:
            shutil.rmtree(place, ignore_errors=True)
            raise
        shutil.rmtree(place)
        return u

    def _run(self, command: list[str], place: Path) -> np.ndarray:
        code = _start(command, place, self.limit)
        said = self._own_sentence(place / LOG)
        if code or said:
            how = f"exit code {code}" if code >= 0 else f"killed by {signal.Signals(-code).name}"
            raise SolveFailed(f"{command[0]}: {how}; {self._last_words(place / LOG, said)}")
        path = place / self.answer
        if path.is_symlink() or not path.exists():
            raise SolveFailed(
                f"the solver left no file {path.name}; its last words: {_tail(place / LOG)}"
            )
        try:
            return self.read(path)
        except SolveFailed as error:
            raise SolveFailed(f"{error}; its last words: {_tail(place / LOG)}") from error

    def _last_words(self, log: Path, said: str) -> str:
        """What the program says of its failure, and how its log ends."""
        tail = _tail(log)
        said = said or _first_sentence(log, COMPLAINT)
        return f"its last words: {tail}" if said in tail else f"{said} ... {tail}"

    def _own_sentence(self, log: Path) -> str:
        """The lines of the log from the first that says that the run has failed, or ""."""
        return "" if self.failure is None else _first_sentence(log, self.failure)


def _first_sentence(log: Path, pattern: re.Pattern[str]) -> str:
    """The first line of a log with a pattern, and those after it; "" without one."""
    with open(log, errors="replace") as file:
        for line in file:
            if pattern.search(line):
                lines = [line, *islice(file, LINES - 1)]
                return " ".join(part.strip() for part in lines).strip()
    return ""


@gate()
def program(
    words: Sequence[str],
    answer: str,
    limit: float = 86400.0,
    folder: str | None = None,
    *,
    deck: str | Path | None = None,
    box: Box | None = None,
    read: Read | None = None,
    failure: str | None = None,
) -> Callable[[np.ndarray], np.ndarray]:
    """mu -> u of a program, run in a new folder.

    words : of its command line; {mu} stands for all parameters, {0}, {1}, ... for one, and with
        `box` {name} too
    deck : a file, or a folder, that is put there first; {{name}} and {{name:.6e}} in it are the
        parameters of `box`
    answer : the file that it leaves there; read : path -> u, as `fields_in("DISP")`; of a .npy
        file by default its array
    failure : pattern of the line of its log by which a run has failed, whatever its exit code
    limit [s] : of one run, after which it and its children are ended
    folder : where the folders are made, the system's by default
    Raises BadInput for a name that is no parameter, and for a parameter that nothing uses.
    The function raises SolveFailed with the program's own words, or TimeoutError; the folder of
    a run that failed is kept, with its log: the error names it as `folder`, and a campaign moves
    it into its store.
    """
    names = () if box is None else tuple(box.names)
    if deck is not None and box is None:
        raise BadInput("a deck names parameters; give box=, the one of the case")
    files = None if deck is None else read_templates(deck, names)
    if read is None and not answer.endswith(".npy"):
        raise BadInput(f'nothing says what of {answer} is the answer; give read=fields_in("u")')
    used = _names_in(words, names) | (set() if files is None else files.used)
    unused = [name for name in names if name not in used]
    if unused:
        raise BadInput(
            f"the program never gets {', '.join(unused)}; write {{{{{unused[0]}}}}} in its deck, "
            f"{{{unused[0]}}} on its command line, or take it out of the box"
        )
    pattern = None if failure is None else re.compile(failure)
    return _Program(tuple(words), answer, limit, folder, files, names, read or read_array, pattern)


def _names_in(words: Sequence[str], names: Sequence[str]) -> set[str]:
    """The parameters on a command line.

    Raises BadInput for a place that no parameter fills.
    """
    if "{mu}" in words:
        return set(names)
    used = set()
    for word in words:
        for _, key, _, _ in string.Formatter().parse(word):
            if key is None:
                continue
            if key.isdigit():
                used |= set(names[int(key) : int(key) + 1])
            elif names and key not in names:
                raise BadInput(
                    f"{word} on the command line is no parameter; known: {', '.join(names)}"
                )
            used.add(key)
    return used


def _command(words: Sequence[str], names: Sequence[str], mu: np.ndarray) -> list[str]:
    values = [repr(float(x)) for x in mu]
    by_name = dict(zip(names, values, strict=True)) if names else {}
    command: list[str] = []
    for word in words:
        command += values if word == "{mu}" else [word.format(*values, **by_name)]
    return command


def _start(command: list[str], place: Path, limit: float) -> int:
    """The exit code of a command; all its children are ended with it."""
    with open(place / LOG, "wb") as log:
        try:
            child = subprocess.Popen(
                command,
                cwd=place,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        except OSError as error:
            raise SolveFailed(
                f"{command[0]} cannot be started ({error.strerror}): "
                "it is not installed, or not executable"
            ) from error
        try:
            return child.wait(limit)
        except subprocess.TimeoutExpired as error:
            raise TimeoutError(f"{command[0]} gave no answer within {limit:g} s") from error
        finally:
            with suppress(ProcessLookupError):
                os.killpg(child.pid, signal.SIGKILL)
            child.wait()


def _tail(path: Path, size: int = TAIL) -> str:
    with open(path, "rb") as file:
        end = file.seek(0, os.SEEK_END)
        file.seek(max(end - size, 0))
        return file.read().decode(errors="replace").strip()
