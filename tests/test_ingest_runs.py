"""Many runs at once: `rom ingest FOLDER --csv parameters.csv` fills a campaign."""

import json
import re
import shlex
from pathlib import Path

import numpy as np
import pytest
import pyvista as pv
from typer.testing import CliRunner

from rom.campaign import open_store, read
from rom.cli.app import app
from rom.io import ingest_files, read_frames

X = np.array([[0, 0, 0], [1, 0, 0], [1, 1, 0], [0, 1, 0]], float)


def run(*arguments, code=0):
    result = CliRunner().invoke(app, ["ingest", *map(str, arguments)])
    assert result.exit_code == code, result.output
    return result.output


def grid(values, clockwise=False):
    cells = [3, 0, 2, 1, 3, 0, 3, 2] if clockwise else [3, 0, 1, 2, 3, 0, 2, 3]
    made = pv.UnstructuredGrid(np.array(cells), [5, 5], X)
    made.point_data["T [K]"] = np.asarray(values, float)
    made.point_data["U [mm]"] = np.outer(values, [1.0, 2, 3])
    return made


def campaign(folder, m=12):
    """Runs 1 to m: T = k + node, U in mm; a file beside them that is none of the runs."""
    (folder / "results").mkdir()
    for k in range(1, m + 1):
        grid(k + np.arange(4)).save(folder / "results" / f"run{k}.vtu")
    (folder / "results" / "readme.txt").write_text("notes")
    rows = "".join(f"{k},{k * k}\n" for k in range(1, m + 1))
    (folder / "p.csv").write_text(f"k [W/m/K],load [N]\n{rows}")
    return folder / "results", folder / "p.csv"


ASKED = ("--field", "T=K", "--field", "U=m")


def test_a_folder_and_a_table_are_a_campaign_with_names_units_and_box(tmp_path):
    folder, csv = campaign(tmp_path)
    facts = json.loads(run(folder, "--csv", csv, *ASKED, "--store", tmp_path / "s", "--json"))
    assert facts["runs"] == 12 and facts["files"] == 12
    store, snapshots = open_store(tmp_path / "s"), read(tmp_path / "s")
    assert store.box.names == ("k", "load") and store.box.units == ("W/m/K", "N")
    assert store.box.lower.tolist() == [1, 1] and store.box.upper.tolist() == [12, 144]
    fields = {field.name: field for field in snapshots.space.fields}
    assert fields["T"].unit == "K" and fields["U"].unit == "m" and fields["U"].components == 3
    for mu, u in zip(snapshots.mu, snapshots.u.T, strict=True):
        T, U = u[fields["T"].rows], u[fields["U"].rows].reshape(4, 3)
        assert np.array_equal(T, mu[0] + np.arange(4)) and mu[1] == mu[0] ** 2
        assert np.allclose(U, np.outer(T, [1e-3, 2e-3, 3e-3]), rtol=1e-15)


def test_it_goes_on_where_it_stopped_and_names_the_file_that_is_broken(tmp_path):
    folder, csv = campaign(tmp_path, 4)
    whole = (folder / "run3.vtu").read_bytes()
    (folder / "run3.vtu").write_bytes(whole[:200])
    command = (folder, "--csv", csv, *ASKED, "--store", tmp_path / "s")
    assert "1 of 4 runs" in run(*command, code=2)
    assert len(read(tmp_path / "s").mu) == 3
    (folder / "run3.vtu").write_bytes(whole)
    begun = {file.name: file.stat().st_mtime_ns for file in (tmp_path / "s" / "samples").iterdir()}
    run(*command)
    for file in (tmp_path / "s" / "samples").iterdir():
        assert begun.get(file.name, file.stat().st_mtime_ns) == file.stat().st_mtime_ns
    assert len(read(tmp_path / "s").mu) == 4


def test_rows_of_the_same_parameters_are_times_of_one_run(tmp_path):
    folder, _ = campaign(tmp_path, 6)
    rows = "".join(f"run{2 * k + j + 1}.vtu,{k},{0.5 * j}\n" for k in range(3) for j in (1, 0))
    (tmp_path / "t.csv").write_text(f"file,a,t [s]\n{rows}")
    run(folder, "--csv", tmp_path / "t.csv", *ASKED, "--store", tmp_path / "s")
    store, snapshots = open_store(tmp_path / "s"), read(tmp_path / "s")
    assert store.times.tolist() == [0, 0.5]
    trajectories = np.asarray(snapshots.u).reshape(len(snapshots.u), 3, 2)
    assert trajectories[0].tolist() == [[1, 2], [3, 4], [5, 6]]


