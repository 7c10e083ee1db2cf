"""Random steps, compiled, against the same steps in eager mode: results, gradients and parameters
are the same to the bit, replay after replay, and so is every row of the table of operations.

The two may differ where NumPy goes by the layout of its operands: those rows are named in APART,
with what they may differ by.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies import call, name, rows, samples

import tinygrad_edu as tg
from tinygrad_edu.testing import lay_out
from tinygrad_edu.testing.strategies import layouts

F = tg.nn.functional
# NumPy adds up, and rounds in some functions, by the layout of its operands, which a program first
# puts in order: then a row may differ by the rounding of at most 24 terms of size 16 at most. So
# may these, which lay out operands themselves, in every layout.
APART = ("contract", "dot", "matmul", "mean", "prod", "sum")
TERMS = 24 * 16
CALLS = 4  # the first traces; the others meet gradients and state that the ones before left

# --------------------------------------------------------------------------- what a step is made of

# Of one tensor and of two, each with the shapes that it asks for: `fits(*shapes)`.
UNARY = {
    "tanh": tg.tanh,
    "sigmoid": tg.sigmoid,
    "relu": tg.relu,
    "exp": lambda x: tg.exp(tg.clip(x, -3, 3)),
    "negative": lambda x: -x,
    "square": tg.square,
    "sqrt": lambda x: tg.sqrt(tg.abs(x) + 0.5),
    "softplus": tg.softplus,
    "leaky_relu": lambda x: tg.leaky_relu(x, 0.1),
    "abs": tg.abs,
    "doubled": lambda x: x + x,
    "cubed": lambda x: x * x * x,
    "shifted": lambda x: 1 - x,
    "scaled": lambda x: x * 0.5,
    "over": lambda x: 1 / (2 + x * x),
    "power": lambda x: x**2,
    "detached": lambda x: x * x.detach(),
    "where": lambda x: tg.where(x > 0, x, 0.1 * x),
    "flat": lambda x: x.reshape(-1),
    "transposed": lambda x: x.T,
    "flipped": lambda x: tg.flip(x),
    "grown": lambda x: tg.broadcast_to(x, (2, *x.shape)),
    "first": lambda x: x[..., :1] if x.ndim else x,
    "every second": lambda x: x[::2] if x.ndim else x,
    "backwards": lambda x: x[..., ::-1] if x.ndim else x,
    "picked": lambda x: x[[0, -1, 0]] if x.ndim and x.shape[0] else x,
    "expanded": lambda x: tg.expand_dims(x, -1),
    "squeezed": tg.squeeze,
    "sum": tg.sum,
    "mean of rows": lambda x: x.mean(axis=-1) if x.ndim and x.shape[-1] else x,
    "sum of columns": lambda x: x.sum(axis=0, keepdims=True) if x.ndim else x,
    "max": lambda x: x.max(axis=-1) if x.ndim and x.shape[-1] else x,
    "logsumexp": lambda x: tg.logsumexp(x, axis=-1) if x.ndim and x.shape[-1] else x,
    "softmax": lambda x: tg.softmax(x, axis=-1) if x.ndim and x.shape[-1] else x,
    "log_softmax": lambda x: tg.log_softmax(x, axis=-1) if x.ndim and x.shape[-1] else x,
    "cumsum": lambda x: tg.cumsum(x, axis=0) if x.ndim else x,
    "padded": lambda x: tg.pad(x, 1) if x.ndim else x,
    "as float64": lambda x: x.astype(np.float64),
    "as float32": lambda x: x.astype(np.float32),
    "twice": lambda x: tg.concatenate([x, x]) if x.ndim else tg.stack([x, x]),
}
BINARY = {
    "add": tg.add,
    "subtract": tg.subtract,
    "multiply": tg.multiply,
    "divide": lambda x, y: x / (y * y + 1),
    "maximum": tg.maximum,
    "minimum": tg.minimum,
    "hypot": lambda x, y: tg.hypot(x, y + 3),
    "chosen": lambda x, y: tg.where(x > y, x, y * 2),
    "same twice": lambda x, y: tg.tanh(x * y) + tg.tanh(x * y),
    "stacked": lambda x, y: tg.stack([x + y, x]),
    "matmul": lambda x, y: x @ y,
    "outer product": lambda x, y: x.reshape(-1, 1) @ y.reshape(1, -1),
    "linear": lambda x, y: tg.linear(x, y, None, activation="tanh"),
    "joined": lambda x, y: tg.concatenate([x, y], axis=-1),
    "mse_loss": lambda x, y: F.mse_loss(x, y),
    "huber": lambda x, y: F.huber_loss(x, y, reduction="sum"),
}
LOSSES = {
    "sum": lambda x, _: x.sum(),
    "mean": lambda x, _: (x * x).mean() if x.size else x.sum(),
    "cross_entropy": lambda x, labels: F.cross_entropy(_rows(x), labels),
    "smoothed": lambda x, labels: F.cross_entropy(
        _rows(x), labels, label_smoothing=0.1, reduction="sum"
    ),
    "mse": lambda x, _: F.mse_loss(x, tg.zeros_like(x.detach()) + 0.5) if x.size else x.sum(),
}
LABELS = 4
OPTIMIZERS = {
    "sgd": lambda p: tg.optim.SGD(p, lr=0.05),
    "decay": lambda p: tg.optim.SGD(p, lr=0.05, weight_decay=0.1),
    "momentum": lambda p: tg.optim.SGD(p, lr=0.05, momentum=0.9, dampening=0.1),
    "nesterov": lambda p: tg.optim.SGD(p, lr=0.05, momentum=0.9, nesterov=True),
    "adam": lambda p: tg.optim.Adam(p, lr=0.01, weight_decay=0.01),
    "adamw": lambda p: tg.optim.AdamW(p, lr=0.01),
    "rmsprop": lambda p: tg.optim.RMSprop(p, lr=0.01),
    "adagrad": lambda p: tg.optim.Adagrad(p, lr=0.05),
}
CLEARED = ("not", "at the beginning", "by hand", "at the end")


def _rows(x: Any) -> Any:
    """Logits for LABELS rows, whatever x is."""
    return (
        tg.broadcast_to(
            x.sum(axis=tuple(range(x.ndim - 1))) if x.ndim else x,
            (LABELS, *(x.shape[-1:] if x.shape[-1:] > (1,) else (3,))),
        )
        if x.shape[-1:] != (0,)
        else tg.zeros((LABELS, 2)) + x.sum()
    )


@dataclass
class Recipe:
    """A step in words: see `step`."""

    params: list  # (shape, dtype, requires_grad)
    inputs: list  # (shape, dtype)
    nodes: list  # (name, positions in the pool)
    losses: list  # (name, position)
    returned: list
    optimizer: str | None
    cleared: str
    seed: int


class Side:
    """One of two equal worlds: parameters, an optimizer, and the step over them."""

    def __init__(self, recipe: Recipe, compiled: bool) -> None:
        rng = np.random.default_rng(recipe.seed)
        self.recipe = recipe
        self.params = [
            tg.Tensor(rng.normal(size=shape).astype(dtype), requires_grad=wanted)
            for shape, dtype, wanted in recipe.params
        ]
        make = OPTIMIZERS.get(recipe.optimizer or "")
        self.optimizer = make(self.params) if make else None
        self.call = tg.compile(self.step) if compiled else self.step

    def clear(self) -> None:
        if self.optimizer is not None and self.recipe.cleared != "by hand":
            self.optimizer.zero_grad()
        else:
            for p in self.params:
                p.grad = None

    def pool(self, inputs: list) -> list:
        found = [*self.params, *inputs]
        for node, places in self.recipe.nodes:
            found.append({**UNARY, **BINARY}[node](*(found[i] for i in places)))
        return found

    def step(self, labels: Any, *inputs: Any) -> Any:
        recipe = self.recipe
        if recipe.cleared in ("at the beginning", "by hand"):
            self.clear()
        found = self.pool(list(inputs))
        losses = [LOSSES[name](found[i], labels) for name, i in recipe.losses]
        for loss in losses:
            if loss.requires_grad:
                loss.backward(retain_graph=True)
        grads = [None if p.grad is None else p.grad * 1.0 for p in self.params]
        if self.optimizer is not None:
            self.optimizer.step()
        elif losses:
            self.by_hand()
        if recipe.cleared == "at the end":
            self.clear()
        return {"losses": losses, "nodes": [found[i].detach() for i in recipe.returned]}, grads

    def by_hand(self) -> None:
        with tg.no_grad():
            for p in self.params:
                if p.grad is not None:
                    p -= 0.05 * p.grad


dtypes = st.sampled_from([np.float32, np.float32, np.float64])
shapes = st.sampled_from(
    [(), (1,), (3,), (4,), (2, 3), (3, 3), (4, 3), (3, 4), (1, 3), (4, 1), (2, 3, 4), (2, 1, 3)]
    + [(0,), (0, 3), (70,), (40, 33), (2, 70, 40)]
)


def test_a_linear_layer_of_nothing_has_a_gradient() -> None:
    """Found by the fuzz, in eager mode: (0, 0) cannot become (-1, 0)."""
    x, w = tg.zeros((2, 0), requires_grad=True), tg.zeros((0, 0), requires_grad=True)
    tg.linear(x, w).sum().backward()
    assert w.grad is not None and w.grad.shape == (0, 0)


@st.composite
def recipes(draw: Any) -> Recipe:
    recipe = Recipe(
        params=draw(
            st.lists(
                st.tuples(shapes, dtypes, st.sampled_from([True, True, False])),
                min_size=1,
                max_size=3,
            )
        ),
        inputs=draw(st.lists(st.tuples(shapes, dtypes), min_size=1, max_size=3)),
        nodes=[],
        losses=[],
        returned=[],
        optimizer=draw(st.sampled_from([None, *OPTIMIZERS])),
        cleared=draw(st.sampled_from(CLEARED)),
        seed=draw(st.integers(0, 2**16)),
    )
    side = Side(recipe, compiled=False)
    pool = side.pool([tg.Tensor(x) for x in arguments(recipe, 0)[1:]])
    for _ in range(draw(st.integers(1, 10))):
        name = draw(st.sampled_from([*UNARY, *BINARY, *BINARY]))
        places = [draw(st.integers(0, len(pool) - 1)) for _ in range(1 + (name in BINARY))]
        try:
            made = {**UNARY, **BINARY}[name](*(pool[i] for i in places))
        except tg.TinygradEduError:
            continue  # shapes that do not fit
        if made.size > 20000 or made.ndim > 6:
            continue
        recipe.nodes.append((name, places))
        pool.append(made)
    last = len(pool) - 1
    some = st.integers(0, last)
    recipe.losses = draw(
        st.lists(st.tuples(st.sampled_from([*LOSSES]), some | st.just(last)), max_size=2)
    )
    recipe.returned = draw(st.lists(some, max_size=3))
    return recipe


def arguments(recipe: Recipe, k: int) -> list:
    """The arrays of call number k."""
    rng = np.random.default_rng((recipe.seed, k))
    made = [rng.normal(size=shape).astype(dtype) for shape, dtype in recipe.inputs]
    return [rng.integers(0, 2, LABELS), *made]


# ----------------------------------------------------------------------------------- comparing


def flat(result: Any) -> list:
    if isinstance(result, dict):
        return [x for part in result.values() for x in flat(part)]
    if isinstance(result, (list, tuple)):
        return [x for part in result for x in flat(part)]
    return [result]


def same(got: Any, wanted: Any, what: str) -> None:
    """Equal to the bit, but for which NaN it is."""
    assert (got is None) == (wanted is None), what
    if got is None:
        return
    a, b = got.detach().numpy(), wanted.detach().numpy()
    np.testing.assert_array_equal(a, b, strict=True, err_msg=what)
    finite = ~np.isnan(a) if a.dtype.kind == "f" else np.ones(a.shape, bool)
    np.testing.assert_array_equal(np.signbit(a[finite]), np.signbit(b[finite]), err_msg=what) if (
        a.dtype.kind == "f"
    ) else None


@settings(max_examples=settings().max_examples * 10)
@given(recipe=recipes())
def test_a_compiled_step_is_the_eager_step(recipe: Recipe) -> None:
    compare(recipe)


def compare(recipe: Recipe) -> None:
    """Run the step of `recipe` in both worlds, call by call."""
    eager, fast = Side(recipe, compiled=False), Side(recipe, compiled=True)
    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore", tg.GradientWarning)  # gradients are left to add up
        for k in range(CALLS):
            wanted, got = eager.call(*_tensors(recipe, k)), fast.call(*arguments(recipe, k))
            for i, (a, b) in enumerate(zip(flat(got), flat(wanted), strict=True)):
                same(a, b, f"result {i} of call {k}")
            for i, (p, q) in enumerate(zip(fast.params, eager.params, strict=True)):
                same(p, q, f"parameter {i} after call {k}")
                same(p.grad, q.grad, f"gradient {i} after call {k}")


def _tensors(recipe: Recipe, k: int) -> list:
    labels, *inputs = arguments(recipe, k)
    return [labels, *map(tg.Tensor, inputs)]


# ------------------------------------------------------------------------------------ row by row


def leaves_of(arrays: list) -> list:
    return [tg.Tensor(x, requires_grad=x.dtype.kind == "f") for x in arrays]


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("op", rows(), ids=name)
@settings(max_examples=max(settings().max_examples // 2, 2))
@given(data=st.data(), dense=st.booleans())
def test_every_row_compiled_is_the_eager_row(op: Any, dtype: Any, data: Any, dense: bool) -> None:
    """Forward and backward, on the numbers that were traced and on others."""
    layout = st.just("contiguous") if dense else layouts
    inputs, params = data.draw(samples(op, dtype, layout))
    # Of arrays without axes NumPy makes scalars, which no kernel takes: eager mode's formulas then
    # round otherwise than the kernels of a program.
    exact = dense and op.name not in APART and all(x.ndim for x in inputs)
    rng = np.random.default_rng(0)
    shape = call(op, leaves_of(inputs), params).shape
    u = rng.normal(size=shape).astype(dtype)

    def step(*given: Any) -> Any:
        out = call(op, given, params)
        if out.requires_grad:
            out.backward(u)
        return out

    fast = tg.compile(step)
    with np.errstate(all="ignore"):
        for arrays in (inputs, [lay_out(x, "contiguous") for x in inputs], shuffled(op, inputs)):
            ours, theirs = leaves_of(arrays), leaves_of(arrays)
            close(fast(*theirs), step(*ours), op, exact)
            for a, b in zip(theirs, ours, strict=True):
                close(a.grad, b.grad, op, exact)


def shuffled(op: Any, inputs: list) -> list:
    """Other numbers for the row, where any of its numbers may stand at any place."""
    rng = np.random.default_rng(1)
    if op.cases is None and op.arity != 1:
        return [x * 1 if x.dtype.kind == "f" else x for x in inputs]
    return [rng.permutation(np.array(x).reshape(-1)).reshape(x.shape) for x in inputs]


def close(got: Any, wanted: Any, op: Any, exact: bool) -> None:
    """Equal to the bit, or within TERMS roundings."""
    if exact or got is None or got.dtype.kind != "f":
        same(got, wanted, op.name)
        return
    a, b = got.detach().numpy(), wanted.detach().numpy()
    scale = np.abs(b[np.isfinite(b)]).max(initial=1)
    np.testing.assert_allclose(a, b, rtol=0, atol=TERMS * np.finfo(b.dtype).eps * scale)
