"""Frequency responses by second-order Krylov spaces, and what is asked of sound."""

import numpy as np
import pytest
import scipy.sparse as sp

from cases.lined_cabin import BAND, cabin, main, solves
from rom.certified import frequency_response, response_operator
from rom.certified.second_order import second_order_krylov
from rom.errors import BadInput
from rom.space import Space, euclidean
from solvers import sound

RNG = np.random.default_rng(0)


def small(n=30, damping=0.1):
    """A chain of masses: K, C, M and a load."""
    K = sp.diags_array([np.full(n, 2.0), -np.ones(n - 1), -np.ones(n - 1)], offsets=[0, 1, -1])
    C = sp.diags_array(damping * RNG.random(n))
    return sp.csr_array(K), sp.csr_array(C), sp.eye_array(n, format="csr"), RNG.standard_normal(n)


def test_the_space_holds_the_taylor_coefficients_of_the_response():
    K, C, M, f = small()
    Q = second_order_krylov(response_operator(K, C, M), f, 0.7, 4)
    A0, A1, A2 = (K + 0.7j * C - 0.49 * M).toarray(), 1j * C - 1.4 * M, -M
    before, now = np.zeros(30), np.linalg.solve(A0, f)
    np.testing.assert_allclose(Q.conj().T @ Q, np.eye(4), atol=1e-13)
    for _ in range(4):
        assert np.linalg.norm(now - Q @ (Q.conj().T @ now)) < 1e-10 * np.linalg.norm(now)
        before, now = now, np.linalg.solve(A0, -A1 @ now - A2 @ before)


def test_the_process_ends_where_the_space_is_invariant():
    K, C, M, f = small(6)
    Q = second_order_krylov(response_operator(K, C, M), f, 0.7, 20)
    assert Q.shape[1] <= 6 and np.allclose(Q.conj().T @ Q, np.eye(Q.shape[1]))


def test_undamped_symmetric_systems_keep_a_real_answer():
    K, C, M, f = small(damping=0.0)
    Q = second_order_krylov(response_operator(K, C, M), f, 0.333, 5)
    assert np.linalg.matrix_rank(np.hstack([Q.real, Q.imag]), tol=1e-10) == 5


@pytest.fixture(scope="module")
def numbers():
    return main(h=0.05, fresh=60)


def test_few_factorisations_give_the_band_where_snapshots_do_not(numbers):
    few = numbers["factorisations"]
    assert few <= 4 and numbers["N"] <= 12 * few and numbers["response_error"] < 1e-5
    errors = numbers["snapshots_errors"]
    assert errors[few] > 0.1 and errors[2 * few] > 1e3 * numbers["response_error"]
    assert numbers["nearest_error"] > 0.1


def test_the_band_holds_at_unseen_wavenumbers(numbers):
    assert numbers["band_holds"] == numbers["fresh"] == 60 and numbers["band_low"] >= 1


def test_the_model_is_measured_and_real():
    mesh, K, C, M, f = cabin(0.1)
    space = Space(M, np.arange(len(f)))
    model, expansion = frequency_response(
        space, response_operator(K, C, M), f, np.linspace(*BAND, 80), tol=1e-3
    )
    assert not np.iscomplexobj(model.basis.modes) and expansion.reason == "tol 0.001 reached"
    assert model.known.name == "MEASURED" and model.box.names == ("k",)
    k = np.array([3.3])
    exact = solves(response_operator(K, C, M), f, k)[:, 0]
    answer = model.predict(k)
    assert space.norm(exact - model.basis.lift(answer.coefficients)) <= answer.bound
    assert mesh.points.shape == (len(f), 2) and M.sum() == pytest.approx(
        3 * 1.2 - 0.2 * 0.7 - 0.2 * 0.6
    )


def test_what_is_no_response_is_refused():
    K, C, M, f = small()
    train = np.linspace(0.5, 1.0, 5)
    with pytest.raises(BadInput, match="C holds complex128"):
        response_operator(K, 1j * C, M)
    A = response_operator(K, C, M)
    with pytest.raises(BadInput, match="positive wavenumbers"):
        frequency_response(euclidean(30), A, f, train - 0.5)
    with pytest.raises(BadInput, match="no response_operator"):
        frequency_response(euclidean(29), A, f[1:], train)
    with pytest.raises(BadInput, match="fewer than 6 points a wavelength"):
        main(h=0.2)


def test_levels_and_third_octaves_of_known_spectra():
    assert sound.to_level(np.array(np.sqrt(2.0)))[()] == pytest.approx(93.9794, abs=1e-4)
    f = np.linspace(50, 900, 1000)
    centre, mean = sound.third_octaves(f, np.stack([np.full(1000, 3.0), 2 * f], axis=1))
    assert centre[0] == pytest.approx(63.0957, abs=1e-3) and centre[-1] < 900
    np.testing.assert_allclose(mean[:, 0], 3.0)
    np.testing.assert_allclose(mean[:, 1], centre * (10**0.05 + 10**-0.05))
    with pytest.raises(BadInput, match="no whole third octave"):
        sound.third_octaves(np.array([100.0, 101.0]), np.ones(2))


def test_power_of_a_monopole_does_not_depend_on_the_sphere():
    """p = exp(ikr) / (4 pi r): 1 / (8 pi rho c) watts."""
    for radius in (1.0, 5.0):
        x, weights = sound.sphere_points(radius)
        r = np.linalg.norm(x - [0.1, 0.0, 0.0], axis=1)
        H = sound.power_form((np.exp(2j * r) / (4 * np.pi * r))[:, None], weights)
        assert H[0, 0].real == pytest.approx(1 / (8 * np.pi * sound.RHO_C), rel=0.03 / radius**2)
    assert weights.sum() == pytest.approx(100 * np.pi)


def test_a_signal_in_time_is_the_sum_of_its_waves():
    p = np.array([1.0 + 2.0j, 0.0, -0.5j])
    t, signal = sound.time_signal(p, 10.0)
    waves = [(c * np.exp(-2j * np.pi * 10 * (j + 1) * t)).real for j, c in enumerate(p)]
    np.testing.assert_allclose(signal, np.sum(waves, axis=0), atol=1e-14)
    assert t[-1] + t[1] == pytest.approx(0.1)


def test_a_resonator_resists_alone_at_its_resonance():
    depth = 0.05
    f = 343.2 / (4 * depth)  # a quarter of a wave: cot is zero
    assert sound.resonator(f, 1.0, 0.0, depth) == pytest.approx(1.0, abs=1e-12)
    assert sound.resonator(f / 2, 1.0, 0.0, depth).imag == pytest.approx(1.0)
    with pytest.raises(BadInput, match="depth > 0"):
        sound.resonator(f, 1.0, 0.0, 0.0)
