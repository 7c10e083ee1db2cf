"""The C kernels against their formulas in NumPy: forward and gradient, every instruction set,
dtype, layout and size.

Where there are no C kernels the same tests compare the formulas with themselves, which costs little
and proves nothing."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from strategies import differentiable, elementwise, name, numbers, rows, samples

import tinygrad_edu as tg
from tinygrad_edu import kernels
from tinygrad_edu.errors import ShapeError
from tinygrad_edu.kernels import reference
from tinygrad_edu.op import OPS
from tinygrad_edu.testing import LAYOUTS

DTYPES = [np.float32, np.float64]
SIZES = [*range(71), 1001, 70_001]  # around every vector width, and enough for several threads

# The formula of a row whose kernel has another name, or that NumPy has under none.
FORMULAS = {"gelu_exact": reference.gelu, "hardtanh": reference.hardtanh}
KERNEL_ROWS = rows(
    lambda op: (
        elementwise(op)
        and op.arity == 1
        and differentiable(op)
        and (hasattr(reference, op.name) or hasattr(np, op.name) or op.name in FORMULAS)
    )
)


def formula_of(op):
    return FORMULAS.get(op.name) or getattr(reference, op.name, None) or getattr(np, op.name)


def ulp_distance(got, exact, dtype):
    """How many units in the last place of `dtype` lie between `got` and the exact number (a float64
    array)."""
    unit = np.spacing(np.maximum(np.abs(exact), np.finfo(dtype).tiny).astype(dtype)).astype(
        np.float64
    )
    return np.abs(got.astype(np.float64) - exact) / unit


# What a composite adds to the 2 ulp of its functions: a product and a sum more. Against NumPy in
# float64 both sides err.
LIMIT = {np.float32: 4, np.float64: 8}
# tan, log_sigmoid, erf and gelu pass through numbers that cancel near a zero of the function, where
# an ulp is small; there an absolute error of an ulp of 1 is allowed.


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("op", KERNEL_ROWS, ids=name)
def test_forward_kernel_is_the_formula(op, dtype, isa):
    """Within LIMIT units in the last place (float32: of the formula in float64), over the row's
    domain, for every size."""
    rng = np.random.default_rng(0)
    formula = formula_of(op)
    for n in SIZES:
        x = numbers(rng, op.domain[0], (n,)).astype(dtype)
        got = op.forward(x, **op.defaults)
        exact = np.asarray(formula(x.astype(np.float64), **op.defaults), np.float64)
        assert got.dtype == dtype and got.shape == x.shape
        wrong = (ulp_distance(got, exact, dtype) > LIMIT[dtype]) & (
            np.abs(got - exact) > np.finfo(dtype).eps
        )
        assert not wrong.any(), (
            f"{op.name}({x[wrong][0]!r}) = {got[wrong][0]!r}, formula {exact[wrong][0]!r}"
        )


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("op", [op for op in KERNEL_ROWS if op.kernel_vjp], ids=name)
def test_gradient_kernel_is_the_formula(op, dtype, isa):
    """g f'(x) by the kernel equals the row's formula on arrays to a few roundings, for every
    size."""
    rng = np.random.default_rng(1)
    eps = np.finfo(dtype).eps
    for n in SIZES:
        x = numbers(rng, op.domain[0], (n,)).astype(dtype)
        g, out = rng.normal(size=n).astype(dtype), op.forward(x, **op.defaults)
        (got,) = op.kernel_vjp(g, out, (x,), op.defaults, (True,), None)
        wanted = op.vjps[0](
            g.astype(np.float64), out.astype(np.float64), x.astype(np.float64), **op.defaults
        )
        assert got.dtype == dtype and got.shape == x.shape
        np.testing.assert_allclose(got, wanted, rtol=32 * eps, atol=32 * eps)


@pytest.mark.parametrize("op", rows(lambda op: op.kernel_vjp), ids=name)
@given(data=st.data())
def test_gradient_kernels_give_what_the_engine_passes_on_unseen(op, data):
    """For each input that wants one a gradient of its shape and dtype, None for the others; also
    where one input has another dtype than the rest."""
    drawn, params = data.draw(samples(op))
    params = {**op.defaults, **params}
    floating = [i for i, x in enumerate(drawn) if x.dtype.kind == "f"]
    for narrow in ((), floating, *([i] for i in floating)):
        inputs = [x.astype(np.float32) if i in narrow else x for i, x in enumerate(drawn)]
        inputs += [None] * (len(op.inputs) - len(inputs))
        made = op.forward(*inputs, **params)
        out, stash = made if op.stash else (made, None)
        for wanting in (floating, *([i] for i in floating)):
            needs = [i in wanting for i in range(len(inputs))]
            results = op.kernel_vjp(np.ones_like(out), out, inputs, params, needs, stash)
            if results is NotImplemented:
                continue
            assert [result is not None for result in results] == needs
            for i in wanting:
                assert type(results[i]) is np.ndarray
                assert (results[i].shape, results[i].dtype) == (inputs[i].shape, inputs[i].dtype)


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("op", KERNEL_ROWS, ids=name)
def test_layout_changes_nothing(op, dtype, layout, isa):
    """The same numbers lying differently give the same bits, forward and backward, and nobody
    writes into them. (NumPy's own loops, where there is no kernel, differ by a rounding between
    layouts.)"""
    rng = np.random.default_rng(2)
    x = numbers(rng, op.domain[0], (5, 3, 7)).astype(dtype)
    g = rng.normal(size=x.shape).astype(dtype)
    laid_x, laid_g = LAYOUTS[layout](x), LAYOUTS[layout](g)
    clean_x, clean_g = (np.array(a, dtype, order="C") for a in (laid_x, laid_g))
    results = []
    for a, b in ((clean_x, clean_g), (laid_x, laid_g)):
        t = tg.Tensor(a, requires_grad=True)
        out = op.function(t)
        out.backward(b)
        results.append((out.data, t.grad.data))
    roundings = 0 if op.kernel_vjp else 8 * np.finfo(dtype).eps
    for clean, laid in zip(*results):
        np.testing.assert_allclose(laid, clean, rtol=roundings, atol=0, strict=True)
    np.testing.assert_array_equal(laid_x, clean_x)
    np.testing.assert_array_equal(laid_g, clean_g)


# ------------------------------------------------------------------------------------- reductions


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(
    "shape, axis",
    [
        ((0,), None),
        ((), None),
        ((1,), 0),
        ((7,), None),
        ((70_001,), None),
        ((33, 65), 0),
        ((33, 65), 1),
        ((5, 6, 7), 1),
        ((5, 6, 7), (0, 1)),
        ((5, 6, 7), (0, 2)),
        ((5, 6, 7), (1, 2)),
        ((5, 6, 7), -1),
        ((3, 0, 4), 1),
        ((3, 0, 4), 0),
        ((1, 1), (0, 1)),
    ],
    ids=str,
)
@pytest.mark.parametrize("keepdims", [False, True])
def test_sum_and_max_are_numpys(shape, axis, keepdims, dtype, isa):
    rng = np.random.default_rng(0)
    x = rng.normal(size=shape).astype(dtype)
    got = kernels.sum(x, axis=axis, keepdims=keepdims)
    exact = np.sum(x.astype(np.float64), axis=axis, keepdims=keepdims)
    size = np.sum(np.abs(x.astype(np.float64)), axis=axis, keepdims=keepdims)
    assert got.dtype == dtype and got.shape == exact.shape
    assert (np.abs(got - exact) <= np.log2(x.size + 2) * 2 * np.finfo(dtype).eps * size).all()
    if x.size:
        np.testing.assert_array_equal(
            kernels.max(x, axis=axis, keepdims=keepdims),
            np.max(x, axis=axis, keepdims=keepdims),
            strict=True,
        )


def test_max_of_nothing_is_refused_and_of_nan_is_nan(isa):
    with pytest.raises(ValueError):
        tg.max(np.zeros((0, 3)), axis=0)
    for n in (1, 5, 40, 1000):
        x = np.zeros(n)
        x[n // 2] = np.nan
        assert np.isnan(tg.max(x)) and np.isnan(tg.max(x[:, None] + np.zeros(3), axis=0)).all()


@pytest.mark.parametrize("axis", [2, -3, (0, 0), 1.5, "0"])
@pytest.mark.parametrize("row", ["sum", "mean", "max", "min", "logsumexp", "argmax"])
def test_an_axis_that_is_not_there_is_refused(row, axis, isa):
    with pytest.raises((ValueError, TypeError, IndexError)):
        OPS[row].function(tg.ones((2, 3)), axis=axis)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("row", ["softmax", "log_softmax"])
@pytest.mark.parametrize(
    "shape", [(1, 1), (3, 7), (5, 10), (4, 33), (2, 3, 65), (1, 1000), (0, 3), (3, 0)], ids=str
)
def test_softmax_kernels_are_the_formula(row, shape, dtype, isa):
    rng = np.random.default_rng(0)
    x, g = (rng.normal(size=shape).astype(dtype) * 3 for _ in range(2))
    exact = getattr(reference, row)(x.astype(np.float64), axis=-1) if x.size else np.zeros(shape)
    eps = np.finfo(dtype).eps
    t = tg.Tensor(x, requires_grad=True)
    out = OPS[row].function(t)
    np.testing.assert_allclose(out.data, exact, rtol=16 * eps, atol=16 * eps)
    out.backward(g)
    wanted = OPS[row].vjps[0](g.astype(np.float64), exact, x, axis=-1)
    np.testing.assert_allclose(
        t.grad.data, wanted, rtol=64 * eps, atol=64 * eps * np.abs(wanted).max(initial=1)
    )


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", [(1, 1), (5, 3), (17, 10), (3, 33), (200, 100)], ids=str)
@pytest.mark.parametrize("smoothing", [0.0, 0.2])
def test_cross_entropy_kernel_is_the_formula(shape, smoothing, dtype, isa):
    rng = np.random.default_rng(0)
    logits, target = rng.normal(size=shape).astype(dtype) * 4, rng.integers(0, shape[1], shape[0])
    g = rng.normal(size=shape[0]).astype(dtype)
    t = tg.Tensor(logits, requires_grad=True)
    loss = OPS["cross_entropy_classes"].function(
        t, target, label_smoothing=smoothing, reduction="none"
    )
    loss.backward(g)
    eps, x = np.finfo(dtype).eps, logits.astype(np.float64)
    np.testing.assert_allclose(
        loss.data, reference.cross_entropy_rows(x, target, smoothing), rtol=16 * eps, atol=64 * eps
    )
    rows_of = reference.target_distribution(target, shape[1], smoothing, np.float64)
    np.testing.assert_allclose(
        t.grad.data,
        g[:, None] * (reference.softmax(x, axis=1) - rows_of),
        rtol=64 * eps,
        atol=64 * eps,
    )


# --------------------------------------------------------------------------------------- matrices


def product_error(got, a, b):
    """The error of a product in units of what rounding may do: (k + 2) eps |a| |b|."""
    a, b = a.astype(np.float64), b.astype(np.float64)
    bound = (a.shape[-1] + 2) * np.finfo(got.dtype).eps * (np.abs(a) @ np.abs(b))
    return (np.abs(got - a @ b) / np.maximum(bound, np.finfo(np.float64).tiny)).max(initial=0)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(
    "m, n, k",
    [
        (1, 1, 1),
        (2, 3, 5),
        (7, 9, 8),
        (16, 16, 16),
        (17, 33, 65),
        (31, 1, 70),
        (1, 31, 70),
        (5, 70, 1),
        (100, 101, 102),
        (129, 257, 300),
        (0, 3, 4),
        (3, 0, 4),
        (3, 4, 0),
    ],
    ids=str,
)
def test_matmul_is_numpys_in_all_transposed_forms(m, n, k, dtype, isa):
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(m, k)).astype(dtype), rng.normal(size=(k, n)).astype(dtype)
    for left in (
        a,
        np.asfortranarray(a),
        LAYOUTS["strided"](a),
        np.hstack([a, a])[:, :k],
        LAYOUTS["reversed"](a),
        np.asfortranarray(np.vstack([a, a]))[: len(a)],
        LAYOUTS["misaligned"](a),
    ):
        for right in (
            b,
            np.asfortranarray(b),
            LAYOUTS["misaligned"](b),
            np.vstack([b, b]).T[:, :k].T,
        ):
            got = kernels.matmul(left, right)
            assert got.dtype == dtype and got.shape == (m, n)
            assert product_error(got, a, b) <= 1


def test_matmul_of_one_row_repeated(isa):
    """Steps of 0, which no kernel reads."""
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(1, 9)), rng.normal(size=(9, 1))
    got = kernels.matmul(np.broadcast_to(a, (4, 9)), np.broadcast_to(b, (9, 5)))
    np.testing.assert_allclose(got, np.full((4, 5), (a @ b).item()), rtol=1e-14)


@pytest.mark.parametrize(
    "as_given", [np.ndarray.tolist, np.asmatrix, lambda x: x[:, ::-1][:, ::-1]]
)
@pytest.mark.filterwarnings("ignore:the matrix subclass")
def test_what_is_no_plain_array_is_taken_as_one(as_given, isa):
    """Lists, and subclasses of arrays, which C is handed and does not read."""
    x, w = np.arange(6.0).reshape(2, 3), np.arange(12.0).reshape(4, 3)
    for got in (
        kernels.matmul(as_given(x), as_given(np.array(w.T))),
        kernels.linear(as_given(x), as_given(w), None, activation=None),
        kernels.linear(x, w, [0.0] * 4, activation=None),
    ):
        np.testing.assert_array_equal(got, x @ w.T)


def test_matrices_that_do_not_fit_are_refused_however_large_their_product():
    tall = np.broadcast_to(np.float32(1), (10**9, 3))
    wide = np.broadcast_to(np.float32(1), (10**9, 4))
    for a, b in ((tall, wide.T), (np.ones((2, 3)), np.ones((4, 5)))):
        with pytest.raises(ShapeError, match="inner dimensions differ"):
            kernels.matmul(a, b)
    with pytest.raises(ShapeError, match="last axis"):
        kernels.linear(tall, wide, None, activation=None)


def placed(x, offset):
    """A copy of `x` whose numbers begin so many bytes behind the beginning of a cache line."""
    memory = np.empty(x.nbytes + 128, np.uint8)
    start = -memory.ctypes.data % 64 + offset
    copy = memory[start : start + x.nbytes].view(x.dtype).reshape(x.shape)
    copy[...] = x
    return copy


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(
    "m, n, k",
    [(1, 300, 33), (3, 140, 64), (300, 2, 70), (20, 20, 20), (5, 560, 515), (30, 560, 515)],
    ids=str,
)
def test_the_bits_of_a_product_do_not_depend_on_where_the_arrays_begin(m, n, k, dtype, isa):
    """Columns before the first whole vector go another way, where that is faster."""
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(m, k)).astype(dtype), rng.normal(size=(k, n)).astype(dtype)
    products = [
        (kernels.matmul, a, b),
        (lambda x, y: kernels.matmul(x, y.T), a, np.array(b.T)),
        (lambda x, y: kernels.matmul(x.T, y), np.array(a.T), b),
        (lambda x, y: kernels.linear(x, y, None, activation="tanh"), a, np.array(b.T)),
    ]
    for product, x, y in products:
        wanted = product(placed(x, 0), placed(y, 0))
        for offset in (16, 48, 64 - a.itemsize):
            np.testing.assert_array_equal(product(placed(x, offset), placed(y, offset)), wanted)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(
    "left, right",
    [
        ((4,), (4,)),
        ((4,), (4, 3)),
        ((2, 4), (4,)),
        ((5, 2, 4), (4, 3)),
        ((5, 2, 4), (5, 4, 3)),
        ((1, 2, 4), (5, 4, 3)),
        ((5, 1, 2, 4), (3, 4, 3)),
        ((4,), (5, 4, 3)),
        ((5, 2, 4), (4,)),
        ((2, 4), (5, 4, 3)),
        ((0, 2, 4), (4, 3)),
        ((2, 0, 4), (2, 4, 3)),
        ((2, 3, 0), (2, 0, 4)),
    ],
    ids=str,
)
def test_matmul_of_stacks_and_vectors_is_numpys(left, right, dtype, isa):
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=left).astype(dtype), rng.normal(size=right).astype(dtype)
    for lay in LAYOUTS.values() if 0 not in left + right else ():
        x, y = lay(a), lay(b)
        np.testing.assert_allclose(
            kernels.matmul(x, y), np.matmul(np.array(x), np.array(y)), rtol=1e-4, atol=1e-5
        )
    turned = np.array(np.swapaxes(b, -1, -2) if b.ndim > 1 else b, order="C")
    y = np.swapaxes(turned, -1, -2) if b.ndim > 1 else turned
    np.testing.assert_allclose(kernels.matmul(a, y), np.matmul(a, b), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("activation", [None, "relu", "sigmoid", "tanh"])
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(
    "shape, n_out",
    [
        ((1, 1), 1),
        ((5, 3), 4),
        ((17, 33), 10),
        ((2, 3, 8), 7),
        ((9,), 5),
        ((128, 64), 96),
        ((0, 3), 2),
    ],
    ids=str,
)
@pytest.mark.parametrize("bias", [True, False])
def test_linear_kernel_is_the_formula(shape, n_out, activation, dtype, bias, isa):
    """Output and all three gradients, in float64 arithmetic within rounding of the dtype."""
    rng = np.random.default_rng(0)
    x, w = rng.normal(size=shape), rng.normal(size=(n_out, shape[-1]))
    b, g = (rng.normal(size=n_out) if bias else None), rng.normal(size=(*shape[:-1], n_out))
    results = []
    for kind in (dtype, np.float64):
        leaves = [
            None if a is None else tg.Tensor(a.astype(dtype).astype(kind), requires_grad=True)
            for a in (x, w, b)
        ]
        if kind is dtype:
            out = tg.linear(*leaves, activation=activation)
        else:
            out = leaves[0] @ tg.transpose(leaves[1])
            out = out if b is None else out + leaves[2]
            out = out if activation is None else getattr(tg, activation)(out)
        out.backward(g.astype(dtype).astype(kind))
        results.append([out.data, *(leaf.grad.data for leaf in leaves if leaf is not None)])
    for got, wanted in zip(*results):
        size = 4 * (shape[-1] + x.size // shape[-1] + 8) * np.finfo(dtype).eps
        assert got.dtype == dtype
        np.testing.assert_allclose(
            got, wanted, rtol=size, atol=size * np.abs(wanted).max(initial=0)
        )


@pytest.mark.skipif(kernels.linear.vjp is None, reason="there are no C kernels")
@pytest.mark.parametrize("layout", ["contiguous", "misaligned"])
@pytest.mark.parametrize(
    "which, shape", [(0, (6, 4)), (0, (3, 2, 4)), (1, (4, 2)), (1, (8,)), (2, (2,)), (2, (2, 2))]
)
def test_the_gradient_of_linear_reads_no_more_than_there_is(which, shape, layout, isa):
    """A shape that was set, behind the back of the graph, between forward and backward."""
    rng = np.random.default_rng(0)
    arrays = [LAYOUTS[layout](rng.normal(size=size)) for size in ((3, 8), (4, 8), (4,))]
    out = kernels.linear(*arrays, activation=None)
    arrays[which] = LAYOUTS[layout](np.resize(arrays[which], shape))
    found = kernels.linear.vjp(out, out, arrays, {"activation": None}, [True] * 3, None)
    assert found is NotImplemented


@pytest.mark.parametrize("odd", [0, 1, 2])
@pytest.mark.parametrize("dtype, other", [(np.float32, np.float64), (np.float64, np.float32)])
def test_linear_of_two_dtypes_is_numpys(odd, dtype, other):
    """One array of another dtype than the others: the result is NumPy's, each gradient that of its
    input."""
    rng = np.random.default_rng(0)
    arrays = [rng.normal(size=shape).astype(dtype) for shape in ((3, 40), (20, 40), (20,))]
    arrays[odd] = arrays[odd].astype(other)
    x, weight, bias = arrays
    leaves = [tg.Tensor(a, requires_grad=True) for a in arrays]
    out = tg.linear(*leaves)
    wanted = x @ weight.T + bias
    assert out.dtype == wanted.dtype == np.float64
    np.testing.assert_allclose(out.data, wanted, rtol=1e-5, atol=1e-5)
    out.sum().backward()
    for leaf, exact in zip(
        leaves, (np.ones((3, 20)) @ weight, np.ones((20, 3)) @ x, np.full(20, 3))
    ):
        assert leaf.grad.dtype == leaf.dtype
        np.testing.assert_allclose(leaf.grad.data, exact, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    "wanted",
    [(True, False, False), (False, True, False), (False, False, True), (False, True, True)],
)
def test_linear_computes_only_the_gradients_that_are_wanted(wanted, isa):
    arrays = [np.ones((3, 4)), np.ones((2, 4)), np.ones(2)]
    leaves = [tg.Tensor(a, requires_grad=need) for a, need in zip(arrays, wanted)]
    tg.linear(*leaves, activation="tanh").sum().backward()
    assert tuple(leaf.grad is not None for leaf in leaves) == wanted


# ---------------------------------------------------------------------------------------- threads


def test_the_bits_do_not_depend_on_the_number_of_threads(isa):
    """A training step large enough to be shared out, with 1, 2 and 5 threads."""

    def step():
        rng = np.random.default_rng(0)
        model = tg.nn.MLP(300, [200, 10], rng=0)
        optimizer = tg.optim.Adam(model.parameters())
        loss = tg.nn.functional.cross_entropy(
            model(tg.Tensor(rng.normal(size=(500, 300)).astype(np.float32))),
            rng.integers(0, 10, 500),
        )
        loss.backward()
        optimizer.step()
        return [
            loss.data.tobytes(),
            *(p.data.tobytes() for p in model.parameters()),
            *(p.grad.data.tobytes() for p in model.parameters()),
        ]

    before = kernels.info()["threads"]
    try:
        runs = []
        for n in (1, 2, 5):
            kernels.set_num_threads(n)
            runs.append(step())
    finally:
        kernels.set_num_threads(before)
    assert runs[0] == runs[1] == runs[2]


@pytest.mark.parametrize("n", [0, -1, 1.5, "2", True, None, 10**9])
def test_a_bad_number_of_threads_is_refused(n):
    with pytest.raises(ValueError, match="set_num_threads"):
        tg.set_num_threads(n)


def test_an_instruction_set_that_is_not_there_is_refused():
    with pytest.raises(ValueError, match="not available"):
        kernels.use_isa("sse9")
