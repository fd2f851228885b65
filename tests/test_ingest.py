"""Results of other codes.

What is written in every format comes back equal and trains the same model; what is wrong is named.
"""

import json
import shutil
import sys

import numpy as np
import pytest
from typer.testing import CliRunner

from cases.viscoplastic_cube import FLAT, cube, ten_steps
from rom.archive.nouns import load
from rom.cli.app import app
from rom.errors import BadInput, DamagedFile, ForeignFile, MissingExtra
from rom.io.files import write_mesh
from rom.io.grid import to_grid
from rom.io.placement import reorder
from rom.io.readers.ansys import cdb_frames
from rom.io.result import Result, history_of_result
from rom.io.series import ingest_files
from rom.io.writers.vtkhdf import write_vtkhdf
from rom.mesh import Mesh
from rom.solids.calibration import step_errors
from rom.solids.model import Tolerances
from rom.solids.runs import follow
from rom.solids.training import train_solid
from solvers.bricks import box
from solvers.solid import body, march, points
from tests import foreign

ROOT2 = np.sqrt(2)
MANDEL = np.array([1, 1, 1, ROOT2, ROOT2, ROOT2])
ORDER = ("11", "22", "33", "12", "23", "31")  # of Z-set
ROWS = [0, 1, 2, 5, 3, 4]
SERIES = [".vtu", ".vtk", ".vtkhdf", ".xdmf", ".med"]


@pytest.fixture(scope="module")
def run():
    """A body, its history, its mesh with a region of cells and a node set beside its faces, and
    tensor components (g, 6, m) of stress.
    """
    b = cube(2)
    loading = ten_steps(b)
    h = march(b, loading, loading.t)
    half = {"half": {"hexahedron": np.array([0, 3, 5])}}
    mesh = Mesh(
        b.mesh.points, b.mesh.cells, {**b.mesh.regions, **half}, {"corner": np.array([0, 7, 20])}
    )
    return b, loading, h, mesh, (h.stress / MANDEL[:, None])[:, ROWS]


def cellwise(mesh, values):
    """(g, c) as cell fields (e, q c); cells that fill no space hold zeros."""
    rows = values.reshape(len(mesh.cells["hexahedron"]), -1)
    return np.vstack(
        [rows, np.zeros((sum(map(len, mesh.cells.values())) - len(rows), rows.shape[1]))]
    )


def written(folder, run, suffix, unit="mm", steps=10, turn=slice(None)):
    """One file per time: displacements, stresses and p at points of integration and their
    positions; `turn` is another order of these.
    """
    b, _, h, mesh, sigma = run
    paths = [folder / f"step{k}{suffix}" for k in range(steps)]
    for k, path in enumerate(paths):
        inner = {"sigma": (sigma[:, :, k], "MPa"), "epcum": (h.p[:, k], "1"), "where": (b.x, "mm")}
        cells = {
            name: (cellwise(mesh, v.reshape(8, 8, -1)[:, turn].reshape(64, -1)), theirs)
            for name, (v, theirs) in inner.items()
        }
        write_mesh(path, mesh, {"displacement": (h.u[:, k].reshape(-1, 3), unit)}, cells)
    return paths


def z_set(folder, run):
    b, _, h, mesh, sigma = run
    nodal = {f"U{i + 1}": h.u.reshape(-1, 3, len(h.t))[:, i] for i in range(3)}
    inner = {f"sig{name}": sigma[:, k] for k, name in enumerate(ORDER)} | {"epcum": h.p}
    return foreign.zset(folder, mesh, h.t, nodal, inner, b.x)


CELLWISE = {
    "fields": {"displacement": "mm"}, "unit": "mm", "integration": {"sigma": "MPa", "epcum": "1"},
    "positions": "where", "at": points,
}  # fmt: skip
ZSET = {
    "fields": {"displacement": "mm"}, "unit": "mm", "integration": {"sigma": "MPa", "epcum": "1"},
    "at": points,
    "rename": {"U1,U2,U3": "displacement", ",".join(f"sig{name}" for name in ORDER): "sigma"},
    "written": {"displacement": "mm", "sigma": "MPa", "epcum": "1"},
}  # fmt: skip


