"""What a newcomer is told: each usual mistake with the graph, made on purpose, with the words that
name what happened and the way out."""

from __future__ import annotations

import math
import warnings

import numpy as np
import pytest

import tinygrad_edu as tg
from tinygrad_edu.errors import CallError, GradientWarning, GraphError, RangeError, ShapeError
from tinygrad_edu.scalar import Value

LOST = "leaves-the-graph"


def leaf(*numbers):
    return tg.Tensor(np.array(numbers, dtype=np.float64), requires_grad=True)


def refused(action, code, *words, kind=GraphError):
    """`action` raises `kind` with the code, and says each of the words."""
    with pytest.raises(kind) as raised:
        action()
    assert raised.value.code == code
    for word in words:
        assert word in str(raised.value), f"{word!r} is not in: {raised.value}"


# --------------------------------------------------------------------------- writing into tensors


def add_in_place(t):
    t += 1.0


def subtract_in_place(t):
    t -= 1.0


def multiply_in_place(t):
    t *= 2.0


@pytest.mark.parametrize("write", [add_in_place, subtract_in_place, multiply_in_place])
def test_an_operator_in_place_on_a_parameter_is_refused_with_the_way_out(write):
    refused(lambda: write(leaf(1.0)), "in-place-on-recorded", "x = x + 1", "no_grad()")


@pytest.mark.parametrize("make", [leaf, lambda *n: leaf(*n) * 2.0], ids=["leaf", "computed"])
def test_an_assignment_into_a_recorded_tensor_is_refused_with_the_way_out(make):
    refused(
        lambda: make(1.0, 2.0).__setitem__(0, 5.0), "in-place-on-recorded", "tg.where", "no_grad()"
    )


def test_an_assignment_of_a_recorded_tensor_is_refused():
    refused(lambda: tg.zeros(2).__setitem__(0, leaf(1.0).sum()), "in-place-on-recorded", "tg.stack")


def test_under_no_grad_a_parameter_is_written_and_stays_the_parameter():
    w = leaf(1.0, 2.0)
    kept, memory = w, w.data
    with tg.no_grad():
        w -= 0.5
        w[0] = 4.0
    assert w is kept and w.data is memory and w.requires_grad
    np.testing.assert_array_equal(memory, [4.0, 1.5])
    with tg.no_grad(), pytest.raises(ShapeError, match=r"\(3, 2\).*\(2,\)"):
        w += np.ones((3, 2))


def test_in_place_operators_make_new_tensors_of_all_others():
    """`total += loss` is how losses are summed."""
    w, total = leaf(1.0, 2.0), tg.zeros(())
    first = total
    for _ in range(2):
        total += (w * w).sum()
    total.backward()
    assert first.item() == 0
    np.testing.assert_array_equal(w.grad.data, [4.0, 8.0])


@pytest.mark.parametrize(
    "write",
    [
        lambda t: t.data.__setitem__(..., 0.0),
        lambda t: t.data.__setitem__(0, 0.0),
        lambda t: t.data.fill(0.0),
        lambda t: np.multiply(t.data, 2.0, out=t.data),
        lambda t: (t.data, t.data.fill(0.0), t.data),
    ],
    ids=["[...]", "[0]", "fill", "out=", "looked at before and after"],
)
@pytest.mark.parametrize("make", [leaf, lambda *n: tg.exp(leaf(*n))], ids=["leaf", "computed"])
def test_a_write_through_data_between_forward_and_backward_is_refused(make, write):
    t = make(1.0, 2.0)
    loss = (t * t).sum()
    write(t)
    refused(loss.backward, "overwritten-before-backward", "multiply", "before the change")


def test_looking_at_data_is_no_write():
    w = leaf(1.0, 2.0)
    w.data[...] = [3.0, 4.0]
    out = tg.exp(w)
    loss = (out * w).sum()
    assert w.data.sum() == 7 and out.data.size == 2 and loss.data > 0
    loss.backward()
    np.testing.assert_allclose(w.grad.data, np.exp([3, 4]) * [4, 5], rtol=1e-14)


def test_a_training_by_hand_through_data_goes_on():
    w = leaf(1.0)
    for _ in range(3):
        w.grad = None
        (w * w).sum().backward()
        w.data[...] = w.data - 0.25 * w.grad.data
    assert w.item() == 0.125


# --------------------------------------------------------------------------------------- backward


def test_a_second_backward_says_what_to_do():
    loss = (leaf(1.0) * 2).sum()
    loss.backward()
    refused(loss.backward, "backward-twice", "sum", "forward", "retain_graph=True")


def no_grad_loss():
    with tg.no_grad():
        return (leaf(1.0) * 2).sum()


