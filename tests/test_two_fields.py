"""Two fields of different units: each to the tolerance on its own scale, through the commands."""

import numpy as np
import pytest

from cases.two_fields import DOMAINS, TRIVIAL, main, problem


@pytest.fixture(scope="module")
def numbers():
    return main(fresh=20)


@pytest.mark.parametrize("key", [f"{d}_{name}" for d, names in DOMAINS.items() for name in names])
def test_each_field_has_the_tolerance_on_its_own_scale(numbers, key):
    assert numbers[f"{key}_training_error"] <= 1e-4
    assert numbers[f"{key}_test_error"] <= 1e-2
    for row in TRIVIAL:
        assert numbers[f"{key}_test_error"] < numbers[f"{key}_{row}_error"], row


@pytest.mark.parametrize("key", [f"{d}_{name}" for d, names in DOMAINS.items() for name in names])
def test_a_file_of_answers_has_the_error_that_the_study_says(numbers, key):
    np.testing.assert_allclose(numbers[f"{key}_file_rms"], numbers[f"{key}_test_rms"], rtol=1e-4)


def test_the_mean_row_is_the_mean_of_the_runs(numbers):
    """T = 300 + 10 a s: at a = 1 the mean run (a = 1/2) misses 5 s of 300 + 10 s."""
    s = np.sin(np.pi * problem().mesh.points[:, 0])
    worst = np.linalg.norm(5 * s) / np.linalg.norm(300 + 10 * s)
    assert 0.5 * worst < numbers["line_T_mean_error"] < 1.05 * worst
