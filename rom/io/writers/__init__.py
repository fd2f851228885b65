"""Writers, one file a format.

Each has a table SUFFIXES: end of a file's name -> function (path, mesh, fields, cell_fields).
A file put here is a format more; nothing else names it.
"""
