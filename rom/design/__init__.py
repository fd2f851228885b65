"""Designs of experiments: m points of a box of parameters where to solve.

    mu = lower + (upper - lower) x,  x in [0, 1]^p   (in log mu on logarithmic axes)

`sobol` fills the box evenly at any m, `latin_hypercube` every axis, `grid` is a tensor grid.

>>> import numpy as np
>>> from rom.design import grid, sobol
>>> from rom.parameters import Box
>>> box = Box(("E", "nu"), np.array([1.0, 0.2]), np.array([3.0, 0.4]))
>>> sobol(box, 8).shape
(8, 2)
>>> grid(box, 2).tolist()
[[1.0, 0.2], [1.0, 0.4], [3.0, 0.2], [3.0, 0.4]]

References: Sobol (1967); McKay, Beckman, Conover (1979).
"""

from rom.design.designs import grid, latin_hypercube, sobol

NOUNS: tuple[str, ...] = ()
__all__ = ["NOUNS", "grid", "latin_hypercube", "sobol"]
