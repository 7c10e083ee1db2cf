"""Distances: closed forms, set arithmetic, exact geodesy, gradients against differences, and what
is agreed on where points coincide."""

from __future__ import annotations

import math
from decimal import Decimal, localcontext

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tinygrad_edu as tg
from tinygrad_edu.distances import cosine, great_circle, jaccard, minkowski

seeds = st.integers(0, 2**32 - 1)
STEP = 2e-4  # these functions have large fifth derivatives near 0, where the default step is long


def pairs(seed, shape=(3, 4), scale=3.0):
    rng = np.random.default_rng(seed)
    return rng.normal(size=shape) * scale, rng.normal(size=shape) * scale


def signed(rng, low, high, shape=(3, 4)):
    return rng.uniform(low, high, shape) * rng.choice([-1, 1], shape)


def apart(seed):
    """Points that differ in each coordinate, by amounts of which no two are close."""
    rng = np.random.default_rng(seed)
    x = signed(rng, 0, 3)
    gaps = rng.permuted(np.tile([1.0, 2.0, 3.0, 4.0], (3, 1)), axis=1)
    return x, x + (gaps + rng.uniform(-0.2, 0.2, x.shape)) * rng.choice([-1, 1], x.shape)


def by_hand(x, y, p):
    """One pair of points in 50 digits."""
    with localcontext() as context:
        context.prec = 50
        apart = [abs(Decimal(float(a)) - Decimal(float(b))) for a, b in zip(x, y)]
        if p == math.inf:
            return float(max(apart))
        total = sum(d ** Decimal(p) for d in apart if d)
        return float(total ** (1 / Decimal(p))) if total else 0.0


# --------------------------------------------------------------------------------------- minkowski


@pytest.mark.parametrize("p", [0.5, 1, 1.5, 2, 3, 4, 7.25, math.inf])
@given(seed=seeds, scale=st.sampled_from([1e-200, 1e-3, 1.0, 1e200]))
def test_minkowski_is_its_definition(p, seed, scale):
    """Also where the powers overflow or underflow."""
    x, y = pairs(seed, scale=scale)
    wanted = [by_hand(a, b, p) for a, b in zip(x, y)]
    np.testing.assert_allclose(minkowski(x, y, p=p), wanted, rtol=1e-13)


@pytest.mark.parametrize("p", [1, 1.5, 2, 3, 4, math.inf])
@given(seed=seeds)
def test_minkowski_has_the_gradient_of_its_values(p, seed):
    x, y = apart(seed)
    assert tg.testing.gradcheck(lambda x, y: minkowski(x, y, p=p), [x, y], eps=STEP)
    if p not in (1, math.inf):
        assert tg.testing.gradgradcheck(lambda x, y: minkowski(x, y, p=p), [x, y], eps=STEP)


@pytest.mark.parametrize("p", [0.5, 1, 1.5, 2, 3, 4, math.inf])
def test_minkowski_is_flat_where_points_coincide(p):
    x = np.array([[1.0, -2.0, 0.0], [1.0, 2.0, 3.0]])
    y = np.array([[1.0, -2.0, 0.0], [1.0, 5.0, 3.0]])
    gx, gy = tg.grad(lambda x, y: minkowski(x, y, p=p).sum(), argnums=(0, 1))(x, y)
    np.testing.assert_array_equal(gx, [[0, 0, 0], [0, -1, 0]])
    np.testing.assert_array_equal(gy, -gx)


def test_the_second_derivative_of_euclids_distance_where_one_coordinate_agrees():
    """(I - u u^T) / d: 1/d across the connecting line."""
    hessian = tg.hessian(lambda x: minkowski(x, np.zeros(2)))(np.array([2.0, 0.0]))
    np.testing.assert_allclose(hessian, [[0, 0], [0, 0.5]], atol=1e-15)


def test_an_even_power_is_smooth_where_coordinates_agree():
    """The fourth derivative of (8 + y**4)."""
    f = lambda y: minkowski(tg.stack([y, 0 * y + 8**0.25]), np.zeros(2), p=4) ** 4  # noqa: E731
    for _ in range(4):
        f = tg.grad(f)
    assert f(0.0) == pytest.approx(24, rel=1e-12)


