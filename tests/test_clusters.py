"""Local bases: angles, medoids, subspaces, classifiers and the criterion, on data whose answer
is known.
"""

import tracemalloc

import numpy as np
import pytest
import scipy.sparse as sp

from rom.archive.nouns import load, save
from rom.basis import Basis
from rom.compress.decomposition import pod
from rom.errors import BadInput
from rom.local.bases import local_bases
from rom.local.dissimilarity import by_field, combine, scaling, sines, unit_sines
from rom.local.gain import expected_gain, gain_of
from rom.local.held_out import held_out_errors
from rom.local.hull import hull_coordinates
from rom.local.learning import fit_classifier
from rom.local.partition import medoids
from rom.local.recipes import Recipe, candidate, list_numbers, list_recipes
from rom.local.run_angles import between_runs, principal_angles
from rom.local.sight import Samples
from rom.local.trials import Trials, overlap, try_snapshots
from rom.snapshots import Snapshots
from rom.space import Field, Space, euclidean


def stiff(n):
    return sp.diags_array(
        [np.full(n - 1, -1.0), np.full(n, 2.1), np.full(n - 1, -1.0)], offsets=[-1, 0, 1]
    ).tocsr()


def planes(k=3, r=2, each=20, n=60, noise=1e-3, seed=0, dtype=float):
    """Samples of k random planes with amplitudes over six decades; mu tells the plane."""
    gen = np.random.default_rng(seed)
    draw = (
        (lambda *s: gen.standard_normal(s) + 1j * gen.standard_normal(s))
        if dtype is complex
        else lambda *s: gen.standard_normal(s)
    )
    labels = np.repeat(np.arange(k), each)
    U = np.hstack([np.linalg.qr(draw(n, r))[0] @ draw(r, each) for _ in range(k)])
    U = U + noise * np.linalg.norm(U, axis=0) / np.sqrt(n) * gen.standard_normal(U.shape)
    mu = np.column_stack([labels + 0.3 * gen.random(k * each), gen.random(k * each)])
    return U * 10.0 ** gen.uniform(-3, 3, k * each), mu, labels


def same_partition(a, b):
    return (
        len(set(zip(a.tolist(), b.tolist(), strict=True)))
        == len(set(a.tolist()))
        == len(set(b.tolist()))
    )


@pytest.mark.parametrize("dtype", [float, complex])
@pytest.mark.parametrize("budget", [2**10, 2**28])
def test_sine_is_the_relative_error_of_the_best_multiple(dtype, budget):
    U, mu, _ = planes(dtype=dtype)
    space = Space(stiff(60), np.arange(60))
    D = sines(Snapshots(space, mu, U), memory_budget=budget)
    for i, j in [(0, 1), (0, 25), (41, 7)]:
        c = space.inner(U[:, [j]], U[:, [i]])[0, 0] / space.norm(U[:, j]) ** 2
        assert D[i, j] == pytest.approx(
            space.norm(U[:, i] - c * U[:, j]) / space.norm(U[:, i]), abs=1e-12
        )
    scaled = Snapshots(space, mu, U * np.random.default_rng(1).uniform(-5, 5, U.shape[1]))
    np.testing.assert_allclose(sines(scaled), D, atol=1e-7)
    assert (D == D.T).all() and (np.diag(D) == 0).all()


def test_sine_obeys_the_triangle_inequality():
    U, mu, _ = planes(noise=0.3)
    D = sines(Snapshots(euclidean(60), mu, U))
    through = np.min(D[:, :, None] + D[None, :, :], axis=1)
    assert (through + 1e-7 >= D).all()


def test_fields_are_combined_by_their_own_angles():
    U, mu, _ = planes(n=60)
    space = Space(
        np.ones(60),
        np.arange(60),
        fields=(Field("a", "K", np.arange(20)), Field("b", "m", np.arange(20, 60))),
    )
    parts = [sines(Snapshots(euclidean(len(f.rows)), mu, U[f.rows])) for f in space.fields]
    np.testing.assert_allclose(
        by_field(Snapshots(space, mu, U), [1.0, 3.0]), combine(parts, [1.0, 3.0]), atol=1e-7
    )
    np.testing.assert_allclose(combine(parts, [1, 0]), parts[0])
    with pytest.raises(BadInput, match="weights"):
        combine(parts, [1.0, -1.0])


