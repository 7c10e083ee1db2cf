"""A program of real use. test_typing.py has it checked by mypy --strict and pyright, which must
find nothing, and runs it, whereby each `assert_type` must hold of the value that is there."""

from typing import Any, assert_type

import numpy as np
from numpy.typing import NDArray

import tinygrad_edu as tg
from tinygrad_edu import nn
from tinygrad_edu.scalar import Value

Array = NDArray[Any]

t = tg.tensor([[1.0, 2.0], [3.0, 4.0]], requires_grad=True)
a = np.ones((2, 2))
v = Value(0.5)

# One function, every payload.
assert_type(tg.tanh(t), tg.Tensor)
assert_type(tg.tanh(a), Array)
assert_type(tg.tanh(0.5), float)
assert_type(tg.tanh(v), Value)
assert_type(tg.exp([1.0, 2.0]), Array)
assert_type(tg.leaky_relu(t, negative_slope=0.2), tg.Tensor)
assert_type(tg.leaky_relu(0.5, 0.2), float)
assert_type(tg.maximum(t, 0), tg.Tensor)
assert_type(tg.maximum(a, t), tg.Tensor)
assert_type(tg.maximum(a, 0.5), Array)
assert_type(tg.maximum(1.0, 0.5), float)
assert_type(tg.maximum(2.0, v), Value)
assert_type(tg.less(1.0, 2.0), bool)
assert_type(tg.less(v, 2.0), bool)
assert_type(tg.less(t, 2.0), tg.Tensor)
assert_type(tg.isfinite(0.5), bool)
assert_type(tg.where(t > 2, t, 0.0), tg.Tensor)
assert_type(tg.where(a > 2, a, 0.0), Array)
assert_type(tg.where(True, v, 0.0), Value)
assert_type(tg.gelu(t, approximate="tanh"), tg.Tensor)


def either(x: tg.Tensor | Array) -> tg.Tensor | Array:
    assert_type(tg.matmul(x, 2 * a), tg.Tensor | Array)
    return tg.sigmoid(tg.sum(x, axis=0))


assert isinstance(either(t), tg.Tensor) and isinstance(either(a), np.ndarray)

# Along axes, of shapes, of parts.
assert_type(tg.sum(t, axis=0, keepdims=True), tg.Tensor)
assert_type(tg.sum(a, (0, 1)), Array)
assert_type(tg.max(t), tg.Tensor)
assert_type(tg.var(t, axis=-1, ddof=1), tg.Tensor)
assert_type(tg.norm(t, ord=1, axis=1), tg.Tensor)
assert_type(tg.argmax(t, axis=1), tg.Tensor)
assert_type(tg.softmax(t), tg.Tensor)
assert_type(tg.reshape(t, (4, 1)), tg.Tensor)
assert_type(tg.reshape(a, 4), Array)
assert_type(tg.concatenate([t, t], axis=1), tg.Tensor)
assert_type(tg.concatenate([t, a]), tg.Tensor)
assert_type(tg.stack([a, a]), Array)
assert_type(tg.split(t, 2), list[tg.Tensor])
assert_type(tg.flatten(t), tg.Tensor)
assert_type(tg.pad(t, pad_width=((0, 1), (1, 0))), tg.Tensor)
assert_type(tg.clip(t, low=0, high=2.5), tg.Tensor)
assert_type(tg.einsum("ij,jk->ik", t, a), tg.Tensor)
assert_type(tg.einsum("ij,jk->ik", a, a), Array)
assert_type(tg.tensordot(t, a, axes=1), tg.Tensor)
assert_type(tg.one_hot(np.array([0, 1]), n_classes=3), Array)

# Methods, operators, attributes.
assert_type(t.tanh(), tg.Tensor)
assert_type(t.sum(axis=1), tg.Tensor)
assert_type(t.reshape(2, 2).transpose().flatten(), tg.Tensor)
assert_type(t.astype(np.float64).squeeze().matmul(a), tg.Tensor)
assert_type(t + 1, tg.Tensor)
assert_type(1 + t, tg.Tensor)
assert_type(t @ t, tg.Tensor)
assert_type(a @ t, tg.Tensor)
assert_type(a * t - t / a, tg.Tensor)
assert_type([1.0, 2.0] - t, tg.Tensor)
assert_type(2.0**t, tg.Tensor)
assert_type(-abs(t), tg.Tensor)
assert_type(t == 1, tg.Tensor)
assert_type(t < a, tg.Tensor)
assert_type(t[0], tg.Tensor)
assert_type(t[:, 1, None], tg.Tensor)
assert_type(t[np.array([0, 1])], tg.Tensor)
assert_type(t.T, tg.Tensor)
assert_type(t.shape, tuple[int, ...])
assert_type(t.ndim + t.size, int)
assert_type(t.detach().numpy(), Array)
assert_type(len(t), int)
assert_type(next(iter(t)), tg.Tensor)
assert_type(t.grad, tg.Tensor | None)
assert isinstance(np.exp(t), tg.Tensor)
assert_type(tg.randn(2, 3, rng=0), tg.Tensor)
assert_type(tg.zeros_like(t), tg.Tensor)

