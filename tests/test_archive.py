"""Archives: save then load is the identity; damage and hostile files are refused without running
anything.
"""

import dataclasses
import importlib
import json
import os
import pickle
import pkgutil
import resource
import sys
from pathlib import Path

import h5py
import numpy as np
import pytest
import scipy.sparse as sp

import rom
from rom.affine import Affine, Monomials
from rom.archive import registry
from rom.archive.files import FORMAT, write_h5
from rom.archive.headers import open_header
from rom.archive.layout import BLOCK
from rom.archive.models import save_model
from rom.archive.nouns import load, nouns, put, save
from rom.bands import Indicator
from rom.basis import Basis, LocalBases
from rom.certified import (
    Certificate,
    Conjugate,
    Consistent,
    DualWeighted,
    Expansion,
    FullResidual,
    GramResidual,
    GreedyStep,
    InterpolatedInfSup,
    MinTheta,
    Nested,
    Outputs,
    RandomDual,
    SampledResidual,
    SuccessiveConstraints,
    galerkin,
    residual_bound,
    unsteady,
)
from rom.compress import Merging, RunningPod, SparseSvd
from rom.compress.decomposition import pod
from rom.decide import Sensitivity
from rom.dynamics import (
    Polynomial,
    Stencil,
    dmd,
    dmdc,
    edmd,
    nonlinear_model,
    parameter_powers,
    project_rate,
    spod,
)
from rom.errors import BadInput, DamagedFile, ForeignFile, NotWritten
from rom.gp import (
    PositiveFieldGP,
    Product,
    Selected,
    Stationary,
    Sum,
    coefficient_gp,
    run_interpolation,
)
from rom.gp.dense_bound import Prior
from rom.gp.fields import field_gp
from rom.gp.kronecker import kronecker_gp
from rom.gp.noises import Observations
from rom.gp.sparse_start import variational_posterior
from rom.gp.spectral import spectral_mixture
from rom.gp.trajectories import TrajectoryGP
from rom.gp.variational import variational_gp
from rom.gp.vecchia import vecchia_gp
from rom.history import History, State
from rom.io.result import Result
from rom.io.writers.vtkhdf import vtkhdf
from rom.loading import Loading
from rom.local.classifier import Classifier
from rom.local.forest import Forest
from rom.local.gain import Gain
from rom.local.models import LocalModel
from rom.mesh import Mesh
from rom.model import Asks, Question
from rom.operators import Translation, operator_gp, point_symmetry
from rom.parameters import Box
from rom.prediction import Error, Known, Output, Part, Place, Quantity, Warned
from rom.problem import Problem
from rom.rule import Barycentric, Cubature, Interpolation, Tensor, Weights
from rom.shapes import ArcLength, Chart, Elastic, Radial, Same, Sample, Sphere, shape_model
from rom.snapshots import Snapshots
from rom.solids.model import RunState, SolidModel, Tolerances
from rom.solids.runs import RunStep
from rom.solids.switching import LocalWeighted
from rom.solids.weighted import WeightedModel
from rom.space import Field, Space, euclidean
from rom.study.comparison import study
from rom.study.discrepancy import Discrepancy

BOX = Box(
    ("k1", "k2"), np.array([0.1, 1e-3]), np.array([1.0, 10.0]), ("W/m/K", "1"), ("linear", "log")
)


def theta(mu):
    """A coefficient function at module level."""
    return np.stack([np.ones_like(mu[..., 0]), mu[..., 0] * mu[..., 1]], axis=-1)


def stiffness(n):
    return sp.csr_array(
        sp.diags_array([-np.ones(n - 1), 2.0 * np.ones(n), -np.ones(n - 1)], offsets=[-1, 0, 1])
    )


def model(functions=Monomials(np.ones(2), np.array([[1.0, 0.0], [0.0, 1.0]]))):  # noqa: B008
    n, rng = 12, np.random.default_rng(0)
    A1, A2 = stiffness(n), sp.csr_array(sp.diags_array(np.linspace(1.0, 2.0, n)))
    space = Space(A1 + A2, np.arange(n), None, (Field("T", "K", np.arange(n)),))
    A, f = (
        Affine(functions, (A1, A2)),
        Affine(Monomials(np.ones(1), np.zeros((1, 2))), (rng.normal(size=n),)),
    )
    mus = BOX.from_unit(rng.random((3, 2)))
    modes, _ = np.linalg.qr(
        np.stack([sp.linalg.spsolve(A(mu).tocsc(), f.terms[0]) for mu in mus], axis=1)
    )
    L = np.linalg.cholesky(modes.T @ (space.product @ modes))
    basis = Basis(
        space,
        np.linalg.solve(L, modes.T).T,
        s=np.array([3.0, 2.0, 1.0]),
        rank_asked=3,
        reason="rank",
    )
    bound = residual_bound(A, f, basis, MinTheta(A.theta, np.ones(2)))
    return galerkin(A, f, basis, bound=bound, box=BOX), A, f


GALERKIN, A, F = model()
BASIS, SPACE = GALERKIN.basis, GALERKIN.basis.space
MUS = BOX.from_unit(np.random.default_rng(1).random((6, 2)))
SNAPSHOTS = Snapshots(
    SPACE, MUS, np.stack([BASIS.lift(GALERKIN.predict(mu).coefficients) for mu in MUS], axis=1)
)
MESH = Mesh(
    np.random.default_rng(2).random((6, 3)),
    {"tetra": np.array([[0, 1, 2, 3]]), "triangle": np.array([[0, 1, 2], [3, 4, 5]])},
    {"wall": {"triangle": np.array([1])}},
    {"tip": np.array([5])},
)
MASS = sp.csr_array(sp.eye_array(12))
UNSTEADY = unsteady(
    MASS,
    A,
    F,
    BASIS,
    np.linspace(0, 1, 5),
    theta=0.5,
    bound=residual_bound(A, F, BASIS, GALERKIN.bound.stability, MASS),
    box=BOX,
)
CONSTRAINTS = SuccessiveConstraints(
    A.theta, np.zeros(2), np.ones(2), np.ones((1, 2)), np.ones(1), np.ones((1, 2))
)
FIELD_GP = field_gp(SNAPSHOTS, BASIS, BOX, regressor="gp")
GP = coefficient_gp(
    MUS, BASIS.coefficients(np.asarray(SNAPSHOTS.u)).T, BOX, kernel="matern52", mean="constant"
)
TIMES = np.linspace(0.0, 1.0, 9)
SERIES = Snapshots(
    euclidean(2), np.zeros((9, 0)), np.stack([np.exp(-TIMES), np.exp(-3.0 * TIMES)]), TIMES
)
FLOW = dmd(SERIES, pod(SERIES, rank=2)[0])
LIFTED = edmd(SERIES, pod(SERIES, rank=2)[0], degree=1)