@pytest.mark.parametrize(
    "loss, reason",
    [
        (no_grad_loss, "no_grad()"),
        (lambda: no_grad_loss() * 2, "no_grad()"),
        (lambda: (leaf(1.0) * 2).sum().detach(), "detach()"),
        (lambda: ((leaf(1.0) * 2).detach() * 3).sum(), "detach()"),
        (lambda: (leaf(1.0) > 0).sum(), "greater has no derivative"),
        (lambda: tg.argmax(leaf(1.0, 2.0)), "argmax has no derivative"),
        (lambda: tg.Tensor((leaf(1.0) * 2).data).sum(), "plain numbers"),
        (lambda: (tg.tensor([1.0]) * 2).sum(), "without requires_grad=True"),
    ],
)
def test_a_detached_loss_says_what_cut_it_off_as_far_as_that_is_known(loss, reason):
    made = loss()
    refused(made.backward, "detached-loss", reason, "requires_grad=True")


def test_a_loss_of_values_under_no_grad_says_so():
    with tg.no_grad():
        loss = Value(2.0) * 3
    refused(loss.backward, "detached-loss", "no_grad()")


# -------------------------------------------------------------------------------------- zero_grad


def train(steps, *, clear, backwards=1, make=lambda w: tg.optim.SGD([w], lr=0.1)):
    w = leaf(1.0, 2.0)
    optimizer = make(w)
    for _ in range(steps):
        clear(w, optimizer)
        for _ in range(backwards):
            (w * w).sum().backward()
        optimizer.step()


def test_a_missing_zero_grad_is_warned_of_once_at_the_second_step():
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        train(5, clear=lambda w, optimizer: None)
    (warning,) = caught
    assert warning.category is GradientWarning and warning.filename == __file__
    assert "optimizer.zero_grad()" in str(warning.message)
    assert str(warning.message).endswith("[missing-zero-grad]")


def test_as_an_error_it_is_raised_before_anything_is_done():
    w = leaf(1.0)
    optimizer = tg.optim.SGD([w], lr=0.25)
    (w * w).sum().backward()
    optimizer.step()
    (w * w).sum().backward()
    with pytest.raises(GradientWarning):
        optimizer.step()
    assert w.item() == 0.5


@pytest.mark.parametrize(
    "clear",
    [
        lambda w, optimizer: optimizer.zero_grad(),
        lambda w, optimizer: setattr(w, "grad", None),
        lambda w, optimizer: w.grad is not None and w.grad.data.fill(0.0),
        lambda w, optimizer: w.grad is not None and w.grad.__setitem__(..., 0.0),
        lambda w, optimizer: setattr(w, "grad", tg.zeros_like(w)),
    ],
    ids=["zero_grad", "None", "data zeroed", "zeroed", "zeros"],
)
@pytest.mark.parametrize("backwards", [1, 3])
def test_sums_that_are_meant_are_not_warned_of(clear, backwards):
    train(3, clear=clear, backwards=backwards)  # a warning is an error here


def test_two_steps_on_one_gradient_and_two_optimizers_in_turn_are_not_warned_of():
    a, b = leaf(1.0), leaf(2.0)
    first, second = tg.optim.SGD([a], lr=0.1), tg.optim.Adam([b], lr=0.1)
    for _ in range(3):
        for optimizer in (first, second):  # each clears its own, as in adversarial training
            optimizer.zero_grad()
            (a * b).sum().backward()
            optimizer.step()
    second.step()


# ----------------------------------------------------------------------- numbers out of the graph


@pytest.mark.parametrize(
    "convert",
    [float, int, complex, math.sin, lambda t: [0.0, 1.0].__setitem__(0, math.exp(t))],
    ids=["float", "int", "complex", "math.sin", "math.exp"],
)
def test_a_number_of_a_tensor_that_requires_grad_is_asked_for_explicitly(convert):
    with pytest.warns(tg.GradientWarning) as given:
        convert(leaf(1.0).sum())
    (warning,) = given
    message = str(warning.message)
    assert "t.item()" in message and "tg.sin" in message and message.endswith(f"[{LOST}]")
    assert warning.filename == __file__, "the line is the caller's"


@pytest.mark.parametrize(
    "convert",
    [
        np.asarray,
        np.array,
        np.float64,
        tg.Tensor.numpy,
        lambda t: np.array([t, t]),
        lambda t: tg.tensor([t, t]),
    ],
    ids=["asarray", "array", "float64", "numpy()", "array of tensors", "tg.tensor of tensors"],
)
def test_an_array_of_a_tensor_that_requires_grad_is_asked_for_explicitly(convert):
    refused(lambda: convert(leaf(1.0).sum()), LOST, "t.detach().numpy()", "tg.stack")


