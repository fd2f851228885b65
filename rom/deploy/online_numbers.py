"""The numbers that the online stage of a model needs, as plain arrays by name."""

from __future__ import annotations

from typing import Any

import numpy as np

from rom.affine import Monomials
from rom.certified.residual import ResidualBound
from rom.certified.stability import MinTheta
from rom.certified.stationary import GalerkinModel
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
    numbers, notes = galerkin_numbers(model), []
    bound = None if model.bound is None else bound_numbers(model.bound)
    if bound is not None:
        numbers |= bound
    elif model.bound is not None:
        notes.append(NO_BOUND)
    return "galerkin", numbers, notes


def galerkin_numbers(model: Any) -> Numbers:
    """Sizes and arrays of a Galerkin model, stationary or not.

    Raises BadInput where its coefficient functions are no Monomials, and for complex models.
    """
    A, f, box, shift = model.A, model.f, model.box, getattr(model, "shift", None)
    if box is None or not all(isinstance(term.theta, Monomials) for term in (A, f)):
        raise BadInput(
            "units and pages need a model with a box and Monomials as coefficient functions; "
            "functions of Python cannot be written into them"
        )
    if np.iscomplexobj(A.terms) or np.iscomplexobj(f.terms):
        raise BadInput("units and pages answer real models; rom serve answers complex ones")
    numbers: Numbers = {
        "P": box.p, "R": model.basis.r, "QA": len(A.terms), "QF": len(f.terms),
        "SHIFT": int(shift is not None), "K": 0, "LOWER": box.lower, "UPPER": box.upper,
        "A_R": A.terms, "C_A": A.theta.coefficients, "P_A": A.theta.powers,
        "F_R": f.terms, "C_F": f.theta.coefficients, "P_F": f.theta.powers,
    }  # fmt: skip
    return numbers if shift is None else {**numbers, "G_R": shift.terms}


def bound_numbers(bound: Any) -> Numbers | None:
    """Of a residual bound over a min-theta constant; None for other bounds."""
    alpha = bound.stability if isinstance(bound, ResidualBound) else None
    if not isinstance(alpha, MinTheta) or not isinstance(alpha.theta, Monomials):
        return None
    return {
        "ALPHA": float(alpha.constant), "GUARD": float(bound.guard),
        "K": bound.T.shape[1], "K_ROWS": bound.T.shape[0], "T_R": bound.T,
        "T_SIZE": bound.hidden / bound.guard,
        "THETA_REF": alpha.theta(np.asarray(alpha.mu_ref, dtype=float)),
    }  # fmt: skip


def _average(model: FieldGP) -> Numbers:
    """Weights and processes of a regression of real fields."""
    numbers = process_numbers(model.gp)
    if np.iscomplexobj(model.basis.modes) or model.gp.r != model.basis.r:
        raise BadInput("a page answers real fields; rom view and rom serve answer complex ones")
    return numbers


def process_numbers(gp: Any) -> Numbers:
    """Weights and processes of a regression. Raises BadInput for others."""
    if not isinstance(gp, CoefficientGP | ProcessAverage):
        raise BadInput(
            "units and pages answer regressions by processes, not interpolations of runs or "
            "models of GPyTorch: train with --regressor gp"
        )
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
        "m": m, "p": gp.x.shape[1], "r": gp.r, "trend": gp.mean, "x": gp.x, "beta": solution.beta,
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
    raise BadInput(f"units and pages know no {type(kernel).__name__}; train with another --kernel")
