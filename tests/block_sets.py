"""Random sets of blocks of ten kinds, and their errors in extended precision."""

import numpy as np
import scipy.sparse as sp

from rom.compress import greedy_concatenation
from rom.space import Space, euclidean

N = 40
BOUNDS = ("norms", "residuals", "incremental")


def _draw(gen, *shape):
    return gen.standard_normal(shape)


def _span(gen, r):
    return np.linalg.qr(_draw(gen, N, r))[0]


def _widths(gen, most=9):
    return gen.integers(1, most + 1, size=gen.integers(2, 10))


def _noisy(gen, V, n, noise):
    """n columns of the span of V with its own decay, and relative noise."""
    r = V.shape[1]
    body = np.logspace(0, -gen.uniform(0, 2), r)[:, None] * _draw(gen, r, n)
    return V @ body + noise * _draw(gen, N, n)


def parallel(gen):
    """All columns within 1e-12 to 1e-1 of one direction."""
    V, angle = _span(gen, 1), 10.0 ** gen.uniform(-12, -1)
    return [V @ _draw(gen, 1, n) + angle * _draw(gen, N, n) for n in _widths(gen)]


def graded(gen):
    """Singular values over up to sixteen decades, sizes of blocks over twelve."""
    V = _span(gen, 12)
    s = np.logspace(0, -gen.uniform(4, 16), 12)[:, None]
    return [10.0 ** gen.uniform(-6, 6) * V @ (s * _draw(gen, 12, n)) for n in _widths(gen)]


def duplicates(gen):
    """Two blocks, copied, scaled and mixed."""
    kinds = [_noisy(gen, _span(gen, 4), 6, 10.0 ** gen.uniform(-16, -2)) for _ in range(2)]
    blocks = [kinds[k % 2].copy() for k in range(4)]
    blocks += [gen.uniform(0.1, 10) * kinds[0], kinds[1] @ _draw(gen, 6, 3)]
    return [blocks[k] for k in gen.permutation(6)]


def giant(gen):
    """One block larger than the others by up to ten decades."""
    V = _span(gen, 4)
    blocks = [_noisy(gen, V, n, 10.0 ** gen.uniform(-9, -1)) for n in _widths(gen)]
    blocks[int(gen.integers(len(blocks)))] *= 10.0 ** gen.uniform(3, 10)
    return blocks


def wide(gen):
    """More columns than rows."""
    V = _span(gen, int(gen.integers(3, 12)))
    noise = 10.0 ** gen.uniform(-12, -1)
    return [_noisy(gen, V, int(n), noise) for n in gen.integers(30, 90, size=gen.integers(2, 5))]


def complex_(gen):
    """Complex blocks of one to three families."""
    spans = [np.linalg.qr(_draw(gen, N, 4) + 1j * _draw(gen, N, 4))[0] for _ in range(3)]
    noise = 10.0 ** gen.uniform(-12, -1)
    blocks = []
    for n in _widths(gen):
        body = spans[gen.integers(3)] @ (_draw(gen, 4, n) + 1j * _draw(gen, 4, n))
        blocks.append(body + noise * (_draw(gen, N, n) + 1j * _draw(gen, N, n)))
    return blocks


def low_rank(gen):
    """One span of rank 3 plus 1e-9 noise."""
    V = _span(gen, 3)
    return [_noisy(gen, V, n, 1e-9) for n in _widths(gen)]


def families(gen):
    """One to three spans, each block with its own decay, noise and size."""
    spans = [_span(gen, int(gen.integers(2, 7))) for _ in range(gen.integers(1, 4))]
    blocks = []
    for n in _widths(gen):
        noise = 10.0 ** gen.uniform(-5, -1)
        blocks.append(
            10.0 ** gen.uniform(-2, 2) * _noisy(gen, spans[gen.integers(len(spans))], n, noise)
        )
    return blocks


def single_columns(gen):
    """Columns of their own, along a curve."""
    x, mu = np.linspace(0, 1, N), gen.uniform(1, 8, gen.integers(3, 12))
    return [np.exp(-m * x)[:, None] * (1 + 0.1 * np.sin(9 * m * x))[:, None] for m in mu]


def unrelated(gen):
    """Blocks that share nothing, of full rank."""
    return [_draw(gen, N, n) for n in _widths(gen)]


KINDS = {
    "nearly parallel": parallel,
    "graded": graded,
    "duplicates": duplicates,
    "one giant": giant,
    "wide": wide,
    "complex": complex_,
    "rank plus 1e-9 noise": low_rank,
    "families": families,
    "single columns": single_columns,
    "unrelated": unrelated,
}


def random_space(gen):
    """Euclidean, weighted, or with a tridiagonal product: each equally often."""
    kind = gen.integers(3)
    if kind == 0:
        return euclidean(N)
    if kind == 1:
        return Space(10.0 ** gen.uniform(-2, 2, N), np.arange(N))
    off = np.full(N - 1, -1.0)
    X = sp.diags_array([off, np.full(N, 2.0 + 10.0 ** gen.uniform(-3, 0)), off], offsets=[-1, 0, 1])
    return Space(X.tocsr(), np.arange(N))


def long_squares(space, A):
    """sum of |A_j|_X^2 over the columns, in extended precision."""
    A = A.astype(np.clongdouble if np.iscomplexobj(A) else np.longdouble)
    X = space.product
    if not sp.issparse(X):
        return np.sum(X.astype(np.longdouble)[:, None] * np.abs(A) ** 2)
    return np.sum(A.conj() * (X.toarray().astype(np.longdouble) @ A)).real


def excess(merging, blocks, space):
    """The largest true error over its certificate of all clusters."""
    ratios = []
    for c, bound in enumerate(merging.bounds):
        members = np.flatnonzero(merging.labels == c)
        kept = [merging.restore(k, merging.coordinates(k, blocks[k])) for k in members]
        gap = sum(long_squares(space, blocks[k] - A) for k, A in zip(members, kept, strict=True))
        if gap:
            size = sum(long_squares(space, blocks[k]) for k in members)
            ratios.append(float(np.sqrt(gap / size)) / bound if bound else np.inf)
    return max(ratios, default=0.0)


def best_published(blocks, tol, space):
    """The largest compression of the published algorithms, over bounds and ranks."""
    widest = min(N, sum(A.shape[1] for A in blocks))
    trials = [
        greedy_concatenation(blocks, tol, rank, space, bound=bound).compression
        for bound in BOUNDS
        for rank in (1, 2, 3, 4, 6, 8, 12, 16)
        if rank <= widest
    ]
    return max(trials)
