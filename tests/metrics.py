"""Words and density of a package, read from its syntax trees; and hops of a run between files.

`make metrics` prints ours beside scikit-fem, tinygp, PyAMG and pyMOR, read from their wheels by the
same count. `tests/test_form.py` keeps the bars.
"""

from __future__ import annotations

import ast
import re
import statistics
import sys
import tempfile
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
FILLERS = {
    "found", "made", "held", "given", "kept", "asked", "known", "done", "told", "wanted", "taken",
    "laid", "seen",
}  # fmt: skip
PARTICIPLE = re.compile(
    r"^(?:[a-z_]*_)?(?:[a-z]+ed|begun|found|made|held|given|kept|shown|told|grown|drawn|written"
    r"|known|taken|seen|laid|sent|built|fitted|stood)$"
)
NOT_PARTICIPLES = {"seed", "feed", "speed", "need", "shared", "indeed", "bed", "red"}
BLOCKS = (ast.FunctionDef, ast.ClassDef, ast.If, ast.For, ast.While, ast.With, ast.Try)
BRANCHES = (
    ast.If, ast.For, ast.While, ast.IfExp, ast.ExceptHandler, ast.With, ast.Assert,
    ast.comprehension,
)  # fmt: skip
BARS = {
    "participles %": 3.0,
    "names with two homes": 0,
    "filler locals": 0,
    "lines over 100": 0,
    "first docstring lines over 80": 0,
    "nodes per statement": 11,
    "complexity over 15": 0,
    "over 5 positional": 0,
    "files in import cycles": 0,
    "undocumented %": 3.0,
}


@dataclass
class Count:
    """Figures of a package by name, and the places that each comes from."""

    figures: dict[str, float]
    places: dict[str, list[str]] = field(default_factory=dict)


def count(root: Path) -> Count:
    """The figures of the package in a folder."""
    files = sorted(root.rglob("*.py"))
    trees = {f: ast.parse(f.read_text(encoding="utf-8")) for f in files}
    places: dict[str, list[str]] = {name: [] for name in BARS}
    nodes: list[int] = []
    public = 0
    for file, tree in trees.items():
        name = str(file.relative_to(root.parent))
        for number, line in enumerate(file.read_text(encoding="utf-8").splitlines(), 1):
            if len(line) > 100:
                places["lines over 100"].append(f"{name}:{number}")
        for node in ast.walk(tree):
            if isinstance(node, ast.stmt) and not isinstance(node, BLOCKS):
                nodes.append(sum(1 for _ in ast.walk(node)))
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                public += not node.name.startswith("_")
                for kind in faults(node):
                    places[kind].append(f"{name}:{node.lineno} {node.name}")
            if isinstance(node, ast.FunctionDef | ast.ClassDef | ast.Module):
                text = ast.get_docstring(node)
                if text and len(text.splitlines()[0]) > 80:
                    line = getattr(node, "lineno", 1)
                    places["first docstring lines over 80"].append(f"{name}:{line}")
    places["names with two homes"] = two_homes(trees, root)
    places["files in import cycles"] = cycles(trees, root)
    figures = {kind: float(len(where)) for kind, where in places.items()}
    for kind in ("participles %", "undocumented %"):
        figures[kind] *= 100 / max(public, 1)
    figures["nodes per statement"] = statistics.median(nodes)
    return Count(figures, places)


def faults(function: ast.FunctionDef | ast.AsyncFunctionDef) -> Iterator[str]:
    """What a function does against the form, a name each."""
    public = not function.name.startswith("_")
    participle = PARTICIPLE.match(function.name) and function.name not in NOT_PARTICIPLES
    if public and participle:
        yield "participles %"
    if public and not ast.get_docstring(function):
        yield "undocumented %"
    args = [a.arg for a in (*function.args.posonlyargs, *function.args.args)]
    if len([a for a in args if a not in ("self", "cls")]) > 5:
        yield "over 5 positional"
    if complexity(function) > 15:
        yield "complexity over 15"
    for node in ast.walk(function):
        stored = isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)
        if stored and node.id in FILLERS:
            yield "filler locals"


def complexity(function: ast.AST) -> int:
    """Branches of a function, comprehensions and boolean operators among them."""
    number = 1
    for node in ast.walk(function):
        number += isinstance(node, BRANCHES)
        if isinstance(node, ast.BoolOp):
            number += len(node.values) - 1
        if isinstance(node, ast.comprehension):
            number += len(node.ifs)
    return number


