"""Solvers that are functional mock-up units (FMI 2 and 3), run by fmpy.

    solve = read_unit("motor.fmu", ("T", "p"), np.linspace(0.0, 60.0, 61))
    box, times, fields = solve.box, solve.times, solve.fields

solve(mu) (k,) or (k, n_t): the outputs at the end of a run, or at all times.
Reference: Functional Mock-up Interface 2.0.4 (Modelica Association, 2022).
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from rom.campaign.identity import short_digest
from rom.errors import BadInput, SolveFailed, require
from rom.parameters import Box
from rom.space import Field

PARAMETERS = ("parameter", "input")  # what a run may set, by FMI's word of causality


@dataclass(frozen=True, eq=False)
class Unit:
    """A unit as the solver of a case.

    box : of its parameters; outputs : name -> unit; times (n_t,) [s], or None where the values at
        the `end` [s] of a run are the answer
    """

    path: Path
    box: Box
    outputs: Mapping[str, str]
    times: np.ndarray | None
    end: float

    @property
    def fields(self) -> tuple[Field, ...]:
        """One for each output."""
        return tuple(
            Field(name, unit, np.array([k])) for k, (name, unit) in enumerate(self.outputs.items())
        )

    @property
    def source(self) -> dict[str, str]:
        """File -> digest of the unit."""
        return {self.path.name: short_digest(self.path.read_bytes())}

    def __call__(self, mu: np.ndarray) -> np.ndarray:
        """The outputs of one run, (k,), or (k, n_t). Raises SolveFailed."""
        from fmpy import simulate_fmu

        times = np.array([0.0, self.end]) if self.times is None else self.times
        try:
            result = simulate_fmu(
                str(self.path),
                start_time=times[0],
                stop_time=times[-1],
                output_interval=np.diff(times).min(),
                start_values=dict(zip(self.box.names, map(float, mu), strict=True)),
                output=list(self.outputs),
            )
        except Exception as error:
            raise SolveFailed(f"{self.path.name}: {error}") from error
        rows = [np.interp(times, result["time"], result[name]) for name in self.outputs]
        return np.array(rows)[:, -1] if self.times is None else np.array(rows)


def read_unit(
    path: str | Path,
    outputs: Sequence[str],
    times: np.ndarray | float,
    *,
    box: Box | None = None,
) -> Unit:
    """The unit of a file, as a solver of these outputs.

    times : (n_t,) evenly spaced [s], or the one time at which a run ends
    box : of some of its parameters; by default all that state a minimum and a maximum
    Raises BadInput for outputs and parameters that the unit does not have, MissingExtra without
    fmpy.
    """
    require("fmpy", "fmu", "functional mock-up units")
    from fmpy import read_model_description

    path = Path(path)
    if not path.is_file():
        raise BadInput(f"no unit {path}")
    try:
        variables = {v.name: v for v in read_model_description(str(path)).modelVariables}
    except Exception as error:
        raise BadInput(f"{path.name} is no functional mock-up unit ({error})") from error
    own = _own_box(variables, path) if box is None else box
    _check_names(own.names, variables, path, PARAMETERS)
    _check_names(outputs, variables, path, ("output", "local"))
    at = np.atleast_1d(np.asarray(times, dtype=float))
    if len(at) > 1 and not np.allclose(np.diff(at), np.diff(at)[0], rtol=1e-9):
        raise BadInput("times of a unit must be evenly spaced; give numpy.linspace(0, end, n)")
    units = {name: _unit_of(variables[name]) for name in outputs}
    return Unit(path.resolve(), own, units, at if len(at) > 1 else None, float(at[-1]))


def _own_box(variables: Mapping[str, Any], path: Path) -> Box:
    """The parameters of a unit that state where they may be."""
    ranged = {
        name: v
        for name, v in variables.items()
        if v.causality in PARAMETERS and v.min is not None and v.max is not None
    }
    if not ranged:
        settable = [name for name, v in variables.items() if v.causality in PARAMETERS]
        raise BadInput(
            f"no parameter of {path.name} states its minimum and maximum; give box= of some of: "
            f"{', '.join(settable) or 'none'}"
        )
    ends = np.array([[float(v.min), float(v.max)] for v in ranged.values()])
    units = tuple(_unit_of(v) for v in ranged.values())
    return Box(tuple(ranged), ends[:, 0], ends[:, 1], units)


def _unit_of(variable: Any) -> str:
    """Of a variable or of its type; else what stands in brackets in its description."""
    declared = getattr(variable.declaredType, "unit", None)
    bracket = re.search(r"\[([^\[\]]+)\]\s*$", variable.description or "")
    return variable.unit or declared or (bracket[1] if bracket else "1")


def _check_names(
    names: Sequence[str], variables: Mapping[str, Any], path: Path, kinds: Sequence[str]
) -> None:
    there = [name for name, v in variables.items() if v.causality in kinds]
    for name in names:
        if name not in there:
            raise BadInput(
                f"{path.name} has no {kinds[0]} {name!r}; it has: {', '.join(there) or 'none'}"
            )
