"""The edges of tg.compile: whatever changes between two calls takes effect, or is refused with a
message that says what cannot be compiled, at which line, and what to write instead. A replay is
never stale, and a trace leaves the world as it was."""

from __future__ import annotations

import copy
import pickle
import random
import subprocess
import sys
import threading
import types
from collections import namedtuple
from dataclasses import dataclass

import numpy as np
import pytest

import tinygrad_edu as tg
from tinygrad_edu.errors import CompileError
from tinygrad_edu.graph import traces

F, nn = tg.nn.functional, tg.nn
# A program sums the gradient of a bias over the batch in another order than eager mode: a few
# roundings of sums of size 1, which a step or two of an optimizer carries on.
CLOSE = {"rtol": 1e-12, "atol": 1e-13}
LABELS = np.array([0, 1, 1, 0])
SCALE = [1.0]
OFFSET = 1.0
CALLED_GLOBALLY = None


def leaf(numbers, wanted=True):
    return tg.tensor(np.asarray(numbers, float), requires_grad=wanted)


def batches(n, *shape, seed=0):
    rng = np.random.default_rng(seed)
    return [rng.normal(size=shape) for _ in range(n)]


def linear(n, m):
    return nn.Linear(n, m, dtype=np.float64)


class World:
    """A small network with an optimizer, made the same each time, and one step of training."""

    def __init__(self, *makers, optimizer=tg.optim.SGD, seed=0, **numbers):
        tg.manual_seed(seed)
        self.model = nn.Sequential(
            linear(3, 5), *(make() for make in makers), nn.Tanh(), linear(5, 2)
        )
        self.optimizer = optimizer(self.model.parameters(), **{"lr": 0.1, **numbers})

    def step(self, x, labels):
        self.optimizer.zero_grad()
        loss = F.cross_entropy(self.model(x), labels)
        loss.backward()
        self.optimizer.step()
        return loss

    def numbers(self):
        return {
            **self.model.state_dict(),
            **{f"grad {i}": p.grad.data for i, p in enumerate(self.model.parameters())},
            **self.optimizer.state_dict(),
        }


def twins(*makers, **how):
    """(an eager World, an equal one, the compiled step of the second)."""
    eager, fast = World(*makers, **how), World(*makers, **how)
    return eager, fast, tg.compile(fast.step)


def assert_same_world(eager, fast):
    a, b = eager.numbers(), fast.numbers()
    assert a.keys() == b.keys()
    for name in a:
        np.testing.assert_allclose(b[name], a[name], err_msg=name, strict=True, **CLOSE)


def train(eager, fast, call, xs, between=lambda world, k: None):
    """Both worlds on the same batches; `between(world, k)` happens to each before call k."""
    for k, x in enumerate(xs):
        for world in (eager, fast):
            between(world, k)
        tg.manual_seed(k)
        wanted = eager.step(tg.Tensor(x), LABELS)
        tg.manual_seed(k)
        got = call(x, LABELS)
        np.testing.assert_allclose(got.data, wanted.data, **CLOSE)
        assert_same_world(eager, fast)


def programs(call):
    return sum(map(len, call.programs.values()))


def refused(step, *args, match):
    """The message with which the step cannot be compiled, which names the line of this file."""
    with pytest.raises(CompileError, match=match) as error:
        tg.compile(step)(*args)
    assert not traces
    return str(error.value)


ONES = np.ones(2)

# ------------------------------------------------------------------- what changes between two calls


@pytest.mark.parametrize("optimizer", ["SGD", "Adam", "AdamW", "RMSprop", "Adagrad"])
def test_training_is_that_of_eager_mode(optimizer):
    eager, fast, call = twins(optimizer=getattr(tg.optim, optimizer))
    train(eager, fast, call, batches(6, 4, 3))
    assert programs(call) == 1


def test_a_new_learning_rate_takes_effect_without_a_new_trace():
    def between(world, k):
        world.optimizer.lr = 0.1 / (1 + k)

    eager, fast, call = twins()
    train(eager, fast, call, batches(5, 4, 3), between)
    assert programs(call) == 1


@pytest.mark.parametrize("name", ["momentum", "weight_decay", "dampening"])
def test_other_hyperparameters_take_effect(name):
    def between(world, k):
        setattr(world.optimizer, name, 0.1 * k)

    eager, fast, call = twins()
    train(eager, fast, call, batches(4, 4, 3), between)


