"""Layers that normalise: BatchNorm1d, BatchNorm2d, LayerNorm."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..errors import ShapeError
from ..ops.normalization import batch_norm, layer_norm
from ..tensor import Tensor
from .layers import _check_sizes
from .module import Module


class _BatchNorm(Module):
    buffers = ("running_mean", "running_var", "num_batches_tracked")
    forms: dict[int, str]  # number of axes -> shape, as far as the layer takes them

    def __init__(
        self,
        num_features: int,
        eps: float = 1e-5,
        momentum: float | None = 0.1,
        affine: bool = True,
        track_running_stats: bool = True,
        *,
        dtype: Any = np.float32,
    ) -> None:
        _check_sizes(type(self).__name__, num_features=num_features)
        self.num_features, self.eps, self.momentum = num_features, eps, momentum
        self.weight: Tensor | None = None
        self.bias: Tensor | None = None
        self.running_mean: Tensor | None = None
        self.running_var: Tensor | None = None
        self.num_batches_tracked: Tensor | None = None
        if affine:
            self.weight = Tensor(np.ones(num_features, dtype), requires_grad=True)
            self.bias = Tensor(np.zeros(num_features, dtype), requires_grad=True)
        if track_running_stats:
            self.running_mean = Tensor(np.zeros(num_features, dtype))
            self.running_var = Tensor(np.ones(num_features, dtype))
            self.num_batches_tracked = Tensor(np.zeros((), np.int64))

    def forward(self, x: Tensor) -> Tensor:
        if x.ndim not in self.forms or x.shape[1] != self.num_features:
            wanted = " or ".join(self.forms.values()).replace("C", str(self.num_features))
            raise ShapeError(
                f"{type(self).__name__}: x has shape {x.shape}: expected {wanted}.",
                code="unexpected-shape",
            )
        out = batch_norm(
            x,
            self.running_mean,
            self.running_var,
            self.weight,
            self.bias,
            self.training,
            self._share(),
            self.eps,
        )
        if self.training and self.num_batches_tracked is not None:
            self.num_batches_tracked._assign(self.num_batches_tracked + 1)
        return out

    def _share(self) -> float:
        """What part of the running estimates this batch replaces; without a momentum its part in
        the mean of all batches so far."""
        if self.momentum is not None:
            return self.momentum
        return (
            1.0 if self.num_batches_tracked is None else 1 / (self.num_batches_tracked.item() + 1)
        )

    def hyperparameters(self) -> dict[str, Any]:
        chosen = {"eps": self.eps} if self.eps != 1e-5 else {}
        return chosen if self.momentum == 0.1 else chosen | {"momentum": self.momentum}

    def extra_repr(self) -> str:
        text = f"{self.num_features}, eps={self.eps}, momentum={self.momentum}"
        text += "" if self.weight is not None else ", affine=False"
        return text + ("" if self.running_mean is not None else ", track_running_stats=False")


class BatchNorm1d(_BatchNorm):
    """Each of `num_features` channels of x (N, C) or (N, C, L) normalised over the batch.

    weight (starts at 1) and bias (0): (C,), absent unless `affine`. In training by the batch's own
    mean and variance, which move running_mean and running_var towards them by `momentum` (None: the
    mean of all batches); after eval() by these two. See `functional.batch_norm`.
    """

    forms = {2: "(N, C)", 3: "(N, C, L)"}


class BatchNorm2d(_BatchNorm):
    """Each of `num_features` channels of images (N, C, H, W) normalised over the batch; otherwise
    as BatchNorm1d."""

    forms = {4: "(N, C, H, W)"}


class LayerNorm(Module):
    """The last axes of x, of the lengths `normalized_shape`, normalised together, for each sample
    on its own.

    weight (starts at 1) and bias (0) are of that shape, absent unless `elementwise_affine`; without
    `bias` only the weight is there. See `functional.layer_norm`.
    """

    def __init__(
        self,
        normalized_shape: Any,
        eps: float = 1e-5,
        elementwise_affine: bool = True,
        bias: bool = True,
        *,
        dtype: Any = np.float32,
    ) -> None:
        shape = tuple(normalized_shape) if np.ndim(normalized_shape) else (normalized_shape,)
        _check_sizes("LayerNorm", **{f"normalized_shape[{i}]": n for i, n in enumerate(shape)})
        self.normalized_shape, self.eps = shape, eps
        self.weight: Tensor | None = None
        self.bias: Tensor | None = None
        if elementwise_affine:
            self.weight = Tensor(np.ones(shape, dtype), requires_grad=True)
            self.bias = Tensor(np.zeros(shape, dtype), requires_grad=True) if bias else None

    def forward(self, x: Tensor) -> Tensor:
        return layer_norm(x, self.normalized_shape, self.weight, self.bias, self.eps)

    def hyperparameters(self) -> dict[str, Any]:
        return {"eps": self.eps} if self.eps != 1e-5 else {}

    def extra_repr(self) -> str:
        text = f"{self.normalized_shape}, eps={self.eps}"
        if self.weight is None:
            return text + ", elementwise_affine=False"
        return text + ("" if self.bias is not None else ", bias=False")
