"""Files that released versions stored: all load, and answer as they did.

The .npz beside a file holds its questions (in_...) and what the version that wrote it answered.
"""

from dataclasses import fields, is_dataclass, replace
from pathlib import Path

import numpy as np
import pytest
import scipy.sparse as sp

from cases.thermal_block import problem
from rom.archive import load, load_model
from rom.campaign import read
from rom.loading import Loading
from rom.mesh import Mesh
from rom.prediction import Prediction
from rom.shapes.answers import DETERMINANT, SCORE
from solvers.laws import LAWS

STORED = Path(__file__).parent / "stored" / "v0_1_0"
FILES = sorted(STORED.glob("*.h5"))
NOT_STORED = ("comm", "riesz", "room")
SINCE = {  # fields that nouns have got since
    ("Indicator", "whole"),
    ("FieldModel", "mean_error"),
    ("InterpolatedInfSup", "slope"),
    ("Outputs", "size"),
    ("RunningPod", "center"),
    ("RunningPod", "mean"),
    ("RunningPod", "weight"),
    ("Outputs", "round_off"),
    ("DualWeighted", "round_off"),
    ("DualWeighted", "primal_size"),
    ("DualWeighted", "dual_size"),
}
CONDITIONED = (
    "gp_clusters",
    "gp_independent_linear",
    "gp_rbf",
    "gp_shared_matern52",
    "gp_sum_spectral",
    "shape_model_mapped",
)
TOL = 1e-9  # of the largest entry: another processor rounds otherwise


def theta(mu):
    return np.stack([np.ones_like(mu[..., 0]), mu[..., 0] * mu[..., 1]], axis=-1)


KNOWN = {"tests.test_archive:theta": theta, **LAWS}


def leaves(value, path=""):
    if is_dataclass(value) and not isinstance(value, type):
        for f in fields(value):
            if f.name not in NOT_STORED and (type(value).__name__, f.name) not in SINCE:
                yield from leaves(getattr(value, f.name), f"{path}.{f.name}".lstrip("."))
    elif isinstance(value, (dict, tuple, list)):
        for k, v in value.items() if isinstance(value, dict) else enumerate(value):
            yield from leaves(v, f"{path}.{k}".lstrip("."))
    elif sp.issparse(value):
        yield f"{path}.dense", value.toarray()
    elif isinstance(value, (np.ndarray, int, float, complex, np.generic)):
        yield path or "value", np.asarray(value)


def loading(z):
    return Loading(
        *(z[f"in_{n}"] for n in ("t", "forces", "amplitudes", "temperatures", "mixture"))
    )


def predicted(m, mu, lift=True):
    a = m.predict(mu)
    found = {
        "coefficients": a.coefficients,
        "bound": a.bound,
        "std": a.coefficient_std,
        "t": a.t,
    }
    return found | ({"u": m.basis.lift(a.coefficients)} if a.coefficients.ndim < 3 else {})


def mesh_of(z):
    regions = {}
    for key in z:
        if key.startswith("in_region_"):
            name, kind = key[len("in_region_") :].split("_")
            regions.setdefault(name, {})[kind] = z[key]
    return Mesh(
        z["in_points"],
        {k[len("in_cells_") :]: z[k] for k in z if k.startswith("in_cells_")},
        regions,
    )


