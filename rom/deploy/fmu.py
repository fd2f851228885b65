"""Reduced models as functional mock-up units: plain C with constant matrices."""

from __future__ import annotations

import io
import platform
import shutil
import subprocess
import tempfile
import zipfile
from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np

from rom.archive.files import write_file
from rom.deploy.fmu_constants import UnitPlan, unit_plan
from rom.deploy.fmu_description import build_description, check_identifier, model_description
from rom.errors import BadInput, MissingExtra, NotWritten

SOURCES = Path(__file__).parent / "c"
VERSIONS = ("2.0", "3.0")
PLATFORMS = {  # system -> folder in FMI 2, in FMI 3 without the processor, suffix
    "Linux": ("linux64", "linux", "so"),
    "Darwin": ("darwin64", "darwin", "dylib"),
}
FLAGS = ("-O2", "-std=c99", "-shared", "-fPIC", "-fvisibility=hidden")
GUID_LENGTH = 32


def write_fmu(
    path: str | Path,
    model: Any,
    outputs: Mapping[str, tuple[np.ndarray, str]] | None = None,
    *,
    name: str = "model",
    version: str = "2.0",
) -> None:
    """y_k(mu) = l_k . (offset + V a(mu)) as a unit for co-simulation.

    model : a Galerkin model, stationary or unsteady, whose coefficient functions are Monomials; a
        regression of fields by processes, or a process of outputs
    outputs : name -> (l (n,) Euclidean weights of the state's rows, unit); a process of outputs
        has its own. Inputs are the parameters, refused outside the box, and the signal of an
        unsteady model, which holds during a step; steps are multiples of the model's own.
    A stationary model's bound, with a min-theta constant, is its last output; outputs of
    processes are followed by their deviations, NAME_std, of a new run.
    name : of the model, a C identifier; version : of FMI, "2.0" or "3.0"
    The unit holds its C source and, compiled here with `cc`, a binary for this platform.
    Raises BadInput for other models, names or weights of the wrong shape, MissingExtra without a
    C compiler, NotWritten. Reference: FMI 2.0.4, 3.0 (Modelica Association, 2022).
    """
    path = Path(path)
    check_identifier(name)
    if version not in VERSIONS:
        raise BadInput(f"no FMI {version!r}; give {' or '.join(VERSIONS)}")
    sources, plan = unit_sources(model, outputs, version)
    guid = sha256(repr((sources, plan.inputs, plan.outputs)).encode()).hexdigest()[:GUID_LENGTH]
    sources["model.h"] += f'#define GUID "{guid}"\n'
    description = model_description(plan, version, guid=guid, name=name)
    with tempfile.TemporaryDirectory() as folder:
        binary = _compile(Path(folder), sources, name)
        content = io.BytesIO()
        with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as unit:
            unit.writestr("modelDescription.xml", description)
            for file, text in sources.items():
                unit.writestr(f"sources/{file}", text)
            if version != "2.0":
                unit.writestr("sources/buildDescription.xml", build_description(name))
            unit.write(binary, f"binaries/{_platform(version)}/{binary.name}")
    write_file(path, content.getvalue())


def unit_sources(
    model: Any, outputs: Mapping[str, tuple[np.ndarray, str]] | None, version: str
) -> tuple[dict[str, str], UnitPlan]:
    """(file -> text of C, plan) of a unit; its model.h lacks the GUID."""
    plan = unit_plan(model, outputs)
    files = {"fmu.c": f"fmi{version[0]}.c", "unit.c": "unit.c", "kind.c": f"{plan.kind}.c"}
    sources = {name: (SOURCES / file).read_text() for name, file in files.items()}
    if plan.kind == "process":
        sources["process.h"] = (SOURCES / "process.h").read_text()
    return {**sources, "model.h": plan.header}, plan


def _platform(version: str) -> str:
    """The folder of this machine's binary."""
    old, new, _ = PLATFORMS[platform.system()]
    processor = {"AMD64": "x86_64", "arm64": "aarch64"}.get(platform.machine(), platform.machine())
    return old if version == "2.0" else f"{processor}-{new}"


def _compile(folder: Path, sources: Mapping[str, str], name: str) -> Path:
    """The shared library of a unit."""
    compiler = shutil.which("cc")
    if compiler is None or platform.system() not in PLATFORMS:
        raise MissingExtra("an FMU needs a C compiler `cc` on Linux or macOS (apt-get install gcc)")
    for file, text in sources.items():
        write_file(folder / file, text)
    suffix = PLATFORMS[platform.system()][-1]
    library = folder / f"{name}.{suffix}"
    command = [compiler, *FLAGS, "fmu.c", "-o", library.name, "-lm"]
    run = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    if run.returncode:
        complaint = (run.stderr.strip() or f"code {run.returncode}").splitlines()[0]
        raise NotWritten(
            f"the C compiler refused the unit: {complaint}; is there space for its files?"
        )
    return library
