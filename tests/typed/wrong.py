"""Uses that are wrong. test_typing.py expects mypy --strict and pyright to object to each line that
ends in `# wrong`, and to no other, and that running it raises; `# wrong: runs` marks those that
Python lets pass."""

import numpy as np

import tinygrad_edu as tg
from tinygrad_edu import nn
from tinygrad_edu.scalar import Value

t = tg.tensor([[1.0, 2.0], [3.0, 4.0]])
a = np.ones((2, 2))
v = Value(0.5)

tg.nosuch  # wrong
t.nosuch()  # wrong
v.nosuch  # wrong
nn.NoSuch  # wrong
nn.functional.nosuch  # wrong
tg.testing.nosuch  # wrong
tg.tanh("a")  # wrong
tg.tanh()  # wrong
tg.tanh(t, t)  # wrong
tg.sum(t, axes=0)  # wrong
tg.sum(t, axis="0")  # wrong
tg.sum(t, axis=[0, 1])  # wrong
t.sum(keepdim=True)  # wrong
t.tanh(1)  # wrong
t + "a"  # wrong
t @ "a"  # wrong
v + "a"  # wrong
t + v  # wrong
t < None  # wrong
t.reshape(2, 2).relu(1)  # wrong
t.shape = (4,)  # wrong
tg.reshape(t)  # wrong
tg.one_hot(np.array([0, 1]))  # wrong
tg.conv2d(t, t, strides=2)  # wrong
tg.conv2d(t)  # wrong
tg.max_pool2d(t, stride=2)  # wrong
tg.concatenate(axis=0)  # wrong
tg.clip(t, min=0)  # wrong
tg.gelu(t, approximate="exact")  # wrong
tg.flatten(t, 0, -1, 2)  # wrong
tg.where(t > 0, t)  # wrong
tg.linear(t, t, activation="gelu")  # wrong
tg.mse_loss(t, t)  # wrong
tg.pad(t, pad_width=1, mode="reflect")  # wrong
nn.functional.mse_loss(t)  # wrong
nn.functional.mse_loss(t, t, reduction="average")  # wrong
nn.functional.cross_entropy(t, a, smoothing=0.1)  # wrong
nn.ReLU(inplace=True)  # wrong
nn.LeakyReLU(slope=0.1)  # wrong
nn.LeakyReLU()("a")  # wrong
nn.Linear(2)  # wrong
nn.Linear(2, 2)(t, t)  # wrong
nn.MSELoss(delta=1.0)  # wrong
nn.HuberLoss()(t)  # wrong
nn.MLP(2, [2], activations="relu")  # wrong
tg.optim.SGD([t], rate=0.1)  # wrong
tg.distances.minkowski(t, t, q=2)  # wrong
np.allclose(t, a)  # wrong
number: int = t.shape  # wrong: runs
array: np.ndarray = tg.tanh(t)  # wrong: runs
tensor: tg.Tensor = tg.tanh(a)  # wrong: runs
gradient: tg.Tensor = t.grad  # wrong: runs
truth: bool = t == t  # wrong: runs
