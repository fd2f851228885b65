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
from rom.deploy.fmu_constants import constants_header
from rom.deploy.fmu_description import check_identifier, model_description, variables
from rom.errors import MissingExtra, NotWritten

SOURCE = Path(__file__).parent / "fmu.c"
PLATFORMS = {"Linux": ("linux64", "so"), "Darwin": ("darwin64", "dylib")}
FLAGS = ("-O2", "-std=c99", "-shared", "-fPIC", "-fvisibility=hidden")
GUID_LENGTH = 32


def write_fmu(
    path: str | Path,
    model: Any,
    outputs: Mapping[str, tuple[np.ndarray, str]],
    *,
    name: str = "model",
) -> None:
    """y_k(mu) = l_k . (offset + V a(mu)) as an FMI 2.0 co-simulation unit.

    model : a Galerkin model whose coefficient functions are Monomials; its bound, if any, has a
        min-theta constant and is the last output of the unit
    outputs : name -> (l (n,) Euclidean weights of the state's rows, unit); inputs are the
        parameters, refused outside the box
    name : of the model, a C identifier
    The unit holds its C source and, compiled here with `cc`, a binary for this platform.
    Raises BadInput for other models, names or weights of the wrong shape, MissingExtra without a
    C compiler, NotWritten. Reference: FMI 2.0.4 (Modelica Association, 2022).
    """
    path = Path(path)
    check_identifier(name)
    header = constants_header(model, outputs)
    elements = variables(model, outputs)
    guid = sha256((header + elements).encode()).hexdigest()[:GUID_LENGTH]
    header += f'#define GUID "{guid}"\n'
    source = SOURCE.read_text()
    n_outputs = len(outputs) + (model.bound is not None)
    description = model_description(elements, n_outputs, model.box.p, guid=guid, name=name)
    with tempfile.TemporaryDirectory() as folder:
        binary = _compile(Path(folder), source, header, name)
        place = f"binaries/{PLATFORMS[platform.system()][0]}/{binary.name}"
        content = io.BytesIO()
        with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as unit:
            unit.writestr("modelDescription.xml", description)
            unit.writestr("sources/fmu.c", source)
            unit.writestr("sources/model.h", header)
            unit.write(binary, place)
    write_file(path, content.getvalue())


def _compile(folder: Path, source: str, header: str, name: str) -> Path:
    """The shared library of a unit."""
    compiler = shutil.which("cc")
    if compiler is None or platform.system() not in PLATFORMS:
        raise MissingExtra("an FMU needs a C compiler `cc` on Linux or macOS (apt-get install gcc)")
    write_file(folder / "fmu.c", source)
    write_file(folder / "model.h", header)
    suffix = PLATFORMS[platform.system()][1]
    library = folder / f"{name}.{suffix}"
    command = [compiler, *FLAGS, "fmu.c", "-o", library.name, "-lm"]
    run = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    if run.returncode:
        complaint = (run.stderr.strip() or f"code {run.returncode}").splitlines()[0]
        raise NotWritten(
            f"the C compiler refused the unit: {complaint}; is there space for its files?"
        )
    return library
