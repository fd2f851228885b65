"""Designs of experiments: where in the box to solve."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from rom.arrays import gate, integers
from rom.errors import BadInput
from rom.parameters import Box

MAX_POINTS = 1e8  # of a grid


@gate(box=Box)
def sobol(box: Box, m: int, rng: int | np.random.Generator = 0) -> np.ndarray:
    """mus (m, p): the first m points of a scrambled Sobol sequence.

    Best balanced where m is a power of two. Raises BadInput unless m is a positive integer.
    References: Sobol (1967); scrambling: Owen (1998).
    """
    from scipy.stats import qmc

    m = _count(m)
    bits = (m - 1).bit_length()
    sequence = qmc.Sobol(box.p, rng=np.random.default_rng(rng))
    points = sequence.random_base2(bits)
    return box.from_unit(points[:m])


@gate(box=Box)
def latin_hypercube(box: Box, m: int, rng: int | np.random.Generator = 0) -> np.ndarray:
    """mus (m, p): one point in each of m slices of every axis.

    Raises BadInput unless m is a positive integer.
    Reference: McKay, Beckman, Conover (1979).
    """
    from scipy.stats import qmc

    design = qmc.LatinHypercube(box.p, rng=np.random.default_rng(rng))
    return box.from_unit(design.random(_count(m)))


@gate(box=Box)
def grid(box: Box, counts: int | Sequence[int]) -> np.ndarray:
    """mus (prod counts, p): a tensor grid with the bounds included.

    counts : one number for all parameters, or one per parameter; a count of 1 is the middle
    The last parameter runs fastest. Raises BadInput where counts are not positive integers.
    """
    if isinstance(counts, (int, np.integer)):
        counts = [counts] * box.p
    each = [_count(int(count)) for count in integers(counts, "counts")]
    if len(each) != box.p:
        raise BadInput(
            f"{len(each)} counts for the {box.p} parameters {box.names}; give one number, or one "
            "per parameter"
        )
    if np.prod(np.array(each, dtype=float)) > MAX_POINTS:
        raise BadInput(f"a grid of {each} points is too large; give fewer per parameter")
    axes = [_axis(count) for count in each]
    columns = np.meshgrid(*axes, indexing="ij")
    points = np.stack([column.ravel() for column in columns], axis=1)
    return box.from_unit(points)


def _axis(count: int) -> np.ndarray:
    """Points of [0, 1] with both ends, or its middle."""
    if count == 1:
        return np.array([0.5])
    return np.linspace(0.0, 1.0, count)


def _count(m: int) -> int:
    """m as an int; BadInput unless it is a positive integer."""
    if isinstance(m, bool) or not isinstance(m, (int, np.integer)) or m < 1:
        raise BadInput(f"a design of {m!r} points is not possible; give a positive integer")
    return int(m)
