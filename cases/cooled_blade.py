"""A cooled turbine blade: temperature and thermoelastic displacement, with bounds.

Gas heats the profile and the platform, coolant runs through the channels, the blade spins and
stands on its fixed root:

    -div(k grad T) = 0,  k dT/dn = h_gas (T_gas p(r) - T) on "gas",
                         k dT/dn = h_cool (T_cool - T) on "channels",
    -div sigma(u, T) = rho omega^2 r,  u = 0 on "fixed".

State (T, u) and operator are affine in six parameters; the bound is rigorous for the discrete
problem, in the energy norm of the state.
"""

from __future__ import annotations

import resource
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from rom.campaign import collect, read, talk
from rom.certified import GalerkinModel, galerkin_model, truncate_model
from rom.cli.launch import run
from rom.cli.ship import ship_model
from rom.compress.decomposition import pod
from rom.design.designs import sobol
from rom.errors import SolveFailed
from rom.mesh import Mesh
from rom.parameters import Box
from rom.problem import Problem
from rom.study.comparison import study
from rom.study.discrepancy import Study
from solvers.blade_mesh import Blade, blade_mesh
from solvers.heat import Film, heat
from solvers.thermoelastic import Material, stress, thermoelastic, von_mises

# a cast nickel alloy at about 1100 K
ALLOY = Material(E=150e9, nu=0.3, alpha=14e-6, rho=8200.0)
# free of stress at the temperature of the disc that holds the root, whose own expansion is not part
# of u [K]
T_REF = 750.0
BOX = Box(
    ("T_gas", "T_cool", "h_gas", "h_cool", "k", "omega"),
    np.array([1200.0, 600.0, 1000.0, 1000.0, 18.0, 500.0]),
    np.array([1700.0, 900.0, 3000.0, 3000.0, 28.0, 1000.0]),
    ("K", "K", "W/m2/K", "W/m2/K", "W/m/K", "rad/s"),
    ("linear", "linear", "log", "log", "linear", "linear"),
)


@dataclass(frozen=True, eq=False)
class Outputs:
    """(T, u) -> the highest T, the highest von Mises stress, the largest tip |u|.

    The stress is that of the blade's nodes above the platform.
    """

    mesh: Mesh
    blade: np.ndarray
    tip: np.ndarray

    def __call__(self, state: np.ndarray, mu: np.ndarray) -> dict[str, float]:
        n = len(self.mesh.points)
        u = state[n:].reshape(n, 3)
        return {
            "hottest metal [K]": float(state[:n].max()),
            "peak von Mises [Pa]": float(self.mises(state)[self.blade].max()),
            "tip displacement [m]": float(np.linalg.norm(u[self.tip], axis=1).max()),
        }

    def mises(self, state: np.ndarray) -> np.ndarray:
        """von Mises stress (n,) [Pa]."""
        n = len(self.mesh.points)
        return von_mises(stress(self.mesh, ALLOY, state[n:], state[:n] - T_REF))


def gas_profile(x: np.ndarray, blade: Blade) -> np.ndarray:
    """Gas temperature over its peak along the span.

    1 at 60 % of it, 0.85 on the platform, 0.94 at the tip.
    """
    s = np.clip((x[..., 2] - blade.hub_radius) / blade.span, 0.0, 1.0)
    return 1.0 - 0.15 * ((s - 0.6) / 0.6) ** 2


def problem(size: int = 12_000, cells: str = "tetra") -> Problem:
    """About `size` nodes, four unknowns each.

    cells : "tetra", "wedge" or "hexahedron"
    """
    shape = Blade()
    mesh = blade_mesh(size, shape, cells)
    films = {
        "gas": Film("h_gas", "T_gas", profile=partial(gas_profile, blade=shape)),
        "channels": Film("h_cool", "T_cool"),
    }
    height = mesh.points[:, 2] - shape.hub_radius
    blade, tip = np.flatnonzero(height > 1e-9), np.flatnonzero(height > shape.span * (1 - 1e-9))
    thermal = heat(mesh, BOX, "k", films)
    both = thermoelastic(
        thermal, ALLOY, "fixed", speed="omega", T_ref=T_REF, outputs=Outputs(mesh, blade, tip)
    )
    return replace(both, version="cooled blade 1")