def test_minkowski_along_other_axes_and_in_a_table_of_pairs():
    x, y = pairs(0, (5, 3))
    np.testing.assert_allclose(minkowski(x.T, y.T, axis=0), minkowski(x, y), rtol=1e-15)
    table = minkowski(x[:, None], y[None])
    assert table.shape == (5, 5)
    np.testing.assert_allclose(np.diag(table), minkowski(x, y), rtol=1e-15)


@pytest.mark.parametrize("p", [0, -1, math.nan])
def test_a_power_that_is_not_positive_is_refused(p):
    with pytest.raises(ValueError, match=f"minkowski: p={p}"):
        minkowski([1.0], [2.0], p=p)


# ------------------------------------------------------------------------------------------ cosine


@given(angle=st.floats(1e-8, math.pi), turn=st.floats(0, 6), sizes=st.floats(-150, 150))
def test_cosine_is_one_minus_the_cosine(angle, turn, sizes):
    """1 - cos a = 2 sin(a/2)**2, to nearly all digits also for small angles, whatever the
    lengths."""
    a = 10.0**sizes * np.array([math.cos(turn), math.sin(turn)])
    b = 10.0**-sizes * np.array([math.cos(turn + angle), math.sin(turn + angle)])
    wanted = 2 * math.sin(angle / 2) ** 2
    # the points themselves are rounded: the angle between them is known to a few 1e-16
    assert abs(float(cosine(a, b)) - wanted) <= 4e-15 * math.sin(angle) + 1e-14 * wanted + 1e-31


@given(seed=seeds)
def test_cosine_has_the_gradient_of_its_values(seed):
    rng = np.random.default_rng(seed)
    x, y = signed(rng, 1, 3), signed(rng, 1, 3)
    assert tg.testing.gradcheck(cosine, [x, y], eps=STEP)
    assert tg.testing.gradgradcheck(cosine, [x, y], eps=STEP)


def test_cosine_at_zero_and_at_the_ends():
    zero, x = np.zeros(3), np.array([1.0, 2.0, 2.0])
    assert cosine(zero, x) == cosine(x, zero) == cosine(zero, zero) == 1
    assert cosine(x, 5 * x) == 0
    assert float(cosine(x, -x)) == pytest.approx(2, rel=1e-15)
    for a, b in ((zero, x), (zero, zero), (x, x)):
        for g in tg.grad(cosine, argnums=(0, 1))(a, b):
            np.testing.assert_allclose(g, 0, atol=1e-16)


# ----------------------------------------------------------------------------------------- jaccard


@given(x=st.sets(st.integers(0, 9)), y=st.sets(st.integers(0, 9)))
def test_jaccard_of_sets_is_the_distance_of_sets(x, y):
    wanted = 1 - len(x & y) / len(x | y) if x | y else 0
    members = [np.array([float(i in s) for i in range(10)]) for s in (x, y)]
    for dtype in (np.float64, np.float32, np.int64, np.bool_):
        assert float(jaccard(*(m.astype(dtype) for m in members))) == pytest.approx(wanted)


@given(seed=seeds)
def test_jaccard_is_a_metric_on_degrees_of_membership(seed):
    x, y, z = np.random.default_rng(seed).uniform(0, 2, (3, 6))
    assert jaccard(x, x) == 0 and jaccard(x, y) == jaccard(y, x)
    assert jaccard(x, z) <= jaccard(x, y) + jaccard(y, z) + 1e-15
    assert 0 < jaccard(x, y) <= 1


@given(seed=seeds)
def test_jaccard_against_a_set_is_the_soft_iou_loss(seed):
    rng = np.random.default_rng(seed)
    x, y = rng.uniform(0.05, 0.95, (3, 7)), rng.integers(0, 2, (3, 7)).astype(float)
    iou = (x * y).sum(-1) / (x + y - x * y).sum(-1)
    np.testing.assert_allclose(jaccard(x, y), 1 - iou, rtol=1e-13)
    assert tg.testing.gradcheck(lambda x: jaccard(x, y), [x])


