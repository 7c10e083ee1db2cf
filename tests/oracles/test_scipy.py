"""SciPy: special functions, distances, a correlation, and a function whose derivatives are known in
closed form.

Elementwise values agree within 8 units in the last place, ours and SciPy's 4 each, in either dtype;
SciPy computes from the same float32 numbers in float64. Where terms are added, each adds a unit.
"""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from oracle import oracle

import tinygrad_edu as tg
from tinygrad_edu import distances
from tinygrad_edu.nn import functional as F

scipy = oracle("scipy")

from scipy import optimize, signal, special  # noqa: E402
from scipy.spatial import distance  # noqa: E402

seeds = st.integers(0, 2**32 - 1)
FLOATS = (np.float32, np.float64)


def ulps(n, dtype):
    return n * float(np.finfo(dtype).eps)


# ---------------------------------------------------------------------------------------- functions

UNARY = {
    "erf": (tg.erf, special.erf, (-6, 6)),
    "sigmoid": (tg.sigmoid, special.expit, (-80, 80)),
    "log_sigmoid": (tg.log_sigmoid, special.log_expit, (-80, 80)),
    "softplus": (tg.softplus, lambda x: -special.log_expit(-x), (-80, 80)),
    "expm1": (tg.expm1, special.expm1, (-5, 5)),
    "log1p": (tg.log1p, special.log1p, (-0.99, 9)),
    "gelu": (tg.gelu, lambda x: x * special.ndtr(x), (-1, 9)),  # below, ndtr is 14 units off
    "silu": (tg.silu, lambda x: x * special.expit(x), (-80, 80)),
    "entropy": (lambda x: -tg.xlogy(x, x), special.entr, (0, 4)),
}


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("name", UNARY)
@given(seed=seeds)
def test_function_is_scipys(name, dtype, seed):
    ours, other, (low, high) = UNARY[name]
    x = np.random.default_rng(seed).uniform(low, high, 200).astype(dtype)
    got = ours(tg.Tensor(x)).data
    assert got.dtype == dtype
    np.testing.assert_allclose(got, other(x.astype(np.float64)), rtol=ulps(8, dtype))


@pytest.mark.parametrize("dtype", FLOATS)
@given(seed=seeds)
def test_xlogy_is_scipys(dtype, seed):
    rng = np.random.default_rng(seed)
    x, y = (rng.choice([0, 0.5, 1, 2, 3.5], 50).astype(dtype) for _ in range(2))
    wanted = special.xlogy(x.astype(np.float64), y.astype(np.float64))
    np.testing.assert_allclose(tg.xlogy(x, y), wanted, rtol=ulps(8, dtype))


ALONG = {
    "logsumexp": (tg.logsumexp, special.logsumexp),
    "softmax": (tg.softmax, special.softmax),
    "log_softmax": (tg.log_softmax, special.log_softmax),
}


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("axis", [0, 1, -1])
@pytest.mark.parametrize("name", ALONG)
@given(seed=seeds, scale=st.sampled_from([1.0, 30.0, 1e4]))
def test_reduction_is_scipys(name, axis, dtype, seed, scale):
    """7 terms are added, in 8 operations of a unit or two; and a difference from the largest entry
    is rounded at its own size, which is relative to the result only after exp."""
    ours, other = ALONG[name]
    x = (scale * np.random.default_rng(seed).normal(size=(7, 7))).astype(dtype)
    wanted = other(x.astype(np.float64), axis=axis)
    tolerance = ulps(15 + 2 * np.abs(x).max(), dtype)
    within = {"rtol": tolerance} if name == "softmax" else {"rtol": 0, "atol": tolerance}
    lowest = np.finfo(dtype).tiny  # what is smaller has few digits, or none
    np.testing.assert_allclose(ours(x, axis=axis), wanted, **{"atol": lowest, **within})


# ------------------------------------------------------------------------------------------- losses


@given(seed=seeds)
def test_divergences_and_huber_are_scipys(seed):
    """kl_div is rel_entr of the target from exp(input); the entropy of yes and no is entr's."""
    rng = np.random.default_rng(seed)
    p, q = rng.uniform(0.05, 1, (2, 6, 5))
    p[0, 0] = 0
    exact = {"rtol": ulps(16, float), "atol": ulps(16, float)}
    ours = F.kl_div(np.log(q), p, reduction="none")
    np.testing.assert_allclose(ours, special.rel_entr(p, q), **exact)
    q = rng.uniform(0.05, 0.95, (6, 5))
    wanted = special.rel_entr(p, q) + special.rel_entr(1 - p, 1 - q)
    wanted += special.entr(p) + special.entr(1 - p)
    np.testing.assert_allclose(F.binary_cross_entropy(q, p, reduction="none"), wanted, **exact)
    x, t = rng.normal(scale=3, size=(2, 6, 5))
    ours = F.huber_loss(x, t, delta=1.5, reduction="none")
    np.testing.assert_allclose(ours, special.huber(1.5, x - t), **exact)


