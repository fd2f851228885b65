"""Data sets of PLAID out of states: a folder of samples, files of CGNS.

Layout of version 1: data/SPLIT/sample_000000000/meshes/mesh_000000000.cgns, a file for every time,
and infos.yaml. Reference: Casenave et al., PLAID (2025).
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np

from rom.arrays import COLUMNS, VECTOR, check_lengths, gate
from rom.errors import BadInput, NotWritten
from rom.io.cgns_nodes import write_tree
from rom.io.states import TIME, on_mesh
from rom.mesh import Mesh
from rom.space import Space

SUFFIX = ".plaid"  # of a folder
INFOS = "owner: unknown\nlicense: unknown\nnum_samples:\n  {split}: {n}\nstorage_backend: cgns\n"
States = list[tuple[float, int]]  # time [s] and column


@gate(space=Space, mesh=Mesh, U=COLUMNS)
def write_plaid(
    folder: str | Path,
    space: Space,
    U: np.ndarray,
    inputs: Mapping[str, np.ndarray],
    mesh: Mesh,
    *,
    split: str = "train",
) -> Path:
    """States U (n, m) as samples of PLAID on one mesh, times of a run as one.

    inputs : "name [unit]" -> (m,), what the states answer; "t [s]" is the time, and states that
        differ in it alone are one sample. The others become globals of the sample.
    Raises BadInput for a folder that holds something, and for what CGNS cannot hold; NotWritten.
    """
    folder = Path(folder)
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise BadInput(f"{folder} is there already; name a new folder")
    if space.spread:
        raise BadInput("the states lie on several ranks; write them on one")
    inputs = {name: VECTOR(values, f"input {name!r}") for name, values in inputs.items()}
    check_lengths("state", U=U.T, **inputs)
    temp = folder.with_name(f".{folder.name}.tmp")
    shutil.rmtree(temp, ignore_errors=True)
    try:
        n = 0
        for n, (scalars, states) in enumerate(_samples(inputs, U.shape[1]), 1):
            home = temp / "data" / split / f"sample_{n - 1:09d}" / "meshes"
            home.mkdir(parents=True)
            for k, (t, column) in enumerate(states):
                fields = on_mesh(space, mesh, U[:, column])
                write_tree(home / f"mesh_{k:09d}.cgns", mesh, fields, scalars, t)
        (temp / "infos.yaml").write_text(INFOS.format(split=split, n=n))
        if folder.is_dir():
            folder.rmdir()
        temp.rename(folder)
    except OSError as error:
        raise NotWritten(f"cannot write {folder}: {error}") from error
    finally:
        shutil.rmtree(temp, ignore_errors=True)
    return folder


def _samples(inputs: Mapping[str, np.ndarray], m: int) -> Iterator[tuple[dict[str, float], States]]:
    """The scalars and the states of every sample, in the order of its first state."""
    times = inputs.get(TIME)
    names = [name for name in inputs if name != TIME]
    runs: dict[tuple[float, ...], States] = {}
    for k in range(m):
        point = tuple(float(inputs[name][k]) for name in names)
        if times is None:
            yield dict(zip(names, point, strict=True)), [(0.0, k)]
        else:
            runs.setdefault(point, []).append((float(times[k]), k))
    for point, states in runs.items():
        yield dict(zip(names, point, strict=True)), states
