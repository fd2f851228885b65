"""Cases of laws in time: what they show, with less work than their tables."""

import numpy as np
import pytest

from cases import (
    burgers_front,
    kdv_few_runs,
    kuramoto,
    lasdi_burgers,
    own_burgers,
    phi_rom_kdv,
    wake,
)

pytestmark = pytest.mark.slow


def test_a_dissipative_law_keeps_all_waves_and_a_coarse_grid_beats_the_laws():
    figures = kdv_few_runs.main(tests=6, ranks="20")
    assert figures["20 modes, dissipative: bounded"] == 1.0
    assert figures["20 modes, dissipative: inside"] < 0.1 * figures["persistence: inside"]
    assert figures["20 modes, dissipative: energy ratio from 20 x"] <= 1.0
    assert figures["20 modes, anchored: beyond"] <= 1.02 * figures["20 modes, projected: beyond"]
    assert figures["coarse grid, 48 nodes: beyond"] < figures["20 modes, anchored: beyond"]
    assert 0.8 <= figures["20 modes, anchored: whole runs in 90 % bands"] <= 1.0


def test_an_anchored_law_is_at_the_floor_and_stays_bounded():
    figures = burgers_front.main(ranks="8")
    floor = figures["8 modes, floor, between: inside"]
    assert figures["8 modes, anchored, between: inside"] < 1.01 * floor
    assert figures["8 modes, projected, between: inside"] > 1.1 * floor
    assert figures["8 modes, anchored, between: beyond"] < 0.35
    assert figures["8 modes, anchored, outside: beyond"] < 0.35
    assert figures["between, cubic interpolation in mu: inside"] < 1e-3 * floor


def test_few_rows_of_a_users_equation_are_near_the_floor_and_their_bands_hold():
    """Bands of level 0.9: fewer than six of ten have probability 1e-3 (binomial)."""
    figures = own_burgers.main(n=24, steps=24, train=12, calibrate=12, ranks="10", grids="12")
    for rule in ("deim", "cubature"):
        assert figures[f"10 modes, {rule}: error over floor"] < 2.0
        assert figures[f"10 modes, {rule}: rows"] < 100 < figures["unknowns"] / 10
        assert figures[f"10 modes, {rule}: whole runs in 90 % bands"] >= 0.6
        assert figures[f"10 modes, {rule}: error"] < figures["linear interpolation in mu: error"]


def test_lifting_anew_follows_two_wells_and_a_wake_where_linear_forecasts_do_not():
    figures = wake.main(runs=8, tests=8, wells=100)
    for name, bar in (("wake", 0.04), ("duffing", 1e-5)):
        for when in ("inside", "beyond"):
            assert figures[f"{name}, lifted: {when}"] < bar
            assert figures[f"{name}, inferred: {when}"] < (2e-3 if name == "wake" else bar)
            assert figures[f"{name}, lifted, linear forecast: {when}"] > 4 * bar
            assert figures[f"{name}, dmd: {when}"] > 0.3
            assert figures[f"{name}, persistence: {when}"] > 0.9


def test_runs_hold_a_closure_of_chaos_that_projection_lacks():
    figures = kuramoto.main(tests=12, ranks="16")
    inferred = figures["16 modes, inferred: valid time [s]"]
    assert inferred > 1.3 * figures["16 modes, projected: valid time [s]"]
    assert inferred > 2.0 * figures["persistence: valid time [s]"]
    assert figures["solver on 32 nodes: valid time [s]"] > inferred


def test_polynomials_through_sixteen_runs_need_no_model():
    figures = lasdi_burgers.main(tests=4, nodes=201, steps=200)
    assert figures["polynomial of 16 runs: worst"] < 2e-4
    assert figures["polynomial of 16 runs: worst"] < 0.2 * figures["polynomial of 9 runs: worst"]
    assert figures["linear interpolation of 16 runs: worst"] < 5e-3
    assert figures["solver on a quarter: worst"] > 1e-2


def test_steps_with_complex_coefficients_are_of_second_order_and_real_ones_of_first():
    """Halving the step divides the miss by 4 and by 2, against steps of an eighth."""
    rng = np.random.default_rng(0)
    u = 0.3 * phi_rom_kdv.first_fields(1, rng)
    fine = phi_rom_kdv.stepper(64, 0.0025, real=False).march(u, 1, 80)[:, -1]
    for real, factor in ((False, 4.0), (True, 2.0)):
        miss = [
            np.linalg.norm(phi_rom_kdv.stepper(64, 0.2 / n, real=real).march(u, 1, n)[:, -1] - fine)
            for n in (10, 20)
        ]
        assert miss[0] / miss[1] == pytest.approx(factor, rel=0.2)


def test_a_projected_step_is_near_its_floor_and_a_coarse_grid_beats_it():
    figures = phi_rom_kdv.main(runs=64, tests=4, ranks="200")
    assert figures["200 modes, projected step: beyond"] < 0.3
    assert figures["grid 22 x 22: beyond"] < figures["200 modes, projected step: beyond"]
    assert figures["solution of the equation: beyond"] > 0.2
