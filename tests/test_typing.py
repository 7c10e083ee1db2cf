"""What a type checker sees: tests/typed/right.py is right, each marked line of wrong.py is wrong,
and no row is missing from the stub.

The checkers read a copy of the package with the stub made anew, as a build makes it, so that the
tests speak about these sources wherever they run. pyright is run where it is installed with its
JavaScript; it must not be fetched by a test.
"""

import ast
import inspect
import json
import os
import re
import shutil
import subprocess
import sys
import types
import typing
from pathlib import Path

import numpy as np
import pytest

import tinygrad_edu as tg
from tinygrad_edu.op import OPS
from tinygrad_edu.ops import surface

SAMPLES = Path(__file__).resolve().parent / "typed"
RIGHT, WRONG = SAMPLES / "right.py", SAMPLES / "wrong.py"
STUB = ast.parse(surface.surface())


@pytest.fixture(scope="module")
def package(tmp_path_factory):
    """A folder with a copy of the package, stub included, and of the samples."""
    folder = tmp_path_factory.mktemp("typed")
    copy = folder / "tinygrad_edu"
    unwanted = shutil.ignore_patterns("__pycache__", "*.so", "*.pyd", surface.STUB.name)
    shutil.copytree(Path(tg.__file__).parent, copy, ignore=unwanted)
    surface.write(copy / surface.STUB.name)
    for sample in (RIGHT, WRONG):
        shutil.copy(sample, folder)
    return folder


@pytest.fixture(scope="module", params=["mypy", "pyright"])
def errors(request, package):
    """{sample: {line: message}}, as one of the checkers has them."""
    return {"mypy": by_mypy, "pyright": by_pyright}[request.param](package)


MYPY = """[mypy]
strict = True
[mypy-tinygrad_edu.*]
follow_imports = silent
follow_imports_for_stubs = True
"""


def by_mypy(package):
    pytest.importorskip("mypy", reason="mypy is not installed")
    (package / "mypy.ini").write_text(MYPY, encoding="utf-8")
    command = (sys.executable, "-m", "mypy", "--output", "json", RIGHT.name, WRONG.name)
    output = run(*command, cwd=package)
    found = [json.loads(line) for line in output.splitlines()]
    return grouped((e["file"], e["line"], e["message"]) for e in found if e["severity"] == "error")


def by_pyright(package):
    pyright = pytest.importorskip("pyright", reason="pyright is not installed")
    program = Path(pyright.__file__).parent / "dist" / "index.js"
    node = shutil.which("node")
    if node is None or not program.exists():
        pytest.skip("pyright is here without node or its JavaScript, which it would download")
    config = {"include": [RIGHT.name, WRONG.name], "strict": [RIGHT.name]}
    (package / "pyrightconfig.json").write_text(json.dumps(config), encoding="utf-8")
    output = run(node, program, "--outputjson", "--pythonpath", sys.executable, cwd=package)
    found = json.loads(output)["generalDiagnostics"]
    return grouped(
        (e["file"], e["range"]["start"]["line"] + 1, e["message"])
        for e in found
        if e["severity"] == "error"
    )


def run(*command, cwd):
    """What a checker prints: it ends with 0 or, where it found errors, with 1."""
    command = list(map(str, command))
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=300, cwd=cwd, env=environment
    )
    assert done.returncode in (0, 1) and not done.stderr, done.stdout + done.stderr
    return done.stdout


def grouped(found):
    lines = {RIGHT.name: {}, WRONG.name: {}}
    for file, line, message in found:
        lines[Path(file).name].setdefault(line, message)
    return lines


def marked():
    """{line: statement} of what wrong.py marks, and which of them Python lets pass."""
    lines = enumerate(WRONG.read_text(encoding="utf-8").splitlines(), start=1)
    wrong = {i: line for i, line in lines if re.search(r"  # wrong(: runs)?$", line)}
    return wrong, {i for i, line in wrong.items() if line.endswith(": runs")}


def test_a_right_program_passes(errors):
    assert errors[RIGHT.name] == {}


