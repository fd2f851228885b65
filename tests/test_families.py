"""Folders of designs: CGNS files, PLAID samples as its versions write them, and the commands on
them.
"""

import h5py
import numpy as np
import pytest
from typer.testing import CliRunner

from rom.cli.app import app
from rom.errors import BadInput, ForeignFile
from rom.io.files import read_file
from rom.io.readers.cgns import read_cgns
from rom.mesh import Mesh
from rom.shapes.families import family, open_sample
from tests.test_morph import cube, square
from tests.test_shapes import plates

CODES = {"triangle": 5, "line": 3, "tetra": 10}


def node(parent, name, label, value=None):
    """A node of a CGNS tree in HDF5."""
    made = parent.create_group(name)
    made.attrs["name"], made.attrs["label"] = np.bytes_(name), np.bytes_(label)
    made.attrs["type"] = np.bytes_("MT")
    if isinstance(value, str):
        made.create_dataset(" data", data=np.frombuffer(value.encode(), dtype=np.int8))
    elif value is not None:
        made.create_dataset(" data", data=np.atleast_1d(value))
    return made


def cgns(path, mesh, fields, tags, scalars, zones=1, structured=False):
    """What pyplaid 1.0 writes.

    a base with a zone, vertex tags, fields, and a base of globals without a zone.
    """
    d = mesh.points.shape[1]
    with h5py.File(path, "w") as file:
        node(file, "CGNSLibraryVersion", "CGNSLibraryVersion_t", np.float32([4.0]))
        base = node(file, "Base", "CGNSBase_t", np.int32([d, d]))
        for k in range(zones):
            zone = node(base, f"Zone{k}", "Zone_t", np.array([[len(mesh.points)], [1], [0]]))
            node(zone, "ZoneType", "ZoneType_t", "Structured" if structured else "Unstructured")
            grid = node(zone, "GridCoordinates", "GridCoordinates_t")
            for axis, x in zip("XYZ", mesh.points.T, strict=False):
                node(grid, f"Coordinate{axis}", "DataArray_t", x)
            first = 1
            for kind, cells in mesh.cells.items():
                part = node(
                    zone, f"Elements_{kind}", "Elements_t", np.int32([CODES.get(kind, 27), 0])
                )
                node(
                    part, "ElementRange", "IndexRange_t", np.array([first, first + len(cells) - 1])
                )
                node(part, "ElementConnectivity", "DataArray_t", cells.ravel() + 1)
                first += len(cells)
            group = node(zone, "ZoneBC", "ZoneBC_t")
            for name, (numbers, where) in tags.items():
                tag = node(group, name, "BC_t", "FamilySpecified")
                node(tag, "PointList", "IndexArray_t", np.asarray(numbers)[:, None] + 1)
                node(tag, "GridLocation", "GridLocation_t", where)
            solution = node(zone, "VertexFields", "FlowSolution_t")
            node(solution, "GridLocation", "GridLocation_t", "Vertex")
            for name, values in fields.items():
                node(solution, name, "DataArray_t", values)
        globals_ = node(file, "Global", "CGNSBase_t", np.int32([1, 1]))
        node(
            node(globals_, "Time", "BaseIterativeData_t", np.int32([1])),
            "TimeValues",
            "DataArray_t",
            [0.0],
        )
        for name, value in scalars.items():
            node(globals_, name, "DataArray_t", value)


def plaid(folder, samples, table=False):
    """Samples in the layout of PLAID.

    Scalars in the tree, or in a table beside it as before version 1.
    """
    for k, s in enumerate(samples):
        one = folder / "samples" / f"sample_{k:09d}"
        (one / "meshes").mkdir(parents=True)
        lines = s.mesh.cells["line"]
        tags = {
            n: (np.unique(lines[s.mesh.regions[n]["line"]]), "Vertex")
            for n in s.mesh.regions
            if n != "rim"
        }
        scalars = {"load": float(s.mu[0]), "work": s.outputs["work"]}
        bare = type(s.mesh)(s.mesh.points, {"triangle": s.mesh.cells["triangle"]})
        cgns(
            one / "meshes" / "mesh_000000000.cgns",
            bare,
            {"u": s.fields["u"]},
            tags,
            {} if table else scalars,
        )
        if table:
            (one / "scalars.csv").write_text(
                "load,work\n" + ",".join(repr(v) for v in scalars.values()) + "\n"
            )
    return folder


def test_a_cgns_file_gives_mesh_tags_fields_and_globals(tmp_path):
    mesh = cube(2)
    tags = {
        "low": (np.flatnonzero(mesh.points[:, 2] == 0), "Vertex"),
        "some": ([3, 7], "CellCenter"),
    }
    T = mesh.points @ [1.0, 2.0, 3.0]
    cgns(tmp_path / "a.cgns", mesh, {"T": T}, tags, {"load": 2.5, "history": np.arange(4.0)})
    found, fields, _, scalars = read_cgns(tmp_path / "a.cgns")
    assert np.array_equal(found.points, mesh.points) and np.array_equal(
        found.cells["tetra"], mesh.cells["tetra"]
    )
    assert np.array_equal(fields["T"][0], T) and scalars == {"load": 2.5}
    assert np.array_equal(found.nodes["low"], tags["low"][0]) and found.regions["some"][
        "tetra"
    ].tolist() == [3, 7]


