"""Updates of a POD and of a sparse SVD.

Equal to recomputing where nothing is discarded, certified where something is.
"""

from dataclasses import replace

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import example, given, settings
from hypothesis import strategies as st

from rom.archive.nouns import load, save
from rom.compress import (
    RunningPod,
    downdate,
    extend_svd,
    hierarchical,
    hierarchical_pod,
    merge_pods,
    pod,
    update,
)
from rom.errors import BadInput
from rom.snapshots import Snapshots
from rom.space import Space, euclidean


def stiff(n):
    return sp.diags_array(
        [np.full(n - 1, -1.0), np.full(n, 2.1), np.full(n - 1, -1.0)], offsets=[-1, 0, 1]
    ).tocsr()


def decaying(n, m, decades, seed=0, dtype=float):
    gen = np.random.default_rng(seed)
    draw = (
        (lambda *s: gen.standard_normal(s) + 1j * gen.standard_normal(s))
        if dtype is complex
        else lambda *s: gen.standard_normal(s)
    )
    s = np.logspace(0, -decades, m)
    return np.linalg.qr(draw(n, m))[0] * s @ np.linalg.qr(draw(m, m))[0].conj().T, s


def missed(space, V, U):
    return float(np.linalg.norm(space.norm(U - V @ space.inner(V, U))))


def followed(space, U, b, **how):
    state = RunningPod(space)
    for j in range(0, U.shape[1], b):
        state = update(state, U[:, j : j + b], **how)
    return state


@pytest.mark.parametrize("b", [1, 3, 40])
@pytest.mark.parametrize("dtype", [float, complex])
def test_without_a_cut_updating_is_recomputing(b, dtype):
    U, s = decaying(200, 40, 12, dtype=dtype)
    found = followed(euclidean(200), U, b)
    assert np.abs(found.s[:35] - s[:35]).max() < 1e-14
    V = found.basis().modes
    assert (
        np.abs(V.conj().T @ V - np.eye(found.r)).max() < 1e-12 and missed(found.space, V, U) < 1e-13
    )


def test_in_any_inner_product_the_basis_is_that_of_pod():
    U, _ = decaying(150, 30, 6)
    space = Space(stiff(150), np.arange(150))
    found = followed(space, U, 4, tol=1e-3)
    reference, s = pod(Snapshots(space, np.zeros((30, 1)), U), tol=1e-3)
    assert abs(found.r - reference.r) <= 1 and np.abs(found.s[:5] / s[:5] - 1).max() < 1e-5
    assert np.abs(space.gram(found.basis().modes) - np.eye(found.r)).max() < 1e-12


