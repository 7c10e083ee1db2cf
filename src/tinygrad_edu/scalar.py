"""The scalar engine: one number a node, and small networks made of them.

A `Value` is a node of the same graph as a Tensor, with a Python float as its payload; its gradients
come from the same rows. The interface is that of micrograd, so that its notebooks run when the
import line is changed. Unlike a Tensor, every Value keeps its gradient and its graph after
`backward()`: at this size one wants to look at it.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from .anomaly import check_forward, watching
from .errors import CallError, GraphError, ShapeError
from .graph import Node, jointly, open_trace, propagate, recording, traces
from .op import NO_PARAMS, OPS, Op, on_scalars
from .ops.arithmetic import weighted_sum
from .switch import unusual
from .writes import mark_replaced, tick

if TYPE_CHECKING:  # written by ops/surface.py: what the loop below the class attaches
    from ._surface import ValueMethods
else:
    ValueMethods = object

_new = object.__new__


class Value(Node, ValueMethods):
    """A number in the graph: `data` (float), `grad` (float, d root / d self after
    `root.backward()`), `label`.

    Operators and the methods exp, log, tanh, sigmoid, relu, ... record; comparisons give bool. A
    non-number is refused.
    """

    __slots__ = ("params", "label")
    __hash__ = object.__hash__
    __array_ufunc__ = None  # so that np.float64(2) * value asks us
    requires_grad = True
    keeps_grad = True

    label: str
    grad: Any  # a float; or a Value, after backward(create_graph=True)

    def __init__(self, data: Any, label: str = "") -> None:
        self.payload = data if type(data) is float else _number(data)
        self.op = self.inputs = None
        self.seq = self.written = self.grad = 0
        self.params = NO_PARAMS
        self.label = label

    @classmethod
    def record(cls, op: Op, inputs: tuple[Any, ...], params: dict[str, Any] = NO_PARAMS) -> Any:
        """Run `op` on the numbers of `inputs` and remember it."""
        if traces and open_trace() is not None:
            raise CallError(
                f"{op.name}: a step that is being compiled as one of Tensors computes with Values.",
                code="value-or-tensor",
            )
        numbers = []
        values = True  # Values only, as in a neuron
        for x in inputs:
            if isinstance(x, Value):
                numbers.append(x.payload)
            else:
                values = False
                numbers.append(None if x is None else _number(x))
        if not values:
            inputs = tuple(x if isinstance(x, Value) else n for x, n in zip(inputs, numbers))
        out = on_scalars(op, tuple(numbers), params)
        if not op.differentiable:
            return out
        if not isinstance(out, (int, float)):
            raise CallError(
                f"{op.name}: does not work on single numbers (Value). Use Tensors.",
                code="value-or-tensor",
            )
        if recording():
            made = _made(float(out), op, inputs, params)
        else:
            made = Value(out)
            made.inputs = ()  # unlike a leaf's: computed, so that backward() can refuse
        if watching:
            check_forward(made, op, inputs)
        return made

    def contributions(
        self, g: Any, create_graph: bool, wanted: set[Node] | None = None
    ) -> Sequence[Any]:
        """As `Node.contributions`, unrolled for the many nodes that are a neuron or a formula of
        one or two numbers; and `g` is kept."""
        self.grad = g
        op: Any = self.op
        inputs: Any = self.inputs
        if create_graph or wanted is not None or op.defaults:
            return super().contributions(g, create_graph, wanted)
        out = self.payload
        try:
            if op.joint is not None:
                return jointly(self, g, out, [x.payload for x in inputs])
            if len(inputs) == 1:
                (x,) = inputs
                return (op.vjps[0](g, out, x.payload),)
            if len(inputs) == 2:
                x, y = inputs
                for_x, for_y = op.vjps
                if not isinstance(y, Value):
                    return for_x(g, out, x.payload, y), None
                if not isinstance(x, Value):
                    return None, for_y(g, out, x, y.payload)
                a, b = x.payload, y.payload
                return for_x(g, out, a, b), for_y(g, out, a, b)
        except (ArithmeticError, AttributeError):  # a plain number that is input of a neuron
            pass
        return super().contributions(g, create_graph)

    def retry(
        self,
        formula: Callable[..., Any],
        g: Any,
        out: Any,
        values: Sequence[Any],
        params: dict[str, Any],
    ) -> Any:
        """A formula where Python raises and IEEE arithmetic answers (1 / 0 = inf): again, in
        NumPy's numbers."""
        if isinstance(g, Value):
            raise
        with np.errstate(all="ignore"):
            return float(
                formula(np.float64(g), np.float64(out), *map(np.float64, values), **params)
            )

    def backward(self, create_graph: bool = False) -> None:
        """Add d self / d leaf to the `grad` of every leaf, and set the `grad` of every value on the
        way. Gradients of several backwards sum up in the leaves: call zero_grad() between them, or
        set `grad = 0`, where that is not meant.

        With `create_graph` the gradients are Values, which can be differentiated again.
        """
        if self.op is None and self.inputs is not None:
            raise GraphError(
                "backward: this Value was computed under no_grad(), so nothing leads back from it. "
                "Compute the loss outside no_grad()."
            )
        found = propagate(
            self, Value(1.0) if create_graph else 1.0, create_graph=create_graph, retain_graph=True
        )
        for leaf, g in found.items():
            leaf.grad = leaf.grad + g

    @property
    def data(self) -> float:
        """The number. Assigning to it is how a parameter is trained; a backward that still needs
        the old one refuses."""
        return self.payload

    @data.setter
    def data(self, number: Any) -> None:
        self.payload = number if type(number) is float else _number(number)
        mark_replaced(self)

    @property
    def _prev(self) -> set[Any]:
        """The values that this one was computed from, as micrograd's drawing notebooks ask for
        them."""
        return {x for x in self.inputs or () if isinstance(x, Value)}

    @property
    def _op(self) -> str:
        """The symbol of the operation that made this value, or ""."""
        return self.op.symbol if self.op else ""

    def __eq__(self, other: Any) -> Any:
        return self.payload == other.payload if isinstance(other, Value) else self.payload == other

    def __ne__(self, other: Any) -> Any:
        return not self == other

    def __repr__(self) -> str:
        return f"Value(data={self.payload}, grad={self.grad})"

    def __float__(self) -> float:
        return float(self.payload)

    def __bool__(self) -> bool:
        return bool(self.payload)


