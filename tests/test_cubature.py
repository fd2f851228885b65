"""Empirical cubature and gappy POD.

Exactness, positivity, few points, warm starts, local and merged rules, good points.
"""

import numpy as np
import pytest
from parallel import on_ranks, written

from rom.basis import Basis
from rom.errors import BadInput, Singular
from rom.points import (
    compress_contributions,
    contributions,
    ecm,
    exactness,
    gappy,
    gappy_points,
    matching_pursuit,
    orthonormal_strain,
    unit,
)
from rom.rule import Cubature
from rom.space import Space, euclidean


def smooth(g=800, r=5, m=7, seed=0):
    """Strains and stresses that vary smoothly over g points with uneven weights."""
    rng = np.random.default_rng(seed)
    x = np.sort(rng.random(g))
    waves = np.cos(np.pi * np.arange(12) * x[:, None])
    strain = np.einsum("gk,kcr->gcr", waves[:, :4], rng.standard_normal((4, 6, r)))
    stress = np.einsum("gk,kcm->gcm", waves[:, :6], rng.standard_normal((6, 6, m)))
    return Space(rng.uniform(0.5, 1.5, g) / g, np.arange(g)), strain, stress


def test_contributions_are_the_integrands():
    space, strain, stress = smooth(60)
    G = contributions(strain, stress)
    assert (
        np.allclose(G[:-1].reshape(7, 5, 60), np.einsum("gcm,gcr->mrg", stress, strain))
        and (G[-1] == 1).all()
    )
    assert np.allclose(
        G @ space.product,
        [*np.einsum("g,gcm,gcr->mr", space.product, stress, strain).ravel(), space.product.sum()],
    )


@pytest.mark.parametrize("tol", [1e-2, 1e-4, 1e-8])
def test_rules_are_positive_exact_to_their_tolerance_and_small(tol):
    space, strain, stress = smooth()
    G = compress_contributions(space, strain, stress, 1e-8)
    rule = ecm(G, space, tol)
    assert (rule.weights > 0).all() and rule.error <= tol and len(rule.elements) <= len(G)
    assert len(np.unique(rule.elements)) == len(rule.elements)
    exact = G @ space.product
    assert np.linalg.norm(
        exact - G[:, rule.elements] @ rule.weights
    ) <= 1.0001 * tol * np.linalg.norm(exact)
    found = exactness(space, orthonormal_strain(space, strain), stress, rule)
    assert max(found.values()) < 200 * tol


def test_compression_keeps_every_integral():
    space, strain, stress = smooth()
    G, strain = (
        compress_contributions(space, strain, stress, 1e-8),
        orthonormal_strain(space, strain),
    )
    raw = contributions(strain, stress)
    raw[-1] *= np.linalg.norm(G @ np.ones(space.n)) / np.linalg.norm(G @ np.ones(space.n))
    assert len(G) < len(raw)
    back = np.linalg.lstsq(G.T, raw.T, rcond=None)[0].T
    assert np.linalg.norm(back @ G - raw) < 1e-6 * np.linalg.norm(raw)


def test_a_polynomial_is_integrated_by_no_more_points_than_caratheodory_allows():
    x = np.linspace(-1, 1, 2001)
    space = Space(np.full(2001, 2 / 2001), np.arange(2001))
    rule = ecm(np.polynomial.legendre.legvander(x, 6).T, space, 1e-13)
    assert len(rule.elements) <= 7 and rule.weights.sum() == pytest.approx(2.0, rel=1e-12)


def test_weights_are_the_nonnegative_least_squares_of_their_columns():
    from scipy.optimize import nnls

    rng = np.random.default_rng(3)
    G = rng.standard_normal((40, 300)) + 0.3
    b = G @ rng.random(300)
    points, w, error = matching_pursuit(G, b, 1e-12, np.zeros(0, dtype=int))
    assert error < 1e-10 and len(points) <= 40
    w2, left = nnls(G[:, points], b)
    assert np.allclose(w, w2, rtol=1e-6) and left < 1e-8 * np.linalg.norm(b)
    some, w, error = matching_pursuit(G, b, 1e-12, np.zeros(0, dtype=int), max_points=10)
    assert (
        len(some) == 10
        and np.abs(G[:, some].T @ (b - G[:, some] @ w)).max() < 1e-8 * np.linalg.norm(b)
        and error > 1e-3
    )


@pytest.mark.parametrize("seed", [11, 12])
def test_rules_are_as_small_and_as_exact_as_nonnegative_least_squares(seed):
    """Of k rows both keep at most k points.

    Where ours stops sooner, what is left has no steeper column than its error allows.
    """
    from scipy.optimize import nnls

    space, strain, stress = smooth(3000, 6, 9, seed)
    G = compress_contributions(space, strain, stress, 1e-10)
    b = G @ space.product
    full, _ = nnls(G, b)
    for tol in (1e-12, 1e-3):
        points, w, error = matching_pursuit(G, b, tol, np.zeros(0, dtype=int))
        assert error <= tol and (w > 0).all() and len(points) <= (full > 0).sum() <= len(G)
        assert np.linalg.norm(b - G[:, points] @ w) <= 1.01 * tol * np.linalg.norm(b)


def test_exactness_on_held_back_snapshots_is_that_of_training_inside_its_span():
    space, strain, stress = smooth()
    G = compress_contributions(space, strain, stress[..., :5], 1e-9)
    strain, rule = orthonormal_strain(space, strain), ecm(G, space, 1e-7)
    inside = stress[..., :5] @ np.random.default_rng(5).standard_normal((5, 4))
    assert max(exactness(space, strain, inside, rule).values()) < 1e-4
    strange = np.random.default_rng(6).standard_normal(stress.shape)
    assert exactness(space, strain, strange, rule)["integrals"] > 1e-2


