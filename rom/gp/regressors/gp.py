"""Gaussian processes of the coefficients, of largest restricted likelihood."""

from rom.gp.averages import process_average
from rom.gp.regressors import Regressor

REGRESSOR = Regressor("Gaussian processes", fit=process_average)