def test_what_does_not_require_grad_converts_quietly():
    t = (tg.tensor([1.5]) * 2).sum()
    assert float(t) == 3.0 and int(t) == 3 and math.sqrt(t + 1) == 2 and np.asarray(t) == 3
    assert np.array([t, t]).tolist() == [3, 3]


def test_reading_is_not_refused():
    loss = (leaf(1.0) * 1.5).sum()
    assert loss.item() == 1.5 and loss.tolist() == 1.5 and float(loss.detach()) == 1.5
    assert f"{loss:.3f}" == "1.500" and f"{loss}".startswith("tensor(1.5") and loss
    with pytest.raises(ValueError, match="holds 2 elements"):
        format(leaf(1.0, 2.0), ".3f")


def test_a_schedule_reads_a_loss_that_requires_grad():
    optimizer = tg.optim.SGD([leaf(1.0)], lr=0.1)
    tg.optim.lr_scheduler.ReduceLROnPlateau(optimizer).step((leaf(1.0) * 2).sum())


def test_ragged_lists_given_to_an_operation_are_named():
    refused(lambda: tg.sum([[1.0], [1.0, 2.0]]), "ragged-rows", "sum", kind=ShapeError)


def test_a_value_and_a_tensor_that_requires_grad_do_not_mix():
    for mixed in (lambda: Value(2.0) * leaf(3.0), lambda: leaf(3.0) * Value(2.0)):
        refused(mixed, "value-or-tensor", "Value", kind=CallError)
    assert (Value(2.0) * tg.tensor([3.0])).data == 6.0


# -------------------------------------------------------- NumPy's own refusals, modules, training


def test_numpys_refusals_name_the_operation_and_the_shapes():
    x, y = leaf(1.0, 2.0), leaf(1.0, 2.0, 3.0)
    for operation in (lambda: x + y, lambda: tg.add(x.data, y.data)):
        refused(operation, "shape-mismatch", "add: shapes (2,) and (3,)", "right", kind=ShapeError)
    refused(
        lambda: x[5], "index-out-of-range", "getitem: x of shape (2,): index 5", kind=RangeError
    )
    refused(lambda: x.sum(axis=3), "index-out-of-range", "sum", "axis 3", kind=RangeError)
    refused(
        lambda: tg.transpose(x, axes=(0, 1)), "shape-mismatch", "transpose: x of", kind=ShapeError
    )


def test_an_error_within_a_module_names_the_layer():
    class Net(tg.nn.Module):
        def __init__(self):
            self.head = Head()

        def forward(self, x):
            return self.head(x)

    class Head(tg.nn.Module):
        def forward(self, x):
            return x * np.asarray(x.sum())

    refused(lambda: Net()(leaf(1.0, 2.0)), LOST, "(in head.Head())")


@pytest.mark.parametrize(
    "loss, kind, code, words",
    [
        (lambda p, t: p.sum().item(), CallError, "wrong-type", ".item()"),
        (lambda p, t: p.detach().sum(), GraphError, "detached-loss", "detach()"),
        (lambda p, t: p.sum(axis=0), ShapeError, "non-scalar-loss", "reduction"),
        (lambda p, t: p.sum() * math.inf, tg.AnomalyError, "non-finite-loss", "epoch 1, batch 1"),
    ],
)
def test_fit_says_what_is_wrong_with_a_loss(loss, kind, code, words):
    model = tg.nn.Linear(2, 2, rng=0)
    optimizer = tg.optim.SGD(model.parameters(), lr=0.1)
    data = (np.ones((4, 2), np.float32), np.zeros(4, np.int64))
    refused(lambda: tg.train.fit(model, loss, optimizer, data, metrics=()), code, words, kind=kind)


@pytest.mark.filterwarnings("ignore::RuntimeWarning")  # NumPy's kernels, at log(0) and 1 / sqrt(0)
def test_an_anomaly_names_the_operation_and_the_users_line_forward_and_backward():
    layer = tg.nn.Linear(1, 1, rng=0)
    layer.weight.data[...] = 0.0
    layer.bias.data[...] = 0.0
    x = tg.ones((1, 1))
    with tg.detect_anomaly():
        refused(
            lambda: tg.log(layer(x)), "non-finite-number", "log, forward", "tg.log(layer(x))",
            kind=tg.AnomalyError,
        )  # fmt: skip
        root = tg.sqrt(layer(x)).sum()
        refused(
            root.backward, "non-finite-number", "sqrt, backward", "root = tg.sqrt(layer(x)).sum()",
            kind=tg.AnomalyError,
        )  # fmt: skip
        refused(
            lambda: Value(0.0) / Value(0.0), "non-finite-number", "divide, forward", "Value(0.0)",
            kind=tg.AnomalyError,
        )  # fmt: skip
