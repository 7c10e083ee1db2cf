"""Transforms: closed forms, each against the others and against differences, nesting without
confusion, kinds of data, structures, and what they must leave alone."""

from __future__ import annotations

import contextlib
import math
from collections import namedtuple

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tinygrad_edu as tg
from tinygrad_edu import grad, hessian, hvp, jacobian, jvp, value_and_grad, vjp
from tinygrad_edu.compiler import trace
from tinygrad_edu.scalar import Value

seeds = st.integers(0, 2**32 - 1)
Pair = namedtuple("Pair", "a b")


def drawn(seed, *shapes):
    rng = np.random.default_rng(seed)
    return [rng.uniform(0.3, 1.5, shape) for shape in shapes]


def smooth(w, x):
    """(2, 3), (3,) -> (2,): curved in both inputs and between them."""
    return tg.tanh(w @ x) * tg.exp(-0.3 * (w * w).sum(axis=1)) + tg.sin(x).sum()


def energy(w, x):
    return (smooth(w, x) ** 3).sum()


# ----------------------------------------------------------------------------------- closed forms


@given(x=st.floats(-3, 3))
def test_derivatives_of_any_order_of_a_number(x):
    """d^n/dx^n of x**5 + sin(2x), as Python floats."""
    f = lambda x: x * x * x * x * x + tg.sin(2 * x)  # noqa: E731
    wanted = [
        5 * x**4 + 2 * math.cos(2 * x),
        20 * x**3 - 4 * math.sin(2 * x),
        60 * x**2 - 8 * math.cos(2 * x),
        120 * x + 16 * math.sin(2 * x),
        120 + 32 * math.cos(2 * x),
    ]
    for nth in wanted:
        f = grad(f)
        found = f(x)
        assert type(found) is float and found == pytest.approx(nth, rel=1e-12, abs=1e-12)


@given(seed=seeds)
def test_a_quadratic_form(seed):
    """x^T A x: gradient (A + A^T) x, Hessian A + A^T, H v and J v without it."""
    a, x, v = drawn(seed, (4, 4), (4,), (4,))
    f = lambda x: x @ a @ x  # noqa: E731
    both = a + a.T
    np.testing.assert_allclose(grad(f)(x), both @ x, rtol=1e-13)
    np.testing.assert_allclose(hessian(f)(x), both, rtol=1e-13)
    np.testing.assert_allclose(hvp(f, x, v), both @ v, rtol=1e-13)
    np.testing.assert_allclose(jacobian(lambda x: a @ x)(x), a, rtol=1e-15)
    value, moved = jvp(f, (x,), (v,))
    assert float(value) == pytest.approx(x @ a @ x)
    assert float(moved) == pytest.approx(x @ both @ v)


def test_the_shapes_are_jaxs():
    x, y = np.ones((2, 3)), np.ones(4)
    f = lambda x, y: x[:, :, None] * y * y  # noqa: E731
    assert jacobian(f)(x, y).shape == (2, 3, 4, 2, 3)
    assert [j.shape for j in jacobian(f, argnums=(0, 1))(x, y)] == [(2, 3, 4, 2, 3), (2, 3, 4, 4)]
    assert hessian(f, argnums=1)(x, y).shape == (2, 3, 4, 4, 4)
    blocks = hessian(lambda x, y: f(x, y).sum(), argnums=(0, 1))(x, y)
    assert [[b.shape for b in row] for row in blocks] == [
        [(2, 3, 2, 3), (2, 3, 4)],
        [(4, 2, 3), (4, 4)],
    ]
    assert jacobian(f)(x, np.ones(0)).shape == (2, 3, 0, 2, 3)
    assert grad(lambda x: x.sum())(np.ones((0, 2))).shape == (0, 2)


# --------------------------------------------------------------------- against one another, numbers


