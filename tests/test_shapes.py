"""Models over shapes: laws of the pipeline, a moving front of known shape, and the numbers on
real data.
"""

from dataclasses import replace

import numpy as np
import pytest

from rom.archive.nouns import load, save
from rom.errors import BadInput, Folded
from rom.mesh import Mesh
from rom.prediction import Known
from rom.shapes import (
    ArcLength,
    Chart,
    Radial,
    Reduction,
    Same,
    Sample,
    embedding,
    medoid,
    overlay,
    shape_model,
    subdivide,
)
from rom.shapes.answers import SCORE
from rom.shapes.simplex import determinants, simplices
from rom.study.metrics import field_coverage, q2, rel_l2, rrmse
from tests.test_morph import square

SIDES = Radial(curves=("side0", "side1", "side2", "side3"))


def plate(a, b, load, n=7, seed=0):
    """A bulged plate and a smooth field on it that knows place, shape and load.

    an output of the same kind.
    """

    def shape(x):
        return np.column_stack(
            [x[:, 0] * (1 + a * x[:, 1]), x[:, 1] + b * np.sin(np.pi * x[:, 0]) * x[:, 1]]
        )

    mesh = square(n, seed, shape)
    x, y = mesh.points.T
    u = load * np.sin(2 * x) * (1 + y) + b * x * y
    return Sample(
        mesh,
        np.array([load]),
        {"u": u, "v": np.column_stack([u, a * x])},
        {"work": float(load**2 * (1 + a + b))},
        units={"u": "m", "v": "m", "work": "J"},
    )


def score(answer):
    """The score of the shape of an answer."""
    return float(answer.outputs[SCORE].value[0])


def plates(m, rng, **options):
    draw = np.random.default_rng(rng).uniform([0, -0.2, 1.0], [0.3, 0.2, 2.0], (m, 3))
    return [plate(*row, seed=k, n=6 + k % 3, **options) for k, row in enumerate(draw)]


@pytest.fixture(scope="module")
def trained():
    train = plates(30, 0)
    reference = square(14)
    return train, shape_model(
        train,
        SIDES,
        reference,
        names=("load",),
        units=("N",),
        reduction=Reduction(shape=3, fields=6),
    )


def test_unseen_plates_are_predicted_with_honest_bands(trained):
    _, model = trained
    test = plates(60, 1)
    answers = [model.predict(s.mu, mesh=s.mesh) for s in test]
    for name, worst in (("u", 0.03), ("v", 0.03)):
        found, true = [a.field(name) for a in answers], [s.fields[name] for s in test]
        assert rel_l2(found, true) < worst and rrmse(found, true) < worst and q2(found, true) > 0.99
        assert 0.77 < field_coverage(found, true, [a.std(name) for a in answers]) <= 1.0
    works = np.array(
        [
            [a.outputs["work"].value[0], s.outputs["work"]]
            for a, s in zip(answers, test, strict=True)
        ]
    )
    assert np.abs(works[:, 0] / works[:, 1] - 1).max() < 0.05


def test_prediction_converges_as_the_users_mesh_is_refined(trained):
    _, model = trained
    fine = plate(0.15, 0.1, 1.5, n=28, seed=99)
    best = model.predict(fine.mu, mesh=fine.mesh)
    errors = []
    for n in (5, 10, 20):
        coarse = plate(0.15, 0.1, 1.5, n=n, seed=99)
        answer = model.predict(coarse.mu, mesh=coarse.mesh)
        corner = [np.argmin(np.linalg.norm(s.mesh.points - 0.0, axis=1)) for s in (coarse, fine)]
        assert np.allclose(coarse.mesh.points[corner[0]], fine.mesh.points[corner[1]])
        middle = [
            np.linalg.norm(answer.field("u")) / np.sqrt(len(coarse.mesh.points)),
            np.linalg.norm(best.field("u")) / np.sqrt(len(fine.mesh.points)),
        ]
        errors.append(abs(middle[0] - middle[1]))
    assert errors[2] < errors[1] < errors[0]


