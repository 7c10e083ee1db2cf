"""tinygrad_edu, as its README shows it, and with the training step under `tg.compile`."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import moons
import numpy as np
from inputs import (
    MOMENTUM,
    THREADS,
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

import tinygrad_edu as tg
from tinygrad_edu import scalar
from tinygrad_edu.nn import functional as F

if tg.kernels.info()["kernels"] == "c":
    tg.set_num_threads(THREADS)


def about() -> str:
    facts = tg.kernels.info()
    return f"tinygrad_edu {tg.__version__} ({facts['kernels']} kernels, {facts['isa']})"


def gemm(spec: dict) -> Contender:
    a, b = operands(spec)
    a = a if spec["form"][0] == "N" else a.T
    b = b if spec["form"][1] == "N" else b.T
    return Contender(repeat(lambda: tg.matmul(a, b)), sample(tg.matmul(a, b)))


def elementwise(spec: dict) -> Contender:
    function, x = getattr(tg, spec["function"]), points(spec)
    return Contender(repeat(lambda: function(x)), sample(function(x)))


def network(spec: dict) -> tg.nn.Module:
    sizes = spec.get("sizes")
    model = tg.nn.MLP(sizes[0], sizes[1:]) if sizes else tg.nn.LeNet5()
    names = [name for name, _ in model.named_parameters()]
    model.load_state_dict(dict(zip(names, parameters(spec), strict=True)))
    return model


def forward(spec: dict) -> Contender:
    model, x = network(spec), tg.tensor(batch(spec)[0])
    predict = tg.compile(model) if spec["mode"] == "compiled" else model

    @tg.no_grad()
    def run(n: int) -> None:
        for _ in range(n):
            predict(x)

    return Contender(run, sample(model(x).data))


def training_step(spec: dict, rate: float) -> Callable[[Any, Any], tg.Tensor]:
    """A fresh model and its training step. Gradients are cleared last: a compiled step then need
    not keep them for anybody."""
    loss_of = F.mse_loss if is_regression(spec) else F.cross_entropy
    kind = {"sgd": functools.partial(tg.optim.SGD, momentum=MOMENTUM), "adam": tg.optim.Adam}
    model = network(spec)
    optimizer = kind[spec["optimizer"]](model.parameters(), lr=rate)

    def step(x: Any, target: Any) -> tg.Tensor:
        loss = loss_of(model(x), target)
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        return loss

    return step


def step(spec: dict) -> Contender:
    data, target = batch(spec)
    x = tg.tensor(data)

    def session(rate: float) -> Callable[[], tg.Tensor]:
        step = training_step(spec, rate)
        if spec["mode"] == "compiled":
            step = tg.compile(step)
        return lambda: step(x, target)

    return training(session, spec["optimizer"])


def epoch(spec: dict) -> Contender:
    x, target = batch(spec)

    def session(rate: float) -> Callable[[], np.ndarray]:
        fast = tg.compile(training_step(spec, rate))
        return lambda: fast.many(x, target, batch_size=spec["batch"]).data

    return epochs(session, spec["optimizer"])


def scalar_graph(spec: dict) -> Contender:
    if spec["mode"] != "compiled":
        return moons.contender(scalar.Value, scalar.MLP)
    from tinygrad_edu.compiler.tape import compile_scalars  # where it is missing, only it is

    return moons.contender(scalar.Value, scalar.MLP, compiled=compile_scalars)


BUILD = {
    "gemm": gemm,
    "elementwise": elementwise,
    "forward": forward,
    "step": step,
    "epoch": epoch,
    "lenet": step,
    "moons": scalar_graph,
}
