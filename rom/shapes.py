"""Fields on meshes that all differ: morph, map, reduce, regress; and back on the user's own mesh with standard deviations."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np
import scipy.sparse as sp

from rom.basis import Basis
from rom.compress.pod import pod
from rom.errors import BadInput, Folded
from rom.mesh import Mesh
from rom.morph.optimal import optimal_mappings
from rom.morph.simplex import determinants, geometry, linear, lumped, simplices
from rom.morph.transfer import Locator, locator
from rom.morphing import Embedding, Morphing, Sample
from rom.parameters import Box
from rom.regress.coefficient_gp import CoefficientGP, coefficient_gp
from rom.snapshots import Snapshots
from rom.space import Space

Morph = Callable[[Mesh, Mesh], np.ndarray]
log = logging.getLogger("rom")
NORMAL_90 = 1.6448536


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
        return sum(part.basis.r for part in self.fields) + (0 if self.mapping is None else self.mapping.r)

    def predict(self, mesh: Mesh, mu: Any = (), baseline: Mapping[str, np.ndarray] | None = None) -> ShapePrediction:
        """Fields on the nodes of `mesh`. Raises BadInput where scalars or the baseline do not fit, Folded where the morphing does."""
        sample = Sample(mesh, np.asarray(mu, dtype=float), baseline=dict(baseline or {}))
        laid = self.laid(mesh)
        z = self._inputs(sample, laid)[None]
        w, spread = self._warped(z)
        moved = self._at if self.mapping is None else self._at.moved(self.chart + w)
        back = laid.back if self.mapping is None else moved.matrix(laid.place)
        fields, std = {}, {}
        for part in self.fields:
            mean, deviation = _carried(part, z, back, moved, spread)
            given = sample.baseline.get(part.name, np.zeros(mean.shape))
            size = self._size(sample, laid, part.name)
            fields[part.name], std[part.name] = size * mean + given.reshape(mean.shape), size * deviation
        mean_of, std_of = (dict(zip(self.outputs, map(float, row[0]), strict=True)) for row in _asked(self.scalars, z))
        outside = () if self.box is None else tuple(
            n for n, v, a, b in zip(self.box.names, sample.mu, self.box.lower, self.box.upper, strict=True) if not a <= v <= b
        )  # fmt: skip
        return ShapePrediction(mesh, fields, std, mean_of, std_of, self.embedding.score(laid.points), outside, laid.jacobian)

    def laid(self, mesh: Mesh) -> Morphing:
        """A mesh laid over the reference. Raises Folded naming the first cell that the morphing turns over."""
        return overlaid(mesh, self.embedding.reference, self.morph, self._at)

    @cached_property
    def _at(self) -> Locator:
        return locator(self.chart, simplices(self.embedding.reference))

    def _inputs(self, sample: Sample, laid: Morphing) -> np.ndarray:
        if (0 if self.box is None else self.box.p) != len(sample.mu):
            raise BadInput(f"{len(sample.mu)} scalars; the model needs {', '.join(self.box.names) if self.box else 'none'}")
        missing = [name for name in self.given if name not in sample.baseline]
        if missing:
            raise BadInput(
                f"the model learnt the difference to a baseline; give baseline[{missing[0]!r}] on the nodes of the mesh"
            )
        extra = []
        for name, basis in self.given.items():
            b, size = laid.pull(sample.baseline[name]).ravel(), self._size(sample, laid, name)
            extra += [basis.coefficients(b / size), [np.log(size)]]
        return np.concatenate([self.embedding.place(laid.points), sample.mu, *extra])

    def _size(self, sample: Sample, laid: Morphing, name: str) -> float:
        """Norm of a baseline on the reference, by which its field's difference is scaled; 1 without a baseline."""
        if name not in self.given:
            return 1.0
        return max(float(self.given[name].space.norm(laid.pull(sample.baseline[name]).ravel())), 1e-300)

    def _warped(self, z: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """psi - id (N, d), shrunk where it would fold, and its modes times their standard deviations (N, d, k)."""
        if self.mapping is None:
            return np.zeros(self.chart.shape), np.zeros((*self.chart.shape, 0))
        beta, std = _asked(self.warp, z)
        w = self.mapping.lift(beta[0]).reshape(self.chart.shape)
        for _ in range(20):
            if determinants(self.chart, self.chart + w, self._at.cells).min() > 1e-3:
                break
            log.warning("the predicted mapping folds; it is shrunk by a tenth")
            w = 0.9 * w
        return w, (self.mapping.modes * std[0]).reshape(*self.chart.shape, -1)


def _asked(gp: CoefficientGP | None, z: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean and standard deviation of new runs, (q, r) each; (q, 0) where there is nothing to regress."""
    mean, std = (np.zeros((len(z), 0)),) * 2 if gp is None else gp.predict(z, noise=True)
    return mean, std  # type: ignore[return-value]


def _carried(part: FieldModel, z: np.ndarray, back: Any, moved: Locator, spread: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean and standard deviation on the user's nodes: Var u = V^2 s^2 + floor + sum_k (grad u . phi_k)^2 s_k^2."""
    a, s = _asked(part.gp, z)
    c = part.components
    v = part.basis.lift(a[0]).reshape(-1, c)
    variance = (part.basis.spread(s[0]) ** 2 + part.floor).reshape(-1, c)
    if spread.shape[2]:
        variance = variance + np.sum(np.einsum("ncd,ndk->nck", nodal_gradient(moved, v), spread) ** 2, axis=2)
    shape = (-1,) if c == 1 else (-1, c)
    return (back @ v).reshape(shape), (part.factor * np.sqrt(back @ variance)).reshape(shape)


def nodal_gradient(at: Locator, v: np.ndarray) -> np.ndarray:
    """grad v of a piecewise linear v (N, c), averaged around each node by volume: (N, c, d)."""
    volume = np.abs(geometry(at.points, at.cells)[0])
    slope = np.einsum("kac,kad->kcd", v[at.cells], at.gradients) * volume[:, None, None]
    k, q = at.cells.shape
    around = sp.csr_array((np.ones(k * q), (at.cells.ravel(), np.repeat(np.arange(k), q))), shape=(len(v), k))
    weight = around @ volume
    return (around @ slope.reshape(k, -1)).reshape(len(v), *slope.shape[1:]) / np.where(weight > 0, weight, 1.0)[:, None, None]


def overlaid(mesh: Mesh, reference: Mesh, morph: Morph, at: Locator | None = None) -> Morphing:
    """A mesh laid over the reference; `at` locates points in the morphing's domain of the reference and saves finding it again.

    Raises Folded naming the first cell that the morphing turns over.
    """
    straight = linear(mesh)
    place = morph(straight, reference)
    at = located(reference, morph) if at is None else at
    cells = simplices(straight)
    det = orientation(straight.points, place, cells)
    if det.min() <= 0:
        worst = int(np.argmin(det))
        raise Folded(
            f"cell {worst} with nodes {cells[worst].tolist()} near {straight.points[cells[worst]].mean(axis=0)} is turned over by the"
            f" morphing (determinant {det[worst]:.2g}); name boundaries and landmarks that match, or choose another morphing"
        )
    to = locator(place, cells).matrix(at.points)
    return Morphing(to, at.matrix(place), to @ straight.points, place, float(det.min()))


def located(reference: Mesh, morph: Morph) -> Locator:
    """Point location where the morphing lays the reference itself."""
    return locator(np.asarray(morph(reference, reference), dtype=float), simplices(reference))


def orientation(points: np.ndarray, place: np.ndarray, cells: np.ndarray) -> np.ndarray:
    """Determinants of points -> place per cell; where dimensions differ: volumes in the chart, positive where most cells are."""
    if points.shape[1] == place.shape[1]:
        return determinants(points, place, cells)
    if cells.shape[1] != place.shape[1] + 1:
        return determinants(place, place, cells)
    size = np.linalg.det(place[cells[:, 1:]] - place[cells[:, :1]])
    return size * np.sign(np.median(size)) / np.abs(geometry(points, cells)[0]) * np.abs(geometry(points, cells)[0]).mean()


def medoid(samples: Sequence[Sample], morph: Morph) -> Mesh:
    """The mesh whose morphed coordinates are nearest to all the others, seen from the sample of median size."""
    first = linear(samples[int(np.argsort([len(s.mesh.points) for s in samples], kind="stable")[len(samples) // 2])].mesh)
    at = located(first, morph)
    area = lumped(first.points, simplices(first))
    x = np.array([overlaid(s.mesh, first, morph, at).points for s in samples])
    x = x - np.einsum("n,mnd->md", area / area.sum(), x)[:, None]
    flat = (x * np.sqrt(area)[:, None]).reshape(len(x), -1)
    square = np.sum(flat**2, axis=1)
    distance = np.sqrt(np.maximum(square[:, None] + square - 2 * flat @ flat.T, 0.0))
    return linear(samples[int(np.argmin(distance.sum(axis=1)))].mesh)


def embedding(points: np.ndarray, reference: Mesh, rank: int | None = None, tol: float = 1e-2, rigid: bool = True) -> Embedding:
    """POD of morphed coordinates (m, N, d): at most `rank` modes, relative error `tol`; with the spread of the training cloud."""
    space = Space(np.repeat(lumped(reference.points, simplices(reference)), points.shape[2]), np.arange(points[0].size))
    start = Embedding(reference, Basis(space, np.zeros((space.n, 0))), np.zeros((len(points), 0)), 1.0, 1.0, rigid)
    x = np.array([start._aligned(p).ravel() for p in points]).T
    basis = _modes(space, x, rank, tol)
    cloud = np.atleast_2d(basis.coefficients(x).T)
    apart = np.linalg.norm(cloud[:, None] - cloud, axis=2) + np.diag(np.full(len(cloud), np.inf))
    least = 1e-9 * float(space.norm(np.ones(space.n))) * float(np.ptp(reference.points))
    reach = max(float(apart.min(axis=1).max()), least) if len(cloud) > 1 else least
    return Embedding(reference, basis, cloud, reach, max(_left_over(space, x, basis.r), least), rigid)


def _left_over(space: Space, x: np.ndarray, r: int) -> float:
    """max_i |x_i - P_i x_i|, P_i the r leading modes of all the others about their mean, through Gram matrices."""
    G = space.gram(x - x.mean(axis=1, keepdims=True))
    m, worst = len(G), 0.0
    for i in range(m):
        others = np.delete(np.arange(m), i)
        mean = np.full(m - 1, 1 / (m - 1))
        S = G[np.ix_(others, others)]
        row = S @ mean
        C = S - row[:, None] - row + mean @ row
        cross = G[others, i] - row - (G[i, others] @ mean - mean @ row)
        own = G[i, i] - 2 * G[i, others] @ mean + mean @ row
        lam, Q = np.linalg.eigh(C)
        keep = lam[-r:] > 1e-12 * max(lam[-1], 1e-300) if r else np.zeros(0, bool)
        a = (Q[:, -r:].T @ cross)[keep] / np.sqrt(lam[-r:][keep]) if r else np.zeros(0)
        worst = max(worst, float(np.sqrt(max(own - a @ a, 0.0))))
    return worst


def _modes(space: Space, u: np.ndarray, rank: int | None, tol: float | None) -> Basis:
    """POD about the mean; no mode at all where all columns agree to round-off."""
    mean = u.mean(axis=1)
    if np.max(space.norm(u - mean[:, None])) <= 1e-10 * max(space.norm(mean), 1e-300):
        return Basis(space, np.zeros((space.n, 0)), mean, reason="all samples agree")
    return pod(
        Snapshots(space, np.arange(u.shape[1])[:, None], u),
        tol=tol,
        rank=None if rank is None else min(rank, u.shape[1] - 1),
        center=True,
    )[0]


@dataclass(frozen=True, eq=False)
class Reduction:
    """How many modes at most: `shape` for coordinates, `fields` for fields (a number, or per field; leave-one-out drops those that are
    noise), `mapping` for optimal mappings (0: none).

    tol : or fewer where the training set is met to it; baseline : modes of the baseline that the regression sees; rigid : motions are taken out
    mapped : fields that drive the mappings (none named: all); options : of `optimal_mappings`
    folds : of the cross-validation inside the training set that calibrates standard deviations
    """

    shape: int = 8
    fields: Any = 16
    mapping: int = 0
    baseline: int = 6
    tol: float = 1e-4
    rigid: bool = True
    mapped: tuple[str, ...] = ()
    options: dict[str, Any] = field(default_factory=dict)
    folds: int = 10


def shape_model(
    samples: Sequence[Sample],
    morph: Morph,
    reference: Mesh | None = None,
    names: Sequence[str] = (),
    units: Sequence[str] = (),
    reduction: Reduction | None = None,
    rng: int = 0,
) -> ShapeModel:
    """MMGP, or O-MMGP where reduction.mapping > 0, of samples that carry the same fields, scalars and outputs.

    reference : the medoid by default; names, units : of the scalars. The order of the samples does not matter.
    Raises BadInput for fewer than five samples or unlike ones, Folded naming the cell of a morphing that folds.
    """
    how = reduction or Reduction()
    _alike(samples)
    reference = medoid(samples, morph) if reference is None else linear(reference)
    at = located(reference, morph)
    laid = [overlaid(s.mesh, reference, morph, at) for s in samples]
    shapes = embedding(np.array([x.points for x in laid]), reference, how.shape, 1e-3, how.rigid)
    given = _baselines(samples, laid, reference, how)
    blank = ShapeModel(morph, shapes, at.points, _range(samples, names, units), given, None, None, ())
    z = np.array([blank._inputs(s, x) for s, x in zip(samples, laid, strict=True)])
    sizes = {name: np.array([blank._size(s, x, name) for s, x in zip(samples, laid, strict=True)]) for name in samples[0].fields}
    mapping = _mapping(samples, laid, blank, z, how, rng) if how.mapping else None
    ranks = {name: (how.fields[name] if isinstance(how.fields, Mapping) else how.fields) for name in sizes}
    latents = 0 if mapping is None else mapping[0].r
    fields = tuple(_field(n, samples, laid, sizes[n], blank, z, None, ranks[n] + latents, how, rng) for n in sizes)
    if mapping is not None:
        basis, warp = mapping
        mapped = replace(blank, mapping=basis, warp=warp)
        w = basis.lift(warp.a.T).T.reshape(len(samples), *at.points.shape)
        moved = [_shifted(s.mesh, x, at, shift) for s, x, shift in zip(samples, laid, w, strict=True)]
        parts = tuple(_field(n, samples, moved, sizes[n], mapped, z, w, ranks[n], how, rng) for n in sizes)
        errors = [float(np.mean([part.error for part in each])) for each in (parts, fields)]
        log.info("cross-validation: relative error %.3e with mappings, %.3e without", *errors)
        if errors[0] < errors[1]:
            blank, fields = mapped, parts
    outputs = tuple(samples[0].outputs)
    table = np.array([[s.outputs[name] for name in outputs] for s in samples])
    return replace(blank, fields=fields, outputs=outputs, scalars=regression(z, table, rng, calibrate=True))


def _shifted(mesh: Mesh, laid: Morphing, at: Locator, shift: np.ndarray) -> Morphing:
    """The transfers of a mesh to and from the reference's nodes, moved by `shift` in the domain of the morphing."""
    to = locator(laid.place, simplices(linear(mesh))).matrix(at.points + shift)
    return replace(laid, to=to, back=at.moved(at.points + shift).matrix(laid.place))


def regression(
    z: np.ndarray, a: np.ndarray, rng: int = 0, share: str = "clusters", calibrate: bool = False
) -> CoefficientGP | None:
    """a (m, r) over z (m, p): a linear trend and one kernel per cluster of outputs; None for r = 0.

    A trend carries on beyond the cloud where a stationary process falls back to its mean; it is constant for fewer than 2 (p + 2) runs
    or inputs that depend on each other. A kernel per output would fit more logarithms than the runs can tell, but few outputs unlike
    each other, as modes of mappings are, each have their own noise: share = "independent".
    """
    m, p = z.shape
    if not a.shape[1]:
        return None
    spread = z.std(axis=0)
    inputs = np.column_stack([np.ones(m), (z - z.mean(axis=0)) / np.where(spread > 0, spread, 1.0)])
    trend = m >= 2 * (p + 2) and np.linalg.matrix_rank(inputs, tol=1e-6 * np.sqrt(m)) == p + 1
    return coefficient_gp(z, a, share=share, mean="linear" if trend else "constant", rng=rng, calibrate=calibrate)


def worth(gp: CoefficientGP | None) -> int:
    """argmin_r sum_{k <= r} |a_k - its leave-one-out prediction|^2 + sum_{k > r} |a_k - mean|^2, at least 1: modes beyond are noise."""
    if gp is None:
        return 0
    gain = np.sum((gp.a - gp.a.mean(axis=0)) ** 2 - gp.leave_one_out()[0] ** 2, axis=0)
    return int(np.argmax(np.cumsum(gain))) + 1


def conditioned(gp: CoefficientGP | None, z: np.ndarray, a: np.ndarray) -> CoefficientGP | None:
    """The same kernels given other runs a (m, r) at z (m, p), r at most as before; their k-th output is the process's k-th."""
    if gp is None or not a.shape[1]:
        return None
    return replace(gp, x=gp.box.to_unit(z), a=a, groups=gp.groups[: a.shape[1]])


def _alike(samples: Sequence[Sample]) -> None:
    if len(samples) < 5:
        raise BadInput(f"{len(samples)} samples; a model over shapes needs five or more")
    for part in ("fields", "outputs", "baseline"):
        for k, s in enumerate(samples):
            if set(getattr(s, part)) != set(getattr(samples[0], part)) or len(s.mu) != len(samples[0].mu):
                raise BadInput(
                    f"sample {k} has {part} {sorted(getattr(s, part))} and {len(s.mu)} scalars, unlike sample 0; give all of them the same"
                )


def _range(samples: Sequence[Sample], names: Sequence[str], units: Sequence[str]) -> Box | None:
    mu = np.array([s.mu for s in samples])
    if not mu.shape[1]:
        return None
    low, high = mu.min(axis=0), mu.max(axis=0)
    flat = high <= low
    names = tuple(names) or tuple(f"mu{j}" for j in range(mu.shape[1]))
    return Box(
        names,
        np.where(flat, low - 1e-9 - 1e-9 * np.abs(low), low),
        np.where(flat, high + 1e-9 + 1e-9 * np.abs(high), high),
        tuple(units),
    )


def _space(reference: Mesh, components: int) -> Space:
    area = lumped(reference.points, simplices(reference))
    return Space(np.repeat(area / area.sum(), components), np.arange(components * len(area)))


def _domain(points: np.ndarray, mesh: Mesh) -> Mesh:
    cells = simplices(mesh)
    return Mesh(points, {{2: "line", 3: "triangle", 4: "tetra"}[cells.shape[1]]: cells})


def _baselines(samples: Sequence[Sample], laid: Sequence[Morphing], reference: Mesh, how: Reduction) -> dict[str, Basis]:
    found = {}
    for name, values in samples[0].baseline.items():
        space = _space(reference, 1 if values.ndim == 1 else values.shape[1])
        u = np.array([x.pull(s.baseline[name]).ravel() for s, x in zip(samples, laid, strict=True)]).T
        found[name] = _modes(space, u / np.maximum(space.norm(u), 1e-300), how.baseline, None)
    return found


def _mapping(
    samples: Sequence[Sample], laid: Sequence[Morphing], blank: ShapeModel, z: np.ndarray, how: Reduction, rng: int
) -> tuple[Basis, CoefficientGP] | None:
    """Modes of psi_i - id that leave-one-out can tell, and their process; the covariance over samples is a kernel of their inputs."""
    names = how.mapped or tuple(samples[0].fields)
    parts = [
        np.array([x.pull(s.fields[n]).reshape(len(blank.chart), -1) for s, x in zip(samples, laid, strict=True)]) for n in names
    ]
    spread = z.std(axis=0)
    q = (z / np.where(spread > 0, spread, 1.0))[:, spread > 0]
    d = np.sqrt(5 * np.maximum(np.sum((q[:, None] - q) ** 2, axis=2), 0) / max(q.shape[1], 1)) / 2
    domain = _domain(blank.chart, blank.embedding.reference)
    options = {"rank": how.mapping, "covariance": (1 + d + d**2 / 3) * np.exp(-d), **how.options}
    found = optimal_mappings(domain, np.concatenate(parts, axis=2), **options)
    flat = found.w.reshape(len(samples), -1).T
    if np.abs(flat).max() <= 1e-12 * np.ptp(blank.chart):
        return None
    basis = _modes(_felt(domain, found.w, samples, laid, names), flat, how.mapping, None)
    warp = regression(z, basis.coefficients(flat).T, rng, "independent")
    if (r := worth(warp)) < basis.r:
        basis = basis.truncated(r)
        warp = regression(z, basis.coefficients(flat).T, rng, "independent")
    return None if warp is None else (basis, warp)


def _felt(domain: Mesh, w: np.ndarray, samples: Sequence[Sample], laid: Sequence[Morphing], names: Sequence[str]) -> Space:
    """(w, w') = int w.(G + g I) w', G the mean of grad v grad v^T over samples and fields, g a hundredth of its mean.

    So truncated mapping modes keep what the fields feel of a displacement, and forget what they do not.
    """
    cells, x = simplices(domain), domain.points
    n, d, at = *x.shape, locator(x, cells)
    G = np.zeros((n, d, d))
    for name in names:
        for s, part, shift in zip(samples, laid, w, strict=True):
            u = part.pull(s.fields[name]).reshape(n, -1)
            slope = nodal_gradient(at, at.matrix(x + shift) @ u)
            G += np.einsum("nci,ncj->nij", slope, slope) / max(float(np.sum(u**2)), 1e-300)
    area = lumped(x, cells)
    G = G / float(np.einsum("n,nii->", area, G) / area.sum()) + 0.01 * np.eye(d)
    blocks = sp.bsr_array((area[:, None, None] * G, np.arange(n), np.arange(n + 1)), shape=(n * d, n * d))
    return Space(sp.csr_array(blocks), np.arange(n * d))


def _field(
    name: str,
    samples: Sequence[Sample],
    laid: Sequence[Morphing],
    sizes: np.ndarray,
    model: ShapeModel,
    z: np.ndarray,
    w: np.ndarray | None,
    rank: int,
    how: Reduction,
    rng: int,
) -> FieldModel:
    """POD and regression of one field, with what truncation and transfer leave out, calibrated by cross-validation."""
    pulled, missed = [], []
    for s, x, size in zip(samples, laid, sizes, strict=True):
        u = ((s.fields[name] - s.baseline.get(name, 0.0)) / size).reshape(len(x.place), -1)
        v = x.pull(u)
        pulled.append(v.ravel())
        missed.append(x.pull((x.push(v) - u) ** 2).ravel())
    v, lost, c = np.array(pulled).T, np.array(missed).T, u.shape[1]
    space = _space(model.embedding.reference, c)

    def fitted(rows: np.ndarray, r: int, like: FieldModel | None = None) -> FieldModel:
        basis = _modes(space, v[:, rows], min(r, len(rows) - 1), None if like else how.tol)
        a = basis.coefficients(v[:, rows])
        rest = np.mean((v[:, rows] - basis.lift(a)) ** 2, axis=1) * len(rows) / max(len(rows) - 1 - basis.r, 1)
        gp = conditioned(like.gp, z[rows], a.T) if like else regression(z[rows], a.T, rng)
        return FieldModel(name, c, basis, gp, rest + np.mean(lost[:, rows], axis=1), np.ones(c), 0.0)

    every = np.arange(len(samples))
    whole = fitted(every, rank)
    if (r := worth(whole.gp)) < whole.basis.r:
        log.info("%s: leave-one-out keeps %d of %d modes", name, r, whole.basis.r)
        whole = fitted(every, r)
    factor, error = _calibrated(fitted, whole, model, z, v, w, how.folds)
    return replace(whole, factor=factor, error=error)


def _calibrated(
    fitted: Callable[..., FieldModel],
    whole: FieldModel,
    model: ShapeModel,
    z: np.ndarray,
    v: np.ndarray,
    w: np.ndarray | None,
    folds: int,
) -> tuple[np.ndarray, float]:
    """The factors (c,) with which 90 % bands hold 90 % of the errors at the nodes, weighted by area, of samples left out of modes and fit;
    and these errors over the fields, root mean square.

    Kernels are those of all samples: their few logarithms hardly know the ones left out. Folds follow the rank of the first input, so that the order of the samples does not matter.
    """
    e, variance = np.empty_like(v), np.empty_like(v)
    fold = np.argsort(np.argsort(z[:, 0], kind="stable"), kind="stable") % min(folds, len(z) // 2)
    for k in range(fold.max() + 1):
        part, out = fitted(np.flatnonzero(fold != k), whole.basis.r, whole), np.flatnonzero(fold == k)
        a, s = _asked(part.gp, z[out])
        e[:, out], variance[:, out] = v[:, out] - part.basis.lift(a.T), part.basis.spread(s.T) ** 2 + part.floor[:, None]
    if w is not None and model.warp is not None and model.mapping is not None:
        drift, t = model.warp.leave_one_out()
        shift = model.mapping.modes.reshape(*model.chart.shape, -1)
        for i in range(len(w)):
            here, u = model.chart + w[i], v[:, i].reshape(-1, whole.components)
            e[:, i] += (u - model._at.moved(here - shift @ drift[i]).matrix(here) @ u).ravel()
            slope = nodal_gradient(model._at.moved(here), u)
            variance[:, i] += np.einsum("ncd,ndk->nck", slope, shift).reshape(len(v), -1) ** 2 @ t[i] ** 2
    ratio, c = np.abs(e) / np.sqrt(np.maximum(variance, 1e-300)), whole.components
    area = whole.basis.space.product
    weight = np.repeat(area[::c], e.shape[1])
    factor = [max(_quantile(ratio[k::c].ravel(), weight, 0.9) / NORMAL_90, 1e-3) for k in range(c)]
    return np.array(factor), float(np.sqrt(np.sum(area @ e**2) / max(np.sum(area @ v**2), 1e-300)))


def _quantile(values: np.ndarray, weight: np.ndarray, share: float) -> float:
    order = np.argsort(values)
    return float(values[order][np.searchsorted(np.cumsum(weight[order]) / weight.sum(), share)])
