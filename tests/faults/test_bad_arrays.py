"""Sixty kinds of bad arrays at every public door that takes one: a named error with culprit and
remedy, or a finite answer; never NaN.
"""

import dataclasses
import re

import numpy as np
import pytest
import scipy.sparse as sp

from rom.affine import Affine, Monomials
from rom.archive.nouns import load, save
from rom.basis import Basis
from rom.campaign import collect, read
from rom.certified import MinTheta, galerkin, unsteady
from rom.compress.decomposition import pod
from rom.errors import RomError
from rom.gp.fields import field_gp
from rom.io.writers.vtkhdf import write_vtkhdf
from rom.mesh import Mesh
from rom.parameters import Box
from rom.points.interpolation import eim
from rom.snapshots import Snapshots
from rom.space import Space, euclidean
from rom.study.comparison import study

N, M = 8, 6
rng = np.random.default_rng(0)
BOX = Box(("k", "q"), np.array([1.0, 0.1]), np.array([2.0, 10.0]))
SPACE = euclidean(N)
MODES = np.linalg.qr(rng.normal(size=(N, 2)))[0]
BASIS = Basis(SPACE, MODES)
A = Affine(
    Monomials(np.ones(2), np.eye(2)),
    (sp.csr_array(sp.eye_array(N)), sp.csr_array(sp.diags_array(np.arange(1.0, N + 1)))),
)
F = Affine(Monomials(np.ones(1), np.zeros((1, 2))), (np.ones(N),))
MODEL = galerkin(A, F, BASIS, box=BOX)
MUS = BOX.from_unit(rng.random((M, 2)))
U = rng.normal(size=(N, M))
MESH = Mesh(
    np.arange(N * 1.0)[:, None], {"line": np.column_stack([np.arange(N - 1), np.arange(1, N)])}
)


def solve(mu):
    return np.linalg.solve(A(mu).toarray(), F(mu))


def put(value, where=-1):
    def kind(x):
        y = np.array(x, dtype=np.result_type(x, type(value)))
        y.flat[where] = value
        return y

    return kind