def same_sets(found, mesh):
    kept = {
        name: {k: v.tolist() for k, v in parts.items() if len(v)}
        for name, parts in mesh.regions.items()
    }
    assert {
        name: {k: v.tolist() for k, v in parts.items() if len(v)}
        for name, parts in found.regions.items()
    } == kept
    assert {name: sorted(v.tolist()) for name, v in found.nodes.items()} == {
        k: sorted(v.tolist()) for k, v in mesh.nodes.items()
    }


@pytest.mark.parametrize("suffix", SERIES)
def test_what_our_solver_writes_comes_back(suffix, run, tmp_path):
    _, _, h, mesh, sigma = run
    found = ingest_files(written(tmp_path, run, suffix, steps=3), **CELLWISE)
    assert np.array_equal(found.mesh.points, mesh.points) and np.array_equal(
        found.mesh.cells["hexahedron"], mesh.cells["hexahedron"]
    )
    same_sets(found.mesh, mesh)
    assert np.array_equal(found.fields["displacement"], h.u.reshape(-1, 3, 10)[..., :3])
    assert np.array_equal(found.fields["sigma"], sigma[..., :3]) and np.array_equal(
        found.fields["epcum"][:, 0], h.p[:, :3]
    )
    assert (
        found.where == {"displacement": "points", "sigma": "integration", "epcum": "integration"}
        and found.t is None
    )


def test_gmsh_carries_meshes_regions_and_nodal_fields(run, tmp_path):
    _, _, h, mesh, _ = run
    plain = Mesh(
        mesh.points, mesh.cells, {k: v for k, v in mesh.regions.items() if k != "half"}, mesh.nodes
    )
    write_mesh(tmp_path / "a.msh", plain, {"displacement": (h.u[:, 0].reshape(-1, 3), "mm")})
    found = ingest_files([tmp_path / "a.msh"], {"displacement": "m"})
    assert np.allclose(
        found.fields["displacement"][..., 0], 1e-3 * h.u[:, 0].reshape(-1, 3), rtol=1e-15, atol=0
    )
    same_sets(found.mesh, plain)


def test_abaqus_carries_the_mesh_and_its_sets(run, tmp_path):
    from rom.io.files import read_mesh

    mesh = run[3]
    same_sets(read_mesh(write_mesh(tmp_path / "a.inp", mesh)), mesh)


def test_ansys_carries_the_mesh_and_its_components_and_is_refused_where_it_is_cut(
    tmp_path, monkeypatch
):
    archive = pytest.importorskip("mapdl_archive")
    made, order = box((2, 2, 3)), np.random.default_rng(0).permutation(36)
    mesh = Mesh(
        made.points[np.argsort(order)], {"hexahedron": order[made.cells["hexahedron"]]}, unit="mm"
    )
    low, half = np.flatnonzero(mesh.points[:, 2] == 0), np.array([0, 2, 3, 4, 9])
    drawn = to_grid(mesh)
    drawn.point_data["LOW"], drawn.cell_data["HALF"] = (
        np.isin(np.arange(36), low),
        np.isin(np.arange(12), half),
    )
    archive.save_as_archive(tmp_path / "a.cdb", drawn)
    found = ingest_files(
        [tmp_path / "a.cdb"],
        {"ansys_material_type": "1"},
        unit="mm",
        written={"ansys_material_type": "1"},
    )
    assert np.abs(found.mesh.points - mesh.points).max() < 1e-12
    same_sets(
        found.mesh,
        Mesh(found.mesh.points, mesh.cells, {"HALF": {"hexahedron": half}}, {"LOW": low}, "mm"),
    )
    assert np.array_equal(found.mesh.cells["hexahedron"], mesh.cells["hexahedron"])
    text = (tmp_path / "a.cdb").read_text().rstrip()
    for size in (
        0,
        text.index("NBLOCK"),
        text.index("NBLOCK") + 300,
        text.index("EBLOCK") + 200,
        text.index("CMBLOCK") + 40,
        len(text),
    ):
        (tmp_path / "cut.cdb").write_text(text[:size])
        with pytest.raises(ForeignFile, match=r"cut\.cdb"):
            ingest_files([tmp_path / "cut.cdb"], {"ansys_material_type": "1"})
    monkeypatch.setitem(sys.modules, "mapdl_archive", None)
    with pytest.raises(MissingExtra, match="ansys"):
        next(cdb_frames(tmp_path / "a.cdb", "m"))