@given(seed=seeds)
def test_all_transforms_tell_one_story(seed):
    """u^T J from vjp, J v from jvp, J from jacobian; H v from hvp, H from hessian."""
    w, x, u, dw, dx = drawn(seed, (2, 3), (3,), (2,), (2, 3), (3,))
    jw, jx = jacobian(smooth, argnums=(0, 1))(w, x)
    out, pull = vjp(smooth, w, x)
    gw, gx = pull(u)
    np.testing.assert_allclose(gw, np.einsum("o,oij->ij", u, jw), rtol=1e-11)
    np.testing.assert_allclose(gx, u @ jx, rtol=1e-11)
    pushed_out, pushed = jvp(smooth, (w, x), (dw, dx))
    np.testing.assert_array_equal(out, pushed_out)
    np.testing.assert_allclose(pushed, np.einsum("oij,ij->o", jw, dw) + jx @ dx, rtol=1e-11)
    (hww, hwx), (hxw, hxx) = hessian(energy, argnums=(0, 1))(w, x)
    np.testing.assert_allclose(hwx, np.moveaxis(hxw, 0, -1), rtol=1e-9, atol=1e-12)
    hw, hx = hvp(energy, (w, x), (dw, dx))
    size = np.abs(hww).max() + np.abs(hxx).max()
    np.testing.assert_allclose(
        hw, np.einsum("ijkl,kl->ij", hww, dw) + hwx @ dx, rtol=1e-10, atol=1e-12 * size
    )
    np.testing.assert_allclose(
        hx, np.einsum("ikl,kl->i", hxw, dw) + hxx @ dx, rtol=1e-10, atol=1e-12 * size
    )


@given(seed=seeds)
def test_they_are_the_numeric_derivatives(seed):
    w, x, dw, dx = drawn(seed, (2, 3), (3,), (2, 3), (3,))
    h = 1e-5
    above, below = smooth(w + h * dw, x + h * dx), smooth(w - h * dw, x - h * dx)
    np.testing.assert_allclose(
        jvp(smooth, (w, x), (dw, dx))[1], (above - below) / (2 * h), rtol=1e-7, atol=1e-8
    )
    g = grad(energy, argnums=(0, 1))
    above, below = g(w + h * dw, x + h * dx), g(w - h * dw, x - h * dx)
    for found, up, down in zip(hvp(energy, (w, x), (dw, dx)), above, below):
        np.testing.assert_allclose(found, (up - down) / (2 * h), rtol=1e-6, atol=1e-7)
    numeric = tg.testing.numerical_gradient(energy, (w, x))
    for found, wanted in zip(g(w, x), numeric):
        np.testing.assert_allclose(found, wanted, rtol=1e-8, atol=1e-9)


@given(seed=seeds)
def test_transforms_pass_gradcheck_themselves(seed):
    """Each derivative, as a function of Tensors, has right derivatives of its own."""
    w, x, v = drawn(seed, (2, 3), (3,), (3,))
    for f in (
        lambda w, x: grad(energy, argnums=1)(w, x),
        lambda w, x: jacobian(smooth, argnums=1)(w, x),
        lambda w, x: jvp(lambda x: smooth(w, x), (x,), (tg.Tensor(v),))[1],
        lambda w, x: vjp(smooth, w, x)[1](x[:2])[0],
        lambda w, x: hvp(lambda x: energy(w, x), x, tg.Tensor(v)),
    ):
        assert tg.testing.gradcheck(f, [w, x], eps=2e-4)


# ------------------------------------------------------------------------------- nesting, closures


@pytest.mark.parametrize("kind", [float, np.array, tg.Tensor, tg.tensor])
def test_no_perturbation_confusion(kind):
    """The classics: d/dx (x d/dy (x + y)) = 1, d/dx d/dy xy = 1, for any kind of data."""
    one, two = kind(1.0), kind(2.0)

    def pushed(f):
        return lambda x: jvp(lambda y: f(x, y), (one,), (one,))[1]

    assert float(grad(lambda x: x * grad(lambda y: x + y)(one))(two)) == 1
    assert float(grad(lambda x: grad(lambda y: x * y)(one))(two)) == 1
    assert float(grad(lambda x: x * grad(lambda y: x * y)(x))(two)) == 4
    assert float(grad(lambda x: x * grad(lambda y: x * y)(3.0))(two)) == 4
    assert float(grad(pushed(lambda x, y: x * y * y))(two)) == 2
    assert float(grad(lambda x: hvp(lambda y: x * x * y * y, one, one))(two)) == 8
    assert float(grad(lambda x: x * pushed(lambda x, y: x + y)(x))(two)) == 1
    assert float(jvp(lambda x: x * pushed(lambda x, y: x + y)(x), two, one)[1]) == 1


def test_a_derivative_of_an_inner_jvp_is_no_longer_in_the_graph():
    one = tg.tensor(1.0)
    found = grad(lambda x: jvp(lambda y: x * y * y, (one,), (one,))[1])(one)
    assert found.item() == 2 and not found.requires_grad and found.op is None


