"""Responses of a duct: the closed form solves its equation, and the spectral mixture learns the
echoes and fills what was lost.
"""

import numpy as np
import pytest

from cases.frequency_response import (
    LENGTH,
    LOSS,
    level,
    main,
    resonance_errors,
    resonances,
    transfer,
)
from rom.errors import BadInput


def test_transfer_solves_the_wave_equation_with_its_ends():
    f, x, mu = np.array([313.0]), np.linspace(0, LENGTH, 6001), np.array([[20.0, 0.5]])
    H = transfer(f, x, mu)[0, :, 0]
    p, h = H[:, 0] + 1j * H[:, 1], x[1] - x[0]
    k = 2 * np.pi * 313.0 / (331.3 * np.sqrt(1 + 20.0 / 273.15)) * (1 + 1j * LOSS)
    np.testing.assert_allclose(
        (p[2:] - 2 * p[1:-1] + p[:-2]) / h**2, -(k**2) * p[1:-1], atol=1e-4 * abs(k) ** 2
    )
    assert (-1.5 * p[0] + 2 * p[1] - 0.5 * p[2]) / h / (1j * k) == pytest.approx(1.0, abs=1e-4)


def test_resonances_lie_half_a_wavelength_apart():
    f, mu = np.linspace(90, 500, 8000), np.array([[20.0, 0.5]])
    found = resonances(f, transfer(f, np.zeros(1), mu))[0]
    c = 331.3 * np.sqrt(1 + 20.0 / 273.15)
    np.testing.assert_allclose(np.diff(found), c / (2 * LENGTH), rtol=1e-2)
    assert level(np.array([[3.0, 4.0]]))[0] == pytest.approx(20 * np.log10(5))
    assert resonance_errors([found[1:]], [found], 5.0) == (0.0, 1)


@pytest.mark.parametrize("seed", [1, pytest.param(2, marks=pytest.mark.slow)])
def test_a_spectral_mixture_fills_lost_bands_where_others_cannot(seed):
    told = main(runs=8, frequencies=64, positions=4, unseen=2, seed=seed)
    assert told["missing"]["spectral mixture"] < 0.3 * told["missing"]["straight lines"]
    assert told["missing"]["spectral mixture"] < 0.3 * told["missing"]["rbf"]
    assert told["methods"]["spectral mixture"]["resonances_missed"] == 0
    assert any(abs(float(t) - 2e3 * LENGTH / 343.0) < 0.3 for t in told["echoes_ms"])


def test_refusals():
    with pytest.raises(BadInput, match="lost"):
        main(lost=1.0)
