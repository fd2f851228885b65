"""Meshes and fields survive the files of other programs; pictures show what they should."""

import base64
import importlib
import pkgutil
import sys
from dataclasses import replace

import meshio
import numpy as np
import pytest
import pyvista
from vtkmodules.vtkIOHDF import vtkHDFReader

from rom.archive.nouns import load, put, write_h5
from rom.basis import Basis
from rom.errors import BadInput, DamagedFile, ForeignFile
from rom.io import readers, writers
from rom.io.fields import label, unlabel
from rom.io.files import read_file, read_mesh, write_mesh
from rom.io.grid import TYPES, to_grid
from rom.io.writers.vtkhdf import vtkhdf, write_vtkhdf
from rom.mesh import NODES, Mesh
from rom.plot import curves
from rom.plot.pictures import picture
from rom.space import euclidean

READER = """
import numpy as np
from rom.io.frame import Frame
from rom.mesh import Mesh

def point_frames(path, unit):
    x = np.loadtxt(path)
    yield Mesh(x[:, None], {"vertex": np.arange(len(x))[:, None]}, unit=unit), Frame(None, {}, {})

SUFFIXES = {".points.txt": point_frames}
"""
WRITER = """
def write_point_list(path, mesh, fields, cell_fields):
    path.write_text(" ".join(map(repr, mesh.points[:, 0].tolist())))

SUFFIXES = {".points.txt": write_point_list}
"""
CORNERS = {
    "vertex": [(0, 0, 0)], "line": [(0, 0, 0), (1, 0, 0)],
    "triangle": [(0, 0, 0), (1, 0, 0), (0, 1, 0)],
    "quad": [(0, 0, 0), (1, 0, 0), (1, 1, 0), (0, 1, 0)],
    "tetra": [(0, 0, 0), (1, 0, 0), (0, 1, 0), (0, 0, 1)],
    "hexahedron": [(0, 0, 0), (1, 0, 0), (1, 1, 0), (0, 1, 0), (0, 0, 1), (1, 0, 1), (1, 1, 1),
        (0, 1, 1)],
    "wedge": [(0, 0, 0), (1, 0, 0), (0, 1, 0), (0, 0, 1), (1, 0, 1), (0, 1, 1)],
    "pyramid": [(0, 0, 0), (1, 0, 0), (1, 1, 0), (0, 1, 0), (0.5, 0.5, 1)],
}  # fmt: skip
# middle nodes as means of corners: the published order of Gmsh's and VTK's common convention
MIDDLES = {
    "line3": ("line", [(0, 1)]),
    "triangle6": ("triangle", [(0, 1), (1, 2), (2, 0)]),
    "quad8": ("quad", [(0, 1), (1, 2), (2, 3), (3, 0)]),
    "quad9": ("quad", [(0, 1), (1, 2), (2, 3), (3, 0), (0, 1, 2, 3)]),
    "tetra10": ("tetra", [(0, 1), (1, 2), (2, 0), (0, 3), (1, 3), (2, 3)]),
    "hexahedron20": ("hexahedron",
        [(0, 1), (1, 2), (2, 3), (3, 0), (4, 5), (5, 6), (6, 7), (7, 4), (0, 4), (1, 5), (2, 6),
            (3, 7)]),
    "hexahedron27": (
        "hexahedron",
        [(0, 1), (1, 2), (2, 3), (3, 0), (4, 5), (5, 6), (6, 7), (7, 4), (0, 4), (1, 5), (2, 6),
            (3, 7),
         (0, 3, 4, 7), (1, 2, 5, 6), (0, 1, 4, 5), (2, 3, 6, 7), (0, 1, 2, 3), (4, 5, 6, 7),
         (0, 1, 2, 3, 4, 5, 6, 7)],
    ),
    "wedge15": ("wedge", [(0, 1), (1, 2), (2, 0), (3, 4), (4, 5), (5, 3), (0, 3), (1, 4), (2, 5)]),
    "wedge18": ("wedge",
        [(0, 1), (1, 2), (2, 0), (3, 4), (4, 5), (5, 3), (0, 3), (1, 4), (2, 5),
            (0, 1, 3, 4), (1, 2, 4, 5), (2, 0, 5, 3)]),
    "pyramid13": ("pyramid",
        [(0, 1), (1, 2), (2, 3), (3, 0), (0, 4), (1, 4), (2, 4), (3, 4)]),
}  # fmt: skip
VOLUME = {"tetra": 1 / 6, "hexahedron": 1.0, "wedge": 0.5, "pyramid": 1 / 3}


