"""NumPy, written by hand the way one would: no temporary that a plain `out=` saves."""

from __future__ import annotations

import contextlib

import numpy as np
from inputs import (
    BETA1,
    BETA2,
    EPS,
    MOMENTUM,
    Contender,
    batch,
    is_regression,
    operands,
    parameters,
    points,
    repeat,
    sample,
    training,
)


def about() -> str:
    blas = ""
    with contextlib.suppress(ImportError):
        from threadpoolctl import threadpool_info

        for pool in threadpool_info():
            if pool["user_api"] == "blas":
                blas = f" ({pool['internal_api']} {pool['version']}, {pool['architecture']})"
    return f"NumPy {np.__version__}{blas}"


def gemm(spec: dict) -> Contender:
    a, b = operands(spec)
    a = a if spec["form"][0] == "N" else a.T
    b = b if spec["form"][1] == "N" else b.T
    return Contender(repeat(lambda: a @ b), sample(a @ b))


def sigmoid(x: np.ndarray) -> np.ndarray:
    out = np.negative(x)
    np.exp(out, out=out)
    out += 1
    return np.reciprocal(out, out=out)


def elementwise(spec: dict) -> Contender:
    function = sigmoid if spec["function"] == "sigmoid" else getattr(np, spec["function"])
    x = points(spec)
    return Contender(repeat(lambda: function(x)), sample(function(x)))


def forward(spec: dict) -> Contender:
    arrays, x = parameters(spec), batch(spec)[0]
    layers = list(zip(arrays[::2], arrays[1::2]))

    def network() -> np.ndarray:
        h = x
        for i, (weight, bias) in enumerate(layers):
            h = h @ weight.T
            h += bias
            if i < len(layers) - 1:
                np.maximum(h, 0, out=h)
        return h

    return Contender(repeat(network), sample(network()))


def packed(arrays: list[np.ndarray]) -> tuple[np.ndarray, list[tuple[np.ndarray, np.ndarray]]]:
    """One vector of all numbers, and its parts as (weight, bias) of each layer: an update is then a
    few calls in all, and not a few for each array."""
    vector = np.concatenate([array.ravel() for array in arrays])
    cuts = np.cumsum([array.size for array in arrays])[:-1]
    parts = [part.reshape(a.shape) for part, a in zip(np.split(vector, cuts), arrays)]
    return vector, list(zip(parts[::2], parts[1::2]))


def step(spec: dict) -> Contender:
    x, target = batch(spec)
    loss_of = mean_squared if is_regression(spec) else cross_entropy
    kind = {"sgd": sgd, "adam": adam}[spec["optimizer"]]

    def session(rate: float):
        params, layers = packed(parameters(spec))
        grads, gradients = packed(parameters(spec))
        update = kind(params, grads, rate)

        def step() -> np.floating:
            inputs = [x]
            for weight, bias in layers:
                if len(inputs) > 1:
                    np.maximum(inputs[-1], 0, out=inputs[-1])
                inputs.append(inputs[-1] @ weight.T)
                inputs[-1] += bias
            loss, g = loss_of(inputs.pop(), target)
            for (weight, _), (d_weight, d_bias) in zip(reversed(layers), reversed(gradients)):
                h = inputs.pop()
                np.matmul(g.T, h, out=d_weight)
                np.add.reduce(g, axis=0, out=d_bias)
                if inputs:
                    g = g @ weight
                    g *= h > 0
            update()
            return loss

        return step

    return training(session, spec["optimizer"])


# A loss takes the network's output, whose memory it may use, and returns itself and its gradient.


def mean_squared(out: np.ndarray, target: np.ndarray) -> tuple[np.floating, np.ndarray]:
    out -= target
    loss = np.vdot(out, out) / out.size
    out *= 2 / out.size
    return loss, out


def cross_entropy(out: np.ndarray, target: np.ndarray) -> tuple[np.floating, np.ndarray]:
    rows = np.arange(len(out))
    out -= np.maximum.reduce(out, axis=1, keepdims=True)
    chosen = out[rows, target]
    np.exp(out, out=out)
    sums = np.add.reduce(out, axis=1, keepdims=True)
    loss = (np.log(sums[:, 0]) - chosen).mean()
    out /= sums
    out[rows, target] -= 1
    out /= len(out)
    return loss, out


def sgd(params: np.ndarray, grads: np.ndarray, rate: float):
    velocity, change = np.zeros_like(params), np.empty_like(params)

    def update() -> None:
        np.multiply(velocity, MOMENTUM, out=velocity)
        np.add(velocity, grads, out=velocity)
        np.multiply(velocity, rate, out=change)
        np.subtract(params, change, out=params)

    return update


def adam(params: np.ndarray, grads: np.ndarray, rate: float):
    mean, square, change = (np.zeros_like(params) for _ in range(3))
    age = 0

    def update() -> None:
        nonlocal age
        age += 1
        np.multiply(mean, BETA1, out=mean)
        np.multiply(grads, 1 - BETA1, out=change)
        np.add(mean, change, out=mean)
        np.multiply(grads, grads, out=grads)
        np.multiply(grads, 1 - BETA2, out=grads)
        np.multiply(square, BETA2, out=square)
        np.add(square, grads, out=square)
        np.sqrt(square, out=change)
        np.multiply(change, (1 - BETA2**age) ** -0.5, out=change)
        np.add(change, EPS, out=change)
        np.divide(mean, change, out=change)
        np.multiply(change, rate / (1 - BETA1**age), out=change)
        np.subtract(params, change, out=params)

    return update


BUILD = {"gemm": gemm, "elementwise": elementwise, "forward": forward, "step": step}
