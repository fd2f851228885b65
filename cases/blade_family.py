"""Cooled turbine airfoils that all differ: three fields by MMGP in 3-D.

    -div(k grad T) = 0,  k dT/dn = h_gas (T_gas p(r) - T) on "gas",
                         k dT/dn = h_cool (T_cool - T) on "channels",
    -div sigma(u, T) = rho omega^2 r,  sigma n = -(E / L) u on "base":
                         the root below, of length L, is an elastic bed.

In 3-D, every tetrahedral mesh its own. Span, twist, turning, thickness and taper vary, and the
scalars T_gas and omega. Meshes are laid over each other by radial functions from the outlines and
channels at the quarters of the span. Beside it the same pipeline where each blade is only put in
the place of the other.
"""

from __future__ import annotations

import time
from dataclasses import replace
from functools import partial

import numpy as np
import scipy.sparse as sp

from cases.cooled_blade import ALLOY, T_REF, gas_profile
from rom.cli.launch import run
from rom.cli.ship import ship_model
from rom.design.designs import sobol
from rom.mesh import Mesh
from rom.parameters import Box
from rom.plot.shapes import shape_pictures
from rom.shapes import Radial, Reduction, Sample, ShapeModel, shape_model
from rom.shapes.answers import DETERMINANT, SCORE
from rom.shapes.overlays import Morph
from rom.study.metrics import field_coverage, q2, rel_l2, rrmse
from solvers.airfoil_mesh import airfoil_mesh, curve_names
from solvers.blade_mesh import Blade
from solvers.elements import mass
from solvers.heat import Film, heat
from solvers.linear import rigid_modes, solver
from solvers.thermoelastic import centrifugal, coupling, elasticity, stress, von_mises

MORPH = Radial(curves=curve_names(), radius=0.7)
SHAPE = Box(
    ("span", "twist", "turning", "thickness", "taper"),
    np.array([0.085, -26.0, 66.0, 0.18, 0.72]),
    np.array([0.115, -10.0, 84.0, 0.22, 0.90]),
    ("m", "degree", "degree", "1", "1"),
)
SCALARS = Box(
    ("T_gas", "omega"), np.array([1300.0, 500.0]), np.array([1700.0, 1000.0]), ("K", "rad/s")
)
ROOT = 0.03


def place(mesh: Mesh, reference: Mesh) -> np.ndarray:
    """Where nodes lie when no morphing is done."""
    return mesh.points


def solve(shape: Blade, mesh: Mesh, mu: np.ndarray) -> Sample:
    """T [K], u [mm], von Mises stress [MPa] of one blade.

    mu = (T_gas [K], omega [rad/s])
    """
    n = len(mesh.points)
    films = {
        "gas": Film(2000.0, "T_gas", profile=partial(gas_profile, blade=shape)),
        "channels": Film(2500.0, 750.0),
    }
    T = heat(mesh, SCALARS, 22.0, films).solve(mu)
    bed = ALLOY.E / ROOT * sp.kron(mass(mesh, "base"), sp.eye_array(3))
    force = coupling(mesh, ALLOY) @ (T - T_REF) + mu[1] ** 2 * centrifugal(mesh, ALLOY)
    u = solver(sp.csr_array(elasticity(mesh, ALLOY) + bed), rigid_modes(mesh.points))(force)
    mises = von_mises(stress(mesh, ALLOY, u, T - T_REF)) / 1e6
    u = 1e3 * u.reshape(n, 3)
    tip = mesh.points[:, 2] > shape.hub_radius + 0.999 * shape.span
    outputs = {"T_max": float(T.max()), "tip": float(np.linalg.norm(u[tip], axis=1).max())}
    return Sample(mesh, mu, {"T": T, "u": u, "mises": mises}, outputs)


def samples(m: int, h: float, seed: int) -> list[Sample]:
    """m blades of a scrambled Sobol design.

    Every mesh has its own width, every third more layers.
    """
    blades = []
    low, high = (
        np.append(getattr(SHAPE, end), getattr(SCALARS, end)) for end in ("lower", "upper")
    )
    draws = sobol(Box(SHAPE.names + SCALARS.names, low, high), m, seed)
    for k, row in enumerate(draws):
        shape = Blade(**dict(zip(SHAPE.names, row[:5].tolist(), strict=True)))
        mesh = airfoil_mesh(shape, h * (1 + 0.08 * (k % 4 - 1.5)), 12 if k % 3 == 0 else 8)
        blades.append(solve(shape, mesh, row[5:]))
    return blades


