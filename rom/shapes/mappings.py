"""Optimal mappings of a family of shapes: their modes, as far as inputs tell them, and their process."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import scipy.sparse as sp

from rom.basis import Basis
from rom.gp.coefficients import CoefficientGP
from rom.gp.modal import regression, useful_modes
from rom.mesh import Mesh
from rom.shapes.embeddings import modes
from rom.shapes.models import ShapeModel
from rom.shapes.morphing import Morphing, Sample
from rom.shapes.optimal import optimal_mappings
from rom.shapes.overlay import domain
from rom.shapes.reduction import Reduction
from rom.shapes.simplex import lumped_mass, simplices
from rom.shapes.slopes import nodal_gradient
from rom.shapes.transfer import locator
from rom.space import Space


def mappings(
    samples: Sequence[Sample],
    laid: Sequence[Morphing],
    blank: ShapeModel,
    z: np.ndarray,
    how: Reduction,
    price: float,
    rng: int,
) -> tuple[Basis, CoefficientGP] | None:
    """Modes of psi_i - id that leave-one-out can tell, and their process; the covariance over samples is a kernel of their inputs."""
    names = how.mapped or tuple(samples[0].fields)
    parts = [
        np.array(
            [
                x.pull(s.fields[n]).reshape(len(blank.chart), -1)
                for s, x in zip(samples, laid, strict=True)
            ]
        )
        for n in names
    ]
    spread = z.std(axis=0)
    q = (z / np.where(spread > 0, spread, 1.0))[:, spread > 0]
    d = np.sqrt(5 * np.maximum(np.sum((q[:, None] - q) ** 2, axis=2), 0) / max(q.shape[1], 1)) / 2
    plane = domain(blank.chart, blank.embedding.reference)
    options = {
        "rank": how.mapping,
        "rho": price,
        "covariance": (1 + d + d**2 / 3) * np.exp(-d),
        **how.options,
    }
    found = optimal_mappings(plane, np.concatenate(parts, axis=2), **options)
    flat = found.w.reshape(len(samples), -1).T
    if np.abs(flat).max() <= 1e-12 * np.ptp(blank.chart):
        return None
    basis = modes(_felt(plane, found.w, samples, laid, names), flat, how.mapping, None)
    warp = regression(z, basis.coefficients(flat).T, rng, "independent")
    if (r := useful_modes(warp)) < basis.r:
        basis = basis.truncate(r)
        warp = regression(z, basis.coefficients(flat).T, rng, "independent")
    return None if warp is None else (basis, warp)


def _felt(
    on: Mesh,
    w: np.ndarray,
    samples: Sequence[Sample],
    laid: Sequence[Morphing],
    names: Sequence[str],
) -> Space:
    """(w, w') = int w.(G + g I) w', G the mean of grad v grad v^T over samples and fields, g a hundredth of its mean.

    So truncated mapping modes keep what the fields feel of a displacement, and forget what they do not.
    """
    cells, x = simplices(on), on.points
    n, d, at = *x.shape, locator(x, cells)
    G = np.zeros((n, d, d))
    for name in names:
        for s, part, shift in zip(samples, laid, w, strict=True):
            u = part.pull(s.fields[name]).reshape(n, -1)
            slope = nodal_gradient(at, at.matrix(x + shift) @ u)
            G += np.einsum("nci,ncj->nij", slope, slope) / max(float(np.sum(u**2)), 1e-300)
    area = lumped_mass(x, cells)
    G = G / float(np.einsum("n,nii->", area, G) / area.sum()) + 0.01 * np.eye(d)
    blocks = sp.bsr_array(
        (area[:, None, None] * G, np.arange(n), np.arange(n + 1)), shape=(n * d, n * d)
    )
    return Space(sp.csr_array(blocks), np.arange(n * d))
