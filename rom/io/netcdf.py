"""Arrays of netCDF files: classic, of 64-bit data, and of HDF5."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from rom.errors import ForeignFile, require

CLASSIC = (b"CDF\x01", b"CDF\x02")
LARGE = b"CDF\x05"  # its sizes have 64 bits


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
        elif head == LARGE:
            require("netCDF4", "exodus", "files of netCDF of 64-bit data")
            from netCDF4 import Dataset

            self.file = Dataset(str(path))
            self.file.set_auto_maskandscale(False)
            self.file.set_auto_chartostring(False)
            self.variables = self.file.variables
        else:
            raise ForeignFile(f"{path.name} is no netCDF file; is it complete?")

    def __contains__(self, name: str) -> bool:
        return name in self.variables

    def array(self, name: str) -> np.ndarray:
        """An array, with the bytes of this machine."""
        values = np.array(self.variables[name][...])
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
