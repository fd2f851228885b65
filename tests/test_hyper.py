"""Hyper-reduced solids: the full model on all points and modes, restarts, enrichment,
indicators, what a loaded model needs.
"""

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import rom
from cases.viscoplastic_cube import FLAT, HOT, cube, hot_spot, reproduce, ten_steps, two_cycles
from rom.archive.nouns import load, save
from rom.bands import Indicator, calibrate_indicator, trust
from rom.basis import Basis
from rom.errors import BadInput, NotConverged
from rom.prediction import Known, Place
from rom.solids import runs as runs_of_solids
from rom.solids.calibration import step_errors, with_indicators
from rom.solids.model import FEATURES, Tolerances
from rom.solids.runs import Watch, continue_run, follow
from rom.solids.steps import full_step, reduced_step, replay, start_run
from rom.solids.training import train_solid
from rom.solids.weighted import advance, reduced_march, weighted_model
from solvers.bricks import box
from solvers.laws import LAWS
from solvers.solid import body, march
from solvers.thermoelastic import fixed_dofs


@pytest.fixture(scope="module")
def hot():
    """A small cube, four fields, their histories, a model of the first three."""
    b = cube(3, HOT)
    loadings = [two_cycles(b, hot_spot(b, np.random.default_rng([1, k]))) for k in range(4)]
    runs = [(loading, march(b, loading, loading.t)) for loading in loadings]
    return (
        b,
        runs,
        train_solid(
            b, [h for _, h in runs[:3]], Tolerances(u=1e-4, p=1e-4, stress=1e-4, cubature=1e-5)
        ),
    )


def test_all_points_and_all_modes_are_the_full_model():
    b = cube(2, FLAT)
    free = np.setdiff1d(np.arange(b.n), b.fixed)
    modes = np.zeros((b.n, len(free)))
    modes[free, np.arange(len(free))] = 1 / np.sqrt(b.space.product[free])
    basis, loading = Basis(b.space, modes), ten_steps(b)
    model = weighted_model(basis, b.strain(modes), b, np.arange(b.points.n), b.points.product)
    ours = reduced_march(model, loading.reduce(basis, model.points, b.points), loading.t)
    theirs = march(b, loading, loading.t, tol=1e-12)
    assert np.abs(basis.lift(ours.u) - theirs.u).max() < 1e-9 * np.abs(theirs.u).max()
    assert (
        np.abs(ours.p - theirs.p).max() < 1e-8 * theirs.p.max()
        and np.abs(ours.stress - theirs.stress).max() < 1e-6
    )


def pulled(b, pull=2e-3):
    """One cycle of the hot cube whose top is drawn up and back while it spins, under two tables
    of its own.
    """
    loading = two_cycles(b, hot_spot(b, np.random.default_rng(3)))
    loading = replace(
        loading, t=loading.t[:21], amplitudes=loading.amplitudes[:21], mixture=loading.mixture[:21]
    )
    z = b.mesh.points[:, 2]
    moves = np.zeros((b.n, 2))
    moves[2::3, 0], moves[0::3, 1] = z, z**2
    share = loading.mixture[:, 1]
    return replace(loading, moves=pull * moves, motion=np.stack([share, 0.5 * share**2], axis=1))


def test_moving_supports_of_the_full_basis_are_those_of_the_full_model():
    b = held_at_the_top(2)
    free, loading = np.setdiff1d(np.arange(b.n), b.fixed), pulled(b)
    modes = np.zeros((b.n, len(free)))
    modes[free, np.arange(len(free))] = 1 / np.sqrt(b.space.product[free])
    basis = Basis(b.space, modes)
    model = weighted_model(basis, b.strain(modes), b, np.arange(b.points.n), b.points.product)
    ours = reduced_march(
        model,
        loading.reduce(basis, model.points, b.points, b.strain(loading.moves)),
        loading.t[:16],
    )
    theirs = march(b, loading, loading.t[:16], tol=1e-12)
    u = basis.lift(ours.u) + np.stack([loading.prescribed(t) for t in theirs.t], axis=1)
    assert np.abs(theirs.u[b.fixed]).max() == pytest.approx(2e-3)
    assert (
        np.abs(u - theirs.u).max() < 1e-9 * np.abs(theirs.u).max()
        and np.abs(ours.p - theirs.p).max() < 1e-8 * theirs.p.max()
    )
    with pytest.raises(BadInput, match=r"strain=body\.strain"):
        loading.reduce(basis, model.points, b.points)


