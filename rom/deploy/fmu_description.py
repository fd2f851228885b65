"""modelDescription.xml of a unit."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any
from xml.sax.saxutils import quoteattr

import numpy as np

from rom.errors import BadInput

MAX_TEXT = 256  # characters
BOUND = "error_bound"  # name of the last output of a certified model
TEMPLATE = (
    '<?xml version="1.0" encoding="UTF-8"?>\n'
    '<fmiModelDescription fmiVersion="2.0" modelName={name} guid="{guid}"'
    ' generationTool="rom-platform">\n'
    '<CoSimulation modelIdentifier={name} canHandleVariableCommunicationStepSize="true">'
    '<SourceFiles><File name="fmu.c"/></SourceFiles></CoSimulation>\n'
    "<ModelVariables>\n{variables}\n</ModelVariables>\n"
    "<ModelStructure><Outputs>{unknowns}</Outputs>"
    "<InitialUnknowns>{unknowns}</InitialUnknowns></ModelStructure>\n"
    "</fmiModelDescription>\n"
)


def model_description(elements: str, n_outputs: int, p: int, *, guid: str, name: str) -> str:
    """The whole description; elements : of the p inputs and then n_outputs outputs."""
    unknowns = "".join(f'<Unknown index="{p + k + 1}"/>' for k in range(n_outputs))
    quoted = quoteattr(name)
    return TEMPLATE.format(name=quoted, guid=guid, variables=elements, unknowns=unknowns)


def check_identifier(name: str) -> None:
    """BadInput unless a unit's name, which files have too, is an identifier of C."""
    if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]{0,63}", name):
        raise BadInput(
            f"{name!r} is no name of a unit; give a C identifier: letters, digits and _, 64 at most"
        )


def check_text(text: str) -> None:
    """BadInput where the name or unit of a variable cannot stand in XML."""
    if not text.isprintable() or len(text) > MAX_TEXT:
        raise BadInput(
            f"{text[:MAX_TEXT]!r} is no name or unit of a variable; give at most {MAX_TEXT} "
            "printable characters"
        )


def variables(model: Any, outputs: Mapping[str, tuple[np.ndarray, str]]) -> str:
    """The <ScalarVariable> elements: parameters as inputs, outputs, then the bound.

    Raises BadInput where two names are the same.
    """
    box = model.box
    units = {key: unit for key, (_, unit) in outputs.items()}
    names = [*box.names, *units, *([] if model.bound is None else [BOUND])]
    if len(set(names)) < len(names):
        raise BadInput(
            "names of parameters and outputs must all differ, and differ from error_bound"
        )
    for text in (*names, *box.units, *units.values()):
        check_text(text)
    lines = list(_inputs(box))
    if model.bound is not None:
        units[BOUND] = "norm of the space"
    for k, (key, unit) in enumerate(units.items(), box.p):
        lines.append(_variable(key, k, f"[{unit}]", "output", "<Real/>"))
    return "\n".join(lines)


def _inputs(box: Any) -> Iterable[str]:
    start = box.from_unit(np.full(box.p, 0.5))
    for j, (key, unit) in enumerate(zip(box.names, box.units, strict=True)):
        values = {"start": start[j], "min": box.lower[j], "max": box.upper[j]}
        attributes = [f"{name}={quoteattr(repr(float(v)))}" for name, v in values.items()]
        yield _variable(key, j, f"[{unit}]", "input", f"<Real {' '.join(attributes)}/>")


def _variable(key: str, reference: int, text: str, causality: str, real: str) -> str:
    name, number, description = quoteattr(key), quoteattr(str(reference)), quoteattr(text)
    head = f"<ScalarVariable name={name} valueReference={number} description={description}"
    return f'{head} causality="{causality}" variability="continuous">{real}</ScalarVariable>'
