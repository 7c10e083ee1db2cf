"""HIPS autograd: a second opinion on every gradient and every second derivative.

autograd differentiates NumPy by rules and code of its own, so both are exact up to rounding and
agree to twelve digits, where finite differences see six. The inputs are those of the rows' own
tests; what a row computes is said in autograd_definitions.py, or is NumPy's function of that name.
"""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from oracle import oracle
from strategies import call, differentiable, name, rows, samples

import tinygrad_edu as tg
from tinygrad_edu.op import OPS
from tinygrad_edu.testing.check import away_from_zero

autograd = oracle("autograd")

import autograd.numpy as anp  # noqa: E402
from autograd_definitions import DEFINITIONS  # noqa: E402


def counterpart(op):
    """autograd's function of the row's inputs and parameters."""
    return DEFINITIONS.get(op.name) or getattr(anp, op.numpy, None)


def ours(op, inputs, params, u, vs):
    """The vjp at u by kernels, by formulas that are recorded, and the derivatives of <v, vjp(u)> by
    the inputs and by u."""
    leaves = [tg.Tensor(x, requires_grad=x.dtype.kind == "f") for x in inputs]
    ends = [leaf for leaf in leaves if leaf.requires_grad]
    call(op, leaves, params).backward(u)
    by_kernels = _taken(ends)
    u = tg.Tensor(u, requires_grad=True)
    call(op, leaves, params).backward(u, create_graph=True)
    recorded = _taken(ends)
    projection = sum((g * tg.Tensor(v)).sum() for g, v in zip(recorded, vs))
    if projection.requires_grad:
        projection.backward()
    found = (by_kernels, recorded, _taken([*ends, u]))
    return [[g.data for g in gradients] for gradients in found]


def _taken(leaves):
    """Their gradients, which they lose; zeros where none was recorded, as for an index."""
    gradients = [tg.zeros_like(x) if x.grad is None else x.grad for x in leaves]
    for x in leaves:
        x.grad = None
    return gradients


def theirs(function, inputs, params, u, vs):
    """The vjp and the second derivatives by autograd."""
    places = [i for i, x in enumerate(inputs) if x.dtype.kind == "f"]

    def of_floats(floats):
        whole = list(inputs)
        for i, x in zip(places, floats):
            whole[i] = x
        return function(*whole, **params)

    def projection(floats, u):
        gradients = autograd.make_vjp(of_floats)(floats)[0](u)
        return sum(anp.sum(g * v) for g, v in zip(gradients, vs))

    floats = tuple(inputs[i] for i in places)
    first = autograd.make_vjp(of_floats)(floats)[0](u)
    by_floats, by_u = autograd.grad(lambda both: projection(*both))((floats, u))
    return list(first), [*by_floats, by_u]


# autograd says so of floor, step and their kin, and gives 0, which is what is wanted.
@pytest.mark.filterwarnings("ignore:Output seems independent of input:UserWarning")
@pytest.mark.parametrize("op", rows(differentiable), ids=name)
@given(data=st.data())
def test_derivatives_are_autograds(op, data):
    """To 1e-12 of the largest number: a few thousand roundings, of which no row has so many."""
    if counterpart(op) is None:
        pytest.skip(f"autograd has no {op.name}: write it into DEFINITIONS in its words")
    inputs, params = data.draw(samples(op))
    rng = np.random.default_rng(0)
    function, params = counterpart(op), {**op.defaults, **params}
    u = away_from_zero(rng, np.shape(function(*inputs, **params)))
    vs = [away_from_zero(rng, x.shape) for x in inputs if x.dtype.kind == "f"]
    first, second = theirs(function, inputs, params, u, vs)
    found = zip(("vjp", "recorded vjp", "second"), ours(op, inputs, params, u, vs))
    for (what, mine), other in zip(found, (first, first, second)):
        for place, (a, b) in enumerate(zip(mine, other, strict=True)):
            tolerance = 1e-12 * max(1.0, np.abs(b).max(initial=0))
            message = f"{op.name}, {what}, {place}"
            np.testing.assert_allclose(a, b, rtol=0, atol=tolerance, err_msg=message)


def test_no_definition_is_left_of_a_row_that_is_no_more():
    assert not DEFINITIONS.keys() - OPS.keys()
