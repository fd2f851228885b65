"""Operators as models: a field is asked, a field is told, with a band."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from rom.bands import Indicator
from rom.basis import Basis
from rom.errors import BadInput
from rom.model import Asks, Model, Question
from rom.operators.coordinates import Coordinates
from rom.operators.images import input_image, shift, to_frame
from rom.operators.regression import OperatorKernel
from rom.operators.symmetry import Symmetry, Translation
from rom.prediction import Error, Known, Part, Prediction, Quantity, Warned
from rom.space import Space

Answer = Callable[[np.ndarray], np.ndarray]  # inputs (n_in, m) -> outputs (n_out, m)
Residual = Callable[[np.ndarray, np.ndarray], np.ndarray]  # and outputs -> norms (m,)
FIELD_NORM = "rms over the field"
OWN = "the model"  # its name among answers at left-out runs


@dataclass(frozen=True, eq=False)
class OperatorGP(Model):
    """u(a) = base(a) + mean + V sum_j k(z(a), z_j) weights_j.

    It is averaged over the symmetry.

    reach : coordinates of the inputs; space : of the outputs
    basis : V and the mean, None where the base alone answers
    kernel; z (m, k), weights (m, r) of the training runs
    band : half width of the conformal band of a field's rms, of the residual where there is one
    pattern (n_out,) : deviation of each value over the middle of the band
    left_out : mean relative errors at left-out runs, of the model and of simple answers by name
    base, residual : functions of the user at module level
    """

    reach: Coordinates
    space: Space
    basis: Basis | None
    kernel: OperatorKernel | None
    z: np.ndarray
    weights: np.ndarray
    band: Indicator
    pattern: np.ndarray
    left_out: dict[str, float]
    reason: str
    symmetry: Symmetry | None = None
    frame: Translation | None = None
    base: Answer | None = None
    residual: Residual | None = None

    @property
    def asks(self) -> Asks:
        """The input field."""
        return Asks(0, fields=(quantity_of(self.reach.basis.space, "a"),))

    @property
    def tells(self) -> tuple[Quantity, ...]:
        """The output field."""
        return (quantity_of(self.space, "u"),)

    @property
    def known(self) -> Known:
        """Of the error: a conformal band at left-out runs."""
        return Known.CONFORMAL

    @property
    def facts(self) -> dict[str, Any]:
        """Kernel and why, symmetry, base, residual, errors at left-out runs."""
        facts: dict[str, Any] = {"map": self.reason, "runs": len(self.z)}
        if self.symmetry is not None:
            facts["symmetry"] = f"{self.symmetry.name}, {self.symmetry.size} elements"
        if self.frame is not None:
            facts["frame"] = f"translations of {self.frame.nodes} periodic nodes"
        for name in ("base", "residual"):
            function = getattr(self, name)
            if function is not None:
                facts[name] = f"{function.__module__}:{function.__name__}"
        if self.better:
            facts["better"] = self.better
        for name, error in self.left_out.items():
            facts[f"error at left-out runs, {name}"] = float(error)
        return facts

    @property
    def better(self) -> str:
        """The simple answer that is better at left-out runs, or ""."""
        return name_better(self.left_out)

    def answer(self, question: Question) -> Prediction:
        """The output fields with conformal bands of their rms."""
        name = self.asks.fields[0].name
        values = question.fields[name]
        a = values.reshape(-1, values.shape[-1])
        check_field(a, self.reach.basis.space.n, name)
        inside = self.reach.covers(to_frame(self.frame, a)[0])
        fields, y = self._answer_fields(a)
        middle, upper = self._widths(a, fields)
        quantity = self.tells[0]
        errors = (Error(upper, Known.CONFORMAL, FIELD_NORM, quantity.unit, self.band.level),)
        deviation = self.pattern[:, None, None] * middle[:, None]
        part = Part(quantity, fields[:, :, None], std=deviation, errors=errors)
        if y is not None and self.residual is None:
            tail = self.pattern * middle[0]
            part = Part(
                quantity, y.T[:, :, None], self.basis, std=np.zeros((y.shape[1], len(y), 1)),
                tail=tail, errors=errors,
            )  # fmt: skip
        return Prediction(
            question,
            {quantity.name: part},
            space=self.space,
            inside=inside,
            warnings=self._warnings(a, inside),
        )

    def apply(self, a: np.ndarray) -> np.ndarray:
        """Output fields (n_out, m) of input fields (n_in, m)."""
        check_field(a, self.reach.basis.space.n, self.asks.fields[0].name)
        return self._answer_fields(a)[0]

    def _answer_fields(self, a: np.ndarray) -> tuple[np.ndarray, np.ndarray | None]:
        """Fields (n_out, m), and their coefficients (m, r) where they lie in the basis."""
        start = None if self.base is None else run_base(self.base, a, self.space.n)
        if self.basis is None or self.kernel is None:
            assert start is not None
            return start, None
        canonical, angles = to_frame(self.frame, a)
        total = np.zeros((self.space.n, a.shape[1]))
        y = np.zeros((a.shape[1], self.basis.r))
        for g in range(1 if self.symmetry is None else self.symmetry.size):
            image, turn = input_image(self.symmetry, self.frame, self._inverse(g), canonical)
            y = self._regress(self.reach.reduce(image))
            lifted = shift(self.frame, self.basis.modes @ y.T, -turn)
            total += lifted if self.symmetry is None else self.symmetry.act_out(g, lifted)
        mean = np.broadcast_to(np.asarray(self.basis.offset), (self.space.n,))
        u = shift(self.frame, total + mean[:, None], -angles)
        in_basis = self.symmetry is None and self.frame is None and start is None
        return (u if start is None else u + start), (y if in_basis else None)

    def _inverse(self, g: int) -> int:
        return 0 if self.symmetry is None else int(self.symmetry.inverses[g])

    def _regress(self, z: np.ndarray) -> np.ndarray:
        """k(z, z_j) weights_j, (q, r)."""
        assert self.kernel is not None
        left, right = np.sum(z**2, axis=1), np.sum(self.z**2, axis=1)
        return np.asarray(self.kernel.matrix(z @ self.z.T, left, right) @ self.weights)

    def _widths(self, a: np.ndarray, u: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Middle and upper end of the error's rms, (m,)."""
        features = band_features(self.residual, a, u)
        return self.band.middle(features), self.band.upper(features)

    def _warnings(self, a: np.ndarray, inside: np.ndarray) -> tuple[Warned, ...]:
        warnings = []
        far = np.flatnonzero(~inside)
        if far.size:
            text = (
                "inputs are farther from the training than 99.5 % of such inputs: their bands "
                "say nothing"
            )
            warnings.append(Warned("range", text, tuple(int(k) for k in far)))
        if self.frame is not None:
            lost = np.flatnonzero(~self.frame.angles(a)[1])
            text = "the first Fourier mode of the input vanishes: its frame is arbitrary"
            if lost.size:
                warnings.append(Warned("frame", text, tuple(int(k) for k in lost)))
        if self.better:
            warnings.append(Warned("skill", self.better))
        return tuple(warnings)


