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

from cases.thermal_block import problem
from rom.affine import Affine, Monomials
from rom.basis import Basis
from rom.campaign import collect, read, read_unit
from rom.certified import galerkin_model
from rom.certified.stationary import galerkin
from rom.compress.decomposition import pod
from rom.deploy.fmu import FLAGS, SOURCE, write_fmu
from rom.deploy.fmu_constants import constants_header
from rom.design.designs import sobol
from rom.errors import BadInput
from rom.parameters import Box
from rom.snapshots import Snapshots
from rom.space import euclidean


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


def rod(name, unit="1"):
    """A model of one parameter of that name."""
    A = Affine(Monomials(np.ones(1), np.ones((1, 1))), [np.eye(2)])
    f = Affine(Monomials(np.ones(1), np.zeros((1, 1))), [np.ones(2)])
    box = Box((name,), np.array([1.0]), np.array([2.0]), (unit,))
    return galerkin(A, f, Basis(euclidean(2), np.eye(2)), box=box)


OUTPUTS = {"y": (np.ones(2), "K")}
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
    header = constants_header(rod(name), OUTPUTS) + '#define GUID "0"\n'
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "model.h").write_text(header)
        Path(folder, "fmu.c").write_text(SOURCE.read_text())
        Path(folder, "print.c").write_text(PRINTER)
        strict = ("-Wall", "-Werror", "-Wno-unused-variable", "-trigraphs")
        for command in (("cc", *FLAGS, "fmu.c", "-o", "u.so", "-lm"), ("cc", "print.c", "-o", "p")):
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
