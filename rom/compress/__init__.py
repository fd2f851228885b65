"""Bases from snapshots."""

from rom.compress.merge import Merging
from rom.compress.sparse import SparseSvd
from rom.compress.update import RunningPod

NOUNS = (
    "Merging",
    "RunningPod",
    "SparseSvd",
)
__all__ = ["NOUNS", "Merging", "RunningPod", "SparseSvd"]
