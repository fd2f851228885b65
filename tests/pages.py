"""Models for pages, and what their pages answer, for the tests with and without a browser."""

import json
from functools import cache
from pathlib import Path

import numpy as np

import rom
from cases.thermal_block import problem
from rom.certified import galerkin_model
from rom.gp import Product, Selected, Spectral, Stationary, Sum, field_gp
from rom.mesh import Mesh
from rom.snapshots import Snapshots
from rom.space import euclidean

BOX = rom.Box(
    ("k", "q"), np.array([0.1, -1.0]), np.array([10.0, 1.0]), ("W/m", "W"), ("log", "linear")
)


def certified():
    block = problem(cells=6)
    mu = rom.sobol(block.box, 6)
    u = np.stack([block.solve(point) for point in mu], axis=1)
    return galerkin_model(block, rom.pod(Snapshots(block.space, mu, u), rank=3)[0]), block.mesh


def kernels():
    one, other = Stationary("matern32", np.array([0.7])), Stationary("rbf", np.array([0.9, 1.3]))
    waves = Spectral(np.array([0.4, 0.6]), np.full((2, 2), 0.3), np.array([[2.0, 1.5], [1, 3]]))
    product = Product((Selected(one, (1,)), Selected(Stationary("matern12", np.ones(1)), (0,))))
    return {
        "auto": "auto", "matern52": "matern52", "rbf": "rbf", "spectral": waves, "product": product,
        "sum": Sum((other, product), np.array([0.7, 0.3])),
    }  # fmt: skip


@cache
def process(name, mean="linear"):
    """Two noisy fields, one of vectors with its unknowns at some nodes, on four triangles."""
    points = np.array([[0.0, 0], [1, 0], [1, 1], [0, 1], [0.5, 0.5]])
    mesh = Mesh(points, {"triangle": np.array([[0, 1, 4], [1, 2, 4], [2, 3, 4], [3, 0, 4]])})
    mu = rom.sobol(BOX, 16)
    x = np.linspace(0, 1, 5)[:, None]
    heat = np.cos(x * np.log(mu[:, 0])) + mu[:, 1]
    flow = 1e-3 * np.sin(np.arange(1.0, 9)[:, None] + mu[:, 1] * np.log(mu[:, 0]))
    noise = 0.02 * np.random.default_rng(0).standard_normal((13, 16))
    fields = (
        rom.Field("T", "K", np.arange(5)),
        rom.Field("v", "m/s", np.arange(5, 13), 2, np.array([1, 2, 3, 4]), elsewhere=0.0),
    )
    snapshots = Snapshots(euclidean(13, fields=fields), mu, np.vstack([heat, flow]) + noise)
    basis = rom.pod(snapshots, rank=4)[0]
    return field_gp(snapshots, basis, BOX, regressor="gp", kernel=kernels()[name], mean=mean), mesh


def tell(path: Path, mus) -> str:
    """A script that writes what the page of `path` answers at mus into its body."""
    return (
        f"const mus = {json.dumps(np.asarray(mus).tolist())};"
        "const told = mus.map((at) => { const one = answerAt(page, at);"
        "return { a: [...one.a], std: one.std && [...one.std], bound: one.bound }; });"
    )


def sizes_of_sums(model):
    """Sums of the absolute weights of a process, of which a mean loses eps."""
    gp = getattr(model, "gp", None)
    processes = () if gp is None else getattr(gp, "processes", (gp,))
    return max((np.abs(each.solution.weights).sum(axis=0).max() for each in processes), default=0)


def check_answers(model, mus, told):
    """Coefficients to 1e-12 beside round-off, bounds to 1e-10, deviations in their variances."""
    answer = model.predict(np.asarray(mus))
    a = np.array([one["a"] for one in told]).T
    room = 1e-12 * np.abs(a).max() + 4 * np.finfo(float).eps * sizes_of_sums(model)
    np.testing.assert_allclose(a, answer.coefficients, rtol=0, atol=room)
    if answer.bound is not None:
        np.testing.assert_allclose([one["bound"] for one in told], answer.bound, rtol=1e-10)
    else:
        spread = model.gp.posterior(np.asarray(mus), noise=True)[1]
        own = np.array([one["std"] for one in told])
        scale = spread.max(axis=0) ** 2
        np.testing.assert_allclose(own**2 / scale, spread**2 / scale, rtol=1e-7, atol=1e-9)