def test_a_scheduler_between_the_steps():
    eager, fast, call = twins(momentum=0.9)
    schedules = [
        tg.optim.lr_scheduler.OneCycleLR(world.optimizer, 0.5, total_steps=8)
        for world in (eager, fast)
    ]

    def between(world, k):
        if k:
            schedules[world is fast].step()

    train(eager, fast, call, batches(6, 4, 3), between)
    assert programs(call) == 1


def test_a_scheduler_in_the_step_is_refused():
    world = World()
    schedule = tg.optim.lr_scheduler.StepLR(world.optimizer, 1)
    said = refused(schedule.step, match="StepLR.step")
    assert "after the step" in said and world.optimizer.lr == 0.1 and schedule.last_epoch == 0


def test_training_and_evaluation():
    """Dropout and the running statistics of BatchNorm follow train() and eval()."""

    def between(world, k):
        world.model.train(k % 3 != 2)

    eager, fast, call = twins(lambda: nn.BatchNorm1d(5, dtype=np.float64), nn.Dropout)
    train(eager, fast, call, batches(9, 4, 3), between)
    assert programs(call) == 2


def test_frozen_and_unfrozen_parameters():
    def between(world, k):
        world.model[0].weight.requires_grad = k % 2 == 0
        if k % 2:
            world.model[0].weight.grad = tg.zeros((5, 3), dtype=np.float64)

    eager, fast, call = twins()
    train(eager, fast, call, batches(1, 4, 3), between)
    eager.optimizer.zero_grad()
    fast.optimizer.zero_grad()
    for world, step in ((eager, eager.step), (fast, call)):
        world.model[0].weight.requires_grad = False
        step(tg.Tensor(batches(1, 4, 3)[0]), LABELS)
        assert world.model[0].weight.grad is None
    np.testing.assert_array_equal(fast.model[0].weight.data, eager.model[0].weight.data)
    for world in (eager, fast):
        world.model[0].weight.requires_grad = True
    train(eager, fast, call, batches(2, 4, 3))


def test_a_replaced_layer_parameter_or_array():
    def between(world, k):
        tg.manual_seed(k)
        if k == 1:
            world.model.layers[0] = linear(3, 5)
        if k == 2:
            world.model.layers[0].weight = tg.randn(5, 3, dtype=np.float64, requires_grad=True)
        if k == 3:
            world.model.layers[0].weight.data = np.ones((5, 3))
        world.optimizer = tg.optim.SGD(world.model.parameters(), lr=0.1)

    eager, fast, call = twins()
    train(eager, fast, call, batches(5, 4, 3), between)


@pytest.mark.parametrize("optimizer", ["SGD", "Adam", "Adagrad"])
def test_states_are_loaded_between_the_steps(optimizer):
    states = {}

    def between(world, k):
        if k == 2:
            states[world] = world.model.state_dict(), world.optimizer.state_dict()
        if k == 4:
            world.model.load_state_dict(states[world][0])
            world.optimizer.load_state_dict(states[world][1])

    how = {"momentum": 0.9} if optimizer == "SGD" else {}
    eager, fast, call = twins(optimizer=getattr(tg.optim, optimizer), **how)
    train(eager, fast, call, batches(7, 4, 3), between)


@pytest.mark.parametrize("method", ["state_dict", "load_state_dict"])
def test_states_in_the_step_are_refused(method):
    world = World()
    for owner in (world.model, world.optimizer):
        given = (owner.state_dict(),) if method == "load_state_dict" else ()
        said = refused(getattr(owner, method), *given, match=method)
        assert "before the step" in said


def test_closure_variables_globals_and_helpers_are_read_anew():
    global OFFSET
    factor, holder, numbers = 2.0, types.SimpleNamespace(power=1.0), {"k": 1.0}

    def helper(x):
        return x * SCALE[0] + OFFSET

    def step(x):
        return helper(x * factor) * holder.power + numbers["k"]

    call, x = tg.compile(step), np.arange(3.0)

    def check():
        np.testing.assert_array_equal(call(x).data, step(tg.Tensor(x)).data)

    check()
    factor = 3.0
    check()
    holder.power = -0.0
    check()
    numbers["k"] = 5.0
    check()
    try:
        OFFSET = 7.0
        check()
        SCALE[0] = 4.0
        check()
    finally:
        OFFSET, SCALE[0] = 1.0, 1.0
    helper, helpers = tg.exp, [helper]  # noqa: F811
    check()
    helper = helpers[0]
    check()


