"""Archives alike: many files of one layout, written without HDF5 after the first.

Two nouns whose arrays have the same names, types and shapes give files that differ in these
arrays alone. So the bytes between the arrays are kept from the first file, and the next one is
they and its arrays: bit for bit the file that HDF5 would write.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from rom.archive.encoding import encode
from rom.archive.files import add_arrays, write_h5, write_pieces
from rom.archive.layout import BLOCK, Extent, extents

MOST = 16  # layouts that a process keeps
MAX_GAP = 2**16  # bytes between the arrays of a file; more are no layout worth keeping


@dataclass(frozen=True, eq=False)
class Template:
    """A layout: where arrays lie, and the bytes between them, which begin at BLOCK.

    places : (name, extent) by offset; gaps : one before each array, and one after the last
    """

    places: tuple[tuple[str, Extent], ...]
    gaps: tuple[bytes, ...]

    def pieces(self, arrays: Mapping[str, Any]) -> Iterator[Any]:
        """The bytes after the block, in order."""
        for gap, (name, _) in zip(self.gaps, self.places, strict=False):
            yield gap
            yield np.ascontiguousarray(arrays[name]).reshape(-1).view(np.uint8).data
        yield self.gaps[-1]


TEMPLATES: dict[Any, Template] = {}


def save_alike(path: str | Path, noun: Any) -> tuple[str, int, Mapping[str, Extent]]:
    """noun -> the file of `save`: its sha256, bytes, and where its arrays lie.

    noun : of arrays and plain values on this rank
    Raises NotWritten where the disk refuses.
    """
    arrays = encode(noun)
    key = tuple((name, array.dtype.str, array.shape) for name, array in arrays.items())
    template = TEMPLATES.get(key)
    if template is None:
        digest = write_h5(path, partial(add_arrays, arrays=arrays))
        template = _template_of(Path(path))
        if sum(map(len, template.gaps)) <= MAX_GAP:
            for oldest in list(TEMPLATES)[: max(len(TEMPLATES) + 1 - MOST, 0)]:
                TEMPLATES.pop(oldest, None)
            TEMPLATES[key] = template
        return digest, os.path.getsize(path), dict(template.places)
    digest, size = write_pieces(path, list(template.pieces(arrays)))
    return digest, size, dict(template.places)


def _template_of(path: Path) -> Template:
    """The layout of a file that was just written."""
    with open(path, "rb") as raw:
        places = sorted(extents(raw, path).items(), key=lambda item: item[1].offset)
        places = [item for item in places if item[1].nbytes] + [
            item for item in places if not item[1].nbytes
        ]
        gaps, end = [], BLOCK
        for _, place in places:
            raw.seek(end)
            gaps.append(raw.read(max(place.offset - end, 0)) if place.nbytes else b"")
            end = place.offset + place.nbytes if place.nbytes else end
        raw.seek(end)
        gaps.append(raw.read())
    return Template(tuple(places), tuple(gaps))
