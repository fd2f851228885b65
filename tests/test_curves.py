"""Curves as SVG: what stands at the axes."""

import numpy as np

from rom.plot.svg import Axis


def test_ticks_are_round_and_zero_has_no_sign():
    axis = Axis(0.0, 8.0, 0.0, 1.0)
    steps = np.diff(axis.ticks)
    assert not np.signbit(axis.ticks).any() and np.allclose(steps, steps[0])
    assert axis.ticks[0] == 0.0 and axis.ticks[-1] <= 8.0