def cubes(U, mu, data):
    return data[:, 0] * U[:, 0] ** 3, 3.0 * data[:, :1] * U**2


FEW_ROWS = nonlinear_model(
    Problem(None, None, term=Stencil(np.arange(2)[:, None], np.ones((2, 1)), cubes)),
    SERIES,
    pod(SERIES, rank=2)[0],
)
LAW = project_rate(lambda u, mu: -u, SERIES, pod(SERIES, rank=2)[0])
COLUMNS = Snapshots(euclidean(12), MUS, SNAPSHOTS.u)
OPERATOR = operator_gp(
    COLUMNS,
    Snapshots(euclidean(12), MUS, np.sin(SNAPSHOTS.u + SNAPSHOTS.u[::-1])),
    symmetry=point_symmetry(np.arange(12)[:, None], "mirror x"),
    rank=2,
)
CUBATURE = Cubature(np.arange(2), np.ones(2), 1e-4, 1e-3, "tol")
STATE = State(np.ones(12), np.ones((4, 6)), np.ones((4, 2)))
WEIGHTED = WeightedModel(
    BASIS,
    np.arange(4),
    np.ones((4, 6, 3)),
    np.ones(4),
    None,
    {"p": Interpolation(np.eye(3, 2), np.arange(2), np.eye(2))},
)
LOADING = Loading(
    np.arange(2.0), np.ones((12, 1)), np.ones((2, 1)), np.ones((4, 1)), np.ones((2, 1))
)
TRAINED = SolidModel(
    BASIS,
    np.ones((4, 6, 3)),
    np.ones((12, 2)),
    np.ones((4, 6, 2)),
    np.eye(4),
    BASIS,
    BASIS,
    CUBATURE,
    CUBATURE,
    Tolerances(),
    WEIGHTED,
)
LINE = Mesh(
    np.linspace(0, 1, 9)[:, None], {"line": np.column_stack([np.arange(8), np.arange(1, 9)])}
)
SHAPES = [
    Sample(LINE, np.array([k]), {"u": np.sin(k + LINE.points[:, 0])}, {"w": float(k)})
    for k in np.linspace(0, 1, 6)
]
SHAPED = shape_model(SHAPES, Same(), LINE)
TRAJECTORIES = TrajectoryGP(
    times=np.array([0.0, 1.0]),
    offset=np.zeros((3, 2)),
    modes=np.ones((3, 2, 1)),
    tail=np.zeros((3, 2)),
    transform="identity",
    sized=False,
    processes=(GP,),
    floor=1e-3,
    factor=2.0,
    level=0.9,
    errors={"identity": 0.1},
    space=euclidean(3),
)
EXAMPLES = {
    "Field": SPACE.fields[0],
    "Space": SPACE,
    "Mesh": MESH,
    "Box": BOX,
    "Snapshots": dataclasses.replace(SNAPSHOTS, t=np.linspace(0, 1, 6)),
    "Basis": dataclasses.replace(BASIS, offset=np.arange(12.0)),
    "Monomials": A.theta,
    "Affine": A,
    "Interpolation": Interpolation(
        np.eye(3, 2), np.arange(2), np.eye(2), np.arange(2), np.ones(3), 1e-3, "tol"
    ),
    "Weights": Weights(
        A.theta,
        MUS[:2],
        MUS[:2],
        np.zeros(2, int),
        np.ones(1),
        np.eye(2),
        np.eye(2) + 1j,
        np.ones(3),
        "tol",
    ),
    "Barycentric": Barycentric(MUS[:2, :1], np.array([1.0, -1j]), np.ones(3), "rank"),
    "Certificate": Certificate(MUS, np.ones(6), np.ones(6)),
    "Prediction": GALERKIN.predict(MUS[0]),
    "Question": Question(MUS, single=True),
    "Asks": Asks(2, BOX),
    "Part": Part(Quantity("u", "K"), np.ones((2, 1, 1)), std=np.zeros((2, 1, 1))),
    "Error": Error(np.ones(2), Known.CONFORMAL, "X", "K", 0.9, True),
    "Output": Output(np.ones(2), "N"),
    "Quantity": Quantity("u", "K", 3, Place.CELLS),
    "Warned": Warned("range", "far away", (1, 2)),
    "GalerkinModel": GALERKIN,
    "UnsteadyModel": UNSTEADY,
    "ResidualBound": GALERKIN.bound,
    "FullResidual": FullResidual(A, F, BASIS, GALERKIN.bound.stability),
    "GramResidual": GramResidual(np.eye(7), A.theta, F.theta, GALERKIN.bound.stability),
    "SampledResidual": SampledResidual(
        *[np.arange(2)] * 5, A.theta, F.theta, GALERKIN.bound.stability
    ),
    "InterpolatedInfSup": InterpolatedInfSup(BOX, MUS, np.ones(7), 0.9, 3),
    "Tensor": Tensor((A.theta,), ((0, 1),)),
    "Conjugate": Conjugate(A.theta),
    "RandomDual": RandomDual(A, A, F, np.ones((4, 2))),
    "Nested": Nested(A, F),
    "Expansion": Expansion(np.ones(2), np.array([1.0, 1e-6]), "tol"),
    "DualWeighted": DualWeighted(GALERKIN, GALERKIN, A, F, F),
    "Outputs": Outputs(F, np.eye(1), 1e-9),
    "Consistent": Consistent(GALERKIN.bound, 1e-9, 1e-10),
    "MinTheta": GALERKIN.bound.stability,
    "SuccessiveConstraints": CONSTRAINTS,
    "Study": study(GALERKIN, lambda mu: sp.linalg.spsolve(A(mu).tocsc(), F.terms[0]), MUS),
    "Discrepancy": Discrepancy("T", "K", "rms", np.ones(2), np.zeros(2)),
    "GreedyStep": GreedyStep(3, MUS[0], 1e-3, "tol reached"),
    "FieldGP": FIELD_GP,
    "TrajectoryGP": TRAJECTORIES,
    "CoefficientGP": GP,
    "PositiveFieldGP": PositiveFieldGP(FIELD_GP),
    "ProcessAverage": FIELD_GP.gp,
    "LinearFlow": FLOW,
    "OperatorGP": OPERATOR,
    "Coordinates": OPERATOR.reach,
    "OperatorKernel": OPERATOR.kernel,
    "Symmetry": OPERATOR.symmetry,
    "Translation": Translation(12),
    "ForcedFlow": dmdc(SERIES, pod(SERIES, rank=2)[0], {"push": np.arange(9.0) % 4}),
    "PolynomialFlow": LAW,
    "LiftedMap": LIFTED,
    "Spectrum": LIFTED.spectrum,
    "SpectralModes": spod(SERIES, LIFTED.basis, samples=4),
    "NonlinearModel": FEW_ROWS,
    "ReducedTerm": FEW_ROWS.term,
    "ResidualRows": FEW_ROWS.rows,
    "Stencil": FEW_ROWS.term.term,
    "Polynomial": Polynomial((1, 2), parameter_powers(2, 1)),
    "RunInterpolation": run_interpolation(np.eye(3), np.eye(3), regressor="nearest"),
    "VecchiaGP": vecchia_gp(
        np.random.default_rng(3).random((40, 2)), np.arange(40.0), neighbours=4
    ),
    "VariationalGP": variational_gp(
        np.random.default_rng(4).random((30, 1)), np.arange(30.0) // 6, "poisson", neighbours=4
    ),
    "SparsePosterior": variational_posterior(
        Prior(Stationary("rbf", [0.3]), 1.0, 0.0),
        np.arange(9.0)[:, None] / 9,
        Observations(np.arange(9.0), "gaussian", 0.1),
        3,
    )[1],
    "KroneckerGP": kronecker_gp(
        [np.arange(4.0), np.arange(3.0)], np.eye(4, 3), observed=np.arange(12).reshape(4, 3) > 2
    ),
    "Stationary": GP.kernels[0],
    "Spectral": spectral_mixture(2, 3, 5.0, "matern52"),
    "Sum": Sum(
        (Stationary("rbf", np.ones(2)), spectral_mixture(2, 2, 1.0)), np.array([0.25, 0.75])
    ),
    "Product": Product(
        (
            Selected(Stationary("rbf", np.ones(1)), (0,)),
            Selected(Stationary("matern12", np.ones(1)), (1,)),
        )
    ),
    "Selected": Selected(Stationary("matern32", np.ones(1)), (1,)),
    "Cubature": CUBATURE,
    "Loading": LOADING,
    "State": STATE,
    "Result": Result(
        MESH, {"u": np.ones((3, 2, 2))}, {"u": "m"}, {"u": "points"}, np.array([0.5, 1.0]), None
    ),
    "History": History(
        np.ones(1), np.ones((12, 1)), np.ones((4, 6, 1)), np.ones((4, 1)), STATE, np.array([3])
    ),
    "WeightedModel": WEIGHTED,
    "Indicator": Indicator(("a",), np.ones(2), 0.5, 0.95, 1e-6),
    "RunStep": RunStep(0.5, np.inf, True, "first", 3, 4),
    "Tolerances": Tolerances(),
    "SolidModel": TRAINED,
    "RunState": RunState(
        TRAINED, LOADING, LOADING, np.ones((2, 1)), STATE, STATE, 0.5, ((1.0, np.ones(3)),)
    ),
    "Sample": SHAPES[1],
    "Embedding": SHAPED.embedding,
    "Same": Same(),
    "Sphere": Sphere(),
    "ArcLength": ArcLength(("tip",), True),
    "Chart": Chart("square", "floater"),
    "Radial": Radial(("rim",), radius=0.25),
    "Elastic": Elastic(modes=np.eye(4, 2)),
    "FieldModel": SHAPED.fields[0],
    "ShapeModel": SHAPED,
}
CLASSIFIER = Classifier(np.zeros(2), np.ones(2), MUS, np.ones((6, 2)), np.zeros(2), 0.5, np.eye(2))
ROTATIONS = (np.eye(3)[:, :2], np.eye(3)[:, 1:])
LOCAL = LocalBases(
    BASIS, ROTATIONS, np.array([0, 1, 0]), np.eye(3)[:, :2], np.full((3, 2), 1e-3), CLASSIFIER
)
EXAMPLES |= {
    "LocalBases": LOCAL,
    "Classifier": CLASSIFIER,
    "Gain": Gain(np.array([1, 2]), np.ones(2), np.zeros(2), np.ones(2), 2, 4),
    "Merging": Merging(
        np.array([0, 0]),
        (BASIS,),
        np.array([3]),
        np.array([0.1]),
        np.array([36]),
        72,
        ((0, 1, 3, 0.1),),
    ),
    "Forest": Forest(
        np.zeros(1, int),
        np.zeros(3, int),
        np.zeros(3),
        np.array([1, 1, 2]),
        np.array([2, 1, 2]),
        np.ones((3, 2)),
        1,
    ),
    "LocalModel": LocalModel(LOCAL, (GALERKIN, GALERKIN), 0.9),
    "LocalWeighted": LocalWeighted(
        LOCAL, (WEIGHTED, WEIGHTED), np.arange(2), np.ones((2, 6, 3)), 0.9
    ),
    "RunningPod": RunningPod(
        BASIS.space,
        BASIS.modes,
        2.0 * np.eye(BASIS.r),
        np.eye(BASIS.r),
        np.ones(BASIS.r),
        4.0,
        0.5,
        7,
    ),
    "Sensitivity": Sensitivity(
        "T",
        "K",
        ("a", "b"),
        np.array([0.2, 0.7]),
        np.array([0.3, 0.8]),
        np.zeros((2, 2)),
        np.ones((2, 2)),
        2.0,
        Known.CERTIFIED,
        0.95,
        64,
    ),
    "SparseSvd": SparseSvd(np.eye(4, 2), np.array([2.0, 1.0]), np.eye(3, 2), 5.0, 0.0),
}
NOT_STORED = {  # by their own nature
    "Applied": "a host's operator",
    "AppliedSum": "hosts' operators",
    "Products": "a host's operator",
    "Moves": "a moment of a training",
    "Pieces": "a moment of a training",
    "ReducedLaw": "what laws share",
    "Steps": "a moment of an answer",
    "Axes": "a moment of a training",
    "Block": "a moment of a training",
    "Calibration": "a moment of a training",
    "Choice": "a moment of a training",
    "Angles": "a moment of a training",
    "Faces": "a moment of reading a file",
    "FieldRuns": "a moment of a training",
    "Ragged": "a moment of reading a file",
    "UnitPlan": "a moment of writing a unit",
    "LazyColumns": "a way to read a store",
    "KernelStack": "kernels of a process, to be evaluated at once",
    "Together": "a process, to be evaluated at once",
    "Star": "a moment of a morphing",
    "Template": "a moment of writing a file",
    "Images": "a moment of a training",
    "Layout": "a moment of a training",
    "Manifold": "a moment of an embedding",
    "Recipe": "a moment of a training",
    "Samples": "a moment of a training",
    "ShapeTrial": "a moment of a training",
    "Trials": "a moment of a training",
    "OperatorPlan": "options of a command",
    "Solution": "a moment of a training",
    "TorchNetwork": "its weights are torch's",
    "Card": "a moment of reading a file",
    "Carries": "a moment of reading a file",
    "Collection": "a moment of reading a file",
    "Content": "a moment of reading a file",
    "Deck": "a moment of reading a file",
    "Document": "a moment of reading a file",
    "ElementBlock": "a moment of reading a file",
    "Entity": "a moment of reading a file",
    "Entry": "a moment of reading a file",
    "Equations": "a moment of a training",
    "FullEquation": "a moment of a training",
    "Facets": "a moment of reading a file",
    "Fit": "a moment of a training",
    "Keyword": "a moment of reading a file",
    "Leaf": "a moment of reading a file",
    "LeftOut": "a moment of a training",
    "MedBlock": "a moment of reading a file",
    "Move": "a moment of reading a file",
    "Numbering": "a moment of reading a file",
    "Placed": "a moment of reading a file",
    "ProcessPrior": "a moment of a training",
    "Queries": "a moment of a training",
    "Region": "a moment of a prediction",
    "Resolver": "a moment of reading a file",
    "Runs": "a moment of a training",
    "Scope": "a moment of reading a file",
    "SearchPlan": "a moment of a training",
    "System": "a moment of reading a file",
    "Systems": "a moment of reading a file",
    "TableRun": "rom.cli.ingest_runs",
    "Templates": "a solver",
    "Trial": "a moment of a training",
    "Unit": "a solver",
    "View": "a moment of reading a file",
    "Windows": "a moment of a training",
    "Regressor": "a file of the package",
    "Budget": "settings of a call",
    "Header": "JSON before the arrays of a file",
    "TrueRun": "a moment of a study",
    "Row": "a moment of a study",
    "TrueRuns": "a moment of a study",
    "StudyPlan": "options of a command",
    "Truth": "what a study reads from a store",
    "TruthPlan": "options of a command",
    "Candidate": "a moment of a search",
    "LocalOption": "a moment of a search",
    "Watch": "is built from stored indicators",
    "WholeRuns": "a moment of a training",
    "Form": "a moment of a training",
    "Coefficients": "a moment of a training",
    "TrajectoryCandidate": "a moment of a training",
    "SmallLikelihoods": "the objective of a search",
    "Axis": "a moment of a drawing",
    "Table": "a moment of a reading",
    "Training": "a moment of a command",
    "Enriched": "a moment of a command",
    "Plan": "settings of a command",
    "GroupLikelihoods": "the objective of a search",
    "Round": "a moment of a search",
    "SolidGain": "a report of a search",
    "States": "what a command shows",
    "FollowedRun": "its states are stored one by one",
    "Frame": "a moment of a file",
    "FrameSources": "a moment of a file",
    "Source": "a moment of a file",
    "FieldState": "a moment of a file",
    "Blocks": "a moment of a file",
    "Parts": "a moment of a file",
    "Request": "what is asked of files",
    "Room": "spare columns",
    "RowBlocks": "reads snapshots",
    "Accuracy": "settings of a call",
    "Rows": "is written as an array",
    "RowMeans": "a moment of a study",
    "Share": "a moment of a file",
    "Stop": "is told by the reason of a basis",
    "SingleBlocks": "a moment of a search",
    "Cluster": "a moment of a search",
    "NewtonSolution": "a moment of Newton's method",
    "BackTransfer": "follows from the model and a mesh",
    "Problem": "holds solvers",
    "Factors": "follows from its kernel",
    "Preconditioner": "follows from its kernels",
    "Maximum": "a moment of a search",
    "DensePosterior": "a moment of a search",
    "BoundDerivatives": "a moment of a search",
    "Observations": "part of a posterior",
    "CalibrationData": "a moment of a calibration",
    "Prior": "part of a process",
    "PosteriorPart": "a moment of a pass over points",
    "GridSpectrum": "follows from its kernels",
    "GridPoints": "part of a process",
    "GPyTorchKernel": "its format would be torch's",
    "GPyTorchModel": "its format would be torch's",
    "Worker": "is a process",
    "Tasks": "holds the state of a campaign",
    "Campaign": "its folder is its file",
    "Store": "is a folder",
    "Manifest": "is a folder",
    "Work": "holds a solver",
    "Pilot": "a table of a file",
    "RowGroup": "a moment of a pass over points",
    "Scheduler": "a program",
    "Extent": "a place in a file",
    "FilePart": "a place in a file",
    "Columns": "is on disk",
    "SwitchingStep": "a moment of a run",
    "Descent": "a moment of a search; the model that it finds is stored",
    "Run": "its folder is its file",
    "Profile": "is a TOML file",
    "Job": "is a script",
    "Status": "a moment of a queue",
    "Morphing": "made anew from two meshes",
    "Locator": "made anew from a mesh",
    "Energy": "an objective",
    "Mappings": "a step on the way to a model",
    "Reduction": "settings of a call",
    "TrainingSet": "samples on the way to a model",
    "FieldData": "samples on the way to a model",
    "Gaps": "made anew from two meshes",
    "Iterate": "a moment of a search",
    "Metric": "holds a solver",
    "DesignFile": "is a file",
}