def test_a_model_of_moving_supports_reproduces_them_and_learns_from_full_steps():
    b = held_at_the_top(3)
    loadings = [pulled(b, pull) for pull in (1e-3, 3e-3, 2e-3)]
    found = [march(b, x, x.t) for x in loadings]
    made = train_solid(b, found[:2], Tolerances(1e-4, 1e-4, 1e-4, 1e-5), loadings=loadings[:2])
    assert np.abs(made.basis.modes[b.fixed]).max() < 1e-12
    for k, bound in ((0, 2e-3), (2, 5e-2)):
        answers = follow(made, b, loadings[k]).states
        e, d, _ = step_errors(b, answers, found[k]).T
        assert e.max() < bound and d.max() < bound
        assert np.abs(answers[14].u()[b.fixed] - found[k].u[b.fixed, 14]).max() < 1e-15
    rich = follow(made, b, loadings[2], watch=Watch(), full_steps=(0, 4), max_full_steps=2)
    better, _, _ = step_errors(b, rich.states, found[2]).T
    assert better.max() < e.max() and better[4] < 1e-3


def held_at_the_top(cells):
    mesh = box((cells,) * 3)
    return body(mesh, {None: HOT}, np.union1d(fixed_dofs(mesh, "z0"), fixed_dofs(mesh, "z1")))


def test_the_reproduction_of_a_history():
    found = reproduce(6)
    assert (
        found["u_error"] <= 1e-5 and found["p_error"] <= 5e-5 and found["point_fraction"] <= 0.054
    )
    assert (
        found["cubature_volume"] < 1e-7 and found["p_error_gappy"] < 1e-5 and found["n_modes"] == 10
    )


def test_a_trained_model_reproduces_its_training(hot):
    b, runs, model = hot
    for loading, h in runs[:3]:
        run = follow(model, b, loading)
        e, d, _ = step_errors(b, run.states, h).T
        assert e.max() < 2e-3 and d.max() < 2e-3 and not any(step.full for step in run.steps)


def test_a_restart_is_the_run_and_nothing_online_is_as_large_as_the_mesh(hot):
    b, runs, made = hot
    loading, model = runs[3][0].reduce(made.basis, made.model.points, b.points), made.model
    once, first = (
        reduced_march(model, loading, loading.t),
        reduced_march(model, loading, loading.t[:11]),
    )
    second = reduced_march(model, loading, loading.t[10:], start=first.last)
    assert np.array_equal(np.hstack([first.u, second.u]), once.u) and np.array_equal(
        second.last.state, once.last.state
    )
    assert once.last.state.shape[0] == len(model.points) == len(loading.temperatures)
    assert np.array_equal(model.predict(loading=loading).coefficients, once.u)


def test_replay_of_the_exact_strains_is_the_full_history():
    b = cube(2, HOT)
    loading = two_cycles(b, hot_spot(b, np.random.default_rng(0)))
    h = march(b, loading, loading.t[:11], tol=1e-12)
    basis = Basis(
        b.space,
        np.linalg.qr(np.sqrt(b.space.product)[:, None] * h.u)[0]
        / np.sqrt(b.space.product)[:, None],
    )
    made = train_solid(b, [h], Tolerances(1e-8, 1e-8, 1e-8, 1e-8))
    run = start_run(replace(made, basis=basis, strain=b.strain(basis.modes)), b, loading)
    run = replace(
        run, since=tuple((t, basis.coefficients(h.u[:, k])) for k, t in enumerate(loading.t[1:11]))
    )
    last = replay(run, b)[-1]
    assert (
        np.abs(last.state - h.last.state).max() < 1e-9
        and np.abs(last.stress - h.last.stress).max() < 1e-6
    )