@pytest.mark.parametrize("steps", [1, 3])
def test_files_of_several_times(steps, run, tmp_path, monkeypatch):
    import meshio

    _, _, h, mesh, _ = run
    u, t = h.u.reshape(-1, 3, 10)[..., :steps], h.t[:steps]
    monkeypatch.chdir(tmp_path)  # where meshio puts the arrays of a series
    write_vtkhdf(tmp_path / "a.vtkhdf", mesh, {"displacement": (u, "mm")}, t)
    with meshio.xdmf.TimeSeriesWriter(tmp_path / "a.xdmf") as writer:
        writer.write_points_cells(mesh.points, list(mesh.cells.items()))
        for k in range(steps):
            writer.write_data(t[k], point_data={"displacement [mm]": u[..., k]})
    for k in range(steps):
        write_mesh(tmp_path / f"p{k}.vtu", mesh, {"displacement": (u[..., k], "mm")})
    sets = "".join(f'<DataSet timestep="{float(t[k])!r}" file="p{k}.vtu"/>' for k in range(steps))
    (tmp_path / "a.pvd").write_text(
        f'<VTKFile type="Collection" version="0.1"><Collection>{sets}</Collection></VTKFile>'
    )
    for name in ("a.vtkhdf", "a.xdmf", "a.pvd")[
        steps == 1 :
    ]:  # VTK tells no time of a .vtkhdf of one
        found = ingest_files([tmp_path / name], {"displacement": "mm"})
        assert np.array_equal(found.fields["displacement"], u) and np.array_equal(found.t, t), name
    with pytest.raises(BadInput, match="know their times"):
        ingest_files([tmp_path / "a.pvd"], {"displacement": "mm"}, times=t)
    with pytest.raises(BadInput, match="order of time"):
        ingest_files([tmp_path / "a.pvd"] * 2, {"displacement": "mm"})


@pytest.mark.parametrize("name", ["ensight", "exodus", "cgns"])
def test_what_other_programs_write_comes_back(name, run, tmp_path):
    _, _, h, mesh, sigma = run
    hexa = Mesh(mesh.points, {"hexahedron": mesh.cells["hexahedron"]})
    u, s = h.u[:, 3].reshape(-1, 3), sigma.reshape(8, 8, 6, -1)[:, 0, 0, 3]
    if name == "cgns":
        nodal = {f"Displacement{axis}": u[:, k] for k, axis in enumerate("XYZ")}
        path = foreign.cgns(tmp_path, hexa.points, hexa.cells["hexahedron"], nodal, {"s": s})
        names, tol = ("Displacement", "s"), 0.0
    else:
        path = getattr(foreign, name)(tmp_path, to_grid(hexa, {"u": (u, "")}, {"s": (s, "")}))
        names, tol = (
            {"ensight": ("u_n", "s_c"), "exodus": ("u_", "s")}[name],
            1e-6,
        )  # EnSight holds single precision
    found = ingest_files(
        [path], dict.fromkeys(names, "mm"), unit="mm", written=dict.fromkeys(names, "mm")
    )
    assert np.abs(found.mesh.points - hexa.points).max() <= 1e-7 and np.array_equal(
        found.mesh.cells["hexahedron"], hexa.cells["hexahedron"]
    )
    assert np.abs(found.fields[names[0]][..., 0] - u).max() <= tol * np.abs(u).max()
    assert np.abs(found.fields[names[1]][:, 0, 0] - s).max() <= tol * np.abs(s).max()
    assert found.where == {names[0]: "points", names[1]: "cells"}


