"""Points and forms that no domain of a row describes: zeros in a product, a loss at its joint, an
einsum by its letters. Each is compared with NumPy, a closed form, or finite differences."""

from __future__ import annotations

import math

import numpy as np
import pytest

import tinygrad_edu as tg
from tinygrad_edu.compiler import trace
from tinygrad_edu.nn import functional as F
from tinygrad_edu.testing import gradcheck, gradgradcheck

ZEROS = np.array([[1.0, 2, 3, 4], [0.0, 2, 3, 4], [0.0, 2, 0, 4], [0.0, 0, 0, 4]])

EINSUMS = [
    ("ij,jk->ik", (2, 3), (3, 4)),
    ("ij,jk", (2, 3), (3, 4)),
    ("ij,jk->ik", (2, 1), (3, 4)),
    ("ij->ji", (2, 3)),
    ("ij->", (2, 3)),
    ("ii", (3, 3)),
    ("ii->i", (3, 3)),
    ("iij,jk->ik", (3, 3, 4), (4, 2)),
    ("i,j->ij", (2,), (3,)),
    ("ij,jk,kl->li", (2, 3), (3, 4), (4, 5)),
    ("ab,ab,ab->a", (2, 3), (2, 3), (2, 3)),
    ("...i,i->...", (2, 3, 4), (4,)),
    ("...ij,...jk->...ik", (2, 1, 2, 3), (5, 3, 4)),
    ("bij,bjk->bik", (2, 2, 3), (2, 3, 4)),
]


def draw(rng, shapes):
    return [rng.normal(size=shape) for shape in shapes]


@pytest.mark.parametrize("case", EINSUMS, ids=lambda case: f"{case[0]}{len(case)}")
def test_einsum_is_numpys_with_both_derivatives_and_replays(case, rng):
    letters, *shapes = case
    arrays = draw(rng, shapes)

    def function(*operands):
        return tg.einsum(letters, *operands)

    np.testing.assert_allclose(function(*arrays), np.einsum(letters, *arrays), rtol=1e-12)
    gradcheck(function, arrays)
    gradgradcheck(function, arrays)
    others = draw(rng, shapes)
    replayed = trace(function, arrays).run(*others)[0]
    np.testing.assert_allclose(replayed, np.einsum(letters, *others), rtol=1e-12)


@pytest.mark.parametrize("letters", ["ij,jk->im", "i->ij", "ij->ii", "ij,jk", "i j k", "ij,,j", ""])
def test_an_einsum_that_means_nothing_is_refused(letters):
    with pytest.raises((ValueError, TypeError), match="einsum"):
        tg.einsum(letters, np.ones((2, 3)))


@pytest.mark.parametrize("row", range(len(ZEROS)))
def test_prod_with_zeros_has_exact_derivatives(row):
    gradcheck(tg.prod, [ZEROS[row]])
    gradgradcheck(tg.prod, [ZEROS[row]])


def test_the_third_derivative_of_a_product_of_zeros_is_one():
    x = tg.Tensor(np.zeros(3), requires_grad=True)
    tg.prod(x).backward(create_graph=True)
    for i in (0, 1):
        gradient, x.grad = x.grad, None
        gradient[i].backward(create_graph=True)
    np.testing.assert_array_equal(x.grad.data, [0, 0, 1])


@pytest.mark.parametrize("delta", [0.5, 2.0])
def test_huber_is_quadratic_inside_and_linear_outside(delta):
    difference = np.array([-3.0, -delta, -0.1, 0.0, 0.1, delta, 3.0])
    x = tg.Tensor(difference, requires_grad=True)
    loss = F.huber_loss(x, np.zeros(7), delta=delta, reduction="none")
    inside = np.abs(difference) <= delta
    expected = np.where(inside, difference**2 / 2, delta * (np.abs(difference) - delta / 2))
    np.testing.assert_allclose(loss.data, expected, rtol=1e-15)
    loss.sum().backward()
    np.testing.assert_allclose(x.grad.data, np.clip(difference, -delta, delta), rtol=1e-15)


@pytest.mark.parametrize(
    "f, x, expected",
    [
        (tg.norm, [0.0, 0.0], [0, 0]),
        (lambda x: tg.norm(x, ord=3), [0.0, 0.0], [0, 0]),
        (lambda x: tg.norm(x, ord=0.5), [0.0, 2.0], [0, 1]),
        (tg.std, [2.0, 2.0, 2.0], [0, 0, 0]),
        (lambda x: tg.norm(x, ord=math.inf), [3.0, -3.0, 1.0], [0.5, -0.5, 0]),
        (lambda x: tg.xlogy(x, np.zeros(2)).sum(), [0.0, 0.0], [0, 0]),
    ],
    ids=["norm 0", "norm 3 of 0", "norm 1/2", "std of equals", "norm inf tie", "xlogy(0, 0)"],
)
def test_what_the_convention_says_at_a_kink(f, x, expected):
    leaf = tg.Tensor(np.array(x), requires_grad=True)
    f(leaf).backward()
    np.testing.assert_array_equal(leaf.grad.data, expected)


def test_binary_cross_entropy_is_finite_at_certain_probabilities():
    """A logarithm is taken to be at least -100, as PyTorch does."""
    p = tg.Tensor(np.array([0.0, 1.0, 1.0, 0.0]), requires_grad=True)
    loss = F.binary_cross_entropy(p, np.array([0.0, 1.0, 0.0, 1.0]), reduction="none")
    np.testing.assert_allclose(loss.data, [0, 0, 100, 100])
    loss.sum().backward()
    assert np.isfinite(p.grad.data).all()


@pytest.mark.parametrize("sections", [2, [1, 3], 4])
def test_split_and_concatenate_are_inverse(sections, rng):
    x = rng.normal(size=(3, 4))
    parts = tg.split(x, sections, 1)
    for part, expected in zip(parts, np.split(x, sections, 1), strict=True):
        np.testing.assert_array_equal(part, expected)
    gradcheck(lambda x: tg.concatenate(tg.split(x * x, sections, 1), 1), [x])


@pytest.mark.parametrize("classes, n", [([-1], 3), ([3], 3), ([0], None), ([0], 0), ([0.5], 3)])
def test_one_hot_refuses_what_is_no_class(classes, n):
    with pytest.raises((IndexError, ValueError, TypeError), match="one_hot"):
        tg.one_hot(np.array(classes), n_classes=n)


def test_a_loss_refuses_an_unknown_parameter_when_it_is_made():
    with pytest.raises(TypeError, match="nonsense"):
        tg.nn.MSELoss(nonsense=1)
    with pytest.raises(TypeError, match="delta"):
        tg.nn.CrossEntropyLoss(delta=1)