def one_cell(kind: str) -> Mesh:
    parent, middles = MIDDLES.get(kind, (kind, []))
    corners = np.array(CORNERS[parent], dtype=float)
    points = np.vstack([corners, *(corners[list(m)].mean(axis=0) for m in middles)])
    return Mesh(points, {kind: np.arange(NODES[kind])[None]})


def block(n: int = 3) -> Mesh:
    """n^3 hexahedra, the lowest layer's faces as quads, two disjoint halves and an overlapping
    region, a node set.
    """
    i = np.arange((n + 1) ** 3).reshape(n + 1, n + 1, n + 1)
    x = np.linspace(0, 1, n + 1)
    points = np.stack(np.meshgrid(x, 2 * x, 3 * x, indexing="ij"), axis=-1).reshape(-1, 3)
    a, b, c = (n + 1) ** 2, n + 1, 1
    low = i[:-1, :-1, :-1].ravel()
    hexes = np.stack(
        [low, low + a, low + a + b, low + b, low + c, low + a + c, low + a + b + c, low + b + c],
        axis=1,
    )
    base = i[:-1, :-1, 0].ravel()
    quads = np.stack([base, base + b, base + b + a, base + a], axis=1)
    half = np.arange(len(hexes)) < len(hexes) // 2
    regions = {
        "left": {"hexahedron": np.flatnonzero(half)},
        "right": {"hexahedron": np.flatnonzero(~half)},
        "base": {"quad": np.arange(len(quads))},
        "core": {"hexahedron": np.arange(3, len(hexes) - 3)},
    }
    return Mesh(points, {"hexahedron": hexes, "quad": quads}, regions, {"fixed": np.arange(5)})


def mixed() -> Mesh:
    """One hexahedron, a wedge, a pyramid and a tetrahedron, of linear order, side by side."""
    cells, points, count = {}, [], 0
    for kind in ("hexahedron", "wedge", "pyramid", "tetra"):
        shape = np.array(CORNERS[kind], dtype=float) + np.array([2.0 * len(cells), 0, 0])
        cells[kind] = np.arange(count, count + len(shape))[None]
        points.append(shape)
        count += len(shape)
    return Mesh(np.vstack(points), cells, {"odd": {"wedge": np.array([0]), "tetra": np.array([0])}})


def same(a: Mesh, b: Mesh) -> None:
    np.testing.assert_allclose(a.points, b.points, atol=1e-15)
    assert set(a.cells) == set(b.cells)
    for kind in a.cells:
        np.testing.assert_array_equal(a.cells[kind], b.cells[kind])
    assert set(a.regions) == set(b.regions) and set(a.nodes) == set(b.nodes)
    for name in a.regions:
        assert set(a.regions[name]) == set(b.regions[name])
        for kind in a.regions[name]:
            np.testing.assert_array_equal(np.sort(a.regions[name][kind]), b.regions[name][kind])
    for name in a.nodes:
        np.testing.assert_array_equal(np.sort(a.nodes[name]), b.nodes[name])


@pytest.mark.parametrize("kind", sorted(TYPES))
def test_node_orders_are_those_of_vtk(kind):
    mesh = one_cell(kind)
    cell = to_grid(mesh).GetCell(0)
    coordinates = np.array(cell.GetParametricCoords()).reshape(-1, 3)[: NODES[kind]]
    if kind.startswith("pyramid"):  # VTK's parametric apex is a collapsed face
        low = 1 - coordinates[:, 2:]
        coordinates[:, :2] = coordinates[:, :2] * low + 0.5 * (1 - low)
    np.testing.assert_allclose(coordinates, mesh.points, atol=1e-12)
    parent = MIDDLES.get(kind, (kind,))[0]
    if parent in VOLUME:
        assert to_grid(mesh).compute_cell_sizes()["Volume"][0] == pytest.approx(
            VOLUME[parent], rel=1e-12
        )


