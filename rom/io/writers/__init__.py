"""Writers, one file a format.

Each has a table SUFFIXES: end of a file's name -> function (path, mesh, fields, cell_fields).
A module may have CHECK, path -> None, which refuses what it cannot write before any work.
A file put here is a format more; nothing else names it.
"""
