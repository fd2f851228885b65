"""What a regression takes: training data, their scales, points to predict at."""

from __future__ import annotations

import numpy as np

from rom.arrays import OUTPUTS
from rom.errors import BadInput
from rom.gp.likelihood import LINEAR
from rom.parameters import Box

MIN_RUNS = 3
RANK_TOL = 1e-6  # relative; inputs below depend on each other
CONSTANT_TOL = 1e-14  # relative range below which a column counts as constant


def check_training(
    x: np.ndarray, a: np.ndarray, box: Box | None, mean: str
) -> tuple[np.ndarray, np.ndarray, Box, bool]:
    """(x (m, p), a (m, r), box, whether it was passed) as floats.

    Without a box it is the range of x. Raises BadInput for other lengths and too
    few distinct runs for the mean.
    """
    if len(x) != len(a):
        raise BadInput(
            f"inputs {x.shape} and outputs {a.shape}; give x (m, p) and a (m, r), one row per run"
        )
    _refuse_few(x, mean)
    if box is not None:
        return box.check(x), a, box, True
    return x, a, _range_of(x), False


def supports_trend(z: np.ndarray) -> bool:
    """Whether runs z (m, p) are many and independent enough for a linear trend."""
    m, p = z.shape
    deviation = z.std(axis=0)
    scale = np.where(deviation > 0, deviation, 1.0)
    scaled = (z - z.mean(axis=0)) / scale
    inputs = np.column_stack([np.ones(m), scaled])
    rank = np.linalg.matrix_rank(inputs, tol=RANK_TOL * np.sqrt(m))
    return bool(m >= 2 * (p + 2) and rank == p + 1)


def _refuse_few(x: np.ndarray, mean: str) -> None:
    distinct = len(np.unique(x, axis=0))
    need = MIN_RUNS
    if mean == LINEAR:
        need += x.shape[1]
    if distinct < need:
        raise BadInput(
            f"{len(x)} runs with {distinct} distinct parameters; "
            f"a regression with a {mean} mean needs {need} or more"
        )


def _range_of(x: np.ndarray) -> Box:
    """The box of the points x (m, p), of width one where they do not vary."""
    low, high = x.min(axis=0), x.max(axis=0)
    flat = high - low <= CONSTANT_TOL * np.abs(x).max(axis=0)
    names = tuple(f"mu{j}" for j in range(x.shape[1]))
    lower = np.where(flat, low - 0.5, low)
    upper = np.where(flat, low + 0.5, high)
    return Box(names, lower, upper)


def output_scale(a: np.ndarray) -> np.ndarray:
    """Standard deviation of each output of a (m, r); 1 where it is constant."""
    deviation = a.std(axis=0)
    varies = deviation > CONSTANT_TOL * np.abs(a).max(axis=0)
    return np.where(varies, deviation, 1.0)


def scale_inputs(
    x: np.ndarray, box: Box, closed: bool, bends: np.ndarray | None = None
) -> np.ndarray:
    """Points x (q, p) in the unit box, as `bend_inputs` bends them.

    Raises BadInput for another width or NaN, OutsideBox beyond a closed box.
    """
    x = OUTPUTS(x, "x")
    p = len(box.names)
    if x.shape[-1] != p:
        raise BadInput(f"x has shape {x.shape}; the model needs finite (q, {p})")
    return bend_inputs(box.to_unit(box.check(x) if closed else x), bends)


def bend_inputs(z: np.ndarray, bends: np.ndarray | None) -> np.ndarray:
    """(exp(c_j z_j) - 1) / (exp(c_j) - 1) of inputs z (q, p).

    It is z_j where the bend c_j is 0, and keeps 0 and 1 and their order: c > 0 stretches the
    upper end, c < 0 the lower.
    Reference: Snoek, Swersky, Zemel, Adams (2014), with another law.
    """
    if bends is None:
        return z
    curved = np.where(bends == 0.0, 1.0, bends)
    return np.asarray(np.where(bends == 0.0, z, np.expm1(curved * z) / np.expm1(curved)))
