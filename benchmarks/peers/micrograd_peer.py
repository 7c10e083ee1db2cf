"""micrograd as it is run, and with Python's cyclic garbage collector switched off."""

from __future__ import annotations

import importlib.metadata

import moons
from inputs import Contender
from micrograd.engine import Value
from micrograd.nn import MLP


def about() -> str:
    return f"micrograd {importlib.metadata.version('micrograd')}"


def scalar_graph(spec: dict) -> Contender:
    return moons.contender(Value, MLP, collect=spec["mode"] != "gc off")


BUILD = {"moons": scalar_graph}