@pytest.mark.parametrize("kind", sorted(TYPES))
@pytest.mark.parametrize("suffix", [".vtkhdf", ".vtu"])
def test_every_cell_type_survives(kind, suffix, tmp_path):
    mesh = one_cell(kind)
    flat = max((d for d in range(3) if mesh.points[:, d].any()), default=0) + 1
    path = write_mesh(tmp_path / f"one{suffix}", mesh)
    same(Mesh(mesh.points[:, :flat], mesh.cells), read_mesh(path))


@pytest.mark.parametrize("suffix", [".vtkhdf", ".vtu", ".vtk", ".xdmf"])
@pytest.mark.parametrize("make", [block, mixed])
def test_fields_regions_and_units_survive(make, suffix, tmp_path):
    mesh, rng = make(), np.random.default_rng(0)
    fields = {
        "temperature": (rng.random(len(mesh.points)), "K"),
        "displacement": (rng.random((len(mesh.points), 3)), "m"),
    }
    cells = {"flux": (rng.random(sum(map(len, mesh.cells.values()))), "W/m2/K")}
    back, found, found_cells = read_file(write_mesh(tmp_path / f"a{suffix}", mesh, fields, cells))
    same(mesh, back)
    for sent, got in ((fields, found), (cells, found_cells)):
        assert set(sent) == set(got)
        for name, (values, unit) in sent.items():
            np.testing.assert_allclose(got[name][0], values, rtol=1e-15, atol=1e-15)
            assert got[name][1] == unit


def test_groups_survive_gmsh(tmp_path):
    whole = block()
    mesh = replace(
        whole, regions={name: parts for name, parts in whole.regions.items() if name != "core"}
    )
    T = np.random.default_rng(0).random(len(mesh.points))
    back, fields, _ = read_file(write_mesh(tmp_path / "a.msh", mesh, {"T": (T, "K")}))
    same(mesh, back)
    np.testing.assert_array_equal(fields["T"][0], T)
    with pytest.raises(BadInput, match=r"'core' overlaps.*vtkhdf"):
        write_mesh(tmp_path / "b.msh", whole)
    q = np.random.default_rng(1).random(sum(map(len, mesh.cells.values())))
    write_mesh(tmp_path / "c.msh", mesh, cell_fields={"q": (q, "W")})
    np.testing.assert_array_equal(read_file(tmp_path / "c.msh")[2]["q"][0], q)


def test_sets_survive_abaqus(tmp_path):
    mesh = block()
    back = read_mesh(write_mesh(tmp_path / "a.inp", mesh))
    same(mesh, back)
    with pytest.raises(BadInput, match=r"carry no fields.*vtkhdf"):
        write_mesh(tmp_path / "a.inp", mesh, {"T": (np.zeros(len(mesh.points)), "K")})


def test_named_groups_of_gmsh_become_regions(tmp_path):
    gmsh = pytest.importorskip("gmsh")
    gmsh.initialize(["", "-nt", "1"], interruptible=False)
    try:
        gmsh.option.setNumber("General.Terminal", 0)
        gmsh.model.occ.addBox(0, 0, 0, 1, 1, 1)
        gmsh.model.occ.synchronize()
        gmsh.model.addPhysicalGroup(3, [1], name="body")
        bottom = [
            tag
            for _, tag in gmsh.model.getEntitiesInBoundingBox(-0.1, -0.1, -0.1, 1.1, 1.1, 0.1, 2)
        ]
        gmsh.model.addPhysicalGroup(2, bottom, name="bottom")
        gmsh.option.setNumber("Mesh.MeshSizeMax", 0.5)
        gmsh.option.setNumber("Mesh.ElementOrder", 2)
        gmsh.model.mesh.generate(3)
        gmsh.write(str(tmp_path / "box.msh"))
    finally:
        gmsh.finalize()
    mesh = read_mesh(tmp_path / "box.msh")
    assert set(mesh.regions) == {"body", "bottom"} and set(mesh.cells) == {"tetra10", "triangle6"}
    assert not mesh.points[
        mesh.cells["triangle6"][mesh.regions["bottom"]["triangle6"]].ravel(), 2
    ].any()
    sizes = to_grid(mesh).compute_cell_sizes()
    assert sizes["Volume"].sum() == pytest.approx(1.0, rel=1e-12) and sizes["Volume"].min() >= 0
    assert sizes["Area"].sum() == pytest.approx(1.0, rel=1e-12)
    same(mesh, read_mesh(write_mesh(tmp_path / "again.vtkhdf", mesh)))


