"""The rules of the house, kept by reading the syntax trees.

Who imports whom, what is heavy, what is banned.
"""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FILES = sorted((ROOT / "rom").rglob("*.py"))
NOUNS = {
    "space", "mesh", "parameters", "snapshots", "basis", "affine", "rule", "problem", "model",
    "prediction",
    "history", "loading", "bands", "brief", "arrays", "errors", "rows", "host",
}  # fmt: skip
# chapter -> its floor: a chapter imports lower floors, and those of its own floor in EDGES only
FLOORS = {
    "archive": 1,
    "compress": 2, "points": 2, "io": 2, "design": 2,
    "campaign": 3, "certified": 3, "local": 3, "solids": 3, "gp": 3, "shapes": 3,
    "operators": 3, "dynamics": 3, "decide": 3,
    "study": 4, "plot": 4, "deploy": 4, "batch": 4,
    "cli": 5,
}  # fmt: skip
# chapter -> chapter of the same floor, with the reason
EDGES = {
    ("shapes", "gp"): "coefficients over shapes are Gaussian processes",
    ("operators", "gp"): "operators are kernels of coordinates of fields",
    ("dynamics", "certified"): "laws of an affine problem carry its residual bound",
    ("decide", "gp"): "the error of a process is in its joint draws",
    ("solids", "local"): "local solids are chosen by the classifier of local bases",
    ("study", "plot"): "a report draws its curves",
}
# a noun's method -> the chapter that serves it, imported when it is asked
SERVED = {("prediction.py", "rom.io.answers")}
# heavy library -> the only places in rom/ that may import it, inside functions
HOMES = {
    "h5py": {"archive", "io"}, "sklearn": {"local", "gp"}, "kmedoids": {"local"},
    "torch": {"gp", "operators"}, "gpytorch": {"gp"}, "meshio": {"io"}, "pyvista": {"io", "plot"},
    "vtkmodules": {"io"},
    "vtk": {"io"}, "matplotlib": {"plot", "study"}, "Muscat": {"io"}, "mapdl_archive": {"io"},
    "ansys": {"io"},
    "medcoupling": {"io"},
    "netCDF4": {"io"},
    "mpi4py": {"cli"}, "pydantic": {"cli", "batch"}, "pydantic_core": {"io"},
    "rich": {"cli", "campaign"}, "qtoolkit": {"batch"},
    "skfem": set(), "gmsh": set(), "pyamg": set(), "ngsolve": set(),
}  # fmt: skip
BANNED_MODULES = {"pickle", "cPickle", "dill", "cloudpickle", "joblib", "shelve", "marshal"}
BANNED_CALLS = {"eval", "exec", "print", "breakpoint"}
BANNED_SUFFIXES = ("Manager", "Factory", "Handler", "Engine", "Base", "Mixin", "Wrapper", "Utils")
BANNED_FILES = {"utils", "helpers", "misc", "common", "tools"}
names = [str(f.relative_to(ROOT / "rom")) for f in FILES]


def tree(name):
    return ast.parse((ROOT / "rom" / name).read_text())


def imports(name):
    """(module, whether inside a function or under TYPE_CHECKING) of every import in a file."""
    found = []

    def walk(node, late):
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.Import):
                found.extend((alias.name, late) for alias in child.names)
            elif isinstance(child, ast.ImportFrom):
                assert child.level == 0, f"{name}: relative import"
                module = child.module or ""
                deeper = [
                    f"{module}.{a.name}"
                    for a in child.names
                    if (ROOT / f"{module}.{a.name}".replace(".", "/")).with_suffix(".py").exists()
                ]
                found.extend((m, late) for m in deeper or [module])
            walk(child, late or isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef))

    walk(tree(name), False)
    return found


def chapter(name):
    """The chapter of a file or dotted module, or None for a root file."""
    parts = name.removeprefix("rom.").replace("/", ".").removesuffix(".py").split(".")
    return parts[0] if (ROOT / "rom" / parts[0]).is_dir() else None


