"""Laws of the proper orthogonal decomposition."""

import subprocess
import sys

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given, settings
from hypothesis import strategies as st

from rom.basis import gram_schmidt, spectral_tail
from rom.compress import RunningPod, balance, pod, projection_error, update
from rom.errors import BadInput
from rom.snapshots import Snapshots
from rom.space import Field, Space, euclidean


def decaying(n: int, m: int, decades: float, rng: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """U = Q diag(s) Z^T with known s, the same draw as the peers were measured on."""
    gen = np.random.default_rng(rng)
    s = np.logspace(0, -decades, m)
    Q, Z = (
        np.linalg.qr(gen.standard_normal((n, m)))[0],
        np.linalg.qr(gen.standard_normal((m, m)))[0],
    )
    return (Q * s) @ Z.T, s


def stiff(n: int) -> sp.csr_array:
    """Tridiagonal product with condition number about 4 n^2 / 10."""
    return sp.csr_array(
        sp.diags_array(
            [-np.ones(n - 1), 2 * np.ones(n) + 10 / n**2, -np.ones(n - 1)], offsets=[-1, 0, 1]
        )
    )


def snapshots(U: np.ndarray, space: Space | None = None) -> Snapshots:
    return Snapshots(space or euclidean(len(U)), np.arange(U.shape[1], dtype=float)[:, None], U)


def test_fourteen_decades_eighty_modes():
    U, s = decaying(20_000, 100, 14)
    basis, found = pod(snapshots(U), rank=80)
    optimal = np.linalg.norm(s[80:])
    error = np.linalg.norm(U - basis.modes @ (basis.modes.T @ U))
    assert basis.r == 80
    assert error <= 1.01 * optimal
    assert np.abs(basis.modes.T @ basis.modes - np.eye(80)).max() <= 1e-12
    assert np.abs(found - s).max() <= 1e-14
    assert basis.error == pytest.approx(optimal / np.linalg.norm(s), rel=0.05)


@pytest.mark.parametrize("method", ["gram", "full", "random", "auto"])
@pytest.mark.parametrize("kind", ["euclidean", "diagonal", "sparse"])
@pytest.mark.parametrize("dtype", [float, complex])
def test_orthonormal_and_optimal_in_any_product(method, kind, dtype):
    n, m, r = 300, 30, 8
    gen = np.random.default_rng(3)
    U = (
        gen.standard_normal((n, m)) + (1j * gen.standard_normal((n, m)) if dtype is complex else 0)
    ) @ np.diag(10.0 ** -np.arange(m))
    X = {"euclidean": np.ones(n), "diagonal": gen.uniform(0.1, 10, n), "sparse": stiff(n)}[kind]
    space = Space(X, np.arange(n))
    basis, s = pod(snapshots(U, space), rank=r, method=method)
    dense = X.toarray() if sp.issparse(X) else np.diag(X)
    exact = np.linalg.svd(np.linalg.cholesky(dense).T @ U, compute_uv=False)
    assert np.abs(space.gram(basis.modes) - np.eye(basis.r)).max() < 1e-12
    if method == "gram":
        assert basis.reason.startswith("gram") and basis.r <= r
    else:
        assert basis.r == r
        assert np.abs(s[:r] - exact[:r]).max() < 1e-13 * exact[0]
    optimal = np.linalg.norm(exact[basis.r :])
    assert (
        projection_error(snapshots(U, space), basis) * np.linalg.norm(exact)
        <= 1.01 * optimal + 1e-14 * exact[0]
    )


@pytest.mark.parametrize("method", ["gram", "full"])
@pytest.mark.parametrize("tol", [1e-1, 1e-3, 1e-5])
def test_the_tail_is_honoured(method, tol):
    U, _ = decaying(500, 40, 10)
    basis, _ = pod(snapshots(U), tol=tol, method=method)
    assert projection_error(snapshots(U), basis) <= tol
    assert projection_error(snapshots(U), basis.truncate(basis.r - 1)) > tol
    assert basis.tol_asked == tol


def test_gram_says_what_round_off_hides():
    U, _ = decaying(500, 40, 14)
    basis, _ = pod(snapshots(U), rank=40, method="gram")
    assert basis.r < 40 and basis.rank_asked == 40 and "round-off" in basis.reason


def test_dependent_snapshots_deliver_the_numerical_rank():
    U, _ = decaying(400, 10, 3)
    basis, _ = pod(snapshots(np.hstack([U, U, U @ np.ones((10, 5))])), rank=25)
    assert basis.r == 10 and "round-off" in basis.reason


@settings(max_examples=25, deadline=None)
@given(
    st.integers(1, 60),
    st.integers(1, 12),
    st.floats(0, 15),
    st.floats(-100, 100),
    st.booleans(),
    st.integers(0, 2**31),
    st.integers(1, 9),
)
def test_any_shape_any_scale(n, m, decades, log_scale, center, seed, blocks):
    gen = np.random.default_rng(seed)
    U = 10.0**log_scale * gen.standard_normal((n, m)) * np.logspace(0, -decades, m)
    if center and m == 1:
        U = np.hstack([U, -U])
    basis, s = pod(
        snapshots(U),
        rank=min(n, U.shape[1]),
        center=center,
        memory_budget=(1 + 3 / blocks) * U.nbytes + 48 * U.shape[1],
    )
    assert np.abs(basis.modes.T @ basis.modes - np.eye(basis.r)).max() < 1e-12
    assert projection_error(snapshots(U), basis) <= max(1e-13, 3 * basis.error)
    assert (np.diff(s) <= 1e-14 * s[0]).all()


def test_centred_basis_has_the_mean():
    U, _ = decaying(200, 20, 4)
    U += 5.0
    basis, _ = pod(snapshots(U), tol=1e-3, center=True)
    np.testing.assert_allclose(basis.offset, U.mean(axis=1), rtol=1e-14)
    assert projection_error(snapshots(U), basis) <= 1e-3


@pytest.mark.parametrize("method", ["gram", "full", "random"])
@pytest.mark.parametrize("sparse", [False, True])
def test_out_of_core_equals_in_core(tmp_path, method, sparse):
    U, _ = decaying(2000, 30, 5)
    mapped = np.memmap(tmp_path / "u", dtype=float, mode="w+", shape=U.shape, order="F")
    mapped[:] = U
    space = Space(stiff(2000), np.arange(2000)) if sparse else euclidean(2000)
    inside, s = pod(snapshots(U, space), rank=10, method=method)
    outside, t = pod(snapshots(mapped, space), rank=10, method=method, memory_budget=2**20)
    np.testing.assert_allclose(s, t, rtol=1e-6, atol=1e-13 * s[0])
    np.testing.assert_allclose(space.inner(inside.modes, outside.modes), np.eye(10), atol=1e-5)
    assert np.abs(space.gram(outside.modes) - np.eye(10)).max() < 1e-12


def test_nan_on_disk_is_named(tmp_path):
    U, _ = decaying(100, 5, 3)
    U[37, 2] = np.nan
    mapped = np.memmap(tmp_path / "u", dtype=float, mode="w+", shape=U.shape)
    mapped[:] = U
    with pytest.raises(BadInput, match=r"snapshot 2 .* dof 37"):
        pod(snapshots(mapped), rank=2)


def test_inputs_are_left_alone():
    U, _ = decaying(100, 8, 3)
    U.flags.writeable = False
    pod(snapshots(U), rank=3, center=True)
    assert not U.flags.writeable


def test_balanced_fields_weigh_the_same():
    gen = np.random.default_rng(0)
    rows = np.arange(60)
    space = Space(
        np.ones(60),
        rows,
        fields=(Field("temperature", "K", rows[:20]), Field("displacement", "m", rows[20:], 2)),
    )
    U = gen.standard_normal((60, 7))
    U[:20] *= 1e3
    U[20:] *= 1e-6
    fair = balance(snapshots(U, space))
    for f in space.fields:
        part = np.zeros_like(U)
        part[f.rows] = U[f.rows]
        assert np.sum(fair.space.norm(part) ** 2) == pytest.approx(7)


def test_gram_schmidt_keeps_orthogonality_of_nearly_dependent_columns():
    gen = np.random.default_rng(1)
    space = Space(stiff(200), np.arange(200))
    u = gen.standard_normal((200, 1))
    U = u + 1e-13 * gen.standard_normal((200, 6))
    Q, T = gram_schmidt(space, U)
    assert np.abs(space.gram(Q) - np.eye(Q.shape[1])).max() < 1e-13
    np.testing.assert_allclose(Q @ T[: Q.shape[1]], U, atol=1e-14 * np.abs(U).max())


def test_modes_that_do_not_fit_the_budget_are_refused():
    U, _ = decaying(2000, 30, 5)
    with pytest.raises(BadInput, match="memory_budget"):
        pod(snapshots(U), rank=10, memory_budget=2**16)


STREAM = """
import sys, threading
from pathlib import Path
import subprocess
import sys

import numpy as np
from rom.compress.decomposition import pod
from rom.snapshots import Snapshots
from rom.space import euclidean

def anonymous():
    lines = Path("/proc/self/status").read_text().splitlines()
    return 1024 * int(next(l.split()[1] for l in lines if l.startswith("RssAnon")))

n, m, budget, method = 400_000, 40, int(sys.argv[2]), sys.argv[3]
u = np.memmap(sys.argv[1], dtype=float, mode="r", shape=(n, m))
snapshots = Snapshots(euclidean(n), np.arange(m, dtype=float)[:, None], u)
peak, done = [0], threading.Event()

def watch():
    while not done.wait(0.002):
        peak[0] = max(peak[0], anonymous())

small = np.random.default_rng(0).random((100, m))
pod(Snapshots(euclidean(100), snapshots.mu, small), rank=2, method=method)
start = anonymous()
thread = threading.Thread(target=watch, daemon=True)
thread.start()
pod(snapshots, rank=4, method=method, memory_budget=budget)
done.set()
thread.join()
print(peak[0] - start)
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="RssAnon is read from /proc")
@pytest.mark.parametrize("method", ["gram", "full"])
def test_anonymous_memory_stays_within_the_budget(tmp_path, method):
    n, m, budget = 400_000, 40, 64 * 2**20
    u = np.memmap(tmp_path / "u", dtype=float, mode="w+", shape=(n, m))
    s = np.logspace(0, -8, m)
    for i in range(0, n, 50_000):
        u[i : i + 50_000] = np.random.default_rng(i).standard_normal((50_000, m)) * s
    u.flush()
    command = [sys.executable, "-c", STREAM, str(tmp_path / "u"), str(budget), method]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    assert u.nbytes > 1.9 * budget
    assert int(done.stdout) <= 1.05 * budget


def test_more_snapshots_than_dofs():
    U = np.random.default_rng(0).standard_normal((20, 300))
    basis, s = pod(Snapshots(euclidean(20), np.zeros((300, 1)), U), tol=1e-14, method="full")
    assert basis.r == 20
    np.testing.assert_allclose(s, np.linalg.svd(U, compute_uv=False), rtol=1e-12)


@pytest.mark.parametrize("seed", [28, 43, 44, 45])
def test_snapshots_that_outnumber_the_free_dofs_have_the_modes_of_the_svd(seed):
    gen, n, m, r = np.random.default_rng(seed), 81, 108, 54
    u = np.zeros((n, m))
    decay = 10.0 ** -np.linspace(0, gen.choice([0, 4, 8, 12]), r)
    u[gen.permutation(n)[:r]] = gen.standard_normal((r, r)) * decay @ gen.standard_normal((r, m))
    basis, s = pod(Snapshots(euclidean(n), np.zeros((m, 1)), u), 1e-10, method="full")
    exact = np.linalg.svd(u, compute_uv=False)
    assert np.abs(s[: basis.r] - exact[: basis.r]).max() < 1e-13 * exact[0]
    assert np.abs(basis.modes.T @ basis.modes - np.eye(basis.r)).max() < 1e-12


def test_the_spectral_tail_is_what_the_first_modes_leave_out():
    s = np.logspace(0, -9, 12)
    tails = spectral_tail(s)
    assert tails.shape == (13,) and tails[-1] == 0.0 and spectral_tail(s[:0]).tolist() == [0.0]
    for r in range(12):
        assert tails[r] == pytest.approx(np.linalg.norm(s[r:]) ** 2, rel=1e-14)


def test_single_precision_is_decomposed_in_double():
    x, p = np.linspace(0, 1, 5000)[:, None], np.linspace(0.1, 1, 60)
    U = (300 + 1e-2 * np.sin(np.pi * x * (1 + 3 * p))).astype(np.float32)
    for tol in (1e-3, 1e-5):
        basis, _ = pod(snapshots(U), tol=tol, center=True)
        W = U.astype(float) - U.astype(float).mean(axis=1, keepdims=True)
        missed = W - basis.modes @ (basis.modes.T @ W)
        assert np.linalg.norm(missed) <= tol * np.linalg.norm(W)
        assert np.abs(basis.modes.T @ basis.modes - np.eye(basis.r)).max() < 1e-13


@pytest.mark.parametrize("method", ["auto", "gram", "full", "random"])
def test_the_rank_is_at_most_the_dofs(method):
    U = np.random.default_rng(0).standard_normal((50, 125)).astype(np.float32)
    basis, _ = pod(snapshots(U), rank=60, method=method)
    assert basis.r == 50
    assert np.abs(basis.modes.T @ basis.modes - np.eye(50)).max() < 1e-12


@pytest.mark.parametrize("sparse", [False, True])
@pytest.mark.parametrize("center", [False, True])
def test_many_snapshots_of_few_dofs_need_no_matrix_of_the_snapshots(sparse, center):
    gen = np.random.default_rng(0)
    U = gen.standard_normal((40, 8)) @ gen.standard_normal((8, 30_000))
    space = Space(stiff(40), np.arange(40)) if sparse else euclidean(40)
    basis, s = pod(snapshots(U, space), tol=1e-10, center=center)
    assert basis.r == 8 and projection_error(snapshots(U, space), basis) < 1e-13
    W = U - U.mean(axis=1, keepdims=True) if center else U
    energy = np.sum(space.norm(W) ** 2)
    assert np.sum(s**2) == pytest.approx(energy, rel=1e-12)


@pytest.mark.parametrize("scale", [1e-300, 1e-160, 1e200])
@pytest.mark.parametrize("method", ["auto", "gram", "full"])
def test_numbers_whose_squares_vanish_are_decomposed(scale, method):
    U = np.random.default_rng(0).standard_normal((200, 8))
    basis, s = pod(snapshots(U), tol=0.3, method=method)
    small, t = pod(snapshots(scale * U), tol=0.3, method=method)
    assert small.r == basis.r and small.error == pytest.approx(basis.error, rel=1e-9)
    np.testing.assert_allclose(t / scale, s, rtol=1e-9)


def test_a_running_pod_of_vanishing_squares_is_refused_by_name():
    with pytest.raises(BadInput, match="squares are beyond double precision"):
        update(RunningPod(euclidean(30)), 1e-170 * np.ones((30, 2)))


@pytest.mark.parametrize(
    ("product", "message"),
    [
        (sp.csr_array([[2.0, 1.0], [0.0, 2.0]]), r"not symmetric: 1 at \(0, 1\), 0 at \(1, 0\)"),
        (sp.csr_array([[1.0, 2.0], [2.0, 1.0]]), "indefinite"),
        (sp.csr_array([[0.0, 1.0], [1.0, 0.0]]), "indefinite"),
        (np.array([1.0, -1.0]), r"-1 at \(1, 1\)"),
    ],
)
def test_a_product_that_is_none_is_refused(product, message):
    with pytest.raises(BadInput, match=message):
        Space(product, np.arange(2))


def test_an_indefinite_form_near_its_resonance_is_refused():
    K = sp.diags_array([-np.ones(199), 2 * np.ones(200), -np.ones(199)], offsets=[-1, 0, 1])
    Space(K.tocsr(), np.arange(200))
    with pytest.raises(BadInput, match="indefinite"):
        Space(sp.csr_array(K - 1e-3 * sp.eye_array(200)), np.arange(200))