def two_homes(trees: dict[Path, ast.Module], root: Path) -> list[str]:
    """Public functions and classes that two modules define."""
    homes: dict[str, list[str]] = {}
    for file, tree in trees.items():
        for node in tree.body:
            if isinstance(node, ast.FunctionDef | ast.ClassDef) and not node.name.startswith("_"):
                homes.setdefault(node.name, []).append(str(file.relative_to(root)))
    return [f"{name}: {', '.join(where)}" for name, where in homes.items() if len(where) > 1]


def cycles(trees: dict[Path, ast.Module], root: Path) -> list[str]:
    """Modules on a circle of imports that run when they are loaded."""
    names = {module_name(file, root): tree for file, tree in trees.items()}
    arrows = {name: set(imports_at_load(tree)) & set(names) for name, tree in names.items()}
    return [name for name in names if name in reach(name, arrows)]


def module_name(file: Path, root: Path) -> str:
    """The dotted name of a file."""
    dotted = ".".join(file.relative_to(root.parent).with_suffix("").parts)
    return dotted.removesuffix(".__init__")


def imports_at_load(tree: ast.Module) -> Iterator[str]:
    """Modules that are imported while a module loads."""
    for node in tree.body:
        if isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)


def reach(start: str, arrows: dict[str, set[str]]) -> set[str]:
    """Modules that a module leads to."""
    open_, reached = list(arrows[start]), set(arrows[start])
    while open_:
        fresh = arrows[open_.pop()] - reached
        reached |= fresh
        open_.extend(fresh)
    return reached


def hops(act: Callable[[], Any]) -> int:
    """Calls during `act` whose caller and callee lie in different files of rom/."""
    number, inside = 0, str(ROOT / "rom")

    def watch(frame: Any, event: str, _: Any) -> None:
        nonlocal number
        if event != "call" or frame.f_back is None:
            return
        here, there = frame.f_back.f_code.co_filename, frame.f_code.co_filename
        number += here != there and here.startswith(inside) and there.startswith(inside)

    sys.setprofile(watch)
    try:
        act()
    finally:
        sys.setprofile(None)
    return number


def journeys() -> dict[str, tuple[int, int]]:
    """Name -> (hops, at most) of three journeys through the package."""
    from tests.journeys import collect_runs, reduced_solid_step, train_shapes

    return {
        "collect, 16 runs": (collect_runs(), 400),
        "shapes, 12 samples": (train_shapes(), 1500),
        "one reduced step": (reduced_solid_step(), 15),
    }


def peers(folder: Path) -> Iterator[tuple[str, Count]]:
    """Name and figures of each wheel in a folder."""
    for wheel in sorted(folder.glob("*.whl")):
        with tempfile.TemporaryDirectory() as place, zipfile.ZipFile(wheel) as file:
            file.extractall(place)
            roots = [p for p in Path(place).iterdir() if (p / "__init__.py").exists()]
            for root in roots[:1]:
                yield wheel.name.split("-")[0], count(root)


def main(folder: str = "build/peers") -> int:
    """The table; the exit code is 1 where a bar of ours is missed."""
    ours = count(ROOT / "rom")
    columns = {"rom": ours.figures} | {name: c.figures for name, c in peers(Path(folder))}
    sys.stdout.write(f"{'':32}{'bar':>8}" + "".join(f"{name:>14}" for name in columns) + "\n")
    for kind, bar in BARS.items():
        row = "".join(f"{figures[kind]:14.3g}" for figures in columns.values())
        sys.stdout.write(f"{kind:32}{bar:8g}{row}\n")
    missed = [kind for kind, bar in BARS.items() if ours.figures[kind] > bar]
    for kind in missed:
        sys.stdout.write(f"\n{kind}\n  " + "\n  ".join(ours.places[kind][:40]) + "\n")
    sys.stdout.write("\nhops between files of rom/\n")
    for name, (number, bar) in journeys().items():
        sys.stdout.write(f"{name:32}{bar:8}{number:14}\n")
        missed += [name] if number > bar else []
    return 1 if missed else 0


if __name__ == "__main__":
    raise SystemExit(main(*sys.argv[1:]))