@given(seed=seeds)
def test_jaccard_has_the_gradient_of_its_values(seed):
    rng = np.random.default_rng(seed)
    x = rng.uniform(0.5, 2, (3, 4))
    y = x + rng.choice([-0.2, 0.2], x.shape)  # away from the ties
    assert tg.testing.gradcheck(jaccard, [x, y], eps=STEP)


@pytest.mark.parametrize("apart", [2.0**-10, 2.0**-30, 2.0**-50])
def test_jaccard_of_nearly_equal_memberships_keeps_its_digits(apart):
    assert jaccard([1.0, 1.0], [1.0, 1.0 + apart]) == pytest.approx(apart / (2 + apart), rel=1e-15)


def test_jaccard_at_ties_and_of_nothing():
    nothing, x = np.zeros(3), np.array([1.0, 0.0, 1.0])
    assert jaccard(nothing, nothing) == 0 and jaccard(nothing, x) == 1
    for a in (nothing, x):
        for g in tg.grad(jaccard, argnums=(0, 1))(a, a):
            np.testing.assert_array_equal(g, 0)
    with pytest.raises(ValueError, match="jaccard: y holds -0.5"):
        jaccard([1.0, 0.0], [1.0, -0.5])


# ------------------------------------------------------------------------------------ great_circle


def from_vectors(a, b):
    """The angle between the points, by cross and dot products, which are stable for all angles."""

    def vector(lat, lon):
        return np.array(
            [math.cos(lat) * math.cos(lon), math.cos(lat) * math.sin(lon), math.sin(lat)]
        )

    u, v = vector(*np.radians(a)), vector(*np.radians(b))
    return math.atan2(np.linalg.norm(np.cross(u, v)), u @ v)


points = st.tuples(st.floats(-90, 90), st.floats(-360, 360))


@given(a=points, b=points)
def test_great_circle_is_the_angle_of_the_vectors(a, b):
    wanted = from_vectors(a, b)
    assert float(great_circle(a, b, radius=1)) == pytest.approx(wanted, rel=1e-12, abs=2e-15)
    radians = great_circle(np.radians(a), np.radians(b), degrees=False, radius=1)
    assert float(radians) == pytest.approx(wanted, rel=1e-12, abs=4e-15)


@pytest.mark.parametrize("apart", [1e-3, 1e-6, 1e-9, 1e-12])
@pytest.mark.parametrize("lat", [0.0, 45.0, -80.0])
def test_near_and_antipodal_points_keep_their_digits(apart, lat):
    """Along a meridian the distance is the difference of latitudes, and near an antipode half a
    turn less it."""
    other = lat + apart
    gap = math.radians(other - lat)
    near = float(great_circle([lat, 30.0], [other, 30.0], radius=1))
    assert near == pytest.approx(gap, rel=1e-14)
    far = float(great_circle([lat, 30.0], [-other, 210.0], radius=1))
    assert math.pi - far == pytest.approx(gap, rel=1e-14, abs=1e-15)


def test_a_gap_across_the_date_line_keeps_its_digits():
    gap = math.radians((180 - 179.9999999) * 2)
    across = great_circle([0.0, 179.9999999], [0.0, -179.9999999], radius=1)
    assert float(across) == pytest.approx(gap, rel=1e-6)  # a difference of 360 has 13 digits
    around = great_circle([45.0, 30.0], [45.0, 390.0])
    assert around == 0 and not tg.grad(great_circle)(np.array([45.0, 30.0]), [45.0, 390.0]).any()


