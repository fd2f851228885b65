"""Every kind of output into one folder: python outputs.py FOLDER; a line per output says its code.

0 is written, 6 is refused by name; a process that ends says nothing.
"""

from __future__ import annotations

import resource
import signal
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np

from rom.affine import Affine, Monomials
from rom.archive.nouns import save
from rom.basis import Basis
from rom.certified.stationary import galerkin
from rom.cli.app import app
from rom.cli.launch import exit_code
from rom.deploy import write_fmu
from rom.io import write_mesh, write_points, write_vtkhdf
from rom.io.writers.xdmf import write_xdmf_series
from rom.mesh import Mesh
from rom.parameters import Box
from rom.plot.curves import decay_plot
from rom.plot.pictures import picture
from rom.space import euclidean
from rom.study.report import write_report

MESH = Mesh(np.array([[0.0, 0], [1, 0], [0, 1]]), {"triangle": np.array([[0, 1, 2]])})
FIELDS = {"u": (np.arange(3.0), "K")}
TIMES = np.arange(2.0)
SERIES = {"u": (np.arange(6.0).reshape(3, 2), "K")}
MESHES = ("vtu", "vtk", "vtkhdf", "xdmf", "msh", "med", "off")


def model():
    """A Galerkin model of two unknowns."""
    A = Affine(Monomials(np.ones(1), np.ones((1, 1))), [np.eye(2)])
    f = Affine(Monomials(np.ones(1), np.zeros((1, 1))), [np.ones(2)])
    box = Box(("k",), np.array([1.0]), np.array([2.0]))
    return galerkin(A, f, Basis(euclidean(2), np.eye(2)), box=box)


def outputs(folder: Path) -> dict[str, Callable[[], object]]:
    """File -> writing it."""
    acts: dict[str, Callable[[], object]] = {
        f"mesh.{kind}": lambda kind=kind: write_mesh(folder / f"mesh.{kind}", MESH, FIELDS)
        for kind in MESHES
    }
    acts["mesh.off"] = lambda: write_mesh(folder / "mesh.off", MESH)
    acts["mesh.inp"] = lambda: write_mesh(folder / "mesh.inp", MESH)
    acts |= {
        "series.vtkhdf": lambda: write_vtkhdf(folder / "series.vtkhdf", MESH, SERIES, TIMES),
        "series.xdmf": lambda: write_xdmf_series(folder / "series.xdmf", MESH, SERIES, TIMES),
        "points.csv": lambda: write_points(folder / "points.csv", MESH, FIELDS, {}),
        "points.npz": lambda: write_points(folder / "points.npz", MESH, FIELDS, {}),
        "report.html": lambda: write_report(folder / "report.html", model()),
        "curve.png": lambda: decay_plot(folder / "curve.png", np.array([1.0, 0.1])),
        "picture.png": lambda: picture(folder / "picture.png", MESH, FIELDS),
        "unit.fmu": lambda: write_fmu(folder / "unit.fmu", model(), {"y": (np.ones(2), "K")}),
        "model.h5": lambda: save(folder / "model.h5", model()),
    }
    source = str(folder.parent / "source.h5")
    for kind in ("csv", "npz", "vtu"):
        words = ["predict", source, "--mu", "1.5", "--out", str(folder / f"answer.{kind}")]
        acts[f"answer.{kind}"] = lambda words=words: app(words)
    return acts


def code_of(act: Callable[[], object]) -> int:
    """0, or the exit code of what the act raises."""
    try:
        act()
    except SystemExit as end:
        return int(end.code or 0)
    except Exception as error:
        return exit_code(error)
    return 0


if __name__ == "__main__":
    place = Path(sys.argv[1])
    if len(sys.argv) > 2:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[2]), resource.RLIM_INFINITY))
    for name, act in outputs(place).items():
        code = code_of(act)
        sys.stdout.write(f"code {name} {code}\n")
        sys.stdout.flush()
