"""A functional mock-up unit answers as the model it was made of."""

import subprocess
import tempfile
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

import rom
from cases.thermal_block import problem
from rom.affine import Affine, Monomials
from rom.basis import Basis
from rom.campaign import collect, read, read_unit
from rom.certified import galerkin_model
from rom.certified.stationary import galerkin
from rom.certified.transient import unsteady
from rom.compress.decomposition import pod
from rom.deploy.fmu import FLAGS, unit_sources, write_fmu
from rom.design.designs import sobol
from rom.errors import BadInput
from rom.parameters import Box
from rom.snapshots import Snapshots
from rom.space import euclidean
from tests.pages import BOX, kernels, process, sizes_of_sums


@pytest.fixture(scope="module", params=[False, True])
def model(request):
    block = problem(cells=10)
    mus = sobol(block.box, 16)
    snapshots = Snapshots(block.space, mus, np.stack([block.solve(mu) for mu in mus], axis=1))
    return galerkin_model(block, pod(snapshots, rank=6, center=request.param)[0])


def probes(model):
    n = model.basis.space.n
    return {"mean": (np.full(n, 1 / n), "K"), "centre": (np.eye(1, n, n // 2)[0], "K")}


@pytest.mark.parametrize("version", ["2.0", "3.0"])
def test_outputs_and_bound_equal_the_model(model, version, tmp_path):
    import fmpy
    from fmpy.validation import validate_fmu

    path = tmp_path / "block.fmu"
    write_fmu(path, model, probes(model), version=version)
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


def compile_strictly(sources, folder):
    """Refuses what a compiler warns of."""
    for file, text in (sources | {"model.h": sources["model.h"] + '#define GUID "0"\n'}).items():
        (folder / file).write_text(text)
    command = ["cc", *FLAGS, *STRICT, "fmu.c", "-o", "u.so", "-lm"]
    built = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert built.returncode == 0, built.stderr


def ends_of(path, mus, names, outputs):
    """Outputs of a unit at rest, for each row of mus."""
    import fmpy

    rows = []
    for mu in mus:
        start = dict(zip(names, mu, strict=True))
        options = {"start_values": start, "stop_time": 1.0, "output_interval": 1.0}
        found = fmpy.simulate_fmu(str(path), **options, output=outputs)
        rows.append([found[name][-1] for name in outputs])
    return np.array(rows)


@pytest.mark.parametrize("version", ["2.0", "3.0"])
@pytest.mark.parametrize("kernel", kernels())
def test_a_process_of_fields_tells_means_and_deviations(kernel, version, tmp_path):
    from fmpy.validation import validate_fmu

    model, _ = process(kernel, "constant" if kernel == "sum" else "linear")
    weights = np.random.default_rng(0).random((2, 13))
    outputs = {"heat": (weights[0], "K"), "flow": (weights[1], "m/s")}
    path = tmp_path / "gp.fmu"
    write_fmu(path, model, outputs, version=version)
    assert validate_fmu(str(path)) == []
    compile_strictly(unit_sources(model, outputs, version)[0], tmp_path)
    mus = rom.latin_hypercube(model.box, 5)
    names = ["heat", "flow", "heat_std", "flow_std"]
    told = ends_of(path, mus, model.box.names, names)
    mean, std = model.gp.posterior(mus, noise=True)
    state = model.basis.lift(mean.T)
    room = 1e-10 * np.abs(state).max() + 4 * np.finfo(float).eps * sizes_of_sums(model)
    np.testing.assert_allclose(told[:, :2], (weights @ state).T, rtol=0, atol=room)
    factors = np.repeat(model.stretch, [5, 8])
    modes = (weights * factors) @ model.basis.modes
    variance = std**2 @ modes.T**2 + ((weights * factors * model.tail) ** 2).sum(axis=1)
    np.testing.assert_allclose(told[:, 2:] ** 2, variance, rtol=1e-6)


@pytest.mark.parametrize("version", ["2.0", "3.0"])
def test_a_process_of_outputs_has_its_own(version, tmp_path):
    from fmpy.validation import validate_fmu

    x = rom.sobol(BOX, 16)
    a = np.stack([np.log(x[:, 0]) * x[:, 1], x[:, 1] ** 2], axis=1)
    gp = rom.coefficient_gp(x, a + 0.02 * np.random.default_rng(0).random(a.shape), BOX)
    path = tmp_path / "gp.fmu"
    write_fmu(path, gp, version=version)
    assert validate_fmu(str(path)) == []
    mus = rom.latin_hypercube(BOX, 5)
    told = ends_of(path, mus, BOX.names, ["a1", "a2", "a1_std", "a2_std"])
    mean, std = gp.posterior(mus, noise=True)
    np.testing.assert_allclose(told[:, :2], mean, rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(told[:, 2:], std, rtol=1e-6)
    with pytest.raises(BadInput, match="has its own"):
        write_fmu(path, gp, {"y": (np.ones(2), "K")})


@pytest.mark.parametrize("version", ["2.0", "3.0"])
@pytest.mark.parametrize("theta", [1.0, 0.5])
def test_an_unsteady_unit_tracks_its_model(theta, version, tmp_path):
    import fmpy
    from fmpy.validation import validate_fmu

    rng = np.random.default_rng(0)
    times = np.linspace(0.0, 10.0, 1001)
    level = np.repeat(rng.standard_normal(10), 100)
    signal = np.concatenate([level[:1], level])  # of each step, at its end
    one, other = rng.standard_normal((2, 12, 12))
    A = Affine(
        Monomials(np.ones(2), np.array([[1.0, 0.0], [0.0, 1.0]])), [one @ one.T, other @ other.T]
    )
    f = Affine(Monomials(np.ones(1), np.zeros((1, 2))), [rng.standard_normal(12)])
    basis = Basis(euclidean(12), np.linalg.qr(rng.standard_normal((12, 4)))[0])
    box = Box(("a", "b"), np.full(2, 0.1), np.ones(2), ("W", "m2/s"))
    start = rng.standard_normal(12)
    options = {"theta": theta, "initial": start, "box": box}
    model = unsteady(np.eye(12), A, f, basis, times, signal=signal, **options)
    weights = {"y": (rng.random(12), "K")}
    path = tmp_path / "u.fmu"
    write_fmu(path, model, weights, version=version)
    assert validate_fmu(str(path)) == []
    compile_strictly(unit_sources(model, weights, version)[0], tmp_path)
    if theta < 1:  # what a step sees is the mean of its ends: hold it by ends that are equal
        model = replace(model, signal=None)
    levels = level if theta == 1 else np.ones(1000)
    column = np.array(
        list(zip(times, np.append(levels, levels[-1]), strict=True)),
        dtype=[("time", float), ("signal", float)],
    )
    mu = np.array([0.3, 0.7])
    run = {"start_values": {"a": mu[0], "b": mu[1]}, "output": ["y"], "input": column}
    run |= {"stop_time": 10.0, "output_interval": 0.01, "step_size": 0.01}
    told = fmpy.simulate_fmu(str(path), **run)["y"]
    a = model.predict(mu).coefficients
    expected = weights["y"][0] @ basis.modes @ a
    assert len(told) == 1001
    np.testing.assert_allclose(told, expected, rtol=0, atol=1e-8 * np.abs(expected).max())
    with pytest.raises(fmpy.fmi1.FMICallException):
        fmpy.simulate_fmu(
            str(path), stop_time=1.0, output_interval=0.013, logger=lambda *_: None,
            fmi_call_logger=None,
        )  # fmt: skip


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


def rod(name, unit="1"):
    """A model of one parameter of that name."""
    A = Affine(Monomials(np.ones(1), np.ones((1, 1))), [np.eye(2)])
    f = Affine(Monomials(np.ones(1), np.zeros((1, 1))), [np.ones(2)])
    box = Box((name,), np.array([1.0]), np.array([2.0]), (unit,))
    return galerkin(A, f, Basis(euclidean(2), np.eye(2)), box=box)


OUTPUTS = {"y": (np.ones(2), "K")}
STRICT = ("-Wall", "-Werror", "-Wno-unused-variable", "-Wno-unused-const-variable")
CODE = '"}; __attribute__((constructor)) static void run(void) { abort(); } char *more[] = {"'
PRINTER = """
#include <stdio.h>
#include "model.h"
int main(void) { fputs(NAMES[0], stdout); return 0; }
"""


@settings(max_examples=25, deadline=None, derandomize=True)
@given(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1))
@example(CODE)
@example("a\\")
@example("a\n#include </etc/passwd>")
@example('??/" };')
@example("%s%n")
@example("gr\u00f6\u00dfe \N{GREEK SMALL LETTER MU}9")
def test_any_name_is_a_string_of_c_and_nothing_else(name):
    sources = unit_sources(rod(name), OUTPUTS, "2.0")[0]
    sources["model.h"] += '#define GUID "0"\n'
    with tempfile.TemporaryDirectory() as folder:
        for file, text in sources.items():
            Path(folder, file).write_text(text)
        Path(folder, "print.c").write_text(PRINTER)
        strict = (*STRICT, "-trigraphs")
        for command in (("cc", "-fsyntax-only", *FLAGS, "fmu.c"), ("cc", "print.c", "-o", "p")):
            built = subprocess.run(
                [*command, *strict], cwd=folder, capture_output=True, text=True, check=False
            )
            assert built.returncode == 0, built.stderr
        told = subprocess.run([Path(folder, "p")], capture_output=True, check=True)
    assert told.stdout.decode() == name


@pytest.mark.parametrize("name", ["a\nb", "a\0b", "\x1b[31m", "a" * 300])
def test_names_that_xml_cannot_hold_are_refused(name, tmp_path):
    with pytest.raises(BadInput, match="printable"):
        write_fmu(tmp_path / "a.fmu", rod(name), OUTPUTS)
    with pytest.raises(BadInput, match="printable"):
        write_fmu(tmp_path / "a.fmu", rod("a", unit=name), OUTPUTS)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["../a", "a b", "1a", "", "a;b", "-o", "a" * 65, "\u00e9", "a\n"])
def test_a_unit_is_named_by_an_identifier(name, tmp_path):
    with pytest.raises(BadInput, match="C identifier"):
        write_fmu(tmp_path / "a.fmu", rod("k"), OUTPUTS, name=name)
    assert not list(tmp_path.iterdir())


def test_code_in_a_name_does_not_run(tmp_path):
    import fmpy

    write_fmu(tmp_path / "a.fmu", rod(CODE), OUTPUTS)
    with zipfile.ZipFile(tmp_path / "a.fmu") as unit:
        assert "{ abort" not in unit.read("sources/model.h").decode()
    answer = fmpy.simulate_fmu(str(tmp_path / "a.fmu"), stop_time=1.0, output=["y"])
    np.testing.assert_allclose(answer["y"], 2 / 1.5)


def test_a_unit_is_a_solver_with_the_box_of_its_description(model, tmp_path):
    path = tmp_path / "block.fmu"
    write_fmu(path, model, probes(model))
    solve = read_unit(path, ("mean", "error_bound"), 1.0)
    assert solve.box.names == model.box.names and solve.fields[0].unit == "K"
    np.testing.assert_array_equal(solve.box.upper, model.box.upper)
    mus = model.box.from_unit(np.random.default_rng(1).random((3, 4)))
    assert collect(solve, mus, tmp_path / "s", box=solve.box).solved == 3
    weights = probes(model)["mean"][0]
    for mu, u in zip(mus, read(tmp_path / "s").u.T, strict=True):
        answer = model.predict(mu)
        expected = [weights @ model.basis.lift(answer.coefficients), float(answer.bound)]
        np.testing.assert_allclose(u, np.ravel(expected), rtol=1e-10)


def test_a_unit_answers_at_times(model, tmp_path):
    path = tmp_path / "block.fmu"
    write_fmu(path, model, probes(model))
    solve = read_unit(path, ("mean", "centre"), np.linspace(0.0, 1.0, 5))
    u = solve(model.box.upper)
    assert u.shape == (2, 5)
    np.testing.assert_allclose(u, u[:, :1] * np.ones(5), rtol=1e-12)


@pytest.mark.parametrize(
    ("outputs", "times", "box", "message"),
    [
        (("nothing",), 1.0, None, r"block.fmu has no output 'nothing'; it has: mean, centre"),
        (("mean",), 1.0, Box(("q",), [0.0], [1.0]), r"has no parameter 'q'; it has: "),
        (("mean",), np.array([0.0, 0.1, 1.0]), None, r"times of a unit must be evenly spaced"),
    ],
)
def test_what_a_unit_does_not_have_is_named(outputs, times, box, message, model, tmp_path):
    path = tmp_path / "block.fmu"
    write_fmu(path, model, probes(model))
    with pytest.raises(BadInput, match=message):
        read_unit(path, outputs, times, box=box)
    path.write_bytes(b"no zip")
    with pytest.raises(BadInput, match=r"block.fmu is no functional mock-up unit"):
        read_unit(path, outputs, times, box=box)
