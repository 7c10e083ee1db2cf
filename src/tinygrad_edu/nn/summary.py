"""What `Module.summary` answers: how many parameters, how many hyperparameters, and which.

Parameters are learned: weights and biases, counted exactly, one that is shared once.
Hyperparameters are chosen. The architecture's are the number of layers (of those that have
parameters) and what `Module.hyperparameters` says of each; training's are what `summary` is told.
Three conventions make them countable:

- a pair such as a kernel of 5 x 5 is one choice, and so is a setting that a layer has from the
  module that holds it (the activation of an MLP);
- the width of the last layer is no choice: the task has so many outputs; nor are the inputs;
- what was left at its default (Adam's betas, a dilation of 1) was not chosen, but for the learning
  rate and the stride, which every answer should name.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..errors import ShapeError
from ..graph import no_grad
from ..tensor import Tensor


@dataclass(frozen=True)
class LayerSummary:
    """One row: where the layer is, its repr, the shapes of its own parameters by name, and the
    shape of its output for one sample (None where it was not run or gave no Tensor)."""

    path: str
    layer: str
    shapes: dict[str, tuple[int, ...]]
    output_shape: tuple[int, ...] | None

    @property
    def sizes(self) -> dict[str, int]:
        return {name: int(np.prod(shape)) for name, shape in self.shapes.items()}

    @property
    def parameters(self) -> int:
        return sum(self.sizes.values())


class Summary(str):
    """The answer as text (it is a str), and its numbers.

    layers: a LayerSummary each. parameters, weights, biases: exact counts; a bias is a parameter of
    that name, everything else that is learned counts as weight. trainable: how many have
    `requires_grad`. architecture, training: {name: value} of the hyperparameters, so that `len()`
    of each is how many there are; hyperparameters: of both together.
    """

    layers: list[LayerSummary]
    parameters: int
    weights: int
    biases: int
    trainable: int
    architecture: dict[str, Any]
    training: dict[str, Any]

    def __new__(
        cls,
        layers: list[LayerSummary],
        trainable: int,
        architecture: dict[str, Any],
        training: dict[str, Any],
    ) -> Summary:
        total = sum(layer.parameters for layer in layers)
        biases = sum(layer.sizes.get("bias", 0) for layer in layers)
        text = _text(layers, (total, biases, trainable), architecture, training)
        self = super().__new__(cls, text)
        self.layers, self.architecture, self.training = layers, architecture, training
        self.parameters, self.weights, self.biases = total, total - biases, biases
        self.trainable = trainable
        return self

    def __getnewargs__(self) -> Any:
        """What `copy` and `pickle` make it from again."""
        return self.layers, self.trainable, self.architecture, self.training

    @property
    def hyperparameters(self) -> int:
        return len(self.architecture) + len(self.training)

    def __repr__(self) -> str:
        return str(self)


def summarize(
    model: Any, input_shape: Any, input_dtype: Any, optimizer: Any, training: dict[str, Any]
) -> Summary:
    """The Summary of a Module; for the arguments see `Module.summary`."""
    modules: dict[str, Any] = {}
    for path, module in model.named_modules():
        if not any(module is known for known in modules.values()):
            modules[path] = module
    shapes: dict[str, dict[str, tuple[int, ...]]] = {path: {} for path in modules}
    for name, tensor in model.named_parameters():
        owner = max((path for path in modules if _holds(path, name)), key=len)
        shapes[owner][name.removeprefix(f"{owner}.")] = tensor.shape
    ran = {} if input_shape is None else _output_shapes(model, modules, input_shape, input_dtype)
    layers = [
        LayerSummary(path, repr(module).split("\n")[0], shapes[path], ran.get(path))
        for path, module in modules.items()
        if shapes[path] or not any(True for _ in module.named_children())
    ]
    trainable = sum(p.size for p in model.parameters() if p.requires_grad)
    return Summary(
        layers, trainable, _architecture(modules, shapes), _training(optimizer, training)
    )


def layer_outputs(model: Any, *inputs: Any) -> dict[str, Any]:
    """{path: what it returned} of `model` ("") and every Module in it, for one call of the model.

    A Module that was called several times gives its first output, one that was not called is
    absent. Whatever is recorded for gradients is recorded as usual: under `no_grad()` nothing is.
    """
    outputs: dict[str, Any] = {}
    modules = dict(model.named_modules())

    def keep(path: str) -> Callable[..., None]:
        def hook(_module: Any, _inputs: Any, output: Any) -> None:
            outputs.setdefault(path, output)

        return hook

    hooks = [module.register_forward_hook(keep(path)) for path, module in modules.items()]
    try:
        model(*inputs)
    finally:
        for hook in hooks:
            hook.remove()
    return {path: outputs[path] for path in modules if path in outputs}


def _output_shapes(
    model: Any, modules: dict[str, Any], input_shape: Any, input_dtype: Any
) -> dict[str, tuple[int, ...]]:
    """{path: shape without the batch} for one sample of zeros, in eval mode and without gradient,
    after which every module is in the mode that it was in."""
    shape = tuple(input_shape) if np.ndim(input_shape) else (input_shape,)
    if not all(isinstance(n, (int, np.integer)) and n >= 1 for n in shape):
        raise ShapeError(
            f"summary: input_shape={input_shape!r}: expected the shape of one sample, without the "
            "batch, such as (1, 28, 28) for an image or (64,) for a row.",
            code="unexpected-shape",
        )
    if input_dtype is None:
        input_dtype = next((p.dtype for p in model.parameters()), np.float32)
    modes = [(module, vars(module).get("training")) for module in modules.values()]
    try:
        with no_grad():
            model.eval()
            outputs = layer_outputs(model, Tensor(np.zeros((1, *shape), input_dtype)))
    finally:
        for module, mode in modes:
            vars(module).pop("training", None)
            if mode is not None:
                module.training = mode
    return {path: out.shape[1:] for path, out in outputs.items() if isinstance(out, Tensor)}


def _architecture(modules: dict[str, Any], shapes: dict[str, Any]) -> dict[str, Any]:
    """{"layers": how many, "path.name": value} of what was chosen in the modules."""
    learning = [path for path in modules if shapes[path]]
    chosen: dict[str, Any] = {}
    for path, module in modules.items():
        own = dict(
            type(module).hyperparameters(module)
        )  # of the class: an attribute may be so named
        if learning and path == learning[-1]:
            own.pop("units", None)
            own.pop("filters", None)
        for name, value in own.items():
            above = [_join(a, name) for a in modules if a != path and _holds(a, path)]
            if not any(key in chosen and chosen[key] == value for key in above):
                chosen[_join(path, name)] = value
    return {"layers": len(learning), **chosen}


def _training(optimizer: Any, training: dict[str, Any]) -> dict[str, Any]:
    """{name: value}: the optimizer, its numbers that are not their defaults, and what was told."""
    chosen: dict[str, Any] = {} if optimizer is None else {"optimizer": _word(optimizer)}
    numbers = getattr(optimizer, "numbers", ())
    usual = inspect.signature(type(optimizer)).parameters if numbers else {}
    for name in numbers:
        value = getattr(optimizer, name)
        if name == "lr" or value != usual[name].default:
            chosen[name] = value
    chosen.update({name: _word(value) for name, value in training.items() if value is not None})
    return chosen


def _word(value: Any) -> Any:
    """A number or a word as it is; a function or a class by its name, any other object by its
    class's."""
    if isinstance(value, (str, int, float, np.number, tuple, list)):
        return value
    return getattr(value, "__name__", type(value).__name__)


