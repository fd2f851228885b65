"""Loadings in files: what a TOML says is the loading, and what it says wrongly is named."""

import numpy as np
import pytest

from rom.errors import BadInput
from rom.io import read_loading, write_mesh
from rom.mesh import Mesh

T = np.array([0.0, 0.5, 2.0])
RNG = np.random.default_rng(0)
FORCES, HEAT, LIFT = RNG.random((6, 2)), RNG.random((4, 1)), RNG.random((3, 2))
TOML = """
t = "history.csv#t"

[[force]]
field = "spin.npy"
table = [0.0, 1.0, 1.0]

[[force]]
field = "fields.npz#push"
table = "history.csv#push"

[[temperature]]
field = "fields.npz#hot"
table = [1.0, 2.0, 3.0]

[[motion]]
field = "lift.vtu#lift"
table = [0.0, 1.0, 0.0]
"""


@pytest.fixture
def folder(tmp_path):
    """A TOML and the files it names: dofs of three nodes of a plane, four points."""
    mesh = Mesh(np.array([[0.0, 0], [1, 0], [0, 1]]), {"triangle": np.array([[0, 1, 2]])})
    np.save(tmp_path / "spin.npy", FORCES[:, 0].reshape(3, 2))
    np.savez(tmp_path / "fields.npz", push=FORCES[:, 1], **{"hot [K]": HEAT[:, 0]})
    write_mesh(tmp_path / "lift.vtu", mesh, {"lift": (1e3 * LIFT, "mm")})
    rows = [f"{t},{k / 2}" for k, t in enumerate(T)]
    (tmp_path / "history.csv").write_text("\n".join(["t [s],push", *rows]) + "\n")
    (tmp_path / "load.toml").write_text(TOML)
    return tmp_path


def changed(folder, old, new):
    """The TOML with one text in place of another."""
    assert old in TOML
    path = folder / "load.toml"
    path.write_text(TOML.replace(old, new))
    return path


def test_a_file_is_the_loading_that_it_says(folder):
    loading = read_loading(folder / "load.toml")
    assert np.array_equal(loading.t, T) and np.array_equal(loading.forces, FORCES)
    assert np.array_equal(loading.amplitudes, np.array([[0.0, 1.0, 1.0], [0.0, 0.5, 1.0]]).T)
    assert np.array_equal(loading.temperature(0.5), 2.0 * HEAT[:, 0])
    np.testing.assert_allclose(loading.prescribed(0.5), LIFT.ravel(), rtol=1e-12)
    still = read_loading(changed(folder, TOML[TOML.index("[[motion]]") :], ""))
    assert still.moves is None and still.prescribed(1.0) == 0.0


def test_units_are_converted_or_said_once(folder):
    for unit, factor in (("mm", 1.0), ("m", 1e3)):
        text = f'units = {{ motion = "mm" }}\n{TOML}\nunit = "{unit}"\n'
        (folder / "load.toml").write_text(text)
        lift = read_loading(folder / "load.toml").moves[:, 0]
        np.testing.assert_allclose(lift, factor * 1e3 * LIFT.ravel(), rtol=1e-12)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('"spin.npy"', '"gone.npy"', r"force 0: there is no file .*gone\.npy"),
        ("#push", "#pull", r"force 1: no 'pull' in fields\.npz; .* push, hot"),
        ("[0.0, 1.0, 1.0]", "[0.0, 1.0]", "force 0: the table has 2 entries, there are 3 times"),
        ("[0.0, 1.0, 1.0]", '"history.csv#spin"', r"no 'spin' in history\.csv; .* t, push"),
        ('"spin.npy"', '"fields.npz#hot"', "is in 'K', not in 'N'"),
        ('"fields.npz#push"', '"four.npy"', "force 1: the field has 4 rows, that of force 0 has 6"),
        ('"fields.npz#push"', '"nan.npy"', "force 1: the field holds NaN or Inf at row 2"),
        ('"fields.npz#push"', '"junk.npy"', r"force 1: junk\.npy is no whole"),
        ('"lift.vtu#lift"', '"four.npy"', "motion fields have 4 rows, force fields 6"),
        ("[[motion]]", "[[moves]]", "no key 'moves'"),
        ("[[force]]\nfield", "[[force]]\nfields", "force 0: no key 'fields'"),
        ('t = "history.csv#t"', "", "no times"),
        ('t = "history.csv#t"', "t = [0.0, 2.0, 1.0]", "times of a loading must increase"),
        ('t = "history.csv#t"', "t = ", "is no TOML"),
        (TOML[TOML.index("[[temperature]]") :], "", r"no \[\[temperature\]\]"),
    ],
)
def test_what_is_wrong_in_a_file_is_named(folder, old, new, message):
    np.save(folder / "four.npy", np.ones(4))
    np.save(folder / "nan.npy", np.where(np.arange(6) == 2, np.nan, 0.0))
    (folder / "junk.npy").write_bytes(b"junk")
    with pytest.raises(BadInput, match=message):
        read_loading(changed(folder, old, new))


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(BadInput, match=r"gone\.toml"):
        read_loading(tmp_path / "gone.toml")
