"""The reference of a family of shapes: its medoid, refined where fields bend."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations

import numpy as np

from rom.arrays import each, gate, of_noun
from rom.errors import BadInput
from rom.mesh import Mesh
from rom.shapes.morphing import Sample
from rom.shapes.overlays import Morph, locate, overlay
from rom.shapes.simplex import lumped_mass, simplex_mesh, simplices, volumes
from rom.shapes.straight import linear
from rom.shapes.subdivision import subdivide
from rom.shapes.transfer import interpolation

SHARE = 0.2  # of the cells that are marked at once
TINY = 1e-300


@gate(samples=each(of_noun(Sample)))
def medoid(samples: Sequence[Sample], morph: Morph) -> Mesh:
    """The mesh whose morphed coordinates are nearest to those of all the others.

    As seen from the sample of median size.
    """
    sizes = [len(s.mesh.points) for s in samples]
    middle = np.argsort(sizes, kind="stable")[len(samples) // 2]
    first = linear(samples[int(middle)].mesh)
    at = locate(first, morph)
    area = lumped_mass(first.points, simplices(first))
    x = np.array([overlay(s.mesh, first, morph, at).points for s in samples])
    centre = np.einsum("n,mnd->md", area / area.sum(), x)
    centred = x - centre[:, None]
    weighted = centred * np.sqrt(area)[:, None]
    distance = _distances(weighted.reshape(len(x), -1))
    nearest = int(np.argmin(distance.sum(axis=1)))
    return linear(samples[nearest].mesh)


def _distances(x: np.ndarray) -> np.ndarray:
    """|x_i - x_j| (m, m) of rows x (m, n)."""
    square = np.sum(x**2, axis=1)
    squares = square[:, None] + square - 2 * x @ x.T
    return np.asarray(np.sqrt(np.maximum(squares, 0.0)))


@gate(reference=Mesh, samples=each(of_noun(Sample)))
def refine(
    reference: Mesh,
    samples: Sequence[Sample],
    morph: Morph,
    max_nodes: int,
    share: float = SHARE,
) -> Mesh:
    """The reference with cells halved where linear fields miss most of the samples'.

    The indicator is `bent`; each field is scaled by its mean square.
    share : of the cells, marked at once
    Raises BadInput where the reference has more than max_nodes nodes already.
    """
    mesh = linear(reference)
    nodes = len(mesh.points)
    if nodes > max_nodes or not 0 < share <= 1 or not samples:
        raise BadInput(
            f"{nodes} nodes refined to at most {max_nodes}, a share {share} of the cells at once, "
            f"by {len(samples)} samples; give more nodes, a share in (0, 1], and samples"
        )
    while True:
        indicator = bent(mesh, samples, morph)
        count = max(1, int(share * len(indicator)))
        worst = np.argsort(-indicator, kind="stable")[:count]
        finer = subdivide(mesh, worst)
        if len(finer.points) > max_nodes:
            return mesh
        mesh = finer


def bent(reference: Mesh, samples: Sequence[Sample], morph: Morph) -> np.ndarray:
    """sum_i |K| (u_i(x) - (u_i(a) + u_i(b)) / 2)^2 per cell K (k,).

    x is the middle of the cell's longest edge ab: what linear interpolation misses.
    """
    cells = simplices(reference)
    chart = np.asarray(morph(reference, reference), dtype=float)
    volume = volumes(reference.points, cells)
    ends = _longest_edges(reference.points, cells)
    middles = chart[ends].mean(axis=1)
    total = np.zeros(len(cells))
    for s in samples:
        morphing = overlay(s.mesh, reference, morph)
        laid_out = simplex_mesh(morphing.place, simplices(linear(s.mesh)))
        at_middle = interpolation(laid_out, middles)
        for u in s.fields.values():
            size = max(float(np.sqrt(np.mean(u**2))), TINY)
            flat = u.reshape(len(u), -1) / size
            linear_middle = morphing.pull(flat)[ends].mean(axis=1)
            missed = at_middle @ flat - linear_middle
            total += volume * np.sum(missed**2, axis=1)
    return total


def _longest_edges(points: np.ndarray, cells: np.ndarray) -> np.ndarray:
    """The ends (k, 2) of each cell's longest edge."""
    pairs = np.array(list(combinations(range(cells.shape[1]), 2)))
    edges = cells[:, pairs]
    steps = np.diff(points[edges], axis=2)[:, :, 0]
    length = np.linalg.norm(steps, axis=2)
    longest = np.argmax(length, axis=1)
    return np.asarray(edges[np.arange(len(cells)), longest])
