"""Snapshots in xarray and pandas."""

import numpy as np
import pytest

import rom
from rom.errors import BadInput
from rom.io import from_dataset, from_table, to_dataset, to_table
from rom.snapshots import Snapshots
from rom.space import euclidean

BOX = rom.Box(("k", "q"), [0.0, 0.0], [1.0, 1.0], ("W/m", "W"))
FIELDS = (rom.Field("T", "K", np.arange(3)), rom.Field("v", "m/s", np.arange(3, 7), 2))
MU = np.random.default_rng(0).random((4, 2))
U = np.arange(28.0).reshape(7, 4)
T = np.array([0.0, 1.0, 2.0, 3.0])
RUNS = Snapshots(euclidean(7, fields=FIELDS), MU, U, T)


def test_a_dataset_has_fields_units_and_parameters():
    dataset = to_dataset(RUNS, BOX)
    assert dataset["T"].dims == ("sample", "T_row") and dataset["T"].attrs["units"] == "K"
    assert dataset["v"].shape == (4, 2, 2) and dataset["k"].attrs["units"] == "W/m"
    np.testing.assert_array_equal(dataset["T"].sel(T_row=1), U[1])
    np.testing.assert_array_equal(dataset["v"][2, 1, 0], U[5, 2])
    np.testing.assert_array_equal(dataset.coords["q"], MU[:, 1])
    hot = dataset.where(dataset.t > 1, drop=True)
    assert from_dataset(hot).m == 2


def test_a_dataset_comes_back():
    other = from_dataset(to_dataset(RUNS, BOX))
    np.testing.assert_array_equal(other.u, U)
    np.testing.assert_array_equal(other.mu, MU)
    np.testing.assert_array_equal(other.t, T)
    assert [(f.name, f.unit, f.components) for f in other.space.fields] == [
        ("T", "K", 1),
        ("v", "m/s", 2),
    ]


def test_a_table_has_a_row_per_sample_and_comes_back():
    table = to_table(RUNS, BOX)
    assert table.shape == (4, 10) and list(table.columns[0]) == ["k", "W/m", -1]
    np.testing.assert_array_equal(table["v", "m/s", 3], U[6])
    other = from_table(table)
    np.testing.assert_array_equal(other.u, U)
    np.testing.assert_array_equal(other.mu, MU)
    np.testing.assert_array_equal(other.t, T)


def test_other_labels_are_refused():
    dataset = to_dataset(RUNS)
    assert list(dataset.coords) == ["mu0", "mu1", "t"]
    with pytest.raises(BadInput, match="has axes"):
        from_dataset(dataset.isel(sample=0))
    with pytest.raises(BadInput, match="no variables"):
        from_dataset(dataset[[]])
    with pytest.raises(BadInput, match="the columns are"):
        from_table(to_table(RUNS)["T"])
    with pytest.raises(BadInput, match="has 1 parameters"):
        to_dataset(RUNS, rom.Box(("k",), [0.0], [1.0]))
