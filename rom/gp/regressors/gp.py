"""Gaussian processes of the coefficients, of largest restricted likelihood."""

from rom.gp.regressors import Regressor
from rom.gp.sharing import coefficient_gp

REGRESSOR = Regressor("Gaussian processes", fit=coefficient_gp)
