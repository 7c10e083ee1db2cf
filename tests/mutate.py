"""Make every gradient wrong and see that the row's own check notices: `python tests/mutate.py`.

Each vjp of each row is replaced in turn by one that is 1 % too large, 1 % too large in one entry,
of the wrong sign, or lacks the sum over broadcast axes. Second derivatives are checked with the
mutant as well, since a row is often the derivative of another. A mutant that passes is printed, and
the exit status counts them."""

from __future__ import annotations

import importlib
import sys
from unittest import mock

import numpy as np
from strategies import as_function, differentiable, domain_of, lay_out, rows, values

from tinygrad_edu.testing import GradientError, check_vjp, gradcheck

SHAPES = {1: [((3, 4),), ((),)], 2: [((3, 4), (4,)), ((3, 1), (3, 4)), ((2,), (2,))]}


def larger(g):
    return g * 1.01


def larger_in_one_entry(g):
    one = np.ones(g.shape)
    one.reshape(-1)[np.argmax(np.abs(g))] = 1.01
    return g * one


def negated(g):
    return -g


MUTATIONS = (larger, larger_in_one_entry, negated)


def trials(op) -> list:
    """(inputs, params) on which a row is checked: all its cases, or a few broadcasting shapes."""
    rng = np.random.default_rng(7)
    given = (
        [(case.shapes, case.params, case.distinct) for case in op.cases]
        if op.cases is not None
        else [(shapes, {}, "tie" in op.kinks) for shapes in SHAPES[op.arity]]
    )
    return [
        ([lay_out(x, "contiguous") for x in values(op, rng, shapes, distinct)], dict(params))
        for shapes, params, distinct in given
    ]


def mutant(formula, position, mutation):
    """The formula with one of its results changed; `position` is None for a formula with a single
    result."""

    def wrong(*args, **params):
        result = formula(*args, **params)
        if position is None:
            return mutation(result)
        return tuple(
            mutation(g) if i == position and g is not None else g for i, g in enumerate(result)
        )

    return wrong


def noticed(op) -> bool:
    """Whether the check of the row fails on one of its trials."""
    try:
        for inputs, params in trials(op):
            gradcheck(as_function(op, params), inputs)
    except GradientError:
        return True
    return False


def is_zero(op, position) -> bool:
    """Whether the gradient is zero by convention (sign, floor ...), so that no factor can make it
    wrong."""
    from tinygrad_edu.op import apply

    for inputs, params in trials(op):
        params = {**op.defaults, **params}
        out = apply(op, tuple(inputs), params)
        out = out[0] if op.stash else out
        g = op.vjps[position](np.ones(np.shape(out)), out, *inputs, **params)
        if np.any(g):
            return False
    return True


def vjp_places(op) -> list:
    """(position of the input, or None for all at once, formula) of each gradient that a row
    gives."""
    if op.joint is not None:
        return [(i, op.joint) for i in range(2) if domain_of(op, i).__class__.__name__ == "Reals"]
    return [(i, f) for i, f in enumerate(op.vjps) if f is not None]


def survivors_of(op) -> list:
    """The mutations of one row that its check does not notice."""
    survived = []
    for position, formula in vjp_places(op):
        if op.joint is None and is_zero(op, position):
            continue
        for mutation in MUTATIONS:
            if op.joint is not None:
                changed = {"joint": mutant(formula, position, mutation)}
            else:
                changed = {
                    "vjps": (
                        *op.vjps[:position],
                        mutant(formula, None, mutation),
                        *op.vjps[position + 1 :],
                    )
                }
            before = {key: getattr(op, key) for key in (*changed, "kernel_vjp")}
            try:
                for key, value in {**changed, "kernel_vjp": None}.items():
                    setattr(op, key, value)
                if not noticed(op):
                    survived.append(f"{op.name}, input {position}: {mutation.__name__}")
            finally:
                for key, value in before.items():
                    setattr(op, key, value)
    return survived


def keep_first(g, source, _node):
    """An engine that forgets to add the gradients of copies: it takes the first copy's."""
    shape = source.shape
    extra = len(g.shape) - len(shape)
    g = g[(0,) * extra] if extra else g
    return g[
        tuple(
            slice(0, 1) if n == 1 and g.shape[i] > 1 else slice(None) for i, n in enumerate(shape)
        )
    ]


def broadcast_survivors() -> list:
    """The rows with two inputs whose check does not notice that the engine no longer
    un-broadcasts."""
    engine = importlib.import_module("tinygrad_edu.tensor")  # tg.tensor is the function
    with mock.patch.object(engine, "_unbroadcast", keep_first):
        return [
            f"{op.name}: no sum over broadcast axes"
            for op in rows(differentiable)
            if op.cases is None and op.arity == 2 and not noticed(op)
        ]


def foreign_survivors() -> list:
    """The same three mutations and a missing sum in a vjp that is nobody's row."""

    def forward(x, b):
        return np.tanh(x * b)

    def right(g, out, x, b):
        d = g * (1 - out * out)
        return d * b, (d * x).sum(axis=0)

    x, b = np.random.default_rng(0).uniform(0.5, 1, (3, 4)), np.linspace(0.5, 1, 4)

    def second_changed(mutation):
        return lambda *args: (right(*args)[0], mutation(right(*args)[1]))

    wrong = {mutation.__name__: second_changed(mutation) for mutation in MUTATIONS}
    wrong["missing sum"] = lambda g, out, x, b: (right(g, out, x, b)[0], g * (1 - out * out) * x)
    survived = []
    check_vjp(forward, right, [x, b])
    for what, vjp in wrong.items():
        try:
            check_vjp(forward, vjp, [x, b])
            survived.append(f"foreign vjp: {what}")
        except GradientError:
            pass
    return survived


def main() -> int:
    """Print the survivors and return how many there are."""
    chosen = rows(differentiable)
    survived = (
        [text for op in chosen for text in survivors_of(op)]
        + broadcast_survivors()
        + foreign_survivors()
    )
    tried = sum(len(vjp_places(op)) for op in chosen) * len(MUTATIONS)
    print(
        *survived, f"{len(survived)} survivors of {tried} mutations of {len(chosen)} rows", sep="\n"
    )
    return len(survived)


if __name__ == "__main__":
    sys.exit(main())