def test_one_full_step_is_that_step_and_the_model_knows_it_afterwards(hot):
    b, runs, made = hot
    loading, h = runs[3]
    run = full_step(start_run(made, b, loading), b, loading.t[0], loading.t[1])
    assert np.abs(run.u() - h.u[:, 0]).max() < 1e-3 * np.abs(h.u[:, 0]).max()
    grown = run.trained
    assert grown.basis.r == made.basis.r + 1 and grown.rule.error <= made.tol.cubature
    gram = b.space.inner(grown.basis.modes, grown.basis.modes)
    assert np.abs(gram - np.eye(grown.basis.r)).max() < 1e-12
    assert np.array_equal(grown.strain, b.strain(grown.basis.modes)) or np.allclose(
        grown.strain, b.strain(grown.basis.modes), atol=1e-12
    )
    plain, better = start_run(made, b, loading), start_run(grown, b, loading)
    worse, best = (
        step_errors(b, [reduced_step(r, loading.t[0], loading.t[1])], h)[0, 0]
        for r in (plain, better)
    )
    assert best < 0.2 * worse


def test_p_of_a_full_step_is_kept_relative_to_the_run_and_not_to_the_training(hot):
    b, runs, made = hot
    whole, h = runs[3]
    loading = replace(
        whole, t=whole.t[:4], amplitudes=whole.amplitudes[:4], mixture=whole.mixture[:4]
    )
    run = follow(made, b, loading, watch=Watch(), full_steps=(0, 1, 2), max_full_steps=3)
    size = b.points.norm(h.p[:, :3])
    assert size.max() < 0.1 * max(b.points.norm(one.p).max() for _, one in runs[:3])
    assert all(
        b.points.norm(state.p() - h.p[:, k]) < 2 * made.tol.p * size.max()
        for k, state in enumerate(run.states)
    )


def test_enrichment_pays_and_says_why(hot):
    b, runs, made = hot
    loading, h = runs[3]
    bare = follow(made, b, loading)
    rich = follow(made, b, loading, watch=Watch(), full_steps=(0, 4, 19, 24), max_full_steps=4)
    e0, d0, _ = step_errors(b, bare.states, h).T
    e1, d1, _ = step_errors(b, rich.states, h).T
    assert e1.max() < 0.5 * e0.max() and d1.max() < 0.5 * d0.max()
    full = [k for k, step in enumerate(rich.steps) if step.full]
    assert full == [0, 4, 19, 24] and all(rich.steps[k].reason for k in full)
    assert rich.steps[-1].modes == rich.model.basis.r > made.basis.r


def test_reduced_newton_fails_clearly(hot):
    b, runs, made = hot
    loading = runs[3][0].reduce(made.basis, made.model.points, b.points)
    with pytest.raises(NotConverged, match="after all cuts"):
        advance(made.model, loading, 0.0, 0.5, made.model.rest(), tol=1e-30, max_cuts=1)
    with pytest.raises(BadInput, match="without its law"):
        replace(made.model, law=None).rest()
    with pytest.raises(BadInput, match="no dual field"):
        made.model.dual("T", np.zeros(3))


def test_a_saved_model_brings_its_law_and_gives_the_same_answers(hot, tmp_path):
    b, runs, made = hot
    loading = runs[0][0].reduce(made.basis, made.model.points, b.points)
    save(tmp_path / "model.h5", made.model)
    back = load(tmp_path / "model.h5", LAWS)
    assert np.array_equal(
        back.predict(loading=loading).coefficients, made.model.predict(loading=loading).coefficients
    )
    with pytest.raises(
        BadInput, match=r"needs the class 'solvers\.laws\.viscoplastic:Visco.*'; pass load"
    ):
        load(tmp_path / "model.h5")
    with pytest.raises(BadInput, match=r"needs a class for 'solvers\.laws\.viscoplastic:Visco"):
        load(tmp_path / "model.h5", dict.fromkeys(LAWS, print))


def test_a_run_saved_between_two_cycles_goes_on_as_if_it_had_not_stopped(hot, tmp_path):
    b, runs, made = hot
    loading = runs[3][0]
    once = follow(made, b, loading, watch=Watch(), full_steps=(0, 4, 24), max_full_steps=3)
    save(tmp_path / "run.h5", once.states[19])
    state = load(tmp_path / "run.h5", LAWS)
    after = continue_run(state, b, watch=Watch(), full_steps=(4,), max_full_steps=1)
    assert [step.full for step in after.steps] == [step.full for step in once.steps[20:]]
    for ours, theirs in zip(after.states, once.states[20:], strict=True):
        assert np.array_equal(ours.u(), theirs.u()) and np.array_equal(ours.p(), theirs.p())
        assert np.array_equal(ours.now.state, theirs.now.state) and np.array_equal(
            ours.features, theirs.features
        )
    with pytest.raises(BadInput, match="nothing left"):
        continue_run(after.states[-1], b)
    with pytest.raises(BadInput, match="not watched"):
        start_run(made, b, loading).features  # noqa: B018