def test_z_set_comes_back_in_single_precision_with_its_sets_and_times(run, tmp_path):
    pytest.importorskip("Muscat")
    b, _, h, mesh, sigma = run
    found = ingest_files([z_set(tmp_path, run)], **ZSET)
    assert np.array_equal(
        found.mesh.cells["hexahedron"], mesh.cells["hexahedron"]
    ) and np.array_equal(found.mesh.points, mesh.points)
    volumes = Mesh(
        mesh.points,
        {"hexahedron": mesh.cells["hexahedron"]},
        {"half": mesh.regions["half"]},
        mesh.nodes,
    )
    same_sets(found.mesh, volumes)
    assert np.allclose(found.t, h.t, rtol=1e-12) and np.array_equal(found.x, b.x)
    for name, exact in (
        ("displacement", h.u.reshape(-1, 3, 10)),
        ("sigma", sigma),
        ("epcum", h.p[:, None]),
    ):
        assert np.abs(found.fields[name] - exact).max() <= 1e-7 * np.abs(exact).max(), name


def test_strains_of_a_real_z_set_run_are_those_of_its_displacements():
    data = pytest.importorskip("Muscat.TestData").GetTestDataPath() + "UtExample/cube.ut"
    names = ",".join(f"eto{name}" for name in ORDER)
    found = ingest_files(
        [data],
        {"u": "1"},
        unit="1",
        rename={"U1,U2,U3": "u", names: "strain"},
        integration={"strain": "1"},
        at=points,
        written={"u": "1", "strain": "1"},
    )
    mesh = Mesh(found.mesh.points, {"hexahedron": found.mesh.cells["hexahedron"]})
    ours = body(mesh, {None: FLAT}, np.zeros(1, dtype=int)).strain(
        found.fields["u"][..., -1].ravel()
    )
    theirs = found.fields["strain"][..., -1] * MANDEL[ROWS]
    assert (
        found.t.tolist() == [0.0, 0.1, 0.15, 0.2]
        and "x0" in found.mesh.nodes
        and "x0" in found.mesh.regions
    )
    assert np.abs(ours[:, ROWS] - theirs).max() < 1e-6 * np.abs(theirs).max()


def test_points_of_integration_of_another_order_are_put_in_ours(run, tmp_path):
    b, _, _, _, sigma = run
    turn = np.array([0, 4, 2, 6, 1, 5, 3, 7])
    found = ingest_files(written(tmp_path, run, ".vtu", steps=2, turn=turn), **CELLWISE)
    assert np.array_equal(found.fields["sigma"], sigma[..., :2]) and np.array_equal(found.x, b.x)
    left = ingest_files(
        written(tmp_path, run, ".vtu", steps=1, turn=turn), **{**CELLWISE, "at": None}
    )
    assert np.array_equal(left.x, b.x.reshape(8, 8, 3)[:, turn].reshape(-1, 3))
    values = np.sin(b.x).sum(axis=1)
    order = np.random.default_rng(0).permutation(len(values))
    assert np.array_equal(reorder(values[order], b.x[order], b.x), values)
    with pytest.raises(BadInput, match="units, mesh or rule"):
        reorder(values, 1e3 * b.x, b.x)
    with pytest.raises(BadInput, match="same rule"):
        reorder(values[:8], b.x[:8], b.x)


def answer(b, loading, h):
    model = train_solid(b, [h], Tolerances(1e-6, 1e-6, 1e-6, 1e-6))
    return follow(model, b, loading).states


