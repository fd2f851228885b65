"""A case of three unknowns with its rate, for commands on laws in time."""

CASE = """
import numpy as np, rom
from scipy.integrate import solve_ivp
box = rom.Box(("k", "f"), [0.5, 1.0], [2.0, 3.0])
times = np.linspace(0, 1, 41)
A = -np.diag([1.0, 2.0, 3.0]) + np.diag([0.5, 0.5], 1)
fields = (rom.Field("T", "K", np.arange(3)),)
def rate(u, mu):
    return mu[0] * (A @ u) + mu[1] - 0.1 * u[::-1] * u
def solve(mu):
    march = lambda t, u: rate(u, mu)
    return solve_ivp(march, (0, 1), np.ones(3), t_eval=times, rtol=1e-9, atol=1e-9).y
"""
