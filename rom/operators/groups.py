"""Blocks of matrices that a finite group leaves as they are.

    M = sum_f P_f x K_f,   P_f[g, h] = 1 where h = g f

For orthogonal Q (g, d) that carry the P_f into one irreducible block R_f = Q^T P_f Q each, M has
the blocks sum_f R_f x K_f of size d n in place of one of size g n.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

SAME = 1e-6  # of the span of eigenvalues: nearer ones are one; they are random, not by chance so


@dataclass(frozen=True, eq=False)
class Block:
    """R_f (g, d, d), and the Q (copies, g, d) of all copies of it."""

    actions: np.ndarray
    bases: np.ndarray


def irreducible_blocks(table: np.ndarray) -> list[Block]:
    """The blocks of the group of a table (g, g), its regular representation.

    Eigenspaces of a random symmetric matrix that commutes with all P_f are irreducible; equivalent
    ones are turned so that they have the same R_f. Reference: Serre (1977), 2.
    """
    size = len(table)
    P = np.zeros((size, size, size))
    left = np.zeros((size, size, size))
    g = np.arange(size)
    for f in range(size):
        P[f, g, table[g, f]] = 1.0
        left[f, g, table[f, g]] = 1.0
    rng = np.random.default_rng(0)
    S = np.einsum("f,fgh->gh", rng.standard_normal(size), left)
    values, vectors = np.linalg.eigh(S + S.T)
    breaks = np.flatnonzero(np.diff(values) > SAME * max(np.ptp(values), 1.0)) + 1
    blocks: list[tuple[np.ndarray, list[np.ndarray]]] = []
    for Q in np.split(vectors, breaks, axis=1):
        R = np.einsum("gp,fgh,hq->fpq", Q, P, Q)
        for actions, bases in blocks:
            turn = _intertwiner(R, actions, rng)
            if turn is not None:
                bases.append(Q @ turn)
                break
        else:
            blocks.append((R, [Q]))
    return [Block(actions, np.array(bases)) for actions, bases in blocks]


def _intertwiner(R: np.ndarray, other: np.ndarray, rng: np.random.Generator) -> np.ndarray | None:
    """Orthogonal T with R_f T = T other_f for all f, or None where there is none."""
    if R.shape != other.shape:
        return None
    X = rng.standard_normal(R.shape[1:])
    T = np.einsum("fpq,qr,fsr->ps", R, X, other) / len(R)
    size = np.linalg.norm(T) / np.sqrt(len(T))
    return T / size if size > SAME else None


def largest_subgroups(table: np.ndarray) -> list[np.ndarray]:
    """Elements of the proper subgroups of two generators that lie in no other of them."""
    size = len(table)
    every = {_generate(table, g, h) for g in range(size) for h in range(g, size)}
    proper = [group for group in every if len(group) < size]
    largest = [group for group in proper if not any(group < other for other in proper)]
    return [np.array(sorted(group)) for group in sorted(largest, key=sorted)]


def _generate(table: np.ndarray, g: int, h: int) -> frozenset[int]:
    """The elements that two of them generate."""
    elements = {0, g, h}
    while True:
        products = {int(table[a, b]) for a in elements for b in elements}
        if products <= elements:
            return frozenset(elements)
        elements |= products