def _number(x: Any) -> float:
    """`x` as a float; NumPy's scalars and arrays of one element become one."""
    if isinstance(x, (int, float)):
        return float(x)
    item = getattr(x, "item", None)
    if getattr(x, "requires_grad", False):
        raise CallError(
            "Value: a Tensor that requires grad cannot become a Value, or meet one in an "
            "operation: its graph would be lost. Use Tensors throughout, or x.item() for its "
            "number.",
            code="value-or-tensor",
        )
    if item is not None and getattr(x, "size", 1) == 1:
        number = item()
        if isinstance(number, (int, float)):
            return float(number)
    raise CallError(f"Value: expected one real number, got {type(x).__name__}: {x!r}.")


# ------------------------------------------------------------------ operators and methods from rows
#
# A graph of Values has many nodes that do little, so the two common forms of row are unrolled:
# `record`, without its loops. Whatever is out of the ordinary (a NumPy number, a division by zero,
# no_grad, detect_anomaly) is left to `record` itself.


def _unary(op: Op) -> Callable[..., Any]:
    scalar = op.scalar

    def method(x: Value) -> Any:
        try:
            number = scalar(x.payload)  # type: ignore[misc]
        except (ArithmeticError, ValueError):
            number = None
        if type(number) is not float or unusual:
            return Value.record(op, (x,))
        return _made(number, op, (x,))

    return method


def _binary(op: Op) -> Callable[..., Any]:
    scalar = op.scalar

    def method(x: Value, y: Any) -> Any:
        try:
            number = scalar(x.payload, y.payload if type(y) is Value else y)  # type: ignore[misc]
        except (ArithmeticError, TypeError, ValueError):
            number = None
        if type(number) is not float or unusual:
            return Value.record(op, (x, y))
        return _made(number, op, (x, y))

    return method


def _made(
    number: float, op: Op, inputs: tuple[Any, ...], params: dict[str, Any] = NO_PARAMS
) -> Value:
    """A recorded Value."""
    made = _new(Value)
    made.payload = number
    made.op = op
    made.inputs = inputs
    made.params = params
    made.seq = tick()
    made.written = made.grad = 0
    made.label = ""
    return made


def _attach(op: Op) -> None:
    plain = op.scalar is not None and op.differentiable and not op.defaults
    method = (_unary, _binary)[len(op.inputs) - 1](op) if plain else op.function
    setattr(Value, op.name, method)
    if op.dunder and plain:
        setattr(Value, f"__{op.dunder}__", method)
        if op.dunder in ("add", "mul"):
            setattr(Value, f"__r{op.dunder}__", method)


for _op in OPS.values():
    if _op.cases is None and _op.method:
        _attach(_op)


# ----------------------------------------------------------------------------------------- networks


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
    """`nin` weights drawn from [-1, 1) by Python's `random`, a bias of 0, and relu unless `nonlin`
    is False.

    The weighted sum is one node of the graph, so a network of Values has one or two nodes a neuron.
    """

    def __init__(self, nin: int, nonlin: bool = True) -> None:
        self.w = [Value(random.uniform(-1, 1)) for _ in range(nin)]
        self.b = Value(0)
        self.nonlin = nonlin

    def __call__(self, x: Sequence[Any]) -> Value:
        if len(x) != len(self.w):
            raise ShapeError(f"Neuron: {len(x)} inputs for {len(self.w)} weights.")
        act = Value.record(weighted_sum.op, (*self.w, *x, self.b))
        return act.relu() if self.nonlin else act

    def parameters(self) -> list[Value]:
        return [*self.w, self.b]

    def __repr__(self) -> str:
        return f"{'ReLU' if self.nonlin else 'Linear'}Neuron({len(self.w)})"


class Layer(Module):
    """`nout` neurons that see the same `nin` inputs. A layer of one neuron gives its output, not a
    list."""

    def __init__(self, nin: int, nout: int, **kwargs: Any) -> None:
        self.neurons = [Neuron(nin, **kwargs) for _ in range(nout)]

    def __call__(self, x: Sequence[Any]) -> Any:
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
