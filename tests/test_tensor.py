"""Tensor as an array: dtypes, how it meets Python and NumPy, what it refuses and with which
words."""

from __future__ import annotations

import copy

import numpy as np
import pytest
from strategies import name, rows, values

import tinygrad_edu as tg
from tinygrad_edu.errors import DtypeError, GraphError, ShapeError
from tinygrad_edu.op import OPS

# ----------------------------------------------------------------------------------------- dtypes


@pytest.mark.parametrize(
    "data, dtype",
    [
        (1.0, np.float32),
        (1, np.int64),
        (True, np.bool_),
        ([1.0, 2.0], np.float32),
        ([1, 2], np.int64),
        ([], np.float32),
        ([1, 2.5], np.float32),
        ([True, False], np.bool_),
        ([[1.0], [2.0]], np.float32),
        (np.float64(1), np.float64),
        (np.float32(1), np.float32),
        ([np.float64(1)], np.float64),
        (np.array([1.0]), np.float64),
        (np.array([1], np.uint8), np.uint8),
        (range(3), np.int64),
    ],
)
def test_dtype_of_what_is_given(data, dtype):
    """Python numbers become float32, int64 or bool; what comes with a NumPy dtype keeps it."""
    assert tg.tensor(data).dtype == dtype and tg.Tensor(data).dtype == dtype


@pytest.mark.parametrize("scalar", [2, 2.0, True, 0.1])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_python_scalars_never_promote(scalar, dtype):
    x = tg.tensor([1.0, 2.0], dtype=dtype, requires_grad=True)
    for out in (
        x + scalar,
        scalar - x,
        x * scalar,
        scalar / x,
        x**scalar,
        tg.maximum(x, scalar),
        tg.where(True, x, scalar),
    ):
        assert out.dtype == dtype
        x.grad = None
        out.sum().backward()
        assert x.grad.dtype == dtype


def test_float32_with_float64_promotes_and_each_gradient_returns():
    a = tg.tensor([1.0], dtype=np.float32, requires_grad=True)
    b = tg.tensor([2.0], dtype=np.float64, requires_grad=True)
    out = a * b
    out.sum().backward()
    assert (out.dtype, a.grad.dtype, b.grad.dtype) == (np.float64, np.float32, np.float64)


@pytest.mark.parametrize(
    "data",
    [
        np.zeros(2, np.complex128),
        np.zeros(2, np.float16),
        np.array(["a"]),
        np.array([None]),
        np.zeros(2, np.longdouble),
        np.zeros(1, "datetime64[s]"),
        np.zeros(1, "i4,f4"),
        "text",
        None,
    ],
)
def test_other_dtypes_are_refused_by_name(data):
    for make in (tg.Tensor, tg.tensor):
        with pytest.raises(DtypeError, match="expected float32, float64, an integer type or bool"):
            make(data)


def test_integers_carry_no_gradient():
    with pytest.raises(DtypeError, match="int64"):
        tg.tensor([1, 2], requires_grad=True)
    labels = tg.tensor([1, 0])
    assert not (labels + 1).requires_grad


def test_foreign_byte_order_becomes_native():
    x = tg.Tensor(np.array([1.0, 2.0], ">f8"))
    assert x.dtype == np.float64 and x.dtype.isnative
    np.testing.assert_array_equal(x.data, [1, 2])


def test_ragged_lists_are_refused():
    with pytest.raises(ShapeError, match="ragged"):
        tg.tensor([[1.0, 2.0], [3.0]])


# ------------------------------------------------------------------------------- Python and NumPy


