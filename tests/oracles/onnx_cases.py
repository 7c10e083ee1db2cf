"""The node cases of the package `onnx`."""

import warnings

from onnx.backend.test.case.node import collect_testcases


def node_cases():
    """All of them, which the package makes, in memory, when it is first asked for them."""
    with warnings.catch_warnings():
        # Those for empty sets and infinities divide by zero while they are being made.
        warnings.simplefilter("ignore", RuntimeWarning)
        return collect_testcases(None)
