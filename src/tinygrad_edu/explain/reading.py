"""Reading a model without changing it: what a layer puts out, the score of a class, and the form
that inputs come in.

The invariant of this room: whatever happens inside, the model is left as it was found: each module
in its own mode, no hook on it, no parameter's `.grad` written.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from ..data.dataset import plain_array
from ..errors import ArgumentError, CallError, DtypeError, GraphError, ShapeError
from ..graph import no_grad
from ..nn import Module
from ..ops.shape import getitem
from ..tensor import Tensor

# Examples that go through a model at once: enough to keep the kernels busy, few enough that the
# activations of a small network stay in cache.
BATCH = 256


class Capture:
    """What the captured layer put out in its latest forward: `output`, recorded if the model's
    input or parameters are."""

    def __init__(self, path: str) -> None:
        self.path = path
        self._seen: list[Any] = []

    @property
    def output(self) -> Any:
        """The layer's output. Raises GraphError where the layer has not run yet."""
        if not self._seen:
            raise GraphError(
                f"capture: {self.path} has not run: call the model within the with block. If it "
                "was called, its forward does not pass through this layer."
            )
        return self._seen[0]


@contextmanager
def capture(model: Any, layer: Any) -> Iterator[Capture]:
    """Within `with capture(model, "layers.2") as seen: model(x)`, `seen.output` is what that layer
    put out.

    layer: a module of `model`, or its dotted path as `named_modules()` gives it. The hook is
    removed on leaving, also by an exception. Raises ValueError for a layer that is not in the
    model, naming those that are.
    """
    path, module = find_layer("capture", model, layer)
    seen = Capture(path)

    def keep(_module: Any, _inputs: Any, output: Any) -> None:
        seen._seen = [output]

    handle = module.register_forward_hook(keep)
    try:
        yield seen
    finally:
        handle.remove()


class _Reached(BaseException):
    """Ends a forward at the layer that was asked for. Not an Exception, so that a model which
    handles errors of its own does not handle this."""


def activation(where: str, model: Any, layer: Any, x: Any) -> Any:
    """What `layer` puts out for x. Layers after it do not run, so that those which would refuse an
    image of this size (a Linear behind a Flatten) are not asked."""
    path, module = find_layer(where, model, layer)
    seen = Capture(path)

    def stop(_module: Any, _inputs: Any, output: Any) -> None:
        seen._seen = [output]
        raise _Reached

    handle = module.register_forward_hook(stop)
    try:
        model(x)
    except _Reached:
        pass
    finally:
        handle.remove()
    return seen.output


def find_layer(where: str, model: Any, layer: Any) -> tuple[str, Module]:
    """(path, module) of a layer given by its path or as the module itself."""
    require_module(where, model)
    found = dict(model.named_modules())
    for path, module in found.items():
        if layer is module or (isinstance(layer, str) and layer == path):
            return path or "the model", module
    paths = ", ".join(f"{path} ({type(module).__name__})" for path, module in found.items() if path)
    raise ArgumentError(
        f"{where}: there is no layer {layer!r} in this {type(model).__name__}. Its layers are: "
        f"{paths or 'none'}. (Functions within a Sequential have no path: use their modules, "
        "tg.nn.ReLU() for tg.relu.)"
    )


@contextmanager
def evaluating(where: str, model: Any) -> Iterator[None]:
    """The model in evaluation mode, and afterwards each module in the mode that it was in."""
    require_module(where, model)
    modes = [(module, module.training) for _, module in model.named_modules()]
    model.eval()
    try:
        yield
    finally:
        for module, mode in modes:
            module.training = mode


def require_module(where: str, model: Any) -> None:
    if not isinstance(model, Module):
        raise CallError(
            f"{where}: model is {model!r}: expected a tg.nn.Module. Wrap a function: "
            "tg.nn.Sequential(function)."
        )


# ------------------------------------------------------------------------------------------- inputs


def as_floats(where: str, name: str, value: Any) -> np.ndarray:
    """`value` as an ndarray, refused unless it is float32 or float64 and holds something."""
    array = plain_array(value)
    if array.dtype not in (np.float32, np.float64):
        hint = " Bytes of an image become floats by / 255." if array.dtype == np.uint8 else ""
        raise DtypeError(
            f"{where}: {name} has dtype {array.dtype}: expected float32 or float64, since the "
            f"model is differentiated with respect to it.{hint}"
        )
    if not array.size:
        raise ShapeError(f"{where}: {name} is empty, of shape {array.shape}.", code="empty-data")
    return array


def as_batch(where: str, model: Any, x: Any, name: str = "x") -> tuple[np.ndarray, int]:
    """(x as a batch, how many axes of length 1 were put in front of it)."""
    require_module(where, model)
    array = as_floats(where, name, x)
    missing = {1: 1, 2: 2 if reads_images(model) else 0, 3: 1, 4: 0}.get(array.ndim)
    if missing is None:
        raise ShapeError(
            f"{where}: {name} has shape {array.shape}: expected features (F,) or (N, F), or images "
            "(H, W), (C, H, W) or (N, C, H, W).",
            code="unexpected-shape",
        )
    return array.reshape((1,) * missing + array.shape), missing


def reads_images(model: Any) -> bool:
    """Whether the model has a convolution: a weight of four axes."""
    return any(parameter.ndim == 4 for parameter in model.parameters())


def as_targets(where: str, target: Any, n: int) -> np.ndarray | None:
    """The class of each of n examples, or None."""
    if target is None:
        return None
    targets = plain_array(target)
    if targets.dtype.kind not in "iu" or targets.shape not in ((), (n,)):
        raise ShapeError(
            f"{where}: target has dtype {targets.dtype} and shape {targets.shape}: expected the "
            f"number of a class, or one for each of {n} examples, ({n},)."
        )
    return np.broadcast_to(targets, (n,))


def scores(where: str, model: Any, x: Any, targets: np.ndarray | None) -> Any:
    """The score (N,) of each example's target: a column of the model's output (N, classes)."""
    out = model(x)
    n = len(x)
    if targets is None:
        if out.shape not in ((n,), (n, 1)):
            raise ShapeError(
                f"{where}: the model puts out {out.shape}: with more than one number an example, "
                "target= must say which class is asked about.",
                code="unexpected-shape",
            )
        return out.reshape(n)
    if out.ndim != 2 or len(out) != n:
        raise ShapeError(
            f"{where}: the model puts out {out.shape} for {n} examples: expected scores ({n}, "
            "classes). For one number an example, leave target out.",
            code="unexpected-shape",
        )
    wrong = (targets < 0) | (targets >= out.shape[1])
    if wrong.any():
        raise ArgumentError(
            f"{where}: target is {targets[wrong][0]}: the model has {out.shape[1]} classes, 0 to "
            f"{out.shape[1] - 1}."
        )
    return getitem(out, (np.arange(n), targets))


def score_arrays(where: str, model: Any, x: np.ndarray, targets: np.ndarray | None) -> np.ndarray:
    """`scores` as an array, in portions and with nothing recorded."""
    parts = []
    with no_grad():
        for start in range(0, len(x), BATCH):
            part = slice(start, start + BATCH)
            chosen = None if targets is None else targets[part]
            parts.append(scores(where, model, Tensor(x[part]), chosen).data)
    return np.concatenate(parts)
