"""POD of POD: blocks in time and space are compressed where they lie.

The error of the whole is prescribed, and shared out over the levels of a binary tree.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import numpy as np

from rom.arrays import COLUMNS, either, gate, stream
from rom.basis import Basis, spectral_tail
from rom.compress.orthonormal import ROUND_OFF
from rom.compress.running import RunningPod, merge_pods, update
from rom.errors import BadInput
from rom.snapshots import Snapshots
from rom.space import Space


@gate(blocks=stream(either(Snapshots, COLUMNS)), space=Space)
def hierarchical(
    blocks: Iterable[Snapshots | np.ndarray],
    space: Space,
    tol: float,
    *,
    rank: int | None = None,
    depth: int = 8,
    share: float = 0.75,
) -> RunningPod:
    """V with |U - V V^H X U|_X <= tol |U|_X of U = [all blocks], O(log) held at once.

    blocks : any number of column blocks, in one pass; rows lie on the ranks of `space`
    rank : at most so many modes at the root
    share : of the energy tol^2 |U|^2 that may be discarded, at the root; the rest equally on
        `depth` levels below, in proportion to the energy of each node
    Every cut removes a positive part of U U^H, so the parts add up. More than 2^depth blocks
    are folded at the top level.
    Raises BadInput without blocks, or for numbers out of range.
    Reference: Himpe, Leibner, Rave (2018), whose condition depends on the depth in the same way.
    """
    if not 0.0 < tol < 1.0 or not 0.0 < share < 1.0 or depth < 1:
        raise BadInput(
            f"tol = {tol} and share = {share} must lie in (0, 1), depth = {depth} be at least 1"
        )
    node_tol = max(tol - ROUND_OFF, 0.0) * np.sqrt((1.0 - share) / depth)
    levels: list[RunningPod | None] = [None] * depth
    for block in blocks:
        leaf = update(RunningPod(space), block)
        _insert(levels, _truncate(leaf, node_tol), node_tol)
    nodes = [node for node in levels if node is not None]
    if not nodes:
        raise BadInput("no blocks; give at least one block of snapshots")
    root = nodes[0]
    for node in nodes[1:]:
        root = merge_pods(root, node)
    left = max(tol - ROUND_OFF, 0.0) ** 2 - root.lost / root.energy
    return _truncate(root, np.sqrt(max(left, 0.0)), rank)


@gate(blocks=stream(either(Snapshots, COLUMNS)), space=Space)
def hierarchical_pod(
    blocks: Iterable[Snapshots | np.ndarray],
    space: Space,
    tol: float,
    *,
    rank: int | None = None,
) -> tuple[Basis, np.ndarray]:
    """The basis and singular values of `hierarchical`, as `pod` gives them.

    The error of the basis is the certificate.
    """
    root = hierarchical(blocks, space, tol, rank=rank)
    basis = root.basis()
    limit = "round-off" if rank is None else f"rank {rank}"
    outcome = "reached" if basis.error <= tol else f"not reached within {limit}"
    reason = f"hierarchical: tol {tol:g} {outcome}"
    s = np.zeros(0) if basis.s is None else basis.s
    return replace(basis, tol_asked=tol, rank_asked=rank, reason=reason), s


def _insert(levels: list[RunningPod | None], node: RunningPod, tol: float) -> None:
    """A node merged upwards into `levels` like a carry in binary addition, in place."""
    top = len(levels) - 1
    for level in range(top):
        waiting = levels[level]
        if waiting is None:
            levels[level] = node
            return
        node = _truncate(merge_pods(waiting, node), tol)
        levels[level] = None
    last = levels[top]
    levels[top] = node if last is None else merge_pods(last, node)


def _truncate(node: RunningPod, tol: float, rank: int | None = None) -> RunningPod:
    """Discards at most tol^2 of the node's energy, beyond what it lost before."""
    if node.s is None:
        return node
    tails = spectral_tail(node.s)
    enough = tails <= tol**2 * node.energy
    r = max(int(np.argmax(enough)), 1)
    r = min(r, rank or node.r, node.r)
    lost = node.lost + float(tails[r])
    return replace(node, s=node.s[:r], rotation=node.rotation[:, :r], lost=lost)
