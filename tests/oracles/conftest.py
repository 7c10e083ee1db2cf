"""A run of the oracles says at its end what was compared and which of them are not installed."""

import importlib.util

import pytest

ORACLES = ("onnx", "autograd", "sklearn", "scipy")
FINDINGS = pytest.StashKey[list]()


def pytest_configure(config):
    config.stash[FINDINGS] = []


@pytest.fixture(scope="session")
def report(pytestconfig):
    """Called with a line, shows it in the summary."""
    return pytestconfig.stash[FINDINGS].append


def pytest_terminal_summary(terminalreporter, config):
    missing = [name for name in ORACLES if importlib.util.find_spec(name) is None]
    for line in config.stash[FINDINGS]:
        terminalreporter.write_line(line)
    if missing:
        terminalreporter.write_line(
            f"oracles not installed, skipped: {', '.join(missing)} (pip install '.[oracles]')"
        )
