"""The `rom shapes` commands: train on a folder of designs, validate, predict on a new mesh, view."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer

from rom.cli.launch import Json, Verbose, guard, show_numbers
from rom.errors import BadInput

app = typer.Typer(
    name="shapes",
    no_args_is_help=True,
    help="Fields on meshes that all differ: files in, fields out.",
)
Folder = Annotated[
    Path,
    typer.Argument(
        help="Mesh files with point fields and scalars.csv (file, scalars...), or PLAID samples."
    ),
]
Model = Annotated[Path, typer.Argument(help="A model file of `rom shapes train`.")]
Mu = Annotated[str | None, typer.Option(help='Scalars, "a=1,b=2".')]


@app.command(
    "train",
    epilog='Example: rom shapes train plates --morph radial --curves "bottom,right,top,left,hole" --out plates.h5',
)
@guard
def train_shapes_command(
    folder: Folder,
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
    seed: Annotated[int, typer.Option(help="Seed of the random numbers.")] = 0,
    json: Json = False,
    verbose: Verbose = False,
) -> None:
    """A model of the fields and outputs over shapes and scalars, in one file."""
    from rom.archive.models import save_model
    from rom.shapes import Reduction, medoid, shape_model
    from rom.shapes.families import family
    from rom.shapes.references import refine

    samples, names, units, files = family(folder, _words(outputs), _words(fields))
    reduction = Reduction(fields=modes, mapping=mapping)
    chosen = _morphing(morph, _words(curves), _words(landmarks))
    reference = refine(medoid(samples, chosen), samples, chosen, nodes) if nodes else None
    model = shape_model(
        samples, chosen, reference, names=names, units=units, reduction=reduction, rng=seed
    )
    digest = save_model(
        out,
        model,
        model.embedding.reference,
        {"folder": str(folder), "files": files, "morph": morph},
    )
    numbers = {
        "model": str(out),
        "samples": len(samples),
        "shape modes": model.embedding.basis.r,
        "latents": model.latents,
    }
    show_numbers({**numbers, "reference nodes": len(model.chart), "sha256": digest}, {}, json)


@app.command("validate", epilog="Example: rom shapes validate plates_test plates.h5")
@guard
def validate_shapes_command(
    folder: Folder, model: Model, json: Json = False, verbose: Verbose = False
) -> None:
    """Errors and coverage on designs that the model has not seen."""
    from rom.shapes.families import family
    from rom.study.metrics import field_coverage, q2, rel_l2, rrmse

    machine = _loaded(model)
    samples = family(folder, machine.outputs, [part.name for part in machine.fields])[0]
    answers = [machine.predict(s.mesh, s.mu, s.baseline) for s in samples]
    numbers: dict[str, Any] = {"samples": len(samples)}
    for part in machine.fields:
        found, true, std = (
            [getattr(a, key)[part.name] for a in rows]
            for key, rows in (("fields", answers), ("fields", samples), ("std", answers))
        )
        numbers |= {
            f"rel_l2 {part.name}": rel_l2(found, true),
            f"rrmse {part.name}": rrmse(found, true),
        }
        numbers |= {
            f"q2 {part.name}": q2(found, true),
            f"coverage_90 {part.name}": field_coverage(found, true, std),
        }
    for name in machine.outputs:
        pairs = np.array(
            [[a.outputs[name], s.outputs[name]] for a, s in zip(answers, samples, strict=True)]
        )
        numbers[f"largest error {name}"] = float(np.abs(pairs[:, 0] - pairs[:, 1]).max())
    show_numbers({**numbers, "outside": sum(not a.inside for a in answers)}, {}, json)


@app.command(
    "predict",
    epilog='Example: rom shapes predict plates.h5 new.vtu --mu "traction=75" --out answer.vtu',
)
@guard
def predict_shapes_command(
    model: Model,
    mesh: Annotated[
        Path,
        typer.Argument(help="A mesh file; point fields baseline:NAME where the model needs them."),
    ],
    mu: Mu = None,
    out: Annotated[
        Path | None, typer.Option(help="File of the fields and their standard deviations.")
    ] = None,
    json: Json = False,
    verbose: Verbose = False,
) -> None:
    """Fields, outputs, standard deviations, and whether the design lies among those the model has seen."""
    from rom.shapes.families import write_answer

    answer, _ = _asked(model, mesh, mu)
    if out is not None:
        write_answer(out, answer)
    rows: dict[str, Any] = {
        "score": answer.score,
        "inside": answer.inside,
        "outside": ", ".join(answer.outside) or "none",
    }
    for name, values in answer.fields.items():
        rows |= {
            f"min {name}": values.min(),
            f"max {name}": values.max(),
            f"largest std {name}": answer.std[name].max(),
        }
    rows |= {
        k: v
        for n, w in answer.outputs.items()
        for k, v in ((n, w), (f"std {n}", answer.outputs_std[n]))
    }
    show_numbers({**rows, "out": None if out is None else str(out)}, {}, json)


@app.command("view", epilog="Example: rom shapes view plates.h5 test_07.vtu --picture plate.png")
@guard
def view_shapes_command(
    model: Model,
    mesh: Annotated[
        Path,
        typer.Argument(help="A mesh file; where it carries the fields too, the error is drawn."),
    ],
    mu: Mu = None,
    field: Annotated[str | None, typer.Option(help="Field to draw. Default: the first.")] = None,
    picture: Annotated[Path | None, typer.Option(help="A PNG instead of a window.")] = None,
    verbose: Verbose = False,
) -> None:
    """Prediction, standard deviation and error side by side."""
    from rom.plot.pictures import picture as draw
    from rom.plot.pictures import show_window as window
    from rom.shapes.families import answer_fields

    answer, true = _asked(model, mesh, mu)
    name = field or next(iter(answer.fields))
    if name not in answer.fields:
        raise BadInput(f"no field {name!r} in the model; it has {', '.join(answer.fields)}")
    shown = {
        key: value
        for key, value in answer_fields(answer, true).items()
        if key in (name, f"std {name}", f"error {name}")
    }
    if picture is None:
        window(answer.mesh, shown, title=mesh.name)
    else:
        draw(picture, answer.mesh, shown, title=mesh.name)


def _words(text: str) -> tuple[str, ...]:
    return tuple(word.strip() for word in text.split(",") if word.strip())


def _morphing(kind: str, curves: tuple[str, ...], landmarks: tuple[str, ...]) -> Any:
    from rom.shapes.charts import ArcLength, Chart, Same
    from rom.shapes.elastic import Elastic
    from rom.shapes.rbf import Radial

    known = {
        "same": lambda: Same(), "arc": lambda: ArcLength(landmarks, not landmarks), "radial": lambda: Radial(curves, landmarks),
        "disk": lambda: Chart("disk", "floater", landmarks), "square": lambda: Chart("square", "floater", landmarks),
        "elastic": lambda: Elastic(curves, landmarks),
    }  # fmt: skip
    if kind not in known:
        raise BadInput(f"no morphing {kind!r}; known: {', '.join(known)}")
    return known[kind]()


def _loaded(path: Path) -> Any:
    from rom.archive.models import load_model
    from rom.shapes import ShapeModel

    machine = load_model(path)[0]
    if not isinstance(machine, ShapeModel):
        raise BadInput(
            f"{path} holds a {type(machine).__name__}, no model over shapes; make one: rom shapes train"
        )
    return machine


def _asked(model: Path, mesh: Path, mu: str | None) -> tuple[Any, Any]:
    """The prediction on a file's mesh, and the file as a sample."""
    from rom.cli.case import parameters
    from rom.shapes.families import BASELINE, flat, open_sample
    from rom.shapes.morphing import Sample

    machine = _loaded(model)
    row = (
        np.zeros(0) if machine.box is None else parameters([mu] if mu else [], None, machine.box)[0]
    )
    made, found = open_sample(mesh)
    given = {
        k.removeprefix(BASELINE): flat(v, made)
        for k, (v, _) in found.items()
        if k.startswith(BASELINE)
    }
    fields = {k: flat(v, made) for k, (v, _) in found.items() if not k.startswith(BASELINE)}
    return machine.predict(made, row, given), Sample(made, row, fields)
