"""Extended dynamic mode decomposition: a map of samples by functions of them.

    min_O sum_k |z_{k+1} - O phi(z_k)|^2 + w |size (O - O_0)|^2, z = (a - centre) / half

phi all monomials up to a degree, O_0 the map that keeps z. Degree and w are chosen by roll-outs on
runs that were left out, where coefficients are lifted anew at each step: what a linear roll-out
K^k phi(z_0) forecasts instead is worse wherever phi spans no invariant space.

Reference: Williams, Kevrekidis and Rowley (2015).
"""

from __future__ import annotations

import numpy as np

from rom.arrays import gate
from rom.basis import Basis
from rom.dynamics.flow_bands import with_profile
from rom.dynamics.forms import MAX_DEGREE, Polynomial, parameter_powers
from rom.dynamics.inference import (
    WORTH,
    Trial,
    Windows,
    check_floor,
    choose_law,
    is_bounded,
    keep_first,
    left_out_facts,
    score_laws,
    split_runs,
)
from rom.dynamics.lifted import LiftedMap, Spectrum, Steps
from rom.dynamics.marching import Region, region_of
from rom.dynamics.operators import EVEN
from rom.dynamics.regression import ridge_laws, scale_equations
from rom.dynamics.runs import Runs, check_one_parameter, runs_on_basis
from rom.dynamics.starts import fit_start
from rom.errors import BadInput, NotConverged
from rom.snapshots import Snapshots

WEIGHTS = 10.0 ** np.arange(-15, 0, 2)  # of |size (O - O_0)|^2
MAX_FUNCTIONS = 500  # of a dictionary
ROWS = 2  # pairs of samples that each function needs
KEPT = 40  # eigenvalues of a spectrum, those that miss least
STEP = "map of samples"


@gate(snapshots=Snapshots, basis=Basis)
def edmd(
    snapshots: Snapshots,
    basis: Basis,
    *,
    degree: int | None = None,
    share: float = 0.2,
    rng: int | np.random.Generator = 0,
) -> LiftedMap:
    """z_{k+1} = O phi(z_k), phi all monomials of z, chosen by runs left out.

    snapshots : runs of one system at the same even times; a share of them is left out to choose
        by, the last quarter of the times where there are fewer than three runs
    degree : of the dictionary; by default that of the least left-out error among all whose
        functions number at most half the pairs of samples, and 500
    Raises BadInput for uneven times, several parameters, degrees with too many functions, and runs
    too few for the modes; NotConverged where no map stays bounded on what was left out.
    Reference: Williams, Kevrekidis and Rowley (2015); Colbrook and Townsend (2024).
    """
    runs = runs_on_basis(snapshots, basis)
    check_one_parameter(runs)
    runs = Runs(runs.a, runs.mu[:, :0], runs.t)
    steps = np.diff(runs.t)
    if len(steps) < 1 or np.abs(steps - steps.mean()).max() > EVEN * steps.mean():
        raise BadInput("a map of samples needs even times, two at least; take --kind opinf")
    rng = np.random.default_rng(rng)
    fit, test, floor, words = split_runs(snapshots, basis, runs, share, rng)
    check_floor(floor, runs)
    region, follow = region_of(runs.a), Steps(float(steps.mean()))
    forms = _forms(basis.r, len(fit.a) * (len(fit.t) - 1), degree)
    candidates = [
        Trial(form, STEP, float(weight), law)
        for form in forms
        for weight, law in zip(WEIGHTS, _maps(form, fit, region, WEIGHTS), strict=True)
    ]
    scores = score_laws(candidates, test, region, follow)
    best = choose_law(candidates, scores, keep_first(test), (runs, region), follow)
    _check_mean(best, fit, test)
    law = _maps(best.form, runs, region, np.array([best.weight]))[0]
    again = "fitted again to all runs"
    if not is_bounded(best.form, law, runs, region, follow):
        law, again = best.law, "fitted without what was left out"
    model = LiftedMap(
        basis=basis,
        form=best.form,
        operators=law,
        times=runs.t,
        centre=region.centre,
        half=region.half,
        start=fit_start(best.form, runs, basis),
        facts_of_training=left_out_facts(best, candidates, scores, floor, keep_first(test)),
        reason=f"degree {best.form.degrees[-1]}, weight {best.weight:.1g}, {again}: left-out error "
        f"{best.error:.3g} over {words}, least of {len(candidates)} maps",
        spectrum=_spectrum(best, fit, test.a, region),
    )
    return with_profile(model, snapshots)


