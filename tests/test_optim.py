"""Optimizers: PyTorch's trajectories, the papers' formulas, the same step in C and in NumPy, and
what is refused."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

import tinygrad_edu as tg
from tinygrad_edu import kernels
from tinygrad_edu.kernels import reference
from tinygrad_edu.testing import LAYOUTS

STORED = json.loads((Path(__file__).parent / "data" / "torch_trajectories.json").read_text())
STEPS = 50


def losses(weights):
    """sum(c (w - t)**4) + sum(w**2), the function that the stored trajectories descend."""
    return sum(
        (np.array(c) * tg.power(w - np.array(t), 4)).sum() + (w * w).sum()
        for w, t, c in zip(weights, STORED["target"], STORED["weight"])
    )


def gradient(w, i):
    return np.array(STORED["weight"][i]) * 4 * (w - np.array(STORED["target"][i])) ** 3 + 2 * w


def start():
    return [np.array(w, dtype=np.float64) for w in STORED["start"]]


@pytest.mark.parametrize("run", STORED["runs"], ids=lambda r: f"{r['optimizer']}-{r['arguments']}")
def test_fifty_steps_are_pytorchs(run, isa):
    """To 1e-10 relative, in float64, through our own gradients."""
    weights = [tg.Tensor(w, requires_grad=True) for w in start()]
    optimizer = getattr(tg.optim, run["optimizer"])(weights, **run["arguments"])
    seen = []
    for step in range(1, STEPS + 1):
        optimizer.zero_grad()
        losses(weights).backward()
        optimizer.step()
        if step % 10 == 0 or step == 1:
            seen.append(np.concatenate([w.data.ravel() for w in weights]))
    np.testing.assert_allclose(seen, run["trajectory"], rtol=1e-10, atol=1e-13)


# -------------------------------------------------------------------------------- from the papers


def momentum_by_hand(lr, mu=0.0, dampening=0.0, nesterov=False, weight_decay=0.0):
    """v <- mu v + (1 - dampening) d, with v = d at first; w <- w - lr v, or - lr (d + mu v) for
    Nesterov."""
    weights, velocity = start(), [None, None]
    for _ in range(STEPS):
        for i, w in enumerate(weights):
            d = gradient(w, i) + weight_decay * w
            velocity[i] = d if velocity[i] is None else mu * velocity[i] + (1 - dampening) * d
            weights[i] = w - lr * (d + mu * velocity[i] if nesterov else velocity[i])
    return weights


def adam_by_hand(lr, beta1=0.9, beta2=0.999, eps=1e-8, weight_decay=0.0, decoupled=False):
    """Kingma and Ba's algorithm 1 with the bias-corrected moments written out; decay inside or
    outside of it."""
    weights = start()
    m, v = [np.zeros_like(w) for w in weights], [np.zeros_like(w) for w in weights]
    for t in range(1, STEPS + 1):
        for i, w in enumerate(weights):
            g = gradient(w, i) + (0 if decoupled else weight_decay * w)
            m[i] = beta1 * m[i] + (1 - beta1) * g
            v[i] = beta2 * v[i] + (1 - beta2) * g**2
            corrected_m, corrected_v = m[i] / (1 - beta1**t), v[i] / (1 - beta2**t)
            kept = w * (1 - lr * weight_decay) if decoupled else w
            weights[i] = kept - lr * corrected_m / (np.sqrt(corrected_v) + eps)
    return weights


@pytest.mark.parametrize(
    "optimizer, arguments, by_hand",
    [
        ("SGD", {"lr": 0.01}, lambda: momentum_by_hand(0.01)),
        (
            "SGD",
            {"lr": 0.01, "momentum": 0.9, "weight_decay": 0.2},
            lambda: momentum_by_hand(0.01, 0.9, weight_decay=0.2),
        ),
        (
            "SGD",
            {"lr": 0.01, "momentum": 0.5, "dampening": 0.3},
            lambda: momentum_by_hand(0.01, 0.5, 0.3),
        ),
        (
            "SGD",
            {"lr": 0.01, "momentum": 0.7, "nesterov": True},
            lambda: momentum_by_hand(0.01, 0.7, nesterov=True),
        ),
        ("Adam", {"lr": 0.03}, lambda: adam_by_hand(0.03)),
        (
            "Adam",
            {"lr": 0.03, "betas": (0.5, 0.8), "eps": 0.1, "weight_decay": 0.1},
            lambda: adam_by_hand(0.03, 0.5, 0.8, 0.1, 0.1),
        ),
        (
            "AdamW",
            {"lr": 0.03, "weight_decay": 0.3},
            lambda: adam_by_hand(0.03, weight_decay=0.3, decoupled=True),
        ),
    ],
    ids=str,
)
def test_fifty_steps_are_the_papers(optimizer, arguments, by_hand, isa):
    weights = [tg.Tensor(w, requires_grad=True) for w in start()]
    stepper = getattr(tg.optim, optimizer)(weights, **arguments)
    for _ in range(STEPS):
        stepper.zero_grad()
        losses(weights).backward()
        stepper.step()
    for w, wanted in zip(weights, by_hand()):
        np.testing.assert_allclose(w.data, wanted, rtol=1e-11)


# ----------------------------------------------------------------------------- kernel and formula

SGD = {
    "lr": 0.1,
    "momentum": 0.9,
    "dampening": 0.0,
    "nesterov": False,
    "weight_decay": 0.01,
    "first": False,
}
ADAM = {
    "lr": 0.1,
    "beta1": 0.9,
    "beta2": 0.99,
    "eps": 1e-8,
    "weight_decay": 0.01,
    "decoupled": False,
    "step": 3,
}
SETTINGS = [
    ("sgd_step", 1, {**SGD, "momentum": 0.0}),
    ("sgd_step", 2, SGD),
    ("sgd_step", 2, {**SGD, "first": True}),
    ("sgd_step", 2, {**SGD, "nesterov": True, "weight_decay": 0.0}),
    ("sgd_step", 2, {**SGD, "dampening": 0.4}),
    ("adam_step", 3, ADAM),
    ("adam_step", 3, {**ADAM, "decoupled": True}),
    ("adam_step", 3, {**ADAM, "weight_decay": 0.0}),
    ("adam_step", 3, {**ADAM, "step": 1, "eps": 0.5}),
]


def columns(name, n_written, sizes, dtype, layout):
    """[weights, state...], gradients: for each size an array in a layout; states of squares are
    positive."""
    rng = np.random.default_rng(0)
    written = [
        [np.abs(a) if i == 2 else a for a in (rng.normal(size=n).astype(dtype) for n in sizes)]
        for i in range(n_written)
    ]
    grads = [LAYOUTS[layout](rng.normal(size=n).astype(dtype)) for n in sizes]
    if name == "sgd_step" and n_written == 1:
        written.append(None)
    return written, grads


@pytest.mark.parametrize("layout", ["contiguous", "strided", "reversed", "misaligned"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name, n_written, settings", SETTINGS, ids=lambda x: str(x)[:40])
def test_the_kernel_step_is_the_formula(name, n_written, settings, dtype, layout, isa):
    """Weights and state within 8 rounding errors of the largest number, for sizes around every
    vector width and none."""
    sizes = [0, 1, 2, 3, 7, 8, 9, 15, 16, 17, 31, 33, 63, 65, 1000]
    written, grads = columns(name, n_written, sizes, dtype, layout)
    expected, _ = columns(name, n_written, sizes, dtype, layout)
    getattr(kernels, name)(*written, grads, **settings)
    getattr(reference, name)(*expected, [np.array(g) for g in grads], **settings)
    for got, wanted in zip(written, expected):
        for a, b in zip(got or (), wanted or ()):
            np.testing.assert_allclose(
                a, b, rtol=8 * np.finfo(dtype).eps, atol=8 * np.finfo(dtype).eps
            )


@pytest.mark.parametrize(
    "layout", [name for name in LAYOUTS if name not in ("repeated", "byte-swapped")]
)
def test_weights_in_any_layout_are_stepped(layout):
    """A parameter may be a view: what is written is what everybody sees."""
    given = LAYOUTS[layout](np.linspace(-1, 1, 12).reshape(3, 4))
    w = tg.Tensor(given, requires_grad=True)
    for optimizer in (tg.optim.SGD([w], lr=0.2, momentum=0.5), tg.optim.AdamW([w], lr=0.5)):
        before = given.copy()
        optimizer.zero_grad()
        (w * w).sum().backward()
        optimizer.step()
        assert np.abs(given - before).max() > 0.1 and w.data is given


# -------------------------------------------------------------------------------------- behaviour


def test_a_parameter_without_gradient_keeps_its_numbers_and_its_age():
    a, b = (tg.Tensor(np.array([1.0]), requires_grad=True) for _ in range(2))
    together, alone = tg.optim.Adam([a, b], lr=0.1), None
    a.grad = tg.Tensor(np.array([1.0]))
    together.step()
    together.step()
    assert b.item() == 1
    b.grad = tg.Tensor(np.array([0.5]))
    together.step()
    c = tg.Tensor(np.array([1.0]), requires_grad=True)
    alone = tg.optim.Adam([c], lr=0.1)
    c.grad = tg.Tensor(np.array([0.5]))
    alone.step()
    assert b.item() == c.item(), "the first step of b is a first step, whatever a has done"


def test_the_learning_rate_can_change_between_steps():
    w = tg.Tensor(np.array([1.0]), requires_grad=True)
    optimizer = tg.optim.SGD([w], lr=0.5)
    w.grad = tg.Tensor(np.array([1.0]))
    optimizer.step()
    optimizer.lr = 0.25
    optimizer.step()
    assert w.item() == 0.25


def test_a_step_leaves_the_gradient_alone():
    w = tg.Tensor(np.array([1.0, 2.0]), requires_grad=True)
    w.grad = tg.Tensor(np.array([0.5, -0.5]))
    for optimizer in (
        tg.optim.SGD([w], lr=0.1, momentum=0.9, nesterov=True, weight_decay=0.1),
        tg.optim.Adam([w], weight_decay=0.1),
    ):
        optimizer.step()
        optimizer.step()
        np.testing.assert_array_equal(w.grad.data, [0.5, -0.5])


@pytest.mark.parametrize(
    "optimizer, arguments, name",
    [
        ("SGD", {"lr": -1}, "lr"),
        ("SGD", {"lr": float("nan")}, "lr"),
        ("SGD", {"lr": float("inf")}, "lr"),
        ("SGD", {"lr": "fast"}, "lr"),
        ("SGD", {"momentum": -0.1}, "momentum"),
        ("SGD", {"weight_decay": -1}, "weight_decay"),
        ("SGD", {"dampening": float("nan")}, "dampening"),
        ("SGD", {"nesterov": True}, "nesterov"),
        ("SGD", {"nesterov": True, "momentum": 0.9, "dampening": 0.1}, "nesterov"),
        ("Adam", {"betas": (1.0, 0.9)}, r"betas\[0\]"),
        ("Adam", {"betas": (0.9, -0.1)}, r"betas\[1\]"),
        ("Adam", {"eps": -1}, "eps"),
        ("Adam", {"eps": float("nan")}, "eps"),
        ("AdamW", {"weight_decay": float("inf")}, "weight_decay"),
        ("AdamW", {"lr": None}, "lr"),
    ],
)
def test_bad_hyperparameters_are_refused_by_name(optimizer, arguments, name):
    w = tg.Tensor(np.array([1.0]), requires_grad=True)
    with pytest.raises(ValueError, match=f"{optimizer}: {name}="):
        getattr(tg.optim, optimizer)([w], **arguments)


def test_a_bad_learning_rate_cannot_be_assigned_later():
    optimizer = tg.optim.SGD([tg.ones(1, requires_grad=True)], lr=0.1)
    with pytest.raises(ValueError, match="SGD: lr=nan"):
        optimizer.lr = float("nan")
    assert optimizer.lr == 0.1


@pytest.mark.parametrize(
    "params, error, words",
    [
        ([], ValueError, "no parameters"),
        ([np.ones(2)], TypeError, "ndarray"),
        ([tg.tensor([1])], TypeError, "floating"),
        ([tg.ones(1, requires_grad=True) * 2], TypeError, "computed by multiply"),
    ],
)
def test_what_cannot_be_optimized_is_refused(params, error, words):
    with pytest.raises(error, match=words):
        tg.optim.SGD(params)


def test_a_parameter_in_the_list_twice_is_refused():
    w = tg.ones(1, requires_grad=True)
    with pytest.raises(ValueError, match="twice"):
        tg.optim.Adam([w, w])


def test_an_unknown_keyword_is_refused():
    with pytest.raises(TypeError, match="learning_rate"):
        tg.optim.SGD([tg.ones(1, requires_grad=True)], learning_rate=0.1)