def test_the_round_trip_over_a_coarse_reference_is_in_the_error_bar():
    train = plates(12, 4)
    for n in (4, 9):
        model = shape_model(
            train,
            SIDES,
            square(n),
            names=("load",),
            units=("N",),
            reduction=Reduction(shape=3, fields=4),
        )
        lost = []
        for s in train:
            laid = model.lay(s.mesh)
            lost.append(laid.pull((laid.push(laid.pull(s.fields["u"])) - s.fields["u"]) ** 2))
        assert (model.fields[0].floor >= np.mean(lost, axis=0) * (1 - 1e-12)).all() and np.max(
            lost
        ) > 0


def test_a_shape_beyond_the_cloud_is_flagged_and_one_inside_is_not(trained):
    train, model = trained
    inside, outside = plate(0.15, 0.0, 1.5, seed=7), plate(0.9, 0.5, 1.5, seed=7)
    answers = [model.predict(s.mu, mesh=s.mesh) for s in (inside, outside)]
    assert answers[0].inside.all() and score(answers[0]) <= 1 and not answers[0].warnings
    assert not answers[1].inside.any() and score(answers[1]) > 1.5
    assert [warned.kind for warned in answers[1].warnings] == ["shape"]
    far = model.predict([[1.5], [5.0]], mesh=inside.mesh)
    assert far.inside.tolist() == [True, False] and model.names_outside([5.0]) == ("load",)
    assert [(warned.kind, warned.samples) for warned in far.warnings] == [("range", (1,))]
    assert "load = 5 N" in far.warnings[0].text
    assert all(score(model.predict(s.mu, mesh=s.mesh)) <= 1 for s in train[:5])
    wavy = Sample(
        replace(
            inside.mesh, points=inside.mesh.points + 0.05 * np.sin(20 * inside.mesh.points[:, ::-1])
        ),
        np.array([1.5]),
    )
    assert score(model.predict(wavy.mu, mesh=wavy.mesh)) > 1


def test_a_rigid_motion_changes_nothing(trained):
    _, model = trained
    s = plate(0.2, 0.1, 1.5)
    c, d = np.cos(0.3), np.sin(0.3)
    moved = replace(s.mesh, points=s.mesh.points @ np.array([[c, d], [-d, c]]) + [2.0, 1.0])
    laid = [model.lay(mesh).points for mesh in (s.mesh, moved)]
    assert np.abs(model.embedding.place(laid[0]) - model.embedding.place(laid[1])).max() < 2e-3
    chart = Chart("square", "floater", ("a", "b", "c", "d"))
    shapes = embedding(
        np.array([overlay(p.mesh, square(8), chart).points for p in plates(6, 3)]), square(8), 3
    )
    laid = [overlay(mesh, shapes.reference, chart).points for mesh in (s.mesh, moved)]
    assert np.abs(shapes.place(laid[0]) - shapes.place(laid[1])).max() < 1e-12
    assert abs(shapes.score(laid[0]) - shapes.score(laid[1])) < 1e-9


def test_the_order_of_samples_does_not_matter():
    train = plates(12, 5)
    a, b = (
        shape_model(part, SIDES, reduction=Reduction(shape=3, fields=3))
        for part in (train, train[::-1])
    )
    s = plate(0.1, 0.1, 1.4, seed=3)
    one, two = a.predict(s.mu, mesh=s.mesh), b.predict(s.mu, mesh=s.mesh)
    assert np.abs(one.field("u") - two.field("u")).max() < 1e-5 * np.abs(one.field("u")).max()
    assert np.abs(one.std("u") / two.std("u") - 1).max() < 1e-2


def test_a_field_that_is_its_baseline_is_predicted_exactly():
    train = [
        replace(s, fields={"u": s.fields["u"]}, outputs={}, baseline={"u": s.fields["u"]})
        for s in plates(8, 2)
    ]
    model = shape_model(train, SIDES, reduction=Reduction(shape=2, fields=3, baseline=2))
    new = plate(0.1, -0.1, 1.2, seed=11)
    answer = model.predict(new.mu, mesh=new.mesh, fields={"u": new.fields["u"]})
    assert np.array_equal(answer.field("u"), new.fields["u"])
    with pytest.raises(BadInput, match="asks for the field 'u'"):
        model.predict(new.mu, mesh=new.mesh)


