"""Where a file of HDF5 leads: links, virtual datasets, external storage."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from rom.errors import ForeignFile

SIGNATURE = b"\x89HDF\r\n\x1a\n"
FIRST_BLOCK = 2**9  # bytes: HDF5 begins at 0, or behind a block of this size, doubled at will


def is_hdf5(file: Path) -> bool:
    """Whether the library of HDF5 would find its signature in a file."""
    size, start = file.stat().st_size, 0
    with open(file, "rb") as raw:
        while start + len(SIGNATURE) <= size:
            raw.seek(start)
            if raw.read(len(SIGNATURE)) == SIGNATURE:
                return True
            start = 2 * start or FIRST_BLOCK
    return False


def hdf5_files(file: Path) -> list[str]:
    """Where external links, virtual datasets and external storage lead."""
    import h5py

    try:
        with h5py.File(file, "r") as content:
            return list(_links(content))
    except (OSError, RuntimeError, KeyError, TypeError, ValueError) as error:
        raise ForeignFile(
            f"{file.name} is damaged or truncated ({error}); write it again"
        ) from error


def _links(content: Any) -> Iterator[str]:
    """What leads out of an open HDF5 file, each of its groups looked at once."""
    from h5py import h5d, h5g, h5l, h5o

    left, addresses = [content.id], {h5o.get_info(content.id).addr}
    while left:
        group = left.pop()
        names: list[bytes] = []
        group.links.iterate(names.append)
        for name in names:
            kind = group.links.get_info(name).type
            if kind == h5l.TYPE_EXTERNAL:
                yield group.links.get_val(name)[0].decode(errors="surrogateescape")
            if kind != h5l.TYPE_HARD:
                continue
            node = h5o.get_info(group, name)
            if node.addr in addresses:
                continue
            addresses.add(node.addr)
            if node.type == h5o.TYPE_DATASET:
                yield from _storage(h5d.open(group, name))
            elif node.type == h5o.TYPE_GROUP:
                left.append(h5g.open(group, name))


def _storage(dataset: Any) -> Iterator[str]:
    """The files that hold the numbers of a dataset; "." is its own."""
    from h5py import h5d

    plan = dataset.get_create_plist()
    for k in range(plan.get_external_count()):
        yield plan.get_external(k)[0].decode(errors="surrogateescape")
    if plan.get_layout() == h5d.VIRTUAL:
        for k in range(plan.get_virtual_count()):
            yield plan.get_virtual_filename(k)
