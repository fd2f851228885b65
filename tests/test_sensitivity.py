"""Sobol indices against closed forms, sum rules and coverage on drawn functions."""

import json
from dataclasses import dataclass

import numpy as np
import pytest
from typer.testing import CliRunner

import rom
from rom.cli.app import app
from rom.decide import Sensitivity, sensitivity
from rom.decide.indices import _widen
from rom.model import Asks, Model
from rom.prediction import Error, Known, Output, Part, Prediction, Quantity

PI = np.pi


@dataclass(frozen=True, eq=False)
class Formula(Model):
    """f(mu) + shift as an output q with a certified bound |shift|, and as a field of two rows."""

    box: rom.Box
    f: object
    shift: object = None

    @property
    def asks(self):
        return Asks(self.box.p, self.box)

    @property
    def tells(self):
        return (Quantity("T", "K"),)

    @property
    def tells_outputs(self):
        return (Quantity("q", "W"),)

    def answer(self, question):
        value = self.f(question.mu)
        error = None
        if self.shift is not None:
            wrong = self.shift(question.mu)
            value, error = value + wrong, Error(np.abs(wrong), Known.CERTIFIED, "absolute value")
        rows = np.array([np.zeros_like(value), 3 * value])[:, :, None]
        parts = {"T": Part(Quantity("T", "K"), rows)}
        return Prediction(question, parts, {"q": Output(value, "W", error)})


def unit_box(p, low=0.0, high=1.0):
    return rom.Box(tuple("abcdef"[:p]), np.full(p, low), np.full(p, high))


def ishigami(mu):
    x, y, z = mu.T
    return np.sin(x) + 7 * np.sin(y) ** 2 + 0.1 * z**4 * np.sin(x)


def ishigami_indices():
    """S and T by the formulas of Ishigami and Homma (1990)."""
    V1 = 0.5 * (1 + 0.1 * PI**4 / 5) ** 2
    V2, V13 = 49 / 8, 0.01 * PI**8 * (1 / 18 - 1 / 50)
    first, total = np.array([V1, V2, 0]), np.array([V1 + V13, V2, V13])
    return first / (V1 + V2 + V13), total / (V1 + V2 + V13), V1 + V2 + V13


def test_ishigami():
    model = Formula(unit_box(3, -PI, PI), ishigami)
    told = sensitivity(model, n=4096)
    first, total, variance = ishigami_indices()
    assert np.abs(told.first - first).max() < 0.02 and np.abs(told.total - total).max() < 0.02
    assert abs(told.std**2 / variance - 1) < 0.01
    assert told.first.sum() < 1 < told.total.sum()
    assert told.known is Known.NOTHING and told.unit == "W"
    assert np.all((told.low[0] <= first) & (first <= told.high[0]))


def test_a_sum_of_parameters_has_its_squares_as_both_indices():
    c = np.array([3.0, 2.0, 1.0, 0.0])
    told = sensitivity(Formula(unit_box(4), lambda mu: mu @ c), n=4096)
    share = c**2 / (c @ c)
    assert np.abs(told.first - share).max() < 5e-3 and np.abs(told.total - share).max() < 5e-3
    assert told.total[3] == 0.0 == told.first[3]


def test_indices_are_of_log_mu_on_a_logarithmic_axis():
    box = rom.Box(("a", "b"), np.array([1e-2, 1e-2]), np.array([1e2, 1e2]), (), ("log", "log"))
    told = sensitivity(Formula(box, lambda mu: np.log(mu[:, 0]) + 2 * np.log(mu[:, 1])), n=2048)
    assert np.abs(told.total - [0.2, 0.8]).max() < 0.01


def test_a_field_value_has_the_indices_of_what_it_is_a_multiple_of():
    model = Formula(unit_box(2), lambda mu: mu[:, 0] * mu[:, 1])
    at, output = sensitivity(model, at=("T", 1), n=64), sensitivity(model, "q", n=64)
    np.testing.assert_allclose(at.total, output.total, rtol=1e-12)
    assert at.unit == "K" and np.isclose(at.std, 3 * output.std)


