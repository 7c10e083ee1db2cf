"""detect_anomaly: the first NaN or inf, by operation, direction, entry and line; nothing else; and
nothing at all when it is off."""

from __future__ import annotations

import contextlib
import threading

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from strategies import call, differentiable, name, rows, samples

import tinygrad_edu as tg
from tinygrad_edu import anomaly
from tinygrad_edu.scalar import Value
from tinygrad_edu.switch import unusual

pytestmark = pytest.mark.filterwarnings("ignore::RuntimeWarning")  # NumPy's, for what is meant here


def leaf(*numbers, dtype=np.float64):
    return tg.Tensor(np.array(numbers, dtype=dtype), requires_grad=True)


def line_of(mark: str) -> str:
    """The line of this file that ends in the comment `mark`, as a message shows it."""
    with open(__file__) as source:
        lines = source.read().splitlines()
    (number,) = [i for i, line in enumerate(lines, 1) if line.endswith(f"  # {mark}")]
    return f"\n  {__file__}:{number}: {lines[number - 1].strip()}\n"


def caught(function) -> str:
    """What is said when `function` runs under detection."""
    with pytest.raises(tg.AnomalyError) as raised, tg.detect_anomaly():
        function()
    assert not anomaly.watching and not unusual
    return str(raised.value)


# ---------------------------------------------------------------------------------------- forward


def test_a_forward_is_named_with_its_entry_and_its_line():
    def run():
        p = leaf(1.0, 0.0, 2.0, 0.0) * 1.0
        q = tg.log(p)  # the log of 0
        return (q * 0.0).sum().backward()

    said = caught(run)
    assert said.startswith("log, forward: in its output, 2 of 4 entries are not finite")
    assert "the first at (1,): -inf (shape (4,), float64)" in said
    assert "Its inputs: (4,) float64." in said and "They are finite" in said
    assert line_of("the log of 0") in said


def test_the_line_is_the_users_and_not_a_layers():
    model = tg.nn.Linear(2, 2, rng=0)
    model.weight.data[...] = 3e38

    def run():
        model(tg.full((1, 2), 10.0))  # through a layer

    said = caught(run)
    assert said.startswith("linear, forward: ") and line_of("through a layer") in said


@pytest.mark.parametrize("position", [0, 1])
def test_an_input_that_was_not_finite_before_is_named_as_such(position):
    inputs = [leaf(1.0, 2.0), leaf(3.0, 4.0)]
    inputs[position].data[1] = np.nan
    said = caught(lambda: tg.multiply(*inputs))
    assert f"It starts before this operation: input {position}, a leaf" in said
    assert "the first at (1,): nan" in said
    early = tg.log(leaf(0.0))
    said = caught(lambda: early + 1)
    assert "input 0, the output of log, computed while nobody looked" in said
    assert "a leaf or a constant" in caught(lambda: leaf(1.0) * np.inf)


def test_the_numpy_protocol_and_no_grad_are_watched_too():
    assert caught(lambda: np.log(leaf(0.0))).startswith("log, forward")
    assert caught(lambda: tg.no_grad()(tg.exp)(leaf(1e4))).startswith("exp, forward")


# --------------------------------------------------------------------------------------- backward


@pytest.mark.parametrize("how", [{}, {"retain_graph": True}, {"create_graph": True}], ids=str)
def test_a_backward_is_named_with_its_input_and_the_line_of_its_forward(how):
    def run():
        x, y = leaf(4.0, 0.0), leaf(2.0, 0.5)
        root = tg.power(x, y)  # the root of 0
        root.sum().backward(**how)

    said = caught(run)
    assert said.startswith("power, backward: in the gradient of input 0, 1 of 2 entries are not")
    assert "the first at (1,): inf (shape (2,), float64)" in said
    assert "Its inputs: (2,) float64, (2,) float64." in said
    assert line_of("the root of 0") in said


def test_the_second_input_is_told_from_the_first():
    tiny = np.float64(1e-200)

    def run():
        (leaf(1.0) / tg.Tensor(np.array([tiny]), requires_grad=True)).sum().backward()

    assert "divide, backward: in the gradient of input 1" in caught(run)


def test_a_gradient_that_no_operation_passed_on():
    x = leaf(1.0, 2.0)
    said = caught(lambda: (x * 2.0).backward(np.array([1.0, np.nan])))
    assert said.startswith("multiply, backward: in the gradient of the output of multiply")
    assert "(1,): nan" in said and "given to backward()" in said

    large = leaf(1.0, dtype=np.float32)
    said = caught(lambda: (large * 3e38 + large * 3e38 - large).sum().backward())
    assert said.startswith("add, forward")  # the sum itself is too large

    large = leaf(0.0, dtype=np.float32)
    loss = (large * 3e38 + large * 3e38).sum()
    said = caught(lambda: loss.backward())  # a leaf
    assert said.startswith("leaf, backward: in the gradient of a leaf") and "too large" in said
    assert line_of("a leaf") in said

    x.register_hook(lambda g: g * np.inf)
    assert "a leaf" in caught(lambda: (x * 2.0).backward(tg.Tensor(np.zeros(2))))


def test_a_forward_without_detection_has_no_line_and_says_how_to_get_it():
    y = tg.sqrt(leaf(0.0)).sum()
    said = caught(y.backward)
    assert said.startswith("sqrt, backward") and "Run the forward within detect_anomaly()" in said


