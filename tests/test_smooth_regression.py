"""Smooth outputs by the defaults: a borehole, a blade's coefficients, many runs."""

import numpy as np
import pytest

from cases.smooth_regression import borehole, main
from rom.errors import BadInput


def test_the_borehole_is_learnt_from_eighty_runs():
    numbers = main(kinds="borehole", draws=2)
    assert numbers["borehole_error"] <= 0.016 < numbers["borehole_rbf"]
    assert numbers["borehole_coverage"] >= 0.8
    middle = borehole(np.full((1, 8), 0.5))
    assert middle == pytest.approx(70.9, abs=0.1)


def test_kinds_that_are_not_there_are_refused():
    with pytest.raises(BadInput, match="choose of blade, borehole, five, many"):
        main(kinds="blade,wing")


@pytest.mark.slow
def test_coefficients_of_the_blade_are_learnt_from_48_runs():
    numbers = main(kinds="blade")
    assert numbers["blade_error"] <= 0.0087 < numbers["blade_rbf"]
    assert 0.9 <= numbers["blade_coverage"] <= 0.995


@pytest.mark.slow
def test_many_runs_tell_more_than_two_thousand_of_them():
    numbers = main(kinds="many", many="5000")
    assert numbers["many_5000_error_over_2000"] <= 0.8
    assert 0.93 <= numbers["many_5000_coverage"] <= 0.98
