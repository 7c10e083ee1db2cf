"""Every row of the table: its gradient is the derivative, its forward is NumPy's, and it keeps the
conventions.

Nothing here names an operation that the table could name: a new row is tested by being there.
"""

from __future__ import annotations

import dis

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from strategies import as_function, call, differentiable, elementwise, name, rows, samples

import tinygrad_edu as tg
from tinygrad_edu import row as row_module
from tinygrad_edu.domains import Reals, cases
from tinygrad_edu.testing import gradcheck, gradgradcheck

# Rows that NumPy's complex numbers follow exactly, so that a complex step gives the derivative to
# the last digits.
ANALYTIC = {
    "negative",
    "square",
    "reciprocal",
    "add",
    "subtract",
    "multiply",
    "divide",
    "exp",
    "expm1",
    "log",
    "log2",
    "log10",
    "sqrt",
    "rsqrt",
    "sin",
    "cos",
    "tan",
    "arcsin",
    "arctan",
    "sinh",
    "cosh",
    "tanh",
    "arcsinh",
    "arctanh",
    "sigmoid",
    "reshape",
    "transpose",
    "swapaxes",
    "moveaxis",
    "expand_dims",
    "squeeze",
    "broadcast_to",
    "concatenate",
    "stack",
    "getitem_basic",
    "spread",
    "getitem_advanced",
    "matmul",
    "sum",
}


@pytest.mark.parametrize("op", rows(differentiable), ids=name)
@given(data=st.data())
def test_vjp_is_the_derivative(op, data):
    """<v, vjp(u)> = <u, J v> in float64 for drawn inputs, shapes, layouts and upstream layouts;
    exactly, where a complex step can tell."""
    inputs, params = data.draw(samples(op))
    gradcheck(as_function(op, params), inputs, complex_step=op.name in ANALYTIC)


@pytest.mark.parametrize("op", rows(differentiable), ids=name)
@given(data=st.data())
def test_vjp_is_the_derivative_in_float32(op, data):
    """The same to the accuracy of float32, and the gradient is float32."""
    inputs, params = data.draw(samples(op, np.float32))
    gradcheck(as_function(op, params), inputs)


@pytest.mark.parametrize("op", rows(differentiable), ids=name)
@given(data=st.data())
def test_second_derivative_is_the_derivative_of_the_first(op, data):
    inputs, params = data.draw(samples(op))
    gradgradcheck(as_function(op, params), inputs)


@pytest.mark.parametrize("op", rows(lambda op: not op.differentiable), ids=name)
@given(data=st.data())
def test_row_without_vjp_does_not_record(op, data):
    inputs, params = data.draw(samples(op))
    out = call(op, [tg.Tensor(x, requires_grad=x.dtype.kind == "f") for x in inputs], params)
    assert not out.requires_grad


@pytest.mark.parametrize("op", rows(lambda op: elementwise(op) and hasattr(np, op.numpy)), ids=name)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@given(data=st.data())
def test_forward_is_numpys(op, dtype, data):
    """Within 4 units in the last place of the NumPy function of the same name, on drawn layouts."""
    inputs, params = data.draw(samples(op, dtype))
    expected = getattr(np, op.numpy)(*(np.array(x) for x in inputs))
    got = call(op, [tg.Tensor(x) for x in inputs], params).data
    assert got.dtype == expected.dtype and got.shape == expected.shape
    if expected.dtype.kind == "f":
        np.testing.assert_array_max_ulp(got, expected, 4, dtype=dtype)
    else:
        np.testing.assert_array_equal(got, expected)


@pytest.mark.parametrize("op", rows(differentiable), ids=name)
@given(data=st.data())
def test_mixed_dtypes_return_each_gradient_in_its_own(op, data):
    """float32 with float64 promotes, and every gradient comes back in the dtype of its input."""
    inputs, params = data.draw(samples(op))
    leaves = [
        tg.Tensor(x.astype(np.float32) if i % 2 else x, requires_grad=True)
        if x.dtype.kind == "f"
        else tg.Tensor(x)
        for i, x in enumerate(inputs)
    ]
    out = call(op, leaves, params)
    out.backward(np.ones(out.shape, out.dtype))
    for leaf in leaves:
        if leaf.grad is not None:
            assert (leaf.grad.shape, leaf.grad.dtype) == (leaf.shape, leaf.dtype)


