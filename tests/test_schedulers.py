"""Schedulers, clipping and states: PyTorch's rates and trajectories, closed forms, resuming at any
step, and what is refused."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tinygrad_edu as tg
from tinygrad_edu.optim import lr_scheduler

STORED = json.loads((Path(__file__).parent / "data" / "torch_trajectories.json").read_text())
STEPS = 50
OPTIMIZERS = {
    "SGD": {"momentum": 0.9, "weight_decay": 0.1},
    "Adam": {"betas": (0.8, 0.9)},
    "AdamW": {},
    "RMSprop": {"momentum": 0.7, "centered": True},
    "Adagrad": {"lr_decay": 0.1, "initial_accumulator_value": 0.2},
}


def parameters(dtype=np.float64):
    return [tg.Tensor(np.array(w, dtype=dtype), requires_grad=True) for w in STORED["start"]]


def descend(weights, optimizer, steps=1):
    """Steps on sum(c (w - t)**4) + sum(w**2), the function of the stored trajectories."""
    for _ in range(steps):
        optimizer.zero_grad()
        loss = sum(
            (np.array(c, w.dtype) * (w - np.array(t, w.dtype)) ** 4).sum() + (w * w).sum()
            for w, t, c in zip(weights, STORED["target"], STORED["weight"])
        )
        loss.backward()
        optimizer.step()


def flat(weights):
    return np.concatenate([w.data.ravel() for w in weights])


def advance(scheduler, step):
    if isinstance(scheduler, lr_scheduler.ReduceLROnPlateau):
        scheduler.step(STORED["metrics"][step])
    else:
        scheduler.step()


# --------------------------------------------------------------------------------------- schedules


@pytest.mark.parametrize(
    "run", STORED["schedules"], ids=lambda r: f"{r['scheduler']}-{r['arguments']}"
)
def test_fifty_steps_are_pytorchs(run):
    """The rates, the momenta and the weights that come of them, to 1e-10 relative."""
    weights = parameters()
    optimizer = getattr(tg.optim, run["optimizer"])(weights, **run["optimizer_arguments"])
    scheduler = getattr(lr_scheduler, run["scheduler"])(optimizer, **run["arguments"])
    rates, momenta = [optimizer.lr], [momentum(optimizer)]
    for step in range(STEPS):
        descend(weights, optimizer)
        advance(scheduler, step)
        rates.append(optimizer.lr)
        momenta.append(momentum(optimizer))
        assert scheduler.get_last_lr() == [optimizer.lr]
    np.testing.assert_allclose(rates, run["rates"], rtol=1e-10, atol=0)
    if run["momenta"] is not None:
        np.testing.assert_allclose(momenta, run["momenta"], rtol=1e-10, atol=0)
    np.testing.assert_allclose(flat(weights), run["end"], rtol=1e-10, atol=1e-14)
    assert scheduler.last_epoch == STEPS


def momentum(optimizer):
    return optimizer.betas[0] if hasattr(optimizer, "betas") else getattr(optimizer, "momentum", 0)


def test_the_closed_forms():
    """Landmarks that follow from the definitions alone."""
    sgd = tg.optim.SGD(parameters(), lr=1.0)
    cosine = lr_scheduler.CosineAnnealingLR(sgd, T_max=4, eta_min=0.2)
    rates = [sgd.lr]
    for _ in range(8):
        cosine.step()
        rates.append(sgd.lr)
    half = 0.4 * math.sqrt(0.5)
    np.testing.assert_allclose(
        rates, [1, 0.6 + half, 0.6, 0.6 - half, 0.2, 0.6 - half, 0.6, 0.6 + half, 1], rtol=1e-14
    )
    sgd = tg.optim.SGD(parameters(), lr=1.0)
    steps = lr_scheduler.StepLR(sgd, step_size=2, gamma=0.5)
    rates = []
    for _ in range(5):
        rates.append(sgd.lr)
        steps.step()
    assert rates == [1, 1, 0.5, 0.5, 0.25]


def test_one_cycle_goes_up_and_down_and_then_ends():
    sgd = tg.optim.SGD(parameters(), lr=5.0)
    cycle = lr_scheduler.OneCycleLR(sgd, max_lr=1.0, total_steps=20, pct_start=0.5)
    rates, momenta = [sgd.lr], [sgd.momentum]
    for _ in range(19):
        cycle.step()
        rates.append(sgd.lr)
        momenta.append(sgd.momentum)
    assert np.argmax(rates) == 9 == np.argmin(momenta)
    assert rates[9] == pytest.approx(1, rel=1e-15) and momenta[9] == pytest.approx(0.85)
    assert rates[0] == pytest.approx(1 / 25) and rates[-1] == pytest.approx(1 / 25 / 1e4)
    cycle.step()
    before = sgd.lr
    with pytest.raises(ValueError, match="cycle of 20 steps is over"):
        cycle.step()
    assert sgd.lr == before and cycle.last_epoch == 20


def test_a_metric_that_is_nan_is_no_improvement():
    sgd = tg.optim.SGD(parameters(), lr=1.0)
    plateau = lr_scheduler.ReduceLROnPlateau(sgd, patience=1, factor=0.5)
    for metric in (tg.tensor(1.0), float("nan"), float("nan")):
        plateau.step(metric)
    assert sgd.lr == 0.5 and plateau.best == 1


@pytest.mark.parametrize(
    "mode, threshold_mode, good, bad",
    [
        ("min", "rel", 7.9, 8.1),
        ("min", "abs", 9.7, 9.9),
        ("max", "rel", 12.1, 11.9),
        ("max", "abs", 10.3, 10.1),
    ],
)
def test_what_counts_as_an_improvement(mode, threshold_mode, good, bad):
    """Of 10, by a share or an amount of 0.2."""
    for metric, lr in ((good, 1.0), (bad, 0.5)):
        sgd = tg.optim.SGD(parameters(), lr=1.0)
        plateau = lr_scheduler.ReduceLROnPlateau(
            sgd, mode, 0.5, 0, threshold=0.2, threshold_mode=threshold_mode
        )
        plateau.step(10)
        plateau.step(metric)
        assert sgd.lr == lr


@pytest.mark.parametrize(
    "name, arguments, word",
    [
        ("StepLR", {"step_size": 0}, "step_size=0"),
        ("StepLR", {"step_size": 1, "gamma": -1}, "gamma=-1"),
        ("StepLR", {"step_size": 1, "gamma": math.nan}, "gamma=nan"),
        ("CosineAnnealingLR", {"T_max": 0}, "T_max=0"),
        ("CosineAnnealingLR", {"T_max": 2, "eta_min": math.inf}, "eta_min=inf"),
        ("OneCycleLR", {"max_lr": 1}, "length is missing"),
        ("OneCycleLR", {"max_lr": 1, "total_steps": 0}, "total_steps=0"),
        ("OneCycleLR", {"max_lr": math.nan, "total_steps": 9}, "max_lr=nan"),
        ("OneCycleLR", {"max_lr": 1, "total_steps": 9, "pct_start": 2}, "pct_start=2"),
        ("OneCycleLR", {"max_lr": 1, "total_steps": 9, "anneal_strategy": "x"}, "anneal_strategy"),
        ("OneCycleLR", {"max_lr": 1, "total_steps": 9, "base_momentum": 1}, "base_momentum=1"),
        ("OneCycleLR", {"max_lr": 1, "total_steps": 9, "max_momentum": -1}, "max_momentum=-1"),
        ("OneCycleLR", {"max_lr": 1, "total_steps": 9, "div_factor": 0}, "div_factor=0"),
        ("OneCycleLR", {"max_lr": 1, "total_steps": 9, "final_div_factor": 0}, "final_div_factor"),
        ("ReduceLROnPlateau", {"mode": "up"}, "mode='up'"),
        ("ReduceLROnPlateau", {"factor": 1.0}, "factor=1.0"),
        ("ReduceLROnPlateau", {"patience": -1}, "patience=-1"),
        ("ReduceLROnPlateau", {"threshold_mode": "x"}, "threshold_mode='x'"),
        ("ReduceLROnPlateau", {"threshold": math.nan}, "threshold=nan"),
        ("ReduceLROnPlateau", {"cooldown": -1}, "cooldown=-1"),
        ("ReduceLROnPlateau", {"min_lr": -1}, "min_lr=-1"),
        ("ReduceLROnPlateau", {"eps": -1}, "eps=-1"),
    ],
)
def test_bad_arguments_are_refused_by_name(name, arguments, word):
    sgd = tg.optim.SGD(parameters(), lr=0.3)
    with pytest.raises(ValueError, match=f"{name}: .*{word}"):
        getattr(lr_scheduler, name)(sgd, **arguments)
    assert sgd.lr == 0.3 and sgd.momentum == 0, "nothing half-done"


def test_what_is_no_optimizer_is_refused():
    with pytest.raises(TypeError, match="expected an optimizer, got list"):
        lr_scheduler.StepLR(parameters(), 2)
    with pytest.raises(ValueError, match="Adagrad has no momentum"):
        lr_scheduler.OneCycleLR(tg.optim.Adagrad(parameters()), 0.1, total_steps=5)


# ------------------------------------------------------------------------------------------ states


@pytest.mark.parametrize("name", OPTIMIZERS)
@given(first=st.integers(0, 12), dtype=st.sampled_from([np.float32, np.float64]))
def test_an_optimizer_resumes_where_it_was(name, first, dtype):
    """To the bit: steps with a break after `first` of them, through a state, are steps without."""
    whole, broken = parameters(dtype), parameters(dtype)
    make = getattr(tg.optim, name)
    descend(whole, make(whole, lr=0.02, **OPTIMIZERS[name]), first + 9)
    before = make(broken, lr=0.02, **OPTIMIZERS[name])
    descend(broken, before, first)
    state = before.state_dict()
    bits = {key: array.tobytes() for key, array in state.items()}
    resumed = [tg.Tensor(w.data.copy(), requires_grad=True) for w in broken]
    descend(broken, before, 3)  # the state is a copy: going on with the old one does not matter
    after = make(resumed)
    after.load_state_dict(state)
    descend(resumed, after, 9)
    assert bits == {key: array.tobytes() for key, array in state.items()}
    assert flat(resumed).tobytes() == flat(whole).tobytes()
    assert flat(resumed).dtype == dtype


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_an_optimizers_state_goes_through_a_file(name, tmp_path):
    weights = parameters()
    optimizer = getattr(tg.optim, name)(weights, **OPTIMIZERS[name])
    descend(weights, optimizer, 3)
    tg.save(tmp_path / "state.npz", optimizer.state_dict())
    other = getattr(tg.optim, name)(parameters())
    other.load_state_dict(tg.load(tmp_path / "state.npz"))
    ours, theirs = optimizer.state_dict(), other.state_dict()
    assert ours.keys() == theirs.keys()
    for key in ours:
        np.testing.assert_array_equal(ours[key], theirs[key])


@pytest.mark.parametrize("run", STORED["schedules"][::2], ids=lambda r: r["scheduler"])
@pytest.mark.parametrize("first", [0, 1, 20])
def test_a_scheduler_resumes_where_it_was(run, first):
    def start():
        weights = parameters()
        optimizer = getattr(tg.optim, run["optimizer"])(weights, **run["optimizer_arguments"])
        return (
            weights,
            optimizer,
            getattr(lr_scheduler, run["scheduler"])(optimizer, **run["arguments"]),
        )

    def go(weights, optimizer, scheduler, steps):
        for step in steps:
            descend(weights, optimizer)
            advance(scheduler, step)

    whole, broken, resumed = start(), start(), start()
    go(*whole, range(first + 12))
    go(*broken, range(first))
    for new, old in zip(resumed[0], broken[0]):
        new.data = old.data.copy()
    resumed[2].load_state_dict(broken[2].state_dict())
    resumed[1].load_state_dict(broken[1].state_dict())
    go(*resumed, range(first, first + 12))
    assert flat(resumed[0]).tobytes() == flat(whole[0]).tobytes()
    assert resumed[1].lr == whole[1].lr


def changed(state, **new):
    return {**state, **new}


@pytest.mark.parametrize(
    "change, error, words",
    [
        (lambda s: {k: v for k, v in s.items() if k != "eps"}, KeyError, "no eps"),
        (lambda s: {k: v for k, v in s.items() if k != "age"}, KeyError, "no age"),
        (lambda s: changed(s, sums=np.zeros(2)), KeyError, "sums is not part"),
        (lambda s: changed(s, **{"means.7": np.zeros(2)}), KeyError, "means.7"),
        (lambda s: changed(s, **{"means.1": np.zeros(3)}), ValueError, "means.1 has shape"),
        (lambda s: changed(s, **{"means.1": np.zeros(2, int)}), TypeError, "means.1 has dtype"),
        (lambda s: changed(s, age=np.zeros(3, int)), ValueError, "for 2 parameters"),
        (lambda s: changed(s, age=np.array([1, -1])), ValueError, "age"),
        (lambda s: changed(s, age=np.array([1.0, 1.0])), ValueError, "age"),
        (lambda s: changed(s, lr=np.array(np.nan)), ValueError, "lr=nan"),
        (lambda s: changed(s, betas=np.array([0.9, 1.5])), ValueError, r"betas\[1\]"),
    ],
)
def test_an_optimizer_loads_whole_or_not_at_all(change, error, words):
    weights = parameters()
    optimizer = tg.optim.Adam(weights, lr=0.1)
    descend(weights, optimizer, 2)
    before = optimizer.state_dict()
    wrong = change({**before, "lr": np.array(0.5), "means.0": np.ones((2, 3))})
    with pytest.raises(error, match=words):
        optimizer.load_state_dict(wrong)
    after = optimizer.state_dict()
    assert before.keys() == after.keys()
    assert all(before[key].tobytes() == after[key].tobytes() for key in before)


@pytest.mark.parametrize(
    "change, error",
    [
        ({"last_epoch": math.nan}, ValueError),
        ({"last_epoch": -1}, ValueError),
        ({"last_epoch": "three"}, ValueError),
        ({"base_lr": math.inf}, ValueError),
        ({"phase": 1}, KeyError),
    ],
)
def test_a_scheduler_loads_whole_or_not_at_all(change, error):
    sgd = tg.optim.SGD(parameters(), lr=1.0)
    steps = lr_scheduler.StepLR(sgd, 1)
    steps.step()
    with pytest.raises(error):
        steps.load_state_dict({"base_lr": 0.5, "last_epoch": 7, **change})
    assert steps.state_dict() == {"base_lr": 1.0, "last_epoch": 1} and sgd.lr == 0.1


# ---------------------------------------------------------------------------------- the optimizers


@pytest.mark.parametrize("name", ["RMSprop", "Adagrad"])
def test_float32_stays_float32(name):
    weights = parameters(np.float32)
    optimizer = getattr(tg.optim, name)(weights, **OPTIMIZERS[name])
    descend(weights, optimizer, 3)
    arrays = [w.data for w in weights]
    arrays += [v for k, v in optimizer.state_dict().items() if "." in k]
    assert len(arrays) > 2 and {a.dtype for a in arrays} == {np.dtype(np.float32)}


@pytest.mark.parametrize(
    "optimizer, arguments, name",
    [
        ("RMSprop", {"lr": math.nan}, "lr"),
        ("RMSprop", {"alpha": -1}, "alpha"),
        ("RMSprop", {"eps": -1}, "eps"),
        ("RMSprop", {"momentum": -1}, "momentum"),
        ("RMSprop", {"weight_decay": math.inf}, "weight_decay"),
        ("Adagrad", {"lr": -1}, "lr"),
        ("Adagrad", {"lr_decay": -1}, "lr_decay"),
        ("Adagrad", {"initial_accumulator_value": -1}, "initial_accumulator_value"),
        ("Adagrad", {"eps": math.nan}, "eps"),
        ("Adagrad", {"weight_decay": -1}, "weight_decay"),
    ],
)
def test_bad_hyperparameters_are_refused_by_name(optimizer, arguments, name):
    with pytest.raises(ValueError, match=f"{optimizer}: {name}="):
        getattr(tg.optim, optimizer)(parameters(), **arguments)


def test_a_centered_variance_that_rounds_below_zero_is_zero():
    """A constant gradient has no variance; the difference v - m**2 is then rounding, of either
    sign."""
    w = tg.Tensor(np.full(1000, 0.3), requires_grad=True)
    optimizer = tg.optim.RMSprop([w], lr=1e-9, alpha=0.1, centered=True)
    for _ in range(60):
        w.grad = tg.Tensor(np.linspace(0.1, 1, 1000))
        optimizer.step()
    assert np.isfinite(w.data).all()


# ---------------------------------------------------------------------------------------- clipping


def with_grads(*grads):
    made = []
    for g in grads:
        p = tg.zeros(np.shape(g), dtype=np.asarray(g).dtype, requires_grad=True)
        p.grad = tg.Tensor(np.array(g))
        made.append(p)
    return made


@pytest.mark.parametrize("norm_type", [1, 2, 3.5, math.inf])
@given(seed=st.integers(0, 2**32 - 1), max_norm=st.floats(0, 10))
def test_clipping_scales_all_gradients_by_one_factor(norm_type, seed, max_norm):
    rng = np.random.default_rng(seed)
    grads = [rng.normal(size=(3, 2)), rng.normal(size=4)]
    params = [*with_grads(*grads), tg.ones(2, requires_grad=True)]
    together = np.concatenate([g.ravel() for g in grads])
    norm = np.linalg.norm(together, norm_type)
    total = tg.optim.clip_grad_norm_(params, max_norm, norm_type)
    assert total == pytest.approx(norm, rel=1e-13)
    factor = min(1.0, max_norm / (norm + 1e-6))
    for p, g in zip(params, grads):
        np.testing.assert_allclose(p.grad.data, g * factor, rtol=1e-13)
    assert params[2].grad is None


def test_a_norm_is_right_where_its_square_overflows():
    params = with_grads(np.float32([3e30, 0]), np.float32([4e30]))
    assert tg.optim.clip_grad_norm_(params, 5e29) == pytest.approx(5e30, rel=1e-6)
    np.testing.assert_allclose(params[1].grad.data, 4e29, rtol=1e-6)
    assert params[1].grad.dtype == np.float32
    assert tg.optim.clip_grad_norm_(with_grads([3e-200, 4e-200]), 1) == pytest.approx(5e-200)


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("norm_type", [1, 2, math.inf])
def test_a_norm_that_is_not_finite_is_an_error(bad, norm_type):
    params = with_grads([1.0, 2.0], [bad, 3.0])
    with pytest.raises(FloatingPointError, match="clip_grad_norm_"):
        tg.optim.clip_grad_norm_(params, 1.0, norm_type)
    np.testing.assert_array_equal(params[0].grad.data, [1, 2])


def test_clipping_without_gradients_and_of_one_tensor():
    assert tg.optim.clip_grad_norm_([tg.ones(2, requires_grad=True)], 1.0) == 0.0
    (p,) = with_grads([3.0, 4.0])
    assert tg.optim.clip_grad_norm_(p, 50.0) == pytest.approx(5.0)
    np.testing.assert_array_equal(p.grad.data, [3, 4])
    for arguments in ((-1.0,), (math.nan,), (1.0, 0)):
        with pytest.raises(ValueError, match="clip_grad_norm_"):
            tg.optim.clip_grad_norm_(p, *arguments)


def test_a_gradient_in_read_only_memory_is_replaced():
    (p,) = with_grads([3.0, 4.0])
    memory = np.array([3.0, 4.0])
    memory.flags.writeable = False
    p.grad = tg.Tensor(memory)
    tg.optim.clip_grad_norm_(p, 1.0)
    np.testing.assert_allclose(p.grad.data, [0.6, 0.8], rtol=1e-6)
    np.testing.assert_array_equal(memory, [3, 4])
