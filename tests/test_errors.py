"""Error codes: each raise of the package has one, and each stands in docs/errors.md, with an
example that provokes it."""

from __future__ import annotations

import ast
import pickle
import re
import sys
import traceback
from pathlib import Path

import numpy as np
import pytest

import tinygrad_edu as tg
from tinygrad_edu import errors
from tinygrad_edu.errors import CODES, GradientWarning, ShapeError, TinygradEduError
from tinygrad_edu.testing import GradientError

SOURCES = Path(tg.__file__).parent
DOCUMENT = Path(__file__).resolve().parent.parent / "docs" / "errors.md"
CLASSES = {
    name: kind
    for name, kind in {**vars(errors), "GradientError": GradientError}.items()
    if isinstance(kind, type) and issubclass(kind, (TinygradEduError, GradientWarning))
}
SECTIONS = dict(
    re.findall(r"^## (\S+)\n(.*?)(?=^#|\Z)", DOCUMENT.read_text(encoding="utf-8"), re.S | re.M)
)

# Raises that have no code: what Python's own protocols ask for, and what is caught by its caller.
WITHOUT_CODE = {
    "AttributeError": "attributes that are not there: hasattr() and getattr() live by it",
    "NotImplementedError": "methods that a subclass of ours writes",
    "argparse.ArgumentTypeError": "argparse's own protocol, which ends in exit code 2",
    "KeyboardInterrupt": "Ctrl-C, passed on",
    "MemoryError": "the machine's, not the caller's, mistake",
    "ValueError": "History.load, which catches it a line below",
    "_Reached": "the way out of a forward once the layer that is looked at has run, caught there",
}
# Functions that make an error for their caller to raise: checked where they make it.
MAKERS = {"self._unfit", "explain", "named", "error"}


def parsed():
    for path in sorted(SOURCES.rglob("*.py")):
        yield path.relative_to(SOURCES).as_posix(), ast.parse(path.read_text(encoding="utf-8"))


def raised_by(tree):
    """(line, name) of what each `raise` raises; re-raises (`raise`, `raise error`) are left out."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Raise) and node.exc is not None:
            made = node.exc.func if isinstance(node.exc, ast.Call) else node.exc
            yield node.lineno, ast.unparse(made)


def test_every_raise_is_of_a_class_that_has_a_code():
    unknown = [
        f"{path}:{line}: {name}"
        for path, tree in parsed()
        for line, name in raised_by(tree)
        if name not in CLASSES and name not in WITHOUT_CODE and name not in MAKERS
    ]
    assert not unknown, "raise an error of errors.py, with a code: " + ", ".join(unknown)


def test_bare_value_errors_are_the_one_that_is_caught_at_once():
    found = [path for path, tree in parsed() for _, name in raised_by(tree) if name == "ValueError"]
    assert found == ["train/history.py"]


def test_every_code_in_the_sources_is_in_the_table_and_every_code_of_the_table_in_the_sources():
    used = {kind.code for kind in CLASSES.values()} - {""}
    for _path, tree in parsed():
        for node in ast.walk(tree):
            if isinstance(node, ast.keyword) and node.arg == "code":
                if isinstance(node.value, ast.Constant):
                    used.add(node.value.value)
                else:
                    assert ast.unparse(node.value) in ("error.code", "code")
    assert used == set(CODES)


def test_the_document_has_the_codes_of_the_table_in_its_order_each_with_its_sentence():
    assert list(SECTIONS) == list(CODES)
    for code, text in SECTIONS.items():
        assert text.strip().split("\n\n")[0] == CODES[code], code


@pytest.fixture
def in_a_folder(tmp_path, monkeypatch):
    """The example may write files, and may pretend that a library is not installed."""
    monkeypatch.chdir(tmp_path)
    before = dict(sys.modules)
    yield
    for name in [name for name, module in sys.modules.items() if module is None]:
        if before.get(name) is None:
            del sys.modules[name]
        else:
            sys.modules[name] = before[name]


@pytest.mark.parametrize("code", CODES)
@pytest.mark.usefixtures("in_a_folder")
@pytest.mark.filterwarnings("ignore:divide by zero:RuntimeWarning")  # NumPy's kernels, at log(0)
def test_the_example_of_each_code_raises_it_in_its_last_statement(code):
    (example,) = re.findall(r"^```python\n(.*?)^```$", SECTIONS[code], re.S | re.M)
    with pytest.raises((TinygradEduError, GradientWarning)) as raised:
        exec(compile(example, f"<{code}>", "exec"), {"np": np, "tg": tg, "__name__": "example"})
    assert raised.value.code == code and str(raised.value).endswith(f"[{code}]")
    frames = traceback.walk_tb(raised.value.__traceback__)
    line = next(line for frame, line in frames if frame.f_code.co_filename == f"<{code}>")
    assert line >= ast.parse(example).body[-1].lineno


# -------------------------------------------------------------------------- the errors themselves


def test_an_error_is_of_the_built_in_kind_too():
    kinds = {
        errors.ArgumentError: ValueError,
        errors.CallError: TypeError,
        errors.RangeError: (IndexError, ValueError),
        errors.UnknownNameError: KeyError,
        errors.UnavailableError: ImportError,
        errors.MissingFileError: FileNotFoundError,
        errors.FolderError: IsADirectoryError,
        errors.SharingError: BufferError,
        errors.ForwardError: NotImplementedError,
        errors.GraphError: RuntimeError,
        errors.CompileError: TypeError,
        errors.AnomalyError: FloatingPointError,
        GradientError: AssertionError,
    }
    for kind, builtin in kinds.items():
        for one in builtin if isinstance(builtin, tuple) else (builtin,):
            with pytest.raises(one, match=r"^what happened \[a-code\]$"):
                raise kind("what happened", code="a-code")


def test_an_error_survives_a_pickle_with_its_code():
    for error in (ShapeError("x"), ShapeError("x", code="ragged-rows")):
        again = pickle.loads(pickle.dumps(error))
        assert (str(again), again.code, type(again)) == (str(error), error.code, ShapeError)


def test_the_path_of_the_layer_stands_before_the_code():
    model = tg.nn.Sequential(tg.nn.Linear(2, 3), tg.nn.Linear(4, 1))
    with pytest.raises(ShapeError, match=r"\(in .*1.*Linear.*\) \[shape-mismatch\]$"):
        model(tg.ones((1, 2)))


def test_a_sentence_that_quotes_another_error_has_one_code(tmp_path):
    path = tmp_path / "weights.npz"
    np.savez(path, a=np.array([None]))
    with pytest.raises(tg.DataError) as raised:
        tg.load(path)
    assert re.findall(r"\[[a-z-]+\]", str(raised.value)) == ["[pickled-objects]"]