def test_a_plane_mesh_stays_plane(tmp_path):
    mesh = Mesh(np.array([[0.0, 0], [1, 0], [0, 1]]), {"triangle": np.array([[0, 1, 2]])})
    for suffix in (".vtkhdf", ".vtu", ".msh"):
        same(mesh, read_mesh(write_mesh(tmp_path / f"a{suffix}", mesh)))


def test_times_share_one_mesh(tmp_path):
    mesh, times = block(), np.array([0.0, 0.5, 2.0])
    rng = np.random.default_rng(1)
    T, u = rng.random((len(mesh.points), 3)), rng.random((len(mesh.points), 3, 3))
    q = rng.random((sum(map(len, mesh.cells.values())), 3))
    still = rng.random(len(mesh.points))
    fields = {"temperature": (T, "K"), "u": (u, "m"), "still": (still, "1")}
    path = write_vtkhdf(tmp_path / "a.vtkhdf", mesh, fields, times, {"q": (q, "W")})
    reader = vtkHDFReader()
    reader.SetFileName(str(path))
    reader.UpdateInformation()
    assert reader.GetNumberOfSteps() == 3
    for k, t in enumerate(times):
        reader.SetStep(k)
        reader.Update()
        found = pyvista.wrap(reader.GetOutput())
        assert reader.GetTimeValue() == t
        np.testing.assert_array_equal(found.point_data["temperature [K]"], T[:, k])
        np.testing.assert_array_equal(found.point_data["u [m]"], u[:, :, k])
        np.testing.assert_array_equal(found.point_data["still [1]"], still)
        np.testing.assert_array_equal(found.cell_data["q [W]"], q[:, k])
        np.testing.assert_array_equal(
            found.cells_dict[TYPES["hexahedron"]], mesh.cells["hexahedron"]
        )
    import h5py

    with h5py.File(path) as file:
        assert file["VTKHDF/Points"].shape == (len(mesh.points), 3)
        assert file["VTKHDF/PointData/temperature [K]"].attrs["unit"] == "K"


def test_one_file_holds_a_field_and_a_noun(tmp_path):
    mesh, basis = block(), Basis(euclidean(4), np.eye(4)[:, :3])
    T = np.linspace(300, 400, len(mesh.points))

    def fill(file):
        put(file, basis)
        vtkhdf(mesh, {"temperature": (T, "K")})(file)

    write_h5(tmp_path / "both.vtkhdf", fill)
    np.testing.assert_array_equal(load(tmp_path / "both.vtkhdf").modes, basis.modes)
    np.testing.assert_array_equal(
        pyvista.read(tmp_path / "both.vtkhdf").point_data["temperature [K]"], T
    )