def test_a_model_is_saved_and_loaded_bit_for_bit(trained, tmp_path):
    _, model = trained
    save(tmp_path / "plate.h5", model)
    s = plate(0.2, 0.1, 1.5)
    one, two = (
        model.predict(s.mu, mesh=s.mesh),
        load(tmp_path / "plate.h5").predict(s.mu, mesh=s.mesh),
    )
    assert all(
        np.array_equal(one.field(k), two.field(k)) and np.array_equal(one.std(k), two.std(k))
        for k in one.parts
    )
    assert all(one.outputs[k].value == two.outputs[k].value for k in one.outputs)


def test_a_model_says_what_it_asks_and_what_it_tells(trained):
    _, model = trained
    asks = model.asks
    assert asks.mesh and asks.p == 1 and asks.box.names == ("load",) and not asks.fields
    assert [(q.name, q.unit, q.components) for q in model.tells] == [("u", "m", 1), ("v", "m", 2)]
    assert [q.name for q in model.tells_outputs] == ["work", "shape score", "morphing determinant"]
    s = plate(0.1, 0.1, 1.5)
    answer = model.predict([[1.2], [1.5]], mesh=s.mesh)
    one = model.predict([1.5], mesh=s.mesh)
    n = len(s.mesh.points)
    assert answer.mesh is s.mesh and answer.field("v", 1).shape == (n, 2)
    assert np.array_equal(answer.field("v", 1), one.field("v"))
    assert np.array_equal(answer[1].std("u"), one.std("u"))
    error = one.part("u").errors[0]
    assert error.known is Known.CONFORMAL and error.level == 0.9 and error.unit == "m"
    rms = np.sqrt(np.mean(one.std("u") ** 2))
    assert error.value == pytest.approx([1.6448536 * rms])
    work = one.outputs["work"]
    assert work.unit == "J" and work.error.known is Known.STATISTICAL
    with pytest.raises(BadInput, match="a mesh"):
        model.predict([1.5])
    with pytest.raises(BadInput, match="parameters load"):
        model.predict([1.5, 2.0], mesh=s.mesh)
    with pytest.raises(BadInput, match="no field 'u'"):
        model.predict([1.5], mesh=s.mesh, fields={"u": np.zeros(n)})


def test_samples_of_other_units_are_refused():
    mixed = plates(6, 0)
    other = replace(mixed[3], units={"u": "mm"})
    with pytest.raises(BadInput, match="sample 3 has units"):
        shape_model([*mixed[:3], other, *mixed[4:]], SIDES)


def test_the_medoid_is_the_middle_of_the_family():
    family = [plate(a, 0.0, 1.0, seed=3) for a in (0.0, 0.05, 0.1, 0.2, 0.4)]
    assert np.array_equal(medoid(family, SIDES).points, family[2].mesh.points)


def test_a_morphing_that_folds_is_an_error_that_names_the_cell():
    mesh = square(5)
    with pytest.raises(Folded, match=r"cell \d+ with nodes"):
        overlay(
            mesh, mesh, lambda a, b: a.points * [[-1.0, 1.0]] if a is not mesh else a.points[::-1]
        )


def test_bad_samples_are_refused():
    mesh = square(3)
    with pytest.raises(BadInput, match="shape"):
        Sample(mesh, fields={"u": np.zeros(3)})
    with pytest.raises(BadInput, match="node 2"):
        Sample(mesh, fields={"u": np.where(np.arange(len(mesh.points)) == 2, np.nan, 0.0)})
    with pytest.raises(BadInput, match="five"):
        shape_model(plates(3, 0), SIDES)
    mixed = plates(6, 0)
    with pytest.raises(BadInput, match="sample 5"):
        shape_model([*mixed[:5], replace(mixed[5], fields={"w": mixed[5].fields["u"]})], SIDES)


def moving_front(m):
    """u = tanh((x - c(mu)) / 0.02), amplitude (1 + mu).

    One mapping mode and one field mode hold it all.
    """
    x = np.linspace(0, 1, 161)
    mesh = Mesh(x[:, None], {"line": np.column_stack([np.arange(160), np.arange(1, 161)])})
    mus = np.linspace(0, 1, m)
    return [
        Sample(mesh, np.array([mu]), {"u": (1 + mu) * np.tanh((x - 0.3 - 0.4 * mu) / 0.02)})
        for mu in mus
    ]


