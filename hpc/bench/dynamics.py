"""Laws in time: optimised decomposition and operator inference, ours, PyDMD and opinf.

Two noisy packets (`cases.noisy_modes`): errors of the rates and of the forecast to twice the time,
CPU seconds; PyDMD's BOPDMD alone and with 100 bags. Ten waves (`cases.kdv_few_runs`), 12 modes,
data alone: errors inside and beyond the training, CPU seconds; opinf's quadratic model with the
best of the same fifteen weights by its own rule, the error of the trained trajectories, of
`fit_regselect_continuous`. Errors first; where a law has no answer it counts as 10.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from cases import kdv_few_runs as waves
from cases import noisy_modes as modes
from hpc.bench._rows import seconds, show
from rom.compress import pod
from rom.dynamics import dmd, operator_inference
from rom.dynamics.inference import WEIGHTS
from rom.errors import RomError
from rom.snapshots import Snapshots
from rom.space import euclidean

DRAWS, NOISES, RANK = 5, (0.1, 0.4), 12
Decomposition = tuple[np.ndarray, np.ndarray]  # rates, forecast


def ours(u: np.ndarray) -> Decomposition:
    """Rates and forecast of `rom.dmd`."""
    runs = Snapshots(euclidean(len(u)), np.zeros((u.shape[1], 0)), u, modes.TIMES)
    flow = dmd(runs, pod(runs, rank=4)[0])
    return flow.rates, flow.predict((), t=modes.LATER).field("u")


def of_pydmd(u: np.ndarray, trials: int = 0) -> Decomposition:
    """Those of BOPDMD, with bags where trials are asked for."""
    from pydmd import BOPDMD

    model = BOPDMD(svd_rank=4, num_trials=trials, trial_size=0.6)
    model.fit(u, modes.TIMES)
    forecast = model.forecast(modes.LATER)
    return model.eigs, np.real(forecast[0] if isinstance(forecast, tuple) else forecast)


def decompositions() -> list[tuple[Any, ...]]:
    """A row of each method and noise: errors, means of draws, and CPU seconds."""
    rows, truth = [], modes.packets(modes.LATER)
    methods: dict[str, Callable[[np.ndarray], Decomposition]] = {
        "ours": ours,
        "PyDMD BOPDMD": of_pydmd,
        "PyDMD BOPDMD, 100 bags": partial(of_pydmd, trials=100),
    }
    for method in (ours, of_pydmd):  # what imports take
        method(modes.packets(modes.TIMES))
    for noise in NOISES:
        for name, method in methods.items():
            rng, figures = np.random.default_rng(0), []
            for _ in range(DRAWS):
                u = modes.packets(modes.TIMES)
                u = u + noise * rng.standard_normal(u.shape)
                spent, (rates, forecast) = seconds(partial(method, u), 1)
                miss = max(np.abs(rates - rate).min() for rate in modes.RATES)
                wrong = np.linalg.norm(forecast - truth) / np.linalg.norm(truth)
                figures.append((float(miss), float(wrong), spent))
            rows.append((name, noise, *(float(x) for x in np.mean(figures, axis=0))))
    return rows


def opinf_waves(V: np.ndarray, trained: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """Fields (n, m, n_t) of opinf's law, NaN where it was lost."""
    import opinf

    times = waves.TIMES[waves.TRAINED]
    runs = [V.T @ trained[:, k] for k in range(trained.shape[1])]
    estimator = opinf.ddt.UniformFiniteDifferencer(times, scheme="ord4")
    slopes = [estimator.estimate(a)[1] for a in runs]
    states = runs
    size = float(np.mean([np.sum(a**2) for a in states]))
    rom = opinf.ROM(
        model=opinf.models.ContinuousModel(
            "cAH", solver=opinf.lstsq.L2Solver(regularizer=float(WEIGHTS[0]))
        )
    )
    rom.fit_regselect_continuous(
        list(WEIGHTS * size), train_time_domains=[times] * len(runs), states=states, ddts=slopes
    )
    fields = np.full(truth.shape, np.nan)
    for k in range(truth.shape[1]):
        answer = rom.predict(V.T @ truth[:, k, 0], waves.TIMES, method="RK45")
        fields[:, k, : answer.shape[1]] = V @ answer
    return fields


def inferences() -> list[tuple[Any, ...]]:
    """A row of each law of data alone, and of what needs none."""
    rng = np.random.default_rng(0)
    trained = waves.solve(waves.initial_fields(10, rng), waves.TIMES[waves.TRAINED])
    truth = waves.solve(waves.initial_fields(20, rng))
    data = waves.snapshots_of(trained)
    basis = pod(data, rank=RANK)[0]

    rows: list[tuple[Any, ...]] = []
    kept = np.repeat(truth[:, :, :1], truth.shape[2], axis=2)
    rows.append(("persistence", *_errors(kept, truth), 0.0))
    for name, dissipative in (("ours", False), ("ours, dissipative", True)):
        fit = partial(operator_inference, data, basis, dissipative=dissipative)
        try:
            spent, law = seconds(fit, 1)
        except RomError as refusal:
            rows.append((name, f"refused: {refusal}", "", ""))
            continue
        rows.append((name, *_errors(waves.follow(law, truth[:, :, 0])[0], truth), spent))
    spent, u = seconds(lambda: opinf_waves(basis.modes, trained, truth), 1)
    rows.append(("opinf, with its 20 answers", *_errors(u, truth), spent))
    return rows


def _errors(u: np.ndarray, truth: np.ndarray) -> tuple[float, float]:
    row = waves.errors(u, truth)
    return row["inside"], row["beyond"]


def main() -> None:
    """Both tables."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of peers that did not converge
        head = ("method", "noise", "error of rates", "of the forecast", "CPU s")
        show("two packets, four rates", head, decompositions())
        show("ten waves, 12 modes", ("law", "inside", "beyond", "CPU s"), inferences())


if __name__ == "__main__":
    main()
