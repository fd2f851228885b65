"""`rom shapes train`, `validate`: a model of fields over shapes, and its errors."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer

from rom.cli.launch import Json, Verbose, guard
from rom.cli.options import Seed
from rom.cli.shape_options import Folder, ShapeFile, load_shape_model
from rom.cli.tables import show_numbers
from rom.cli.targets import MODELS, check_suffix_of
from rom.errors import BadInput

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
        str, typer.Option(help="same, arc, disk, square, radial or elastic.")
    ] = "radial",
    curves: Annotated[str, typer.Option(help="Boundary regions that match, by name.")] = "",
    landmarks: Annotated[str, typer.Option(help="Node sets of one node that match, by name.")] = "",
    fields: Annotated[str, typer.Option(help="Point fields to learn; default: all.")] = "",
    outputs: Annotated[str, typer.Option(help="Columns of scalars.csv that are outputs.")] = "",
    modes: Annotated[int, typer.Option(min=1, help="Modes per field, at most.")] = 16,
    mapping: Annotated[
        int, typer.Option(min=0, help="Modes of optimal mappings: for shocks and fronts that move.")
    ] = 0,
    nodes: Annotated[
        int,
        typer.Option(
            min=0,
            help="Refine the reference where fields bend, to so many nodes at most. 0: as it is.",
        ),
    ] = 0,
    seed: Seed = 0,
    json: Json = False,
    verbose: Verbose = False,
) -> None:
    """A model of the fields and outputs over shapes and scalars, in one file."""
    from rom.archive.models import save_model
    from rom.shapes import Reduction, medoid, shape_model
    from rom.shapes.families import family
    from rom.shapes.references import refine

    check_suffix_of(out, MODELS)
    samples, names, units, files = family(folder, _words(outputs), _words(fields))
    morphing = _morphing(morph, _words(curves), _words(landmarks))
    reference = None
    if nodes:
        reference = refine(medoid(samples, morphing), samples, morphing, nodes)
    reduction = Reduction(fields=modes, mapping=mapping)
    model = shape_model(
        samples, morphing, reference, names=names, units=units, reduction=reduction, rng=seed
    )
    provenance = {"folder": str(folder), "files": files, "morph": morph}
    digest = save_model(out, model, model.embedding.reference, provenance)
    numbers = {
        "model": str(out),
        "samples": len(samples),
        "shape modes": model.embedding.basis.r,
        "latents": model.latents,
        "reference nodes": len(model.chart),
        "sha256": digest,
    }
    show_numbers(numbers, {}, json)


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


def _morphing(kind: str, curves: tuple[str, ...], landmarks: tuple[str, ...]) -> Any:
    """The morphing of a name. Raises BadInput for an unknown one."""
    from rom.shapes import ArcLength, Chart, Elastic, Radial, Same

    kinds: dict[str, Callable[[], Any]] = {
        "same": Same,
        "arc": partial(ArcLength, landmarks, not landmarks),
        "radial": partial(Radial, curves, landmarks),
        "disk": partial(Chart, "disk", "floater", landmarks),
        "square": partial(Chart, "square", "floater", landmarks),
        "elastic": partial(Elastic, curves, landmarks),
    }
    if kind not in kinds:
        raise BadInput(f"no morphing {kind!r}; known: {', '.join(kinds)}")
    return kinds[kind]()
