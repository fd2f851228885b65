"""The posterior of processes of the same runs, all groups of outputs at once.

A library call a group costs more than its numbers where runs are few. Here cross-covariances of all
groups are one stack, and so are the factors that they meet:
    E[a_i(z)] = h(z) beta_i + k_g(z, X) w_i
    left_g(z) = 1 - |L^-1 k_g(X, z)|^2 + |A^-1 h(z)^T - B k_g(X, z)|^2,  B = A^-1 (L^-1 H)^T L^-1
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import chain
from typing import Any

import numpy as np
from scipy.linalg.lapack import dtrtri

from rom.gp.kernels import KernelStack, stack_kernels
from rom.gp.likelihood import Factors

ROOM = 2**21  # numbers of all inverse factors: 16 MiB
CHUNK = 2**20  # numbers of one stack of covariances


@dataclass(frozen=True, eq=False)
class Together:
    """Processes of r outputs on the same runs X (m, p), g groups in all.

    groups (r,) : of each output, outputs of all processes in a row
    beta (r, 1 + p), weights (r, m), deviation (r,) : of the outputs; a trend of fewer than 1 + p
        columns has zeros
    kernels, nuggets, stretch, factors (g) : of the groups
    """

    X: np.ndarray
    groups: np.ndarray
    beta: np.ndarray
    weights: np.ndarray
    deviation: np.ndarray
    kernels: tuple[Any, ...]
    nuggets: np.ndarray
    stretch: np.ndarray
    factors: tuple[Factors, ...]

    @cached_property
    def _stack(self) -> KernelStack:
        return stack_kernels(self.kernels)

    @cached_property
    def _inverses(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """L^-1 (g, m, m), B (g, 1 + p, m) and A^-1 (g, 1 + p, 1 + p)."""
        g, (m, p) = len(self.factors), self.X.shape
        halves, rests = np.empty((g, m, m)), np.zeros((g, p + 1, m))
        openings = np.zeros((g, p + 1, p + 1))
        for i, each in enumerate(self.factors):
            halves[i] = dtrtri(each.L, lower=1)[0]
            k = each.LH.shape[1]
            if k:
                openings[i, :k, :k] = dtrtri(each.A, lower=1)[0]
                rests[i, :k] = openings[i, :k, :k] @ (each.LH.T @ halves[i])
        return halves, rests, openings

    def posterior(
        self, z: np.ndarray, noise: bool, std: bool
    ) -> tuple[np.ndarray, np.ndarray | None]:
        """Mean and standard deviation (q, r) at scaled points z (q, p)."""
        step = max(1, CHUNK // (len(self.nuggets) * len(self.X)))
        if len(z) <= step:
            return self._chunk(z, noise, std)
        parts = [self._chunk(z[k : k + step], noise, std) for k in range(0, len(z), step)]
        mean = np.concatenate([part for part, _ in parts])
        return mean, np.concatenate([np.asarray(spread) for _, spread in parts]) if std else None

    def _chunk(self, z: np.ndarray, noise: bool, std: bool) -> tuple[np.ndarray, np.ndarray | None]:
        cross = self._stack.matrices(self.X, z)
        h = np.column_stack([np.ones(len(z)), z])
        mean = h @ self.beta.T + np.matmul(self.weights[:, None], cross[self.groups])[:, 0].T
        if not std:
            return mean, None
        halves, rests, openings = self._inverses
        half = halves @ cross
        rest = openings @ h.T - rests @ cross
        left = 1.0 - np.einsum("gmq,gmq->qg", half, half) + np.einsum("gkq,gkq->qg", rest, rest)
        relative = self.stretch * np.sqrt(np.maximum(left, 0.0) + noise * self.nuggets)
        return mean, relative[:, self.groups] * self.deviation


def join_processes(parts: Sequence[Together]) -> Together | None:
    """Several at once, or None where they are not of the same runs, or large."""
    X = parts[0].X
    count = sum(len(part.nuggets) for part in parts)
    if count * X.shape[0] ** 2 > ROOM or not all(np.array_equal(part.X, X) for part in parts):
        return None
    starts = np.cumsum([0, *(len(part.nuggets) for part in parts)])
    groups = [part.groups + start for part, start in zip(parts, starts, strict=False)]

    def of(name: str) -> np.ndarray:
        return np.concatenate([getattr(part, name) for part in parts])

    return Together(
        X, np.concatenate(groups), of("beta"), of("weights"), of("deviation"),
        tuple(chain(*(part.kernels for part in parts))), of("nuggets"), of("stretch"),
        tuple(chain(*(part.factors for part in parts))),
    )  # fmt: skip
