"""Local reduced models: the dictionary behind a classifier, bases that change with time, and the
case's table on a small size.
"""

import numpy as np
import pytest

from cases.local_bases import main
from cases.local_cube import main as local_cube
from cases.thermal_block import problem
from rom.archive.nouns import load, save
from rom.basis import Basis, LocalBases
from rom.certified import galerkin_model
from rom.design.designs import sobol
from rom.errors import BadInput
from rom.local.bases import local_bases
from rom.local.learning import fit_classifier
from rom.local.marching import switch_bases
from rom.local.models import LocalModel
from rom.snapshots import Snapshots
from rom.space import euclidean


@pytest.fixture(scope="module")
def dictionary():
    block = problem(cells=10)
    mus = sobol(block.box, 96, rng=0)
    snapshots = Snapshots(block.space, mus, np.column_stack([block.solve(mu) for mu in mus]))
    bases = local_bases(snapshots, 3, 6, classifier=fit_classifier)
    return block, bases, tuple(galerkin_model(block, bases.basis(k)) for k in range(3))


def test_answers_are_those_of_the_chosen_model_in_hull_coordinates(dictionary):
    block, bases, models = dictionary
    model = LocalModel(bases, models, sure=0.0)
    for mu in sobol(block.box, 8, rng=5):
        k, answer = model.answer_of_cluster(mu, mu)
        assert k == bases.classifier.choose(mu)[0]
        direct = models[k].predict(mu)
        np.testing.assert_allclose(
            model.basis.lift(answer.coefficients),
            models[k].basis.lift(direct.coefficients),
            atol=1e-13,
        )
        assert answer.bound == direct.bound
        assert block.space.norm(
            block.solve(mu) - model.basis.lift(answer.coefficients)
        ) <= answer.bound * (1 + 1e-9)


def test_an_unsure_classifier_asks_the_bounds(dictionary):
    block, bases, models = dictionary
    mus = sobol(block.box, 64, rng=7)
    doubtful = mus[bases.classifier(mus).max(axis=1) < 0.95]
    assert len(doubtful) > 2
    sure, unsure = (
        LocalModel(bases, models, sure=0.0).predict(doubtful),
        LocalModel(bases, models, sure=0.95).predict(doubtful),
    )
    assert (unsure.bound <= sure.bound * (1 + 1e-12)).all() and unsure.coefficients.shape == (
        bases.hull.r,
        len(doubtful),
    )
    worst = LocalModel(bases, models, 0.95, indicator=lambda k, mu, a: -a.bound).predict(doubtful)
    assert (worst.bound >= sure.bound * (1 - 1e-12)).all()


def test_a_dictionary_is_shipped(dictionary, tmp_path):
    block, bases, models = dictionary
    mu = sobol(block.box, 5, rng=3)
    save(tmp_path / "local.h5", LocalModel(bases, models))
    again = load(tmp_path / "local.h5").predict(mu)
    assert np.array_equal(again.coefficients, LocalModel(bases, models).predict(mu).coefficients)
    with pytest.raises(BadInput, match="2 models for 3 clusters"):
        LocalModel(bases, models[:2])