# ---------------------------------------------------------------------------------------- distances


@pytest.mark.parametrize("p", [0.5, 1, 1.5, 2, 3, 7.25, math.inf])
@given(seed=seeds)
def test_minkowski_is_scipys(p, seed):
    """All pairs of points of 4 coordinates, a point with itself included. 1 / p in the exponent
    multiplies the rounding of a sum of 4 powers."""
    x, y = np.random.default_rng(seed).normal(size=(2, 5, 4))
    y[0] = x[0]
    metric = {"metric": "minkowski", "p": p} if p < math.inf else {"metric": "chebyshev"}
    wanted = distance.cdist(x, y, **metric)
    ours = distances.minkowski(x[:, None], y[None], p)
    np.testing.assert_allclose(ours, wanted, rtol=ulps(16 * max(1, 1 / p), float))


@given(seed=seeds)
def test_cosine_is_scipys(seed):
    """SciPy subtracts a cosine from 1, which leaves the rounding of 1."""
    x, y = np.random.default_rng(seed).normal(size=(2, 5, 4))
    ours = distances.cosine(x[:, None], y[None])
    np.testing.assert_allclose(ours, distance.cdist(x, y, "cosine"), rtol=0, atol=ulps(8, float))


@given(seed=seeds)
def test_jaccard_is_scipys(seed):
    """Of sets; and, of degrees of membership, what follows from Bray's and Curtis's distance b:
    sum min = (1 - b) s / 2 and sum max = (1 + b) s / 2, where s is the sum of both."""
    rng = np.random.default_rng(seed)
    x, y = rng.random((2, 6, 5)) < rng.uniform(0, 1)
    x[0] = y[0] = False
    wanted = distance.cdist(x, y, "jaccard")
    np.testing.assert_array_equal(distances.jaccard(x[:, None], y[None]), wanted)
    x, y = rng.uniform(0, 1, (2, 6, 5))
    b = distance.cdist(x, y, "braycurtis")
    ours = distances.jaccard(x[:, None], y[None])
    np.testing.assert_allclose(ours, 2 * b / (1 + b), rtol=ulps(16, float))


# -------------------------------------------------------------------------- convolution, Rosenbrock


def test_conv2d_is_a_correlation(rng):
    x, weight = rng.normal(size=(2, 3, 7, 6)), rng.normal(size=(4, 3, 3, 2))
    wanted = [
        [sum(signal.correlate2d(*pair, mode="valid") for pair in zip(image, w)) for w in weight]
        for image in x
    ]
    terms = np.abs(weight).reshape(4, -1).sum(axis=1).max() * np.abs(x).max()
    ours = tg.conv2d(x, weight)
    np.testing.assert_allclose(ours, wanted, rtol=0, atol=ulps(18, float) * terms)


def rosenbrock(x):
    head, tail = x[:-1], x[1:]
    return (100 * (tail - head**2) ** 2 + (1 - head) ** 2).sum()


@given(seed=seeds)
def test_derivatives_of_rosenbrocks_function(seed):
    """Value, gradient, Hessian and their product with a vector against SciPy's formulas."""
    x, v = np.random.default_rng(seed).uniform(-2, 2, (2, 6))
    hessian = optimize.rosen_hess(x)
    for ours, wanted in (
        (rosenbrock(x), optimize.rosen(x)),
        (tg.grad(rosenbrock)(x), optimize.rosen_der(x)),
        (tg.hessian(rosenbrock)(x), hessian),
        (tg.hvp(rosenbrock, x, v), optimize.rosen_hess_prod(x, v)),
    ):
        size = max(np.abs(hessian).max(), np.abs(wanted).max())
        np.testing.assert_allclose(ours, wanted, rtol=0, atol=ulps(32, float) * size)


def test_minimum_of_rosenbrocks_function():
    """SciPy's BFGS, with our gradient, comes to the known minimum at 1."""
    found = optimize.minimize(rosenbrock, np.full(4, -1.0), jac=tg.grad(rosenbrock), method="BFGS")
    np.testing.assert_allclose(found.x, 1, atol=1e-4)