def test_principal_angles_are_those_that_were_built():
    theta = np.array([1e-9, 1e-4, 0.3, 1.2])
    Q = np.linalg.qr(np.random.default_rng(0).standard_normal((30, 8)))[0]
    V, W = Q[:, :4], Q[:, :4] * np.cos(theta) + Q[:, 4:] * np.sin(theta)
    np.testing.assert_allclose(principal_angles(euclidean(30), V, W), theta, rtol=1e-6, atol=1e-15)
    runs = [Basis(euclidean(30), B, s=np.array([4.0, 3.0, 2.0, 1.0])) for B in (V, W)]
    assert between_runs(runs)[0, 1] == pytest.approx(np.linalg.norm(np.sin(theta)), rel=1e-7)
    assert between_runs(runs, "grassmann")[0, 1] == pytest.approx(np.linalg.norm(theta), rel=1e-7)
    expected = np.linalg.norm(np.sin(theta) * runs[0].s) / np.linalg.norm(runs[0].s)
    assert between_runs(runs, "mutual")[0, 1] == pytest.approx(expected, rel=1e-7)
    shorter = Basis(euclidean(30), V[:, :3])
    assert between_runs([runs[0], shorter])[0, 1] == pytest.approx(1.0)
    assert between_runs([runs[0], shorter], "grassmann")[0, 1] == pytest.approx(np.pi / 2)


def test_medoids_refuse_what_the_library_takes_silently():
    D = np.ones((5, 5)) - np.eye(5)
    for bad, message in [(np.nan, "finite"), (np.inf, "finite"), (-1.0, ">= 0")]:
        wrong = D.copy()
        wrong[1, 2] = wrong[2, 1] = bad
        with pytest.raises(BadInput, match=rf"\(1, 2\).*{message}"):
            medoids(wrong, 2)
    with pytest.raises(BadInput, match="symmetric"):
        medoids(np.triu(D), 2)
    with pytest.raises(BadInput, match="6 medoids"):
        medoids(D, 6)


def test_medoids_reach_the_optimum_of_every_choice():
    from itertools import combinations

    D = np.abs(np.subtract.outer(*[np.random.default_rng(2).standard_normal(14)] * 2))
    labels, centres, loss = medoids(D, 3)
    assert loss == pytest.approx(
        min(D[:, list(c)].min(axis=1).sum() for c in combinations(range(14), 3))
    )
    assert (labels == np.argmin(D[:, centres], axis=1)).all()


@pytest.mark.parametrize("dtype", [float, complex])
def test_planes_are_found_whatever_the_amplitudes(dtype):
    U, mu, labels = planes(dtype=dtype)
    local = local_bases(Snapshots(euclidean(60), mu, U), 3, 2)
    assert same_partition(local.labels, labels)
    assert local.projection_errors(U).min(axis=1).max() < 5e-3
    for k in range(3):
        V = local.basis(k).modes
        assert np.abs(V.conj().T @ V - np.eye(2)).max() < 1e-12
        np.testing.assert_allclose(
            local.change(0, k), local.basis(0).modes.conj().T @ V, atol=1e-12
        )
    np.testing.assert_allclose(
        local.projection_errors(U)[:, 0],
        np.linalg.norm(U - local.basis(0).lift(local.basis(0).coefficients(U)), axis=0)
        / np.linalg.norm(U, axis=0),
        atol=1e-12,
    )


def test_refinement_never_worsens_the_held_out_error():
    U, mu, _ = planes(k=4, r=3, noise=0.2, seed=5)
    snapshots = Snapshots(euclidean(60), mu, U)
    before, after = local_bases(snapshots, 4, 3, refine=False), local_bases(snapshots, 4, 3)
    own = [float(np.mean(found.errors[np.arange(80), found.labels])) for found in (before, after)]
    assert own[1] <= own[0]


def test_held_out_error_is_that_of_a_basis_without_the_sample():
    U, mu, labels = planes(noise=0.3)
    _, A = hull_coordinates(Snapshots(euclidean(60), mu, U))
    E = held_out_errors(A, np.eye(3)[labels], 2, np.arange(60))
    unit = U / np.linalg.norm(U, axis=0)
    others = (labels == labels[7]) & (np.arange(60) != 7)
    W = np.linalg.svd(unit[:, others])[0][:, :2]
    assert E[7, labels[7]] == pytest.approx(
        np.linalg.norm(unit[:, 7] - W @ (W.T @ unit[:, 7])), abs=1e-7
    )
    np.testing.assert_allclose(unit_sines(A), sines(Snapshots(euclidean(60), mu, U)), atol=1e-6)


