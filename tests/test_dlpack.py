"""DLPack in and out: the same memory, the same numbers, and refusals that say what to do."""

from __future__ import annotations

import numpy as np
import pytest

import tinygrad_edu as tg

DTYPES = [np.float32, np.float64, np.int8, np.uint16, np.int32, np.int64, np.bool_]
LAYOUTS = {
    "whole": lambda a: a,
    "transposed": lambda a: a.T,
    "strided": lambda a: a[:, ::2],
    "reversed": lambda a: a[::-1],
    "0-d": lambda a: a[1:2, 2:3].reshape(()),
    "empty": lambda a: a[:0],
}


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("view", LAYOUTS.values(), ids=LAYOUTS)
def test_out_and_in_share_memory(dtype, view):
    array = view(np.arange(12).reshape(3, 4).astype(dtype))
    tensor = tg.Tensor(array)
    for made in (np.from_dlpack(tensor), tg.from_dlpack(array).data, tg.from_dlpack(tensor).data):
        assert made.dtype == array.dtype and made.shape == array.shape
        np.testing.assert_array_equal(made, array)
        assert np.shares_memory(made, array) or not array.size


def test_a_write_on_one_side_is_seen_on_the_other():
    array = np.zeros(3)
    tensor = tg.from_dlpack(array)
    assert not tensor.requires_grad
    tensor[0] = 5.0
    np.from_dlpack(tensor)[1] = 6.0
    np.testing.assert_array_equal(array, [5, 6, 0])


def test_the_memory_outlives_who_lent_it():
    tensor = tg.from_dlpack(np.arange(1000.0))
    array = np.from_dlpack(tg.Tensor(np.arange(1000.0)))
    np.testing.assert_array_equal(tensor.data, array)


def test_it_says_where_it_is_and_makes_a_capsule():
    tensor = tg.ones(3)
    assert tensor.__dlpack_device__() == np.ones(3).__dlpack_device__()
    assert "dltensor" in repr(tensor.__dlpack__())


def test_a_tensor_that_requires_grad_is_refused_with_the_remedy():
    for x in (tg.ones(2, requires_grad=True), tg.ones(2, requires_grad=True) * 2):
        with pytest.raises(tg.GraphError, match=r"requires grad.*Pass t\.detach\(\)"):
            np.from_dlpack(x)
        assert np.shares_memory(np.from_dlpack(x.detach()), x.data)


def test_read_only_memory_is_refused_with_the_remedy():
    array = np.ones(2)
    array.flags.writeable = False
    x = tg.Tensor(array)
    with pytest.raises(BufferError, match=r"read-only.*tg\.tensor\(t\.numpy\(\)\)"):
        np.from_dlpack(x)
    copy = np.from_dlpack(tg.tensor(x.numpy()))
    assert copy.flags.writeable and not np.shares_memory(copy, array)


def test_what_cannot_be_taken_is_refused():
    with pytest.raises(TypeError, match=r"list has no __dlpack__.*tg\.tensor"):
        tg.from_dlpack([1.0, 2.0])
    with pytest.raises(tg.DtypeError, match="float16"):
        tg.from_dlpack(np.ones(2, np.float16))