def test_a_cgns_file_is_read_as_any_other_with_its_components_as_vectors(tmp_path):
    mesh = square(2)
    fields = {
        "VelocityX": mesh.points[:, 0],
        "VelocityY": mesh.points[:, 1],
        "X": 1.0 + mesh.points[:, 0],
    }
    low = np.flatnonzero(mesh.points[:, 1] == 0)
    cgns(tmp_path / "a.cgns", mesh, fields, {"low": (low, "Vertex")}, {"load": 2.5})
    back, at_points, _ = read_file(tmp_path / "a.cgns", "mm")
    assert np.array_equal(back.points, mesh.points) and back.unit == "mm"
    assert np.array_equal(back.nodes["low"], low) and set(at_points) == {"Velocity", "X"}
    assert np.array_equal(at_points["Velocity"][0], np.pad(mesh.points, ((0, 0), (0, 1))))


def test_a_mixed_section_gives_the_cells_of_its_types(tmp_path):
    """A quad, a triangle and a quad in one section, each led by its type; numbers count through."""
    points = np.array([[0, 0], [1, 0], [2, 0], [0, 1], [1, 1], [2, 1], [3, 1.0]])
    mesh = Mesh(points, {"line": np.array([[0, 1]])})
    cgns(tmp_path / "a.cgns", mesh, {}, {"some": ([1, 2], "FaceCenter")}, {})
    with h5py.File(tmp_path / "a.cgns", "a") as file:
        section = file["Base/Zone0/Elements_line"]
        for name, data in (
            (" data", np.int32([20, 0])),
            ("ElementRange/ data", np.array([1, 3])),
            ("ElementConnectivity/ data", np.array([7, 1, 2, 5, 4, 5, 3, 7, 6, 7, 2, 3, 6, 5])),
        ):
            del section[name]
            section[name] = data
    back = read_cgns(tmp_path / "a.cgns")[0]
    assert back.cells["quad"].tolist() == [[0, 1, 4, 3], [1, 2, 5, 4]]
    assert back.cells["triangle"].tolist() == [[2, 6, 5]]
    assert {k: v.tolist() for k, v in back.regions["some"].items()} == {
        "triangle": [0],
        "quad": [1],
    }


def test_tagged_boundary_nodes_become_curves(tmp_path):
    s = plates(1, 0)[0]
    path = plaid(tmp_path, [s]) / "samples" / "sample_000000000" / "meshes" / "mesh_000000000.cgns"
    mesh, _ = open_sample(path)
    for name in ("side0", "side1", "side2", "side3"):
        mine, theirs = (
            np.sort(m.cells["line"][m.regions[name]["line"]], axis=1) for m in (mesh, s.mesh)
        )
        assert {tuple(e) for e in mine.tolist()} == {tuple(e) for e in theirs.tolist()}


@pytest.mark.parametrize("table", [False, True], ids=["tree", "table"])
def test_plaid_samples_give_what_was_written(tmp_path, table):
    every = plates(3, 0)
    found, names, _, files = family(plaid(tmp_path, every, table), ("work",))
    assert names == ("load",) and files[1] == "sample_000000001"
    for a, b in zip(found, every, strict=True):
        assert (
            np.array_equal(a.fields["u"], b.fields["u"]) and a.mu == b.mu and a.outputs == b.outputs
        )


def test_commands_run_on_plaid_samples_from_end_to_end(tmp_path):
    train, test = (
        plaid(tmp_path / "train", plates(12, 0)),
        plaid(tmp_path / "test", plates(3, 1), table=True),
    )
    model, answer = tmp_path / "plates.h5", tmp_path / "answer.vtu"
    one = test / "samples" / "sample_000000001" / "meshes" / "mesh_000000000.cgns"

    def done(*words):
        got = CliRunner().invoke(app, ["shapes", *map(str, words)])
        assert got.exit_code == 0, got.output
        return got.output

    done(
        "train",
        train,
        "--out",
        model,
        "--curves",
        "side0,side1,side2,side3",
        "--outputs",
        "work",
        "--modes",
        4,
    )
    assert "rel_l2 u" in done("validate", test, model)
    done("predict", model, one, "--mu", "load=1.5", "--out", answer)
    assert (
        open_sample(answer)[0].points.shape[0] == read_cgns(one)[0].points.shape[0]
        and "std u" in open_sample(answer)[1]
    )


def test_unfit_cgns_files_are_refused_by_name(tmp_path):
    mesh = square(2)
    (tmp_path / "text.cgns").write_text("nothing")
    with pytest.raises(ForeignFile, match=r"text\.cgns"):
        read_cgns(tmp_path / "text.cgns")
    for name, options, said in (
        ("two", {"zones": 2}, "2 zones"),
        ("grid", {"structured": True}, "structured"),
    ):
        cgns(tmp_path / f"{name}.cgns", mesh, {}, {}, {}, **options)
        with pytest.raises(BadInput, match=said):
            read_cgns(tmp_path / f"{name}.cgns")
    odd = type(mesh)(mesh.points, {"vertex": np.arange(3)[:, None]})
    cgns(tmp_path / "odd.cgns", odd, {}, {}, {})
    with pytest.raises(BadInput, match="type 27"):
        read_cgns(tmp_path / "odd.cgns")