def test_a_warm_start_keeps_its_points_and_ends_sooner():
    space, strain, stress = smooth()
    G = compress_contributions(space, strain, stress[..., :5], 1e-8)
    old = ecm(G, space, 1e-6)
    again = ecm(G, space, 1e-6, old.elements)
    assert np.array_equal(np.sort(again.elements), np.sort(old.elements))
    more = ecm(
        np.vstack(
            [G, contributions(orthonormal_strain(space, strain), unit(space, stress[..., 5:]))[:-1]]
        ),
        space,
        1e-6,
        old.elements,
    )
    assert np.isin(old.elements, more.elements).mean() > 0.7 and more.error <= 1e-6


def test_units_count_alike_and_zeros_not_at_all():
    space, _, stress = smooth(80)
    scaled = unit(space, np.concatenate([1e-6 * stress, 0 * stress[..., :2]], axis=2))
    assert scaled.shape[2] == 7
    assert np.allclose(np.einsum("gcm,gcm,g->m", scaled, scaled, space.product), 1.0)


def test_bad_contributions_are_named():
    space = euclidean(10)
    for wrong in (np.ones((3, 9)), np.full((3, 10), np.nan)):
        with pytest.raises(BadInput, match=r"contributions|G holds NaN"):
            ecm(wrong, space)
    with pytest.raises(BadInput, match="nothing to integrate"):
        ecm(np.zeros((3, 10)), space)
    with pytest.raises(BadInput, match="positive"):
        Cubature(np.array([1]), np.array([0.0]))


def pod_like(g=400, r=8, seed=0):
    space = Space(np.random.default_rng(seed).uniform(0.5, 1.5, g) / g, np.arange(g))
    x = np.linspace(0, 1, g)
    Q = np.linalg.qr(
        np.sqrt(space.product)[:, None]
        * np.exp(-(((x[:, None] - np.linspace(0, 1, r)) / 0.12) ** 2))
    )[0]
    return Basis(space, Q / np.sqrt(space.product)[:, None])


def test_gappy_reconstructs_what_the_basis_holds():
    basis = pod_like()
    given = np.arange(5, 60, 6)
    points = np.concatenate([given, gappy_points(basis, given, 15.0)])
    rule = gappy(basis, points)
    field = basis.modes @ np.random.default_rng(1).standard_normal((8, 3))
    assert np.abs(rule(field[points]) - field).max() < 1e-12 * np.abs(field).max()
    s = np.linalg.svd(basis.modes[points], compute_uv=False)
    assert s[0] / s[-1] <= 15.0


def test_added_points_are_needed_and_no_more_than_asked():
    basis = pod_like()
    good = np.linspace(0, 399, 60).astype(int)
    assert len(gappy_points(basis, good, 15.0)) == 0
    assert len(gappy_points(basis, good[:2], 15.0)) <= 24
    assert len(gappy_points(basis, good[:2], 1.0001, max_points=30)) == 30


def test_points_that_determine_nothing_are_refused():
    basis = pod_like()
    with pytest.raises(Singular, match="gappy_points"):
        gappy(basis, np.array([1, 2, 3]))
    with pytest.raises(BadInput, match="condition"):
        gappy_points(basis, np.array([1]), 0.5)


def rules(comm):
    """Local and merged rules of smooth fields whose points are dealt out to the ranks, and their
    exactness.
    """
    whole, strain, stress = smooth(1200, seed=13)
    mine = (
        np.arange(whole.n)
        if comm is None
        else np.array_split(np.random.default_rng(0).permutation(whole.n), comm.Get_size())[
            comm.Get_rank()
        ]
    )
    space, strain, stress = Space(whole.product[mine], mine, comm), strain[mine], stress[mine]
    G, found = compress_contributions(space, strain, stress, 1e-6), {}
    for name, merge in (("local", False), ("merged", True)):
        rule = ecm(G, space, 1e-5, merge=merge)
        errors = exactness(space, orthonormal_strain(space, strain), stress, rule)
        found[name] = {
            "points": rule.elements.tolist(),
            "weights": rule.weights.tolist(),
            "error": rule.error,
            "rows": len(G),
            **errors,
        }
    return found


@pytest.mark.parametrize("ranks", [1, 2, 3, 4])
def test_local_and_merged_rules_are_positive_and_exact_on_every_number_of_ranks(ranks, tmp_path):
    every = on_ranks(__file__, ranks, tmp_path / "answers.json")["every"]
    assert len(every) == ranks and all(
        other == every[0] for other in every
    )  # the rule is the same on every rank
    local, merged = every[0]["local"], every[0]["merged"]
    serial = rules(None)["merged"]
    for rule in (local, merged):
        assert (
            min(rule["weights"]) > 0
            and rule["error"] <= 1e-5
            and max(rule["integrals"], rule["volume"]) < 1e-3
        )
    assert (
        len(merged["points"]) <= merged["rows"] == serial["rows"]
        and len(local["points"]) <= ranks * local["rows"]
    )
    assert set(merged["points"]) <= set(local["points"]) and (
        ranks > 1 or merged["points"] == local["points"]
    )


def answers(comm):
    return {"every": comm.allgather(rules(comm))}


if __name__ == "__main__":
    written(answers)
