"""Calibrating error indicators on histories that their models have not seen: bare runs first, then runs that they enrich themselves."""

from __future__ import annotations

import numpy as np

from rom.certify.indicator import Indicator, calibrated
from rom.enrich.adaptive import Visit
from rom.history import History
from rom.hyper import FEATURES, Course, Trained, componentwise, followed
from rom.loading import Loading
from rom.problem import Solid

KINDS = ("u", "p", "stress")
LEVEL, GUARD, FLOOR = 0.95, 0.99, 1e-4


def errors(body: Solid, runs: list[Course], h: History) -> np.ndarray:
    """Errors of u, p and stress (m, 3) at the steps of a history, each over its largest norm in the history."""
    six = componentwise(body.points)
    stress = h.stress.reshape(six.n, -1)
    found = [
        (body.space.norm(r.u() - h.u[:, k]), body.points.norm(r.p() - h.p[:, k]), six.norm(r.stress().ravel() - stress[:, k]))
        for k, r in enumerate(runs)
    ]
    return np.array(found) / [body.space.norm(h.u).max(), body.points.norm(h.p).max(), six.norm(stress).max()]


def observed(number: int, runs: list[Course], visits: list[Visit], found: np.ndarray) -> np.ndarray:
    """Rows (run, errors of u, p and stress, features) of the steps that were not full ones."""
    rows = [(number, *found[k], *run.features) for k, run in enumerate(runs) if not visits[k].full]
    return np.array(rows).reshape(-1, 1 + len(KINDS) + len(FEATURES))


def calibration(
    body: Solid, held: list[tuple[Trained, Loading, History]], tols: dict[str, float], most: int, seeds: tuple[int, ...] = (0,)
) -> tuple[dict[str, Indicator], dict[str, tuple[Indicator, float]]]:
    """Indicators of the errors named in `tols` from loadings that each model of `held` was not trained on, and those that enrich,
    with their tolerances.

    First from runs without enrichment, then from those and the runs that the first indicators enrich by at most `most` full steps,
    so that they are asked about what they were calibrated on. The indicators are upper quantiles of 95 %; those that enrich are of
    99 %, for a tolerance is meant for all steps of a run. Raises BadInput with fewer than three runs.
    """
    rows: list[np.ndarray] = []
    guards: dict[str, tuple[Indicator, float]] = {}
    for chosen, limit in (((), 0), (seeds, most)):
        for number, (model, loading, h) in enumerate(held):
            runs, visits = followed(model, body, loading, guards, chosen, limit)
            rows.append(observed(number, runs, visits, errors(body, runs, h)))
        guards = {name: (_calibrated(rows, name, GUARD), tol) for name, tol in tols.items()}
    return {name: _calibrated(rows, name, LEVEL) for name in tols}, guards


def _calibrated(rows: list[np.ndarray], name: str, level: float) -> Indicator:
    data = np.vstack(rows)
    return calibrated(FEATURES, data[:, 1 + len(KINDS) :], data[:, 1 + KINDS.index(name)], data[:, 0], level, FLOOR)