def main(
    size: int = 12_000,
    train: int = 64,
    tol: float = 1e-7,
    test: int = 20,
    seed: int = 2024,
    cells: str = "tetra",
    out: str | None = None,
    comm: Any = None,
) -> dict[str, float]:
    """Campaign over the ranks, POD, certified Galerkin model.

    Then `test` unseen random parameters against high fidelity.
    """
    blade = problem(size, cells)
    assert blade.box is not None
    with _folder(out, comm) as folder:
        campaign = collect(
            blade.solve,
            sobol(blade.box, train),
            folder / "snapshots",
            comm=comm,
            box=blade.box,
            space=blade.space,
            mesh=blade.mesh,
            version=blade.version,
        )
        if campaign.failed:
            raise SolveFailed(
                f"{len(campaign.failed)} of {train} solves failed, the first: {campaign.failed[0]}"
            )
        if comm is not None and comm.Get_rank():
            talk(comm, _memory())  # what follows is serial and rank 0's
            return {}
        snapshots = read(folder / "snapshots", blade.space)
        basis, s = pod(snapshots, tol=tol)
        model = galerkin_model(blade, basis)
        unseen = blade.box.from_unit(np.random.default_rng(seed).random((test, blade.box.p)))
        table = study(model, blade.solve, unseen)
        rows = [_compare(blade, model, mu) for mu in unseen]
        numbers = _numbers(blade, model, table, rows, campaign, comm)
        if out is not None:
            ship_model(folder, model, "cases.cooled_blade", mesh=blade.mesh)
            _tables(folder, blade, table, rows)
            _pictures(folder, blade, model, s, table)
    return numbers


def _compare(blade: Problem, model: GalerkinModel, mu: np.ndarray) -> dict[str, float]:
    """Errors of the fields and of the outputs against high fidelity.

    Each field's is relative in its own energy norm.
    """
    space, n = blade.space, len(blade.mesh.points)  # type: ignore[union-attr]
    answer, u = model.predict(mu), blade.solve(mu)
    v = model.basis.lift(answer.coefficients)
    row: dict[str, float] = {}
    for name, part in (("temperature", np.s_[:n]), ("displacement", np.s_[n:])):
        e, w = np.zeros_like(u), np.zeros_like(u)
        e[part], w[part] = (u - v)[part], u[part]
        error, norm = space.norm(e), space.norm(w)  # type: ignore[union-attr]
        row |= {f"{name}_rel_error": error / norm, f"{name}_rel_bound": answer.bound / norm}
    full, reduced = blade.outputs(u, mu), blade.outputs(v, mu)  # type: ignore[misc]
    for name in full:
        row |= {name: full[name], f"error of {name}": abs(full[name] - reduced[name])}
    return row


def _numbers(
    blade: Problem,
    model: GalerkinModel,
    table: Study,
    rows: list[dict[str, float]],
    campaign: Any,
    comm: Any,
) -> dict[str, float]:
    worst = {name: max(row[name] for row in rows) for name in rows[0]}
    return {
        "dofs": blade.space.size,  # type: ignore[union-attr]
        "ranks": 1 if comm is None else comm.Get_size(),
        "solved": campaign.solved,
        "skipped": campaign.skipped,
        "r": model.basis.r,
        **{
            key: value
            for key, value in table.summary().items()
            if key not in ("max_error", "mean_rel_error", "max_bound")
        },
        **{key: value for key, value in worst.items() if "_rel_" in key},
        "max_temperature_error_K": worst["error of hottest metal [K]"],
        "max_von_mises_error_Pa": worst["error of peak von Mises [Pa]"],
        "max_tip_error_m": worst["error of tip displacement [m]"],
        "hottest_K": worst["hottest metal [K]"],
        "peak_von_mises_Pa": worst["peak von Mises [Pa]"],
        "tip_m": worst["tip displacement [m]"],
        "campaign_s": campaign.seconds,
        "peak_rss_mb": max(talk(comm, _memory())),
    }


