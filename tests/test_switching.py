"""Local hyper-reduced solids.

Switching hands the state of the law over, and doubt is settled by what the stress bases explain.
"""

from dataclasses import dataclass

import numpy as np
import pytest

from cases.local_bases import histories
from cases.viscoplastic_cube import HOT, cube
from rom.basis import LocalBases
from rom.errors import BadInput
from rom.solids.local_training import Budget, fit_budget, global_basis, unit_stresses
from rom.solids.switching import LocalWeighted, follow_switching, switching
from rom.solids.weighted import reduced_march, weighted_model


@dataclass(frozen=True)
class Told:
    """A classifier that says what it was told of each time.

    Cluster plan[i] at the i-th, with this probability.
    """

    plan: tuple[int, ...]
    sure: float = 1.0
    K: int = 2

    def __call__(self, x):
        chances = np.full((len(x), self.K), (1.0 - self.sure) / (self.K - 1))
        chances[np.arange(len(x)), self.choose(x)] = self.sure
        return chances

    def choose(self, x):
        return np.array(self.plan)[np.arange(len(x)) % len(self.plan)]


@pytest.fixture(scope="module")
def solved():
    b, x = cube(2, HOT), np.random.default_rng(2).random((4, 7))
    x[:, 0] = 0.9  # spun into plasticity
    found = histories(b, x)
    return b, x, found, global_basis(b, x, found, 6)


def twice(local, plan, sure=1.0):
    """The same cluster two times over."""
    W = local.rotations[0]
    return LocalBases(
        local.hull,
        (W, W),
        np.zeros(0, dtype=int),
        np.tile(local.centres, 2),
        classifier=Told(plan, sure),
    )


@pytest.mark.parametrize("plan", [(0, 1), (0, 0, 0, 0, 1, 1, 1, 0), (1,)])
def test_switching_between_equal_models_changes_nothing(solved, plan):
    b, _, found, local = solved
    strain = b.strain(local.basis(0).modes)
    every = weighted_model(local.basis(0), strain, b, b.points.numbers, b.points.product)
    loading, h = found[0]
    alone = reduced_march(every, loading.reduce(every.basis, every.points, b.points), loading.t)
    model = switching(twice(local, plan), (every, every), b)
    steps = follow_switching(model, np.zeros(3), model.reduce(loading, b.points))
    assert alone.p.max() > 0 and [s.k for s in steps] == [
        plan[i % len(plan)] for i in range(len(h.t))
    ]
    np.testing.assert_allclose(
        np.stack([s.c for s in steps], axis=1),
        local.rotations[0] @ alone.u,
        atol=1e-9 * abs(alone.u).max(),
    )
    np.testing.assert_allclose(
        np.stack([s.state.state[:, 0] for s in steps], axis=1), alone.p, atol=1e-7 * alone.p.max()
    )


def test_states_are_those_of_the_law_along_the_answers_at_every_point_and_time(solved):
    b, _, found, local = solved
    s, basis = unit_stresses(b, found), local.basis(0)
    few, some = fit_budget(b, basis, s, Budget(6, 12, 4)), fit_budget(b, basis, s, Budget(6, 30, 8))
    assert set(few.points) != set(some.points)
    model = switching(twice(local, (0, 0, 1)), (few, some), b)
    loading = found[1][0]
    before, state = 0.0, np.zeros((b.points.n, b.law.width))
    for one in follow_switching(model, np.zeros(3), model.reduce(loading, b.points)):
        strain = b.strain(model.basis.lift(one.c[:, None]))[..., 0]
        _, _, state = b.law(strain, loading.temperature(one.t), state, one.t - before)
        before, at = one.t, model.models[one.k].points
        np.testing.assert_allclose(
            one.state.state, state[at], atol=1e-9 * max(abs(state).max(), 1e-6)
        )
    assert state[:, 0].max() > 0


def test_doubt_asks_the_models_and_the_better_explained_stress_wins(solved):
    b, _, found, local = solved
    s = unit_stresses(b, found)
    poor, good = (
        fit_budget(b, local.basis(0), s, Budget(6, 30, 1)),
        fit_budget(b, local.basis(0), s, Budget(6, 30, 12)),
    )
    loading = found[2][0]
    for sure, tried, k in ((1.0, (0,), 0), (0.6, (0, 1), 1)):
        model = switching(twice(local, (0,), sure), (poor, good), b)
        steps = follow_switching(model, np.zeros(3), model.reduce(loading, b.points))
        assert all(one.tried == tried and one.k == k for one in steps)
    assert model.predict((np.zeros(3), model.reduce(loading, b.points))).coefficients.shape == (
        local.hull.r,
        len(steps),
    )
    with pytest.raises(BadInput, match="1 models for 2 clusters"):
        LocalWeighted(model.bases, model.models[:1], model.points, model.strain)
    with pytest.raises(BadInput, match="strains of the hull"):
        LocalWeighted(model.bases, model.models, model.points, model.strain[1:])
