"""Where a derivative does not exist, a row's documented convention decides; ties share the
gradient, and it sums to 1."""

from __future__ import annotations

import math

import numpy as np
import pytest
from strategies import call

import tinygrad_edu as tg
from tinygrad_edu.nn import functional as F
from tinygrad_edu.op import OPS
from tinygrad_edu.scalar import Value

INF, NAN = math.inf, math.nan


@pytest.fixture(autouse=True)
def quiet():
    """NumPy warns of the infinities that are meant here; the kernels do not."""
    with np.errstate(all="ignore"):
        yield


# (row, inputs, parameters, gradient of each input): the upstream gradient is 1 throughout.
CONVENTIONS = [
    ("abs", [[0.0, -0.0]], {}, [[0, 0]]),
    ("sign", [[0.0, 2.0]], {}, [[0, 0]]),
    ("floor", [[1.0, 1.5]], {}, [[0, 0]]),
    ("ceil", [[1.0, 1.5]], {}, [[0, 0]]),
    ("round", [[0.5, 1.0]], {}, [[0, 0]]),
    ("step", [[0.0, -1.0]], {}, [[0, 0]]),
    ("relu", [[0.0, -0.0, 1.0, -1.0]], {}, [[0, 0, 1, 0]]),
    ("leaky_relu", [[0.0, 1.0]], {"negative_slope": 0.25}, [[0.25, 1]]),
    ("elu", [[0.0, 1.0]], {"alpha": 0.5}, [[0.5, 1]]),
    ("selu", [[0.0]], {}, [[1.0507009873554805 * 1.6732632423543772]]),
    ("hardtanh", [[-1.0, 1.0, 0.5, 2.0]], {}, [[0, 0, 1, 0]]),
    ("clip", [[-1.0, 1.0, 0.0, 2.0, -2.0]], {"low": -1, "high": 1}, [[1, 1, 1, 0, 0]]),
    ("clip", [[-1.0, 2.0]], {"low": None, "high": None}, [[1, 1]]),
    ("maximum", [[1.0, 2.0, 0.0], [1.0, 1.0, 3.0]], {}, [[0.5, 1, 0], [0.5, 0, 1]]),
    ("minimum", [[1.0, 2.0, 0.0], [1.0, 1.0, 3.0]], {}, [[0.5, 0, 1], [0.5, 1, 0]]),
    ("max", [[3.0, 3.0, 1.0]], {}, [[0.5, 0.5, 0]]),
    ("min", [[1.0, 1.0, 1.0, 2.0]], {}, [[1 / 3, 1 / 3, 1 / 3, 0]]),
    (
        "power",
        [[0.0, 0.0, 0.0, 2.0], [0.0, 2.0, 1.0, 0.0]],
        {},
        [[0, 0, 1, 0], [0, 0, 0, math.log(2)]],
    ),
    ("power", [[NAN], [0.0]], {}, [[0], [NAN]]),
    ("power", [[-2.0], [3.0]], {}, [[12], [NAN]]),
    ("maximum", [[NAN, 1.0], [1.0, NAN]], {}, [[0.5, 0.5], [0.5, 0.5]]),
    ("arctan2", [[0.0, 0.0, 1e30], [0.0, -0.0, 0.0]], {}, [[0, 0, 0], [0, 0, -1e-30]]),
    ("hypot", [[0.0, 3.0], [0.0, 4.0]], {}, [[0, 0.6], [0, 0.8]]),
    ("sqrt", [[0.0]], {}, [[INF]]),
    ("rsqrt", [[0.0]], {}, [[-INF]]),
    ("where", [[True, False], [1.0, 1.0], [2.0, 2.0]], {}, [None, [1, 0], [0, 1]]),
    ("l1_loss", [[1.0, 2.0], [1.0, 0.0]], {"reduction": "sum"}, [[0, 1], [0, -1]]),
    ("hinge_loss", [[1.0, 0.5], [1.0, 1.0]], {"reduction": "sum"}, [[0, -1], [0, -0.5]]),
    ("logsumexp", [[-INF, 0.0]], {}, [[0, 1]]),
    ("softmax", [[-INF, 0.0]], {}, [[0, 0]]),
]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(
    "row, inputs, params, expected", CONVENTIONS, ids=lambda x: x if isinstance(x, str) else ""
)
def test_the_gradient_at_a_kink_is_the_documented_one(row, inputs, params, expected, dtype, isa):
    leaves = [tg.Tensor(np.array(x, bool if isinstance(x[0], bool) else dtype)) for x in inputs]
    for leaf in leaves:
        leaf.requires_grad = leaf.dtype.kind == "f"
    out = call(OPS[row], leaves, params)
    out.backward(np.ones(out.shape, out.dtype))
    for leaf, wanted in zip(leaves, expected):
        if wanted is not None:
            np.testing.assert_allclose(leaf.grad.data, np.array(wanted, dtype), rtol=1e-6)


