"""Units of measured fields, and their factors to SI."""

from __future__ import annotations

import numpy as np

from rom.arrays import array_of, gate
from rom.errors import BadInput

# unit -> (kind, factor to SI); temperatures differ by a shift and are not converted
UNITS = {
    "m": ("length", 1.0), "mm": ("length", 1e-3), "um": ("length", 1e-6),
    "Pa": ("stress", 1.0), "kPa": ("stress", 1e3), "MPa": ("stress", 1e6),
    "GPa": ("stress", 1e9), "N/mm2": ("stress", 1e6), "K": ("temperature", 1.0),
    "s": ("time", 1.0), "1": ("number", 1.0), "": ("number", 1.0), "%": ("number", 1e-2),
}  # fmt: skip
NO_UNIT = ("", 0.0)


@gate(values=array_of("()", "(n,)", "(n, c)", "(n, c, m)", most=np.inf, empty=True))
def convert(values: np.ndarray, theirs: str, wanted: str, what: str) -> np.ndarray:
    """Values in unit `theirs` as values in unit `wanted`; `what` : their name.

    Raises BadInput where the kinds differ, or where the file names no unit though one is wanted.
    """
    values = np.asarray(values, dtype=float)
    if theirs == wanted:
        return values
    kind, factor = UNITS.get(theirs, NO_UNIT)
    wanted_kind, wanted_factor = UNITS.get(wanted, NO_UNIT)
    if not kind or kind != wanted_kind:
        raise BadInput(
            f"{what} is in {theirs or 'no unit'!r}, not in {wanted!r}; "
            "rename the field in the file, or ask for its own unit"
        )
    return values * (factor / wanted_factor)
