"""Samples on meshes of their own, one mesh over another, a shape as a point."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from rom.arrays import check_members, real
from rom.basis import Basis
from rom.errors import BadInput
from rom.mesh import Mesh


@dataclass(frozen=True, eq=False)
class Sample:
    """One design: its mesh, scalars mu (p,), nodal fields and scalar outputs by name.

    fields : name -> (n,) or (n, c); outputs : name -> number
    baseline : fields of a cheaper physics on the same nodes, known at prediction too; a model then
        learns the difference
    units : name of a field or an output -> its unit, 1 where there is none
    Raises BadInput for fields of another length and for NaN, naming field and node.
    """

    mesh: Mesh
    mu: np.ndarray = field(default_factory=lambda: np.zeros(0))
    fields: dict[str, np.ndarray] = field(default_factory=dict)
    outputs: dict[str, float] = field(default_factory=dict)
    baseline: dict[str, np.ndarray] = field(default_factory=dict)
    units: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        check_members(self, mesh=Mesh)
        mu = np.atleast_1d(real(self.mu, "mu"))
        if mu.ndim != 1:
            raise BadInput(f"mu has shape {mu.shape}; give the scalars of one sample (p,)")
        nodes = len(self.mesh.points)
        fields = _check_fields(self.fields, "field", nodes)
        baseline = _check_fields(self.baseline, "baseline", nodes)
        outputs = real(list(self.outputs.values()), "outputs")
        if not np.isfinite(mu).all() or not np.isfinite(outputs).all():
            raise BadInput(
                f"scalars {mu} or outputs {self.outputs} hold NaN or Inf; drop the sample"
            )
        object.__setattr__(self, "mu", mu)
        object.__setattr__(self, "fields", fields)
        object.__setattr__(self, "baseline", baseline)


def _check_fields(fields: dict[str, np.ndarray], what: str, nodes: int) -> dict[str, np.ndarray]:
    """Fields as arrays of floats. Raises BadInput naming field and node."""
    arrays = {name: real(values, f"{what} {name!r}") for name, values in fields.items()}
    for name, values in arrays.items():
        if values.ndim not in (1, 2) or len(values) != nodes:
            raise BadInput(f"{what} {name!r} has shape {values.shape}; the mesh has {nodes} nodes")
        bad = np.argwhere(~np.isfinite(values))
        if len(bad):
            node = int(bad[0, 0])
            raise BadInput(f"{name!r} holds NaN or Inf at node {node}; drop the sample")
    return arrays


@dataclass(frozen=True, eq=False)
class Morphing:
    """A sample's mesh laid over the reference: fields go by `pull`, return by `push`.

    to : (N, n) and back : (n, N), sparse interpolations
    points : (N, d) where the nodes of the reference lie on the sample
    place : (n, q) where the sample's nodes lie in the reference's domain
    jacobian : smallest determinant over the cells, positive
    """

    to: Any
    back: Any
    points: np.ndarray
    place: np.ndarray
    jacobian: float

    def pull(self, u: np.ndarray) -> np.ndarray:
        """u on the sample (n, ...) -> on the reference (N, ...)."""
        return np.asarray(self.to @ u)

    def push(self, v: np.ndarray) -> np.ndarray:
        """v on the reference (N, ...) -> on the sample (n, ...)."""
        return np.asarray(self.back @ v)


@dataclass(frozen=True, eq=False)
class Embedding:
    """A shape as coefficients z of its morphed coordinates in a POD basis of shapes.

    basis : of node-major coordinates (N d,); cloud : z of the training shapes (m, r)
    reach : largest distance of a training shape to the nearest other
    rest : largest distance to the span of the others
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
        return self.basis.coefficients(self.coordinates(points))

    def score(self, points: np.ndarray) -> float:
        """Distance to the training cloud over the largest one inside it.

        Along its modes and off them; above 1 : extrapolation.
        """
        x = self.coordinates(points)
        z = self.basis.coefficients(x)
        off = float(self.basis.space.norm(x - self.basis.lift(z)))
        distances = np.linalg.norm(self.cloud - z, axis=1)
        near = float(distances.min())
        return max(near / self.reach, off / self.rest)

    def coordinates(self, points: np.ndarray) -> np.ndarray:
        """Node-major coordinates (N d,) of the reference's nodes on a sample (N, d)."""
        x: np.ndarray = coordinates([points], self.reference.points, self.rigid)[0]
        return x


def coordinates(shapes: Iterable[np.ndarray], onto: np.ndarray, rigid: bool) -> np.ndarray:
    """Node-major coordinates (m, N d) of shapes (N, d), aligned where `rigid`."""
    rows = [align(points, onto) if rigid else points for points in shapes]
    return np.array([row.ravel() for row in rows])


def align(points: np.ndarray, onto: np.ndarray) -> np.ndarray:
    """R x_a + t with rotation R, shift t of least sum_a |R x_a + t - y_a|^2, (n, d).

    Reference: Kabsch (1976).
    """
    centre = onto.mean(axis=0)
    x = points - points.mean(axis=0)
    y = onto - centre
    U, _, Wt = np.linalg.svd(x.T @ y)
    turn = np.ones(len(U))
    turn[-1] = np.sign(np.linalg.det(U @ Wt))
    return np.asarray(x @ (U * turn) @ Wt + centre)
