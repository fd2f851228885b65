"""modelDescription.xml of a unit, of FMI 2.0 and 3.0."""

from __future__ import annotations

import re
from collections.abc import Iterator
from xml.sax.saxutils import quoteattr

from rom.deploy.fmu_constants import UnitPlan, Variable
from rom.errors import BadInput

MAX_TEXT = 256  # characters
TOOL = "rom-platform"


def model_description(plan: UnitPlan, version: str, *, guid: str, name: str) -> str:
    """The whole description. Raises BadInput for names that it cannot hold."""
    _check_names(plan)
    units = sorted({variable.unit for variable in (*plan.inputs, *plan.outputs)})
    defined = "".join(f"<Unit name={quoteattr(unit)}/>" for unit in units)
    body = _body_2 if version == "2.0" else _body_3
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{body(plan, defined, guid, name)}'


def build_description(name: str) -> str:
    """How to compile the source of a unit of FMI 3.0."""
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\n<fmiBuildDescription fmiVersion="3.0">'
        f"<BuildConfiguration modelIdentifier={quoteattr(name)}>"
        '<SourceFileSet language="C99"><SourceFile name="fmu.c"/></SourceFileSet>'
        "</BuildConfiguration></fmiBuildDescription>\n"
    )


def _check_names(plan: UnitPlan) -> None:
    names = [variable.name for variable in (*plan.inputs, *plan.outputs)]
    if len(set(names)) < len(names):
        raise BadInput(
            "names of parameters and outputs must all differ, and differ from error_bound, signal "
            "and the NAME_std of deviations"
        )
    for variable in (*plan.inputs, *plan.outputs):
        check_text(variable.name)
        check_text(variable.unit)


def _body_2(plan: UnitPlan, units: str, guid: str, name: str) -> str:
    variables = "\n".join(_variables_2(plan))
    places = range(len(plan.inputs) + 1, len(plan.inputs) + len(plan.outputs) + 1)
    unknowns = "".join(f'<Unknown index="{place}"/>' for place in places)
    quoted = quoteattr(name)
    return (
        f'<fmiModelDescription fmiVersion="2.0" modelName={quoted} guid="{guid}"'
        f' generationTool="{TOOL}">\n'
        f'<CoSimulation modelIdentifier={quoted} canHandleVariableCommunicationStepSize="true">'
        '<SourceFiles><File name="fmu.c"/></SourceFiles></CoSimulation>\n'
        f"<UnitDefinitions>{units}</UnitDefinitions>\n{_experiment(plan)}"
        f"<ModelVariables>\n{variables}\n</ModelVariables>\n"
        f"<ModelStructure><Outputs>{unknowns}</Outputs>"
        f"<InitialUnknowns>{unknowns}</InitialUnknowns></ModelStructure>\n"
        "</fmiModelDescription>\n"
    )


def _variables_2(plan: UnitPlan) -> Iterator[str]:
    for reference, variable in enumerate((*plan.inputs, *plan.outputs)):
        name, unit, causality = variable.name, variable.unit, _causality(variable)
        yield (
            f'<ScalarVariable name={quoteattr(name)} valueReference="{reference}"'
            f' description={quoteattr(f"[{unit}]")} causality="{causality}"'
            f' variability="continuous"><Real unit={quoteattr(unit)}{_range(variable)}/>'
            "</ScalarVariable>"
        )


def _body_3(plan: UnitPlan, units: str, guid: str, name: str) -> str:
    variables = "\n".join(_variables_3(plan))
    first = len(plan.inputs) + 1
    places = range(first, first + len(plan.outputs))
    outputs = "".join(f'<Output valueReference="{place}"/>' for place in places)
    unknowns = outputs.replace("<Output", "<InitialUnknown")
    quoted = quoteattr(name)
    return (
        f'<fmiModelDescription fmiVersion="3.0" modelName={quoted} instantiationToken="{guid}"'
        f' generationTool="{TOOL}">\n'
        f'<CoSimulation modelIdentifier={quoted} canHandleVariableCommunicationStepSize="true"/>\n'
        f"<UnitDefinitions>{units}</UnitDefinitions>\n{_experiment(plan)}"
        f"<ModelVariables>\n{variables}\n</ModelVariables>\n"
        f"<ModelStructure>{outputs}{unknowns}</ModelStructure>\n"
        "</fmiModelDescription>\n"
    )


def _variables_3(plan: UnitPlan) -> Iterator[str]:
    """The time, then what a unit of FMI 2 has; references are one higher."""
    yield '<Float64 name="time" valueReference="0" causality="independent"/>'
    for reference, variable in enumerate((*plan.inputs, *plan.outputs), 1):
        name, unit, causality = variable.name, variable.unit, _causality(variable)
        yield (
            f'<Float64 name={quoteattr(name)} valueReference="{reference}"'
            f' description={quoteattr(f"[{unit}]")} causality="{causality}"'
            f' variability="continuous" unit={quoteattr(unit)}{_range(variable)}/>'
        )


def _causality(variable: Variable) -> str:
    return "output" if variable.start is None else "input"


def _range(variable: Variable) -> str:
    """start, min and max, where they are known."""
    values = {"start": variable.start, "min": variable.lower, "max": variable.upper}
    return "".join(f' {key}="{value!r}"' for key, value in values.items() if value is not None)


def _experiment(plan: UnitPlan) -> str:
    return "" if plan.step is None else f'<DefaultExperiment stepSize="{plan.step!r}"/>\n'


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