def test_zero_snapshots_have_no_direction():
    U, mu, _ = planes()
    U[:, 4] = 0.0
    for verb in (sines, lambda s: local_bases(s, 3, 2)):
        with pytest.raises(BadInput, match="snapshot 4"):
            verb(Snapshots(euclidean(60), mu, U))


def test_inputs_are_left_alone_and_seeds_repeat():
    U, mu, _ = planes(noise=0.2)
    U.flags.writeable = mu.flags.writeable = False
    snapshots = Snapshots(euclidean(60), mu, U)
    first, again = (
        local_bases(snapshots, 3, 2, classifier=fit_classifier, rng=4) for _ in range(2)
    )
    assert (first.labels == again.labels).all() and (
        first.classifier(mu) == again.classifier(mu)
    ).all()


def test_the_classifier_learns_the_planes_and_is_shipped(tmp_path):
    U, mu, labels = planes(each=30)
    local = local_bases(Snapshots(euclidean(60), mu, U), 3, 2, classifier=fit_classifier)
    gen = np.random.default_rng(9)
    new = gen.integers(3, size=200)
    x = np.column_stack([new + 0.3 * gen.random(200), gen.random(200)])
    name = {k: local.labels[labels == k][0] for k in range(3)}
    assert np.mean(local.classifier.choose(x) == [name[k] for k in new]) > 0.98
    np.testing.assert_allclose(local.classifier(x).sum(axis=1), 1.0)
    np.testing.assert_allclose(local.classifier.confusion.sum(axis=1), 1.0)
    save(tmp_path / "local.h5", local)
    again = load(tmp_path / "local.h5")
    assert np.array_equal(again.classifier(x), local.classifier(x)) and np.array_equal(
        again.rotations[1], local.rotations[1]
    )
    with pytest.raises(BadInput, match="2 features"):
        local.classifier(x[:, :1])


def test_the_classifier_prefers_the_cheaper_mistake():
    gen = np.random.default_rng(0)
    x = gen.random((200, 1))
    labels = (gen.random(200) < 0.4).astype(int)
    errors = np.column_stack([np.where(labels == 0, 0.0, 1.0), np.where(labels == 1, 0.0, 0.01)])
    assert (fit_classifier(x, labels, errors).choose(x) == 1).mean() > 0.95


def test_the_criterion_sees_whether_local_bases_pay():
    U, mu, _ = planes(k=3, r=2, each=24)
    gain = expected_gain(Snapshots(euclidean(60), mu, U), 2, (1, 2, 3))
    assert gain.recommended == 3 and gain.gain[2] > 50 and gain.gain[0] == pytest.approx(1.0)
    same, mu, _ = planes(k=1, r=4, each=48, noise=0.5)
    flat = expected_gain(Snapshots(euclidean(60), mu, same), 4, (1, 3))
    assert flat.recommended == 1
    with pytest.raises(BadInput, match="budget"):
        expected_gain(Snapshots(euclidean(60), mu, same), 4, budget=47)


def test_whole_runs_gain_only_where_a_run_stays_in_its_plane():
    U, mu, labels = planes(k=2, r=2, each=24)
    for runs, tied, pays in (
        (np.repeat(mu[::2], 2, axis=0), True, True),
        (np.tile(mu[:24], (2, 1)), True, False),
        (np.tile(mu[:24], (2, 1)), False, True),
    ):
        seen, known = Snapshots(euclidean(60), runs, U), np.column_stack([runs, labels])
        gain = expected_gain(seen, 2, (1, 2), inputs=known, whole_runs=tied)
        assert gain.gain[0] == pytest.approx(1.0) and (gain.gain[1] > 50) == pays


def test_scaling_returns_points_of_the_plane():
    x = np.random.default_rng(0).standard_normal((12, 2))
    D = np.linalg.norm(x[:, None] - x, axis=2)
    y, share = scaling(D)
    np.testing.assert_allclose(np.linalg.norm(y[:, None] - y, axis=2), D, atol=1e-12)
    assert share == pytest.approx(1.0)


def test_runs_are_compared_through_their_bases():
    U, mu, _ = planes(k=2, r=3, each=10, noise=0.0)
    first, second = (
        pod(Snapshots(euclidean(60), mu[:5], U[:, k : k + 5]), rank=3)[0] for k in (0, 5)
    )
    assert between_runs([first, second])[0, 1] < 1e-6


