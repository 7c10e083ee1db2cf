"""How arrays get to C: by their ids, where that is proven, or else by their addresses."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import numpy as np
import pytest
from processes import started

from tinygrad_edu import kernels
from tinygrad_edu.kernels import library
from tinygrad_edu.testing import LAYOUTS

pytestmark = pytest.mark.skipif(library.lib is None, reason="there are no C kernels")

# One of everything that the gates hand over: layouts, absent arrays, lists, classes; as bytes.
EVERYTHING = """
import sys, numpy
sys.implementation.name = sys.argv[1]
import tinygrad_edu as tg
from tinygrad_edu.kernels import library
from tinygrad_edu.testing import LAYOUTS
from tinygrad_edu.testing import LAYOUTS
F, rng, made = tg.nn.functional, numpy.random.default_rng(0), []
for dtype in numpy.float32, numpy.float64:
    def draw(*shape):
        return rng.normal(size=shape).astype(dtype)
    for lay in LAYOUTS.values():
        made += [tg.exp(lay(draw(3, 5))), tg.sum(lay(draw(3, 5)), axis=0)]
        made += [tg.matmul(lay(draw(3, 5)), lay(draw(5, 2))), tg.softmax(lay(draw(3, 5)))]
    made += [tg.matmul(draw(6, 5)[::2], draw(4, 5).T), tg.linear(draw(2, 5), draw(3, 5))]
    model = tg.nn.Sequential(
        tg.nn.Conv2d(1, 2, 3, rng=0, dtype=dtype), tg.nn.BatchNorm2d(2, dtype=dtype),
        tg.nn.MaxPool2d(2), tg.nn.AvgPool2d(2), tg.nn.Flatten(),
        tg.nn.Linear(2, 3, activation="tanh", rng=0, dtype=dtype),
    )
    for make in tg.optim.SGD, tg.optim.Adam:
        optimizer = make(model.parameters(), lr=0.1)
        loss = F.cross_entropy(model(tg.Tensor(draw(4, 1, 6, 6))), numpy.array([0, 1, 2, 1]))
        loss.backward()
        optimizer.step()
        made += [loss.data, *(p.data for p in model.parameters())]
print(library.at is id, b"".join(x.tobytes() for x in made).hex())
"""


def run(implementation):
    with started("-c", EVERYTHING, implementation) as process:
        out, errors = process.communicate()
    assert process.returncode == 0, errors
    return out.split()


def test_an_address_gives_what_an_id_gives():
    """On a Python whose ids are nothing to C the same bits come by addresses."""
    by_id, expected = run("cpython")
    by_address, got = run("another")
    assert (by_id, by_address) == (str(sys.implementation.name == "cpython"), "False")
    assert len(expected) > 1000 and got == expected


class Elsewhere:
    """A C module of a Python in which one thing in an array is not what it is here."""

    def __init__(self, wrong):
        self.wrong, self.head = wrong, None

    def tg_take_ids(self, head):
        self.head = head

    def tg_describe(self, array, found):
        library.lib.tg_describe(array, found)
        found[self.wrong] += 8


@pytest.mark.skipif(library.at is not id, reason="ids are not used")
@pytest.mark.parametrize(
    "wrong", range(7), ids=["class", "numbers", "axes", "length", "step", "dtype", "flags"]
)
def test_what_is_not_where_it_should_be_is_not_read(wrong):
    lib = Elsewhere(wrong)
    assert not library._reads_arrays(lib, library.ffi)
    assert lib.head == 0


@pytest.mark.skipif(sys.implementation.name != "cpython", reason="ids are addresses in CPython")
def test_ids_are_used_where_they_can_be():
    assert library.at is id


class Subclass(np.ndarray):
    """An array to C but for its class, which may mean something else by its numbers."""


WRITTEN = {"out": (2, 4), "y": (2, 4), "dx": (2, 3), "dw": (4, 3), "dz": (2, 4)}
READ = {
    "a": (2, 3),
    "b": (3, 4),
    "x": (2, 3),
    "w": (4, 3),
    "bias": (4,),
    "g": (2, 4),
    "made": (2, 4),
}
GATES = {
    "matmul": (("out", "a", "b"), ()),
    "dense": (("y", "x", "w", "bias"), (1,)),
    "dense_grad": (("dx", "dw", "bias", "dz", "g", "made", "x", "w"), (1,)),
}


@pytest.mark.skipif(library.at is not id, reason="ids are not used")
@pytest.mark.parametrize("name", GATES)
def test_what_does_not_fit_passes_no_gate(name):
    """One array after the other is not what it was; what a gate let pass of it, its kernel would
    misread, or write beyond."""
    names, rest = GATES[name]
    arrays = {each: np.ones((WRITTEN | READ)[each]) for each in names}

    def status(**changed):
        given = {**arrays, **changed}
        return library.gate(name)(*map(id, given.values()), *rest)

    assert status() == 0
    for each in names:
        good = arrays[each]
        smaller = good[1:].copy() if each in ("b", "bias") else good[..., 1:].copy()
        assert status(**{each: smaller}) == library.UNFIT, each
        if each in WRITTEN:  # the rest of it is what the gate in Python has made
            continue
        for wrong in (
            good.view(Subclass),
            good.astype(np.float32),
            good.astype(good.dtype.newbyteorder()),
            LAYOUTS["misaligned"](good),
            np.ones(()),
        ):
            assert status(**{each: wrong}) == library.UNFIT, (each, type(wrong), wrong.dtype)
        repeated = np.broadcast_to(np.ones(()), good.shape)
        assert status(**{each: repeated}) == library.UNFIT, each


@pytest.mark.skipif(library.at is not id, reason="ids are not used")
def test_an_activation_that_there_is_not_passes_no_gate():
    arrays = [np.ones((WRITTEN | READ)[each]) for each in GATES["dense"][0]]
    assert library.gate("dense")(*map(id, arrays), -1) == library.UNFIT


def test_all_that_c_reads_is_held_by_a_name():
    """An id keeps nothing alive: a copy made within the call would be freed before C reads it."""
    sources = Path(kernels.__file__).parent.glob("*.py")
    handed = [
        (path.name, given)
        for path in sources
        for given in re.findall(r"(?<!def )\b(?:at|at_or_null)\(([^)]*)\)", path.read_text("utf-8"))
    ]
    assert len(handed) > 20
    assert [what for what in handed if not what[1].isidentifier()] == []


def test_copies_live_until_c_is_done(rng):
    """Misaligned arrays, copied within the gate, while other memory of their size comes and
    goes."""
    x = np.frombuffer(bytearray(8 * 4096 + 1), np.uint8)[1:].view(np.float64).reshape(64, 64)
    x[...] = rng.normal(size=(64, 64))
    wanted = np.array(x)
    for _ in range(50):
        junk = [np.full((64, 64), np.nan) for _ in range(4)]
        del junk
        np.testing.assert_allclose(kernels.matmul(x, x), wanted @ wanted, rtol=1e-12, atol=1e-12)
        np.testing.assert_array_equal(
            kernels.linear(x, x, x[0], activation=None),
            kernels.linear(wanted, wanted, wanted[0], activation=None),
        )
