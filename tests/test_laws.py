"""Material laws: consistent tangents, and uniaxial histories against an integration of the
scalar equations.
"""

import sys

import numpy as np
import pytest
from scipy.optimize import brentq

import solvers.laws as folder
from rom.errors import BadInput
from rom.loading import Loading
from solvers.bricks import box
from solvers.laws.elastic import Elastic
from solvers.laws.plastic import Plastic
from solvers.laws.regions import Regions
from solvers.laws.viscoplastic import Viscoplastic
from solvers.mandel import equivalent, mises
from solvers.solid import body, march, push
from solvers.thermoelastic import fixed_dofs

ALLOY = Viscoplastic(E=2e5, nu=0.3, alpha=2e-5, K=300.0, n=30.0, C=1e5, D=1e3, R0=10.0)
TABLES = Viscoplastic(
    E=[[20, 900], [2e5, 1.3e5]], nu=0.3, alpha=[[20, 900], [1.2e-5, 2e-5]],
    K=[[20, 900], [400, 150]], n=[[20, 900], [30, 6]],
    C=[[20, 900], [1e5, 3e4]], D=1e3, R0=[[20, 900], [60, 10]],
)  # fmt: skip
LAWS = {
    "elastic": Elastic(2e5, 0.3, 2e-5),
    "J2": Plastic(2e5, 0.3, yield_stress=100.0, H=5e3),
    "flat": ALLOY,
    "tables": TABLES,
}


def loaded(law, rng, g=200, strain=4e-3):
    """Random points after one random increment: strain, temperature, state, dt."""
    T = rng.uniform(20, 880, g)
    first = strain * rng.standard_normal((g, 6)) + law.moduli(T)[2][:, None] / 3 * [
        1,
        1,
        1,
        0,
        0,
        0,
    ]
    _, _, state = law(first, T, np.zeros((g, law.width)), 0.3)
    return first + 0.3 * strain * rng.standard_normal((g, 6)), T, state


@pytest.mark.parametrize("name", LAWS)
def test_tangent_is_the_derivative_of_the_stress(name):
    law = LAWS[name]
    strain, T, state = loaded(law, np.random.default_rng(1))
    _, tangent, new = law(strain, T, state, 0.2)
    direction = np.random.default_rng(2).standard_normal(strain.shape)
    errors = []
    for h in (2e-7, 1e-7):
        ahead, behind = (law(strain + s * h * direction, T, state, 0.2)[0] for s in (1, -1))
        errors.append((ahead - behind) / (2 * h))
    slope = (4 * errors[1] - errors[0]) / 3
    same = np.ones(len(T), bool)
    if name != "elastic":
        plastic = new[:, 0] > state[:, 0] * (1 + 1e-12)
        assert plastic.mean() > 0.5
        crossing = [
            law(strain + s * 2e-7 * direction, T, state, 0.2)[2][:, 0] > state[:, 0]
            for s in (1, -1)
        ]
        same = crossing[0] == crossing[1]
    error = np.linalg.norm((np.einsum("gij,gj->gi", tangent, direction) - slope)[same], axis=1)
    assert same.mean() > 0.95
    assert (error / np.linalg.norm(slope[same], axis=1)).max() < 1e-7


def uniaxial(law, strain, dt, T=20.0):
    """Stress under uniaxial stress at strain increments, by the law itself.

    Lateral strain from sigma_yy = 0.
    """
    state, lateral, stresses = np.zeros((1, law.width)), 0.0, []
    for e in strain:

        def side(x, e=e, state=state):
            return law(np.array([[e, x, x, 0, 0, 0]]), np.array([T]), state, dt)[0][0, 1]

        lateral = brentq(side, lateral - 0.02, lateral + 0.02, xtol=1e-18, rtol=1e-15)
        stress, _, state = law(np.array([[e, lateral, lateral, 0, 0, 0]]), np.array([T]), state, dt)
        stresses.append(stress[0, 0])
    return np.array(stresses), state


def scalar(law, strain, dt):
    """The same from the scalar equations, backward Euler.

    s = E (e - v), |s - c a| - R0 = K (|dv|/dt)^(1/n).
    """
    v = a = 0.0
    stresses = []
    for e in strain:

        def residual(dv, e=e, v=v, a=a):
            s, back = law.E * (e - v - dv), (a + dv) / (1 + law.D * abs(dv))
            drag = s - law.C * back
            return abs(drag) - law.R0 - law.K * (abs(dv) / dt) ** (1 / law.n), drag

        sign = np.sign(law.E * (e - v) - law.C * a)
        if abs(law.E * (e - v) - law.C * a) > law.R0:
            top = (abs(law.E * (e - v)) + law.C * abs(a)) / law.E
            dv = (
                sign
                * brentq(
                    lambda y, s=sign, f=residual: f(s * y**law.n)[0],
                    0.0,
                    top ** (1 / law.n),
                    xtol=1e-300,
                    rtol=1e-15,
                )
                ** law.n
            )
            a = (a + dv) / (1 + law.D * abs(dv))
            v += dv
        stresses.append(law.E * (e - v))
    return np.array(stresses)


PATHS = {
    "tension": (np.linspace(0, 0.02, 41)[1:], 0.1),
    "relaxation": (np.full(30, 4e-3), 10.0),
    "cyclic": (8e-3 * np.sin(np.linspace(0, 6 * np.pi, 121)[1:]), 0.05),
}


