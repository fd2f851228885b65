"""Linear interpolation on the Delaunay triangulation of the runs."""

import numpy as np

from rom.gp.regressors import Regressor
from rom.gp.regressors.nearest import nearest_runs

MAX_PARAMETERS = 4  # the triangulation grows beyond use with more


def linear_between(x: np.ndarray, a: np.ndarray, z: np.ndarray) -> np.ndarray:
    """a (q, r), linear on each simplex of x (m, p); outside the hull the nearest run."""
    if x.shape[1] == 1:
        return _linear_on_a_line(x[:, 0], a, z[:, 0])
    from scipy.interpolate import LinearNDInterpolator
    from scipy.spatial import QhullError

    nearest = nearest_runs(x, a, z)
    try:
        values = LinearNDInterpolator(x, a)(z)
    except QhullError:
        return nearest
    return np.where(np.isnan(values), nearest, values)


def _linear_on_a_line(x: np.ndarray, a: np.ndarray, z: np.ndarray) -> np.ndarray:
    order = np.argsort(x)
    columns = [np.interp(z, x[order], column) for column in a[order].T]
    return np.stack(columns, axis=1)


def _has_simplices(m: int, p: int) -> bool:
    return m >= max(3, p + 1) and p <= MAX_PARAMETERS


REGRESSOR = Regressor(
    "linear interpolation", interpolate=linear_between, serves=_has_simplices, many=False
)
