"""Parts of a campaign: which rows each job of an array solves."""

from __future__ import annotations

import re
from collections.abc import Sequence

from rom.batch.profile import Profile
from rom.errors import BadInput


def parts(rows: Sequence[int], site: Profile) -> tuple[tuple[int, ...], ...]:
    """Rows in consecutive parts of `chunk`.

    The parts are larger where the site would not queue so many.
    """
    size = max(site.chunk, -(-len(rows) // site.queued))
    starts = range(0, len(rows), size)
    return tuple(tuple(rows[k : k + size]) for k in starts)


def arrays(count: int, site: Profile) -> tuple[range, ...]:
    """`count` parts as arrays that the site accepts."""
    starts = range(0, count, site.array)
    return tuple(range(k, min(k + site.array, count)) for k in starts)


def format_rows(rows: Sequence[int]) -> str:
    """(0, 1, 2, 5) -> "0-2,5"."""
    spans: list[list[int]] = []
    for row in sorted(set(rows)):
        if spans and spans[-1][1] == row - 1:
            spans[-1][1] = row
        else:
            spans.append([row, row])
    return ",".join(f"{a}" if a == b else f"{a}-{b}" for a, b in spans)


def parse_rows(text: str, count: int) -> list[int]:
    """ "0-2,5" -> [0, 1, 2, 5].

    Raises BadInput for anything else and for rows beyond `count`.
    """
    rows: list[int] = []
    for span in text.split(","):
        match = re.fullmatch(r"\s*(\d{1,9})(?:-(\d{1,9}))?\s*", span)
        if match is None:
            raise BadInput(f"rows {text[:80]!r} are not of the form 0-2,5")
        first = int(match[1])
        last = int(match[2] or first)
        if not first <= last < count:
            raise BadInput(
                f"rows {span.strip()} lie outside the {count} rows of the table, 0..{count - 1}"
            )
        rows.extend(range(first, last + 1))
    return rows
