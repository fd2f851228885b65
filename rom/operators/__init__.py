"""Operators: a field is asked, a field is told.

    u(a) = base(a) + mean + V sum_j k(z(a), z_j) alpha_j,  z = V_a^T X (a - mean)

One kernel on principal coordinates of the input serves all outputs, and input rank, scales, form,
length and nugget are chosen by errors at left-out runs in closed form. Symmetries of the equation
are used exactly: a finite group by blocks of its representation, shifts of periodic fields by a
canonical frame. A coarse solve may stand below (`base`), and the norm of a residual gives the band
its shape. Ask first whether a coarse solve alone is good enough: it often beats every learner.

Notation: a inputs (n_in, m), u outputs (n_out, m), z coordinates (m, k), g elements of a group.

>>> import numpy as np
>>> from rom.operators import operator_gp
>>> from rom.snapshots import Snapshots
>>> from rom.space import euclidean
>>> x, c = np.linspace(0.0, 1.0, 20), np.random.default_rng(0).standard_normal((3, 60))
>>> a = np.cos(np.pi * np.outer(x, np.arange(3))) @ c
>>> u = np.cumsum(a, axis=0) / 20 + 0.1 * np.sin(a)
>>> runs = [Snapshots(euclidean(20), np.zeros((50, 0)), f[:, :50]) for f in (a, u)]
>>> model = operator_gp(*runs)
>>> answer = model.predict(fields={"a": a[:, 50:]})
>>> answer.m, answer.field("u", 3).shape, answer.parts["u"].errors[0].label
(10, (20,), 'conformal band at level 0.95 in rms over the field')
>>> miss = np.array([np.linalg.norm(answer.field("u", k) - u[:, 50 + k]) for k in range(10)])
>>> bool(np.mean(miss / np.linalg.norm(u[:, 50:], axis=0)) < 0.02)
True

Reference: Batlle, Darcy, Hosseini, Owhadi, Kernel methods are competitive for operator learning
(2024).
"""

from rom.operators.coordinates import Coordinates
from rom.operators.models import OperatorGP
from rom.operators.network import from_torch
from rom.operators.regression import OperatorKernel
from rom.operators.simple import simple_answers
from rom.operators.symmetry import Symmetry, Translation, point_symmetry
from rom.operators.training import operator_gp, plug_operator

NOUNS = ("Coordinates", "OperatorGP", "OperatorKernel", "Symmetry", "Translation")
__all__ = [
    "NOUNS", "Coordinates", "OperatorGP", "OperatorKernel", "Symmetry", "Translation", "from_torch",
    "operator_gp", "plug_operator", "point_symmetry", "simple_answers",
]  # fmt: skip
