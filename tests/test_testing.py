"""The testing kit finds wrong gradients, ours or anybody's, and says what is wrong with them."""

from __future__ import annotations

import sys

import mutate
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from strategies import differentiable, name, rows

import tinygrad_edu as tg
from tinygrad_edu import testing
from tinygrad_edu.scalar import Value
from tinygrad_edu.testing import (
    GradientError,
    check_vjp,
    gradcheck,
    gradgradcheck,
    numerical_gradient,
)


@pytest.mark.parametrize("op", rows(differentiable), ids=name)
def test_every_mutation_of_a_row_is_noticed(op):
    """1 % too large, 1 % in one entry, the wrong sign: see mutate.py."""
    assert mutate.survivors_of(op) == []


def test_an_engine_that_does_not_unbroadcast_is_noticed():
    assert mutate.broadcast_survivors() == []


def test_mutations_of_a_foreign_vjp_are_noticed():
    assert mutate.foreign_survivors() == []


def test_a_function_that_bends_fast_is_no_false_alarm():
    """The fifth derivative of sin(60 x) is 8e8: the first step is far too long for it."""
    x = [np.array([0.3, 0.7])]
    gradcheck(lambda x: tg.sin(60 * x), x)
    with pytest.raises(GradientError):
        check_vjp(lambda x: np.sin(60 * x), lambda g, out, x: g * 60.6 * np.cos(60 * x), x)


X, W = np.linspace(-1, 1, 12).reshape(3, 4), np.linspace(0.3, 1.7, 16).reshape(4, 4)


def forward(x, w):
    return np.tanh(x @ w)


def vjp(g, out, x, w):
    d = g * (1 - out * out)
    return d @ w.T, x.T @ d


@pytest.mark.parametrize(
    "wrong, words",
    [
        (
            lambda g, o, x, w: (vjp(g, o, x, w)[0], 2 * vjp(g, o, x, w)[1]),
            r"forward: the gradient of input 1 .*factor of 2",
        ),
        (lambda g, o, x, w: (-vjp(g, o, x, w)[0], vjp(g, o, x, w)[1]), "input 0 .*sign is wrong"),
        (lambda g, o, x, w: (vjp(g, o, x, w)[0], vjp(g, o, x, w)[1].T), "input 1 .*transposed"),
        (
            lambda g, o, x, w: (vjp(g, o, x, w)[0].T, vjp(g, o, x, w)[1]),
            r"shape \(4, 3\), the input \(3, 4\).*transposed",
        ),
        (lambda g, o, x, w: (vjp(g, o, x, w)[0], None), "input 1 .*zero throughout"),
        (lambda g, o, x, w: vjp(g, o, x, w)[:1], "1 gradients for 2 inputs"),
        (
            lambda g, o, x, w: tuple(d.astype(np.float32) for d in vjp(g, o, x, w)),
            "dtype float32, the input float64",
        ),
        (lambda g, o, x, w: vjp(g.round(2), o, x, w), "analytic .*numeric .*relative error"),
    ],
)
def test_a_failure_names_the_input_and_guesses_the_mistake(wrong, words):
    check_vjp(forward, vjp, [X, W], complex_step=True)
    with pytest.raises((GradientError, ValueError), match=words):
        check_vjp(forward, wrong, [X, W])


@given(entry=st.integers(0, 15), sign=st.sampled_from([-1, 1]), seed=st.integers(0, 1000))
def test_one_percent_in_one_entry_is_found_whichever_it_is(entry, sign, seed):
    def wrong(g, out, x, w):
        dx, dw = vjp(g, out, x, w)
        dw.reshape(-1)[entry] *= 1 + 0.01 * sign
        return dx, dw

    with pytest.raises(GradientError, match=rf"index \({entry // 4}, {entry % 4}\)"):
        check_vjp(forward, wrong, [X, W], seed=seed)


def test_one_percent_in_float32_is_found():
    def wrong(g, out, x, w):
        dx, dw = vjp(g, out, x, w)
        dw[2, 1] *= np.float32(1.01)
        return dx, dw

    check_vjp(forward, vjp, [X.astype(np.float32), W.astype(np.float32)])
    with pytest.raises(GradientError, match=r"\(2, 1\)"):
        check_vjp(forward, wrong, [X.astype(np.float32), W.astype(np.float32)])


def test_a_missing_sum_over_a_broadcast_axis_is_named():
    with pytest.raises(GradientError, match="sum over the broadcast axes is missing"):
        check_vjp(lambda x, b: x + b, lambda g, _out, _x, _b: (g, g), [X, X[0]])


def test_writing_into_inputs_and_upstream_gradients_is_found():
    def doubles_in_place(g, out, x):
        g *= 2
        return g

    with pytest.raises(GradientError, match="write"):
        check_vjp(lambda x: 2 * x, doubles_in_place, [X])

    def overwrites(x):
        x.data[0] = 1
        return x * 2

    with pytest.raises(GradientError, match="write"):
        gradcheck(overwrites, [X])


def test_a_function_that_draws_is_found():
    rng = np.random.default_rng(0)
    with pytest.raises(GradientError, match="different bits"):
        gradcheck(lambda x: x * rng.normal(), [X])
    gradcheck(lambda x: tg.nn.functional.dropout(x, 0.5, rng=3), [X])


