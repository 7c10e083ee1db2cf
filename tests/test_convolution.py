"""Convolution, pooling, their layers and LeNet5, against loops that do what the definitions say.

That the rows' gradients are derivatives is tested in test_rows.py; here they are tested again for
drawn strides, paddings, dilations and groups.
"""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

import tinygrad_edu as tg
from tinygrad_edu import nn
from tinygrad_edu.compiler import trace
from tinygrad_edu.errors import ShapeError
from tinygrad_edu.nn import functional as F
from tinygrad_edu.testing import gradcheck, gradgradcheck

INF, NAN = math.inf, math.nan


def pairs(low, high):
    return st.tuples(st.integers(low, high), st.integers(low, high))


def places(size, kernel, stride, padding, dilation=1):
    """For each place of the window along one axis, the cells of the image under it, None for
    padding."""
    last = size + 2 * padding - dilation * (kernel - 1) - 1
    for start in range(0, last + 1, stride):
        cells = [start + dilation * i - padding for i in range(kernel)]
        yield [c if 0 <= c < size else None for c in cells]


def seen(image, rows, columns):
    """The numbers of an image (H, W) under the window, those in the padding left out, with their
    places in the window."""
    for (i, r), (j, c) in itertools.product(enumerate(rows), enumerate(columns)):
        if r is not None and c is not None:
            yield i, j, image[r, c]


def slide(x, kernel, stride, padding, reduce, dilation=(1, 1)):
    """reduce(cells under the window) at each place of each image (N, C, H, W)."""
    down = list(places(x.shape[2], kernel[0], stride[0], padding[0], dilation[0]))
    across = list(places(x.shape[3], kernel[1], stride[1], padding[1], dilation[1]))
    out = np.empty((*x.shape[:2], len(down), len(across)))
    for n, c, i, j in np.ndindex(out.shape):
        out[n, c, i, j] = reduce(list(seen(x[n, c], down[i], across[j])))
    return out


def convolved(x, weight, bias, stride, padding, dilation, groups):
    """The definition of conv2d, one product at a time."""
    n_out, per_group, kh, kw = weight.shape
    maps = []
    for o in range(n_out):
        first = o // (n_out // groups) * per_group
        total = bias[o]
        for c in range(per_group):
            filtered = slide(
                x[:, first + c : first + c + 1],
                (kh, kw),
                stride,
                padding,
                lambda cells, w=weight[o, c]: sum(w[i, j] * value for i, j, value in cells),
                dilation,
            )
            total = total + filtered
        maps.append(total)
    return np.concatenate(maps, axis=1)


@st.composite
def convolutions(draw, dtype=np.float64):
    """(x, weight, bias) and the parameters of a convolution that fits."""
    groups, per_group, out_each = (draw(st.integers(1, 2)) for _ in range(3))
    kernel, stride, padding, dilation = (
        draw(pairs(*bounds)) for bounds in ((1, 3), (1, 3), (0, 2), (1, 2))
    )
    size = draw(pairs(1, 6))
    assume(all(n + 2 * p > d * (k - 1) for n, p, d, k in zip(size, padding, dilation, kernel)))
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    shapes = ((2, groups * per_group, *size), (groups * out_each, per_group, *kernel))
    x, weight, bias = (rng.uniform(-2, 2, s).astype(dtype) for s in (*shapes, shapes[1][:1]))
    how = {"stride": stride, "padding": padding, "dilation": dilation, "groups": groups}
    return [x, weight, bias], how


# ------------------------------------------------------------------------------------ convolution


@given(convolutions())
def test_conv2d_is_its_definition(drawn):
    arrays, how = drawn
    expected = convolved(*arrays, **how)
    np.testing.assert_allclose(tg.conv2d(*arrays, **how), expected, rtol=1e-13, atol=1e-13)


@given(convolutions())
def test_conv2d_has_first_and_second_derivatives(drawn):
    arrays, how = drawn
    gradcheck(lambda *inputs: tg.conv2d(*inputs, **how), arrays)
    gradgradcheck(lambda *inputs: tg.conv2d(*inputs, **how), arrays)