def test_the_same_tensor_inside_and_outside_is_two_variables():
    x = tg.Tensor(np.array(3.0), requires_grad=True)
    assert grad(lambda y: x * y)(x).item() == 3, "x in the closure is a constant"
    out = grad(lambda y: x * y * y)(x) * x  # 2 x y x at y = x: 2 x**3
    out.backward()
    assert x.grad.item() == 6 * 9


def test_gradients_flow_on_to_backward():
    """A gradient penalty: the square of an input gradient, differentiated for the weights."""
    w, x = (tg.Tensor(a, requires_grad=True) for a in drawn(0, (2, 3), (3,)))
    for kind in (x, x.detach()):
        w.grad = x.grad = None
        (grad(energy, argnums=1)(w, kind) ** 2).sum().backward()
        expected = tg.testing.numerical_gradient(
            lambda w: (grad(energy, argnums=1)(w, x.data) ** 2).sum(), w.data
        )
        np.testing.assert_allclose(w.grad.data, expected, rtol=1e-7, atol=1e-8)
        assert (x.grad is not None) == (kind is x)


def test_a_vjp_remembers_and_can_be_pulled_again():
    x = np.array([1.0, 2.0])
    out, pull = vjp(lambda x: (x * x, x.sum()), x)
    for u in ((np.ones(2), np.array(0.0)), (np.zeros(2), np.array(1.0)), (np.ones(2), 2.0)):
        (found,) = pull(u)
        np.testing.assert_array_equal(found, 2 * x * u[0] + u[1])
    x[:] = 0  # the pulled gradients are nobody's memory
    np.testing.assert_array_equal(found, [4, 6])


@pytest.mark.parametrize("quiet", [False, True])
def test_nothing_is_left_behind(quiet):
    """No `.grad` is written, no graph freed; under no_grad the results are the same, and not
    recorded."""
    w, x = (tg.Tensor(a, requires_grad=True) for a in drawn(1, (2, 3), (3,)))
    before = (w * 2).sum()
    scaled = x * 2  # a graph made outside, through which no inner differentiation goes
    plain = [a.data.copy() for a in (w, x)]
    expected = hessian(energy, argnums=1)(*plain)
    v = np.ones(3)
    with tg.no_grad() if quiet else contextlib.nullcontext():
        results = [
            hessian(energy, argnums=1)(w, x),
            hvp(lambda x: energy(w, x), x, v),
            value_and_grad(energy)(w, x)[0],
            jvp(lambda x: energy(w, x), x, v)[1],
            vjp(energy, w, scaled)[1](1.0)[0],
        ]
        assert tg.graph.recording() is not quiet
    np.testing.assert_allclose(results[0].data, expected, rtol=1e-12)
    np.testing.assert_allclose(results[1].data, expected @ v, rtol=1e-12)
    assert [r.requires_grad for r in results] == [not quiet] * 5
    assert w.grad is None and x.grad is None
    before.backward()
    scaled.sum().backward()
    np.testing.assert_array_equal(w.grad.data, np.full((2, 3), 2))
    np.testing.assert_array_equal(x.grad.data, np.full(3, 2))


def test_derivatives_are_linear_in_vectors_that_are_recorded_too():
    """u and v may be variables of an outer differentiation: d/du <u^T J, v> = J v."""
    w, x, u, v = drawn(2, (2, 3), (3,), (2,), (3,))
    x = tg.Tensor(x)
    rows = jacobian(lambda x: smooth(w, x))(x).data
    bend = hessian(lambda x: energy(w, x))(x).data
    for result, vector, weights, wanted in (
        (lambda u: vjp(lambda x: smooth(w, x), x)[1](u)[0], u, v, rows @ v),
        (lambda v: jvp(lambda x: smooth(w, x), x, v)[1], v, u, u @ rows),
        (lambda v: hvp(lambda x: energy(w, x), x, v), v, v, bend @ v),
    ):
        vector = tg.Tensor(vector, requires_grad=True)
        (result(vector) * weights).sum().backward()
        np.testing.assert_allclose(vector.grad.data, wanted, rtol=1e-11)


def test_a_derivative_can_be_traced():
    """Into a program that is right for other numbers too."""
    (w, x, other) = drawn(3, (2, 3), (3,), (3,))
    for f in (
        lambda x: grad(energy, argnums=1)(w, x),
        lambda x: hvp(lambda x: energy(w, x), x, np.ones(3)),
        lambda x: jvp(lambda x: smooth(w, x), x, np.ones(3))[1],
    ):
        np.testing.assert_allclose(trace(f, [x]).run(other)[0], f(other), rtol=1e-12)