def test_great_circle_in_kilometres():
    """Landmarks: a quarter of the equator, and one minute of arc, which is the nautical mile."""
    quarter = great_circle([0.0, 10.0], [0.0, 100.0])
    assert float(quarter) == pytest.approx(6371.0088 * math.pi / 2, rel=1e-15)
    assert float(great_circle([0.0, 0.0], [1 / 60, 0.0])) == pytest.approx(1.8532, rel=1e-4)
    assert float(great_circle([90.0, 0.0], [-90.0, 77.0])) == pytest.approx(6371.0088 * math.pi)
    assert float(great_circle([51.5, 0.0], [51.5, 720.0])) == pytest.approx(0, abs=1e-11)


@given(seed=seeds)
def test_great_circle_has_the_gradient_of_its_values(seed):
    rng = np.random.default_rng(seed)
    a = rng.uniform([20, -20], [60, 20], (4, 2))
    b = rng.uniform([-60, 30], [0, 80], (4, 2))
    assert tg.testing.gradcheck(lambda a, b: great_circle(a, b, radius=50), [a, b])
    assert tg.testing.gradgradcheck(lambda a, b: great_circle(a, b, radius=50), [a, b])


def test_great_circle_is_flat_where_points_coincide_or_are_antipodes():
    a = np.array([[45.0, 30.0], [0.0, 0.0], [90.0, 0.0]])
    for b in (a, a * [-1, 1] + [0, 180]):
        for g in tg.grad(lambda a, b: great_circle(a, b).sum(), argnums=(0, 1))(a, b):
            assert np.isfinite(g).all() and np.abs(g[:2]).max() < 1e-10
    hessian = tg.hessian(lambda a: great_circle(a, np.array([0.0, 5.0]), radius=1))
    np.testing.assert_allclose(  # on one meridian: cos(lat a) cos(lat b) / sin(d)
        hessian(np.array([60.0, 5.0]))[1, 1] * (180 / math.pi) ** 2, 0.5 / math.sin(math.pi / 3)
    )
    slope = tg.grad(great_circle)(np.array([10.0, 0.0]), np.array([10.0 - 1e-9, 0.0]))
    np.testing.assert_allclose(slope, [6371.0088 * math.pi / 180, 0], rtol=1e-9, atol=1e-20)


def test_great_circle_refuses_what_are_no_places():
    with pytest.raises(ValueError, match="a has a latitude of 100, beyond the pole at 90"):
        great_circle([100.0, 10.0], [10.0, 100.0])
    with pytest.raises(ValueError, match="b has a latitude of 45"):
        great_circle([1.0, 0.0], [45.0, 0.0], degrees=False)
    for radius in (0, -1, math.nan, math.inf):
        with pytest.raises(ValueError, match="great_circle: radius="):
            great_circle([0.0, 0.0], [1.0, 1.0], radius=radius)
    with pytest.raises(ValueError, match=r"great_circle: points of shape \(3,\)"):
        great_circle([0.0, 0.0, 0.0], [1.0, 1.0, 1.0])


# --------------------------------------------------------------------------------------------- all


@pytest.mark.parametrize("distance", [minkowski, cosine, jaccard, great_circle])
def test_data_in_data_out(distance):
    x, y = [[0.5, 0.25], [0.5, 1.0]], [[0.25, 0.5], [1.0, 0.0]]
    plain = distance(x, y)
    assert type(plain) is np.ndarray and plain.dtype == np.float64 and plain.shape == (2,)
    single = [np.array(v, np.float32) for v in (x, y)]
    assert distance(*single).dtype == np.float32
    out = distance(tg.Tensor(single[0], requires_grad=True), single[1])
    out.sum().backward()
    assert isinstance(out, tg.Tensor) and out.dtype == np.float32
    np.testing.assert_allclose(out.data, plain, rtol=1e-5)


@pytest.mark.parametrize("distance", [minkowski, cosine, jaccard, great_circle])
@pytest.mark.parametrize("shapes", [((2, 2), (2, 1)), ((2, 2), (3, 2)), ((), (2,)), ((2,), (3,))])
def test_points_that_do_not_fit_are_refused(distance, shapes):
    with pytest.raises(ValueError, match=f"{distance.__name__}: points of shapes"):
        distance(*(np.zeros(shape) for shape in shapes))
