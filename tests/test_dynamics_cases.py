"""Cases of laws in time: what they show, with less work than their tables."""

import pytest

from cases import burgers_front, kdv_few_runs, own_burgers, wake

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
