"""tg.compile: arguments and results of every form, layout and dtype."""

from __future__ import annotations

import copy
from collections import namedtuple
from dataclasses import dataclass

import numpy as np
import pytest
from compiled_steps import (
    LABELS,
    ONES,
    World,
    batches,
    leaf,
    programs,
    refused,
)

import tinygrad_edu as tg
from tinygrad_edu.errors import CompileError

F, nn = tg.nn.functional, tg.nn


def test_lists_dicts_named_tuples_and_keywords():
    Batch = namedtuple("Batch", "x y")

    def step(batch, *more, scale=1.0, **named):
        total = batch.x * batch.y + more[0]["a"][0] * scale + named["b"]
        return Batch(total, {"sum": total.sum(), "n": [scale, None, "word"]})

    call = tg.compile(step)
    for k in range(4):
        args = (Batch(ONES * k, ONES), {"a": [ONES * 2]})
        named = {"b": ONES, "scale": float(k // 2)}
        got = call(*args, **named)
        wanted = step(Batch(*map(tg.Tensor, args[0])), {"a": [tg.Tensor(ONES * 2)]}, **named)
        assert type(got) is Batch and got.y["n"] == wanted.y["n"]
        np.testing.assert_array_equal(got.x.data, wanted.x.data)
        np.testing.assert_array_equal(got.y["sum"].data, wanted.y["sum"].data)
    assert programs(call) == 2
    assert call(*args, b=ONES, scale=0.0).x.data.tolist() != call(*args, b=ONES, scale=1.0)


def test_minus_zero_is_another_number():
    call = tg.compile(lambda x, k: (x * k, x * 0.0, x * -0.0))
    assert np.signbit(call(ONES, -0.0)[0].data).all()
    plus = call(ONES, 0.0)
    assert not np.signbit(plus[0].data).any()
    assert not np.signbit(plus[1].data).any() and np.signbit(plus[2].data).all()


def test_objects_are_told_apart_also_where_one_takes_the_place_of_another():
    @dataclass
    class Batch:
        x: tg.Tensor

    call = tg.compile(lambda batch: batch.x * 2)
    for k in range(6):
        assert call(Batch(tg.tensor([float(k)]))).item() == 2 * k


def test_models_and_optimizers_as_arguments():
    one, other = World(), World(seed=1)

    def step(model, optimizer, x):
        optimizer.zero_grad()
        loss = F.cross_entropy(model(x), LABELS)
        loss.backward()
        optimizer.step()
        return loss

    call = tg.compile(step)
    (x,) = batches(1, 4, 3)
    for _ in range(2):
        for world in (one, other):
            twin = copy.deepcopy(world.model)
            wanted = step(twin, tg.optim.SGD(twin.parameters(), lr=0.1), tg.Tensor(x))
            np.testing.assert_array_equal(call(world.model, world.optimizer, x).data, wanted.data)
            np.testing.assert_array_equal(world.model[0].weight.data, twin[0].weight.data)


def test_arguments_in_every_layout_and_dtype():
    def step(x):
        return tg.exp(x) * 2 + x.sum() if x.dtype.kind == "f" else x + 1

    call = tg.compile(step)
    base = np.arange(24.0).reshape(4, 6)[:, ::2] / 24
    for x in (
        base,
        base.T,
        base[::-1],
        base.astype(">f8"),
        base.astype(np.float32),
        base.astype(">f4"),
        np.broadcast_to(base[0], (4, 3)),
        np.arange(12).reshape(4, 3),
        np.arange(12, dtype=np.int32).reshape(4, 3),
        np.arange(12).reshape(4, 3).astype(">i8"),
        np.zeros((0, 3)),
        np.asarray(3.0),
        np.frombuffer(b"\0" + base.tobytes(), np.uint8)[1:].view(np.float64).reshape(4, 3),
    ):
        for _ in range(2):
            got, wanted = call(x), step(tg.Tensor(x))
            np.testing.assert_array_equal(got.data, wanted.data, strict=True)
    with pytest.raises(tg.DtypeError, match="float16"):
        call(base.astype(np.float16))


def test_another_shape_is_another_program():
    call = tg.compile(lambda x: x.reshape(-1).sum() * len(x))
    for n in (2, 3, 2, 3):
        assert call(np.ones((n, 2))).item() == 2 * n * n
    assert programs(call) == 2


def test_programs_of_numbers_that_never_come_again_do_not_pile_up():
    call = tg.compile(lambda x, k: x * k)
    for k in range(200):
        assert call(ONES, k).data.tolist() == [k, k]
    assert programs(call) <= 64


def test_outside_arrays_in_every_layout():
    base = np.arange(6.0)
    for array in (base[::2], base[::-1][:3], base.astype(">f8")[:3], base[:3].astype(np.float32)):
        call = tg.compile(lambda x, a=array: x * a + tg.Tensor(np.ascontiguousarray(a)))
        for k in range(2):
            x = np.ones(3) * k
            np.testing.assert_array_equal(call(x).data, x * array + array)


def test_what_numpy_leaves_in_the_order_of_its_operands():
    """NumPy keeps the order in memory of a transposed operand; the memory of a program is dense."""

    def step(x):
        return (tg.arctan2(x.T, x.T) + 1)[0] * 2 + tg.pad(x.T, 1)[1, 1:-1] + tg.prod(x, axis=1)

    call = tg.compile(step)
    for k in range(2):
        x = np.arange(9.0).reshape(3, 3) + k
        np.testing.assert_array_equal(call(x).data, step(tg.Tensor(x)).data)


def test_what_a_chain_reads_is_not_written_over_by_its_first_tiles():
    """The row of logsumexp's backward is spread tile by tile, beside what the chain writes."""
    (x,) = batches(1, 2, 70, 40)
    w, v = leaf(x), leaf(x)

    def step(w):
        loss = tg.logsumexp(w, axis=-1).sum()
        loss.backward()
        return loss

    step(w)
    tg.compile(step)(v)
    np.testing.assert_array_equal(v.grad.data, w.grad.data)


def test_a_read_only_number_that_is_written_after_all():
    number = np.array(2.0)
    number.flags.writeable = False
    call = tg.compile(lambda x: x * number)
    assert call(ONES).data.tolist() == [2, 2]
    number.flags.writeable = True
    number[...] = 5.0
    assert call(ONES).data.tolist() == [5, 5]


def test_one_tensor_given_twice():
    def step(a, b):
        loss = (a * b).sum()
        loss.backward()
        return loss

    call = tg.compile(step)
    w, v = leaf([1.0, 2.0]), leaf([3.0, 4.0])
    call(w, w)
    assert w.grad.data.tolist() == [2, 4]
    w.grad = None
    call(w, v)
    assert w.grad.data.tolist() == [3, 4] and v.grad.data.tolist() == [1, 2]
    w.grad = v.grad = None
    call(w, w)
    assert w.grad.data.tolist() == [2, 4] and v.grad is None


def test_a_parameter_that_is_an_argument_too_is_refused():
    w = leaf([1.0, 2.0])
    optimizer = tg.optim.SGD([w], lr=0.1)

    def step(a):
        (a * 2).sum().backward()
        optimizer.step()

    refused(step, w, match="argument 0 requires grad.*another name")
    call = tg.compile(lambda a: (a * w).sum().backward())
    call(leaf([1.0, 1.0]))
    with pytest.raises(CompileError, match="another name"):
        call(w)


def test_an_argument_that_shares_memory_with_a_parameter():
    """What is read after an update is what the update wrote, as in eager mode."""

    def make():
        w = leaf([1.0, 2.0])
        optimizer = tg.optim.SGD([w], lr=0.5)

        def step(shared):
            optimizer.zero_grad()
            (w * shared).sum().backward()
            optimizer.step()
            return shared * 1.0

        return w, step

    (w, eager), (v, step) = make(), make()
    fast = tg.compile(step)
    for _ in range(3):
        np.testing.assert_array_equal(fast(v.data).data, eager(w.detach()).data)
        np.testing.assert_array_equal(v.data, w.data)


def test_an_argument_with_a_hook_is_refused():
    w = leaf([1.0, 2.0])

    def step(a):
        (a * 2).sum().backward()

    call = tg.compile(step)
    call(leaf([1.0, 2.0]))
    w.register_hook(lambda g: g)
    with pytest.raises(CompileError, match="argument 0 has a hook"):
        call(w)


def test_results_belong_to_the_caller():
    """The next call does not write over them, and what is written into them does not come back."""
    call = tg.compile(lambda x: (x * 2, tg.zeros(2), tg.tensor([1.0, 2.0])))
    first = call(ONES)
    kept = [r.data.copy() for r in first]
    call(ONES * 5)
    for result, numbers in zip(first, kept):
        np.testing.assert_array_equal(result.data, numbers)
        result.data[...] = 9
    for result, numbers in zip(call(ONES), kept):
        np.testing.assert_array_equal(result.data, numbers)


def test_results_that_are_arguments_parameters_or_views():
    w = leaf([[1.0, 2.0], [3.0, 4.0]])
    call = tg.compile(lambda x: (x, w, x.T, x[0], w[1].detach()))
    for k in range(2):
        x = tg.Tensor(np.arange(4.0).reshape(2, 2) + k)
        argument, parameter, turned, row, part = call(x)
        assert argument is x and parameter is w
        np.testing.assert_array_equal(turned.data, x.data.T)
        np.testing.assert_array_equal(row.data, x.data[0])
        np.testing.assert_array_equal(part.data, [3.0, 4.0])


def test_no_grad_is_part_of_the_form():
    w = leaf([1.0, 2.0])
    call = tg.compile(lambda x: w * x)
    assert call(ONES).requires_grad
    with tg.no_grad():
        assert not call(ONES).requires_grad
    assert call(ONES).requires_grad and programs(call) == 2


def test_a_model_under_no_grad_and_outside_in_turn():
    """The latest program is only for calls in the mode that it was made in."""
    model = tg.nn.MLP(3, [2], rng=0)
    predict = tg.compile(model)
    x = np.ones((1, 3), np.float32)
    for _ in range(3):
        with tg.no_grad():
            assert [predict(x).requires_grad for _ in range(2)] == [False] * 2
            np.testing.assert_array_equal(predict(x).data, model(x).data)
        assert [predict(x).requires_grad for _ in range(2)] == [True] * 2
    assert sum(map(len, predict.programs.values())) == 2
