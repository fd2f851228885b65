"""Results of other codes: what our solver writes comes back equal from every format; what is wrong is named."""

import json
import subprocess
import sys

import numpy as np
import pytest

from cases.viscoplastic_cube import cube, ten_steps
from rom.collect.archive import load
from rom.errors import BadInput, ForeignFile
from rom.export.files import write_mesh
from rom.export.ingest import ingest, ordered
from rom.mesh import Mesh
from solvers.bricks import box
from solvers.solid import march

MANDEL = np.array([1, 1, 1, np.sqrt(2), np.sqrt(2), np.sqrt(2)])


@pytest.fixture(scope="module")
def history():
    """A body, its mesh in volume cells alone, and nodal and cell fields of three steps."""
    b = cube(2)
    loading = ten_steps(b)
    h = march(b, loading, loading.t[:4])
    mesh = Mesh(b.mesh.points, {"hexahedron": b.mesh.cells["hexahedron"]})
    u = h.u.reshape(-1, 3, 3)
    stress = h.stress.reshape(8, 8, 6, 3).mean(axis=1) / MANDEL[:, None]
    return b, mesh, u, stress


def written(folder, mesh, u, stress, suffix, unit="mm"):
    paths = [folder / f"step{k}{suffix}" for k in range(u.shape[2])]
    for k, path in enumerate(paths):
        cells = {f"s{i}": (stress[:, i, k], "MPa") for i in range(stress.shape[1])}
        write_mesh(path, mesh, {"displacement": (u[..., k], unit)}, cells)
    return paths


@pytest.mark.parametrize("suffix", [".vtu", ".vtk", ".vtkhdf", ".xdmf", ".msh"])
def test_what_our_solver_writes_comes_back(suffix, history, tmp_path):
    _, mesh, u, stress = history
    whole = suffix != ".msh"  # which carries no fields on cells
    paths = written(tmp_path, mesh, u, stress[:, : 6 * whole], suffix)
    asked = {"displacement": "m", **{f"s{i}": "Pa" for i in range(6 * whole)}}
    found, fields, where = ingest(paths, asked)
    assert np.array_equal(found.points, mesh.points) and np.array_equal(found.cells["hexahedron"], mesh.cells["hexahedron"])
    assert np.allclose(fields["displacement"], 1e-3 * u, rtol=1e-15, atol=0) and where["displacement"] == "points"
    if not whole:
        return
    back = np.concatenate([fields[f"s{i}"] for i in range(6)], axis=1)
    assert np.allclose(back, 1e6 * stress, rtol=1e-15, atol=0) and where["s0"] == "cells"


def test_an_ingested_history_trains_the_same_basis(history, tmp_path):
    from rom.compress.pod import pod
    from rom.snapshots import Snapshots

    b, mesh, u, stress = history
    _, fields, _ = ingest(written(tmp_path, mesh, u, stress, ".vtu", "m"), {"displacement": "m"})
    ours, theirs = (
        pod(Snapshots(b.space, np.zeros((3, 1)), x.reshape(-1, 3)), rank=2)[0] for x in (u.copy(), fields["displacement"])
    )
    assert np.array_equal(ours.modes, theirs.modes)


def test_wrong_files_are_named(history, tmp_path):
    _, mesh, u, stress = history
    paths = written(tmp_path, mesh, u, stress, ".vtu")
    with pytest.raises(BadInput, match="no files"):
        ingest([], {"displacement": "m"})
    with pytest.raises(BadInput, match=r"no field 'velocity'.*displacement"):
        ingest(paths, {"velocity": "m/s"})
    with pytest.raises(BadInput, match="is in 'mm', not in 'Pa'"):
        ingest(paths, {"displacement": "Pa"})
    whole = paths[1].read_bytes()
    paths[1].write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ForeignFile, match="step1"):
        ingest(paths, {"displacement": "m"})
    paths[1].write_text("Dear colleague, please find attached")
    with pytest.raises(ForeignFile, match="step1"):
        ingest(paths, {"displacement": "m"})
    paths[1].unlink()
    with pytest.raises(ForeignFile, match="no file"):
        ingest(paths, {"displacement": "m"})
    write_mesh(paths[1], Mesh(1.1 * mesh.points, mesh.cells), {"displacement": (u[..., 1], "mm")})
    with pytest.raises(BadInput, match="another mesh"):
        ingest(paths, {"displacement": "m"})


@pytest.mark.parametrize("kind", ["hexahedron", "tetra", "tetra10"])
def test_cells_turned_inside_out_are_named(kind, tmp_path):
    mesh = box((2, 1, 1), 1.0, kind)
    cells = mesh.cells[kind].copy()
    good = Mesh(mesh.points, {kind: cells.copy()})
    cells[1] = cells[1][{"hexahedron": [4, 5, 6, 7, 0, 1, 2, 3], "tetra": [1, 0, 2, 3]}.get(kind, [1, 0, 2, 3, 4, 6, 5, 8, 7, 9])]
    for name, part in (("good", good), ("bad", Mesh(mesh.points, {kind: cells}))):
        write_mesh(tmp_path / f"{name}.vtu", part, {"T": (np.ones(len(mesh.points)), "K")})
    assert ingest([tmp_path / "good.vtu"], {"T": "K"})[0].digest == good.digest
    with pytest.raises(BadInput, match=f"bad.vtu: {kind} cell 1"):
        ingest([tmp_path / "bad.vtu"], {"T": "K"})


def test_integration_points_of_another_order_are_put_in_ours(history):
    b, *_ = history
    values = np.sin(b.x).sum(axis=1)
    order = np.random.default_rng(0).permutation(len(values))
    assert np.array_equal(ordered(values[order], b.x[order], b.x), values)
    with pytest.raises(BadInput, match="units, mesh or rule"):
        ordered(values, 1e3 * b.x, b.x)
    with pytest.raises(BadInput, match="same rule"):
        ordered(values[:8], b.x[:8], b.x)


def test_the_command_ingests(history, tmp_path):
    _, mesh, u, stress = history
    paths = written(tmp_path, mesh, u, stress, ".vtu")
    run = [
        sys.executable,
        "-c",
        "from rom.cli import app; app()",
        "ingest",
        *map(str, paths),
        "--field",
        "depl=m",
        "--rename",
        "displacement=depl",
    ]
    done = subprocess.run([*run, "--out", str(tmp_path / "h.h5"), "--json"], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout.splitlines()[-1])["files"] == 3
    found = load(tmp_path / "h.h5")
    assert np.allclose(found["fields"]["depl"], 1e-3 * u, rtol=1e-15) and found["mesh"].digest == mesh.digest
    wrong = subprocess.run([*run[:-2], "--out", str(tmp_path / "h.h5")], capture_output=True, text=True, timeout=60)
    assert wrong.returncode == 2 and "no field 'depl'" in wrong.stderr
