"""Embedding: a table of vectors, one for each thing that an index can mean."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ..ops.embedding import embedding
from ..random import generator
from ..tensor import Tensor
from .layers import _check_sizes
from .module import Module

if TYPE_CHECKING:
    from ..payloads import Operand


class Embedding(Module):
    """Indices (...), integers from 0 to num_embeddings - 1, to their vectors (..., embedding_dim).

    weight: (num_embeddings, embedding_dim), which starts normal with mean 0 and variance 1, as in
    PyTorch. `rng`: seed, Generator or None.
    """

    def __init__(
        self,
        num_embeddings: int,
        embedding_dim: int,
        *,
        dtype: Any = np.float32,
        rng: Any = None,
    ) -> None:
        _check_sizes("Embedding", num_embeddings=num_embeddings, embedding_dim=embedding_dim)
        shape = (num_embeddings, embedding_dim)
        first = generator(rng).standard_normal(shape).astype(dtype)
        self.weight = Tensor(first, requires_grad=True)

    def forward(self, indices: Operand) -> Tensor:
        return embedding(indices, self.weight)

    def hyperparameters(self) -> dict[str, Any]:
        return {"units": self.weight.shape[1]}

    def extra_repr(self) -> str:
        return ", ".join(map(str, self.weight.shape))
