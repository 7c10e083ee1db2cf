"""Optimizers: they write new numbers into parameters, all parameters of a model in one kernel
call."""

from .adam import Adam, AdamW
from .optimizer import Optimizer
from .sgd import SGD

__all__ = ["SGD", "Adam", "AdamW", "Optimizer"]
