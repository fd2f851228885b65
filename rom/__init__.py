"""rom: reduced-order models and surrogates for engineering simulation.

    import rom
    rom.collect(solve, rom.sobol(box, 64), "runs", box=box)
    snapshots = rom.read("runs")
    basis, s = rom.pod(snapshots, tol=1e-4)
    model = rom.field_gp(snapshots, basis)
    answer = model.predict(mu)       # a rom.Prediction: fields, and what is known of their error

Chapters: help(rom.compress), help(rom.certified), help(rom.gp), help(rom.solids),
help(rom.shapes), ...; each opens with its method, its notation and ten lines that run.

Notation (as in the books; the same letters everywhere):

    mu      parameters, (p,) or (m, p)          theta   coefficient functions of an affine sum
    u       a state, (n,)                       Q       number of affine terms
    X       inner product of the space          V, W    modes of trial and test basis, (n, r)
    A, f    operator and load                   a       reduced coefficients, (r,)
    n, m, r local rows, snapshots, modes        s       singular values
    N       dofs over all ranks                 T       triangular factor
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

__version__ = "0.2.0"
CHAPTERS = (
    "archive", "compress", "points", "io", "design", "campaign", "certified", "local", "solids",
    "gp", "shapes", "operators", "dynamics", "decide", "study", "plot", "deploy", "batch",
)  # fmt: skip
_FACE = {
    "rom.space": ("Field", "Space", "euclidean"),
    "rom.mesh": ("Mesh",),
    "rom.parameters": ("Box",),
    "rom.snapshots": ("Snapshots",),
    "rom.basis": ("Basis",),
    "rom.affine": ("Affine", "Monomials"),
    "rom.problem": ("Problem",),
    "rom.model": ("Asks", "Model", "Question"),
    "rom.prediction": ("Error", "Known", "Part", "Prediction", "Quantity"),
    "rom.errors": ("BadInput", "NotConverged", "RomError"),
    "rom.archive": ("load", "load_model", "save", "save_model"),
    "rom.compress": ("hierarchical_pod", "merge_blocks", "pod"),
    "rom.points": ("ecm", "eim"),
    "rom.io": ("ingest_files", "read_file", "write_mesh"),
    "rom.design": ("grid", "latin_hypercube", "sobol"),
    "rom.campaign": ("collect", "read"),
    "rom.certified": ("galerkin_model", "reduced_basis", "separate", "unsteady_model"),
    "rom.local": ("expected_gain", "local_bases"),
    "rom.solids": ("follow", "train_solid"),
    "rom.gp": ("coefficient_gp", "field_gp", "kronecker_gp", "variational_gp", "vecchia_gp"),
    "rom.shapes": ("shape_model",),
    "rom.operators": ("operator_gp",),
    "rom.dynamics": ("dmd", "operator_inference", "project_rate"),
    "rom.decide": ("sensitivity",),
    "rom.plot": ("picture",),
}
_HOME = {name: module for module, names in _FACE.items() for name in names}
__all__ = ["__version__", *sorted(_HOME), *CHAPTERS]


def __getattr__(name: str) -> Any:
    """A name of the face, imported when it is first asked for.

    `import rom` itself loads nothing else.
    """
    if name in CHAPTERS:
        return import_module(f"rom.{name}")
    if name not in _HOME:
        raise AttributeError(f"rom has no {name!r}; it has {', '.join(__all__)}")
    value = getattr(import_module(_HOME[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__
