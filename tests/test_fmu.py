"""A functional mock-up unit answers as the model it was made of."""

from dataclasses import replace

import numpy as np
import pytest

from cases.thermal_block import problem
from rom.certified import galerkin_model
from rom.compress.decomposition import pod
from rom.deploy.fmu import write_fmu
from rom.design.designs import sobol
from rom.errors import BadInput
from rom.snapshots import Snapshots


@pytest.fixture(scope="module", params=[False, True])
def model(request):
    block = problem(cells=10)
    mus = sobol(block.box, 16)
    snapshots = Snapshots(block.space, mus, np.stack([block.solve(mu) for mu in mus], axis=1))
    return galerkin_model(block, pod(snapshots, rank=6, center=request.param)[0])


def probes(model):
    n = model.basis.space.n
    return {"mean": (np.full(n, 1 / n), "K"), "centre": (np.eye(1, n, n // 2)[0], "K")}


def test_outputs_and_bound_equal_the_model(model, tmp_path):
    import fmpy
    from fmpy.validation import validate_fmu

    path = tmp_path / "block.fmu"
    write_fmu(path, model, probes(model))
    assert validate_fmu(str(path)) == []
    for mu in model.box.from_unit(np.random.default_rng(0).random((4, 4))):
        start = dict(zip(model.box.names, mu, strict=True))
        found = fmpy.simulate_fmu(
            str(path),
            start_values=start,
            stop_time=1.0,
            output_interval=0.5,
            output=["mean", "centre", "error_bound"],
        )
        answer = model.predict(mu)
        state = model.basis.lift(answer.coefficients)
        expected = [*(weights @ state for weights, _ in probes(model).values()), answer.bound]
        np.testing.assert_allclose(list(found[-1])[1:], expected, rtol=1e-10)


def test_a_parameter_outside_the_box_is_an_error_of_the_unit(model, tmp_path):
    import fmpy

    path = tmp_path / "block.fmu"
    write_fmu(path, model, probes(model))
    with pytest.raises(fmpy.fmi1.FMICallException):
        fmpy.simulate_fmu(
            str(path), start_values={"k00": 7.0}, stop_time=1.0, logger=lambda *_: None
        )


def test_refusals(model, tmp_path):
    with pytest.raises(BadInput, match="weights of shape"):
        write_fmu(tmp_path / "a.fmu", model, {"mean": (np.ones(3), "K")})
    with pytest.raises(BadInput, match="Monomials"):
        write_fmu(
            tmp_path / "a.fmu",
            replace(model, f=replace(model.f, theta=np.atleast_1d)),
            probes(model),
        )
    with pytest.raises(BadInput, match="must all differ"):
        write_fmu(tmp_path / "a.fmu", model, {"k00": probes(model)["mean"]})
    assert not list(tmp_path.iterdir())
