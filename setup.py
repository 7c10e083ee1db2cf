"""Builds the C kernels, and the stub in which type checkers read the operations; everything else
about the package stands in pyproject.toml.

TINYGRAD_EDU_KERNELS=numpy in the environment builds the package without them, in pure Python.
Without that, a machine that cannot compile is told so in one sentence, and nothing is installed.
"""

import os
import sys
import sysconfig
import tempfile
from pathlib import Path
from unittest.mock import patch

from setuptools import setup
from setuptools.command.build_ext import build_ext
from setuptools.command.build_py import build_py

SOURCES = Path(__file__).resolve().parent / "src"
STUB = Path("tinygrad_edu", "_surface.pyi")

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


class BuildModules(build_py):
    """build_py that also writes the stub: into the wheel, or beside the sources where these are
    what is installed (`pip install -e`)."""

    def run(self):
        super().run()
        write_stub((SOURCES if self.editable_mode else Path(self.build_lib)) / STUB)

    def get_outputs(self, include_bytecode=True):
        return [*super().get_outputs(include_bytecode), str(Path(self.build_lib, STUB))]

    def get_output_mapping(self):
        written = {str(Path(self.build_lib, STUB)): str(SOURCES / STUB)}
        return {**super().get_output_mapping(), **written}


def write_stub(path):
    """Write the types of the operations to `path`, as the rows in src/ have them. The rows are
    Python: the kernels need not be built for it, and one built before may no longer fit."""
    path_to_rows = patch.object(sys, "path", [str(SOURCES), *sys.path])
    with path_to_rows, patch.dict(os.environ, TINYGRAD_EDU_KERNELS="numpy"):
        from tinygrad_edu.ops import surface
    surface.write(path)


def kernels():
    """What setup() needs to build the C kernels: nothing when NumPy's were chosen."""
    if os.environ.get("TINYGRAD_EDU_KERNELS") == "numpy":
        return {"cmdclass": {"build_py": BuildModules}}
    options = {
        "cffi_modules": ["csrc/build.py:ffibuilder"],
        "cmdclass": {"build_py": BuildModules, "build_ext": BuildKernels},
    }
    if not sysconfig.get_config_var("Py_GIL_DISABLED"):
        # One wheel for every Python from 3.11 on; free-threaded builds have no stable ABI.
        options["options"] = {"bdist_wheel": {"py_limited_api": "cp311"}}
    return options


setup(**kernels())