def name_better(left_out: dict[str, float]) -> str:
    """What is said where a simple answer is better at left-out runs, or ""."""
    simple = {name: error for name, error in left_out.items() if name != OWN}
    if not simple:
        return ""
    name = min(simple, key=lambda key: simple[key])
    own = left_out.get(OWN, 0.0)
    if not simple[name] < own:
        return ""
    return f"{name} is better at left-out runs ({simple[name]:.3g} against {own:.3g}): take that"


def quantity_of(space: Space, name: str) -> Quantity:
    """The one field of a space; without one, all rows under a name."""
    if not space.fields:
        return Quantity(name)
    part = space.fields[0]
    return Quantity(part.name, part.unit, part.components)


def check_field(a: np.ndarray, n: int, name: str) -> None:
    """Raises BadInput for an input of another length, or with NaN or Inf."""
    if len(a) != n:
        raise BadInput(
            f"the field {name!r} has {len(a)} values, those of the training {n}; give it on the "
            "nodes of the training"
        )
    if not np.isfinite(a).all():
        raise BadInput(f"the field {name!r} holds NaN or Inf; give finite numbers")


def run_base(base: Answer, a: np.ndarray, n: int) -> np.ndarray:
    """base(a) (n, m).

    Raises BadInput naming the function for another shape, NaN or Inf.
    """
    u = np.asarray(base(a))
    _check_answer(base, u, (n, a.shape[1]), "fields (n_in, m) -> (n_out, m)")
    return u.astype(float)


def band_features(residual: Residual | None, a: np.ndarray, u: np.ndarray) -> np.ndarray:
    """(m, 1) norms of the residual, or ones. Raises BadInput as `run_base`."""
    if residual is None:
        return np.ones((a.shape[1], 1))
    norms = np.asarray(residual(a, u))
    _check_answer(residual, norms, (a.shape[1],), "(inputs, outputs) -> norms (m,)")
    if (norms < 0).any():
        raise BadInput(f"{_name(residual)} gives a negative norm; give |R| >= 0")
    return norms.astype(float)[:, None]


def _check_answer(function: Any, values: np.ndarray, shape: tuple[int, ...], form: str) -> None:
    if values.shape != shape or values.dtype.kind not in "biuf":
        raise BadInput(
            f"{_name(function)} gives {values.dtype} {values.shape} in place of {shape}; "
            f"it is a function of {form}"
        )
    if not np.isfinite(values).all():
        raise BadInput(f"{_name(function)} gives NaN or Inf; give finite numbers")


def _name(function: Any) -> str:
    return str(getattr(function, "__name__", type(function).__name__))
