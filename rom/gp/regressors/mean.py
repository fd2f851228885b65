"""The mean of the runs, which knows no parameters."""

import numpy as np

from rom.gp.regressors import Regressor


def mean_of_runs(x: np.ndarray, a: np.ndarray, z: np.ndarray) -> np.ndarray:
    """a (q, r), the mean of the runs at every point z (q, p)."""
    return np.tile(a.mean(axis=0), (len(z), 1))


REGRESSOR = Regressor("mean of the runs", interpolate=mean_of_runs)