def test_no_gradient_is_written_by_a_backward_that_is_stopped():
    x, y = leaf(0.0), leaf(1.0)
    caught(lambda: (tg.sqrt(x) + y).sum().backward())
    assert x.grad is None and y.grad is None


def test_a_derivative_of_a_derivative_and_the_transforms():
    def three_halves(x):
        return (x**1.5).sum()

    with tg.detect_anomaly():
        np.testing.assert_array_equal(tg.grad(three_halves)(np.zeros(1)), 0)
    said = caught(lambda: tg.hessian(three_halves)(np.zeros(1)))  # curved without bound
    assert said.startswith("power, backward: in the gradient of input 0")
    said = caught(lambda: tg.vjp(tg.exp, np.zeros(2))[1](np.array([1.0, np.inf])))
    assert said.startswith("cotangents, backward")


# ------------------------------------------------------------------------------------------ Values


@pytest.mark.parametrize(
    "run, start",
    [
        (lambda: Value(1e200) * Value(1e200), "multiply, forward: in its output, 1 of 1 entry is"),
        (lambda: Value(0.0).log(), "log, forward"),
        (lambda: Value(1.0) / 0.0, "divide, forward"),
        (lambda: (Value(0.0) ** 0.5).backward(), "power, backward: in the gradient of input 0"),
        (lambda: Value(0.0).sqrt().backward(create_graph=True), "sqrt, backward"),
    ],
    ids=lambda x: x if isinstance(x, str) else "",
)
def test_values(run, start):
    said = caught(run)
    assert said.startswith(start) and f"{__file__}:" in said


# ------------------------------------------------------------------------------ the whole table


def broken(op, position):
    """The row with a gradient of NaN for one of its inputs."""
    made = object.__new__(type(op))
    for slot in op.__slots__:
        setattr(made, slot, getattr(op, slot))
    made.vjps = list(op.vjps)
    made.vjps[position] = lambda g, _out, *xs, **_params: np.full(xs[position].shape, np.nan)
    made.joint = made.kernel_vjp = None
    return made


@pytest.mark.parametrize("op", rows(differentiable), ids=name)
@given(data=st.data())
def test_every_row_on_its_domain_is_left_alone(op, data):
    """Forward, backward and with create_graph, where a formula may compute an inf and discard it:
    no alarm, and the same numbers."""
    inputs, params = data.draw(samples(op))
    results = []
    for watch in (False, True):
        tensors = [tg.Tensor(x, requires_grad=x.dtype.kind == "f") for x in inputs]
        with tg.detect_anomaly() if watch else contextlib.nullcontext():
            for how in (False, True):
                out = call(op, tensors, params)
                out.backward(np.ones(out.shape, out.dtype), create_graph=how)
        results.append([out.data, *(t.grad.data for t in tensors if t.grad is not None)])
    for plain, watched in zip(*results):
        np.testing.assert_array_equal(plain, watched)


@pytest.mark.parametrize("op", rows(lambda op: op.vjps and any(op.vjps)), ids=name)
@given(data=st.data())
def test_every_row_with_a_wrong_gradient_is_named(op, data):
    inputs, params = data.draw(samples(op))
    params = {**op.defaults, **params}
    for position, vjp in enumerate(op.vjps):
        if vjp is None or position >= len(inputs) or not inputs[position].size:
            continue
        tensors = [tg.Tensor(x, requires_grad=x.dtype.kind == "f") for x in inputs]

        def run(tensors=tuple(tensors), position=position):
            out = tg.Tensor.record(broken(op, position), tensors, params)  # a broken row
            out.sum().backward()

        said = caught(run)
        assert said.startswith(f"{op.name}, backward: in the gradient of input {position}, ")
        assert line_of("a broken row") in said


# ------------------------------------------------------------------------------- on, off, threads


def test_off_nothing_is_raised_and_nothing_remembered():
    before = set(anomaly._called_at)  # what the tracebacks of other tests still hold
    y, v = tg.sqrt(leaf(0.0)).sum(), Value(0.0) ** 0.5
    y.backward()
    v.backward()
    assert tg.log(leaf(0.0)).data[0] == -np.inf and not set(anomaly._called_at) - before


def test_what_is_remembered_dies_with_the_graph():
    before = set(anomaly._called_at)
    with tg.detect_anomaly():
        y = tg.exp(leaf(1.0)) * 2.0
        assert id(y) in anomaly._called_at and len(set(anomaly._called_at) - before) == 2
        del y
        assert not set(anomaly._called_at) - before


def test_it_nests_decorates_and_survives_errors():
    with tg.detect_anomaly():
        with tg.detect_anomaly():
            pass
        with pytest.raises(FloatingPointError):
            tg.log(leaf(0.0))
    with pytest.raises(tg.AnomalyError):
        tg.detect_anomaly()(tg.log)(leaf(0.0))
    assert not anomaly.watching and not unusual
    tg.log(leaf(0.0))


def test_it_is_of_one_thread():
    inside, leave = threading.Event(), threading.Event()

    def watch():
        with tg.detect_anomaly():
            inside.set()
            leave.wait(10)

    thread = threading.Thread(target=watch)
    thread.start()
    assert inside.wait(10)
    x = leaf(0.0)
    tg.sqrt(x).sum().backward()
    Value(0.0).log()
    leave.set()
    thread.join()
    assert x.grad.item() == np.inf
