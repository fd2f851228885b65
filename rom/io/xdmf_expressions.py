"""Functions of XDMF: JOIN($0, $1), $0 * 2 + SQRT($1), entry by entry.

Reference: XDMF Model and Format, versions 2 and 3 (2017).
"""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

OPERATORS: dict[type, Callable[..., Any]] = {
    ast.Add: np.add, ast.Sub: np.subtract, ast.Mult: np.multiply, ast.Div: np.true_divide,
    ast.Pow: np.power, ast.UAdd: np.positive, ast.USub: np.negative,
}  # fmt: skip
FUNCTIONS: dict[str, Callable[..., Any]] = {
    "ABS": np.abs, "SQRT": np.sqrt, "EXP": np.exp, "LOG": np.log, "SIN": np.sin, "COS": np.cos,
    "TAN": np.tan, "ASIN": np.arcsin, "ARCSIN": np.arcsin, "ACOS": np.arccos,
    "ARCCOS": np.arccos, "ATAN": np.arctan, "ARCTAN": np.arctan,
}  # fmt: skip
LONGEST = 1000  # letters of an expression


def combine_arrays(text: str, arrays: Sequence[np.ndarray]) -> np.ndarray:
    """The array that an expression makes of arrays $0, $1, ...

    Raises ValueError where it is none of these operations, or its arrays do not fit.
    """
    plain = re.sub(r"\$(\d+)", r"_\1", text.strip()).replace(";", ",").replace("^", "**")
    if len(plain) > LONGEST:
        raise ValueError(f"an expression of more than {LONGEST} letters")
    try:
        tree = ast.parse(plain, mode="eval")
        with np.errstate(all="ignore"):  # NaN of a file is refused elsewhere, by name
            return np.asarray(_value(tree.body, arrays))
    except (SyntaxError, RecursionError, MemoryError) as error:
        raise ValueError(f"no expression: {text[:80]!r}") from error


def _value(node: ast.expr, arrays: Sequence[np.ndarray]) -> Any:
    if isinstance(node, ast.Constant) and isinstance(node.value, int | float):
        return float(node.value)
    if isinstance(node, ast.Name) and re.fullmatch(r"_\d{1,4}", node.id):
        number = int(node.id[1:])
        if number >= len(arrays):
            raise ValueError(f"${number} of {len(arrays)} arrays")
        return arrays[number].astype(float)
    if isinstance(node, ast.BinOp) and type(node.op) in OPERATORS:
        return OPERATORS[type(node.op)](_value(node.left, arrays), _value(node.right, arrays))
    if isinstance(node, ast.UnaryOp) and type(node.op) in OPERATORS:
        return OPERATORS[type(node.op)](_value(node.operand, arrays))
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and not node.keywords:
        return _call(node.func.id.upper(), [_value(part, arrays) for part in node.args])
    raise ValueError(f"{ast.unparse(node)[:80]!r} is not known here")


def _call(name: str, parts: list[Any]) -> Any:
    if name == "JOIN" and parts and len({np.size(part) for part in parts}) == 1:
        return np.stack([np.ravel(part) for part in parts], axis=-1)
    if name in FUNCTIONS and len(parts) == 1:
        return FUNCTIONS[name](parts[0])
    raise ValueError(f"{name} of {len(parts)} arrays is not known here")
