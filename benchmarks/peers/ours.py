"""tinygrad_edu, as its README shows it."""

from __future__ import annotations

import functools
from collections.abc import Callable

import moons
from inputs import (
    MOMENTUM,
    THREADS,
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

    @tg.no_grad()
    def run(n: int) -> None:
        for _ in range(n):
            model(x)

    return Contender(run, sample(model(x).data))


def step(spec: dict) -> Contender:
    data, target = batch(spec)
    x = tg.tensor(data)
    loss_of = F.mse_loss if is_regression(spec) else F.cross_entropy
    kind = {"sgd": functools.partial(tg.optim.SGD, momentum=MOMENTUM), "adam": tg.optim.Adam}

    def session(rate: float) -> Callable[[], tg.Tensor]:
        model = network(spec)
        optimizer = kind[spec["optimizer"]](model.parameters(), lr=rate)

        def step() -> tg.Tensor:
            optimizer.zero_grad()
            loss = loss_of(model(x), target)
            loss.backward()
            optimizer.step()
            return loss

        return step

    return training(session, spec["optimizer"])


def scalar_graph(spec: dict) -> Contender:
    return moons.contender(scalar.Value, scalar.MLP)


BUILD = {
    "gemm": gemm,
    "elementwise": elementwise,
    "forward": forward,
    "step": step,
    "lenet": step,
    "moons": scalar_graph,
}