def test_a_freed_graph_outside_does_not_matter():
    x = tg.Tensor(np.array([1.0, 2.0]), requires_grad=True)
    y = x * x
    y.sum().backward()
    np.testing.assert_array_equal(grad(lambda z: (z * y).sum())(np.ones(2)), [1, 4])


def test_an_error_in_the_function_leaves_no_trace():
    def broken(x):
        raise KeyError("mine")

    with tg.no_grad():
        with pytest.raises(KeyError, match="mine"):
            grad(broken)(1.0)
        assert not tg.graph.recording()
    assert tg.graph.recording() and type(grad(lambda x: x * 2)(1.0)) is float


# ---------------------------------------------------------------------------------- kinds and trees


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_results_are_of_the_kind_of_the_inputs(dtype):
    x = np.array([1.0, 2.0], dtype)
    f = lambda x: (x * x).sum()  # noqa: E731
    for given_x, kind in ((x, np.ndarray), (tg.Tensor(x), tg.Tensor)):
        found = [
            *value_and_grad(f)(given_x),
            *jvp(f, given_x, given_x),
            hvp(f, given_x, x),
            hessian(f)(given_x),
            vjp(f, given_x)[0],
            vjp(f, given_x)[1](1)[0],
        ]
        assert [type(r) for r in found] == [kind] * 8
        assert {r.dtype for r in found} == {np.dtype(dtype)}
    value, (gx, gs, gt) = value_and_grad(lambda x, s, t: (x * s * t).sum(), (0, 1, 2))(
        x, 3, tg.Tensor(x)
    )
    assert [type(r) for r in (value, gx, gs, gt)] == [tg.Tensor, np.ndarray, float, tg.Tensor]
    assert gs == 5 and type(value_and_grad(lambda s: s * s)(3)[0]) is float


def test_structures_come_back_as_they_went_in():
    x = np.array([1.0, 2.0])
    tree = {"w": [x, 3.0], "b": (None, Pair(2 * x, 1.0))}

    def f(t):
        (w, s), (_, pair) = t["w"], t["b"]
        return (w * s * pair.a).sum() * pair.b

    g = grad(f)(tree)
    assert list(g) == ["w", "b"] and type(g["w"]) is list and g["b"][0] is None
    np.testing.assert_array_equal(g["w"][0], 6 * x)
    assert g["w"][1] == 10 and type(g["w"][1]) is float
    assert type(g["b"][1]) is Pair and g["b"][1].b == 30
    np.testing.assert_array_equal(g["b"][1].a, 3 * x)
    rows = jacobian(lambda t: {"y": t["a"] * t["b"], "n": t["a"].sum()})({"a": x, "b": 2.0})
    np.testing.assert_array_equal(rows["y"]["a"], 2 * np.eye(2))
    np.testing.assert_array_equal(rows["y"]["b"], x)
    np.testing.assert_array_equal(rows["n"]["a"], [1, 1])
    assert rows["n"]["b"] == 0
    value, moved = jvp(lambda t: [t["a"] * t["b"]], ({"a": x, "b": 2.0},), ({"b": 1.0, "a": x},))
    np.testing.assert_array_equal(moved[0], 3 * x)
    second = hessian(lambda t: (t["a"] * t["a"] * t["b"]).sum())({"a": x, "b": 2.0})
    np.testing.assert_array_equal(second["a"]["b"], 2 * x)
    product = hvp(f, (tree,), (tree,))[0]  # df/ds has degree 3 in the rest, so H t is 3 df/ds
    assert product["w"][1] == pytest.approx(30) and type(product["b"][1]) is Pair


def test_what_does_not_depend_has_zeros():
    x, y = np.ones((2, 3), np.float32), np.ones(4)
    for f in (lambda x, y: 3.0, lambda x, y: y.sum(), lambda x, y: tg.argmax(x).data * y.sum()):
        g = grad(f)(x, y)
        assert g.dtype == np.float32 and g.shape == (2, 3) and not g.any()
    assert grad(lambda x: 3)(2.0) == 0.0
    assert hvp(lambda x: x.sum(), x, x).tolist() == np.zeros((2, 3)).tolist()
    assert jvp(lambda x: y, (x,), (x,))[1].tolist() == [0] * 4
    assert hessian(lambda y: y.sum())(y).tolist() == np.zeros((4, 4)).tolist()
    assert grad(lambda x: x.detach().sum())(x).tolist() == np.zeros((2, 3)).tolist()


