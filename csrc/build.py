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
    """kernels.def as a list of (name, parameters), the rows of ops.def and binary.def put where
    they are included."""
    macros = {}
    text = ""
    for line in source_text("kernels.def").splitlines():
        if define := re.match(r"#define (\w+)\(op, [fd, ]+\)(.*)", line):
            macros[define[1]] = define[2]
        elif table := re.match(r'#include "(\w+\.def)"', line):
            for macro, operation in re.findall(r"^(\w+)\((\w+),", source_text(table[1]), re.M):
                text += re.sub(r"\bop(##|\b)", operation, macros[macro])
        else:
            text += line + "\n"
    return re.findall(r"TG_KERNEL\(\s*(\w+),\s*\(([^()]*)\)", text)


def kernels():
    """Every kernel as (name with its suffix, parameters)."""
    for suffix, dtype in (("f32", "float"), ("f64", "double")):
        for name, parameters in kernel_rows():
            yield f"{name}_{suffix}", " ".join(re.sub(r"\bT\b", dtype, parameters).split())


def declarations():
    """Everything cffi is to declare: each kernel with its own parameters, and as a program calls
    it."""
    lines = [interface()]
    for name, parameters in kernels():
        lines.append(f"int tg_{name}({parameters});")
        lines.append(f"int tg_words_{name}(const union tg_word *words);")
    return "\n".join(lines)


def called_by_words():
    """tg_words_<kernel> of every kernel: it takes its arguments out of words (see program.c)."""
    member = {"size_t": "n", "int": "i", "float": "d", "double": "d"}
    lines = ['#include "tg.h"']
    for name, parameters in kernels():
        arguments = []
        for i, parameter in enumerate(parameters.split(",")):
            kind = parameter.split()[0]
            value = f"words[{i}].{'p' if '*' in parameter else member[kind]}"
            arguments.append(value if "*" in parameter else f"({kind}){value}")
        lines.append(f"int tg_words_{name}(const union tg_word *words)")
        lines.append(f"{{ return tg_{name}({', '.join(arguments)}); }}")
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
ffibuilder.set_source("tinygrad_edu._kernels", called_by_words(), **build_options())
