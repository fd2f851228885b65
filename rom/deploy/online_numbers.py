"""The numbers that the online stage of a model needs, as plain arrays by name."""

from __future__ import annotations

from typing import Any

import numpy as np

from rom.affine import Monomials
from rom.certified.residual import ResidualBound
from rom.certified.stability import MinTheta
from rom.certified.stationary import GalerkinModel
from rom.deploy.fmu_constants import bound_constants, galerkin_constants
from rom.errors import BadInput
from rom.gp.averages import ProcessAverage
from rom.gp.coefficients import CoefficientGP
from rom.gp.composed import Product, Selected, Sum
from rom.gp.fields import FieldGP
from rom.gp.kernels import Stationary
from rom.gp.spectral import Spectral

Numbers = dict[str, Any]
NO_BOUND = "The bound of this model is not in this page: its stability constant is no min-theta."


def online_numbers(model: Any) -> tuple[str, Numbers, list[str]]:
    """(kind, numbers, notes for readers) of a model that plain arithmetic answers.

    kind : "galerkin" or "process"
    Raises BadInput naming what of the model arithmetic of a page cannot answer.
    """
    if isinstance(model, GalerkinModel):
        return _galerkin(model)
    if isinstance(model, FieldGP):
        return "process", _average(model), []
    raise BadInput(
        f"a page answers stationary Galerkin models and regressions by processes, not a "
        f"{type(model).__name__}; rom view and rom serve answer all models"
    )


def _galerkin(model: GalerkinModel) -> tuple[str, Numbers, list[str]]:
    monomials = all(isinstance(term.theta, Monomials) for term in (model.A, model.f))
    if model.box is None or not monomials:
        raise BadInput(
            "a page needs a model with a box and Monomials as coefficient functions; functions "
            "of Python cannot be written into it"
        )
    if np.iscomplexobj(model.A.terms) or np.iscomplexobj(model.basis.modes):
        raise BadInput("a page answers real models; rom view and rom serve answer complex ones")
    sizes, arrays = galerkin_constants(model)
    numbers: Numbers = {**sizes, **arrays}
    notes = []
    if _has_plain_bound(model.bound):
        for part in bound_constants(model):
            numbers |= part
    elif model.bound is not None:
        notes.append(NO_BOUND)
    return "galerkin", numbers, notes


def _has_plain_bound(bound: Any) -> bool:
    stability = bound.stability if isinstance(bound, ResidualBound) else None
    return isinstance(stability, MinTheta) and isinstance(stability.theta, Monomials)


def _average(model: FieldGP) -> Numbers:
    """Weights and processes of a regression."""
    gp = model.gp
    if not isinstance(gp, CoefficientGP | ProcessAverage):
        raise BadInput(
            f"a page answers regressions by processes; this one is a {model.kind}: train with "
            "--regressor gp"
        )
    if np.iscomplexobj(model.basis.modes) or gp.r != model.basis.r:
        raise BadInput("a page answers real fields; rom view and rom serve answer complex ones")
    processes = gp.processes if isinstance(gp, ProcessAverage) else (gp,)
    weights = gp.weights if isinstance(gp, ProcessAverage) else np.ones(1)
    return {"weights": weights, "processes": [_process(each) for each in processes]}


def _process(gp: CoefficientGP) -> Numbers:
    """Of one process: runs, trend, weights, and the factors of each group."""
    solution, m = gp.solution, len(gp.x)
    groups = []
    for g, (factors, kernel) in enumerate(zip(gp.factors, gp.kernels, strict=True)):
        groups.append(
            {
                "outputs": np.flatnonzero(gp.groups == g).tolist(),
                "kernel": _kernel(kernel, list(range(gp.x.shape[1]))),
                "L": factors.L,
                "LH": factors.LH,
                "A": factors.A,
                "nugget": float(gp.nuggets[g]),
                "stretch": float(gp.stretch[g]),
            }
        )
    return {
        "m": m, "r": gp.r, "trend": gp.mean, "x": gp.x, "beta": solution.beta,
        "weights": solution.weights, "variance": solution.variance,
        "bends": None if gp.bends is None else gp.bends, "groups": groups,
    }  # fmt: skip


def _kernel(kernel: Any, columns: list[int]) -> Numbers:
    """A kernel of these columns of the inputs."""
    if isinstance(kernel, Selected):
        return _kernel(kernel.kernel, [columns[k] for k in kernel.columns])
    if isinstance(kernel, Stationary):
        form = {"kind": "stationary", "form": kernel.form, "lengths": kernel.lengths}
        return {**form, "columns": columns}
    if isinstance(kernel, Product):
        return {"kind": "product", "terms": [_kernel(term, columns) for term in kernel.kernels]}
    if isinstance(kernel, Sum):
        terms = [_kernel(term, columns) for term in kernel.kernels]
        return {"kind": "sum", "weights": kernel.weights, "terms": terms}
    if isinstance(kernel, Spectral):
        return {
            "kind": "spectral", "form": kernel.envelope, "weights": kernel.weights,
            "frequencies": kernel.frequencies, "lengths": kernel.lengths, "columns": columns,
        }  # fmt: skip
    raise BadInput(f"a page knows no {type(kernel).__name__}; train with another --kernel")
