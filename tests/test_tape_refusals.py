"""What a tape would freeze unseen is refused while a function of Values is compiled."""

from __future__ import annotations

import math
import random
import threading

import numpy as np
import pytest

import tinygrad_edu as tg
from tinygrad_edu.compiler.tape import compile_scalars
from tinygrad_edu.errors import CompileError
from tinygrad_edu.kernels.tape import OPERATIONS
from tinygrad_edu.scalar import MLP, Value

needs_c = pytest.mark.skipif(not OPERATIONS, reason="tapes run in C")


W = Value(1.5)


def reads_data(x):
    return x if x.data > 0 else -x


def reads_a_parameter(x):
    return W * x if W.data > 0 else x


def makes_a_float(x):
    return W * math.exp(x)


def branches(x):
    return W * x if x > 0 else -x


def branches_on_equality(x):
    return W * x if x == 0 else -x


def takes_the_larger(x):
    return max(W * x, W)


def counts(x):
    return sum(W * x for _ in range(x))


def is_truthy(x):
    return W * x if W else x


def trains(x):
    loss = W * x
    loss.backward()
    return loss


def reads_a_gradient(x):
    return W * x + W.grad


def assigns(x):
    W.data = 2.0
    return W * x


def hides(x):
    with tg.no_grad():
        scale = W * 2
    return scale * x * W


def draws(x):
    return W * x * random.random()


def draws_a_batch(x):
    return sum(W * x for _ in range(random.choice([1, 2, 3, 4] * 1000)))


def wraps(x):
    return Value(x) * W


def returns_none(x):
    W * x


def returns_a_model(x):
    return MLP(1, [1])


CANNOT = [
    (reads_data, "traced-value", "reads the number"),
    (reads_a_parameter, "traced-value", "reads the number"),
    (makes_a_float, "traced-value", r"v\.exp\(\)"),
    (branches, "traced-value", r"tg\.where"),
    (branches_on_equality, "traced-value", "branches"),
    (takes_the_larger, "traced-value", r"tg\.maximum"),
    (counts, "traced-value", "partial"),
    (is_truthy, "traced-value", "branches"),
    (trains, "cannot-compile", "return the loss"),
    (reads_a_gradient, "cannot-compile", "reads a .grad"),
    (assigns, "cannot-compile", "assigns"),
    (hides, "cannot-compile", "no_grad"),
    (draws, "cannot-compile", "Draw random numbers outside"),
    (wraps, "cannot-compile", r"leave Value\(\.\.\.\) out"),
    (returns_none, "cannot-compile", "without a Value"),
    (returns_a_model, "cannot-compile", "a MLP"),
]


@pytest.mark.parametrize(
    ("function", "code", "says"), CANNOT, ids=lambda x: getattr(x, "__name__", "")
)
def test_what_would_be_frozen_is_refused_and_nothing_stays_changed(function, code, says):
    before = dict(vars(Value))
    fast = compile_scalars(function)
    for _ in range(2):
        with pytest.raises(CompileError, match=says) as raised:
            fast(0.5)
        assert raised.value.code == code
    assert dict(vars(Value)) == before
    assert (W.data, W.grad, bool(W), W == 1.5, W > 0) == (1.5, 0, True, True, True)


def test_what_changes_from_run_to_run_is_refused():
    random.seed(0)
    with pytest.raises(CompileError, match="then"):
        compile_scalars(draws_a_batch)(1.0)
    kept = []
    with pytest.raises(CompileError, match="other Values"):
        compile_scalars(lambda x: (kept.append(Value(2.0)), kept[-1] * x)[1])(1.0)


@pytest.mark.parametrize(
    "argument", [MLP(1, [1]), tg.ones(2), {1.0}, np.array(["a"]), 1j], ids=repr
)
def test_arguments_of_other_kinds_are_refused(argument):
    with pytest.raises(CompileError, match="arguments"):
        compile_scalars(lambda x: W * 2)(argument)


@needs_c
def test_an_operation_that_tapes_do_not_know_is_refused():
    with pytest.raises(CompileError, match=r"sum, which a tape does not know"):
        compile_scalars(lambda x: tg.sum(W * x))(1.0)


def test_a_print_while_compiling_shows_no_number():
    shown = []
    compile_scalars(lambda x: (shown.append(f"{x} {W * x}"), W * x)[1])(2.0)
    assert shown[:2] == ["<Value, being compiled> <Value, being compiled>"] * 2


def test_instead_of_a_branch():
    """What the refusals advise works."""
    w = Value(0.5)
    fast = compile_scalars(
        lambda x: tg.where(x > w, x * w, w) + tg.maximum(x, w) + abs(w - x) + tg.clip(x * w, 0, 1)
    )
    for x in (0.25, 3.0):
        w.grad = 0
        out = fast(x)
        out.backward()
        big = x > 0.5
        clipped = 0 < x * 0.5 < 1
        assert out.data == (x / 2 if big else 0.5) + max(x, 0.5) + abs(x - 0.5) + min(x / 2, 1)
        slopes = (x if big else 1) + (0 if big else 1) + (-1 if big else 1) + (x if clipped else 0)
        assert w.grad == slopes


def test_other_threads_see_values_as_ever_while_one_compiles():
    inside, done = threading.Event(), threading.Event()

    def slow(x):
        inside.set()
        assert done.wait(10)
        return W * x

    compiler = threading.Thread(target=lambda: compile_scalars(slow)(2.0))
    compiler.start()
    assert inside.wait(10)
    v = Value(3.0)
    (v * v).backward()
    seen = (v.data, v.grad, float(v), bool(v), v == 3, v > 4)
    v.data, v.grad = 4.0, 0
    done.set()
    compiler.join()
    assert seen == (3, 6, 3, True, True, False) and (v.data, v.grad) == (4, 0)