@pytest.mark.parametrize("how", [".vtu", ".vtkhdf", ".med", ".ut"])
def test_foreign_files_train_the_model_that_our_own_history_trains(how, run, tmp_path):
    """Solver -> files -> rom ingest -> train -> online.

    Single precision files agree to what they hold.
    """
    b, loading, h, _, _ = run
    if how == ".ut":
        pytest.importorskip("Muscat")
        files = [z_set(tmp_path, run)]
        more = [
            "--rename",
            "U1,U2,U3=displacement",
            "--rename",
            ",".join(f"sig{n}" for n in ORDER) + "=sigma",
            "--written",
            "displacement=mm",
            "--written",
            "sigma=MPa",
            "--written",
            "epcum=1",
        ]
    else:
        files = written(tmp_path, run, how, turn=np.arange(8)[::-1])
        more = ["--positions", "where", "--times", ",".join(f"{t:.17g}" for t in h.t)]
    asked = [
        "--field",
        "displacement=mm",
        "--integration",
        "sigma=MPa",
        "--integration",
        "epcum=1",
        "--unit",
        "mm",
    ]
    commanded(
        *map(str, files),
        *asked,
        "--order",
        "solvers.solid:points",
        *more,
        "--out",
        str(tmp_path / "h.h5"),
    )
    theirs = history_of_result(
        load(tmp_path / "h.h5"), u="displacement", stress="sigma", p="epcum", order=ORDER
    )
    tol = 1e-4 if how == ".ut" else 1e-12
    for ours, back in (
        (h.u, theirs.u),
        (h.stress, theirs.stress),
        (h.p, theirs.p),
        (h.t, theirs.t),
    ):
        assert np.abs(ours - back).max() <= min(tol, 1e-7) * np.abs(ours).max()
    for one, other in zip(answer(b, loading, h), answer(b, loading, theirs), strict=True):
        assert np.abs(one.u() - other.u()).max() <= tol * np.abs(h.u).max()
        assert np.abs(one.p() - other.p()).max() <= tol * h.p.max()
    assert step_errors(b, answer(b, loading, theirs), h)[1].max() < 1e-3


def commanded(*arguments, code=0):
    done = CliRunner().invoke(app, ["ingest", *arguments, *(["--json"] if code == 0 else [])])
    assert done.exit_code == code, done.output
    return done.output if code else json.loads(done.stdout.splitlines()[-1])


def test_ingested_results_become_a_campaign_that_is_reduced(run, tmp_path):
    from rom.campaign import open_store, read

    _, _, h, _, sigma = run
    paths = written(tmp_path, run, ".vtu", steps=4)
    store = tmp_path / "runs"
    for k, path in enumerate(paths):
        given = [
            "--field",
            "displacement=mm",
            "--integration",
            "sigma=MPa",
            "--positions",
            "where",
            "--unit",
            "mm",
        ]
        commanded(str(path), *given, "--store", str(store), "--mu", f"{h.t[k]},{k**2}")
    snapshots = read(store)
    assert (
        np.array_equal(snapshots.mu, np.column_stack([h.t[:4], np.arange(4.0) ** 2]))
        and open_store(store).mesh.digest
    )
    rows = {field.name: field.rows for field in snapshots.space.fields}
    assert np.array_equal(snapshots.u[rows["displacement"]], h.u[:, :4])
    assert np.array_equal(snapshots.u[rows["sigma"]], sigma[..., :4].reshape(-1, 4))
    done = CliRunner().invoke(
        app, ["reduce", str(store), "--out", str(tmp_path / "m.h5"), "--rank", "2"]
    )
    assert done.exit_code == 0, done.output
    wrong = ["--field", "displacement=m", "--store", str(store), "--mu", "9,9"]
    assert "another campaign" in commanded(str(paths[0]), *wrong, code=2)