def test_complex_and_plane_vectors_are_written_as_vtk_needs_them(tmp_path):
    mesh = block()
    p = np.exp(1j * np.arange(len(mesh.points)))
    v = np.ones((len(mesh.points), 2))
    _, fields, _ = read_file(
        write_vtkhdf(tmp_path / "a.vtkhdf", mesh, {"p": (p, "Pa"), "v": (v, "m/s")})
    )
    np.testing.assert_array_equal(fields["p real"][0] + 1j * fields["p imaginary"][0], p)
    assert fields["p real"][1] == "Pa" and fields["v"][1] == "m/s"
    np.testing.assert_array_equal(fields["v"][0], np.pad(v, ((0, 0), (0, 1))))


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (np.zeros(3), r"'T' has shape \(3,\).*64 points"),
        (np.zeros((64, 2, 2)), r"give times"),
        (np.where(np.arange(64) == 7, np.nan, 0.0), r"'T' holds NaN or Inf at point 7"),
    ],
)
def test_bad_fields_are_named(values, message, tmp_path):
    with pytest.raises(BadInput, match=message):
        write_vtkhdf(tmp_path / "a.vtkhdf", block(), {"T": (values, "K")})
    assert not list(tmp_path.iterdir())


def test_times_must_agree(tmp_path):
    with pytest.raises(BadInput, match=r"last axis must be the 3 times"):
        write_vtkhdf(
            tmp_path / "a.vtkhdf", block(), {"T": (np.zeros((64, 2)), "K")}, np.arange(3.0)
        )


@pytest.mark.parametrize("suffix", [".vtkhdf", ".vtu", ".vtk", ".msh"])
@pytest.mark.parametrize("keep", [0.0, 0.5, 0.9])
def test_truncated_files_are_refused(suffix, keep, tmp_path):
    path = write_mesh(tmp_path / f"a{suffix}", replace(block(6), regions={}))
    whole = path.read_bytes()
    path.write_bytes(whole[: int(len(whole) * keep)])
    with pytest.raises((ForeignFile, DamagedFile, BadInput), match=r"a\." + suffix[1:]):
        read_mesh(path)


def test_nan_in_a_file_is_named(tmp_path):
    mesh = block()
    points = mesh.points.copy()
    points[4, 1] = np.nan
    meshio.Mesh(points, mesh.cells).write(tmp_path / "a.inp")
    with pytest.raises(BadInput, match=r"a\.inp: points hold NaN or Inf at \(4, 1\)"):
        read_mesh(tmp_path / "a.inp")


def test_unknown_formats_and_missing_files(tmp_path):
    with pytest.raises(BadInput, match=r"unknown format.*\.vtu"):
        write_mesh(tmp_path / "a.xyzzy", block())
    with pytest.raises(ForeignFile, match="no file"):
        read_mesh(tmp_path / "none.vtu")


def test_a_format_is_one_more_file(tmp_path, monkeypatch):
    """A reader and a writer that nobody else names, each by one file put into its package."""
    for package, text in ((readers, READER), (writers, WRITER)):
        folder = tmp_path / package.__name__
        folder.mkdir()
        (folder / "plain_points.py").write_text(text)
        monkeypatch.setattr(package, "__path__", [*package.__path__, str(folder)])
        monkeypatch.delitem(sys.modules, f"{package.__name__}.plain_points", raising=False)
    mesh = Mesh(np.array([[0.0], [0.5], [2.0]]), {"vertex": np.arange(3)[:, None]})
    path = write_mesh(tmp_path / "a.points.txt", mesh)
    same(mesh, read_mesh(path))
    assert path.read_text().split() == ["0.0", "0.5", "2.0"]
    for package in (readers, writers):
        monkeypatch.delitem(sys.modules, f"{package.__name__}.plain_points", raising=False)


@pytest.mark.parametrize("package", [readers, writers])
def test_no_two_files_take_one_suffix(package):
    names = [entry.name for entry in pkgutil.iter_modules(package.__path__)]
    tables = [importlib.import_module(f"{package.__name__}.{name}").SUFFIXES for name in names]
    suffixes = [suffix for table in tables for suffix in table]
    assert len(set(suffixes)) == len(suffixes) and "" in suffixes


def test_labels():
    assert unlabel(label("heat flux", "W/m2/K")) == ("heat flux", "W/m2/K")
    assert unlabel("plain") == ("plain", "")


def _pixels(path) -> np.ndarray:
    from PIL import Image

    return np.asarray(Image.open(path).convert("RGB")).astype(int)


