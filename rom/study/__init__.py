"""How wrong a model is.

A study solves high fidelity at fresh parameters mu and compares, in the norm of the model's space,

    error = |u - u_r|,  floor = |u - V V^H X u|,  effectivity = bound / error,

where the floor is the best that the basis can do, and the error beside a bound is taken in the
norm of the bound. Each field has an error of its own, in its unit. Over samples whose meshes
differ, q2, rrmse, rel_l2 and the coverage of bands are taken over nodes.

    >>> import numpy as np
    >>> from rom.study import field_coverage, q2, rel_l2
    >>> true = [np.array([1.0, 2.0, 2.0]), np.array([3.0, 4.0])]  # two meshes
    >>> predicted = [u + 0.01 for u in true]
    >>> round(rel_l2(predicted, true), 4), round(q2(predicted, true), 4)
    (0.0043, 0.9999)
    >>> field_coverage(predicted, true, [np.full(len(u), 0.01) for u in true])
    1.0

Reference: Quarteroni, Manzoni and Negri (2016).
"""

from rom.study.comparison import study
from rom.study.discrepancy import Discrepancy, Study
from rom.study.facts import basis_facts, box_facts, model_facts
from rom.study.metrics import field_coverage, q2, rel_l2, rrmse
from rom.study.report import write_report
from rom.study.trivial import with_trivial

NOUNS = ("Study", "Discrepancy")
__all__ = [
    "NOUNS", "Discrepancy", "Study", "basis_facts", "box_facts", "field_coverage", "model_facts",
    "q2", "rel_l2", "rrmse", "study", "with_trivial", "write_report",
]  # fmt: skip
