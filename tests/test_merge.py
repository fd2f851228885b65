"""Merging: certificates that hold on random sets of blocks, and fewer numbers than the published
algorithms on families of blocks.
"""

import numpy as np
import pytest
import scipy.sparse as sp

from rom.archive.nouns import load, save
from rom.compress import (
    blocks_of_labels,
    greedy_concatenation,
    incremental_bound,
    merge_blocks,
    norms_bound,
    residuals_bound,
)
from rom.errors import BadInput
from rom.space import Space, euclidean


def random_set(gen, m=40):
    """Blocks of one to three families of subspaces, with their own decay, noise and size."""
    r = int(gen.integers(2, 7))
    families = [np.linalg.qr(gen.standard_normal((m, r)))[0] for _ in range(gen.integers(1, 4))]
    blocks = []
    for n in gen.integers(1, 10, size=gen.integers(2, 10)):
        body = gen.standard_normal((r, n)) * np.logspace(0, -gen.uniform(0, 3), r)[:, None]
        noise = 10 ** gen.uniform(-5, -1) * gen.standard_normal((m, n))
        blocks.append(
            10 ** gen.uniform(-2, 2) * (families[gen.integers(len(families))] @ body + noise)
        )
    return blocks


def families(n=200, K=24, seed=0, decades=0.0):
    gen = np.random.default_rng(seed)
    spans = [np.linalg.qr(gen.standard_normal((n, 8)))[0] for _ in range(4)]
    ranks = 3 + np.arange(K) % 4 + 1
    shape = [np.logspace(0, -1.5, r)[:, None] * gen.standard_normal((r, 12)) for r in ranks]
    return [
        10 ** gen.uniform(-decades, decades)
        * (
            spans[k % 4][:, : ranks[k]] @ shape[k]
            + 1e-3 * gen.standard_normal((n, 12)) / np.sqrt(n)
        )
        for k in range(K)
    ]


def true_errors(merging, blocks, space):
    found = []
    for c in range(len(merging.bases)):
        members = np.flatnonzero(merging.labels == c)
        gap = np.hstack(
            [
                space.norm(blocks[k] - merging.restore(k, merging.coordinates(k, blocks[k])))
                for k in members
            ]
        )
        found.append(
            float(
                np.linalg.norm(gap)
                / np.linalg.norm(space.norm(np.hstack([blocks[k] for k in members])))
            )
        )
    return np.array(found)


def test_every_bound_holds_on_two_hundred_random_sets():
    gen, space, tight = np.random.default_rng(0), euclidean(40), []
    for _ in range(200):
        blocks, r = random_set(gen), int(gen.integers(1, 12))
        s = np.linalg.svd(np.hstack(blocks), compute_uv=False)
        e = np.sqrt(np.sum(s[r:] ** 2) / np.sum(s**2))
        bounds = [
            bound(blocks, r, space) for bound in (norms_bound, residuals_bound, incremental_bound)
        ]
        assert min(bounds) >= e - 40 * np.finfo(float).eps
        if e > 1e-6:
            tight.append(np.array(bounds) / e)
    assert np.median(tight, axis=0)[2] < 1.02 < np.median(tight, axis=0)[1]


@pytest.mark.parametrize("sparse", [False, True])
@pytest.mark.parametrize("tol", [0.2, 0.02])
def test_every_cluster_keeps_its_certificate(sparse, tol):
    X = (
        sp.diags_array(
            [np.full(39, -1.0), np.full(40, 2.1), np.full(39, -1.0)], offsets=[-1, 0, 1]
        ).tocsr()
        if sparse
        else np.ones(40)
    )
    space, gen = Space(X, np.arange(40)), np.random.default_rng(1)
    for _ in range(15):
        blocks = random_set(gen)
        halves = np.arange(len(blocks)) % 2
        for merging in (
            merge_blocks(blocks, tol, space),
            blocks_of_labels(blocks, halves, tol, space),
            blocks_of_labels(blocks, halves, tol, space, whole=True),
        ):
            assert (
                true_errors(merging, blocks, space) <= merging.bounds * (1 + 1e-7) + 1e-12
            ).all() and merging.bounds.max() <= tol
            for c, basis in enumerate(merging.bases):
                members = np.flatnonzero(merging.labels == c)
                numbers = sum(merging.coordinates(k, blocks[k]).size for k in members)
                depths = merging.depths[members]
                cut = basis is not None and (depths < basis.r).any()
                numbers += 0 if basis is None else 40 * basis.r + cut * len(members)
                width = sum(blocks[k].shape[1] for k in members)
                assert merging.stored[c] in (
                    numbers,
                    0 if basis is None else basis.r * (40 + width),
                )
        assert merging.raw == sum(A.size for A in blocks)


def test_families_are_found():
    ours = merge_blocks(families(), 0.05, euclidean(200))
    assert (
        len(ours.bases) == 4
        and all(len(set(ours.labels[k::4])) == 1 for k in range(4))
        and len(ours.history) == 20
    )


@pytest.mark.parametrize("decades", [0.0, 2.0])
def test_merging_costs_fewer_numbers_than_the_published_algorithms(tmp_path, decades):
    blocks, space = families(decades=decades), euclidean(200)
    ours = merge_blocks(blocks, 0.05, space)
    assert (
        ours.stored.sum() <= blocks_of_labels(blocks, np.arange(24) % 4, 0.05, space).stored.sum()
    )
    assert true_errors(ours, blocks, space).max() <= 0.05
    assert all(saved > 0 and bound <= 0.05 for _, _, saved, bound in ours.history)
    for bound in ("norms", "residuals", "incremental"):
        for rank in (4, 6, 8, 12, 20):
            theirs = greedy_concatenation(blocks, 0.05, rank, space, bound=bound)
            assert (
                theirs.bounds.max() <= 0.05 * (1 + 1e-9) and ours.stored.sum() < theirs.stored.sum()
            )
    save(tmp_path / "merging.h5", ours)
    assert np.array_equal(load(tmp_path / "merging.h5").stored, ours.stored)


def test_merging_ignores_order_and_scale():
    blocks, space = families(seed=3), euclidean(200)
    first = merge_blocks(blocks, 0.05, space)
    again = merge_blocks([1e-7 * A for A in reversed(blocks)], 0.05, space)
    pairs = set(zip(first.labels.tolist(), again.labels[::-1].tolist(), strict=True))
    assert (
        len(pairs) == len(first.bases) == len(again.bases)
        and first.stored.sum() == again.stored.sum()
    )


def test_blocks_that_share_nothing_stay_as_they_are():
    gen = np.random.default_rng(0)
    blocks = [gen.standard_normal((30, 3)) for _ in range(4)]
    merging = merge_blocks(blocks, 1e-3, euclidean(30))
    assert len(merging.bases) == 4 and merging.compression == 1.0 and merging.history == ()


def test_bad_blocks_are_named():
    good = np.ones((5, 2))
    for blocks, tol, message in [
        ([good, np.full((5, 1), np.nan)], 0.1, r"blocks\[1\] holds NaN"),
        ([good, np.ones((4, 2))], 0.1, "block 1"),
        ([good, 0 * good], 0.1, "block 1 is zero"),
        ([good], 2.0, "tol"),
        ([], 0.1, "give at least one"),
    ]:
        with pytest.raises(BadInput, match=message):
            merge_blocks(blocks, tol, euclidean(5))
    with pytest.raises(BadInput, match="unknown bound"):
        greedy_concatenation([good], 0.1, 1, euclidean(5), bound="other")
