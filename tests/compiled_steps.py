"""A small network and its step of training, twice: for eager mode and for tg.compile; and what the
tests of compiling look at in both."""

from __future__ import annotations

import numpy as np
import pytest

import tinygrad_edu as tg
from tinygrad_edu.errors import CompileError
from tinygrad_edu.graph import traces

F, nn = tg.nn.functional, tg.nn
LABELS = np.array([0, 1, 1, 0])


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
        np.testing.assert_array_equal(b[name], a[name], err_msg=name, strict=True)


def train(eager, fast, call, xs, between=lambda world, k: None):
    """Both worlds on the same batches; `between(world, k)` happens to each before call k."""
    for k, x in enumerate(xs):
        for world in (eager, fast):
            between(world, k)
        tg.manual_seed(k)
        wanted = eager.step(tg.Tensor(x), LABELS)
        tg.manual_seed(k)
        got = call(x, LABELS)
        np.testing.assert_array_equal(got.data, wanted.data)
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
