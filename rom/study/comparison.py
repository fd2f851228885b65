"""A model against high fidelity: errors of state, fields and outputs."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from rom.arrays import POINTS, gate
from rom.campaign.ranks import talk
from rom.errors import SolveFailed, text_of
from rom.model import Question
from rom.study.discrepancy import Discrepancy, Failure, Study
from rom.study.norms import Norm
from rom.study.parts import TrueRun, Truth, Words
from rom.study.rows import Row, compare_answer
from rom.study.starts import asks_starts, asks_without_starts, with_starts

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
    comm: Any = None,
) -> Study:
    """error(mu) = |solve(mu) - model(mu)|_X at each mu (m, p), and of each field.

    solve : mu -> u (n,) or (n, n_t), this rank's rows; numbers of a trajectory are the maxima over
        its times. u holds the outputs where the model tells outputs alone and `truth` is None
    norms : name -> norm of a state, beside those of the space and of the model
    truth : (u, mu) -> {"name [unit]": number}, true outputs
    ask : mus (m, p) -> Question, where parameters are not all that is asked; a model that asks
        where to start gets the first state of the true run
    timed : whether the time of `solve` is that of high fidelity
    comm : ranks that share out the samples, each with all rows of a model; None where the ranks of
        the model's space solve each sample together
    Where high fidelity raises, or gives NaN, the parameter is recorded as failed and is in no
    number. Raises BadInput for an empty set or other times, SolveFailed where every solve failed.
    """
    pose: Ask = ask or asks_without_starts(model).question
    starts: list[np.ndarray] = []
    outcomes, online, full = [], 0.0, 0.0
    for run in _runs(solve, mus[share_out(comm, len(mus))], ranks_of(model)):
        if run.reason:
            outcomes.append([run.mu.tolist(), run.reason, []])
            continue
        begin = time.perf_counter()
        answer = model.answer(with_starts(model, pose(run.mu), [run.u]))
        online += time.perf_counter() - begin
        full += run.seconds if timed else np.nan
        row = compare_answer(model, answer, run, norms or {}, truth)
        outcomes.append([run.mu.tolist(), "", list(vars(row).values())])
        if asks_starts(model):
            starts.append(np.reshape(run.u, (len(run.u), -1))[:, :1])
    outcomes = in_order(comm, outcomes)
    full, online = np.sum(talk(comm, [full, online]), axis=0)
    failed = tuple((tuple(mu), reason) for mu, reason, _ in outcomes if reason)
    check_some_solved(failed, len(outcomes) - len(failed))
    mus = np.array([mu for mu, reason, _ in outcomes if not reason])
    rows = [Row(*values) for _, reason, values in outcomes if not reason]
    begin = time.perf_counter()
    own = mus[share_out(comm, len(mus))] if starts else mus
    model.answer(with_starts(model, pose(own), starts))
    batch = time.perf_counter() - begin
    return replace(gather_rows(mus, rows, (full, online, batch)), failed=failed)


def check_some_solved(failed: Sequence[Failure], solved: int) -> None:
    """Raises SolveFailed naming the first failure where nothing was solved."""
    if failed and not solved:
        mu, reason = failed[0]
        raise SolveFailed(
            f"all {len(failed)} solves of high fidelity failed; at mu = {mu}: {reason}; "
            "check the solver there"
        )


def ranks_of(model: Any) -> Any:
    """The ranks on which a model lies by rows, or None."""
    space = getattr(getattr(model, "basis", None) or model, "space", None)
    return space.comm if space is not None and space.spread else None


def share_out(comm: Any, m: int) -> slice:
    """Which of m samples are this rank's, one after the other among the ranks."""
    return slice(None) if comm is None else slice(comm.Get_rank(), m, comm.Get_size())


def in_order(comm: Any, values: list[Any]) -> list[Any]:
    """What the ranks have of their shares, plain JSON, in the order of the samples."""
    if comm is None:
        return values
    parts = talk(comm, values)
    m = sum(map(len, parts))
    return [parts[k % len(parts)][k // len(parts)] for k in range(m)]


def _runs(solve: Solve, mus: np.ndarray, comm: Any) -> Iterator[TrueRun]:
    """The true run at each mu; comm : of the ranks that solve it together, or None."""
    for mu in mus:
        begin = time.perf_counter()
        u, reason = _solve(solve, mu)
        seconds = time.perf_counter() - begin
        if not reason and not np.isfinite(u).all():
            reason = f"high fidelity gave NaN or Inf at mu = {mu}; check the solver there"
        reason = next((text for text in talk(comm, reason) if text), "")
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
    rows: list[dict[str, tuple[dict[str, float], Words]]],
) -> Iterable[Discrepancy]:
    for name, (numbers, words) in rows[0].items():
        columns = {key: np.array([row[name][0][key] for row in rows]) for key in numbers}
        yield Discrepancy(name=name, **words, **columns)  # type: ignore[arg-type]
