"""Finding where the first NaN or inf comes from.

Within `detect_anomaly()` every output of an operation and every gradient that a backward carries is
looked at as soon as it exists, so that the first that is not finite is caught where it arises. The
recording and the engine call `check_*` below behind one question, whether `watching` is empty; how
operations are computed does not change. Where an operation was called is remembered beside the
graph, not in it: nodes are no larger for it.

Not watched: what a formula computes on its way to a gradient (a `where` may discard it), the
addition to a `.grad` from an earlier backward, and the replay of a traced program.
"""

from __future__ import annotations

import linecache
import sys
import weakref
from _thread import get_ident
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from .errors import AnomalyError
from .switch import Switch

if TYPE_CHECKING:
    from .graph import Node
    from .op import Op

watching: dict[int, int] = {}  # thread -> depth of its detect_anomaly blocks; empty almost always
_called_at: dict[int, tuple] = {}  # id(node) -> (weak reference, (file, line)): see _remember
_OURS = ("tinygrad_edu", "numpy")  # whose frames are nobody's own line


class detect_anomaly(Switch):
    """Within `with detect_anomaly():`, or in a function decorated by it, the first NaN or inf that
    an operation or a backward of this thread computes raises AnomalyError.

    The message names the operation, forward or backward (and then which input's gradient), shapes
    and dtypes, how many entries are not finite, the first of them, and the line that called the
    operation; put forward and backward both inside to be told that line for a gradient. Numbers
    that were not finite before are named as such. For Tensors and Values; nests freely. It looks at
    every number and costs accordingly: meant for the search, not for training.
    """

    depths = watching


def check_forward(made: Node, op: Op, inputs: Sequence) -> None:
    """Refuse an output that is not finite. `made` may be recorded or not."""
    if get_ident() not in watching:
        return
    if made.op is not None:
        _remember(made)
    found = _not_finite(made.payload)
    if found and not _inside_a_backward():
        raise AnomalyError(
            f"{op.name}, forward: in its output, {found}.{_shown(_users_line())}"
            f"Its inputs: {_described(inputs)}. {_origin(inputs)}"
        )


def check_backward(node: Node, g: Any, passed: Sequence) -> None:
    """Refuse what arrived at `node`, or what it passes on to each of its inputs, if not finite."""
    check_arrived(node, g)
    inputs: Any = node.inputs
    op: Any = node.op
    for position, contribution in enumerate(passed):
        found = _not_finite(contribution)
        if found:
            raise AnomalyError(
                f"{op.name}, backward: in the gradient of input {position}, {found}."
                f"{_shown(_line_of(node))}The gradient that came from above is finite. Its inputs: "
                f"{_described(inputs)}. {_origin(inputs)}"
            )


def check_arrived(node: Node, g: Any) -> None:
    """Refuse a whole gradient that is not finite, although all that it is made of was looked at."""
    found = _not_finite(g)
    if found:
        name = node.op.name if node.op else "leaf"
        whose = f"the output of {name}" if node.op else "a leaf"
        line = _line_of(node) if node.op else _users_line()
        raise AnomalyError(
            f"{name}, backward: in the gradient of {whose}, {found}.{_shown(line)}No "
            "operation passed that on: it was given to backward(), returned by a hook, or is a "
            "sum of finite gradients that is too large for the dtype. Scale the loss down, or "
            "compute in float64."
        )


# ------------------------------------------------------------------------------------- the numbers


def _numbers(x: Any) -> Any:
    """What `x`, an input, an output or a gradient, holds as a floating array; None for others."""
    payload = getattr(x, "payload", x)
    if isinstance(payload, (float, np.ndarray)):
        array = np.asarray(payload)
        return array if array.dtype.kind == "f" else None
    return None


def _not_finite(x: Any) -> str:
    """Which entries are NaN or inf, in words; "" where there are none."""
    array = _numbers(x)
    if array is None:
        return ""
    finite = np.isfinite(array)
    if finite.all():
        return ""
    first = np.unravel_index(int(np.argmin(finite)), array.shape)
    where = f" at {tuple(map(int, first))}" if array.ndim else ""
    count = array.size - int(np.count_nonzero(finite))
    return (
        f"{count} of {array.size} {'entry is' if array.size == 1 else 'entries are'} not finite, "
        f"the first{where}: {array[first]} (shape {array.shape}, {array.dtype})"
    )


def _described(inputs: Sequence) -> str:
    """Shapes and dtypes; numbers as they are."""
    return ", ".join(
        f"{x.shape} {x.dtype}" if hasattr(x, "dtype") else repr(getattr(x, "payload", x))
        for x in inputs
    )


def _origin(inputs: Sequence) -> str:
    """Whether an input was not finite before, and what it is; else what one can do."""
    for position, x in enumerate(inputs):
        found = _not_finite(x)
        if found:
            op = getattr(x, "op", None)
            what = (
                f"the output of {op.name}, computed while nobody looked"
                if op
                else "a leaf or a constant"
            )
            return (
                f"It starts before this operation: input {position}, {what}, holds such numbers "
                f"already: {found}. Look at where they come from."
            )
    return (
        "They are finite, so it starts here: keep them where the operation is defined and does not "
        "overflow (tg.clip, a form such as log_softmax or xlogy, a smaller learning rate)."
    )


# ----------------------------------------------------------------------------------------- the line


def _remember(node: Node) -> None:
    """Note which line of the user recorded `node`, for as long as the node lives."""
    key = id(node)
    reference = weakref.ref(node, lambda _: _called_at.pop(key, None))
    _called_at[key] = reference, _users_line()


def _line_of(node: Node) -> tuple[str, int] | None:
    return _called_at[id(node)][1] if id(node) in _called_at else None


def _users_line() -> tuple[str, int] | None:
    """The file and line of the innermost frame that is not ours."""
    frame: Any = sys._getframe(1)
    while frame is not None and _package(frame) in _OURS:
        frame = frame.f_back
    return frame and (frame.f_code.co_filename, frame.f_lineno)


def _inside_a_backward() -> bool:
    """Whether a formula of a row is at work on nodes (create_graph), not the user. What it
    discards is no anomaly, and what it passes on is looked at by `check_backward`."""
    frame: Any = sys._getframe(1)
    while frame is not None and _package(frame) in _OURS:
        if frame.f_code.co_name == "propagate":
            return True
        frame = frame.f_back
    return False


def _package(frame: Any) -> str:
    return frame.f_globals.get("__name__", "").partition(".")[0]


def _shown(line: tuple[str, int] | None) -> str:
    if line is None:
        return "\n  (Run the forward within detect_anomaly() too, and its line is shown here.)\n"
    return f"\n  {line[0]}:{line[1]}: {linecache.getline(*line).strip()}\n"
