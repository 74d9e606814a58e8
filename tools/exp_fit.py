"""Fits the polynomial of kernels/common/exp.clh and prints its coefficients and worst error.

    python3 tools/exp_fit.py        (needs numpy)

exp(r) = 1 + r + r^2 P(r) for |r| <= log(2) / 2, by least squares of the relative error at Chebyshev nodes with weights that are
refined towards an even error (Lawson's iteration). Coefficients are rounded to float32, and the whole function is checked
in float32 arithmetic against exp in double precision, from 0 down to where it gives 0.
"""
import numpy as np

TERMS, LEAST, ROUND = 5, -87.33, 12582912.0
f32, f64 = np.float32, np.float64
HIGH = f32(0.693145752)  # log 2 with enough zeros at its end that n HIGH is exact
LOW = f32(np.log(2) - f64(HIGH))


def fit(rounds=300):
    end = np.log(2) / 2 * 1.0005
    r = np.cos(np.pi * (np.arange(4000) + 0.5) / 4000) * end
    basis = np.stack([r ** k / np.exp(r) for k in range(2, 2 + TERMS)], axis=1)
    scale, want, weight = np.abs(basis).max(axis=0), 1 - (1 + r) / np.exp(r), np.ones_like(r)
    for _ in range(rounds):
        root = np.sqrt(weight)
        c = np.linalg.lstsq(basis / scale * root[:, None], want * root, rcond=None)[0] / scale
        error = np.abs(basis @ c - want)
        weight *= error / error.mean() + 1e-3
        weight /= weight.mean()
    return c.astype(f32)


def fma(a, b, c):
    """A float32 fma, in double precision rounded to float32."""
    return f32(f64(a) * f64(b) + f64(c))


def exp32(x, c):
    rounded = fma(x, f32(1.44269504), f32(ROUND))
    n = rounded - f32(ROUND)
    r = fma(n, -LOW, fma(n, -HIGH, x))
    p = np.full_like(x, c[-1])
    for term in [*c[-2::-1], f32(1), f32(1)]:
        p = fma(p, r, term)
    power = ((rounded.view(np.int32) << 23) + 0x3F800000).view(f32)
    return np.where(x < f32(LEAST), f32(0), p * power)


c = fit()
print("P:", ", ".join(f"{v:.9e}f" for v in c), f" log 2: {HIGH:.9e}f + {LOW:.8e}f")
x = np.concatenate([np.linspace(LEAST, 0, 4000001), -np.logspace(-12, 0, 1000001)]).astype(f32)
x = x[x >= f32(LEAST)]
error = np.abs(exp32(x, c) / np.exp(f64(x)) - 1)
print(f"largest relative error {error.max():.3e} at {x[error.argmax()]}")