def test_item_len_iteration_truth_and_index():
    x = tg.tensor([[1.0, 2.0], [3.0, 4.0]])
    assert (
        len(x) == 2
        and [row.tolist() for row in x] == [[1, 2], [3, 4]]
        and x.tolist() == [[1, 2], [3, 4]]
    )
    assert x[1, 1].item() == 4 and float(x[0, 0]) == 1 and bool(tg.tensor(0.0)) is False
    assert [10, 20, 30][tg.tensor(2)] == 30
    loss = (x * tg.ones((2, 2), requires_grad=True)).mean()
    assert loss.item() == 2.5 and f"{loss:.2f}" == "2.50" and loss.requires_grad
    assert float(loss.detach()) == 2.5 and int(loss.detach()) == 2
    for single in (tg.Tensor.item, float):
        with pytest.raises(ValueError, match=r"\(2, 2\) holds 4"):
            single(x)
    with pytest.raises(ValueError, match="ambiguous"):
        bool(x)
    with pytest.raises(TypeError, match="without axes"):
        len(tg.tensor(1.0))
    with pytest.raises(TypeError, match="no index"):
        [1][tg.tensor(0.0)]


def test_numpy_functions_record():
    x = tg.tensor([0.5, 1.0], requires_grad=True)
    np.exp(x).sum().backward()
    np.testing.assert_allclose(x.grad.data, np.exp(x.data), rtol=1e-6)
    assert isinstance(np.sum(x, axis=0), tg.Tensor) and isinstance(np.reshape(x, (2, 1)), tg.Tensor)
    assert isinstance(np.concatenate([x, x]), tg.Tensor) and isinstance(np.matmul(x, x), tg.Tensor)


@pytest.mark.parametrize("left", [np.array([2.0, 3.0]), np.float64(2), np.float32(2), 2, 2.0])
def test_arrays_and_numpy_scalars_on_the_left_record(left):
    x = tg.tensor([1.0, 2.0], dtype=np.float64, requires_grad=True)
    for out, wanted in (
        (left + x, left + x.data),
        (left - x, left - x.data),
        (left * x, left * x.data),
        (left / x, left / x.data),
        (left**x, left**x.data),
        (left > x, left > x.data),
    ):
        assert isinstance(out, tg.Tensor)
        np.testing.assert_allclose(out.data, wanted)
    (left * x).sum().backward()
    np.testing.assert_array_equal(x.grad.data, np.broadcast_to(left, 2))


def test_a_matrix_on_the_left_of_matmul_records():
    w = tg.ones((2, 3), dtype=np.float64, requires_grad=True)
    out = np.ones((4, 2)) @ w
    assert isinstance(out, tg.Tensor) and out.shape == (4, 3)


@pytest.mark.parametrize(
    "call",
    [
        lambda x: np.cbrt(x),
        lambda x: np.add.reduce(x),
        lambda x: np.linalg.inv(x),
        lambda x: np.fft.fft(x),
        lambda x: np.exp(x, out=np.zeros(2)),
        lambda x: np.add(x, x, where=np.array([True, False])),
    ],
)
def test_what_numpy_can_and_we_cannot_is_refused_by_name(call):
    with pytest.raises(TypeError, match="np\\."):
        call(tg.ones(2, requires_grad=True))


def test_an_array_of_a_tensor_in_the_graph_is_refused():
    x = tg.ones(2, requires_grad=True)
    for lose in (np.asarray, lambda t: t.numpy()):
        with pytest.raises(GraphError, match=r"detach\(\)\.numpy\(\)"):
            lose(x)
    with pytest.raises(GraphError, match=r"np\.asarray.*requires grad.*t\.data to write"):
        np.asarray(x * 2)
    np.testing.assert_array_equal(np.asarray(x.detach()), [1, 1])
    np.testing.assert_array_equal(x.detach().numpy(), [1, 1])


@pytest.mark.parametrize("op", rows(lambda op: op.method), ids=name)
def test_every_method_is_the_function(op):
    case = op.cases[0] if op.cases else None
    shapes = case.shapes if case else [(3,)] * op.arity
    x, *rest = map(tg.Tensor, values(op, np.random.default_rng(0), shapes, distinct=False))
    params = case.params if case else {}
    np.testing.assert_array_equal(
        getattr(x, op.name)(*rest, **params).data, op.function(x, *rest, **params).data
    )