# Values.
assert_type(v + 1, Value)
assert_type(2 / v, Value)
assert_type(v**2, Value)
assert_type(-v, Value)
assert_type(v.tanh().relu(), Value)
assert_type(v.maximum(0.25), Value)
assert_type(v < 1, bool)
assert_type(v.data, float)
((v * 2).exp() + np.float32(1) * v).backward()

# Layers, losses, networks.
images = tg.rand(2, 1, 8, 8, rng=0)
maps = tg.conv2d(images, tg.randn(3, 1, 3, 3, rng=0), stride=(1, 2), padding=1)
assert_type(maps, tg.Tensor)
assert_type(tg.max_pool2d(maps, kernel_size=2, stride=1), tg.Tensor)
assert_type(nn.ReLU()(t), tg.Tensor)
assert_type(nn.LeakyReLU(negative_slope=0.2)(a), Array)
assert_type(nn.Linear(2, 3, rng=0)(a), tg.Tensor)
assert_type(nn.Conv2d(1, 2, (3, 3), padding=1, rng=0)(images), tg.Tensor)
assert_type(nn.MaxPool2d(2)(images), tg.Tensor)
assert_type(nn.Flatten()(images), tg.Tensor)
assert_type(nn.BatchNorm2d(1)(images), tg.Tensor)
assert_type(nn.functional.linear(t, t, bias=None, activation="relu"), tg.Tensor)
assert_type(nn.functional.mse_loss(t, a, reduction="sum"), tg.Tensor)
assert_type(nn.functional.mse_loss(a, a), Array)
assert_type(nn.functional.cross_entropy(t, [0, 1]), tg.Tensor)
assert_type(nn.functional.kl_div(tg.log_softmax(t), a, reduction="batchmean"), tg.Tensor)
assert_type(nn.HuberLoss(delta=2.0)(t, a), tg.Tensor)
assert_type(tg.distances.minkowski(t, a, p=1), tg.Tensor)
assert_type(tg.distances.cosine(a, [1.0, 1.0]), Array)


class Network(nn.Module):
    def __init__(self) -> None:
        self.hidden = nn.Linear(2, 4, rng=0)
        self.dropout = nn.Dropout(0.1, rng=0)
        self.head = nn.MLP(4, [4, 2], activation="tanh", rng=0)

    def forward(self, x: tg.Tensor, scale: float = 1.0) -> tg.Tensor:
        return self.head(self.dropout(self.hidden(x).relu())) * scale


def train(model: Network, x: tg.Tensor, y: Array) -> float:
    optimizer = tg.optim.Adam(model.parameters(), lr=0.01)
    loss = tg.tensor(0.0)
    for _ in range(3):
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(model(x, scale=0.5), y)
        loss.backward()
        optimizer.step()
    for parameter in model.parameters():
        if parameter.grad is not None:
            assert_type(parameter.grad * 2, tg.Tensor)
    return float(loss.item())


network = Network()
assert_type(network(t), tg.Tensor)
assert_type(train(network, t.detach(), np.array([0, 1])), float)
history = tg.train.fit(
    network, nn.CrossEntropyLoss(), tg.optim.SGD(network.parameters(), lr=0.1, momentum=0.9),
    tg.data.ArrayDataset(a, np.array([0, 1])), epochs=1, batch_size=2, progress=False, rng=0,
)  # fmt: skip
assert_type(history.epochs, int)


# Derivatives.
def cubes(x: tg.Tensor) -> tg.Tensor:
    return (x**3).sum()


@tg.no_grad()
def predict(x: tg.Tensor) -> tg.Tensor:
    return network(x)


slope = tg.grad(cubes)(a)
assert np.allclose(slope, 3.0)
value, slope = tg.value_and_grad(cubes)(0.5)
assert (value, slope) == (0.125, 0.75)
assert_type(predict(t), tg.Tensor)
with tg.no_grad():
    assert_type(t.sigmoid(), tg.Tensor)
assert tg.testing.gradcheck(tg.tanh, [tg.tensor(a)])
