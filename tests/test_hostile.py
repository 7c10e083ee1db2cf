"""Hostile input into every public function: a right answer or a clear Python error; never a crash,
never a silent wrong one.

Right means: what the same numbers give as a clean array (native, aligned, contiguous, writeable).
Clear means: an error of ours, or TypeError, ValueError or IndexError."""

from __future__ import annotations

import functools
import inspect
import warnings

import numpy as np
import pytest
from strategies import call, domain_of, name, numbers, rows

import tinygrad_edu as tg
from tinygrad_edu.domains import Reals
from tinygrad_edu.dtypes import SUPPORTED
from tinygrad_edu.errors import TinygradEduError
from tinygrad_edu.scalar import Value
from tinygrad_edu.testing import LAYOUTS, lay_out

CLEAR = (TinygradEduError, TypeError, ValueError, IndexError, OverflowError, BufferError)


def far_apart(x):
    """Strides of minus half a megabyte."""
    step = 2**16
    memory = np.zeros(x.size * step, x.dtype)
    view = memory[::-step][: x.size]
    view[...] = x.reshape(-1)
    return (
        view
        if x.ndim == 1
        else np.lib.stride_tricks.as_strided(
            view,
            x.shape,
            [s // x.itemsize * -step * x.itemsize for s in np.array(x, order="C").strides],
        )
    )


# The same numbers, lying or typed differently. "nan", "inf" and "tiny" replace the numbers.
DISGUISES = {
    **{layout: functools.partial(lay_out, layout=layout) for layout in LAYOUTS},
    "far apart": far_apart,
    "read-only and swapped": lambda x: lay_out(LAYOUTS["byte-swapped"](x), "strided"),
    "list": lambda x: x.tolist(),
    "nested tuple": lambda x: tuple(x.tolist()) if x.ndim else x.item(),
    "float32": lambda x: x.astype(np.float32),
    "nan": lambda x: np.full_like(x, np.nan),
    "inf": lambda x: np.full_like(x, -np.inf),
    "tiny": lambda x: np.full_like(x, 5e-324),
    "huge": lambda x: np.full_like(x, 1e308),
    "zero": np.zeros_like,
    "integers": lambda x: np.ones(x.shape, np.int8),
    "unsigned": lambda x: np.full(x.shape, 2**64 - 1, np.uint64),
    "booleans": lambda x: np.ones(x.shape, bool),
    "record field": lambda x: np.rec.fromarrays([x, x], names="a,b")["a"],
    "memoryview": lambda x: memoryview(np.array(x, order="C")),
}

# What no operation has a meaning for, or what NumPy alone has one for.
FOREIGN = {
    "object": lambda x: np.full(x.shape, object(), object),
    "object of floats": lambda x: x.astype(object),
    "complex64": lambda x: x.astype(np.complex64) * 1j,
    "complex128": lambda x: x + 1j,
    "float16": lambda x: x.astype(np.float16),
    "longdouble": lambda x: x.astype(np.longdouble),
    "structured": lambda x: np.zeros(x.shape, [("a", "f8"), ("b", "i4")]),
    "strings": lambda x: np.full(x.shape, "one"),
    "dates": lambda x: np.zeros(x.shape, "datetime64[s]"),
    "masked": lambda x: np.ma.masked_array(x, np.ones(x.shape, bool)),
    "None": lambda x: None,
    "string": lambda x: "text",
    "bytes": lambda x: b"text",
    "dict": lambda x: {"a": 1},
    "ragged": lambda x: [[1.0], [1.0, 2.0]],
    "object()": lambda x: object(),
    "function": lambda x: np.exp,
    "type": lambda x: float,
    "complex": lambda x: 1j,
    "big integer": lambda x: 10**400,
}


@pytest.fixture(autouse=True)
def quiet():
    """inf and NaN on the way are not the subject here; NumPy's ComplexWarning (numbers lost) still
    is an error."""
    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.filterwarnings("ignore", "overflow|invalid|divide", RuntimeWarning)
        yield


def good_inputs(op):
    """(arrays, params) of the row's first case, or of two or one arrays of shape (3, 4)."""
    rng = np.random.default_rng(3)
    case = op.cases[0] if op.cases else None
    shapes = case.shapes if case else [(3, 4)] * op.arity
    return [numbers(rng, domain_of(op, i), shape) for i, shape in enumerate(shapes)], dict(
        case.params
    ) if case else {}


def attempt(op, inputs, params, recorded):
    """The output and the gradients as arrays, or the exception that was clear."""
    try:
        if not recorded:
            out = call(op, inputs, params)
            return [out[0] if op.stash else out]
        leaves = [tg.Tensor(x) for x in inputs]
        for leaf in leaves:
            leaf.requires_grad = leaf.dtype.kind == "f"
        out = call(op, leaves, params)
        assert out.dtype in SUPPORTED and out.dtype.isnative
        if not out.requires_grad:
            return [out.data]
        out.backward(np.ones(out.shape, out.dtype))
        return [out.data, *(leaf.grad.data for leaf in leaves if leaf.grad is not None)]
    except CLEAR as error:
        return error


@pytest.mark.parametrize("recorded", [False, True], ids=["plain", "recorded"])
@pytest.mark.parametrize("disguise", DISGUISES)
@pytest.mark.parametrize("op", rows(), ids=name)
def test_a_disguise_changes_no_answer(op, disguise, recorded):
    """Each input in turn in each disguise: the answer, or the refusal, is that of the clean
    array."""
    inputs, params = good_inputs(op)
    for i, x in enumerate(inputs):
        if not isinstance(domain_of(op, i), Reals):
            continue
        given = DISGUISES[disguise](x)
        if not recorded and isinstance(given, (list, tuple, memoryview)):
            continue  # plain sequences are made Tensors first
        kept = np.array(given)
        clean = np.array(kept, kept.dtype.newbyteorder("="), order="C")
        wanted = attempt(
            op,
            [*inputs[:i], given if isinstance(given, (list, tuple)) else clean, *inputs[i + 1 :]],
            params,
            recorded,
        )
        got = attempt(op, [*inputs[:i], given, *inputs[i + 1 :]], params, recorded)
        np.testing.assert_array_equal(np.array(given), kept)
        if isinstance(wanted, Exception):
            assert isinstance(got, Exception), (
                f"{op.name} accepts {disguise}, and refuses the clean array with {wanted!r}"
            )
            continue
        assert not isinstance(got, Exception), f"{op.name} refuses {disguise}: {got!r}"
        for a, b in zip(got, wanted, strict=True):
            tolerance = 16 * np.finfo(b.dtype).eps if np.asarray(b).dtype.kind == "f" else 0
            np.testing.assert_allclose(a, b, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("foreign", FOREIGN)
@pytest.mark.parametrize("op", rows(), ids=name)
def test_foreign_input_never_becomes_a_tensor(op, foreign):
    """With a Tensor beside it or around it, what has no meaning is refused; a Tensor is always of a
    supported dtype."""
    inputs, params = good_inputs(op)
    for i, x in enumerate(inputs):
        given = FOREIGN[foreign](x)
        for others in (inputs, [tg.Tensor(a, requires_grad=a.dtype.kind == "f") for a in inputs]):
            arguments = [*others[:i], given, *others[i + 1 :]]
            if op.name == "astype" and foreign.startswith("complex"):
                continue  # NumPy's own ComplexWarning says what an explicit cast loses
            try:
                out = call(op, arguments, params)
            except (*CLEAR, AttributeError):  # np.hypot(None, ...) is an AttributeError
                continue
            if isinstance(out, tg.Tensor):
                assert out.dtype in SUPPORTED, f"{op.name} made a Tensor of dtype {out.dtype}"
                assert foreign != "masked", f"{op.name} took masked entries for numbers"


@pytest.mark.parametrize("foreign", FOREIGN)
def test_foreign_data_makes_no_tensor(foreign):
    with pytest.raises(CLEAR):
        tg.Tensor(FOREIGN[foreign](np.ones(2)))


@pytest.mark.parametrize("shape", [(0,), (0, 3), (3, 0), (1, 0, 2), ()], ids=str)
@pytest.mark.parametrize("op", rows(lambda op: op.cases is None), ids=name)
def test_empty_and_0d(op, shape):
    """Nothing in, nothing out, of the right shape and dtype; a single number is no special case."""
    rng = np.random.default_rng(0)
    for dtype in (np.float32, np.float64):
        arrays = [numbers(rng, domain_of(op, i), shape) for i in range(op.arity)]
        leaves = [tg.Tensor(a.astype(dtype) if a.dtype.kind == "f" else a) for a in arrays]
        for leaf in leaves:
            leaf.requires_grad = leaf.dtype.kind == "f"
        out = op.function(*leaves)
        assert out.shape == shape and out.dtype in (dtype, np.bool_)
        if op.differentiable:
            out.sum().backward()
            assert all(leaf.grad.shape == shape and leaf.grad.dtype == dtype for leaf in leaves)


@pytest.mark.parametrize("shape", [(0, 3), (3, 0), (0, 0)], ids=str)
@pytest.mark.parametrize(
    "row", ["sum", "mean", "max", "min", "logsumexp", "softmax", "log_softmax", "argmax"]
)
def test_reductions_of_nothing(row, shape):
    """What NumPy gives (sum, and NaN means), or a ValueError; never a number from nowhere."""
    for axis in (None, 0, 1) if "softmax" not in row else (0, 1):
        try:
            got = getattr(tg, row)(tg.Tensor(np.ones(shape), requires_grad=True), axis=axis)
        except ValueError:
            continue
        if got.size:
            expected = {"sum": 0.0, "mean": np.nan, "logsumexp": -np.inf}[row]
            np.testing.assert_array_equal(got.data, np.full(got.shape, expected))
        if got.requires_grad:
            got.sum().backward()


# --------------------------------------------------------------------------------------- overlaps


@pytest.mark.parametrize(
    "op", rows(lambda op: op.arity == 2 and op.cases is None and op.differentiable), ids=name
)
def test_inputs_that_overlap_are_two_inputs(op):
    memory = np.linspace(0.6, 1.4, 12)
    views = [memory[:10], memory[2:]]
    results = []
    for arrays in (views, [v.copy() for v in views]):
        leaves = [tg.Tensor(a, requires_grad=True) for a in arrays]
        out = op.function(*leaves)
        out.backward(memory[1:11])
        results.append([out.data, *(leaf.grad.data for leaf in leaves)])
    for a, b in zip(*results):
        np.testing.assert_allclose(a, b, rtol=1e-15)


def test_matrices_that_overlap(rng):
    a = rng.normal(size=(8, 8))
    np.testing.assert_allclose(tg.matmul(a, a.T), a.copy() @ a.T.copy(), rtol=1e-12, atol=1e-13)
    np.testing.assert_allclose(
        tg.matmul(a[:4], a[2:6].T), a[:4].copy() @ a[2:6].T.copy(), rtol=1e-12, atol=1e-13
    )
    np.testing.assert_allclose(tg.linear(a, a, a[0]), a @ a.T + a[0], rtol=1e-12, atol=1e-12)


def test_assignment_between_views_of_one_array():
    x = tg.arange(6.0)
    x[1:] = x[:-1]
    assert x.tolist() == [0, 0, 1, 2, 3, 4]


@pytest.mark.parametrize(
    "make",
    [lambda w: tg.optim.SGD([w], lr=0.1, momentum=0.9), lambda w: tg.optim.Adam([w], lr=0.1)],
)
def test_an_optimizer_step_with_a_gradient_that_is_the_weight(make):
    """w.grad may be a view of w itself: the step reads before it writes, element by element."""
    results = []
    for alias in (True, False):
        memory = np.linspace(1, 2, 5)
        w = tg.Tensor(memory, requires_grad=True)
        w.grad = tg.Tensor(memory if alias else memory.copy())
        make(w).step()
        results.append(w.data.copy())
    np.testing.assert_allclose(*results, rtol=1e-15)


def test_a_read_only_weight_is_refused_not_written():
    w = tg.Tensor(lay_out(np.ones(3), "contiguous"), requires_grad=True)
    w.grad = tg.Tensor(np.ones(3))
    for optimizer in (tg.optim.SGD([w], lr=0.1), tg.optim.Adam([w])):
        with pytest.raises(ValueError, match="read-only"):
            optimizer.step()
    assert w.tolist() == [1, 1, 1]


@pytest.mark.parametrize(
    "g",
    [
        np.ones(3, np.complex128),
        np.ones(3, object),
        "text",
        None,
        [1, 2],
        np.ones((3, 1)),
        object(),
        np.ones(3, np.int64),
        LAYOUTS["byte-swapped"](np.ones(3)),
        [1.0, 2.0, 3.0],
    ],
    ids=str,
)
def test_any_upstream_gradient(g):
    x = tg.Tensor(np.ones(3), requires_grad=True)
    try:
        (x * 2.0).backward(g)
    except CLEAR:
        assert x.grad is None
        return
    np.testing.assert_array_equal(x.grad.data, 2 * np.asarray(g, float))


@pytest.mark.parametrize(
    "g",
    [
        np.ones(4),
        np.ones(2),
        np.ones((1, 3)),
        np.ones(1),
        np.ones(3, np.int64),
        np.ones(0),
        "text",
        5,
        np.ones(1000),
    ],
    ids=str,
)
@pytest.mark.parametrize("make", [tg.optim.SGD, tg.optim.Adam])
def test_a_gradient_that_does_not_fit_is_refused_by_the_step(make, g):
    """A gradient is put into place by anybody; one of another size must not make the step write
    beside the weight."""
    w, other = (tg.Tensor(np.ones(3), requires_grad=True) for _ in range(2))
    other.grad = tg.Tensor(np.ones(3))
    w.grad = tg.Tensor(g) if isinstance(g, np.ndarray) else g
    with pytest.raises((TypeError, ValueError)):
        make([other, w], lr=0.5).step()
    assert w.tolist() == [1, 1, 1] and other.tolist() == [1, 1, 1], "all or nothing"


def test_a_gradient_of_the_other_float_is_used():
    w = tg.Tensor(np.ones(3), requires_grad=True)
    w.grad = tg.Tensor(np.ones(3, np.float32))
    tg.optim.SGD([w], lr=0.5).step()
    assert w.tolist() == [0.5, 0.5, 0.5] and w.dtype == np.float64


# ------------------------------------------------------------------------------ every public name

SKIP = {
    "astype",
    "save",
    "load",
    "show_config",
    "set_num_threads",
    "manual_seed",
    "mnist",
    "fashion_mnist",
}
PUBLIC = sorted(
    {
        f"{room}.{key}": value
        for room, module in (
            ("tg", tg),
            ("functional", tg.nn.functional),
            ("nn", tg.nn),
            ("init", tg.nn.init),
            ("metrics", tg.metrics),
            ("optim", tg.optim),
            ("scalar", tg.scalar),
            ("testing", tg.testing),
        )
        for key, value in vars(module).items()
        if not key.startswith("_")
        and callable(value)
        and key not in SKIP
        and getattr(value, "__module__", "").startswith("tinygrad_edu")
    }.items()
)


# NumPy deprecates, version by version, what it makes of strange dtypes.
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("function", [value for _, value in PUBLIC], ids=[key for key, _ in PUBLIC])
def test_every_public_name_survives_everything(function):
    """One to three arguments of any kind, all alike: an answer or a clear error, and the process
    lives."""
    x = np.linspace(0.5, 1.5, 6).reshape(2, 3)
    for kind, what in {**DISGUISES, **FOREIGN}.items():
        if kind == "big integer":
            continue  # Neuron(10**400) is a long list, not a wrong one
        for n in (0, 1, 2, 3):
            try:
                made = function(*(what(x) for _ in range(n)))
                if inspect.isgenerator(made):
                    list(made)
                repr(made)
            except (*CLEAR, KeyError, NotImplementedError, AssertionError, AttributeError):
                continue


@pytest.mark.parametrize("foreign", FOREIGN)
def test_values_refuse_the_same(foreign):
    given = FOREIGN[foreign](np.ones(2))
    with pytest.raises(CLEAR):
        Value(given)
    with pytest.raises(CLEAR):
        Value(1.0) * given
