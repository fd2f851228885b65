"""Spectral modes of known waves, and their energies against those of all snapshots."""

import numpy as np
import pytest

from rom.compress import pod
from rom.dynamics import spod
from rom.errors import BadInput
from rom.snapshots import Snapshots
from rom.space import Space, euclidean

X = np.linspace(0.0, 1.0, 50)
T = 0.05 * np.arange(640)


def runs_of(u, t=T, space=None):
    return Snapshots(space or euclidean(len(u)), np.zeros((u.shape[1], 0)), u, t)


def noisy_waves(rng):
    """Waves of 1.25 Hz that travel right and of 2.5 Hz that stand, and noise of deviation .1."""
    right = np.cos(2 * np.pi * (2 * X[:, None] - 1.25 * T))
    stand = 0.5 * np.sin(3 * np.pi * X)[:, None] * np.cos(2 * np.pi * 2.5 * T)
    return right + stand + 0.1 * rng.standard_normal((50, len(T)))


def test_a_travelling_wave_is_one_mode_of_its_frequency():
    """cos(k x - w t) = Re e^{ikx} e^{-iwt}: the mode e^{-ikx}, its energy the mean square."""
    u = noisy_waves(np.random.default_rng(0))
    runs = runs_of(u)
    modes = spod(runs, pod(runs, rank=50)[0], samples=64)
    order = np.argsort(modes.energies[:, 0])[::-1]
    assert modes.frequencies[order[0]] == pytest.approx(1.25)
    first = modes.modes(1.25)[:, 0]
    wave = np.exp(-2j * np.pi * 2 * X)
    assert abs(np.vdot(wave, first)) / np.linalg.norm(wave) > 0.999
    assert modes.energies[order[0], 0] > 100 * modes.energies[order[0], 1]
    standing = np.sin(3 * np.pi * X)
    assert abs(np.vdot(standing, modes.modes(2.5)[:, 0])) / np.linalg.norm(standing) > 0.99


def test_energies_add_up_to_those_of_all_snapshots():
    """Without window and overlap by Parseval; modes are orthonormal in the space."""
    rng = np.random.default_rng(1)
    space = Space(np.linspace(1.0, 3.0, 50), np.arange(50))
    u = noisy_waves(rng)
    runs = runs_of(u, space=space)
    basis, s = pod(runs, rank=50, center=True)
    modes = spod(runs, basis, samples=40, overlap=0.0, window="none")
    fluctuation = u - u.mean(axis=1, keepdims=True)
    energy = np.mean(space.norm(fluctuation) ** 2)
    assert modes.energies.sum() == pytest.approx(energy, rel=1e-12)
    assert np.sum(s**2) / len(T) == pytest.approx(energy, rel=1e-12)
    phi = modes.modes(1.25)
    gram = phi.conj().T @ (space.product[:, None] * phi)
    np.testing.assert_allclose(gram, np.eye(len(gram)), atol=1e-12)
    windowed = spod(runs, basis, samples=40)
    assert windowed.energies.sum() == pytest.approx(energy, rel=0.05)


def test_intervals_of_energies_hold_as_often_as_they_say():
    """White noise in one point: 95 % of 200 draws, to three binomial deviations."""
    rng, held = np.random.default_rng(2), []
    for _ in range(200):
        runs = runs_of(rng.standard_normal((1, 640)))
        modes = spod(runs, pod(runs, rank=1)[0], samples=32, overlap=0.0, window="none")
        low, high = modes.interval()
        held.append((low[5, 0] < 2 / 32) & (high[5, 0] > 2 / 32))
    assert modes.blocks == 20
    assert abs(np.mean(held) - 0.95) < 3 * np.sqrt(0.95 * 0.05 / 200)


@pytest.mark.parametrize(
    ("options", "t", "message"),
    [
        ({"samples": 641}, T, "2 to 640 samples"),
        ({"samples": 64, "overlap": 1.0}, T, r"overlap in \[0, 1\)"),
        ({"samples": 64, "window": "flat"}, T, "one of hann, none"),
        ({"samples": 64}, T**2, "need even times"),
    ],
)
def test_what_has_no_spectrum_is_refused(options, t, message):
    runs = runs_of(noisy_waves(np.random.default_rng(0)), t)
    with pytest.raises(BadInput, match=message):
        spod(runs, pod(runs, rank=2)[0], **options)


def test_a_level_of_intervals_lies_between_0_and_1():
    runs = runs_of(noisy_waves(np.random.default_rng(0)))
    with pytest.raises(BadInput, match="level = 2"):
        spod(runs, pod(runs, rank=2)[0], samples=64).interval(2.0)
