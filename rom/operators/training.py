"""Operators learnt from runs: fields in, fields out."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from rom.arrays import gate
from rom.bands import Indicator, calibrate_indicator
from rom.compress import pod
from rom.errors import BadInput
from rom.operators.choice import Choice, choose_kernel, finish
from rom.operators.coordinates import first_modes, fit_coordinates, principal_axes
from rom.operators.groups import irreducible_blocks, largest_subgroups
from rom.operators.images import input_image, output_image, shift, to_frame
from rom.operators.models import (
    OWN,
    Answer,
    OperatorGP,
    Residual,
    band_features,
    run_base,
)
from rom.operators.regression import Images, fit_weights
from rom.operators.simple import simple_left_out
from rom.operators.symmetry import Symmetry, Translation
from rom.snapshots import Snapshots
from rom.space import Space

LEAST = 4  # runs
MOST_AXES = 512  # of the inputs, that are tried
TOL = 1e-6  # relative, of the modes of the outputs
PROBES, ISOMETRY = 4, 1e-6  # random fields, and how well images keep their lengths
CLEARLY = 0.97  # of the left-out error: a symmetry that fewer elements beat by more is wrong
FEEBLE = 1e-12  # of the largest output: smaller errors are round-off
TABLE = np.zeros((1, 1), dtype=np.int64)  # of the group of one element


@gate(inputs=Snapshots, outputs=Snapshots)
def operator_gp(
    inputs: Snapshots,
    outputs: Snapshots,
    *,
    symmetry: Symmetry | None = None,
    frame: Translation | None = None,
    base: Answer | None = None,
    residual: Residual | None = None,
    rank: int | None = None,
    kernel: str | None = None,
    level: float = 0.95,
    rng: int = 0,
) -> OperatorGP:
    """u(a) ~ base(a) + mean + V sum_j k(z(a), z_j) weights_j from m runs (a_j, u_j).

    inputs (n_in, m), outputs (n_out, m) : of the same runs, one real field each
    symmetry, frame : used exactly; refused where left-out errors are larger with it
    base : (n_in, m) -> (n_out, m), a coarse solve whose difference from u is learnt
    residual : (inputs, outputs) -> norms (m,), which gives the band its shape
    rank, kernel : axes of the inputs and form, by default chosen by left-out errors; level : of
    the band
    All is chosen by closed-form errors at left-out runs. Raises BadInput for fewer than four runs,
    several fields, times, complex numbers. Reference: Batlle, Darcy, Hosseini, Owhadi (2024).
    """
    a, u = _check_runs(inputs, outputs)
    _check_level(level)
    _check_choice(kernel, rank)
    _check_symmetry((len(a), len(u)), symmetry, frame)
    start = np.zeros_like(u) if base is None else run_base(base, a, len(u))
    if base is not None and np.abs(u - start).max() <= FEEBLE * np.abs(u).max():
        reason = "the base alone: it leaves nothing to learn"
        return plug_operator(base, inputs, outputs, residual=residual, level=level, reason=reason)
    for space in (inputs.space, outputs.space):
        check_isometry(space, symmetry, frame, space is inputs.space)
    canonical, angles = to_frame(frame, a)
    difference = shift(frame, u - start, angles)
    pairs = images_of_runs(symmetry, frame, canonical, difference)
    axes = principal_axes(inputs, [pair[0] for pair in pairs], rank or MOST_AXES)
    space = outputs.space
    spread = np.hstack([pair[1] for pair in pairs])
    basis, _ = pod(Snapshots(space, np.zeros((spread.shape[1], 0)), spread), tol=TOL, center=True)
    images = Images(
        np.stack([axes.coefficients(pair[0]).T for pair in pairs]),
        np.stack([basis.coefficients(pair[1]).T for pair in pairs]),
        irreducible_blocks(TABLE if symmetry is None else symmetry.table),
    )
    sizes = np.sqrt(np.mean(images.z**2, axis=(0, 1)))
    choice = choose_kernel(images, sizes, rank=rank and axes.r, form=kernel, rng=rng)
    if symmetry is not None:
        check_gain(symmetry, images, sizes, choice, rng)
    choice = finish(choice, images, deeper=rank is None)
    r = choice.rank
    scaled = replace(images, z=images.z[:, :, :r] * choice.scales[:r])
    solution = fit_weights(choice.kernel, scaled)
    reach = fit_coordinates(inputs, canonical, first_modes(axes, r), choice.scales[:r], rng=rng)
    missed = difference - basis.lift(basis.coefficients(difference))
    errors = shift(frame, basis.modes @ solution.errors.T + missed, -angles)
    mean = np.asarray(basis.offset) + basis.modes @ solution.beta
    basis = replace(basis, offset=mean)
    model = OperatorGP(
        reach, space, basis, choice.kernel, scaled.z[0], solution.weights, _no_band(level),
        np.ones(len(u)), {}, choice.reason, symmetry, frame, base, residual,
    )  # fmt: skip
    left_out = _relative(space, errors, u) | simple_left_out(inputs, outputs, start, base)
    return calibrate(replace(model, left_out=left_out), a, u - errors, errors, level)


@gate(inputs=Snapshots, outputs=Snapshots)
def plug_operator(
    answer: Answer,
    inputs: Snapshots,
    outputs: Snapshots,
    *,
    residual: Residual | None = None,
    level: float = 0.95,
    rng: int = 0,
    reason: str = "a function of the user, calibrated on unseen runs",
) -> OperatorGP:
    """u(a) = answer(a) of a network, with the bands of `operator_gp`.

    answer : (n_in, m) -> (n_out, m), any function; at module level where the model is
        to be stored; `from_torch` of a network of torch
    inputs (n_in, m), outputs (n_out, m) : runs that it has NOT seen; they calibrate the band
    residual, level : as in `operator_gp`; reason : what the model says of itself
    Raises BadInput as `operator_gp` does, and for an answer of another shape.
    Reference: Lei et al., Distribution-free predictive inference for regression (2018).
    """
    a, u = _check_runs(inputs, outputs)
    _check_level(level)
    own = run_base(answer, a, len(u))
    axes = principal_axes(inputs, [a], max(1, min(MOST_AXES, a.shape[1] // 2)))
    reach = fit_coordinates(inputs, a, axes, np.ones(axes.r), rng=rng)
    model = OperatorGP(
        reach, outputs.space, None, None, np.zeros((a.shape[1], 0)), np.zeros((a.shape[1], 0)),
        _no_band(level), np.ones(len(u)), {}, reason,
        base=answer, residual=residual,
    )  # fmt: skip
    left_out = _relative(outputs.space, u - own, u) | simple_left_out(inputs, outputs, None, None)
    return calibrate(replace(model, left_out=left_out), a, own, u - own, level)


def images_of_runs(
    symmetry: Symmetry | None, frame: Translation | None, a: np.ndarray, u: np.ndarray
) -> list[tuple[np.ndarray, np.ndarray]]:
    """Of each element g of the group: images of inputs and outputs, in their frame."""
    pairs = []
    for g in range(1 if symmetry is None else symmetry.size):
        image, turn = input_image(symmetry, frame, g, a)
        pairs.append((image, output_image(symmetry, frame, g, u, turn)))
    return pairs


def check_isometry(
    space: Space, symmetry: Symmetry | None, frame: Translation | None, is_input: bool
) -> None:
    """Raises BadInput where the inner product gives images another length."""
    what = "inputs" if is_input else "outputs"
    v = np.random.default_rng(0).standard_normal((space.n, PROBES))
    images = []
    for g in range(0 if symmetry is None else symmetry.size):
        assert symmetry is not None
        images.append((symmetry.act_in if is_input else symmetry.act_out)(g, v))
    if frame is not None:
        images.append(frame.shift(v, np.linspace(1.0, 2.0, PROBES)))
    for image in images:
        if not np.allclose(space.norm(image), space.norm(v), rtol=ISOMETRY):
            raise BadInput(
                f"the inner product of the {what} changes under the symmetry; give one that has "
                "it, as the sum of squares of the nodes"
            )


def check_gain(
    symmetry: Symmetry, images: Images, sizes: np.ndarray, choice: Choice, rng: int
) -> None:
    """Raises BadInput where fewer elements have smaller left-out errors."""
    for elements in largest_subgroups(symmetry.table):
        numbers = np.full(symmetry.size, -1)
        numbers[elements] = np.arange(len(elements))
        table = numbers[symmetry.table[np.ix_(elements, elements)]]
        part = Images(images.z[elements], images.y[elements], irreducible_blocks(table))
        other = choose_kernel(
            part, sizes, rank=choice.rank, form=choice.kernel.form, block=images.widest, rng=rng
        )
        if other.error < CLEARLY * choice.error:
            raise BadInput(
                f"the symmetry {symmetry.name!r} is not that of the data: the error at left-out "
                f"runs is {choice.error:.3g} with it and {other.error:.3g} with only "
                f"{len(elements)} of its {symmetry.size} elements; leave it out, or give one of "
                "fewer elements"
            )


def calibrate(
    model: OperatorGP, a: np.ndarray, u: np.ndarray, errors: np.ndarray, level: float
) -> OperatorGP:
    """The model with its band.

    u, errors (n, m) : answers and their errors at runs that it has not seen
    """
    size = np.sqrt(np.mean(np.abs(errors) ** 2, axis=0))
    features = band_features(model.residual, a, u)
    scale = max(float(np.abs(u + errors).max()), np.finfo(float).tiny)
    names = ("residual",) if model.residual is not None else ("one",)
    band = calibrate_indicator(
        names, features, size, np.arange(len(size)), level=level, floor=FEEBLE * scale
    )
    relative = errors / band.middle(features)
    pattern = np.sqrt(np.mean(relative**2, axis=1))
    return replace(model, band=band, pattern=pattern)


def _no_band(level: float) -> Indicator:
    return Indicator(("one",), np.zeros(2), 0.0, level, 1.0)


def _relative(space: Space, errors: np.ndarray, u: np.ndarray) -> dict[str, float]:
    sizes = np.maximum(space.norm(u), np.finfo(float).tiny)
    return {OWN: float(np.mean(space.norm(errors) / sizes))}


def _check_runs(inputs: Snapshots, outputs: Snapshots) -> tuple[np.ndarray, np.ndarray]:
    """Real inputs and outputs (n, m) in memory. Raises BadInput."""
    for name, runs in (("inputs", inputs), ("outputs", outputs)):
        if runs.space.spread:
            raise BadInput(f"the {name} lie on several ranks; train an operator on one")
        if runs.t is not None:
            raise BadInput(f"the {name} have times; give a field of all times as one column each")
        if len(runs.space.fields) > 1:
            fields = ", ".join(part.name for part in runs.space.fields)
            raise BadInput(f"the {name} hold several fields ({fields}); give one")
        if np.dtype(runs.u.dtype).kind == "c":
            raise BadInput(f"the {name} are complex; give real fields")
    if inputs.m != outputs.m:
        raise BadInput(f"{inputs.m} inputs and {outputs.m} outputs; give those of the same runs")
    if inputs.m < LEAST:
        raise BadInput(f"{inputs.m} runs are too few for an operator; give {LEAST} at least")
    a = np.asarray(inputs.u[:], dtype=float)
    if not np.ptp(a, axis=1).any():
        raise BadInput("all inputs are one field; give runs of different inputs")
    u = np.asarray(outputs.u[:], dtype=float)
    if not np.ptp(u, axis=1).any():
        raise BadInput("all outputs are one field; there is nothing to learn")
    return a, u


def _check_choice(kernel: str | None, rank: int | None) -> None:
    """Raises BadInput for a kernel or a rank that there is not."""
    from rom.gp.kernels import FORMS

    if kernel is not None and kernel not in FORMS:
        raise BadInput(f"no kernel {kernel!r}; known: {', '.join(FORMS)}")
    if rank is not None and (isinstance(rank, bool) or rank < 1):
        raise BadInput(f"rank = {rank!r}; give the number of axes of the inputs, 1 at least")


def _check_symmetry(sizes: tuple[int, int], symmetry: Any, frame: Any) -> None:
    """Raises BadInput for a symmetry of fields of other sizes than (n_in, n_out)."""
    if frame is not None and not isinstance(frame, Translation):
        raise BadInput(f"frame is a {type(frame).__name__}; give a Translation")
    if symmetry is None:
        return
    if not isinstance(symmetry, Symmetry):
        raise BadInput(f"symmetry is a {type(symmetry).__name__}; give a Symmetry")
    own = symmetry.places_in.shape[1], symmetry.places_out.shape[1]
    if own != sizes:
        raise BadInput(
            f"the symmetry is of fields of {own[0]} and {own[1]} values, the runs have "
            f"{sizes[0]} and {sizes[1]}"
        )


def _check_level(level: float) -> None:
    if not 0.5 <= level < 1:
        raise BadInput(f"level = {level:g} must lie in [0.5, 1)")
