"""model.h of a unit: every number that it needs, as constants of C."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from rom.affine import Monomials
from rom.errors import BadInput

ASCII = 128
PLAIN = " _.,:;()[]<>=+-*/"  # marks that mean nothing in a string of C
Outputs = Mapping[str, tuple[np.ndarray, str]]
Scalars = dict[str, int | float]
Arrays = dict[str, np.ndarray]


def constants_header(model: Any, outputs: Outputs) -> str:
    """model.h of a Galerkin model and its outputs.

    outputs : name -> (weights (n,), unit)
    Raises BadInput for models without a box, coefficient functions or bounds that C cannot hold,
    complex models, and weights of the wrong shape.
    """
    _check_model(model, outputs)
    sizes, arrays = galerkin_constants(model)
    rows, constants = _output_rows(model.basis, outputs)
    sizes |= {"LINEAR": len(outputs), "OUTPUTS": len(outputs) + (model.bound is not None)}
    arrays |= {"L_R": rows, "CONSTANT": constants}
    definitions: Scalars = {}
    if model.bound is not None:
        definitions, bound_sizes, bound_arrays = bound_constants(model)
        sizes |= bound_sizes
        arrays |= bound_arrays
    lines = [f"#define {key} {value!r}" for key, value in (definitions | sizes).items()]
    lines.append(_c_array("char *const", "NAMES", map(_c_string, model.box.names)))
    for key, values in arrays.items():
        numbers = np.ravel(values).astype(float).tolist()
        if not np.isfinite(numbers).all():
            raise BadInput(f"an FMU needs finite numbers; {key} of the model holds NaN or Inf")
        lines.append(_c_array("double", key, map(repr, numbers)))
    return "\n".join(lines) + "\n"


def _c_array(kind: str, name: str, entries: Iterable[str]) -> str:
    return f"static const {kind} {name}[] = {{{', '.join(entries)}}};"


def _c_string(text: str) -> str:
    """A string of C: all but letters, digits and a few marks of ASCII as octal bytes."""
    parts = []
    for byte in text.encode():
        char = chr(byte)
        is_plain = byte < ASCII and (char.isalnum() or char in PLAIN)
        parts.append(char if is_plain else f"\\{byte:03o}")
    return f'"{"".join(parts)}"'


def _check_model(model: Any, outputs: Outputs) -> None:
    sums = (model.A, model.f)
    if model.box is None or not all(isinstance(term.theta, Monomials) for term in sums):
        raise BadInput(
            "an FMU needs a model with a box and Monomials as coefficient functions; "
            "others cannot be written in C"
        )
    if np.iscomplexobj(model.A.terms) or not outputs:
        raise BadInput("an FMU needs a real model and at least one output")


def galerkin_constants(model: Any) -> tuple[Scalars, Arrays]:
    """Sizes and arrays of box, operator and load."""
    A, f, box, shift = model.A, model.f, model.box, model.shift
    sizes: Scalars = {
        "P": box.p, "R": model.basis.r, "QA": len(A.terms), "QF": len(f.terms),
        "SHIFT": int(shift is not None), "K": 0,
    }  # fmt: skip
    arrays: Arrays = {
        "LOWER": box.lower, "UPPER": box.upper, "START": box.from_unit(np.full(box.p, 0.5)),
        "A_R": A.terms, "C_A": A.theta.coefficients, "P_A": A.theta.powers,
        "F_R": f.terms, "C_F": f.theta.coefficients, "P_F": f.theta.powers,
    }  # fmt: skip
    if shift is not None:
        arrays["G_R"] = shift.terms
    return sizes, arrays


def _output_rows(basis: Any, outputs: Outputs) -> tuple[np.ndarray, np.ndarray]:
    """l_k . V (k, r) and l_k . offset (k,)."""
    modes = basis.modes
    n = len(modes)
    offset = np.broadcast_to(basis.offset, n)
    rows, constants = [], []
    for key, (weights, _) in outputs.items():
        if np.shape(weights) != (n,):
            raise BadInput(
                f"output {key!r} has weights of shape {np.shape(weights)}; "
                f"give ({n},), one per row of the state"
            )
        rows.append(weights @ modes)
        constants.append(float(weights @ offset))
    return np.array(rows), np.array(constants)


def bound_constants(model: Any) -> tuple[Scalars, Scalars, Arrays]:
    """Definitions, sizes and arrays of a min-theta bound."""
    alpha: Any = getattr(model.bound, "stability", None)
    if not hasattr(alpha, "mu_ref") or not isinstance(alpha.theta, Monomials):
        raise BadInput(
            "only a min-theta bound can be written in C; "
            "replace(model, bound=None) exports the model without it"
        )
    T = model.bound.T
    reference = np.asarray(alpha.mu_ref, dtype=float)
    definitions: Scalars = {"ALPHA": float(alpha.constant), "GUARD": float(model.bound.guard)}
    sizes: Scalars = {"K": T.shape[1], "K_ROWS": T.shape[0]}
    arrays: Arrays = {
        "T_R": T,
        "T_SIZE": model.bound.hidden / model.bound.guard,
        "THETA_REF": alpha.theta(reference),
    }
    return definitions, sizes, arrays
