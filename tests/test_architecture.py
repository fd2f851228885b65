"""The rules of the house, kept by reading the syntax trees: who imports whom, what is heavy, what is banned."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FILES = sorted((ROOT / "rom").rglob("*.py"))
NOUNS = {
    "space",
    "mesh",
    "parameters",
    "snapshots",
    "basis",
    "affine",
    "rule",
    "problem",
    "morphing",
    "model",
    "errors",
    "states",
    "loading",
    "history",
    "result",
    "reduction",
}
# root files and folders that compose verbs
COMPOSITIONS = {"cli", "launch", "case", "shipped", "pipeline", "hyper", "calibration"}
COMPOSED = {"shapes", "batch", "commands"}
# heavy library -> the only places in rom/ that may import it, inside functions
HOMES = {
    "h5py": {"collect"}, "sklearn": {"compress", "regress"}, "kmedoids": {"compress"}, "torch": {"regress", "evolve"},
    "gpytorch": {"regress", "evolve"}, "meshio": {"export"}, "pyvista": {"export"}, "vtkmodules": {"export"}, "vtk": {"export"},
    "matplotlib": {"export"}, "Muscat": {"export"}, "mapdl_archive": {"export"},
    "mpi4py": {"launch"}, "pydantic": {"case", "submit"}, "rich": {"launch", "collect"},
    "qtoolkit": {"submit"},
    "skfem": set(), "gmsh": set(), "pyamg": set(), "ngsolve": set(),
}  # fmt: skip
# verb -> verb, with the reason; empty would be best
ALLOWED = {("export/files.py", "rom.collect.archive"): "HDF5 has one home and one writer, and VTKHDF is HDF5"}
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


def verb(name):
    """The verb folder of a file or dotted module, or None for a root file or a composition."""
    return folder(name) if folder(name) not in COMPOSED else None


def folder(name):
    """The folder of a file or dotted module, or None for a root file."""
    parts = name.removeprefix("rom.").replace("/", ".").removesuffix(".py").split(".")
    return parts[0] if (ROOT / "rom" / parts[0]).is_dir() else None


def test_the_trees_are_read():
    assert len(FILES) > 20 and ("rom.collect.archive", True) in imports("export/files.py")


@pytest.mark.parametrize("name", [n for n in names if folder(n) is None and Path(n).stem != "__init__"])
def test_root_files_are_nouns_or_compositions(name):
    stem = Path(name).stem
    assert stem in NOUNS | COMPOSITIONS, f"{name} is neither noun nor composition; say which in this test"
    if stem in NOUNS:
        ours = {m for m, _ in imports(name) if m.split(".")[0] == "rom"}
        assert all(m.removeprefix("rom.").split(".")[0] in NOUNS for m in ours), f"the noun {name} imports a verb: {ours}"


@pytest.mark.parametrize("name", [n for n in names if verb(n) is not None])
def test_verbs_import_nouns_and_themselves(name):
    for module, _ in imports(name):
        if module.split(".")[0] != "rom" or (name, module) in ALLOWED:
            continue
        other = verb(module)
        assert other in (None, verb(name)), f"{name} imports {module}: verbs meet in cases, cli and root compositions only"
        if other is None and module != "rom":
            assert module.split(".")[1] in NOUNS, f"{name} imports the composition {module}"


@pytest.mark.parametrize("name", [n for n in names if folder(n) in COMPOSED - {"commands"}])
def test_what_scripts_compose_does_not_know_the_command_line(name):
    ours = {m for m, _ in imports(name)}
    assert not any(m == "rom.cli" or folder(m) in COMPOSED - {folder(name)} for m in ours), f"{name} imports {sorted(ours)}"


def test_every_exception_is_still_needed():
    for (name, module), reason in ALLOWED.items():
        assert module in {m for m, _ in imports(name)} and reason


@pytest.mark.parametrize("name", names)
def test_rom_knows_no_solver_and_no_case(name):
    assert not {m.split(".")[0] for m, _ in imports(name)} & {"solvers", "cases", "hpc", "notebooks", "tests"}


@pytest.mark.parametrize("name", names)
def test_heavy_libraries_are_late_and_at_home(name):
    home = verb(name) or Path(name).stem
    for module, late in imports(name):
        top = module.split(".")[0]
        if top in HOMES:
            assert late, f"{name} imports {top} at the top; import it inside the function that needs it"
            assert home in HOMES[top], f"{name} imports {top}, whose home is {HOMES[top] or 'outside rom'}"


@pytest.mark.parametrize("name", names)
def test_nothing_banned(name):
    assert Path(name).stem not in BANNED_FILES
    assert not {m.split(".")[0] for m, _ in imports(name)} & BANNED_MODULES
    for node in ast.walk(tree(name)):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            assert node.func.id not in BANNED_CALLS, f"{name}:{node.lineno} calls {node.func.id}"
        if isinstance(node, ast.keyword) and node.arg == "allow_pickle":
            assert isinstance(node.value, ast.Constant) and node.value.value is False, f"{name}:{node.value.lineno} allows pickle"
        if isinstance(node, ast.ClassDef):
            assert not node.name.endswith(BANNED_SUFFIXES), f"{name}:{node.lineno} class {node.name}"


@pytest.mark.parametrize("name", names)
def test_public_things_are_defined_in_words(name):
    top = tree(name)
    assert ast.get_docstring(top), f"{name} has no docstring"
    for node in top.body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef) and not node.name.startswith("_"):
            assert ast.get_docstring(node), f"{name}:{node.lineno} {node.name} has no docstring"


@pytest.mark.parametrize("module", ["rom", "rom.cli", "rom.launch", "rom.pipeline"])
def test_import_loads_nothing_heavy(module):
    code = f"import sys, {module}; print(sorted({set(HOMES) - {'rich', 'pydantic'}!r} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.strip() == "[]"


def test_only_rom_is_installed():
    text = (ROOT / "pyproject.toml").read_text()
    assert 'include = ["rom*"]' in text and 'rom = "rom.cli:app"' in text
