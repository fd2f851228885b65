"""A kernel from whatever a user names it by."""

from __future__ import annotations

from typing import Any

import numpy as np

from rom.errors import BadInput
from rom.gp.composed import Product, Selected, Sum
from rom.gp.gpytorch_kernels import gpytorch_kernel
from rom.gp.kernels import FORMS, Stationary

MATERN, RBF, PRODUCT, SUM = "matern52", "rbf", "product", "sum"


def check_kernel_name(name: str) -> None:
    """Raises BadInput for a name that is neither a kernel nor "auto"."""
    names = ("auto", *FORMS, PRODUCT, SUM)
    if name not in names:
        raise BadInput(f"no kernel {name!r}; known: {', '.join(names)}")


def kernel_of(kernel: Any, p: int) -> Any:
    """A kernel from its name (unit lengths, p columns), a GPyTorch kernel, or itself.

    "product" is of Matern kernels of one column each, "sum" has them beside one of all columns.
    Raises BadInput for another name or object.
    """
    if isinstance(kernel, str) and kernel in (PRODUCT, SUM) and p > 1:
        return _of_columns(kernel, p)
    if isinstance(kernel, str):
        kernel = MATERN if kernel in (PRODUCT, SUM) else kernel
        return Stationary(kernel, np.ones(p))
    if hasattr(kernel, "pullback"):
        return kernel
    return gpytorch_kernel(kernel)


def _of_columns(name: str, p: int) -> Product | Sum:
    """The product of kernels of one column each, or their sum and one of all columns."""
    columns = tuple(Selected(Stationary(MATERN, np.ones(1)), (j,)) for j in range(p))
    if name == PRODUCT:
        return Product(columns)
    terms = (*columns, Stationary(MATERN, np.ones(p)))
    return Sum(terms, np.full(len(terms), 1.0 / len(terms)))