def test_has_aux():
    x = np.array([1.0, 2.0])
    f = lambda x: ((x * x).sum(), {"y": 3 * x, "name": "it"})  # noqa: E731
    g, aux = grad(f, has_aux=True)(x)
    np.testing.assert_array_equal(g, 2 * x)
    assert type(aux["y"]) is np.ndarray and aux["name"] == "it"
    (value, aux), g = value_and_grad(f, has_aux=True)(tg.Tensor(x))
    assert value.item() == 5 and not aux["y"].requires_grad
    out, pull, aux = vjp(f, x, has_aux=True)
    out, moved, aux = jvp(f, (x,), (x,), has_aux=True)
    assert float(moved) == 10
    rows, aux = jacobian(lambda x: (x * x, x), has_aux=True)(x)
    np.testing.assert_array_equal(rows, np.diag(2 * x))
    with pytest.raises(TypeError, match="must return a pair"):
        grad(lambda x: x.sum(), has_aux=True)(x)


def test_arguments_by_name_and_from_the_end():
    f = lambda x, y, *, power: x * y**power  # noqa: E731
    assert grad(f, argnums=-1)(2.0, 3.0, power=2) == 12
    assert grad(f, argnums=(1, 0))(2.0, 3.0, power=2) == (12, 9)
    assert grad(f).__name__ == "grad(<lambda>)"


def test_gradients_share_no_memory():
    x, y = np.ones(3), np.ones(3)
    gx, gy = grad(lambda x, y: (x + y).sum(), argnums=(0, 1))(x, y)
    u = np.ones(3)
    (pulled,) = vjp(lambda x: x.reshape(3), x)[1](u)
    gx += 1
    pulled += 1
    assert gy.tolist() == [1, 1, 1] == u.tolist() and x.tolist() == [1, 1, 1]


# ----------------------------------------------------------------------------------------- refusals


@pytest.mark.parametrize(
    "call, error, words",
    [
        (lambda: grad(lambda x: x)(np.ones(3)), ValueError, r"grad: f returned shape \(3,\)"),
        (lambda: grad(lambda x: (x, x))(1.0), ValueError, "grad: f returned 2 results"),
        (lambda: grad(lambda x: None)(1.0), ValueError, "grad: f returned 0 results"),
        (lambda: hvp(lambda x: x, np.ones(2), np.ones(2)), ValueError, "hvp: f returned shape"),
        (lambda: grad(lambda x: "text")(1.0), TypeError, "grad: f returned 'text'"),
        (lambda: grad(lambda x: tg.argmax(x))(np.ones(3)), TypeError, "dtype int64"),
        (lambda: grad(lambda x: x)(np.arange(3)), TypeError, "dtype int64"),
        (lambda: grad(lambda x: x)(np.ones(3, np.float16)), TypeError, "float16"),
        (lambda: grad(lambda x: x)(tg.tensor([1, 2])), TypeError, "Tensor of dtype int64"),
        (lambda: grad(lambda x: x)(True), TypeError, "True"),
        (lambda: grad(lambda x: x)("text"), TypeError, "'text'"),
        (lambda: grad(lambda x: x)(Value(1.0)), TypeError, "Value"),
        (
            lambda: grad(lambda x: x, argnums=1)(1.0),
            TypeError,
            "argnums=1, but f was called with 1",
        ),
        (lambda: grad(lambda x: x, argnums=(0, -2))(1.0), TypeError, "argnums"),
        (lambda: vjp(lambda x: x, np.ones(3))[1](np.ones(2)), ValueError, r"cotangent of shape"),
        (lambda: vjp(lambda x: (x, x), 1.0)[1](1.0), TypeError, r"structure \(\*, \*\), got \*"),
        (lambda: vjp(lambda x: x, 1.0)[1](1j), TypeError, "cotangent of dtype complex128"),
        (lambda: jvp(lambda x: x, (np.ones(3),), (np.ones(2),)), ValueError, "tangent of shape"),
        (lambda: jvp(lambda x: x, (1.0,), (1.0, 2.0)), TypeError, "jvp: tangents: expected"),
        (lambda: jvp(lambda x: x, ({"a": 1.0},), ({"b": 1.0},)), TypeError, "{'a': \\*}"),
        (lambda: hvp(lambda x: x * x, (1.0,), (None,)), TypeError, "hvp: tangents"),
    ],
)
def test_what_is_refused(call, error, words):
    with pytest.raises(error, match=words):
        call()
