"""What models answer and files hold, as fields to draw or to export."""

from __future__ import annotations

from dataclasses import dataclass, fields, is_dataclass
from pathlib import Path
from typing import Any

import numpy as np

from rom.basis import Basis
from rom.errors import BadInput
from rom.mesh import Mesh
from rom.model import Model
from rom.parameters import Box
from rom.prediction import Prediction
from rom.space import Space

Fields = dict[str, tuple[np.ndarray, str]]  # name -> (values, unit)
MAGIC = b"rom archive\n"
MAX_TITLE = 60
SAMPLES = 256  # of the box, where a model has neither modes nor a question

Scene = tuple[Mesh, Fields, Fields, str]  # mesh, point fields, cell fields, title


@dataclass(frozen=True, eq=False)
class States:
    """Columns u (n, m) that can be drawn or exported.

    inputs : name -> what each column answers, (m,); mesh : where the fields live
    """

    space: Space
    u: np.ndarray
    inputs: dict[str, np.ndarray]
    mesh: Mesh | None


def is_archive(path: Path) -> bool:
    """Whether a file begins as ours do."""
    with open(path, "rb") as file:
        return file.read(len(MAGIC)) == MAGIC


def is_store(path: Path) -> bool:
    """Whether a folder is a campaign's: any but a case of OpenFOAM."""
    import rom.io.readers as readers
    from rom.io.registry import is_result_folder

    return path.is_dir() and not is_result_folder(readers, path)


def is_model_file(path: Path) -> bool:
    """Whether a file holds what this package saved, not only a mesh with fields.

    Raises BadInput where there is no such file.
    """
    if path.is_dir():
        return False
    if not path.is_file():
        raise BadInput(f"no file or folder {path}")
    from rom.archive.headers import open_header

    if not is_archive(path):
        return False
    return path.suffix != ".vtkhdf" or open_header(path) is not None


def snapshots_of_store(path: Path, comm: Any = None) -> States:
    """The snapshots of a store with their parameters and times, by rows over ranks."""
    from rom.campaign import open_store, read
    from rom.io.answer_columns import TIME, parameter_headings

    store, snapshots = open_store(path), read(path, comm=comm)
    names = parameter_headings(store.box, snapshots.mu.shape[1])
    inputs = dict(zip(names, snapshots.mu.T, strict=True))
    if snapshots.t is not None:
        inputs[TIME] = snapshots.t
    mesh = store.mesh if snapshots.space.root else None
    return States(snapshots.space, np.asarray(snapshots.u[:]), inputs, mesh)


def bases_of(model: Any) -> dict[str, Basis]:
    """The bases of a model by field, "" for one of the whole state."""
    basis = getattr(model, "basis", None)
    if isinstance(basis, Basis):
        return {"": basis}
    bases: dict[str, Basis] = {}
    if not is_dataclass(model):
        return bases
    for entry in fields(model):
        value = getattr(model, entry.name)
        for part in value if isinstance(value, (tuple, list)) else ():
            own = getattr(part, "basis", None)
            if isinstance(own, Basis):
                bases[str(getattr(part, "name", f"{entry.name} {len(bases)}"))] = own
    return bases


def modes_of_model(model: Model, mesh: Mesh | None) -> States | None:
    """The modes of a model as columns, a field each; None for one without modes."""
    bases = bases_of(model)
    if not bases:
        return None
    if "" in bases:
        basis = bases[""]
        numbers = np.arange(1.0, basis.r + 1)
        return States(basis.space, basis.modes, {"mode": numbers}, mesh)
    return _join_bases(bases, mesh)


def _join_bases(bases: dict[str, Basis], mesh: Mesh | None) -> States:
    """Modes of bases of single fields, side by side; a shorter basis ends in zeros."""
    from rom.space import Field, euclidean

    rank = max(basis.r for basis in bases.values())
    if any(basis.space.spread for basis in bases.values()):
        raise BadInput("modes of several bases are exported by one rank; run it without mpiexec")
    size = sum(len(basis.modes) for basis in bases.values())
    columns = np.zeros((size, rank))
    parts, start = [], 0
    for name, basis in bases.items():
        rows = np.arange(start, start + len(basis.modes))
        columns[rows, : basis.r] = np.real(basis.modes)
        own = basis.space.fields
        unit, c = (own[0].unit, own[0].components) if own else ("1", 1)
        parts.append(Field(name, unit, rows, c))
        start += len(rows)
    space = euclidean(size, fields=tuple(parts))
    return States(space, columns, {"mode": np.arange(1.0, rank + 1)}, mesh)


