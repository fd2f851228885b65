"""What needs no learning: the mean, the nearest run, a linear map, the base alone.

Errors at left-out runs in closed form, from products of inputs and of outputs alone.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.linalg import null_space

from rom.arrays import array_of, gate
from rom.errors import BadInput
from rom.snapshots import Snapshots

RIDGES = tuple(10.0**-k for k in range(13))  # of the mean eigenvalue
MEAN, NEAREST, LINEAR, BASE = "mean of training", "nearest run", "linear map", "base alone"


def simple_left_out(
    inputs: Snapshots, outputs: Snapshots, start: np.ndarray | None, base: Any
) -> dict[str, float]:
    """Name -> mean relative error at left-out runs, in the norm of the outputs' space.

    start (n_out, m) : answers of `base`, where there is one
    """
    a, u = np.asarray(inputs.u[:], dtype=float), np.asarray(outputs.u[:], dtype=float)
    G, H = inputs.space.gram(a), outputs.space.gram(u)
    sizes = np.maximum(np.sqrt(H.diagonal()), np.finfo(float).tiny)
    errors = {
        MEAN: _mean_errors(H),
        NEAREST: _nearest_errors(G, H),
        LINEAR: _linear_errors(G, H)[0],
    }
    if base is not None and start is not None:
        errors[BASE] = outputs.space.norm(u - start)
    return {name: float(np.mean(error / sizes)) for name, error in errors.items()}


@gate(inputs=Snapshots, outputs=Snapshots, a=array_of("(n, m)"))
def simple_answers(inputs: Snapshots, outputs: Snapshots, a: np.ndarray) -> dict[str, np.ndarray]:
    """Name -> outputs (n_out, q) at inputs a (n_in, q), from training runs alone."""
    if len(a) != inputs.space.n:
        raise BadInput(f"a has {len(a)} rows, the inputs of the runs {inputs.space.n}")
    if inputs.m != outputs.m:
        raise BadInput(f"{inputs.m} inputs and {outputs.m} outputs; give those of the same runs")
    own, u = np.asarray(inputs.u[:], dtype=float), np.asarray(outputs.u[:], dtype=float)
    m = own.shape[1]
    G = inputs.space.gram(own)
    cross = inputs.space.inner(own, a)
    squares = np.sum(a * inputs.space.apply(a), axis=0)
    nearest = np.argmin(G.diagonal()[:, None] + squares - 2 * cross, axis=0)
    middle = own.mean(axis=1, keepdims=True)
    ridge = _linear_errors(G, outputs.space.gram(u))[1]
    centred = inputs.space.inner(own - middle, a - middle)
    K = _centre(G) + ridge * np.eye(m)
    mean = u.mean(axis=1, keepdims=True)
    return {
        MEAN: np.repeat(mean, a.shape[1], axis=1),
        NEAREST: u[:, nearest],
        LINEAR: mean + (u - mean) @ np.linalg.solve(K, centred),
    }


def _centre(G: np.ndarray) -> np.ndarray:
    """Products of the same vectors about their mean."""
    rows = G.mean(axis=0)
    return np.asarray(G - rows - rows[:, None] + rows.mean())


def _mean_errors(H: np.ndarray) -> np.ndarray:
    """|u_i - mean of the others|, (m,)."""
    m = len(H)
    own = np.sqrt(np.maximum(_centre(H).diagonal(), 0.0))
    return np.asarray(own * m / (m - 1))


def _nearest_errors(G: np.ndarray, H: np.ndarray) -> np.ndarray:
    """|u_i - u_j| of the nearest other input, (m,)."""
    squares = G.diagonal()[:, None] + G.diagonal() - 2 * G
    squares[np.diag_indices_from(squares)] = np.inf
    j, i = np.argmin(squares, axis=1), np.arange(len(G))
    return np.sqrt(np.maximum(H[i, i] + H[j, j] - 2 * H[i, j], 0.0))


def _linear_errors(G: np.ndarray, H: np.ndarray) -> tuple[np.ndarray, float]:
    """Left-out errors (m,) of ridge regression about the mean, and the best of RIDGES.

    The mean is fitted with the map: all goes on in the complement of the constants.
    """
    m = len(G)
    N = null_space(np.ones((1, m)))
    values, vectors = np.linalg.eigh(N.T @ G @ N)
    values, W = np.maximum(values, 0.0), N @ vectors
    best = (np.full(m, np.inf), 1.0)
    unit = max(float(values.mean()), np.finfo(float).tiny)
    inner = W.T @ H @ W
    for share in RIDGES:
        ridge = share * unit
        scaled = W / (values + ridge)
        squares = np.einsum("ij,jk,ik->i", scaled, inner, scaled, optimize=True)
        errors = np.sqrt(np.maximum(squares, 0.0)) / np.sum(scaled * W, axis=1)
        if np.sum(errors**2) < np.sum(best[0] ** 2):
            best = (errors, ridge)
    return best