def _forms(r: int, pairs: int, degree: int | None) -> list[Polynomial]:
    """The dictionaries to try. Raises BadInput where a degree has too many functions."""
    most, theta = min(MAX_FUNCTIONS, pairs // ROWS), parameter_powers(0, 0)
    degrees = range(1, MAX_DEGREE + 1) if degree is None else (degree,)
    forms = []
    for own in degrees:
        form = Polynomial(tuple(range(own + 1)), theta)
        if form.size(r) > most:
            break
        forms.append(form)
    if not forms:
        raise BadInput(
            f"degree {degrees[0]} has {form.size(r)} functions of {r} modes, and {pairs} pairs of "
            f"samples carry {most}; take fewer modes, a lower degree, or more runs"
        )
    return forms


def _check_mean(best: Trial, fit: Runs, test: Windows) -> None:
    """Raises NotConverged for a map that is hardly better than the mean of the runs."""
    mean = fit.a.mean(axis=(0, 2))[:, None]
    miss = np.linalg.norm(test.a - mean, axis=(1, 2)) / np.linalg.norm(test.a, axis=(1, 2))
    if best.error > WORTH * miss.mean():
        raise NotConverged(
            f"the best map errs by {best.error:.2g} on what was left out, the mean of the runs by "
            f"{miss.mean():.2g}; give samples closer in time, or take fewer modes"
        )


def _maps(form: Polynomial, runs: Runs, region: Region, weights: np.ndarray) -> np.ndarray:
    """O (len(weights), 1, r, d) of the steps of all runs."""
    first, second = _pairs(runs.a, region)
    r = first.shape[1]
    keep = np.zeros((1, r, form.size(r)))
    keep[0][:, form.blocks(r) == 1] = np.eye(r)
    columns = ridge_laws(scale_equations(form.features(first), second), weights, r, keep)
    return columns.transpose(0, 2, 1)[:, None]


def _spectrum(best: Trial, fit: Runs, left_out: np.ndarray, region: Region) -> Spectrum:
    """Eigenvalues of the whole map of the fit, and what each misses of the rest."""
    first, second = (best.form.features(z) for z in _pairs(fit.a, region))
    d = first.shape[1]
    K = ridge_laws(scale_equations(first, second), np.array([best.weight]), d, np.eye(d)[None])[0].T
    values, W = np.linalg.eig(K.T)
    functions = W.T / np.maximum(_rms(first @ W), np.finfo(float).tiny)[:, None]
    before, after = (best.form.features(z) @ functions.T for z in _pairs(left_out, region))
    misses = _rms(after - values * before) / np.maximum(_rms(before), np.finfo(float).tiny)
    order = np.argsort(misses, kind="stable")[:KEPT]
    return Spectrum(values[order].astype(complex), functions[order].astype(complex), misses[order])


def _pairs(a: np.ndarray, region: Region) -> tuple[np.ndarray, np.ndarray]:
    """z of all samples but the last of each run, and of their successors, (k, r)."""
    z = (a.transpose(0, 2, 1) - region.centre) / region.half
    r = z.shape[2]
    return z[:, :-1].reshape(-1, r), z[:, 1:].reshape(-1, r)


def _rms(columns: np.ndarray) -> np.ndarray:
    return np.asarray(np.sqrt(np.mean(np.abs(columns) ** 2, axis=0)))
