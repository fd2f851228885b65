"""A normal shock that moves in a nozzle, over three parameters: quasi-1-D Euler, exactly.

    A(x) = 1 + (A_in - 1) ((x_t - x) / x_t)^2 before the throat x_t, 1 + (A_out - 1) ((x - x_t) /
    (1 - x_t))^2 behind it, 0 <= x <= 1,

isentropic on both sides of the shock x_s at which the exit has the back pressure. Fields are the
pressure over the total pressure of the inlet and the Mach number, with the shock spread over
`WIDTH` as shock-capturing schemes spread it. Errors are relative L2 of the pressure; those of the
shock are in chords, the length of the nozzle. It moves by a quarter of it, from 0.72 to 0.96, or
with `strong` by two fifths, from 0.53 to 0.93. Trivial rows beside: mean, nearest run, linear
interpolation, and the same model without mappings.
"""

from __future__ import annotations

import numpy as np

from rom.cli.launch import run
from rom.design.designs import sobol
from rom.mesh import Mesh
from rom.parameters import Box
from rom.shapes import Reduction, Same, Sample, ShapeModel, shape_model
from rom.study.metrics import field_coverage, rel_l2

GAMMA, AREA_IN, WIDTH = 1.4, 2.0, 0.004
BOX = Box(
    ("back", "outlet", "throat"),
    np.array([0.62, 1.6, 0.3]),
    np.array([0.78, 2.2, 0.4]),
    ("1", "1", "1"),
)
STRONG = Box(BOX.names, np.array([0.6, 1.8, 0.2]), np.array([0.88, 2.4, 0.4]), BOX.units)


def area(x: np.ndarray, outlet: float, throat: float) -> np.ndarray:
    """A(x) over that of the throat."""
    before = 1 + (AREA_IN - 1) * ((throat - x) / throat) ** 2
    behind = 1 + (outlet - 1) * ((x - throat) / (1 - throat)) ** 2
    return np.where(x < throat, before, behind)


def area_of_mach(mach: np.ndarray) -> np.ndarray:
    """A / A*, isentropic."""
    k = (GAMMA + 1) / (2 * (GAMMA - 1))
    return (2 / (GAMMA + 1) * (1 + (GAMMA - 1) / 2 * mach**2)) ** k / mach


def mach_of_area(ratio: np.ndarray, supersonic: bool) -> np.ndarray:
    """The Mach number at A / A* >= 1, by bisection."""
    ratio = np.asarray(ratio, dtype=float)
    low = np.full(ratio.shape, 1.0 if supersonic else 1e-6)
    high = np.full(ratio.shape, 10.0 if supersonic else 1.0)
    for _ in range(60):
        middle = 0.5 * (low + high)
        below = (area_of_mach(middle) < ratio) == supersonic
        low, high = np.where(below, middle, low), np.where(below, high, middle)
    return 0.5 * (low + high)


def pressure(mach: np.ndarray) -> np.ndarray:
    """p over the total pressure, isentropic."""
    return (1 + (GAMMA - 1) / 2 * mach**2) ** (-GAMMA / (GAMMA - 1))


def total_pressure_ratio(mach: np.ndarray) -> np.ndarray:
    """Total pressure behind a normal shock over that before it."""
    m2, g = mach**2, GAMMA
    density = ((g + 1) * m2 / ((g - 1) * m2 + 2)) ** (g / (g - 1))
    return density * ((g + 1) / (2 * g * m2 - (g - 1))) ** (1 / (g - 1))


def exit_pressure(place: float, outlet: float, throat: float) -> float:
    """p at the exit over the total pressure of the inlet, with the shock at `place`."""
    before = mach_of_area(area(np.array([place]), outlet, throat), True)
    loss = total_pressure_ratio(before)
    return float((loss * pressure(mach_of_area(outlet * loss, False)))[0])


def shock(back: float, outlet: float, throat: float) -> float:
    """x_s by bisection: the exit pressure falls as the shock moves on."""
    low, high = throat, 1.0
    for _ in range(50):
        middle = 0.5 * (low + high)
        if exit_pressure(middle, outlet, throat) > back:
            low = middle
        else:
            high = middle
    return 0.5 * (low + high)