def same(a, b):
    """Equal to the last bit, types, dtypes and memory order included."""
    assert type(a) is type(b)
    if isinstance(a, np.ndarray):
        assert (a.dtype, a.shape) == (b.dtype, b.shape)
        assert a.tobytes() == b.tobytes()
        assert (
            a.flags.c_contiguous <= b.flags.c_contiguous
            and a.flags.f_contiguous <= b.flags.f_contiguous
        )
    elif sp.issparse(a):
        assert a.shape == b.shape
        for part in ("data", "indices", "indptr", "row", "col", "offsets"):
            if hasattr(a, part):
                same(getattr(a, part), getattr(b, part))
    elif dataclasses.is_dataclass(a):
        for f in dataclasses.fields(a):
            same(getattr(a, f.name), getattr(b, f.name))
    elif isinstance(a, dict):
        assert list(a) == list(b)
        for key in a:
            same(a[key], b[key])
    elif isinstance(a, (tuple, list)):
        assert len(a) == len(b)
        for x, y in zip(a, b, strict=True):
            same(x, y)
    else:
        assert a == b or (a != a and b != b)


def sealed(path, fill):
    """A file with a true digest, whatever it holds: what an attacker can make."""
    write_h5(path, fill)
    return path


def schema(text):
    return np.frombuffer(text.encode(), np.uint8)