def test_each_wrong_line_is_found_and_no_other(errors):
    wrong, _ = marked()
    accepted = {i: line for i, line in wrong.items() if i not in errors[WRONG.name]}
    assert accepted == {}, "these should be errors"
    assert {i: m for i, m in errors[WRONG.name].items() if i not in wrong} == {}


def test_each_asserted_type_is_that_of_the_value(monkeypatch):
    """The types are not only consistent: they are what the program computes."""
    monkeypatch.setattr(typing, "assert_type", claim)
    exec(compile(RIGHT.read_text(encoding="utf-8"), RIGHT, "exec"), {"__name__": "right"})


def claim(value, kind):
    assert fits(value, kind), f"{value!r} is no {kind}"
    return value


def fits(value, kind):
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if origin in (typing.Union, types.UnionType):
        return any(fits(value, one) for one in arguments)
    if origin in (tuple, list):
        return isinstance(value, origin) and all(fits(item, arguments[0]) for item in value)
    if origin is np.ndarray:  # without axes it may be a NumPy number, as the stub says
        return isinstance(value, (np.ndarray, np.generic))
    return isinstance(value, kind)


def test_what_is_marked_wrong_raises():
    wrong, pass_ = marked()
    head, _, _ = WRONG.read_text(encoding="utf-8").partition("\ntg.nosuch")
    names = {}
    exec(compile(head, WRONG, "exec"), names)
    for number, line in wrong.items():
        if number in pass_:
            exec(line, names)
        else:
            with pytest.raises(Exception):  # noqa: B017  (which one, is the business of others)
                exec(line, names)
                pytest.fail(f"line {number} runs: {line}", pytrace=False)


# ---------------------------------------------------------------------------- the stub and the rows


def functions(body):
    """{name: its definitions} of a module or a class of the stub."""
    found = {}
    for node in body:
        if isinstance(node, ast.FunctionDef):
            found.setdefault(node.name, []).append(node)
    return found


def methods(name):
    (node,) = (n for n in STUB.body if isinstance(n, ast.ClassDef) and n.name == name)
    return functions(node.body)


def test_every_row_is_a_function_of_the_stub_and_every_public_one_is_exported():
    assert functions(STUB.body).keys() == OPS.keys()
    (exported,) = (n.value for n in STUB.body if isinstance(n, ast.Assign))
    assert set(ast.literal_eval(exported)) == {op.name for op in OPS.values() if op.public}


@pytest.mark.parametrize("name", OPS)
def test_the_stub_has_the_parameters_of_the_row(name):
    """Names and order as the function has them; defaults too, but for what must be given."""
    real = inspect.signature(OPS[name].function).parameters
    for node in functions(STUB.body)[name]:
        assert [a.arg for a in node.args.args] == list(real)
        given = node.args.defaults
        for argument, default in zip(node.args.args[len(real) - len(given) :], given):
            if not (isinstance(default, ast.Constant) and default.value is ...):
                assert ast.literal_eval(default) == real[argument.arg].default


@pytest.mark.parametrize(
    "cls, stub", [(tg.Tensor, "TensorMethods"), (tg.scalar.Value, "ValueMethods")]
)
def test_the_methods_of_the_stub_are_those_of_the_class(cls, stub):
    """Each that is declared is there, and each that the rows attached is declared."""
    declared = methods(stub)
    assert [name for name in declared if not hasattr(cls, name)] == []
    attached = {name for name, op in OPS.items() if vars(cls).get(name) is not None}
    handwritten = {"reshape", "transpose"} if cls is tg.Tensor else set()
    assert attached - handwritten == {name for name in declared if not name.startswith("__")}


@pytest.mark.parametrize(
    "values, expected",
    [
        ([None, 0, (0, 2)], "int | tuple[int, ...] | None"),
        ([0, 0.5], "float"),
        ([True], "bool"),
        (["mean", "sum", None], "Literal['mean', 'sum'] | None"),
        ([2, ((0, -1), (2, 0))], "int | tuple[tuple[int, ...], ...]"),
        ([{-1: (2, 1)}], "dict[int, tuple[int, ...]]"),
        ([np.float32], "DTypeLike"),
        ([0, slice(None)], "Any"),
    ],
)
def test_a_parameter_has_the_type_of_its_examples(values, expected):
    assert surface.type_of(values) == expected
