"""How small a residual can be measured: four ways to evaluate |r|_{X'}.

-u'' + mu_1 u' + mu_2 u = 1 on ]0, 1[, u(0) = u(1) = 0: the study of Casenave, Ern and Lelievre
(2014) with two parameters. The floor of an evaluation is its largest error relative to the load's
dual norm, at unseen parameters, against extended precision: about 3e-8 for E2, below 1e-15 for
orthonormalised images.
"""

from __future__ import annotations

from functools import partial

import numpy as np
import scipy.sparse as sp
from scipy.sparse.linalg import splu

from rom.affine import Affine, Monomials
from rom.certified import GalerkinModel, MinTheta, bound_by, reduced_basis, sampled_residual
from rom.cli.launch import run
from rom.cli.ship import ship_model
from rom.design.designs import sobol
from rom.errors import BadInput
from rom.mesh import Mesh
from rom.parameters import Box
from rom.points.interpolation import eim
from rom.problem import Problem
from rom.space import Field, Space


def problem(cells: int = 400) -> Problem:
    """P1 elements; X is the product of the derivatives.

    In it the form is coercive with constant 1 for mu_2 >= 0.
    """
    n, h = cells - 1, 1.0 / cells
    stiff, drift, mass = (
        sp.csr_array(
            sp.diags_array(
                [np.full(n - 1, low), np.full(n, mid), np.full(n - 1, high)], offsets=[-1, 0, 1]
            )
        )
        for low, mid, high in ((-1 / h, 2 / h, -1 / h), (-0.5, 0.0, 0.5), (h / 6, 2 * h / 3, h / 6))
    )
    A = Affine(
        Monomials(np.ones(3), np.array([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0]])), [stiff, drift, mass]
    )
    f = Affine(Monomials(np.ones(1), np.zeros((1, 2))), [np.full(n, h)])
    space = Space(
        stiff, np.arange(n), fields=(Field("u", "1", np.arange(n), 1, np.arange(1, cells), 0.0),)
    )
    points = np.linspace(0.0, 1.0, cells + 1)[:, None]
    mesh = Mesh(points, {"line": np.column_stack([np.arange(cells), np.arange(1, cells + 1)])})
    box = Box(("drift", "reaction"), np.array([0.0, 1.0]), np.array([10.0, 100.0]))
    unit = MinTheta(Monomials(np.ones(1), np.zeros((1, 2))), np.zeros(2))
    return Problem(partial(_solve, A, f), box, space, mesh, A=A, f=f, stability=unit)


def _solve(A: Affine, f: Affine, mu: np.ndarray) -> np.ndarray:
    return splu(sp.csc_array(A(mu))).solve(f(mu))


def extended_norms(
    bar: Problem, model: GalerkinModel, mus: np.ndarray, a: np.ndarray
) -> np.ndarray:
    """|r|_{X'} (m,) of reduced solutions a (m, r), in extended precision."""
    wide = np.longdouble
    if np.finfo(wide).eps > 1e-18 or bar.A is None or bar.f is None:
        raise BadInput("this machine has no extended precision; run the study on x86")
    u = model.basis.modes.astype(wide) @ a.T.astype(wide)
    theta = [np.ones(len(mus), dtype=wide), *mus.T.astype(wide)]
    r = np.repeat(bar.f.terms[0].astype(wide)[:, None], len(mus), axis=1)
    for c, term in zip(theta, bar.A.terms, strict=True):
        r -= c * tridiagonal(term, u)
    return np.sqrt(np.sum(r * inverse(bar.A.terms[0], r), axis=0)).astype(float)


def tridiagonal(A: sp.csr_array, u: np.ndarray) -> np.ndarray:
    """A u in the precision of u."""
    low, mid, high = (A.diagonal(k).astype(u.dtype)[:, None] for k in (-1, 0, 1))
    out = mid * u
    out[1:] += low * u[:-1]
    out[:-1] += high * u[1:]
    return out


def inverse(A: sp.csr_array, r: np.ndarray) -> np.ndarray:
    """A^{-1} r by elimination in the precision of r."""
    low, mid, high = (A.diagonal(k).astype(r.dtype) for k in (-1, 0, 1))
    x = r.copy()
    for i in range(1, len(x)):
        w = low[i - 1] / mid[i - 1]
        mid[i] -= w * high[i - 1]
        x[i] -= w * x[i - 1]
    x[-1] /= mid[-1]
    for i in range(len(x) - 2, -1, -1):
        x[i] = (x[i] - high[i] * x[i + 1]) / mid[i]
    return x


def main(
    cells: int = 400,
    rank: int = 16,
    train: int = 480,
    fresh: int = 100,
    out: str | None = None,
) -> dict[str, float]:
    """Floors of the residual norms of a greedy basis, relative to the load.

    At `fresh` unseen parameters.
    """
    bar = problem(cells)
    assert bar.box is not None
    box = bar.box
    model, _ = reduced_basis(bar, sobol(box, 256), tol=0.0, rank=rank)
    if out is not None:
        ship_model(out, model, "cases.diffusion_bound", mesh=bar.mesh)
    A, f, basis, stability = bar.A, bar.f, model.basis, bar.stability
    if A is None or f is None or stability is None:
        raise BadInput("the case is affine by construction")
    rng = np.random.default_rng(3)
    forms = {
        name: bound_by(A, f, basis, stability, form=name, dtype=np.longdouble)
        for name in ("full", "gram", "images")
    }

    def solved(m: int) -> tuple[np.ndarray, np.ndarray]:
        mus = box.from_unit(rng.random((m, 2)))
        return mus, model.predict(mus).coefficients.T

    size = 1 + 3 * basis.r
    random, chosen = solved(size * (size + 1) // 2), solved(train)
    forms["random"] = sampled_residual(forms["full"], forms["images"], *random)
    forms["eim"] = sampled_residual(
        forms["full"], forms["images"], *chosen, rule=partial(eim, tol=1e-15)
    )
    mus, a = solved(fresh)
    truth, load = (
        extended_norms(bar, model, mus, a),
        extended_norms(bar, model, mus[:1], np.zeros((1, basis.r)))[0],
    )
    floors = {
        name: float(np.abs(form.residual(mus, a) - truth).max() / load)
        for name, form in forms.items()
    }
    bare = float(np.abs(forms["images"].norm(mus, a) - truth).max() / load)
    return {
        "residual_floor_e1": floors["full"],
        "residual_floor_e2": floors["gram"],
        "residual_floor_e3": floors["random"],
        "residual_floor_e4": floors["eim"],
        "residual_floor_qr": floors["images"],
        "residual_floor_qr_unguarded": bare,
        "largest_residual": float(truth.max() / load),
        "N": basis.r,
        "products": size * (size + 1) // 2,
        "e4_samples": len(forms["eim"].squares),
    }


if __name__ == "__main__":
    run(main)
