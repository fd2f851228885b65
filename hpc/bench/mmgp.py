"""Fields over shapes: ours against a plain MMGP; where 100,000 nodes go.

The plain one: dense radial basis, scikit-learn processes with restarts.
"""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np

from cases.advection_reaction import MORPH, channel
from hpc.bench._rows import seconds, show
from rom.mesh import Mesh
from rom.shapes import Reduction, shape_model
from rom.shapes.curves import match_curves
from rom.shapes.morphing import Sample
from rom.shapes.simplex import lumped_mass, simplices
from rom.shapes.straight import linear
from rom.shapes.transfer import interpolation
from rom.study.metrics import rel_l2

SIDES = MORPH.curves


def sample(a: float, load: float, n: int, seed: int) -> Sample:
    """A channel with a smooth field that knows shape and load."""
    mesh = channel(a, n, seed)
    x, y = mesh.points.T
    return Sample(mesh, np.array([load]), {"u": np.sin(3 * x + load) * np.exp(-y) + a * x * y})


def family(m: int, n: int, seed: int) -> list[Sample]:
    """m channels of about 4 n^2 nodes."""
    draws = np.random.default_rng(seed).uniform([-0.15, 0.0], [0.25, 1.5], (m, 2)).tolist()
    return [sample(a, load, n + k % 3, 100 * seed + k) for k, (a, load) in enumerate(draws)]


class Plain:
    """MMGP as its authors publish it.

    Dense Wendland morphing, POD, one scikit-learn process per coefficient, five restarts.
    """

    def __init__(self, train: list[Sample], reference: Mesh, modes: int, restarts: int = 5) -> None:
        from sklearn.gaussian_process import GaussianProcessRegressor
        from sklearn.gaussian_process.kernels import ConstantKernel, Matern, WhiteKernel

        self.reference, self.root = (
            reference,
            np.sqrt(lumped_mass(reference.points, simplices(reference))),
        )
        pulled, shapes = [], []
        for s in train:
            to = interpolation(
                Mesh(self.morphed(s.mesh), {"triangle": simplices(s.mesh)}), reference.points
            )
            pulled.append(to @ s.fields["u"])
            shapes.append((to @ s.mesh.points).ravel())
        V, X = np.array(pulled), np.array(shapes)
        self.mean, self.middle = V.mean(axis=0), X.mean(axis=0)
        self.modes = (
            np.linalg.svd((V - self.mean) * self.root, full_matrices=False)[2][:modes] / self.root
        )
        self.forms = np.linalg.svd(X - self.middle, full_matrices=False)[2][:2]
        z = np.column_stack([(X - self.middle) @ self.forms.T, [s.mu for s in train]])
        self.centre, self.scale = z.mean(axis=0), z.std(axis=0)
        a = ((V - self.mean) * self.root**2) @ self.modes.T
        kernel = ConstantKernel() * Matern(np.ones(z.shape[1]), nu=2.5) + WhiteKernel(
            1e-6, (1e-10, 1e-1)
        )
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            made = [
                GaussianProcessRegressor(
                    kernel, normalize_y=True, n_restarts_optimizer=restarts, random_state=0
                )
                for _ in a.T
            ]
            self.gps = [
                gp.fit((z - self.centre) / self.scale, column)
                for gp, column in zip(made, a.T, strict=True)
            ]

    def morphed(self, mesh: Mesh) -> np.ndarray:
        """Dense A alpha = d, and the kernel between every node and every control point."""
        x, y = (
            np.vstack(part) for part in zip(*match_curves(mesh, self.reference, SIDES), strict=True)
        )
        x, first = np.unique(x, axis=0, return_index=True)
        radius = 0.5 * np.linalg.norm(np.ptp(mesh.points, axis=0))

        def kernel(p: np.ndarray) -> np.ndarray:
            s = np.linalg.norm(p[:, None] - x, axis=2) / radius
            return np.maximum(1 - s, 0) ** 4 * (4 * s + 1)

        return mesh.points + kernel(mesh.points) @ np.linalg.solve(kernel(x), y[first] - x)

    def predict(self, mesh: Mesh, mu: np.ndarray) -> np.ndarray:
        """The mean field on the nodes of the mesh."""
        place = self.morphed(mesh)
        to = interpolation(Mesh(place, {"triangle": simplices(mesh)}), self.reference.points)
        z = np.concatenate([self.forms @ ((to @ mesh.points).ravel() - self.middle), mu])
        a = np.array([gp.predict(((z - self.centre) / self.scale)[None])[0] for gp in self.gps])
        back = interpolation(
            Mesh(self.reference.points, {"triangle": simplices(self.reference)}), place
        )
        return back @ (self.mean + a @ self.modes)


def main(m: int = 40, n: int = 10, modes: int = 8, nodes: int = 100_000) -> None:
    """Print errors and CPU seconds, and the parts of one prediction on a large mesh."""
    train, test, reference = family(m, n, 0), family(20, n, 1), linear(channel(0.0, n + 4, 0))
    true = [s.fields["u"] for s in test]
    ours_s, ours = seconds(
        lambda: shape_model(train, MORPH, reference, reduction=Reduction(shape=2, fields=modes)), 1
    )
    plain_s, plain = seconds(lambda: Plain(train, reference, modes), 1)
    rows: list[tuple[Any, ...]] = []
    for name, fit, ask in (
        (
            "rom: bands, calibration, score",
            ours_s,
            lambda s: ours.predict(s.mu, mesh=s.mesh).field("u"),
        ),
        ("plain MMGP: mean only", plain_s, lambda s: plain.predict(s.mesh, s.mu)),
    ):
        each, found = seconds(lambda ask=ask: [ask(s) for s in test])
        rows.append((name, fit, 1e3 * each / len(test), rel_l2(found, true)))
    show(
        f"{m} channels of about {4 * n * n} nodes, {modes} modes",
        ("method", "train [CPU s]", "predict [ms]", "relative L2"),
        rows,
    )
    large = sample(0.1, 0.7, int(np.sqrt(nodes / 4)), 9)
    shares = parts(ours, large, reference)
    show(
        f"one prediction on {len(large.mesh.points)} nodes", ("part", "CPU s"), list(shares.items())
    )


def parts(model: Any, s: Sample, reference: Mesh) -> dict[str, float]:
    """CPU seconds of morphing, transfers and the rest of one prediction."""
    straight = linear(s.mesh)
    morph, place = seconds(lambda: MORPH(straight, reference))
    laid, _ = seconds(lambda: model.lay(s.mesh))
    back, _ = seconds(
        lambda: interpolation(Mesh(model.chart, {"triangle": simplices(reference)}), place)
    )
    whole, answer = seconds(lambda: model.predict(s.mu, mesh=s.mesh))
    error = rel_l2([answer.field("u")], [s.fields["u"]])
    return {
        "morphing": morph,
        "laying over, morphing included": laid,
        "one interpolation back": back,
        "whole prediction with bands": whole,
        "relative L2 (not a time)": error,
    }


if __name__ == "__main__":
    main()
