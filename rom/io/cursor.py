"""Numbers one after the other out of a file, as text or as bytes."""

from __future__ import annotations

import numpy as np

from rom.errors import ForeignFile


class Cursor:
    """A place in the bytes of a file; every request moves it on.

    As text all kinds of numbers stand between blanks; as bytes they have the sizes of their
    type. Raises ForeignFile where less is left than is asked for.
    """

    def __init__(self, content: bytes, name: str) -> None:
        self.content, self.name = content, name
        self.place = 0
        self.tokens: np.ndarray | None = None  # of a section of text
        self.order = "<"
        self.is_binary = False

    def line(self) -> str:
        """The next line, stripped."""
        if self.place >= len(self.content):
            raise ForeignFile(f"{self.name} is cut short; write it again")
        end = self.content.find(b"\n", self.place)
        end = len(self.content) if end < 0 else end
        text = self.content[self.place : end].decode(errors="replace").strip()
        self.place = end + 1
        return text

    def take(self, dtype: str, count: int) -> np.ndarray:
        """The next numbers; dtype : "i4", "u8", "f8" as bytes."""
        if count < 0:
            raise ForeignFile(f"{self.name} counts {count} numbers; write it again")
        if self.tokens is not None:
            part = self.tokens[self.place : self.place + count]
            self.place += count
            self._check(len(part), count)
            return part if dtype[0] == "f" else part.astype(np.int64)
        kind = np.dtype(self.order + dtype)
        left = max(len(self.content) - self.place, 0) // kind.itemsize
        self._check(left, count)
        part = np.frombuffer(self.content, kind, count, self.place)
        self.place += count * kind.itemsize
        return part.astype(float if dtype[0] == "f" else np.int64)

    def one(self, dtype: str) -> int:
        """The next whole number."""
        return int(self.take(dtype, 1)[0])

    def rows(self, dtype: str, count: int, width: int) -> np.ndarray:
        """The next numbers as rows (count, width)."""
        if count < 0 or width < 0:
            raise ForeignFile(f"{self.name} counts {count} rows; write it again")
        return self.take(dtype, count * width).reshape(count, width)

    def records(self, parts: list[tuple[str, int]], count: int) -> list[np.ndarray]:
        """The next rows, each of parts (dtype, width) one behind the other."""
        widths = [width for _, width in parts]
        if self.tokens is not None:
            whole = self.rows("f8", count, sum(widths))
            cut = np.split(whole, np.cumsum(widths)[:-1], axis=1)
            kinds = [dtype for dtype, _ in parts]
            return [
                part if kind[0] == "f" else part.astype(np.int64)
                for part, kind in zip(cut, kinds, strict=True)
            ]
        record = np.dtype(
            [(f"p{k}", self.order + dtype, (width,)) for k, (dtype, width) in enumerate(parts)]
        )
        self._check(max(len(self.content) - self.place, 0) // record.itemsize, count)
        table = np.frombuffer(self.content, record, count, self.place)
        self.place += count * record.itemsize
        return [
            table[f"p{k}"].astype(float if dtype[0] == "f" else np.int64)
            for k, (dtype, _) in enumerate(parts)
        ]

    def section(self, end: bytes) -> Cursor:
        """Numbers of text up to a mark, to which this cursor moves."""
        stop = self.content.find(end, self.place)
        if stop < 0:
            raise ForeignFile(f"{self.name} is cut short: it has no {end.decode()}")
        words = self.content[self.place : stop].split()
        self.place = stop
        part = Cursor(b"", self.name)
        try:
            part.tokens = np.array(words, dtype=np.float64)
        except ValueError as error:
            raise ForeignFile(f"{self.name} is damaged ({error}); write it again") from error
        return part

    def _check(self, left: int, count: int) -> None:
        if left < count:
            raise ForeignFile(
                f"{self.name} is cut short: {count} numbers are announced, {left} are left"
            )