@pytest.mark.parametrize("name", nouns())
def test_save_then_load_is_the_identity(name, tmp_path):
    noun = EXAMPLES[name]
    assert type(noun).__name__ == name
    save(tmp_path / "n.h5", noun)
    functions = {f"{__name__}:cubes": cubes}
    same(noun, load(tmp_path / "n.h5", functions=functions))


def test_every_noun_of_the_package_can_be_stored():
    found = {}
    for module in pkgutil.walk_packages(rom.__path__, "rom."):
        for name, value in vars(importlib.import_module(module.name)).items():
            if (
                isinstance(value, type)
                and dataclasses.is_dataclass(value)
                and value.__module__ == module.name
                and name[0] != "_"
            ):
                found[name] = value
    missing = {name for name, noun in found.items() if nouns().get(name) is not noun}
    assert missing <= set(NOT_STORED)
    assert set(nouns()) <= set(found)


@pytest.mark.parametrize(
    "dtype", ["f2", "f4", "f8", "c8", "c16", "i1", "i2", "i4", "i8", "u1", "u8", "?", ">f8", ">c16"]
)
@pytest.mark.parametrize("shape", [(), (0,), (3,), (0, 4), (2, 3), (2, 3, 4)])
def test_arrays_of_any_kind_and_shape(dtype, shape, tmp_path):
    values = np.random.default_rng(0).integers(0, 2, shape).astype(dtype)
    save(tmp_path / "n.h5", {"c": values, "f": np.asfortranarray(values)})
    same({"c": values, "f": np.asfortranarray(values)}, load(tmp_path / "n.h5"))


