"""The files that a case is made of, by digest: its own and what it imports."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

from rom.campaign.identity import short_digest


def source_digests(file: Path, module: str | None = None) -> dict[str, str]:
    """File below the root -> digest, of a Python file and what it imports.

    module : dotted name of the file; its root is the folder of its first package, else that of
        the file. Installed packages and this one are no part of a case.
    """
    depth = 0 if module is None else module.count(".")
    root = file.resolve().parents[depth]
    pending, digests = [file.resolve()], {}
    while pending:
        path = pending.pop()
        name = path.relative_to(root).as_posix()
        if name in digests:
            continue
        content = path.read_bytes()
        digests[name] = short_digest(content)
        pending += _imports_beside(content, path, root)
    return dict(sorted(digests.items()))


def _imports_beside(content: bytes, path: Path, root: Path) -> Iterator[Path]:
    """The files below the root that a Python file imports."""
    for node in ast.walk(ast.parse(content)):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names = _from_names(node, path, root)
        else:
            continue
        for name in names:
            if name.split(".")[0] != "rom":
                yield from _files_of(root, name)


def _from_names(node: ast.ImportFrom, path: Path, root: Path) -> list[str]:
    """Dotted names of a `from a import b`: a, and a.b that may be a module."""
    base = node.module or ""
    if node.level:
        package = path.parents[node.level - 1].relative_to(root).parts
        base = ".".join((*package, base)).strip(".")
    return [base, *(f"{base}.{alias.name}".strip(".") for alias in node.names)]


def _files_of(root: Path, name: str) -> Iterator[Path]:
    """The files of a dotted name below the root: its packages and itself."""
    parts = name.split(".")
    for k in range(1, len(parts) + 1):
        place = root.joinpath(*parts[:k])
        for candidate in (place.with_suffix(".py"), place / "__init__.py"):
            if candidate.is_file():
                yield candidate
