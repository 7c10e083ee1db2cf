"""The cffi build script: what of csrc becomes the module tinygrad_edu._kernels.

setup.py names `ffibuilder` here, and setuptools builds it. Nothing of the C interface is typed a
second time: constants and functions come from between the markers in tg.h, the kernels from the
tables kernels.def and ops.def, which are expanded here as the preprocessor would.
"""

import os
import re
import sys
from pathlib import Path

from cffi import FFI

CSRC = Path(__file__).resolve().parent


def source_text(name):
    """The text of a file of csrc without comments, with continued lines joined."""
    text = (CSRC / name).read_text(encoding="utf-8")
    return re.sub(r"/\*.*?\*/", "", text, flags=re.DOTALL).replace("\\\n", " ")


def interface():
    """The part of tg.h that is plain C, between its two markers."""
    text = (CSRC / "tg.h").read_text(encoding="utf-8")
    marked = re.search(r"/\* cdef: begin \*/(.*?)/\* cdef: end \*/", text, flags=re.DOTALL)[1]
    return re.sub(r"/\*.*?\*/", "", marked, flags=re.DOTALL)


def kernel_rows():
    """kernels.def as a list of (name, parameters), the rows of ops.def put where it is included."""
    operations = re.findall(r"^(UNARY1?)\((\w+),", source_text("ops.def"), flags=re.MULTILINE)
    macros = {}
    text = ""
    for line in source_text("kernels.def").splitlines():
        if define := re.match(r"#define (\w+)\(op, f, d\)(.*)", line):
            macros[define[1]] = define[2]
        elif line.startswith('#include "ops.def"'):
            for macro, operation in operations:
                text += re.sub(r"\bop(##|\b)", operation, macros[macro])
        else:
            text += line + "\n"
    return re.findall(r"TG_KERNEL\(\s*(\w+),\s*\(([^()]*)\)", text)


def declarations():
    """Everything cffi is to declare."""
    lines = [interface()]
    for suffix, dtype in (("f32", "float"), ("f64", "double")):
        for name, parameters in kernel_rows():
            parameters = " ".join(re.sub(r"\bT\b", dtype, parameters).split())
            lines.append(f"int tg_{name}_{suffix}({parameters});")
    return "\n".join(lines)


def build_options():
    """Sources, what they depend on, and flags: one set for all files, as setuptools wants it."""
    here = Path(os.path.relpath(CSRC))  # setuptools takes no absolute sources
    options = {
        "sources": sorted(str(here / path.name) for path in CSRC.glob("*.c")),
        "depends": sorted(str(here / path.name) for path in CSRC.glob("*.[hd]*")),
        "include_dirs": [str(here)],
    }
    if sys.platform == "win32":
        options["extra_compile_args"] = ["/O2", "/std:c11", "/experimental:c11atomics"]
    else:
        options["extra_compile_args"] = ["-std=c11", "-O3", "-g0", "-ffp-contract=off"]
        options["extra_link_args"] = ["-pthread"]
        options["libraries"] = ["m"]
    return options


ffibuilder = FFI()
ffibuilder.cdef(declarations())
ffibuilder.set_source("tinygrad_edu._kernels", '#include "tg.h"', **build_options())
