"""One formula serves every payload: floats, arrays, Tensors (also while a derivative is
differentiated) and traced arrays give the same numbers, for every row."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from strategies import call, differentiable, elementwise, name, rows, samples

import tinygrad_edu as tg
from tinygrad_edu.compiler import trace
from tinygrad_edu.scalar import Value

# One rounding of the formula may differ from one of the kernel in each of a few places.
CLOSE = {"rtol": 1e-13, "atol": 1e-13}


def leaves_of(arrays):
    return [tg.Tensor(x, requires_grad=x.dtype.kind == "f") for x in arrays]


def gradients(op, arrays, params, u, **how):
    """[output, gradient of each floating input] of one eager forward and backward."""
    leaves = leaves_of(arrays)
    out = call(op, leaves, params)
    if not op.differentiable:
        return [out.data]
    out.backward(u, **how)
    return [out.data, *(leaf.grad.data for leaf in leaves if leaf.grad is not None)]


def traced_gradients(op, params, u):
    """The same as a function of traced arrays."""

    def function(*arrays):
        leaves = []
        for x in arrays:
            leaf = tg.Tensor._of(x)
            leaf.requires_grad = x.dtype.kind == "f"
            leaves.append(leaf)
        out = call(op, leaves, params)
        if not op.differentiable:
            return [out.payload]
        out.backward(u)
        return [out.payload, *(leaf.grad.payload for leaf in leaves if leaf.grad is not None)]

    return function


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("op", rows(), ids=name)
@given(data=st.data())
def test_array_in_array_out_is_the_recorded_forward(op, dtype, data):
    """Plain arrays give a plain array, bit for bit what Tensors give; nothing is recorded."""
    inputs, params = data.draw(samples(op, dtype))
    plain = call(op, inputs, params)
    plain = plain[0] if op.stash else plain
    recorded = call(op, leaves_of(inputs), params).data
    assert not isinstance(plain, tg.Tensor)
    np.testing.assert_array_equal(plain, recorded, strict=np.ndim(plain) > 0)


@pytest.mark.parametrize("op", rows(differentiable), ids=name)
@given(data=st.data())
def test_create_graph_gives_the_same_gradients(op, data):
    inputs, params = data.draw(samples(op))
    u = np.random.default_rng(0).normal(size=call(op, leaves_of(inputs), params).shape)
    for plain, graphed in zip(
        gradients(op, inputs, params, u),
        gradients(op, inputs, params, u, create_graph=True),
        strict=True,
    ):
        np.testing.assert_allclose(graphed, plain, **CLOSE, strict=True)


@pytest.mark.parametrize("op", rows(), ids=name)
@given(data=st.data())
def test_traced_forward_and_gradient_replay_on_other_numbers(op, data):
    """A program recorded on some inputs gives, on others of the same shapes, what eager mode gives
    there."""
    inputs, params = data.draw(samples(op))
    rng = np.random.default_rng(1)
    others = [
        rng.permutation(np.array(x).reshape(-1)).reshape(x.shape)
        if op.cases is not None or op.arity == 1
        else x[...]
        for x in inputs
    ]
    u = rng.normal(size=call(op, leaves_of(inputs), params).shape)
    program = trace(traced_gradients(op, params, u), inputs)
    for arrays in (inputs, others):
        expected = gradients(op, arrays, params, u)
        for got, wanted in zip(program.run(*arrays), expected, strict=True):
            np.testing.assert_allclose(got, wanted, **CLOSE)
            assert got.dtype == wanted.dtype and got.shape == wanted.shape


SCALAR = rows(lambda op: elementwise(op) and op.method)


@pytest.mark.parametrize("op", SCALAR, ids=name)
@given(data=st.data())
def test_float_in_float_out_is_the_array_forward(op, data):
    inputs, _ = data.draw(samples(op).filter(lambda s: all(x.size for x in s[0])))
    numbers = [x.reshape(-1)[0].item() for x in inputs]
    got = op.function(*numbers)
    wanted = op.function(*(np.asarray(number) for number in numbers))
    assert type(got) in (float, int, bool)
    assert got == pytest.approx(np.asarray(wanted).item(), rel=1e-14, abs=1e-14)


@pytest.mark.parametrize("op", [op for op in SCALAR if op.differentiable], ids=name)
@given(data=st.data())
def test_value_gives_the_gradients_of_the_tensor(op, data):
    """Output, first and second derivative of a Value are those of a Tensor of shape ()."""
    inputs, _ = data.draw(samples(op).filter(lambda s: all(x.size for x in s[0])))
    numbers = [x.reshape(-1)[0].item() for x in inputs]
    values = [Value(number) for number in numbers]
    tensors = [tg.Tensor(np.asarray(number), requires_grad=True) for number in numbers]
    out, tensor_out = op.function(*values), op.function(*tensors)
    assert out.data == pytest.approx(tensor_out.item(), rel=1e-14, abs=1e-14)
    out.backward(create_graph=True)
    tensor_out.backward(create_graph=True)
    firsts, tensor_firsts = [v.grad for v in values], [t.grad for t in tensors]
    for got, wanted in zip(firsts, tensor_firsts):
        assert float(got) == pytest.approx(wanted.item(), rel=1e-13, abs=1e-13)
    if not (isinstance(firsts[0], Value) and tensor_firsts[0].requires_grad):
        return
    for leaf in (*values, *tensors):
        leaf.grad = 0 if isinstance(leaf, Value) else None
    firsts[0].backward()
    tensor_firsts[0].backward()
    for got, wanted in zip(values, tensors):
        assert float(got.grad) == pytest.approx(
            wanted.grad.item() if wanted.grad else 0.0, rel=1e-12, abs=1e-12
        )


@pytest.mark.parametrize("op", [op for op in SCALAR if op.differentiable], ids=name)
def test_value_method_is_the_function(op):
    domain = op.domain[0]
    numbers = [0.25 * domain.low + 0.75 * domain.high] * op.arity
    first, *rest = (Value(number) for number in numbers)
    assert getattr(first, op.name)(*rest).data == op.function(*numbers)


def test_a_traced_step_of_a_network_replays():
    """Forward, backward and update of a two-layer network, traced once, replayed on new data and
    weights."""
    rng = np.random.default_rng(0)
    shapes = [(6, 3), (4, 3), (4,), (2, 4), (2,)]
    labels = np.array([0, 1, 1, 0, 1, 0])

    def step(*arrays):
        x, *weights = (
            tg.Tensor._of(a) if not isinstance(a, np.ndarray) else tg.Tensor(a) for a in arrays
        )
        for w in weights:
            w.requires_grad = True
        hidden = tg.linear(x, weights[0], weights[1], activation="tanh")
        loss = tg.nn.functional.cross_entropy(tg.linear(hidden, weights[2], weights[3]), labels)
        loss.backward()
        return [loss.payload, *((w.payload - 0.1 * w.grad.payload) for w in weights)]

    draw = [[rng.normal(size=shape) for shape in shapes] for _ in range(2)]
    program = trace(step, draw[0])
    for got, wanted in zip(program.run(*draw[1]), step(*draw[1]), strict=True):
        np.testing.assert_allclose(got, wanted, **CLOSE)


def test_a_traced_value_refuses_to_be_a_branch_or_a_number():
    def branches(x):
        return x if tg.sum(x) > 0 else -x

    with pytest.raises(TypeError, match="where"):
        trace(branches, [np.ones(3)])
    with pytest.raises(TypeError, match="number"):
        trace(lambda x: x * float(x), [np.ones(())])


@pytest.mark.parametrize("payload", [float, np.asarray, tg.tensor, Value])
def test_every_payload_answers_to_the_public_function(payload):
    assert float(tg.tanh(payload(0.5))) == pytest.approx(math.tanh(0.5), rel=1e-6)