def test_pictures_are_drawn_and_bad_shapes_named(tmp_path):
    from rom.plot.clusters import cluster_plot, gain_plot

    x = np.random.default_rng(0).standard_normal((30, 2))
    cluster_plot(tmp_path / "a.png", x, np.arange(30) % 12, share=0.5)
    gain_plot(
        tmp_path / "b.png",
        np.array([1, 2, 4]),
        np.array([1.0, 2.0, 1.5]),
        np.full(3, 0.1),
        achieved=np.array([1.0, 1.9, 1.6]),
    )
    assert all((tmp_path / name).read_bytes()[:4] == b"\x89PNG" for name in ("a.png", "b.png"))
    with pytest.raises(BadInput, match="points have shape"):
        cluster_plot(tmp_path / "c.png", x, np.arange(3))


def test_many_snapshots_of_few_dofs_need_no_matrix_of_pairs():
    gen = np.random.default_rng(3)
    planes = gen.standard_normal((4, 30, 3))
    m = 8000
    which = gen.integers(4, size=m)
    u = np.stack([planes[j] @ gen.standard_normal(3) for j in which], axis=1)
    snapshots = Snapshots(euclidean(30), gen.random((m, 1)), u)
    tracemalloc.start()
    local = local_bases(snapshots, 4, 3)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < m * m * 8 / 3
    assert local.projection_errors(u).min(axis=1).max() < 1e-6
    chosen = local.nearest(local.hull.coefficients(u))
    assert (chosen == np.argmin(local.projection_errors(u), axis=1)).all()
    assert all(len(set(which[chosen == k])) == 1 for k in range(4))


def test_a_single_run_has_bases_although_nothing_is_left_to_hold_out():
    gen = np.random.default_rng(4)
    planes = gen.standard_normal((2, 12, 3))
    u = np.stack([planes[j % 2] @ gen.standard_normal(3) for j in range(200)], axis=1)
    run = Snapshots(euclidean(12), np.ones((200, 1)), u, np.arange(200.0))
    local = local_bases(run, 2, 3)
    assert (local.errors == 1.0).all()
    assert local.projection_errors(u).min(axis=1).max() < 1.0


def made_trials():
    """Two runs of two samples; recipe 1 is best in the mean, recipe 2 in the quantile."""
    nested = np.array([[4.0, 4.0, 4.0, 4.0], [0.0, 0.0, 0.0, 9.0], [3.0, 3.0, 3.0, 3.0]])
    recipes = (Recipe(1), Recipe(2), Recipe(2, "fields"))
    fold = np.array([0, 0, 1, 1])
    labels = (np.zeros(4, dtype=int),) * 3
    return Trials(recipes, nested, nested, nested < 1.0, labels, fold, fold, 1, 2, 4)


def test_the_recipe_is_that_of_the_aim_and_no_fold_judges_its_own_choice():
    trials = made_trials()
    assert trials.best("mean", (2,)) == 1 and trials.best("q90", (2,)) == 2
    assert trials.best("mean", (1,)) == 0
    # without fold 1 recipe 1 has no error, without fold 0 its mean is 4.5: fold 0 takes recipe 2
    errors = trials.honest("mean", 2)[0]
    assert errors.tolist() == [3.0, 3.0, 0.0, 9.0]
    gain = gain_of(trials, (1, 2))
    assert gain.gain.tolist() == pytest.approx([1.0, 16.0 / 15.0]) and gain.recommended == 2
    with pytest.raises(BadInput, match=r"no recipe was tried with \[3\]"):
        trials.best("mean", (3,))
    with pytest.raises(BadInput, match="aim is 'most'"):
        gain_of(trials, (1,), "most")


@pytest.mark.parametrize("runs", [8, 60])
def test_trials_of_many_snapshots_take_few_of_every_run(runs, monkeypatch):
    monkeypatch.setattr("rom.local.trials.MOST", 40)
    U, mu, _ = planes(k=2, r=2, each=60)
    snapshots = Snapshots(euclidean(60), mu[np.arange(120) % runs], U)
    trials = try_snapshots(snapshots, (1, 2), 2, None)
    assert trials.m == 120 and trials.nested.shape[1] == len(trials.fold) == 40
    assert sorted(set(trials.run_of.tolist())) == list(range(min(runs, 40)))
    for run in range(min(runs, 40)):
        assert len(set(trials.fold[trials.run_of == run].tolist())) == 1
    labels = local_bases(snapshots, (1, 2), 2, trials=trials).labels
    assert len(labels) == 120


