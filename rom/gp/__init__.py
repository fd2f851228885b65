"""Gaussian processes."""

from rom.gp.coefficients import CoefficientGP
from rom.gp.fields import FieldGP
from rom.gp.kernels import Product, Selected, Stationary, Sum
from rom.gp.kronecker import KroneckerGP
from rom.gp.sparse_posterior import SparsePosterior
from rom.gp.spectral import Spectral
from rom.gp.variational import VariationalGP
from rom.gp.vecchia import VecchiaGP

NOUNS = (
    "CoefficientGP",
    "FieldGP",
    "KroneckerGP",
    "Product",
    "Selected",
    "SparsePosterior",
    "Spectral",
    "Stationary",
    "Sum",
    "VariationalGP",
    "VecchiaGP",
)
__all__ = [
    "NOUNS",
    "CoefficientGP",
    "FieldGP",
    "KroneckerGP",
    "Product",
    "Selected",
    "SparsePosterior",
    "Spectral",
    "Stationary",
    "Sum",
    "VariationalGP",
    "VecchiaGP",
]
