"""Bases from snapshots."""

from rom.compress.balancing import balance
from rom.compress.decomposition import pod, projection_error

__all__ = ["balance", "pod", "projection_error"]
