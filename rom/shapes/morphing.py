"""Shapes: samples on meshes of their own, one shape carried onto another, a shape as a point of parameter space."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from rom.basis import Basis
from rom.errors import BadInput
from rom.mesh import Mesh


@dataclass(frozen=True, eq=False)
class Sample:
    """One design: its mesh, its scalars mu (p,), nodal fields name -> (n,) or (n, c), scalar outputs name -> number.

    baseline : fields of a cheaper physics on the same nodes, known at prediction too; a model then learns the difference
    Raises BadInput for fields of another length and for NaN, naming field and node.
    """

    mesh: Mesh
    mu: np.ndarray = field(default_factory=lambda: np.zeros(0))
    fields: dict[str, np.ndarray] = field(default_factory=dict)
    outputs: dict[str, float] = field(default_factory=dict)
    baseline: dict[str, np.ndarray] = field(default_factory=dict)

    def __post_init__(self) -> None:
        object.__setattr__(self, "mu", np.atleast_1d(np.asarray(self.mu, dtype=float)))
        for part in ("fields", "baseline"):
            arrays = {
                name: np.asarray(values, dtype=float)
                for name, values in getattr(self, part).items()
            }
            for name, values in arrays.items():
                if values.ndim not in (1, 2) or len(values) != len(self.mesh.points):
                    raise BadInput(
                        f"{part[:-1] if part == 'fields' else part} {name!r} has shape {values.shape}; the mesh has {len(self.mesh.points)} nodes"
                    )
                if not np.isfinite(values).all():
                    raise BadInput(
                        f"{name!r} holds NaN or Inf at node {int(np.argwhere(~np.isfinite(values))[0, 0])}; drop the sample"
                    )
            object.__setattr__(self, part, arrays)
        if not np.isfinite(self.mu).all() or not np.isfinite(list(self.outputs.values())).all():
            raise BadInput(
                f"scalars {self.mu} or outputs {self.outputs} hold NaN or Inf; drop the sample"
            )


@dataclass(frozen=True, eq=False)
class Morphing:
    """A sample's mesh laid over the reference: fields go there by `pull` and return by `push`.

    to : (N, n) and back : (n, N), sparse interpolations; points : (N, d) where the nodes of the reference lie on the sample
    place : (n, q) where the sample's nodes lie in the reference's domain; jacobian : smallest determinant over the cells, positive
    """

    to: Any
    back: Any
    points: np.ndarray
    place: np.ndarray
    jacobian: float

    def pull(self, u: np.ndarray) -> np.ndarray:
        """u on the sample (n, ...) -> on the reference (N, ...)."""
        return self.to @ u

    def push(self, v: np.ndarray) -> np.ndarray:
        """v on the reference (N, ...) -> on the sample (n, ...)."""
        return self.back @ v


@dataclass(frozen=True, eq=False)
class Embedding:
    """A shape as the coefficients z of its coordinates, morphed to the reference, in a POD basis of shapes.

    reference : Mesh; basis : of node-major coordinates (N d,); cloud : z of the training shapes (m, r)
    reach : largest distance of a training shape to the nearest other; rest : largest distance to the span of the others
    rigid : rotations and translations are taken out first
    Reference: Casenave, Staber, Roynard (2023).
    """

    reference: Mesh
    basis: Basis
    cloud: np.ndarray
    reach: float
    rest: float
    rigid: bool = True

    def place(self, points: np.ndarray) -> np.ndarray:
        """z (r,) of the reference's nodes on a sample (N, d)."""
        return self.basis.coefficients(self._aligned(points).ravel())

    def score(self, points: np.ndarray) -> float:
        """Distance to the training cloud over the largest one inside it, along its modes and off them; above 1: extrapolation."""
        x = self._aligned(points).ravel()
        z = self.basis.coefficients(x)
        off = self.basis.space.norm(x - self.basis.lift(z))
        near = float(np.linalg.norm(self.cloud - z, axis=1).min())
        return max(near / self.reach, off / self.rest)

    def _aligned(self, points: np.ndarray) -> np.ndarray:
        return align(points, self.reference.points) if self.rigid else points


def align(points: np.ndarray, onto: np.ndarray) -> np.ndarray:
    """argmin over rotations R and shifts t of sum_a |R x_a + t - y_a|^2, applied to points (n, d). Reference: Kabsch (1976)."""
    x, y = points - points.mean(axis=0), onto - onto.mean(axis=0)
    U, _, Wt = np.linalg.svd(x.T @ y)
    turn = np.ones(len(U))
    turn[-1] = np.sign(np.linalg.det(U @ Wt))
    return x @ (U * turn) @ Wt + onto.mean(axis=0)