def test_nan_bits_signed_zeros_and_denormals_survive(tmp_path):
    bits = np.array(
        [0x7FF8000000000123, 0xFFF0000000000001, 0x8000000000000000, 1], dtype=np.uint64
    ).view(float)
    save(tmp_path / "n.h5", bits)
    assert load(tmp_path / "n.h5").tobytes() == bits.tobytes()


def test_views_are_stored_as_what_they_show(tmp_path):
    base = np.arange(24.0).reshape(4, 6)
    base.setflags(write=False)
    save(tmp_path / "n.h5", (base[::2, ::3], base.T, base[:, 1]))
    for mine, back in zip(
        (base[::2, ::3], base.T, base[:, 1]), load(tmp_path / "n.h5"), strict=True
    ):
        np.testing.assert_array_equal(mine, back)


PLAIN = [
    None,
    True,
    False,
    0,
    -(2**80),
    1.5,
    1e-320,
    -0.0,
    float("nan"),
    float("-inf"),
    1 - 2j,
    "",
    "µ/\x00 ü",
    (),
    [],
    {},
    (1, (2.0, "a")),
]


@pytest.mark.parametrize(
    "value",
    [
        *PLAIN,
        {"a/b": 1, "a_b": 2, 3: [4]},
        np.float32(0.1),
        np.int8(-3),
        np.bool_(True),
        np.complex64(1j),
    ],
    ids=repr,
)
def test_plain_values(value, tmp_path):
    save(tmp_path / "n.h5", {"x": value})
    same(value, load(tmp_path / "n.h5")["x"])


def test_keys_that_would_share_a_name_do_not(tmp_path):
    value = {
        "a": {"b": np.ones(1)},
        "a.b": np.ones(2),
        "a/b": np.ones(3),
        "a_b": np.ones(4),
        "schema": np.ones(5),
        "": np.ones(6),
    }
    save(tmp_path / "n.h5", value)
    same(value, load(tmp_path / "n.h5"))


@pytest.mark.parametrize(
    "kind",
    [
        f"{layout}_{flavour}"
        for layout in ("csr", "csc", "coo", "bsr", "dia")
        for flavour in ("array", "matrix")
    ],
)
@pytest.mark.parametrize("dtype", [float, complex])
def test_sparse_matrices(kind, dtype, tmp_path):
    matrix = getattr(sp, kind)(stiffness(6).astype(dtype))
    save(tmp_path / "n.h5", matrix)
    same(matrix, load(tmp_path / "n.h5"))


def test_a_loaded_model_answers_to_the_last_bit(tmp_path):
    for noun in (GALERKIN, UNSTEADY, EXAMPLES["FieldGP"]):
        save(tmp_path / "n.h5", noun)
        same(noun.predict(MUS), load(tmp_path / "n.h5").predict(MUS))


def test_what_is_shared_is_stored_and_loaded_once(tmp_path):
    big = np.zeros(10_000)
    save(tmp_path / "n.h5", [big] * 50)
    assert (tmp_path / "n.h5").stat().st_size < 2 * big.nbytes
    back = load(tmp_path / "n.h5")
    assert all(item is back[0] for item in back)


