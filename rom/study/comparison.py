"""A model against high fidelity: errors of state, fields and outputs."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from rom.arrays import POINTS, gate
from rom.errors import SolveFailed, text_of
from rom.model import Question
from rom.study.discrepancy import Discrepancy, Failure, Study
from rom.study.norms import Norm
from rom.study.parts import TrueRun, Truth
from rom.study.rows import Row, compare_answer

Solve = Callable[[np.ndarray], np.ndarray]
Ask = Callable[[np.ndarray], Question]


@gate(mus=POINTS)
def study(
    model: Any,
    solve: Solve,
    mus: np.ndarray,
    *,
    norms: Mapping[str, Norm] | None = None,
    truth: Truth | None = None,
    ask: Ask | None = None,
    timed: bool = True,
) -> Study:
    """error(mu) = |solve(mu) - model(mu)|_X at each mu (m, p), and of each field.

    solve : mu -> u (n,) or (n, n_t), this rank's rows; numbers of a trajectory are the maxima over
        its times. u holds the outputs where the model tells outputs alone and `truth` is None
    norms : name -> norm of a state, beside those of the space and of the model
    truth : (u, mu) -> {"name [unit]": number}, true outputs
    ask : mus (m, p) -> Question, where parameters are not all that is asked
    timed : whether the time of `solve` is that of high fidelity
    Where high fidelity raises, or gives NaN, the parameter is recorded as failed and is in no
    number. Raises BadInput for an empty set or other times, SolveFailed where every solve failed.
    """
    pose: Ask = ask or model.asks.question
    rows, online, full = [], 0.0, 0.0
    solved: list[np.ndarray] = []
    failed: list[Failure] = []
    for run in _runs(solve, mus):
        if run.reason:
            failed.append((tuple(run.mu.tolist()), run.reason))
            continue
        solved.append(run.mu)
        begin = time.perf_counter()
        answer = model.answer(pose(run.mu))
        online += time.perf_counter() - begin
        full += run.seconds if timed else np.nan
        rows.append(compare_answer(model, answer, run, norms or {}, truth))
    check_some_solved(failed, len(rows))
    mus = np.array(solved)
    begin = time.perf_counter()
    model.answer(pose(mus))
    batch = time.perf_counter() - begin
    return replace(gather_rows(mus, rows, (full, online, batch)), failed=tuple(failed))


def check_some_solved(failed: Sequence[Failure], solved: int) -> None:
    """Raises SolveFailed naming the first failure where nothing was solved."""
    if failed and not solved:
        mu, reason = failed[0]
        raise SolveFailed(
            f"all {len(failed)} solves of high fidelity failed; at mu = {mu}: {reason}"
        )


def _runs(solve: Solve, mus: np.ndarray) -> Iterator[TrueRun]:
    for mu in mus:
        begin = time.perf_counter()
        u, reason = _solve(solve, mu)
        seconds = time.perf_counter() - begin
        if not reason and not np.isfinite(u).all():
            reason = f"high fidelity gave NaN or Inf at mu = {mu}; check the solver there"
        yield TrueRun(mu, u, seconds, reason)


def _solve(solve: Solve, mu: np.ndarray) -> tuple[np.ndarray, str]:
    """(u, "") of a solve, or (nothing, why there is none)."""
    try:
        return np.asarray(solve(mu)), ""
    except Exception as trouble:
        return np.zeros(0), text_of(trouble)


def gather_rows(mus: np.ndarray, rows: list[Row], seconds: tuple[float, float, float]) -> Study:
    """The rows of all samples as one study."""
    m = len(mus)
    state = {key: np.array([row.state[key] for row in rows]) for key in rows[0].state}
    full, online, batch = seconds
    fields = [row.fields for row in rows]
    outputs = [row.outputs for row in rows]
    return Study(
        mus,
        state["norm"],
        state["error"],
        state["floor"],
        _all_finite(state["bound"]),
        full / m,
        online / m,
        batch / m,
        bound_norm=rows[0].bound_norm,
        bound_known=rows[0].known,
        bound_error=_all_finite(state["bound_error"]),
        ratio=None if np.isnan(state["ratio"]).any() else state["ratio"],
        fields=tuple(_discrepancies(fields)),
        outputs=tuple(_discrepancies(outputs)),
    )


def _all_finite(values: np.ndarray) -> np.ndarray | None:
    return None if np.isnan(values).any() else values


def _discrepancies(
    rows: list[dict[str, tuple[dict[str, float], dict[str, str]]]],
) -> Iterable[Discrepancy]:
    for name, (numbers, words) in rows[0].items():
        columns = {key: np.array([row[name][0][key] for row in rows]) for key in numbers}
        yield Discrepancy(name=name, **words, **columns)  # type: ignore[arg-type]