@given(convolutions(np.float32))
def test_conv2d_keeps_float32_and_works_without_bias(drawn):
    (x, weight, _), how = drawn
    leaves = [tg.Tensor(a, requires_grad=True) for a in (x, weight)]
    out = tg.conv2d(*leaves, **how)
    out.sum().backward()
    assert [out.dtype, *(leaf.grad.dtype for leaf in leaves)] == [np.float32] * 3
    exact = convolved(*(a.astype(np.float64) for a in (x, weight)), np.zeros(len(weight)), **how)
    terms = weight[0].size + 1  # each rounds once; no term is above 4
    np.testing.assert_allclose(out.data, exact, rtol=0, atol=4 * terms**2 * 2**-24)


@given(convolutions())
def test_conv2d_gradient_is_traced(drawn):
    """A traced forward and backward gives, on other numbers, what the eager one gives, up to the
    order in which a sum is rounded: a kernel has weight and bias in one product, or without."""
    arrays, how = drawn

    def gradients(*given):
        leaves = [tg.Tensor._of(a) for a in given]
        for leaf in leaves:
            leaf.requires_grad = True
        tg.square(tg.conv2d(*leaves, **how)).sum().backward()
        return [leaf.grad.payload for leaf in leaves]

    others = [a[::-1].copy() for a in arrays]
    replayed, eager = trace(gradients, arrays).run(*others), gradients(*others)
    places = math.prod(tg.conv2d(*others, **how).shape)
    terms = max(places, arrays[1].size)  # each a number <= 2 times twice a sum of 19 <= 4
    for one, other in zip(replayed, eager):
        np.testing.assert_allclose(one, other, rtol=0, atol=terms**2 * 304 * 2**-53)


@pytest.mark.parametrize(
    "x, weight, how, words",
    [
        ((4, 4), (1, 1, 2, 2), {}, r"\(4, 4\): expected images \(N, C, H, W\)"),
        ((1, 1, 4, 4), (2, 2), {}, r"\(2, 2\): expected \(out channels"),
        ((1, 3, 4, 4), (2, 2, 2, 2), {}, "3 channels .* second axis of weight must be 3"),
        ((1, 1, 2, 4), (1, 1, 3, 3), {}, "2 x 4 .* spans 3 x 3"),
        ((1, 1, 4, 4), (1, 1, 3, 3), {"dilation": 2}, "4 x 4 .* spans 5 x 5"),
    ],
)
def test_conv2d_says_what_does_not_fit(x, weight, how, words):
    with pytest.raises(ShapeError, match=words):
        tg.conv2d(np.ones(x), np.ones(weight), **how)


@pytest.mark.parametrize(
    "how", [{"stride": 0}, {"padding": -1}, {"dilation": 1.5}, {"groups": 2}, {"stride": (1, 1, 1)}]
)
def test_conv2d_refuses_impossible_parameters_by_name(how):
    with pytest.raises(ValueError, match=f"conv2d: {next(iter(how))}="):
        tg.conv2d(np.ones((1, 3, 4, 4)), np.ones((1, 3, 2, 2)), **how)


def test_conv2d_refuses_a_bias_of_another_length():
    with pytest.raises(ShapeError, match=r"bias \(1,\).*\(2,\)"):
        tg.conv2d(np.ones((1, 1, 4, 4)), np.ones((2, 1, 2, 2)), np.ones(1))


def test_no_images_give_no_maps_and_a_zero_gradient():
    x, weight = tg.ones((0, 2, 4, 4), requires_grad=True), tg.ones((3, 2, 3, 3), requires_grad=True)
    out = tg.avg_pool2d(tg.max_pool2d(tg.conv2d(x, weight, padding=1), 2), 2)
    out.sum().backward()
    assert out.shape == (0, 3, 1, 1) and x.grad.shape == x.shape
    np.testing.assert_array_equal(weight.grad.data, 0)


# ---------------------------------------------------------------------------------------- pooling


