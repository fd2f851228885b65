"""Certificates of bases of blocks on random sets of ten kinds, against extended precision.

And the compression of merging beside that of the published algorithms.
"""

import numpy as np
import pytest
from block_sets import KINDS, best_published, excess, long_squares, random_space

from rom.compress import (
    RunningPod,
    blocks_of_labels,
    greedy_concatenation,
    hierarchical_pod,
    incremental_bound,
    merge_blocks,
    merge_pods,
    norms_bound,
    pod,
    residuals_bound,
    update,
)
from rom.errors import BadInput
from rom.snapshots import Snapshots
from rom.space import euclidean

LEAST_TOL = 1e-12  # all sets are served from here on


def random_sets(kind, count, seed):
    """(generator, blocks, space, tol) of one kind: tol from 1e-15 to .3, below round-off too."""
    gen = np.random.default_rng([seed, list(KINDS).index(kind)])
    for _ in range(count):
        yield gen, KINDS[kind](gen), random_space(gen), 10.0 ** gen.uniform(-15, -0.5)


def search_mergings(kind, count, seed):
    """Asserts certificates below tol and above the error.

    Returns the sets served with tol > 1e-7, and how many were refused for round-off.
    """
    usual, refused = [], 0
    for _, blocks, space, tol in random_sets(kind, count, seed):
        try:
            merging = merge_blocks(blocks, tol, space)
        except BadInput as error:
            assert "round-off" in str(error) and tol < LEAST_TOL
            refused += 1
            continue
        halves = np.arange(len(blocks)) % 2
        by_labels = blocks_of_labels(blocks, halves, tol, space)
        assert max(merging.bounds.max(), by_labels.bounds.max()) <= tol
        assert max(excess(merging, blocks, space), excess(by_labels, blocks, space)) <= 1.0
        if tol > 1e-7:
            usual.append((merging, blocks, space, tol))
    assert refused < count / 3
    return usual, refused


@pytest.mark.parametrize("kind", KINDS)
def test_certificates_of_merging_hold_on_every_kind(kind):
    search_mergings(kind, 4, 1)


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_certificates_of_merging_hold_on_three_hundred_sets_of_every_kind(kind):
    usual, refused = search_mergings(kind, 300, 0)
    ratios = [
        merging.compression / best_published(blocks, tol, space)
        for merging, blocks, space, tol in usual[:60]
    ]
    least, low, median, high = np.quantile(ratios, [0, 0.1, 0.5, 0.9])
    print(
        f"\n{kind:20} 300 sets, 0 violations, {refused:2} tol below round-off refused; compression "
        f"over the best published: least {least:.2f}, 10 % {low:.2f}, median {median:.2f}, "
        f"90 % {high:.2f}"
    )
    assert np.median(ratios) >= 1.0 and len(ratios) == 60


def run_pods(blocks, space, center=False, **how):
    """A running POD of all blocks."""
    state = RunningPod(space, center=center)
    for A in blocks:
        state = update(state, A, **how)
    return state


def bases(gen, blocks, space, tol):
    """One basis of all blocks by each method."""
    U = np.hstack(blocks)
    snapshots = Snapshots(space, np.zeros((U.shape[1], 1)), U)
    rank = min(4, U.shape[1])
    for method in ("full", "auto", "gram"):
        yield pod(snapshots, tol=tol, method=method)[0]
    for method in ("full", "random"):
        yield pod(snapshots, rank=rank, method=method, rng=gen)[0]
    yield hierarchical_pod(blocks, space, tol)[0]
    for how in ({}, {"tol": tol}, {"rank": rank}):
        yield run_pods(blocks, space, **how).basis()
    halves = [run_pods(part, space, tol=tol / 3) for part in (blocks[:1], blocks[1:])]
    yield pod(snapshots, tol=tol, method="full", center=True)[0]
    yield run_pods(blocks, space, tol=tol, center=True).basis()
    yield merge_pods(*halves, tol=tol).basis()


def search_bases(kind, count, seed):
    """Asserts of each basis that its error is below its certificate; of bounds that they hold."""
    for gen, blocks, space, tol in random_sets(kind, count, seed):
        U = np.hstack(blocks)
        for basis in bases(gen, blocks, space, tol):
            gap = long_squares(space, U - basis.lift(basis.coefficients(U)))
            size = long_squares(space, U - basis.offset[:, None] if np.ndim(basis.offset) else U)
            assert np.sqrt(gap / size) <= basis.error, basis.reason
        rank = int(gen.integers(1, 12))
        best, s = pod(Snapshots(space, np.zeros((U.shape[1], 1)), U), tol=1e-15, method="full")
        least = np.sqrt(np.sum(s[rank:] ** 2) / np.sum(s**2)) - best.error
        for bound in (norms_bound, residuals_bound, incremental_bound):
            assert bound(blocks, rank, space) >= least
        if rank <= min(U.shape):
            assert excess(greedy_concatenation(blocks, 0.1, rank, space), blocks, space) <= 1.0


@pytest.mark.parametrize("kind", KINDS)
def test_every_basis_of_blocks_keeps_its_certificate(kind):
    search_bases(kind, 3, 3)


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_every_basis_of_a_hundred_sets_of_every_kind_keeps_its_certificate(kind):
    search_bases(kind, 100, 2)


@pytest.mark.parametrize("s", [1.0, 1e-9])
def test_a_snapshot_of_one_dof_is_never_lost_in_a_sketch(s):
    """Each snapshot of its own dof: a sketch that loses a row of U loses a singular value."""
    for seed in range(40):
        gen = np.random.default_rng(seed)
        U = np.zeros((200, 30))
        U[gen.choice(200, 30, replace=False), np.arange(30)] = np.where(np.arange(30) < 15, 1.0, s)
        basis, values = pod(
            Snapshots(euclidean(200), np.zeros((30, 1)), U), tol=1e-12, method="full", rng=seed
        )
        np.testing.assert_allclose(values[:30], np.sort(U.max(axis=0))[::-1], rtol=1e-5)
        assert basis.r == 30