def test_calibration_covers_what_is_exchangeable():
    rng = np.random.default_rng(0)
    runs = np.repeat(np.arange(60), 40)
    features = np.exp(rng.normal(-5, 2, (2400, 2)))
    errors_ = 2.0 * features[:, 0] ** 0.8 * np.exp(0.5 * rng.standard_normal(2400))
    half = runs < 30
    found = calibrate_indicator(
        ("a", "b"), features[half], errors_[half], runs[half], level=0.95, floor=1e-12
    )
    assert (
        found.coefficients == pytest.approx([0.8, 0.0, np.log(2.0)], abs=0.05)
        and (found.coefficients[:2] >= 0).all()
    )
    seen = trust(found, features[~half], errors_[~half])
    assert 0.95 <= seen["coverage"] < 0.995 and seen["log_correlation"] > 0.93
    every = calibrate_indicator(
        ("a", "b"), features[half], errors_[half], runs[half], level=0.9, floor=1e-12, whole=True
    )
    missed = [np.any(errors_[runs == k] > every.upper(features[runs == k])) for k in range(30, 60)]
    assert np.mean(missed) <= 0.2 and every.shift > found.shift
    few = runs < 4  # too few for ranks: Student's bound, above all that was seen
    bound = calibrate_indicator(
        ("a", "b"), features[few], errors_[few], runs[few], level=0.95, floor=1e-12
    )
    assert (errors_[few] <= bound.upper(features[few])).all()
    with pytest.raises(BadInput, match="three runs"):
        calibrate_indicator(("a", "b"), features[:40], errors_[:40], runs[:40])
    with pytest.raises(BadInput, match="level"):
        calibrate_indicator(("a", "b"), features, errors_, runs, level=1.0)


def test_the_run_takes_full_steps_where_the_estimate_or_newton_says_so(hot, monkeypatch):
    b, runs, made = hot
    times = runs[3][0].t[:9]
    loading = replace(
        runs[3][0], t=times, amplitudes=runs[3][0].amplitudes[:9], mixture=runs[3][0].mixture[:9]
    )

    def step(state, t0, t1):
        if t0 == times[3]:
            raise NotConverged("lost")
        return reduced_step(state, t0, t1)

    class Late(Watch):
        def worst(self, state):
            return "p", 2.0 if state.t == times[6] else 0.1

    monkeypatch.setattr(runs_of_solids, "reduced_step", step)
    start = start_run(made, b, loading)
    run = continue_run(start, b, watch=Late(), full_steps=(0,), max_full_steps=None)
    assert [one.full for one in run.steps] == [k in (0, 3, 5) for k in range(8)]
    reasons = [one.reason for one in run.steps]
    assert "new data" in reasons[0] and "lost" in reasons[3] and "p estimated at 2" in reasons[5]
    assert run.states[5].t_whole == times[6] and not run.states[5].since
    limited = continue_run(start, b, watch=Late(), full_steps=(0,), max_full_steps=2)
    assert not limited.steps[5].full and "spent" in limited.steps[5].reason
    with pytest.raises(NotConverged, match="allow more"):
        continue_run(start, b, watch=Late(), full_steps=(0,), max_full_steps=1)
    assert len(FEATURES) == 6


def test_a_watch_names_the_quantity_nearest_to_its_tolerance(hot):
    b, runs, made = hot
    run = follow(made, b, runs[0][0], watch=Watch())
    indicators = {
        name: Indicator(("a",) * 6, np.append(np.zeros(6), np.log(size)), 0.0, 0.95, 1e-12)
        for name, size in (("u", 0.1), ("p", 0.3), ("stress", 0.2))
    }
    watch = Watch(indicators, {"u": 0.01, "p": 0.1, "stress": 1.0})
    name, ratio = watch.worst(run.states[-1])
    assert name == "u" and ratio == pytest.approx(10.0)


