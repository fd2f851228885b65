"""model.h of a unit: every number that it needs, as constants of C."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from rom.basis import Basis
from rom.certified.stationary import GalerkinModel
from rom.certified.transient import UnsteadyModel
from rom.deploy.constants_text import c_array, c_string, header_text
from rom.deploy.online_numbers import bound_numbers, galerkin_numbers
from rom.deploy.process_constants import process_text
from rom.errors import BadInput
from rom.gp.averages import ProcessAverage
from rom.gp.coefficients import CoefficientGP
from rom.gp.fields import FieldGP
from rom.parameters import Box

BOUND = "error_bound"  # name of the last output of a certified model
SIGNAL = "signal"  # name of the input that loads an unsteady model
DEVIATION = "_std"  # of an output's name, for its standard deviation
EVEN = 1e-10  # relative; steps that differ by more are not even
Outputs = Mapping[str, tuple[np.ndarray, str]]


class Variable(NamedTuple):
    """An input with its start, of a parameter its ends too, or an output."""

    name: str
    unit: str
    start: float | None = None
    lower: float | None = None
    upper: float | None = None


@dataclass(frozen=True)
class UnitPlan:
    """What a unit holds: the file of its kind, its constants, its variables.

    step [s] : of its own, or None where it has no state
    """

    kind: str
    header: str
    inputs: tuple[Variable, ...]
    outputs: tuple[Variable, ...]
    step: float | None = None


def unit_plan(model: Any, outputs: Outputs | None) -> UnitPlan:
    """The plan of a unit of a model.

    outputs : name -> (weights (n,), unit), of models of fields
    Raises BadInput for models that C cannot answer, and weights of the wrong shape.
    """
    if isinstance(model, CoefficientGP | ProcessAverage):
        if outputs:
            raise BadInput("a process of outputs has its own; leave outputs out")
        named = [Variable(quantity.name, quantity.unit) for quantity in model.tells_outputs]
        one = np.eye(model.r)
        return _process_plan(model, named, (one, one, np.zeros(model.r), np.zeros(model.r)))
    if not outputs:
        raise BadInput("a unit of a model of fields needs outputs={name: (weights, unit)}")
    named = [Variable(name, unit) for name, (_, unit) in outputs.items()]
    if isinstance(model, FieldGP):
        return _process_plan(model.gp, named, _field_rows(model, outputs))
    if isinstance(model, GalerkinModel):
        return _stationary_plan(model, outputs, named)
    if isinstance(model, UnsteadyModel):
        return _unsteady_plan(model, outputs, named)
    raise BadInput(
        f"a unit answers Galerkin models, stationary or unsteady, and processes, not a "
        f"{type(model).__name__}"
    )


def _stationary_plan(model: GalerkinModel, outputs: Outputs, named: list[Variable]) -> UnitPlan:
    numbers, box = galerkin_numbers(model), model.box
    assert box is not None
    if model.bound is not None:
        bound = bound_numbers(model.bound)
        if bound is None:
            raise BadInput(
                "only a min-theta bound can be written in C; "
                "replace(model, bound=None) exports the model without it"
            )
        numbers |= bound
        named = [*named, Variable(BOUND, "1")]
    numbers |= {"STATES": 0, "SIGNALS": 0, "LINEAR": len(outputs)}
    numbers |= _output_rows(model.basis, outputs)
    inputs = _parameters(box)
    return UnitPlan("galerkin", _header(numbers, box, inputs, named), inputs, tuple(named))


def _unsteady_plan(model: UnsteadyModel, outputs: Outputs, named: list[Variable]) -> UnitPlan:
    numbers, box = galerkin_numbers(model), model.box
    assert box is not None
    steps = np.diff(model.times)
    if np.ptp(steps) > EVEN * steps.max():
        raise BadInput(
            "a unit takes even steps; the times of the model are uneven: build it at even times"
        )
    inputs = _parameters(box)
    if model.signal is not None:
        inputs = (*inputs, Variable(SIGNAL, "1", float(model.signal[0])))
    numbers |= {"STATES": model.basis.r, "SIGNALS": int(model.signal is not None)}
    numbers |= {"DT": float(steps.mean()), "THETA": model.theta, "LINEAR": len(outputs)}
    numbers |= {"M_R": model.M, "INITIAL": model.initial, **_output_rows(model.basis, outputs)}
    header = _header(numbers, box, inputs, named)
    return UnitPlan("galerkin", header, inputs, tuple(named), float(steps.mean()))


def _process_plan(gp: Any, named: list[Variable], rows: Sequence[np.ndarray]) -> UnitPlan:
    """Means and deviations of L a + c; rows : L, its stretched S, c and the tail."""
    box = gp.box
    linear, spread, constant, tail = rows
    numbers = {
        "P": box.p, "STATES": 0, "SIGNALS": 0, "LINEAR": len(named), "R": gp.r,
        "LOGARITHMIC": [int(scale == "log") for scale in box.scales],
        "L_R": linear, "S_R": spread, "CONSTANT": constant, "TAIL": tail,
        **_bounds(box),
    }  # fmt: skip
    both = [one for v in named for one in (v, v._replace(name=v.name + DEVIATION))]
    inputs = _parameters(box)
    header = _header(numbers, box, inputs, both) + process_text(gp)
    return UnitPlan("process", header, inputs, tuple(both))


def _header(
    numbers: Mapping[str, Any], box: Box, inputs: Sequence[Variable], outputs: Sequence[Variable]
) -> str:
    """Constants of all kinds, and those of the interface."""
    common = {
        "INPUTS": len(inputs),
        "OUTPUTS": len(outputs),
        "START": [variable.start for variable in inputs],
    }
    names = c_array("char *const", "NAMES", map(c_string, box.names))
    return header_text({**numbers, **common}) + names + "\n"


def _parameters(box: Box) -> tuple[Variable, ...]:
    start = box.from_unit(np.full(box.p, 0.5))
    ends = zip(box.names, box.units, start, box.lower, box.upper, strict=True)
    return tuple(Variable(name, unit, *map(float, three)) for name, unit, *three in ends)


def _bounds(box: Box) -> dict[str, np.ndarray]:
    return {"LOWER": box.lower, "UPPER": box.upper}


def _output_rows(basis: Basis, outputs: Outputs) -> dict[str, np.ndarray]:
    """l_k . V (k, r) and l_k . offset (k,)."""
    weights = _weights(basis, outputs)
    offset = np.broadcast_to(basis.offset, len(basis.modes))
    return {"L_R": weights @ basis.modes, "CONSTANT": weights @ offset}


def _weights(basis: Basis, outputs: Outputs) -> np.ndarray:
    """Weights (k, n) of the outputs. Raises BadInput for other shapes."""
    n = len(basis.modes)
    for key, (weights, _) in outputs.items():
        if np.shape(weights) != (n,):
            raise BadInput(
                f"output {key!r} has weights of shape {np.shape(weights)}; "
                f"give ({n},), one per row of the state"
            )
    return np.array([weights for weights, _ in outputs.values()], dtype=float)


def _field_rows(model: FieldGP, outputs: Outputs) -> Sequence[np.ndarray]:
    """Rows of l . u = l . (offset + V a), and of its deviation."""
    rows = _output_rows(model.basis, outputs)
    spread = _weights(model.basis, outputs) * model.stretch_by_row[:, 0]
    tail = np.sqrt((spread * model.tail) ** 2 @ np.ones(len(model.tail)))
    return rows["L_R"], spread @ model.basis.modes, rows["CONSTANT"], tail
