"""PyTorch: eager with its default optimizer, eager with the fused one, and the whole step as one
function under torch.compile (forward, backward and update in one graph)."""

from __future__ import annotations

import functools

import torch
from inputs import (
    BETA1,
    BETA2,
    EPS,
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
    shapes,
    training,
)
from torch import nn

torch.set_num_threads(THREADS)


def about() -> str:
    return f"PyTorch {torch.__version__} ({torch.backends.cpu.get_cpu_capability()})"


def gemm(spec: dict) -> Contender:
    a, b = map(torch.from_numpy, operands(spec))
    a = a if spec["form"][0] == "N" else a.T
    b = b if spec["form"][1] == "N" else b.T
    return Contender(repeat(lambda: a @ b), sample(a @ b))


def elementwise(spec: dict) -> Contender:
    function, x = getattr(torch, spec["function"]), torch.from_numpy(points(spec))
    return Contender(repeat(lambda: function(x)), sample(function(x)))


def network(spec: dict) -> nn.Module:
    if spec["kind"] == "lenet":
        between = [nn.Tanh(), nn.AvgPool2d(2)]
        layers = [nn.Conv2d(1, 6, 5, padding=2), *between, nn.Conv2d(6, 16, 5), *between]
        layers += [nn.Flatten(), nn.Linear(400, 120), nn.Tanh(), nn.Linear(120, 84), nn.Tanh()]
        layers += [nn.Linear(84, 10)]
    else:
        pairs = [(nn.Linear(fan_in, out), nn.ReLU()) for out, fan_in in shapes(spec)]
        layers = [layer for pair in pairs for layer in pair][:-1]
    model = nn.Sequential(*layers)
    with torch.no_grad():
        for p, array in zip(model.parameters(), parameters(spec), strict=True):
            p.copy_(torch.from_numpy(array))
    return model


def forward(spec: dict) -> Contender:
    model, x = network(spec), torch.from_numpy(batch(spec)[0])

    @torch.inference_mode()
    def run(n: int) -> None:
        for _ in range(n):
            model(x)

    return Contender(run, sample(model(x).detach()))


def step(spec: dict) -> Contender:
    x, target = map(torch.from_numpy, batch(spec))
    loss_of = nn.functional.mse_loss if is_regression(spec) else nn.functional.cross_entropy
    start = compiled if spec["mode"] == "compile" else eager
    return training(start(spec, x, target, loss_of), spec["optimizer"])


def eager(spec, x, target, loss_of):
    options = {"fused": True} if spec["mode"] == "fused" else {}
    kind = {"sgd": functools.partial(torch.optim.SGD, momentum=MOMENTUM), "adam": torch.optim.Adam}

    def session(rate: float):
        model = network(spec)
        optimizer = kind[spec["optimizer"]](model.parameters(), lr=rate, **options)

        def step() -> torch.Tensor:
            optimizer.zero_grad()
            loss = loss_of(model(x), target)
            loss.backward()
            optimizer.step()
            return loss.detach()

        return step

    return session


def compiled(spec, x, target, loss_of):
    torch._dynamo.reset()
    model = network(spec)
    first = {name: p.detach().clone() for name, p in model.named_parameters()}

    def loss(params):
        return loss_of(torch.func.functional_call(model, params, (x,)), target)

    @torch.compile(fullgraph=True)
    def whole(params, memory, rate, age):
        grads, value = torch.func.grad_and_value(loss)(params)
        for name, p in params.items():
            p -= rate * change(spec["optimizer"], grads[name], memory[name], age)
        age += 1
        return value

    def session(rate: float):
        params = {name: p.clone() for name, p in first.items()}
        memory = {name: (torch.zeros_like(p), torch.zeros_like(p)) for name, p in first.items()}
        rate, age = torch.tensor(rate), torch.tensor(1.0)
        return lambda: whole(params, memory, rate, age)

    return session


def change(optimizer, g, memory, age):
    """What times the rate is subtracted from a parameter: SGD with momentum, or Adam."""
    mean, square = memory
    if optimizer == "sgd":
        mean.mul_(MOMENTUM).add_(g)
        return mean
    mean.lerp_(g, 1 - BETA1)
    square.mul_(BETA2).addcmul_(g, g, value=1 - BETA2)
    return mean / (1 - BETA1**age) / ((square / (1 - BETA2**age)).sqrt() + EPS)


BUILD = {
    "gemm": gemm,
    "elementwise": elementwise,
    "forward": forward,
    "step": step,
    "lenet": step,
}