def test_trials_of_other_snapshots_are_refused():
    U, mu, _ = planes(k=2, each=10)
    snapshots = Snapshots(euclidean(60), mu, U)
    with pytest.raises(BadInput, match="of 4 snapshots and 2 modes, not of 20 and 2"):
        local_bases(snapshots, [1, 2], 2, trials=made_trials())


def test_one_basis_stays_where_more_only_fit_the_runs_that_are_there():
    U, mu, _ = planes(k=1, r=4, each=40, noise=0.5, seed=3)
    flat = Snapshots(euclidean(60), mu, U)
    assert local_bases(flat, (1, 3), 4, classifier=fit_classifier).K == 1
    apart, mu, _ = planes(k=3, r=2, each=14)
    split = Snapshots(euclidean(60), mu, apart)
    assert local_bases(split, (1, 3), 2, classifier=fit_classifier).K == 3


def test_one_basis_is_left_for_what_errs_less_on_nearly_every_run():
    run, labels = np.arange(12), (np.zeros(12, dtype=int),) * 2
    single = np.random.default_rng(0).uniform(2.0, 3.0, 12)
    shared = {"hits": np.ones((2, 12), dtype=bool), "labels": labels, "fold": run % 3}
    shared |= {"run_of": run, "runs": 8, "rank": 2, "m": 12}
    lucky = np.where(run == 0, 0.0, single)  # all of its gain is that of one run
    steady = single * lucky.mean() / single.mean()  # the same gain on each
    for other, answer in ((steady, 1), (lucky, 0), (single, 0)):
        errors = np.stack([single, other])
        trials = Trials((Recipe(1), Recipe(2)), errors, errors, **shared)
        assert trials.best("mean", (1, 2)) == answer
        assert trials.best("mean", (2,)) == 1 and trials.best("mean", (1,)) == 0


def test_bases_of_least_sum_of_errors_follow_the_many_not_the_few_that_err_most():
    gen, m = np.random.default_rng(0), 46
    unit = np.zeros((11, 2 * m))
    unit[:2, :40] = np.stack([np.ones(40), 0.2 * np.tile([-1, 1], 20)])  # energy 1.5 beside e_1
    unit[2, 40:m] = 1.0  # six strangers, of energy 3 beside what each has alone
    unit[5:, 40:m] = np.eye(6)
    unit[3:5, m:] = gen.standard_normal((2, m))
    unit /= np.linalg.norm(unit, axis=0)
    labels = np.repeat([0, 1], m)
    samples = Samples(unit, np.ones(2 * m), gen.random((2 * m, 1)), np.arange(2 * m))
    fold = np.arange(2 * m) % 3
    plain = candidate(samples, labels, 2, fold)
    errors = [one.errors[:m, 0].mean() for one in (plain, overlap(samples, plain, 2))]
    # e_1 and the mean of the four strangers of other folds
    with_third = 40 * 0.2 / np.sqrt(1.04) + 6 * np.sqrt(0.6)
    assert errors[0] == pytest.approx(with_third / m, rel=1e-2)
    assert errors[1] == pytest.approx(6 / m, rel=1e-3)  # e_1 and e_2


def test_numbers_to_choose_among_end_with_the_most():
    assert list_numbers(1) == (1,) and list_numbers(2) == (1, 2)
    assert list_numbers(6) == (1, 2, 3, 5, 6) and list_numbers(8) == (1, 2, 3, 5, 8)
    with pytest.raises(BadInput, match="at least 1"):
        list_recipes([0, 2])


def test_a_gain_that_is_the_same_on_every_run_deviates_only_where_labels_and_recipes_differ():
    single = np.random.default_rng(0).uniform(1.0, 3.0, 12)
    run, labels = np.arange(12), (np.zeros(12, dtype=int),) * 2
    shared = {"hits": np.ones((2, 12), dtype=bool), "labels": labels, "fold": run % 3}
    shared |= {"run_of": run, "runs": 8, "rank": 2, "m": 12}
    nested = np.stack([single, 0.5 * single])
    same = gain_of(Trials((Recipe(1), Recipe(2)), nested, nested, **shared), (2,))
    assert same.gain[0] == pytest.approx(2.0) and same.std[0] == pytest.approx(0.0, abs=1e-12)
    own = np.stack([single, 0.125 * single])
    apart = gain_of(Trials((Recipe(1), Recipe(2)), nested, own, **shared), (2,))
    # gains of 2 and 8: their geometric mean, and half the distance of their logarithms
    assert apart.gain[0] == pytest.approx(4.0)
    assert apart.std[0] == pytest.approx(4.0 * 0.5 * np.log(4.0))
