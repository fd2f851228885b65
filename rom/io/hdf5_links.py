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
    import h5py

    left, addresses = [content], {h5py.h5o.get_info(content.id).addr}
    while left:
        group = left.pop()
        for name in group:
            link = group.get(name, getlink=True)
            if isinstance(link, h5py.ExternalLink):
                yield link.filename
            if not isinstance(link, h5py.HardLink):
                continue
            node = group[name]
            address = h5py.h5o.get_info(node.id).addr
            if address in addresses:
                continue
            addresses.add(address)
            if isinstance(node, h5py.Dataset):
                yield from _storage(node)
            elif isinstance(node, h5py.Group):
                left.append(node)


def _storage(dataset: Any) -> Iterator[str]:
    """The files that hold the numbers of a dataset; "." is its own."""
    plan = dataset.id.get_create_plist()
    for k in range(plan.get_external_count()):
        yield plan.get_external(k)[0].decode(errors="surrogateescape")
    if dataset.is_virtual:
        yield from (source.file_name for source in dataset.virtual_sources())
