"""What `rom export` writes and reads of other programs: bases, sets of PLAID."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from rom.cli.scenes import States, bases_of, is_model_file, is_store, snapshots_of_store
from rom.cli.targets import check_folder
from rom.errors import BadInput
from rom.io.bases import kind_of_basis, read_basis, write_basis
from rom.io.plaid import SUFFIX, write_plaid


def is_elsewhere(out: Path) -> bool:
    """Whether a name is that of a foreign basis, or of a data set of PLAID."""
    return out.suffix == SUFFIX or kind_of_basis(out) is not None


def is_basis_file(path: Path) -> bool:
    """Whether a file is a basis of another program by its name, and no model."""
    return path.is_file() and kind_of_basis(path) is not None and not is_model_file(path)


def states_of_basis(path: Path) -> States:
    """The modes in a basis of another program, a column each."""
    basis = read_basis(path)
    return States(basis.space, basis.modes, {"mode": np.arange(1.0, basis.r + 1)}, None)


def export_elsewhere(path: Path, out: Path, case: str | None, field: str | None) -> None:
    """A store as a data set of PLAID; a basis as one of `out`'s program."""
    if out.suffix != SUFFIX:
        check_folder(out)
        _export_basis(path, out, case, field)
        return
    if not is_store(path):
        raise BadInput(f"a data set of PLAID holds runs; give a store, not {path.name}")
    states = snapshots_of_store(path)
    if states.mesh is None:
        raise BadInput(f"{path} has no mesh; PLAID needs one: give the case a mesh and collect")
    write_plaid(out, states.space, states.u, states.inputs, states.mesh)


def _export_basis(path: Path, out: Path, case: str | None, field: str | None) -> None:
    from rom.cli.questions import open_model

    kind = kind_of_basis(out)
    assert kind is not None
    if is_basis_file(path):
        write_basis(out, read_basis(path), kind)
        return
    if not is_model_file(path):
        raise BadInput(
            f"{out.name} is a name for a basis of {kind}; give a model or a basis, not {path.name}"
        )
    bases = bases_of(open_model(path, case)[0])
    if field is None and len(bases) == 1:
        field = next(iter(bases))
    if field not in bases:
        names = ", ".join(bases) or "none"
        raise BadInput(f"{path.name} has bases of: {names}; choose one: --field NAME")
    write_basis(out, bases[field], kind)
