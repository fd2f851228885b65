"""`rom shapes train`, `validate`: a model of fields over shapes, and its errors."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
import typer

from rom.cli.launch import Json, Verbose, guard
from rom.cli.options import Seed
from rom.cli.shape_morphs import candidate_morphs
from rom.cli.shape_options import Folder, ShapeFile, load_shape_model
from rom.cli.tables import show_numbers
from rom.cli.targets import MODELS, check_suffix_of

if TYPE_CHECKING:
    from rom.shapes import ShapeModel, ShapeTrial

LEAST_SKILL = 0.05  # of the variance about the mean field

app = typer.Typer()


@app.command(
    "train",
    epilog="Example: rom shapes train plates --morph radial "
    '--curves "bottom,right,top,left,hole" --out plates.h5',
)
@guard
def train_shapes_command(
    folder: Folder,
    *,
    out: Annotated[Path, typer.Option(help="File of the model.")] = Path("shapes.rom.h5"),
    morph: Annotated[
        str,
        typer.Option(
            help="auto, same, arc, disk, square, sphere, radial or elastic. auto: of those that "
            "fit the meshes, the best in cross-validation."
        ),
    ] = "auto",
    curves: Annotated[str, typer.Option(help="Boundary regions that match, by name.")] = "",
    landmarks: Annotated[str, typer.Option(help="Node sets of one node that match, by name.")] = "",
    fields: Annotated[str, typer.Option(help="Point fields to learn; default: all.")] = "",
    outputs: Annotated[str, typer.Option(help="Columns of scalars.csv that are outputs.")] = "",
    modes: Annotated[
        int, typer.Option(min=0, help="Modes per field, at most. 0: by cross-validation.")
    ] = 0,
    shape_modes: Annotated[
        int, typer.Option(min=0, help="Modes of shapes, at most. 0: by cross-validation.")
    ] = 0,
    mapping: Annotated[
        int, typer.Option(min=0, help="Modes of optimal mappings: for shocks and fronts that move.")
    ] = 0,
    nodes: Annotated[
        int,
        typer.Option(
            min=0,
            help="Refine the reference where fields bend, to so many nodes at most. 0: by "
            "cross-validation.",
        ),
    ] = 0,
    seed: Seed = 0,
    json: Json = False,
    verbose: Verbose = False,
) -> None:
    """A model of the fields and outputs over shapes and scalars, in one file.

    What is not named is chosen by cross-validation in the folder; its error, and its skill against
    the mean field, are printed.
    """
    from rom.archive.models import save_model
    from rom.shapes import choose_shapes, medoid
    from rom.shapes.choice import START
    from rom.shapes.families import family
    from rom.shapes.references import refine

    check_suffix_of(out, MODELS)
    samples, names, units, files = family(folder, _words(outputs), _words(fields))
    morphs = candidate_morphs(samples, morph, _words(curves), _words(landmarks))
    reference = None
    if nodes:
        first = next(iter(morphs.values()))
        reference = refine(medoid(samples, first), samples, first, nodes)
    ranks: dict[str, Any] = {key: n for key, n in (("fields", modes), ("shape", shape_modes)) if n}
    model, trials = choose_shapes(
        samples,
        morphs,
        reference=reference,
        names=names,
        units=units,
        reduction=replace(START, mapping=mapping, **ranks),
        keep=tuple(ranks),
        rng=seed,
    )
    provenance = {"folder": str(folder), "files": files, "morph": trials[0].text}
    digest = save_model(out, model, model.embedding.reference, provenance)
    numbers = {
        "model": str(out),
        "samples": len(samples),
        **_trial_rows(trials),
        "shape modes": model.embedding.basis.r,
        "latents": model.latents,
        "reference nodes": len(model.chart),
        **_error_rows(model),
        "sha256": digest,
    }
    show_numbers(numbers, {}, json)


def _trial_rows(trials: Sequence[ShapeTrial]) -> dict[str, Any]:
    """Every trial with its error in cross-validation, or why it was passed over."""
    return {f"tried {trial.text}": trial.reason or trial.error for trial in trials}


def _error_rows(model: ShapeModel) -> dict[str, Any]:
    """Errors of each field in cross-validation, of the mean field, and the skill.

    Where a field has no skill the row says so.
    """
    rows: dict[str, Any] = {}
    for part in model.fields:
        rows[f"rel_l2 {part.name} (cross-validation)"] = part.error
        rows[f"rel_l2 {part.name} of the mean field"] = part.mean_error
        rows[f"skill {part.name}"] = part.skill
        if not part.skill > LEAST_SKILL:
            rows[f"warning: {part.name}"] = (
                "no skill: the mean field does as well; give more samples, or scalars that matter"
            )
    return rows


@app.command("validate", epilog="Example: rom shapes validate plates_test plates.h5")
@guard
def validate_shapes_command(
    folder: Folder, model: ShapeFile, json: Json = False, verbose: Verbose = False
) -> None:
    """Errors and coverage on designs that the model has not seen."""
    from rom.shapes.families import family
    from rom.study.metrics import field_coverage, q2, rel_l2, rrmse

    shapes = load_shape_model(model)
    fields = [part.name for part in shapes.fields]
    samples = family(folder, shapes.outputs, fields)[0]
    answers = [shapes.predict(s.mu, mesh=s.mesh, fields=s.baseline) for s in samples]
    numbers: dict[str, Any] = {"samples": len(samples)}
    for name in fields:
        values = [answer.field(name) for answer in answers]
        exact = [sample.fields[name] for sample in samples]
        std = [np.asarray(answer.std(name), dtype=float) for answer in answers]
        numbers[f"rel_l2 {name}"] = rel_l2(values, exact)
        numbers[f"rrmse {name}"] = rrmse(values, exact)
        numbers[f"q2 {name}"] = q2(values, exact)
        numbers[f"coverage_90 {name}"] = field_coverage(values, exact, std)
    for name in shapes.outputs:
        predictions = np.array([answer.outputs[name].value[0] for answer in answers])
        truths = np.array([sample.outputs[name] for sample in samples])
        numbers[f"largest error {name}"] = float(np.abs(predictions - truths).max())
    numbers["outside"] = sum(not np.all(answer.inside) for answer in answers)
    show_numbers(numbers, {}, json)


def _words(text: str) -> tuple[str, ...]:
    """ "a, b" -> ("a", "b")."""
    return tuple(word.strip() for word in text.split(",") if word.strip())