def test_a_reduced_step_makes_few_calls_between_files(hot):
    """At most 15 calls whose caller and callee lie in different files of rom."""
    b, runs, made = hot
    watched = follow(made, b, runs[0][0], watch=Watch()).states[9]
    t0, t1 = runs[0][0].t[10:12]
    files = {str(path) for path in Path(rom.__file__).parent.rglob("*.py")}
    hops = []

    def profile(frame, event, argument):
        if event == "call" and frame.f_back is not None:
            caller, callee = frame.f_back.f_code.co_filename, frame.f_code.co_filename
            if caller != callee and {caller, callee} <= files:
                hops.append((Path(caller).name, frame.f_code.co_name))

    sys.setprofile(profile)
    try:
        reduced_step(watched, t0, t1)
    finally:
        sys.setprofile(None)
    assert 0 < len(hops) <= 15, hops


def test_a_model_alone_answers_as_it_does_with_its_body(hot, tmp_path):
    b, runs, made = hot
    loading = runs[3][0]
    states = follow(made, b, loading).states
    save(tmp_path / "model.h5", made)
    answer = load(tmp_path / "model.h5", LAWS).predict(loading=loading)
    assert np.array_equal(answer.t, loading.t[1:]) and made.known is Known.NOTHING
    for k in (0, 19, 39):
        assert np.allclose(answer.part("u").lift(0, k), states[k].u(), rtol=0, atol=1e-15)
        assert np.allclose(answer.field("p", time=k), states[k].p(), rtol=0, atol=1e-14)
        assert np.allclose(answer.field("stress", time=k), states[k].stress(), atol=1e-9)
    assert answer.field("u", time=3).shape == (b.n // 3, 3) and answer.mesh is not None
    places = {quantity.name: quantity.place for quantity in made.tells}
    assert places["p"] is places["stress"] is Place.INTEGRATION
    assert answer.grid().n_points == len(b.mesh.points)
    with pytest.raises(BadInput, match="a loading"):
        made.predict()
    short = replace(loading, temperatures=loading.temperatures[:7])
    with pytest.raises(BadInput, match="temperature fields have 7 rows"):
        made.predict(loading=short)
    with pytest.raises(BadInput, match="without its law"):
        replace(made, model=replace(made.model, law=None)).predict(loading=loading)


def test_errors_of_an_answer_are_those_of_the_indicators_stored(hot):
    b, runs, made = hot
    loading = runs[3][0]
    states = follow(made, b, loading, watch=Watch()).states
    indicator = Indicator(FEATURES, np.append(np.full(6, 0.2), 0.1), 0.3, 0.9, 1e-6, whole=True)
    model = with_indicators(made, {"p": indicator})
    error = model.predict(loading=loading).part("p").errors[0]
    features = np.array([state.features for state in states])
    assert np.allclose(error.value, indicator.upper(features)[None], rtol=1e-12)
    assert error.known is model.known is Known.CONFORMAL and error.whole and error.level == 0.9
    with pytest.raises(BadInput, match="no error 'T'"):
        with_indicators(made, {"T": indicator})


def test_a_model_alone_knows_the_moves_of_its_training_and_refuses_others():
    b = held_at_the_top(2)
    loadings = [pulled(b, pull) for pull in (1e-3, 3e-3)]
    runs = [march(b, x, x.t) for x in loadings]
    made = train_solid(b, runs, Tolerances(1e-4, 1e-4, 1e-4, 1e-5), loadings=loadings)
    new = pulled(b, 2e-3)
    new = replace(new, moves=new.moves @ [[1.0, 0.5], [0.0, 2.0]])
    state = follow(made, b, new).states[-1]
    answer = made.predict(loading=new)
    assert np.allclose(answer.part("u").lift(0, -1), state.u(), rtol=0, atol=1e-12)
    foreign = new.moves.copy()
    foreign[0, 1] += 1e-3
    with pytest.raises(BadInput, match="prescribed displacement 1 is none of those"):
        made.predict(loading=replace(new, moves=foreign))
    with pytest.raises(BadInput, match="does not know the strains"):
        replace(made, moves=None).predict(loading=new)