@pytest.mark.parametrize(
    "text, match",
    [
        ("k\n1\n2\n", "3 rows|2 rows, and .* holds 4 .vtu"),
        ("k\n1\n2\n2\n3\n", "rows 3 and 4 have the same parameters"),
        ("k,q\n1,5\n2,5\n3,5\n4,5\n", "'q' is the same in all rows"),
        ("file,k\nrun1.vtu,1\nrun9.vtu,2\n", "'run9.vtu' is no file"),
        ("file\nrun1.vtu\n", "names no parameters"),
    ],
)
def test_tables_that_do_not_fit_are_named(text, match, tmp_path):
    import re

    folder, _ = campaign(tmp_path, 4)
    (tmp_path / "b.csv").write_text(text)
    output = run(folder, "--csv", tmp_path / "b.csv", *ASKED, "--store", tmp_path / "s", code=2)
    assert re.search(match, " ".join(output.split())), output


def test_a_mesh_turned_round_is_taken_for_nodal_fields_and_turned_on_demand(tmp_path):
    grid(np.arange(4), clockwise=True).save(tmp_path / "a.vtu")
    run(tmp_path / "a.vtu", "--field", "T=K", "--out", tmp_path / "a.h5")
    plain = ingest_files([tmp_path / "a.vtu"], {"T": "K"})
    turned = ingest_files([tmp_path / "a.vtu"], {"T": "K"}, turn=True)
    assert plain.mesh.cells["triangle"].tolist() == [[0, 2, 1], [0, 3, 2]]
    assert turned.mesh.cells["triangle"].tolist() == [[0, 1, 2], [0, 2, 3]]
    assert np.array_equal(plain.fields["T"], turned.fields["T"])


def test_a_result_without_units_says_which_option_gives_one(tmp_path):
    made = grid(np.arange(4))
    made.point_data["p"] = np.arange(4.0)
    made.save(tmp_path / "a.vtu")
    output = run(tmp_path / "a.vtu", "--field", "p=Pa", "--out", tmp_path / "a.h5", code=2)
    assert "--written p=UNIT" in " ".join(output.split())


def transient_plates(folder):
    """Ten plates that cool, T and U at three times: 30 files, U in millimetres."""
    (folder / "results").mkdir()
    grid = pv.ImageData(dimensions=(6, 6, 1), spacing=(0.2, 0.2, 1)).cast_to_unstructured_grid()
    x, y = grid.points[:, 0], grid.points[:, 1]
    rows = ["k [W/m/K],t [s],file"]
    for k in np.linspace(1, 4, 10):
        for t in (0.0, 1.0, 2.0):
            name = f"run{len(rows)}.vtu"
            grid.point_data["T [K]"] = cooled(x, y, k, t)
            grid.point_data["U [mm]"] = np.column_stack([x * np.exp(-k * t / 2), y / k, 0 * x])
            grid.save(folder / "results" / name)
            rows.append(f"{k},{t},{name}")
    (folder / "parameters.csv").write_text("\n".join(rows) + "\n")


def cooled(x, y, k, t):
    return 300 + 20 * np.exp(-k * t / 2) * np.sin(np.pi * x) * np.sin(np.pi * y)


def test_five_commands_of_the_readme_lead_from_files_to_a_picture(tmp_path, monkeypatch):
    """Names and units come through; errors in T are those of the closed form, not only reported."""
    readme = (Path(__file__).parents[1] / "README.md").read_text()
    (block,) = [text for text in re.findall(r"```sh\n(.*?)```", readme, re.DOTALL)
        if text.startswith("rom ingest results")]  # fmt: skip
    commands = [shlex.split(line)[1:] for line in block.splitlines()]
    assert [words[0] for words in commands] == ["ingest", "train", "study", "predict", "view"]
    transient_plates(tmp_path)
    monkeypatch.chdir(tmp_path)
    for words in commands:
        result = CliRunner().invoke(app, [*words, *(["--json"] if words[0] == "study" else [])])
        assert result.exit_code == 0, result.output
        if words[0] == "study":
            errors = json.loads(result.output.splitlines()[-1])
            for name in ("T", "U"):
                ours = errors[f"max_rel_error {name}"]
                assert ours < 0.1 * errors[f"max_rel_error of nearest run, {name}"]
    mesh, frames = read_frames(tmp_path / "cooling.vtkhdf")
    states = list(frames)
    assert np.allclose([state.t for state in states], np.arange(0, 2.25, 0.25))
    T, unit = states[4].points["T"]
    assert unit == "K" and states[4].points["U"][1] == "m"
    exact = cooled(mesh.points[:, 0], mesh.points[:, 1], 2.5, 1.0)
    assert np.abs(T - exact).max() < 0.01 * 20
    assert (tmp_path / "cooling.png").read_bytes()[:4] == b"\x89PNG"
