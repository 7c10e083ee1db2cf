"""Layers, losses, networks and the historical neurons."""

import importlib
from typing import TYPE_CHECKING, Any

from . import functional, init
from .activations import (
    ELU,
    GELU,
    SELU,
    Hardtanh,
    LeakyReLU,
    LogSigmoid,
    LogSoftmax,
    Mish,
    ReLU,
    Sigmoid,
    SiLU,
    Softmax,
    Softplus,
    Step,
    Tanh,
)
from .convolution import AvgPool2d, Conv2d, MaxPool2d
from .embedding import Embedding
from .layers import Dropout, Flatten, Linear, Sequential
from .losses import (
    BCELoss,
    BCEWithLogitsLoss,
    CrossEntropyLoss,
    HingeLoss,
    HuberLoss,
    KLDivLoss,
    L1Loss,
    MSELoss,
    NLLLoss,
)
from .models import MLP, LeNet5
from .module import HookHandle, Module
from .neurons import McCullochPitts, Perceptron, PerceptronHistory, novikoff_bound
from .normalization import BatchNorm1d, BatchNorm2d, LayerNorm

if TYPE_CHECKING:
    from .summary import LayerSummary, Summary, layer_outputs

__all__ = [
    "AvgPool2d",
    "BCELoss",
    "BCEWithLogitsLoss",
    "BatchNorm1d",
    "BatchNorm2d",
    "Conv2d",
    "CrossEntropyLoss",
    "Dropout",
    "ELU",
    "Embedding",
    "Flatten",
    "GELU",
    "Hardtanh",
    "HingeLoss",
    "HookHandle",
    "HuberLoss",
    "KLDivLoss",
    "L1Loss",
    "LayerNorm",
    "LayerSummary",
    "LeNet5",
    "LeakyReLU",
    "Linear",
    "LogSigmoid",
    "LogSoftmax",
    "MLP",
    "MSELoss",
    "MaxPool2d",
    "McCullochPitts",
    "Mish",
    "Module",
    "NLLLoss",
    "Perceptron",
    "PerceptronHistory",
    "ReLU",
    "SELU",
    "Sequential",
    "SiLU",
    "Sigmoid",
    "Softmax",
    "Softplus",
    "Step",
    "Summary",
    "Tanh",
    "functional",
    "init",
    "layer_outputs",
    "novikoff_bound",
]


def _on_demand(name: str) -> Any:
    if name in ("LayerSummary", "Summary", "layer_outputs"):
        return getattr(importlib.import_module(".summary", __name__), name)
    raise AttributeError(f"module 'tinygrad_edu.nn' has no attribute {name!r}")


if not TYPE_CHECKING:  # a checker would take it for a promise of every name
    __getattr__ = _on_demand
