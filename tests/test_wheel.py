"""A wheel is enough: README's commands, and each kind of `rom init`, in a venv of the wheel."""

import os
import re
import shlex
import shutil
import site
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from test_shapes import plates, written

from rom.cli.init import KINDS, case_text, commands_of
from tests.test_ingest_runs import transient_plates

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()
SMALLER = (("--n 32", "--n 12"), ("--n 10", "--n 3"), ("--n 16", "--n 8"))


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """The bin folder of a venv with the wheel; what it depends on comes from this one."""
    folder = tmp_path_factory.mktemp("wheel")
    source = shutil.copytree(ROOT / "rom", folder / "source" / "rom").parent
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    pip = [sys.executable, "-m", "pip", "-q", "--disable-pip-version-check"]
    build = ["wheel", "--no-deps", "--no-build-isolation", "-w", str(folder), str(source)]
    clean = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    subprocess.run([*pip, *build], check=True, capture_output=True, timeout=300, env=clean)
    venv = folder / "venv"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(venv)], check=True)
    (path,) = folder.glob("*.whl")
    python = venv / "bin" / "python"
    install = ["--python", str(python), "install", "--no-deps", "--no-index", str(path)]
    subprocess.run([*pip, *install], check=True, capture_output=True, timeout=300, env=clean)
    (own,) = venv.glob("lib/python*/site-packages")
    (own / "theirs.pth").write_text("\n".join(site.getsitepackages()) + "\n")
    return venv / "bin"


def call(folder, *command):
    """stdout of a command run in a folder, where nothing of the checkout is importable."""
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    done = subprocess.run(
        [*map(str, command)],
        cwd=folder, env=environment, capture_output=True, text=True, timeout=300,
    )  # fmt: skip
    assert done.returncode == 0, f"{command}\n{done.stdout}{done.stderr}"
    return done.stdout


def blocks(language):
    """Code blocks of the README in a language."""
    return re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL)


def test_the_wheel_holds_the_package_alone(wheel, tmp_path):
    code = (
        "import importlib.util as u, rom; print(rom.__file__); "
        "print([n for n in ('cases', 'solvers', 'hpc', 'tests') if u.find_spec(n)])"
    )
    place, others = call(tmp_path, wheel / "python", "-c", code).splitlines()
    assert Path(place).is_relative_to(wheel.parent) and others == "[]"
    assert call(tmp_path, wheel / "rom", "--version").startswith("rom-platform ")
    names = zipfile.ZipFile(next(wheel.parents[1].glob("*.whl"))).namelist()
    assert {f"rom/cli/templates/{kind}.txt" for kind in KINDS} <= set(names)


def test_completion_is_offered(wheel, tmp_path):
    text = call(tmp_path, wheel / "rom", "--help")
    assert "--install-completion" in text and "--show-completion" in text


def test_first_script_of_the_readme_runs(wheel, tmp_path):
    script = blocks("python")[0]
    lines = [line for line in script.splitlines() if line.strip()]
    assert len(lines) <= 20 and "cases" not in script
    (tmp_path / "first.py").write_text(script)
    said = call(tmp_path, wheel / "python", "first.py")
    modes, error = re.fullmatch(
        r"(\d+) modes, relative error (\S+) at an unseen parameter\n", said
    ).groups()
    assert int(modes) == 3 and 0 < float(error) < 1e-5


def test_solver_in_the_readme_is_the_one_that_runs():
    own = (ROOT / "cases" / "own_solver.py").read_text().split('"""')[2].strip()
    assert blocks("python")[1].strip() == own


def test_commands_of_the_readme_run(wheel, tmp_path):
    (tmp_path / "own_solver.py").write_text(blocks("python")[1])
    written(tmp_path / "plates", plates(12, 0))
    transient_plates(tmp_path)
    shutil.copy(
        written(tmp_path / "plates_test", plates(4, 1)) / "plate_01.vtu", tmp_path / "new.vtu"
    )
    commands = [
        line for block in blocks("sh") for line in block.splitlines() if line.startswith("rom ")
    ]
    verbs = {line.split()[1] for line in commands}
    assert verbs >= {"init", "collect", "reduce", "predict", "study", "inspect", "export"}
    for line in commands:
        call(tmp_path, wheel / "rom", *shlex.split(line, comments=True)[1:])


OWN = """
import sys
from pathlib import Path

path = Path(sys.argv[1])
text = path.read_text()
begin, end = text.index("def solve"), text.index("def outputs")
own = "def solve(mu):\\n    return 300.0 + mu[1] * np.exp(-x / mu[0])\\n\\n\\n"
path.write_text(text[:begin] + own + text[end:])
"""


def test_an_empty_folder_leads_to_a_picture_of_one_s_own_solver(wheel, tmp_path):
    """The lines of the README, in one shell; pip finds the wheel, its needs lie in this venv."""
    lines = next(block for block in blocks("sh") if "mkdir" in block).splitlines()
    assert len(lines) <= 12
    (tmp_path / "editor.py").write_text(OWN)
    needs = tmp_path / "needs.pth"
    needs.write_text("\n".join(site.getsitepackages()) + "\n")
    after = lines.index("pip install 'rom-platform[view]'") + 1
    script = [*lines[:after], f"cp '{needs}' .venv/lib/python*/site-packages/", *lines[after:]]
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    environment |= {
        "PATH": f"{Path(sys.executable).parent}:{environment['PATH']}",
        "EDITOR": f"{sys.executable} ../editor.py",
        "PIP_NO_INDEX": "1", "PIP_NO_DEPS": "1", "PIP_FIND_LINKS": wheel.parents[1].as_uri(),
    }  # fmt: skip
    end = subprocess.run(
        ["bash", "-e", "-c", "\n".join(script)],
        cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=600,
    )  # fmt: skip
    assert end.returncode == 0, end.stdout + end.stderr
    assert (tmp_path / "wall" / "wall.png").read_bytes()[:4] == b"\x89PNG"
    assert "np.exp" in (tmp_path / "wall" / "wall.py").read_text()


@pytest.mark.parametrize(
    "kind",
    [kind if kind == "function" else pytest.param(kind, marks=pytest.mark.slow) for kind in KINDS],
)
def test_a_case_of_each_kind_runs_from_collect_to_view(kind, wheel, tmp_path):
    said = call(tmp_path, wheel / "rom", "init", "mine.py", "--kind", kind)
    commands = commands_of(case_text(kind, "mine"))
    assert said.splitlines()[1:] == commands
    assert [line.split()[1] for line in commands] == ["collect", "reduce", "study", "view"]
    for line in commands:
        for more, fewer in SMALLER:
            line = line.replace(more, fewer)
        call(tmp_path, wheel / "rom", *shlex.split(line)[1:])
    assert (tmp_path / "mine.png").read_bytes()[:4] == b"\x89PNG"


def test_init_overwrites_nothing(wheel, tmp_path):
    (tmp_path / "mine.py").write_text("mine\n")
    done = subprocess.run(
        [wheel / "rom", "init", "mine.py"], cwd=tmp_path, capture_output=True, text=True
    )
    assert done.returncode == 2 and "mine.py exists" in done.stderr
    assert (tmp_path / "mine.py").read_text() == "mine\n"
