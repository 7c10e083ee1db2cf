"""What all optimizers share: the parameters, the learning rate, and which parameters are due for a
step."""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterable, Mapping
from typing import Any, NoReturn

import numpy as np

from ..errors import (
    ArgumentError,
    CallError,
    DtypeError,
    GradientWarning,
    ShapeError,
    TinygradEduError,
    UnknownNameError,
)
from ..graph import open_trace, stay_outside, traces
from ..kernels.optimizer import Held
from ..tensor import STALE, USED, Tensor
from ..writes import mark_written

_AROUND = "Save and load before the step, or after it."


class Optimizer:
    """The base: holds parameters, checks hyperparameters, and hands groups of equal age to the step
    of the subclass.

    `params`: an iterable of Tensors that require grad, such as `model.parameters()`. `lr` may be
    assigned at any time. Raises ValueError for an empty list or a non-finite or negative number,
    TypeError for what is no Tensor.

    A subclass names its hyperparameters, which are arguments of its constructor and attributes, in
    `numbers`, and in `memories` the arrays that it keeps for each parameter (`"means"` for
    `self._means`): that is its state.
    """

    numbers: tuple[str, ...] = ("lr",)
    memories: tuple[str, ...] = ()

    def __init__(self, params: Iterable[Tensor], lr: float) -> None:
        self.params = list(params)
        if not self.params:
            raise ArgumentError(
                f"{type(self).__name__}: there are no parameters to optimize. Pass "
                "model.parameters(); "
                "a generator can be used only once.",
                code="bad-parameter-list",
            )
        for p in self.params:
            if not isinstance(p, Tensor):
                raise CallError(
                    f"{type(self).__name__}: expected Tensors, got {type(p).__name__}.",
                    code="bad-parameter-list",
                )
            if p.op is not None or p.dtype.kind != "f":
                raise DtypeError(
                    f"{type(self).__name__}: only leaves of a floating dtype can be optimized; "
                    "got one of "
                    f"shape {p.shape}, dtype "
                    f"{p.dtype}{', computed by ' + p.op.name if p.op else ''}.",
                    code="bad-parameter-list",
                )
        if len({id(p) for p in self.params}) != len(self.params):
            raise ArgumentError(
                f"{type(self).__name__}: a parameter stands in the list twice; it would be "
                "stepped twice.",
                code="bad-parameter-list",
            )
        self.lr = lr
        self._age = [0] * len(self.params)
        self._held = Held()
        self._warned = False

    @property
    def lr(self) -> float:
        """The learning rate, finite and >= 0."""
        return self._lr

    @lr.setter
    def lr(self, value: float) -> None:
        self._lr = self._number("lr", value)

    def _number(self, name: str, value: Any, below: float = math.inf) -> float:
        """`value` as a float in [0, below), or an error that names it."""
        try:
            number = float(value)
        except (TypeError, ValueError):
            number = math.nan
        if not (0 <= number < below):
            limit = "" if below == math.inf else f" and less than {below:g}"
            raise ArgumentError(
                f"{type(self).__name__}: {name}={value!r}: expected a finite number of at least "
                f"0{limit}.",
                code="bad-hyperparameter",
            )
        return number

    def zero_grad(self) -> None:
        """Forget the gradients, so that the next backward starts from nothing."""
        for p in self.params:
            p.grad = None

    def step(self) -> None:
        """Update every parameter that has a gradient; the others keep their numbers and their
        age.

        A GradientWarning, once for this optimizer, says that a backward added to gradients that the
        step before had used already: a zero_grad() is missing. Several backwards before a step are
        fine.
        """
        if traces and (trace := open_trace()) is not None:
            trace.step(self)
            return
        ages, params = self._age, self.params
        ripe: dict[int, list[int]] = {}  # age -> the places of those that have a gradient
        stale = False
        for i, p in enumerate(params):
            g = p.grad
            if g is None:
                continue
            if (
                not isinstance(g, Tensor)
                or g.payload.shape != p.payload.shape
                or g.payload.dtype.kind != "f"
            ):
                self._refuse(p)
            if g.stash is STALE:
                stale = True
            ripe.setdefault(ages[i], []).append(i)
        if stale and not self._warned:
            self._warned = True
            self._warn_of_stale_gradients()
        for age, chosen in ripe.items():
            stepped = [params[i] for i in chosen]
            grads: list[Any] = [p.grad for p in stepped]
            self._update(chosen, [p.payload for p in stepped], [g.payload for g in grads], age)
            mark_written(*stepped)
            for i, g in zip(chosen, grads):
                ages[i] = age + 1
                if g.op is None:
                    g.stash = USED

    def _warn_of_stale_gradients(self) -> None:
        warnings.warn(
            GradientWarning(
                f"{type(self).__name__}.step: these gradients are sums that contain those of the "
                "step before: a backward() added to gradients that a step() had used already. Call "
                "optimizer.zero_grad() before each backward (or before the first of several that "
                "are meant to sum up)."
            ),
            stacklevel=3,
        )

    def _refuse(self, p: Tensor) -> NoReturn:
        """A gradient that somebody put into place must fit: the step writes by its shape."""
        g = p.grad
        if not isinstance(g, Tensor) or g.dtype.kind != "f":
            raise CallError(
                f"{type(self).__name__}: .grad of a parameter is {g!r}: expected a floating Tensor."
            )
        raise ShapeError(
            f"{type(self).__name__}: a gradient of shape {g.shape} for a parameter of shape "
            f"{p.shape}: they must be equal."
        )

    def _update(
        self, chosen: list[int], weights: list[np.ndarray], grads: list[np.ndarray], age: int
    ) -> None:
        """Step the arrays `weights` in place; `chosen` are their places in `params`, `age` the
        steps they have made."""
        raise NotImplementedError

    def _state(
        self,
        store: dict[int, np.ndarray],
        chosen: list[int],
        weights: list[np.ndarray],
        start: float = 0.0,
    ) -> list[np.ndarray]:
        """The state arrays of the chosen parameters, filled with `start` at first."""
        if len(store) < len(self.params):
            for i, w in zip(chosen, weights):
                if i not in store:
                    store[i] = np.full(w.shape, start, w.dtype)
        return [store[i] for i in chosen]

    # ---------------------------------------------------------------------------------------- state

    def state_dict(self) -> dict[str, np.ndarray]:
        """{name: copy of the array} of all that the next steps depend on, apart from the parameters
        themselves: hyperparameters, ages, and what is kept per parameter (`means.0`). `tg.save`
        writes it."""
        stay_outside("state_dict()", _AROUND)
        state = {name: np.asarray(getattr(self, name)) for name in self.numbers}
        state["age"] = np.array(self._age, dtype=np.int64)
        for kind in self.memories:
            store = getattr(self, f"_{kind}")
            state.update({f"{kind}.{i}": store[i].copy() for i in sorted(store)})
        return state

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Continue where `state` was taken: with the same parameters the next steps are the same.

        It loads whole or, raising KeyError, ShapeError, DtypeError or (for hyperparameters out of
        range) ValueError, not at all.
        """
        stay_outside("load_state_dict()", _AROUND)
        arrays = {name: np.asarray(value) for name, value in state.items()}
        missing = sorted({*self.numbers, "age"} - arrays.keys())
        if missing:
            raise self._unfit(UnknownNameError, f"the state has no {', '.join(missing)}")
        numbers = {name: arrays.pop(name).tolist() for name in self.numbers}
        age = arrays.pop("age")
        if age.shape != (len(self.params),) or age.dtype.kind not in "iu" or (age < 0).any():
            raise self._unfit(ShapeError, f"age is {age!r} for {len(self.params)} parameters")
        places = {
            f"{kind}.{i}": (kind, i) for kind in self.memories for i in range(len(self.params))
        }
        loaded: dict[str, dict[int, np.ndarray]] = {kind: {} for kind in self.memories}
        for name, array in arrays.items():
            if name not in places:
                raise self._unfit(UnknownNameError, f"{name} is not part of the state")
            kind, i = places[name]
            p = self.params[i]
            if array.shape != p.shape:
                raise self._unfit(ShapeError, f"{name} has shape {array.shape}, not {p.shape}")
            if array.dtype.kind != "f":
                raise self._unfit(DtypeError, f"{name} has dtype {array.dtype}, not {p.dtype}")
            loaded[kind][i] = array.astype(p.dtype)
        checked = type(self)(self.params, **numbers)
        self.__dict__.update(
            {name: getattr(checked, name) for name in self.numbers if name != "lr"}
        )
        self.lr = checked.lr
        self._age = age.tolist()
        for kind, store in loaded.items():
            setattr(self, f"_{kind}", store)

    def _unfit(self, error: type[TinygradEduError], what: str) -> TinygradEduError:
        return error(
            f"{type(self).__name__}.load_state_dict: {what}. Load it into an optimizer of the kind "
            "that was saved, over the same parameters in the same order.",
            code="state-mismatch",
        )
