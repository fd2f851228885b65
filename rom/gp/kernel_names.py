"""A kernel from whatever a user names it by."""

from __future__ import annotations

from typing import Any

import numpy as np

from rom.gp.gpytorch_kernels import gpytorch_kernel
from rom.gp.kernels import Stationary


def kernel_of(kernel: Any, p: int) -> Any:
    """A kernel from its name (unit lengths, p columns), a GPyTorch kernel, or itself.

    Raises BadInput for another name or object.
    """
    if isinstance(kernel, str):
        return Stationary(kernel, np.ones(p))
    if hasattr(kernel, "pullback"):
        return kernel
    return gpytorch_kernel(kernel)
