"""POD and clusters of up to 20,000 snapshots of few dofs, merging of 3,200.

Rank 30 on 50 dofs. Times and how they grow, beside k-medoids of all sines (FasterPAM of the
package `kmedoids`, one start) and numpy's SVD. Clusters are five bases of eight modes with their
classifier, the recipe chosen by nested held-out runs.
"""

from __future__ import annotations

import importlib
from collections.abc import Sequence

import numpy as np

from hpc.bench._rows import seconds, show
from rom.compress import merge_blocks, pod
from rom.local import fit_classifier, local_bases
from rom.local.dissimilarity import sines
from rom.local.held_out import pick_errors
from rom.snapshots import Snapshots
from rom.space import Space, euclidean

K, MODES, TIMES = 5, 8, 10
PEER_MOST = 5000  # snapshots whose sines the peer is given


def runs(m: int, n: int = 50, rank: int = 30, rng: int = 0) -> Snapshots:
    """m snapshots of `rank` on n dofs, ten of each run, with jumps."""
    gen = np.random.default_rng(rng)
    count = -(-m // TIMES)
    mu = np.repeat(gen.random((count, 2)), TIMES, axis=0)[:m]
    t = np.tile(np.linspace(0.1, 1.0, TIMES), count)[:m]
    x = np.column_stack([mu, t])
    modes = np.linalg.qr(gen.standard_normal((n, rank)))[0]
    waves = 2.0 * gen.standard_normal((3, rank))
    smooth = np.cos(x @ waves + 6.0 * gen.random(rank))
    jumps = 0.3 * np.sign(x @ waves[:, ::-1] - 1.0)
    return Snapshots(euclidean(n), mu, modes @ (smooth + jumps).T, t)


def exponent(sizes: Sequence[int], times: Sequence[float]) -> float:
    """Slope of log time in log size, from the first to the last."""
    return float(np.log(times[-1] / times[0]) / np.log(sizes[-1] / sizes[0]))


def main(
    sizes: tuple[int, ...] = (1000, 3200, 20_000), merged: tuple[int, ...] = (400, 1600, 3200)
) -> None:
    """Print the tables; CPU seconds of one thread."""
    for library in ("sklearn.cluster", "sklearn.tree", "kmedoids"):
        importlib.import_module(library)
    rows, full, clusters = [], [], []
    for m in sizes:
        snapshots = runs(m)
        peer_svd, _ = seconds(
            lambda snapshots=snapshots: np.linalg.svd(snapshots.u, full_matrices=False)
        )
        took, _ = seconds(lambda snapshots=snapshots: pod(snapshots, tol=1e-9, method="full"))
        full.append(took)
        spent, bases = seconds(
            lambda snapshots=snapshots: local_bases(snapshots, K, MODES, classifier=fit_classifier),
            1,
        )
        clusters.append(spent)
        errors = pick_errors(bases.errors, bases.labels).mean()
        rows.append((m, took, peer_svd, spent, float(errors), *peer(snapshots)))
    header = ("snapshots", "pod full s", "numpy SVD s", "clusters s", "held-out error")
    peers = ("k-medoids s", "its held-out error")
    show("rank 30 on 50 dofs, CPU seconds", (*header, *peers), rows)
    print(
        f"exponents from {sizes[0]} to {sizes[-1]}: pod {exponent(sizes, full):.2f}, clusters "
        f"{exponent(sizes, clusters):.2f} (asked <= 1.2); at {sizes[-1]}: pod {full[-1]:.3f} s "
        f"(asked <= .5), clusters {clusters[-1]:.1f} s (asked <= 20)"
    )
    merging(merged)


def peer(snapshots: Snapshots) -> tuple[float | str, float | str]:
    """(seconds, held-out error) of k-medoids of all sines by FasterPAM."""
    if snapshots.m > PEER_MOST:
        return f"not tried, {8 * snapshots.m**2 / 2**30:.1f} GiB of sines", ""
    import kmedoids

    from rom.local.held_out import choose_folds, held_out_errors, run_numbers
    from rom.local.hull import hull_coordinates

    took, labels = seconds(
        lambda: kmedoids.fasterpam(sines(snapshots), K, n_cpu=1, random_state=0).labels, 1
    )
    _, coordinates = hull_coordinates(snapshots)
    fold = choose_folds(run_numbers(snapshots), 6, np.random.default_rng(0))
    errors = held_out_errors(coordinates, np.eye(K)[labels], MODES, fold)
    return took, float(pick_errors(errors, labels.astype(int)).mean())


def merging(sizes: Sequence[int], tol: float = 1e-2) -> None:
    """Print the time of merging blocks of ten snapshots each."""
    rows, times = [], []
    space: Space = euclidean(50)
    for m in sizes:
        u = runs(m).u
        blocks = [u[:, start : start + TIMES] for start in range(0, m, TIMES)]
        took, merged = seconds(lambda blocks=blocks: merge_blocks(blocks, tol, space), 1)
        times.append(took)
        rows.append((m, len(blocks), took, len(merged.bases), merged.compression))
    show(
        f"merging to {tol:g}, CPU seconds",
        ("snapshots", "blocks", "s", "clusters", "compression"),
        rows,
    )
    print(f"exponent from {sizes[0]} to {sizes[-1]}: {exponent(sizes, times):.2f} (asked <= 1.5)")


if __name__ == "__main__":
    main()