KINDS = {
    **{f"{name} {place}": put(value, where) for name, value in (("NaN", np.nan), ("Inf", np.inf),
        ("-Inf", -np.inf), ("1e308", 1e308), ("-1e308", -1e308),
       ("denormal", 5e-324), ("complex NaN", complex(0, np.nan)),
       ("complex Inf", complex(np.inf, 0))) for place, where in (("first", 0), ("last", -1))},
    "all NaN": lambda x: np.full(np.shape(x), np.nan),
    "all Inf": lambda x: np.full(np.shape(x), np.inf),
    "all 1e308": lambda x: np.full(np.shape(x), 1e308),
    "all 1e200": lambda x: np.full(np.shape(x), 1e200) * np.sign(np.asarray(x)),
    "all zero": lambda x: np.zeros(np.shape(x)), "all equal": lambda x: np.ones(np.shape(x)),
    "all denormal": lambda x: np.full(np.shape(x), 5e-324),
    "complex": lambda x: np.asarray(x) * (1 + 1j), "float16": lambda x: np.asarray(x).astype("f2"),
    "float32": lambda x: np.asarray(x).astype("f4"),
    "big endian": lambda x: np.asarray(x).astype(">f8"),
    "integers": lambda x: np.asarray(x).astype(int),
    "bytes": lambda x: np.asarray(x).astype("u1"), "booleans": lambda x: np.asarray(x) > 0,
    "objects": lambda x: np.asarray(x).astype(object),
    "None inside": lambda x: np.array([None] * np.size(x), dtype=object).reshape(np.shape(x)),
    "text": lambda x: np.asarray(x).astype(str),
    "words": lambda x: np.full(np.shape(x), "a"), "dates": lambda x: np.zeros(np.shape(x), "M8[s]"),
    "durations": lambda x: np.zeros(np.shape(x), "m8[s]"),
    "structured": lambda x: np.zeros(np.shape(x), [("a", "f8")]),
    "void": lambda x: np.zeros(np.shape(x), "V8"),
    "long double": lambda x: np.asarray(x).astype("g"),
    "masked": lambda x: np.ma.masked_array(x, np.ones(np.shape(x), bool)),
    "matrix": lambda x: np.asarray(x).tolist(), "nothing": lambda x: None,
    "a number": lambda x: 1.0, "a string": lambda x: "rae2822", "a dict": lambda x: {"a": 1.0},
    "a function": lambda x: solve, "a set": lambda x: {1.0, 2.0},
    "ragged": lambda x: [[1.0], [1.0, 2.0]], "empty": lambda x: np.zeros((0,) * np.ndim(x)),
    "no rows": lambda x: np.zeros((0, *np.shape(x)[1:])),
    "no columns": lambda x: np.zeros((*np.shape(x)[:-1], 0)),
    "one more axis": lambda x: np.asarray(x)[..., None],
    "one axis less": lambda x: np.asarray(x)[0],
    "flat": lambda x: np.ravel(x),
    "transposed": lambda x: np.transpose(x) if np.ndim(x) > 1 else np.asarray(x)[::-1],
    "a row less": lambda x: np.asarray(x)[:-1],
    "a row more": lambda x: np.concatenate([x, np.asarray(x)[:1]]),
    "one row": lambda x: np.asarray(x)[:1],
    "columns doubled": lambda x: np.concatenate([x, x], axis=-1),
    "rows repeated": lambda x: np.repeat(np.asarray(x)[:1], len(x), axis=0),
    "negative": lambda x: -np.asarray(x) - 1.0, "reversed": lambda x: np.asarray(x)[::-1],
    "strided": lambda x: np.repeat(x, 2, axis=0)[::2],
    "read-only": lambda x: np.frombuffer(np.asarray(x, dtype=float).tobytes()).reshape(np.shape(x)),
    "Fortran": np.asfortranarray,
}  # fmt: skip
CULPRIT = {  # door -> what a message must call the culprit; by default the door's own last word
    "Space.product": r"product", "Mesh.points": r"points?\b", "Box.lower": r"bound|the box has",
    "Box.check": r"\bmu\b|row \d+: [kq] = ",
    "Snapshots.u": r"\bu\b|snapshot|mu has shape", "Basis.modes": r"modes",
    "Monomials": r"powers|parameters", "predict": r"\bmu\b|row \d+: [kq] = ",
    "MinTheta": r"\bmu\b|theta", "study": r"\bmus?\b|row \d+: [kq] = ", "eim": r"the sample",
    "field_gp": r"\bu\b|snapshots?|mu has shape",
    "collect.solution": r"mu = \[.*the solution (has|is) ",
    "read.mus": r"\bmus?\b|holds no finished", "save": r"\bx is ", "write_vtkhdf": r"field 'T'",
}  # fmt: skip
REMEDY = re.compile(
    r"[;:,] (or )?(give|remove|drop|check|rescale|scale|leave|collect|convert|use|enlarge|repair|"
    r"return|this campaign needs)\b|: enlarge"
)
PLACED = ("NaN first", "NaN last", "Inf first", "Inf last", "-Inf first", "-Inf last")
DOORS = {  # name -> (a good array, the call)
    "Space.product": (np.ones(N), lambda x, p: Space(x, np.arange(N)).norm(np.ones(N))),
    "Space.numbers": (np.arange(N), lambda x, p: Space(np.ones(N), x).norm(np.ones(N))),
    "Mesh.points": (
        np.arange(6.0).reshape(3, 2) ** 2,
        lambda x, p: Mesh(x, {"triangle": np.array([[0, 1, 2]])}).points,
    ),
    "Box.lower": (
        np.array([0.0, 0.5]),
        lambda x, p: Box(("a", "b"), x, np.array([3.0, 4.0])).lower,
    ),
    "Box.check": (MUS, lambda x, p: BOX.check(x)),
    "Snapshots.u": (U, lambda x, p: pod(Snapshots(SPACE, MUS, x), rank=2)[1]),
    "Snapshots.mu": (MUS, lambda x, p: Snapshots(SPACE, x, U).mu),
    "Basis.modes": (
        MODES,
        lambda x, p: (lambda basis: basis.lift(np.ones(basis.r)))(Basis(SPACE, x)),
    ),
    "Monomials": (np.eye(2), lambda x, p: Monomials(np.ones(2), x)(MUS)),
    "predict": (MUS, lambda x, p: MODEL.predict(x).coefficients),
    "MinTheta": (MUS, lambda x, p: MinTheta(A.theta, np.ones(2))(x)),
    "study": (MUS, lambda x, p: study(MODEL, solve, x).error),
    "unsteady.times": (
        np.linspace(0, 1, 5),
        lambda x, p: unsteady(sp.eye_array(N), A, F, BASIS, x).predict(MUS[0]).coefficients,
    ),
    "eim": (U, lambda x, p: eim(x).modes),
    "field_gp": (
        U,
        lambda x, p: (
            field_gp(Snapshots(SPACE, MUS, x), BASIS, BOX, rng=0).predict(MUS[0]).coefficients
        ),
    ),
    "collect.mus": (
        MUS,
        lambda x, p: collect(lambda mu: np.ones(3), x, p / "s") and read(p / "s").mu,
    ),
    "collect.solution": (
        np.arange(4.0) + 1,
        lambda x, p: collect(lambda mu: x, MUS, p / "s", space=euclidean(4)) and read(p / "s").u,
    ),
    "read.mus": (
        MUS,
        lambda x, p: collect(lambda mu: np.ones(3), MUS, p / "s") and read(p / "s", mus=x).mu,
    ),
    "save": (
        U,
        lambda x, p: (
            save(p / "a.h5", {"x": x}) and None
            if load is None
            else save(p / "a.h5", {"x": x}) and 1.0
        ),
    ),
    "write_vtkhdf": (
        np.arange(N * 1.0),
        lambda x, p: write_vtkhdf(p / "a.vtkhdf", MESH, {"T": (x, "K")}) and None,
    ),
}