def test_optimal_mappings_beat_pod_at_the_same_latent_count():
    every = moving_front(25)
    train, test = every[::3], [s for k, s in enumerate(every) if k % 3]
    mapped = shape_model(
        train,
        Same(),
        subdivide(train[0].mesh),
        reduction=Reduction(fields=2, mapping=2, tol=1e-12),
    )
    plain = shape_model(
        train, Same(), subdivide(train[0].mesh), reduction=Reduction(fields=4, tol=1e-12)
    )
    errors = [
        rel_l2(
            [m.predict(s.mu, mesh=s.mesh).field("u") for s in test], [s.fields["u"] for s in test]
        )
        for m in (mapped, plain)
    ]
    assert mapped.latents <= plain.latents == 4
    assert errors[0] < 0.1 * errors[1] and errors[0] < 0.03
    for mu in np.linspace(0, 1, 7):
        moved = mapped.chart + mapped.mapping.lift(
            mapped.warp.posterior(np.array([[mu]]))[0][0]
        ).reshape(-1, 1)
        assert determinants(mapped.chart, moved, simplices(mapped.embedding.reference)).min() > 0


def test_arc_length_models_need_no_landmark_by_hand():
    t = np.linspace(0.02, 2 * np.pi - 0.02, 60)
    samples = []
    for k, thickness in enumerate(np.linspace(0.1, 0.3, 8)):
        nodes = t if k % 2 else t[::-1][::-1] ** 1.05 / t[-1] ** 0.05
        x = np.column_stack([np.cos(nodes), thickness * np.sin(nodes)])
        line = np.column_stack([np.arange(len(x) - 1), np.arange(1, len(x))])
        samples.append(Sample(Mesh(x, {"line": line}), fields={"cp": thickness * np.sin(nodes)}))
    model = shape_model(samples, ArcLength(leading=True), reduction=Reduction(shape=2, fields=2))
    answer = model.predict(mesh=samples[3].mesh)
    assert rel_l2([answer.field("cp")], [samples[3].fields["cp"]]) < 0.02


def real(name):
    from cases.airfoil_pressure import data_file

    try:
        data_file(name)
    except BadInput as error:
        pytest.skip(str(error))


@pytest.mark.slow
def test_airfoils_of_unseen_folds():
    real("airfrans_surface_150.h5")
    from cases.airfoil_pressure import main

    numbers = main()
    assert numbers["samples"] == 150 and numbers["rel_l2"] <= 0.028 and numbers["rrmse"] <= 0.013
    assert 0.87 <= numbers["coverage_90"] <= 0.93 and numbers["q2_normal_force"] > 0.999


def test_airfoils_of_one_unseen_fold():
    real("airfrans_surface_150.h5")
    from cases.airfoil_pressure import fit_model, samples

    every = samples()
    model = fit_model([s for k, s in enumerate(every) if k % 5], rules=("node",))
    answers = [model.predict(s.mu, mesh=s.mesh, fields=s.baseline) for s in every[::5]]
    found, true = [a.field("cp") for a in answers], [s.fields["cp"] for s in every[::5]]
    assert rel_l2(found, true) < 0.03 and rrmse(found, true) < 0.0135
    assert 0.82 < field_coverage(found, true, [a.std("cp") for a in answers]) < 0.97


def test_a_moving_shock():
    real("naca0012_transonic_50.h5")
    from cases.transonic_airfoil import main

    numbers = main(draws=0)
    assert numbers["ommgp_rel_l2_10"] <= 0.040 and numbers["ommgp_rel_l2_20"] <= 0.022
    for m in (10, 20):
        assert numbers[f"ommgp_rel_l2_{m}"] < min(
            numbers[f"podgp_rel_l2_{m}"], numbers[f"linear_rel_l2_{m}"]
        )
        assert numbers[f"ommgp_shock_error_{m}"] < numbers[f"linear_shock_error_{m}"]
    assert numbers["latents"] <= 9


@pytest.mark.slow
def test_a_moving_shock_from_angles_at_random():
    real("naca0012_transonic_50.h5")
    from cases.transonic_airfoil import draw_choices, samples

    numbers = draw_choices(samples(), 10, 4, 6, 3, seed=0)
    assert numbers["ommgp_best_in_draws_10"] == 1.0
    assert numbers["ommgp_shock_error_worst_draw_10"] < numbers["linear_shock_error_worst_draw_10"]


