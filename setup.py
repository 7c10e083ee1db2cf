"""Builds the C kernels; everything else about the package stands in pyproject.toml.

TINYGRAD_EDU_KERNELS=numpy in the environment builds the package without them, in pure Python.
Without that, a machine that cannot compile is told so in one sentence, and nothing is installed.
"""

import os
import sysconfig
import tempfile
from pathlib import Path

from setuptools import setup
from setuptools.command.build_ext import build_ext

NO_COMPILER = (
    "tinygrad_edu: the C kernels need a working C compiler and Python's headers "
    "(Debian and Ubuntu: apt install gcc libc6-dev python3-dev; Fedora: dnf install gcc "
    "python3-devel; macOS: xcode-select --install; Windows: the Visual Studio Build Tools with "
    "C++), or set TINYGRAD_EDU_KERNELS=numpy to install the slower NumPy kernels on purpose."
)


class BuildKernels(build_ext):
    """build_ext that first tries the compiler on one line."""

    def build_extensions(self):
        with tempfile.TemporaryDirectory() as folder:
            probe = Path(folder, "probe.c")
            probe.write_text("#include <Python.h>\n#include <stdint.h>\n", encoding="ascii")
            includes = [sysconfig.get_path("include"), sysconfig.get_path("platinclude")]
            try:
                self.compiler.compile([str(probe)], output_dir=folder, include_dirs=includes)
            except Exception as error:  # each compiler class raises its own
                raise SystemExit(NO_COMPILER) from error
        super().build_extensions()


def kernels():
    """What setup() needs to build the C kernels: nothing when NumPy's were chosen."""
    if os.environ.get("TINYGRAD_EDU_KERNELS") == "numpy":
        return {}
    options = {
        "cffi_modules": ["csrc/build.py:ffibuilder"],
        "cmdclass": {"build_ext": BuildKernels},
    }
    if not sysconfig.get_config_var("Py_GIL_DISABLED"):
        # One wheel for every Python from 3.11 on; free-threaded builds have no stable ABI.
        options["options"] = {"bdist_wheel": {"py_limited_api": "cp311"}}
    return options


setup(**kernels())
