"""Models over shapes: fields, outputs and standard deviations on the user's own mesh."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from rom.basis import Basis
from rom.errors import BadInput
from rom.gp.coefficients import CoefficientGP
from rom.mesh import Mesh
from rom.parameters import Box
from rom.shapes.morphing import Embedding, Morphing, Sample
from rom.shapes.overlay import overlay
from rom.shapes.simplex import determinants, simplices
from rom.shapes.slopes import nodal_gradient
from rom.shapes.transfer import Locator, locator

log = logging.getLogger("rom")


@dataclass(frozen=True, eq=False)
class FieldModel:
    """u = b + |b| (offset + V a) o psi^{-1}, a(z) a Gaussian process, b the baseline; u = (offset + V a) o psi^{-1} without one.

    floor : variance at each node of what modes and transfers leave out (N c,)
    factor : what cross-validation makes of the standard deviation of each component (c,); error : its relative L2 error
    """

    name: str
    components: int
    basis: Basis
    gp: CoefficientGP | None
    floor: np.ndarray
    factor: np.ndarray
    error: float


@dataclass(frozen=True, eq=False)
class Way:
    """From the reference back to one mesh: back (n, N) interpolates; moved : where the mapping puts the reference's nodes.

    spread (N, d, k) : modes of the mapping times their standard deviations
    """

    back: Any
    moved: Locator
    spread: np.ndarray


@dataclass(frozen=True, eq=False)
class ShapePrediction:
    """Fields and outputs with their standard deviations, on the mesh that was asked for.

    score : above 1 the shape lies beyond the training cloud; outside : names of the scalars beyond their range; jacobian : of the morphing
    """

    mesh: Mesh
    fields: dict[str, np.ndarray]
    std: dict[str, np.ndarray]
    outputs: dict[str, float]
    outputs_std: dict[str, float]
    score: float
    outside: tuple[str, ...]
    jacobian: float

    @property
    def inside(self) -> bool:
        """Whether shape and scalars lie where the training samples were."""
        return self.score <= 1.0 and not self.outside


@dataclass(frozen=True, eq=False)
class ShapeModel:
    """(mesh, mu) -> fields, outputs, standard deviations: O-MMGP; MMGP where `mapping` is None.

    chart (N, d) : nodes of the reference in the domain of the morphing; box : range of the scalars seen; given : baseline name -> its basis
    mapping : modes of psi - id (N d,), warp : their process; scalars : the process of the outputs
    Reference: Casenave, Staber, Roynard (2023); Kabalan, Casenave, Bordeu, Ehrlacher, Ern (2025).
    """

    morph: Any
    embedding: Embedding
    chart: np.ndarray
    box: Box | None
    given: dict[str, Basis]
    mapping: Basis | None
    warp: CoefficientGP | None
    fields: tuple[FieldModel, ...]
    outputs: tuple[str, ...] = ()
    scalars: CoefficientGP | None = None

    @property
    def latents(self) -> int:
        """Field modes and mapping modes together."""
        return sum(part.basis.r for part in self.fields) + (
            0 if self.mapping is None else self.mapping.r
        )

    @property
    def error(self) -> float:
        """Mean over the fields of the relative error in cross-validation."""
        return float(np.mean([part.error for part in self.fields]))

    def predict(
        self, mesh: Mesh, mu: Any = (), baseline: Mapping[str, np.ndarray] | None = None
    ) -> ShapePrediction:
        """Fields on the nodes of `mesh`. Raises BadInput where scalars or the baseline do not fit, Folded where the morphing does."""
        sample = Sample(mesh, np.asarray(mu, dtype=float), baseline=dict(baseline or {}))
        laid = self.lay(mesh)
        z = self.inputs(sample, laid)[None]
        w, spread = self.warp_modes(z)
        way = self.way(laid, w, spread)
        if self.mapping is not None and not np.array_equal(way.moved.points, self.chart + w):
            log.warning("the predicted mapping folds; it was shrunk until it does not")
        fields, std = {}, {}
        for part in self.fields:
            shape = (-1,) if part.components == 1 else (-1, part.components)
            a, s = predict_coefficients(part.gp, z)
            mean, deviation = (v.reshape(shape) for v in lift_to_mesh(part, a[0], s[0], way))
            given = sample.baseline.get(part.name, np.zeros(mean.shape))
            size = self.size(sample, laid, part.name)
            fields[part.name], std[part.name] = (
                size * mean + given.reshape(mean.shape),
                size * deviation,
            )
        mean_of, std_of = (
            dict(zip(self.outputs, map(float, row[0]), strict=True))
            for row in predict_coefficients(self.scalars, z)
        )
        outside = () if self.box is None else tuple(
            n for n, v, a, b in zip(self.box.names, sample.mu, self.box.lower, self.box.upper, strict=True) if not a <= v <= b
        )  # fmt: skip
        return ShapePrediction(
            mesh,
            fields,
            std,
            mean_of,
            std_of,
            self.embedding.score(laid.points),
            outside,
            laid.jacobian,
        )

    def lay(self, mesh: Mesh) -> Morphing:
        """A mesh laid over the reference. Raises Folded naming the first cell that the morphing turns over."""
        return overlay(mesh, self.embedding.reference, self.morph, self.at)

    @cached_property
    def at(self) -> Locator:
        """Point location in the domain of the morphing."""
        return locator(self.chart, simplices(self.embedding.reference))

    def inputs(self, sample: Sample, laid: Morphing) -> np.ndarray:
        """z: coefficients of the shape, scalars, coefficients and log norm of every baseline. Raises BadInput naming what is missing."""
        if (0 if self.box is None else self.box.p) != len(sample.mu):
            raise BadInput(
                f"{len(sample.mu)} scalars; the model needs {', '.join(self.box.names) if self.box else 'none'}"
            )
        missing = [name for name in self.given if name not in sample.baseline]
        if missing:
            raise BadInput(
                f"the model learnt the difference to a baseline; give baseline[{missing[0]!r}] on the nodes of the mesh"
            )
        extra = []
        for name, basis in self.given.items():
            b, size = laid.pull(sample.baseline[name]).ravel(), self.size(sample, laid, name)
            extra += [basis.coefficients(b / size), [np.log(size)]]
        return np.concatenate([self.embedding.place(laid.points), sample.mu, *extra])

    def size(self, sample: Sample, laid: Morphing, name: str) -> float:
        """Norm of a baseline on the reference, by which its field's difference is scaled; 1 without a baseline."""
        if name not in self.given:
            return 1.0
        return max(
            float(self.given[name].space.norm(laid.pull(sample.baseline[name]).ravel())), 1e-300
        )

    def warp_modes(self, z: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """psi - id (N, d) and its modes times their standard deviations (N, d, k)."""
        if self.mapping is None:
            return np.zeros(self.chart.shape), np.zeros((*self.chart.shape, 0))
        beta, std = predict_coefficients(self.warp, z)
        return self.mapping.lift(beta[0]).reshape(self.chart.shape), self.mapping_sway(std[0])

    def mapping_sway(self, std: np.ndarray) -> np.ndarray:
        """Modes of the mapping times standard deviations (k,) of their coefficients: (N, d, k)."""
        return (
            np.zeros((*self.chart.shape, 0))
            if self.mapping is None
            else (self.mapping.modes * std).reshape(*self.chart.shape, -1)
        )

    def way(self, laid: Morphing, w: np.ndarray, spread: np.ndarray) -> Way:
        """Back to a mesh through psi = id + w, which is shrunk where it would fold."""
        if self.mapping is None:
            return Way(laid.back, self.at, spread)
        for _ in range(20):
            if determinants(self.chart, self.chart + w, self.at.cells).min() > 1e-3:
                break
            w = 0.9 * w
        moved = self.at.with_points(self.chart + w)
        return Way(moved.matrix(laid.place), moved, spread)


def predict_coefficients(gp: CoefficientGP | None, z: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean and standard deviation of new runs, (q, r) each; (q, 0) where there is nothing to regress."""
    mean, std = (np.zeros((len(z), 0)),) * 2 if gp is None else gp.predict(z, noise=True)
    return mean, std  # type: ignore[return-value]


def lift_to_mesh(
    part: FieldModel, a: np.ndarray, s: np.ndarray, way: Way
) -> tuple[np.ndarray, np.ndarray]:
    """Mean and standard deviation (n, c) on the user's nodes of coefficients a (r,) with standard deviations s (r,):

    Var u = V^2 s^2 + floor + sum_k (grad u . phi_k)^2 t_k^2, times factor^2.
    """
    v = part.basis.lift(a).reshape(-1, part.components)
    variance = (part.basis.spread(s) ** 2 + part.floor).reshape(v.shape)
    if way.spread.shape[2]:
        variance = variance + np.sum(
            np.einsum("ncd,ndk->nck", nodal_gradient(way.moved, v), way.spread) ** 2, axis=2
        )
    return way.back @ v, part.factor * np.sqrt(way.back @ variance)
