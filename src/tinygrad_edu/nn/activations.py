"""Activation modules, made from the functions: `ReLU()` is a layer that applies `relu`, parameters
at construction."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any, ClassVar, Literal

from ..ops import elementwise, reduction
from .module import Weightless


class _Activation(Weightless):
    """`function` as a layer; its parameters, if it has any, are those of the constructor."""

    function: ClassVar[Callable[..., Any]]

    def __init_subclass__(cls) -> None:
        cls.__doc__ = f"{cls.function.__name__} as a layer. {cls.function.__doc__}"

    def __init__(self) -> None:
        self.params: dict[str, Any] = {}

    def forward(self, x: Any) -> Any:
        return type(self).function(x, **self.params)

    def _chosen(self) -> dict[str, Any]:
        """The parameters that are not at their defaults."""
        usual = inspect.signature(type(self)).parameters
        return {k: v for k, v in self.params.items() if v != usual[k].default}

    def hyperparameters(self) -> dict[str, Any]:
        return {"activation": type(self).function.__name__, **self._chosen()}

    def extra_repr(self) -> str:
        return ", ".join(f"{k}={v!r}" for k, v in self._chosen().items())


class ReLU(_Activation):
    function = elementwise.relu


class SELU(_Activation):
    function = elementwise.selu


class SiLU(_Activation):
    function = elementwise.silu


class Mish(_Activation):
    function = elementwise.mish


class Softplus(_Activation):
    function = elementwise.softplus


class Sigmoid(_Activation):
    function = elementwise.sigmoid


class LogSigmoid(_Activation):
    function = elementwise.log_sigmoid


class Tanh(_Activation):
    function = elementwise.tanh


class Hardtanh(_Activation):
    function = elementwise.hardtanh


class Step(_Activation):
    function = elementwise.step


class LeakyReLU(_Activation):
    function = elementwise.leaky_relu

    def __init__(self, *, negative_slope: float = 0.01) -> None:
        self.params = {"negative_slope": negative_slope}


class ELU(_Activation):
    function = elementwise.elu

    def __init__(self, *, alpha: float = 1.0) -> None:
        self.params = {"alpha": alpha}


class GELU(_Activation):
    function = elementwise.gelu

    def __init__(self, *, approximate: Literal["none", "tanh"] = "none") -> None:
        self.params = {"approximate": approximate}


class Softmax(_Activation):
    function = reduction.softmax

    def __init__(self, *, axis: int = -1) -> None:
        self.params = {"axis": axis}


class LogSoftmax(_Activation):
    function = reduction.log_softmax

    def __init__(self, *, axis: int = -1) -> None:
        self.params = {"axis": axis}


# What `MLP(activation=...)` and the command line call by name.
BY_NAME: dict[str, Callable[..., Any]] = {
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
