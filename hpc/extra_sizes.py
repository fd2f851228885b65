"""Megabytes of a fresh environment with the package, and with each of its extras.

    python -m hpc.extra_sizes [EXTRA ...]

Each is installed into a folder of its own, which is deleted afterwards, at the versions of
constraints.txt. `torch` is left out unless it is named: it takes gigabytes; `petsc` compiles.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[1]
LEFT_OUT = ("torch", "petsc", "all", "docs", "dev")
LIMIT = 1000  # MB


def extras() -> list[str]:
    """The extras of a user, without torch."""
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    named = tomllib.loads(text)["project"]["optional-dependencies"]
    return [name for name in named if name not in LEFT_OUT]


def megabytes(extra: str) -> float:
    """Size of an environment with the package and an extra, "" for none."""
    target = f"{ROOT}[{extra}]" if extra else str(ROOT)
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "pip", "install", "-q", "--target", folder]
        versions = ["-c", str(ROOT / "constraints.txt")]
        subprocess.run([*command, "--disable-pip-version-check", *versions, target], check=True)
        files = [path for path in Path(folder).rglob("*") if path.is_file()]
        if (Path(folder) / "torch").is_dir() and extra != "torch":
            raise SystemExit(f"[{extra}] pulls torch")
        return sum(path.stat().st_size for path in files) / 1e6


def main(names: list[str]) -> int:
    """A line for each; 1 where one is over the limit."""
    is_over = False
    for name in names or ["", *extras()]:
        size = megabytes(name)
        is_over |= size > LIMIT and name != "torch"
        print(f"{name or 'core':8} {size:6.0f} MB", flush=True)
    return int(is_over)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
