"""Arrays by name in a .npz file, rows of several ranks block by block."""

from __future__ import annotations

import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from rom.archive.files import durably
from rom.rows import Rows, send_all


def write_npz(path: str | Path, arrays: Mapping[str, Any], *, root: bool = True) -> Path:
    """Arrays by name as a whole .npz or none; raises as `durably`.

    A rank that is not the `root` only hands out its rows.
    """
    if not root:
        send_all(arrays.values())
        return Path(path)

    def write(temp: Path) -> None:
        with zipfile.ZipFile(temp, "w", allowZip64=True) as archive:
            for name, values in arrays.items():
                with archive.open(f"{name}.npy", "w", force_zip64=True) as file:
                    _write_array(file, values)

    durably(Path(path), write)
    return Path(path)


def _write_array(file: Any, values: Any) -> None:
    if not isinstance(values, Rows):
        np.lib.format.write_array(file, np.asarray(values), allow_pickle=False)
        return
    header = {
        "descr": np.lib.format.dtype_to_descr(values.dtype),
        "fortran_order": False,
        "shape": values.shape,
    }
    np.lib.format.write_array_header_2_0(file, header)
    for _, block in values.blocks():
        file.write(np.ascontiguousarray(block).data)