def _memory() -> float:
    """Largest memory that this process has had [MB]."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


@contextmanager
def _folder(out: str | None, comm: Any) -> Iterator[Path]:
    """`out`, or a folder that rank 0 makes for all and that goes when all are done."""
    if out is not None:
        Path(out).mkdir(parents=True, exist_ok=True)
        yield Path(out)
        return
    first = comm is None or comm.Get_rank() == 0
    temporary = tempfile.TemporaryDirectory() if first else None
    yield Path(next(name for name in talk(comm, temporary.name if temporary else "") if name))
    talk(comm, 0)
    if temporary:
        temporary.cleanup()


def _tables(folder: Path, blade: Problem, table: Study, rows: list[dict[str, float]]) -> None:
    """unseen.csv: parameters, errors, bounds and outputs, one row per parameter."""
    assert blade.box is not None
    names = [
        f"{name} [{unit}]" for name, unit in zip(blade.box.names, blade.box.units, strict=True)
    ]
    heading = [*names, "rel_error", "rel_bound", "effectivity", *rows[0]]
    assert table.bound is not None and table.effectivity is not None
    numbers = [table.relative, table.bound / table.norm, table.effectivity]
    data = np.column_stack([table.mu, *numbers, [list(row.values()) for row in rows]])
    np.savetxt(
        folder / "unseen.csv",
        data,
        delimiter=",",
        header=",".join(heading),
        comments="",
        fmt="%.8g",
    )


def _pictures(
    folder: Path, blade: Problem, model: GalerkinModel, s: np.ndarray, table: Study
) -> None:
    """Fields, errors and modes at the unseen parameter with the largest error.

    And curves of the reduction.
    """
    from rom.io.writers.vtkhdf import write_vtkhdf
    from rom.plot.curves import decay_plot, effectivity_plot, error_plot
    from rom.plot.pictures import picture

    mesh, outputs, effectivity = blade.mesh, blade.outputs, table.effectivity
    assert mesh is not None and isinstance(outputs, Outputs) and effectivity is not None
    n, mu = len(mesh.points), table.mu[int(np.argmax(table.relative))]
    full, reduced = blade.solve(mu), model.basis.lift(model.predict(mu).coefficients)
    vectors = {
        name: state[n:].reshape(n, 3) for name, state in (("full", full), ("reduced", reduced))
    }
    mises = {"full": outputs.mises(full), "reduced": outputs.mises(reduced)}
    fields = {
        "temperature": (reduced[:n], "K"),
        "displacement": (vectors["reduced"], "m"),
        "von Mises": (mises["reduced"], "Pa"),
    }
    misses = {
        "temperature error": (np.abs(full - reduced)[:n], "K"),
        "displacement error": (vectors["full"] - vectors["reduced"], "m"),
        "von Mises error": (np.abs(mises["full"] - mises["reduced"]), "Pa"),
    }
    write_vtkhdf(folder / "worst.vtkhdf", mesh, fields | misses)
    view, scale = (0.3, 1.0, 0.75), float(f"{0.006 / np.abs(vectors['reduced']).max():.0e}")
    picture(
        folder / "temperature.png",
        mesh,
        {"temperature": fields["temperature"]},
        view=view,
        cmap="inferno",
    )
    aloft = np.percentile(mises["reduced"][outputs.blade], 99.9)
    stresses = {f"von Mises stress, displacement x {scale:.0f}": (mises["reduced"] / 1e6, "MPa")}
    shift = vectors["reduced"]
    picture(
        folder / "von_mises.png",
        mesh,
        stresses,
        warp=shift,
        scale=scale,
        view=view,
        limits=(0.0, float(aloft / 1e6)),
    )
    picture(folder / "errors.png", mesh, misses, view=view)
    modes = {
        f"mode {k + 1}, temperature part": (model.basis.modes[:n, k], "-")
        for k in range(min(3, model.basis.r))
    }
    picture(folder / "modes.png", mesh, modes, view=view)
    decay_plot(
        folder / "singular_values.png",
        s,
        r=model.basis.r,
        title="Singular values of the training set",
    )
    effectivity_plot(
        folder / "effectivities.png",
        effectivity,
        title="Effectivity over unseen parameters",
    )
    error_plot(
        folder / "errors_over_r.png",
        *_convergence(blade, model, table),
        title="Unseen parameters, energy norm",
    )


def _convergence(
    blade: Problem, model: GalerkinModel, table: Study
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Largest relative error and bound for the first r modes.

    The residual of fewer modes has zero coefficients for the others.
    """
    basis, ranks = model.basis, np.arange(1, model.basis.r + 1)
    U = np.column_stack([blade.solve(mu) for mu in table.mu])
    worst = []
    for r in ranks:
        a = np.zeros((basis.r, len(table.mu)))
        a[:r] = truncate_model(model, int(r)).predict(table.mu).coefficients
        bound = model.bound(table.mu, a.T)  # type: ignore[misc]
        worst.append(
            [(basis.space.norm(U - basis.lift(a)) / table.norm).max(), (bound / table.norm).max()]
        )
    return ranks, *np.array(worst).T


if __name__ == "__main__":
    run(
        main,
        units={
            "full_s": "s",
            "online_ms": "ms",
            "batch_us": "us",
            "campaign_s": "s",
            "peak_rss_mb": "MB",
            "hottest_K": "K",
            "max_temperature_error_K": "K",
            "max_von_mises_error_Pa": "Pa",
            "max_tip_error_m": "m",
            "peak_von_mises_Pa": "Pa",
            "tip_m": "m",
        },
    )
