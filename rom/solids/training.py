"""Hyper-reduced solids, put together: trained on histories of u and stress, followed under new loads, watched and enriched.

Nonintrusive: the solver gives its histories, the strains of modes and, where the indicator asks for one, a single step.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import Any

import numpy as np

from rom.bands import Indicator
from rom.basis import Basis, gram_schmidt, spectral_tail
from rom.compress.decomposition import pod
from rom.errors import BadInput, NotConverged
from rom.history import History, State
from rom.loading import Loading
from rom.points.cubature import compress_contributions, contributions, ecm, orthonormal_strain, unit
from rom.points.gappy_pod import gappy, gappy_points
from rom.problem import Solid
from rom.rule import Cubature, Interpolation
from rom.snapshots import Snapshots
from rom.solids.adaptive import RunStep, adaptive
from rom.solids.weighted import WeightedModel, advance, weighted_model, with_duals
from rom.space import Space

RESIDUALS = (
    "gappy residual of p",
    "gappy residual of stress",
    "equilibrium residual at the second cubature",
)
FEATURES = (*RESIDUALS, *(f"largest {name} so far" for name in RESIDUALS))


@dataclass(frozen=True, eq=False)
class Tolerances:
    """Relative errors asked of the bases of u, p and stress and of the cubature; `tests` modes beyond the basis watch equilibrium."""

    u: float = 1e-3
    p: float = 1e-3
    stress: float = 1e-3
    cubature: float = 1e-3
    tests: int = 12
    condition: float = 20.0


@dataclass(frozen=True, eq=False)
class SolidModel:
    """A model and all that enrichment adds to.

    basis : of u; strain (g, 6, r); tests (n, q) displacements beyond the basis, watch (g, 6, q) their strains, of unit norm
    rows (k, g) : compressed contributions; p, stress : bases of the dual fields
    rule, second : cubature of the model and, disjoint from it, that of the watch; seen (k, 6, q) strains of the tests at the points of the second
    """

    basis: Basis
    strain: np.ndarray
    tests: np.ndarray
    watch: np.ndarray
    rows: np.ndarray
    p: Basis
    stress: Basis
    rule: Cubature
    second: Cubature
    tol: Tolerances
    model: WeightedModel
    seen: Any = None


def train_solid(
    body: Solid,
    histories: list[History],
    tol: Tolerances | None = None,
    loadings: Sequence[Loading] | None = None,
) -> SolidModel:
    """POD of u, p and stress, cubature, second cubature, gappy rules. Snapshots of u and stress count relative to their size.

    loadings : of the histories, needed where prescribed displacements move: the modes are of u(t) - u_D(t)
    """
    tol = tol or Tolerances()
    if not histories:
        raise BadInput("no histories to train on; march the solid under at least one loading")
    points, six = body.points, componentwise(body.points)
    under: Sequence[Loading | None] = loadings or [None] * len(histories)
    u = np.hstack([_free(h.u, x, h.t) for h, x in zip(histories, under, strict=True)])
    p = np.hstack([h.p for h in histories])
    s = np.concatenate([unit(points, h.stress) for h in histories], axis=2).reshape(six.n, -1)
    sizes = body.space.norm(u)
    basis, tests = _split(body.space, u / np.maximum(sizes, 0.03 * sizes.max()), tol)
    stress, _ = pod(_snapshots(six, s), tol=tol.stress)
    dual, _ = pod(_snapshots(points, p), tol=tol.p)
    strain, watch = body.strain(basis.modes), body.strain(tests)
    watch_size = _size(points, watch)
    tests, watch = tests / watch_size, watch / watch_size
    scaled = (stress.modes * stress.s[: stress.r]).reshape(-1, 6, stress.r) / np.sqrt(s.shape[1])  # type: ignore[index]
    used = stress.s[: stress.r] / stress.s[0]  # type: ignore[index]
    rows = compress_contributions(
        points, strain, scaled[..., used > tol.cubature], 0.1 * tol.cubature
    )
    rule = ecm(rows, points, tol.cubature)
    second = _second(
        points,
        np.concatenate([orthonormal_strain(points, strain), watch], axis=2),
        scaled[..., used > 10 * tol.cubature],
        rule,
        tol,
    )
    made = SolidModel(basis, strain, tests, watch, rows, dual, stress, rule, second, tol, None)  # type: ignore[arg-type]
    return build_model(made, body)


def _free(u: np.ndarray, loading: Loading | None, t: np.ndarray) -> np.ndarray:
    """u(t) - u_D(t), (n, m)."""
    if loading is None or loading.moves is None:
        return u
    return u - np.stack([loading.prescribed(float(x)) for x in t], axis=1)


def _size(points: Space, a: np.ndarray) -> np.ndarray:
    """|a_m| in L2 of tensors (g, 6, m)."""
    return np.sqrt(points.sum(np.einsum("gcm,gcm,g->m", a, a, points.product)))


def componentwise(points: Space) -> Space:
    """(sigma, tau) = int sigma:tau of six components at the points of integration, point-major."""
    return Space(
        np.repeat(points.product, 6),
        (points.numbers[:, None] * 6 + np.arange(6)).ravel(),
        points.comm,
    )


def build_model(made: SolidModel, body: Solid) -> SolidModel:
    """The online model of bases and cubatures: chosen points are those of both cubatures and what keeps the gappy rules well posed."""
    given = np.union1d(made.rule.elements, made.second.elements)
    extra = gappy_points(made.p, given, made.tol.condition)
    chosen = np.concatenate(
        [made.rule.elements, np.setdiff1d(np.union1d(given, extra), made.rule.elements)]
    )
    model = weighted_model(made.basis, made.strain, body, chosen, made.rule.weights)
    seen = body.points.take(made.watch, made.second.elements)
    six = (chosen[:, None] * 6 + np.arange(6)).ravel()
    duals: dict[str, Interpolation] = {
        "p": gappy(made.p, chosen),
        "stress": gappy(made.stress, six),
    }
    return replace(made, model=with_duals(model, duals), seen=seen)


def _split(space: Space, u: np.ndarray, tol: Tolerances) -> tuple[Basis, np.ndarray]:
    """The basis at tol.u and the next modes, to test equilibrium with."""
    whole, _ = pod(_snapshots(space, u), tol=1e-3 * tol.u, method="full")
    s: Any = whole.s
    tails = np.sqrt(spectral_tail(s) / np.sum(s**2))
    r = min(max(1, int(np.argmax(tails <= tol.u))), max(1, whole.r - 1))
    return whole.truncate(r), whole.modes[:, r : r + tol.tests]


def _snapshots(space: Space, u: np.ndarray) -> Snapshots:
    return Snapshots(space, np.zeros((u.shape[1], 1)), u)


def _second(
    points: Space, strain: np.ndarray, stress: np.ndarray, rule: Cubature, tol: Tolerances
) -> Cubature:
    """A looser cubature on other points."""
    rows = compress_contributions(points, strain, stress, tol.cubature)
    other = np.where(np.isin(points.numbers, rule.elements), 0.0, rows)
    return ecm(other, points, 10 * tol.cubature, share=rows @ points.product)


@dataclass(frozen=True, eq=False)
class RunState:
    """A model under one loading, at time t: `now` reduced; `whole` the last full state, at t_whole; `since` accepted (t, a) after it.

    sizes : largest |p| and |stress| that are expected of the run, or None where nobody watches it
    residuals : (3,) of the last step, zero after a full one; largest : (3,) of all steps, full ones do not undo what the errors before them left
    """

    trained: SolidModel
    loading: Loading
    reduced: Loading
    tested: np.ndarray
    now: State
    whole: State
    t_whole: float
    since: tuple[tuple[float, np.ndarray], ...] = ()
    sizes: np.ndarray | None = None
    residuals: np.ndarray = field(default_factory=lambda: np.zeros(len(RESIDUALS)))
    largest: np.ndarray = field(default_factory=lambda: np.zeros(len(RESIDUALS)))

    @property
    def features(self) -> np.ndarray:
        """The residuals of the last step and the largest so far, (6,), over the expected sizes of p and, twice, stress."""
        if self.sizes is None:
            raise BadInput(
                "this run is not watched; follow it with indicators, be they none: followed(..., indicators={})"
            )
        return (
            np.concatenate([self.residuals, self.largest])
            / np.maximum(self.sizes, 1e-300)[[0, 1, 1, 0, 1, 1]]
        )

    def p(self) -> np.ndarray:
        """p (g,) on the whole mesh, by gappy POD."""
        return self.trained.model.dual("p", self.now.state[:, 0])

    def stress(self) -> np.ndarray:
        """sigma (g, 6) on the whole mesh, by gappy POD."""
        return self.trained.model.dual("stress", self.now.stress.ravel()).reshape(-1, 6)

    def u(self) -> np.ndarray:
        """u (n,), what is prescribed included."""
        return self.trained.basis.lift(self.now.u) + self.loading.prescribed(self.t)

    @property
    def t(self) -> float:
        """Where the run has come to [s]."""
        return self.since[-1][0] if self.since else self.t_whole


def start_run(trained: SolidModel, body: Solid, loading: Loading) -> RunState:
    """A run at the first time of a loading, virgin."""
    g = body.points.n
    rest = State(np.zeros(body.space.n), np.zeros((g, 6)), np.zeros((g, body.law.width)))
    return _placed(trained, body, loading, rest, float(loading.t[0]))


def _placed(trained: SolidModel, body: Solid, loading: Loading, whole: State, t: float) -> RunState:
    """A run that starts from a full state."""
    model = trained.model
    now = State(
        trained.basis.coefficients(whole.u - loading.prescribed(t)),
        *(body.points.take(x, model.points) for x in (whole.stress, whole.state)),
    )
    strain = None if loading.moves is None else body.strain(loading.moves)
    reduced = loading.reduce(trained.basis, model.points, body.points, strain)
    return RunState(
        trained, loading, reduced, body.space.pair(trained.tests, loading.forces), now, whole, t
    )


def reduced_step(run: RunState, t0: float, t1: float) -> RunState:
    """One reduced step, with the residuals of its answer where the run is watched."""
    now, _ = advance(run.trained.model, run.reduced, t0, t1, run.now)
    run = replace(run, now=now, since=(*run.since, (t1, now.u)))
    if run.sizes is None:
        return run
    found = _residuals(run, t1)
    return replace(
        run,
        residuals=found,
        largest=np.maximum(run.largest, found),
        sizes=np.maximum(run.sizes, _sizes(run)),
    )


def with_expected_sizes(run: RunState) -> RunState:
    """The run with the sizes that errors are relative to: the largest |p| and |stress| that its model, as it is, answers to the
    loading, as far as it converges. What its own answers exceed them by is added on the way."""
    ahead, sizes = run, np.zeros(2)
    with suppress(NotConverged):
        for t0, t1 in pairwise(run.loading.t):
            ahead = reduced_step(replace(ahead, since=()), float(t0), float(t1))
            sizes = np.maximum(sizes, _sizes(ahead))
    return replace(run, sizes=sizes)


def _sizes(run: RunState) -> np.ndarray:
    """|p| and |stress| of the gappy fits in L2: of their coefficients, as the bases are orthonormal."""
    duals, now = run.trained.model.duals, run.now
    return np.array(
        [
            np.linalg.norm(duals[k].coefficients(v))
            for k, v in (("p", now.state[:, 0]), ("stress", now.stress.ravel()))
        ]
    )


def _residuals(run: RunState, t: float) -> np.ndarray:
    """|B z - p| of the gappy fit in the mean over the points times the volume, that of stress, and the equilibrium residual at the
    second cubature, (sum_j (sum_i w_i sigma_i:eps_j(x_i) - f_j)^2)^(1/2), eps_j of unit norm and beyond the basis."""
    made, model = run.trained, run.trained.model
    p, s = run.now.state[:, 0], run.now.stress
    misfit = [model.duals[name].misfit(v) for name, v in (("p", p), ("stress", s.ravel()))]
    place = np.argsort(model.points)[np.searchsorted(np.sort(model.points), made.second.elements)]
    inner = np.einsum("i,ic,icq->q", made.second.weights, s[place], made.seen)
    force = run.tested @ run.reduced._table(run.reduced.amplitudes, t)
    mean = np.sqrt(float(np.sum(made.second.weights)) / len(p))
    return np.array([mean * misfit[0], mean * misfit[1], np.linalg.norm(inner - force)])


def replay(run: RunState, body: Solid, chunk: int = 20_000) -> list[State]:
    """Full states at the accepted times since the last one, by the law alone: sigma, y from eps(V a(t) + u_D(t)); no system is solved."""
    states, old, t_old = [], run.whole, run.t_whole
    if len(run.trained.strain) != len(old.stress):
        raise BadInput("this run was left behind by an enrichment; go on from the last of the runs")
    for t, a in run.since:
        prescribed = np.broadcast_to(run.loading.prescribed(t), old.u.shape)
        shift = None if run.loading.moves is None else body.strain(prescribed)
        T, stress, state = (
            run.loading.temperature(t),
            np.empty_like(old.stress),
            np.empty_like(old.state),
        )
        for i in range(0, len(stress), chunk):
            part = slice(i, i + chunk)
            strain = run.trained.strain[part] @ a + (0.0 if shift is None else shift[part])
            stress[part], _, state[part] = body.law.restrict(part)(
                strain, T[part], old.state[part], t - t_old
            )
        old, t_old = State(run.trained.basis.lift(a) + prescribed, stress, state), t
        states.append(old)
    return states


def full_step(run: RunState, body: Solid, t0: float, t1: float) -> RunState:
    """One full step from the replayed state at t0, a model that has learnt from it, and the run at t1."""
    path = replay(run, body)
    whole, _ = body.step(run.loading, t0, t1, path[-1] if path else run.whole)
    expected = 0.0 if run.sizes is None else float(run.sizes[0])
    made = extend_model(
        run.trained, body, [whole.u - run.loading.prescribed(t1)], [*path, whole], expected
    )
    return replace(
        _placed(made, body, run.loading, whole, t1), sizes=run.sizes, largest=run.largest
    )


def extend_model(
    made: SolidModel, body: Solid, solved: list[np.ndarray], seen: list[State], size: float = 0.0
) -> SolidModel:
    """The model with the displacements `solved`, less what is prescribed, and the stresses and p of `seen` added: bases by Gram-Schmidt, the cubature by
    rows for what is new, matched again from its own points. p counts relative to its largest norm in `seen`, or to `size`."""
    points, six = body.points, componentwise(body.points)
    basis = _extended(made.basis, np.stack(solved, axis=1), made.tol.u)
    fresh = body.strain(basis.modes[:, made.basis.r :])
    length = _size(points, fresh)
    strain = np.concatenate([made.strain, fresh], axis=2)
    s = unit(points, np.stack([x.stress for x in seen], axis=-1))
    stress = _extended(made.stress, s.reshape(six.n, -1), made.tol.stress)
    plastic = np.stack([x.state[:, 0] for x in seen], axis=1)
    p = _extended(made.p, plastic, made.tol.p, max(size, float(points.norm(plastic).max())))
    # what the older rows know of stress, for the new strains; what is new of stress, for all strains
    old = (made.stress.modes * np.maximum(made.stress.s[: made.stress.r], 0.0)).reshape(
        -1, 6, made.stress.r
    )  # type: ignore[index]
    old = old / np.sqrt(np.sum(made.stress.s**2))  # type: ignore[operator]
    blocks = [made.rows, contributions(orthonormal_strain(points, strain), s[..., -1:])[:-1]]
    if fresh.shape[2]:
        blocks.append(contributions(fresh / length, old)[:-1])
    rows = np.vstack(blocks)
    rule = ecm(rows, points, made.tol.cubature, made.rule.elements)
    whole = replace(made, basis=basis, strain=strain, rows=rows, p=p, stress=stress, rule=rule)
    return build_model(whole, body)


def _extended(basis: Basis, u: np.ndarray, tol: float, scale: float | None = None) -> Basis:
    """The basis with orthonormal directions of what it lacks, beyond tol |u| or tol scale; singular values of the new ones: their size."""
    modes, s = (
        basis.modes,
        np.asarray(basis.s[: basis.r] if basis.s is not None else np.ones(basis.r)),
    )
    for column in u.T:
        lack = column - modes @ basis.space.inner(modes, column[:, None])[:, 0]
        size = basis.space.norm(lack)
        if size > tol * (basis.space.norm(column) if scale is None else scale):
            Q, _ = gram_schmidt(basis.space, lack[:, None], modes)
            modes, s = np.column_stack([modes, Q]), np.append(s, size)
    return replace(basis, modes=modes, s=s, reason=f"{basis.reason}; enriched")


def follow(
    trained: SolidModel, body: Solid, loading: Loading, indicators: dict[str, tuple[Indicator, float]] | None = None,
    seeds: tuple[int, ...] = (), most: int | None = 0,
) -> tuple[list[RunState], list[RunStep]]:  # fmt: skip
    """A run under a loading: reduced alone by default (most=0), else enriched where the upper quantile of an indicator passes its
    tolerance. indicators : what they estimate -> (indicator, tolerance), {} to watch without any, None (default) not to watch
    at most `most` full steps (None: as many as are asked for)."""
    run = start_run(trained, body, loading)
    return continue_run(
        run if indicators is None else with_expected_sizes(run), body, indicators, seeds, most
    )


def continue_run(
    run: RunState, body: Solid, indicators: dict[str, tuple[Indicator, float]] | None = None, seeds: tuple[int, ...] = (),
    most: int | None = 0, light: bool = False,
) -> tuple[list[RunState], list[RunStep]]:  # fmt: skip
    """A run that goes on from where it is to the end of its loading, steps numbered from there: `save` keeps a course between two
    cycles, or two days. Arguments as `followed` takes them; light : of the runs that an enrichment leaves behind keep what `passed` keeps."""

    def estimate(run: Any) -> tuple[float, str]:
        found = {
            name: float(i.upper(run.features[None])[0]) / tol
            for name, (i, tol) in (indicators or {}).items()
        }
        name = max(found, key=found.get, default="")  # type: ignore[arg-type]
        return found.get(name, 0.0), name

    times = np.append(run.t, run.loading.t[run.loading.t > run.t])
    if len(times) < 2:
        raise BadInput(
            f"the run is at {run.t:g} s, the end of its loading; there is nothing left to follow"
        )
    return adaptive(
        run, times, reduced_step, estimate, lambda run, a, e: full_step(run, body, a, e), seeds, most,
        lambda run: (run.trained.basis.r, len(run.trained.model.points)), compact if light else _same,
    )  # fmt: skip


def _same(run: RunState) -> RunState:
    return run


def compact(run: RunState) -> RunState:
    """What a run that an enrichment left behind still answers: u, p, stress and features; of its model, what only goes on needs is gone."""
    made = run.trained
    few: dict[str, Any] = {
        name: np.zeros((0, *getattr(made, name).shape[1:]))
        for name in ("strain", "tests", "watch", "rows")
    }
    return replace(run, trained=replace(made, **few))