def test_a_lost_graph_is_found():
    with pytest.raises(GradientError, match="was the graph lost"):
        gradcheck(lambda x: x.detach() * 2, [X])


def test_a_layout_that_a_vjp_cannot_read_is_found():
    """A vjp that trusts the memory of g: right for contiguous g, wrong for a strided one."""

    def careless(g, out, x):
        flat = np.lib.stride_tricks.as_strided(g, (g.size,), (8,))
        return 2 * flat.reshape(g.shape)

    with pytest.raises(GradientError, match="upstream gradient (strided|reversed|repeated)"):
        check_vjp(lambda x: 2 * x, careless, [np.linspace(1, 2, 5)])


def test_a_wrong_second_derivative_is_found_though_the_first_is_right():
    def cube(x):
        slope = tg.tensor(3 * x.data**2)
        return slope.detach() * x - 2 * tg.tensor(x.data**3)

    gradcheck(cube, [X])
    with pytest.raises(GradientError, match="gradient of cube"):
        gradgradcheck(cube, [X + 3])


def test_what_gradcheck_takes():
    """Tensors, arrays, floats, constants, Values; tuples out; only what requires grad, where
    something does."""
    assert gradcheck(lambda x, k, n: (x * k, tg.power(x, n)), [np.abs(X) + 1, 0.5, 3])
    assert gradcheck(
        lambda x, labels: tg.nn.functional.cross_entropy(x, labels), [X, np.array([0, 1, 3])]
    )
    assert gradcheck(lambda a, b: a * b.exp(), [Value(2.0), Value(0.3)])
    frozen = tg.Tensor(X)
    assert gradcheck(lambda x, c: x * c.detach(), [tg.Tensor(X, requires_grad=True), frozen])
    assert gradgradcheck(lambda x, w: tg.tanh(x @ w), [X, W])
    with pytest.raises(ValueError, match="none of the 1 inputs is floating"):
        gradcheck(lambda x: x, [np.array([1, 2])])


def test_tolerances_can_be_given():
    def rough(g, out, x):
        return g * 2 * 1.001

    check_vjp(lambda x: 2 * x, rough, [X], rtol=1e-2)
    check_vjp(lambda x: 2 * x, rough, [X], atol=1.0)
    with pytest.raises(GradientError):
        check_vjp(lambda x: 2 * x, rough, [X])


def test_numerical_gradient_is_the_gradient():
    np.testing.assert_allclose(
        numerical_gradient(lambda x: tg.exp(x).sum(), X), np.exp(X), rtol=1e-9
    )
    by_x, by_k = numerical_gradient(lambda x, k: (x * k).sum(), [X, 2.0])
    np.testing.assert_allclose(by_x, np.full_like(X, 2), rtol=1e-9)
    np.testing.assert_allclose(by_k, X.sum(), atol=1e-9)
    assert float(numerical_gradient(lambda a: a**3, Value(2.0))) == pytest.approx(12, rel=1e-9)
    with pytest.raises(ValueError, match="one number"):
        numerical_gradient(lambda x: x * 2, X)


@pytest.mark.parametrize("layout", testing.LAYOUTS)
def test_layouts_hold_the_same_numbers(layout):
    for x in (X, np.array(3.0), np.zeros((0, 2)), X.astype(np.float32)):
        laid = testing.lay_out(x, layout)
        assert laid.shape == x.shape and not laid.flags.writeable
        if layout != "repeated":
            np.testing.assert_array_equal(laid, x)
    x = testing.lay_out(X, layout)
    assert {
        "contiguous": x.flags.c_contiguous,
        "transposed": x.flags.f_contiguous,
        "strided": x.strides == (128, 16),
        "reversed": x.strides == (-32, -8),
        "repeated": x.strides == (0, 0),
        "misaligned": not x.flags.aligned,
        "byte-swapped": not x.dtype.isnative,
    }[layout]


@given(data=st.data())
def test_strategies_draw_what_they_say(data):
    strategies = testing.strategies
    shapes = data.draw(strategies.broadcastable_shapes(3))
    np.broadcast_shapes(*shapes)
    t = data.draw(
        strategies.tensors(tg.domains.Reals(1, 2, avoid=(1.5,)), shape=(3, 4), dtype=np.float32)
    )
    assert (
        t.requires_grad
        and t.dtype == np.float32
        and ((t.data >= 1) & (t.data <= 2.1) & (np.abs(t.data - 1.5) > 0.01)).all()
    )
    assert (
        data.draw(strategies.arrays(tg.domains.Integers(0, 2), shape=strategies.shapes())).dtype
        == np.int64
    )


def test_without_hypothesis_the_strategies_say_what_to_install(monkeypatch):
    monkeypatch.delitem(sys.modules, "tinygrad_edu.testing.strategies", raising=False)
    monkeypatch.delattr(testing, "strategies", raising=False)
    monkeypatch.setitem(sys.modules, "hypothesis", None)
    with pytest.raises(ImportError, match="pip install hypothesis"):
        _ = testing.strategies
