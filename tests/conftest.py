"""Hypothesis profiles: `dev` is quick and draws anew each time, `ci` draws more and always the
same."""

from __future__ import annotations

import os
import signal

import numpy as np
import pytest
from hypothesis import HealthCheck, settings

import tinygrad_edu as tg

# A shell starts background jobs with SIGINT ignored, which what the tests start would inherit.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

COMMON = {
    "deadline": None,
    "suppress_health_check": [HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
}
settings.register_profile("dev", max_examples=5, **COMMON)
settings.register_profile("ci", max_examples=20, derandomize=True, **COMMON)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "ci" if os.environ.get("CI") else "dev"))


@pytest.fixture(autouse=True)
def repeatable():
    """Every test starts from the same package seed."""
    tg.manual_seed(0)


@pytest.fixture
def rng() -> np.random.Generator:
    """Numbers that are the same in every run."""
    return np.random.default_rng(0)


@pytest.fixture(params=tg.kernels.info()["isa_available"] or ["numpy"])
def isa(request):
    """Each instruction set that this machine has, in turn; "numpy" where there are no C kernels."""
    before = tg.kernels.info()["isa"]
    if before is not None:
        tg.kernels.use_isa(request.param)
    yield request.param
    if before is not None:
        tg.kernels.use_isa(before)
