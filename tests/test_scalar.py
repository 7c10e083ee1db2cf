"""The scalar engine: micrograd's interface, micrograd's numbers, and the same network as
matrices."""

from __future__ import annotations

import math
import random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tinygrad_edu as tg
from tinygrad_edu.errors import GraphError
from tinygrad_edu.scalar import MLP, Layer, Neuron, Value
from tinygrad_edu.testing import gradcheck, gradgradcheck  # noqa: F401


def small_expression(value):
    """Every node used more than once: (input, output)."""
    x = value(-4.0)
    z = 2 * x + 2 + x
    q = z.relu() + z * x
    h = (z * z).relu()
    return x, h + q + q * x


def large_expression(value):
    """Addition, multiplication, powers, division, relu, reflected operators: (a, b, output)."""
    a, b = value(-4.0), value(2.0)
    c = a + b
    d = a * b + b**3
    c = c + c + 1
    c = c + 1 + c + (-a)
    d = d + d * 2 + (b + a).relu()
    d = d + 3 * d + (b - a).relu()
    e = c - d
    f = e**2
    g = f / 2.0
    return a, b, g + 10.0 / f


# What micrograd 0.1.0 gives for the two expressions.
SMALL = (-20.0, 46.0)
LARGE = (24.70408163265306, 138.8338192419825, 645.5772594752186)


def test_the_numbers_stored_here_are_micrograds():
    micrograd = pytest.importorskip("micrograd.engine")
    x, y = small_expression(micrograd.Value)
    y.backward()
    assert (y.data, x.grad) == SMALL
    a, b, g = large_expression(micrograd.Value)
    g.backward()
    assert (g.data, a.grad, b.grad) == pytest.approx(LARGE, rel=1e-14)


def test_a_small_expression_has_micrograds_gradients():
    x, y = small_expression(Value)
    y.backward()
    assert (y.data, x.grad) == SMALL


def test_a_large_expression_has_micrograds_gradients():
    a, b, g = large_expression(Value)
    g.backward()
    assert (g.data, a.grad, b.grad) == pytest.approx(LARGE, rel=1e-14)


def test_micrograds_network_gives_the_same_loss_and_gradients():
    """The same seed draws the same weights in the same order, and one hinge-loss step has the same
    numbers."""
    micrograd = pytest.importorskip("micrograd.nn")
    results = []
    for network in (micrograd.MLP, MLP):
        random.seed(1337)
        model = network(2, [4, 4, 1])
        points = [[0.5, -1.0], [2.0, 1.5], [-0.3, 0.2]]
        loss = sum((1 + -label * model(point)).relu() for point, label in zip(points, (1, -1, 1)))
        loss = loss * (1 / 3) + 1e-4 * sum(p * p for p in model.parameters())
        loss.backward()
        results.append([loss.data, *(p.grad for p in model.parameters())])
    assert results[1] == pytest.approx(results[0], rel=1e-12, abs=1e-14)


def test_the_same_network_as_scalars_and_as_matrices():
    """Forward, loss and every gradient of a 3-5-2 network, to 1e-12."""
    random.seed(7)
    scalars = MLP(3, [5, 2])
    rng = np.random.default_rng(7)
    x, target = rng.normal(size=(6, 3)), rng.normal(size=(6, 2))
    matrices = tg.nn.MLP(3, [5, 2], activation="relu", dtype=np.float64)
    for layer, own in zip(scalars.layers, matrices.layers):
        own.weight.data[...] = [[w.data for w in neuron.w] for neuron in layer.neurons]
        own.bias.data[...] = rng.normal(size=own.bias.shape)
        for neuron, b in zip(layer.neurons, own.bias.data):
            neuron.b.data = float(b)
    loss = sum(
        (o - t) ** 2 for row, wanted in zip(x, target) for o, t in zip(scalars(list(row)), wanted)
    )
    loss.backward()
    matrix_loss = tg.nn.functional.mse_loss(
        matrices(tg.Tensor(x)), tg.Tensor(target), reduction="sum"
    )
    matrix_loss.backward()
    assert loss.data == pytest.approx(matrix_loss.item(), rel=1e-12)
    for layer, own in zip(scalars.layers, matrices.layers):
        np.testing.assert_allclose(
            [[w.grad for w in n.w] for n in layer.neurons],
            own.weight.grad.data,
            rtol=1e-12,
            atol=1e-12,
        )
        np.testing.assert_allclose(
            [n.b.grad for n in layer.neurons], own.bias.grad.data, rtol=1e-12, atol=1e-12
        )


# ---------------------------------------------------------------------------------------- numbers


@given(a=st.floats(-4, 4), b=st.floats(0.5, 3))
def test_gradients_of_values_are_derivatives(a, b):
    """gradcheck takes Values as it takes arrays."""
    gradcheck(
        lambda x, y: (x * y + x.exp() / y - y**1.5).tanh() + x.sin() * y.log(), [Value(a), Value(b)]
    )


@pytest.mark.parametrize(
    "number",
    [np.float64(2), np.float32(2), np.int64(2), 2, True, np.array(2.0), np.array([2.0])],
    ids=repr,
)
def test_numpy_numbers_meet_values(number):
    v = Value(3.0)
    n = float(np.asarray(number).reshape(()))
    for got, wanted in (
        (number * v, n * 3),
        (v * number, 3 * n),
        (number + v, n + 3),
        (number - v, n - 3),
        (v - number, 3 - n),
        (number / v, n / 3),
        (v / number, 3 / n),
        (v**number, 3**n),
        (number**v, n**3),
    ):
        assert (
            isinstance(got, Value)
            and type(got.data) is float
            and got.data == pytest.approx(wanted, rel=1e-15)
        )


