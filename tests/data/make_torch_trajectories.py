"""Write torch_trajectories.json: what PyTorch's optimizers and schedulers do in 50 steps, in
float64.

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
    ("RMSprop", {}),
    ("RMSprop", {"lr": 0.02, "alpha": 0.9, "eps": 0.1, "weight_decay": 0.2}),
    ("RMSprop", {"lr": 0.005, "momentum": 0.8}),
    ("RMSprop", {"lr": 0.01, "alpha": 0.8, "centered": True, "eps": 1e-2}),
    ("RMSprop", {"lr": 0.003, "centered": True, "momentum": 0.7, "weight_decay": 0.1, "eps": 1e-2}),
    ("Adagrad", {}),
    ("Adagrad", {"lr": 0.3, "lr_decay": 0.05, "weight_decay": 0.2}),
    ("Adagrad", {"lr": 0.2, "initial_accumulator_value": 0.5, "eps": 1e-3}),
]

SGD = ("SGD", {"lr": 0.02, "momentum": 0.5})
ADAM = ("Adam", {"lr": 0.03})
ONE = {"max_lr": 0.04}
METRICS = [
    round((10 - 0.2 * i) * (1 + 0.3 * (i % 7 == 3)) if i < 20 else 6.0 + 0.01 * (i % 3), 6)
    for i in range(50)
]
SCHEDULES = [
    ("StepLR", {"step_size": 7}, SGD),
    ("StepLR", {"step_size": 10, "gamma": 0.5}, ADAM),
    ("CosineAnnealingLR", {"T_max": 50}, SGD),
    ("CosineAnnealingLR", {"T_max": 15, "eta_min": 0.004}, ADAM),
    ("OneCycleLR", {**ONE, "total_steps": 50}, SGD),
    ("OneCycleLR", {**ONE, "epochs": 10, "steps_per_epoch": 6, "anneal_strategy": "linear"}, SGD),
    ("OneCycleLR", {**ONE, "total_steps": 55, "three_phase": True, "pct_start": 0.4}, ADAM),
    (
        "OneCycleLR",
        {
            **ONE,
            "total_steps": 60,
            "cycle_momentum": False,
            "div_factor": 4.0,
            "final_div_factor": 10.0,
        },
        SGD,
    ),
    (
        "OneCycleLR",
        {
            **ONE,
            "total_steps": 52,
            "three_phase": True,
            "base_momentum": 0.1,
            "max_momentum": 0.6,
            "anneal_strategy": "linear",
        },
        ("RMSprop", {"momentum": 0.5}),
    ),
    ("ReduceLROnPlateau", {"patience": 3}, SGD),
    (
        "ReduceLROnPlateau",
        {"patience": 1, "factor": 0.5, "threshold": 0.05, "cooldown": 2, "min_lr": 0.002},
        ADAM,
    ),
    (
        "ReduceLROnPlateau",
        {"mode": "max", "patience": 2, "threshold_mode": "abs", "threshold": 0.3, "factor": 0.7},
        ("Adagrad", {"lr": 0.1}),
    ),
    (
        "ReduceLROnPlateau",
        {"mode": "max", "patience": 4, "factor": 0.6, "eps": 0.01, "threshold": 0.02},
        ("Adagrad", {"lr": 0.1}),
    ),
]


def trajectory(name, arguments):
    """The parameters after each tenth step, flattened."""
    weights, optimizer = begin(name, arguments)
    seen = []
    for step in range(1, STEPS + 1):
        descend(weights, optimizer)
        if step % 10 == 0 or step == 1:
            seen.append(flat(weights))
    return seen


def schedule(name, arguments, optimizer_name, optimizer_arguments):
    """(learning rates, momenta, final parameters): the rates used in each step and after the
    last."""
    weights, optimizer = begin(optimizer_name, optimizer_arguments)
    scheduler = getattr(torch.optim.lr_scheduler, name)(optimizer, **arguments)
    rates, momenta = [], []
    for step in range(STEPS + 1):
        group = optimizer.param_groups[0]
        rates.append(group["lr"])
        momenta.append(group["betas"][0] if "betas" in group else group.get("momentum", 0.0))
        if step < STEPS:
            descend(weights, optimizer)
            scheduler.step(*([METRICS[step]] if name == "ReduceLROnPlateau" else []))
    return {
        "rates": rates,
        "momenta": momenta if name == "OneCycleLR" else None,
        "end": flat(weights),
    }


def begin(name, arguments):
    weights = [torch.tensor(start, dtype=torch.float64, requires_grad=True) for start in START]
    known = {**arguments, **({"betas": tuple(arguments["betas"])} if "betas" in arguments else {})}
    return weights, getattr(torch.optim, name)(weights, **known)


def flat(weights):
    return [x for w in weights for x in w.detach().flatten().tolist()]


def descend(weights, optimizer):
    optimizer.zero_grad()
    loss = sum(
        (
            torch.tensor(c, dtype=torch.float64) * (w - torch.tensor(t, dtype=torch.float64)) ** 4
        ).sum()
        + (w**2).sum()
        for w, t, c in zip(weights, TARGET, WEIGHT)
    )
    loss.backward()
    optimizer.step()


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
        "metrics": METRICS,
        "schedules": [
            {
                "scheduler": name,
                "arguments": arguments,
                "optimizer": optimizer,
                "optimizer_arguments": optimizer_arguments,
                **schedule(name, arguments, optimizer, optimizer_arguments),
            }
            for name, arguments, (optimizer, optimizer_arguments) in SCHEDULES
        ],
    }
    Path(__file__).with_name("torch_trajectories.json").write_text(
        json.dumps(made, indent=1) + "\n"
    )
