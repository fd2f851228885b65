"""Bases of libROM, pyLOM and Twin Builder, laid out here as their sources say, and snapshots."""

import json
import struct

import h5py
import numpy as np
import pytest

from rom.basis import Basis
from rom.errors import BadInput, ForeignFile
from rom.io import ingest_files, read_basis, read_file, write_basis
from rom.space import Space, euclidean

V = np.linalg.qr(np.random.default_rng(2).random((7, 3)))[0]
S = np.array([3.0, 2.0, 1.0])


def librom(path, modes, end="", intervals=1):
    """As CAROM::BasisWriter: big-endian, one-dimensional, row after row."""
    with h5py.File(path, "w") as file:
        for k in range(intervals):
            tail = f"_{k:06d}" if end else ""
            for name, values, dtype in (
                ("spatial_basis_num_rows", [len(modes)], ">i4"),
                ("spatial_basis_num_cols", [modes.shape[1]], ">i4"),
                ("spatial_basis", modes.ravel(), ">f8"),
                ("singular_value_size", [3], ">i4"), ("singular_value", S, ">f8"),
            ):  # fmt: skip
                file.create_dataset(name + tail, data=np.array(values, dtype))
    return path


@pytest.mark.parametrize("end", ["", "_000000"])
def test_a_basis_of_librom_is_read_of_all_its_ranks(end, tmp_path):
    librom(tmp_path / "b.000000", V[:4], end)
    librom(tmp_path / "b.000001", V[4:], end)
    basis = read_basis(tmp_path / "b.000001")
    assert np.array_equal(basis.modes, V) and np.array_equal(basis.s, S)
    u = np.arange(7.0)
    assert np.allclose(basis.coefficients(u), V.T @ u, rtol=1e-14)
    with pytest.raises(BadInput, match="several times"):
        read_basis(librom(tmp_path / "c.000000", V, "_000000", intervals=2))


def test_a_basis_of_pylom_is_read(tmp_path):
    with h5py.File(tmp_path / "pod.h5", "w") as file:
        file.attrs["Version"] = (3, 0)
        file["POD/U"], file["POD/S"], file["POD/V"] = V, S, np.eye(3)
    basis = read_basis(tmp_path / "pod.h5")
    assert np.array_equal(basis.modes, V) and np.array_equal(basis.s, S)


def test_a_basis_of_twin_builder_is_read(tmp_path):
    data = b"a head, 16 bytes" + struct.pack("QQ", 7, 3)
    data += b"".join(struct.pack("7d", *mode) for mode in V.T)
    (tmp_path / "basis.svd").write_bytes(data)
    assert np.array_equal(read_basis(tmp_path / "basis.svd").modes, V)
    (tmp_path / "basis.svd").write_bytes(data[:-8])
    with pytest.raises(ForeignFile, match=r"3 modes of 7 numbers .* need 200"):
        read_basis(tmp_path / "basis.svd")


def test_bases_are_written_as_those_programs_read_them(tmp_path):
    basis = Basis(euclidean(7), V, s=S)
    with h5py.File(write_basis(tmp_path / "b.000000", basis), "r") as file:
        rows, columns = file["spatial_basis_num_rows"], file["spatial_basis_num_cols"]
        assert rows.dtype == ">i4" and rows.shape == (1,) and int(rows.attrs["Type"]) == 1
        flat = file["spatial_basis"]
        assert flat.dtype == ">f8" and int(flat.attrs["Type"]) == 0
        assert np.array_equal(flat[()].reshape(int(rows[0]), int(columns[0])), V)
        assert int(file["singular_value_size"][0]) == 3
        assert np.array_equal(file["singular_value"], S)
    with h5py.File(write_basis(tmp_path / "p.h5", basis, "pyLOM"), "r") as file:
        assert tuple(file.attrs["Version"]) == (3, 0)
        assert np.array_equal(file["POD"]["U"][0:7, :], V) and int(file["POD/n_variables"][0]) == 1
        assert file["PARTITIONS/Points"][0] == 7 and file["PARTITIONS/NSubD"][0] == 1
    data = write_basis(tmp_path / "basis.svd", basis, "Twin Builder").read_bytes()
    assert struct.unpack_from("QQ", data, 16) == (7, 3)
    assert struct.unpack_from("7d", data, 32 + 7 * 8) == tuple(V[:, 1])