def finite(value):
    if isinstance(value, np.ndarray) and value.dtype.kind in "fc":
        return bool(np.isfinite(value).all())
    if dataclasses.is_dataclass(value):
        return all(finite(getattr(value, f.name)) for f in dataclasses.fields(value))
    return not (isinstance(value, float) and not np.isfinite(value))


def outcome(door, kind, folder):
    """ "" where the door keeps its promise, else what it did."""
    x, call = DOORS[door]
    bad = KINDS[kind](x)
    try:
        with np.errstate(all="ignore"):
            value = call(bad, folder)
            good = finite(value)
    except RomError as error:
        return lacking(door, kind, str(error))
    except Exception as error:
        return f"{type(error).__name__}: {error}"[:150]
    return "" if good else "gives NaN or Inf"


def lacking(door, kind, text):
    """ "" where a message names the culprit, its place where one number is bad, and a remedy;
    else what it lacks.
    """
    lacks = []
    if not re.search(CULPRIT.get(door, rf"\b{door.rpartition('.')[2]}\b"), text):
        lacks.append("the culprit")
    if kind in PLACED and not re.search(r"\d|'[ab]'", text):
        lacks.append("its place")
    if not REMEDY.search(text):
        lacks.append("a remedy")
    return f"lacks {' and '.join(lacks)}: {text}" if lacks else ""


def test_a_message_without_culprit_place_or_remedy_is_found_out():
    good = "mu holds NaN or Inf at (0, 0); drop this snapshot"
    assert lacking("Snapshots.mu", "NaN first", good) == ""
    assert "a remedy" in lacking("Snapshots.mu", "NaN first", good.split(";")[0])
    assert "the culprit" in lacking("Snapshots.mu", "NaN first", good.replace("mu", "array"))
    assert "its place" in lacking("Snapshots.mu", "NaN first", "mu holds NaN; drop this snapshot")


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("door", DOORS)
def test_every_kind_is_refused_by_name_or_answered(door, tmp_path):
    told = {}
    for k, kind in enumerate(KINDS):
        (tmp_path / str(k)).mkdir()
        told[kind] = outcome(door, kind, tmp_path / str(k))
    assert {kind: text for kind, text in told.items() if text} == {}


def test_there_are_sixty_kinds_at_fifteen_doors_and_good_arrays_pass(tmp_path):
    assert len(KINDS) >= 60 and len(DOORS) >= 15
    for k, (good, call) in enumerate(DOORS.values()):
        (tmp_path / str(k)).mkdir()
        assert finite(call(good, tmp_path / str(k)))
