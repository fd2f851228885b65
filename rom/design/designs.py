"""Designs of experiments: where in the box to solve."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.stats import qmc

from rom.errors import BadInput
from rom.parameters import Box


def sobol(box: Box, m: int, rng: int | np.random.Generator = 0) -> np.ndarray:
    """mus (m, p): the first m points of a scrambled Sobol sequence; best balanced where m is a power of two.

    Raises BadInput unless m is a positive integer. Reference: Sobol (1967); scrambling: Owen (1998).
    """
    m = _count(m)
    points = qmc.Sobol(box.p, rng=np.random.default_rng(rng)).random_base2((m - 1).bit_length())
    return box.from_unit(points[:m])


def latin_hypercube(box: Box, m: int, rng: int | np.random.Generator = 0) -> np.ndarray:
    """mus (m, p): one point in each of m slices of every axis. Raises BadInput unless m is a positive integer.

    Reference: McKay, Beckman, Conover (1979).
    """
    return box.from_unit(
        qmc.LatinHypercube(box.p, rng=np.random.default_rng(rng)).random(_count(m))
    )


def grid(box: Box, counts: int | Sequence[int]) -> np.ndarray:
    """mus (prod counts, p): a tensor grid with the bounds included, the last parameter running fastest; a count of 1 is the middle.

    counts : one number for all parameters, or one per parameter. Raises BadInput where they are not positive integers.
    """
    each = [
        _count(c)
        for c in (counts if isinstance(counts, (Sequence, np.ndarray)) else [counts] * box.p)
    ]
    if len(each) != box.p:
        raise BadInput(
            f"{len(each)} counts for the {box.p} parameters {box.names}; give one number, or one per parameter"
        )
    axes = [np.linspace(0.0, 1.0, c) if c > 1 else np.array([0.5]) for c in each]
    return box.from_unit(np.stack([x.ravel() for x in np.meshgrid(*axes, indexing="ij")], axis=1))


def _count(m: int) -> int:
    if isinstance(m, bool) or not isinstance(m, (int, np.integer)) or m < 1:
        raise BadInput(f"a design of {m!r} points is not possible; give a positive integer")
    return int(m)
