"""Module: a layer or a network, which finds its parameters by walking its own attributes.

Whatever a module holds in an attribute counts: Tensors, Modules, and lists, tuples or dicts of
them. Nothing is registered. Attributes named in the class's `buffers` are state that is saved but
not trained.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import (
    CallError,
    DtypeError,
    ForwardError,
    ShapeError,
    TinygradEduError,
    UnknownNameError,
)
from ..graph import open_trace, stay_outside, traces
from ..tensor import Tensor
from ..writes import mark_written

if TYPE_CHECKING:
    from ..payloads import Forward, P, R, WithAxes
    from .summary import Summary

_keys = itertools.count()


_AROUND = "Save and load before the step, or after it."


class HookHandle:
    """What `register_forward_hook` returns: `remove()` takes the hook away again."""

    def __init__(self, module: Module, key: int) -> None:
        self._module, self._key = module, key

    def remove(self) -> None:
        """Take the hook away; a second time does nothing."""
        hooks = dict(self._module._forward_hooks)
        hooks.pop(self._key, None)
        if hooks:
            self._module._forward_hooks = hooks
        else:  # back to the class's empty one: the module is as if it had never had a hook
            vars(self._module).pop("_forward_hooks", None)
            Module.changes = object()


class Module:
    """The base of all layers. Write `forward`; call the module.

    `training` is True until `eval()`; Dropout and its like ask for it.
    """

    buffers: tuple[str, ...] = ()
    training: bool = True
    _forward_hooks: Mapping[int, Callable[..., Any]] = {}

    # Another object after each time that an attribute of any module was set: whoever kept what one
    # held looks again. (Not a count, of which two threads could make one step together.)
    changes = object()

    def __setattr__(self, name: str, value: Any) -> None:
        if traces and (trace := open_trace()) is not None and trace.sets(self, name, value):
            return
        object.__setattr__(self, name, value)
        Module.changes = object()

    def __delattr__(self, name: str) -> None:
        if traces and (trace := open_trace()) is not None:
            trace.sets(self, name, None)
        object.__delattr__(self, name)
        Module.changes = object()

    def forward(self, *inputs: Any, **kwargs: Any) -> Any:
        raise ForwardError(f"{type(self).__name__} has no forward method: define forward(self, x).")

    def __call__(self: Forward[P, R], *inputs: P.args, **kwargs: P.kwargs) -> R:
        if traces and (trace := open_trace()) is not None:
            trace.modules.setdefault(id(self), self)
        try:
            if len(inputs) == 1 and not kwargs:  # what almost all calls are takes the short way
                out = self.forward(inputs[0])  # type: ignore[call-arg, arg-type]
            else:
                out = self.forward(*inputs, **kwargs)
            if self._forward_hooks:
                for hook in self._forward_hooks.values():
                    changed = hook(self, inputs, out)
                    out = out if changed is None else changed
            return out
        except TinygradEduError as error:
            Module._locate(self, error)  # type: ignore[arg-type]
            raise

    def register_forward_hook(self, hook: Callable) -> HookHandle:
        """Call `hook(module, inputs, output)` after each forward of this module; what it returns,
        if not None, takes the place of the output. inputs: the tuple of positional arguments.

        Hooks run in the order in which they were registered, until `remove()` of the handle that
        comes back. Raises TypeError for a hook that cannot be called.
        """
        if not callable(hook):
            raise CallError(
                f"register_forward_hook: {hook!r} cannot be called: expected a function of "
                "(module, inputs, output)."
            )
        key = next(_keys)
        # a new dict each time: a forward that is running goes on over the one that it began with
        self._forward_hooks = {**self._forward_hooks, key: hook}
        return HookHandle(self, key)

    def _locate(self, error: Any) -> None:
        """Extend the message of an error by the path of the layer that it happened in."""
        if not hasattr(error, "raised_in"):
            error.text, error.path = error.args[0], repr(self)
        else:
            name = next(
                (name for name, child in self.named_children() if child is error.raised_in), "?"
            )
            error.path = f"{name}.{error.path}"
        error.raised_in = self
        error.args = (f"{error.text} (in {error.path})",)

    # -------------------------------------------------------------------------------------- walking

    def named_children(self) -> Iterator[tuple[str, Module]]:
        """(name, module) for each module held directly, also inside lists and dicts
        (`layers.0`)."""
        for name, value in vars(self).items():
            for path, found in _within(name, value):
                if isinstance(found, Module):
                    yield path, found

    def named_modules(self, prefix: str = "") -> Iterator[tuple[str, Module]]:
        """(path, module) for this module ("") and all below it, parents first."""
        yield prefix, self
        for name, child in self.named_children():
            yield from child.named_modules(f"{prefix}.{name}" if prefix else name)

    def _named_tensors(self) -> Iterator[tuple[str, Tensor, bool]]:
        """(path, tensor, whether it is a parameter) for every Tensor once, in the order of the
        attributes."""
        seen: set[int] = set()
        for path, module in self.named_modules():
            for name, value in vars(module).items():
                for inner, found in _within(name, value):
                    if isinstance(found, Tensor) and id(found) not in seen:
                        seen.add(id(found))
                        yield (
                            (f"{path}.{inner}" if path else inner),
                            found,
                            name not in module.buffers,
                        )

    def named_parameters(self) -> Iterator[tuple[str, Tensor]]:
        """(path, Tensor) of every parameter, frozen ones too; one that is shared comes once."""
        return ((path, tensor) for path, tensor, trained in self._named_tensors() if trained)

    def parameters(self) -> list[Tensor]:
        """The parameters, as the optimizers take them."""
        return [tensor for _, tensor in self.named_parameters()]

    # ---------------------------------------------------------------------------------------- state

    def state_dict(self) -> dict[str, np.ndarray]:
        """{path: copy of the array} of every parameter and buffer."""
        stay_outside("state_dict()", _AROUND)
        return {path: tensor.payload.copy() for path, tensor, _ in self._named_tensors()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Write the arrays of `state` into the parameters and buffers.

        All names, shapes and dtypes are checked first: it loads whole or, raising KeyError,
        ShapeError or DtypeError, not at all.
        """
        stay_outside("load_state_dict()", _AROUND)
        own = {path: tensor for path, tensor, _ in self._named_tensors()}
        missing, unknown = sorted(own.keys() - state.keys()), sorted(state.keys() - own.keys())
        if missing or unknown:
            raise UnknownNameError(
                f"load_state_dict: missing {missing or 'nothing'}, not expected "
                f"{unknown or 'nothing'}. "
                "Build the model with the same layers as the saved one.",
                code="state-mismatch",
            )
        arrays = {
            path: np.asarray(getattr(state[path], "data", state[path]))
            if isinstance(state[path], Tensor)
            else np.asarray(state[path])
            for path in own
        }
        for path, tensor in own.items():
            if arrays[path].shape != tensor.shape:
                raise ShapeError(
                    f"load_state_dict: {path} has shape {tensor.shape}, the saved array "
                    f"{arrays[path].shape}.",
                    code="state-mismatch",
                )
            if arrays[path].dtype.kind not in "fiub":
                raise DtypeError(
                    f"load_state_dict: {path}: the saved array has dtype {arrays[path].dtype}: "
                    "expected numbers.",
                    code="state-mismatch",
                )
        for path, tensor in own.items():
            tensor.payload[...] = arrays[path]
            mark_written(tensor)

    def train(self, mode: bool = True) -> Module:
        """Set this module and all below it to training (Dropout drops)."""
        for _, module in self.named_modules():
            module.training = mode
        return self

    def eval(self) -> Module:
        """Set this module and all below it to evaluation (Dropout passes)."""
        return self.train(False)

    def zero_grad(self) -> None:
        """Forget the gradients of all parameters."""
        for parameter in self.parameters():
            parameter.grad = None

    # -------------------------------------------------------------------------------------- reading

    def hyperparameters(self) -> dict[str, Any]:
        """{name: value} of what was chosen in this layer itself, for `summary`.

        By default every public attribute that is a number, a word or a tuple of them; a layer that
        knows better overrides it. The widths that a layer was given are `units` (or `filters`).
        """
        return {
            name: value
            for name, value in vars(self).items()
            if not name.startswith("_") and name != "training" and _is_setting(value)
        }

    def summary(
        self,
        input_shape: Any = None,
        *,
        input_dtype: Any = None,
        optimizer: Any = None,
        **training: Any,
    ) -> Summary:
        """How many parameters, how many hyperparameters, and which: a text with numbers.

        input_shape: the shape of one sample without the batch, such as (1, 28, 28); with it the
        shape of every layer's output is shown, found by running one sample of zeros of
        `input_dtype` (by default that of the first parameter). The model is left as it was.
        optimizer: the optimizer, or its name; other keyword arguments (`batch_size=64, epochs=10`)
        are further hyperparameters of training.
        Returns a `Summary`, a str with `parameters`, `weights`, `biases`, `layers`, `architecture`,
        `training` and `hyperparameters`; what is counted is stated in `nn/summary.py`.
        Raises ShapeError for an input shape that cannot be, and whatever the model raises on it.
        """
        from .summary import summarize  # imported when it is asked for, as all that few ask for

        return summarize(self, input_shape, input_dtype, optimizer, training)

    def _repr_html_(self) -> str:
        """The summary, for notebooks."""
        from ..notebook import table

        summary = self.summary()
        rows = [
            (
                layer.path or "(this)",
                layer.layer,
                ", ".join(f"{name} {shape}" for name, shape in layer.shapes.items()),
                f"{layer.parameters:,}",
            )
            for layer in summary.layers
        ]
        header = ("path", "layer", "shapes", "parameters")
        footer = f"{summary.parameters:,} parameters"
        return table(rows, type(self).__name__, header, footer=footer)

    def extra_repr(self) -> str:
        """What stands between the parentheses of the repr of a layer without children."""
        return ""

    def __repr__(self) -> str:
        children = list(self.named_children())
        if not children:
            return f"{type(self).__name__}({self.extra_repr()})"
        inner = "\n".join(
            f"  {name}: " + repr(child).replace("\n", "\n  ") for name, child in children
        )
        return f"{type(self).__name__}(\n{inner}\n)"


class Weightless(Module):
    """A module without weights: it makes an array of an array and a Tensor of a Tensor, which
    `forward` alone would not tell a type checker."""

    if TYPE_CHECKING:

        def __call__(self, x: WithAxes) -> WithAxes: ...


def _within(name: str, value: Any) -> Iterator[tuple[str, Any]]:
    """(path, thing) for the Tensors and Modules in an attribute, through lists, tuples and
    dicts."""
    if isinstance(value, (Tensor, Module)):
        yield name, value
    elif isinstance(value, (list, tuple)):
        for i, inner in enumerate(value):
            yield from _within(f"{name}.{i}", inner)
    elif isinstance(value, dict):
        for key, inner in value.items():
            yield from _within(f"{name}.{key}", inner)


def _is_setting(value: Any) -> bool:
    if isinstance(value, tuple):
        return all(isinstance(inner, (str, int, float, np.number)) for inner in value)
    return isinstance(value, (str, int, float, np.number))
