"""Parameters: names, units, bounds, scales."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from rom.errors import BadInput, OutsideBox, first_bad, real


@dataclass(frozen=True, eq=False)
class Box:
    """D = prod_j [lower_j, upper_j].

    names, units : (p,) strings; scales : "linear" or "log" per parameter; lower, upper : (p,)
    """

    names: tuple[str, ...]
    lower: np.ndarray
    upper: np.ndarray
    units: tuple[str, ...] = ()
    scales: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        names = tuple(self.names)
        lower, upper = (
            np.atleast_1d(real(b, "a bound of the box")) for b in (self.lower, self.upper)
        )
        units, scales = (
            tuple(self.units) or ("1",) * len(names),
            tuple(self.scales) or ("linear",) * len(names),
        )
        if not names or len(set(names)) != len(names):
            raise BadInput(f"parameter names {names} must be distinct and not empty")
        if (
            not lower.shape == upper.shape == (len(names),)
            or len(units) != len(names)
            or len(scales) != len(names)
        ):
            raise BadInput(
                f"the box has {len(names)} names, bounds of shape {lower.shape} and {upper.shape}, {len(units)} units, {len(scales)} scales; give one of each per name"
            )
        for j, name in enumerate(names):
            if not (np.isfinite(lower[j]) and np.isfinite(upper[j]) and lower[j] < upper[j]):
                raise BadInput(
                    f"parameter {name!r}: bounds [{lower[j]}, {upper[j]}] are not finite and increasing; give lower < upper"
                )
            if scales[j] not in ("linear", "log"):
                raise BadInput(f"parameter {name!r}: scale {scales[j]!r} is not 'linear' or 'log'")
            if scales[j] == "log" and lower[j] <= 0:
                raise BadInput(
                    f"parameter {name!r}: a log scale needs a positive lower bound, not {lower[j]}"
                )
        for key, value in {
            "names": names,
            "lower": lower,
            "upper": upper,
            "units": units,
            "scales": scales,
        }.items():
            object.__setattr__(self, key, value)

    @property
    def p(self) -> int:
        """Number of parameters."""
        return len(self.names)

    def check(self, mu: np.ndarray, slack: float = 1e-12) -> np.ndarray:
        """`mu` as float (p,) or (m, p); OutsideBox names the first parameter, row and value beyond the bounds."""
        mu = real(mu, "mu")
        if mu.ndim not in (1, 2) or mu.shape[-1] != self.p:
            raise BadInput(
                f"mu has shape {mu.shape}; give parameters {self.names}: ({self.p},) or (m, {self.p})"
            )
        if not np.isfinite(mu).all():
            raise BadInput(
                f"mu holds NaN or Inf at {first_bad(mu)}; give finite parameters, or leave that row out"
            )
        width = slack * (self.upper - self.lower)
        bad = np.argwhere(np.atleast_2d((mu < self.lower - width) | (mu > self.upper + width)))
        if bad.size:
            i, j = bad[0]
            raise OutsideBox(
                f"row {i}: {self.names[j]} = {np.atleast_2d(mu)[i, j]:g} {self.units[j]} is outside"
                f" [{self.lower[j]:g}, {self.upper[j]:g}]; the model knows nothing there: enlarge the box and collect again"
            )
        return mu

    def to_unit(self, mu: np.ndarray) -> np.ndarray:
        """mu -> [0, 1]^p, logarithmically where the scale is log."""
        low, high, x = (
            self._scaled(self.lower),
            self._scaled(self.upper),
            self._scaled(np.asarray(mu, dtype=float)),
        )
        return (x - low) / (high - low)

    def from_unit(self, x: np.ndarray) -> np.ndarray:
        """[0, 1]^p -> mu."""
        low, high = self._scaled(self.lower), self._scaled(self.upper)
        mu = low + np.asarray(x, dtype=float) * (high - low)
        return np.clip(
            np.where(self._log, np.exp(np.where(self._log, mu, 0.0)), mu), self.lower, self.upper
        )

    @property
    def _log(self) -> np.ndarray:
        return np.array([s == "log" for s in self.scales])

    def _scaled(self, mu: np.ndarray) -> np.ndarray:
        return np.where(self._log, np.log(np.where(self._log, mu, 1.0)), mu)