def test_equal_nouns_give_equal_bytes(tmp_path):
    assert save(tmp_path / "a.h5", GALERKIN) == save(tmp_path / "b.h5", model()[0])
    assert (tmp_path / "a.h5").read_bytes() == (tmp_path / "b.h5").read_bytes()


def test_module_functions_come_back_only_from_the_caller(tmp_path):
    noun = Affine(theta, np.ones((2, 3)))
    save(tmp_path / "n.h5", noun)
    name = f"{theta.__module__}:theta"
    with pytest.raises(
        BadInput, match=rf"needs the function '{name}'; pass load\(path, functions="
    ):
        load(tmp_path / "n.h5")
    assert load(tmp_path / "n.h5", {name: theta}).theta is theta


def test_fields_of_an_earlier_version_come_back_under_their_names_now(tmp_path, monkeypatch):
    monkeypatch.setitem(registry.RENAMED_FIELDS, "Field", {"label": "name"})
    text = (
        '{"nouns": [{"noun": "Field", "fields": {"label": "T", "unit": "K", '
        '"rows": {"array": "x"}}}], "root": {"noun": 0}}'
    )

    def fill(file):
        group = file.create_group("rom")
        group["schema"] = schema(text)
        group["x"] = np.arange(3)

    same(load(sealed(tmp_path / "n.h5", fill)), Field("T", "K", np.arange(3)))


@dataclasses.dataclass(frozen=True)
class Stiffness:
    """A noun of somebody else's solver."""

    E: float
    table: np.ndarray


def test_nouns_of_solvers_come_back_only_by_classes_of_the_caller(tmp_path):
    save(tmp_path / "n.h5", {"law": Stiffness(2e5, np.arange(3.0))})
    name = f"{Stiffness.__module__}:Stiffness"
    with pytest.raises(BadInput, match=rf"needs the class '{name}'; pass load\(path, functions="):
        load(tmp_path / "n.h5")
    same(load(tmp_path / "n.h5", {name: Stiffness}), {"law": Stiffness(2e5, np.arange(3.0))})
    with pytest.raises(BadInput, match="needs a class"):
        load(tmp_path / "n.h5", {name: theta})


class Communicator:
    def Get_size(self):
        return 2

    def Get_rank(self):
        return 0


def distributed():
    space = euclidean(3)
    object.__setattr__(space, "comm", Communicator())
    return space


def unstorable():
    yield (
        "lambda",
        Affine(lambda mu: mu, np.ones((1, 1))),
        r"theta is the closure or lambda .*module level",
    )

    def inner(mu):
        return mu

    yield "closure", Affine(inner, np.ones((1, 1))), r"closure or lambda"
    yield "method", {"f": BOX.check}, r"f is the closure"
    yield "object array", {"x": np.array([None, 1])}, r"x is a ndarray of object"
    yield "text array", {"x": np.array(["a"])}, r"x is a ndarray of <U1"
    yield "date array", np.array(["2020-01-01"], dtype="M8[D]"), r"datetime64"
    yield "masked array", np.ma.masked_array([1.0], [True]), r"MaskedArray"
    yield "long double", np.ones(1, np.longdouble), r"float128"
    yield "linked list matrix", stiffness(3).tolil(), r"lil; call \.tocsr\(\)"
    yield "set", {"x": {1, 2}}, r"x is a set"
    yield "bytes", b"x", r"the noun is a bytes"
    yield "path", {"p": Path("x")}, r"p is a PosixPath"
    yield "other dataclass", Communicator(), r"is a Communicator"
    yield "problem", Problem(theta, BOX), r"Problem, which no archive holds"
    yield (
        "distributed",
        Snapshots(distributed(), np.ones((1, 1)), np.ones((3, 1))),
        r"space lies on 2 ranks; call \.to_serial\(\)",
    )


@pytest.mark.parametrize(
    ("noun", "message"), [case[1:] for case in unstorable()], ids=[case[0] for case in unstorable()]
)
def test_what_cannot_be_stored_is_refused_and_leaves_no_file(noun, message, tmp_path):
    with pytest.raises(BadInput, match=message):
        save(tmp_path / "n.h5", noun)
    assert list(tmp_path.iterdir()) == []


def test_every_flipped_bit_is_detected(tmp_path):
    path = tmp_path / "n.h5"
    save(path, GALERKIN)
    whole, rng = path.read_bytes(), np.random.default_rng(0)
    places = np.concatenate([np.arange(0, BLOCK, 3), rng.integers(BLOCK, len(whole), 500)])
    for place in places:
        flipped = bytearray(whole)
        flipped[place] ^= 1 << int(rng.integers(8))
        path.write_bytes(flipped)
        with pytest.raises((DamagedFile, ForeignFile)):
            load(path)


def test_every_truncation_and_extension_is_detected(tmp_path):
    path = tmp_path / "n.h5"
    save(path, GALERKIN)
    whole = path.read_bytes()
    for end in [*range(0, len(whole), 512), len(whole) - 1]:
        path.write_bytes(whole[:end])
        with pytest.raises((DamagedFile, ForeignFile)):
            load(path)
    path.write_bytes(whole + b"\0")
    with pytest.raises(DamagedFile, match=r"n\.h5.*sha256; delete it"):
        load(path)


@pytest.mark.parametrize("bare", [True, False])
def test_a_format_after_the_last_is_refused_before_its_digest(tmp_path, bare):
    path, newer = tmp_path / "n.h5", FORMAT + 1
    if bare:
        save(path, BOX)
    else:
        save_model(path, GALERKIN)
    content = path.read_bytes()
    old = b"format 1\n" if bare else b"format 2\n"
    assert old in content[:BLOCK]
    path.write_bytes(content.replace(old, b"format %d\n" % newer, 1) + b"\0")
    refusal = rf"n\.h5 has format {newer}, this package reads up to {FORMAT}; upgrade"
    for read in (load, open_header):
        with pytest.raises(ForeignFile, match=refusal):
            read(path)


def raw(file, name, kind, shape):
    """A contiguous dataset that claims a shape and never wrote it."""
    plan = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    plan.set_alloc_time(h5py.h5d.ALLOC_TIME_LATE)
    h5py.h5d.create(file.id, name.encode(), kind, h5py.h5s.create_simple(shape), plan)


