"""Arrays of netCDF files, of the classic format and of HDF5."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from rom.errors import BadInput, ForeignFile

CLASSIC = (b"CDF\x01", b"CDF\x02")


class NetCdf:
    """An open file: its arrays by name, read when they are asked for."""

    def __init__(self, path: Path) -> None:
        with open(path, "rb") as raw:
            head = raw.read(4)
        self.file: Any
        self.variables: Any
        if head in CLASSIC:
            from scipy.io import netcdf_file

            self.file = netcdf_file(str(path), "r", mmap=False)
            self.variables = self.file.variables
        elif head == b"\x89HDF":
            import h5py

            self.file = h5py.File(path, "r")
            self.variables = self.file
        elif head[:3] == b"CDF":
            raise BadInput(f"{path.name} is netCDF of 64-bit data; convert it with nccopy -k nc4")
        else:
            raise ForeignFile(f"{path.name} is no netCDF file; is it complete?")

    def __contains__(self, name: str) -> bool:
        return name in self.variables

    def array(self, name: str) -> np.ndarray:
        """An array, with the bytes of this machine."""
        values = np.array(self.variables[name][()])
        return values.astype(values.dtype.newbyteorder("="))

    def row(self, name: str, k: int) -> np.ndarray:
        """Row k of an array."""
        values = np.array(self.variables[name][k])
        return values.astype(values.dtype.newbyteorder("="))

    def text(self, name: str, attribute: str) -> str:
        """An attribute of an array as text, "" where there is none."""
        variable = self.variables[name]
        attributes = getattr(variable, "attrs", None)
        value = (
            attributes.get(attribute, "")
            if attributes is not None
            else getattr(variable, attribute, "")
        )
        plain = value.tobytes() if isinstance(value, np.ndarray) else value
        return plain.decode(errors="replace") if isinstance(plain, bytes) else str(plain)