def test_wrong_files_are_named(run, tmp_path):
    _, _, h, mesh, _ = run
    paths = written(tmp_path, run, ".vtu", steps=3)
    cases = [
        ({"fields": {"velocity": "m/s"}}, r"no field 'velocity'.*displacement"),
        ({"fields": {"displacement": "Pa"}}, "is in 'mm', not in 'Pa'"),
        (
            {"fields": {"displacement": "m"}, "written": {"displacement": "m"}},
            "not, as you say, in 'm'",
        ),
        (
            {"fields": {"displacement": "m"}, "written": {"speed": "m"}},
            "'speed', which is not asked for",
        ),
        ({"fields": {"displacement": "m"}, "times": [0.0, 1.0]}, "2 times are given for 3 states"),
        ({"fields": {"displacement": "m"}, "times": [0.0, 1.0, 1.0]}, "time 1 s follows 1 s"),
        (
            {"fields": {}, "integration": {"sigma": "MPa"}},
            "name the field that holds their positions",
        ),
        (
            {"fields": {}, "integration": {"sigma": "MPa"}, "positions": "epcum"},
            "positions 'epcum' have shape",
        ),
        (
            {"fields": {}, "integration": {"sigma": "MPa"}, "positions": "where"},
            r"of cell \d lie outside it; their unit",
        ),
        (
            {
                "fields": {},
                "integration": {"sigma": "MPa"},
                "positions": "where",
                "unit": "mm",
                "at": lambda m: points(m)[:8],
            },
            "same rule",
        ),
    ]
    for settings, match in cases:
        with pytest.raises(BadInput, match=match):
            ingest_files(paths, **settings)
    with pytest.raises(BadInput, match="no files"):
        ingest_files([], {"displacement": "m"})
    swapped = written(tmp_path, run, ".vtk", steps=1)
    write_mesh(
        swapped[0],
        mesh,
        {},
        {
            "where": (cellwise(mesh, run[0].x.reshape(8, 8, 3)[::-1].reshape(64, 3)), "mm"),
            "sigma": (cellwise(mesh, run[4][..., 0]), "MPa"),
        },
    )
    with pytest.raises(BadInput, match=r"of cell \d lie outside it"):
        ingest_files(swapped, **{**CELLWISE, "fields": {}, "integration": {"sigma": "MPa"}})
    write_mesh(
        paths[1],
        Mesh(1.1 * mesh.points, mesh.cells),
        {"displacement": (h.u[:, 1].reshape(-1, 3), "mm")},
    )
    with pytest.raises(BadInput, match="another mesh"):
        ingest_files(paths, {"displacement": "m"})


@pytest.mark.parametrize("suffix", [*SERIES, ".msh", ".cgns", ".e"])
def test_truncated_and_foreign_files_are_named(suffix, run, tmp_path):
    _, _, h, mesh, _ = run
    path = tmp_path / f"body{suffix}"
    u = h.u[:, 1].reshape(-1, 3)
    if suffix == ".cgns":
        foreign.cgns(tmp_path, mesh.points, mesh.cells["hexahedron"], {"T": u[:, 0]}, {})
    elif suffix == ".e":
        foreign.exodus(
            tmp_path, to_grid(Mesh(mesh.points, {"hexahedron": mesh.cells["hexahedron"]}))
        )
    else:
        write_mesh(path, Mesh(mesh.points, mesh.cells), {"displacement": (u, "mm")})
    whole = path.read_bytes()
    for part in (0.3, 0.6, 0.9):
        path.write_bytes(whole[: int(part * len(whole))])
        with pytest.raises((ForeignFile, DamagedFile, BadInput), match="body"):
            ingest_files([path], {"displacement": "m"})
    path.write_text("Dear colleague, please find attached")
    with pytest.raises(ForeignFile, match="body"):
        ingest_files([path], {"displacement": "m"})
    path.unlink()
    with pytest.raises(ForeignFile, match="no file"):
        ingest_files([path], {"displacement": "m"})


def test_z_set_files_that_do_not_fit_are_named(run, tmp_path):
    pytest.importorskip("Muscat")
    path = z_set(tmp_path, run)

    def named(match, error=ForeignFile, **settings):
        with pytest.raises(error, match=match):
            ingest_files([path], **{**ZSET, **settings})

    for suffix in (".node", ".integ"):
        whole = path.with_suffix(suffix).read_bytes()
        path.with_suffix(suffix).write_bytes(whole[:-4])
        named(f"body{suffix}.*truncated")
        path.with_suffix(suffix).unlink()
        named(f"no file .*body{suffix}")
        path.with_suffix(suffix).write_bytes(whole)
    for suffix, match in ((".geof", r"body\.geof"), (".ut", r"body\.ut")):
        whole = path.with_suffix(suffix).read_text()
        path.with_suffix(suffix).write_text(whole[: int(0.2 * len(whole))])
        named(match)
        path.with_suffix(suffix).write_text("Dear colleague, please find attached")
        named(match)
        path.with_suffix(suffix).write_text(whole)
    named(
        "in no unit, not in 'MPa'|no unit", BadInput, written={"displacement": "mm", "epcum": "1"}
    )
    shutil.move(path.with_suffix(".geof"), tmp_path / "gone")
    named("no file")