def ours(name):
    """The modules of rom that a file imports."""
    return {m for m, _ in imports(name) if m.split(".")[0] == "rom" and m != "rom"}


def test_the_trees_are_read():
    assert len(FILES) > 20 and ("rom.archive.nouns", True) in imports("io/writers/vtkhdf.py")


@pytest.mark.parametrize("name", [n for n in names if chapter(n) is None and n != "__init__.py"])
def test_root_files_are_nouns_and_import_nouns(name):
    assert Path(name).stem in NOUNS, f"{name} is no noun; it belongs in a chapter"
    verbs = {m for m in ours(name) if m.removeprefix("rom.").split(".")[0] not in NOUNS}
    verbs -= {module for noun, module in SERVED if noun == name}
    assert not verbs, f"the noun {name} imports {verbs}"


@pytest.mark.parametrize("name", [n for n in names if chapter(n) is not None])
def test_chapters_import_lower_floors(name):
    mine = chapter(name)
    for module in ours(name):
        other = chapter(module)
        if other in (None, mine) or (mine, other) in EDGES:
            continue
        assert FLOORS[other] < FLOORS[mine], f"{name} imports {module}: chapters do not meet"


def test_every_edge_is_still_needed():
    used = {(chapter(name), chapter(module)) for name in names for module in ours(name)}
    assert set(EDGES) <= used and all(EDGES.values())


@pytest.mark.parametrize("name", names)
def test_rom_knows_no_solver_and_no_case(name):
    assert not {m.split(".")[0] for m, _ in imports(name)} & {
        "solvers",
        "cases",
        "hpc",
        "notebooks",
        "tests",
    }


@pytest.mark.parametrize("name", names)
def test_heavy_libraries_are_late_and_at_home(name):
    home = chapter(name) or Path(name).stem
    for module, late in imports(name):
        top = module.split(".")[0]
        if top in HOMES:
            assert late, (
                f"{name} imports {top} at the top; import it inside the function that needs it"
            )
            assert home in HOMES[top], (
                f"{name} imports {top}, whose home is {HOMES[top] or 'outside rom'}"
            )


@pytest.mark.parametrize("name", names)
def test_nothing_banned(name):
    assert Path(name).stem not in BANNED_FILES
    assert not {m.split(".")[0] for m, _ in imports(name)} & BANNED_MODULES
    for node in ast.walk(tree(name)):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            assert node.func.id not in BANNED_CALLS, f"{name}:{node.lineno} calls {node.func.id}"
        if isinstance(node, ast.keyword) and node.arg == "allow_pickle":
            assert isinstance(node.value, ast.Constant) and node.value.value is False, (
                f"{name}:{node.value.lineno} allows pickle"
            )
        if isinstance(node, ast.ClassDef):
            assert not node.name.endswith(BANNED_SUFFIXES), (
                f"{name}:{node.lineno} class {node.name}"
            )


@pytest.mark.parametrize("name", names)
def test_public_things_are_defined_in_words(name):
    top = tree(name)
    assert ast.get_docstring(top), f"{name} has no docstring"
    for node in top.body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef) and not node.name.startswith("_"):
            assert ast.get_docstring(node), f"{name}:{node.lineno} {node.name} has no docstring"


@pytest.mark.parametrize("module", ["rom", "rom.cli.app", "rom.cli.launch", "rom.certified.models"])
def test_import_loads_nothing_heavy(module):
    code = (
        f"import sys, {module}; print(sorted({set(HOMES) - {'rich', 'pydantic'}!r} & "
        "set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout.strip() == "[]"


def test_commands_load_no_method_before_they_need_it():
    floors = [name for name, floor in FLOORS.items() if floor == 3 and name != "campaign"]
    methods = tuple(f"rom.{name}" for name in floors)
    code = f"import sys, rom.cli.app; print([m for m in sys.modules if m.startswith({methods!r})])"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout.strip() == "[]"


def test_only_rom_is_installed():
    text = (ROOT / "pyproject.toml").read_text()
    assert 'include = ["rom*"]' in text and 'rom = "rom.cli.app:app"' in text
