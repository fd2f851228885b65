"""The figures of the cases of operators, beside what needs no learning."""

import numpy as np
import pytest

from cases import burgers_operator, coarse_corrected, darcy_operator, reaction_diffusion
from solvers.darcy import every_node, permeabilities, pressures
from solvers.periodic import burgers, random_starts
from solvers.periodic import reaction_diffusion as march


def test_the_pressure_of_one_permeability_is_the_series():
    """-lap u = 1: the double sine series at the middle of the square, to the step squared."""
    u = pressures(np.full((65**2, 1), 1.0))
    k = np.arange(1, 200, 2)
    signs = np.sin(k * np.pi / 2)
    terms = np.outer(signs / k, signs / k) / (k[:, None] ** 2 + k**2)
    assert u[65 * 32 + 32, 0] == pytest.approx(16 / np.pi**4 * terms.sum(), rel=1e-3)


def test_permeabilities_have_two_values_and_every_node_keeps_them():
    a = permeabilities(17, 4, rng=3)
    assert set(np.unique(a)) == {3.0, 12.0}
    np.testing.assert_array_equal(every_node(a, 4)[:, 1], a[:, 1].reshape(17, 17)[::4, ::4].ravel())


def test_burgers_keeps_its_mean_and_halves_its_error_sixteenfold_with_the_step():
    a = random_starts(64, 3, rng=0)
    runs = [burgers(a, nu=0.1, length=2 * np.pi, steps=steps) for steps in (100, 200, 400)]
    np.testing.assert_allclose(runs[0].mean(axis=0), a.mean(axis=0), atol=1e-12)
    errors = [np.linalg.norm(run - runs[2]) for run in runs[:2]]
    assert 12 < errors[0] / errors[1] < 22


def test_reaction_alone_is_logistic_and_diffusion_alone_decays():
    u = np.full((16, 2), [0.2, 0.7])
    t = np.array([0.0, 0.5, 1.0])
    fields = march(u, t, nu=0.01, steps=8)
    growth = np.exp(5 * t)[:, None, None]
    np.testing.assert_allclose(fields, u * growth / (1 + u * (growth - 1)), rtol=1e-12)


def test_a_derivative_of_chebyshev_is_that_of_a_polynomial():
    t = reaction_diffusion.TIMES
    np.testing.assert_allclose(
        reaction_diffusion.chebyshev_derivative() @ t**5, 5 * t**4, atol=1e-10
    )


@pytest.mark.slow
@pytest.mark.parametrize("shape", [(24,), (8, 10)])
def test_a_fourier_network_learns_the_identity_better_than_the_mean(shape):
    pytest.importorskip("torch")
    from solvers.fourier_network import train_network

    x = np.random.default_rng(0).standard_normal((np.prod(shape), 60))
    answer, _ = train_network(x, 2 * x + 1, shape, width=8, modes=3, epochs=60)
    miss = np.linalg.norm(answer(x) - 2 * x - 1)
    assert miss < 0.5 * np.linalg.norm(2 * x)


@pytest.mark.slow
def test_darcy_by_the_symmetry_of_the_square():
    figures = darcy_operator.main()
    for m, plain, square in ((100, 0.064, 0.033), (250, 0.047, 0.026), (1000, 0.033, 0.0235)):
        assert figures[f"runs_{m}_plain_error"] < plain
        assert figures[f"runs_{m}_square_error"] < square
        for name in ("mean_of_training", "nearest_run", "linear_map"):
            assert figures[f"runs_{m}_plain_error"] < figures[f"runs_{m}_{name}_error"]
        assert 0.9 < figures[f"runs_{m}_square_coverage"] <= 0.985
    assert figures["coarse_solve_error"] < figures["runs_1000_square_error"]


@pytest.mark.slow
def test_burgers_by_shifts_and_the_reflection():
    figures = burgers_operator.main()
    assert figures["runs_100_symmetric_error"] < 0.03
    assert figures["runs_1000_symmetric_error"] < 0.009
    assert 0.9 < figures["runs_1000_symmetric_coverage"] < 0.985
    assert figures["coarse_solve_error"] < figures["runs_1000_symmetric_error"]


@pytest.mark.slow
def test_a_coarse_solve_is_corrected_from_fifty_runs():
    figures = coarse_corrected.main(most=100)
    assert figures["runs_50_corrected_error"] < min(0.015, figures["coarse_solve_error"])
    assert 0.93 <= figures["runs_50_corrected_coverage"] <= 0.985


@pytest.mark.slow
def test_the_residual_is_the_error_bar_of_reaction_and_diffusion():
    figures = reaction_diffusion.main()
    assert figures["runs_512_residual_error"] < 4e-3
    assert figures["runs_512_residual_width_over_error"] < 1.6
    assert figures["runs_512_residual_coverage"] > 0.9
    assert figures["splitting_error"] < figures["runs_512_residual_error"]
