"""Projected models with certified bounds."""

from rom.certified.enrichment import GreedyStep
from rom.certified.forms import FullResidual, GramResidual, SampledResidual
from rom.certified.infsup import Consistent, InterpolatedInfSup
from rom.certified.output_bounds import Conjugate, DualWeighted, Outputs
from rom.certified.residual import ResidualBound
from rom.certified.separation import Certificate
from rom.certified.stability import MinTheta, SuccessiveConstraints
from rom.certified.stationary import GalerkinModel
from rom.certified.transient import UnsteadyModel

NOUNS = (
    "Certificate",
    "Conjugate",
    "Consistent",
    "DualWeighted",
    "FullResidual",
    "GalerkinModel",
    "GramResidual",
    "GreedyStep",
    "InterpolatedInfSup",
    "MinTheta",
    "Outputs",
    "ResidualBound",
    "SampledResidual",
    "SuccessiveConstraints",
    "UnsteadyModel",
)
__all__ = [
    "NOUNS",
    "Certificate",
    "Conjugate",
    "Consistent",
    "DualWeighted",
    "FullResidual",
    "GalerkinModel",
    "GramResidual",
    "GreedyStep",
    "InterpolatedInfSup",
    "MinTheta",
    "Outputs",
    "ResidualBound",
    "SampledResidual",
    "SuccessiveConstraints",
    "UnsteadyModel",
]
