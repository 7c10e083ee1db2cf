"""The C kernels over images, and normalize, against the formulas of their rows, forward and
gradient: every instruction set, dtype and layout, drawn sizes, strides, paddings, dilations and
groups.

Where there are no C kernels the formulas are compared with themselves.
"""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

import tinygrad_edu as tg
from tinygrad_edu import kernels
from tinygrad_edu.op import OPS
from tinygrad_edu.ops import convolution, normalization, pooling
from tinygrad_edu.testing import LAYOUTS

DTYPES = [np.float32, np.float64]
dtypes, laid = st.sampled_from(DTYPES), st.sampled_from(list(LAYOUTS.values()))


def pairs(low, high):
    return st.tuples(st.integers(low, high), st.integers(low, high))


@st.composite
def convolutions(draw):
    """(x, weight, bias or None, g) and the parameters of a convolution that fits."""
    groups = draw(st.integers(1, 3))
    per_group, out_each = draw(st.integers(1, 5)), draw(st.integers(1, 18))
    kernel, stride, padding, dilation = (
        draw(pairs(*bounds)) for bounds in ((1, 5), (1, 3), (0, 3), (1, 3))
    )
    size = draw(pairs(1, 20))
    assume(all(n + 2 * p > d * (k - 1) for n, p, d, k in zip(size, padding, dilation, kernel)))
    how = {"stride": stride, "padding": padding, "dilation": dilation, "groups": groups}
    activation = draw(st.sampled_from([None, "relu", "sigmoid", "tanh"]))
    x = (draw(st.integers(0, 20)), groups * per_group, *size)
    weight = (groups * out_each, per_group, *kernel)
    window = convolution._look("conv2d", x, weight, **how)
    rng, dtype = np.random.default_rng(draw(st.integers(0, 2**32))), draw(dtypes)
    shapes = (x, weight, weight[:1], (x[0], weight[0], *window.out))
    made = [draw(laid)(rng.uniform(-1, 1, shape).astype(dtype)) for shape in shapes]
    if draw(st.booleans()):
        made[2] = None
    return made, {**how, "activation": activation}


def bound(terms, dtype):
    """What rounding may do to a sum of so many products of numbers up to 1, twice over: in the
    kernel, and in what it is compared with."""
    return 2 * (terms + 8) * terms * np.finfo(dtype).eps


