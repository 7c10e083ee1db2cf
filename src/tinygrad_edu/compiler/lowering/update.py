"""The steps of optimizers as calls of C kernels: what is read anew before each run, and what must
still be so for the calls to be right.

A weight whose gradient is an outer product (a layer's, for a batch of one) goes to a kernel that
makes the gradient as it uses it: neither is it written, nor read back.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from numpy import ndarray

from ...kernels.library import ffi
from ...optim.adam import Adam, AdamW
from ...optim.sgd import SGD
from ..calls import SUFFIX, Builder, Call, InOut, Out, Table
from ..instruction import Instruction, Place


class Rule:
    """How the kernel of one kind of optimizer is called. `numbers` and `moving` are its last words:
    those that seldom change, and those that do at every step."""

    kernel: str

    def __init__(self, step: Instruction) -> None:
        self.optimizer = step.params["optimizer"]
        self.chosen: list[int] = step.params["chosen"]
        self.earlier: int = step.params["earlier"]
        self.everyone = len(self.chosen) == len(self.optimizer.params)
        self.words: list[Any] = []  # of each call, from the first of its numbers on
        self.moves = len(self.numbers(0)) if self.moving(0) else 0  # number of the first that moves
        self._last: tuple = ()

    def of_one_age(self) -> bool:
        """Whether the chosen parameters have made equally many steps."""
        ages = self.optimizer._age
        first = ages[self.chosen[0]]
        if self.everyone:
            return ages.count(first) == len(ages)
        return all(ages[i] == first for i in self.chosen)

    def memories(self, weights: list[ndarray]) -> list[list[ndarray] | None]:
        """The arrays that the optimizer keeps for the chosen weights, kind by kind; None for a kind
        that it does without."""
        raise NotImplementedError

    def holds(self) -> bool:
        """Whether the optimizer still keeps its memories in these arrays."""
        raise NotImplementedError

    def numbers(self, age: int) -> tuple:
        """The words that seldom change, for parameters that have made `age` steps."""
        raise NotImplementedError

    def moving(self, age: int) -> tuple[float, ...]:
        """The words that are others at every step."""
        return ()

    def prepare(self) -> None:
        """Set the words of all calls, before a run."""
        age = self.optimizer._age[self.chosen[0]] + self.earlier
        numbers = self.numbers(age)
        if numbers != self._last:
            self._last = numbers
            for words in self.words:
                for k, number in enumerate(numbers):
                    if isinstance(number, float):
                        words[k].d = number
                    else:
                        words[k].i = number
        if self.moves:
            moving = self.moving(age)
            for words in self.words:
                for k, number in enumerate(moving, start=self.moves):
                    words[k].d = number

    def varying(self, count: int) -> list[tuple[int, list[float]]]:
        """(word, its values for the next `count` runs) for each moving word."""
        age = self.optimizer._age[self.chosen[0]] + self.earlier
        return list(enumerate(self.columns(range(age, age + count)), start=self.moves))

    def columns(self, ages: range) -> list[list[float]]:
        """The moving words, each for all `ages`."""
        return []


class SGDRule(Rule):
    """(weights, buffers or NULL, gradients ..., lr, momentum, dampening, nesterov, weight decay,
    first?)"""

    kernel = "sgd"

    def memories(self, weights: list[ndarray]) -> list[list[ndarray] | None]:
        self.buffers, self.momentum = self.optimizer._buffers, bool(self.optimizer.momentum)
        if not self.momentum:
            return [None]
        return [self.optimizer._state(self.buffers, self.chosen, weights)]

    def holds(self) -> bool:
        o = self.optimizer
        return (
            o._buffers is self.buffers and bool(o.momentum) is self.momentum and self.of_one_age()
        )

    def numbers(self, age: int) -> tuple:
        o = self.optimizer
        return o._lr, o.momentum, o.dampening, o.nesterov, o.weight_decay, age == 0


class AdamRule(Rule):
    """(weights, means, squares, gradients ..., lr, beta1, beta2, eps, weight decay, decoupled?,
    the two corrections)"""

    kernel = "adam"

    def memories(self, weights: list[ndarray]) -> list[list[ndarray] | None]:
        o = self.optimizer
        self.means, self.squares = o._means, o._squares
        return [o._state(store, self.chosen, weights) for store in (self.means, self.squares)]

    def holds(self) -> bool:
        o = self.optimizer
        return o._means is self.means and o._squares is self.squares and self.of_one_age()

    def numbers(self, age: int) -> tuple:
        o = self.optimizer
        return o._lr, *o.betas, o.eps, o.weight_decay, o.decoupled

    def moving(self, age: int) -> tuple[float, ...]:
        beta1, beta2 = self.optimizer.betas
        return 1 - beta1 ** (age + 1), 1 - beta2 ** (age + 1)

    def columns(self, ages: range) -> list[list[float]]:
        return [[1 - beta ** (age + 1) for age in ages] for beta in self.optimizer.betas]


# Exactly these: what a subclass does in its own `_update` is run by Python.
RULES: dict[type, type[Rule]] = {SGD: SGDRule, Adam: AdamRule, AdamW: AdamRule}


def lower_update(b: Builder, step: Instruction) -> bool:
    """The update of dense parameters of one dtype and one age."""
    chosen = step.params["chosen"]
    weights, grads = step.inputs[: len(chosen)], step.inputs[len(chosen) :]
    kind = RULES.get(type(step.params["optimizer"]))
    dtype = weights[0].dtype
    fits = all(p.dtype == dtype and p.contiguous for p in (*weights, *grads))
    writable = all(w.array is not None and w.array.flags.carray for w in weights)
    if kind is None or dtype not in SUFFIX or not (fits and writable):
        return False
    rule = kind(step)
    if not rule.of_one_age():
        return False
    memories = rule.memories([w.array for w in weights])
    b.conditions.append(rule.holds)
    products = {k: found for k, g in enumerate(grads) if (found := _outer_product(b, g))}
    for _, producer in products.items():
        b.calls.remove(producer)
    written = [k for k in range(len(chosen)) if k not in products]
    if written:
        gradients = (_table(grads[k] for k in written), _sizes(grads[k].size for k in written))
        _enter(b, rule, rule.kernel, written, weights, memories, gradients)
    if products:
        made = list(products)
        left, right = zip(*[products[k].words[1:3] for k in made])
        shapes = (_sizes(grads[k].shape[axis] for k in made) for axis in (0, 1))
        gradients = (_table(left), _table(right), *shapes)
        _enter(b, rule, f"{rule.kernel}_outer", made, weights, memories, gradients)
    return True


def _enter(
    b: Builder,
    rule: Rule,
    kernel: str,
    places: list[int],
    weights: Sequence[Place],
    memories: list[list[ndarray] | None],
    gradients: tuple,
) -> None:
    """One call, for the parameters at `places`."""
    kept = [
        None if arrays is None else _table(InOut(b.constant(arrays[k])) for k in places)
        for arrays in memories
    ]
    words = (_table(InOut(weights[k]) for k in places), *kept, *gradients, len(places))
    numbers = (*rule.numbers(0), *rule.moving(0))
    b.call(kernel, weights[0].dtype, *words, *numbers, rule=rule, first=len(words))


def _table(members: Any) -> Table:
    return Table(tuple(members))


def _sizes(numbers: Any) -> Any:
    return ffi.new("size_t[]", list(numbers))


def _outer_product(b: Builder, gradient: Place) -> Call | None:
    """The call that makes this gradient, if it is an outer product and nobody else reads it."""
    if b.uses.get(gradient.root, 0) != 1:
        return None
    for call in reversed(b.calls):
        if gradient in call.writes:
            is_product = isinstance(call, Call) and call.name == "gemm" and call.words[5] == 1
            return call if is_product and call.words[0] == Out(gradient) else None  # type: ignore[union-attr,return-value]
    return None