@pytest.mark.slow
@pytest.mark.parametrize("seed", [1, 57])
def test_a_front_over_channels(seed):
    from cases.advection_reaction import main

    numbers = main(seed=seed)
    assert numbers["field_modes"] == 2 and numbers["latents"] == numbers["podgp_latents"]
    assert (
        numbers["gain"] > 10
        and numbers["front_spread_mapped"] < 0.02 * numbers["front_spread_unmapped"]
    )


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_two_hundred_plates_in_tension():
    pytest.importorskip("gmsh")
    from cases.tensile_plate import main

    numbers = main()
    assert (
        numbers["n_train"] >= 200
        and numbers["rrmse_max"] <= 4e-3
        and numbers["plasticity_q2"] >= 0.90
    )
    assert numbers["ood_flagged"] == 1.0 and numbers["false_alarms"] < 0.2
    assert all(
        0.84 <= numbers[f"coverage_90_{name}"] <= 0.95 for name in ("u", "s11", "s22", "s12", "p")
    )


def test_plates_in_tension_are_predicted_and_strangers_flagged():
    pytest.importorskip("gmsh")
    from cases.tensile_plate import BOX, fit_model, samples, scalars, solve, strangers

    known, unseen = samples(24, 0.25, 0), samples(4, 0.25, 1)
    model = fit_model(known, 0.25, 8)
    answers = [model.predict(s.mu, mesh=s.mesh) for s in unseen]
    for name, worst in (("u", 0.03), ("s22", 0.05)):
        assert rrmse([a.field(name) for a in answers], [s.fields[name] for s in unseen]) < worst
    flags = [
        model.predict(scalars(*(0.5 * (BOX.lower + BOX.upper)[4:])), mesh=mesh).inside[0]
        for mesh in strangers(0.25)
    ]
    assert not any(flags)
    still = solve(unseen[0].mesh, 1.0, 150.0, 2e4)
    assert (
        still.fields["p"].max() == 0.0
        and abs(still.fields["s22"][unseen[0].mesh.points[:, 1] > 1.49].mean() - 1.0) < 0.05
    )


def written(folder, samples):
    """A folder of meshes with fields, and scalars.csv."""
    from rom.io.files import write_mesh

    folder.mkdir()
    rows = ["file,load [N],work"]
    for k, s in enumerate(samples):
        write_mesh(folder / f"plate_{k:02d}.vtu", s.mesh, {"u": (s.fields["u"], "m")})
        rows.append(f"plate_{k:02d}.vtu,{float(s.mu[0])!r},{float(s.outputs['work'])!r}")
    (folder / "scalars.csv").write_text("\n".join(rows) + "\n")
    return folder


def test_files_in_and_fields_out(tmp_path):
    from typer.testing import CliRunner

    from rom.cli.app import app
    from rom.io.files import read_file
    from rom.shapes import family

    train, test = (
        written(tmp_path / "train", plates(12, 0)),
        written(tmp_path / "test", plates(4, 1)),
    )
    found, names, units, files = family(train, ("work",))
    assert (
        names == ("load",)
        and units == ("N",)
        and len(files) == 12
        and found[0].outputs["work"] == plates(12, 0)[0].outputs["work"]
    )
    model, curves = tmp_path / "plates.h5", "side0,side1,side2,side3"
    ask = CliRunner().invoke

    def done(*words):
        got = ask(app, ["shapes", *map(str, words)])
        assert got.exit_code == 0, got.output
        return got.output

    done(
        "train",
        train,
        "--out",
        model,
        "--curves",
        curves,
        "--outputs",
        "work",
        "--modes",
        4,
        "--json",
    )
    assert "rel_l2 u" in done("validate", test, model)
    done(
        "predict",
        model,
        test / "plate_01.vtu",
        "--mu",
        "load=1.5",
        "--out",
        tmp_path / "answer.vtu",
    )
    answer = read_file(tmp_path / "answer.vtu")[1]
    assert set(answer) == {"u", "std u"} and (answer["std u"][0] >= 0).all()
    assert ask(app, ["shapes", "predict", str(model), str(test / "plate_01.vtu")]).exit_code == 2
    assert ask(app, ["shapes", "train", str(tmp_path / "nothing")]).exit_code == 2
    plaid = tmp_path / "plaid" / "samples" / "sample_000000000"
    (plaid / "meshes").mkdir(parents=True)
    with pytest.raises(BadInput, match="CGNS"):
        family(tmp_path / "plaid")
