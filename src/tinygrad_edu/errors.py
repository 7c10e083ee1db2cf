"""The errors of the package, each also of the built-in kind that a caller would catch without
knowing us.

A message is written for the person who made the mistake: the operation, what came, what was
expected, what to do. It ends in a code, `[shape-mismatch]`, which names the situation: a heading of
docs/errors.md, and `error.code`. A class is a kind of error and has the code of its commonest
situation; where it is another, the `raise` says so: `ShapeError("...", code="non-scalar-loss")`.
Codes do not change: people link to them, programs compare them.

To add one, write its row into CODES and its section, with an example that provokes it, into
docs/errors.md; the tests run the examples.
"""

from __future__ import annotations

CODES = {
    # the graph
    "backward-twice": "A second backward through a graph that the first has freed.",
    "overwritten-before-backward": "Numbers that the backward needs were changed in place.",
    "in-place-on-recorded": "An assignment into a tensor that requires grad.",
    "detached-loss": "backward() on a tensor that no graph leads back from.",
    "non-scalar-loss": "A derivative was asked for of more than one number.",
    "leaves-the-graph": "A tensor that requires grad was turned into plain numbers.",
    "no-gradient-arrives": "Something waits for a gradient that will never come.",
    "missing-zero-grad": "A step with gradients that the step before had used already (warning).",
    "traced-value": "A value that is being traced was asked for its number.",
    "cannot-compile": "A function does what a compiled program cannot follow.",
    "value-or-tensor": "A Value met a Tensor, or an operation that is for arrays.",
    "non-finite-number": "detect_anomaly() found the first NaN or inf.",
    "non-finite-loss": "The loss is NaN or inf.",
    "non-finite-gradient": "The norm of the gradients is NaN or inf.",
    "wrong-gradient": "A gradient is not the derivative of its function.",
    "wrong-row": "The row of an operation is incomplete, or its vjp does not fit it.",
    # shapes, dtypes, numbers
    "shape-mismatch": "Shapes that must fit together do not.",
    "unexpected-shape": "An array has another number of axes or entries than the function takes.",
    "ragged-rows": "Nested lists whose rows differ in length.",
    "not-one-element": "One number was asked of a tensor that holds more or none.",
    "empty-data": "There is nothing to compute with.",
    "batch-too-small": "A batch of one has no variance.",
    "index-out-of-range": "An index, an axis or a class that is not there.",
    "unsupported-dtype": "A dtype that a Tensor cannot have.",
    "not-a-float-dtype": "Integers where derivatives need floating point numbers.",
    "not-an-integer-dtype": "Floating point numbers where classes or indices are expected.",
    "outside-the-domain": "Numbers for which the function is not defined.",
    "unexpected-labels": "Labels that are not those of the task.",
    # calls
    "bad-argument": "An argument beyond its range.",
    "bad-hyperparameter": "A learning rate, a momentum or their like that cannot be used.",
    "bad-parameter-list": "An optimizer was given what it cannot optimize.",
    "arguments-conflict": "Arguments that exclude, or need, each other.",
    "unknown-name": "A word that is none of those known here.",
    "unknown-parameter": "A keyword that the function does not have.",
    "wrong-arguments": "Too many arguments, too few, or one twice.",
    "wrong-type": "An object of another kind than the function takes.",
    "bad-subscripts": "einsum's letters do not describe its operands.",
    "no-numpy-counterpart": "A NumPy function that Tensors do not have.",
    "no-forward": "A Module without a forward method was called.",
    "schedule-over": "More steps than a learning rate schedule has.",
    # files, libraries, the machine
    "state-mismatch": "A saved state does not fit what it is loaded into.",
    "missing-file": "A file or folder is not there.",
    "wrong-file": "A file is of another format or content than its name or place says.",
    "damaged-file": "A file is cut short or damaged.",
    "pickled-objects": "Python objects where arrays of numbers are stored.",
    "missing-package": "An optional library is not installed.",
    "unavailable-kernels": "Kernels that this machine or this build does not have.",
    "cannot-share-memory": "Memory that another library may not have.",
}


class TinygradEduError(Exception):
    """The common ancestor, for a caller who wants to catch whatever this package refuses.

    `code` names the situation (see CODES); `args[0]` is the message without it. `step`: in which
    step of `Compiled.many` it arose, counted from 0.
    """

    code = ""
    step: int | None = None

    def __init__(self, message: str, *, code: str | None = None) -> None:
        super().__init__(message)
        if code is not None:
            self.code = code

    def __str__(self) -> str:
        return f"{self.args[0]} [{self.code}]"


class ShapeError(TinygradEduError, ValueError):
    """Shapes that do not fit together."""

    code = "shape-mismatch"


class DtypeError(TinygradEduError, TypeError):
    """A dtype that the operation has no meaning for."""

    code = "unsupported-dtype"


class GraphError(TinygradEduError, RuntimeError):
    """A derivative that the graph cannot give: freed, detached, overwritten or never recorded."""

    code = "detached-loss"


class AnomalyError(TinygradEduError, FloatingPointError):
    """A NaN or inf where only finite numbers can be used."""

    code = "non-finite-number"


class DataError(TinygradEduError, ValueError):
    """A file or a data set that is not what it claims to be."""

    code = "damaged-file"


class ArgumentError(TinygradEduError, ValueError):
    """An argument whose value is none of those that it may have."""

    code = "bad-argument"


class CallError(TinygradEduError, TypeError):
    """A call with an argument of the wrong kind, or one unknown, missing or given twice."""

    code = "wrong-type"


class RangeError(TinygradEduError, IndexError, ValueError):
    """An index, an axis or a class that is not there. A ValueError too, as NumPy's AxisError is."""

    code = "index-out-of-range"


class UnknownNameError(TinygradEduError, KeyError):
    """A name that is not among those saved or known."""

    code = "unknown-name"


class UnavailableError(TinygradEduError, ImportError):
    """A library or a kernel that is not here."""

    code = "missing-package"


class MissingFileError(TinygradEduError, FileNotFoundError):
    """A file cannot be written where its folder is not."""

    code = "missing-file"


class FolderError(TinygradEduError, IsADirectoryError):
    """A folder stands where a file is to be."""

    code = "wrong-file"


class SharingError(TinygradEduError, BufferError):
    """Memory that cannot be shared with another library."""

    code = "cannot-share-memory"


class CompileError(TinygradEduError, TypeError):
    """Something in a step that cannot be compiled."""

    code = "cannot-compile"


class ForwardError(TinygradEduError, NotImplementedError):
    """A Module that does not say what it computes."""

    code = "no-forward"


class GradientWarning(UserWarning):
    """Gradients that are probably not those that were meant. `code` and text as in an error;
    `warnings.filterwarnings("ignore", category=tg.GradientWarning)` switches it off."""

    code = "missing-zero-grad"

    def __init__(self, message: str, *, code: str | None = None) -> None:
        super().__init__(message)
        self.code = code or self.code

    def __str__(self) -> str:
        return f"{self.args[0]} [{self.code}]"
