"""Local bases on five physics: a travelling heat source, Burgers, Helmholtz over a band, Nagumo's fronts, a viscoplastic cube.

Mean and 90 % quantile of |u - P u| / |u| on unseen runs for one global basis, k-means on parameters, k-means on fields, k-medoids
of sines, and ours (K subspaces refined on held-out errors): the same runs, K, modes and normalised POD for all. Each strategy assigns
by its own rule (nearest centre in parameters, nearest centre in fields, nearest medoid, least miss: the first and the last two know the
solution); `best` gives every strategy the least miss, `online` the same kind of classifier on what is known beforehand, for which ours
are chosen. Nothing is chosen on the unseen runs.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from cases.viscoplastic_cube import HOT, cube, cycles
from rom.basis import LocalBases
from rom.cli.launch import run
from rom.compress.concatenated import (
    greedy_concatenation,
    incremental_bound,
    norms_bound,
    residuals_bound,
)
from rom.compress.merge import blocks_of_labels, merge_blocks
from rom.history import History
from rom.loading import Loading
from rom.local.bases import (
    assemble_bases,
    choose_folds,
    features,
    held_out_errors,
    hull_coordinates,
    local_bases,
    run_numbers,
)
from rom.local.learning import fit_classifier
from rom.local.dissimilarity import scaling, sines
from rom.local.gain import QUICK, Gain, expected_gain
from rom.parameters import Box
from rom.plot.clusters import gains, scatter
from rom.snapshots import Snapshots
from rom.space import Field, Space, euclidean
from solvers.fronts import burgers, helmholtz, nagumo, travelling_source
from solvers.solid import Body, march

TIMES = np.linspace(0.1, 1.0, 10)
K, MODES, CANDIDATES = 5, 8, (1, 2, 3, 4, 6, 8)
CLASSIC = ("global", "parameters", "fields")
COUNTED = {  # count : (assignment, what is below, what in mean and 90 % quantile)
    "problems_sine_below_classic": ("", "sine", CLASSIC),
    "problems_ours_below_sine": ("", "ours", ("sine",)),
    "problems_sine_below_classic_best": ("best_", "sine", CLASSIC),
    "problems_ours_below_sine_best": ("best_", "ours", ("sine",)),
    "problems_sine_below_classic_online": ("online_", "sine", CLASSIC),
    "problems_ours_below_sine_online": ("online_", "ours", ("sine",)),
}


@dataclass(frozen=True, eq=False)
class Physics:
    """Runs at unit parameters x (m, p): sample(x) -> Snapshots whose mu are what a classifier may know beforehand."""

    p: int
    train: int
    test: int
    sample: Callable[[np.ndarray], Snapshots]

    def drawn(self, count: int, seed: int) -> Snapshots:
        """`count` runs at random parameters."""
        return self.sample(np.random.default_rng(seed).random((count, self.p)))


def _marched(box: Box, solve: Callable[..., np.ndarray], x: np.ndarray) -> Snapshots:
    u = solve(box.from_unit(x), TIMES)
    space = euclidean(len(u), fields=(Field("u", "1", np.arange(len(u))),))
    return Snapshots(space, np.repeat(x, len(TIMES), axis=0), u, np.tile(TIMES, len(x)))


def _band(box: Box, x: np.ndarray) -> Snapshots:
    u = helmholtz(box.from_unit(x))
    return Snapshots(euclidean(len(u)), x, u)


def box(names: str, lower: list[float], upper: list[float], logs: str) -> Box:
    """Parameters by name; those named in `logs` are drawn on a log scale."""
    scales = tuple("log" if name in logs.split() else "linear" for name in names.split())
    return Box(tuple(names.split()), np.array(lower), np.array(upper), scales=scales)


def heated(b: Body, x: np.ndarray) -> Loading:
    """Rotation, side pressure and one hot spot of random place, width and height grow in five steps and hold for four, 0.1 s each."""
    omega, pressure, peak = 2e3 * 6 ** x[0], 3.0 * 30 ** x[1], 30.0 * (850 / 30) ** x[2]
    width = 0.25 + 0.35 * x[6]
    field = 20.0 + peak * np.exp(-np.sum((b.mesh.points - x[3:6]) ** 2, axis=1) / (2 * width**2))
    return cycles(
        b,
        field,
        np.linspace(0.0, 0.9, 10),
        np.concatenate([np.linspace(0, 1, 6), np.ones(4)]),
        omega,
        pressure,
    )


def histories(b: Body, x: np.ndarray) -> list[tuple[Loading, History]]:
    """High-fidelity histories at unit parameters x (m, 7)."""
    loadings = [heated(b, one) for one in x]
    return [(loading, march(b, loading, loading.t)) for loading in loadings]


def cube_snapshots(b: Body, x: np.ndarray, found: list[tuple[Loading, History]]) -> Snapshots:
    """Displacements of the histories as columns."""
    u, t = np.hstack([h.u for _, h in found]), np.concatenate([h.t for _, h in found])
    return Snapshots(b.space, np.repeat(x, len(found[0][1].t), axis=0), u, t)


def _cube(b: Body, x: np.ndarray) -> Snapshots:
    return cube_snapshots(b, x, histories(b, x))


def physics(cells: int = 4) -> dict[str, Physics]:
    """The five problems. Runs are chosen so that there are some hundred snapshots of each."""
    source = box("y v P kappa", [0.2, 0.5, 1.0, 0.003], [0.8, 2.0, 100.0, 0.03], "v P kappa")
    front = box("a c nu", [0.05, 0.1, 0.002], [2.0, 0.4, 0.05], "a nu")
    band = box("k eta s1 s2", [3.0, 0.005, 0.1, 0.1], [15.0, 0.1, 0.9, 0.9], "eta")
    bump = box("a theta D c", [0.2, 0.05, 0.002, 0.2], [1.0, 0.45, 0.02, 0.8], "D")
    return {
        "source": Physics(4, 40, 80, partial(_marched, source, travelling_source)),
        "burgers": Physics(3, 40, 80, partial(_marched, front, burgers)),
        "helmholtz": Physics(4, 240, 400, partial(_band, band)),
        "nagumo": Physics(4, 40, 80, partial(_marched, bump, nagumo)),
        "cube": Physics(7, 60, 80, partial(_cube, cube(cells, HOT))),
    }


def labelled(train: Snapshots, labels: np.ndarray) -> LocalBases:
    """Local bases of given labels with their held-out errors and classifier, by the same POD as ours."""
    V, A = hull_coordinates(train)
    k, gen = int(labels.max()) + 1, np.random.default_rng(0)
    first = np.array([np.flatnonzero(labels == j)[0] for j in range(k)])
    E = held_out_errors(
        A.conj().T @ A, np.eye(k)[labels], MODES, choose_folds(run_numbers(train), 8, gen)
    )
    return replace(
        assemble_bases(V, A, labels, first, MODES, E),
        classifier=fit_classifier(features(train), labels, E, run_numbers(train)),
    )


def strategies(
    train: Snapshots, test: Snapshots, seed: int = 0
) -> dict[str, tuple[LocalBases, np.ndarray | None]]:
    """name -> (bases, labels of the unseen snapshots by the strategy's own rule, None for the least miss)."""
    from sklearn.cluster import KMeans

    x, y = features(train), features(test)
    centre, scale = x.mean(axis=0), x.std(axis=0)
    on_mu = KMeans(K, n_init=10, random_state=seed).fit((x - centre) / scale)
    V, _ = hull_coordinates(train)
    u, v = (_real(V.coefficients(s.u)) for s in (train, test))
    on_fields = KMeans(K, n_init=10, random_state=seed).fit(u)
    sine = local_bases(train, K, MODES, refine=False, classifier=fit_classifier, rng=seed)
    return {
        "global": (labelled(train, np.zeros(train.m, dtype=int)), np.zeros(test.m, dtype=int)),
        "parameters": (labelled(train, on_mu.labels_), on_mu.predict((y - centre) / scale)),
        "fields": (labelled(train, on_fields.labels_), on_fields.predict(v)),
        "sine": (sine, sine.nearest(sine.hull.coefficients(test.u))),
        "ours": (local_bases(train, K, MODES, classifier=fit_classifier, rng=seed), None),
    }


def _real(a: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(np.vstack([a.real, a.imag]).T if np.iscomplexobj(a) else a.T)


def compared(
    name: str, train: Snapshots, test: Snapshots, seed: int = 0
) -> tuple[dict[str, float], LocalBases]:
    """Mean and 90 % quantile of the normalised projection error of every strategy, by its own rule, at best and online; our bases."""
    numbers: dict[str, float] = {}
    rows, known = np.arange(test.m), features(test)
    for label, (local, own) in strategies(train, test, seed).items():
        E = local.misses(test.u)
        least = np.argmin(E, axis=1)
        for rule, e in (
            ("", E[rows, least if own is None else own]),
            ("best_", E[rows, least]),
            ("online_", E[rows, local.classifier.choose(known)]),
        ):
            numbers |= {
                f"{name}_{label}_{rule}mean": float(e.mean()),
                f"{name}_{label}_{rule}q90": float(np.quantile(e, 0.9)),
            }
    return numbers, local  # ours come last


def judged(train: Snapshots, test: Snapshots, seed: int = 0) -> tuple[Gain, np.ndarray]:
    """The criterion on the training runs alone, and the gains (q,) that are then achieved online on the unseen runs."""
    expected = expected_gain(train, MODES, CANDIDATES, splits=5, rng=seed)
    errors = []
    for k in expected.K:
        local = local_bases(
            train, int(k), MODES, restarts=1, classifier=QUICK, rng=seed
        )  # as the criterion does
        errors.append(
            local.misses(test.u)[np.arange(test.m), local.classifier.choose(features(test))].mean()
        )
    return expected, errors[0] / np.array(errors)


def judgement(expected: Gain, achieved: np.ndarray) -> dict[str, Any]:
    """The recommended K, what was expected of it, what it achieved, and the best of all K."""
    at = int(np.flatnonzero(expected.recommended == expected.K)[0])
    return {
        "recommended_K": expected.recommended,
        "expected_gain": float(expected.gain[at]),
        "expected_gain_std": float(expected.std[at]),
        "achieved_gain": float(achieved[at]),
        "best_gain": float(achieved.max()),
    }


def pictures(
    folder: Path,
    name: str,
    train: Snapshots,
    ours: LocalBases,
    expected: Gain | None,
    achieved: Any,
) -> None:
    """NAME_clusters.png: training snapshots by multidimensional scaling of sines; NAME_gain.png: gain expected and achieved against K."""
    folder.mkdir(parents=True, exist_ok=True)
    x, share = scaling(sines(train))
    scatter(
        folder / f"{name}_clusters.png", x, ours.labels, share, f"{name}: sines between snapshots"
    )
    if expected is not None:
        gains(
            folder / f"{name}_gain.png",
            expected.K,
            expected.gain,
            expected.std,
            achieved,
            f"{name}: does it pay, and with which K?",
        )


def certificates(sets: int = 1000, seed: int = 0) -> dict[str, float]:
    """The three bounds and our merging on random sets of blocks: violations, and bound over truth (median)."""
    gen, space, ratios, ours, violations = np.random.default_rng(seed), euclidean(40), [], [], 0
    for _ in range(sets):
        spans = [np.linalg.qr(gen.standard_normal((40, 5)))[0] for _ in range(gen.integers(1, 4))]
        shape = np.logspace(0, -gen.uniform(0, 3), 5)[:, None]
        blocks = [
            10 ** gen.uniform(-2, 2)
            * (spans[gen.integers(len(spans))] @ (shape * gen.standard_normal((5, n))) + 10 ** gen.uniform(-5, -1) * gen.standard_normal((40, n)))
            for n in gen.integers(1, 10, size=gen.integers(2, 9))
        ]  # fmt: skip
        r = int(gen.integers(1, 10))
        s = np.linalg.svd(np.hstack(blocks), compute_uv=False)
        e = float(np.sqrt(np.sum(s[r:] ** 2) / np.sum(s**2)))
        bounds = [
            bound(blocks, r, space) for bound in (norms_bound, residuals_bound, incremental_bound)
        ]
        violations += sum(b < e * (1 - 1e-9) - 1e-7 for b in bounds)
        ratios += [np.array(bounds) / e] if e > 1e-6 else []
        merging = merge_blocks(blocks, 0.05, space)
        for c, bound in enumerate(merging.bounds):
            members = np.flatnonzero(merging.labels == c)
            M = np.hstack([blocks[k] for k in members])
            kept = np.hstack(
                [merging.restore(k, merging.coordinates(k, blocks[k])) for k in members.tolist()]
            )
            gap = float(np.linalg.norm(M - kept) / np.linalg.norm(M))
            violations += gap > bound * (1 + 1e-7) + 1e-12
            ours += [bound / gap] if gap > 1e-8 else []
    norms, residuals, incremental = np.median(ratios, axis=0)
    return {"certificate_sets": sets, "certificate_violations": int(violations), "tightness_norms": float(norms),
            "tightness_residuals": float(residuals), "tightness_incremental": float(incremental),
            "tightness_merging": float(np.median(ours))}  # fmt: skip


def stored(snapshots: Snapshots, tol: float = 0.05) -> dict[str, float]:
    """Compression of the runs as blocks at error tol per cluster: ours, the best of several ranks for each published algorithm, and the
    best of several settings of k-means on norms, k-means and HDBSCAN on the singular directions, with the smallest ranks that tol
    allows; `others_kept_as_ours`, the best of all those partitions with each block's own depth, as ours are kept."""
    run_of, space = windows(snapshots), snapshots.space
    blocks = [snapshots.u[:, run_of == k] for k in range(int(run_of.max()) + 1)]
    numbers, partitions = {"ours": merge_blocks(blocks, tol, space).compression}, []
    for bound in ("norms", "residuals", "incremental"):
        found = [greedy_concatenation(blocks, tol, r, space, bound) for r in (4, 8, 12, 16, 24, 32)]
        numbers[bound] = max(one.compression for one in found)
        partitions += [one.labels for one in found]
    for name, tried in _grouped(blocks, space, hull_coordinates(snapshots)[1], run_of).items():
        numbers[name] = max(
            blocks_of_labels(blocks, labels, tol, space, whole=True).compression for labels in tried
        )
        partitions += tried
    numbers["others_kept_as_ours"] = max(
        blocks_of_labels(blocks, labels, tol, space).compression for labels in partitions
    )
    return {name: float(value) for name, value in numbers.items()}


def windows(snapshots: Snapshots, size: int = 10) -> np.ndarray:
    """The block of each snapshot: its run, or one of windows of so many along the first parameter where a run is a single snapshot."""
    if snapshots.t is not None:
        return run_numbers(snapshots)
    return np.argsort(np.argsort(snapshots.mu[:, 0], kind="stable"), kind="stable") // size


def _grouped(
    blocks: list[np.ndarray], space: Space, A: np.ndarray, run_of: np.ndarray
) -> dict[str, list[np.ndarray]]:
    """Labels of the blocks by k-means on log norms, k-means and HDBSCAN on their leading singular directions."""
    from sklearn.cluster import HDBSCAN, KMeans

    size = np.log([[float(np.linalg.norm(space.norm(B)))] for B in blocks])
    lead = _real(
        np.column_stack([np.linalg.svd(A[:, run_of == k])[0][:, 0] for k in range(len(blocks))])
    )
    lead = lead * np.sign(lead[np.arange(len(lead)), np.abs(lead).argmax(axis=1)])[:, None]
    found = HDBSCAN(min_cluster_size=2, copy=True).fit(lead).labels_
    alone = np.where(found < 0, found.max() + 1 + np.arange(len(found)), found)
    means = {
        name: [KMeans(k, n_init=5, random_state=0).fit(x).labels_ for k in (1, 2, 4, 8, 16)]
        for name, x in (("kmeans_norms", size), ("kmeans_fields", lead))
    }
    return means | {"hdbscan": [alone]}


def main(
    cells: int = 3,
    sets: int = 1000,
    names: str = "source burgers helmholtz nagumo cube",
    judge: bool = True,
    seed: int = 0,
    out: str | None = None,
) -> dict[str, Any]:
    """The table of errors, the criterion, certificates and merging; `judge` leaves the criterion out; `out` is a folder for pictures."""
    numbers: dict[str, Any] = {}
    counts, ratios = dict.fromkeys((*COUNTED, "problems_fewer_numbers"), 0), []
    chosen = {name: problem for name, problem in physics(cells).items() if name in names.split()}
    for name, problem in chosen.items():
        train, test = problem.drawn(problem.train, seed), problem.drawn(problem.test, 1000 + seed)
        found, ours = compared(name, train, test, seed)
        numbers |= found
        for key, (rule, first, others) in COUNTED.items():
            counts[key] += all(
                found[f"{name}_{first}_{rule}{q}"] < found[f"{name}_{s}_{rule}{q}"]
                for q in ("mean", "q90")
                for s in others
            )
        expected, achieved = judged(train, test, seed) if judge else (None, None)
        if expected is not None and achieved is not None:
            verdict = judgement(expected, achieved)
            ratios.append(verdict["achieved_gain"] / verdict["best_gain"])
            numbers |= {f"{name}_{key}": value for key, value in verdict.items()}
        if out:
            pictures(Path(out), name, train, ours, expected, achieved)
        kept = stored(train)
        counts["problems_fewer_numbers"] += all(
            kept["ours"] > kept[key] for key in kept if key not in ("ours", "others_kept_as_ours")
        )
        numbers |= {f"{name}_compression_{key}": value for key, value in kept.items()}
    verdicts = {"criterion_gain_ratio": min(ratios)} if ratios else {}
    return counts | verdicts | numbers | (certificates(sets) if sets else {})


if __name__ == "__main__":
    run(main)
