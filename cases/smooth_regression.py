"""Regressions of smooth outputs: a blade's coefficients, a borehole, five parameters, many runs.

blade : the leading 12 coefficients of the cooled blade (`cases.cooled_blade`) over its six
    parameters, 48 runs, and what scikit-learn 1.9 left on the same runs (RBF with a length per
    parameter and a white kernel, two starts more, a process per coefficient)
borehole : flow through a borehole over eight parameters (Morris et al., 1993), 80 runs
five : twelve waves of random directions over five parameters, 200, 400 and 800 runs
many : twelve waves over four parameters, 10,000 and 20,000 runs, beside the exact process of 2,000
    of them; 16 m^2 bytes of memory

Errors are of all outputs together, over their deviation from the mean, at fresh points of the box.
Beside ours stand the mean of the runs, the nearest run, linear interpolation and thin-plate
splines, as far as they serve.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial

import numpy as np

from cases.cooled_blade import problem
from cases.gp_coverage import function
from rom.cli.launch import run
from rom.compress import pod
from rom.design.designs import latin_hypercube
from rom.errors import BadInput
from rom.gp import field_gp
from rom.gp.regressors import open_regressor
from rom.parameters import Box
from rom.snapshots import Snapshots
from rom.space import euclidean

KINDS = ("blade", "borehole", "five", "many")
TRIVIAL = ("mean", "nearest", "linear", "rbf")
NORMAL_QUANTILE = 1.959964
FRESH = 1000
BLADE_NODES, BLADE_RUNS, BLADE_RANK = 1500, 48, 12
BLADE_SKLEARN = 0.0068
BOREHOLE_RUNS, FIVE_RUNS, FEW = 80, (200, 400, 800), 2000
# radius of the borehole [m], of influence [m], transmissivities [m2/yr] and heads [m] of the upper
# and the lower aquifer, length [m], conductivity [m/yr]
BOREHOLE = np.array(
    [
        (0.05, 0.15), (100.0, 50_000.0), (63_070.0, 115_600.0), (990.0, 1110.0), (63.1, 116.0),
        (700.0, 820.0), (1120.0, 1680.0), (9855.0, 12_045.0),
    ]
)  # fmt: skip
Solve = Callable[[np.ndarray], np.ndarray]  # x (m, p) in the unit box -> y (m, r)


def unit_box(p: int) -> Box:
    """[0, 1]^p."""
    return Box(tuple(f"x{j}" for j in range(p)), np.zeros(p), np.ones(p))


def borehole(x: np.ndarray) -> np.ndarray:
    """Flow [m3/yr] at points x (m, 8) of the unit box, (m, 1)."""
    low, high = BOREHOLE.T
    r_w, r, T_u, H_u, T_l, H_l, length, K_w = (low + x * (high - low)).T
    log = np.log(r / r_w)
    leak = 1.0 + 2.0 * length * T_u / (log * r_w**2 * K_w) + T_u / T_l
    return np.asarray(2.0 * np.pi * T_u * (H_u - H_l) / (log * leak))[:, None]


def waves(p: int, seed: int) -> Solve:
    """A sum of twelve waves over [0, 1]^p."""
    f = function("smooth", p, np.random.default_rng([seed, p]))
    return lambda x: f(x)[:, None]


def relative_error(values: np.ndarray, true: np.ndarray) -> float:
    """|values - true| / |true - its mean|, of all outputs (q, r)."""
    return float(np.linalg.norm(values - true) / np.linalg.norm(true - true.mean(axis=0)))


def compare(x: np.ndarray, y: np.ndarray, z: np.ndarray, true: np.ndarray) -> dict[str, float]:
    """Error, coverage and CPU s of the default regression of a field of one node, and the rest."""
    p = x.shape[1]
    snapshots = Snapshots(euclidean(1), x, y.T)
    begin = time.process_time()
    model = field_gp(snapshots, pod(snapshots, rank=1)[0], unit_box(p))
    mean, std = (part.T for part in model.field(z))
    numbers = {
        "error": relative_error(mean, true),
        "coverage": float(np.mean(np.abs(mean - true) <= NORMAL_QUANTILE * std)),
        "cpu_seconds": time.process_time() - begin,
    }
    return numbers | score_trivial(x, y, z, true)


def score_trivial(
    x: np.ndarray, y: np.ndarray, z: np.ndarray, true: np.ndarray
) -> dict[str, float]:
    """Errors of what knows no process; linear interpolation in up to four parameters."""
    errors = {}
    for name in TRIVIAL:
        regressor = open_regressor(name)
        if regressor.interpolate is not None and regressor.serves(*x.shape):
            errors[name] = relative_error(regressor.interpolate(x, y, z), true)
    return errors


def mean_rows(rows: list[dict[str, float]]) -> dict[str, float]:
    """Means of the numbers of several draws."""
    return {key: float(np.mean([row[key] for row in rows])) for key in rows[0]}


def run_blade(draws: int, seed: int) -> dict[str, float]:
    """Means over the draws; the coefficients are of the runs of each."""
    blade = problem(BLADE_NODES)
    assert blade.box is not None and blade.space is not None
    solve = lambda x: np.column_stack([blade.solve(mu) for mu in blade.box.from_unit(x)])  # noqa: E731
    z = np.random.default_rng([seed, draws]).random((FRESH // 5, blade.box.p))
    fresh, rows = solve(z), []
    for k in range(draws):
        x = latin_hypercube(unit_box(blade.box.p), BLADE_RUNS, rng=seed + k)
        snapshots = Snapshots(blade.space, x, solve(x))
        basis, _ = pod(snapshots, rank=BLADE_RANK)
        model = field_gp(snapshots, basis, unit_box(blade.box.p))
        true, a = basis.coefficients(fresh).T, basis.coefficients(np.asarray(snapshots.u)).T
        mean = model.gp.posterior(z, std=False)[0]
        values, std = model.field(z)
        rows.append(
            {
                "error": relative_error(mean, true),
                "coverage": float(np.mean(np.abs(values - fresh) <= NORMAL_QUANTILE * std)),
                **score_trivial(x, a, z, true),
            }
        )
    return mean_rows(rows) | {"scikit_learn_recorded": BLADE_SKLEARN}


def run_outputs(solve: Solve, p: int, m: int, draws: int, seed: int) -> dict[str, float]:
    """Means over designs of m runs over p parameters."""
    z = np.random.default_rng([seed, m]).random((FRESH, p))
    rows = []
    for k in range(draws):
        x = latin_hypercube(unit_box(p), m, rng=seed + k)
        rows.append(compare(x, solve(x), z, solve(z)))
    return mean_rows(rows)


def run_many(m: int, seed: int) -> dict[str, float]:
    """The exact process of m runs over four parameters, and of 2,000 of them."""
    solve, rng = waves(4, seed), np.random.default_rng([seed, m])
    x, z = rng.random((m, 4)), rng.random((FRESH, 4))
    snapshots = Snapshots(euclidean(1), x, solve(x).T)
    some = replace(snapshots, mu=x[:FEW], u=snapshots.u[:, :FEW])
    true = solve(z)
    begin = time.process_time()
    model = field_gp(snapshots, pod(snapshots, rank=1)[0], unit_box(4), regressor="gp")
    seconds = time.process_time() - begin
    mean, std = (part.T for part in model.field(z))
    few = field_gp(some, pod(some, rank=1)[0], unit_box(4), regressor="gp", calibrate=False)
    error = relative_error(mean, true)
    of_few = relative_error(few.field(z)[0].T, true)
    numbers = {
        "error": error,
        f"error_{FEW}": of_few,
        f"error_over_{FEW}": error / of_few,
        "coverage": float(np.mean(np.abs(mean - true) <= NORMAL_QUANTILE * std)),
        "fit_cpu_seconds": seconds,
    }
    for name in ("mean", "nearest"):
        interpolate = open_regressor(name).interpolate
        assert interpolate is not None
        numbers[name] = relative_error(interpolate(x, solve(x), z), true)
    return numbers


def main(
    kinds: str = "blade,borehole", draws: int = 8, many: str = "10000", seed: int = 0
) -> dict[str, float]:
    """The kinds named: blade, borehole, five, many.

    draws : designs of each, but of many runs; many : numbers of runs of the kind "many"
    """
    numbers: dict[str, float] = {}
    names = kinds.split(",")
    if not set(names) <= set(KINDS):
        raise BadInput(f"no kinds {kinds!r}; choose of {', '.join(KINDS)}")
    for kind in names:
        rows: dict[str, dict[str, float]] = {}
        if kind == "blade":
            rows[kind] = run_blade(draws, seed)
        elif kind == "borehole":
            rows[kind] = run_outputs(borehole, 8, BOREHOLE_RUNS, draws, seed)
        elif kind == "five":
            of_runs = partial(run_outputs, waves(5, seed), 5, draws=draws, seed=seed)
            rows = {f"{kind}_{m}": of_runs(m) for m in FIVE_RUNS}
        else:
            rows = {f"{kind}_{m}": run_many(int(m), seed) for m in many.split(",")}
        for name, row in rows.items():
            numbers |= {f"{name}_{key}": value for key, value in row.items()}
    return numbers


if __name__ == "__main__":
    run(main)
