"""Optimal mappings of a family of shapes: their modes, and their process."""

from __future__ import annotations

import numpy as np
import scipy.sparse as sp

from rom.basis import Basis
from rom.gp.coefficients import CoefficientGP
from rom.gp.modal import regression, useful_modes
from rom.mesh import Mesh
from rom.shapes.embeddings import modes
from rom.shapes.location import locator
from rom.shapes.optimal import optimal_mappings
from rom.shapes.reduction import TrainingSet
from rom.shapes.simplex import lumped_mass, simplex_mesh, simplices
from rom.space import Space

STILL = 1e-12  # largest displacement over the size of the domain, that is none
GROUND = 0.01  # of the metric of displacements that no field feels
TINY = 1e-300


def fit_mappings(training: TrainingSet, price: float) -> tuple[Basis, CoefficientGP] | None:
    """Modes of psi_i - id that leave-one-out can tell, and their process.

    None where mappings of this price are the identity. The covariance over samples is a kernel of
    their inputs.
    """
    reduction = training.reduction
    z = training.z
    names = reduction.mapped or tuple(training.samples[0].fields)
    fields = [_pull_all(training, name) for name in names]
    reference = training.blank.embedding.reference
    chart = training.blank.chart
    domain = simplex_mesh(chart, simplices(reference))
    options = {
        "rank": reduction.mapping,
        "rho": price,
        "covariance": _covariance(z),
        **reduction.options,
    }
    w = optimal_mappings(domain, np.concatenate(fields, axis=2), **options).w
    flat = w.reshape(len(w), -1).T
    if np.abs(flat).max() <= STILL * np.ptp(chart):
        return None
    space = _sensitive_space(domain, w, fields)
    basis = modes(space, flat, reduction.mapping, None)
    process = _regress(z, basis, flat, training.rng)
    useful = useful_modes(process)
    if useful < basis.r:
        basis = basis.truncate(useful)
        process = _regress(z, basis, flat, training.rng)
    return None if process is None else (basis, process)


def _regress(z: np.ndarray, basis: Basis, flat: np.ndarray, rng: int) -> CoefficientGP | None:
    """The process of the coefficients of displacements (N d, m)."""
    coefficients = basis.coefficients(flat).T
    return regression(z, coefficients, rng=rng, share="independent")


def _pull_all(training: TrainingSet, name: str) -> np.ndarray:
    """A field of all samples on the reference (m, N, c)."""
    nodes = len(training.blank.chart)
    pulled = []
    for s, morphing in zip(training.samples, training.morphings, strict=True):
        values = morphing.to @ s.fields[name]
        pulled.append(values.reshape(nodes, -1))
    return np.array(pulled)


def _covariance(z: np.ndarray) -> np.ndarray:
    """A Matern kernel (m, m) of inputs (m, q), each over its spread."""
    spread = z.std(axis=0)
    varied = spread > 0
    q = (z / np.where(varied, spread, 1.0))[:, varied]
    square = np.sum((q[:, None] - q) ** 2, axis=2)
    scaled = 5 * np.maximum(square, 0) / max(q.shape[1], 1)
    d = np.sqrt(scaled) / 2
    covariance: np.ndarray = (1 + d + d**2 / 3) * np.exp(-d)
    return covariance


def _sensitive_space(domain: Mesh, w: np.ndarray, fields: list[np.ndarray]) -> Space:
    """(w, w') = int w.(G + g I) w', G the mean of grad v grad v^T of all fields.

    g : a hundredth of the mean of G. So truncated mapping modes keep what the fields feel of a
    displacement, and forget what they do not.
    """
    cells = simplices(domain)
    x = domain.points
    n, d = x.shape
    at = locator(x, cells)
    G = np.zeros((n, d, d))
    for values in fields:
        for u, shift in zip(values, w, strict=True):
            mapped = at.matrix(x + shift) @ u
            slope = at.nodal_gradient(mapped)
            square = np.einsum("nci,ncj->nij", slope, slope)
            G += square / max(float(np.sum(u**2)), TINY)
    area = lumped_mass(x, cells)
    mean = float(np.einsum("n,nii->", area, G) / area.sum())
    G = G / mean + GROUND * np.eye(d)
    blocks = (area[:, None, None] * G, np.arange(n), np.arange(n + 1))
    product = sp.bsr_array(blocks, shape=(n * d, n * d))
    return Space(sp.csr_array(product), np.arange(n * d))