@pytest.mark.parametrize("path", PATHS)
def test_uniaxial_histories_follow_the_scalar_equations(path):
    strain, dt = PATHS[path]
    ours, _ = uniaxial(ALLOY, strain, dt)
    theirs = scalar(ALLOY, strain, dt)
    assert np.abs(ours - theirs).max() < 1e-7 * np.abs(theirs).max()
    assert np.abs(ours).max() > 100.0


def test_creep_rate_and_saturation_of_the_back_stress():
    stress, dt, state, strain, rates = 380.0, 5.0, np.zeros((1, 13)), 0.0, []

    def pulled(x, state):
        def answer(y):
            return ALLOY(np.array([[x, y, y, 0, 0, 0]]), np.array([20.0]), state, dt)

        side = brentq(lambda y: answer(y)[0][0, 1], -x - 1e-2, x + 1e-2, xtol=1e-18, rtol=1e-15)
        found, _, new = answer(side)
        return found[0, 0], new

    for _ in range(12):
        before = strain
        strain = brentq(
            lambda x, state=state: pulled(x, state)[0] - stress,
            strain,
            strain + 1.0,
            xtol=1e-16,
            rtol=1e-15,
        )
        state = pulled(strain, state)[1]
        rates.append((strain - before) / dt)
    assert equivalent(2 / 3 * ALLOY.C * state[:, 7:13])[0] == pytest.approx(
        ALLOY.C / ALLOY.D, rel=1e-9
    )
    assert rates[-1] == pytest.approx(
        ((stress - ALLOY.C / ALLOY.D - ALLOY.R0) / ALLOY.K) ** ALLOY.n, rel=1e-6
    )


def test_the_yield_surface_of_plasticity_is_kept():
    law = LAWS["J2"]
    strain, T, state = loaded(law, np.random.default_rng(4))
    stress, _, new = law(strain, T, state, 1.0)
    plastic = new[:, 0] > state[:, 0]
    assert plastic.any() and np.allclose(
        mises(stress)[plastic], 100.0 + 5e3 * new[plastic, 0], rtol=1e-12
    )
    assert (mises(stress) <= 100.0 + 5e3 * new[:, 0] + 1e-9).all()
    assert np.abs(new[:, 1:4].sum(axis=1)).max() < 1e-15


def test_free_expansion_is_free_of_stress_and_rigid_points_stay_virgin():
    T = np.array([20.0, 400.0, 900.0])
    free = TABLES.moduli(T)[2][:, None] / 3 * [1, 1, 1, 0, 0, 0]
    stress, _, state = TABLES(free, T, np.zeros((3, 13)), 1.0)
    assert np.abs(stress).max() < 1e-9 and not state.any()


def test_laws_by_point_are_the_laws_of_the_points():
    rng = np.random.default_rng(5)
    strain, T, which = (
        4e-3 * rng.standard_normal((30, 6)),
        rng.uniform(20, 800, 30),
        rng.integers(0, 2, 30),
    )
    both = Regions((LAWS["elastic"], ALLOY), which)
    stress, tangent, state = both(strain, T, np.zeros((30, 13)), 0.1)
    for k, law in enumerate(both.laws):
        here = which == k
        for ours, theirs in zip(
            (stress, tangent, state),
            law(strain[here], T[here], np.zeros((here.sum(), law.width)), 0.1),
            strict=True,
        ):
            assert np.array_equal(ours[here][..., : theirs.shape[-1]], theirs)


@pytest.mark.parametrize(
    "wrong",
    [
        {"E": -1.0},
        {"nu": 0.5},
        {"K": [[900, 20], [1, 2]]},
        {"n": 0.5},
        {"R0": np.nan},
        {"C": [1.0, 2.0]},
    ],
)
def test_wrong_coefficients_are_named(wrong):
    with pytest.raises(BadInput, match=next(iter(wrong))):
        Viscoplastic(**{"E": 2e5, "nu": 0.3} | wrong)


CUBIC = """
from dataclasses import dataclass
import numpy as np


@dataclass(frozen=True, eq=False)
class Cubic:
    c11: float
    c12: float
    c44: float
    rho: float = 0.0
    width: int = 1

    def __call__(self, strain, T, state, dt):
        C = np.diag([self.c11 - self.c12] * 3 + [2 * self.c44] * 3)
        C[:3, :3] += self.c12
        return strain @ C, np.tile(C, (len(strain), 1, 1)), state
"""


def test_a_law_is_one_more_file(tmp_path, monkeypatch):
    (tmp_path / "cubic.py").write_text(CUBIC)
    monkeypatch.setattr(folder, "__path__", [*folder.__path__, str(tmp_path)])
    Cubic = folder._list_laws()["solvers.laws.cubic:Cubic"]
    monkeypatch.delitem(sys.modules, "solvers.laws.cubic")
    E, nu = 2e5, 0.3
    stiffness = E / ((1 + nu) * (1 - 2 * nu))
    same = Cubic(stiffness * (1 - nu), stiffness * nu, E / (2 * (1 + nu)))
    mesh = box((2, 1, 1))
    answers = []
    for law in (same, Elastic(E, nu)):
        b = body(mesh, {None: law}, fixed_dofs(mesh, "x0"))
        twenty = np.full((len(b.x), 1), 20.0)
        ramp, times = np.array([[0.0], [1.0]]), np.array([0.0, 1.0])
        loading = Loading(times, 50.0 * push(mesh, "x1")[:, None], ramp, twenty, np.ones((2, 1)))
        answers.append(march(b, loading, times).last.u)
    assert np.abs(answers[0]).max() > 0
    np.testing.assert_allclose(*answers, rtol=1e-9, atol=1e-12 * np.abs(answers[0]).max())
