"""Certified online answers of the 3 x 3 thermal block.

Ours one by one and in batches, pyMOR's on the same matrices and basis.
"""

from __future__ import annotations

import numpy as np

from cases.thermal_block import problem
from hpc.bench._rows import seconds, show
from rom.certified import galerkin_model, reduced_basis
from rom.design.designs import sobol


def main(blocks: int = 3, cells: int = 100, r: int = 30, queries: int = 1000) -> None:
    """Print microseconds per query for solution and bound together."""
    block = problem(blocks, cells)
    model, _ = reduced_basis(block, sobol(block.box, 256), tol=1e-12, rank=r)
    model = galerkin_model(block, model.basis)
    mus = block.box.from_unit(np.random.default_rng(0).random((queries, block.box.p)))
    batch, answer = seconds(lambda: model.predict(mus), 7)
    single, _ = seconds(lambda: [model.predict(mu) for mu in mus[:200]], 3)
    full, _ = seconds(lambda: [block.solve(mu) for mu in mus[:5]], 1)
    flops = 2 * r**3 / 3 + 2 * blocks**2 * r**2 + 2 * model.bound.T.size
    M = np.random.default_rng(0).standard_normal((1000, 1000))
    rate = 2e9 / seconds(lambda: M @ M, 5)[0]
    rows = [
        ("floating-point floor", 1e6 * flops / rate),
        ("ours, batch of 1000", 1e6 * batch / queries),
        ("ours, one by one", 1e6 * single / 200),
    ]
    try:
        rows += pymor(block, model, mus[:200], answer)
    except ImportError:
        rows.append(("pyMOR (not installed)", float("nan")))
    rows.append(("full solve", 1e6 * full / 5))
    show(
        f"Thermal block {blocks} x {blocks}, {block.space.size} dofs, r = {r}: solution and bound",
        ("method", "us / query", "x ours in a batch"),
        [(name, time, time / (1e6 * batch / queries)) for name, time in rows],
    )


def pymor(block, model, mus: np.ndarray, answer) -> list[tuple[str, float]]:
    """pyMOR's CoerciveRBReductor on our operators, product and basis; its bounds must be ours."""
    from pymor.core.logger import set_log_levels
    from pymor.models.basic import StationaryModel
    from pymor.operators.constructions import LincombOperator, VectorOperator
    from pymor.operators.numpy import NumpyMatrixOperator
    from pymor.parameters.functionals import (
        MinThetaParameterFunctional,
        ProjectionParameterFunctional,
    )
    from pymor.reductors.coercive import CoerciveRBReductor

    set_log_levels({"pymor": "ERROR"})
    p = block.box.p
    operators = [NumpyMatrixOperator(term.tocsc()) for term in block.A.terms]
    thetas = [ProjectionParameterFunctional("mu", p, q) for q in range(p)]
    space = operators[0].source
    rhs = VectorOperator(space.make_array(block.f.terms[0][:, None]))
    product = NumpyMatrixOperator(block.space.product.tocsc())
    fom = StationaryModel(LincombOperator(operators, thetas), rhs, products={"X": product})
    basis = space.make_array(np.ascontiguousarray(model.basis.modes))
    alpha = MinThetaParameterFunctional(thetas, np.ones(p))
    reduced = CoerciveRBReductor(
        fom, RB=basis, product=product, coercivity_estimator=alpha, check_orthonormality=False
    ).reduce()
    parameters = [fom.parameters.parse(mu) for mu in mus]
    took, found = seconds(
        lambda: [(reduced.solve(mu), reduced.estimate_error(mu)) for mu in parameters], 3
    )
    gap = max(
        abs(float(np.ravel(bound)[0]) / answer.bound[j] - 1) for j, (_, bound) in enumerate(found)
    )
    print(f"largest relative difference of pyMOR's bounds and ours: {gap:.1e}")
    return [("pyMOR solve + estimate_error", 1e6 * took / len(mus))]


if __name__ == "__main__":
    main()