def test_what_these_formats_cannot_hold_is_refused_before_a_file_is_there(tmp_path):
    weighted = Basis(Space(np.full(7, 4.0), np.arange(7), None), V / 2)
    wrong = {
        "no offset": Basis(euclidean(7), V, offset=np.ones(7)), "complex": Basis(
            euclidean(7), V.astype(complex)),
        "differs from I": weighted,
    }  # fmt: skip
    for words, basis in wrong.items():
        with pytest.raises(BadInput, match=words):
            write_basis(tmp_path / "b.000000", basis)
    with pytest.raises(BadInput, match=r"call the file b\.h5\.000000"):
        write_basis(tmp_path / "b.h5", Basis(euclidean(7), V))
    with pytest.raises(BadInput, match="no program 'modred'"):
        write_basis(tmp_path / "b.h5", Basis(euclidean(7), V), "modred")
    assert not list(tmp_path.iterdir())


def test_modes_must_be_orthonormal_in_the_space_given(tmp_path):
    librom(tmp_path / "b.000000", V / 2)
    with pytest.raises(BadInput, match="differs from I"):
        read_basis(tmp_path / "b.000000")
    space = Space(np.full(7, 4.0), np.arange(7), None)
    assert np.array_equal(read_basis(tmp_path / "b.000000", space).modes, V / 2)
    with pytest.raises(BadInput, match="7 rows, the space 8"):
        read_basis(tmp_path / "b.000000", euclidean(8))
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["x"] = V
    with pytest.raises(ForeignFile, match="no basis of libROM or pyLOM"):
        read_basis(tmp_path / "a.h5")


def numbers(path, values):
    path.write_bytes(struct.pack("Q", np.size(values)) + np.asarray(values, "<f8").tobytes())
    return path


def test_snapshots_of_twin_builder_stand_at_their_points(tmp_path):
    x = np.array([[0.0, 0, 1], [1, 0, 0], [0, 2, 0], [5, 5, 5]])
    u = np.arange(12.0).reshape(4, 3)
    numbers(tmp_path / "points.bin", x.ravel())
    settings = {"name": "disp", "unit": "mm", "dimensionality": [3],
        "namedSelections": {"low": ["0", "-1", "2"], "tip": ["3"]}}  # fmt: skip
    (tmp_path / "settings.json").write_text(json.dumps(settings))
    for k in (0, 1):
        numbers(tmp_path / f"s{k}.bin", (u + k).ravel())
    mesh, points, _ = read_file(tmp_path / "s0.bin")
    assert np.array_equal(mesh.points, x) and points["disp"][1] == "mm"
    assert np.array_equal(points["disp"][0], u)
    assert {name: rows.tolist() for name, rows in mesh.nodes.items()} == {
        "low": [0, 1, 2], "tip": [3]}  # fmt: skip
    result = ingest_files([tmp_path / f"s{k}.bin" for k in (0, 1)], {"disp": "m"}, times=[0.0, 1.0])
    assert np.array_equal(result.fields["disp"][:, :, 1], (u + 1) * 1e-3)


def test_snapshots_that_do_not_fit_are_told(tmp_path):
    path = numbers(tmp_path / "s.bin", np.arange(5.0))
    with pytest.raises(ForeignFile, match=r"no points\.bin"):
        read_file(path)
    numbers(tmp_path / "points.bin", np.arange(6.0))
    with pytest.raises(ForeignFile, match="5 values for 2 points"):
        read_file(path)
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(ForeignFile, match="announces 5 numbers"):
        read_file(path)
    with pytest.raises(BadInput, match="name a snapshot"):
        read_file(tmp_path / "points.bin")
