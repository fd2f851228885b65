"""Parameters: names, units, bounds, scales."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from rom.arrays import first_bad, real
from rom.errors import BadInput, OutsideBox

SCALES = ("linear", "log")


@dataclass(frozen=True, eq=False)
class Box:
    """D = prod_j [lower_j, upper_j].

    names, units : (p,) strings; scales : "linear" or "log" per parameter; lower, upper : (p,)
    Raises BadInput where names repeat, bounds do not increase, or a log scale lacks a positive
    lower bound.
    """

    names: tuple[str, ...]
    lower: np.ndarray
    upper: np.ndarray
    units: tuple[str, ...] = ()
    scales: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        _check_texts("names", self.names)
        _check_texts("units", self.units)
        _check_texts("scales", self.scales)
        names = tuple(self.names)
        members = {
            "names": names,
            "lower": np.atleast_1d(real(self.lower, "a bound of the box")),
            "upper": np.atleast_1d(real(self.upper, "a bound of the box")),
            "units": tuple(self.units) or ("1",) * len(names),
            "scales": tuple(self.scales) or ("linear",) * len(names),
        }
        for key, value in members.items():
            object.__setattr__(self, key, value)
        self._check_lengths()
        for j in range(len(names)):
            self._check_parameter(j)

    def _check_lengths(self) -> None:
        p = len(self.names)
        if p == 0 or len(set(self.names)) != p:
            raise BadInput(f"parameter names {self.names} must be distinct and not empty")
        lower, upper = self.lower.shape, self.upper.shape
        lengths = (len(self.units), len(self.scales))
        if lower != (p,) or upper != (p,) or lengths != (p, p):
            raise BadInput(
                f"the box has {p} names, bounds of shape {lower} and {upper}, {lengths[0]} units, "
                f"{lengths[1]} scales; give one of each per name"
            )

    def _check_parameter(self, j: int) -> None:
        name, scale = self.names[j], self.scales[j]
        low, high = self.lower[j], self.upper[j]
        if not (np.isfinite(low) and np.isfinite(high) and low < high):
            raise BadInput(
                f"parameter {name!r}: bounds [{low}, {high}] are not finite and increasing; "
                "give lower < upper"
            )
        if scale not in SCALES:
            raise BadInput(f"parameter {name!r}: scale {scale!r} is not 'linear' or 'log'")
        if scale == "log" and low <= 0:
            raise BadInput(
                f"parameter {name!r}: a log scale needs a positive lower bound, not {low}"
            )

    @property
    def p(self) -> int:
        """Number of parameters."""
        return len(self.names)

    def check(self, mu: np.ndarray, slack: float = 1e-12) -> np.ndarray:
        """`mu` as float (p,) or (m, p), inside the box.

        slack : of the width, in logarithms where the scale is log
        Raises BadInput for a wrong shape, NaN or Inf; OutsideBox naming the first parameter, row
        and value beyond the bounds.
        """
        mu = real(mu, "mu")
        if mu.ndim not in (1, 2) or mu.shape[-1] != self.p:
            raise BadInput(
                f"mu has shape {mu.shape}; give parameters {self.names}: "
                f"({self.p},) or (m, {self.p})"
            )
        if not np.isfinite(mu).all():
            raise BadInput(
                f"mu holds NaN or Inf at {first_bad(mu)}; give finite parameters, or leave that "
                "row out"
            )
        low, high = self._ends
        width = slack * (high - low)
        impossible = self._log & (mu <= 0) if self._logs else False
        x = self._scaled(np.where(impossible, self.lower, mu)) if self._logs else mu
        outside = impossible | (x < low - width) | (x > high + width)
        if outside.any():
            i, j = np.argwhere(np.atleast_2d(outside))[0]
            value = np.atleast_2d(mu)[i, j]
            raise OutsideBox(
                f"row {i}: {self.names[j]} = {value:g} {self.units[j]} is outside"
                f" [{self.lower[j]:g}, {self.upper[j]:g}]; the model knows nothing there:"
                " enlarge the box and collect again"
            )
        return mu

    def to_unit(self, mu: np.ndarray) -> np.ndarray:
        """mu -> [0, 1]^p, logarithmically where the scale is log."""
        low, high = self._ends
        if type(mu) is not np.ndarray or mu.dtype != float:
            mu = real(mu, "mu")
        x = self._scaled(mu)
        return np.asarray((x - low) / (high - low))

    def from_unit(self, x: np.ndarray) -> np.ndarray:
        """[0, 1]^p -> mu."""
        low, high = self._ends
        scaled = low + real(x, "x") * (high - low)
        exponents = np.where(self._log, scaled, 0.0)
        mu = np.where(self._log, np.exp(exponents), scaled)
        return np.clip(mu, self.lower, self.upper)

    @cached_property
    def _log(self) -> np.ndarray:
        return np.array([scale == "log" for scale in self.scales])

    @cached_property
    def _logs(self) -> bool:
        return bool(self._log.any())

    @cached_property
    def _ends(self) -> tuple[np.ndarray, np.ndarray]:
        return self._scaled(self.lower), self._scaled(self.upper)

    def _scaled(self, mu: np.ndarray) -> np.ndarray:
        if not self._logs:
            return mu
        logarithms = np.log(np.where(self._log, mu, 1.0))
        return np.where(self._log, logarithms, mu)


def _check_texts(name: str, texts: Any) -> None:
    """BadInput where these are no texts, one per parameter."""
    sequence = isinstance(texts, (tuple, list, np.ndarray))
    if not sequence or not all(isinstance(text, str) for text in texts):
        raise BadInput(f"{name} = {texts!r}; give a tuple of texts, one per parameter")


def parameter_rows(values: np.ndarray) -> np.ndarray:
    """Values as floats (m, p); (m,) are m values of one parameter."""
    rows = real(values, "mu")
    return np.asarray(rows[:, None] if rows.ndim == 1 else rows)
