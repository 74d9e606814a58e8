"""Fits the rational function of kernels/common/erf.clh and prints its coefficients and worst error.

    python3 tools/erf_fit.py        (needs numpy)

erf(x) = x P(x^2) / Q(x^2) below END with Q(0) = 1, and 1 beyond, where erfc is 8e-8. The linearised problem x P - erf(x) (Q - 1) = erf(x) is solved by
least squares at Chebyshev nodes, divided by the last round's Q, with weights that are refined towards an even error
(Lawson's iteration); coefficients are rounded to float32 and checked in float32 arithmetic against math.erf on a fine
grid, beyond END too.
"""
import math

import numpy as np

P_TERMS, Q_TERMS, END = 7, 5, 3.8
f32 = np.float32


def nodes(low, high, count=4000):
    return low + (high - low) * 0.5 * (1 - np.cos(np.pi * (np.arange(count) + 0.5) / count))


def fit(x, y, rounds=200):
    """Coefficients of P and of Q (Q[0] = 1) in powers of x^2; columns are scaled for the solver's sake."""
    s = (x / END) ** 2
    basis = np.concatenate([[x * s ** i for i in range(P_TERMS)], [-y * s ** i for i in range(1, Q_TERMS)]]).T
    weight, q = np.ones_like(x), np.ones_like(x)
    for _ in range(rounds):
        root = np.sqrt(weight) / q
        c = np.linalg.lstsq(basis * root[:, None], y * root, rcond=None)[0]
        q = 1 + sum(c[P_TERMS + i - 1] * s ** i for i in range(1, Q_TERMS))
        error = np.abs(x * sum(c[i] * s ** i for i in range(P_TERMS)) / q - y)
        weight *= error / error.mean() + 1e-3
        weight /= weight.mean()
    scale = np.array([END ** (-2 * i) for i in range(max(P_TERMS, Q_TERMS))])
    return c[:P_TERMS] * scale[:P_TERMS], np.concatenate([[1.0], c[P_TERMS:]]) * scale[:Q_TERMS]


def horner32(coefficients, x):
    """As the kernel does it: a chain of fma, here in double rounded to float32 after each step."""
    y = np.full_like(x, f32(coefficients[-1]))
    for c in coefficients[-2::-1]:
        y = f32(np.float64(y) * np.float64(x) + np.float64(f32(c)))
    return y


x = nodes(1e-6, END)
p, q = fit(x, np.array([math.erf(v) for v in x]))
grid = np.linspace(0, 12, 1200001).astype(f32)

inside = grid < f32(END)
square = np.where(inside, grid * grid, f32(0))
got = np.where(inside, grid * horner32(p, square) / horner32(q, square), f32(1)).astype(np.float64)
want = np.array([math.erf(float(v)) for v in grid])
error = np.abs(got - want)
print("P:", ", ".join(f"{f32(c):.9e}f" for c in p))
print("Q:", ", ".join(f"{f32(c):.9e}f" for c in q))
print(f"largest absolute error {error.max():.3e} at {grid[error.argmax()]}, largest value {got.max():.9f}")