@pytest.mark.parametrize(
    "kind", ["hexahedron", "tetra", "tetra10", "triangle", "quad", "triangle6"]
)
def test_cells_turned_inside_out_are_named(kind, tmp_path):
    flat = kind[:4] in ("tria", "quad")
    mesh = box((2, 1) if flat else (2, 1, 1), 1.0, kind)
    cells = mesh.cells[kind].copy()
    good = Mesh(mesh.points, {kind: cells.copy()})
    turns = {
        "hexahedron": [4, 5, 6, 7, 0, 1, 2, 3], "tetra": [1, 0, 2, 3],
        "tetra10": [1, 0, 2, 3, 4, 6, 5, 8, 7, 9],
        "triangle": [1, 0, 2], "quad": [3, 2, 1, 0], "triangle6": [1, 0, 2, 3, 5, 4],
    }  # fmt: skip
    cells[1] = cells[1][turns[kind]]
    for name, part in (("good", good), ("bad", Mesh(mesh.points, {kind: cells}))):
        write_mesh(tmp_path / f"{name}.vtu", part, {"T": (np.ones(len(mesh.points)), "K")})
    assert ingest_files([tmp_path / "good.vtu"], {"T": "K"}).mesh.digest == good.digest
    nodal = ingest_files([tmp_path / "bad.vtu"], {"T": "K"})
    assert np.array_equal(nodal.mesh.cells[kind], cells)  # no volume is asked for
    with pytest.raises(BadInput, match=f"bad.vtu: {kind} cell 1"):
        ingest_files([tmp_path / "bad.vtu"], {}, integration={"T": "K"})


def test_a_result_becomes_a_history_or_says_what_it_lacks(run):
    b, _, h, mesh, sigma = run
    fields = {"u": h.u.reshape(-1, 3, 10), "stress": sigma, "p": h.p[:, None]}
    where = {"u": "points", "stress": "integration", "p": "integration"}
    whole = Result(mesh, fields, dict.fromkeys(fields, "1"), where, h.t, b.x)
    found = history_of_result(whole, order=("xx", "yy", "zz", "xy", "yz", "zx"))
    assert (
        np.allclose(found.stress, h.stress, rtol=1e-15, atol=0)
        and np.array_equal(found.u, h.u)
        and np.array_equal(found.p, h.p)
    )
    for change, order, match in [
        ({"t": None}, ORDER, "knows no times"),
        (
            {"where": {**where, "stress": "cells"}},
            ORDER,
            "'stress' is needed at the points of integration, and is on the cells",
        ),
        (
            {"fields": {"stress": sigma}, "where": {"stress": "integration"}},
            ORDER,
            "'u' is needed at the points, and is not among stress",
        ),
        ({}, ORDER[:4], "has 6 components; the order given names 11, 22, 33, 12"),
        ({}, (*ORDER[:5], "14"), "'14' is no component"),
    ]:
        with pytest.raises(BadInput, match=match):
            history_of_result(Result(**{**vars(whole), **change}), order=order)


def test_the_command_names_what_is_wrong(run, tmp_path):
    paths = [str(path) for path in written(tmp_path, run, ".vtu", steps=2)]
    out = ["--out", str(tmp_path / "h.h5")]
    found = commanded(*paths, "--field", "depl=m", "--rename", "displacement=depl", *out)
    assert found["files"] == 2 and found["states"] == 2
    back = load(tmp_path / "h.h5")
    assert np.allclose(
        back.fields["depl"], 1e-3 * run[2].u.reshape(-1, 3, 10)[..., :2], rtol=1e-15
    ) and back.units == {"depl": "m"}
    for arguments, match in [
        (["--field", "depl=m", *out], "no field 'depl'"),
        (["--field", "depl", *out], "'depl' is not of the form name=value"),
        (out, "no field is asked for"),
        (["--field", "displacement=m"], "nowhere to put"),
        (["--field", "displacement=m", "--order", "solvers.solid", *out], "names no function"),
        (["--field", "displacement=m", "--times", "a,b", *out], "no list of numbers"),
    ]:
        assert match in " ".join(commanded(*paths, *arguments, code=2).split())
