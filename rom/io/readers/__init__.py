"""Readers, one file a format.

Each has a table SUFFIXES: end of a file's name -> function (path, unit) -> iterator of a mesh
and a `Frame` per time. A file put here is a format more; nothing else names it. What it opens
is looked at before, and it
runs in a process of its own (`rom.io.apart`), which imports its LIBRARIES once for all files.
"""
