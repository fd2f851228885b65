"""One example of every public verb, with its array arguments, on small data."""

from __future__ import annotations

import io
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import scipy.sparse as sp

import rom
from rom import (
    bands,
    certified,
    compress,
    design,
    dynamics,
    gp,
    local,
    operators,
    plot,
    points,
    shapes,
    study,
)  # fmt: skip
from rom import io as files
from rom.rule import Cubature
from rom.space import Field

N, M, P = 12, 10, 2


@dataclass(frozen=True)
class Row:
    """call(**arguments); `arguments` : name -> (kind, good value).

    kinds : "real", "complex" (complex is taken too), "integers", "noun"
    free : kinds of input that this argument takes with a meaning of their own
    """

    call: Callable[..., Any]
    arguments: dict[str, tuple[str, Any]]
    free: frozenset[str] = field(default_factory=frozenset)


def row(call, *free, **arguments):
    return Row(call, arguments, frozenset(free))


def real(value):
    return "real", np.asarray(value, dtype=float)


def number(value):
    return "complex", np.asarray(value, dtype=float)


def whole(value):
    return "integers", np.asarray(value)


def noun(value):
    return "noun", value


rng = np.random.default_rng(0)
BOX = rom.Box(("a", "b"), [1.0, 1.0], [2.0, 2.0])
MU = BOX.from_unit(design.sobol(rom.Box(("a", "b"), [0.0, 0.0], [1.0, 1.0]), 16))[:M]
X1 = np.linspace(0.0, 1.0, N)
U = np.array([np.exp(-a * X1) + b * X1**2 + a * b * np.sin(3 * X1) for a, b in MU]).T
T = np.linspace(0.0, 1.0, M)
SPACE = rom.Space(np.full(N, 1.0 / N), np.arange(N))
FIELDS = rom.euclidean(N, None, (Field("T", "K", np.arange(6)), Field("u", "m", np.arange(6, N))))
SNAPSHOTS = rom.Snapshots(SPACE, MU, U)
POSITIVE = rom.Snapshots(SPACE, MU, 1.0 + U**2)
BASIS, S = rom.pod(SNAPSHOTS, rank=3)
STEPS = np.linspace(0.0, 1.0, 9)
LINES = np.stack([np.exp(-STEPS), np.exp(-3 * STEPS)])[None]
SERIES = rom.Snapshots(rom.euclidean(2), np.zeros((9, 0)), LINES[0], STEPS)
SERIES_BASIS = rom.pod(SERIES, rank=2)[0]


def cubes(U, mu, data):
    return data[:, 0] * U[:, 0] ** 3, 3.0 * data[:, :1] * U**2


CUBIC = rom.Problem(
    None, None, term=dynamics.Stencil(np.arange(2)[:, None], np.ones((2, 1)), cubes)
)
LONG_STEPS = np.linspace(0.0, 2.0, 33)
LONG_SERIES = rom.Snapshots(
    rom.euclidean(2), np.zeros((33, 0)), np.stack([np.cos(9 * LONG_STEPS), np.sin(9 * LONG_STEPS)]),
    LONG_STEPS,
)  # fmt: skip
LONG_BASIS = rom.pod(LONG_SERIES, rank=2)[0]
DUAL, _ = rom.pod(SNAPSHOTS, rank=2)
STIFF = sp.csr_array(
    sp.diags_array([-np.ones(N - 1), 2.5 * np.ones(N), -np.ones(N - 1)], offsets=[-1, 0, 1])
)
MASS = sp.csr_array(sp.eye_array(N) / N)
A = rom.Affine(rom.Monomials(np.ones(2), np.eye(2)), (STIFF, 2.0 * sp.csr_array(sp.eye_array(N))))
F = rom.Affine(rom.Monomials(np.ones(1), np.zeros((1, 2))), (np.ones(N),))
LINE = sp.diags_array([np.full(N, 2.0), -np.ones(N - 1), -np.ones(N - 1)], offsets=[0, 1, -1])
RESPONSE = certified.response_operator(
    sp.csr_array(LINE), sp.csr_array(0.1 * LINE), sp.eye_array(N, format="csr")
)
STABLE = certified.MinTheta(A.theta, np.ones(2), 0.5)


def solve(mu):
    return np.linalg.lstsq(A(mu).toarray(), F(mu))[0]


def march(mu):
    return np.stack([solve(mu) * t for t in TIMES], axis=1)


TIMES = np.linspace(0.0, 1.0, 4)
PROBLEM = rom.Problem(solve, BOX, space=SPACE, A=A, f=F, stability=STABLE)
UNSTEADY = rom.Problem(
    march, BOX, space=SPACE, A=A, f=F, M=MASS, stability=STABLE, times=TIMES, initial=np.zeros(N)
)
MODEL = rom.galerkin_model(PROBLEM, BASIS)
BOUND = MODEL.bound
GAUSS = 8
POINTS = rom.Space(np.full(GAUSS, 0.125), np.arange(GAUSS))
STRAIN = rng.standard_normal((GAUSS, 3, 2))
STRESS = rng.standard_normal((GAUSS, 3, 4))
G = np.abs(rng.standard_normal((3, GAUSS))) + 0.1
RULE = Cubature(np.arange(GAUSS), np.full(GAUSS, 0.125), 0.0, 1e-6, "all")
BLOCKS = [U[:, :4], U[:, 4:7], U[:, 7:]]
RUNNING = compress.update(compress.RunningPod(SPACE), U)
SPARSE = sp.csr_array(np.where(rng.random((9, 8)) < 0.5, rng.standard_normal((9, 8)), 0.0))
LABELS = np.arange(M) % 2
MESH = rom.Mesh(
    np.array([[0.0, 0.0], [1.0, 0.0], [1.0, 1.0], [0.0, 1.0]]),
    {"triangle": np.array([[0, 1, 2], [0, 2, 3]])},
)
ON_MESH = rom.euclidean(4)