def test_intervals_with_a_certified_bound_hold_the_indices_of_the_truth():
    def wrong(mu):
        return 0.15 * np.cos(5 * mu[:, 1])

    truth = np.array([4 / 5, 1 / 5])
    f = lambda mu: 2 * mu[:, 0] + mu[:, 1]  # noqa: E731
    told = sensitivity(Formula(unit_box(2), f, wrong), n=2048)
    bare = sensitivity(Formula(unit_box(2), lambda mu: f(mu) + wrong(mu)), n=2048)
    assert told.known is Known.CERTIFIED
    assert np.all((told.low <= truth) & (truth <= told.high))
    assert not np.all((bare.low <= truth) & (truth <= bare.high))


def test_an_error_as_large_as_the_deviation_leaves_all_open():
    low, high = _widen(np.array([0.4]), np.array([0.5]), 1.0)
    assert low[0] == 0.0 and high[0] == 1.0
    same = _widen(np.array([0.4]), np.array([0.5]), 0.0)
    assert np.allclose(same, [[0.4], [0.5]])


def test_intervals_of_a_small_process_hold_the_truth():
    box, hits = unit_box(2), []
    for seed in range(8):
        mu = rom.sobol(box, 12, seed)
        c = np.random.default_rng(seed).uniform(0.5, 2.0, 2)
        values = np.exp(mu @ c)
        told = sensitivity(rom.coefficient_gp(mu, values[:, None], box), n=128, rng=seed)
        truth = sensitivity(Formula(box, lambda x, c=c: np.exp(x @ c)), n=8192)
        exact = np.array([truth.first, truth.total])
        hits.append((told.low <= exact) & (exact <= told.high))
        assert told.known is Known.STATISTICAL
    assert np.mean(hits) >= 0.85


def test_few_runs_leave_wider_intervals_than_many():
    box = unit_box(3, -PI, PI)
    widths = []
    for runs in (16, 128):
        mu = rom.sobol(box, runs)
        told = sensitivity(rom.coefficient_gp(mu, ishigami(mu)[:, None], box), n=64)
        widths.append(np.mean(told.high - told.low))
    assert widths[1] < widths[0]


def test_refusals_name_what_is_wrong():
    model = Formula(unit_box(2), lambda mu: mu[:, 0])
    for options, words in (
        ({"output": "z"}, "no output 'z'"),
        ({"at": ("u", 0)}, "no field 'u'"),
        ({"at": ("T", 2)}, "no row 2"),
        ({"at": ("T", 0)}, "does not vary"),
        ({"output": "q", "at": ("T", 0)}, "give one of them"),
        ({"n": 4}, "8 rows at least"),
        ({"level": 1.0}, "level"),
    ):
        with pytest.raises(rom.BadInput, match=words):
            sensitivity(model, **options)


def test_it_is_stored_and_drawn_and_a_command(tmp_path):
    box = rom.Box(("k", "load"), np.zeros(2), np.ones(2))
    mu = rom.sobol(box, 16)
    model = rom.coefficient_gp(mu, (2 * mu[:, 0] + mu[:, 1])[:, None], box)
    told = sensitivity(model, "a1", n=32)
    rom.save(tmp_path / "s.h5", told)
    again = rom.load(tmp_path / "s.h5")
    assert isinstance(again, Sensitivity) and again.names == told.names
    assert again.known is Known.STATISTICAL and np.array_equal(again.low, told.low)
    rom.save_model(tmp_path / "m.h5", model)
    picture = tmp_path / "bars.png"
    line = ["sensitivity", str(tmp_path / "m.h5"), "--n", "32", "--json", "--picture", str(picture)]
    done = CliRunner().invoke(app, line)
    assert done.exit_code == 0, done.output
    numbers = json.loads(done.stdout.splitlines()[-1])
    assert np.isclose(numbers["indices"]["k"]["total"], told.total[0])
    assert picture.read_bytes()[1:4] == b"PNG"
