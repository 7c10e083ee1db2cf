"""The cffi build script: what of csrc becomes the module tinygrad_edu._kernels.

setup.py names `ffibuilder` here, and setuptools builds it. Nothing of the C interface is typed a
second time: constants and functions come from between the markers in tg.h, arrays.h and gate.h, the
kernels from the tables kernels.def, ops.def and binary.def, which are expanded here as the
preprocessor would.
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


def interface(name):
    """The part of a header that is plain C, between its two markers."""
    text = (CSRC / name).read_text(encoding="utf-8")
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


def on_arrays(name, parameters, suffix, dtype):
    """(head, body) of the function that Python calls: the kernel, with what arrays.h takes for an
    array in the place of a pointer to numbers, and an untyped list in that of a list of them."""
    taken, handed = [], []
    for parameter in parameters:
        word = re.search(r"\w+$", parameter)[0]
        is_array = re.fullmatch(r"(const )?(T|int64_t) \*\w+", parameter)
        is_list = re.fullmatch(r"(const )?T \*const \*\w+", parameter)
        kind = "uintptr_t " if is_array else "void *" if is_list else None
        taken.append(f"{kind}{word}" if kind else re.sub(r"\bT\b", dtype, parameter))
        handed.append(f"tg_numbers({word})" if is_array else word)
    return (
        f"int array_{name}_{suffix}({', '.join(taken)})",
        f"{{ return tg_{name}_{suffix}({', '.join(handed)}); }}",
    )


def on_words(name, parameters, suffix, dtype):
    """(head, body) of the function that a program calls: the kernel, its arguments taken out of
    words (see program.c)."""
    member = {"size_t": "n", "int": "i", "T": "d", "double": "d"}
    handed = []
    for i, parameter in enumerate(parameters):
        kind = parameter.split()[0]
        is_pointer = "*" in parameter
        cast = "" if is_pointer else f"({dtype if kind == 'T' else kind})"
        handed.append(f"{cast}words[{i}].{'p' if is_pointer else member[kind]}")
    return (
        f"int words_{name}_{suffix}(const union tg_word *words)",
        f"{{ return tg_{name}_{suffix}({', '.join(handed)}); }}",
    )


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


functions = [
    function(name, [" ".join(parameter.split()) for parameter in parameters.split(",")], *dtype)
    for dtype in (("f32", "float"), ("f64", "double"))
    for name, parameters in kernel_rows()
    for function in (on_arrays, on_words)
]
ffibuilder = FFI()
ffibuilder.cdef(interface("tg.h") + interface("arrays.h") + interface("gate.h"))
ffibuilder.cdef("\n".join(f"{head};" for head, _ in functions))
ffibuilder.set_source(
    "tinygrad_edu._kernels",
    "\n".join(['#include "gate.h"', *(f"static {head} {body}" for head, body in functions)]),
    **build_options(),
)
