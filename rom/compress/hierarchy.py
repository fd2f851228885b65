"""POD of POD: blocks in time and space are compressed where they lie, and the error of the whole is prescribed."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import numpy as np

from rom.basis import Basis
from rom.compress.update import RunningPod, merge_pods, update
from rom.errors import BadInput
from rom.snapshots import Snapshots
from rom.space import Space


def hierarchical(
    blocks: Iterable[Snapshots | np.ndarray],
    space: Space,
    tol: float,
    depth: int = 8,
    share: float = 0.75,
    rank: int | None = None,
) -> RunningPod:
    """V with |U - V V^H X U|_X <= tol |U|_X for U = [all blocks], holding O(log) of them at a time.

    blocks : any number of column blocks, one pass; rows lie on the ranks of `space`
    Energy that may be discarded: share of tol^2 at the root, the rest equally on `depth` levels below, in proportion to the energy of
    each node; every cut removes a positive part of U U^H, so the parts add up. More than 2^depth blocks are folded at the top level.
    Raises BadInput without blocks. Reference: Himpe, Leibner & Rave (2018), whose condition depends on the depth in the same way.
    """
    if not 0.0 < tol < 1.0 or not 0.0 < share < 1.0 or depth < 1:
        raise BadInput(
            f"tol = {tol} and share = {share} must lie in (0, 1), depth = {depth} be at least 1"
        )
    below = tol * np.sqrt((1.0 - share) / depth)
    waiting: list[RunningPod | None] = [None] * depth
    for block in blocks:
        node, level = _cut(update(RunningPod(space), block), below), 0
        while level < depth - 1 and (held := waiting[level]) is not None:
            node, waiting[level], level = _cut(merge_pods(held, node), below), None, level + 1
        top = waiting[level]
        waiting[level] = node if top is None else merge_pods(top, node)
    nodes = [node for node in waiting if node is not None]
    if not nodes:
        raise BadInput("no blocks; give at least one block of snapshots")
    whole = nodes[0]
    for node in nodes[1:]:
        whole = merge_pods(whole, node)
    return _cut(whole, np.sqrt(max(tol**2 - whole.lost / whole.energy, 0.0)), rank)


def hierarchical_pod(
    blocks: Iterable[Snapshots | np.ndarray], space: Space, tol: float, rank: int | None = None
) -> tuple[Basis, np.ndarray]:
    """The basis and singular values of `hierarchical`, as `pod` gives them; the basis's error is the certificate."""
    whole = hierarchical(blocks, space, tol, rank=rank)
    basis = whole.basis()
    reason = f"hierarchical: tol {tol:g} " + (
        "reached" if basis.error <= tol else f"not reached within rank {rank}"
    )
    return replace(
        basis, tol_asked=tol, rank_asked=rank, reason=reason
    ), basis.s if basis.s is not None else np.zeros(0)


def _cut(node: RunningPod, tol: float, rank: int | None = None) -> RunningPod:
    """Discards at most tol^2 of the node's energy, beyond what it lost before."""
    if node.s is None:
        return node
    tails = np.append(np.cumsum(node.s[::-1] ** 2)[::-1], 0.0)
    r = min(max(int(np.argmax(tails <= tol**2 * node.energy)), 1), rank or node.r, node.r)
    return replace(
        node, s=node.s[:r], rotation=node.rotation[:, :r], lost=node.lost + float(tails[r])
    )