def flow(x: np.ndarray, back: float, outlet: float, throat: float) -> dict[str, np.ndarray]:
    """Pressure and Mach number at x, the shock spread over WIDTH."""
    place = shock(back, outlet, throat)
    ratio = area(x, outlet, throat)
    at_shock = area(np.array([place]), outlet, throat)
    loss = total_pressure_ratio(mach_of_area(at_shock, True))[0]
    before = np.where(x < throat, mach_of_area(ratio, False), mach_of_area(ratio, True))
    behind = mach_of_area(np.maximum(ratio * loss, 1.0), False)
    share = 0.5 * (1 + np.tanh((x - place) / WIDTH))
    return {
        "p": (1 - share) * pressure(before) + share * loss * pressure(behind),
        "mach": (1 - share) * before + share * behind,
    }


def samples(mu: np.ndarray, nodes: int) -> list[Sample]:
    """The nozzle at every row of mu (m, 3) on the same line of nodes."""
    x = np.linspace(0.0, 1.0, nodes)
    mesh = Mesh(x[:, None], {"line": np.column_stack([np.arange(nodes - 1), np.arange(1, nodes)])})
    return [Sample(mesh, row, {"p": flow(x, *row)["p"]}) for row in mu]


def fit_model(train: list[Sample], fields: int, mapping: int, seed: int = 0) -> ShapeModel:
    """O-MMGP, or POD-GP for mapping = 0."""
    reduction = Reduction(fields=fields, mapping=mapping, tol=1e-12)
    return shape_model(
        train, Same(), train[0].mesh, names=BOX.names, units=BOX.units, reduction=reduction,
        rng=seed,
    )  # fmt: skip


def steepest(x: np.ndarray, p: np.ndarray) -> float:
    """x of the steepest rise of pressure, the apex of the parabola through three slopes."""
    middle, slope = 0.5 * (x[1:] + x[:-1]), np.diff(p) / np.diff(x)
    k = int(np.clip(np.argmax(slope), 1, len(middle) - 2))
    c2, c1, _ = np.polyfit(middle[k - 1 : k + 2] - middle[k], slope[k - 1 : k + 2], 2)
    return float(middle[k] - c1 / (2 * c2)) if c2 < 0 else float(middle[k])


def interpolate(
    train: list[Sample], test: list[Sample], box: Box = BOX
) -> dict[str, list[np.ndarray]]:
    """Mean, nearest run and linear interpolation (nearest beyond the runs) of the pressure."""
    from scipy.interpolate import LinearNDInterpolator

    z = box.to_unit(np.array([s.mu for s in train]))
    new = box.to_unit(np.array([s.mu for s in test]))
    u = np.array([s.fields["p"] for s in train])
    near = np.argmin(np.linalg.norm(new[:, None] - z, axis=2), axis=1)
    linear = LinearNDInterpolator(z, u)(new)
    linear = np.where(np.isnan(linear), u[near], linear)
    return {"mean": [u.mean(axis=0)] * len(test), "nearest": list(u[near]), "linear": list(linear)}


def main(
    runs: int = 64, tests: int = 64, nodes: int = 401, fields: int = 8, mapping: int = 3,
    seed: int = 0, strong: bool = False,
) -> dict[str, float]:  # fmt: skip
    """Models of `runs` Sobol points against `tests` points at random."""
    box = STRONG if strong else BOX
    train = samples(sobol(box, runs, seed), nodes)
    rng = np.random.default_rng(seed + 1)
    test = samples(box.from_unit(rng.uniform(size=(tests, box.p))), nodes)
    x = train[0].mesh.points[:, 0]
    true = [s.fields["p"] for s in test]
    places = [shock(*s.mu) for s in test]
    model = fit_model(train, fields, mapping, seed)
    plain = fit_model(train, model.latents, 0, seed)
    answers = [model.predict(s.mu, mesh=s.mesh) for s in test]
    predictions = {
        "ommgp": [answer.field("p") for answer in answers],
        "podgp": [plain.predict(s.mu, mesh=s.mesh).field("p") for s in test],
        **interpolate(train, test, box),
    }
    numbers: dict[str, float] = {"runs": runs, "latents": model.latents}
    for name, values in predictions.items():
        away = [abs(steepest(x, v) - place) for v, place in zip(values, places, strict=True)]
        numbers[f"{name}_rel_l2"] = rel_l2(values, true)
        numbers[f"{name}_shock_error"] = float(np.mean(away))
    numbers["coverage_90"] = field_coverage(
        predictions["ommgp"], true, [np.asarray(answer.std("p")) for answer in answers]
    )
    return numbers


if __name__ == "__main__":
    rows = ("ommgp", "podgp", "mean", "nearest", "linear")
    run(main, units={f"{name}_shock_error": "chord" for name in rows})