def fit_model(
    train: list[Sample], h: float, modes: int = 16, seed: int = 0, morph: Morph = MORPH
) -> ShapeModel:
    """MMGP on a reference in the middle of the family."""
    middle = Blade(**dict(zip(SHAPE.names, SHAPE.from_unit(np.full(5, 0.5)).tolist(), strict=True)))
    reduction = Reduction(shape=5, fields=modes, tol=1e-5, folds=3)
    return shape_model(
        train,
        morph,
        airfoil_mesh(middle, 0.9 * h, 12),
        names=SCALARS.names,
        units=SCALARS.units,
        reduction=reduction,
        rng=seed,
    )


def strangers(h: float) -> list[Mesh]:
    """Shapes from outside: twisted twice as far, slender and long, bent like a hook."""
    middle = Blade(twist=-18.0, turning=75.0, taper=0.81)
    odd = (
        replace(middle, twist=-55.0),
        replace(middle, span=0.18, taper=0.5),
        replace(middle, turning=115.0),
    )
    return [airfoil_mesh(shape, h) for shape in odd]


def main(
    train: int = 48,
    test: int = 16,
    h: float = 0.005,
    modes: int = 12,
    seed: int = 0,
    out: str | None = None,
) -> dict[str, float]:
    """Blades nobody has seen: fields against the solver, with and without morphing.

    And strangers that must be flagged.
    """
    begin = time.perf_counter()
    training, unseen = samples(train, h, seed), samples(test, h, seed + 1)
    solving = time.perf_counter() - begin
    begin = time.perf_counter()
    model = fit_model(training, h, modes, seed)
    fit = time.perf_counter() - begin
    still = fit_model(training, h, modes, seed, place)
    begin = time.perf_counter()
    answers = [model.predict(s.mu, mesh=s.mesh) for s in unseen]
    seconds = (time.perf_counter() - begin) / test
    plain = [still.predict(s.mu, mesh=s.mesh) for s in unseen]
    numbers: dict[str, float] = {}
    for name in training[0].fields:
        predictions, true = [a.field(name) for a in answers], [s.fields[name] for s in unseen]
        unmorphed = rel_l2([a.field(name) for a in plain], true)
        numbers |= {
            f"rel_l2_{name}": rel_l2(predictions, true),
            f"unmorphed_rel_l2_{name}": unmorphed,
        }
        numbers |= {f"rrmse_{name}": rrmse(predictions, true), f"q2_{name}": q2(predictions, true)}
        numbers[f"coverage_90_{name}"] = field_coverage(
            predictions, true, [s for a in answers if (s := a.std(name)) is not None]
        )
    for name in training[0].outputs:
        pair = np.array(
            [
                [a.outputs[name].value[0], s.outputs[name]]
                for a, s in zip(answers, unseen, strict=True)
            ]
        ).T
        numbers[f"rrmse_{name}"] = float(np.sqrt(np.mean((pair[0] / pair[1] - 1) ** 2)))
    if out is not None:
        shape_pictures(out, model, unseen[0], "mises", "MPa", view=(1.0, -2.0, 0.5))
        ship_model(out, model, "cases.blade_family", sample=unseen[0])
    outside = [
        model.predict(SCALARS.from_unit(np.full(2, 0.5)), mesh=mesh) for mesh in strangers(h)
    ]
    return {
        "n_train": train,
        "nodes_mean": float(np.mean([len(s.mesh.points) for s in training])),
        "least_jacobian": min(a.outputs[DETERMINANT].value[0] for a in answers),
        **numbers,
        "ood_flagged": float(np.mean([a.inside is not None and not a.inside[0] for a in outside])),
        "false_alarms": float(np.mean([a.outputs[SCORE].value[0] > 1 for a in answers])),
        "seconds_solve": solving,
        "seconds_fit": fit,
        "ms_predict": 1e3 * seconds,
    }


if __name__ == "__main__":
    run(main, units={"seconds_solve": "s", "seconds_fit": "s", "ms_predict": "ms"})