def outside(file, path):
    plan = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    plan.set_external(str(path).encode(), 0, 80)
    h5py.h5d.create(file.id, b"x", h5py.h5t.NATIVE_DOUBLE, h5py.h5s.create_simple((10,)), plan)


def virtual(group, path):
    layout = h5py.VirtualLayout((4,), dtype="f8")
    layout[:] = h5py.VirtualSource(str(path), "secret", (4,))
    group.create_virtual_dataset("x", layout)


def compact(group):
    plan = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    plan.set_layout(h5py.h5d.COMPACT)
    h5py.h5d.create(group.id, b"x", h5py.h5t.NATIVE_DOUBLE, h5py.h5s.create_simple((2,)), plan)


X = '{"nouns": [], "root": {"array": "x"}}'
FILLS = {
    "external link": lambda g, p: g.__setitem__("x", h5py.ExternalLink(str(p), "/secret")),
    "soft link": lambda g, p: g.__setitem__("x", h5py.SoftLink("/elsewhere")),
    "virtual dataset": virtual,
    "external storage": outside,
    "compact": lambda g, p: compact(g),
    "text objects": lambda g, p: g.create_dataset("x", data=["a", "b"], dtype=h5py.string_dtype()),
    "pickle in an opaque": lambda g, p: g.create_dataset("x", data=np.void(pickle.dumps(print))),
    "references": lambda g, p: g.create_dataset("x", data=np.array([g.ref], dtype=h5py.ref_dtype)),
    "compound": lambda g, p: g.create_dataset(
        "x", data=np.zeros(2, dtype=[("a", "f8"), ("b", "i4")])
    ),
    "enum": lambda g, p: g.create_dataset(
        "x", data=np.zeros(2, int), dtype=h5py.enum_dtype({"A": 0, "B": 1}, basetype="i8")
    ),
    "swapped complex": lambda g, p: g.create_dataset(
        "x", (2,), np.dtype({"names": ["r", "i"], "formats": ["f8", "f8"], "offsets": [8, 0]})
    ),
    "filter": lambda g, p: g.create_dataset("x", data=np.zeros(100), compression="gzip"),
    "chunks": lambda g, p: g.create_dataset("x", data=np.zeros(100), chunks=(10,)),
    "unlimited": lambda g, p: g.create_dataset("x", (0,), "f8", maxshape=(None,)),
    "null space": lambda g, p: g.create_dataset("x", data=h5py.Empty("f8")),
    "huge claim": lambda g, p: raw(g, "x", h5py.h5t.NATIVE_DOUBLE, (10**9, 10**9)),
    "overflowing claim": lambda g, p: raw(g, "x", h5py.h5t.NATIVE_DOUBLE, (2**40, 2**30)),
    "unwritten": lambda g, p: raw(g, "x", h5py.h5t.NATIVE_DOUBLE, (10,)),
    "group for an array": lambda g, p: g.create_group("x"),
    "circle": lambda g, p: g.__setitem__("x", g),
    "type for an array": lambda g, p: g.__setitem__("x", np.dtype("f8")),
}


class Watched(list):
    """Audit events of code being run, modules imported, programs started, and files opened in
    the folder.
    """

    on = False
    folder = "?"

    def __call__(self, event, arguments):
        if not self.on:
            return
        kinds = (
            "import",
            "exec",
            "compile",
            "pickle.find_class",
            "subprocess.Popen",
            "os.system",
            "os.exec",
            "socket.connect",
            "ctypes.dlopen",
        )
        if event in kinds or (
            event == "open"
            and self.folder in str(arguments[0])
            and not str(arguments[0]).endswith("n.h5")
        ):
            self.append((event, str(arguments[0])))


WATCHED = Watched()
sys.addaudithook(WATCHED)


def refused(path):
    """ForeignFile, with nothing run, imported or opened besides the file."""
    WATCHED.clear()
    WATCHED.folder = str(path.parent)
    WATCHED.on = True
    try:
        load(path)
    except ForeignFile as error:
        refusal = error
    else:
        refusal = None
    finally:
        WATCHED.on = False
    assert refusal is not None and str(path) in str(refusal)
    assert WATCHED == []


def test_the_watch_sees_what_it_must(tmp_path):
    WATCHED.clear()
    WATCHED.folder, WATCHED.on = str(tmp_path), True
    exec(compile("1", "x", "eval"))  # noqa: S102
    (tmp_path / "other").write_text("")
    pickle.loads(pickle.dumps(theta))  # noqa: S301
    WATCHED.on = False
    assert {event for event, _ in WATCHED} >= {"exec", "compile", "open", "pickle.find_class"}


@pytest.mark.parametrize("name", FILLS)
def test_arrays_that_are_not_plain_are_refused(name, tmp_path):
    with h5py.File(tmp_path / "other.h5", "w") as other:
        other["secret"] = np.arange(4.0)

    def fill(file):
        group = file.create_group("rom")
        group["schema"] = schema(X)
        file["elsewhere"] = np.arange(3.0)
        FILLS[name](group, tmp_path / "other.h5")

    refused(sealed(tmp_path / "n.h5", fill))


