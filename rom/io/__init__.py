"""Meshes and fields in the files of other programs."""

from rom.io.result import Result

NOUNS = ("Result",)
__all__ = ["NOUNS", "Result"]