@pytest.mark.parametrize("bad", ["1", None, [1.0], np.ones(2), 1j, object()], ids=repr)
def test_what_is_no_number_is_refused(bad):
    with pytest.raises(TypeError, match="real number"):
        Value(bad)
    for meet in (lambda v: v + bad, lambda v: bad * v, lambda v: v**bad):
        with pytest.raises(TypeError):
            meet(Value(1.0))


@pytest.mark.parametrize(
    "compute, wanted",
    [
        (lambda: Value(1.0) / 0, math.inf),
        (lambda: Value(-1.0) / 0.0, -math.inf),
        (lambda: Value(0.0) / 0, math.nan),
        (lambda: 1 / Value(0.0), math.inf),
        (lambda: Value(0.0) ** -1, math.inf),
        (lambda: Value(-1.0) ** 0.5, math.nan),
        (lambda: Value(1000.0).exp(), math.inf),
        (lambda: Value(0.0).log(), -math.inf),
        (lambda: Value(-1.0).log(), math.nan),
        (lambda: Value(-1.0).sqrt(), math.nan),
        (lambda: Value(2.0).arcsin(), math.nan),
        (lambda: Value(10.0) ** 400, math.inf),
        (lambda: Value(math.inf).sin(), math.nan),
        (lambda: Value(-1000.0).sigmoid(), 0.0),
        (lambda: Value(1e4).softplus(), 1e4),
        (lambda: Value(0.0).reciprocal(), math.inf),
        (lambda: Value(math.nan).relu(), math.nan),
        (lambda: Value(1.0).arctanh(), math.inf),
        (lambda: Value(1e3).cosh(), math.inf),
        (lambda: Value(math.inf).floor(), math.inf),
    ],
)
def test_where_math_raises_ieee_answers(compute, wanted):
    """No exception for the arithmetic itself: inf and nan, as arrays give them, forward and
    backward."""
    out = compute()
    assert out.data == pytest.approx(wanted, nan_ok=True, abs=0)
    out.backward()


def test_the_gradient_of_a_division_by_zero_is_infinite():
    x = Value(0.0)
    (1 / x).backward()
    assert x.grad == -math.inf


def test_the_gradient_of_a_root_of_a_negative_number_is_nan_not_complex():
    x = Value(-1.0)
    (x**0.5).backward()
    assert type(x.grad) is float and math.isnan(x.grad)


def test_values_keep_gradients_inside_the_graph_and_after():
    a = Value(2.0, label="a")
    b = a * 3
    c = b * b
    c.backward()
    assert (c.grad, b.grad, a.grad, a.label) == (1.0, 12.0, 36.0, "a")
    c.backward()
    assert a.grad == 72.0, "leaves accumulate"
    assert b.grad == 12.0, "inner values show the last backward"


def test_second_derivative_of_a_value():
    x = Value(2.0)
    (x**4).backward(create_graph=True)
    first, x.grad = x.grad, 0
    first.backward()
    assert (first.data, x.grad) == (32, 48)


def test_comparisons_give_bool_and_hash_is_identity():
    a, b = Value(1.0), Value(2.0)
    assert (
        (a < b) is True and (a >= b) is False and (a == Value(1.0)) is True and len({a, b, a}) == 2
    )
    assert max(a, b) is b and float(b) == 2.0 and bool(Value(0.0)) is False


def test_what_the_drawing_notebooks_ask_for():
    a, b = Value(2.0), Value(3.0)
    c = a * b
    assert (
        c._prev == {a, b}
        and c._op == "*"
        and a._op == ""
        and (c + 1)._op == "+"
        and c.relu()._op == "ReLU"
    )
    assert repr(a) == "Value(data=2.0, grad=0)"


def test_a_value_made_under_no_grad_has_no_graph():
    a = Value(2.0)
    with tg.no_grad():
        b = a * 3
    assert b.op is None and b.data == 6


def test_a_deep_chain_of_values():
    x = Value(1.0)
    y = x
    for _ in range(100_000):
        y = y + x
    y.backward()
    assert x.grad == 100_001
    del y


def test_networks_have_micrograds_shapes():
    model = MLP(2, [16, 16, 1])
    assert len(model.parameters()) == 337
    assert isinstance(model([1.0, -2.0]), Value) and len(Layer(2, 3)([1.0, 2.0])) == 3
    assert repr(Neuron(3)) == "ReLUNeuron(3)" and repr(Neuron(2, nonlin=False)) == "LinearNeuron(2)"
    for p in model.parameters():
        p.grad = 5
    model.zero_grad()
    assert all(p.grad == 0 for p in model.parameters())


def test_the_neuron_refuses_another_number_of_inputs():
    with pytest.raises(ValueError, match="3 inputs for 2 weights"):
        Neuron(2)([1.0, 2.0, 3.0])


def test_a_subclass_of_value_takes_part_like_a_value():
    class Named(Value):
        pass

    a, b = Value(2.0), Named(3.0)
    (a * b + b.relu()).backward()
    assert (a.grad, b.grad) == (3, 3)


def test_a_neuron_takes_values_and_plain_numbers_together():
    neuron, x = Neuron(2, nonlin=False), Value(0.5)
    neuron([x, 4]).backward()
    assert [w.grad for w in neuron.w] == [0.5, 4] and neuron.b.grad == 1
    assert x.grad == neuron.w[0].data


def test_a_value_and_a_tensor_do_not_mix():
    with pytest.raises(TypeError):
        Value(1.0) + tg.ones(2)
    with pytest.raises(TypeError):
        tg.ones(2) + Value(1.0)


def test_backward_from_a_number_overwritten_is_refused_in_scalars_too():
    a = Value(2.0)
    b = a * a
    a.data = 5.0
    with pytest.raises(GraphError):
        b.backward()
