"""JAX: everything under one `jax.jit`, an epoch as `lax.scan` over its batches; training gives its
buffers back (donation)."""

from __future__ import annotations

import functools

import jax
import jax.numpy as jnp
from inputs import (
    BETA1,
    BETA2,
    EPS,
    MOMENTUM,
    Contender,
    batch,
    epochs,
    is_regression,
    operands,
    parameters,
    points,
    repeat,
    sample,
    training,
)

jax.config.update("jax_enable_x64", True)  # for the float64 works; the others say float32


def about() -> str:
    return f"JAX {jax.__version__}"


def call(function, *arguments) -> Contender:
    """A jitted function whose answer is waited for at each call."""
    jitted = jax.jit(function)
    arguments = [jax.device_put(x) for x in arguments]
    return Contender(
        repeat(lambda: jitted(*arguments).block_until_ready()), sample(jitted(*arguments))
    )


def gemm(spec: dict) -> Contender:
    first, second = spec["form"]

    def product(a, b):
        return (a if first == "N" else a.T) @ (b if second == "N" else b.T)

    return call(product, *operands(spec))


def network(spec: dict, params, x):
    layers = list(zip(params[::2], params[1::2]))
    between = jax.nn.relu
    if spec["kind"] == "lenet":
        between = jnp.tanh
        for (weight, bias), padding in zip(layers[:2], (2, 0)):
            y = jax.lax.conv_general_dilated(x, weight, (1, 1), [(padding, padding)] * 2)
            y = jnp.tanh(y + bias[:, None, None])
            n, channels, height, width = y.shape
            x = y.reshape(n, channels, height // 2, 2, width // 2, 2).mean((3, 5))
        x, layers = x.reshape(x.shape[0], -1), layers[2:]
    for weight, bias in layers[:-1]:
        x = between(x @ weight.T + bias)
    weight, bias = layers[-1]
    return x @ weight.T + bias


def forward(spec: dict) -> Contender:
    return call(functools.partial(network, spec), parameters(spec), batch(spec)[0])


def one_step(spec: dict):
    """A step as a function of (state, input, target, rate) that returns the new state and the
    loss."""

    def loss(params, x, target):
        out = network(spec, params, x)
        if is_regression(spec):
            return jnp.mean((out - target) ** 2)
        chosen = jnp.take_along_axis(jax.nn.log_softmax(out), target[:, None], axis=1)
        return -chosen.mean()

    def whole(state, x, target, rate):
        params, means, squares, age = state
        value, grads = jax.value_and_grad(loss)(params, x, target)
        update = sgd if spec["optimizer"] == "sgd" else adam
        new = [update(*each, rate, age) for each in zip(params, grads, means, squares)]
        return (*map(list, zip(*new)), age + 1), value

    return whole


def step(spec: dict) -> Contender:
    return training(sessions(spec, one_step(spec), *batch(spec)), spec["optimizer"], looped)


def epoch(spec: dict) -> Contender:
    one = one_step(spec)
    each = [array.reshape(spec["steps"], spec["batch"], -1) for array in batch(spec)]
    if not is_regression(spec):
        each[1] = each[1][:, :, 0]

    def whole(state, x, target, rate):
        return jax.lax.scan(lambda state, pair: one(state, *pair, rate), state, (x, target))

    return epochs(sessions(spec, whole, *each), spec["optimizer"], looped)


def sessions(spec: dict, function, x, target):
    """Sessions that call `function`, compiled, on the same data again and again."""
    compiled = jax.jit(function, donate_argnums=0)
    x, target = jax.device_put(x), jax.device_put(target)

    def session(rate: float):
        arrays = [jnp.array(p) for p in parameters(spec)]
        zeros = [[jnp.zeros_like(p) for p in arrays] for _ in range(2)]
        state = (arrays, *zeros, jnp.float32(1))
        rate = jnp.float32(rate)

        def call():
            nonlocal state
            state, value = compiled(state, x, target, rate)
            return value

        return call

    return session


def looped(step):
    """n calls, which JAX may queue: only the last answer is waited for."""

    def run(n: int) -> None:
        for _ in range(n):
            value = step()
        value.block_until_ready()

    return run


def sgd(p, g, mean, square, rate, age):
    mean = MOMENTUM * mean + g
    return p - rate * mean, mean, square


def adam(p, g, mean, square, rate, age):
    mean = BETA1 * mean + (1 - BETA1) * g
    square = BETA2 * square + (1 - BETA2) * g * g
    change = mean / (1 - BETA1**age) / (jnp.sqrt(square / (1 - BETA2**age)) + EPS)
    return p - rate * change, mean, square


def elementwise(spec: dict) -> Contender:
    table = {"exp": jnp.exp, "tanh": jnp.tanh, "sigmoid": jax.nn.sigmoid, "log": jnp.log}
    return call(table[spec["function"]], points(spec))


BUILD = {
    "gemm": gemm,
    "elementwise": elementwise,
    "forward": forward,
    "step": step,
    "epoch": epoch,
    "lenet": step,
}