def test_operators_are_the_rows():
    x, y = tg.tensor([1.0, 4.0]), tg.tensor([2.0, 2.0])
    for got, wanted in (
        (x + y, [3, 6]),
        (x - y, [-1, 2]),
        (x * y, [2, 8]),
        (x / y, [0.5, 2]),
        (x**y, [1, 16]),
        (-x, [-1, -4]),
        (abs(-x), [1, 4]),
        (x == y, [0, 0]),
        (x != y, [1, 1]),
        (x < y, [1, 0]),
        (x >= y, [0, 1]),
    ):
        np.testing.assert_array_equal(got.data, wanted)


def test_tensors_are_hashable_and_compare_by_elements():
    x = tg.tensor([1.0])
    assert x in {x} and (x == x).dtype == np.bool_


@pytest.mark.parametrize(
    "key",
    [
        0,
        -1,
        slice(1, 3),
        slice(None, None, -1),
        None,
        Ellipsis,
        (0, 1),
        (slice(None), None, 2),
        np.int32(1),
        [0, 2],
        np.array([[0, 1], [2, 0]]),
        (np.array([0, 1]), np.array([1, 2])),
        np.array([True, False, True]),
        (slice(1), [0, 3]),
        (),
    ],
    ids=str,
)
def test_getitem_is_numpys(key):
    x = tg.Tensor(np.arange(12.0).reshape(3, 4), requires_grad=True)
    out = x[key]
    np.testing.assert_array_equal(out.data, x.data[key], strict=True)
    out.sum().backward()
    counts = np.zeros((3, 4))
    np.add.at(counts, key, 1)
    np.testing.assert_array_equal(x.grad.data, counts)


def test_getitem_with_tensors_as_index_and_out_of_range():
    x = tg.arange(5.0)
    assert x[tg.tensor([1, 1])].tolist() == [1, 1] and x[x > 2].tolist() == [3, 4]
    with pytest.raises(IndexError):
        x[7]
    with pytest.raises(IndexError):
        x[np.array([7])]


# --------------------------------------------------------------------------------------- messages


@pytest.mark.parametrize(
    "wrong, error, words",
    [
        (
            lambda: tg.ones((32, 784)) @ tg.ones((100, 10)),
            ShapeError,
            r"matmul: \(32, 784\) @ \(100, 10\): inner dimensions",
        ),
        (lambda: tg.ones(3) @ tg.tensor(1.0), ShapeError, "scalar"),
        (lambda: tg.ones((2, 3)).reshape(4), ShapeError, r"reshape: \(2, 3\) holds 6"),
        (lambda: tg.broadcast_to(tg.ones(3), (2, 2)), ShapeError, "broadcast_to"),
        (lambda: tg.concatenate([tg.ones((2, 2)), tg.ones((3, 3))]), ShapeError, "concatenate"),
        (lambda: tg.stack([tg.ones(2), tg.ones(3)]), ShapeError, "stack"),
        (
            lambda: tg.nn.functional.mse_loss(tg.ones((32, 1)), tg.ones(32)),
            ShapeError,
            r"mse_loss: prediction has shape \(32, 1\) and target \(32,\).*target\.reshape\(32, "
            r"1\)",
        ),
        (
            lambda: tg.ones((2, 2), requires_grad=True).sum(axis=0).backward(),
            ShapeError,
            r"\(2,\) has no single derivative",
        ),
        (
            lambda: tg.ones(2, requires_grad=True).backward(np.ones(3)),
            ShapeError,
            r"\(3,\).*\(2,\)",
        ),
        (lambda: setattr(tg.ones(2), "data", np.ones(3)), ShapeError, r"\(3,\).*\(2,\)"),
        (lambda: tg.ones(2).register_hook(print), GraphError, "does not require grad"),
        (lambda: copy.deepcopy(tg.ones(2, requires_grad=True) * 2), GraphError, "leaves"),
        (lambda: tg.relu(tg.ones(2), slope=1), TypeError, "slope"),
        (
            lambda: tg.nn.functional.cross_entropy(tg.ones((2, 3)), np.array([0, 5])),
            IndexError,
            "class 5",
        ),
        (
            lambda: tg.nn.functional.cross_entropy(tg.ones((2, 3)), np.array([0.0, 1.0])),
            DtypeError,
            "integers",
        ),
        (lambda: tg.linear(tg.ones((2, 3)), tg.ones((4, 5))), ShapeError, "weight"),
    ],
)
def test_messages_say_what_came_and_what_was_expected(wrong, error, words):
    with pytest.raises(error, match=words):
        wrong()


