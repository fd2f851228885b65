"""Thin-plate splines with a linear trend through the runs."""

import numpy as np

from rom.errors import BadInput
from rom.gp.regressors import Regressor


def thin_plates(x: np.ndarray, a: np.ndarray, z: np.ndarray) -> np.ndarray:
    """a (q, r) of the thin-plate spline through a (m, r) at distinct points x (m, p).

    Raises BadInput where the points lie in a plane.
    """
    from scipy.interpolate import RBFInterpolator

    try:
        return np.asarray(RBFInterpolator(x, a)(z))
    except np.linalg.LinAlgError as error:
        raise BadInput(
            f"thin plates through {len(x)} runs have no solution ({error}); vary all parameters, "
            "or choose another regressor"
        ) from error


def _has_a_trend(m: int, p: int) -> bool:
    return m >= max(3, p + 2)


REGRESSOR = Regressor(
    "thin-plate splines", interpolate=thin_plates, serves=_has_a_trend, many=False
)
