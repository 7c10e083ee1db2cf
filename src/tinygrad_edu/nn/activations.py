"""Activation modules, made from the functions: `ReLU()` is a layer that applies `relu`, parameters
at construction."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..errors import CallError
from ..ops import elementwise, reduction
from .module import Module


def _layer(name: str, function: Callable) -> type[Module]:
    """A Module class around `function`; its keyword arguments are the function's parameters."""

    def __init__(self: Any, **params: Any) -> None:
        known = getattr(getattr(function, "op", None), "defaults", {"approximate": "none"})
        for key in params:
            if key not in known:
                raise CallError(
                    f"{name}() has no parameter {key!r}; it has {list(known) or 'none'}.",
                    code="unknown-parameter",
                )
        self.params = params

    def forward(self: Any, x: Any) -> Any:
        return function(x, **self.params)

    def extra_repr(self: Any) -> str:
        return ", ".join(f"{key}={value!r}" for key, value in self.params.items())

    body = {
        "__init__": __init__,
        "forward": forward,
        "extra_repr": extra_repr,
        "__module__": __name__,
        "__doc__": f"{function.__name__} as a layer. {function.__doc__}",
    }
    return type(name, (Module,), body)


ReLU = _layer("ReLU", elementwise.relu)
LeakyReLU = _layer("LeakyReLU", elementwise.leaky_relu)
ELU = _layer("ELU", elementwise.elu)
SELU = _layer("SELU", elementwise.selu)
GELU = _layer("GELU", elementwise.gelu)
SiLU = _layer("SiLU", elementwise.silu)
Mish = _layer("Mish", elementwise.mish)
Softplus = _layer("Softplus", elementwise.softplus)
Sigmoid = _layer("Sigmoid", elementwise.sigmoid)
LogSigmoid = _layer("LogSigmoid", elementwise.log_sigmoid)
Tanh = _layer("Tanh", elementwise.tanh)
Hardtanh = _layer("Hardtanh", elementwise.hardtanh)
Step = _layer("Step", elementwise.step)
Softmax = _layer("Softmax", reduction.softmax)
LogSoftmax = _layer("LogSoftmax", reduction.log_softmax)

# What `MLP(activation=...)` and the command line call by name.
BY_NAME: dict[str, Callable] = {
    "relu": elementwise.relu,
    "leaky_relu": elementwise.leaky_relu,
    "elu": elementwise.elu,
    "selu": elementwise.selu,
    "gelu": elementwise.gelu,
    "silu": elementwise.silu,
    "mish": elementwise.mish,
    "softplus": elementwise.softplus,
    "sigmoid": elementwise.sigmoid,
    "tanh": elementwise.tanh,
    "hardtanh": elementwise.hardtanh,
}