def answers(stem, m, z):
    if stem == "every_noun":
        assert isinstance(m["Prediction"], Prediction)
        assert isinstance(m["ShapePrediction"], Prediction)
        same = {k: n for k, n in m.items() if not isinstance(n, Prediction)}
        flat = {k: [v.ravel() for _, v in leaves(n) if v.size] for k, n in same.items()}
        return {k: np.concatenate(v) if v else np.zeros(0) for k, v in flat.items()}
    if stem == "dual_weighted":
        return dict(zip(("outputs", "bound"), m.evaluate(z["in_mu"]), strict=True))
    if stem.startswith(("galerkin", "form", "unsteady", "field_gp", "local_model")):
        found = predicted(m, z["in_mu"])
        if any(k.startswith("one_") for k in z):
            found |= {f"one_{k}": v for k, v in predicted(m, z["in_mu"][0]).items()}
        if "residual" in z:
            found["residual"] = m.bound.residual(z["in_mu"], z["in_a"])
        if stem == "field_gp":
            found |= dict(zip(("mean", "spread"), m.field(z["in_mu"]), strict=True)) | {
                "tail": m.tail
            }
            found |= dict(zip(("loo", "loo_std"), m.leave_one_out(), strict=True)) | {
                "samples": m.samples(z["in_mu"][0], 2, rng=3)
            }
        if stem == "local_model":
            found |= {
                "chances": m.bases.classifier(z["in_mu"]),
                "chosen": m.bases.classifier.choose(z["in_mu"]),
            }
        return found
    if stem.startswith(("gp_", "vecchia", "variational")):
        x = z["in_x"]
        found = dict(zip(("mean", "std"), m.posterior(x), strict=True))
        if stem.startswith("gp_"):
            found |= {
                "noise": m.noise,
                "samples": m.samples(x, 2, rng=1),
                **dict(zip(("loo", "loo_std"), m.leave_one_out(), strict=True)),
            }
        if stem.startswith("variational"):
            return found | {"expected": m.mean_response(x)}
        return found | {"noisy": m.posterior(x, noise=True)[1]}
    if stem.startswith("kronecker"):
        x = z["in_x0"], z["in_x1"]
        return dict(zip(("mean", "std"), m.posterior(*x), strict=True)) | {
            "samples": m.samples(*x, count=2, rng=1)
        }
    if stem.startswith("shape_model"):
        baselines = {k[len("in_baseline_") :]: z[k] for k in z if k.startswith("in_baseline_")}
        a = m.predict(z["in_mu"], mesh=mesh_of(z), fields=baselines)
        found = {
            "score": a.outputs[SCORE].value[0],
            "jacobian": a.outputs[DETERMINANT].value[0],
            "inside": a.inside[0],
        }
        for name in a.parts:
            found |= {f"fields_{name}": a.field(name), f"std_{name}": a.std(name)}
        for name, output in a.outputs.items():
            found[f"outputs_{name}"] = output.value[0]
            if output.error is not None:
                found[f"outputs_std_{name}"] = output.error.value[0]
        return found
    if stem in ("trained", "course"):
        from cases.viscoplastic_cube import HOT, cube
        from rom.solids import Watch, continue_run, follow

        b = cube(1, HOT)
        if stem == "course":
            after = continue_run(m, b).states
            return {
                "t": m.t,
                "u": m.u(),
                "p": m.p(),
                "stress": m.stress(),
                "features": m.features,
                "after_t": [c.t for c in after],
                "after_u": np.stack([c.u() for c in after], 1),
                "after_p": np.stack([c.p() for c in after], 1),
            }
        found = follow(m, b, loading(z), watch=Watch()).states
        return {
            "t": [c.t for c in found],
            "u": np.stack([c.u() for c in found], 1),
            "p": np.stack([c.p() for c in found], 1),
            "stress": np.stack([c.stress() for c in found], -1),
            "features": np.stack([c.features for c in found]),
        }
    if stem == "weighted":
        from rom.solids.weighted import reduced_march

        h = reduced_march(m, loading(z), z["in_t"])
        return {
            "coefficients": m.predict(loading=loading(z)).coefficients,
            "p": h.p,
            "stress": h.stress,
            "state": h.last.state,
            "p_everywhere": m.dual("p", h.p[:, -1]),
        }
    if stem == "local_weighted":
        from rom.solids.switching import follow_switching

        steps = follow_switching(m, z["in_x"], loading(z))
        return {
            "coefficients": m.predict(z["in_x"], loading=loading(z)).coefficients,
            "k": [s.k for s in steps],
            "state": np.concatenate([s.state.state.ravel() for s in steps]),
        }
    if stem == "classifier":
        x = z["in_x"]
        return {
            "chances": m(x),
            "chosen": m.choose(x),
            "each": m.forest.each((x - m.centre) / m.scale),
        }
    if stem == "indicator":
        return {
            "middle": m.middle(z["in_x"]),
            "upper": m.upper(z["in_x"]),
            "coefficients": m.coefficients,
        }
    if stem == "running_pod":
        from rom.compress import update

        return {
            "modes": m.basis().modes,
            "s": m.s,
            "error": m.error,
            "energy": m.energy,
            "further": update(m, z["in_B"], tol=1e-3).basis().modes,
        }
    if stem == "basis":
        lifted = m.lift(z["in_a"])
        return {
            "modes": m.modes,
            "s": m.s,
            "lifted": lifted,
            "coefficients": m.coefficients(lifted),
            "error": m.error,
        }
    found = dict(leaves(m))
    if stem == "study":
        found |= {
            "relative": m.relative,
            "effectivity": m.effectivity,
            **{f"summary_{k}": v for k, v in m.summary().items()},
        }
    if stem == "merging":
        kept = [m.coordinates(k, z[f"in_A_{k}"]) for k in range(4)]
        found |= {"compression": m.compression} | {f"kept_{k}": v for k, v in enumerate(kept)}
        found |= {f"restored_{k}": m.restore(k, v) for k, v in enumerate(kept)}
    if stem == "sparse_svd":
        found["error"] = m.error
    if stem == "loading":
        found |= {"force": m.force(0.25), "temperature": m.temperature(0.25)}
    return found


