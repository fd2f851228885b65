"""Result files that lead out of their folder, and such as declare what they do not hold."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import h5py
import meshio
import numpy as np

from rom.io import write_mesh, write_vtkhdf
from rom.mesh import Mesh

SECRET = np.array([271.25, -3141.5, 577.125])  # what must not come back
MESH = Mesh(np.array([[0.0, 0], [1, 0], [0, 1]]), {"triangle": np.array([[0, 1, 2]])})
FIELDS = {"u": (np.arange(3.0), "K")}
HUGE = 900_000_000_000


def secrets(out: Path) -> None:
    """The files outside: numbers as bytes, HDF5, and the formats that others refer to."""
    out.mkdir()
    (out / "secret.bin").write_bytes(SECRET.tobytes())
    with h5py.File(out / "secret.h5", "w") as file:
        file["x"] = SECRET
        file.create_group("group")["x"] = SECRET
    for kind in ("vtu", "vtk", "vtkhdf", "inp", "xdmf"):
        fields = {} if kind == "inp" else {"u": (SECRET, "K")}
        mesh = Mesh(SECRET[[0, 1, 2, 2, 0, 1]].reshape(3, 2), MESH.cells) if kind == "inp" else MESH
        write_mesh(out / f"secret.{kind}", mesh, fields)
    values = "".join(f'<entity index="{k}" value="{x}"/>' for k, x in enumerate(SECRET))
    function = f'<mesh_function type="float" dim="2" size="3">{values}</mesh_function>'
    (out / "secret.xml").write_text(f"<dolfin>{function}</dolfin>")
    (out / "secret.ele").write_text("1 4 0\n1 1 2 3 4\n")


def unsealed(path: Path) -> Path:
    """A .vtkhdf without the seal of this package, as other programs write them."""
    write_vtkhdf(path.with_suffix(".tmp"), MESH, FIELDS)
    with h5py.File(path.with_suffix(".tmp")) as source, h5py.File(path, "w") as file:
        source.copy("VTKHDF", file)
    path.with_suffix(".tmp").unlink()
    return path


def replaced(path: Path, name: str, put: Callable[[h5py.Group, str], None]) -> Path:
    """A file of HDF5 with a dataset or group replaced."""
    with h5py.File(path, "a") as file:
        group, _, last = name.rpartition("/")
        holder = file[group or "/"]
        del holder[last]
        put(holder, last)
    return path


def link(target: str, name: str) -> Callable[[h5py.Group, str], None]:
    """An external link."""

    def put(group: h5py.Group, key: str) -> None:
        group[key] = h5py.ExternalLink(target, name)

    return put


def virtual(target: str) -> Callable[[h5py.Group, str], None]:
    """A virtual dataset."""

    def put(group: h5py.Group, key: str) -> None:
        layout = h5py.VirtualLayout((3,), float)
        layout[:] = h5py.VirtualSource(target, "x", (3,), float)
        group.create_virtual_dataset(key, layout)

    return put


def stored(target: str) -> Callable[[h5py.Group, str], None]:
    """A dataset whose bytes lie in another file."""

    def put(group: h5py.Group, key: str) -> None:
        plan = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        plan.set_external(target.encode(), 0, 24)
        space = h5py.h5s.create_simple((3,))
        h5py.h5d.create(group.id, key.encode(), h5py.h5t.NATIVE_DOUBLE, space, plan)

    return put


def med(folder: Path) -> tuple[Path, str]:
    """A MED file, and the name of the values of its field."""
    path = write_mesh(folder / "a.med", MESH, FIELDS)
    names: list[str] = []
    with h5py.File(path) as file:
        file.visit(names.append)
    values = [name for name in names if name.startswith("CHA/") and name.endswith("/CO")]
    return path, values[0]


def cgns(folder: Path) -> tuple[Path, str]:
    """A CGNS file in HDF5, and the name of the values of its field."""
    import sys

    sys.path.insert(0, str(Path(__file__).parents[1]))
    import foreign

    points = np.array([[x, y, z] for z in (0.0, 1) for y in (0.0, 1) for x in (0.0, 1)])
    cells = np.array([[0, 1, 3, 2, 4, 5, 7, 6]])
    path = Path(foreign.cgns(folder, points, cells, {"T": np.arange(8.0)}, {}))
    names: list[str] = []
    with h5py.File(path) as file:
        file.visit(names.append)
    return path, next(name for name in names if name.endswith("T/ data"))


def heavy(kind: str, text: str) -> str:
    """An XDMF file whose field lies elsewhere."""
    return (
        '<Xdmf Version="3.0"><Domain><Grid Name="Grid"><Geometry GeometryType="XYZ">'
        '<DataItem DataType="Float" Dimensions="3 3" Format="XML" Precision="8">'
        "0 0 0 1 0 0 0 1 0</DataItem></Geometry>"
        '<Topology TopologyType="Triangle" NumberOfElements="1"><DataItem DataType="Int" '
        'Dimensions="1 3" Format="XML" Precision="8">0 1 2</DataItem></Topology>'
        '<Attribute Name="u" AttributeType="Scalar" Center="Node"><DataItem DataType="Float" '
        f'Dimensions="3" Format="{kind}" Precision="8">{text}</DataItem></Attribute>'
        "</Grid></Domain></Xdmf>"
    )


def collection(target: str) -> str:
    """A .pvd of one time."""
    return (
        '<VTKFile type="Collection" version="0.1"><Collection>'
        f'<DataSet timestep="0" part="0" file="{target}"/></Collection></VTKFile>'
    )


def pieces(target: str) -> str:
    """A .pvtu of one piece."""
    return (
        '<VTKFile type="PUnstructuredGrid" version="0.1"><PUnstructuredGrid GhostLevel="0">'
        '<PPoints><PDataArray type="Float64" NumberOfComponents="3"/></PPoints>'
        '<PPointData><PDataArray type="Float64" Name="u [K]"/></PPointData>'
        f'<Piece Source="{target}"/></PUnstructuredGrid></VTKFile>'
    )


def blocks(target: str) -> str:
    """A .vtm of one block."""
    return (
        '<VTKFile type="vtkMultiBlockDataSet" version="1.0"><vtkMultiBlockDataSet>'
        f'<DataSet index="0" name="a" file="{target}"/></vtkMultiBlockDataSet></VTKFile>'
    )


def written(path: Path, text: str) -> Path:
    """A text file."""
    path.write_text(text)
    return path


def linked(path: Path, target: str) -> str:
    """A symbolic link of that name; its name."""
    path.symlink_to(target)
    return path.name


ENTITY = '<!DOCTYPE a [<!ENTITY d "..">]>'
UP, HIDDEN = "../out/secret", "&#46;&#46;/out/secret"
# name -> function(folder, path of the secret without its suffix) that gives the file to read
LEADING: dict[str, Callable[[Path, str], Path]] = {
    "vtkhdf link": lambda f, s: replaced(
        unsealed(f / "a.vtkhdf"), "VTKHDF/PointData/u [K]", link(f"{s}.h5", "x")
    ),
    "vtkhdf link of a group": lambda f, s: replaced(
        unsealed(f / "a.vtkhdf"), "VTKHDF/PointData", link(f"{s}.h5", "group")
    ),
    "vtkhdf virtual": lambda f, s: replaced(
        unsealed(f / "a.vtkhdf"), "VTKHDF/PointData/u [K]", virtual(f"{s}.h5")
    ),
    "vtkhdf storage": lambda f, s: replaced(
        unsealed(f / "a.vtkhdf"), "VTKHDF/PointData/u [K]", stored(f"{s}.bin")
    ),
    "med link": lambda f, s: replaced(*med(f), link(f"{s}.h5", "x")),
    "med virtual": lambda f, s: replaced(*med(f), virtual(f"{s}.h5")),
    "med storage": lambda f, s: replaced(*med(f), stored(f"{s}.bin")),
    "cgns link": lambda f, s: replaced(*cgns(f), link(f"{s}.h5", "x")),
    "cgns virtual": lambda f, s: replaced(*cgns(f), virtual(f"{s}.h5")),
    "cgns storage": lambda f, s: replaced(*cgns(f), stored(f"{s}.bin")),
    "hmf link": lambda f, s: replaced(
        _hmf(f / "a.hmf"), "domain/grid/NodeAttributes/u", link(f"{s}.h5", "x")
    ),
    "xdmf heavy": lambda f, s: written(f / "a.xdmf", heavy("HDF", f"{s}.h5:/x")),
    "xmf heavy": lambda f, s: written(f / "a.xmf", heavy("HDF", f"{s}.h5:/x")),
    "xdmf binary": lambda f, s: written(f / "a.xdmf", heavy("Binary", f"{s}.bin")),
    "xdmf heavy that links": lambda f, s: _linking(f, s),
    "pvd": lambda f, s: written(f / "a.pvd", collection(f"{s}.vtu")),
    "pvd of characters": lambda f, s: written(f / "a.pvd", collection(f"{HIDDEN}.vtu")),
    "pvd of an entity": lambda f, s: written(
        f / "a.pvd", ENTITY + collection("&d;/out/secret.vtu")
    ),
    "pvd in UTF-16": lambda f, s: _utf16(f / "a.pvd", collection(f"{s}.vtu")),
    "pvd of pvtu": lambda f, s: _nested(f, s),
    "pvd of a link": lambda f, s: written(f / "a.pvd", collection(linked(f / "b.vtu", f"{s}.vtu"))),
    "pvtu": lambda f, s: written(f / "a.pvtu", pieces(f"{s}.vtu")),
    "vtm": lambda f, s: written(f / "a.vtm", blocks(f"{s}.vtu")),
    "pvd of an image": lambda f, s: _of_image(f, s, "b.mhd"),
    "pvd of a raster": lambda f, s: _of_image(f, s, "b.nhdr"),
    "pvd of a series": lambda f, s: _of_image(f, s, "b.vtu.series"),
    "pvd of pvti": lambda f, s: _of_image(f, s, "b.pvti"),
    "vtkhdf behind a block": lambda f, s: _behind(
        f / "a.vtkhdf", unsealed(f / "b.vtkhdf"), "VTKHDF/PointData/u [K]", link(f"{s}.h5", "x")
    ),
    "med behind a block": lambda f, s: _behind(f / "b.med", *med(f), link(f"{s}.h5", "x")),
    "netcdf link": lambda f, s: _linking_file(f / "a.e", s),
    "h5m link": lambda f, s: _linking_file(f / "a.h5m", s),
    "dolfin link": lambda f, s: _dolfin(f, s),
    "tetgen link": lambda f, s: _tetgen(f, s),
    "inp of stars": lambda f, s: _including(f / "a.inp", f"{s}.inp", "*I*N*CLUDE"),
    "inp in capitals": lambda f, s: _including(f / "a.INP", f"{s}.inp"),
    "inp by carriage return": lambda f, s: _including(f / "a.inp", f"{s}.inp", "**\r*INCLUDE"),
    "inp": lambda f, s: _including(f / "a.inp", f"{s}.inp"),
    "inp of inp": lambda f, s: _including_twice(f, s),
    "case": lambda f, s: _ensight(f, s),
    "foam include": lambda f, s: _foam(f, f'#include "{f.parent / "out" / "secret.bin"}"\n'),
    "foam link": lambda f, s: _foam(f, "", f.parent / "out" / "secret.bin"),
    "ut": lambda f, s: written(f / "a.ut", f"**meshfile {s}.geof\n**node U1\n1 1 1 1 0.0\n"),
}


def _hmf(path: Path) -> Path:
    data = {"u": np.arange(3.0)}
    mesh = meshio.Mesh(np.eye(3), [("triangle", MESH.cells["triangle"])], point_data=data)
    meshio.write(path, mesh, compression="gzip")
    return path


def _linking(folder: Path, secret: str) -> Path:
    with h5py.File(folder / "b.h5", "w") as file:
        file["x"] = h5py.ExternalLink(f"{secret}.h5", "x")
    return written(folder / "a.xdmf", heavy("HDF", "b.h5:/x"))


def _utf16(path: Path, text: str) -> Path:
    path.write_text('<?xml version="1.0" encoding="UTF-16"?>' + text, encoding="utf-16")
    return path


def _nested(folder: Path, secret: str) -> Path:
    written(folder / "b.pvtu", pieces(f"{secret}.vtu"))
    return written(folder / "a.pvd", collection("b.pvtu"))


def _of_image(folder: Path, secret: str, name: str) -> Path:
    texts = {
        "b.mhd": "ObjectType = Image\nNDims = 3\nDimSize = 3 1 1\nElementType = MET_DOUBLE\n"
        f"ElementByteOrderMSB = False\nElementDataFile = {secret}.bin\n",
        "b.nhdr": "NRRD0004\ntype: double\ndimension: 3\nsizes: 3 1 1\nencoding: raw\n"
        f"endian: little\ndata file: {secret}.bin\n",
        "b.vtu.series": '{"file-series-version": "1.0", "files": '
        f'[{{"name": "{secret}.vtu", "time": 0}}]}}',
        "b.pvti": '<VTKFile type="PImageData"><PImageData WholeExtent="0 2 0 0 0 0">'
        f'<Piece Extent="0 2 0 0 0 0" Source="{secret}.vti"/></PImageData></VTKFile>',
    }
    written(folder / name, texts[name])
    return written(folder / "a.pvd", collection(name))


def _behind(path: Path, source: Path, name: str, put: Callable[[h5py.Group, str], None]) -> Path:
    """A copy of a file of HDF5 behind a large block of the user, with one dataset replaced."""
    with h5py.File(source) as old, h5py.File(path, "w", userblock_size=2**16) as new:
        for key in old:
            old.copy(key, new)
    source.unlink()
    return replaced(path, name, put)


def _linking_file(path: Path, secret: str) -> Path:
    with h5py.File(path, "w") as file:
        file["coordx"] = h5py.ExternalLink(f"{secret}.h5", "x")
    return path


def _dolfin(folder: Path, secret: str) -> Path:
    vertices = "".join(f'<vertex index="{k}" x="{k % 2}" y="{k // 2}"/>' for k in range(3))
    linked(folder / "a_u.xml", f"{secret}.xml")
    return written(
        folder / "a.xml",
        f'<dolfin><mesh celltype="triangle" dim="2"><vertices size="3">{vertices}</vertices>'
        '<cells size="1"><triangle index="0" v0="0" v1="1" v2="2"/></cells></mesh></dolfin>',
    )


def _tetgen(folder: Path, secret: str) -> Path:
    linked(folder / "a.ele", f"{secret}.ele")
    return written(folder / "a.node", "4 3 0 0\n1 0 0 0\n2 1 0 0\n3 0 1 0\n4 0 0 1\n")


def _including(path: Path, target: str, word: str = "*INCLUDE") -> Path:
    head = "*NODE\n1, 0., 0., 0.\n2, 1., 0., 0.\n3, 0., 1., 0.\n"
    cells = "*ELEMENT, TYPE=CPS3\n1, 1, 2, 3\n"
    return written(path, f"{head}{cells}{word}, INPUT={target}\n")


def _including_twice(folder: Path, secret: str) -> Path:
    _including(folder / "part.txt", f"{secret}.inp")
    return _including(folder / "a.inp", "part.txt")


def _ensight(folder: Path, secret: str) -> Path:
    return written(
        folder / "a.case",
        f"FORMAT\ntype: ensight gold\nGEOMETRY\nmodel: a.geo\nVARIABLE\n"
        f"scalar per node: u {secret}.bin\n",
    )


def _foam(folder: Path, text: str, target: Path | None = None) -> Path:
    mesh = folder / "constant" / "polyMesh"
    mesh.mkdir(parents=True)
    (folder / "system").mkdir()
    head = 'FoamFile { version 2.0; format ascii; class dictionary; object "x"; }\n'
    (folder / "system" / "controlDict").write_text(head + text)
    if target is not None:
        os.symlink(target, mesh / "points")
    return written(folder / "a.foam", "")


def _array(text: str, kind: str = "Float64", more: str = "") -> str:
    return f'<DataArray type="{kind}" format="ascii" {more}>{text}</DataArray>'


def _grid(points: int, cells: int, field: int = 1) -> str:
    nodes = _array("0", "Int64", 'Name="connectivity"') + _array("1", "Int64", 'Name="offsets"')
    return (
        '<VTKFile type="UnstructuredGrid" version="1.0"><UnstructuredGrid>'
        f'<Piece NumberOfPoints="{points}" NumberOfCells="{cells}"><Points>'
        + _array("0 0 0", more='NumberOfComponents="3"')
        + f"</Points><Cells>{nodes}{_array('1', 'UInt8', 'Name=' + chr(34) + 'types' + chr(34))}"
        + f"</Cells><PointData>{_array('0', more=f'Name={chr(34)}u{chr(34)}')}</PointData>"
        + "</Piece></UnstructuredGrid></VTKFile>"
    )


def _declaring(path: Path, name: str, n: int = 2**40) -> Path:
    def put(group: h5py.Group, key: str) -> None:
        shape = (n, 3) if key == "Points" else (n,)
        group.create_dataset(key, shape=shape, dtype=float, chunks=True)

    return replaced(path, name, put)


def declaring(size: int) -> dict[str, Callable[[Path], Path]]:
    """name -> function(folder) that gives a small file which declares `size` entries."""
    legacy = "# vtk DataFile Version 3.0\nx\nASCII\nDATASET "
    return {
        "vtu points": lambda f: written(f / "a.vtu", _grid(size, 1)),
        "vtu cells": lambda f: written(f / "a.vtu", _grid(1, size)),
        "vtp": lambda f: written(
            f / "a.vtp",
            '<VTKFile type="PolyData" version="1.0"><PolyData>'
            f'<Piece NumberOfPoints="{size}" NumberOfPolys="{size}"><Points>'
            + _array("0 0 0", more='NumberOfComponents="3"')
            + "</Points></Piece></PolyData></VTKFile>",
        ),
        "vtk points": lambda f: written(
            f / "a.vtk", f"{legacy}UNSTRUCTURED_GRID\nPOINTS {size} double\n0 0 0\n"
        ),
        "vtk cells": lambda f: written(
            f / "a.vtk",
            f"{legacy}UNSTRUCTURED_GRID\nPOINTS 1 double\n0 0 0\nCELLS {size} {size}\n1 0\n",
        ),
        "vtk image": lambda f: written(
            f / "a.vtk",
            f"{legacy}STRUCTURED_POINTS\nDIMENSIONS {size} 1 1\nORIGIN 0 0 0\nSPACING 1 1 1\n"
            f"POINT_DATA {size}\nSCALARS u double\nLOOKUP_TABLE default\n0\n",
        ),
        "vtkhdf": lambda f: _declaring(unsealed(f / "a.vtkhdf"), "VTKHDF/Points", size),
        "cgns": lambda f: _declaring(*cgns(f), size),
        "med": lambda f: _declaring(*med(f), size),
        "xdmf": lambda f: written(
            f / "a.xdmf", heavy("XML", "0 1 2").replace('Dimensions="3"', f'Dimensions="{size}"')
        ),
        "msh": lambda f: written(
            f / "a.msh",
            f"$MeshFormat\n2.2 0 8\n$EndMeshFormat\n$Nodes\n{size}\n1 0 0 0\n$EndNodes\n",
        ),
        "off": lambda f: written(f / "a.off", f"OFF\n{size} {size} 0\n0 0 0\n"),
        "ply": lambda f: written(
            f / "a.ply",
            f"ply\nformat binary_little_endian 1.0\nelement vertex {size}\nproperty double x\n"
            "property double y\nproperty double z\nend_header\n",
        ),
        "case": lambda f: _case_of(f, size),
    }


def _case_of(folder: Path, size: int) -> Path:
    (folder / "a.geo").write_text(
        "a\nb\nnode id assign\nelement id assign\npart\n         1\nbody\ncoordinates\n"
        f"{size:10d}\n0.0\n"
    )
    return written(folder / "a.case", "FORMAT\ntype: ensight gold\nGEOMETRY\nmodel: a.geo\n")