@settings(max_examples=25)
@given(drawn=convolutions())
def test_convolution_kernels_are_the_formulas(isa, drawn):
    (x, weight, bias, g), how = drawn
    dtype, op = x.dtype.newbyteorder("="), OPS["conv2d"]
    out = op.forward(x, weight, bias, **how)
    exact = convolution._conv2d(x, weight, bias, **how)
    assert out.dtype == dtype and out.flags.c_contiguous
    inner = weight[0].size + 1
    np.testing.assert_allclose(out, exact, rtol=0, atol=bound(inner, dtype), strict=True)

    results = op.kernel_vjp and op.kernel_vjp(g, out, (x, weight, bias), how, [True] * 3, None)
    if not op.kernel_vjp or results is NotImplemented:
        return  # no kernels, or nothing in an array
    terms = (len(weight) * weight[0, 0].size, math.prod(out.shape) // len(weight))
    for position, given_to in enumerate((x, weight, bias)):
        if given_to is not None:
            wanted = op.vjps[position](g, out, x, weight, bias, **how)
            slack = bound(terms[min(position, 1)], dtype)
            np.testing.assert_allclose(results[position], wanted, rtol=0, atol=slack, strict=True)
    alone = op.kernel_vjp(g, out, (x, weight, bias), how, (False, True, False), None)
    assert alone[0] is None and alone[2] is None
    np.testing.assert_allclose(alone[1], results[1], rtol=0, atol=bound(terms[1], dtype))


@settings(max_examples=25)
@given(drawn=convolutions())
def test_transposes_of_convolution_are_their_formulas(isa, drawn):
    (x, weight, _, g), how = drawn
    del how["activation"]
    dtype = x.dtype
    got = OPS["conv2d_input"].forward(g, weight, shape=x.shape, **how)
    wanted = convolution._conv2d_input(g, weight, shape=x.shape, **how)
    slack = bound(len(weight) * weight[0, 0].size, dtype)
    np.testing.assert_allclose(got, wanted, rtol=0, atol=slack, strict=True)
    got = OPS["conv2d_weight"].forward(g, x, shape=weight.shape, **how)
    wanted = convolution._conv2d_weight(g, x, shape=weight.shape, **how)
    slack = bound(math.prod(g.shape) // len(weight), dtype)
    np.testing.assert_allclose(got, wanted, rtol=0, atol=slack, strict=True)


@st.composite
def poolings(draw):
    """Images with ties, NaN and infinities, g, and the parameters of a pooling that fits."""
    kernel, size = draw(pairs(1, 4)), draw(pairs(1, 40))
    kernel = draw(st.sampled_from([kernel, (2, 2)]))
    padding = tuple(draw(st.integers(0, k // 2)) for k in kernel)
    assume(all(n + 2 * p >= k for n, p, k in zip(size, padding, kernel)))
    stride = draw(st.none() | pairs(1, 3))
    how = {"kernel_size": kernel, "stride": stride, "padding": padding}
    shape = (draw(st.integers(0, 3)), 2, *size)
    window = pooling._pool("max_pool2d", shape, **how)
    rng, dtype = np.random.default_rng(draw(st.integers(0, 2**32))), draw(dtypes)
    x = rng.choice([-np.inf, -1, 0, 1, 2, np.nan], size=shape, p=[0.1, 0.2, 0.3, 0.2, 0.1, 0.1])
    g = rng.integers(-3, 4, (*shape[:2], *window.out))
    return draw(laid)(x.astype(dtype)), draw(laid)(g.astype(dtype)), how


@settings(max_examples=25)
@given(drawn=poolings(), count_include_pad=st.booleans())
def test_pooling_kernels_are_the_formulas(isa, drawn, count_include_pad):
    """Exactly for max_pool2d, whose gradients are sums of small integers; to the rounding of a mean
    for avg_pool2d."""
    x, g, how = drawn
    out = OPS["max_pool2d"].forward(x, **how)
    np.testing.assert_array_equal(out, pooling._max_pool2d(x, **how), strict=True)
    wanted = pooling._to_winners(g, x, **how)
    np.testing.assert_array_equal(OPS["to_winners"].forward(g, x, **how), wanted, strict=True)
    native = x.dtype.isnative and g.dtype.isnative
    by_kernel = kernels.info()["kernels"] == "c" and native and x.size
    if by_kernel:
        (dx,) = OPS["max_pool2d"].kernel_vjp(g, out, (x,), how, (True,), None)
        np.testing.assert_array_equal(dx, wanted, strict=True)

    x, eps = np.nan_to_num(x, neginf=-2), np.finfo(x.dtype).eps
    mean = {**how, "count_include_pad": count_include_pad}
    out = OPS["avg_pool2d"].forward(x, **mean)
    np.testing.assert_allclose(out, pooling._avg_pool2d(x, **mean), rtol=2 * eps, strict=True)
    wanted = pooling._avg_pool2d_back(g, shape=x.shape, **mean)
    got = OPS["avg_pool2d_back"].forward(g, shape=x.shape, **mean)
    slack = {"rtol": 0, "atol": 3 * 16 * 16 * eps}  # up to 16 windows of numbers up to 3
    np.testing.assert_allclose(got, wanted, **slack, strict=True)
    if by_kernel:
        (dx,) = OPS["avg_pool2d"].kernel_vjp(g, out, (x,), mean, (True,), None)
        np.testing.assert_array_equal(dx, got, strict=True)


@st.composite
def batches(draw):
    """(x, weight or None, bias or None, g) and axes: the last ones, or all but the second."""
    shape = draw(st.lists(st.integers(1, 20), min_size=2, max_size=4).map(tuple))
    last = draw(st.integers(1, len(shape)))
    weights, axes = shape[-last:], tuple(range(len(shape) - last, len(shape)))
    if draw(st.booleans()):
        weights, axes = (shape[1], *(1,) * (len(shape) - 2)), (0, *range(2, len(shape)))
    rng, dtype = np.random.default_rng(draw(st.integers(0, 2**32))), draw(dtypes)
    shapes = (shape, weights, weights, shape)
    made = [draw(laid)(rng.uniform(-1, 1, s).astype(dtype)) for s in shapes]
    for position in (1, 2):
        made[position] = made[position] if draw(st.booleans()) else None
    return made, axes


@settings(max_examples=25)
@given(drawn=batches())
def test_normalize_kernel_is_the_formula(isa, drawn):
    """With eps 0.1 no number is scaled by more than 4, and every sum has terms below 16."""
    (x, weight, bias, g), axes = drawn
    op, params = OPS["normalize"], {"axes": axes, "eps": 0.1}
    out, stash = op.forward(x, weight, bias, **params)
    exact = normalization._normalize(x, weight, bias, **params)
    slack = {"rtol": 0, "atol": 16 * bound(math.log2(x.size) + 8, x.dtype)}
    np.testing.assert_allclose(out, exact, **slack, strict=True)
    if stash is None or not g.dtype.isnative:
        return
    for got, wanted in zip(stash, normalization._moments(x, axes)):
        np.testing.assert_allclose(got, wanted.ravel(), **slack)
    inputs = (x, weight, bias)
    results = op.kernel_vjp(g, out, inputs, params, [a is not None for a in inputs], stash)
    exact_x, exact_g = x.astype(np.float64), g.astype(np.float64)
    for position, given_to in enumerate(inputs):
        if given_to is not None:
            wanted = op.vjps[position](exact_g, out, exact_x, weight, bias, **params)
            over = tuple(
                i - given_to.ndim
                for i, n in enumerate(given_to.shape)
                if n != g.shape[i - given_to.ndim]
            )
            wanted = wanted.sum(over, keepdims=True)
            extra = tuple(range(wanted.ndim - given_to.ndim))
            terms = math.prod(g.shape) // given_to.size + 8
            slack = {"rtol": 0, "atol": 16 * bound(terms, x.dtype)}
            np.testing.assert_allclose(results[position], wanted.sum(extra), **slack)


@pytest.mark.parametrize("images", [1, 3, 40])
def test_the_bits_of_a_step_over_images_do_not_depend_on_the_threads(images, isa):
    """LeNet5, and a convolution whose single images are shared out, with 1, 2 and 5 threads."""
    rng = np.random.default_rng(0)
    x, target = rng.random((images, 1, 28, 28), np.float32), rng.integers(0, 10, images)
    wide = rng.random((images, 8, 40, 40), np.float32)

    def step():
        model, layer = tg.nn.LeNet5(rng=0), tg.nn.Conv2d(8, 16, 3, padding=1, rng=0)
        loss = tg.nn.functional.cross_entropy(model(tg.Tensor(x)), target)
        norm = tg.nn.BatchNorm2d(16)
        loss = loss + tg.square(tg.max_pool2d(norm(layer(tg.Tensor(wide))), 2)).sum()
        loss.backward()
        leaves = [*model.parameters(), *layer.parameters(), *norm.parameters()]
        return [loss.data.tobytes(), *(leaf.grad.data.tobytes() for leaf in leaves)]

    before = kernels.info()["threads"]
    try:
        runs = []
        for n in (1, 2, 5):
            kernels.set_num_threads(n)
            runs.append(step())
    finally:
        kernels.set_num_threads(before)
    assert runs[0] == runs[1] == runs[2]


def test_conv2d_refuses_an_activation_that_cannot_be_fused():
    with pytest.raises(ValueError, match="conv2d: activation 'gelu' cannot be fused"):
        tg.conv2d(np.ones((1, 1, 4, 4)), np.ones((1, 1, 2, 2)), activation="gelu")


@pytest.mark.parametrize("activation", ["relu", "sigmoid", "tanh"])
def test_a_fused_activation_is_the_function(activation):
    """Forward, gradient and, through the formulas, the gradient of the gradient."""
    rng = np.random.default_rng(0)
    arrays = [rng.uniform(-1, 1, s) for s in ((2, 2, 6, 5), (3, 2, 3, 3), (3,))]
    results = []
    for fused in (activation, None):
        leaves = [tg.Tensor(a, requires_grad=True) for a in arrays]
        out = tg.conv2d(*leaves, padding=1, activation=fused)
        out = out if fused else getattr(tg, activation)(out)
        tg.square(out).sum().backward(create_graph=True)
        first = [leaf.grad for leaf in leaves]
        for leaf in leaves:
            leaf.grad = None
        sum(tg.square(g).sum() for g in first).backward()
        results.append([out, *first, *(leaf.grad for leaf in leaves)])
    for one, other in zip(*results):
        scale = np.abs(other.data).max()
        np.testing.assert_allclose(one.data, other.data, rtol=0, atol=1e-12 * scale)


def test_layers_take_an_activation():
    layer = tg.nn.Conv2d(1, 2, 3, activation="tanh", rng=0)
    assert repr(layer) == "Conv2d(1, 2, kernel_size=(3, 3), activation='tanh')"
    plain = tg.nn.Conv2d(1, 2, 3, rng=0)
    x = tg.rand((2, 1, 5, 5), rng=1)
    np.testing.assert_array_equal(layer(x).data, tg.tanh(plain(x)).data)