def kernel(mu, x):
    """exp(-mu x) in one family, (m, 1, q)."""
    return np.exp(-mu[:, :1] * x[:, 0])[:, None, :]


def lifted(basis):
    return basis.lift(np.ones(basis.r))


@cache
def weights():
    return certified.eim_weights(kernel, MU[:, :1], X1[:, None], tol=1e-8)


def separated():
    return rom.separate(weights(), lambda mu: np.diag(np.exp(-mu[0] * X1)))


@cache
def local_pair():
    return rom.local_bases(SNAPSHOTS, 2, 2)


def equation(c, old, mu, t0, t1):
    return c - old * (1 - 0.1 * (t1 - t0)), np.eye(len(c))


@cache
def studied():
    return study.study(MODEL, solve, MU[:3])


def folder():
    return Path(tempfile.mkdtemp())


def collected(mus, only=None, times=None):
    path = folder() / "store"
    run = march if times is not None else solve
    rom.collect(run, mus, path, only=only, times=times, progress=False)
    return rom.read(path).u[:]


def text_of(write):
    """What a writer wrote."""
    path = folder() / "a.csv"
    write(path)
    return np.frombuffer(path.read_bytes(), np.uint8)


def drawn(draw):
    """The size of a picture, in a stream."""
    stream = io.BytesIO()
    draw(stream)
    return len(stream.getvalue()) > 0


@cache
def store():
    path = folder() / "store"
    rom.collect(solve, MU, path, progress=False)
    return path


def result(u, stress):
    return files.Result(
        MESH, {"u": u, "stress": stress}, {"u": "m", "stress": "Pa"},
        {"u": "points", "stress": "integration"}, np.arange(3.0),
    )  # fmt: skip


SHAPES = np.stack([MESH.points * (1 + 0.1 * k) + [0, 0.05 * k * k] for k in range(3)])
NODAL = np.array([[0.0, 1.0, 2.0, 1.5], [0.1, 1.2, 2.0, 1.1]])
PLANE = MU.copy()
AXES = [np.linspace(0.0, 1.0, 4), np.linspace(0.0, 2.0, 5)]
FIELD2 = np.add.outer(AXES[0] ** 2, np.sin(AXES[1]))
TRAJ = np.stack([np.outer(U[:, k], np.exp(-MU[k, 0] * TIMES)) for k in range(M)])
Y = MU[:, 0] ** 2 + np.sin(3 * MU[:, 1])
QUICK = {"starts": 1}
NEAR = {"neighbours": 5, "max_fit_points": 10}

