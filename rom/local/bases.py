"""Local bases: k-medoids of angles, then K subspaces refined on held-out errors."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import scipy.linalg as la

from rom.basis import Basis, LocalBases
from rom.compress.decomposition import pod
from rom.errors import BadInput, MissingExtra
from rom.local.dissimilarity import check_dissimilarity
from rom.snapshots import Snapshots


def local_bases(
    snapshots: Snapshots,
    k: int,
    modes: int,
    refine: bool = True,
    restarts: int = 8,
    folds: int = 6,
    classify: Callable[..., object] | None = None,
    inputs: np.ndarray | None = None,
    whole_runs: bool = False,
    tol: float = 1e-7,
    rng: int | np.random.Generator = 0,
) -> LocalBases:
    """min over labels and dim V_k = modes of the mean of |u_i - P_{V_k(i)} u_i| / |u_i|, each u_i held out of its own V_k.

    Starts: k-medoids of sines, and `restarts` random ones; refine=False stops at the k-medoids. Snapshots of one mu are held out together.
    classify : (inputs, labels, errors, groups) -> classifier, such as `classify.fitted`. Then k(i) is what it chooses while u_i is held
        out: of the best partitions the one that can be told apart beforehand. See `foreseen`.
    inputs : (m, p) what it will see online, (mu, t) by default: the unit coordinates of a box, or reduced features of an input field
    whole_runs : all snapshots of one mu get one label, for models that cannot change basis on the way; tol : relative, on what the hull may miss
    Raises BadInput for zero snapshots, or too few of them. Reference: Daniel et al. (2022); K subspaces: Bradley & Mangasarian (2000).
    """
    gen = np.random.default_rng(rng)
    V, A = hull_coordinates(snapshots, tol)
    if not 0 < k <= snapshots.m or not 0 < modes <= V.r:
        raise BadInput(
            f"{k} clusters of {modes} modes need at least as many snapshots; there are {snapshots.m} of rank {V.r}"
        )
    groups = run_numbers(snapshots)
    fold = choose_folds(groups, folds, gen)
    G = A.conj().T @ A
    found = partitions(
        G, k, modes, fold, restarts if refine else None, gen, groups if whole_runs else None
    )
    if classify is None:
        labels, shares, machine = found[0], np.eye(k)[found[0]], None
        E = held_out_errors(G, shares, modes, fold)
    else:
        overlaps = (0.0, 0.15, 0.3) if refine else (0.0,)
        labels, shares, E, machine = choose_foreseeable(
            G, found, modes, fold, classify, _known(snapshots, inputs), groups, overlaps=overlaps
        )
    D = angles(G)
    centres = np.array([_medoid(D, labels == j) for j in range(k)])
    return replace(assemble_bases(V, A, labels, centres, modes, E, shares), classifier=machine)


def partitions(
    G: np.ndarray,
    k: int,
    modes: int,
    fold: np.ndarray,
    restarts: int | None,
    rng: np.random.Generator,
    together: np.ndarray | None = None,
) -> list[np.ndarray]:
    """Labels (m,), best held-out error first: K subspaces from the k-medoids of sines and from `restarts` seeds, the k-medoids last.

    restarts : None for the k-medoids alone; together : samples of one number get one label; their dissimilarity is then the mean sine
    """
    D = angles(G)
    place = np.arange(len(G)) if together is None else np.unique(together, return_inverse=True)[1]
    share = (place == np.arange(place.max() + 1)[:, None]) / np.bincount(place)[:, None]
    between = D if together is None else _hollow(share @ D @ share.T)
    labels = medoids(between, k, rng=rng)[0][place]
    if restarts is None or k == 1:
        return [labels]
    starts = [labels, *(seed_labels(between, k, rng)[place] for _ in range(restarts))]
    average = None if together is None else share
    refined = sorted(
        (subspaces(G, start, modes, fold, average) for start in starts), key=lambda found: found[1]
    )
    return [*(found for found, _ in refined), labels]


def choose_foreseeable(
    G: np.ndarray,
    found: list[np.ndarray],
    modes: int,
    fold: np.ndarray,
    classify: Callable[..., Any],
    x: np.ndarray,
    groups: np.ndarray,
    tried: int = 4,
    overlaps: Sequence[float] = (0.0, 0.15, 0.3),
) -> tuple[np.ndarray, np.ndarray, np.ndarray, Any]:
    """Labels, shares (m, k), held-out errors (m, k) and classifier of least error on held-out samples as it chooses.

    Of the first `tried` partitions and the last, each with every overlap w: share_ij = (1 - w) [label_i = j] + w P(j | x_i), P held out;
    with w > 0 a basis also learns what will be sent to it by mistake.
    """
    best = None
    for labels in [*found[:tried], *found[max(tried, len(found) - 1) :]]:
        hard = np.eye(int(labels.max()) + 1)[labels]
        E = held_out_errors(G, hard, modes, fold)
        machine = classify(x, labels, E, groups)
        for w in overlaps:
            shares = (1.0 - w) * hard + w * machine.chances
            E = held_out_errors(G, shares, modes, fold) if w > 0.0 else E
            regret = float(np.mean(E[np.arange(len(G)), np.argmin(machine.expected, axis=1)]))
            if best is None or regret < best[0]:
                best = regret, labels, shares, E, machine
    return best[1:]  # type: ignore[index]


def _known(snapshots: Snapshots, inputs: np.ndarray | None) -> np.ndarray:
    return features(snapshots) if inputs is None else np.asarray(inputs, dtype=float)


def _hollow(D: np.ndarray) -> np.ndarray:
    upper = np.triu(D, 1)
    return upper + upper.T


def hull_coordinates(snapshots: Snapshots, tol: float = 1e-7) -> tuple[Basis, np.ndarray]:
    """u_i / |u_i| ~ V a_i: an orthonormal basis of all directions and the coordinates (R, m), columns of norm one up to tol."""
    U = np.asarray(snapshots.u[:])
    size = np.asarray(snapshots.space.norm(U))
    zero = np.flatnonzero(~(size > 0))
    if zero.size:
        raise BadInput(
            f"snapshot {zero[0]} (mu = {snapshots.mu[zero[0]]}) is zero or not finite; it has no direction: leave it out"
        )
    V, _ = pod(replace(snapshots, u=U / size), tol=tol, method="full")
    return V, V.coefficients(U) / size


def features(snapshots: Snapshots) -> np.ndarray:
    """(mu, t), (m, p) or (m, p + 1): time is one more parameter."""
    return snapshots.mu if snapshots.t is None else np.column_stack([snapshots.mu, snapshots.t])


def run_numbers(snapshots: Snapshots) -> np.ndarray:
    """Number of the run of each snapshot: those of one mu belong together."""
    return np.unique(snapshots.mu, axis=0, return_inverse=True)[1].ravel()


def choose_folds(groups: np.ndarray, folds: int, rng: np.random.Generator) -> np.ndarray:
    """A fold for each sample, the same within a group, of nearly equal numbers of groups."""
    names, place = np.unique(groups, return_inverse=True)
    return rng.permutation(np.arange(len(names)) % min(folds, len(names)))[place]


def angles(G: np.ndarray) -> np.ndarray:
    """Sines of the angles between samples from their Gram matrix, (m, m)."""
    size = np.sqrt(np.diag(G).real)
    D = np.triu(np.sqrt(np.maximum(1.0 - np.square(np.abs(G) / np.outer(size, size)), 0.0)), 1)
    return D + D.T


def medoids(
    D: np.ndarray, k: int, restarts: int = 10, rng: int | np.random.Generator = 0
) -> tuple[np.ndarray, np.ndarray, float]:
    """min over medoids of sum_i min_j D(i, m_j): labels (m,), medoids (k,), objective; the best of several FasterPAM starts.

    Raises BadInput for dissimilarities that are not, which the library would take silently. Reference: Schubert & Rousseeuw (2021).
    """
    D = check_dissimilarity(D)
    if not 0 < k <= len(D):
        raise BadInput(f"{k} medoids of {len(D)} samples; choose 1..{len(D)}")
    if k == 1:
        best = int(np.argmin(D.sum(axis=0)))
        return np.zeros(len(D), dtype=int), np.array([best]), float(D[:, best].sum())
    try:
        import kmedoids
    except ImportError as error:
        raise MissingExtra(
            "k-medoids needs the library kmedoids; pip install 'rom-platform[cluster]'"
        ) from error
    gen = np.random.default_rng(rng)
    found = [
        kmedoids.fasterpam(D, gen.choice(len(D), k, replace=False).astype(np.uint64), n_cpu=1)
        for _ in range(restarts)
    ]
    best = min(found, key=lambda one: float(one.loss))
    return np.asarray(best.labels, dtype=int), np.asarray(best.medoids, dtype=int), float(best.loss)


def seed_labels(D: np.ndarray, k: int, rng: np.random.Generator) -> np.ndarray:
    """Labels by the nearest of k seeds, each drawn with probability D^2 to those drawn. Reference: Arthur & Vassilvitskii (2007)."""
    seeds = [int(rng.integers(len(D)))]
    for _ in range(k - 1):
        weight = np.min(D[:, seeds], axis=1) ** 2
        total = weight.sum()
        seeds.append(int(rng.choice(len(D), p=weight / total if total > 0 else None)))
    return np.argmin(D[:, seeds], axis=1)


def subspaces(
    G: np.ndarray,
    labels: np.ndarray,
    modes: int,
    fold: np.ndarray,
    average: np.ndarray | None = None,
    sweeps: int = 30,
) -> tuple[np.ndarray, float]:
    """Reassign every sample to the subspace that misses it least while held out, until the mean held-out error stops falling.

    G : (m, m) Gram matrix of unit samples; average : (q, m) means over the groups that move together, or None
    Returns the labels and their mean held-out error, plus 1 where a cluster has no more samples than modes.
    """
    k = int(labels.max()) + 1
    shares = np.eye(k)[labels]
    E = held_out_errors(G, shares, modes, fold)
    best, least, stale = labels, _own(E, labels, modes), 0
    for _ in range(sweeps):
        if average is None:
            labels = _filled(np.argmin(E, axis=1), E, k, modes)
        else:
            labels = np.argmin(average @ E, axis=1)[np.argmax(average > 0, axis=0)]
        known, shares = (shares, E), np.eye(k)[labels]
        E = held_out_errors(G, shares, modes, fold, known)
        stale = 0 if _own(E, labels, modes) < least else stale + 1
        if stale == 0:
            best, least = labels, _own(E, labels, modes)
        if stale > 4 or ((labels == best).all() and stale > 0):
            break
    return best, least


def held_out_errors(
    G: np.ndarray,
    shares: np.ndarray,
    modes: int,
    fold: np.ndarray,
    known: tuple[np.ndarray, np.ndarray] | None = None,
) -> np.ndarray:
    """E_ij = |a_i - P_j a_i|, (m, k): P_j on the leading modes of sum_l share_lj a_l a_l^H over l outside the fold of i; blind below 1e-8.

    G : (m, m) Gram matrix of unit samples; shares : (m, k), rows of the identity for labels
    known : other shares and their E, of which columns with the same shares are taken
    """
    E = np.ones(shares.shape)
    for j in range(shares.shape[1]):
        if known is not None and np.array_equal(known[0][:, j], shares[:, j]):
            E[:, j] = known[1][:, j]
            continue
        for f in np.unique(fold):
            out = np.flatnonzero(fold == f)
            of = np.flatnonzero((fold != f) & (shares[:, j] > 1e-3))
            E[out, j] = _missed(G, of, out, modes, np.sqrt(shares[of, j]))
    return E


def _missed(
    G: np.ndarray, of: np.ndarray, samples: np.ndarray, modes: int, weight: np.ndarray
) -> np.ndarray:
    """|a_i - P a_i| of unit samples for the leading modes of the weighted samples `of`, from their Gram matrix."""
    m = len(of)
    if m == 0:
        return np.ones(len(samples))
    leading_only = None if m < 4 * modes else (m - modes, m - 1)
    square, Z = la.eigh(
        weight[:, None] * G[np.ix_(of, of)] * weight,
        subset_by_index=leading_only,
        check_finite=False,
    )
    kept = np.flatnonzero(square > 1e-13 * square[-1])[-modes:]
    c = (Z[:, kept].conj().T * weight) @ G[np.ix_(of, samples)] / np.sqrt(square[kept])[:, None]
    return np.sqrt(np.maximum(1.0 - np.sum(np.abs(c) ** 2, axis=0), 0.0))


def leading(A: np.ndarray, modes: int) -> np.ndarray:
    """The leading left singular vectors of A that exceed round-off, at most `modes`."""
    W, s, _ = la.svd(A, full_matrices=False, check_finite=False)
    return W[:, : min(modes, int(np.sum(s > 1e-12 * s[0])))]


def assemble_bases(
    V: Basis, A: np.ndarray, labels: np.ndarray, centres: np.ndarray, modes: int, errors: np.ndarray | None = None,
    shares: np.ndarray | None = None,
) -> LocalBases:  # fmt: skip
    """Local bases of given labels, or shares (m, k), and medoids: their hull is the span of all of them inside span V."""
    shares = np.eye(len(centres))[labels] if shares is None else shares
    W = [leading((A * np.sqrt(share))[:, share > 1e-3], modes) for share in shares.T]
    Q, s, _ = la.svd(np.hstack(W), full_matrices=False)
    Q = Q[:, s > 1e-10 * s[0]]
    rotations = tuple(la.qr(Q.conj().T @ each, mode="economic")[0] for each in W)
    c = Q.conj().T @ A[:, centres]
    hull = replace(
        V,
        modes=V.modes @ Q,
        s=None,
        rank_asked=modes * len(W),
        tol_asked=None,
        reason=f"hull of {len(W)} local bases",
    )
    return LocalBases(hull, rotations, labels, c / la.norm(c, axis=0), errors)


def _own(E: np.ndarray, labels: np.ndarray, modes: int) -> float:
    """Mean held-out error of the samples on their own clusters, plus 1 where a cluster is its own data: such labels never win."""
    small = np.bincount(labels, minlength=E.shape[1]).min() <= min(
        modes, len(labels) // E.shape[1] - 1
    )
    return float(np.mean(E[np.arange(len(labels)), labels])) + float(small)


def _filled(labels: np.ndarray, E: np.ndarray, k: int, modes: int) -> np.ndarray:
    """Clusters of fewer than modes + 1 samples take those that miss it least: a basis must not be its own data."""
    labels = labels.copy()
    for j in range(k):
        lack = min(modes + 1, len(labels) // k) - int(np.sum(labels == j))
        if lack > 0:
            spare = np.bincount(labels, minlength=k)[labels] > modes + 1
            order = np.argsort(
                np.where((labels != j) & spare, E[:, j] - E[np.arange(len(labels)), labels], np.inf)
            )
            labels[order[:lack]] = j
    return labels


def _medoid(D: np.ndarray, mine: np.ndarray) -> int:
    members = np.flatnonzero(mine)
    return int(members[np.argmin(D[np.ix_(members, members)].sum(axis=0))])
