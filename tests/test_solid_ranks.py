"""Solids on one to four ranks.

Full and reduced answers, modes and cubature as the theory lets them agree with serial ones.

Equal: the numbers of unknowns and of points of integration. To round-off: sums over points and
nodes of the same fields, such as loads. To the tolerance of what is iterated: solutions of GMRES,
to 1e-6 at a residual of 1e-9, for the subdomains of its preconditioner differ; high-fidelity u, p
and stress, to 1e-7 at Newton's 1e-11; singular values, to 1e-5. To the tolerance of the cubature:
online answers and enriched ones, for every rank chooses its own points before the rules are merged.
"""

from importlib.util import find_spec

import numpy as np
import pytest
from parallel import on_ranks, written

from cases.viscoplastic_cube import HOT, hot_spot, two_cycles
from rom.points.cubature import exactness, unit
from rom.solids.model import Tolerances
from rom.solids.norms import componentwise
from rom.solids.runs import Watch, follow
from rom.solids.training import train_solid
from solvers import schwarz
from solvers.bricks import box
from solvers.partition import partition
from solvers.solid import body, march, push
from solvers.thermoelastic import fixed_dofs

TOL = 1e-4


def linear(comm) -> dict:
    """Iterations of the distributed solver with small subdomains, its solution at the last dofs,
    and its true residual.
    """
    whole = box((4, 4, 12), (1.0, 1.0, 3.0))
    mesh, numbers = partition(whole, comm)
    low = np.flatnonzero(np.isin(numbers, np.unique(fixed_dofs(whole, "z0") // 3)))
    b = body(mesh, {None: HOT}, (low[:, None] * 3 + np.arange(3)).ravel(), comm, numbers)
    K = b.evaluate(np.zeros(b.n), np.full(len(b.weights), 600.0), b.rest(), 0.1)[1]
    free = np.ones(b.n)
    free[b.fixed] = 0.0
    r = free * b.space.whole(push(b.mesh, "x1"))
    found = {}
    for size in (200, 10_000):
        schwarz.SUBDOMAIN = size
        x, count = schwarz.gmres(
            b.space,
            lambda v: free * b.space.whole(K @ v),
            schwarz.schwarz(b.space, K, mesh.points, b.fixed),
            r,
            1e-9,
        )
        left = b.space.assemble(K @ x) - b.space.gather(r)
        left[np.flatnonzero(b.space.gather(1 - free))] = 0.0
        found[f"residual_{size}"] = float(np.linalg.norm(left) / np.linalg.norm(b.space.gather(r)))
        found[f"count_{size}"] = count
        found[f"tip_{size}"] = b.space.take(x, np.arange(b.space.size - 3, b.space.size)).tolist()
    if find_spec("petsc4py"):
        from solvers.petsc import gamg

        M = gamg(b.space, K, mesh.points, b.fixed)
        x, found["count_gamg"] = schwarz.gmres(
            b.space, lambda v: free * b.space.whole(K @ v), M, r, 1e-9
        )
        found["tip_gamg"] = b.space.take(x, np.arange(b.space.size - 3, b.space.size)).tolist()
    return found


def answers(comm) -> dict:
    """Everything that is compared, from a cube cut among the ranks."""
    whole = box((3, 3, 3))
    mesh, numbers = partition(whole, comm)
    low = np.flatnonzero(np.isin(numbers, np.unique(fixed_dofs(whole, "z0") // 3)))
    b = body(mesh, {None: HOT}, (low[:, None] * 3 + np.arange(3)).ravel(), comm, numbers)
    loadings = [two_cycles(b, field[numbers]) for field in fields(whole)]
    histories = [march(b, loading, loading.t[:11], tol=1e-11) for loading in loadings]
    made = train_solid(b, histories[:2], Tolerances(TOL, TOL, TOL, TOL))
    short = [
        type(x)(x.t[:11], x.forces, x.amplitudes[:11], x.temperatures, x.mixture[:11])
        for x in loadings
    ]
    course = follow(made, b, short[0]).states
    rich = follow(made, b, short[2], watch=Watch(), full_steps=(0,), max_full_steps=1).states
    h = histories[0]
    stress = np.concatenate([unit(b.points, x.stress) for x in histories[:2]], axis=2)
    return {
        "linear": linear(comm),
        "dofs": b.space.size,
        "points": int(b.space.sum(np.array([float(b.points.n)]))[0]),
        "u": b.space.norm(h.u).tolist(),
        "p": b.points.norm(h.p).tolist(),
        "stress": componentwise(b.points).norm(h.stress.reshape(6 * b.points.n, -1)).tolist(),
        "corner": b.space.take(h.u, np.arange(b.space.size - 3, b.space.size)).ravel().tolist(),
        "load": b.space.assemble(loadings[0].forces).sum(axis=0).tolist(),
        "s": made.basis.s[: made.basis.r].tolist(),
        "rule": made.rule.error,
        "exact": exactness(b.points, made.strain, stress, made.rule),
        "online_u": [b.space.norm(c.u()) for c in course],
        "online_p": [b.points.norm(c.p()) for c in course],
        "online_error": max(
            b.space.norm(c.u() - h.u[:, k]) / b.space.norm(h.u).max() for k, c in enumerate(course)
        ),
        "enriched_u": [b.space.norm(c.u()) for c in rich],
    }


def fields(whole):
    class Nodes:
        mesh = whole

    return [hot_spot(Nodes, np.random.default_rng([5, k])) for k in range(3)]


@pytest.fixture(scope="module")
def serial():
    return answers(None)


@pytest.mark.parametrize("ranks", [2, 3, 4])
def test_ranks_agree_with_serial(ranks, serial, tmp_path):
    found = on_ranks(__file__, ranks, tmp_path / "answers.json")
    assert serial["linear"]["count_10000"] == 1  # one subdomain on one rank is a direct solve
    for ours in (serial["linear"], found["linear"]):
        assert max(ours["residual_200"], ours["residual_10000"]) < 2e-9 and ours["count_200"] < 60
        for name in ("tip_200", "tip_10000", *(["tip_gamg"] if find_spec("petsc4py") else [])):
            assert np.allclose(ours[name], serial["linear"]["tip_10000"], rtol=1e-6), name
        assert ours.get("count_gamg", 0) < 60
    assert (found["dofs"], found["points"]) == (serial["dofs"], serial["points"])
    assert np.allclose(
        found["load"], serial["load"], rtol=1e-12, atol=1e-12 * np.abs(serial["load"]).max()
    )
    for name in ("u", "p", "stress", "corner"):
        assert np.allclose(
            found[name], serial[name], rtol=1e-7, atol=1e-9 * np.abs(serial[name]).max()
        ), name
    assert np.allclose(found["s"], serial["s"], rtol=1e-5)
    assert found["rule"] <= TOL and max(found["exact"]["volume"], serial["exact"]["volume"]) < TOL
    assert max(found["online_error"], serial["online_error"]) < 50 * TOL
    for name, scale in (("online_u", 50), ("online_p", 200), ("enriched_u", 500)):
        assert np.abs(np.subtract(found[name], serial[name])).max() < scale * TOL * np.max(
            serial[name]
        ), name


if __name__ == "__main__":
    written(answers)
