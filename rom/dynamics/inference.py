"""Operators of a law inferred from runs, chosen by runs that were left out.

    min_O |D O^T - R|^2 / k + w |size (O - O_0)|^2

for many weights w, with derivatives by differences and in weak form; all these laws are rolled out
together on runs that none of them saw, and the best is fitted again to all runs. O_0 is zero, or
the operators projected from the solver's rate. Where it gains on those runs, the law is corrected
by its own steps (`rom.dynamics.shooting`).

Reference: Peherstorfer and Willcox (2016); McQuarrie, Huang and Willcox (2021).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from rom.arrays import gate
from rom.basis import Basis
from rom.compress import pod
from rom.compress.blocks import column_blocks
from rom.dynamics.dissipation import DEGREES, check_dissipative, dissipative_laws
from rom.dynamics.flow_bands import with_profile
from rom.dynamics.flow_bounds import with_bound
from rom.dynamics.forms import Polynomial, parameter_powers
from rom.dynamics.marching import Region, region_of
from rom.dynamics.operators import EVEN
from rom.dynamics.polynomial import PolynomialFlow, follow_law, stack_operators
from rom.dynamics.regression import DIFFERENCES, WEAK, equations, ridge_laws
from rom.dynamics.runs import Runs, runs_on_basis
from rom.dynamics.shooting import shoot
from rom.dynamics.starts import fit_start
from rom.dynamics.trajectories import MAX_UNKNOWNS, fit_trajectories, piece_errors
from rom.errors import BadInput, NotConverged
from rom.parameters import Box
from rom.snapshots import Snapshots

Follow = Callable[..., tuple[np.ndarray, np.ndarray]]  # as `follow_law`
WEIGHTS = 10.0 ** np.arange(-11, 4)  # of |size (O - O_0)|^2
FEW_WEIGHTS = 10.0 ** np.arange(-11, 0, 2)  # of dissipative laws, each a system of its own
WINDOW = 100  # samples that a law is rolled out for, from each start
MIN_RUNS = 3  # below, the last times of each run are left out in place of runs
MAX_POWER = 2  # of the parameters
MAX_FLOOR = 0.3  # of left-out runs on the modes of the others: more says that runs lack
TWO_RUNS_FLOOR = 0.05  # where fewer than MIN_RUNS are anchored
LOST_ERROR = 10.0  # relative, of a trajectory that has no answer
GAIN = 0.9  # of the left-out error, that a corrected law must reach to be taken
WORTH = 0.9  # of the error of persistence, that a law must reach
PIECES = (11, 51)  # samples of the pieces of runs that a law is fitted to
NOISY = 0.2  # correlation of successive misses: more is of the law, not of noise
LOOSE = 3.0  # half widths that a law may reach on left-out runs


@dataclass(frozen=True, eq=False)
class Trial:
    """A form, rows and weight of a fit; its law (Q, r, d) and left-out error.

    shot : whether it was corrected by its own steps; pieces : of runs it was fitted to, in samples
    """

    form: Polynomial
    rows: str
    weight: float
    law: np.ndarray
    shot: bool = False
    pieces: tuple[int, ...] = ()
    error: float = np.nan


@dataclass(frozen=True, eq=False)
class Windows:
    """Pieces of runs: mu (k, p), a (k, r, n) at times t (n,) from their first."""

    mu: np.ndarray
    a: np.ndarray
    t: np.ndarray


@gate(snapshots=Snapshots, basis=Basis, box=Box)
def operator_inference(
    snapshots: Snapshots,
    basis: Basis,
    box: Box | None = None,
    *,
    degree: int = 2,
    form: Polynomial | None = None,
    anchor: PolynomialFlow | None = None,
    dissipative: bool = False,
    bound: Any = None,
    mass: Any = None,
    share: float = 0.2,
    rng: int | np.random.Generator = 0,
) -> PolynomialFlow:
    """a' = sum_q theta_q(mu) O_q phi(a), O by least squares on runs, chosen by others.

    snapshots : runs at the same times; a share of them is left out to choose by, the last quarter
        of the times where there are fewer than three runs
    degree, form : of the law, as of `project_rate`
    anchor : of `project_rate` on the same basis: O is pulled towards its operators in place of
        zero, and they take over from trajectories that leave 1.5 times the trained box
    dissipative : only laws whose |a| never grows, linear and quadratic, without parameters
    bound, mass : where the runs are backward Euler solutions of M u' + A(mu) u = f(mu) at their
        times: residual_bound(A, f, basis, stability, M) and M; the answers carry a proved bound
    Raises BadInput where runs are too few for the modes: those of the others miss more than 0.3 of
    a left-out one; NotConverged where no law stays bounded on what was left out.
    Reference: Peherstorfer and Willcox (2016); McQuarrie, Huang and Willcox (2021).
    """
    runs = runs_on_basis(snapshots, basis)
    _check_anchor(anchor, basis, form)
    fit, test, floor, words = split_runs(snapshots, basis, runs, share, np.random.default_rng(rng))
    check_floor(floor, runs, anchor)
    region = region_of(runs.a)
    if dissipative:
        form = form or Polynomial(DEGREES, parameter_powers(runs.mu.shape[1], 0))
        check_dissipative(form, basis)
        if anchor is not None:
            raise BadInput("a dissipative law is of the runs alone; leave the anchor out")
    forms = _forms(runs, fit, degree, form, anchor)
    candidates = [one for own in forms for one in infer(own, fit, anchor, dissipative)]
    if anchor is not None:
        candidates.append(Trial(anchor.form, "projected", np.inf, anchor.operators))
    scores = score_laws(candidates, test, region)
    best = choose_law(candidates, scores, keep_first(test), (runs, region))
    if not dissipative:
        best = _correct(best, (fit, test, runs), region)
    if not dissipative and anchor is None:
        best = _fit_pieces(best, (fit, test, runs), region)
    law, again = _fit_again(best, runs, region, anchor, dissipative)
    flow = PolynomialFlow(
        basis=basis,
        form=best.form,
        operators=law,
        times=runs.t,
        centre=region.centre,
        half=region.half,
        start=fit_start(best.form, runs, basis),
        projected=None if anchor is None else anchor.operators,
        box=box if runs.mu.shape[1] else None,
        p=runs.mu.shape[1],
        misfit=(np.nan, np.nan) if anchor is None else anchor.misfit,
        facts_of_training=left_out_facts(best, candidates, scores, floor, keep_first(test)),
        reason=f"{best.rows}{_of_pieces(best)}, weight {best.weight:.1g}, {again}: left-out error "
        f"{best.error:.3g} over {words}, least of {len(candidates)} laws",
    )
    return with_bound(with_profile(flow, snapshots), bound, mass, snapshots)


def split_runs(
    snapshots: Snapshots, basis: Basis, runs: Runs, share: float, rng: np.random.Generator
) -> tuple[Runs, Windows, float, str]:
    """Runs to fit, windows to choose by, what modes of the first miss of these.

    And what was left out, in words. Raises BadInput for a share outside (0, 1).
    """
    if not 0 < share < 1:
        raise BadInput(f"share = {share:g} of runs to leave out must lie in (0, 1)")
    m, n_t = len(runs.a), len(runs.t)
    column = np.arange(m * n_t).reshape(m, n_t)
    if m >= MIN_RUNS:
        count = min(max(1, round(share * m)), m - 2)
        out = np.sort(rng.permutation(m)[:count])
        inside = np.setdiff1d(np.arange(m), out)
        fit, columns = runs.take(inside), (column[inside], column[out])
        test = cut_windows(runs.take(out))
        words = f"{count} of {m} runs"
    else:
        k = n_t - max(2, n_t // 4)
        fit = Runs(runs.a[:, :, :k], runs.mu, runs.t[:k])
        test = cut_windows(Runs(runs.a[:, :, k - 1 :], runs.mu, runs.t[k - 1 :]))
        columns, words = (column[:, :k], column[:, k:]), "the last quarter of the times"
    first, second = (snapshots.take(part.ravel()) for part in columns)
    budget = getattr(snapshots.u, "budget", None)
    center = bool(np.ndim(basis.offset))
    own = pod(first, rank=min(basis.r, first.m), center=center, memory_budget=budget)[0]
    rest, size = 0.0, 0.0
    for u in column_blocks(second):
        size += float(np.sum(snapshots.space.norm(u) ** 2))
        rest += float(np.sum(snapshots.space.norm(u - own.lift(own.coefficients(u))) ** 2))
    floor = np.sqrt(rest) / max(np.sqrt(size), np.finfo(float).tiny)
    return fit, test, float(floor), words


def cut_windows(runs: Runs) -> Windows:
    """The runs in pieces of WINDOW samples, or whole where they are shorter.

    Times that are uneven are not cut.
    """
    n, steps = len(runs.t), np.diff(runs.t)
    even = np.allclose(steps, steps.mean(), rtol=1e-6)
    if n <= WINDOW + 1 or not even:
        return Windows(runs.mu, runs.a, runs.t - runs.t[0])
    firsts = range(0, n - WINDOW, WINDOW)
    pieces = [runs.a[:, :, first : first + WINDOW + 1] for first in firsts]
    mu = np.concatenate([runs.mu] * len(pieces))
    return Windows(mu, np.concatenate(pieces), runs.t[: WINDOW + 1] - runs.t[0])


def infer(
    form: Polynomial, runs: Runs, anchor: PolynomialFlow | None, dissipative: bool = False
) -> list[Trial]:
    """Laws of one form for both kinds of rows and all weights."""
    weights = FEW_WEIGHTS if dissipative else WEIGHTS
    candidates = []
    for rows in (DIFFERENCES, WEAK):
        if rows == WEAK and len(runs.t) < 6:
            continue
        laws = _laws(form, runs, rows, weights, (anchor, dissipative))
        candidates += [
            Trial(form, rows, float(weight), law) for weight, law in zip(weights, laws, strict=True)
        ]
    return candidates


def _laws(
    form: Polynomial,
    runs: Runs,
    rows: str,
    weights: np.ndarray,
    kind: tuple[PolynomialFlow | None, bool],
) -> np.ndarray:
    """Laws (len(weights), Q, r, d) of one form and kind of rows."""
    (anchor, dissipative), r = kind, runs.a.shape[1]
    system = equations(form, runs, rows)
    if dissipative:
        columns = dissipative_laws(system, weights, r)
    else:
        prior = None if anchor is None else anchor.operators
        columns = ridge_laws(system, weights, r, prior)
    shape = (len(weights), -1, form.size(r), r)
    return columns.reshape(shape).transpose(0, 1, 3, 2)


def keep_first(test: Windows) -> float:
    """The error of `score_laws` of the first state of each window, kept."""
    miss = np.sqrt(np.sum((test.a - test.a[:, :, :1]) ** 2, axis=(1, 2)))
    size = np.sqrt(np.sum(test.a**2, axis=(1, 2)))
    return float(np.mean(miss / np.maximum(size, np.finfo(float).tiny)))


def score_laws(
    candidates: Sequence[Trial], test: Windows, region: Region, follow: Follow = follow_law
) -> np.ndarray:
    """Mean over windows of `window_errors`, (c,)."""
    return window_errors(candidates, test, region, follow).mean(axis=1)


def window_errors(
    candidates: Sequence[Trial], test: Windows, region: Region, follow: Follow = follow_law
) -> np.ndarray:
    """Relative error of each law's trajectory of each window, (c, windows).

    |a - a_true| / |a_true| over all times of a window, in the norm of the space; those that have
    no answer count as LOST_ERROR. All laws of one form march together, by `follow`.
    """
    errors = np.full((len(candidates), len(test.a)), np.inf)
    for form in {id(one.form): one.form for one in candidates}.values():
        which = [k for k, one in enumerate(candidates) if one.form is form]
        mu = test.mu if test.mu.shape[1] else test.mu[:1]
        law = np.concatenate([stack_operators(form, candidates[k].law, mu) for k in which])
        a0 = np.tile(test.a[:, :, 0], (len(which), 1))
        a, _ = follow(form, law, a0, (0.0, test.t), region, lost=LOST_ERROR)
        a = a.reshape(len(which), *test.a.shape)
        miss = np.sqrt(np.sum((a - test.a) ** 2, axis=(2, 3)))
        size = np.sqrt(np.sum(test.a**2, axis=(1, 2)))
        relative = miss / np.maximum(size, np.finfo(float).tiny)
        errors[which] = np.minimum(np.nan_to_num(relative, nan=LOST_ERROR), LOST_ERROR)
    return errors


def is_bounded(
    form: Polynomial, law: np.ndarray, runs: Runs, region: Region, follow: Follow = follow_law
) -> bool:
    """Whether a law stays within LOOSE half widths over the times of all runs."""
    own = stack_operators(form, law, runs.mu)
    t = (float(runs.t[0]), runs.t)
    _, outside = follow(form, own, runs.a[:, :, 0], t, region, guard=LOOSE, lost=LOOSE)
    return not bool(outside.any())


def choose_law(
    candidates: Sequence[Trial],
    scores: np.ndarray,
    persistence: float,
    parts: tuple[Runs, Region],
    follow: Follow = follow_law,
) -> Trial:
    """The best that stays bounded over whole runs. Raises NotConverged.

    One that is hardly better than persistence is no law.
    """
    for k in np.argsort(scores, kind="stable"):
        if scores[k] > WORTH * persistence:
            break
        one = candidates[k]
        if is_bounded(one.form, one.law, *parts, follow):
            return replace(one, error=float(scores[k]))
    raise NotConverged(
        f"the best of {len(candidates)} laws errs by {scores.min():.2g} on what was left out, the "
        f"first state kept by {persistence:.2g}, or leaves the runs' box; collect more runs, take "
        "fewer modes, a dissipative law, or give the case a rate(u, mu) to anchor the law to"
    )


def _correct(best: Trial, parts: tuple[Runs, Windows, Runs], region: Region) -> Trial:
    """The law corrected by its own steps, where that gains on what was left out.

    parts : the runs of the fit, what was left out, all runs
    """
    fit, test, runs = parts
    if not np.isfinite(best.weight):
        return best
    law = shoot(best.form, best.law, fit, region, weight=best.weight)
    trial = replace(best, law=law, shot=True, rows=f"{best.rows} and steps")
    error = float(score_laws([trial], test, region)[0])
    if error < GAIN * best.error and is_bounded(best.form, law, runs, region):
        return replace(trial, error=error)
    return best


def _fit_pieces(best: Trial, parts: tuple[Runs, Windows, Runs], region: Region) -> Trial:
    """The law fitted to pieces of ten and fifty steps, where left-out ones gain.

    By more than the standard error of their mean gain, each from the start that fits it best, and
    only where what is still missed looks like noise: else the fit makes up for what the law lacks,
    and fails beyond the data. Only laws of few unknowns, at even times.
    parts : the runs of the fit, what was left out, all runs
    """
    fit, test, runs = parts
    steps = np.diff(runs.t)
    even = np.abs(steps - steps.mean()).max() <= EVEN * steps.mean()
    if not even or best.law.size > MAX_UNKNOWNS or not np.isfinite(best.weight):
        return best
    for samples in PIECES:
        if samples > len(fit.t):
            break
        law = fit_trajectories(best.form, best.law, fit, region, samples)
        trial = replace(best, law=law, pieces=(*best.pieces, samples))
        unseen = Runs(test.a, test.mu, test.t)
        (before, _), (after, lag) = (
            piece_errors(best.form, own, unseen, region, len(test.t)) for own in (best.law, law)
        )
        if len(before) < 2 or not np.isfinite([before, after]).all() or abs(lag) > NOISY:
            continue
        gain = before - after
        sure = gain.mean() > gain.std(ddof=1) / np.sqrt(len(gain))
        if sure and is_bounded(best.form, law, runs, region):
            best = replace(trial, error=float(score_laws([trial], test, region)[0]))
    return best


def _fit_again(
    best: Trial,
    runs: Runs,
    region: Region,
    anchor: PolynomialFlow | None,
    dissipative: bool,
) -> tuple[np.ndarray, str]:
    """The law of the same settings on all runs, where it stays bounded there."""
    if not np.isfinite(best.weight):
        return best.law, "the operators of the rate"
    rows, kind = best.rows.split(" ")[0], (anchor, dissipative)
    law = _laws(best.form, runs, rows, np.array([best.weight]), kind)[0]
    if best.shot:
        law = shoot(best.form, law, runs, region, weight=best.weight)
    for samples in best.pieces:
        law = fit_trajectories(best.form, law, runs, region, samples)
    if is_bounded(best.form, law, runs, region):
        return law, "fitted again to all runs"
    return best.law, "fitted without what was left out"


def _forms(
    runs: Runs, fit: Runs, degree: int, form: Polynomial | None, anchor: PolynomialFlow | None
) -> list[Polynomial]:
    """The forms to try: the one that is there, or powers of the parameters."""
    if form is not None or anchor is not None:
        return [form or anchor.form]  # type: ignore[union-attr]
    p, distinct = runs.mu.shape[1], len(np.unique(fit.mu, axis=0))
    forms = []
    for power in range(MAX_POWER + 1 if p else 1):
        own = Polynomial(tuple(range(degree + 1)), parameter_powers(p, power))
        if own.functions(runs.mu) <= distinct:
            forms.append(own)
    return forms


def _of_pieces(best: Trial) -> str:
    """What pieces of runs a law was fitted to, in words."""
    lengths = " and ".join(str(samples - 1) for samples in best.pieces)
    return f", then pieces of {lengths} steps" if lengths else ""


def _check_anchor(anchor: PolynomialFlow | None, basis: Basis, form: Polynomial | None) -> None:
    if anchor is None:
        return
    if not isinstance(anchor, PolynomialFlow) or form is not None:
        raise BadInput("anchor is a law of project_rate, and brings its form; leave form out")
    if not np.array_equal(anchor.basis.modes, basis.modes):
        raise BadInput("the anchor has another basis; project the rate on this one")


def check_floor(floor: float, runs: Runs, anchor: PolynomialFlow | None = None) -> None:
    """Raises BadInput where the runs do not span each other."""
    if floor > MAX_FLOOR:
        raise BadInput(
            f"modes of the other runs miss {floor:.2g} of what was left out: no law on them can be "
            "chosen; collect more runs, or take more modes"
        )
    if anchor is not None and len(runs.a) < MIN_RUNS and floor > TWO_RUNS_FLOOR:
        raise BadInput(
            f"{len(runs.a)} run(s) whose modes miss {floor:.2g} of the last times anchor no law; "
            "take --kind projected, or collect more runs"
        )


def left_out_facts(
    best: Trial,
    candidates: Sequence[Trial],
    scores: np.ndarray,
    floor: float,
    persistence: float,
) -> dict[str, float]:
    """What was measured on what was left out."""
    facts = {
        "left-out error": best.error,
        "left-out error of the first state, kept": persistence,
        "left-out part beyond modes of the others": floor,
        "share of laws that were lost": float(np.mean(scores >= LOST_ERROR)),
    }
    if not np.isfinite(candidates[-1].weight):
        facts["left-out error of the projected law"] = float(scores[-1])
    return facts