def _holds(path: str, name: str) -> bool:
    return path == "" or name.startswith(f"{path}.")


def _join(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name


# --------------------------------------------------------------------------------------------- text


def _text(
    layers: list[LayerSummary],
    counts: tuple[int, int, int],
    architecture: dict[str, Any],
    training: dict[str, Any],
) -> str:
    total, biases, trainable = counts
    frozen = f" ({total - trainable:,} of them without gradient)" if trainable != total else ""
    return "\n".join(
        [
            *_table(layers),
            f"{total:,} parameters: {total - biases:,} weights, {biases:,} biases{frozen}",
            f"{len(architecture) + len(training)} hyperparameters: {len(architecture)} of the "
            f"architecture, {len(training)} of training",
            *_choices("architecture", architecture),
            *_choices("training", training),
        ]
    )


def _table(layers: list[LayerSummary]) -> list[str]:
    ran = any(layer.output_shape is not None for layer in layers)
    rows = [
        (
            layer.path or "(this)",
            layer.layer,
            *((_shape(layer.output_shape),) if ran else ()),
            " + ".join(f"{name} {_shape(shape)}" for name, shape in layer.shapes.items()),
            f"{layer.parameters:,}",
        )
        for layer in layers
    ]
    head = ("path", "layer", *(("output",) if ran else ()), "parameters", "")
    widths = [max(map(len, column)) for column in zip(head, *rows)]
    return [
        "  ".join(
            [*(cell.ljust(w) for cell, w in zip(row, widths[:-1])), row[-1].rjust(widths[-1])]
        ).rstrip()
        for row in (head, *rows)
    ]


def _choices(group: str, chosen: dict[str, Any]) -> list[str]:
    """One line a layer: the group's name, the layer's path, and what was chosen there."""
    lines: dict[str, list[str]] = {}
    for name, value in chosen.items():
        path, _, last = name.rpartition(".")
        lines.setdefault(path, []).append(f"{last.replace('_', ' ')} {_value(value)}")
    width = max((len(path) for path in lines), default=0)
    return [
        f"  {group if i == 0 else '':<12}  "
        + (f"{path:<{width}}  " if width else "")
        + ", ".join(of)
        for i, (path, of) in enumerate(lines.items())
    ]


def _shape(shape: tuple[int, ...] | None) -> str:
    return "" if shape is None else " x ".join(map(str, shape)) or "1"


def _value(value: Any) -> str:
    if isinstance(value, (tuple, list)):
        same = len(value) == 2 and all(isinstance(n, (int, np.integer)) for n in value)
        return " x ".join(map(str, value)) if same else ", ".join(map(_value, value)) or "none"
    return f"{value:g}" if isinstance(value, (float, np.floating)) else str(value)