SCHEMAS = {
    "module of the system": '{"nouns": [{"noun": "os", "fields": {}}], "root": {"noun": 0}}',
    "function as a noun": (
        '{"nouns": [{"noun": "os.system", "fields": {"command": "touch pwned"}}], "root": '
        '{"noun": 0}}'
    ),
    "class of the package": '{"nouns": [{"noun": "Problem", "fields": {}}], "root": {"noun": 0}}',
    "unknown field": (
        '{"nouns": [{"noun": "Field", "fields": {"name": "a", "unit": "b", "rows": {"array": '
        '"x"}, "z": 1}}], "root": {"noun": 0}}'
    ),
    "left-out field": (
        '{"nouns": [{"noun": "Space", "fields": {"product": {"array": "x"}, "numbers": '
        '{"array": "x"}, "comm": 1}}], "root": {"noun": 0}}'
    ),
    "missing field": '{"nouns": [{"noun": "Field", "fields": {"name": "a"}}], "root": {"noun": 0}}',
    "invalid noun": (
        '{"nouns": [{"noun": "Box", "fields": {"names": {"tuple": ["a"]}, "lower": 1.0, '
        '"upper": 0.0}}], "root": {"noun": 0}}'
    ),
    "forward reference": (
        '{"nouns": [{"noun": "Basis", "fields": {"space": {"noun": 1}, "modes": 0}}], "root": '
        '{"noun": 0}}'
    ),
    "unknown kind": '{"nouns": [], "root": {"python": "os"}}',
    "unknown array": '{"nouns": [], "root": {"array": "y"}}',
    "array by path": '{"nouns": [], "root": {"array": "/elsewhere"}}',
    "not a dict": "[1, 2]",
    "not json": "cos\\nsystem",
    "deep": "[" * 100_000,
    "deep but whole": '{"nouns": [], "root": ' + '{"list": [' * 20_000 + "]}" * 20_000 + "}",
    "huge number": '{"nouns": [], "root": ' + "9" * 10_000 + "}",
    "unhashable key": '{"nouns": [], "root": {"dict": [[{"list": []}, 1]]}}',
    "sparse of another module": (
        '{"nouns": [], "root": {"sparse": "linalg_array", "shape": [1, 1], "parts": {}}}'
    ),
    "sparse by attribute": (
        '{"nouns": [], "root": {"sparse": "csr_array.__init__", "shape": [1, 1], "parts": {}}}'
    ),
    "bytes that are not text": None,
}


@pytest.mark.parametrize("name", SCHEMAS)
def test_schemas_that_save_cannot_have_written_are_refused(name, tmp_path):
    def fill(file):
        group = file.create_group("rom")
        group["schema"] = (
            np.array([0x80, 0xFF], np.uint8) if SCHEMAS[name] is None else schema(SCHEMAS[name])
        )
        group["x"] = np.arange(3.0)
        file["elsewhere"] = np.arange(3.0)

    refused(sealed(tmp_path / "n.h5", fill))


@pytest.mark.parametrize("indices", [[0, 10**9], [-1, 0]], ids=["beyond", "negative"])
@pytest.mark.parametrize("kind", ["csr_array", "csc_array", "bsr_array"])
def test_sparse_indices_out_of_range_are_refused(kind, indices, tmp_path):
    parts = {
        "data": np.ones((2, 1, 1) if kind == "bsr_array" else 2),
        "indices": np.array(indices),
        "indptr": np.array([0, 1, 2]),
    }
    text = {"sparse": kind, "shape": [2, 2], "parts": {name: {"array": name} for name in parts}}

    def fill(file):
        group = file.create_group("rom")
        group["schema"] = schema(json.dumps({"nouns": [], "root": text}))
        for name, values in parts.items():
            group[name] = values

    refused(sealed(tmp_path / "n.h5", fill))


def test_functions_are_never_looked_up(tmp_path):
    def fill(file):
        file.create_group("rom")["schema"] = schema(
            '{"nouns": [], "root": {"function": "os:system"}}'
        )

    with pytest.raises(BadInput, match=r"needs the function 'os:system'"):
        load(sealed(tmp_path / "n.h5", fill))


def overlapping(file):
    """Two arrays on the same bytes cannot be made by h5py; two names of one array can."""
    group = file.create_group("rom")
    group["schema"] = schema(X)
    group["x"] = np.zeros(1000)
    for k in range(100):
        group[f"x{k}"] = group["x"]


def test_one_array_under_many_names_is_refused(tmp_path):
    refused(sealed(tmp_path / "n.h5", overlapping))


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\x93NUMPY",
        pickle.dumps({"a": print}),
        b"rom archive\n",
        b"\x89HDF\r\n\x1a\n" + bytes(600),
        b"PK\x03\x04" + bytes(600),
    ],
    ids=["empty", "npy", "pickle", "only a magic", "plain HDF5", "zip"],
)
def test_other_files_are_refused_before_parsing(content, tmp_path):
    (tmp_path / "n.h5").write_bytes(content)
    with pytest.raises((ForeignFile, DamagedFile), match=r"n\.h5"):
        load(tmp_path / "n.h5")


def test_pickled_arrays_and_plain_hdf5_are_foreign(tmp_path):
    np.save(tmp_path / "n.npy", np.array([print], dtype=object), allow_pickle=True)
    with h5py.File(tmp_path / "n.h5", "w") as file:
        file.create_group("rom")["schema"] = schema(X)
    for name in ("n.npy", "n.h5"):
        with pytest.raises(ForeignFile, match=r"not written by this package"):
            load(tmp_path / name)


@pytest.mark.parametrize("name", ["absent.h5", "."])
def test_no_file_is_bad_input(name, tmp_path):
    with pytest.raises(BadInput, match=r"give the path of a file that was saved"):
        load(tmp_path / name)


def test_a_sealed_file_without_nouns_is_foreign(tmp_path):
    with pytest.raises(ForeignFile, match=r"no group /rom"):
        load(sealed(tmp_path / "n.h5", vtkhdf(MESH)))


def test_nouns_lie_beside_a_mesh_file_that_other_programs_open(tmp_path):
    def fill(file):
        vtkhdf(MESH)(file)
        put(file, BASIS)

    same(BASIS, load(sealed(tmp_path / "n.vtkhdf", fill)))
    with h5py.File(tmp_path / "n.vtkhdf") as file:
        assert set(file) == {"VTKHDF", "rom"}
        np.testing.assert_array_equal(file["rom/modes"][()], BASIS.modes)
        assert file["VTKHDF/Points"].shape == (6, 3)


def test_a_failed_write_changes_nothing(tmp_path):
    path = tmp_path / "n.h5"
    save(path, BOX)
    before = path.read_bytes()
    with pytest.raises(ZeroDivisionError):
        write_h5(path, lambda file: 1 / 0)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, hard))
    try:
        for noun in (np.zeros(10**6), [np.zeros(6_000), np.zeros(6_000), np.zeros(6_000)]):
            with pytest.raises(
                NotWritten, match=r"cannot write .*n\.h5.*File too large.*free space"
            ):
                save(path, noun)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert path.read_bytes() == before and os.listdir(tmp_path) == ["n.h5"]
    save(path, np.zeros(10**6))
    assert load(path).size == 10**6


def test_a_folder_that_is_not_there_is_named(tmp_path):
    with pytest.raises(NotWritten, match=r"cannot write .*absent/n\.h5"):
        save(tmp_path / "absent" / "n.h5", BOX)
