"""Where an oracle comes from: installed or skipped, unless every one is demanded."""

import importlib
import os

import pytest


def oracle(module):
    """The module, or a skip of the test file that asks for it. With
    TINYGRAD_EDU_ORACLES=required, as in CI, a missing one is an error instead."""
    if os.environ.get("TINYGRAD_EDU_ORACLES") == "required":
        return importlib.import_module(module)
    return pytest.importorskip(module)