def rotating(n=40, K=2):
    """du/dt = -A u with A = A^T > 0 on R^n, and bases.

    All of R^n, or two overlapping halves of it.
    """
    gen = np.random.default_rng(0)
    Q = np.linalg.qr(gen.standard_normal((n, n)))[0]
    A = Q * np.linspace(0.1, 5.0, n) @ Q.T
    hull = Basis(euclidean(n), np.eye(n))
    eye = np.eye(n)
    rotations = (eye,) if K == 1 else (eye[:, : 3 * n // 4], eye[:, n // 4 :])
    centres = np.stack([W.mean(axis=1) / np.linalg.norm(W.mean(axis=1)) for W in rotations], axis=1)
    return A, LocalBases(hull, rotations, np.zeros(0, dtype=int), centres)


def decay(A, power=1.0):
    """(c - c_old) / dt + A c + (power - 1) c^3 = 0, projected on the hull."""

    def equation(c, old, mu, t0, t1):
        R = (c - old) / (t1 - t0) + A @ c + (power - 1) * c**3
        return R, np.eye(len(c)) / (t1 - t0) + A + 3 * (power - 1) * np.diag(c**2)

    return equation


@pytest.mark.parametrize("power", [1.0, 2.0])
def test_one_cluster_that_holds_everything_is_the_full_scheme(power):
    A, bases = rotating(K=1)
    times, u = np.linspace(0.0, 1.0, 11), np.sin(np.arange(40.0))
    answer, used = switch_bases(bases, decay(A, power), np.zeros(1), times, u)
    for k in range(10):
        R, _ = decay(A, power)(answer[:, k + 1], answer[:, k], None, times[k], times[k + 1])
        assert np.linalg.norm(R) < 1e-8
    assert (used == 0).all() and answer.shape == (40, 11)


def test_states_stay_in_the_basis_of_their_step_and_satisfy_its_equations():
    A, bases = rotating()
    times, u = np.linspace(0.0, 2.0, 21), np.exp(-np.arange(40.0) / 5)
    answer, used = switch_bases(bases, decay(A), np.zeros(1), times, u)
    for k, cluster in enumerate(used):
        W = bases.rotations[cluster]
        c, old = answer[:, k + 1], W @ (W.T @ answer[:, k])
        assert np.linalg.norm(c - W @ (W.T @ c)) < 1e-14
        assert np.linalg.norm(W.T @ decay(A)(c, old, None, times[k], times[k + 1])[0]) < 1e-8
    with pytest.raises(BadInput, match="start of 40"):
        switch_bases(bases, decay(A), np.zeros(1), times, u[:3])


@pytest.mark.parametrize("name", ["burgers", pytest.param("helmholtz", marks=pytest.mark.slow)])
def test_local_bases_beat_the_others_on_unseen_runs(name):
    numbers = main(sets=20, names=name, judge=False)
    assert numbers["problems_sine_below_classic"] == numbers["problems_ours_below_sine"] == 1
    assert numbers["worst_over_best_mean"] <= 1.02 and numbers["worst_over_best_q90"] <= 1.02
    assert numbers[f"{name}_sine_online_mean"] < numbers[f"{name}_parameters_online_mean"]
    assert numbers["certificate_violations"] == 0 and numbers["tightness_incremental"] < 1.02
    assert numbers["problems_fewer_numbers"] == 1


@pytest.mark.slow
def test_the_criterion_recommends_what_pays_on_unseen_runs(tmp_path):
    numbers = main(sets=0, names="source", out=str(tmp_path))
    assert numbers["problems_ours_below_sine"] == numbers["problems_ours_below_sine_online"] == 1
    assert numbers["worst_over_best_mean"] <= 1.02 and numbers["worst_over_best_q90"] <= 1.02
    assert numbers["criterion_gain_ratio"] >= 0.85 and numbers["source_expected_gain"] > 1.5
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "source",
        "source_clusters.png",
        "source_gain.png",
    ]


def chosen(numbers):
    """(what the reduced models expect to gain most from, whether that is more than a standard
    deviation).
    """
    expected = {
        (K, kind): numbers[f"expected_gain_{kind}_{K}"]
        for K in (2, 4)
        for kind in ("snapshots", "runs")
    }
    best = max(expected, key=expected.get)
    return best, expected[best] - numbers["expected_gain_std"] > 1.0


@pytest.mark.slow
def test_local_models_of_the_cube_err_less_than_a_global_one_of_the_same_cost():
    numbers = local_cube(cells=3, training=50, unseen=24, seed=2)
    assert ((numbers["K"], "runs" if numbers["whole_runs"] else "snapshots"), True) == chosen(
        numbers
    )
    for field in ("u", "stress"):
        ratio = numbers[f"global_{field}_error_mean"] / numbers[f"local_{field}_error_mean"]
        assert numbers[f"gain_{field}_mean"] == pytest.approx(ratio) and ratio > 1.0
    assert numbers["models_asked_local_mean"] == 1.0 < numbers["models_asked_asking_mean"]
    assert (
        numbers["points_local_most"] <= numbers["points_global"]
        and numbers["not_converged_local"] == 0
    )


@pytest.mark.slow
def test_local_models_of_the_cube_are_taken_only_where_they_surely_gain():
    numbers = local_cube(cells=3, training=50, unseen=4, seed=1)
    best, surely = chosen(numbers)
    assert (numbers["K"], "runs" if numbers["whole_runs"] else "snapshots") == (
        best if surely else (1, "snapshots")
    )
    assert surely or numbers["gain_u_mean"] == numbers["gain_stress_mean"] == 1


def test_where_no_local_model_is_wanted_local_is_the_global_one():
    numbers = local_cube(cells=1, training=12, unseen=2, k=1, modes=3, points=4, stress=3)
    assert numbers["K"] == numbers["gain_u_mean"] == numbers["gain_stress_q90"] == 1
    assert numbers["local_stress_error_mean"] == numbers["global_stress_error_mean"] > 0
