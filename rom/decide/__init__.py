"""Decisions with models: which parameters drive an answer.

    S_j = Var E[f | mu_j] / Var f,   T_j = E Var[f | all but mu_j] / Var f

f is an output of a model, or a value of one of its fields, over parameters that are independent
and uniform in the box (in log mu on logarithmic axes). Intervals hold the error of the sample
and the error of the model.

>>> import numpy as np
>>> from rom.decide import sensitivity
>>> from rom.design import sobol
>>> from rom.gp import coefficient_gp
>>> from rom.parameters import Box
>>> box = Box(("k", "q"), np.array([0.0, 0.0]), np.array([1.0, 1.0]))
>>> mu = sobol(box, 16)
>>> model = coefficient_gp(mu, (2 * mu[:, 0] + mu[:, 1])[:, None], box)
>>> indices = sensitivity(model, "a1", n=64)
>>> bool(np.all(np.abs(indices.total - [0.8, 0.2]) < 0.1))
True

References: Sobol' (1993); Jansen (1999); Saltelli et al. (2010).
"""

from rom.decide.indices import Sensitivity, sensitivity

NOUNS = ("Sensitivity",)
__all__ = ["NOUNS", "Sensitivity", "sensitivity"]
