"""Reduced models as functional mock-up units: plain C with constant matrices, no Python inside."""

from __future__ import annotations

import platform
import shutil
import subprocess
import tempfile
import zipfile
from hashlib import sha256
from pathlib import Path
from typing import Any
from xml.sax.saxutils import quoteattr

import numpy as np

from rom.affine import Monomials
from rom.errors import BadInput, MissingExtra, NotWritten

PLATFORMS = {"Linux": ("linux64", "so"), "Darwin": ("darwin64", "dylib")}


def write_fmu(
    path: str | Path, model: Any, outputs: dict[str, tuple[np.ndarray, str]], name: str = "model"
) -> None:
    """y_k(mu) = l_k . (offset + V a(mu)) as an FMI 2.0 co-simulation unit; with the certified bound as its last output.

    model : a Galerkin model whose coefficient functions are Monomials, and whose bound, if any, has a min-theta constant
    outputs : name -> (l (n,) Euclidean weights of the state's rows, unit); inputs are the parameters, refused outside the box
    The unit holds its C source and, compiled here with `cc`, a binary for this platform. Raises BadInput for other models, names or
    weights of the wrong shape, MissingExtra without a C compiler, NotWritten. Reference: FMI 2.0.4 (Modelica Association, 2022).
    """
    path = Path(path)
    header, variables = _header(model, outputs), _variables(model, outputs)
    guid = sha256((header + variables).encode()).hexdigest()[:32]
    header += f'#define GUID "{guid}"\n'
    source = (Path(__file__).parent / "fmu.c").read_text()
    with tempfile.TemporaryDirectory() as folder:
        built = _compiled(Path(folder), source, header, name)
        try:
            with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as unit:
                unit.writestr(
                    "modelDescription.xml",
                    _description(
                        variables, len(outputs) + _bounded(model), model.box.p, guid, name
                    ),
                )
                unit.writestr("sources/fmu.c", source)
                unit.writestr("sources/model.h", header)
                unit.write(built, f"binaries/{PLATFORMS[platform.system()][0]}/{built.name}")
        except OSError as error:
            raise NotWritten(
                f"cannot write {path}: {error.strerror}; free space or choose another folder"
            ) from error


def _bounded(model: Any) -> bool:
    return model.bound is not None


def _header(model: Any, outputs: dict[str, tuple[np.ndarray, str]]) -> str:
    """model.h: every number that the unit needs."""
    if model.box is None or not all(
        isinstance(sum_.theta, Monomials) for sum_ in (model.A, model.f)
    ):
        raise BadInput(
            "an FMU needs a model with a box and Monomials as coefficient functions; others cannot be written in C"
        )
    if np.iscomplexobj(model.A.terms) or not outputs:
        raise BadInput("an FMU needs a real model and at least one output")
    modes, offset, n = (
        model.basis.modes,
        np.broadcast_to(model.basis.offset, len(model.basis.modes)),
        len(model.basis.modes),
    )
    rows, constants = [], []
    for key, (weights, _) in outputs.items():
        if np.shape(weights) != (n,):
            raise BadInput(
                f"output {key!r} has weights of shape {np.shape(weights)}; give ({n},), one per row of the state"
            )
        rows.append(weights @ modes)
        constants.append(float(weights @ offset))
    A, f, box = model.A, model.f, model.box
    sizes = {"P": box.p, "R": model.basis.r, "QA": len(A.terms), "QF": len(f.terms), "LINEAR": len(outputs),
             "OUTPUTS": len(outputs) + _bounded(model), "SHIFT": int(model.shift is not None), "K": 0}  # fmt: skip
    arrays = {"LOWER": box.lower, "UPPER": box.upper, "START": box.from_unit(np.full(box.p, 0.5)), "A_R": A.terms, "F_R": f.terms,
              "C_A": A.theta.coefficients, "P_A": A.theta.powers, "C_F": f.theta.coefficients, "P_F": f.theta.powers,
              "L_R": np.array(rows), "CONSTANT": np.array(constants)}  # fmt: skip
    if model.shift is not None:
        arrays["G_R"] = model.shift.terms
    lines = []
    if _bounded(model):
        alpha: Any = getattr(model.bound, "stability", None)
        if not hasattr(alpha, "mu_ref") or not isinstance(alpha.theta, Monomials):
            raise BadInput(
                "only a min-theta bound can be written in C; replace(model, bound=None) exports the model without it"
            )
        T = model.bound.T
        sizes |= {"K": T.shape[1], "K_ROWS": T.shape[0]}
        arrays |= {
            "T_R": T,
            "T_SIZE": np.linalg.norm(T, axis=0),
            "THETA_REF": alpha.theta(np.asarray(alpha.mu_ref, dtype=float)),
        }
        lines += [
            f"#define ALPHA {float(alpha.constant)!r}",
            f"#define GUARD {float(model.bound.guard)!r}",
        ]
    lines += [f"#define {key} {value}" for key, value in sizes.items()]
    lines.append(
        "static const char *const NAMES[] = {" + ", ".join(f'"{key}"' for key in box.names) + "};"
    )
    for key, value in arrays.items():
        lines.append(
            f"static const double {key}[] = {{{', '.join(map(repr, np.ravel(value).astype(float).tolist()))}}};"
        )
    return "\n".join(lines) + "\n"


