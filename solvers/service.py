"""The loads of a machine in service.

Rotation, pressure and heat rise and fall together.
"""

from __future__ import annotations

import numpy as np

from rom.loading import Loading
from solvers.solid import Body, push, spin


def service(
    b: Body,
    t: np.ndarray,
    share: np.ndarray,
    omega: float,
    pressure: float,
    surface: str,
    cold: float,
    field: np.ndarray,
    centre: tuple[float, float, float] = (0.0, 0.0, 0.0),
) -> Loading:
    """f(t) = (omega s)^2 int rho r.v - pressure s int_surface n.v, s = share(t).

    T(t) = (1 - s) cold + s field, s in [0, 1].
    t, share : (m,); omega [rad/s] about the axis along x through `centre`; field : (n_nodes,) at
        full load; units those of the body
    """
    forces = np.stack([spin(b, (1, 0, 0), centre), push(b.mesh, surface)], axis=1)
    temperatures = b.values @ np.stack([np.full(len(field), cold), field], axis=1)
    amplitudes = np.stack([omega**2 * share**2, pressure * share], axis=1)
    return Loading(t, forces, amplitudes, temperatures, np.stack([1 - share, share], axis=1))