@st.composite
def poolings(draw, ties=False):
    """Images, and the parameters of a pooling that fits."""
    kernel, size = draw(pairs(1, 3)), draw(pairs(1, 6))
    padding = tuple(draw(st.integers(0, k // 2)) for k in kernel)
    assume(all(n + 2 * p >= k for n, p, k in zip(size, padding, kernel)))
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    shape = (2, 2, *size)
    apart = rng.permutation(math.prod(shape)).reshape(shape) / 4  # no two are close
    x = rng.integers(0, 3, shape).astype(np.float64) if ties else apart
    return x, {"kernel_size": kernel, "stride": draw(pairs(1, 3)), "padding": padding}


@given(poolings(), st.booleans())
def test_pooling_is_its_definition(drawn, count_include_pad):
    x, how = drawn
    kernel, stride, padding = how["kernel_size"], how["stride"], how["padding"]
    largest = slide(x, kernel, stride, padding, lambda cells: max(v for *_, v in cells))
    np.testing.assert_array_equal(tg.max_pool2d(x, **how), largest)

    def average(cells):
        return sum(v for *_, v in cells) / (math.prod(kernel) if count_include_pad else len(cells))

    mean = slide(x, kernel, stride, padding, average)
    got = tg.avg_pool2d(x, **how, count_include_pad=count_include_pad)
    np.testing.assert_allclose(got, mean, rtol=1e-14)


@given(poolings(), st.booleans())
def test_pooling_has_first_and_second_derivatives(drawn, count_include_pad):
    x, how = drawn
    for pool in (
        lambda x: tg.max_pool2d(x, **how),
        lambda x: tg.avg_pool2d(x, **how, count_include_pad=count_include_pad),
    ):
        gradcheck(pool, [x])
        gradgradcheck(lambda x, pool=pool: tg.square(pool(x)), [x])


@given(poolings(ties=True))
def test_of_equal_entries_the_first_in_reading_order_wins(drawn):
    x, how = drawn
    kernel, stride, padding = how["kernel_size"], how["stride"], how["padding"]
    expected = np.zeros(x.shape)
    down = list(places(x.shape[2], kernel[0], stride[0], padding[0]))
    across = list(places(x.shape[3], kernel[1], stride[1], padding[1]))
    for n, c in np.ndindex(x.shape[:2]):
        for rows, columns in itertools.product(down, across):
            cells = list(seen(x[n, c], rows, columns))
            i, j, _ = max(cells, key=lambda cell: cell[2])  # max() keeps the first of equals
            expected[n, c, rows[i], columns[j]] += 1
    leaf = tg.Tensor(x, requires_grad=True)
    tg.max_pool2d(leaf, **how).sum().backward()
    np.testing.assert_array_equal(leaf.grad.data, expected)


def test_max_pool2d_passes_nan_on_and_never_chooses_padding():
    x = tg.Tensor(
        np.array([[[[-INF, -INF], [-INF, -INF]], [[1, NAN], [2, 3]]]]), requires_grad=True
    )
    out = tg.max_pool2d(x, 2, 2, 1)
    np.testing.assert_array_equal(out.data[0, 0], -INF)
    np.testing.assert_array_equal(out.data[0, 1], [[1, NAN], [2, 3]])
    out.backward(np.ones(out.shape))
    np.testing.assert_array_equal(x.grad.data, 1)


def test_max_pool2d_keeps_integers():
    out = tg.max_pool2d(np.arange(-16, 0).reshape(1, 1, 4, 4), 2)
    np.testing.assert_array_equal(out[0, 0], [[-11, -9], [-3, -1]])
    assert out.dtype.kind == "i"


@pytest.mark.parametrize("pool", [tg.max_pool2d, tg.avg_pool2d])
def test_pooling_refuses_what_cannot_be(pool):
    x = np.ones((1, 1, 4, 4))
    with pytest.raises(ValueError, match="kernel_size=None"):
        pool(x)
    with pytest.raises(ValueError, match="at most half the kernel"):
        pool(x, 2, 1, 2)
    with pytest.raises(ShapeError, match="fits nowhere"):
        pool(x, 5)


# ----------------------------------------------------------------------------------------- layers


def test_conv2d_layer_has_pytorchs_shapes_and_first_values():
    layer = nn.Conv2d(4, 6, (3, 2), stride=2, padding=1, groups=2, rng=0)
    assert layer.weight.shape == (6, 2, 3, 2) and layer.bias.shape == (6,)
    bound = 1 / math.sqrt(2 * 3 * 2)
    for parameter in layer.parameters():
        assert bound / 2 < np.abs(parameter.data).max() <= bound
    assert layer(tg.ones((1, 4, 5, 4))).shape == (1, 6, 3, 3)
    assert repr(layer) == (
        "Conv2d(4, 6, kernel_size=(3, 2), stride=(2, 2), padding=(1, 1), groups=2)"
    )
    same = nn.Conv2d(4, 6, (3, 2), groups=2, rng=0)
    np.testing.assert_array_equal(layer.weight.data, same.weight.data)
    assert nn.Conv2d(1, 1, 3, bias=False).bias is None


def test_pooling_layers_are_the_functions():
    x = tg.rand((2, 3, 6, 6), rng=0)
    np.testing.assert_array_equal(nn.MaxPool2d(2)(x).data, F.max_pool2d(x, 2).data)
    layer = nn.AvgPool2d(3, stride=2, padding=1, count_include_pad=False)
    expected = F.avg_pool2d(x, 3, 2, 1, False)
    np.testing.assert_array_equal(layer(x).data, expected.data)


@pytest.mark.parametrize("make", [nn.Conv2d, nn.MaxPool2d, nn.AvgPool2d])
def test_layers_refuse_impossible_sizes(make):
    sizes = (1, 1) if make is nn.Conv2d else ()
    with pytest.raises(ValueError, match=rf"{make.__name__}: kernel_size=0"):
        make(*sizes, 0)
    with pytest.raises(ValueError, match=rf"{make.__name__}: padding=-1"):
        make(*sizes, 2, padding=-1)


def test_conv2d_layer_refuses_groups_that_do_not_divide():
    with pytest.raises(ValueError, match="groups=2.*in_channels=3"):
        nn.Conv2d(3, 4, 3, groups=2)


# ------------------------------------------------------------------------------------------ LeNet5


def test_lenet5_has_the_parameters_of_1998():
    model = nn.LeNet5(rng=0)
    assert sum(p.size for p in model.parameters()) == 61_706
    for size in (28, 32):
        assert model(tg.zeros((2, 1, size, size))).shape == (2, 10)
    with pytest.raises(ShapeError, match=r"\(N, 1, 28, 28\)"):
        model(tg.zeros((2, 784)))
    with pytest.raises(ValueError, match="LeNet5: activation='nonsense'"):
        nn.LeNet5(activation="nonsense")


def test_lenet5_pads_small_images_to_the_same_as_large_ones():
    model = nn.LeNet5(rng=0)
    small = np.random.default_rng(1).random((2, 1, 28, 28), np.float32)
    large = np.pad(small, ((0, 0), (0, 0), (2, 2), (2, 2)))
    np.testing.assert_array_equal(model(tg.Tensor(small)).data, model(tg.Tensor(large)).data)


@pytest.mark.parametrize("activation", ["tanh", "relu", "silu"])
def test_steps_of_lenet5_decrease_the_loss(activation):
    rng = np.random.default_rng(0)
    model = nn.LeNet5(activation=activation, rng=rng)
    optimizer = tg.optim.SGD(model.parameters(), lr=0.05)
    x, target = tg.rand((8, 1, 28, 28), rng=rng), np.arange(8)
    losses = []
    for _ in range(4):
        loss = F.cross_entropy(model(x), target)
        losses.append(loss.item())
        model.zero_grad()
        loss.backward()
        optimizer.step()
    assert losses == sorted(losses, reverse=True) and losses[-1] < losses[0]


def test_lenet5_saves_and_loads(tmp_path):
    model, other = nn.LeNet5(rng=0), nn.LeNet5(rng=1)
    tg.save(tmp_path / "lenet.npz", model.state_dict())
    other.load_state_dict(tg.load(tmp_path / "lenet.npz"))
    x = tg.rand((1, 1, 28, 28), rng=0)
    np.testing.assert_array_equal(model(x).data, other(x).data)
