"""Write torch_trajectories.json: what PyTorch's optimizers do in 50 steps, in float64.

    python tests/data/make_torch_trajectories.py        (needs torch; the tests need only the JSON)

Two parameters (a matrix and a vector) descend sum(c * (w - t)**4) + sum(w**2): smooth, curved
differently in each entry, and written down below so that a test can compute the gradient without
PyTorch."""

import json
from pathlib import Path

import torch

STEPS = 50
START = [[[0.5, -1.0, 2.0], [1.5, 0.25, -0.75]], [0.1, -0.2]]
TARGET = [[[0.0, 1.0, 1.0], [-1.0, 0.5, 0.5]], [1.0, -1.0]]
WEIGHT = [[[1.0, 0.1, 0.01], [0.5, 2.0, 1.0]], [0.3, 1e-4]]

RUNS = [
    ("SGD", {"lr": 0.01}),
    ("SGD", {"lr": 0.01, "momentum": 0.9}),
    ("SGD", {"lr": 0.01, "momentum": 0.9, "dampening": 0.5}),
    ("SGD", {"lr": 0.01, "momentum": 0.8, "nesterov": True, "weight_decay": 0.1}),
    ("SGD", {"lr": 0.01, "weight_decay": 0.3}),
    ("Adam", {"lr": 0.05}),
    ("Adam", {"lr": 0.05, "betas": [0.8, 0.9], "eps": 1e-3}),
    ("Adam", {"lr": 0.05, "weight_decay": 0.2}),
    ("Adam", {"lr": 0.05, "betas": [0.0, 0.99]}),
    ("AdamW", {"lr": 0.05}),
    ("AdamW", {"lr": 0.02, "weight_decay": 0.5, "betas": [0.7, 0.95]}),
]


def trajectory(name, arguments):
    """The parameters after each tenth step, flattened."""
    weights = [torch.tensor(start, dtype=torch.float64, requires_grad=True) for start in START]
    known = {**arguments, **({"betas": tuple(arguments["betas"])} if "betas" in arguments else {})}
    optimizer = getattr(torch.optim, name)(weights, **known)
    seen = []
    for step in range(1, STEPS + 1):
        optimizer.zero_grad()
        loss = sum(
            (
                torch.tensor(c, dtype=torch.float64)
                * (w - torch.tensor(t, dtype=torch.float64)) ** 4
            ).sum()
            + (w**2).sum()
            for w, t, c in zip(weights, TARGET, WEIGHT)
        )
        loss.backward()
        optimizer.step()
        if step % 10 == 0 or step == 1:
            seen.append([x for w in weights for x in w.detach().flatten().tolist()])
    return seen


if __name__ == "__main__":
    made = {
        "torch": torch.__version__,
        "start": START,
        "target": TARGET,
        "weight": WEIGHT,
        "runs": [
            {"optimizer": name, "arguments": arguments, "trajectory": trajectory(name, arguments)}
            for name, arguments in RUNS
        ],
    }
    Path(__file__).with_name("torch_trajectories.json").write_text(
        json.dumps(made, indent=1) + "\n"
    )
