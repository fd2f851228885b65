"""The reference of a family of shapes: its medoid, refined where the fields of its samples bend."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from rom.errors import BadInput
from rom.mesh import Mesh
from rom.shapes.morphing import Sample
from rom.shapes.overlay import Morph, domain, locate, overlay
from rom.shapes.simplex import geometry, linear, lumped_mass, simplices, subdivide
from rom.shapes.transfer import interpolation


def medoid(samples: Sequence[Sample], morph: Morph) -> Mesh:
    """The mesh whose morphed coordinates are nearest to all the others, seen from the sample of median size."""
    first = linear(
        samples[
            int(np.argsort([len(s.mesh.points) for s in samples], kind="stable")[len(samples) // 2])
        ].mesh
    )
    at = locate(first, morph)
    area = lumped_mass(first.points, simplices(first))
    x = np.array([overlay(s.mesh, first, morph, at).points for s in samples])
    x = x - np.einsum("n,mnd->md", area / area.sum(), x)[:, None]
    flat = (x * np.sqrt(area)[:, None]).reshape(len(x), -1)
    square = np.sum(flat**2, axis=1)
    distance = np.sqrt(np.maximum(square[:, None] + square - 2 * flat @ flat.T, 0.0))
    return linear(samples[int(np.argmin(distance.sum(axis=1)))].mesh)


def refine(
    reference: Mesh, samples: Sequence[Sample], morph: Morph, most: int, share: float = 0.2
) -> Mesh:
    """The reference with cells halved where sum_i |K| (u_i(x) - (u_i(a) + u_i(b)) / 2)^2 is largest, x the middle of its longest edge ab.

    That is what linear interpolation on the reference leaves out of the samples' fields, each scaled by its mean square.
    most : nodes at most; share : of the cells are marked at once. Raises BadInput where the reference has more nodes already.
    """
    mesh = linear(reference)
    if len(mesh.points) > most or not 0 < share <= 1 or not samples:
        raise BadInput(
            f"{len(mesh.points)} nodes refined to at most {most}, a share {share} of the cells at once, by {len(samples)} samples;"
            " give more nodes, a share in (0, 1], and samples"
        )
    while True:
        left = bent(mesh, samples, morph)
        finer = subdivide(mesh, np.argsort(-left, kind="stable")[: max(1, int(share * len(left)))])
        if len(finer.points) > most:
            return mesh
        mesh = finer


def bent(reference: Mesh, samples: Sequence[Sample], morph: Morph) -> np.ndarray:
    """The indicator of `refined` per cell (k,)."""
    cells, chart = simplices(reference), np.asarray(morph(reference, reference), dtype=float)
    volume = np.abs(geometry(reference.points, cells)[0])
    pairs = np.array([(a, b) for a in range(cells.shape[1]) for b in range(a + 1, cells.shape[1])])
    edges = cells[:, pairs]
    longest = np.argmax(
        np.linalg.norm(np.diff(reference.points[edges], axis=2)[:, :, 0], axis=2), axis=1
    )
    ends = edges[np.arange(len(cells)), longest]
    total = np.zeros(len(cells))
    for s in samples:
        laid = overlay(s.mesh, reference, morph)
        middle = interpolation(domain(laid.place, linear(s.mesh)), chart[ends].mean(axis=1))
        for u in s.fields.values():
            flat = u.reshape(len(u), -1) / max(float(np.sqrt(np.mean(u**2))), 1e-300)
            missed = middle @ flat - laid.pull(flat)[ends].mean(axis=1)
            total += volume * np.sum(missed**2, axis=1)
    return total