@pytest.mark.parametrize(
    "row, inputs, params, expected",
    [c for c in CONVENTIONS if c[0] in tg.scalar.Value.__dict__],
    ids=lambda x: str(x)[:10],
)
def test_values_follow_the_same_conventions(row, inputs, params, expected):
    op = OPS[row]
    if op.cases is not None:
        return
    for i in range(len(inputs[0])):
        values = [Value(x[i]) for x in inputs]
        call(op, values, params).backward()
        for value, wanted in zip(values, expected):
            assert value.grad == pytest.approx(wanted[i], rel=1e-12, nan_ok=True)


@pytest.mark.parametrize("row", ["maximum", "minimum"])
def test_gradients_of_a_tie_sum_to_the_upstream_gradient(row):
    x, y = (tg.Tensor(np.zeros(5), requires_grad=True) for _ in range(2))
    g = np.array([1.0, -2.0, 1e300, 3.0, INF])
    OPS[row].function(x, y).backward(g)
    np.testing.assert_array_equal(x.grad.data + y.grad.data, g)


@pytest.mark.parametrize("row", ["max", "min"])
@pytest.mark.parametrize("axis", [None, 0, 1, (0, 1)])
def test_gradients_of_equal_extremes_sum_to_one(row, axis, rng):
    x = tg.Tensor(rng.integers(0, 2, (4, 6)).astype(float), requires_grad=True)
    OPS[row].function(x, axis=axis).sum().backward()
    np.testing.assert_allclose(x.grad.data.sum(axis=axis), 1, rtol=1e-15)


@pytest.mark.parametrize("g", [INF, -INF, NAN])
@pytest.mark.parametrize("row", ["relu", "hardtanh", "floor", "step", "sign"])
def test_a_branch_not_taken_is_zero_whatever_arrives(row, g):
    """Selection, not multiplication: 0 * inf would be NaN."""
    x = tg.Tensor(np.array([-3.25]), requires_grad=True)
    OPS[row].function(x).backward(np.array([g]))
    np.testing.assert_array_equal(x.grad.data, [0])


def test_where_protects_the_branch_not_taken():
    x = tg.Tensor(np.array([0.0, 4.0]), requires_grad=True)
    tg.where(x > 0, tg.sqrt(tg.where(x > 0, x, 1)), 0).sum().backward()
    np.testing.assert_array_equal(x.grad.data, [0, 0.25])


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("logits", [[1e4, -1e4, 0], [-1e4, -1e4, -1e4], [INF, 0, 1], [-INF, 0, 1]])
def test_softmax_family_is_stable(logits, dtype, isa):
    """Logits of +-1e4 and infinite ones give finite probabilities (or exactly what the limit says)
    and no NaN gradient."""
    x = tg.Tensor(np.array([logits], dtype), requires_grad=True)
    if INF in logits:
        assert tg.logsumexp(x).item() == INF
        return
    p = tg.softmax(x)
    np.testing.assert_allclose(p.data.sum(), 1, rtol=1e-6)
    for loss in (
        F.cross_entropy(x, np.array([1])),
        tg.logsumexp(x),
        tg.softmax(x).sum(),
        tg.log_softmax(x)[0, 1],
    ):
        x.grad = None
        loss.backward()
        assert np.isfinite(loss.data).all() and np.isfinite(x.grad.data).all()


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(
    "row, limits",
    [
        ("sigmoid", [0, 0, 1, 1]),
        ("softplus", [0, 0, 1e4, INF]),
        ("log_sigmoid", [-INF, -1e4, 0, 0]),
        ("silu", [NAN, 0, 1e4, INF]),
        ("mish", [NAN, 0, 1e4, INF]),
        ("gelu_exact", [NAN, 0, 1e4, INF]),
        ("gelu_tanh", [NAN, 0, 1e4, INF]),
        ("tanh", [-1, -1, 1, 1]),
        ("elu", [-1, -1, 1e4, INF]),
        ("erf", [-1, -1, 1, 1]),
    ],
)
def test_activations_reach_their_limits(row, limits, dtype, isa):
    """At +-inf and +-1e4. x sigmoid(x) and its like are -inf * 0 = NaN at -inf, in the kernels as
    in the formulas."""
    x = tg.Tensor(np.array([-INF, -1e4, 1e4, INF], dtype), requires_grad=True)
    out = OPS[row].function(x)
    np.testing.assert_allclose(out.data, np.array(limits, dtype), atol=1e-30)
    out[1:3].sum().backward()
    assert np.isfinite(x.grad.data[1:3]).all()
    assert np.isnan(OPS[row].function(np.array([NAN], dtype))).all()