def nudged(noun, seed):
    """A copy whose reals are off by round-off: how its answers move is their condition."""
    rng = np.random.default_rng(seed)

    def visit(value):
        if isinstance(value, np.ndarray) and value.dtype == float:
            return value * (1 + np.finfo(float).eps * rng.uniform(-1, 1, value.shape))
        if isinstance(value, (tuple, list)) and not hasattr(value, "_fields"):
            return type(value)(visit(v) for v in value)
        if isinstance(value, dict):
            return {k: visit(v) for k, v in value.items()}
        if is_dataclass(value) and not isinstance(value, type):
            return replace(
                value, **{f.name: visit(getattr(value, f.name)) for f in fields(value) if f.init}
            )
        return value

    return visit(noun)


def compare(answer, stored, moved=()):
    """What differs by more than TOL and ten times what round-off moved, a line each."""
    wrong = []
    for key in (key for key in stored if not key.startswith("in_")):
        if key in ("Prediction", "ShapePrediction"):
            continue
        mine, theirs = np.asarray(answer[key]), stored[key]
        assert mine.shape == theirs.shape, key
        odd = ~np.isfinite(theirs)
        scale = np.abs(theirs[~odd]).max(initial=0.0) or 1.0
        if key == "error":  # relative to the data, and round-off of these counts in it since
            scale = 1.0
        gap = np.abs(np.where(odd, 0, mine) - np.where(odd, 0, theirs)).max(initial=0.0) / scale
        shifts = [np.subtract(other[key], mine, dtype=float) for other in moved]
        room = 10 * np.nanmax(np.abs(shifts), initial=0.0)
        if gap > TOL + room / scale or not np.array_equal(mine[odd], theirs[odd], equal_nan=True):
            wrong.append(f"{key} is off by {gap:.1e}")
    return wrong


def test_there_are_files():
    assert len(FILES) > 40


@pytest.mark.parametrize("path", FILES, ids=[f.stem for f in FILES])
def test_a_stored_file_answers_as_it_did(path):
    with np.load(path.with_suffix(".npz")) as arrays:
        stored = dict(arrays)
    noun = load(path, KNOWN)
    shipped = isinstance(noun, dict) and "model" in noun
    model = load_model(path, KNOWN)[0] if shipped else noun
    answer = answers(path.stem, model, stored)
    if path.stem in CONDITIONED:
        moved = [answers(path.stem, nudged(model, seed), stored) for seed in range(8)]
        assert compare(answer, stored, moved) == []
    else:
        assert compare(answer, stored) == []


@pytest.mark.parametrize("name", ["own", "block"])
def test_a_stored_campaign_and_its_model_are_read(name):
    folder = STORED / "cli"
    with np.load(folder / f"{name}_model.npz") as arrays:
        stored = dict(arrays)
    model = load_model(folder / f"{name}.rom.h5")[0]
    assert compare(predicted(model, stored["in_mu"]), stored) == []
    with np.load(folder / f"{name}_store.npz") as arrays:
        stored = dict(arrays)
    space = problem(cells=4).space if name == "block" else None
    snapshots = read(folder / f"{name}.store", space)
    assert compare({"mu": snapshots.mu, "u": np.asarray(snapshots.u[:])}, stored) == []
