"""ONNX's training operators: Adam, Adagrad, and Momentum in both of its modes.

The cases of the package, and the same models run by its reference evaluator on drawn numbers, at
the first and at later steps. New weights and new state are compared. Where ONNX writes a formula
differently from PyTorch, which ours follow, the hyperparameters are translated:

    Adam        bias correction for T > 0 only, and epsilon not divided by sqrt(1 - beta2**T):
                    lr sqrt(1 - beta2**s) / (1 - beta1**s) m / (sqrt(v) + eps)
                which is ours in step s with eps / sqrt(1 - beta2**s), and for T = 0, where ONNX
                corrects nothing, with the lr that undoes the correction. s is T, but 1 for T = 0.
    Adagrad     lr / (1 + T decay), as ours in step T + 1
    Momentum    the gradient counts `beta` in the sum (1 for T = 0): a dampening of 1 - beta; ONNX
                adds the old momentum in the first step too, we from the second
    Nesterov    g + alpha v, as ours, which has no dampening there: beta must be 1, or T = 0

`norm_coefficient` is our weight_decay. Not compared: `norm_coefficient_post`, a shrinking of the
weights after the step, which AdamW makes before it; no case of ONNX uses it.
"""

from __future__ import annotations

import numpy as np
import pytest
from oracle import oracle

import tinygrad_edu as tg

onnx = oracle("onnx")

from onnx.reference import ReferenceEvaluator  # noqa: E402
from onnx_cases import node_cases  # noqa: E402

CASES = (
    "adam",
    "adam_multiple",
    "adagrad",
    "adagrad_multiple",
    "momentum",
    "momentum_multiple",
    "nesterov_momentum",
)


@pytest.fixture(scope="module")
def models():
    """{name: (model, inputs, outputs)} of the training operators."""
    return {
        case.name[len("test_") :]: (case.model, *case.data_sets[0])
        for case in node_cases()
        if case.model.graph.node[0].domain == "ai.onnx.preview.training"
    }


def adam(a, lr, t, params):
    step, beta1, beta2 = max(t, 1), a["alpha"], a["beta"]
    grown = np.sqrt(1 - beta2**step)
    if t == 0:
        lr *= (1 - beta1) / grown
    decay = a["norm_coefficient"]
    optimizer = tg.optim.Adam(params, lr, (beta1, beta2), a["epsilon"] / grown, decay)
    return optimizer, step - 1


def adagrad(a, lr, t, params):
    decay = a["norm_coefficient"]
    return tg.optim.Adagrad(params, lr, a["decay_factor"], decay, eps=a["epsilon"]), t


def momentum(a, lr, t, params):
    dampening = 1 - a["beta"] if t > 0 else 0.0
    nesterov = a["mode"] == b"nesterov"
    decay = a["norm_coefficient"]
    return tg.optim.SGD(params, lr, a["alpha"], dampening, decay, nesterov), t + 1


OPTIMIZERS = {"Adam": adam, "Adagrad": adagrad, "Momentum": momentum}


def step(node, inputs):
    """One step of ours from ONNX's inputs: the new weights, then each memory, as ONNX orders
    them."""
    a = {x.name: onnx.helper.get_attribute_value(x) for x in node.attribute}
    lr, t, *arrays = inputs
    n = len(arrays) // (4 if node.op_type == "Adam" else 3)
    weights, grads, *memories = (arrays[i : i + n] for i in range(0, len(arrays), n))
    params = [tg.tensor(x, requires_grad=True) for x in weights]
    optimizer, age = OPTIMIZERS[node.op_type](a, float(lr), int(t), params)
    state = optimizer.state_dict()
    state["age"] = np.full(n, age)
    for kind, memory in zip(optimizer.memories, memories):
        state.update({f"{kind}.{i}": x for i, x in enumerate(memory)})
    optimizer.load_state_dict(state)
    for p, g in zip(params, grads):
        p.grad = tg.tensor(g)
    optimizer.step()
    state = optimizer.state_dict()
    kept = [state[f"{kind}.{i}"] for kind in optimizer.memories for i in range(n)]
    return [p.data for p in params] + kept


def agree(ours, theirs, inputs):
    """Within 16 roundings, more than either formula has, of the largest number in the case."""
    size = max(1.0, *(float(np.abs(x).max()) for x in (*inputs, *theirs)))
    assert len(ours) == len(theirs)
    for got, wanted in zip(ours, theirs):
        assert (got.shape, got.dtype) == (wanted.shape, inputs[2].dtype)
        tolerance = 16 * np.finfo(got.dtype).eps * size
        np.testing.assert_allclose(got, wanted, rtol=0, atol=tolerance)


def test_no_case_is_left_out(models):
    assert models.keys() == set(CASES)


@pytest.mark.parametrize("name", CASES)
def test_step_is_onnx(name, models):
    model, inputs, outputs = models[name]
    agree(step(model.graph.node[0], inputs), outputs, inputs)


@pytest.mark.parametrize("t", [0, 1, 2, 7])
@pytest.mark.parametrize("name", CASES)
def test_step_is_the_evaluators_at_any_age(name, t, models, rng):
    """The same model in ONNX's own evaluator, from drawn weights, gradients and memories."""
    model, inputs, _ = models[name]
    names = [x.name for x in model.graph.input]
    drawn = [inputs[0], np.array(t, np.int64)]
    drawn += [rng.uniform(0.5, 2, x.shape).astype(np.float32) for x in inputs[2:]]
    theirs = ReferenceEvaluator(model).run(None, dict(zip(names, drawn)))
    agree(step(model.graph.node[0], drawn), theirs, drawn)
