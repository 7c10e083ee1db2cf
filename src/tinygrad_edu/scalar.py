"""The scalar engine: one number a node, and small networks made of them.

A `Value` is a node of the same graph as a Tensor, with a Python float as its payload; its gradients come from the same
rows. The interface is that of micrograd, so that its notebooks run when the import line is changed.
Unlike a Tensor, every Value keeps its gradient and its graph after `backward()`: at this size one wants to look at it.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from .errors import GraphError
from .graph import Node, mark_written, propagate, recording, tick
from .op import NO_PARAMS, OPS, Op, on_scalars

_new = object.__new__


class Value(Node):
    """A number in the graph: `data` (float), `grad` (float, d root / d self after `root.backward()`), `label`.

    Operators and the methods exp, log, tanh, sigmoid, relu, ... record; comparisons give bool. A non-number is refused.
    """

    __slots__ = ("label",)
    __hash__ = object.__hash__
    __array_ufunc__ = None  # so that np.float64(2) * value asks us

    label: str

    def __init__(self, data: Any, label: str = "") -> None:
        _leaf(self, data if type(data) is float else _number(data), label)

    @classmethod
    def record(cls, op: Op, inputs: tuple, params: dict[str, Any] = NO_PARAMS) -> Any:
        """Run `op` on the numbers of `inputs` and remember it."""
        inputs = tuple(x if isinstance(x, Value) or x is None else _number(x) for x in inputs)
        numbers = tuple(x.payload if isinstance(x, Value) else x for x in inputs)
        out = on_scalars(op, numbers, params)
        if not op.differentiable:
            return out
        if type(out) is not float and not isinstance(out, (int, float)):
            raise TypeError(f"{op.name}: does not work on single numbers (Value). Use Tensors.")
        return _made(op, out, inputs, params) if recording() else Value(out)

    def conform(self, contribution: Any, op: Op, position: int) -> Any:
        return contribution

    def retry(self, formula: Callable, g: Any, out: Any, values: Sequence, params: dict[str, Any]) -> Any:
        """A formula where Python raises and IEEE arithmetic answers (1 / 0 = inf): again, in NumPy's numbers."""
        if isinstance(g, Value):
            raise
        with np.errstate(all="ignore"):
            return float(formula(np.float64(g), np.float64(out), *map(np.float64, values), **params))

    def arrived(self, gradient: Any) -> None:
        self.grad = gradient

    def backward(self, create_graph: bool = False) -> None:
        """Add d self / d leaf to the `grad` of every leaf, and set the `grad` of every value on the way.

        With `create_graph` the gradients are Values, which can be differentiated again.
        """
        if self.op is None and not self.requires_grad:
            raise GraphError("backward: this Value was computed under no_grad(), so nothing leads back from it.")
        found = propagate(self, Value(1.0) if create_graph else 1.0, create_graph=create_graph, retain_graph=True)
        for leaf, g in found.items():
            leaf.grad = leaf.grad + g

    @property
    def data(self) -> Any:
        """The number. Assigning to it is how a parameter is trained; a backward that still needs the old one refuses."""
        return self.payload

    @data.setter
    def data(self, number: Any) -> None:
        self.payload = number if type(number) is float else _number(number)
        mark_written(self)

    @property
    def _prev(self) -> set:
        """The values that this one was computed from, as micrograd's drawing notebooks ask for them."""
        return {x for x in self.inputs or () if isinstance(x, Value)}

    @property
    def _op(self) -> str:
        """The symbol of the operation that made this value, or ""."""
        return self.op.symbol if self.op else ""

    def __repr__(self) -> str:
        return f"Value(data={self.payload}, grad={self.grad})"

    def __float__(self) -> float:
        return float(self.payload)

    def __bool__(self) -> bool:
        return bool(self.payload)


def _leaf(made: Value, number: Any, label: str) -> None:
    made.payload = number
    made.op = made.inputs = made.stash = made.hooks = None
    made.params = NO_PARAMS
    made.seq = made.written = made.grad = 0
    made.requires_grad = True
    made.label = label


def _made(op: Op, number: Any, inputs: tuple, params: dict[str, Any]) -> Value:
    made = _new(Value)
    made.payload = number
    made.op, made.inputs, made.params = op, inputs, params
    made.stash = made.hooks = None
    made.written = made.grad = 0
    made.requires_grad = True
    made.seq = tick()
    made.label = ""
    return made


def _number(x: Any) -> Any:
    """`x` as a Python number; NumPy's scalars and arrays of one element become one."""
    if isinstance(x, (int, float)) and not isinstance(x, np.generic):
        return x
    item = getattr(x, "item", None)
    if item is not None and getattr(x, "size", 1) == 1:
        number = item()
        if isinstance(number, (int, float)):
            return number
    raise TypeError(f"Value: expected one real number, got {type(x).__name__}: {x!r}.")


for _op in OPS.values():
    if _op.arity in (1, 2) and _op.cases is None and _op.method:
        setattr(Value, _op.name, _op.function)


# -------------------------------------------------------------------------------------------------------- networks

class Module:
    """What has parameters."""

    def parameters(self) -> list[Value]:
        """All trainable Values."""
        return []

    def zero_grad(self) -> None:
        """Set the gradient of every parameter to 0."""
        for p in self.parameters():
            p.grad = 0


class Neuron(Module):
    """`nin` weights drawn from [-1, 1) by Python's `random`, a bias of 0, and relu unless `nonlin` is False."""

    def __init__(self, nin: int, nonlin: bool = True) -> None:
        self.w = [Value(random.uniform(-1, 1)) for _ in range(nin)]
        self.b = Value(0)
        self.nonlin = nonlin

    def __call__(self, x: Sequence) -> Value:
        act = sum((wi * xi for wi, xi in zip(self.w, x)), self.b)
        return act.relu() if self.nonlin else act

    def parameters(self) -> list[Value]:
        return [*self.w, self.b]

    def __repr__(self) -> str:
        return f"{'ReLU' if self.nonlin else 'Linear'}Neuron({len(self.w)})"


class Layer(Module):
    """`nout` neurons that see the same `nin` inputs. A layer of one neuron gives its output, not a list."""

    def __init__(self, nin: int, nout: int, **kwargs: Any) -> None:
        self.neurons = [Neuron(nin, **kwargs) for _ in range(nout)]

    def __call__(self, x: Sequence) -> Any:
        out = [neuron(x) for neuron in self.neurons]
        return out[0] if len(out) == 1 else out

    def parameters(self) -> list[Value]:
        return [p for neuron in self.neurons for p in neuron.parameters()]

    def __repr__(self) -> str:
        return f"Layer of [{', '.join(map(str, self.neurons))}]"


class MLP(Module):
    """Layers one after the other, relu between them, the last one linear: MLP(2, [16, 16, 1])."""

    def __init__(self, nin: int, nouts: Sequence[int]) -> None:
        widths = [nin, *nouts]
        last = len(nouts) - 1
        self.layers = [Layer(widths[i], widths[i + 1], nonlin=i != last) for i in range(len(nouts))]

    def __call__(self, x: Any) -> Any:
        for layer in self.layers:
            x = layer(x)
        return x

    def parameters(self) -> list[Value]:
        return [p for layer in self.layers for p in layer.parameters()]

    def __repr__(self) -> str:
        return f"MLP of [{', '.join(map(str, self.layers))}]"