@pytest.mark.parametrize("op", rows(differentiable), ids=name)
@given(data=st.data())
def test_what_the_formula_does_not_read_may_be_overwritten(op, data):
    """Neither formulas nor kernels read an input that is marked as not read: filling it with NaN
    changes no gradient."""
    inputs, params = data.draw(samples(op, layout=st.just("contiguous")))

    def gradients(spoil):
        leaves = [tg.Tensor(x.copy(), requires_grad=x.dtype.kind == "f") for x in inputs]
        out = call(op, leaves, params)
        spoil(leaves, out)
        out.backward(np.full(out.shape, 0.5, out.dtype))
        return [leaf.grad.data for leaf in leaves if leaf.grad is not None]

    def fill(leaves, out):
        for i, leaf in enumerate(leaves):
            if not op.reads_input(i) and not (op.view and op.reads_output):
                leaf.data[...] = np.nan if leaf.dtype.kind == "f" else 0
        if not op.reads_output and not op.view:
            out.data[...] = np.nan

    for clean, spoiled in zip(gradients(lambda leaves, out: None), gradients(fill)):
        np.testing.assert_array_equal(clean, spoiled)


def _numbers_read(code) -> set:
    """The names that the code loads for more than to ask what shape or dtype they have."""
    names = set()
    steps = list(dis.get_instructions(code))
    for step, following in zip(steps, [*steps[1:], steps[-1]]):
        if step.opname.startswith("LOAD"):
            loaded = step.argval if isinstance(step.argval, tuple) else (step.argval,)
            asks = following.opname == "LOAD_ATTR" and following.argval in (
                "shape",
                "dtype",
                "ndim",
            )
            names.update(loaded[:-1] if asks else loaded)
    return names


FORMULAS = [
    (op, f) for op in rows(differentiable) for f in (*(op.vjps or ()), op.joint) if f is not None
]


@pytest.mark.parametrize("op, formula", FORMULAS, ids=lambda x: getattr(x, "name", ""))
def test_the_underscore_in_a_formula_is_honest(op, formula):
    """An argument that starts with an underscore is not read by the formula, any other is."""
    code = formula.__code__
    inputs = code.co_varnames[: code.co_argcount - (len(op.defaults) if op.arity else 0)]
    assert code.co_varnames[0] == "g"
    for argument in inputs[1:]:
        reads = argument in _numbers_read(code)
        assert reads != argument.startswith("_"), f"{op.name}: {argument}"


@pytest.mark.parametrize(
    "make, what",
    [
        (row_module.unary, "domain"),
        (row_module.binary, "domain"),
        (row_module.row, "domain"),
        (row_module.variadic, "domain"),
        (lambda *a, **k: row_module.row(*a, domain=Reals(0, 1), **k), "cases"),
    ],
)
def test_a_row_that_cannot_be_tested_says_what_to_add_and_where(make, what):
    with pytest.raises(ValueError, match=rf"softsign: .*{what}=.*domains\.py"):
        make("softsign", lambda x: x, vjp=None)
    assert "softsign" not in row_module.OPS


def test_every_row_has_somewhere_to_be_tested():
    """`register` cannot be passed by: each row has a domain for every input, and cases where it
    does not broadcast."""
    for op in rows():
        assert all(d is not None for d in op.domain) and op.domain, (
            f"{op.name}: add domain=Reals(low, high) to its row"
        )
        assert op.cases is None or len(op.cases) > 0, f"{op.name}: add cases=cases(...) to its row"


def test_a_row_of_a_known_name_is_refused():
    with pytest.raises(ValueError, match="row of this name"):
        row_module.unary("tanh", np.tanh, vjp=None, domain=Reals(0, 1))


def test_a_new_row_is_function_method_and_gradient(monkeypatch):
    """What CONTRIBUTING promises: a row is all that it takes."""
    monkeypatch.setattr(row_module, "OPS", {})
    softsign = row_module.unary(
        "softsign",
        lambda x: x / (1 + np.abs(x)),
        vjp=lambda g, _out, x: g / tg.square(1 + tg.abs(x)),
        domain=Reals(-4, 4, avoid=(0,)),
    )
    gradcheck(softsign, [np.array([-2.0, 0.5, 3.0])])
    gradgradcheck(softsign, [np.array([-2.0, 0.5, 3.0])])


def test_cases_are_written_shapes_first():
    (one,) = cases(((3, 4), (4,), {"axis": 0}))
    assert one.shapes == ((3, 4), (4,)) and one.params == {"axis": 0}


@pytest.mark.parametrize("op", rows(), ids=name)
def test_unknown_keywords_are_refused_by_name(op):
    case = op.cases[0] if op.cases else None
    arrays = [np.ones(shape) for shape in (case.shapes if case else [(2,)] * op.arity)]
    with pytest.raises(TypeError, match="nonsense"):
        call(op, arrays, {"nonsense": 1})