def test_errors_are_also_the_builtin_kind():
    with pytest.raises(ValueError):
        tg.ones((2, 3)).reshape(4)
    with pytest.raises(tg.errors.TinygradEduError):
        tg.Tensor("text")


def test_repr_shows_numbers_dtype_and_origin():
    assert repr(tg.tensor([1.0, 2.0])) == "tensor([1., 2.])"
    assert "float64" in repr(tg.tensor([1.0], dtype=np.float64))
    assert "requires_grad=True" in repr(tg.ones(1, requires_grad=True))
    assert "op=exp" in repr(tg.exp(tg.ones(1, requires_grad=True)))


def test_deepcopy_of_a_leaf_is_a_leaf_of_its_own():
    x = tg.ones(2, requires_grad=True)
    y = copy.deepcopy(x)
    y.data[0] = 5
    assert x.data[0] == 1 and y.requires_grad and y.is_leaf


# --------------------------------------------------------------------------------------- creation


def test_creation_shapes_and_dtypes():
    for made, shape, dtype in (
        (tg.zeros((2, 3)), (2, 3), np.float32),
        (tg.ones(4), (4,), np.float32),
        (tg.full((2,), 7), (2,), np.float32),
        (tg.eye(2, 3), (2, 3), np.float32),
        (tg.arange(5), (5,), np.int64),
        (tg.arange(0, 1, 0.25), (4,), np.float32),
        (tg.linspace(0, 1, 5), (5,), np.float32),
        (tg.rand(2, 3), (2, 3), np.float32),
        (tg.randn((2, 3)), (2, 3), np.float32),
        (tg.zeros_like(np.ones((2, 2))), (2, 2), np.float64),
        (tg.ones_like(tg.zeros(2)), (2,), np.float32),
        (tg.full_like(tg.zeros(2), 3.0), (2,), np.float32),
        (tg.rand_like(np.ones(3)), (3,), np.float64),
        (tg.randn_like(tg.zeros(3)), (3,), np.float32),
        (tg.randn(2, dtype=np.float64), (2,), np.float64),
    ):
        assert (made.shape, made.dtype) == (shape, dtype)


def test_manual_seed_repeats_and_rng_is_independent_of_it():
    tg.manual_seed(1)
    first = tg.randn(4).tolist()
    tg.manual_seed(1)
    assert tg.randn(4).tolist() == first
    assert tg.rand(3, rng=5).tolist() == tg.rand(3, rng=5).tolist()
    generator = np.random.default_rng(5)
    assert tg.rand(3, rng=generator).tolist() != tg.rand(3, rng=generator).tolist()
    for bad in (-1, "x", 1.5, True):
        with pytest.raises(ValueError, match="rng"):
            tg.rand(3, rng=bad)


def test_gelu_chooses_its_form():
    x = tg.tensor([1.0])
    assert tg.gelu(x).item() == OPS["gelu_exact"].function(x).item()
    assert tg.gelu(x, approximate="tanh").item() == OPS["gelu_tanh"].function(x).item()
    with pytest.raises(ValueError, match="approximate"):
        tg.gelu(x, approximate="exact")


def test_reshape_without_a_shape_is_refused():
    with pytest.raises(TypeError, match=r"reshape\(\) needs shape"):
        tg.reshape(np.ones(3))
