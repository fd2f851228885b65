"""Files alike: written by pieces, bit for bit those of HDF5, and read where the journal says."""

import numpy as np
import pytest
from typer.main import get_group

from rom.archive.nouns import load, save
from rom.archive.templates import MOST, TEMPLATES, save_alike
from rom.campaign import collect, read
from rom.campaign.records import sample_extent
from rom.cli import app as commands


@pytest.mark.parametrize("shape", [(1, 7), (3, 1000), (2, 0)])
@pytest.mark.parametrize("dtype", [float, np.float32, complex])
def test_the_second_file_of_a_layout_has_the_bytes_that_hdf5_writes(tmp_path, shape, dtype):
    rng = np.random.default_rng(0)
    for k in range(3):
        noun = {"key": f"{k:064d}", "mu": rng.random(2), "steps": rng.random(shape).astype(dtype)}
        digest, size, places = save_alike(tmp_path / "a", noun)
        assert digest == save(tmp_path / "b", noun)
        content = (tmp_path / "a").read_bytes()
        assert content == (tmp_path / "b").read_bytes() and len(content) == size
        np.testing.assert_array_equal(load(tmp_path / "a")["steps"], noun["steps"])
        with open(tmp_path / "a", "rb") as raw:
            np.testing.assert_array_equal(places["mu"].read(raw), noun["mu"])


def test_records_of_a_store_without_places_are_read_as_before(tmp_path, monkeypatch):
    mus = np.random.default_rng(0).random((5, 1))
    collect(lambda mu: mu[0] * np.arange(30.0), mus, tmp_path)
    exact = read(tmp_path).u
    monkeypatch.setattr("rom.campaign.reading._choose", _without_places)
    np.testing.assert_array_equal(read(tmp_path).u, exact)


def _without_places(store, mus):
    records = list(store.manifest.done.values())
    for record in records:
        for entry in record["files"]:
            entry.pop("steps")
    return [store.manifest.done[key] for key in store.manifest.order]


@pytest.mark.parametrize(
    "steps",
    [
        [0, [1, 30], "<f8"],
        [2048, [1, 999], "<f8"],
        [2048, [1, 30], "O"],
        [2048.5, [1, 30], "<f8"],
    ],
)
def test_places_outside_of_a_file_are_refused(steps):
    with pytest.raises(ValueError, match="steps"):
        sample_extent({"bytes": 4096, "steps": steps})


def test_help_says_of_each_command_what_the_command_says():
    for name, (module, line) in commands.COMMANDS.items():
        group = get_group(commands.import_module(f"rom.cli.{module}").app)
        command = group if name == "shapes" else group.commands[name]
        assert command.help.split("\n")[0] == line


def test_the_newest_layouts_are_kept(tmp_path):
    for k in range(MOST + 3):
        save_alike(tmp_path / "a.h5", {"u": np.arange(k + 1.0)})
    newest = {shape for layout in TEMPLATES for _, _, shape in layout if shape}
    assert len(TEMPLATES) == MOST and (MOST + 3,) in newest and (1,) not in newest