@example(
    59, 9, 5, 8.5, 0.0, None, None, 1.0, 0
)  # a direction whose eigenvalue is round-off of the largest
@settings(max_examples=200, deadline=None)
@given(
    st.integers(5, 60), st.integers(1, 30), st.integers(1, 8), st.floats(0, 14), st.floats(-50, 50),
    st.sampled_from([None, 1, 3]), st.sampled_from([None, 1e-1, 1e-4]), st.floats(0.2, 1.0),
    st.integers(0, 2**31),
)  # fmt: skip
def test_the_certificate_holds_in_every_trial(n, m, b, decades, scale, rank, tol, forget, seed):
    gen = np.random.default_rng(seed)
    U = 10.0**scale * gen.standard_normal((n, m)) * np.logspace(0, -decades, m)[gen.permutation(m)]
    found = followed(euclidean(n), U, b, rank=rank, tol=tol, forget=forget)
    weight = forget ** ((m - 1) // b - np.arange(m) // b)
    V, size = found.basis().modes, np.linalg.norm(U * weight)
    assert missed(found.space, V, U * weight) <= found.error * size * (1 + 1e-9) + 1e-13 * size
    assert found.energy == pytest.approx(size**2, rel=1e-10)
    assert found.energy == pytest.approx(found.lost + np.sum(found.s**2), rel=1e-9)
    exact = np.linalg.svd(U * weight, compute_uv=False)[: found.r]
    assert (found.s[: len(exact)] ** 2 <= exact**2 * (1 + 1e-9) + 1e-13 * size**2).all()
    assert (
        exact**2 <= found.s[: len(exact)] ** 2 + found.lost * (1 + 1e-9) + 1e-13 * size**2
    ).all()
    if rank is None and tol is not None:
        assert found.error <= tol * (1 + 1e-12)
    assert np.abs(V.T @ V - np.eye(found.r)).max() < 1e-12


def test_the_modes_are_not_touched_by_an_update():
    U, _ = decaying(300, 20, 3)
    first = update(RunningPod(euclidean(300)), U[:, :10])
    second = update(first, U[:, 10:11])
    assert second.columns.base is first.columns.base and np.array_equal(
        second.columns[:, :10], first.columns
    )
    before = first.columns.copy()
    other = update(first, U[:, 11:12])
    assert (
        np.array_equal(first.columns, before)
        and missed(second.space, second.basis().modes, U[:, :11]) < 1e-13
    )
    assert missed(other.space, other.basis().modes, U[:, [*range(10), 11]]) < 1e-13


def test_raw_columns_are_appended_where_round_off_is_far_below_what_is_discarded():
    gen = np.random.default_rng(3)
    U = gen.standard_normal((400, 60)) @ (
        np.logspace(0, -2, 60)[:, None] * np.linalg.qr(gen.standard_normal((60, 60)))[0]
    )
    state = followed(euclidean(400), U[:, :20], 20, rank=12)
    more = update(state, U[:, 20:30], rank=12)
    c = state.columns.shape[1]
    assert np.array_equal(more.columns[:, c:], U[:, 20:30])
    np.testing.assert_allclose(
        more.factor.T @ more.factor, more.columns.T @ more.columns, atol=1e-13
    )
    assert np.abs(more.rotation.T @ more.rotation - np.eye(12)).max() < 1e-13
    first = state.basis().modes * state.s
    reference = np.linalg.svd(np.hstack([first, U[:, 20:30]]), compute_uv=False)[:12]
    np.testing.assert_allclose(more.s, reference, rtol=1e-12)


def test_dependent_and_zero_columns_add_no_direction():
    U, _ = decaying(60, 5, 1)
    state = update(RunningPod(euclidean(60)), U)
    for B in (U @ np.ones((5, 3)), np.zeros((60, 2)), U[:, [1, 1]]):
        again = update(state, B)
        assert (
            again.r == 5
            and again.error < 1e-12
            and missed(again.space, again.basis().modes, U) < 1e-12
        )


def test_a_running_pod_is_shipped_and_goes_on(tmp_path):
    U, _ = decaying(120, 30, 4)
    state = followed(Space(stiff(120), np.arange(120)), U[:, :20], 4, rank=8)
    save(tmp_path / "running.h5", state)
    again = load(tmp_path / "running.h5")
    assert again.room is None and all(
        np.array_equal(getattr(again, name), getattr(state, name))
        for name in ("columns", "factor", "rotation", "s")
    )
    one, two = (update(x, U[:, 20:], rank=8) for x in (state, again))
    np.testing.assert_allclose(one.s, two.s, rtol=1e-12)
    assert (one.energy, one.seen) == (two.energy, two.seen) and one.error == pytest.approx(
        two.error
    )


def test_forgetting_lets_the_old_fade():
    U, _ = decaying(100, 10, 0)
    V, _ = decaying(100, 10, 0, seed=1)
    state = followed(euclidean(100), U, 10, rank=10)
    for _ in range(30):
        state = update(state, V, rank=10, forget=0.5)
    assert missed(state.space, state.basis().modes, V) < 1e-6


@pytest.mark.parametrize("rank", [None, 6])
def test_removing_a_snapshot_is_never_having_had_it(rank):
    U, _ = decaying(80, 12, 2)
    full = followed(euclidean(80), U, 3, rank=rank)
    less = downdate(full, U[:, 5])
    others = np.delete(U, 5, axis=1)
    V = less.basis().modes
    assert less.seen == 11 and less.energy == pytest.approx(np.linalg.norm(others) ** 2)
    assert missed(less.space, V, others) <= less.error * np.linalg.norm(others) * (1 + 1e-9)
    if rank is None:
        np.testing.assert_allclose(less.s[:11], np.linalg.svd(others, compute_uv=False), rtol=1e-8)
    assert less.lost <= full.lost + 1e-12 * full.energy
    with pytest.raises(BadInput, match="never added"):
        downdate(less, 3.0 * U[:, 0])


def test_two_running_pods_merge_into_that_of_both():
    U, _ = decaying(90, 24, 5)
    space = euclidean(90)
    both = merge_pods(
        followed(space, U[:, :10], 5, tol=1e-3), followed(space, U[:, 10:], 7, tol=1e-3), tol=1e-2
    )
    assert both.seen == 24 and both.energy == pytest.approx(np.linalg.norm(U) ** 2)
    assert (
        missed(space, both.basis().modes, U)
        <= both.error * np.linalg.norm(U)
        <= 1e-2 * np.linalg.norm(U)
    )


@pytest.mark.parametrize("tol", [1e-1, 1e-2, 1e-4])
@pytest.mark.parametrize("blocks", [1, 2, 7, 40])
def test_hierarchical_pod_keeps_the_error_it_was_given(tol, blocks):
    U, _ = decaying(150, 80, 7, seed=blocks)
    space = Space(stiff(150), np.arange(150))
    parts = np.array_split(np.arange(80), blocks)
    basis, _ = hierarchical_pod((U[:, p] for p in parts), space, tol)
    size = np.linalg.norm(space.norm(U))
    assert (
        missed(space, basis.modes, U) <= basis.error * size * (1 + 1e-9) <= tol * size * (1 + 1e-9)
    )
    assert basis.r <= pod(Snapshots(space, np.zeros((80, 1)), U), tol=tol)[0].r + 3


def test_the_hierarchy_holds_few_columns():
    U, _ = decaying(400, 256, 30)
    found = hierarchical((U[:, [j]] for j in range(256)), euclidean(400), 1e-3)
    assert found.r < 40 and found.seen == 256


def test_bad_updates_are_named():
    state = RunningPod(euclidean(5))
    u = np.ones((5, 2))
    u[3, 1] = np.nan
    for call, message in [
        (lambda: update(state, u), "snapshot 1 .* row 3"),
        (lambda: update(state, np.ones((4, 1))), "columns? of 5"),
        (lambda: update(state, np.ones(5), tol=2.0), "tol"),
        (lambda: update(state, np.ones(5), forget=0.0), "forget"),
        (lambda: state.basis(), "no snapshot"),
        (lambda: downdate(state, np.ones(5)), "no snapshot"),
        (lambda: hierarchical([], euclidean(5), 0.1), "no blocks"),
    ]:
        with pytest.raises(BadInput, match=message):
            call()


def topics(M, N, seed):
    """Rows that mix two of twelve sparse topics, and noise."""
    gen = np.random.default_rng(seed)
    topic = [gen.choice(N, N // 10, replace=False) for _ in range(12)]
    rows = [
        np.unique(
            np.r_[
                gen.choice(topic[gen.integers(12)], 12),
                gen.choice(topic[gen.integers(12)], 6),
                gen.integers(N, size=2),
            ]
        )
        for _ in range(M)
    ]
    indptr = np.cumsum([0, *map(len, rows)])
    return sp.csr_array(
        (gen.uniform(0.5, 1.5, indptr[-1]), np.concatenate(rows), indptr), shape=(M, N)
    )


@pytest.mark.parametrize("method", ["exact", "lanczos", "power"])
@pytest.mark.parametrize("b", [1, 7, 60])
def test_sparse_updates_are_certified_and_close_to_the_best(method, b):
    A, k = topics(300, 400, 0), 14
    found = extend_svd(
        A[:120], [A[i : i + b] for i in range(120, 300, b)], k, method=method, width=12
    )
    dense = A.toarray()
    size = np.linalg.norm(dense)
    error = np.linalg.norm(dense - found.U * found.s @ found.V.T)
    best = np.sqrt(np.sum(np.linalg.svd(dense, compute_uv=False)[k:] ** 2))
    assert found.energy == pytest.approx(size**2)
    assert best * (1 - 1e-12) <= error <= found.error * size * (1 + 1e-9)
    assert error < 1.02 * best
    for W in (found.U, found.V):
        assert np.abs(W.T @ W - np.eye(k)).max() < 1e-10
    assert error == pytest.approx(found.error * size, rel=1e-6) and found.error < 1


@pytest.mark.parametrize("method", ["lanczos", "power"])
def test_a_sketch_of_two_directions_of_many_certifies_what_it_misses(method, tmp_path):
    """Blocks of which most is left out: the sum of both norms is beyond 1, the measure is not."""
    A, k = topics(400, 400, 3), 6
    found = extend_svd(
        A[:20], [A[i : i + 95] for i in range(20, 400, 95)], k, method=method, width=2
    )
    dense = A.toarray()
    error = np.linalg.norm(dense - found.U * found.s @ found.V.T) / np.linalg.norm(dense)
    assert error == pytest.approx(found.error, rel=1e-9) and found.error < 1
    assert np.isnan(replace(found, missing=None).error)
    save(tmp_path / "sketch.h5", found)
    assert load(tmp_path / "sketch.h5").error == found.error


def test_exact_sparse_updates_equal_dense_ones():
    A, k = topics(200, 150, 3), 9
    found = extend_svd(A[:50], [A[i : i + 10] for i in range(50, 200, 10)], k)
    _, s, Vt = np.linalg.svd(A[:50].toarray(), full_matrices=False)
    small = s[:k, None] * Vt[:k]
    for i in range(50, 200, 10):
        _, s, Vt = np.linalg.svd(np.vstack([small, A[i : i + 10].toarray()]), full_matrices=False)
        small = s[:k, None] * Vt[:k]
    np.testing.assert_allclose(found.s, s[:k], rtol=1e-10)


def test_a_sparse_svd_is_shipped(tmp_path):
    A = topics(60, 80, 1)
    found = extend_svd(A[:40], [A[40:]], 5)
    save(tmp_path / "sparse.h5", found)
    again = load(tmp_path / "sparse.h5")
    assert all(
        np.array_equal(getattr(again, name), getattr(found, name)) for name in ("U", "s", "V")
    )
    assert again.error == found.error


def test_entries_given_twice_are_summed():
    A = topics(60, 80, 2)
    row = sp.csr_array(
        (np.array([1.0, 2.0, 3.0]), np.array([7, 3, 7]), np.array([0, 3])), shape=(1, 80)
    )
    one, two = extend_svd(A, [row], 5), extend_svd(A, [sp.csr_array(row.toarray())], 5)
    np.testing.assert_allclose(one.s, two.s)
    assert one.energy == pytest.approx(two.energy)


def test_bad_sparse_blocks_are_named():
    A = topics(50, 60, 0)
    for call, message in [
        (lambda: extend_svd(A, [A[:, :10]], 5), "10 columns"),
        (lambda: extend_svd(A, [], 50), "rank = 50"),
        (lambda: extend_svd(A, [], 5, method="other"), "unknown method"),
        (lambda: extend_svd(A, [A[:2] * np.nan], 5), "NaN"),
    ]:
        with pytest.raises(BadInput, match=message):
            call()


def about(U, weight=None):
    """U less its weighted mean, each column by the root of its weight."""
    weight = np.ones(U.shape[1]) if weight is None else weight
    mean = U @ weight / weight.sum()
    return mean, (U - mean[:, None]) * np.sqrt(weight)


@pytest.mark.parametrize("forget", [1.0, 0.8])
@pytest.mark.parametrize("b", [1, 3, 40])
@pytest.mark.parametrize("dtype", [float, complex])
def test_a_centred_running_pod_is_the_pod_about_the_mean(b, dtype, forget):
    U, _ = decaying(150, 40, 3, dtype=dtype)
    U = U + 5.0 * np.cos(np.arange(150))[:, None]
    space = Space(stiff(150), np.arange(150))
    for rank in (None, 6):
        state = RunningPod(space, center=True)
        for j in range(0, 40, b):
            state = update(state, U[:, j : j + b], rank=rank, forget=forget)
        weight = forget ** (2.0 * ((40 - 1) // b - np.arange(40) // b))
        mean, W = about(U, weight)
        basis = state.basis()
        np.testing.assert_allclose(basis.offset, mean, rtol=1e-12, atol=1e-13)
        size = np.linalg.norm(space.norm(W))
        assert state.energy == pytest.approx(size**2, rel=1e-10) and state.seen == 40
        assert missed(space, basis.modes, W) <= basis.error * size
        if rank is None:
            reference = np.sqrt(np.maximum(np.linalg.eigvalsh(space.gram(W))[::-1], 0))
            np.testing.assert_allclose(state.s[:30], reference[:30], rtol=1e-7)


def test_centred_running_pods_merge_and_forget_a_snapshot(tmp_path):
    U = decaying(90, 24, 2)[0] + 3.0
    space = euclidean(90)
    parts = []
    for part in (U[:, :10], U[:, 10:]):
        state = RunningPod(space, center=True)
        parts.append(update(state, part))
    save(tmp_path / "centred.h5", parts[1])
    both = merge_pods(parts[0], load(tmp_path / "centred.h5"))
    for state, columns in ((both, U), (downdate(both, U[:, 4]), np.delete(U, 4, axis=1))):
        mean, W = about(columns)
        np.testing.assert_allclose(state.mean, mean, rtol=1e-12)
        reference = np.linalg.svd(W, compute_uv=False)[: columns.shape[1] - 1]
        np.testing.assert_allclose(state.s[: len(reference)], reference, rtol=1e-6)
        assert state.seen == columns.shape[1]
    with pytest.raises(BadInput, match="center=True"):
        merge_pods(both, update(RunningPod(space), U))
    one = update(RunningPod(space, center=True), U[:, 0])
    np.testing.assert_allclose(one.basis().offset, U[:, 0])
    with pytest.raises(BadInput, match="only snapshot"):
        downdate(one, U[:, 0])
