"""What a case leaves behind with --out: model, mesh, and how to make them again."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import Any

import numpy as np

from rom import __version__
from rom.archive.models import save_model
from rom.archive.nouns import save
from rom.loading import Loading
from rom.mesh import Mesh
from rom.shapes import Sample

MODEL, UNSEEN, LOADING = "model.h5", "unseen.vtu", "loading.h5"


def ship_model(
    folder: str | Path,
    model: Any,
    case: str,
    *,
    mesh: Mesh | None = None,
    sample: Sample | None = None,
    loading: Loading | None = None,
) -> Path:
    """folder/model.h5 with mesh and provenance, for `rom view` and `report`.

    sample : a shape that the model can be asked of, unseen.vtu with its baseline fields
    loading : that a model of a solid can be asked of, loading.h5
    """
    from rom.io.files import write_mesh

    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    origin = {
        "command": shlex.join(["python", *sys.orig_argv[1:]]),
        "package": f"rom-platform {__version__}",
        "numpy": np.__version__,
        "case": case,
        "settings": (),
    }
    save_model(folder / MODEL, model, mesh, origin)
    if sample is not None:
        fields = {name: (values, "") for name, values in sample.baseline.items()}
        write_mesh(folder / UNSEEN, sample.mesh, fields)
    if loading is not None:
        save(folder / LOADING, loading)
    return folder / MODEL
