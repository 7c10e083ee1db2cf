"""batch_norm, layer_norm, embedding and their layers, against their formulas in NumPy."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tinygrad_edu as tg
from tinygrad_edu import nn
from tinygrad_edu.compiler import trace
from tinygrad_edu.errors import DtypeError, ShapeError
from tinygrad_edu.nn import functional as F
from tinygrad_edu.testing import gradcheck, gradgradcheck

seeds = st.integers(0, 2**32)
batches = st.lists(st.integers(2, 4), min_size=2, max_size=4).map(tuple)
CLOSE = {"rtol": 1e-12, "atol": 1e-12}


def drawn_arrays(seed, *shapes):
    rng = np.random.default_rng(seed)
    return [rng.uniform(-2, 2, shape) for shape in shapes]


def channels(v, ndim):
    return v.reshape(-1, *(1,) * (ndim - 2))


def over_batch(x):
    return (0, *range(2, x.ndim))


# -------------------------------------------------------------------------------------- batch_norm


@given(batches, seeds)
def test_batch_norm_in_training_is_its_formula(shape, seed):
    c = shape[1]
    x, weight, bias, start = drawn_arrays(seed, shape, (c,), (c,), (c,))
    mean, var = tg.Tensor(start.copy()), tg.Tensor(start + 3)
    out = tg.batch_norm(x, mean, var, weight, bias, training=True, momentum=0.3, eps=0.01)
    axes = over_batch(x)
    standard = (x - x.mean(axes, keepdims=True)) / np.sqrt(x.var(axes, keepdims=True) + 0.01)
    expected = standard * channels(weight, x.ndim) + channels(bias, x.ndim)
    np.testing.assert_allclose(out, expected, **CLOSE)
    np.testing.assert_allclose(mean.data, 0.7 * start + 0.3 * x.mean(axes), **CLOSE)
    unbiased = x.var(axes, ddof=1)
    np.testing.assert_allclose(var.data, 0.7 * (start + 3) + 0.3 * unbiased, **CLOSE)


@given(batches, seeds)
def test_batch_norm_after_training_uses_the_running_estimates(shape, seed):
    c = shape[1]
    x, mean, var = drawn_arrays(seed, shape, (c,), (c,))
    kept = mean.copy()
    out = tg.batch_norm(x, mean, var + 3)
    expected = (x - channels(mean, x.ndim)) / np.sqrt(channels(var + 3, x.ndim) + 1e-5)
    np.testing.assert_allclose(out, expected, **CLOSE)
    np.testing.assert_array_equal(mean, kept)


@given(batches, seeds, st.booleans())
def test_batch_norm_has_first_and_second_derivatives(shape, seed, training):
    c = shape[1]
    x, weight, bias, mean, var = drawn_arrays(seed, shape, *[(c,)] * 4)

    def function(x, weight, bias):
        return tg.batch_norm(x, mean.copy(), var + 3, weight, bias, training=training, eps=0.1)

    gradcheck(function, [x, weight, bias])
    gradgradcheck(function, [x, weight, bias])


def test_batch_norm_keeps_its_digits_far_from_zero():
    """x**2 is 1e12 here, whose float32 neighbours are 65536 apart."""
    x = np.array([[1e6], [1e6 + 1], [1e6 + 2], [1e6 + 3]], np.float32)
    expected = (x.astype(np.float64) - x.mean(dtype=np.float64)) / np.sqrt(1.25)
    np.testing.assert_allclose(tg.batch_norm(x, training=True, eps=0.0), expected, rtol=1e-6)
    np.testing.assert_allclose(tg.layer_norm(x.T, 4, eps=0.0), expected.T, rtol=1e-6)


def test_batch_norm_says_what_does_not_fit():
    x, v = np.ones((4, 3)), np.ones(3)
    with pytest.raises(ShapeError, match=r"\(4,\): expected \(N, C\)"):
        tg.batch_norm(np.ones(4), training=True)
    with pytest.raises(ShapeError, match=r"weight \(2,\).*\(3,\)"):
        tg.batch_norm(x, v, v, np.ones(2))
    with pytest.raises(ValueError, match="come together"):
        tg.batch_norm(x, v)
    with pytest.raises(ValueError, match="at least 2.*eval"):
        tg.batch_norm(x[:1], v, v, training=True)


def test_running_estimates_are_outside_the_graph():
    """They may move between a forward and its backward, whose numbers are those of the forward."""
    layer = nn.BatchNorm1d(3).eval()
    x = tg.rand((4, 3), rng=0, requires_grad=True)
    waiting = layer(x).sum()
    slope = 1 / np.sqrt(layer.running_var.data + layer.eps)
    layer.train()(x)
    assert not layer.running_mean.requires_grad and (layer.running_mean.data != 0).all()
    waiting.backward()
    np.testing.assert_allclose(x.grad.data, np.broadcast_to(slope, (4, 3)), rtol=1e-6)


def test_a_traced_program_does_not_freeze_running_estimates():
    x, v = np.random.default_rng(0).random((4, 3)), np.ones(3)
    watched = trace(lambda x: tg.batch_norm(x, v, v, training=True), [x])
    assert [step.kind for step in watched.instructions].count("write") == 2
    program = trace(lambda x: tg.batch_norm(x, training=True), [x])
    np.testing.assert_array_equal(program.run(x + 1)[0], tg.batch_norm(x + 1, training=True))


# -------------------------------------------------------------------------------------- layer_norm


@given(batches, st.integers(1, 2), seeds)
def test_layer_norm_is_its_formula_and_has_two_derivatives(shape, n_axes, seed):
    last = shape[-n_axes:]
    arrays = drawn_arrays(seed, shape, last, last)
    x, weight, bias = arrays
    axes = tuple(range(-n_axes, 0))
    standard = (x - x.mean(axes, keepdims=True)) / np.sqrt(x.var(axes, keepdims=True) + 0.1)
    out = tg.layer_norm(x, last, weight, bias, eps=0.1)
    np.testing.assert_allclose(out, standard * weight + bias, **CLOSE)

    def function(x, weight, bias):
        return tg.layer_norm(x, last, weight, bias, eps=0.1)

    gradcheck(function, arrays)
    gradgradcheck(function, arrays)


def test_layer_norm_says_what_does_not_fit():
    with pytest.raises(ShapeError, match=r"\(2, 3\) does not end in normalized_shape \(4,\)"):
        tg.layer_norm(np.ones((2, 3)), 4)
    with pytest.raises(ShapeError, match=r"bias \(2,\)"):
        tg.layer_norm(np.ones((2, 3)), 3, None, np.ones(2))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_normalisation_keeps_the_dtype(dtype):
    x = tg.rand((4, 3), rng=0, requires_grad=True)
    x = tg.Tensor(x.data.astype(dtype), requires_grad=True)
    for layer in (nn.BatchNorm1d(3, dtype=dtype), nn.LayerNorm(3, dtype=dtype)):
        out = layer(x)
        out.sum().backward()
        assert out.dtype == dtype and x.grad.dtype == dtype
        assert all(p.grad.dtype == dtype for p in layer.parameters())


# --------------------------------------------------------------------------------------- embedding


def test_embedding_chooses_rows_and_adds_up_their_gradients():
    weight = tg.Tensor(np.arange(6.0).reshape(3, 2), requires_grad=True)
    out = tg.embedding(np.array([[2, 0], [2, 2]]), weight)
    np.testing.assert_array_equal(out.data, [[[4, 5], [0, 1]], [[4, 5], [4, 5]]])
    out.sum().backward()
    np.testing.assert_array_equal(weight.grad.data, [[1, 1], [0, 0], [3, 3]])


@pytest.mark.parametrize("index", [-1, 3])
def test_embedding_refuses_an_index_outside(index):
    with pytest.raises(IndexError, match=rf"index {index}.*rows 0 to 2"):
        tg.embedding(np.array([0, index]), np.ones((3, 2)))


def test_embedding_refuses_swapped_and_misshapen_arguments():
    with pytest.raises(DtypeError, match=r"embedding\(indices, weight\)"):
        tg.embedding(np.ones((3, 2)), np.array([0]))
    with pytest.raises(ShapeError, match=r"weight \(3,\)"):
        tg.embedding(np.array([0]), np.ones(3))


# ------------------------------------------------------------------------------------------ layers


def test_batch_norm_layers_keep_their_state():
    layer = nn.BatchNorm2d(3)
    assert [name for name, _ in layer.named_parameters()] == ["weight", "bias"]
    layer(tg.rand((4, 3, 2, 2), rng=0))
    state = layer.state_dict()
    assert list(state) == ["weight", "bias", "running_mean", "running_var", "num_batches_tracked"]
    assert state["num_batches_tracked"] == 1
    other = nn.BatchNorm2d(3)
    other.load_state_dict(state)
    x = tg.rand((2, 3, 2, 2), rng=1)
    layer.eval(), other.eval()
    np.testing.assert_array_equal(layer(x).data, other(x).data)
    assert layer.num_batches_tracked.item() == 1


def test_batch_norm_without_momentum_averages_all_batches():
    layer = nn.BatchNorm1d(2, momentum=None)
    batches = np.random.default_rng(0).random((3, 5, 2), np.float32)
    for batch in batches:
        layer(tg.Tensor(batch))
    expected = batches.mean((0, 1))
    np.testing.assert_allclose(layer.running_mean.data, expected, rtol=1e-6)


def test_batch_norm_without_estimates_normalises_by_the_batch_also_after_eval():
    layer = nn.BatchNorm1d(2, affine=False, track_running_stats=False)
    assert layer.state_dict() == {}
    x = tg.rand((5, 2), rng=0)
    np.testing.assert_array_equal(layer(x).data, layer.eval()(x).data)
    assert "affine=False, track_running_stats=False" in repr(layer)


def test_batch_norm_layers_refuse_other_forms_by_name():
    with pytest.raises(ShapeError, match=r"BatchNorm1d: .*expected \(N, 3\) or \(N, 3, L\)"):
        nn.BatchNorm1d(3)(tg.ones((2, 3, 4, 4)))
    with pytest.raises(ShapeError, match=r"BatchNorm2d: .*expected \(N, 3, H, W\)"):
        nn.BatchNorm2d(3)(tg.ones((2, 4, 4, 4)))


def test_layer_norm_layer_is_the_function():
    layer = nn.LayerNorm((3, 4))
    assert layer.weight.shape == layer.bias.shape == (3, 4)
    x = tg.rand((2, 3, 4), rng=0)
    np.testing.assert_array_equal(layer(x).data, F.layer_norm(x, (3, 4)).data)
    assert nn.LayerNorm(3, bias=False).bias is None
    assert nn.LayerNorm(3, elementwise_affine=False).parameters() == []


def test_embedding_layer_starts_normal():
    layer = nn.Embedding(1000, 20, rng=0)
    values = layer.weight.data
    assert values.dtype == np.float32 and abs(values.mean()) < 0.05 and abs(values.std() - 1) < 0.05
    assert layer(np.array([[1, 2, 3]])).shape == (1, 3, 20)
    np.testing.assert_array_equal(nn.Embedding(1000, 20, rng=0).weight.data, values)