def test_attributes_of_the_object_of_a_method():
    class Trainer:
        def __init__(self):
            self.scale, self.count = 1.0, 0

        def step(self, x):
            return x * self.scale

    trainer = Trainer()
    call = tg.compile(trainer.step)
    for k in range(4):
        trainer.scale, trainer.count = float(k // 2), k  # the step does not read the count
        assert call(ONES).data.tolist() == [k // 2] * 2
    assert programs(call) == 2


def test_a_compiled_method_is_a_method():
    class Trainer:
        scale = 2.0

        @tg.compile
        def step(self, x):
            return x * self.scale

    one, other = Trainer(), Trainer()
    other.scale = 3.0
    for _ in range(2):
        assert one.step(ONES).data.tolist() == [2, 2]
        assert other.step(ONES).data.tolist() == [3, 3]
    assert isinstance(Trainer.step, type(tg.compile(one.step)))


def test_plain_arrays_from_outside_are_read_anew():
    """Also where NumPy has computed with them while the step was traced."""
    mask = np.array([1.0, 0.0])

    def step(x):
        return x * mask / mask.sum() + np.exp(mask)

    call = tg.compile(step)
    for k in range(3):
        mask[1] = k
        np.testing.assert_array_equal(call(ONES).data, step(tg.Tensor(ONES)).data)
    mask = np.array([2.0, 2.0])
    np.testing.assert_array_equal(call(ONES).data, step(tg.Tensor(ONES)).data)


def test_modules_in_dicts_and_nested_lists():
    class Net(nn.Module):
        def __init__(self):
            self.parts = {"a": [nn.Linear(2, 2)], "b": nn.Linear(2, 2)}

        def forward(self, x):
            return self.parts["b"](self.parts["a"][0](x))

    net = Net()
    call, x = tg.compile(net), np.ones((1, 2), np.float32)
    for change in (
        lambda: None,
        lambda: net.parts.update(b=nn.Linear(2, 2)),
        lambda: net.parts["a"].__setitem__(0, nn.Linear(2, 2)),
    ):
        change()
        np.testing.assert_array_equal(call(x).data, net(tg.Tensor(x)).data)


def test_a_hook_that_comes_later():
    w = leaf([1.0, 2.0])

    def step(x):
        w.grad = None
        loss = (w * x).sum()
        loss.backward()
        return loss

    call = tg.compile(step)
    call(ONES)
    remove = w.register_hook(lambda g: g * 10)
    call(ONES)
    assert w.grad.data.tolist() == [10, 10]
    remove()
    call(ONES)
    assert w.grad.data.tolist() == [1, 1]


def test_a_forward_hook_that_comes_later():
    layer = nn.Linear(2, 2)
    call, x = tg.compile(layer), np.ones((1, 2), np.float32)
    before = call(x).data
    handle = layer.register_forward_hook(lambda module, inputs, out: out * 2)
    np.testing.assert_array_equal(call(x).data, 2 * before)
    handle.remove()
    np.testing.assert_array_equal(call(x).data, before)


# ------------------------------------------------------------------------------------- gradients


@pytest.mark.parametrize("clear", ["never", "first", "last", "by hand", "every other call"])
def test_gradients_are_cleared_or_add_up(clear):
    def make():
        w = leaf([1.0, -2.0, 0.5])
        optimizer = tg.optim.SGD([w], lr=0.1)

        def step(x):
            if clear == "first":
                optimizer.zero_grad()
            if clear == "by hand":
                w.grad = None
            loss = (w * w * x).sum()
            loss.backward()
            with tg.no_grad():
                w.__isub__(0.01 * w.grad)
            if clear == "last":
                optimizer.zero_grad()
            return loss

        return w, step

    (w, eager), (v, step) = make(), make()
    fast = tg.compile(step)
    for k in range(6):
        x = np.arange(3.0) + k
        if clear == "every other call" and k % 2:
            w.grad = v.grad = None
        np.testing.assert_array_equal(fast(x).data, eager(tg.Tensor(x)).data)
        np.testing.assert_array_equal(v.data, w.data)
        assert (v.grad is None) == (w.grad is None)
        if w.grad is not None:
            np.testing.assert_array_equal(v.grad.data, w.grad.data)


def test_a_gradient_that_came_from_outside_is_read_anew():
    w = leaf([1.0, 2.0])

    @tg.compile
    def apply():
        with tg.no_grad():
            w.__isub__(0.1 * w.grad)

    for k in range(4):
        before = w.data.copy()
        w.grad = None
        (w * k).sum().backward()
        apply()
        np.testing.assert_array_equal(w.data, before - 0.1 * np.full(2, float(k)))


def test_a_gradient_of_another_form_put_into_place_by_hand():
    w = leaf([1.0, 2.0])

    def step(x):
        (w * x).sum().backward()

    call = tg.compile(step)
    w.grad = leaf([0.0, 0.0], False)
    call(ONES)
    w.grad = tg.zeros(2)  # float32
    call(ONES)
    assert w.grad.data.tolist() == [1, 1]
    w.grad = np.zeros(2)
    with pytest.raises(CompileError, match="Put a Tensor there"):
        call(ONES)


def test_two_gradients_are_never_one_array():
    a, b = leaf([1.0, 2.0]), leaf([3.0, 4.0])

    def step(x):
        loss = ((a + b) * x).sum()
        loss.backward()
        return loss, tg.exp(x), tg.exp(x)

    _, p, q = tg.compile(step)(ONES)
    assert not np.shares_memory(a.grad.data, b.grad.data)
    assert not np.shares_memory(p.data, q.data)


def test_a_gradient_of_parameters_alone_is_not_frozen():
    def make():
        w = leaf([1.0, 2.0])
        optimizer = tg.optim.SGD([w], lr=0.1)

        def step():
            optimizer.zero_grad()
            (w * w).sum().backward()
            optimizer.step()

        return w, step

    (w, eager), (v, step) = make(), make()
    fast = tg.compile(step)
    for _ in range(4):
        eager()
        fast()
        np.testing.assert_array_equal(v.data, w.data)


def test_clip_grad_norm_in_the_step():
    def make():
        w, v = leaf([1.0, -2.0]), leaf([[0.5]])

        def step(x):
            w.grad = v.grad = None
            ((w * x).sum() * v).sum().backward()
            return tg.optim.clip_grad_norm_([w, v], 1.0)

        return (w, v), step

    (ours, eager), (theirs, step) = make(), make()
    fast = tg.compile(step)
    for k in (0.0, 0.1, 1.0, 30.0):
        assert fast(ONES * k).item() == eager(tg.Tensor(ONES * k))
        for p, q in zip(ours, theirs):
            np.testing.assert_array_equal(q.grad.data, p.grad.data)
    before = [p.grad.data.copy() for p in theirs]
    with pytest.raises(FloatingPointError, match="no factor makes that"):
        fast(np.array([np.inf, 1.0]))
    for p, grad in zip(theirs, before):
        np.testing.assert_array_equal(p.grad.data, grad)


def test_derivatives_by_transforms_in_the_step():
    def step(x, w):
        inner = tg.grad(lambda v: (tg.tanh(v * x) ** 2).sum())
        return inner(w), tg.hvp(lambda v: (v * v * v * x).sum(), w, x)

    call = tg.compile(step)
    for k in range(3):
        x, w = tg.Tensor(ONES * k), tg.Tensor(np.array([0.3, -0.2]) * k)
        got, wanted = call(x, w), step(x, w)
        for a, b in zip(got, wanted, strict=True):
            np.testing.assert_array_equal(a.data, b.data)


def test_a_result_whose_graph_is_lost_says_so():
    """And is no constant, of which a gradient would be missing without a word."""
    w = leaf([1.0, 2.0])
    out = tg.compile(lambda x: (w * x).sum())(ONES)
    assert out.requires_grad
    with pytest.raises(tg.GraphError, match="out of a compiled step"):
        (out + w.sum()).backward()
    assert w.grad is None
    with tg.no_grad():
        assert not tg.compile(lambda x: (w * x).sum())(ONES).requires_grad


def test_a_graph_from_before_the_step_is_refused():
    w = leaf([1.0, 2.0])
    hidden = w * 2
    assert "detach" in refused(
        lambda x: hidden * x, ONES, match="multiply computed before the step"
    )
    assert "detach" in refused(lambda h: h * 2, hidden, match="argument 0 was computed by multiply")
    call = tg.compile(lambda h: h * 2)
    call(leaf([1.0, 2.0]))
    with pytest.raises(CompileError, match="argument 0 was computed by multiply"):
        call(hidden)
    refused(hidden.sum().backward, match="before the step")


# ----------------------------------------------------------------------- what cannot be compiled


def _branches(x):
    return x if x.sum() > 0 else -x


def _loops(x):
    while x.sum() > 1:
        x = x / 2
    return x


REFUSED = {
    "a branch": (_branches, "branch", "tg.where"),
    "a loop": (_loops, "branch", "tg.where"),
    "item": (lambda x: x * x.sum().item(), "item", "Return the tensor"),
    "float": (lambda x: x * float(x.sum()), "float", "Return the tensor"),
    "a print": (lambda x: print(x), "print", "Return the tensor"),
    "a format": (lambda x: f"{x.sum():.3f}", "print", "Return the tensor"),
    "numpy": (lambda x: np.asarray(x) * 2, "numpy", "Return the tensor"),
    "data": (lambda x: x.data * 2, "data", "operations of tinygrad_edu"),
    "tolist": (lambda x: x.tolist(), "tolist", "Return the tensor"),
    "an index": (lambda x: [1, 2, 3][tg.argmax(x)], "index", "Return the tensor"),
    "a copy": (lambda x: tg.tensor(x), "tensor", "detach"),
    "deepcopy": (lambda x: copy.deepcopy(x), "deepcopy", "detach"),
    "an assignment": (lambda x: x.__setitem__(0, 1.0), "=", "tg.where"),
    "a seed": (lambda x: tg.manual_seed(1), "manual_seed", "before the step"),
    "a generator": (lambda x: nn.Linear(2, 2)(x.astype(np.float32)), "stream", "tg.rand"),
    "an object": (lambda x: types.SimpleNamespace(x=x), "returns a SimpleNamespace", "Tensors"),
    "an array": (lambda x: np.zeros(2), "returns a ndarray", "Tensors"),
    "dlpack": (lambda x: np.from_dlpack(x), "dlpack", "Return the tensor"),
}


@pytest.mark.filterwarnings("ignore::tinygrad_edu.errors.GradientWarning")
@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_compiled_says_where_and_what_instead(name, capsys):
    step, what, instead = REFUSED[name]
    said = refused(step, ONES, match=what)
    assert instead in said and "test_compile.py:" in said
    assert not capsys.readouterr().out


def test_python_that_counts_or_collects_is_refused():
    global CALLED_GLOBALLY
    count, seen, holder = 0, [], types.SimpleNamespace(count=0)

    def counts(x):
        nonlocal count
        count += 1
        return x

    def collects(x):
        seen.append(x)
        return x

    def keeps(x):
        holder.last = x
        return x

    def sets_a_global(x):
        global CALLED_GLOBALLY
        CALLED_GLOBALLY = x
        return x

    buffer = np.zeros(3)

    def fills(x):
        buffer[0] += 1
        return x

    def marks(x):
        marks.calls = 1
        return x

    for step, what in [
        (counts, "changes count"),
        (collects, "changes seen"),
        (keeps, r"changes holder.last"),
        (sets_a_global, "changes CALLED_GLOBALLY"),
        (fills, "changes buffer"),
        (marks, "changes marks.calls"),
    ]:
        said = refused(step, ONES, match=what)
        assert "test_compile.py:" in said and "outside the step" in said
    CALLED_GLOBALLY = None


def test_a_module_or_optimizer_that_the_step_sets_is_refused():
    world = World()

    class Remembers(nn.Module):
        def forward(self, x):
            self.last = x
            return x

    refused(Remembers(), ONES, match=r"sets Remembers.last.*test_compile.py:")

    def sets_the_rate(x):
        world.optimizer.lr = 0.5

    refused(sets_the_rate, ONES, match=r"optimizer.lr.*test_compile.py:")

    def freezes(x):
        world.model[0].weight.requires_grad = False

    refused(freezes, ONES, match="weight")


def test_train_in_each_step_is_fine_where_it_changes_nothing():
    model = nn.Sequential(nn.Dropout(0.5))

    def step(x):
        model.train()
        return model(x)

    call = tg.compile(step)
    for _ in range(3):
        call(ONES)
    model.eval()
    with pytest.raises(CompileError, match="training"):
        call(ONES)


def test_a_learning_rate_that_the_step_reads_takes_effect():
    w = leaf([1.0, 2.0])
    optimizer = tg.optim.SGD([w], lr=0.1)

    @tg.compile
    def step(x):
        optimizer.zero_grad()
        (w * x).sum().backward()
        with tg.no_grad():
            w.__isub__(optimizer.lr * w.grad)

    step(ONES)
    optimizer.lr = 1.0
    step(ONES)
    np.testing.assert_array_equal(w.data, np.array([1.0, 2.0]) - 0.1 - 1.0)


@pytest.mark.parametrize("kind", ["random", "numpy", "generator", "values"])
def test_foreign_randomness_is_refused(kind):
    rng = np.random.default_rng(0)
    draws = {
        "random": lambda x: x * random.randint(0, 1),
        "numpy": lambda x: x * np.random.randint(0, 2),
        "generator": lambda x: x * int(rng.integers(0, 2)),
        "values": lambda x: x * np.random.default_rng().normal(),
    }
    assert "tg.rand" in refused(draws[kind], ONES, match="changes|repeat itself")


def test_dropout_and_tg_rand_are_drawn_anew_from_the_eager_stream():
    own, theirs = np.random.default_rng(3), np.random.default_rng(3)

    def step(x, rng):
        kept = F.dropout(x, 0.5)
        return kept + tg.rand(2, dtype=float) * tg.randn(2, dtype=float, rng=rng), tg.rand(3, rng=5)

    call = tg.compile(step)
    seen = set()
    for k in range(5):
        tg.manual_seed(k // 2)
        wanted = step(tg.Tensor(ONES), theirs)
        tg.manual_seed(k // 2)
        got = call(ONES, own)
        for a, b in zip(got, wanted, strict=True):
            np.testing.assert_array_equal(a.data, b.data)
        seen.add(got[0].data.tobytes())
    assert len(seen) == 5
    assert own.bit_generator.state == theirs.bit_generator.state


def test_a_value_that_the_step_sets_is_refused():
    v = tg.scalar.Value(1.0)

    def step(x):
        v.data -= 0.1

    refused(step, ONES, match="changes v")


def test_a_step_that_returns_other_numbers_each_time_is_refused():
    numbers = iter(range(100))
    refused(lambda x: (x, next(numbers)), ONES, match="returned something else")
    refused(lambda x: x * next(numbers), ONES, match="repeat itself")


def test_optimizer_steps_before_a_backward_that_needs_the_old_numbers():
    w = leaf([1.0, 2.0])
    optimizer = tg.optim.SGD([w], lr=0.1)

    def step(x):
        first, second = (w * x).sum(), (w * w).sum()
        first.backward()
        optimizer.step()
        second.backward()

    with pytest.raises(tg.GraphError, match="changed in place"):
        tg.compile(step)(ONES)
    with pytest.raises(tg.GraphError, match="changed in place"):
        step(tg.Tensor(ONES))


# ------------------------------------------------------------------------ arguments and results


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


# ---------------------------------------------------------------- errors, threads, other things


def test_an_error_in_the_step_leaves_everything_as_it_was():
    world = World()
    x, labels = batches(1, 4, 3)[0], LABELS
    world.step(tg.Tensor(x), labels)
    before = {name: np.copy(value) for name, value in world.numbers().items()}
    grads = [p.grad for p in world.model.parameters()]

    def step(x):
        world.step(x, labels)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        tg.compile(step)(x)
    assert not traces and not isinstance(vars(tg.Tensor).get("grad"), property)
    assert [p.grad for p in world.model.parameters()] == grads
    for name, value in world.numbers().items():
        np.testing.assert_array_equal(value, before[name])


def test_a_class_out_of_range_in_a_replay_changes_nothing():
    _, world, call = twins(optimizer=tg.optim.Adam)
    (x,) = batches(1, 4, 3)
    call(x, LABELS)
    before = {name: np.copy(value) for name, value in world.numbers().items()}
    for wrong in (np.array([0, 1, 2, 0]), np.array([0, -1, 0, 0])):
        with pytest.raises(IndexError, match="target holds class"):
            call(x, wrong)
        for name, value in world.numbers().items():
            np.testing.assert_array_equal(value, before[name])
    call(x, LABELS)


def test_an_epoch_that_is_interrupted_goes_on():
    eager, fast, call = twins(optimizer=tg.optim.Adam)
    xs = batches(6, 4, 3)
    train(eager, fast, call, xs[:2])
    with pytest.raises(KeyboardInterrupt):
        for k, x in enumerate(xs[2:]):
            if k == 2:
                raise KeyboardInterrupt
            call(x, LABELS)
    for x in xs[2:4]:
        eager.step(tg.Tensor(x), LABELS)
    assert_same_world(eager, fast)
    train(eager, fast, call, xs[4:])


def run_threads(*targets):
    failed = []

    def guarded(target):
        try:
            target()
        except BaseException as error:
            failed.append(error)

    threads = [threading.Thread(target=guarded, args=(target,)) for target in targets]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failed:
        raise failed[0]


def test_one_program_in_many_threads():
    call = tg.compile(lambda x: tg.softmax(tg.exp(x * 0.1) @ x.T, axis=-1).sum(axis=0))
    xs = batches(4, 30, 20)
    wanted = [call.function(tg.Tensor(x)).data for x in xs]

    def work(k):
        for _ in range(30):
            np.testing.assert_array_equal(call(xs[k]).data, wanted[k])

    run_threads(*[lambda k=k: work(k) for k in range(4)])


def test_different_programs_in_many_threads():
    pairs = [twins(optimizer=tg.optim.Adam, seed=k) for k in range(3)]
    xs = batches(10, 4, 3)

    def work(pair):
        eager, _, call = pair
        for x in xs:
            wanted = eager.step(tg.Tensor(x), LABELS)
            np.testing.assert_allclose(call(x, LABELS).data, wanted.data, **CLOSE)

    run_threads(*[lambda pair=pair: work(pair) for pair in pairs])
    for eager, fast, _ in pairs:
        assert_same_world(eager, fast)


def test_tracing_in_one_thread_while_another_runs_eagerly():
    tracing, done = threading.Event(), threading.Event()
    world = World()

    def step(x):
        tracing.set()
        assert done.wait(30)
        return world.step(x, LABELS)

    def eager():
        assert tracing.wait(30)
        other = World(seed=1)  # sets attributes of modules, draws, reads numbers
        for x in batches(5, 4, 3):
            assert float(other.step(tg.Tensor(x), LABELS).data) > 0
        done.set()

    call = tg.compile(step)
    run_threads(lambda: call(batches(1, 4, 3)[0]), eager)
    assert programs(call) == 1


@pytest.mark.filterwarnings("ignore:invalid value:RuntimeWarning")  # NumPy's kernels, at log(-1)
def test_detect_anomaly_looks_at_every_value():
    call = tg.compile(lambda x: tg.log(x))
    call(ONES)
    with tg.detect_anomaly(), pytest.raises(tg.AnomalyError, match="log"):
        call(-ONES)
    assert np.isnan(call(-ONES).data).all()


def test_a_compiled_function_in_another():
    inner = tg.compile(lambda x: tg.tanh(x) * factor[0])
    outer = tg.compile(lambda x: inner(x) + inner(x * 2))
    factor = [1.0]
    for k in range(3):
        factor[0] = float(k)
        wanted = k * np.tanh(ONES) + k * np.tanh(2 * ONES)
        np.testing.assert_allclose(outer(ONES).data, wanted, rtol=1e-15)


def test_tensors_kept_from_inside_a_step():
    kept = {}

    class Keeper:
        def __call__(self, x):
            kept_elsewhere.append(x * 2)
            return x

    kept_elsewhere = []
    with pytest.raises(CompileError, match="changes"):
        tg.compile(Keeper())(ONES)
    (tensor,) = kept_elsewhere[:1]
    for use in (
        lambda: tensor + 1,
        lambda: tensor.data,
        lambda: tensor.numpy(),
        lambda: tensor.sum().item(),
        lambda: float(tensor[0]),
        lambda: tensor.tolist(),
    ):
        with pytest.raises(CompileError, match="kept from inside|traced value"):
            use()
    assert "Traced" in repr(tensor) and not kept


def test_models_are_copied_pickled_and_saved_as_before(tmp_path):
    _, world, call = twins()
    for x in batches(3, 4, 3):
        call(x, LABELS)
    twin = copy.deepcopy(world.model)
    again = pickle.loads(pickle.dumps(world.model.state_dict()))
    tg.save(tmp_path / "model.npz", world.model.state_dict())
    loaded = tg.load(tmp_path / "model.npz")
    for name, value in world.model.state_dict().items():
        for other in (twin.state_dict(), again, loaded):
            np.testing.assert_array_equal(other[name], value)
    call(batches(1, 4, 3)[0], LABELS)
    assert any((twin.state_dict()[k] != v).any() for k, v in world.model.state_dict().items())


def test_an_eager_graph_over_parameters_that_a_replay_writes_is_refused():
    _, world, call = twins()
    (x,) = batches(1, 4, 3)
    call(x, LABELS)
    loss = F.cross_entropy(world.model(tg.Tensor(x)), LABELS)
    call(x, LABELS)
    with pytest.raises(tg.GraphError, match="changed in place"):
        loss.backward()


def test_a_program_can_be_read():
    _, _, call = twins(nn.Dropout)
    with pytest.raises(CompileError, match="no program before the first call"):
        str(call.program)
    call(batches(1, 4, 3)[0], LABELS)
    text = str(call.program)
    assert text.startswith("program(x0 f64[4, 3]") and "test_compile.py:" in text


def test_without_the_c_kernels():
    """The same tests where everything is run by Python: those of this file that need no thread."""
    code = (
        "import pytest, sys; sys.exit(pytest.main(['-q', '-p', 'no:cacheprovider', sys.argv[1], "
        "'-k', 'eager_mode or evaluation or add_up or randomness or layout or clip or range']))"
    )
    import os

    environment = {**os.environ, "TINYGRAD_EDU_KERNELS": "numpy"}
    environment["PYTHONPATH"] = os.pathsep.join(filter(None, sys.path))
    if os.environ.get("TINYGRAD_EDU_KERNELS") == "numpy":
        pytest.skip("this is that run")
    done = subprocess.run(
        [sys.executable, "-c", code, __file__], env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout[-3000:]


def test_what_a_forward_does_on_the_side_is_refused():
    """Only Module.__call__ names `forward`; the code of it counts all the same."""
    calls = []

    class Counted(tg.nn.Module):
        def forward(self, x):
            calls.append(1)
            return x * 2.0

    model = Counted()
    with pytest.raises(CompileError, match="calls"):
        tg.compile(lambda x: model(x))(np.ones(3))


def test_views_of_a_parameter_that_is_not_dense_itself():
    """Python runs cumsum, on a view of an array every other number of which is the parameter's."""
    memory = np.random.default_rng(0).random((4, 8))
    w = tg.Tensor(memory[:, ::2], requires_grad=True)

    def step(x):
        y = tg.cumsum(w[1:][:, ::-1], axis=0) @ x
        (y * y).sum().backward()
        g, w.grad = w.grad, None
        return y.detach(), g

    call = tg.compile(step)
    for scale in (1.0, 2.0, 3.0):
        x = np.full((4, 4), scale)
        for got, wanted in zip(call(x), step(x), strict=True):
            np.testing.assert_array_equal(got.data, wanted.data)


@pytest.mark.parametrize("batch", [1, 600])
@pytest.mark.parametrize(
    "kind",
    [
        lambda p: tg.optim.SGD(p, lr=0.1),
        lambda p: tg.optim.SGD(p, lr=0.1, momentum=0.9, dampening=0.5, weight_decay=0.01),
        lambda p: tg.optim.Adam(p, lr=0.01, weight_decay=0.01),
        lambda p: tg.optim.AdamW(p, lr=0.01),
    ],
)
def test_gradients_that_nobody_keeps(kind, batch):
    """A step that clears them last: a batch of one makes each an outer product, which the
    optimizer's kernel makes for itself; a large one goes back through the activations some rows at
    a time. The bits are the eager ones."""
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(batch, 5)).astype("f"), rng.integers(0, 3, batch)

    def trained(wrap):
        model = nn.MLP(5, [40, 33, 3], activation="tanh", rng=0)
        optimizer = kind(model.parameters())

        def step(x, y):
            loss = F.cross_entropy(model(x), y)
            loss.backward()
            optimizer.step()
            optimizer.zero_grad()
            return loss

        step = wrap(step)
        losses = [step(x, y).item() for _ in range(4)]
        return [*losses, *(p.data for p in model.parameters())]

    for got, wanted in zip(trained(tg.compile), trained(lambda step: step), strict=True):
        np.testing.assert_array_equal(got, wanted)


def test_a_view_taken_before_a_write_shows_what_was_written():
    w = tg.Tensor(np.ones(3), requires_grad=True)

    def step(x):
        with tg.no_grad():
            view = w[1:]
            before = tg.exp(view) * x
            w.__isub__(0.25)
            return before, tg.exp(view) * x

    call, eager = tg.compile(step), []
    got = [call(np.ones(2)) for _ in range(3)]
    with tg.no_grad():
        w += 0.75
    eager = [step(np.ones(2)) for _ in range(3)]
    for pair, wanted in zip(got, eager, strict=True):
        assert (pair[0].data != pair[1].data).all()
        np.testing.assert_array_equal([p.data for p in pair], [p.data for p in wanted])


def test_what_cannot_be_a_step_or_an_epoch_is_refused_by_name():
    step = tg.compile(lambda x: x.sum())
    with pytest.raises(tg.errors.CallError, match="expected a function, the step"):
        tg.compile(3)
    with pytest.raises(tg.errors.CallError, match="callback"):
        step.many(np.ones((3, 2)), batch_size=1, callback=3)
    for arrays, order in ((np.ones((3, 2)), []), (np.ones((0, 2)), None)):
        with pytest.raises(tg.errors.DataError, match="no rows"):
            step.many(arrays, batch_size=1, order=order)
