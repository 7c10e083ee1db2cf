"""The steps of optimizers as calls of C kernels: what is read anew before each run, and what must
still be so for the call to be right."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from ..kernels.library import ffi
from ..optim.adam import Adam, AdamW
from ..optim.sgd import SGD
from .calls import SUFFIX, Builder, InOut, Table
from .capture import Instruction, Place


def lower_update(b: Builder, step: Instruction) -> bool:
    """SGD, Adam and AdamW on dense parameters of one dtype and one age."""
    optimizer, chosen = step.params["optimizer"], step.params["chosen"]
    weights, grads = step.inputs[: len(chosen)], step.inputs[len(chosen) :]
    row = ROWS.get(type(optimizer))
    dtype = weights[0].dtype
    fits = all(p.dtype == dtype and p.contiguous for p in (*weights, *grads))
    writable = all(w.array is not None and w.array.flags.carray for w in weights)
    if row is None or dtype not in SUFFIX or not (fits and writable):
        return False
    if len({optimizer._age[i] for i in chosen}) != 1:
        return False
    return row(b, step, weights, grads)


def _age(optimizer: Any, chosen: Sequence[int]) -> Callable[[], int | None]:
    """How many steps the chosen parameters have made; None where they differ."""
    first, everyone = chosen[0], len(chosen) == len(optimizer.params)

    def ask() -> int | None:
        ages = optimizer._age
        age = ages[first]
        same = ages.count(age) == len(ages) if everyone else all(ages[i] == age for i in chosen)
        return age if same else None

    return ask


def _held(b: Builder, store: dict, chosen: list[int]) -> Table:
    """The places of what an optimizer keeps for the chosen parameters."""
    return Table(tuple([InOut(b.constant(store[i])) for i in chosen]))


def _sgd(b: Builder, step: Instruction, weights: Sequence[Place], grads: Sequence[Place]) -> bool:
    optimizer, chosen = step.params["optimizer"], step.params["chosen"]
    earlier, age = step.params["earlier"], _age(optimizer, chosen)
    momentum = bool(optimizer.momentum)
    buffers = optimizer._buffers
    kept = None
    if momentum:
        optimizer._state(buffers, chosen, [w.array for w in weights])
        kept = _held(b, buffers, chosen)
    b.conditions.append(
        lambda: (
            optimizer._buffers is buffers
            and bool(optimizer.momentum) is momentum
            and age() is not None
        )
    )
    last: list[Any] = [None]

    def prepare(words: Any) -> None:
        numbers = (
            optimizer._lr,
            optimizer.momentum,
            optimizer.dampening,
            optimizer.nesterov,
            optimizer.weight_decay,
            optimizer._age[chosen[0]] + earlier == 0,
        )
        if numbers != last[0]:
            last[0] = numbers
            words[5].d, words[6].d, words[7].d, nesterov, words[9].d, first = numbers
            words[8].i, words[10].i = int(nesterov), int(first)

    sizes = ffi.new("size_t[]", [w.size for w in weights])
    tables = Table(tuple(map(InOut, weights))), kept, Table(tuple(grads))
    numbers = 0.0, 0.0, 0.0, 0, 0.0, 0
    b.call("sgd", weights[0].dtype, *tables, sizes, len(chosen), *numbers, prepare=prepare)
    return True


def _adam(b: Builder, step: Instruction, weights: Sequence[Place], grads: Sequence[Place]) -> bool:
    optimizer, chosen = step.params["optimizer"], step.params["chosen"]
    earlier, age = step.params["earlier"], _age(optimizer, chosen)
    means, squares = optimizer._means, optimizer._squares
    arrays = [w.array for w in weights]
    optimizer._state(means, chosen, arrays)
    optimizer._state(squares, chosen, arrays)
    b.conditions.append(
        lambda: optimizer._means is means and optimizer._squares is squares and age() is not None
    )
    last: list[Any] = [None]

    def prepare(words: Any) -> None:
        beta1, beta2 = optimizer.betas
        made = optimizer._age[chosen[0]] + earlier + 1
        numbers = optimizer._lr, beta1, beta2, optimizer.eps, optimizer.weight_decay
        if numbers != last[0]:
            last[0] = numbers
            words[6].d, words[7].d, words[8].d, words[9].d, words[10].d = numbers
        words[12].d, words[13].d = 1 - beta1**made, 1 - beta2**made

    def varying(count: int) -> dict[int, list[float]]:
        """The corrections for the next `count` steps."""
        made = optimizer._age[chosen[0]] + earlier + 1
        return {
            12 + k: [1 - beta ** (made + i) for i in range(count)]
            for k, beta in enumerate(optimizer.betas)
        }

    sizes = ffi.new("size_t[]", [w.size for w in weights])
    tables = (
        Table(tuple(map(InOut, weights))),
        _held(b, means, chosen),
        _held(b, squares, chosen),
        Table(tuple(grads)),
    )
    numbers = 0.0, 0.0, 0.0, 0.0, 0.0, int(optimizer.decoupled), 0.0, 0.0
    b.call(
        "adam",
        weights[0].dtype,
        *tables,
        sizes,
        len(chosen),
        *numbers,
        prepare=prepare,
        varying=varying,
    )
    return True


ROWS: dict[type, Callable[..., bool]] = {SGD: _sgd, Adam: _adam, AdamW: _adam}