def _variables(model: Any, outputs: dict[str, tuple[np.ndarray, str]]) -> str:
    """The <ScalarVariable> elements: parameters as inputs, then outputs, then the bound."""
    box, lines = model.box, []
    start = box.from_unit(np.full(box.p, 0.5))
    for j, (key, unit) in enumerate(zip(box.names, box.units, strict=True)):
        real = f"<Real start={quoteattr(repr(float(start[j])))} min={quoteattr(repr(float(box.lower[j])))} max={quoteattr(repr(float(box.upper[j])))}/>"
        lines.append(_variable(key, j, f"[{unit}]", "input", real))
    names = [(key, unit) for key, (_, unit) in outputs.items()] + [
        ("error_bound", "norm of the space")
    ] * _bounded(model)
    if len({key for key, _ in names} | set(box.names)) < len(names) + box.p:
        raise BadInput(
            "names of parameters and outputs must all differ, and differ from error_bound"
        )
    lines += [
        _variable(key, box.p + k, f"[{unit}]", "output", "<Real/>")
        for k, (key, unit) in enumerate(names)
    ]
    return "\n".join(lines)


def _variable(key: str, reference: int, text: str, causality: str, real: str) -> str:
    head = f"<ScalarVariable name={quoteattr(key)} valueReference={quoteattr(str(reference))} description={quoteattr(text)}"
    return f'{head} causality="{causality}" variability="continuous">{real}</ScalarVariable>'


def _description(variables: str, outputs: int, p: int, guid: str, name: str) -> str:
    unknowns = "".join(f'<Unknown index="{p + k + 1}"/>' for k in range(outputs))
    return (
        f'<?xml version="1.0" encoding="UTF-8"?>\n<fmiModelDescription fmiVersion="2.0" modelName={quoteattr(name)} guid="{guid}"'
        f' generationTool="rom-platform">\n<CoSimulation modelIdentifier={quoteattr(name)} canHandleVariableCommunicationStepSize="true">'
        f'<SourceFiles><File name="fmu.c"/></SourceFiles></CoSimulation>\n<ModelVariables>\n{variables}\n</ModelVariables>\n'
        f"<ModelStructure><Outputs>{unknowns}</Outputs><InitialUnknowns>{unknowns}</InitialUnknowns></ModelStructure>\n</fmiModelDescription>\n"
    )


def _compiled(folder: Path, source: str, header: str, name: str) -> Path:
    compiler = shutil.which("cc")
    if compiler is None or platform.system() not in PLATFORMS:
        raise MissingExtra("an FMU needs a C compiler `cc` on Linux or macOS (apt-get install gcc)")
    (folder / "fmu.c").write_text(source)
    (folder / "model.h").write_text(header)
    built = folder / f"{name}.{PLATFORMS[platform.system()][1]}"
    command = [
        compiler,
        "-O2",
        "-std=c99",
        "-shared",
        "-fPIC",
        "-fvisibility=hidden",
        "fmu.c",
        "-o",
        built.name,
        "-lm",
    ]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode:
        raise NotWritten(
            f"the C compiler refused the unit: {done.stderr.strip().splitlines()[0]}; check that {name!r} is a C identifier"
        )
    return built