ROWS: dict[str, Row] = {
    # nouns
    "Space": row(lambda product, numbers: rom.Space(product, numbers).product,
        product=real(np.arange(1.0, N + 1)), numbers=whole(np.arange(N)[::-1])),
    "euclidean": row(lambda numbers: rom.euclidean(numbers).product, "a number",
        "empty (0,)", "a word in numbers", numbers=whole(np.arange(N))),
    "Field": row(lambda rows: Field("T", "K", rows).rows, "empty (0,)", rows=whole(np.arange(N))),
    "Snapshots": row(lambda space, mu, u, t: rom.Snapshots(space, mu, u, t).u, "empty (n, 0)",
        space=noun(SPACE), mu=real(MU), u=number(U), t=real(T)),
    "Basis": row(
        lambda space, modes, offset, s: lifted(rom.Basis(space, modes, offset, s)),
        "empty (n, 0)", "a number", "empty (0,)",
        space=noun(SPACE), modes=number(BASIS.modes), offset=number(U[:, 0]), s=real(S[:3])),
    "Box": row(lambda lower, upper: rom.Box(("a", "b"), lower, upper).upper,
        lower=real([1.0, 1.0]), upper=real([2.0, 3.0])),
    "Monomials": row(lambda coefficients, powers, mu: rom.Monomials(coefficients, powers)(mu),
        "empty (0, n)",
        coefficients=real([1.0, 2.0]), powers=real(np.eye(2)), mu=real(MU)),
    "Affine": row(lambda terms, mu: rom.Affine(A.theta, terms)(mu),
        terms=number(rng.standard_normal((2, 3, 3))), mu=real(MU[0])),
    "Mesh": row(lambda points: rom.Mesh(points, MESH.cells).points, points=real(MESH.points)),
    "Question": row(lambda mu: rom.Asks(2, BOX).question(mu).mu, "empty (0, n)", mu=real(MU)),
    "shapes.Sample": row(
        lambda mu, u: shapes.Sample(MESH, mu, {"T": u}).fields["T"], "a number", "empty (0,)",
        mu=real([1.0, 2.0]), u=real(np.arange(4.0))),
    # compress
    "compress.balance": row(lambda snapshots: compress.balance(snapshots).space.product,
        snapshots=noun(rom.Snapshots(FIELDS, MU, U))),
    "compress.errors_by_field": row(compress.errors_by_field,
        snapshots=noun(SNAPSHOTS), basis=noun(BASIS)),
    "compress.pod_by_field": row(
        lambda snapshots: compress.pod_by_field(snapshots, tol=1e-3)[1],
        snapshots=noun(rom.Snapshots(FIELDS, MU, U))),
    "dmd": row(
        lambda snapshots, basis: rom.dmd(snapshots, basis).rates,
        snapshots=noun(SERIES), basis=noun(SERIES_BASIS)),
    "project_rate": row(
        lambda snapshots, basis: rom.project_rate(lambda u, mu: -u, snapshots, basis).operators,
        snapshots=noun(SERIES), basis=noun(SERIES_BASIS)),
    "operator_gp": row(
        lambda inputs, outputs: rom.operator_gp(inputs, outputs, rank=2, kernel="rbf").apply(U),
        inputs=noun(SNAPSHOTS), outputs=noun(SNAPSHOTS)),
    "operators.plug_operator": row(
        lambda inputs, outputs: operators.plug_operator(np.sin, inputs, outputs).pattern,
        inputs=noun(SNAPSHOTS), outputs=noun(SNAPSHOTS)),
    "operators.simple_answers": row(
        lambda inputs, outputs, a: operators.simple_answers(inputs, outputs, a),
        inputs=noun(SNAPSHOTS), outputs=noun(SNAPSHOTS), a=real(U[:, :3])),
    "operators.point_symmetry": row(
        lambda points: operators.point_symmetry(points, "rectangle").table,
        points=real(MESH.points)),
    "operators.Symmetry": row(
        lambda places_in, signs_in, places_out, signs_out: operators.Symmetry(
            "flip", places_in, signs_in, places_out, signs_out).act_in(1, np.eye(2)),
        places_in=whole([[0, 1], [1, 0]]), signs_in=real(np.ones((2, 2))),
        places_out=whole([[0, 1], [1, 0]]), signs_out=real(np.ones((2, 2)))),
    "dynamics.dmdc": row(
        lambda snapshots, basis, push: dynamics.dmdc(snapshots, basis, {"push": push}).A,
        snapshots=noun(LONG_SERIES), basis=noun(LONG_BASIS), push=real(np.arange(33.0) % 4)),
    "dynamics.edmd": row(
        lambda snapshots, basis: dynamics.edmd(snapshots, basis).operators,
        snapshots=noun(LONG_SERIES), basis=noun(LONG_BASIS)),
    "dynamics.spod": row(
        lambda snapshots, basis: dynamics.spod(snapshots, basis, samples=8).energies,
        snapshots=noun(LONG_SERIES), basis=noun(LONG_BASIS)),
    "dynamics.nonlinear_model": row(
        lambda snapshots, basis: dynamics.nonlinear_model(CUBIC, snapshots, basis).term.B,
        snapshots=noun(SERIES), basis=noun(SERIES_BASIS)),
    "dynamics.calibrate_estimate": row(
        lambda snapshots: dynamics.calibrate_estimate(
            dynamics.nonlinear_model(CUBIC, SERIES, SERIES_BASIS), snapshots, level=0.5).factor,
        snapshots=noun(SERIES)),
    "dynamics.Stencil": row(
        lambda reads, data: dynamics.Stencil(reads, data, cubes).reads,
        "empty (n, 0)", reads=whole([[0], [1]]), data=real(np.ones((2, 1)))),
    "dynamics.evaluate_term": row(
        lambda u, mu: dynamics.evaluate_term(CUBIC.term, u, mu)[0], "empty (0,)",
        u=real(np.ones(2)), mu=real([1.0, 2.0])),
    "dynamics.calibrate_flow": row(
        lambda snapshots: dynamics.calibrate_flow(
            rom.project_rate(lambda u, mu: -u, SERIES, SERIES_BASIS), snapshots, level=0.5).width,
        snapshots=noun(SERIES)),
    "operator_inference": row(
        lambda snapshots, basis: rom.operator_inference(snapshots, basis, degree=1).operators,
        snapshots=noun(LONG_SERIES), basis=noun(LONG_BASIS)),
    **{f"dynamics.{name}": row(getattr(dynamics, name), y=real(LINES), t=real(STEPS))
       for name in ("exact", "forward_backward", "total")},
    "compress.pod": row(lambda snapshots: rom.pod(snapshots, tol=1e-3), snapshots=noun(SNAPSHOTS)),
    "compress.projection_error": row(compress.projection_error,
        snapshots=noun(SNAPSHOTS), basis=noun(BASIS)),
    "compress.downdate": row(lambda state, u: compress.downdate(state, u).s,
        state=noun(RUNNING), u=number(U[:, 1])),
    "compress.update": row(
        lambda state, snapshots: compress.update(state, snapshots, rank=4).s,
        state=noun(compress.RunningPod(SPACE)), snapshots=number(U)),
    "compress.merge_pods": row(lambda first, second: compress.merge_pods(first, second).s,
        first=noun(RUNNING), second=noun(RUNNING)),
    "compress.RunningPod": row(lambda u: compress.update(compress.RunningPod(SPACE), u).error,
        u=number(U)),
    "compress.extend_svd": row(
        lambda A, block: compress.extend_svd(A, [block], 3).s, "sparse", "empty (n, 0)",
        A=real(SPARSE.toarray()), block=real(SPARSE.toarray()[:4])),
    "compress.greedy_concatenation": row(
        lambda block, space: compress.greedy_concatenation([block, *BLOCKS], 0.1, 3, space).ranks,
        block=number(U[:, 2:6]), space=noun(SPACE)),
    "compress.merge_blocks": row(
        lambda block, space: rom.merge_blocks([block, *BLOCKS], 0.1, space).ranks,
        block=number(U[:, 2:6]), space=noun(SPACE)),
    "compress.blocks_of_labels": row(
        lambda block, labels, space: compress.blocks_of_labels(
            [block, *BLOCKS], labels, 0.1, space).ranks,
        block=number(U[:, 2:6]), labels=whole([0, 1, 0, 1]), space=noun(SPACE)),
    "compress.hierarchical": row(
        lambda block, space: compress.hierarchical([block, *BLOCKS], space, 0.01).s,
        block=number(U[:, 2:6]), space=noun(SPACE)),
    "compress.hierarchical_pod": row(
        lambda block, space: rom.hierarchical_pod([block, *BLOCKS], space, 0.01)[1],
        block=number(U[:, 2:6]), space=noun(SPACE)),
    "compress.norms_bound": row(
        lambda block, space: compress.norms_bound([block, *BLOCKS], 3, space),
        block=number(U[:, 2:6]), space=noun(SPACE)),
    "compress.residuals_bound": row(
        lambda block, space: compress.residuals_bound([block, *BLOCKS], 3, space),
        block=number(U[:, 2:6]), space=noun(SPACE)),
    "compress.incremental_bound": row(
        lambda block, space: compress.incremental_bound([block, *BLOCKS], 3, space),
        block=number(U[:, 2:6]), space=noun(SPACE)),
    # points
    "points.contributions": row(points.contributions, "empty (n, 0)", "empty (0, n)",
        strain=real(STRAIN), stress=real(STRESS)),
    "points.compress_contributions": row(
        lambda space, strain, stress: np.abs(
            points.compress_contributions(space, strain, stress) @ np.ones(GAUSS)), "empty (n, 0)",
        space=noun(POINTS), strain=real(STRAIN), stress=real(STRESS)),
    "points.orthonormal_strain": row(
        lambda space, strain: points.orthonormal_strain(space, strain) ** 2, "empty (n, 0)",
        space=noun(POINTS), strain=real(STRAIN)),
    "points.unit": row(points.unit, "empty (n, 0)", space=noun(POINTS), stress=real(STRESS)),
    "points.exactness": row(points.exactness,
        space=noun(POINTS), strain=real(STRAIN), stress=real(STRESS), rule=noun(RULE)),
    "points.ecm": row(
        lambda G, space, start, share: points.ecm(G, space, start=start, share=share).weights,
        "empty (0,)", G=real(G), space=noun(POINTS), start=whole([1, 2]), share=real(G.mean(1))),
    "points.eim": row(lambda g: points.eim(g, 1e-6).errors, g=number(U)),
    "points.deim": row(lambda modes: points.deim(modes).dofs, modes=number(BASIS.modes)),
    "points.qdeim": row(lambda modes: points.qdeim(modes).dofs, modes=number(BASIS.modes)),
    "points.gappy": row(lambda basis, dofs: points.gappy(basis, dofs).dofs,
        basis=noun(BASIS), dofs=whole([0, 3, 7, 11])),
    "points.gappy_points": row(points.gappy_points, "empty (0,)",
        basis=noun(BASIS), given=whole([0, 3])),
    "points.matching_pursuit": row(
        lambda G, b, start: points.matching_pursuit(G, b, 1e-6, start)[1], "empty (0,)",
        G=real(G), b=real(G.mean(1)), start=whole([1, 2])),
    "points.newton": row(
        lambda x: points.newton(
            lambda x: (x**3 - 1.0, 1.0, np.diag(3 * x.ravel() ** 2), None),
            lambda K, b, _: np.linalg.lstsq(K, b)[0], x).x, "one axis more",
        x=number([1.5, 2.0])),
    # design
    "design.sobol": row(lambda box: rom.sobol(box, 4), box=noun(BOX)),
    "design.latin_hypercube": row(lambda box: rom.latin_hypercube(box, 4), box=noun(BOX)),
    "design.grid": row(rom.grid, "a number", box=noun(BOX), counts=whole([2, 3])),
    # campaign
    "campaign.collect": row(collected, "empty (0,)",
        mus=real(MU[:3]), only=whole([0, 2]), times=real(TIMES)),
    "campaign.read": row(lambda mus: rom.read(store(), mus=mus).u[:], mus=real(MU[:3])),
    # certified
    "certified.certify": row(
        lambda fresh, sketch: certified.certify(
            separated(), lambda mu: np.diag(np.exp(-mu[0] * X1)), fresh, tol=1e-3, sketch=sketch
        ).error < 1e-3, "a number",
        fresh=real([[1.1], [1.3], [1.7]]), sketch=number(rng.standard_normal((N, 3)))),
    "certified.rational_weights": row(
        lambda train, sample: certified.rational_weights(train, sample, tol=1e-3).w,
        train=real(np.linspace(1.0, 2.0, 12)),
        sample=number(1 / (3 + np.outer(np.arange(3), np.linspace(1.0, 2.0, 12))))),
    "certified.eim_weights": row(
        lambda train, x: certified.eim_weights(kernel, train, x, tol=1e-4).mus,
        train=real(MU[:, :1]), x=real(X1[:, None])),
    "certified.two_stage_weights": row(
        lambda train, x: certified.two_stage_weights(kernel, train, x, tol=1e-4).mus,
        train=real(MU[:, :1]), x=real(X1[:, None])),
    "certified.kernel_entries": row(
        lambda mu, x: certified.kernel_entries(lambda m, q: m[0] + q.sum(axis=1), mu, x),
        mu=real(MU), x=real(np.arange(6.0).reshape(3, 2))),
    "certified.galerkin_model": row(lambda problem, basis: rom.galerkin_model(problem, basis).A,
        problem=noun(PROBLEM), basis=noun(BASIS)),
    "certified.unsteady_model": row(lambda problem, basis: rom.unsteady_model(problem, basis).A,
        problem=noun(UNSTEADY), basis=noun(BASIS)),
    "certified.dual_weighted_output": row(
        lambda problem, l, basis, dual: certified.dual_weighted_output(problem, l, basis, dual).A,  # noqa: E741
        problem=noun(PROBLEM), l=noun(F), basis=noun(BASIS), dual=noun(DUAL)),
    "certified.reduced_basis": row(
        lambda problem, train: rom.reduced_basis(problem, train, tol=1e-3)[0].A,
        problem=noun(PROBLEM), train=real(MU)),
    "certified.random_dual": row(
        lambda A, f, basis, dual, z: certified.random_dual(A, f, basis, dual, z).z,
        A=noun(PROBLEM.A), f=noun(F), basis=noun(BASIS), dual=noun(DUAL),
        z=number(rng.standard_normal((N, 2)))),
    "certified.frequency_response": row(
        lambda space, A, f, train: certified.frequency_response(
            space, A, f, train, tol=0.1, order=2).__getitem__(0).A.terms,
        space=noun(PROBLEM.space), A=noun(RESPONSE), f=real(rng.standard_normal(N)),
        train=real(np.linspace(0.5, 1.0, 6))),
    "certified.pod_greedy": row(
        lambda problem, train: certified.pod_greedy(problem, train, tol=10.0, rank=2)[0].A,
        problem=noun(UNSTEADY), train=real(MU)),
    "certified.recompress": row(
        lambda problem, model, mus: certified.recompress(problem, model, mus, rank=2, sweeps=2).A,
        problem=noun(PROBLEM), model=noun(MODEL), mus=real(MU)),
    "certified.galerkin": row(lambda A, f, basis: certified.galerkin(A, f, basis).A,
        A=noun(A), f=noun(F), basis=noun(BASIS)),
    "certified.truncate_model": row(lambda model: certified.truncate_model(model, 2).A,
        model=noun(MODEL)),
    "certified.inf_sup": row(
        lambda space, box, anchors, fresh: certified.inf_sup(
            lambda mu: A(mu).toarray(), space, box, anchors, fresh).c,
        space=noun(SPACE), box=noun(BOX), anchors=real(MU[:4]), fresh=real(MU[4:])),
    "certified.consistent_bound": row(
        lambda A, f, basis, fresh: certified.consistent_bound(
            BOUND, A, f, basis, fresh, host_operator=lambda mu: A(mu).toarray(),
            host_load=lambda mu: f(mu)).load,
        A=noun(A), f=noun(F), basis=noun(BASIS), fresh=real(MU[:3])),
    "certified.scm": row(lambda A, space, train: certified.scm(A, space, train).alpha_j,
        A=noun(A), space=noun(SPACE), train=real(MU)),
    "certified.unsteady": row(
        lambda A, f, basis, times, initial, signal: certified.unsteady(
            MASS, A, f, basis, times, initial=initial, signal=signal).initial,
        A=noun(A), f=noun(F), basis=noun(BASIS), times=real(TIMES), initial=number(U[:, 0]),
        signal=real(TIMES + 1)),
    "certified.greedy": row(
        lambda train: certified.greedy(
            MODEL, train, lambda model, mus: mus[:, 0] ** 2, lambda model, mu: model, tol=1e-3
        )[1][-1].error,
        train=real(MU)),
    "certified.reduced_outputs": row(lambda L, basis: certified.reduced_outputs(L, basis).gram,
        L=noun(rom.Affine(F.theta, [np.ones((1, N))])), basis=noun(BASIS)),
    "certified.residual_bound": row(
        lambda A, f, basis: certified.residual_bound(A, f, basis, STABLE).T**2,
        A=noun(A), f=noun(F), basis=noun(BASIS)),
    "certified.trajectory_bound": row(
        lambda bound, mu, a, times: certified.trajectory_bound(bound, mu, a, times),
        bound=noun(certified.residual_bound(A, F, BASIS, STABLE, MASS)), mu=real(MU[:2]),
        a=real(np.ones((BASIS.r, 2, len(TIMES)))),
        times=real(TIMES)),
    "certified.bound_by": row(
        lambda A, f, basis: certified.bound_by(A, f, basis, STABLE, form="gram").G,
        A=noun(A), f=noun(F), basis=noun(BASIS)),
    "certified.sampled_residual": row(
        lambda full, bound, mu, a: certified.sampled_residual(
            full, bound, mu, a, rule=lambda X: points.eim(X, 1e-8)).squares,
        full=noun(certified.FullResidual(A, F, BASIS, STABLE)), bound=noun(BOUND), mu=real(MU),
        a=number(MODEL.solve(MU)[0])),
    "certified.MinTheta": row(lambda mu_ref, mu: certified.MinTheta(A.theta, mu_ref)(mu),
        "empty (0, n)",
        mu_ref=real([1.0, 1.0]), mu=real(MU)),
    # local
    "local.fit_classifier": row(
        lambda x, labels, errors: local.fit_classifier(
            x, labels, errors, widths=(0.1,), trees=2).costs,
        x=real(np.vstack([MU, MU + 0.01])), labels=whole(np.arange(2 * M) % 2),
        errors=real(rng.random((2 * M, 2)))),
    "local.local_bases": row(
        lambda snapshots, inputs: rom.local_bases(
            snapshots, 2, 2, inputs=inputs).labels,
        snapshots=noun(SNAPSHOTS), inputs=real(MU)),
    "local.features": row(local.features, snapshots=noun(SNAPSHOTS)),
    "local.between_runs": row(lambda run: local.between_runs([run, DUAL]), run=noun(BASIS)),
    "local.principal_angles": row(local.principal_angles,
        space=noun(SPACE), V=number(BASIS.modes), W=number(DUAL.modes)),
    "local.sines": row(local.sines, "empty (0,)", snapshots=noun(SNAPSHOTS), rows=whole([1, 2, 3])),
    "local.combine": row(lambda part, weights: local.combine([part, np.ones((3, 3))], weights),
        part=real(np.ones((3, 3)) - np.eye(3)), weights=real([1.0, 2.0])),
    "local.scaling": row(lambda dissimilarity: local.scaling(dissimilarity)[0] ** 2,
        dissimilarity=real(1.0 - np.eye(3))),
    "local.switch_bases": row(
        lambda bases, mu, times, start: local.switch_bases(bases, equation, mu, times, start)[0],
        bases=noun(local_pair()), mu=real(MU[0]), times=real(TIMES),
        start=real(local_pair().hull.coefficients(U[:, 0]))),
    "local.expected_gain": row(
        lambda snapshots, inputs: rom.expected_gain(
            snapshots, 1, (1, 2), splits=2, inputs=inputs).gain,
        snapshots=noun(SNAPSHOTS), inputs=real(MU)),
    # Gaussian processes
    "gp.coefficient_gp": row(
        lambda x, a, box: rom.coefficient_gp(x, a, box, share="shared", **QUICK).posterior(MU)[0],
        "nothing", x=real(MU), a=real(U[:2].T), box=noun(BOX)),
    "gp.process_average": row(
        lambda x, a, box: gp.process_average(
            x, a, box, kernel="rbf", share="shared", **QUICK).posterior(MU)[0],
        "nothing", x=real(MU), a=real(U[:2].T), box=noun(BOX)),
    "gp.positive_field_gp": row(
        lambda snapshots, basis, box: gp.positive_field_gp(
            snapshots, basis, box, share="shared", **QUICK).logs.tail, "nothing",
        snapshots=noun(POSITIVE), basis=noun(BASIS), box=noun(BOX)),
    "gp.log_snapshots": row(lambda snapshots: gp.log_snapshots(snapshots).u,
        snapshots=noun(POSITIVE)),
    "gp.fit_regressor": row(
        lambda x, a, box: gp.fit_regressor(x, a, box, regressor="rbf").posterior(MU)[0],
        "nothing", x=real(MU), a=real(U[:2].T), box=noun(BOX)),
    "gp.run_interpolation": row(
        lambda x, a, box: gp.run_interpolation(x, a, box, regressor="rbf").posterior(MU)[0],
        "nothing", x=real(MU), a=real(U[:2].T), box=noun(BOX)),
    "gp.field_gp": row(
        lambda snapshots, basis, box: rom.field_gp(
            snapshots, basis, box, share="shared", **QUICK).tail, "nothing",
        snapshots=noun(SNAPSHOTS), basis=noun(BASIS), box=noun(BOX)),
    "gp.initial_lines": row(lambda y: gp.initial_lines(y, 2).weights,
        y=real(np.sin(np.arange(40.0))[:, None])),
    "gp.kronecker_gp": row(
        lambda x, y: rom.kronecker_gp([x, AXES[1]], y).posterior(AXES[0], AXES[1])[0],
        x=real(AXES[0]), y=real(FIELD2)),
    "gp.trajectory_gp": row(
        lambda runs, mu, times: gp.trajectory_gp(
            runs, mu=mu, times=times, transforms=("identity",), kernels=("rbf",)
        ).offset,
        runs=real(TRAJ), mu=real(MU), times=real(TIMES)),
    "gp.variational_gp": row(
        lambda x, y: rom.variational_gp(x, y, "gaussian", **NEAR).posterior(MU)[0],
        x=real(MU), y=real(Y)),
    "gp.vecchia_gp": row(lambda x, y: rom.vecchia_gp(x, y, **NEAR).posterior(MU)[0],
        x=real(MU), y=real(Y)),
    "gp.Stationary": row(lambda lengths: gp.Stationary("rbf", lengths).matrix(MU, MU), "a number",
        lengths=real([1.0, 2.0])),
    "gp.Spectral": row(
        lambda weights, frequencies, lengths: gp.Spectral(
            weights, frequencies, lengths).matrix(MU, MU),
        weights=real([1.0, 2.0]), frequencies=real(np.ones((2, 2))), lengths=real(np.ones((2, 2)))),
    # study
    "study.rel_l2": row(lambda v, u: study.rel_l2([v], [u]), v=real(U[3] + 0.1), u=real(U[3])),
    "study.rrmse": row(lambda v, u: study.rrmse([v], [u]), v=real(U[3] + 0.1), u=real(U[3])),
    "study.q2": row(lambda v, u: study.q2([v], [u]), v=real(U[3] + 0.1), u=real(U[3])),
    "study.field_coverage": row(
        lambda v, u, s: study.field_coverage([v], [u], [s]),
        v=real(U[3] + 0.1), u=real(U[3]), s=real(U[4])),
    "study.study": row(lambda mus: study.study(MODEL, solve, mus).error > -1, mus=real(MU[:3])),
    "study.with_trivial": row(
        lambda runs, space, box: study.with_trivial(studied(), solve, runs, space, box).error,
        runs=noun(rom.Snapshots(SPACE, MU, np.stack([solve(mu) for mu in MU], axis=1))),
        space=noun(SPACE), box=noun(BOX)),
    "study.basis_facts": row(lambda basis: len(study.basis_facts(basis)), basis=noun(BASIS)),
    "bands.calibrate_indicator": row(
        lambda features, errors, runs: bands.calibrate_indicator(
            ("r",), features, errors, runs).shift,
        features=real(U[:1].T + 2), errors=real(U[1] + 1), runs=whole(np.arange(M) // 3)),
    # files
    "io.check_fields": row(lambda u: files.check_fields({"T": (u, "K")}, 4, "points"),
        "empty (n, 0)", u=number(np.arange(4.0))),
    "io.convert": row(lambda values: files.convert(values, "mm", "m", "u"),
        "empty (0,)", "empty (n, 0)", "empty (0, n)", "a number", values=real(U)),
    "io.reorder": row(lambda values, theirs, ours: files.reorder(values, theirs, ours),
        "NaN", "Inf", "-Inf",
        values=number(np.arange(4.0)), theirs=real(MESH.points), ours=real(MESH.points[::-1])),
    "io.on_mesh": row(lambda space, mesh, u: files.on_mesh(space, mesh, u)[0],
        space=noun(ON_MESH), mesh=noun(MESH), u=number(np.arange(4.0))),
    "io.to_grid": row(lambda mesh, u: files.to_grid(mesh, {"T": (u, "K")})["T [K]"],
        "empty (n, 0)", mesh=noun(MESH), u=number(np.arange(4.0))),
    "io.vtkhdf": row(
        lambda mesh, u, times: callable(files.vtkhdf(mesh, {"T": (u, "K")}, times)),
        mesh=noun(MESH), u=number(np.ones((4, 3))), times=real([0.0, 1.0, 2.0])),
    "io.write_vtkhdf": row(
        lambda mesh, u: files.write_vtkhdf(folder() / "a.vtkhdf", mesh, {"T": (u, "K")}).exists(),
        "empty (n, 0)", mesh=noun(MESH), u=number(np.arange(4.0))),
    "io.write_mesh": row(
        lambda mesh, u: files.write_mesh(folder() / "a.vtu", mesh, {"T": (u, "K")}).exists(),
        "empty (n, 0)", mesh=noun(MESH), u=number(np.arange(4.0))),
    "io.write_points": row(
        lambda mesh, u: text_of(lambda p: files.write_points(p, mesh, {"T": (u, "K")}, {})),
        "empty (n, 0)", mesh=noun(MESH), u=number(np.arange(4.0))),
    "io.write_basis": row(
        lambda basis: files.write_basis(folder() / "b.000000", basis).exists(), basis=noun(BASIS)),
    "io.write_columns": row(
        lambda space, V, mu: text_of(lambda p: files.write_columns(p, space, V, {"mu [1]": mu})),
        space=noun(SPACE), V=number(U), mu=real(MU[:, 0])),
    "io.write_plaid": row(
        lambda space, mesh, U: files.write_plaid(
            folder() / "a.plaid", space, U, {"k [N]": np.arange(2.0)}, mesh).exists(),
        "empty (n, 0)", space=noun(rom.euclidean(len(MESH.points))), mesh=noun(MESH),
        U=number(np.ones((len(MESH.points), 2)))),
    "io.history_of_result": row(
        lambda u, stress: files.history_of_result(result(u, stress)).u,
        "empty (n, 0)", "empty (0, n)",
        u=real(rng.standard_normal((4, 2, 3))), stress=real(rng.standard_normal((2, 6, 3)))),
    # shapes
    "shapes.embedding": row(
        lambda points, reference: shapes.embedding(points, reference).cloud ** 2,
        points=real(SHAPES), reference=noun(MESH)),
    "shapes.interpolation": row(lambda mesh, x: shapes.interpolation(mesh, x).toarray(),
        mesh=noun(MESH), x=real(MESH.points * 0.5 + 0.1)),
    "shapes.conservative": row(lambda mesh, onto: shapes.conservative(mesh, onto).toarray(),
        mesh=noun(MESH), onto=noun(MESH)),
    "shapes.subdivide": row(lambda mesh, marked: shapes.subdivide(mesh, marked).points,
        "empty (0,)", mesh=noun(MESH), marked=whole([1])),
    "shapes.linear": row(lambda mesh: shapes.linear(mesh).points, mesh=noun(MESH)),
    "shapes.overlay": row(lambda mesh, reference: shapes.overlay(mesh, reference, shapes.Same()).to,
        mesh=noun(MESH), reference=noun(MESH)),
    "shapes.optimal_mappings": row(
        lambda reference, fields, covariance, weights, start: shapes.optimal_mappings(
            reference, fields, stages=((1, 0.1),), covariance=covariance, weights=weights,
            steps=1, start=start).energy,
        reference=noun(MESH), fields=real(NODAL), covariance=real(np.eye(2)), weights=real([1.0]),
        start=real(np.zeros((2, 4, 2)))),
    # pictures
    "plot.cluster_plot": row(
        lambda x, labels: drawn(lambda p: plot.cluster_plot(p, x, labels)),
        x=real(MU), labels=whole(LABELS)),
    "plot.gain_plot": row(
        lambda k, gain, std: drawn(lambda p: plot.gain_plot(p, k, gain, std)),
        k=real([1.0, 2.0]), gain=real([1.0, 1.2]), std=real([0.1, 0.1])),
    "plot.decay_plot": row(lambda s: drawn(lambda p: plot.decay_plot(p, s)), s=real(S)),
    "plot.error_plot": row(
        lambda r, error, bound: drawn(lambda p: plot.error_plot(p, r, error, bound)),
        r=real([1.0, 2.0]), error=real([0.1, 0.01]), bound=real([0.2, 0.02])),
    "plot.line_plot": row(
        lambda x, y: drawn(lambda p: plot.line_plot(p, x, {"y": y}, xlabel="x", ylabel="y")),
        "NaN", "Inf", "-Inf",
        x=real([0.0, 1.0]), y=real([0.0, 1.0])),
    "plot.band_plot": row(
        lambda x, low, high, y: drawn(
            lambda p: plot.band_plot(p, x, (low, high), {"y": y}, xlabel="x", ylabel="y")),
        "NaN", "Inf", "-Inf",
        x=real([0.0, 1.0]), low=real([0.0, 1.0]), high=real([1.0, 2.0]), y=real([0.5, 1.5])),
    "plot.directivity": row(
        lambda angle, y: drawn(lambda p: plot.directivity(p, angle, {"y": y}, label="L [dB]")),
        angle=real([0.0, 1.0, 2.0]), y=real([1.0, 2.0, 1.0])),
    "plot.effectivity_plot": row(
        lambda effectivity: drawn(lambda p: plot.effectivity_plot(p, effectivity)),
        "NaN", "Inf", "-Inf", "a number", "two axes more", effectivity=real([1.1, 2.0, 3.0])),
    "plot.indicator_plot": row(
        lambda t, error, upper, middle, full: drawn(lambda p: plot.indicator_plot(
            p, t, error, upper=upper, middle=middle, full=full, ylabel="e [1]")),
        t=real([0.0, 1.0, 2.0]), error=real([0.1, 0.2, 0.1]), upper=real([0.3, 0.3, 0.3]),
        middle=real([0.2, 0.2, 0.2]), full=real([0.0, 1.0, 0.0])),
}  # fmt: skip


def solid_rows():
    """Rows of the solids; a body of eight cells is marched once for all."""
    from rom import solids
    from tests.gate_solids import parts, weighted

    body, loading, history, model = parts()
    inner = model.model
    reduced = loading.reduce(model.basis, inner.points, model.p.space)
    return {
        "solids.weighted_model": row(weighted, "empty (0,)",
            strain=real(model.strain), points=whole(inner.points),
            weights=real(inner.weights)),
        "solids.reduced_march": row(
            lambda model, loading, times: solids.reduced_march(model, loading, times).u,
            model=noun(inner), loading=noun(reduced), times=real(loading.t[:3])),
        "solids.train_solid": row(
            lambda history: len(solids.train_solid(body, [history]).rows), history=noun(history)),
        "solids.follow": row(
            lambda model, loading: solids.follow(model, body, loading).steps[0].t,
            model=noun(model), loading=noun(loading)),
        "solids.with_indicators": row(
            lambda model: len(solids.with_indicators(model, {}).rows), model=noun(model)),
    }  # fmt: skip


# what a user never builds: the package returns it, or loads it
RESULTS = """
decide.Sensitivity
Error Part Prediction Quantity archive.Header
compress.Merging compress.SparseSvd points.NewtonSolution io.Frame
io.Result campaign.Campaign campaign.Store certified.Certificate certified.Consistent
certified.DualWeighted certified.Expansion certified.Nested certified.RandomDual
certified.FullResidual certified.GalerkinModel certified.GramResidual
certified.GreedyStep certified.InterpolatedInfSup certified.Outputs certified.ResidualBound
certified.SampledResidual certified.SuccessiveConstraints certified.UnsteadyModel local.Classifier
local.Forest local.Gain local.LocalModel solids.FollowedRun solids.LocalWeighted solids.RunState
solids.RunStep solids.SolidModel solids.WeightedModel gp.CoefficientGP gp.FieldGP gp.GPyTorchModel
gp.KroneckerGP gp.PositiveFieldGP gp.ProcessAverage
gp.RunInterpolation gp.SparsePosterior gp.TrajectoryGP gp.VariationalGP gp.VecchiaGP
shapes.Embedding
operators.Coordinates operators.OperatorGP operators.OperatorKernel
dynamics.ForcedFlow dynamics.LiftedMap dynamics.LinearFlow dynamics.NonlinearModel
dynamics.PolynomialFlow dynamics.ReducedTerm dynamics.ResidualRows dynamics.SpectralModes
dynamics.Spectrum shapes.FieldModel shapes.ShapeModel
study.Discrepancy study.Study batch.Status
"""
# what takes no array: paths, texts, numbers, functions, settings, protocols, or nouns that hold
# their arrays checked; each is tried in the tests of its chapter
WITHOUT_ARRAYS = """
sensitivity plot.index_plot
Asks Model Problem io.ingest_files archive.load archive.load_model archive.open_header
io.read_basis io.from_dataset io.from_table io.to_dataset io.to_table io.read_file archive.save
archive.save_model certified.separate points.cut io.from_grid io.label io.read_frames
io.read_loading io.read_mesh io.unlabel campaign.nbytes campaign.open_store campaign.pilot
campaign.fields_in campaign.program campaign.read_unit campaign.rebuild campaign.talk
campaign.ticker campaign.verify
certified.Conjugate certified.random_forms certified.response_operator
dynamics.Polynomial dynamics.parameter_powers
solids.Budget solids.Law solids.Solid solids.Tolerances solids.Watch
operators.Translation operators.from_torch
gp.Product gp.Selected gp.Sum gp.spectral_mixture shapes.ArcLength shapes.Chart shapes.Elastic
shapes.Radial shapes.Reduction shapes.Same shapes.Sphere shapes.ShapeTrial
shapes.family study.box_facts study.model_facts
study.write_report plot.shape_pictures plot.show_window plot.picture
deploy.model_server deploy.write_fmu deploy.write_page batch.Pilot batch.Profile
batch.Run
batch.check_stage batch.cancel_run batch.create_run batch.open_run batch.read_logs
batch.read_profile batch.read_status batch.resume_run batch.submit_stage
"""
# arrays go through the gate, but an example takes too long or an extra library: declared only
DECLARED = {
    "gp.gpytorch_model": {"x", "a", "box"},
    "shapes.shape_model": {"samples", "reference"},
    "shapes.choose_shapes": {"samples", "reference"},
    "shapes.medoid": {"samples"},
    "shapes.refine": {"reference", "samples"},
    "solids.calibrate_solid": {"model"},
    "solids.continue_run": {"state"},
    "solids.expected_solid_gains": {"mu"},
    "solids.follow_switching": {"model", "x", "loading"},
    "solids.follow_with_and_without": {"model", "loading"},
    "solids.local_solids": {"mu", "inputs"},
    "solids.step_errors": {"truth"},
}
# an example takes long: all kinds are tried with the slow tests, the strangers always
LONG = {
    "campaign.collect", "campaign.read", "certified.scm", "local.fit_classifier",
    "local.expected_gain", "local.local_bases", "gp.trajectory_gp", "gp.coefficient_gp",
    "gp.variational_gp", "gp.vecchia_gp", "gp.kronecker_gp", "compress.merge_blocks",
    "compress.blocks_of_labels", "compress.extend_svd", "shapes.optimal_mappings", "io.to_grid",
    "certified.inf_sup", "certified.reduced_basis", "io.write_vtkhdf", "io.write_mesh",
    "io.write_plaid", "solids.reduced_march", "solids.train_solid", "solids.follow",
    *(name for name in ROWS if name.startswith("plot.")),
}  # fmt: skip
