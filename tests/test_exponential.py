"""The exponential stepper against a soliton and a law in closed form."""

import numpy as np

from solvers.exponential import march_modes


def soliton(t, c=4.0, length=40.0, n=256):
    """c/2 / cosh^2(sqrt(c)/2 (x - c t)), of u_t + 6 u u_x + u_xxx = 0."""
    x = np.arange(n) * length / n - length / 4
    return 0.5 * c / np.cosh(0.5 * np.sqrt(c) * (x - c * t)) ** 2


def error_of(step):
    n, k = 256, 2j * np.pi * np.fft.rfftfreq(256, 40.0 / 256)

    def bend(v):
        return -3 * k[:, None] * np.fft.rfft(np.fft.irfft(v, n, axis=0) ** 2, axis=0)

    count = round(1.0 / step)
    v = march_modes(
        -(k**3), bend, np.fft.rfft(soliton(0.0))[:, None], step=step, every=count, count=1
    )
    return np.abs(np.fft.irfft(v[:, 0, -1], n) - soliton(1.0)).max()


def test_a_soliton_is_followed_to_order_four():
    """Halving the step divides the error by 16; coefficients without imaginary parts give 2."""
    coarse, fine = error_of(0.01), error_of(0.005)
    assert fine < 1e-4 and 12 < coarse / fine < 20


def test_a_constant_push_is_exact_at_any_step():
    """v' = l v + 1 is exact: v = (exp(l t) - 1) / l, for decay, waves and almost nothing."""
    linear = np.array([-50.0, 3.0j, 1e-9])
    v = march_modes(linear, np.ones_like, np.zeros((3, 1), complex), step=0.5, every=1, count=4)[
        :, 0
    ]
    t = 0.5 * np.arange(5)
    np.testing.assert_allclose(v, np.expm1(linear[:, None] * t) / linear[:, None], atol=1e-12)
