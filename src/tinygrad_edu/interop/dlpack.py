"""DLPack: handing an array to another library, or taking one from it, without a copy.

NumPy does the work. Importing this file attaches the two protocol methods to Tensor. What the other
library writes into shared memory is not noticed by our checks for in-place changes.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..errors import CallError, GraphError, SharingError
from ..tensor import Tensor


def from_dlpack(x: Any) -> Tensor:
    """A Tensor over the memory of `x`, any object of the DLPack protocol: a NumPy array, a tensor
    of another library.

    Shape and dtype are those of `x`; nothing is copied, and no gradient is asked for. Raises
    TypeError for an object without the protocol, DtypeError for a dtype that we do not have, and
    NumPy's BufferError or RuntimeError for memory that is not the CPU's.
    """
    if not hasattr(x, "__dlpack__"):
        raise CallError(
            f"from_dlpack: {type(x).__name__} has no __dlpack__. Pass an array or a tensor of a "
            "library that speaks DLPack, or use tg.tensor(data), which copies."
        )
    try:
        return Tensor(np.from_dlpack(x))
    except BufferError as error:
        raise SharingError(f"from_dlpack: {error} Use tg.tensor(data), which copies.") from error


def _dlpack(self: Tensor, **kwargs: Any) -> Any:
    """This tensor's memory as a DLPack capsule; the keywords are the protocol's (stream,
    max_version, dl_device, copy). Raises GraphError for a tensor that requires grad, BufferError
    for read-only memory."""
    if self.requires_grad:
        raise GraphError(
            "__dlpack__: this tensor requires grad, and another library would lose the graph. "
            "Pass t.detach().",
            code="leaves-the-graph",
        )
    self._stay_traced("__dlpack__")
    if not self.payload.flags.writeable and not kwargs.get("copy"):
        raise SharingError(
            "__dlpack__: the memory of this tensor is read-only, and another library could write "
            "into it. Pass a copy: tg.tensor(t.numpy())."
        )
    return self.payload.__dlpack__(**kwargs)


def _dlpack_device(self: Tensor) -> tuple[int, int]:
    """Where the memory is: the CPU, (1, 0)."""
    return self.payload.__dlpack_device__()


Tensor.__dlpack__ = _dlpack
Tensor.__dlpack_device__ = _dlpack_device
