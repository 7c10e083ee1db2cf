"""tg.compile: what cannot be compiled is refused with a message that says what, at which line, and
what to write instead; a trace leaves the world as it was."""

from __future__ import annotations

import copy
import random
import types

import numpy as np
import pytest
from compiled_steps import (
    ONES,
    World,
    leaf,
    refused,
)

import tinygrad_edu as tg
from tinygrad_edu.errors import CompileError

F, nn = tg.nn.functional, tg.nn
CALLED_GLOBALLY = None


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
    # What is returned is looked at when the step is over, at the line that called it.
    file = "compiled_steps.py:" if what.startswith("returns") else "test_compile_refusals.py:"
    assert instead in said and file in said
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
        assert "test_compile_refusals.py:" in said and "outside the step" in said
    CALLED_GLOBALLY = None


def test_a_module_or_optimizer_that_the_step_sets_is_refused():
    world = World()

    class Remembers(nn.Module):
        def forward(self, x):
            self.last = x
            return x

    refused(Remembers(), ONES, match=r"sets Remembers.last.*test_compile_refusals.py:")

    def sets_the_rate(x):
        world.optimizer.lr = 0.5

    refused(sets_the_rate, ONES, match=r"optimizer.lr.*test_compile_refusals.py:")

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
