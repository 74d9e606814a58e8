"""Fits the two polynomials of kernels/common/erf.clh and prints their coefficients and worst errors.

    python3 tools/erf_fit.py        (needs numpy)

erf(x) = x P(x^2) for |x| < 0.92, and 1 - exp(-Q(|x|)) beyond, where Q(x) = -log(erfc(x)) is smooth. Both are fitted at
Chebyshev nodes with weights that are refined towards an even error (Lawson's iteration), rounded to float32, and checked
in float32 arithmetic against math.erf on a fine grid.
"""
import math

import numpy as np

SPLIT, END = 0.92, 4.0
f32 = np.float32


def lawson(basis, target, weight, rounds=60):
    """Weighted least squares whose weights grow where the error is large: near the best uniform fit."""
    w = np.ones_like(target)
    for _ in range(rounds):
        root = np.sqrt(w)[:, None]
        scaled = basis * weight[:, None]
        coefficients = np.linalg.lstsq(scaled * root, target * weight * root[:, 0], rcond=None)[0]
        error = np.abs((basis @ coefficients - target) * weight)
        w = w * (error / error.mean() + 1e-3)
        w /= w.mean()
    return coefficients


def nodes(low, high, count=4000):
    return low + (high - low) * 0.5 * (1 - np.cos(np.pi * (np.arange(count) + 0.5) / count))


def horner32(coefficients, x):
    """As the kernel does it: a chain of fma, here in double rounded to float32 after each step."""
    y = np.full_like(x, f32(coefficients[-1]))
    for c in coefficients[-2::-1]:
        y = f32(np.float64(y) * np.float64(x) + np.float64(f32(c)))
    return y


x = nodes(1e-6, SPLIT)
small = lawson(np.stack([x ** (2 * i) for i in range(7)], 1), np.array([math.erf(v) / v for v in x]), x)
x = nodes(SPLIT - 0.01, END)
large = lawson(np.stack([x ** i for i in range(9)], 1), np.array([-math.log(math.erfc(v)) for v in x]),
               np.array([math.erfc(v) for v in x]))

grid = np.linspace(0, 6, 600001).astype(f32)
near = grid * horner32(small, grid * grid)
far = f32(1) - np.exp(-horner32(large, np.minimum(grid, f32(END)))).astype(f32)
got = np.where(grid < f32(SPLIT), near, far).astype(np.float64)
want = np.array([math.erf(float(v)) for v in grid])
print("P:", ", ".join(f"{f32(c):.9e}f" for c in small))
print("Q:", ", ".join(f"{f32(c):.9e}f" for c in large))
print(f"largest absolute error {np.abs(got - want).max():.3e} at {grid[np.abs(got - want).argmax()]}")