def test_pictures_show_the_body_and_follow_the_field(tmp_path):
    mesh = block()
    T = 300 + 100 * mesh.points[:, 2]
    one = _pixels(picture(tmp_path / "a.png", mesh, {"temperature": (T, "K")}, title="Block"))
    two = _pixels(
        picture(tmp_path / "b.png", mesh, {"temperature": (T, "K"), "distance": (mesh.points, "m")})
    )
    flat = _pixels(picture(tmp_path / "c.png", mesh, {"temperature": (0 * T, "K")}, limits=(0, 1)))
    assert two.shape == (one.shape[0], 2 * one.shape[1], 3)
    height = one.shape[0]
    body = one[int(0.12 * height) : int(0.85 * height)]
    coloured = (body.max(axis=2) - body.min(axis=2)) > 40
    assert 0.05 < coloured.mean() < 0.8
    assert not coloured[:, :3].any() and not coloured[:, -3:].any(), "the body is cut at the border"
    assert len(np.unique(body[coloured] // 16, axis=0)) > 10 and np.abs(one - flat).max() > 50


def test_few_whole_numbers_are_a_colour_each(tmp_path):
    mesh = block()
    count = np.arange(sum(map(len, mesh.cells.values()))) % 3
    one, two = (
        _pixels(picture(tmp_path / name, mesh, {}, {"count": (values, "-")}))
        for name, values in (("a.png", count), ("b.png", 1.0 * count))
    )
    bars = [x[int(0.9 * len(x)) :].reshape(-1, 3) for x in (one, two)]
    kinds = [len(np.unique(bar[np.ptp(bar, axis=1) > 40], axis=0)) for bar in bars]
    assert kinds[0] <= 6 and kinds[1] > 50


@pytest.mark.parametrize("error", [[0.0, 0.0, 1e-2, 2e-2], [0.0] * 4, [1e-2, 1e-3, 2e-2, 3e-2]])
def test_errors_of_zero_keep_their_place_beside_the_indicator(error, tmp_path):
    full = np.array([True, False, False, True])
    curves.indicator_plot(
        tmp_path / "w.png",
        np.arange(4.0),
        np.array(error),
        upper=np.full(4, 3e-2),
        middle=np.full(4, 1e-2),
        full=full,
        ylabel="error of p",
    )
    assert _pixels(tmp_path / "w.png").std() > 10


def test_a_warp_moves_the_body(tmp_path):
    mesh = block()
    u = np.zeros_like(mesh.points)
    u[:, 0] = 0.5 * mesh.points[:, 2]
    still = _pixels(picture(tmp_path / "a.png", mesh, {"u": (u, "m")}, view="xz"))
    moved = _pixels(picture(tmp_path / "b.png", mesh, {"u": (u, "m")}, warp=u, view="xz"))
    assert np.abs(still - moved).max() > 100
    with pytest.raises(BadInput, match="displacement"):
        picture(tmp_path / "c.png", mesh, {"u": (u, "m")}, warp=u[:, 0])


def test_curves_are_written_and_refuse_nonsense(tmp_path):
    k = np.arange(8)
    curves.decay_plot(tmp_path / "s.png", 10.0**-k, r=4)
    curves.error_plot(tmp_path / "e.png", k + 1, 10.0**-k, 3 * 10.0**-k, unit="K")
    curves.effectivity_plot(tmp_path / "h.png", 1 + k / 3)
    curves.line_plot(
        tmp_path / "l.png", k, {"tip": 2.0 * k}, xlabel="span [m]", ylabel="temperature [K]"
    )
    for name in "sehl":
        assert _pixels(tmp_path / f"{name}.png").std() > 5
    assert base64.b64encode((tmp_path / "s.png").read_bytes())[:6] == b"iVBORw"
    with pytest.raises(BadInput, match="positive"):
        curves.decay_plot(tmp_path / "x.png", np.zeros(3))
    with pytest.raises(BadInput, match="no bound"):
        curves.effectivity_plot(tmp_path / "x.png", np.full(3, np.nan))