def answer_on_sample(model: Model, mesh: Mesh | None, path: Path) -> tuple[Prediction, Box]:
    """The answers of a model on a sample of its box, and the box.

    Raises BadInput where it has no box, or asks for more than parameters.
    """
    from rom.cli.questions import answer_question
    from rom.design import sobol

    asks = model.asks
    needs = asks.mesh or asks.loading or asks.fields or asks.signals
    box = trained_box(model)
    if box is None or needs:
        raise BadInput(
            f"{path} holds neither modes nor a box to sample; ask it a question: rom predict"
        )
    return answer_question(model, asks.question(sobol(box, SAMPLES)), mesh), box


def trained_box(model: Model) -> Box | None:
    """The box of what a model asks, or the range of its training points."""
    if model.asks.box is not None:
        return model.asks.box
    own = getattr(model, "box", None)
    if isinstance(own, Box):
        return own
    axes = getattr(model, "axes", None)
    if axes is None:
        return None
    lower = np.concatenate([np.min(axis, axis=0) for axis in axes])
    upper = np.concatenate([np.max(axis, axis=0) for axis in axes])
    if not (lower < upper).all():
        return None
    return Box(tuple(f"mu{k}" for k in range(len(lower))), lower, upper)


def mesh_scene(path: Path) -> Scene:
    """The fields of a mesh file; of one without fields, its last coordinate."""
    from rom.io.files import read_file

    mesh, points, cells = read_file(path)
    if not points and not cells:
        axis = mesh.points.shape[1] - 1
        points = {"xyz"[axis]: (mesh.points[:, axis], mesh.unit)}
    return mesh, points, cells, path.name


def state_scene(path: Path, states: States, step: int) -> Scene:
    """State number `step` of a store or of modes. Raises BadInput."""
    from rom.io.states import on_mesh

    mesh = states.mesh
    if mesh is None:
        raise BadInput(
            f"{path} has no mesh to show fields on; export it to .npz or .csv, "
            "or give the problem a mesh"
        )
    _check_step(step, states.u.shape[1])
    title = _title({name: values[step] for name, values in states.inputs.items()}, path)
    point_fields, cell_fields = on_mesh(states.space, mesh, states.u[:, step])
    return mesh, point_fields, cell_fields, title


def answer_scene(path: Path, answer: Prediction, box: Box | None, step: int) -> Scene:
    """Sample and time number `step` of an answer, or all samples as points.

    Raises BadInput where there is no such step.
    """
    from rom.io.answer_columns import count_times, input_columns
    from rom.io.answers import answer_fields_on_mesh, points_of_answer
    from rom.io.states import whole_fields

    if answer.mesh is None or not answer.parts:
        mesh, point_fields = points_of_answer(answer, box)
        inputs = input_columns(answer, box)
        shown = {key: entry for key, entry in point_fields.items() if not _names(inputs, key)}
        return mesh, shown or point_fields, {}, path.name
    n_t = count_times(answer)
    _check_step(step, answer.m * n_t)
    sample, time = divmod(step, n_t)
    inputs = {name: values[step] for name, values in input_columns(answer, box).items()}
    point_fields, cell_fields = map(whole_fields, answer_fields_on_mesh(answer, sample, time))
    return answer.mesh, point_fields, cell_fields, _title(inputs, path)


def _names(inputs: dict[str, Any], name: str) -> bool:
    """Whether a field is one of the inputs, 'name [unit]' -> values."""
    return any(key.split(" [")[0] == name for key in inputs)


def _check_step(step: int, count: int) -> None:
    if step >= count:
        raise BadInput(f"no step {step}; there are {count}: 0 .. {count - 1}")


def _title(inputs: dict[str, Any], path: Path) -> str:
    entries = [f"{name.split(' [')[0]} = {value:.4g}" for name, value in inputs.items()]
    title = ", ".join(entries)
    return title if len(title) < MAX_TITLE else path.name


def draw_scene(
    picture: Path | None, mesh: Mesh, fields: Fields, cell_fields: Fields, *, title: str
) -> None:
    """A picture in a file, or a window without one."""
    from rom.plot import pictures

    if picture is None:
        pictures.show_window(mesh, fields, cell_fields, title=title)
    else:
        pictures.picture(picture, mesh, fields, cell_fields, title=title)
