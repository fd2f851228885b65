"""Coverage of deviations on hidden cells of smooth fields on grids.

Scattered cells, slabs inside and at an end, without noise and with 2 %. Beside it what linear
interpolation and the mean err. One field bends far more in a corner than elsewhere, which a
stationary kernel does not know: without noise it is covered least, .87 of 30 % hidden. Over six
draws 15 of its 17 cells outside their bands are among the 45 with x + y < 1/2; with its logarithm
two units further away .98 are covered.
"""

import numpy as np
import pytest
from scipy.interpolate import griddata

from rom.gp.kronecker import kronecker_gp

DRAWS = 3
SIZES = (14, 12)
FEW = 50  # hidden cells of a field whose share says little alone
LEAST_OF_ONE = 0.85  # of the cells of one field


def ripples(p, x, y):
    return np.sin((2 + 3 * p[0]) * x + 2 * p[1]) * np.cos((1 + 3 * p[2]) * y)


def bump(p, x, y):
    return np.exp(-((x - p[0]) ** 2 + (y - p[1]) ** 2) / (0.15 + 0.3 * p[2]))


def rational(p, x, y):
    return 1.0 / (1.0 + (1 + 4 * p[0]) * (x - p[1]) ** 2 + p[2] * x * y)


def ramp(p, x, y):
    return np.tanh((2 + 3 * p[0]) * (x + (0.3 + p[1]) * y - 0.4 - 0.6 * p[2]))


def quartic(p, x, y):
    return (x - p[0]) ** 4 - 3 * (y - p[1]) ** 3 * x + (p[2] + 0.5) * y**2 * x**2


def layers(p, x, y):
    return np.exp(-(1 + 3 * p[0]) * x) * (1 + p[1] * y**2) + (0.2 + p[2]) * np.log(0.3 + x + y)


FIELDS = (ripples, bump, rational, ramp, quartic, layers)


def scatter(share):
    def hide(gen, shape):
        out = np.zeros(shape, dtype=bool)
        count = max(round(share * out.size), 1)
        out.flat[gen.choice(out.size, count, replace=False)] = True
        return out

    return hide


def inner_slab(gen, shape):
    out = np.zeros(shape, dtype=bool)
    first = int(gen.integers(2, shape[0] - 4))
    out[first : first + 2] = True
    return out


def end_slab(gen, shape):
    out = np.zeros(shape, dtype=bool)
    out[[slice(0, 2), slice(-2, None)][int(gen.integers(2))]] = True
    return out


HIDDEN = {
    "3 %": scatter(0.03),
    "30 %": scatter(0.3),
    "inner slab": inner_slab,
    "end slab": end_slab,
}
LEAST = {"3 %": 0.9, "30 %": 0.9, "inner slab": 0.9, "end slab": 0.85}


def fill_linearly(x, y, seen, values):
    """Linear interpolation between known cells, the nearest beyond them."""
    points = np.stack(np.broadcast_arrays(x[:, None], y), axis=-1).reshape(-1, 2)
    known, data = points[seen.ravel()], values[seen]
    inside = griddata(known, data, points, method="linear")
    near = griddata(known, data, points, method="nearest")
    return np.where(np.isnan(inside), near, inside).reshape(values.shape)


def fill(field, kind, noise, draw):
    """Errors (ours, linear, mean) and deviations of hidden cells, over the spread."""
    gen = np.random.default_rng([draw, FIELDS.index(field), list(HIDDEN).index(kind)])
    x, y = np.linspace(0, 1, SIZES[0]), np.linspace(0, 1, SIZES[1])
    truth = field(gen.random(3), x[:, None], y)
    truth = truth / truth.std()
    values = truth + noise * gen.standard_normal(truth.shape)
    out = HIDDEN[kind](gen, truth.shape)
    gp = kronecker_gp([x, y], np.where(out, np.nan, values), observed=~out)
    mean, std = gp.posterior(x, y)
    linear = fill_linearly(x, y, ~out, values)
    flat = values[~out].mean()
    return np.stack([(mean - truth)[out], (linear - truth)[out], (flat - truth)[out], std[out]])


def measure(kind, noise, draws):
    """Coverage of each field, and rms errors (ours, linear, the mean)."""
    rows = {}
    for field in FIELDS:
        cells = np.hstack([fill(field, kind, noise, draw) for draw in range(draws)])
        assert np.all(cells[3] > 0)
        covers = np.mean(np.abs(cells[0]) <= 1.96 * cells[3])
        rms = np.sqrt(np.mean(cells[:3] ** 2, axis=1))
        rows[field.__name__] = (covers, cells.shape[1], *rms)
    return rows


@pytest.mark.slow
@pytest.mark.parametrize("noise", [0.0, 0.02])
@pytest.mark.parametrize("kind", HIDDEN)
def test_deviations_of_hidden_cells_cover(kind, noise):
    rows = measure(kind, noise, DRAWS)
    total = sum(count for _, count, *_ in rows.values())
    covers = sum(share * count for share, count, *_ in rows.values()) / total
    print(f"\n{kind}, noise {noise}: {covers:.3f} of {total} cells within 1.96 deviations")
    for name, (share, count, ours, linear, flat) in rows.items():
        print(
            f"  {name:9} {share:.3f} of {count:3}  rms {ours:.1e} linear {linear:.1e} "
            f"mean {flat:.1e}"
        )
    assert covers >= LEAST[kind]
    for share, count, ours, linear, flat in rows.values():
        assert ours < min(linear, flat)
        assert count < FEW or share >= LEAST_OF_ONE
