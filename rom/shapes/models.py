"""Models over shapes: fields, outputs and deviations on the user's own mesh."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from rom.basis import Basis
from rom.errors import BadInput
from rom.gp.coefficients import CoefficientGP
from rom.mesh import Mesh
from rom.model import Asks, Model, Question
from rom.parameters import Box
from rom.prediction import Known, Place, Prediction, Quantity
from rom.shapes.answers import DETERMINANT, SCORE, answer_shape, field_quantity
from rom.shapes.lifting import BackTransfer, FieldModel, predict_coefficients
from rom.shapes.location import Locator, locator
from rom.shapes.manifolds import onto, signed_ratios
from rom.shapes.morphing import Embedding, Morphing, Sample
from rom.shapes.overlays import overlay
from rom.shapes.simplex import determinants, simplices

MAX_SHRINKS = 20  # of a predicted mapping that folds
SHRINK = 0.9
LEAST_DET = 1e-3
TINY = 1e-300


@dataclass(frozen=True, eq=False)
class ShapeModel(Model):
    """(mesh, mu) -> fields, outputs, standard deviations: O-MMGP.

    MMGP where `mapping` is None.
    chart (N, d) : nodes of the reference in the domain of the morphing
    box : range of the training scalars; given : baseline name -> its basis
    mapping : modes of psi - id (N d,), warp : their process; scalars : that of the outputs
    output_units : of the outputs, 1 where there are none
    References: Casenave, Staber, Roynard (2023); Kabalan, Casenave, Bordeu, Ehrlacher, Ern (2025).
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
    output_units: tuple[str, ...] = ()

    @property
    def latents(self) -> int:
        """Field modes and mapping modes together."""
        field_modes = sum(part.basis.r for part in self.fields)
        mapping_modes = 0 if self.mapping is None else self.mapping.r
        return field_modes + mapping_modes

    @property
    def error(self) -> float:
        """Mean over the fields of the relative error in cross-validation."""
        errors = [part.error for part in self.fields]
        return float(np.mean(errors))

    @property
    def known(self) -> Known:
        """Bands of fields where cross-validation calibrated them, or standard deviations."""
        calibrated = bool(self.fields) and all(part.calibrated for part in self.fields)
        return Known.CONFORMAL if calibrated else Known.STATISTICAL

    @property
    def asks(self) -> Asks:
        """A mesh, the scalars, and every baseline on the nodes of the mesh."""
        p = 0 if self.box is None else self.box.p
        return Asks(p, self.box, mesh=True, fields=self._baselines(), outside=True)

    @property
    def tells(self) -> tuple[Quantity, ...]:
        """The fields on the nodes of the mesh."""
        return tuple(field_quantity(part) for part in self.fields)

    @property
    def tells_outputs(self) -> tuple[Quantity, ...]:
        """The outputs, the score of the shape and the determinant of its morphing."""
        return (*self.output_quantities, Quantity(SCORE), Quantity(DETERMINANT))

    @property
    def output_quantities(self) -> tuple[Quantity, ...]:
        """The outputs of the training samples."""
        units = self.output_units or ("1",) * len(self.outputs)
        return tuple(Quantity(name, unit) for name, unit in zip(self.outputs, units, strict=True))

    def answer(self, question: Question) -> Prediction:
        """Fields on the nodes of the mesh, outputs, and what is known of them.

        The outputs SCORE, above 1 for a shape beyond the training cloud, and DETERMINANT, the
        smallest of the morphing, are there too. Raises BadInput where a baseline does not fit
        the mesh, Folded where the morphing folds.
        """
        return answer_shape(self, question)

    def _baselines(self) -> tuple[Quantity, ...]:
        units = {part.name: part.unit for part in self.fields}
        quantities = []
        for name, basis in self.given.items():
            components = basis.space.n // len(self.chart)
            quantities.append(Quantity(name, units.get(name, "1"), components, Place.NODES))
        return tuple(quantities)

    def names_outside(self, mu: np.ndarray) -> tuple[str, ...]:
        """Names of the scalars beyond the range of the training samples."""
        if self.box is None:
            return ()
        within = (self.box.lower <= mu) & (mu <= self.box.upper)
        return tuple(name for name, ok in zip(self.box.names, within, strict=True) if not ok)

    def lay(self, mesh: Mesh) -> Morphing:
        """A mesh laid over the reference.

        Raises Folded naming the first cell that the morphing turns over.
        """
        return overlay(mesh, self.embedding.reference, self.morph, self.at)

    @cached_property
    def at(self) -> Locator:
        """Point location in the domain of the morphing."""
        cells = simplices(self.embedding.reference)
        return locator(self.chart, cells)

    def inputs(self, sample: Sample, morphing: Morphing) -> np.ndarray:
        """z (q,): coefficients of the shape, scalars, and what is seen of every baseline.

        Of a baseline its coefficients and the logarithm of its norm.
        Raises BadInput naming what is missing.
        """
        self._check_inputs(sample)
        parts = [self.embedding.place(morphing.points), sample.mu]
        for name, basis in self.given.items():
            b = _pull(morphing, sample, name)
            size = self.size(sample, morphing, name)
            parts.append(basis.coefficients(b / size))
            parts.append(np.array([np.log(size)]))
        return np.concatenate(parts)

    def _check_inputs(self, sample: Sample) -> None:
        """Raises BadInput where scalars or baselines are not those of the model."""
        names = () if self.box is None else self.box.names
        count = len(sample.mu)
        if len(names) != count:
            needed = ", ".join(names) or "none"
            raise BadInput(f"{count} scalars; the model needs {needed}")
        for name in self.given:
            if name not in sample.baseline:
                raise BadInput(
                    "the model learnt the difference to a baseline; give "
                    f"baseline[{name!r}] on the nodes of the mesh"
                )

    def size(self, sample: Sample, morphing: Morphing, name: str) -> float:
        """Norm of a field's baseline on the reference; 1 without a baseline.

        The difference to the baseline is scaled by it.
        """
        if name not in self.given:
            return 1.0
        norm = self.given[name].space.norm(_pull(morphing, sample, name))
        return max(float(norm), TINY)

    def warp_modes(self, z: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """psi - id (N, d) and its modes times their standard deviations (N, d, k)."""
        if self.mapping is None:
            return np.zeros(self.chart.shape), self.mapping_spread(np.zeros(0))
        coefficients, std = predict_coefficients(self.warp, z)
        w = self.mapping.lift(coefficients[0])
        return w.reshape(self.chart.shape), self.mapping_spread(std[0])

    def mapping_spread(self, std: np.ndarray) -> np.ndarray:
        """Modes of the mapping times deviations (k,) of their coefficients, (N, d, k)."""
        if self.mapping is None:
            return np.zeros((*self.chart.shape, 0))
        scaled = self.mapping.modes * std
        return np.asarray(scaled.reshape(*self.chart.shape, -1))

    def back_transfer(self, morphing: Morphing, w: np.ndarray, spread: np.ndarray) -> BackTransfer:
        """Back to a mesh through psi = id + w, which is shrunk where it would fold."""
        if self.mapping is None:
            return BackTransfer(morphing.back, self.at, spread)
        for _ in range(MAX_SHRINKS):
            moved_nodes = onto(self.at, self.chart + w)
            if self._determinants(moved_nodes).min() > LEAST_DET:
                break
            w = SHRINK * w
        moved = self.at.with_points(onto(self.at, self.chart + w))
        return BackTransfer(moved.matrix(morphing.place), moved, spread)

    def _determinants(self, moved: np.ndarray) -> np.ndarray:
        """Of the mapping that puts the nodes of the chart at moved (N, d), per cell (k,)."""
        cells, d = self.at.cells, self.chart.shape[1]
        if cells.shape[1] == d + 1:
            return determinants(self.chart, moved, cells)
        return signed_ratios(self.at, moved)


def _pull(morphing: Morphing, sample: Sample, name: str) -> np.ndarray:
    """A baseline on the reference (N c,)."""
    return morphing.pull(sample.baseline[name]).ravel()
